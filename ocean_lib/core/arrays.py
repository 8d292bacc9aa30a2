"""Arrays: seeded generators of random numbers, and scratch arrays on disk."""

import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import DTypeLike

__all__ = ["canvas", "seeded"]


def seeded(device: torch.device | str, *key: int) -> torch.Generator:
    """Random generator whose draws depend on every number of a key.

    Args:
        device: of the generator.
        key: numbers >= 0. They are mixed into 32 bits because torch ignores the higher bits of a
            seed on a CPU.
    """
    seed = np.random.SeedSequence(key).generate_state(1)[0]
    return torch.Generator(device).manual_seed(int(seed))


def canvas(
    shape: tuple[int, ...], dtype: DTypeLike = np.float32, folder: str | Path | None = None
) -> np.ndarray:
    """Array of zeros, in memory or in a file without a name.

    Args:
        shape: of the array.
        dtype: of the array.
        folder: where the file lies; it disappears with the last reference to the array. In memory
            where None.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if folder is None or not size:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(dir=folder) as file:
        # Allocated at once: a disk that fills up while a page is written kills the process.
        os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype, "r+", shape=shape)
