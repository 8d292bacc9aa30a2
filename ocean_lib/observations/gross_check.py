"""Gross check: observed temperatures that the climatology of their place rules out.

A value is ruled out if it departs from the climatology by more than `LIMIT` standard deviations,
those of the monthly field and of what a profile adds to it. Weather, eddies and fronts stay far
within; wrong units, places and dates do not. Only the region of the statistics is checked.

Reference: background check of the Argo and EN4 quality control, Good et al. 2013, doi
10.1002/2013JC009067 (there with an error model in place of a fixed number of deviations).
"""

from typing import Any

import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import DIMS
from ocean_lib.store.climatology import harmonics

__all__ = ["LIMIT", "SNAPSHOTS", "is_plausible", "plausible_on_grid", "surface_departures"]


LIMIT = 8.0  # standard deviations
SNAPSHOT = 0.7  # °C, that a value at one moment and place adds to the deviation of a monthly mean
SNAPSHOTS = {
    "temperature": SNAPSHOT,
    "surface_temperature": SNAPSHOT,
    "sea_level": 0.1,
    "surface_salinity": 0.5,
    "salinity": 0.2,
}


def is_plausible(departure: Any, deviation: Any, snapshot: float = SNAPSHOT) -> Any:
    """Whether departures from the climatology are possible, bool.

    Args:
        departure: array, °C.
        deviation: array, standard deviation of the monthly field, °C.
        snapshot: what a value at one moment and place adds to it, °C.
    """
    # A departure that is unknown, NaN, is not ruled out.
    return ~(abs(departure) > LIMIT * (deviation**2 + snapshot**2) ** 0.5)


def plausible_on_grid(observations: xr.Dataset, statistics: xr.Dataset) -> xr.DataArray:
    """Whether gridded values are possible, bool (time, depth, latitude, longitude).

    Args:
        observations: from `gridded.open_observations`, on any rows and columns, in memory.
        statistics: of the model; cells outside its region are possible whatever they hold.
    """
    departure, deviation = _departures(observations.value, statistics)
    return is_plausible(departure, deviation).transpose(*DIMS)


def surface_departures(surface: xr.DataArray, statistics: xr.Dataset) -> xr.DataArray:
    """Departures of a surface field from its climatology in standard deviations, NaN outside it.

    Args:
        surface: (time, latitude, longitude), in memory, named as the model's field.
        statistics: of the model, which has this field.
    """
    departure, deviation = _departures(surface, statistics)
    return departure / (deviation**2 + SNAPSHOTS[str(surface.name)] ** 2) ** 0.5


def _departures(values: xr.DataArray, statistics: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Departures from the climatology, NaN outside its region, and its standard deviation, °C."""
    first = len(statistics.attrs["surfaces"])
    if "depth" in values.dims:
        levels = slice(first, first + statistics.sizes["depth"])
        local = statistics[["harmonic", "deviation"]].isel(channel=levels)
        local = local.rename(channel="depth").assign_coords(depth=values.depth)
    else:
        channel = [*statistics.attrs["surfaces"]].index(values.name)
        local = statistics[["harmonic", "deviation"]].isel(channel=channel, drop=True)
    inside = xr.DataArray(True)
    for dim in ("latitude", "longitude"):
        covered, places = statistics[dim].values, values[dim]
        half = float(np.abs(np.diff(covered)).mean()) / 2 if len(covered) > 1 else 0.5
        inside = inside & (places >= covered.min() - half) & (places <= covered.max() + half)
        local = local.sel({dim: places}, method="nearest").assign_coords({dim: places})
    basis = harmonics(values.time.values, statistics.sizes["term"]).astype(np.float32)
    dates = xr.DataArray(basis, {"time": values.time}, ("time", "term"))
    climatology = xr.dot(dates, local.harmonic, dim="term")
    return (values - climatology).where(inside), local.deviation
