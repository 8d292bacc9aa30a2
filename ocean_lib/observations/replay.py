"""Masks from the positions of real floats in past months.

An index of positions is a small CSV table with one row per profile: time, latitude, longitude
(degrees); `write_position_index` makes one from profile files. A sample gets those positions of a
random month that lie on its rows and columns; samples of consecutive dates get consecutive months.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ocean_lib.core.atomic import atomic_write
from ocean_lib.core.geometry import wrap_longitude
from ocean_lib.fields.files import Paths
from ocean_lib.observations.table_dates import read_dates

__all__ = ["open_position_index", "replay_columns", "write_position_index"]


COLUMNS = ("time", "latitude", "longitude")


def write_position_index(paths: Paths, path: str | Path) -> int:
    """Write the index of the usable profiles in files.

    Args:
        paths: files of profiles, as `profiles.open_profiles` takes them.
        path: where to write the index.

    Returns:
        The number of profiles.
    """
    from ocean_lib.observations.profiles import NO_LEVEL, USED, open_profiles

    table = open_profiles(paths, [10.0])
    usable = np.isin(table.status.values, [USED, NO_LEVEL])  # depths do not matter here
    rows = pd.DataFrame({name: table[name].values[usable] for name in COLUMNS}).sort_values("time")
    with atomic_write(path) as beside:
        rows.to_csv(beside, index=False, float_format="%.3f", date_format="%Y-%m-%dT%H:%M")
    return len(rows)


@lru_cache(maxsize=8)
def open_position_index(path: str) -> list[np.ndarray]:
    """Read the positions of an index, by month.

    Returns:
        For every month from the first to the last with a profile: latitude and longitude, (n, 2).

    Raises:
        ValueError: the file is missing, is not such a table, or holds no position.
    """
    try:
        rows = pd.read_csv(path, usecols=COLUMNS)
        rows["time"] = read_dates(rows["time"])
        places = rows[["latitude", "longitude"]].values.astype(float)
        if (unknown := rows.isna().any(axis=1)).any():
            raise ValueError(f"row {int(unknown.to_numpy().argmax()) + 1} lacks a value")
        months = rows["time"].values.astype("datetime64[M]").astype(int)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"positions {path!r} is not a table with columns {', '.join(COLUMNS)} ({error}); make "
            "one with `ocean_lib.observations.replay.write_position_index`"
        ) from error
    if not len(rows):
        raise ValueError(f"positions {path!r} holds 0 positions, needs 1; make it from more files")
    return [places[months == month] for month in range(months.min(), months.max() + 1)]


def replay_columns(
    path: str, latitude: Tensor, longitude: Tensor, generator: torch.Generator, dates: int = 1
) -> Tensor:
    """The columns of every sample where floats were in a random month.

    Args:
        path: the index of positions.
        latitude: (B, H), degrees, ascending, on the CPU.
        longitude: (B, W), degrees, ascending, in any 360° range, on the CPU.
        generator: on whose device the months are drawn.
        dates: number of consecutive samples that are consecutive months.

    Returns:
        bool, (B, H, W), on the generator's device.
    """
    index, device = open_position_index(path), generator.device
    first = torch.randint(len(index), (len(latitude) // dates,), generator=generator, device=device)
    columns = torch.zeros(len(latitude), latitude.shape[1], longitude.shape[1], dtype=torch.bool)
    axes = zip(latitude.double().numpy(), longitude.double().numpy())
    for sample, (rows, across) in enumerate(axes):
        month = (int(first[sample // dates]) + sample % dates) % len(index)
        y, x = index[month].T
        x = wrap_longitude(x, (across[0] + across[-1]) / 2)
        row, column = _cell(rows, y), _cell(across, x)
        inside = (row >= 0) & (column >= 0)
        columns[sample, row[inside], column[inside]] = True
    return columns.to(device)


def _cell(axis: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Index of the cell that holds each place; -1 outside the axis."""
    step = (axis[-1] - axis[0]) / max(len(axis) - 1, 1) or 1.0
    cell = np.floor((place - axis[0]) / step + 0.5).astype(int)
    return np.where((cell >= 0) & (cell < len(axis)), cell, -1)
