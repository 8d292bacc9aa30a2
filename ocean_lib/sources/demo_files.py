"""The demo ocean as files, one a month, just as a regional GLORYS12 subset is saved.

Names, dimensions, levels, packing and fill are those of the product, so that nothing downstream can
tell; only the attributes say that the ocean is synthetic.
"""

import os
from pathlib import Path

import numpy as np

from ocean_lib.sources.demo_ocean import DEPTH, SOUTH, STEP, VERSION, WEST, identity, simulate

__all__ = ["write_demo_files"]


DATASET = "cmems_mod_glo_phy_my_0.083deg_P1M-m"


def write_demo_files(folder, seed=1, months=168, shape=(96, 128), progress=None):
    """Writes the demo ocean as a regional GLORYS12 subset is saved: one file a month.

    The variable is `thetao`, int16 with scale 24/32767, offset 21 and fill -32767. Every file says
    in its attributes that it is synthetic, and of which version, seed and shape. Months that lie
    there already stay untouched; missing ones are added.

    Args:
        folder: where to write; made if absent.
        seed, months, shape, progress: as in `simulate`.

    Returns:
        list of Path, in order of time.

    Raises:
        FileExistsError: the folder holds NetCDF files of another ocean.
    """
    import xarray as xr

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    own = identity(seed, shape)
    paths = [folder / name for name in _names(months, shape)]
    for path in sorted(folder.glob("*.nc")):
        with xr.open_dataset(path, decode_times=False) as dataset:
            if any(dataset.attrs.get(name) != value for name, value in own.items()):
                raise FileExistsError(
                    f"{path} is not of the demo ocean version {VERSION}, seed {seed}, "
                    f"{shape[0]}x{shape[1]} cells; remove it or choose another folder"
                )
    missing = [i for i, path in enumerate(paths) if not path.exists()]
    if not missing:
        return paths

    fields = simulate(seed, missing[-1] + 1, shape, progress)
    fields = fields[["temperature"]].rename(temperature="thetao")
    fields.thetao.attrs.update(unit_long="Degrees Celsius", cell_methods="area: mean")
    encoding = {
        "thetao": {
            "dtype": "int16",
            "scale_factor": 24 / 32767,
            "add_offset": 21.0,
            "_FillValue": np.int16(-32767),
        },
        "time": {
            "dtype": "float32",
            "units": "hours since 1950-01-01",
            "calendar": "gregorian",
            "_FillValue": None,
        },
        **{name: {"_FillValue": None} for name in ("depth", "latitude", "longitude")},
    }
    for i in missing:
        beside = paths[i].with_suffix(".part")
        fields.isel(time=[i]).to_netcdf(beside, engine="netcdf4", encoding=encoding)
        os.replace(beside, paths[i])
    return paths


def _names(months, shape):
    north, east = SOUTH + STEP * (shape[0] - 1), WEST + STEP * (shape[1] - 1)
    bounds = [f"{abs(v):.2f}{'EW'[v < 0]}" for v in (WEST, east)]
    bounds = "-".join(bounds) + f"_{SOUTH:.2f}N-{north:.2f}N_{DEPTH[0]:.2f}-{DEPTH[-1]:.2f}m"
    dates = np.datetime64("1993-01", "M") + np.arange(months)
    return [f"{DATASET}_thetao_{bounds}_{date}-01.nc" for date in dates]
