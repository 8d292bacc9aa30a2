"""Ablation of the densifier: one part of the default is changed at a time.

    python benchmarks/ablation.py [--seeds 0 1] [--steps 1250] [--device cpu]

Needs the demo's store (from `make demo`). The demo's network is trained for every variant on the
same number of samples and reconstructs the validation months of both cases; test months are not
used. Seeds run in parallel. Finished rows are kept in `outputs/ablation/SEED_STEPS.csv` and are not
computed again; the table is written to `benchmarks/results/ablation.md`.
"""

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pandas as pd
import torch

from ocean_lib.core.atomic import atomic_write
from ocean_lib.model import optimiser, training
from ocean_lib.model.background import Background, fit_background
from ocean_lib.model.densifier import Densifier
from ocean_lib.model.diffusion import Diffusion
from ocean_lib.model.scenes import Scenes
from ocean_lib.observations.batch import exactly_observed, observe
from ocean_lib.reconstruct import domain
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.runs.paths import workspace
from ocean_lib.scores.hidden import hidden_ocean
from ocean_lib.scores.metrics import ensemble_scores
from ocean_lib.store.store import Store

RESULT = Path(__file__).resolve().parent / "results" / "ablation.md"
SCENES, PATCH, BATCH, DATES, MEMBERS = [120, 360], 64, 8, 18, 8
NETWORK = {"width": 32, "multipliers": (1, 2, 4), "blocks": 2}
ERROR = {"error": [0.01, 0.3]}
PATTERNS = [
    {"pattern": "blocks", "observed": [0.3, 0.7], "surface": 0.3} | ERROR,
    {"pattern": "profiles", "observed": [0.001, 0.01], "surface": 0.8} | ERROR,
]
CASES = [
    {"name": "50 % blocks", "pattern": "blocks", "observed": 0.5},
    {
        "name": "0.25 % profiles + surface",
        "pattern": "profiles",
        "observed": 0.0025,
        "surface": 1.0,
    },
]
VARIANTS = {
    "default": "diffusion of the regression's residual, 8 evaluations",
    "no background": "replaced by climatology and its standard deviation",
    "no σ-standardisation": "residual in units of one standard deviation per level",
    "mode regression": "no second stage; members have independent errors in every cell",
    "mode diffusion": "anomalies are drawn from noise, no first stage",
    "no surface": "neither in training nor in the cases",
    "no clamping": "observed cells are not fixed during sampling",
    "no min-SNR": "all noise levels have the same weight",
    "no Muon": "AdamW for all weights of both stages, at the same learning rate",
    "3 evaluations": "of the second stage; weights of the default",
    "20 evaluations": "as above",
}


class Climatology(Background):
    """A background of mean 0 and error 1, and the value and 0 at exact observations."""

    def forward(self, batch):
        sure = exactly_observed(batch)
        mean = torch.where(sure, batch["value"], 0.0)
        return mean * batch["ocean"], torch.where(sure, 0.0, 1.0) * batch["ocean"]


class OneScale(Densifier):
    """A densifier whose second stage scales the residual by one standard deviation per level."""

    fixed = None

    def regress(self, batch):
        mean, deviation = super().regress(batch)
        if self.fixed is not None:
            deviation = self.fixed.view(1, -1, 1, 1) * (batch["ocean"] & ~exactly_observed(batch))
        return mean, deviation


def without(specification: dict) -> dict:
    """A pattern or case without a surface."""
    return specification | {"surface": 0.0}


def all_adam(network, learning_rate: float) -> list[torch.optim.Optimizer]:
    """In place of `optimiser.make_optimisers`."""
    weights, decay = network.parameters(), optimiser.WEIGHT_DECAY
    return [torch.optim.AdamW(weights, lr=learning_rate, weight_decay=decay, fused=True)]


class Laboratory:
    """Store, background, scenes and trained models, shared by the variants of one seed."""

    def __init__(self, seed: int, steps: int, device: str):
        self.seed, self.device, self.steps = seed, device, steps
        self.store = Store(workspace() / "data" / "store" / "demo")
        self.background = fit_background(self.store, PATTERNS).to(device)
        buffers = {name: getattr(self.background, name) for name in Background.BUFFERS}
        self.climatology = Climatology(self.background.scales, **buffers).to(device)
        self.made, self.trained = {}, {}

    def scenes(self, name: str) -> tuple[Scenes, Scenes]:
        """Training and validation scenes of `default`, `no background` or `no surface`."""
        if name not in self.made:
            background = self.climatology if name == "no background" else self.background
            patterns = [without(p) for p in PATTERNS] if name == "no surface" else PATTERNS
            choices = {"patch": PATCH, "background": background, "device": self.device}
            self.made[name] = tuple(
                Scenes(self.store, part, patterns, numbers, seed=self.seed + add, **choices)
                for part, numbers, add in (("train", SCENES, 1), ("validation", [4, 4], 1001))
            )
            for each in self.made[name]:
                for _ in each.build():
                    pass
        return self.made[name]

    def model(self, name: str) -> Densifier:
        """The trained model of a variant; an unchanged first stage is taken from the default."""
        if name in self.trained:
            return self.trained[name]
        torch.manual_seed(self.seed)
        mode = name.removeprefix("mode ") if name.startswith("mode ") else "residual"
        kind = OneScale if name == "no σ-standardisation" else Densifier
        background = self.climatology if name == "no background" else self.background
        noise = Diffusion(gamma=1e9) if name == "no min-SNR" else Diffusion()
        model = kind(
            self.store.statistics(), background, mode=mode, diffusion=noise, network=NETWORK
        ).to(self.device)
        first = self.steps * 4 // 5
        budget = {"regression": first, "diffusion": self.steps - first}
        if mode != "residual":
            budget = {mode: self.steps}
        elif name in ("no σ-standardisation", "no min-SNR"):
            model.regressor = self.model("default").regressor
            del budget["regression"]
        if isinstance(model, OneScale):
            batch = self.scenes(name)[0].draw(0, 64)
            with torch.no_grad():
                deviation = model.regress(batch)[1]
            where = batch["ocean"] & ~exactly_observed(batch)
            model.fixed = deviation.sum((0, 2, 3)) / where.sum((0, 2, 3)).clamp(min=1)
        adam = mock.patch.object(optimiser, "make_optimisers", all_adam)
        with adam if name == "no Muon" else nullcontext(), TemporaryDirectory() as folder:
            records = training.train(
                model,
                *self.scenes(name if name in ("no background", "no surface") else "default"),
                steps=budget,
                folder=folder,
                metrics=Path(folder) / "metrics.jsonl",
                batch=BATCH,
                learning_rate=2e-3,
                seed=self.seed,
                every=self.steps,
                cases=1,
            )
            for _ in records:
                pass
        self.trained[name] = model
        return model

    def rows(self, name: str) -> list[dict]:
        """Scores of a variant on both cases."""
        model = self.model("default" if "evaluations" in name or name == "no clamping" else name)
        evaluations = int(name.split()[0]) if "evaluations" in name else 8
        fields = self.store.fields("validation", self.store.evenly("validation", DATES))
        free = mock.patch.object(domain, "clamp_known", lambda x0, known, value: x0)
        found = []
        for index, case in enumerate(CASES):
            seen = without(case) if name == "no surface" else case
            observations = observe(fields, seen, 200 + index)
            choices = {"members": MEMBERS, "sampling": Sampling(evaluations), "device": self.device}
            with free if name == "no clamping" else nullcontext():
                drawn = reconstruct(model, observations, **choices)
            truth, where = fields.temperature, hidden_ocean(fields, observations)
            scores = ensemble_scores(drawn.members, truth, where)
            # The mean of the reconstruction, which is that of the first stage where there is one.
            scores["rmse"] = float(((drawn["mean"] - truth) ** 2).where(where).mean() ** 0.5)
            shown = {score: scores[score] for score in ("rmse", "crps", "spread_skill")}
            found.append({"variant": name, "case": case["name"], "seed": self.seed} | shown)
        return found


def one_seed(seed: int, steps: int, device: str, threads: int) -> pd.DataFrame:
    """Scores of all variants of a seed; the table is written after each variant."""
    torch.set_num_threads(threads)
    path = workspace() / "outputs" / "ablation" / f"{seed}_{steps}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.read_csv(path) if path.exists() else pd.DataFrame({"variant": []})
    laboratory = None
    for name in VARIANTS:
        if name in set(table["variant"]):
            continue
        laboratory = laboratory or Laboratory(seed, steps, device)
        began = time.time()
        table = pd.concat([table, pd.DataFrame(laboratory.rows(name))], ignore_index=True)
        with atomic_write(path) as beside:
            table.to_csv(beside, index=False)
        print(f"seed {seed}: {name}, {time.time() - began:.0f} s", flush=True)
    return table


def markdown(table: pd.DataFrame) -> list[str]:
    """Tables with one row per variant: mean scores, and their ratio to the default of each seed."""
    lines = []
    for case in table["case"].unique():
        lines += ["", f"## {case}", "", "| | RMSE | RMSE / default | CRPS | CRPS / default |"]
        lines[-1] += " spread–skill | what it is |"
        lines.append("| :-- | --: | --: | --: | --: | --: | :-- |")
        own = table[table["case"] == case].set_index(["variant", "seed"])
        default = own.loc["default"]
        for name, means in VARIANTS.items():
            rows = own.loc[name]
            cells = [name]
            for score in ("rmse", "crps"):
                ratio = rows[score] / default[score]
                each = ", ".join(f"{value:.3f}" for value in ratio)
                cells += [f"{rows[score].mean():.4f}", f"**{ratio.mean():.3f}** ({each})"]
            cells += [f"{rows['spread_skill'].mean():.2f}", means]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=1250, help="of both stages together")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    asked = parser.parse_args()
    threads = max(1, os.cpu_count() // len(asked.seeds))
    given = [[each] * len(asked.seeds) for each in (asked.steps, asked.device, threads)]
    with ProcessPoolExecutor(len(asked.seeds), mp_context=get_context("spawn")) as pool:
        table = pd.concat(pool.map(one_seed, asked.seeds, *given))
    lines = [
        "# Ablation",
        "",
        f"`python benchmarks/ablation.py --steps {asked.steps}`: the demo's network (width "
        f"{NETWORK['width']}, patches of {PATCH}²), {asked.steps} steps of {BATCH} samples in all "
        f"for every variant; {DATES} validation months of the demo ocean, {MEMBERS} members as "
        "drawn, not calibrated; RMSE of the mean, fair CRPS, °C, over hidden ocean. In bold the "
        "ratio to the default of the same seed, in brackets that of each seed. Above 1, the "
        "change makes the score worse.",
        *markdown(table),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    with atomic_write(RESULT) as beside:
        beside.write_text(text)


if __name__ == "__main__":
    main()
