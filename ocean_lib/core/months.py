"""Months: dates counted in months, and the split of a record into training and test data.

A split in time has three blocks (train, validation, test) with gaps between them, because
neighbouring months are correlated. In a short record the three blocks are bands of longitude.
Lengths are given in months and converted with the spacing of the dates, so that a gap of 3 also
means three months for daily fields.
"""

import math

import numpy as np

__all__ = ["choose_split", "from_months", "neighbouring_dates", "dates_per_month", "to_months"]


SPLITS = ("train", "validation", "test")
DAYS_PER_MONTH = 30.4375


def to_months(times: np.ndarray) -> np.ndarray:
    """Convert datetime64 (T,) to months of mean length since 1970, (T,) float64."""
    days = (np.asarray(times) - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    return days / DAYS_PER_MONTH


def from_months(position: np.ndarray) -> np.ndarray:
    """Convert months since 1970 (T,) to datetime64[ns] (T,), rounded to the second."""
    seconds = np.rint(np.asarray(position) * DAYS_PER_MONTH * 86400).astype("timedelta64[s]")
    return (np.datetime64("1970-01-01", "s") + seconds).astype("datetime64[ns]")


def neighbouring_dates(times: np.ndarray, reach: int = 1) -> np.ndarray:
    """Find the dates a whole number of months from each date, to within a quarter of a month.

    Args:
        times: datetime64 (T,), ascending.
        reach: R, the largest lag, months.
    Returns:
        (T, 2 R) index into `times`, -1 where there is no such date. The columns are ordered by
        lag: for R = 2, two months before, one before, one after, two after. Of two dates equally
        near, the earlier is taken.
    """
    position = to_months(times)
    columns = []
    for lag in (*range(-reach, 0), *range(1, reach + 1)):
        after = np.searchsorted(position, position + lag)
        either = np.stack([after - 1, after]).clip(0, len(position) - 1)
        deviation = np.abs(position[either] - position - lag)
        nearest = np.take_along_axis(either, deviation.argmin(0)[None], 0)[0]
        columns.append(np.where(deviation.min(0) < 0.25, nearest, -1))
    return np.stack(columns, 1)


def dates_per_month(times: np.ndarray) -> float:
    """Dates per month from their median spacing; exactly 1 for monthly fields and for one date."""
    if len(times) < 2:
        return 1.0
    number = DAYS_PER_MONTH / (np.median(np.diff(times)) / np.timedelta64(1, "D"))
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
    """Split a record into training, validation and test data.

    Args:
        times: all dates, datetime64 (T,).
        columns: number of longitudes.
        kind: `time`, `space`, or `auto`: time if the record lasts 48 months or more.
        validation: length of a split in time, months.
        test: length of a split in time, months.
        gap: between the blocks of a split in time, months.
        gap_cells: columns between the bands of a split in space.
    Returns:
        `kind` (`time` or `space`), and [first, last) index of `train`, `validation` and `test`.
    Raises:
        ValueError: too few dates or columns, or an unknown kind.
    """
    density = dates_per_month(times)
    if kind == "auto":
        kind = "time" if round(len(times) / density) >= 48 else "space"
    if kind == "time":
        lengths = (math.ceil(round(months * density, 1)) for months in (validation, test, gap, 12))
        return {"kind": kind} | _in_time(len(times), *lengths)
    if kind == "space":
        return {"kind": kind} | _in_space(columns, gap_cells)
    raise ValueError(f"split {kind!r} is not known; choose 'time', 'space' or 'auto'")


def _blocks(train: int, validation: int, gap: int, end: int) -> dict[str, list[int]]:
    first = train + gap
    second = first + validation + gap
    return {"train": [0, train], "validation": [first, first + validation], "test": [second, end]}


def _in_time(number: int, validation: int, test: int, gap: int, year: int) -> dict[str, list[int]]:
    train = number - validation - test - 2 * gap
    if train < year:
        raise ValueError(
            f"{number} dates leave {train} for training, limit {year} (a year), after {validation} "
            f"for validation, {test} for test and two gaps of {gap}; ask for fewer, add dates, or "
            "split='space'"
        )
    return _blocks(train, validation, gap, number)


def _in_space(columns: int, gap: int) -> dict[str, list[int]]:
    if columns < 4 * gap + 12:
        raise ValueError(
            f"{columns} columns of longitude are too few for three bands with gaps of {gap}; "
            f"choose a gap of at most {max((columns - 12) // 4, 0)} or a wider region"
        )
    train = round(0.62 * (columns - 2 * gap))
    validation = round(0.16 * (columns - 2 * gap))
    return _blocks(train, validation, gap, columns)
