"""The water of the demo ocean: temperature and salinity of its columns, and what follows.

Water keeps its properties while the flow displaces it, so both are nonlinear profiles evaluated at
the depth from which the water came, plus what the flow carries:

    T(z) = T0(z - eta) + spice(z - eta) + front + season,    then mixed within the mixed layer

S0 follows T0 by the temperature-salinity relation of the region. Spice is compensated in density:
its salinity is that of equal weight. The mixed layer has its own weather, in temperature and
salinity, which hides part of the interior from the surface. Last, water mixes with lighter water
below it, so that columns are statically stable.

Reference: IOC, SCOR & IAPSO 2010, The international thermodynamic equation of seawater (gsw);
Rahmstorf 1993, Ocean Modelling 101 (complete convection).
"""

import math
from typing import Any

import numpy as np

from ocean_lib.fields.columns import mixed_layer_depth
from ocean_lib.sources.demo_forcing import ABYSS, Flow, Weather

__all__ = ["Water", "reduced_gravity"]


GRAVITY = 9.81  # m s-2
DENSITY = 1025.0  # kg m-3
FREEZING = -1.8  # °C
ABSOLUTE = 35.16504 / 35  # absolute over practical salinity in the reference composition
RELATION = (  # potential temperature (°C) and practical salinity of the region's water masses
    (1.5, 34.70),
    (3.4, 34.70),
    (5.0, 34.50),
    (7.0, 34.32),
    (9.0, 34.25),
    (12.0, 34.28),
    (18.0, 34.55),
    (24.0, 34.65),
    (30.0, 34.70),
)
BAROTROPIC = 0.06  # m, deviation of the sea level that no density explains
ROUGH = 8.0  # m, deviation of each interface at small scales
WAVES = 32.0  # m, deviation of both interfaces by long waves
PUMPED = 7.0  # m, deviation of the upper thermocline's displacement by the wind
LIMIT = 220.0  # m, of the displacement; keeps the water column from folding
TOP = 700.0  # m, the lower end of what the surface reaches
MIXED = 0.01  # kg m-3, threshold of the mixed layer, as in GLORYS12
LEVEL = np.arange(0, 6400.0)  # m, of the profiles


def profiles(parameters: dict[str, Any]) -> tuple[np.ndarray, ...]:
    """Potential temperature (°C) and salinity at each metre, and those of a unit of spice."""
    import gsw
    from scipy.interpolate import PchipInterpolator

    warmth = parameters["abyss"] + 2.4 * np.exp(-LEVEL / 1500)
    for rise, centre, width in (parameters["upper"], parameters["main"]):
        warmth += rise / 2 * (1 - np.tanh((LEVEL - centre) / width))
    salinity = PchipInterpolator(*np.transpose(RELATION))(warmth)
    strength, centre, width = parameters["spice"]
    spice = np.exp(-0.5 * ((LEVEL - centre) / width) ** 2) + 0.1 * np.exp(-LEVEL / 2500)
    _, alpha, beta = gsw.rho_alpha_beta(ABSOLUTE * salinity, warmth, LEVEL)
    return warmth, salinity, strength * spice, strength * spice * alpha / beta


def reduced_gravity(parameters: dict[str, Any]) -> tuple[float, float]:
    """Weight of a displacement of either interface, m s-2: that of the water it brings."""
    import gsw

    warmth, salinity, *_ = profiles(parameters)
    _, alpha, beta = gsw.rho_alpha_beta(ABSOLUTE * salinity, warmth, LEVEL)
    heavier = beta * ABSOLUTE * np.gradient(salinity) - alpha * np.gradient(warmth)  # m-1
    first, second, _ = (GRAVITY * (hat * heavier).sum() for hat in _hats(LEVEL, parameters))
    return float(first), float(second)


def _hats(depth: np.ndarray, parameters: dict[str, Any]) -> np.ndarray:
    """Displacement at each depth by a unit displacement of each interface, and by the wind.

    Returns:
        (3, depth), between 0 and 1.
    """
    upper, lower = parameters["interfaces"]
    hats = (0, upper, lower), (upper, lower, 1000 * ABYSS), (0, upper / 4, upper)
    return np.stack([np.interp(depth, hat, (0, 1, 0)) for hat in hats])


def _density(warm: np.ndarray, salty: np.ndarray, pressure: np.ndarray | float) -> np.ndarray:
    """Density at a pressure (dbar), kg m-3."""
    import gsw

    absolute = ABSOLUTE * salty
    return gsw.rho(absolute, gsw.CT_from_pt(absolute, warm), pressure)


class Water:
    """The water columns of a domain.

    Args:
        parameters: of `demo_ocean`.
        depth: of the levels, m.
        floor: depth of the sea floor of each column, m.
        openness: 0 at the coast to 1 over the deep sea, of each column.
        north: distance of each column from the jet, km.
        coriolis: Coriolis parameter, s-1.
    """

    def __init__(
        self,
        parameters: dict[str, Any],
        depth: np.ndarray,
        floor: np.ndarray,
        openness: np.ndarray,
        north: np.ndarray,
        coriolis: float,
    ):
        self.parameters = parameters
        self.openness, self.north = openness.astype(np.float32), north.astype(np.float32)
        self.coriolis = coriolis
        self.depth = depth.astype(np.float32)[:, None]
        self.hats = _hats(depth, parameters).astype(np.float32)
        self.profiles = [profile.astype(np.float32) for profile in profiles(parameters)]
        self.top = int(np.searchsorted(depth, TOP))
        edges = np.r_[0, (depth[1:] + depth[:-1]) / 2, np.inf][:, None]
        self.wet = self.depth < floor
        thickness = np.diff(np.minimum(edges, floor), axis=0).clip(0) * self.wet
        self.thickness = thickness.astype(np.float32)
        warm, salty, *_ = self._at(self.depth)
        self.reference = _density(warm, salty, self.depth)

    def day(self, month: float, flow: Flow, weather: Weather) -> tuple[np.ndarray, ...]:
        """Properties of the water of one day.

        Args:
            month: months since the beginning of a year.
            flow: of the columns, each (..., columns).
            weather: of the columns.

        Returns:
            Potential temperature (°C) and practical salinity, (depth, columns), meaningful in the
            ocean; the part of the sea level that is not steric (m), (columns,).
        """
        shelf = 1 - self.openness
        eta = np.stack([flow.upper, flow.lower]) + ROUGH * weather.rough + WAVES * weather.waves
        eta = LIMIT * np.tanh(eta / LIMIT) * self.openness
        eta = np.stack([*eta, PUMPED * weather.pumped * self.openness]).astype(np.float32)
        origin = self.depth - np.einsum("kz,kc->zc", self.hats, eta)
        spice = np.tanh(flow.spice / 0.5) * self.openness
        warm, salty, spice_warm, spice_salty = self._at(origin)
        warm += spice_warm * spice
        salty += spice_salty * spice
        top = slice(self.top)
        self._surface(month, warm[top], salty[top], origin[top], eta[0], shelf, flow, weather)
        np.maximum(warm, FREEZING, out=warm)
        level = self.coriolis / GRAVITY * flow.streamfunction[2] * self.openness
        return warm, salty, level + BAROTROPIC * weather.level

    def settled(
        self, warm: np.ndarray, salty: np.ndarray, level: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """Water of a day or the mean of several, stable, and what its weight makes of it.

        Args:
            warm: potential temperature (°C), as `day` returns it; changed in place.
            salty: practical salinity.
            level: the part of the sea level that is not steric, m.

        Returns:
            Potential temperature and salinity; sea level and mixed layer depth (m), (columns,).
        """
        top = slice(self.top)
        self.settle(warm, salty, np.s_[:])
        steric = (self.reference - _density(warm, salty, self.depth)) * self.thickness
        density = np.where(self.wet[top], _density(warm[top], salty[top], 0.0), np.nan)
        mixed = mixed_layer_depth(density, self.depth[top, 0], MIXED)
        return warm, salty, steric.sum(axis=0) / DENSITY + level, mixed

    def in_situ(self, warm: np.ndarray, salty: np.ndarray) -> dict[str, np.ndarray]:
        """Temperature (°C) and practical salinity as a float measures them, (depth, columns)."""
        import gsw

        absolute = ABSOLUTE * salty
        conservative = gsw.CT_from_pt(absolute, warm)
        return {"temperature": gsw.t_from_CT(absolute, conservative, self.depth), "salinity": salty}

    def _at(self, origin: np.ndarray) -> list[np.ndarray]:
        """The profiles at depths (m), linear between metres, each of the shape of `origin`."""
        place = origin.clip(0, len(LEVEL) - 2)
        level = place.astype(np.intp)
        share = place - level.astype(np.float32)
        found = []
        for profile in self.profiles:
            at = np.take(np.diff(profile), level, mode="clip")
            at *= share
            at += np.take(profile, level, mode="clip")
            found.append(at)
        return found

    def _surface(self, month, warm, salty, origin, eta, shelf, flow, weather) -> None:
        """What the surface adds, in place: the front, the season, the shelf and mixing."""
        parameters, z = self.parameters, self.depth[: self.top]
        contrast, reach = parameters["front"]
        front = np.tanh((self.north + flow.northward * (0.3 + 0.7 * self.openness)) / reach)
        warm -= np.exp(-z / 80) * (contrast * front + 2.0 * shelf)
        salty -= np.exp(-z / 80) * (0.27 * contrast * front + 1.5 * shelf)
        years, decades = np.exp(-z / 250), np.exp(-z / 300)
        warm += 0.2 * weather.year[0] * years + 0.3 * weather.decade[0] * decades
        salty += 0.04 * weather.year[1] * years + 0.05 * weather.decade[1] * decades
        warm += 0.6 * shelf * weather.shelf * np.exp(-z / 200)
        salty += 0.2 * shelf * weather.shelf * np.exp(-z / 200)
        phase = 2 * math.pi * (month - 7.3) / 12
        amplitude = parameters["season"] * (1 + 0.4 * shelf)
        depth = np.clip(origin, 0, None)
        warm += amplitude * np.exp(-depth / 55) * np.cos(phase - depth / 110)
        salty -= 0.15 * (1 + 2 * shelf) * np.exp(-depth / 30) * math.cos(phase - 0.5)

        # The mixed layer: deepest in late winter and over a deep thermocline, with its own weather.
        winter = max(math.cos(2 * math.pi * (month - 1.7) / 12), 0.0) ** 2
        deep = parameters["winter"] * np.exp(
            0.15 * weather.year[0] + eta / 400 + 0.15 * weather.shelf
        )
        layer = 20 + 6 * weather.shelf.clip(-2, 2) + deep * winter
        share = 0.5 * (1 - np.tanh((z - layer) / (0.2 * layer)))
        weight = share * self.thickness[: self.top]
        total = np.maximum(weight.sum(axis=0), 1e-6)
        for water, anomaly in ((warm, weather.warm), (salty, 0.12 * weather.salty)):
            mean = (weight * water).sum(axis=0) / total + (20 / layer) ** 0.3 * anomaly
            water += share * (mean - water)

    def settle(self, warm: np.ndarray, salty: np.ndarray, columns: np.ndarray | slice) -> None:
        """Mix water of the upper levels until none lies above lighter water, in place.

        Args:
            warm: potential temperature (°C), as `day` returns it.
            salty: practical salinity.
            columns: which to change.
        """
        top, depth = self.top, self.depth[: self.top]
        middle = (depth[1:] + depth[:-1]) / 2
        columns = np.arange(warm.shape[1])[columns]
        mixed = np.zeros((top - 1, len(columns)), bool)  # pairs of levels
        while True:
            wet = self.wet[:top, columns]
            water = np.stack([warm[:top, columns], salty[:top, columns]])
            upper, lower = (
                _density(water[0, part], water[1, part], middle) for part in (np.s_[:-1], np.s_[1:])
            )
            unstable = (upper > lower) & wet[1:] & ~mixed
            some = unstable.any(axis=0)
            if not some.any():
                return
            columns, mixed = columns[some], (mixed | unstable)[:, some]
            layer = np.zeros((top, len(columns)), int)
            layer[1:] = np.cumsum(~mixed, axis=0)
            layer += top * np.arange(len(columns))
            weight = self.thickness[:top, columns].astype(float) + ~wet[:, some]
            total = np.bincount(layer.ravel(), weight.ravel()).clip(1e-9)
            for part, values in zip((warm, salty), water[..., some], strict=True):
                mean = np.bincount(layer.ravel(), (weight * values).ravel()) / total
                part[:top, columns] = mean[layer]
