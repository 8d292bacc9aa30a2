"""The table of scores as text: tables, verdicts, a paragraph for a paper, runs side by side.

Two methods differ significantly when the 90 % interval of their difference excludes 0.  With too
few blocks for an interval, no claim is made, and the difference of every block is printed.

`read_runs` and `compare_runs` put several runs side by side, over the cases that all of them have.
Each run was scored on its own hidden cells, so runs are not paired and no difference between them
is claimed; the number of hidden cells is shown.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from ocean_lib.scores.metrics import COVERED
from ocean_lib.scores.score_table import LAYER_NAMES, read_scores

__all__ = ["TIED", "compare_runs", "markdown", "read_runs", "summary", "table", "verdict"]


TIED = "≈"  # marks a score that does not differ significantly from the best
HIGHEST = ("skill", "anomaly_correlation", "psnr", "ssim")  # metrics for which higher is better
TARGETS = {
    "bias": 0.0,
    "spread_skill": 1.0,
    "coverage": COVERED,
}  # metrics for which nearer is better
TITLES = {"rmse": "RMSE", "crps": "CRPS"}  # the metrics that have differences
OURS = "reconstruction"
NO_DIFFERENCE, NO_CLAIM = "no difference beyond chance", "no claim"


def table(scores: pd.DataFrame, metric: str = "rmse", layer: str = "all") -> pd.DataFrame:
    """Methods × cases of one score as text, `value [low, high]`.

    The best of a case is in bold, `**…**`; `≈` marks methods that do not differ significantly from
    it (RMSE and CRPS, which have differences).  Spread has no best.  A method without the score,
    such as the CRPS of one that states no uncertainty, has an empty cell.

    Args:
        scores: the columns of scores.csv.
        metric: a value of the column `metric`.
        layer: "all" or a layer such as "100-300".

    Raises:
        ValueError: no row has this metric in this layer.
    """
    of_truth = scores[scores.reference == "truth"]
    of_metric = of_truth[of_truth.metric == metric]
    rows = of_metric[of_metric.layer == layer]
    if rows.empty:
        raise ValueError(
            f"no score of {metric!r} in layer {layer!r}; there are metrics "
            f"{sorted(set(scores.metric))}, this one in layers {_unique(of_metric.layer)}"
        )
    columns = {}
    for case, part in rows.groupby("case", sort=False):
        best = _best(part, metric)
        differences = _differences(scores, metric, case, layer, best)
        tied = differences[(differences.low <= 0) & (differences.high >= 0)].reference
        marks = {method: f"{{}} {TIED}" for method in tied} | {best: "**{}**"}
        texts = {row.method: _text(row) for row in part.itertuples()}
        columns[case] = {
            method: marks.get(method, "{}").format(text) for method, text in texts.items()
        }
    methods = _unique(of_truth[of_truth.layer == layer].method)
    result = pd.DataFrame(columns, index=methods).fillna("")
    return result.rename_axis(index="method", columns="case")


def _unique(values: pd.Series) -> list:
    return list(dict.fromkeys(values))


def _text(row, sign: str = "") -> str:
    limits = "" if np.isnan(row.low) else f" [{row.low:{sign}.3f}, {row.high:{sign}.3f}]"
    return f"{row.value:{sign}.3f}{limits}"


def _best(rows: pd.DataFrame, metric: str) -> str | None:
    metric = metric.removesuffix("_all_pixels")
    if metric == "spread":
        return None
    value = rows.set_index("method").value
    if metric in HIGHEST:
        return value.idxmax()
    return (value - TARGETS[metric]).abs().idxmin() if metric in TARGETS else value.idxmin()


def _differences(scores, metric, case, layer, method, suffix="") -> pd.DataFrame:
    """Rows with the differences of a method from all others."""
    key = [f"{metric}_difference{suffix}", case, layer, method]
    return scores[(scores[["metric", "case", "layer", "method"]] == key).all(axis=1)]


def _claim(row) -> str:
    if np.isnan(row.low):
        return NO_CLAIM
    if row.low <= 0 <= row.high:
        return NO_DIFFERENCE
    return "better" if row.value < 0 else "worse"


def verdict(scores: pd.DataFrame, *, ours: str = "reconstruction", unit: str = "°C") -> str:
    """How a method compares with every other, by RMSE and by CRPS.

    Over all depths, a line per rival gives the difference (negative: ours is better), its 90 %
    interval and the claim; a line per layer groups the rivals by claim.  With too few blocks, the
    RMSE differences of every block are given instead of a claim.

    Args:
        scores: the columns of scores.csv.
        ours: the method that is compared.
        unit: unit of the differences.
    """
    prepositions = {"better": "than", NO_DIFFERENCE: "from", "worse": "than", NO_CLAIM: "about"}
    lines = []
    for case in _unique(scores.case):
        for metric, title in TITLES.items():
            for layer in LAYER_NAMES:
                rivals: dict[str, list[str]] = {}
                for row in _differences(scores, metric, case, layer, ours).itertuples():
                    blocks, claim = _by_block(scores, metric, row), _claim(row)
                    rivals.setdefault(claim, []).append(row.reference + blocks)
                    if layer == "all":
                        difference = f"{ours} − {row.reference}: {_text(row, '+')} {unit}"
                        lines.append(f"{case} · {title} · {difference}, {claim}{blocks}")
                if rivals and layer != "all":
                    claims = [
                        f"{claim} {preposition} {', '.join(rivals[claim])}"
                        for claim, preposition in prepositions.items()
                        if claim in rivals
                    ]
                    lines.append(f"{case} · {title} · {layer} m: {'; '.join(claims)}")
    return "\n".join(lines)


def _by_block(scores: pd.DataFrame, metric: str, row) -> str:
    """The difference of every block, if the table has them."""
    rows = _differences(scores, metric, row.case, row.layer, row.method, "_block")
    values = [f"{value:+.3f}" for value in rows[rows.reference == row.reference].value]
    return f" (too few blocks; by block {', '.join(values)})" if values else ""


def summary(
    scores: pd.DataFrame,
    *,
    ours: str = "reconstruction",
    dates: int | None = None,
    unit: str = "°C",
) -> str:
    """A paragraph per case, and Markdown tables of RMSE and CRPS, for a paper or a README.

    The paragraph gives the number of hidden cells, our scores, and our RMSE and CRPS against the
    best rival, whichever of the two is better.

    Args:
        scores: the columns of scores.csv.
        ours: the method that is summarised.
        dates: number of dates to mention; None leaves it out.
        unit: unit of RMSE and CRPS.
    """
    paragraphs = []
    for case in _unique(scores.case):
        truth = scores[
            (scores.case == case) & (scores.layer == "all") & (scores.reference == "truth")
        ]
        rows = truth[truth.method == ours].set_index("metric")
        if rows.empty:
            continue
        cells = f"{int(rows.n['rmse']):,} hidden cells"
        cells += "" if dates is None else f" of {dates} dates"
        text = f"**{case}** ({cells}, {truth.method.nunique()} methods). "
        titles = TITLES | {
            "spread_skill": "spread–skill",
            "coverage": "coverage of the 90 % interval",
        }
        values = [
            f"{title} {_text(rows.loc[metric])}" + (f" {unit}" if metric in TITLES else "")
            for metric, title in titles.items()
            if metric in rows.index
        ]
        text += f"{ours[:1].upper()}{ours[1:]}: {', '.join(values)}. "
        paragraphs.append(text + " ".join(_against_best(scores, truth, case, ours, unit)))
    tables = [
        markdown(table(scores, metric), title, unit)
        for metric, title in TITLES.items()
        if metric in set(scores.metric)
    ]
    return "\n\n".join([*paragraphs, *tables])


def _against_best(scores, truth, case, ours, unit) -> Iterator[str]:
    for metric, title in TITLES.items():
        rivals = truth[(truth.metric == metric) & (truth.method != ours)]
        rows = _differences(scores, metric, case, "all", ours).set_index("reference")
        if rivals.empty or rows.empty:
            continue
        best = rivals.set_index("method").value.idxmin()
        claim = _claim(rows.loc[best]).replace(NO_CLAIM, "blocks too few for a claim")
        difference = f"{_text(rows.loc[best], '+')} {unit}"
        yield f"{title} against {best}, the best rival: {difference}, {claim}."


def markdown(shown: pd.DataFrame, title: str, unit: str) -> str:
    """A `table` in Markdown.

    Args:
        shown: the result of `table`.
        title: head of the first column, followed by the unit.
        unit: unit of the scores.
    """
    head = [f"{title} ({unit})", *shown.columns]
    rows = [head, ["---"] * len(head), *([name, *row] for name, *row in shown.itertuples())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def read_runs(files: dict[str, Path]) -> pd.DataFrame:
    """Read the scores of several runs, for the cases they have in common, with a column `run`.

    Args:
        files: {run: its scores.csv}.

    Raises:
        FileNotFoundError: some runs have no scores yet; the message names all of them.
        ValueError: no case is common to all runs, or an earlier version wrote a file.
    """
    missing = [run for run, file in files.items() if not Path(file).is_file()]
    if missing:
        commands = "; ".join(f"python -m ocean_lib run {run}" for run in missing)
        raise FileNotFoundError(f"no scores of {', '.join(missing)}; make them first: {commands}")
    scores = pd.concat({run: read_scores(file) for run, file in files.items()}, names=["run"])
    scores = scores.reset_index("run").reset_index(drop=True)
    runs = scores.groupby("case", sort=False)["run"].nunique()
    common = runs.index[runs == len(files)]
    if common.empty:
        cases = {run: _unique(part.case) for run, part in scores.groupby("run")}
        raise ValueError(f"no case is common to all runs, which have {cases}; choose others")
    return scores[scores["case"].isin(common)]


def compare_runs(scores: pd.DataFrame, metric: str = "rmse") -> pd.DataFrame:
    """(case, layer) × runs: one score of the reconstruction as text, and its hidden cells.

    Args:
        scores: from `read_runs`.
        metric: a value of the column `metric`.

    Raises:
        ValueError: no run has this metric of a reconstruction.
    """
    rows = scores[(scores["reference"] == "truth") & (scores["method"] == OURS)]
    rows = rows[(rows["metric"] == metric) & rows["layer"].isin(LAYER_NAMES)]
    if rows.empty:
        raise ValueError(
            f"no score of {metric!r} of {OURS!r}; there are metrics "
            f"{sorted(set(scores['metric']))} and methods {_unique(scores['method'])}"
        )
    cells = rows[rows["layer"] == "all"].assign(layer="hidden cells")
    text = [_text(row) for row in rows.itertuples()] + [f"{n:,}" for n in cells["n"]]
    rows = pd.concat([rows, cells]).assign(text=text)
    table = rows.pivot(index=["case", "layer"], columns="run", values="text").fillna("")
    order = [
        (case, layer)
        for case in _unique(rows["case"])
        for layer in (*LAYER_NAMES, "hidden cells")
        if (case, layer) in table.index
    ]
    return table.loc[order, _unique(rows["run"])]
