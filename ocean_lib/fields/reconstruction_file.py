"""File of a reconstruction, reconstruction.nc: its content, and how it is written and read.

    truth (time, depth, latitude, longitude) · ocean (depth, latitude, longitude)
    observed, value, error (case, time, depth, latitude, longitude)
    surface_temperature, sea_level, surface_salinity and where they are seen, such as
        sea_level_observed (case, time, latitude, longitude)
    members (case, time, member, depth, latitude, longitude) · mean, spread, background, climatology
    background_error, deviation: standard deviations of the errors of background and first stage
    calibration, calibration_power (case, depth): correction of the spread, fitted on validation;
        background_calibration, regression_calibration and so on: of those two errors
    further variables likewise, with their name as prefix, such as salinity_mean
    derived quantities: NAME_truth, NAME_climatology, NAME_members, their NAME_mean and NAME_error

°C, float32, NaN outside the ocean; masks are written as int8 and read back as bool.
observations.nc holds what is observed on all test dates. `create_date_file` and `join_dates` write
variables without a case, one date at a time, in bounded memory.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from ocean_lib.core.atomic import atomic_write
from ocean_lib.fields.conventions import DIMS, SURFACES, named
from ocean_lib.fields.plausibility import check_field

__all__ = [
    "assemble_cases",
    "assemble_observations",
    "create_date_file",
    "join_dates",
    "observations_of_case",
    "open_reconstruction",
    "read_reconstruction",
    "select",
    "write_reconstruction",
]


GRID = DIMS[1:]
OBSERVED = ("value", "observed", "error", *SURFACES)
DRAWN = ("members", "mean", "spread", "background", "background_error", "deviation")
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
    "ocean": "sea water at that depth",
}
PACKED = {"zlib": True, "complevel": 1, "least_significant_digit": 4}  # half the size
ROWS, COLUMNS = 64, 512  # of a chunk of a file
CHUNK_CACHE = 2**22  # bytes that an open file keeps of each variable; by default up to 64 MiB


def assemble_cases(
    fields: xr.Dataset, seen: dict[str, xr.Dataset], drawn: dict[str, xr.Dataset]
) -> xr.Dataset:
    """Combine truth, observations and reconstructions into one dataset over cases.

    Args:
        fields: canonical dataset, the truth.
        seen: {case: observations}.
        drawn: {case: reconstruction}, with the attribute `bounds`.
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
    attributes = {"title": "Reconstruction from sparse observations", **fields.attrs}
    told = (f"{name}: {result.attrs['bounds']}" for name, result in drawn.items())
    attributes |= {"bounds": "\n".join(told)}
    return combined.assign_attrs(attributes)


def assemble_observations(seen: dict[str, xr.Dataset]) -> xr.Dataset:
    """Combine the observations of each case, for `observations_of_case`."""
    cases = xr.concat(seen.values(), xr.Variable("case", list(seen)))
    return cases.assign(ocean=cases.ocean[0].drop_vars("case"))


def observations_of_case(dataset: xr.Dataset, case: str) -> xr.Dataset:
    """Extract the observations of one case, as `observations.batch.observe` returned them.

    Args:
        dataset: from `assemble_cases` or `assemble_observations`.
        case: name of the case.
    """
    selected = dataset.sel(case=case)
    return selected[["ocean", *_observed(selected)]]


def _observed(dataset: xr.Dataset) -> list:
    """Names of the variables that belong to the observations, unlike errors of what is drawn."""
    derived = [str(name)[:-5] for name in dataset.data_vars if str(name).endswith("_mean")]
    other = (*DRAWN, *(f"{name}_error" for name in derived if f"{name}_value" not in dataset))
    names = [str(name) for name in dataset.data_vars if str(name).endswith(OBSERVED)]
    return [name for name in names if not name.endswith(other)]


def _restore_masks(dataset: xr.Dataset) -> xr.Dataset:
    """Convert masks held as integers to bool."""
    masks = [name for name in dataset.data_vars if str(name).endswith(MASKS)]
    masks = [name for name in masks if dataset[name].dtype != bool]
    return dataset.assign({name: dataset[name].astype(bool) for name in masks})


def write_reconstruction(dataset: xr.Dataset, path: str | Path) -> Path:
    """Write a reconstruction as CF NetCDF, float32 and compressed, atomically.

    Args:
        dataset: from `assemble_cases`.
        path: file to write; its folder is created.
    Raises:
        ValueError: a drawn value is impossible in the sea.
    """
    path = Path(path)
    if "ocean" in dataset:  # not so in the results of other methods
        _check_drawn(dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = dataset.assign_attrs(Conventions="CF-1.11")
    for name, attributes in ATTRIBUTES.items():
        dataset[name].attrs.update(attributes)
    encoding: dict = {"time": TIME}
    for variable, array in dataset.data_vars.items():
        chunks = {"chunksizes": _chunk_sizes(array.sizes)} if array.dims else {}
        if array.dtype == bool:
            encoding[variable] = {"dtype": "int8", "zlib": True, "complevel": 1, **chunks}
        elif array.dtype.kind == "f":
            encoding[variable] = {"dtype": "float32", **PACKED, **chunks}
    with atomic_write(path) as temporary:
        dataset.to_netcdf(temporary, encoding=encoding, engine="netcdf4")
    return path


def _check_drawn(dataset: xr.Dataset) -> None:
    """Check the quantities of a reconstruction in all cases and on all dates."""
    place = {name: dataset[name].values for name in GRID}
    ocean = dataset["ocean"].transpose(*GRID).values.astype(bool)
    for name, array in dataset.data_vars.items():
        if str(name).endswith(DRAWN) and {"time", *GRID} <= {*array.dims}:
            for date in array.transpose("time", ..., *GRID):
                check_field(str(name), date.values, ocean, place | {"time": date.time.values})


def create_date_file(
    path: str | Path, sizes: dict[str, int], names: Iterable[str]
) -> netCDF4.Dataset:
    """Create the file of one date, which `join_dates` reads, and leave it open.

    Args:
        path: file to create.
        sizes: of depth, latitude and longitude, and of `member` if there are members.
        names: variables to create; `observed` is added.
    """
    file = netCDF4.Dataset(path, "w")
    file.set_fill_off()  # every value is written
    for name, size in sizes.items():
        file.createDimension(name, size)
    for name in names:
        file.createVariable(name, "f4", _dims(name), fill_value=False)
    file.createVariable("observed", "i1", GRID, fill_value=False)
    return file


def _dims(name: str) -> tuple[str, ...]:
    """Dimensions of a variable on one date."""
    return ("member", *GRID) if name.endswith("members") else GRID


def _chunk_sizes(sizes: Mapping[Hashable, int]) -> list[int]:
    """Sizes of a chunk of a file: all levels of some rows and columns of one date and member.

    Args:
        sizes: {dimension: size} of the variable.
    """
    most = {"latitude": ROWS, "longitude": COLUMNS, "depth": sizes.get("depth", 1)}
    return [min(size, most.get(dim, 1)) for dim, size in sizes.items()]


def join_dates(
    parts: Sequence[Path],
    grid: xr.Dataset,
    path: str | Path,
    units: dict[str, str],
    attributes: dict[str, str],
) -> None:
    """Join the files of all dates into one CF file, some rows at a time.

    Args:
        parts: files from `create_date_file`, in order.
        grid: dataset with the coordinates of all dates, and `ocean` (depth, latitude, longitude).
        path: file to write.
        units: {variable: unit} of the variables but `observed`.
        attributes: global attributes.
    """
    axes = {name: (name, grid[name].values, ATTRIBUTES[name]) for name in GRID}
    coordinates = xr.Dataset(coords=axes | {"time": grid.time.values})
    coordinates.to_netcdf(path, encoding={"time": TIME}, engine="netcdf4")
    ocean = grid.ocean.transpose(*GRID)
    height = grid.sizes["latitude"]
    pieces = [slice(top, min(top + ROWS, height)) for top in range(0, height, ROWS)]
    with netCDF4.Dataset(path, "a") as joined:
        joined.setncatts({"Conventions": "CF-1.11", **attributes})
        with netCDF4.Dataset(parts[0]) as first:
            if "member" in first.dimensions:
                joined.createDimension("member", first.dimensions["member"].size)
        for name in (*units, "observed", "ocean"):
            _define(joined, name, units.get(name))
        for rows in pieces:
            joined["ocean"][:, rows] = ocean.isel(latitude=rows).values
        for date, part in enumerate(parts):
            with netCDF4.Dataset(part) as file:
                file.set_auto_mask(False)
                for name in (*units, "observed"):
                    for member in np.ndindex(file[name].shape[:-3]):
                        for rows in pieces:
                            at = (*member, slice(None), rows)
                            joined[name][(date, *at)] = file[name][at]


def _define(file: netCDF4.Dataset, name: str, unit: str | None) -> None:
    """Define a variable of all dates."""
    dims = GRID if name == "ocean" else ("time", *_dims(name))
    sizes = _chunk_sizes({dim: file.dimensions[dim].size for dim in dims})
    if name in MASKS:
        variable = file.createVariable(name, "i1", dims, chunksizes=sizes, zlib=True)
    else:
        choices = {"chunksizes": sizes, "fill_value": np.nan, **PACKED}
        variable = file.createVariable(name, "f4", dims, **choices)
        variable.units = unit
    known = [key for key in LONG_NAMES if name == key or name.endswith(f"_{key}")]
    variable.long_name = LONG_NAMES[max(known, key=len)] if known else name


def open_reconstruction(path: str | Path) -> xr.Dataset:
    """Open a file from `write_reconstruction` or `join_dates`, masks as bool; values are not read.

    Indexing selects without reading, and an operation reads what it needs: select first. The file
    stays open until the dataset is closed or nothing refers to it.

    Args:
        path: file to open.
    Raises:
        FileNotFoundError: there is no such file.
        OSError: it is no NetCDF file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no reconstruction at {path}; run notebook 04_sampling first")
    usual = netCDF4.get_chunk_cache()[0]
    netCDF4.set_chunk_cache(CHUNK_CACHE)
    try:
        stored = xr.open_dataset(path, engine="netcdf4", decode_cf=False, cache=False)
    finally:
        netCDF4.set_chunk_cache(usual)
    for name, array in stored.data_vars.items():
        if str(name).endswith(MASKS):
            array.attrs["dtype"] = "bool"  # xarray's own mark, so it converts what it reads
    return xr.decode_cf(stored)


def read_reconstruction(path: str | Path) -> xr.Dataset:
    """Read a file from `write_reconstruction` into memory, masks as bool.

    Args:
        path: file to read.
    Raises:
        FileNotFoundError: there is no such file.
    """
    with open_reconstruction(path) as stored:
        return stored.load()


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
