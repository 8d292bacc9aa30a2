"""Interpolation of gridded fields: smoothing on tensors, triangles between points."""

import numpy as np
import torch
from torch import Tensor

__all__ = ["gaussian_smooth", "triangulate"]


def _gaussian(size: int, length: float, device) -> Tensor:
    """(size, size) weights exp(-d² / 2 L²) along one axis, for a length in cells."""
    position = torch.arange(size, device=device, dtype=torch.float32)
    return torch.exp(-0.5 * ((position[:, None] - position[None, :]) / length) ** 2)


def gaussian_smooth(field: Tensor, length: float) -> Tensor:
    """Convolution (..., H, W) with a Gaussian of standard deviation `length` cells."""
    height, width = field.shape[-2:]
    rows, columns = (_gaussian(size, length, field.device) for size in (height, width))
    return rows @ (field @ columns)


def triangulate(value: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Linear interpolation of (T, D, H, W) within each level; 0 where a level has no value."""
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
    from scipy.ndimage import binary_erosion
    from scipy.spatial import QhullError

    height, width = value.shape[-2:]
    cells = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1)
    mean = np.where(observed, value, 0.0).astype(value.dtype)
    for index in np.ndindex(value.shape[:2]):
        seen = observed[index]
        if not seen.any() or seen.all():
            continue
        # A point amid observed ones is a corner of no triangle that holds a hidden cell.
        corner = seen & ~binary_erosion(seen, np.ones((3, 3)))
        points, values, hidden = cells[corner], value[index][corner], cells[~seen]
        try:
            found = LinearNDInterpolator(points, values)(hidden)
        except QhullError:  # fewer than three points, or all on one line
            found = np.full(len(hidden), np.nan)
        outside = np.isnan(found)
        found[outside] = NearestNDInterpolator(points, values)(hidden[outside])
        mean[index][~seen] = found
    return mean
