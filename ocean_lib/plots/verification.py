"""Verification of uncertainty: spread against error, ranks, and the reach of observations.

The numbers come from `scores.diagnostics`. There is one panel per case; a method has the same style
in all panels. Raw and calibrated spread are drawn together with the result of a perfect ensemble.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator
from scipy.special import ndtri
from xarray import Dataset

from ocean_lib.fields.reconstruction_file import select
from ocean_lib.plots import labels, style
from ocean_lib.plots.curves import line_styles
from ocean_lib.plots.painting import paint
from ocean_lib.plots.style import STYLE, Panels
from ocean_lib.scores.diagnostics import reach_of_observations
from ocean_lib.scores.metrics import COVERED

__all__ = ["error_beside_spread", "rank_histogram", "reliability_diagram", "skill_by_distance"]


METHOD_COLOURS, METHOD_MARKERS = (style.VERMILION, style.BLUE, style.GREEN, style.PURPLE), "so^v"
LOWEST_SKILL = -0.5  # lower limit of the axis
REFERENCE_LINE = {"color": style.GREY, "linewidth": 0.9, "linestyle": "--"}  # a perfect ensemble


def _by_case(results: Mapping[tuple[str, str], Any]) -> tuple[dict[str, dict], dict[str, dict]]:
    """{case: {method: result}} of {(case, method): result}, and {method: its line style}."""
    cases: dict[str, dict] = {}
    for (case, method), result in results.items():
        cases.setdefault(case, {})[method] = result
    methods = list(dict.fromkeys(method for _, method in results))
    if len(methods) > len(METHOD_COLOURS):
        raise ValueError(f"{len(methods)} methods crowd one panel; choose at most 4")
    looks = zip(METHOD_COLOURS, METHOD_MARKERS)
    return cases, {m: {"color": c, "marker": k} for m, (c, k) in zip(methods, looks)}


def _case_panels(cases, height: float, axes, **shared: bool) -> tuple[Figure, np.ndarray]:
    width = min(0.9 + 2.6 * len(cases), 7.2)
    return style.panels(1, len(cases), width=width, height=height, axes=axes, **shared)


def _legend(grid, axes, columns: int) -> None:
    handles, labels = grid[0, 0].get_legend_handles_labels()
    style.legend(grid, axes, handles, labels, min(len(labels), columns))


@mpl.rc_context(STYLE)
def reliability_diagram(
    tables: Mapping[tuple[str, str], pd.DataFrame], *, unit: str = "°C", axes: Panels = None
) -> Figure:
    """Plot error against stated spread, one line per method; reliable spread lies on the diagonal.

    Args:
        tables: {(case, method): table of `scores.diagnostics.reliability`}, at most four methods.
        unit: unit of spread and error.
        axes: one axes per case to draw on.

    Raises:
        ValueError: there are more than four methods.
    """
    cases, looks = _by_case(tables)
    figure, grid = _case_panels(cases, 3.5, axes)
    for panel, (case, methods) in zip(grid[0], cases.items(), strict=True):
        largest = 1.06 * max(table[["spread", "rmse"]].max().max() for table in methods.values())
        ends = [0, largest]
        panel.plot(ends, ends, label="spread = error", zorder=1, **REFERENCE_LINE)
        line = {"markersize": 4, "markeredgecolor": "white", "markeredgewidth": 0.4}
        line |= {"linewidth": 1.3}
        for method, table in methods.items():
            panel.plot(table["spread"], table["rmse"], label=method, **line, **looks[method])
        panel.set(xlim=(0, largest), ylim=(0, largest), title=case, aspect="equal")
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        panel.set_xlabel(f"Stated spread\n({unit})")
        panel.grid(alpha=0.3, linewidth=0.4)
    grid[0, 0].set_ylabel(f"RMSE of the mean\n({unit})")
    _legend(grid, axes, 1 + len(cases))
    return figure


@mpl.rc_context(STYLE)
def rank_histogram(
    counts: Mapping[tuple[str, str], Sequence[int]],
    *,
    independent: Mapping[str, float] | None = None,
    axes: Panels = None,
) -> Figure:
    """Plot how often the truth has each rank among the members, relative to uniform.

    Args:
        counts: {(case, method): result of `scores.diagnostics.rank_counts`}, at most four methods.
        independent: {case: effective number of independent cells}; draws the band that holds 90 %
            of the bars of a perfect ensemble.
        axes: one axes per case to draw on.

    Raises:
        ValueError: there are more than four methods.
    """
    cases, looks = _by_case(counts)
    figure, grid = _case_panels(cases, 2.7, axes, sharey=True)
    for panel, (case, methods) in zip(grid[0], cases.items(), strict=True):
        number = max(len(ranks) for ranks in methods.values())
        if independent and case in independent:
            half = ndtri((1 + COVERED) / 2) * np.sqrt((number - 1) / independent[case])
            band = {"color": style.GREY, "alpha": 0.22, "linewidth": 0}
            panel.axhspan(1 - half, 1 + half, label="90 % band", **band)
        panel.axhline(1, label="uniform", **REFERENCE_LINE)
        width = 0.8 / len(methods)
        for index, (method, ranks) in enumerate(methods.items()):
            frequency = np.asarray(ranks) * len(ranks) / max(np.sum(ranks), 1)
            centre = np.arange(1, len(ranks) + 1) + (index - (len(methods) - 1) / 2) * width
            panel.bar(centre, frequency, width, color=looks[method]["color"], label=method)
        ticks = np.unique(np.linspace(1, number, min(number, 5)).round())
        panel.xaxis.set_major_locator(FixedLocator(ticks.tolist()))
        panel.set(title=case, xlabel="Rank of the truth", xlim=(0.4, number + 0.6))
        panel.grid(axis="y", alpha=0.3, linewidth=0.4)
        panel.set_axisbelow(True)
    grid[0, 0].set_ylabel("Frequency over uniform")
    grid[0, 0].set_ylim(bottom=0)
    _legend(grid, axes, 2 * len(cases))
    return figure


@mpl.rc_context(STYLE)
def skill_by_distance(
    table: pd.DataFrame, *, ours: str = "reconstruction", axes: Panels = None
) -> Figure:
    """Plot skill against climatology by distance to the nearest observation, one line per method.

    A large mark on the line of zero skill shows where a method is no better than climatology.

    Args:
        table: from `scores.diagnostics.by_distance`, with one or more cases.
        ours: the method drawn in front.
        axes: one axes per case to draw on.
    """
    cases, methods = (list(dict.fromkeys(table[name])) for name in ("case", "method"))
    methods.sort(key=lambda method: method == ours)
    styles, reach = line_styles(methods, ours), reach_of_observations(table)
    figure, grid = _case_panels(cases, 3.3, axes, sharey=True)
    floor = 0.0
    for panel, case in zip(grid[0], cases, strict=True):
        panel.axhline(0, zorder=1, **REFERENCE_LINE)
        for method in methods:
            rows = table[(table["case"] == case) & (table["method"] == method)]
            rows = rows.sort_values("distance")
            panel.plot(rows["distance"], rows["skill"], label=method, **styles[method])
            floor = min([floor, *rows["skill"]])
            kilometres = reach.get((method, case), np.inf)
            if np.isfinite(kilometres):
                look = {name: styles[method][name] for name in ("color", "marker", "zorder")}
                panel.plot([kilometres], [0], markersize=7, markeredgecolor="black", **look)
        farthest = table.loc[table["case"] == case, "distance"].max()
        panel.set(title=case, xlabel="Distance to the nearest\nobservation (km)")
        panel.set_xlim(0, 1.03 * farthest)
        panel.grid(alpha=0.3, linewidth=0.4)
    grid[0, 0].set_ylim(max(floor - 0.05, LOWEST_SKILL), 1.02)
    grid[0, 0].set_ylabel("Skill against climatology")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    mark = Line2D([], [], linestyle="", marker="o", color="white", markeredgecolor="black")
    names = [*labels[::-1], "meets climatology"]
    style.legend(grid, axes, [*handles[::-1], mark], names, min(1 + len(cases), 4))
    return figure


@mpl.rc_context(STYLE)
def error_beside_spread(
    reconstruction: Dataset,
    *,
    cases: Sequence[str] | None = None,
    time: str | np.datetime64 | None = None,
    depths: Sequence[float] = (0, 100, 500),
    axes: Panels = None,
) -> Figure:
    """Map the absolute error of the mean beside the spread: one row per depth, two maps per case.

    The two maps of a case share limits; reliable spread is large where errors are large.

    Args:
        reconstruction: the dataset of reconstruction.nc.
        cases: names of the cases; all by default.
        time: the nearest date is selected; the first by default.
        depths: metres, the nearest levels are selected without repetition.
        axes: two GeoAxes per case and depth to draw on.
    """
    if cases is None:
        cases = [str(name) for name in np.atleast_1d(reconstruction["case"].values)]
    selections = [select(reconstruction, case=case, time=time) for case in cases]
    levels = labels.nearest_levels(selections[0], depths)
    rows, columns = len(levels), 2 * len(cases)
    size = {"width": min(1.2 + 3.0 * len(cases), 7.8), "extra": 0.7 + 0.45 * rows}
    figure, grid = style.map_panels(selections[0]["truth"], rows, columns, **size, axes=axes)
    for row, depth in zip(grid, levels, strict=True):
        for pair, selected in zip(row.reshape(-1, 2), selections, strict=True):
            level = selected.sel(depth=depth)
            error = abs(level["mean"] - level["truth"])
            fields = [field.where(level["ocean"]) for field in (error, level["spread"])]
            limits = style.robust_limits(*fields, kind="spread")
            for panel, field in zip(pair, fields, strict=True):
                place: dict[str, Any] = {"left": panel is row[0], "bottom": depth == levels[-1]}
                mesh = paint(panel, field, kind="spread", limits=limits, **place)
            style.colour_bar(mesh, list(pair), "°C", "bottom", aspect=32, shrink=0.94)
        row[0].set_ylabel(labels.depth_label(depth), fontweight="bold")
    spread_name = "Spread" + labels.calibrated_suffix(reconstruction)
    for case, pair in zip(cases, grid[0].reshape(-1, 2), strict=True):
        for panel, name in zip(pair, ("Absolute error", spread_name), strict=True):
            panel.set_title(f"\n{name}")  # the line above is for the case
        units = {"xycoords": "axes fraction", "textcoords": "offset points"}
        text = pair[0].annotate(case, (0, 1), (0, 16), fontweight="bold", **units)
        text.set_in_layout(False)
    style.figure_title(figure, axes, labels.month_label(selections[0]["time"]))
    return figure
