"""Scenes: whole fields, observed once and given their background, that training cuts patches from.

Computing the background of a patch costs more than a training step, and near the patch's edge it
lacks the observations beyond, which a reconstruction has.  So a number of months are observed and
given their background once, over the whole region or, if that is larger, an area the size of a
reconstruction's tile.  Training steps cut their patches out of these scenes.

Every month is used once before any is used again.  A few months at a time are observed alike, since
most of the background's cost is then shared.  A pattern's share of the samples is its share of the
scenes.  A step's batch follows from (seed, step) alone, so a resumed training sees the same
batches.

The months of a record are few.  So most samples are mixtures of two months that were observed
alike: observations and background are linear in the field, and mixing all of them by the same
weights gives a further field with its observations and its background.

Reference: Zhang et al. 2018, arXiv 1710.09412 (mixup).
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ocean_lib.core.arrays import canvas
from ocean_lib.model.patches import PatchSampler, check_patch, wet_corners
from ocean_lib.observations.batch import adjacent_dates
from ocean_lib.store.passes import GAP, STEP
from ocean_lib.store.store import Store

__all__ = ["Scenes", "mix"]


MASKS = {  # and what each says is there
    "observed": "value",
    "surface_observed": "surface",
    "beside_surface_observed": "beside_surface",
}
FIELDS = (*MASKS.values(), "background", "background_error")
LARGEST_SCENE = 160  # cells on a side, as of a reconstruction's tile
MONTHS_ALIKE = 4  # scenes that share the cost of their background
MIXED_SHARE = 0.75  # of samples, where months are observed alike


class Scenes:
    """Random patches of scenes: the batches of training.  `build` must run before `draw`.

    Args:
        store: the store to cut from.
        part: `train`, `validation` or `test`.
        specifications: observation patterns, as `specification.check_patterns` takes them.
        numbers: number of scenes of each pattern.
        patch: cells on a side of the patches.
        background: computes the first guess and its error, as `batch.with_background` takes it.
        device: where batches are made.
        seed: decides the scenes and, together with the step, the patches.
        alike: largest number of scenes, of different months, that are observed alike.
        folder: where scenes are kept, in a file without a name; in memory where None.

    Raises:
        ValueError: a pattern has no scene, or the patch exceeds a scene.
    """

    def __init__(
        self,
        store: Store,
        part: str,
        specifications: list[dict],
        numbers: list[int],
        *,
        patch: int,
        background: Callable,
        device: str | torch.device = "cpu",
        seed: int = 0,
        alike: int = MONTHS_ALIKE,
        folder=None,
    ):
        if len(specifications) != len(numbers) or min(numbers) < 1:
            raise ValueError(
                f"{numbers} scenes for {len(specifications)} patterns; give each at least one"
            )
        rows, columns = (min(LARGEST_SCENE, size) for size in store.shape(part))
        self.extent = rows, columns
        check_patch(patch, self.extent)
        choices: dict = {"patch": self.extent, "background": background, "device": device}
        self.samplers = [
            PatchSampler(store, part, specifications=[pattern], seed=seed + kind, **choices)
            for kind, pattern in enumerate(specifications)
        ]
        self.patch, self.seed, self.alike = patch, seed, alike
        self.device, self.folder = torch.device(device), folder
        self.ends = np.cumsum(numbers)
        self.arrays: dict[str, np.ndarray] = {}
        # Of each scene, those observed alike: the first of them and their number.
        self.groups: list[tuple[int, int]] = []
        self.corners: dict[tuple[int, int], Tensor] = {}

    def settings(self) -> dict:
        """Everything that decides the draws, in plain types; the store by its content."""
        patterns = [sampler.specifications for sampler in self.samplers]
        numbers = np.diff(self.ends, prepend=0).tolist()
        made = {"patterns": patterns, "number": numbers, "extent": list(self.extent)}
        made |= {"patch": self.patch, "seed": self.seed, "alike": self.alike}
        made |= {"mixed": MIXED_SHARE}
        return self.samplers[0].settings() | made

    def build(self) -> Iterator[dict]:
        """Make all scenes; yields `step` and `steps` after every few."""
        done = 0
        for sampler, end in zip(self.samplers, self.ends.tolist()):
            generator = np.random.default_rng(sampler.seed)
            while done < end:
                turn = torch.from_numpy(generator.permutation(len(sampler.anomaly)))
                # A group that spanned two turns could hold one month twice.
                for dates in turn[: end - done].to(self.device).split(self.alike):
                    self._keep(done, *sampler.draw_at(done, len(dates), dates))
                    done += len(dates)
                    yield {"step": done, "steps": int(self.ends[-1])}

    def _keep(self, first: int, batch: dict[str, Tensor], cuts: Tensor) -> None:
        for name in (*FIELDS, *MASKS):
            values = batch[name].cpu()
            if name.startswith("beside_"):
                values = adjacent_dates(values)
            values = (values / STEP).round().short() if name in FIELDS else values
            self._put(name, first, values.numpy())
        # All observations of a column have the same error.
        self._put("error", first, batch["error"].amax(1).half().cpu().numpy())
        self._put("cut", first, cuts.cpu().numpy())
        self.groups[first : first + len(cuts)] = [(first, len(cuts))] * len(cuts)

    def _put(self, name: str, first: int, values: np.ndarray) -> None:
        if name not in self.arrays:
            shape = (int(self.ends[-1]), *values.shape[1:])
            self.arrays[name] = canvas(shape, values.dtype, self.folder)
        self.arrays[name][first : first + len(values)] = values

    def draw(self, step: int, size: int) -> dict[str, Tensor]:
        """The batch of a step; the same step always gives the same batch."""
        generator = np.random.default_rng([self.seed, step])
        scenes = generator.integers(self.ends[-1], size=size)
        samples = [self._sample(int(index), generator) for index in scenes]
        return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}

    def _sample(self, index: int, generator: np.random.Generator) -> dict[str, Tensor]:
        """A patch of one scene, or of a mixture of two that were observed alike."""
        kind = int(np.searchsorted(self.ends, index, side="right"))
        _, top, left = self.arrays["cut"][index].tolist()
        if (top, left) not in self.corners:
            sampler, (height, width) = self.samplers[kind], self.extent
            sea = sampler.ocean[top : top + height, left : left + width, sampler.surfaces]
            wet = wet_corners(sea, (self.patch, self.patch), sampler.wet)
            self.corners[top, left] = wet.nonzero()
        corners = self.corners[top, left]
        corner = corners[int(generator.integers(len(corners)))].tolist()
        sample = self._cut(kind, index, *corner)
        first, number = self.groups[index]
        if number == 1 or generator.random() >= MIXED_SHARE:
            return sample
        other = first + (index - first + int(generator.integers(1, number))) % number
        angle = generator.uniform(-math.pi / 4, math.pi / 4)
        return mix(sample, self._cut(kind, other, *corner), angle)

    def _cut(self, kind: int, index: int, y: int, x: int) -> dict[str, Tensor]:
        """The patch of a scene whose upper left corner lies at the scene's row y and column x."""
        sampler, (date, top, left) = self.samplers[kind], self.arrays["cut"][index].tolist()
        rows, columns = slice(y, y + self.patch), slice(x, x + self.patch)

        def cut(name: str) -> Tensor:
            part = np.ascontiguousarray(self.arrays[name][index][..., rows, columns])
            return torch.from_numpy(part).to(self.device)

        inner = slice(top + y, top + y + self.patch), slice(left + x, left + x + self.patch)
        anomaly = sampler.anomaly[(date, *inner)].movedim(-1, 0)
        present = anomaly != GAP
        truth = anomaly * STEP * present
        ocean = sampler.ocean[inner].movedim(-1, 0) & present
        sample = {name: cut(name) * STEP for name in FIELDS} | {name: cut(name) for name in MASKS}
        corner = (torch.tensor([top + y]), torch.tensor([left + x]))
        return sample | {
            "field": truth[sampler.surfaces :],
            "ocean": ocean[sampler.surfaces :],
            "error": cut("error").float() * sample["observed"],
            "season": sampler.season[date],
            "position": sampler.position(*corner, (self.patch, self.patch))[0],
        }


def mix(sample: dict[str, Tensor], other: dict[str, Tensor], angle: float) -> dict[str, Tensor]:
    """cos(angle) times one sample plus sin(angle) times another, of another month.

    The squares of the weights sum to 1: the mixture of two fields of equal variance has that
    variance, and noise of observations keeps its own.  What is missing in either is missing.

    Args:
        sample: keeps its season and the error of its background.
        other: observed alike, at the same place.
        angle: in radians; within π/4 of 0, `sample` has the larger weight.
    """
    one, two = math.cos(angle), math.sin(angle)
    mixed = {
        name: one * sample[name] + two * other[name]
        for name in ("field", "background", *MASKS.values())
    }
    held = MASKS | {"ocean": "field"}
    both = {mask: sample[mask] & other[mask] for mask in held}
    seen = {name: mixed[name] * both[mask] for mask, name in held.items()}
    return sample | mixed | both | seen | {"error": sample["error"] * both["observed"]}
