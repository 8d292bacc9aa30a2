"""Local optimal interpolation of the residual of a regression on the surface.

The prior is the regression, and the departures of the observations from it are interpolated in
space, time and depth (`gaussian_field`).

Reference: Bretherton, Davis & Fandry 1976, doi 10.1016/0011-7471(76)90001-2.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ocean_lib.classical.gaussian_field import complete_columns, interpolate
from ocean_lib.classical.regression import CovarianceRegression, Regression, seen_subsets
from ocean_lib.classical.result import Dates, method_result
from ocean_lib.core.months import to_months
from ocean_lib.observations.batch import exactly_observed, select_statistics, standardise

__all__ = ["Axes", "ColumnGroup", "OptimalInterpolation", "PreparedObservations", "TARGET_BLOCK"]

MAX_RELATIVE_VARIANCE = 1e4  # error variance / prior variance above which a value is ignored
TARGET_BLOCK = 8  # side, in cells, of the blocks of targets that share their observations


class ColumnGroup(NamedTuple):
    """Observed columns of the dates that share a prior, with all levels filled in.

    Attributes:
        dates: bool, (T,), the dates that belong to this group.
        scale: (D,), prior variance of each level.
        columns: (N, 3), date, row and column of the observed columns.
        value: (N, D) departures from the prior, or (N, D, K) for K fields observed at the same
            places.
        variance: (N, D), error variance of `value` relative to `scale`.
    """

    dates: Tensor
    scale: Tensor
    columns: Tensor
    value: Tensor
    variance: Tensor


class Axes(NamedTuple):
    """Coordinates of a batch, by which dates, rows and columns become places.

    Attributes:
        months: (T,), months since 1970.
        latitude: (H,), degrees.
        longitude: (W,), degrees, continuous across the date line.
    """

    months: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray

    @classmethod
    def of_grid(cls, grid: xr.Dataset) -> "Axes":
        """Those of a dataset with coordinates `time`, `latitude` and `longitude`."""
        longitude = np.unwrap(grid.longitude.values.astype(float), period=360)
        return cls(to_months(grid.time.values), grid.latitude.values.astype(float), longitude)

    def places(self, cells: Tensor) -> np.ndarray:
        """Month, latitude and longitude (n, 3) of cells (n, 3): date, row and column.

        Cells beyond the last row or column continue the grid.
        """
        return self._at(*cells.cpu().numpy().T)

    def blocks(self, cells: Tensor, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Blocks of `side` × `side` cells of a date in which cells (n, 3) lie.

        Returns:
            Number (n,) of each cell's block, and month, latitude and longitude (B, 3) of the middle
            of every block's part of the grid.
        """
        corners, number = np.unique(
            cells.cpu().numpy() // [1, side, side], axis=0, return_inverse=True
        )
        date, *low = corners.T * np.array([[1], [side], [side]])
        lasts = len(self.latitude) - 1, len(self.longitude) - 1
        middle = ((a + np.clip(last, a, a + side - 1)) / 2 for a, last in zip(low, lasts))
        return number.ravel(), self._at(date, *middle)

    def _at(self, date: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        places = [self.months[date]]
        for axis, index in ((self.latitude, row), (self.longitude, column)):
            last = len(axis) - 1
            low = index.astype(int).clip(0, max(last - 1, 0))
            places.append(axis[low] + (index - low) * (axis[np.minimum(low + 1, last)] - axis[low]))
        return np.stack(places, 1)


class PreparedObservations(NamedTuple):
    """Intermediate results of an optimal interpolation that do not depend on its scales.

    Attributes:
        axes: coordinates of dates, rows and columns.
        prior: (T, D, H, W), the regression on the surface, 0 on dates without a surface.
        groups: the observed columns of the dates that see the same surface fields.
    """

    axes: Axes
    prior: Tensor
    groups: list[ColumnGroup]


@dataclass(eq=False)
class OptimalInterpolation:
    """Local optimal interpolation of the residual of a regression on the surface.

    The prior of a date is the regression on the surface fields that it sees, with its residual
    covariance; climatology on dates that see none. Observations of a date also inform the dates
    around it. Gaps in a surface field (clouds) are interpolated first.

    Args:
        regression: a `Regression`; a `CovarianceRegression` yields the joint optimal interpolation
            of levels and surface.
        scales: `lengths`, `noise`, `kernel` and `neighbours` of `interpolate`; with two time scales
            also `slow`.
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
            Prior mean, (T, D, H, W), and the subset of the surface fields that a date sees
            (`regression.subsets`), int, (T,).
        """
        seen, surface = batch["surface_observed"], batch["surface"]
        subset, fields = seen_subsets(seen), seen.flatten(2).any(2)
        cloudy = batch["ocean"].any(1, keepdim=True) & ~seen & fields[..., None, None]
        if cloudy.any():
            surface = self._fill_surface(batch, cloudy, Axes.of_grid(grid))
        prior = torch.zeros_like(batch["value"])
        for number in subset.unique().tolist():
            if number:
                dates = subset == number
                prior[dates] = self.regression(surface, grid, number)[dates]
        return prior, subset

    def _fill_surface(self, batch: dict[str, Tensor], cloudy: Tensor, axes: Axes) -> Tensor:
        """Interpolate surface fields under clouds, in effect from the same date alone."""
        scales = self.scales | {"lengths": (1e-3, *self.scales["lengths"][1:]), "slow": None}
        surface, seen = batch["surface"].clone(), batch["surface_observed"]
        for channel in range(surface.shape[1]):
            places, gaps = seen[:, channel].nonzero(), cloudy[:, channel].nonzero()
            if not len(gaps):
                continue
            value, error = (
                batch[name][:, channel][seen[:, channel]][:, None]
                for name in ("surface", "surface_error")
            )
            given = axes.places(places), value, error**2, axes.places(gaps)
            mean, _ = interpolate(*given, blocks=axes.blocks(gaps, TARGET_BLOCK), **scales)
            surface[gaps[:, 0], channel, gaps[:, 1], gaps[:, 2]] = mean[:, 0]
        return surface

    def prepare(self, batch: dict[str, Tensor], grid: xr.Dataset) -> PreparedObservations:
        """Compute the prior and the completed observed columns.

        Args:
            batch: from `standardise`.
            grid: dates and coordinates of the batch.
        """
        prior, subset = self.prior(batch, grid)
        groups = []
        for number in subset.unique().tolist():
            in_group = subset == number
            covariance = self.regression.covariance[number].to(prior)
            scale = covariance.diagonal()
            error = batch["error"] ** 2 / scale[:, None, None]
            useful = batch["observed"] & (error < MAX_RELATIVE_VARIANCE)
            columns = (useful.any(1) & in_group[:, None, None]).nonzero()
            t, y, x = columns.T
            departure = (batch["value"] - prior)[t, :, y, x]
            completed = complete_columns(
                departure, useful[t, :, y, x], error[t, :, y, x], covariance
            )
            groups.append(ColumnGroup(in_group, scale, columns, *completed))
        return PreparedObservations(Axes.of_grid(grid), prior, groups)

    def posterior(self, prepared: PreparedObservations, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance, (n, D), at targets; blocks of them share neighbours.

        Args:
            prepared: from `prepare`.
            targets: (n, 3), date, row and column.
        """
        departure, variance = self.departure(prepared.groups, prepared.axes, targets)
        t, y, x = targets.T
        return prepared.prior[t, :, y, x] + departure, variance

    def departure(
        self, groups: list[ColumnGroup], axes: Axes, targets: Tensor, block: int = TARGET_BLOCK
    ) -> tuple[Tensor, Tensor]:
        """Posterior of the departure from the prior; targets may lie outside the grid.

        Args:
            groups: from `prepare`.
            axes: coordinates of dates, rows and columns.
            targets: (n, 3), date, row and column.
            block: side, in rows and columns, of the blocks of targets that share the neighbours of
                their middle.

        Returns:
            Mean, (n, D) or (n, D, K), and variance, (n, D).
        """
        value = groups[0].value
        mean = value.new_zeros(len(targets), *value.shape[1:])
        variance = value.new_ones(mean.shape[:2])
        for group in groups:
            in_group = group.dates[targets[:, 0]]
            if not in_group.any():
                continue
            here = targets[in_group]
            mean[in_group], relative = interpolate(
                axes.places(group.columns),
                group.value,
                group.variance,
                axes.places(here),
                blocks=axes.blocks(here, block),
                **self.scales,
            )
            variance[in_group] = relative * group.scale
        return mean, variance

    def analyse(
        self, batch: dict[str, Tensor], grid: xr.Dataset, dates: Dates = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Field and its error (standard deviation), (t, D, H, W), standardised, on some dates.

        At exact observations the field is the observed value and the error is 0.  Observations of
        all dates enter.

        Args:
            batch: from `standardise`.
            grid: dates and coordinates of the batch.
            dates: indices of the dates that are wanted; all by default.
        """
        exact = exactly_observed(batch)
        wanted = torch.zeros(len(exact), 1, 1, dtype=torch.bool, device=exact.device)
        wanted[dates] = True
        targets = ((batch["ocean"] & ~exact).any(1) & wanted).nonzero()
        prepared = self.prepare(batch, grid)
        mean, variance = self.posterior(prepared, targets)
        field, error = torch.zeros_like(prepared.prior), torch.ones_like(prepared.prior)
        t, y, x = targets.T
        field[t, :, y, x], error[t, :, y, x] = mean, variance.sqrt() * self.factor
        field, error = torch.where(exact, batch["value"], field), torch.where(exact, 0.0, error)
        return field[dates], error[dates]

    def __call__(
        self, observations: xr.Dataset, statistics: xr.Dataset, dates: Dates = slice(None)
    ) -> xr.Dataset:
        """`mean` and `error` of every variable on some dates, in units; see `method_result`."""
        batch = standardise(observations, select_statistics(statistics, observations))
        field, error = self.analyse(batch, observations, dates)
        chosen = observations.isel(time=dates)
        return method_result(field.numpy(), error.numpy(), chosen, statistics)
