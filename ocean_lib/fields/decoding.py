"""Numbers as stored → values, where the conventions ask for more than xarray does.

xarray applies fill, scale, offset and sign. A variable may also say between which numbers its
values are valid (`valid_range`, `valid_min`, `valid_max`); what lies outside is missing. By the
NetCDF User's Guide the limits are of the type that is stored, before scaling; floating limits of
packed integers are meant after it. Limits of any other type say nothing.
"""

import numpy as np
import xarray as xr

__all__ = ["decode"]


def decode(dataset, names):
    """The dataset with CF decoding applied, except to dates, and `names` missing where invalid.

    Each block stays of the type that is stored until xarray decodes it: nothing is read, and no
    memory is added.
    """
    valid = {name: _only_valid(dataset[name]) for name in names}
    return xr.decode_cf(dataset.assign(valid), decode_times=False, decode_timedelta=False)


def _only_valid(variable):
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
    cut = xr.apply_ufunc(blank, lazy, dask="parallelized", output_dtypes=[dtype])
    return cut.assign_attrs(attrs)


def _limits(variable):
    """Lowest and highest valid number in the type that is stored, or None where there is none."""
    attrs, dtype = variable.attrs, variable.dtype.newbyteorder("=")
    given = attrs.get("valid_range", (attrs.get("valid_min"), attrs.get("valid_max")))
    given = [x.item() if isinstance(x, np.generic) else x for x in np.ravel(given).tolist()]
    numbers = [limit for limit in given if isinstance(limit, (int, float))]
    if len(given) != 2 or not numbers or {"scale_factor", "add_offset"} & set(variable.encoding):
        return None
    if dtype.kind == "f":
        if not any(isinstance(limit, float) for limit in numbers):
            return None
        ends = (-np.inf, np.inf)
    else:
        if dtype.kind == "i" and str(attrs.get("_Unsigned", "")).lower() == "true":
            # The limits are written with the sign of the type, too.
            dtype = np.dtype(f"u{dtype.itemsize}")
            size = 1 << 8 * dtype.itemsize
            given = [x % size if isinstance(x, int) else x for x in given]
        if any(isinstance(limit, float) for limit in numbers):
            scale, offset = float(attrs.get("scale_factor", 1)), float(attrs.get("add_offset", 0))
            given = [x if x is None else (x - offset) / scale for x in given]
            given = given[:: -1 if scale < 0 else 1]
        ends = (np.iinfo(dtype).min, np.iinfo(dtype).max)
    low, high = (end if x is None else x for x, end in zip(given, ends, strict=True))
    if dtype.kind != "f":
        low, high = (int(np.clip(np.rint(x), *ends)) for x in (low, high))
    return None if (low, high) == ends else (dtype.type(low), dtype.type(high))
