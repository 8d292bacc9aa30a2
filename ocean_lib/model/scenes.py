"""Scenes: whole fields observed once, with their background, that training cuts patches from.

The background of a patch costs more than a training step, and near the patch's edge it knows less
than that of a reconstruction, which sees what lies beyond.  So a number of months are observed and
given their background once, over the region or as much of it as a tile of a reconstruction holds,
and a step cuts its patches out of these.  All months have their turn before one has its second, and
a few at a time are observed alike, since they then share most of what the background costs.

Store + masks → the batches of training (see `dataset` for what is in them).

`Batches` cuts patches out of memory and draws their masks by vectorised code, without worker
processes; where the store fits, all of it lives on the device.  A step's batch follows from
(seed, step) alone, so a resumed run sees the same batches.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ocean_lib.core.arrays import canvas, seeded
from ocean_lib.core.geometry import sphere
from ocean_lib.core.months import neighbouring_dates, to_months
from ocean_lib.observations import specification
from ocean_lib.observations.batch import adjacent_dates, season, with_background
from ocean_lib.store.build import STEP
from ocean_lib.store.store import Store

__all__ = ["Batches", "Scenes", "wet_corners"]


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
                values = adjacent_dates(values)
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


UNCERTAIN = 0.25  # share of samples whose observations have errors
ALONE = 0.2  # of the dates before and after, the share that is not known


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
        self.specifications = specification.check_patterns(specifications)
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
        self.when = torch.from_numpy(to_months(store.times[times])).to(self.device)
        self.latitude, self.longitude = store.latitude, store.longitude[columns]
        self.reach = getattr(background, "reach", 1)
        self.beside = torch.from_numpy(neighbouring_dates(store.times[times], self.reach)).to(
            self.device
        )
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
        observed, seen = specification.draw_masks(
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
        drawn = specification.draw_between(
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
