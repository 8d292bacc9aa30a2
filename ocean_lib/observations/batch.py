"""The batch: the tensors that the network and the first guess work on.

Values are anomalies from the climatology divided by their standard deviation at that level and
cell; missing values are 0, and bool masks mark them. Sizes: B samples, D levels (those of
temperature, then those of each further variable), S surface fields, H×W cells.

    field                          (B, D, H, W)   the truth; only in training
    value, observed, error, ocean  (B, D, H, W)   the observations, their standard deviation, and
                                                  the cells with sea water
    surface, surface_observed      (B, S, H, W)   fields seen from above, and where they are seen
    surface_error                  (B, S, H, W)   standard deviation of their errors
    background, background_error   (B, D, H, W)   first guess; added by `with_background`
    latitude, longitude            (B, H), (B, W) degrees
    position                       (B, 3)         centre of the cells on the unit sphere
    season                         (B, 2)         sine and cosine of the day of the year

The background may use observations of R dates before and R dates after:

    beside_…                       (B, 2 R, …)    the entries of `BESIDE` on those dates
    when                           (B, 2 R + 1)   all dates in order, in months, NaN where absent

`observe` draws observations of whole fields, and `standardise` turns any observations into a batch.
"""

from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ocean_lib.core.geometry import sphere
from ocean_lib.core.months import to_months
from ocean_lib.fields.conventions import DIMS, SURFACES, named
from ocean_lib.observations.specification import draw_masks
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


BESIDE = ("value", "observed", "error", "surface", "surface_observed", "surface_error")


def season(times: np.ndarray) -> np.ndarray:
    """Sine and cosine of the day of the year.

    Args:
        times: datetime64, (T,).

    Returns:
        float32, (T, 2).
    """
    return harmonics(times, 3)[:, [2, 1]].astype(np.float32)


def adjacent_dates(beside: Tensor) -> Tensor:
    """The date before and the date after, (B, 2, …), of neighbouring dates (B, 2 R, …)."""
    reach = beside.shape[1] // 2
    return beside[:, reach - 1 : reach + 1]


def exactly_observed(batch: dict[str, Tensor]) -> Tensor:
    """Cells whose value is known without error, bool, (B, D, H, W)."""
    return batch["observed"] & (batch["error"] == 0)


def uncertain_ocean(batch: dict[str, Tensor]) -> Tensor:
    """Ocean cells whose value is not known exactly: what the training loss supervises.

    Includes the observed cells with an error, unlike `hidden` (`ocean & ~observed`), the ocean
    that nobody observed, where the scores are computed. The two agree if all errors are zero.

    Returns:
        bool, (B, D, H, W).
    """
    return batch["ocean"] & ~exactly_observed(batch)


def with_background(
    batch: dict[str, Tensor], background: Callable[[dict[str, Tensor]], tuple[Tensor, Tensor]]
) -> dict[str, Tensor]:
    """The batch with `background` and `background_error`, (B, D, H, W), added."""
    guess, error = background(batch)
    return batch | {"background": guess, "background_error": error}


def observe(fields: xr.Dataset, specification: dict, seed: int) -> xr.Dataset:
    """Draw observations of whole fields by one pattern; the same seed gives the same cells.

    Floats are there again on the next date, a few cells away.

    Args:
        fields: canonical dataset, optionally with surface fields (`Store.fields`).
        specification: an observation pattern, as `check_patterns` describes it.
        seed: of the draw.

    Returns:
        `value`, `observed`, `error` (time, depth, latitude, longitude) and `ocean`; of every
        surface field its values and, such as `sea_level_observed`, where it is seen (time,
        latitude, longitude). NaN where not observed. A further variable is observed in the same
        cells: `salinity_value` and so on.
    """
    generator = torch.Generator().manual_seed(seed)
    ocean = torch.tensor(fields.ocean.values)
    number = fields.sizes["time"]
    surfaces = [name for name in SURFACES if name in fields]
    rows, columns = (
        torch.tensor(fields[name].values).expand(number, -1) for name in ("latitude", "longitude")
    )
    drawn, surface_drawn = draw_masks(
        [specification],
        ocean.expand(number, *ocean.shape),
        torch.tensor(fields.depth.values, dtype=torch.float32),
        surfaces,
        generator,
        drifting=number,
        places=(rows, columns),
    )
    observations = xr.Dataset({"ocean": fields.ocean})
    for name, field in fields.data_vars.items():
        if field.dims != fields.temperature.dims:
            continue
        variable = str(name)
        observed = field.copy(data=drawn.numpy()).drop_attrs() & field.notnull()
        observations[named(variable, "value")] = field.where(observed)
        observations[named(variable, "observed")] = observed
        error = xr.zeros_like(field, dtype=np.float32).drop_attrs()
        observations[named(variable, "error")] = error
    for channel, name in enumerate(surfaces):
        seen = fields[name].copy(data=surface_drawn[:, channel].numpy()).drop_attrs()
        seen = seen & (fields[name].notnull() | ~fields.ocean[0])
        observations[name] = fields[name].where(seen)
        observations[named(name, "observed")] = seen
    return observations


def select_statistics(statistics: xr.Dataset, grid: xr.Dataset) -> xr.Dataset:
    """The statistics at the nearest cells to those of `grid`.

    Args:
        statistics: of a store or model (`Store.statistics`).
        grid: dataset with coordinates `depth`, `latitude`, `longitude`.

    Raises:
        ValueError: the grid reaches outside the region of the statistics, or has other levels.
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
        covered, wanted = statistics[name].values, grid[name].values
        step = float(np.abs(np.diff(covered)).mean()) if len(covered) > 1 else 1.0
        if wanted.min() < covered.min() - step / 2 or wanted.max() > covered.max() + step / 2:
            raise ValueError(
                f"{name} {wanted.min():.2f} to {wanted.max():.2f} reaches outside the "
                f"{covered.min():.2f} to {covered.max():.2f} that the statistics cover; choose a "
                "region inside"
            )
    cells = {name: grid[name] for name in ("latitude", "longitude")}
    return statistics.sel(cells, method="nearest")


def standardise(
    observations: xr.Dataset, statistics: xr.Dataset, device: str = "cpu"
) -> dict[str, Tensor]:
    """The batch of all dates of `observations`, without `field` and without neighbouring dates.

    Args:
        observations: as `observe` returns them, T dates.
        statistics: at the same cells, from `select_statistics`.
        device: where the batch is put; latitude, longitude and `when` stay on the CPU.

    Returns:
        The batch described in this module's docstring, with B = T.
    """
    names = statistics.attrs["surfaces"]
    surfaces = len(names)
    climatology = climatology_at(statistics, observations.time.values)
    deviation = statistics.deviation.values
    number, _, *shape = climatology.shape

    def tensor(array: np.ndarray, dtype: type = np.float32) -> Tensor:
        return torch.from_numpy(np.array(array, dtype=dtype)).to(device)

    def levels(quantity: str) -> np.ndarray:
        """(T, D, H, W): the levels of all variables, one below the other."""
        arrays = (observations[named(v, quantity)] for v in statistics.attrs["variables"])
        return np.concatenate([array.transpose(*DIMS).values for array in arrays], 1)

    observed = levels("observed").astype(bool)
    value = (levels("value") - climatology[:, surfaces:]) / deviation[surfaces:]
    error = levels("error") / deviation[surfaces:]
    ocean = observations.ocean.transpose(*DIMS[1:]).values.astype(bool)
    ocean = np.tile(ocean, (observed.shape[1] // len(ocean), 1, 1))
    surface = np.zeros((number, surfaces, *shape), np.float32)
    surface_observed = np.zeros(surface.shape, bool)
    for channel, name in enumerate(names):
        if name in observations:
            seen = observations[[name, named(name, "observed")]].transpose("time", *DIMS[2:])
            surface_observed[:, channel] = seen[named(name, "observed")].values
            anomaly = seen[name].values - climatology[:, channel]
            surface[:, channel] = anomaly / deviation[channel]
    surface_error = np.reshape([*names.values()], (-1, 1, 1)) / deviation[:surfaces]
    axes = [observations[name].values for name in ("latitude", "longitude")]
    centre = sphere(*(axis.mean() for axis in axes))
    latitude, longitude = (torch.tensor(np.tile(axis, (number, 1))) for axis in axes)
    months = to_months(observations.time.values)
    absent = np.full(number, np.nan)
    return {
        "value": tensor(np.where(observed, value, 0)),
        "observed": tensor(observed, bool),
        "error": tensor(np.where(observed, error, 0)),
        "ocean": tensor(np.broadcast_to(ocean, observed.shape), bool),
        "surface": tensor(np.where(surface_observed, surface, 0)),
        "surface_observed": tensor(surface_observed, bool),
        "surface_error": tensor(np.where(surface_observed, surface_error, 0)),
        "latitude": latitude.double(),
        "longitude": longitude.double(),
        "position": tensor(np.broadcast_to(centre, (number, 3))),
        "season": tensor(season(observations.time.values)),
        "when": torch.tensor(np.stack([absent, months, absent], 1)),
    }
