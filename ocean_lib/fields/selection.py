"""Selection of a region, of levels and of a period from canonical fields.

A region is (west, east, south, north) in degrees and may cross the date line; cells whose centres
lie in it are kept. A depth selects its nearest level, at most half a layer away.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ocean_lib.core.messages import shortened
from ocean_lib.fields.axes import order_longitudes, take
from ocean_lib.fields.conventions import Region

__all__ = ["check_region", "nearest_levels", "own_levels", "select_period", "select_region"]


LEVELS = (9.6, 34.4, 65.8, 109.7, 186.1, 318.1, 541.1, 902.3)  # m, modelled by default


def check_region(region: Region | None) -> None:
    """Check that a region is None or (west, east, south, north).

    Args:
        region: degrees.
    Raises:
        ValueError: the region is malformed or empty.
    """
    if region is not None and (
        len(region) != 4 or not region[2] < region[3] or region[0] == region[1]
    ):
        raise ValueError(f"region {tuple(region)} must be (west, east, south, north) in degrees")


def select_region(fields: xr.Dataset, region: Region) -> xr.Dataset:
    """Select the cells whose centres lie in a region.

    Args:
        fields: canonical dataset.
        region: (west, east, south, north), degrees.
    Raises:
        ValueError: the region reaches more than a grid step outside the grid, or holds no cell.
    """
    west, east, south, north = map(float, region)
    width = (east - west) % 360 or 360.0
    longitude, latitude = fields["longitude"].values, fields["latitude"].values
    dx, dy = (np.diff(v).max() if v.size > 1 else 1.0 for v in (longitude, latitude))
    # The west edge of the region, in the turn that lies nearest to the grid.
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


def nearest_levels(fields: xr.Dataset, depths: Sequence[float]) -> np.ndarray:
    """Index of the nearest level to each depth, ascending.

    Args:
        fields: canonical dataset.
        depths: m.
    Raises:
        ValueError: a depth is more than half a layer away, or two depths have the same level.
    """
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
        picked = [round(float(level[i]), 3) for i in index]
        raise ValueError(
            f"depths {list(depths)} m pick the levels {picked} m, "
            "must be at least one, without repetition; leave some out or add one"
        )
    return np.sort(index)


def own_levels(depth: np.ndarray) -> list[float]:
    """Levels of a file of one's own, those nearest to `LEVELS`, each once.

    Args:
        depth: of the file, (D,), m; levels deeper than it by more than half are left out.
    """
    reach = 1.5 * float(np.max(depth))
    nearest = {float(depth[np.abs(depth - want).argmin()]) for want in LEVELS if want <= reach}
    return sorted(nearest) or [float(depth[0])]


def select_period(fields: xr.Dataset, times: tuple) -> xr.Dataset:
    """Select the fields of a period.

    Args:
        fields: canonical dataset.
        times: first and last, inclusive, such as ("1993-01", "2020-12").
    Raises:
        ValueError: the period holds no field.
    """
    try:
        first, last = (str(np.datetime64(str(time))) for time in times)
    except ValueError as error:
        raise ValueError(
            f"times are {shortened(times)}, must be a first and a last date such as '1993-01' "
            f"({error})"
        ) from error
    selected = fields.sel(time=slice(first, last))
    if not selected.sizes["time"]:
        start, end = fields["time"].values[[0, -1]].astype("M8[D]")
        raise ValueError(f"times {first} to {last} hold no field; choose within {start} to {end}")
    return selected
