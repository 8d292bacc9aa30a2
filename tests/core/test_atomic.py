"""Durable files: all of the new file, or the old one, also after a loss of power."""

import os
from pathlib import Path

import pytest
from forgetful import ForgetfulDisk

from ocean_lib.core.atomic import atomic_write, flush, move


@pytest.fixture
def disk(monkeypatch):
    return ForgetfulDisk(monkeypatch)


def test_the_final_name_appears_only_at_the_end(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert not path.exists() and temporary.name.endswith(".partial")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_a_block_that_fails_keeps_the_old_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(str(path)) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_final_name_survives_a_loss_of_power(tmp_path, disk):
    with atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    folder = tmp_path / "building" / "store"
    (folder / "deeper").mkdir(parents=True)
    (folder / "deeper" / "b.txt").write_text("new")
    move(folder, tmp_path / "store")
    assert [path.name for path in disk.moved] == ["a.txt", "store"]
    assert not disk.early and not disk.spoiled()


def test_the_disk_of_these_tests_forgets(tmp_path, disk):
    """Neither an order of flushing that is wrong nor a missing flush goes unnoticed."""
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).write_text("new")
    flush(tmp_path / "a")
    os.replace(tmp_path / "a", tmp_path / "without the folder")
    os.replace(tmp_path / "b", tmp_path / "without the content")
    flush(tmp_path)
    (tmp_path / "without the content").write_text("changed")
    os.replace(tmp_path / "c", tmp_path / "not flushed again")
    assert {path.name for path in disk.early} == {"without the content"}
    assert {path.name for path in disk.spoiled()} == {"without the content", "not flushed again"}


def test_only_one_place_renames():
    """`core.lock` moves a file aside that holds no data."""
    root = Path(__file__).resolve().parents[2]
    sources = [*(root / "ocean_lib").rglob("*.py"), *(root / "benchmarks").rglob("*.py")]
    renaming = {
        path.name
        for path in sources
        if any(word in path.read_text() for word in ("os.replace(", "os.rename(", "shutil.move("))
    }
    assert renaming == {"atomic.py", "lock.py"}
