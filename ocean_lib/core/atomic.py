"""Whole files: a file has its final name only once all of it is on the disk.

`with whole(path) as beside:` gives a name beside the final one to write to. At the end of the block
what was written is forced onto the disk and takes the final name in one move; a block that fails
leaves nothing, a killed process only a `*.partial` that no reader takes for a file.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_write"]


@contextmanager
def atomic_write(path) -> Iterator[Path]:
    """The path to write to, which becomes `path`, in place of what had that name."""
    path = Path(path)
    # The process id keeps two writers of one file apart.
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield beside
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())  # a rename may reach the disk before what it renames
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
