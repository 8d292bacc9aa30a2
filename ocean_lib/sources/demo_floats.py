"""Floats of the demo ocean: they drift with its flow and measure the water of a day.

A float drifts with the middle layer, as a float parked at 1000 m does, and profiles every second
day of the simulation, about every ten days. One that leaves the domain is replaced by a new one at
a random place of the deep sea. A float has an offset of its own, and every value an error of
measurement; so casts are of a day and of a place, while fields are means of a month and of a cell.

Reference: Wong et al. 2020, Front. Mar. Sci. 7, 700 (accuracy, cycle).
"""

import numpy as np
import pandas as pd
from scipy.ndimage import map_coordinates

__all__ = ["Fleet"]


DENSITY = 1 / 9.0  # floats per square degree, the design of Argo: one per 3° × 3°
CYCLE = 2  # days of the simulation between two profiles of a float
PARKED, DEEPEST = 1000.0, 2000.0  # m: the depth of drift, the deepest value
STEPS = 10  # of the integration, in an interval
OFFSET = {"temperature": 0.002, "salinity": 0.01}  # deviation among floats, °C and practical
NOISE = {"temperature": 0.002, "salinity": 0.003}  # deviation of each value


class Fleet:
    """The floats of a domain, moved in place.

    Args:
        bathymetry: depth of the sea floor, m, (rows, columns).
        spacing: (dy, dx) of the cells, km.
        area: of the domain, square degrees.
        generator: draws places, instruments and errors.
    """

    def __init__(
        self,
        bathymetry: np.ndarray,
        spacing: np.ndarray,
        area: float,
        generator: np.random.Generator,
    ):
        self.spacing, self.generator = spacing, generator
        self.deep = np.argwhere(bathymetry > PARKED)
        self.shape = np.array(bathymetry.shape)
        number = round(DENSITY * area) if len(self.deep) else 0
        self.number, self.name = 0, np.zeros(number, int)
        self.place = np.zeros((number, 2))  # row and column
        self.cycle = np.zeros(number, int)
        self.offset = {name: np.zeros(number) for name in OFFSET}
        self._deploy(np.arange(number))
        self.phase = generator.integers(0, CYCLE, number)

    def _deploy(self, which: np.ndarray) -> None:
        """New floats in place of some."""
        places = self.deep[self.generator.integers(0, len(self.deep), len(which))]
        self.place[which] = places + self.generator.uniform(-0.5, 0.5, places.shape)
        self.name[which] = self.number + 1 + np.arange(len(which))
        self.number += len(which)
        self.cycle[which] = 0
        for name, deviation in OFFSET.items():
            self.offset[name][which] = deviation * self.generator.standard_normal(len(which))

    def drift(self, streamfunction: np.ndarray, days: float) -> None:
        """Move all floats along a streamfunction, by the midpoint rule.

        Args:
            streamfunction: of the layer at their depth, (rows, columns), m2 s-1.
            days: how long.
        """
        slope = np.gradient(streamfunction, *(1000 * self.spacing))
        velocity = np.stack([slope[1], -slope[0]])  # northward and eastward, m s-1
        cells = velocity * (86.4 / self.spacing)[:, None, None] * (days / STEPS)  # per step

        def moved(place: np.ndarray) -> np.ndarray:
            return np.stack(
                [map_coordinates(part, place.T, order=1, mode="nearest") for part in cells], 1
            )

        for _ in range(STEPS):
            self.place += moved(self.place + moved(self.place) / 2)
        outside = ((self.place < -0.5) | (self.place >= self.shape - 0.5)).any(axis=1)
        self._deploy(np.flatnonzero(outside))

    def surfaced(self, day: int) -> np.ndarray:
        """Numbers of the floats that profile on a day of the simulation."""
        return np.flatnonzero((day + self.phase) % CYCLE == 0)

    def cells(self, floats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the cells where floats are."""
        row, column = np.round(self.place[floats]).astype(int).T
        return row, column

    def measure(
        self, floats: np.ndarray, water: dict[str, np.ndarray], depth: np.ndarray
    ) -> pd.DataFrame:
        """The casts of floats.

        Args:
            floats: their numbers.
            water: temperature and salinity at their places, (depth, floats), NaN below the floor.
            depth: of the levels, m.

        Returns:
            A row per value: platform, cycle, row, column, depth, temperature, salinity.
        """
        self.cycle[floats] += 1
        level, cast = np.nonzero(np.isfinite(water["temperature"]) & (depth <= DEEPEST)[:, None])
        order = np.lexsort((level, cast))
        level, cast = level[order], cast[order]
        which = floats[cast]
        table = {"platform": self.name[which], "cycle": self.cycle[which]}
        table |= {"row": self.place[which, 0], "column": self.place[which, 1]}
        table["depth"] = depth[level]
        for name, values in water.items():
            noise = NOISE[name] * self.generator.standard_normal(len(level))
            table[name] = values[level, cast] + self.offset[name][which] + noise
        return pd.DataFrame(table)
