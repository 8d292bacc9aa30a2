"""Decorrelation against known fields, blocks against a loop, intervals against the truth."""

import numpy as np
import pytest
from scipy.signal import lfilter

from ocean_lib.scores import bootstrap


def autoregression(noise, length, axis):
    """Noise of variance 1 with autocorrelation exp(-lag / length) along an axis."""
    fold = np.exp(-1 / length)
    noise = np.moveaxis(noise, axis, 0) * np.sqrt(1 - fold**2)
    noise[0] /= np.sqrt(1 - fold**2)
    return np.moveaxis(lfilter([1], [1, -fold], noise, 0), 0, axis)


# --- decorrelation ----------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [(1.5, 4.0, 7.0), (6.0, 2.0, 3.3)])
@pytest.mark.parametrize("hidden", [1.0, 0.3])
def test_decorrelation_is_that_of_an_autoregression(lengths, hidden):
    rng = np.random.default_rng(0)
    error = rng.standard_normal((60, 2, 70, 90))
    shape = error.shape
    for axis, length in zip((0, 2, 3), lengths):
        error = autoregression(error, length, axis)
    where = rng.random(shape) < hidden
    where[:, :, :20, :30] = False  # land
    error = np.where(where, error * 0.01 + 5.0, np.nan)  # a mean error is no chance
    assert bootstrap.decorrelation(error, where) == pytest.approx(lengths, rel=0.15)


def test_independent_errors_decorrelate_within_a_cell():
    rng = np.random.default_rng(1)
    error = rng.standard_normal((20, 1, 30, 31))
    assert bootstrap.decorrelation(error, np.ones(error.shape, bool)) == (1, 1, 1)


def test_errors_that_stay_alike_have_the_whole_axis():
    rng = np.random.default_rng(2)
    error = np.broadcast_to(rng.standard_normal((40, 1, 1, 1)), (40, 2, 5, 7))
    assert bootstrap.decorrelation(error, np.ones(error.shape, bool)) == (1, 5, 7)
    pattern = np.broadcast_to(rng.standard_normal((1, 1, 40, 41)), (6, 1, 40, 41))
    assert bootstrap.decorrelation(pattern, np.ones(pattern.shape, bool)) == (6, 1, 1)


def test_no_errors_and_no_cells_decorrelate_at_once():
    error, where = np.zeros((3, 1, 4, 5)), np.ones((3, 1, 4, 5), bool)
    assert bootstrap.decorrelation(error, where) == (1, 1, 1)
    assert bootstrap.decorrelation(error * np.nan, ~where) == (1, 1, 1)


# --- blocks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "lengths", "least"),
    [
        ((7, 11, 13), (1.0, 2.2, 3.0), (1, 1, 1)),
        ((48, 1, 40), (1.2, 1.0, 4.0), (6, 1, 99)),
        ((5, 9, 4), (9.0, 1.0, 1.0), (1, 1, 1)),
        ((1, 1, 1), (1.0, 1.0, 1.0), (1, 1, 1)),
    ],
)
def test_blocks_equal_a_loop(shape, lengths, least):
    got = bootstrap.block_numbers(shape, lengths, least)
    assert got.shape == shape and np.issubdtype(got.dtype, np.integer)
    along = []
    for size, length, lower in zip(shape, lengths, least):
        block = min(max(int(np.ceil(2 * length)), lower), size)
        number, starts = [], list(range(0, size - block + 1, block))
        for cell in range(size):
            number.append(sum(cell >= start for start in starts) - 1)
        along.append(number)
    names = {}
    for cell in np.ndindex(shape):
        key = tuple(along[axis][cell[axis]] for axis in range(3))
        assert got[cell] == names.setdefault(key, got[cell])
    assert sorted(names.values()) == list(range(len(names)))


def test_no_block_is_shorter_than_asked_and_there_are_not_too_many():
    for shape, lengths in (((18, 96, 128), (1, 1, 1)), ((30, 50, 60), (1.4, 2.6, 5.1))):
        number = bootstrap.block_numbers(shape, lengths)
        assert number.max() + 1 <= bootstrap.MAX_BLOCKS
        for axis in range(3):
            line = np.moveaxis(number, axis, 0)[:, 0, 0]
            _, counts = np.unique(line, return_counts=True)
            assert counts.min() >= min(2 * lengths[axis], shape[axis])


# --- bootstrap --------------------------------------------------------------------------------


def interval(value, lengths):
    block = bootstrap.block_numbers(value.shape, lengths).ravel()
    sums, weights = np.bincount(block, value.ravel()), np.bincount(block)
    wider = bootstrap.widening(value.shape, lengths)
    return bootstrap.interval(bootstrap.bootstrap(sums[None], weights)[0], len(sums), wider)


def test_intervals_of_correlated_errors_hold_the_truth_nine_times_in_ten():
    """For the mean square, which is 1, of errors equal over 4 steps and 3 cells."""
    rng = np.random.default_rng(3)
    held, naive = 0, 0
    for _ in range(150):
        error = rng.standard_normal((60, 24, 24))
        for axis, length in ((0, 4.0), (1, 3.0), (2, 3.0)):
            error = autoregression(error, length, axis)
        lengths = bootstrap.decorrelation(error[:, None], np.ones(error[:, None].shape, bool))
        low, high = interval(error**2, lengths)
        held += low <= 1 <= high
        deviation = (error**2).std() / error.size**0.5  # what a bootstrap of cells comes to
        naive += abs((error**2).mean() - 1) <= 1.645 * deviation
    assert 0.86 <= held / 150 <= 0.97
    assert naive / 150 < 0.6


def test_the_widening_is_what_correlations_between_blocks_amount_to():
    """The variance of a mean of squares, summed over all pairs of cells, and that from blocks."""
    size, block = 240, 12
    lag = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    for length in (3.0, 5.5):
        covariance = 2 * np.exp(-2 * (lag / length) ** 2)
        within = covariance * (np.arange(size) // block == np.arange(size)[:, None] // block)
        expected = np.sqrt(covariance.sum() / within.sum())
        # Blocks of at least 12 cells along one axis, one cell along the others.
        got = bootstrap.widening((size, 1, 1), (length, 1.0, 1.0), (block, 1, 1))
        assert bootstrap.block_size((size, 1, 1), (length, 1.0, 1.0), (block, 1, 1)) == (12, 1, 1)
        assert got == pytest.approx(expected, rel=0.02)
    assert bootstrap.widening((size, 1, 1), (200.0, 1.0, 1.0)) == 1  # one block
    draws = np.random.default_rng(0).standard_normal(1000)
    low, high = bootstrap.interval(draws, 20)
    wide = bootstrap.interval(draws, 20, 1.5)
    assert wide[1] - wide[0] == pytest.approx(1.5 * (high - low))


def test_the_bootstrap_of_independent_blocks_is_statistics():
    values = np.random.default_rng(4).standard_normal(300)
    draws = bootstrap.bootstrap(np.stack([values, 2 * values]), np.ones(300))
    assert draws.shape == (2, 1000)
    np.testing.assert_allclose(draws[1], 2 * draws[0])
    low, high = bootstrap.interval(draws[0], 300)
    assert high - low == pytest.approx(2 * 1.645 * values.std() / 300**0.5, rel=0.1)
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.02)
    # A draw is a ratio of sums: a cell that counts twice counts twice.
    weights = np.r_[np.full(150, 2.0), np.ones(150)]
    weighted = bootstrap.bootstrap((values * weights)[None], weights)
    centre = (values * weights).sum() / weights.sum()
    assert np.median(weighted) == pytest.approx(centre, abs=0.02)


@pytest.mark.parametrize(("blocks", "claimed"), [(9, False), (10, True)])
def test_too_few_blocks_have_no_interval(blocks, claimed):
    weights = np.r_[np.ones(blocks), np.zeros(5)]  # blocks of land are none
    assert (bootstrap.bootstrap(weights[None], weights) is not None) == claimed


def test_profiles_of_many_values_are_resampled_whole():
    """200 profiles of 1 to 30 values that share an error: as uncertain as 200 errors."""
    rng = np.random.default_rng(5)
    count = rng.integers(1, 31, 200)
    error = np.repeat(rng.standard_normal(200), count)
    profile = np.repeat(np.arange(200), count)
    sums = np.stack([np.bincount(profile, error), np.bincount(profile, error**2)])
    draws = bootstrap.bootstrap(sums, np.bincount(profile))
    low, high = bootstrap.interval(draws[0], 200)
    assert low < error.mean() < high
    expected = ((sums[0] - error.mean() * count) ** 2).sum() ** 0.5 / count.sum()  # of a ratio
    assert high - low == pytest.approx(2 * 1.645 * expected, rel=0.1)
    assert (draws[1] > 0).all()
