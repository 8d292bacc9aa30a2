"""What the tests of the network share: a tiny densifier, its batches, and weights set astir."""

import numpy as np
import torch
import xarray as xr

from ocean_lib.classical.regression import fit_shared_regression
from ocean_lib.model.background import Background
from ocean_lib.model.densifier import Densifier
from ocean_lib.model.diffusion import Diffusion
from ocean_lib.model.patches import PatchSampler
from ocean_lib.model.scenes import Scenes

SCALES = [
    {
        "observed": 0.1,
        "surface": False,
        "lengths": (0.7, 37.0, 37.0),  # months, km: four cells
        "noise": 0.01,
        "kernel": "matern32",
        "neighbours": 128,
    }
]
NETWORK = {"width": 8, "multipliers": (1, 2), "blocks": 1}
PATTERNS = [
    {"pattern": "blocks", "observed": 0.5},
    {"pattern": "profiles", "observed": 0.02, "surface": 1.0, "clouds": 0.3},
]
UNCERTAIN = [pattern | {"error": [0.05, 0.3]} for pattern in PATTERNS]


def background(store) -> Background:
    regression = fit_shared_regression(store)
    covariance = regression.covariance
    buffers = {"coefficients": regression.coefficients, "covariance": covariance}
    return Background(SCALES, factor=torch.ones(1, covariance.shape[-1]), **buffers)


def densifier(store, mode: str = "residual", seed: int = 0, **diffusion) -> Densifier:
    torch.manual_seed(seed)
    return Densifier(
        store.statistics(),
        background(store),
        mode=mode,
        diffusion=Diffusion(**diffusion),
        network=NETWORK,
    )


def batches(store, part: str = "train", *, device: str = "cpu", **choices) -> PatchSampler:
    choices = {"patch": 12, "specifications": PATTERNS} | choices
    guess = background(store).to(device)
    return PatchSampler(store, part, background=guess, device=device, **choices)


def scenes(store, part: str = "train", numbers=(3, 3), patterns=PATTERNS, **choices) -> Scenes:
    """Scenes that are built, as `train` takes them."""
    choices = {"patch": 12, "background": background(store)} | choices
    made = Scenes(store, part, patterns, list(numbers), **choices)
    for _ in made.build():
        pass
    return made


@torch.no_grad()
def astir(module, seed: int = 1, size: float = 0.1):
    """The module with every weight moved: layers that start at 0 speak, too."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.add_(size * noise.to(parameter.device))
    return module


def random_ocean(months, height, width, depth, length, mixing, seed=0, land=False):
    """Gaussian fields of Matérn correlation of smoothness 3/2, `mixing` (D, D) between levels."""
    rng = np.random.default_rng(seed)
    roots = []
    for size in (height, width):
        distance = np.subtract.outer(np.arange(size), np.arange(size))
        scaled = 3**0.5 * np.abs(distance) / length
        matern = (1 + scaled) * np.exp(-scaled) + 1e-6 * np.eye(size)
        roots.append(np.linalg.cholesky(matern))
    white = rng.standard_normal((months, len(depth), height, width))
    values = np.einsum("de,teyx->tdyx", mixing, roots[0] @ white @ roots[1].T)
    ocean = np.ones((len(depth), height, width), bool)
    if land:
        ocean[1:, : height // 2] = False
    grid = ("depth", "latitude", "longitude")
    return xr.Dataset(
        {
            "temperature": (("time", *grid), np.where(ocean, values, np.nan).astype(np.float32)),
            "ocean": (grid, ocean),
        },
        {
            "time": np.arange("1993-01", "2043-01", dtype="M8[M]")[:months].astype("M8[ns]"),
            "depth": np.asarray(depth, float),
            "latitude": np.arange(height) / 12,
            "longitude": np.arange(width) / 12,
        },
    )


def gaussian_ocean(
    lengths, months=60, rows=28, columns=28, seed=0, smoothness=1.5, slow=(0.0, 1.0)
):
    """One level of a Gaussian field whose correlation is known, drawn exactly.

    Args:
        lengths: e-folding time in months, correlation lengths in rows and columns.
        months: number of dates.
        rows: of the grid.
        columns: of the grid.
        seed: of the draw.
        smoothness: of the Matérn correlation in space, 1.5 or 2.5.
        slow: share of the variance of a second exponential in time, and its e-folding time.
    """
    rng = np.random.default_rng(seed)
    y, x = (each.ravel().astype(float) for each in np.mgrid[:rows, :columns])
    apart = np.hypot(
        np.subtract.outer(y, y) / lengths[1], np.subtract.outer(x, x) / lengths[2]
    ) * np.sqrt(2 * smoothness)
    further = apart**2 / 3 if smoothness == 2.5 else 0.0
    root = np.linalg.cholesky((1 + apart + further) * np.exp(-apart) + 1e-8 * np.eye(len(y)))
    values = np.zeros((months, rows * columns))
    for share, scale in ((1 - slow[0], lengths[0]), slow):
        memory, field = np.exp(-1 / scale), root @ rng.standard_normal(len(y))
        for value in values:
            field = memory * field + np.sqrt(1 - memory**2) * root @ rng.standard_normal(len(y))
            value += np.sqrt(share) * field
    values = values.reshape(months, 1, rows, columns)
    grid = ("depth", "latitude", "longitude")
    return xr.Dataset(
        {
            "temperature": (("time", *grid), values.astype("f4")),
            "ocean": (grid, np.ones((1, rows, columns), bool)),
        },
        {
            "time": np.arange("1993-01", "2143-01", dtype="M8[M]")[:months].astype("M8[ns]"),
            "depth": [50.0],
            "latitude": np.arange(rows) / 12,
            "longitude": np.arange(columns) / 12,
        },
    )
