"""Real positions, replayed: where profiles were taken in the months of some years.

An index is a small table, CSV, with a row a profile: time, latitude, longitude (degrees);
`write_index` makes one of any files of profiles.  A sample gets the positions of a month drawn at
random, those that lie in its own rows and columns; samples of dates after one another get months
after one another.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ocean_lib.core.atomic import atomic_write

__all__ = ["replay_columns", "open_position_index", "write_position_index"]


COLUMNS = ("time", "latitude", "longitude")


def write_position_index(paths, path) -> int:
    """The index of files of profiles, of those that can be used; returns how many they are.

    Args:
        paths: as `profiles.open_profiles` takes them.
    """
    from ocean_lib.observations.profiles import USED, open_profiles

    table = open_profiles(paths, [10.0])
    # Which levels they reach is no matter here.
    there = np.isin(table.status.values, [USED, "no level of the field within its range"])
    rows = pd.DataFrame({name: table[name].values[there] for name in COLUMNS}).sort_values("time")
    with atomic_write(path) as beside:
        rows.to_csv(beside, index=False, float_format="%.3f", date_format="%Y-%m-%dT%H:%M")
    return len(rows)


@lru_cache(maxsize=8)
def open_position_index(path: str) -> list[np.ndarray]:
    """Latitudes and longitudes (n, 2) of every month, from the first that has one to the last.

    Raises:
        ValueError: the file is not there, is no such table, or holds no position.
    """
    try:
        rows = pd.read_csv(path, parse_dates=["time"])
        months = rows["time"].values.astype("datetime64[M]").astype(int)
        places = rows[["latitude", "longitude"]].values.astype(float)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"positions {path!r} is no table with columns {', '.join(COLUMNS)} ({error}); "
            "make one by `replay.write_index`"
        ) from error
    if not len(rows):
        raise ValueError(f"positions {path!r} holds 0 positions, needs 1; make it of more files")
    return [places[months == month] for month in range(months.min(), months.max() + 1)]


def replay_columns(
    path: str, latitude: Tensor, longitude: Tensor, generator: torch.Generator, dates: int = 1
) -> Tensor:
    """Where floats were: bool (B, H, W).

    Args:
        latitude: (B, H), ascending.    longitude: (B, W), ascending, in any turn; on a CPU.
        dates: so many samples after one another are of months after one another.
    """
    index, device = open_position_index(path), generator.device
    first = torch.randint(len(index), (len(latitude) // dates,), generator=generator, device=device)
    found = torch.zeros(len(latitude), latitude.shape[1], longitude.shape[1], dtype=torch.bool)
    axes = zip(latitude.double().numpy(), longitude.double().numpy())
    for sample, (rows, across) in enumerate(axes):
        month = (int(first[sample // dates]) + sample % dates) % len(index)
        y, x = index[month].T
        middle = (across[0] + across[-1]) / 2
        row, column = _cell(rows, y), _cell(across, middle + (x - middle + 180) % 360 - 180)
        inside = (row >= 0) & (column >= 0)
        found[sample, row[inside], column[inside]] = True
    return found.to(device)


def _cell(axis: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The cell that holds each place; -1 outside."""
    step = (axis[-1] - axis[0]) / max(len(axis) - 1, 1) or 1.0
    cell = np.floor((place - axis[0]) / step + 0.5).astype(int)
    return np.where((cell >= 0) & (cell < len(axis)), cell, -1)
