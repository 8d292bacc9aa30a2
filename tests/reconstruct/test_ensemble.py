"""Whole domains: tiles, members, their noise, and what the observations fix."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from tiny import PATTERNS, SCALES, astir, densifier

from ocean_lib.classical.result import to_units
from ocean_lib.model.background import Background
from ocean_lib.model.densifier import MODES, Densifier
from ocean_lib.model.sampling import SAMPLERS
from ocean_lib.observations.batch import observe, select_statistics, standardise, with_background
from ocean_lib.reconstruct.ensemble import (
    MEMBER_DIMS,
    count_rows,
    denoising_steps,
    reconstruct,
    reconstruct_date,
)
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.reconstruct.tiles import Tiles
from ocean_lib.store.climatology import climatology_at

every_mode = pytest.mark.parametrize("mode", MODES)
both = pytest.mark.parametrize("sampler", [*SAMPLERS])
FAST = {"members": 3, "sampling": Sampling(steps=3)}
TILED = {"members": 3, "sampling": Sampling(steps=3, tile=9)}


@pytest.fixture(scope="module")
def fields(small_store):
    return small_store.fields("test").isel(time=slice(0, 2))


@pytest.fixture(scope="module")
def seen(fields):
    return observe(fields, PATTERNS[0], seed=3)


def ready(store, mode="residual", **diffusion):
    return astir(densifier(store, mode, **diffusion), size=0.05)


# --- uncertain observations -------------------------------------------------------------------


@every_mode
def test_a_value_with_a_huge_error_changes_next_to_nothing(small_store, seen, mode):
    """By less than 5 % of the spread, however far off the value is."""
    model = ready(small_store, mode)
    spoilt = seen.copy(deep=True)
    order = ("time", "depth", "latitude", "longitude")
    parts = ("observed", "value", "error")
    observed, value, error = (spoilt[name].transpose(*order).values for name in parts)
    ocean = seen.ocean.values
    free = np.argwhere(ocean[0] & ~observed.any(1))
    for time, row, column in free[:: len(free) // 7]:
        wet = ocean[:, row, column]
        observed[time, wet, row, column] = True
        value[time, wet, row, column], error[time, wet, row, column] = 40.0, 1e3
    assert int(spoilt.observed.sum()) > int(seen.observed.sum())
    without, having = (reconstruct(model, each, **FAST) for each in (seen, spoilt))
    hidden = seen.ocean.values & ~seen.observed.transpose(*order).values
    spread = without.spread.values[hidden]
    for name in ("mean", "spread"):
        changed = abs(having[name] - without[name]).values[hidden]
        assert changed.max() < 0.05 * np.median(spread)


# --- tiles -----------------------------------------------------------------------------------


def test_tiles_of_an_untrained_model_equal_the_whole(small_store, fields):
    """Networks with zero heads predict the same everywhere, as does an unobserved background."""
    model = densifier(small_store)
    nothing = observe(fields, {"pattern": "pixels", "observed": 0.0}, seed=0)
    whole = reconstruct(model, nothing, **FAST)
    tiled = reconstruct(model, nothing, **TILED)
    np.testing.assert_allclose(whole.members, tiled.members, atol=1e-4)


def test_a_tiled_reconstruction_keeps_what_is_known_and_its_spread(small_store, seen):
    model = ready(small_store)
    tiled = reconstruct(model, seen, **TILED).transpose(*MEMBER_DIMS, ...)
    observed = seen.observed.values
    for member in range(3):
        one = tiled.members.isel(member=member).values
        np.testing.assert_allclose(one[observed], seen.value.values[observed], atol=1e-4)
    whole = reconstruct(model, seen, **FAST)
    hidden = seen.ocean.values & ~observed
    ratio = tiled.spread.values[hidden].mean() / whole.spread.values[hidden].mean()
    assert 0.9 < ratio < 1.1  # averaged finished tiles would have less


class Wiener(Densifier):
    """A model that knows the field: unit variance, Gaussian covariance of length 4 cells.

    It sees one tile and nothing beyond, as a network does, and gives E[x_0 | x_t] there: the
    Wiener filter. So the spread of what is drawn must be 1 wherever tiles are blended.
    """

    def denoise(self, batch, x, t, guess):
        height, width = x.shape[-2:]
        # Twice the size: beyond the tile lies 0, as beyond the padding of a convolution.
        y, x_ = (np.minimum(np.arange(2 * n), 2 * n - np.arange(2 * n)) for n in (height, width))
        covariance = np.exp(-(y[:, None] ** 2 + x_**2) / (2 * 4.0**2))
        power = torch.from_numpy(np.fft.rfft2(covariance).real.clip(0).astype(np.float32))
        a, s = (float(rate.flatten()[0]) for rate in self.diffusion.rates(t))
        gain = a * power / (a**2 * power + s**2)
        padded = torch.fft.rfft2(x, s=(2 * height, 2 * width))
        return torch.fft.irfft2(gain * padded, s=(2 * height, 2 * width))[..., :height, :width]


def unknowing():
    """The background of one level without observations."""
    one = torch.ones(1, 1)
    none = torch.zeros(0, 1, 0, 1, 1)
    return Background(SCALES, coefficients=none, covariance=one[None], factor=one)


def plain_statistics(height, width, ring=False):
    """Statistics of one level without land, climatology 0 and deviation 1 °C."""
    grid = ("channel", "latitude", "longitude")
    longitude = np.arange(width) * (360 / width if ring else 1 / 12) - 150
    return xr.Dataset(
        {
            "harmonic": (("term", *grid), np.zeros((1, 1, height, width), np.float32)),
            "deviation": (grid, np.ones((1, height, width), np.float32)),
            "wet": (grid, np.ones((1, height, width), bool)),
        },
        {"depth": [9.6], "latitude": -20 + np.arange(height) / 12, "longitude": longitude},
        {"surfaces": {}, "variables": ["temperature"], "units": {"temperature": "degrees_C"}},
    )


def nothing_seen(statistics):
    dims = ("time", "depth", "latitude", "longitude")
    coordinates = {name: statistics[name] for name in dims[1:]}
    time = {"time": np.array(["2001-01-16"], "M8[ns]")}
    shape = (1, *(statistics.sizes[name] for name in dims[1:]))
    return xr.Dataset(
        {
            "value": (dims, np.full(shape, np.nan, np.float32)),
            "observed": (dims, np.zeros(shape, bool)),
            "error": (dims, np.zeros(shape, np.float32)),
            "ocean": (dims[1:], np.ones(shape[1:], bool)),
        },
        time | coordinates,
    )


def seams(members, height, width, tile, ring=False):
    """Spread and mean squared gradient where tiles overlap, relative to those inside tiles."""
    tiles = Tiles(height, width, tile, ring)
    covered = np.zeros(width, int)
    for columns in tiles.columns:
        covered[columns] += 1
    x = members[..., 20:-20, :] if height > 60 else members
    spread = x.var(0).mean((0, 1))
    step = (np.roll(x, -1, -1) - x).astype(float)
    gradient = (step**2).mean((0, 1, 2))
    edge = np.zeros(width, bool)
    edge[:20] = edge[-20:] = not ring  # there the domain itself ends
    inside, over = (covered == 1) & ~edge, (covered > 1) & ~edge
    assert inside.sum() > width / 6 and over.sum() > width / 6
    return (
        np.sqrt(spread[over].mean() / spread[inside].mean()),
        np.sqrt(gradient[over].mean() / gradient[inside].mean()),
        np.sqrt(gradient[~edge].max() / gradient[inside].mean()),
    )


@both
def test_a_field_of_odd_size_has_no_seam_and_its_full_spread_where_tiles_overlap(sampler):
    statistics = plain_statistics(361, 487)
    model = Wiener(statistics, unknowing(), mode="diffusion")
    choices = {"members": 4, "sampling": Sampling(12, sampler)}
    drawn = reconstruct(model, nothing_seen(statistics), **choices).members.values[0]
    spread, gradient, worst = seams(drawn, 361, 487, 160)
    assert abs(spread - 1) < 0.05 and abs(gradient - 1) < 0.05
    assert worst < 1.25  # one column's mean over 4 × 321 values of a smooth field
    spread, gradient, worst = seams(drawn.swapaxes(-1, -2), 487, 361, 160)
    assert abs(spread - 1) < 0.05 and abs(gradient - 1) < 0.05 and worst < 1.25


def test_averaged_finished_tiles_would_fail_that_test():
    """Every tile drawn separately, with its own noise, then blended by the same weights."""
    statistics = plain_statistics(80, 240)
    model = Wiener(statistics, unknowing(), mode="diffusion")

    def finished(tile):
        part = statistics.isel(latitude=tile.rows, longitude=tile.columns)
        model.statistics, seed = part, tile.columns.start
        choices = {"members": 24, "sampling": Sampling(8, seed=seed, tile=200)}
        drawn = reconstruct(model, nothing_seen(part), **choices).members.values[0]
        return (torch.from_numpy(drawn),)

    rows = [results[0].clone() for _, results in Tiles(80, 240, 80).blend(finished)]
    spread, *_ = seams(torch.cat(rows, -2).numpy(), 80, 240, 80)
    assert spread < 0.95


def test_a_ring_is_seamless_across_the_date_line():
    statistics = plain_statistics(40, 180, ring=True)
    model = Wiener(statistics, unknowing(), mode="diffusion")
    choices = {"members": 8, "sampling": Sampling(12, tile=48)}
    drawn = reconstruct(model, nothing_seen(statistics), **choices).members.values[0]
    step = np.roll(drawn, -1, -1) - drawn
    size = np.sqrt((step**2).mean((0, 1, 2)))
    assert size[-1] < 1.25 * size[:-1].mean()
    # Without the wrap the ends are two unrelated values.
    model.statistics = line = statistics.isel(longitude=slice(0, 175))
    drawn = reconstruct(model, nothing_seen(line), **choices).members.values[0]
    step = np.roll(drawn, -1, -1) - drawn
    size = np.sqrt((step**2).mean((0, 1, 2)))
    assert size[-1] > 1.6 * size[:-1].mean()


def test_arrays_on_disk_give_what_arrays_in_memory_give(small_store, seen, tmp_path):
    model, one = ready(small_store).eval(), seen.isel(time=[0])
    whole = reconstruct(model, one, **TILED)
    out = {name: np.full_like(array.values[0], np.nan) for name, array in whole.data_vars.items()}
    done = [*reconstruct_date(model, one, out, **TILED, folder=tmp_path)]
    assert done[-1] == count_rows(model, one, **TILED) and not list(tmp_path.iterdir())
    for name, array in whole.data_vars.items():
        np.testing.assert_array_equal(out[name], array.values[0], err_msg=name)


# --- what comes out ---------------------------------------------------------------------------


@every_mode
@pytest.mark.parametrize("pattern", PATTERNS, ids=["blocks", "profiles"])
def test_a_reconstruction_meets_the_observations_and_leaves_land_empty(
    small_store, fields, mode, pattern
):
    seen = observe(fields, pattern, seed=3)
    result = reconstruct(ready(small_store, mode), seen, **FAST)
    assert result.members.dims == MEMBER_DIMS and result.sizes["member"] == 3
    assert result.member.values.tolist() == [1, 2, 3]
    for name in ("time", "depth", "latitude", "longitude"):
        np.testing.assert_array_equal(result[name], seen[name])
    names = {"members", "mean", "spread", "background", "climatology", "deviation"}
    names |= {"background_error"}
    assert set(result.data_vars) == names - ({"deviation"} if mode == "diffusion" else set())
    ocean = np.broadcast_to(seen.ocean.values, seen.observed.shape)
    for name, array in result.data_vars.items():
        for one in array.values.swapaxes(0, 1) if name == "members" else [array.values]:
            np.testing.assert_array_equal(np.isnan(one), ~ocean, err_msg=name)
    observed = seen.observed.values
    hidden = ocean & ~observed
    value = seen.value.values[observed]
    np.testing.assert_allclose(result["mean"].values[observed], value, atol=1e-4)
    for member in result.members.transpose("member", ...).values:
        np.testing.assert_allclose(member[observed], value, atol=1e-4)
    assert (result.spread.values[hidden] > 0).all()
    assert result.spread.values[observed].max() < 1e-4
    if mode != "diffusion":
        assert result.deviation.values[observed].max() < 1e-4
        assert (result.deviation.values[hidden] > 0).all()


def test_mean_spread_and_climatology_are_what_their_names_say(small_store, seen):
    result = reconstruct(ready(small_store, "diffusion"), seen, **FAST)
    members = result.members.values.astype(float)
    ocean = np.broadcast_to(seen.ocean.values, seen.observed.shape)
    mean = sum(members[:, m] for m in range(3)) / 3
    spread = np.sqrt(sum((members[:, m] - mean) ** 2 for m in range(3)) / 2)
    np.testing.assert_allclose(result["mean"].values[ocean], mean[ocean], atol=1e-4)
    np.testing.assert_allclose(result.spread.values[ocean], spread[ocean], atol=1e-4)
    normal = climatology_at(small_store.statistics(), seen.time.values)[
        :, len(small_store.surfaces) :
    ]
    np.testing.assert_allclose(result.climatology.values[ocean], normal[ocean], atol=1e-4)


def test_an_untrained_model_gives_the_background_back(small_store, seen):
    result = reconstruct(densifier(small_store, "regression"), seen, **FAST)
    hidden = seen.ocean.values & ~seen.observed.values
    mean, background = result["mean"].values[hidden], result.background.values[hidden]
    np.testing.assert_allclose(mean, background, atol=1e-4)


def test_members_of_the_regression_scatter_by_its_deviation(small_store, seen):
    """200 members, against a model that predicts the background and its error."""
    model = densifier(small_store, "regression")
    one = seen.isel(time=[0])
    result = reconstruct(model, one, members=200)
    hidden = one.ocean.values & ~one.observed.values[0]
    batch = with_background(standardise(one, model.statistics), model.background)
    scale = model.statistics.deviation.values[len(small_store.surfaces) :]
    deviation = batch["background_error"][0].numpy() * scale
    np.testing.assert_allclose(result.deviation.values[0][hidden], deviation[hidden], rtol=1e-3)
    ratio = result.spread.values[0][hidden] / deviation[hidden]
    assert abs(ratio.mean() - 1) < 0.02 and ratio.std() < 0.08
    off = (result.members.mean("member") - result["mean"]).values[0][hidden] / deviation[hidden]
    assert abs(off.mean()) < 0.02 and np.abs(off).max() < 5 / 200**0.5


@every_mode
def test_nothing_observed_and_everything_observed(small_store, fields, mode):
    model = ready(small_store, mode)
    empty = observe(fields, {"pattern": "pixels", "observed": 0.0}, seed=0)
    assert not empty.observed.any()
    result = reconstruct(model, empty, **FAST)
    ocean = np.broadcast_to(empty.ocean.values, empty.observed.shape)
    assert np.isfinite(result["mean"].values[ocean]).all()
    full = observe(fields, {"pattern": "pixels", "observed": 1.0}, seed=0)
    result = reconstruct(model, full, **FAST)
    np.testing.assert_allclose(result["mean"], fields.temperature, atol=1e-4)
    assert float(result.spread.max()) < 1e-4


def test_all_land_is_empty(small_store, seen):
    land = seen.assign(
        ocean=xr.zeros_like(seen.ocean),
        observed=xr.zeros_like(seen.observed),
        surface_temperature_observed=xr.zeros_like(seen.surface_temperature_observed),
    )
    result = reconstruct(ready(small_store), land, **FAST)
    assert all(np.isnan(array).all() for array in result.data_vars.values())


@pytest.mark.parametrize("cut", [(slice(3, 16), slice(5, 28)), (slice(10, 11), slice(0, 28))])
def test_a_part_of_the_region_in_any_size_will_do(small_store, seen, cut):
    part = seen.isel(latitude=cut[0], longitude=cut[1])
    result = reconstruct(ready(small_store), part, **FAST)
    assert result["mean"].shape == part.observed.shape
    ocean = np.broadcast_to(part.ocean.values, part.observed.shape)
    np.testing.assert_array_equal(np.isfinite(result["mean"].values), ocean)


# --- noise ------------------------------------------------------------------------------------


@both
def test_the_seed_decides(small_store, seen, sampler):
    model = ready(small_store)

    def drawn(seed):
        return reconstruct(model, seen, members=3, sampling=Sampling(3, sampler, seed))

    one, two = drawn(4), drawn(4)
    xr.testing.assert_identical(one, two)
    other = drawn(5)
    hidden = seen.ocean.values & ~seen.observed.values
    same = np.isclose(one.members, other.members, atol=1e-3).swapaxes(0, 1)
    assert same[:, hidden].mean() < 0.05


@pytest.mark.parametrize(
    ("mode", "sampler"),
    [("regression", "ddim"), ("diffusion", "dpm++"), *(("residual", s) for s in SAMPLERS)],
)
def test_members_depend_neither_on_the_chunk_nor_on_their_number(small_store, seen, mode, sampler):
    model = ready(small_store, mode)
    sampling = Sampling(3, sampler, chunk=8)
    five = reconstruct(model, seen, members=5, sampling=sampling)
    for chunk in (1, 2):
        again = reconstruct(model, seen, members=5, sampling=replace(sampling, chunk=chunk))
        np.testing.assert_allclose(five.members, again.members, atol=2e-3)
    two = reconstruct(model, seen, members=2, sampling=sampling)
    np.testing.assert_allclose(five.members[:, :2], two.members, atol=2e-3)


def test_members_and_dates_have_noise_of_their_own(small_store, seen):
    """Two dates with the same cells observed, by a model that hardly changes the noise."""
    given = seen.observed.isel(time=0, drop=True)
    same = seen.assign(observed=given.expand_dims(time=seen.time), value=seen.value.fillna(10.0))
    result = reconstruct(densifier(small_store), same, **FAST)
    noise = (
        (result.members - result["mean"])
        .transpose("member", *MEMBER_DIMS[:1], *MEMBER_DIMS[2:])
        .values
    )
    flat = noise[:, :, same.ocean.values & ~given.values].reshape(6, -1)
    correlation = np.corrcoef(flat) - np.eye(6)
    assert flat.shape[1] > 500 and np.abs(correlation).max() < 0.2


@pytest.mark.parametrize(("apart", "changes"), [(1, True), (2, False)])
def test_a_date_changes_those_a_month_away_and_no_others(small_store, apart, changes):
    model = ready(small_store)
    fields = small_store.fields("test")
    seen = observe(fields.isel(time=[0, apart]), PATTERNS[0], seed=3)
    both_dates = reconstruct(model, seen, **FAST)
    first = reconstruct(model, seen.isel(time=[0]), **FAST)
    difference = abs(first["mean"] - both_dates["mean"].isel(time=[0])).max()
    assert (float(difference) > 1e-3) == changes


# --- refusals, progress, pictures -------------------------------------------------------------


def test_what_cannot_be_reconstructed_is_refused(small_store, seen):
    model = densifier(small_store)
    with pytest.raises(ValueError, match="1 member gives no spread.*at least 2"):
        reconstruct(model, seen, members=1)
    with pytest.raises(ValueError, match="reaches outside"):
        reconstruct(model, seen.assign_coords(longitude=seen.longitude + 5))
    with pytest.raises(ValueError, match="levels.*differ"):
        reconstruct(model, seen.isel(depth=slice(0, 3)))
    with pytest.raises(ValueError, match="1001 sampling steps asked; choose 1 to 1000"):
        reconstruct(model, seen, sampling=Sampling(steps=1001))


def test_some_dates_are_drawn_as_among_all(small_store):
    model, months = ready(small_store), small_store.fields("test", range(4))
    months = observe(months, PATTERNS[0], seed=5)
    steps = []

    def progress(records, total):
        steps.extend(record["step"] for record in records)
        assert steps[-1] == total
        return steps

    some = reconstruct(model, months, dates=np.array([0, 2]), progress=progress, **FAST)
    xr.testing.assert_equal(some, reconstruct(model, months, **FAST).isel(time=[0, 2]))
    alone = reconstruct(model, months.isel(time=[0, 2]), **FAST)
    assert not alone.background.equals(some.background)  # without the month between


@pytest.mark.parametrize(("mode", "passes"), [("regression", 1), ("residual", 1 + 2 * 4)])
def test_progress_counts_rows_up_to_the_total(small_store, seen, mode, passes):
    calls = []

    def progress(records, total):
        calls.append(([record["step"] for record in records], total))
        return calls[-1][0]

    choices = {"sampling": Sampling(4, tile=9, chunk=2), "progress": progress}
    reconstruct(densifier(small_store, mode), seen, members=3, **choices)
    ((done, total),) = calls
    assert total == done[-1] == 2 * passes * 20 and (np.diff(done) > 0).all()


@pytest.mark.parametrize("mode", ["diffusion", "residual"])
@both
def test_denoising_ends_in_the_first_member_at_noise_zero(small_store, seen, mode, sampler):
    model = ready(small_store, mode)
    sampling = Sampling(4, sampler, seed=2)
    frames = denoising_steps(model, seen, 100.0, sampling=sampling)
    assert frames.dims == ("step", "latitude", "longitude") and frames.sizes["step"] == 5
    levels = frames.noise_level.values
    assert levels[0] == 1 and levels[-1] == 0 and (np.diff(levels) < 0).all()
    assert float(frames.depth) == pytest.approx(109.7)
    ocean = seen.ocean.sel(depth=100.0, method="nearest").values
    for frame in frames.values:
        np.testing.assert_array_equal(np.isnan(frame), ~ocean)
    whole = reconstruct(model, seen, members=2, sampling=sampling)
    last = whole.members.isel(time=0, member=0).sel(depth=100.0, method="nearest")
    np.testing.assert_allclose(frames[-1], last, atol=2e-3)
    assert not np.allclose(frames.values[0][ocean], frames.values[-1][ocean], atol=0.1)


def test_a_regression_has_no_denoising(small_store, seen):
    with pytest.raises(ValueError, match="no denoising.*residual.*diffusion"):
        denoising_steps(densifier(small_store, "regression"), seen, 10.0)


def test_a_reconstruction_uses_all_months_that_its_background_reaches(small_store):
    model = densifier(small_store, mode="regression").eval()
    guess = model.background
    fields = small_store.fields("validation", [0, 1, 2, 3, 4])
    seen = observe(fields, {"pattern": "pixels", "observed": 0.05}, 4)
    batch = standardise(seen, select_statistics(model.statistics, seen))
    found = []
    for months in (0.74, 0.9):
        guess.scales = [guess.scales[0] | {"lengths": (months, 37.0, 37.0), "noise": 0.0}]
        drawn = reconstruct(model, seen, members=2, sampling=Sampling(tile=64))["background"].isel(
            time=2
        )
        whole, _ = guess.method(0.05, False).analyse(batch, seen)
        expected = to_units(whole.numpy(), seen, model.statistics).isel(time=2)
        found.append(float(np.sqrt(((drawn - expected) ** 2).mean())))
    assert found[1] < 1e-3 < 5e-3 < found[0]  # °C
