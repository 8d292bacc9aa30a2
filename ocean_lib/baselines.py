"""Baselines: what a model has to beat, through one call and fed just what the model is fed.

    method(observations, statistics) -> Dataset of `mean` and `error` (°C)

`climatology` ignores the observations, `linear` interpolates their anomalies within each level,
`OptimalInterpolation` weighs them by covariances in space, depth and towards the surface seen from
above.  What is tunable is tuned on validation months by `tune`, which also fits the background of
the networks.
"""

from collections.abc import Callable

import numpy as np
import torch
import xarray as xr

from .anomalies import climatology as climatology_at
from .dataset import Batches, named, select_statistics, standardise
from .interpolation import Background
from .store import STEP, Store

__all__ = ["OptimalInterpolation", "climatology", "covariance", "linear", "restore", "tune"]


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


def linear(observations: xr.Dataset, statistics: xr.Dataset) -> xr.Dataset:
    """Piecewise linear (Delaunay) interpolation of the anomalies at each level and date.

    Outside the hull of the observations the nearest one holds; a level without any keeps its
    climatology.  The error is 0 at observations and 1 standard deviation elsewhere.
    """
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
    from scipy.spatial import QhullError

    batch = standardise(observations, select_statistics(statistics, observations))
    value, observed = batch["value"].numpy(), batch["observed"].numpy()
    height, width = value.shape[-2:]
    cells = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1)
    mean = np.zeros_like(value)
    for index in np.ndindex(value.shape[:2]):
        points, values = cells[observed[index]], value[index][observed[index]]
        if not len(points):
            continue
        mean[index] = NearestNDInterpolator(points, values)(cells)
        try:
            inside = LinearNDInterpolator(points, values)(cells)
        except QhullError:  # fewer than three points, or all on one line
            continue
        mean[index] = np.where(np.isfinite(inside), inside, mean[index])
    return _result(mean, np.where(observed, 0.0, 1.0), observations, statistics)


class OptimalInterpolation:
    """Optimal interpolation of anomalies over the whole field, all levels and the surface at once.

    Args:
        background: covariance and settings, from `tune`.
    Reference: Bretherton, Davis & Fandry 1976, doi 10.1016/0011-7471(76)90001-2.
    """

    def __init__(self, background: Background, device: str = "cpu"):
        self.background, self.device = background.to(device), device

    def __call__(self, observations: xr.Dataset, statistics: xr.Dataset) -> xr.Dataset:
        local = select_statistics(statistics, observations)
        means, errors = [], []
        for month in range(observations.sizes["time"]):
            batch = standardise(observations.isel(time=[month]), local, self.device)
            names = ("value", "observed", "error", "ocean", "surface", "surface_observed")
            mean, error = self.background(*(batch[name] for name in names))
            error = torch.where(batch["observed"], error.minimum(batch["error"]), error)
            means.append(mean.cpu().numpy())
            errors.append(error.cpu().numpy())
        return _result(np.concatenate(means), np.concatenate(errors), observations, statistics)


def covariance(store: Store) -> torch.Tensor:
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
    # One level below the shallowest sea floor must not pull its partners' variance down.
    matrix = total / (len(anomaly) * np.maximum(pairs, 1))
    values, vectors = np.linalg.eigh(matrix)
    return torch.tensor((vectors * np.maximum(values, 1e-4)) @ vectors.T, dtype=torch.float32)


def tune(
    store: Store,
    specifications: list[dict],
    *,
    iterations: int,
    patch: int = 64,
    samples: int = 12,
    seed: int = 0,
    show: Callable[[str], None] | None = None,
) -> Background:
    """The background with the least error over hidden ocean on validation months.

    Searches length scale (cells) and noise in turn, with the same observations for every
    candidate.  With several patterns the geometric mean of their errors decides, so that an easy
    one counts as much as a hard one.

    Args:
        specifications: the observation patterns to tune for.
        iterations: of the conjugate gradient: few for a network's background, 300 for a baseline.
        samples: patches a pattern.
    """
    patch = min(patch, *store.shape("validation"))
    matrix = covariance(store)
    batches = [
        Batches(store, "validation", patch=patch, specifications=[each], seed=seed).draw(0, samples)
        for each in specifications
    ]
    names = ("value", "observed", "error", "ocean", "surface", "surface_observed")

    def built(**settings) -> Background:
        return Background(matrix, store.surfaces, iterations=iterations, **settings)

    def error(**settings) -> float:
        candidate, total = built(**settings), 0.0
        for batch in batches:
            mean, _ = candidate(*(batch[name] for name in names))
            hidden = batch["ocean"] & ~batch["observed"]
            square = ((mean - batch["field"]) ** 2)[hidden].sum() / hidden.sum().clamp(min=1)
            total += 0.5 * float((square + 1e-12).log())
        return float(np.exp(total / len(batches)))

    # Matérn alone: a Gaussian covariance is so ill-conditioned that what is best on patches may
    # fail on the whole field.
    chosen = {"length": 7.0, "noise": 0.03}
    score = error(**chosen)
    for name, factors in (
        ("length", (0.4, 0.6, 1.5, 2.3, 3.5)),
        ("noise", (0.1, 0.3, 3.0, 10.0)),
        ("length", (0.8, 1.25)),
        ("noise", (0.6, 1.7)),
    ):
        start = chosen[name]
        for factor in factors:
            candidate = chosen | {name: start * factor}
            tried = error(**candidate)
            if tried < score:
                score, chosen = tried, candidate
    if show is not None:
        show(
            f"optimal interpolation: length {chosen['length']:.1f} cells, noise "
            f"{chosen['noise']:.3g}, error {score:.3f} standard deviations on validation"
        )
    return built(**chosen, **_error_amid_observations(built(**chosen), batches))


def _error_amid_observations(background: Background, batches: list[dict]) -> dict[str, float]:
    """`floor` and `decay` of a background, fitted to its errors in ever denser neighbourhoods."""
    counts, squares = [], []
    for batch in batches:
        names = ("value", "observed", "error", "ocean", "surface", "surface_observed")
        mean, _ = background(*(batch[name] for name in names))
        number = background.neighbours(batch["observed"], batch["error"])
        amid = batch["ocean"] & ~batch["observed"] & (number > 0.99)
        counts.append(number[amid].double())
        squares.append(((mean - batch["field"]) ** 2)[amid].double())
    counts, squares = torch.cat(counts), torch.cat(squares)
    if len(counts) < 100:
        return {"floor": background.noise, "decay": 0.0}
    parts = torch.tensor_split(counts.argsort(), 10)
    x = np.array([float(counts[part].mean().log()) for part in parts])
    y = np.array([float((squares[part].mean() + 1e-8).log()) for part in parts])
    slope = np.polyfit(x, y, 1)[0] if np.ptp(x) > 0.5 else 0.0
    decay = float(np.clip(-slope, 0.0, 1.0))
    return {"floor": float(np.exp((y + decay * x).mean()).clip(1e-4, 1.0)), "decay": decay}
