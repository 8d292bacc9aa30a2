"""Whole files of Copernicus Marine, as the service keeps them: all variables, levels and places.

The client's `get` leaves a file that is there alone and gives a file its name when it is whole, so
the same call goes on where the last one stopped.
"""

import re
from functools import partial
from pathlib import Path

from . import service
from .marine import RATE, duration

__all__ = ["whole_files"]


def whole_files(
    datasets: tuple[str, ...], folder, pattern: str, dry_run: bool = False
) -> tuple[list[Path], str]:
    """Files as the service keeps them, all variables and levels, whose paths fit a pattern.

    Args:
        pattern: such as `*2021/*`.    dry_run: whether only to list them.
    Returns:
        Their paths, and how much there is to fetch in words.
    Raises: as `service.tried`; ValueError: no file fits
    """
    folder = Path(folder)
    client = service.client()
    service.tried(service.call_upon, "Copernicus Marine")
    for left in folder.glob("*.nc.*"):
        if re.search(r"\.nc\.[0-9A-Fa-f]{8}$", left.name):
            left.unlink()  # of a transfer that was killed
    found, size = [], 0.0

    def ask(dataset: str, dry_run: bool):
        return client.get(
            dataset_id=dataset,
            filter=pattern,
            output_directory=folder,
            no_directories=True,
            skip_existing=True,
            dry_run=dry_run,
            disable_progress_bar=True,
        )

    def arrived() -> int:
        return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())

    for dataset in datasets:
        try:
            listed = service.tried(partial(ask, dataset, True), dataset)
        except client.DatasetNotFound:
            continue
        if listed.files:
            found += [Path(each.file_path) for each in listed.files]
            lacking = [each for each in listed.files if not Path(each.file_path).exists()]
            size += sum(each.file_size for each in lacking)
            if lacking and not dry_run:
                work = partial(service.arriving, partial(ask, dataset, False), arrived)
                service.tried(work, dataset)
    if not found:
        raise ValueError(
            f"no file of {' or '.join(datasets)} fits {pattern!r}; choose a pattern such as "
            "'*2021/*'"
        )
    told = (
        f"{len(found)} whole file(s), {size:.1f} MB to fetch, about {duration(size * 1e6 / RATE)}"
    )
    return sorted(found), told
