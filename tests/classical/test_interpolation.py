"""Smoothing against its formula, triangles against scipy's."""

import numpy as np
import pytest
import torch
from scipy.interpolate import griddata

from ocean_lib.classical.regression import gaussian_smooth
from ocean_lib.classical.simple import delaunay_interpolate


def test_gaussian_smoothing_spreads_a_point_as_a_gaussian(device):
    point = torch.zeros(1, 9, 15, device=device)
    point[0, 3, 10] = 1.0
    y, x = np.mgrid[:9, :15]
    expected = np.exp(-((y - 3) ** 2 + (x - 10) ** 2) / (2 * 2.5**2))
    np.testing.assert_allclose(gaussian_smooth(point, 2.5)[0].cpu(), expected, atol=1e-6)


@pytest.mark.parametrize("seen", ["half in blocks", "9 of 10 pixels", "1 of 10 pixels"])
def test_triangles_around_holes_are_those_of_all_points(seen):
    """x² + y² has one Delaunay interpolant, even where points of a lattice lie on one circle."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :50]
    if seen == "half in blocks":
        observed = np.kron(rng.random((8, 10)) < 0.5, np.ones((5, 5))).astype(bool)
    else:
        observed = rng.random((40, 50)) < int(seen[0]) / 10
    value = (x - 20.0) ** 2 + (y - 11.0) ** 2
    points = np.argwhere(observed)
    expected = griddata(points, value[observed], (y, x), method="linear")
    found = delaunay_interpolate(value[None, None], observed[None, None])[0, 0]
    inside = np.isfinite(expected)
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-6)
    for place in np.argwhere(~inside):
        apart = np.hypot(*(points - place).T)
        assert found[tuple(place)] in value[tuple(points[apart <= apart.min() + 1e-9].T)]
