"""What the tests of the network share: a tiny densifier, its batches, and weights set astir."""

import torch

from ocean_lib.background import Background
from ocean_lib.batches import Batches
from ocean_lib.diffusion import Diffusion
from ocean_lib.model import Densifier
from ocean_lib.regression import regress_everywhere

SCALES = [
    {
        "observed": 0.1,
        "surface": False,
        "lengths": (0.7, 4.0, 4.0),
        "noise": 0.01,
        "kernel": "matern",
        "neighbours": 128,
    }
]
NETWORK = {"width": 8, "multipliers": (1, 2), "blocks": 1}
PATTERNS = [
    {"pattern": "blocks", "observed": 0.5},
    {"pattern": "profiles", "observed": 0.02, "surface": 1.0, "clouds": 0.3},
]


def background(store) -> Background:
    regression = regress_everywhere(store)
    given = {name: getattr(regression, name) for name in ("coefficients", "plain", "left")}
    return Background(SCALES, factor=torch.ones(1, len(regression.plain)), **given)


def densifier(store, mode: str = "residual", seed: int = 0, **diffusion) -> Densifier:
    torch.manual_seed(seed)
    return Densifier(
        store.statistics(),
        background(store),
        mode=mode,
        diffusion=Diffusion(**diffusion),
        network=NETWORK,
    )


def batches(store, part: str = "train", patch: int = 12, device: str = "cpu", **choices) -> Batches:
    return Batches(
        store,
        part,
        patch=patch,
        specifications=PATTERNS,
        background=background(store).to(device),
        device=device,
        **choices,
    )


@torch.no_grad()
def astir(module, seed: int = 1, size: float = 0.1):
    """The module with every weight moved: layers that start at 0 speak, too."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.add_(size * noise.to(parameter.device))
    return module
