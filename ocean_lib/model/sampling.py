"""From noise to fields: DDPM, DDIM and DPM-Solver++ over a denoiser, with known cells.

`trajectory` knows nothing of networks: it takes a function denoise(x, t) → x_0 and the noise
process.  It updates x in place and in parts, as the denoiser yields rows, so a field may lie on
disk and be as large as an ocean.  At known cells (`clamp_known`) x_0 is their value at every step,
so x is that value at the noise level of the step, and equals it at the end.

Reference: Ho et al. 2020, arXiv 2006.11239 (DDPM); Song et al. 2021, arXiv 2010.02502 (DDIM);
Lu et al. 2022, arXiv 2211.01095 (DPM-Solver++, second order from the last two evaluations);
Lugmayr et al. 2022, arXiv 2201.09865 (known cells at the noise level of the step).
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from ocean_lib.model.diffusion import Diffusion

__all__ = ["SAMPLERS", "check_sampler", "clamp_known", "initial_noise", "timesteps", "trajectory"]


SAMPLERS = {"dpm++": 0.0, "ddim": 0.0, "ddpm": 1.0}  # eta, the share of fresh noise at a step


def check_sampler(sampler: str) -> None:
    """Check the name of a sampler.

    Raises:
        ValueError: the sampler is not known.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler {sampler!r} is not known; choose one of {[*SAMPLERS]}")


def timesteps(total: int, number: int, sampler: str = "ddim") -> list[int]:
    """The times at which the denoiser is evaluated, descending from total - 1.

    They are evenly spaced down to 0.  Those of `dpm++` are denser at high noise levels, where the
    largest scales of a field form, which hold most of its variance; the last is above 0, since in
    log(a / s) time 0 is so far from the time before that a second-order step would overshoot.

    Args:
        total: number of steps T of the noise process.
        number: how many times; all T where it equals `total`.
        sampler: one of `SAMPLERS`.

    Raises:
        ValueError: `number` is below 1 or above `total`, or the sampler is not known.
    """
    check_sampler(sampler)
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
    """x at time `previous` (-1: clean) from x at time t and the x_0 predicted there.

    Args:
        diffusion: the noise process.
        x: (B, D, H, W) at time t.
        x0: the clean field predicted from it, (B, D, H, W).
        t: the time of x.
        previous: the lower time to step to.
        eta: share of fresh noise.
        noise: unit noise, (B, D, H, W).
    """
    at = torch.full((1,), t, device=x.device)
    a, s = diffusion.rates(at)
    if previous < 0:
        return x0
    a_next, s_next = diffusion.rates(torch.full_like(at, previous))
    # From pure noise (a = 0) with eta = 1 all of s_next is fresh.
    fresh = eta * (s_next / s) * (1 - (a / a_next) ** 2).clamp(min=0).sqrt()
    old = (s_next**2 - fresh**2).clamp(min=0).sqrt()
    return a_next * x0 + old * (x - a * x0) / s + fresh * noise


def extrapolation(diffusion: Diffusion, before: int, t: int, previous: int) -> float:
    """c of DPM-Solver++(2M), which replaces x_0 by x_0 + c (x_0 - x_0 at time `before`).

    This extrapolates x_0 by half a step in log(a / s), in which the exact solution is linear in
    x_0.  c is 0, a step of DDIM, where a step starts in pure noise or ends in the clean field.
    """
    if previous < 0:
        return 0.0
    signal, noise = (rate.double() for rate in (diffusion.signal, diffusion.noise))
    earlier, now, later = ((signal[time] / noise[time]).log() for time in (before, t, previous))
    return float((later - now) / (now - earlier) / 2)


def initial_noise(
    diffusion: Diffusion, noise: Tensor, steps: int, guess: Tensor | None = None
) -> Tensor:
    """The start of a trajectory, (B, D, H, W).

    Args:
        diffusion: the noise process.
        noise: unit noise, (B, D, H, W).
        steps: evaluations of the trajectory.
        guess: a guess of x_0 (B, D, H, W), for a process that keeps some signal at its last step;
            0 where None.
    """
    at = torch.full((len(noise),), timesteps(diffusion.steps, steps)[0], device=noise.device)
    return diffusion.add_noise(torch.zeros_like(noise) if guess is None else guess, noise, at)


def clamp_known(x0: Tensor, known: Tensor, value: Tensor) -> Tensor:
    """x_0 with the value at known cells, as in inpainting.

    Args:
        x0: predicted clean fields, (B, D, H, W).
        known: cells whose value is known, bool (B, D, H, W).
        value: their values, (B, D, H, W).

    Raises:
        ValueError: the shapes differ; broadcasting would clamp the wrong cells.
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
    """Update x in place from noise to samples; yield (time, rows) whenever rows reach a time.

    Args:
        x: the start, (B, D, H, W), from `initial_noise`; it may be laid over a file.  At time -1 it
            holds the samples.
        denoise: (x, t (B,)) → (rows, x_0 of these rows (B, D, h, W)), for all rows in turn; it must
            not read rows again once it has yielded them, since they are overwritten.
        diffusion: the noise process.
        steps: evaluations of `denoise`, at most T.
        sampler: one of `SAMPLERS`.
        draw: (number of the step from 1, rows) → unit noise (B, D, h, W); `ddpm` needs it.
        kept: array like x in which `dpm++` keeps x_0 for the next step; made in memory where None.

    Raises:
        ValueError: unknown sampler, too many steps, or `ddpm` without `draw`.
    """
    times = timesteps(diffusion.steps, steps, sampler)
    eta = SAMPLERS[sampler]
    if eta and draw is None:
        raise ValueError(f"sampler {sampler!r} adds noise at every step; give it by draw=…")
    second_order = sampler == "dpm++"
    if second_order and kept is None:
        kept = torch.empty_like(x)
    for number, (t, previous) in enumerate(zip(times, [*times[1:], -1]), start=1):
        at = torch.full((len(x),), t, device=x.device)
        beyond = extrapolation(diffusion, times[number - 2], t, previous) if number > 1 else 0.0
        for rows, x0 in denoise(x, at):
            now = x[..., rows, :]
            if second_order:
                earlier = kept[..., rows, :].clone()
                kept[..., rows, :] = x0
                x0 = x0 + beyond * (x0 - earlier) if beyond else x0
            fresh = eta and previous >= 0
            noise = draw(number, rows) if draw and fresh else torch.zeros_like(now)
            x[..., rows, :] = sampling_step(diffusion, now, x0, t, previous, eta, noise)
            yield previous, rows
