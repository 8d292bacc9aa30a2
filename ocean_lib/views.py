"""What the explorers show: figures that are kept, and changed by `show` and `click`.

A view holds its figure and the data behind it, and knows nothing of widgets or canvases, so that it
also makes a still. Its maps are those of `live`.
"""

import matplotlib as mpl
import numpy as np

from ocean_lib.charts import loss_curve
from ocean_lib.dataset import observe
from ocean_lib.drawing import STYLE, depth_axis, depth_edges, robust_limits, unit_label
from ocean_lib.fans import fan, nearby, remotest
from ocean_lib.labels import metres, month, place_label, select
from ocean_lib.live import live_maps, settle
from ocean_lib.projections import cell_edges, unproject
from ocean_lib.sections import paint_section, transect

__all__ = ["DenoisingView", "LossView", "MasksView", "ReconstructionView", "choices", "still"]

MINUS = " − truth"


def choices(reconstruction, baselines=None):
    """Names of what a map of a reconstruction can show, the baselines and their errors last."""
    names = ["truth", "observed", "mean", "spread", "error", "background", "climatology"]
    names = [name for name in names if name in ("observed", "error") or name in reconstruction]
    names += [f"member {i + 1}" for i in range(reconstruction.sizes["member"])]
    methods = [] if baselines is None else [str(name) for name in baselines["method"].values]
    methods = [name for name in methods if name not in names]
    others = [name for name in ("background", "climatology") if name in names]
    return names + methods + [name + MINUS for name in (*methods, *others)]


def _shown(chosen, name):
    """The field (…, latitude, longitude) behind a name, and its kind."""
    if name == "error":
        name = "mean" + MINUS
    if name.endswith(MINUS):
        field, _ = _shown(chosen, name.removesuffix(MINUS))
        return field - chosen["truth"], "difference"
    if name == "observed":
        field = chosen["value"].where(chosen["observed"])
    elif name.startswith("member "):
        field = chosen["members"].isel(member=int(name.split()[1]) - 1)
    elif name in chosen:
        field = chosen[name]
    else:
        field = chosen["baselines"].sel({"method": name}, drop=True)
    kind = "spread" if name == "spread" else "temperature"
    return field.where(chosen["ocean"]), kind


class ReconstructionView:
    """Two maps of a reconstruction, and what lies below a click.

    A click on a map opens the profile there: the ensemble as a fan and what was observed nearby. A
    second click opens the section of the right map between the two places; a third begins again.

    Args:
        reconstruction: the dataset of reconstruction.nc; a spread with a calibration has it.
        baselines: the dataset of baselines.nc, for other methods beside it.
    """

    @mpl.rc_context(STYLE)
    def __init__(self, reconstruction, baselines=None):
        self.data, self.clicks = reconstruction, []
        if baselines is not None:
            self.data = self.data.assign(baselines=baselines["mean"])
        if "calibration" in self.data:
            spread = self.data["spread"] * self.data["calibration"]
            self.data = self.data.assign(spread=spread.transpose(*self.data["spread"].dims))
        first = select(self.data, depth=float(reconstruction["depth"][0]))
        first = first[["truth", "ocean"]].transpose("latitude", "longitude")
        made = live_maps(first["truth"], first["ocean"], 2, spare=1)
        self.figure, self.maps, (self.below,) = made
        self.below.set_axis_off()
        words = "Click a map: the profile there.\nClick again: the section\nbetween the two."
        self.below.text(0.5, 0.5, words, ha="center", va="center", color="#555555")
        self.bar = self.figure.add_axes([0, 0, 1, 1])
        self.bar.set_visible(False)
        self.bar.set_in_layout(False)

    @mpl.rc_context(STYLE)
    def show(self, case, time, depth, left="truth", right="mean", profile="anomaly"):
        """Change what both maps show; the profile (`anomaly`, `temperature`) or section follows."""
        self.chosen, self.names = select(self.data, case=case, time=time), (left, right)
        self.anomaly = profile == "anomaly" and "climatology" in self.data
        level = self.chosen.sel(depth=depth, method="nearest")
        level = level.transpose(..., "latitude", "longitude")
        self.depth = float(level["depth"])
        of_truth = self.data["truth"].sel(depth=depth, method="nearest")
        warm = robust_limits(of_truth.where(level["ocean"]))
        shown = [_shown(level, name) for name in self.names]
        for one, name, (field, kind) in zip(self.maps, self.names, shown):
            alike = [other for other, its in shown if its == kind]
            limits = warm if kind == "temperature" else robust_limits(*alike, kind=kind)
            title, seen = self._title(level, field, name, kind), level["observed"]
            one.set(field, kind, limits, level["ocean"], title, seen)
        self.figure.suptitle(f"{case}, {month(time)}, {metres(self.depth)}")
        if settle(self.figure):
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
        for one in self.maps:
            one.mark(self.clicks)
        self._draw_below()

    def _title(self, level, field, name, kind):
        """The name; of an error what it amounts to where nothing was observed."""
        if kind != "difference":
            calibrated = name == "spread" and "calibration" in self.data
            return name.capitalize() + (", calibrated" if calibrated else "")
        hidden = level["ocean"] & ~level["observed"]
        weights = np.cos(np.radians(level["latitude"])) * (hidden & field.notnull())
        size = float(np.sqrt((field**2 * weights).sum() / weights.sum()))
        return f"{name.capitalize()}\nRMSE {size:.2f} where nothing was observed"

    def _draw_below(self):
        if not self.clicks:
            return
        axes, section = self.below, len(self.clicks) == 2
        axes.clear()
        axes.set_axis_on()
        self.bar.set_visible(section)
        left, bottom, width, height = self.place
        axes.set_position([left, bottom + 0.17 * section, width, height - 0.17 * section])
        (self._section if section else self._profile)()
        # On the free side, and as small as on the maps.
        axes.yaxis.tick_right()
        axes.yaxis.set_label_position("right")
        axes.tick_params(labelsize=STYLE["ytick.labelsize"])

    def _place(self, cell):
        return float(self.data["longitude"][cell[1]]), float(self.data["latitude"][cell[0]])

    def _profile(self):
        row, column = self.clicks[0]
        here, axes = self.chosen.isel(latitude=row, longitude=column), self.below
        axes.set_facecolor("white")
        axes.set_title(place_label(*self._place(self.clicks[0])))
        if not here["ocean"].any():
            axes.text(0.5, 0.5, "land", ha="center", transform=axes.transAxes)
            return
        beside = {name.removesuffix(MINUS) for name in self.names}
        beside = {name for name in beside if name not in self.data and name in self._methods()}
        beside = {name: _shown(here, name)[0] for name in sorted(beside)}
        base = here["climatology"] if self.anomaly else None
        seen = nearby(self.chosen, row, column)
        fan(axes, here, base=base, beside=beside, observed=seen)
        axes.axhline(self.depth, color="#777777", lw=0.6, ls=":")
        words = unit_label(here["truth"], "temperature")
        axes.set_xlabel(f"{words} − climatology" if self.anomaly else words)
        axes.legend(loc="lower right", fontsize=6)

    def _methods(self):
        return self.data["method"].values if "method" in self.data.coords else ()

    def _section(self):
        name, axes = self.names[1], self.below
        ends = [self._place(cell) for cell in self.clicks]
        cut = transect(self.chosen, ends).transpose(..., "depth", "distance")
        field, kind = _shown(cut, name)
        edges = depth_edges(cut["depth"].values)
        mesh = paint_section(
            axes,
            cell_edges(cut["distance"]),
            edges,
            field,
            kind=kind,
            limits=robust_limits(field, kind=kind),
        )
        depth_axis(axes, edges)
        axes.set_xlabel("Distance (km)")
        words = " to ".join(place_label(*end) for end in ends)
        axes.set_title(f"{name.capitalize()}\n{words}", fontsize=7)
        left, bottom, width, _ = self.place
        self.bar.clear()
        self.bar.set_position([left, bottom - 0.01, width, 0.025])
        bar = self.figure.colorbar(mesh, cax=self.bar, orientation="horizontal", extend="both")
        bar.set_label(unit_label(field, kind))
        self.bar.tick_params(labelsize=STYLE["xtick.labelsize"])


def still(
    reconstruction, baselines=None, *, case=None, time=None, depth=100.0, left="truth", right="mean"
):
    """The reconstruction's view as a figure: two maps and the profile farthest from observations.

    Case, month and depth as of `labels.select`; `left` and `right` are of `choices`. Returns the
    figure.
    """
    view = ReconstructionView(reconstruction, baselines)
    chosen = select(reconstruction, case=case, time=time)
    view.show(chosen["case"].item(), chosen["time"].values, depth, left, right)
    view.mark(*remotest(chosen))
    return view.figure


class MasksView:
    """What a network would see of one month: the surface, the observed values, and the field.

    Args:
        month: canonical dataset of one date, with `surface` where the store has one.
    """

    @mpl.rc_context(STYLE)
    def __init__(self, month):
        self.data, self.asked = month, None
        self.above = "surface" in month
        first = month["temperature"].isel(time=0, depth=0)
        made = live_maps(first, month["ocean"].isel(depth=0), 2 + self.above, width=9.5)
        self.figure, self.maps, _ = made

    @mpl.rc_context(STYLE)
    def show(self, pattern, fraction, depth, seed, surface=None):
        """Observe by a pattern, and show it at a depth.

        `fraction` of the ocean is observed; `surface` is the fraction of the surface under cloud,
        None where it is not seen.
        """
        asked = {"pattern": pattern, "observed": fraction}
        if surface is not None:
            asked |= {"surface": 1.0, "clouds": surface}
        if self.asked != (asked, seed):
            self.seen, self.asked = observe(self.data, asked, seed).isel(time=0), (asked, seed)
        level = self.seen.sel(depth=depth, method="nearest")
        field, ocean = (
            self.data["temperature"].isel(time=0).sel(depth=level["depth"]),
            level["ocean"],
        )
        limits, where = robust_limits(field.where(ocean)), metres(level["depth"])
        share = 100 * float((level["observed"] & ocean).sum() / max(int(ocean.sum()), 1))
        shown = [
            (level["value"], ocean, limits, f"Observed at {where}, {share:.3g} %"),
            (field.where(ocean), ocean, limits, f"Hidden behind it, {where}"),
        ]
        if self.above:
            above, wet = self.data["surface"].isel(time=0), self.data["ocean"].isel(depth=0)
            words = "Surface, seen from above" if surface is not None else "Surface, not seen"
            shown.insert(0, (level["surface"], wet, robust_limits(above), words))
        for one, (values, wet, extent, title) in zip(self.maps, shown, strict=True):
            one.set(values.assign_attrs(field.attrs), "temperature", extent, wet, title)
        self.figure.suptitle(f"{pattern}, {month(self.data['time'][0])}, seed {seed}")
        settle(self.figure)


class DenoisingView:
    """A sample being formed, beside what it comes to.

    Args:
        steps: (step, latitude, longitude) with the coordinate `noise_level`.
    """

    @mpl.rc_context(STYLE)
    def __init__(self, steps, kind="temperature"):
        self.steps, self.kind = steps.transpose("step", "latitude", "longitude"), kind
        last = self.steps.isel(step=-1)
        self.limits = robust_limits(last, kind=kind)
        self.ocean = last.notnull().reset_coords(drop=True)
        self.figure, self.maps, _ = live_maps(last, self.ocean, 2, width=7.2)
        self.maps[1].set(last, kind, self.limits, self.ocean, "Finished")

    @mpl.rc_context(STYLE)
    def show(self, step):
        """Show one step on the left."""
        now = self.steps.isel(step=step).where(self.ocean)
        title = f"Step {step}, noise {float(now['noise_level']):.2f}"
        self.maps[0].set(now, self.kind, self.limits, self.ocean, title)
        settle(self.figure)


class LossView:
    """The loss of a run so far, a panel a stage, drawn anew when there is more of it."""

    def __init__(self):
        self.figure = mpl.figure.Figure((7.2, 2.8), dpi=100, layout="constrained")

    @mpl.rc_context(STYLE)
    def show(self, records):
        """Draw the records of metrics.jsonl; without any the figure says that none came yet."""
        self.figure.clear()
        stages = len({record["stage"] for record in records})
        if stages:
            loss_curve(records, axes=self.figure.subplots(1, stages))
        else:
            words = "no training step is recorded yet"
            self.figure.text(0.5, 0.5, words, ha="center", color="#555555")
