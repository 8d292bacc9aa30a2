"""Linear regression of subsurface anomalies on surface anomalies.

At each cell the anomaly of each level is a linear function of `FEATURES_PER_SURFACE` features of
the surface: its anomaly, the mean anomaly around the cell, the anomaly times the sine and times the
cosine of the season, and the anomalies one month before and after. The coefficients are fitted on
the training months, either for each cell with Gaussian weights on the cells around it
(`fit_local_regression`) or once for all cells (`fit_shared_regression`). `CovarianceRegression`
follows from the covariance of the channels and uses the surface anomaly alone. All of them also
give the covariance of their residual, which optimal interpolation needs.

Reference: Guinehut et al. 2012, doi 10.5194/os-8-845-2012 (ARMOR3D).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ocean_lib.core.months import neighbouring_dates
from ocean_lib.observations.batch import season
from ocean_lib.store.passes import GAP, STEP
from ocean_lib.store.store import Store

__all__ = [
    "CovarianceRegression",
    "Regression",
    "channel_covariance",
    "fit_local_regression",
    "fit_shared_regression",
    "gaussian_smooth",
    "nearest_cells",
]

SMOOTHING_LENGTH = 4.0  # cells, standard deviation of the Gaussian mean around a cell
FEATURES_PER_SURFACE = 6
RIDGE = 0.01  # penalty relative to the features' mean square; some are nearly collinear


def channel_covariance(store: Store) -> Tensor:
    """Covariance of the channels' anomalies over the training block, (C, C).

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
        every = wet.T @ wet
        pairs += every * len(anomaly)
        for date in anomaly[:, rows]:
            values = date.reshape(-1, channels).astype(np.float64) * STEP
            if (gaps := date == GAP).any():
                gaps = gaps.reshape(-1, channels)
                values[gaps] = 0
                pairs -= every - (wet * ~gaps).T @ (wet * ~gaps)
            total += values.T @ values
    return _positive_definite(total / np.maximum(pairs, 1))


def _positive_definite(matrix: np.ndarray) -> Tensor:
    """Raise the eigenvalues of a symmetric matrix to a small positive number."""
    # Pairs of levels are averaged over different cells, so eigenvalues may be negative.
    values, vectors = np.linalg.eigh(matrix)
    return torch.tensor((vectors * np.maximum(values, 1e-4)) @ vectors.T, dtype=torch.float32)


def nearest_cells(places: tuple[np.ndarray, np.ndarray], grid: xr.Dataset) -> tuple[Tensor, Tensor]:
    """Find the rows and columns of `places` nearest to those of a grid.

    Args:
        places: latitudes and longitudes, degrees.
        grid: dataset with `latitude` and `longitude`.
    """
    rows, columns = (
        torch.from_numpy(abs(axis[:, None] - grid[name].values).argmin(0))
        for axis, name in zip(places, ("latitude", "longitude"), strict=True)
    )
    return rows, columns


class CovarianceRegression:
    """Regression that follows from the channels' covariance, the same at every cell.

    Args:
        covariance: (S + D, S + D), surface channels first.
        surfaces: S.

    Attributes:
        gain: (S, D), regression coefficients.
        prior_covariance: (D, D), covariance of the levels if the surface is unknown.
        residual_covariance: (D, D), covariance of the levels given the surface.
    """

    def __init__(self, covariance: Tensor, surfaces: int):
        s = surfaces
        surface = covariance[:s, :s] + 1e-3 * torch.eye(s)
        self.gain = torch.linalg.solve(surface, covariance[:s, s:])
        self.prior_covariance = covariance[s:, s:]
        residual = self.prior_covariance - covariance[s:, :s] @ self.gain
        self.residual_covariance = _positive_definite(residual.double().numpy())

    def __call__(self, surface: Tensor, grid: xr.Dataset) -> Tensor:
        """Levels (T, D, H, W) from the surface's anomalies (T, S, H, W); `grid` is not used."""
        return torch.einsum("sd,tshw->tdhw", self.gain.to(surface), surface)


@dataclass(eq=False)
class Regression:
    """Regression on features of the surface; see the module docstring.

    Args:
        coefficients: (D, P, H, W) at `places`, or (D, P, 1, 1) for all cells, P features.
        prior_covariance: (D, D), covariance of the levels if the surface is unknown.
        residual_covariance: (D, D), covariance of the levels given the surface.
        places: latitudes (H,) and longitudes (W,) of the coefficients; None if shared by all cells.
    """

    coefficients: Tensor
    prior_covariance: Tensor
    residual_covariance: Tensor
    places: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(self, surface: Tensor, grid: xr.Dataset) -> Tensor:
        """Levels (T, D, H, W) from the surface's anomalies (T, S, H, W) on a grid.

        Args:
            surface: standardised anomalies.
            grid: dataset with the dates and, for local coefficients, the coordinates.
        """
        coefficients = self.coefficients
        if self.places is not None:
            rows, columns = nearest_cells(self.places, grid)
            coefficients = coefficients[:, :, rows[:, None], columns]
        features = _features(surface, grid.time.values)
        shape = (*coefficients.shape[:2], *features.shape[-2:])
        return torch.einsum("dphw,tphw->tdhw", coefficients.expand(shape).to(features), features)


def fit_local_regression(store: Store, window: float) -> Regression:
    """Fit coefficients for each cell on the training block.

    A store that is split in space has no training months outside its training block, so its
    coefficients are shared by all cells (`fit_shared_regression`).

    Args:
        store: the store to fit on.
        window: standard deviation of the Gaussian weights, cells.
    """
    if store.split["kind"] == "space":
        return fit_shared_regression(store)
    times, columns = store.block("train")
    s = store.surfaces
    anomaly = torch.from_numpy(store.standardised("train"))
    wet = torch.from_numpy(np.moveaxis(store.ocean[:, columns], -1, 0)).float()
    levels, features = anomaly[:, s:], _features(anomaly[:, :s], store.times[times])
    number, gaps = features.shape[1], torch.from_numpy(~store.present("train"))
    gaps = gaps[:, s:] | gaps[:, :s].any(1, keepdim=True)  # features need the surface
    products = torch.einsum("tphw,tqhw->pqhw", features, features)
    cross = torch.einsum("tphw,tdhw->pdhw", features, levels * ~gaps)
    ridge = RIDGE * torch.einsum("pphw->", products) / (number * wet[0].sum())
    solutions = []
    for level, ocean in enumerate(wet[s:]):
        here = products
        if gaps[:, level].any():
            here = products - torch.einsum(
                "tphw,tqhw->pqhw", features * gaps[:, level, None], features
            )
        matrix = gaussian_smooth(here * ocean, window).permute(2, 3, 0, 1)
        weight = gaussian_smooth(ocean, window)[..., None, None] + 1e-6
        matrix = matrix + ridge * weight * torch.eye(number)
        right = gaussian_smooth(cross[:, level] * ocean, window).permute(1, 2, 0)
        solutions.append(torch.linalg.solve(matrix, right[..., None])[..., 0].permute(2, 0, 1))
    coefficients = torch.stack(solutions)
    residual = (levels - torch.einsum("dphw,tphw->tdhw", coefficients, features)) * wet[s:] * ~gaps
    pairs = torch.einsum("dhw,ehw->de", wet[s:], wet[s:]) * len(residual)
    for there in wet[s:] * ~gaps[gaps.any((1, 2, 3))]:
        pairs -= torch.einsum("dhw,ehw->de", wet[s:], wet[s:])
        pairs += torch.einsum("dhw,ehw->de", there, there)
    covariance = torch.einsum("tdhw,tehw->de", residual, residual) / pairs.clamp(min=1)
    remaining = _positive_definite(covariance.double().numpy())
    places = store.latitude, store.longitude[columns]
    return Regression(coefficients, channel_covariance(store)[s:, s:], remaining, places)


def fit_shared_regression(store: Store) -> Regression:
    """Fit one set of coefficients for all cells on the training block.

    Reads three dates at a time, so memory does not depend on the length of the record.
    """
    times, columns = store.block("train")
    s, dates = store.surfaces, store.times[times]
    wet = torch.from_numpy(np.moveaxis(store.ocean[:, columns], -1, 0)[s:].copy())
    number = FEATURES_PER_SURFACE * s
    products = torch.zeros(len(wet), number, number, dtype=torch.float64)
    cross = torch.zeros(len(wet), number, dtype=torch.float64)

    def training_dates() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield features (P, H, W), levels and where they have values, both (D, H, W), by date."""
        for date in range(len(dates)):
            near = np.arange(max(date - 1, 0), min(date + 2, len(dates)))
            anomaly = torch.from_numpy(store.standardised("train", near))
            index = date - near[0]
            features = _features(anomaly[:, :s], dates[near], slice(index, index + 1))[0]
            present = torch.from_numpy(store.present("train", near[[index]])[0])
            there = wet & present[s:] & present[:s].all(0)
            yield features, anomaly[index, s:], there

    for features, levels, there in training_dates():
        for level, ocean in enumerate(there):
            inside = features[:, ocean]
            products[level] += inside @ inside.T
            cross[level] += inside @ levels[level, ocean]
    ridge = RIDGE * products.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] * torch.eye(number)
    matrix = products + ridge + 1e-9 * torch.eye(number)
    coefficients = torch.linalg.solve(matrix, cross[..., None])[..., 0].float()
    covariance, pairs = torch.zeros(2, len(wet), len(wet), dtype=torch.float64)
    for features, levels, there in training_dates():
        residual = (levels - torch.einsum("dp,phw->dhw", coefficients, features)) * there
        covariance += torch.einsum("dhw,ehw->de", residual, residual)
        pairs += torch.einsum("dhw,ehw->de", there.float(), there.float())
    remaining = _positive_definite((covariance / pairs.clamp(min=1)).numpy())
    prior = channel_covariance(store)[s:, s:]
    return Regression(coefficients[..., None, None], prior, remaining)


def _features(surface: Tensor, dates: np.ndarray, wanted: slice = slice(None)) -> Tensor:
    """Features (T, 6 S, H, W) of the surface's anomalies (T, S, H, W) on the `wanted` dates."""
    here = surface[wanted]
    around = gaussian_smooth(here, SMOOTHING_LENGTH)
    around = around / gaussian_smooth(torch.ones_like(surface[:1]), SMOOTHING_LENGTH)
    waves = torch.from_numpy(season(dates[wanted])).to(surface)
    seasonal = [here * wave[:, None, None, None] for wave in waves.T]
    lagged = []
    for index in torch.from_numpy(neighbouring_dates(dates)[wanted]).to(surface.device).T:
        lagged.append(surface[index] * (index >= 0)[:, None, None, None])
    return torch.cat([here, around, *seasonal, *lagged], 1)


def gaussian_smooth(field: Tensor, length: float) -> Tensor:
    """Convolve a field with a Gaussian that is not renormalised at the edges.

    Args:
        field: (..., H, W).
        length: standard deviation in cells.
    """
    rows, columns = (torch.arange(size).to(field.device).float() for size in field.shape[-2:])
    row_weights, column_weights = (
        torch.exp(-0.5 * ((position[:, None] - position) / length) ** 2)
        for position in (rows, columns)
    )
    return row_weights @ (field @ column_weights)
