"""The lock on a file: one holder at a time, who is named in it."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from ocean_lib.core import lock
from ocean_lib.core.lock import acquire_lock

HOLDER = """
import sys
from pathlib import Path
from ocean_lib.core.lock import acquire_lock
file = acquire_lock(Path({path!r}))
print("held", flush=True)
input()
"""


def test_a_held_lock_names_its_holder_and_is_free_once_that_is_killed(tmp_path):
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(path=str(path))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError, match=f"^{holder.pid} on {os.uname().nodename}$"):
            acquire_lock(path)
    finally:
        holder.kill()
        holder.communicate()
    with acquire_lock(path):
        assert path.read_text() == f"{os.getpid()} on {os.uname().nodename}"


def test_closing_the_file_releases_the_lock(tmp_path):
    acquire_lock(tmp_path / "lock").close()
    with acquire_lock(tmp_path / "lock"), pytest.raises(BlockingIOError, match=f"{os.getpid()}"):
        acquire_lock(tmp_path / "lock")


@pytest.fixture(params=lock.NO_LOCKS, ids=errno.errorcode.get)
def no_locks(request, monkeypatch):
    """A file system without locks: Lustre without `flock`, NFS without `lockd`, some FUSE."""

    def refuse(*_):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_without_locks_a_second_file_takes_their_place(tmp_path, no_locks):
    path = tmp_path / "lock"
    with acquire_lock(path):
        assert path.read_text() == f"{os.getpid()} on {os.uname().nodename}"
        with pytest.raises(BlockingIOError, match=rf"{os.getpid()} on .*remove .*lock\.exclusive"):
            acquire_lock(path)
    with acquire_lock(path):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["lock"]


def test_without_locks_a_killed_process_of_this_machine_is_no_obstacle(tmp_path, no_locks):
    beside = tmp_path / "lock.exclusive"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    beside.write_text(f"{ended.pid} on {os.uname().nodename}")
    with acquire_lock(tmp_path / "lock"):
        assert beside.read_text().startswith(f"{os.getpid()} on ")
    for holder in (f"{ended.pid} on another.machine", "", f"1 on {os.uname().nodename}"):
        beside.write_text(holder)  # another machine's, unknown, or alive: it may be at work
        with pytest.raises(BlockingIOError, match="if it has ended, remove"):
            acquire_lock(tmp_path / "lock")


def test_without_locks_a_file_created_meanwhile_is_not_removed(tmp_path, no_locks, monkeypatch):
    """A reads the file of a process that has ended; B replaces it; then A goes on."""
    beside = tmp_path / "lock.exclusive"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    beside.write_text(f"{ended.pid} on {os.uname().nodename}")
    ours = lock._is_dead

    def slow(holder):
        dead = ours(holder)
        if dead:
            beside.write_text(f"1 on {os.uname().nodename}")  # alive
        return dead

    monkeypatch.setattr(lock, "_is_dead", slow)
    with pytest.raises(BlockingIOError, match="1 on"):
        acquire_lock(tmp_path / "lock")
    assert beside.read_text().startswith("1 on ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "lock.exclusive"]


def test_other_errors_of_a_lock_are_raised(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        acquire_lock(tmp_path / "lock")
    assert not (tmp_path / "lock.exclusive").exists()


def test_a_folder_that_does_not_exist_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        acquire_lock(tmp_path / "none" / "lock")
