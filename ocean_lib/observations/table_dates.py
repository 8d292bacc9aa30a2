"""Dates of tables: one format for a whole column, and nothing is guessed.

A date is read by the same rule in every row. ISO 8601 comes first; of other spellings the column
must allow a single one, so 03/04/2015 alone is refused, and beside 13/04/2015 it is 3 April.
Numbers, times of day and dates without a year are refused with what to write: `date_format` (codes
of `strptime`) or `time_units` (such as "days since 1950-01-01") let them in.
"""

import re
from itertools import product

import numpy as np
import pandas as pd

from ocean_lib.core.messages import shortened
from ocean_lib.fields.dates import decode_numbers

__all__ = ["add_clock", "read_dates"]


ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?)? ?(Z|UTC|[+-]\d{2}:?\d{2})?", re.I
)
DAYS = (
    *("%Y/%m/%d", "%Y.%m.%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y"),
    *("%m-%d-%Y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d %Y", "%b %d, %Y", "%B %d, %Y"),
)
CLOCKS = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S")
YEAR, MONTH = re.compile(r"%[yYcx]"), re.compile(r"%[mbBjcx]")
SENTINELS = (-9, -99, -999, -9999, -99999)  # that mean no date
CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)? ?(Z|UTC)?", re.I)
EARLIEST = np.datetime64("1750-01-01")
# Days from the origin of a count of days to 1970-01-01.
COUNTS = {
    "julian days": 2440587.5,
    "modified julian days": 40587.0,
    "matlab days": 719529.0,
    "excel days": 25569.0,
}
# (lowest, highest, what such numbers may be, what lets them in)
NUMBERS = (
    (1750, 2150, "decimal years", 'time_units="decimal years"'),
    (2500, 60000, "days", 'time_units="days since 1950-01-01", or "excel days"'),
    (175001, 215012, "YYYYMM", 'date_format="%Y%m"'),
    (600000, 800000, "Matlab's days", 'time_units="matlab days"'),
    (2300000, 2500000, "Julian days", 'time_units="julian days"'),
    (17500101, 21501231, "YYYYMMDD", 'date_format="%Y%m%d"'),
    (1e8, 4e9, "seconds since 1970", 'time_units="seconds since 1970-01-01"'),
    (1e11, 4e12, "milliseconds since 1970", 'time_units="milliseconds since 1970-01-01"'),
)


def read_dates(
    column: pd.Series, *, date_format: str | None = None, time_units: str | None = None
) -> pd.Series:
    """Dates of a column, all by one rule.

    Args:
        column: text, numbers or datetimes, (N,).
        date_format: codes of `strptime`, such as "%d/%m/%Y"; numbers are read by their digits.
        time_units: of numbers: "days since 1950-01-01" and the like, "decimal years", "julian
            days", "modified julian days", "matlab days" or "excel days".

    Returns:
        datetime64[ns], UTC, without a zone, (N,); NaT where a cell is empty or holds no digit.

    Raises:
        ValueError: the column names no single day, allows several readings, or holds a year
            outside 1750 to tomorrow; the message names the row and what to write.
    """
    if date_format and time_units:
        raise ValueError("date_format and time_units are both given; give one of them")
    if date_format and not (YEAR.search(date_format) and MONTH.search(date_format)):
        raise ValueError(
            f"date_format is {shortened(date_format)}, must hold year and month, such as '%d/%m/%Y'"
        )
    if column.dtype == object and column.map(pd.api.types.is_list_like).any():
        raise ValueError(f"column {column.name} holds lists; write one date a row")
    if not date_format and not pd.api.types.is_datetime64_any_dtype(column):
        # Text in which every cell is a number is a column of numbers; `coerce` loses nothing.
        numbers = pd.to_numeric(column, errors="coerce")
        column = numbers if numbers.notna().sum() == column.notna().sum() else column
    if time_units:
        dates = _count(column, time_units)
    elif pd.api.types.is_datetime64_any_dtype(column):
        dates = pd.to_datetime(column, utc=True).dt.tz_localize(None)  # dates already: no parsing
    elif pd.api.types.is_numeric_dtype(column) and not date_format:
        if column.notna().any():
            _refuse_numbers(column)
        dates = pd.Series(pd.NaT, column.index, dtype="datetime64[ns]")
    else:
        dates = _parse(column, date_format)
    tomorrow = np.datetime64("now") + np.timedelta64(1, "D")
    wrong = dates.notna() & ~((dates >= EARLIEST) & (dates <= tomorrow))
    if wrong.any():
        row, value = _first(column, wrong)
        raise ValueError(
            f"time {shortened(value)} in row {row} is read as {dates[wrong].iloc[0]:%Y-%m-%d}, "
            "outside 1750 to tomorrow; correct it, or say how to read it by date_format or "
            "time_units"
        )
    return dates.astype("datetime64[ns]")


def add_clock(dates: pd.Series, clock: pd.Series) -> pd.Series:
    """Dates with the time of day of another column; without one, midnight.

    Args:
        dates: from `read_dates`, (N,).
        clock: times of day, HH:MM or HH:MM:SS, UTC, (N,).

    Raises:
        ValueError: a cell of `clock` is no time of day, or the dates have one already.
    """
    text = clock.astype("string").str.strip()
    wrong = text.notna() & ~text.str.fullmatch(CLOCK).fillna(False).astype(bool)
    if wrong.any():
        row, value = _first(clock, wrong)
        raise ValueError(
            f"time {shortened(value)} in row {row} beside a column date is no time of day; write "
            "HH:MM"
        )
    if (dates.dropna() != dates.dropna().dt.normalize()).any():
        raise ValueError("columns date and time both hold a time of day; drop one of them")
    text = text.str.replace(r" ?(UTC|Z)$", "", regex=True, case=False).fillna("00:00")
    text = text.str.replace(r"^(\d{1,2}:\d{2})$", r"\1:00", regex=True)
    return dates + pd.to_timedelta(text)


def _parse(column: pd.Series, date_format: str | None) -> pd.Series:
    """Dates of a column of text."""
    # Many rows share a date: every spelling is parsed once.
    codes, spelled = pd.factorize(column)
    if pd.api.types.is_float_dtype(spelled) and (spelled == np.floor(spelled)).all():
        spelled = spelled.astype(np.int64)  # 20150403.0, where another cell is empty
    if pd.api.types.is_integer_dtype(spelled) and date_format:
        digits = len(pd.Timestamp("2015-11-23 12:34:56").strftime(date_format))
        for value in spelled[[len(str(value)) != digits for value in spelled]]:
            raise ValueError(
                f"time {value} has {len(str(value))} digits, date_format {shortened(date_format)} "
                f"{digits}; write it as text, with its leading zeros"
            )
    every = pd.Series(spelled.astype(str), dtype=object).str.strip()
    texts = every[every.str.contains(r"\d", regex=True)]  # words such as `unknown` name no date
    if date_format:
        parsed = _by_format(texts, date_format)
        unread = parsed.isna()
    elif (iso := texts.str.fullmatch(ISO)).all():
        texts = texts.str.replace(r" ?(UTC|Z)$", "Z", regex=True, case=False)
        parsed = _by_format(texts.str.replace(",", "."), "ISO8601")
        unread = parsed.isna()
    elif iso.any():
        parsed, unread = pd.Series(pd.NaT, texts.index), ~iso
    else:
        parsed, unread = _by_one_of_many(texts, column)
    if unread.any():
        value = texts[unread].iloc[0]
        row = int(np.flatnonzero(codes == unread.idxmax())[0]) + 1
        raise ValueError(_advice(value, row, date_format))
    values = parsed.reindex(range(len(every) + 1)).to_numpy()  # NaT at the end, for code -1
    return pd.Series(values[codes], column.index)


def _by_one_of_many(texts: pd.Series, column: pd.Series) -> tuple[pd.Series, pd.Series]:
    """The one reading that fits all texts, and which of them it leaves unread.

    Raises:
        ValueError: several readings fit, and they differ.
    """
    readings: dict[str, pd.Series] = {}
    for day, clock in product(DAYS, CLOCKS):
        # The first text excludes most formats.
        if _by_format(texts[:1], day + clock).notna().all():
            readings[day + clock] = _by_format(texts, day + clock)
    complete = {name: dates for name, dates in readings.items() if dates.notna().all()}
    for name, dates in complete.items():
        first_name, first = next(iter(complete.items()))
        if (different := dates != first).any():
            row, value = _first(column, column.astype(str).str.strip() == texts[different].iloc[0])
            raise ValueError(
                f"time {shortened(value)} in row {row} may be {first[different].iloc[0]:%Y-%m-%d} "
                f"({first_name}) or {dates[different].iloc[0]:%Y-%m-%d} ({name}); say which by "
                f'date_format="{first_name}", or write it as YYYY-MM-DD'
            )
    if complete:
        dates = next(iter(complete.values()))
        return dates, pd.Series(False, texts.index)
    best = max(readings.values(), key=lambda dates: dates.notna().sum(), default=None)
    unread = pd.Series(True, texts.index) if best is None else best.isna()
    return pd.Series(pd.NaT, texts.index), unread


def _by_format(texts: pd.Series, date_format: str) -> pd.Series:
    # `coerce` loses nothing: the caller refuses, or counts as unfit, every NaT.
    parsed = pd.to_datetime(texts, format=date_format, errors="coerce", utc=True)
    return parsed.dt.tz_localize(None)


def _count(column: pd.Series, time_units: str) -> pd.Series:
    """Dates of a column of numbers in units."""
    if pd.api.types.is_datetime64_any_dtype(column):
        raise ValueError("column time holds dates, not numbers; leave out time_units")
    number = pd.to_numeric(column, errors="coerce")  # what is no number is refused below
    fill = ~np.isfinite(number) | (number.abs() > 1e14) | number.isin(SENTINELS)
    if (wrong := column.notna() & fill).any():
        row, value = _first(column, wrong)
        raise ValueError(
            f"time {shortened(value)} in row {row} is no number, as time_units needs; leave it "
            "empty if it is unknown"
        )
    units, known = time_units.strip().lower(), number.dropna()
    if units in COUNTS:
        _refuse_far(column, known < 0, time_units)
        seconds = (known - COUNTS[units]) * 86400.0
        _refuse_far(column, seconds.abs() > 1e12, time_units)
        dates = np.datetime64(0, "s") + seconds.round().astype(np.int64).to_numpy("m8[s]")
    elif units in ("decimal years", "decimal year"):
        _refuse_far(column, ~known.between(1, 9999), time_units)
        start, end = (
            (np.floor(known).astype(int) - 1970 + more).to_numpy().astype("M8[Y]").astype("M8[s]")
            for more in (0, 1)
        )
        part = (known % 1).to_numpy() * (end - start).astype(float)
        dates = start + part.round().astype("m8[s]")
    else:
        try:
            if not re.search(r"since \d{4}-\d{1,2}-\d{1,2}", units):
                raise ValueError("it names no first date as YYYY-MM-DD")
            dates = decode_numbers(known.to_numpy(float), time_units)
        except (ValueError, OverflowError) as error:
            raise ValueError(
                f"time_units is {shortened(time_units)} ({error}); write such as 'days since "
                f"1950-01-01', 'decimal years', {', '.join(map(repr, COUNTS))}"
            ) from error
    _refuse_far(column, pd.Series(abs(dates.astype("M8[Y]").astype(int)) > 290, known.index), units)
    filled = pd.Series(pd.NaT, column.index, dtype="datetime64[ns]")
    filled[known.index] = dates.astype("M8[ns]")
    return filled


def _refuse_far(column: pd.Series, far: pd.Series, time_units: str) -> None:
    if far.any():
        row, value = _first(column, far.reindex(column.index, fill_value=False))
        raise ValueError(
            f"time {shortened(value)} in row {row}, in {time_units}, lies outside 1750 to "
            "tomorrow; correct time_units"
        )


def _refuse_numbers(column: pd.Series) -> None:
    row, value = _first(column, column.notna())
    kinds = [f"{what}: {way}" for low, high, what, way in NUMBERS if low <= value <= high]
    guess = f"it looks like {' or '.join(kinds)}" if kinds else "say what it counts by time_units"
    raise ValueError(
        f"time {value:.12g} in row {row} is a number without a unit; {guess}; or write YYYY-MM-DD"
    )


def _advice(value: str, row: int, date_format: str | None) -> str:
    """Why a text is no date, and what to write."""
    if date_format:
        return (
            f"time {shortened(value)} in row {row} does not follow date_format "
            f"{shortened(date_format)}"
        )
    if re.fullmatch(CLOCK, value):
        why = "is a time of day; add a column date"
    elif re.fullmatch(r"\d{4}-\d{2}", value):
        why = 'names no day; write the day, or let it be the first by date_format="%Y-%m"'
    elif re.fullmatch(r"\d{1,2}[-/. ](\d{1,2}|[A-Za-z]{3,9})[-/. ]\d{2}(\D.*)?", value):
        why = 'has a year of two digits; say how to read it, such as date_format="%y-%m-%d"'
    elif not re.search(r"\d{4}", value) and re.search(r"\d", value):
        why = "names no year"
    else:
        why = "is no date, or is written differently from other rows"
    return (
        f"time {shortened(value)} in row {row} {why}; write YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ in "
        "every row"
    )


def _first(column: pd.Series, where: pd.Series) -> tuple[int, object]:
    """Number from 1, and value, of the first row where a condition holds."""
    index = int(where.to_numpy().argmax())
    value = column.iloc[index]
    return index + 1, value.item() if isinstance(value, np.generic) else value
