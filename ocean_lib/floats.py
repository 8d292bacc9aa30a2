"""Profiles → observations on a field's grid, with an error that a month and a cell deserve.

A profile is a snapshot of one place, a cell of a monthly field a mean: what lies between is the
error of *representativeness*, and for temperature it is far larger than the instrument's.  It is
estimated from the profiles themselves, level by level: half of the mean square of the difference
between two of them less than `NEAR` km and `SOON` days apart, of departures from the climatology.
Where there are too few such pairs it is `USUAL` of the field's own standard deviation there.

In a cell the profiles of a month are averaged with the inverse of their variances as weights; the
error of the average is that of independent errors.

Reference: Oke & Sakov 2008, doi 10.1175/2007JTECHO558.1 (representation error).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from . import profiles
from .anomalies import climatology
from .dataset import named, sphere
from .profiles import USED
from .whole import whole

__all__ = ["assemble", "beside", "cells", "observe", "prepare", "representativeness", "write"]

NEAR, SOON = 25.0, 31.0  # km, days
PAIRS = 30  # of a level, at least
MOST = 20000  # profiles that pairs are sought among
USUAL = 0.4
EARTH = 6371.0  # km


def cells(table: xr.Dataset, statistics: xr.Dataset, times=None) -> xr.Dataset:
    """The profiles with `row`, `column`, `month` of their cell, and a `status` that knows the grid.

    Args:
        table: of `profiles.open_profiles`, on the levels of `statistics`.
        times: dates of months, to which the profiles are kept; all where None.
    """
    table = table.copy(deep=True)
    status, used = table.status.values, table.status.values == USED
    west = statistics.longitude.values[0]
    longitude = (table.longitude.values - west + 180) % 360 + west - 180
    index = {}
    for dim, place in (("latitude", table.latitude.values), ("longitude", longitude)):
        axis = statistics[dim].values
        half = np.abs(np.diff(axis)).mean() / 2 if len(axis) > 1 else 0.5
        nearest = np.searchsorted((axis[1:] + axis[:-1]) / 2, place)
        outside = ~(np.abs(place - axis[nearest]) <= 1.01 * half)
        status[used & outside & (status == USED)] = "outside the region"
        index[dim] = nearest
    month = table.time.values.astype("datetime64[M]")
    if times is not None:
        other = ~np.isin(month, np.asarray(times, "datetime64[M]"))
        status[used & other & (status == USED)] = "in another month"
    wet = statistics.wet.isel(channel=_levels(statistics)).values
    sea = wet[:, index["latitude"], index["longitude"]].T
    known = np.isfinite(table.temperature.values)
    status[(status == USED) & ~(sea & known).any(1)] = "on land, or below the floor"
    keep = sea & (status == USED)[:, None]
    for name in ("temperature", "error"):
        table[name] = table[name].where(keep)
    table["row"] = ("profile", index["latitude"])
    table["column"] = ("profile", index["longitude"])
    # As the model dates its months: at their first day, or in their middle.
    first = np.datetime64(statistics.attrs["first"], "ns")
    day = first - first.astype("datetime64[M]").astype("M8[ns]")
    table["month"] = ("profile", month.astype("M8[ns]") + day)
    return table


def _levels(statistics: xr.Dataset) -> slice:
    first = statistics.attrs["surfaces"]
    return slice(first, first + statistics.sizes["depth"])


def _departures(table: xr.Dataset, statistics: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Departures from the climatology, and the field's standard deviation, (P, D), °C."""
    rows, columns = table.row.values, table.column.values
    normal = np.empty(table.temperature.shape)
    months, which = np.unique(table.month.values, return_inverse=True)
    for number, month in enumerate(months):
        own = which == number
        field = climatology(statistics, [month])[0, _levels(statistics)]
        normal[own] = field[:, rows[own], columns[own]].T
    deviation = statistics.deviation.isel(channel=_levels(statistics)).values
    return table.temperature.values - normal, deviation[:, rows, columns].T


def representativeness(table: xr.Dataset, statistics: xr.Dataset) -> tuple[xr.DataArray, list[int]]:
    """Standard deviation (P, D) of a profile's value from the mean of its month and cell, °C.

    Returns: also how many pairs each level had; with less than `PAIRS` the usual share serves.
    """
    departure, deviation = _departures(table, statistics)
    found = USUAL * deviation
    used = np.flatnonzero(table.status.values == USED)
    if len(used) > MOST:
        used = np.sort(np.random.default_rng(0).choice(used, MOST, replace=False))
    place = sphere(table.latitude.values[used], table.longitude.values[used]) * EARTH / NEAR
    days = (table.time.values[used] - np.datetime64("1950-01-01")) / np.timedelta64(1, "D")
    points = np.column_stack([place, days / SOON])
    pairs = cKDTree(points).query_pairs(1.0, output_type="ndarray")
    a, b = used[pairs[:, 0]], used[pairs[:, 1]]
    # The same moment tells the instrument's error only.
    apart = np.abs(table.time.values[a] - table.time.values[b]) > np.timedelta64(2, "D")
    difference = departure[a[apart]] - departure[b[apart]]
    numbers = np.isfinite(difference).sum(0)
    for level in np.flatnonzero(numbers >= PAIRS):
        known = difference[:, level][np.isfinite(difference[:, level])]
        # By the median, which a front between two of them does not move.
        found[:, level] = np.sqrt(0.5 * np.median(known**2) / 0.4549)
    return table.temperature.copy(data=found).drop_attrs(), numbers.tolist()


def observe(
    table: xr.Dataset, statistics: xr.Dataset, fields: xr.Dataset | None = None
) -> xr.Dataset:
    """Observations of the months that hold a profile that is used, as `dataset.observe` gives them.

    Args:
        table: of `cells`.
        fields: whose `surface` is seen, and whose months, all of them, are given; where there is.
    Returns:
        `value`, `observed`, `error` and `count` (time, depth, latitude, longitude), `ocean`.
    Raises:
        ValueError: no profile is used.
    """
    used = table.isel(profile=np.flatnonzero(table.status.values == USED))
    if not used.sizes["profile"]:
        raise ValueError("none of the profiles can be used; see why in their status")
    spread, _ = representativeness(table, statistics)
    spread = spread.isel(profile=np.flatnonzero(table.status.values == USED)).values
    months, which = np.unique(used.month.values, return_inverse=True)
    shape = tuple(statistics.sizes[name] for name in ("depth", "latitude", "longitude"))
    weights, sums = np.zeros((2, len(months), *shape))
    count = np.zeros((len(months), *shape), np.int16)
    profile, level = np.nonzero(np.isfinite(used.temperature.values))
    at = which[profile], level, used.row.values[profile], used.column.values[profile]
    weight = 1 / (used.error.values**2 + spread**2)[profile, level]
    np.add.at(weights, at, weight)
    np.add.at(sums, at, weight * used.temperature.values[profile, level])
    np.add.at(count, at, 1)
    seen = count > 0
    dims = ("time", "depth", "latitude", "longitude")
    coordinates = {"time": months} | {name: statistics[name] for name in dims[1:]}
    safe = np.where(seen, weights, 1.0)
    wet = statistics.wet.isel(channel=_levels(statistics)).rename(channel="depth")
    found = xr.Dataset(
        {
            "value": (dims, np.where(seen, sums / safe, np.nan).astype(np.float32)),
            "observed": (dims, seen),
            "error": (dims, np.where(seen, safe**-0.5, 0).astype(np.float32)),
            "count": (dims, count),
            "ocean": wet.drop_vars("channel", errors="ignore").assign_coords(
                {name: statistics[name] for name in dims[1:]}
            ),
        },
        coordinates,
    )
    return found if fields is None else _with_surface(found, fields)


def _with_surface(found: xr.Dataset, fields: xr.Dataset) -> xr.Dataset:
    """The observations in all months of `fields`, under its dates, with the view from above."""
    own, asked = (each.time.values.astype("datetime64[M]") for each in (found, fields))
    found = found.assign_coords(time=own.astype("M8[ns]")).reindex(
        time=asked.astype("M8[ns]"), fill_value={"observed": False, "error": 0.0, "count": 0}
    )
    found = found.assign_coords(time=fields.time)
    if "surface" in fields:
        found["surface"] = fields.surface
        found["surface_observed"] = fields.surface.notnull().drop_attrs()
    return found


def assemble(table: xr.Dataset, observations: xr.Dataset, drawn: xr.Dataset) -> xr.Dataset:
    """One dataset of what was observed, what was made of it, and the profiles themselves.

    Args:
        table: of `cells`.    observations: of `observe`.
        drawn: of `reconstruction.reconstruct`, of the same dates.
    """
    kept = observations[["value", "observed", "error", "count", "ocean"]]
    return xr.merge([drawn, kept, xr.Dataset(beside(table))], join="exact").assign_attrs(
        title="Reconstruction from real profiles", profiles=profiles.told(table)
    )


def prepare(paths, statistics: xr.Dataset, path, show: Callable[[str], None] = print) -> Path:
    """Files of profiles as a file of observations on a model's grid, which is kept if it is there.

    Args:
        path: of the file to write; one made from the same files is left as it is.
    Raises:
        FileExistsError: `path` is something else.    Others as `profiles.open_profiles`.
    """
    path = Path(path)
    made_from = str([(str(each), each.stat().st_size) for each in profiles.files(paths)])
    if path.exists():
        with xr.open_dataset(path, engine="netcdf4") as there:
            if there.attrs.get("made_from") != made_from:
                raise FileExistsError(f"{path} exists, made from something else; move it away")
        return path
    kind = statistics.attrs["standard_name"]
    table = cells(profiles.open_profiles(paths, statistics.depth.values, kind), statistics)
    show(profiles.told(table))
    write(table, observe(table, statistics), path, made_from=made_from)
    return path


def write(table: xr.Dataset, observations: xr.Dataset, path, **attributes: str) -> None:
    """A file that `observations.open_observations` reads, with the profiles beside the grid.

    Args:
        table: of `cells`.    observations: of `observe`.
    """
    compressed = {"zlib": True, "complevel": 1}
    kind = {key: table.temperature.attrs[key] for key in ("standard_name", "units")}
    result = xr.Dataset(
        {
            "temperature": observations.value.assign_attrs(kind),
            "error": observations.error.assign_attrs(
                units="degrees_C", long_name="instrument and representativeness"
            ),
            "count": observations["count"].assign_attrs(units="1", long_name="profiles"),
        }
        | beside(table),
        attrs=attributes | {"profiles": profiles.told(table)},
    )
    encoding = {name: compressed for name in ("temperature", "error", "count")}
    with whole(path) as part:
        result.to_netcdf(part, engine="netcdf4", encoding=encoding)


def beside(table: xr.Dataset) -> dict[str, xr.DataArray]:
    """What a file of results says of the profiles: which, where, when, and what became of them."""
    names = ("platform", "station", "status", "time", "latitude", "longitude")
    return {
        named("profile", name): table[name].drop_vars("profile", errors="ignore") for name in names
    }
