"""Files found, opened or refused: what is none, cut short, damaged or forbidden."""

import errno
import zlib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from grids import PACKING, refused, sea

from ocean_lib.fields import canonical, files


def test_a_file_that_is_none_is_refused(tmp_path):
    contents = {
        "empty": b"",
        "page": b"<!DOCTYPE html><html>login</html>",
        "grib": b"GRIB" * 9,
        "table": b"time,depth,temperature\n2000-01-01,5,11.2\n",
        "packed": b"\x1f\x8b" + zlib.compress(b"CDF"),
        "header": b"CDF\x01",
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.nc").write_bytes(content)
    read = canonical.open_fields
    refused(["empty.nc", "0 bytes", "fetch it again"], read, tmp_path / "empty.nc")
    refused(["page.nc", "DOCTYPE", "web page", "log in"], read, tmp_path / "page.nc")
    refused(["grib.nc", "GRIB", "convert"], read, tmp_path / "grib.nc")
    refused(["table.nc", "time,depth", "not as NetCDF", "convert"], read, tmp_path / "table.nc")
    refused(["packed.nc", "compressed", "unpack"], read, tmp_path / "packed.nc")
    refused(["header.nc", "4 bytes", "cut short"], read, tmp_path / "header.nc")
    refused(["none.nc", "correct"], read, tmp_path / "none.nc", error=FileNotFoundError)
    refused(["no*.nc", "correct"], read, str(tmp_path / "no*.nc"), error=FileNotFoundError)
    (tmp_path / "bare").mkdir()
    refused(["bare", "correct"], read, tmp_path / "bare", error=FileNotFoundError)
    refused(["empty", "at least one"], read, [], error=FileNotFoundError)


@pytest.mark.parametrize("folder", ["run [1]", "a [b] c", "x[0-9]"])
def test_a_glob_below_a_folder_with_brackets(tmp_path, folder):
    (tmp_path / folder).mkdir()
    for name in ("a1.nc", "a2.nc", "b.nc"):
        (tmp_path / folder / name).touch()
    found = files.find_files(str(tmp_path / folder / "a*.nc"))
    assert [path.name for path in found] == ["a1.nc", "a2.nc"]
    assert len(files.find_files(str(tmp_path / folder / "[ab]*.nc"))) == 3


@pytest.mark.parametrize("groups", [["phy"], ["2001", "2002"], ["phy/monthly"]])
def test_a_file_of_groups_is_refused_with_their_names(tmp_path, groups):
    for group in groups:
        mode = "a" if (tmp_path / "a.nc").exists() else "w"
        sea().to_netcdf(tmp_path / "a.nc", group=group, mode=mode)
    words = ["a.nc", "in groups", groups[0].split("/")[0], "ncks"]
    refused(words, canonical.open_fields, tmp_path / "a.nc")


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EAGAIN])
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, code):
    """HDF5 locks the files that it reads; the error is no sign of damage."""
    sea().to_netcdf(tmp_path / "a.nc")

    def none(*_, **__):
        text = f"[Errno {code}] NetCDF: HDF error: unable to lock file, errno = {code}"
        raise OSError(code, text)

    monkeypatch.setattr(xr, "open_dataset", none)
    words = ["a.nc cannot be locked", "HDF5_USE_FILE_LOCKING=FALSE"]
    refused(words, files.open_file, tmp_path / "a.nc", error=OSError)


@pytest.mark.parametrize("kind", ["NETCDF4", "NETCDF3_CLASSIC", "NETCDF3_64BIT"])
@pytest.mark.parametrize("unlimited", [[], ["time"]])
def test_a_file_cut_short_is_refused(tmp_path, kind, unlimited):
    """The library itself reads 0, a plausible temperature, beyond the end of a classic file."""
    path = tmp_path / "with space.nc"
    sea().to_netcdf(path, format=kind, unlimited_dims=unlimited)
    canonical.open_fields(path).close()
    whole = path.read_bytes()
    for length in (len(whole) // 3, len(whole) - 40):
        path.write_bytes(whole[:length])
        refused(["with space.nc", f"{length} bytes", "cut short"], canonical.open_fields, path)


def test_a_damaged_header_of_a_classic_file_takes_no_memory(tmp_path):
    """Here the length of a name becomes 1 GB, which the library would allocate."""
    path = tmp_path / "f.nc"
    sea().to_netcdf(path, format="NETCDF3_CLASSIC")
    content = path.read_bytes()
    place = content.index(b"\x00\x00\x00\x06thetao")
    path.write_bytes(content[:place] + b"\x40" + content[place + 1 :])
    refused(["f.nc", "its header promises more", "fetch it again"], canonical.open_fields, path)


def test_a_damaged_block_is_told_by_its_file(tmp_path):
    packing = {"thetao": PACKING | {"zlib": True, "chunksizes": (1, 4, 13, 11)}}
    for i in range(3):
        sea().isel(time=[i]).to_netcdf(tmp_path / f"{i}.nc", encoding=packing)
    content = bytearray((tmp_path / "1.nc").read_bytes())
    start = content.rfind(b"\x78\x5e")  # where the last block of zlib begins
    start = start if start > 0 else content.rfind(b"\x78\x9c")
    content[start : start + 200] = b"\xff" * 200
    (tmp_path / "1.nc").write_bytes(content)
    refused(["1.nc", "cannot be read", "damaged", "fetch"], canonical.open_fields, tmp_path)


@pytest.mark.parametrize("version", [2, 3])
def test_a_damaged_zarr_is_refused(tmp_path, version):
    path, node = tmp_path / "a.zarr", ".zgroup" if version == 2 else "zarr.json"
    array = ".zarray" if version == 2 else "zarr.json"

    def write():
        sea().to_zarr(path, mode="w", zarr_format=version, consolidated=False)
        return [p for p in (path / "thetao").rglob("*") if p.is_file() and "z" not in p.name]

    (block,) = write()
    canonical.open_fields(path)
    block.write_bytes(block.read_bytes()[:50])
    refused(["a.zarr", "cannot be read", "fetch"], canonical.open_fields, path)
    write()
    (path / "thetao" / array).write_text('{"shape": [3,')
    refused(["a.zarr", "cannot be read", "fetch"], canonical.open_fields, path)
    write()
    (path / "thetao" / array).unlink()
    refused(["a.zarr", "no temperature"], canonical.open_fields, path)
    write()
    (path / node).unlink()
    refused(["a.zarr", "a folder", "cannot be read"], canonical.open_fields, path)
    write()
    (path / node).write_text("{")
    refused(["a.zarr", "cannot be read"], canonical.open_fields, path)


def test_what_may_not_be_read_is_refused(tmp_path, monkeypatch):
    sea().to_netcdf(tmp_path / "a.nc")
    sea().to_zarr(tmp_path / "a.zarr")

    def forbid(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbid)
    monkeypatch.setattr(xr, "open_zarr", forbid)
    for name in ("a.nc", "a.zarr"):
        words = [name, "may not be read", "chmod"]
        refused(words, canonical.open_fields, tmp_path / name, error=PermissionError)


def test_opening_reads_no_values(tmp_path):
    """Raw, lazy, and in blocks whatever the file's own are."""
    sea().to_netcdf(tmp_path / "a.nc", encoding={"thetao": PACKING})
    opened = files.open_file(tmp_path / "a.nc")
    assert opened.thetao.dtype == np.int16 and opened.thetao.chunks is not None
    assert files.find_files([tmp_path, tmp_path / "a.nc"]) == [tmp_path / "a.nc"]
