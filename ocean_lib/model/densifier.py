"""The densifier: networks, background, statistics and levels in one module and one file.

It has three modes, so that they can be compared:

    regression   mean and standard deviation of each value, as departures from the background in
                 units of the background's error
    diffusion    samples of the standardised anomaly itself, from noise (the original design)
    residual     a regression, then diffusion of the field minus its mean, divided by its standard
                 deviation

At exactly observed cells the mean is the observation and the residual is 0.  `save` writes
everything that using the model needs (`checkpoint`); `load` checks what it reads (`content`).
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn

from ocean_lib.model.background import Background
from ocean_lib.model.checkpoint import REMEDY, read_checkpoint, write_checkpoint
from ocean_lib.model.content import (
    check_background,
    check_settings,
    check_shapes,
    check_tensors,
    statistics_of,
)
from ocean_lib.model.diffusion import Diffusion
from ocean_lib.model.unet import UNet, count_parameters
from ocean_lib.observations.batch import adjacent_dates, exactly_observed

__all__ = ["Densifier", "MODES", "network_sizes"]


MODES = ("regression", "diffusion", "residual")
STATISTICS = "statistics."  # in front of their names in a file
ARRAYS = ("harmonic", "deviation", "wet", "depth", "latitude", "longitude")  # of the statistics
VALUE_LIMIT = 8.0  # standard deviations; predicted clean values are clamped to ± this
ERROR_FLOOR = 1e-2  # lower bound on `background_error` when it is a divisor
ROUGHNESS_SCALE = 5.0  # brings the roughness to the size of the other inputs


def _roughness(field: Tensor, ocean: Tensor) -> Tensor:
    """Sum of the differences from the four neighbours, (B, D, H, W); 0 where one of them is land.

    The smallest scales of a background are much smaller than its values, yet they tell most about
    what is missing among dense observations.
    """
    padded, wet = (
        F.pad(part, (1, 1, 1, 1), mode="replicate") for part in (field, ocean.to(field.dtype))
    )
    total, all_wet = -4 * field, ocean.to(field.dtype)
    height, width = field.shape[-2:]
    for y, x in ((0, 1), (2, 1), (1, 0), (1, 2)):
        total = total + padded[..., y : y + height, x : x + width]
        all_wet = all_wet * wet[..., y : y + height, x : x + width]
    return total * all_wet


def _weight(batch: dict[str, Tensor]) -> Tensor:
    """1 at exact observations, closer to 0 the less certain they are, (B, D, H, W)."""
    return batch["observed"] / (1 + batch["error"] ** 2)


def _inputs(batch: dict[str, Tensor]) -> Tensor:
    """What the networks see of a batch, (B, C, H, W)."""
    background, spread = batch["background"], batch["background_error"].clamp(min=ERROR_FLOOR)
    weight = _weight(batch)
    # The update that an observation makes to the background, in units of the background's error
    # as the networks predict it, damped the more the less certain the observation is.
    gain = spread / (spread**2 + batch["error"] ** 2)
    innovation = ((batch["value"] - background) * gain).clamp(-VALUE_LIMIT, VALUE_LIMIT) * weight
    parts = [innovation, weight, batch["ocean"].float(), background, batch["background_error"]]
    parts.append(ROUGHNESS_SCALE * _roughness(background, batch["ocean"]))
    for name in ("surface", "surface_observed"):
        surface, beside = batch[name].float(), batch.get(f"beside_{name}")
        size, surfaces, *cells = surface.shape
        unknown = surface.new_zeros(size, 2 * surfaces, *cells)
        near = unknown if beside is None else adjacent_dates(beside).float().flatten(1, 2)
        parts += [surface, near]
    return torch.cat(parts, 1)


def _conditions(batch: dict[str, Tensor]) -> Tensor:
    """Place, season and density of the observations, (B, K)."""
    density = _weight(batch).mean((1, 2, 3))[:, None].clamp(min=1e-4).log10()
    return torch.cat([batch["position"], batch["season"], density], 1)


def _one_cell(levels: int, surfaces: int) -> dict[str, Tensor]:
    """A batch of one cell, on which inputs and conditions are counted."""
    field = ("value", "observed", "error", "ocean", "background", "background_error")
    sizes = dict.fromkeys(field, (levels, 1, 1)) | {"position": (3,), "season": (2,)}
    sizes |= dict.fromkeys(("surface", "surface_observed"), (surfaces, 1, 1))
    return {name: torch.zeros(1, *size) for name, size in sizes.items()}


def network_sizes(mode: str, levels: int, surfaces: int) -> dict[str, dict[str, Any]]:
    """Inputs, outputs and conditions of the networks of a mode, by their names.

    Args:
        mode: one of `MODES`.
        levels: D, of all variables.
        surfaces: S.

    Raises:
        ValueError: the mode is not known.
    """
    if mode not in MODES:
        raise ValueError(f"mode {mode!r} is not known; choose one of {MODES}")
    cell = _one_cell(levels, surfaces)
    inputs, conditions = _inputs(cell).shape[1], _conditions(cell).shape[1]
    sizes: dict[str, dict[str, Any]] = {}
    if mode != "diffusion":
        sizes["regressor"] = {"inputs": inputs, "outputs": 2 * levels, "conditions": conditions}
    if mode != "regression":
        # The noisy field comes first; mean and deviation of the regression come last.
        inputs += 3 * levels if mode == "residual" else levels
        sizes["denoiser"] = {"inputs": inputs, "outputs": levels, "conditions": conditions}
    return sizes


class Densifier(nn.Module):
    """From observations to the dense field.

    Args:
        statistics: levels, climatology and standard deviation, from `Store.statistics`.
        background: computes the first guess and its error.
        mode: one of `MODES`.
        diffusion: the noise process; not used by mode `regression`.
        network: arguments of `UNet` except its inputs, outputs and conditions.

    Raises:
        ValueError: the mode is not known.
    """

    def __init__(
        self,
        statistics: xr.Dataset,
        background: Background,
        *,
        mode: str = "residual",
        diffusion: Diffusion | None = None,
        network: dict | None = None,
    ):
        super().__init__()
        self.statistics, self.mode = statistics, mode
        self.background, self.diffusion = background, diffusion or Diffusion()
        self.network = dict(network or {})
        self.surfaces = len(statistics.attrs["surfaces"])
        self.levels = levels = statistics.sizes["channel"] - self.surfaces
        sizes = network_sizes(mode, levels, self.surfaces)
        networks = {name: UNet(**size, **self.network) for name, size in sizes.items()}
        self.regressor: UNet | None = networks.get("regressor")
        self.denoiser: UNet | None = networks.get("denoiser")

    def stage_network(self, stage: str) -> UNet:
        """The network of a stage, `regression` or `diffusion`.

        Raises:
            ValueError: the mode has no such stage.
        """
        network = self.regressor if stage == "regression" else self.denoiser
        if network is None:
            raise ValueError(f"mode {self.mode!r} has no stage {stage!r}; choose mode 'residual'")
        return network

    def settings(self) -> dict:
        """Mode, network, noise process and background in plain values."""
        made = {"mode": self.mode, "network": self.network, "diffusion": self.diffusion.settings()}
        return made | {"background": self.background.scales}

    def regress(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (B, D, H, W); the value and 0 at exact observations."""
        level = torch.zeros(len(batch["value"]), device=batch["value"].device)
        out = self.stage_network("regression")(_inputs(batch), level, _conditions(batch))
        departure, logarithm = out.float().chunk(2, 1)
        unit = batch["background_error"].clamp(min=ERROR_FLOOR)
        mean = batch["background"] + unit * departure
        deviation = unit * logarithm.clamp(-4, 2).exp()
        exact = exactly_observed(batch)
        mean = torch.where(exact, batch["value"], mean)
        deviation = torch.where(exact, 0.0, deviation)
        return mean * batch["ocean"], deviation * batch["ocean"]

    def predict(
        self, batch: dict[str, Tensor], x: Tensor, t: Tensor, guess: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """The denoiser's prediction (B, D, H, W), in the parametrisation of the noise process.

        Args:
            batch: B samples, or one that all x share.
            x: noisy fields, (B, D, H, W).
            t: their times, integers (B,).
            guess: mean and standard deviation from `regress`; None in mode `diffusion`.
        """
        known = torch.cat([_inputs(batch), *(guess or ())], 1)
        level = t.float() / self.diffusion.steps
        conditions = _conditions(batch).expand(len(x), -1)
        return self.stage_network("diffusion")(x, level, conditions, known).float()

    def denoise(
        self, batch: dict[str, Tensor], x: Tensor, t: Tensor, guess: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """x_0 (B, D, H, W) within ±8 standard deviations and 0 on land; arguments of `predict`."""
        x0 = self.diffusion.x0(self.predict(batch, x, t, guess), x, t)
        return x0.clamp(-VALUE_LIMIT, VALUE_LIMIT) * batch["ocean"]

    def save(self, path: Path | str) -> None:
        """Write one file that `load` reads; it appears whole or not at all."""
        settings = self.settings() | {"attributes": dict(self.statistics.attrs)}
        tensors = {
            f"{STATISTICS}{name}": torch.tensor(self.statistics[name].values) for name in ARRAYS
        }
        write_checkpoint(path, settings, self.state_dict() | tensors)

    @classmethod
    def load(cls, path: Path | str, device: str | torch.device = "cpu") -> "Densifier":
        """Read the model of a file.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is not a densifier, has another format, is damaged, or holds what
                no training writes.
        """
        settings, tensors = read_checkpoint(path)
        try:
            model = cls._from_content(settings, tensors)
        except ValueError as error:
            raise ValueError(f"{path} cannot be used: {error}; {REMEDY}") from error
        return model.to(device).eval()

    @classmethod
    def _from_content(cls, settings: dict, tensors: dict[str, Tensor]) -> "Densifier":
        """The model of a checkpoint's content, which is checked before networks are built."""
        check_settings(settings)
        state = {name: value for name, value in tensors.items() if not name.startswith(STATISTICS)}
        arrays = {
            name: tensors[f"{STATISTICS}{name}"].numpy()
            for name in ARRAYS
            if f"{STATISTICS}{name}" in tensors
        }
        statistics = statistics_of(arrays, settings["attributes"])
        surfaces = len(statistics.attrs["surfaces"])
        levels = statistics.sizes["channel"] - surfaces
        networks = network_sizes(settings["mode"], levels, surfaces).values()
        check_tensors(
            state, sum(count_parameters(**sizes, **settings["network"]) for sizes in networks)
        )
        none = torch.zeros(0)
        buffers = {name: state.get(f"background.{name}", none) for name in Background.BUFFERS}
        check_background(settings["background"], buffers, levels, surfaces)
        model = cls(
            statistics,
            Background(settings["background"], **buffers),
            mode=settings["mode"],
            diffusion=Diffusion(**settings["diffusion"]),
            network=settings["network"],
        )
        check_shapes(state, model.state_dict())
        model.load_state_dict(state)
        return model
