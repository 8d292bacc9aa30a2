"""What the explorers of masks, of a sample forming and of a training show, as `inside` does.

Figures that are kept, and changed by `show`; they know nothing of widgets or canvases.
"""

import matplotlib as mpl

from ocean_lib.explore.live_map import fix_layout, live_maps
from ocean_lib.observations.batch import observe
from ocean_lib.plots.curves import loss_curve
from ocean_lib.plots.labels import depth_label, month_label
from ocean_lib.plots.style import STYLE, robust_limits

__all__ = ["DenoisingView", "LossView", "MasksView"]


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
        field = self.data["temperature"].isel(time=0).sel(depth=level["depth"])
        ocean = level["ocean"]
        limits, where = robust_limits(field.where(ocean)), depth_label(level["depth"])
        share = 100 * float((level["observed"] & ocean).sum() / max(int(ocean.sum()), 1))
        shown = [
            (level["value"], ocean, limits, f"Observed at {where}, {share:.3g} %"),
            (field.where(ocean), ocean, limits, f"Field at {where}"),
        ]
        if self.above:
            above, wet = self.data["surface"].isel(time=0), self.data["ocean"].isel(depth=0)
            words = "Surface, seen from above" if surface is not None else "Surface, not seen"
            shown.insert(0, (level["surface"], wet, robust_limits(above), words))
        for one, (values, wet, extent, title) in zip(self.maps, shown, strict=True):
            one.set(values.assign_attrs(field.attrs), "temperature", extent, wet, title)
        self.figure.suptitle(f"{pattern}, {month_label(self.data['time'][0])}, seed {seed}")
        fix_layout(self.figure)


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
        fix_layout(self.figure)


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
