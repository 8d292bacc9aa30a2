"""The training loop: it yields records, callers show them.

A mode has one or two stages, each with its own budget in steps: `regression` (mean and standard
deviation) and `diffusion` (of the anomaly, or of the regression's residual, whose weights are then
fixed).  Every draw of step k follows from (seed, k), so a run that was stopped and resumed is bit
for bit, on a CPU, the run that was not.  What is kept and used is the exponential moving average
of the weights; the learning rate stays as it is after its warm-up, for where months are few a
network whose rate falls learns them by heart.  A file named to `train` as `stop` suspends it after
the step under way.

Reference: Seitzer et al. 2022, arXiv 2203.09168 (β-NLL); Karras et al. 2022, arXiv 2206.00364 (EMA
of weights in diffusion models).
"""

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ocean_lib.core.arrays import seeded
from ocean_lib.core.atomic import atomic_write
from ocean_lib.model import optimiser
from ocean_lib.model.densifier import FORMAT, LEAST, Densifier
from ocean_lib.model.diffusion import masked_mean
from ocean_lib.model.scenes import Batches, Scenes
from ocean_lib.observations.batch import exactly_observed

__all__ = ["Suspended", "regression_loss", "residual_loss", "stages", "train"]


KEPT = 2  # checkpoints


class Suspended(Exception):
    """Training stopped where it was asked to, all of it in a checkpoint; it says how to go on."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]  # in a notebook the message is all there is to say


def stages(mode: str, regression_steps: int, diffusion_steps: int) -> dict[str, int]:
    """Steps of each stage that a mode trains, in order."""
    budget = {"regression": regression_steps, "diffusion": diffusion_steps}
    used = {"regression": ["regression"], "diffusion": ["diffusion"]}.get(mode, list(budget))
    return {stage: budget[stage] for stage in used}


def regression_loss(model: Densifier, batch: dict[str, Tensor]) -> Tensor:
    """β-NLL (β = 1/2) of the field under the predicted mean and deviation, over hidden ocean.

    In units of the background's error, so that dense patterns, whose errors are small, count as
    much as sparse ones.
    """
    mean, deviation = model.regress(batch)
    hidden = batch["ocean"] & ~exactly_observed(batch)
    unit = batch["background_error"].clamp(min=LEAST)
    departure, deviation = (batch["field"] - mean) / unit, (deviation / unit).clamp(min=1e-3)
    likelihood = 0.5 * (departure / deviation) ** 2 + deviation.log()
    return masked_mean(deviation.detach() * likelihood, hidden)


def residual_loss(model: Densifier, batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
    """Denoising loss over hidden ocean, of the anomaly or of the standardised residual."""
    clean, guess = batch["field"], None
    if model.mode == "residual":
        with torch.no_grad():
            guess = model.regress(batch)
        clean = (clean - guess[0]) / guess[1].clamp(min=1e-3)
        clean = torch.where(batch["ocean"] & ~exactly_observed(batch), clean, 0.0).clamp(-8, 8)
    t = torch.randint(
        model.diffusion.steps, (len(clean),), generator=generator, device=generator.device
    )
    noise = torch.randn(clean.shape, generator=generator, device=generator.device)
    prediction = model.predict(batch, model.diffusion.add_noise(clean, noise, t), t, guess)
    hidden = batch["ocean"] & ~exactly_observed(batch)
    return model.diffusion.loss(prediction, clean, noise, t, hidden)


def _loss(model, stage, batch, generator) -> Tensor:
    if stage == "regression":
        return regression_loss(model, batch)
    return residual_loss(model, batch, generator)


@torch.no_grad()
def _validate(model, stage, cases: list[dict[str, Tensor]]) -> float:
    """Mean loss over fixed cases, each with its own fixed noise."""
    total = 0.0
    for index, batch in enumerate(cases):
        generator = torch.Generator(batch["field"].device).manual_seed(index)
        total += float(_loss(model, stage, batch, generator))
    return total / len(cases)


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("step_*.pt"))


def _same_training(had: dict, asked: dict, folder: Path) -> None:
    """Refuse to continue another training: half of the weights would come from either."""
    changed = [
        f"{name} {had.get(name)} -> {asked[name]}" for name in asked if had.get(name) != asked[name]
    ]
    if changed:
        raise ValueError(
            f"the training in {folder} is another ({'; '.join(changed)}); choose another run, or "
            "delete that folder to begin again"
        )


def _write(content: dict, folder: Path, step: int) -> None:
    with atomic_write(folder / f"step_{step:08d}.pt") as beside:
        torch.save(content, beside)
    for old in _checkpoints(folder)[:-KEPT]:
        old.unlink()


def _records(metrics: Path, step: int) -> list[str]:
    """The lines of the steps that are done; the others will be done again."""
    lines = metrics.read_text().splitlines() if metrics.exists() else []
    return [line for line in lines if json.loads(line)["step"] <= step]


def train(
    model: Densifier,
    batches: Scenes | Batches,
    validation: Scenes | Batches,
    *,
    steps: dict[str, int],
    folder,
    metrics,
    batch: int = 8,
    learning_rate: float = 1e-3,
    warmup: int = 50,
    clip: float = 1.0,
    average: float = 0.9999,
    seed: int = 0,
    every: int = 50,
    cases: int = 4,
    stop=None,
) -> Iterator[dict]:
    """Train in place; at the end the model holds the averaged weights, ready to save.

    Yields a record every `every` steps, after writing it to `metrics` and a checkpoint to `folder`:
    `step` (over all stages), `steps` (their sum), `stage`, `loss`, `validation`, `learning_rate`,
    `seconds`.  Called again with the same arguments it continues from the newest checkpoint.

    Args:
        steps: from `stages`.    batch: samples a step.    cases: validation batches, fixed.
        clip: of the gradient's norm.    average: decay of the moving average, at most.
        stop: a file; when somebody makes it, the step under way is finished, its checkpoint
            written and the file removed.
    Raises:
        Suspended: by that file, before the last step.
        ValueError: the folder holds checkpoints of another training, naming what differs.
    """
    folder, metrics = Path(folder), Path(metrics)
    stop = None if stop is None else Path(stop)
    folder.mkdir(parents=True, exist_ok=True)
    device = batches.device
    model.to(device)
    networks = {"regression": model.regressor, "diffusion": model.denoiser}
    settings = {
        "format": FORMAT,
        "mode": model.mode,
        "network": dict(model.network),
        "diffusion": model.diffusion.settings(),
        "background": model.background.scales,
        "patterns": batches.specifications,
        "patch": batches.patch,
        "steps": dict(steps),
        "batch": batch,
        "optimiser": "Muon and AdamW",
        "learning_rate": learning_rate,
        "seed": [seed, batches.seed],
    }
    total, done, state = sum(steps.values()), 0, None
    if _checkpoints(folder):
        state = torch.load(_checkpoints(folder)[-1], map_location=device, weights_only=True)
        _same_training(state["settings"], settings, folder)
        done = state["step"]
        model.load_state_dict(state["model"])
    lines = _records(metrics, done)
    fixed = [validation.draw(index, batch) for index in range(cases)]
    first, began = 0, time.time()
    for stage, number in steps.items():
        last = first + number
        if done >= last:
            first = last
            continue
        network = networks[stage]
        optimisers = optimiser.make_optimisers(network, learning_rate)
        averaged = copy.deepcopy(network).requires_grad_(False)
        losses = []  # since the last record
        if state is not None and state["stage"] == stage:
            for each, kept in zip(optimisers, state["optimisers"]):
                each.load_state_dict(kept)
            averaged.load_state_dict(state["averaged"])
            losses = state["losses"]
        state = None
        for step in range(max(first, done), last):
            rate = learning_rate * min((step - first + 1) / warmup, 1)
            for each in optimisers:
                each.param_groups[0]["lr"] = rate
            # The 1 parts the noise from the draws of the batch, which may share seed and step.
            generator = seeded(device, seed, step, 1)
            sample = batches.draw(step, batch)
            with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
                loss = _loss(model, stage, sample, generator)
            network.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
            for each in optimisers:
                each.step()
            # A short run would never forget its first weights at a fixed decay.
            decay = min(average, (1 + step - first) / (10 + step - first))
            for slow, fast in zip(averaged.parameters(), network.parameters()):
                slow.lerp_(fast.detach(), 1 - decay)
            losses.append(loss.detach())
            ended = step + 1 == last
            due = ended or (step + 1) % every == 0
            suspended = stop is not None and step + 1 < total and stop.exists()
            if due:
                current = copy.deepcopy(network.state_dict())
                network.load_state_dict(averaged.state_dict())
                score = _validate(model, stage, fixed)
                if not ended:
                    network.load_state_dict(current)
                record = {
                    "step": step + 1,
                    "steps": total,
                    "stage": stage,
                    "loss": float(torch.stack(losses).mean()),
                    "validation": score,
                    "learning_rate": rate,
                    "seconds": round(time.time() - began, 1),
                }
                losses = []
                lines.append(json.dumps(record))
                with atomic_write(metrics) as beside:
                    beside.write_text("".join(f"{each}\n" for each in lines))
            if due or suspended:
                content = {
                    "step": step + 1,
                    "stage": stage,
                    "settings": settings,
                    "model": model.state_dict(),
                    "averaged": averaged.state_dict(),
                    "optimisers": [each.state_dict() for each in optimisers],
                    "losses": losses,
                }
                _write(content, folder, step + 1)
            if due:
                yield record
            if suspended:
                stop.unlink(missing_ok=True)
                raise Suspended(
                    f"training is suspended after step {step + 1} of {total}; run the same again "
                    "to continue there"
                )
        first = last
    model.eval()
