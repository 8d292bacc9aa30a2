"""The manifest: what a run is made from, and how far each of its steps got.

`manifest.json` holds the parameters as resolved, device, commit and versions, and for every step
its newest attempt, with the earlier ones in a list:

    "03_training": {"status": …, "start": …, "end": …, "seconds": …, "commit": …, "attempts": […]}

An attempt is running, done, failed (an error), suspended (by the stop file), stopped (by a signal),
killed (its runner ended without a word), or outdated (done, but it or a step before it is
repeated). Its number counts from 1. A done step's notebook lies in the run's folder; that of any
other attempt in `attempts/`, as far as it went, with its number in its name.
"""

import datetime
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from ocean_lib.core.atomic import atomic_write
from ocean_lib.runs.parameters import NOTEBOOKS, RunError
from ocean_lib.runs.paths import Run

__all__ = ["Manifest"]


_RECORDED = ("ocean_lib", "torch", "numpy", "scipy", "xarray", "netCDF4", "zarr", "papermill")


class Manifest:
    """The manifest of a run that this process holds; written at every change.

    Raises:
        RunError: the file is there, but is no manifest.
    """

    def __init__(self, run: Run):
        self.run, self.content, self._began = run, {}, 0.0
        try:
            if run.manifest.exists():
                self.content = json.loads(run.manifest.read_text(encoding="utf-8"))
            self.steps: dict = self.content.setdefault("steps", {})
        except (ValueError, AttributeError) as error:
            raise RunError(
                f"{run.manifest} is damaged ({error}); begin anew with --fresh"
            ) from error
        for step in self.steps.values():
            if step["status"] == "running":
                step["status"] = "killed"

    def changed(self, parameters: dict) -> dict[str, str]:
        """By name, `was -> is` of parameters that differ from those that the run has."""
        if "parameters" not in self.content:
            return {}
        old, new = self.content["parameters"], json.loads(json.dumps(parameters))
        pairs = {
            name: [repr(each[name]) if name in each else "absent" for each in (old, new)]
            for name in sorted(old | new)
        }
        return {name: f"{was} -> {now}" for name, (was, now) in pairs.items() if was != now}

    def describe(self, parameters: dict, device: str | None) -> None:
        """Records what the steps from now on are made from."""
        self.content = {
            "run": self.run.name,
            "parameters": json.loads(json.dumps(parameters)),
            "seed": parameters.get("seed"),
            "device": device,
            "commit": _commit(),
            "versions": {"python": sys.version.split()[0]}
            | {package: metadata.version(package) for package in _RECORDED},
            "steps": self.steps,
        }
        self._write()

    def done(self, step: str) -> bool:
        """Whether a step is done, its executed notebook in place."""
        return self._recorded_done(step) and self.run.executed(step).exists()

    def lost(self, step: str) -> bool:
        """Whether a step was done, but somebody took its executed notebook away."""
        return self._recorded_done(step) and not self.run.executed(step).exists()

    def discard(self, steps: Iterable[str]) -> None:
        """Removes what the steps made in the run's folder; their notebooks are kept as attempts.

        The notebook of the first goes first: whoever is killed in between begins there again.
        """
        for step in steps:
            self._keep_notebook(step)
            for path in self.run.results(step):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            if self._recorded_done(step):
                self.steps[step]["status"] = "outdated"

    def begin(self, step: str) -> None:
        """Records a new attempt; the notebook of a former one is kept beside."""
        self._keep_notebook(step)
        earlier = []
        if step in self.steps:
            former = self.steps[step]
            earlier = [*former.pop("attempts", []), former]
        self._began = time.monotonic()
        self.steps[step] = {
            "status": "running", "start": _now(), "end": None, "seconds": None,
            "commit": self.content["commit"], "attempts": earlier,
        }  # fmt: skip
        self._write()

    def end(self, step: str, status: str) -> Path:
        """Records how the attempt ended; returns where its notebook lies."""
        seconds = round(time.monotonic() - self._began, 1)
        if status == "done":
            with atomic_write(self.run.executed(step)) as beside:
                os.replace(self.run.executing(step), beside)
        self.steps[step] |= {"status": status, "end": _now(), "seconds": seconds}
        path = self.run.executed(step) if status == "done" else self._keep_notebook(step)
        self._write()
        return path

    def _recorded_done(self, step: str) -> bool:
        return self.steps.get(step, {}).get("status") == "done"

    def _keep_notebook(self, step: str) -> Path:
        number = len(self.steps.get(step, {}).get("attempts", [])) + 1
        kept = self.run.folder / "attempts" / f"{step}.{number}.ipynb"
        for path in (self.run.executed(step), self.run.executing(step)):
            if path.exists() and _is_json(path):
                kept.parent.mkdir(exist_ok=True)
                os.replace(path, kept)
            path.unlink(missing_ok=True)
        return kept

    def _write(self) -> None:
        with atomic_write(self.run.manifest) as beside:
            beside.write_text(json.dumps(self.content, indent=2) + "\n", encoding="utf-8")


def _is_json(path: Path) -> bool:
    """Whether a notebook was written to its end: papermill writes it in place after each cell."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
        return True
    except ValueError:
        return False


def _commit() -> str | None:
    """The checkout's commit, with `-dirty` where files differ; None outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        told = subprocess.run(command, cwd=NOTEBOOKS.parent, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return told.stdout.strip() or None


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
