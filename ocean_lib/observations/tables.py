"""Tables of casts: CSV, TSV or Parquet with one row per value.

    time  latitude  longitude  depth (m) or pressure (dbar)  temperature (in situ, °C)
    date: beside a `time` of day; salinity, error (°C), platform, flags: optional

Rows of the same platform, time and place are one cast. A flag column is named after the column that
it judges (`temperature_qc`, `depth_flag`), or judges the row (`qc`, `quality_flag`); 1 and 2 are
good. Everything that is left out is counted. All columns stay flat: memory is in proportion to the
number of rows, however unequal the casts are.
"""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from ocean_lib.observations.casts import Casts
from ocean_lib.observations.table_dates import join_clock, read_dates

__all__ = ["COLUMNS", "SUFFIXES", "read_table"]


READERS = {".csv": ",", ".tsv": "\t", ".parquet": ""}  # {suffix: separator}
SUFFIXES = tuple(READERS)
COLUMNS = ("time", "latitude", "longitude", "temperature")
KEYS = ["platform", "time", "latitude", "longitude"]
ERROR = 0.01  # °C, of values in a table that states no errors
GOOD = (1, 2)  # flags of Argo, SeaDataNet, QARTOD: good and probably good; of WOCE: good
FLAG = re.compile(r"(?:(.+?)_)?(qc|qf|flags?|quality|quality_flag|qc_flag|flag_qc)|(quality).*")
# {what a flag column is named after: what it judges}
JUDGED = {name: "value" for name in ("temperature", "temp", "depth", "pressure", "pres", "")}
JUDGED |= {name: "salinity" for name in ("salinity", "psal", "sal")}
JUDGED |= {
    name: "cast"
    for name in ("time", "date", "juld", "position", "latitude", "longitude", "profile")
}


def read_table(
    path: Path, *, date_format: str | None = None, time_units: str | None = None
) -> Casts:
    """The casts of a table.

    Args:
        path: a file with a suffix of `SUFFIXES`, in capitals or not.
        date_format: how the dates are written, as for `table_dates.read_dates`.
        time_units: what numbers in `time` count.

    Returns:
        Casts in the order of platform and time; `lost` counts the rows and cells left out.

    Raises:
        ValueError: the file is no such table, a column is missing or cannot be understood.
    """
    rows = _open(path)
    lost: Counter[str] = Counter()
    try:
        vertical = _check_columns(rows)
        if "date" in rows:
            rows["time"] = (
                join_clock(rows["date"], rows["time"]) if "time" in rows else rows["date"]
            )
        rows["time"] = read_dates(rows["time"], date_format=date_format, time_units=time_units)
        for name in ("temperature", vertical):
            lost[f"empty cells of {name}"] += int(rows[name].isna().sum())
        for name in ("latitude", "longitude", "temperature", vertical, "salinity", "error"):
            if name in rows:
                rows[name] = _numbers(rows[name], lost)
        if "error" in rows and (rows["error"] < 0).any():
            raise ValueError(
                f"it holds an error of {rows['error'].min():g} °C; give standard deviations >= 0"
            )
        bad = _flagged(rows)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    rows["bad"] = bad["value"]
    if bad["salinity"].any():
        rows.loc[bad["salinity"], "salinity"] = np.nan
    if "platform" not in rows:
        rows["platform"] = path.stem
    rows["platform"] = rows["platform"].astype("string").fillna(path.stem).astype("category")
    for reason, left_out in (
        ("rows without time", rows["time"].isna()),
        ("rows without position", rows["latitude"].isna() | rows["longitude"].isna()),
        ("rows with a flag of time or position", bad["cast"]),
    ):
        left_out = left_out.reindex(rows.index)
        lost[reason] += int(left_out.sum())
        rows = rows[~left_out]
    rows = rows.sort_values([*KEYS, vertical], kind="stable", ignore_index=True)
    changed = np.ones(len(rows), bool)
    changed[1:] = (rows[KEYS].iloc[1:].values != rows[KEYS].iloc[:-1].values).any(1)
    profile = np.cumsum(changed) - 1
    first = rows[changed]
    place = zip(first["time"], first["latitude"], first["longitude"])
    return Casts.from_values(
        platform=first["platform"].astype(str).values,
        station=[f"{time} {y:.3f} {x:.3f}" for time, y, x in place],
        rank=np.zeros(len(first), int),
        time=first["time"].values,
        latitude=first["latitude"].values,
        longitude=first["longitude"].values,
        profile=profile,
        **{vertical: rows[vertical].values},
        temperature=rows["temperature"].values,
        salinity=rows.get("salinity", pd.Series(np.nan, rows.index)).values,
        error=rows.get("error", pd.Series(ERROR, rows.index)).fillna(ERROR).values,
        flagged=rows["bad"].values,
        lost=lost,
    )


def _open(path: Path) -> pd.DataFrame:
    """The rows of a file, with column names in lower case.

    Raises:
        ValueError: it cannot be read as a table.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            rows = pd.read_parquet(path)
        else:
            with path.open(encoding="utf-8-sig") as file:
                header = file.readline()
            separator = max(("," if suffix == ".csv" else "\t", ";", "\t", ","), key=header.count)
            # The line of names is a row, so that pandas renames no repeated name. Text stays text
            # until `_numbers` and `read_dates` have understood it.
            options = {"sep": separator, "encoding": "utf-8-sig", "header": None}
            names = pd.read_csv(path, nrows=1, dtype=str, **options).iloc[0]
            rows = pd.read_csv(path, skiprows=1, low_memory=False, **options)
            rows.columns = names
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a table ({error})") from error
    rows.columns = [str(name).strip().lower() for name in rows.columns]
    if repeated := rows.columns[rows.columns.duplicated()].tolist():
        raise ValueError(f"{path} has column {repeated[0]!r} twice; keep one of them")
    return rows


def _check_columns(rows: pd.DataFrame) -> str:
    """Name of the vertical column.

    Raises:
        ValueError: a column is missing, or depth and pressure are both there.
    """
    both = [name for name in ("depth", "pressure") if name in rows]
    if len(both) == 2:
        raise ValueError("it has columns depth and pressure; keep the one that was measured")
    vertical = both[0] if both else "depth or pressure"
    dated = "date" if "date" in rows and "time" not in rows else "time"
    lacking = [name for name in (dated, *COLUMNS[1:], vertical) if name not in rows]
    if lacking:
        raise ValueError(f"it has no column {lacking}; it has {list(rows.columns)}")
    return vertical


def _numbers(column: pd.Series, lost: Counter[str]) -> pd.Series:
    """A column as float64; cells that hold no number become NaN and are counted with an example.

    Raises:
        ValueError: no cell of the column is a number.
    """
    # `coerce`, because what it cannot read is counted and shown here.
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    unread = column.notna() & numbers.isna()
    if unread.any():
        index = int(unread.to_numpy().argmax())
        text = str(column.iloc[index])
        hint = " (a decimal comma?)" if re.fullmatch(r"\s*-?\d+,\d+\s*", text) else ""
        words = f"cells of {column.name} hold no number, such as {text!r} in row {index + 1}{hint}"
        if numbers.notna().sum() == 0:
            raise ValueError(f"all {unread.sum()} {words}; write numbers such as 12.5")
        lost[words] += int(unread.sum())
    return numbers


def _flagged(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Rows whose value, salinity, or time and place, a flag column marks as bad.

    Raises:
        ValueError: a flag column judges nothing known, or holds something else than digits from 1
            to 9.
    """
    none = pd.Series(False, rows.index)
    bad = {"value": none, "salinity": none, "cast": none}
    for name in rows.columns:
        match = FLAG.fullmatch(name)
        if not match:
            continue
        subject = "" if FLAG.fullmatch(match[1] or "") else match[1] or ""
        if subject not in JUDGED:
            if subject in rows:  # flags of another quantity
                continue
            raise ValueError(
                f"column {name} may hold flags, of what is not known; name it after the column "
                "that it judges, such as temperature_qc, or drop it"
            )
        judged = JUDGED[subject]
        # `coerce`, because what is no digit is refused below.
        flags = pd.to_numeric(rows[name], errors="coerce")
        known = flags.isin(range(1, 10)) | rows[name].isna()
        if not known.all():
            index = int((~known).to_numpy().argmax())
            raise ValueError(
                f"column {name} holds {rows[name].iloc[index]!s} in row {index + 1}; it is read as "
                "flags from 1 to 9, of which 1 and 2 are good (0 means good to some and unchecked "
                "to others): write such flags, or keep the good rows and drop the column"
            )
        bad[judged] = bad[judged] | (~flags.isin(GOOD) & flags.notna())
    return bad
