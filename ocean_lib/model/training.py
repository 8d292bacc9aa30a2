"""The training loop: it yields records, and callers show them.

A mode has one or two stages, each with its own budget in steps: `regression` (mean and standard
deviation), then `diffusion` (of the anomaly, or of the regression's residual, with the regression's
weights fixed).  All random draws of step k follow from (seed, k), so on a CPU a training that is
stopped and resumed ends in the same bits as one that is not.

The learning rate stays constant after its warm-up: a decaying rate overfits where training months
are few.  The result is the exponential moving average of the weights.

The loss supervises the *uncertain* ocean, the cells without an exact observation: an observation
that carries an error leaves something to learn at its own cell.  Scores are taken over the *hidden*
ocean, the cells without any observation.  The two differ where observations carry errors.

Reference: Seitzer et al. 2022, arXiv 2203.09168 (β-NLL); Karras et al. 2022, arXiv 2206.00364
(moving average of weights in diffusion models).
"""

import copy
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ocean_lib.core.arrays import seeded
from ocean_lib.model import optimiser
from ocean_lib.model.densifier import ERROR_FLOOR, VALUE_LIMIT, Densifier
from ocean_lib.model.diffusion import masked_mean
from ocean_lib.model.scenes import Scenes
from ocean_lib.model.training_state import Checkpoints, Records, Suspended
from ocean_lib.observations.batch import uncertain_ocean

__all__ = ["regression_loss", "residual_loss", "stages", "train"]


DEVIATION_FLOOR = 1e-3  # lower bound on a predicted standard deviation when it is a divisor


def stages(mode: str, regression_steps: int, diffusion_steps: int) -> dict[str, int]:
    """Steps of each stage that a mode trains, in order."""
    budget = {"regression": regression_steps, "diffusion": diffusion_steps}
    used = {"regression": ["regression"], "diffusion": ["diffusion"]}.get(mode, list(budget))
    return {stage: budget[stage] for stage in used}


def regression_loss(model: Densifier, batch: dict[str, Tensor]) -> Tensor:
    """β-NLL (β = 1/2) of the field under predicted mean and deviation, over the uncertain ocean.

    It is computed in units of the background's error, so that dense patterns, whose errors are
    small, count as much as sparse ones.
    """
    mean, deviation = model.regress(batch)
    unit = batch["background_error"].clamp(min=ERROR_FLOOR)
    departure = (batch["field"] - mean) / unit
    deviation = (deviation / unit).clamp(min=DEVIATION_FLOOR)
    likelihood = 0.5 * (departure / deviation) ** 2 + deviation.log()
    return masked_mean(deviation.detach() * likelihood, uncertain_ocean(batch))


def residual_loss(model: Densifier, batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
    """Denoising loss over the uncertain ocean, of the anomaly or of the standardised residual."""
    clean, guess, uncertain = batch["field"], None, uncertain_ocean(batch)
    if model.mode == "residual":
        with torch.no_grad():
            guess = model.regress(batch)
        clean = (clean - guess[0]) / guess[1].clamp(min=DEVIATION_FLOOR)
        clean = torch.where(uncertain, clean, 0.0).clamp(-VALUE_LIMIT, VALUE_LIMIT)
    t = torch.randint(
        model.diffusion.steps, (len(clean),), generator=generator, device=generator.device
    )
    noise = torch.randn(clean.shape, generator=generator, device=generator.device)
    prediction = model.predict(batch, model.diffusion.add_noise(clean, noise, t), t, guess)
    return model.diffusion.loss(prediction, clean, noise, t, uncertain)


class _Schedule(NamedTuple):
    """How step k of a stage moves the weights and their average; `train` explains the fields."""

    learning_rate: float
    warmup: int
    clip: float
    average: float

    def rate(self, k: int) -> float:
        """Learning rate: a linear warm-up, then constant."""
        return self.learning_rate * min((k + 1) / self.warmup, 1)

    def decay(self, k: int) -> float:
        """Decay of the average; at a fixed one a short training never forgets its first weights."""
        return min(self.average, (1 + k) / (10 + k))


class _Stage:
    """One stage of a training: its network, optimisers, averaged weights and recent losses.

    Args:
        model: the densifier whose network is trained.
        name: `regression` or `diffusion`.
        first: the step of the training at which the stage begins.
        schedule: learning rate, clipping and averaging.
    """

    def __init__(self, model: Densifier, name: str, first: int, schedule: _Schedule):
        self.model, self.name, self.first, self.schedule = model, name, first, schedule
        self.network = model.stage_network(name)
        self.averaged = copy.deepcopy(self.network).requires_grad_(False)
        self.optimisers = optimiser.make_optimisers(self.network, schedule.learning_rate)
        self.losses: list[Tensor] = []  # since the last record

    def state(self) -> dict:
        """What a checkpoint holds of the stage, beside the model."""
        optimisers = [each.state_dict() for each in self.optimisers]
        saved = {"stage": self.name, "averaged": self.averaged.state_dict()}
        return saved | {"optimisers": optimisers, "losses": self.losses}

    def restore(self, state: dict) -> None:
        """Continue from what `state` gave."""
        for each, saved in zip(self.optimisers, state["optimisers"]):
            each.load_state_dict(saved)
        self.averaged.load_state_dict(state["averaged"])
        self.losses = state["losses"]

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """The loss of one batch."""
        if self.name == "regression":
            return regression_loss(self.model, batch)
        return residual_loss(self.model, batch, generator)

    def update(self, k: int, batch: dict[str, Tensor], generator: torch.Generator) -> None:
        """Step k of the stage: the weights, then their average."""
        for each in self.optimisers:
            each.param_groups[0]["lr"] = self.schedule.rate(k)
        cuda = generator.device.type == "cuda"
        with torch.autocast("cuda", torch.bfloat16, enabled=cuda):
            loss = self.loss(batch, generator)
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.clip)
        for each in self.optimisers:
            each.step()
        for slow, fast in zip(self.averaged.parameters(), self.network.parameters()):
            slow.lerp_(fast.detach(), 1 - self.schedule.decay(k))
        self.losses.append(loss.detach())

    @torch.no_grad()
    def validate(self, cases: list[dict[str, Tensor]]) -> float:
        """Mean loss of the averaged weights over fixed cases, each with its own fixed noise."""
        current = copy.deepcopy(self.network.state_dict())
        self.finish()
        total = 0.0
        for index, batch in enumerate(cases):
            generator = torch.Generator(batch["field"].device).manual_seed(index)
            total += float(self.loss(batch, generator))
        self.network.load_state_dict(current)
        return total / len(cases)

    def finish(self) -> None:
        """Put the averaged weights into the network."""
        self.network.load_state_dict(self.averaged.state_dict())

    def mean_loss(self) -> float:
        """Mean of the losses since it was last asked for."""
        losses, self.losses = self.losses, []
        return float(torch.stack(losses).mean())


def train(
    model: Densifier,
    scenes: Scenes,
    validation: Scenes,
    *,
    steps: dict[str, int],
    folder: Path | str,
    metrics: Path | str,
    batch: int = 8,
    learning_rate: float = 1e-3,
    warmup: int = 50,
    clip: float = 1.0,
    average: float = 0.9999,
    seed: int = 0,
    every: int = 50,
    cases: int = 4,
    stop: Path | str | None = None,
) -> Iterator[dict]:
    """Train in place; at the end the model holds the averaged weights, ready to save.

    Every `every` steps, and at the end of a stage, it appends a record to `metrics`, writes a
    checkpoint to `folder` and yields the record: `step` (over all stages), `steps` (their sum),
    `stage`, `loss`, `validation`, `learning_rate`, `seconds`.  Called again with the same arguments
    it continues from the newest checkpoint.

    Args:
        model: the densifier to train.
        scenes: training scenes, built.
        validation: validation scenes, built.
        steps: number of steps of each stage, from `stages`.
        folder: where checkpoints are written.
        metrics: file of the records, one JSON line each.
        batch: samples per step.
        learning_rate: of Muon and AdamW, after the warm-up.
        warmup: steps at the start of each stage over which the learning rate rises from 0.
        clip: largest norm of the gradient.
        average: largest decay of the moving average of the weights.
        seed: decides the noise of every step; the scenes have seeds of their own.
        every: steps between records.
        cases: number of fixed validation batches.
        stop: a file that suspends the training: once it exists, the current step is finished, its
            checkpoint written, and the file removed.

    Raises:
        Suspended: the stop file appeared before the last step.
        ValueError: `folder` holds checkpoints of a training with other settings; they are named.
    """
    stop = None if stop is None else Path(stop)
    device, total = scenes.device, sum(steps.values())
    model.to(device)
    schedule = _Schedule(learning_rate, warmup, clip, average)
    settings = model.settings() | {"optimiser": "Muon and AdamW", **schedule._asdict()}
    settings |= {"scenes": scenes.settings(), "validation scenes": validation.settings()}
    settings |= {"steps": dict(steps), "batch": batch, "seed": seed, "cases": cases}
    checkpoints = Checkpoints(Path(folder), settings)
    state = checkpoints.load(device)
    done = 0 if state is None else state["step"]
    if state is not None:
        model.load_state_dict(state["model"])
    records = Records(Path(metrics), done)
    fixed = [validation.draw(index, batch) for index in range(cases)]
    began = time.time()
    for name, last in zip(steps, accumulate(steps.values())):
        if done >= last:
            continue
        stage = _Stage(model, name, last - steps[name], schedule)
        if state is not None and state["stage"] == name:
            stage.restore(state)
        state = None
        for step in range(max(stage.first, done), last):
            # The 1 separates the noise from the draws of scenes, which may have the same seed.
            noise = seeded(device, seed, step, 1)
            stage.update(step - stage.first, scenes.draw(step, batch), noise)
            ended = step + 1 == last
            due = ended or (step + 1) % every == 0
            suspended = stop is not None and step + 1 < total and stop.exists()
            if due:
                record = {
                    "step": step + 1,
                    "steps": total,
                    "stage": name,
                    "loss": stage.mean_loss(),
                    "validation": stage.validate(fixed),
                    "learning_rate": schedule.rate(step - stage.first),
                    "seconds": round(time.time() - began, 1),
                }
                records.append(record)
            if ended:
                stage.finish()
            if due or suspended:
                checkpoints.save(step + 1, {"model": model.state_dict()} | stage.state())
            if due:
                yield record
            if stop and suspended:
                stop.unlink(missing_ok=True)
                raise Suspended(
                    f"training is suspended after step {step + 1} of {total}; run the same again "
                    "to continue there"
                )
    model.eval()
