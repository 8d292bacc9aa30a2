"""Durable files: a final name holds the complete content, also after a loss of power.

A file is flushed to the disk before it gets its final name, since otherwise the name could reach
the disk before the content; then the folder is flushed, since otherwise the name could be lost. A
block that fails leaves nothing; a killed process leaves a `*.partial`, which no reader opens.

Reference: Pillai et al. 2014, "All File Systems Are Not Created Equal", OSDI.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_write", "flush", "move"]


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Context that yields a temporary path and moves it to `path` at the end.

    Args:
        path: final name; an existing file is replaced.
    """
    path = Path(path)
    # The process id separates two writers of one file.
    temporary = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        move(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def move(source: Path, target: Path) -> None:
    """Flush a file or folder, rename it, and flush the folders of both names.

    Args:
        source: file, or folder with all its content.
        target: new name on the same disk; an existing file is replaced.
    """
    flush(source)
    os.replace(source, target)
    for folder in {source.parent, target.parent}:
        _flush_one(folder)


def flush(path: Path) -> None:
    """Write a file, or a folder with all its content, from the system's memory to the disk."""
    if path.is_dir():
        for below in path.iterdir():
            flush(below)
    _flush_one(path)


def _flush_one(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
