"""Whether uncertainty can be trusted, and how far observations reach: each a figure for a paper.

The numbers come from `diagnostics`: keyed by (case, method), or as its table. One panel a case;
methods have the colours and markers of `charts`. A spread fitted on other months is drawn beside
the raw one, both against what an ensemble without fault would show.
"""

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import FixedLocator, MaxNLocator

from ocean_lib.fields.reconstruction_file import select
from ocean_lib.plots.curves import BLUE, GREY, ORANGE, line_styles
from ocean_lib.plots.labels import calibrated_suffix, depth_label, month_label
from ocean_lib.plots.style import (
    STYLE,
    colour_bar,
    legend,
    map_panels,
    paint,
    panels,
    robust_limits,
)
from ocean_lib.scores.diagnostics import reach_of_observations

__all__ = ["error_beside_spread", "rank_histogram", "reliability_diagram", "skill_by_distance"]


RAW, CALIBRATED = {"color": ORANGE, "marker": "s"}, {"color": BLUE, "marker": "o"}
OTHERS = ({"color": "#009e73", "marker": "^"}, {"color": "#cc79a7", "marker": "v"})


def _by_case(found):
    """{case: {method: what is drawn}} of {(case, method): the same}, and {method: its look}."""
    cases, methods = {}, dict.fromkeys(method for _, method in found)
    for (case, method), each in found.items():
        cases.setdefault(case, {})[method] = each
    if len(methods) > 4:
        raise ValueError(f"{len(methods)} methods crowd one panel; choose at most 4")
    return cases, dict(zip(methods, (RAW, CALIBRATED, *OTHERS)))


def _panels(cases, height, axes, **shared):
    return panels(
        1, len(cases), width=min(0.9 + 2.6 * len(cases), 7.2), height=height, axes=axes, **shared
    )


def _legend(grid, axes, columns):
    handles, labels = grid[0, 0].get_legend_handles_labels()
    legend(grid, axes, handles, labels, min(len(labels), columns))


@mpl.rc_context(STYLE)
def reliability_diagram(tables, *, unit="°C", axes=None):
    """Error against stated spread, a line a method, the diagonal of a spread that can be trusted.

    `tables` is {(case, method): table of `diagnostics.reliability`}, at most four methods a case.
    Both axes are alike. Returns the figure.
    """
    cases, looks = _by_case(tables)
    figure, grid = _panels(cases, 3.5 if len(cases) < 3 else 3.1, axes)
    for panel, (case, methods) in zip(grid[0], cases.items(), strict=True):
        largest = 1.06 * max(table[["spread", "rmse"]].max().max() for table in methods.values())
        diagonal = {"color": GREY, "linewidth": 0.9, "linestyle": "--", "zorder": 1}
        panel.plot([0, largest], [0, largest], label="spread = error", **diagonal)
        for method, table in methods.items():
            panel.plot(
                table["spread"],
                table["rmse"],
                label=method,
                markersize=4,
                markeredgecolor="white",
                markeredgewidth=0.4,
                linewidth=1.3,
                **looks[method],
            )
        panel.set(xlim=(0, largest), ylim=(0, largest), title=case, aspect="equal")
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        panel.set_xlabel(f"Stated spread ({unit})")
        panel.grid(alpha=0.3, linewidth=0.4)
    grid[0, 0].set_ylabel(f"RMSE of the mean ({unit})")
    _legend(grid, axes, 1 + len(cases))
    return figure


@mpl.rc_context(STYLE)
def rank_histogram(counts, *, independent=None, axes=None):
    """How often the truth holds each rank among the members, over how often it should.

    `counts` is {(case, method): counts of `diagnostics.ranks`}; 1 is uniform. `independent`
    {case: number of independent cells} (`diagnostics.independent`) gives the band that holds 90 %
    of the bars of a perfect ensemble. Returns the figure.
    """
    cases, looks = _by_case(counts)
    figure, grid = _panels(cases, 2.7, axes, sharey=True)
    for panel, (case, methods) in zip(grid[0], cases.items(), strict=True):
        number = max(len(each) for each in methods.values())
        if independent and case in independent:
            half = 1.645 * np.sqrt((number - 1) / independent[case])
            panel.axhspan(
                1 - half, 1 + half, color=GREY, alpha=0.22, linewidth=0, label="90 % band"
            )
        panel.axhline(1, color=GREY, linewidth=0.9, linestyle="--", label="uniform")
        width = 0.8 / len(methods)
        for index, (method, each) in enumerate(methods.items()):
            frequency = np.asarray(each) * len(each) / max(np.sum(each), 1)
            centre = np.arange(1, len(each) + 1) + (index - (len(methods) - 1) / 2) * width
            panel.bar(centre, frequency, width, color=looks[method]["color"], label=method)
        ticks = np.unique(np.linspace(1, number, min(number, 5)).round())
        panel.xaxis.set_major_locator(FixedLocator(ticks))
        panel.set(title=case, xlabel="Rank of the truth", xlim=(0.4, number + 0.6))
        panel.grid(axis="y", alpha=0.3, linewidth=0.4)
        panel.set_axisbelow(True)
    grid[0, 0].set_ylabel("Frequency over uniform")
    grid[0, 0].set_ylim(bottom=0)
    _legend(grid, axes, 2 * len(cases))
    return figure


@mpl.rc_context(STYLE)
def skill_by_distance(table, *, ours="reconstruction", lowest=-0.5, axes=None):
    """Skill against climatology by distance to the nearest observation, a line a method.

    `table` is that of `diagnostics.by_distance`, of one or more cases. A large mark on the line of
    zero skill shows where a method meets climatology (`diagnostics.reach`). Skill below `lowest`
    is not drawn. Returns the figure.
    """
    cases, methods = (list(dict.fromkeys(table[name])) for name in ("case", "method"))
    methods.sort(key=lambda method: method == ours)
    styles, met = line_styles(methods, ours), reach_of_observations(table)
    figure, grid = _panels(cases, 3.3, axes, sharey=True)
    floor = 0.0
    for panel, case in zip(grid[0], cases, strict=True):
        panel.axhline(0, color=GREY, linewidth=0.9, linestyle="--", zorder=1)
        for method in methods:
            rows = table[(table["case"] == case) & (table["method"] == method)]
            rows = rows.sort_values("distance")
            panel.plot(rows["distance"], rows["skill"], label=method, **styles[method])
            floor = min([floor, *rows["skill"]])
            where = met.get((method, case), np.inf)
            if np.isfinite(where):
                look = {name: styles[method][name] for name in ("color", "marker", "zorder")}
                panel.plot([where], [0], markersize=7, markeredgecolor="black", **look)
        farthest = table.loc[table["case"] == case, "distance"].max()
        panel.set(title=case, xlabel="Distance to the nearest observation (km)")
        panel.set_xlim(0, 1.03 * farthest)
        panel.grid(alpha=0.3, linewidth=0.4)
    grid[0, 0].set_ylim(max(floor - 0.05, lowest), 1.02)
    grid[0, 0].set_ylabel("Skill against climatology")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    mark = mpl.lines.Line2D(
        [], [], linestyle="", marker="o", color="white", markeredgecolor="black"
    )
    names = [*labels[::-1], "meets climatology"]
    legend(grid, axes, [*handles[::-1], mark], names, min(1 + len(cases), 4))
    return figure


@mpl.rc_context(STYLE)
def error_beside_spread(reconstruction, *, cases=None, time=None, depths=(0, 100, 500), axes=None):
    """Maps of the absolute error of the mean beside the spread: rows of depths, a pair a case.

    `reconstruction` is the dataset of reconstruction.nc; `depths` in metres, nearest levels, each
    drawn once; `cases` by default all. The two maps of a pair share their limits: a spread that
    can be trusted is wide where errors are large. Returns the figure.
    """
    if cases is None:
        cases = [str(name) for name in np.atleast_1d(reconstruction["case"].values)]
    chosen = [select(reconstruction, case=case, time=time) for case in cases]
    levels = chosen[0]["depth"].sel(depth=list(depths), method="nearest").values
    levels = list(dict.fromkeys(levels.tolist()))
    figure, grid = map_panels(
        chosen[0]["truth"],
        len(levels),
        2 * len(cases),
        width=min(1.2 + 3.0 * len(cases), 7.8),
        extra=0.7 + 0.45 * len(levels),
        axes=axes,
    )
    for row, depth in enumerate(levels):
        bottom = row == len(levels) - 1
        for pair, one in zip(grid[row].reshape(-1, 2), chosen, strict=True):
            level = one.sel(depth=depth)
            error, spread = (abs(level["mean"] - level["truth"]), level["spread"])
            fields = [each.where(level["ocean"]) for each in (error, spread)]
            limits = robust_limits(*fields, kind="spread")
            for panel, field in zip(pair, fields, strict=True):
                place = {"left": panel is grid[row, 0], "bottom": bottom}
                mesh = paint(panel, field, kind="spread", limits=limits, **place)
            colour_bar(figure, mesh, list(pair), "°C", "bottom", aspect=32, shrink=0.94)
        grid[row, 0].set_ylabel(depth_label(depth), fontweight="bold")
    spread = "Spread" + calibrated_suffix(reconstruction)
    for case, pair in zip(cases, grid[0].reshape(-1, 2), strict=True):
        for panel, name in zip(pair, ("Absolute error", spread), strict=True):
            panel.set_title(f"\n{name}")  # a line above it for the case
        place = {"xycoords": "axes fraction", "textcoords": "offset points"}
        text = pair[0].annotate(case, (0, 1), (0, 16), fontweight="bold", **place)
        text.set_in_layout(False)
    if axes is None:
        figure.suptitle(month_label(chosen[0]["time"]))
    return figure
