"""Reconstruct files: a checkpoint and a file of observations give a file of dense fields.

The self-check comes first: it reports what the model was not trained for, and its errors at
withheld observations.  The fields are written date by date into a folder beside the output.  The
output itself appears when it is complete; after an interruption, the same call keeps the finished
dates.  Memory is bounded by the tile.

Profiles are put on the model's grid first, in a file of observations beside the output
(`gridded_profiles`).
"""

import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

from ocean_lib import __version__
from ocean_lib.core.atomic import move
from ocean_lib.core.resumable import Construction, under_construction
from ocean_lib.fields.bounds import BOUNDED, describe_bounded, read_bounded
from ocean_lib.fields.conventions import DIMS, named
from ocean_lib.fields.files import Paths, find_files
from ocean_lib.fields.plausibility import check_field
from ocean_lib.fields.reconstruction_file import ROWS, create_date_file, join_dates
from ocean_lib.model.densifier import Densifier
from ocean_lib.observations import profiles
from ocean_lib.observations.gridded import describe_observations, open_observations
from ocean_lib.observations.screening import screen_observations
from ocean_lib.reconstruct.derived import append_derived, check_derived
from ocean_lib.reconstruct.domain import dates_within_reach
from ocean_lib.reconstruct.ensemble import count_rows, reconstruct_date
from ocean_lib.reconstruct.gridded_profiles import append_profiles, fingerprint, prepare_profiles
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.reconstruct.self_check import run_self_check
from ocean_lib.reconstruct.training_range import extend_statistics, outside_training

__all__ = ["reconstruct_files"]


LOAD_LIMIT = 4e8  # bytes of observations, and of scratch arrays, that are kept in memory


def reconstruct_files(
    checkpoint: str | Path,
    paths: Paths,
    output: str | Path,
    *,
    members: int = 16,
    sampling: Sampling = Sampling(chunk=4),
    device: str = "cpu",
    fallback: bool = False,
    derive: Sequence[str] = (),
    surfaces: Paths = (),
    variable: str | None = None,
    date_format: str | None = None,
    time_units: str | None = None,
    show: Callable[[str], None] = print,
    progress: Callable[[Iterable, int], Iterable] = lambda records, total: records,
) -> Path:
    """Write mean, spread and members of every date on the observations' rows and columns.

    Args:
        checkpoint: path of a file that `Densifier.save` wrote.
        paths: gridded observations (`observations.gridded`) or profiles (`observations.profiles`).
        output: path of the NetCDF file to write.  Profiles on the grid are written beside it, as
            `NAME.observations.nc`.
        members: ensemble size, at least 2.
        sampling: how the members are drawn.
        device: where the networks run.
        fallback: write the background instead if the self-check finds that it is better.
        derive: names of derived quantities to write too, such as `heat_content_700`; see
            `fields.derived`.
        surfaces: files of surface fields in the months of profiles; see `observations.views`.
        variable: name of the variable of gridded observations to use as temperature.
        date_format: how tables of profiles write dates, such as "%d/%m/%Y".
        time_units: what the times of tables count, such as "days since 1950-01-01".
        show: receives lines of text: what was understood, then the outcome of the self-check.
        progress: wraps the records of finished rows, as `runs.progress_bar.progress` does.

    Returns:
        The path of the output.

    Raises:
        FileNotFoundError: the checkpoint, the observations or the output's folder do not exist.
        ValueError: the checkpoint, the observations or an argument cannot be used, or a value
            would be impossible in the sea.
        FileExistsError: the output exists and was made from other inputs.
        BlockingIOError: another process is writing the output.
        OSError: the disk has too little space.
    """
    output = Path(output).absolute()
    _check_output(output)
    model = Densifier.load(checkpoint, device=device)
    sampling.check(model, members)
    check_derived(derive, model.statistics, show)
    are_profiles = profiles.is_profiles(paths)
    for_profiles: dict[str, Any] = {"surfaces": surfaces}
    for_profiles |= {"date_format": date_format, "time_units": time_units}
    if are_profiles and variable or not are_profiles and any(for_profiles.values()):
        given = ", ".join(f"{k} {v!r}" for k, v in {"variable": variable, **for_profiles}.items())
        raise ValueError(
            f"given are {given}, but the first is for gridded observations, which hold surface "
            "fields beside temperature, the others for profiles; leave it out"
        )
    if are_profiles:
        gridded = output.with_suffix(".observations.nc")
        paths = prepare_profiles(paths, checkpoint, gridded, show, **for_profiles)
    plan = {
        "version": __version__,
        "files": [fingerprint(path) for path in (Path(checkpoint), *find_files(paths))],
        "fallback": fallback,
        "derive": [*derive],
        "variable": variable,
        "members": members,
        **asdict(sampling),
    }
    del plan["chunk"]  # has no influence on the members
    if output.exists():
        if _plan_of(output) == str(plan):
            show(f"{output} exists already, made by this same command")
            return output
        raise FileExistsError(f"{output} exists, made from something else; choose another name")
    observations = open_observations(paths, model.statistics, variable)
    observations, number = screen_observations(observations, model.statistics)
    show(describe_observations(observations, number))
    warnings = outside_training(model, observations)
    model.statistics = extend_statistics(model.statistics, observations)
    with under_construction(output) as folder:
        work = Construction(folder, plan)
        written = members + 6 + 3 * len(derive)
        work.check_space(_bytes_needed(model, observations, written, members, sampling))
        if "self_check" not in work.done:
            check = run_self_check(
                model, observations, members=members, sampling=sampling, device=device
            )
            table = check.rmse().round(3).to_string() if check.groups else "too few to withhold any"
            worse = check.worse_than("background")
            work.done["self_check"] = {"verdict": check.verdict(), "worse": worse, "table": table}
            work.save()
        outcome = work.done["self_check"]
        show(outcome["verdict"])
        for line in warnings:
            show(f"WARNING: {line}")
        show(f"RMSE at withheld observations by depth, °C\n{outcome['table']}")
        show(model.statistics.attrs["credit"])
        title = "Reconstruction from sparse observations"
        if fallback and outcome["worse"]:
            members, title = 0, "Background (optimal interpolation) from sparse observations"
            show("the background is written instead of the reconstruction, as --fallback asks")
        rows = observations.sizes["time"] * count_rows(model, observations, members, sampling)
        parts = [work.work / f"date_{date:06d}.nc" for date in range(observations.sizes["time"])]
        for _ in progress(_draw_dates(model, observations, parts, members, sampling, device), rows):
            pass
        bounds = describe_bounded(read_bounded(parts))
        show(bounds)
        attributes = {
            "title": title,
            "self_check": outcome["verdict"],
            "bounds": bounds,
            "warnings": "\n".join(warnings),
            "source": f"ocean_lib {__version__}, {model.mode}, {Path(checkpoint).name}",
            "plan": str(plan),
            **{name: model.statistics.attrs[name] for name in ("credit", "licence")},
        }
        complete = work.work / "complete.nc"
        join_dates(parts, observations, complete, _units(model, members), attributes)
        if derive:
            append_derived(complete, derive, model.statistics.attrs["standard_name"])
        append_profiles(paths, complete)
        move(complete, output)
        shutil.rmtree(folder)
    return output


def _quantities(members: int) -> dict[str, str]:
    """{name in the file: name in `reconstruct_date`}."""
    if not members:
        return {"mean": "background", "spread": "background_error", "climatology": "climatology"}
    names = "mean", "spread", "background", "background_error", "climatology", "members"
    return {name: name for name in names}


def _units(model: Densifier, members: int) -> dict[str, str]:
    """{variable of the file: unit}."""
    units = model.statistics.attrs["units"]
    variables = model.statistics.attrs["variables"]
    return {named(v, name): units[v] for v in variables for name in _quantities(members)}


def _draw_dates(model, observations, parts, members, sampling, device) -> Iterator[dict]:
    """Draw the dates that are not finished, one file per date."""
    variables, names = model.statistics.attrs["variables"], _quantities(members)
    sizes = {dim: observations.sizes[dim] for dim in DIMS[1:]}
    sizes |= {"member": members} if members else {}
    rows_per_date = count_rows(model, observations, members, sampling)
    draw = partial(reconstruct_date, members=members, sampling=sampling, device=device)
    nearby = dates_within_reach(model, observations.time.values)
    pending = {date: nearby[date] for date, path in enumerate(parts) if not path.exists()}
    done = (len(nearby) - len(pending)) * rows_per_date
    scratch = _scratch_bytes(model, observations, members, sampling)
    folder = parts[0].parent if scratch > LOAD_LIMIT else None
    for date, context, index in _read_contexts(observations, pending):
        unfinished = parts[date].with_suffix(".part")
        with create_date_file(unfinished, sizes, _units(model, members)) as file:
            out = {named(v, names[n]): file[named(v, n)] for v in variables for n in names}
            bounded = {named(v, "bounded"): np.zeros((), int) for v in BOUNDED if v in variables}
            out |= bounded
            for rows in draw(model, context, out, date=index, noise_index=date, folder=folder):
                yield {"step": done + rows}
            file.setncatts({name: int(number) for name, number in bounded.items()})
            file["observed"][:] = context.observed.values[index]
            _check_drawn(file, context.isel(time=index))
        move(unfinished, parts[date])
        done += rows_per_date
        yield {"step": done}


def _check_drawn(file: netCDF4.Dataset, date: xr.Dataset) -> None:
    """Check all values of one date, some rows at a time."""
    file.set_auto_mask(False)
    for top in range(0, date.sizes["latitude"], ROWS):
        rows = slice(top, top + ROWS)
        piece = date.isel(latitude=rows)
        place = {name: piece[name].values for name in DIMS}
        ocean = piece.ocean.transpose(*DIMS[1:]).values.astype(bool)
        for name in file.variables:
            if name != "observed":
                check_field(name, file[name][..., rows, :], ocean, place)


def _read_contexts(
    observations: xr.Dataset, nearby: dict[int, list[int]]
) -> Iterator[tuple[int, xr.Dataset, int]]:
    """Every date with the observations within its reach, and its index among them.

    Observations are read for as many dates at a time as `LOAD_LIMIT` allows.

    Args:
        observations: of all dates, lazy.
        nearby: {date: ascending indices of the dates within its reach}.
    """
    allowed = LOAD_LIMIT / (observations.nbytes / observations.sizes["time"])
    pending = list(nearby)
    while pending:
        first, needed = pending[0], {*nearby[pending[0]]}
        block = [first]
        for date in pending[1:]:
            if len(needed := needed | {*nearby[date]}) > allowed:
                break
            block.append(date)
        union = sorted({index for date in block for index in nearby[date]})
        read = observations.isel(time=union)
        read = read.load() if len(union) <= allowed else read
        place = {index: position for position, index in enumerate(union)}
        for date in block:
            context = read.isel(time=[place[index] for index in nearby[date]])
            yield date, context, nearby[date].index(date)
        pending = pending[len(block) :]


def _plan_of(output: Path) -> str | None:
    """The plan that an output was made by; None if it is no such file."""
    try:
        with xr.open_dataset(output, engine="netcdf4") as dataset:
            return dataset.attrs.get("plan")
    except (OSError, ValueError):
        return None


def _check_output(output: Path) -> None:
    if output.suffix != ".nc":
        raise ValueError(f"output {output} must end in .nc, since NetCDF is written; rename it")
    if not output.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {output.parent}; create it first")
    if not os.access(output.parent, os.W_OK):
        raise PermissionError(f"{output.parent} is not writable; choose another folder")


def _bytes_needed(
    model: Densifier, observations: xr.Dataset, written: int, members: int, sampling: Sampling
) -> int:
    """Disk space for the fields of all dates twice, and for the scratch arrays of one date.

    `written` is the number of fields of a date, those on one level counted as whole ones.
    """
    fields = 2 * written * observations.sizes["time"]
    scratch = _scratch_bytes(model, observations, members, sampling)
    return fields * _field_bytes(model, observations) + scratch


def _field_bytes(model: Densifier, observations: xr.Dataset) -> int:
    return 4 * model.levels * math.prod(observations.sizes[name] for name in DIMS[2:])


def _scratch_bytes(
    model: Densifier, observations: xr.Dataset, members: int, sampling: Sampling
) -> int:
    """Arrays as large as the domain that one date needs.

    These are values and errors of the date and of those within reach, first guess, scaling, and the
    members that are drawn at once.
    """
    reach = min(model.background.reach, observations.sizes["time"] - 1)
    arrays = 9 + 5 * reach + 2 * min(sampling.chunk, members)
    return arrays * _field_bytes(model, observations)
