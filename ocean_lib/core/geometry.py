"""Geometry of the sphere: wrapped longitudes, points on the unit sphere, global grids."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["EARTH_RADIUS", "is_ring", "sphere", "wrap_longitude"]

EARTH_RADIUS = 6371.0  # km, mean


def wrap_longitude(longitude: Any, centre: Any = 0.0) -> Any:
    """Shift longitudes by whole turns into [centre - 180, centre + 180).

    Args:
        longitude: number or array, degrees, in any turn.
        centre: number or array, degrees.
    """
    return centre + (longitude - centre + 180) % 360 - 180


def sphere(latitude: ArrayLike, longitude: ArrayLike, dtype: type = np.float32) -> np.ndarray:
    """Convert latitudes and longitudes to points on the unit sphere (..., 3).

    Args:
        latitude: (...) degrees.
        longitude: (...) degrees.
        dtype: type of the result.
    """
    latitude, longitude = np.deg2rad(latitude), np.deg2rad(longitude)
    x, y = np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude)
    return np.stack([x, y, np.sin(latitude)], -1).astype(dtype)


def is_ring(longitude: np.ndarray) -> bool:
    """Whether evenly spaced longitudes (X,), degrees, cover a full circle."""
    if len(longitude) < 3:
        return False
    step = float(np.median(np.diff(longitude)))
    return abs(longitude[-1] - longitude[0] + step - 360) < 0.5 * step
