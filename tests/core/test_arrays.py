"""Seeded generators, and scratch arrays in memory or on disk."""

import numpy as np
import pytest
import torch

from ocean_lib.core.arrays import canvas, seeded


def test_seeds_of_any_size_and_order_give_their_own_draws(device):
    keys = [(0, 1), (1, 0), (2**32, 1), (2**40, 1), (0, 2**33), (0,), (0, 1, 2)]
    draws = [torch.rand(4, generator=seeded(device, *key), device=device) for key in keys]
    assert len({tuple(draw.tolist()) for draw in draws}) == len(keys)
    again = torch.rand(4, generator=seeded(device, *keys[2]), device=device)
    assert torch.equal(draws[2], again)


def test_a_canvas_on_disk_is_writable_and_leaves_nothing(tmp_path):
    array = canvas((3, 5), np.float32, tmp_path)
    assert isinstance(array, np.memmap) and not array.any()
    array[1] = 2
    assert array.sum() == 10 and not list(tmp_path.iterdir())
    assert canvas((1, 0, 5), np.float32, tmp_path).shape == (1, 0, 5)  # no surface fields


def test_a_full_disk_is_told_before_any_page_is_written(tmp_path):
    with pytest.raises(OSError):
        canvas((2**50,), np.float32, tmp_path)
