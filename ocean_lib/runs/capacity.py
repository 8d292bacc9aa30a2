"""Capacity: whether this machine has the disk and the memory that a run needs.

Both are compared before the first step, so that a run ends neither with a full disk nor killed for
want of memory after hours.
"""

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ocean_lib.runs.needs import Needs
from ocean_lib.runs.parameters import RunError
from ocean_lib.runs.paths import MIN_FREE_GB, Run, not_writable, workspace

__all__ = ["available_memory", "check_memory", "check_room", "list_rooms"]


def list_rooms(needs: Needs, run: Run, store: str | None) -> list[tuple[Path, float]]:
    """The folders that a run writes into, and the bytes that it will still write into each.

    Args:
        needs: from `estimate_needs`.
        run: the run; what its folder holds is counted as written.
        store: name of its store and raw files; None for a chain without.
    """
    shared = [run.raw(store), run.store(store)] if store else []
    rooms = ((run.folder, needs.results, [run.folder]), (workspace() / "data", needs.data, shared))
    return [
        (folder, max(total - sum(map(_size, written)), 0) + 1e9 * MIN_FREE_GB)
        for folder, total, written in rooms
    ]


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def check_room(rooms: list[tuple[Path, float]]) -> None:
    """Refuse folders that are not writable, or whose disk is too full, and say what is needed.

    Args:
        rooms: from `list_rooms`; folders on one disk share its room.

    Raises:
        RunError: the first of them.
    """
    asked: dict[int, float] = {}
    for folder, needed in rooms:
        try:
            folder.mkdir(exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise not_writable(folder, error) from error
        disk = os.stat(folder).st_dev
        asked[disk] = asked.get(disk, 0.0) + needed
        free = shutil.disk_usage(folder).free
        if free < asked[disk]:
            raise RunError(
                f"{free / 1e9:.2f} GB are free at {folder}, a run needs {asked[disk] / 1e9:.2f} GB;"
                " free some, or set OCEAN_WORKSPACE to a folder on another disk"
            )


def check_memory(needs: Needs) -> None:
    """Refuse a run that takes more memory than there is, and print what it takes.

    Args:
        needs: from `estimate_needs`.

    Raises:
        RunError: the memory, what takes it, and which parameters make it less.
    """
    if not needs.memory:
        return
    work, most = max(needs.memory.items(), key=lambda item: item[1])
    available = available_memory()
    if most > available:
        raise RunError(
            f"about {most / 1e9:.1f} GB of memory are needed and {available / 1e9:.1f} GB are"
            f" available; the most is for {work}, or use a machine with more"
        )
    disk = (needs.data + needs.results) / 1e9
    print(
        f"this run needs about {most / 1e9:.1f} GB of memory, of {available / 1e9:.1f} GB that are"
        f" available, and {disk:.1f} GB of disk",
        flush=True,
    )


def available_memory() -> float:
    """Bytes that this process may still take: of the machine, its control group and `ulimit -v`."""
    import psutil

    limits = [float(psutil.virtual_memory().available), *_group_memory()]
    address_space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if address_space != resource.RLIM_INFINITY:
        limits.append(address_space - psutil.Process().memory_info().vms)
    return max(min(limits), 0.0)


def _group_memory(root: Path = Path("/sys/fs/cgroup")) -> Iterator[float]:
    """What the control groups (version 2) of this process leave, as batch systems set them."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        folder = root / next(line[3:] for line in lines if line.startswith("0::")).lstrip("/")
    except (OSError, StopIteration):
        return
    for group in (folder, *folder.parents):
        if not group.is_relative_to(root):
            return
        try:
            limit = (group / "memory.max").read_text().strip()
            counts = (line.split() for line in (group / "memory.stat").read_text().splitlines())
            cache = {name: int(number) for name, number in counts}["inactive_file"]
            used = int((group / "memory.current").read_text()) - cache
        except (OSError, KeyError, ValueError):
            continue
        if limit != "max":
            yield float(limit) - used
