"""Which cells and levels the scores count: ocean that no observation tells."""

import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import DIMS, SURFACES, named

__all__ = ["hidden_ocean", "shallowest_scored"]


NEAR_SURFACE = 5.0  # m


def hidden_ocean(
    fields: xr.Dataset, observations: xr.Dataset, variable: str = "temperature"
) -> xr.DataArray:
    """Where scores count: ocean without an observation, where the truth is known.

    Args:
        fields: canonical truth.
        observations: what every method saw.
        variable: the variable whose observations count.

    Returns:
        bool (time, depth, latitude, longitude).
    """
    hidden = fields.ocean & ~observations[named(variable, "observed")].astype(bool)
    hidden = hidden & fields[variable].notnull()
    return hidden.transpose(*DIMS)


def shallowest_scored(observations: xr.Dataset) -> float:
    """Depth, m, below which levels count in scores of all levels.

    Levels within `NEAR_SURFACE` of a seen surface temperature or salinity do not count: it tells
    them. Sea level does not.

    Args:
        observations: what every method saw.
    """
    names = [named(name, "observed") for name in SURFACES if name != "sea_level"]
    seen = any(name in observations and bool(observations[name].any()) for name in names)
    return NEAR_SURFACE if seen else -np.inf
