"""Survey of fields: one pass through the data finds where they have values, and their range.

The survey gives the static ocean; the range reveals implausible values.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import xarray as xr

from ocean_lib.core.chunks import DECODING_BYTES, chunk_slices, run_tasks, select_box, spatial_boxes
from ocean_lib.fields.conventions import DIMS, FRESHEST, HIGHEST, LOWEST, SALTIEST

__all__ = ["check_values", "gridded_variables", "survey_fields"]


Limits = dict[str, tuple[float, float]]  # lowest and highest value by variable, °C, g/kg


class _Survey(NamedTuple):
    """Where an array (time, depth, latitude, longitude) holds values, and their range.

    Attributes:
        always: (depth, latitude, longitude) bool, finite at all dates.
        ever: (depth, latitude, longitude) bool, finite at some date.
        low: lowest value, -inf included; inf without values.
        high: highest value, inf included; -inf without values.
    """

    always: np.ndarray
    ever: np.ndarray
    low: float
    high: float


def gridded_variables(fields: xr.Dataset) -> list[str]:
    """Names of the variables on all four dimensions, temperature first."""
    names = [str(name) for name in fields.data_vars if set(DIMS) <= {*fields[name].dims}]
    return sorted(names, key=lambda name: name != "temperature")


def _survey_box(part: xr.DataArray) -> _Survey:
    """Survey a lazy box of an array, a few dates at a time."""
    always, ever = np.ones(part.shape[1:], bool), np.zeros(part.shape[1:], bool)
    low, high = np.inf, -np.inf
    for dates in chunk_slices(part, "time", always.size):
        values = part.isel(time=dates).compute(scheduler="synchronous").values
        finite = np.isfinite(values)
        always &= finite.all(0)
        ever |= finite.any(0)
        low = min(low, float(np.fmin.reduce(values, axis=None, initial=np.inf)))
        high = max(high, float(np.fmax.reduce(values, axis=None, initial=-np.inf)))
    return _Survey(always, ever, low, high)


def _survey(array: xr.DataArray) -> _Survey:
    """Survey an array that may be larger than memory, box by box."""
    always, ever = np.ones(array.shape[1:], bool), np.zeros(array.shape[1:], bool)
    low, high = np.inf, -np.inf
    boxes, size = spatial_boxes(array, DECODING_BYTES * max(array.chunksizes.get("time", (1,))))
    surveys = run_tasks((partial(_survey_box, select_box(array, box)) for box in boxes), size)
    for box, part in zip(boxes, surveys, strict=True):
        always[box], ever[box] = part.always, part.ever
        low, high = min(low, part.low), max(high, part.high)
    return _Survey(always, ever, low, high)


def survey_fields(fields: xr.Dataset) -> tuple[np.ndarray, int, Limits]:
    """Survey all variables of a dataset in canonical order.

    Args:
        fields: lazy dataset.
    Returns:
        The ocean (depth, latitude, longitude) bool, where all variables have a value at all dates;
        the number of other cells that have any value; and the range of each variable.
    """
    ocean, some, limits = np.array(True), np.array(False), {}
    for name in gridded_variables(fields):
        always, ever, low, high = _survey(fields[name])
        limits[name] = low, high
        # In place, because masks of a global grid are large.
        ocean = np.logical_and(always, ocean, out=always)
        some = np.logical_or(ever, some, out=ever)
    return ocean, int(np.greater(some, ocean, out=some).sum()), limits


def check_values(limits: Limits) -> None:
    """Check that temperature and salinity are plausible for sea water.

    Args:
        limits: {name: (lowest, highest)}, °C, g/kg.
    Raises:
        ValueError: a value is implausible or infinite, or a variable has no values.
    """
    for name, (low, high) in limits.items():
        if low > high:
            raise ValueError(
                f"{name} has 0 values, needs 1: all is land or outside valid_range; choose sea"
            )
        if not np.isfinite([low, high]).all():
            raise ValueError(
                f"{name} runs from {low:g} to {high:g}, must be finite; replace it by a fill value"
            )
    low, high = limits["temperature"]
    if not LOWEST <= low <= high <= HIGHEST:
        if 250 < high < 350:
            guess = "they look like kelvin: set the variable's units to 'K'"
        elif high < -200:
            guess = "they look like °C labelled kelvin: set the variable's units to 'degC'"
        elif low > 20 and high < 110:
            guess = "they look like °F: convert them to °C"
        else:
            guess = "a fill value may be undeclared: name it in the attribute _FillValue"
        raise ValueError(
            f"temperatures from {low:g} to {high:g} °C reach outside {LOWEST:g} to {HIGHEST:g} "
            f"°C; {guess}"
        )
    if "salinity" not in limits:
        return
    low, high = limits["salinity"]
    if -0.1 < low <= high < 0.1:
        raise ValueError(
            f"salinities from {low:g} to {high:g} stay below 0.1 g/kg, they look like kg/kg; "
            "multiply them by 1000"
        )
    if not FRESHEST <= low <= high <= SALTIEST:
        raise ValueError(
            f"salinities from {low:g} to {high:g} reach outside {FRESHEST:g} to {SALTIEST:g} g/kg; "
            "a fill value may be undeclared: name it in the attribute _FillValue"
        )
