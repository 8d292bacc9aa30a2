"""Validation months under one observation pattern, and hidden places at which methods are compared.

Two disjoint sets of hidden places are drawn: `search_targets` for the search of parameters, and
`holdout_targets` for the final choice and the factors on the stated errors. They lie in different
blocks, and some of a block's columns are taken: all have the observations of its middle, as when a
field is interpolated, and errors differ less within a block than between blocks.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ocean_lib.classical.optimal_interpolation import TARGET_BLOCK
from ocean_lib.classical.regression import seen_subsets
from ocean_lib.observations.batch import observe, select_statistics, standardise
from ocean_lib.store.store import Store

__all__ = ["Validation"]

SEARCH_BLOCKS = 128  # blocks of columns at which candidates are compared during a search
HOLDOUT_BLOCKS = 512  # other blocks, for the final choice and the error factors
COLUMNS_PER_BLOCK = 16  # compared on average, so that every hidden column is equally likely
MAX_VALUES = 2**22  # values of the validation months held in memory


class Validation:
    """Validation months under the pattern of a case, and hidden places for comparing methods.

    Args:
        store: the store whose validation block is used.
        case: observation pattern (`check_patterns`).
        seed: seed of the observations and of the places.

    Attributes:
        observations: from `observe`.
        batch: the same, standardised.
        truth: (T, D, H, W), standardised.
        hidden: bool, (T, D, H, W), ocean that is not observed.
        subsets: numbers of the subsets of the surface fields that dates see, without the empty one
            (`regression.subsets`).
        search_targets: (n, 3), date, row and column of the columns compared during a search.
        holdout_targets: (n, 3), of other blocks, for the final choice and the error factors.
    """

    def __init__(self, store: Store, case: dict[str, Any], seed: int):
        times, columns = store.block("validation")
        values = store.ocean[:, columns].size
        dates = np.arange(min(times.stop - times.start, max(MAX_VALUES // values, 6)))
        self.observations = observe(store.fields("validation", dates), case, seed)
        statistics = select_statistics(store.statistics(), self.observations)
        self.batch = standardise(self.observations, statistics)
        surfaces = len(store.surfaces)
        self.truth = torch.from_numpy(store.standardised("validation", dates))[:, surfaces:]
        present = torch.from_numpy(store.present("validation", dates))[:, surfaces:]
        self.hidden = self.batch["ocean"] & ~self.batch["observed"] & present
        self.subsets = sorted({*seen_subsets(self.batch["surface_observed"]).tolist()} - {0})
        generator = torch.Generator().manual_seed(seed)
        columns_hidden = self.hidden.any(1).nonzero()
        corner = columns_hidden // torch.tensor([1, TARGET_BLOCK, TARGET_BLOCK])
        blocks, owner = corner.unique(dim=0, return_inverse=True)
        order = torch.randperm(len(blocks), generator=generator)
        number = min(SEARCH_BLOCKS, len(blocks) // 2)
        search, holdout = order[:number], order[number:][:HOLDOUT_BLOCKS]

        def some_columns(chosen: Tensor) -> Tensor:
            inside = columns_hidden[torch.isin(owner, chosen)]
            shuffled = torch.randperm(len(inside), generator=generator)
            return inside[shuffled[: COLUMNS_PER_BLOCK * len(chosen)].sort().values]

        self.search_targets, self.holdout_targets = map(some_columns, (search, holdout))
        # Deviations relative to the RMS of their variable, so that variables have equal weight.
        deviation = torch.from_numpy(statistics.deviation.values[surfaces:])
        parts = (deviation, self.batch["ocean"][0])
        variables = zip(*(part.chunk(len(store.variables)) for part in parts))
        self._unit = torch.cat([part / part[wet].square().mean().sqrt() for part, wet in variables])

    def normalised_rmse(self, mean: Tensor, targets: Tensor) -> float:
        """RMSE over the hidden cells of the targets, relative to the standard deviation there.

        Errors are weighted in proportion to °C, as in the scores.

        Args:
            mean: (n, D), standardised.
            targets: (n, 3), date, row and column.
        """
        t, y, x = targets.T
        unit = self._unit[:, y, x].T * self.hidden[t, :, y, x]
        square = (unit * (mean - self.truth[t, :, y, x])) ** 2
        return float((square.sum() / unit.square().sum()).sqrt())

    def negative_log_likelihood(self, mean: Tensor, variance: Tensor, targets: Tensor) -> float:
        """Negative log-likelihood of the truth per value, with the best common error factor.

        Args:
            mean: (n, D), standardised.
            variance: (n, D).
            targets: (n, 3), date, row and column.
        """
        t, y, x = targets.T
        hidden = self.hidden[t, :, y, x]
        square = ((mean - self.truth[t, :, y, x]) ** 2)[hidden]
        stated = variance[hidden].clamp(min=1e-9)
        return 0.5 * float(stated.log().mean() + (square / stated).mean().log())

    def error_factor(self, mean: Tensor, variance: Tensor, targets: Tensor) -> Tensor:
        """Ratio of actual to stated error at the targets, (D,).

        Args:
            mean: (n, D), standardised.
            variance: (n, D).
            targets: (n, 3), date, row and column.
        """
        t, y, x = targets.T
        hidden = self.hidden[t, :, y, x]
        square = torch.where(hidden, (mean - self.truth[t, :, y, x]) ** 2, 0.0).sum(0)
        stated = torch.where(hidden, variance, 0.0).sum(0)
        ratio = torch.where(stated > 0, square / stated.clamp(min=1e-12), 1.0)
        return ratio.sqrt()
