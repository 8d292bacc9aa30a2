"""Text for titles and labels: dates, depths, longitudes and latitudes."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from xarray import DataArray, Dataset

from ocean_lib.core.geometry import wrap_longitude

__all__ = [
    "calibrated_suffix",
    "capitalised",
    "case_title",
    "degrees_label",
    "depth_label",
    "month_label",
    "nearest_levels",
    "place_label",
]


def calibrated_suffix(reconstruction: Dataset) -> str:
    """`, calibrated` where `calibrate_reconstruction` was applied, else an empty string."""
    return ", calibrated" if reconstruction.attrs.get("calibrated") else ""


def capitalised(name: str) -> str:
    """Change the first letter of a name to upper case and keep the others."""
    return name[:1].upper() + name[1:]


def month_label(time: ArrayLike) -> str:
    """Format a date (datetime64): `Mar 2015`."""
    return pd.Timestamp(np.asarray(time).item()).strftime("%b %Y")


def depth_label(depth: float | DataArray) -> str:
    """Format a depth (m): `0.5 m`, `109 m`."""
    return f"{float(depth):.{1 if float(depth) < 10 else 0}f} m"


def degrees_label(value: float, along: str) -> str:
    """Format a coordinate (degrees): `150°W`, `12.5°N`, `0°`.

    Args:
        value: longitude or latitude.
        along: `longitude` or `latitude`.
    """
    value = round(wrap_longitude(value), 6)
    signs = "EW" if along == "longitude" else "NS"
    letter = "" if value in (0, -180) else signs[int(value < 0)]
    return f"{abs(value):g}°{letter}"


def place_label(longitude: float, latitude: float) -> str:
    """Format a place (degrees): `33.2°N 66.5°W`."""
    places = (latitude, "latitude"), (longitude, "longitude")
    return " ".join(degrees_label(round(float(value), 1), along) for value, along in places)


def case_title(selected: Dataset, *details: str) -> str:
    """Case, month and further details of one case and date of a reconstruction."""
    return ", ".join([str(selected["case"].item()), month_label(selected["time"]), *details])


def nearest_levels(dataset: Dataset, depths: Iterable[float]) -> list[float]:
    """The levels (m) nearest to `depths` (m), in their order and each once."""
    levels = dataset["depth"].sel(depth=list(depths), method="nearest").values
    return list(dict.fromkeys(levels.tolist()))
