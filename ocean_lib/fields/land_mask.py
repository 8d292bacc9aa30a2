"""Land that files do not declare missing: a value that they hold there, or a mask of the ocean.

A mask is a variable with as many rows and columns as the fields, on their levels or on one: 1 in
the ocean and 0 on land. Only a `land_binary_mask` (its CF name) is 1 on land.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib.core.messages import shortened
from ocean_lib.fields.axes import find_axis
from ocean_lib.fields.conventions import DIMS, SURFACE, Region
from ocean_lib.fields.decoding import decode
from ocean_lib.fields.files import open_file
from ocean_lib.fields.recognition import arrange

__all__ = ["LEFT_OUT", "open_mask", "without_land"]


LEFT_OUT = "land_left_out"  # attribute of fields that says how land was told
SEA, LAND = "sea_binary_mask", "land_binary_mask"  # CF standard names
NAMES = ("tmask", "mask", "ocean", "wet", "tmaskutil", "sea_mask")  # of masks that are 1 in the sea


def open_mask(mask: str | Path, dataset: xr.Dataset, region: Region | None) -> xr.Dataset:
    """Open a mask of the ocean.

    Args:
        mask: name of a variable of the dataset, or path of a file that holds one mask.
        dataset: the fields, from `open_file`.
        region: as for `arrange`.
    Returns:
        `temperature` (time, depth, latitude, longitude), canonical, 1 in the ocean and 0 on land.
    Raises:
        ValueError: there is no such mask, several, or it holds other values than 0 and 1.
    """
    source, name = dataset, str(mask)
    if name not in dataset and Path(mask).is_dir() and Path(mask).suffix != ".zarr":
        raise ValueError(f"mask {name} is a folder; give the file that holds the mask")
    if name not in dataset:
        if not Path(mask).exists():
            raise ValueError(
                f"mask is {name!r}, neither a variable among "
                f"{shortened(list(map(str, dataset.data_vars)))} nor a file; correct it"
            )
        source = open_file(Path(mask))
        found = [key for key, array in source.data_vars.items() if _is_mask(str(key), array)]
        if len(found) != 1:
            raise ValueError(
                f"mask {name} holds {len(found)} masks among {list(map(str, source.data_vars))}, "
                f"needs 1; give one variable the standard_name {SEA}"
            )
        name = str(found[0])
    array = source[name]
    time = find_axis(source, array, "time")
    if time is not None and time.ndim:
        if time.size > 1:
            raise ValueError(
                f"mask {name} has {time.size} dates along {time.dims[0]}, limit 1; choose "
                f".isel({time.dims[0]}=0)"
            )
        array = array.isel({time.dims[0]: 0}, drop=True)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"mask {name} holds {array.dtype}, must be the numbers 0 and 1")
    array = decode(array.to_dataset(name=name), [name])[name]
    values = np.unique(array.values[np.isfinite(array.values)])
    if not np.isin(values, (0, 1)).all():
        raise ValueError(f"mask {name} holds {values[:4].tolist()}, must be 0 and 1")
    array = array.fillna(array.attrs.get("standard_name") == LAND)  # a cell without mask is land
    sea = 1 - array if array.attrs.get("standard_name") == LAND else array
    source = source.assign({name: sea.astype("float32").drop_attrs(deep=False)})
    return arrange(source, region=region, temperature=(name, SURFACE))


def _is_mask(name: str, array: xr.DataArray) -> bool:
    return array.attrs.get("standard_name") in (SEA, LAND) or name.lower() in NAMES


def without_land(
    fields: xr.Dataset, land_value: float | None, mask: xr.Dataset | None
) -> xr.Dataset:
    """The fields with NaN on land.

    Args:
        fields: canonical dataset.
        land_value: temperature on land, °C.
        mask: from `open_mask`.
    Raises:
        ValueError: the mask lies on another grid, or no value is that of land.
    """
    if land_value is not None:
        held = isinstance(land_value, int | float) and np.isfinite(land_value)
        first = fields["temperature"].isel(time=slice(1))
        if not held or not bool((first == np.float32(land_value)).any()):
            raise ValueError(
                f"land_value is {shortened(land_value)}, which no cell of the first date holds; "
                "give the temperature of land in °C, to seven digits"
            )
    sea = fields["temperature"] != np.float32(land_value) if land_value is not None else True
    if mask is not None:
        for dim in DIMS[1:]:
            ours, theirs = fields[dim].values, mask[dim].values
            single = dim == "depth" and len(theirs) == 1
            if not single and (
                len(ours) != len(theirs) or not np.allclose(ours, theirs, rtol=1e-3, atol=1e-3)
            ):
                raise ValueError(
                    f"the mask has {len(theirs)} values of {dim}, the fields {len(ours)}, or "
                    "others; give a mask on the grid of the fields"
                )
        wet = mask["temperature"].isel(time=0, drop=True)
        wet = wet.isel(depth=0, drop=True) if wet.sizes["depth"] == 1 else wet
        shared = {dim: fields[dim] for dim in wet.dims}
        sea = sea & (wet.assign_coords(shared) > 0.5)
    masked = {name: array.where(sea).assign_attrs(array.attrs) for name, array in fields.items()}
    masked = {name: array.transpose(*DIMS) for name, array in masked.items()}
    ways = [] if land_value is None else [f"values other than {land_value:.9g} °C"]
    if mask is not None:
        share = float((mask["temperature"] > 0.5).mean())
        ways.append(f"a mask that is {share:.0%} sea")
    return fields.assign(masked).assign_attrs({LEFT_OUT: " and ".join(ways)})
