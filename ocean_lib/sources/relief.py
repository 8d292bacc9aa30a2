"""The sea floor of the demo ocean, and the smooth random fields it is made from.

Depth follows the distance from an irregular coast: a shelf, then a slope (a hyperbolic tangent),
then an abyssal plain. Gaussian seamounts stand on it; those that break the surface are islands.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

__all__ = ["sea_floor", "smooth_noise"]


def smooth_noise(
    shape: Sequence[int],
    spacing: Sequence[float] | np.ndarray,
    generator: np.random.Generator,
    scale: float,
    periodic: bool = False,
) -> np.ndarray:
    """A random field of unit variance and Gaussian correlation: white noise on nodes, smoothed.

    Args:
        shape: (rows, columns).
        spacing: (dy, dx), km.
        generator: draws the noise.
        scale: standard deviation of the smoothing kernel, km.
        periodic: whether the field continues across its edges.

    Returns:
        float32, (rows, columns). The correlation at a distance d is exp(-(d / 2 scale)^2).

    Reference: Higdon 2002, Space and space-time modeling using process convolutions.
    """
    across, along = (
        _kernel(number, float(step), scale, periodic)
        for number, step in zip(shape, spacing, strict=True)
    )
    white = generator.standard_normal((across.shape[1], along.shape[1]), np.float32)
    return across @ white @ along.T


@lru_cache(maxsize=64)
def _kernel(number: int, step: float, scale: float, periodic: bool) -> np.ndarray:
    """Weights of nodes, `scale` apart and up to four beyond the ends, at cells, (cells, nodes)."""
    length = number * step
    if periodic:
        nodes = np.linspace(0, length, math.ceil(length / scale), endpoint=False)
    else:
        nodes = np.arange(-4 * scale, length + 4 * scale, scale)
    distance = step * np.arange(number)[:, None] - nodes
    if periodic:
        distance = (distance + length / 2) % length - length / 2
    weights = np.exp(-0.5 * (distance / scale) ** 2)
    return (weights / np.sqrt((weights**2).sum(axis=1, keepdims=True))).astype(np.float32)


def sea_floor(
    shape: tuple[int, int], spacing: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A coast in the north-west with shelf and slope, seamounts and up to three islands.

    Args:
        shape: (rows, columns), south to north and west to east.
        spacing: (dy, dx), km.
        generator: draws the coast, the roughness and the places of the seamounts.

    Returns:
        Depth of the sea floor (m, 0 on land) and openness, both (rows, columns). Openness rises
        from 0 at the coast to 1 over the deep sea; seamounts and islands do not change it.
    """
    axes = (np.arange(number) * step for number, step in zip(shape, spacing, strict=True))
    y, x = np.meshgrid(*axes, indexing="ij")
    height, width = y.max(), x.max()
    reach_x, reach_y = generator.uniform(0.30, 0.42) * width, generator.uniform(0.38, 0.5) * height
    offshore = (x / reach_x + (height - y) / reach_y - 1) / np.hypot(1 / reach_x, 1 / reach_y)
    size = min(1.0, min(height, width) / 800.0)
    offshore = offshore / size + 22 * smooth_noise(shape, spacing, generator, 60.0 * size)
    floor = 12 + 1.3 * np.clip(offshore, 0, 120)
    floor += 2450 * (1 + np.tanh((offshore - 190) / 60))
    floor *= 1 + 0.05 * smooth_noise(shape, spacing, generator, 50.0) * np.tanh(floor / 2000)
    openness = np.clip(floor / 1500, 0, 1)
    openness = openness**2 * (3 - 2 * openness)

    inside = (np.minimum(y, height - y) > 0.1 * height) & (np.minimum(x, width - x) > 0.1 * width)
    free = inside & (offshore > 260)
    for rise in (1.25, 1.3, generator.uniform(0.9, 1.2), 0.8, 0.7, 0.6):
        candidates = np.flatnonzero(free)
        if candidates.size == 0:
            break
        row, column = np.unravel_index(generator.choice(candidates), shape)
        distance = np.hypot(y - y[row, column], x - x[row, column])
        breadth = size * generator.uniform(28, 42)
        floor -= rise * floor[row, column] * np.exp(-0.5 * (distance / breadth) ** 2)
        free &= distance > 200 * size
    return np.where((offshore > 0) & (floor > 0), np.maximum(floor, 12.0), 0.0), openness
