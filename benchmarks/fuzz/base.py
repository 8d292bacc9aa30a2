"""The good inputs that are mutated: a tiny sea, its store, its model, observations and casts.

The sea is a corner of the demo ocean, 4 levels of 16×20 cells with coast and surface. The network
is not trained, but its weights are moved, so that everything in it has an influence on the result.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr

from ocean_lib.classical.regression import fit_shared_regression
from ocean_lib.model.background import Background
from ocean_lib.model.densifier import Densifier
from ocean_lib.reconstruct import self_check
from ocean_lib.reconstruct.from_files import reconstruct_files
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.sources.demo_ocean import simulate
from ocean_lib.store.store import Store, build_store

from .argo_file import write_argo

__all__ = ["Base", "SPLIT", "build_base", "load_base", "reconstructed"]


MONTHS, LEVELS, ROWS, COLUMNS = 24, [7, 17, 22, 28], slice(12, 28), slice(4, 24)
DATES = [20, 22]  # months that are observed
SPLIT = {"split": "time", "validation": 4, "test": 4, "gap": 1}
SCALES = {"observed": 0.1, "surface": True, "lengths": (0.7, 37.0, 37.0), "noise": 0.01}
SCALES |= {"kernel": "matern32", "neighbours": 32}
NETWORK = {"width": 8, "multipliers": (1, 2), "blocks": 1}
STIRRED = 0.02  # standard deviation of what is added to the weights
KINDS = {"observations": "observations.nc", "checkpoints": "one_date.nc"}
KINDS |= {"casts": "casts.csv", "argo": "argo.nc"}


@dataclass
class Base:
    """The good inputs and what they give.

    Args:
        folder: holds the good files and `checkpoint.safetensors`.
        observations: undecoded, as in the file.
        fields: undecoded, as in the file.
        casts: one row per value.
        results: {kind: reconstruction of its good file}; of `fields`, the stored fields.
    """

    folder: Path
    observations: xr.Dataset
    fields: xr.Dataset
    casts: pd.DataFrame
    results: dict[str, xr.Dataset]


def build_base(folder: Path) -> None:
    """Write the good inputs into a folder, and the results of them."""
    torch.set_num_threads(1)
    whole = simulate(1, MONTHS, (32, 32)).isel(depth=LEVELS, latitude=ROWS, longitude=COLUMNS)
    ocean = whole[["temperature", "ocean"]]
    rng = np.random.default_rng(0)
    skin = ocean.temperature.isel(depth=0, drop=True)
    surface = (skin + 0.1 * rng.standard_normal(skin.shape)).astype(np.float32)
    surfaces = surface.assign_attrs(error=0.1).to_dataset(name="surface_temperature")
    _fields(ocean).to_netcdf(folder / "fields.nc")
    store = build_store(ocean, folder / "store", surfaces=surfaces, **SPLIT)
    model(store).save(folder / "checkpoint.safetensors")
    observations = _observations(ocean, surface, rng)
    observations.to_netcdf(folder / "observations.nc")
    observations.isel(time=[0]).to_netcdf(folder / "one_date.nc")
    casts = _casts(ocean, rng)
    casts.to_csv(folder / "casts.csv", index=False)
    write_argo(folder / "argo.nc", casts)
    for kind, name in KINDS.items():
        reconstructed(
            folder / "checkpoint.safetensors", folder / name, folder / f"{kind}.result.nc"
        )
    whole_store(store).to_netcdf(folder / "fields.result.nc")


def load_base(folder: Path) -> Base:
    """Read what `build_base` wrote."""
    raw = {
        name: xr.load_dataset(folder / f"{name}.nc", decode_cf=False)
        for name in ("observations", "fields")
    }
    results = {kind: xr.load_dataset(folder / f"{kind}.result.nc") for kind in (*KINDS, "fields")}
    return Base(folder, casts=pd.read_csv(folder / "casts.csv"), results=results, **raw)


def model(store: Store) -> Densifier:
    """A small densifier of a store, untrained but with all weights moved."""
    torch.manual_seed(0)
    regression = fit_shared_regression(store)
    covariance = regression.covariance
    buffers = {"coefficients": regression.coefficients, "covariance": covariance}
    background = Background([SCALES], factor=torch.ones(1, covariance.shape[-1]), **buffers)
    made = Densifier(store.statistics(), background, network=NETWORK)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(STIRRED * torch.randn(parameter.shape))
    return made


def reconstructed(checkpoint: Path, observations: Path, output: Path, **choices) -> xr.Dataset:
    """What a user gets for a checkpoint and a file of observations."""
    self_check.RUNS = 1  # the self-check takes most of the time, and decides nothing here
    sampling = Sampling(steps=1)
    lines: list[str] = []
    reconstruct_files(
        checkpoint, observations, output, members=2, sampling=sampling, show=lines.append, **choices
    )
    return xr.load_dataset(output).assign_attrs(shown="\n".join(lines))


def whole_store(store: Store) -> xr.Dataset:
    """Temperature of all parts of a store, °C, and its ocean."""
    parts = [store.fields(part) for part in ("train", "validation", "test")]
    return xr.concat(parts, "time", data_vars="minimal", join="exact")[["temperature", "ocean"]]


def _fields(ocean: xr.Dataset) -> xr.Dataset:
    fields = ocean[["temperature"]].rename(temperature="thetao")
    fields.attrs = {"credit": "the demo ocean", "licence": "CC0"}
    fields.time.encoding = {"units": "days since 1950-01-01", "dtype": "float64"}
    return fields


def _observations(ocean: xr.Dataset, surface: xr.DataArray, rng) -> xr.Dataset:
    """Blocks and columns of two months, with errors, surface and mask."""
    truth = ocean.temperature.isel(time=DATES)
    seen = rng.random((len(DATES), 1, *truth.shape[2:])) < 0.15
    seen[:, :, 3:8, 9:14] = True
    error = rng.uniform(0.02, 0.1, truth.shape).astype(np.float32)
    error[rng.random(error.shape) < 0.3] = 0  # exact
    value = (truth + error * rng.standard_normal(truth.shape)).astype(np.float32).where(seen)
    attributes = {"units": "degrees_C"}
    clear = rng.random((len(DATES), *truth.shape[2:])) < 0.7
    observations = xr.Dataset(
        {
            "thetao": value.assign_attrs(truth.attrs),
            "error": (truth.dims, error, attributes),
            "surface_temperature": surface.isel(time=DATES).where(clear).assign_attrs(attributes),
            "ocean": ocean.ocean.astype("int8"),
        }
    )
    observations.time.encoding = {"units": "days since 1950-01-01", "dtype": "float64"}
    return observations


def _casts(ocean: xr.Dataset, rng) -> pd.DataFrame:
    """Thirty casts of a month, on the centres of cells."""
    wet = np.argwhere(ocean.ocean.values.all(0))
    depth = np.array([5.0, 10, 20, 35, 50, 75, 100, 125, 150, 200, 250, 300, 330])
    rows = []
    for number, date in enumerate(DATES[:1]):
        for cast, place in enumerate(rng.permutation(wet)[:30]):
            column = ocean.temperature.values[date, :, place[0], place[1]]
            values = np.interp(depth, ocean.depth.values, column)
            day = ocean.time.values[date] + np.timedelta64(int(rng.integers(24, 600)), "h")
            rows.append(
                pd.DataFrame(
                    {
                        "platform": f"69{cast:05d}",
                        "cast": number,
                        "time": str(day.astype("M8[s]")),
                        "latitude": float(ocean.latitude[place[0]].round(4)),
                        "longitude": float(ocean.longitude[place[1]].round(4)),
                        "depth": depth,
                        "temperature": (values + 0.01 * rng.standard_normal(len(depth))).round(3),
                        "salinity": 35.0,
                        "temperature_qc": 1,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)
