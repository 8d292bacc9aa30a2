"""Runs beside each other: their scores.csv read together, over the cases that all of them have.

Each run was scored by notebook 05 on its own hidden cells, whose number is laid beside the scores:
runs that hide other cells, or another ocean, are not paired, and no difference between them is
claimed here.
"""

from pathlib import Path

import pandas as pd

from .evaluation import LAYERS

__all__ = ["beside", "read"]

DEPTHS = ("all", *(f"{low}-{high}" for low, high in LAYERS))


def read(files: dict[str, Path]) -> pd.DataFrame:
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


def beside(
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
