"""The lock on a file: one holder at a time, who is named in it."""

import os
import subprocess
import sys

import pytest

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


def test_a_folder_that_does_not_exist_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        acquire_lock(tmp_path / "none" / "lock")
