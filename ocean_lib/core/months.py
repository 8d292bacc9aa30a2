"""Splits: which dates, or which columns, train, validate and test.

In time they are three blocks with gaps between them, because neighbouring months resemble each
other; where the record is short they are three bands of longitude.  Lengths are counted in months
and converted by the spacing of the dates, so that a gap of 3 is three months of daily fields too.
"""

import math

import numpy as np

__all__ = [
    "SPLITS",
    "neighbouring_dates",
    "choose_split",
    "from_months",
    "to_months",
    "records_a_month",
]


SPLITS = ("train", "validation", "test")
MONTH = 30.4375  # days


def to_months(times: np.ndarray) -> np.ndarray:
    """Dates as a number of months of mean length, (T,), float64."""
    days = (np.asarray(times) - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    return days / MONTH


def from_months(months: np.ndarray) -> np.ndarray:
    """The inverse of `months`: datetime64, to the second."""
    seconds = np.rint(np.asarray(months) * MONTH * 86400).astype("timedelta64[s]")
    return (np.datetime64("1970-01-01", "s") + seconds).astype("datetime64[ns]")


def neighbouring_dates(times: np.ndarray, reach: int = 1) -> np.ndarray:
    """(T, 2 R) index of the dates up to R months before and after each, -1 where there is none.

    In order: for a reach R of 2 those of two months before, one before, one after, two after.
    """
    position = to_months(times)
    apart = position[None] - position[:, None]
    found = []
    for lag in (*range(-reach, 0), *range(1, reach + 1)):
        off = np.abs(apart - lag)
        found.append(np.where(off.min(1) < 0.25, off.argmin(1), -1))
    return np.stack(found, 1)


def records_a_month(times: np.ndarray) -> float:
    """Dates in a month, by their median spacing; exactly 1 for monthly fields and for one date."""
    if len(times) < 2:
        return 1.0
    number = MONTH / (np.median(np.diff(times)) / np.timedelta64(1, "D"))
    return 1.0 if 0.9 < number < 1.1 else float(number)


def choose_split(
    times: np.ndarray,
    columns: int,
    kind: str = "auto",
    *,
    validation: float,
    test: float,
    gap: float,
    gap_cells: int = 6,
) -> dict:
    """`kind`, and first and last index (exclusive) of `train`, `validation` and `test`.

    Args:
        times: all dates.    columns: of longitude.
        kind: `time`, `space`, or `auto`: time where the record lasts 48 months or more.
        validation, test, gap: months.    gap_cells: columns between the bands of a split in space.
    Raises:
        ValueError: too few dates or columns, or a kind that is not known.
    """
    monthly = records_a_month(times)
    if kind == "auto":
        kind = "time" if round(len(times) / monthly) >= 48 else "space"
    if kind == "time":
        lengths = (math.ceil(round(months * monthly, 1)) for months in (validation, test, gap, 12))
        return {"kind": kind} | _in_time(len(times), *lengths)
    if kind == "space":
        return {"kind": kind} | _in_space(columns, gap_cells)
    raise ValueError(f"split {kind!r} is not known; choose 'time', 'space' or 'auto'")


def _blocks(train: int, validation: int, gap: int, end: int) -> dict[str, list[int]]:
    first = train + gap
    second = first + validation + gap
    return {"train": [0, train], "validation": [first, first + validation], "test": [second, end]}


def _in_time(number: int, validation: int, test: int, gap: int, least: int):
    train = number - validation - test - 2 * gap
    if train < least:
        raise ValueError(
            f"{number} dates leave {train} to train on, limit {least} (a year), after {validation} "
            f"for validation, {test} for test and two gaps of {gap}; ask for fewer, add dates, or "
            "split='space'"
        )
    return _blocks(train, validation, gap, number)


def _in_space(columns: int, gap: int):
    if columns < 4 * gap + 12:
        raise ValueError(
            f"{columns} columns of longitude are too few for three bands with gaps of {gap}; "
            f"choose a gap of at most {max((columns - 12) // 4, 0)} or a wider region"
        )
    train = round(0.62 * (columns - 2 * gap))
    validation = round(0.16 * (columns - 2 * gap))
    return _blocks(train, validation, gap, columns)
