"""Failures for want of disk, memory or threads end in one sentence."""

import resource
import shutil
import subprocess
import sys
import threading

import pytest

from ocean_lib.__main__ import main
from ocean_lib.runs import limits


@pytest.mark.parametrize(
    "failure",
    ["OSError: [Errno 28] No space left on device", "[Errno 122] Disk quota exceeded: 'a.nc'"],
)
def test_a_full_disk_is_explained_by_what_is_free_and_needed(failure, tmp_path, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2e7))
    sentence = limits.explain_full_disk(failure, [(tmp_path, 1.5e9)])
    assert f"the disk of {tmp_path} is full" in sentence and "same command continues" in sentence
    assert "0.02 GB are free and the run needs about 1.50 GB more" in sentence


def test_a_failed_write_is_a_full_disk_only_where_too_little_is_free(tmp_path, monkeypatch):
    usage, failure = shutil.disk_usage("/"), "RuntimeError: NetCDF: HDF error"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1e9))
    assert limits.explain_full_disk(failure, [(tmp_path, 2e9)])
    assert limits.explain_full_disk(failure, [(tmp_path, 5e8)]) is None
    assert limits.explain_full_disk("KeyError: 'thetao'", [(tmp_path, 2e9)]) is None


def test_of_several_folders_the_fullest_is_named(tmp_path, monkeypatch):
    usage = shutil.disk_usage("/")
    free = {tmp_path / "a": 9e9, tmp_path / "b": 1e6}
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=free[folder]))
    rooms = [(folder, 5e8) for folder in free]
    assert str(tmp_path / "b") in limits.explain_full_disk("[Errno 28] a", rooms)


@pytest.mark.parametrize(
    "failure, word",
    [
        ("MemoryError: ", "memory"),
        ("ImportError: libtorch_cpu.so: failed to map segment from shared object", "memory"),
        ("RuntimeError: DefaultCPUAllocator: can't allocate memory", "memory"),
        ("RuntimeError: can't start new thread", "ulimit -u"),
        ("BlockingIOError: [Errno 11] Resource temporarily unavailable", "ulimit -u"),
    ],
)
def test_a_limit_is_named_with_its_remedy(failure, word, monkeypatch, capsys):
    assert word in limits.explain_limit(failure)

    def fail(**_):
        kind, _, text = failure.partition(": ")
        raise {"BlockingIOError": BlockingIOError, "ImportError": ImportError}.get(
            kind, MemoryError if kind == "MemoryError" else RuntimeError
        )(text)

    monkeypatch.setattr("ocean_lib.__main__._list", fail)
    assert main(["list"]) == 1
    assert word in capsys.readouterr().err


def test_another_failure_is_not_explained(monkeypatch):
    assert limits.explain_limit("ImportError: No module named 'papermill'") is None

    def fail(**_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("ocean_lib.__main__._list", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["list"])


def test_threads_that_cannot_start_are_refused(monkeypatch, capsys):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert main(["list"]) == 2
    assert "OMP_NUM_THREADS=1" in capsys.readouterr().err


def test_a_limited_address_space_is_refused_before_a_library_crashes(tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (5 * 10**8, 5 * 10**8))

    command = [sys.executable, "-m", "ocean_lib", "run", "smoke"]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "limited to 0.50 GB" in done.stderr and "ulimit -v unlimited" in done.stderr
