"""Curves: scores by depth, losses by step, power by wavenumber, each a figure fit for a paper.

Depth runs downward on a square-root scale, which gives the thermocline the room it needs and keeps
the deep ocean in sight. Reconstructions come as the dataset of reconstruction.nc, scores as the
table of scores.csv, training as the records of metrics.jsonl. Lines differ by colour (Okabe and
Ito's, told apart by the colour-blind) and by dash or marker. Where `axes` are given, as many as
there are panels, they are drawn on.
"""

import os

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator

from ocean_lib.fields.reconstruction_file import select
from ocean_lib.plots.labels import depth_label, month_label
from ocean_lib.plots.style import STYLE, depth_axis, legend, panels

__all__ = [
    "scores_by_evaluations",
    "error_by_depth",
    "line_styles",
    "loss_curve",
    "score_label",
    "spectra",
]


BLACK, BLUE, ORANGE, GREY = "#000000", "#0072b2", "#d55e00", "#777777"
OTHERS = ["#777777", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000"]
NAMES = {"rmse": "RMSE", "mae": "MAE", "crps": "CRPS", "psnr": "PSNR", "ssim": "SSIM"}
UNITS = {"psnr": " (dB)"} | dict.fromkeys(
    ("ssim", "skill", "anomaly_correlation", "spread_skill", "coverage"), ""
)


def line_styles(methods, ours):
    """{method: what its line is drawn with}: `ours` blue and in front, climatology grey.

    The others in their order, so that a chart without climatology draws them alike.
    """
    others = [method for method in methods if method not in (ours, "climatology")]
    others = ["climatology", *others]
    styles = {
        method: {
            "color": OTHERS[i % 7],
            "marker": "s^vDPX*"[i % 7],
            "linestyle": ("-", "--", ":")[i // 7 % 3],
            "linewidth": 1.0,
            "zorder": 2,
        }
        for i, method in enumerate(others)
    }
    front = {"color": BLUE, "marker": "o", "linestyle": "-", "linewidth": 2.0, "zorder": 3}
    return {method: styles.get(method, front) | {"markersize": 3} for method in methods}


def score_label(metric):
    """The words for a metric and its unit: `RMSE (°C)`, `Anomaly correlation`."""
    metric = metric.removesuffix("_all_pixels")
    name = NAMES.get(metric, metric.replace("_", " ").capitalize())
    return name.replace("Spread skill", "Spread–skill") + UNITS.get(metric, " (°C)")


@mpl.rc_context(STYLE)
def error_by_depth(scores, *, metric="rmse", ours="reconstruction", reference=None, axes=None):
    """One panel a case: a metric by depth, a line a method, `ours` in front with its interval.

    `scores` has the columns of scores.csv; rows whose depth is no level ("all", a layer as
    "100-300") are left out. `reference` chooses what was scored against, by default the first in
    the table. Returns the figure. Raises ValueError where no row holds the metric by depth.
    """
    reference = scores["reference"].iloc[0] if reference is None else reference
    table = scores[(scores["metric"] == metric) & (scores["reference"] == reference)]
    table = table.assign(depth=pd.to_numeric(table["depth"], errors="coerce"))
    table = table.dropna(subset=["depth", "value"]).sort_values("depth")
    if table.empty:
        raise ValueError(
            f"no score of {metric!r} by depth against {reference!r}; the metrics are "
            f"{sorted(scores['metric'].unique())}"
        )
    cases = list(dict.fromkeys(scores["case"][scores["case"].isin(table["case"])]))
    methods = [m for m in dict.fromkeys(scores["method"]) if m in set(table["method"])]
    methods.sort(key=lambda method: method == ours)
    styles = line_styles(methods, ours)
    width = min(1.2 + 2.9 * len(cases), 7.2)
    figure, grid = panels(1, len(cases), width=width, height=3.4, axes=axes, sharey=True)
    for panel, case in zip(grid[0], cases, strict=True):
        for method in methods:
            rows = table[(table["case"] == case) & (table["method"] == method)]
            label = method.replace("_", " ")
            panel.plot(rows["value"], rows["depth"], label=label, **styles[method])
            if method == ours:
                panel.fill_betweenx(
                    rows["depth"],
                    rows["low"].astype(float),
                    rows["high"].astype(float),
                    color=styles[method]["color"],
                    alpha=0.2,
                    linewidth=0,
                )
        panel.set_title(case)
        panel.set_xlabel(score_label(metric))
        panel.grid(alpha=0.3, linewidth=0.4)
        depth_axis(panel, 1.04 * table["depth"], label=panel is grid[0, 0])
        if metric in ("rmse", "mae", "crps", "spread"):
            panel.set_xlim(left=0)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    legend(grid, axes, handles[::-1], labels[::-1], min(len(methods), 1 + len(cases), 4))
    return figure


@mpl.rc_context(STYLE)
def loss_curve(records, *, axes=None):
    """Training and validation loss by step, one panel a stage; returns the figure.

    `records` are dicts with step, stage, loss, validation (or none), or the path of metrics.jsonl.
    The loss axis is logarithmic where every loss is positive.
    """
    is_path = isinstance(records, str | os.PathLike)
    table = pd.read_json(records, lines=True) if is_path else pd.DataFrame(list(records))
    table = table.reindex(columns=table.columns.union(["validation"]))
    stages = list(dict.fromkeys(table["stage"]))
    width = min(1.0 + 2.8 * len(stages), 7.2)
    figure, grid = panels(1, len(stages), width=width, height=2.8, axes=axes)
    for panel, stage in zip(grid[0], stages, strict=True):
        rows = table[table["stage"] == stage].sort_values("step")
        checked = rows.dropna(subset=["validation"])
        panel.plot(rows["step"], rows["loss"], color=GREY, linewidth=0.9, label="Training")
        if len(checked):
            panel.plot(
                checked["step"],
                checked["validation"].astype(float),
                "o-",
                color=BLUE,
                markersize=3,
                linewidth=1.4,
                label="Validation",
            )
        if (rows["loss"] > 0).all() and (checked["validation"].astype(float) > 0).all():
            panel.set_yscale("log")
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            panel.yaxis.set_minor_formatter(NullFormatter())
        panel.set(title=str(stage).capitalize(), xlabel="Training step", ylabel="Loss")
        panel.grid(alpha=0.3, linewidth=0.4)
        panel.legend(frameon=False)
    return figure


@mpl.rc_context(STYLE)
def scores_by_evaluations(table, *, axes=None):
    """Scores by the number of the network's evaluations, one panel a score, a line a case.

    `table` is of `convergence.by_evaluations`. Returns the figure.
    """
    scores = ("rmse", "crps", "spread_skill")
    numbers = sorted(table["evaluations"].unique())
    figure, grid = panels(1, len(scores), height=2.6, axes=axes)
    for panel, score in zip(grid[0], scores, strict=True):
        for (case, rows), colour, dash in zip(table.groupby("case", sort=False), OTHERS[4:], "os^"):
            rows = rows.sort_values("evaluations")
            panel.plot(rows["evaluations"], rows[score], f"{dash}-", color=colour, markersize=3)
            last = rows[score].iloc[-1]
            panel.annotate(
                case,
                (numbers[-1], last),
                (0, 10),
                textcoords="offset points",
                ha="right",
                fontsize=6,
            )
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(FixedLocator(numbers))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        panel.set(xlabel="Evaluations a member", ylabel=score_label(score))
        panel.set_ylim(0, 1.15 * table[score].max())
        panel.grid(alpha=0.3, linewidth=0.4)
    return figure


def _zonal_power(field, segments, length):
    """Mean power (wavenumber,) of rows cut into wet segments: detrended, Hann window."""
    from scipy.signal import detrend

    rows, starts = segments
    cuts = np.stack(
        [field[..., row, start : start + length] for row, start in zip(rows, starts, strict=True)],
        -2,
    )
    cuts = cuts[np.isfinite(cuts).all(-1)]
    window = np.hanning(length)
    power = np.abs(np.fft.rfft(detrend(cuts, axis=-1) * window)) ** 2 / (window**2).sum()
    return power.mean(0)


@mpl.rc_context(STYLE)
def spectra(reconstruction, *, case=None, time=None, depth=100.0, axes=None):
    """Zonal power spectra of truth, ensemble mean and members at one level; returns the figure.

    Rows are cut into pieces half the domain wide that hold no land, detrended and windowed; their
    powers are averaged. Raises ValueError where no piece of ocean is that wide.
    """
    chosen = select(reconstruction, case=case, time=time, depth=depth)
    chosen = chosen.transpose(..., "latitude", "longitude")
    length = chosen.sizes["longitude"] // 2
    wet = np.lib.stride_tricks.sliding_window_view(np.asarray(chosen["ocean"]), length, axis=1)
    rows, starts = np.nonzero(wet.all(-1)[:, :: max(length // 2, 1)])
    if not rows.size:
        raise ValueError(
            f"no row of ocean at {depth_label(chosen['depth'])} is {length} cells wide, "
            "half the domain; choose a shallower depth"
        )
    segments = rows, starts * max(length // 2, 1)
    step = float(chosen["longitude"].diff("longitude").mean())
    spacing = 111.195 * step * float(np.cos(np.deg2rad(chosen["latitude"])).mean())
    wavenumber = np.fft.rfftfreq(length, spacing)[1:]
    figure, grid = panels(1, 1, width=3.8, height=3.2, axes=axes)
    axes = grid[0, 0]
    for name, label, colour, dash in (
        ("members", "Members", ORANGE, "-"),
        ("mean", "Ensemble mean", BLUE, "--"),
        ("truth", "Truth", BLACK, "-"),
    ):
        field = np.asarray(chosen[name], dtype=float)
        if not np.isfinite(field).any():
            continue
        power = _zonal_power(field, segments, length)[1:]
        axes.loglog(wavenumber, power * spacing, dash, color=colour, linewidth=1.4, label=label)
    lengths = [
        km
        for decade in (1, 10, 100, 1000, 10000)
        for km in (2 * decade, 5 * decade, 10 * decade)
        if wavenumber[0] <= 1 / km <= wavenumber[-1]
    ]
    axes.xaxis.set_major_locator(FixedLocator([1 / km for km in lengths]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{1 / value:.0f}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(
        xlabel="Wavelength (km)",
        ylabel="Power (°C² km)",
        title=f"{chosen['case'].item()}, {month_label(chosen['time'])}, {depth_label(chosen['depth'])}",
    )
    axes.grid(alpha=0.3, linewidth=0.4)
    axes.legend(frameon=False)
    return figure
