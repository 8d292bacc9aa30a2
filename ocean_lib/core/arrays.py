"""Arrays and their randomness: seeded generators, and arrays laid over files."""

import os
import tempfile

import numpy as np
import torch

__all__ = ["canvas", "seeded"]


def seeded(device, *key: int) -> torch.Generator:
    """A generator whose draws follow from all numbers of `key`, none negative.

    They are mixed into 32 bits, since on a CPU torch ignores the higher bits of a seed.
    """
    seed = np.random.SeedSequence(key).generate_state(1)[0]
    return torch.Generator(device).manual_seed(int(seed))


def canvas(shape: tuple[int, ...], dtype=np.float32, folder=None) -> np.ndarray:
    """Zeros; with a folder, laid over a nameless file there that is gone when nobody holds it."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if folder is None or not size:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(dir=folder) as file:
        # Claimed at once: a disk found full only when a page is written would kill the process.
        os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype, "r+", shape=shape)
