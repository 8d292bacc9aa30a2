"""Every score against a loop, scipy, xskillscore or a Gaussian, with land, and lazily on dask."""

import math

import dask
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


def labelled(case, chunks=None):
    """The same as DataArrays, in chunks where asked for."""
    arrays = {
        name: xr.DataArray(value, dims=("member", *DIMS) if name == "members" else DIMS)
        for name, value in case.items()
    }
    arrays["mean"] = arrays["members"].mean("member")
    if chunks is None:
        return arrays
    return {
        name: array.chunk({d: n for d, n in chunks.items() if d in array.dims})
        for name, array in arrays.items()
    }


SHELLS = {
    "rmse": ("mean", "truth"),
    "mae": ("mean", "truth"),
    "bias": ("mean", "truth"),
    "skill": ("mean", "truth", "climatology"),
    "anomaly_correlation": ("mean", "truth", "climatology"),
    "crps": ("members", "truth"),
    "crps_gaussian": ("mean", "error", "truth"),
    "spread": ("members",),
    "spread_skill": ("members", "truth"),
    "coverage": ("members", "truth"),
}


def shell(name, arrays, **choices):
    given = (arrays[argument] for argument in SHELLS[name])
    return getattr(metrics, name)(*given, where=arrays["where"], **choices)


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


# --- against a loop ---------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_equal_a_loop(case, weighted):
    weight = AREA.values if weighted else np.ones(9)
    expected = looped(case, case["where"], weight)
    arrays = labelled(case)
    for name, value in expected.items():
        got = shell(name, arrays, weights=AREA if weighted else None)
        assert got.dims == () and float(got) == pytest.approx(value, rel=1e-9), name
    where = case["where"]
    members, truth, climatology, error = (
        case[name][..., where] for name in ("members", "truth", "climatology", "error")
    )
    area = np.broadcast_to(weight[:, None], SHAPE)[where]
    for choices, differs in (({"members": members}, {}), ({"error": error}, {"error": error})):
        terms = metrics.terms(members.mean(0), truth, climatology, **choices)
        scores = metrics.scores({k: (v * area).sum() / area.sum() for k, v in terms.items()})
        for name, value in scores.items():
            if not differs:
                assert value == pytest.approx(expected[name], rel=1e-9), name
        if differs:
            assert scores["crps"] == pytest.approx(expected["crps_gaussian"], rel=1e-9)
            spread = math.sqrt((area * error**2).sum() / area.sum())
            assert scores["spread"] == pytest.approx(spread)
            inside = abs(members.mean(0) - truth) <= scipy.stats.norm.ppf(0.95) * error
            assert scores["coverage"] == pytest.approx((area * inside).sum() / area.sum())


def test_scores_by_level_equal_a_loop_and_land_is_nan(case):
    arrays = labelled(case)
    dims = ("latitude", "longitude")
    level = np.zeros(SHAPE, bool)
    level[2, 3] = True
    expected = looped(case, case["where"] & level, AREA.values)
    for name in SHELLS:
        got = shell(name, arrays, dim=dims, weights=AREA)
        assert got.dims == ("time", "depth")
        assert np.argwhere(got.isnull().values).tolist() == [[1, 2]], name
        assert float(got[2, 3]) == pytest.approx(expected[name], rel=1e-9), name


def test_scores_are_those_of_xskillscore(case):
    arrays = labelled(case)
    f, y, w = (arrays[name].where(arrays["where"]) for name in ("mean", "truth", "error"))
    for ours, theirs in (("rmse", "rmse"), ("mae", "mae"), ("bias", "me")):
        expected = getattr(xskillscore, theirs)(f, y, dim="time", skipna=True)
        xr.testing.assert_allclose(shell(ours, arrays, dim="time"), expected)
    terms = metrics.terms(*(case[name] for name in ("climatology", "truth", "climatology")),
                          error=case["error"])  # fmt: skip
    expected = xskillscore.crps_gaussian(y, arrays["climatology"], w, dim=[])
    np.testing.assert_allclose(terms["crps"][case["where"]], expected.values[case["where"]])


# --- ensembles --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2, 3, 8])
def test_fair_crps_corrects_that_of_the_empirical_distribution(number):
    """xskillscore's divides the pairs by M² where the fair one has M(M − 1)."""
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
    arrays = xr.DataArray(one, dims=("member", "cell")), xr.DataArray(field, dims="cell")
    for score in (metrics.crps, metrics.coverage):
        with pytest.raises(ValueError, match="1 member .*at least 2"):
            score(*arrays)


def test_a_certain_forecast_has_the_absolute_error_as_crps():
    rng = np.random.default_rng(2)
    forecast, truth = rng.standard_normal((2, 3, 7)).astype("f4")
    truth[0, 0] = forecast[0, 0]
    absolute = abs(forecast - truth)
    for choices in ({}, {"error": np.zeros((3, 7), "f4")}, {"error": np.full((3, 7), 1e-9)}):
        terms = metrics.terms(forecast, truth, np.zeros((3, 7)), **choices)
        np.testing.assert_allclose(terms["crps"], absolute, atol=1e-8)
    assert "variance" not in metrics.terms(forecast, truth, 0.0)
    assert metrics.terms(forecast, truth, 0.0, error=0 * truth)["inside"].sum() == 1


def test_climatology_has_no_skill_and_no_anomaly_correlation(case):
    y, c = case["truth"][case["where"]], case["climatology"][case["where"]]
    scores = mean_scores(c, y, c)
    assert scores["skill"] == 0 and math.isnan(scores["anomaly_correlation"])
    perfect = mean_scores(y, y, c, error=np.zeros_like(y))
    assert perfect["skill"] == 1 and perfect["anomaly_correlation"] == pytest.approx(1)
    assert perfect["rmse"] == perfect["mae"] == perfect["bias"] == 0
    assert math.isnan(perfect["spread_skill"])


def test_rank_histogram_counts_the_members_below(case):
    arrays = labelled(case)
    got = metrics.rank_histogram(arrays["members"], arrays["truth"], where=arrays["where"])
    below = (case["members"] < case["truth"]).sum(0)[case["where"]]
    assert got.values.tolist() == np.bincount(below, minlength=8).tolist()
    by_level = metrics.rank_histogram(
        arrays["members"], arrays["truth"], where=arrays["where"],
        dim=["time", "latitude", "longitude"],
    )  # fmt: skip
    assert by_level.dims == ("depth", "rank") and (by_level.sum("depth") == got).all()


# --- dask -------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [{"time": 1, "latitude": 4}, {"member": 2, "longitude": 5}])
def test_on_dask_nothing_is_computed_before_it_is_asked_for(case, chunks):
    arrays, lazy = labelled(case), labelled(case, chunks)

    def refuse(*arguments, **choices):
        raise AssertionError("computed early")

    with dask.config.set(scheduler=refuse):
        with pytest.raises(AssertionError, match="computed early"):
            lazy["truth"].compute()
        choices = {"dim": ("time", "latitude", "longitude"), "weights": AREA.chunk(5)}
        pending = {name: shell(name, lazy, **choices) for name in SHELLS}
        ranks = metrics.rank_histogram(lazy["members"], lazy["truth"], where=lazy["where"])
    for name, score in pending.items():
        assert score.chunks is not None
        choices["weights"] = AREA
        xr.testing.assert_allclose(score.compute(), shell(name, arrays, **choices))
    expected = metrics.rank_histogram(arrays["members"], arrays["truth"], where=arrays["where"])
    xr.testing.assert_equal(ranks.compute(), expected)


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
