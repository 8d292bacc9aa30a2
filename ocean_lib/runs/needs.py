"""Needs: the memory and the disk that a run takes, estimated from its parameters.

The estimate is made before anything runs. It counts what grows with the parameters; what depends on
files that are not open yet, such as the grid of `source: netcdf`, is left out.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = [
    "CELLS_PER_DEGREE",
    "DEMO_SHAPE",
    "Needs",
    "activation_bytes",
    "count_months",
    "estimate_needs",
    "grid_shape",
    "scene_bytes",
]


CELLS_PER_DEGREE = {"demo": 12, "glorys12": 12, "glorys12_daily": 12, "armor3d": 8}
DEMO_SHAPE = 96, 128  # rows, columns
DEMO_LEVELS = 50
DEMO_VARIABLES = 2  # with depth: temperature and salinity
NETWORK = ("width", "multipliers", "blocks", "stem", "attention")
LARGEST_SCENE = 160  # cells on a side
LIBRARIES = 0.85e9  # bytes that the runner, a kernel, the libraries and the pictures take
OVERHEAD = 1.3  # temporary arrays of a training step, relative to what is counted
TEMPORARY = 50e6  # bytes of figures and executed notebooks
METHODS = 6  # classical methods of `baselines.nc`
OBSERVED = 12.0  # bytes per cell of truth, observed value, mask and error
PACKED = 2.0  # bytes per value of a compressed file, at most
VALUES_PER_CHANNEL = 10  # that a block keeps of a cell for the gradient


@dataclass(frozen=True)
class Needs:
    """What a run takes, in bytes.

    Args:
        memory: of each kind of work, with its largest parameters in words.
        data: on disk below `data/`, for the raw files and the store.
        results: on disk in the run's folder.
    """

    memory: dict[str, float] = field(default_factory=dict)
    data: float = 0.0
    results: float = 0.0


def grid_shape(source: str, region: list[float]) -> tuple[int, int] | None:
    """Rows and columns that a source has in a region; None where only its files tell.

    Args:
        source: a key of `SOURCES`.
        region: west, east, south, north in degrees; empty for the whole domain.
    """
    if source not in CELLS_PER_DEGREE:
        return None
    whole = DEMO_SHAPE if source == "demo" else (10**5, 10**5)
    west, east, south, north = region or (-180.0, 180.0, -90.0, 90.0)
    extents = north - south, (east - west) % 360 or 360
    cells = (math.floor(degrees * CELLS_PER_DEGREE[source] + 1e-6) + 1 for degrees in extents)
    rows, columns = map(min, cells, whole)
    return rows, columns


def count_months(source: str, period: list[str], demo_months: int) -> int | None:
    """Length of the record in months; None where only the files tell.

    Args:
        source: a key of `SOURCES`.
        period: first and last month of a download, such as "1993-01".
        demo_months: length of the demo ocean.
    """
    if source == "demo":
        return demo_months
    if source not in CELLS_PER_DEGREE or not period:
        return None
    first, last = (np.datetime64(month[:7], "M") for month in period)
    return int((last - first).astype(int)) + 1


def estimate_needs(parameters: dict[str, Any], device: str | None) -> Needs:
    """Memory and disk of a run; nothing for a chain without the notebooks' parameters.

    Args:
        parameters: name to value, as `check_parameters` accepts them.
        device: `cpu` or `cuda`; networks on a GPU take none of the memory counted here.
    """
    required = {"source", "store", "patterns", "cases", "mode", "width", "members", "device"}
    if not required <= parameters.keys():
        return Needs()
    given = parameters
    further = 1 if given["variables"] is None else len(given["variables"])
    levels = (len(given["depths"]) or 8) * (1 + further)
    surfaces = len(given["surfaces"])
    shape = grid_shape(given["source"], given["region"])
    cells = math.prod(shape) if shape else 0
    months = count_months(given["source"], given["period"], given["demo_months"]) or 0
    dates = months * 30.5 if given["source"] == "glorys12_daily" else months
    networks = _count_weights(levels, surfaces, given)
    weights, largest = sum(networks), max(networks)
    sizes = ("width", "multipliers", "blocks", "stem", "patch", "batch")
    activations = activation_bytes(**{name: given[name] for name in sizes})
    memory: dict[str, float] = {}

    # Files: raw as delivered, int16 anomalies and the statistics of the store.
    data = 2.0 * dates * cells * (levels + surfaces) + 28.0 * cells * (levels + surfaces)
    if given["source"] == "demo":
        data += 2.0 * DEMO_VARIABLES * dates * DEMO_LEVELS * math.prod(DEMO_SHAPE)
    else:
        data += 4.0 * dates * cells * (levels + surfaces)

    # Weights, gradient, average, two moments and a copy during validation; activations of a batch.
    advice = "training; choose a smaller width, blocks, multipliers, patch or batch"
    training = 4.0 * (weights + 5 * largest) + OVERHEAD * activations
    memory[advice] = training if device != "cuda" else 0.0

    # Truth, observations and drawn fields of every case; copies while they are joined and scored.
    # All dates are observed, some are drawn.
    tested = len(given["cases"]) * levels * cells
    dates_per_month = 30.5 if given["source"] == "glorys12_daily" else 1
    observed = tested * sum(
        max(given[months] * dates_per_month - given[drawn], 0)
        for months, drawn in (("test_months", "dates"), ("validation_months", "calibration_dates"))
    )
    fields = 4.0 * tested * (given["members"] + 8)
    drawn = fields * (3 * given["dates"] + 2 * given["calibration_dates"]) + OBSERVED * observed
    memory["sampling; choose fewer members, dates or cases, or a smaller region"] = drawn
    scored = 6 * fields * given["dates"] + OBSERVED * observed
    memory["evaluation; choose fewer members, dates or cases, or a smaller region"] = scored

    scene = math.prod(min(size, LARGEST_SCENE) for size in shape) if shape else 0
    results = TEMPORARY + scene_bytes(levels, surfaces) * scene * 1.05 * sum(given["scenes"])
    # Two checkpoints and one in writing, of the weights, their average and the moments.
    results += 3 * 4.0 * (weights + 3 * largest) + 4.0 * weights + 28.0 * cells * levels
    results += PACKED * tested * given["dates"] * (given["members"] + 8 + 2 * METHODS)
    results += PACKED * observed
    return Needs({work: LIBRARIES + size for work, size in memory.items()}, data, results)


def scene_bytes(levels: int, surfaces: int) -> int:
    """Bytes per cell of a scene as `model.scenes` keeps it: int16 fields, masks, errors.

    Args:
        levels: number of levels, of all variables.
        surfaces: number of surface fields; those of the two adjacent dates are kept too.
    """
    return levels * (3 * 2 + 1) + surfaces * 3 * (2 + 1) + 2


def _count_weights(levels: int, surfaces: int, given: dict[str, Any]) -> list[int]:
    """Number of weights of each network."""
    from ocean_lib.model.densifier import network_sizes
    from ocean_lib.model.unet import count_parameters

    choices = {name: given[name] for name in NETWORK}
    sizes = network_sizes(given["mode"], levels, surfaces).values()
    return [count_parameters(**size, **choices) for size in sizes]


def activation_bytes(
    width: int, multipliers: list[int], blocks: int, stem: int, patch: int, batch: int
) -> float:
    """Bytes that a training step keeps for its gradient, to within a third.

    Args:
        width: channels of the first grid.
        multipliers: of `width`, one per grid.
        blocks: per grid and direction.
        stem: cells on a side that are folded into channels.
        patch: cells on a side.
        batch: samples per step.
    """
    values = 0.0
    for index, multiplier in enumerate(multipliers):
        directions = 1 if index == len(multipliers) - 1 else 2
        side = patch / stem / 2**index
        values += side**2 * width * multiplier * blocks * directions
    return 4.0 * VALUES_PER_CHANNEL * batch * values
