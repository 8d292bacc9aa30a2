"""Axes of a file: recognise time, depth, latitude and longitude, and convert their values.

CF attributes take precedence over names; among equals, coordinates listed in the `coordinates`
attribute of the variable win. Depth is converted to m, positive down. 2-D latitude and longitude
become 1-D where the rows and columns of the grid are straight. Coordinates are small, so they are
loaded.
"""

from collections.abc import Hashable

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from ocean_lib.core.geometry import wrap_longitude
from ocean_lib.core.messages import shortened
from ocean_lib.fields.conventions import AXES, DEEPEST, DEGREES, METRES, WITHOUT_DEPTH, Region

__all__ = ["depth_in_metres", "find_axis", "horizontal", "order_longitudes", "take"]


ROTATED = {"grid_latitude", "grid_longitude", "projection_x_coordinate", "projection_y_coordinate"}
INDICES = {"x", "y", "xc", "yc", "i", "j"}  # names that may count cells
MAX_BEND = 0.05  # grid steps that a row or column may bend
MOST_DEGREES = 720.0  # beyond two turns a number is no longitude
LONGITUDE_TOLERANCE = 1e-4  # degrees (about 10 m); closer longitudes are the same column
TERRAIN_FOLLOWING = {"s_rho", "sc_r", "sigma", "siglay", "layer"}  # names of dimensions


def find_axis(dataset: xr.Dataset, variable: xr.DataArray, axis: str) -> xr.DataArray | None:
    """Find the coordinate of a variable along an axis; None if there is none.

    Args:
        dataset: the dataset of the variable.
        variable: the gridded variable.
        axis: `time`, `depth`, `latitude` or `longitude`.

    Raises:
        ValueError: two coordinates are as good, and their values differ.
    """
    standard_names, units, letter, names = AXES[axis]
    max_ndim = 2 if axis in ("latitude", "longitude") else 1
    listed = str(variable.encoding.get("coordinates", "")).split()
    candidates = []
    for name, v in dataset.variables.items():
        if name == variable.name or not set(v.dims) <= set(variable.dims) or v.ndim > max_ndim:
            continue
        lower = str(name).lower()
        if str(v.attrs.get("standard_name", "")) in ROTATED:
            continue
        marks = (
            v.attrs.get("standard_name") in standard_names,
            str(v.attrs.get("units", "")).lower() in units,
            v.attrs.get("axis") == letter,
            axis == "depth" and v.attrs.get("positive") in ("up", "down"),
            lower in names,
        )
        if any(marks):
            rank = names.index(lower) if lower in names else len(names)
            order = (v.ndim == 0, marks.index(True), name not in listed, rank, v.ndim, lower, name)
            candidates.append(order)
    if not candidates:
        return None
    best, *others = sorted(candidates)
    for other in others:
        ours, theirs = dataset[best[-1]], dataset[other[-1]]
        alike = other[:-2] == best[:-2]
        # A dimension's own coordinate that is in degrees, beside another.
        alike |= other[-1] in variable.dims and other[1] <= 1 and ours.dims == theirs.dims
        if alike and not np.array_equal(ours.values, theirs.values):
            raise ValueError(
                f"{best[-1]} and {other[-1]} may each be the {axis} of {variable.name}, limit 1; "
                f"name one in its attribute `coordinates`, or leave the other out of the file"
            )
    return dataset[best[-1]]


def depth_in_metres(axis: xr.DataArray | None, variable: xr.DataArray, kind: str) -> xr.Variable:
    """Convert a vertical coordinate to depth in m, positive down.

    All levels lie on one side of 0, so the sign need not be declared.

    Args:
        axis: the coordinate, or None.
        variable: the gridded variable.
        kind: of the variable; those of `WITHOUT_DEPTH` need no coordinate.
    Raises:
        ValueError: terrain-following levels, pressure, level numbers, or an unknown unit.
    """
    if axis is None and kind in WITHOUT_DEPTH:
        return xr.Variable((), 0.0)
    standard_name = "" if axis is None else str(axis.attrs.get("standard_name", ""))
    if TERRAIN_FOLLOWING & {str(dim).lower() for dim in variable.dims} or standard_name.startswith(
        ("ocean_s", "ocean_double", "atmosphere")
    ):
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
    if units not in METRES or not units and "pres" in str(axis.name).lower():
        raise ValueError(
            f"{axis.name} has units {shortened(units)}, must be m or cm; convert them (pressure by "
            "gsw.z_from_p, then interpolate to levels)"
        )
    metres = axis.variable.astype("float64") * METRES[units]
    steps = np.diff(np.sort(np.abs(np.ravel(metres))))
    if not units and axis.size > 1 and (steps == 1).all() and metres[0] == np.floor(metres[0]):
        raise ValueError(
            f"{axis.name} counts its levels from {int(metres[0])} to {int(metres[-1])}, without "
            "units; give it the depths in m, or units 'm' if these are depths"
        )
    low, high = float(metres.min()), float(metres.max())
    if low < 0 < high:
        raise ValueError(
            f"{axis.name} runs from {low:g} to {high:g} m, on both sides of 0; keep one side"
        )
    if max(-low, high) > DEEPEST:
        raise ValueError(
            f"{axis.name} runs from {low:g} to {high:g} m, limit {DEEPEST:g}; set its units ('cm')"
        )
    return abs(metres)


def horizontal(
    latitude: xr.DataArray,
    longitude: xr.DataArray,
    variable: xr.DataArray,
    region: Region | None = None,
) -> tuple[xr.Variable, xr.Variable, dict[Hashable, slice], dict[str, tuple]]:
    """Reduce latitude and longitude to one dimension each.

    A section, with one dimension of stations, becomes a single row at its mean latitude.

    Args:
        latitude: degrees, 0-, 1- or 2-D.
        longitude: degrees, 0-, 1- or 2-D.
        variable: the gridded variable.
        region: on a grid that is curved as a whole, only the cells around the region are kept.
    Returns:
        Latitude and longitude, 1-D or scalar; the window {dimension: slice} of a curved grid; and
        further coordinates, `station_latitude (longitude)` of a section.
    Raises:
        ValueError: a unit other than degrees, a curved grid, a mesh, or stations that share a
            longitude.
    """
    for name, axis in (("latitude", latitude), ("longitude", longitude)):
        if (units := str(axis.attrs.get("units", "")).strip().lower()) not in DEGREES:
            raise ValueError(
                f"{axis.name} has units {shortened(units)}, must be degrees; convert {name}"
            )
        declared = {"units", "standard_name"} & axis.attrs.keys()
        if not declared and str(axis.name).lower() in INDICES:
            raise ValueError(
                f"{axis.name} has no units, so it may count cells; give {name} in degrees, with "
                f"units '{AXES[name][1][0]}'"
            )
    if 2 in (latitude.ndim, longitude.ndim):
        return *_rows_and_columns(*xr.broadcast(latitude, longitude), region), {}
    if not latitude.ndim or latitude.dims != longitude.dims:
        return latitude.variable, longitude.variable, {}, {}
    attrs = variable.attrs
    if "mesh" in attrs or "unstructured" in str(attrs.get("CDI_grid_type", "")):
        raise ValueError(
            f"{variable.name} {variable.dims} lies on the {latitude.size} nodes of a mesh; "
            f"{_regrid(latitude.values, longitude.values)}"
        )
    if np.unique(np.round(longitude.values, 4)).size < longitude.size:
        raise ValueError(
            f"stations share a longitude ({longitude.values}); keep one station for each"
        )
    stations = {"station_latitude": ("longitude", latitude.values.astype("float64"))}
    return xr.Variable((), latitude.values.mean()), longitude.variable, {}, stations


def _rows_and_columns(latitude, longitude, region) -> tuple[xr.Variable, xr.Variable, dict]:
    """Latitude of each row, longitude of each column, and the window of a 2-D grid."""
    y, x = latitude.dims
    if np.ptp(np.nanmean(latitude.values, 0)) > np.ptp(np.nanmean(latitude.values, 1)):
        y, x = x, y
    rows = latitude.transpose(y, x).values.astype("float64")
    columns = longitude.transpose(y, x).values.astype("float64")
    # Models that skip processors on land write the same number for latitude and longitude there.
    blank = ((rows == columns) & np.isin(rows, (-1, 0))) | ~np.isfinite(rows + columns)
    rows, columns = (np.where(blank, np.nan, v) for v in (rows, columns))
    window: dict = {}
    straight, bends = _straight(rows, columns)
    if straight is None and region is not None:
        west, east, south, north = map(float, region)
        inside = (rows >= south) & (rows <= north)
        inside &= np.mod(columns - west, 360) <= ((east - west) % 360 or 360)
        if not inside.any():
            raise ValueError(
                f"region {tuple(region)} holds 0 cells of the grid, latitude {np.nanmin(rows):g} "
                f"to {np.nanmax(rows):g}; choose one inside the data"
            )
        ranges = [np.flatnonzero(inside.any(axis))[[0, -1]] for axis in (1, 0)]
        near = tuple(slice(int(first), int(last) + 1) for first, last in ranges)
        window = dict(zip((y, x), near, strict=True))
        straight, bends = _straight(rows[near], columns[near])
    if straight is None:
        raise ValueError(
            f"the grid is curved: latitude varies by {bends[0]:.3g}° along a row and longitude by "
            f"{bends[1]:.3g}° along a column, limit {MAX_BEND:g} of a grid step; choose a region "
            f"where rows and columns are straight, or "
            f"{_regrid(rows, columns)}"
        )
    return xr.Variable((y,), straight[0]), xr.Variable((x,), straight[1]), window


def _regrid(latitude: np.ndarray, longitude: np.ndarray) -> str:
    """The remedy for a grid without rows and columns, at about its own resolution."""
    spans = [float(np.nanmax(axis) - np.nanmin(axis)) for axis in (latitude, longitude)]
    step = np.sqrt(max(spans[0] * spans[1], 1e-6) / latitude.size)
    size = f"r{round(360 / step)}x{round(180 / step)}"
    return f"regrid it to latitude and longitude first, for example `cdo remapbil,{size}`"


def _straight(rows, columns):
    """Latitude of each row and longitude of each column, or None if they bend; and the bends."""
    first = np.take_along_axis(columns, np.isfinite(columns).argmax(0)[None], 0)
    columns = wrap_longitude(columns, first)
    latitude, longitude = np.nanmedian(rows, axis=1), np.nanmedian(columns, axis=0)
    bends = [
        (np.nanmax(rows, axis=1) - np.nanmin(rows, axis=1)).max(),
        (np.nanmax(columns, axis=0) - np.nanmin(columns, axis=0)).max(),
    ]
    differences = np.diff(latitude), wrap_longitude(np.diff(longitude))
    steps = [np.median(abs(step)) if step.size else 1.0 for step in differences]
    straight = all(bend <= MAX_BEND * step for bend, step in zip(bends, steps, strict=True))
    return (latitude, longitude) if straight else None, bends


def take(fields: xr.Dataset, dim: str, index: ArrayLike) -> xr.Dataset:
    """Select indices as `isel` does, by a slice where possible, which reads less from disk.

    Args:
        fields: lazy dataset.
        dim: name of a dimension.
        index: along the dimension.
    """
    index = np.asarray(index)
    steps = np.unique(np.diff(index))
    if index.size == 1 or steps.size == 1 and abs(steps[0]) == 1:
        step = int(steps[0]) if steps.size else 1
        stop = int(index[-1]) + step
        return fields.isel({dim: slice(int(index[0]), stop if stop >= 0 else None, step)})
    return fields.isel({dim: index})


def order_longitudes(
    longitude: np.ndarray, west: float | None = None, east: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Make longitudes ascend without a break; columns repeated after a turn are left out.

    Args:
        longitude: (X,) degrees.
        west: first longitude; by default after the widest gap, or the date line on a global grid.
        east: last longitude; by default all columns are kept.
    Returns:
        Index into `longitude`, and the ordered values; the first lies in [-180, 180).
    Raises:
        ValueError: two columns have the same longitude, or one is out of range.
    """
    known = longitude[np.isfinite(longitude)]
    if not known.size:
        raise ValueError("longitude holds 0 values, needs 1; correct it")
    again = known.size - np.unique(known).size  # ORCA grids hold a few columns at both ends
    cyclic = 2 * again <= known.size and np.array_equal(known[:again], known[known.size - again :])
    if not cyclic or known.size and np.abs(known).max() > MOST_DEGREES:
        raise ValueError(
            f"longitude holds {again} repeated values, limit 0, and "
            f"runs from {known.min():g} to {known.max():g}, limit ±{MOST_DEGREES:g}; correct it"
        )
    width = 360 - 2 * LONGITUDE_TOLERANCE
    if west is None:
        ring = np.unique(np.round(np.mod(longitude, 360), 4) % 360)
        gaps = np.diff(np.append(ring, ring[0] + 360))
        broken = gaps.max() > 1.5 * np.median(gaps)
        west = ring[(gaps.argmax() + 1) % ring.size] if broken else -180.0
    else:
        width = (east - west) % 360 or width
    offset = np.mod(longitude - west + LONGITUDE_TOLERANCE, 360) - LONGITUDE_TOLERANCE
    index = np.argsort(offset, kind="stable")
    index = index[offset[index] <= width + LONGITUDE_TOLERANCE]
    index = index[np.diff(offset[index], prepend=-np.inf) > LONGITUDE_TOLERANCE]
    # Adding whole turns keeps the values of the file exact.
    values = longitude[index] + 360 * np.round((west + offset - longitude)[index] / 360)
    if values.size:
        values = values - 360 * np.floor((values[0] + 180 + LONGITUDE_TOLERANCE) / 360)
    return index, values
