"""Views for the explorers of masks, of the steps of sampling, and of a training run.

Each view has a figure that `show` updates, independent of widgets and canvases. The view of a
reconstruction is in `reconstruction_view`.
"""

import matplotlib as mpl
import xarray as xr

from ocean_lib.explore.live_map import fix_layout, live_maps
from ocean_lib.fields.conventions import SURFACES
from ocean_lib.plots.curves import loss_curve
from ocean_lib.plots.labels import capitalised, depth_label, month_label
from ocean_lib.plots.style import NOTE, STYLE, robust_limits

__all__ = ["DenoisingView", "LossView", "MasksView"]


class MasksView:
    """The observations of one month, as a network gets them, and the field.

    Args:
        month: canonical dataset of one date, with the surface fields of the store.
    """

    @mpl.rc_context(STYLE)
    def __init__(self, month: xr.Dataset):
        self.data, self.surfaces = month, [name for name in SURFACES if name in month]
        self.request: tuple = ()  # specification and seed of the current observations
        field, ocean = month["temperature"].isel(time=0, depth=0), month["ocean"].isel(depth=0)
        self.figure, self.maps, _ = live_maps(field, ocean, 2 + bool(self.surfaces))

    @mpl.rc_context(STYLE)
    def show(
        self,
        pattern: str,
        fraction: float,
        depth: float,
        seed: int,
        surface: float | None = None,
        above: str | None = None,
    ) -> None:
        """Observe the month and show one level.

        Args:
            pattern: name of the pattern.
            fraction: fraction of the ocean that is observed.
            depth: metres, the nearest level is selected.
            seed: seed of the pattern.
            surface: cloudy fraction of the surface temperature; None if no surface field is seen.
            above: name of the surface field to show; the first by default.
        """
        from ocean_lib.observations.batch import observe  # imports torch, which only masks need

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
            (
                level["value"].assign_attrs(field.attrs),
                ocean,
                limits,
                f"Observed at {where}, {share:.3g} %",
            ),
            (field.where(ocean), ocean, limits, f"Field at {where}"),
        ]
        kinds = ["temperature", "temperature"]
        if self.surfaces:
            name = above or self.surfaces[0]
            kinds.insert(0, name.removeprefix("surface_"))
            title = capitalised(name.replace("_", " "))
            title += ", seen from above" if surface is not None else ", not seen"
            extent = robust_limits(self.data[name].isel(time=0))
            shown.insert(0, (level[name], self.data["ocean"].isel(depth=0), extent, title))
        for live_map, kind, (values, wet, extent, title) in zip(
            self.maps, kinds, shown, strict=True
        ):
            live_map.set(values, kind, extent, wet, title)
        self.figure.suptitle(f"{pattern}, {month_label(self.data['time'][0])}, seed {seed}")
        fix_layout(self.figure)


class DenoisingView:
    """The steps of sampling, beside the final field.

    Args:
        steps: (step, latitude, longitude) with the coordinate `noise_level`.
    """

    @mpl.rc_context(STYLE)
    def __init__(self, steps: xr.DataArray):
        self.steps = steps.transpose("step", "latitude", "longitude")
        last = self.steps.isel(step=-1)
        self.limits = robust_limits(last)
        self.ocean = last.notnull().reset_coords(drop=True)
        self.figure, self.maps, _ = live_maps(last, self.ocean, 2, width=7.2)
        self.maps[1].set(last, "temperature", self.limits, self.ocean, "Finished")

    @mpl.rc_context(STYLE)
    def show(self, step: int) -> None:
        """Show one step on the left."""
        field = self.steps.isel(step=step).where(self.ocean)
        title = f"Step {step}, noise {float(field['noise_level']):.2f}"
        self.maps[0].set(field, "temperature", self.limits, self.ocean, title)
        fix_layout(self.figure)


class LossView:
    """The loss of a run so far, one panel per stage."""

    def __init__(self) -> None:
        self.figure = mpl.figure.Figure((7.2, 2.8), dpi=100, layout="constrained")

    @mpl.rc_context(STYLE)
    def show(self, records: list[dict]) -> None:
        """Draw the records of metrics.jsonl, or a note that there are none yet."""
        self.figure.clear()
        stages = len({record["stage"] for record in records})
        if stages:
            loss_curve(records, axes=self.figure.subplots(1, stages))
        else:
            words = "no training step is recorded yet"
            self.figure.text(0.5, 0.5, words, ha="center", color=NOTE)
