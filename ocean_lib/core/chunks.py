"""Chunks: arrays larger than memory, processed box by box along their dask chunks.

A box is a range of levels, rows and columns with all its dates. The task that works on a box reads
one dask chunk of dates after another, so its memory depends on the box alone, not on the number of
files. `spatial_boxes` sizes boxes by memory. `run_tasks` runs their tasks, a bounded
number at a time, on the current dask scheduler: threads of this process, or the workers of
`on_scheduler(address)`, which must see the same files. Large results are written into .npy files
with `write_slab`.
"""

import itertools
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

__all__ = ["chunk_slices", "on_scheduler", "run_tasks", "select_box", "spatial_boxes", "write_slab"]


MEMORY = 2**29  # bytes that all running tasks of this process hold together, approximately
DECODING_BYTES = 32  # per value while its chunk is decoded: integer, float64 twice, float32
READ_BYTES = MEMORY // 8  # bytes that a task decodes at once; smaller chunks are joined
TIMEOUT = 5  # seconds to wait for the scheduler, then for its first worker

# Every chunk is read once, so caching chunks is useless. By default each open file keeps 64 MiB,
# and xarray keeps 128 files open.
netCDF4.set_chunk_cache(2**20)

Box = tuple[slice, slice, slice]  # levels, rows, columns


def chunk_slices(array: xr.DataArray, dim: str, cells: int | None = None) -> list[slice]:
    """Slices that cover a dimension, one per dask chunk; of length 1 for an array in memory.

    Args:
        array: lazy or in memory.
        dim: name of the dimension.
        cells: number of values per index of `dim`; if given, small chunks are joined up to
            `READ_BYTES`.
    """
    edges = np.cumsum([0, *array.chunksizes.get(dim, (1,) * array.sizes[dim])]).tolist()
    if cells is not None:
        together = max(1, int(READ_BYTES / DECODING_BYTES / cells / np.diff(edges).max()))
        edges = [*edges[:-1:together], edges[-1]]
    return _slices(edges)


def _slices(edges: Sequence[int]) -> list[slice]:
    return [slice(*edge) for edge in itertools.pairwise(edges)]


def spatial_boxes(array: xr.DataArray, size: float) -> tuple[list[Box], float]:
    """Boxes that cover the levels, rows and columns of an array, and the bytes of the largest.

    Small dask chunks are joined and large ones split, so that several boxes fit into memory.

    Args:
        array: with dimensions depth, latitude and longitude.
        size: bytes per cell that the task of a box holds, besides what it decodes at once.
    """
    dims = ("depth", "latitude", "longitude")
    edges = {dim: [0, *(part.stop for part in chunk_slices(array, dim))] for dim in dims}

    def largest() -> int:
        return math.prod(int(np.diff(ends).max()) for ends in edges.values())

    for dim in ("depth", "longitude", "latitude"):
        together = max(1, int(MEMORY / 4 / size / largest()))
        edges[dim] = [*edges[dim][:-1:together], edges[dim][-1]]
    for dim in ("latitude", "longitude"):
        pieces = math.ceil(largest() / (MEMORY / 2 / size))
        finer = [
            np.linspace(start, stop, min(pieces, stop - start) + 1).astype(int)
            for start, stop in itertools.pairwise(edges[dim])
        ]
        edges[dim] = np.unique(np.concatenate(finer)).tolist()
    levels, rows, columns = map(_slices, edges.values())
    boxes = [(level, row, column) for row in rows for column in columns for level in levels]
    return boxes, READ_BYTES + size * largest()


def select_box(array: xr.DataArray, box: Box) -> xr.DataArray:
    """Select a box of an array, lazily, with only the part of the dask graph that reads it."""
    import dask

    part = array.isel(dict(zip(("depth", "latitude", "longitude"), box)))
    return dask.optimize(part)[0]


def run_tasks(tasks: Iterable[Callable[[], Any]], size: float) -> Iterator[Any]:
    """Yield the results of tasks (functions without arguments) in the order of the tasks.

    Args:
        tasks: consumed in groups, so a generator may create them on demand.
        size: bytes that one task holds; it limits how many run at once in this process.
    """
    import dask

    lanes = min(os.cpu_count() or 1, max(1, int(MEMORY // size)))
    tasks = iter(tasks)
    while group := list(itertools.islice(tasks, 2 * (_remote_threads() or lanes))):
        lazy = [dask.delayed(task, pure=False, traverse=False)() for task in group]
        yield from dask.compute(*lazy, num_workers=lanes)


def _remote_threads() -> int:
    """Number of worker threads of the current `distributed` client; 0 without one."""
    distributed = sys.modules.get("distributed")
    try:
        return sum(distributed.default_client().nthreads().values()) if distributed else 0
    except ValueError:
        return 0


@contextmanager
def on_scheduler(address: str) -> Iterator[None]:
    """Context in which dask works on a `distributed` scheduler.

    Args:
        address: scheduler, such as `tcp://10.0.0.1:8786`; if empty, threads of this process.
    Raises:
        ConnectionError: no scheduler answers at the address, or it has no worker.
    """
    if not address:
        yield
        return
    from distributed import Client
    from distributed.comm import get_address_host

    try:
        # Checked first: a client that fails on the address would stay the default client.
        get_address_host(address)
        client = Client(address, timeout=TIMEOUT)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no dask scheduler answers at {address!r} within {TIMEOUT} s ({error}); start one "
            "with `dask scheduler` and give the address that it prints, or leave it empty"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=TIMEOUT)
        except TimeoutError as error:
            raise ConnectionError(
                f"the dask scheduler at {address!r} has 0 workers, needs 1; start some with "
                f"`dask worker {address}`"
            ) from error
        yield


def write_slab(path: Path, values: np.ndarray, start: tuple[int, ...]) -> None:
    """Write an array into a part of a .npy file.

    Plain writes are used because a memory map kills the process when the disk is full, and nodes
    that share a file system would overwrite each other's parts of a page.

    Args:
        path: .npy file of the full array.
        values: array with as many dimensions as the full one.
        start: index of the first value in the full array.
    """
    full = np.load(path, mmap_mode="r")
    values = np.ascontiguousarray(values, full.dtype)
    axis = values.ndim - 1  # from this axis on, values are contiguous in the file
    while axis and values.shape[axis] == full.shape[axis]:
        axis -= 1
    with open(path, "r+b") as file:
        for index in np.ndindex(values.shape[:axis]):
            corner = [*np.add(start[:axis], index), *start[axis:]]
            file.seek(full.offset + int(np.dot(corner, full.strides)))
            file.write(values[index].data)
