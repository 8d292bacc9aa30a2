"""From a checkpoint and a file of observations to a file of dense fields, without a run.

What is known of the model's skill here comes first: what it was not trained for, and the
self-check (`trust`). The fields are written as they are drawn, date by date, into a folder beside
the output; a file appears under the output's name when all of it is there, and the same call again
after an interruption keeps the dates that are finished. Memory is bounded by the tile.

Files of floats: observations on a model's grid, and what was made of them, profiles beside them.

A file of observations is written a month at a time, so that memory is bounded by a month of the
model's domain however many profiles there are.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib import __version__
from ocean_lib.core.atomic import atomic_write
from ocean_lib.core.months import neighbouring_dates
from ocean_lib.core.resumable import Construction, construction
from ocean_lib.fields.conventions import named
from ocean_lib.fields.files import find_files, open_file
from ocean_lib.fields.reconstruction_file import create_date_file, join_dates
from ocean_lib.model.densifier import Densifier
from ocean_lib.observations import gridding, profiles
from ocean_lib.observations.gridded import count_observations, open_observations
from ocean_lib.reconstruct.ensemble import check_choices, reconstruct_date, rows_to_do
from ocean_lib.reconstruct.self_check import extend_statistics, outside_training, self_check

__all__ = ["assemble_profiles", "reconstruct_files", "fingerprint", "prepare_profiles"]


IN_MEMORY = 6e8  # bytes of three dates' observations that are read at once
CHUNK = 4  # members at a time
GRID = ("depth", "latitude", "longitude")


def reconstruct_files(
    checkpoint,
    paths,
    output,
    *,
    members: int = 16,
    steps: int = 10,
    sampler: str = "dpm++",
    seed: int = 0,
    tile: int = 160,
    device: str = "cpu",
    fallback: bool = False,
    show: Callable[[str], None] = print,
    progress: Callable[[Iterable, int], Iterable] = lambda records, total: records,
) -> Path:
    """Write `output`: mean, spread and members of every date on the observations' rows and columns.

    Args:
        checkpoint: written by `Densifier.save`.    paths: as `observations.open_observations`.
        fallback: write the background instead where the self-check finds ours worse than it.
        show: is given lines of text, the outcome of the self-check first.
        progress: wraps the records of rows done, as `runs.progress` does.
        others: as for `reconstruction.reconstruct`.
    Raises:
        FileNotFoundError, ValueError: checkpoint or observations cannot be used.
        FileExistsError: `output` exists, made from something else.
        BlockingIOError: another process is writing it.    OSError: the disk is too full.
    """
    output = Path(output).absolute()
    _check_output(output)
    model = Densifier.load(checkpoint, device=device)
    check_choices(model, members, steps, sampler, tile)
    drawing = {"steps": steps, "sampler": sampler, "seed": seed, "tile": tile}
    files = [fingerprint(path) for path in (Path(checkpoint), *find_files(paths))]
    plan = {"version": __version__, "files": files, "fallback": fallback, "members": members}
    plan |= drawing
    if output.exists():
        if _plan_of(output) == str(plan):
            show(f"{output} is there already, made by this same command")
            return output
        raise FileExistsError(f"{output} exists, made from something else; choose another name")
    observations, number = count_observations(open_observations(paths, model.statistics))
    warnings = outside_training(model, observations)
    model.statistics = extend_statistics(model.statistics, observations)
    with construction(output) as beside:
        work = Construction(beside, plan)
        work.check_space(_bytes(observations, members))
        if "self-check" not in work.done:
            given = {"members": members, "device": device, **drawing}
            check = self_check(model, observations, **given)
            table = check.rmse().round(3).to_string() if check.groups else "too few to withhold any"
            worse = check.worse_than("background")
            work.done["self-check"] = {"told": check.verdict(), "worse": worse, "table": table}
            work.save()
        told = work.done["self-check"]
        show(told["told"])
        for line in warnings:
            show(f"WARNING: {line}")
        show(f"RMSE at withheld observations by depth, °C\n{told['table']}")
        sizes = ", ".join(f"{observations.sizes[name]} {name}" for name in ("time", *GRID))
        show(f"{number} observations on {sizes}. {model.statistics.attrs['credit']}")
        title = "Reconstruction from sparse observations"
        if fallback and told["worse"]:
            members, title = 0, "Background (optimal interpolation) from sparse observations"
            show("the background is written in place of the reconstruction, as --fallback asks")
        records = _dates(model, observations, work.work, members, drawing, device)
        for _ in progress(records, _rows(model, observations, members, steps)):
            pass
        attributes = {
            "title": title,
            "self_check": told["told"],
            "warnings": "\n".join(warnings),
            "source": f"ocean_lib {__version__}, {model.mode}, {Path(checkpoint).name}",
            "plan": str(plan),
            **{name: model.statistics.attrs[name] for name in ("credit", "licence")},
        }
        whole = work.work / "whole.nc"
        join_dates(sorted(work.work.glob("date_*.nc")), observations.ocean, whole, attributes)
        _add_profiles(paths, whole)
        os.replace(whole, output)
        shutil.rmtree(beside)
    return output


def _rows(model: Densifier, observations: xr.Dataset, members: int, steps: int) -> int:
    each = rows_to_do(model, observations.sizes["latitude"], members, steps, CHUNK)
    return observations.sizes["time"] * each


def _dates(model, observations, folder, members, drawing, device) -> Iterator[dict]:
    """Draw the dates that are not there yet, each into a file of its own."""
    names = ["mean", "spread"] + (["background", "background_error", "members"] if members else [])
    sources = names if members else ["background", "background_error"]
    attributes = model.statistics.attrs
    variables, choices = attributes["variables"], {"device": device, "chunk": CHUNK, **drawing}
    units = {named(v, name): attributes["units"][v] for v in variables for name in names}
    each = _rows(model, observations.isel(time=[0]), members, drawing["steps"])
    beside_each = neighbouring_dates(observations.time.values, model.background.reach)
    for month in range(observations.sizes["time"]):
        path = folder / f"date_{month:05d}.nc"
        if not path.exists():
            one = observations.isel(time=[month])
            near = sorted({month, *(int(date) for date in beside_each[month] if date >= 0)})
            some = observations.isel(time=near)
            some = some.load() if some.nbytes < IN_MEMORY else some
            part = path.with_suffix(".part")
            with create_date_file(part, one, list(units), members, units) as file:
                out = {
                    named(v, source): file[named(v, name)]
                    for v in variables
                    for source, name in zip(sources, names)
                }
                given = {"number": near.index(month), "noise": month, "members": members}
                for done in reconstruct_date(model, some, out, folder=folder, **given, **choices):
                    yield {"step": month * each + done}
                file["observed"][:] = one.observed.values[0]
            os.replace(part, path)
        yield {"step": (month + 1) * each}


def _add_profiles(paths, whole: Path) -> None:
    """What a file of observations says of the profiles it was made from, beside the fields."""
    for path in find_files(paths):
        with open_file(path) as given:
            told = [name for name, array in given.data_vars.items() if array.dims == ("profile",)]
            if told:
                of = {"profiles": given.attrs["profiles"], "profiles_credit": given.attrs["credit"]}
                profiles = given[told].load().drop_attrs(deep=False).assign_attrs(of)
                profiles.to_netcdf(whole, mode="a", engine="netcdf4")


def fingerprint(path: Path) -> list:
    """What tells whether a file is still the one that it was."""
    told = path.stat()
    return [str(path.absolute()), told.st_size, told.st_mtime_ns]


def _plan_of(output: Path) -> str | None:
    try:
        with xr.open_dataset(output, engine="netcdf4") as dataset:
            return dataset.attrs.get("plan")
    except (OSError, ValueError):
        return None


def _check_output(output: Path) -> None:
    if output.suffix != ".nc":
        raise ValueError(f"output {output} must end in .nc, the format that is written; rename it")
    if not output.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {output.parent}; create it first")
    if not os.access(output.parent, os.W_OK):
        raise PermissionError(f"{output.parent} is not writable; choose another folder")


def _bytes(observations: xr.Dataset, members: int) -> int:
    """What the disk has to hold: the fields of all dates twice, and what one date needs."""
    field = 4 * int(np.prod([observations.sizes[name] for name in GRID]))
    return field * (2 * (members + 4) * observations.sizes["time"] + 24)


COMPRESSED = {"zlib": True, "complevel": 1}


def assemble_profiles(
    table: xr.Dataset, observations: xr.Dataset, drawn: xr.Dataset, statistics: xr.Dataset
) -> xr.Dataset:
    """One dataset of what was observed, what was made of it, and the profiles themselves.

    Args:
        table: of `cells`.    observations: of `observe`.
        drawn: of `reconstruction.reconstruct`, of the same dates, by a model of `statistics`.
    """
    kept = observations[["value", "observed", "error", "count", "ocean"]]
    return xr.merge([drawn, kept, _beside(table)], join="exact").assign_attrs(
        title="Reconstruction from real profiles",
        profiles=profiles.describe_use(table),
        credit="; ".join(filter(None, (statistics.attrs["credit"], table.attrs["credit"]))),
        licence=statistics.attrs["licence"],
    )


def prepare_profiles(paths, checkpoint, path, show: Callable[[str], None] = print) -> Path:
    """Files of profiles as a file of observations on a model's grid, which is kept if it is there.

    Args:
        checkpoint: of the model.
        path: of the file to write; one made from the same files is left as it is.
    Raises:
        FileExistsError: `path` is something else.    Others as `profiles.open_profiles`.
    """
    path = Path(path)
    made_from = str(
        [fingerprint(each) for each in (Path(checkpoint), *profiles.find_profile_files(paths))]
    )
    if path.exists():
        with xr.open_dataset(path, engine="netcdf4") as there:
            if there.attrs.get("made_from") != made_from:
                raise FileExistsError(f"{path} exists, made from something else; move it away")
        return path
    statistics = Densifier.load(checkpoint).statistics
    kind = statistics.attrs["standard_name"]
    table = gridding.to_cells(
        profiles.open_profiles(paths, statistics.depth.values, kind), statistics
    )
    show(profiles.describe_use(table))
    _write(table, statistics, path, {"made_from": made_from})
    return path


def _write(table: xr.Dataset, statistics: xr.Dataset, path: Path, attributes: dict) -> None:
    """What `observations.open_observations` reads, with the profiles beside the grid."""
    rows = gridding.average_in_cells(table, statistics)
    kind = {key: table.temperature.attrs[key] for key in ("standard_name", "units")}
    stated = {"units": "degrees_C", "long_name": "instrument and representativeness"}
    encoding = {name: COMPRESSED for name in ("temperature", "error", "count")}
    parts = []
    try:
        for number, (_, own) in enumerate(rows.groupby("month")):
            month = gridding.to_grid(own, statistics).drop_vars(["observed", "ocean"])
            month = month.rename(value="temperature")
            month.temperature.attrs, month["error"].attrs = kind, stated
            month["count"].attrs = {"units": "1", "long_name": "profiles"}
            parts.append(path.with_name(f".{path.name}.{os.getpid()}.{number}.partial"))
            month.to_netcdf(parts[-1], engine="netcdf4", encoding=encoding)
        together = xr.open_mfdataset(parts, engine="netcdf4", combine="nested", concat_dim="time")
        with together, atomic_write(path) as beside:
            told = attributes | {
                "profiles": profiles.describe_use(table),
                "credit": table.attrs["credit"],
            }
            together.assign_attrs(told).to_netcdf(beside, engine="netcdf4", encoding=encoding)
            _beside(table).to_netcdf(beside, engine="netcdf4", mode="a")
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _beside(table: xr.Dataset) -> xr.Dataset:
    """What a file says of the profiles: which, where, when, and what became of them."""
    names = ("platform", "station", "status", "time", "latitude", "longitude")
    arrays = {named("profile", name): table[name].values for name in names}
    return xr.Dataset(
        {
            name: ("profile", array.astype(str) if array.dtype == object else array)
            for name, array in arrays.items()
        }
    )
