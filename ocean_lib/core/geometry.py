"""Geometry of the sphere: longitudes in any turn, rings round the globe, points and distances."""

import numpy as np

__all__ = ["EARTH_RADIUS", "is_ring", "sphere", "wrap_longitude"]

EARTH_RADIUS = 6371.0  # km, of a sphere


def wrap_longitude(longitude, centre: float = 0.0):
    """Longitudes (degrees, any turn) within [centre - 180, centre + 180)."""
    return centre + (longitude - centre + 180) % 360 - 180


def sphere(latitude, longitude) -> np.ndarray:
    """Points on the unit sphere (..., 3), float32, of latitudes and longitudes in degrees."""
    latitude, longitude = np.deg2rad(latitude), np.deg2rad(longitude)
    return np.stack(
        [
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
        ],
        -1,
    ).astype(np.float32)


def is_ring(longitude: np.ndarray) -> bool:
    """Whether evenly spaced longitudes (degrees) go once round the globe."""
    if len(longitude) < 3:
        return False
    step = float(np.median(np.diff(longitude)))
    return abs(longitude[-1] - longitude[0] + step - 360) < 0.5 * step
