"""What was understood of files, in words: variables, ranges, dates, grid, and what is left out."""

from typing import Any

import numpy as np
import xarray as xr

from ocean_lib.fields.land_mask import LEFT_OUT
from ocean_lib.fields.survey import gridded_variables

__all__ = ["describe_fields", "range_in_words"]


def range_in_words(values: Any) -> str:
    """Lowest and highest of some numbers or dates, such as "2 to 17.5".

    Args:
        values: array of numbers or datetime64.
    """
    values = np.asarray(values)
    low, high = (
        str(value.astype("M8[D]")) if values.dtype.kind == "M" else f"{value:.5g}"
        for value in (values.min(), values.max())
    )
    return low if low == high else f"{low} to {high}"


def describe_fields(fields: xr.Dataset) -> str:
    """What was understood of files, in lines of text.

    Args:
        fields: from `open_fields`.
    """
    lines = []
    for name in gridded_variables(fields):
        attrs = fields[name].attrs
        source = f" from {attrs['source_name']}" if "source_name" in attrs else ""
        kind = f" ({attrs['standard_name']})" if "standard_name" in attrs else ""
        values = f"{range_in_words(attrs['actual_range'])} {attrs.get('units', '')}"
        lines.append(f"{name}{source}{kind}: {values}")
    time, depth = fields["time"], fields["depth"]
    note = "; ".join(time.attrs[key] for key in ("comment", "note") if key in time.attrs)
    lines.append(f"{time.size} date(s), {range_in_words(time)}{f' ({note})' if note else ''}")
    grid = [f"{depth.size} level(s), {range_in_words(depth)} m"]
    grid += [f"{name} {range_in_words(fields[name])}°" for name in ("latitude", "longitude")]
    lines.append(", ".join(grid))
    ocean = int(fields["ocean"].sum())
    left_out = fields.attrs.get(LEFT_OUT)
    lines.append(
        f"{ocean} ocean cells ({ocean / fields['ocean'].size:.0%})"
        + (f", within {left_out}" if left_out else "")
    )
    attrs = fields.attrs
    if attrs["n_intermittent"]:
        lines.append(f"{attrs['n_intermittent']} cells with values on few dates are left out")
    if attrs["n_gaps"]:
        lines.append(
            f"{attrs['n_gaps']} values of the ocean are missing, at most {attrs['worst_gap']}; "
            "they count as not observed"
        )
    return "\n".join(lines)
