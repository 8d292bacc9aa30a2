"""Screening of gridded observations: what is impossible is refused, or left out and counted.

Values, errors and surface fields are checked alike: finite, within what the sea can be, and within
the climatology of their place (`gross_check`). The file is read once, block by block.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import ANOMALY, DIMS, HIGHEST, SURFACES, named
from ocean_lib.fields.survey import check_by_depth, check_values
from ocean_lib.observations.gross_check import LIMIT, plausible_on_grid, surface_departures

__all__ = ["read_in_blocks", "screen_observations"]


BLOCK = 2**21  # values of a variable that are read at a time
MAX_ON_LAND = 0.1  # share of the observations that may lie on land, along coasts
MAX_RULED_OUT = 0.1  # share that the climatology may rule out
SURFACE_LIMIT = 4.0  # root mean square of a date's surface departures, standard deviations
LEVEL_LIMIT = 2.5  # mean of a date's departures of sea level, standard deviations; see `_Surface`


def read_in_blocks(observations: xr.Dataset) -> Iterator[xr.Dataset]:
    """Read some rows of some dates at a time, so that memory is bounded for any domain."""
    dates, rows = _block_sizes(observations).values()
    for first in range(0, observations.sizes["time"], dates):
        for top in range(0, observations.sizes["latitude"], rows):
            block = {"time": slice(first, first + dates), "latitude": slice(top, top + rows)}
            yield observations.isel(block).load()


def _block_sizes(observations: xr.Dataset) -> dict[str, int]:
    """Dates and rows of a block."""
    row = observations.sizes["depth"] * observations.sizes["longitude"]
    rows = min(max(BLOCK // row, 1), observations.sizes["latitude"])
    return {"time": max(BLOCK // (row * rows), 1), "latitude": rows}


def screen_observations(observations: xr.Dataset, statistics: xr.Dataset) -> tuple[xr.Dataset, int]:
    """Check the observations, leave out those on land or ruled out, and count the rest.

    Args:
        observations: of `open_observations`.
        statistics: of the model.

    Returns:
        The observations in the ocean, and the number of observed temperatures.

    Raises:
        ValueError: there are none, too many lie on land, values cannot be °C at their depth, an
            error is not a standard deviation, or a surface field is not that of its date.
    """
    total = land = ruled_out = 0
    variables = statistics.attrs["variables"]
    limits = {name: (np.inf, -np.inf) for name in variables}
    warmest = np.full(observations.sizes["depth"], -np.inf)
    surfaces = [_Surface(name, statistics) for name in SURFACES if name in observations]
    for block in read_in_blocks(observations):
        for name in variables:
            limits[name] = _check_block(block, name, *limits[name])
        observed, ocean = block.observed.values, block.ocean.values
        total += int(observed.sum())
        land += int((observed & ~ocean).sum())
        ruled_out += int((observed & ocean & ~plausible_on_grid(block, statistics).values).sum())
        highest = np.where(observed, block.value.values, -np.inf).max((0, 2, 3))
        warmest = np.maximum(warmest, highest)
        for surface in surfaces:
            surface.add(block)
    if not total:
        raise ValueError("0 values are observed, needs 1; all is fill, or at levels left out")
    check_values({name: (low, high) for name, (low, high) in limits.items() if low <= high})
    low, high = limits["temperature"]
    check_by_depth(observations.depth.values, warmest, low)
    if land > MAX_ON_LAND * total:
        raise ValueError(
            f"{land} of {total} observations lie on land, limit {MAX_ON_LAND:.0%}; check latitude "
            "and longitude, or add an ocean mask named `ocean` to the file"
        )
    notes = list(observations.attrs["notes"])
    if land:
        notes.append(f"{land} of {total} observations lie on land and are left out")
    if ruled_out > MAX_RULED_OUT * (total - land):
        raise ValueError(
            f"{ruled_out} of {total - land} observations depart from the climatology by more than "
            f"{LIMIT:g} of its standard deviations, limit {MAX_RULED_OUT:.0%}; check units, dates "
            "and places, and declare fill values"
        )
    kept = observations.ocean
    if ruled_out:
        kept = kept & _lazily(plausible_on_grid, observations, statistics, "observed")
        notes.append(
            f"values: {ruled_out} of {total} observations depart from the climatology by more than "
            f"{LIMIT:g} of its standard deviations and are left out"
        )
    if total == land:
        raise ValueError(f"0 of {total} observations are left: {notes[-1]}; check their places")
    for seen in (named(variable, "observed") for variable in variables):
        observations = observations.assign({seen: observations[seen] & kept})
    for surface in surfaces:
        notes += surface.notes()
        seen = named(surface.name, "observed")
        usable = partial(_usable_surface, name=surface.name)
        used = _lazily(usable, observations, statistics, seen)
        observations = observations.assign({seen: used})
    observations = observations.assign_attrs(notes=notes, actual_range=[low, high])
    return observations, total - land - ruled_out


def _lazily(
    function: Callable, observations: xr.Dataset, statistics: xr.Dataset, like: str
) -> xr.DataArray:
    """A function of blocks of the observations and the statistics, which gives a mask, lazily."""
    blocks = observations.chunk(dict.fromkeys(DIMS, -1) | _block_sizes(observations))
    template = blocks[like]
    return xr.map_blocks(function, blocks, kwargs={"statistics": statistics}, template=template)


def _usable_surface(block: xr.Dataset, statistics: xr.Dataset, name: str) -> xr.DataArray:
    """Where a surface field is seen in the ocean and possible, (time, latitude, longitude)."""
    possible = ~(abs(surface_departures(block[name], statistics)) > LIMIT)
    seen = block[named(name, "observed")]
    return (seen & block.ocean.any("depth") & possible).transpose(*seen.dims)


class _Surface:
    """What the blocks of a surface field hold.

    A sea level above another geoid than the training's differs by some decimetres everywhere, which
    may pass for a departure in every cell; so its mean over the date has a limit of its own.

    Args:
        name: of the field.
        statistics: of the model.
    """

    def __init__(self, name: str, statistics: xr.Dataset):
        self.name, self.statistics = name, statistics
        self.low, self.high = np.inf, -np.inf
        self.seen = self.ruled_out = 0
        # Number, sum and sum of squares of the departures.
        self.by_date: dict[np.datetime64, np.ndarray] = {}

    def add(self, block: xr.Dataset) -> None:
        """Take the next block."""
        field = block[self.name]
        seen = block[named(self.name, "observed")] & block.ocean.any("depth")
        values = field.values[seen.transpose(*field.dims).values]
        self.low = float(min(self.low, values.min(initial=np.inf)))
        self.high = float(max(self.high, values.max(initial=-np.inf)))
        if not np.isfinite(values).all():
            return
        departure = surface_departures(field.where(seen), self.statistics)
        for when, field in zip(block.time.values, departure.transpose("time", ...).values):
            known = field[np.isfinite(field)]
            self.ruled_out += int((abs(known) > LIMIT).sum())
            self.seen += len(known)
            sums = np.array([len(known), known.sum(), (known**2).sum()])
            self.by_date[when] = self.by_date.get(when, 0) + sums

    def notes(self) -> list[str]:
        """What is left out.

        Raises:
            ValueError: the field holds what no sea does, or is not that of its date.
        """
        if self.low > self.high:
            return [f"{self.name}: nothing of it is seen in the ocean"]
        try:
            check_values({self.name.removeprefix("surface_"): (self.low, self.high)})
        except ValueError as error:
            raise ValueError(f"{self.name} cannot be used: {error}") from error
        remedy = f"check its date, unit and places, or leave {self.name} out of the file"
        for when, (number, total, square) in self.by_date.items():
            mean = total / max(number, 1)
            if self.name == "sea_level" and abs(mean) > LEVEL_LIMIT:
                raise ValueError(
                    f"sea_level of {str(when)[:10]} lies {mean:+.1f} standard deviations from the "
                    f"climatology on average, limit {LEVEL_LIMIT:g}; give m above the reference of "
                    f"the training data, or an anomaly, with the standard_name {ANOMALY}; {remedy}"
                )
            if number and (size := (square / number) ** 0.5) > SURFACE_LIMIT:
                raise ValueError(
                    f"{self.name} of {str(when)[:10]} departs from the climatology by "
                    f"{size:.1f} standard deviations (root mean square), limit {SURFACE_LIMIT:g}; "
                    f"{remedy}"
                )
        if not self.ruled_out:
            return []
        return [
            f"{self.name}: {self.ruled_out} of {self.seen} cells depart from the climatology by "
            f"more than {LIMIT:g} standard deviations and are left out"
        ]


def _check_block(block: xr.Dataset, name: str, low: float, high: float) -> tuple[float, float]:
    """Lowest and highest observed value of a variable, those of former blocks included.

    Raises:
        ValueError: an error is not a standard deviation.
    """
    observed = block[named(name, "observed")].values
    value, error = (block[named(name, kind)].values[observed] for kind in ("value", "error"))
    if len(bad := error[~((error >= 0) & (error <= HIGHEST))]):
        raise ValueError(
            f"an error of {bad[0]:g} ({name}) is impossible; give standard deviations from 0 to "
            f"{HIGHEST:g}, or declare its fill value"
        )
    return float(min(low, value.min(initial=np.inf))), float(max(high, value.max(initial=-np.inf)))
