"""The interior's anomalies regressed on those of the surface, place by place.

What a satellite sees tells of the water below: at every cell each level's anomaly is a linear
function of the surface's anomaly there, of its mean around, of its season, and of the months before
and after.  Coefficients come from the training months of the cells around, weighted by a Gaussian
window.  `FromCovariance` is the same with one coefficient for all places, that of the channels'
covariance.  Both leave residuals whose covariance they know, for an interpolation to spread.

Reference: Guinehut et al. 2012, doi 10.5194/os-8-845-2012 (ARMOR3D).

Interpolation of gridded fields: smoothing on tensors, triangles between points.
"""

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ocean_lib.core.months import neighbouring_dates
from ocean_lib.observations.batch import season
from ocean_lib.store.build import STEP
from ocean_lib.store.store import Store

__all__ = [
    "CovarianceRegression",
    "Regression",
    "channel_covariance",
    "gaussian_smooth",
    "nearest_cells",
    "fit_local_regression",
    "fit_shared_regression",
]


AROUND = 4.0  # cells, of the mean around
FEATURES = 6  # of each surface field
RIDGE = 0.01  # of the mean square of the features: keeps twins among them apart


def channel_covariance(store: Store) -> Tensor:
    """(C, C) covariance of the channels' anomalies over the training block, wet cells.

    Reads one date and a few rows at a time.
    """
    times, columns = store.block("train")
    anomaly, ocean = store.anomaly[times, :, columns], store.ocean[:, columns]
    channels = ocean.shape[-1]
    step = max(1, 2**22 // ocean[0].size)
    pairs, total = np.zeros((channels, channels)), np.zeros((channels, channels))
    for first in range(0, len(ocean), step):
        rows = slice(first, first + step)
        wet = ocean[rows].reshape(-1, channels).astype(np.float64)
        pairs += wet.T @ wet
        for month in anomaly[:, rows]:
            values = month.reshape(-1, channels).astype(np.float64) * STEP
            total += values.T @ values
    return _positive(total / (len(anomaly) * np.maximum(pairs, 1)))


def _positive(matrix: np.ndarray) -> Tensor:
    # One level below the shallowest sea floor must not pull its partners' variance down.
    values, vectors = np.linalg.eigh(matrix)
    return torch.tensor((vectors * np.maximum(values, 1e-4)) @ vectors.T, dtype=torch.float32)


def nearest_cells(places: tuple[np.ndarray, np.ndarray], grid: xr.Dataset) -> tuple[Tensor, Tensor]:
    """Rows and columns of `places` (latitudes, longitudes) that are nearest to those of a grid."""
    names = ("latitude", "longitude")
    rows, columns = (
        torch.from_numpy(abs(have[:, None] - grid[name].values).argmin(0))
        for have, name in zip(places, names, strict=True)
    )
    return rows, columns


class CovarianceRegression:
    """Regression by the channels' covariance alone, the same everywhere.

    Args:
        matrix: (S + D, S + D), surface first.    surfaces: S.

    Attributes:
        prior_covariance: (D, D), of the levels where the surface is unknown.
        residual_covariance: (D, D), of the levels given the surface.
    """

    def __init__(self, matrix: Tensor, surfaces: int):
        s = surfaces
        above = matrix[:s, :s] + 1e-3 * torch.eye(s)
        self.gain = torch.linalg.solve(above, matrix[:s, s:])
        self.prior_covariance = matrix[s:, s:]
        self.residual_covariance = _positive(
            (self.prior_covariance - matrix[s:, :s] @ self.gain).double().numpy()
        )

    def __call__(self, surface: Tensor, grid: xr.Dataset) -> Tensor:
        """Levels (T, D, H, W) from the surface's anomalies (T, S, H, W) on a grid."""
        return torch.einsum("sd,tshw->tdhw", self.gain.to(surface), surface)


class Regression:
    """Regression on the surface around, its season, and the months before and after.

    Args:
        coefficients: (D, P, H, W) at `places`, or (D, P, 1, 1) for all places.
        prior_covariance: (D, D), of the levels where the surface is unknown.
        residual_covariance: (D, D), of the levels given the surface.
        places: latitudes and longitudes of the coefficients.
    """

    def __init__(
        self,
        coefficients: Tensor,
        prior_covariance: Tensor,
        residual_covariance: Tensor,
        places: tuple[np.ndarray, np.ndarray] | None = None,
    ):
        self.coefficients = coefficients
        self.prior_covariance, self.residual_covariance = prior_covariance, residual_covariance
        self.places = places

    def __call__(self, surface: Tensor, grid: xr.Dataset) -> Tensor:
        """Levels (T, D, H, W) from the surface's anomalies (T, S, H, W) on a grid.

        Args:
            grid: of which the dates are read, and where coefficients have places, these.
        """
        coefficients = self.coefficients
        if self.places is not None:
            rows, columns = nearest_cells(self.places, grid)
            coefficients = coefficients[:, :, rows[:, None], columns]
        features = _features(surface, grid.time.values)
        shape = (*coefficients.shape[:2], *features.shape[-2:])
        return torch.einsum("dphw,tphw->tdhw", coefficients.expand(shape).to(features), features)


def fit_local_regression(store: Store, window: float) -> Regression:
    """The regression of the training block with coefficients of each place.

    Where the store is split in space, no place has a past and all share one set of coefficients.

    Args:
        window: standard deviation, cells, of the weights of the cells around.
    """
    if store.split["kind"] == "space":
        return fit_shared_regression(store)
    times, columns = store.block("train")
    s, dates = store.surfaces, store.times[times]
    anomaly = torch.from_numpy(store.standardised("train"))
    wet = torch.from_numpy(np.moveaxis(store.ocean[:, columns], -1, 0)).float()
    levels, features = anomaly[:, s:], _features(anomaly[:, :s], dates)
    number = features.shape[1]
    products = torch.einsum("tphw,tqhw->pqhw", features, features)
    cross = torch.einsum("tphw,tdhw->pdhw", features, levels)
    ridge = RIDGE * torch.einsum("pphw->", products) / (number * wet[0].sum())
    each = []
    for level, ocean in enumerate(wet[s:]):
        matrix = gaussian_smooth(products * ocean, window).permute(2, 3, 0, 1)
        weight = gaussian_smooth(ocean, window)[..., None, None] + 1e-6
        matrix = matrix + ridge * weight * torch.eye(number)
        right = gaussian_smooth(cross[:, level] * ocean, window).permute(1, 2, 0)
        each.append(torch.linalg.solve(matrix, right[..., None])[..., 0].permute(2, 0, 1))
    coefficients = torch.stack(each)
    left = (levels - torch.einsum("dphw,tphw->tdhw", coefficients, features)) * wet[s:]
    pairs = torch.einsum("dhw,ehw->de", wet[s:], wet[s:]) * len(left)
    left = torch.einsum("tdhw,tehw->de", left, left) / pairs.clamp(min=1)
    places = store.latitude, store.longitude[columns]
    plain = channel_covariance(store)[s:, s:]
    return Regression(coefficients, plain, _positive(left.double().numpy()), places)


def fit_shared_regression(store: Store) -> Regression:
    """The regression of the training block with one set of coefficients for all places.

    Reads three dates at a time, however long the record.
    """
    times, columns = store.block("train")
    s, dates = store.surfaces, store.times[times]
    wet = torch.from_numpy(np.moveaxis(store.ocean[:, columns], -1, 0)[s:].copy())
    number = FEATURES * s
    products = torch.zeros(len(wet), number, number, dtype=torch.float64)
    cross = torch.zeros(len(wet), number, dtype=torch.float64)

    def months_of_training():
        for month in range(len(dates)):
            near = np.arange(max(month - 1, 0), min(month + 2, len(dates)))
            anomaly = torch.from_numpy(store.standardised("train", near))
            own = month - near[0]
            features = _features(anomaly[:, :s], dates[near], slice(own, own + 1))[0]
            yield features, anomaly[own, s:]

    for features, levels in months_of_training():
        for level, ocean in enumerate(wet):
            inside = features[:, ocean]
            products[level] += inside @ inside.T
            cross[level] += inside @ levels[level, ocean]
    ridge = RIDGE * products.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] * torch.eye(number)
    matrix = products + ridge + 1e-9 * torch.eye(number)
    coefficients = torch.linalg.solve(matrix, cross[..., None])[..., 0].float()
    left = torch.zeros(len(wet), len(wet), dtype=torch.float64)
    for features, levels in months_of_training():
        rest = (levels - torch.einsum("dp,phw->dhw", coefficients, features)) * wet
        left += torch.einsum("dhw,ehw->de", rest, rest)
    pairs = torch.einsum("dhw,ehw->de", wet.float(), wet.float()).double() * len(dates)
    left = _positive((left / pairs.clamp(min=1)).numpy())
    return Regression(coefficients[..., None, None], channel_covariance(store)[s:, s:], left)


def _features(surface: Tensor, dates: np.ndarray, wanted: slice = slice(None)) -> Tensor:
    """(T, 6 S, H, W): the surface, its mean around, its seasons, the months before and after."""
    own = surface[wanted]
    around = gaussian_smooth(own, AROUND)
    around = around / gaussian_smooth(torch.ones_like(surface[:1]), AROUND)
    waves = torch.from_numpy(season(dates[wanted])).to(surface)
    seasons = [own * wave[:, None, None, None] for wave in waves.T]
    lagged = []
    for index in neighbouring_dates(dates)[wanted].T:
        there = torch.from_numpy(index >= 0).to(surface.device)[:, None, None, None]
        lagged.append(surface[torch.from_numpy(index).to(surface.device)] * there)
    return torch.cat([own, around, *seasons, *lagged], 1)


def _gaussian(size: int, length: float, device) -> Tensor:
    """(size, size) weights exp(-d² / 2 L²) along one axis, for a length in cells."""
    position = torch.arange(size, device=device, dtype=torch.float32)
    return torch.exp(-0.5 * ((position[:, None] - position[None, :]) / length) ** 2)


def gaussian_smooth(field: Tensor, length: float) -> Tensor:
    """Convolution (..., H, W) with a Gaussian of standard deviation `length` cells."""
    height, width = field.shape[-2:]
    rows, columns = (_gaussian(size, length, field.device) for size in (height, width))
    return rows @ (field @ columns)
