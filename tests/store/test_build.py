"""The build of a store from files: bounded blocks, kills, refusals; whole, or not there at all."""

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from forgetful import ForgetfulDisk

from ocean_lib.core import chunks
from ocean_lib.core.chunks import on_scheduler
from ocean_lib.fields.canonical import open_fields, open_surface, to_canonical
from ocean_lib.store import passes
from ocean_lib.store.build import STEP
from ocean_lib.store.climatology import harmonics
from ocean_lib.store.store import Store, build_store

SCALE, OFFSET, FILL = 24 / 32767, 21.0, -32767
DEPTH = [0.5, 9.6, 109.7]
MONTHS, ROWS, COLUMNS = 36, 24, 40
FILES = ["anomaly.npy", "climatology.npy", "deviation.npy", "ocean.npy", "store.json"]
SPLITS = {
    "time": {"split": "time", "validation": 4, "test": 4, "gap": 2},
    "space": {"split": "space", "gap_cells": 4},
}


@pytest.fixture(scope="module")
def raw():
    """36 months of packed integers; a land corner, and a bottom that slopes."""
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:ROWS, :COLUMNS]
    depth = np.array(DEPTH)[:, None, None]
    season = 3 * np.cos(2 * np.pi * np.arange(MONTHS) / 12)[:, None, None, None]
    value = 12 - depth / 20 + season * np.exp(-depth / 50) + 0.1 * row
    value = value + rng.normal(size=value.shape)
    values = np.rint((value - OFFSET) / SCALE).astype("i2")
    values[:, depth > 12.0 * np.hypot(row, column) - 30] = FILL
    return values


@pytest.fixture(scope="module")
def files(raw, tmp_path_factory):
    """Three files of a year each."""
    folder = tmp_path_factory.mktemp("as delivered")
    for year in range(3):
        write(folder / f"{1993 + year}.nc", year, raw[12 * year : 12 * year + 12])
    return folder


def write(path, year, values):
    months = np.arange(12) + np.datetime64(f"{1993 + year}-01", "M")
    hours = (months.astype("M8[D]") - np.datetime64("1950-01-01")).astype(int) * 24.0
    axes = {
        "time": (hours, "hours since 1950-01-01"),
        "depth": (DEPTH, "m"),
        "latitude": (30 + np.arange(ROWS) / 12, "degrees_north"),
        "longitude": (-70 + np.arange(COLUMNS) / 12, "degrees_east"),
    }
    with netCDF4.Dataset(path, "w") as file:
        for name, (points, units) in axes.items():
            file.createDimension(name, len(points))
            file.createVariable(name, "f8", (name,))[:] = points
            file[name].units = units
        variable = file.createVariable(
            "thetao", "i2", tuple(axes), zlib=True, chunksizes=(12, 2, 12, 20), fill_value=FILL
        )
        variable.set_auto_maskandscale(False)
        variable.scale_factor, variable.add_offset = SCALE, OFFSET
        variable.standard_name, variable.units = "sea_water_potential_temperature", "degrees_C"
        variable[:] = values


def divide(patch):
    """Files in several dask chunks, and builds in several blocks, small as they are."""
    patch.setattr("ocean_lib.fields.files.CHUNK", "16kiB")
    patch.setattr(chunks, "MEMORY", 6e5)
    patch.setattr(chunks, "READ_BYTES", 4e5)
    patch.setattr(passes, "STRIP", 500)


@pytest.fixture(autouse=True)
def divided(monkeypatch):
    divide(monkeypatch)


@pytest.fixture(scope="module")
def opened(files):
    with pytest.MonkeyPatch.context() as patch:
        divide(patch)
        return open_fields(files)


def seen_from_above(fields):
    return fields.temperature.isel(depth=0, drop=True).to_dataset(name="surface_temperature")


def make(fields, folder, kind="time", **choices):
    above = seen_from_above(fields)
    return build_store(fields, folder, surfaces=above, **SPLITS[kind] | choices)


@pytest.fixture(scope="module")
def unbroken(opened, tmp_path_factory):
    """By split: the folder of a store that was built without a break."""
    folder = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        divide(patch)
        return {kind: make(opened, folder / kind, kind).folder for kind in SPLITS}


def assert_same(first, second):
    """Two stores, byte for byte, and nothing beside them."""
    for folder in (first, second):
        assert sorted(path.name for path in folder.iterdir()) == FILES
        assert not folder.with_name(f"{folder.name}.partial").exists()
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def stop_after(number=None):
    """A `progress` that stops the build after so many blocks, and notes what passed by."""

    def progress(records, total):
        progress.total = total
        for count, record in enumerate(records, 1):
            progress.steps.append(record["step"])
            yield record
            if count == number:
                raise KeyboardInterrupt

    progress.steps = []
    return progress


# Blocks


@pytest.mark.parametrize("kind", SPLITS)
def test_values_from_files_come_back_within_half_a_step(opened, raw, tmp_path, kind):
    passed = stop_after()
    store = make(opened, tmp_path / "s", kind, progress=passed)
    assert passed.total == len(passed.steps) > {"time": 15, "space": 8}[kind]
    truth = np.concatenate([raw[:, :1], raw], 1)
    wet = np.moveaxis(truth[0] != FILL, 0, -1)
    np.testing.assert_array_equal(store.ocean, wet)
    truth = np.moveaxis(truth * SCALE + OFFSET, 1, -1)
    angle = 2 * np.pi * (store.times - store.times.astype("M8[Y]")) / np.timedelta64(1, "D")
    angle = angle / np.where(store.times.astype("M8[Y]").astype(int) % 4 == 2, 366, 365)
    basis = [np.ones(36), np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
    normal = np.tensordot(np.array(basis[: len(store.climatology)]).T, store.climatology, 1)
    back = store.anomaly * STEP * store.deviation + normal
    error = np.abs(back - truth) / store.deviation / STEP
    assert error[:, wet].max() < 0.51
    train = slice(0, 24) if kind == "time" else slice(None)
    columns = store.block("train")[1]
    anomaly = (store.anomaly * STEP)[train, :, columns][:, wet[:, columns]]
    assert abs(anomaly.mean()) < 1e-3 and 0.6 < (anomaly**2).mean() < 1.1


@pytest.mark.parametrize("kind", SPLITS)
def test_blocks_of_any_size_give_the_same_store(opened, unbroken, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(chunks, "MEMORY", 2**29)
    monkeypatch.setattr(passes, "STRIP", 2**22)
    passed = stop_after()
    make(opened, tmp_path / "whole", kind, progress=passed)
    assert passed.total == {"time": 2 + 4 + 1, "space": 2 + 1}[kind]  # sources, levels, area
    # Means over all cells are summed strip by strip, and differ by rounding.
    first, second = Store(tmp_path / "whole"), Store(unbroken[kind])
    np.testing.assert_array_equal(first.ocean, second.ocean)
    np.testing.assert_allclose(first.deviation, second.deviation, rtol=1e-6)
    np.testing.assert_allclose(first.climatology, second.climatology, atol=1e-6)
    assert np.abs(first.anomaly.astype(int) - second.anomaly).max() <= 1


def test_fields_in_memory_and_lazy_ones_give_the_same_store(opened, unbroken, tmp_path):
    make(opened.compute(), tmp_path / "s")
    assert_same(tmp_path / "s", unbroken["time"])


def test_a_distributed_scheduler_gives_the_same_store(unbroken, opened, tmp_path):
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        with on_scheduler(cluster.scheduler_address):
            make(opened, tmp_path / "s")
    assert_same(tmp_path / "s", unbroken["time"])


def test_opening_in_blocks_finds_the_ocean_of_the_integers(opened, raw):
    np.testing.assert_array_equal(opened.ocean, (raw != FILL).all(0))
    assert opened.attrs["n_intermittent"] == 0
    changed = opened.temperature.compute()
    changed[3, 1, 20, 30] = np.nan
    again = to_canonical(changed.to_dataset(name="thetao"))
    assert again.attrs["n_gaps"] == 1 and again.ocean[1, 20, 30]
    np.testing.assert_array_equal(np.isnan(again.temperature[:, 1, 20, 30]).sum(), 1)
    changed[4, 2, 21, 31] = -np.inf
    with pytest.raises(ValueError, match="inf"):
        to_canonical(changed.to_dataset(name="thetao"))


def test_the_view_from_above_is_the_shallowest_level(files, raw):
    above = open_surface(files, region=(-69, -68, 30.5, 31.5))
    assert above.dims == ("time", "latitude", "longitude")
    expected = raw[:, 0, 6:19, 12:25] * SCALE + OFFSET
    expected[raw[:, 0, 6:19, 12:25] == FILL] = np.nan
    np.testing.assert_allclose(above, expected, rtol=1e-6)


# Kills


@pytest.mark.parametrize("kind", SPLITS)
def test_an_interrupted_build_goes_on_where_it_was(opened, unbroken, tmp_path, kind):
    """Stopped again and again, within every pass."""
    steps, attempts = [], 0
    while not (tmp_path / "s").exists() and attempts < 10:
        progress = stop_after(4)
        try:
            make(opened, tmp_path / "s", kind, progress=progress)
        except KeyboardInterrupt:
            assert not (tmp_path / "s").exists()
        steps += progress.steps
        attempts += 1
    # Every block was noted once.
    assert steps == list(range(1, progress.total + 1)) and attempts > 2
    assert_same(tmp_path / "s", unbroken[kind])


@pytest.mark.parametrize("name", ["fit_box", "standardise_box"])
def test_a_block_that_was_written_but_not_noted_is_written_again(
    opened, unbroken, tmp_path, monkeypatch, name
):
    true, calls = getattr(passes, name), []

    def dying(*arguments):
        calls.append(true(*arguments))
        if len(calls) == 3:
            raise RuntimeError("the worker died")
        return calls[-1]

    monkeypatch.setattr(passes, name, dying)
    with pytest.raises(RuntimeError):
        make(opened, tmp_path / "s")
    assert not (tmp_path / "s").exists()
    make(opened, tmp_path / "s")
    assert_same(tmp_path / "s", unbroken["time"])


CHILD = """
import sys
sys.path[:0] = {tests!r}
from test_build import divide, make, open_fields, pytest
divide(pytest.MonkeyPatch())
def show(records, total):
    for record in records:
        print(record["step"], total, flush=True)
        yield record
make(open_fields({files!r}), {store!r}, progress=show)
"""


def test_a_build_that_is_killed_in_each_pass_completes(files, unbroken, opened, tmp_path):
    names = {
        "tests": [str(Path(__file__).parents[k]) for k in (0, 1)],
        "files": str(files),
        "store": str(tmp_path / "s"),
    }
    last = 0
    for share in (0.1, 0.9):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD.format(**names)], stdout=subprocess.PIPE, text=True
        )
        for line in child.stdout:
            step, total = map(int, line.split())
            if step >= share * total:
                child.send_signal(signal.SIGKILL)
                break
        assert child.wait() == -signal.SIGKILL and not (tmp_path / "s").exists()
        assert step > last
        last = step
    progress = stop_after()
    make(opened, tmp_path / "s", progress=progress)
    assert last < progress.steps[0] and progress.steps[-1] == total  # another process goes on
    assert_same(tmp_path / "s", unbroken["time"])


def test_another_plan_or_changed_files_begin_anew(files, tmp_path):
    own = tmp_path / "files"
    shutil.copytree(files, own)

    def first(**choices):
        progress = stop_after(2)
        with pytest.raises(KeyboardInterrupt):
            make(open_fields(own), tmp_path / "s", progress=progress, **choices)
        return progress.steps[0]

    assert (first(), first()) == (1, 3)
    assert first(request={"levels": 3}, smoothing=2.0) == 1
    assert first(request={"levels": 3}, smoothing=3.0) == 1
    os.utime(own / "1994.nc", ns=(1, 1))
    assert first(request={"levels": 3}, smoothing=3.0) == 1


def test_a_store_is_replaced_in_one_step(opened, tmp_path, monkeypatch):
    """Killed at the last moment, the new store stands complete beside its name."""
    before = make(opened.isel(depth=[0, 1]), tmp_path / "s").anomaly.shape
    true = os.replace

    def dies(source, target):
        true(source, target)
        if Path(target) == tmp_path / "s.partial" / "work" / "old":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", dies)
        make(opened, tmp_path / "s")
    assert not (tmp_path / "s").exists()
    progress = stop_after()
    store = make(opened, tmp_path / "s", progress=progress)
    assert progress.steps == [] and store.anomaly.shape[-1] == before[-1] + 1
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_store_survives_a_loss_of_power(opened, tmp_path, monkeypatch):
    """Nothing is recorded as done, and no name is final, before its content is on the disk."""
    disk = ForgetfulDisk(monkeypatch)
    recorded = []

    def progress(records, total):
        for record in records:
            partial = tmp_path / "s.partial"
            files = [path for path in (partial / "store").iterdir() if path.is_file()]
            recorded.append(all(disk._kept(path) for path in files))
            yield record

    make(opened, tmp_path / "s", progress=progress)
    assert len(recorded) > 2 and all(recorded)
    assert tmp_path / "s" in disk.moved and not disk.early and not disk.spoiled()


# Refusals


def test_two_builds_of_one_store_do_not_meet(opened, unbroken, tmp_path):
    (tmp_path / "s.partial").mkdir()
    with (tmp_path / "s.partial" / "lock").open("w") as file:
        file.write("4711 on elsewhere")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError, match="s is being built by process 4711 on elsewhere"):
            make(opened, tmp_path / "s")
    assert not (tmp_path / "s").exists()

    def meanwhile(records, total):
        with pytest.raises(BlockingIOError, match=f"{os.getpid()} on .*wait"):
            make(opened, tmp_path / "s")
        yield from records

    make(opened, tmp_path / "s", progress=meanwhile)  # the lock of a dead process holds nobody
    assert_same(tmp_path / "s", unbroken["time"])


def test_a_disk_too_small_is_refused_before_the_work(opened, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100_000))
    with pytest.raises(OSError) as caught:
        make(opened, tmp_path / "s", progress=pytest.fail)
    # 36 dates of int16, 5 harmonics and the deviation twice in float32, and the ocean.
    needed = 24 * 40 * 4 * (36 * 2 + 7 * 4 + 1)
    for word in (f"{needed / 1e9:.2f} GB", "0.00 GB are free", "fewer levels", str(tmp_path / "s")):
        assert word in str(caught.value), caught.value
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_is_named_and_the_build_goes_on(
    opened, unbroken, tmp_path, monkeypatch
):
    true, calls = passes.write_slab, []

    def put(path, values, start):
        calls.append(path)
        if len(calls) == 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        true(path, values, start)

    monkeypatch.setattr(passes, "write_slab", put)
    with pytest.raises(OSError, match="disk is full.*GB are free.*it continues"):
        make(opened, tmp_path / "s")
    assert not (tmp_path / "s").exists()
    done = json.loads((tmp_path / "s.partial" / "progress.json").read_text())["done"]
    progress = stop_after()
    make(opened, tmp_path / "s", progress=progress)
    assert progress.steps[0] == len(done) + 1
    assert_same(tmp_path / "s", unbroken["time"])


def test_a_folder_that_may_not_be_written_is_named(opened, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PermissionError, match="s.partial cannot be written.*right to write"):
        make(opened, tmp_path / "s")


def test_an_infinite_value_in_the_ocean_is_refused(opened, tmp_path):
    for date, split in ((3, "in training"), (33, "later")):
        broken = opened.compute()
        broken.temperature[date, 1, 20, 30] = np.inf
        with pytest.raises(ValueError) as caught:
            build_store(broken, tmp_path / split, **SPLITS["time"])
        month = str(np.datetime64("1993-01", "M") + date)
        for word in ("1 value(s) of temperature", f"{month}-01", "latitude 31.6667", "open_fields"):
            assert word in str(caught.value), caught.value
    assert list(tmp_path.iterdir()) == []


def test_gaps_stay_gaps_and_change_nothing_else(opened, unbroken, tmp_path):
    """A level of a training month, a cell of two others, and a month of the test."""
    broken, whole = opened.compute(), Store(unbroken["time"])
    broken.temperature[3, 1] = np.nan
    broken.temperature[[5, 7], 2, 20, 30] = np.nan
    broken.temperature[33, 0, 10:] = np.nan
    store = build_store(broken, tmp_path / "s", surfaces=seen_from_above(opened), **SPLITS["time"])
    np.testing.assert_array_equal(store.statistics().wet, whole.statistics().wet)
    for part in ("train", "test"):
        kept, full = store.fields(part), whole.fields(part)
        given = broken.temperature.sel(time=kept.time)
        np.testing.assert_array_equal(kept.temperature.isnull(), given.isnull())
        np.testing.assert_allclose(
            kept.temperature, full.temperature.where(given.notnull()), atol=2e-3
        )
    # The cell's climatology is the least squares fit to its other months, by numpy.
    months = store.fields("train").time.values
    value = broken.temperature[: len(months), 2, 20, 30].values
    basis = harmonics(months, 5)[np.isfinite(value)]
    known = value[np.isfinite(value)].astype(float)
    fit, *_ = np.linalg.lstsq(basis, known, rcond=None)
    channel = len(store.surfaces) + 2
    np.testing.assert_allclose(
        store.statistics().harmonic[:, channel, 20, 30], fit, rtol=1e-4, atol=1e-4
    )
    untouched = {"channel": channel, "latitude": slice(None, 20)}
    np.testing.assert_array_equal(
        store.statistics().harmonic.isel(untouched), whole.statistics().harmonic.isel(untouched)
    )


def test_a_cell_without_values_in_training_is_refused(opened, tmp_path):
    broken = opened.compute()
    broken.temperature[:20, 2, 20, 30] = np.nan
    with pytest.raises(ValueError, match="1 cells have values on fewer than half of the 24"):
        make(broken, tmp_path / "s")


# Further variables


def test_further_variables_follow_in_channels_of_their_own(opened, tmp_path):
    rng = np.random.default_rng(1)
    salty = (35 + 0.1 * rng.normal(size=opened.temperature.shape)).astype("f4")
    salty[:, :, 12:] = 35  # still water
    attributes = {"standard_name": "sea_water_salinity", "units": "1e-3", "long_name": "salt"}
    fields = opened.compute().assign(salinity=(opened.temperature.dims, salty))
    fields["salinity"] = fields.salinity.where(fields.ocean).assign_attrs(attributes)
    store = make(fields, tmp_path / "s", smoothing=0.0, floor=0.8)
    alone = make(opened, tmp_path / "t", smoothing=0.0, floor=0.8)
    assert store.variables == ["temperature", "salinity"] and alone.variables == ["temperature"]
    assert store.anomaly.shape[-1] == 1 + 2 * 3 and len(store.depth) == 3
    np.testing.assert_array_equal(store.anomaly[..., :4], alone.anomaly)
    np.testing.assert_array_equal(store.ocean[..., 4:], store.ocean[..., 1:4])
    statistics = store.statistics()
    assert statistics.attrs["variables"] == ["temperature", "salinity"]
    assert statistics.attrs["units"] == {"temperature": "degrees_C", "salinity": "1e-3"}

    part, truth = store.fields("test", dates=[1, 3]), fields.isel(time=[33, 35])
    np.testing.assert_array_equal(part.time, truth.time)
    assert part.salinity.attrs == attributes
    for name, first in (("temperature", 1), ("salinity", 4)):
        np.testing.assert_array_equal(np.isnan(part[name]), np.isnan(truth[name]))
        step = STEP * statistics.deviation.values[first : first + 3]
        error = np.abs(part[name].values - truth[name].values)
        assert np.nanmax(error - 0.51 * step) < 1e-5

    # The floor of salinity stands to that of temperature as their mean deviations do.
    angle = 2 * np.pi * (opened.time.dt.dayofyear.values[:24] - 1) / 365
    basis = [np.ones(24), np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
    typical = []
    for name in store.variables:
        values = fields[name].values[:24][:, fields.ocean].astype(float)
        square = np.linalg.lstsq(np.array(basis).T, values)[1]
        deviation = np.sqrt(square / (24 - 5))
        typical.append(deviation.mean())
    still = store.deviation[12:, :, 4][store.ocean[12:, :, 4]]
    np.testing.assert_allclose(still, 0.8 * typical[1] / typical[0], rtol=0.01)
