"""File of a reconstruction, reconstruction.nc: its content, and how it is written and read.

    truth (time, depth, latitude, longitude) · ocean (depth, latitude, longitude)
    observed, value, error (case, time, depth, latitude, longitude) · surface, surface_observed
    members (case, time, member, depth, latitude, longitude) · mean, spread, background, climatology
    deviation: standard deviation of the error of the first stage, if the model has one
    calibration, calibration_power (case, depth): correction of the spread, fitted on validation
    further variables likewise, with their name as prefix, such as salinity_mean

°C, float32, NaN outside the ocean; masks are written as int8 and read back as bool.
`create_date_file` and `join_dates` write the same variables without a case, one date at a time, in
bounded memory.
"""

from collections.abc import Sequence
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from ocean_lib.core.atomic import atomic_write
from ocean_lib.fields.conventions import DIMS, named

__all__ = [
    "assemble_cases",
    "create_date_file",
    "join_dates",
    "observations_of_case",
    "read_reconstruction",
    "select",
    "write_reconstruction",
]


GRID = DIMS[1:]
OBSERVED = ("value", "observed", "error", "surface", "surface_observed")
MASKS = ("ocean", "observed")
ATTRIBUTES = {
    "latitude": {"standard_name": "latitude", "units": "degrees_north"},
    "longitude": {"standard_name": "longitude", "units": "degrees_east"},
    "depth": {"standard_name": "depth", "units": "m", "positive": "down"},
}
TIME = {"units": "days since 1950-01-01", "dtype": "float64"}
LONG_NAMES = {
    "members": "equally likely fields",
    "mean": "expected field",
    "spread": "standard deviation of the members",
    "deviation": "standard deviation of the error of the first stage",
    "background": "optimal interpolation, input of the networks",
    "background_error": "standard deviation of the background's error",
    "observed": "whether a value was observed here",
}
# 0.0001 °C is finer than any source and halves the size of the file.
PACKED = {"zlib": True, "complevel": 1, "least_significant_digit": 4}
ROWS, COLUMNS = 64, 512  # of a chunk of the file


def assemble_cases(
    fields: xr.Dataset, seen: dict[str, xr.Dataset], drawn: dict[str, xr.Dataset]
) -> xr.Dataset:
    """Combine truth, observations and reconstructions into one dataset over cases.

    Args:
        fields: canonical dataset, the truth.
        seen: {case: observations}.
        drawn: {case: reconstruction}.
    """
    cases = [
        xr.merge([result, seen[name][_observed(seen[name])]], join="exact", compat="override")
        for name, result in drawn.items()
    ]
    combined = xr.concat(cases, xr.Variable("case", list(drawn)))
    for variable, field in fields.data_vars.items():
        if field.dims == fields.temperature.dims:
            combined[named(str(variable), "truth")] = field
    combined["ocean"] = fields.ocean
    return combined.assign_attrs(title="Reconstruction from sparse observations", **fields.attrs)


def observations_of_case(dataset: xr.Dataset, case: str) -> xr.Dataset:
    """Extract the observations of one case, as `observations.batch.observe` returned them.

    Args:
        dataset: from `assemble_cases`.
        case: name of the case.
    """
    selected = dataset.sel(case=case)
    return selected[["ocean", *_observed(selected)]]


def _observed(dataset: xr.Dataset) -> list:
    """Names of the variables that belong to the observations."""
    return [name for name in dataset.data_vars if str(name).endswith(OBSERVED)]


def _restore_masks(dataset: xr.Dataset) -> xr.Dataset:
    """Convert masks stored as integers to bool."""
    masks = [name for name in dataset.data_vars if str(name).endswith(MASKS)]
    return dataset.assign({name: dataset[name].astype(bool) for name in masks})


def write_reconstruction(dataset: xr.Dataset, path: str | Path) -> Path:
    """Write a reconstruction as CF NetCDF, float32 and compressed, atomically.

    Args:
        dataset: from `assemble_cases`.
        path: file to write; its folder is created.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = dataset.assign_attrs(Conventions="CF-1.11")
    for name, attributes in ATTRIBUTES.items():
        dataset[name].attrs.update(attributes)
    encoding: dict = {"time": TIME}
    for variable, array in dataset.data_vars.items():
        if array.dtype == bool:
            encoding[variable] = {"dtype": "int8", "zlib": True, "complevel": 1}
        elif array.dtype.kind == "f":
            encoding[variable] = {"dtype": "float32", **PACKED}
    with atomic_write(path) as temporary:
        dataset.to_netcdf(temporary, encoding=encoding, engine="netcdf4")
    return path


def create_date_file(
    path: str | Path, date: xr.Dataset, names: list[str], members: int, units: dict[str, str]
) -> netCDF4.Dataset:
    """Create the file of one date, with empty variables, and leave it open.

    Args:
        path: file to create.
        date: dataset of a single time, for its coordinates.
        names: variables to create; `observed` is added.
        members: number of members; 0 if no name ends with `members`.
        units: {name: unit}.
    """
    axes = {name: (name, date[name].values, ATTRIBUTES[name]) for name in GRID}
    coordinates = xr.Dataset(coords=axes | {"time": date.time.values[0]})
    coordinates.to_netcdf(path, encoding={"time": TIME}, engine="netcdf4")
    file = netCDF4.Dataset(path, "a")
    if members:
        file.createDimension("member", members)
    for name in [*names, "observed"]:
        dims = ("member", *GRID) if name.endswith("members") else GRID
        kind, choices = ("f4", {"fill_value": np.nan, **PACKED})
        if name == "observed":
            kind, choices = "i1", {"zlib": True}
        sizes = _chunk_sizes(dims, date)
        variable = file.createVariable(name, kind, dims, chunksizes=sizes, **choices)
        known = [key for key in LONG_NAMES if name == key or name.endswith(f"_{key}")]
        variable.long_name = LONG_NAMES[max(known, key=len)] if known else name
        if name in units:
            variable.units = units[name]
    return file


def _chunk_sizes(dims: Sequence, array: xr.Dataset | xr.DataArray) -> list[int]:
    """Sizes of a chunk of the file: all levels of some rows and columns."""
    rows, columns = min(ROWS, array.sizes["latitude"]), min(COLUMNS, array.sizes["longitude"])
    return [1] * (len(dims) - 3) + [array.sizes["depth"], rows, columns]


def join_dates(
    parts: Sequence[Path], ocean: xr.DataArray, path: str | Path, attributes: dict[str, str]
) -> None:
    """Join the files of all dates into one CF file, chunk by chunk.

    Args:
        parts: files from `create_date_file`, in order.
        ocean: (depth, latitude, longitude) bool.
        path: file to write.
        attributes: its global attributes.
    """
    import dask

    joined = xr.open_mfdataset(parts, combine="nested", concat_dim="time", chunks={})
    joined["ocean"] = GRID, ocean.transpose(*GRID).data, {"long_name": "sea water at that depth"}
    joined = joined.assign_attrs(Conventions="CF-1.11", **attributes)
    encoding: dict = {"time": TIME}
    for name, array in joined.data_vars.items():
        encoding[name] = {"dtype": "int8", "zlib": True}
        if array.dtype.kind == "f":
            sizes = _chunk_sizes(array.dims, array)
            encoding[name] = {"dtype": "float32", "chunksizes": sizes, **PACKED}
    joined = joined.drop_encoding()
    with joined, dask.config.set(scheduler="synchronous"):
        joined.to_netcdf(path, encoding=encoding, engine="netcdf4")


def read_reconstruction(path: str | Path) -> xr.Dataset:
    """Read a file from `write_reconstruction` into memory, masks as bool.

    Args:
        path: file to read.
    Raises:
        FileNotFoundError: there is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no reconstruction at {path}; run notebook 04_sampling first")
    return _restore_masks(xr.load_dataset(path, engine="netcdf4"))


def select(
    reconstruction: xr.Dataset,
    *,
    case: str | None = None,
    time: str | np.datetime64 | None = None,
    depth: float | None = None,
) -> xr.Dataset:
    """Select one case, date and level of a reconstruction, masks as bool.

    Args:
        reconstruction: from `read_reconstruction`.
        case: name; None selects the first.
        time: the nearest date is selected; None selects the first.
        depth: m, the nearest level is selected; None keeps all levels.
    Raises:
        ValueError: the reconstruction does not hold the case.
    """
    selected = reconstruction
    if "case" in selected.dims:
        names = [str(name) for name in selected["case"].values]
        if case is not None and case not in names:
            raise ValueError(f"case {case!r} is not in this reconstruction; choose from {names}")
        selected = selected.isel(case=0 if case is None else names.index(case))
    if "time" in selected.dims and time is None:
        selected = selected.isel(time=0)
    elif "time" in selected.dims:
        selected = selected.sel(time=np.datetime64(time, "ns"), method="nearest")
    if depth is not None:
        selected = selected.sel(depth=depth, method="nearest")
    return _restore_masks(selected)
