"""Casts as a file of profiles of Argo's data centres, as far as `read_argo` needs one."""

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pandas as pd

__all__ = ["argo_arrays", "write_argo", "write_arrays"]


FILL = 99999.0
DIMS = ("N_PROF", "N_LEVELS", "STRING8")


def argo_arrays(casts: pd.DataFrame) -> dict[str, Any]:
    """{name: array} of a file of profiles; text as single bytes."""
    groups = [rows for _, rows in casts.groupby(["platform", "cast"], sort=False)]
    first = pd.concat([rows.iloc[:1] for rows in groups])
    days = (pd.to_datetime(first.time) - pd.Timestamp("1950-01-01")) / pd.Timedelta("1D")
    number, levels = len(groups), max(len(rows) for rows in groups)
    arrays: dict[str, Any] = {
        "PLATFORM_NUMBER": np.array([list(f"{name:<8}"[:8]) for name in first.platform], "S1"),
        "CYCLE_NUMBER": first["cast"].to_numpy(np.int32, copy=True),
        "JULD": days.to_numpy(float, copy=True),
        "LATITUDE": first.latitude.to_numpy(float, copy=True),
        "LONGITUDE": first.longitude.to_numpy(float, copy=True),
    }
    for name, fill in (("DATA_MODE", b"D"), ("DIRECTION", b"A")):
        arrays[name] = np.full(number, fill, "S1")
    for name in ("JULD_QC", "POSITION_QC"):
        arrays[name] = np.full(number, b"1", "S1")
    for name, column in (("PRES", "depth"), ("TEMP", "temperature"), ("PSAL", "salinity")):
        values = np.full((number, levels), FILL, np.float32)
        for row, rows in zip(values, groups):
            row[: len(rows)] = rows[column]
        flags = np.where(values < FILL, b"1", b" ").astype("S1")
        arrays |= {name: values, f"{name}_ADJUSTED": values.copy()}
        arrays |= {f"{name}_QC": flags, f"{name}_ADJUSTED_QC": flags.copy()}
    arrays["TEMP_ADJUSTED_ERROR"] = np.where(arrays["PRES"] < FILL, 0.01, FILL).astype(np.float32)
    return arrays


def write_arrays(path: Path, arrays: dict[str, Any], attributes: dict[str, dict]) -> None:
    """Write arrays whose dimensions follow from their shapes; `attributes` by variable."""
    with netCDF4.Dataset(path, "w") as file:
        sizes: dict[str, int] = {}
        for name, values in arrays.items():
            text = ("N_PROF", "STRING8") if name == "PLATFORM_NUMBER" else DIMS[:2]
            dims = []
            for dim, size in zip(text, values.shape):
                # A mutated array may be longer or shorter than the others.
                dim = dim if sizes.setdefault(dim, size) == size else f"{dim}_{size}"
                if dim not in file.dimensions:
                    file.createDimension(dim, size)
                dims.append(dim)
            fill = b" " if values.dtype.kind == "S" else FILL
            if values.dtype.kind == "f":
                variable = file.createVariable(name, values.dtype, dims, fill_value=fill)
            else:
                variable = file.createVariable(name, values.dtype, dims)
            variable.set_auto_maskandscale(False)
            variable[:] = values
            variable.setncatts(attributes.get(name, {}))


def write_argo(path: Path, casts: pd.DataFrame) -> None:
    """Write a multi-profile file of casts, in delayed mode."""
    write_arrays(path, argo_arrays(casts), {})
