"""A picture that is kept and changed: two maps of a reconstruction, and what lies below a click.

The figure is laid out once; afterwards a control changes the artists' values, and the canvas draws
them, which is several times faster than a new figure.  A click on a map opens the profile there:
the ensemble as a fan, the truth, and the observations nearby; a second click opens the section from
the first place to the second, and a third begins again.
"""

import cartopy.crs as crs
import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize

from ocean_lib.drawing import (
    COLOURS,
    LAND,
    STYLE,
    cell_edges,
    coast_lines,
    depth_axis,
    depth_edges,
    dots,
    map_base,
    map_panels,
    places,
    robust_limits,
    unit_label,
)
from ocean_lib.labels import degrees_label, metres, month, select

__all__ = ["ReconstructionView", "panels"]

NEAR = 60.0  # km: observations shown beside a profile
EARTH = 111.2  # km a degree
SPARSE = 0.03  # of the ocean: fewer observations are drawn as dots


def panels(reconstruction):
    """Names of what a map can show."""
    names = ["truth", "observed", "mean", "spread", "error", "background", "climatology"]
    there = [name for name in names if name in ("observed", "error") or name in reconstruction]
    return there + [f"member {i + 1}" for i in range(reconstruction.sizes["member"])]


def shown(chosen, name):
    """The field (…, latitude, longitude) behind a name, and its kind."""
    if name == "observed":
        field = chosen["value"].where(chosen["observed"])
    elif name == "error":
        field = chosen["mean"] - chosen["truth"]
    elif name.startswith("member "):
        field = chosen["members"].isel(member=int(name.split()[1]) - 1)
    else:
        field = chosen[name]
    kind = {"error": "difference", "spread": "spread"}.get(name, "temperature")
    return field.where(chosen["ocean"]), kind


class _Map:
    """One map whose field, ocean, limits and title can be set again."""

    def __init__(self, figure, axes, field, ocean, left):
        self.axes = axes
        self.x, self.y = map_base(axes, field, ocean, left=left)
        self.base, self.coast = axes.collections[-2:]
        empty = np.full(field.shape, np.nan)
        self.norm, self.kind = Normalize(0, 1), None
        self.mesh = axes.pcolormesh(
            self.x, self.y, np.ma.masked_invalid(empty), norm=self.norm, rasterized=True
        )
        marks = {"s": 10, "edgecolors": "black", "linewidths": 0.3, "norm": self.norm}
        self.dots = dots(axes, [], [], c=[], **marks)
        self.marks = axes.plot([], [], "o-", color="black", mfc="white", ms=5, lw=1, zorder=5)[0]
        self.bar = figure.colorbar(self.mesh, ax=axes, location="bottom", extend="both", pad=0.02)

    def set(self, field, kind, limits, ocean, title):
        wet = np.asarray(ocean, bool)
        self.base.set_array(np.where(wet, 0.0, np.nan))
        self.coast.set_segments(coast_lines(self.x, self.y, wet))
        values = np.asarray(field, float)
        sparse = 0 < np.isfinite(values).sum() < SPARSE * wet.sum()
        self.mesh.set_array(
            np.ma.masked_invalid(np.full_like(values, np.nan) if sparse else values)
        )
        # Colours and limits change at once: the bar is drawn anew at every change.
        with self.norm.callbacks.blocked():
            self.norm.vmin, self.norm.vmax = limits
        if kind != self.kind:
            self.dots.set_cmap(COLOURS[kind][0])
            self.mesh.set_cmap(COLOURS[kind][0])
            self.kind = kind
        else:
            self.mesh.changed()
        seen = field.notnull() & sparse
        at = dots(self.axes, *places(seen), s=0)
        self.dots.set_offsets(at.get_offsets())
        at.remove()
        self.dots.set_array(values[np.asarray(seen)])
        self.bar.set_label(unit_label(field, kind))
        self.axes.set_title(title)


class ReconstructionView:
    """The figure of `explorer.explore_reconstruction`.

    Args:
        reconstruction: the dataset of reconstruction.nc.
    """

    def __init__(self, reconstruction):
        self.data, self.clicks = reconstruction, []
        first = select(reconstruction, depth=float(reconstruction.depth[0]))
        self.grid = [first[name].values for name in ("longitude", "latitude")]
        with mpl.rc_context(STYLE):
            self.figure, axes = map_panels(
                first["truth"].transpose("latitude", "longitude"), 1, 3, extra=0.8, width=9.5
            )
            below = axes[0, 2].get_subplotspec()
            axes[0, 2].remove()
            self.below = self.figure.add_subplot(below)
            ocean = first["ocean"].transpose("latitude", "longitude")
            self.maps = [
                _Map(self.figure, one, first["truth"], ocean, left=k == 0)
                for k, one in enumerate(axes[0, :2])
            ]
            self._invite()
        self.laid_out = False

    @mpl.rc_context(STYLE)
    def show(self, case, time, depth, left="truth", right="mean"):
        """Change what both maps show; the profile or section follows."""
        self.chosen = select(self.data, case=case, time=time)
        level = select(self.data, case=case, time=time, depth=depth)
        level = level.transpose(..., "latitude", "longitude")
        self.depth = float(level.depth)
        of_truth = self.data["truth"].sel(depth=depth, method="nearest")
        warm = robust_limits(of_truth.where(level["ocean"]))
        for one, name in zip(self.maps, (left, right)):
            field, kind = shown(level, name)
            limits = warm if kind == "temperature" else robust_limits(field, kind=kind)
            one.set(field, kind, limits, level["ocean"], name.capitalize())
        self.figure.suptitle(f"{case}, {month(time)}, {metres(self.depth)}")
        self._draw_below()
        if not self.laid_out:  # once: afterwards nothing changes its size
            self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")
            left, bottom, width, height = self.below.get_position().bounds
            self.below.set_position([left, bottom, 0.86 * width, height])  # room for its depths
            self.laid_out = True

    def click(self, axes, x, y):
        """A click on a map, in its coordinates; True where it changed something."""
        if axes not in [one.axes for one in self.maps]:
            return False
        longitude, latitude = crs.PlateCarree().transform_point(x, y, axes.projection)
        column = int(abs((self.grid[0] - longitude + 180) % 360 - 180).argmin())
        row = int(abs(self.grid[1] - latitude).argmin())
        self.clicks = (self.clicks if len(self.clicks) == 1 else []) + [(row, column)]
        for one in self.maps:
            middle = [(edges[1:] + edges[:-1]) / 2 for edges in (one.x, one.y)]
            one.marks.set_data(
                [middle[0][c] for _, c in self.clicks], [middle[1][r] for r, _ in self.clicks]
            )
        with mpl.rc_context(STYLE):
            self._draw_below()
        return True

    def _invite(self):
        self.below.clear()
        self.below.set_axis_off()
        words = "Click a map: the profile there.\nClick again: the section\nbetween the two."
        self.below.text(0.5, 0.5, words, ha="center", va="center", color="#555555")

    def _draw_below(self):
        if not self.clicks:
            return
        self.below.clear()
        self.below.set_axis_on()
        self.below.set_facecolor("white")
        (self._profile if len(self.clicks) == 1 else self._section)()
        # On the free side, and as small as on the maps.
        self.below.yaxis.tick_right()
        self.below.yaxis.set_label_position("right")
        self.below.tick_params(labelsize=STYLE["ytick.labelsize"])

    def _profile(self):
        """The fan of the ensemble, the truth, and observations within `NEAR`."""
        row, column = self.clicks[0]
        here = self.chosen.isel(latitude=row, longitude=column)
        here = here.isel(depth=np.flatnonzero(here["ocean"].values))
        depth = here.depth.values
        self.below.set_title(self._words(row, column))
        if not len(depth):
            self.below.text(0.5, 0.5, "land", ha="center", transform=self.below.transAxes)
            return
        low, high = np.nanquantile(here["members"].transpose("member", "depth"), (0.05, 0.95), 0)
        axes = self.below
        axes.fill_betweenx(
            depth, low, high, color="#0072b2", alpha=0.25, lw=0, label="90 % of members"
        )
        axes.plot(here["mean"], depth, color="#0072b2", label="mean")
        axes.plot(here["truth"], depth, color="black", lw=1, label="truth")
        if "background" in here:
            axes.plot(
                here["background"], depth, color="#777777", lw=0.8, ls="--", label="background"
            )
        y, x = np.meshgrid(self.grid[1], self.grid[0], indexing="ij")
        shrink = np.cos(np.radians(self.grid[1][row]))
        apart = EARTH * np.hypot(y - y[row, column], shrink * (x - x[row, column]))
        near = self.chosen["observed"].values & (apart <= NEAR)
        if near.any():
            level, *_ = np.nonzero(near)
            axes.plot(
                self.chosen["value"].values[near],
                self.chosen.depth.values[level],
                "o",
                ms=3,
                color="#d55e00",
                label=f"observed within {NEAR:g} km",
            )
        depth_axis(axes, depth)
        axes.axhline(self.depth, color="#777777", lw=0.6, ls=":")
        axes.set_xlabel(unit_label(here["mean"], "temperature"))
        axes.legend(loc="lower right", fontsize=6)

    def _section(self):
        """The mean from the first click to the second, depth downward."""
        (row, column), (row2, column2) = self.clicks
        number = max(abs(row2 - row), abs(column2 - column), 1) + 1
        rows = np.linspace(row, row2, number).round().astype(int)
        columns = np.linspace(column, column2, number).round().astype(int)
        fields = self.chosen["mean"].where(self.chosen["ocean"]).transpose("depth", "latitude", ...)
        values = fields.values[:, rows, columns]
        along = np.concatenate([[0], np.cumsum(self._steps(rows, columns))])
        axes, (low, high) = self.below, robust_limits(fields)
        axes.pcolormesh(
            cell_edges(along),
            depth_edges(self.chosen.depth.values),
            np.ma.masked_invalid(values),
            cmap=COLOURS["temperature"][0],
            vmin=low,
            vmax=high,
            rasterized=True,
        )
        axes.set_facecolor(LAND)
        depth_axis(axes, depth_edges(self.chosen.depth.values))
        axes.set_xlabel("km")
        ends = " to ".join(self._words(*each) for each in self.clicks)
        axes.set_title(f"Mean, {ends}", fontsize=7)

    def _steps(self, rows, columns):
        y, x = self.grid[1][rows], self.grid[0][columns]
        return EARTH * np.hypot(np.diff(y), np.cos(np.radians(y[:-1])) * np.diff(x)) + 1e-3

    def _words(self, row, column):
        places = (self.grid[1][row], "latitude"), (self.grid[0][column], "longitude")
        return " ".join(degrees_label(round(float(value), 1), along) for value, along in places)
