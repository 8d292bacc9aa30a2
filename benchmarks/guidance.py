"""Uncertain observations: as inputs of the networks, or as guidance during sampling.

    python -m benchmarks.guidance [--dates 3] [--members 8]

Needs the network and the store of `make demo`. Evenly spaced validation months are observed by
profiles of which half or all have an error of 0.3 standard deviations. Four ways are compared:

    told     background and networks get values and errors, as `reconstruct` does
    guided   they get only the exact observations; guidance uses the uncertain ones
    both     told and guided
    neither  the uncertain observations are not used

Guidance is moment matching posterior sampling (Rozet et al. 2024, arXiv 2405.13712): with
V = s²/a ∂x_0/∂x_t for the covariance of x_0 given x_t, the network's x_0 is shifted by
V H' (H V H' + R)^-1 (y - H x_0), solved by conjugate gradients. The table is written to
`benchmarks/results/guidance.md`.
"""

import argparse
import copy
from functools import partial
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ocean_lib.core.atomic import atomic_write
from ocean_lib.model.densifier import VALUE_LIMIT, Densifier
from ocean_lib.observations.batch import observe
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.runs.paths import device_name, workspace
from ocean_lib.runs.progress_bar import progress
from ocean_lib.scores.hidden import hidden_ocean
from ocean_lib.scores.metrics import ensemble_scores
from ocean_lib.store.store import Store

RESULT = Path(__file__).resolve().parent / "results" / "guidance.md"
ERROR = 0.3  # standard deviations
ITERATIONS = 5  # of conjugate gradients
FAINT = 0.3  # signal rate below which V is far from symmetric and guidance diverges
PROFILES = {"pattern": "profiles", "observed": 0.005, "surface": 1.0}
CASES = {"half of 0.5 % profiles uncertain": 0.5, "all of 0.5 % profiles uncertain": 1.0}
WAYS = {"told": (True, False), "guided": (False, True), "both": (True, True)}
WAYS["neither"] = (False, False)


def certain(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The batch without its uncertain observations."""
    kept = dict(batch)
    for beside in ("", "beside_"):
        if f"{beside}observed" in batch:
            exact = batch[f"{beside}observed"] & (batch[f"{beside}error"] == 0)
            kept[f"{beside}observed"] = exact
            for name in ("value", "error"):
                kept[f"{beside}{name}"] = batch[f"{beside}{name}"] * exact
    return kept


class Blind(nn.Module):
    """A background that gets only the exact observations."""

    def __init__(self, background):
        super().__init__()
        self.background, self.reach = background, background.reach

    def forward(self, batch):
        return self.background(certain(batch))


class Guided(Densifier):
    """A densifier whose second stage may be guided by the uncertain observations."""

    told, guided = True, True

    @classmethod
    def of(cls, model: Densifier, told: bool, guided: bool) -> "Guided":
        """The same networks with uncertain observations as inputs, as guidance, both or neither."""
        other = copy.copy(model)
        other._modules = dict(model._modules)
        other.__class__, other.told, other.guided = cls, told, guided
        if not told:
            other.background = Blind(model.background)
        return other

    def regress(self, batch):
        return super().regress(batch if self.told else certain(batch))

    def predict(self, batch, x, t, guess):
        return super().predict(batch if self.told else certain(batch), x, t, guess)

    def denoise(self, batch, x, t, guess):
        a, s = (rate.flatten()[0] for rate in self.diffusion.rates(t))
        uncertain = batch["observed"] & (batch["error"] > 0)
        if not self.guided or a < FAINT or not uncertain.any():
            return super().denoise(batch, x, t, guess)
        unit = guess[1].clamp(min=1e-3)
        value, error = (batch["value"] - guess[0]) / unit, batch["error"] / unit
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            x0 = super().denoise(batch, x, t, guess)
            moved = matched(x0, x, s**2 / a, value, error**2, uncertain)
        return moved.clamp(-VALUE_LIMIT, VALUE_LIMIT) * batch["ocean"]


def matched(
    x0: Tensor, x: Tensor, scale: Tensor, value: Tensor, noise: Tensor, observed: Tensor
) -> Tensor:
    """x_0 (B, …) given x_t and values observed with noise, from x_0 given x_t alone.

    Args:
        x0: computed from `x`, whose gradient is asked for.    scale: s²/a.
        noise: variance of the values.    observed: where they are.
    """

    def covariance(u: Tensor) -> Tensor:
        (product,) = torch.autograd.grad(x0, x, u * observed, retain_graph=True)
        return scale * product

    # Relative to the residual, errors differ by orders of magnitude from level to level.
    unit = (noise + 1).rsqrt() * observed
    missing = (value - x0.detach()) * unit
    u = unit * conjugate_gradients(
        lambda u: unit * (covariance(unit * u) + noise * unit * u), missing, ITERATIONS
    )
    return (x0 + covariance(u)).detach()


def conjugate_gradients(product, right: Tensor, iterations: int) -> Tensor:
    """Solve product(u) = right approximately for each of (B, …), starting from 0."""

    def dot(a, b):
        return (a * b).flatten(1).sum(1).view(-1, *[1] * (a.dim() - 1))

    u, rest, direction = torch.zeros_like(right), right, right
    size = dot(rest, rest)
    for _ in range(iterations):
        along = product(direction)
        curvature = dot(direction, along)
        # The network's V may be indefinite; no step is taken along such a direction.
        step = torch.where(curvature > 1e-3 * dot(direction, direction), size / curvature, 0.0)
        u, rest = u + step * direction, rest - step * along
        new = dot(rest, rest)
        direction, size = rest + new / size.clamp(min=1e-9) * direction, new
    return u


def uncertain(observations: xr.Dataset, deviation: xr.DataArray, share: float) -> xr.Dataset:
    """Add an error of ERROR to a share of the observed columns, and state it as their error."""
    generator = np.random.default_rng(0)
    shape = observations.ocean.isel(depth=0).shape
    columns = generator.random((observations.sizes["time"], 1, *shape)) < share
    error = xr.zeros_like(observations.value) + ERROR * deviation.values
    error = (error * columns).where(observations.observed, 0.0).astype(np.float32)
    noise = generator.standard_normal(error.shape).astype(np.float32)
    return observations.assign(value=observations.value + error * noise, error=error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dates", type=int, default=3)
    parser.add_argument("--members", type=int, default=8)
    asked = parser.parse_args()
    model = Densifier.load(workspace() / "outputs" / "demo" / "checkpoint.safetensors")
    store = Store(workspace() / "data" / "store" / "demo")
    fields = store.fields("validation", store.evenly("validation", asked.dates))
    deviation = store.statistics().deviation[len(store.surfaces) :]
    lines = [
        "# Uncertain observations: as inputs or as guidance",
        "",
        f"`python -m benchmarks.guidance`: {asked.dates} validation months of the demo ocean, "
        f"{asked.members} members, not calibrated; observation error {ERROR} "
        f"standard deviations, {float((ERROR * deviation).mean()):.3f} °C on average; {ITERATIONS} "
        "iterations of conjugate gradients a step. RMSE of the members' mean. All scores are over "
        "hidden ocean, except for the last column, which is over the uncertain observations.",
        "",
        "| case | way | RMSE, °C | CRPS, °C | spread–skill | coverage | RMSE where uncertain |",
        "|---|---|---|---|---|---|---|",
    ]
    for case, share in CASES.items():
        seen = uncertain(observe(fields, PROFILES, 300), deviation, share)
        where = hidden_ocean(fields, seen)
        for way, choices in WAYS.items():
            drawn = reconstruct(
                Guided.of(model, *choices),
                seen,
                members=asked.members,
                sampling=Sampling(steps=8),
                device=device_name(),
                progress=partial(progress, label=f"{case}, {way}"),
            )
            scores = ensemble_scores(drawn.members, fields.temperature, where)
            at_uncertain = ensemble_scores(drawn.members, fields.temperature, seen.error > 0)
            columns = [scores[name] for name in ("rmse", "crps", "spread_skill", "coverage")]
            numbers = " | ".join(f"{score:.3f}" for score in [*columns, at_uncertain["rmse"]])
            lines.append(f"| {case} | {way} | {numbers} |")
    with atomic_write(RESULT) as beside:
        beside.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
