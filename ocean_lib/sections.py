"""Sections and profiles: what lies under a map, each a figure fit for a paper.

Depth runs downward on a square-root scale, which gives the thermocline the room it needs and keeps
the deep ocean in sight. Reconstructions come as the dataset of reconstruction.nc.
"""

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import MaxNLocator

from ocean_lib.drawing import (
    COLOURS,
    LAND,
    STYLE,
    cell_edges,
    colour_bar,
    depth_axis,
    depth_edges,
    new_figure,
    outline,
    robust_limits,
    unit_label,
)
from ocean_lib.labels import degrees_label, month, select

__all__ = ["profile", "section"]

BLACK, BLUE, ORANGE, GREEN, GREY = "#000000", "#0072b2", "#d55e00", "#009e73", "#777777"
OTHERS = ["#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#777777", "#f0e442", "#000000"]


def _line(chosen, latitude, longitude):
    """The row (or column) of a section, and the dimension that runs along it."""
    if longitude is not None and latitude is not None:
        raise ValueError("a section runs along one latitude or one longitude; give one of them")
    if longitude is not None:
        return chosen.sel(longitude=longitude, method="nearest"), "latitude"
    if latitude is not None:
        return chosen.sel(latitude=latitude, method="nearest"), "longitude"
    # Among the rows with nearly the most ocean the one nearest the middle.
    wet = chosen["ocean"].sum(["depth", "longitude"]).values
    rows = np.nonzero(wet >= 0.97 * wet.max())[0]
    middle = rows[np.abs(rows - (wet.size - 1) / 2).argmin()]
    return chosen.isel(latitude=int(middle)), "longitude"


@mpl.rc_context(STYLE)
def section(reconstruction, *, case=None, time=None, latitude=None, longitude=None):
    """Truth, ensemble mean, error and spread along a row of cells, depth downward.

    The row is the nearest to `latitude` (or the column nearest to `longitude`), by default a row
    with most ocean. The sea floor has the colour of land; observed cells are outlined on the truth
    and the columns holding any, where they are few, ticked on top. Returns the figure.
    Raises ValueError where both a latitude and a longitude are given.
    """
    chosen, along = _line(select(reconstruction, case=case, time=time), latitude, longitude)
    chosen = chosen.transpose(..., "depth", along)
    ocean, observed = chosen["ocean"], chosen["observed"] & chosen["ocean"]
    truth, mean, spread = (chosen[name].where(ocean) for name in ("truth", "mean", "spread"))
    x, y = cell_edges(chosen[along]), depth_edges(chosen["depth"])
    figure = new_figure(height=4.2)
    figure.set_layout_engine("constrained")
    grid = figure.subplots(2, 2, sharex=True, sharey=True)
    limits = robust_limits(truth, mean)
    panels = [
        ("Truth, observed cells outlined", truth, "temperature", limits),
        ("Ensemble mean", mean, "temperature", limits),
    ]
    panels += [
        (name, field, kind, robust_limits(field, kind=kind))
        for name, field, kind in (
            ("Error (mean - truth)", mean - truth, "difference"),
            ("Spread", spread, "spread"),
        )
    ]
    columns = np.asarray(observed.any("depth"))
    columns &= columns.mean() < 0.3  # ticks would touch where most columns hold a value
    seen = np.asarray(chosen[along])[columns]
    for axes, (name, field, kind, (low, high)) in zip(grid.flat, panels, strict=True):
        mesh = axes.pcolormesh(
            x,
            y,
            np.ma.masked_invalid(field),
            cmap=COLOURS[kind][0],
            vmin=low,
            vmax=high,
            rasterized=True,
        )
        axes.set_facecolor(LAND)
        if seen.size:  # an empty unclipped line has no extent, and would upset the layout
            axes.plot(
                seen,
                np.zeros(seen.size),
                "|",
                color=BLACK,
                markersize=4,
                markeredgewidth=0.7,
                clip_on=False,
            )
        axes.set_title(name, pad=7)
        if kind != "temperature":
            colour_bar(figure, mesh, axes, unit_label(truth, kind))
        elif axes is grid[0, 1]:
            colour_bar(figure, mesh, list(grid[0]), unit_label(truth, kind))
    outline(grid[0, 0], x, y, np.asarray(observed), color="white", linewidth=0.5)
    for axes in grid[:, 0]:
        depth_axis(axes, y)
    for axes in grid[1]:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(lambda value, _: degrees_label(value, along))
    across = "latitude" if along == "longitude" else "longitude"
    figure.suptitle(
        f"{chosen['case'].item()}, {month(chosen['time'])}, "
        f"{degrees_label(round(float(chosen[across]), 2), across)}"
    )
    return figure


def _remotest(chosen):
    """(row, column) of the full-depth column farthest, level by level, from what was observed."""
    from scipy.ndimage import distance_transform_edt

    chosen = chosen.transpose(..., "depth", "latitude", "longitude")
    ocean, observed = np.asarray(chosen["ocean"]), np.asarray(chosen["observed"])
    distance = np.stack(
        [
            distance_transform_edt(~level) if level.any() else np.zeros(level.shape)
            for level in observed & ocean
        ]
    )
    wet = ocean.sum(0)
    score = np.where(wet == wet.max(), (distance * ocean).sum(0), -1)
    return np.unravel_index(int(score.argmax()), score.shape)


@mpl.rc_context(STYLE)
def profile(reconstruction, *, case=None, time=None, latitude=None, longitude=None):
    """Truth, mean, the members' fan (5-95 %, 25-75 %), climatology and background at one place.

    Left the temperature, right its departure from the climatology. The place is the nearest cell,
    by default the full-depth column farthest from any observation. Returns the figure.
    """
    chosen = select(reconstruction, case=case, time=time)
    if latitude is None or longitude is None:
        row, column = _remotest(chosen)
        chosen = chosen.isel(latitude=row, longitude=column)
    else:
        chosen = chosen.sel(latitude=latitude, longitude=longitude, method="nearest")
    depth, ocean = np.asarray(chosen["depth"]), np.asarray(chosen["ocean"])
    if not ocean.any():
        raise ValueError(
            f"latitude {float(chosen['latitude']):.2f}, longitude "
            f"{float(chosen['longitude']):.2f} is land; choose a place in the ocean"
        )
    drawn = {
        name: np.where(ocean, chosen[name], np.nan)
        for name in ("truth", "mean", "climatology", "background", "value")
    }
    ensemble = np.where(ocean, chosen["members"].transpose("member", "depth"), np.nan)
    ensemble = ensemble[np.isfinite(ensemble).any(1)][:, ocean]
    lines = {
        "truth": ("Truth", BLACK, "-", 1.6),
        "mean": ("Ensemble mean", BLUE, "-", 1.4),
        "background": ("Background", ORANGE, "--", 1.0),
        "climatology": ("Climatology", GREY, ":", 1.2),
    }
    figure = new_figure(5.4, 4.0)
    figure.set_layout_engine("constrained")
    grid = figure.subplots(1, 2, sharey=True)
    for axes, base in zip(grid, (np.zeros(depth.size), drawn["climatology"]), strict=True):
        if ensemble.size:
            bounds = np.percentile(ensemble - base[ocean], (5, 25, 75, 95), axis=0)
            for low, high, alpha, name in (
                (0, 3, 0.18, "Members 5-95 %"),
                (1, 2, 0.3, "Members 25-75 %"),
            ):
                axes.fill_betweenx(
                    depth[ocean],
                    bounds[low],
                    bounds[high],
                    color=BLUE,
                    alpha=alpha,
                    linewidth=0,
                    label=name,
                )
        for key, (name, colour, dash, width) in lines.items():
            axes.plot(
                drawn[key] - base,
                depth,
                dash,
                color=colour,
                linewidth=width,
                label=name,
                marker="D" if ocean.sum() == 1 else None,
                markersize=4,
            )
        seen = np.asarray(chosen["observed"]) & ocean
        if seen.any():
            axes.plot(
                (drawn["value"] - base)[seen],
                depth[seen],
                "o",
                color=BLACK,
                markersize=3,
                markerfacecolor="white",
                label="Observed",
            )
        axes.grid(alpha=0.3, linewidth=0.4)
        depth_axis(axes, 1.04 * depth[ocean], label=axes is grid[0])
    grid[0].set_xlabel("Temperature (°C)")
    grid[1].set_xlabel("Departure from climatology (°C)")
    grid[0].legend(loc="best", frameon=False)
    place = ", ".join(
        degrees_label(round(float(chosen[name]), 2), name) for name in ("latitude", "longitude")
    )
    figure.suptitle(f"{chosen['case'].item()}, {month(chosen['time'])}, {place}")
    return figure
