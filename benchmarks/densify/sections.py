"""The sections track: GLORYS12 along three hydrographic sections, with three stations observed.

A section is a field with one row of W stations (H = 1). Training is 1993 to September 2012,
validation 2013 to September 2015, test 2016–2019. In every test month three wet stations are
observed exactly at all levels, with or without the surface temperature of all stations. The
stations are frozen in `cases/stations.csv`, the files of the sections by their hashes in
`cases/sections.sha256`; the files themselves are not part of the repository.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ocean_lib.fields.canonical import open_fields
from ocean_lib.fields.conventions import named
from ocean_lib.runs.paths import workspace
from ocean_lib.store import store as stores
from ocean_lib.store.store import Store

from .hashes import verify

__all__ = [
    "BELOW",
    "NAMES",
    "SECTIONS",
    "build",
    "open_section",
    "pool",
    "section_file",
    "sections",
]

CASES = Path(__file__).resolve().parent / "cases"
SECTIONS = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "glorys12_sections"
NAMES = ("Bonavista", "SealIsland", "WhiteBay")
SURFACE = "surface_temperature"
SEEN = 3  # observed stations per date
BELOW = 190.0  # m; at most depths below, only 3–5 stations of a section are wet
MONTHS = {"validation": 33, "test": 48, "gap": 3}
CREDIT = "Generated using E.U. Copernicus Marine Service Information; Mercator Ocean International"


def section_file(folder, name: str) -> Path:
    """The file of a section."""
    return Path(folder) / f"{name}_glorys12_monthly_1993-2019.nc"


def build(folder, name: str) -> Store:
    """Build or open the store of a section in data/store, on the levels with water."""
    path = section_file(folder, name)
    place = workspace() / "data" / "store" / f"section_{name}"
    request = {"section": name, **MONTHS}
    built = stores.existing_store(place, request)
    if built is None:
        fields = open_fields(path).drop_vars("station_latitude")
        fields = fields.assign_attrs(credit=CREDIT, licence="Copernicus Marine Service licence")
        surfaces = xr.Dataset({SURFACE: fields.temperature.isel(depth=0, drop=True)})
        wet = fields.ocean.any(("latitude", "longitude")).values
        chosen = fields.isel(depth=wet)
        built = stores.build_store(
            chosen, place, split="time", surfaces=surfaces, request=request, **MONTHS
        )
    return built


def observe(fields: xr.Dataset, stations: np.ndarray, surface: bool) -> xr.Dataset:
    """Observe whole columns at the stations (T, 3) of each date, in the form of `batch.observe`."""
    seen = np.zeros((fields.sizes["time"], 1, 1, fields.sizes["longitude"]), bool)
    np.put_along_axis(seen[:, 0, 0], stations, True, 1)
    observed = fields.temperature.copy(data=seen & fields.ocean.values).drop_attrs()
    seen_above = fields[SURFACE].notnull() & surface
    return xr.Dataset(
        {
            "ocean": fields.ocean,
            "value": fields.temperature.where(observed),
            "observed": observed,
            "error": xr.zeros_like(fields.temperature).drop_attrs(),
            SURFACE: fields[SURFACE].where(seen_above),
            named(SURFACE, "observed"): seen_above,
        }
    )


def open_section(name: str, folder=SECTIONS) -> tuple[Store, dict[str, tuple[dict, xr.Dataset]]]:
    """Open a section: its store and {case: (specification, observations)}.

    The specification (`check_patterns`) is the pattern that methods are tuned for on validation
    months: the same number of single columns, at random.

    Raises:
        FileNotFoundError: the files of the sections are not in `folder`.
        ValueError: the name is unknown, or a file or the stations differ from their hashes.
    """
    if name not in NAMES:
        raise ValueError(f"section {name!r} is not known; choose one of {NAMES}")
    verify(CASES / "SHA256SUMS", CASES, "stations.csv", "sections.sha256")
    verify(CASES / "sections.sha256", folder, section_file(folder, name).name)
    table = pd.read_csv(CASES / "stations.csv")
    store = build(folder, name)
    fields = store.fields("test")
    stations = table[table.section == name].filter(like="station_").values
    cases = {}
    for case, surface in ((f"{SEEN} stations", 0.0), (f"{SEEN} stations + surface", 1.0)):
        share = SEEN / fields.sizes["longitude"]
        tuned = {"name": case, "pattern": "pixels", "observed": share, "surface": surface}
        cases[case] = (tuned, observe(fields, stations, surface > 0))
    return store, cases


def sections(folder=SECTIONS) -> list[tuple[str, Store, dict[str, tuple[dict, xr.Dataset]]]]:
    """Name, store and cases of every section; see `open_section`."""
    return [(name, *open_section(name, folder)) for name in NAMES]


def pool(each: list[xr.Dataset]) -> xr.Dataset:
    """Regions with the same dates side by side, separated by land, on the union of their levels.

    The longitude becomes the number of the column, because the regions' longitudes overlap.
    """
    depth = np.unique(np.concatenate([one.depth.values for one in each]))
    latitude = np.mean([one.latitude.values for one in each], 0)
    row, first = [], 0
    for one in each:
        last = first + one.sizes["longitude"]
        fill = {name: False if a.dtype == bool else np.nan for name, a in one.data_vars.items()}
        one = one.assign_coords(longitude=np.arange(first, last, dtype=float), latitude=latitude)
        wider = np.arange(first, last + 1, dtype=float)
        row.append(one.reindex(depth=depth, longitude=wider, fill_value=fill))
        first = last + 1
    return xr.concat(row, "longitude", join="exact", combine_attrs="drop_conflicts")
