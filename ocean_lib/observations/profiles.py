"""Profiles, from any file that holds them, read off at the levels of a field.

Files of Argo's data centres (`argo`), and tables, CSV or Parquet, with a row a value and columns

    time  latitude  longitude  depth (m) or pressure (dbar)  temperature (in situ, °C)
    salinity, error (°C), platform: where there are any

become one dataset with a row a profile.  Casts that stand there twice are one.  Nothing is dropped
in silence: every profile says in `status` whether it is used or why not, and `attrs["lost"]` how
many values were not.
"""

from collections import Counter
from collections.abc import Iterator
from glob import glob
from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import IN_SITU, POTENTIAL
from ocean_lib.fields.files import find_files
from ocean_lib.observations import argo
from ocean_lib.observations.casts import Casts

__all__ = ["USED", "is_profiles", "open_profiles", "describe_use"]


USED = "used"
TABLES = {".csv": "read_csv", ".parquet": "read_parquet"}
ERROR = 0.01  # °C, of a table's value without one
COLUMNS = ("time", "latitude", "longitude", "temperature")


def is_profiles(paths) -> bool:
    """Whether files hold profiles, not a gridded field."""
    try:
        path = find_profile_files(paths)[0]
    except FileNotFoundError:
        return False
    return path.suffix in TABLES or argo.is_argo(path)


def open_profiles(paths, levels, kind: str = POTENTIAL) -> xr.Dataset:
    """Profiles of files at levels (D,), m.

    Args:
        kind: standard name of the temperature wanted, potential or in situ.
    Returns:
        `temperature`, `error` (profile, depth) °C, NaN where a profile says nothing; `time`,
        `latitude`, `longitude`, `platform`, `station`, `status` (profile).
    Raises:
        FileNotFoundError: nothing lies there.
        ValueError: a file holds no profiles, a table lacks a column, or another kind is wanted.
    """
    if kind not in (POTENTIAL, IN_SITU):
        raise ValueError(
            f"profiles become {POTENTIAL} or stay {IN_SITU}, the model holds {kind}; use a model "
            "of one of these"
        )
    parts, lost, credits = [], Counter(), set()
    for path in find_profile_files(paths):
        credits |= {argo.CREDIT} if path.suffix not in TABLES else set()
        for casts in _casts(path):
            casts.clean()
            if kind == POTENTIAL:
                casts.make_potential()
            parts.append(_table(casts, levels))
            lost += casts.lost
    table = xr.concat(parts, "profile") if len(parts) > 1 else parts[0]
    table = _without_doubles(table)
    nothing = table.temperature.isnull().all("depth").values & (table.status.values == USED)
    table.status.values[nothing] = "no level of the field within its range"
    table.temperature.attrs = {"standard_name": kind, "units": "degrees_C"}
    lost = {why: number for why, number in lost.items() if number}
    return table.assign_attrs(lost=lost, credit="; ".join(sorted(credits)))


def describe_use(table: xr.Dataset) -> str:
    """What became of profiles and values, in words."""
    why = Counter(table.status.values.tolist())
    used = why.pop(USED, 0)
    words = [f"{used} of {table.sizes['profile']} profiles are used"]
    words += [f"{number} {reason}" for reason, number in why.most_common()]
    values = [f"{number} {reason}" for reason, number in table.attrs["lost"].items()]
    return "; ".join(words) + (". Of their values: " + "; ".join(values) if values else "")


def find_profile_files(paths) -> list[Path]:
    """The files that a path, glob, folder or list of them stands for, tables among them."""
    found = []
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        if Path(path).suffix not in TABLES:
            found += find_files(path)
            continue
        tables = [Path(path)] if Path(path).is_file() else [Path(p) for p in glob(str(path))]
        if not tables:
            raise FileNotFoundError(f"no file is found at {path}; correct the path")
        found += sorted(tables)
    return found


def _casts(path: Path) -> Iterator[Casts]:
    if path.suffix in TABLES:
        yield _rows(path)
    elif argo.is_argo(path):
        yield from argo.read_argo(path)
    else:
        raise ValueError(
            f"{path} holds no profiles: neither N_PROF and N_LEVELS, as Argo's files do, nor a "
            f"table ({', '.join(TABLES)}) with columns {', '.join(COLUMNS)}, depth or pressure"
        )


def _rows(path: Path) -> Casts:
    """A table with a row a value; rows that share time and place are a profile."""
    import pandas as pd

    try:
        rows = getattr(pd, TABLES[path.suffix])(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} is no readable table ({error})") from error
    rows.columns = [str(name).strip().lower() for name in rows.columns]
    vertical = next((name for name in ("depth", "pressure") if name in rows), "depth or pressure")
    if lacking := [name for name in (*COLUMNS, vertical) if name not in rows]:
        raise ValueError(f"{path} has no column {lacking}; it has {list(rows.columns)}")
    rows["time"] = pd.to_datetime(
        rows["time"], errors="coerce", utc=True, format="mixed"
    ).dt.tz_localize(None)
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
    # As padded arrays, which is how files of floats come.
    place = np.arange(len(rows)) - np.searchsorted(profile, profile)
    shape = len(first), int(place.max(initial=0)) + 1

    def padded(name: str, default: float = np.nan) -> np.ndarray:
        made = np.full(shape, np.nan)
        made[profile, place] = rows[name].fillna(default) if name in rows else default
        return made

    time = first["time"]
    where = [f"{t} {y:.3f} {x:.3f}" for t, y, x in zip(time, first.latitude, first.longitude)]
    return Casts.from_padded(
        platform=first["platform"].astype(str).values,
        station=where,
        rank=np.zeros(len(first), int),
        time=time.fillna(pd.Timestamp(0)).values,
        latitude=first["latitude"].values,
        longitude=first["longitude"].values,
        **{vertical: padded(vertical)},
        temperature=padded("temperature"),
        salinity=padded("salinity"),
        error=padded("error", ERROR),
        flagged=np.zeros(shape, bool),
        flags={"no date": time.isna().values},
    )


def _table(casts: Casts, levels) -> xr.Dataset:
    temperature, error = casts.to_levels(levels)
    status = np.where(casts.refused == "", USED, casts.refused).astype(object)
    each = {"station": casts.station, "platform": casts.platform, "status": status}
    each |= {"rank": casts.rank, "time": casts.time}
    each |= {"latitude": casts.latitude, "longitude": casts.longitude}
    return xr.Dataset(
        {
            "temperature": (("profile", "depth"), temperature.astype(np.float32)),
            "error": (("profile", "depth"), error.astype(np.float32)),
        }
        | {name: ("profile", values) for name, values in each.items()},
        {"depth": np.asarray(levels, float)},
    )


def _without_doubles(table: xr.Dataset) -> xr.Dataset:
    """Of casts of one station the best, and of those the one with most levels, is used."""
    import pandas as pd

    used = table.status.values == USED
    frame = pd.DataFrame(
        {
            "station": table.station.values,
            "rank": table["rank"].values,
            "levels": np.isfinite(table.temperature.values).sum(1),
        }
    )[used]
    frame = frame.sort_values(["rank", "levels"], ascending=False, kind="stable")
    double = frame.index[frame.duplicated("station")]
    table.status.values[double] = "the same cast stands there twice"
    return table.drop_vars("rank")
