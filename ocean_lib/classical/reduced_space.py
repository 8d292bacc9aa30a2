"""Reduced-space interpolation: the training months' own patterns, fitted to what is observed.

On a fixed region with a long record the states of N training months span most of what the field
does.  Their covariance, shrunk towards independent cells,

    C = (1 - a) A'A / N + a I,    A (N, n) standardised anomalies of all cells and channels,

conditions all cells on the observed ones.  Since A'A / N has rank N, that is a system of size N
however many cells there are: x = B z + e with z ~ N(0, I), B = sqrt((1 - a) / N) A', e ~ N(0, a I).

Reference: Ledoit & Wolf 2004, doi 10.1016/S0047-259X(03)00096-4 (shrinkage); Kaplan et al. 1997,
doi 10.1029/97JC01734 (reduced-space optimal analysis).
"""

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ocean_lib.classical.regression import nearest_cells
from ocean_lib.classical.simple import _result
from ocean_lib.observations.batch import select_statistics, standardise
from ocean_lib.store.store import Store

__all__ = ["ReducedSpace", "ledoit_wolf", "reduced_space"]


def ledoit_wolf(states: Tensor) -> float:
    """The shrinkage a, from 0 to 1, that leaves the least error of the covariance of states (N, n).

    Towards a multiple of the identity, for states of mean 0.
    """
    number, size = states.shape
    states = states.double()
    gram = states @ states.T / size  # (N, N): inner products, for the n by n matrix is never made
    squares = gram.diagonal()
    scale = squares.mean()
    distance = (gram**2).sum() / number**2 * size - scale**2
    noise = ((squares**2).sum() * size / number - (gram**2).sum() / number**2 * size) / number
    return float((noise / distance.clamp(min=1e-12)).clamp(0, 1))


def reduced_space(
    states: Tensor,
    value: Tensor,
    observed: Tensor,
    variance: Tensor,
    shrinkage: float,
    cells: Tensor | slice = slice(None),
) -> tuple[Tensor, Tensor]:
    """Posterior mean and variance of `cells` of a field of n, given some of its values.

    Args:
        states: (N, n) training states, of mean 0 and variance about 1.
        value: (n,), read where observed.    observed: bool, (n,).
        variance: (n,), of the observations' errors.
        shrinkage: a, above 0 and at most 1.
        cells: those wanted, all by default.
    """
    scale = ((1 - shrinkage) / len(states)) ** 0.5
    near, weight = scale * states[:, observed], 1 / (variance[observed] + shrinkage)
    matrix = torch.eye(len(states), device=states.device) + (near * weight) @ near.T
    factor = torch.linalg.cholesky(matrix)
    right = near @ (weight * value[observed])
    basis = scale * states[:, cells]
    mean = torch.cholesky_solve(right[:, None], factor)[:, 0] @ basis
    half = torch.linalg.solve_triangular(factor, basis, upper=False)
    return mean, (half**2).sum(0) + shrinkage


class ReducedSpace:
    """Conditioning on the shrunk covariance of the training months, all cells and levels at once.

    In proportion to °C, so that cells count as scores count them.

    Args:
        states: (N, S + D, H, W) anomalies of the training months, times `scale`.
        scale: (S + D, H, W), in proportion to the standard deviation in °C.
        places: latitudes and longitudes of the states.
        shrinkage: of the covariance.    noise: variance of what an observation shares with its
            neighbours but the patterns do not hold.    factor: (D,) on the error.
    """

    def __init__(
        self,
        states: Tensor,
        scale: Tensor,
        places: tuple[np.ndarray, np.ndarray],
        *,
        shrinkage: float,
        noise: float,
        factor: Tensor | float = 1.0,
    ):
        self.states, self.scale, self.places = states, scale, places
        self.shrinkage, self.noise, self.factor = shrinkage, noise, factor

    @classmethod
    def from_store(cls, store: Store, shrinkage: float, noise: float) -> "ReducedSpace":
        """From the training block of a store split in time, since its places need a past."""
        columns = store.block("train")[1]
        wet, deviation = (
            torch.from_numpy(np.moveaxis(each[:, columns], -1, 0).copy())
            for each in (store.ocean, store.deviation)
        )
        scale = deviation / deviation[wet].square().mean().sqrt()
        states = torch.from_numpy(store.standardised("train")) * scale
        places = store.latitude, store.longitude[columns]
        return cls(states, scale, places, shrinkage=shrinkage, noise=noise)

    def at_grid(self, grid: xr.Dataset) -> tuple[Tensor, Tensor]:
        """States (N, (S + D) H W) and scale of a grid's places."""
        rows, columns = nearest_cells(self.places, grid)
        states, scale = (
            each[..., rows[:, None], columns].flatten(-3) for each in (self.states, self.scale)
        )
        return states, scale

    def posterior(
        self, batch, states, scale, month: int, cells=slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance of one date, (S + D) H W, or of some `cells` of it.

        Args:
            states, scale: of `at_grid`.
        """
        value = torch.cat([batch["surface"], batch["value"]], 1)[month].flatten()
        seen = torch.cat([batch["surface_observed"], batch["observed"]], 1)[month].flatten()
        error = torch.cat([torch.zeros_like(batch["surface"]), batch["error"]], 1)[month].flatten()
        variance = self.noise + (scale * error) ** 2
        mean, left = reduced_space(states, scale * value, seen, variance, self.shrinkage, cells)
        return mean / scale[cells], left / scale[cells] ** 2

    def __call__(self, observations: xr.Dataset, statistics: xr.Dataset) -> xr.Dataset:
        batch = standardise(observations, select_statistics(statistics, observations))
        number, surfaces, *shape = batch["surface"].shape
        places = self.at_grid(observations)
        each = zip(*(self.posterior(batch, *places, month) for month in range(number)))
        mean, variance = (torch.stack(part).view(number, -1, *shape) for part in each)
        exact = batch["observed"] & (batch["error"] == 0)
        mean = torch.where(exact, batch["value"], mean[:, surfaces:])
        error = variance[:, surfaces:].sqrt() * torch.as_tensor(self.factor).view(-1, 1, 1)
        error = torch.where(exact, 0.0, error)
        return _result(mean.numpy(), error.numpy(), observations, statistics)
