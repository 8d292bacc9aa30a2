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

import numpy as np
import torch
from torch import Tensor

CHUNK = 256  # matrices of 32 × 32 at a time: they stay in the cache
ROUNDING = 1e-5  # of the prior variance, beyond what single precision does to a matrix

__all__ = ["KERNELS", "complete", "interpolate"]


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
