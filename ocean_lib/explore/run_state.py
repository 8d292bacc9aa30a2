"""Where a run is, read from the files that it writes: also of one that runs elsewhere, headless.

Nothing is asked of the run itself: `metrics.jsonl` and `manifest.json` appear whole or not at all,
so that they can be read at any moment.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from ocean_lib.runs.paths import Run, workspace

__all__ = ["RunState", "known_runs", "read_state"]


RECENT = 10  # records that tell the pace


@dataclass(frozen=True)
class RunState:
    """How far a run is."""

    records: list[dict]  # of metrics.jsonl
    notebooks: dict[str, str]  # status of each notebook that was begun
    step: int  # of the training, all stages together
    steps: int  # in all; 0 where none is recorded
    remaining: float | None  # seconds of training at the pace of the last records; None: no pace
    written: float | None  # seconds since the last record

    @property
    def failed(self) -> bool:
        """Whether a notebook ended in an error, or its runner without a word."""
        return bool({"failed", "killed"} & set(self.notebooks.values()))

    @property
    def running(self) -> bool:
        """Whether a notebook is under way, as far as the manifest tells."""
        return "running" in self.notebooks.values()


def known_runs() -> list[str]:
    """Names of the runs in `outputs/` that have been begun, the newest first."""
    folders = [path for path in (workspace() / "outputs").glob("*") if path.is_dir()]
    begun = [
        (max(each.stat().st_mtime for each in files), folder.name)
        for folder in folders
        if (files := [*folder.glob("manifest.json"), *folder.glob("metrics.jsonl")])
    ]
    return [name for _, name in sorted(begun, reverse=True)]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _pace(records: list[dict]) -> float | None:
    """Seconds a step; a resumed training counts its seconds anew, and stages differ in theirs."""
    last = records[-RECENT:]
    for index in range(len(last) - 1, 0, -1):
        earlier, later = last[index - 1], last[index]
        if earlier["seconds"] >= later["seconds"] or earlier["stage"] != later["stage"]:
            last = last[index:]
            break
    if len(last) < 2:
        return None
    return (last[-1]["seconds"] - last[0]["seconds"]) / (last[-1]["step"] - last[0]["step"])


def read_state(run: Run) -> RunState:
    """The state of a run, as its files tell at this moment."""
    records = [json.loads(line) for line in _read(run.metrics).splitlines()]
    manifest = json.loads(_read(run.manifest) or "{}")
    notebooks = {name: step["status"] for name, step in manifest.get("steps", {}).items()}
    newest = records[-1] if records else {"step": 0, "steps": 0}
    pace = _pace(records) if records else None
    left = newest["steps"] - newest["step"]
    return RunState(
        records=records,
        notebooks=notebooks,
        step=newest["step"],
        steps=newest["steps"],
        remaining=None if pace is None or not left else pace * left,
        written=time.time() - run.metrics.stat().st_mtime if records else None,
    )
