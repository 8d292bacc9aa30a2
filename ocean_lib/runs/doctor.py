"""The doctor: what a run needs, looked at one by one.

Each finding is a line: `ok`, `missing` (a run cannot work; the remedy is named) or `-` (absent,
and needed only for some sources or made by a run). Of the Copernicus Marine login only its
presence is told, never its content.
"""

import importlib
import os
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata

from ocean_lib.runs.paths import workspace
from ocean_lib.sources.client import login

__all__ = ["examine"]


PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "xarray",
    "dask",
    "netCDF4",
    "h5netcdf",
    "zarr",
    "copernicusmarine",
    "matplotlib",
    "cartopy",
    "cmocean",
    "ipywidgets",
    "jupyterlab",
    "papermill",
    "ipykernel",
    "yaml",
    "tqdm",
)
DISTRIBUTIONS = {"yaml": "PyYAML"}
DISK_GIGABYTES = 2
INSTALL = "run `pip install -r requirements.txt`"


def examine() -> int:
    """Prints the findings; returns 1 if something required is missing, else 0."""
    missing = 0
    checks = (_python, _packages, _device, _kernel, _disk, _login, _data)
    for check in checks:
        for state, what, told in check():
            print(f"{state:8} {what:18} {told}", flush=True)
            missing += state == "missing"
    print(f"\n{missing} missing" if missing else "\neverything required is there")
    return 1 if missing else 0


Findings = Iterator[tuple[str, str, str]]


def _python() -> Findings:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    remedy = "" if fits else "; use Python 3.11, 3.12 or 3.13"
    yield "ok" if fits else "missing", "Python", f"{version} at {sys.executable}{remedy}"


def _packages() -> Findings:
    for name in PACKAGES:
        try:
            importlib.import_module(name)
        # A broken compiled package raises more than ImportError: OSError, AttributeError, ...
        except Exception as error:
            first = f"{error}".partition("\n")[0]
            yield "missing", name, f"{type(error).__name__}: {first}; {INSTALL}"
        else:
            yield "ok", name, metadata.version(DISTRIBUTIONS.get(name, name))


def _device() -> Findings:
    if "torch" not in sys.modules:
        return
    import torch

    if torch.cuda.is_available():
        yield "ok", "device", f"cuda: {torch.cuda.get_device_name()}"
    else:
        yield "ok", "device", f"cpu, {torch.get_num_threads()} threads; PyTorch finds no GPU"


def _kernel() -> Findings:
    try:
        from ocean_lib.runs.runner import foreign_kernel
    except ImportError as error:
        yield "missing", "kernel python3", f"{error}; {INSTALL}"
        return
    problem = foreign_kernel()
    yield "missing" if problem else "ok", "kernel python3", problem or "starts this Python"


def _disk() -> Findings:
    root = workspace()
    if not os.access(root, os.W_OK):
        yield "missing", "workspace", f"{root} is not a writable folder; set OCEAN_WORKSPACE"
        return
    free = shutil.disk_usage(root).free / 1e9
    if free < DISK_GIGABYTES:
        yield "missing", "disk", f"{free:.1f} GB free at {root}; a run needs {DISK_GIGABYTES} GB"
    else:
        yield "ok", "disk", f"{free:.0f} GB free at {root}"


def _login() -> Findings:
    where = login()
    if where:
        yield "ok", "Copernicus login", f"present: {where}"
    else:
        yield "-", "Copernicus login", "absent; for GLORYS12 run `copernicusmarine login`"


def _data() -> Findings:
    for kind in ("raw", "store"):
        folder = workspace() / "data" / kind
        held = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
        yield "ok" if held else "-", f"data/{kind}", ", ".join(held) or "empty; a run fills it"
