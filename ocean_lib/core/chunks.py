"""Blocks: arrays larger than memory, cut along their dask chunks and worked through piece by piece.

A box is a stretch of levels, rows and columns with all its dates. The task that works on a box
reads the dates one dask chunk after the other, within the task, so that what it holds follows from
the box alone, however many files there are. `boxes` sizes boxes by memory, `compute` runs their
tasks, a bounded number at once, on the current dask scheduler: threads here, or the workers behind
`on_scheduler(address)`, which need to see the same files. What tasks have to say at length they
`put` into .npy files.
"""

import itertools
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

__all__ = ["DECODING", "boxes", "compute", "cut", "extent", "on_scheduler", "write_slab", "spans"]


MEMORY = 2**29  # bytes that the tasks in flight in this process hold together, about
DECODING = 32  # bytes a value while its chunk is decoded: integers, float64 twice, float32
READ = MEMORY // 8  # bytes that a task decodes at once, where its chunks are smaller
PATIENCE = 5  # seconds for a scheduler, then for its first worker, to answer

# Chunks are read once and whole, so a cache of them is no use; by default every open file keeps
# 64 MiB, of which xarray holds open 128.
netCDF4.set_chunk_cache(2**20)


def spans(array: xr.DataArray, dim: str, cells: int | None = None) -> list[slice]:
    """Slices that cover a dimension, by its dask chunks; one by one where it is in memory.

    Args:
        cells: how many values stand beside each; small chunks are then read several together.
    """
    edges = np.cumsum([0, *array.chunksizes.get(dim, (1,) * array.sizes[dim])]).tolist()
    if cells is not None:
        together = max(1, int(READ / DECODING / cells / np.diff(edges).max()))
        edges = [*edges[:-1:together], edges[-1]]
    return [slice(*edge) for edge in zip(edges[:-1], edges[1:])]


def boxes(array: xr.DataArray, size: float) -> tuple[list[tuple[slice, slice, slice]], float]:
    """Slices of depth, latitude and longitude that cover an array, and the bytes of the largest.

    Small dask chunks are joined and huge ones cut, so that several boxes fit into memory.

    Args:
        size: bytes a cell that the task of a box holds, about, beside what it decodes at once.
    """
    dims = ("depth", "latitude", "longitude")
    edges = {dim: [0, *(span.stop for span in spans(array, dim))] for dim in dims}

    def cells() -> int:
        return math.prod(int(np.diff(each).max()) for each in edges.values())

    for dim in ("depth", "longitude", "latitude"):
        together = max(1, int(MEMORY / 4 / size / cells()))
        edges[dim] = [*edges[dim][:-1:together], edges[dim][-1]]
    for dim in ("latitude", "longitude"):
        pieces = math.ceil(cells() / (MEMORY / 2 / size))
        finer = [
            np.linspace(*edge, min(pieces, edge[1] - edge[0]) + 1).astype(int)
            for edge in zip(edges[dim][:-1], edges[dim][1:])
        ]
        edges[dim] = np.unique(np.concatenate(finer)).tolist()
    ranges = [[slice(*edge) for edge in zip(each[:-1], each[1:])] for each in edges.values()]
    every = itertools.product(ranges[1], ranges[2], ranges[0])
    return [(depth, row, column) for row, column, depth in every], READ + size * cells()


def cut(array: xr.DataArray, box: tuple[slice, slice, slice]) -> xr.DataArray:
    """A box of an array, still lazy, with no more of the graph than a worker needs to read it."""
    import dask

    part = array.isel(dict(zip(("depth", "latitude", "longitude"), box)))
    return dask.optimize(part)[0]


def extent(part: xr.DataArray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Cells finite at all dates and at any, bool; lowest and highest value, ±inf among them."""
    always, ever = np.ones(part.shape[1:], bool), np.zeros(part.shape[1:], bool)
    low, high = np.inf, -np.inf
    for dates in spans(part, "time", always.size):
        values = part.isel(time=dates).compute(scheduler="synchronous").values
        finite = np.isfinite(values)
        always &= finite.all(0)
        ever |= finite.any(0)
        low = min(low, float(np.fmin.reduce(values, axis=None, initial=np.inf)))
        high = max(high, float(np.fmax.reduce(values, axis=None, initial=-np.inf)))
    return always, ever, low, high


def compute(tasks: Iterable[Callable], size: float) -> Iterator:
    """Results of tasks (functions without arguments), in their order.

    Args:
        tasks: taken a group at a time, so they may be made as they are needed.
        size: bytes that one task holds, about; it limits how many are in flight here.
    """
    import dask

    lanes = min(os.cpu_count(), max(1, int(MEMORY // size)))
    tasks = iter(tasks)
    while group := list(itertools.islice(tasks, 2 * (_remote_threads() or lanes))):
        lazy = [dask.delayed(task, pure=False, traverse=False)() for task in group]
        yield from dask.compute(*lazy, num_workers=lanes)


def _remote_threads() -> int:
    """Threads of the workers of the current `distributed` client; 0 without one."""
    distributed = sys.modules.get("distributed")
    try:
        return sum(distributed.default_client().nthreads().values()) if distributed else 0
    except ValueError:
        return 0


@contextmanager
def on_scheduler(address: str):
    """Within it dask works on the scheduler at `address`; in threads here where that is ''.

    Raises:
        ConnectionError: no scheduler answers there, or it has no worker.
    """
    if not address:
        yield
        return
    from distributed import Client
    from distributed.comm import get_address_host

    try:
        get_address_host(address)  # first: a client that fails on it stays behind as the default
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no dask scheduler answers at {address!r} within {PATIENCE} s ({error}); start one "
            "with `dask scheduler` and give the address that it prints, or leave it empty"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            raise ConnectionError(
                f"the dask scheduler at {address!r} has 0 workers, needs 1; start some with "
                f"`dask worker {address}`"
            ) from error
        yield


def write_slab(path: Path, values: np.ndarray, start: tuple[int, ...]) -> None:
    """Write an array into a .npy file, from the index `start` on.

    By plain writes: through a memory map a full disk would kill the process, and on a file system
    that nodes share they would overwrite each other's part of a page.
    """
    whole = np.load(path, mmap_mode="r")
    values = np.ascontiguousarray(values, whole.dtype)
    run = values.ndim - 1  # the axis from which on the values lie in one piece
    while run and values.shape[run] == whole.shape[run]:
        run -= 1
    with open(path, "r+b") as file:
        for index in np.ndindex(values.shape[:run]):
            corner = [*np.add(start[:run], index), *start[run:]]
            file.seek(whole.offset + int(np.dot(corner, whole.strides)))
            file.write(values[index])
