"""One date over a domain of any size: its observations, first guess and samples, tile by tile.

On each tile the networks see the same inputs as in training: a patch, its observations, and the
background computed from them.  Predictions are blended at every sampling step, and the noise is
drawn once for the whole domain, so that overlapping tiles denoise the same noise.  Arrays as large
as the domain can be kept on disk; memory is bounded by the tile.

Reference: Bar-Tal et al. 2023, arXiv 2302.08113 (blending at every step).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ocean_lib.core.arrays import canvas, seeded
from ocean_lib.core.geometry import is_ring, sphere
from ocean_lib.core.months import neighbouring_dates
from ocean_lib.model.densifier import Densifier
from ocean_lib.model.sampling import clamp_known, initial_noise, trajectory
from ocean_lib.observations.batch import (
    BESIDE,
    exactly_observed,
    select_statistics,
    standardise,
    with_background,
)
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.reconstruct.tiles import PIECE, Tile, Tiles
from ocean_lib.store.climatology import climatology_at

__all__ = ["Domain", "Noise", "dates_within_reach"]


READ = 2**20  # values of a quantity that are standardised at a time
NOISE = 2  # last number of the key that seeds the noise; other draws have other numbers


def dates_within_reach(model: Densifier, times: np.ndarray) -> list[list[int]]:
    """For every date, the ascending indices of itself and of the dates that enter its background.

    Args:
        model: its background uses observations of some months before and after a date.
        times: (T,), datetime64.
    """
    nearby = neighbouring_dates(times, model.background.reach)
    return [sorted({date, *row[row >= 0].tolist()}) for date, row in enumerate(nearby)]


class Noise:
    """Unit noise of a domain, by rows; it does not depend on tiles, chunks or ensemble size.

    Args:
        members: numbers of the members, from 0.
        shape: (C, W), channels and columns.
        key: numbers that seed the noise, besides member, step and rows.
    """

    def __init__(self, members: Iterable[int], shape: tuple[int, int], *key: int):
        self.members, self.shape, self.key = list(members), shape, key

    def __call__(self, step: int, rows: slice) -> Tensor:
        """Noise (B, C, h, W) of one sampling step in these rows."""
        channels, width = self.shape
        first = rows.start // PIECE

        def block(member: int, index: int) -> Tensor:
            generator = seeded("cpu", *self.key, member, step, index)
            return torch.randn(channels, PIECE, width, generator=generator)

        indices = range(first, (rows.stop - 1) // PIECE + 1)
        drawn = [torch.cat([block(m, index) for index in indices], 1) for m in self.members]
        top = rows.start - first * PIECE
        return torch.stack(drawn)[..., top : top + rows.stop - rows.start, :]


class Domain:
    """One date: its batch and first guess over the domain, and the networks on its tiles.

    Args:
        model: in evaluation mode, on `device`.
        observations: of several dates; those within reach enter the background.
        date: index of the date among them.
        tile: side of a tile, cells.
        device: where the networks run.
        folder: where arrays as large as the domain are kept; None keeps them in memory.
    """

    def __init__(
        self,
        model: Densifier,
        observations: xr.Dataset,
        date: int,
        tile: int,
        device: str = "cpu",
        folder: Path | None = None,
    ):
        self.model, self.device, self.folder = model, device, folder
        latitude, longitude = (observations[name].values for name in ("latitude", "longitude"))
        self.places = latitude, longitude
        self.shape = len(latitude), len(longitude)
        self.tiles = Tiles(*self.shape, tile, ring=is_ring(longitude))
        self.batch: dict[str, np.ndarray] = {}
        self.guess: dict[str, np.ndarray] = {}
        self.scaling: dict[str, np.ndarray] = {}  # climatology of the date, and deviation
        nearby = neighbouring_dates(observations.time.values, model.background.reach)[date]
        while len(nearby) > 2 and (nearby[[0, -1]] < 0).all():  # no arrays for absent dates
            nearby = nearby[1:-1]
        row = model.levels * (len(nearby) + 1) * len(longitude)
        for rows in self.tiles.pieces(max(PIECE, READ // row)):
            for name, values in self._read(observations, date, nearby, rows).items():
                self._write(self.batch, name, rows, values.numpy())

    def _read(
        self, observations: xr.Dataset, date: int, nearby: np.ndarray, rows: slice
    ) -> dict[str, Tensor]:
        """The batch of some rows, with the nearby dates (-1: absent) beside it."""
        lags = np.flatnonzero(nearby >= 0)
        piece = observations.isel(latitude=rows, time=[date, *nearby[lags]])
        statistics = select_statistics(self.model.statistics, piece)
        inner = slice(len(statistics.attrs["surfaces"]), None)
        climatology = climatology_at(statistics, piece.time.values[:1])[:, inner]
        self._write(self.scaling, "climatology", rows, climatology)
        self._write(self.scaling, "deviation", rows, statistics.deviation.values[None, inner])
        every_date = standardise(piece, statistics)
        batch = {name: values[:1] for name, values in every_date.items()}
        self.season = batch.pop("season").to(self.device)
        for name in ("latitude", "longitude", "position", "when"):
            del batch[name]  # `_tile_batch` sets them for every tile
        for name in BESIDE:
            beside = batch[name].new_zeros(len(nearby), *batch[name].shape[1:])
            beside[lags] = every_date[name][1:]
            batch[f"beside_{name}"] = beside[None]
        middle, month = len(nearby) // 2, every_date["when"][:, 1]
        self.when = torch.full((1, len(nearby) + 1), torch.nan, dtype=month.dtype)
        self.when[0, middle] = month[0]
        self.when[0, lags + (lags >= middle)] = month[1:]
        return batch

    def _write(
        self, arrays: dict[str, np.ndarray], name: str, rows: slice, values: np.ndarray
    ) -> None:
        """Write rows of an array, which is made at its first rows."""
        if name not in arrays:
            shape = (*values.shape[:-2], *self.shape)
            arrays[name] = canvas(shape, values.dtype, self.folder)
        arrays[name][..., rows, :] = values

    def _cut(self, tile: Tile, arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
        """The parts of arrays in a tile, on the device."""
        parts = {name: np.ascontiguousarray(tile.cut(array)) for name, array in arrays.items()}
        return {name: torch.from_numpy(part).to(self.device) for name, part in parts.items()}

    def _tile_batch(self, tile: Tile) -> dict[str, Tensor]:
        """The batch of one tile, one sample, with the position of the tile."""
        latitude, longitude = self.places[0][tile.rows], self.places[1][tile.columns]
        middle = sphere(latitude.mean(), np.unwrap(longitude, period=360).mean())
        batch = self._cut(tile, self.batch)
        for name, axis in (("latitude", latitude), ("longitude", longitude)):
            batch[name] = torch.tensor(axis).double()[None]
        batch["position"] = torch.from_numpy(middle).to(self.device)[None]
        batch["season"], batch["when"] = self.season, self.when
        return batch

    def make_guess(self) -> Iterator[slice]:
        """Compute the background, its error and, if there is a regressor, its mean and deviation.

        Yields:
            The rows that are finished.
        """
        names = ["background", "background_error"]
        names += ["mean", "deviation"] if self.model.regressor is not None else []

        def on_tile(tile: Tile) -> tuple[Tensor, ...]:
            batch = with_background(self._tile_batch(tile), self.model.background)
            results = batch["background"], batch["background_error"]
            return results if len(names) == 2 else (*results, *self.model.regress(batch))

        for rows, results in self.tiles.blend(on_tile, self.folder):
            for name, values in zip(names, results):
                self._write(self.guess, name, rows, values.numpy())
            yield rows

    def rows(self, name: str, rows: slice) -> Tensor:
        """Rows of an array of the batch or of the first guess, (1, C, h, W)."""
        arrays = self.batch if name in self.batch else self.guess
        return torch.from_numpy(np.ascontiguousarray(arrays[name][..., rows, :]))

    def known(self, rows: slice) -> Tensor:
        """Cells of some rows whose value is observed exactly, bool (1, C, h, W)."""
        return exactly_observed({name: self.rows(name, rows) for name in ("observed", "error")})

    def _with_observations(self, standard: Tensor, rows: slice) -> Tensor:
        """Rows in standardised units, with the observed value where it is exact."""
        return torch.where(self.known(rows), self.rows("value", rows), standard)

    def draw(
        self, members: range, noise_index: int, sampling: Sampling
    ) -> tuple[Tensor, Iterator[tuple[int, slice]]]:
        """Noise of the members, and the steps that turn it into their samples, in place.

        Args:
            members: numbers of the members, from 0.
            noise_index: seeds the noise of the date, together with `sampling.seed`.
            sampling: steps, sampler and seed.

        Returns:
            x (B, C, H, W), and `model.sampling.trajectory` over it.
        """
        channels = self.batch["value"].shape[1]
        noise = Noise(members, (channels, self.shape[1]), sampling.seed, noise_index, NOISE)
        shape = (len(members), channels, *self.shape)
        x = torch.from_numpy(canvas(shape, folder=self.folder))
        model, residual = self.model, "mean" in self.guess
        for rows in self.tiles.pieces():
            start = noise(0, rows)
            if model.denoiser is not None:
                guess = None
                if not residual:
                    guess = self._with_observations(self.rows("background", rows), rows)
                start = initial_noise(model.diffusion, start, sampling.steps, guess)
            x[..., rows, :] = start
        if model.denoiser is None:
            return x, iter(())

        def denoise(x: Tensor, t: Tensor) -> Iterator[tuple[slice, Tensor]]:
            def on_tile(tile: Tile) -> tuple[Tensor]:
                batch = self._tile_batch(tile) | self._cut(tile, self.guess)
                guess = (batch["mean"], batch["deviation"]) if residual else None
                x0 = model.denoise(batch, tile.cut(x).to(self.device), t.to(self.device), guess)
                value = torch.zeros_like(x0) if residual else batch["value"]
                known = exactly_observed(batch) | ~batch["ocean"]
                return (clamp_known(x0, known.expand_as(x0), value.expand_as(x0)),)

            for rows, (x0,) in self.tiles.blend(on_tile, self.folder):
                yield rows, x0

        steps, sampler, kept = sampling.steps, sampling.sampler, None
        if sampler == "dpm++":
            kept = torch.from_numpy(canvas(shape, folder=self.folder))
        return x, trajectory(
            x, denoise, model.diffusion, steps=steps, sampler=sampler, draw=noise, kept=kept
        )

    def destandardise(self, standard: Tensor, rows: slice, error: bool = False) -> np.ndarray:
        """Rows (B, C, h, W) in the variables' units, NaN outside the ocean.

        Args:
            standard: (B, C, h, W), in standardised units.
            rows: rows of the domain.
            error: whether the values are standard deviations; these get no climatology added.
        """
        value = standard.numpy() * self.scaling["deviation"][..., rows, :]
        if not error:
            value = value + self.scaling["climatology"][..., rows, :]
        return np.where(self.rows("ocean", rows).numpy(), value, np.nan).astype(np.float32)

    def _anomalies(self, x: Tensor, rows: slice) -> Tensor:
        """Rows of x as standardised anomalies; a residual is scaled and added to the mean."""
        if "mean" not in self.guess:
            return x[..., rows, :]
        return self.rows("mean", rows) + self.rows("deviation", rows) * x[..., rows, :]

    def fields(self, x: Tensor, rows: slice) -> np.ndarray:
        """Rows of x, at any step, in the variables' units."""
        return self.destandardise(self._anomalies(x, rows), rows)

    def members(self, x: Tensor, rows: slice) -> np.ndarray:
        """Rows of finished members in the variables' units, with the exact observations."""
        return self.destandardise(self._with_observations(self._anomalies(x, rows), rows), rows)
