"""Store + masks → the batches of training (see `dataset` for what is in them).

`Batches` cuts patches out of memory and draws their masks by vectorised code, without worker
processes; where the store fits, all of it lives on the device.  A step's batch follows from
(seed, step) alone, so a resumed run sees the same batches.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import masks
from .dataset import season, seeded, sphere, with_background
from .splits import beside, months
from .store import STEP, Store

UNCERTAIN = 0.25  # share of samples whose observations have errors
ALONE = 0.2  # of the dates before and after, the share that is not known

__all__ = ["Batches", "wet_corners"]


class Batches:
    """Random training patches of one part of a store.

    Args:
        patch: cells, or (rows, columns); `ValueError` if larger than the part.
        specifications: observation patterns, as `masks.check` takes them.
        background: of `with_background`, where it is wanted.
        wet: least fraction of ocean at the first level for a patch to be drawn.
        seed: with the step, decides every draw.
    """

    def __init__(
        self,
        store: Store,
        part: str,
        *,
        patch: int | tuple[int, int],
        specifications: list[dict],
        background: Callable | None = None,
        device: str = "cpu",
        wet: float = 0.1,
        seed: int = 0,
    ):
        self.specifications = masks.check(specifications)
        times, columns = store.block(part)
        rows, width = store.shape(part)
        self.patch = (patch, patch) if isinstance(patch, int) else tuple(patch)
        if self.patch[0] > rows or self.patch[1] > width:
            raise ValueError(
                f"patch {patch} exceeds the {rows} rows or {width} columns of the {part} field; "
                f"choose patch <= {min(rows, width)} or a wider region"
            )
        self.seed, self.device = seed, torch.device(device)
        self.surfaces, self.background = store.surfaces, background
        self.variables = len(store.variables)
        # On a CPU the map is read in place; on a device the whole part is copied there once.
        self.anomaly = torch.from_numpy(store.anomaly[times, :, columns]).to(self.device)
        self.ocean = torch.from_numpy(store.ocean[:, columns]).to(self.device)
        self.depth = torch.tensor(store.depth, dtype=torch.float32, device=self.device)
        self.season = torch.from_numpy(season(store.times[times])).to(self.device)
        self.when = torch.from_numpy(months(store.times[times])).to(self.device)
        self.latitude, self.longitude = store.latitude, store.longitude[columns]
        self.reach = getattr(background, "reach", 1)
        self.beside = torch.from_numpy(beside(store.times[times], self.reach)).to(self.device)
        self.wet = wet_corners(self.ocean[..., self.surfaces], self.patch, wet)
        self.corners = self.wet.nonzero()

    def position(self, rows, columns, patch: tuple[int, int]) -> Tensor:
        """(B, 3), the middle of patches with these upper rows and left columns, (B,) each."""
        middle = [
            np.stack([axis[start : start + size].mean() for start in starts.tolist()])
            for axis, starts, size in zip((self.latitude, self.longitude), (rows, columns), patch)
        ]
        return torch.from_numpy(sphere(*middle)).to(self.device)

    def draw(self, step: int, size: int) -> dict[str, Tensor]:
        """The batch of a step; the same step always gives the same batch."""
        return self.draw_at(step, size)[0]

    def draw_at(
        self, step: int, size: int, dates: Tensor | None = None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The batch of a step, and date, row and column (B, 3) of its patches' upper left.

        Args:
            dates: (size,), those of the part that are asked for; seen at one place, all alike.
        """
        generator = seeded(self.device, self.seed, step)
        drawn = {"generator": generator, "device": self.device}
        different = size if dates is None else 1
        time = dates
        if time is None:
            time = torch.randint(len(self.anomaly), (size,), **drawn)
        chosen = torch.randint(len(self.corners), (different,), **drawn).expand(size)
        cuts = torch.cat([time[:, None], self.corners[chosen]], 1)
        near = self.beside[time]
        alone = torch.rand(different, near.shape[1], **drawn) < ALONE
        own = self.reach  # in the middle of the dates
        number = 2 * own + 1
        others = [date for date in range(number) if date != own]
        around = torch.cat([near[:, :own], time[:, None], near[:, own:]], 1)
        there = around >= 0
        there[:, others] &= ~alone
        height, width = self.patch
        anomaly = torch.stack(
            [
                self.anomaly[t, y : y + height, x : x + width]
                for (_, y, x), several in zip(cuts.tolist(), around.tolist())
                for t in several
            ]
        )
        wet = torch.stack([self.ocean[y : y + height, x : x + width] for _, y, x in cuts.tolist()])
        # The store's order puts channels last in memory, as the convolutions want them.
        field = (anomaly * STEP).permute(0, 3, 1, 2)
        ocean = wet.permute(0, 3, 1, 2)[:, self.surfaces :]
        every = ocean[:different].repeat_interleave(number, 0)
        # Every instrument measures all variables where it measures one.
        levels = len(self.depth)
        observed, seen = masks.draw(
            self.specifications,
            every[:, :levels],
            self.depth,
            self.surfaces,
            generator,
            dates=number,
            places=self._places(cuts[:different], number),
        )
        truth, surface = field[:, self.surfaces :], field[:, : self.surfaces]
        error = self._errors(different, number, truth.shape[2:], generator)
        known = there.flatten()[:, None, None, None]
        alike = (size // different, 1, 1, 1)
        observed = observed.repeat(*alike).repeat(1, self.variables, 1, 1) & known
        seen, error = seen.repeat(*alike) & known, error.repeat(*alike) * observed
        noise = torch.randn(truth.shape, generator=generator, device=self.device)
        given = {
            "value": (truth + error * noise) * observed,
            "observed": observed,
            "error": error,
            "surface": surface * seen,
            "surface_observed": seen,
        }
        batch = {"field": truth[own::number], "ocean": ocean, "season": self.season[time]}
        for name, values in given.items():
            batch[name] = values[own::number]
            batch[f"beside_{name}"] = torch.stack([values[k::number] for k in others], 1)
        batch["when"] = torch.where(there, self.when[around], torch.nan)
        for name, axis in zip(("latitude", "longitude"), self._places(cuts, 1)):
            batch[name] = axis.to(self.device)
        batch["position"] = self.position(cuts[:, 1], cuts[:, 2], self.patch)
        if self.background is not None:
            batch = with_background(batch, self.background)
        return batch, cuts

    def _places(self, cuts: Tensor, dates: int) -> tuple[Tensor, Tensor]:
        """Latitudes (dates B, h) and longitudes (dates B, w) of patches, all dates of each."""
        corners = cuts[:, 1:].cpu().numpy()
        axes = zip((self.latitude, self.longitude), corners.T, self.patch)
        each = [np.stack([axis[k : k + size] for k in first]) for axis, first, size in axes]
        return tuple(torch.from_numpy(axis).repeat_interleave(dates, 0) for axis in each)

    def _errors(self, size: int, dates: int, shape: torch.Size, generator) -> Tensor:
        """Standard deviations (dates B, 1, H, W) of observations, alike within a column."""
        largest = max(np.max(each["error"]) for each in self.specifications)
        number = size * dates
        if not largest:
            return torch.zeros(number, 1, *shape, device=self.device)
        some = torch.rand(size, generator=generator, device=self.device) < UNCERTAIN
        drawn = masks.between(
            [min(np.min(each["error"]) or largest for each in self.specifications), largest],
            number * shape.numel(),
            generator,
            logarithmic=True,
        )
        error = drawn.float().view(number, 1, *shape)
        return error * some.repeat_interleave(dates)[:, None, None, None]


def wet_corners(ocean: Tensor, patch: tuple[int, int], wet: float) -> Tensor:
    """(H - h + 1, W - w + 1): upper left corners of the patches with enough ocean.

    Args:
        ocean: (H, W), of the first level.
    Raises:
        ValueError: there are none.
    """
    total = F.pad(ocean.double().cumsum(0).cumsum(1), (1, 0, 1, 0))
    h, w = patch
    inside = total[h:, w:] - total[:-h, w:] - total[h:, :-w] + total[:-h, :-w]
    enough = inside >= wet * h * w
    if not enough.any():
        raise ValueError(
            f"no patch of {h}×{w} cells is at least {wet:.0%} ocean; choose a smaller patch "
            "or another region"
        )
    return enough
