"""The table of scores: its columns and layers, and its file scores.csv.

The table has one row per score.  `variable` is what is scored: temperature, another variable, or a
derived quantity.  `layer`, `depth` and `block` say which cells it covers:

    layer      depth   block
    all                         all depths
    100-300                     a layer, m
               40.0             a level, m
    all                1        a block of the cells over all depths
    100-300            1        a block of the cells of a layer
    columns                     columns without an observation, of a derived quantity
    1° boxes                    means over boxes of that size, of a derived quantity
    pairs                       all pairs of adjacent levels (`scores.inversions`)
    pairs              25.0     a pair of levels, by the depth of its middle
"""

from pathlib import Path

import pandas as pd

from ocean_lib.core.atomic import atomic_write

__all__ = ["COLUMNS", "LAYERS", "LAYER_NAMES", "read_scores", "write_scores"]


COLUMNS = ["method", "reference", "case", "variable", "layer", "depth", "block", "metric"]
COLUMNS += ["value", "low", "high", "n"]
LAYERS = ((0, 5), (5, 100), (100, 300), (300, 600), (600, 1000), (1000, 2000))  # m, low <= depth
LAYER_NAMES = ("all", *(f"{low}-{high}" for low, high in LAYERS))


def write_scores(scores: pd.DataFrame, path: Path | str) -> Path:
    """Write the table of `score_methods` as a file that appears only when complete.

    Args:
        scores: the columns `COLUMNS`.
        path: of the CSV file.

    Returns:
        The path.
    """
    path = Path(path)
    with atomic_write(path) as beside:
        scores.to_csv(beside, index=False, float_format="%.6g")
    return path


def read_scores(path: Path | str) -> pd.DataFrame:
    """Read a file that `write_scores` wrote.

    Args:
        path: of the CSV file.

    Raises:
        ValueError: columns are missing, as in files of earlier versions.
    """
    scores = pd.read_csv(path, dtype={"layer": str, "block": "Int64"})
    if missing := [column for column in COLUMNS if column not in scores]:
        raise ValueError(
            f"{path} lacks the columns {missing}, as scores of earlier versions do; score the run "
            "again: python -m ocean_lib run NAME --from 05_evaluation"
        )
    return scores.fillna({"layer": ""})
