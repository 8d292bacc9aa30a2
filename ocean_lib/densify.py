"""From a checkpoint and a file of observations to a file of dense fields, without a run.

What is known of the model's skill here comes first: what it was not trained for, and the
self-check (`trust`). The fields are written as they are drawn, date by date, into a folder beside
the output; a file appears under the output's name when all of it is there, and the same call again
after an interruption keeps the dates that are finished. Memory is bounded by the tile.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from . import __version__
from .dataset import named
from .files import find_files, open_file
from .model import Densifier
from .netcdf import blank, join
from .observations import count, open_observations
from .reconstruction import check_choices, reconstruct_date, rows_to_do
from .resumable import Construction, construction
from .splits import beside
from .trust import everywhere, outside_training, self_check

__all__ = ["densify", "fingerprint"]

IN_MEMORY = 6e8  # bytes of three dates' observations that are read at once
CHUNK = 4  # members at a time
GRID = ("depth", "latitude", "longitude")


def densify(
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
    observations, number = count(open_observations(paths, model.statistics))
    warnings = outside_training(model, observations)
    model.statistics = everywhere(model.statistics, observations)
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
        join(sorted(work.work.glob("date_*.nc")), observations.ocean, whole, attributes)
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
    beside_each = beside(observations.time.values, model.background.reach)
    for month in range(observations.sizes["time"]):
        path = folder / f"date_{month:05d}.nc"
        if not path.exists():
            one = observations.isel(time=[month])
            near = sorted({month, *(int(date) for date in beside_each[month] if date >= 0)})
            some = observations.isel(time=near)
            some = some.load() if some.nbytes < IN_MEMORY else some
            part = path.with_suffix(".part")
            with blank(part, one, list(units), members, units) as file:
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
