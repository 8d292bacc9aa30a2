"""Patches against the store's own values."""

import copy

import numpy as np
import pytest
import torch
from tiny import background

from ocean_lib.model.patches import PatchSampler, check_patch
from ocean_lib.observations.batch import with_background
from ocean_lib.store.build import STEP
from ocean_lib.store.store import build_store

MIXED = [
    {"pattern": "blocks", "observed": 0.5},
    {"pattern": "profiles", "observed": 0.03, "surface": 0.7, "clouds": [0.1, 0.6]},
]
SHAPES = {
    "field": (6, 5, 11, 11),
    "value": (6, 5, 11, 11),
    "observed": (6, 5, 11, 11),
    "error": (6, 5, 11, 11),
    "ocean": (6, 5, 11, 11),
    "surface": (6, 1, 11, 11),
    "surface_observed": (6, 1, 11, 11),
    "surface_error": (6, 1, 11, 11),
    "latitude": (6, 11),
    "longitude": (6, 11),
    "position": (6, 3),
    "season": (6, 2),
    "when": (6, 3),
    "beside_value": (6, 2, 5, 11, 11),
    "beside_observed": (6, 2, 5, 11, 11),
    "beside_error": (6, 2, 5, 11, 11),
    "beside_surface": (6, 2, 1, 11, 11),
    "beside_surface_observed": (6, 2, 1, 11, 11),
    "beside_surface_error": (6, 2, 1, 11, 11),
}
MASKS = ("observed", "ocean", "surface_observed", "beside_observed", "beside_surface_observed")


PRECISE = ("when", "latitude", "longitude")


def batches(store, part="train", patch=11, specifications=MIXED, **arguments):
    return PatchSampler(store, part, patch=patch, specifications=specifications, **arguments)


@pytest.fixture(scope="module")
def coded(small_store):
    """The store with values that say which date and cell (y, x) they come from, channel by channel.

    Level 0 counts cells, 60 x 20 x 28 of them, from -32768; channel c adds 77 c and wraps.
    """
    store = copy.copy(small_store)
    number = np.arange(60 * 20 * 28).reshape(60, 20, 28, 1)
    codes = (number + 77 * (np.arange(6) - 1)) % 65536 - 32768
    store.anomaly = codes.astype(np.int16)
    return store


def decode(level0):
    """Dates, rows and columns of coded values of level 0."""
    codes = np.rint(level0.cpu().numpy() / STEP).astype(int) + 32768
    return np.unravel_index(codes, (60, 20, 28))


# The batch of the design


def test_a_batch_has_the_shapes_and_types_of_the_design(small_store, device):
    batch = batches(small_store, device=device).draw(0, 6)
    assert {name: tuple(part.shape) for name, part in batch.items()} == SHAPES
    for name, part in batch.items():
        kind = torch.bool if name in MASKS else torch.float32
        kind = torch.float64 if name in PRECISE else kind
        assert part.dtype == kind, name
        assert part.device.type == torch.device(device).type, name
        assert torch.isfinite(part.float()).all() or name == "when", name


def test_a_background_adds_itself_and_its_error(small_store, device):
    guess = background(small_store).to(device)
    plain = batches(small_store, device=device).draw(3, 6)
    batch = batches(small_store, device=device, background=guess).draw(3, 6)
    assert set(batch) - set(plain) == {"background", "background_error"}
    for name, part in plain.items():
        assert torch.equal(part.nan_to_num(), batch[name].nan_to_num()), name
    again = with_background(plain, guess)
    for name in ("background", "background_error"):
        assert batch[name].shape == SHAPES["field"] and batch[name].dtype == torch.float32
        torch.testing.assert_close(again[name], batch[name])


def test_what_is_not_observed_is_zero_and_what_is_equals_the_field(small_store, device):
    batch = batches(small_store, device=device).draw(1, 24)
    observed, seen = batch["observed"], batch["surface_observed"]
    assert torch.equal(batch["value"], torch.where(observed, batch["field"], 0.0))
    assert observed.any() and seen.any() and not batch["error"].any()
    assert not batch["value"][~observed].any() and not batch["surface"][~seen].any()
    assert batch["surface"][seen].any()
    assert not (observed & ~batch["ocean"]).any() and not (seen & ~batch["ocean"][:, :1]).any()
    assert not batch["field"][~batch["ocean"]].any()


def test_the_surface_never_makes_the_first_level_observed(small_store):
    seen_only = [{"pattern": "pixels", "observed": 0.0, "surface": 1.0}]
    batch = batches(small_store, specifications=seen_only).draw(0, 6)
    assert not batch["observed"].any() and not batch["value"].any()
    assert torch.equal(batch["surface_observed"], batch["ocean"][:, :1])


# Values at their place


@pytest.mark.parametrize("patch", [1, 7, 20])
def test_patches_are_the_stores_own_values_at_the_right_place(coded, patch, device):
    batch = batches(coded, patch=patch, device=device, wet=0.0).draw(5, 9)
    dates, rows, columns = decode(batch["field"][:, 0])
    for sample in range(9):
        date, row, column = (int(place[sample, 0, 0]) for place in (dates, rows, columns))
        inside = (slice(row, row + patch), slice(column, column + patch))
        expected = np.moveaxis(coded.anomaly[(date, *inside)], -1, 0) * np.float32(STEP)
        np.testing.assert_allclose(batch["field"][sample].cpu(), expected[1:], rtol=1e-6)
        wet = np.moveaxis(coded.ocean[inside], -1, 0)
        np.testing.assert_array_equal(batch["ocean"][sample].cpu(), wet[1:])
        surface = np.where(batch["surface_observed"][sample].cpu(), expected[:1], 0)
        np.testing.assert_allclose(batch["surface"][sample].cpu(), surface, rtol=1e-6)


def test_position_and_season_are_those_of_the_patch(coded):
    batch = batches(coded, patch=7, wet=0.0).draw(2, 30)
    dates, rows, columns = (place[:, 0, 0] for place in decode(batch["field"][:, 0]))
    latitude = np.deg2rad(33 + (rows + 3) / 12)  # the middle one of seven
    longitude = np.deg2rad(-65 + (columns + 3) / 12)
    x, y, z = batch["position"].double().numpy().T
    np.testing.assert_allclose(np.arcsin(z), latitude, atol=1e-6)
    np.testing.assert_allclose(np.arctan2(y, x), longitude, atol=1e-6)
    day = (coded.times[dates] - coded.times[dates].astype("M8[Y]")) / np.timedelta64(1, "D")
    leap = coded.times[dates].astype("M8[Y]") == np.datetime64("1996")
    phase = 2 * np.pi * day / np.where(leap, 366, 365)
    np.testing.assert_allclose(batch["season"].T, [np.sin(phase), np.cos(phase)], atol=1e-6)


@pytest.mark.parametrize(
    "part, first, last", [("train", 0, 35), ("validation", 39, 46), ("test", 50, 59)]
)
def test_no_batch_leaves_the_dates_of_its_part(coded, part, first, last):
    drawn = batches(coded, part, patch=3)
    dates = np.concatenate([decode(drawn.draw(k, 64)["field"][:, 0])[0].ravel() for k in range(12)])
    assert (dates.min(), dates.max()) == (first, last)


def test_no_batch_leaves_the_columns_of_its_part(small_ocean, tmp_path):
    """Of a store split in space, the longitudes of patches tell."""
    store = build_store(small_ocean.isel(time=slice(0, 5)), tmp_path / "s", gap_cells=3)
    for part in ("train", "validation", "test"):
        columns = store.split[part]
        patch = min(3, columns[1] - columns[0])
        x, y, _ = batches(store, part, patch=patch).draw(0, 200)["position"].double().numpy().T
        cells = (np.rad2deg(np.arctan2(y, x)) + 65) * 12
        half = (patch - 1) / 2
        assert cells.min() == pytest.approx(columns[0] + half, abs=1e-3)
        assert cells.max() == pytest.approx(columns[1] - 1 - half, abs=1e-3)


def test_a_whole_field_as_one_patch_and_one_level_work(small_ocean, tmp_path, device):
    store = build_store(
        small_ocean.isel(depth=[0], longitude=slice(0, 20)), tmp_path / "s", validation=8, test=10
    )
    batch = batches(store, patch=20, specifications=MIXED[:1], device=device).draw(0, 2)
    assert batch["field"].shape == (2, 1, 20, 20)
    assert batch["surface"].shape == batch["surface_observed"].shape == (2, 0, 20, 20)


# Randomness


def test_the_same_seed_and_step_give_the_same_batch(small_store, device):
    first = batches(small_store, seed=4, device=device)
    again = batches(small_store, seed=4, device=device)
    first.draw(0, 6)
    for name, part in first.draw(7, 6).items():
        assert torch.equal(part.nan_to_num(), again.draw(7, 6)[name].nan_to_num()), name


def test_another_seed_or_step_gives_another_batch(small_store, device):
    drawn = [
        batches(small_store, seed=seed, device=device).draw(step, 6)
        for seed, step in ((0, 7), (0, 8), (1, 7), (8, 0))
    ]
    for index, one in enumerate(drawn):
        for other in drawn[:index]:
            assert not torch.equal(one["field"], other["field"])
            assert not torch.equal(one["observed"], other["observed"])


# Refusals and the share of ocean


@pytest.mark.parametrize("patch", [21, 128])
def test_a_patch_larger_than_the_field_is_refused(small_store, patch):
    with pytest.raises(ValueError, match=f"patch {patch} exceeds the 20 rows or 28.*<= 20"):
        batches(small_store, patch=patch)
    assert check_patch(20, (20, 28)) == (20, 20)
    assert check_patch((20, 28), (20, 28)) == (20, 28)
    with pytest.raises(ValueError, match="exceeds the 20 rows"):
        check_patch((21, 4), (20, 28))


@pytest.mark.parametrize("wet", [0.3, 0.9, 1.0])
def test_patches_hold_as_much_ocean_as_asked(small_store, wet):
    drawn = batches(small_store, patch=5, wet=wet)
    share = drawn.draw(0, 300)["ocean"][:, 0].float().mean((1, 2))
    assert float(share.min()) >= wet
    ocean = small_store.ocean[..., 1]
    expected = [
        (y, x) for y, x in np.ndindex(16, 24) if ocean[y : y + 5, x : x + 5].mean() >= wet - 1e-12
    ]
    assert [tuple(corner) for corner in drawn.corners.tolist()] == expected


def test_a_region_with_too_little_ocean_is_refused(small_store):
    land = copy.copy(small_store)
    land.ocean = np.zeros_like(small_store.ocean)
    with pytest.raises(ValueError, match="no patch of 8×8 cells is at least 10% ocean"):
        batches(land, patch=8)
    # Asked for, all land gives a batch without any ocean and without any observation.
    batch = batches(land, patch=8, wet=0.0).draw(0, 3)
    assert not batch["ocean"].any() and not batch["observed"].any()
    assert not batch["surface_observed"].any()


def test_a_wrong_pattern_is_refused_before_anything_is_drawn(small_store):
    with pytest.raises(ValueError, match="'stripes'"):
        batches(small_store, specifications=[{"pattern": "stripes", "observed": 0.5}])


def test_on_a_cpu_patches_are_cut_from_the_memory_map_itself(small_store):
    """A store larger than memory can be trained on: nothing is copied before a patch is cut."""
    drawn = PatchSampler(
        small_store, "train", patch=8, specifications=[{"pattern": "blocks", "observed": 0.5}]
    )
    assert np.shares_memory(drawn.anomaly.numpy(), small_store.anomaly)


class Far:
    """A background that says nothing, and takes two months before and after."""

    reach = 2

    def __call__(self, batch):
        return torch.zeros_like(batch["value"]), torch.ones_like(batch["value"])


def test_dates_beside_are_those_before_and_after_in_order(coded):
    """All months within the background's reach, each at its own place, as `when` says."""
    some = batches(coded, specifications=[{"pattern": "pixels", "observed": 0.9}], background=Far())
    batch = some.draw(3, 12)
    assert batch["beside_value"].shape[1] == 4 and batch["when"].shape == (12, 5)
    month = np.rint(batch["when"].numpy() - batch["when"].numpy()[:, 2:3])
    own, rows, columns = decode(batch["field"][:, 0])
    there = 0
    for sample in range(12):
        for k, lag in enumerate((-2, -1, 1, 2)):
            seen = batch["beside_observed"][sample, k, 0].numpy()
            known = np.isfinite(month[sample, k + (k > 1)])
            assert seen.any() == known
            if known:
                date, y, x = decode(batch["beside_value"][sample, k, 0])
                assert month[sample, k + (k > 1)] == lag
                assert (date[seen] == own[sample][seen] + lag).all()
                assert (y[seen] == rows[sample][seen]).all()
                assert (x[seen] == columns[sample][seen]).all()
                there += 1
    assert 12 < there < 48


def test_dates_that_are_asked_for_are_seen_alike_each_with_its_own_values(coded):
    specification = [{"pattern": "pixels", "observed": [0.1, 0.9], "surface": 0.5, "clouds": 0.3}]
    some = batches(coded, specifications=specification, background=Far())
    for step in range(4):
        batch, cuts = some.draw_at(step, 3, torch.tensor([9, 30, 17]))
        assert cuts[:, 0].tolist() == [9, 30, 17] and (cuts[:, 1:] == cuts[0, 1:]).all()
        for name in ("observed", "error", "surface_observed", "beside_observed"):
            assert (batch[name] == batch[name][0]).all(), name
        own, _, _ = decode(batch["field"][:, 0])
        assert (own == np.array([9, 30, 17])[:, None, None]).all()
        seen = batch["observed"]
        assert torch.equal(batch["value"][seen], batch["field"][seen])
    others, _ = some.draw_at(0, 3, torch.tensor([9, 30, 17]))
    assert not torch.equal(others["observed"], batch["observed"])


def test_months_asked_for_have_errors_of_one_size_and_noise_of_their_own(small_store):
    specification = [{"pattern": "pixels", "observed": 0.9, "error": [0.2, 0.3]}]
    some = batches(small_store, specifications=specification)
    uncertain = 0
    for step in range(20):
        batch, _ = some.draw_at(step, 2, torch.tensor([3, 3]))
        assert torch.equal(batch["error"][0], batch["error"][1])
        if batch["error"].any():
            uncertain += 1
            assert not torch.equal(batch["value"][0], batch["value"][1])
    assert 0 < uncertain < 20
