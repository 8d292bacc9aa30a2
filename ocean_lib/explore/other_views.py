"""The views of the explorers of masks, of a sample as it forms and of a training run.

Each keeps a figure that `show` changes, and knows nothing of widgets and canvases; the view of a
reconstruction is in `reconstruction_view`.
"""

import matplotlib as mpl
import xarray as xr

from ocean_lib.explore.live_map import fix_layout, live_maps
from ocean_lib.observations.batch import observe
from ocean_lib.plots.curves import loss_curve
from ocean_lib.plots.labels import depth_label, month_label
from ocean_lib.plots.style import NOTE, STYLE, robust_limits

__all__ = ["DenoisingView", "LossView", "MasksView"]


class MasksView:
    """What a network would see of one month: the surface, the observed values, and the field.

    Args:
        month: canonical dataset of one date, with `surface` where the store has one.
    """

    @mpl.rc_context(STYLE)
    def __init__(self, month: xr.Dataset):
        self.data, self.has_surface = month, "surface" in month
        self.request: tuple = ()  # the specification and the seed last observed with
        field, ocean = month["temperature"].isel(time=0, depth=0), month["ocean"].isel(depth=0)
        self.figure, self.maps, _ = live_maps(field, ocean, 2 + self.has_surface)

    @mpl.rc_context(STYLE)
    def show(
        self, pattern: str, fraction: float, depth: float, seed: int, surface: float | None = None
    ) -> None:
        """Observe the month and show one level.

        Args:
            pattern: its name.
            fraction: of the ocean that is observed.
            depth: metres, nearest level.
            seed: of the pattern.
            surface: fraction of the surface under cloud; None if the surface is not seen.
        """
        specification = {"pattern": pattern, "observed": fraction}
        if surface is not None:
            specification |= {"surface": 1.0, "clouds": surface}
        if self.request != (specification, seed):
            self.request = specification, seed
            self.observations = observe(self.data, specification, seed).isel(time=0)
        level = self.observations.sel(depth=depth, method="nearest")
        ocean, where = level["ocean"], depth_label(level["depth"])
        field = self.data["temperature"].isel(time=0).sel(depth=level["depth"])
        limits = robust_limits(field.where(ocean))
        share = 100 * float((level["observed"] & ocean).sum() / max(int(ocean.sum()), 1))
        shown = [
            (level["value"], ocean, limits, f"Observed at {where}, {share:.3g} %"),
            (field.where(ocean), ocean, limits, f"Field at {where}"),
        ]
        if self.has_surface:
            above, wet = self.data["surface"].isel(time=0), self.data["ocean"].isel(depth=0)
            title = "Surface, seen from above" if surface is not None else "Surface, not seen"
            shown.insert(0, (level["surface"], wet, robust_limits(above), title))
        for live_map, (values, wet, extent, title) in zip(self.maps, shown, strict=True):
            live_map.set(values.assign_attrs(field.attrs), "temperature", extent, wet, title)
        self.figure.suptitle(f"{pattern}, {month_label(self.data['time'][0])}, seed {seed}")
        fix_layout(self.figure)


class DenoisingView:
    """A sample as it forms, beside the finished field.

    Args:
        steps: (step, latitude, longitude) with the coordinate `noise_level`.
        kind: `temperature` or the name of another variable.
    """

    @mpl.rc_context(STYLE)
    def __init__(self, steps: xr.DataArray, kind: str = "temperature"):
        self.steps, self.kind = steps.transpose("step", "latitude", "longitude"), kind
        last = self.steps.isel(step=-1)
        self.limits = robust_limits(last, kind=kind)
        self.ocean = last.notnull().reset_coords(drop=True)
        self.figure, self.maps, _ = live_maps(last, self.ocean, 2, width=7.2)
        self.maps[1].set(last, kind, self.limits, self.ocean, "Finished")

    @mpl.rc_context(STYLE)
    def show(self, step: int) -> None:
        """Show one step on the left."""
        field = self.steps.isel(step=step).where(self.ocean)
        title = f"Step {step}, noise {float(field['noise_level']):.2f}"
        self.maps[0].set(field, self.kind, self.limits, self.ocean, title)
        fix_layout(self.figure)


class LossView:
    """The loss of a run so far, one panel a stage."""

    def __init__(self) -> None:
        self.figure = mpl.figure.Figure((7.2, 2.8), dpi=100, layout="constrained")

    @mpl.rc_context(STYLE)
    def show(self, records: list[dict]) -> None:
        """Draw the records of metrics.jsonl anew, or say that there are none yet."""
        self.figure.clear()
        stages = len({record["stage"] for record in records})
        if stages:
            loss_curve(records, axes=self.figure.subplots(1, stages))
        else:
            words = "no training step is recorded yet"
            self.figure.text(0.5, 0.5, words, ha="center", color=NOTE)
