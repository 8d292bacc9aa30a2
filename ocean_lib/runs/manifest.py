"""The manifest: what a run is made from, and how far each of its steps got.

`manifest.json` holds the parameters as resolved, device, commit and versions, and for every step
its latest attempt, with the earlier ones in a list:

    "03_training": {"status": …, "start": …, "end": …, "seconds": …, "commit": …, "attempts": […]}

The status is running, done, failed (an error), suspended (by the stop file), stopped (by a signal),
killed (its runner ended without recording it), or outdated (done, but the step or one before it is
repeated). Attempts are numbered from 1. The notebook of a finished step is in the run's folder;
those of all other attempts, as far as they got, are kept in `attempts/` under their number.
"""

import datetime
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from ocean_lib import __version__
from ocean_lib.core.atomic import atomic_write, move
from ocean_lib.runs.parameters import NOTEBOOKS, RunError
from ocean_lib.runs.paths import Run

__all__ = ["Manifest"]


RECORDED_PACKAGES = ("torch", "numpy", "scipy", "xarray", "netCDF4", "zarr", "papermill")


class Manifest:
    """The manifest of a run that this process holds; written at every change.

    Args:
        run: the run; its `manifest.json` is read if it exists.

    Raises:
        RunError: the file is damaged.
    """

    def __init__(self, run: Run):
        self.run, self._start = run, 0.0
        self.content: dict[str, Any] = {}
        try:
            if run.manifest.exists():
                self.content = json.loads(run.manifest.read_text(encoding="utf-8"))
            self.steps: dict[str, Any] = self.content.setdefault("steps", {})
        except (ValueError, AttributeError) as error:
            raise RunError(
                f"{run.manifest} is damaged ({error}); begin anew with --fresh"
            ) from error
        for step in self.steps.values():
            if step["status"] == "running":
                step["status"] = "killed"

    def changed(self, parameters: dict[str, Any]) -> dict[str, str]:
        """`old -> new`, by name, for parameters that differ from those of the run."""
        if "parameters" not in self.content:
            return {}
        old, new = self.content["parameters"], json.loads(json.dumps(parameters))
        pairs = {
            name: [repr(values[name]) if name in values else "absent" for values in (old, new)]
            for name in sorted(old | new)
        }
        return {name: f"{was} -> {now}" for name, (was, now) in pairs.items() if was != now}

    def describe(self, parameters: dict[str, Any], device: str | None) -> None:
        """Record what the steps from now on are made from.

        Args:
            parameters: name to value, as resolved.
            device: `cpu` or `cuda`; None for a chain without that parameter.
        """
        versions = {"python": sys.version.split()[0], "ocean_lib": __version__}
        versions |= {package: metadata.version(package) for package in RECORDED_PACKAGES}
        self.content = {
            "run": self.run.name,
            "parameters": json.loads(json.dumps(parameters)),
            "seed": parameters.get("seed"),
            "device": device,
            "commit": _commit(),
            "versions": versions,
            "steps": self.steps,
        }
        self._write()

    def done(self, step: str) -> bool:
        """Whether a step is recorded as done and its executed notebook exists."""
        return self._recorded_done(step) and self.run.executed(step).exists()

    def lost(self, step: str) -> bool:
        """Whether a step is recorded as done but its executed notebook was removed."""
        return self._recorded_done(step) and not self.run.executed(step).exists()

    def discard(self, steps: Iterable[str]) -> None:
        """Remove what the steps wrote into the run's folder; keep their notebooks as attempts.

        The notebook of the first step goes first, so that a run killed in between repeats that
        step and all after it.
        """
        for step in steps:
            self._keep_notebook(step)
            for path in self.run.results(step):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            if self._recorded_done(step):
                self.steps[step]["status"] = "outdated"

    def begin(self, step: str) -> None:
        """Record a new attempt, and keep the notebook of the one before."""
        self._keep_notebook(step)
        earlier = []
        if step in self.steps:
            latest = self.steps[step]
            earlier = [*latest.pop("attempts", []), latest]
        self._start = time.monotonic()
        self.steps[step] = {"status": "running", "start": _now(), "end": None, "seconds": None}
        self.steps[step] |= {"commit": self.content["commit"], "attempts": earlier}
        self._write()

    def end(self, step: str, status: str) -> Path:
        """Record how the attempt ended; return the path of its notebook."""
        seconds = round(time.monotonic() - self._start, 1)
        if status == "done":
            move(self.run.executing(step), self.run.executed(step))
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
                move(path, kept)
            path.unlink(missing_ok=True)
        return kept

    def _write(self) -> None:
        with atomic_write(self.run.manifest) as beside:
            beside.write_text(json.dumps(self.content, indent=2) + "\n", encoding="utf-8")


def _is_json(path: Path) -> bool:
    """Whether a notebook is complete: papermill rewrites it in place after each cell."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
        return True
    except ValueError:
        return False


def _commit() -> str | None:
    """The checkout's commit, with `-dirty` where files differ; None outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, cwd=NOTEBOOKS.parent, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return answer.stdout.strip() or None


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
