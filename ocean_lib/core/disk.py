"""A full disk, which libraries report in many forms, as one sentence."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["explaining_full_disk", "is_full_disk"]


FULL = re.compile(
    r"Errno 28\b|Errno 122\b|No space left on device|quota exceeded|disk is full", re.IGNORECASE
)
# What libraries say where a write fails, for whatever reason.
FAILED_WRITE = re.compile(r"HDF error|PytorchStreamWriter|file write failed|unexpected pos")
NEARLY_FULL = 1e8  # bytes that are free


def is_full_disk(failure: str, free: float, needed: float = NEARLY_FULL) -> bool:
    """Whether a failure is that of a full disk.

    Args:
        failure: type and message.
        free: bytes that are free on the disk.
        needed: bytes that are still to be written.
    """
    return bool(FULL.search(failure) or (FAILED_WRITE.search(failure) and free < needed))


@contextmanager
def explaining_full_disk(path: Path) -> Iterator[None]:
    """Context that writes a file or folder; a full disk is explained in one sentence.

    Args:
        path: what is written.

    Raises:
        OSError: the disk is full.
    """
    try:
        yield
    except Exception as error:
        free = shutil.disk_usage(path.parent).free
        if not is_full_disk(f"{type(error).__name__}: {error}", free):
            raise
        raise OSError(
            f"the disk is full, or your quota, while {path} is written, {free / 1e9:.2f} GB are "
            "free; free some and run the same again: it continues"
        ) from error
