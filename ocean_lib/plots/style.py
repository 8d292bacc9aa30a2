"""The vocabulary every picture here is drawn with: colours, limits, labels, and what maps show.

Fields are drawn cell by cell on a cartopy map in the projection that fits them (`projections`).
Land and coast are those of the ocean mask, so that nothing is downloaded and the coast fits the
grid exactly. Ocean that nobody observed is a lighter grey than land. Temperatures share
`cmocean.thermal`, differences a `balance` centred on zero, ensemble spread `amp`; what is compared
shares robust limits.

Figures and their axes: sizes, type, map panels, panels for curves, legends, depth downward.

A figure is as wide as a journal's page or column and as high as its panels ask for, unknown to
pyplot. Functions that draw take `axes` instead, and then make no figure.
"""

import cmocean
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, ScalarFormatter

from ocean_lib.plots import projections

__all__ = [
    "HIDDEN",
    "LAND",
    "SEA",
    "OBSERVED",
    "STYLE",
    "coast_lines",
    "colour_bar",
    "depth_axis",
    "depth_edges",
    "dots",
    "is_sparse",
    "legend",
    "colour_map",
    "map_base",
    "map_panels",
    "new_figure",
    "outline",
    "paint",
    "paint_observed",
    "panels",
    "cell_positions",
    "robust_limits",
    "unit",
    "unit_label",
]


SPARSE = 0.03  # of the ocean: fewer observations are drawn as dots
LAND, COAST, HIDDEN = "#8f867a", "#3b3630", "#e4e4e4"
OBSERVED, SEA = "#1f5a85", "#9cc6e0"  # the observed mask, the ocean mask
COLOURS = {
    "temperature": (cmocean.cm.thermal, "Temperature"),
    "salinity": (cmocean.cm.haline, "Salinity"),
    "difference": (cmocean.cm.balance, "Difference"),
    "spread": (cmocean.cm.amp, "Spread"),
}


def robust_limits(*fields, kind="temperature"):
    """(low, high) shared by `fields`: 2nd and 98th percentile; symmetric or from zero by kind."""
    values = np.concatenate([np.asarray(field, dtype=float).ravel() for field in fields])
    values = values[np.isfinite(values)]
    if kind not in ("difference", "spread"):
        low, high = np.percentile(values, (2, 98)) if values.size else (0.0, 1.0)
        return (low, high) if high > low else (low - 0.5, low + 0.5)
    high = np.percentile(np.abs(values), 98) if values.size else 0.0
    high = high if high > 0 else 1.0
    return (-high, high) if kind == "difference" else (0.0, high)


def colour_map(kind):
    """Colours and name of a kind: `temperature`, `difference`, `spread`, or a further variable."""
    return COLOURS.get(kind) or (cmocean.cm.matter, kind.replace("_", " ").capitalize())


def unit(field):
    """The unit from a field's attributes, °C where they hold none."""
    units = field.attrs.get("units", "°C")
    celsius = units.lower() in (
        "degc",
        "c",
        "celsius",
        "degree_c",
        "degrees_c",
        "degree_celsius",
        "degrees_celsius",
    )
    return "°C" if celsius else "normalised" if units in ("1", "") else units


def unit_label(field, kind):
    """What the colour bar says: the kind and its unit."""
    return f"{colour_map(kind)[1]} ({unit(field)})"


def coast_lines(x, y, inside):
    """(n, 2, 2), the edge of a (y, x) mask along the edges of its cells.

    `x` and `y` are the corners (rows + 1, columns + 1), or edges (columns + 1,) and (rows + 1,).
    """
    if np.ndim(x) == 1:
        x, y = np.meshgrid(x, y)
    corners = np.stack([x, y], -1)
    row, column = np.nonzero(inside[:, 1:] != inside[:, :-1])
    upright = np.stack([corners[row, column + 1], corners[row + 1, column + 1]], 1)
    row, column = np.nonzero(inside[1:] != inside[:-1])
    level = np.stack([corners[row + 1, column], corners[row + 1, column + 1]], 1)
    return np.concatenate([upright, level])


def outline(axes, x, y, inside, **line):
    """Draw the edge of a (y, x) mask along the edges of its cells; returns the lines."""
    lines = LineCollection(coast_lines(x, y, inside), **line)
    axes.add_collection(lines, autolim=False)
    return lines


def map_base(axes, field, ocean, *, title=None, left=True, bottom=True):
    """Land, hidden ocean, coast, degrees and title of one panel, under what is painted on it.

    `left` and `bottom` tell which degrees are written. Returns the corners of the cells on the map,
    x and y (rows + 1, columns + 1), the mesh of land and ocean, and the coast.
    """
    wet = np.asarray(ocean.transpose("latitude", "longitude"), dtype=bool)
    x, y = projections.frame_map(axes, field, left=left, bottom=bottom)
    base = axes.pcolormesh(
        x,
        y,
        wet.astype(float),
        cmap=ListedColormap([LAND, HIDDEN]),
        vmin=0,
        vmax=1,
        rasterized=True,
    )
    coast = outline(axes, x, y, wet, color=COAST, linewidth=0.5)
    axes.set_title(title or "")
    return x, y, base, coast


def paint(axes, field, *, kind, limits, ocean=None, title=None, left=True, bottom=True):
    """One field (latitude, longitude) on one map panel; returns the mesh.

    Cells of `ocean` (default: where the field has a value) that hold none are grey.
    """
    field = field.transpose("latitude", "longitude")
    x, y, *_ = map_base(
        axes,
        field,
        field.notnull() if ocean is None else ocean,
        title=title,
        left=left,
        bottom=bottom,
    )
    values = np.ma.masked_invalid(np.asarray(field, dtype=float))
    return axes.pcolormesh(
        x, y, values, cmap=colour_map(kind)[0], vmin=limits[0], vmax=limits[1], rasterized=True
    )


def dots(axes, longitude, latitude, **marks):
    """Places in degrees as small marks on a map panel; returns the scatter."""
    x, y = projections.project(axes.projection, longitude, latitude)
    marks = {"s": 9, "c": "black", "edgecolors": "white", "linewidths": 0.4, "zorder": 3} | marks
    return axes.scatter(x, y, **marks)


def cell_positions(mask):
    """Longitudes and latitudes of the True cells of a (latitude, longitude) mask."""
    row, column = np.nonzero(np.asarray(mask.transpose("latitude", "longitude"), dtype=bool))
    return mask["longitude"].values[column], mask["latitude"].values[row]


def is_sparse(observed, ocean):
    """Whether so little of the ocean is observed that each place is drawn as a dot."""
    return 0 < int((observed & ocean).sum()) < SPARSE * int(ocean.sum())


def paint_observed(axes, value, observed, ocean, *, limits, **panel):
    """The observed temperatures alone: dots where under 3 % of the ocean is seen, else cells.

    `panel` goes to `paint`. Returns the mesh.
    """
    value = value.where(observed & ocean).transpose("latitude", "longitude")
    sparse = is_sparse(observed, ocean)
    mesh = paint(
        axes, value.where(not sparse), kind="temperature", limits=limits, ocean=ocean, **panel
    )
    if sparse:
        seen = value.notnull()
        dots(
            axes,
            *cell_positions(seen),
            s=8,
            c=np.asarray(value)[np.asarray(seen)],
            edgecolors="black",
            linewidths=0.3,
            cmap=colour_map("temperature")[0],
            vmin=limits[0],
            vmax=limits[1],
        )
    return mesh


STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "figure.titlesize": 9,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "figure.constrained_layout.w_pad": 0.03,
    "figure.constrained_layout.h_pad": 0.03,
}
WIDTH = 7.2  # inches, two columns of a journal page


def new_figure(width=WIDTH, height=3.0):
    """An empty figure in inches with a layout that keeps map panels together."""
    figure = plt.figure(figsize=(width, height), dpi=150, layout="compressed")
    plt.close(figure)
    return figure


def _given(axes, rows, columns):
    given = np.ravel(np.asarray(axes, dtype=object))
    if given.size != rows * columns:
        raise ValueError(
            f"{given.size} axes for {rows} x {columns} panels; give {rows * columns} of them"
        )
    return given[0].get_figure(root=False), given.reshape(rows, columns)


def map_panels(field, rows, columns, *, extra=0.9, width=WIDTH, axes=None):
    """A figure of `rows` x `columns` maps, tall enough for them, and its axes (rows, columns).

    Where `axes` are given, one GeoAxes or as many as there are panels, they are drawn on instead.
    Raises ValueError where they are fewer or more.
    """
    if axes is not None:
        return _given(axes, rows, columns)
    projection = projections.projection_for(field)
    x, y = projections.corners(projection, field)
    height = rows * ((width - 1.1) / columns * (np.ptp(y) / np.ptp(x)) + 0.2) + extra
    figure = new_figure(width, min(height, 9.5))
    return figure, figure.subplots(
        rows, columns, squeeze=False, subplot_kw={"projection": projection}
    )


def panels(rows, columns, *, width=WIDTH, height=3.0, axes=None, **shared):
    """A figure of `rows` x `columns` panels for curves and its axes, or `axes`, as `map_panels`."""
    if axes is not None:
        return _given(axes, rows, columns)
    figure = new_figure(width, height)
    figure.set_layout_engine("constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **shared)


def legend(grid, axes, handles, labels, columns):
    """One legend for the panels of `grid`: below a figure of our own, in one of given `axes`."""
    if axes is None:
        grid.flat[0].figure.legend(
            handles, labels, loc="outside lower center", frameon=False, ncols=columns
        )
    else:
        grid.flat[-1].legend(handles, labels, loc="best", fontsize=6)


def colour_bar(figure, mesh, axes, label, location="right", **options):
    """The bar beside `axes` (one or several), pointed at both ends as limits are robust."""
    bar = figure.colorbar(mesh, ax=axes, location=location, extend="both", pad=0.02, **options)
    bar.set_label(label)
    narrow = location == "bottom" and np.ndim(axes) == 0
    slender = narrow and np.ptp(axes.get_xlim()) < 0.5 * np.ptp(axes.get_ylim())
    count = 1 if slender else 3
    bar.locator = MaxNLocator(count, steps=[1, 2, 5, 10]) if narrow else MaxNLocator(6)
    bar.update_ticks()
    bar.outline.set_linewidth(0.5)
    return bar


def depth_axis(axes, depth, *, label=True):
    """Depth downward from the surface on a square-root scale, round metres as ticks."""
    deepest = float(np.max(depth))
    ticks = [0]
    round_metres = (1, 2, 5, 10, 20, 50, 100, 200, 350, 500, 750, 1000, 1500)
    for metre in (*round_metres, *range(2000, 11000, 1000)):
        if metre <= deepest and metre**0.5 - ticks[-1] ** 0.5 >= 0.07 * deepest**0.5:
            ticks.append(metre)
    axes.set_yscale("function", functions=(lambda z: np.sqrt(np.maximum(z, 0)), np.square))
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.set_ylim(deepest, 0)
    if label:
        axes.set_ylabel("Depth (m)")


def depth_edges(depth):
    """(n,) depths in metres to (n + 1,) edges, the first at the surface."""
    edges = np.maximum(projections.cell_edges(depth), 0)
    edges[0] = 0
    return edges
