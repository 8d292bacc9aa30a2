"""A ConvNeXt U-Net conditioned by FiLM.

A block is a depthwise convolution, a normalisation and a pointwise expansion, in channels_last
memory; noise level, place, season and density of observations enter every block as scale and shift
of its normalised features.  A stem that folds 2×2 cells into channels halves the grid before the
first block.

    in (B, C, H, W) ─► stem ─► down … ─► middle ─► up … ─► head (B, out, H, W)
                        └────────── skip connections ─────────┘

Any H×W works: the network pads its input and crops its output.

Reference: Liu et al. 2022 (ConvNeXt), arXiv 2201.03545; Perez et al. 2018 (FiLM), arXiv 1709.07871.
"""

import inspect
import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocean_lib.core.messages import shortened

__all__ = ["UNet", "check_network", "count_parameters"]


HEADS = 4  # attention heads
# Upper bounds, far above what is in use; on the sixth grid a patch of 160 cells is 5 cells wide.
LARGEST = {"width": 1024, "blocks": 16, "stem": 2, "kernel": 15, "expansion": 8}
MAX_GRIDS, MAX_MULTIPLIER = 6, 16


def check_network(**choices: Any) -> None:
    """Check keyword arguments of `UNet` before anything is built.

    Args:
        choices: any of them but `conditions`; those left out have the defaults of `UNet`.

    Raises:
        ValueError: one is unknown, of another type or outside its range, or the channels of the
            smallest grid do not divide into the attention heads.
    """
    if unknown := choices.keys() - DEFAULTS.keys():
        raise ValueError(f"a network has no {shortened(sorted(map(str, unknown)))}; leave them out")
    given = DEFAULTS | choices
    width, multipliers = given["width"], given["multipliers"]
    if not isinstance(multipliers, list | tuple) or not 1 <= len(multipliers) <= MAX_GRIDS:
        raise ValueError(
            f"multipliers is {shortened(multipliers)}; give 1 to {MAX_GRIDS} numbers, one per grid"
        )
    limits = [(name, given[name], largest) for name, largest in LARGEST.items()]
    limits += [
        (f"multiplier {number}", each, MAX_MULTIPLIER) for number, each in enumerate(multipliers, 1)
    ]
    for name, value, largest in limits:
        if type(value) is not int or not 1 <= value <= largest:
            raise ValueError(f"{name} is {shortened(value)}; choose 1 to {largest}")
    if multipliers[0] != 1:
        raise ValueError(
            f"multipliers is {[*multipliers]}; begin with 1, the first grid has width channels"
        )
    if given["kernel"] % 2 == 0:
        raise ValueError(f"kernel is {given['kernel']}; choose an odd number of cells")
    if not isinstance(given["attention"], bool):
        raise ValueError(f"attention is {shortened(given['attention'])}; choose true or false")
    if given["attention"] and width * multipliers[-1] % HEADS:
        raise ValueError(
            f"width {width} × multiplier {multipliers[-1]} is not a multiple of the {HEADS} "
            "attention heads; choose a width that is, or attention=False"
        )


def count_parameters(inputs: int, outputs: int, conditions: int = 5, **choices: Any) -> int:
    """Number of weights of a `UNet`, without building it.

    Args:
        inputs: channels in.
        outputs: channels out.
        conditions: numbers per sample that condition it.
        choices: as for `check_network`, which accepts them.
    """
    given = DEFAULTS | choices
    width, blocks, stem = given["width"], given["blocks"], given["stem"]

    def dense(fan_in: int, fan_out: int) -> int:
        return (fan_in + 1) * fan_out

    def stage(channels: int) -> int:
        wide = given["expansion"] * channels
        mixing = dense(4 * width, 2 * channels) + dense(channels, wide) + dense(wide, channels)
        return blocks * (channels * (given["kernel"] ** 2 + 1) + 2 * channels + mixing)

    widths = [width * m for m in given["multipliers"]]
    total = dense(64 + conditions, 4 * width) + dense(4 * width, 4 * width)
    total += dense(inputs * stem**2, width) + sum(map(stage, widths + widths[:-1]))
    for fine, coarse in zip(widths, widths[1:]):
        total += dense(4 * fine, coarse) + dense(coarse, fine)
    if given["attention"]:
        total += 2 * widths[-1] + dense(widths[-1], 3 * widths[-1]) + dense(widths[-1], widths[-1])
    return total + 2 * width + dense(width, outputs * stem**2)


def _sinusoid(level: Tensor, width: int = 32) -> Tensor:
    """(B,) in 0–1 → (B, 2 width), sines and cosines on a geometric range of frequencies."""
    frequency = torch.exp(torch.linspace(0, math.log(1000), width, device=level.device))
    angle = level[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], 1)


def _zero(*layers: nn.Module) -> None:
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)


class _Norm(nn.Module):
    """Layer normalisation over channels at every cell of (B, C, H, W)."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Block(nn.Module):
    """Depthwise convolution, normalisation with FiLM, pointwise expansion; a residual branch."""

    def __init__(self, width: int, condition: int, kernel: int, expansion: int):
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.film = nn.Linear(condition, 2 * width)
        self.expand = nn.Linear(width, expansion * width)
        self.contract = nn.Linear(expansion * width, width)
        _zero(self.film, self.contract)  # the block starts as the identity

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.film(condition)[:, None, None].chunk(2, -1)
        # In channels_last memory the linear layers mix channels without a copy.
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1)) * (1 + scale) + shift
        return x + self.contract(F.gelu(self.expand(y))).permute(0, 3, 1, 2)


class _Blocks(nn.ModuleList):
    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        for block in self:
            x = block(x, condition)
        return x


class _Attention(nn.Module):
    """Self-attention over all cells, for the smallest grid."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = _Norm(width)
        self.mix = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)
        _zero(self.out)

    def forward(self, x: Tensor) -> Tensor:
        batch, width, height, length = x.shape
        mixed = self.mix(self.norm(x)).flatten(2).view(batch, 3, HEADS, -1, height * length)
        query, key, value = mixed.transpose(-1, -2).unbind(1)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return x + self.out(mixed.transpose(-1, -2).reshape(batch, width, height, length))


class UNet(nn.Module):
    """U-Net from `inputs` to `outputs` channels.

    Args:
        inputs: channels in.
        outputs: channels out.
        width: channels of the first grid.
        multipliers: of `width`, one per grid; each grid is half as fine as the one before.
        blocks: ConvNeXt blocks per grid and direction.
        stem: 1, or 2 to fold 2×2 cells first.
        kernel: size of the depthwise convolutions in cells.
        expansion: factor by which the pointwise layers widen a block.
        attention: whether the cells of the smallest grid attend to each other.
        conditions: numbers per sample that condition it beside the noise level.

    Raises:
        ValueError: an argument cannot be used; see `check_network`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        width: int = 32,
        multipliers: Sequence[int] = (1, 2, 4),
        blocks: int = 2,
        stem: int = 2,
        kernel: int = 3,
        expansion: int = 2,
        attention: bool = True,
        conditions: int = 5,
    ):
        super().__init__()
        check_network(
            width=width,
            multipliers=multipliers,
            blocks=blocks,
            stem=stem,
            kernel=kernel,
            expansion=expansion,
            attention=attention,
        )
        self.stem, self.multiple = stem, stem * 2 ** (len(multipliers) - 1)
        hidden = 4 * width
        self.condition = nn.Sequential(
            nn.Linear(64 + conditions, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )
        widths = [width * m for m in multipliers]

        def stage(channels: int) -> _Blocks:
            return _Blocks(_Block(channels, hidden, kernel, expansion) for _ in range(blocks))

        # Kernel size equals the stride: with many inputs 3×3 would cost more than all blocks.
        self.enter = nn.Conv2d(inputs, width, stem, stride=stem)
        self.down = nn.ModuleList(stage(channels) for channels in widths)
        self.shrink = nn.ModuleList(
            nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in zip(widths, widths[1:])
        )
        self.middle = _Attention(widths[-1]) if attention else nn.Identity()
        self.grow = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1) for fine, coarse in zip(widths, widths[1:])
        )
        self.up = nn.ModuleList(stage(channels) for channels in widths[:-1])
        self.leave = nn.Sequential(_Norm(width), nn.Conv2d(width, outputs * stem**2, 1))
        _zero(self.leave[1])  # the untrained network predicts 0
        self.to(memory_format=torch.channels_last)

    def _stem(self, x: Tensor, known: Tensor | None) -> Tensor:
        """The first grid's channels; what samples share is convolved once."""
        height, width = x.shape[-2:]
        pad = (0, -width % self.multiple, 0, -height % self.multiple)

        def fold(part: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            part = F.pad(part, pad) if any(pad) else part
            part = part.contiguous(memory_format=torch.channels_last)
            return F.conv2d(part, weight, bias, self.stem)

        weight, bias, split = self.enter.weight, self.enter.bias, x.shape[1]
        if known is None:
            return fold(x, weight, bias)
        return fold(x, weight[:, :split], bias) + fold(known, weight[:, split:], None)

    def forward(
        self, x: Tensor, level: Tensor, conditions: Tensor, known: Tensor | None = None
    ) -> Tensor:
        """The output (B, outputs, H, W).

        Args:
            x: the first C of the input channels, (B, C, H, W).
            level: noise level in 0–1, (B,).
            conditions: further conditions, (B, K).
            known: the other input channels, (B, inputs - C, H, W), or (1, ...) where all samples
                share them, as the members of an ensemble do.
        """
        height, width = x.shape[-2:]
        condition = self.condition(torch.cat([_sinusoid(level), conditions], 1))
        x = self._stem(x, known)
        skips = []
        for index, blocks in enumerate(self.down):
            x = blocks(x, condition)
            if index < len(self.shrink):
                skips.append(x)
                x = self.shrink[index](x)
        x = self.middle(x)
        for grow, blocks in zip(reversed(self.grow), reversed(self.up)):
            skip = skips.pop()
            x = skip + F.interpolate(grow(x), scale_factor=2, mode="nearest")
            x = blocks(x, condition)
        x = self.leave(x)
        x = F.pixel_shuffle(x, self.stem) if self.stem > 1 else x
        return x[..., :height, :width]


# Default of every keyword argument that the checks of a network know.
DEFAULTS = {
    name: argument.default
    for name, argument in inspect.signature(UNet).parameters.items()
    if name not in ("inputs", "outputs", "conditions")
}
