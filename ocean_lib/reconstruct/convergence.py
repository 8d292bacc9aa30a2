"""How many evaluations of the network a sample needs: the same cases, drawn with few and with many.

Members keep their noise, so that what differs is the sampler's own error.
"""

from collections.abc import Callable, Iterable

import pandas as pd
import xarray as xr

from ocean_lib.model.densifier import Densifier
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.scores import metrics
from ocean_lib.scores.evaluation import hidden_ocean

__all__ = ["score_by_evaluations"]


def score_by_evaluations(
    model: Densifier,
    fields: xr.Dataset,
    cases: dict[str, xr.Dataset],
    evaluations: list[int],
    *,
    progress: Callable[[Iterable], Iterable] = iter,
    **choices,
) -> pd.DataFrame:
    """Scores over hidden ocean of the members alone, for every case and number of evaluations.

    Args:
        fields: the truth.    cases: its observations by name, of `dataset.observe`.
        evaluations: numbers to compare.    progress: wraps what is to be done, record by record.
        choices: of `reconstruct`, but its steps.
    Returns:
        Columns `case`, `evaluations`; `rmse` of the members' mean and fair `crps`, °C;
        `spread_skill`.
    """
    rows = []
    for case, number in progress([(case, number) for case in cases for number in evaluations]):
        members = reconstruct(model, cases[case], steps=number, **choices).members
        choice = {"where": hidden_ocean(fields, cases[case])}
        rows.append(
            {
                "case": case,
                "evaluations": number,
                "rmse": float(metrics.rmse(members.mean("member"), fields.temperature, **choice)),
                "crps": float(metrics.crps(members, fields.temperature, **choice)),
                "spread_skill": float(metrics.spread_skill(members, fields.temperature, **choice)),
            }
        )
    return pd.DataFrame(rows)
