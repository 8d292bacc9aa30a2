"""State of a run, read from the files that it writes, even on another machine.

`metrics.jsonl` and `manifest.json` are written atomically, so they can be read at any moment.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from ocean_lib.runs.paths import Run, workspace

__all__ = ["RunState", "known_runs", "read_state"]


RECENT = 10  # number of records that the pace is computed from


@dataclass(frozen=True)
class RunState:
    """Progress of a run."""

    records: list[dict]  # of metrics.jsonl
    notebooks: dict[str, str]  # status of each notebook that was started
    step: int  # of training, over all stages
    steps: int  # in total; 0 before the first record
    remaining: float | None  # seconds of training at the recent pace; None if that is unknown
    age: float | None  # seconds since the last record

    @property
    def failed(self) -> bool:
        """Whether a notebook raised an error or its process was killed."""
        return bool({"failed", "killed"} & set(self.notebooks.values()))

    @property
    def running(self) -> bool:
        """Whether the manifest says that a notebook is running."""
        return "running" in self.notebooks.values()


def known_runs() -> list[str]:
    """Names of the runs in `outputs/` that have started, the newest first."""
    times = {}
    for folder in (workspace() / "outputs").glob("*"):
        files = [*folder.glob("manifest.json"), *folder.glob("metrics.jsonl")]
        if files:
            times[folder.name] = max(file.stat().st_mtime for file in files)
    return sorted(times, key=lambda name: (times[name], name), reverse=True)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _seconds_per_step(records: list[dict]) -> float | None:
    """Recent pace within one stage; resumed training restarts its count of seconds at 0."""
    recent = records[-RECENT:]
    for index in range(len(recent) - 1, 0, -1):
        earlier, later = recent[index - 1], recent[index]
        if earlier["seconds"] >= later["seconds"] or earlier["stage"] != later["stage"]:
            recent = recent[index:]
            break
    if len(recent) < 2:
        return None
    first, last = recent[0], recent[-1]
    return (last["seconds"] - first["seconds"]) / (last["step"] - first["step"])


def read_state(run: Run) -> RunState:
    """Read the current state of a run from its files."""
    records = [json.loads(line) for line in _read(run.metrics).splitlines()]
    manifest = json.loads(_read(run.manifest) or "{}")
    newest = records[-1] if records else {"step": 0, "steps": 0}
    pace, left = _seconds_per_step(records), newest["steps"] - newest["step"]
    return RunState(
        records=records,
        notebooks={name: step["status"] for name, step in manifest.get("steps", {}).items()},
        step=newest["step"],
        steps=newest["steps"],
        remaining=None if pace is None or not left else pace * left,
        age=time.time() - run.metrics.stat().st_mtime if records else None,
    )
