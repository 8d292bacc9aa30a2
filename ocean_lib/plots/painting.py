"""Painting of one panel: a field cell by cell, land and coast, observed places.

Land and coast come from the ocean mask, so nothing is downloaded and the coast follows the cells
exactly. Ocean without a value is light grey. Fewer observations than 3 % of the ocean are drawn as
dots, which stay visible where single cells would not.
"""

from typing import Any, NamedTuple

import numpy as np
from cartopy.mpl.geoaxes import GeoAxes
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, QuadMesh
from matplotlib.colors import ListedColormap
from numpy.typing import ArrayLike
from xarray import DataArray

from ocean_lib.plots import projections
from ocean_lib.plots.style import COAST, HIDDEN, LAND, Limits, colour_map

__all__ = [
    "MapBase",
    "cell_positions",
    "coast_lines",
    "dots",
    "is_sparse",
    "map_base",
    "outline",
    "paint",
    "paint_mask",
    "paint_observed",
    "paint_section",
]


SPARSE = 0.03  # fraction of the ocean; fewer observations are drawn as dots


class MapBase(NamedTuple):
    """Background of a map panel."""

    x: np.ndarray  # (rows + 1, columns + 1), corners of the cells on the map
    y: np.ndarray  # same shape as x
    mesh: QuadMesh  # land and ocean
    coast: LineCollection


def coast_lines(x: np.ndarray, y: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Trace the boundary of a mask along the edges of its cells.

    Args:
        x: corners (rows + 1, columns + 1), or edges (columns + 1,).
        y: corners (rows + 1, columns + 1), or edges (rows + 1,).
        mask: (rows, columns), bool.

    Returns:
        (n, 2, 2), two points (x, y) per segment.
    """
    if np.ndim(x) == 1:
        x, y = np.meshgrid(x, y)
    corners = np.stack([x, y], -1)
    row, column = np.nonzero(mask[:, 1:] != mask[:, :-1])
    vertical = np.stack([corners[row, column + 1], corners[row + 1, column + 1]], 1)
    row, column = np.nonzero(mask[1:] != mask[:-1])
    horizontal = np.stack([corners[row + 1, column], corners[row + 1, column + 1]], 1)
    return np.concatenate([vertical, horizontal])


def outline(axes: Axes, x: np.ndarray, y: np.ndarray, mask: np.ndarray, **line) -> LineCollection:
    """Draw the boundary of a mask; see `coast_lines`. `line` is its style."""
    lines = LineCollection(list(coast_lines(x, y, mask)), **line)
    axes.add_collection(lines, autolim=False)
    return lines


def _paint_ground(axes, x, y, ocean) -> QuadMesh:
    colours = ListedColormap([LAND, HIDDEN])
    return axes.pcolormesh(x, y, ocean, cmap=colours, vmin=0, vmax=1, rasterized=True)


def _paint_values(axes, x, y, field, kind: str, limits: Limits) -> QuadMesh:
    values = np.ma.masked_invalid(np.asarray(field, dtype=float))
    colours = {"cmap": colour_map(kind), "vmin": limits[0], "vmax": limits[1]}
    return axes.pcolormesh(x, y, values, **colours, rasterized=True)


def map_base(
    axes: GeoAxes,
    field: DataArray,
    ocean: DataArray,
    *,
    title: str = "",
    left: bool = True,
    bottom: bool = True,
) -> MapBase:
    """Draw land, unobserved ocean, coast, degrees and title of one map panel.

    Args:
        axes: the panel.
        field: (latitude, longitude), for its grid.
        ocean: (latitude, longitude), bool.
        title: title of the panel.
        left: whether to label latitudes.
        bottom: whether to label longitudes.
    """
    wet = np.asarray(ocean.transpose("latitude", "longitude"), dtype=bool)
    x, y = projections.frame_map(axes, field, left=left, bottom=bottom)
    mesh = _paint_ground(axes, x, y, wet.astype(float))
    coast = outline(axes, x, y, wet, color=COAST, linewidth=0.5)
    axes.set_title(title)
    return MapBase(x, y, mesh, coast)


def paint(
    axes: GeoAxes,
    field: DataArray,
    *,
    kind: str,
    limits: Limits,
    ocean: DataArray | None = None,
    **panel,
) -> QuadMesh:
    """Draw a field on one map panel.

    Args:
        axes: the panel.
        field: (latitude, longitude).
        kind: `temperature`, `difference`, `spread` or the name of another variable.
        limits: (low, high) of the colours.
        ocean: (latitude, longitude), bool; ocean without a value is grey. By default the cells
            with a value.
        **panel: `title`, `left` and `bottom` of `map_base`.
    """
    field = field.transpose("latitude", "longitude")
    base = map_base(axes, field, field.notnull() if ocean is None else ocean, **panel)
    return _paint_values(axes, base.x, base.y, field, kind, limits)


def paint_mask(axes: GeoAxes, mask: DataArray, ocean: DataArray, colour: str, **panel) -> None:
    """Draw a mask in one colour on a map panel.

    Args:
        axes: the panel.
        mask: (latitude, longitude), bool.
        ocean: (latitude, longitude), bool.
        colour: colour of the True cells.
        **panel: `title`, `left` and `bottom` of `map_base`.
    """
    x, y, *_ = map_base(axes, mask, ocean, **panel)
    values = np.where(mask.transpose("latitude", "longitude"), 0.0, np.nan)
    axes.pcolormesh(x, y, values, cmap=ListedColormap([colour]), rasterized=True)


def dots(axes: GeoAxes, longitude: ArrayLike, latitude: ArrayLike, **marks: Any) -> PathCollection:
    """Draw places (degrees, any turn) as small dots on a map panel; `marks` is their style."""
    x, y = projections.project(axes.projection, longitude, latitude)
    marks = {"s": 9, "c": "black", "edgecolors": "white", "linewidths": 0.4, "zorder": 3} | marks
    return axes.scatter(x, y, **marks)


def cell_positions(mask: DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes (n,) of the True cells of a (latitude, longitude) mask."""
    row, column = np.nonzero(np.asarray(mask.transpose("latitude", "longitude"), dtype=bool))
    return mask["longitude"].values[column], mask["latitude"].values[row]


def is_sparse(observed: DataArray | np.ndarray, ocean: DataArray | np.ndarray) -> bool:
    """Whether the ocean has observations, but so few that they are drawn as dots."""
    return 0 < int((observed & ocean).sum()) < SPARSE * int(ocean.sum())


def paint_observed(
    axes: GeoAxes,
    value: DataArray,
    observed: DataArray,
    ocean: DataArray,
    *,
    limits: Limits,
    **panel,
) -> QuadMesh:
    """Draw observed temperatures only, as dots if they are sparse, else as cells.

    Args:
        axes: the panel.
        value: (latitude, longitude), °C.
        observed: (latitude, longitude), bool.
        ocean: (latitude, longitude), bool.
        limits: (low, high) of the colours, °C.
        **panel: `title`, `left` and `bottom` of `map_base`.
    """
    value = value.where(observed & ocean).transpose("latitude", "longitude")
    sparse = is_sparse(observed, ocean)
    cells = value.where(not sparse)
    mesh = paint(axes, cells, kind="temperature", limits=limits, ocean=ocean, **panel)
    if sparse:
        known = value.notnull()
        colours = {"cmap": colour_map("temperature"), "vmin": limits[0], "vmax": limits[1]}
        marks: dict[str, Any] = {"s": 8, "edgecolors": "black", "linewidths": 0.3, **colours}
        dots(axes, *cell_positions(known), c=np.asarray(value)[np.asarray(known)], **marks)
    return mesh


def paint_section(
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    field: DataArray,
    ocean: DataArray,
    *,
    kind: str,
    limits: Limits,
) -> QuadMesh:
    """Draw a section; the sea floor has the colour of land.

    Args:
        axes: the panel.
        x: edges of the columns (columns + 1,).
        y: edges of the rows (rows + 1,).
        field: (rows, columns).
        ocean: (rows, columns), bool. Where its coordinate `inside` is False, such as outside the
            grid that a transect crosses, the panel stays white.
        kind: `temperature`, `difference`, `spread` or the name of another variable.
        limits: (low, high) of the colours.
    """
    wet = np.asarray(ocean, float)
    if "inside" in ocean.coords:
        wet = np.where(ocean["inside"], wet, np.nan)
    _paint_ground(axes, x, y, np.ma.masked_invalid(wet))
    return _paint_values(axes, x, y, field, kind, limits)
