"""Climatology and standard deviation, which define the standardised anomalies.

The climatology is a mean with annual and semi-annual harmonics, fitted cell by cell to the training
dates; records shorter than two years have the mean alone. The standard deviation around it is
smoothed over a few cells and kept above a floor, so that quiet places do not amplify noise.
"""

from collections.abc import Iterable

import numpy as np
import xarray as xr

__all__ = ["climatology_at", "fit_climatology", "floors", "harmonics", "number_of_terms", "smooth"]


def harmonics(times: np.ndarray, number: int = 5) -> np.ndarray:
    """Regressors (T, number): 1, then cosine and sine of the annual and the semi-annual cycle.

    Args:
        times: datetime64 (T,).
        number: columns to return, at most 5.
    """
    times = np.asarray(times, dtype="datetime64[s]")
    year = times.astype("datetime64[Y]")
    length = (year + 1).astype("datetime64[s]") - year.astype("datetime64[s]")
    phase = 2 * np.pi * ((times - year) / length)
    basis = [np.ones(len(times))]
    for order in (1, 2):
        basis += [np.cos(order * phase), np.sin(order * phase)]
    return np.stack(basis, 1)[:, :number]


def climatology_at(statistics: xr.Dataset, times: np.ndarray) -> np.ndarray:
    """Evaluate the climatology (time, channel, latitude, longitude) float32, °C.

    Args:
        statistics: from `Store.statistics`.
        times: datetime64 (T,).
    """
    basis, harmonic = harmonics(times, statistics.sizes["term"]), statistics.harmonic.values
    value = np.empty((len(basis), *harmonic.shape[1:]), np.float32)
    for channel in range(harmonic.shape[1]):  # the harmonics may be larger than memory
        value[:, channel] = np.tensordot(basis, harmonic[:, channel], 1)
    return value


def number_of_terms(times: np.ndarray, dates_per_month: float) -> int:
    """Number of regressors: 5, or 1 (the mean) if the dates do not resolve an annual cycle.

    Args:
        times: training dates, datetime64 (T,). They resolve the cycle if they span two years and
            fall into at least nine calendar months.
        dates_per_month: from `core.months.dates_per_month`.
    """
    calendar = np.unique(times.astype("datetime64[M]").astype(int) % 12)
    return 5 if round(len(times) / dates_per_month) >= 24 and len(calendar) >= 9 else 1


def fit_climatology(
    fields: Iterable[np.ndarray], times: np.ndarray, terms: int, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Fit the climatology of every cell by least squares.

    A cell without a value on some dates is fitted to its other dates.

    Args:
        fields: one array of `shape` (D, H, W) per date, NaN in gaps, read once.
        times: their dates, datetime64 (T,).
        terms: K, number of regressors.
        shape: (D, H, W).
    Returns:
        Coefficients (K, D, H, W) and the standard deviation of the residuals (D, H, W).

    Raises:
        ValueError: a cell has values on fewer than half of the dates.
    """
    basis = harmonics(times, terms)
    moment, square = np.zeros((terms, *shape)), np.zeros(shape)
    number = np.full(shape, len(times))
    lost: dict[int, np.ndarray] = {}  # by level with gaps: the regressors' products there
    for row, field in zip(basis, fields, strict=True):
        for level, values in enumerate(field):  # by level: copies in float64 stay small
            values = values.astype(np.float64)
            if (missing := np.isnan(values)).any():
                values[missing] = 0
                number[level] -= missing
                none = np.zeros((terms, terms, *shape[1:]))
                lost.setdefault(level, none)[...] += np.outer(row, row)[..., None, None] * missing
            square[level] += values**2
            for term, weight in enumerate(row):
                moment[term, level] += weight * values
    if (few := number < len(times) / 2).any():
        raise ValueError(
            f"{few.sum()} cells have values on fewer than half of the {len(times)} training dates, "
            f"one on {number.min()}; leave such cells out by a mask, or choose other dates"
        )
    gram = basis.T @ basis
    inverse = np.linalg.inv(gram)
    for level in range(len(square)):
        harmonic = np.tensordot(inverse, moment[:, level], 1)
        if level in lost:
            cells = number[level] < len(times)
            rest = gram + 1e-9 * len(times) * np.eye(terms) - lost[level][..., cells].T
            known = moment[:, level, cells].T[..., None]
            harmonic[:, cells] = np.linalg.solve(rest, known)[..., 0].T
        variance = square[level] - (harmonic * moment[:, level]).sum(0)
        square[level] = np.sqrt(np.maximum(variance, 0) / np.maximum(number[level] - terms, 1))
        moment[:, level] = harmonic
    return moment, square


def smooth(
    deviation: np.ndarray, ocean: np.ndarray, length: float, rows: slice = slice(None)
) -> np.ndarray:
    """Smooth rows of a map by a Gaussian mean over the ocean; 0 far from the ocean.

    Args:
        deviation: the map (latitude, longitude).
        ocean: (latitude, longitude) bool.
        length: standard deviation of the Gaussian, cells; it is cut at four lengths.
        rows: rows to smooth; rows around them are read, so that strips match the full map.
    """
    from scipy.ndimage import gaussian_filter

    first, last, _ = rows.indices(len(deviation))
    reach = int(4.0 * length + 0.5)
    near = slice(max(first - reach, 0), last + reach)
    wet = np.asarray(ocean[near])
    total = np.where(wet, deviation[near].astype(np.float64), 0.0)
    total = gaussian_filter(total, length, mode="nearest", truncate=4.0)
    weight = gaussian_filter(wet.astype(np.float64), length, mode="nearest", truncate=4.0)
    inner = slice(first - near.start, last - near.start)
    return total[inner] / np.maximum(weight[inner], 1e-6)


def floors(mean: np.ndarray, cells: np.ndarray, variables: list[slice], least: float) -> np.ndarray:
    """Lower bound of the standard deviation of every channel (C,).

    It is 0.3 of the channel's mean, and at least the lower bound of its variable.

    Args:
        mean: mean standard deviation of each channel (C,).
        cells: number of ocean cells of each channel (C,).
        variables: channels of temperature, then of each further variable and surface field.
        least: lower bound for temperature, °C; that of another variable is in proportion to its
            typical deviation.
    """
    typical = [np.average(mean[v], weights=cells[v]) if cells[v].any() else 0 for v in variables]
    floor = np.where(cells > 0, 0.3 * mean, 1.0)
    for channels, size in zip(variables, typical):
        ratio = size / typical[0] if size > 0 and typical[0] > 0 else 1.0
        floor[channels] = np.maximum(floor[channels], least * ratio)
    return floor
