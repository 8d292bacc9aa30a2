"""The interior's anomalies regressed on those of the surface, place by place.

What a satellite sees tells of the water below: at every cell each level's anomaly is a linear
function of the surface's anomaly there, of its mean around, of its season, and of the months before
and after.  Coefficients come from the training months of the cells around, weighted by a Gaussian
window.  `FromCovariance` is the same with one coefficient for all places, that of the channels'
covariance.  Both leave residuals whose covariance they know, for an interpolation to spread.

Reference: Guinehut et al. 2012, doi 10.5194/os-8-845-2012 (ARMOR3D).
"""

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from .dataset import season
from .interpolation import gaussian_smooth
from .splits import months
from .store import STEP, Store

AROUND = 4.0  # cells, of the mean around
RIDGE = 0.01  # of the mean square of the features: keeps twins among them apart

__all__ = ["FromCovariance", "Regression", "covariance", "nearest"]


def covariance(store: Store) -> Tensor:
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


def nearest(places: tuple[np.ndarray, np.ndarray], grid: xr.Dataset) -> tuple[Tensor, Tensor]:
    """Rows and columns of `places` (latitudes, longitudes) that are nearest to those of a grid."""
    names = ("latitude", "longitude")
    rows, columns = (
        torch.from_numpy(abs(have[:, None] - grid[name].values).argmin(0))
        for have, name in zip(places, names, strict=True)
    )
    return rows, columns


class FromCovariance:
    """Regression by the channels' covariance alone, the same everywhere.

    Args:
        matrix: (S + D, S + D), surface first.    surfaces: S.

    Attributes:
        plain, left: (D, D) covariance of the levels before and after the surface is known.
    """

    def __init__(self, matrix: Tensor, surfaces: int):
        s = surfaces
        above = matrix[:s, :s] + 1e-3 * torch.eye(s)
        self.gain = torch.linalg.solve(above, matrix[:s, s:])
        self.plain = matrix[s:, s:]
        self.left = _positive((self.plain - matrix[s:, :s] @ self.gain).double().numpy())

    def __call__(self, surface: Tensor, grid: xr.Dataset) -> Tensor:
        """Levels (T, D, H, W) from the surface's anomalies (T, S, H, W) on a grid."""
        return torch.einsum("sd,tshw->tdhw", self.gain.to(surface), surface)


class Regression:
    """Regression with coefficients of each place, from the cells around it.

    Where the store is split in space, no place has a past and all share one set of coefficients.

    Args:
        store: its training block is fitted.
        window: standard deviation, cells, of the weights of the cells around.

    Attributes:
        plain, left: (D, D) covariance of the levels before and after the regression.
    """

    def __init__(self, store: Store, window: float):
        times, columns = store.block("train")
        s, dates = store.surfaces, store.times[times]
        anomaly = torch.from_numpy(store.standardised("train"))
        wet = torch.from_numpy(np.moveaxis(store.ocean[:, columns], -1, 0)).float()
        levels = anomaly[:, s:]
        features = _features(anomaly[:, :s], dates)
        number = features.shape[1]
        products = torch.einsum("tphw,tqhw->pqhw", features, features)
        cross = torch.einsum("tphw,tdhw->pdhw", features, levels)
        ridge = RIDGE * torch.einsum("pphw->", products) / (number * wet[0].sum())
        everywhere = store.split["kind"] == "space"

        def around(field: Tensor) -> Tensor:
            if everywhere:
                return field.mean((-2, -1), keepdim=True)
            return gaussian_smooth(field, window)

        each = []
        for level, ocean in enumerate(wet[s:]):
            matrix = around(products * ocean).permute(2, 3, 0, 1)
            matrix = matrix + ridge * (around(ocean)[..., None, None] + 1e-6) * torch.eye(number)
            right = around(cross[:, level] * ocean).permute(1, 2, 0)
            each.append(torch.linalg.solve(matrix, right[..., None])[..., 0].permute(2, 0, 1))
        self.coefficients = torch.stack(each)
        self.places = None if everywhere else (store.latitude, store.longitude[columns])
        self.plain = covariance(store)[s:, s:]
        left = (levels - self._apply(features, self.coefficients)) * wet[s:]
        pairs = torch.einsum("dhw,ehw->de", wet[s:], wet[s:]) * len(left)
        left = torch.einsum("tdhw,tehw->de", left, left) / pairs.clamp(min=1)
        self.left = _positive(left.double().numpy())

    @staticmethod
    def _apply(features: Tensor, coefficients: Tensor) -> Tensor:
        shape = (*coefficients.shape[:2], *features.shape[-2:])
        return torch.einsum("dphw,tphw->tdhw", coefficients.expand(shape).to(features), features)

    def __call__(self, surface: Tensor, grid: xr.Dataset) -> Tensor:
        """Levels (T, D, H, W) from the surface's anomalies (T, S, H, W) on a grid."""
        coefficients = self.coefficients
        if self.places is not None:
            rows, columns = nearest(self.places, grid)
            coefficients = coefficients[:, :, rows[:, None], columns]
        return self._apply(_features(surface, grid.time.values), coefficients)


def _features(surface: Tensor, dates: np.ndarray) -> Tensor:
    """(T, 6 S, H, W): the surface, its mean around, its seasons, the months before and after."""
    around = gaussian_smooth(surface, AROUND)
    around = around / gaussian_smooth(torch.ones_like(surface[:1]), AROUND)
    waves = torch.from_numpy(season(dates)).to(surface)
    seasons = [surface * wave[:, None, None, None] for wave in waves.T]
    position = months(dates)
    apart = position[None] - position[:, None]
    beside = []
    for lag in (-1, 1):
        off = np.abs(apart - lag)
        there = torch.from_numpy(off.min(1) < 0.25).to(surface.device)[:, None, None, None]
        beside.append(surface[torch.from_numpy(off.argmin(1)).to(surface.device)] * there)
    return torch.cat([surface, around, *seasons, *beside], 1)
