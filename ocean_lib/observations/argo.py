"""Argo floats: which files hold a region and a period, and what they hold that is good.

The floats' data centres keep a file for every float or profile, with a flag beside every value.
What is read is what their own users are told to read: the adjusted values where there are any
(real-time adjusted and delayed mode), with flags 1 (good) and 2 (probably good) of pressure and
temperature; salinity serves only where it is good, too.  Dates and positions may also have been
changed (5) or estimated (8).

Reference: Argo user's manual, doi 10.13155/29825; Wong et al. 2020, doi 10.3389/fmars.2020.00700.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib.core.atomic import atomic_write
from ocean_lib.fields.files import find_files
from ocean_lib.observations.casts import Casts

__all__ = ["CREDIT", "fetch_argo", "is_argo", "read_argo"]


CREDIT = (
    "These data were collected and made freely available by the International Argo Program and the "
    "national programs that contribute to it (https://argo.ucsd.edu). https://doi.org/10.17882/42182"
)
AGAIN = "check the network, then run the same again: files that are there are kept"
HOST = "https://data-argo.ifremer.fr"
GOOD = (b"1", b"2")
PLACED = (*GOOD, b"5", b"8")  # changed, estimated: near enough for a month and a cell
TOGETHER = 4000  # profiles read at a time
ERROR = {b"D": 0.002, b"A": 0.01, b"R": 0.01}  # °C, where a file states none


def is_argo(path: Path) -> bool:
    """Whether a file is one of profiles in the format of the data centres."""
    if path.suffix != ".nc":
        return False
    try:
        with xr.open_dataset(path, engine="netcdf4", decode_cf=False) as dataset:
            return {"N_PROF", "N_LEVELS"} <= set(dataset.sizes)
    except (OSError, ValueError):
        return False


def fetch_argo(
    folder, region, months: tuple[str, str], *, host: str = HOST, show: Callable = print
) -> list[Path]:
    """The profile files of a region and period, by `argopy`; those that are there are kept.

    Args:
        region: (west, east, south, north), degrees.    months: (first, last).
        host: of a global data centre, or a folder that holds a copy of one.
    Raises:
        ValueError: there is no profile.    ConnectionError: the data centre is not reached.
    """
    import fsspec
    from aiohttp import ClientError
    from argopy import ArgoIndex
    from argopy.errors import GdacPathError

    unreached = OSError, TimeoutError, ClientError, GdacPathError
    remedy = f"the Argo data centre {host} cannot be reached"
    west, east, south, north = region
    ends = f"{months[0]}-01", str((np.datetime64(months[1], "M") + 1).astype("M8[D]"))
    try:
        index = ArgoIndex(host=str(host), index_file="core").load()
        found = index.query.box([west, east, south, north, *ends])
        names = found.to_dataframe()["file"].tolist() if found.N_MATCH else []
    except unreached as error:
        raise ConnectionError(f"{remedy} ({type(error).__name__}); {AGAIN}") from error
    if not names:
        raise ValueError(
            f"no Argo profile lies in region {tuple(region)} from {months[0]} to {months[1]}; "
            "choose a wider region or period"
        )
    folder, files = Path(folder), []
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        files.append(folder / Path(name).name)
        if files[-1].exists():
            continue
        source = name if "://" in name or Path(name).exists() else f"{host}/dac/{name}"
        try:
            with fsspec.open(source) as remote, atomic_write(files[-1]) as beside:
                beside.write_bytes(remote.read())
        except unreached as error:
            raise ConnectionError(
                f"{remedy} for {name} ({type(error).__name__}); {AGAIN}"
            ) from error
    show(f"{len(files)} Argo profile file(s). {CREDIT}")
    return sorted(files)


def read_argo(paths) -> Iterator[Casts]:
    """The good values of Argo files, some thousand profiles at a time."""
    for path in find_files(paths):
        with xr.open_dataset(path, engine="netcdf4", decode_cf=False) as dataset:
            for start in range(0, dataset.sizes["N_PROF"], TOGETHER):
                yield _read(dataset.isel(N_PROF=slice(start, start + TOGETHER)))


def _read(dataset: xr.Dataset) -> Casts:
    number, levels = dataset.sizes["N_PROF"], dataset.sizes["N_LEVELS"]
    shape = number, levels
    mode = _letters(dataset, "DATA_MODE", (number,), b"R")
    adjusted = np.isin(mode, (b"A", b"D"))

    def values(name: str) -> np.ndarray:
        """(P, L), adjusted where the profile is; NaN where fill."""
        each = [_numbers(dataset, f"{name}{part}", shape) for part in ("", "_ADJUSTED")]
        return np.where(adjusted[:, None], each[1], each[0])

    def good(name: str) -> np.ndarray:
        each = [_letters(dataset, f"{name}{part}_QC", shape) for part in ("", "_ADJUSTED")]
        return np.isin(np.where(adjusted[:, None], each[1], each[0]), GOOD)

    salinity = np.where(good("PSAL"), values("PSAL"), np.nan)
    stated = _numbers(dataset, "TEMP_ADJUSTED_ERROR", shape)
    usual = np.array([ERROR.get(each, 0.01) for each in mode])[:, None]
    error = np.where(adjusted[:, None] & (stated > 0), stated, usual)
    juld = _numbers(dataset, "JULD", (number,))
    possible = (juld > -18263) & (juld < 73049)  # from 1900 to 2150
    seconds = np.where(possible, juld * 86400, 0).round().astype("timedelta64[s]")
    flags = {
        "date is flagged": ~np.isin(_letters(dataset, "JULD_QC", (number,)), PLACED),
        "position is flagged": ~np.isin(_letters(dataset, "POSITION_QC", (number,)), PLACED),
        "no date": ~possible,
    }
    time = np.datetime64("1950-01-01", "s") + seconds
    latitude, longitude = (_numbers(dataset, n, (number,)) for n in ("LATITUDE", "LONGITUDE"))
    names = _letters(dataset, "PLATFORM_NUMBER", (number,), b"")
    cycle = _numbers(dataset, "CYCLE_NUMBER", (number,))
    direction = _letters(dataset, "DIRECTION", (number,), b"A")
    platform = np.char.decode(np.char.strip(names.astype("S")), "ascii", "replace")
    return Casts.from_padded(
        platform=platform,
        station=[
            # Without a number of its own a cast is told by its moment and place.
            f"{p}/{c:.0f}{d.decode()}" if p and np.isfinite(c) else f"{p} {t} {y:.3f} {x:.3f}"
            for p, c, d, t, y, x in zip(platform, cycle, direction, time, latitude, longitude)
        ],
        rank=np.select([mode == b"D", mode == b"A"], [2, 1], 0),
        time=time,
        latitude=latitude,
        longitude=longitude,
        pressure=values("PRES"),
        temperature=values("TEMP"),
        salinity=salinity,
        error=error,
        flagged=~(good("PRES") & good("TEMP")),
        flags=flags,
    )


def _numbers(dataset: xr.Dataset, name: str, shape: tuple) -> np.ndarray:
    """A variable as float64, NaN where it is fill or not there at all."""
    if name not in dataset or dataset[name].shape != shape:
        return np.full(shape, np.nan)
    array = dataset[name].values.astype(float)
    fill = dataset[name].attrs.get("_FillValue", 99999.0)
    return np.where(np.isclose(array, float(fill)), np.nan, array)


def _letters(dataset: xr.Dataset, name: str, shape: tuple, absent: bytes = b" ") -> np.ndarray:
    """A variable of letters, or `absent` where it is not there at all."""
    if name not in dataset or dataset[name].shape[: len(shape)] != shape:
        return np.full(shape, absent)
    array = dataset[name].values
    if array.ndim > len(shape):  # letters along a dimension of their own
        array = array.view(f"S{array.shape[-1]}")[..., 0]
    return array.astype("S")
