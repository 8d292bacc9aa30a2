"""One date over a domain of any size: what is known of it, tile by tile, and what is made of it.

On each tile the networks see what they saw in training: a patch, its observations, and the
background computed from these.  What they predict is blended at every sampling step, and noise is
drawn once for the domain, so that overlapping tiles denoise the same noise.  All that is as large
as the domain can lie on disk; what is held in memory is bounded by the tile.

Reference: Bar-Tal et al. 2023, arXiv 2302.08113 (blending at every step).
"""

from collections.abc import Iterable, Iterator

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
from ocean_lib.reconstruct.tiles import PIECE, Tile, Tiles
from ocean_lib.store.climatology import climatology_at

__all__ = ["Domain", "Noise"]


class Noise:
    """Unit noise (B, C, h, W) of rows: the same whatever tiles, chunk or ensemble asks for it."""

    def __init__(self, members: Iterable[int], shape: tuple[int, int], *key: int):
        self.members, self.shape, self.key = list(members), shape, key

    def __call__(self, step: int, rows: slice) -> Tensor:
        channels, width = self.shape
        start = rows.start // PIECE

        def block(member: int, index: int) -> Tensor:
            generator = seeded("cpu", *self.key, member, step, index)
            return torch.randn(channels, PIECE, width, generator=generator)

        blocks = range(start, (rows.stop - 1) // PIECE + 1)
        drawn = [torch.cat([block(m, index) for index in blocks], 1) for m in self.members]
        begin = rows.start - start * PIECE
        return torch.stack(drawn)[..., begin : begin + rows.stop - rows.start, :]


class Domain:
    """One date made ready: its batch and first guess over the domain, the networks on its tiles.

    Args:
        observations: of any dates.    number: of the date; those before and after help.
        tile: cells.    folder: where arrays as large as the domain are laid; in memory where None.
    """

    def __init__(
        self,
        model: Densifier,
        observations: xr.Dataset,
        number: int,
        tile: int,
        device: str,
        folder,
    ):
        near = neighbouring_dates(observations.time.values, model.background.reach)[number]
        while len(near) > 2 and (near[[0, -1]] < 0).all():  # no room for dates that are not there
            near = near[1:-1]
        self.model, self.device, self.folder = model, device, folder
        self.observations = observations.isel(time=[number])
        latitude, longitude = (observations[name].values for name in ("latitude", "longitude"))
        self.places = latitude, longitude
        self.shape = len(latitude), len(longitude)
        self.tiles = Tiles(*self.shape, tile, ring=is_ring(longitude))
        self.batch: dict[str, np.ndarray] = {}
        dates = [number, *(int(index) for index in near if index >= 0)]
        for rows in self.tiles.pieces():
            piece = observations.isel(latitude=rows, time=dates)
            several = standardise(piece, select_statistics(model.statistics, piece))
            own = {name: values[:1] for name, values in several.items()}
            self.season = own.pop("season").to(device)
            for name in ("latitude", "longitude", "position", "when"):
                del own[name]  # each tile has its own places, and more dates
            there = [(lag, dates.index(index)) for lag, index in enumerate(near) if index >= 0]
            for name in BESIDE:
                every = own[name].new_zeros(len(near), *own[name].shape[1:])
                for lag, date in there:
                    every[lag] = several[name][date]
                own[f"beside_{name}"] = every[None]
            middle, month = len(near) // 2, several["when"][:, 1]
            self.when = torch.full((1, len(near) + 1), torch.nan, dtype=month.dtype)
            self.when[0, middle] = month[0]
            for lag, date in there:
                self.when[0, lag + (lag >= middle)] = month[date]
            for name, values in own.items():
                self._write(self.batch, name, rows, values)
        self.guess: dict[str, np.ndarray] = {}

    def _write(self, arrays: dict[str, np.ndarray], name: str, rows: slice, values: Tensor):
        if name not in arrays:
            shape = (*values.shape[:-2], *self.shape)
            arrays[name] = canvas(shape, values.numpy().dtype, self.folder)
        arrays[name][..., rows, :] = values

    def _part(self, tile: Tile, arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(tile.cut(array))).to(self.device)

        return {name: tensor(array) for name, array in arrays.items()}

    def _seen(self, tile: Tile) -> dict[str, Tensor]:
        """The batch of one tile, of one sample, with its own place."""
        latitude, longitude = self.places[0][tile.rows], self.places[1][tile.columns]
        middle = sphere(latitude.mean(), np.unwrap(longitude, period=360).mean())
        part = self._part(tile, self.batch)
        for name, axis in (("latitude", latitude), ("longitude", longitude)):
            part[name] = torch.tensor(axis).double()[None]
        part["position"] = torch.from_numpy(middle).to(self.device)[None]
        part["season"], part["when"] = self.season, self.when
        return part

    def make_guess(self) -> Iterator[slice]:
        """Background, its error and, where there is a regressor, mean and deviation, by rows."""
        names = ["background", "background_error"]
        names += ["mean", "deviation"] if self.model.regressor is not None else []

        def on_tile(tile: Tile) -> tuple[Tensor, ...]:
            part = with_background(self._seen(tile), self.model.background)
            results = part["background"], part["background_error"]
            return results if len(names) == 2 else (*results, *self.model.regress(part))

        for rows, results in self.tiles.blend(on_tile, self.folder):
            for name, values in zip(names, results):
                self._write(self.guess, name, rows, values)
            yield rows

    def rows(self, name: str, rows: slice) -> Tensor:
        """Rows of the batch or of the guess, (1, C, h, W)."""
        arrays = self.batch if name in self.batch else self.guess
        return torch.from_numpy(np.ascontiguousarray(arrays[name][..., rows, :]))

    def draw(self, members: range, key: tuple[int, ...], steps: int, sampler: str):
        """x (B, C, H, W), and what walks it to the members' samples (`sampling.trajectory`)."""
        channels = self.batch["value"].shape[1]
        noise = Noise(members, (channels, self.shape[1]), *key)
        shape = (len(members), channels, *self.shape)
        x = torch.from_numpy(canvas(shape, folder=self.folder))
        model, residual = self.model, "mean" in self.guess
        for rows in self.tiles.pieces():
            own = noise(0, rows)
            if model.denoiser is not None:
                guess = None
                if not residual:
                    part = {name: self.rows(name, rows) for name in ("observed", "error", "value")}
                    guess = torch.where(
                        exactly_observed(part), part["value"], self.rows("background", rows)
                    )
                own = initial_noise(model.diffusion, own, steps, guess)
            x[..., rows, :] = own
        if model.denoiser is None:
            return x, iter(())

        def denoise(x: Tensor, t: Tensor) -> Iterator[tuple[slice, Tensor]]:
            def on_tile(tile: Tile) -> tuple[Tensor]:
                part = self._seen(tile) | self._part(tile, self.guess)
                guess = (part["mean"], part["deviation"]) if residual else None
                x0 = model.denoise(part, tile.cut(x).to(self.device), t.to(self.device), guess)
                value = torch.zeros_like(x0) if residual else part["value"]
                sure = exactly_observed(part) | ~part["ocean"]
                return (clamp_known(x0, *(each.expand_as(x0) for each in (sure, value))),)

            for rows, (x0,) in self.tiles.blend(on_tile, self.folder):
                yield rows, x0

        choices = {"steps": steps, "sampler": sampler, "draw": noise}
        if sampler == "dpm++":
            choices["kept"] = torch.from_numpy(canvas(shape, folder=self.folder))
        return x, trajectory(x, denoise, model.diffusion, **choices)

    def celsius(self, standard: Tensor, rows: slice, error: bool = False) -> np.ndarray:
        """°C (B, C, h, W), NaN outside the ocean, from rows in standardised units."""
        piece = self.observations.isel(latitude=rows)
        local = select_statistics(self.model.statistics, piece)
        inner = slice(local.attrs["surfaces"], None)
        value = standard.numpy() * local.deviation.values[inner]
        if not error:
            value = value + climatology_at(local, piece.time.values)[:, inner]
        return np.where(self.rows("ocean", rows).numpy(), value, np.nan).astype(np.float32)

    def members(self, x: Tensor, rows: slice) -> np.ndarray:
        """Rows of x as °C; an exact observation as it was given."""
        standard = x[..., rows, :]
        if "mean" in self.guess:
            standard = self.rows("mean", rows) + self.rows("deviation", rows) * standard
        part = {name: self.rows(name, rows) for name in ("observed", "error", "value")}
        standard = torch.where(exactly_observed(part), part["value"], standard)
        return self.celsius(standard, rows)
