"""Profiles → observations on a field's grid, with the error of a monthly mean of a cell.

A value is moved by the climatology from its day to the mean of its month. Its error variance is
that of the instrument plus that of representativeness (`representativeness`). The profiles of one
cell and month are averaged, weighted by the inverse of their error variances; their errors are
taken as independent.
"""

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from ocean_lib.core.geometry import wrap_longitude
from ocean_lib.core.months import dates_per_month
from ocean_lib.fields.conventions import DIMS, SURFACES, named
from ocean_lib.observations.gross_check import LIMIT, SNAPSHOTS, is_plausible
from ocean_lib.observations.profiles import USED, describe_use
from ocean_lib.observations.representativeness import (
    departures,
    in_month,
    level_channels,
    representativeness,
)

__all__ = ["average_in_cells", "observe_profiles", "to_cells", "to_grid"]


CELL = ["month", "level", "row", "column"]
NO_ROWS = pd.DataFrame({name: [] for name in (*CELL, "value", "error", "count")})
NO_ROWS = NO_ROWS.astype(dict.fromkeys(CELL[1:], int) | {"month": "datetime64[ns]"})


def to_cells(
    table: xr.Dataset, statistics: xr.Dataset, times: ArrayLike | None = None
) -> xr.Dataset:
    """Assign every profile to a cell and month of a grid.

    Args:
        table: of `profiles.open_profiles`, on the levels of `statistics`.
        statistics: of a store or model.
        times: dates (datetime64) of the months to keep; all if None.

    Returns:
        The table with `row`, `column`, `month` (profile) added, possible values in the ocean only
        (`gross_check`), and `status` updated for profiles outside the grid, in other months, on
        land, or far from the climatology.

    Raises:
        ValueError: the fields have several dates a month, and profiles are put into months.
    """
    several = statistics.attrs.get("dates_per_month", 1)
    if times is not None:
        several = max(several, dates_per_month(np.asarray(times)))
    if several > 1.5:
        raise ValueError(
            f"the model has {several:.0f} fields a month, and profiles would be observed on all of "
            "them, limit 1; give a model of monthly fields, or observations gridded by date"
        )
    table = table.copy(deep=True)
    status, used = table.status.values, table.status.values == USED
    middle = statistics.longitude.values[[0, -1]].mean()
    index = {}
    for dim, place in (
        ("latitude", table.latitude.values),
        ("longitude", wrap_longitude(table.longitude.values, middle)),
    ):
        axis = statistics[dim].values
        half = np.abs(np.diff(axis)).mean() / 2 if len(axis) > 1 else 0.5
        nearest = np.searchsorted((axis[1:] + axis[:-1]) / 2, place)
        outside = ~(np.abs(place - axis[nearest]) <= 1.01 * half)
        status[used & outside] = "outside the region"
        index[dim] = nearest
    month = table.time.values.astype("datetime64[M]")
    if times is not None:
        other = ~np.isin(month, np.asarray(times, "datetime64[M]"))
        status[(status == USED) & other] = "in another month"
    water = statistics.wet.isel(channel=level_channels(statistics)).values
    water = water[:, index["latitude"], index["longitude"]].T
    known = np.isfinite(table.temperature.values)
    status[(status == USED) & ~(water & known).any(1)] = "on land, or below the floor"
    keep = water & (status == USED)[:, None]
    for name in ("temperature", "error", "salinity", "salinity_error"):
        table[name] = table[name].where(keep)
    table["row"] = ("profile", index["latitude"])
    table["column"] = ("profile", index["longitude"])
    # Months are dated as the model dates them: on their first day, or in their middle.
    first = np.datetime64(statistics.attrs["first"], "ns")
    day = first - first.astype("datetime64[M]").astype("M8[ns]")
    table["month"] = ("profile", month.astype("M8[ns]") + day)
    for variable in measured_variables(statistics):
        table = _without_gross_errors(table, statistics, variable)
    return table


def _without_gross_errors(table: xr.Dataset, statistics: xr.Dataset, variable: str) -> xr.Dataset:
    """The table without the values that the climatology rules out, and profiles of such values."""
    departure, deviation = departures(table, statistics, variable)
    known = np.isfinite(departure)
    gross = ~is_plausible(departure, deviation, SNAPSHOTS[variable])
    if not gross.any():
        return table
    keep = ~gross
    if variable == "temperature":
        refused = (table.status.values == USED) & (gross.sum(1) > known.sum(1) / 2)
        table.status.values[refused] = "far from the climatology"
        keep &= ~refused[:, None]
    for name in (variable, named(variable, "error")):
        table[name] = table[name].where(xr.DataArray(keep, dims=("profile", "depth")))
    words = f"{gross.sum()} values of {variable} more than {LIMIT:g} standard deviations"
    words += " from the climatology"
    return table.assign_attrs(lost=[*np.atleast_1d(table.attrs["lost"]).tolist(), words])


def measured_variables(statistics: xr.Dataset) -> list[str]:
    """Variables of a model that casts measure: temperature, and salinity if it is practical."""
    if "salinity" not in statistics.attrs["variables"]:
        return ["temperature"]
    practical = statistics.attrs["units"]["salinity"] != "g kg-1"
    return ["temperature", "salinity"] if practical else ["temperature"]


def average_in_cells(
    table: xr.Dataset, statistics: xr.Dataset, variable: str = "temperature"
) -> pd.DataFrame:
    """Weighted means of the profiles, for every month, level and cell that has a value.

    Args:
        table: of `to_cells`.
        statistics: of a store or model.
        variable: of the model, that casts measure.

    Returns:
        Columns `month` (datetime64), `level`, `row`, `column` (in ascending order), `value`,
        `error`, `count`.

    Raises:
        ValueError: no profile is used.
    """
    used = np.flatnonzero(table.status.values == USED)
    if not len(used):
        longitude, latitude = (
            f"{axis[0]:.1f} to {axis[-1]:.1f}°"
            for axis in (statistics.longitude.values, statistics.latitude.values)
        )
        raise ValueError(
            f"none of the profiles can be used: {describe_use(table)}. The model covers longitude "
            f"{longitude} and latitude {latitude}; give profiles from there, or train on a region "
            "that holds these; observations that you put on a grid yourself are accepted from "
            "elsewhere, with a warning"
        )
    spread = representativeness(table, statistics, variable)[0].values[used]
    value = in_month(table, statistics, variable)[used]
    error = table[named(variable, "error")].values[used]
    profile, level = np.nonzero(np.isfinite(value) & np.isfinite(error))
    weight = 1 / (error[profile, level] ** 2 + spread[profile, level] ** 2)
    cell = {name: table[name].values[used][profile] for name in ("month", "row", "column")}
    sums = {"weight": weight, "sum": weight * value[profile, level], "count": 1}
    rows = pd.DataFrame(cell | {"level": level} | sums).groupby(CELL, as_index=False).sum()
    rows["value"], rows["error"] = rows["sum"] / rows.weight, rows.weight**-0.5
    return rows.drop(columns=["weight", "sum"])


def observe_profiles(
    table: xr.Dataset, statistics: xr.Dataset, fields: xr.Dataset | None = None
) -> xr.Dataset:
    """Profiles as observations on the grid, like those of `batch.observe`.

    Args:
        table: of `to_cells`.
        statistics: of a store or model.
        fields: dataset whose dates are returned and whose surface fields, if any, are seen; without
            it, the months that hold a profile are returned.

    Returns:
        `value`, `observed`, `error` and `count` (time, depth, latitude, longitude), `ocean`, those
        of further variables, such as `salinity_value`, observed where casts measure them, and the
        surface fields and where they are seen (time, latitude, longitude) if `fields` has any.

    Raises:
        ValueError: no profile is used.
    """
    observations = to_grid(average_in_cells(table, statistics), statistics)
    measured = measured_variables(statistics)
    for variable in statistics.attrs["variables"][1:]:
        rows = average_in_cells(table, statistics, variable) if variable in measured else NO_ROWS
        found = to_grid(rows, statistics)[["value", "observed", "error"]]
        found = found.reindex(time=observations.time, fill_value={"observed": False, "error": 0.0})
        observations = observations.merge(found.rename({q: named(variable, str(q)) for q in found}))
    if fields is None:
        return observations
    months, wanted = (
        dataset.time.values.astype("M8[M]").astype("M8[ns]") for dataset in (observations, fields)
    )
    observations = observations.assign_coords(time=months).reindex(
        time=wanted,
        fill_value={"count": 0}
        | {named(v, "observed"): False for v in statistics.attrs["variables"]}
        | {named(v, "error"): 0.0 for v in statistics.attrs["variables"]},
    )
    observations = observations.assign_coords(time=fields.time)
    for name in SURFACES:
        if name in fields:
            observations[name] = fields[name]
            observations[named(name, "observed")] = fields[name].notnull().drop_attrs()
    return observations


def to_grid(rows: pd.DataFrame, statistics: xr.Dataset) -> xr.Dataset:
    """The means of `average_in_cells` as observations on the grid, in the months that hold one."""
    months, time = np.unique(rows.month.values, return_inverse=True)
    shape = (len(months), *(statistics.sizes[name] for name in DIMS[1:]))
    cell = time, rows.level.values, rows.row.values, rows.column.values
    value, error = np.full(shape, np.nan, np.float32), np.zeros(shape, np.float32)
    count = np.zeros(shape, np.int16)
    value[cell], error[cell], count[cell] = rows.value, rows.error, rows["count"]
    grid = {name: statistics[name] for name in DIMS[1:]}
    ocean = statistics.wet.isel(channel=level_channels(statistics)).rename(channel="depth")
    arrays = {"value": value, "observed": count > 0, "error": error, "count": count}
    variables = {name: (DIMS, array) for name, array in arrays.items()}
    observations = xr.Dataset(variables, {"time": months} | grid)
    return observations.assign(ocean=ocean.assign_coords(grid))
