"""Scenes: whole fields observed once, with their background, that training cuts patches from.

The background of a patch costs more than a training step, and near the patch's edge it knows less
than that of a reconstruction, which sees what lies beyond.  So a number of months are observed and
given their background once, over the region or as much of it as a tile of a reconstruction holds,
and a step cuts its patches out of these.  All months have their turn before one has its second, and
a few at a time are observed alike, since they then share most of what the background costs.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from .batches import Batches, wet_corners
from .dataset import nearest
from .store import STEP, Store
from .tiles import canvas

__all__ = ["Scenes"]

FIELDS = ("value", "background", "background_error", "beside_surface", "surface")
MASKS = ("observed", "beside_surface_observed", "surface_observed")
EXTENT = 160  # cells of a scene at most, as of a tile
ALIKE = 4  # scenes that share the work of their background


class Scenes:
    """Random patches of scenes, in the place of `Batches`.

    Args:
        specifications: observation patterns, as `masks.check` takes them.
        numbers: of scenes for each pattern.
        patch: cells of the patches cut from them.
        background: of `dataset.with_background`.
        wet: least fraction of ocean in a patch.
        seed: decides the scenes and, with the step, the patches.
        alike: scenes at most that are observed alike, of different months.
        folder: where they are laid, in a file without a name; in memory where None.
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
        device: str = "cpu",
        wet: float = 0.1,
        seed: int = 0,
        alike: int = ALIKE,
        folder=None,
    ):
        if len(specifications) != len(numbers) or min(numbers) < 1:
            raise ValueError(
                f"{numbers} scenes for {len(specifications)} patterns; give each at least one"
            )
        self.extent = tuple(min(EXTENT, size) for size in store.shape(part))
        choices = {"patch": self.extent, "background": background, "device": device}
        self.batches = [
            Batches(store, part, specifications=[each], seed=seed + kind, **choices)
            for kind, each in enumerate(specifications)
        ]
        self.patch, self.wet, self.seed, self.folder = patch, wet, seed, folder
        self.alike = alike
        self.ends, self.arrays, self.corners = np.cumsum(numbers), {}, {}
        self.device = self.batches[0].device
        self.specifications = [each.specifications for each in self.batches]
        if patch > min(self.extent):
            raise ValueError(
                f"patch {patch} exceeds the {self.extent[0]}×{self.extent[1]} cells of a scene; "
                f"choose patch <= {min(self.extent)} or a wider region"
            )

    def build(self) -> Iterator[dict]:
        """Make all scenes; yields a record after every few, as `runs.progress` shows them."""
        done = 0
        for batches, end in zip(self.batches, self.ends.tolist()):
            generator = np.random.default_rng(batches.seed)
            while done < end:
                turn = torch.from_numpy(generator.permutation(len(batches.anomaly)))
                # What is seen alike never spans two turns: it would hold one month twice.
                for dates in turn[: end - done].to(self.device).split(self.alike):
                    self._keep(done, *batches.draw_at(done, len(dates), dates))
                    done += len(dates)
                    yield {"step": done, "steps": int(self.ends[-1])}

    def _keep(self, first: int, batch: dict[str, Tensor], cuts: Tensor) -> None:
        for name in (*FIELDS, *MASKS):
            values = batch[name].cpu()
            if name.startswith("beside_"):
                values = nearest(values)
            values = (values / STEP).round().short() if name in FIELDS else values
            self._put(name, first, values.numpy())
        # The errors of a column are alike.
        self._put("error", first, batch["error"].amax(1).half().cpu().numpy())
        self._put("cut", first, cuts.cpu().numpy())

    def _put(self, name: str, first: int, values: np.ndarray) -> None:
        if name not in self.arrays:
            shape = (int(self.ends[-1]), *values.shape[1:])
            self.arrays[name] = canvas(shape, values.dtype, self.folder)
        self.arrays[name][first : first + len(values)] = values

    def draw(self, step: int, size: int) -> dict[str, Tensor]:
        """The batch of a step; the same step always gives the same batch."""
        generator = np.random.default_rng([self.seed, step])
        begin = np.concatenate([[0], self.ends[:-1]])
        kinds = generator.integers(len(self.ends), size=size)
        chosen = generator.integers(begin[kinds], self.ends[kinds])
        samples = [self._cut(int(k), int(i), generator) for k, i in zip(kinds, chosen)]
        return {name: torch.stack([each[name] for each in samples]) for name in samples[0]}

    def _cut(self, kind: int, index: int, generator: np.random.Generator) -> dict[str, Tensor]:
        batches, (date, top, left) = self.batches[kind], self.arrays["cut"][index].tolist()
        height, width = self.extent
        if (top, left) not in self.corners:
            sea = batches.ocean[top : top + height, left : left + width, batches.surfaces]
            wet = wet_corners(sea, (self.patch, self.patch), self.wet)
            self.corners[top, left] = wet.nonzero()
        corners = self.corners[top, left]
        y, x = corners[int(generator.integers(len(corners)))].tolist()
        rows, columns = slice(y, y + self.patch), slice(x, x + self.patch)

        def cut(name: str) -> Tensor:
            part = np.ascontiguousarray(self.arrays[name][index][..., rows, columns])
            return torch.from_numpy(part).to(self.device)

        inner = slice(top + y, top + y + self.patch), slice(left + x, left + x + self.patch)
        truth = (batches.anomaly[(date, *inner)] * STEP).movedim(-1, 0)
        sample = {name: cut(name) * STEP for name in FIELDS} | {name: cut(name) for name in MASKS}
        observed = sample["observed"]
        corner = (torch.tensor([top + y]), torch.tensor([left + x]))
        return sample | {
            "field": truth[batches.surfaces :],
            "ocean": batches.ocean[inner].movedim(-1, 0)[batches.surfaces :],
            "error": cut("error").float() * observed,
            "season": batches.season[date],
            "position": batches.position(*corner, (self.patch, self.patch))[0],
        }
