"""Surface fields of gridded files: what a satellite would see of them.

`surface_temperature` (°C) and `surface_salinity` (practical) are the shallowest levels of
temperature and salinity, `sea_level` (m) is a variable of its own, above the geoid or a mean. All
lie on the ocean of the shallowest temperature and have its dates. A surface that lacks a part of
this ocean is refused; a gap on some dates stays NaN, as in fields.

`open_views` opens what files hold of the surface, be it without temperature, as satellite products.
"""

from collections.abc import Hashable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ocean_lib.core.messages import shortened
from ocean_lib.fields.canonical import DAMAGE, MOST_GAPS, levels_of_file, open_fields
from ocean_lib.fields.conventions import (
    ABSOLUTE,
    ABSOLUTE_SURFACE,
    ANOMALY,
    CONSERVATIVE,
    DIMS,
    MAP_DIMS,
    SALINITIES,
    SEA_LEVELS,
    SURFACE,
    SURFACE_SALINITIES,
    SURFACE_SALINITY,
    SURFACES,
    TEMPERATURES,
    TOPOGRAPHY,
    Region,
)
from ocean_lib.fields.files import Paths, find_files, open_file
from ocean_lib.fields.joining import in_time, join, same_grid
from ocean_lib.fields.recognition import arrange, find_variable
from ocean_lib.fields.seawater import to_potential
from ocean_lib.fields.selection import select_region
from ocean_lib.fields.survey import check_values, survey_fields

__all__ = [
    "QUANTITIES",
    "STANDARD_NAMES",
    "check_deviation",
    "check_practical",
    "open_surfaces",
    "open_views",
]


# {surface: its quantity in `survey.check_values`}
QUANTITIES = dict(zip(SURFACES, ("temperature", "sea_level", "salinity")))
STANDARD_NAMES = {
    "surface_temperature": "sea_surface_temperature",
    "sea_level": TOPOGRAPHY,
    "surface_salinity": SURFACE_SALINITY,
}
# {surface: tables of the variables that show it, the preferred kinds first}
VIEWS = {
    "surface_temperature": TEMPERATURES,
    "sea_level": {kind: SEA_LEVELS[kind] for kind in (ANOMALY, TOPOGRAPHY)},
    "surface_salinity": SURFACE_SALINITIES | SALINITIES,
}
MOST_DEVIATION = 1.0  # m, of sea level from its mean; no sea reaches half of it
DEEPEST_VIEW = 10.0  # m, of a level that stands for the surface


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


def open_views(paths: Paths) -> dict[str, xr.DataArray]:
    """Open the surface fields that files hold, whatever they are, each on its own grid.

    A variable with the name of a surface is this surface; others are recognised. Of a sea level
    above a geoid and one above a mean, the latter is taken: altimeters have another geoid than
    models.

    Args:
        paths: as for `open_fields`.

    Returns:
        {name of `conventions.SURFACES`: (time, latitude, longitude)}, lazy, °C, m or practical
        salinity, NaN where there is no value; `standard_name` says what a sea level is above,
        `source_name` which variable was taken.

    Raises:
        ValueError: a file holds none, several alike, or one that lies too deep or is not what a
            satellite sees; or a date twice.
    """
    pieces: dict[str, list[xr.Dataset]] = {}
    for path in find_files(paths):
        dataset = open_file(path)
        try:
            held = {name: found for name in SURFACES if (found := _find_view(dataset, name))}
            if not held:
                standard = [STANDARD_NAMES[name] for name in SURFACES]
                raise ValueError(
                    f"it holds {list(map(str, dataset.data_vars))}, none of {list(SURFACES)}; give "
                    f"one of these names, or a standard_name such as {', '.join(standard)}"
                )
            for name, found in held.items():
                piece = _view(dataset, *found)
                same_grid(pieces.setdefault(name, [piece])[0], piece)
                pieces[name] += [piece] if piece is not pieces[name][0] else []
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    views = {}
    for name, parts in pieces.items():
        view = in_time(join(parts)).temperature.isel(depth=0, drop=True)
        kind = view.attrs["standard_name"] if name == "sea_level" else STANDARD_NAMES[name]
        views[name] = view.rename(name).assign_attrs(standard_name=kind, units=SURFACES[name])
    return views


def _find_view(dataset: xr.Dataset, name: str) -> tuple[Hashable, str] | None:
    """Name and kind of the variable that shows a surface, or None."""
    if name not in dataset:
        return find_variable(dataset, VIEWS[name])
    kinds = {"surface_temperature": SURFACE, "surface_salinity": SURFACE_SALINITY}
    declared = dataset[name].attrs.get("standard_name")
    if declared in (ABSOLUTE, ABSOLUTE_SURFACE):
        return name, declared
    anomaly = declared in SEA_LEVELS[ANOMALY][0]
    return name, kinds.get(name, ANOMALY if anomaly else TOPOGRAPHY)


def _view(dataset: xr.Dataset, name: Hashable, kind: str) -> xr.Dataset:
    """A variable of one file at its shallowest level, as `temperature`."""
    check_practical(name, kind)
    piece = to_potential(arrange(dataset, temperature=(name, kind)))[["temperature"]]
    if piece.temperature.attrs["standard_name"] == CONSERVATIVE:
        raise ValueError(f"{name} is {CONSERVATIVE} without salinity; convert it to potential")
    if (depth := float(piece.depth[0])) > DEEPEST_VIEW:
        raise ValueError(
            f"{name} begins at {depth:g} m, limit {DEEPEST_VIEW:g} m for a field of the surface; "
            "give values of the surface"
        )
    return piece.isel(depth=[0])


def check_practical(name: Hashable, kind: str | None, otherwise: str = "") -> None:
    """Refuse absolute salinity.

    Args:
        name: of a variable.
        kind: its standard name.
        otherwise: another remedy than conversion, in words.

    Raises:
        ValueError: the kind is an absolute salinity.
    """
    if kind in (ABSOLUTE, ABSOLUTE_SURFACE):
        raise ValueError(
            f"{name} is {kind}, must be practical salinity; convert it with "
            f"gsw.SP_from_SA{otherwise}"
        )


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
    check_practical(*found, f", or {_without(name)}")
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
