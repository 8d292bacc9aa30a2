"""Time of a training step and of a sampled member, beside the prototype of this project.

    python benchmarks/step.py [--device cuda] [--repeats 3]

The prototype's U-Net is rebuilt here from its description: width 64, multipliers (1, 2, 4, 8), on
each grid linear attention and two blocks of a 7×7 depthwise and two full 3×3 convolutions with
expansion 2; one generated and two conditioning channels. Ours are the networks of `demo` and
`demo_long`, on one level and on eight. All train on the same noise task, batch 8 of 64×64 and of
128×128 cells, in turn within one run. The time of a member (eight of one date are drawn together)
is that of one pass times the sampler's number of evaluations: 1000 steps of DDPM for the prototype;
for ours one pass of the first stage and 8 evaluations of DPM-Solver++. On CUDA all run in bfloat16,
ours also with `torch.compile`.

The table is printed and written to `benchmarks/results/step_DEVICE.md`.
"""

import argparse
import itertools
import os
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from ocean_lib.core.atomic import atomic_write
from ocean_lib.model import optimiser
from ocean_lib.model.unet import UNet

RESULTS = Path(__file__).resolve().parent / "results"
WIDTH, MULTIPLIERS = 64, (1, 2, 4, 8)
BATCH, SIDES, LEVELS = 8, (64, 128), (1, 8)
STEPS, EVALUATIONS = 1000, 8
OURS = {"demo": 32, "demo_long": 48}  # width


class PrototypeBlock(nn.Module):
    """7×7 depthwise convolution plus time embedding, then 3×3 to twice the channels and back."""

    def __init__(self, inputs: int, outputs: int, time_width: int):
        super().__init__()
        self.time = nn.Sequential(nn.GELU(), nn.Linear(time_width, inputs))
        self.depthwise = nn.Conv2d(inputs, inputs, 7, padding=3, groups=inputs)
        self.full = nn.Sequential(
            nn.GroupNorm(1, inputs),
            nn.Conv2d(inputs, 2 * outputs, 3, padding=1),
            nn.GELU(),
            nn.GroupNorm(1, 2 * outputs),
            nn.Conv2d(2 * outputs, outputs, 3, padding=1),
        )
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, embedded):
        y = self.depthwise(x) + self.time(embedded)[:, :, None, None]
        return self.skip(x) + self.full(y)


class LinearAttention(nn.Module):
    """Attention with 4 heads of 32 channels whose cost is linear in the number of cells."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.mix = nn.Conv2d(width, 3 * 128, 1, bias=False)
        self.out = nn.Sequential(nn.Conv2d(128, width, 1), nn.GroupNorm(1, width))

    def forward(self, x):
        query, key, value = self.mix(self.norm(x)).unflatten(1, (3, 4, 32)).flatten(4).unbind(1)
        context = torch.einsum("bhdn,bhen->bhde", key.softmax(-1), value)
        mixed = torch.einsum("bhde,bhdn->bhen", context, query.softmax(-2) * 32**-0.5)
        return x + self.out(mixed.reshape(len(x), 128, *x.shape[2:]))


class Prototype(nn.Module):
    """The prototype's U-Net."""

    def __init__(self, inputs: int = 3, outputs: int = 1):
        super().__init__()
        embedded = 4 * WIDTH
        self.time = nn.Sequential(
            nn.Linear(WIDTH, embedded), nn.GELU(), nn.Linear(embedded, embedded)
        )
        widths = [WIDTH, *(WIDTH * each for each in MULTIPLIERS)]
        pairs = [*zip(widths[:-1], widths[1:])]
        self.stem = nn.Conv2d(inputs, WIDTH, 7, padding=3)

        def grid(before: int, after: int, change: nn.Module) -> nn.ModuleList:
            first, second = (PrototypeBlock(each, after, embedded) for each in (before, after))
            return nn.ModuleList([first, second, LinearAttention(after), change])

        self.down = nn.ModuleList(
            grid(a, b, nn.Identity() if b == widths[-1] else nn.Conv2d(b, b, 4, 2, 1))
            for a, b in pairs
        )
        self.middle = nn.ModuleList(
            [PrototypeBlock(widths[-1], widths[-1], embedded) for _ in range(2)]
        )
        self.attention = LinearAttention(widths[-1])
        self.up = nn.ModuleList(
            grid(2 * b, a, nn.ConvTranspose2d(a, a, 4, 2, 1)) for a, b in reversed(pairs[1:])
        )
        self.last = PrototypeBlock(WIDTH, WIDTH, embedded)
        self.head = nn.Conv2d(WIDTH, outputs, 1)

    def forward(self, x, t):
        frequency = torch.exp(torch.arange(WIDTH // 2, device=x.device) * -(9.21 / (WIDTH // 2)))
        angle = t[:, None] * frequency
        embedded = self.time(torch.cat([angle.sin(), angle.cos()], 1))
        x, kept = self.stem(x), []
        for first, second, attention, change in self.down:
            x = attention(second(first(x, embedded), embedded))
            kept.append(x)
            x = change(x)
        x = self.middle[1](self.attention(self.middle[0](x, embedded)), embedded)
        for first, second, attention, change in self.up:
            x = attention(second(first(torch.cat([x, kept.pop()], 1), embedded), embedded))
            x = change(x)
        return self.head(self.last(x, embedded))


class Ours(nn.Module):
    """Both networks of a `Densifier` on D levels and one surface field."""

    def __init__(self, levels: int, width: int):
        super().__init__()
        inputs, choices = 6 * levels + 6, {"width": width, "conditions": 6}
        self.regressor = UNet(inputs, 2 * levels, **choices)
        self.denoiser = UNet(inputs + 3 * levels, levels, **choices)
        self.known = inputs + 2 * levels  # beside what is denoised


def step(network: nn.Module, optimisers, given: tuple, target, cuda: bool) -> None:
    with torch.autocast("cuda", torch.bfloat16, enabled=cuda):
        loss = F.mse_loss(network(*given)[:, : target.shape[1]].float(), target)
    network.zero_grad(set_to_none=True)
    loss.backward()
    for each in optimisers:
        each.step()


def clock(work, cuda: bool) -> float:
    began = time.perf_counter()
    work()
    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began


def contestants(device: torch.device, side: int) -> dict[str, list[tuple]]:
    """By name, each network with its inputs, its target and its number of passes per member."""
    torch.manual_seed(0)

    def field(channels: int):
        return torch.randn(BATCH, channels, side, side, device=device)

    time_ = torch.rand(BATCH, device=device)
    found = {"prototype, 1 level": [(Prototype().to(device), (field(3), time_), field(1), STEPS)]}
    for (name, width), levels in itertools.product(OURS.items(), LEVELS):
        ours = Ours(levels, width).to(device, memory_format=torch.channels_last)
        conditions = torch.randn(BATCH, 6, device=device)
        inputs = 6 * levels + 6
        parts = [
            (ours.regressor, (field(inputs), time_, conditions), field(levels), 1),
            (
                ours.denoiser,
                (field(levels), time_, conditions, field(ours.known)),
                field(levels),
                EVALUATIONS,
            ),
        ]
        name = f"{name}, {levels} level{'s' * (levels > 1)}"
        found[name] = parts
        if device.type == "cuda":
            found[f"{name}, compiled"] = [(torch.compile(each[0]), *each[1:]) for each in parts]
    return found


def shared(given: tuple) -> tuple:
    """Inputs of the members of one date, with the known channels only once."""
    return (*given[:3], *(known[:1] for known in given[3:]))


def measure(device: torch.device, side: int, repeats: int) -> dict[str, tuple[float, ...]]:
    """By name: million weights, seconds of a step (the costlier stage), seconds of a member."""
    cuda = device.type == "cuda"
    every = contestants(device, side)

    def taught(network: nn.Module) -> list[torch.optim.Optimizer]:
        if isinstance(network, Prototype):
            return [torch.optim.AdamW(network.parameters(), lr=1e-4)]
        return optimiser.make_optimisers(network, 1e-4)

    optimisers = {name: [taught(part[0]) for part in parts] for name, parts in every.items()}
    steps, passes = ({name: [] for name in every} for _ in range(2))
    for turn in range(repeats + 1):
        for name, parts in every.items():
            learned = [
                clock(lambda p=part, o=own: step(p[0], o, *p[1:3], cuda), cuda)
                for part, own in zip(parts, optimisers[name])
            ]
            with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=cuda):
                passed = [
                    often * clock(lambda n=network, g=given: n(*shared(g)), cuda)
                    for network, given, _, often in parts
                ]
            if turn:  # the first round is a warm-up
                steps[name].append(max(learned))
                passes[name].append(sum(passed) / BATCH)
    weights = {
        name: sum(w.numel() for network, *_ in parts for w in network.parameters()) / 1e6
        for name, parts in every.items()
    }
    median = statistics.median
    return {name: (weights[name], median(steps[name]), median(passes[name])) for name in every}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--repeats", type=int, default=3, help="number of rounds; medians are reported"
    )
    asked = parser.parse_args()
    device = torch.device(asked.device)
    cuda = device.type == "cuda"
    where = torch.cuda.get_device_name() if cuda else f"CPU, {os.cpu_count()} cores"
    lines = [
        "# Time of a training step and of a sampled member",
        "",
        f"`python benchmarks/step.py --device {asked.device}`: {where}, torch "
        f"{torch.__version__.partition('+')[0]}, batch {BATCH}, medians of {asked.repeats} rounds "
        "in which all networks take turns. A step is one of the costlier stage. A member takes "
        f"{STEPS} evaluations of the prototype, and one and {EVALUATIONS} of our two stages.",
        "",
        "| cells | network | weights, million | step, s | relative to prototype | member, s | "
        "relative to prototype |",
        "| :-- | :-- | --: | --: | --: | --: | --: |",
    ]
    for side in SIDES:
        found = measure(device, side, asked.repeats)
        base = found["prototype, 1 level"]
        for name, (weights, learned, drawn) in found.items():
            lines.append(
                f"| {side}×{side} | {name} | {weights:.1f} | {learned:.3f} | "
                f"1/{base[1] / learned:.1f} | {drawn:.2f} | 1/{base[2] / drawn:.0f} |"
            )
    text = "\n".join(lines) + "\n"
    print(text)
    name = torch.cuda.get_device_name().replace(" ", "_").lower() if cuda else "cpu"
    with atomic_write(RESULTS / f"step_{name}.md") as beside:
        beside.write_text(text)


if __name__ == "__main__":
    main()
