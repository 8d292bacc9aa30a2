"""From one grid of rows and columns to another.

Where the new grid is coarser its cells are means over the cells below them, by the area shared
(first-order conservative); where it is finer, values are bilinear between centres.  Either way only
sea counts: the weights are renormalised over the cells that hold a value, and a new cell of which
less than `WET` is covered by such cells holds none.

Reference: Jones 1999, doi 10.1175/1520-0493(1999)127<2204:FASOCR>2.0.CO;2.
"""

import numpy as np
import xarray as xr
import xarray_regrid  # noqa: F401  registers `.regrid`

from ocean_lib.core.geometry import is_ring

__all__ = ["WET", "regrid"]


WET = 0.5  # least share of a cell that is sea


def regrid(array: xr.DataArray, latitude, longitude, wet: float = WET) -> xr.DataArray:
    """An array (..., latitude, longitude), NaN where there is no sea, on other rows and columns.

    Args:
        latitude, longitude: of the new grid, degrees, ascending.  Longitudes may be given in any
            turn, and those of an array that goes round the globe wrap.
        wet: least share of a new cell that must be covered by sea.
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
    found = (total / share.where(share > 0)).where(share >= wet - 1e-9)
    return found.transpose(*array.dims).astype(np.float32).assign_attrs(array.attrs)


def _bordered(array: xr.DataArray, target: xr.Dataset) -> xr.DataArray:
    """The array amid cells that hold nothing: what lies outside of it is no sea."""
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
    return float(np.abs(np.diff(axis)).mean()) if len(axis) > 1 else 0.0
