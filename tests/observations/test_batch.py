"""Observations drawn from whole fields, and conversion to standardised units and back."""

import numpy as np
import pytest
import torch

from ocean_lib.classical.result import to_units
from ocean_lib.core.geometry import sphere
from ocean_lib.observations.batch import (
    exactly_observed,
    observe,
    select_statistics,
    standardise,
    uncertain_ocean,
)

FLOATS = {"pattern": "profiles", "observed": 0.03, "surface": 0.7, "clouds": [0.1, 0.6]}
SIZES = dict.fromkeys(("value", "observed", "error", "ocean", "surface"), 4)
SIZES |= {"surface_observed": 4, "surface_error": 4}
SIZES |= {"latitude": 2, "longitude": 2, "position": 2, "season": 2, "when": 2}
MASKS = ("observed", "ocean", "surface_observed")
PRECISE = ("when", "latitude", "longitude")


# Observations of whole fields


def test_observations_are_fixed_by_their_seed(small_store):
    fields = small_store.fields("test")
    first, again, other = (observe(fields, FLOATS, seed) for seed in (3, 3, 4))
    assert first.identical(again)
    assert not np.array_equal(first.observed, other.observed)
    assert not np.array_equal(first.observed[0], first.observed[1])


def test_observations_hold_the_field_where_observed_and_nothing_elsewhere(small_store):
    fields = small_store.fields("test")
    kept = fields.copy(deep=True)
    observations = observe(fields, FLOATS, 0)
    assert fields.identical(kept)
    observed = observations.observed.values
    assert observations.value.dims == ("time", "depth", "latitude", "longitude")
    assert observed.dtype == bool and observed.any() and not (observed & ~fields.ocean.values).any()
    expected = np.where(observed, fields.temperature, np.nan)
    np.testing.assert_array_equal(observations.value, expected)
    assert observations.error.dtype == np.float32 and not observations.error.any()
    np.testing.assert_array_equal(observations.ocean, fields.ocean)
    seen = observations.surface_temperature_observed.values
    assert seen.dtype == bool and seen.any() and not seen.all()
    expected = np.where(seen, fields.surface_temperature, np.nan)
    np.testing.assert_array_equal(observations.surface_temperature, expected)


def test_observations_of_a_field_without_a_surface_have_none(small_store):
    observations = observe(small_store.fields("test").drop_vars("surface_temperature"), FLOATS, 0)
    assert set(observations.data_vars) == {"value", "observed", "error", "ocean"}


def test_every_surface_field_is_standardised_by_its_own_statistics(three_surfaces):
    """Three fields, in the table's order; one of them is not seen."""
    store = three_surfaces
    assert store.surfaces == {
        "surface_temperature": 0.1, "sea_level": 0.02, "surface_salinity": 0.15,
    }  # fmt: skip
    fields, seen = store.fields("test"), {"surface_temperature": 1.0, "sea_level": 1.0}
    observations = observe(fields, FLOATS | {"surface": seen, "clouds": 0.0}, 0)
    batch = standardise(observations, store.statistics())
    ocean, stored = fields.ocean.values[0], store.standardised("test")
    for channel, name in enumerate(store.surfaces):
        there = batch["surface_observed"][:, channel].numpy()
        assert (there == (ocean & (name in seen))).all()
        expected = np.where(there, stored[:, channel], 0)
        np.testing.assert_allclose(batch["surface"][:, channel], expected, atol=2e-3)
        error = store.surfaces[name] / store.deviation[..., channel]
        error = np.where(there, error, 0)
        np.testing.assert_allclose(batch["surface_error"][:, channel], error, rtol=1e-5)


# °C there and back


@pytest.fixture
def all_seen(small_store):
    whole = {"pattern": "pixels", "observed": 1.0, "surface": 1.0}
    return observe(small_store.fields("test"), whole, 0)


def test_standardising_undoes_restoring_and_equals_the_store(small_store, all_seen, device):
    statistics = small_store.statistics()
    batch = standardise(all_seen, statistics, device)
    stored = small_store.standardised("test")
    np.testing.assert_allclose(batch["value"].cpu(), stored[:, 1:], atol=2e-4)
    np.testing.assert_allclose(batch["surface"].cpu(), stored[:, :1], atol=2e-4)
    back = to_units(batch["value"].cpu().numpy(), all_seen, statistics)
    np.testing.assert_allclose(back, all_seen.value, atol=1e-5)
    ocean = np.broadcast_to(all_seen.ocean, back.shape)
    np.testing.assert_array_equal(np.isnan(back), ~ocean)
    np.testing.assert_array_equal(batch["ocean"].cpu(), ocean)
    np.testing.assert_array_equal(batch["observed"].cpu(), ocean)


def test_a_batch_from_observations_equals_the_design_but_for_the_field(small_store, all_seen):
    batch = standardise(all_seen, small_store.statistics())
    assert set(batch) == set(SIZES)
    for name, part in batch.items():
        kind = torch.bool if name in MASKS else torch.float32
        kind = torch.float64 if name in PRECISE else kind
        assert part.dtype == kind, name
        assert part.dim() == SIZES[name] and len(part) == 10, name
    middle = sphere(33 + 9.5 / 12, -65 + 13.5 / 12)
    np.testing.assert_allclose(batch["position"], np.tile(middle, (10, 1)), atol=1e-6)
    np.testing.assert_allclose((batch["season"] ** 2).sum(1), 1, atol=1e-6)


def test_errors_are_scaled_by_the_deviation_and_have_no_climatology(small_store, all_seen):
    statistics = small_store.statistics()
    uncertain = all_seen.assign(error=all_seen.error + np.float32(0.4))
    error = standardise(uncertain, statistics)["error"].numpy()
    expected = np.where(all_seen.ocean, 0.4 / statistics.deviation.values[1:], 0)
    np.testing.assert_allclose(error[4], expected, rtol=1e-5)
    back = to_units(error, uncertain, statistics, error=True)
    np.testing.assert_allclose(back, np.where(all_seen.observed, 0.4, np.nan), rtol=1e-5)


def test_what_was_not_observed_enters_as_zero(small_store):
    observations = observe(small_store.fields("test"), FLOATS, 2)
    garbage = observations.copy(deep=True)
    garbage["value"] = observations.value.where(observations.observed, 99.0)
    garbage["error"] = observations.error.where(observations.observed, np.nan)
    garbage["surface_temperature"] = observations.surface_temperature.where(
        observations.surface_temperature_observed, -99.0
    )
    clean, dirty = (standardise(o, small_store.statistics()) for o in (observations, garbage))
    for name, part in clean.items():
        assert torch.equal(part.nan_to_num(), dirty[name].nan_to_num()), name
    assert not clean["value"][~clean["observed"]].any()
    assert not clean["surface"][~clean["surface_observed"]].any()


def test_observations_without_a_surface_are_seen_as_clouded(small_store, all_seen):
    bare = all_seen.drop_vars(["surface_temperature", "surface_temperature_observed"])
    batch = standardise(bare, small_store.statistics())
    assert batch["surface"].shape == (10, 1, 20, 28)
    assert not batch["surface"].any() and not batch["surface_observed"].any()


def test_the_order_of_dimensions_does_not_matter(small_store):
    observations = observe(small_store.fields("test"), FLOATS, 1)
    turned = observations.transpose("longitude", "latitude", "depth", "time")
    first, second = (standardise(o, small_store.statistics()) for o in (observations, turned))
    for name, part in first.items():
        assert torch.equal(part.nan_to_num(), second[name].nan_to_num()), name


def test_uncertain_ocean_has_the_hidden_cells_and_those_observed_with_an_error(small_store):
    observations = observe(small_store.fields("test"), FLOATS, 5)
    generator = np.random.default_rng(0)
    drawn = generator.exponential(0.3, observations.error.shape).astype(np.float32)
    drawn[generator.random(drawn.shape) < 0.5] = 0
    observations["error"] = observations.error.copy(data=drawn).where(observations.observed)
    batch = standardise(observations, small_store.statistics())
    observed, ocean = observations.observed.values, batch["ocean"].numpy()
    hidden, with_error = ocean & ~observed, observed & (drawn > 0)
    assert with_error.any() and (observed & ~with_error).any()
    uncertain = uncertain_ocean(batch).numpy()
    np.testing.assert_array_equal(uncertain, hidden | with_error)
    np.testing.assert_array_equal(uncertain & ~hidden, with_error)
    np.testing.assert_array_equal(ocean & ~uncertain, exactly_observed(batch).numpy())


# Statistics at a grid


def test_statistics_of_a_part_are_those_of_its_cells(small_store, small_ocean):
    grid = small_ocean.isel(latitude=slice(3, 9), longitude=slice(20, 28))
    local = select_statistics(small_store.statistics(), grid)
    np.testing.assert_array_equal(
        local.deviation, np.moveaxis(small_store.deviation[3:9, 20:28], -1, 0)
    )
    np.testing.assert_array_equal(
        local.harmonic[1], np.moveaxis(small_store.climatology[1, 3:9, 20:28], -1, 0)
    )
    assert [*local.attrs["surfaces"]] == ["surface_temperature"]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"longitude": 1.0}, ["longitude", "-64.00", "-62.75", "choose a region inside"]),
        ({"latitude": -0.2}, ["latitude", "32.80", "33.00", "choose a region inside"]),
        ({"depth": 30.0}, ["levels", "39.6", "9.6", "put the observations on those levels"]),
    ],
)
def test_a_grid_outside_the_statistics_is_refused(small_store, small_ocean, change, words):
    moved = small_ocean.assign_coords({k: small_ocean[k] + v for k, v in change.items()})
    with pytest.raises(ValueError) as caught:
        select_statistics(small_store.statistics(), moved)
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in {caught.value}"


def test_other_numbers_of_levels_are_refused(small_store, small_ocean):
    with pytest.raises(ValueError, match=r"levels \[9.6, 47.4\] m differ"):
        select_statistics(small_store.statistics(), small_ocean.isel(depth=slice(0, 2)))
