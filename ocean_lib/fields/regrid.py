"""Regridding from one latitude-longitude grid to another.

On a coarser grid, a cell is the mean of the old cells weighted by the overlapping area (first-order
conservative); on a finer grid, values are interpolated bilinearly between centres. In both cases
the weights are renormalised over the sea cells, and a new cell is missing where less than `WET` of
it is sea.

Reference: Jones 1999, doi 10.1175/1520-0493(1999)127<2204:FASOCR>2.0.CO;2.
"""

import numpy as np
import xarray as xr
import xarray_regrid  # noqa: F401  registers `.regrid`
from numpy.typing import ArrayLike

from ocean_lib.core.geometry import is_ring

__all__ = ["WET", "regrid"]


WET = 0.5  # minimum fraction of sea in a cell


def regrid(
    array: xr.DataArray, latitude: ArrayLike, longitude: ArrayLike, wet: float = WET
) -> xr.DataArray:
    """Regrid an array.

    Args:
        array: (..., latitude, longitude), NaN outside the sea.
        latitude: new grid, degrees, ascending.
        longitude: new grid, degrees, ascending, in any turn; a global array is periodic.
        wet: minimum fraction of sea in a new cell.
    Returns:
        The same dimensions, float32; NaN outside the array.
    """
    latitude, longitude = np.asarray(latitude, float), np.asarray(longitude, float)
    target = xr.Dataset(coords={"latitude": latitude, "longitude": longitude})
    coarser = _step(latitude) > 1.01 * _step(array.latitude.values)
    array = _bordered(array, target) if coarser else array
    sea = array.notnull()
    parts = array.where(sea, 0.0).astype(float), sea.astype(float)
    if coarser:
        choices = {"latitude_coord": "latitude", "skipna": False}
        total, share = (part.regrid.conservative(target, **choices) for part in parts)
    else:
        total, share = (part.regrid.linear(target) for part in parts)
    mean = (total / share.where(share > 0)).where(share >= wet - 1e-9)
    return mean.transpose(*array.dims).astype(np.float32).assign_attrs(array.attrs)


def _bordered(array: xr.DataArray, target: xr.Dataset) -> xr.DataArray:
    """Add missing cells around the array, so that nothing outside it counts as sea."""
    for dim in target.dims:
        axis, step = array[dim].values, _step(array[dim].values)
        if dim == "longitude" and is_ring(axis):
            continue
        beyond = step * np.arange(1, int(_step(target[dim].values) / step) + 2)
        wider = np.concatenate([axis[0] - beyond[::-1], axis, axis[-1] + beyond])
        if dim == "latitude":
            wider = wider[np.abs(wider) + step / 2 <= 90 + 1e-6]
        array = array.reindex({dim: np.union1d(wider, axis)})
    return array


def _step(axis: np.ndarray) -> float:
    """Mean spacing of an axis; 0 for a single value."""
    return float(np.abs(np.diff(axis)).mean()) if len(axis) > 1 else 0.0
