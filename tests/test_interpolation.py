"""Interpolation against dense Gaussian algebra, a plain loop, and what a background must not do."""

import numpy as np
import pytest
import torch
from scipy.interpolate import griddata

from ocean_lib.interpolation import (
    LONELY,
    Background,
    gaussian_smooth,
    normalised_convolution,
    optimal_interpolation,
    triangulate,
)


def correlation(size, length, kernel):
    """The documented function of distance, in float64."""
    distance = np.abs(np.subtract.outer(np.arange(size), np.arange(size))) / length
    if kernel == "gaussian":
        return np.exp(-(distance**2) / 2)
    return (1 + np.sqrt(3) * distance) * np.exp(-np.sqrt(3) * distance)


def vertical(channels, seed=0, unit=True):
    """A random, well conditioned (C, C) covariance."""
    factor = np.random.default_rng(seed).standard_normal((channels, 3 * channels))
    matrix = factor @ factor.T / (3 * channels)
    root = np.sqrt(matrix.diagonal())
    return matrix / np.outer(root, root) if unit else matrix


def tensors(device, *arrays):
    return [torch.tensor(np.asarray(a), dtype=torch.float32, device=device) for a in arrays]


def random_batch(batch, levels, height, width, fraction, device, surfaces=0, seed=0):
    """value, observed, error, ocean, surface, surface_observed with a land corner."""
    generator = torch.Generator().manual_seed(seed)

    def normal(channels):
        return torch.randn(batch, channels, height, width, generator=generator)

    ocean = torch.ones(batch, levels, height, width, dtype=torch.bool)
    ocean[..., : height // 3, : width // 3] = False
    observed = (torch.rand(ocean.shape, generator=generator) < fraction) & ocean
    seen = torch.rand(batch, surfaces, height, width, generator=generator) < 0.5
    seen = seen & ocean[:, :1]
    value = normal(levels) * observed
    surface = normal(surfaces) * seen
    error = torch.zeros_like(value)
    return [x.to(device) for x in (value, observed, error, ocean, surface, seen)]


# Optimal interpolation


@pytest.mark.parametrize("kernel", ["gaussian", "matern"])
@pytest.mark.parametrize("fraction", [0.02, 0.5, 1.0])
@pytest.mark.parametrize("least, iterations, close", [(0.3, 32, 5e-4), (0.05, 400, 5e-3)])
def test_optimal_interpolation_equals_the_dense_gaussian_posterior(
    kernel, fraction, least, iterations, close, device
):
    """As far as 32 steps go with large errors, and to where it stops by itself with small ones."""
    rng = np.random.default_rng(1)
    channels, height, width = 3, 7, 9
    depthwise = vertical(channels, unit=False)
    rows, columns = correlation(height, 2.0, kernel), correlation(width, 3.0, kernel)
    shape = (2, channels, height, width)
    value, noise = rng.standard_normal(shape), rng.uniform(least, least + 0.5, shape)
    observed = rng.random(shape) < fraction
    observed[1, 0, 3, 3] = True
    observed[1, 2, 0, 8] = True
    expected = np.zeros(shape)
    prior = np.kron(depthwise, np.kron(rows, columns))
    for sample in range(2):
        seen = observed[sample].ravel()
        data, variance = value[sample].ravel()[seen], noise[sample].ravel()[seen]
        system = prior[np.ix_(seen, seen)] + np.diag(variance)
        expected[sample] = (prior[:, seen] @ np.linalg.solve(system, data)).reshape(shape[1:])
    # Whatever stands where nothing is observed must not be read.
    value = np.where(observed, value, np.nan)
    got = optimal_interpolation(
        *tensors(device, value),
        torch.tensor(observed, device=device),
        *tensors(device, noise, depthwise, rows, columns),
        iterations=iterations,
    )
    assert np.abs(got.cpu().numpy() - expected).max() < close


def test_samples_of_a_batch_do_not_influence_each_other(device):
    value, observed, *_ = random_batch(3, 2, 6, 8, 0.3, device)
    along = [correlation(size, 2, "matern") for size in (6, 8)]
    matrices = tensors(device, vertical(2), *along)
    noise = torch.full_like(value, 0.1)
    together = optimal_interpolation(value, observed, noise, *matrices, iterations=12)
    for sample in range(3):
        one = slice(sample, sample + 1)
        alone = optimal_interpolation(
            value[one], observed[one], noise[one], *matrices, iterations=12
        )
        torch.testing.assert_close(together[one], alone, rtol=1e-3, atol=1e-5)


def test_a_larger_observation_error_draws_less(device):
    matrices = tensors(device, np.eye(1), correlation(5, 2, "matern"), correlation(5, 2, "matern"))
    value = torch.zeros(1, 1, 5, 5, device=device)
    observed = torch.zeros_like(value, dtype=torch.bool)
    value[0, 0, 2, 2], observed[0, 0, 2, 2] = 1.0, True
    for noise in (0.0, 0.25, 1.0, 9.0):
        mean = optimal_interpolation(
            value, observed, torch.full_like(value, noise), *matrices, iterations=4
        )
        assert float(mean[0, 0, 2, 2]) == pytest.approx(1 / (1 + noise), rel=1e-5)


# Normalised convolution


def test_normalised_convolution_equals_a_loop(device):
    rng = np.random.default_rng(2)
    height, width, length = 7, 11, 1.7
    value, weight = rng.standard_normal((2, 3, height, width))
    weight = np.where(rng.random(weight.shape) < 0.4, np.abs(weight), 0.0)
    expected = np.zeros_like(value)
    for field, y, x in np.ndindex(value.shape):
        above = below = 0.0
        for v, u in np.ndindex(height, width):
            near = np.exp(-((y - v) ** 2 + (x - u) ** 2) / (2 * length**2)) * weight[field, v, u]
            above, below = above + near * value[field, v, u], below + near
        expected[field, y, x] = above / (below + LONELY)
    got = normalised_convolution(*tensors(device, value, weight), length)
    np.testing.assert_allclose(got.cpu(), expected, atol=1e-5)


def test_normalised_convolution_of_nothing_is_zero_and_of_a_constant_nearly_itself(device):
    value = torch.full((2, 9, 13), 3.0, device=device)
    assert not normalised_convolution(value, torch.zeros_like(value), 2.0).any()
    mean = normalised_convolution(value, torch.ones_like(value), 2.0)
    # A corner has a quarter of the 8π cells that a Gaussian of 2 cells spans.
    assert 3 * (1 - LONELY / (2 * np.pi)) < float(mean.min()) <= float(mean.max()) < 3


def test_gaussian_smoothing_spreads_a_point_as_a_gaussian(device):
    point = torch.zeros(1, 9, 15, device=device)
    point[0, 3, 10] = 1.0
    y, x = np.mgrid[:9, :15]
    expected = np.exp(-((y - 3) ** 2 + (x - 10) ** 2) / (2 * 2.5**2))
    np.testing.assert_allclose(gaussian_smooth(point, 2.5)[0].cpu(), expected, atol=1e-6)


# Background


@pytest.mark.parametrize("surfaces", [0, 1])
def test_without_observations_the_background_is_climatology_with_its_error(surfaces, device):
    batch = random_batch(2, 3, 7, 10, 0.0, device, surfaces)
    batch[4], batch[5] = torch.zeros_like(batch[4]), torch.zeros_like(batch[5])
    background = Background(vertical(3 + surfaces), surfaces).to(device)
    mean, error = background(*batch)
    assert mean.shape == error.shape == (2, 3, 7, 10)
    assert not mean.any()
    torch.testing.assert_close(error, batch[3].float())


@pytest.mark.parametrize("kernel", ["gaussian", "matern"])
def test_the_error_of_a_single_observation_is_exact(kernel, device):
    """The level's variance times 1 - c², c the correlation of a cell with the observed one."""
    length, height, width = 3.0, 13, 17
    matrix = np.array([[1.7, 0.6], [0.6, 0.8]])
    observed = torch.zeros(1, 2, height, width, dtype=torch.bool, device=device)
    observed[0, :, 5, 8] = True
    surface = torch.zeros(1, 0, height, width, device=device)
    background = Background(matrix, 0, length=length, noise=1e-6, kernel=kernel).to(device)
    _, error = background(
        observed * 1.3,
        observed,
        torch.zeros(observed.shape, device=device),
        torch.ones_like(observed),
        surface,
        surface.bool(),
    )
    # The posterior of one column under a Kronecker covariance, by dense algebra.
    flat = np.kron(correlation(height, length, kernel), correlation(width, length, kernel))
    prior = np.kron(matrix, flat)
    seen = observed[0].cpu().numpy().ravel()
    gain = np.linalg.solve(prior[np.ix_(seen, seen)], prior[seen])
    posterior = prior.diagonal() - (prior[:, seen] * gain.T).sum(1)
    expected = np.sqrt(np.maximum(posterior, 0)).reshape(2, height, width)
    np.testing.assert_allclose(error[0].cpu(), expected, atol=2e-3)


def test_far_from_observations_the_background_returns_to_climatology(device):
    batch = random_batch(1, 2, 9, 60, 0.0, device)
    batch[0][0, :, 7, 2], batch[1][0, :, 7, 2] = 2.0, True
    background = Background(vertical(2), 0, length=3.0).to(device)
    mean, error = background(*batch)
    assert float(mean[..., 40:].abs().max()) < 1e-3
    assert float(error[..., 40:].min()) > 0.999


def test_more_observations_never_make_the_error_larger_than_one_nor_negative(device):
    for fraction in (0.01, 0.3, 1.0):
        batch = random_batch(2, 3, 11, 9, fraction, device, surfaces=1)
        mean, error = Background(vertical(4), 1).to(device)(*batch)
        assert torch.isfinite(mean).all() and torch.isfinite(error).all()
        assert float(error.min()) >= 0 and float(error.max()) <= 1
        assert not (error[batch[1]] > 2e-3).any()  # exact where exactly observed


@pytest.mark.parametrize("noise", [0.01, 0.3])
def test_isolated_exact_observations_are_met_within_two_per_cent(noise, device):
    """What noise and few steps leave at a lone observation, the convolutions add."""
    batch = random_batch(1, 2, 25, 31, 0.0, device)
    for row, column, value in ((3, 27, 2.0), (12, 14, -1.5), (21, 5, 0.7)):
        batch[0][0, :, row, column], batch[1][0, :, row, column] = value, True
    background = Background(vertical(2), 0, noise=noise, length=4.0).to(device)
    mean, _ = background(*batch)
    known = batch[1]
    torch.testing.assert_close(mean[known], batch[0][known], rtol=2e-2, atol=0)


def test_a_fully_observed_smooth_field_is_met_everywhere(device):
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(21.0), indexing="ij")
    field = torch.stack([torch.sin(y / 4) * torch.cos(x / 5), 0.5 * torch.cos(x / 6)])[None]
    field = field.to(device)
    everywhere = torch.ones_like(field, dtype=torch.bool)
    surface = torch.zeros(1, 0, 16, 21, device=device)
    mean, error = Background(torch.eye(2), 0, length=4.0).to(device)(
        field, everywhere, torch.zeros_like(field), everywhere, surface, surface.bool()
    )
    assert float((mean - field).abs().max()) < 0.05
    assert float(error.max()) < 2e-3


def test_uncertain_observations_are_weighed_by_their_error(device):
    """The mean moves less towards, and the error stays larger at, the less certain of two."""
    batch = random_batch(1, 1, 15, 40, 0.0, device)
    for column, error in ((8, 0.1), (32, 0.9)):
        batch[0][0, 0, 9, column], batch[1][0, 0, 9, column] = 2.0, True
        batch[2][0, 0, 9, column] = error
    mean, spread = Background(torch.eye(1), 0, length=3.0).to(device)(*batch)
    assert 0.8 < float(mean[0, 0, 9, 32]) < 1.6 < float(mean[0, 0, 9, 8]) < 2.0
    for column, error in ((8, 0.1), (32, 0.9)):  # what an observation leaves of unit variance
        left = (error**2 / (1 + error**2)) ** 0.5
        assert float(spread[0, 0, 9, column]) == pytest.approx(left, rel=5e-3)


def test_land_stays_zero_whatever_is_observed(device):
    batch = random_batch(2, 3, 9, 12, 0.5, device, surfaces=1)
    mean, error = Background(vertical(4), 1).to(device)(*batch)
    assert not mean[~batch[3]].any() and not error[~batch[3]].any()
    assert mean[batch[3]].abs().min() > 0
    all_land = [torch.zeros_like(part) for part in batch]
    mean, error = Background(vertical(4), 1).to(device)(*all_land)
    assert not mean.any() and not error.any()


def test_values_that_are_not_observed_are_never_read(device):
    batch = random_batch(2, 2, 9, 7, 0.2, device, surfaces=1)
    background = Background(vertical(3), 1).to(device)
    garbage = list(batch)
    garbage[0] = torch.where(batch[1], batch[0], torch.nan)
    garbage[4] = torch.where(batch[5], batch[4], torch.nan)
    for clean, dirty in zip(background(*batch), background(*garbage), strict=True):
        assert torch.equal(clean, dirty)


def test_the_surface_informs_the_interior_through_the_covariance(device):
    """One seen surface cell: level k moves by its covariance with the surface over 1 + noise."""
    matrix = np.array([[1.0, 0.7, -0.4], [0.7, 1.0, 0.1], [-0.4, 0.1, 1.0]])
    batch = random_batch(1, 2, 8, 9, 0.0, device, surfaces=1)
    batch[4].zero_(), batch[5].zero_()
    batch[4][0, 0, 6, 7], batch[5][0, 0, 6, 7] = 2.0, True
    mean, error = Background(matrix, 1, noise=0.1).to(device)(*batch)
    np.testing.assert_allclose(mean[0, :, 6, 7].cpu(), [1.4 / 1.1, -0.8 / 1.1], rtol=1e-4)
    np.testing.assert_allclose(
        error[0, :, 6, 7].cpu(), np.sqrt(1 - np.array([0.49, 0.16]) / 1.1), rtol=1e-3
    )


def test_settings_build_the_same_background_again(device):
    background = Background(
        vertical(3), 1, length=5.5, noise=0.02, kernel="gaussian", iterations=11
    ).to(device)
    again = Background(background.covariance, **background.settings()).to(device)
    assert again.settings() == background.settings()
    assert list(background.state_dict()) == ["covariance"]
    batch = random_batch(2, 2, 7, 9, 0.2, device, surfaces=1)
    for first, second in zip(background(*batch), again(*batch), strict=True):
        assert torch.equal(first, second)
    other = Background(background.covariance, **background.settings() | {"length": 2.0})
    assert not torch.equal(other.to(device)(*batch)[0], background(*batch)[0])


def test_an_unknown_kernel_is_refused_by_name(device):
    batch = random_batch(1, 1, 3, 3, 0.5, device)
    with pytest.raises(ValueError, match="'cubic'.*'gaussian' or 'matern'"):
        Background(torch.eye(1), 0, kernel="cubic").to(device)(*batch)


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
    found = triangulate(value[None, None], observed[None, None])[0, 0]
    inside = np.isfinite(expected)
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-6)
    for place in np.argwhere(~inside):
        apart = np.hypot(*(points - place).T)
        assert found[tuple(place)] in value[tuple(points[apart <= apart.min() + 1e-9].T)]
