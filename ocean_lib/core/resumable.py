"""Work that outlives a kill: a folder under construction, and what of it is done.

A folder NAME is built in `NAME.partial` beside it:

    lock            held by the one process that builds
    progress.json   the plan, and the result of every finished block; written whole
    store/          what becomes NAME, by one rename, when all is done
    work/           what is needed on the way

Whoever comes with the same plan goes on from there; another plan begins anew.
"""

import errno
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ocean_lib.core.chunks import compute
from ocean_lib.core.lock import acquire_lock

__all__ = ["Construction", "under_construction"]


@contextmanager
def under_construction(folder: Path) -> Iterator[Path]:
    """Hold the folder `NAME.partial` in which `folder` is built.

    It stays behind for the next attempt, unless the input was refused (`ValueError`) or nothing
    was done yet.

    Raises:
        BlockingIOError: another process builds the same folder.
        PermissionError: the folder beside it cannot be written.
        OSError: the disk is full.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        lock = acquire_lock(partial / "lock")
    except BlockingIOError as holder:
        raise BlockingIOError(
            f"{folder.name} is being built by process {holder}; wait for it, and run the same again"
        ) from None
    except PermissionError as error:
        raise PermissionError(
            f"{partial} cannot be written ({error.strerror}); get the right to write there, or "
            "set OCEAN_WORKSPACE to a folder of your own"
        ) from error
    with lock:
        try:
            yield partial
        except ValueError:
            shutil.rmtree(partial)
            raise
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            free = shutil.disk_usage(partial).free
            raise OSError(
                f"the disk is full while {folder} is built, {free / 1e9:.1f} GB are free; free "
                "some and run the same again: it continues"
            ) from error
        finally:
            if not (partial / "progress.json").exists():
                shutil.rmtree(partial, ignore_errors=True)


class Construction:
    """What is under construction in a partial folder.

    Attributes:
        store, work: the two folders.    done: results of the finished blocks.
        resumed: whether a construction by the same plan was found.
    """

    def __init__(self, partial: Path, plan: dict):
        self.partial, self.plan = partial, json.loads(json.dumps(plan))
        self.store, self.work = partial / "store", partial / "work"
        path = partial / "progress.json"
        before = json.loads(path.read_text()) if path.is_file() else {}
        self.resumed = before.get("plan") == self.plan and self.store.is_dir()
        self.done = before["done"] if self.resumed else {}
        if not self.resumed:
            path.unlink(missing_ok=True)
            for each in (self.store, self.work):
                shutil.rmtree(each, ignore_errors=True)
                each.mkdir()

    def save(self) -> None:
        """Write the progress, whole."""
        beside = self.partial / "progress.json.partial"
        beside.write_text(json.dumps({"plan": self.plan, "done": self.done}))
        os.replace(beside, self.partial / "progress.json")

    def check_space(self, needed: int) -> None:
        """Refuse to begin, or to go on, where the disk lacks some of the bytes needed in all."""
        there = [path.stat() for path in self.partial.rglob("*") if path.is_file()]
        needed -= sum(512 * told.st_blocks for told in there)
        free = shutil.disk_usage(self.partial).free
        if needed > free:
            raise OSError(
                f"{self.partial.with_suffix('')} needs {needed / 1e9:.2f} GB more, "
                f"{free / 1e9:.2f} GB are free; free some, or choose fewer levels or dates, or a "
                "smaller region"
            )

    def lay_out(self, files: dict[Path, tuple]) -> None:
        """Make the .npy files (path → type, shape), empty, unless they are there already.

        Raises:
            OSError: the disk has no room for them.
        """
        self.check_space(
            sum(np.dtype(kind).itemsize * math.prod(shape) for kind, shape in files.values())
        )
        if not self.resumed:
            for path, (kind, shape) in files.items():
                np.lib.format.open_memmap(path, "w+", kind, shape)

    def work_on(self, stage: str, blocks: list, task: Callable, size: float) -> Iterator[dict]:
        """Runs `task(block)`, a function, for every block that is not done; a record for each.

        Args:
            size: bytes that one task holds, about.
        """
        pending = [block for block in blocks if f"{stage} {block}" not in self.done]
        results = compute((task(block) for block in pending), size)
        for block, result in zip(pending, results):
            self.done[f"{stage} {block}"] = result
            self.save()
            yield {"step": len(self.done)}

    def results(self, stage: str) -> list:
        """What the finished blocks of a stage handed back."""
        return [result for block, result in self.done.items() if block.startswith(f"{stage} ")]

    def publish(self, folder: Path, texts: dict[str, object]) -> None:
        """Give the store its name, in place of the one that had it, with JSON files added."""
        for name, content in texts.items():
            (self.store / name).write_text(json.dumps(content, indent=1))
        old = self.work / "old"
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            os.replace(folder, old)
        os.replace(self.store, folder)
        shutil.rmtree(self.partial)
