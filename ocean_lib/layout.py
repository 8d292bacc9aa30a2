"""Figures and their axes: sizes, type, map panels, panels for curves, legends, depth downward.

A figure is as wide as a journal's page or column and as high as its panels ask for, unknown to
pyplot. Functions that draw take `axes` instead, and then make no figure.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, ScalarFormatter

from ocean_lib import projections

__all__ = [
    "STYLE",
    "colour_bar",
    "depth_axis",
    "depth_edges",
    "legend",
    "map_panels",
    "new_figure",
    "panels",
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
    projection = projections.fitting(field)
    x, y = projections.edges(projection, field)
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
