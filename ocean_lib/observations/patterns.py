"""Observation patterns: which values somebody measured.

Every pattern is drawn for a whole batch at once, on the device of the generator it is given, and
is `observed`: True where the network may see a value.  Patterns to an exact fraction share one
idea: each cell gets the moment at which it is first reached (by a block, a track, a cloud), and the
cells reached earliest are taken until the count is met.

    hidden = ocean & ~observed        where the loss and the scores live
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["PATTERNS", "blocks", "clouds", "pixels", "profiles", "tracks"]


def _earliest(moment: Tensor, count: Tensor) -> Tensor:
    """True at the `count` (B,) smallest values of `moment` (B, H, W); ties in raster order."""
    flat = moment.flatten(1)
    count = count[:, None]
    if flat.is_floating_point():
        last = flat.sort(dim=1).values.gather(1, (count - 1).clamp(min=0))
    else:  # counting is several times faster than sorting
        histogram = torch.zeros(len(flat), int(flat.max()) + 1, device=flat.device)
        histogram.scatter_add_(1, flat, torch.ones_like(flat, dtype=histogram.dtype))
        last = torch.searchsorted(histogram.cumsum(1), count.to(histogram.dtype))
    taken, tied = flat < last, flat == last
    rank = tied.cumsum(1, dtype=torch.int32)
    return (taken | tied & (rank <= count - taken.sum(1, keepdim=True))).view(moment.shape)


def _count(fraction, batch: int, cells: int, device) -> Tensor:
    fraction = torch.as_tensor(fraction, dtype=torch.float64, device=device).expand(batch)
    return (fraction * cells).round().long()


def pixels(batch: int, shape: tuple[int, int], fraction, generator: torch.Generator) -> Tensor:
    """Single cells at random, `fraction` (number or (B,)) of them observed, exactly.

    Returns: bool (B, H, W).
    """
    noise = torch.rand(batch, *shape, generator=generator, device=generator.device)
    return _earliest(noise, _count(fraction, batch, math.prod(shape), noise.device))


def blocks(
    batch: int,
    shape: tuple[int, int],
    fraction,
    generator: torch.Generator,
    sides: tuple[int, int] = (3, 9),
) -> Tensor:
    """Rectangles with sides of 3–9 cells are hidden until exactly `fraction` remains observed.

    Rectangles fall one after another; a cell is reached by the first that covers it.  The last
    one is cut short where the count is met.  With fraction 0.5 this is the original experiment.

    Returns: bool (B, H, W), True where observed.
    """
    height, width = shape
    device = generator.device
    hidden = height * width - _count(fraction, batch, height * width, device)
    # Random coverage leaves exp(-n area / cells) uncovered; 40 % more than the mean need, and
    # whatever is still uncovered then is reached last.
    area = ((sides[0] + sides[1]) / 2) ** 2
    most = min(float(hidden.max()) / (height * width), 0.995)
    number = int(1.4 * -math.log(1 - most) * (height + 8) * (width + 8) / area) + 8
    side = torch.randint(
        sides[0], sides[1] + 1, (2, batch, number), generator=generator, device=device
    )
    corner = torch.rand(2, batch, number, generator=generator, device=device)
    extent = torch.tensor([height, width], device=device)[:, None, None]
    low = (corner * (extent + side - 1)).long() - (side - 1)
    high = torch.minimum(low + side, extent)
    low = low.clamp(min=0)
    steps = torch.arange(sides[1], device=device)
    # Clamping the offsets to the far edge repeats cells instead of masking them.
    rows = torch.minimum(low[0, ..., None] + steps, high[0, ..., None] - 1)
    columns = torch.minimum(low[1, ..., None] + steps, high[1, ..., None] - 1)
    cells = (rows[..., :, None] * width + columns[..., None, :]).view(batch, -1)
    moment = torch.arange(number, device=device).repeat_interleave(sides[1] ** 2)
    moment = moment.expand(batch, -1)
    reached = torch.full((batch, height * width), number, device=device)
    reached.scatter_reduce_(1, cells, moment, "amin")
    return ~_earliest(reached.view(batch, height, width), hidden)


def tracks(
    batch: int, shape: tuple[int, int], fraction, generator: torch.Generator, width: float = 1.0
) -> Tensor:
    """Straight tracks in two families of directions, as a satellite or ships leave them.

    Tracks are added until exactly `fraction` of the cells is observed.

    Returns: bool (B, H, W).
    """
    device = generator.device
    count = _count(fraction, batch, math.prod(shape), device)
    longest = math.hypot(*shape)
    number = int(count.max()) // max(1, min(shape) // 2) + 4
    tilt = torch.rand(batch, 1, generator=generator, device=device) * 0.6 + 0.3
    ascending = torch.rand(batch, number, generator=generator, device=device) < 0.5
    angle = torch.where(ascending, tilt, -tilt)
    offset = (torch.rand(batch, number, generator=generator, device=device) - 0.5) * longest
    y = torch.arange(shape[0], device=device) - (shape[0] - 1) / 2
    x = torch.arange(shape[1], device=device) - (shape[1] - 1) / 2
    reached = torch.full((batch, *shape), math.inf, device=device)
    for track in range(number):
        across = x[None, None, :] * angle[:, track, None, None].cos()
        along = y[None, :, None] * angle[:, track, None, None].sin()
        distance = (across + along - offset[:, track, None, None]).abs()
        # Beyond the last track the nearest cells follow, so the count is always met.
        moment = torch.where(distance <= width / 2, track, number + distance)
        reached = torch.minimum(reached, moment)
    return _earliest(reached, count)


def _smooth_noise(batch, shape, scale: float, generator) -> Tensor:
    """Unit-variance noise (B, H, W) with features of about `scale` cells and finer octaves."""
    total = 0.0
    for octave in range(3):
        size = [max(2, math.ceil(n * 2**octave / scale) + 1) for n in shape]
        coarse = torch.randn(batch, 1, *size, generator=generator, device=generator.device)
        fine = F.interpolate(coarse, size=shape, mode="bicubic", align_corners=True)
        total = total + fine[:, 0] * 0.5**octave
    return total / total.std(dim=(1, 2), correction=0, keepdim=True).clamp(min=1e-6)


def clouds(
    batch: int, shape: tuple[int, int], fraction, generator: torch.Generator, scale: float = 24.0
) -> Tensor:
    """A sky with cloud over `fraction` of the cells: True where the surface is seen, (B, H, W)."""
    noise = _smooth_noise(batch, shape, scale, generator)
    return ~_earliest(noise, _count(fraction, batch, math.prod(shape), noise.device))


def profiles(
    batch: int,
    shape: tuple[int, int],
    fraction,
    generator: torch.Generator,
    *,
    ocean: Tensor,
    depth: Tensor,
    cycle: int = 3,
    drift: float = 2.0,
    shelf: float = 500.0,
    columns: Tensor | None = None,
) -> Tensor:
    """Argo-like columns: floats that drift, keep off the shelf and measure their own depth range.

    A float surfaces about every ten days, so a month holds `cycle` profiles of each, `drift`
    cells apart on average; floats gather where currents bring them, drawn from a Cox process with
    a smooth random intensity.  A profile starts at 4–16 m and ends at 2,000 m (seven in ten) or
    anywhere from 300 m down.  Fewer profiles than asked remain where the water is shallower than
    `shelf` metres.

    Args:
        fraction: number or (B,), of the columns.
        ocean: bool, (B, D, H, W).
        depth: (D,), metres, positive down.
        columns: bool, (B, H, W), where floats were; a sample that has none draws its own.
    Returns: bool, (B, D, H, W).
    Reference: Wong et al. 2020, doi 10.3389/fmars.2020.00700 (the Argo sampling).
    """
    device, (height, width) = generator.device, shape
    depth = depth.to(device)
    count = _count(fraction, batch, height * width, device)
    # A density that is not zero leaves a patch, however small, at least one profile.
    asked = torch.as_tensor(fraction, device=device) > 0
    count = torch.where(asked, count.clamp(min=1), 0)
    # A level stands for water down to half way to the next one.
    reach = torch.where(ocean, depth[:, None, None], 0.0).amax(1)
    deep = (reach >= min(shelf, float(depth.max()))) & ocean.any(1)
    floats = -(-int(count.max()) // cycle)
    intensity = 0.7 * _smooth_noise(batch, shape, 32.0, generator)
    uniform = torch.rand(batch, height, width, generator=generator, device=device)
    gumbel = -(-uniform.clamp(1e-9, 1 - 1e-7).log()).log()
    score = torch.where(deep, intensity + gumbel, -math.inf).flatten(1)
    start = score.topk(min(floats, height * width), dim=1).indices
    step = torch.randn(2, batch, start.shape[1], cycle, generator=generator, device=device) * drift
    step[..., 0] = 0
    path = step.cumsum(-1).round().long()
    row = (start[..., None] // width + path[0]).clamp(0, height - 1).flatten(1)
    column = (start[..., None] % width + path[1]).clamp(0, width - 1).flatten(1)
    taken = torch.arange(row.shape[1], device=device) < count[:, None]
    drawn = torch.zeros(batch, height * width, dtype=torch.int32, device=device)
    drawn.scatter_add_(1, row * width + column, taken.int())
    drawn = drawn.view(batch, height, width) > 0
    drawn = drawn & deep
    if columns is not None:  # real floats do come onto shelves, though seldom
        columns = columns & ocean.any(1)
        drawn = torch.where(columns.any((1, 2), keepdim=True), columns, drawn)
    draws = torch.rand(3, batch, height, width, generator=generator, device=device)
    first = 4 + 12 * draws[0]
    last = torch.where(draws[1] < 0.7, 2000.0, 300 + 1700 * draws[2])
    level = depth[None, :, None, None]
    # Levels nearer the surface than any float measures belong to the first measurement only
    # where a field starts deeper than that: a one-level field below 16 m is always reached.
    first = torch.minimum(first, depth.max().expand_as(first))
    within = (level >= first[:, None]) & (level <= last[:, None])
    return drawn[:, None] & within & ocean


PATTERNS = {"blocks": blocks, "pixels": pixels, "tracks": tracks, "profiles": profiles}
