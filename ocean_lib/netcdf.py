"""reconstruction.nc: what it holds, how it is written and read.

    truth (time, depth, latitude, longitude) · ocean (depth, latitude, longitude)
    observed, value, error (case, time, depth, latitude, longitude) · surface, surface_observed
    members (case, time, member, depth, latitude, longitude) · mean, spread
    background, climatology and, where the model has one, regression

°C, float32, NaN outside the ocean; masks are written as int8 and read back as bool.
"""

import os
from pathlib import Path

import xarray as xr

__all__ = ["assemble", "observations", "read", "write"]

OBSERVED = ("value", "observed", "error", "surface", "surface_observed")
MASKS = ("ocean", "observed", "surface_observed")
ATTRIBUTES = {
    "latitude": {"standard_name": "latitude", "units": "degrees_north"},
    "longitude": {"standard_name": "longitude", "units": "degrees_east"},
    "depth": {"standard_name": "depth", "units": "m", "positive": "down"},
}


def assemble(
    fields: xr.Dataset, seen: dict[str, xr.Dataset], drawn: dict[str, xr.Dataset]
) -> xr.Dataset:
    """One dataset over cases from truth, observations and reconstructions.

    Args:
        fields: canonical dataset.    seen: {case: observations}.    drawn: {case: reconstruction}.
    """
    cases = []
    for name, result in drawn.items():
        given = seen[name][[v for v in OBSERVED if v in seen[name]]]
        cases.append(xr.merge([result, given], join="exact", compat="override"))
    together = xr.concat(cases, xr.Variable("case", list(drawn)))
    together["truth"] = fields.temperature
    together["ocean"] = fields.ocean
    return together.assign_attrs(title="Reconstruction from sparse observations", **fields.attrs)


def observations(dataset: xr.Dataset, case: str) -> xr.Dataset:
    """The observations of one case of `assemble`, as `dataset.observe` gave them."""
    one = dataset.sel(case=case)
    return one[["ocean", *(name for name in OBSERVED if name in one)]]


def write(dataset: xr.Dataset, path) -> Path:
    """Write CF NetCDF, float32 and compressed; whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = dataset.assign_attrs(Conventions="CF-1.11")
    encoding = {"time": {"units": "days since 1950-01-01", "dtype": "float64"}}
    for name, attributes in ATTRIBUTES.items():
        dataset[name].attrs.update(attributes)
    for name, array in dataset.data_vars.items():
        if array.dtype == bool:
            encoding[name] = {"dtype": "int8", "zlib": True, "complevel": 1}
        elif array.dtype.kind == "f":
            # A ten-thousandth of a degree: finer than any source, and half the size.
            encoding[name] = {"dtype": "float32", "zlib": True, "complevel": 1}
            encoding[name]["least_significant_digit"] = 4
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    dataset.to_netcdf(beside, encoding=encoding, engine="netcdf4")
    os.replace(beside, path)
    return path


def read(path) -> xr.Dataset:
    """The dataset of a file that `write` wrote, in memory, masks as bool.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no reconstruction at {path}; run notebook 04_sampling first")
    dataset = xr.load_dataset(path, engine="netcdf4")
    return dataset.assign({name: dataset[name].astype(bool) for name in MASKS if name in dataset})
