"""Scores: a numpy kernel of what they are means of, and labelled (xarray) shells.

`terms` gives, at every cell, the elementary quantities; `scores` turns their weighted means into
every score.  So means can be summed by block and resampled before a root or a ratio is taken.

    square absolute error    e², |e|, e of the forecast, e = forecast − truth
    crps                     fair CRPS of members, the closed form of a Gaussian, or |e|
    variance                 expected e²: (M + 1)/M times the unbiased variance of M members, or
                             the square of the error estimate
    inside                   whether the truth lies within the 90 % interval
    product, forecast_square, truth_square     of the anomalies from climatology

The shells take DataArrays, count the cells of `where` that hold both values, reduce over `dim`
(all by default) with `weights`, and stay lazy on dask.  What xskillscore has is xskillscore's.

References: Ferro 2014, doi 10.1002/qj.2270 (fair CRPS); Gneiting & Raftery 2007,
doi 10.1198/016214506000001437 (Gaussian CRPS); Fortin et al. 2014, doi 10.1175/JHM-D-14-0008.1
(spread and its factor); Wang et al. 2004, doi 10.1109/TIP.2003.819861 (SSIM).
"""

import numpy as np
import xarray as xr

__all__ = [
    "anomaly_correlation",
    "bias",
    "coverage",
    "crps",
    "crps_gaussian",
    "mae",
    "psnr",
    "rank_histogram",
    "rmse",
    "scores",
    "skill",
    "spread",
    "spread_skill",
    "ssim",
    "terms",
]


COVERED = 0.90  # of the truth, by the interval that `inside` and `coverage` ask about
TINY = 1e-12  # an error estimate below it is certainty, whose CRPS is the absolute error


def terms(forecast, truth, climatology, members=None, error=None) -> dict[str, np.ndarray]:
    """What scores are means of, at every cell: {name: (...)}.

    `variance` and `inside` are there with members or an error estimate; members prevail.

    Args:
        forecast, truth, climatology: (...).    members: (M, ...), M >= 2.
        error: (...), the forecast's standard deviation.
    Raises:
        ValueError: fewer than two members.
    """
    e = forecast - truth
    ours, theirs = forecast - climatology, truth - climatology
    result = {"square": e**2, "absolute": np.abs(e), "error": e}
    result |= {"product": ours * theirs, "forecast_square": ours**2, "truth_square": theirs**2}
    if members is not None:
        number = _several(members)
        return result | {
            "crps": _crps(members, truth),
            "variance": (number + 1) / number * members.var(0, ddof=1),
            "inside": _inside(members, truth),
        }
    if error is None:
        return result | {"crps": result["absolute"]}
    from scipy.special import ndtri

    half = ndtri((1 + COVERED) / 2)
    return result | {
        "crps": _crps_gaussian(e, error),
        "variance": error**2,
        "inside": np.abs(e) <= half * error,
    }


def scores(mean: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every score, from weighted means (or sums) of `terms` over the same cells: {name: (...)}.

    `skill` is 1 − Σe² / Σ(truth − climatology)²; `anomaly_correlation` is not centred;
    `spread_skill` is 1 for a perfect ensemble, above it for one that is too wide.  NaN where a
    ratio has no meaning, as the anomaly correlation of climatology has none.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        rmse = np.sqrt(mean["square"])
        power = np.sqrt(mean["forecast_square"] * mean["truth_square"])
        result = {
            "rmse": rmse,
            "mae": mean["absolute"],
            "bias": mean["error"],
            "skill": 1 - mean["square"] / mean["truth_square"],
            "anomaly_correlation": mean["product"] / power,
            "crps": mean["crps"],
        }
        if "variance" in mean:
            spread = np.sqrt(mean["variance"])
            result |= {
                "spread": spread, "spread_skill": spread / rmse, "coverage": mean["inside"]
            }  # fmt: skip
    return result


def _crps(members, truth):
    number = _several(members)
    error = np.abs(members - truth).mean(0)
    # sum over pairs of |x_i - x_j| from the sorted members, without the M² differences
    order = (2 * np.arange(1, number + 1) - number - 1).astype(members.dtype)
    return error - np.tensordot(order, np.sort(members, 0), 1) / (number * (number - 1))


def _crps_gaussian(e, error):
    from scipy.special import ndtr

    error = np.maximum(error, TINY)
    z = e / error
    density = np.exp(-0.5 * z**2) * np.sqrt(2 / np.pi)
    return e * (2 * ndtr(z) - 1) + error * (density - 1 / np.sqrt(np.pi))


def _inside(members, truth):
    """Whether the truth lies within the t-interval of one more draw; NaN where it is NaN.

    A plain ±1.645 standard deviations of 8 members would hold 83 % of it, not 90.
    """
    from scipy.special import stdtrit

    number = _several(members)
    half = stdtrit(number - 1, (1 + COVERED) / 2) * np.sqrt(1 + 1 / number)
    e = np.abs(members.mean(0) - truth)
    return np.where(np.isnan(e), np.nan, e <= half * members.std(0, ddof=1))


def _several(members) -> int:
    if len(members) < 2:
        raise ValueError(
            f"{len(members)} member has neither a fair CRPS nor a spread; draw at least 2"
        )
    return len(members)


# --- labelled ---------------------------------------------------------------------------------


def _counted(value, where):
    return value if where is None else value.where(where)


def _mean(value, where, dim, weights):
    value = _counted(value, where)
    return (value if weights is None else value.weighted(weights)).mean(dim)


def _whole(array, dims):
    """In one chunk along `dims`, as apply_ufunc needs its core dimensions."""
    return array.chunk(dict.fromkeys(dims, -1)) if array.chunks is not None else array


def _pairwise(name, reconstruction, field, where, dim, weights):
    """A score of xskillscore: NaN where nothing counts, weights over all of `dim`."""
    import xskillscore

    pair = xr.broadcast(_counted(reconstruction, where), _counted(field, where))
    dim = [dim] if isinstance(dim, str) else list(pair[0].dims if dim is None else dim)
    if weights is not None:
        rest = {other: 0 for other in pair[0].dims if other not in dim}
        weights = weights.broadcast_like(pair[0].isel(rest, drop=True))
        weights = _whole(weights.transpose(*(n for n in pair[0].dims if n in dim)), dim)
    pair = (_whole(one, dim) for one in pair)
    return getattr(xskillscore, name)(*pair, dim=dim, weights=weights, skipna=True)


def _by_members(kernel, members, field):
    return xr.apply_ufunc(
        lambda drawn, truth: kernel(np.moveaxis(drawn, -1, 0), truth),
        _whole(members, ["member"]),
        field,
        input_core_dims=[["member"], []],
        dask="parallelized",
        output_dtypes=[float],
    )


def rmse(reconstruction, field, *, where=None, dim=None, weights=None):
    """Root mean square error, in the field's unit."""
    return _pairwise("rmse", reconstruction, field, where, dim, weights)


def mae(reconstruction, field, *, where=None, dim=None, weights=None):
    """Mean absolute error, in the field's unit."""
    return _pairwise("mae", reconstruction, field, where, dim, weights)


def bias(reconstruction, field, *, where=None, dim=None, weights=None):
    """Mean of reconstruction minus field, in the field's unit."""
    return _pairwise("me", reconstruction, field, where, dim, weights)


def skill(reconstruction, field, climatology, *, where=None, dim=None, weights=None):
    """1 − mean square error over that of climatology: 1 is perfect, 0 no better than it."""
    choices = {"where": where, "dim": dim, "weights": weights}
    ratio = rmse(reconstruction, field, **choices) / rmse(climatology, field, **choices)
    return 1 - ratio**2


def anomaly_correlation(reconstruction, field, climatology, *, where=None, dim=None, weights=None):
    """Uncentred correlation of the anomalies of reconstruction and field from climatology."""
    both = reconstruction - climatology, field - climatology
    counted = [one.where(both[0].notnull() & both[1].notnull()) for one in both]
    product, ours, theirs = (
        _mean(value, where, dim, weights)
        for value in (counted[0] * counted[1], counted[0] ** 2, counted[1] ** 2)
    )
    return product / (ours * theirs) ** 0.5


def crps(members, field, *, where=None, dim=None, weights=None):
    """Fair continuous ranked probability score of `member`s, M >= 2, in the field's unit."""
    return _mean(_by_members(_crps, members, field), where, dim, weights)


def crps_gaussian(reconstruction, error, field, *, where=None, dim=None, weights=None):
    """CRPS of Gaussians of mean `reconstruction` and standard deviation `error`."""
    import xskillscore

    field, error = _counted(field, where), error.clip(min=TINY)
    return xskillscore.crps_gaussian(field, reconstruction, error, dim=dim, weights=weights)


def spread(members, *, where=None, dim=None, weights=None):
    """Root of the mean unbiased variance of M `member`s times (M + 1)/M, in the field's unit."""
    number = members.sizes["member"]
    variance = members.var("member", ddof=1, skipna=False) * ((number + 1) / number)
    return _mean(variance, where, dim, weights) ** 0.5


def spread_skill(members, field, *, where=None, dim=None, weights=None):
    """Spread over RMSE of the mean of the `member`s: 1 for a perfect ensemble."""
    choices = {"dim": dim, "weights": weights}
    choices["where"] = field.notnull() if where is None else field.notnull() & where
    mean = members.mean("member", skipna=False)
    return spread(members, **choices) / rmse(mean, field, **choices)


def coverage(members, field, *, where=None, dim=None, weights=None):
    """Fraction of the field within the 90 % t-interval of its `member`s, M >= 2."""
    return _mean(_by_members(_inside, members, field), where, dim, weights)


def rank_histogram(members, field, *, where=None, dim=None):
    """How often the field holds each rank, 1 … M + 1, among its M `member`s: (…, rank)."""
    import xskillscore

    field, members = _counted(field, where), _whole(members, ["member"])
    return xskillscore.rank_histogram(field, members, dim=dim, random_for_tied=False)


# --- as image work has them -------------------------------------------------------------------


def psnr(forecast, truth, where) -> float:
    """Peak signal-to-noise ratio, dB, over the range of the truth where it counts.

    Infinite for a forecast without error.
    """
    forecast, truth = forecast[where], truth[where]
    with np.errstate(divide="ignore"):
        return float(20 * np.log10(np.ptp(truth) / np.sqrt(((forecast - truth) ** 2).mean())))


def ssim(forecast, truth, where, sigma: float = 1.5) -> float:
    """Structural similarity of (..., H, W), mean over `where`, within an 11×11 Gaussian window.

    Land enters as the mean of the truth on both sides, so a coast adds no difference.
    """
    from scipy.ndimage import gaussian_filter1d

    peak, middle = np.ptp(truth[where]), truth[where].mean()
    valid = np.isfinite(truth) & np.isfinite(forecast)
    # One matrix an axis blurs a stack of small fields several times faster than a filter does;
    # about the middle, single precision is enough.
    down, across = (
        gaussian_filter1d(np.eye(size, dtype=np.float32), sigma, axis=0, truncate=3.5)
        for size in truth.shape[-2:]
    )

    def blur(field):
        return down @ field @ across.T

    x, y = (np.where(valid, each - middle, 0).astype(np.float32) for each in (forecast, truth))
    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + middle, mean_y + middle
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    index = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    index /= (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return float(index[where].mean())
