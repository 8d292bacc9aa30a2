"""The demo ocean: synthetic temperature, salinity, sea level and mixed layer on GLORYS12's grid.

Turbulence displaces and carries the water of an ocean with a thermocline, a front, a shelf, seasons
and a weather (`demo_forcing`, `demo_water`). A month is the mean of six days, five days apart. The
place is fictitious, a western boundary at 32-40 N with a salinity minimum below the thermocline, as
in the north-west Pacific. Flow and sea level share one clock, in which a month is a month.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ocean_lib.fields.conventions import POTENTIAL, PRACTICAL
from ocean_lib.sources.demo_floats import Fleet
from ocean_lib.sources.demo_forcing import DAYS, INTERVAL, flow, weather
from ocean_lib.sources.demo_water import Water, reduced_gravity
from ocean_lib.sources.relief import sea_floor

__all__ = ["DEPTH", "SOUTH", "STEP", "VERSION", "WEST", "each_month", "identity", "simulate"]


VERSION = "2"
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
VARIABLES = {
    "temperature": {"standard_name": POTENTIAL, "long_name": "Temperature", "units": "degrees_C"},
    "salinity": {"standard_name": PRACTICAL, "long_name": "Salinity", "units": "1e-3"},
    "sea_level": {
        "standard_name": "sea_surface_height_above_geoid",
        "long_name": "Sea surface height",
        "units": "m",
    },
    "mixed_layer_depth": {
        "standard_name": "ocean_mixed_layer_thickness_defined_by_sigma_theta",
        "long_name": "Density ocean mixed layer thickness",
        "units": "m",
    },
}
STEP, WEST, SOUTH = 1 / 12, -72.0, 32.0  # degrees


def simulate(
    seed: int = 1,
    months: int = 168,
    shape: tuple[int, int] = (96, 128),
    progress: Callable[[int, int], object] | None = None,
    daily: bool = False,
) -> xr.Dataset:
    """Simulate the demo ocean in memory; as `each_month`, joined in time.

    Args:
        progress: called as `progress(done, months)` after each month.
    """
    parts = []
    for part, _ in each_month(seed, months, shape, daily):
        parts.append(part)
        if progress is not None:
            progress(len(parts), months)
    return xr.concat(parts, "time", data_vars="minimal", coords="minimal", compat="override")


def each_month(
    seed: int = 1, months: int = 168, shape: tuple[int, int] = (96, 128), daily: bool = False
) -> Iterator[tuple[xr.Dataset, pd.DataFrame]]:
    """Simulate the demo ocean month by month.

    Args:
        seed: of the flow, the stratification, the sea floor and the weather.
        months: number of months from January 1993 on; a shorter run is the start of a longer one.
        shape: rows (latitude) and columns (longitude) of 1/12 degree.
        daily: the days that a month is the mean of, in place of the month.

    Yields:
        Canonical field dataset: `temperature` (potential, °C) and `salinity` (practical) `(time,
        depth, latitude, longitude)`; `sea_level` and `mixed_layer_depth (time, latitude,
        longitude)`, m; all float32, NaN outside the ocean. `ocean (depth, latitude, longitude)`
        and `bathymetry (latitude, longitude)`, m. The time of a month is its first day, as in the
        files of GLORYS12. And the casts of its floats, a row per value: `platform, cycle, time,
        latitude, longitude, depth` (m), `temperature` (°C, in situ), `salinity`.

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
    coriolis = 2 * 7.292e-5 * np.sin(np.radians(latitude.mean()))

    generators = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(5)]
    parameters = _draw_parameters(generators[0])
    bathymetry, openness = sea_floor(shape, spacing, generators[1])
    ocean = DEPTH[:, None, None] < bathymetry
    sea = ocean[0]
    north = (np.arange(rows) - parameters["jet_place"] * rows)[:, None] * spacing[0]
    north = np.broadcast_to(north, shape)[sea]
    water = Water(parameters, DEPTH, bathymetry[sea], openness[sea], north, coriolis)
    states = zip(
        flow(shape, spacing, coriolis, parameters, generators[2]),
        weather(shape, spacing, generators[3]),
        strict=True,
    )
    area = STEP**2 * rows * columns * math.cos(math.radians(latitude.mean()))
    fleet = Fleet(bathymetry, spacing, area, generators[4])
    number = np.full(shape, -1)  # of the column of each cell
    number[sea] = np.arange(sea.sum())
    static = _static(ocean, bathymetry, latitude, longitude, identity(seed, shape))
    with ThreadPoolExecutor(1) as thread:  # simulates a day ahead
        upcoming = thread.submit(next, states)
        for month in range(months):
            days, casts = [], []
            for day in range(DAYS):
                (flowing, blowing), upcoming = upcoming.result(), thread.submit(next, states)
                date = month % 12 + (day + 0.5) / DAYS
                days.append(water.day(date, flowing.at(sea), blowing.at(sea)))
                fleet.drift(flowing.streamfunction[1], INTERVAL)
                casts.append(_casts(fleet, month * DAYS + day, water, days[-1], number))
            if not daily:
                days = [tuple(np.mean(parts, axis=0) for parts in zip(*days, strict=True))]
            days = [water.settled(*day) for day in days]
            fields = _labelled(days, month, daily, static)
            yield fields, _placed(pd.concat(casts), latitude, longitude)


def _casts(fleet: Fleet, day: int, water: Water, state, number: np.ndarray) -> pd.DataFrame:
    """The casts of the floats that are at the surface on a day."""
    floats = fleet.surfaced(day)
    columns = number[fleet.cells(floats)]
    floats, columns = floats[columns >= 0], columns[columns >= 0]
    warm, salty, _ = state
    water.settle(warm, salty, columns)
    wet = water.wet[:, columns]
    measured = {
        name: np.where(wet, values, np.nan)
        for name, values in water.in_situ(warm[:, columns], salty[:, columns]).items()
    }
    return fleet.measure(floats, measured, DEPTH).assign(time=_date(day))


def _date(day: int) -> np.datetime64:
    """Date of a day of the simulation: the 3rd, 8th, … 28th of a month."""
    month = np.datetime64("1993-01", "M") + day // DAYS
    return month.astype("datetime64[ns]") + (day % DAYS * 5 + 2) * np.timedelta64(1, "D")


def _placed(casts: pd.DataFrame, latitude: np.ndarray, longitude: np.ndarray) -> pd.DataFrame:
    """Casts with latitude and longitude in place of row and column."""
    casts["latitude"] = latitude[0] + STEP * casts.pop("row")
    casts["longitude"] = longitude[0] + STEP * casts.pop("column")
    order = "platform", "cycle", "time", "latitude", "longitude", "depth"
    return casts[[*order, "temperature", "salinity"]].reset_index(drop=True)


def _static(ocean, bathymetry, latitude, longitude, attributes) -> xr.Dataset:
    """What all dates share."""
    axes = {
        "depth": (DEPTH, {"axis": "Z", "units": "m", "positive": "down"}),
        "latitude": (latitude, {"axis": "Y", "units": "degrees_north"}),
        "longitude": (longitude, {"axis": "X", "units": "degrees_east"}),
    }
    floor = {"standard_name": "sea_floor_depth_below_geoid", "units": "m"}
    return xr.Dataset(
        {
            "ocean": (tuple(axes), ocean, {"long_name": "Sea water"}),
            "bathymetry": (("latitude", "longitude"), bathymetry.astype(np.float32), floor),
        },
        {
            name: (name, values, {"standard_name": name, "long_name": name.capitalize(), **attrs})
            for name, (values, attrs) in axes.items()
        },
        attributes,
    )


def _labelled(days, month: int, daily: bool, static: xr.Dataset) -> xr.Dataset:
    """The fields of a month, or of its days."""
    dates = [_date(month * DAYS + day) for day in range(DAYS)]
    times = dates if daily else [dates[0].astype("datetime64[M]").astype("datetime64[ns]")]
    fields = static.assign_coords(time=("time", times, {"standard_name": "time", "axis": "T"}))
    dims, ocean = ("time", *static["ocean"].dims), static["ocean"].values
    for (name, attributes), states in zip(VARIABLES.items(), zip(*days, strict=True), strict=True):
        deep = states[0].ndim == 2
        where = ocean if deep else ocean[0]
        values = np.full((len(states), *where.shape), np.nan, np.float32)
        values[..., ocean[0]] = np.stack(states)
        values[:, ~where] = np.nan
        fields[name] = dims if deep else (dims[0], *dims[2:]), values, attributes
    return fields


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

    parameters: dict[str, Any] = {
        "interfaces": (about(350.0, 0.1), about(1100.0, 0.08)),
        "shear": (about(1.6, 0.15), about(-0.5, 0.15), 0.0),
        "jet": (about(33.0, 0.12), about(14.0, 0.12), 2.0),
        "jet_place": generator.uniform(0.42, 0.58),
        "abyss": about(2.0, 0.1),
        "upper": (about(10.5, 0.1), about(145.0, 0.08), about(74.0, 0.08)),
        "main": (about(2.0, 0.1), about(560.0, 0.1), about(330.0, 0.1)),
        "spice": (about(1.1, 0.2), about(380.0, 0.15), about(150.0, 0.15)),
        "front": (about(3.0, 0.15), about(260.0, 0.15)),
        "season": about(4.0, 0.12),
        "winter": about(130.0, 0.15),
    }
    return parameters | {"gravity": reduced_gravity(parameters)}
