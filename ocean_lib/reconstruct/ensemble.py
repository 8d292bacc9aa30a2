"""A whole domain from its observations, as an ensemble.

`reconstruct` draws every date in memory; `reconstruct_date` fills arrays of one date, which may be
variables of an open file, and yields as it goes.  Averaging finished tiles would shrink the spread
where they overlap, so tiles are blended at every sampling step (`domain`).
"""

from collections.abc import Callable, Iterable, Iterator, MutableMapping

import numpy as np
import torch
import xarray as xr

from ocean_lib.fields.conventions import named
from ocean_lib.model.densifier import Densifier
from ocean_lib.model.sampling import SAMPLERS, timesteps
from ocean_lib.observations.batch import select_statistics
from ocean_lib.reconstruct.domain import Domain

__all__ = [
    "check_choices",
    "denoising_steps",
    "reconstruction_names",
    "reconstruct",
    "reconstruct_date",
    "rows_to_do",
]


DIMS = ("time", "member", "depth", "latitude", "longitude")


def reconstruction_names(model: Densifier) -> list[str]:
    """What `reconstruct` gives for every variable of a model."""
    given = ["members", "mean", "spread", "background", "climatology"]
    return given + (["deviation"] if model.regressor is not None else [])


def rows_to_do(model: Densifier, height: int, members: int, steps: int, chunk: int) -> int:
    """Rows that `reconstruct_date` yields one by one or many at a time."""
    passes = 1
    if model.denoiser is not None and members:
        passes += -(-members // chunk) * steps
    return passes * height


@torch.no_grad()
def reconstruct_date(
    model: Densifier,
    observations: xr.Dataset,
    out: MutableMapping[str, np.ndarray],
    *,
    number: int = 0,
    noise: int | None = None,
    members: int = 16,
    steps: int = 10,
    sampler: str = "dpm++",
    seed: int = 0,
    tile: int = 160,
    device: str = "cpu",
    chunk: int = 8,
    folder=None,
) -> Iterator[int]:
    """Fill `out` with one date; yield the rows done so far, up to `rows_to_do`.

    Args:
        observations: of any dates, of which those a month before and after help.
        out: {name: array (D, H, W), for `members` (M, D, H, W)}: numpy arrays or variables of an
            open NetCDF file, of those among `names` and `background_error` that are wanted; of
            further variables with their name in front (`dataset.named`).
        number: the date's place among the observations.
        noise: its place in the file, part of what decides the noise, where that is another.
        members: 0 for the background alone.
        folder: where arrays as large as the domain are laid; in memory where None.
        others: as for `reconstruct`.
    """
    variables = model.statistics.attrs["variables"]
    levels = model.levels // len(variables)
    done = 0

    def put(name: str, values: np.ndarray, rows: slice, first: int | None = None) -> None:
        for index, variable in enumerate(variables):
            if (whole := named(variable, name)) in out:
                part = values[:, index * levels : (index + 1) * levels]
                if first is None:
                    out[whole][:, rows, :] = part[0]
                else:
                    out[whole][first : first + len(part), :, rows, :] = part

    ready = Domain(model, observations, number, tile, device, folder)
    for rows in ready.make_guess():
        done += rows.stop - rows.start
        yield done
    for rows in ready.tiles.pieces():
        for name in ("background", "mean", "background_error", "deviation"):
            if name in ready.guess:
                error = name in ("background_error", "deviation")
                put(name, ready.celsius(ready.rows(name, rows), rows, error=error), rows)
        nothing = torch.zeros_like(ready.rows("background", rows))
        put("climatology", ready.celsius(nothing, rows), rows)
    for start in range(0, members, chunk):
        own = range(start, min(start + chunk, members))
        key = (seed, number if noise is None else noise, 2)
        x, walk = ready.draw(own, key, steps, sampler)
        for _, rows in walk:
            done += rows.stop - rows.start
            yield done
        for rows in ready.tiles.pieces():
            put("members", ready.members(x, rows), rows, start)
    for variable in variables if members else ():
        ensemble = out[named(variable, "members")]
        for rows in ready.tiles.pieces():
            drawn = np.asarray(np.ma.filled(ensemble[:, :, rows, :], np.nan), np.float64)
            if "mean" not in ready.guess:
                out[named(variable, "mean")][:, rows, :] = drawn.mean(0)
            out[named(variable, "spread")][:, rows, :] = drawn.std(0, ddof=1)


def check_choices(model: Densifier, members: int, steps: int, sampler: str, tile: int) -> None:
    """Refuse, before any work, what could not be done."""
    if members < 2:
        raise ValueError(f"{members} member gives no spread; ask for at least 2")
    if tile < 8:
        raise ValueError(f"tile {tile} is below 8 cells; choose 64 or more")
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler {sampler!r} is not known; choose one of {[*SAMPLERS]}")
    if model.denoiser is not None:
        timesteps(model.diffusion.steps, steps)


def reconstruct(
    model: Densifier,
    observations: xr.Dataset,
    *,
    members: int = 16,
    steps: int = 10,
    sampler: str = "dpm++",
    seed: int = 0,
    tile: int = 160,
    device: str = "cpu",
    chunk: int = 8,
    progress: Callable[[Iterable, int], Iterable] = lambda records, total: records,
) -> xr.Dataset:
    """Draw the dense field of every date of `observations` (see `dataset.observe`), in memory.

    Args:
        members: ensemble size, at least 2.    steps: network evaluations a member.
        tile: cells; a larger domain is covered by blended tiles.    chunk: members at a time.
        seed: with the date's place in the file and the member's number it decides the noise, so
            members depend neither on `chunk` nor on how many there are.
        progress: wraps the records of rows done, as `runs.progress` does.
    Returns:
        On the observations' grid, °C, NaN outside the ocean: `members`, their `spread`, `mean`,
        `background`, `climatology`.  The mean is that of the first stage, which a few draws of
        the second could only blur, and with it comes `deviation`, the error that it states; in
        mode `diffusion` it is the members'.  Of further variables the same, name in front.
    Raises:
        ValueError: fewer than 2 members; observations outside the model's region or levels.
    """
    check_choices(model, members, steps, sampler, tile)
    select_statistics(model.statistics, observations)
    model = model.to(device).eval()
    dims = [dim for dim in DIMS if dim != "member"]
    sizes = [observations.sizes[dim] for dim in dims]
    result = xr.Dataset(coords={name: observations[name] for name in dims})
    for variable in model.statistics.attrs["variables"]:
        for name in reconstruction_names(model):
            shape = (sizes[0], members, *sizes[1:]) if name == "members" else sizes
            array = np.full(shape, np.nan, np.float32)
            units = {"units": model.statistics.attrs["units"][variable]}
            result[named(variable, name)] = (DIMS if name == "members" else dims, array, units)
    result = result.assign_coords(member=np.arange(1, members + 1))

    def records() -> Iterator[dict]:
        done = 0
        for month in range(sizes[0]):
            choices = {"members": members, "steps": steps, "sampler": sampler, "seed": seed}
            choices |= {"tile": tile, "device": device, "chunk": chunk, "number": month}
            out = {name: array.values[month] for name, array in result.data_vars.items()}
            for rows in reconstruct_date(model, observations, out, **choices):
                yield {"step": done + rows}
            done += rows

    total = sizes[0] * rows_to_do(model, sizes[2], members, steps, chunk)
    for _ in progress(records(), total):
        pass
    return result


@torch.no_grad()
def denoising_steps(
    model: Densifier,
    observations: xr.Dataset,
    depth: float,
    *,
    steps: int = 10,
    sampler: str = "dpm++",
    seed: int = 0,
    tile: int = 160,
    device: str = "cpu",
) -> xr.DataArray:
    """The first member of the first date being formed, (step, latitude, longitude) °C at a depth.

    Each step shows x_t scaled as the field; coordinate `noise_level` is s_t, 0 at the end.
    """
    if model.denoiser is None:
        raise ValueError("mode regression has no denoising; train mode 'residual' or 'diffusion'")
    one = observations.isel(time=[0])
    ready = Domain(model.to(device).eval(), observations, 0, tile, device, None)
    for _ in ready.make_guess():
        pass
    level = int(abs(one.depth.values - depth).argmin())
    everywhere = slice(0, ready.shape[0])
    x, walk = ready.draw(range(1), (seed, 0, 2), steps, sampler)

    def frame() -> np.ndarray:
        standard = x
        if "mean" in ready.guess:
            standard = ready.rows("mean", everywhere) + ready.rows("deviation", everywhere) * x
        return ready.celsius(standard, everywhere)[0, level]

    frames, levels = [frame()], [float(model.diffusion.noise[-1])]
    for time, rows in walk:
        if rows.stop == everywhere.stop:
            frames.append(frame())
            levels.append(0.0 if time < 0 else float(model.diffusion.noise[time]))
    places = {name: one[name] for name in DIMS[-2:]} | {"depth": one.depth[level]}
    array = xr.DataArray(np.stack(frames), places, ("step", *DIMS[-2:]))
    return array.assign_attrs(units="degrees_C").assign_coords(noise_level=("step", levels))
