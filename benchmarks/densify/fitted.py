"""What is kept of the demo oceans, version 1: statistics, fitted parameters, reconstructions.

    OCEAN_statistics.nc   harmonic (term, channel, latitude, longitude), °C: the mean, then cosine
                          and sine of the annual and of the semi-annual cycle; deviation, °C, and
                          wet (channel, latitude, longitude); channels: the surface, then the levels
    OCEAN_regression.nc   coefficients (level, feature, latitude, longitude) of the regression on
                          the surface, `classical.regression`
    OCEAN_network.nc      mean and error (case, time, depth, latitude, longitude), °C: the network's
                          reconstructions, calibrated; missing where observed
    methods.json          {ocean: {case: {method: scales, covariances, factors on the error}}};
                          lengths in months, rows and columns, kernel `matern` of smoothness 3/2

The store of such an ocean is not kept, so nothing can be trained on it or tuned again. Every file
is verified by its hash in `SHA256SUMS` before it is read.
"""

import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from ocean_lib.classical.gaussian_field import KM_PER_DEGREE
from ocean_lib.classical.optimal_interpolation import OptimalInterpolation
from ocean_lib.classical.regression import CovarianceRegression, Regression
from ocean_lib.classical.simple import climatology, linear
from ocean_lib.classical.tuning import Method

from .cases import Ocean
from .hashes import verify
from .sections import SURFACE

__all__ = ["FITTED", "methods", "reconstruction", "statistics"]

FITTED = Path(__file__).resolve().parent / "fitted"
CELL = ("latitude", "longitude")
SURFACES = {SURFACE: 0.0}  # with the standard deviation of its errors, °C


def _verified(name: str) -> Path:
    verify(FITTED / "SHA256SUMS", FITTED, name)
    return FITTED / name


def statistics(name: str) -> xr.Dataset:
    """Climatology and deviation of the training months, in the form of `Store.statistics`.

    Args:
        name: one of `cases.OCEANS`.

    Raises:
        ValueError: the name is unknown, or the file differs from its hash.
    """
    kept = xr.load_dataset(_verified(f"{name}_statistics.nc"), engine="netcdf4")
    units = {"temperature": kept.harmonic.attrs["units"]}
    described = {"surfaces": SURFACES, "variables": ["temperature"], "units": units}
    kinds = {"harmonic": np.float32, "deviation": np.float32, "wet": bool}
    kept = kept.assign({quantity: kept[quantity].astype(kind) for quantity, kind in kinds.items()})
    return kept.assign_attrs(described, months=kept.attrs["months"].tolist())


def methods(name: str) -> dict[str, dict[str, Method]]:
    """{case: {method: `method(observations, statistics)`}} with the kept parameters.

    Reduced space is not among them, since its parameters are the training months themselves.

    Args:
        name: one of `cases.OCEANS`.
    """
    fitted = json.loads(_verified("methods.json").read_text())[name]
    return {
        case: {"climatology": climatology}
        | {method: _method(name, method, kept) for method, kept in each.items()}
        for case, each in fitted.items()
    }


def _scales(name: str, kept: dict) -> dict:
    """Scales of an `OptimalInterpolation` from those of methods.json: km in place of cells."""
    held = xr.load_dataset(_verified(f"{name}_statistics.nc"), engine="netcdf4")
    row, column = (KM_PER_DEGREE * float(held[axis].diff(axis).mean()) for axis in CELL)
    months, rows, columns = kept["lengths"]
    column *= np.cos(np.deg2rad(float(held.latitude.mean())))
    return kept | {"lengths": (months, rows * row, columns * column), "kernel": "matern32"}


def _method(name: str, method: str, kept: dict) -> Method:
    """A method with its parameters, from its part of methods.json."""
    matrices = {key: torch.tensor(kept[key]) for key in kept if key != "scales"}
    factor = matrices.pop("factor")
    if method == "linear":
        return partial(linear, factor=factor)
    scales = _scales(name, kept["scales"])
    if "covariance" in matrices:
        return OptimalInterpolation(
            CovarianceRegression(matrices["covariance"], len(SURFACES)), scales, factor
        )
    held = xr.load_dataset(_verified(f"{name}_regression.nc"), engine="netcdf4")
    coefficients = torch.from_numpy(held.coefficients.values)
    places = held.latitude.values, held.longitude.values
    covariance = torch.stack([matrices["prior_covariance"], matrices["residual_covariance"]])
    regression = Regression(coefficients[None], covariance, places)
    return OptimalInterpolation(regression, scales, factor)


def reconstruction(ocean: Ocean) -> xr.Dataset:
    """The published reconstructions of a demo ocean by the network: `mean` and `error`.

    Args:
        ocean: from `cases.open_ocean`; its observations fill the observed cells, without error.
    """
    kept = xr.load_dataset(_verified(f"{ocean.name}_network.nc"), engine="netcdf4")
    value, observed = (
        xr.concat(
            [seen[name] for seen in ocean.observations.values()],
            xr.Variable("case", list(ocean.observations)),
        )
        for name in ("value", "observed")
    )
    return xr.Dataset(
        {"mean": kept["mean"].where(~observed, value), "error": kept.error.where(~observed, 0.0)}
    )
