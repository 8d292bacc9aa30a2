"""Maps of fields, observations and reconstructions, each a figure fit for a paper.

Every function takes labelled arrays and returns its figure, unknown to pyplot: a notebook shows it
once and nothing has to be closed. Where `axes` are given, GeoAxes of any projection and as many as
there are panels, they are drawn on. Months and depths are chosen by the nearest label, cases by
name. Land, hidden ocean, colours and shared limits are those of `drawing`; nothing is downloaded.

A sample forming, as a GIF that a page can show.
"""

import io

import matplotlib as mpl
import numpy as np
from matplotlib.patches import Patch
from PIL import Image

from ocean_lib.core.atomic import atomic_write
from ocean_lib.fields.reconstruction_file import select
from ocean_lib.plots.labels import calibrated_suffix, depth_label, month_label
from ocean_lib.plots.style import (
    HIDDEN,
    LAND,
    OBSERVED,
    SEA,
    STYLE,
    cell_positions,
    colour_bar,
    dots,
    is_sparse,
    legend,
    map_base,
    map_panels,
    paint,
    paint_observed,
    robust_limits,
    unit_label,
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


def _headline(figure, axes, title):
    """The words above a figure of our own; one that axes were given of has its own."""
    if axes is None:
        figure.suptitle(title or "")


@mpl.rc_context(STYLE)
def field_map(
    field, *, axes=None, kind="temperature", limits=None, title=None, ocean=None, observations=None
):
    """One field (latitude, longitude) on a map, with its colour bar; returns the figure.

    `kind` is `temperature`, `difference` or `spread`; `limits` (low, high) default to robust ones;
    `ocean` tells hidden cells from land where the field has gaps; `observations` are
    (longitudes, latitudes) to mark.
    Raises ValueError for a section (fewer than 2 rows or columns).
    """
    figure, grid = map_panels(field, 1, 1, extra=0.4, width=5.0, axes=axes)
    axes = grid[0, 0]
    mesh = paint(
        axes,
        field,
        kind=kind,
        limits=limits or robust_limits(field, kind=kind),
        ocean=ocean,
        title=title,
    )
    colour_bar(figure, mesh, axes, unit_label(field, kind))
    if observations is not None:
        dots(axes, *observations)
    return figure


@mpl.rc_context(STYLE)
def small_multiples(panels, *, columns=None, title=None, ocean=None, limits=None, axes=None):
    """Maps side by side from a list of (title, field (latitude, longitude), kind).

    Panels of one kind share limits and a colour bar: below the row where there is one row, at the
    right of the maps where there are several. `limits` {kind: (low, high)} replace the robust ones;
    `ocean` (latitude, longitude) tells hidden cells from land; temperatures in under 3 % of it are
    dots. Returns the figure.
    """
    columns = min(columns or len(panels), len(panels))
    rows = -(-len(panels) // columns)
    figure, grid = map_panels(
        panels[0][1], rows, columns, extra=0.9 if rows == 1 else 0.3, axes=axes
    )
    for spare in grid.flat[len(panels) :]:
        spare.remove()
    for kind in dict.fromkeys(panel[2] for panel in panels):
        alike = [i for i, panel in enumerate(panels) if panel[2] == kind]
        robust = robust_limits(*(panels[i][1] for i in alike), kind=kind)
        shared = (limits or {}).get(kind, robust)
        for i in alike:
            one, (name, field, _) = grid.flat[i], panels[i]
            place = {"title": name, "left": i % columns == 0, "bottom": i + columns >= len(panels)}
            if kind == "temperature" and ocean is not None:
                mesh = paint_observed(one, field, field.notnull(), ocean, limits=shared, **place)
            else:
                mesh = paint(one, field, kind=kind, limits=shared, ocean=ocean, **place)
        label = unit_label(panels[alike[0]][1], kind)
        if rows == 1:
            colour_bar(
                figure,
                mesh,
                [grid.flat[i] for i in alike],
                label,
                "bottom",
                aspect=18 * len(alike),
                shrink=0.9,
            )
        else:
            colour_bar(figure, mesh, list(grid.flat[: len(panels)]), label, aspect=30)
    _headline(figure, axes, title)
    return figure


@mpl.rc_context(STYLE)
def occlusion(field, observed, ocean, *, title=None, axes=None):
    """What an observation pattern leaves: observed values, field, observed mask, ocean mask.

    All three are (latitude, longitude); `observed` and `ocean` bool. Returns the figure.
    """
    observed, ocean = observed.astype(bool), ocean.astype(bool)
    figure, grid = map_panels(field, 2, 2, extra=0.4, axes=axes)
    limits = robust_limits(field.where(ocean))
    paint_observed(
        grid[0, 0], field, observed, ocean, limits=limits, title="Observed values", bottom=False
    )
    mesh = paint(
        grid[0, 1],
        field.where(ocean),
        kind="temperature",
        limits=limits,
        title="Field",
        left=False,
        bottom=False,
    )
    colour_bar(figure, mesh, list(grid[0]), unit_label(field, "temperature"))
    share = float((observed & ocean).sum()) / max(int(ocean.sum()), 1)
    seen = f"Observed mask ({100 * share:.3g} %)"
    for panel, mask, colour, name in (
        (grid[1, 0], observed & ocean, OBSERVED, seen),
        (grid[1, 1], ocean, SEA, "Ocean mask"),
    ):
        x, y, *_ = map_base(panel, field, ocean, title=name, left=panel is grid[1, 0])
        panel.pcolormesh(
            x,
            y,
            np.where(mask.transpose("latitude", "longitude"), 0.0, np.nan),
            cmap=mpl.colors.ListedColormap([colour]),
            rasterized=True,
        )
    names = {"observed": OBSERVED, "hidden": HIDDEN, "ocean": SEA, "land": LAND}
    legend(grid, axes, [Patch(color=colour) for colour in names.values()], list(names), 4)
    _headline(figure, axes, title)
    return figure


@mpl.rc_context(STYLE)
def observing_month(field, columns, *, surface_observed=None, title=None, axes=None):
    """A month as the observing system sees it: the field from above, profile positions on top.

    `field` (latitude, longitude), `columns` bool where a profile was taken; cells outside
    `surface_observed` (clouds) are grey. Returns the figure.
    """
    ocean = field.notnull()
    seen = field if surface_observed is None else field.where(surface_observed.astype(bool))
    figure, grid = map_panels(field, 1, 1, extra=0.6, width=5.0, axes=axes)
    mesh = paint(
        grid[0, 0], seen, kind="temperature", limits=robust_limits(field), ocean=ocean, title=title
    )
    colour_bar(figure, mesh, grid[0, 0], unit_label(field, "temperature"))
    longitude, latitude = cell_positions(columns.astype(bool) & ocean)
    shown = {f"{longitude.size} profiles": dots(grid[0, 0], longitude, latitude, s=14)}
    if surface_observed is not None:
        shown["cloud"] = Patch(color=HIDDEN)
    legend(grid, axes, list(shown.values()), list(shown), 2)
    return figure


@mpl.rc_context(STYLE)
def reconstruction_maps(reconstruction, *, case=None, time=None, depths=(0, 100, 500), axes=None):
    """Rows of depths; columns observed, truth, ensemble mean, error (mean - truth) and spread.

    `reconstruction` is the dataset of reconstruction.nc; `depths` in metres, nearest levels, each
    drawn once. Observed profiles are dots, also on the mean, error and spread; denser patterns are
    cells. Returns the figure.
    """
    chosen = select(reconstruction, case=case, time=time)
    levels = chosen["depth"].sel(depth=list(depths), method="nearest").values
    levels = list(dict.fromkeys(levels.tolist()))
    figure, grid = map_panels(
        chosen["truth"], len(levels), 5, width=7.8, extra=0.4 + 0.45 * len(levels), axes=axes
    )
    for row, depth in enumerate(levels):
        level = chosen.sel(depth=depth)
        ocean, seen, bottom = level["ocean"], grid[row, 0], row == len(levels) - 1
        truth, mean, spread = (level[name].where(ocean) for name in ("truth", "mean", "spread"))
        limits = robust_limits(truth, mean)
        paint_observed(seen, level["value"], level["observed"], ocean, limits=limits, bottom=bottom)
        seen.set_ylabel(depth_label(depth), fontweight="bold")
        for panel, field in zip(grid[row, 1:3], (truth, mean), strict=True):
            mesh = paint(panel, field, kind="temperature", limits=limits, left=False, bottom=bottom)
        colour_bar(
            figure, mesh, list(grid[row, :3]), unit_label(truth, "temperature"), "bottom", aspect=50
        )
        for panel, field, kind in (
            (grid[row, 3], mean - truth, "difference"),
            (grid[row, 4], spread, "spread"),
        ):
            mesh = paint(
                panel,
                field,
                kind=kind,
                limits=robust_limits(field, kind=kind),
                left=False,
                bottom=bottom,
            )
            colour_bar(figure, mesh, panel, "°C", "bottom", aspect=16)
        if is_sparse(level["observed"], ocean):
            for panel in grid[row, 2:]:
                dots(
                    panel,
                    *cell_positions(level["observed"] & ocean),
                    s=4,
                    c="white",
                    edgecolors="black",
                )
    names = ("Observed", "Truth", "Mean", "Mean − truth", "Spread" + calibrated_suffix(chosen))
    for panel, name in zip(grid[0], names, strict=True):
        panel.set_title(name)
    _headline(figure, axes, f"{chosen['case'].item()}, {month_label(chosen['time'])}")
    return figure


def members(reconstruction, *, case=None, time=None, depth=100.0, n=4, axes=None):
    """Truth, ensemble mean and the first `n` members of one level on maps; returns the figure."""
    chosen = select(reconstruction, case=case, time=time, depth=depth)
    shown = [("Truth", chosen["truth"], "temperature"), ("Mean", chosen["mean"], "temperature")]
    shown += [
        (f"Member {i + 1}", chosen["members"].isel(member=i), "temperature")
        for i in range(min(n, chosen.sizes["member"]))
    ]
    title = (
        f"{chosen['case'].item()}, {month_label(chosen['time'])}, {depth_label(chosen['depth'])}"
    )
    panels = [(name, field.where(chosen["ocean"]), kind) for name, field, kind in shown]
    return small_multiples(panels, columns=3, title=title, axes=axes)


def denoising(steps, *, n=8, kind="temperature", title=None, axes=None):
    """Sampling from noise to field: `n` of the steps (step, latitude, longitude) as small maps.

    `steps` carries the coordinate `noise_level`; the last is the finished field and sets the
    limits. Returns the figure.
    """
    chosen = np.unique(np.linspace(0, steps.sizes["step"] - 1, n).round().astype(int))
    panels = [
        (f"noise {float(steps['noise_level'][i]):.2g}", steps.isel(step=i), kind) for i in chosen
    ]
    limits = {kind: robust_limits(steps.isel(step=-1), kind=kind)}
    return small_multiples(panels, columns=4, title=title, limits=limits, axes=axes)


EACH, LAST = 350, 2500  # ms a frame


@mpl.rc_context(STYLE)
def denoising_animation(steps, path, *, kind="temperature", title=None):
    """From noise to field: a frame for each of the steps (step, latitude, longitude).

    `steps` carries the coordinate `noise_level`; the last is the finished field and sets the
    limits. `path` ends in .gif. Returns it.
    """
    last = steps.isel(step=-1).transpose("latitude", "longitude")
    figure, grid = map_panels(last, 1, 1, extra=0.5, width=4.2)
    mesh = paint(grid[0, 0], last, kind=kind, limits=robust_limits(last, kind=kind), title=" ")
    colour_bar(figure, mesh, grid[0, 0], unit_label(steps, kind))
    figure.suptitle(title)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # frames are of one size
    frames = []
    for index in range(steps.sizes["step"]):
        now = steps.isel(step=index).transpose("latitude", "longitude").where(last.notnull())
        mesh.set_array(np.ma.masked_invalid(np.asarray(now, float)))
        grid[0, 0].set_title(f"noise {float(steps['noise_level'][index]):.2f}")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
        frames.append(Image.open(buffer).convert("RGB"))
    lasting = [EACH] * (len(frames) - 1) + [LAST]
    with atomic_write(path) as beside:
        frames[0].save(
            beside, "GIF", save_all=True, append_images=frames[1:], duration=lasting, loop=0
        )
    return path
