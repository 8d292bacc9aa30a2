"""A densifier: network(s), background, statistics and levels in one module and one file.

Modes, so that they can be compared:

    regression   mean and standard deviation of each value, as departures from the background in
                 units of the background's error
    diffusion    samples of the standardised anomaly itself, from noise (the original design)
    residual     regression, then diffusion of what it leaves, in units of its standard deviation

At exactly observed cells the mean is the observation and the residual 0.  `save` writes all that
using the model needs; `load` executes nothing from the file (`weights_only=True`).
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
KIND, FORMAT = "ocean_lib densifier", 6
CONTENT = {"mode", "network", "diffusion", "background", "statistics", "attributes", "state"}
LIMIT = 8.0  # standard deviations; no predicted clean value lies farther out
LEAST = 1e-2  # error of a background, below which a departure is not magnified any more
ROUGHNESS = 5.0  # brings its size to that of the other inputs


def _roughness(field: Tensor, ocean: Tensor) -> Tensor:
    """Sum of the differences from the four neighbours, (B, D, H, W); 0 where one of them is land.

    The smallest scales of a background lie far below the size of its values, and say most about
    what is missing amid dense observations.
    """
    around, wet = (
        F.pad(each, (1, 1, 1, 1), mode="replicate") for each in (field, ocean.to(field.dtype))
    )
    total, whole = -4 * field, ocean.to(field.dtype)
    height, width = field.shape[-2:]
    for y, x in ((0, 1), (2, 1), (1, 0), (1, 2)):
        total = total + around[..., y : y + height, x : x + width]
        whole = whole * wet[..., y : y + height, x : x + width]
    return total * whole


def _weight(batch: dict[str, Tensor]) -> Tensor:
    """1 at exact observations, towards 0 the more uncertain they are, (B, D, H, W)."""
    return batch["observed"] / (1 + batch["error"] ** 2)


class Densifier(nn.Module):
    """From observations to the dense field.

    Args:
        statistics: of the store, `Store.statistics`: levels, climatology, standard deviation.
        background: the first guess, `background.Background`.
        mode: one of `MODES`.    diffusion: the noise process (not used by `regression`).
        network: arguments of `UNet` but its inputs and outputs.
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
        surfaces = statistics.attrs["surfaces"]
        levels = statistics.sizes["channel"] - surfaces
        self.levels, self.surfaces = levels, surfaces
        inputs = 6 * levels + 6 * surfaces
        self.regressor = self.denoiser = None
        if mode != "diffusion":
            self.regressor = UNet(inputs, 2 * levels, conditions=6, **self.network)
        if mode != "regression":
            extra = 3 * levels if mode == "residual" else levels
            self.denoiser = UNet(inputs + extra, levels, conditions=6, **self.network)

    def _inputs(self, batch: dict[str, Tensor]) -> Tensor:
        background, spread = batch["background"], batch["background_error"].clamp(min=LEAST)
        weight = _weight(batch)
        # What an observation adds to the background, by its weight and in the units in which
        # departures are asked for: the more uncertain it is, the less is seen of it.
        gain = spread / (spread**2 + batch["error"] ** 2)
        innovation = ((batch["value"] - background) * gain).clamp(-LIMIT, LIMIT) * weight
        parts = [innovation, weight, batch["ocean"].float(), background, batch["background_error"]]
        parts.append(ROUGHNESS * _roughness(background, batch["ocean"]))
        for name in ("surface", "surface_observed"):
            own = batch[name].float()
            beside = batch.get(f"beside_{name}")
            lacking = own.new_zeros(len(own), 2 * own.shape[1], *own.shape[2:])
            parts += [
                own,
                lacking if beside is None else adjacent_dates(beside).float().flatten(1, 2),
            ]
        return torch.cat(parts, 1)

    @staticmethod
    def _conditions(batch: dict[str, Tensor]) -> Tensor:
        density = _weight(batch).mean((1, 2, 3))[:, None].clamp(min=1e-4).log10()
        return torch.cat([batch["position"], batch["season"], density], 1)

    def regress(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (B, D, H, W); the value and 0 at exact observations."""
        level = torch.zeros(len(batch["value"]), device=batch["value"].device)
        out = self.regressor(self._inputs(batch), level, self._conditions(batch))
        departure, logarithm = out.float().chunk(2, 1)
        unit = batch["background_error"].clamp(min=LEAST)
        mean = batch["background"] + unit * departure
        deviation = unit * logarithm.clamp(-4, 2).exp()
        sure = exactly_observed(batch)
        mean = torch.where(sure, batch["value"], mean)
        deviation = torch.where(sure, 0.0, deviation)
        return mean * batch["ocean"], deviation * batch["ocean"]

    def predict(
        self, batch: dict[str, Tensor], x: Tensor, t: Tensor, guess: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """What the denoiser predicts at x (B, D, H, W) and times t (B,).

        Args:
            batch: of B samples, or of one that all x share.
            guess: mean and standard deviation from `regress`; None in mode `diffusion`.
        """
        known = torch.cat([self._inputs(batch), *(guess or ())], 1)
        level = t.float() / self.diffusion.steps
        conditions = self._conditions(batch).expand(len(x), -1)
        return self.denoiser(x, level, conditions, known).float()

    def denoise(self, batch, x: Tensor, t: Tensor, guess) -> Tensor:
        """x_0 (B, D, H, W) at x and t, within ±8 standard deviations and 0 on land."""
        x0 = self.diffusion.x0(self.predict(batch, x, t, guess), x, t)
        return x0.clamp(-LIMIT, LIMIT) * batch["ocean"]

    def save(self, path) -> None:
        """Write one file that `load` reads; whole or not at all."""
        names = ("harmonic", "deviation", "wet", "depth", "latitude", "longitude")
        content = {
            "kind": KIND,
            "format": FORMAT,
            "version": __version__,
            "mode": self.mode,
            "network": self.network,
            "diffusion": self.diffusion.settings(),
            "background": self.background.scales,
            "statistics": {n: torch.tensor(self.statistics[n].values) for n in names},
            "attributes": dict(self.statistics.attrs),
            "state": self.state_dict(),
        }
        with atomic_write(path) as beside:
            torch.save(content, beside)

    @classmethod
    def load(cls, path, device: str = "cpu") -> "Densifier":
        """The model of a file.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is not a densifier, or of another format.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"no checkpoint at {path}; run notebook 03_training first")
        content = _content(path)
        arrays = {name: value.numpy() for name, value in content["statistics"].items()}
        grid = ("channel", "latitude", "longitude")
        statistics = xr.Dataset(
            {
                "harmonic": (("term", *grid), arrays["harmonic"]),
                "deviation": (grid, arrays["deviation"]),
                "wet": (grid, arrays["wet"]),
            },
            {name: arrays[name] for name in ("depth", "latitude", "longitude")},
            content["attributes"],
        )
        state = content["state"]
        buffers = {name: state[f"background.{name}"] for name in Background.BUFFERS}
        background = Background(content["background"], **buffers)
        model = cls(
            statistics,
            background,
            mode=content["mode"],
            diffusion=Diffusion(**content["diffusion"]),
            network=content["network"],
        )
        model.load_state_dict(state)
        return model.to(device).eval()


def _content(path: Path) -> dict:
    """What `save` wrote; statistics as large as an ocean stay in the file until they are used."""
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
        # torch advises to load it all the same, so its own words are left out.
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
