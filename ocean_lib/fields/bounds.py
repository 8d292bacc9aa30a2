"""Bounds of sea water: members stay above freezing, and their salinity between 0 and 42.

Networks draw anomalies, and calibration widens a spread; neither knows these bounds. A value of a
member beyond one is set to it, and counted. The freezing point is that of air-saturated water of
the member's own salinity, or of 35 in a model without salinity, at the pressure of the level. 0 to
42 g/kg is the range for which TEOS-10 is made. Exactly observed cells keep what was observed.

Reference: IOC, SCOR & IAPSO 2010, The international thermodynamic equation of seawater.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import CONSERVATIVE, IN_SITU, POTENTIAL, named
from ocean_lib.fields.seawater import MEAN_SALINITY

__all__ = [
    "BOUNDED",
    "describe_bounded",
    "freezing_point",
    "read_bounded",
    "set_to_bounds",
    "within_bounds",
]


SALINITY = 0.0, 42.0  # lowest and highest
WARMEST = 0.01  # °C, no water freezes above
MIDDLE_LATITUDE = 45.0  # of sections, which have none; the pressure of a depth varies by 0.5 %
BOUNDED = {"temperature": "temperatures (freezing point)", "salinity": "salinities (0 to 42)"}


def freezing_point(salinity: np.ndarray, pressure: np.ndarray, kind: str) -> np.ndarray:
    """Temperature at which sea water freezes, °C.

    Args:
        salinity: practical, (...).
        pressure: dbar, (...).
        kind: standard_name of the temperature: in situ, conservative, or else potential.
    """
    import gsw

    absolute = gsw.SR_from_SP(salinity)
    if kind == IN_SITU:
        return gsw.t_freezing(absolute, pressure, 1.0)
    conservative = gsw.CT_freezing(absolute, pressure, 1.0)
    return conservative if kind == CONSERVATIVE else gsw.pt_from_CT(absolute, conservative)


def set_to_bounds(
    members: dict[str, np.ndarray],
    known: dict[str, np.ndarray],
    depth: np.ndarray,
    latitude: np.ndarray,
    kind: str,
) -> dict[str, int]:
    """Set values beyond a bound to it, in place, salinity first.

    Args:
        members: {variable: (M, D, H, W)}, in its unit, NaN outside the ocean; of other variables
            than temperature and salinity no bounds are known.
        known: {variable: (1, D, H, W)}, bool, cells that stay as they are.
        depth: (D,), m.
        latitude: (H,), degrees.
        kind: standard_name of temperature.

    Returns:
        {variable: number of values that were set}.
    """
    number = {}
    if "salinity" in members:
        number["salinity"] = _clip_salinity(members["salinity"], known["salinity"])
    salinity = members.get("salinity", np.array(MEAN_SALINITY))
    place = depth[:, None, None], latitude[:, None]
    number["temperature"] = _raise_to_freezing(
        members["temperature"], known["temperature"], salinity, *place, kind
    )
    return number


def within_bounds(
    members: xr.DataArray,
    variable: str,
    known: xr.DataArray,
    salinity: xr.DataArray | None = None,
    kind: str = POTENTIAL,
) -> tuple[xr.DataArray, int]:
    """Members with values beyond a bound set to it, on any dimensions.

    Args:
        members: of a variable, in its unit, with `depth` and, where it has one, `latitude`.
        variable: its name; of others than temperature and salinity no bounds are known.
        known: bool, cells that stay as they are; dimensions of the members, in any order.
        salinity: of the members, likewise; that of the mean ocean by default.
        kind: standard_name of temperature.

    Returns:
        The members, and the number of values that were set.
    """
    values = members.values.copy()
    number = 0
    latitude = members.coords.get("latitude", xr.DataArray(MIDDLE_LATITUDE))
    salinity = xr.DataArray(MEAN_SALINITY) if salinity is None else salinity
    known_there, salt, depth, north, _ = (
        array.transpose(*members.dims).values
        for array in xr.broadcast(known, salinity, members["depth"], latitude, members)
    )
    if variable == "salinity":
        number = _clip_salinity(values, known_there)
    elif variable == "temperature":
        number = _raise_to_freezing(values, known_there, salt, depth, north, kind)
    return members.copy(data=values), number


def _clip_salinity(salinity: np.ndarray, known: np.ndarray) -> int:
    """Clip salinity in place where it is not known; the number of values changed."""
    beyond = ((salinity < SALINITY[0]) | (salinity > SALINITY[1])) & ~known
    salinity[beyond] = np.clip(salinity[beyond], *SALINITY)
    return int(beyond.sum())


def _raise_to_freezing(
    temperature: np.ndarray,
    known: np.ndarray,
    salinity: np.ndarray,
    depth: np.ndarray,
    latitude: np.ndarray,
    kind: str,
) -> int:
    """Raise temperature in place where it is not known; the number of values changed.

    All arrays can be broadcast to `temperature`.
    """
    import gsw

    cold = np.nonzero((temperature < WARMEST) & ~known)
    salt, down, north = (
        np.broadcast_to(array, temperature.shape)[cold].astype(float)
        for array in (salinity, depth, latitude)
    )
    lowest = freezing_point(np.maximum(salt, 0), gsw.p_from_z(-down, north), kind)
    below = temperature[cold] < lowest
    temperature[tuple(axis[below] for axis in cold)] = lowest[below]
    return int(below.sum())


def read_bounded(paths: Iterable[Path]) -> dict[str, int]:
    """Numbers of values that were set to a bound, summed over the files of dates.

    Args:
        paths: files with the attributes `bounded` and, if drawn, `salinity_bounded`.
    """
    total: Counter[str] = Counter()
    for path in paths:
        with netCDF4.Dataset(path) as file:
            names = {named(variable, "bounded") for variable in BOUNDED} & {*file.ncattrs()}
            total.update({name: int(file.getncattr(name)) for name in names})
    return total


def describe_bounded(number: Mapping[str, Any]) -> str:
    """Text that says how many values of members were set to a bound.

    Args:
        number: of `bounded` and, if drawn, `salinity_bounded`.
    """
    counts = {words: number.get(named(v, "bounded")) for v, words in BOUNDED.items()}
    parts = [f"{int(count):,} {words}" for words, count in counts.items() if count is not None]
    return f"values of members that were set to a bound: {', '.join(parts)}"
