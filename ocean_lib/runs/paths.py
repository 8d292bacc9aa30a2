"""Paths: one folder per run, and the data that runs share.

`open_run(name)` is the one place that knows paths. Notebooks, the runner and tests all use it, so a
notebook behaves alike by hand in JupyterLab, under bare papermill and under the runner. The device,
with which most notebooks begin, is resolved here too.
"""

import os
import re
from pathlib import Path
from typing import Any

from ocean_lib.core.atomic import atomic_write
from ocean_lib.core.messages import shortened
from ocean_lib.runs.parameters import NOTEBOOKS, RunError, check_types

__all__ = [
    "MIN_FREE_GB",
    "Run",
    "device_name",
    "folder_name",
    "not_writable",
    "open_run",
    "workspace",
]


MIN_FREE_GB = 0.5  # that a run leaves free on the disk of its folder, and of `data/`
# What the steps write into a run's folder, beside `figures/NN_*`.
_RESULTS = {
    "03_training": ("checkpoints", "checkpoint.safetensors", "metrics.jsonl"),
    "04_sampling": ("observations.nc", "reconstruction.nc", "floats.nc", "floats.csv"),
    "05_evaluation": ("baselines.nc", "scores.csv"),
}


def workspace() -> Path:
    """The folder that holds `data/` and `outputs/`.

    Returns:
        `OCEAN_WORKSPACE` if it is set; else the checkout, or for an installed package, which has
        no notebooks beside it, the current folder.

    Raises:
        RunError: `OCEAN_WORKSPACE` is relative, which would mean another folder in a notebook.
    """
    default = NOTEBOOKS.parent if NOTEBOOKS.is_dir() else Path.cwd()
    root = Path(os.environ.get("OCEAN_WORKSPACE") or default)
    if not root.is_absolute():
        raise RunError(f"OCEAN_WORKSPACE is {str(root)!r}; give an absolute path")
    return root


class Run:
    """The paths of one run, whether it exists or not, and of the data that runs share.

    Args:
        name: of the run; nothing is created.

    Raises:
        RunError: the name is not one plain folder name.
    """

    def __init__(self, name: str):
        self.name = name
        self.folder = workspace() / "outputs" / folder_name(name)
        self.figures = self.folder / "figures"
        self.checkpoints = self.folder / "checkpoints"  # the newest two of a training in progress
        self.checkpoint = self.folder / "checkpoint.safetensors"  # the finished model
        self.metrics = self.folder / "metrics.jsonl"
        self.observations = self.folder / "observations.nc"
        self.reconstruction = self.folder / "reconstruction.nc"
        self.baselines = self.folder / "baselines.nc"
        self.scores = self.folder / "scores.csv"
        self.manifest = self.folder / "manifest.json"
        self.stop = self.folder / "stop"  # a file that asks training to suspend itself

    def executed(self, step: str) -> Path:
        """The executed notebook of a finished step."""
        return self.folder / f"{step}.ipynb"

    def executing(self, step: str) -> Path:
        """The notebook of a step in progress, which papermill writes after each of its cells."""
        return self.folder / f".{step}.partial.ipynb"

    def results(self, step: str) -> list[Path]:
        """What a step writes into the run's folder, including files that do not exist yet."""
        paths = [self.folder / name for name in _RESULTS.get(step, ())]
        return [*paths, *self.figures.glob(f"{step[:2]}_*")]

    def raw(self, name: str) -> Path:
        """`data/raw/<name>`, for the files of a source as delivered; not created here."""
        return workspace() / "data" / "raw" / folder_name(name)

    def store(self, name: str) -> Path:
        """`data/store/<name>`, for a store; not created here."""
        return workspace() / "data" / "store" / folder_name(name)

    def save_figure(self, figure: Any, name: str) -> Path:
        """Write a matplotlib figure to `figures/<name>.png` at 150 dpi; return the path."""
        path = self.figures / f"{folder_name(name)}.png"
        with atomic_write(path) as beside:
            figure.savefig(beside, format="png", dpi=150, bbox_inches="tight")
        return path


def open_run(name: str, given: dict[str, Any] | None = None) -> Run:
    """The run of that name, its folders created where they do not exist.

    Args:
        name: one plain folder name.
        given: `globals()` of a notebook, whose annotated parameters are checked.

    Raises:
        RunError: the name is not one plain folder name, a parameter has another type than its
            annotation, or the folder is not writable.
    """
    check_types(given or {})
    run = Run(name)
    try:
        for folder in (run.figures, run.checkpoints):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(run.folder, error) from error
    return run


def not_writable(folder: Path, error: OSError) -> RunError:
    """The error for a folder in which the workspace cannot be written."""
    return RunError(
        f"{folder} cannot be written ({error.strerror}: {error.filename}); get the right to write"
        " there, or set OCEAN_WORKSPACE to a folder of your own"
    )


def device_name(choice: str = "auto") -> str:
    """`cuda` or `cpu`; `auto` takes a GPU where PyTorch finds one.

    Raises:
        RunError: another choice, or `cuda` where PyTorch finds no GPU.
    """
    import torch

    if choice not in ("auto", "cpu", "cuda"):
        raise RunError(f"device is {choice!r}; choose auto, cpu or cuda")
    has_gpu = torch.cuda.is_available()
    if choice == "cuda" and not has_gpu:
        raise RunError("device is 'cuda', but PyTorch finds no GPU; choose auto or cpu")
    return "cuda" if has_gpu and choice != "cpu" else "cpu"


def folder_name(name: str) -> str:
    """The name, if it is one plain folder name.

    Raises:
        RunError: it is not.
    """
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise RunError(
            f"{shortened(name)} cannot name a folder; use at most 100 letters, digits, _ - and ."
        )
    return name
