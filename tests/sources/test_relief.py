"""The random fields and the sea floor of the demo ocean."""

import numpy as np
import pytest

from ocean_lib.sources.relief import sea_floor, smooth_noise

SHAPE, SPACING = (32, 40), (9.0, 7.0)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("scale", [5.0, 30.0])
def test_noise_has_unit_variance_and_gaussian_correlation(scale, periodic):
    rng = np.random.default_rng(0)
    fields = np.array([smooth_noise(SHAPE, SPACING, rng, scale, periodic) for _ in range(3000)])
    assert fields.dtype == np.float32
    np.testing.assert_allclose(fields.var(axis=0), 1, atol=0.15)  # everywhere, edges too
    for rows, columns in ((0, 1), (2, 0), (3, 4)):
        ours = np.mean(fields[:, 8, 8] * fields[:, 8 + rows, 8 + columns])
        distance = np.hypot(rows * SPACING[0], columns * SPACING[1])
        assert ours == pytest.approx(np.exp(-((distance / (2 * scale)) ** 2)), abs=0.07)
    across = np.mean(fields[:, 8, 0] * fields[:, 8, -1])
    expected = np.exp(-((SPACING[1] / (2 * scale)) ** 2)) if periodic else 0.0
    assert across == pytest.approx(expected, abs=0.07)


def test_the_sea_floor_has_coast_shelf_and_abyss():
    floor, openness = sea_floor((64, 96), np.array([9.0, 7.0]), np.random.default_rng(1))
    assert floor[-1, 0] == 0 and floor.max() > 4000
    assert openness.min() >= 0 and openness.max() == 1
    assert np.all((floor == 0) | (floor >= 12))
    assert floor[openness < 0.1].max() < 1500
