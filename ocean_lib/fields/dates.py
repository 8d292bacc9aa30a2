"""Dates of fields: all calendars, months since a date, climatologies, and fields without a date.

CF files count days or seconds since a date, which xarray decodes. Atlases count months and years,
which have no fixed length: whole months follow the calendar, and the rest is a fraction of the next
month. A climatology, or a field without a date, gets a date in a nominal year and a comment that
says so.
"""

import re

import numpy as np
import xarray as xr

from ocean_lib.core.messages import shortened
from ocean_lib.fields.conventions import NOMINAL_YEAR

__all__ = ["decode_dates", "decode_numbers"]


MONTHS = re.compile(r"\s*(?:common_)?(month|year)s?\s+since\s+(.+)", re.IGNORECASE)
SINCE = re.compile(r"^\s*\w+\s+since\s", re.IGNORECASE)
YEARS = (1678, 2261)  # range of datetime64[ns]


def decode_dates(axis: xr.DataArray | None, dataset: xr.Dataset) -> xr.Variable:
    """Decode the dates of a time axis, or give a field without one a nominal date.

    Args:
        axis: the coordinate, not decoded, or None.
        dataset: its file, which may hold the bounds of the axis.
    Returns:
        datetime64[ns], with a `comment` if the dates are nominal. A date at the end of its bounds,
        as some models write it, is moved to their middle.
    Raises:
        ValueError: the axis holds no dates, or years outside 1678 to 2261.
    """
    if axis is None:
        middle = np.datetime64(f"{NOMINAL_YEAR}-07-02T12", "ns")
        comment = f"no date is given; dated in the middle of the nominal year {NOMINAL_YEAR}"
        return xr.Variable((), middle, {"comment": comment})
    numbers, units = axis.values, str(axis.attrs.get("units", ""))
    if (
        numbers.dtype.kind in "iuf"
        and np.isin(numbers, np.arange(1, 13)).all()
        and "since" not in units.lower()
        and "month" in f"{axis.name} {units}".lower()
    ):
        start = np.datetime64(f"{NOMINAL_YEAR}-01", "M") + (numbers.astype(int) - 1)
        comment = f"monthly climatology, dated in the nominal year {NOMINAL_YEAR}"
        middle = _between(start, start + 1, 0.5).astype("M8[ns]")
        return xr.Variable(axis.dims, middle, {"comment": comment})
    values = _decode(numbers, axis)
    named = axis.attrs.get("bounds")
    bounds = dataset.variables.get(named)
    note = (
        ""
        if named is None or bounds is not None
        else (f"{named}, the bounds of {axis.name}, is not in the file: dates are taken as written")
    )
    if bounds is not None and bounds.shape != (*values.shape, 2):
        note = f"{named}, the bounds of {axis.name}, has shape {bounds.shape}: dates are as written"
    elif bounds is not None:
        first, last = np.moveaxis(_decode(bounds.values, axis), -1, 0)
        values = np.where(values == last, _between(first, last, 0.5), values)
    years = values.astype("M8[Y]").astype(int) + 1970
    if (outside := (years < YEARS[0]) | (years > YEARS[1])).any():
        raise ValueError(
            f"{axis.name} holds the year {years[outside].flat[0]}, outside {YEARS[0]} to "
            f"{YEARS[1]}; count from a later year, for example `cdo shifttime,1900years`"
        )
    return xr.Variable(axis.dims, values.astype("M8[ns]"), {"note": note} if note else {})


def _decode(values: np.ndarray, axis: xr.DataArray) -> np.ndarray:
    """Convert numbers in the units of an axis, or decoded dates, to datetime64[s]."""
    units, calendar = str(axis.attrs.get("units", "")), axis.attrs.get("calendar", "standard")
    infinite = values.dtype.kind == "f" and np.isinf(values).any()
    try:
        if values.dtype.kind in "iuf" and (counted := MONTHS.fullmatch(units)):
            unit, since = counted.groups()
            # Only this calendar, and those without leap years, have a year 0.
            plain = "proleptic_gregorian" if calendar in ("standard", "gregorian") else calendar
            start = decode_numbers(np.zeros(1), f"days since {since}", plain)[0]
            values = _months_after(start, values * (12.0 if unit.lower() == "year" else 1.0))
        elif values.dtype.kind in "iuf":
            values = decode_numbers(values.ravel(), units, calendar).reshape(values.shape)
        elif values.dtype.kind == "O":
            values = _plain(values)
    except ValueError as error:
        raise ValueError(
            f"the dates of {axis.name} cannot be decoded ({error}); write them as days since a date"
        ) from error
    if values.dtype.kind != "M" or np.isnat(values).any() or infinite:
        raise ValueError(
            f"time {axis.name} holds {np.ravel(axis.values)[:3]} (units {shortened(units)}), not "
            "dates; give it units such as 'days since 1950-01-01'"
        )
    return values.astype("M8[s]")


def decode_numbers(values: np.ndarray, units: str, calendar: str = "standard") -> np.ndarray:
    """Decode numbers of days, hours or seconds since a date.

    Args:
        values: (N,).
        units: such as "days since 1950-01-01", in capitals or not.
        calendar: a CF calendar.
    Returns:
        datetime64[s], (N,).
    Raises:
        ValueError: the units are unknown, or a date lies outside the calendar.
    """
    units = SINCE.sub(lambda match: match[0].lower(), units)
    attrs = {"units": units, "calendar": calendar} if "since" in units else {}
    time = xr.Dataset({"time": ("time", values, attrs)})
    coder = xr.coders.CFDatetimeCoder(time_unit="s")
    try:
        decoded = xr.decode_cf(time, decode_times=coder, decode_timedelta=False)["time"].values
    except OverflowError as error:
        raise ValueError(
            f"times from {values.min():g} to {values.max():g} {units} lie outside any calendar; "
            "correct them"
        ) from error
    return _plain(decoded)


def _plain(values: np.ndarray) -> np.ndarray:
    """Convert dates of other calendars to datetime64[s]; 30 February becomes 28 or 29 February."""
    if values.dtype.kind != "O" or not hasattr(values.flat[0], "calendar"):
        return values
    plain = np.empty(values.shape, "M8[s]")
    for i, t in np.ndenumerate(values):
        month = np.datetime64(f"{t.year:04d}-{t.month:02d}", "M")
        day = min(month.astype("M8[D]") + (t.day - 1), (month + 1).astype("M8[D]") - 1)
        plain[i] = day.astype("M8[s]") + (t.hour * 3600 + t.minute * 60 + t.second)
    return plain


def _months_after(start: np.datetime64, months: np.ndarray) -> np.ndarray:
    """Add months to a date: whole ones by the calendar, the rest as a fraction of the next."""
    whole = np.floor(months + 1e-6)
    first = start.astype("M8[M]") + whole.astype(int)
    into = start - start.astype("M8[M]").astype("M8[s]")
    return _between(first, first + 1, np.clip(months - whole, 0, 1)) + into


def _between(first, last, fraction):
    """Date at a fraction of the way between two dates, datetime64[s]."""
    first, last = first.astype("M8[s]"), last.astype("M8[s]")
    return first + np.rint((last - first).astype(float) * fraction).astype("m8[s]")
