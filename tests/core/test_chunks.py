"""Boxes cover everything once and fit; tasks keep their order; slabs are written in place."""

import functools
import os
import socket
import threading

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

from ocean_lib.core.chunks import (
    DECODING_BYTES,
    MEMORY,
    TIMEOUT,
    chunk_slices,
    on_scheduler,
    run_tasks,
    select_box,
    spatial_boxes,
    write_slab,
)

DIMS = ("time", "depth", "latitude", "longitude")


def array(chunks=None, shape=(5, 7, 30, 41)):
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    lazy = values if chunks is None else da.from_array(values, chunks)
    return xr.DataArray(lazy, dims=DIMS, name="temperature")


@pytest.mark.parametrize("chunks", [None, (1, 3, 8, 16), (2, 7, 30, 41), (5, 1, 1, 41)])
@pytest.mark.parametrize("memory", [1e3, 2e4, 3e5, 2**29])
def test_boxes_cover_every_cell_once_and_fit(monkeypatch, chunks, memory):
    monkeypatch.setattr("ocean_lib.core.chunks.MEMORY", memory)
    monkeypatch.setattr("ocean_lib.core.chunks.READ_BYTES", memory / 8)
    field = array(chunks)
    covered = np.zeros(field.shape[1:], int)
    parts, most = spatial_boxes(field, 10.0)
    for box in parts:
        covered[box] += 1
        cells = covered[box].size
        assert memory / 8 + 10 * cells <= most
        # A level of a dask chunk of one row and one column is the least there is.
        assert 10 * cells <= max(memory / 2, 10 * 7)
    assert (covered == 1).all()
    if memory == 2**29:
        assert len(parts) == 1


def test_boxes_keep_to_dask_chunks_where_these_fit(monkeypatch):
    monkeypatch.setattr("ocean_lib.core.chunks.MEMORY", 16 * 3 * 8 * 16)
    parts, _ = spatial_boxes(array((1, 3, 8, 16)), 4.0)
    assert {box[1].start % 8 for box in parts} == {box[2].start % 16 for box in parts} == {0}
    assert {box[0].start % 3 for box in parts} == {0} and len(parts) == 3 * 4 * 3


def test_slices_follow_dask_chunks_and_join_small_ones(monkeypatch):
    field = array((2, 7, 30, 41))
    assert chunk_slices(field, "time") == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert chunk_slices(array(), "depth") == [slice(k, k + 1) for k in range(7)]
    monkeypatch.setattr("ocean_lib.core.chunks.READ_BYTES", 4 * 100 * DECODING_BYTES)
    assert chunk_slices(field, "time", 100) == [slice(0, 4), slice(4, 5)]
    assert chunk_slices(field, "time", 10**9) == chunk_slices(field, "time")


def test_a_box_carries_only_its_part_of_the_graph():
    field = array((1, 3, 8, 16))
    part = select_box(field, (slice(0, 3), slice(0, 8), slice(16, 32)))
    assert len(dict(part.__dask_graph__())) <= 3 * 5 < len(dict(field.__dask_graph__()))
    np.testing.assert_array_equal(part, array().values[:, :3, :8, 16:32])


def test_few_tasks_are_in_flight_and_results_keep_their_order(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    made, flying, most, lock = [], 0, 0, threading.Lock()
    together, third = threading.Barrier(3), threading.Event()

    def task(number):
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
        if number < 3:
            together.wait()  # three are in flight
        if number == 0:
            third.wait()  # the first ends after the third
        with lock:
            flying -= 1
        if number == 2:
            third.set()
        return number

    def tasks():
        for number in range(20):
            made.append(number)
            yield functools.partial(task, number)

    results = run_tasks(tasks(), MEMORY / 3)
    assert next(results) == 0 and len(made) <= 6
    assert list(results) == list(range(1, 20))
    assert most == 3


@pytest.mark.parametrize("shape", [(3, 4, 5), (3, 2, 5), (1, 4, 2), (2, 1, 1)])
def test_a_slab_changes_its_part_and_nothing_else(tmp_path, shape):
    path = tmp_path / "a.npy"
    expected = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("f4")
    np.save(path, expected)
    start = tuple(np.subtract((3, 4, 5), shape))
    block = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    write_slab(path, block, start)
    expected[tuple(slice(first, first + size) for first, size in zip(start, shape))] = block
    np.testing.assert_array_equal(np.load(path), expected)


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    assert TIMEOUT <= 5
    monkeypatch.setattr("ocean_lib.core.chunks.TIMEOUT", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ConnectionError) as caught, on_scheduler(address):
        pass
    for word in (address, "1 s", "dask scheduler", "leave it empty"):
        assert word in str(caught.value)
    with pytest.raises(ConnectionError, match="'nonsense'"), on_scheduler("nonsense://"):
        pass
    assert dask.delayed(sum)([1, 2]).compute() == 3  # threads, as before


def test_a_scheduler_without_workers_is_refused(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr("ocean_lib.core.chunks.TIMEOUT", 0.5)
    with LocalCluster(n_workers=0, dashboard_address=None, host="127.0.0.1") as cluster:
        with pytest.raises(ConnectionError, match="0 workers, needs 1.*dask worker tcp"):
            with on_scheduler(cluster.scheduler_address):
                pass
