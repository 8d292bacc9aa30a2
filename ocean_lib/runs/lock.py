"""The lock of a run: one runner at a time, and no kernel left over from an earlier one.

The lock is on `.lock` in the run's folder. The system releases it however its holder ends, but a
runner killed by -9 leaves a kernel behind, which ends itself within about a second, or later if it
is deep in a computation. So a runner marks all processes that it starts by an environment variable,
and the next runner, once it holds the lock, kills those that still carry the mark.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ocean_lib.core.lock import acquire_lock
from ocean_lib.runs.parameters import RunError
from ocean_lib.runs.paths import not_writable

__all__ = ["hold_run"]


MARK = "OCEAN_LIB_RUN"  # environment variable: the folder of the run that a process works on


@contextmanager
def hold_run(folder: Path) -> Iterator[None]:
    """While this context is open, no other process works on the run in this folder.

    Args:
        folder: the run's folder, which exists.

    Raises:
        RunError: another runner holds the run, the folder is not writable, or a kernel of an
            earlier runner does not end.
    """
    try:
        lock = acquire_lock(folder / ".lock")
    except BlockingIOError as holder:
        raise RunError(
            f"run {folder.name!r} is in progress in process {holder};"
            " wait for it, or give another folder by run=NAME"
        ) from None
    except OSError as error:
        raise not_writable(folder, error) from error
    with lock:
        mark, before = os.path.realpath(folder), os.environ.get(MARK)
        _kill_marked(mark)
        os.environ[MARK] = mark
        try:
            yield
        finally:
            del os.environ[MARK]
            if before is not None:
                os.environ[MARK] = before


def _kill_marked(mark: str) -> None:
    import psutil

    marked = [process for process in psutil.process_iter() if _mark_of(process) == mark]
    for process in marked:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass
    _, alive = psutil.wait_procs(marked, timeout=10)
    if alive:
        raise RunError(
            f"process {alive[0].pid} of an earlier attempt still works on {mark} and does not end;"
            " wait for it, or restart the machine"
        )


def _mark_of(process) -> str | None:
    import psutil

    try:
        return None if process.pid == os.getpid() else process.environ().get(MARK)
    except (psutil.Error, OSError):  # it ended in the meantime, or belongs to another user
        return None
