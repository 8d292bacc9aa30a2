"""Live maps: maps that are updated in place, several times faster than drawing a new figure.

The panel is laid out once, with land, coast, degrees and colour bar; `set` then changes the data of
the artists, and the owner of the canvas redraws it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import xarray as xr
from cartopy.mpl.geoaxes import GeoAxes
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine

from ocean_lib.plots.painting import coast_lines, dots, is_sparse, map_base
from ocean_lib.plots.projections import project
from ocean_lib.plots.style import STYLE, VERMILION, Limits, colour_map, map_panels, unit_label

__all__ = ["LiveFigure", "LiveMap", "fix_layout", "live_maps"]


OBSERVED: dict[str, Any] = {"ms": 2.5, "mfc": "white", "mec": "black", "mew": 0.5, "zorder": 4}
MARK: dict[str, Any] = {"marker": "X", "ms": 8, "mfc": VERMILION, "mec": "white", "mew": 0.8}
MIN_HEIGHT = 3.4  # inches, of a figure


class LiveMap:
    """One map whose field, ocean, limits and title can be changed.

    Args:
        axes: the panel.
        field: (latitude, longitude), for its grid.
        ocean: (latitude, longitude), bool.
        left: whether to label latitudes.
    """

    def __init__(self, axes: GeoAxes, field: xr.DataArray, ocean: xr.DataArray, left: bool):
        self.axes, self.base = axes, map_base(axes, field, ocean, left=left)
        centres = np.meshgrid(field["longitude"], field["latitude"])
        self.centres = project(axes.projection, *centres)  # x and y of the cells
        empty = np.ma.masked_invalid(np.full(field.shape, np.nan))
        self.norm, self.kind = Normalize(0, 1), ""
        x, y, *_ = self.base
        self.mesh = axes.pcolormesh(x, y, empty, norm=self.norm, rasterized=True)
        marks = {"s": 10, "edgecolors": "black", "linewidths": 0.3, "norm": self.norm}
        self.dots = dots(axes, [], [], c=[], **marks)
        self.observed = axes.plot([], [], "o", **OBSERVED)[0]
        self.marks = axes.plot([], [], ls="", clip_on=False, zorder=6, **MARK)[0]
        self.marks.set_in_layout(False)  # unclipped and empty, it has no extent
        self.line = axes.plot([], [], color=VERMILION, lw=1.2, zorder=5)[0]
        place = {"location": "bottom", "extend": "both", "pad": 0.02}
        self.bar = axes.figure.colorbar(self.mesh, ax=axes, **place)

    def set(
        self,
        field: xr.DataArray,
        kind: str,
        limits: Limits,
        ocean: xr.DataArray,
        title: str,
        observed: xr.DataArray | None = None,
    ) -> None:
        """Show another field; sparse values are drawn as dots.

        Args:
            field: (latitude, longitude); ocean without a value is grey.
            kind: `temperature`, `difference`, `spread` or the name of another variable.
            limits: (low, high) of the colours.
            ocean: (latitude, longitude), bool.
            title: title of the map.
            observed: (latitude, longitude), bool; marked if they are sparse.
        """
        wet, values = np.asarray(ocean, bool), np.asarray(field, float)
        self.base.mesh.set_array(wet.astype(float))
        self.base.coast.set_segments(list(coast_lines(self.base.x, self.base.y, wet)))
        sparse = is_sparse(np.isfinite(values), wet)
        cells = np.full_like(values, np.nan) if sparse else values
        self.mesh.set_array(np.ma.masked_invalid(cells))
        # Change both limits silently: every notification redraws the colour bar.
        with self.norm.callbacks.blocked():
            self.norm.vmin, self.norm.vmax = limits
        if kind != self.kind:
            self.dots.set_cmap(colour_map(kind))
            self.mesh.set_cmap(colour_map(kind))
            self.kind = kind
        else:
            self.mesh.changed()
        known = np.isfinite(values) & sparse
        self.dots.set_offsets(np.stack([axis[known] for axis in self.centres], -1))
        self.dots.set_array(values[known])
        marked = np.zeros_like(wet)
        if observed is not None and not sparse and is_sparse(observed, ocean):
            marked = np.asarray(observed & ocean)
        self.observed.set_data(*(axis[marked] for axis in self.centres))
        self.bar.set_label(unit_label(field, kind))
        self.axes.set_title(title)

    def mark(self, places: Sequence, line: Sequence | np.ndarray = ()) -> None:
        """Mark places and draw a line.

        Args:
            places: (longitude, latitude) pairs, degrees.
            line: (longitude, latitude) of points along the line, degrees.
        """
        for artist, points in ((self.marks, places), (self.line, line)):
            degrees = np.array(points, float).reshape(-1, 2).T
            x, y = project(self.axes.projection, *degrees)
            # A line that leaves the map on one side re-enters on the other.
            jump = np.abs(np.diff(x, prepend=x[:1])) > np.ptp(self.base.x) / 2
            artist.set_data(np.where(jump & (artist is self.line), np.nan, x), y)


class LiveFigure(NamedTuple):
    """A figure of live maps."""

    figure: Figure
    maps: list[LiveMap]
    spare: list[Axes]  # panels without maps


@mpl.rc_context(STYLE)
def live_maps(
    field: xr.DataArray, ocean: xr.DataArray, number: int, *, spare: int = 0, width: float = 9.5
) -> LiveFigure:
    """Create a figure with live maps in a row.

    Args:
        field: (latitude, longitude), for its grid.
        ocean: (latitude, longitude), bool.
        number: number of maps.
        spare: number of further panels without maps.
        width: inches.
    """
    figure, grid = map_panels(field, 1, number + spare, extra=1.0, width=width)
    figure.set_figheight(max(figure.get_figheight(), MIN_HEIGHT))
    further = []
    for axes in grid[0, number:]:
        place = axes.get_subplotspec()
        axes.remove()
        further.append(figure.add_subplot(place))
    panels = grid[0, :number]
    maps = [LiveMap(axes, field, ocean, left=axes is panels[0]) for axes in panels]
    return LiveFigure(figure, maps, further)


def fix_layout(figure: Figure) -> bool:
    """Fix the layout of a figure, with room for two-line titles; True if it was not yet fixed."""
    if isinstance(figure.get_layout_engine(), PlaceHolderLayoutEngine):
        return False
    titles = {axes: axes.get_title() for axes in figure.axes if axes.get_label() != "<colorbar>"}
    for axes in titles:
        axes.set_title("\n")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, title in titles.items():
        axes.set_title(title)
    return True
