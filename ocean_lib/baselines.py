"""Baselines: what a model has to beat, through one call and fed just what the model is fed.

    method(observations, statistics) -> Dataset of `mean` and `error` (°C)

`climatology` ignores the observations; `linear` interpolates their anomalies within each level;
`OptimalInterpolation` weighs them by their covariance in space, depth and time, after a regression
on the surface where that is seen; `ReducedSpace` conditions the training months' own patterns on
them.  `tuning.fit` gives all of them, tuned on validation months.
"""

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from .anomalies import climatology as climatology_at
from .dataset import named, select_statistics, standardise
from .interpolation import triangulate
from .local import complete, interpolate
from .reduced import reduced_space
from .regression import nearest
from .splits import months
from .store import Store

NOTHING = 1e4  # error variance, of the prior's, above which an observation says nothing
BLOCK = 8  # rows and columns interpolated from the same observations

__all__ = ["OptimalInterpolation", "ReducedSpace", "climatology", "linear", "restore"]


def restore(
    standardised: np.ndarray,
    observations: xr.Dataset,
    statistics: xr.Dataset,
    *,
    variable: str = "temperature",
    error: bool = False,
) -> xr.DataArray:
    """One variable from standardised anomalies of all levels, in its units, NaN outside the ocean.

    Args:
        standardised: (time, levels of all variables, latitude, longitude).
        error: the array holds standard deviations, which have no climatology.
    """
    local = select_statistics(statistics, observations)
    depth = observations.sizes["depth"]
    start = depth * local.attrs["variables"].index(variable)
    inner = slice(local.attrs["surfaces"] + start, local.attrs["surfaces"] + start + depth)
    value = standardised[:, start : start + depth] * local.deviation.values[inner]
    if not error:
        value = value + climatology_at(local, observations.time.values)[:, inner]
    dims = ("time", "depth", "latitude", "longitude")
    coordinates = {name: observations[name] for name in dims}
    units = {"units": local.attrs["units"][variable]}
    array = xr.DataArray(value.astype(np.float32), coordinates, dims, attrs=units)
    return array.where(observations.ocean)


def _result(mean, error, observations, statistics) -> xr.Dataset:
    result = {}
    for variable in statistics.attrs["variables"]:
        given = (observations, statistics)
        result[named(variable, "mean")] = restore(mean, *given, variable=variable)
        result[named(variable, "error")] = restore(error, *given, variable=variable, error=True)
    return xr.Dataset(result)


def climatology(observations: xr.Dataset, statistics: xr.Dataset) -> xr.Dataset:
    """The climatology of the training months; its error is the standard deviation around it."""
    levels = statistics.sizes["channel"] - statistics.attrs["surfaces"]
    sizes = [observations.sizes[name] for name in ("time", "latitude", "longitude")]
    shape = (sizes[0], levels, *sizes[1:])
    return _result(np.zeros(shape), np.ones(shape), observations, statistics)


def linear(
    observations: xr.Dataset, statistics: xr.Dataset, factor: Tensor | float = 1.0
) -> xr.Dataset:
    """Piecewise linear (Delaunay) interpolation of the anomalies at each level and date.

    Outside the hull of the observations the nearest one holds; a level without any keeps its
    climatology.

    Args:
        factor: (D,) error away from observations, standard deviations; at them it is 0.
    """
    batch = standardise(observations, select_statistics(statistics, observations))
    value, observed = batch["value"].numpy(), batch["observed"].numpy()
    error = np.asarray(factor).reshape(-1, 1, 1) * ~observed
    return _result(triangulate(value, observed), error, observations, statistics)


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
            mean, _ = interpolate(places[0], value, exact, places[1], block=BLOCK, **scales)
            surface[lack[:, 0], channel, lack[:, 1], lack[:, 2]] = mean[:, 0]
        return surface

    def given(self, batch: dict[str, Tensor], grid: xr.Dataset) -> tuple[Tensor, list]:
        """What does not depend on the scales: the prior, and each kind of dates' columns in full.

        Args:
            batch: of `dataset.standardise`.    grid: its observations.
        """
        prior, dates = self.prior(batch, grid)
        groups = []
        for own, matrix in ((dates, self.regression.left), (~dates, self.regression.plain)):
            scale = matrix.to(prior).diagonal()
            error = batch["error"] ** 2 / scale[:, None, None]
            telling = batch["observed"] & (error < NOTHING)
            columns = (telling.any(1) & own[:, None, None]).nonzero()
            t, y, x = columns.T
            departure = (batch["value"] - prior)[t, :, y, x]
            seen, uncertain = telling[t, :, y, x], error[t, :, y, x]
            values = complete(departure, seen, uncertain, matrix.to(prior))
            groups.append((own, scale, columns, *values))
        return prior, groups

    def at(
        self, prior: Tensor, groups: list, when: np.ndarray, targets: Tensor, block: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance, (n, D), of targets (n, 3): date, row, column.

        Args:
            prior, groups: of `given`.    when: (T,) months.
            block: of `local.interpolate`.
        """
        departure, variance = self.departure(groups, when, targets, block)
        t, y, x = targets.T
        return prior[t, :, y, x] + departure, variance

    def departure(
        self, groups: list, when: np.ndarray, targets: Tensor, block: int = 1
    ) -> tuple[Tensor, Tensor]:
        """The same of the departure from the prior; targets may lie outside the grid."""
        values = groups[0][3]
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
        given = self.given(batch, grid)
        mean, variance = self.at(*given, months(grid.time.values), targets, BLOCK)
        field, error = torch.zeros_like(given[0]), torch.ones_like(given[0])
        t, y, x = targets.T
        field[t, :, y, x], error[t, :, y, x] = mean, variance.sqrt() * self.factor
        return torch.where(exact, batch["value"], field), torch.where(exact, 0.0, error)

    def __call__(self, observations: xr.Dataset, statistics: xr.Dataset) -> xr.Dataset:
        batch = standardise(observations, select_statistics(statistics, observations))
        field, error = self.analyse(batch, observations)
        return _result(field.numpy(), error.numpy(), observations, statistics)


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
    def learned(cls, store: Store, shrinkage: float, noise: float) -> "ReducedSpace":
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

    def on(self, grid: xr.Dataset) -> tuple[Tensor, Tensor]:
        """States (N, (S + D) H W) and scale of a grid's places."""
        rows, columns = nearest(self.places, grid)
        states, scale = (
            each[..., rows[:, None], columns].flatten(-3) for each in (self.states, self.scale)
        )
        return states, scale

    def at(self, batch, states, scale, month: int, cells=slice(None)) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance of one date, (S + D) H W, or of some `cells` of it.

        Args:
            states, scale: of `on`.
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
        places = self.on(observations)
        each = zip(*(self.at(batch, *places, month) for month in range(number)))
        mean, variance = (torch.stack(part).view(number, -1, *shape) for part in each)
        exact = batch["observed"] & (batch["error"] == 0)
        mean = torch.where(exact, batch["value"], mean[:, surfaces:])
        error = variance[:, surfaces:].sqrt() * torch.as_tensor(self.factor).view(-1, 1, 1)
        error = torch.where(exact, 0.0, error)
        return _result(mean.numpy(), error.numpy(), observations, statistics)
