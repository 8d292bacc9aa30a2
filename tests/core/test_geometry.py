"""Geometry of the sphere: turns, poles, and grids that go round the globe."""

import numpy as np
import pytest

from ocean_lib.core.geometry import is_ring, sphere, wrap_longitude


def test_longitudes_of_any_turn_are_wrapped_around_a_centre():
    longitude = np.array([-540.0, -180.0, 0.0, 179.5, 180.0, 359.0, 725.0])
    wrapped = wrap_longitude(longitude)
    np.testing.assert_array_equal(wrapped, [-180, -180, 0, 179.5, -180, -1, 5])
    around = wrap_longitude(longitude, 200.0)
    assert ((around >= 20) & (around < 380)).all()
    np.testing.assert_array_equal((around - longitude) % 360, 0)


def test_the_sphere_has_its_poles_and_corners():
    np.testing.assert_allclose(sphere(90, 17), [0, 0, 1], atol=1e-7)
    np.testing.assert_allclose(sphere(0, -90), [0, -1, 0], atol=1e-7)
    np.testing.assert_allclose(sphere(0, 180), sphere(0, -180), atol=1e-6)
    points = sphere(np.zeros((2, 3)), np.ones((2, 3)))
    assert points.shape == (2, 3, 3) and points.dtype == np.float32


@pytest.mark.parametrize(
    ("longitude", "ring"),
    [
        (np.arange(-180, 180, 1 / 12), True),
        (np.arange(0.5, 360, 1), True),
        (np.arange(-180, 179, 1.0), False),
        (np.arange(170, 200, 0.25), False),
        (np.array([5.0]), False),
    ],
)
def test_a_ring_is_told_by_its_longitudes(longitude, ring):
    assert is_ring(longitude) == ring
