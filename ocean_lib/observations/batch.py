"""The batch a network sees: what is in it, and how observations become one.

D levels (of temperature, then of each further variable), S surface fields, H×W cells, standardised
anomalies, bool where a mask is meant:

    field, value, observed, error, ocean        (B, D, H, W)
    surface, surface_observed                   (B, S, H, W)
    beside_…                                    (B, 2 R, …)  the same observations of R months
                                                             before and R after, R what the
                                                             background reaches; same `ocean`
    background, background_error                (B, D, H, W)      added by `with_background`
    latitude (B, H), longitude (B, W) degrees · position (B, 3) of the middle on the unit sphere
    season (B, 2) sine and cosine of the day of the year
    when (B, 2 R + 1) months of the dates before, own and after, NaN where there is none

`observe` draws the fixed cases of an evaluation on whole fields, and `standardise` turns any
observations into a batch; `batches.Batches` draws those of training.
"""

from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ocean_lib.core.geometry import sphere
from ocean_lib.core.months import to_months
from ocean_lib.fields.conventions import named
from ocean_lib.observations import specification as masks
from ocean_lib.store.climatology import climatology_at, harmonics

__all__ = [
    "BESIDE",
    "adjacent_dates",
    "exactly_observed",
    "observe",
    "season",
    "select_statistics",
    "standardise",
    "uncertain_ocean",
    "with_background",
]


BESIDE = ("value", "observed", "error", "surface", "surface_observed")


def season(times: np.ndarray) -> np.ndarray:
    """Sine and cosine of the day of the year, (T, 2), float32."""
    return harmonics(times, 3)[:, [2, 1]].astype(np.float32)


def adjacent_dates(beside: Tensor) -> Tensor:
    """(B, 2, …), of what lies beside (B, 2 R, …) the month before and the month after."""
    reach = beside.shape[1] // 2
    return beside[:, reach - 1 : reach + 1]


def exactly_observed(batch: dict[str, Tensor]) -> Tensor:
    """Cells whose value is known without error, bool (B, D, H, W)."""
    return batch["observed"] & (batch["error"] == 0)


def uncertain_ocean(batch: dict[str, Tensor]) -> Tensor:
    """Ocean cells whose value is not known exactly: what the training loss supervises.

    Includes the observed cells with an error, unlike `hidden` (`ocean & ~observed`), the ocean
    that nobody observed, where the scores are computed. The two agree if all errors are zero.

    Returns:
        bool, (B, D, H, W).
    """
    return batch["ocean"] & ~exactly_observed(batch)


def with_background(batch: dict[str, Tensor], background: Callable) -> dict[str, Tensor]:
    """The batch with `background` and `background_error` beside it."""
    guess, spread = background(batch)
    return batch | {"background": guess, "background_error": spread}


def observe(fields: xr.Dataset, specification: dict, seed: int) -> xr.Dataset:
    """Observations of whole fields by one pattern, the same for the same seed.

    Args:
        fields: canonical dataset, with `surface` where it has one (`Store.fields`).
    Returns:
        `value`, `observed`, `error` (time, depth, latitude, longitude), `ocean`; and `surface`,
        `surface_observed` (time, latitude, longitude); °C, NaN where not observed. A further
        variable is observed in the same cells: `salinity_value` and so on.
    """
    generator = torch.Generator().manual_seed(seed)
    ocean = torch.tensor(fields.ocean.values)
    number = fields.sizes["time"]
    surfaces = int("surface" in fields)
    places = [torch.tensor(fields[name].values) for name in ("latitude", "longitude")]
    drawn, seen = masks.draw_masks(
        [specification],
        ocean.expand(number, *ocean.shape),
        torch.tensor(fields.depth.values, dtype=torch.float32),
        surfaces,
        generator,
        places=tuple(axis.expand(number, -1) for axis in places),
    )
    observations = xr.Dataset({"ocean": fields.ocean})
    for variable, field in fields.data_vars.items():
        if field.dims != fields.temperature.dims:
            continue
        observed = field.copy(data=drawn.numpy()).drop_attrs()
        observations[named(variable, "value")] = field.where(observed)
        observations[named(variable, "observed")] = observed
        error = xr.zeros_like(field, dtype=np.float32).drop_attrs()
        observations[named(variable, "error")] = error
    if surfaces:
        seen = fields.surface.copy(data=seen[:, 0].numpy()).drop_attrs()
        observations["surface"] = fields.surface.where(seen)
        observations["surface_observed"] = seen
    return observations


def select_statistics(statistics: xr.Dataset, grid: xr.Dataset) -> xr.Dataset:
    """The statistics at the cells of `grid`.

    Raises:
        ValueError: the grid lies outside the region of the statistics, or has other levels.
    """
    if grid.sizes["depth"] != statistics.sizes["depth"] or not np.allclose(
        grid.depth, statistics.depth, rtol=0.02, atol=0.5
    ):
        raise ValueError(
            f"levels {np.round(grid.depth.values, 1).tolist()} m differ from the "
            f"{np.round(statistics.depth.values, 1).tolist()} m of the statistics; put the "
            "observations on those levels"
        )
    for name in ("latitude", "longitude"):
        have, ask = statistics[name].values, grid[name].values
        step = float(np.abs(np.diff(have)).mean()) if len(have) > 1 else 1.0
        if ask.min() < have.min() - step / 2 or ask.max() > have.max() + step / 2:
            raise ValueError(
                f"{name} {ask.min():.2f} to {ask.max():.2f} reaches outside the "
                f"{have.min():.2f} to {have.max():.2f} that the statistics cover; choose a region "
                "inside"
            )
    places = {name: grid[name] for name in ("latitude", "longitude")}
    return statistics.sel(places, method="nearest")


def standardise(
    observations: xr.Dataset, statistics: xr.Dataset, device: str = "cpu"
) -> dict[str, Tensor]:
    """The batch of all dates of `observations` (see `observe`), without `field`, each alone.

    Args:
        statistics: at the same cells, from `select_statistics`.
    """
    surfaces = statistics.attrs["surfaces"]
    normal = climatology_at(statistics, observations.time.values)
    deviation = statistics.deviation.values
    order = ("time", "depth", "latitude", "longitude")

    def tensor(array, kind=np.float32):
        return torch.from_numpy(np.array(array, dtype=kind)).to(device)

    def levels(quantity):
        variables = statistics.attrs["variables"]
        each = [observations[named(v, quantity)].transpose(*order).values for v in variables]
        return np.concatenate(each, 1)

    observed = levels("observed").astype(bool)
    value = (levels("value") - normal[:, surfaces:]) / deviation[surfaces:]
    error = levels("error") / deviation[surfaces:]
    ocean = observations.ocean.transpose(*order[1:]).values.astype(bool)
    ocean = np.tile(ocean, (observed.shape[1] // len(ocean), 1, 1))
    shape = (len(normal), surfaces, *normal.shape[2:])
    surface, seen = np.zeros(shape, np.float32), np.zeros(shape, bool)
    if surfaces and "surface" in observations:
        flat = ("time", "latitude", "longitude")
        seen = observations.surface_observed.transpose(*flat).values.astype(bool)[:, None]
        above = observations.surface.transpose(*flat).values[:, None]
        surface = (above - normal[:, :surfaces]) / deviation[:surfaces]
    places = [observations[name].values for name in ("latitude", "longitude")]
    middle = sphere(*(axis.mean() for axis in places))
    latitude, longitude = (torch.tensor(np.tile(axis, (len(normal), 1))) for axis in places)
    return {
        "value": tensor(np.where(observed, value, 0)),
        "observed": tensor(observed, bool),
        "error": tensor(np.where(observed, error, 0)),
        "ocean": tensor(np.broadcast_to(ocean, observed.shape), bool),
        "surface": tensor(np.where(seen, surface, 0)),
        "surface_observed": tensor(seen, bool),
        "latitude": latitude.double(),
        "longitude": longitude.double(),
        "position": tensor(np.broadcast_to(middle, (len(normal), 3))),
        "season": tensor(season(observations.time.values)),
        "when": torch.tensor(_alone(observations.time.values)),
    }


def _alone(times: np.ndarray) -> np.ndarray:
    nothing = np.full(len(times), np.nan)
    return np.stack([nothing, to_months(times), nothing], 1)
