"""How certain a score is: a paired block bootstrap.

Neighbouring errors are correlated, so cells are not independent samples.  `decorrelation` measures
the correlation lengths in time and space; `block_numbers` cuts the domain into blocks at least
twice as long; `bootstrap` resamples blocks with replacement and computes a score from each
resample; `interval` takes the percentiles.  Two methods are compared on the same resamples.  Other
independent groups, such as profiles, are resampled in the same way.  With fewer than
`MIN_BLOCKS` groups there is no interval.

Neighbouring blocks remain correlated, so that their scatter says too little about that of the mean.
`block_size` therefore enlarges blocks until there are at most `MAX_BLOCKS`, and `widening` is the
factor that is still missing from the width of an interval.  `benchmarks/coverage.py` measures how
often the intervals contain the truth.

References: Künsch 1989, doi 10.1214/aos/1176347265 (block bootstrap); Wilks 1997,
doi 10.1175/1520-0442(1997)010<0065:RHTFAF>2.0.CO;2 (fields, common resamples for both methods).
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

__all__ = ["block_numbers", "block_size", "bootstrap", "decorrelation", "interval", "widening"]


Sizes = tuple[int, int, int]  # along time, rows and columns
MIN_BLOCKS = 10  # with fewer there is no interval
MAX_BLOCKS = 30  # with more, blocks are enlarged, which makes them less correlated
RESAMPLES = 1000
E_FOLDING = np.exp(-1)


def decorrelation(error: np.ndarray, where: np.ndarray) -> tuple[float, float, float]:
    """Lag at which the autocorrelation of errors falls to 1/e, along time, rows and columns.

    All levels enter one autocorrelation, each weighted by its variance, as they enter a score that
    sums over them.  Each level's bias is removed first.

    Args:
        error: (T, D, H, W).
        where: (T, D, H, W), bool; only these cells count.

    Returns:
        (steps, rows, columns), at least 1, by linear interpolation between lags; the length of the
        axis where the autocorrelation stays above 1/e.
    """
    where = np.asarray(where, bool)
    count = where.sum((0, 2, 3), keepdims=True)
    error = np.where(where, error, 0.0)
    error = np.where(where, error - error.sum((0, 2, 3), keepdims=True) / np.maximum(count, 1), 0)
    error = error.astype(np.float32)
    variance = np.square(error, dtype=float).sum() / max(count.sum(), 1)
    if not variance > 0:
        return 1.0, 1.0, 1.0
    time, rows, columns = (
        _decorrelation_along(np.moveaxis(error, axis, 0), np.moveaxis(where, axis, 0), variance)
        for axis in (0, 2, 3)
    )
    return time, rows, columns


def _decorrelation_along(error: np.ndarray, where: np.ndarray, variance: float) -> float:
    """Decorrelation lag along the first axis."""
    previous_lag, previous = 0, 1.0
    for lag in range(1, len(error)):
        pairs = np.count_nonzero(where[lag:] & where[:-lag])
        if not pairs:
            continue
        correlation = (error[lag:] * error[:-lag]).sum(dtype=float) / pairs / variance
        if correlation < E_FOLDING:
            fraction = (previous - E_FOLDING) / (previous - correlation)
            return float(max(1.0, previous_lag + (lag - previous_lag) * fraction))
        previous_lag, previous = lag, correlation
    return float(len(error))


def block_size(shape: Sizes, lengths: Sequence[float], least: Sizes = (1, 1, 1)) -> Sizes:
    """Size of a block in steps, rows and columns.

    At least twice the decorrelation lengths, and enlarged in proportion until there are at most
    `MAX_BLOCKS` blocks.

    Args:
        shape: (T, H, W); no block is larger.
        lengths: decorrelation in steps, rows and columns.
        least: lower bound on the size in steps, rows and columns.
    """
    size = np.maximum(np.ceil(2 * np.asarray(lengths, float)), least)
    while True:
        rounded = np.minimum(np.ceil(size), shape).astype(int)
        if np.prod(np.asarray(shape) // rounded) <= MAX_BLOCKS:
            time, rows, columns = rounded.tolist()
            return time, rows, columns
        size = size * 1.1


def block_numbers(shape: Sizes, lengths: Sequence[float], least: Sizes = (1, 1, 1)) -> np.ndarray:
    """Block number of every cell: (T, H, W), int, from 0.

    Blocks have the size that `block_size` gives; a remainder at the end of an axis joins the last
    block.

    Args:
        shape: (T, H, W).
        lengths: decorrelation in steps, rows and columns.
        least: lower bound on the size of a block in steps, rows and columns.
    """
    number = np.zeros((1, 1, 1), int)
    for axis, (size, block) in enumerate(zip(shape, block_size(shape, lengths, least))):
        count = size // block
        along = np.minimum(np.arange(size) // block, count - 1)
        number = number * count + np.expand_dims(along, [k for k in range(3) if k != axis])
    return number


def widening(shape: Sizes, lengths: Sequence[float], least: Sizes = (1, 1, 1)) -> float:
    """Ratio of the standard deviation of a mean square to what the scatter of blocks says.

    Squares of Gaussian errors with the correlation exp(-(d/L)²) have that of exp(-2(d/L)²).  Along
    an axis a block of length b holds the share 1 - L / (b sqrt(2 π)) of the sum of these
    correlations; the rest lies between blocks.  An axis with one block lacks nothing.

    Args:
        shape: (T, H, W).
        lengths: decorrelation L in steps, rows and columns.
        least: lower bound on the size of a block in steps, rows and columns.
    """
    variance = 1.0
    for size, length, block in zip(shape, lengths, block_size(shape, lengths, least)):
        if size // block > 1:
            variance *= 1 - length / (block * np.sqrt(2 * np.pi))
    return float(variance**-0.5)


def _resample(groups: int) -> np.ndarray:
    """(RESAMPLES, groups): how often a resample draws each group."""
    generator = np.random.default_rng(0)
    return generator.multinomial(groups, np.full(groups, 1 / groups), RESAMPLES).astype(float)


# Only for blocks: draws of more groups, such as profiles, are too large to keep.
_resample_blocks = lru_cache(maxsize=16)(_resample)


def bootstrap(sums: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    """Weighted means from resampled groups.

    Args:
        sums: (K, groups), the weighted sums of K quantities in every group (block, profile).
        weights: (groups,), the sum of the weights in every group; groups of weight 0 are dropped.

    Returns:
        (K, RESAMPLES), None with fewer than `MIN_BLOCKS` groups.  Equal numbers of groups always
        get the same resamples.
    """
    present = weights > 0
    groups = int(present.sum())
    if groups < MIN_BLOCKS:
        return None
    draws = _resample_blocks(groups) if groups <= MAX_BLOCKS else _resample(groups)
    return (sums[:, present] @ draws.T) / (draws @ weights[present])


def interval(draws: np.ndarray, number: int, widening: float = 1.0) -> tuple[float, float]:
    """The 90 % interval of a score; NaN if a resample is NaN.

    The percentiles lie outside 5 and 95 by as much as Student's t and the lost degree of freedom
    require with few groups.

    Args:
        draws: (RESAMPLES,), the score of every resample of `bootstrap`.
        number: of groups that were resampled, at least 2.
        widening: factor on the distance of the limits from the median, for blocks that are
            correlated.

    Reference: Hesterberg 2015, doi 10.1080/00031305.2015.1089789 (expanded percentile interval).
    """
    from scipy.special import ndtr, stdtrit

    below = ndtr(np.sqrt(number / (number - 1)) * stdtrit(number - 1, 0.05))
    low, middle, high = np.quantile(draws, [below, 0.5, 1 - below])
    return float(middle + widening * (low - middle)), float(middle + widening * (high - middle))
