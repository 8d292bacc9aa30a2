"""Linear regression of subsurface anomalies on surface anomalies.

At each cell the anomaly of each level is a linear function of `FEATURES_PER_SURFACE` features of
the surface: its anomaly, the mean anomaly around the cell, the anomaly times the sine and times the
cosine of the season, and the anomalies one month before and after. The coefficients are fitted on
the training months, either for each cell with Gaussian weights on the cells around it
(`fit_local_regression`) or once for all cells (`fit_shared_regression`). `CovarianceRegression`
follows from the covariance of the channels and uses the surface anomaly alone. All of them also
give the covariance of their residual, which optimal interpolation needs. As a surface field may be
missing on a date, there is one set of coefficients for every subset of the surface fields.

Reference: Guinehut et al. 2012, doi 10.5194/os-8-845-2012 (ARMOR3D).
"""

from collections.abc import Iterator, Sequence
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
    "seen_subsets",
    "subsets",
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


def subsets(surfaces: int) -> Iterator[tuple[int, list[int]]]:
    """Yield the number and the members of every subset of S surface fields but the empty one.

    Field k belongs to subset n where bit k of n is set.
    """
    for number in range(1, 2**surfaces):
        yield number, [k for k in range(surfaces) if number >> k & 1]


def seen_subsets(observed: Tensor) -> Tensor:
    """Number of the subset of the surface fields that each date sees, int, (T,).

    Args:
        observed: where they are seen, bool, (T, S, H, W).
    """
    fields = observed.flatten(2).any(2)
    return (fields * 2 ** torch.arange(fields.shape[1], device=fields.device)).sum(1)


class CovarianceRegression:
    """Regression that follows from the channels' covariance, the same at every cell.

    Args:
        covariance: (S + D, S + D), surface channels first.
        surfaces: S.

    Attributes:
        gain: (2^S, S, D), regression coefficients for every subset of the surface fields.
        covariance: (2^S, D, D), covariance of the levels given a subset of the surface fields.
    """

    def __init__(self, covariance: Tensor, surfaces: int):
        s = surfaces
        levels = covariance[s:, s:]
        self.gain = levels.new_zeros(2**s, s, len(levels))
        self.covariance = levels.repeat(2**s, 1, 1)
        for number, seen in subsets(s):
            surface = covariance[seen][:, seen] + 1e-3 * torch.eye(len(seen))
            self.gain[number, seen] = gain = torch.linalg.solve(surface, covariance[seen, s:])
            residual = levels - covariance[s:, seen] @ gain
            self.covariance[number] = _positive_definite(residual.double().numpy())

    def __call__(self, surface: Tensor, grid: xr.Dataset, subset: int) -> Tensor:
        """Levels (T, D, H, W) from the anomalies (T, S, H, W) of a subset; `grid` is not used."""
        return torch.einsum("sd,tshw->tdhw", self.gain[subset].to(surface), surface)


@dataclass(eq=False)
class Regression:
    """Regression on features of the surface; see the module docstring.

    Args:
        coefficients: for every subset of the surface fields but the empty one, by number less 1,
            (D, P, H, W) at `places`, or (D, P, 1, 1) for all cells; P features, 0 for those of the
            fields that do not belong to the subset.
        covariance: for every subset by number, the empty one first, (D, D), covariance of the
            levels given the fields of the subset.
        places: latitudes (H,) and longitudes (W,) of the coefficients; None if shared by all cells.
    """

    coefficients: Tensor
    covariance: Tensor
    places: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(self, surface: Tensor, grid: xr.Dataset, subset: int) -> Tensor:
        """Levels (T, D, H, W) from the anomalies (T, S, H, W) of a subset on a grid.

        Args:
            surface: standardised anomalies.
            grid: dataset with the dates and, for local coefficients, the coordinates.
            subset: number of the subset (`subsets`), not 0.
        """
        coefficients = self.coefficients[subset - 1]
        if self.places is not None:
            rows, columns = nearest_cells(self.places, grid)
            coefficients = coefficients[:, :, rows[:, None], columns]
        features = _features(surface, grid.time.values)
        shape = (*coefficients.shape[:2], *features.shape[-2:])
        return torch.einsum("dphw,tphw->tdhw", coefficients.expand(shape).to(features), features)


def _columns(seen: list[int], surfaces: int) -> list[int]:
    """Indices of the features (`_features`) of some of S surface fields."""
    return [kind * surfaces + k for kind in range(FEATURES_PER_SURFACE) for k in seen]


def fit_local_regression(
    store: Store, window: float, wanted: Sequence[int] | None = None
) -> Regression:
    """Fit coefficients for each cell on the training block.

    A store that is split in space has no training months outside its training block, so its
    coefficients are shared by all cells (`fit_shared_regression`).

    Args:
        store: the store to fit on.
        window: standard deviation of the Gaussian weights, cells.
        wanted: numbers of the subsets of the surface fields that are fitted; all by default. With
            another subset the regression is climatology.
    """
    if store.split["kind"] == "space":
        return fit_shared_regression(store)
    times, columns = store.block("train")
    s = len(store.surfaces)
    anomaly = torch.from_numpy(store.standardised("train"))
    wet = torch.from_numpy(np.moveaxis(store.ocean[:, columns], -1, 0)).float()
    levels, features = anomaly[:, s:], _features(anomaly[:, :s], store.times[times])
    number, gaps = features.shape[1], torch.from_numpy(~store.present("train"))
    gaps = gaps[:, s:] | gaps[:, :s].any(1, keepdim=True)  # features need the surface
    products = torch.einsum("tphw,tqhw->pqhw", features, features)
    cross = torch.einsum("tphw,tdhw->pdhw", features, levels * ~gaps)
    power = torch.einsum("pphw->p", products) / wet[0].sum()
    coefficients = torch.zeros(2**s - 1, len(wet) - s, number, *wet.shape[1:])
    for level, ocean in enumerate(wet[s:]):
        here = products
        if gaps[:, level].any():
            here = products - torch.einsum(
                "tphw,tqhw->pqhw", features * gaps[:, level, None], features
            )
        matrix = gaussian_smooth(here * ocean, window).permute(2, 3, 0, 1)
        weight = gaussian_smooth(ocean, window)[..., None, None] + 1e-6
        right = gaussian_smooth(cross[:, level] * ocean, window).permute(1, 2, 0)[..., None]
        for subset, seen in subsets(s):
            if wanted is not None and subset not in wanted:
                continue
            own = _columns(seen, s)
            ridge = RIDGE * power[own].mean() * weight * torch.eye(len(own))
            solution = torch.linalg.solve(matrix[..., own, :][..., own] + ridge, right[..., own, :])
            coefficients[subset - 1, level, own] = solution[..., 0].permute(2, 0, 1)
    pairs = torch.einsum("dhw,ehw->de", wet[s:], wet[s:]) * len(levels)
    for there in wet[s:] * ~gaps[gaps.any((1, 2, 3))]:
        pairs -= torch.einsum("dhw,ehw->de", wet[s:], wet[s:])
        pairs += torch.einsum("dhw,ehw->de", there, there)
    covariance = [channel_covariance(store)[s:, s:]]
    for subset, own in enumerate(coefficients, 1):
        if wanted is not None and subset not in wanted:
            covariance.append(covariance[0])
            continue
        residual = (levels - torch.einsum("dphw,tphw->tdhw", own, features)) * wet[s:] * ~gaps
        left = torch.einsum("tdhw,tehw->de", residual, residual) / pairs.clamp(min=1)
        covariance.append(_positive_definite(left.double().numpy()))
    places = store.latitude, store.longitude[columns]
    return Regression(coefficients, torch.stack(covariance), places)


def fit_shared_regression(store: Store) -> Regression:
    """Fit one set of coefficients for all cells on the training block.

    Reads three dates at a time, so memory does not depend on the length of the record.
    """
    times, columns = store.block("train")
    s, dates = len(store.surfaces), store.times[times]
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
    coefficients = torch.zeros(2**s - 1, len(wet), number)
    for subset, seen in subsets(s):
        own = _columns(seen, s)
        matrix, unit = products[:, own][..., own], torch.eye(len(own))
        ridge = RIDGE * matrix.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + 1e-9
        solution = torch.linalg.solve(matrix + ridge * unit, cross[:, own, None])
        coefficients[subset - 1, :, own] = solution[..., 0].float()
    left = torch.zeros(2**s - 1, len(wet), len(wet), dtype=torch.float64)
    pairs = torch.zeros(len(wet), len(wet), dtype=torch.float64)
    for features, levels, there in training_dates():
        pairs += torch.einsum("dhw,ehw->de", there.float(), there.float())
        for own, total in zip(coefficients, left):
            residual = (levels - torch.einsum("dp,phw->dhw", own, features)) * there
            total += torch.einsum("dhw,ehw->de", residual, residual)
    covariance = [channel_covariance(store)[s:, s:]]
    covariance += [_positive_definite((total / pairs.clamp(min=1)).numpy()) for total in left]
    return Regression(coefficients[..., None, None], torch.stack(covariance))


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
