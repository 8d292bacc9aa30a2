"""Where fields come from: a table of products, and one way to fetch any of them.

`fetch` ends with a list of files that `ocean_lib.fields.open_fields` reads. A product that is made
or downloaded lies in the folder given, as delivered, one file a month, whole or not at all; a
user's own files are read where they are. Every source names its licence and the credit it asks for.

The Copernicus Marine client is imported only to download, and never asks for a password: the login
is looked for beforehand (whether there is one, not what it says).
"""

import os
from calendar import monthrange
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ocean_lib.files import find_files

__all__ = ["SOURCES", "Source", "copernicus_login", "fetch"]


@dataclass(frozen=True)
class Source:
    """A product: what it is, under which licence, whom to credit, and its id at the provider."""

    title: str
    licence: str
    credit: str
    dataset_id: str = ""
    variable: str = ""


SOURCES = {
    "demo": Source(
        title="Demo ocean: synthetic turbulence heaving a thermocline, written as GLORYS12 files",
        licence="MIT",
        credit="Synthetic demo ocean of ocean_lib; not an observation of any real ocean",
    ),
    "netcdf": Source(
        title="Your own NetCDF or Zarr files",
        licence="as stated by their owner",
        credit="as stated by their owner",
    ),
    "glorys12": Source(
        title="GLORYS12V1, global ocean reanalysis at 1/12°, monthly means",
        licence="Copernicus Marine Service licence, "
        "https://marine.copernicus.eu/user-corner/service-commitments-and-licence",
        credit="Generated using E.U. Copernicus Marine Service Information; Mercator Ocean "
        "International, GLORYS12V1, https://doi.org/10.48670/moi-00021",
        dataset_id="cmems_mod_glo_phy_my_0.083deg_P1M-m",
        variable="thetao",
    ),
}

LOGIN = (
    "no Copernicus Marine login is found; register free of charge at "
    "https://data.marine.copernicus.eu/register, then run `copernicusmarine login` once, or set "
    "COPERNICUSMARINE_SERVICE_USERNAME and COPERNICUSMARINE_SERVICE_PASSWORD"
)


def fetch(
    source, folder, *, path=None, region=None, months=None, max_depth=None, seed=1, show=print
):
    """Files of a source, fetched into `folder` where they are not there yet.

    source: a key of `SOURCES`
    path: netcdf: a file, folder, glob or list, read in place
    region: glorys12: (west, east, south, north), degrees
    months: demo: their number · glorys12: (first, last), such as ("1993-01", "2020-12")
    max_depth: glorys12: deepest level downloaded, m; all 50 levels where None
    seed: demo: of its turbulence
    show: is given lines of text as files arrive

    Arguments that a source does not name are left to `fields.open_fields`, which cuts what is
    opened. Returns a sorted list of paths.

    Raises: ValueError: an unknown source, or an argument that is missing or impossible ·
    FileNotFoundError: nothing lies at `path` · PermissionError: no login, or a wrong one ·
    ConnectionError: the service is not reached
    """
    if source not in SOURCES:
        raise ValueError(f"source {source!r} is not known; choose one of {list(SOURCES)}")
    folder = Path(folder)
    if source == "netcdf":
        files = _own_files(path, show)
    elif source == "demo":
        from ocean_lib import demo_files

        options = {} if months is None else {"months": months}
        files = demo_files.write(folder, seed=seed, **options)
    else:
        files = _copernicus(SOURCES[source], source, folder, region, months, max_depth, show)
    show(f"{SOURCES[source].title}: {len(files)} file(s). Credit: {SOURCES[source].credit}")
    return sorted(Path(file) for file in files)


def copernicus_login():
    """Where the Copernicus Marine client finds a login, in words, or None; its content is not read.

    The client looks into the environment, its own file, then the user's netrc.
    """
    names = [f"COPERNICUSMARINE_SERVICE_{name}" for name in ("USERNAME", "PASSWORD")]
    if all(os.environ.get(name) for name in names):
        return "environment variables"
    home = Path(os.environ.get("COPERNICUSMARINE_CREDENTIALS_DIRECTORY") or Path.home())
    for file in (
        home / ".copernicusmarine" / ".copernicusmarine-credentials",
        Path.home() / (".netrc" if os.name != "nt" else "_netrc"),
    ):
        if file.exists():
            return str(file)
    return None


def _own_files(path, show):
    """A user's files, refused before anything else is done unless each holds a usable field."""
    from ocean_lib import fields

    if not path:
        raise ValueError("source 'netcdf' needs path, a file, folder or glob; set path=…")
    files = find_files(path)
    opened = fields.open_fields(files)
    sizes = ", ".join(f"{size} {dim}" for dim, size in opened.sizes.items())
    show(f"{len(files)} file(s) hold {opened.temperature.attrs['standard_name']}: {sizes}")
    return files


def _copernicus(product, name, folder, region, months, max_depth, show):
    """One variable of a Copernicus Marine dataset, month by month; what is there is kept."""
    months = _month_list(name, months)
    region = _region(name, region)
    if max_depth is not None and not max_depth > 0:
        raise ValueError(f"max_depth {max_depth} m must be above 0; leave it out for all levels")
    west, east, south, north = region
    reach = "all" if max_depth is None else f"{max_depth:g}m"
    stem = f"{name}_{product.variable}_{west:g}_{east:g}_{south:g}_{north:g}_{reach}"
    files = {month: folder / f"{stem}_{month}.nc" for month in months}
    missing = {month: file for month, file in files.items() if not file.exists()}
    if missing:
        if copernicus_login() is None:
            raise PermissionError(LOGIN)
        _download(product, missing, region, max_depth, show)
    return list(files.values())


def _download(product, files, region, max_depth, show):
    """Ask the service for each month of `files`: written beside, renamed when whole."""
    import copernicusmarine

    try:
        _check_coverage(product, list(files))
        for number, (month, file) in enumerate(files.items(), start=1):
            _download_month(product, month, file, region, max_depth)
            show(f"{number}/{len(files)} {file.name}, {file.stat().st_size / 1e6:.1f} MB")
    except copernicusmarine.InvalidUsernameOrPassword as error:
        raise PermissionError(
            f"Copernicus Marine refuses the login from {copernicus_login()}; correct it with "
            "`copernicusmarine login --force-overwrite`"
        ) from error
    except copernicusmarine.CoordinatesOutOfDatasetBounds as error:
        raise ValueError(
            f"region {region} is not held by {product.dataset_id}: {error}; choose one inside"
        ) from error
    except (copernicusmarine.CouldNotConnectToAuthenticationSystem, OSError) as error:
        raise ConnectionError(
            f"Copernicus Marine cannot be reached ({type(error).__name__}: {error}); check the "
            "network, then run the same again: finished months are kept"
        ) from error


def _download_month(product, month, file, region, max_depth):
    import copernicusmarine

    west, east, south, north = region
    year, number = map(int, month.split("-"))
    part = file.with_name(f".{file.stem}.part.nc")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        copernicusmarine.subset(
            dataset_id=product.dataset_id,
            variables=[product.variable],
            minimum_longitude=west,
            maximum_longitude=east if east > west else east + 360,
            minimum_latitude=south,
            maximum_latitude=north,
            maximum_depth=max_depth,
            start_datetime=f"{month}-01T00:00:00",
            end_datetime=f"{month}-{monthrange(year, number)[1]}T23:59:59",
            output_directory=part.parent,
            output_filename=part.name,
            overwrite=True,
            disable_progress_bar=True,
        )
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def _check_coverage(product, months):
    """Refuse months that the service does not hold; it is asked, because coverage grows."""
    import copernicusmarine

    catalogue = copernicusmarine.describe(dataset_id=product.dataset_id, disable_progress_bar=True)
    dates = [
        value
        for dataset in catalogue.products[0].datasets
        for service in dataset.versions[0].parts[0].services
        for variable in service.variables or []
        for axis in variable.coordinates
        if axis.coordinate_id == "time"
        for value in axis.values or (axis.minimum_value, axis.maximum_value)
    ]
    first, last = (str(np.datetime64(int(t), "ms"))[:7] for t in (min(dates), max(dates)))
    if outside := [month for month in months if not first <= month <= last]:
        raise ValueError(
            f"months {outside[0]} to {outside[-1]} lie outside {product.dataset_id}, which holds "
            f"{first} to {last}; choose months within"
        )


def _month_list(name, months):
    """ "1993-01", "1993-02" … between the two months given, both included."""
    remedy = "give months=[first, last], such as ['1993-01', '2020-12']"
    try:
        first, last = (np.datetime64(str(month), "M") for month in months)
    except (TypeError, ValueError) as error:
        raise ValueError(f"months {months!r} of {name} are not two months; {remedy}") from error
    if first > last:
        raise ValueError(f"months {first} to {last} run backwards; {remedy}")
    return [str(month) for month in np.arange(first, last + 1)]


def _region(name, region):
    remedy = "give region=(west, east, south, north) in degrees, (-180, 180, -80, 90) for all"
    if region is None:
        raise ValueError(f"{name} needs a region, its whole ocean is 0.9 GB a month; {remedy}")
    try:
        west, east, south, north = map(float, region)
    except (TypeError, ValueError) as error:
        raise ValueError(f"region {region!r} is not four numbers; {remedy}") from error
    if west == east or not -90 <= south < north <= 90:
        raise ValueError(f"region {region!r} is empty or beyond the poles; {remedy}")
    return west, east, south, north
