"""Processes: one runner to a run, and no kernel of a former one.

The lock is an advisory one on `.lock` in the run's folder, and the system frees it however its
holder ends. A runner killed by -9 leaves a kernel behind, though, that ends itself within about a
second, or not while it is deep in a computation. So a runner marks all that it starts by a variable
of the environment, and the next one, who holds the lock, ends what still bears the mark.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ocean_lib.core.lock import acquire_lock
from ocean_lib.runs.parameters import RunError

__all__ = ["hold_run"]


MARK = "OCEAN_LIB_RUN"  # the folder of the run that a process works on


@contextmanager
def hold_run(folder: Path) -> Iterator[None]:
    """This process, and nothing that a former one left, works on the run of that folder.

    Raises:
        RunError: another runner holds it, the folder cannot be written, or a former kernel that
            does not end still works on it.
    """
    try:
        lock = acquire_lock(folder / ".lock")
    except BlockingIOError as holder:
        raise RunError(
            f"run {folder.name!r} is under way in process {holder};"
            " wait for it, or give another folder by run=NAME"
        ) from None
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written ({error.strerror}); get the right to write there, or set"
            " OCEAN_WORKSPACE to a folder of your own"
        ) from error
    with lock:
        mark, before = os.path.realpath(folder), os.environ.get(MARK)
        _end_marked(mark)
        os.environ[MARK] = mark
        try:
            yield
        finally:
            del os.environ[MARK]
            if before is not None:
                os.environ[MARK] = before


def _end_marked(mark: str) -> None:
    import psutil

    left = [process for process in psutil.process_iter() if _mark_of(process) == mark]
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass
    _, alive = psutil.wait_procs(left, timeout=10)
    if alive:
        raise RunError(
            f"process {alive[0].pid} of a former attempt still works on {mark} and does not end;"
            " wait for it, or restart the machine"
        )


def _mark_of(process) -> str | None:
    import psutil

    try:
        return None if process.pid == os.getpid() else process.environ().get(MARK)
    except (psutil.Error, OSError):  # ended meanwhile, or somebody else's
        return None
