"""Observation patterns: synthetic masks of the cells that are observed.

A pattern is drawn for a whole batch at once, on the device of its generator, and is True where the
network may see a value. Patterns with an exact fraction of observed cells share one method: every
cell gets the time at which it is first reached (by a block, a track, a cloud), and the earliest
cells are taken until their number is met.
"""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

__all__ = ["PATTERNS", "blocks", "clouds", "pixels", "profiles", "tracks"]


Shape = tuple[int, int]
Fraction = float | Tensor  # of the cells; one number for all samples, or (B,)
CYCLE, DRIFT = 3, 2.0  # profiles of a float in a month; its drift between them, cells
SIDES = 3, 9  # smallest and largest side of a block, cells
CLOUD = 24.0  # size of a cloud, cells
SHELF = 500.0  # m: shallower water has no floats


def _earliest(time: Tensor, count: Tensor) -> Tensor:
    """True at the `count` (B,) smallest values of `time` (B, H, W); ties in raster order."""
    flat = time.flatten(1)
    count = count[:, None]
    if flat.is_floating_point():
        last = flat.sort(dim=1).values.gather(1, (count - 1).clamp(min=0))
    else:  # for integers, counting is several times faster than sorting
        histogram = torch.zeros(len(flat), int(flat.max()) + 1, device=flat.device)
        histogram.scatter_add_(1, flat, torch.ones_like(flat, dtype=histogram.dtype))
        last = torch.searchsorted(histogram.cumsum(1), count.to(histogram.dtype))
    taken, tied = flat < last, flat == last
    rank = tied.cumsum(1, dtype=torch.int32)
    return (taken | tied & (rank <= count - taken.sum(1, keepdim=True))).view(time.shape)


def _count(fraction: Fraction, batch: int, cells: int, device: torch.device) -> Tensor:
    """Number of cells (B,) that make up a fraction, a number or (B,)."""
    fraction = torch.as_tensor(fraction, dtype=torch.float64, device=device).expand(batch)
    return (fraction * cells).round().long()


def pixels(batch: int, shape: Shape, fraction: Fraction, generator: Generator) -> Tensor:
    """Single cells at random.

    Args:
        batch: number B of samples.
        shape: (H, W).
        fraction: of the cells that is observed, exactly; a number or (B,).
        generator: on whose device the pattern is drawn.

    Returns:
        bool, (B, H, W), True where observed.
    """
    noise = torch.rand(batch, *shape, generator=generator, device=generator.device)
    return _earliest(noise, _count(fraction, batch, math.prod(shape), noise.device))


def blocks(batch: int, shape: Shape, fraction: Fraction, generator: Generator) -> Tensor:
    """Rectangles of hidden cells.

    Rectangles are added one after the other until exactly `fraction` of the cells remains
    observed; the last one is cut short.

    Args:
        batch: number B of samples.
        shape: (H, W).
        fraction: of the cells that is observed, exactly; a number or (B,).
        generator: on whose device the pattern is drawn.

    Returns:
        bool, (B, H, W), True where observed.
    """
    height, width = shape
    device = generator.device
    hidden = height * width - _count(fraction, batch, height * width, device)
    # n random rectangles leave exp(-n area / cells) uncovered. Draw 40 % more than are needed on
    # average; cells that are uncovered even then are reached last.
    smallest, largest = SIDES
    area = ((smallest + largest) / 2) ** 2
    covered = min(float(hidden.max()) / (height * width), 0.995)
    number = int(1.4 * -math.log(1 - covered) * (height + 8) * (width + 8) / area) + 8
    size = (2, batch, number)
    side = torch.randint(smallest, largest + 1, size, generator=generator, device=device)
    corner = torch.rand(2, batch, number, generator=generator, device=device)
    extent = torch.tensor([height, width], device=device)[:, None, None]
    low = (corner * (extent + side - 1)).long() - (side - 1)
    high = torch.minimum(low + side, extent)
    low = low.clamp(min=0)
    steps = torch.arange(largest, device=device)
    # Offsets beyond the far edge are clamped to it: repeated cells do no harm.
    rows = torch.minimum(low[0, ..., None] + steps, high[0, ..., None] - 1)
    columns = torch.minimum(low[1, ..., None] + steps, high[1, ..., None] - 1)
    cells = (rows[..., :, None] * width + columns[..., None, :]).view(batch, -1)
    time = torch.arange(number, device=device).repeat_interleave(largest**2)
    reached = torch.full((batch, height * width), number, device=device)
    reached.scatter_reduce_(1, cells, time.expand(batch, -1), "amin")
    return ~_earliest(reached.view(batch, height, width), hidden)


def tracks(
    batch: int, shape: Shape, fraction: Fraction, generator: Generator, width: float = 1.0
) -> Tensor:
    """Straight tracks in two directions, like those of a satellite or of ships.

    Tracks are added until exactly `fraction` of the cells is observed.

    Args:
        batch: number B of samples.
        shape: (H, W).
        fraction: of the cells that is observed, exactly; a number or (B,).
        generator: on whose device the pattern is drawn.
        width: of a track, cells.

    Returns:
        bool, (B, H, W), True where observed.
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
        # Cells off all tracks follow in order of distance, so that the count is always met.
        time = torch.where(distance <= width / 2, track, number + distance)
        reached = torch.minimum(reached, time)
    return _earliest(reached, count)


def _smooth_noise(batch: int, shape: Shape, scale: float, generator: Generator) -> Tensor:
    """Unit-variance noise (B, H, W) with features of about `scale` cells and finer octaves."""
    total = torch.zeros(())
    for octave in range(3):
        size = [max(2, math.ceil(n * 2**octave / scale) + 1) for n in shape]
        coarse = torch.randn(batch, 1, *size, generator=generator, device=generator.device)
        fine = F.interpolate(coarse, size=shape, mode="bicubic", align_corners=True)
        total = total + fine[:, 0] * 0.5**octave
    return total / total.std(dim=(1, 2), correction=0, keepdim=True).clamp(min=1e-6)


def clouds(batch: int, shape: Shape, fraction: Fraction, generator: Generator) -> Tensor:
    """Clouds over the surface.

    Args:
        batch: number B of samples.
        shape: (H, W).
        fraction: of the cells that is under cloud, exactly; a number or (B,).
        generator: on whose device the pattern is drawn.

    Returns:
        bool, (B, H, W), True where the surface is seen.
    """
    noise = _smooth_noise(batch, shape, CLOUD, generator)
    return ~_earliest(noise, _count(fraction, batch, math.prod(shape), noise.device))


def _drift(start: Tensor, sea: Tensor, steps: int, generator: Generator) -> Tensor:
    """Cells (G, F, steps) of floats that start in cells (G, F) and stay in the sea (G, H, W)."""
    height, width = sea.shape[1:]
    wet, edge = sea.flatten(1), torch.tensor([height, width], device=sea.device) - 0.5
    place = torch.stack([start // width, start % width], -1).float()
    cells = [start]
    for _ in range(1, steps):
        step = DRIFT * torch.randn(place.shape, generator=generator, device=sea.device)
        moved = place + step
        row, column = moved.round().long().unbind(-1)
        inside = ((moved > -0.5) & (moved < edge)).all(-1)
        cell = torch.where(inside, row * width + column, 0)
        stays = ~(inside & wet.gather(1, cell))
        place = torch.where(stays[..., None], place, moved)
        cells.append(torch.where(stays, cells[-1], cell))
    return torch.stack(cells, -1)


def profiles(
    batch: int,
    shape: Shape,
    fraction: Fraction,
    generator: Generator,
    *,
    ocean: Tensor,
    depth: Tensor,
    columns: Tensor | None = None,
    dates: int = 1,
) -> Tensor:
    """Argo-like columns: floats that drift, avoid the shelf and measure various depth ranges.

    A float surfaces about every ten days, so a month holds `CYCLE` profiles of each float, with
    random steps of `DRIFT` cells between them; it is there again on the next date. Floats gather
    where currents bring them: they are drawn from a Cox process with a smooth random intensity. A
    float does not drift out of the region or onto a shelf. A profile starts at 4-16 m and ends at
    2,000 m (seven in ten) or anywhere below 300 m. There are fewer profiles than requested if much
    of the water is shallower than `SHELF`.

    Args:
        batch: number B of samples.
        shape: (H, W).
        fraction: of the columns that is observed, approximately; a number or (B,).
        generator: on whose device the pattern is drawn.
        ocean: bool, (B, D, H, W).
        depth: (D,), m, positive down.
        columns: bool, (B, H, W), real positions, used instead of drawn ones in samples that have
            any.
        dates: number of consecutive samples that are consecutive dates of one place, with the same
            fraction and ocean: they share their floats.

    Returns:
        bool, (B, D, H, W), True where observed.

    Reference:
        Wong et al. 2020, doi 10.3389/fmars.2020.00700 (how Argo samples).
    """
    device, (height, width) = generator.device, shape
    depth = depth.to(device)
    count = _count(fraction, batch, height * width, device)
    # Even a small patch has a profile, unless the density is zero.
    wanted = torch.as_tensor(fraction, device=device) > 0
    count = torch.where(wanted, count.clamp(min=1), 0)
    bottom = torch.where(ocean, depth[:, None, None], 0.0).amax(1)
    deep = (bottom >= min(SHELF, float(depth.max()))) & ocean.any(1)
    floats = -(-int(count.max()) // CYCLE)
    groups, sea = batch // dates, deep[::dates]
    intensity = 0.7 * _smooth_noise(groups, shape, 32.0, generator)
    uniform = torch.rand(groups, height, width, generator=generator, device=device)
    gumbel = -(-uniform.clamp(1e-9, 1 - 1e-7).log()).log()
    score = torch.where(sea, intensity + gumbel, -math.inf).flatten(1)
    start = score.topk(min(floats, height * width), dim=1).indices
    cell = _drift(start, sea, CYCLE * dates, generator).view(groups, -1, dates, CYCLE)
    cell = cell.transpose(1, 2).reshape(batch, -1)
    taken = torch.arange(cell.shape[1], device=device) < count[:, None]
    drawn = torch.zeros(batch, height * width, dtype=torch.int32, device=device)
    drawn.scatter_add_(1, cell, taken.int())
    drawn = (drawn.view(batch, height, width) > 0) & deep
    if columns is not None:  # real floats may be on a shelf
        columns = columns & ocean.any(1)
        drawn = torch.where(columns.any((1, 2), keepdim=True), columns, drawn)
    draws = torch.rand(3, batch, height, width, generator=generator, device=device)
    first = 4 + 12 * draws[0]
    last = torch.where(draws[1] < 0.7, 2000.0, 300 + 1700 * draws[2])
    level = depth[None, :, None, None]
    # If all levels lie above a profile's start, the deepest one is still observed.
    first = torch.minimum(first, depth.max().expand_as(first))
    within = (level >= first[:, None]) & (level <= last[:, None])
    return drawn[:, None] & within & ocean


PATTERNS = {"blocks": blocks, "pixels": pixels, "tracks": tracks, "profiles": profiles}
