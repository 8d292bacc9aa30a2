"""Every score against a loop, scipy, xskillscore or a Gaussian, with land."""

import math

import numpy as np
import pytest
import scipy.stats
import xarray as xr
import xskillscore

from ocean_lib.scores import metrics

SHAPE = (3, 4, 9, 11)
DIMS = ("time", "depth", "latitude", "longitude")
AREA = xr.DataArray(np.cos(np.deg2rad(np.linspace(30, 60, 9))), dims="latitude")


@pytest.fixture(scope="module")
def case():
    """Members, truth, climatology, error, cells that count; garbage where nothing counts."""
    rng = np.random.default_rng(0)
    truth = rng.standard_normal(SHAPE)
    members = truth + 0.3 + 0.7 * rng.standard_normal((7, *SHAPE))
    where = rng.random(SHAPE) < 0.6
    where[1, 2] = False  # one level of land
    truth, members = np.where(where, truth, np.nan), np.where(where, members, 1e9)
    return {
        "members": members,
        "truth": truth,
        "climatology": 0.2 * rng.standard_normal(SHAPE),
        "error": rng.uniform(0.2, 2, SHAPE),
        "where": where,
    }


def labelled(case):
    """The same as DataArrays."""
    return {
        name: xr.DataArray(value, dims=("member", *DIMS) if name == "members" else DIMS)
        for name, value in case.items()
    }


def kernel_terms(case, **choices):
    """`metrics.terms` of the members' mean at the cells that count."""
    forecast, truth, climatology = case["members"].mean(0), case["truth"], case["climatology"]
    where = case["where"]
    given = {name: case[name][..., where] for name in choices.get("given", ())}
    return metrics.terms(forecast[where], truth[where], climatology[where], **given)


def looped(case, keep, weight):
    """Every score over the cells of `keep`, one cell at a time, and scipy's distributions."""
    total = dict.fromkeys(
        ("w", "e2", "e1", "e", "ft", "ff", "tt", "crps", "gauss", "var", "in"), 0.0
    )
    for i in zip(*np.nonzero(keep)):
        x, y, c = case["members"][(slice(None), *i)], case["truth"][i], case["climatology"][i]
        w, number, sigma = weight[i[2]], len(x), case["error"][i]
        f, s = sum(x) / number, math.sqrt(sum((x - sum(x) / number) ** 2) / (number - 1))
        pairs = sum(abs(a - b) for a in x for b in x) / (2 * number * (number - 1))
        z = (y - f) / sigma
        low, high = scipy.stats.t.interval(0.9, number - 1, f, s * math.sqrt(1 + 1 / number))
        for name, value in {
            "w": 1, "e2": (f - y) ** 2, "e1": abs(f - y), "e": f - y,
            "ft": (f - c) * (y - c), "ff": (f - c) ** 2, "tt": (y - c) ** 2,
            "crps": sum(abs(x - y)) / number - pairs,
            "gauss": sigma * (z * (2 * scipy.stats.norm.cdf(z) - 1) + 2 * scipy.stats.norm.pdf(z)
                              - 1 / math.sqrt(math.pi)),
            "var": s**2 * (number + 1) / number, "in": low <= y <= high,
        }.items():  # fmt: skip
            total[name] += w * value
    m = {name: value / total["w"] for name, value in total.items()}
    return {
        "rmse": math.sqrt(m["e2"]), "mae": m["e1"], "bias": m["e"], "skill": 1 - m["e2"] / m["tt"],
        "anomaly_correlation": m["ft"] / math.sqrt(m["ff"] * m["tt"]), "crps": m["crps"],
        "crps_gaussian": m["gauss"], "spread": math.sqrt(m["var"]),
        "spread_skill": math.sqrt(m["var"] / m["e2"]), "coverage": m["in"],
    }  # fmt: skip


# --- against a loop and xskillscore -----------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_equal_a_loop(case, weighted):
    weight = AREA.values if weighted else np.ones(9)
    where, members, error = case["where"], case["members"], case["error"]
    expected = looped(case, where, weight)
    area = np.broadcast_to(weight[:, None], SHAPE)[where]

    def weighted_scores(*given):
        terms = kernel_terms(case, given=given)
        return metrics.scores({k: (v * area).sum() / area.sum() for k, v in terms.items()})

    scores = weighted_scores("members", "error")  # members take precedence
    assert set(scores) == set(expected) - {"crps_gaussian"}
    for name, value in scores.items():
        assert value == pytest.approx(expected[name], rel=1e-9), name
    scores = weighted_scores("error")
    assert scores["crps"] == pytest.approx(expected["crps_gaussian"], rel=1e-9)
    spread = math.sqrt((area * error[where] ** 2).sum() / area.sum())
    assert scores["spread"] == pytest.approx(spread)
    half = scipy.stats.norm.ppf(0.95) * error
    inside = (abs(members.mean(0) - case["truth"]) <= half)[where]
    assert scores["coverage"] == pytest.approx((area * inside).sum() / area.sum())


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_those_of_xskillscore(case, weighted):
    arrays = labelled(case)
    f, y, c = (arrays[name].where(arrays["where"]) for name in ("members", "truth", "climatology"))
    f, choices = f.mean("member", skipna=False), {"dim": list(DIMS), "skipna": True}
    weights = AREA.broadcast_like(y) if weighted else xr.ones_like(y)
    area = weights.values[case["where"]]
    terms = kernel_terms(case, given=["error"])
    scores = metrics.scores({k: (v * area).sum() / area.sum() for k, v in terms.items()})
    for ours, theirs in (("rmse", "rmse"), ("mae", "mae"), ("bias", "me")):
        expected = getattr(xskillscore, theirs)(f, y, weights=weights, **choices)
        assert scores[ours] == pytest.approx(float(expected)), ours
    square, normal = (xskillscore.mse(one, y, weights=weights, **choices) for one in (f, c))
    assert scores["skill"] == pytest.approx(1 - float(square / normal))
    expected = xskillscore.crps_gaussian(y, f, arrays["error"], dim=[]).values[case["where"]]
    np.testing.assert_allclose(terms["crps"], expected)


def test_ensemble_scores_are_those_of_xskillscore_and_of_a_loop(case):
    arrays = labelled(case)
    members, truth, where = (arrays[name] for name in ("members", "truth", "where"))
    turned = where.transpose("longitude", ...)
    scores = metrics.ensemble_scores(members.transpose(..., "member"), truth, turned)
    expected = looped(case, case["where"], np.ones(9))
    names = ("rmse", "mae", "bias", "crps", "spread", "spread_skill", "coverage")
    assert scores == pytest.approx({name: expected[name] for name in names}, rel=1e-9)
    mean = members.mean("member").where(where)
    assert scores["rmse"] == pytest.approx(float(xskillscore.rmse(mean, truth, skipna=True)))
    narrow = {name: value[..., 1:] for name, value in case.items()}
    changed = looped(narrow, narrow["where"], np.ones(9))["rmse"]
    part = [array.isel(longitude=slice(1, None)) for array in (members, truth, where)]
    assert metrics.ensemble_scores(*part)["rmse"] == pytest.approx(changed, rel=1e-9)


# --- ensembles --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2, 3, 8])
def test_fair_crps_corrects_that_of_the_empirical_distribution(number):
    """xskillscore divides the sum over pairs by M², the fair CRPS by M(M − 1)."""
    rng = np.random.default_rng(number)
    members, truth = rng.standard_normal((number, 50)), rng.standard_normal(50)
    drawn = xr.DataArray(members, dims=("member", "cell"))
    unfair = xskillscore.crps_ensemble(xr.DataArray(truth, dims="cell"), drawn, dim=[]).values
    pairs = abs(members[:, None] - members[None]).sum((0, 1)) / 2
    expected = unfair + pairs / number**2 - pairs / (number * (number - 1))
    got = metrics.terms(members.mean(0), truth, 0.0, members)["crps"]
    np.testing.assert_allclose(got, expected, rtol=1e-9)


@pytest.fixture(scope="module")
def perfect():
    """A truth that is one more draw of a Gaussian ensemble of 16, and its first 8 members."""
    rng = np.random.default_rng(1)
    centre, width = rng.standard_normal(60_000), rng.uniform(0.5, 2, 60_000)
    draws = centre + width * rng.standard_normal((17, 60_000))
    return draws[0], draws[1:], centre, width


def mean_scores(*given, **choices):
    return metrics.scores({k: v.mean() for k, v in metrics.terms(*given, **choices).items()})


@pytest.mark.parametrize("number", [2, 3, 8, 16])
def test_a_perfect_ensemble_passes_whatever_its_number(perfect, number):
    truth, members, centre, width = perfect
    members = members[:number]
    scores = mean_scores(members.mean(0), truth, 0.0, members)
    assert scores["spread_skill"] == pytest.approx(1, abs=0.02)
    assert scores["coverage"] == pytest.approx(0.9, abs=0.01)
    gaussian = mean_scores(centre, truth, 0.0, error=width)
    assert gaussian["spread_skill"] == pytest.approx(1, abs=0.02)
    assert gaussian["coverage"] == pytest.approx(0.9, abs=0.01)
    assert scores["crps"] == pytest.approx(gaussian["crps"], rel=0.01)
    # The expected CRPS of a Gaussian that is right is σ/√π.
    assert gaussian["crps"] == pytest.approx(width.mean() / math.sqrt(math.pi), rel=0.01)


@pytest.mark.parametrize("number", [2, 3, 8])
def test_a_perfect_ensemble_passes_about_a_mean_that_is_not_its_own(perfect, number):
    """As that of a first stage: it has no sampling error, so the spread is not to be larger."""
    truth, members, centre, _ = perfect
    scores = mean_scores(centre, truth, 0.0, members[:number])
    assert scores["spread_skill"] == pytest.approx(1, abs=0.02)
    assert scores["coverage"] == pytest.approx(0.9, abs=0.01)


def test_the_mean_of_the_members_is_known_whatever_its_rounding(perfect):
    _, members, centre, _ = perfect
    warm = (15 + members[:8]).astype("f4")
    own = np.round(warm.mean(0), 3)
    assert metrics.mean_variance_factor(own, warm) == pytest.approx(9 / 8)
    assert metrics.mean_variance_factor(15 + centre, warm) == 1
    assert metrics.mean_variance_factor(own + 0.2, warm) == 1  # corrected for a bias
    own[:7] = warm[:, :7] = np.nan  # land
    assert metrics.mean_variance_factor(own, warm) == pytest.approx(9 / 8)


def test_the_interval_widens_and_the_factor_grows_as_members_get_fewer():
    for number in (2, 3, 8, 400):
        factor = metrics.ensemble_variance_factor(number)
        assert factor == pytest.approx(1 + 1 / number)
        half = scipy.stats.t.interval(0.9, number - 1)[1] * math.sqrt(factor)
        assert metrics.interval_half_width(number, factor) == pytest.approx(half)
    assert half == pytest.approx(1.645, rel=0.01)


def test_a_plain_interval_of_eight_members_covers_less(perfect):
    truth, members, *_ = perfect
    members = members[:8]
    plain = abs(members.mean(0) - truth) <= 1.645 * members.std(0, ddof=1)
    assert plain.mean() == pytest.approx(0.83, abs=0.01)


def test_fair_crps_prefers_neither_wide_nor_narrow_ensembles():
    rng = np.random.default_rng(6)
    truth, draws = rng.standard_normal(60_000), rng.standard_normal((4, 60_000))
    scores = [metrics.terms(truth, truth, 0.0, w * draws)["crps"].mean() for w in (0.6, 1, 1.6)]
    assert scores[1] == min(scores)


def test_one_member_is_refused():
    one, field = np.zeros((1, 3)), np.zeros(3)
    with pytest.raises(ValueError, match="1 member .*at least 2"):
        metrics.terms(field, field, field, one)
    labels = xr.DataArray(one, dims=("member", "cell")), xr.DataArray(field, dims="cell")
    with pytest.raises(ValueError, match="1 member .*at least 2"):
        metrics.ensemble_scores(*labels, labels[1] == 0)


def test_a_certain_forecast_has_the_absolute_error_as_crps():
    rng = np.random.default_rng(2)
    forecast, truth = rng.standard_normal((2, 3, 7)).astype("f4")
    truth[0, 0] = forecast[0, 0]
    absolute = abs(forecast - truth)
    for choices in ({"error": np.zeros((3, 7), "f4")}, {"error": np.full((3, 7), 1e-9)}):
        terms = metrics.terms(forecast, truth, np.zeros((3, 7)), **choices)
        np.testing.assert_allclose(terms["crps"], absolute, atol=1e-8)
    assert metrics.terms(forecast, truth, 0.0, error=0 * truth)["inside"].sum() == 1


def test_a_forecast_without_uncertainty_has_no_crps():
    rng = np.random.default_rng(3)
    forecast, truth = rng.standard_normal((2, 50))
    terms = metrics.terms(forecast, truth, 0.0)
    assert not {"crps", "variance", "inside"} & {*terms}
    scores = metrics.scores({name: value.mean() for name, value in terms.items()})
    assert scores["mae"] == pytest.approx(abs(forecast - truth).mean()) and "crps" not in scores


def test_climatology_has_no_skill_and_no_anomaly_correlation(case):
    y, c = case["truth"][case["where"]], case["climatology"][case["where"]]
    scores = mean_scores(c, y, c)
    assert scores["skill"] == 0 and math.isnan(scores["anomaly_correlation"])
    perfect = mean_scores(y, y, c, error=np.zeros_like(y))
    assert perfect["skill"] == 1 and perfect["anomaly_correlation"] == pytest.approx(1)
    assert perfect["rmse"] == perfect["mae"] == perfect["bias"] == 0
    assert math.isnan(perfect["spread_skill"])


# --- as image work has them -------------------------------------------------------------------


def test_psnr_is_over_the_range_of_the_truth_that_counts(case):
    forecast, truth, where = case["members"][0], case["truth"], case["where"]
    counted = [(forecast[i], truth[i]) for i in np.ndindex(SHAPE) if where[i]]
    peak = max(t for _, t in counted) - min(t for _, t in counted)
    square = sum((f - t) ** 2 for f, t in counted) / len(counted)
    assert metrics.psnr(forecast, truth, where) == pytest.approx(10 * math.log10(peak**2 / square))
    assert metrics.psnr(truth, truth, where) == math.inf


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
    assert metrics.ssim(forecast, truth, where) == pytest.approx(expected, abs=1e-5)


def test_ssim_of_the_truth_is_one_and_land_does_not_lower_it():
    rng = np.random.default_rng(2)
    truth = rng.standard_normal((20, 20)).cumsum(0) + 10
    land = truth.copy()
    land[5:9, 5:9] = np.nan
    assert metrics.ssim(truth, truth, np.ones_like(truth, bool)) == pytest.approx(1)
    assert metrics.ssim(land, land, np.isfinite(land)) == pytest.approx(1)
    assert metrics.ssim(
        np.where(np.isnan(land), -99, land), land, np.isfinite(land)
    ) == pytest.approx(1)
