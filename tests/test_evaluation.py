"""The table of scores against a few lines of numpy, and what may and may not count."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from ocean_lib import evaluation
from ocean_lib.evaluation import COLUMNS, compare, table, verdict

GRID = ("time", "depth", "latitude", "longitude")
DEPTH = np.array([0.5, 40.0, 200.0])


def ocean(dates=14, rows=9, columns=11, seed=0, surface=True, observed=0.4):
    """Truth with land, its observations, and a generator for forecasts."""
    rng = np.random.default_rng(seed)
    wet = np.ones((len(DEPTH), rows, columns), bool)
    wet[:, 0, :4] = False
    wet[2, :, 0] = False
    truth = np.where(wet, rng.standard_normal((dates, *wet.shape)) + 10, np.nan)
    coordinates = {
        "time": np.arange("2000-01", "2040-01", dtype="M8[M]")[:dates].astype("M8[ns]"),
        "depth": DEPTH,
        "latitude": np.linspace(-10, 70, rows),
        "longitude": np.linspace(0, 20, columns),
    }
    fields = xr.Dataset(
        {"temperature": (GRID, truth.astype("f4")), "ocean": (GRID[1:], wet)}, coordinates
    )
    seen = (rng.random(truth.shape) < observed) & wet
    observations = xr.Dataset(
        {"observed": (GRID, seen), "value": fields.temperature.where(seen)}, coordinates
    )
    if surface:
        flags = xr.full_like(fields.temperature.isel(depth=0, drop=True), 0.0).notnull()
        observations["surface_observed"] = flags
    return fields, observations, rng


def forecast(fields, rng, error=0.5, bias=0.0):
    noise = rng.normal(bias, error, fields.temperature.shape)
    return (fields.temperature + noise).astype("f4")


def ensemble(fields, rng, members=4, error=0.5):
    return xr.concat([forecast(fields, rng, error) for _ in range(members)], "member")


def pick(scores, method, metric, depth="all", reference="truth"):
    chosen = scores.query(
        "method == @method and metric == @metric and depth == @depth and reference == @reference"
    )
    assert len(chosen) == 1
    return chosen.iloc[0]


def three(dates=14, **choices):
    fields, observations, rng = ocean(dates, **choices)
    members = ensemble(fields, rng)
    means = {
        "ours": members.mean("member"),
        "other": forecast(fields, rng, 0.8, bias=0.3),
        "close": forecast(fields, rng, 0.01),
    }
    return fields, observations, means, {"ours": members}


def score(fields, observations, means, ensembles=None, ours="ours"):
    return compare(fields, observations, means, ensembles or {}, case="a case", ours=ours)


# --- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize("surface", [True, False])
def test_scores_are_those_of_ten_lines_of_numpy(surface):
    fields, observations, means, ensembles = three(surface=surface)
    scores = score(fields, observations, means, ensembles)
    truth = fields.temperature.values.astype(float)
    members = ensembles["ours"].values.astype(float)
    weight = np.cos(np.deg2rad(fields.latitude.values))[:, None] * np.ones(truth.shape)
    hidden = fields.ocean.values & ~observations.observed.values
    claimed = hidden & (DEPTH > 5.0)[:, None, None] if surface else hidden
    levels = {f"{d:.1f}": hidden & (DEPTH == d)[:, None, None] for d in DEPTH}
    for depth, where in {"all": claimed, **levels}.items():
        w, y = weight[where], truth[where]
        for method, mean in means.items():
            e = mean.values.astype(float)[where] - y
            expected = {
                "rmse": np.sqrt((w * e**2).sum() / w.sum()),
                "mae": (w * abs(e)).sum() / w.sum(),
                "bias": (w * e).sum() / w.sum(),
            }
            if method == "ours":
                x = members[:, where]
                pairs = abs(x[:, None] - x[None]).sum((0, 1)) / (2 * 4 * 3)
                expected["crps"] = (w * (abs(x - y).mean(0) - pairs)).sum() / w.sum()
                expected["spread"] = np.sqrt((w * x.var(0, ddof=1)).sum() / w.sum())
            for metric, value in expected.items():
                row = pick(scores, method, metric, depth)
                assert row.value == pytest.approx(value, rel=1e-4, abs=1e-6), (depth, metric)
                assert row.n == where.sum() and row.case == "a case"


def test_one_certain_value_has_the_absolute_error_as_crps_and_no_spread():
    scores = score(*three())
    other = scores[scores.method == "other"]
    assert pick(scores, "other", "crps").value == pick(scores, "other", "mae").value
    assert "spread" not in set(other.metric)


def test_perfect_and_biased_methods_score_as_they_should():
    fields, observations, means, ensembles = three()
    means["perfect"] = fields.temperature.copy()
    means["warm"] = fields.temperature + 0.25
    scores = score(fields, observations, means, ensembles)
    for metric in ("rmse", "mae", "bias", "crps"):
        assert pick(scores, "perfect", metric).value == 0
        assert pick(scores, "warm", metric).value == pytest.approx(0.25, abs=1e-5)
    warm = pick(scores, "warm", "bias")
    assert warm.low == pytest.approx(0.25, abs=1e-5) and warm.high == pytest.approx(0.25, abs=1e-5)
    assert pick(scores, "perfect", "ssim").value == pytest.approx(1)
    assert pick(scores, "perfect", "psnr").value == np.inf
    assert pick(scores, "other", "ssim").value < 0.9
    assert pick(scores, "warm", "psnr").value > pick(scores, "other", "psnr").value


def test_the_original_scores_are_given_in_both_forms():
    fields, observations, means, ensembles = three()
    scores = score(fields, observations, means, ensembles)
    truth, level = fields.temperature.values[:, 1], means["other"].values[:, 1]
    every = np.isfinite(truth)
    for metric, where in (
        ("psnr", every & ~observations.observed.values[:, 1]),
        ("psnr_all_pixels", every),
    ):
        peak = truth[where].max() - truth[where].min()
        expected = 20 * np.log10(peak / np.sqrt(((level - truth)[where] ** 2).mean()))
        assert pick(scores, "other", metric, "40.0").value == pytest.approx(expected, rel=1e-4)
    for metric in ("ssim", "ssim_all_pixels"):
        assert 0 < pick(scores, "other", metric, "40.0").value < 1


def test_the_difference_is_ours_minus_theirs():
    scores = score(*three())
    for depth in ("all", "0.5", "40.0", "200.0"):
        difference = pick(scores, "ours", "rmse_difference", depth, "other")
        ours, other = (pick(scores, name, "rmse", depth).value for name in ("ours", "other"))
        assert difference.value == pytest.approx(ours - other, rel=1e-6)
        assert difference.low <= difference.value <= difference.high < 0
        assert pick(scores, "ours", "rmse_difference", depth, "close").value > 0
    assert set(scores[scores.metric == "rmse_difference"].method) == {"ours"}
    assert list(scores.columns) == COLUMNS


# --- what counts ------------------------------------------------------------------------------


@pytest.mark.parametrize("garbage", [1e6, -300.0, np.nan])
def test_observed_cells_and_land_never_count(garbage):
    fields, observations, means, ensembles = three()
    hidden = fields.ocean & ~observations.observed
    spoilt = {name: mean.where(hidden, garbage) for name, mean in means.items()}
    spoilt_members = {name: one.where(hidden, garbage) for name, one in ensembles.items()}
    before = score(fields, observations, means, ensembles)
    after = score(fields, observations, spoilt, spoilt_members)
    # A window of SSIM, and all pixels, reach over observed cells by their definition.
    own = ~before.metric.str.contains("ssim|all_pixels")
    assert own.sum() > 60
    pd.testing.assert_frame_equal(before[own], after[own])


def test_what_was_said_at_observed_cells_is_not_asked_either():
    fields, observations, means, ensembles = three()
    spoilt = observations.assign(value=observations.value + 100)
    pd.testing.assert_frame_equal(
        score(fields, observations, means, ensembles), score(fields, spoilt, means, ensembles)
    )


def test_levels_near_a_surface_that_was_seen_are_left_out_of_the_overall_score():
    fields, observations, means, ensembles = three()
    first = fields.depth < 5
    bad = {name: mean + xr.where(first, 50.0, 0.0) for name, mean in means.items()}
    good, spoilt = (score(fields, observations, m, ensembles) for m in (means, bad))
    whole = [score_.query("depth == 'all'").reset_index(drop=True) for score_ in (good, spoilt)]
    assert {"rmse", "psnr", "ssim", "rmse_difference"} <= set(whole[0].metric)
    pd.testing.assert_frame_equal(*whole)
    # By depth they are still there, and without a surface they count.
    assert pick(spoilt, "other", "rmse", "0.5").value > 40
    for unseen in (
        observations.drop_vars("surface_observed"),
        observations.assign(surface_observed=observations.surface_observed & False),
    ):
        assert pick(score(fields, unseen, bad, ensembles), "other", "rmse").value > 20


def test_one_level_below_a_seen_surface_has_no_overall_score():
    fields, observations, means, _ = three()
    first = {"depth": [0]}
    means = {name: mean.isel(first) for name, mean in means.items()}
    scores = score(fields.isel(first), observations.isel(first), means)
    assert set(scores.depth) == {"0.5"}
    assert verdict(scores) == ""


@pytest.mark.parametrize("where", ["mean", "member"])
def test_no_value_at_a_hidden_cell_is_refused(where):
    fields, observations, means, ensembles = three()
    hidden = np.argwhere((fields.ocean & ~observations.observed).transpose(*GRID).values)
    at = dict(zip(GRID, hidden[5]))
    if where == "mean":
        means["ours"] = means["ours"].copy(deep=True)
        means["ours"][at] = np.nan
    else:
        ensembles["ours"] = ensembles["ours"].copy(deep=True)
        ensembles["ours"][{"member": 2, **at}] = np.nan
    with pytest.raises(ValueError, match=f"ours has no value at 1 of {len(hidden)} hidden"):
        score(fields, observations, means, ensembles)


def test_the_order_of_dimensions_does_not_matter():
    fields, observations, means, ensembles = three()
    turned = ("longitude", "time", "latitude", "depth")
    after = score(
        fields.assign(temperature=fields.temperature.transpose(*turned)),
        observations.transpose(*turned),
        {name: mean.transpose(*turned) for name, mean in means.items()},
        {name: one.transpose("latitude", ...) for name, one in ensembles.items()},
    )
    pd.testing.assert_frame_equal(score(fields, observations, means, ensembles), after)


def test_everything_observed_leaves_an_empty_table():
    scores = score(*three(observed=1.1))
    assert len(scores) == 0 and list(scores.columns) == COLUMNS


def test_a_level_without_hidden_cells_has_no_row():
    fields, observations, means, ensembles = three()
    observations["observed"] = observations.observed | (fields.ocean & (fields.depth == 40.0))
    scores = score(fields, observations, means, ensembles)
    assert set(scores.depth) == {"all", "0.5", "200.0"}


# --- intervals --------------------------------------------------------------------------------


def test_the_interval_of_independent_errors_is_that_of_statistics():
    """A bias that each date draws anew: its mean has a standard error of 1/√dates."""
    dates = 200
    fields, observations, rng = ocean(dates)
    bias = xr.DataArray(rng.standard_normal(dates), {"time": fields.time}, "time")
    scores = score(fields, observations, {"ours": fields.temperature + bias})
    row = pick(scores, "ours", "bias")
    width = 2 * 1.645 * float(bias.std()) / dates**0.5
    assert row.high - row.low == pytest.approx(width, rel=0.2)
    assert row.low < row.value < row.high
    assert (row.low + row.high) / 2 == pytest.approx(row.value, abs=0.15 * width)


def test_intervals_of_a_mean_hold_it_nine_times_in_ten():
    held = 0
    for seed in range(60):
        fields, observations, rng = ocean(40, rows=3, columns=5, seed=seed)
        bias = xr.DataArray(rng.standard_normal(40), {"time": fields.time}, "time")
        row = pick(score(fields, observations, {"ours": fields.temperature + bias}), "ours", "bias")
        held += row.low <= 0 <= row.high
    assert 45 <= held <= 60  # 54 expected; blocks of two out of 40 dates are a little short


def test_pairs_of_dates_that_err_alike_widen_the_interval():
    """Blocks of two dates see that half of the dates say nothing new."""
    fields, observations, rng = ocean(120)
    alone = rng.standard_normal(120)
    paired = np.repeat(rng.standard_normal(60), 2)
    widths = []
    for values in (alone, paired):
        bias = xr.DataArray(values / values.std(), {"time": fields.time}, "time")
        row = pick(score(fields, observations, {"ours": fields.temperature + bias}), "ours", "bias")
        widths.append(row.high - row.low)
    assert widths[1] / widths[0] == pytest.approx(2**0.5, rel=0.25)


def test_a_paired_interval_keeps_what_the_methods_share():
    fields, observations, rng = ocean(60)
    shared = xr.DataArray(1 + rng.random(60), {"time": fields.time}, "time")
    means = {"ours": fields.temperature + shared, "theirs": fields.temperature + shared + 0.05}
    scores = score(fields, observations, means)
    difference = pick(scores, "ours", "rmse_difference", reference="theirs")
    ours = pick(scores, "ours", "rmse")
    assert difference.high < 0
    assert difference.high - difference.low < 0.1 * (ours.high - ours.low)


@pytest.mark.parametrize(("dates", "claimed"), [(1, False), (10, False), (11, True), (14, True)])
def test_too_few_dates_have_no_interval(dates, claimed):
    scores = score(*three(dates))
    row = pick(scores, "ours", "rmse")
    difference = pick(scores, "ours", "rmse_difference", reference="other")
    assert np.isfinite(row.value)
    for one in (row, difference):
        assert np.isfinite(one.low) == np.isfinite(one.high) == claimed
    assert ("too few dates for a claim" in verdict(scores)) == (not claimed)


def test_the_same_scores_come_out_twice():
    given = three()
    pd.testing.assert_frame_equal(score(*given), score(*given))


# --- table, verdict, file ---------------------------------------------------------------------


def rows(*differences):
    return pd.DataFrame(
        [("ours", name, "half", "all", "rmse_difference", *rest, 9) for name, *rest in differences],
        columns=COLUMNS,
    )


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((-0.2, -0.3, -0.1), "half · ours − rival: -0.200 °C [-0.300, -0.100], better"),
        ((0.2, 0.1, 0.3), "half · ours − rival: +0.200 °C [+0.100, +0.300], worse"),
        ((-0.1, -0.3, 0.1), "-0.100 °C [-0.300, +0.100], no difference beyond chance"),
        ((0.1, -0.1, 0.3), "+0.100 °C [-0.100, +0.300], no difference beyond chance"),
        ((-0.1, np.nan, np.nan), "-0.100 °C, better here; too few dates for a claim"),
        ((0.1, np.nan, np.nan), "+0.100 °C, worse here; too few dates for a claim"),
    ],
)
def test_the_verdict_claims_no_more_than_the_interval(numbers, words):
    assert verdict(rows(("rival", *numbers))).endswith(words)


def test_the_verdict_has_a_line_for_every_rival():
    text = verdict(rows(("linear", -0.1, -0.2, -0.05), ("oi", 0.1, 0.05, 0.2)))
    assert [line.split(",")[-1] for line in text.splitlines()] == [" better", " worse"]
    scores = score(*three())
    assert [line.split(" − ")[1].split(":")[0] for line in verdict(scores).splitlines()] == [
        "other", "close"
    ]  # fmt: skip


def test_the_table_has_methods_by_cases_in_their_order():
    fields, observations, means, ensembles = three()
    parts = [
        compare(fields, observations, means, ensembles, case=case, ours="ours")
        for case in ("half", "argo")
    ]
    scores = pd.concat(parts)
    shown = table(scores)
    assert list(shown.index) == ["ours", "other", "close"]
    assert set(shown.columns) == {"half", "argo"}
    row = pick(parts[0], "ours", "rmse")
    assert shown.loc["ours", "half"] == f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"
    few = table(score(*three(4)), "crps")
    assert few.loc["close", "a case"] == "0.008"


def test_scores_are_written_whole(tmp_path, monkeypatch):
    scores = score(*three())
    path = evaluation.write(scores, tmp_path / "scores.csv")
    assert [file.name for file in tmp_path.iterdir()] == ["scores.csv"]
    again = pd.read_csv(path, dtype={"depth": str})
    pd.testing.assert_frame_equal(again, scores, rtol=1e-5, check_dtype=False)
    before = path.read_bytes()

    def broken(self, target, **choices):
        target.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", broken)
    with pytest.raises(OSError, match="disk full"):
        evaluation.write(scores, path)
    assert path.read_bytes() == before
