"""Runs: one folder for everything that an experiment makes.

`open_run(name)` is the one place that knows paths: notebooks, runner and tests ask it, so that a
notebook behaves alike by hand in JupyterLab, under bare papermill and under the runner. Beside it
stand the other things that every notebook begins with: the device and the progress of a loop.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ocean_lib.core.atomic import atomic_write
from ocean_lib.runs.parameters import NOTEBOOKS, RunError

__all__ = ["Run", "device_name", "folder_name", "open_run", "workspace"]


# What the steps leave in a run's folder beside `figures/NN_*`.
_RESULTS = {
    "03_training": ("checkpoints", "checkpoint.pt", "metrics.jsonl"),
    "04_sampling": ("reconstruction.nc",),
    "05_evaluation": ("baselines.nc", "scores.csv"),
}


def workspace() -> Path:
    """The folder that holds `data/` and `outputs/`: `OCEAN_WORKSPACE`, or the checkout.

    Raises:
        RunError: `OCEAN_WORKSPACE` is relative, and would mean another folder in a notebook.
    """
    root = Path(os.environ.get("OCEAN_WORKSPACE") or NOTEBOOKS.parent)
    if not root.is_absolute():
        raise RunError(f"OCEAN_WORKSPACE is {str(root)!r}; give an absolute path")
    return root


@dataclass(frozen=True)
class Run:
    """The paths of one run, and of the data that runs share."""

    name: str
    folder: Path  # outputs/<name>
    figures: Path
    checkpoints: Path  # the newest two of a training under way
    checkpoint: Path  # the finished model
    metrics: Path
    reconstruction: Path
    baselines: Path
    scores: Path
    manifest: Path
    stop: Path  # a file that asks training to suspend itself

    def executed(self, step: str) -> Path:
        """The executed notebook of a step that is done."""
        return self.folder / f"{step}.ipynb"

    def executing(self, step: str) -> Path:
        """The notebook of a step under way, which papermill writes after each of its cells."""
        return self.folder / f".{step}.partial.ipynb"

    def results(self, step: str) -> list[Path]:
        """What a step leaves in the run's folder; files that are not there yet among them."""
        paths = [self.folder / name for name in _RESULTS.get(step, ())]
        return [*paths, *self.figures.glob(f"{step[:2]}_*")]

    def raw(self, name: str) -> Path:
        """`data/raw/<name>`, where a source leaves its files as delivered; not created here."""
        return workspace() / "data" / "raw" / folder_name(name)

    def store(self, name: str) -> Path:
        """`data/store/<name>`, where a store is built; not created here."""
        return workspace() / "data" / "store" / folder_name(name)

    def save_figure(self, figure, name: str) -> Path:
        """Writes a matplotlib figure to `figures/<name>.png` at 150 dpi; returns the path."""
        path = self.figures / f"{folder_name(name)}.png"
        with atomic_write(path) as beside:
            figure.savefig(beside, format="png", dpi=150, bbox_inches="tight")
        return path


def open_run(name: str) -> Run:
    """The run of that name; its folders exist afterwards.

    Raises:
        RunError: the name is not one plain folder name, or nothing may be written there.
    """
    run = find_run(name)
    try:
        for each in (run.figures, run.checkpoints):
            each.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{run.folder} cannot be made ({error.strerror}: {error.filename}); get the right to"
            " write there, or set OCEAN_WORKSPACE to a folder of your own"
        ) from error
    return run


def find_run(name: str) -> Run:
    """The run of that name, whether it is there or not; nothing is made.

    Raises:
        RunError: the name is not one plain folder name.
    """
    folder = workspace() / "outputs" / folder_name(name)
    return Run(
        name=name,
        folder=folder,
        figures=folder / "figures",
        checkpoints=folder / "checkpoints",
        checkpoint=folder / "checkpoint.pt",
        metrics=folder / "metrics.jsonl",
        reconstruction=folder / "reconstruction.nc",
        baselines=folder / "baselines.nc",
        scores=folder / "scores.csv",
        manifest=folder / "manifest.json",
        stop=folder / "stop",
    )


def device_name(choice: str = "auto") -> str:
    """`cuda` or `cpu`; `auto` takes a GPU where PyTorch finds one.

    Raises:
        RunError: another choice, or `cuda` where PyTorch finds no GPU.
    """
    import torch

    if choice not in ("auto", "cpu", "cuda"):
        raise RunError(f"device is {choice!r}; choose auto, cpu or cuda")
    found = torch.cuda.is_available()
    if choice == "cuda" and not found:
        raise RunError("device is 'cuda', but PyTorch finds no GPU; choose auto or cpu")
    return "cuda" if found and choice != "cpu" else "cpu"


def folder_name(name: str) -> str:
    """The name, if it is one plain folder name; `RunError` if not."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise RunError(f"{name!r} is no name for a folder; use letters, digits, _ - and .")
    return name
