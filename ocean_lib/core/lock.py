"""Advisory lock on a file, held by one process, whose id and machine the file names.

The operating system releases the lock even if the process is killed.
"""

import os
from pathlib import Path
from typing import TextIO

__all__ = ["acquire_lock"]


def acquire_lock(path: Path) -> TextIO:
    """Lock a file without waiting, and write the process id and the machine into it.

    Args:
        path: lock file, created where it does not exist.
    Returns:
        The open file; closing it releases the lock.
    Raises:
        BlockingIOError: another process holds the lock; the message is what that process wrote.
        OSError: the file cannot be opened for writing.
    """
    import fcntl

    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The previous holder may have removed the file after it was opened here.
        held = path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except BlockingIOError:
        held = False
    if not held:
        with file:
            file.seek(0)
            raise BlockingIOError(file.read().strip())
    file.truncate(0)
    file.write(f"{os.getpid()} on {os.uname().nodename}")
    file.flush()
    return file
