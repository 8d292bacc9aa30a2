"""Canonical fields: one form of `xarray.Dataset` for every gridded file.

`temperature (time, depth, latitude, longitude)`, float32, °C, NaN outside the ocean, and
`ocean (depth, latitude, longitude)`, bool. Times ascend; depth is in m, positive down, ascending;
latitude and longitude ascend, longitude without a break, its west edge in [-180, 180). Further
variables, such as salinity, share the grid and the ocean.

Temperature is potential: in-situ and conservative temperature are converted if the file holds
salinity; otherwise they keep their standard_name. Kinds are never mixed.

Only the fill value that the file declares means missing (compared with the raw numbers). A value
such as 0 that fills land undeclared is refused, until `land_value` or `mask` says what land is. The
ocean is static: it holds the cells where every variable has a value on most dates; a gap in it
stays NaN. Other cells with values are left out and counted in `attrs["n_intermittent"]`. Values
stay lazy; finding the ocean takes one pass through the data, which also checks their range.
`description.describe_fields` says what was understood.
"""

import zlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ocean_lib.fields.axes import take
from ocean_lib.fields.conventions import DIMS, SALINITIES, TEMPERATURES, Region
from ocean_lib.fields.files import Paths, find_files, open_file
from ocean_lib.fields.joining import in_time, join, same_grid
from ocean_lib.fields.land_mask import LEFT_OUT, open_mask, without_land
from ocean_lib.fields.recognition import arrange, canonical_names, find_variable
from ocean_lib.fields.seawater import to_potential
from ocean_lib.fields.selection import (
    check_region,
    nearest_levels,
    own_levels,
    select_period,
    select_region,
)
from ocean_lib.fields.survey import Survey, check_by_depth, check_values, survey_fields

__all__ = ["DAMAGE", "MOST_GAPS", "levels_of_file", "open_fields", "open_levels", "to_canonical"]


MOST_GAPS = 0.1  # share of the ocean's values that may be missing
LEAST_SHARED = 0.9  # share of the cells of any variable in which all variables have values
# Errors that the libraries raise when a stored block is damaged.
DAMAGE = (OSError, RuntimeError, ValueError, KeyError, EOFError, zlib.error)


def open_fields(
    paths: Paths,
    *,
    region: Region | None = None,
    depths: Sequence[float] | None = None,
    times: tuple | None = None,
    variables: str | Iterable[str] = (),
    variable: str | None = None,
    land_value: float | None = None,
    mask: str | Path | None = None,
) -> xr.Dataset:
    """Open gridded files as one canonical dataset.

    Args:
        paths: a path, a glob, a folder (searched recursively) or a list of them; NetCDF or Zarr.
        region: (west, east, south, north), degrees; west > east crosses the date line.
        depths: m, each selects its nearest level; None keeps all levels.
        times: (first, last), inclusive, such as ("1993-01", "2020-12"); None keeps all.
        variables: names of further variables on the grid of temperature. Any name of salinity
            becomes `salinity`; other variables keep their names.
        variable: name in the files of the variable to use as temperature; recognised by default.
        land_value: temperature that the files hold on land, in °C as opened here.
        mask: name of a variable of the files, or path of a file, that marks the ocean; see
            `land_mask.open_mask`.
    Raises:
        FileNotFoundError: a path matches no file.
        PermissionError: a file may not be read.
        ValueError: a file is not NetCDF or Zarr, is damaged, holds no gridded temperature or
            several, holds a constant on land, or does not cover the selection.
    """
    check_region(region)
    with ExitStack() as on_refusal:
        pieces: dict[Path, xr.Dataset] = {}
        as_stored: list[xr.Dataset] = []  # before temperature is converted to potential
        masked = False  # whether a mask of every level is given
        for path in find_files(paths):
            dataset = open_file(path)
            on_refusal.callback(dataset.close)
            try:
                piece = arrange(dataset, variables, region, named=variable)
                piece.attrs.pop(LEFT_OUT, None)
                if land_value is not None or mask is not None:
                    sea = None if mask is None else open_mask(mask, dataset, region)
                    piece = without_land(piece, land_value, sea)
                    masked = sea is not None and sea.sizes["depth"] == piece.sizes["depth"]
                as_stored.append(_select(piece, region, depths))
                piece = pieces[path] = _finish(as_stored[-1], variables)
                same_grid(next(iter(pieces.values())), pieces[path])
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
        fields = in_time(join(list(pieces.values())))
        fields = fields if times is None else select_period(fields, times)
        try:
            stored = join([piece[["temperature"]] for piece in as_stored])
            survey = _survey(fields, stored if times is None else select_period(stored, times))
        except DAMAGE as error:
            _name_damaged(pieces)
            raise ValueError(f"the files hold values that cannot be read ({error})") from error
        fields = _with_ocean(fields, survey, masked)
        on_refusal.pop_all()
    return fields


def to_canonical(dataset: xr.Dataset, variables: str | Iterable[str] = ()) -> xr.Dataset:
    """Convert an opened dataset, decoded or raw, to the canonical form.

    Args:
        dataset: holds gridded temperature.
        variables: names of further variables.
    Raises:
        ValueError: no gridded temperature is recognised, or its values are implausible.
    """
    stored = arrange(dataset, variables)
    stored.attrs.pop(LEFT_OUT, None)
    fields = in_time(_finish(stored, variables))
    return _with_ocean(fields, _survey(fields, stored[["temperature"]]))


def _survey(fields: xr.Dataset, stored: xr.Dataset) -> Survey:
    """Survey of fields; constants are those of the stored temperature, which conversion hides."""
    survey = survey_fields(fields)
    kinds = {each["temperature"].attrs["standard_name"] for each in (fields, stored)}
    if len(kinds) == 1:
        return survey
    return survey.with_constants_of(survey_fields(stored.sortby("time")))


def _finish(piece: xr.Dataset, variables: str | Iterable[str]) -> xr.Dataset:
    """Convert to potential temperature and drop all but the requested variables."""
    if not piece.sizes["time"]:
        raise ValueError("it holds 0 dates along time, needs 1; choose another file")
    return to_potential(piece)[["temperature", *canonical_names(variables)]]


def _name_damaged(pieces: dict[Path, xr.Dataset]) -> None:
    """Raise ValueError for the first file whose values cannot be read."""
    for path, piece in pieces.items():
        try:
            survey_fields(piece)
        except DAMAGE as error:
            raise ValueError(
                f"{path} holds values that cannot be read ({error}): it is damaged; fetch it again"
            ) from error


def _with_ocean(fields: xr.Dataset, survey: Survey, masked: bool = False) -> xr.Dataset:
    """Check the values, add the static ocean, and set all cells outside it to NaN."""
    ocean, dates = survey.ocean, fields.sizes["time"]
    check_values(survey.limits)
    if survey.uniform.any() and (LEFT_OUT in fields.attrs or dates > 1):
        first = fields["time"].values[survey.uniform][0].astype("M8[D]")
        raise ValueError(
            f"temperature is the same everywhere on {survey.uniform.sum()} date(s), limit 0, the "
            f"first {first}, as a missing date written as a number; leave it out by times"
        )
    if survey.constant is not None and not masked:
        share = survey.filled / max(1, int(ocean.sum()) + survey.intermittent)
        raise ValueError(
            f"{survey.filled} cells ({share:.0%}) hold {survey.constant:.9g} °C on all dates, as "
            "land that is not declared missing; give "
            f"land_value={survey.constant:.9g}, or a mask of the ocean at every level"
        )
    for name, cells in survey.cells.items():
        if ocean.sum() < LEAST_SHARED * cells:
            other = min(survey.cells, key=survey.cells.__getitem__)
            raise ValueError(
                f"{other} and the other variables have values in {int(ocean.sum())} of the {cells} "
                f"cells where {name} has, limit {LEAST_SHARED:.0%}; choose a region and levels "
                f"where all have them, or leave {other} out of variables"
            )
    if survey.intermittent > ocean.sum() or survey.gaps.sum() > MOST_GAPS * dates * ocean.sum():
        raise ValueError(
            f"{survey.gaps.sum()} values of the ocean's {int(ocean.sum())} cells are missing, "
            f"limit {MOST_GAPS:.0%}, and {survey.intermittent} other cells hold values on few "
            "dates only, or of some variables, limit as many: these are observations, not a "
            "field; fill the gaps first, or choose times and variables without gaps"
        )
    check_by_depth(fields["depth"].values, survey.warmest, survey.limits["temperature"][0])
    fields["ocean"] = (DIMS[1:], ocean, {"long_name": "sea water on most dates"})
    chunks = fields["temperature"].chunksizes
    lazy = fields["ocean"].chunk({dim: chunks[dim] for dim in DIMS[1:]})
    for name, limits in survey.limits.items():
        attrs = fields[name].attrs | {"actual_range": list(limits)}
        fields[name] = fields[name].where(lazy).assign_attrs(attrs)
    gaps: dict[str, Any] = {"n_intermittent": survey.intermittent, "n_gaps": int(survey.gaps.sum())}
    if gaps["n_gaps"]:
        worst = int(survey.gaps.argmax())
        date = fields["time"].values[worst].astype("M8[D]")
        gaps["worst_gap"] = f"{survey.gaps[worst] / ocean.sum():.1%} of the ocean on {date}"
    return fields.assign_attrs(gaps)


def _select(piece: xr.Dataset, region: Region | None, depths: Sequence[float] | None) -> xr.Dataset:
    """The region and levels asked for."""
    piece = piece if region is None else select_region(piece, region)
    return piece if depths is None else take(piece, "depth", nearest_levels(piece, depths))


def open_levels(
    paths: Paths, region: Region | None = None, variable: str | None = None
) -> list[float]:
    """Up to eight levels of the files, spread from the surface to 900 m, m.

    Args:
        paths: as for `open_fields`.
        region: as for `open_fields`.
        variable: as for `open_fields`.
    """
    return own_levels(levels_of_file(paths, region, variable))


def further_variables(paths: Paths, variable: str | None = None) -> list[str]:
    """`["salinity"]` where the first file holds it on the grid of temperature, else `[]`.

    Args:
        paths: as for `open_fields`.
        variable: as for `open_fields`.
    """
    path = find_files(paths)[0]
    with open_file(path) as first:
        salinity = find_variable(first, SALINITIES)
        temperature = (variable, "") if variable else find_variable(first, TEMPERATURES)
        if salinity is None or temperature is None:
            return []
        same = set(first[salinity[0]].dims) == set(first[temperature[0]].dims)
    return ["salinity"] if same else []


def levels_of_file(
    paths: Paths, region: Region | None = None, variable: str | None = None
) -> np.ndarray:
    """Depths of the first file, (D,), m, ascending.

    Args:
        paths: as for `open_fields`.
        region: as for `open_fields`.
        variable: as for `open_fields`.
    """
    path = find_files(paths)[0]
    with open_file(path) as first:
        try:
            return arrange(first, region=region, named=variable).depth.values
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
