"""Dataset that every classical method returns: mean and error in physical units, on the ocean."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import DIMS, named
from ocean_lib.observations.batch import select_statistics
from ocean_lib.store.climatology import climatology_at

__all__ = ["Dates", "method_result", "to_units"]


Dates = Sequence[int] | np.ndarray | slice  # indices of the dates that a method reconstructs


def to_units(
    standardised: np.ndarray,
    observations: xr.Dataset,
    statistics: xr.Dataset,
    *,
    variable: str = "temperature",
    error: bool = False,
) -> xr.DataArray:
    """Convert standardised anomalies of one variable to its units, the inverse of `standardise`.

    Args:
        standardised: (time, levels of all variables, latitude, longitude).
        observations: dataset with the dates, levels, cells and `ocean` of the values.
        statistics: climatology and deviation, from `Store.statistics`.
        variable: the variable to select.
        error: the values are standard deviations, to which no climatology is added.

    Returns:
        (time, depth, latitude, longitude), float32, NaN outside the ocean.
    """
    local = select_statistics(statistics, observations)
    depth = observations.sizes["depth"]
    start = depth * local.attrs["variables"].index(variable)
    first = len(local.attrs["surfaces"]) + start
    inner = slice(first, first + depth)
    value = standardised[:, start : start + depth] * local.deviation.values[inner]
    if not error:
        value = value + climatology_at(local, observations.time.values)[:, inner]
    coordinates = {name: observations[name] for name in DIMS}
    units = {"units": local.attrs["units"][variable]}
    array = xr.DataArray(value.astype(np.float32), coordinates, DIMS, attrs=units)
    return array.where(observations.ocean)


def method_result(
    mean: np.ndarray, error: np.ndarray, observations: xr.Dataset, statistics: xr.Dataset
) -> xr.Dataset:
    """Assemble the dataset that a method returns.

    Args:
        mean: (time, levels of all variables, latitude, longitude), standardised.
        error: standard deviation, as `mean`.
        observations: the dataset that the method was given.
        statistics: climatology and deviation, from `Store.statistics`.

    Returns:
        `mean` and `error` of temperature, `salinity_mean` and `salinity_error` likewise, in units.
    """
    result = {}
    for variable in statistics.attrs["variables"]:
        for name, values in (("mean", mean), ("error", error)):
            result[named(variable, name)] = to_units(
                values, observations, statistics, variable=variable, error=name == "error"
            )
    return xr.Dataset(result)
