"""Recognise what a gridded file holds, whatever its names, signs, units and order.

A file says what its variables are by CF attributes; where it does not, the names in use decide.
Both are written in small tables, in the order in which they are trusted. `arrange` applies them
and hands back temperature alone, in the canonical order of `ocean_lib.fields`, its values lazy.
Coordinates are small and are read; what cannot be recognised is refused, with the remedy.
"""

import numpy as np
import xarray as xr

from ocean_lib.names import (
    AXES,
    CELSIUS,
    CURVED,
    DIMS,
    IN_SITU,
    KELVIN,
    METRES,
    NAMES,
    NOMINAL_YEAR,
    POTENTIAL,
    SAME,
    STANDARD_NAMES,
)

__all__ = ["arrange", "order_longitudes", "take"]


def arrange(dataset):
    """Temperature of an opened dataset, decoded or raw, in canonical names, order, signs and units.

    Returns a dataset with `temperature (time, depth, latitude, longitude)` and no ocean yet; times
    stand as in the file. A section (one dimension of stations) becomes a single row at its mean
    latitude, and keeps `station_latitude (longitude)`.

    Raises: ValueError: no temperature, an axis that is missing or unusable, an unknown unit
    """
    try:
        dataset = xr.decode_cf(dataset, decode_timedelta=False)
    except ValueError as error:
        raise ValueError(
            f"its dates cannot be decoded ({error}); write them as days since a date"
        ) from error
    name, kind = _temperature(dataset)
    variable = dataset[name]
    latitude, longitude = (_axis(dataset, variable, axis) for axis in ("latitude", "longitude"))
    for axis, found in (("latitude", latitude), ("longitude", longitude)):
        if found is None:
            raise ValueError(
                f"{name} {variable.dims} has no {axis} among {list(dataset.variables)}; "
                f"give the coordinate standard_name {axis!r}"
            )
    time = _dates(_axis(dataset, variable, "time"), variable)
    depth = _depths(_axis(dataset, variable, "depth"), variable, kind)
    extra = {}
    if 2 in (latitude.ndim, longitude.ndim):
        latitude, longitude = _rows_and_columns(*xr.broadcast(latitude, longitude))
    elif latitude.ndim and latitude.dims == longitude.dims:
        if np.unique(np.round(longitude.values, 4)).size < longitude.size:
            raise ValueError(
                f"stations share a longitude ({longitude.values}); keep one station for each"
            )
        extra = {"station_latitude": ("longitude", latitude.values.astype("float64"))}
        latitude = xr.Variable((), latitude.values.mean())

    axes = dict(zip(DIMS, (time, depth, latitude, longitude), strict=True))
    names = {axis.dims[0]: dim for dim, axis in axes.items() if axis.ndim}
    lazy = variable if variable.chunks is not None else variable.chunk("auto")
    data = lazy.drop_vars(list(variable.coords))
    for dim in set(data.dims) - set(names):
        if data.sizes[dim] > 1:
            raise ValueError(
                f"dimension {dim} of {name} holds {data.sizes[dim]} fields, limit 1; "
                f"choose one with .isel({dim}=0)"
            )
        data = data.squeeze(dim)
    data = data.rename({old: new for old, new in names.items() if old != new})
    data = data.expand_dims([dim for dim in DIMS if dim not in data.dims]).transpose(*DIMS)
    if offset := _zero_celsius(variable):
        data = data - offset
    data = data.astype("float32").drop_encoding()
    data.attrs = {
        # At 0 m in-situ and potential temperature are the same.
        "standard_name": IN_SITU if kind == "in situ" else POTENTIAL,
        "units": "degrees_C",
        "long_name": str(variable.attrs.get("long_name", "sea water temperature")),
    }
    fields = data.to_dataset(name="temperature").assign_attrs(dataset.attrs)
    coords = {}
    for dim, attrs in (
        ("time", {"axis": "T", **time.attrs}),
        ("depth", {"axis": "Z", "units": "m", "positive": "down"}),
        ("latitude", {"axis": "Y", "units": "degrees_north"}),
        ("longitude", {"axis": "X", "units": "degrees_east"}),
    ):
        values = np.atleast_1d(axes[dim].values)
        values = values if dim == "time" else values.astype("float64")
        repeated = dim in ("depth", "latitude") and np.unique(values).size < values.size
        if dim != "time" and not np.isfinite(values).all() or repeated:
            raise ValueError(
                f"{dim} holds missing or repeated values, {values}; every level, row "
                "and column needs a finite coordinate of its own"
            )
        coords[dim] = (dim, values, {"standard_name": dim} | attrs)
    fields = fields.assign_coords(coords | extra)
    fields = take(fields, "depth", np.argsort(fields.depth.values))
    fields = take(fields, "latitude", np.argsort(fields.latitude.values))
    index, values = order_longitudes(fields.longitude.values)
    fields = take(fields, "longitude", index)
    return fields.assign_coords(longitude=("longitude", values, fields.longitude.attrs))


def take(fields, dim, index):
    """`isel`, by a slice where the index is one, so that only what is kept is read from disk."""
    index = np.asarray(index)
    steps = np.unique(np.diff(index))
    if index.size == 1 or steps.size == 1 and abs(steps[0]) == 1:
        step = int(steps[0]) if steps.size else 1
        stop = int(index[-1]) + step
        index = slice(int(index[0]), stop if stop >= 0 else None, step)
    return fields.isel({dim: index})


def order_longitudes(longitude, west=None, east=None):
    """Index that makes longitudes ascend without a break, and their values, degrees.

    From `west` eastward to `east`; without them all columns, from the widest gap on or, round the
    globe, from the date line. The first value lies in [-180, 180). A repeated column is left out.
    """
    width = 360 - 2 * SAME
    if west is None:
        ring = np.unique(np.round(np.mod(longitude, 360), 4) % 360)
        gaps = np.diff(np.append(ring, ring[0] + 360))
        broken = gaps.max() > 1.5 * np.median(gaps)
        west = ring[(gaps.argmax() + 1) % ring.size] if broken else -180.0
    else:
        width = (east - west) % 360 or width
    offset = np.mod(longitude - west + SAME, 360) - SAME
    index = np.argsort(offset, kind="stable")
    index = index[offset[index] <= width + SAME]
    index = index[np.diff(offset[index], prepend=-np.inf) > SAME]
    # Whole turns are added to the file's own values, which stay exact.
    values = longitude[index] + 360 * np.round((west + offset - longitude)[index] / 360)
    if values.size:
        values = values - 360 * np.floor((values[0] + 180 + SAME) / 360)
    return index, values


def _temperature(dataset):
    """Name of the temperature variable, and its kind: potential, in situ or surface."""
    found = []
    for name, variable in dataset.data_vars.items():
        standard_name = variable.attrs.get("standard_name")
        table, key = (STANDARD_NAMES, standard_name) if standard_name else (NAMES, name.lower())
        kind = next((kind for kind, names in table.items() if key in names), None)
        if kind is None or variable.ndim < 2 or variable.dtype.kind not in "fiu":
            continue
        if not standard_name and "potential" in str(variable.attrs.get("long_name", "")).lower():
            kind = "potential"
        known = any(name.lower() in names for names in NAMES.values())
        found.append((-variable.ndim, list(NAMES).index(kind), not known, name, kind))
    if not found:
        raise ValueError(
            f"no temperature among the variables {list(dataset.data_vars)}; rename it to thetao "
            f"or give it the standard_name {POTENTIAL} or {IN_SITU}"
        )
    return min(found)[3:]


def _axis(dataset, variable, axis):
    """The coordinate of `variable` along an axis by the most trusted mark, or None."""
    standard_names, units, letter, names = AXES[axis]
    most = 2 if axis in ("latitude", "longitude") else 1
    near = [
        (v.ndim == 0, v.ndim, name)
        for name, v in dataset.variables.items()
        if name != variable.name and set(v.dims) <= set(variable.dims) and v.ndim <= most
    ]
    for fits in (
        lambda name, attrs: attrs.get("standard_name") in standard_names,
        lambda name, attrs: str(attrs.get("units", "")).lower() in units,
        lambda name, attrs: name.lower() in names,
        lambda name, attrs: attrs.get("axis") == letter,
    ):
        if matches := [key for key in near if fits(key[2], dataset[key[2]].attrs)]:
            return dataset[min(matches)[2]]
    return None


def _dates(axis, variable):
    """Dates, datetime64[ns]; a monthly climatology gets mid-month dates of a nominal year."""
    remedy = "set it with .expand_dims(time=[numpy.datetime64('2005-07-02', 'ns')])"
    if axis is None:
        raise ValueError(f"{variable.name} {variable.dims} has no time axis, needs 1; {remedy}")
    values, attrs = np.atleast_1d(axis.values), {}
    if values.dtype.kind == "O" and hasattr(values[0], "calendar"):
        # Other calendars keep their day; 30 February becomes the last of the month.
        starts = [np.datetime64(f"{t.year:04d}-{t.month:02d}", "M") for t in values]
        values = np.array(
            [
                min(start.astype("M8[D]") + (t.day - 1), (start + 1).astype("M8[D]") - 1)
                for start, t in zip(starts, values, strict=True)
            ]
        )
    elif (
        values.dtype.kind in "iuf"
        and np.isin(values, np.arange(1, 13)).all()
        and ("month" in f"{axis.name} {axis.attrs.get('units', '')}".lower())
    ):
        first = np.datetime64(f"{NOMINAL_YEAR}-01", "M") + (values.astype(int) - 1)
        start, end = first.astype("M8[ns]"), (first + 1).astype("M8[ns]")
        values = start + (end - start) // 2
        attrs = {"comment": f"monthly climatology, dated in the nominal year {NOMINAL_YEAR}"}
    if values.dtype.kind != "M" or np.isnat(values).any():
        raise ValueError(
            f"time {axis.name} holds {values[:3]} (units {axis.attrs.get('units')!r}), not dates; "
            "give it units such as 'days since 1950-01-01'"
        )
    return xr.Variable(axis.dims, values.astype("M8[ns]"), attrs)


def _depths(axis, variable, kind):
    """Depth in m, positive down. Sea water lies on one side of 0, so the values tell the sign."""
    if axis is None and kind == "surface":
        return xr.Variable((), 0.0)
    following = axis is not None and str(axis.attrs.get("standard_name", "")).startswith("ocean_s")
    if following or {"s_rho", "sigma"} & set(variable.dims):
        raise ValueError(
            f"{variable.name} {variable.dims} lies on terrain-following levels; interpolate it to "
            "fixed depths first, for example with xgcm or cdo"
        )
    if axis is None:
        raise ValueError(
            f"{variable.name} {variable.dims} has no depth axis, needs 1; give it a coordinate "
            "depth in m, or for a single level .expand_dims(depth=[0.5])"
        )
    units = str(axis.attrs.get("units", "")).strip().lower()
    if units not in METRES:
        raise ValueError(
            f"{axis.name} has units {units!r}, must be m or cm; convert them (pressure by "
            "gsw.z_from_p)"
        )
    metres = axis.variable.astype("float64") * METRES[units]
    if (metres < 0).any() and (metres > 0).any():
        raise ValueError(
            f"{axis.name} runs from {float(metres.min()):g} to {float(metres.max()):g} m, on both "
            "sides of 0; keep the levels below the surface"
        )
    return abs(metres)


def _rows_and_columns(latitude, longitude):
    """1-D latitude and longitude of a 2-D pair whose rows and columns are straight."""
    y, x = latitude.dims
    if np.ptp(latitude.values.mean(0)) > np.ptp(latitude.values.mean(1)):
        y, x = x, y
    rows = latitude.transpose(y, x).values.astype("float64")
    columns = longitude.transpose(y, x).values.astype("float64")
    columns = columns[0] + np.mod(columns - columns[0] + 180, 360) - 180
    bends = [np.ptp(rows, axis=1).max(), np.ptp(columns, axis=0).max()]
    steps = [
        np.median(abs(np.diff(rows[:, 0]))) if len(rows) > 1 else 1.0,
        np.median(abs(np.diff(columns[0]))) if columns.shape[1] > 1 else 1.0,
    ]
    if all(bend <= CURVED * step for bend, step in zip(bends, steps, strict=True)):
        return (
            xr.Variable((y,), np.median(rows, axis=1)),
            xr.Variable((x,), np.median(columns, axis=0)),
        )
    raise ValueError(
        f"the grid is curved: latitude varies by {bends[0]:.3g}° along a row and longitude by "
        f"{bends[1]:.3g}° along a column, limit {CURVED:g} of a grid step; regrid it to latitude "
        "and longitude first, for example `cdo remapbil,r360x180`"
    )


def _zero_celsius(variable):
    """What is subtracted to have °C. A missing unit is °C: the values are checked afterwards."""
    given = str(variable.attrs.get("units", "degC"))
    units = given.lower().replace("_", "").replace(" ", "").replace(".", "")
    if units not in CELSIUS + KELVIN:
        raise ValueError(
            f"{variable.name} has units {given!r}, must be °C or K; convert the values and set "
            "units to 'degC'"
        )
    return 273.15 if units in KELVIN else 0.0
