"""Labels: one case, month and level of a reconstruction by its labels, and labels in words."""

import numpy as np
import pandas as pd

__all__ = ["capital", "degrees_label", "if_calibrated", "metres", "month", "place_label", "select"]


def select(reconstruction, *, case=None, time=None, depth=None):
    """One case, month and level of a reconstruction: the nearest labels, the first where None.

    Masks stored as integers come back as bool. Raises ValueError for a case it does not hold.
    """
    chosen = reconstruction
    if "case" in chosen.dims:
        names = [str(name) for name in chosen["case"].values]
        if case is not None and case not in names:
            raise ValueError(f"case {case!r} is not in this reconstruction; choose from {names}")
        chosen = chosen.isel(case=0 if case is None else names.index(case))
    if "time" in chosen.dims:
        chosen = (
            chosen.isel(time=0)
            if time is None
            else chosen.sel(time=np.datetime64(time, "ns"), method="nearest")
        )
    if depth is not None:
        chosen = chosen.sel(depth=depth, method="nearest")
    masks = [name for name in ("ocean", "observed", "surface_observed") if name in chosen]
    return chosen.assign({name: chosen[name].astype(bool) for name in masks})


def if_calibrated(reconstruction):
    """`, calibrated` where members and spread are (`calibration.calibrated`), else nothing."""
    return ", calibrated" if reconstruction.attrs.get("calibrated") else ""


def capital(name):
    """A name as it begins a title; what else is in capitals stays so."""
    return name[:1].upper() + name[1:]


def month(time):
    """The words for a date: `Mar 2015`."""
    return pd.Timestamp(np.asarray(time).item()).strftime("%b %Y")


def metres(depth):
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
