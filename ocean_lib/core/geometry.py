"""TODO"""

import numpy as np

__all__ = ["is_ring", "sphere"]


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
