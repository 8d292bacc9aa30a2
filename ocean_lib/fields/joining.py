"""Joining of files that hold one grid at several dates."""

import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import DIMS
from ocean_lib.fields.survey import gridded_variables

__all__ = ["in_time", "join", "same_grid"]


def join(pieces: list[xr.Dataset]) -> xr.Dataset:
    """Join files along time.

    Args:
        pieces: canonical datasets of one grid, in any order of time.
    """
    if len(pieces) == 1:
        return pieces[0]
    # The grids agree within rounding; all files get that of the first.
    grid = {dim: pieces[0][dim] for dim in DIMS[1:]}
    return xr.concat(
        [piece.assign_coords(grid) for piece in pieces],
        "time",
        data_vars="all",
        coords="minimal",
        compat="override",
        join="exact",
        combine_attrs="override",
    )


def same_grid(first: xr.Dataset, other: xr.Dataset) -> None:
    """Refuse a file that does not belong to the first one.

    Args:
        first: canonical dataset.
        other: canonical dataset.
    Raises:
        ValueError: grid, kind, unit or dates differ.
    """
    for dim in DIMS[1:]:
        a, b = first[dim].values, other[dim].values
        if a.shape != b.shape or not np.allclose(a, b, rtol=1e-5, atol=1e-4):
            raise ValueError(
                f"its {dim} ({b.size} from {b[0]:g} to {b[-1]:g}) differs from the first "
                f"file's ({a.size} from {a[0]:g} to {a[-1]:g}); open them separately, or give a "
                "region and depths that all files hold"
            )
    for name in gridded_variables(first):
        for key in ("standard_name", "units"):
            ours, theirs = (piece[name].attrs.get(key) for piece in (first, other))
            if ours != theirs:
                raise ValueError(
                    f"its {name} has {key} {theirs}, the first file {ours}; open them separately"
                )
    first_dates, dates = (
        "nominal" if "comment" in piece["time"].attrs else "real" for piece in (first, other)
    )
    if first_dates != dates:
        raise ValueError(
            f"its dates are {dates}, those of the first file {first_dates}; open them separately"
        )


def in_time(fields: xr.Dataset) -> xr.Dataset:
    """Sort by time.

    Args:
        fields: canonical dataset.
    Raises:
        ValueError: a date is repeated.
    """
    fields = fields.sortby("time")
    times = fields["time"].values
    if (same := times[1:] == times[:-1]).any():
        remedy = "drop one of the files, or use .drop_duplicates('time')"
        if comment := fields["time"].attrs.get("comment"):
            remedy = f"{comment}: open the files separately, or .assign_coords(time=[…]) to each"
        raise ValueError(
            f"time {times[1:][same][0].astype('M8[s]')} is repeated {int(same.sum())} time(s), "
            f"limit 1 field per date; {remedy}"
        )
    return fields
