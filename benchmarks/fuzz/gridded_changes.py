"""Changes of gridded files: each takes a `File`, undecoded, and changes it before it is written."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .mutation import damage

DIMS = ("time", "depth", "latitude", "longitude")


@dataclass
class File:
    """A file in memory.

    Args:
        dataset: undecoded.
        format: of NetCDF.
        encoding: as for `xarray.Dataset.to_netcdf`.
        damage: name of what is done to the bytes of the file.
    """

    dataset: xr.Dataset
    format: str = "NETCDF4"
    encoding: dict = field(default_factory=dict)
    damage: str = ""

    def set(self, name: str, values: Any, **attributes: Any) -> None:
        """Replace the values of a variable or coordinate, with the attributes it has."""
        old = self.dataset[name]
        self.dataset[name] = (old.dims, values, {**old.attrs, **attributes})


def write(file: File, path: Path, rng: np.random.Generator) -> None:
    """Write a file, with its bytes damaged if that is asked."""
    encoding = {
        name: {"_FillValue": None}
        for name in file.dataset.variables
        if "_FillValue" not in file.dataset[name].attrs
    }
    encoding = {name: encoding.get(name, {}) | file.encoding.get(name, {}) for name in encoding}
    empty = [dim for dim, size in file.dataset.sizes.items() if not size]
    file.dataset.to_netcdf(
        path, engine="netcdf4", format=file.format, encoding=encoding, unlimited_dims=empty
    )
    if file.damage:
        damage(path, file.damage, rng)


# Values


def one_value(file, rng, name, value, where="thetao"):
    values = file.dataset[name].values.copy()
    known = np.isfinite(file.dataset[where].values)
    known = known if known.shape == values.shape else np.isfinite(values)
    places = np.argwhere(known)
    values[tuple(places[rng.integers(len(places))])] = value
    file.set(name, values)


def share(file, rng, name, value, part):
    values = file.dataset[name].values.copy()
    values[(rng.random(values.shape) < part) & np.isfinite(values)] = value
    file.set(name, values)


def shifted(file, rng, name, factor, offset):
    file.set(name, (file.dataset[name].values * factor + offset).astype(np.float32))


def neighbours(file, rng, name):
    """Two neighbouring values of 40 and −5 °C."""
    values = file.dataset[name].values.copy()
    both = np.isfinite(values[..., :-1]) & np.isfinite(values[..., 1:])
    place = tuple(rng.permutation(np.argwhere(both))[0])
    values[place], values[(*place[:-1], place[-1] + 1)] = 40.0, -5.0
    file.set(name, values)


def mirrored(file, rng, name, axis):
    file.set(name, np.flip(file.dataset[name].values, axis))


def other_date(file, rng, name):
    values = file.dataset[name].values
    file.set(name, np.roll(values, 1, 0))


def random_mask(file, rng, part):
    values = file.dataset["ocean"].values.copy()
    file.set("ocean", np.where(rng.random(values.shape) < part, 1 - values, values))


def mask_of(file, rng, value):
    file.set("ocean", np.full(file.dataset["ocean"].shape, value))


# Coordinates


def coordinate_value(file, rng, dim, value):
    values = file.dataset[dim].values.astype(float)
    values[rng.integers(len(values))] = value
    file.set(dim, values)


def coordinate(file, rng, dim, factor, offset, **attributes):
    file.set(dim, factor * file.dataset[dim].values.astype(float) + offset, **attributes)


def repeated(file, rng, dim):
    values = file.dataset[dim].values.copy()
    values[1] = values[0]
    file.set(dim, values)


def reordered(file, rng, dim, order):
    size = file.dataset.sizes[dim]
    indices = np.arange(size)[::-1] if order == "reversed" else rng.permutation(size)
    file.dataset = file.dataset.isel({dim: indices})


def labels_shuffled(file, rng, dim):
    file.set(dim, rng.permutation(file.dataset[dim].values))


def dropped(file, rng, name):
    file.dataset = file.dataset.drop_vars(name)


def renamed(file, rng, **names):
    file.dataset = file.dataset.rename(names)


def bare_renamed(file, rng, **names):
    file.dataset = file.dataset.drop_attrs().rename(names)


def text_coordinate(file, rng, dim):
    file.set(dim, np.array([f"{value:g}" for value in file.dataset[dim].values], dtype=object))


def selected(file, rng, dim, stop):
    file.dataset = file.dataset.isel({dim: slice(stop)})


def attribute(file, rng, name, **attributes):
    file.dataset[name].attrs.update(attributes)


def without_attribute(file, rng, name, key):
    file.dataset[name].attrs.pop(key, None)


# Layout


def permuted(file, rng):
    file.dataset = file.dataset.transpose(*rng.permutation(list(DIMS)), missing_dims="ignore")


def typed(file, rng, name, dtype):
    file.set(name, np.nan_to_num(file.dataset[name].values, nan=0).astype(dtype))


def double(file, rng):
    for name in file.dataset.data_vars:
        file.set(name, file.dataset[name].values.astype(float))


def packed(file, rng, dtype, factor, offset, fill):
    values = file.dataset.thetao.values.astype(float)
    numbers = np.where(np.isfinite(values), np.round((values - offset) / factor), fill)
    file.dataset.thetao.attrs.pop("_FillValue", None)
    packing = {
        "scale_factor": factor,
        "add_offset": offset,
        "_FillValue": np.dtype(dtype).type(fill),
    }
    file.set("thetao", numbers.astype(dtype), **packing)


def filled(file, rng, fill, **attributes):
    values = file.dataset.thetao.values
    file.dataset.thetao.attrs.pop("_FillValue", None)
    file.set("thetao", np.where(np.isfinite(values), values, np.float32(fill)), **attributes)


def in_kelvin(file, rng):
    file.set("thetao", (file.dataset.thetao.values + 273.15).astype(np.float32), units="K")


def written_as(file, rng, format="NETCDF4", **options):
    file.format = format
    if options:
        file.encoding = {"thetao": options}


def expanded(file, rng, size):
    new = file.dataset.thetao.expand_dims(member=size)
    file.dataset["thetao"] = new.copy(data=np.array(new.values))


def second_temperature(file, rng):
    file.dataset["temp2"] = file.dataset.thetao.copy()


def unrelated(file, rng):
    file.dataset["chl"] = file.dataset.thetao.drop_attrs(deep=False)
    file.dataset["chl"].attrs = {"units": "mg m-3"}


def damaged(file, rng, damage, format):
    file.format, file.damage = format, damage


def shortened(file, rng, name):
    part = file.dataset[name].isel(latitude=slice(0, 8)).rename(latitude="row")
    file.dataset[name] = part.reset_coords(drop=True)
