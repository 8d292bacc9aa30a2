"""SHA-256 of files, listed in the format of `sha256sum` and verified before a file is used."""

import hashlib
from pathlib import Path

__all__ = ["verify"]


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def verify(path, folder, *names: str) -> list[str]:
    """Verify that files in `folder` have their listed hashes, and return their names.

    Args:
        path: the list.
        folder: folder of the files.
        names: files to verify; all files of the list by default.

    Raises:
        FileNotFoundError: the list or a file is missing.
        ValueError: a hash differs or a name is not listed.
    """
    lines = Path(path).read_text().splitlines()
    sums = dict(reversed(line.split(maxsplit=1)) for line in lines)
    for name in names or sums:
        if name not in sums:
            raise ValueError(f"{name} is not among {list(sums)} of {path}; choose one of them")
        file = Path(folder) / name
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} is missing, but {Path(path).name} lists it; restore it (git checkout) "
                "or, for a section, put the file there or give its folder"
            )
        if (found := _sum(file)) != sums[name]:
            raise ValueError(
                f"{file} has the hash {found[:12]}…, the benchmark's is {sums[name][:12]}…, so "
                "scores cannot be compared; restore the file (git checkout)"
            )
    return list(names or sums)
