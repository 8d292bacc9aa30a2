"""Guidance of the benchmark against the posterior of a Gaussian field, which is known."""

import pytest
import torch

from benchmarks import guidance


@pytest.fixture
def field():
    """Covariance (n, n) of 12 cells in a row, what is observed of two fields, and its noise."""
    place = torch.arange(12.0).double()
    covariance = torch.exp(-0.5 * ((place[:, None] - place) / 2) ** 2)
    observed = torch.zeros(2, 12, dtype=torch.bool)
    observed[0, [2, 7]] = observed[1, [0, 1, 9]] = True
    value = torch.randn(2, 12, generator=torch.Generator().manual_seed(0)).double()
    return covariance, observed, value * observed, torch.full((2, 12), 0.2).double()


@pytest.mark.parametrize("a", [0.1, 0.7, 0.99])
def test_it_is_the_posterior_of_a_gaussian_field(field, monkeypatch, a):
    covariance, observed, value, noise = field
    monkeypatch.setattr(guidance, "ITERATIONS", 8)
    s2 = 1 - a**2
    x = torch.randn(2, 12, generator=torch.Generator().manual_seed(1)).double().requires_grad_()
    gain = a * torch.linalg.inv(a**2 * covariance + s2 * torch.eye(12)) @ covariance
    found = guidance.matched(x @ gain, x, torch.tensor(s2 / a), value, noise, observed)
    for k in range(2):
        # Everything at once: x_t sees all cells with noise, the values some with theirs.
        where = observed[k].nonzero()[:, 0]
        see = torch.cat([a * torch.eye(12).double(), torch.eye(12).double()[where]])
        given = torch.cat([x[k].detach(), value[k][where]])
        variance = torch.cat([torch.full((12,), s2).double(), noise[k][where]])
        matrix = see @ covariance @ see.T + torch.diag(variance)
        expected = covariance @ see.T @ torch.linalg.solve(matrix, given)
        torch.testing.assert_close(found[k], expected, atol=1e-6, rtol=1e-6)


def test_conjugate_gradients_solve_each_system():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(3, 6, 6, generator=generator).double()
    matrix = root @ root.mT + torch.eye(6)
    right = torch.randn(3, 6, generator=generator).double()
    found = guidance.conjugate_gradients(
        lambda u: (matrix @ u[..., None])[..., 0], right, iterations=12
    )
    torch.testing.assert_close(found, torch.linalg.solve(matrix, right), atol=1e-6, rtol=1e-6)


def test_uncertain_observations_are_left_out_and_exact_ones_kept():
    batch = {
        "observed": torch.tensor([True, True, False]),
        "error": torch.tensor([0.0, 0.3, 0.0]),
        "value": torch.tensor([1.0, 2.0, 0.0]),
    }
    kept = guidance.certain(batch)
    assert kept["observed"].tolist() == [True, False, False]
    assert kept["value"].tolist() == [1.0, 0.0, 0.0] and not kept["error"].any()
