"""A map that is kept and changed, several times faster than a new figure.

The panel is laid out once, with its land, coast, degrees and colour bar; `set` then changes the
values of the artists, and whoever holds the canvas draws them.
"""

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize

from ocean_lib.plots.painting import coast_lines, dots, is_sparse, map_base
from ocean_lib.plots.projections import project
from ocean_lib.plots.style import STYLE, colour_map, map_panels, unit_label

__all__ = ["LiveMap", "live_maps", "fix_layout"]


SEEN = {"ms": 2.5, "mfc": "white", "mec": "black", "mew": 0.5, "zorder": 4}
MARKS = {"marker": "X", "ms": 8, "mfc": "#d55e00", "mec": "white", "mew": 0.8, "zorder": 6}
LOWEST = 3.4  # inches of a figure


class LiveMap:
    """One map whose field, ocean, limits and title can be set again.

    Args:
        figure, axes: where it is drawn.    field: (latitude, longitude), for its grid.
        ocean: bool, alike.    left: whether to write the latitudes.
    """

    def __init__(self, figure, axes, field, ocean, *, left=True):
        self.axes = axes
        self.x, self.y, self.base, self.coast = map_base(axes, field, ocean, left=left)
        middle = np.meshgrid(field["longitude"], field["latitude"])
        self.middle = project(axes.projection, *middle)  # of the cells, x and y
        empty = np.ma.masked_invalid(np.full(field.shape, np.nan))
        self.norm, self.kind = Normalize(0, 1), None
        self.mesh = axes.pcolormesh(self.x, self.y, empty, norm=self.norm, rasterized=True)
        marks = {"s": 10, "edgecolors": "black", "linewidths": 0.3, "norm": self.norm}
        self.dots = dots(axes, [], [], c=[], **marks)
        self.seen = axes.plot([], [], "o", **SEEN)[0]
        self.marks = axes.plot([], [], ls="", clip_on=False, **MARKS)[0]
        self.marks.set_in_layout(False)  # unclipped and empty, it would have no extent
        self.line = axes.plot([], [], color="#d55e00", lw=1.2, zorder=5)[0]
        self.bar = figure.colorbar(self.mesh, ax=axes, location="bottom", extend="both", pad=0.02)

    def set(self, field, kind, limits, ocean, title, observed=None):
        """Show a field (latitude, longitude); NaN in the ocean is grey, few values are dots.

        Where few places are `observed` they are marked on it.
        """
        wet = np.asarray(ocean, bool)
        self.base.set_array(wet.astype(float))
        self.coast.set_segments(coast_lines(self.x, self.y, wet))
        values = np.asarray(field, float)
        sparse = is_sparse(np.isfinite(values), wet)
        whole = np.full_like(values, np.nan) if sparse else values
        self.mesh.set_array(np.ma.masked_invalid(whole))
        # Colours and limits change at once: the bar is drawn anew at every change.
        with self.norm.callbacks.blocked():
            self.norm.vmin, self.norm.vmax = limits
        if kind != self.kind:
            self.dots.set_cmap(colour_map(kind)[0])
            self.mesh.set_cmap(colour_map(kind)[0])
            self.kind = kind
        else:
            self.mesh.changed()
        seen = np.isfinite(values) & sparse
        self.dots.set_offsets(np.stack([each[seen] for each in self.middle], -1))
        self.dots.set_array(values[seen])
        on_top = observed is not None and not sparse and is_sparse(observed, ocean)
        x, y = (each[np.asarray(observed & ocean)] if on_top else [] for each in self.middle)
        self.seen.set_data(x, y)
        self.bar.set_label(unit_label(field, kind))
        self.axes.set_title(title)

    def mark(self, places, line=()):
        """Mark places (longitude, latitude) in degrees, and a line through such places."""
        for artist, given in ((self.marks, places), (self.line, line)):
            degrees = np.array(given, float).reshape(-1, 2).T
            x, y = project(self.axes.projection, *degrees)
            # Where the line leaves the map on one side it comes back on the other.
            jump = np.abs(np.diff(x, prepend=x[:1])) > np.ptp(self.x) / 2
            artist.set_data(np.where(jump & (artist is self.line), np.nan, x), y)


@mpl.rc_context(STYLE)
def live_maps(field, ocean, number, *, spare=0, extra=1.0, width=9.5):
    """A figure with `number` live maps in a row and room for `spare` further panels.

    Returns the figure, the maps, and the axes of the spare panels (no maps).
    """
    figure, grid = map_panels(field, 1, number + spare, extra=extra, width=width)
    figure.set_figheight(max(figure.get_figheight(), LOWEST))
    rest = []
    for axes in grid[0, number:]:
        place = axes.get_subplotspec()
        axes.remove()
        rest.append(figure.add_subplot(place))
    maps = [
        LiveMap(figure, axes, field, ocean, left=k == 0) for k, axes in enumerate(grid[0, :number])
    ]
    return figure, maps, rest


def fix_layout(figure):
    """Lay the figure out for good, with room for titles of two lines; True if it was not yet."""
    if figure.get_layout_engine() is None:
        return False
    named = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    words = {axes: axes.get_title() for axes in named}
    for axes in words:
        axes.set_title("\n")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, title in words.items():
        axes.set_title(title)
    return True
