"""Atomic writes: a file gets its final name only once it is completely on disk.

A block that fails leaves nothing; a killed process leaves a `*.partial`, which no reader opens.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_write"]


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Context that yields a temporary path and renames it to `path` at the end.

    Args:
        path: final name; an existing file is replaced.
    """
    path = Path(path)
    # The process id separates two writers of one file.
    temporary = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # the rename could reach the disk before the content
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
