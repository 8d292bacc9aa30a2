"""Style shared by all figures: colours, limits, sizes, legends and axes.

Temperature is drawn in `cmocean.thermal`, differences in `balance` centred on zero, ensemble spread
in `amp`. Fields that are compared share robust limits. Curves use the colours of Okabe and Ito,
which colour-blind readers can distinguish. Unobserved ocean is a lighter grey than land.

A figure is as wide as a page or column of a journal and as high as its panels need. It is not
registered with pyplot, so a notebook shows it once and need not close it. Drawing functions also
accept `axes`; they then draw there and return the figure of those axes.

Reference: Okabe & Ito 2008, "Color Universal Design", jfly.uni-koeln.de/color.
"""

import re
from collections.abc import Sequence
from typing import Any

import cmocean
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, ScalarFormatter
from numpy.typing import ArrayLike
from xarray import DataArray

from ocean_lib.fields.conventions import CELSIUS
from ocean_lib.plots import projections

__all__ = [
    "STYLE",
    "colour_bar",
    "colour_map",
    "depth_axis",
    "depth_edges",
    "figure_title",
    "legend",
    "map_panels",
    "new_figure",
    "panels",
    "robust_limits",
    "unit",
    "unit_label",
]


Panels = Axes | Sequence[Axes] | np.ndarray | None  # to draw on; None for a new figure
Limits = tuple[float, float]  # low and high, in the unit of a field
# On maps and sections.
LAND, COAST, HIDDEN = "#8f867a", "#3b3630", "#e4e4e4"
OBSERVED, SEA = "#1f5a85", "#9cc6e0"  # the observed mask, the ocean mask
COLOUR_MAPS = {
    "temperature": cmocean.cm.thermal,
    "salinity": cmocean.cm.haline,
    "sea_level": cmocean.cm.ice,
    "difference": cmocean.cm.balance,
    "spread": cmocean.cm.amp,
    "heat_content": cmocean.cm.thermal,
    "mixed_layer_depth": cmocean.cm.deep,
    "density": cmocean.cm.dense,
}
# On curves.
BLACK, GREY, BLUE, VERMILION = "#000000", "#777777", "#0072b2", "#d55e00"
ORANGE, GREEN, PURPLE, SKY_BLUE = "#e69f00", "#009e73", "#cc79a7", "#56b4e9"
NOTE = "#555555"  # colour of text in an empty panel
STYLE: dict[Any, Any] = {
    **dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize"), 8),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 7),
    **dict.fromkeys(("axes.linewidth", "xtick.major.width", "ytick.major.width"), 0.6),
    **dict.fromkeys(("xtick.major.size", "ytick.major.size"), 2.5),
    **dict.fromkeys([f"figure.constrained_layout.{side}_pad" for side in "wh"], 0.03),
    "figure.titlesize": 9,
}
WIDTH, MAX_HEIGHT = 7.2, 9.5  # inches, two columns of a journal page
ROUND_DEPTHS = (1, 2, 5, 10, 20, 50, 100, 200, 350, 500, 750, 1000, 1500, *range(2000, 11000, 1000))


def robust_limits(*fields: DataArray, kind: str = "temperature") -> Limits:
    """Colour limits shared by several fields: their 2nd and 98th percentiles.

    Args:
        *fields: any shape; NaN is ignored.
        kind: `difference` for limits symmetric about zero, `spread` for limits that start at zero.

    Returns:
        (low, high), in the unit of the fields.
    """
    values = np.concatenate([np.asarray(field, dtype=float).ravel() for field in fields])
    values = values[np.isfinite(values)]
    if kind not in ("difference", "spread"):
        low, high = np.percentile(values, (2, 98)) if values.size else (0.0, 1.0)
        return (low, high) if high > low else (low - 0.5, low + 0.5)
    high = np.percentile(np.abs(values), 98) if values.size else 0.0
    high = high if high > 0 else 1.0
    return (-high, high) if kind == "difference" else (0.0, high)


def colour_map(kind: str) -> Colormap:
    """Colour map of a variable, a derived quantity such as `heat_content_700`, or an error."""
    return COLOUR_MAPS.get(re.sub(r"_[\d.]+$", "", kind), cmocean.cm.matter)


def unit(field: DataArray) -> str:
    """Unit of a field from its attributes; °C if it has none."""
    units = field.attrs.get("units", "°C")
    if re.sub("[_ ]", "", units.lower()) in CELSIUS:
        return "°C"
    return "normalised" if units in ("1", "") else units


def unit_label(field: DataArray, kind: str) -> str:
    """Label of a colour bar, kind and unit: `Temperature (°C)`."""
    return f"{kind.replace('_', ' ').capitalize()} ({unit(field)})"


def new_figure(width: float = WIDTH, height: float = 3.0) -> Figure:
    """Create an empty figure, not registered with pyplot, whose layout keeps map panels together.

    Args:
        width: inches.
        height: inches.
    """
    figure = plt.figure(figsize=(width, height), dpi=150, layout="compressed")
    plt.close(figure)
    return figure


def _reuse(axes: Panels, rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    axes = np.ravel(np.asarray(axes, dtype=object))
    if axes.size != rows * columns:
        raise ValueError(
            f"{axes.size} axes for {rows} x {columns} panels; give {rows * columns} of them"
        )
    return axes[0].get_figure(root=False), axes.reshape(rows, columns)


def map_panels(
    field: DataArray,
    rows: int,
    columns: int,
    *,
    extra: float = 0.9,
    width: float = WIDTH,
    axes: Panels = None,
) -> tuple[Figure, np.ndarray]:
    """Create a figure for maps in the projection that suits a field, as high as the maps need.

    Args:
        field: (latitude, longitude), for its region.
        rows: number of rows of maps.
        columns: number of columns of maps.
        extra: height for titles and colour bars, inches.
        width: inches.
        axes: `rows * columns` GeoAxes to use instead; a single one may come alone.

    Returns:
        The figure, and its GeoAxes (rows, columns).

    Raises:
        ValueError: `axes` are fewer or more than the panels.
    """
    if axes is not None:
        return _reuse(axes, rows, columns)
    projection = projections.projection_for(field)
    x, y = projections.corners(projection, field)
    height = rows * ((width - 1.1) / columns * projections.panel_shape(x, y) + 0.2) + extra
    figure = new_figure(width, min(height, MAX_HEIGHT))
    kind = {"projection": projection}
    return figure, figure.subplots(rows, columns, squeeze=False, subplot_kw=kind)


def panels(
    rows: int,
    columns: int,
    *,
    width: float = WIDTH,
    height: float = 3.0,
    axes: Panels = None,
    **shared: bool,
) -> tuple[Figure, np.ndarray]:
    """Create a figure for curves or sections.

    Args:
        rows: number of rows of panels.
        columns: number of columns of panels.
        width: inches.
        height: inches.
        axes: `rows * columns` axes to use instead; a single one may come alone.
        **shared: `sharex` and `sharey` of `Figure.subplots`.

    Returns:
        The figure, and its axes (rows, columns).

    Raises:
        ValueError: `axes` are fewer or more than the panels.
    """
    if axes is not None:
        return _reuse(axes, rows, columns)
    figure = new_figure(width, height)
    figure.set_layout_engine("constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **shared)


def figure_title(figure: Figure, axes: Panels, title: str) -> None:
    """Set the title of a new figure; if the caller passed `axes`, their figure keeps its title."""
    if axes is None:
        figure.suptitle(title)


def legend(grid: np.ndarray, axes: Panels, handles: list, labels: list[str], columns: int) -> None:
    """Draw one legend for all panels: below a new figure, or in the last of the caller's axes.

    Args:
        grid: axes (rows, columns) that are drawn on.
        axes: the axes that the caller passed, or None.
        handles: artists.
        labels: one per handle.
        columns: number of columns of a legend below the figure.
    """
    if axes is None:
        below = grid.flat[0].figure.legend
        below(handles, labels, loc="outside lower center", frameon=False, ncols=columns)
    else:
        grid.flat[-1].legend(handles, labels, loc="best", fontsize=6)


def colour_bar(
    mesh: QuadMesh, axes: Axes | Sequence[Axes], label: str, location: str = "right", **options: Any
) -> Colorbar:
    """Draw a colour bar beside one or several axes, pointed at both ends as limits are robust.

    Args:
        mesh: the coloured cells.
        axes: the panels that share the bar.
        label: quantity and unit.
        location: `right` or `bottom`.
        **options: options of `Figure.colorbar`, such as `aspect` and `shrink`.
    """
    panels = np.ravel(np.asarray(axes, dtype=object))
    figure = panels[0].get_figure(root=False)
    bar = figure.colorbar(mesh, ax=axes, location=location, extend="both", pad=0.02, **options)
    bar.set_label(label)
    ticks = MaxNLocator(6)
    if location == "bottom" and len(panels) == 1:  # a short bar has room for few labels
        slender = np.ptp(panels[0].get_xlim()) < 0.5 * np.ptp(panels[0].get_ylim())
        ticks = MaxNLocator(1 if slender else 3, steps=[1, 2, 5, 10])
    bar.locator = ticks
    bar.update_ticks()
    bar.outline.set_linewidth(0.5)
    return bar


def depth_axis(axes: Axes, depth: ArrayLike, *, label: bool = True) -> None:
    """Make the y axis depth, downward on a square-root scale, with ticks at round metres.

    Args:
        axes: the panel.
        depth: (levels,), or the greatest depth alone, metres.
        label: whether to name the axis.
    """
    deepest = float(np.max(depth))
    ticks = [0]
    for metres in ROUND_DEPTHS:
        if metres <= deepest and metres**0.5 - ticks[-1] ** 0.5 >= 0.07 * deepest**0.5:
            ticks.append(metres)
    axes.set_yscale("function", functions=(lambda z: np.sqrt(np.maximum(z, 0)), np.square))
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.set_ylim(deepest, 0)
    if label:
        axes.set_ylabel("Depth (m)")


def depth_edges(depth: ArrayLike) -> np.ndarray:
    """Edges (n + 1,) of levels (n,) in metres, the first at the surface."""
    edges = np.maximum(projections.cell_edges(depth), 0)
    edges[0] = 0
    return edges
