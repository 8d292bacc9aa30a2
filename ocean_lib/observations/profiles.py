"""Profiles from any file that holds them, on the levels of a field.

The files are those of Argo's data centres (`argo`), or tables (CSV or Parquet) with a row per value
and columns

    time  latitude  longitude  depth (m) or pressure (dbar)  temperature (in situ, °C)
    salinity, error (°C), platform: optional

They become one dataset with one row per profile; duplicate casts are used once. Nothing is dropped
silently: `status` says whether a profile is used or why not, and `attrs["lost"]` counts the values
removed, by reason.
"""

from collections import Counter
from collections.abc import Iterator
from glob import glob
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from ocean_lib.fields.conventions import IN_SITU, POTENTIAL
from ocean_lib.fields.files import Paths, find_files
from ocean_lib.observations import argo
from ocean_lib.observations.casts import Casts

__all__ = ["NO_LEVEL", "USED", "describe_use", "find_profile_files", "is_profiles", "open_profiles"]


USED = "used"
NO_LEVEL = "no level of the field within its range"
TABLES = {".csv": "read_csv", ".parquet": "read_parquet"}
ERROR = 0.01  # °C, of values in a table that states no errors
COLUMNS = ("time", "latitude", "longitude", "temperature")


def is_profiles(paths: Paths) -> bool:
    """Whether the first of the files holds profiles rather than a gridded field."""
    try:
        path = find_profile_files(paths)[0]
    except FileNotFoundError:
        return False
    return path.suffix in TABLES or argo.is_argo(path)


def open_profiles(paths: Paths, levels: ArrayLike, kind: str = POTENTIAL) -> xr.Dataset:
    """Profiles from files, interpolated to levels.

    Args:
        paths: a file, folder, glob or list of them.
        levels: (D,), m.
        kind: standard name of the temperature wanted, potential or in situ.

    Returns:
        `temperature`, `error` (profile, depth) °C, NaN where a profile has no value; `time`,
        `latitude`, `longitude`, `platform`, `station`, `status` (profile).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file holds no profiles, a table lacks a column, or `kind` is neither.
    """
    if kind not in (POTENTIAL, IN_SITU):
        raise ValueError(
            f"profiles can be {POTENTIAL} or {IN_SITU}, the model holds {kind}; use a model of one "
            "of these"
        )
    parts, lost, credits = [], Counter[str](), set()
    for path in find_profile_files(paths):
        credits |= {argo.CREDIT} if path.suffix not in TABLES else set()
        for casts in _read_casts(path):
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
    return table.assign_attrs(lost=dict(lost), credit="; ".join(sorted(credits)))


def describe_use(table: xr.Dataset) -> str:
    """How many profiles are used, why others are not, and how many values were removed."""
    reasons = Counter(table.status.values.tolist())
    words = [f"{reasons.pop(USED, 0)} of {table.sizes['profile']} profiles are used"]
    words += [f"{number} {reason}" for reason, number in reasons.most_common()]
    values = [f"{number} {reason}" for reason, number in table.attrs["lost"].items()]
    return "; ".join(words) + (". Of their values: " + "; ".join(values) if values else "")


def find_profile_files(paths: Paths) -> list[Path]:
    """The files that paths stand for, tables included.

    Raises:
        FileNotFoundError: there is no such file.
    """
    files = []
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        if Path(path).suffix not in TABLES:
            files += find_files(path)
            continue
        tables = [Path(path)] if Path(path).is_file() else [Path(p) for p in glob(str(path))]
        if not tables:
            raise FileNotFoundError(f"no file is found at {path}; correct the path")
        files += sorted(tables)
    return files


def _read_casts(path: Path) -> Iterator[Casts]:
    if path.suffix in TABLES:
        yield _read_table(path)
    elif argo.is_argo(path):
        yield from argo.read_argo(path)
    else:
        raise ValueError(
            f"{path} holds no profiles: it is neither an Argo file (N_PROF and N_LEVELS) nor a "
            f"table ({', '.join(TABLES)}) with columns {', '.join(COLUMNS)}, depth or pressure"
        )


def _read_table(path: Path) -> Casts:
    """A table with one row per value; rows of the same time and place are one profile."""
    import pandas as pd

    try:
        rows = getattr(pd, TABLES[path.suffix])(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a table ({error})") from error
    rows.columns = [str(name).strip().lower() for name in rows.columns]
    vertical = next((name for name in ("depth", "pressure") if name in rows), "depth or pressure")
    if lacking := [name for name in (*COLUMNS, vertical) if name not in rows]:
        raise ValueError(f"{path} has no column {lacking}; it has {list(rows.columns)}")
    time = pd.to_datetime(rows["time"], errors="coerce", utc=True, format="mixed")
    rows["time"] = time.dt.tz_localize(None)
    for name in ("latitude", "longitude", "temperature", vertical, "salinity", "error"):
        if name in rows:
            rows[name] = pd.to_numeric(rows[name], errors="coerce")
    if "error" in rows and (rows["error"] < 0).any():
        raise ValueError(
            f"{path} holds an error of {rows['error'].min():g} °C; give standard deviations >= 0"
        )
    if "platform" not in rows:
        rows["platform"] = path.stem
    keys = ["platform", "time", "latitude", "longitude"]
    rows = rows.sort_values([*keys, vertical], kind="stable")
    profile = rows.groupby(keys, dropna=False, sort=False).ngroup().values
    first = rows.iloc[np.unique(profile, return_index=True)[1]]
    position = np.arange(len(rows)) - np.searchsorted(profile, profile)
    shape = len(first), int(position.max(initial=0)) + 1

    def padded(name: str, default: float = np.nan) -> np.ndarray:
        array = np.full(shape, np.nan)
        array[profile, position] = rows[name].fillna(default) if name in rows else default
        return array

    time, latitude, longitude = (first[name] for name in COLUMNS[:3])
    return Casts.from_padded(
        platform=first["platform"].astype(str).values,
        station=[f"{t} {y:.3f} {x:.3f}" for t, y, x in zip(time, latitude, longitude)],
        rank=np.zeros(len(first), int),
        time=time.fillna(pd.Timestamp(0)).values,
        latitude=latitude.values,
        longitude=longitude.values,
        **{vertical: padded(vertical)},
        temperature=padded("temperature"),
        salinity=padded("salinity"),
        error=padded("error", ERROR),
        flagged=np.zeros(shape, bool),
        flags={"no date": time.isna().values},
    )


def _on_levels(casts: Casts, levels: ArrayLike) -> xr.Dataset:
    temperature, error = casts.to_levels(levels)
    status = np.where(casts.refused == "", USED, casts.refused).astype(object)
    names = ("station", "platform", "rank", "time", "latitude", "longitude")
    columns = {"status": status} | {name: getattr(casts, name) for name in names}
    arrays = {"temperature": temperature, "error": error}
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
