"""Files and their SHA-256: written in the format of `sha256sum`, and verified before any use."""

import hashlib
from pathlib import Path

from ocean_lib.core.atomic import atomic_write

__all__ = ["verify", "write"]


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(path, files: list[Path]) -> None:
    """Write `sha256sum`'s list of files, by their bare names, sorted."""
    lines = [f"{_sum(file)}  {file.name}\n" for file in sorted(files)]
    with atomic_write(path) as beside:
        beside.write_text("".join(lines))


def verify(path, folder, *names: str) -> list[str]:
    """Names of the files of a list, or the names given, once each has in `folder` its listed hash.

    Raises:
        FileNotFoundError: the list, or a file, is missing.
        ValueError: a hash differs, or a name is not listed.
    """
    lines = Path(path).read_text().splitlines()
    sums = dict(reversed(line.split(maxsplit=1)) for line in lines)
    for name in names or sums:
        if name not in sums:
            raise ValueError(f"{name} is not among {list(sums)} of {path}; freeze the cases anew")
        file = Path(folder) / name
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} is missing, {Path(path).name} lists it; restore it (git checkout), or, of "
                "a section, put the file there or name its folder"
            )
        if (found := _sum(file)) != sums[name]:
            raise ValueError(
                f"{file} has the hash {found[:12]}…, the benchmark's is {sums[name][:12]}…: scores "
                "could not be compared; restore the file (git checkout)"
            )
    return list(names or sums)
