"""What a training keeps on disk: its checkpoints and its records.

Every checkpoint carries the settings of its training.  `Checkpoints` refuses to resume under other
settings, since the weights would then result from two different trainings.  `Records` keeps one
JSON line per logging interval.
"""

import json
import pickle
import zipfile
from pathlib import Path

import torch

from ocean_lib.core.atomic import atomic_write

__all__ = ["Checkpoints", "Records", "Suspended"]


FORMAT = 8  # of a training's checkpoints; from 8 on lengths of the background are in km
KEPT_CHECKPOINTS = 2


class Suspended(Exception):
    """Training stopped on request after writing a checkpoint; the message says how to go on."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]  # a notebook shows the message alone


class Checkpoints:
    """The newest checkpoints of one training, `step_*.pt` in a folder.

    Args:
        folder: where they are written; made where it does not exist.
        settings: everything that decides the training, as nested dicts of plain values.
    """

    def __init__(self, folder: Path, settings: dict):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.settings = folder, {"format": FORMAT} | settings

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("step_*.pt"))

    def load(self, device: torch.device) -> dict | None:
        """The newest checkpoint, None where there is none.

        Raises:
            ValueError: it is damaged, or belongs to a training with other settings; the message
                names them.
        """
        if not self._paths():
            return None
        newest = self._paths()[-1]
        try:
            with zipfile.ZipFile(newest) as archive:
                damaged = archive.testzip()  # compares the checksums of all its parts
            if damaged is not None:
                raise ValueError(f"{damaged} does not have its checksum")
            state = torch.load(newest, map_location=device, weights_only=True)
        except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"{newest} is damaged ({str(error).splitlines()[0]}); delete it, and the training "
                "continues from the checkpoint before it"
            ) from error
        if changed := _differences(state["settings"], self.settings):
            raise ValueError(
                f"the training in {self.folder} has other settings ({'; '.join(changed)}); choose "
                "another run, or delete that folder to begin again"
            )
        return state

    def save(self, step: int, state: dict) -> None:
        """Write the checkpoint of a step, whole or not at all, and delete the oldest."""
        with atomic_write(self.folder / f"step_{step:08d}.pt") as beside:
            torch.save({"step": step, "settings": self.settings} | state, beside)
        for old in self._paths()[:-KEPT_CHECKPOINTS]:
            old.unlink()


def _differences(had: dict, asked: dict) -> list[str]:
    """Settings that differ; only the format where that differs."""
    if had["format"] != asked["format"]:
        return [f"format {had['format']} -> {asked['format']}"]
    had, asked = _flatten(had), _flatten(asked)
    return [
        f"{name} {had.get(name)} -> {asked.get(name)}"
        for name in asked | had
        if had.get(name) != asked.get(name)
    ]


def _flatten(settings: dict, prefix: str = "") -> dict:
    """Nested dicts as one, `{"scenes": {"seed": 1}}` as `{"scenes seed": 1}`."""
    flat = {}
    for name, value in settings.items():
        inner = isinstance(value, dict)
        flat |= _flatten(value, f"{prefix}{name} ") if inner else {f"{prefix}{name}": value}
    return flat


class Records:
    """One JSON line per record in a file that always holds whole lines.

    Args:
        path: the file.
        done: the last step of the training so far; records of later steps are dropped, since
            these steps are repeated.
    """

    def __init__(self, path: Path, done: int):
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.lines = [line for line in lines if json.loads(line)["step"] <= done]

    def append(self, record: dict) -> None:
        """Add one record, which has a `step`."""
        self.lines.append(json.dumps(record))
        with atomic_write(self.path) as beside:
            beside.write_text("".join(f"{line}\n" for line in self.lines))
