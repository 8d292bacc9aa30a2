"""reconstruction.nc: what it holds, how it is written and read.

    truth (time, depth, latitude, longitude) · ocean (depth, latitude, longitude)
    observed, value, error (case, time, depth, latitude, longitude) · surface, surface_observed
    members (case, time, member, depth, latitude, longitude) · mean, spread, background, climatology
    deviation, the error that the first stage states of its mean, where the model has one
    calibration, calibration_power (case, depth), by which validation months change the spread
    of further variables the same with their name in front, such as salinity_mean

°C, float32, NaN outside the ocean; masks are written as int8 and read back as bool.  `blank` and
`join` write the same variables without a case, a date at a time, in bounded memory.
"""

from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from ocean_lib.core.atomic import atomic_write
from ocean_lib.fields.conventions import named

__all__ = [
    "assemble_cases",
    "create_date_file",
    "join_dates",
    "observations_of_case",
    "read_reconstruction",
    "select",
    "write_reconstruction",
]


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
    "deviation": "standard deviation of the mean's error, as the first stage states it",
    "background": "optimal interpolation that the networks start from",
    "background_error": "standard deviation of the background's error",
    "observed": "whether a value was observed here",
}
# A ten-thousandth of a degree: finer than any source, and half the size.
PACKED = {"zlib": True, "complevel": 1, "least_significant_digit": 4}
ROWS, COLUMNS = 64, 512  # of a chunk


def assemble_cases(
    fields: xr.Dataset, seen: dict[str, xr.Dataset], drawn: dict[str, xr.Dataset]
) -> xr.Dataset:
    """One dataset over cases from truth, observations and reconstructions.

    Args:
        fields: canonical dataset.    seen: {case: observations}.    drawn: {case: reconstruction}.
    """
    cases = []
    for name, result in drawn.items():
        given = seen[name][_observed(seen[name])]
        cases.append(xr.merge([result, given], join="exact", compat="override"))
    together = xr.concat(cases, xr.Variable("case", list(drawn)))
    for variable, field in fields.data_vars.items():
        if field.dims == fields.temperature.dims:
            together[named(variable, "truth")] = field
    together["ocean"] = fields.ocean
    return together.assign_attrs(title="Reconstruction from sparse observations", **fields.attrs)


def observations_of_case(dataset: xr.Dataset, case: str) -> xr.Dataset:
    """The observations of one case of `assemble`, as `dataset.observe` gave them."""
    one = dataset.sel(case=case)
    return one[["ocean", *_observed(one)]]


def _observed(dataset: xr.Dataset) -> list[str]:
    """What belongs to the observations, of further variables too."""
    return [name for name in dataset.data_vars if str(name).endswith(OBSERVED)]


def write_reconstruction(dataset: xr.Dataset, path) -> Path:
    """Write CF NetCDF, float32 and compressed; whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = dataset.assign_attrs(Conventions="CF-1.11")
    encoding: dict = {"time": TIME}
    for name, attributes in ATTRIBUTES.items():
        dataset[name].attrs.update(attributes)
    for name, array in dataset.data_vars.items():
        if array.dtype == bool:
            encoding[name] = {"dtype": "int8", "zlib": True, "complevel": 1}
        elif array.dtype.kind == "f":
            encoding[name] = {"dtype": "float32", **PACKED}
    with atomic_write(path) as beside:
        dataset.to_netcdf(beside, encoding=encoding, engine="netcdf4")
    return path


def create_date_file(path, date: xr.Dataset, names: list[str], members: int, units: dict[str, str]):
    """An open `netCDF4.Dataset` of one date, its variables `names` and `observed` not yet filled.

    Args:
        date: of one time, for its coordinates.    units: by name.
        members: 0 where none of the names has members.
    """
    grid = ("depth", "latitude", "longitude")
    coordinates = {name: (name, date[name].values, ATTRIBUTES[name]) for name in grid}
    coordinates = xr.Dataset(coords=coordinates | {"time": date.time.values[0]})
    coordinates.to_netcdf(path, encoding={"time": TIME}, engine="netcdf4")
    file = netCDF4.Dataset(path, "a")
    if members:
        file.createDimension("member", members)
    sizes = {name: date.sizes[name] for name in grid}
    chunk = [sizes["depth"], min(ROWS, sizes["latitude"]), min(COLUMNS, sizes["longitude"])]
    for name in [*names, "observed"]:
        dims = ("member", *grid) if name.endswith("members") else grid
        given = {"chunksizes": [1] * (len(dims) - 3) + chunk}
        given |= {"zlib": True} if name == "observed" else {"fill_value": np.nan, **PACKED}
        variable = file.createVariable(name, "i1" if name == "observed" else "f4", dims, **given)
        known = [key for key in LONG_NAMES if name == key or name.endswith(f"_{key}")]
        variable.long_name = LONG_NAMES[max(known, key=len)] if known else name
        if name in units:
            variable.units = units[name]
    return file


def join_dates(parts: list[Path], ocean: xr.DataArray, path, attributes: dict[str, str]) -> None:
    """One CF file of the dates in `parts`, chunk by chunk."""
    import dask

    together = xr.open_mfdataset(parts, combine="nested", concat_dim="time", chunks={})
    grid = ("depth", "latitude", "longitude")
    together["ocean"] = grid, ocean.transpose(*grid).data, {"long_name": "sea water at that depth"}
    together = together.assign_attrs(Conventions="CF-1.11", **attributes)
    encoding: dict = {"time": TIME}
    for name, array in together.data_vars.items():
        if array.dtype.kind == "f":
            sizes = [array.sizes[dim] for dim in array.dims[-2:]]
            chunk = [array.sizes["depth"], min(ROWS, sizes[0]), min(COLUMNS, sizes[1])]
            chunk = [1] * (array.ndim - 3) + chunk
            encoding[name] = {"dtype": "float32", "chunksizes": chunk, **PACKED}
        else:
            encoding[name] = {"dtype": "int8", "zlib": True}
    together = together.drop_encoding()
    with together, dask.config.set(scheduler="synchronous"):
        together.to_netcdf(path, encoding=encoding, engine="netcdf4")


def read_reconstruction(path) -> xr.Dataset:
    """The dataset of a file that `write` wrote, in memory, masks as bool.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no reconstruction at {path}; run notebook 04_sampling first")
    dataset = xr.load_dataset(path, engine="netcdf4")
    masks = [name for name in dataset.data_vars if str(name).endswith(MASKS)]
    return dataset.assign({name: dataset[name].astype(bool) for name in masks})


def select(reconstruction, *, case=None, time=None, depth=None):
    """One case, month and level of a reconstruction: the nearest labels, the first where None.

    Masks stored as integers come back as bool. Raises ValueError for a case it does not hold.
    """
    chosen = reconstruction
    if "case" in chosen.dims:
        names = [str(name) for name in chosen["case"].values]
        if case is not None and case not in names:
            raise ValueError(f"case {case!r} is not in this reconstruction; choose from {names}")
        chosen = chosen.isel(case=0 if case is None else names.index(case))
    if "time" in chosen.dims:
        chosen = (
            chosen.isel(time=0)
            if time is None
            else chosen.sel(time=np.datetime64(time, "ns"), method="nearest")
        )
    if depth is not None:
        chosen = chosen.sel(depth=depth, method="nearest")
    masks = [name for name in ("ocean", "observed", "surface_observed") if name in chosen]
    return chosen.assign({name: chosen[name].astype(bool) for name in masks})
