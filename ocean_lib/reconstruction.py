"""A whole domain from its observations, as an ensemble.

The sampler runs on the whole field; where that is larger than a tile the networks see overlapping
tiles, whose predictions are blended by smooth windows at every sampling step.  Noise is drawn once
for the domain, so overlapping tiles denoise the same noise: averaging finished tiles instead would
shrink the spread where they overlap.

Reference: Bar-Tal et al. 2023, arXiv 2302.08113 (blending at every step).
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from .baselines import restore
from .dataset import seeded, select_statistics, sphere, standardise, with_background
from .model import Densifier, exact
from .sampling import sample, trajectory

__all__ = ["blend", "denoising", "reconstruct"]

DIMS = ("time", "member", "depth", "latitude", "longitude")


def _starts(size: int, tile: int) -> list[int]:
    """Corners of tiles that overlap by a quarter at least and end at the border."""
    if size <= tile:
        return [0]
    number = int(np.ceil((size - tile) / (0.75 * tile))) + 1
    return np.linspace(0, size - tile, number).round().astype(int).tolist()


def _window(tile: tuple[int, int], device) -> Tensor:
    """(h, w) weights that fall smoothly towards the edges and never reach 0."""
    sides = [torch.hann_window(n + 2, periodic=False, device=device)[1:-1] for n in tile]
    return sides[0][:, None] * sides[1] + 1e-3


def blend(
    function: Callable[..., tuple[Tensor, ...]],
    batch: dict[str, Tensor],
    fields: tuple[Tensor, ...],
    places: tuple[np.ndarray, np.ndarray],
    tile: int,
) -> tuple[Tensor, ...]:
    """function(batch, *fields) on overlapping tiles, blended; on all at once where it fits.

    Args:
        function: returns a tuple of (B, D, h, w).
        fields: (B, D, H, W), cut as the batch is.    places: latitudes (H,) and longitudes (W,).
        tile: cells.
    """
    height, width = batch["value"].shape[-2:]
    rows, columns = _starts(height, tile), _starts(width, tile)
    if len(rows) == len(columns) == 1:
        return function(batch, *fields)
    size = (min(tile, height), min(tile, width))
    device = batch["value"].device
    window, weight = _window(size, device), torch.zeros(height, width, device=device)
    totals = None
    for top in rows:
        for left in columns:
            y, x = slice(top, top + size[0]), slice(left, left + size[1])
            part = {k: v[..., y, x] if v.ndim == 4 else v for k, v in batch.items()}
            middle = torch.from_numpy(sphere(places[0][y].mean(), places[1][x].mean()))
            part["position"] = middle.to(device).expand_as(part["position"])
            results = function(part, *(field[..., y, x] for field in fields))
            if totals is None:
                totals = [weight.new_zeros(*r.shape[:2], height, width) for r in results]
            for total, result in zip(totals, results):
                total[..., y, x] += result * window
            weight[y, x] += window
    return tuple(total / weight for total in totals)


class _Month:
    """One date made ready: background, mean and deviation, and the denoiser over the domain."""

    def __init__(self, model: Densifier, observations: xr.Dataset, device: str, tile: int):
        local = select_statistics(model.statistics, observations)
        batch = standardise(observations, local, device)
        self.model, self.tile = model, tile
        self.places = (observations.latitude.values, observations.longitude.values)
        self.batch = with_background(batch, model.background)
        self.guess = None
        if model.regressor is not None:
            self.guess = blend(lambda part: model.regress(part), self.batch, (), self.places, tile)

    def sampler(self, members: int, **choices) -> dict:
        """Arguments of `sampling.sample` for a number of members."""
        batch = {k: v.expand(members, *v.shape[1:]) for k, v in self.batch.items()}
        guess = self.guess and tuple(g.expand(members, *g.shape[1:]) for g in self.guess)

        def denoise(x: Tensor, t: Tensor) -> Tensor:
            def tiles(part, x, *guess):
                return (self.model.denoise(part, x, t, guess or None),)

            return blend(tiles, batch, (x, *(guess or ())), self.places, self.tile)[0]

        sure = exact(batch)
        residual = guess is not None
        return {
            "denoise": denoise,
            "diffusion": self.model.diffusion,
            "shape": tuple(batch["value"].shape),
            "known": sure | ~batch["ocean"],
            "value": torch.zeros_like(batch["value"]) if residual else batch["value"],
            "start": None if residual else batch["background"],
            **choices,
        }

    def restore_residual(self, x: Tensor) -> Tensor:
        """Standardised anomaly of what was sampled."""
        return x if self.guess is None else self.guess[0] + self.guess[1] * x


@torch.no_grad()
def reconstruct(
    model: Densifier,
    observations: xr.Dataset,
    *,
    members: int = 16,
    steps: int = 10,
    sampler: str = "ddim",
    seed: int = 0,
    tile: int = 160,
    device: str = "cpu",
    chunk: int = 8,
    progress: Callable[[Iterable, int], Iterable] = lambda records, total: records,
) -> xr.Dataset:
    """Draw the dense field of every date of `observations` (see `dataset.observe`).

    Args:
        members: ensemble size, at least 2.    steps: network evaluations a member.
        tile: cells; a larger domain is covered by blended tiles.    chunk: members at a time.
        seed: with the date's place in the file and the member's number it decides the noise, so
            members depend neither on `chunk` nor on how many there are.
        progress: wraps the loop over dates, as `runs.progress` does.
    Returns:
        `members`, `mean`, `spread`, `background`, `climatology` and, where the model has one,
        the `regression` mean, on the observations' grid, °C, NaN outside the ocean.
    Raises:
        ValueError: fewer than 2 members; observations outside the model's region or levels.
    """
    if members < 2:
        raise ValueError(f"{members} member gives no spread; ask for at least 2")
    model = model.to(device).eval()
    drawn, backgrounds, means = [], [], []
    number = observations.sizes["time"]
    for month in progress(range(number), number):
        ready = _Month(model, observations.isel(time=[month]), device, tile)
        generators = [seeded(device, seed, month, member, 2) for member in range(members)]
        parts = []
        for start in range(0, members, chunk):
            own = generators[start : start + chunk]
            if model.denoiser is None:
                shape = ready.guess[0].shape[1:]
                x = torch.stack([torch.randn(shape, generator=g, device=device) for g in own])
            else:
                x = sample(**ready.sampler(len(own), steps=steps, sampler=sampler, generator=own))
            parts.append(ready.restore_residual(x).cpu().numpy())
        drawn.append(np.concatenate(parts))
        backgrounds.append(ready.batch["background"][0].cpu().numpy())
        if ready.guess is not None:
            means.append(ready.guess[0][0].cpu().numpy())

    def celsius(array):
        return restore(array, observations, model.statistics)

    ensemble = [celsius(np.stack([month[m] for month in drawn])) for m in range(members)]
    result = xr.Dataset({"members": xr.concat(ensemble, "member").transpose(*DIMS)})
    result["mean"] = result.members.mean("member")
    result["spread"] = result.members.std("member", ddof=1)
    result["background"] = celsius(np.stack(backgrounds))
    result["climatology"] = celsius(np.zeros_like(np.stack(backgrounds)))
    if means:
        result["regression"] = celsius(np.stack(means))
    return result.assign_coords(member=np.arange(1, members + 1))


@torch.no_grad()
def denoising(
    model: Densifier,
    observations: xr.Dataset,
    depth: float,
    *,
    steps: int = 10,
    sampler: str = "ddim",
    seed: int = 0,
    tile: int = 160,
    device: str = "cpu",
) -> xr.DataArray:
    """The first member of the first date being formed, (step, latitude, longitude) °C at a depth.

    Each step shows x_t scaled as the field; coordinate `noise_level` is s_t, 0 at the end.
    """
    if model.denoiser is None:
        raise ValueError("mode regression has no denoising; train mode 'residual' or 'diffusion'")
    first = observations.isel(time=[0])
    ready = _Month(model.to(device).eval(), first, device, tile)
    generator = [seeded(device, seed, 0, 0, 2)]
    frames, levels = [], []
    arguments = ready.sampler(1, steps=steps, sampler=sampler, generator=generator)
    for t, x, _ in trajectory(**arguments):
        field = restore(ready.restore_residual(x).cpu().numpy(), first, model.statistics)
        frames.append(field.sel(depth=depth, method="nearest").isel(time=0))
        levels.append(0.0 if t < 0 else float(model.diffusion.noise[t]))
    return xr.concat(frames, "step").assign_coords(noise_level=("step", levels))
