"""The two simplest methods: climatology and linear interpolation.

Every classical method is called as

    method(observations, statistics, dates=…) -> Dataset of `mean` and `error`, in units

with the observations that the network gets (`observe`), the training statistics
(`Store.statistics`), and the dates that are wanted; observations of the others may be used.
`tune_methods` returns all of them, tuned on validation months.
"""

import numpy as np
import xarray as xr
from torch import Tensor

from ocean_lib.classical.result import Dates, method_result
from ocean_lib.observations.batch import select_statistics, standardise

__all__ = ["climatology", "delaunay_interpolate", "linear"]


def climatology(
    observations: xr.Dataset, statistics: xr.Dataset, dates: Dates = slice(None)
) -> xr.Dataset:
    """Climatology of the training months; its error is the standard deviation around it.

    Args:
        observations: dataset whose dates and cells are used; its values are ignored.
        statistics: climatology and deviation, from `Store.statistics`.
        dates: indices of the dates that are wanted; all by default.
    """
    observations = observations.isel(time=dates)
    levels = statistics.sizes["channel"] - len(statistics.attrs["surfaces"])
    number, rows, columns = (observations.sizes[dim] for dim in ("time", "latitude", "longitude"))
    shape = (number, levels, rows, columns)
    return method_result(np.zeros(shape), np.ones(shape), observations, statistics)


def linear(
    observations: xr.Dataset,
    statistics: xr.Dataset,
    dates: Dates = slice(None),
    factor: Tensor | float = 1.0,
) -> xr.Dataset:
    """Linear interpolation of the anomalies within each level and date; see `delaunay_interpolate`.

    Args:
        observations: from `observe`.
        statistics: climatology and deviation, from `Store.statistics`.
        dates: indices of the dates that are wanted; all by default.
        factor: (D,), error at unobserved cells, in standard deviations; 0 at observed cells.
    """
    observations = observations.isel(time=dates)
    batch = standardise(observations, select_statistics(statistics, observations))
    value, observed = batch["value"].numpy(), batch["observed"].numpy()
    error = np.asarray(factor).reshape(-1, 1, 1) * ~observed
    return method_result(delaunay_interpolate(value, observed), error, observations, statistics)


def delaunay_interpolate(value: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Piecewise linear interpolation on the Delaunay triangles of each level and date.

    Outside the convex hull the nearest observation is used; a level without observations is 0.

    Args:
        value: (T, D, H, W), used where observed.
        observed: bool, (T, D, H, W).
    """
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
        # A cell whose neighbours are all observed is not a vertex of a triangle with hidden cells.
        corner = seen & ~binary_erosion(seen, np.ones((3, 3)))
        points, values, hidden = cells[corner], value[index][corner], cells[~seen]
        try:
            interpolated = LinearNDInterpolator(points, values)(hidden)
        except QhullError:  # fewer than three points, or all on one line
            interpolated = np.full(len(hidden), np.nan)
        outside = np.isnan(interpolated)
        interpolated[outside] = NearestNDInterpolator(points, values)(hidden[outside])
        mean[index][~seen] = interpolated
    return mean
