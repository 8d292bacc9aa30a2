"""One month at a glance: what is seen, and temperature, salinity and heat content made of it."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from xarray import DataArray, Dataset

from ocean_lib.fields.conventions import named
from ocean_lib.fields.derived import in_shown_unit
from ocean_lib.fields.reconstruction_file import select
from ocean_lib.plots import painting, style
from ocean_lib.plots.labels import calibrated_suffix, case_title, depth_label
from ocean_lib.plots.painting import paint
from ocean_lib.plots.style import (
    STYLE,
    Panels,
    colour_bar,
    figure_title,
    map_panels,
    robust_limits,
    unit_label,
)

__all__ = ["overview"]


class _Row(NamedTuple):
    """A quantity, and the surface field that tells most about it."""

    label: str
    kind: str
    above: str  # name of the surface field
    truth: DataArray
    mean: DataArray
    error: DataArray


def _rows(selected: Dataset, depth: float, derived: str) -> list[_Row]:
    """The quantities that the reconstruction has."""
    level = selected.sel(depth=depth, method="nearest")
    rows = []
    for variable in ("temperature", "salinity"):
        if named(variable, "truth") in level:
            fields = (level[named(variable, part)] for part in ("truth", "mean", "spread"))
            label = f"{variable.capitalize()}, {depth_label(level['depth'])}"
            rows.append(_Row(label, variable, f"surface_{variable}", *fields))
    if f"{derived}_truth" in selected:
        fields = (
            in_shown_unit(selected[f"{derived}_{part}"], derived)
            for part in ("truth", "mean", "error")
        )
        label = derived.replace("_", " ").capitalize() + " m"
        rows.append(_Row(label, derived, "sea_level", *fields))
    return rows


@mpl.rc_context(STYLE)
def overview(
    reconstruction: Dataset,
    *,
    case: str | None = None,
    time: str | np.datetime64 | None = None,
    depth: float = 100.0,
    derived: str = "heat_content_700",
    axes: Panels = None,
) -> Figure:
    """Map what satellites and profiles see, truth, ensemble mean and its standard error.

    One row each for temperature, salinity and a derived quantity, where the reconstruction has
    them; dots are profiles. The first column shows surface temperature, surface salinity and sea
    level, and is empty where the case does not see them.

    Args:
        reconstruction: the dataset of reconstruction.nc.
        case: name of the case; the first by default.
        time: the nearest date is selected; the first by default.
        depth: metres, the nearest level is selected.
        derived: name of a derived quantity.
        axes: four GeoAxes per row to draw on.
    """
    selected = select(reconstruction, case=case, time=time)
    rows = _rows(selected, depth, derived)
    ocean, observed = (selected[part].any("depth") for part in ("ocean", "observed"))
    size = {"width": 7.8, "extra": 0.4 + 0.5 * len(rows)}
    figure, grid = map_panels(rows[0].truth, len(rows), 4, axes=axes, **size)
    for panels, row in zip(grid, rows, strict=True):
        bottom = row is rows[-1]
        seen = selected.get(row.above, row.truth.where(False))
        shown = [(seen, row.above), (row.truth, row.kind), (row.mean, row.kind)]
        limits = [robust_limits(seen), *[robust_limits(row.truth, row.mean)] * 2]
        shown.append((row.error, "spread"))
        limits.append(robust_limits(row.error, kind="spread"))
        meshes = [
            paint(
                panel,
                field.where(ocean),
                kind=kind.removeprefix("surface_"),
                limits=extent,
                ocean=ocean,
                left=panel is panels[0],
                bottom=bottom,
            )
            for panel, (field, kind), extent in zip(panels, shown, limits, strict=True)
        ]
        if painting.is_sparse(observed, ocean):
            for panel in panels:
                places = painting.cell_positions(observed & ocean)
                painting.dots(panel, *places, s=4, c="white", edgecolors="black")
        panels[0].set_ylabel(row.label, fontweight="bold")
        label = unit_label(seen, row.above) if row.above in selected else "not seen"
        colour_bar(meshes[0], panels[0], label, "bottom", aspect=16)
        colour_bar(
            meshes[2], list(panels[1:3]), unit_label(row.mean, row.kind), "bottom", aspect=34
        )
        colour_bar(meshes[3], panels[3], style.unit(row.error), "bottom", aspect=16)
    titles = ("Seen from above", "Truth", "Mean", "Standard error" + calibrated_suffix(selected))
    for panel, name in zip(grid[0], titles, strict=True):
        panel.set_title(name)
    figure_title(figure, axes, case_title(selected))
    return figure
