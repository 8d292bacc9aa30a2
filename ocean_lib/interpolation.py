"""Interpolation of scattered observations on tensors, batched on any device.

Fields are standardised anomalies on C channels: the surface fields first, then the D levels.  Their
prior covariance is a Kronecker product,

    C = vertical (C, C)  x  along latitude (H, H)  x  along longitude (W, W),

so applying it costs three small matrix products, and optimal interpolation of any pattern, ten
profiles or a half-hidden field, is a linear system S C S' + R over the observed cells that
conjugate gradient steps solve.  With the surface as further channels the same system regresses the
interior on it.  What a few steps leave at the observations is spread by normalised convolutions of
decreasing width, so dense patterns keep their small scales.
"""

import numpy as np
import torch
from torch import Tensor, nn

LONELY = 0.3  # weight of "no departure" beside the observations around a cell
WIDTHS = (4.0, 2.0, 1.0)  # cells, of the convolutions that spread what is left

__all__ = [
    "Background", "gaussian_smooth", "normalised_convolution", "optimal_interpolation", "triangulate"
]  # fmt: skip


def _correlation(size: int, length: float, device, kernel: str = "matern") -> Tensor:
    """(size, size) correlation along one axis for a length scale in cells.

    `gaussian` exp(-d²/2L²) or `matern` (1 + √3 d/L) exp(-√3 d/L), the Matérn function of
    smoothness 3/2.
    """
    position = torch.arange(size, device=device, dtype=torch.float32)
    distance = (position[:, None] - position[None, :]).abs() / length
    if kernel == "gaussian":
        return torch.exp(-0.5 * distance**2)
    if kernel == "matern":
        return (1 + 3**0.5 * distance) * torch.exp(-(3**0.5) * distance)
    raise ValueError(f"kernel {kernel!r} is not known; choose 'gaussian' or 'matern'")


def _separable(field: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """rows (H, H) and columns (W, W) applied to a field (..., H, W)."""
    return rows @ (field @ columns)


def gaussian_smooth(field: Tensor, length: float) -> Tensor:
    """Convolution (..., H, W) with a Gaussian of standard deviation `length` cells."""
    height, width = field.shape[-2:]
    rows = _correlation(height, length, field.device, "gaussian")
    columns = _correlation(width, length, field.device, "gaussian")
    return _separable(field, rows, columns)


def normalised_convolution(value: Tensor, weight: Tensor, length: float) -> Tensor:
    """Mean of the weighted values around each cell, drawn to 0 where there are few.

    Args:
        value: (..., H, W).    weight: (..., H, W), 0 where nothing is known.
        length: standard deviation of the Gaussian neighbourhood, cells.
    Reference: Knutsson & Westin 1993, normalized convolution.
    """
    total = gaussian_smooth(weight * value, length)
    return total / (gaussian_smooth(weight, length) + LONELY)


def optimal_interpolation(
    value: Tensor,
    observed: Tensor,
    noise: Tensor,
    vertical: Tensor,
    rows: Tensor,
    columns: Tensor,
    iterations: int,
) -> Tensor:
    """Posterior mean of a zero-mean Gaussian field with Kronecker covariance, (B, C, H, W).

    Args:
        value: (B, C, H, W), standardised; read where observed only.
        observed: bool, (B, C, H, W).
        noise: error variance of the observations, broadcastable to (B, C, H, W).
        vertical: (C, C).    rows: (H, H).    columns: (W, W).
        iterations: conjugate gradient steps at most; it stops early once converged.
    Reference: Bretherton, Davis & Fandry 1976, objective analysis.
    """

    def covariance(field: Tensor) -> Tensor:
        flat = vertical @ _separable(field, rows, columns).flatten(2)
        return flat.view(field.shape)

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum((1, 2, 3), keepdim=True)

    # Preconditioned by the diagonal of S C S' + R, which differs where errors do.
    scale = 1 / (vertical.diagonal()[:, None, None] + noise)
    residual = torch.where(observed, value, 0.0)
    weights = torch.zeros_like(residual)
    direction = scale * residual
    size = dot(residual, direction)
    start = size.clamp(min=1e-12)
    for _ in range(iterations):
        applied = torch.where(observed, covariance(direction) + noise * direction, 0.0)
        step = size / dot(direction, applied).clamp(min=1e-20)
        weights = weights + step * direction
        residual = residual - step * applied
        preconditioned = scale * residual
        previous, size = size, dot(residual, preconditioned)
        direction = preconditioned + size / previous.clamp(min=1e-20) * direction
        if iterations > 32 and bool((size < 1e-6 * start).all()):
            break
    return covariance(weights)


class Background(nn.Module):
    """The first guess and its error from observations and climatology alone.

    A module, so that it moves with the network and lies in the checkpoint.  In training and in
    reconstruction it is the same code; with more `iterations` it is the optimal interpolation of
    the baselines.

    Args:
        covariance: (S + D, S + D), of the channels' standardised anomalies.
        surfaces: number S of surface channels, first in the covariance.
        length: correlation length, cells.
        noise: variance of what the covariance does not resolve, in standardised units.
        kernel: `gaussian` or `matern`.
        iterations: conjugate gradient steps.
        floor, decay: the error variance left amid observations is floor / n^decay, where n is
            the number of observations that a cell correlates with.
    """

    def __init__(
        self,
        covariance: Tensor,
        surfaces: int,
        *,
        length: float = 8.0,
        noise: float = 0.05,
        kernel: str = "matern",
        iterations: int = 10,
        floor: float = 1e-6,
        decay: float = 0.0,
    ):
        super().__init__()
        self.register_buffer("covariance", torch.as_tensor(covariance, dtype=torch.float32))
        self.surfaces, self.length, self.noise, self.kernel = surfaces, length, noise, kernel
        self.iterations, self.floor, self.decay = iterations, floor, decay

    def settings(self) -> dict:
        """What `Background(covariance, **settings)` needs to be built again."""
        names = ("surfaces", "length", "noise", "kernel", "iterations", "floor", "decay")
        return {name: getattr(self, name) for name in names}

    @torch.no_grad()
    def forward(
        self,
        value: Tensor,
        observed: Tensor,
        error: Tensor,
        ocean: Tensor,
        surface: Tensor,
        surface_observed: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Background and its error (standard deviation), both (B, D, H, W), standardised.

        The error is that of the covariance alone far from observations, less where the surface is
        seen, and near one observation what it leaves of the variance.  It is exact for a single
        observation; among many it counts their correlations together, up to 1.

        Args:
            value, observed, error, ocean: (B, D, H, W).
            surface, surface_observed: (B, S, H, W).
        """
        seen = torch.cat([surface_observed, observed], 1)
        values = torch.where(seen, torch.cat([surface, value], 1), 0.0)
        noise = self.noise + torch.cat([torch.zeros_like(surface), error], 1) ** 2
        height, width = value.shape[-2:]
        rows = _correlation(height, self.length, value.device, self.kernel)
        columns = _correlation(width, self.length, value.device, self.kernel)
        mean = optimal_interpolation(
            values, seen, noise, self.covariance, rows, columns, self.iterations
        )[:, self.surfaces :]
        reliability = observed / (1 + error**2 / max(self.noise, 1e-6))
        for width_in_cells in WIDTHS:
            left = torch.where(observed, value - mean, 0.0)
            mean = mean + normalised_convolution(left, reliability, width_in_cells)
        variance = self._variance(surface_observed)
        number = self.neighbours(observed, error)
        left = self.floor / number.clamp(min=1) ** self.decay
        spread = (variance * (1 - number.clamp(max=1) ** 2)).maximum(left).sqrt()
        return torch.where(ocean, mean, 0.0), torch.where(ocean, spread, 0.0)

    def neighbours(self, observed: Tensor, error: Tensor) -> Tensor:
        """Sum of the correlations with the observations of the level, (B, D, H, W)."""
        height, width = observed.shape[-2:]
        rows = _correlation(height, self.length, error.device, self.kernel)
        columns = _correlation(width, self.length, error.device, self.kernel)
        return _separable(observed / (1 + error**2).sqrt(), rows, columns)

    def _variance(self, surface_observed: Tensor) -> Tensor:
        """Variance (B, D, H, W) before any observation at depth, less what the surface explains."""
        s = self.surfaces
        prior = self.covariance.diagonal()[s:]
        if not s:
            return prior.view(1, -1, 1, 1)
        cross, above = self.covariance[s:, :s], self.covariance[:s, :s]
        noisy = above + self.noise * torch.eye(s, device=above.device)
        explained = (cross @ torch.linalg.inv(noisy) * cross).sum(1)
        seen = surface_observed.all(1, keepdim=True)
        return prior.view(1, -1, 1, 1) - seen * explained.view(1, -1, 1, 1)


def triangulate(value: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Linear interpolation of (T, D, H, W) within each level; 0 where a level has no value."""
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
    from scipy.ndimage import binary_erosion
    from scipy.spatial import QhullError

    height, width = value.shape[-2:]
    cells = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1)
    mean = np.where(observed, value, 0.0).astype(value.dtype)
    for index in np.ndindex(value.shape[:2]):
        seen = observed[index]
        if not seen.any() or seen.all():
            continue
        # A point amid observed ones is a corner of no triangle that holds a hidden cell.
        corner = seen & ~binary_erosion(seen, np.ones((3, 3)))
        points, values, hidden = cells[corner], value[index][corner], cells[~seen]
        try:
            found = LinearNDInterpolator(points, values)(hidden)
        except QhullError:  # fewer than three points, or all on one line
            found = np.full(len(hidden), np.nan)
        outside = np.isnan(found)
        found[outside] = NearestNDInterpolator(points, values)(hidden[outside])
        mean[index][~seen] = found
    return mean
