"""Labels: one case, month and level of a reconstruction by its labels, and labels in words."""

import numpy as np
import pandas as pd

__all__ = [
    "capitalised",
    "degrees_label",
    "calibrated_suffix",
    "depth_label",
    "month_label",
    "place_label",
]


def calibrated_suffix(reconstruction):
    """`, calibrated` where members and spread are (`calibrate_reconstruction`), else nothing."""
    return ", calibrated" if reconstruction.attrs.get("calibrated") else ""


def capitalised(name):
    """A name as it begins a title; what else is in capitals stays so."""
    return name[:1].upper() + name[1:]


def month_label(time):
    """The words for a date: `Mar 2015`."""
    return pd.Timestamp(np.asarray(time).item()).strftime("%b %Y")


def depth_label(depth):
    """The words for a depth: `0.5 m`, `109 m`."""
    return f"{float(depth):.{1 if float(depth) < 10 else 0}f} m"


def degrees_label(value, along):
    """The words for a longitude or a latitude (`along`): `150°W`, `12.5°N`, `0°`."""
    value = round((value + 180) % 360 - 180, 6)
    signs = "EW" if along == "longitude" else "NS"
    letter = "" if value in (0, -180) else signs[int(value < 0)]
    return f"{abs(value):g}°{letter}"


def place_label(longitude, latitude):
    """The words for a place: `33.2°N 66.5°W`."""
    places = (latitude, "latitude"), (longitude, "longitude")
    return " ".join(degrees_label(round(float(value), 1), along) for value, along in places)
