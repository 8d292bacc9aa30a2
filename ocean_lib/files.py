"""Files of fields: which ones a user means, and opening one raw and lazy, or saying why not."""

import glob
from pathlib import Path

import xarray as xr

__all__ = ["find_files", "open_file"]

CHUNK = "16MiB"  # of packed values
SUFFIXES = (".nc", ".nc4", ".cdf", ".zarr")


def find_files(paths):
    """The files that a path, glob, folder or list of them stands for, each once, as `Path`s.

    Raises: FileNotFoundError: nothing lies there
    """
    found = []
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        path = Path(path).expanduser()
        if path.is_dir() and not _is_zarr(path):
            inside = (p for p in path.rglob("*") if p.suffix in SUFFIXES)
            matches = [p for p in inside if not p.name.startswith(".")]
        else:
            matches = [path] if path.exists() else [Path(p) for p in glob.glob(str(path))]
        if not matches:
            raise FileNotFoundError(
                f"no {', '.join(SUFFIXES)} file is found at {path}; correct the path (relative "
                "paths start at the working folder)"
            )
        found += sorted(matches)
    if not found:
        raise FileNotFoundError("the list of paths is empty; name at least one file")
    return list(dict.fromkeys(found))


def _is_zarr(path):
    return any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zmetadata"))


def open_file(path):
    """One NetCDF or Zarr, lazy and raw: decoding it here would quadruple what a chunk holds.

    Raises: ValueError: it is empty, cut short, or no NetCDF or Zarr
    """
    import dask

    lazy = {"decode_cf": False, "chunks": "auto"}
    if path.is_dir():
        with dask.config.set({"array.chunk-size": CHUNK}):
            return xr.open_zarr(path, **lazy)
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise ValueError(f"{path} is empty (0 bytes); fetch it again")
    if not head.startswith((b"CDF", b"\x89HDF")):
        page = head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml"))
        remedy = (
            "it is a web page, often a login form: fetch it again, logged in"
            if page
            else "convert it, for example with `cdo -f nc4 copy`"
        )
        raise ValueError(f"{path} starts with {head[:15]!r}, it is no NetCDF or Zarr; {remedy}")
    try:
        with dask.config.set({"array.chunk-size": CHUNK}):
            return xr.open_dataset(path, engine="netcdf4", **lazy)
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"{path} ({path.stat().st_size} bytes) cannot be read ({error}); it is probably cut "
            "short: fetch it again"
        ) from error
