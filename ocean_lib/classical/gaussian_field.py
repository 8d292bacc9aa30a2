"""Interpolation of a Gaussian field: each target uses its most correlated observations.

Values at positions (month, row, column) are a Gaussian field of mean 0 with the correlation

    rho = kernel(|(rows / L_rows, columns / L_columns)|) exp(-|months| / L_time)

and are observed with noise. A target uses its `neighbours` nearest observations, at any place and
date, with distances scaled by the correlation lengths. Targets in one block share their
neighbours and therefore one factorisation of the covariance matrix; levels share it wherever their
noise is equal. Levels missing from an observed column are first estimated from its observed levels
by the vertical covariance, and enter with the error of that estimate.

Reference: Bretherton, Davis & Fandry 1976, doi 10.1016/0011-7471(76)90001-2; Rasmussen & Williams
2006, Gaussian processes for machine learning, chapter 4 (kernels).
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

__all__ = ["KERNELS", "complete_columns", "interpolate"]

MATRICES_AT_ONCE = 256  # systems of 32 × 32 that fit into the cache and are solved together
JITTER = 1e-5  # relative variance added to a matrix that is singular in single precision


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
        value: (N, D), or (N, D, K) for K fields observed at the same places.
        variance: (N, D), error variance of the values relative to the prior variance.
        targets: (n, 3), month, row and column.
        lengths: e-folding time in months, correlation lengths in rows and in columns.
        noise: variance that an observation does not share with its neighbours, relative to the
            prior variance; added to `variance`.
        kernel: `matern`, (1 + √3 r) exp(-√3 r), smoothness 3/2; or `gaussian`, exp(-r² / 2).
        neighbours: maximum number of observations used for a target.
        block: side, in rows and columns, of the blocks of targets that share the neighbours of
            their centre.

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
        observed, target = index[rows], member_index[rows]
        filled = target >= 0
        near = points[observed]
        among = _correlation(near, near, kernel)
        cross = _correlation(near, places[target], kernel)
        values, noises = fields[observed], variance[observed] + noise
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
    """Group targets (n, 3) by blocks: centres (B, 3), and target indices (B, largest), or -1."""
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
        value: (N, D), used where observed.
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
        # The bounds keep the weight finite where the estimate is as uncertain as the prior.
        remaining = remaining.clamp(1e-6, 1 - 1e-6)
        # The estimate is shrunk to the prior; the equivalent observation is not.
        value[part] = torch.where(seen, value[part], estimate / (1 - remaining))
        noise[part] = torch.where(seen, noise[part], remaining / (1 - remaining))
    return value, noise
