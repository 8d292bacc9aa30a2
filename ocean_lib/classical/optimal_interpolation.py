"""Local optimal interpolation: every place from the observed columns most correlated with it.

Values at scattered positions (time, row, column) are a Gaussian field of correlation

    rho = kernel(|(rows / L_rows, columns / L_columns)|) exp(-|months| / L_time)

seen with noise, of which a place takes its `neighbours` nearest in these scales, wherever in the
domain and whenever in the record they lie.  Places side by side share theirs, and so one
factorisation; levels do wherever their noise is the same.  What an observed column lacks of levels
is first estimated from those it has, by the vertical covariance, and enters with the error of that
estimate.

Reference: Bretherton, Davis & Fandry 1976, doi 10.1016/0011-7471(76)90001-2; Rasmussen & Williams
2006, Gaussian processes for machine learning, chapter 4 (kernels).
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ocean_lib.classical.simple import _result
from ocean_lib.core.months import to_months
from ocean_lib.observations.batch import select_statistics, standardise

__all__ = ["KERNELS", "OptimalInterpolation", "complete", "interpolate"]


CHUNK = 256  # matrices of 32 × 32 at a time: they stay in the cache
ROUNDING = 1e-5  # of the prior variance, beyond what single precision does to a matrix


def _matern(distance: Tensor) -> Tensor:
    scaled = 3**0.5 * distance
    return (1 + scaled) * torch.exp(-scaled)


def _gaussian(distance: Tensor) -> Tensor:
    return torch.exp(-0.5 * distance**2)


KERNELS = {"matern": _matern, "gaussian": _gaussian}


def _correlation(here: Tensor, there: Tensor, kernel: str) -> Tensor:
    """Correlation (..., n, m) of scaled positions (..., n, 3) and (..., m, 3)."""
    apart = here[..., :, None, :] - there[..., None, :, :]
    distance = (apart[..., 1] ** 2 + apart[..., 2] ** 2).sqrt()
    return KERNELS[kernel](distance) * torch.exp(-apart[..., 0].abs())


def interpolate(
    position: np.ndarray,
    value: Tensor,
    variance: Tensor,
    targets: np.ndarray,
    *,
    lengths: tuple[float, float, float],
    noise: float = 0.0,
    kernel: str = "matern",
    neighbours: int = 32,
    block: int = 1,
) -> tuple[Tensor, Tensor]:
    """Posterior mean (n, D) and variance, relative to the prior's, of targets; the prior mean is 0.

    Args:
        position: (N, 3), month, row and column of the observations.
        value: (N, D), or (N, D, K) of K fields seen alike, whose means are (n, D, K).
        variance: (N, D), of their errors, relative to the prior variance.
        targets: (n, 3).    lengths: e-folding months, and scales in rows and columns.
        noise: relative variance of what a value has that its neighbours have not.
        kernel: `matern` (1 + √3 r) exp(-√3 r), smoothness 3/2, or `gaussian` exp(-r² / 2).
        neighbours: observations a target, at most.
        block: rows and columns whose targets share the neighbours of their middle.
    Raises:
        ValueError: the kernel is not known.
    """
    from scipy.spatial import cKDTree

    if kernel not in KERNELS:
        raise ValueError(f"kernel {kernel!r} is not known; choose one of {[*KERNELS]}")
    fields = value.view(*value.shape[:2], value.shape[2:].numel())
    mean = value.new_zeros(len(targets), *fields.shape[1:])
    left = value.new_ones(mean.shape[:2])
    if not len(position):
        return mean.view(len(targets), *value.shape[1:]), left
    middles, members = _blocks(targets, block)
    scale = np.asarray(lengths)
    count = min(neighbours, len(position))
    tree = cKDTree(position / scale)
    _, index = tree.query(middles / scale, k=[*range(1, count + 1)], workers=-1)
    index, members = (torch.from_numpy(each).to(value.device) for each in (index, members))
    points, places = (
        torch.tensor(each / scale, dtype=value.dtype, device=value.device)
        for each in (position, targets)
    )
    together = max(1, CHUNK * 32**2 // max(count, 32) ** 2)

    def solve(first: int) -> None:
        rows = slice(first, first + together)
        near, chosen, own = points[index[rows]], index[rows], members[rows]
        there = own >= 0
        among = _correlation(near, near, kernel)
        cross = _correlation(near, places[own], kernel)
        values, noises = fields[chosen], variance[chosen] + noise
        weights = torch.zeros_like(cross)
        for level in range(left.shape[1]):
            fresh = torch.ones(len(near), dtype=torch.bool, device=value.device)
            if level:
                fresh = (noises[..., level] != noises[..., level - 1]).any(1)
            if fresh.any():
                matrix = among[fresh] + torch.diag_embed(noises[fresh][..., level])
                weights[fresh] = _solve(matrix, cross[fresh])
                known = (weights * cross).sum(1)
            mean[own[there], level] = (weights.mT @ values[:, :, level])[there]
            left[own[there], level] = 1 - known[there]

    # Many small factorisations: torch does those of a batch one after another.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(solve, range(0, len(middles), together)))
    return mean.view(len(targets), *value.shape[1:]), left.clamp(min=0)


def _blocks(targets: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Middles (n, 3) of blocks of targets, and the targets in each, (n, most), -1 where fewer."""
    key = np.concatenate([targets[:, :1], targets[:, 1:] // block], 1)
    if block == 1:
        key = targets
    _, owner, count = np.unique(key, axis=0, return_inverse=True, return_counts=True)
    owner = owner.ravel()
    order = np.argsort(owner, kind="stable")
    slot = np.arange(len(targets)) - np.repeat(count.cumsum() - count, count)
    members = np.full((len(count), count.max(initial=0)), -1)
    members[owner[order], slot] = order
    total = np.stack([np.bincount(owner, each, len(count)) for each in targets.T], 1)
    return total / count[:, None], members


def _solve(matrix: Tensor, right: Tensor) -> Tensor:
    """Solution of positive definite systems, with some more noise where rounding asks for it."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if failed.any():
        more = ROUNDING * torch.eye(matrix.shape[-1], dtype=torch.float64, device=matrix.device)
        factor = torch.linalg.cholesky(matrix.double() + more)
    return torch.cholesky_solve(right.to(factor), factor).to(right)


def complete(
    value: Tensor, observed: Tensor, noise: Tensor, covariance: Tensor
) -> tuple[Tensor, Tensor]:
    """Columns with every level: those not observed are estimated from those that are.

    Args:
        value: (N, D).    observed: bool, (N, D).
        noise: (N, D), error variance of observed values, relative to the prior variance.
        covariance: (D, D) prior covariance of the levels.
    Returns:
        Values and their error variance relative to the prior variance, both (N, D).
    """
    scale = covariance.diagonal()
    value, noise = torch.where(observed, value, 0.0), torch.where(observed, noise, 0.0)
    for part in (~observed).any(1).nonzero()[:, 0].split(CHUNK):
        seen = observed[part]
        both = seen[:, :, None] & seen[:, None, :]
        own = torch.where(seen, noise[part] * scale, 1.0)
        matrix = torch.where(both, covariance, 0.0) + torch.diag_embed(own)
        cross = torch.where(seen[:, :, None], covariance, 0.0)
        gain = torch.cholesky_solve(cross, torch.linalg.cholesky(matrix))
        estimate = (gain * value[part][..., None]).sum(1)
        left = 1 - (gain * cross).sum(1) / scale
        # An estimate as uncertain as the prior says nothing; its weight stays finite.
        left = left.clamp(1e-6, 1 - 1e-6)
        # The estimate is drawn to 0 already, as the observation that stands for it will be.
        value[part] = torch.where(seen, value[part], estimate / (1 - left))
        noise[part] = torch.where(seen, noise[part], left / (1 - left))
    return value, noise


NOTHING = 1e4  # error variance, of the prior's, above which an observation says nothing
TARGET_BLOCK = 8  # rows and columns interpolated from the same observations


class ColumnGroup(NamedTuple):
    """Observed columns of the dates that share one prior, with every level filled in.

    Attributes:
        dates: bool, (T,), the dates of this group.
        scale: (D,), prior variance of each level.
        columns: (N, 3), date, row and column of the observed columns.
        value: (N, D) departures from the prior, or (N, D, K) for K fields observed alike.
        variance: (N, D), error variance of `value` relative to `scale`.
    """

    dates: Tensor
    scale: Tensor
    columns: Tensor
    value: Tensor
    variance: Tensor


class PreparedObservations(NamedTuple):
    """The part of an optimal interpolation that does not depend on its scales.

    Attributes:
        prior: (T, D, H, W), the regression on the surface, 0 on dates without a surface.
        groups: the observed columns, dates with a surface first.
    """

    prior: Tensor
    groups: list[ColumnGroup]


class OptimalInterpolation:
    """Local optimal interpolation of what a regression on the surface leaves.

    Where the surface is seen on a date, its regression is the prior and what remains has the
    covariance `left`; on other dates climatology is, with `plain`.  Values of a month help those
    before and after it.  Surface under cloud is interpolated first.

    Args:
        regression: `FromCovariance`, which makes it the optimal interpolation of levels and surface
            together, or `Regression`.
        scales: `lengths` (months, rows, columns), `noise` (relative variance of what the field has
            that its neighbours do not), `kernel` and `neighbours` of `local.interpolate`.
        factor: (D,) on the error, from `tune`.
    """

    def __init__(self, regression, scales: dict, factor: Tensor | float = 1.0):
        self.regression, self.scales, self.factor = regression, scales, factor

    def prior(self, batch: dict[str, Tensor], grid: xr.Dataset) -> tuple[Tensor, Tensor]:
        """Regression on the surface, (T, D, H, W), and which dates (T,) have one."""
        seen = batch["surface_observed"]
        dates = seen.flatten(1).any(1)
        surface = batch["surface"]
        cloudy = batch["ocean"].any(1, keepdim=True) & ~seen & dates[:, None, None, None]
        if cloudy.any():
            surface = self._filled(surface, seen, cloudy)
        if not dates.any():
            return torch.zeros_like(batch["value"]), dates
        return self.regression(surface, grid) * dates[:, None, None, None], dates

    def _filled(self, surface: Tensor, seen: Tensor, cloudy: Tensor) -> Tensor:
        surface = surface.clone()
        for channel in range(surface.shape[1]):
            have, lack = seen[:, channel].nonzero(), cloudy[:, 0].nonzero()
            value = surface[:, channel][seen[:, channel]][:, None]
            # A date's own sky comes long before another's.
            scales = self.scales | {"lengths": (1e-3, *self.scales["lengths"][1:])}
            places = have.double().cpu().numpy(), lack.double().cpu().numpy()
            exact = torch.zeros_like(value)
            mean, _ = interpolate(places[0], value, exact, places[1], block=TARGET_BLOCK, **scales)
            surface[lack[:, 0], channel, lack[:, 1], lack[:, 2]] = mean[:, 0]
        return surface

    def prepare(self, batch: dict[str, Tensor], grid: xr.Dataset) -> PreparedObservations:
        """Compute the prior and the completed observed columns.

        Args:
            batch: from `standardise`.
            grid: the observations that the batch was made of.
        """
        prior, dates = self.prior(batch, grid)
        groups = []
        for own, matrix in (
            (dates, self.regression.residual_covariance),
            (~dates, self.regression.prior_covariance),
        ):
            scale = matrix.to(prior).diagonal()
            error = batch["error"] ** 2 / scale[:, None, None]
            telling = batch["observed"] & (error < NOTHING)
            columns = (telling.any(1) & own[:, None, None]).nonzero()
            t, y, x = columns.T
            departure = (batch["value"] - prior)[t, :, y, x]
            seen, uncertain = telling[t, :, y, x], error[t, :, y, x]
            values = complete(departure, seen, uncertain, matrix.to(prior))
            groups.append(ColumnGroup(own, scale, columns, *values))
        return PreparedObservations(prior, groups)

    def posterior(
        self, prepared: PreparedObservations, when: np.ndarray, targets: Tensor, block: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance, (n, D), at targets.

        Args:
            prepared: from `prepare`.
            when: (T,), months of the dates.
            targets: (n, 3), date, row and column.
            block: see `interpolate`.
        """
        departure, variance = self.departure(prepared.groups, when, targets, block)
        t, y, x = targets.T
        return prepared.prior[t, :, y, x] + departure, variance

    def departure(
        self, groups: list[ColumnGroup], when: np.ndarray, targets: Tensor, block: int = 1
    ) -> tuple[Tensor, Tensor]:
        """As `posterior`, of the departure from the prior; targets may lie outside the grid."""
        values = groups[0].value
        mean = values.new_zeros(len(targets), *values.shape[1:])
        variance = values.new_ones(mean.shape[:2])
        for own, scale, columns, value, uncertain in groups:
            mine = own[targets[:, 0]]
            if not mine.any():
                continue
            places, wanted = (
                np.concatenate([when[each[:, :1]], each[:, 1:]], 1)
                for each in (columns.cpu().numpy(), targets[mine].cpu().numpy())
            )
            found, left = interpolate(places, value, uncertain, wanted, block=block, **self.scales)
            mean[mine], variance[mine] = found, left * scale
        return mean, variance

    def analyse(self, batch: dict[str, Tensor], grid: xr.Dataset) -> tuple[Tensor, Tensor]:
        """Field and its error, (T, D, H, W), of all dates; the value and 0 at exact observations.

        Args:
            batch: of `dataset.standardise`.    grid: its observations.
        """
        exact = batch["observed"] & (batch["error"] == 0)
        targets = (batch["ocean"] & ~exact).any(1).nonzero()
        prepared = self.prepare(batch, grid)
        mean, variance = self.posterior(
            prepared, to_months(grid.time.values), targets, TARGET_BLOCK
        )
        field, error = torch.zeros_like(prepared.prior), torch.ones_like(prepared.prior)
        t, y, x = targets.T
        field[t, :, y, x], error[t, :, y, x] = mean, variance.sqrt() * self.factor
        return torch.where(exact, batch["value"], field), torch.where(exact, 0.0, error)

    def __call__(self, observations: xr.Dataset, statistics: xr.Dataset) -> xr.Dataset:
        batch = standardise(observations, select_statistics(statistics, observations))
        field, error = self.analyse(batch, observations)
        return _result(field.numpy(), error.numpy(), observations, statistics)
