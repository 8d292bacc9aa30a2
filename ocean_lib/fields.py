"""What a field is: temperature on latitude, longitude, depth and time, with the ocean beside it.

Every gridded file, whatever its names, signs and units, becomes one canonical `xarray.Dataset`:
`temperature (time, depth, latitude, longitude)`, float32, °C, NaN outside the ocean, and
`ocean (depth, latitude, longitude)`, bool. Times ascend; depth is in m, positive down, ascending;
latitude and longitude ascend, longitude without a break, its west edge in [-180, 180).

What is missing is what the file's own fill says (decoded by xarray on the raw numbers), never a
value such as 0. The ocean is static: a cell counts where it holds a value at all times; cells with
a value at some times only are left out, and counted in `attrs["n_intermittent"]`. Temperature
stays lazy; the ocean costs one pass through the data, which also bounds the values.
"""

from contextlib import ExitStack

import numpy as np
import xarray as xr

from ocean_lib.files import find_files, open_file
from ocean_lib.names import DIMS, IN_SITU, POTENTIAL
from ocean_lib.recognition import arrange, order_longitudes, take

__all__ = ["canonical", "check", "open_fields"]

LOWEST, HIGHEST = -10.0, 45.0  # °C: no sea water lies outside, nor any analysis of it


def open_fields(paths, *, region=None, depths=None, times=None):
    """Open gridded files as one canonical dataset, cut to what is asked for.

    paths: a path, a glob, a folder (searched through) or a list of them; NetCDF or Zarr
    region: (west, east, south, north), degrees; west > east crosses the date line
    depths: depths in m, each giving its nearest level; all levels where None
    times: (first, last), inclusive, such as ("1993-01", "2020-12")

    Raises: FileNotFoundError: nothing lies there · ValueError: a file is no NetCDF or Zarr, holds
    no temperature on a grid, or does not reach what is asked for
    """
    with ExitStack() as on_refusal:
        pieces = []
        for path in find_files(paths):
            dataset = open_file(path)
            on_refusal.callback(dataset.close)
            try:
                piece = arrange(dataset)
                piece = piece if region is None else _within(piece, region)
                piece = piece if depths is None else take(piece, "depth", _levels(piece, depths))
                pieces.append(piece)
                _same_grid(pieces[0], pieces[-1])
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
        fields = _in_time(_join(pieces))
        fields = _with_ocean(fields if times is None else _between(fields, times))
        on_refusal.pop_all()
    return fields


def canonical(dataset):
    """Bring an opened `xarray.Dataset`, decoded or raw, into the canonical form.

    Raises: ValueError: no temperature on a dated grid is recognised, or its values cannot be °C
    """
    return _with_ocean(_in_time(arrange(dataset)))


def check(fields):
    """Raise ValueError unless `fields` is canonical: names, order, types and plausible values."""
    for name, dims in (("temperature", DIMS), ("ocean", DIMS[1:])):
        if name not in fields or fields[name].dims != dims:
            found = fields[name].dims if name in fields else list(fields.data_vars)
            raise ValueError(f"{name} {dims} is needed, found {found}; use fields.canonical")
    temperature, ocean = fields["temperature"], fields["ocean"]
    if temperature.dtype != np.float32 or ocean.dtype != bool:
        raise ValueError(
            f"temperature is {temperature.dtype} and ocean {ocean.dtype}, must be float32 and "
            "bool; use .astype"
        )
    if (name := temperature.attrs.get("standard_name")) not in (POTENTIAL, IN_SITU):
        raise ValueError(f"standard_name {name!r} must be {POTENTIAL} or {IN_SITU}; set it")
    for dim in DIMS:
        values = fields[dim].values
        if dim not in fields.indexes or not (values[:-1] < values[1:]).all():
            raise ValueError(f"{dim} {values[:5]} must ascend; use .sortby({dim!r})")
    if (top := float(fields["depth"][0])) < 0:
        raise ValueError(f"depth {top:g} m lies above 0; make depth positive down")
    always, _, low, high = _survey(temperature)
    _check_values(low, high)
    if differ := int((always != ocean.values).sum()):
        raise ValueError(
            f"ocean and the finite temperatures differ in {differ} cells, limit 0; use "
            "fields.canonical"
        )


def _join(pieces):
    if len(pieces) == 1:
        return pieces[0]
    # They agree within rounding: the first file's grid stands for all.
    grid = {dim: pieces[0][dim] for dim in DIMS[1:]}
    return xr.concat(
        [piece.assign_coords(grid) for piece in pieces],
        "time",
        data_vars="all",
        coords="minimal",
        compat="override",
        join="exact",
        combine_attrs="override",
    )


def _same_grid(first, other):
    """Refuse a file on another grid, or with another kind of temperature, than the first."""
    for dim in DIMS[1:]:
        a, b = first[dim].values, other[dim].values
        if a.shape != b.shape or not np.allclose(a, b, rtol=1e-5, atol=1e-4):
            raise ValueError(
                f"its {dim} ({b.size} from {b[0]:g} to {b[-1]:g}) is not that of the first file "
                f"({a.size} from {a[0]:g} to {a[-1]:g}); open them apart, or give a region and "
                "depths that all files hold"
            )
    a, b = (piece["temperature"].attrs["standard_name"] for piece in (first, other))
    if a != b:
        raise ValueError(f"it holds {b}, the first file {a}; open them apart")


def _within(fields, region):
    """The cells whose centres lie in a region that the grid covers to within one step."""
    if len(region) != 4 or region[2] >= region[3] or region[0] == region[1]:
        raise ValueError(f"region {tuple(region)} must be (west, east, south, north) in degrees")
    west, east, south, north = map(float, region)
    width = (east - west) % 360 or 360.0
    longitude, latitude = fields["longitude"].values, fields["latitude"].values
    dx, dy = (np.diff(v).max() if v.size > 1 else 1.0 for v in (longitude, latitude))
    # The turn of the region's west edge that falls nearest to the grid.
    centre = (longitude[0] + longitude[-1] - width) / 2
    near = west + 360 * np.round((centre - west) / 360)
    ring = longitude[-1] - longitude[0] + dx >= 360 - 1e-3
    if (
        not ring
        and (near < longitude[0] - dx or near + width > longitude[-1] + dx)
        or south < latitude[0] - dy
        or north > latitude[-1] + dy
    ):
        raise ValueError(
            f"region {tuple(region)} reaches outside the data, longitude {longitude[0]:g} to "
            f"{longitude[-1]:g} and latitude {latitude[0]:g} to {latitude[-1]:g}; choose one inside"
        )
    rows = np.flatnonzero((latitude >= south - 1e-4) & (latitude <= north + 1e-4))
    columns, values = order_longitudes(longitude, west, east)
    if not rows.size or not columns.size:
        raise ValueError(
            f"region {tuple(region)} holds {rows.size} rows and {columns.size} columns, needs 1 of "
            f"each; make it wider than the grid step, {dx:g} by {dy:g} degrees"
        )
    fields = take(take(fields, "latitude", rows), "longitude", columns)
    return fields.assign_coords(longitude=("longitude", values, fields["longitude"].attrs))


def _levels(fields, depths):
    """Index of the nearest level to each depth, at most half a layer away."""
    level = fields["depth"].values
    index = [int(abs(level - depth).argmin()) for depth in depths]
    for depth, i in zip(depths, index, strict=True):
        above = level[i] - level[i - 1] if i else np.inf
        below = level[i + 1] - level[i] if i + 1 < level.size else np.inf
        layer = min(above, below) if not 0 < i < level.size - 1 else max(above, below)
        layer = layer if np.isfinite(layer) else max(2.0, 0.2 * level[i])
        if not abs(level[i] - depth) <= layer / 2:
            raise ValueError(
                f"depth {depth:g} m: the nearest level is {level[i]:g} m, more than half a layer "
                f"({layer / 2:g} m) away; choose within {level[0]:g} to {level[-1]:g} m"
            )
    if not index or len(set(index)) < len(index):
        raise ValueError(
            f"depths {list(depths)} m pick the levels {[round(level[i], 3) for i in index]} m, "
            "which must be one or more, each once; leave some out or add one"
        )
    return np.sort(index)


def _in_time(fields):
    fields = fields.sortby("time")
    times = fields["time"].values
    if (same := times[1:] == times[:-1]).any():
        raise ValueError(
            f"time {times[1:][same][0].astype('M8[s]')} stands {int(same.sum())} time(s) too "
            "often, limit 1 field a date; drop one of the files, or use .drop_duplicates('time')"
        )
    return fields


def _between(fields, times):
    first, last = times
    chosen = fields.sel(time=slice(str(first), str(last)))
    if not chosen.sizes["time"]:
        start, end = fields["time"].values[[0, -1]].astype("M8[D]")
        raise ValueError(f"times {first} to {last} hold no field; choose within {start} to {end}")
    return chosen


def _survey(temperature):
    """Cells with a value always, and at some time; the lowest and highest value; in one pass."""
    import dask

    finite = np.isfinite(temperature)
    low, high = temperature.fillna(np.inf).min(), temperature.fillna(-np.inf).max()
    always, ever, low, high = dask.compute(finite.all("time"), finite.any("time"), low, high)
    return always.values, ever.values, float(low), float(high)


def _check_values(low, high):
    if low > high:
        raise ValueError("temperature has 0 values, needs 1: all is land; choose sea as well")
    if LOWEST <= low and high <= HIGHEST:
        return
    if not np.isfinite([low, high]).all():
        guess = "infinite values stand in the sea: replace them by the fill value"
    elif 250 < high < 350:
        guess = "they look like kelvin: set the variable's units to 'K'"
    elif high < -200:
        guess = "they look like °C labelled kelvin: set the variable's units to 'degC'"
    elif low > 20 and high < 110:
        guess = "they look like °F: convert them to °C"
    else:
        guess = "a fill value may be undeclared: name it in the attribute _FillValue"
    raise ValueError(
        f"temperatures from {low:g} to {high:g} °C reach outside {LOWEST:g} to {HIGHEST:g} °C; "
        + guess
    )


def _with_ocean(fields):
    """Add the static ocean, and leave temperature only there."""
    temperature = fields["temperature"]
    ocean, ever, low, high = _survey(temperature)
    _check_values(low, high)
    sometimes = int((ever & ~ocean).sum())
    if sometimes > ocean.sum():
        raise ValueError(
            f"{sometimes} cells hold values at some times only, limit {int(ocean.sum())}, the "
            "cells that hold them always; these are observations, not a field: fill the gaps first "
            "or choose times without them"
        )
    fields["ocean"] = (DIMS[1:], ocean, {"long_name": "sea water at all times"})
    fields["temperature"] = temperature.where(fields["ocean"])
    fields["temperature"].attrs = temperature.attrs
    return fields.assign_attrs(n_intermittent=sometimes)
