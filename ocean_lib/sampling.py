"""From noise to fields: DDPM and DDIM over a denoiser, with known cells.

`trajectory` knows nothing of networks: it is given a function denoise(x, t) → x_0 and the noise
process.  It walks x in place and in parts: the denoiser hands over rows as they are ready, so a
field may lie on disk and be as large as an ocean.  Known cells (`clamped`) have their own value as
x_0 at every step, so x carries that value noised to the level of the step, and equals it at the
end.

Reference: Ho et al. 2020, arXiv 2006.11239 (DDPM); Song et al. 2021, arXiv 2010.02502 (DDIM);
Lugmayr et al. 2022, arXiv 2201.09865 (known cells at the level of the step).
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from .diffusion import Diffusion

__all__ = ["SAMPLERS", "clamped", "first", "step", "timesteps", "trajectory"]

SAMPLERS = {"ddim": 0.0, "ddpm": 1.0}  # the share of fresh noise at each step, eta


def timesteps(total: int, number: int) -> list[int]:
    """`number` times from total - 1 down to 0, evenly spaced; all of them where number = total.

    Raises:
        ValueError: fewer than 1 or more than `total` are asked for.
    """
    if not 1 <= number <= total:
        raise ValueError(f"{number} sampling steps asked; choose 1 to {total}")
    if number == 1:
        return [total - 1]
    return torch.linspace(total - 1, 0, number, dtype=torch.float64).round().long().tolist()


def step(
    diffusion: Diffusion, x: Tensor, x0: Tensor, t: int, previous: int, eta: float, noise: Tensor
) -> Tensor:
    """x at time `previous` (-1: clean) from x at t and the x_0 predicted there."""
    at = torch.full((1,), t, device=x.device)
    a, s = diffusion.rates(at)
    if previous < 0:
        return x0
    a_next, s_next = diffusion.rates(torch.full_like(at, previous))
    # Where the next level is above all signal of this one (a = 0) this is the whole of s_next.
    fresh = eta * (s_next / s) * (1 - (a / a_next) ** 2).clamp(min=0).sqrt()
    old = (s_next**2 - fresh**2).clamp(min=0).sqrt()
    return a_next * x0 + old * (x - a * x0) / s + fresh * noise


def first(diffusion: Diffusion, noise: Tensor, steps: int, guess: Tensor | None = None) -> Tensor:
    """Where a trajectory of `steps` begins: unit noise (B, D, H, W) at the highest level.

    Args:
        guess: of x_0, for a process that keeps some signal at its last step; 0 where not given.
    """
    at = torch.full((len(noise),), timesteps(diffusion.steps, steps)[0], device=noise.device)
    return diffusion.add_noise(torch.zeros_like(noise) if guess is None else guess, noise, at)


def clamped(x0: Tensor, known: Tensor, value: Tensor) -> Tensor:
    """x_0 (B, D, H, W) with the value where it is known, as in inpainting.

    Raises:
        ValueError: the shapes differ: broadcasting would clamp other cells than those meant.
    """
    for name, tensor in (("known", known), ("value", value)):
        if tensor.shape != x0.shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, x_0 {tuple(x0.shape)}")
    return torch.where(known, value, x0)


def trajectory(
    x: Tensor,
    denoise: Callable[[Tensor, Tensor], Iterable[tuple[slice, Tensor]]],
    diffusion: Diffusion,
    *,
    steps: int,
    sampler: str = "ddim",
    draw: Callable[[int, slice], Tensor] | None = None,
) -> Iterator[tuple[int, slice]]:
    """Walk x, in place, from noise to samples; yield (time, rows) as rows arrive at a time.

    Args:
        x: (B, D, H, W), from `first`; it may be laid over a file.  At time -1 it is the sample.
        denoise: (x, t (B,)) → (rows, x_0 of these rows (B, D, h, W)) for all rows in turn; rows
            handed over are overwritten, so it reads them no more.
        steps: evaluations of `denoise`, at most T.    sampler: `ddim` or `ddpm`.
        draw: (number of the step from 1, rows) → unit noise (B, D, h, W); needed by `ddpm`.
    Raises:
        ValueError: unknown sampler, too many steps, or `ddpm` without `draw`.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler {sampler!r} is not known; choose one of {[*SAMPLERS]}")
    eta = SAMPLERS[sampler]
    if eta and draw is None:
        raise ValueError(f"sampler {sampler!r} adds noise at every step; give it by draw=…")
    times = timesteps(diffusion.steps, steps)
    for number, (t, previous) in enumerate(zip(times, [*times[1:], -1]), start=1):
        at = torch.full((len(x),), t, device=x.device)
        for rows, x0 in denoise(x, at):
            now = x[..., rows, :]
            noise = draw(number, rows) if eta and previous >= 0 else torch.zeros_like(now)
            x[..., rows, :] = step(diffusion, now, x0, t, previous, eta, noise)
            yield previous, rows
