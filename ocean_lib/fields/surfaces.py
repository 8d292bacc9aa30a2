"""Surface fields of gridded files: what a satellite would see of them.

`surface_temperature` (°C) and `surface_salinity` (practical) are the shallowest levels of
temperature and salinity, `sea_level` (m) is a variable of its own, above the geoid or a mean. All
lie on the ocean of the shallowest temperature and have its dates. A surface that lacks a part of
this ocean is refused; a gap on some dates stays NaN, as in fields.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ocean_lib.core.messages import shortened
from ocean_lib.fields.canonical import DAMAGE, MOST_GAPS, levels_of_file, open_fields
from ocean_lib.fields.conventions import (
    ABSOLUTE,
    DIMS,
    MAP_DIMS,
    SALINITIES,
    SEA_LEVELS,
    SURFACE_SALINITY,
    SURFACES,
    TOPOGRAPHY,
    Region,
)
from ocean_lib.fields.files import Paths, find_files, open_file
from ocean_lib.fields.joining import in_time, join, same_grid
from ocean_lib.fields.recognition import arrange, find_variable
from ocean_lib.fields.selection import select_region
from ocean_lib.fields.survey import check_values, survey_fields

__all__ = ["QUANTITIES", "STANDARD_NAMES", "check_deviation", "open_surfaces"]


# {surface: its quantity in `survey.check_values`}
QUANTITIES = dict(zip(SURFACES, ("temperature", "sea_level", "salinity")))
STANDARD_NAMES = {
    "surface_temperature": "sea_surface_temperature",
    "sea_level": TOPOGRAPHY,
    "surface_salinity": SURFACE_SALINITY,
}
MOST_DEVIATION = 1.0  # m, of sea level from its mean; no sea reaches half of it


def open_surfaces(
    paths: Paths, names: Iterable[str], region: Region | None = None, **choices: Any
) -> xr.Dataset:
    """Open surface fields of files.

    Args:
        paths: as for `open_fields`.
        names: of `conventions.SURFACES`.
        region: as for `open_fields`.
        choices: `variable`, `land_value` and `mask`, as for `open_fields`.

    Returns:
        The surfaces, in the order of `names`, each (time, latitude, longitude), lazy, NaN outside
        the ocean.

    Raises:
        ValueError: a surface is unknown or not in the files, lacks a part of the ocean or more than
            a tenth of its values, or has values that no sea has.
    """
    names, files = list(names), find_files(paths)
    if unknown := [name for name in names if name not in SURFACES]:
        raise ValueError(f"surfaces name {shortened(unknown)}; choose of {', '.join(SURFACES)}")
    top = levels_of_file(files, region, choices.get("variable"))[:1].tolist()
    with ExitStack() as on_refusal:
        levels = {
            name: _open(files, name, region, on_refusal)
            for name in names
            if name != "surface_temperature"
        }
        fields = open_fields(files, region=region, depths=top, **choices)
        levels = {name: _on_ocean(level, name, fields) for name, level in levels.items()}
        on_refusal.pop_all()
    surfaces = {}
    for name in names:
        field = levels.get(name, fields.temperature).isel(depth=0, drop=True)
        if name != "sea_level":  # which may be above the geoid or a mean
            field = field.assign_attrs(standard_name=STANDARD_NAMES[name])
        surfaces[name] = field
    return xr.Dataset(surfaces, attrs=fields.attrs)


def _open(
    files: list[Path], name: str, region: Region | None, on_refusal: ExitStack
) -> xr.DataArray:
    """A surface other than temperature, (time, depth, latitude, longitude) with one level."""
    pieces: list[xr.Dataset] = []
    for path in files:
        dataset = open_file(path)
        on_refusal.callback(dataset.close)
        try:
            pieces.append(_piece(dataset, name, region))
            same_grid(pieces[0], pieces[-1])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return in_time(join(pieces)).temperature.rename(name)


def _on_ocean(level: xr.DataArray, name: str, fields: xr.Dataset) -> xr.DataArray:
    """A surface on the ocean and dates of temperature, its values checked."""
    for dim in MAP_DIMS:
        ours, theirs = (each[dim].values for each in (level, fields))
        if ours.shape != theirs.shape or not (
            (ours == theirs).all() if dim == "time" else np.allclose(ours, theirs, atol=1e-4)
        ):
            raise ValueError(
                f"{name} has {ours.size} values along {dim}, temperature {theirs.size}, or others; "
                f"interpolate it to the grid and dates of temperature, or {_without(name)}"
            )
    level = level.assign_coords({dim: fields[dim] for dim in DIMS})
    chunks = level.chunksizes
    ocean = fields.ocean.chunk({dim: chunks[dim] for dim in DIMS[1:]})
    masked = level.where(ocean).assign_attrs(level.attrs)
    return masked.assign_attrs(n_gaps=_check(masked, name, fields.ocean.values))


def _piece(dataset: xr.Dataset, name: str, region: Region | None) -> xr.Dataset:
    """A surface in one file, at its shallowest level."""
    table = SEA_LEVELS if name == "sea_level" else SALINITIES
    found = find_variable(dataset, table)
    if found is None:
        first = next(iter(table))
        raise ValueError(
            f"no {name} among the variables {list(map(str, dataset.data_vars))}; give one the "
            f"standard_name {first}, or {_without(name)}"
        )
    if found[1] == ABSOLUTE:
        raise ValueError(
            f"{found[0]} is {ABSOLUTE}, must be practical salinity; convert it with "
            f"gsw.SP_from_SA, or {_without(name)}"
        )
    piece = arrange(dataset, region=region, temperature=found)
    piece = piece if region is None else select_region(piece, region)
    return piece[["temperature"]].isel(depth=[0])


def _check(level: xr.DataArray, name: str, ocean: np.ndarray) -> int:
    """Check the values of a surface, in one or two passes; the number of its gaps."""
    try:
        survey = survey_fields(level.to_dataset(name=name))
    except DAMAGE as error:
        raise ValueError(
            f"the files hold values of {name} that cannot be read ({error}); fetch them again"
        ) from error
    check_values({QUANTITIES[name]: survey.limits[name]})
    lacking, cells = int((ocean & ~survey.ocean).sum()), int(ocean.sum())
    if lacking:
        raise ValueError(
            f"{name} lacks {lacking} of the ocean's {cells} cells on most dates, limit 0; choose a "
            f"region or a mask where all have it, or {_without(name)}"
        )
    gaps = int(survey.gaps.sum())
    if gaps > MOST_GAPS * level.sizes["time"] * cells:
        raise ValueError(
            f"{gaps} values of {name} in the ocean's {cells} cells are missing, limit "
            f"{MOST_GAPS:.0%}; choose other times, or {_without(name)}"
        )
    if name == "sea_level" and level.sizes["time"] > 1:
        check_deviation(_deviation(level))
    return gaps


def _deviation(level: xr.DataArray) -> float:
    """Standard deviation from the mean of each cell."""
    filled = level.fillna(0.0).astype(float)
    parts = {"number": level.notnull(), "total": filled, "square": filled**2}
    sums = xr.Dataset(parts).sum("time").compute()
    number = sums.number.where(sums.number > 0)
    return float(np.sqrt((sums.square / number - (sums.total / number) ** 2).mean()))


def check_deviation(deviation: float) -> None:
    """Check that sea level varies as the sea does.

    Args:
        deviation: standard deviation, m.
    Raises:
        ValueError: it is above `MOST_DEVIATION`.
    """
    if deviation > MOST_DEVIATION:
        raise ValueError(
            f"sea level has a standard deviation of {deviation:.3g} m, limit {MOST_DEVIATION:g} m; "
            "if it is cm, set the variable's units to 'cm'"
        )


def _without(name: str) -> str:
    return f"leave {name} out of surfaces"
