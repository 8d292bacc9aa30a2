"""Plausibility of what leaves: every value is finite and within what sea water can be.

The limits are those that observations must meet. A field beyond them comes from observations that
contradict each other, or from a model that does not suit them; it is refused, never clipped.
"""

from typing import Any

import numpy as np

from ocean_lib.fields.conventions import FRESHEST, HIGHEST, LOWEST, SALTIEST, WARMEST

__all__ = ["check_field"]


TEMPERATURES = ("mean", "members", "background", "climatology")
ERRORS = ("spread", "background_error", "deviation")  # names end so; standard deviations


def check_field(name: str, values: np.ndarray, ocean: np.ndarray, place: dict[str, Any]) -> None:
    """Refuse a field with an impossible value in the ocean.

    Args:
        name: of the variable in a file, such as `mean` or `salinity_spread`.
        values: (..., D, H, W), in the variable's unit.
        ocean: (D, H, W), bool.
        place: `time`, a date, and coordinates `depth` (D,), `latitude` (H,) and `longitude` (W,).

    Raises:
        ValueError: the first such value, its place, the limits, the likely cause and the remedy.
    """
    low, high = -np.inf, np.full(len(ocean), np.inf)
    if name.endswith(ERRORS):
        low, high = 0.0, np.full(len(ocean), HIGHEST)
    elif name in TEMPERATURES:
        low, high = LOWEST, np.interp(place["depth"], *WARMEST)
    elif name.startswith("salinity_"):
        low, high = FRESHEST, np.full(len(ocean), SALTIEST)
    values = values.reshape(-1, *ocean.shape)
    possible = np.isfinite(values) & (values >= low) & (values <= high[:, None, None])
    if (possible | ~ocean).all():
        return
    index, level, row, column = np.argwhere(~possible & ocean)[0]
    raise ValueError(
        f"{name} would be {values[index, level, row, column]:g} at {place['depth'][level]:.0f} m, "
        f"latitude {place['latitude'][row]:.2f}, longitude {place['longitude'][column]:.2f} on "
        f"{str(place['time'])[:10]}, possible are {low:g} to {high[level]:g}: observations near "
        "there contradict each other or have another unit, or the model does not suit this ocean; "
        "check these observations or leave them out, or train longer"
    )
