"""Local optimal interpolation: each target is estimated from its most correlated observations.

Departures from a prior are a Gaussian field over (month, row, column) with the correlation

    rho = kernel(|(rows / L_rows, columns / L_columns)|) exp(-|months| / L_time)

observed with noise. A target uses its `neighbours` nearest observations, with distances scaled by
the correlation lengths, from anywhere in the domain and any date. Targets in one block share their
neighbours and therefore one factorisation of the covariance matrix; levels share it wherever their
noise is equal. Levels missing from an observed column are first estimated from its observed levels
by the vertical covariance, and enter with the error of that estimate.

Reference: Bretherton, Davis & Fandry 1976, doi 10.1016/0011-7471(76)90001-2; Rasmussen & Williams
2006, Gaussian processes for machine learning, chapter 4 (kernels).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ocean_lib.classical.regression import CovarianceRegression, Regression
from ocean_lib.classical.result import method_result
from ocean_lib.core.months import to_months
from ocean_lib.observations.batch import exactly_observed, select_statistics, standardise

__all__ = ["KERNELS", "ColumnGroup", "OptimalInterpolation", "complete_columns", "interpolate"]

MATRICES_AT_ONCE = 256  # systems of 32 × 32 that are solved together and fit into the cache
JITTER = 1e-5  # relative variance added to a matrix that is singular in single precision
MAX_RELATIVE_VARIANCE = 1e4  # an observation with more error variance / prior variance is ignored
TARGET_BLOCK = 8  # rows and columns of the blocks of targets that share their observations


def _matern(distance: Tensor) -> Tensor:
    scaled = 3**0.5 * distance
    return (1 + scaled) * torch.exp(-scaled)


def _gaussian(distance: Tensor) -> Tensor:
    return torch.exp(-0.5 * distance**2)


KERNELS = {"matern": _matern, "gaussian": _gaussian}


def _correlation(first: Tensor, second: Tensor, kernel: str) -> Tensor:
    """Correlation (..., n, m) between scaled positions (..., n, 3) and (..., m, 3)."""
    offset = first[..., :, None, :] - second[..., None, :, :]
    distance = (offset[..., 1] ** 2 + offset[..., 2] ** 2).sqrt()
    return KERNELS[kernel](distance) * torch.exp(-offset[..., 0].abs())


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
    """Posterior mean and variance at targets, for a prior of mean 0.

    Args:
        position: (N, 3), month, row and column of the observations.
        value: (N, D), or (N, D, K) for K fields that are observed alike.
        variance: (N, D), error variance of the values relative to the prior variance.
        targets: (n, 3), month, row and column.
        lengths: e-folding time in months, correlation lengths in rows and in columns.
        noise: variance that an observation does not share with its neighbours, relative to the
            prior variance; added to `variance`.
        kernel: `matern`, (1 + √3 r) exp(-√3 r), smoothness 3/2; or `gaussian`, exp(-r² / 2).
        neighbours: maximum number of observations used for a target.
        block: rows and columns of the blocks of targets that share the neighbours of their centre.

    Returns:
        Mean, (n, D) or (n, D, K), and variance relative to the prior variance, (n, D).

    Raises:
        ValueError: the kernel is unknown.
    """
    from scipy.spatial import cKDTree

    if kernel not in KERNELS:
        raise ValueError(f"kernel {kernel!r} is not known; choose one of {[*KERNELS]}")
    fields = value.view(*value.shape[:2], value.shape[2:].numel())
    mean = value.new_zeros(len(targets), *fields.shape[1:])
    remaining = value.new_ones(mean.shape[:2])
    if not len(position):
        return mean.view(len(targets), *value.shape[1:]), remaining
    centres, members = _group_targets(targets, block)
    scale = np.asarray(lengths)
    count = min(neighbours, len(position))
    _, nearest = cKDTree(position / scale).query(
        centres / scale, k=[*range(1, count + 1)], workers=-1
    )
    index, member_index = (torch.from_numpy(part).to(value.device) for part in (nearest, members))
    points, places = (
        torch.tensor(part / scale, dtype=value.dtype, device=value.device)
        for part in (position, targets)
    )
    batch = max(1, MATRICES_AT_ONCE * 32**2 // max(count, 32) ** 2)

    def solve(first: int) -> None:
        rows = slice(first, first + batch)
        chosen, target = index[rows], member_index[rows]
        filled = target >= 0
        near = points[chosen]
        among = _correlation(near, near, kernel)
        cross = _correlation(near, places[target], kernel)
        values, noises = fields[chosen], variance[chosen] + noise
        weights = torch.zeros_like(cross)
        for level in range(remaining.shape[1]):
            changed = torch.ones(len(near), dtype=torch.bool, device=value.device)
            if level:
                changed = (noises[..., level] != noises[..., level - 1]).any(1)
            if changed.any():
                matrix = among[changed] + torch.diag_embed(noises[changed][..., level])
                weights[changed] = _solve(matrix, cross[changed])
                explained = (weights * cross).sum(1)
            mean[target[filled], level] = (weights.mT @ values[:, :, level])[filled]
            remaining[target[filled], level] = 1 - explained[filled]

    # torch factorises the small matrices of a batch one after another; threads use all cores.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(solve, range(0, len(centres), batch)))
    return mean.view(len(targets), *value.shape[1:]), remaining.clamp(min=0)


def _group_targets(targets: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Group targets (n, 3) by blocks: centres (B, 3), and the targets of each (B, most), or -1."""
    key = targets
    if block > 1:
        key = np.concatenate([targets[:, :1], targets[:, 1:] // block], 1)
    _, owner, count = np.unique(key, axis=0, return_inverse=True, return_counts=True)
    owner = owner.ravel()
    order = np.argsort(owner, kind="stable")
    slot = np.arange(len(targets)) - np.repeat(count.cumsum() - count, count)
    members = np.full((len(count), count.max(initial=0)), -1)
    members[owner[order], slot] = order
    total = np.stack([np.bincount(owner, axis, len(count)) for axis in targets.T], 1)
    return total / count[:, None], members


def _solve(matrix: Tensor, right: Tensor) -> Tensor:
    """Solve positive definite systems, in double precision and with jitter where single fails."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if failed.any():
        jitter = JITTER * torch.eye(matrix.shape[-1], dtype=torch.float64, device=matrix.device)
        factor = torch.linalg.cholesky(matrix.double() + jitter)
    return torch.cholesky_solve(right.to(factor), factor).to(right)


def complete_columns(
    value: Tensor, observed: Tensor, noise: Tensor, covariance: Tensor
) -> tuple[Tensor, Tensor]:
    """Estimate the levels missing from observed columns by the vertical covariance.

    Args:
        value: (N, D), read where observed.
        observed: bool, (N, D).
        noise: (N, D), error variance of the observed values relative to the prior variance.
        covariance: (D, D), prior covariance of the levels.

    Returns:
        Values of all levels and their error variance relative to the prior variance, both (N, D).
    """
    scale = covariance.diagonal()
    value, noise = torch.where(observed, value, 0.0), torch.where(observed, noise, 0.0)
    for part in (~observed).any(1).nonzero()[:, 0].split(MATRICES_AT_ONCE):
        seen = observed[part]
        both = seen[:, :, None] & seen[:, None, :]
        diagonal = torch.where(seen, noise[part] * scale, 1.0)
        matrix = torch.where(both, covariance, 0.0) + torch.diag_embed(diagonal)
        cross = torch.where(seen[:, :, None], covariance, 0.0)
        gain = torch.cholesky_solve(cross, torch.linalg.cholesky(matrix))
        estimate = (gain * value[part][..., None]).sum(1)
        remaining = 1 - (gain * cross).sum(1) / scale
        # Keeps the weight finite where the estimate is as uncertain as the prior.
        remaining = remaining.clamp(1e-6, 1 - 1e-6)
        # The estimate is shrunk to the prior; the value that yields it as an observation is not.
        value[part] = torch.where(seen, value[part], estimate / (1 - remaining))
        noise[part] = torch.where(seen, noise[part], remaining / (1 - remaining))
    return value, noise


class ColumnGroup(NamedTuple):
    """Observed columns of the dates that share a prior, with every level filled in.

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
        groups: the observed columns; first those of the dates with a surface.
    """

    prior: Tensor
    groups: list[ColumnGroup]


@dataclass(eq=False)
class OptimalInterpolation:
    """Local optimal interpolation of the residual of a regression on the surface.

    On dates with a surface the prior is the regression, with its residual covariance; on other
    dates it is climatology. Observations of a date also inform the dates around it. Gaps in the
    surface (clouds) are interpolated first.

    Args:
        regression: a `Regression`, or a `CovarianceRegression`, which makes this the joint optimal
            interpolation of levels and surface.
        scales: `lengths`, `noise`, `kernel` and `neighbours` of `interpolate`.
        factor: (D,), multiplies the error; 1 without tuning.
    """

    regression: CovarianceRegression | Regression
    scales: dict[str, Any]
    factor: Tensor | float = 1.0

    def prior(self, batch: dict[str, Tensor], grid: xr.Dataset) -> tuple[Tensor, Tensor]:
        """Regression on the surface, 0 on dates without one.

        Args:
            batch: from `standardise`.
            grid: dates and coordinates of the batch.

        Returns:
            Prior mean, (T, D, H, W), and whether a date has a surface, bool, (T,).
        """
        seen, surface = batch["surface_observed"], batch["surface"]
        dates = seen.flatten(1).any(1)
        cloudy = batch["ocean"].any(1, keepdim=True) & ~seen & dates[:, None, None, None]
        if cloudy.any():
            surface = self._fill_surface(surface, seen, cloudy)
        if not dates.any():
            return torch.zeros_like(batch["value"]), dates
        return self.regression(surface, grid) * dates[:, None, None, None], dates

    def _fill_surface(self, surface: Tensor, seen: Tensor, cloudy: Tensor) -> Tensor:
        """Interpolate the surface under clouds, practically from the same date alone."""
        scales = self.scales | {"lengths": (1e-3, *self.scales["lengths"][1:])}
        surface, gaps = surface.clone(), cloudy[:, 0].nonzero()
        for channel in range(surface.shape[1]):
            value = surface[:, channel][seen[:, channel]][:, None]
            position, targets = (
                part.double().cpu().numpy() for part in (seen[:, channel].nonzero(), gaps)
            )
            exact = torch.zeros_like(value)
            mean, _ = interpolate(position, value, exact, targets, block=TARGET_BLOCK, **scales)
            surface[gaps[:, 0], channel, gaps[:, 1], gaps[:, 2]] = mean[:, 0]
        return surface

    def prepare(self, batch: dict[str, Tensor], grid: xr.Dataset) -> PreparedObservations:
        """Compute the prior and the completed observed columns.

        Args:
            batch: from `standardise`.
            grid: dates and coordinates of the batch.
        """
        prior, dates = self.prior(batch, grid)
        covariances = self.regression.residual_covariance, self.regression.prior_covariance
        groups = []
        for members, covariance in zip((dates, ~dates), covariances):
            covariance = covariance.to(prior)
            scale = covariance.diagonal()
            error = batch["error"] ** 2 / scale[:, None, None]
            useful = batch["observed"] & (error < MAX_RELATIVE_VARIANCE)
            columns = (useful.any(1) & members[:, None, None]).nonzero()
            t, y, x = columns.T
            departure = (batch["value"] - prior)[t, :, y, x]
            completed = complete_columns(
                departure, useful[t, :, y, x], error[t, :, y, x], covariance
            )
            groups.append(ColumnGroup(members, scale, columns, *completed))
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
        value = groups[0].value
        mean = value.new_zeros(len(targets), *value.shape[1:])
        variance = value.new_ones(mean.shape[:2])
        for group in groups:
            mine = group.dates[targets[:, 0]]
            if not mine.any():
                continue
            position, places = (
                np.concatenate([when[index[:, :1]], index[:, 1:]], 1)
                for index in (group.columns.cpu().numpy(), targets[mine].cpu().numpy())
            )
            mean[mine], relative = interpolate(
                position, group.value, group.variance, places, block=block, **self.scales
            )
            variance[mine] = relative * group.scale
        return mean, variance

    def analyse(self, batch: dict[str, Tensor], grid: xr.Dataset) -> tuple[Tensor, Tensor]:
        """Field and its error (standard deviation), (T, D, H, W), standardised, on all dates.

        At exact observations they are the observed value and 0.

        Args:
            batch: from `standardise`.
            grid: dates and coordinates of the batch.
        """
        exact = exactly_observed(batch)
        targets = (batch["ocean"] & ~exact).any(1).nonzero()
        prepared, when = self.prepare(batch, grid), to_months(grid.time.values)
        mean, variance = self.posterior(prepared, when, targets, TARGET_BLOCK)
        field, error = torch.zeros_like(prepared.prior), torch.ones_like(prepared.prior)
        t, y, x = targets.T
        field[t, :, y, x], error[t, :, y, x] = mean, variance.sqrt() * self.factor
        return torch.where(exact, batch["value"], field), torch.where(exact, 0.0, error)

    def __call__(self, observations: xr.Dataset, statistics: xr.Dataset) -> xr.Dataset:
        """`mean` and `error` of every variable, in its units; see `method_result`."""
        batch = standardise(observations, select_statistics(statistics, observations))
        field, error = self.analyse(batch, observations)
        return method_result(field.numpy(), error.numpy(), observations, statistics)
