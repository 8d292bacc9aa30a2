"""A network for a section, trained on the section's own months; a field is one row of stations.

A section has only 237 training months, so the network is small. Its stages are those of the demo:
background, regression in units of the background's error, diffusion of the residual. Width and
number of steps were not tuned. Training draws stations as the frozen cases do: three single
columns, with and without the surface.
"""

from pathlib import Path

import torch
import xarray as xr

from ocean_lib.model import training
from ocean_lib.model.background import fit_background
from ocean_lib.model.densifier import Densifier
from ocean_lib.model.diffusion import Diffusion
from ocean_lib.model.patches import PatchSampler
from ocean_lib.observations.batch import observe
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.runs.progress_bar import progress
from ocean_lib.scores import calibration
from ocean_lib.store.store import Store

__all__ = ["fitted", "trained"]

NETWORK = {"width": 48, "multipliers": [1, 2], "blocks": 1, "stem": 1, "attention": False}
STEPS = {"regression": 600, "diffusion": 600}


def trained(store: Store, specifications: list[dict], folder: Path, seed: int = 0) -> Densifier:
    """The trained network of a section; network and checkpoints are kept in `folder`."""
    file = folder / "checkpoint.safetensors"
    if file.exists():
        return Densifier.load(file)
    first = fit_background(store, specifications, evaluations=60, show=print)
    torch.manual_seed(seed)
    model = Densifier(
        store.statistics(), first, mode="residual", diffusion=Diffusion("v"), network=NETWORK
    )
    # In place of `Scenes`: the frozen table was made with masks drawn anew at every step.
    train, validation = (
        PatchSampler(
            store,
            part,
            patch=store.shape(part),
            specifications=specifications,
            background=first,
            seed=seed + number,
        )
        for number, part in ((1, "train"), (1001, "validation"))
    )
    records = training.train(
        model,
        train,
        validation,
        steps=STEPS,
        folder=folder / "checkpoints",
        metrics=folder / "metrics.jsonl",
        seed=seed,
        batch=8,
    )
    for _ in progress(records, total=sum(STEPS.values()), label="section"):
        pass
    model.save(file)
    return model.eval()


def fitted(model: Densifier, store: Store, specifications: list[dict], **choices) -> xr.Dataset:
    """Calibration factors of the spread, by case and depth, from all validation months."""
    fields = store.fields("validation")
    trials = {each["name"]: observe(fields, each, 7 + k) for k, each in enumerate(specifications)}
    drawn = {name: reconstruct(model, seen, **choices) for name, seen in trials.items()}
    return calibration.fit_calibration_by_case(fields, trials, drawn)
