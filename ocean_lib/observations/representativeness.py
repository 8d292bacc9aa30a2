"""How far profiles depart from the climatology, and what a snapshot adds to the mean of a month.

A profile is a snapshot of one place; a cell of a monthly field is a mean. The climatology, which
moves within a month, is removed at the profile's own date. What is left of the difference is the
*representativeness* error, which for temperature is far larger than the instrument's. It is
estimated from the profiles, level by level, as a share of the field's local standard deviation:
the share's square is half of the squared difference between the standardised departures of two
profiles less than `NEAR` km and `SOON` days apart. The median over pairs is taken, scaled as for a
normal distribution. A level with too few pairs gets the share `USUAL`.

Reference: Oke & Sakov 2008, doi 10.1175/2007JTECHO558.1 (representation error).
"""

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from ocean_lib.core.geometry import EARTH_RADIUS, sphere
from ocean_lib.observations.profiles import USED
from ocean_lib.store.climatology import harmonics

__all__ = ["departures", "in_month", "level_channels", "representativeness"]


NEAR, SOON = 25.0, 31.0  # km, days
MIN_PAIRS = 30  # of a level
MAX_PROFILES = 20000  # among which pairs are searched
USUAL = 0.4  # share of the field's standard deviation


def level_channels(statistics: xr.Dataset, variable: str = "temperature") -> slice:
    """The channels of `statistics` that are levels of a variable."""
    levels = statistics.sizes["depth"]
    number = statistics.attrs["variables"].index(variable)
    first = len(statistics.attrs["surfaces"]) + number * levels
    return slice(first, first + levels)


def _climatology(
    table: xr.Dataset, statistics: xr.Dataset, variable: str, dates: np.ndarray
) -> np.ndarray:
    """The climatology (P, D) of the cells of profiles at dates (P,)."""
    local = statistics.harmonic.isel(_cells(table, statistics, variable))
    basis = harmonics(dates, statistics.sizes["term"])
    return np.einsum("pk,kdp->pd", basis, local.transpose("term", "channel", "profile"))


def _cells(table: xr.Dataset, statistics: xr.Dataset, variable: str) -> dict:
    return {
        "channel": level_channels(statistics, variable),
        "latitude": table.row.variable,
        "longitude": table.column.variable,
    }


def _own_dates(table: xr.Dataset) -> np.ndarray:
    """Dates (P,) of profiles, where the mean of a month has the date of its field.

    Fields are dated on the first day or in the middle of their month; what they hold is its mean.
    """
    month = table.month.values.astype("M8[M]")
    first, last = month.astype("M8[s]"), (month + 1).astype("M8[s]")
    since_middle = table.time.values.astype("M8[s]") - (first + (last - first) / 2)
    return table.month.values.astype("M8[s]") + since_middle


def departures(
    table: xr.Dataset, statistics: xr.Dataset, variable: str
) -> tuple[np.ndarray, np.ndarray]:
    """Departures from the climatology of the profiles' days, and the field's standard deviation.

    Args:
        table: P profiles with `row`, `column` and `month`, as `gridding.to_cells` adds them.
        statistics: of a store or model.
        variable: of the model, that casts measure.

    Returns:
        Both (P, D), in the unit of the variable.
    """
    normal = _climatology(table, statistics, variable, _own_dates(table))
    deviation = statistics.deviation.isel(_cells(table, statistics, variable))
    return table[variable].values - normal, deviation.transpose("profile", ...).values


def in_month(table: xr.Dataset, statistics: xr.Dataset, variable: str) -> np.ndarray:
    """Measured values (P, D) moved by the climatology from their day to the mean of their month.

    Args:
        table: as for `departures`.
        statistics: of a store or model.
        variable: of the model, that casts measure.
    """
    normal = _climatology(table, statistics, variable, table.month.values)
    return departures(table, statistics, variable)[0] + normal


def representativeness(
    table: xr.Dataset, statistics: xr.Dataset, variable: str = "temperature"
) -> tuple[xr.DataArray, list[int]]:
    """Standard deviation of a profile's departure about that of the mean of its month and cell.

    Args:
        table: of `gridding.to_cells`.
        statistics: of a store or model.
        variable: of the model, that casts measure.

    Returns:
        The standard deviation (P, D), and the number of pairs at each level; with fewer than
        `MIN_PAIRS` the usual share is taken.
    """
    departure, deviation = departures(table, statistics, variable)
    share = np.full(deviation.shape[1], USUAL)
    used = np.flatnonzero(table.status.values == USED)
    if len(used) > MAX_PROFILES:
        used = np.sort(np.random.default_rng(0).choice(used, MAX_PROFILES, replace=False))
    place = sphere(table.latitude.values[used], table.longitude.values[used]) * EARTH_RADIUS / NEAR
    days = (table.time.values[used] - np.datetime64("1950-01-01")) / np.timedelta64(1, "D")
    points = np.column_stack([place, days / SOON])
    pairs = used[cKDTree(points).query_pairs(1.0, output_type="ndarray")]
    # Two profiles within two days differ by little more than the instrument's error.
    apart = np.abs(np.diff(table.time.values[pairs])[:, 0]) > np.timedelta64(2, "D")
    first, second = pairs[apart].T
    standardised = departure / deviation
    difference = standardised[first] - standardised[second]
    numbers = np.isfinite(difference).sum(0)
    for level in np.flatnonzero(numbers >= MIN_PAIRS):
        known = difference[:, level][np.isfinite(difference[:, level])]
        # A few pairs across a front do not move the median; 0.4549 is that of a squared normal.
        share[level] = np.sqrt(0.5 * np.median(known**2) / 0.4549)
    return table[variable].copy(data=share * deviation).drop_attrs(), numbers.tolist()
