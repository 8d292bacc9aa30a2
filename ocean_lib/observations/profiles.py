"""Profiles from any file that holds them, on the levels of a field.

The files are those of Argo's data centres (`argo`) or tables with a row per value (`tables`). They
become one dataset with one row per profile; duplicate casts are used once. Nothing is dropped
silently: `status` says whether a profile is used or why not, `attrs["lost"]` counts the values
removed, by reason, and `describe_use` says what was understood.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from ocean_lib.fields.conventions import IN_SITU, POTENTIAL
from ocean_lib.fields.description import range_in_words
from ocean_lib.fields.files import NETCDF, Paths, find_files, open_file
from ocean_lib.observations import argo, tables
from ocean_lib.observations.casts import Casts

__all__ = ["NO_LEVEL", "USED", "describe_use", "find_profile_files", "is_profiles", "open_profiles"]


USED = "used"
NO_LEVEL = "no level of the field within its range"
SALINITY_ERROR = 0.01  # standard deviation of a float's salinity (Wong et al. 2020)
# {suffix: what to do with tables that are not read}
OTHER_TABLES = {
    ".xlsx": "save the sheet as CSV",
    ".xls": "save the sheet as CSV",
    ".ods": "save the sheet as CSV",
    ".txt": "write it as CSV (ODV: export as CSV with one line of column names)",
    ".odv": "export it as CSV with one line of column names",
    ".gz": "unpack it first",
    ".zip": "unpack it first",
}


def is_profiles(paths: Paths) -> bool:
    """Whether files hold profiles rather than gridded fields, by the first that holds either."""
    try:
        files = _all_files(paths)
    except FileNotFoundError:
        return False
    for path in files:
        if _is_table(path) or argo.is_argo(path):
            return True
        if not argo.is_beside_profiles(path):
            return bool(argo.why_not_argo(path)) or path.suffix.lower() in OTHER_TABLES
    return False


def open_profiles(
    paths: Paths,
    levels: ArrayLike,
    kind: str = POTENTIAL,
    *,
    date_format: str | None = None,
    time_units: str | None = None,
) -> xr.Dataset:
    """Profiles from files, interpolated to levels.

    Args:
        paths: a file, folder, glob or list of them. Of a folder, the files that Argo keeps beside a
            float's profiles are left out.
        levels: (D,), m.
        kind: standard name of the temperature wanted, potential or in situ.
        date_format: how tables write dates, such as "%d/%m/%Y"; not needed for ISO 8601.
        time_units: what the times of tables count, such as "days since 1950-01-01".

    Returns:
        `temperature`, `error` (profile, depth) °C, and `salinity`, `salinity_error`, practical, NaN
        where a profile has no value; `time`, `latitude`, `longitude`, `platform`, `station`,
        `status` (profile).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file holds no profiles, a table cannot be understood, or `kind` is neither.
    """
    if kind not in (POTENTIAL, IN_SITU):
        raise ValueError(
            f"profiles can be {POTENTIAL} or {IN_SITU}, the model holds {kind}; use a model of one "
            "of these"
        )
    parts, lost, credits = [], Counter[str](), set()
    for path in find_profile_files(paths):
        credits |= set() if _is_table(path) else {argo.CREDIT}
        for casts in _read_casts(path, date_format, time_units):
            casts.clean()
            if kind == POTENTIAL:
                casts.make_potential()
            parts.append(_on_levels(casts, levels))
            lost += casts.lost  # without counts of 0
    table = xr.concat(parts, "profile") if len(parts) > 1 else parts[0]
    table = _mark_duplicates(table)
    empty = table.temperature.isnull().all("depth").values & (table.status.values == USED)
    table.status.values[empty] = NO_LEVEL
    table.temperature.attrs = {"standard_name": kind, "units": "degrees_C"}
    words = [f"{number} {reason}" for reason, number in lost.items()]
    return table.assign_attrs(lost=words, credit="; ".join(sorted(credits)))


def describe_use(table: xr.Dataset) -> str:
    """What was understood of profiles, in lines of text.

    Args:
        table: from `open_profiles`.

    Returns:
        How many profiles are used and why others are not, how many values were removed, and the
        dates, places, temperatures and salinities of all profiles with a date and place.
    """
    reasons = Counter(table.status.values.tolist())
    words = [f"{reasons.pop(USED, 0)} of {table.sizes['profile']} profiles are used"]
    words += [f"{number} {reason}" for reason, number in reasons.most_common()]
    lost = np.atleast_1d(table.attrs["lost"]).tolist()
    text = "; ".join(words) + (". Of their values: " + "; ".join(lost) if lost else "")
    known = table.isel(profile=~np.isin(table.status.values, ["no date", "no position"]))
    if not known.sizes["profile"]:
        return text
    ranges = [range_in_words(known.time)]
    for name, unit in (
        ("latitude", "°"),
        ("longitude", "°"),
        ("temperature", " °C"),
        ("salinity", ""),
    ):
        if (values := known[name].values[np.isfinite(known[name].values)]).size:
            ranges.append(f"{name} {range_in_words(values)}{unit}")
    return f"{text}\nProfiles of {', '.join(ranges)}"


def find_profile_files(paths: Paths) -> list[Path]:
    """The files of profiles that paths stand for, tables included.

    Raises:
        FileNotFoundError: there is no such file.
    """
    files = _all_files(paths)
    profiles = [path for path in files if not argo.is_beside_profiles(path)]
    return profiles or files


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in tables.SUFFIXES


def _all_files(paths: Paths) -> list[Path]:
    return find_files(paths, tables.SUFFIXES)


def _read_casts(path: Path, date_format: str | None, time_units: str | None) -> Iterator[Casts]:
    if _is_table(path):
        yield tables.read_table(path, date_format=date_format, time_units=time_units)
    elif argo.is_argo(path):
        yield from argo.read_argo(path)
    else:
        if path.suffix.lower() in NETCDF:
            open_file(path).close()  # a damaged file is refused for what it is
        why = (
            argo.why_not_argo(path) or "it is neither an Argo file (N_PROF × N_LEVELS) nor a table"
        )
        remedy = OTHER_TABLES.get(path.suffix.lower(), "write its values as a table")
        raise ValueError(
            f"{path} cannot be read as profiles: {why}; {remedy} ({', '.join(tables.SUFFIXES)}) "
            f"with columns {', '.join(tables.COLUMNS)}, depth or pressure"
        )


def _on_levels(casts: Casts, levels: ArrayLike) -> xr.Dataset:
    temperature, error, salinity = casts.to_levels(levels)
    status = np.where(casts.refused == "", USED, casts.refused).astype(object)
    names = ("station", "platform", "rank", "time", "latitude", "longitude")
    columns = {"status": status} | {name: getattr(casts, name) for name in names}
    arrays = {"temperature": temperature, "error": error, "salinity": salinity}
    arrays["salinity_error"] = np.where(np.isfinite(salinity), SALINITY_ERROR, np.nan)
    return xr.Dataset(
        {name: (("profile", "depth"), array.astype(np.float32)) for name, array in arrays.items()}
        | {name: ("profile", column) for name, column in columns.items()},
        {"depth": np.asarray(levels, float)},
    )


def _mark_duplicates(table: xr.Dataset) -> xr.Dataset:
    """Of several profiles of one cast, use the one of highest rank, then with most levels."""
    frame = table[["station", "rank"]].to_dataframe().reset_index(drop=True)
    frame["levels"] = np.isfinite(table.temperature.values).sum(1)
    frame = frame[table.status.values == USED]
    frame = frame.sort_values(["rank", "levels"], ascending=False, kind="stable")
    table.status.values[frame.index[frame.duplicated("station")]] = "duplicate of another profile"
    return table.drop_vars("rank")
