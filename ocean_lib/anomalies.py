"""Climatology and standard deviation, from which anomalies depart.

The climatology is a mean with annual and semi-annual harmonics, fitted cell by cell to the training
months; records of less than two years have the mean alone.  The standard deviation around it is
smoothed over a few cells and kept above a floor, so that quiet places do not amplify noise.
"""

import numpy as np
import xarray as xr

__all__ = ["climatology", "harmonics", "level_floor", "smooth", "training_statistics"]


def harmonics(times: np.ndarray, number: int = 5) -> np.ndarray:
    """(T, number): mean, then cosine and sine of the annual and the semi-annual cycle."""
    times = np.asarray(times, dtype="datetime64[s]")
    year = times.astype("datetime64[Y]")
    length = (year + 1).astype("datetime64[s]") - year.astype("datetime64[s]")
    phase = 2 * np.pi * ((times - year) / length)
    basis = [np.ones(len(times))]
    for order in (1, 2):
        basis += [np.cos(order * phase), np.sin(order * phase)]
    return np.stack(basis, 1)[:, :number]


def climatology(statistics: xr.Dataset, times: np.ndarray) -> np.ndarray:
    """Climatology (time, channel, latitude, longitude), °C, of `Store.statistics` at dates."""
    basis = harmonics(times, statistics.sizes["term"])
    return np.tensordot(basis, statistics.harmonic.values, 1).astype(np.float32)


def smooth(deviation: np.ndarray, ocean: np.ndarray, length: float) -> np.ndarray:
    """Gaussian mean over the ocean along latitude and longitude of (latitude, longitude, C)."""
    from scipy.ndimage import gaussian_filter

    widths = (length, length, 0)
    total = gaussian_filter(np.where(ocean, deviation, 0.0), widths, mode="nearest")
    weight = gaussian_filter(ocean.astype(float), widths, mode="nearest")
    return total / np.maximum(weight, 1e-6)


def level_floor(deviation: np.ndarray, ocean: np.ndarray, least: float) -> np.ndarray:
    """(C,) °C: 0.3 of the mean standard deviation of each channel, and never below `least`."""
    count = ocean.sum((0, 1))
    mean = np.where(ocean, deviation, 0).sum((0, 1)) / np.maximum(count, 1)
    return np.maximum(least, np.where(count > 0, 0.3 * mean, 1.0))


def training_statistics(months, times, ocean, chunks, train_times, train_columns, split):
    """Harmonics (K, H, W, C) °C, standard deviation (H, W, C) °C and K, of the training block only.

    Args:
        months: slice of dates → (time, H, W, C) °C, 0 outside the ocean.
        times: all dates.    ocean: bool, (H, W, C).    chunks: slices that cover the dates.
        train_times, train_columns: slices, the training block.
        split: `time`, or `space`: then one profile of the training columns serves all places.
    """
    training = np.arange(len(times))[train_times]
    calendar = {int(m) for m in times[training].astype("datetime64[M]").astype(int) % 12}
    terms = 5 if len(training) >= 24 and len(calendar) >= 9 else 1
    if split == "space":
        terms = 1
    gram = np.zeros((terms, terms))
    moment = np.zeros((terms, *ocean.shape))
    square = np.zeros(ocean.shape)
    for chunk in chunks:
        chosen = [t for t in range(chunk.start, chunk.stop) if training[0] <= t <= training[-1]]
        if not chosen:
            continue
        part = slice(chosen[0], chosen[-1] + 1)
        basis, values = harmonics(times[part], terms), months(part)
        gram += basis.T @ basis
        moment += np.tensordot(basis.T, values, 1)
        square += (values**2).sum(0)
    if split == "time":
        climatology = np.tensordot(np.linalg.inv(gram), moment, 1)
        variance = (square - (climatology * moment).sum(0)) / max(len(training) - terms, 1)
        return climatology, np.sqrt(np.maximum(variance, 0)), terms
    # A place outside the training band has no climatology of its own: one profile serves all.
    inside = ocean[:, train_columns]
    count = np.maximum(inside.sum((0, 1)), 1) * len(training)
    mean = np.where(inside, moment[0][:, train_columns], 0).sum((0, 1)) / count
    variance = np.where(inside, square[:, train_columns], 0).sum((0, 1)) / count - mean**2
    climatology = np.broadcast_to(mean, (1, *ocean.shape)).copy()
    return climatology, np.broadcast_to(np.sqrt(np.maximum(variance, 0)), ocean.shape).copy(), 1
