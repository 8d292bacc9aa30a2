"""Maps of fields, observations and reconstructions, and the animation of a sample as it forms.

With `axes`, one GeoAxes of any projection per panel, the functions draw on those.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image
from xarray import DataArray, Dataset

from ocean_lib.core.atomic import atomic_write
from ocean_lib.fields.reconstruction_file import select
from ocean_lib.plots import painting, style
from ocean_lib.plots.labels import calibrated_suffix, case_title, depth_label, nearest_levels
from ocean_lib.plots.painting import paint, paint_observed
from ocean_lib.plots.style import (
    STYLE,
    Limits,
    Panels,
    colour_bar,
    figure_title,
    map_panels,
    robust_limits,
)

__all__ = [
    "denoising",
    "denoising_animation",
    "field_map",
    "members",
    "observing_month",
    "occlusion",
    "reconstruction_maps",
    "small_multiples",
]


COLUMN_NAMES = ("Observed", "Truth", "Mean", "Mean − truth")
FRAME, LAST_FRAME = 350, 2500  # durations in the animation, ms


@mpl.rc_context(STYLE)
def field_map(
    field: DataArray,
    *,
    axes: Panels = None,
    kind: str = "temperature",
    title: str = "",
    observations: tuple | None = None,
) -> Figure:
    """Map one field with its colour bar.

    Args:
        field: (latitude, longitude).
        axes: one GeoAxes to draw on.
        kind: `temperature`, `difference`, `spread` or the name of another variable.
        title: title of the map.
        observations: (longitudes, latitudes) in degrees, marked on the map.

    Raises:
        ValueError: the field is a section (fewer than 2 rows or columns).
    """
    figure, grid = map_panels(field, 1, 1, extra=0.4, width=5.0, axes=axes)
    mesh = paint(grid[0, 0], field, kind=kind, limits=robust_limits(field, kind=kind), title=title)
    colour_bar(mesh, grid[0, 0], style.unit_label(field, kind))
    if observations is not None:
        painting.dots(grid[0, 0], *observations)
    return figure


@mpl.rc_context(STYLE)
def small_multiples(
    panels: list[tuple[str, DataArray, str]],
    *,
    columns: int | None = None,
    title: str = "",
    ocean: DataArray | None = None,
    limits: dict[str, Limits] | None = None,
    axes: Panels = None,
) -> Figure:
    """Draw maps side by side; those of one kind share limits and a colour bar.

    Args:
        panels: title, field (latitude, longitude) and kind of each map; see `field_map`.
        columns: number of maps in a row; all by default.
        title: title of the figure.
        ocean: (latitude, longitude), bool; if given, sparse temperatures are drawn as dots.
        limits: {kind: (low, high)}; robust limits by default.
        axes: one GeoAxes per map to draw on.
    """
    columns = min(columns or len(panels), len(panels))
    rows = -(-len(panels) // columns)
    extra = 0.9 if rows == 1 else 0.3
    figure, grid = map_panels(panels[0][1], rows, columns, extra=extra, axes=axes)
    for empty in grid.flat[len(panels) :]:
        empty.remove()
    for kind in dict.fromkeys(kind for _, _, kind in panels):
        alike = [i for i, panel in enumerate(panels) if panel[2] == kind]
        fields = [panels[i][1] for i in alike]
        shared = (limits or {}).get(kind, robust_limits(*fields, kind=kind))
        for i, field in zip(alike, fields, strict=True):
            place: dict[str, Any] = {"left": i % columns == 0, "bottom": i + columns >= len(panels)}
            place |= {"title": panels[i][0], "limits": shared, "ocean": ocean}
            if kind == "temperature" and ocean is not None:
                mesh = paint_observed(grid.flat[i], field, field.notnull(), **place)
            else:
                mesh = paint(grid.flat[i], field, kind=kind, **place)
        label = style.unit_label(fields[0], kind)
        if rows == 1:
            size = {"aspect": 18 * len(alike), "shrink": 0.9}
            colour_bar(mesh, [grid.flat[i] for i in alike], label, "bottom", **size)
        else:
            colour_bar(mesh, list(grid.flat[: len(panels)]), label, aspect=30)
    figure_title(figure, axes, title)
    return figure


@mpl.rc_context(STYLE)
def occlusion(
    field: DataArray, observed: DataArray, ocean: DataArray, *, title: str = "", axes: Panels = None
) -> Figure:
    """Show an observation pattern in four maps: observed values, field, observed and ocean mask.

    Args:
        field: (latitude, longitude).
        observed: (latitude, longitude), bool.
        ocean: (latitude, longitude), bool.
        title: title of the figure.
        axes: four GeoAxes to draw on.
    """
    observed, ocean = observed.astype(bool), ocean.astype(bool)
    seen, water = observed & ocean, field.where(ocean)
    figure, grid = map_panels(field, 2, 2, extra=0.4, axes=axes)
    top: dict[str, Any] = {"limits": robust_limits(water), "bottom": False}
    paint_observed(grid[0, 0], field, observed, ocean, title="Observed values", **top)
    mesh = paint(grid[0, 1], water, kind="temperature", title="Field", left=False, **top)
    colour_bar(mesh, list(grid[0]), style.unit_label(field, "temperature"))
    share = 100 * (float(seen.sum()) / max(int(ocean.sum()), 1))
    words = f"Observed mask ({share:.3g} %)"
    painting.paint_mask(grid[1, 0], seen, ocean, style.OBSERVED, title=words)
    painting.paint_mask(grid[1, 1], ocean, ocean, style.SEA, title="Ocean mask", left=False)
    patches = [Patch(color=c) for c in (style.OBSERVED, style.HIDDEN, style.SEA, style.LAND)]
    style.legend(grid, axes, patches, ["observed", "hidden", "ocean", "land"], 4)
    figure_title(figure, axes, title)
    return figure


@mpl.rc_context(STYLE)
def observing_month(
    field: DataArray,
    columns: DataArray,
    *,
    surface_observed: DataArray | None = None,
    title: str = "",
    axes: Panels = None,
) -> Figure:
    """Map one month as the observing system samples it: the surface with profiles on top.

    Args:
        field: (latitude, longitude), the surface.
        columns: (latitude, longitude), bool, True where a profile was taken.
        surface_observed: (latitude, longitude), bool; other ocean is cloudy and drawn grey.
        title: title of the map.
        axes: one GeoAxes to draw on.
    """
    ocean = field.notnull()
    seen = field if surface_observed is None else field.where(surface_observed.astype(bool))
    figure, grid = map_panels(field, 1, 1, extra=0.6, width=5.0, axes=axes)
    limits, panel = robust_limits(field), grid[0, 0]
    mesh = paint(panel, seen, kind="temperature", limits=limits, ocean=ocean, title=title)
    colour_bar(mesh, panel, style.unit_label(field, "temperature"))
    longitude, latitude = painting.cell_positions(columns.astype(bool) & ocean)
    marks = painting.dots(panel, longitude, latitude, s=14)
    entries: dict[str, Any] = {f"{longitude.size} profiles": marks}
    if surface_observed is not None:
        entries["cloud"] = Patch(color=style.HIDDEN)
    style.legend(grid, axes, list(entries.values()), list(entries), 2)
    return figure


@mpl.rc_context(STYLE)
def reconstruction_maps(
    reconstruction: Dataset,
    *,
    case: str | None = None,
    time: str | np.datetime64 | None = None,
    depths: Sequence[float] = (0, 100, 500),
    axes: Panels = None,
) -> Figure:
    """Map observations, truth, ensemble mean, error and spread, one row per depth.

    Sparse observations are drawn as dots, also on the mean, error and spread.

    Args:
        reconstruction: the dataset of reconstruction.nc.
        case: name of the case; the first by default.
        time: the nearest date is selected; the first by default.
        depths: metres, the nearest levels are selected without repetition.
        axes: five GeoAxes per depth to draw on.
    """
    selected = select(reconstruction, case=case, time=time)
    levels = nearest_levels(selected, depths)
    extra = 0.4 + 0.45 * len(levels)
    figure, grid = map_panels(selected["truth"], len(levels), 5, width=7.8, extra=extra, axes=axes)
    for row, depth in zip(grid, levels, strict=True):
        level, bottom = selected.sel(depth=depth), depth == levels[-1]
        ocean, observed = level["ocean"], level["observed"]
        truth, mean, spread = (level[name].where(ocean) for name in ("truth", "mean", "spread"))
        limits = robust_limits(truth, mean)
        paint_observed(row[0], level["value"], observed, ocean, limits=limits, bottom=bottom)
        row[0].set_ylabel(depth_label(depth), fontweight="bold")
        for panel, field in zip(row[1:3], (truth, mean), strict=True):
            mesh = paint(panel, field, kind="temperature", limits=limits, left=False, bottom=bottom)
        colour_bar(mesh, list(row[:3]), style.unit_label(truth, "temperature"), "bottom", aspect=50)
        errors = (mean - truth, "difference"), (spread, "spread")
        for panel, (field, kind) in zip(row[3:], errors, strict=True):
            limits = robust_limits(field, kind=kind)
            mesh = paint(panel, field, kind=kind, limits=limits, left=False, bottom=bottom)
            colour_bar(mesh, panel, "°C", "bottom", aspect=16)
        if painting.is_sparse(observed, ocean):
            places = painting.cell_positions(observed & ocean)
            for panel in row[2:]:
                painting.dots(panel, *places, s=4, c="white", edgecolors="black")
    spread_name = "Spread" + calibrated_suffix(selected)
    for panel, name in zip(grid[0], (*COLUMN_NAMES, spread_name), strict=True):
        panel.set_title(name)
    figure_title(figure, axes, case_title(selected))
    return figure


def members(
    reconstruction: Dataset,
    *,
    case: str | None = None,
    time: str | np.datetime64 | None = None,
    depth: float = 100.0,
    n: int = 4,
    axes: Panels = None,
) -> Figure:
    """Map truth, ensemble mean and the first members at one level.

    Args:
        reconstruction: the dataset of reconstruction.nc.
        case: name of the case; the first by default.
        time: the nearest date is selected; the first by default.
        depth: metres, the nearest level is selected.
        n: number of members.
        axes: one GeoAxes per map to draw on.
    """
    level = select(reconstruction, case=case, time=time, depth=depth)
    fields = {"Truth": level["truth"], "Mean": level["mean"]}
    for i in range(min(n, level.sizes["member"])):
        fields[f"Member {i + 1}"] = level["members"].isel(member=i)
    panels = [(name, field.where(level["ocean"]), "temperature") for name, field in fields.items()]
    title = case_title(level, depth_label(level["depth"]))
    return small_multiples(panels, columns=3, title=title, axes=axes)


def denoising(steps: DataArray, *, n: int = 8, title: str = "", axes: Panels = None) -> Figure:
    """Show sampling from noise to a field in small maps.

    Args:
        steps: (step, latitude, longitude) with `noise_level`; the last step sets the limits.
        n: number of maps.
        title: title of the figure.
        axes: one GeoAxes per map to draw on.
    """
    shown = np.unique(np.linspace(0, steps.sizes["step"] - 1, n).round().astype(int))
    noise = steps["noise_level"]
    panels = [(f"noise {float(noise[i]):.2g}", steps.isel(step=i), "temperature") for i in shown]
    limits = {"temperature": robust_limits(steps.isel(step=-1))}
    return small_multiples(panels, columns=4, title=title, limits=limits, axes=axes)


@mpl.rc_context(STYLE)
def denoising_animation(steps: DataArray, path: str | Path, *, title: str = "") -> str | Path:
    """Show sampling from noise to a field in a GIF with one frame per step; returns `path`.

    Args:
        steps: see `denoising`.
        path: file to write, ending in .gif.
        title: title of the figure.
    """
    last = steps.isel(step=-1).transpose("latitude", "longitude")
    figure, grid = map_panels(last, 1, 1, extra=0.5, width=4.2)
    mesh = paint(grid[0, 0], last, kind="temperature", limits=robust_limits(last), title=" ")
    colour_bar(mesh, grid[0, 0], style.unit_label(steps, "temperature"))
    figure.suptitle(title)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # all frames have the same layout
    frames = []
    for index in range(steps.sizes["step"]):
        step = steps.isel(step=index).transpose("latitude", "longitude").where(last.notnull())
        mesh.set_array(np.ma.masked_invalid(np.asarray(step, float)))
        grid[0, 0].set_title(f"noise {float(steps['noise_level'][index]):.2f}")
        figure.savefig(buffer := io.BytesIO(), format="png", dpi=110)
        frames.append(Image.open(buffer).convert("RGB"))
    durations = [FRAME] * (len(frames) - 1) + [LAST_FRAME]
    options = {"save_all": True, "append_images": frames[1:], "loop": 0, "duration": durations}
    with atomic_write(path) as temporary:
        frames[0].save(temporary, "GIF", **options)
    return path
