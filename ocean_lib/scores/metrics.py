"""Metrics of a forecast, in numpy.

`terms` gives elementary quantities at every cell; `scores` turns their weighted means into scores.
The means can therefore be resampled by block before a root or a ratio is taken.

    square, absolute, error  e², |e|, e = forecast − truth
    crps                     fair CRPS of members, or the closed form of a Gaussian; a forecast
                             that states no uncertainty has none
    variance                 expected e²: of members, their unbiased variance times
                             `mean_variance_factor`; of an error estimate, its square
    inside                   whether the truth lies within the central 90 % interval about the
                             forecast
    product, forecast_square, truth_square     of the anomalies from climatology

`ensemble_scores` scores members as `xarray` arrays, without a climatology.  `psnr` and `ssim` are
metrics of image processing.

References: Ferro 2014, doi 10.1002/qj.2270 (fair CRPS); Gneiting & Raftery 2007,
doi 10.1198/016214506000001437 (Gaussian CRPS); Fortin et al. 2014, doi 10.1175/JHM-D-14-0008.1
(spread of M members); Wang et al. 2004, doi 10.1109/TIP.2003.819861 (SSIM).
"""

import numpy as np
import xarray as xr

__all__ = [
    "ensemble_scores",
    "ensemble_variance_factor",
    "interval_half_width",
    "mean_variance_factor",
    "psnr",
    "scores",
    "ssim",
    "terms",
]


COVERED = 0.90  # probability of the interval of `inside` and `coverage`
WINDOW = 1.5  # standard deviation of the window of `ssim`, cells
TINY = 1e-12  # lower bound on an error estimate when it is a divisor
ROUNDING = 0.05  # a mean this close to the members' own, in its sampling errors, is that mean


def ensemble_variance_factor(members: int) -> float:
    """(M + 1)/M, the expected squared error of the mean of M members over their variance.

    Raises:
        ValueError: there are fewer than two members.

    Reference: Fortin et al. 2014, doi 10.1175/JHM-D-14-0008.1.
    """
    if members < 2:
        raise ValueError(f"{members} member has neither a fair CRPS nor a spread; draw at least 2")
    return (members + 1) / members


def mean_variance_factor(mean: np.ndarray, members: np.ndarray) -> float:
    """Expected squared error of a mean over the variance of the members, if these are reliable.

    It is 1 for a mean that does not come from the members, such as that of a first stage, and
    `ensemble_variance_factor` for the members' own mean, from which the other differs by the
    sampling error of that mean.

    Args:
        mean: (...), NaN where it does not count.
        members: (M, ...), M >= 2.

    Raises:
        ValueError: there are fewer than two members.
    """
    factor = ensemble_variance_factor(len(members))
    sampling = np.nansum(members.var(0, ddof=1), dtype=float) / len(members)
    apart = np.nansum((mean - members.mean(0)) ** 2, dtype=float)
    return factor if apart <= ROUNDING**2 * sampling else 1.0


def interval_half_width(members: int, factor: float) -> float:
    """Half-width of the 90 % interval about a mean, in standard deviations of M members.

    It is the t-interval of one more draw: ±1.645 standard deviations of 8 members would cover only
    83 %.

    Args:
        members: M, at least 2.
        factor: of `mean_variance_factor`.
    """
    from scipy.special import stdtrit

    return stdtrit(members - 1, (1 + COVERED) / 2) * np.sqrt(factor)


def terms(
    forecast: np.ndarray,
    truth: np.ndarray,
    climatology: np.ndarray | None = None,
    members: np.ndarray | None = None,
    error: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """The quantities whose means are scores, at every cell.

    Args:
        forecast: (...).
        truth: (...).
        climatology: (...); without it, the products of anomalies are left out.
        members: (M, ...), M >= 2; they take precedence over `error`.
        error: (...), the standard deviation of the forecast's error.

    Returns:
        {name: (...)}; `crps`, `variance` and `inside` only with members or an error.

    Raises:
        ValueError: there are fewer than two members.
    """
    e = forecast - truth
    result = {"square": e**2, "absolute": np.abs(e), "error": e}
    if climatology is not None:
        ours, theirs = forecast - climatology, truth - climatology
        result |= {"product": ours * theirs, "forecast_square": ours**2, "truth_square": theirs**2}
    if members is not None:
        factor = mean_variance_factor(forecast, members)
        variance = factor * members.var(0, ddof=1)
        half = interval_half_width(len(members), factor) * members.std(0, ddof=1)
        inside = np.abs(e) <= half
        return result | {"crps": _crps(members, truth), "variance": variance, "inside": inside}
    if error is None:
        return result
    from scipy.special import ndtri

    inside = np.abs(e) <= ndtri((1 + COVERED) / 2) * error
    return result | {"crps": _crps_gaussian(e, error), "variance": error**2, "inside": inside}


def scores(mean: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scores from weighted means of `terms` over the same cells.

    `skill` is 1 − Σe² / Σ(truth − climatology)²; `anomaly_correlation` is not centred;
    `spread_skill` is 1 for a perfect ensemble and above 1 for an overdispersive one.

    Args:
        mean: {name of a term: (...)}.

    Returns:
        {name of a score: (...)}, NaN where a ratio is undefined, such as the anomaly correlation
        of climatology itself.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        rmse = np.sqrt(mean["square"])
        result = {"rmse": rmse, "mae": mean["absolute"], "bias": mean["error"]}
        if "truth_square" in mean:
            power = np.sqrt(mean["forecast_square"] * mean["truth_square"])
            result["skill"] = 1 - mean["square"] / mean["truth_square"]
            result["anomaly_correlation"] = mean["product"] / power
        if "variance" in mean:
            result["crps"] = mean["crps"]
            result["spread"] = np.sqrt(mean["variance"])
            result["spread_skill"] = result["spread"] / rmse
            result["coverage"] = mean["inside"]
    return result


def ensemble_scores(
    members: xr.DataArray, truth: xr.DataArray, where: xr.DataArray
) -> dict[str, float]:
    """Scores of members and of their mean, with equal weights for all cells.

    Args:
        members: (…, member), M >= 2.
        truth: (…), in the same unit.
        where: (…), bool; only these cells count.

    Returns:
        rmse, mae, bias and crps in the field's unit; spread, spread_skill and coverage.
    """
    cells = where.transpose(*truth.dims).values
    drawn = members.transpose("member", *truth.dims).values[:, cells]
    quantities = terms(drawn.mean(0), truth.values[cells], members=drawn)
    means = {name: value.mean(dtype=float) for name, value in quantities.items()}
    return {name: float(value) for name, value in scores(means).items()}


def _crps(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Fair CRPS of members (M, ...)."""
    number = len(members)
    error = np.abs(members - truth).mean(0)
    # Σ |x_i − x_j| over pairs, from sorted members, without M² differences.
    order = (2 * np.arange(1, number + 1) - number - 1).astype(members.dtype)
    return error - np.tensordot(order, np.sort(members, 0), 1) / (number * (number - 1))


def _crps_gaussian(e: np.ndarray, error: np.ndarray) -> np.ndarray:
    """CRPS of a Gaussian forecast, given its error and standard deviation."""
    from scipy.special import ndtr

    error = np.maximum(error, TINY)
    z = e / error
    density = np.exp(-0.5 * z**2) * np.sqrt(2 / np.pi)
    return e * (2 * ndtr(z) - 1) + error * (density - 1 / np.sqrt(np.pi))


def psnr(forecast: np.ndarray, truth: np.ndarray, where: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB; the peak is the range of the truth.

    Args:
        forecast: (...).
        truth: (...).
        where: (...), bool; only these cells count.

    Returns:
        The ratio, infinite for a perfect forecast.
    """
    forecast, truth = forecast[where], truth[where]
    with np.errstate(divide="ignore"):
        return float(20 * np.log10(np.ptp(truth) / np.sqrt(((forecast - truth) ** 2).mean())))


def ssim(forecast: np.ndarray, truth: np.ndarray, where: np.ndarray) -> float:
    """Mean structural similarity within an 11×11 Gaussian window.

    Land is the mean of the truth in both fields, so coasts add no difference.

    Args:
        forecast: (..., H, W).
        truth: (..., H, W), NaN on land.
        where: (..., H, W), bool; the index is averaged over these cells.
    """
    from scipy.ndimage import gaussian_filter1d

    peak, middle = np.ptp(truth[where]), truth[where].mean()
    valid = np.isfinite(truth) & np.isfinite(forecast)
    # One matrix per axis blurs a stack of small fields several times faster than a filter; single
    # precision is enough for anomalies from the middle.
    down, across = (
        gaussian_filter1d(np.eye(size, dtype=np.float32), WINDOW, axis=0, truncate=3.5)
        for size in truth.shape[-2:]
    )

    def blur(field: np.ndarray) -> np.ndarray:
        return down @ field @ across.T

    x, y = (np.where(valid, field - middle, 0).astype(np.float32) for field in (forecast, truth))
    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + middle, mean_y + middle
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    index = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    index /= (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return float(index[where].mean())
