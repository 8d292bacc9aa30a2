"""Tables of casts: CSV, TSV or Parquet with one row per value.

    time  latitude  longitude  depth (m) or pressure (dbar)  temperature (in situ, °C)
    date: beside a `time` of day; salinity, error (°C), platform, cast, flags: optional

Rows of the same platform, cast, time and place are one cast. A flag column is named after the
column that it judges (`temperature_qc`, `depth_flag`), or judges the row (`qc`, `quality_flag`); 1
and 2 are good. Everything that is left out is counted. All columns stay flat: memory is in
proportion to the number of rows, however unequal the casts are.
"""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from ocean_lib.core.geometry import wrap_longitude
from ocean_lib.core.messages import shortened
from ocean_lib.observations.casts import Casts
from ocean_lib.observations.table_dates import add_clock, read_dates

__all__ = ["COLUMNS", "SUFFIXES", "read_table"]


SUFFIXES = (".csv", ".tsv", ".parquet")
COLUMNS = ("time", "latitude", "longitude", "temperature")
TEXT = {"time", "date", "platform", "cast", "profile", "station", "cycle"}
KEYS = ["platform", "cast", "time", "latitude", "longitude"]
CASTS = ("cast", "profile", "station", "cycle")  # columns that number the casts of a platform
ERROR = 0.01  # °C, of values in a table that states no errors
LARGEST_ERROR = 10.0  # °C; beyond it a stated error is a fill value
GOOD = (1, 2)  # flags of Argo, SeaDataNet, QARTOD: good and probably good; of WOCE: good
FLAG = re.compile(r"(^|_)(q[cfv]|qartod)(_|\d|$)|flags?(_|\d|$)|quality|q[cf]$")
FLAG_WORDS = re.compile(r"flags?|quality|q[cf]$|(?<![a-z])q[cf](?![a-z])")
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
        if not len(rows):
            raise ValueError("it has 0 rows, needs 1; leave it out")
        days = rows["date" if "date" in rows else "time"]
        dates = read_dates(days, date_format=date_format, time_units=time_units)
        both = "date" in rows and "time" in rows
        rows["time"] = add_clock(dates, rows["time"]) if both else dates
        for name in ("temperature", vertical):
            lost[f"empty cells of {name}"] += int(rows[name].isna().sum())
        for name in ("latitude", "longitude", "temperature", vertical, "salinity", "error"):
            if name in rows:
                rows[name] = _numbers(rows[name], lost)
        if (rows[vertical] < 0).mean() > 0.5:
            raise ValueError(
                f"{vertical} runs from {rows[vertical].min():g} to {rows[vertical].max():g}; write "
                "it positive downwards"
            )
        rows["error"] = _errors(rows, lost)
        bad = _flagged(rows)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    rows["bad"] = bad["value"]
    if bad["salinity"].any():
        rows.loc[bad["salinity"], "salinity"] = np.nan
    stated = "platform" in rows
    rows["platform"] = rows["platform"].astype("string") if stated else path.stem
    rows["platform"] = rows["platform"].fillna(path.stem).astype("category")
    numbers = [rows[name].astype("string").fillna("") for name in CASTS if name in rows]
    rows["cast"] = numbers[0].str.cat(numbers[1:], sep="/") if numbers else ""
    rows["cast"] = rows["cast"].astype("category")
    # 320 and -40 are one place; what is no longitude stays, and is refused with its cast.
    possible = rows["longitude"].abs() <= 360
    rows["longitude"] = rows["longitude"].mask(possible, wrap_longitude(rows["longitude"]) + 0.0)
    for reason, left_out in (
        ("rows without time", rows["time"].isna()),
        ("rows without position", rows["latitude"].isna() | rows["longitude"].isna()),
        ("rows with a flag of time or position", bad["cast"]),
    ):
        left_out = left_out.reindex(rows.index)
        lost[reason] += int(left_out.sum())
        rows = rows[~left_out]
    rows = _without_repeats(rows, vertical, lost)
    changed = np.ones(len(rows), bool)
    changed[1:] = (rows[KEYS].iloc[1:].values != rows[KEYS].iloc[:-1].values).any(1)
    profile = np.cumsum(changed) - 1
    first = rows[changed]
    # The same place and time is the same cast, unless the table tells two platforms or casts apart.
    told = first["cast"].astype(str)
    told = first["platform"].astype(str) + " " + told if stated else told
    place = zip(told, first["time"], first["latitude"], first["longitude"])
    return Casts.from_values(
        platform=first["platform"].astype(str).values,
        station=[f"{name} {time} {y:.3f} {x:.3f}".strip() for name, time, y, x in place],
        rank=np.zeros(len(first), int),
        time=first["time"].values,
        latitude=first["latitude"].values,
        longitude=first["longitude"].values,
        profile=profile,
        **{vertical: rows[vertical].values},
        temperature=rows["temperature"].values,
        salinity=rows.get("salinity", pd.Series(np.nan, rows.index)).values,
        error=rows["error"].values,
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
            rows = rows.reset_index(drop=not any(rows.index.names))
        else:
            with path.open(encoding="utf-8-sig") as file:
                header = file.readline()
            separator = max(("," if suffix == ".csv" else "\t", ";", "\t", ","), key=header.count)
            rows = _read_text(path, separator, header)
    except UnicodeError as error:
        raise ValueError(f"{path} cannot be read as a table ({error}); save it as UTF-8") from error
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a table ({error})") from error
    rows.columns = [str(name).strip().lower() for name in rows.columns]
    if repeated := rows.columns[rows.columns.duplicated()].tolist():
        raise ValueError(f"{path} has column {shortened(repeated[0])} twice; keep one of them")
    return rows


def _read_text(path: Path, separator: str, header: str) -> pd.DataFrame:
    """The cells of a text file; those of dates and names stay text, with their leading zeros.

    Raises:
        ValueError: it has no line of names, or lines of another length.
    """
    if not header.strip() or header.startswith("#"):
        raise ValueError(f"its first line is {header.strip()[:40]!r}; begin with the column names")
    # The line of names is a row, so that pandas renames no repeated name.
    options = {"sep": separator, "encoding": "utf-8-sig", "header": None}
    names = pd.read_csv(path, nrows=1, dtype=str, **options).iloc[0].fillna("").tolist()
    text = [k for k, n in enumerate(names) if n.strip().lower() in TEXT]
    try:
        types = dict.fromkeys(text, str)
        rows = pd.read_csv(path, skiprows=1, low_memory=False, dtype=types, **options)
    except pd.errors.EmptyDataError:
        rows = pd.DataFrame(columns=range(len(names)))
    if len(names) != rows.shape[1]:
        raise ValueError(
            f"its rows have {rows.shape[1]} cells, the first line {len(names)} names; give every "
            "column one name, in the first line"
        )
    for k, name in enumerate(names):
        if not name.strip() and rows[k].notna().any():
            raise ValueError(f"column {k + 1} has no name; name it, or drop it")
    named = [k for k, name in enumerate(names) if name.strip()]
    return rows[named].set_axis([names[k] for k in named], axis=1)


def _errors(rows: pd.DataFrame, lost: Counter[str]) -> pd.Series:
    """Standard deviations, °C; the largest stated one where a row states none.

    Raises:
        ValueError: one is no standard deviation.
    """
    if "error" not in rows:
        return pd.Series(ERROR, rows.index)
    wrong = rows["error"].notna() & ~rows["error"].between(0, LARGEST_ERROR)
    if wrong.any():
        raise ValueError(
            f"it holds an error of {rows['error'][wrong].iloc[0]:g} °C, limits 0 and "
            f"{LARGEST_ERROR:g}; give standard deviations"
        )
    largest = rows["error"].max() if rows["error"].notna().any() else ERROR
    lost[f"without an error ({largest:g} °C taken)"] += int(rows["error"].isna().sum())
    return rows["error"].fillna(largest)


def _without_repeats(rows: pd.DataFrame, vertical: str, lost: Counter[str]) -> pd.DataFrame:
    """The rows sorted by cast and depth, without repeated rows and contradictory values."""
    rows = rows.sort_values([*KEYS, vertical], kind="stable", ignore_index=True)
    place = [*KEYS, vertical]
    usable = rows[vertical].notna() & rows["temperature"].notna() & ~rows["bad"]
    again = rows[usable].duplicated([*place, "temperature"]).reindex(rows.index, fill_value=False)
    lost["repeated rows"] += int(again.sum())
    rows, usable = rows[~again], usable[~again]
    several = rows[usable].duplicated(place, keep=False).reindex(rows.index, fill_value=False)
    lost["different values at one depth of a cast"] += int(several.sum())
    return rows[~several].reset_index(drop=True)


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
    if column.dtype.kind in "bmM" or column.dtype == object and column.map(type).eq(bool).any():
        raise ValueError(f"column {column.name} holds {column.dtype}, must be numbers")
    # `coerce`, because what it cannot read is counted and shown here.
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    unread = column.notna() & ~np.isfinite(numbers)
    numbers = numbers.where(~unread)
    if unread.any():
        index = int(unread.to_numpy().argmax())
        text = str(column.iloc[index])
        hint = " (a decimal comma?)" if re.fullmatch(r"\s*-?\d+,\d+\s*", text) else ""
        example = f"{shortened(text)} in row {index + 1}{hint}"
        words = f"cells of {column.name} hold no number, such as {example}"
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
        plain = re.sub(r"[^a-z0-9]+", "_", name).strip("_")
        if not FLAG.search(plain):
            continue
        subject = re.sub("_+", "_", FLAG_WORDS.sub("", plain)).strip("_")
        if subject not in JUDGED:
            if subject in rows and subject != name:  # flags of another quantity
                continue
            raise ValueError(
                f"column {name} may hold flags, of what is not known; name it after the column "
                "that it judges, such as temperature_qc, or drop it"
            )
        judged = JUDGED[subject]
        # `coerce`, because what is no digit is refused below.
        flags = pd.to_numeric(rows[name], errors="coerce")
        known = flags.isin(range(1, 10)) & (rows[name].dtype.kind != "b") | rows[name].isna()
        if not known.all():
            index = int((~known).to_numpy().argmax())
            raise ValueError(
                f"column {name} holds {rows[name].iloc[index]!s} in row {index + 1}; it is read as "
                "flags from 1 to 9, of which 1 and 2 are good (0 means good to some and unchecked "
                "to others): write such flags, or keep the good rows and drop the column"
            )
        bad[judged] = bad[judged] | ~flags.isin(GOOD)  # an empty flag judges nothing good
    return bad
