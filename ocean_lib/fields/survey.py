"""Survey of fields: one pass through the data finds where they have values, and their range.

The survey gives the static ocean, which is what most dates say, and the dates with gaps in it; the
range reveals implausible values, and a value that never changes reveals land that holds a constant.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import xarray as xr

from ocean_lib.core.chunks import DECODING_BYTES, chunk_slices, run_tasks, select_box, spatial_boxes
from ocean_lib.fields.conventions import (
    DIMS,
    FRESHEST,
    HIGHEST,
    HIGHEST_SEA_LEVEL,
    LOWEST,
    SALTIEST,
    WARMEST,
)

__all__ = [
    "Survey",
    "check_by_depth",
    "check_values",
    "gridded_variables",
    "guess_unit",
    "survey_fields",
    "unit_like",
]


LAND_SHARE = 0.01  # of the cells with values: constant land is not less
FLOOR_SHARE, MANY = 0.05, 12  # of the cells of a level; dates on which water does not stay the same
FREEZING = (-2.0, -1.6)  # °C, of sea water: models hold it under ice
CANDIDATES = 4  # values that may fill land, of a box
Limits = dict[str, tuple[float, float]]  # lowest and highest value by variable, °C, g/kg


class Survey(NamedTuple):
    """What one pass through the fields found.

    Attributes:
        ocean: (depth, latitude, longitude) bool, all variables have values on most dates.
        intermittent: number of other cells with values on some dates.
        gaps: (time,), number of ocean cells without a value.
        limits: {variable: (lowest, highest)}, inf included; inf, -inf without values.
        warmest: (depth,), highest temperature; -inf without values.
        uniform: (time,) bool, dates on which temperature is the same in all cells, of several.
        constant: a value that many cells of temperature hold on all dates, as land does that is not
            declared missing; None if there is none.
        filled: number of those cells.
        cells: {variable: number of cells with values on most dates}.
    """

    ocean: np.ndarray
    intermittent: int
    gaps: np.ndarray
    limits: Limits
    warmest: np.ndarray
    uniform: np.ndarray
    constant: float | None
    filled: int
    cells: dict[str, int]

    def with_constants_of(self, stored: "Survey") -> "Survey":
        """This survey, with what another found of uniform dates and of constants."""
        return self._replace(uniform=stored.uniform, constant=stored.constant, filled=stored.filled)


class _BoxSurvey(NamedTuple):
    """What a pass through a box of one array found.

    Attributes:
        number: (depth, latitude, longitude), number of dates with a value.
        low: lowest value of each date, (time,); inf without values.
        high: highest value of each date; -inf without values.
        highest: highest value of each level, (depth,).
        constants: {value: cells at each level, (depth,)} of cells that never change.
    """

    number: np.ndarray
    low: np.ndarray
    high: np.ndarray
    highest: np.ndarray
    constants: dict[float, np.ndarray]


def gridded_variables(fields: xr.Dataset) -> list[str]:
    """Names of the variables on all four dimensions, temperature first."""
    names = [str(name) for name in fields.data_vars if set(DIMS) <= {*fields[name].dims}]
    return sorted(names, key=lambda name: name != "temperature")


def _survey_box(part: xr.DataArray) -> _BoxSurvey:
    """Survey a lazy box of an array, a few dates at a time."""
    number = np.zeros(part.shape[1:], np.int32)
    low, high = np.full(len(part), np.inf), np.full(len(part), -np.inf)
    highest = np.full(part.shape[1], -np.inf)
    first = np.full(part.shape[1:], np.nan, part.dtype)
    same = np.ones(part.shape[1:], bool)
    for dates in chunk_slices(part, "time", same.size):
        values = part.isel(time=dates).compute(scheduler="synchronous").values
        number += np.isfinite(values).sum(0, dtype=np.int32)
        first = values[0].copy() if dates.start == 0 else first
        same &= (values == first).all(0)  # NaN is never the same
        flat = values.reshape(len(values), -1)
        low[dates] = np.fmin.reduce(flat, axis=1, initial=np.inf)
        high[dates] = np.fmax.reduce(flat, axis=1, initial=-np.inf)
        by_level = np.fmax.reduce(values, axis=(0, 2, 3), initial=-np.inf)
        highest = np.maximum(highest, by_level)
    return _BoxSurvey(number, low, high, highest, _constants(first, same))


def _constants(first: np.ndarray, same: np.ndarray) -> dict[float, np.ndarray]:
    """The most frequent of the values that never change, with the cells that hold them by level."""
    values, cells = np.unique(first[same], return_counts=True)
    often = values[np.argsort(-cells)[:CANDIDATES]]
    return {float(v): ((first == v) & same).sum((1, 2)) for v in often}


def _survey(array: xr.DataArray) -> _BoxSurvey:
    """Survey an array that may be larger than memory, box by box."""
    number = np.zeros(array.shape[1:], np.min_scalar_type(array.shape[0]))
    low, high = np.full(len(array), np.inf), np.full(len(array), -np.inf)
    highest = np.full(array.shape[1], -np.inf)
    constants: dict[float, np.ndarray] = {}
    boxes, size = spatial_boxes(array, DECODING_BYTES * max(array.chunksizes.get("time", (1,))))
    surveys = run_tasks((partial(_survey_box, select_box(array, box)) for box in boxes), size)
    for box, part in zip(boxes, surveys, strict=True):
        number[box] = part.number
        low, high = np.minimum(low, part.low), np.maximum(high, part.high)
        highest[box[0]] = np.maximum(highest[box[0]], part.highest)
        for value, cells in part.constants.items():
            levels = constants.setdefault(value, np.zeros(array.shape[1], int))
            levels[box[0]] += cells
    return _BoxSurvey(number, low, high, highest, constants)


def _land_value(survey: _BoxSurvey, dates: int) -> tuple[float | None, int]:
    """The value that fills land, if one does, and its number of cells.

    It fills at least `LAND_SHARE` of the cells, on two dates or more and, if there are as many, at
    two levels, or `FLOOR_SHARE` of one level on `MANY` dates, and is not the freezing point.
    """
    by_level = (survey.number > 0).sum((1, 2))
    if dates == 1 or survey.low.min() == survey.high.max():
        return None, 0
    for value, cells in sorted(survey.constants.items(), key=lambda item: -item[1].sum()):
        spread = (cells > 0).sum() >= min(2, len(by_level))
        land = spread and cells.sum() >= max(2, LAND_SHARE * by_level.sum())
        floor = dates >= MANY and (cells >= np.maximum(2, FLOOR_SHARE * by_level)).any()
        if (land or floor) and not FREEZING[0] <= value <= FREEZING[1]:
            return value, int(cells.sum())
    return None, 0


def survey_fields(fields: xr.Dataset) -> Survey:
    """Survey all variables of a dataset in canonical order.

    The data are read once, and once more only if some cells lack values on some dates.

    Args:
        fields: lazy dataset.
    """
    dates = fields.sizes["time"]
    ocean, some, whole, limits = np.array(True), np.array(False), True, {}
    cells: dict[str, int] = {}
    constant, filled, uniform, warmest = None, 0, np.zeros(dates, bool), np.zeros(0)
    for name in gridded_variables(fields):
        survey = _survey(fields[name])
        limits[name] = float(survey.low.min()), float(survey.high.max())
        if name == "temperature":
            warmest = survey.highest
            uniform = (survey.low == survey.high) & ((survey.number > 0).sum() > 1)
            constant, filled = _land_value(survey, dates)
        # In place, because masks of a global grid are large.
        most = survey.number > dates // 2
        cells[name] = int(most.sum())
        whole = whole and bool((survey.number[most] == dates).all())
        ocean = np.logical_and(most, ocean, out=most)
        some = np.logical_or(survey.number > 0, some)
    gaps = np.zeros(dates, int) if whole else _gaps(fields, ocean)
    intermittent = int(np.greater(some, ocean, out=some).sum())
    return Survey(ocean, intermittent, gaps, limits, warmest, uniform, constant, filled, cells)


def _gaps(fields: xr.Dataset, ocean: np.ndarray) -> np.ndarray:
    """Number of ocean cells (time,) that lack a value of some variable."""
    names = gridded_variables(fields)
    gaps = np.zeros(fields.sizes["time"], int)
    array = fields[names[0]]
    boxes, size = spatial_boxes(array, DECODING_BYTES * max(array.chunksizes.get("time", (1,))))
    tasks = (
        partial(_gaps_of_box, [select_box(fields[name], box) for name in names], ocean[box])
        for box in boxes
    )
    for part in run_tasks(tasks, size * len(names)):
        gaps += part
    return gaps


def _gaps_of_box(parts: list[xr.DataArray], ocean: np.ndarray) -> np.ndarray:
    gaps = []
    for dates in chunk_slices(parts[0], "time", ocean.size):
        loaded = (part.isel(time=dates).compute(scheduler="synchronous").values for part in parts)
        missing = np.logical_or.reduce([~np.isfinite(values) for values in loaded])
        gaps.append((missing & ocean).sum((1, 2, 3)))
    return np.concatenate(gaps)


def unit_like(low: float, high: float) -> str:
    """The unit, other than °C, that temperatures of the sea in this range have, or ""."""
    if 250 < high < 350:
        return "kelvin"
    return "°F" if low > 20 and high < 110 else ""


def guess_unit(low: float, high: float) -> str:
    """What impossible temperatures may be, and the remedy.

    Args:
        low: lowest value, taken as °C.
        high: highest value, taken as °C.
    """
    if unit_like(low, high) == "kelvin":
        return "they look like kelvin: set the variable's units to 'K'"
    if high < -200:
        return "they look like °C labelled kelvin: set the variable's units to 'degC'"
    if unit_like(low, high) == "°F":
        return "they look like °F: convert them to °C"
    return "a fill value may be undeclared: name it in the attribute _FillValue"


def check_values(limits: Limits) -> None:
    """Check that temperature, salinity and sea level are plausible for the sea.

    Args:
        limits: {name: (lowest, highest)}, °C, g/kg, m.
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
    low, high = limits.get("sea_level", (0.0, 0.0))
    if not -HIGHEST_SEA_LEVEL <= low <= high <= HIGHEST_SEA_LEVEL:
        raise ValueError(
            f"sea levels from {low:g} to {high:g} m reach outside {-HIGHEST_SEA_LEVEL:g} to "
            f"{HIGHEST_SEA_LEVEL:g} m; if they are cm, set the variable's units to 'cm'; of "
            "heights above an ellipsoid, subtract the geoid"
        )
    low, high = limits.get("temperature", (LOWEST, HIGHEST))
    if not LOWEST <= low <= high <= HIGHEST:
        raise ValueError(
            f"temperatures from {low:g} to {high:g} °C reach outside {LOWEST:g} to {HIGHEST:g} "
            f"°C; {guess_unit(low, high)}"
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


def check_by_depth(depth: np.ndarray, warmest: np.ndarray, low: float) -> None:
    """Refuse temperatures that no sea holds at their depth.

    Args:
        depth: (D,), m.
        warmest: (D,), highest value at each level, °C.
        low: lowest value, °C.

    Raises:
        ValueError: a level is too warm.
    """
    possible = np.interp(depth, *WARMEST)
    if (beyond := warmest > possible).any():
        level = int(beyond.argmax())
        raise ValueError(
            f"temperature reaches {warmest[level]:g} °C at {depth[level]:.0f} m, limit "
            f"{possible[level]:g} °C; {guess_unit(low, float(warmest.max()))}"
        )
