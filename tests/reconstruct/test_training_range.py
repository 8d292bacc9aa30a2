"""Warnings of observations unlike the training data, against counts."""

import numpy as np
import pytest
import xarray as xr
from tiny import densifier

from ocean_lib.observations.batch import observe
from ocean_lib.reconstruct.training_range import extend_statistics, outside_training


@pytest.fixture(scope="module")
def seen(small_store):
    fields = small_store.fields("test").isel(time=slice(0, 4))
    drawn = observe(fields, {"pattern": "profiles", "observed": 0.05, "surface": 1.0}, seed=3)
    return drawn.assign_attrs(notes=[])


def told(small_store, observations):
    return outside_training(densifier(small_store, "regression"), observations)


def test_observations_like_the_training_need_no_warning(small_store, seen):
    assert told(small_store, seen) == []


def shifted(seen):
    return seen.assign_coords(longitude=seen.longitude + 1.0)


def coarse(seen):
    return seen.isel(latitude=slice(None, None, 3))


def warm(seen):
    return seen.assign(value=seen.value + 9)


def mixed(seen):
    """The right mean at every level, the wrong difference between them."""
    sign = xr.DataArray([1, -1, 1, -1, 1], dims="depth")
    return seen.assign(value=seen.value + 1.2 * sign)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (shifted, ["region", "43%", "-65.0 to -62.8 °E"]),
        (coarse, ["grid", "0.250°", "0.083°", "latitude"]),
        (warm, ["values", "times", "limit 2", "of 5 depths"]),
        (mixed, ["stratification", "–", "times", "of 4 depths"]),
    ],
)
def test_what_is_new_to_the_model_is_told_in_numbers(small_store, seen, change, words):
    lines = told(small_store, change(seen))
    chosen = [line for line in lines if line.startswith(words[0])]
    assert len(chosen) == 1, lines
    for word in words:
        assert word in chosen[0], (word, chosen[0])


def test_a_season_never_trained_on_is_told(small_store, seen):
    model = densifier(small_store, "regression")
    model.statistics.attrs["months"] = [6, 7, 8]
    months = sorted({int(m) for m in seen.time.dt.month.values} - {6, 7, 8})
    (line,) = outside_training(model, seen)
    assert line.startswith("season") and str(months) in line and "[6, 7, 8]" in line


def test_beyond_the_edge_the_nearest_place_holds(small_store, seen):
    statistics = small_store.statistics()
    assert extend_statistics(statistics, seen) is statistics
    reached = extend_statistics(statistics, shifted(seen))
    np.testing.assert_array_equal(reached.longitude, seen.longitude + 1)
    np.testing.assert_array_equal(reached.deviation[..., -1], statistics.deviation[..., -1])
    np.testing.assert_array_equal(reached.deviation[..., 0], statistics.deviation[..., 12])
