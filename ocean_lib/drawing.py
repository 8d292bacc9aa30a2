"""The vocabulary every picture here is drawn with: colours, limits, labels and one map panel.

Fields are drawn cell by cell on a cartopy map, Mercator for a region and plate carrée for wider
ones. Land is the background seen through the missing cells and the coast is the edge of the ocean
mask, so that no coastline is downloaded and the coast fits the grid exactly. Ocean that nobody
observed is a lighter grey than land. Temperatures share `cmocean.thermal`, differences a `balance`
centred on zero, ensemble spread `amp`; what is compared shares robust limits.
"""

import cartopy.crs as crs
import cmocean
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, ScalarFormatter

from ocean_lib.labels import degrees_label

__all__ = [
    "unit_label",
    "STYLE",
    "LAND",
    "HIDDEN",
    "SEEN",
    "SEA",
    "COLOURS",
    "new_figure",
    "robust_limits",
    "cell_edges",
    "coast_lines",
    "outline",
    "map_panels",
    "map_base",
    "paint",
    "paint_observed",
    "colour_bar",
    "dots",
    "places",
    "depth_axis",
    "depth_edges",
]

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
LAND, COAST, HIDDEN = "#8f867a", "#3b3630", "#e4e4e4"
SEEN, SEA = "#1f5a85", "#9cc6e0"  # the observed mask, the ocean mask
COLOURS = {
    "temperature": (cmocean.cm.thermal, "Temperature"),
    "difference": (cmocean.cm.balance, "Difference"),
    "spread": (cmocean.cm.amp, "Spread"),
}


def new_figure(width=WIDTH, height=3.0):
    """An empty figure in inches with a layout that keeps map panels together."""
    figure = plt.figure(figsize=(width, height), dpi=150, layout="compressed")
    plt.close(figure)
    return figure


def robust_limits(*fields, kind="temperature"):
    """(low, high) shared by `fields`: 2nd and 98th percentile; symmetric or from zero by kind."""
    values = np.concatenate([np.asarray(field, dtype=float).ravel() for field in fields])
    values = values[np.isfinite(values)]
    if kind == "temperature":
        low, high = np.percentile(values, (2, 98)) if values.size else (0.0, 1.0)
        return (low, high) if high > low else (low - 0.5, low + 0.5)
    high = np.percentile(np.abs(values), 98) if values.size else 0.0
    high = high if high > 0 else 1.0
    return (-high, high) if kind == "difference" else (0.0, high)


def cell_edges(centres):
    """(n,) increasing cell centres to (n + 1,) edges, half way between neighbours."""
    centres = np.asarray(centres, dtype=float)
    if centres.size == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def unit_label(field, kind):
    """What the colour bar says, the unit from the field's attributes where they hold one."""
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
    units = "°C" if celsius else "normalised" if units in ("1", "") else units
    return f"{COLOURS[kind][1]} ({units})"


def coast_lines(x, y, inside):
    """(n, 2, 2), the edge of a (y, x) mask along cell edges `x` (columns + 1), `y` (rows + 1)."""
    row, column = np.nonzero(inside[:, 1:] != inside[:, :-1])
    upright = np.stack(
        [np.stack([x[column + 1], y[row]], -1), np.stack([x[column + 1], y[row + 1]], -1)], 1
    )
    row, column = np.nonzero(inside[1:] != inside[:-1])
    level = np.stack(
        [np.stack([x[column], y[row + 1]], -1), np.stack([x[column + 1], y[row + 1]], -1)], 1
    )
    return np.concatenate([upright, level])


def outline(axes, x, y, inside, **line):
    """Draw the edge of a (y, x) mask along cell edges."""
    axes.add_collection(LineCollection(coast_lines(x, y, inside), **line), autolim=False)


def _projection(field):
    if field.sizes["latitude"] < 2 or field.sizes["longitude"] < 2:
        raise ValueError(
            f"a field of {field.sizes['latitude']} x {field.sizes['longitude']} cells "
            "is not a map (2 x 2 at least); draw it with sections.section"
        )
    longitude, latitude = (cell_edges(field[name]) for name in ("longitude", "latitude"))
    centre = (longitude[0] + longitude[-1]) / 2
    regional = np.abs(latitude).max() <= 75 and longitude[-1] - longitude[0] <= 120
    return crs.Mercator(centre) if regional else crs.PlateCarree(centre)


def _project(projection, longitude, latitude):
    # Cylindrical projections separate: x is linear in longitude, so longitudes beyond 180 degrees
    # east stay contiguous and a mesh needs no cutting at the date line.
    degrees = crs.PlateCarree()
    centre = projection.proj4_params.get("lon_0", projection.proj4_params.get("pm", 0))
    scale = projection.transform_point(centre + 1, 0, degrees)[0]
    latitude = np.clip(np.asarray(latitude, dtype=float), -90, 90)
    y = projection.transform_points(degrees, np.full(latitude.shape, centre), latitude)[..., 1]
    return (np.asarray(longitude, dtype=float) - centre) * scale, y


def _round_degrees(edges, length):
    # `length` is the share of the longer side of the panel: a short side has room for fewer.
    steps = [1, 2, 5, 10] if edges[-1] - edges[0] < 120 else [1, 3, 6, 9, 10]
    number = max(round(4 * length), 1)
    ticks = MaxNLocator(nbins=number, steps=steps).tick_values(edges[0], edges[-1])
    ticks = ticks[(ticks >= edges[0]) & (ticks <= edges[-1])]
    # The narrowest panels have room for one label, in the middle.
    return ticks[len(ticks) // 2 :][:1] if number == 1 else ticks


def map_base(axes, field, ocean, *, title=None, left=True, bottom=True):
    """Land, hidden ocean, coast, degrees and title of one panel, under what is painted on it.

    `left` and `bottom` tell which degrees are written. Returns the cell edges in the units of the
    map, x (columns + 1,) and y (rows + 1,).
    """
    wet = np.asarray(ocean.transpose("latitude", "longitude"), dtype=bool)
    longitude, latitude = cell_edges(field["longitude"]), cell_edges(field["latitude"])
    x, y = _project(axes.projection, longitude, latitude)
    axes.set_facecolor(LAND)
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    axes.pcolormesh(
        x, y, np.where(wet, 0.0, np.nan), cmap=mpl.colors.ListedColormap([HIDDEN]), rasterized=True
    )
    outline(axes, x, y, wet, color=COAST, linewidth=0.5)
    shape = (y[-1] - y[0]) / (x[-1] - x[0])
    columns = _round_degrees(longitude, min(1, 1 / shape))
    rows = _round_degrees(latitude, min(1, shape))
    axes.set_xticks(_project(axes.projection, columns, 0 * columns)[0])
    axes.set_yticks(_project(axes.projection, 0 * rows, rows)[1])
    axes.set_xticklabels([degrees_label(t, "longitude") for t in columns] if bottom else [])
    axes.set_yticklabels([degrees_label(t, "latitude") for t in rows] if left else [])
    axes.grid(color="black", alpha=0.15, linewidth=0.4)
    axes.set_title(title or "")
    return x, y


def paint(axes, field, *, kind, limits, ocean=None, title=None, left=True, bottom=True):
    """One field (latitude, longitude) on one map panel; returns the mesh.

    Cells of `ocean` (default: where the field has a value) that hold none are grey.
    """
    field = field.transpose("latitude", "longitude")
    x, y = map_base(
        axes,
        field,
        field.notnull() if ocean is None else ocean,
        title=title,
        left=left,
        bottom=bottom,
    )
    values = np.ma.masked_invalid(np.asarray(field, dtype=float))
    return axes.pcolormesh(
        x, y, values, cmap=COLOURS[kind][0], vmin=limits[0], vmax=limits[1], rasterized=True
    )


def map_panels(field, rows, columns, *, extra=0.9, width=WIDTH):
    """A figure of `rows` x `columns` maps, tall enough for them, and its axes (rows, columns)."""
    projection = _projection(field)
    x, y = _project(projection, cell_edges(field["longitude"]), cell_edges(field["latitude"]))
    shape = (y[-1] - y[0]) / (x[-1] - x[0])
    height = rows * ((width - 1.1) / columns * shape + 0.2) + extra
    figure = new_figure(width, min(height, 9.5))
    return figure, figure.subplots(
        rows, columns, squeeze=False, subplot_kw={"projection": projection}
    )


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


def dots(axes, longitude, latitude, **marks):
    """Places in degrees as small marks on a map panel; returns the scatter."""
    x, y = _project(axes.projection, longitude, latitude)
    marks = {"s": 9, "c": "black", "edgecolors": "white", "linewidths": 0.4, "zorder": 3} | marks
    return axes.scatter(x, y, **marks)


def places(mask):
    """Longitudes and latitudes of the True cells of a (latitude, longitude) mask."""
    row, column = np.nonzero(np.asarray(mask.transpose("latitude", "longitude"), dtype=bool))
    return mask["longitude"].values[column], mask["latitude"].values[row]


def paint_observed(axes, value, observed, ocean, *, limits, **panel):
    """The observed temperatures alone: dots where under 3 % of the ocean is seen, else cells.

    `panel` goes to `paint`. Returns the mesh.
    """
    value = value.where(observed & ocean).transpose("latitude", "longitude")
    sparse = int(observed.sum()) < 0.03 * int(ocean.sum())
    mesh = paint(
        axes, value.where(not sparse), kind="temperature", limits=limits, ocean=ocean, **panel
    )
    if sparse:
        seen = value.notnull()
        dots(
            axes,
            *places(seen),
            s=8,
            c=np.asarray(value)[np.asarray(seen)],
            edgecolors="black",
            linewidths=0.3,
            cmap=COLOURS["temperature"][0],
            vmin=limits[0],
            vmax=limits[1],
        )
    return mesh


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
    edges = np.maximum(cell_edges(depth), 0)
    edges[0] = 0
    return edges
