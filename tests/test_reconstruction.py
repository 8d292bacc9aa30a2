"""Whole domains: tiles, members, their noise, and what the observations fix."""

import numpy as np
import pytest
import torch
import xarray as xr
from tiny import PATTERNS, astir, densifier

from ocean_lib.dataset import observe, sphere, standardise, with_background
from ocean_lib.model import MODES
from ocean_lib.reconstruction import DIMS, blend, denoising, reconstruct
from ocean_lib.sampling import SAMPLERS
from ocean_lib.store import climatology

every_mode = pytest.mark.parametrize("mode", MODES)
both = pytest.mark.parametrize("sampler", [*SAMPLERS])
FAST = {"members": 3, "steps": 3}


@pytest.fixture(scope="module")
def fields(small_store):
    return small_store.fields("test").isel(time=slice(0, 2))


@pytest.fixture(scope="module")
def seen(fields):
    return observe(fields, PATTERNS[0], seed=3)


def ready(store, mode="residual", **diffusion):
    return astir(densifier(store, mode, **diffusion), size=0.05)


# --- tiles ------------------------------------------------------------------------------------


def domain(height, width, batch=2, levels=3):
    generator = torch.Generator().manual_seed(0)
    value, field = torch.randn(2, batch, levels, height, width, generator=generator)
    given = {
        "value": value,
        "surface": torch.randn(batch, 1, height, width, generator=generator),
        "position": torch.zeros(batch, 3),
        "season": torch.randn(batch, 2, generator=generator),
    }
    return given, field, (np.linspace(30, 31, height), np.linspace(-60, -58, width))


SIZES = [(1, 9), (5, 40), (13, 29), (31, 17), (64, 64)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tile", [4, 7, 16])
def test_tiles_of_a_pointwise_function_equal_the_whole(size, tile):
    batch, field, places = domain(*size)

    def function(part, x):
        one = part["value"] * x + part["surface"]
        return one, part["season"][:, :1, None, None] * x[:, :2]

    whole = function(batch, field)
    blended = blend(function, batch, (field,), places, tile)
    assert len(blended) == 2
    for one, two in zip(whole, blended):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_weights_of_tiles_sum_to_one_and_each_fits(size):
    batch, _, places = domain(*size)
    tiles = []

    def ones(part):
        shape = part["value"].shape
        assert shape[-2] <= 7 and shape[-1] <= 7
        assert part["surface"].shape[-2:] == shape[-2:]
        tiles.append(shape[-2:])
        return (torch.ones(shape),)

    (total,) = blend(ones, batch, (), places, 7)
    assert total.shape == batch["value"].shape
    torch.testing.assert_close(total, torch.ones_like(total))
    assert len(set(tiles)) == 1  # all of one size, as a compiled network likes


def test_a_domain_that_fits_is_seen_once_and_whole():
    batch, _, places = domain(7, 7)
    calls = []
    blend(lambda part: calls.append(part) or (part["value"],), batch, (), places, 7)
    assert len(calls) == 1 and calls[0] is batch


def test_each_tile_is_told_its_own_place_and_blends_without_a_jump():
    batch, _, places = domain(8, 40)
    told, number = [], iter(range(100))

    def function(part):
        told.append(part["position"])
        return (torch.full(part["value"].shape, float(next(number))),)

    (blended,) = blend(function, batch, (), places, 16)
    row = blended[0, 0, 4]
    assert len(told) == 3 and row[0] == 0 and row[-1] == pytest.approx(2)
    # Starts lie 12 cells apart, so neighbours share 4 and change over within them.
    assert (row.diff() >= -1e-6).all() and row.diff().max() < 0.5
    corners = [0, 12, 24]
    for position, corner in zip(told, corners):
        middle = sphere(places[0].mean(), places[1][corner : corner + 16].mean())
        torch.testing.assert_close(position, torch.tensor(middle).expand(2, 3))
    assert (batch["position"] == 0).all()  # the caller's batch stays as it was


def test_tiles_of_an_untrained_model_equal_the_whole(small_store, seen):
    """Zero heads say the same everywhere; noise and background belong to the domain."""
    model = densifier(small_store)
    whole = reconstruct(model, seen, **FAST)
    tiled = reconstruct(model, seen, **FAST, tile=9)
    np.testing.assert_allclose(whole.members, tiled.members, atol=1e-4)


def test_a_tiled_reconstruction_keeps_what_is_known_and_its_spread(small_store, seen):
    model = ready(small_store)
    tiled = reconstruct(model, seen, **FAST, tile=9).transpose(*DIMS, ...)
    observed = seen.observed.values
    for member in range(3):
        one = tiled.members.isel(member=member).values
        np.testing.assert_allclose(one[observed], seen.value.values[observed], atol=1e-4)
    whole = reconstruct(model, seen, **FAST)
    hidden = seen.ocean.values & ~observed
    ratio = tiled.spread.values[hidden].mean() / whole.spread.values[hidden].mean()
    assert 0.9 < ratio < 1.1  # averaged finished tiles would have less


# --- what comes out ---------------------------------------------------------------------------


@every_mode
@pytest.mark.parametrize("pattern", PATTERNS, ids=["blocks", "profiles"])
def test_a_reconstruction_meets_the_observations_and_leaves_land_empty(
    small_store, fields, mode, pattern
):
    seen = observe(fields, pattern, seed=3)
    result = reconstruct(ready(small_store, mode), seen, **FAST)
    assert result.members.dims == DIMS and result.sizes["member"] == 3
    assert result.member.values.tolist() == [1, 2, 3]
    for name in ("time", "depth", "latitude", "longitude"):
        np.testing.assert_array_equal(result[name], seen[name])
    names = {"members", "mean", "spread", "background", "climatology", "regression"}
    assert set(result.data_vars) == names - ({"regression"} if mode == "diffusion" else set())
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
        np.testing.assert_allclose(result.regression.values[observed], value, atol=1e-4)


def test_mean_spread_and_climatology_are_what_their_names_say(small_store, seen):
    result = reconstruct(ready(small_store), seen, **FAST)
    members = result.members.values.astype(float)
    ocean = np.broadcast_to(seen.ocean.values, seen.observed.shape)
    mean = sum(members[:, m] for m in range(3)) / 3
    spread = np.sqrt(sum((members[:, m] - mean) ** 2 for m in range(3)) / 2)
    np.testing.assert_allclose(result["mean"].values[ocean], mean[ocean], atol=1e-4)
    np.testing.assert_allclose(result.spread.values[ocean], spread[ocean], atol=1e-4)
    normal = climatology(small_store.statistics(), seen.time.values)[:, small_store.surfaces :]
    np.testing.assert_allclose(result.climatology.values[ocean], normal[ocean], atol=1e-4)


def test_an_untrained_model_gives_the_background_back(small_store, seen):
    result = reconstruct(densifier(small_store, "regression"), seen, **FAST)
    hidden = seen.ocean.values & ~seen.observed.values
    regression, background = result.regression.values[hidden], result.background.values[hidden]
    np.testing.assert_allclose(regression, background, atol=1e-4)


def test_members_of_the_regression_scatter_by_its_deviation(small_store, seen):
    """200 members about the mean, against a model that says the background and its error."""
    model = densifier(small_store, "regression")
    one = seen.isel(time=[0])
    result = reconstruct(model, one, members=200)
    hidden = one.ocean.values & ~one.observed.values[0]
    batch = with_background(standardise(one, model.statistics), model.background)
    scale = model.statistics.deviation.values[small_store.surfaces :]
    deviation = batch["background_error"][0].numpy() * scale
    ratio = result.spread.values[0][hidden] / deviation[hidden]
    assert abs(ratio.mean() - 1) < 0.02 and ratio.std() < 0.08
    off = (result["mean"] - result.regression).values[0][hidden] / deviation[hidden]
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
        surface_observed=xr.zeros_like(seen.surface_observed),
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
    one, two = (reconstruct(model, seen, **FAST, sampler=sampler, seed=4) for _ in range(2))
    xr.testing.assert_identical(one, two)
    other = reconstruct(model, seen, **FAST, sampler=sampler, seed=5)
    hidden = seen.ocean.values & ~seen.observed.values
    same = np.isclose(one.members, other.members, atol=1e-3).swapaxes(0, 1)
    assert same[:, hidden].mean() < 0.05


@pytest.mark.parametrize(
    ("mode", "sampler"),
    [("regression", "ddim"), *((mode, s) for mode in ("diffusion", "residual") for s in SAMPLERS)],
)
def test_members_depend_neither_on_the_chunk_nor_on_their_number(small_store, seen, mode, sampler):
    model = ready(small_store, mode)
    five = reconstruct(model, seen, members=5, steps=3, sampler=sampler, chunk=8)
    for chunk in (1, 2):
        again = reconstruct(model, seen, members=5, steps=3, sampler=sampler, chunk=chunk)
        np.testing.assert_allclose(five.members, again.members, atol=2e-3)
    two = reconstruct(model, seen, members=2, steps=3, sampler=sampler)
    np.testing.assert_allclose(five.members[:, :2], two.members, atol=2e-3)


def test_members_and_dates_have_noise_of_their_own(small_store, seen):
    """Two dates with the same cells observed, by a model that hardly changes the noise."""
    given = seen.observed.isel(time=0, drop=True)
    same = seen.assign(observed=given.expand_dims(time=seen.time), value=seen.value.fillna(10.0))
    result = reconstruct(densifier(small_store), same, **FAST)
    noise = (result.members - result.regression).transpose("member", *DIMS[:1], *DIMS[2:]).values
    flat = noise[:, :, same.ocean.values & ~given.values].reshape(6, -1)
    correlation = np.corrcoef(flat) - np.eye(6)
    assert flat.shape[1] > 500 and np.abs(correlation).max() < 0.2


def test_later_dates_do_not_change_earlier_ones(small_store, seen):
    model = ready(small_store)
    both_dates = reconstruct(model, seen, **FAST)
    first = reconstruct(model, seen.isel(time=[0]), **FAST)
    xr.testing.assert_allclose(first, both_dates.isel(time=[0]), atol=1e-4)


# --- refusals, progress, pictures -------------------------------------------------------------


def test_what_cannot_be_reconstructed_is_refused(small_store, seen):
    model = densifier(small_store)
    with pytest.raises(ValueError, match="1 member gives no spread.*at least 2"):
        reconstruct(model, seen, members=1)
    with pytest.raises(ValueError, match="reaches outside"):
        reconstruct(model, seen.assign_coords(longitude=seen.longitude + 5))
    with pytest.raises(ValueError, match="levels.*differ"):
        reconstruct(model, seen.isel(depth=slice(0, 3)))
    with pytest.raises(ValueError, match="'euler' is not known"):
        reconstruct(model, seen, sampler="euler")


def test_progress_wraps_the_dates(small_store, seen):
    calls = []

    def progress(records, total):
        calls.append((list(records), total))
        return calls[-1][0]

    reconstruct(densifier(small_store, "regression"), seen, members=2, progress=progress)
    assert calls == [([0, 1], 2)]


@pytest.mark.parametrize("mode", ["diffusion", "residual"])
@both
def test_denoising_ends_in_the_first_member_at_noise_zero(small_store, seen, mode, sampler):
    model = ready(small_store, mode)
    frames = denoising(model, seen, 100.0, steps=4, sampler=sampler, seed=2)
    assert frames.dims == ("step", "latitude", "longitude") and frames.sizes["step"] == 5
    levels = frames.noise_level.values
    assert levels[0] == 1 and levels[-1] == 0 and (np.diff(levels) < 0).all()
    assert float(frames.depth) == pytest.approx(109.7)
    ocean = seen.ocean.sel(depth=100.0, method="nearest").values
    for frame in frames.values:
        np.testing.assert_array_equal(np.isnan(frame), ~ocean)
    whole = reconstruct(model, seen, members=2, steps=4, sampler=sampler, seed=2)
    last = whole.members.isel(time=0, member=0).sel(depth=100.0, method="nearest")
    np.testing.assert_allclose(frames[-1], last, atol=2e-3)
    assert not np.allclose(frames.values[0][ocean], frames.values[-1][ocean], atol=0.1)


def test_a_regression_has_no_denoising(small_store, seen):
    with pytest.raises(ValueError, match="no denoising.*residual.*diffusion"):
        denoising(densifier(small_store, "regression"), seen, 10.0)
