"""The demo ocean: synthetic monthly temperature on the levels of GLORYS12.

Quasi-geostrophic turbulence (`turbulence`) displaces two interfaces by eta_1 and eta_2; temperature
is a nonlinear profile evaluated at the depth from which the water came, plus what the flow carries:

    T(z) = T0(z - eta) + spice(z - eta) + front + season,    then mixed within the mixed layer

so anomalies are neither Gaussian nor governed by a single vertical mode. Weather affects only the
mixed layer and hides part of the interior from the surface; water on the shelf has its own slow
anomaly. The place is fictitious, similar to the north-west Atlantic at 32-40 N. The turbulence is
slower than in nature: water moves `DRIFT` km in a month, so that anomalies of the upper ocean fade
within about three months.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import POTENTIAL
from ocean_lib.sources.relief import sea_floor, smooth_noise

__all__ = ["DEPTH", "SOUTH", "STEP", "VERSION", "WEST", "identity", "simulate"]


VERSION = "1"
DRIFT = 210.0  # rms displacement of upper-layer water in a month, km
FREEZING = -1.8  # °C
DEPTH = np.fromstring(
    """
    0.494025 1.541375 2.645669 3.819495 5.078224 6.440614 7.92956 9.572997 11.405 13.46714
    15.81007 18.49556 21.59882 25.211411 29.444731 34.434151 40.344051 47.373692 55.76429
    65.807266 77.853851 92.326073 109.729301 130.666 155.850693 186.125595 222.475205
    266.040314 318.127411 380.213013 453.937714 541.088928 643.566772 763.33313 902.339294
    1062.439941 1245.291016 1452.250977 1684.284058 1941.892944 2225.077881 2533.335938
    2865.702881 3220.820068 3597.031982 3992.483887 4405.224121 4833.291016 5274.78418
    5727.916992
    """,
    np.float32,
    sep=" ",
)  # the 50 levels of GLORYS12, m
STEP, WEST, SOUTH = 1 / 12, -72.0, 32.0  # degrees
MARGIN = 48  # cells by which the periodic box of the turbulence exceeds the domain


def simulate(
    seed: int = 1,
    months: int = 168,
    shape: tuple[int, int] = (96, 128),
    progress: Callable[[int, int], object] | None = None,
) -> xr.Dataset:
    """Simulate the demo ocean in memory.

    Args:
        seed: of the flow, the stratification, the sea floor and the weather.
        months: number of months from January 1993 on; a shorter run is the start of a longer one.
        shape: rows (latitude) and columns (longitude) of 1/12 degree.
        progress: called as `progress(done, months)` after each month.

    Returns:
        Canonical field dataset: `temperature (time, depth, latitude, longitude)` float32, °C, NaN
        outside the ocean; `ocean (depth, latitude, longitude)`; and `bathymetry (latitude,
        longitude)`, m. Times are the first day of each month, as in the files of GLORYS12.

    Raises:
        ValueError: the domain is too small to hold coast and deep ocean, or there is no month.
    """
    rows, columns = shape
    if min(rows, columns) < 32:
        raise ValueError(f"shape {rows}x{columns} has a side below 32 cells; choose shape >= 32x32")
    if months < 1:
        raise ValueError(f"months {months} is below 1; choose months >= 1")
    latitude = (SOUTH + STEP * np.arange(rows)).astype(np.float32)
    longitude = (WEST + STEP * np.arange(columns)).astype(np.float32)
    spacing = 111.2 * STEP * np.array([1.0, np.cos(np.radians(latitude.mean()))])

    generators = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)]
    parameters = _draw_parameters(generators[0])
    bathymetry, openness = sea_floor(shape, spacing, generators[1])
    ocean = DEPTH[:, None, None] < bathymetry
    weather = _weather(shape, spacing, generators[3])
    temperature = np.full((months, *ocean.shape), np.nan, np.float32)
    flow = _flow(shape, spacing, latitude.mean(), parameters, generators[2])
    with ThreadPoolExecutor(1) as thread:  # simulates the flow one month ahead
        upcoming = thread.submit(next, flow)
        for month in range(months):
            now, upcoming = upcoming.result(), thread.submit(next, flow)
            field = _temperature(month, now, next(weather), parameters, openness, ocean, spacing)
            np.copyto(temperature[month], field, where=ocean)
            if progress is not None:
                progress(month + 1, months)

    time = np.datetime64("1993-01", "M") + np.arange(months)
    axes = {
        "time": (time.astype("datetime64[ns]"), {"axis": "T"}),
        "depth": (DEPTH, {"axis": "Z", "units": "m", "positive": "down"}),
        "latitude": (latitude, {"axis": "Y", "units": "degrees_north"}),
        "longitude": (longitude, {"axis": "X", "units": "degrees_east"}),
    }
    dims = tuple(axes)
    named = {"standard_name": POTENTIAL, "long_name": "Temperature", "units": "degrees_C"}
    floor = {"standard_name": "sea_floor_depth_below_geoid", "units": "m"}
    return xr.Dataset(
        {
            "temperature": (dims, temperature, named),
            "ocean": (dims[1:], ocean, {"long_name": "Sea water"}),
            "bathymetry": (dims[2:], bathymetry.astype(np.float32), floor),
        },
        {
            name: (name, values, {"standard_name": name, "long_name": name.capitalize(), **attrs})
            for name, (values, attrs) in axes.items()
        },
        identity(seed, shape),
    )


def identity(seed: int, shape: tuple[int, int]) -> dict[str, str | int]:
    """Attributes of a file: which demo ocean it holds, and that it is synthetic."""
    return {
        "Conventions": "CF-1.8",
        "title": f"Synthetic demo ocean, version {VERSION}, seed {seed}: no real ocean",
        "source": "ocean_lib.demo_ocean, a quasi-geostrophic simulation in the format of GLORYS12",
        "credit": "Synthetic data made by ocean_lib; not a Copernicus Marine product",
        "demo_version": VERSION,
        "demo_seed": int(seed),
        "demo_shape": f"{shape[0]}x{shape[1]}",
    }


def _draw_parameters(generator: np.random.Generator) -> dict[str, Any]:
    """The parameters that differ between seeds, most of them by up to 8 to 20 %."""

    def about(value: float, share: float) -> float:
        return value * generator.uniform(1 - share, 1 + share)

    return {
        "gravity": (about(0.014, 0.1), about(0.010, 0.1)),
        "interfaces": (about(350.0, 0.1), about(1100.0, 0.08)),
        "shear": (about(3.0, 0.15), about(-3.0, 0.15), 0.0),
        "jet": (about(40.0, 0.12), about(22.0, 0.12), 2.0),
        "jet_place": generator.uniform(0.42, 0.58),
        "abyss": about(2.0, 0.1),
        "upper": (about(10.0, 0.1), about(120.0, 0.15), about(75.0, 0.15)),
        "main": (about(2.9, 0.1), about(600.0, 0.1), about(310.0, 0.1)),
        "spice": (about(1.5, 0.2), about(380.0, 0.15), about(150.0, 0.15)),
        "front": (about(3.0, 0.15), about(260.0, 0.15)),
        "season": about(4.0, 0.12),
        "winter": about(130.0, 0.15),
    }


def _flow(shape, spacing, latitude, parameters, generator) -> Iterator[np.ndarray]:
    """Yield each month's mean (eta_1, eta_2, surface tracer, spice tracer), (4, rows, columns).

    Interface displacements are positive down, m; the surface tracer is a northward distance, km.
    """
    import scipy.fft

    from ocean_lib.sources.turbulence import LayeredTurbulence, enlarge

    box = [2 * scipy.fft.next_fast_len(-(-(n + MARGIN) // 4)) for n in shape]
    upper, lower = (h / 1000 for h in parameters["interfaces"])
    coriolis = 2 * 7.292e-5 * np.sin(np.radians(latitude))
    targets = np.zeros((2, *box))
    targets[1] = smooth_noise(box, 2 * spacing, generator, 110.0, periodic=True)
    turbulence = LayeredTurbulence(
        box,
        2 * spacing,
        generator,
        thickness=(upper, lower - upper, 4.7 - lower),
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
        tracer_rate=1 / 50,
    )
    days = DRIFT / turbulence.settle(150.0)
    start, (first, second) = MARGIN // 2, turbulence.to_metres
    while True:
        psi = enlarge(turbulence.advance(days), box, [2 * n for n in box])
        psi = psi[:, start : start + shape[0], start : start + shape[1]]
        yield np.stack([first * (psi[0] - psi[1]), second * (psi[1] - psi[2]), psi[3], psi[4]])


def _weather(shape, spacing, generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each month's unit anomalies: fields (mixed layer, shelf) and two slow numbers."""
    memory = np.array([0.5, 0.7])[:, None, None]
    fields, years = None, generator.standard_normal(2)
    while True:
        large, small, shelf = (
            smooth_noise(shape, spacing, generator, scale) for scale in (130.0, 35.0, 70.0)
        )
        new = np.stack([0.8 * large + 0.6 * small, shelf])
        if fields is None:
            fields = new
        fields = memory * fields + np.sqrt(1 - memory**2) * new
        years = 0.95 * years + np.sqrt(1 - 0.95**2) * generator.standard_normal(2)
        yield fields, years


def _temperature(month, flow, weather, parameters, openness, ocean, spacing) -> np.ndarray:
    """One month's temperature, (depth, rows, columns), °C; only ocean cells are meaningful."""
    (mixed_anomaly, shelf_anomaly), (year_depth, year_warmth) = weather
    z = DEPTH[:, None, None]
    shelf = 1 - openness

    # Displacement is piecewise linear between surface, interfaces and bottom.
    nodes = [0.0, *parameters["interfaces"], 4700.0]
    first, second = (np.interp(DEPTH, nodes, hat)[:, None, None] for hat in np.eye(4)[1:3])
    limit = 220.0  # m; keeps the water column from folding
    eta = limit * np.tanh((flow[:2] + 12.0 * year_depth) / limit) * openness
    origin = (z - first * eta[0] - second * eta[1]).astype(np.float32)

    level = np.arange(0, 6400.0)
    profile = parameters["abyss"] + 2.4 * np.exp(-level / 1500)
    for warmth, centre, width in (parameters["upper"], parameters["main"]):
        profile += warmth / 2 * (1 - np.tanh((level - centre) / width))
    strength, centre, width = parameters["spice"]
    bump = np.exp(-0.5 * ((level - centre) / width) ** 2) + 0.1 * np.exp(-level / 2500)
    spice = strength * np.tanh(flow[3] / 0.5) * openness
    field = np.interp(origin, level, profile).astype(np.float32)
    field += np.interp(origin, level, bump).astype(np.float32) * spice.astype(np.float32)

    # Near the surface: the front, the season and the shelf.
    top = int(np.searchsorted(DEPTH, 700.0))
    z, upper, near = z[:top], field[:top], origin[:top]
    rows = np.arange(ocean.shape[1]) - parameters["jet_place"] * ocean.shape[1]
    northward = (rows * spacing[0])[:, None] + flow[2] * (0.3 + 0.7 * openness)
    contrast, reach = parameters["front"]
    upper -= np.exp(-z / 80) * (contrast * np.tanh(northward / reach) + 2.0 * shelf)
    upper += 0.2 * year_warmth * np.exp(-z / 250)
    upper += 0.6 * shelf * shelf_anomaly * np.exp(-z / 200)
    phase = 2 * np.pi * (month % 12 - 7.3) / 12
    amplitude = parameters["season"] * (1 + 0.4 * shelf)
    depth = np.clip(near, 0, None)
    upper += amplitude * np.exp(-depth / 45) * np.cos(phase - depth / 90)

    # The mixed layer: deepest in late winter and over a deep thermocline, with its own weather.
    winter = np.clip(np.cos(2 * np.pi * (month % 12 - 1.7) / 12), 0, None) ** 2
    deep = parameters["winter"] * np.exp(0.15 * year_warmth + eta[0] / 400 + 0.15 * shelf_anomaly)
    layer = 20 + 4 * shelf_anomaly.clip(-2, 2) + deep * winter
    share = 0.5 * (1 - np.tanh((z - layer) / (0.2 * layer)))
    thickness = np.gradient(DEPTH)[:top, None, None] * ocean[:top]
    weight = share * thickness
    total = weight.sum(axis=0)
    mean = (weight * upper).sum(axis=0) / np.where(total > 0, total, 1)
    mean += (20 / layer) ** 0.3 * mixed_anomaly
    upper += share * (mean - upper)
    return np.maximum(field, FREEZING)
