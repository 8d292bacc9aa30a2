"""What a user asks for of fields: a region, some depths, some times.

A region is (west, east, south, north) in degrees; the cells whose centres lie in it are kept, and
it may cross the date line. A depth stands for its nearest level, at most half a layer away.
"""

import numpy as np

from ocean_lib.fields.axes import order_longitudes, take

__all__ = ["select_period", "check_region", "nearest_levels", "select_region"]


def check_region(region):
    """Raise ValueError unless `region` is None or (west, east, south, north)."""
    if region is not None and (
        len(region) != 4 or not region[2] < region[3] or region[0] == region[1]
    ):
        raise ValueError(f"region {tuple(region)} must be (west, east, south, north) in degrees")


def select_region(fields, region):
    """The cells whose centres lie in a region that the grid covers to within one step."""
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


def nearest_levels(fields, depths):
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


def select_period(fields, times):
    """The fields from the first to the last of two times, inclusive."""
    first, last = times
    chosen = fields.sel(time=slice(str(first), str(last)))
    if not chosen.sizes["time"]:
        start, end = fields["time"].values[[0, -1]].astype("M8[D]")
        raise ValueError(f"times {first} to {last} hold no field; choose within {start} to {end}")
    return chosen
