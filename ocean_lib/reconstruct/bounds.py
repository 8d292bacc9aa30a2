"""Bounds of sea water: members stay above freezing, and their salinity between 0 and 42.

Networks draw anomalies and do not know these bounds. A value of a member beyond one is set to it,
and counted. The freezing point is that of air-saturated water of the member's own salinity, or of
35 in a model without salinity, at the pressure of the level. 0 to 42 g/kg is the range for which
TEOS-10 is made. Exactly observed cells keep what was observed.

Reference: IOC, SCOR & IAPSO 2010, The international thermodynamic equation of seawater.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from ocean_lib.fields.conventions import CONSERVATIVE, IN_SITU, named
from ocean_lib.fields.seawater import MEAN_SALINITY

__all__ = ["BOUNDED", "describe_bounded", "freezing_point", "read_bounded", "set_to_bounds"]


SALINITY = 0.0, 42.0  # lowest and highest
WARMEST = 0.01  # °C, no water freezes above
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
    import gsw

    number = {}
    if "salinity" in members:
        salinity = members["salinity"]
        beyond = ((salinity < SALINITY[0]) | (salinity > SALINITY[1])) & ~known["salinity"]
        salinity[beyond] = np.clip(salinity[beyond], *SALINITY)
        number["salinity"] = int(beyond.sum())
    temperature = members["temperature"]
    cold = np.nonzero((temperature < WARMEST) & ~known["temperature"])
    salt = members["salinity"][cold] if "salinity" in members else MEAN_SALINITY
    pressure = gsw.p_from_z(-depth[cold[1]].astype(float), latitude[cold[2]].astype(float))
    lowest = freezing_point(np.maximum(salt, 0), pressure, kind)
    below = temperature[cold] < lowest
    temperature[tuple(axis[below] for axis in cold)] = lowest[below]
    number["temperature"] = int(below.sum())
    return number


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
