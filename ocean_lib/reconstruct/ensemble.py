"""An ensemble of dense fields over a whole domain, from its observations.

`reconstruct` draws every date in memory; `reconstruct_date` fills arrays of one date, which may be
variables of an open file.  Tiles are blended at every sampling step (`domain`): averaging finished
tiles would reduce the spread where they overlap.  Members leave here, within the bounds of sea
water (`bounds`).
"""

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from ocean_lib.fields.bounds import BOUNDED, describe_bounded, set_to_bounds
from ocean_lib.fields.conventions import DIMS, POTENTIAL, named
from ocean_lib.model.densifier import Densifier
from ocean_lib.observations.batch import select_statistics
from ocean_lib.reconstruct.domain import Domain
from ocean_lib.reconstruct.sampling import Sampling

__all__ = ["count_rows", "denoising_steps", "reconstruct", "reconstruct_date"]


MEMBER_DIMS = ("time", "member", *DIMS[1:])


def count_rows(model: Densifier, observations: xr.Dataset, members: int, sampling: Sampling) -> int:
    """Total number of rows that `reconstruct_date` reports for one date, for a progress bar.

    Args:
        model: the model; without a denoiser only the first guess counts.
        observations: give the number of rows of the domain.
        members: ensemble size; 0 for the background alone.
        sampling: its steps and chunk count.
    """
    passes = 1
    if model.denoiser is not None and members:
        passes += -(-members // sampling.chunk) * sampling.steps
    return passes * observations.sizes["latitude"]


@torch.no_grad()
def reconstruct_date(
    model: Densifier,
    observations: xr.Dataset,
    out: MutableMapping[str, Any],
    *,
    date: int = 0,
    noise_index: int | None = None,
    members: int = 16,
    sampling: Sampling = Sampling(),
    device: str = "cpu",
    folder: Path | None = None,
) -> Iterator[int]:
    """Fill `out` with one date, and yield the number of rows done so far, up to `count_rows`.

    Args:
        model: in evaluation mode, on `device`.
        observations: of several dates; those within reach enter the background.
        out: {name: array (D, H, W), for `members` (M, D, H, W)}, numpy arrays or variables of an
            open NetCDF file: any of `background`, `background_error`, `climatology`, `mean` and
            `deviation`; with members also `members`, `mean`, `spread` and
            `bounded`, an array () to which the number of values that were set to a bound is added.
            Names for further variables have the variable's name in front.
        date: index of the date among the observations.
        noise_index: seeds the noise of the date; defaults to `date`.
        members: ensemble size; 0 for the background alone.
        sampling: how the members are drawn.
        device: where the networks run.
        folder: where arrays as large as the domain are kept; None keeps them in memory.
    """
    variables = model.statistics.attrs["variables"]
    levels = model.levels // len(variables)
    done = 0

    def split(values: np.ndarray) -> dict[str, np.ndarray]:
        return {v: values[:, k * levels :][:, :levels] for k, v in enumerate(variables)}

    def put(quantity: str, values: np.ndarray, rows: slice, first: int | None = None) -> None:
        for variable, part in split(values).items():
            if (name := named(variable, quantity)) in out:
                if first is None:
                    out[name][:, rows, :] = part[0]
                else:
                    out[name][first : first + len(part), :, rows, :] = part

    domain = Domain(model, observations, date, sampling.tile, device, folder)
    for rows in domain.make_guess():
        done += rows.stop - rows.start
        yield done
    for rows in domain.tiles.pieces():
        for name in ("background", "mean", "background_error", "deviation"):
            if name in domain.guess and name in out:
                error = name in ("background_error", "deviation")
                put(name, domain.destandardise(domain.rows(name, rows), rows, error=error), rows)
        if "climatology" in out:
            nothing = torch.zeros_like(domain.rows("background", rows))
            put("climatology", domain.destandardise(nothing, rows), rows)
    for first in range(0, members, sampling.chunk):
        chunk = range(first, min(first + sampling.chunk, members))
        x, walk = domain.draw(chunk, date if noise_index is None else noise_index, sampling)
        for _, rows in walk:
            done += rows.stop - rows.start
            yield done
        for rows in domain.tiles.pieces():
            drawn, known = domain.members(x, rows), domain.known(rows).numpy()
            place = model.statistics["depth"].values, domain.places[0][rows]
            kind = model.statistics.attrs.get("standard_name", POTENTIAL)
            bounded = set_to_bounds(split(drawn), split(known), *place, kind)
            for variable, number in bounded.items():
                if (name := named(variable, "bounded")) in out:
                    out[name][...] += number
            put("members", drawn, rows, first)
    for variable in variables if members else ():
        ensemble = out[named(variable, "members")]
        for rows in domain.tiles.pieces():
            drawn = np.asarray(np.ma.filled(ensemble[:, :, rows, :], np.nan), np.float64)
            if "mean" not in domain.guess:
                out[named(variable, "mean")][:, rows, :] = drawn.mean(0)
            out[named(variable, "spread")][:, rows, :] = drawn.std(0, ddof=1)


def reconstruct(
    model: Densifier,
    observations: xr.Dataset,
    *,
    dates: Sequence[int] | np.ndarray | None = None,
    members: int = 16,
    sampling: Sampling = Sampling(),
    device: str = "cpu",
    progress: Callable[[Iterable, int], Iterable] = lambda records, total: records,
) -> xr.Dataset:
    """Draw the dense fields of some dates of `observations`, in memory.

    Args:
        model: the trained model.
        observations: as `observations.batch.observe` returns them, on the model's levels, inside
            its region.
        dates: indices of the dates that are drawn; None draws all.  Observations of the others
            enter as those of dates beside.
        members: ensemble size, at least 2.
        sampling: how the members are drawn.
        device: where the networks run; the model is moved there.
        progress: wraps the records of finished rows, as `runs.progress_bar.progress` does.

    Returns:
        On the observations' grid and these dates, in the variables' units, NaN outside the ocean:
        `members`, their `spread`, `mean`, `background`, `background_error` and `climatology`; names
        for further variables have the variable's name in front.  With a regressor, `mean` is its
        mean, which the mean of a few members would only approximate, and `deviation` is the
        standard deviation that it predicts.  In mode `diffusion`, `mean` is the mean of the
        members.  The attribute `bounds` says how many values of members were set to a bound.

    Raises:
        ValueError: fewer than 2 members, more steps than the noise process has, or observations
            outside the model's region or levels.
    """
    sampling.check(model, members)
    select_statistics(model.statistics, observations)
    model = model.to(device).eval()
    quantities = ["members", "mean", "spread", "background", "background_error", "climatology"]
    quantities += ["deviation"] if model.regressor is not None else []
    _, *grid = (observations.sizes[dim] for dim in DIMS)
    chosen = np.arange(observations.sizes["time"]) if dates is None else np.asarray(dates)
    result = xr.Dataset(coords={name: observations[name] for name in DIMS}).isel(time=chosen)
    variables = model.statistics.attrs["variables"]
    for variable in variables:
        units = {"units": model.statistics.attrs["units"][variable]}
        for quantity in quantities:
            dims = MEMBER_DIMS if quantity == "members" else DIMS
            of_date = (members, *grid) if quantity == "members" else grid
            array = np.full((len(chosen), *of_date), np.nan, np.float32)
            result[named(variable, quantity)] = (dims, array, units)
    result = result.assign_coords(member=np.arange(1, members + 1))
    rows_per_date = count_rows(model, observations, members, sampling)
    draw = partial(reconstruct_date, members=members, sampling=sampling, device=device)
    bounded = {named(v, "bounded"): np.zeros((), int) for v in BOUNDED if v in variables}

    def records() -> Iterator[dict]:
        for index, date in enumerate(chosen.tolist()):
            out = {str(name): array.values[index] for name, array in result.data_vars.items()}
            for rows in draw(model, observations, out | bounded, date=date):
                yield {"step": index * rows_per_date + rows}

    for _ in progress(records(), len(chosen) * rows_per_date):
        pass
    return result.assign_attrs(bounds=describe_bounded(bounded))


@torch.no_grad()
def denoising_steps(
    model: Densifier,
    observations: xr.Dataset,
    depth: float,
    *,
    sampling: Sampling = Sampling(),
    device: str = "cpu",
) -> xr.DataArray:
    """The first member of the first date at every sampling step, at the level nearest to a depth.

    Args:
        model: with a denoiser.
        observations: as for `reconstruct`.
        depth: m.
        sampling: how the member is drawn.
        device: where the networks run; the model is moved there.

    Returns:
        (step, latitude, longitude), °C, x_t scaled as the field; coordinate `noise_level` is s_t,
        0 at the end.

    Raises:
        ValueError: the model has no denoiser.
    """
    if model.denoiser is None:
        raise ValueError("mode regression has no denoising; train mode 'residual' or 'diffusion'")
    first = observations.isel(time=0, drop=True)
    domain = Domain(model.to(device).eval(), observations, 0, sampling.tile, device)
    for _ in domain.make_guess():
        pass
    level = int(abs(first.depth.values - depth).argmin())
    everywhere = slice(0, domain.shape[0])
    x, walk = domain.draw(range(1), 0, sampling)
    frames = [domain.fields(x, everywhere)[0, level]]
    noise_levels = [float(model.diffusion.noise[-1])]
    for time, rows in walk:
        if rows.stop == everywhere.stop:
            frames.append(domain.fields(x, everywhere)[0, level])
            noise_levels.append(0.0 if time < 0 else float(model.diffusion.noise[time]))
    places = {name: first[name] for name in DIMS[-2:]} | {"depth": first.depth[level]}
    array = xr.DataArray(np.stack(frames), places, ("step", *DIMS[-2:]))
    return array.assign_attrs(units="degrees_C").assign_coords(noise_level=("step", noise_levels))
