"""Curves: scores by depth, losses by training step, scores by evaluations.

Depth runs downward on a square-root scale, which resolves the thermocline and keeps the deep ocean
in sight. Lines differ by colour and by dash or marker. Every function returns its figure; given
`axes`, one per panel, it draws on those.
"""

import os
from collections.abc import Iterable, Sequence
from itertools import cycle

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator

from ocean_lib.plots import style
from ocean_lib.plots.style import STYLE, Panels, panels

__all__ = ["error_by_depth", "line_styles", "loss_curve", "score_label", "scores_by_evaluations"]


METHOD_COLOURS = (
    style.GREY,
    style.ORANGE,
    style.GREEN,
    style.PURPLE,
    style.SKY_BLUE,
    style.VERMILION,
    style.BLACK,
)
NAMES = {"rmse": "RMSE", "mae": "MAE", "crps": "CRPS", "psnr": "PSNR", "ssim": "SSIM"}
UNITLESS = ("ssim", "skill", "anomaly_correlation", "spread_skill", "coverage")
UNITS = {"psnr": " (dB)"} | dict.fromkeys(UNITLESS, "")


def line_styles(methods: Sequence[str], ours: str) -> dict[str, dict]:
    """Line styles of methods; they do not depend on whether climatology is among them.

    Args:
        methods: names of the methods; their order determines the colours.
        ours: the method drawn in blue and in front; climatology is grey.

    Returns:
        {method: keyword arguments of `Axes.plot`}.
    """
    others = [method for method in methods if method not in (ours, "climatology")]
    others = ["climatology", *others]
    styles = {
        method: {
            "color": METHOD_COLOURS[i % 7],
            "marker": "s^vDPX*"[i % 7],
            "linestyle": ("-", "--", ":")[i // 7 % 3],
            "linewidth": 1.0,
            "zorder": 2,
        }
        for i, method in enumerate(others)
    }
    front = {"color": style.BLUE, "marker": "o", "linestyle": "-", "linewidth": 2.0, "zorder": 3}
    return {method: styles.get(method, front) | {"markersize": 3} for method in methods}


def score_label(metric: str, unit: str = "°C") -> str:
    """Name of a metric with its unit: `RMSE (°C)`, `Anomaly correlation`.

    Args:
        metric: a value of the column `metric`.
        unit: of the scored variable.
    """
    metric = metric.removesuffix("_all_pixels")
    name = NAMES.get(metric, metric.replace("_", " ").capitalize())
    return name.replace("Spread skill", "Spread–skill") + UNITS.get(metric, f" ({unit})")


@mpl.rc_context(STYLE)
def error_by_depth(
    scores: pd.DataFrame,
    *,
    metric: str = "rmse",
    ours: str = "reconstruction",
    unit: str = "°C",
    axes: Panels = None,
) -> Figure:
    """Plot a metric by depth, one line per method and one panel per case.

    Args:
        scores: the table of scores.csv; only rows of single levels are drawn.
        metric: name of the metric in the table.
        ours: the method drawn in front, with its confidence interval.
        unit: unit of the scored variable.
        axes: one axes per case to draw on.

    Raises:
        ValueError: the table has no scores of the metric by depth.
    """
    table = scores[(scores["metric"] == metric) & (scores["reference"] == "truth")]
    table = table.dropna(subset=["depth", "value"]).sort_values("depth")
    if table.empty:
        raise ValueError(
            f"no score of {metric!r} by depth; the metrics are {sorted(scores['metric'].unique())}"
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
                low, high = rows["low"].astype(float), rows["high"].astype(float)
                band = {"color": styles[method]["color"], "alpha": 0.2, "linewidth": 0}
                panel.fill_betweenx(rows["depth"], low, high, **band)
        panel.set_title(case)
        panel.set_xlabel(score_label(metric, unit))
        panel.grid(alpha=0.3, linewidth=0.4)
        style.depth_axis(panel, 1.04 * table["depth"], label=panel is grid[0, 0])
        if metric in ("rmse", "mae", "crps", "spread"):
            panel.set_xlim(left=0)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    style.legend(grid, axes, handles[::-1], labels[::-1], min(len(methods), 1 + len(cases), 4))
    return figure


@mpl.rc_context(STYLE)
def loss_curve(records: Iterable[dict] | str | os.PathLike, *, axes: Panels = None) -> Figure:
    """Plot training and validation loss by step, one panel per stage, on a log scale if positive.

    Args:
        records: dicts with `step`, `stage`, `loss` and optionally `validation`; or the path of
            metrics.jsonl.
        axes: one axes per stage to draw on.
    """
    if isinstance(records, str | os.PathLike):
        table = pd.read_json(records, lines=True)
    else:
        table = pd.DataFrame(list(records))
    table = table.reindex(columns=table.columns.union(["validation"]))
    stages = list(dict.fromkeys(table["stage"]))
    width = min(1.0 + 2.8 * len(stages), 7.2)
    figure, grid = panels(1, len(stages), width=width, height=2.8, axes=axes)
    for panel, stage in zip(grid[0], stages, strict=True):
        rows = table[table["stage"] == stage].sort_values("step")
        validated = rows.dropna(subset=["validation"])
        validation = validated["validation"].astype(float)
        panel.plot(rows["step"], rows["loss"], color=style.GREY, linewidth=0.9, label="Training")
        if len(validated):
            look = {"color": style.BLUE, "markersize": 3, "linewidth": 1.4}
            panel.plot(validated["step"], validation, "o-", label="Validation", **look)
        if (rows["loss"] > 0).all() and (validation > 0).all():
            panel.set_yscale("log")
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            panel.yaxis.set_minor_formatter(NullFormatter())
        panel.set(title=str(stage).capitalize(), xlabel="Training step", ylabel="Loss")
        panel.grid(alpha=0.3, linewidth=0.4)
        panel.legend(frameon=False)
    return figure


@mpl.rc_context(STYLE)
def scores_by_evaluations(table: pd.DataFrame, *, axes: Panels = None) -> Figure:
    """Plot scores by network evaluations per member, one panel per score and one line per case.

    Args:
        table: from `reconstruct.convergence.score_by_evaluations`.
        axes: three axes to draw on.
    """
    scores = "rmse", "crps", "spread_skill"
    colours = style.SKY_BLUE, style.VERMILION, style.BLACK
    numbers = sorted(table["evaluations"].unique())
    figure, grid = panels(1, len(scores), height=2.6, axes=axes)
    for panel, score in zip(grid[0], scores, strict=True):
        looks = zip(cycle(colours), cycle("os^"))
        for (case, rows), (colour, marker) in zip(table.groupby("case", sort=False), looks):
            rows = rows.sort_values("evaluations")
            panel.plot(rows["evaluations"], rows[score], f"{marker}-", color=colour, markersize=3)
            end = numbers[-1], rows[score].iloc[-1]
            text = {"textcoords": "offset points", "ha": "right", "fontsize": 6}
            panel.annotate(case, end, (0, 10), **text)
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(FixedLocator(numbers))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        panel.set(xlabel="Evaluations per member", ylabel=score_label(score))
        panel.set_ylim(0, 1.15 * table[score].max())
        panel.grid(alpha=0.3, linewidth=0.4)
    return figure
