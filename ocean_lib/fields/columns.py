"""Water columns: integrals over depth, the depth of a value, the depth of the mixed layer.

Between two levels a profile is linear. It is constant from the surface to the shallowest level, and
from the deepest ocean level to the sea floor. Arrays are (depth, ...). Where the ocean has a gap
(NaN) that a result depends on, the result is missing.
"""

import numpy as np

__all__ = ["column_floor", "first_above", "integral", "mixed_layer_depth"]


THRESHOLD, REFERENCE = 0.03, 10.0  # kg m-3 above the density at this depth (m)


def column_floor(ocean: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Depth of the sea floor (m), midway below the deepest ocean level; infinite below the last.

    Args:
        ocean: (depth, ...), bool.
        depth: of the levels, m.
    """
    below = np.r_[(depth[1:] + depth[:-1]) / 2, np.inf]
    return np.where(ocean.any(axis=0), below[ocean.sum(axis=0) - 1], 0.0)


def integral(field: np.ndarray, depth: np.ndarray, limit: float, floor: np.ndarray) -> np.ndarray:
    """Integral from the surface to the lesser of limit and sea floor, in units of the field and m.

    Args:
        field: (depth, ...), with the value of the deepest ocean level below it.
        depth: of the levels, m.
        limit: m, a number or (...).
        floor: depth of the sea floor, m, (...).

    Returns:
        (...), NaN where there is no ocean, or the levels end above the lesser of limit and floor.
    """
    end = np.minimum(limit, floor)
    total = np.minimum(depth[0], end) * field[0]
    for upper, lower, top, base in zip(field, field[1:], depth, depth[1:], strict=False):
        within = np.clip(end - top, 0, base - top)
        change = (lower - upper) / (base - top)
        total += np.where(within > 0, within * upper + within**2 / 2 * change, 0)
    return np.where(end > depth[-1], np.nan, total)


def first_above(field: np.ndarray, depth: np.ndarray, value: np.ndarray | float) -> np.ndarray:
    """Depth (m) at which a profile first exceeds a value on the way down, interpolated.

    Args:
        field: (depth, ...), NaN outside the ocean.
        depth: of the levels, m.
        value: (...).

    Returns:
        (...), NaN where the first level exceeds the value or no level does.
    """
    beyond = field > value
    level = beyond.argmax(axis=0)
    after = np.take_along_axis(field, level[None], axis=0)[0]
    before = np.take_along_axis(field, np.maximum(level - 1, 0)[None], axis=0)[0]
    share = (value - before) / np.where(level > 0, after - before, np.nan)
    return depth[level - 1] + share * (depth[level] - depth[level - 1])


def mixed_layer_depth(
    density: np.ndarray, depth: np.ndarray, threshold: float = THRESHOLD
) -> np.ndarray:
    """Depth of the mixed layer (m), that of the deepest ocean level where all the column is mixed.

    Args:
        density: potential density, (depth, ...), NaN outside the ocean.
        depth: of the levels, m.
        threshold: kg m-3 above the density at 10 m.

    Returns:
        (...), NaN outside the ocean and where it is shallower than 10 m.

    Raises:
        ValueError: the levels do not enclose 10 m.
    """
    if not depth[0] <= REFERENCE < depth[-1]:
        raise ValueError(
            f"levels from {depth[0]:g} to {depth[-1]:g} m do not enclose {REFERENCE:g} m, from "
            f"which the mixed layer is counted; choose depths above and below it"
        )
    base = int(np.searchsorted(depth, REFERENCE, side="right"))
    share = (REFERENCE - depth[base - 1]) / (depth[base] - depth[base - 1])
    start = density[base - 1] + share * (density[base] - density[base - 1])
    below = np.concatenate([start[None], density[base:]])
    found = first_above(below, np.r_[REFERENCE, depth[base:]], start + threshold)
    deepest = depth[len(depth) - 1 - np.isfinite(density)[::-1].argmax(axis=0)]
    ends = (below > start + threshold).any(axis=0)
    return np.where(ends, found, np.where(np.isfinite(start), deepest, np.nan))
