"""Patches of a store, observed by drawn patterns: what `scenes.Scenes` is made with.

`PatchSampler` draws dates, places, masks, errors and noise by vectorised code without worker
processes.  On a CPU it reads the store's memory map in place; on a GPU it copies the whole part
there once.  A batch follows from (seed, step) alone.  `observations.batch` lists what it holds.
"""

import hashlib
import json
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ocean_lib.core.arrays import seeded
from ocean_lib.core.geometry import sphere
from ocean_lib.core.months import neighbouring_dates, to_months
from ocean_lib.observations import specification
from ocean_lib.observations.batch import season, with_background
from ocean_lib.store.passes import GAP, STEP
from ocean_lib.store.store import Store

__all__ = ["PatchSampler", "check_patch", "wet_corners"]


UNCERTAIN_SHARE = 0.25  # of samples whose observations have errors
MISSING_SHARE = 0.2  # of neighbouring dates that are treated as not observed


class PatchSampler:
    """Random patches of one part of a store.

    Args:
        store: the store to cut from.
        part: `train`, `validation` or `test`.
        patch: cells on a side, or (rows, columns).
        specifications: observation patterns, as `specification.check_patterns` takes them.
        background: adds `background` and its error to a batch; left out where None.
        device: where batches are made.
        wet: smallest fraction of ocean at the first level of a patch.
        seed: decides every draw, together with the step.

    Raises:
        ValueError: the patch exceeds the part, or no patch has enough ocean.
    """

    def __init__(
        self,
        store: Store,
        part: str,
        *,
        patch: int | tuple[int, int],
        specifications: list[dict],
        background: Callable | None = None,
        device: str | torch.device = "cpu",
        wet: float = 0.1,
        seed: int = 0,
    ):
        self.specifications = specification.check_patterns(specifications)
        self.patch = check_patch(patch, store.shape(part))
        self.store, self.part, self.wet, self.seed = store, part, wet, seed
        self.device, self.background = torch.device(device), background
        self.surfaces = len(store.surfaces)
        dates, columns = store.block(part)
        times = store.times[dates]
        self.reach = getattr(background, "reach", 1)
        self.anomaly = torch.from_numpy(store.anomaly[dates, :, columns]).to(self.device)
        self.ocean = torch.from_numpy(store.ocean[:, columns]).to(self.device)
        self.depth = torch.tensor(store.depth, dtype=torch.float32, device=self.device)
        self.season = torch.from_numpy(season(times)).to(self.device)
        self.when = torch.from_numpy(to_months(times)).to(self.device)
        self.neighbours = torch.from_numpy(neighbouring_dates(times, self.reach)).to(self.device)
        self.latitude, self.longitude = store.latitude, store.longitude[columns]
        errors = np.array([*store.surfaces.values()], np.float32)
        errors = errors / store.deviation[:, columns, : self.surfaces]
        self.surface_error = torch.from_numpy(errors.astype(np.float32)).to(self.device)
        self.corners = wet_corners(self.ocean[..., self.surfaces], self.patch, wet).nonzero()

    def settings(self) -> dict:
        """Everything that decides the draws, in plain types; the store by its content."""
        seen = {"store": _identify(self.store), "part": self.part, "patterns": self.specifications}
        return seen | {"patch": list(self.patch), "wet": self.wet, "seed": self.seed}

    def position(self, rows: Tensor, columns: Tensor, patch: tuple[int, int]) -> Tensor:
        """Centres of patches on the unit sphere, (B, 3).

        Args:
            rows: upper rows of the patches, (B,).
            columns: left columns of the patches, (B,).
            patch: their rows and columns in cells.
        """
        latitude, longitude = (
            np.stack([axis[start : start + size].mean() for start in starts.tolist()])
            for axis, starts, size in zip((self.latitude, self.longitude), (rows, columns), patch)
        )
        return torch.from_numpy(sphere(latitude, longitude)).to(self.device)

    def draw(self, step: int, size: int) -> dict[str, Tensor]:
        """The batch of a step; the same step always gives the same batch."""
        return self.draw_at(step, size)[0]

    def draw_at(
        self, step: int, size: int, dates: Tensor | None = None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The batch of a step, and date, row and column (B, 3) of each patch's upper left corner.

        Args:
            step: decides the draws, together with the seed.
            size: number of samples B.
            dates: indices (B,) within the part; all are observed alike, at the same place.
                Drawn where None.
        """
        generator = seeded(self.device, self.seed, step)
        drawn = {"generator": generator, "device": self.device}
        masks = size if dates is None else 1  # independent draws of place, masks and errors
        if dates is None:
            dates = torch.randint(len(self.anomaly), (size,), **drawn)
        corner = torch.randint(len(self.corners), (masks,), **drawn).expand(size)
        cuts = torch.cat([dates[:, None], self.corners[corner]], 1)
        middle, number = self.reach, 2 * self.reach + 1  # of the dates of a sample
        beside = [date for date in range(number) if date != middle]
        near = self.neighbours[dates]
        missing = torch.rand(masks, near.shape[1], **drawn) < MISSING_SHARE
        around = torch.cat([near[:, :middle], dates[:, None], near[:, middle:]], 1)
        known = around >= 0
        known[:, beside] &= ~missing
        field, ocean, present = self._cut(cuts, around)
        observations = self._observe(field, ocean, present, cuts, known, masks, generator)
        # Where the truth is unknown nothing is learnt, as on land.
        ocean = ocean & present[middle::number, self.surfaces :]
        batch = {"field": field[middle::number, self.surfaces :], "ocean": ocean}
        batch["season"] = self.season[dates]
        for name, values in observations.items():
            batch[name] = values[middle::number]
            batch[f"beside_{name}"] = torch.stack([values[k::number] for k in beside], 1)
        batch["when"] = torch.where(known, self.when[around], torch.nan)
        for name, axis in zip(("latitude", "longitude"), self._axes(cuts, 1)):
            batch[name] = axis.to(self.device)
        batch["position"] = self.position(cuts[:, 1], cuts[:, 2], self.patch)
        if self.background is not None:
            batch = with_background(batch, self.background)
        return batch, cuts

    def _cut(self, cuts: Tensor, around: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Fields (B N, S + D, h, w) of all N dates, ocean (B, D, h, w), and where values are known.

        The last has the fields' shape; the fields hold 0 in gaps.
        """
        boxes = self._boxes(cuts)
        pairs = [(date, *box) for box, dates in zip(boxes, around.tolist()) for date in dates]
        anomaly = torch.stack([self.anomaly[pair] for pair in pairs])
        wet = torch.stack([self.ocean[box] for box in boxes])
        # Channels come last in the store, and stay last in memory as the convolutions want them.
        field, present = (x.permute(0, 3, 1, 2) for x in (anomaly * STEP, anomaly != GAP))
        return field * present, wet.permute(0, 3, 1, 2)[:, self.surfaces :], present

    def _boxes(self, cuts: Tensor) -> list[tuple[slice, slice]]:
        """Rows and columns of patches."""
        height, width = self.patch
        return [(slice(y, y + height), slice(x, x + width)) for _, y, x in cuts.tolist()]

    def _observe(self, field, ocean, present, cuts, known, masks, generator) -> dict[str, Tensor]:
        """Observations (B N, ...) of fields; `masks` independent draws serve all B samples."""
        number = known.shape[1]
        sea = ocean[:masks].repeat_interleave(number, 0)[:, : len(self.depth)]
        axes = self._axes(cuts[:masks], number)
        observed, seen = specification.draw_masks(
            self.specifications,
            sea,
            self.depth,
            [*self.store.surfaces],
            generator,
            dates=number,
            places=axes,
        )
        truth, surface = field[:, self.surfaces :], field[:, : self.surfaces]
        error = self._errors(masks, number, truth.shape[2:], generator)
        here = known.flatten()[:, None, None, None]
        copies = (len(cuts) // masks, 1, 1, 1)
        # An instrument that measures one variable measures all of them.
        variables = (1, len(self.store.variables), 1, 1)
        observed = observed.repeat(*copies).repeat(*variables) & here
        observed = observed & present[:, self.surfaces :]
        seen, error = (
            seen.repeat(*copies) & here & present[:, : self.surfaces],
            error.repeat(*copies) * observed,
        )
        noise = torch.randn(truth.shape, generator=generator, device=self.device)
        value = (truth + error * noise) * observed
        measured = {"value": value, "observed": observed, "error": error}
        measured |= {"surface": surface * seen, "surface_observed": seen}
        around = torch.stack([self.surface_error[box] for box in self._boxes(cuts)])
        around = around.permute(0, 3, 1, 2).repeat_interleave(number, 0)
        return measured | {"surface_error": around * seen}

    def _axes(self, cuts: Tensor, repeats: int) -> tuple[Tensor, Tensor]:
        """Latitudes (B N, h) and longitudes (B N, w) of patches, each patch N times in a row."""
        axes = zip((self.latitude, self.longitude), cuts[:, 1:].T.tolist(), self.patch)
        parts = [np.stack([axis[k : k + size] for k in first]) for axis, first, size in axes]
        rows, columns = (torch.from_numpy(part).repeat_interleave(repeats, 0) for part in parts)
        return rows, columns

    def _errors(self, size, dates, shape, generator) -> Tensor:
        """Standard deviations (B N, 1, h, w) of observations, equal within a column."""
        largest = max(np.max(pattern["error"]) for pattern in self.specifications)
        number = size * dates
        if not largest:
            return torch.zeros(number, 1, *shape, device=self.device)
        uncertain = torch.rand(size, generator=generator, device=self.device) < UNCERTAIN_SHARE
        smallest = min(np.min(pattern["error"]) or largest for pattern in self.specifications)
        drawn = specification.draw_between(
            [smallest, largest], number * shape.numel(), generator, logarithmic=True
        )
        error = drawn.float().view(number, 1, *shape)
        return error * uncertain.repeat_interleave(dates)[:, None, None, None]


def check_patch(patch: int | tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of a patch that is to be cut from `shape`, rows and columns in cells.

    Raises:
        ValueError: the patch does not fit.
    """
    rows, columns = (patch, patch) if isinstance(patch, int) else patch
    if rows > shape[0] or columns > shape[1]:
        raise ValueError(
            f"patch {patch} exceeds the {shape[0]} rows or {shape[1]} columns to cut from; "
            f"choose patch <= {min(shape)} or a wider region"
        )
    return rows, columns


def wet_corners(ocean: Tensor, patch: tuple[int, int], wet: float) -> Tensor:
    """Upper left corners of the patches with enough ocean, bool (H - h + 1, W - w + 1).

    Args:
        ocean: the first level's ocean, bool (H, W).
        patch: rows h and columns w in cells.
        wet: smallest fraction of ocean.

    Raises:
        ValueError: no patch has enough.
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


def _identify(store: Store) -> dict:
    """A store's request, shape and digest of some of its values, wherever its folder lies."""
    digest = hashlib.sha256(json.dumps(store.description, sort_keys=True).encode())
    for array in (store.anomaly, store.climatology, store.deviation):
        some = tuple(slice(None, None, max(1, size // 4)) for size in array.shape[:-1])
        digest.update(np.ascontiguousarray(array[some]).tobytes())
    shape, request = list(store.anomaly.shape), store.description["request"]
    return {"request": request, "shape": shape, "content": digest.hexdigest()[:16]}
