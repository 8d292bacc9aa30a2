"""From noise to fields: DDPM, DDIM and DPM-Solver++ over a denoiser, with known cells.

`trajectory` knows nothing of networks: it is given a function denoise(x, t) → x_0 and the noise
process.  It walks x in place and in parts: the denoiser hands over rows as they are ready, so a
field may lie on disk and be as large as an ocean.  Known cells (`clamped`) have their own value as
x_0 at every step, so x carries that value noised to the level of the step, and equals it at the
end.

Reference: Ho et al. 2020, arXiv 2006.11239 (DDPM); Song et al. 2021, arXiv 2010.02502 (DDIM);
Lu et al. 2022, arXiv 2211.01095 (DPM-Solver++, of second order with two evaluations at hand);
Lugmayr et al. 2022, arXiv 2201.09865 (known cells at the level of the step).
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from ocean_lib.model.diffusion import Diffusion

__all__ = [
    "SAMPLERS",
    "clamp_known",
    "extrapolation",
    "initial_noise",
    "sampling_step",
    "timesteps",
    "trajectory",
]


# The share of fresh noise at each step, eta.
SAMPLERS = {"dpm++": 0.0, "ddim": 0.0, "ddpm": 1.0}


def timesteps(total: int, number: int, sampler: str = "ddim") -> list[int]:
    """The times at which the denoiser is asked, from total - 1 down; all where number = total.

    Evenly spaced down to 0.  For `dpm++` the closer the higher the noise, where the widest scales
    of a field form, which hold most of its variance; and its last step begins above 0, since in
    log(a / s) time 0 lies so far from the one before that the second order would overshoot.

    Raises:
        ValueError: fewer than 1 or more than `total` are asked for.
    """
    if not 1 <= number <= total:
        raise ValueError(f"{number} sampling steps asked; choose 1 to {total}")
    if number == 1:
        return [total - 1]
    if sampler == "dpm++":
        times = [total - 1]
        for k in range(1, number):
            times.append(min(round(total * (1 - (k / number) ** 2)), times[-1]) - 1)
        return times
    return torch.linspace(total - 1, 0, number, dtype=torch.float64).round().long().tolist()


def sampling_step(
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


def extrapolation(diffusion: Diffusion, before: int, t: int, previous: int) -> float:
    """c of DPM-Solver++(2M): from t to `previous`, x_0 + c (x_0 - x_0 at time `before`) serves.

    In log(a / s), where the exact solution is linear in x_0, half a step beyond x_0; 0, a plain
    step of DDIM, where a step begins in pure noise or ends in the clean field.
    """
    if previous < 0:
        return 0.0
    signal, noise = (each.double() for each in (diffusion.signal, diffusion.noise))
    earlier, now, later = ((signal[time] / noise[time]).log() for time in (before, t, previous))
    return float((later - now) / (now - earlier) / 2)


def initial_noise(
    diffusion: Diffusion, noise: Tensor, steps: int, guess: Tensor | None = None
) -> Tensor:
    """Where a trajectory of `steps` begins: unit noise (B, D, H, W) at the highest level.

    Args:
        guess: of x_0, for a process that keeps some signal at its last step; 0 where not given.
    """
    at = torch.full((len(noise),), timesteps(diffusion.steps, steps)[0], device=noise.device)
    return diffusion.add_noise(torch.zeros_like(noise) if guess is None else guess, noise, at)


def clamp_known(x0: Tensor, known: Tensor, value: Tensor) -> Tensor:
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
    kept: Tensor | None = None,
) -> Iterator[tuple[int, slice]]:
    """Walk x, in place, from noise to samples; yield (time, rows) as rows arrive at a time.

    Args:
        x: (B, D, H, W), from `first`; it may be laid over a file.  At time -1 it is the sample.
        denoise: (x, t (B,)) → (rows, x_0 of these rows (B, D, h, W)) for all rows in turn; rows
            handed over are overwritten, so it reads them no more.
        steps: evaluations of `denoise`, at most T.    sampler: one of `SAMPLERS`.
        draw: (number of the step from 1, rows) → unit noise (B, D, h, W); needed by `ddpm`.
        kept: like x, where `dpm++` keeps x_0 for the next step; in memory where None.
    Raises:
        ValueError: unknown sampler, too many steps, or `ddpm` without `draw`.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler {sampler!r} is not known; choose one of {[*SAMPLERS]}")
    eta = SAMPLERS[sampler]
    if eta and draw is None:
        raise ValueError(f"sampler {sampler!r} adds noise at every step; give it by draw=…")
    times = timesteps(diffusion.steps, steps, sampler)
    two = sampler == "dpm++"
    if two and kept is None:
        kept = torch.empty_like(x)
    for number, (t, previous) in enumerate(zip(times, [*times[1:], -1]), start=1):
        at = torch.full((len(x),), t, device=x.device)
        beyond = extrapolation(diffusion, times[number - 2], t, previous) if number > 1 else 0.0
        for rows, x0 in denoise(x, at):
            now = x[..., rows, :]
            if two:
                earlier = kept[..., rows, :].clone()
                kept[..., rows, :] = x0
                x0 = x0 + beyond * (x0 - earlier) if beyond else x0
            noise = draw(number, rows) if eta and previous >= 0 else torch.zeros_like(now)
            x[..., rows, :] = sampling_step(diffusion, now, x0, t, previous, eta, noise)
            yield previous, rows
