"""A synthetic sea with a shelf, for the tests of masks."""

import torch

DEPTH = torch.tensor([2.0, 5, 9, 13, 18, 40, 100, 250, 400, 700, 1100, 1600, 1990, 2600])


def sea(batch, shape, device, depth=DEPTH):
    """A shelf on the left third, 2,000 m and more elsewhere, a land corner: (B, D, H, W)."""
    height, width = shape
    bottom = torch.full(shape, 2100.0)
    bottom[:, : width // 3] = 120.0
    bottom[: height // 4, : width // 4] = 0.0
    ocean = depth[:, None, None] < bottom
    return ocean.expand(batch, -1, -1, -1).to(device)
