"""Lock held by one process, whose id and machine the lock file names.

The operating system releases the lock even if the process is killed. Some network file systems have
no locks (Lustre without `flock`, NFS without `lockd`). There a second file, which only one process
can create, takes its place; one left behind by a killed process of the same machine is removed.
"""

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import TextIO

__all__ = ["Lock", "acquire_lock"]


NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)


class Lock:
    """A lock that is held; `close`, or the end of a context, releases it.

    Args:
        file: the open lock file.
        exclusive: file to remove, on a file system without locks.
    """

    def __init__(self, file: TextIO, exclusive: Path | None = None):
        self.file, self.exclusive = file, exclusive

    def close(self) -> None:
        """Release the lock."""
        if self.exclusive is not None:
            self.exclusive.unlink(missing_ok=True)
        self.file.close()

    def __enter__(self) -> "Lock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def acquire_lock(path: Path) -> Lock:
    """Lock a file without waiting, and write the process id and the machine into it.

    Args:
        path: lock file, created where it does not exist.
    Raises:
        BlockingIOError: another process holds the lock; the message names it, and on a file system
            without locks the file to remove if that process has ended.
        OSError: the file cannot be opened for writing.
    """
    import fcntl

    file, exclusive = path.open("a+"), None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The previous holder may have removed the file after it was opened here.
        held = path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except BlockingIOError:
        held = False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            file.close()
            raise
        with file:
            exclusive = _create_exclusively(path.with_name(f"{path.name}.exclusive"))
        file, held = path.open("a+"), True
    if not held:
        with file:
            file.seek(0)
            raise BlockingIOError(file.read().strip())
    file.truncate(0)
    file.write(_this_process())
    file.flush()
    return Lock(file, exclusive)


def _this_process() -> str:
    return f"{os.getpid()} on {os.uname().nodename}"


def _create_exclusively(path: Path) -> Path:
    """Create a file that no other process has created.

    Raises:
        BlockingIOError: another process has, and may be alive.
    """
    holder: str | None = None
    for _ in range(3):
        try:
            with path.open("x") as file:
                file.write(_this_process())
            return path
        except FileExistsError:
            holder = _remove_if_dead(path)
            if holder is not None:
                break
    raise BlockingIOError(f"{holder or 'unknown'} (if it has ended, remove {path})")


def _remove_if_dead(path: Path) -> str | None:
    """Remove the file of a process that has ended; the holder if it may be alive.

    The file is renamed before it is removed, so that of two processes only one removes it, and none
    removes the file that the other has created since.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        holder = path.read_text().strip()
        if not _is_dead(holder):
            return holder
        os.rename(path, aside)
        if aside.read_text().strip() != holder:
            os.link(aside, path)
            return aside.read_text().strip()
    except FileNotFoundError:
        pass  # released meanwhile
    finally:
        aside.unlink(missing_ok=True)
    return None


def _is_dead(holder: str) -> bool:
    """Whether a holder was a process of this machine and has ended."""
    number, _, machine = holder.partition(" on ")
    if machine != os.uname().nodename or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
