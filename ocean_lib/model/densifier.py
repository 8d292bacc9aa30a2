"""The densifier: networks, background, statistics and levels in one module and one file.

It has three modes, so that they can be compared:

    regression   mean and standard deviation of each value, as departures from the background in
                 units of the background's error
    diffusion    samples of the standardised anomaly itself, from noise (the original design)
    residual     a regression, then diffusion of the field minus its mean, divided by its standard
                 deviation

At exactly observed cells the mean is the observation and the residual is 0.  `save` writes
everything that using the model needs; `load` executes nothing from the file (`weights_only=True`).
"""

import pickle
from pathlib import Path

import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn

from ocean_lib import __version__
from ocean_lib.core.atomic import atomic_write
from ocean_lib.model.background import Background
from ocean_lib.model.diffusion import Diffusion
from ocean_lib.model.unet import UNet
from ocean_lib.observations.batch import adjacent_dates, exactly_observed

__all__ = ["Densifier", "MODES"]


MODES = ("regression", "diffusion", "residual")
KIND = "ocean_lib densifier"  # tells a checkpoint from other files of torch
FORMAT = 6  # of checkpoint.pt; a file of another format is refused
CONTENT = {"mode", "network", "diffusion", "background", "statistics", "attributes", "state"}
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
        if mode not in MODES:
            raise ValueError(f"mode {mode!r} is not known; choose one of {MODES}")
        self.statistics, self.mode = statistics, mode
        self.background, self.diffusion = background, diffusion or Diffusion()
        self.network = dict(network or {})
        self.surfaces = statistics.attrs["surfaces"]
        self.levels = levels = statistics.sizes["channel"] - self.surfaces
        cell = _one_cell(levels, self.surfaces)
        inputs, conditions = _inputs(cell).shape[1], _conditions(cell).shape[1]
        self.regressor: UNet | None = None
        self.denoiser: UNet | None = None
        if mode != "diffusion":
            self.regressor = UNet(inputs, 2 * levels, conditions=conditions, **self.network)
        if mode != "regression":
            # The noisy field comes first; mean and deviation of the regression come last.
            inputs += 3 * levels if mode == "residual" else levels
            self.denoiser = UNet(inputs, levels, conditions=conditions, **self.network)

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
        names = ("harmonic", "deviation", "wet", "depth", "latitude", "longitude")
        content = {"kind": KIND, "format": FORMAT, "version": __version__} | self.settings()
        content["statistics"] = {n: torch.tensor(self.statistics[n].values) for n in names}
        content |= {"attributes": dict(self.statistics.attrs), "state": self.state_dict()}
        with atomic_write(path) as beside:
            torch.save(content, beside)

    @classmethod
    def load(cls, path: Path | str, device: str | torch.device = "cpu") -> "Densifier":
        """Read the model of a file.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is not a densifier, or has another format.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"no checkpoint at {path}; run notebook 03_training first")
        content = _read(path)
        arrays = {name: value.numpy() for name, value in content["statistics"].items()}
        grid = ("channel", "latitude", "longitude")
        fields: dict = {"harmonic": (("term", *grid), arrays["harmonic"])}
        fields |= {name: (grid, arrays[name]) for name in ("deviation", "wet")}
        places = {name: arrays[name] for name in ("depth", "latitude", "longitude")}
        statistics = xr.Dataset(fields, places, content["attributes"])
        state = content["state"]
        buffers = {name: state[f"background.{name}"] for name in Background.BUFFERS}
        background = Background(content["background"], **buffers)
        choices = {name: content[name] for name in ("mode", "network")}
        noise = Diffusion(**content["diffusion"])
        model = cls(statistics, background, diffusion=noise, **choices)
        model.load_state_dict(state)
        return model.to(device).eval()


def _read(path: Path) -> dict:
    """What `save` wrote; large statistics stay in the file until they are used."""
    remedy = "give a checkpoint.pt that training wrote"
    with path.open("rb") as file:
        head = file.read(15)
    if not head.startswith(b"PK"):
        raise ValueError(
            f"{path} is not a checkpoint that can be read safely: its {path.stat().st_size} bytes "
            f"start with {head!r}; {remedy}"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError:
        # torch's own message is left out: it advises to load the file unsafely.
        raise ValueError(
            f"{path} is not a checkpoint that can be read safely: it asks to run code, and nothing "
            f"of it was run; {remedy}"
        ) from None
    except (RuntimeError, ValueError, EOFError, OSError) as error:
        raise ValueError(
            f"{path} ({path.stat().st_size} bytes) is not a whole checkpoint "
            f"({str(error).splitlines()[0]}); {remedy}, or copy it again"
        ) from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise ValueError(f"{path} is not a densifier; {remedy}")
    if content.get("format") != FORMAT:
        raise ValueError(
            f"{path} has format {content.get('format')} (ocean_lib {content.get('version')}), this "
            f"version, {__version__}, reads {FORMAT}; train again or install that version"
        )
    if missing := CONTENT - content.keys():
        raise ValueError(f"{path} lacks {sorted(missing)}; {remedy}")
    return content
