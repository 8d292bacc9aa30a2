"""Where fields come from: one way to fetch any product of the `catalogue`.

`fetch` ends with a list of files that `ocean_lib.fields.open_fields` reads, or, of a product seen
from above, `ocean_lib.satellites`. What is made or downloaded lies in the folder given, one file a
month, whole or not at all; a user's own files are read where they are. Every source names its
licence and the credit it asks for.

Ids, dates, levels and regions of Copernicus Marine are checked with the service itself (`marine`).
"""

from pathlib import Path

import numpy as np

from ocean_lib.fields.files import find_files
from ocean_lib.sources.catalogue import SOURCES

__all__ = ["Planned", "credit_and_licence", "fetch", "last_months"]


class Planned(Exception):
    """A dry run ends here: what there is to fetch has been said, and nothing was fetched."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]  # in a notebook the message is all there is to say


def fetch(
    source,
    folder,
    *,
    path=None,
    region=None,
    months=None,
    depths=None,
    shallowest=False,
    whole_files="",
    seed=1,
    dry_run=False,
    show=print,
    progress=lambda records, total: records,
):
    """Files of a source, fetched into `folder` where they are not there yet.

    source: a key of `SOURCES`
    path: netcdf: a file, folder, glob or list, read in place
    region: Copernicus Marine: (west, east, south, north), degrees
    months: demo: their number · Copernicus Marine: (first, last), such as ("1993-01", "2020-12")
    depths: Copernicus Marine: levels to fetch, m, each the nearest; all where None
    shallowest: Copernicus Marine: whether the shallowest level comes, too
    whole_files: Copernicus Marine: a pattern such as `*2021/*` of files to fetch as the service
    keeps them, in place of months, levels and region
    seed: demo: of its turbulence
    dry_run: only say how much there is to fetch, and how long it may take
    show: is given lines of text.    progress: wraps the months, as `runs.progress` does

    Arguments that a source does not name are left to `fields.open_fields`, which cuts what is
    opened. Returns a sorted list of paths, without those that a dry run leaves out.

    Raises: ValueError: an unknown source, an argument that is missing or impossible, or what the
    service does not hold · FileNotFoundError: nothing lies at `path` · PermissionError: no login,
    or a wrong one · ConnectionError: the service is not reached, or fails again and again
    """
    if source not in SOURCES:
        raise ValueError(f"source {source!r} is not known; choose one of {list(SOURCES)}")
    product, folder = SOURCES[source], Path(folder)
    if source == "netcdf":
        files = _own_files(path, show)
    elif source == "demo":
        from ocean_lib.sources import demo_files

        options = {} if months is None else {"months": months}
        files = demo_files.write_demo_files(folder, seed=seed, **options)
    elif whole_files:
        files = _whole_files(product, folder, whole_files, dry_run, show)
    else:
        cut = {"region": _region(source, region), "months": _ends(source, months)}
        chosen = {"depths": _depths(depths), "shallowest": shallowest}
        files = _copernicus(source, folder, cut | chosen, dry_run, show, progress)
    if not dry_run:
        show(f"{product.title}: {len(files)} file(s). Credit: {product.credit}")
    return sorted(Path(file) for file in files)


def credit_and_licence(source, satellite="", attributes=None):
    """`credit` and `licence` of what was fetched; of a user's own files what `attributes` say.

    satellite: a second source, or none
    """
    own = attributes if source == "netcdf" and attributes else {}
    known = [SOURCES[name] for name in (source, satellite) if name]
    return {
        key: "; ".join(dict.fromkeys(str(own.get(key) or getattr(one, key)) for one in known))
        for key in ("credit", "licence")
    }


def last_months(months, number):
    """First and last of the last `number` months of (first, last)."""
    first, last = _ends("a satellite's view", months)
    return max(first, str(np.datetime64(last, "M") - int(number) + 1)), last


def _own_files(path, show):
    """A user's files, refused before anything else is done unless each holds a usable field."""
    from ocean_lib.fields import canonical as fields

    if not path:
        raise ValueError("source 'netcdf' needs path, a file, folder or glob; set path=…")
    files = find_files(path)
    opened = fields.open_fields(files)
    sizes = ", ".join(f"{size} {dim}" for dim, size in opened.sizes.items())
    show(f"{len(files)} file(s) hold {opened.temperature.attrs['standard_name']}: {sizes}")
    return files


def _copernicus(source, folder, asked, dry_run, show, progress):
    """Months of a product; what is there is kept."""
    from ocean_lib.sources.copernicus import Request

    product = SOURCES[source]
    request = Request(
        source,
        product.datasets,
        product.product_id,
        product.variables,
        folder,
        above=bool(product.sees),
        attributes={"credit": product.credit, "licence": product.licence},
        **asked,
    )
    show(request.plan())
    if not dry_run:
        for _ in progress(request.fetch(), len(request.missing)):
            pass
    return [file for file in request.files.values() if file.exists()]


def _whole_files(product, folder, pattern, dry_run, show):
    from ocean_lib.sources.copernicus import whole_files

    if not dry_run:
        show(whole_files(product.datasets, folder, pattern, dry_run=True)[1])
    files, told = whole_files(product.datasets, folder, pattern, dry_run=dry_run)
    if dry_run:
        show(told)
    return [file for file in files if file.exists()]


def _ends(name, months):
    """First and last month as ("1993-01", "2020-12")."""
    remedy = "give period=[first, last], such as ['1993-01', '2020-12']"
    try:
        first, last = (np.datetime64(str(month), "M") for month in months)
    except (TypeError, ValueError) as error:
        raise ValueError(f"period {months!r} of {name} is not two months; {remedy}") from error
    if first > last:
        raise ValueError(f"period {first} to {last} runs backwards; {remedy}")
    return str(first), str(last)


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


def _depths(depths):
    if depths is None:
        return None
    if not len(depths) or not all(0 <= depth < np.inf for depth in depths):
        raise ValueError(f"depths {depths} must be one or more, each 0 m or more; None for all")
    return [float(depth) for depth in depths]
