"""The doctor: checks one by one what a run needs.

Each finding is one line: `ok`, `missing` (a run cannot work; the remedy is named) or `-` (absent,
but needed only for some sources or created by a run). For the Copernicus Marine login only its
presence is reported, never its content.
"""

import importlib
import os
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from ocean_lib.runs.parameters import NOTEBOOKS
from ocean_lib.runs.paths import MIN_FREE_GB, workspace
from ocean_lib.sources.client import login

__all__ = ["examine"]


DISTRIBUTION = "densify-ocean"
RUNTIME_EXTRAS = ("", "notebooks", "argo", "copernicus")  # of the distribution; "" for no extra

Findings = Iterator[tuple[str, str, str]]  # state, what was checked, message


def examine() -> int:
    """Print the findings.

    Returns:
        1 if something required is missing, else 0.
    """
    missing = 0
    for check in (_python, _packages, _device, _kernel, _disk, _login, _data):
        for state, subject, message in check():
            print(f"{state:8} {subject:18} {message}", flush=True)
            missing += state == "missing"
    print(f"\n{missing} missing" if missing else "\neverything required is there")
    return 1 if missing else 0


def _absent(extra: str) -> str:
    """The state of what an extra needs and is absent: a checkout has notebooks, a wheel none."""
    return "missing" if not extra or (extra == "notebooks" and NOTEBOOKS.is_dir()) else "-"


def _python() -> Findings:
    yield "ok", "Python", f"{sys.version.split()[0]} at {sys.executable}"


def _packages() -> Findings:
    modules = metadata.packages_distributions()
    requirements = _requirements()
    if not requirements:
        yield "missing", DISTRIBUTION, "not installed, and this is no checkout; install it with pip"
    for requirement, extra in requirements.items():
        name = Requirement(requirement).name
        module = name.replace("-", "_")
        if module not in modules:  # such as PyYAML, whose module is yaml
            public = (key for key in modules if name in modules[key] and not key.startswith("_"))
            module = next(public, module)
        try:
            importlib.import_module(module)
            yield "ok", name, metadata.version(name)
        # A broken compiled package raises more than ImportError: OSError, AttributeError, ...
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            yield _absent(extra), name, f"{reason}; run `pip install '{requirement}'`"


def _requirements() -> dict[str, str]:
    """The packages that a run may import, such as `numpy>=2`, and the extra that each belongs to.

    From the metadata of the installed distribution, else from the checkout's requirements.txt.
    """
    file = NOTEBOOKS.parent / "requirements.txt"
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    requirements = [Requirement(line) for line in lines if line and not line.startswith("-")]
    extras: dict[str, str] = {}
    for extra in RUNTIME_EXTRAS:
        for requirement in requirements:
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                extras.setdefault(f"{requirement.name}{requirement.specifier}", extra)
    return extras


def _device() -> Findings:
    if "torch" not in sys.modules:
        return
    import torch

    device = f"cpu, {torch.get_num_threads()} threads; PyTorch finds no GPU"
    if torch.cuda.is_available():
        device = f"cuda: {torch.cuda.get_device_name()}"
    yield "ok", "device", device


def _kernel() -> Findings:
    try:
        from ocean_lib.runs.runner import foreign_kernel

        problem = foreign_kernel()
    except ImportError as error:
        problem = str(error)
    yield (
        _absent("notebooks") if problem else "ok",
        "kernel python3",
        problem or "starts this Python",
    )


def _disk() -> Findings:
    root = workspace()
    if not os.access(root, os.W_OK):
        yield "missing", "workspace", f"{root} is not a writable folder; set OCEAN_WORKSPACE"
        return
    free = shutil.disk_usage(root).free / 1e9
    state = "ok" if free >= MIN_FREE_GB else "missing"
    yield state, "disk", f"{free:.1f} GB free at {root}; a run needs more than {MIN_FREE_GB:g} GB"


def _login() -> Findings:
    origin = login()
    message = (
        f"present: {origin}" if origin else "absent; for GLORYS12 run `copernicusmarine login`"
    )
    yield "ok" if origin else "-", "Copernicus login", message


def _data() -> Findings:
    for kind in ("raw", "store"):
        folder = workspace() / "data" / kind
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        yield "ok" if names else "-", f"data/{kind}", ", ".join(names) or "empty; a run fills it"
