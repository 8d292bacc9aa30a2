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


def test_the_sea_floor_lies_midway_below_the_deepest_level(sample):
    floor = columns.column_floor(sample[1], DEPTH)
    np.testing.assert_array_equal(floor, [np.inf, 210.0, 35.0, 5.0, 0.0])


@pytest.mark.parametrize("limit", [1.0, 8.0, 30.0, 150.0, 300.0, 400.0])
def test_an_integral_is_that_of_a_fine_profile(sample, limit):
    field, ocean = sample
    floor = columns.column_floor(ocean, DEPTH)
    got = columns.integral(field, DEPTH, limit, floor)
    for column in range(5):
        wet, end = ocean[:, column], min(limit, floor[column])
        if not wet.any() or end > DEPTH[-1]:
            assert np.isnan(got[column])
            continue
        fine = (np.arange(100000) + 0.5) * end / 100000
        expected = np.interp(fine, DEPTH[wet], field[wet, column]).mean() * end
        assert got[column] == pytest.approx(expected, rel=1e-6)


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
