"""What the explorer of a reconstruction shows: a figure that is kept, and changed by its controls.

A view holds its figure and the data behind it, and knows nothing of widgets or canvases, so that it
also makes a still. Its maps are those of `live`.
"""

import matplotlib as mpl
import numpy as np

from ocean_lib.explore.live_map import fix_layout, live_maps
from ocean_lib.fields.conventions import named
from ocean_lib.fields.reconstruction_file import select
from ocean_lib.plots.labels import (
    calibrated_suffix,
    capitalised,
    depth_label,
    month_label,
    place_label,
)
from ocean_lib.plots.painting import paint_section
from ocean_lib.plots.profiles import draw_profile, most_remote_column, observed_columns_near
from ocean_lib.plots.projections import cell_edges, unproject
from ocean_lib.plots.sections import transect
from ocean_lib.plots.style import STYLE, depth_axis, depth_edges, robust_limits, unit, unit_label
from ocean_lib.scores.calibration import calibrate_reconstruction

__all__ = ["ReconstructionView", "quantity_names", "still_figure", "variable_names"]


MINUS = " − truth"
QUANTITIES = (
    *("truth", "value", "observed", "mean", "members", "spread"),
    *("background", "climatology", "calibration", "calibration_power"),
)
STRIP = 0.17  # of the figure, below a profile or section


def variable_names(reconstruction):
    """Temperature, and the further variables that ride along."""
    names = [str(name) for name in reconstruction.data_vars]
    return ["temperature", *(name[:-5] for name in names if name.endswith("_mean"))]


def _of(reconstruction, variable):
    """The dataset of one variable, its quantities named as those of temperature are."""
    if variable == "temperature":
        return reconstruction
    own = {named(variable, name): name for name in QUANTITIES}
    own = {name: plain for name, plain in own.items() if name in reconstruction}
    return reconstruction.drop_vars(QUANTITIES, errors="ignore").rename(own)


def quantity_names(reconstruction, baselines=None):
    """Names of what a map of a reconstruction can show, the baselines and their errors last."""
    names = ["truth", "observed", "mean", "spread", "background", "climatology"]
    known = {*reconstruction.data_vars} - ({"observed"} if "value" not in reconstruction else set())
    names = [name for name in names if name in known]
    names += [f"member {i + 1}" for i in range(reconstruction.sizes.get("member", 0))]
    methods = [] if baselines is None else [str(name) for name in baselines["method"].values]
    names += [name for name in methods if name not in names]
    compared = [name for name in ("mean", *methods, "background", "climatology") if name in names]
    return names + [name + MINUS for name in dict.fromkeys(compared) if "truth" in known]


def _shown(chosen, name):
    """The field (…, latitude, longitude) behind a name, and its kind."""
    units = {"units": chosen["mean"].attrs.get("units", "degrees_C")}
    if name.endswith(MINUS):
        field, _ = _shown(chosen, name.removesuffix(MINUS))
        return (field - chosen["truth"]).assign_attrs(units), "difference"
    if name == "observed":
        field = chosen["value"].where(chosen["observed"])
    elif name.startswith("member "):
        field = chosen["members"].isel(member=int(name.split()[1]) - 1)
    elif name in chosen:
        field = chosen[name]
    else:
        field = chosen["baselines"].sel({"method": name}, drop=True)
    kind = "spread" if name == "spread" else chosen.attrs["variable"]
    return field.where(chosen["ocean"]).assign_attrs(units), kind


def _limits(shown, warm):
    """Limits of each of several (field, kind): what is compared shares them."""
    alike = {kind: [field for field, its in shown if its == kind] for _, kind in shown}
    shared = {kind: robust_limits(*fields, kind=kind) for kind, fields in alike.items()}
    return [shared[kind] if kind in ("difference", "spread") else warm for _, kind in shown]


class ReconstructionView:
    """Two maps of a reconstruction, and what lies below a click.

    A click on a map opens the profile there: the ensemble as a fan and what was observed nearby. A
    second click opens the section of the right map between the two places; a third begins again.
    Members and spread are calibrated where the reconstruction says how.

    Args:
        reconstruction: the dataset of reconstruction.nc, or of a dense field without truth.
        baselines: the dataset of baselines.nc, for other methods beside it.
    """

    @mpl.rc_context(STYLE)
    def __init__(self, reconstruction, baselines=None):
        self.every, self.clicks = {}, []
        for variable in variable_names(reconstruction):
            one = _of(reconstruction, variable).assign_attrs(variable=variable)
            if baselines is not None:
                one = one.assign(baselines=baselines[named(variable, "mean")])
            self.every[variable] = one
        self.data = self.every["temperature"]
        self.reference = "truth" if "truth" in self.data else "mean"
        first = select(self.data, depth=float(reconstruction["depth"][0]))
        first = first[[self.reference, "ocean"]].transpose("latitude", "longitude")
        made = live_maps(first[self.reference], first["ocean"], 2, spare=1)
        self.figure, self.maps, (self.below,) = made
        self.below.set_axis_off()
        words = "Click a map: the profile there.\nClick again: the section\nbetween the two."
        look = {"ha": "center", "va": "center", "color": "#555555"}
        self.invitation = self.below.text(0.5, 0.5, words, **look)
        self.bar = self.figure.add_axes([0, 0, 1, 1])
        self.bar.set_visible(False)
        self.bar.set_in_layout(False)

    @mpl.rc_context(STYLE)
    def show(
        self,
        time,
        depth,
        left="truth",
        right="mean",
        profile="anomaly",
        case=None,
        variable="temperature",
    ):
        """Change what both maps show; the profile (`anomaly`, `value`) or section follows."""
        self.data = self.every[variable]
        self.chosen = calibrate_reconstruction(select(self.data, case=case, time=time))
        self.names = left, right
        self.anomaly = profile == "anomaly" and "climatology" in self.data
        level = self.chosen.sel(depth=depth, method="nearest")
        level = level.transpose(..., "latitude", "longitude")
        self.depth = float(level["depth"])
        of_all = self.data[self.reference].sel(depth=depth, method="nearest")
        shown = [_shown(level, name) for name in self.names]
        limits = _limits(shown, robust_limits(of_all.where(level["ocean"])))
        for one, name, (field, kind), extent in zip(self.maps, self.names, shown, limits):
            title = self._title(level, field, name, kind)
            one.set(field, kind, extent, level["ocean"], title, level["observed"])
        words = [*([] if case is None else [case]), month_label(time), depth_label(self.depth)]
        self.figure.suptitle(", ".join(words))
        if fix_layout(self.figure):
            left, bottom, width, height = self.below.get_position().bounds
            self.place = left, bottom, 0.86 * width, height  # room for its depths
        self._draw_below()

    def click(self, axes, x, y):
        """A click on a map, in its coordinates; True where it changed something."""
        if axes not in [one.axes for one in self.maps]:
            return False
        longitude, latitude = unproject(axes.projection, x, y)
        away = (self.data["longitude"].values - longitude + 180) % 360 - 180
        self.mark(int(abs(self.data["latitude"].values - latitude).argmin()), abs(away).argmin())
        return True

    @mpl.rc_context(STYLE)
    def mark(self, row, column):
        """As a click on that cell."""
        self.clicks = (self.clicks if len(self.clicks) == 1 else []) + [(row, int(column))]
        self._draw_below()

    def _title(self, level, field, name, kind):
        """The name; of an error what it amounts to where nothing was observed."""
        if not field.notnull().any():
            return f"{capitalised(name)}\nnone here"
        if kind != "difference":
            return capitalised(name) + (calibrated_suffix(level) if name == "spread" else "")
        hidden = level["ocean"] & ~level["observed"]
        weights = np.cos(np.radians(level["latitude"])) * (hidden & field.notnull())
        size = float(np.sqrt((field**2 * weights).sum() / weights.sum()))
        return f"{capitalised(name)}\nRMSE {size:.2g} {unit(field)} where nothing was observed"

    def _draw_below(self):
        places = [self._place(cell) for cell in self.clicks]
        section = len(places) == 2
        cut = transect(self.chosen, places) if section else None
        line = np.stack([cut["along_longitude"], cut["along_latitude"]], -1) if section else ()
        for one in self.maps:
            one.mark(places, line)
        if not places:
            return
        axes = self.below
        axes.clear()
        axes.set_axis_on()
        axes.set_facecolor("white")
        self.bar.set_visible(section)
        left, bottom, width, height = self.place
        axes.set_position([left, bottom + STRIP, width, height - STRIP])
        self._section(cut, places) if section else self._profile(places[0])
        # On the free side, and as small as on the maps.
        axes.yaxis.tick_right()
        axes.yaxis.set_label_position("right")
        axes.tick_params(labelsize=STYLE["ytick.labelsize"])

    def _place(self, cell):
        return float(self.data["longitude"][cell[1]]), float(self.data["latitude"][cell[0]])

    def _profile(self, place):
        row, column = self.clicks[0]
        here, axes = self.chosen.isel(latitude=row, longitude=column), self.below
        axes.set_title(place_label(*place))
        if not here["ocean"].any():
            axes.text(0.5, 0.5, "land", ha="center", transform=axes.transAxes)
            return
        beside = {name.removesuffix(MINUS) for name in self.names}
        methods = self.data["method"].values if "method" in self.data.coords else ()
        beside = {name for name in beside if name not in self.data and name in methods}
        beside = {name: _shown(here, name)[0] for name in sorted(beside)}
        seen = observed_columns_near(self.chosen, row, column)
        draw_profile(axes, here, anomaly=self.anomaly, beside=beside, observed=seen)
        axes.axhline(self.depth, color="#777777", lw=0.6, ls=":")
        words = unit_label(here["mean"], self.chosen.attrs["variable"])
        axes.set_xlabel(f"{words} − climatology" if self.anomaly else words)
        look = {"loc": "upper center", "bbox_to_anchor": (0.55, -0.2), "ncols": 2}
        axes.legend(fontsize=6, frameon=False, handlelength=1.5, columnspacing=1, **look)

    def _section(self, cut, ends):
        cut, axes = cut.transpose(..., "depth", "distance"), self.below
        shown = [_shown(cut, name) for name in self.names]
        warm = robust_limits(cut[self.reference].where(cut["ocean"]))
        (field, kind), limits = shown[1], _limits(shown, warm)[1]
        edges = depth_edges(cut["depth"].values)
        x = cell_edges(cut["distance"])
        mesh = paint_section(axes, x, edges, field, cut["ocean"], kind=kind, limits=limits)
        depth_axis(axes, edges)
        axes.set_xlabel("Distance (km)")
        words = " to ".join(place_label(*end) for end in ends)
        axes.set_title(f"{capitalised(self.names[1])}\n{words}", fontsize=7)
        left, bottom, width, _ = self.place
        self.bar.clear()
        self.bar.set_position([left, bottom - 0.01, width, 0.025])
        bar = self.figure.colorbar(mesh, cax=self.bar, orientation="horizontal", extend="both")
        bar.set_label(unit_label(field, kind))
        self.bar.tick_params(labelsize=STYLE["xtick.labelsize"])


def still_figure(
    reconstruction, baselines=None, *, case=None, time=None, depth=100.0, left="truth", right="mean"
):
    """The reconstruction's view as a figure: two maps and the profile farthest from observations.

    Case, month and depth as of `labels.select`; `left` and `right` are of `choices`. Returns the
    figure.
    """
    view = ReconstructionView(reconstruction, baselines)
    chosen = select(reconstruction, case=case, time=time)
    view.show(chosen["time"].values, depth, left, right, case=chosen["case"].item())
    view.mark(*most_remote_column(chosen))
    return view.figure
