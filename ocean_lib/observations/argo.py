"""Argo floats: which files hold a region and period, and the good values in them.

Argo's data centres keep one file per float or profile, with a quality flag beside every value. As
the user's manual advises, adjusted values are read where they exist (real-time adjusted and delayed
mode), and pressure and temperature must have flag 1 (good) or 2 (probably good). Salinity is used
only where it is good as well. Dates and positions may also have flag 5 (changed) or 8 (estimated).

Reference: Argo user's manual, doi 10.13155/29825; Wong et al. 2020, doi 10.3389/fmars.2020.00700.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from ocean_lib.core.atomic import atomic_write
from ocean_lib.core.messages import shortened
from ocean_lib.fields.files import NETCDF, Paths, check_classic, find_files
from ocean_lib.observations.casts import Casts

__all__ = ["CREDIT", "fetch_argo", "is_argo", "is_beside_profiles", "read_argo", "why_not_argo"]


CREDIT = (
    "These data were collected and made freely available by the International Argo Program and the "
    "national programs that contribute to it (https://argo.ucsd.edu). https://doi.org/10.17882/42182"
)
AGAIN = "check the network, then run the same again: files already fetched are kept"
HOST = "https://data-argo.ifremer.fr"
GOOD = (b"1", b"2")
GOOD_PLACE = (*GOOD, b"5", b"8")  # changed or estimated: accurate enough for a cell and month
# Dimensions and names of a float's other files.
BESIDE = {"N_MEASUREMENT", "N_CYCLE", "N_TECH_PARAM", "N_MISSIONS", "N_CONFIG_PARAM"}
BESIDE_NAME = re.compile(r"_(B?[RD]?traj|meta|tech)\.nc$")
NEEDED = ["JULD", "JULD_QC", "POSITION_QC", "LATITUDE", "LONGITUDE"]
NEEDED += ["PRES", "PRES_QC", "TEMP", "TEMP_QC"]
# Variables that hold numbers, if there.
NUMBERS = ["JULD", "LATITUDE", "LONGITUDE", "CYCLE_NUMBER", "TEMP_ADJUSTED_ERROR"]
NUMBERS += [f"{name}{end}" for name in ("PRES", "TEMP", "PSAL") for end in ("", "_ADJUSTED")]
# {name: what its units begin with}
UNITS = {"JULD": ("days since 1950-01-01",), "PRES": ("decibar", "dbar")}
UNITS["TEMP"] = ("degree_celsius", "degree_c", "degrees_c", "deg c", "celsius", "degc")
BATCH = 4000  # profiles read at a time
DELAYED_ERROR, USUAL_ERROR = 0.002, 0.01  # °C, if none is stated: delayed mode, others


def is_argo(path: Path) -> bool:
    """Whether a file holds profiles in the format of Argo's data centres."""
    names, sizes = _contents(path)
    return {"N_PROF", "N_LEVELS"} <= sizes and {"PRES", "TEMP"} & names != set()


def is_beside_profiles(path: Path) -> bool:
    """Whether a file is one of those that Argo keeps beside a float's profiles.

    These are its trajectory, technical data and metadata.
    """
    names, sizes = _contents(path)
    if "N_PROF" in sizes:
        return False
    return bool(sizes & BESIDE) or bool(BESIDE_NAME.search(path.name))


def why_not_argo(path: Path) -> str:
    """Why a file with profiles is not read as one of Argo's, or "" if it holds no profiles."""
    names, sizes = _contents(path)
    if not {"N_PROF", "N_LEVELS"} <= sizes:
        return ""
    return (
        f"it holds profiles (N_PROF × N_LEVELS) in another format than Argo's: it has no PRES and "
        f"TEMP among {shortened(sorted(names))}"
    )


def _contents(path: Path) -> tuple[set[str], set[str]]:
    """Names of the variables and dimensions of a NetCDF file; none if it is no such file."""
    if path.suffix.lower() not in NETCDF or not path.is_file():
        return set(), set()
    try:
        check_classic(path)
        with netCDF4.Dataset(path) as file:  # xarray leaves out dimensions that nothing lies along
            return set(file.variables), set(file.dimensions)
    except (EOFError, OSError, ValueError):
        return set(), set()


def fetch_argo(
    folder: str | Path,
    region: tuple[float, float, float, float],
    months: tuple[str, str],
    *,
    host: str | Path = HOST,
    show: Callable[[str], object] = print,
) -> list[Path]:
    """Fetch the profile files of a region and period with `argopy`; existing files are kept.

    Args:
        folder: where the files are put; created if absent.
        region: (west, east, south, north), degrees.
        months: (first, last), such as ("2004-01", "2020-12").
        host: address of a global data centre, or a folder with a copy of one.
        show: receives one line of text.

    Returns:
        The files, sorted.

    Raises:
        ValueError: the region and period hold no profile.
        ConnectionError: the data centre cannot be reached.
    """
    import fsspec
    from aiohttp import ClientError
    from argopy import ArgoIndex
    from argopy.errors import GdacPathError

    unreachable = OSError, TimeoutError, ClientError, GdacPathError
    problem = f"the Argo data centre {host} cannot be reached"
    end = (np.datetime64(months[1], "M") + 1).astype("M8[D]")
    try:
        index = ArgoIndex(host=str(host), index_file="core").load()
        matches = index.query.box([*region, f"{months[0]}-01", str(end)])
        names = matches.to_dataframe()["file"].tolist() if matches.N_MATCH else []
    except unreachable as error:
        raise ConnectionError(f"{problem} ({type(error).__name__}); {AGAIN}") from error
    if not names:
        raise ValueError(
            f"no Argo profile lies in region {tuple(region)} from {months[0]} to {months[1]}; "
            "choose a wider region or period"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / Path(name).name for name in names]
    for name, file in zip(names, files):
        if file.exists():
            continue
        source = name if "://" in name or Path(name).exists() else f"{host}/dac/{name}"
        try:
            with fsspec.open(source) as remote, atomic_write(file) as beside:
                beside.write_bytes(remote.read())
        except unreachable as error:
            raise ConnectionError(
                f"{problem} for {name} ({type(error).__name__}); {AGAIN}"
            ) from error
    show(f"{len(files)} Argo profile file(s). {CREDIT}")
    return sorted(files)


def read_argo(paths: Paths) -> Iterator[Casts]:
    """The good values of Argo files, `BATCH` profiles at a time.

    Raises:
        ValueError: a file holds no profile, or does not say which of its values are adjusted.
    """
    for path in find_files(paths):
        with xr.open_dataset(path, engine="netcdf4", decode_cf=False) as dataset:
            if not dataset.sizes["N_PROF"]:
                raise ValueError(f"{path} holds 0 profiles (N_PROF); leave it out")
            try:
                _check_variables(dataset)
                for start in range(0, dataset.sizes["N_PROF"], BATCH):
                    yield _read(dataset.isel(N_PROF=slice(start, start + BATCH)))
            except (ValueError, TypeError, IndexError, AttributeError) as error:
                raise ValueError(f"{path}: {error}") from error


def _check_variables(dataset: xr.Dataset) -> None:
    """Refuse a file that lacks a variable of the format, or has one in other units.

    Raises:
        ValueError: names the variable.
    """
    adjusted = [f"{name}_ADJUSTED{end}" for name in ("PRES", "TEMP") for end in ("", "_QC")]
    modes = _mode(dataset, "TEMP", (dataset.sizes["N_PROF"],))
    needed = [*NEEDED, *(adjusted if np.isin(modes, (b"A", b"D")).any() else [])]
    for name in needed:
        if name not in dataset:
            raise ValueError(f"it has no {name}; fetch the file as Argo's data centres keep it")
        levels = name.startswith(("PRES", "TEMP"))
        dims = ("N_PROF", "N_LEVELS") if levels else ("N_PROF",)
        if dataset[name].dims[: len(dims)] != dims:
            raise ValueError(f"{name} lies along {dataset[name].dims}, must be {dims}")
    for name in set(NUMBERS) & {*map(str, dataset.data_vars)}:
        if (kind := dataset[name].dtype).kind not in "fiu":
            raise ValueError(
                f"{name} holds {kind}, must be numbers; fetch the file as Argo's data centres keep "
                "it"
            )
    for name, units in UNITS.items():
        found = dataset[name].attrs if name in dataset else {}
        said = str(found.get("units", units[0])).lower()
        if not said.startswith(units) or {"scale_factor", "add_offset"} & set(found):
            raise ValueError(
                f"{name} is in {shortened(said)}, perhaps scaled, must be {units[0]!r}; fetch the "
                "file as Argo's data centres keep it"
            )


def _read(dataset: xr.Dataset) -> Casts:
    shape = dataset.sizes["N_PROF"], dataset.sizes["N_LEVELS"]
    profiles = shape[:1]
    modes = {name: _mode(dataset, name, profiles) for name in ("PRES", "TEMP", "PSAL")}
    adjusted = {name: np.isin(mode, (b"A", b"D"))[:, None] for name, mode in modes.items()}
    mode = modes["TEMP"]

    def values(name: str) -> np.ndarray:
        """(P, L), adjusted if the profile is adjusted; NaN where the file has fill."""
        original, corrected = (_numbers(dataset, name + end, shape) for end in ("", "_ADJUSTED"))
        return np.where(adjusted[name], corrected, original)

    def good(name: str) -> np.ndarray:
        """(P, L), whether the value that is read has a good flag."""
        original, corrected = (
            _letters(dataset, f"{name}{end}_QC", shape) for end in ("", "_ADJUSTED")
        )
        return np.isin(np.where(adjusted[name], corrected, original), GOOD)

    stated = _numbers(dataset, "TEMP_ADJUSTED_ERROR", shape)
    usual = np.where(mode == b"D", DELAYED_ERROR, USUAL_ERROR)[:, None]
    days = _numbers(dataset, "JULD", profiles)
    tomorrow = (np.datetime64("now") - np.datetime64("1950-01-01")) / np.timedelta64(1, "D") + 1
    dated = (days > -18263) & (days < tomorrow)  # from 1900
    seconds = np.where(dated, days * 86400, 0).round().astype("timedelta64[s]")
    time = np.datetime64("1950-01-01", "s") + seconds
    latitude, longitude = (_numbers(dataset, name, profiles) for name in ("LATITUDE", "LONGITUDE"))
    cycle = _numbers(dataset, "CYCLE_NUMBER", profiles)
    direction = _letters(dataset, "DIRECTION", profiles, b"A")
    platform = _letters(dataset, "PLATFORM_NUMBER", profiles, b"").astype("S")
    platform = np.char.decode(np.char.strip(platform), "ascii", "replace")
    columns = {
        "pressure": values("PRES"),
        "temperature": values("TEMP"),
        "salinity": np.where(good("PSAL"), values("PSAL"), np.nan),
        "error": np.where(adjusted["TEMP"] & (stated > 0) & (stated < 10), stated, usual),
        "flagged": ~(good("PRES") & good("TEMP")),
    }
    there = np.isfinite(columns["pressure"]) & np.isfinite(columns["temperature"])
    infinite = np.isinf(columns["pressure"]) | np.isinf(columns["temperature"])
    known = [np.isin(modes[name], (b"R", b"A", b"D")) for name in ("PRES", "TEMP")]
    return Casts.from_values(
        platform=platform,
        station=[
            # A cast without a number is identified by its time and place.
            f"{p}/{c:.0f}{d.decode()}" if p and np.isfinite(c) else f"{p} {t} {y:.3f} {x:.3f}"
            for p, c, d, t, y, x in zip(platform, cycle, direction, time, latitude, longitude)
        ],
        rank=np.select([mode == b"D", mode == b"A"], [2, 1], 0),
        time=time,
        latitude=latitude,
        longitude=longitude,
        profile=np.nonzero(there)[0],
        **{name: array[there] for name, array in columns.items()},
        flags={"no date": ~dated}
        | {
            f"{what} is flagged": ~np.isin(_letters(dataset, f"{name}_QC", profiles), GOOD_PLACE)
            for what, name in (("date", "JULD"), ("position", "POSITION"))
        }
        | {"mode is not R, A or D": ~(known[0] & known[1])},
        lost=Counter({"infinite value": int(infinite.sum())}),
    )


def _mode(dataset: xr.Dataset, name: str, profiles: tuple[int, ...]) -> np.ndarray:
    """Mode (P,) of a parameter: R real time, A adjusted, D delayed.

    Files of several sensors have a mode per parameter, others one per profile.

    Raises:
        ValueError: the file states no mode.
    """
    if "PARAMETER_DATA_MODE" in dataset and "STATION_PARAMETERS" in dataset:
        names = np.char.strip(
            _letters(dataset, "STATION_PARAMETERS", dataset["STATION_PARAMETERS"].shape[:2])
        )
        modes = _letters(dataset, "PARAMETER_DATA_MODE", names.shape)
        here = names == name.encode()
        first = np.take_along_axis(modes, here.argmax(1)[:, None], 1)[:, 0]
        return np.where(here.any(1), first, b" ")
    if "DATA_MODE" not in dataset:
        raise ValueError(
            "it has neither DATA_MODE nor PARAMETER_DATA_MODE, which say whether to read the "
            "adjusted values; fetch the file as Argo's data centres keep it, or write the values "
            "as a table"
        )
    return _letters(dataset, "DATA_MODE", profiles)


def _numbers(dataset: xr.Dataset, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A variable as float64, NaN where it is fill or absent."""
    if name not in dataset or dataset[name].shape != shape:
        return np.full(shape, np.nan)
    array = dataset[name].values.astype(float)
    fill = dataset[name].attrs.get("_FillValue", 99999.0)
    return np.where(np.isclose(array, float(fill)), np.nan, array)


def _letters(
    dataset: xr.Dataset, name: str, shape: tuple[int, ...], absent: bytes = b" "
) -> np.ndarray:
    """A variable of characters as bytes, or `absent` where the file lacks it."""
    if name not in dataset or dataset[name].shape[: len(shape)] != shape:
        return np.full(shape, absent)
    array = dataset[name].values
    if array.ndim > len(shape):  # strings as characters along one more dimension
        array = array.view(f"S{array.shape[-1]}")[..., 0]
    return array.astype("S")
