"""Sea level of an altimeter in terms of a model's: anomalies from a common climatology.

A model's sea level is relative to a geoid, an altimeter's to its own mean over two decades. Each
has its own mean and its own seasonal cycle, so each becomes an anomaly from its own climatology of
the same training dates, with the harmonics of the store; the altimeter's anomaly is then added to
the model's climatology, and one channel can hold both.

Altimeters see the rise of the global mean, 3.3 mm a year. A Boussinesq model conserves volume and
lacks its steric part (Greatbatch 1994). The rise is removed from the altimeter's sea level about
the middle of the training dates. How well the trend of a place is known (0.8 mm a year at 90 %,
0.5 mm a year as a standard deviation) is counted in the error of the dates away from the middle.

Reference: rise: Guérou et al. 2023, doi 10.5194/os-19-431-2023; its uncertainty at a place: Prandi
et al. 2021, doi 10.1038/s41597-020-00786-7; Boussinesq models: Greatbatch 1994, doi
10.1029/94JC00847.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from ocean_lib.core.chunks import chunk_slices
from ocean_lib.core.months import dates_per_month
from ocean_lib.fields.conventions import MAP_DIMS
from ocean_lib.store.climatology import fit_climatology, harmonics, number_of_terms

__all__ = ["TREND", "TREND_ERROR", "aligned", "rise"]


TREND = 3.3e-3  # m a year
TREND_ERROR = 0.5e-3  # m a year, standard deviation
YEAR = np.timedelta64(31_557_600, "s")
MOST_MEAN = 0.25  # m, root mean square over the region; topography has a few times as much


def rise(times: np.ndarray, middle: np.datetime64) -> np.ndarray:
    """Rise of the global mean sea level since a date, m (T,).

    Args:
        times: datetime64 (T,).
        middle: the date, the middle of the training dates.
    """
    return TREND * ((np.asarray(times, "datetime64[s]") - middle) / YEAR)


def aligned(
    view: xr.DataArray, model: xr.DataArray, train: np.ndarray, error: float
) -> xr.DataArray:
    """An altimeter's sea level with the trend removed and the model's climatology for its own.

    The training dates of both are read once to fit the climatologies.

    Args:
        view: the altimeter's anomalies on the cells of the model, (time, latitude, longitude), m;
            a value in every cell of the model's ocean.
        model: its sea level, (time, latitude, longitude), m, NaN on land.
        train: the training dates, datetime64 (T,); `view` and `model` hold them.
        error: standard deviation of the view's noise, m.

    Returns:
        On the dates of `view`, lazy, m, NaN on land. Its attribute `error` is the standard
        deviation of noise and trend at the date farthest from the middle of the training dates.

    Raises:
        ValueError: the view's mean over the training dates is too far from 0 for anomalies.
    """
    train = np.asarray(train, "datetime64[s]")
    middle = train[0] + (train - train[0]).astype(int).mean().astype("timedelta64[s]")
    risen = rise(view.time.values, middle)
    level = view - xr.DataArray(risen, {"time": view.time}, ["time"])
    seen, known = (array.sel(time=train.astype("M8[ns]")) for array in (level, model))
    ocean = (known.notnull().sum("time") >= len(train) / 2).values
    terms = number_of_terms(train, dates_per_month(model.time.values))
    own, models = (_climatology(array, ocean, terms) for array in (seen, known))
    mean = float(np.sqrt((own[0] ** 2).mean()))
    if mean > MOST_MEAN:
        raise ValueError(
            f"the mean of the sea level anomalies over {len(train)} training dates is {mean:.3g} m "
            f"(root mean square), limit {MOST_MEAN:g} m; they look like absolute dynamic "
            "topography: give the anomalies (sla)"
        )
    change = np.full((terms, *ocean.shape), np.nan, np.float32)
    change[:, ocean] = models - own
    basis = xr.DataArray(harmonics(view.time.values, terms), {"time": view.time}, ["time", "term"])
    grid = {dim: view[dim] for dim in MAP_DIMS[1:]}
    shift = xr.dot(
        basis.chunk(time=1), xr.DataArray(change, grid, ["term", *MAP_DIMS[1:]]), dim="term"
    )
    farthest = float(abs(risen).max()) / TREND  # years
    attrs = model.attrs | {"error": float(np.hypot(error, TREND_ERROR * farthest))}
    return (level + shift).transpose(*MAP_DIMS).astype(np.float32).assign_attrs(attrs)


def _climatology(array: xr.DataArray, ocean: np.ndarray, terms: int) -> np.ndarray:
    """Coefficients (K, N) of the N cells of the ocean."""
    shape = (1, 1, int(ocean.sum()))
    fields = _by_date(array.transpose(*MAP_DIMS), ocean)
    return fit_climatology(fields, array.time.values, terms, shape)[0].reshape(terms, -1)


def _by_date(array: xr.DataArray, ocean: np.ndarray) -> Iterator[np.ndarray]:
    """The ocean's values (1, 1, N) of each date, read in the chunks of the array."""
    for dates in chunk_slices(array, "time", ocean.size):
        for field in array.isel(time=dates).values:
            yield field[ocean][None, None]
