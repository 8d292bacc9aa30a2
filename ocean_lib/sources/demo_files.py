"""The demo ocean as files, one per month, like a regional subset of GLORYS12.

Names, dimensions, levels, packing and fill are those of the product, so that all later steps treat
both alike; only the attributes say that the ocean is synthetic.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib.core.atomic import atomic_write
from ocean_lib.sources.demo_ocean import DEPTH, SOUTH, STEP, VERSION, WEST, each_month, identity

__all__ = ["write_demo_files"]


DATASET = "cmems_mod_glo_phy_my_0.083deg_P1M-m"
NAMES = {
    "temperature": "thetao",
    "salinity": "so",
    "sea_level": "zos",
    "mixed_layer_depth": "mlotst",
}
PACKING = {  # scale_factor and add_offset of the int16 of GLORYS12; the fill is -32767
    "thetao": (24 / 32767, 21.0),
    "so": (50 / 32767, -50 / 32767),
    "zos": (10 / 32767, 0.0),
    "mlotst": (5000 / 32767, -5000 / 32767),
}


def write_demo_files(
    folder: str | Path,
    seed: int = 1,
    months: int = 168,
    shape: tuple[int, int] = (96, 128),
    progress: Callable[[int, int], object] | None = None,
) -> list[Path]:
    """Write the demo ocean, one file per month; existing months are kept.

    The variables are `thetao`, `so`, `zos` and `mlotst`, packed as in the product. The attributes
    of every file say that it is synthetic, and give version, seed and shape. The casts of floats
    lie beside, in `floats/1993-01.parquet` and so on, as tables that `reconstruct` takes.

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
    floats = [folder / "floats" / f"{path.stem[-10:-3]}.parquet" for path in paths]
    missing = {
        i
        for i, pair in enumerate(zip(paths, floats, strict=True))
        if not all(map(Path.exists, pair))
    }
    if not missing:
        return paths

    encoding = {
        "time": {
            "dtype": "float32",
            "units": "hours since 1950-01-01",
            "calendar": "gregorian",
            "_FillValue": None,
        },
        **{name: {"_FillValue": None} for name in ("depth", "latitude", "longitude")},
    }
    for name, (scale, offset) in PACKING.items():
        encoding[name] = {"dtype": "int16", "scale_factor": scale, "add_offset": offset}
        encoding[name] |= {"_FillValue": np.int16(-32767)}
    for i, (month, casts) in enumerate(each_month(seed, max(missing) + 1, shape)):
        if i in missing:
            fields = month[[*NAMES]].rename(NAMES)
            fields.thetao.attrs.update(unit_long="Degrees Celsius", cell_methods="area: mean")
            floats[i].parent.mkdir(exist_ok=True)
            with atomic_write(floats[i]) as beside:
                casts.to_parquet(beside, index=False)
            with atomic_write(paths[i]) as beside:
                fields.to_netcdf(beside, engine="netcdf4", encoding=encoding)
        if progress is not None:
            progress(i + 1, max(missing) + 1)
    return paths


def _file_names(months: int, shape: tuple[int, int]) -> list[str]:
    north, east = SOUTH + STEP * (shape[0] - 1), WEST + STEP * (shape[1] - 1)
    longitudes = "-".join(f"{abs(x):.2f}{'EW'[x < 0]}" for x in (WEST, east))
    bounds = f"{longitudes}_{SOUTH:.2f}N-{north:.2f}N_{DEPTH[0]:.2f}-{DEPTH[-1]:.2f}m"
    dates = np.datetime64("1993-01", "M") + np.arange(months)
    names = "-".join(PACKING)
    return [f"{DATASET}_{names}_{bounds}_{date}-01.nc" for date in dates]
