"""View of a reconstruction: two maps, and a profile or section at the clicked places.

`show` and clicks update the figure. The view is independent of widgets and canvases, so notebooks
also use it for a static figure.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from cartopy.mpl.geoaxes import GeoAxes
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ocean_lib.explore.live_map import fix_layout, live_maps
from ocean_lib.explore.quantities import (
    MINUS_TRUTH,
    field_and_kind,
    of_variable,
    restrict,
    some_dates,
    variable_names,
    whole_columns,
)
from ocean_lib.fields.derived import in_shown_unit
from ocean_lib.fields.reconstruction_file import select
from ocean_lib.plots import profiles, style
from ocean_lib.plots.labels import (
    calibrated_suffix,
    capitalised,
    depth_label,
    month_label,
    place_label,
)
from ocean_lib.plots.painting import paint_section
from ocean_lib.plots.projections import cell_edges, unproject
from ocean_lib.plots.sections import transect
from ocean_lib.plots.style import STYLE, Limits, robust_limits
from ocean_lib.scores.calibration import calibrate_reconstruction

__all__ = ["ReconstructionView", "still_figure"]


LEGEND_HEIGHT = 0.17  # fraction of the figure, below a profile or section


def _shared_limits(shown: list[tuple[xr.DataArray, str]], of_variable: Limits) -> list[Limits]:
    """Limits of each (field, kind): shared by errors and spreads of one kind, else of_variable."""
    limits = {}
    for _, kind in shown:
        alike = [field for field, other in shown if other == kind]
        compared = kind in ("difference", "spread")
        limits[kind] = robust_limits(*alike, kind=kind) if compared else of_variable
    return [limits[kind] for _, kind in shown]


class ReconstructionView:
    """Two maps of a reconstruction, and a panel for the clicked places.

    A click on a map opens the profile there: the ensemble and the observations nearby. A second
    click opens the section of the right map between the two places; a third starts again. Members
    and spread are calibrated if the reconstruction holds the factors. Datasets may be those of open
    files: each change reads only what it shows.

    Args:
        reconstruction: the dataset of reconstruction.nc, or a dense field without truth.
        baselines: the dataset of baselines.nc, for comparison.
    """

    @mpl.rc_context(STYLE)
    def __init__(self, reconstruction: xr.Dataset, baselines: xr.Dataset | None = None):
        self.by_variable: dict[str, xr.Dataset] = {}
        self.clicks: list[tuple[int, int]] = []
        self.limits: dict[tuple[str, float], Limits] = {}  # of a variable at a depth
        for variable in variable_names(reconstruction):
            self.by_variable[variable] = of_variable(reconstruction, variable, baselines)
        self.data = self.by_variable["temperature"]
        self.reference = "truth" if "truth" in self.data else "mean"
        top = select(self.data, depth=float(reconstruction["depth"][0]))
        top = top[[self.reference, "ocean"]].compute().transpose("latitude", "longitude")
        live = live_maps(top[self.reference], top["ocean"], 2, spare=1)
        self.figure, self.maps, (self.detail,) = live
        self.detail.set_axis_off()
        words = "Click a map: the profile there.\nClick again: the section\nbetween the two."
        self.hint = self.detail.text(0.5, 0.5, words, ha="center", va="center", color=style.NOTE)
        self.detail_bar = self.figure.add_axes((0, 0, 1, 1))
        self.detail_bar.set_visible(False)
        self.detail_bar.set_in_layout(False)

    @mpl.rc_context(STYLE)
    def show(
        self,
        time: np.datetime64,
        depth: float,
        left: str = "truth",
        right: str = "mean",
        profile: str = "anomaly",
        case: str | None = None,
        variable: str = "temperature",
    ) -> None:
        """Change both maps; the profile or section follows.

        Args:
            time: the nearest date is selected.
            depth: metres, the nearest level is selected.
            left: quantity of the left map, one of `quantity_names`.
            right: quantity of the right map.
            profile: `anomaly` or `value`.
            case: name of the case; the first by default.
            variable: one of `variable_names`.
        """
        self.data, self.names = self.by_variable[variable], (left, right)
        columns = "depth" not in self.data["mean"].dims  # of a derived quantity
        self.selected = select(self.data, case=case, time=time)
        self.anomaly = profile == "anomaly" and "climatology" in self.data
        level = restrict(self.selected, self.names)
        self.depth = float(level["depth"].sel(depth=depth, method="nearest"))
        level = (level if columns else level.sel(depth=self.depth)).compute()
        level = whole_columns(level) if columns else calibrate_reconstruction(level)
        level = level.transpose(..., "latitude", "longitude")
        shown = [field_and_kind(level, name) for name in self.names]
        limits = _shared_limits(shown, self._limits(variable, level["ocean"]))
        for panel, name, (field, kind), extent in zip(self.maps, self.names, shown, limits):
            title = self._title(level, field, name, kind)
            panel.set(field, kind, extent, level["ocean"], title, level["observed"])
        words = [month_label(time), "whole column" if columns else depth_label(self.depth)]
        self.figure.suptitle(", ".join(words if case is None else [case, *words]))
        if columns:  # the profile and the section are those of temperature
            self.data = self.by_variable["temperature"]
            self.selected = select(self.data, case=case, time=time)
        if fix_layout(self.figure):
            left_edge, bottom, width, height = self.detail.get_position().bounds
            self.place = left_edge, bottom, 0.86 * width, height  # leaves room for the depths
        self._draw_detail()

    def click(self, axes: GeoAxes, x: float, y: float) -> bool:
        """Handle a click at a point of some axes; True if it changed the figure."""
        if axes not in [panel.axes for panel in self.maps]:
            return False
        self.mark(*profiles.nearest_cell(self.data, *unproject(axes.projection, x, y)))
        return True

    @mpl.rc_context(STYLE)
    def mark(self, row: int, column: int) -> None:
        """Handle a click on a cell."""
        self.clicks = (self.clicks if len(self.clicks) == 1 else []) + [(row, column)]
        self._draw_detail()

    def _limits(self, variable: str, ocean: xr.DataArray) -> Limits:
        """Limits of a variable at the present depth over all months, or `some_dates` of them."""
        key = variable, self.depth
        if key not in self.limits:
            dates = some_dates(self.data[self.reference])
            dates = dates.sel(depth=self.depth) if "depth" in dates.dims else dates
            self.limits[key] = robust_limits(in_shown_unit(dates, variable).where(ocean))
        return self.limits[key]

    def _title(self, level: xr.Dataset, field: xr.DataArray, name: str, kind: str) -> str:
        """Title of a map: the name, and for an error its RMSE over unobserved cells."""
        if not field.notnull().any():
            return f"{capitalised(name)}\nnone here"
        if kind != "difference":
            return capitalised(name) + (calibrated_suffix(level) if name == "spread" else "")
        hidden = level["ocean"] & ~level["observed"]
        weights = np.cos(np.radians(level["latitude"])) * (hidden & field.notnull())
        size = float(np.sqrt((field**2 * weights).sum() / weights.sum()))
        words = f"RMSE {size:.2g} {style.unit(field)} where nothing was observed"
        return f"{capitalised(name)}\n{words}"

    def _draw_detail(self) -> None:
        longitude, latitude = self.data["longitude"], self.data["latitude"]
        places = [(float(longitude[column]), float(latitude[row])) for row, column in self.clicks]
        section, line = None, np.empty((0, 2))
        if len(places) == 2:
            stored = restrict(self.selected, [*self.names, self.reference])
            section = calibrate_reconstruction(transect(stored, places))
            line = np.stack([section["along_longitude"], section["along_latitude"]], -1)
        for panel in self.maps:
            panel.mark(places, line)
        if not places:
            return
        axes = self.detail
        axes.clear()
        axes.set_axis_on()
        axes.set_facecolor("white")
        self.detail_bar.set_visible(section is not None)
        left, bottom, width, height = self.place
        axes.set_position((left, bottom + LEGEND_HEIGHT, width, height - LEGEND_HEIGHT))
        if section is None:
            self._draw_profile(axes, *self.clicks[0], place_label(*places[0]))
        else:
            self._draw_section(axes, section, " to ".join(place_label(*end) for end in places))
        # The depth axis goes to the free side, with labels as small as on the maps.
        axes.yaxis.tick_right()
        axes.yaxis.set_label_position("right")
        axes.tick_params(labelsize=STYLE["ytick.labelsize"])

    def _draw_profile(self, axes: Axes, row: int, column: int, title: str) -> None:
        here = self.selected.isel(latitude=row, longitude=column).compute()
        here = calibrate_reconstruction(here)
        axes.set_title(title)
        if not here["ocean"].any():
            axes.text(0.5, 0.5, "land", ha="center", transform=axes.transAxes)
            return
        methods = self.data["method"].values if "method" in self.data.coords else ()
        names = sorted({name.removesuffix(MINUS_TRUTH) for name in self.names})
        names = [name for name in names if name in methods and name not in self.data]
        beside = {name: field_and_kind(here, name)[0] for name in names}
        observed = profiles.observed_columns_near(self.selected, row, column)
        profiles.draw_profile(axes, here, anomaly=self.anomaly, beside=beside, observed=observed)
        axes.axhline(self.depth, color=style.GREY, lw=0.6, ls=":")
        words = style.unit_label(here["mean"], self.selected.attrs["variable"])
        axes.set_xlabel(f"{words} − climatology" if self.anomaly else words)
        place = {"loc": "upper center", "bbox_to_anchor": (0.55, -0.2), "ncols": 2}
        axes.legend(fontsize=6, frameon=False, handlelength=1.5, columnspacing=1, **place)

    def _draw_section(self, axes: Axes, section: xr.Dataset, title: str) -> None:
        section = section.transpose(..., "depth", "distance")
        ocean = section["ocean"]
        shown = [field_and_kind(section, name) for name in self.names]
        limits = _shared_limits(shown, robust_limits(section[self.reference].where(ocean)))[1]
        field, kind = shown[1]
        x, y = cell_edges(section["distance"]), style.depth_edges(section["depth"].values)
        mesh = paint_section(axes, x, y, field, ocean, kind=kind, limits=limits)
        style.depth_axis(axes, y)
        axes.set_xlabel("Distance (km)")
        axes.set_title(f"{capitalised(self.names[1])}\n{title}", fontsize=7)
        left, bottom, width, _ = self.place
        bar = self.detail_bar
        bar.clear()
        bar.set_position((left, bottom - 0.01, width, 0.025))
        colours = self.figure.colorbar(mesh, cax=bar, orientation="horizontal", extend="both")
        colours.set_label(style.unit_label(field, kind))
        bar.tick_params(labelsize=STYLE["xtick.labelsize"])


def still_figure(
    reconstruction: xr.Dataset,
    baselines: xr.Dataset | None = None,
    *,
    case: str | None = None,
    depth: float = 100.0,
    left: str = "truth",
    right: str = "mean",
    variable: str = "temperature",
) -> Figure:
    """Draw the first date as a static figure, with the profile farthest from observations.

    Args:
        reconstruction: the dataset of reconstruction.nc.
        baselines: the dataset of baselines.nc.
        case: name of the case; the first by default.
        depth: metres, the nearest level is selected.
        left: quantity of the left map, one of `quantity_names`.
        right: quantity of the right map.
        variable: a variable or derived quantity, one of `variable_names`.
    """
    view = ReconstructionView(reconstruction, baselines)
    selected = select(reconstruction, case=case)
    date: Any = selected["time"].values[()]
    view.show(date, depth, left, right, case=selected["case"].item(), variable=variable)
    view.mark(*profiles.most_remote_column(selected))
    return view.figure
