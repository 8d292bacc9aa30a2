"""Every score against a loop, and fair CRPS against the score of a Gaussian."""

import math

import numpy as np
import pytest

from ocean_lib import metrics

SHAPE = (3, 4, 9, 11)


@pytest.fixture(scope="module")
def case():
    """Forecast, truth, members, cells that count, weights; garbage where nothing counts."""
    rng = np.random.default_rng(0)
    truth = rng.standard_normal(SHAPE)
    members = truth + 0.3 + 0.7 * rng.standard_normal((7, *SHAPE))
    where = rng.random(SHAPE) < 0.6
    where[1, 2] = False  # one level of land
    truth, members = np.where(where, truth, np.nan), np.where(where, members, 1e9)
    weights = np.cos(np.deg2rad(np.linspace(30, 60, 9)))[:, None]
    return members.mean(0), truth, members, where, weights


def loop(value, where, weights):
    """Weighted mean over the cells that count, one by one."""
    weights = np.broadcast_to(weights, where.shape)
    above = below = 0.0
    for index in np.ndindex(where.shape):
        if where[index]:
            above += weights[index] * value(index)
            below += weights[index]
    return above / below if below else math.nan


# Means over cells


def test_deterministic_scores_equal_a_loop(case):
    forecast, truth, _, where, weights = case
    for w in (1.0, weights):

        def error(i):
            return forecast[i] - truth[i]

        expected = {
            "rmse": math.sqrt(loop(lambda i: error(i) ** 2, where, w)),
            "mae": loop(lambda i: abs(error(i)), where, w),
            "bias": loop(error, where, w),
        }
        for name, value in expected.items():
            got = getattr(metrics, name)(forecast, truth, where, w)
            assert got == pytest.approx(value, rel=1e-12), name
    assert metrics.bias(forecast, truth, where) > 0.2  # forecast minus truth


def test_scores_along_an_axis_equal_each_slice(case):
    forecast, truth, members, where, weights = case
    axis = (0, 2, 3)
    scores = {
        "rmse": metrics.rmse(forecast, truth, where, weights, axis),
        "mae": metrics.mae(forecast, truth, where, weights, axis),
        "bias": metrics.bias(forecast, truth, where, weights, axis),
        "crps": metrics.crps(members, truth, where, weights, axis),
        "spread": metrics.spread(members, where, weights, axis),
    }
    for level in range(4):
        part = (slice(None), level)
        f, t, m, w = forecast[part], truth[part], members[:, :, level], where[part]
        assert scores["rmse"][level] == pytest.approx(metrics.rmse(f, t, w, weights))
        assert scores["mae"][level] == pytest.approx(metrics.mae(f, t, w, weights))
        assert scores["bias"][level] == pytest.approx(metrics.bias(f, t, w, weights))
        assert scores["crps"][level] == pytest.approx(metrics.crps(m, t, w, weights))
        assert scores["spread"][level] == pytest.approx(metrics.spread(m, w, weights))


def test_a_perfect_forecast_has_no_error(case):
    _, truth, _, where, _ = case
    for name in ("rmse", "mae", "bias"):
        assert getattr(metrics, name)(truth, truth, where) == 0
    assert metrics.crps(np.stack([truth] * 3), truth, where) == 0


def test_nothing_that_counts_gives_nan(case):
    forecast, truth, members, where, _ = case
    nowhere = np.zeros_like(where)
    for name in ("rmse", "mae", "bias"):
        assert math.isnan(getattr(metrics, name)(forecast, truth, nowhere))
    assert math.isnan(metrics.crps(members, truth, nowhere))
    assert math.isnan(metrics.spread(members, nowhere))
    by_level = metrics.rmse(forecast, truth, where, axis=(2, 3))
    assert np.argwhere(np.isnan(by_level)).tolist() == [[1, 2]]


def test_a_weight_of_two_counts_a_cell_twice():
    forecast, truth, where = np.array([1.0, 4.0]), np.zeros(2), np.ones(2, bool)
    assert metrics.mae(forecast, truth, where, np.array([2.0, 1.0])) == pytest.approx(2)
    assert metrics.rmse(forecast, truth, where, np.array([2.0, 1.0])) == pytest.approx(6**0.5)


# Ensembles


@pytest.mark.parametrize("number", [2, 3, 8])
def test_fair_crps_equals_the_double_loop_over_pairs(number):
    rng = np.random.default_rng(number)
    members, truth = rng.standard_normal((number, 5)), rng.standard_normal(5)
    expected = []
    for cell in range(5):
        x, y = members[:, cell], truth[cell]
        pairs = sum(abs(a - b) for a in x for b in x)
        error = sum(abs(a - y) for a in x) / number
        expected.append(error - pairs / (2 * number * (number - 1)))
    got = metrics.pointwise(members.mean(0), truth, members)["crps"]
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    everywhere = np.ones(5, bool)
    assert metrics.crps(members, truth, everywhere) == pytest.approx(np.mean(expected))


def test_fair_crps_is_unbiased_whatever_the_number_of_members():
    """Its mean over Gaussian ensembles is the CRPS of the Gaussian (Gneiting & Raftery 2007)."""
    rng = np.random.default_rng(5)
    cells, mean, deviation, y = 200_000, 0.3, 1.4, 1.0
    z = (y - mean) / deviation
    phi, capital = math.exp(-z * z / 2) / math.sqrt(2 * math.pi), (1 + math.erf(z / 2**0.5)) / 2
    exact = deviation * (z * (2 * capital - 1) + 2 * phi - 1 / math.sqrt(math.pi))
    where, truth = np.ones(cells, bool), np.full(cells, y)
    for number in (2, 5):
        members = mean + deviation * rng.standard_normal((number, cells))
        assert metrics.crps(members, truth, where) == pytest.approx(exact, abs=0.008)
        # The same without fairness would punish few members by this much.
        assert deviation / math.sqrt(math.pi) / number > 0.1


def test_fair_crps_prefers_neither_wide_nor_narrow_ensembles():
    rng = np.random.default_rng(6)
    truth, where = rng.standard_normal(60_000), np.ones(60_000, bool)
    scores = [
        metrics.crps(width * rng.standard_normal((4, 60_000)), truth, where)
        for width in (0.6, 1.0, 1.6)
    ]
    assert scores[1] == min(scores)


def test_spread_is_the_root_of_the_mean_unbiased_variance(case):
    _, _, members, where, weights = case

    def variance(i):
        x = members[(slice(None), *i)]
        return sum((x - x.mean()) ** 2) / (len(x) - 1)

    expected = math.sqrt(loop(variance, where, weights))
    assert metrics.spread(members, where, weights) == pytest.approx(expected, rel=1e-9)


def test_a_single_member_is_refused():
    with pytest.raises(ValueError, match="1 member .*at least 2"):
        metrics.crps(np.zeros((1, 3)), np.zeros(3), np.ones(3, bool))


def test_pointwise_values_average_to_the_scores(case):
    forecast, truth, members, where, _ = case
    values = metrics.pointwise(forecast, truth, members)
    assert set(values) == {"rmse", "mae", "bias", "crps", "spread"}
    means = {name: value[where].mean() for name, value in values.items()}
    scores = {
        "rmse": metrics.rmse(forecast, truth, where),
        "mae": metrics.mae(forecast, truth, where),
        "bias": metrics.bias(forecast, truth, where),
        "crps": metrics.crps(members, truth, where),
        "spread": metrics.spread(members, where),
    }
    for name, score in scores.items():
        mean = math.sqrt(means[name]) if name in metrics.ROOTED else means[name]
        assert score == pytest.approx(mean), name


def test_without_members_the_crps_is_the_absolute_error(case):
    forecast, truth, _, where, _ = case
    values = metrics.pointwise(forecast, truth)
    assert set(values) == {"rmse", "mae", "bias", "crps"}
    np.testing.assert_array_equal(values["crps"][where], values["mae"][where])


# As image work has them


def test_psnr_is_over_the_range_of_the_truth_that_counts(case):
    forecast, truth, _, where, _ = case
    counted = [(forecast[i], truth[i]) for i in np.ndindex(SHAPE) if where[i]]
    peak = max(t for _, t in counted) - min(t for _, t in counted)
    square = sum((f - t) ** 2 for f, t in counted) / len(counted)
    assert metrics.psnr(forecast, truth, where) == pytest.approx(10 * math.log10(peak**2 / square))


def naive_ssim(forecast, truth, where):
    """Wang et al. 2004, window by window: 11×11 Gaussian of 1.5 cells, edges mirrored."""
    reach = np.arange(-5, 6)
    window = np.exp(-np.add.outer(reach**2, reach**2) / (2 * 1.5**2))
    window /= window.sum()
    peak, middle = np.ptp(truth[where]), truth[where].mean()
    valid = np.isfinite(truth) & np.isfinite(forecast)
    total = []
    for field in np.ndindex(truth.shape[:-2]):
        x, y = (
            np.pad(np.where(valid[field], part[field], middle), 5, mode="symmetric")
            for part in (forecast, truth)
        )
        for row, column in np.argwhere(where[field]):
            a, b = (part[row : row + 11, column : column + 11] for part in (x, y))
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a = (window * (a - mean_a) ** 2).sum()
            var_b = (window * (b - mean_b) ** 2).sum()
            both = (window * (a - mean_a) * (b - mean_b)).sum()
            c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
            total.append(
                (2 * mean_a * mean_b + c1)
                * (2 * both + c2)
                / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
            )
    return np.mean(total)


@pytest.mark.parametrize("shape", [(13, 17), (2, 12, 19), (2, 2, 5, 30)])
def test_ssim_equals_a_loop_over_windows(shape):
    rng = np.random.default_rng(1)
    truth = rng.standard_normal(shape).cumsum(-1) + 12
    forecast = truth + 0.5 * rng.standard_normal(shape)
    truth[..., :3, :4] = np.nan  # land
    where = np.isfinite(truth) & (rng.random(shape) < 0.7)
    expected = naive_ssim(forecast, truth, where)
    assert 0.2 < expected < 0.99
    assert metrics.ssim(forecast, truth, where) == pytest.approx(expected, abs=1e-9)


def test_ssim_of_the_truth_is_one_and_land_does_not_lower_it():
    rng = np.random.default_rng(2)
    truth = rng.standard_normal((20, 20)).cumsum(0) + 10
    land = truth.copy()
    land[5:9, 5:9] = np.nan
    assert metrics.ssim(truth, truth, np.ones_like(truth, bool)) == pytest.approx(1)
    assert metrics.ssim(land, land, np.isfinite(land)) == pytest.approx(1)
    assert metrics.ssim(np.where(np.isnan(land), -99, land), land, np.isfinite(land)) == 1
