"""Downloads: one way to fetch any product of the `catalogue`.

`fetch` returns files that `fields.canonical.open_fields` reads or, for satellite products,
`satellites.open_view`. Generated and downloaded files are put in a folder, one per month; each
appears only when complete. A user's files are read where they are. Every source states its licence
and the credit it asks for. `copernicus` checks ids, dates, levels and regions at the service.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ocean_lib.fields.canonical import open_fields
from ocean_lib.fields.files import Paths, find_files
from ocean_lib.fields.recognition import canonical_names
from ocean_lib.sources.catalogue import SOURCES, Source

__all__ = ["Planned", "credit_and_licence", "fetch", "needed_months"]


class Planned(Exception):
    """Ends a dry run, once it has shown how much there is to fetch."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]  # a notebook shows only this


def fetch(
    source: str,
    folder: str | Path,
    *,
    path: Paths | None = None,
    region: Sequence[float] | None = None,
    months: int | Sequence[str] | None = None,
    depths: Sequence[float] | None = None,
    variables: Sequence[str] | None = None,
    surfaces: Sequence[str] = (),
    whole_files: str = "",
    seed: int = 1,
    dry_run: bool = False,
    show: Callable[[str], object] = print,
    progress: Callable[[Any, int], Any] = lambda records, total: records,
) -> list[Path]:
    """Fetch the files of a source into a folder; existing files are kept.

    Arguments that a source does not use are ignored here; `open_fields` selects regions and depths.

    Args:
        source: a key of `SOURCES`.
        folder: where the files are put; created if absent.
        path: netcdf: a file, folder, glob or list, read in place.
        region: Copernicus Marine: (west, east, south, north), degrees.
        months: demo: their number. Copernicus Marine: (first, last), such as
            ("1993-01", "2020-12").
        depths: Copernicus Marine: depths whose nearest levels are fetched, m; all levels if None.
        variables: Copernicus Marine: names of variables to fetch beside temperature; salinity where
            the product has it if None.
        surfaces: Copernicus Marine: surface fields, of `conventions.SURFACES`, whose variables and
            shallowest level are fetched as well.
        whole_files: Copernicus Marine: a pattern such as `*2021/*` of files to fetch as the service
            keeps them, in place of months, levels and region.
        seed: demo: as for `simulate`.
        dry_run: whether only to say how much there is to fetch and how long it may take.
        show: receives lines of text.
        progress: wraps the records of the months, as `runs.progress_bar.progress` does.

    Returns:
        The files, sorted; after a dry run only those that exist.

    Raises:
        ValueError: the source is unknown, an argument is missing or impossible, or the service does
            not hold the request.
        FileNotFoundError: there is nothing at `path`.
        PermissionError: there is no login, or a wrong one.
        ConnectionError: the service cannot be reached, or fails repeatedly.
    """
    if source not in SOURCES:
        raise ValueError(f"source {source!r} is not known; choose one of {list(SOURCES)}")
    product, folder = SOURCES[source], Path(folder)
    if source == "netcdf":
        files = _user_files(path, show)
    elif source == "demo":
        from ocean_lib.sources import demo_files

        options: dict[str, Any] = {} if months is None else {"months": months}
        files = demo_files.write_demo_files(folder, seed=seed, **options)
    elif whole_files:
        files = _whole_files(product, folder, whole_files, dry_run, show)
    else:
        cut: dict[str, Any] = {"region": _region(source, region), "months": _ends(source, months)}
        cut |= {"depths": _depths(depths), "shallowest": bool({*surfaces} - {"sea_level"})}
        names = _names(source, variables, surfaces)
        files = _copernicus(source, names, folder, cut, dry_run, show, progress)
    if not dry_run:
        show(f"{product.title}: {len(files)} file(s). Credit: {product.credit}")
    return sorted(Path(file) for file in files)


def credit_and_licence(
    source: str, satellites: Sequence[str] = (), attributes: Mapping | None = None
) -> dict[str, str]:
    """`credit` and `licence` of the data that were fetched.

    Args:
        source: a key of `SOURCES`.
        satellites: further keys, of satellite products.
        attributes: of a user's files; theirs take precedence.
    """
    stated = attributes if source == "netcdf" and attributes else {}
    products = [SOURCES[name] for name in (source, *satellites)]
    return {
        key: "; ".join(dict.fromkeys(str(stated.get(key) or getattr(p, key)) for p in products))
        for key in ("credit", "licence")
    }


def needed_months(product: str, months: Sequence[str], number: int) -> tuple[str, str]:
    """First and last month of a satellite product that `satellites.seen_from_above` needs.

    Args:
        product: a key of `SOURCES`.
        months: period of the record, (first, last). Sea level needs all of it, because its own
            climatology is removed.
        number: of months from the first validation month on; others need only these.
    """
    first, last = _ends("a satellite's view", months)
    if SOURCES[product].sees == "sea_level":
        return first, last
    return max(first, str(np.datetime64(last, "M") - int(number) + 1)), last


def _user_files(path: Paths | None, show: Callable[[str], object]) -> list[Path]:
    """A user's files, refused unless they hold a usable field."""
    if not path:
        raise ValueError("source 'netcdf' needs path, a file, folder or glob; set path=…")
    files = find_files(path)
    opened = open_fields(files)
    sizes = ", ".join(f"{size} {dim}" for dim, size in opened.sizes.items())
    show(f"{len(files)} file(s) hold {opened.temperature.attrs['standard_name']}: {sizes}")
    return files


def _names(
    source: str, variables: Sequence[str] | None, surfaces: Sequence[str]
) -> tuple[str, ...]:
    """Names at the provider of what is fetched, temperature first."""
    product = SOURCES[source]
    above = {"surface_salinity": "salinity", "sea_level": "sea_level"}
    if variables is None:
        variables = [name for name in ("salinity",) if name in product.further]
    wanted = [*canonical_names(variables), *(above[name] for name in surfaces if name in above)]
    held = tuple(dict.fromkeys((*product.variables, *product.further.values())))
    names = [product.further.get(name, name) for name in wanted]
    if lacking := [name for name in names if name not in held]:
        raise ValueError(
            f"{source} has {', '.join(held)}, not {', '.join(lacking)}; leave it out of variables "
            "and surfaces, or fetch whole_files"
        )
    return tuple(name for name in held if name in (*product.variables, *names))


def _copernicus(
    source: str, names: tuple[str, ...], folder: Path, cut: dict, dry_run, show, progress
) -> list[Path]:
    """The files of a product's months; missing ones are fetched, unless in a dry run."""
    from ocean_lib.sources.copernicus import Request

    product = SOURCES[source]
    request = Request(
        source,
        product.datasets,
        product.product_id,
        names,
        folder,
        above=bool(product.sees),
        attributes={"credit": product.credit, "licence": product.licence},
        **cut,
    )
    show(request.plan())
    if not dry_run:
        for _ in progress(request.fetch(), len(request.missing)):
            pass
    return [file for file in request.files.values() if file.exists()]


def _whole_files(product: Source, folder: Path, pattern: str, dry_run, show) -> list[Path]:
    from ocean_lib.sources.copernicus import whole_files

    if not dry_run:
        show(whole_files(product.datasets, folder, pattern, dry_run=True)[1])
    files, summary = whole_files(product.datasets, folder, pattern, dry_run=dry_run)
    if dry_run:
        show(summary)
    return [file for file in files if file.exists()]


def _ends(name: str, months) -> tuple[str, str]:
    """First and last month as ("1993-01", "2020-12")."""
    remedy = "give period=[first, last], such as ['1993-01', '2020-12']"
    try:
        first, last = (np.datetime64(str(month), "M") for month in months)
    except (TypeError, ValueError) as error:
        raise ValueError(f"period {months!r} of {name} is not two months; {remedy}") from error
    if first > last:
        raise ValueError(f"period {first} to {last} runs backwards; {remedy}")
    return str(first), str(last)


def _region(name: str, region) -> tuple[float, float, float, float]:
    remedy = "give region=(west, east, south, north) in degrees, (-180, 180, -80, 90) for all"
    if region is None:
        raise ValueError(f"{name} needs a region, the whole ocean is 0.9 GB per month; {remedy}")
    try:
        west, east, south, north = map(float, region)
    except (TypeError, ValueError) as error:
        raise ValueError(f"region {region!r} is not four numbers; {remedy}") from error
    if west == east or not -90 <= south < north <= 90:
        raise ValueError(f"region {region!r} is empty or beyond the poles; {remedy}")
    return west, east, south, north


def _depths(depths: Sequence[float] | None) -> list[float] | None:
    if depths is None:
        return None
    if not len(depths) or not all(0 <= depth < np.inf for depth in depths):
        raise ValueError(f"depths {depths} must be one or more depths >= 0 m; None for all levels")
    return [float(depth) for depth in depths]
