"""The demo ocean as files, one per month, like a regional subset of GLORYS12.

Names, dimensions, levels, packing and fill are those of the product, so that all later steps treat
both alike; only the attributes say that the ocean is synthetic.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib.core.atomic import atomic_write
from ocean_lib.sources.demo_ocean import DEPTH, SOUTH, STEP, VERSION, WEST, identity, simulate

__all__ = ["write_demo_files"]


DATASET = "cmems_mod_glo_phy_my_0.083deg_P1M-m"


def write_demo_files(
    folder: str | Path,
    seed: int = 1,
    months: int = 168,
    shape: tuple[int, int] = (96, 128),
    progress: Callable[[int, int], object] | None = None,
) -> list[Path]:
    """Write the demo ocean, one file per month; existing months are kept.

    The variable is `thetao`, int16 with scale 24/32767, offset 21 and fill -32767. The attributes
    of every file say that it is synthetic, and give version, seed and shape.

    Args:
        folder: where to write; created if absent.
        seed: as for `simulate`.
        months: number of months from January 1993 on.
        shape: rows (latitude) and columns (longitude) of 1/12 degree.
        progress: called as `progress(done, months)` after each month.

    Returns:
        The files, in order of time.

    Raises:
        FileExistsError: the folder holds NetCDF files of another ocean.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    attributes = identity(seed, shape)
    paths = [folder / name for name in _file_names(months, shape)]
    for path in sorted(folder.glob("*.nc")):
        with xr.open_dataset(path, decode_times=False) as dataset:
            if any(dataset.attrs.get(name) != value for name, value in attributes.items()):
                raise FileExistsError(
                    f"{path} is not a file of the demo ocean version {VERSION}, seed {seed}, "
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
        with atomic_write(paths[i]) as beside:
            fields.isel(time=[i]).to_netcdf(beside, engine="netcdf4", encoding=encoding)
    return paths


def _file_names(months: int, shape: tuple[int, int]) -> list[str]:
    north, east = SOUTH + STEP * (shape[0] - 1), WEST + STEP * (shape[1] - 1)
    longitudes = "-".join(f"{abs(x):.2f}{'EW'[x < 0]}" for x in (WEST, east))
    bounds = f"{longitudes}_{SOUTH:.2f}N-{north:.2f}N_{DEPTH[0]:.2f}-{DEPTH[-1]:.2f}m"
    dates = np.datetime64("1993-01", "M") + np.arange(months)
    return [f"{DATASET}_thetao_{bounds}_{date}-01.nc" for date in dates]
