"""Files of fields: find them, open them lazily without decoding, and refuse unusable ones."""

import glob
from collections.abc import Iterable
from pathlib import Path

import xarray as xr

__all__ = ["Paths", "check_classic", "find_files", "open_file"]


class GroupsError(ValueError):
    """The variables of a file lie in groups."""


Paths = str | Path | Iterable[str | Path]  # a path, folder, glob or list of them
CHUNK = "16MiB"  # of packed values, per dask chunk
NETCDF = (".nc", ".nc4", ".cdf")
SUFFIXES = (*NETCDF, ".zarr")
NO_LOCKS = ("unable to lock file", "no locks available", "function not implemented")
# {first bytes of other file types, in lower case: remedy}
OTHER_TYPES = {
    (b"<!doctype", b"<html", b"<?xml"): "it is a web page, often a login form: log in and "
    "fetch it again",
    (b"\x1f\x8b", b"pk\x03\x04"): "it is compressed: unpack it first",
    (b"",): "convert it, for example with `cdo -f nc4 copy`",
}


def find_files(paths: Paths, also: tuple[str, ...] = ()) -> list[Path]:
    """List the files that paths match, without duplicates.

    Args:
        paths: a path, a glob, a folder (searched recursively), or a list of them.
        also: suffixes of further files that a folder may hold, in lower case.
    Raises:
        FileNotFoundError: a path matches no file.
    """
    files: list[Path] = []
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        path = Path(path).expanduser()
        if path.is_dir() and path.suffix != ".zarr" and not _is_zarr(path):
            inside = (p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES + also)
            matches = [p for p in inside if not p.name.startswith(".")]
        else:
            matches = [path] if path.exists() else _match(path)
        if not matches:
            raise FileNotFoundError(
                f"no {', '.join(SUFFIXES + also)} file is found at {path}; correct the path "
                "(relative paths start at the working folder)"
            )
        files += sorted(matches)
    if not files:
        raise FileNotFoundError("the list of paths is empty; name at least one file")
    return list(dict.fromkeys(files))


def _match(pattern: Path) -> list[Path]:
    """Files that a glob matches; brackets in names of existing folders stand for themselves."""
    folder = next(parent for parent in pattern.parents if parent.exists())
    rest = pattern.relative_to(folder)
    return [Path(name) for name in glob.glob(str(Path(glob.escape(str(folder))) / rest))]


def _is_zarr(path: Path) -> bool:
    return any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zmetadata"))


def open_file(path: Path) -> xr.Dataset:
    """Open a NetCDF or Zarr, lazily and raw; decoding it here would quadruple the size of a chunk.

    Args:
        path: file or Zarr folder, from `find_files`.
    Raises:
        PermissionError: it may not be read.
        ValueError: it is empty, truncated, or not NetCDF or Zarr.
    """
    import dask

    try:
        if path.is_file():
            _check_beginning(path)
        with dask.config.set({"array.chunk-size": CHUNK}):
            return _open(path)
    except PermissionError as error:
        raise PermissionError(
            f"{path} may not be read by this user; ask its owner, or `chmod -R u+rX` it"
        ) from error


def _open(path: Path) -> xr.Dataset:
    try:
        if path.is_dir():
            return xr.open_zarr(path, decode_cf=False, chunks="auto")
        check_classic(path)
        dataset = xr.open_dataset(path, engine="netcdf4", decode_cf=False, chunks="auto")
        if not dataset.data_vars or all(array.ndim == 0 for array in dataset.data_vars.values()):
            _refuse_groups(path)
        return dataset
    except (PermissionError, GroupsError):
        raise
    except (EOFError, OSError, RuntimeError, LookupError, TypeError, ValueError) as error:
        if any(words in str(error).lower() for words in NO_LOCKS):
            raise OSError(
                f"{path} cannot be locked ({error}): its file system has no locks; set the "
                "environment variable HDF5_USE_FILE_LOCKING=FALSE"
            ) from error
        size = "a folder" if path.is_dir() else f"{path.stat().st_size} bytes"
        raise ValueError(
            f"{path} ({size}) cannot be read ({error}); it is probably cut short: fetch it again"
        ) from error


def _refuse_groups(path: Path) -> None:
    """Refuse a file that keeps its variables in groups.

    Raises:
        GroupsError: its variables lie in groups.
    """
    import netCDF4

    with netCDF4.Dataset(path) as file:
        groups = list(file.groups)
    if groups:
        raise GroupsError(
            f"{path}: its variables lie in groups, {', '.join(groups)}; copy one to the top, for "
            f"example with `ncks -G : -g {groups[0]} in.nc out.nc`"
        )


def _check_beginning(path: Path) -> None:
    """Refuse a file without the signature of NetCDF."""
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise ValueError(f"{path} is empty (0 bytes); fetch it again")
    if not head.startswith((b"CDF", b"\x89HDF")):
        start = head.lstrip().lower()
        remedy = next(text for heads, text in OTHER_TYPES.items() if start.startswith(heads))
        raise ValueError(f"{path} starts with {head[:15]!r}, not as NetCDF or Zarr; {remedy}")


def check_classic(path: Path) -> None:
    """Refuse a damaged classic NetCDF: the library would take any memory, or read 0 past its end.

    Raises:
        EOFError: its header does not fit its length.
    """
    from scipy.io import netcdf_file

    with path.open("rb") as file:
        if file.read(4) not in (b"CDF\x01", b"CDF\x02"):
            return
    try:
        netcdf_file(path, mmap=True).close()
        complete = True
    except (LookupError, MemoryError, OverflowError, TypeError, ValueError):
        complete = False
    if not complete:  # raised here, because the exception above keeps the memory map open
        raise EOFError("its header promises more than it holds")
