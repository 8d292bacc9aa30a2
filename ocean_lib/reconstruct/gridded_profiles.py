"""Profiles on a model's grid: a file of observations, and the profiles beside a reconstruction.

Surface fields of the same months, if there are any, lie in the file of observations too. The file
is written month by month, so memory is bounded by one month of the domain for any number of
profiles.
"""

from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from ocean_lib.core.atomic import atomic_write
from ocean_lib.core.disk import explaining_full_disk
from ocean_lib.fields.conventions import DIMS, MAP_DIMS, PRACTICAL, named
from ocean_lib.fields.files import Paths, find_files, open_file
from ocean_lib.model.densifier import Densifier
from ocean_lib.observations import gridding, profiles
from ocean_lib.observations.views import MonthlyViews

__all__ = ["append_profiles", "assemble_profiles", "fingerprint", "prepare_profiles"]


ERROR = "instrument and representativeness"  # what the stated errors are


def fingerprint(path: Path) -> list:
    """Path, size and modification time, to recognise a changed file."""
    status = path.stat()
    return [str(path.absolute()), status.st_size, status.st_mtime_ns]


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
    further = (
        named(variable, quantity)
        for variable in statistics.attrs["variables"][1:]
        for quantity in ("value", "observed", "error")
    )
    observed = observations[["value", "observed", "error", "count", "ocean", *further]]
    return xr.merge([drawn, observed, _describe(table)], join="exact").assign_attrs(
        title="Reconstruction from real profiles",
        profiles=profiles.describe_use(table),
        credit="; ".join(filter(None, (statistics.attrs["credit"], table.attrs["credit"]))),
        licence=statistics.attrs["licence"],
    )


def prepare_profiles(
    paths: Paths,
    checkpoint: str | Path,
    path: str | Path,
    show: Callable[[str], None] = print,
    *,
    surfaces: Paths = (),
    date_format: str | None = None,
    time_units: str | None = None,
) -> Path:
    """Put profiles, and surface fields of their months, on a model's grid, in a file.

    Args:
        paths: files of profiles, as for `observations.profiles.open_profiles`.
        checkpoint: path of the model.
        path: where to write; a file made from the same profiles is kept.
        show: receives lines that say how many profiles are used, and what was understood.
        surfaces: files of surface fields, as for `observations.views.MonthlyViews`.
        date_format: how tables write dates, as for `open_profiles`.
        time_units: what the times of tables count, as for `open_profiles`.

    Returns:
        The path of the file.

    Raises:
        FileExistsError: the file at `path` was made from other inputs.
        ValueError: the profiles or the surface fields cannot be used; see `open_profiles` and
            `MonthlyViews`.
    """
    path = Path(path)
    sources = (Path(checkpoint), *profiles.find_profile_files(paths))
    sources += (*find_files(surfaces),) if surfaces else ()
    made_from = str([[fingerprint(source) for source in sources], date_format, time_units])
    if path.exists():
        with xr.open_dataset(path, engine="netcdf4") as existing:
            if existing.attrs.get("made_from") != made_from:
                raise FileExistsError(f"{path} exists, made from something else; move it away")
        return path
    statistics = Densifier.load(checkpoint).statistics
    kind = statistics.attrs["standard_name"]
    table = profiles.open_profiles(
        paths, statistics.depth.values, kind, date_format=date_format, time_units=time_units
    )
    table = gridding.to_cells(table, statistics)
    show(profiles.describe_use(table))
    for line in _write_gridded(table, statistics, path, made_from, surfaces):
        show(line)
    return path


def _write_gridded(
    table: xr.Dataset, statistics: xr.Dataset, path: Path, made_from: str, surfaces: Paths
) -> list[str]:
    """Write what `open_observations` reads, with the profiles beside the grid.

    Returns:
        What was understood of the surface fields.
    """
    measured = gridding.measured_variables(statistics)
    rows = {name: gridding.average_in_cells(table, statistics, name) for name in measured}
    kind = {key: table.temperature.attrs[key] for key in ("standard_name", "units")}
    variables = {
        "temperature": ("temperature", "value", "f4", kind),
        "error": ("temperature", "error", "f4", {"units": "degrees_C", "long_name": ERROR}),
        "count": ("temperature", "count", "i2", {"units": "1", "long_name": "profiles"}),
    }
    if "salinity" in measured:
        kind = {"standard_name": PRACTICAL, "units": "1e-3"}
        variables["salinity"] = "salinity", "value", "f4", kind
        described = {"units": "1e-3", "long_name": ERROR}
        variables["salinity_error"] = "salinity", "error", "f4", described
    grid = {name: statistics[name] for name in DIMS[1:]}
    shape = [statistics.sizes[name] for name in DIMS[1:]]
    contents = _describe(table).assign_coords({"time": np.unique(rows["temperature"].month)} | grid)
    views = MonthlyViews(surfaces, statistics, contents.time.values)
    attributes = {
        "made_from": made_from,
        "profiles": profiles.describe_use(table),
        "credit": table.attrs["credit"],
    }
    with explaining_full_disk(path), atomic_write(path) as beside:
        contents.assign_attrs(attributes).to_netcdf(beside, engine="netcdf4")
        with netCDF4.Dataset(beside, "a") as file:
            for name, (_, _, dtype, described) in variables.items():
                choices = {"chunksizes": (1, *shape), "zlib": True, "complevel": 1}
                choices |= {"fill_value": np.nan} if dtype == "f4" else {}
                file.createVariable(name, dtype, DIMS, **choices)
                file[name].setncatts(described)
            for name, field in views.fields.items():
                sizes = {"chunksizes": (1, *shape[1:]), "zlib": True, "complevel": 1}
                file.createVariable(name, "f4", MAP_DIMS, fill_value=np.nan, **sizes)
                told = {key: field.attrs[key] for key in ("standard_name", "units", "source_name")}
                file[name].setncatts(told)
            for index, when in enumerate(contents.time.values):
                month = {
                    variable: gridding.to_grid(each[each.month == when], statistics)
                    for variable, each in rows.items()
                }
                for name, (variable, quantity, *_) in variables.items():
                    if month[variable].sizes["time"]:
                        file[name][index] = month[variable][quantity].values[0]
                for name, seen in views.read(index).items():
                    file[name][index] = seen
    return views.describe()


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


def append_profiles(paths: Paths, output: Path) -> None:
    """Copy the list of profiles, if a file of observations has one, into an output.

    Args:
        paths: files of observations.
        output: NetCDF file, which gains the profiles.
    """
    for path in find_files(paths):
        with open_file(path) as file:
            names = [name for name, array in file.data_vars.items() if array.dims == ("profile",)]
            if names:
                used, credit = file.attrs["profiles"], file.attrs["credit"]
                table = file[names].load().drop_attrs(deep=False)
                table = table.assign_attrs(profiles=used, profiles_credit=credit)
                table.to_netcdf(output, mode="a", engine="netcdf4")
