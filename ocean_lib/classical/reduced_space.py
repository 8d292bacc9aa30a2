"""Reduced-space interpolation: states of the training months are combined to fit the observations.

On a small region with a long record the states of the N training months span most of the
variability. Their covariance, shrunk towards independent cells,

    C = (1 - a) A'A / N + a I,    A (N, n) standardised anomalies of all cells and channels,

conditions all cells on the observed ones. Since A'A / N has rank N, only a system of size N is
solved, whatever the number of cells: x = B z + e with z ~ N(0, I), B = sqrt((1 - a) / N) A',
e ~ N(0, a I).

Reference: Ledoit & Wolf 2004, doi 10.1016/S0047-259X(03)00096-4 (shrinkage); Kaplan et al. 1997,
doi 10.1029/97JC01734 (reduced-space optimal analysis).
"""

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ocean_lib.classical.regression import nearest_cells
from ocean_lib.classical.result import Dates, method_result
from ocean_lib.observations.batch import exactly_observed, select_statistics, standardise
from ocean_lib.store.store import Store

__all__ = ["ReducedSpace", "condition_on_states", "ledoit_wolf"]


def ledoit_wolf(states: Tensor) -> float:
    """Estimate the shrinkage to a multiple of the identity that minimises the covariance error.

    Args:
        states: (N, n), of mean 0.

    Returns:
        The weight a of the identity, from 0 to 1.
    """
    number, size = states.shape
    states = states.double()
    gram = states @ states.T / size  # (N, N) inner products; the (n, n) matrix is never formed
    squares = gram.diagonal()
    scale = squares.mean()
    distance = (gram**2).sum() / number**2 * size - scale**2
    noise = ((squares**2).sum() * size / number - (gram**2).sum() / number**2 * size) / number
    return float((noise / distance.clamp(min=1e-12)).clamp(0, 1))


def condition_on_states(
    states: Tensor,
    value: Tensor,
    observed: Tensor,
    variance: Tensor,
    shrinkage: float,
    cells: Tensor | slice = slice(None),
) -> tuple[Tensor, Tensor]:
    """Posterior mean and variance of cells of a field, given some of its values.

    Args:
        states: (N, n), training states of mean 0 and variance about 1.
        value: (n,), used where observed.
        observed: bool, (n,).
        variance: (n,), error variance of the observations.
        shrinkage: a, above 0 and at most 1.
        cells: indices of the cells to return; all by default.
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


@dataclass(eq=False)
class ReducedSpace:
    """Conditioning on the shrunk covariance of the training months, all cells and levels at once.

    Anomalies are in proportion to °C, so that cells have the same weights as in the scores.

    Args:
        states: (N, S + D, H, W), standardised anomalies of the training months times `scale`.
        scale: (S + D, H, W), in proportion to the standard deviation in °C.
        places: latitudes (H,) and longitudes (W,) of the states.
        shrinkage: weight a of the identity in the covariance.
        noise: error variance added to observations for variability outside the span of the states.
        factor: (D,), multiplies the error; 1 without tuning.
    """

    states: Tensor
    scale: Tensor
    places: tuple[np.ndarray, np.ndarray]
    shrinkage: float
    noise: float
    factor: Tensor | float = 1.0

    @classmethod
    def from_store(cls, store: Store, shrinkage: float, noise: float) -> "ReducedSpace":
        """Take the states from the training block of a store that is split in time."""
        columns = store.block("train")[1]
        wet, deviation = (
            torch.from_numpy(np.moveaxis(part[:, columns], -1, 0).copy())
            for part in (store.ocean, store.deviation)
        )
        scale = deviation / deviation[wet].square().mean().sqrt()
        states = torch.from_numpy(store.standardised("train")) * scale
        present = torch.from_numpy(store.present("train"))
        if not present.all():  # gaps hold 0, which would take variance away
            states = states * (len(present) / present.sum(0).clamp(min=1)).sqrt()
        return cls(states, scale, (store.latitude, store.longitude[columns]), shrinkage, noise)

    def at_grid(self, grid: xr.Dataset) -> tuple[Tensor, Tensor]:
        """States (N, (S + D) H W) and scale ((S + D) H W,) at the cells of a grid, flattened."""
        rows, columns = nearest_cells(self.places, grid)
        states, scale = (
            part[..., rows[:, None], columns].flatten(-3) for part in (self.states, self.scale)
        )
        return states, scale

    def posterior(
        self,
        batch: dict[str, Tensor],
        states: Tensor,
        scale: Tensor,
        date: int,
        cells: Tensor | slice = slice(None),
    ) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance, standardised, of one date.

        Args:
            batch: from `standardise`.
            states: from `at_grid`.
            scale: from `at_grid`.
            date: index of the date in the batch.
            cells: flat indices into (S + D) H W; all by default.
        """
        value = torch.cat([batch["surface"], batch["value"]], 1)[date].flatten()
        seen = torch.cat([batch["surface_observed"], batch["observed"]], 1)[date].flatten()
        error = torch.cat([batch["surface_error"], batch["error"]], 1)[date].flatten()
        noise = self.noise + (scale * error) ** 2
        mean, variance = condition_on_states(
            states, scale * value, seen, noise, self.shrinkage, cells
        )
        return mean / scale[cells], variance / scale[cells] ** 2

    def posterior_at(
        self, batch: dict[str, Tensor], grid: xr.Dataset, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance, (n, D), standardised, at targets.

        Args:
            batch: from `standardise`.
            grid: dates and coordinates of the batch.
            targets: (n, 3), date, row and column.
        """
        states, scale = self.at_grid(grid)
        levels, height, width = batch["value"].shape[1:]
        channels = torch.arange(levels) + batch["surface"].shape[1]
        cells = (channels * height + targets[:, 1:2]) * width + targets[:, 2:]
        mean, variance = torch.empty(cells.shape), torch.empty(cells.shape)
        for date in targets[:, 0].unique().tolist():
            on_date = targets[:, 0] == date
            parts = self.posterior(batch, states, scale, date, cells[on_date].flatten())
            mean[on_date], variance[on_date] = (part.view(-1, levels) for part in parts)
        return mean, variance

    def __call__(
        self, observations: xr.Dataset, statistics: xr.Dataset, dates: Dates = slice(None)
    ) -> xr.Dataset:
        """`mean` and `error` of every variable on some dates, in units; see `method_result`."""
        observations = observations.isel(time=dates)
        batch = standardise(observations, select_statistics(statistics, observations))
        number, surfaces, *shape = batch["surface"].shape
        grid = self.at_grid(observations)
        parts = zip(*(self.posterior(batch, *grid, date) for date in range(number)))
        mean, variance = (torch.stack(part).view(number, -1, *shape) for part in parts)
        exact = exactly_observed(batch)
        mean = torch.where(exact, batch["value"], mean[:, surfaces:])
        error = variance[:, surfaces:].sqrt() * torch.as_tensor(self.factor).view(-1, 1, 1)
        error = torch.where(exact, 0.0, error)
        return method_result(mean.numpy(), error.numpy(), observations, statistics)
