"""Reconstruct files: a checkpoint and a file of observations give a file of dense fields.

The self-check comes first: it reports what the model was not trained for, and its errors at
withheld observations.  The fields are written date by date into a folder beside the output.  The
output itself appears when it is complete; after an interruption, the same call keeps the finished
dates.  Memory is bounded by the tile.

Profiles are put on the model's grid first, in a file of observations beside the output.  It is
written month by month, so memory is bounded by one month of the domain for any number of profiles.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib import __version__
from ocean_lib.core.atomic import atomic_write
from ocean_lib.core.resumable import Construction, under_construction
from ocean_lib.fields.conventions import DIMS, named
from ocean_lib.fields.files import Paths, find_files, open_file
from ocean_lib.fields.reconstruction_file import create_date_file, join_dates
from ocean_lib.model.densifier import Densifier
from ocean_lib.observations import gridding, profiles
from ocean_lib.observations.gridded import count_observations, open_observations
from ocean_lib.reconstruct.domain import dates_within_reach
from ocean_lib.reconstruct.ensemble import count_rows, reconstruct_date
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.reconstruct.self_check import extend_statistics, outside_training, run_self_check

__all__ = ["assemble_profiles", "prepare_profiles", "reconstruct_files"]


LOAD_LIMIT = 6e8  # bytes; observations of a date and its nearby dates are loaded if they take less
COMPRESSED = {"zlib": True, "complevel": 1}


def reconstruct_files(
    checkpoint: str | Path,
    paths: Paths,
    output: str | Path,
    *,
    members: int = 16,
    sampling: Sampling = Sampling(chunk=4),
    device: str = "cpu",
    fallback: bool = False,
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
        show: receives lines of text, the outcome of the self-check first.
        progress: wraps the records of finished rows, as `runs.progress_bar.progress` does.

    Returns:
        The path of the output.

    Raises:
        FileNotFoundError: the checkpoint, the observations or the output's folder do not exist.
        ValueError: the checkpoint, the observations or an argument cannot be used.
        FileExistsError: the output exists and was made from other inputs.
        BlockingIOError: another process is writing the output.
        OSError: the disk has too little space.
    """
    output = Path(output).absolute()
    _check_output(output)
    model = Densifier.load(checkpoint, device=device)
    sampling.check(model, members)
    if profiles.is_profiles(paths):
        paths = prepare_profiles(paths, checkpoint, output.with_suffix(".observations.nc"), show)
    plan = {
        "version": __version__,
        "files": [_fingerprint(path) for path in (Path(checkpoint), *find_files(paths))],
        "fallback": fallback,
        "members": members,
        **asdict(sampling),
    }
    del plan["chunk"]  # has no influence on the members
    if output.exists():
        if _plan_of(output) == str(plan):
            show(f"{output} exists already, made by this same command")
            return output
        raise FileExistsError(f"{output} exists, made from something else; choose another name")
    observations, number = count_observations(open_observations(paths, model.statistics))
    warnings = outside_training(model, observations)
    model.statistics = extend_statistics(model.statistics, observations)
    with under_construction(output) as folder:
        work = Construction(folder, plan)
        work.check_space(_bytes_needed(observations, members))
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
        sizes = ", ".join(f"{observations.sizes[name]} {name}" for name in DIMS)
        show(f"{number} observations on {sizes}. {model.statistics.attrs['credit']}")
        title = "Reconstruction from sparse observations"
        if fallback and outcome["worse"]:
            members, title = 0, "Background (optimal interpolation) from sparse observations"
            show("the background is written instead of the reconstruction, as --fallback asks")
        rows = observations.sizes["time"] * count_rows(model, observations, members, sampling)
        dates = _draw_dates(model, observations, work.work, members, sampling, device)
        for _ in progress(dates, rows):
            pass
        attributes = {
            "title": title,
            "self_check": outcome["verdict"],
            "warnings": "\n".join(warnings),
            "source": f"ocean_lib {__version__}, {model.mode}, {Path(checkpoint).name}",
            "plan": str(plan),
            **{name: model.statistics.attrs[name] for name in ("credit", "licence")},
        }
        complete, parts = work.work / "complete.nc", sorted(work.work.glob("date_*.nc"))
        join_dates(parts, observations.ocean, complete, attributes)
        _append_profiles(paths, complete)
        os.replace(complete, output)
        shutil.rmtree(folder)
    return output


def _draw_dates(model, observations, folder, members, sampling, device) -> Iterator[dict]:
    """Draw the dates that are not finished, one file per date."""
    if members:
        names = {"mean": "mean", "spread": "spread"}  # {in `reconstruct_date`: in the file}
        names |= {name: name for name in ("background", "background_error", "members")}
    else:
        names = {"background": "mean", "background_error": "spread"}
    variables, units = (model.statistics.attrs[name] for name in ("variables", "units"))
    units = {named(v, name): units[v] for v in variables for name in names.values()}
    rows_per_date = count_rows(model, observations, members, sampling)
    draw = partial(reconstruct_date, members=members, sampling=sampling, device=device)
    for date, nearby in enumerate(dates_within_reach(model, observations.time.values)):
        path = folder / f"date_{date:05d}.nc"
        if not path.exists():
            current, context = observations.isel(time=[date]), observations.isel(time=nearby)
            context = context.load() if context.nbytes < LOAD_LIMIT else context
            unfinished = path.with_suffix(".part")
            with create_date_file(unfinished, current, list(units), members, units) as file:
                out = {named(v, n): file[named(v, names[n])] for v in variables for n in names}
                for rows in draw(
                    model, context, out, date=nearby.index(date), noise_index=date, folder=folder
                ):
                    yield {"step": date * rows_per_date + rows}
                file["observed"][:] = current.observed.values[0]
            os.replace(unfinished, path)
        yield {"step": (date + 1) * rows_per_date}


def _append_profiles(paths: Paths, output: Path) -> None:
    """Copy the list of profiles, if a file of observations has one, into the output."""
    for path in find_files(paths):
        with open_file(path) as file:
            names = [name for name, array in file.data_vars.items() if array.dims == ("profile",)]
            if names:
                used, credit = file.attrs["profiles"], file.attrs["credit"]
                table = file[names].load().drop_attrs(deep=False)
                table = table.assign_attrs(profiles=used, profiles_credit=credit)
                table.to_netcdf(output, mode="a", engine="netcdf4")


def _fingerprint(path: Path) -> list:
    """Path, size and modification time, to recognise a changed file."""
    status = path.stat()
    return [str(path.absolute()), status.st_size, status.st_mtime_ns]


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


def _bytes_needed(observations: xr.Dataset, members: int) -> int:
    """Disk space for the fields of all dates twice, and for the scratch arrays of one date."""
    field = 4 * int(np.prod([observations.sizes[name] for name in DIMS[1:]]))
    return field * (2 * (members + 4) * observations.sizes["time"] + 24)


def assemble_profiles(
    table: xr.Dataset, observations: xr.Dataset, drawn: xr.Dataset, statistics: xr.Dataset
) -> xr.Dataset:
    """One dataset of observations, reconstruction and the profiles themselves.

    Args:
        table: profiles with their cells, from `gridding.to_cells`.
        observations: from `gridding.observe_profiles`.
        drawn: from `reconstruct`, for the same dates.
        statistics: of the model.
    """
    observed = observations[["value", "observed", "error", "count", "ocean"]]
    return xr.merge([drawn, observed, _describe(table)], join="exact").assign_attrs(
        title="Reconstruction from real profiles",
        profiles=profiles.describe_use(table),
        credit="; ".join(filter(None, (statistics.attrs["credit"], table.attrs["credit"]))),
        licence=statistics.attrs["licence"],
    )


def prepare_profiles(
    paths: Paths, checkpoint: str | Path, path: str | Path, show: Callable[[str], None] = print
) -> Path:
    """Put profiles on a model's grid, in a file of observations.

    Args:
        paths: files of profiles, as for `observations.profiles.open_profiles`.
        checkpoint: path of the model.
        path: where to write; a file made from the same profiles is kept.
        show: receives a line that says how many profiles are used.

    Returns:
        The path of the file.

    Raises:
        FileExistsError: the file at `path` was made from other inputs.
        ValueError: the profiles cannot be used; see `open_profiles`.
    """
    path = Path(path)
    sources = (Path(checkpoint), *profiles.find_profile_files(paths))
    made_from = str([_fingerprint(source) for source in sources])
    if path.exists():
        with xr.open_dataset(path, engine="netcdf4") as existing:
            if existing.attrs.get("made_from") != made_from:
                raise FileExistsError(f"{path} exists, made from something else; move it away")
        return path
    statistics = Densifier.load(checkpoint).statistics
    kind = statistics.attrs["standard_name"]
    table = profiles.open_profiles(paths, statistics.depth.values, kind)
    table = gridding.to_cells(table, statistics)
    show(profiles.describe_use(table))
    _write_gridded(table, statistics, path, made_from)
    return path


def _write_gridded(table: xr.Dataset, statistics: xr.Dataset, path: Path, made_from: str) -> None:
    """Write what `open_observations` reads, with the profiles beside the grid."""
    rows = gridding.average_in_cells(table, statistics)
    kind = {key: table.temperature.attrs[key] for key in ("standard_name", "units")}
    error = {"units": "degrees_C", "long_name": "instrument and representativeness"}
    encoding = {name: COMPRESSED for name in ("temperature", "error", "count")}
    parts: list[Path] = []
    try:
        for number, (_, rows_of_month) in enumerate(rows.groupby("month")):
            month = gridding.to_grid(rows_of_month, statistics).drop_vars(["observed", "ocean"])
            month = month.rename(value="temperature")
            month.temperature.attrs, month["error"].attrs = kind, error
            month["count"].attrs = {"units": "1", "long_name": "profiles"}
            parts.append(path.with_name(f".{path.name}.{os.getpid()}.{number}.partial"))
            month.to_netcdf(parts[-1], engine="netcdf4", encoding=encoding)
        months = xr.open_mfdataset(parts, engine="netcdf4", combine="nested", concat_dim="time")
        with months, atomic_write(path) as beside:
            attributes = {
                "made_from": made_from,
                "profiles": profiles.describe_use(table),
                "credit": table.attrs["credit"],
            }
            months.assign_attrs(attributes).to_netcdf(beside, engine="netcdf4", encoding=encoding)
            _describe(table).to_netcdf(beside, engine="netcdf4", mode="a")
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _describe(table: xr.Dataset) -> xr.Dataset:
    """Platform, place, time and status of every profile, as variables of a file."""
    names = ("platform", "station", "status", "time", "latitude", "longitude")
    arrays = {named("profile", name): table[name].values for name in names}
    return xr.Dataset(
        {
            name: ("profile", array.astype(str) if array.dtype == object else array)
            for name, array in arrays.items()
        }
    )
