"""Resumable construction of a folder: a killed process loses at most the block it worked on.

A folder NAME is built in `NAME.partial` beside it:

    lock            held by the one process that builds
    progress.json   the plan, and the result of every finished block
    store/          renamed to NAME when everything is done
    work/           intermediate files

A process with the same plan continues from there; one with another plan starts again.
"""

import json
import math
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ocean_lib.core.atomic import atomic_write, flush, move
from ocean_lib.core.chunks import run_tasks
from ocean_lib.core.disk import explaining_full_disk
from ocean_lib.core.lock import acquire_lock

__all__ = ["Construction", "under_construction"]


@contextmanager
def under_construction(folder: Path) -> Iterator[Path]:
    """Hold the folder `NAME.partial` in which `folder` is built.

    After a failure it is kept for the next attempt, unless the input was refused (`ValueError`) or
    no block was finished.

    Raises:
        BlockingIOError: another process builds the same folder.
        PermissionError: `NAME.partial` cannot be written.
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
            with explaining_full_disk(folder):
                yield partial
        except ValueError:
            shutil.rmtree(partial)
            raise
        finally:
            if not (partial / "progress.json").exists():
                shutil.rmtree(partial, ignore_errors=True)


class Construction:
    """State and files of a folder under construction.

    Args:
        partial: folder that `under_construction` holds.
        plan: description of what is built, convertible to JSON.

    Attributes:
        store: folder that `publish` renames.
        work: folder of intermediate files.
        done: {stage and block: result} of the finished blocks.
        resumed: whether an earlier attempt with the same plan is continued.
    """

    def __init__(self, partial: Path, plan: dict):
        self.partial, self.plan = partial, json.loads(json.dumps(plan))
        self.store, self.work = partial / "store", partial / "work"
        self._progress = partial / "progress.json"
        before = json.loads(self._progress.read_text()) if self._progress.is_file() else {}
        self.resumed = before.get("plan") == self.plan and self.store.is_dir()
        self.done: dict[str, Any] = before["done"] if self.resumed else {}
        if not self.resumed:
            self._progress.unlink(missing_ok=True)
            for folder in (self.store, self.work):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()

    def save(self) -> None:
        """Write the plan and the finished blocks to `progress.json`."""
        with atomic_write(self._progress) as path:
            path.write_text(json.dumps({"plan": self.plan, "done": self.done}))

    def check_space(self, needed: int) -> None:
        """Check that the disk has room for the rest of the files.

        Args:
            needed: bytes of all files, including those that exist already.
        Raises:
            OSError: the disk is too small.
        """
        existing = [path.stat() for path in self.partial.rglob("*") if path.is_file()]
        needed -= sum(512 * status.st_blocks for status in existing)
        free = shutil.disk_usage(self.partial).free
        if needed > free:
            raise OSError(
                f"{self.partial.with_suffix('')} needs {needed / 1e9:.2f} GB more, "
                f"{free / 1e9:.2f} GB are free; free some, or choose fewer levels or dates, or a "
                "smaller region"
            )

    def lay_out(self, files: dict[Path, tuple]) -> None:
        """Create empty .npy files, unless an earlier attempt has done so.

        Args:
            files: {path: (type, shape)}.
        Raises:
            OSError: the disk has no room for them.
        """
        self.check_space(
            sum(np.dtype(kind).itemsize * math.prod(shape) for kind, shape in files.values())
        )
        if not self.resumed:
            for path, (kind, shape) in files.items():
                np.lib.format.open_memmap(path, "w+", kind, shape)

    def work_on(
        self, stage: str, blocks: Iterable, task: Callable[[Any], Callable[[], Any]], size: float
    ) -> Iterator[dict[str, int]]:
        """Run the task of every unfinished block and record its result.

        Args:
            stage: name of this pass over the blocks.
            blocks: identified by their `str`, which must not change between attempts.
            task: block → function without arguments.
            size: bytes that one task holds, approximately.
        Yields:
            {"step": number of finished blocks of all stages}.
        """
        pending = [block for block in blocks if f"{stage} {block}" not in self.done]
        results = run_tasks((task(block) for block in pending), size)
        for block, result in zip(pending, results):
            flush(self.store)
            flush(self.work)  # a block must not be recorded before it is on the disk
            self.done[f"{stage} {block}"] = result
            self.save()
            yield {"step": len(self.done)}

    def results(self, stage: str) -> list:
        """Results of the finished blocks of a stage."""
        return [result for block, result in self.done.items() if block.startswith(f"{stage} ")]

    def publish(self, folder: Path, texts: dict[str, object]) -> None:
        """Move the store to its final name and replace an older one.

        Args:
            folder: final name.
            texts: {file name: content} of JSON files to add.
        """
        for name, content in texts.items():
            (self.store / name).write_text(json.dumps(content, indent=1))
        old = self.work / "old"
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            move(folder, old)
        move(self.store, folder)
        shutil.rmtree(self.partial)
