"""Passes of a build: the tasks of single blocks, and means over all cells.

    fit_box          harmonics and standard deviation of a box, from the training dates alone
    smooth_level     standard deviation of one channel, smoothed over the ocean, kept above a floor
    standardise_box  anomalies of an area, all channels, in the axis order that patches are read in

The tasks may run on any node that sees the files: they take a lazy array, and read and write maps
by their paths. `build` plans them.

    ocean (H, W, C) bool · anomaly (T, H, W, C) int16, `GAP` where the ocean has no value ·
    fitted, climatology (K, C, H, W) °C ·
    spread, deviation (C, H, W) °C, before and after smoothing

If all cells share one profile, climatology and deviation have one row and one column.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib.core.chunks import Box, chunk_slices, write_slab
from ocean_lib.store.climatology import fit_climatology, harmonics, smooth

__all__ = ["GAP", "fit_box", "smooth_level", "standardise_box", "wet_mean", "write_ocean"]


GAP = -32768  # anomaly of an ocean cell without a value on that date
STEP = 1e-3  # standard deviations per integer: the range is ±32 standard deviations
STRIP = 2**22  # number of values of a map that are processed at once

Files = dict[str, Path]  # the maps named above


def _strips(height: int, row: int) -> list[slice]:
    """Slices that cover the rows of a map with `row` values each."""
    step = max(1, STRIP // row)
    return [slice(first, min(first + step, height)) for first in range(0, height, step)]


def write_ocean(files: Files, ocean: xr.DataArray, surfaces: int, variables: int) -> None:
    """Write the ocean of every channel.

    Args:
        files: paths of the maps.
        ocean: (depth, latitude, longitude) bool.
        surfaces: number of surface channels.
        variables: number of variables on all levels.
    """
    depth, height, width = ocean.shape
    for rows in _strips(height, depth * width):
        wet = np.moveaxis(ocean[:, rows].values, 0, -1)
        channels = [wet[..., :1]] * surfaces + [wet] * variables
        write_slab(files["ocean"], np.concatenate(channels, -1), (rows.start, 0, 0))


def _wet(files: Files, channels: slice, rows: slice, columns: slice) -> np.ndarray:
    """Ocean (channel, row, column) of a box."""
    return np.moveaxis(np.load(files["ocean"], mmap_mode="r")[rows, columns, channels], -1, 0)


def _values(part: xr.DataArray, wet: np.ndarray) -> np.ndarray:
    """Load a small part (time, channel, row, column), with 0 outside the ocean, NaN in its gaps."""
    values = part.compute(scheduler="synchronous").values
    infinite = wet & np.isinf(values)
    if infinite.any():
        cell = part[tuple(np.argwhere(infinite)[0])]
        raise ValueError(
            f"{infinite.sum()} value(s) of {part.name} are infinite in the ocean, limit 0, the "
            f"first on {cell.time.values.astype('M8[D]')} at latitude {cell.latitude:g}, "
            f"longitude {cell.longitude:g}; open the files by fields.open_fields, which refuses "
            "such values"
        )
    return np.where(wet, values, 0)


def fit_box(files: Files, part: xr.DataArray, first: int, box: Box, terms: int) -> None:
    """Write harmonics and standard deviation of a box of one variable.

    Args:
        files: paths of the maps.
        part: the box at the training dates, (time, depth, latitude, longitude), lazy.
        first: first channel of the variable.
        box: its levels, rows and columns in the variable.
        terms: K, number of harmonics.
    """
    depth, rows, columns = box
    channels = slice(first + depth.start, first + depth.stop)
    wet = _wet(files, channels, rows, columns)
    parts = (part.isel(time=dates) for dates in chunk_slices(part, "time", wet.size))
    fields = (field for dates in parts for field in _values(dates, wet))
    harmonic, spread = fit_climatology(fields, part.time.values, terms, wet.shape)
    corner = (channels.start, rows.start, columns.start)
    write_slab(files["fitted"], harmonic, (0, *corner))
    write_slab(files["spread"], spread, corner)


def wet_mean(
    files: Files, values: Callable[[slice], np.ndarray], columns: slice = slice(None)
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of a map over the ocean (C,), and the number of ocean cells (C,).

    Args:
        files: paths of the maps.
        values: rows → (C, rows, columns).
        columns: part of the map.
    """
    ocean = np.load(files["ocean"], mmap_mode="r")
    total, cells = np.zeros(ocean.shape[-1]), np.zeros(ocean.shape[-1], int)
    for rows in _strips(len(ocean), ocean[0].size):
        wet = np.moveaxis(ocean[rows, columns], -1, 0)
        total += np.where(wet, values(rows), 0).sum((1, 2), dtype=np.float64)
        cells += wet.sum((1, 2))
    return total / np.maximum(cells, 1), cells


def smooth_level(files: Files, channel: int, length: float, least: float) -> None:
    """Write the final standard deviation of one channel.

    Args:
        files: paths of the maps.
        channel: index of the channel.
        length: standard deviation of the Gaussian, cells.
        least: lower bound of the result, °C.
    """
    spread = np.load(files["spread"], mmap_mode="r")[channel]
    wet = np.load(files["ocean"], mmap_mode="r")[..., channel]
    for rows in _strips(*spread.shape):
        smoothed = np.maximum(smooth(spread, wet, length, rows), least)
        write_slab(files["deviation"], smoothed[None], (channel, rows.start, 0))


def standardise_box(
    files: Files, parts: list[tuple[int, xr.DataArray]], area: tuple[slice, slice], terms: int
) -> int:
    """Write the anomalies of an area.

    Args:
        files: paths of the maps.
        parts: first channel and lazy values (time, depth, rows, columns) of every variable.
        area: rows and columns.
        terms: K, number of harmonics.
    Returns:
        Number of values that exceed the range of int16 and are clipped.
    """
    rows, columns = area
    grid = np.load(files["spread"], mmap_mode="r").shape
    climatology, deviation = (
        np.broadcast_to(np.load(files[name], mmap_mode="r"), shape)[..., rows, columns]
        for name, shape in (("climatology", (terms, *grid)), ("deviation", grid))
    )
    times, clipped = parts[0][1].time.values, 0
    for dates in chunk_slices(parts[-1][1], "time", deviation.size):
        basis = harmonics(times[dates], terms)
        anomaly = np.zeros((len(basis), *deviation.shape[1:], grid[0]), np.int16)
        for first, part in parts:
            for depth in chunk_slices(part, "depth", deviation[0].size * len(basis)):
                channels = slice(first + depth.start, first + depth.stop)
                wet = _wet(files, channels, rows, columns)
                values = _values(part.isel(time=dates, depth=depth), wet)
                for level, channel in enumerate(range(channels.start, channels.stop)):
                    normal = np.tensordot(basis, climatology[:, channel], 1)
                    quotient = (values[:, level] - normal) / deviation[channel] / STEP
                    quotient = np.where(wet[level], np.rint(quotient), 0)
                    clipped += int((np.abs(quotient) > 32767).sum())
                    whole = np.clip(quotient, -32767, 32767)
                    anomaly[..., channel] = np.where(np.isnan(whole), GAP, whole)
        write_slab(files["anomaly"], anomaly, (dates.start, rows.start, columns.start, 0))
    return clipped
