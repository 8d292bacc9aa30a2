"""Changes of casts: each takes a `Table` and changes it before it is written."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .argo_file import FILL, write_arrays
from .mutation import damage


@dataclass
class Table:
    """Casts in memory.

    Args:
        rows: one per value.
        format: `csv`, `parquet` or `argo`.
        separator: of text.
        arrays: of an Argo file.
        attributes: of its variables.
        options: of `pandas.DataFrame.to_csv`.
        text: changes the text of the file.
        damage: name of what is done to its bytes.
        choices: arguments of the reading.
    """

    rows: pd.DataFrame
    format: str = "csv"
    arrays: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, dict] = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    text: Callable[[str, np.random.Generator], str] | None = None
    damage: str = ""
    choices: dict = field(default_factory=dict)


def write(table: Table, folder: Path, rng: np.random.Generator) -> Path:
    """Write casts in their format."""
    path = folder / f"casts.{'nc' if table.format == 'argo' else table.format}"
    if table.format == "argo":
        write_arrays(path, table.arrays, table.attributes)
    elif table.format == "parquet":
        table.rows.to_parquet(path)
    else:
        text = table.rows.to_csv(index=False, **table.options)
        path.write_text(table.text(text, rng) if table.text else text, encoding="utf-8")
    if table.damage:
        damage(path, table.damage, rng)
    return path


def _where(table, rng, part):
    """Rows: one, of one cast, or a share."""
    rows = table.rows
    if part == "one":
        return rows.index == rng.integers(len(rows))
    if part == "cast":
        row = rows.iloc[rng.integers(len(rows))]
        return ((rows.platform == row.platform) & (rows.time == row.time)).to_numpy()
    return rng.random(len(rows)) < part


def values(table, rng, column, change, part):
    where = _where(table, rng, part)
    kept = table.rows[column].astype(object)
    kept[where] = [change(value) for value in kept[where]]
    table.rows[column] = kept if table.format == "csv" else kept.infer_objects()


def neighbours(table, rng):
    """Two casts of 40 and −5 °C, at neighbouring cells, in the same month."""
    rows = table.rows
    first = rows[(rows.platform == rows.platform.iloc[0]) & (rows.time == rows.time.iloc[0])]
    other = first.assign(platform="x", longitude=first.longitude + 0.0833, temperature=-5.0)
    both = pd.concat([rows, first.assign(platform="y", temperature=40.0), other])
    table.rows = both.assign(platform=both.platform.astype(str))  # Parquet needs one type


def swapped(table, rng, a, b):
    table.rows = table.rows.rename(columns={a: b, b: a})


def renamed(table, rng, **names):
    table.rows = table.rows.rename(columns=names)


def dropped(table, rng, column):
    table.rows = table.rows.drop(columns=column)


def shuffled(table, rng):
    table.rows = table.rows.sample(frac=1, random_state=int(rng.integers(2**31)))


def columns_permuted(table, rng):
    table.rows = table.rows[rng.permutation(table.rows.columns)]


def duplicated(table, rng, part, change=None):
    again = table.rows[_where(table, rng, part)]
    table.rows = pd.concat([table.rows, change(again) if change else again], ignore_index=True)


def selected(table, rng, stop):
    table.rows = table.rows.iloc[:stop]


def added(table, rng, **columns):
    for name, value in columns.items():
        table.rows[name] = value


def optioned(table, rng, **options):
    table.options = options


def texted(table, rng, change):
    table.text = change


def some_byte(text, rng):
    place = int(rng.integers(len(text)))
    return text[:place] + chr(int(rng.integers(32, 127))) + text[place + 1 :]


def some_line(text, rng, change):
    lines = text.splitlines()
    place = int(rng.integers(1, len(lines)))
    lines[place] = change(lines[place])
    return "\n".join(lines) + "\n"


def typed(table, rng, column, dtype):
    table.rows[column] = table.rows[column].astype(dtype)


def dates(table, rng, format):
    table.rows["time"] = pd.to_datetime(table.rows.time).dt.strftime(format)


def days(table, rng, unit):
    counted = pd.to_datetime(table.rows.time) - pd.Timestamp("1950-01-01")
    table.rows["time"] = counted / pd.Timedelta(1, unit)


def chosen(table, rng, **choices):
    table.choices = choices


def damaged(table, rng, name):
    table.damage = name


# Files of Argo


def argo_value(table, rng, name, value, part=None):
    array = table.arrays[name]
    where = np.zeros(array.shape, bool)
    if part is None:
        where[tuple(rng.integers(size) for size in array.shape)] = True
    else:
        where = rng.random(array.shape) < part
    array[where] = value
    if f"{name}_ADJUSTED" in table.arrays:
        table.arrays[f"{name}_ADJUSTED"][where] = value


def argo_shift(table, rng, name, factor, offset):
    for each in (name, f"{name}_ADJUSTED"):
        if each in table.arrays:
            array = table.arrays[each]
            table.arrays[each] = np.where(array < FILL, array * factor + offset, FILL).astype(
                array.dtype
            )


def argo_flags(table, rng, name, letter):
    for each in (name, name.replace("_QC", "_ADJUSTED_QC")):
        if each in table.arrays:
            table.arrays[each][:] = letter


def argo_without(table, rng, name):
    del table.arrays[name]


def argo_short(table, rng, name):
    table.arrays[name] = table.arrays[name][:-1]


def argo_attribute(table, rng, name, attributes):
    table.attributes[name] = attributes


def argo_typed(table, rng, name, dtype):
    table.arrays[name] = table.arrays[name].astype(dtype)
