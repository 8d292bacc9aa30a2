"""Scores: numpy kernels.

A kernel takes arrays, the cells that count (`where`) and weights, and reduces over `axis`.  All but
PSNR and SSIM are weighted means of a value per cell, which `pointwise` gives, so that sums over
months can be resampled before the mean and the root are taken.

    crps    fair: its expectation does not reward small or overconfident ensembles
    spread  root of the mean unbiased variance of the members
    psnr, ssim   as image work has them, over the range of the field

Reference: Ferro 2014, doi 10.1002/qj.2270 (fair CRPS); Fortin et al. 2014,
doi 10.1175/JHM-D-14-0008.1 (spread); Wang et al. 2004, doi 10.1109/TIP.2003.819861 (SSIM).
"""

import numpy as np

__all__ = ["ROOTED", "bias", "crps", "mae", "pointwise", "psnr", "rmse", "spread", "ssim"]

ROOTED = ("rmse", "spread")  # scores that are the root of a mean


def pointwise(forecast, truth, members=None) -> dict[str, np.ndarray]:
    """What each score is the mean of, at every cell: {score: (...)}.

    Args:
        forecast, truth: (...).    members: (M, ...); without them the forecast is one certain
            value, whose CRPS is its absolute error and whose spread is not defined.
    """
    error = forecast - truth
    values = {"rmse": error**2, "mae": np.abs(error), "bias": error}
    if members is None:
        return values | {"crps": np.abs(error)}
    return values | {"crps": _crps(members, truth), "spread": members.var(0, ddof=1)}


def _crps(members, truth):
    number = len(members)
    if number < 2:
        raise ValueError(f"{number} member has no fair CRPS; draw at least 2")
    error = np.abs(members - truth).mean(0)
    # sum over pairs of |x_i - x_j| from the sorted members, without the M² differences
    order = 2 * np.arange(1, number + 1) - number - 1
    return error - np.tensordot(order, np.sort(members, 0), 1) / (number * (number - 1))


def _mean(value, where, weights, axis):
    """Weighted mean over `where`; NaN where nothing counts."""
    weights = np.where(where, weights, 0.0)
    total = weights.sum(axis)
    summed = (weights * np.where(where, value, 0.0)).sum(axis)
    return np.where(total > 0, summed / np.where(total > 0, total, 1), np.nan)


def rmse(forecast, truth, where, weights=1.0, axis=None):
    """Root mean square error, in the field's unit."""
    return np.sqrt(_mean((forecast - truth) ** 2, where, weights, axis))


def mae(forecast, truth, where, weights=1.0, axis=None):
    """Mean absolute error, in the field's unit."""
    return _mean(np.abs(forecast - truth), where, weights, axis)


def bias(forecast, truth, where, weights=1.0, axis=None):
    """Mean of forecast minus truth, in the field's unit."""
    return _mean(forecast - truth, where, weights, axis)


def crps(members, truth, where, weights=1.0, axis=None):
    """Fair continuous ranked probability score; members (M, ...), M >= 2, in the field's unit."""
    return _mean(_crps(members, truth), where, weights, axis)


def spread(members, where, weights=1.0, axis=None):
    """Root of the mean unbiased variance of members (M, ...), in the field's unit."""
    return np.sqrt(_mean(members.var(0, ddof=1), where, weights, axis))


def psnr(forecast, truth, where, axis=None):
    """Peak signal-to-noise ratio, dB, over the range of the truth where it counts.

    Infinite for a forecast without error.
    """
    inside = np.where(where, truth, np.nan)
    peak = np.nanmax(inside) - np.nanmin(inside)
    with np.errstate(divide="ignore"):
        return 20 * np.log10(peak / rmse(forecast, truth, where, axis=axis))


def ssim(forecast, truth, where, sigma: float = 1.5):
    """Structural similarity of (..., H, W), mean over `where`, within an 11×11 Gaussian window.

    Land enters as the mean of the truth on both sides, so a coast adds no difference.
    """
    from scipy.ndimage import gaussian_filter

    inside = np.where(where, truth, np.nan)
    peak, middle = np.nanmax(inside) - np.nanmin(inside), np.nanmean(inside)
    valid = np.isfinite(truth) & np.isfinite(forecast)
    widths = (0,) * (truth.ndim - 2) + (sigma, sigma)

    def blur(field):
        return gaussian_filter(field, widths, truncate=3.5)

    x, y = (np.where(valid, field, middle).astype(float) for field in (forecast, truth))
    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    index = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    index /= (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return float(index[where].mean())
