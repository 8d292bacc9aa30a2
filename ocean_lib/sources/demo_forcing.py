"""What drives the demo ocean: the flow, which carries water, and the weather, which changes it.

Both are generators with one state a day, on the days that make up the months. The flow is
quasi-geostrophic turbulence (`turbulence`); the weather is smooth noise with a memory, from the
mixed layer's anomalies of weeks to the region's anomalies of years, and a displacement with a red
spectrum that is rough at the grid's scale as the products are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from ocean_lib.sources.relief import smooth_noise

__all__ = ["DAYS", "Flow", "Weather", "flow", "weather"]


DAYS = 6  # in a month, the means of which are the month's
INTERVAL = 365.25 / 12 / DAYS  # days
MARGIN = 32  # cells by which the periodic box of the turbulence exceeds the domain
SPIN_UP = 150.0  # days
ABYSS = 4.7  # km, the depth of the third layer's floor


@dataclass(frozen=True)
class _State:
    """Fields of one day."""

    def at(self, where: np.ndarray) -> Self:
        """The same in the columns of `where` (rows, columns), each field (..., columns) float32."""
        fields = {name: value for name, value in vars(self).items() if np.ndim(value) > 1}
        cut = {name: value[..., where].astype(np.float32) for name, value in fields.items()}
        return replace(self, **cut)


@dataclass(frozen=True)
class Flow(_State):
    """One day's flow, each (rows, columns).

    Args:
        upper: displacement of the upper interface, m, positive down.
        lower: displacement of the lower interface, m, positive down.
        northward: displacement of the surface's water, km.
        spice: tracer of the thermocline, of about unit deviation.
        streamfunction: of the three layers, (3, rows, columns), m2 s-1.
    """

    upper: np.ndarray
    lower: np.ndarray
    northward: np.ndarray
    spice: np.ndarray
    streamfunction: np.ndarray


@dataclass(frozen=True)
class Weather(_State):
    """One day's anomalies of unit deviation: fields (rows, columns) and numbers.

    Args:
        warm: temperature of the mixed layer.
        salty: salinity of the mixed layer.
        shelf: water of the shelf.
        rough: displacement of the two interfaces at small scales, (2, rows, columns).
        waves: displacement of both interfaces by long planetary waves.
        pumped: displacement of the upper thermocline by the wind.
        level: barotropic sea level.
        year: warmth and salinity of the region, over a year or two.
        decade: warmth and salinity of the region, over a decade.
    """

    warm: np.ndarray
    salty: np.ndarray
    shelf: np.ndarray
    rough: np.ndarray
    waves: np.ndarray
    pumped: np.ndarray
    level: np.ndarray
    year: tuple[float, ...]
    decade: tuple[float, ...]


def flow(
    shape: tuple[int, int],
    spacing: np.ndarray,
    coriolis: float,
    parameters: dict[str, Any],
    generator: np.random.Generator,
) -> Iterator[Flow]:
    """Simulate the flow.

    Args:
        shape: rows and columns of the domain.
        spacing: (dy, dx), km.
        coriolis: Coriolis parameter, s-1.
        parameters: of `demo_ocean`.
        generator: draws the initial perturbation and what the spice relaxes towards.

    Yields:
        The flow of each day.
    """
    import scipy.fft

    from ocean_lib.sources.turbulence import LayeredTurbulence, enlarge

    box = [2 * scipy.fft.next_fast_len(-(-(n + MARGIN) // 4)) for n in shape]
    upper, lower = (h / 1000 for h in parameters["interfaces"])
    targets = np.zeros((2, *box))
    targets[1] = smooth_noise(box, 2 * spacing, generator, 110.0, periodic=True)
    turbulence = LayeredTurbulence(
        box,
        2 * spacing,
        generator,
        thickness=(upper, lower - upper, ABYSS - lower),
        gravity=parameters["gravity"],
        coriolis=coriolis,
        beta=1.6e-3,
        shear=parameters["shear"],
        jet=parameters["jet"],
        jet_row=(MARGIN / 2 + parameters["jet_place"] * shape[0]) / 2,
        jet_width=60.0,
        jet_rate=1 / 20,
        drag=1 / 15,
        tracer_layers=(0, 1),
        tracer_gradients=(1.0, 0.0),
        tracer_targets=targets,
        tracer_rate=1 / 100,
    )
    for _ in range(int(SPIN_UP / INTERVAL)):
        turbulence.advance(INTERVAL)
    inside = (..., *(slice(MARGIN // 2, MARGIN // 2 + n) for n in shape))
    first, second = turbulence.to_metres
    while True:
        turbulence.advance(INTERVAL)
        psi = enlarge(turbulence.snapshot(), box, [2 * n for n in box])[inside]
        yield Flow(
            upper=first * (psi[0] - psi[1]),
            lower=second * (psi[1] - psi[2]),
            northward=psi[3],
            spice=psi[4],
            streamfunction=psi[:3] * (1e6 / 86400),
        )


def weather(
    shape: tuple[int, int], spacing: np.ndarray, generator: np.random.Generator
) -> Iterator[Weather]:
    """Draw the weather of each day; arguments as for `flow`."""

    def draw() -> tuple[np.ndarray, np.ndarray]:
        def noise(*parts: tuple[float, float]) -> np.ndarray:
            """Sum of parts with a scale in km and a share of the variance."""
            return sum(
                share**0.5 * smooth_noise(shape, spacing, generator, scale)
                for scale, share in parts
            )

        return np.stack(
            [
                noise((130.0, 0.7), (45.0, 0.27), (8.0, 0.03)),
                noise((60.0, 0.8), (12.0, 0.2)),
                noise((70.0, 0.85), (10.0, 0.15)),
                noise((18.0, 0.5), (10.0, 0.3), (5.0, 0.2)),
                noise((18.0, 0.5), (10.0, 0.3), (5.0, 0.2)),
                noise((200.0, 1.0)),
                noise((110.0, 0.92), (12.0, 0.08)),
                noise((200.0, 1.0)),
            ]
        ), generator.standard_normal(4)

    # Months, and years, in which the fields and numbers lose all but 1/e.
    months = np.array([1.5, 2.5, 2.8, 3.0, 4.0, 8.0, 2.5, 0.5])
    memory = np.exp(-1 / (DAYS * months))[:, None, None]
    years = np.array([20.0, 20.0, 100.0, 100.0])
    long = np.exp(-1 / (DAYS * years))
    fields, numbers = draw()
    while True:
        new, shocks = draw()
        fields = memory * fields + np.sqrt(1 - memory**2) * new
        numbers = long * numbers + np.sqrt(1 - long**2) * shocks
        year, decade = tuple(numbers[:2].tolist()), tuple(numbers[2:].tolist())
        warm, salty, shelf, *rough, waves, pumped, level = fields
        yield Weather(warm, salty, shelf, np.stack(rough), waves, pumped, level, year, decade)
