"""The table of scores against a few lines of numpy; which cells and levels count."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import norm, t

from ocean_lib.scores import bootstrap, score_table
from ocean_lib.scores.evaluation import score_methods
from ocean_lib.scores.hidden import hidden_ocean
from ocean_lib.scores.score_table import COLUMNS, LAYERS

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
        observations["surface_temperature_observed"] = flags
    return fields, observations, rng


def forecast(fields, rng, error=0.5, bias=0.0):
    noise = rng.normal(bias, error, fields.temperature.shape)
    return (fields.temperature + noise).astype("f4")


def ensemble(fields, rng, members=4, error=0.5):
    return xr.concat([forecast(fields, rng, error) for _ in range(members)], "member")


def covers(scores, cover):
    """Rows of a layer by its name, of a level by its depth; without blocks."""
    named = scores.layer == cover if isinstance(cover, str) else scores.depth == cover
    return named & scores.block.isna()


def pick(scores, method, metric, cover="all", reference="truth"):
    rows = scores[covers(scores, cover)].query(
        "method == @method and metric == @metric and reference == @reference"
    )
    assert len(rows) == 1
    return rows.iloc[0]


def three(dates=14, **choices):
    fields, observations, rng = ocean(dates, **choices)
    members = ensemble(fields, rng)
    error = xr.full_like(fields.temperature, 0.6)
    methods = {
        "climatology": xr.Dataset({"mean": normal(fields)}),
        "ours": xr.Dataset({"mean": members.mean("member"), "members": members}),
        "other": xr.Dataset({"mean": forecast(fields, rng, 0.8, bias=0.3), "error": error}),
        "close": xr.Dataset({"mean": forecast(fields, rng, 0.01)}),
    }
    return fields, observations, methods


def normal(fields):
    """A climatology: 10.2 °C everywhere."""
    return xr.full_like(fields.temperature, 10.2)


def given(fields, **means):
    """Methods with one value everywhere, and climatology."""
    return {name: xr.Dataset({"mean": mean}) for name, mean in means.items()} | {
        "climatology": xr.Dataset({"mean": normal(fields)})
    }


def score(fields, observations, methods, ours="ours", **choices):
    return score_methods(fields, observations, methods, case="a case", ours=ours, **choices)


# --- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize("surface", [True, False])
def test_scores_are_those_of_ten_lines_of_numpy(surface):
    fields, observations, methods = three(surface=surface)
    scores = score(fields, observations, methods)
    truth = fields.temperature.values.astype(float)
    members = methods["ours"].members.values.astype(float)
    weight = np.cos(np.deg2rad(fields.latitude.values))[:, None] * np.ones(truth.shape)
    hidden = fields.ocean.values & ~observations.observed.values
    claimed = hidden & (DEPTH > 5.0)[:, None, None] if surface else hidden
    picks = {d: hidden & (DEPTH == d)[:, None, None] for d in DEPTH}
    picks |= {
        f"{low}-{high}": hidden & ((DEPTH >= low) & (DEPTH < high))[:, None, None]
        for low, high in LAYERS
        if ((DEPTH >= low) & (DEPTH < high)).any()
    }
    assert set(scores.layer) == {"all", "", "0-5", "5-100", "100-300"}
    assert set(scores.depth.dropna()) == set(DEPTH) and scores.block.isna().all()
    assert ((scores.layer == "") == scores.depth.notna()).all()
    for cover, where in {"all": claimed, **picks}.items():
        w, y = weight[where], truth[where]
        for method, result in methods.items():
            f = result["mean"].values.astype(float)[where]
            e, a, b = f - y, f - 10.2, y - 10.2
            expected = {
                "rmse": np.sqrt((w * e**2).sum() / w.sum()),
                "mae": (w * abs(e)).sum() / w.sum(),
                "bias": (w * e).sum() / w.sum(),
                "skill": 1 - (w * e**2).sum() / (w * b**2).sum(),
            }
            if method != "climatology":
                power = (w * a**2).sum() * (w * b**2).sum()
                expected["anomaly_correlation"] = (w * a * b).sum() / power**0.5
            if method == "ours":
                x = members[:, where]
                pairs = abs(x[:, None] - x[None]).sum((0, 1)) / (2 * 4 * 3)
                expected["crps"] = (w * (abs(x - y).mean(0) - pairs)).sum() / w.sum()
                variance = x.var(0, ddof=1) * 5 / 4
                inside = abs(e) <= 2.353363 * variance**0.5  # Student's t, 3 degrees of freedom
            if method == "other":
                z, variance = abs(e) / 0.6, np.full(e.shape, 0.36)
                gaussian = z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - np.pi**-0.5
                expected["crps"] = (w * 0.6 * gaussian).sum() / w.sum()
                inside = z <= 1.644854
            if method in ("ours", "other"):
                expected["spread"] = np.sqrt((w * variance).sum() / w.sum())
                expected["spread_skill"] = expected["spread"] / expected["rmse"]
                expected["coverage"] = (w * inside).sum() / w.sum()
            for metric, value in expected.items():
                row = pick(scores, method, metric, cover)
                assert row.value == pytest.approx(value, rel=1e-4, abs=1e-6), (cover, metric)
                assert row.n == where.sum() and row.case == "a case"
            rows = scores[covers(scores, cover)].query("method == @method and reference == 'truth'")
            images = (
                {"psnr", "ssim", "psnr_all_pixels", "ssim_all_pixels"}
                if cover == "all" or cover in DEPTH
                else set()
            )
            assert set(rows.metric) == set(expected) | images


def test_perfect_and_biased_methods_score_as_they_should():
    fields, observations, methods = three()
    methods |= given(fields, perfect=fields.temperature, warm=fields.temperature + 0.25)
    scores = score(fields, observations, methods)
    for metric in ("rmse", "mae", "bias"):
        assert pick(scores, "perfect", metric).value == 0
        assert pick(scores, "warm", metric).value == pytest.approx(0.25, abs=1e-5)
    warm = pick(scores, "warm", "bias")
    assert warm.low == pytest.approx(0.25, abs=1e-5) and warm.high == pytest.approx(0.25, abs=1e-5)
    assert pick(scores, "perfect", "skill").value == 1
    assert pick(scores, "climatology", "skill").value == 0
    assert pick(scores, "perfect", "ssim").value == pytest.approx(1)
    assert pick(scores, "perfect", "psnr").value == np.inf
    assert pick(scores, "other", "ssim").value < 0.9
    assert pick(scores, "warm", "psnr").value > pick(scores, "other", "psnr").value


def test_the_original_scores_are_given_in_both_forms():
    fields, observations, methods = three()
    scores = score(fields, observations, methods)
    truth, level = fields.temperature.values[:, 1], methods["other"]["mean"].values[:, 1]
    every = np.isfinite(truth)
    for metric, where in (
        ("psnr", every & ~observations.observed.values[:, 1]),
        ("psnr_all_pixels", every),
    ):
        peak = truth[where].max() - truth[where].min()
        expected = 20 * np.log10(peak / np.sqrt(((level - truth)[where] ** 2).mean()))
        assert pick(scores, "other", metric, 40.0).value == pytest.approx(expected, rel=1e-4)
    for metric in ("ssim", "ssim_all_pixels"):
        assert 0 < pick(scores, "other", metric, 40.0).value < 1


def test_differences_are_of_ours_and_of_the_best_from_all_others():
    fields, observations, methods = three()
    methods["close"]["error"] = xr.full_like(fields.temperature, 0.01)
    scores = score(fields, observations, methods)
    assert list(scores.columns) == COLUMNS
    for score_ in ("rmse", "crps"):
        rows = scores[scores.metric == f"{score_}_difference"]
        assert set(rows.layer) == {"all", "5-100", "100-300"}  # 0-5 is too near a seen surface
        for layer, part in rows.groupby("layer"):
            pairs = set(zip(part.method, part.reference))
            # Climatology states no uncertainty here, so that it has no CRPS.
            others = {"ours", "other", "close"} | ({"climatology"} if score_ == "rmse" else set())
            expected = {(method, o) for method in ("ours", "close") for o in others - {method}}
            assert len(part) == len(expected) and pairs == expected
            for row in part.itertuples():
                one, two = (
                    pick(scores, name, score_, layer).value for name in (row.method, row.reference)
                )
                assert row.value == pytest.approx(one - two, rel=1e-5)
                assert row.low < row.value < row.high
                assert (row.high < 0) == (row.value < 0) == (one < two)
    at_all = scores[(scores.metric == "rmse_difference") & (scores.layer == "all")]
    assert set(at_all.n) == {pick(scores, "ours", "rmse").n}


# --- what counts ------------------------------------------------------------------------------


@pytest.mark.parametrize("garbage", [1e6, -300.0, np.nan])
def test_observed_cells_and_land_never_count(garbage):
    fields, observations, methods = three()
    hidden = fields.ocean & ~observations.observed
    spoilt = {name: result.where(hidden, garbage) for name, result in methods.items()}
    before = score(fields, observations, methods)
    after = score(fields, observations, spoilt)
    # A window of SSIM, and all pixels, reach over observed cells by their definition.
    own = ~before.metric.str.contains("ssim|all_pixels")
    assert own.sum() > 60
    pd.testing.assert_frame_equal(before[own], after[own])


def test_what_was_said_at_observed_cells_is_not_asked_either():
    fields, observations, methods = three()
    spoilt = observations.assign(value=observations.value + 100)
    pd.testing.assert_frame_equal(
        score(fields, observations, methods), score(fields, spoilt, methods)
    )


def test_levels_near_a_surface_that_was_seen_are_left_out_of_the_overall_score():
    fields, observations, methods = three()
    first = fields.depth < 5
    bad = {name: result + xr.where(first, 50.0, 0.0) for name, result in methods.items()}
    good, spoilt = (score(fields, observations, each) for each in (methods, bad))
    whole = [score_.query("layer == 'all'").reset_index(drop=True) for score_ in (good, spoilt)]
    assert {"rmse", "psnr", "ssim", "rmse_difference"} <= set(whole[0].metric)
    pd.testing.assert_frame_equal(*whole)
    # By depth they are still there, and without a surface they count.
    assert pick(spoilt, "other", "rmse", 0.5).value > 40
    for unseen in (
        observations.drop_vars("surface_temperature_observed"),
        observations.assign(
            surface_temperature_observed=observations.surface_temperature_observed & False
        ),
    ):
        assert pick(score(fields, unseen, bad), "other", "rmse").value > 20


def test_one_level_below_a_seen_surface_has_no_overall_score():
    fields, observations, methods = three()
    first = {"depth": [0]}
    methods = {name: result.isel(first) for name, result in methods.items()}
    scores = score(fields.isel(first), observations.isel(first), methods)
    assert set(scores.depth.dropna()) == {0.5} and set(scores.layer) == {"", "0-5"}
    assert set(scores.reference) == {"truth"}


@pytest.mark.parametrize("quantity", ["mean", "members", "error"])
def test_no_value_at_a_hidden_cell_is_refused(quantity):
    fields, observations, methods = three()
    hidden = np.argwhere((fields.ocean & ~observations.observed).transpose(*GRID).values)
    at = dict(zip(GRID, hidden[5])) | ({"member": 2} if quantity == "members" else {})
    name = "other" if quantity == "error" else "ours"
    methods[name] = methods[name].copy(deep=True)
    methods[name][quantity][at] = np.nan
    with pytest.raises(ValueError, match=f"{name} has no value at 1 of {len(hidden)} hidden"):
        score(fields, observations, methods)


@pytest.mark.parametrize("missing", ["climatology", "ours"])
def test_a_method_that_is_needed_is_named(missing):
    fields, observations, methods = three()
    del methods[missing]
    with pytest.raises(ValueError, match=f"no method '{missing}' among .*'other', 'close'"):
        score(fields, observations, methods)


def test_the_order_of_dimensions_does_not_matter():
    fields, observations, methods = three()
    turned = ("longitude", "time", "latitude", "depth")
    after = score(
        fields.assign(temperature=fields.temperature.transpose(*turned)),
        observations.transpose(*turned),
        {name: result.transpose("latitude", ...) for name, result in methods.items()},
    )
    pd.testing.assert_frame_equal(score(fields, observations, methods), after)


def test_hidden_is_ocean_that_was_not_observed():
    fields, observations, _ = three()
    where = hidden_ocean(fields, observations)
    assert where.dims == GRID and where.dtype == bool
    for i in [
        (0, 0, 0, 0),
        (3, 1, 4, 5),
        (2, 2, 3, 0),
        *np.argwhere(observations.observed.values)[:9],
    ]:
        i = tuple(i)
        expected = fields.ocean.values[i[1:]] and not observations.observed.values[i]
        assert where.values[i] == expected


def test_everything_observed_leaves_an_empty_table():
    scores = score(*three(observed=1.1))
    assert len(scores) == 0 and list(scores.columns) == COLUMNS


def test_a_level_without_hidden_cells_has_no_row():
    fields, observations, methods = three()
    observations["observed"] = observations.observed | (fields.ocean & (fields.depth == 40.0))
    scores = score(fields, observations, methods)
    assert set(scores.depth.dropna()) == {0.5, 200.0}
    assert set(scores.layer) == {"all", "", "0-5", "100-300"}


# --- intervals --------------------------------------------------------------------------------


def by_date(fields, values):
    return fields.temperature + xr.DataArray(values, {"time": fields.time}, "time")


def test_the_interval_of_independent_dates_is_that_of_statistics():
    """A bias drawn anew on every date: its mean has a standard error of 1/√dates."""
    dates = 100
    fields, observations, rng = ocean(dates)
    bias = rng.standard_normal(dates)
    row = pick(
        score(fields, observations, given(fields, ours=by_date(fields, bias))), "ours", "bias"
    )
    # Blocks of four dates make 25, and dates are taken to decorrelate within one of them.
    blocks = bias.reshape(25, 4).mean(1)
    width = 2 * t.ppf(0.95, 24) * blocks.std(ddof=1) / 25**0.5 / (1 - 0.4 / 4) ** 0.5
    assert row.high - row.low == pytest.approx(width, rel=0.1)
    assert row.low < row.value < row.high


def test_dates_that_err_alike_widen_the_interval():
    """Four consecutive dates with equal errors count as one independent date."""
    fields, observations, rng = ocean(240, rows=3, columns=6)
    widths = []
    for values in (rng.standard_normal(240), np.repeat(rng.standard_normal(60), 4)):
        biased = by_date(fields, values / values.std())
        row = pick(score(fields, observations, given(fields, ours=biased)), "ours", "bias")
        widths.append(row.high - row.low)
    assert widths[1] / widths[0] == pytest.approx(2, rel=0.3)


def test_a_paired_interval_keeps_what_the_methods_share():
    fields, observations, rng = ocean(60)
    shared = 1 + rng.random(60)
    methods = given(fields, ours=by_date(fields, shared), theirs=by_date(fields, shared + 0.05))
    scores = score(fields, observations, methods)
    difference = pick(scores, "ours", "rmse_difference", reference="theirs")
    ours = pick(scores, "ours", "rmse")
    assert difference.high < 0
    assert difference.high - difference.low < 0.1 * (ours.high - ours.low)


def test_a_difference_has_blocks_by_the_longer_lengths(monkeypatch):
    """Our errors are correlated in space, theirs in time."""
    fields, observations, rng = ocean(120, rows=5, columns=7, surface=False)
    asked = []

    def noted(shape, lengths, least):
        asked.append(tuple(round(float(length), 1) for length in lengths))
        return sizes(shape, lengths, least)

    sizes = bootstrap.block_size
    monkeypatch.setattr(bootstrap, "block_size", noted)
    slow = np.repeat(rng.standard_normal(12), 10)[:, None, None, None]
    theirs = fields.temperature + slow * rng.choice([-1, 1], fields.temperature.shape[1:])
    score(fields, observations, given(fields, ours=by_date(fields, rng.random(120)), theirs=theirs))
    assert any(time > 3 and (rows, columns) == (5, 7) for time, rows, columns in asked)


@pytest.mark.parametrize(("dates", "claimed"), [(1, False), (18, False), (20, True)])
def test_too_few_blocks_give_the_difference_of_every_block_and_claim_nothing(dates, claimed):
    """Errors are equal within a date and independent between dates: a block is two dates."""
    fields, observations, rng = ocean(dates, rows=4, columns=5)
    ours, theirs = rng.standard_normal((2, dates)) + [[0], [3]]
    methods = given(fields, ours=by_date(fields, ours), theirs=by_date(fields, theirs))
    scores = score(fields, observations, methods, least=(2, 4, 5))
    row = pick(scores, "ours", "rmse")
    difference = pick(scores, "ours", "rmse_difference", reference="theirs")
    assert np.isfinite(row.value)
    for one in (row, difference):
        assert np.isfinite(one.low) == np.isfinite(one.high) == claimed
    rows = scores[(scores.metric == "rmse_difference_block") & (scores.reference == "theirs")]
    assert set(rows.method) == (set() if claimed else {"ours"})
    if claimed:
        return
    number = max(dates // 2, 1)
    assert list(zip(rows.layer, rows.block)) == [
        (layer, k) for layer in ("all", "5-100", "100-300") for k in range(1, number + 1)
    ]
    assert rows.depth.isna().all()
    hidden = hidden_ocean(fields, observations).values & (DEPTH > 5)[:, None, None]
    area = np.cos(np.deg2rad(fields.latitude.values))[:, None] * hidden
    for k in range(number):
        part = slice(2 * k, 2 * k + 2)
        root = [
            ((e[part, None, None, None] ** 2 * area[part]).sum() / area[part].sum()) ** 0.5
            for e in (ours, theirs)
        ]
        row = rows.iloc[k]
        assert row.value == pytest.approx(root[0] - root[1], rel=1e-3)
        assert row.n == hidden[part].sum() and np.isnan(row.low)


def test_sections_are_pooled_by_joining_them_along_longitude():
    """Two regions, land between them, and blocks of six months that hold both."""
    parts = [ocean(72, rows=1, columns=8, seed=seed, surface=False) for seed in (0, 1)]
    rng = np.random.default_rng(2)

    def joined(name):
        both = [part[name == "observations"] for part in parts]
        gap = xr.full_like(both[0].isel(longitude=slice(2)), False)
        pieces = [both[0], gap, both[1]]
        row = xr.concat(pieces, "longitude").assign_coords(longitude=np.arange(18.0))
        return row.assign(ocean=row.ocean.astype(bool)) if "ocean" in row else row

    fields, observations = joined("fields"), joined("observations")
    observed = observations.observed.astype(bool)
    fields["temperature"] = fields.temperature.where(fields.ocean)
    methods = given(fields, ours=forecast(fields, rng, 0.3), theirs=forecast(fields, rng, 0.5))
    scores = score(fields, observations.assign(observed=observed), methods, least=(6, 1, 99))
    row = pick(scores, "ours", "rmse_difference", reference="theirs")
    assert row.low < row.value < row.high < 0  # 12 blocks
    squares = {"ours": 0.0, "theirs": 0.0}
    for first, (field, seen, _) in zip((0, 10), parts):
        where = field.ocean.values & ~seen.observed.values
        for name in squares:
            mean = methods[name]["mean"].values[..., first : first + 8]
            squares[name] += ((mean - field.temperature.values)[where] ** 2).sum()
    n = pick(scores, "ours", "rmse").n
    assert n == sum(int(hidden_ocean(*part[:2]).sum()) for part in parts)
    expected = (squares["ours"] / n) ** 0.5 - (squares["theirs"] / n) ** 0.5
    assert row.value == pytest.approx(expected, rel=1e-4)
    few = score(
        *(each.isel(time=slice(48)) for each in (fields, observations.assign(observed=observed))),
        {name: result.isel(time=slice(48)) for name, result in methods.items()},
        least=(6, 1, 99),
    )
    assert np.isnan(pick(few, "ours", "rmse_difference", reference="theirs").low)  # 8 blocks


def test_the_same_scores_come_out_twice():
    given_ = three()
    pd.testing.assert_frame_equal(score(*given_), score(*given_))


# --- file -------------------------------------------------------------------------------------


def test_scores_are_written_whole(tmp_path, monkeypatch):
    scores = score(*three())
    path = score_table.write_scores(scores, tmp_path / "scores.csv")
    assert [file.name for file in tmp_path.iterdir()] == ["scores.csv"]
    again = score_table.read_scores(path)
    pd.testing.assert_frame_equal(again, scores, rtol=1e-5)
    before = path.read_bytes()

    def broken(self, target, **choices):
        target.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", broken)
    with pytest.raises(OSError, match="disk full"):
        score_table.write_scores(scores, path)
    assert path.read_bytes() == before


def test_blocks_are_integers_in_the_file_and_files_of_earlier_versions_are_refused(tmp_path):
    scores = score(*three(dates=1), least=(1, 9, 11))
    path = score_table.write_scores(scores, tmp_path / "scores.csv")
    again = score_table.read_scores(path)
    assert again.block.max() == 1 and ",100-300,,1,rmse_difference_block," in path.read_text()
    pd.testing.assert_frame_equal(again, scores, rtol=1e-5)
    pd.read_csv(path).drop(columns=["layer", "block"]).to_csv(path)
    with pytest.raises(ValueError, match=r"lacks the columns \['layer', 'block'\].*--from 05"):
        score_table.read_scores(path)
