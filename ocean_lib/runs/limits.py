"""Limits of the system: failures for want of disk, memory or threads, explained in one sentence.

Such failures reach a run in many forms: as `OSError` 28 or 122, as `HDF error` of netCDF, as an
`ImportError` of a library that finds no address space, as `can't start new thread`. Here their text
is recognised. This module imports little, since under a tight limit numpy itself fails.
"""

import os
import re
import resource
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path

from ocean_lib.core.disk import is_full_disk
from ocean_lib.runs.parameters import RunError

__all__ = ["check_limits", "explain_full_disk", "explain_limit"]


LEAST_MEMORY = 3e9  # bytes of address space that the libraries and a small network take
THREADS = 8  # that the libraries start, beside one for each core

NO_MEMORY = re.compile(
    r"MemoryError|failed to map segment|annot allocate memory|can't allocate memory|bad_alloc"
    r"|Unable to allocate|Errno 12\b"
)
NO_THREAD = re.compile(
    r"can't start new thread|Resource temporarily unavailable|Errno 11\b|pthread_create"
)


def check_limits() -> None:
    """Refuse limits under which the libraries would crash or hang instead of raising an error.

    Raises:
        RunError: the limit, its value and the remedy.
    """
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < LEAST_MEMORY:
        raise RunError(
            f"the memory of a process is limited to {limit / 1e9:.2f} GB (`ulimit -v`), and at"
            f" least {LEAST_MEMORY / 1e9:g} GB are needed; raise it by `ulimit -v unlimited`"
        )
    release = threading.Event()
    try:
        for _ in range(THREADS + (os.cpu_count() or 1)):
            threading.Thread(target=release.wait, daemon=True).start()
    except RuntimeError as error:
        raise RunError(explain_limit(str(error))) from error
    finally:
        release.set()


def explain_full_disk(text: str, rooms: Iterable[tuple[Path, float]]) -> str | None:
    """The sentence for a failure of a full disk; None where the failure is another one.

    Args:
        text: type and message of the failure.
        rooms: folders that a run writes into, and the bytes that it will still write into each.
    """
    tight = []
    for folder, needed in rooms:
        free = shutil.disk_usage(folder).free
        tight.append((free - needed, free, needed, folder))
    _, free, needed, folder = min(tight)
    if not is_full_disk(text, free, needed):
        return None
    return (
        f"the disk of {folder} is full, or your quota there: {free / 1e9:.2f} GB are free and the"
        f" run needs about {needed / 1e9:.2f} GB more; free some, and the same command continues"
    )


def explain_limit(text: str) -> str | None:
    """The sentence for a failure under a limit of memory or of threads; None for another failure.

    Args:
        text: type and message of the failure.
    """
    if NO_MEMORY.search(text):
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return (
                "the memory of this machine is used up; end other programs, or choose a smaller"
                " batch, patch or width, or fewer members"
            )
        return (
            f"the memory of a process is limited to {limit / 1e9:.2f} GB (`ulimit -v`), and that is"
            " used up; raise it by `ulimit -v unlimited` or ask the batch system for more"
        )
    if NO_THREAD.search(text):
        limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        count = "by the system" if limit == resource.RLIM_INFINITY else f"to {limit}"
        return (
            f"no further process or thread can start, their number is limited {count}"
            " (`ulimit -u`); raise it, end other programs of yours, or set OMP_NUM_THREADS=1"
        )
    return None
