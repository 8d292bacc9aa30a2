"""Baselines: what a model has to beat, through one call and fed just what the model is fed.

    method(observations, statistics) -> Dataset of `mean` and `error` (°C)

`climatology` ignores the observations; `linear` interpolates their anomalies within each level;
`OptimalInterpolation` weighs them by their covariance in space, depth and time, after a regression
on the surface where that is seen; `ReducedSpace` conditions the training months' own patterns on
them.  `tuning.fit` gives all of them, tuned on validation months.
"""

import numpy as np
import xarray as xr
from torch import Tensor

from ocean_lib.fields.conventions import named
from ocean_lib.observations.batch import select_statistics, standardise
from ocean_lib.store.climatology import climatology_at

__all__ = ["climatology", "linear", "restore", "delaunay_interpolate"]


def restore(
    standardised: np.ndarray,
    observations: xr.Dataset,
    statistics: xr.Dataset,
    *,
    variable: str = "temperature",
    error: bool = False,
) -> xr.DataArray:
    """One variable from standardised anomalies of all levels, in its units, NaN outside the ocean.

    Args:
        standardised: (time, levels of all variables, latitude, longitude).
        error: the array holds standard deviations, which have no climatology.
    """
    local = select_statistics(statistics, observations)
    depth = observations.sizes["depth"]
    start = depth * local.attrs["variables"].index(variable)
    inner = slice(local.attrs["surfaces"] + start, local.attrs["surfaces"] + start + depth)
    value = standardised[:, start : start + depth] * local.deviation.values[inner]
    if not error:
        value = value + climatology_at(local, observations.time.values)[:, inner]
    dims = ("time", "depth", "latitude", "longitude")
    coordinates = {name: observations[name] for name in dims}
    units = {"units": local.attrs["units"][variable]}
    array = xr.DataArray(value.astype(np.float32), coordinates, dims, attrs=units)
    return array.where(observations.ocean)


def _result(mean, error, observations, statistics) -> xr.Dataset:
    result = {}
    for variable in statistics.attrs["variables"]:
        given = (observations, statistics)
        result[named(variable, "mean")] = restore(mean, *given, variable=variable)
        result[named(variable, "error")] = restore(error, *given, variable=variable, error=True)
    return xr.Dataset(result)


def climatology(observations: xr.Dataset, statistics: xr.Dataset) -> xr.Dataset:
    """The climatology of the training months; its error is the standard deviation around it."""
    levels = statistics.sizes["channel"] - statistics.attrs["surfaces"]
    sizes = [observations.sizes[name] for name in ("time", "latitude", "longitude")]
    shape = (sizes[0], levels, *sizes[1:])
    return _result(np.zeros(shape), np.ones(shape), observations, statistics)


def linear(
    observations: xr.Dataset, statistics: xr.Dataset, factor: Tensor | float = 1.0
) -> xr.Dataset:
    """Piecewise linear (Delaunay) interpolation of the anomalies at each level and date.

    Outside the hull of the observations the nearest one holds; a level without any keeps its
    climatology.

    Args:
        factor: (D,) error away from observations, standard deviations; at them it is 0.
    """
    batch = standardise(observations, select_statistics(statistics, observations))
    value, observed = batch["value"].numpy(), batch["observed"].numpy()
    error = np.asarray(factor).reshape(-1, 1, 1) * ~observed
    return _result(delaunay_interpolate(value, observed), error, observations, statistics)


def delaunay_interpolate(value: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Linear interpolation of (T, D, H, W) within each level; 0 where a level has no value."""
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
    from scipy.ndimage import binary_erosion
    from scipy.spatial import QhullError

    height, width = value.shape[-2:]
    cells = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1)
    mean = np.where(observed, value, 0.0).astype(value.dtype)
    for index in np.ndindex(value.shape[:2]):
        seen = observed[index]
        if not seen.any() or seen.all():
            continue
        # A point amid observed ones is a corner of no triangle that holds a hidden cell.
        corner = seen & ~binary_erosion(seen, np.ones((3, 3)))
        points, values, hidden = cells[corner], value[index][corner], cells[~seen]
        try:
            found = LinearNDInterpolator(points, values)(hidden)
        except QhullError:  # fewer than three points, or all on one line
            found = np.full(len(hidden), np.nan)
        outside = np.isnan(found)
        found[outside] = NearestNDInterpolator(points, values)(hidden[outside])
        mean[index][~seen] = found
    return mean
