"""Interpolation of a Gaussian field: each target uses its most correlated observations.

Values at places (month, latitude, longitude) are a Gaussian field of mean 0 with the correlation

    rho = kernel(|(north / L_north, east / L_east)|) time_correlation(months)

and are observed with noise. North and east are distances in km on the plane that touches the
sphere at the target, so that a correlation means the same at every latitude. A target uses its
`neighbours` nearest observations, at any place and date, with distances scaled by the correlation
lengths. Targets of one block share the neighbours and the plane of its middle, and therefore one
factorisation of the covariance matrix; levels share it wherever their noise is equal. Levels
missing from an observed column are first estimated from its observed levels by the vertical
covariance, and enter with the error of that estimate.

Reference: Bretherton, Davis & Fandry 1976, doi 10.1016/0011-7471(76)90001-2; Rasmussen & Williams
2006, Gaussian processes for machine learning, chapter 4 (kernels).
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from ocean_lib.core.geometry import EARTH_RADIUS

__all__ = [
    "KERNELS",
    "KM_PER_DEGREE",
    "complete_columns",
    "interpolate",
    "lag_of_correlation",
    "time_correlation",
]

MATRICES_AT_ONCE = 256  # systems of 32 × 32 that fit into the cache and are solved together
JITTER = 1e-5  # relative variance added to a matrix that is singular in single precision
KM_PER_DEGREE = np.deg2rad(EARTH_RADIUS)
BAND = 0.02  # relative change of a degree of longitude within which a search of neighbours is one


def _matern32(distance: Tensor) -> Tensor:
    scaled = 3**0.5 * distance
    return (1 + scaled) * torch.exp(-scaled)


def _matern52(distance: Tensor) -> Tensor:
    scaled = 5**0.5 * distance
    return (1 + scaled * (1 + scaled / 3)) * torch.exp(-scaled)


# Correlation at a scaled distance, by name: Matérn of smoothness 1/2, 3/2 and 5/2, exp(-r² / 2).
KERNELS = {
    "matern12": lambda distance: torch.exp(-distance),
    "matern32": _matern32,
    "matern52": _matern52,
    "gaussian": lambda distance: torch.exp(-0.5 * distance**2),
}


def time_correlation(lag: Tensor, months: float, slow: tuple[float, float] | None = None) -> Tensor:
    """Correlation at a time lag: an exponential, or the sum of two.

    Args:
        lag: (...), months.
        months: e-folding time.
        slow: share of the variance of a second exponential, and its e-folding time in months.
    """
    fast = torch.exp(-lag.abs() / months)
    if slow is None:
        return fast
    share, scale = slow
    return (1 - share) * fast + share * torch.exp(-lag.abs() / scale)


def lag_of_correlation(
    correlation: float, months: float, slow: tuple[float, float] | None = None
) -> float:
    """Months after which `time_correlation` has fallen to a value between 0 and 1."""
    from scipy.optimize import brentq

    def excess(lag: float) -> float:
        return float(time_correlation(torch.tensor(lag, dtype=torch.float64), months, slow))

    longest = max(months, slow[1] if slow else 0.0)
    last = -np.log(correlation) * longest
    return brentq(lambda lag: excess(lag) - correlation, 0.0, last + 1e-6 * longest)


def _scaled_distance(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Time lag and scaled distance (..., n, m) of positions (..., n, 3) and (..., m, 3)."""
    months, north, east = (
        a[..., :, None] - b[..., None, :]
        for a, b in zip(first.unbind(-1), second.unbind(-1), strict=True)
    )
    return months, (north**2 + east**2).sqrt()


def interpolate(
    position: np.ndarray,
    value: Tensor,
    variance: Tensor,
    targets: np.ndarray,
    *,
    lengths: tuple[float, float, float],
    noise: float = 0.0,
    kernel: str = "matern32",
    slow: tuple[float, float] | None = None,
    neighbours: int = 32,
    blocks: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[Tensor, Tensor]:
    """Posterior mean and variance at targets, for a prior of mean 0.

    Args:
        position: (N, 3), month, latitude and longitude (degrees) of the observations.
        value: (N, D), or (N, D, K) for K fields observed at the same places.
        variance: (N, D), error variance of the values relative to the prior variance.
        targets: (n, 3), month, latitude and longitude. Longitudes are compared as they are: those
            on both sides of a date line must be continuous.
        lengths: e-folding time in months, meridional and zonal correlation length in km.
        noise: variance that an observation does not share with its neighbours, relative to the
            prior variance; added to `variance`.
        kernel: correlation in space, one of `KERNELS`.
        slow: second time scale, see `time_correlation`.
        neighbours: maximum number of observations used for a target.
        blocks: number of the block in which each target lies, (n,), and month, latitude and
            longitude of every block, (B, 3): its targets share the neighbours of this place.
            Without, each target has its own.

    Returns:
        Mean, (n, D) or (n, D, K), and variance relative to the prior variance, (n, D).

    Raises:
        ValueError: the kernel is unknown.
    """
    if kernel not in KERNELS:
        raise ValueError(f"kernel {kernel!r} is not known; choose one of {[*KERNELS]}")
    fields = value.view(*value.shape[:2], value.shape[2:].numel())
    mean = value.new_zeros(len(targets), *fields.shape[1:])
    remaining = value.new_ones(mean.shape[:2])
    if not len(position):
        return mean.view(len(targets), *value.shape[1:]), remaining
    owner, centres = (np.arange(len(targets)), targets) if blocks is None else blocks
    members = _members(owner, len(centres))
    months, north, east = lengths
    scale = np.array([1.0, north / KM_PER_DEGREE, east / KM_PER_DEGREE])
    search_scale = scale * [lag_of_correlation(np.exp(-1), months, slow), 1.0, 1.0]
    nearest = _nearest(position / search_scale, centres / search_scale, centres[:, 1], neighbours)
    index, member_index = (torch.from_numpy(part).to(value.device) for part in (nearest, members))
    points, places, middle = (
        torch.tensor(part / scale, dtype=torch.float64, device=value.device)
        for part in (position, targets, centres)
    )
    stretch = torch.ones_like(middle)  # of the plane at each centre: a degree of longitude
    stretch[:, 2] = torch.from_numpy(np.cos(np.deg2rad(centres[:, 1])))
    batch = max(1, MATRICES_AT_ONCE * 32**2 // max(index.shape[1], 32) ** 2)

    def correlation(first: Tensor, second: Tensor) -> Tensor:
        lag, distance = _scaled_distance(first, second)
        return KERNELS[kernel](distance) * time_correlation(lag, months, slow)

    def solve(first: int) -> None:
        rows = slice(first, first + batch)
        observed, target = index[rows], member_index[rows]
        filled = target >= 0
        near, there = (
            ((part - middle[rows, None]) * stretch[rows, None]).to(value.dtype)
            for part in (points[observed], places[target])
        )
        among, cross = correlation(near, near), correlation(near, there)
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


def _nearest(
    position: np.ndarray, centres: np.ndarray, latitude: np.ndarray, neighbours: int
) -> np.ndarray:
    """Index (B, k) of the observations nearest to each centre, in scaled coordinates.

    Centres at which a degree of longitude is of nearly the same length are searched together.

    Args:
        position: (N, 3), observations; the last coordinate is that of the equator.
        centres: (B, 3), likewise.
        latitude: (B,), degrees, of the centres.
        neighbours: maximum of k.
    """
    from scipy.spatial import cKDTree

    degree = np.cos(np.deg2rad(latitude)).clip(1e-3)
    bands, band = np.unique(np.rint(np.log(degree) / BAND), return_inverse=True)
    count = min(neighbours, len(position))
    nearest = np.empty((len(centres), count), np.int64)
    for number, logarithm in enumerate(bands):
        stretch = np.array([1.0, 1.0, np.exp(BAND * logarithm)])
        tree = cKDTree(position * stretch, compact_nodes=False, balanced_tree=False)
        here = band == number
        nearest[here] = tree.query(centres[here] * stretch, [*range(1, count + 1)], workers=-1)[1]
    return nearest


def _members(owner: np.ndarray, blocks: int) -> np.ndarray:
    """Indices (B, largest) of the targets of every block, -1 where it has fewer."""
    count = np.bincount(owner, minlength=blocks)
    order = np.argsort(owner, kind="stable")
    slot = np.arange(len(owner)) - np.repeat(count.cumsum() - count, count)
    members = np.full((blocks, count.max(initial=0)), -1)
    members[owner[order], slot] = order
    return members


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
