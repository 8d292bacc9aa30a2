"""From noise to fields: DDPM and DDIM over a denoiser, with known cells.

`sample` knows nothing of networks: it is given a function denoise(x, t) → x_0 and the noise
process.  Known cells carry their value noised to the level of each step, with one noise per member
throughout, and are exact at the end.

Reference: Ho et al. 2020, arXiv 2006.11239 (DDPM); Song et al. 2021, arXiv 2010.02502 (DDIM);
Lugmayr et al. 2022, arXiv 2201.09865 (known cells at the level of the step).
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from .diffusion import Diffusion

__all__ = ["SAMPLERS", "sample", "step", "timesteps", "trajectory"]

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


def trajectory(
    denoise: Callable[[Tensor, Tensor], Tensor],
    diffusion: Diffusion,
    shape: tuple[int, ...],
    *,
    steps: int,
    sampler: str = "ddim",
    generator: torch.Generator | Sequence[torch.Generator],
    known: Tensor | None = None,
    value: Tensor | None = None,
    start: Tensor | None = None,
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield (time, x_t, predicted x_0) at every step, the last with time -1 and the sample twice.

    Args:
        denoise: (x (B, D, H, W), t (B,)) → x_0.
        steps: evaluations of `denoise`, at most T.    sampler: `ddim` or `ddpm`.
        generator: one for all samples, or one for each, whose noise then does not depend on the
            samples it is drawn beside.
        known, value: (B, D, H, W); where known, the sample equals the value.
        start: first guess (B, D, H, W) of x_0, for a process that keeps some signal at its last
            step; 0 where not given.
    Raises:
        ValueError: unknown sampler, too many steps, one of known and value without the other, or
            shapes that differ from the sample's.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler {sampler!r} is not known; choose one of {[*SAMPLERS]}")
    if (known is None) != (value is None):
        raise ValueError("known cells and their value belong together; give both or neither")
    for name, tensor in (("known", known), ("value", value)):
        if tensor is not None and tuple(tensor.shape) != tuple(shape):
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, the sample {tuple(shape)}")

    one = isinstance(generator, torch.Generator)
    if not one and len(generator) != shape[0]:
        raise ValueError(f"{len(generator)} generators for {shape[0]} samples; give one for each")

    def draw() -> Tensor:
        if one:
            return torch.randn(shape, generator=generator, device=generator.device)
        parts = [torch.randn(shape[1:], generator=g, device=g.device) for g in generator]
        return torch.stack(parts)

    times = timesteps(diffusion.steps, steps)
    own = draw()
    at = torch.full((shape[0],), times[0], device=own.device)
    x = diffusion.add_noise(torch.zeros_like(own) if start is None else start, own, at)
    for t, previous in zip(times, [*times[1:], -1]):
        at = torch.full((shape[0],), t, device=x.device)
        if known is not None:
            x = torch.where(known, diffusion.add_noise(value, own, at), x)
        x0 = denoise(x, at)
        if known is not None:
            x0 = torch.where(known, value, x0)
        yield t, x, x0
        eta = SAMPLERS[sampler]
        x = step(diffusion, x, x0, t, previous, eta, draw() if eta else torch.zeros_like(x))
    yield -1, x, x


def sample(*args, **keywords) -> Tensor:
    """The end of a `trajectory`: samples (B, D, H, W)."""
    return deque(trajectory(*args, **keywords), maxlen=1)[0][1]
