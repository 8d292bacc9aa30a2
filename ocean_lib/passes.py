"""What the build of a store does to one block: the tasks of its passes, and means over all cells.

    fit           harmonics and standard deviation of a box of cells, from the training dates
    smooth_level  the standard deviation of a level, smoothed over the ocean, kept above a floor
    standardise   the anomalies of an area, all channels, in the order in which patches are cut

Tasks run on any node that sees the files: they take what to read as a lazy array, read and write
maps by their paths, and hand back a number.

    ocean (H, W, C) bool · anomaly (T, H, W, C) int16 · fitted, climatology (K, C, H, W) °C ·
    spread, deviation (C, H, W) °C, before and after smoothing

Where one profile serves all places, climatology and deviation have one row and one column.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr

from .anomalies import fit as fit_cells
from .anomalies import harmonics, smooth
from .blocks import put, spans

__all__ = ["STEP", "STRIP", "fit", "smooth_level", "standardise", "wet_mean", "write_ocean"]

STEP = 1e-3  # standard deviations per integer: ±32 of them fit
STRIP = 2**22  # values of a map that are worked on at once


def _strips(height: int, row: int) -> list[slice]:
    """Slices that cover the rows of a map, of which each holds `row` values."""
    step = max(1, STRIP // row)
    return [slice(first, min(first + step, height)) for first in range(0, height, step)]


def write_ocean(files: dict, ocean: xr.DataArray, surfaces: int, variables: int) -> None:
    """Lay the ocean (depth, latitude, longitude) down for every channel."""
    depth, height, width = ocean.shape
    for rows in _strips(height, depth * width):
        wet = np.moveaxis(ocean[:, rows].values, 0, -1)
        channels = [wet[..., :1]] * surfaces + [wet] * variables
        put(files["ocean"], np.concatenate(channels, -1), (rows.start, 0, 0))


def _wet(files: dict, channels: slice, rows: slice, columns: slice) -> np.ndarray:
    """The ocean (channel, row, column) of a box."""
    return np.moveaxis(np.load(files["ocean"], mmap_mode="r")[rows, columns, channels], -1, 0)


def _values(part: xr.DataArray, wet: np.ndarray) -> np.ndarray:
    """Values (time, channel, row, column) of a part that is small enough, 0 outside the ocean."""
    values = part.compute(scheduler="synchronous").values
    missing = wet & ~np.isfinite(values)
    if missing.any():
        cell = part[tuple(np.argwhere(missing)[0])]
        raise ValueError(
            f"{missing.sum()} value(s) of {part.name} are missing or infinite where the ocean is, "
            f"limit 0, the first on {cell.time.values.astype('M8[D]')} at latitude "
            f"{cell.latitude:g}, longitude {cell.longitude:g}; open the files by "
            "fields.open_fields, which leaves such cells out of the ocean"
        )
    return np.where(wet, values, 0)


def fit(files: dict, part: xr.DataArray, first: int, box: tuple, terms: int) -> int:
    """Pass 1 over a box (depth, rows, columns) of a variable whose channels begin at `first`."""
    depth, rows, columns = box
    channels = slice(first + depth.start, first + depth.stop)
    wet = _wet(files, channels, rows, columns)
    steps = (_values(part.isel(time=dates), wet) for dates in spans(part, "time", wet.size))
    fields = (field for step in steps for field in step)
    harmonic, spread = fit_cells(fields, part.time.values, terms, wet.shape)
    corner = (channels.start, rows.start, columns.start)
    put(files["fitted"], harmonic, (0, *corner))
    put(files["spread"], spread, corner)
    return 0


def wet_mean(
    files: dict, values: Callable[[slice], np.ndarray], columns: slice = slice(None)
) -> tuple[np.ndarray, np.ndarray]:
    """(C,) mean over the ocean of a map, and the number of its cells.

    Args:
        values: rows → (C, rows, columns).
    """
    ocean = np.load(files["ocean"], mmap_mode="r")
    total, cells = np.zeros(ocean.shape[-1]), np.zeros(ocean.shape[-1], int)
    for rows in _strips(len(ocean), ocean[0].size):
        wet = np.moveaxis(ocean[rows, columns], -1, 0)
        total += np.where(wet, values(rows), 0).sum((1, 2), dtype=np.float64)
        cells += wet.sum((1, 2))
    return total / np.maximum(cells, 1), cells


def smooth_level(files: dict, channel: int, length: float, least: float) -> int:
    """Between the passes: the final deviation of one channel."""
    spread = np.load(files["spread"], mmap_mode="r")[channel]
    wet = np.load(files["ocean"], mmap_mode="r")[..., channel]
    for rows in _strips(*spread.shape):
        smoothed = np.maximum(smooth(spread, wet, length, rows), least)
        put(files["deviation"], smoothed[None], (channel, rows.start, 0))
    return 0


def standardise(files: dict, parts: list, area: tuple, terms: int) -> int:
    """Pass 2 over an area (rows, columns); how many values lie beyond what int16 holds.

    Args:
        parts: first channel and lazy values (time, depth, rows, columns) of every variable.
    """
    rows, columns = area
    grid = np.load(files["spread"], mmap_mode="r").shape
    climatology, deviation = (
        np.broadcast_to(np.load(files[name], mmap_mode="r"), shape)[..., rows, columns]
        for name, shape in (("climatology", (terms, *grid)), ("deviation", grid))
    )
    times, clipped = parts[0][1].time.values, 0
    cells = deviation[0].size
    for dates in spans(parts[-1][1], "time", deviation.size):
        basis = harmonics(times[dates], terms)
        anomaly = np.zeros((len(basis), *deviation.shape[1:], grid[0]), np.int16)
        for first, part in parts:
            for depth in spans(part, "depth", cells * len(basis)):
                box = slice(first + depth.start, first + depth.stop)
                wet = _wet(files, box, rows, columns)
                values = _values(part.isel(time=dates, depth=depth), wet)
                for level, channel in enumerate(range(box.start, box.stop)):
                    normal = np.tensordot(basis, climatology[:, channel], 1)
                    quotient = (values[:, level] - normal) / deviation[channel] / STEP
                    quotient = np.where(wet[level], np.rint(quotient), 0)
                    clipped += int((np.abs(quotient) > 32767).sum())
                    anomaly[..., channel] = np.clip(quotient, -32767, 32767)
        put(files["anomaly"], anomaly, (dates.start, rows.start, columns.start, 0))
    return clipped
