"""Reduced-space interpolation against the n × n matrices that it never makes."""

import numpy as np
import pytest
import torch

from ocean_lib.classical.reduced_space import condition_on_states, ledoit_wolf


def shrunk(states, shrinkage):
    number, size = states.shape
    return (1 - shrinkage) * states.T @ states / number + shrinkage * np.eye(size)


@pytest.mark.parametrize("seen", [0, 1, 9, 30])
def test_it_is_gaussian_conditioning_on_the_shrunk_covariance(seen, device):
    rng = np.random.default_rng(0)
    states = rng.standard_normal((12, 5)) @ rng.standard_normal((5, 30))
    observed = np.zeros(30, bool)
    observed[rng.permutation(30)[:seen]] = True
    value, variance = rng.standard_normal(30), rng.uniform(0, 0.5, 30)
    matrix = shrunk(states, 0.2)
    among = matrix[np.ix_(observed, observed)] + np.diag(variance[observed])
    weights = np.linalg.solve(among, matrix[observed])
    given = (torch.tensor(each, device=device) for each in (states, value, observed, variance))
    mean, left = (each.cpu().numpy() for each in condition_on_states(*given, 0.2))
    hidden = ~observed
    expected = (
        weights.T @ value[observed],
        matrix.diagonal() - (weights * matrix[observed]).sum(0),
    )
    np.testing.assert_allclose(mean[hidden], expected[0][hidden], atol=1e-8)
    np.testing.assert_allclose(left[hidden], expected[1][hidden], atol=1e-8)


def test_some_cells_are_those_of_all():
    rng = np.random.default_rng(1)
    states, value = (
        torch.tensor(rng.standard_normal((6, 20))),
        torch.tensor(rng.standard_normal(20)),
    )
    given = states, value, value > 0, torch.zeros(20, dtype=torch.float64), 0.3
    cells = torch.tensor([3, 17, 3])
    for whole, some in zip(
        condition_on_states(*given), condition_on_states(*given, cells), strict=True
    ):
        torch.testing.assert_close(some, whole[cells])


def test_shrinkage_is_that_of_ledoit_and_wolf():
    """By the paper's definitions on the full matrix, and between none and all in its limits."""
    rng = np.random.default_rng(2)
    states = rng.standard_normal((15, 8)) * np.linspace(0.5, 2, 8)
    number, size = states.shape
    sample = states.T @ states / number
    scale = np.trace(sample) / size
    distance = ((sample - scale * np.eye(size)) ** 2).sum() / size
    noise = sum(((np.outer(x, x) - sample) ** 2).sum() for x in states) / size / number**2
    assert ledoit_wolf(torch.tensor(states)) == pytest.approx(min(noise, distance) / distance)
    white = torch.tensor(rng.standard_normal((40, 200)))
    assert ledoit_wolf(white) > 0.9
    alike = torch.tensor(rng.standard_normal((400, 1)) * np.ones(200))
    assert ledoit_wolf(alike) < 0.02


def test_patterns_seen_before_are_recognised():
    """Fields of three patterns are known everywhere from a few cells."""
    rng = np.random.default_rng(4)
    patterns = rng.standard_normal((3, 200))
    states = torch.tensor(rng.standard_normal((100, 3)) @ patterns)
    truth = torch.tensor(rng.standard_normal(3) @ patterns)
    observed = torch.zeros(200, dtype=torch.bool)
    observed[:20] = True
    mean, left = condition_on_states(states, truth, observed, torch.zeros(200).double(), 0.01)
    assert float((mean - truth)[~observed].square().mean().sqrt()) < 0.1
    assert float(left.mean()) < 0.05
