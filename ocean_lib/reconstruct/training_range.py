"""How observations differ from what a model was trained on, and statistics that cover them.

`outside_training` compares the observations with the training data: region, grid, season, levels
and, level by level, how far values and stratification depart from the climatology.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from ocean_lib.model.densifier import Densifier
from ocean_lib.observations.batch import select_statistics
from ocean_lib.observations.screening import read_in_blocks
from ocean_lib.store.climatology import climatology_at

__all__ = ["extend_statistics", "outside_training"]


DEPARTURE_LIMIT = 2.0  # times the training data's departures; larger ones are rare in training
MIN_VALUES = 5  # at a level, to estimate its departure
GRID_RATIO = (0.7, 1.4)  # of the observations' grid step to the training's


def extend_statistics(statistics: xr.Dataset, observations: xr.Dataset) -> xr.Dataset:
    """Statistics that cover the observations; cells outside get those of the nearest place.

    Args:
        statistics: of the model; returned unchanged if they cover the observations.
        observations: only their latitudes and longitudes are used.
    """
    if not _share_outside(statistics, observations):
        return statistics
    places = {name: observations[name] for name in ("latitude", "longitude")}
    return statistics.sel(places, method="nearest").assign_coords(places)


def _share_outside(statistics: xr.Dataset, observations: xr.Dataset) -> float:
    """Share of the cells more than half a grid step outside the region of the statistics."""
    inside = []
    for name in ("latitude", "longitude"):
        covered, place = statistics[name].values, observations[name].values
        half = (float(np.abs(np.diff(covered)).mean()) if len(covered) > 1 else 1.0) / 2
        inside.append((place >= covered.min() - half) & (place <= covered.max() + half))
    return 1 - float(np.outer(*inside).mean())


def outside_training(model: Densifier, observations: xr.Dataset) -> list[str]:
    """How the observations differ from the training data: one line of text per difference.

    Args:
        model: the trained model.
        observations: from `open_observations`, on the model's levels.
    """
    trained, lines = model.statistics, list(observations.attrs.get("notes", []))
    if share := _share_outside(trained, observations):
        longitude, latitude = trained.longitude.values, trained.latitude.values
        lines.append(
            f"region: {share:.0%} of the cells lie outside the training region, "
            f"{longitude.min():.1f} to {longitude.max():.1f} °E, "
            f"{latitude.min():.1f} to {latitude.max():.1f} °N; "
            "the climatology of the nearest place inside is used there"
        )
    for name in ("latitude", "longitude"):
        if min(trained.sizes[name], observations.sizes[name]) > 1:
            trained_step, step = (
                float(abs(np.diff(dataset[name])).mean()) for dataset in (trained, observations)
            )
            if not GRID_RATIO[0] < step / trained_step < GRID_RATIO[1]:
                lines.append(
                    f"grid: cells are {step:.3f}° apart in {name}, "
                    f"{trained_step:.3f}° in the training"
                )
    calendar = {int(m) + 1 for m in observations.time.values.astype("M8[M]").astype(int) % 12}
    if untrained := sorted(calendar - set(trained.attrs["months"])):
        lines.append(
            f"season: calendar months {untrained} of the observations are not among the "
            f"{trained.attrs['months']} of the training"
        )
    return lines + list(_departures(model, observations))


def _departures(model: Densifier, observations: xr.Dataset) -> Iterator[str]:
    """Warn of levels where values, or differences to the next level, are unlike the training's."""
    statistics = extend_statistics(model.statistics, observations)
    surfaces, levels = len(statistics.attrs["surfaces"]), statistics.sizes["depth"]
    inner = slice(surfaces, surfaces + levels)
    matrix = model.background.covariance[0].cpu().numpy()[:levels, :levels]
    value, pair = np.zeros((2, levels)), np.zeros((2, levels - 1))  # counts, sums of squares
    for block in read_in_blocks(observations):
        seen = block.observed.values
        local = select_statistics(statistics, block)
        deviation = local.deviation.values[inner]
        normal = climatology_at(local, block.time.values)[:, inner]
        departure = np.where(seen, block.value.values, 0) - normal
        square = (departure / deviation) ** 2
        value += np.where(seen, [np.ones_like(square), square], 0).sum((1, 3, 4))
        # Variance of the difference of two levels, from their covariance in training.
        upper, lower = deviation[:-1], deviation[1:]
        expected = (
            upper**2 * matrix.diagonal()[:-1, None, None]
            + lower**2 * matrix.diagonal()[1:, None, None]
            - 2 * upper * lower * matrix.diagonal(1)[:, None, None]
        )
        square = np.diff(departure, axis=1) ** 2 / np.maximum(expected, 1e-4)
        both = seen[:, 1:] & seen[:, :-1]
        pair += np.where(both, [np.ones_like(square), square], 0).sum((1, 3, 4))
    depth = statistics.depth.values
    for quantity, (count, total), where in (
        ("values", value, [f"{d:.0f} m" for d in depth]),
        ("stratification", pair, [f"{a:.0f}–{b:.0f} m" for a, b in zip(depth, depth[1:])]),
    ):
        size = np.where(count >= MIN_VALUES, np.sqrt(total / np.maximum(count, 1)), 0)
        if size.max(initial=0) > DEPARTURE_LIMIT:
            worst, beyond = int(size.argmax()), int((size > DEPARTURE_LIMIT).sum())
            yield (
                f"{quantity}: at {where[worst]} the observations depart from the climatology by "
                f"{size[worst]:.1f} times the training data's departures, limit "
                f"{DEPARTURE_LIMIT:g}; {beyond} of {len(size)} depths are beyond it"
            )
