"""Profiles → observations on a field's grid, with an error that a month and a cell deserve.

A profile is a snapshot of one place, a cell of a monthly field a mean: what lies between is the
error of *representativeness*, and for temperature it is far larger than the instrument's.  It is
estimated from the profiles themselves, level by level: half of the square of the difference between
two of them less than `NEAR` km and `SOON` days apart, of departures from the climatology, by the
median, as of a normal distribution.
Where there are too few such pairs it is `USUAL` of the field's own standard deviation there.

In a cell the profiles of a month are averaged with the inverse of their variances as weights; the
error of the average is that of independent errors.

Reference: Oke & Sakov 2008, doi 10.1175/2007JTECHO558.1 (representation error).
"""

import numpy as np
import pandas as pd
import xarray as xr
from scipy.spatial import cKDTree

from ocean_lib.core.geometry import sphere
from ocean_lib.observations.profiles import USED
from ocean_lib.store.climatology import harmonics

__all__ = ["average_in_cells", "to_cells", "to_grid", "observe_profiles", "representativeness"]


NEAR, SOON = 25.0, 31.0  # km, days
PAIRS = 30  # of a level, at least
MOST = 20000  # profiles that pairs are sought among
USUAL = 0.4
EARTH = 6371.0  # km


def to_cells(table: xr.Dataset, statistics: xr.Dataset, times=None) -> xr.Dataset:
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
    places = {
        "channel": _levels(statistics),
        "latitude": xr.DataArray(table.row.values, dims="profile"),
        "longitude": xr.DataArray(table.column.values, dims="profile"),
    }
    there = statistics[["harmonic", "deviation"]].isel(places)
    basis = harmonics(table.month.values, statistics.sizes["term"])
    normal = np.einsum("pk,kdp->pd", basis, there.harmonic.transpose("term", "channel", "profile"))
    return table.temperature.values - normal, there.deviation.transpose("profile", ...).values


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


def average_in_cells(table: xr.Dataset, statistics: xr.Dataset) -> pd.DataFrame:
    """A row for every month, level and cell that holds a value: `value`, `error`, `count`.

    Args:
        table: of `cells`.
    Returns:
        Also `month` (datetime64), `level`, `row`, `column`; ascending in this order.
    Raises:
        ValueError: no profile is used.
    """
    used = np.flatnonzero(table.status.values == USED)
    if not len(used):
        raise ValueError("none of the profiles can be used; see why in their status")
    spread = representativeness(table, statistics)[0].values[used]
    temperature, error = table.temperature.values[used], table.error.values[used]
    profile, level = np.nonzero(np.isfinite(temperature))
    weight = 1 / (error[profile, level] ** 2 + spread[profile, level] ** 2)
    rows = pd.DataFrame(
        {
            "month": table.month.values[used][profile],
            "level": level,
            "row": table.row.values[used][profile],
            "column": table.column.values[used][profile],
            "weight": weight,
            "sum": weight * temperature[profile, level],
            "count": 1,
        }
    )
    found = rows.groupby(["month", "level", "row", "column"], as_index=False).sum()
    found["value"], found["error"] = found["sum"] / found.weight, found.weight**-0.5
    return found.drop(columns=["weight", "sum"])


def observe_profiles(
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
    found = to_grid(average_in_cells(table, statistics), statistics)
    return found if fields is None else _with_surface(found, fields)


def to_grid(rows: pd.DataFrame, statistics: xr.Dataset) -> xr.Dataset:
    """The rows of `averages` on the grid, in the months that they hold."""
    months, which = np.unique(rows.month.values, return_inverse=True)
    dims = ("time", "depth", "latitude", "longitude")
    shape = (len(months), *(statistics.sizes[name] for name in dims[1:]))
    at = which, rows.level.values, rows.row.values, rows.column.values
    value, error = np.full(shape, np.nan, np.float32), np.zeros(shape, np.float32)
    count = np.zeros(shape, np.int16)
    value[at], error[at], count[at] = rows.value, rows.error, rows["count"]
    grid = {name: statistics[name] for name in dims[1:]}
    ocean = statistics.wet.isel(channel=_levels(statistics)).rename(channel="depth")
    arrays = {"value": value, "observed": count > 0, "error": error, "count": count}
    found = xr.Dataset(
        {name: (dims, array) for name, array in arrays.items()}, {"time": months} | grid
    )
    return found.assign(ocean=ocean.assign_coords(grid))


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
