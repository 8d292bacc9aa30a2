"""Reduced-space interpolation: the training months' own patterns, fitted to what is observed.

On a fixed region with a long record the states of N training months span most of what the field
does.  Their covariance, shrunk towards independent cells,

    C = (1 - a) A'A / N + a I,    A (N, n) standardised anomalies of all cells and channels,

conditions all cells on the observed ones.  Since A'A / N has rank N, that is a system of size N
however many cells there are: x = B z + e with z ~ N(0, I), B = sqrt((1 - a) / N) A', e ~ N(0, a I).

Reference: Ledoit & Wolf 2004, doi 10.1016/S0047-259X(03)00096-4 (shrinkage); Kaplan et al. 1997,
doi 10.1029/97JC01734 (reduced-space optimal analysis).
"""

import torch
from torch import Tensor

__all__ = ["ledoit_wolf", "reduced_space"]


def ledoit_wolf(states: Tensor) -> float:
    """The shrinkage a, from 0 to 1, that leaves the least error of the covariance of states (N, n).

    Towards a multiple of the identity, for states of mean 0.
    """
    number, size = states.shape
    states = states.double()
    gram = states @ states.T / size  # (N, N): inner products, for the n by n matrix is never made
    squares = gram.diagonal()
    scale = squares.mean()
    distance = (gram**2).sum() / number**2 * size - scale**2
    noise = ((squares**2).sum() * size / number - (gram**2).sum() / number**2 * size) / number
    return float((noise / distance.clamp(min=1e-12)).clamp(0, 1))


def reduced_space(
    states: Tensor,
    value: Tensor,
    observed: Tensor,
    variance: Tensor,
    shrinkage: float,
    cells: Tensor | slice = slice(None),
) -> tuple[Tensor, Tensor]:
    """Posterior mean and variance of `cells` of a field of n, given some of its values.

    Args:
        states: (N, n) training states, of mean 0 and variance about 1.
        value: (n,), read where observed.    observed: bool, (n,).
        variance: (n,), of the observations' errors.
        shrinkage: a, above 0 and at most 1.
        cells: those wanted, all by default.
    """
    scale = ((1 - shrinkage) / len(states)) ** 0.5
    near, weight = scale * states[:, observed], 1 / (variance[observed] + shrinkage)
    matrix = torch.eye(len(states), device=states.device) + (near * weight) @ near.T
    factor = torch.linalg.cholesky(matrix)
    right = near @ (weight * value[observed])
    basis = scale * states[:, cells]
    mean = torch.cholesky_solve(right[:, None], factor)[:, 0] @ basis
    half = torch.linalg.solve_triangular(factor, basis, upper=False)
    return mean, (half**2).sum(0) + shrinkage
