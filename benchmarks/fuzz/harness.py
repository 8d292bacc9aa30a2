"""Workers that run cases one after another, watched from outside.

A worker that computes for longer than `SECONDS` in a case, takes `IDLE` times as long by the clock,
or takes more than `BYTES` above what it takes when idle, is killed and replaced; so is one that
dies.
"""

import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path

import psutil

from .judge import Verdict

__all__ = ["run_all"]


SECONDS, BYTES = 60.0, 2 * 2**30  # of the processor; of memory
IDLE = 4  # times `SECONDS` of waiting that count as a hang, too
START = 600.0  # seconds that a worker may take to import everything
Case = tuple[str, int, int]  # kind, seed, index


def _work(folder: Path, connection: Connection) -> None:
    import torch

    torch.set_num_threads(1)

    from .base import load_base
    from .kinds import run_case

    base = load_base(folder)
    connection.send(None)
    while (case := connection.recv()) is not None:
        connection.send(run_case(base, *case))


class _Worker:
    """A process, the case that it runs, and since when."""

    def __init__(self, folder: Path):
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(folder, other), daemon=True)
        self.process.start()
        other.close()
        if not self.connection.poll(START):
            raise RuntimeError("a worker did not start")
        self.connection.recv()
        self.watched = psutil.Process(self.process.pid)
        self.idle = self.watched.memory_info().rss
        self.case: Case | None = None
        self.began = self.before = 0.0

    def _computed(self) -> float:
        times = self.watched.cpu_times()
        return times.user + times.system

    def begin(self, case: Case) -> None:
        self.case, self.began, self.before = case, time.monotonic(), self._computed()
        self.connection.send(case)

    def verdict(self) -> Verdict | None:
        """What came of the case, once that is known; a worker without an answer is ended."""
        try:
            if self.connection.poll():
                return self.connection.recv()
            spent = max(self._computed() - self.before, (time.monotonic() - self.began) / IDLE)
            used = self.watched.memory_info().rss - self.idle
        except (EOFError, OSError, psutil.Error):
            self.process.join()
            return Verdict("traceback", f"the process died, exit code {self.process.exitcode}")
        if used > BYTES:
            self.end()
            return Verdict("memory", f"{used / 2**30:.1f} GB after {spent:.0f} s")
        if spent > SECONDS:
            self.end()
            return Verdict("hang", f"no end after {spent:.0f} s")
        return None

    def end(self) -> None:
        self.process.kill()
        self.process.join()


def run_all(folder: Path, cases: list[Case], workers: int = 2) -> Iterator[tuple[Case, Verdict]]:
    """Run cases, and yield each with what came of it.

    Args:
        folder: of `build_base`.
        cases: kind, seed and index of each.
        workers: number of processes.
    """
    waiting = list(reversed(cases))
    pool = [_Worker(folder) for _ in range(min(workers, len(cases)))]
    while pool:
        for place, worker in enumerate(pool):
            if worker.case is not None and (verdict := worker.verdict()) is not None:
                yield worker.case, verdict
                worker.case = None
                if not worker.process.is_alive():
                    pool[place] = worker = _Worker(folder)
            if worker.case is None and waiting:
                worker.begin(waiting.pop())
        for worker in [worker for worker in pool if worker.case is None]:
            worker.end()
            pool.remove(worker)
        wait([worker.connection for worker in pool], timeout=0.05)
