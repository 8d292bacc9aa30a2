"""How many network evaluations a sample needs: scores of the same cases by number of evaluations.

All numbers start from the same noise, so that only the error of the sampler differs.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import pandas as pd
import xarray as xr

from ocean_lib.model.densifier import Densifier
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.scores.hidden import hidden_ocean
from ocean_lib.scores.metrics import ensemble_scores

__all__ = ["score_by_evaluations"]


def score_by_evaluations(
    model: Densifier,
    fields: xr.Dataset,
    cases: dict[str, xr.Dataset],
    evaluations: list[int],
    *,
    members: int = 16,
    sampling: Sampling = Sampling(),
    device: str = "cpu",
    progress: Callable[[Iterable], Iterable] = iter,
) -> pd.DataFrame:
    """Scores of the members over hidden ocean, for every case and number of evaluations.

    Args:
        model: with a denoiser.
        fields: the truth.
        cases: observations of the fields by name, from `observe`.
        evaluations: numbers of sampling steps to compare.
        members: ensemble size.
        sampling: how the members are drawn; its `steps` are replaced.
        device: where the networks run.
        progress: wraps the list of (case, number of evaluations).

    Returns:
        Columns `case`, `evaluations`, `rmse` of the members' mean and fair `crps`, °C, and
        `spread_skill`.
    """
    draw = partial(reconstruct, model, members=members, device=device)
    rows = []
    for case, steps in progress([(case, steps) for case in cases for steps in evaluations]):
        drawn = draw(cases[case], sampling=replace(sampling, steps=steps))
        where = hidden_ocean(fields, cases[case])
        scores = ensemble_scores(drawn.members, fields.temperature, where)
        rows.append({"case": case, "evaluations": steps, **scores})
    return pd.DataFrame(rows)[["case", "evaluations", "rmse", "crps", "spread_skill"]]
