"""Decoding of stored numbers, including the valid ranges that xarray ignores.

xarray applies fill value, scale, offset and sign. A variable may also declare the range of its
valid values (`valid_range`, `valid_min`, `valid_max`); values outside are missing. According to the
NetCDF User's Guide the limits have the stored type and apply before scaling; floating-point limits
of packed integers apply after it. Limits of any other type are ignored.

A missing value may be declared in another type than its variable's, such as double beside float or
text: it is converted, since xarray compares it as it stands. One that the stored type cannot hold
is refused.
"""

from collections.abc import Hashable, Iterable

import numpy as np
import xarray as xr

from ocean_lib.core.messages import shortened

__all__ = ["decode"]


def decode(dataset: xr.Dataset, names: Iterable[Hashable]) -> xr.Dataset:
    """Apply CF decoding, except to dates, and mask invalid values.

    The result is lazy, and blocks keep their stored type until xarray decodes them, so masking
    needs no extra memory.

    Args:
        dataset: raw or decoded.
        names: variables whose invalid values become missing.
    Raises:
        ValueError: a missing value, scale or offset is no number of a usable type.
    """
    valid = {name: _only_valid(_in_stored_type(dataset[name])) for name in names}
    for coordinate in dataset.coords.values():
        _in_stored_type(coordinate)  # refuses attributes that cannot be used
    return xr.decode_cf(dataset.assign(valid), decode_times=False, decode_timedelta=False)


def _in_stored_type(variable: xr.DataArray) -> xr.DataArray:
    """The variable with its missing values in the stored type, and scale and offset as numbers."""
    attrs, dtype = dict(variable.attrs), variable.dtype.newbyteorder("=")
    for name in ("_FillValue", "missing_value"):
        if name in attrs:
            values = [_number(variable, name, value) for value in np.ravel(attrs[name])]
            stored = [_stored(variable, name, value, dtype) for value in values]
            attrs[name] = stored[0] if len(stored) == 1 else np.array(stored)
    if "_FillValue" in attrs and "missing_value" in attrs and np.size(attrs["missing_value"]) == 1:
        if attrs["missing_value"] == attrs["_FillValue"]:
            del attrs["missing_value"]
    for name in ("scale_factor", "add_offset"):
        if name in attrs:
            attrs[name] = _number(variable, name, attrs[name])
            if (
                np.size(attrs[name]) != 1
                or not np.isfinite(attrs[name])
                or (name == "scale_factor" and attrs[name] == 0)
            ):
                raise ValueError(
                    f"{variable.name} has {name} {attrs[name]}, must be one number other than 0; "
                    "correct it"
                )
    changed = variable.copy(deep=False)
    changed.attrs = attrs
    return changed


def _number(variable: xr.DataArray, name: str, value):
    """A number that an attribute states, perhaps as text.

    Raises:
        ValueError: the text is no number.
    """
    if not isinstance(value, (str, bytes)):
        return value
    try:
        return float(value)
    except ValueError as error:
        raise ValueError(
            f"{variable.name} has {name} {shortened(str(value))}, which is no number; write it as "
            "a number"
        ) from error


def _stored(variable: xr.DataArray, name: str, value, dtype: np.dtype):
    """A missing value in the stored type.

    Raises:
        ValueError: an integer type cannot hold it.
    """
    if dtype.kind not in "iu":
        return dtype.type(value)
    ends = np.iinfo(dtype)
    size = 1 << 8 * dtype.itemsize
    if not np.isfinite(value) or value != np.floor(value) or not ends.min <= value < size:
        raise ValueError(
            f"{variable.name} holds {dtype} and has {name} {value:g}, which {dtype} cannot hold; "
            "declare the stored number"
        )
    value = int(value)
    if value > ends.max:  # written as an unsigned number of the same bits
        value -= size
    return dtype.type(value)


def _only_valid(variable: xr.DataArray) -> xr.DataArray:
    """Replace invalid values of a packed variable by its fill value."""
    limits = _limits(variable)
    if limits is None:
        return variable
    low, high = limits
    dtype = variable.dtype.newbyteorder("=")
    attrs = dict(variable.attrs)
    if dtype.kind == "f":
        fill = np.nan
    else:
        outside = low - 1 if low > np.iinfo(low.dtype).min else high + 1
        fill = attrs.get("_FillValue", attrs.get("missing_value", outside))
        fill = attrs["_FillValue"] = np.asarray(fill).astype(low.dtype).astype(dtype).flat[0]

    def blank(block):
        number = block.astype(low.dtype, copy=False)
        return np.where((number >= low) & (number <= high), block, fill).astype(dtype, copy=False)

    lazy = variable if variable.chunks is not None else variable.chunk("auto")
    blanked = xr.apply_ufunc(blank, lazy, dask="parallelized", output_dtypes=[dtype])
    return blanked.assign_attrs(attrs)


def _limits(variable: xr.DataArray) -> tuple | None:
    """Lowest and highest valid number in the stored type; None if there is no limit."""
    attrs, dtype = variable.attrs, variable.dtype.newbyteorder("=")
    limits = attrs.get("valid_range", (attrs.get("valid_min"), attrs.get("valid_max")))
    limits = [x.item() if isinstance(x, np.generic) else x for x in np.ravel(limits).tolist()]
    numbers = [limit for limit in limits if isinstance(limit, (int, float))]
    if len(limits) != 2 or not numbers or {"scale_factor", "add_offset"} & set(variable.encoding):
        return None
    if dtype.kind == "f":
        if not any(isinstance(limit, float) for limit in numbers):
            return None
        ends = (-np.inf, np.inf)
    else:
        if dtype.kind == "i" and str(attrs.get("_Unsigned", "")).lower() == "true":
            # The limits are also stored as signed integers.
            dtype = np.dtype(f"u{dtype.itemsize}")
            size = 1 << 8 * dtype.itemsize
            limits = [x % size if isinstance(x, int) else x for x in limits]
        if any(isinstance(limit, float) for limit in numbers):
            scale, offset = float(attrs.get("scale_factor", 1)), float(attrs.get("add_offset", 0))
            limits = [x if x is None else (x - offset) / scale for x in limits]
            limits = limits[:: -1 if scale < 0 else 1]
        ends = (np.iinfo(dtype).min, np.iinfo(dtype).max)
    low, high = (end if x is None else x for x, end in zip(limits, ends, strict=True))
    if dtype.kind != "f":
        low, high = (int(np.clip(np.rint(x), *ends)) for x in (low, high))
    return None if (low, high) == ends else (dtype.type(low), dtype.type(high))
