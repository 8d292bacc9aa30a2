"""Arrays: seeded generators of random numbers, and scratch arrays on disk."""

import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import DTypeLike

__all__ = ["canvas", "seeded"]


def seeded(device: torch.device | str, *key: int) -> torch.Generator:
    """Create a random generator whose draws depend on every number of a key.

    Args:
        device: where the generator draws.
        key: numbers >= 0. They are mixed into 32 bits because torch ignores the higher bits of a
            seed on a CPU.
    """
    seed = np.random.SeedSequence(key).generate_state(1)[0]
    return torch.Generator(device).manual_seed(int(seed))


def canvas(
    shape: tuple[int, ...], dtype: DTypeLike = np.float32, folder: str | Path | None = None
) -> np.ndarray:
    """Create an array of zeros, in memory or in an unnamed temporary file.

    Args:
        shape: shape of the array.
        dtype: type of the array.
        folder: directory of the file, which disappears with the last reference to the array; None
            keeps the array in memory.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if folder is None or not size:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(dir=folder) as file:
        # Allocate now: if the disk filled up later, writing a page would kill the process.
        os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype, "r+", shape=shape)
