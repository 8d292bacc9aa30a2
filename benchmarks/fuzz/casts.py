"""Mutations of casts: tables of text and Parquet, and files of Argo's data centres."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from . import casts_changes as do
from .argo_file import argo_arrays
from .mutation import DAMAGES, Catalogue, Mutation

__all__ = ["mutations"]


NAN, INF = math.nan, math.inf
IMPOSSIBLE = (INF, -INF, 1e30, -999.0, 9999.0, 100.0, 290.0, 99999.0, -40.0)
LEFT_OUT = 3.0  # °C, by which the result may change where one cast is left out
WIDE = 8.0  # °C, by which it may change where many are
SLIGHT = 0.1  # °C, by which it may change where nothing is left out
EVERY = 2  # a share of the rows
ARGO = ("TEMP", "PRES", "PSAL", "LATITUDE", "LONGITUDE", "JULD")
ARGO += ("TEMP_ADJUSTED", "PRES_ADJUSTED", "TEMP_ADJUSTED_ERROR")
Add = Callable[..., None]


def mutations() -> Catalogue:
    """The mutations of casts; the format stands in front of each name."""
    made = Catalogue()

    def add(name, expected, apply, near=None, /, formats=("csv", "parquet"), **arguments):
        for format in formats:
            change = partial(_prepared, format=format, apply=partial(apply, **arguments))
            made.append(Mutation(f"{format}: {name}", expected, change, near))

    _cells(add)
    _columns(add)
    _dates(add)
    _text(partial(add, formats=("csv",)))
    _argo(partial(add, formats=("argo",)))
    for dtype, near in (("float32", SLIGHT), ("float16", WIDE), ("str", SLIGHT)):
        for column in ("temperature", "latitude"):
            here: dict[str, Any] = {"column": column, "dtype": dtype, "formats": ["parquet"]}
            add(f"{column} as {dtype}", "either", do.typed, near, **here)
    here = {"column": "time", "dtype": "datetime64[ns]", "formats": ["parquet"]}
    add("time as dates", "same", do.typed, **here)
    for name in DAMAGES:
        formats = ("csv", "parquet", "argo", "argo")
        add(name, "either", do.damaged, name=name, formats=formats)
    return made


def _prepared(table: do.Table, rng: np.random.Generator, format: str, apply: Callable) -> None:
    table.format = format
    if format == "argo":
        table.arrays = argo_arrays(table.rows)
    apply(table, rng)


def _cells(add: Add) -> None:
    """Cells of a column: one, those of a cast, or a share of them."""

    def put(name, expected, near, column, change, part, **choices):
        add(name, expected, do.values, near, column=column, change=change, part=part, **choices)

    text = {"formats": ["csv"]}
    for value in IMPOSSIBLE:

        def same(_, value=value):
            return value

        for part, near in (("one", LEFT_OUT), ("cast", LEFT_OUT), (0.2, WIDE)):
            words = f"temperature {value:g}, {part}"
            put(words, "either", near, "temperature", same, part, **text)
        for column in ("depth", "latitude", "longitude", "salinity"):
            put(f"{column} {value:g}, one", "either", LEFT_OUT, column, same, "one", **text)
    for column in ("temperature", "depth", "time", "latitude", "longitude", "salinity"):
        every = "either" if column == "salinity" else "refused"
        put(f"{column} empty, one", "either", LEFT_OUT, column, lambda _: None, "one")
        put(f"{column} of words, one", "either", LEFT_OUT, column, lambda _: "words", "one", **text)
        put(f"{column} of words", every, LEFT_OUT, column, lambda _: "words", EVERY)
        put(f"{column} with a comma, one", "either", LEFT_OUT, column, _comma, "one", **text)
        add(f"{column} left out", every, do.dropped, SLIGHT, column=column)
    for value in (0.0, 33.0, -2.4, 40.0):
        for part in ("one", "cast"):
            words = f"temperature {value:g}, {part}"
            put(words, "either", None, "temperature", lambda _, value=value: value, part)
    for name, expected, near, column, change, part in (
        ("temperature with commas", "refused", None, "temperature", _comma, EVERY),
        ("latitude with commas", "refused", None, "latitude", _comma, EVERY),
        ("temperature in kelvin", "refused", None, "temperature", lambda v: v + 273.15, EVERY),
        ("a cast in kelvin", "either", LEFT_OUT, "temperature", lambda v: v + 273.15, "cast"),
        ("temperature in °F", "either", WIDE, "temperature", lambda v: 1.8 * v + 32, EVERY),
        ("a cast in °F", "either", None, "temperature", lambda v: 1.8 * v + 32, "cast"),
        ("depth negative", "refused", None, "depth", lambda v: -v, EVERY),
        ("depth of a cast negative", "either", LEFT_OUT, "depth", lambda v: -v, "cast"),
        ("depth in cm", "either", None, "depth", lambda v: 100 * v, EVERY),
        ("depth of zeros", "either", WIDE, "depth", lambda v: 0.0, EVERY),
        ("longitude + 360", "same", None, "longitude", lambda v: v + 360, EVERY),
        ("longitude + 720", "refused", None, "longitude", lambda v: v + 720, EVERY),
        ("longitude without sign", "refused", None, "longitude", lambda v: -v, EVERY),
        ("latitude of the south", "refused", None, "latitude", lambda v: -v, EVERY),
    ):
        put(name, expected, near, column, change, part)


def _comma(value: Any) -> str:
    return str(value).replace(".", ",")


def _columns(add: Add) -> None:
    """Rows and columns: moved, repeated, left out, added."""
    add("casts of 40 and -5 °C side by side", "either", do.neighbours, LEFT_OUT)
    add("latitude and longitude swapped", "refused", do.swapped, a="latitude", b="longitude")
    add("depth and temperature swapped", "either", do.swapped, WIDE, a="depth", b="temperature")
    capitals = {n: n.upper() for n in ("time", "latitude", "longitude", "depth", "temperature")}
    add("names in capitals", "same", do.renamed, **capitals)
    add("rows shuffled", "same", do.shuffled)
    add("columns permuted", "same", do.columns_permuted)
    add("rows twice", "same", do.duplicated, part=EVERY)
    add("some rows twice", "same", do.duplicated, part=0.1)
    warmer = {"part": 0.1, "change": lambda rows: rows.assign(temperature=rows.temperature + 5)}
    add("rows twice, 5 °C warmer", "either", do.duplicated, WIDE, **warmer)
    warmer = {"part": "cast", "change": lambda r: r.assign(temperature=r.temperature + 10, cast=99)}
    add("a cast twice, 10 °C warmer", "either", do.duplicated, **warmer)
    for stop in (0, 1, 5):
        add(f"{stop} rows", "either" if stop else "refused", do.selected, WIDE, stop=stop)
    add("another column", "same", do.added, note="seen")
    add("pressure beside depth", "refused", do.added, pressure=5.0)
    for name, value, expected in (
        ("temperature_qc", 4, "refused"),
        ("qc", 9, "refused"),
        ("qc", 0, "either"),
        ("qc", "good", "refused"),
        ("qc", None, "either"),
        ("qc", 1e30, "refused"),
        ("qc", 1.5, "refused"),
        ("error", -1.0, "refused"),
        ("error", 1e30, "refused"),
        ("error", INF, "refused"),
        ("error", NAN, "either"),
        ("error", 9.0, "either"),
        ("error", 0.0, "either"),
    ):
        add(f"{name} of {value}", expected, do.added, WIDE, **{name: value})


def _dates(add: Add) -> None:
    for format in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S"):
        add(f"dates as {format}", "same", do.dates, format=format)
    for format in (
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%d.%m.%y",
        "%Y%m%d",
        "%d %B %Y",
        "%H:%M",
        "%Y",
        "%Y-%m",
    ):
        add(f"dates as {format}", "either", do.dates, format=format)
    for unit in ("D", "h", "s"):
        add(f"times in {unit}", "refused", do.days, unit=unit)
    for value in (
        *("2000-02-30", "0000-00-00", "9999-12-31", "1850-01-01", "2262-05-01", "tomorrow"),
        *("1994-09-31T25:00", "-4712-01-01", "1e30"),
    ):
        for part, near in (("one", LEFT_OUT), (EVERY, None)):
            here = {"column": "time", "change": lambda _, value=value: value, "part": part}
            add(f"time {value}, {part}", "either", do.values, near, **here)
    for choices in (
        {"date_format": "%d/%m/%Y"},
        {"date_format": "nonsense"},
        {"date_format": ""},
        {"time_units": "days since 1950-01-01"},
        {"time_units": "furlongs"},
        {"date_format": "%Q", "time_units": "x"},
    ):
        add(f"read with {choices}", "either", do.chosen, SLIGHT, **choices)


def _text(add: Add) -> None:
    """The text of a table, as spreadsheets and editors leave it."""
    for separator, expected in ((";", "same"), ("\t", "same"), ("|", "refused")):
        add(f"separator {separator!r}", expected, do.optioned, sep=separator)
    add("decimal commas and ;", "either", do.optioned, SLIGHT, sep=";", decimal=",")
    add("line ends of Windows", "same", do.optioned, lineterminator="\r\n")
    add("all quoted", "same", do.optioned, quoting=1)
    for name, expected, change in (
        ("byte order mark", "same", lambda text, rng: "\ufeff" + text),
        ("no line of names", "refused", lambda text, rng: text.partition("\n")[2]),
        ("a comment first", "refused", lambda text, rng: "# casts\n" + text),
        ("an empty line first", "refused", lambda text, rng: "\n" + text),
        ("a line of units", "either", lambda text, rng: text.replace("\n", f"\n{'m,' * 8}m\n", 1)),
        ("empty lines between", "same", lambda text, rng: text.replace("\n", "\n\n")),
        ("a cell more", "refused", lambda text, rng: do.some_line(text, rng, lambda x: x + ",5")),
        ("a cell less", "either", lambda text, rng: do.some_line(text, rng, lambda x: x[:-2])),
        ("an open quote", "either", lambda text, rng: do.some_line(text, rng, lambda x: '"' + x)),
        ("a null byte", "either", lambda text, rng: do.some_line(text, rng, lambda x: x + "\0")),
        ("empty", "refused", lambda text, rng: ""),
        ("names only", "refused", lambda text, rng: text.partition("\n")[0]),
        ("a web page", "refused", lambda text, rng: "<!DOCTYPE html><html></html>"),
        ("a name twice", "refused", lambda text, rng: text.replace("salinity", "depth", 1)),
        ("a name empty", "refused", lambda text, rng: text.replace("salinity", "", 1)),
        *[("one character", "either", do.some_byte)] * 12,
    ):
        add(name, expected, do.texted, WIDE if expected == "either" else None, change=change)


def _argo(add: Add) -> None:
    """Arrays of a file of profiles."""
    for name in ARGO:
        for value in (NAN, INF, 1e30, -999.0, 99999.0, -5.0, 40.0):
            here = {"name": name, "value": value}
            add(f"{name} of {value:g}, one", "either", do.argo_value, WIDE, **here)
        add(f"no {name}", "either", do.argo_without, WIDE, name=name)
        add(f"{name} shorter", "either", do.argo_short, WIDE, name=name)
        add(f"{name} as text", "kept", do.argo_typed, name=name, dtype="S1")
        for attributes in ({"scale_factor": "x"}, {"units": "furlongs"}):
            words = f"{name} with {attributes}"
            add(words, "either", do.argo_attribute, SLIGHT, name=name, attributes=attributes)
    for name, factor, offset, expected in (
        ("TEMP", 1, 273.15, "refused"),
        ("TEMP", 1.8, 32, "either"),
        ("PRES", -1, 0, "either"),
        ("PRES", 100, 0, "either"),
        ("LATITUDE", -1, 0, "refused"),
        ("LONGITUDE", 1, 360, "same"),
        ("JULD", 24, 0, "refused"),
        ("JULD", 1, 1e7, "refused"),
        ("JULD", -1, 0, "either"),
    ):
        here = {"name": name, "factor": factor, "offset": offset}
        add(f"{name} × {factor} + {offset}", expected, do.argo_shift, WIDE, **here)
    for name in ("TEMP_QC", "PRES_QC", "POSITION_QC", "JULD_QC"):
        for letter in (b"4", b" ", b"\xff", b"x", b"0"):
            add(f"{name} of {letter!r}", "refused", do.argo_flags, name=name, letter=letter)
    for letter in (b"R", b"A", b"x", b"\xff"):
        here = {"name": "DATA_MODE", "value": letter, "part": EVERY}
        add(f"DATA_MODE of {letter!r}", "either", do.argo_value, WIDE, **here)
