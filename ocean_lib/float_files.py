"""Files of floats: observations on a model's grid, and what was made of them, profiles beside them.

A file of observations is written a month at a time, so that memory is bounded by a month of the
model's domain however many profiles there are.
"""

import os
from collections.abc import Callable
from pathlib import Path

import xarray as xr

from . import floats, profiles
from .dataset import named
from .densify import fingerprint
from .model import Densifier
from .whole import whole

__all__ = ["assemble", "prepare"]

COMPRESSED = {"zlib": True, "complevel": 1}


def assemble(
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
        profiles=profiles.told(table),
        credit="; ".join(filter(None, (statistics.attrs["credit"], table.attrs["credit"]))),
        licence=statistics.attrs["licence"],
    )


def prepare(paths, checkpoint, path, show: Callable[[str], None] = print) -> Path:
    """Files of profiles as a file of observations on a model's grid, which is kept if it is there.

    Args:
        checkpoint: of the model.
        path: of the file to write; one made from the same files is left as it is.
    Raises:
        FileExistsError: `path` is something else.    Others as `profiles.open_profiles`.
    """
    path = Path(path)
    made_from = str([fingerprint(each) for each in (Path(checkpoint), *profiles.files(paths))])
    if path.exists():
        with xr.open_dataset(path, engine="netcdf4") as there:
            if there.attrs.get("made_from") != made_from:
                raise FileExistsError(f"{path} exists, made from something else; move it away")
        return path
    statistics = Densifier.load(checkpoint).statistics
    kind = statistics.attrs["standard_name"]
    table = floats.cells(profiles.open_profiles(paths, statistics.depth.values, kind), statistics)
    show(profiles.told(table))
    _write(table, statistics, path, {"made_from": made_from})
    return path


def _write(table: xr.Dataset, statistics: xr.Dataset, path: Path, attributes: dict) -> None:
    """What `observations.open_observations` reads, with the profiles beside the grid."""
    rows = floats.averages(table, statistics)
    kind = {key: table.temperature.attrs[key] for key in ("standard_name", "units")}
    stated = {"units": "degrees_C", "long_name": "instrument and representativeness"}
    encoding = {name: COMPRESSED for name in ("temperature", "error", "count")}
    parts = []
    try:
        for number, (_, own) in enumerate(rows.groupby("month")):
            month = floats.dense(own, statistics).drop_vars(["observed", "ocean"])
            month = month.rename(value="temperature")
            month.temperature.attrs, month["error"].attrs = kind, stated
            month["count"].attrs = {"units": "1", "long_name": "profiles"}
            parts.append(path.with_name(f".{path.name}.{os.getpid()}.{number}.partial"))
            month.to_netcdf(parts[-1], engine="netcdf4", encoding=encoding)
        together = xr.open_mfdataset(parts, engine="netcdf4", combine="nested", concat_dim="time")
        with together, whole(path) as beside:
            told = attributes | {"profiles": profiles.told(table), "credit": table.attrs["credit"]}
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
