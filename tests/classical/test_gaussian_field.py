"""Interpolation of a Gaussian field against dense Gaussian conditioning by numpy."""

import numpy as np
import pytest
import torch
from scipy.special import gamma, kv

from ocean_lib.classical import gaussian_field
from ocean_lib.classical.gaussian_field import complete_columns, lag_of_correlation

SIZE, MONTHS = 20, 3
KM = np.pi * 6371 / 180  # of a degree of latitude
KERNELS = ["matern12", "matern32", "matern52", "gaussian"]


def interpolate(position, value, variance, targets, *, lengths, block=None, **choices):
    """Positions in months and m from a place on the equator, in blocks of so many m.

    So near the equator a degree of longitude has one length, to nine digits.
    """
    unit = [1, 1000 * KM, 1000 * KM]
    choices["lengths"] = lengths[0], lengths[1] / 1000, lengths[2] / 1000
    if block:
        corner, owner = np.unique(targets // [1, block, block], axis=0, return_inverse=True)
        middle = corner * [1, block, block] + [0, (block - 1) / 2, (block - 1) / 2]
        choices["blocks"] = owner.ravel(), middle / unit
    position, targets = (given / unit for given in (position, targets))
    return gaussian_field.interpolate(position, value, variance, targets, **choices)


def places(months=1, size=SIZE):
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in (months, size, size)), indexing="ij"), -1)
    return grid.reshape(-1, 3).astype(float)


def shape(r, kernel):
    """Correlation at a distance: Matérn by its Bessel function, or exp(-r² / 2)."""
    if kernel == "gaussian" or r == 0:
        return np.exp(-(r**2) / 2)
    smoothness = int(kernel[-2:-1]) / 2
    scaled = np.sqrt(2 * smoothness) * r
    return 2 ** (1 - smoothness) / gamma(smoothness) * scaled**smoothness * kv(smoothness, scaled)


def dense(here, there, lengths, kernel, slow=(0.0, 1.0)):
    """Correlation by loops over the definition."""
    months, rows, columns = lengths
    matrix = np.empty((len(here), len(there)))
    for i, (t, y, x) in enumerate(here):
        for j, (u, v, w) in enumerate(there):
            r = np.hypot((y - v) / rows, (x - w) / columns)
            memory = (1 - slow[0]) * np.exp(-abs(t - u) / months)
            memory += slow[0] * np.exp(-abs(t - u) / slow[1])
            matrix[i, j] = shape(r, kernel) * memory
    return matrix


def conditioned(position, value, variance, targets, lengths, kernel, slow=(0.0, 1.0)):
    among = dense(position, position, lengths, kernel, slow) + np.diag(variance)
    cross = dense(position, targets, lengths, kernel, slow)
    weights = np.linalg.solve(among, cross)
    return weights.T @ value, 1 - (weights * cross).sum(0)


@pytest.mark.parametrize("block", [1, 3, 4])
@pytest.mark.parametrize("slow", [None, (0.3, 20.0)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_with_all_observations_it_is_the_posterior(kernel, slow, block, device):
    rng = np.random.default_rng(0)
    everywhere = places(MONTHS, 7)
    position = everywhere[rng.choice(len(everywhere), 40, replace=False)]
    value, variance = rng.standard_normal((40, 2)), rng.uniform(0.05, 0.5, (40, 2))
    lengths = (1.5, 2.0, 3.0)
    mean, left = interpolate(
        position,
        torch.tensor(value, device=device),
        torch.tensor(variance - 0.03, device=device),
        everywhere,
        lengths=lengths,
        noise=0.03,
        kernel=kernel,
        slow=slow,
        neighbours=40,
        block=block,
    )
    for level in range(2):
        given = position, value[:, level], variance[:, level], everywhere, lengths, kernel
        expected = conditioned(*given, slow or (0.0, 1.0))
        np.testing.assert_allclose(mean[:, level].cpu(), expected[0], atol=1e-9)
        np.testing.assert_allclose(left[:, level].cpu(), expected[1], atol=1e-9)


def drawn(kernel, lengths, number, months=1, seed=0):
    """Fields (number, months · SIZE²) of the covariance."""
    root = np.linalg.cholesky(
        dense(places(months), places(months), lengths, kernel) + 1e-9 * np.eye(months * SIZE**2)
    )
    return np.random.default_rng(seed).standard_normal((number, len(root))) @ root.T


@pytest.mark.parametrize("kernel", ["matern52", "gaussian"])
@pytest.mark.parametrize(("number", "block"), [(12, 1), (120, 1), (120, 3)])
def test_the_error_is_the_theoretical_posterior_error(kernel, number, block):
    """Within 3 % on fields of known covariance, from few profiles and from many values."""
    lengths, noise = (1.0, 3.0, 5.0), 0.02
    rng = np.random.default_rng(1)
    grid = places()
    fields = drawn(kernel, lengths, 1500)
    chosen = np.sort(rng.choice(len(grid), number, replace=False))
    hidden = np.setdiff1d(np.arange(len(grid)), chosen)
    values = fields[:, chosen] + noise**0.5 * rng.standard_normal((1500, number))
    # Every draw is a level: all share the places, and so the weights.
    mean, left = interpolate(
        grid[chosen],
        torch.tensor(values.T),
        torch.full(values.T.shape, 0.0, dtype=torch.float64),
        grid[hidden],
        lengths=lengths,
        noise=noise,
        kernel=kernel,
        neighbours=32 * block,
        block=block,
    )
    _, exact = conditioned(
        grid[chosen], values[0], np.full(number, noise), grid[hidden], lengths, kernel
    )
    theory = np.sqrt(exact.mean())
    actual = np.sqrt(((mean.numpy() - fields[:, hidden].T) ** 2).mean())
    stated = float(left.mean().sqrt())
    assert actual == pytest.approx(theory, rel=0.03)
    assert stated == pytest.approx(theory, rel=0.03)


def test_other_months_help_where_they_are_correlated():
    position = places(2, 5)[25:]  # all of the second month
    value = torch.ones(25, 1, dtype=torch.float64)
    target = np.array([[0.0, 2.0, 2.0]])
    for months, expected in ((1e-3, 0.0), (1.0, np.exp(-1.0)), (1e3, 0.999)):
        mean, left = interpolate(
            position, value * 1.0, value * 1e-9, target, lengths=(months, 0.2, 0.2)
        )
        assert float(mean) == pytest.approx(expected, abs=2e-3)
        assert float(left) == pytest.approx(1 - expected**2, abs=5e-3)


@pytest.mark.parametrize("latitude", [0.0, 40.0, -75.0])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_correlation_in_km_is_the_same_at_every_latitude(kernel, latitude):
    value, north, east = torch.ones(1, 1, dtype=torch.float64), 30.0, 90.0
    at = np.array([[0.0, latitude, 170.0]])
    degree = KM * np.cos(np.deg2rad(latitude))
    targets = at + [[0, 50 / KM, 0], [0, 0, 50 / degree], [0, 0, 200 / degree]]
    scales = {"lengths": (1.0, north, east), "kernel": kernel}
    mean, _ = gaussian_field.interpolate(at, value, 0 * value, targets, **scales)
    expected = [shape(r, kernel) for r in (50 / north, 50 / east, 200 / east)]
    # The plane is that of the target, here up to half a degree away.
    np.testing.assert_allclose(mean[:, 0], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("latitude", "nearer"), [(0.0, 1.0), (62.0, 2.0), (-62.0, 2.0)])
def test_neighbours_are_the_nearest_in_km(latitude, nearer):
    """0.8° north against 1° east, which is 0.47° at 62°; with them a place far away in degrees."""
    at = np.array([[0.0, latitude, -20.0]])
    position = at + [[0, 0.8, 0], [0, 0, 1.0], [0, -9, 9]]
    value = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    scales = {"lengths": (1.0, 1e4, 1e4), "neighbours": 1}
    mean, _ = gaussian_field.interpolate(position, value, 0 * value, at, **scales)
    assert float(mean) == pytest.approx(nearer, rel=1e-3)


@pytest.mark.parametrize("slow", [None, (0.3, 20.0), (0.9, 3.0)])
@pytest.mark.parametrize("correlation", [0.9, 0.37, 0.02])
def test_the_lag_of_a_correlation_has_this_correlation(correlation, slow):
    share, months = slow or (0.0, 1.0)
    lag = lag_of_correlation(correlation, 1.5, slow)
    there = (1 - share) * np.exp(-lag / 1.5) + share * np.exp(-lag / months)
    assert there == pytest.approx(correlation, rel=1e-6)


def test_places_of_a_block_share_its_neighbours():
    """Of two values 6 columns apart with one neighbour, all of a block take the nearer."""
    position = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 6.0]])
    value = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    targets = np.array([[0.0, 0.0, column] for column in range(4)])
    choices = {"lengths": (1.0, 1e6, 1e6), "neighbours": 1}
    alone, _ = interpolate(position, value, 0 * value, targets, **choices)
    together, _ = interpolate(position, value, 0 * value, targets, block=4, **choices)
    np.testing.assert_allclose(together[:, 0], 1, atol=1e-4)
    np.testing.assert_allclose(alone[[0, 2], 0], 1, atol=1e-4)


def test_fields_seen_alike_are_interpolated_as_each_alone():
    rng = np.random.default_rng(5)
    position, targets = rng.uniform(0, 9, (30, 3)), rng.uniform(0, 9, (12, 3))
    value = torch.tensor(rng.normal(size=(30, 2, 3)))
    variance = torch.tensor(rng.uniform(0, 0.2, (30, 2)))
    choices = {"lengths": (2.0, 3.0, 3.0), "noise": 0.01, "neighbours": 20}
    means, left = interpolate(position, value, variance, targets, **choices)
    assert means.shape == (12, 2, 3)
    for field in range(3):
        mean, alone = interpolate(position, value[..., field], variance, targets, **choices)
        torch.testing.assert_close(means[..., field], mean, atol=1e-12, rtol=0)
        torch.testing.assert_close(left, alone, atol=0, rtol=0)


def test_what_single_precision_cannot_factorise_is_solved_all_the_same():
    line = np.stack([np.zeros(100), np.zeros(100), np.linspace(0, 1, 100)], 1)
    value = torch.from_numpy(line[:, 2:]).float()
    mean, left = interpolate(
        line, value, 0 * value + 1e-8, line, lengths=(1, 1, 5), kernel="gaussian", neighbours=100
    )
    assert float((mean - value).abs().max()) < 1e-2 and (left >= 0).all()


def test_conflicting_values_are_averaged_by_their_weights():
    """1 and 3 at one place, the second with three times the variance: 1.5, drawn to the prior."""
    position = np.zeros((2, 3))
    value = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    variance = torch.tensor([[0.1], [0.3]], dtype=torch.float64)
    mean, left = interpolate(position, value, variance, position[:1], lengths=(1, 1, 1))
    precision = 1 / 0.1 + 1 / 0.3
    assert float(mean) == pytest.approx(1.5 * precision / (1 + precision), rel=1e-9)
    assert float(left) == pytest.approx(1 / (1 + precision), rel=1e-9)


def test_nothing_observed_leaves_the_prior():
    empty = torch.zeros(0, 3)
    given = np.zeros((0, 3)), empty, empty, places(1, 3)
    mean, left = interpolate(*given, lengths=(1, 1, 1))
    assert mean.shape == (9, 3) and not mean.any() and (left == 1).all()


def test_one_observation_is_exact_by_hand():
    value, none = torch.tensor([[2.0]]), torch.tensor([[0.0]])
    mean, left = interpolate(
        np.zeros((1, 3)),
        value,
        none,
        np.array([[0, 0, 0], [0, 3.0, 0]]),
        lengths=(1, 3, 1),
        noise=0.25,
        kernel="gaussian",
    )
    weight = np.array([1, np.exp(-0.5)]) / 1.25
    np.testing.assert_allclose(mean[:, 0], 2 * weight, rtol=1e-6)
    np.testing.assert_allclose(left[:, 0], 1 - weight * [1, np.exp(-0.5)], rtol=1e-6)


def test_an_unknown_kernel_is_refused():
    some = torch.zeros(1, 1)
    with pytest.raises(ValueError, match="kernel 'cubic' is not known; choose one of"):
        interpolate(np.zeros((1, 3)), some, some, places(), lengths=(1, 1, 1), kernel="cubic")


def test_completed_columns_say_what_the_observed_levels_say():
    """A missing level, taken as a value with its error, has the posterior of the covariance."""
    rng = np.random.default_rng(3)
    root = rng.standard_normal((4, 4))
    covariance = root @ root.T + 0.1 * np.eye(4)
    value, noise = rng.standard_normal((6, 4)), rng.uniform(0.01, 0.3, (6, 4))
    observed = rng.random((6, 4)) < 0.5
    observed[0], observed[1] = True, False
    full, error = complete_columns(
        *(torch.tensor(each) for each in (value, observed, noise, covariance))
    )
    for i, seen in enumerate(observed):
        np.testing.assert_array_equal(full[i][seen], value[i][seen])
        np.testing.assert_array_equal(error[i][seen], noise[i][seen])
        for d in np.flatnonzero(~seen):
            among = covariance[np.ix_(seen, seen)]
            among = among + np.diag((noise[i] * covariance.diagonal())[seen])
            gain = np.linalg.solve(among, covariance[seen, d]) if seen.any() else np.zeros(0)
            mean = gain @ value[i][seen]
            left = 1 - gain @ covariance[seen, d] / covariance[d, d]
            # One observation (value, error) of a prior of variance 1 and mean 0.
            weight = 1 / (1 + float(error[i, d]))
            assert weight * float(full[i, d]) == pytest.approx(mean, abs=1e-5)
            assert 1 - weight == pytest.approx(left, abs=1e-5)


def test_one_core_and_two_give_the_same_bits():
    rng = np.random.default_rng(0)
    position, targets = (rng.uniform(0, 30, (each, 3)) for each in (200, 700))
    value, variance = torch.from_numpy(rng.normal(size=(200, 2))), torch.rand(200, 2) * 0.1
    given = position, value, variance.double(), targets
    before = torch.get_num_threads()
    try:
        found = []
        for number in (1, 2):
            torch.set_num_threads(number)
            found.append(interpolate(*given, lengths=(2.0, 5.0, 5.0), noise=0.01))
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)
