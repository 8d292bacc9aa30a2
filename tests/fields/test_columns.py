"""Integrals and crossings of columns against loops and analytic profiles."""

import numpy as np
import pytest

from ocean_lib.fields import columns

DEPTH = np.array([2.0, 8.0, 20.0, 50.0, 120.0, 300.0])


@pytest.fixture
def sample():
    """Five columns of random values, each ending at another level; the last is land."""
    field = np.random.default_rng(0).normal(10, 3, (6, 5))
    ocean = np.arange(6)[:, None] < [6, 5, 3, 1, 0]
    return np.where(ocean, field, np.nan), ocean


def down_to_floor(field, ocean):
    """The field with the value of the deepest ocean level below it."""
    whole = field.copy()
    for column, levels in enumerate(ocean.sum(axis=0)):
        whole[levels:, column] = field[levels - 1, column] if levels else np.nan
    return whole


def test_the_sea_floor_lies_midway_below_the_deepest_level(sample):
    floor = columns.column_floor(sample[1], DEPTH)
    np.testing.assert_array_equal(floor, [np.inf, 210.0, 35.0, 5.0, 0.0])


@pytest.mark.parametrize("limit", [1.0, 8.0, 30.0, 150.0, 300.0, 400.0])
def test_an_integral_is_that_of_a_fine_profile(sample, limit):
    field, ocean = sample
    floor = columns.column_floor(ocean, DEPTH)
    got = columns.integral(down_to_floor(field, ocean), DEPTH, limit, floor)
    for column in range(5):
        wet, end = ocean[:, column], min(limit, floor[column])
        if not wet.any() or end > DEPTH[-1]:
            assert np.isnan(got[column])
            continue
        fine = (np.arange(100000) + 0.5) * end / 100000
        expected = np.interp(fine, DEPTH[wet], field[wet, column]).mean() * end
        assert got[column] == pytest.approx(expected, rel=1e-6)


def test_a_gap_in_the_ocean_is_not_the_sea_floor(sample):
    field, ocean = sample
    field[2, 0] = np.nan  # at 20 m
    floor = columns.column_floor(ocean, DEPTH)
    whole = down_to_floor(field, ocean)
    assert np.isnan(columns.integral(whole, DEPTH, 30.0, floor)[0])
    assert np.isfinite(columns.integral(whole, DEPTH, 8.0, floor)[0])


def test_a_gap_hides_the_base_of_the_mixed_layer():
    density = np.array([25.0, 25.0, np.nan, 25.2, 25.4, 25.6])
    assert np.isnan(columns.mixed_layer_depth(density[:, None], DEPTH))
    density = np.array([25.0, 25.0, 25.0, np.nan, 25.0, 25.0])  # mixed to the floor all the same
    assert columns.mixed_layer_depth(density[:, None], DEPTH) == 300.0


def test_the_first_crossing_is_interpolated():
    field = np.array([[1.0, 3, 2, 5, 9, 9], [4, 5, 6, 7, 8, 9], [1, 1, 1, 1, 1, 1]]).T
    got = columns.first_above(field, DEPTH, 2.5)
    np.testing.assert_allclose(got, [2 + 6 * 0.75, np.nan, np.nan])


def test_the_mixed_layer_ends_where_density_has_risen_from_10_m():
    density = np.tile(25 + np.clip(DEPTH - 40, 0, None)[:, None] * 1e-3, 3)
    density[3:, 1] = np.nan  # mixed to its floor
    density[1:, 2] = np.nan  # shallower than 10 m
    got = columns.mixed_layer_depth(density, DEPTH)
    np.testing.assert_allclose(got, [50 + 70 * 20 / 70, 20.0, np.nan])
    with pytest.raises(ValueError, match="20 to 300 m do not enclose 10 m.*choose depths"):
        columns.mixed_layer_depth(density[2:], DEPTH[2:])
