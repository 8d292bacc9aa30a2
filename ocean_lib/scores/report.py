"""What the table of scores says: as a table of text, as verdicts, as a paragraph for a paper.

Nothing is claimed that an interval does not hold.  Two methods are told apart when the 90 %
interval of their difference leaves 0 out; where blocks are too few for an interval, the difference
of every block is printed and no claim is made.

Runs beside each other: their scores.csv read together, over the cases that all of them have.

Each run was scored by notebook 05 on its own hidden cells, whose number is laid beside the scores:
runs that hide other cells, or another ocean, are not paired, and no difference between them is
claimed here.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ocean_lib.scores.evaluation import LAYERS

__all__ = ["TIED", "compare_runs", "markdown", "read_scores", "summary", "table", "verdict"]


TIED = "≈"  # after a score that is not told apart from the best
HIGHEST = ("skill", "anomaly_correlation", "psnr", "ssim")  # the best of these is the highest
AIMED = {"bias": 0.0, "spread_skill": 1.0, "coverage": 0.9}  # the best of these is the nearest
TITLES = {"rmse": "RMSE", "crps": "CRPS"}
DEPTHS = ("all", *(f"{low}-{high}" for low, high in LAYERS))


def table(scores: pd.DataFrame, metric: str = "rmse", depth: str = "all") -> pd.DataFrame:
    """Methods × cases of one score as text, `value [low, high]`, the best of a case in bold.

    The best is `**…**`; a trailing `≈` marks methods that are not told apart from it, the 90 %
    interval of their paired difference holding 0 (RMSE and CRPS, which have differences).  Spread
    has no best.

    Args:
        scores: the columns of scores.csv.    depth: "all", a layer ("100-300") or a level ("40.0").
    Raises:
        ValueError: no row holds the metric at this depth.
    """
    there = scores[(scores.metric == metric) & (scores.reference == "truth")]
    chosen = there[there.depth == depth]
    if chosen.empty:
        raise ValueError(
            f"no score of {metric!r} at depth {depth!r}; there are metrics "
            f"{sorted(set(scores.metric))}, this one at {list(dict.fromkeys(there.depth))}"
        )
    best = {case: _best(part, metric) for case, part in chosen.groupby("case")}
    texts = {}
    for row in chosen.itertuples():
        text = _text(row)
        if row.method == best[row.case]:
            text = f"**{text}**"
        elif _tied(scores, metric, row.case, depth, best[row.case], row.method):
            text = f"{text} {TIED}"
        texts.setdefault(row.case, {})[row.method] = text
    result = pd.DataFrame(texts, index=list(dict.fromkeys(chosen.method))).fillna("")
    return result.rename_axis(index="method", columns="case")


def _text(row, sign: str = "") -> str:
    limits = "" if np.isnan(row.low) else f" [{row.low:{sign}.3f}, {row.high:{sign}.3f}]"
    return f"{row.value:{sign}.3f}{limits}"


def _best(part: pd.DataFrame, metric: str) -> str | None:
    metric = metric.removesuffix("_all_pixels")
    if metric == "spread":
        return None
    value = part.set_index("method").value
    if metric in HIGHEST:
        return value.idxmax()
    return (value - AIMED[metric]).abs().idxmin() if metric in AIMED else value.idxmin()


def _difference(scores, metric, case, depth, method) -> pd.DataFrame:
    """Rows of the difference of a method from every other."""
    return scores[
        (scores.metric == f"{metric}_difference")
        & (scores.case == case)
        & (scores.depth == depth)
        & (scores.method == method)
    ]


def _tied(scores, metric, case, depth, best, other) -> bool:
    rows = _difference(scores, metric, case, depth, best)
    rows = rows[rows.reference == other]
    return bool(((rows.low <= 0) & (rows.high >= 0)).any())


def _claim(row) -> str:
    if np.isnan(row.low):
        return "no claim"
    if row.low <= 0 <= row.high:
        return "no difference beyond chance"
    return "better" if row.value < 0 else "worse"


def verdict(scores: pd.DataFrame, *, ours: str = "reconstruction", unit: str = "°C") -> str:
    """Where ours stands against every other method, by RMSE and by CRPS.

    Over all depths a line for every rival with the difference (negative: ours is better), its 90 %
    interval and what may be claimed; a line for every layer, where rivals stand together by claim.
    Where blocks are too few, the difference of every block instead of a claim (RMSE).
    """
    lines = []
    for case in dict.fromkeys(scores.case):
        for metric in TITLES:
            for row in _difference(scores, metric, case, "all", ours).itertuples():
                line = f"{case} · {TITLES[metric]} · {ours} − {row.reference}: "
                line += f"{_text(row, '+')} {unit}, {_claim(row)}"
                lines.append(line + _by_block(scores, row))
            lines += _by_layer(scores, metric, case, ours)
    return "\n".join(lines)


def _by_layer(scores, metric, case, ours):
    for depth in DEPTHS[1:]:
        rows = _difference(scores, metric, case, depth, ours)
        claims = {}
        for row in rows.itertuples():
            claims.setdefault(_claim(row), []).append(row.reference + _by_block(scores, row))
        words = {
            "better": "better than",
            "no difference beyond chance": "no difference beyond chance from",
            "worse": "worse than",
            "no claim": "no claim about",
        }
        said = [f"{words[claim]} {', '.join(claims[claim])}" for claim in words if claim in claims]
        if said:
            yield f"{case} · {TITLES[metric]} · {depth} m: {'; '.join(said)}"


def _by_block(scores, row) -> str:
    """The difference of every block, where there are rows of them."""
    prefix = "block " if row.depth == "all" else f"{row.depth}, block "
    rows = scores[
        (scores.metric == f"{row.metric}_block")
        & (scores.case == row.case)
        & (scores.method == row.method)
        & (scores.reference == row.reference)
        & scores.depth.str.startswith(prefix)
    ]
    if rows.empty:
        return ""
    return f" (too few blocks; by block {', '.join(f'{value:+.3f}' for value in rows.value)})"


def summary(
    scores: pd.DataFrame,
    *,
    ours: str = "reconstruction",
    dates: int | None = None,
    unit: str = "°C",
) -> str:
    """A paragraph a case and Markdown tables of RMSE and CRPS, to paste into a paper or a README.

    For every case the paragraph gives the number of hidden cells (and of dates, where told), the
    scores of ours, and its RMSE and CRPS against the best rival, whichever of them is better.
    """
    said = []
    for case in dict.fromkeys(scores.case):
        rows = scores[(scores.case == case) & (scores.depth == "all")]
        truth = rows[rows.reference == "truth"]
        own = truth[truth.method == ours].set_index("metric")
        if own.empty:
            continue
        cells = f"{int(own.n['rmse']):,} hidden cells"
        over = cells if dates is None else f"{cells} of {dates} dates"
        text = f"**{case}** ({over}, {truth.method.nunique()} methods). "
        names = {"rmse": "RMSE", "crps": "CRPS", "spread_skill": "spread–skill", "coverage": ""}
        given = [
            f"{title or 'coverage of the 90 % interval'} {_text(own.loc[name])}"
            + (f" {unit}" if name in TITLES else "")
            for name, title in names.items()
            if name in own.index
        ]
        text += f"{ours[:1].upper()}{ours[1:]}: {', '.join(given)}. "
        said.append(text + " ".join(_against(scores, truth, case, ours, unit)))
    tables = [markdown(table(scores, name), title, unit) for name, title in TITLES.items()]
    return "\n\n".join([*said, *tables])


def _against(scores, truth, case, ours, unit):
    for metric, title in TITLES.items():
        rivals = truth[(truth.metric == metric) & (truth.method != ours)]
        rows = _difference(scores, metric, case, "all", ours).set_index("reference")
        if rivals.empty or rows.empty:
            continue
        best = rivals.set_index("method").value.idxmin()
        row = rows.loc[best]
        claim = {"no claim": "blocks too few for a claim"}.get(_claim(row), _claim(row))
        yield f"{title} against {best}, the best rival: {_text(row, '+')} {unit}, {claim}."


def markdown(shown: pd.DataFrame, title: str, unit: str) -> str:
    """A `table` in Markdown, its first column named by title and unit."""
    head = [f"{title} ({unit})", *shown.columns]
    rows = [head, ["---"] * len(head), *([name, *row] for name, *row in shown.itertuples())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


DEPTHS = ("all", *(f"{low}-{high}" for low, high in LAYERS))


def read_scores(files: dict[str, Path]) -> pd.DataFrame:
    """The columns of scores.csv with `run` in front, of the cases that all runs have.

    Args:
        files: {run: its scores.csv}.
    Raises:
        FileNotFoundError: runs have no scores yet, all of them named.
        ValueError: no case is common to all runs.
    """
    missing = [run for run, file in files.items() if not Path(file).is_file()]
    if missing:
        commands = "; ".join(f"python -m ocean_lib run {run}" for run in missing)
        raise FileNotFoundError(f"no scores of {', '.join(missing)}; make them first: {commands}")
    scores = pd.concat({run: pd.read_csv(file) for run, file in files.items()}, names=["run"])
    scores = scores.reset_index("run").reset_index(drop=True)
    runs = scores.groupby("case", sort=False)["run"].nunique()
    common = list(runs.index[runs == len(files)])
    if not common:
        cases = {run: list(dict.fromkeys(part.case)) for run, part in scores.groupby("run")}
        raise ValueError(f"no case is common to all runs, which have {cases}; choose others")
    return scores[scores["case"].isin(common)]


def compare_runs(
    scores: pd.DataFrame, metric: str = "rmse", method: str = "reconstruction"
) -> pd.DataFrame:
    """(case, depth) × runs: one score of one method as text, and the cells that were hidden.

    Args:
        scores: of `read`.
    Raises:
        ValueError: no run holds the metric of this method.
    """
    rows = scores[(scores["reference"] == "truth") & (scores["method"] == method)]
    rows = rows[(rows["metric"] == metric) & rows["depth"].isin(DEPTHS)]
    if rows.empty:
        raise ValueError(
            f"no score of {metric!r} of {method!r}; there are metrics "
            f"{sorted(set(scores['metric']))} and methods {list(dict.fromkeys(scores['method']))}"
        )
    cells = rows[rows["depth"] == "all"].assign(depth="hidden cells")
    text = [f"{each:.3f}" for each in rows["value"]]
    limits = [
        "" if pd.isna(low) else f" [{low:.3f}, {high:.3f}]"
        for low, high in zip(rows["low"], rows["high"], strict=True)
    ]
    rows = rows.assign(text=[one + two for one, two in zip(text, limits, strict=True)])
    rows = pd.concat([rows, cells.assign(text=[f"{n:,}" for n in cells["n"]])])
    table = rows.pivot(index=["case", "depth"], columns="run", values="text").fillna("")
    order = [
        (case, depth)
        for case in dict.fromkeys(rows["case"])
        for depth in (*DEPTHS, "hidden cells")
        if (case, depth) in table.index
    ]
    return table.loc[order, list(dict.fromkeys(rows["run"]))]
