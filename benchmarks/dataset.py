"""Speed of drawing training batches, and the cost of the background in a training step.

    python benchmarks/dataset.py [--device cuda] [--repeats 15]

Drawing: 128×128 patches of one level, half of it hidden by rectangles, without a background, in
one process and one thread, from a store in memory. Compared are a plain loop that adds one
rectangle at a time to each sample, `PatchSampler.draw`, which also observes the months before and
after, and `Scenes.draw`, which training uses.

Background: its share of a training step with batch 8, 64×64 cells, 8 levels, a surface, residual
mode and width 48; computed for each patch (`PatchSampler`), or once for the scenes from which
patches are cut (`Scenes`).

The table is printed and written to `benchmarks/results/dataset.md`.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter

from ocean_lib.core.arrays import seeded
from ocean_lib.core.atomic import atomic_write
from ocean_lib.model.background import fit_background
from ocean_lib.model.densifier import Densifier
from ocean_lib.model.patches import PatchSampler
from ocean_lib.model.scenes import Scenes
from ocean_lib.model.training import regression_loss, residual_loss
from ocean_lib.store.build import STEP
from ocean_lib.store.store import Store, build_store

RESULT = Path(__file__).resolve().parent / "results" / "dataset.md"
SAMPLES, PATCH = 32, 128
BLOCKS = {"pattern": "blocks", "observed": 0.5}
ARGO = {"pattern": "profiles", "observed": [0.001, 0.008], "surface": 0.8, "clouds": [0.0, 0.5]}


def store(folder: str, levels: int, height: int, width: int) -> Store:
    """60 months of smooth random fields; with several levels, the first one is also the surface."""
    rng = np.random.default_rng(0)
    shape = (60, levels, height, width)
    values = gaussian_filter(rng.standard_normal(shape), (0, 1, 3, 3)).astype(np.float32)
    grid = ("depth", "latitude", "longitude")
    fields = xr.Dataset(
        {"temperature": (("time", *grid), 15 + values), "ocean": (grid, np.ones(shape[1:], bool))},
        {
            "time": np.arange("1993-01", "1998-01", dtype="M8[M]").astype("M8[ns]"),
            "depth": np.geomspace(10, 1000, levels),
            "latitude": 32 + np.arange(height) / 12,
            "longitude": -70 + np.arange(width) / 12,
        },
    )
    seen = fields.temperature[:, 0].drop_vars("depth").to_dataset(name="surface_temperature")
    return build_store(fields, folder, surfaces=seen if levels > 1 else None)


def plain_batch(anomaly: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Values and observed masks of one batch, by loops over samples and rectangles."""
    values, masks = [], []
    for _ in range(SAMPLES):
        date = rng.integers(anomaly.shape[0])
        y, x = (rng.integers(size - PATCH + 1) for size in anomaly.shape[1:3])
        patch = anomaly[date, y : y + PATCH, x : x + PATCH, 0] * np.float32(STEP)
        observed = np.ones((PATCH, PATCH), bool)
        left = PATCH * PATCH // 2
        while left:
            height, width = rng.integers(3, 10, 2)
            low = rng.integers(1 - height, PATCH), rng.integers(1 - width, PATCH)
            block = observed[max(low[0], 0) : low[0] + height, max(low[1], 0) : low[1] + width]
            fresh = np.argwhere(block)[:left]
            block[fresh[:, 0], fresh[:, 1]] = False
            left -= len(fresh)
        values.append(patch * observed)
        masks.append(observed)
    return np.stack(values), np.stack(masks)


class Climatology(torch.nn.Module):
    """A background that costs nothing, so that only the drawing is timed."""

    def forward(self, batch):
        return torch.zeros_like(batch["value"]), torch.ones_like(batch["value"])


def clock(work, device: torch.device) -> float:
    """Seconds that a call takes, including the work it started on the device."""
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def drawing(folder: str, device: torch.device, repeats: int) -> list[str]:
    """Lines of the table on the speed of drawing."""
    data = store(f"{folder}/one", 1, 160, 200)
    batches = PatchSampler(data, "train", patch=PATCH, specifications=[BLOCKS], device=device)
    anomaly, rng = np.array(data.anomaly), np.random.default_rng(1)
    half = SAMPLES * PATCH * PATCH // 2
    assert int(batches.draw(0, SAMPLES)["observed"].sum()) == half
    assert int(plain_batch(anomaly, rng)[1].sum()) == half
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    climatology = Climatology()
    scenes = Scenes(
        data, "train", [BLOCKS], [60], patch=PATCH, background=climatology, device=device
    )
    for _ in scenes.build():
        pass
    works = {
        "plain loop, one rectangle at a time": lambda step: plain_batch(anomaly, rng),
        "`PatchSampler.draw`, three months each": lambda step: batches.draw(step, SAMPLES),
        "`Scenes.draw`": lambda step: scenes.draw(step, SAMPLES),
    }
    speeds = {name: [] for name in works}
    for step in range(repeats):
        for name, work in works.items():
            speeds[name].append(SAMPLES / clock(lambda w=work, s=step: w(s), device))
    torch.set_num_threads(threads)
    medians = {name: statistics.median(each) for name, each in speeds.items()}
    slow = medians["plain loop, one rectangle at a time"]
    return [
        "| drawing, 128×128, one level, 50 % blocks | samples/s | relative to the plain loop |",
        "| :-- | --: | --: |",
        *(f"| {name} | {speed:,.0f} | {speed / slow:.1f} |" for name, speed in medians.items()),
    ]


def background_share(folder: str, device: torch.device, repeats: int) -> list[str]:
    """Lines of the table on the parts of a training step."""
    data = store(f"{folder}/eight", 8, 96, 128)
    background = fit_background(data, [BLOCKS, ARGO], evaluations=5).to(device)
    torch.manual_seed(0)
    model = Densifier(data.statistics(), background, mode="residual", network={"width": 48})
    model = model.to(device)
    choices = {"patch": 64, "device": device}
    bare = PatchSampler(data, "train", specifications=[BLOCKS, ARGO], **choices)
    full = PatchSampler(
        data, "train", specifications=[BLOCKS, ARGO], background=background, **choices
    )
    scenes = Scenes(data, "train", [BLOCKS, ARGO], [8, 8], background=background, **choices)
    once = clock(lambda: [*scenes.build()], device) / 16
    lines = [
        f"A scene of {scenes.extent[0]}×{scenes.extent[1]} cells, made four at a time, takes "
        f"{1e3 * once:.0f} ms and is made once.",
        "",
        "| step of 8 × 8 levels × 64×64, ms | draw | draw with background | draw from scenes | "
        "optimise |",
        "| :-- | --: | --: | --: | --: |",
    ]
    losses = {
        "regression": (model.regressor, lambda batch, step: regression_loss(model, batch)),
        "residual": (
            model.denoiser,
            lambda batch, step: residual_loss(model, batch, seeded(device, step)),
        ),
    }
    for stage, (network, loss) in losses.items():
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)

        def learn(batch, step, network=network, loss=loss, optimiser=optimiser):
            with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
                value = loss(batch, step)
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()

        times = []
        for step in range(repeats + 2):
            drawn = [
                clock(lambda s=step, d=source: d.draw(s, 8), device)
                for source in (bare, full, scenes)
            ]
            batch = scenes.draw(step, 8)
            times.append([*drawn, clock(lambda b=batch, s=step: learn(b, s), device)])
        each = [f"{1e3 * statistics.median(part):.1f}" for part in zip(*times[2:], strict=True)]
        lines.append(f"| {stage} | {' | '.join(each)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--repeats", type=int, default=15, help="number of rounds; medians are reported"
    )
    given = parser.parse_args()
    device = torch.device(given.device)
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    header = (
        f"Device: {where}; {os.cpu_count()} cores; one process, drawing in one thread and training "
        f"in {torch.get_num_threads()}; medians of {given.repeats} rounds; "
        f"torch {torch.__version__.split('+')[0]}."
    )
    with tempfile.TemporaryDirectory() as folder:
        first = drawing(folder, device, given.repeats)
        second = background_share(folder, device, given.repeats)
    text = "\n".join(["# Training batches", "", header, "", *first, "", *second]) + "\n"
    print(text)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(RESULT) as beside:
        beside.write_text(text)


if __name__ == "__main__":
    main()
