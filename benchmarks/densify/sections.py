"""The sections track: GLORYS12 along three hydrographic sections, three stations of each seen.

A section is a field of one row, W stations (H = 1). Training 1993 to September 2012, validation
2013 to September 2015, test 2016–2019. Of every test month three wet stations are observed, all
their levels, exactly, with and without the surface temperature of all stations. The stations are
frozen in `cases/stations.csv`, the files of the sections by their hashes in
`cases/sections.sha256`; the files themselves lie beside the repository, or nowhere.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ocean_lib.fields.canonical import open_fields
from ocean_lib.runs.paths import workspace
from ocean_lib.store import store as stores
from ocean_lib.store.store import Store

from .hashes import verify

__all__ = [
    "BELOW",
    "NAMES",
    "SECTIONS",
    "build",
    "draw_stations",
    "open_section",
    "pool",
    "section_file",
    "sections",
]

CASES = Path(__file__).resolve().parent / "cases"
SECTIONS = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "glorys12_sections"
NAMES = ("Bonavista", "SealIsland", "WhiteBay")
SEEN = 3  # stations a date
BELOW = 190.0  # m; only 3–5 stations of a section are wet at most depths below
MONTHS = {"validation": 33, "test": 48, "gap": 3}
CREDIT = "Generated using E.U. Copernicus Marine Service Information; Mercator Ocean International"


def section_file(folder, name: str) -> Path:
    """The file of a section as delivered."""
    return Path(folder) / f"{name}_glorys12_monthly_1993-2019.nc"


def build(folder, name: str) -> Store:
    """The store of a section under data/store, on the levels that hold water."""
    path = section_file(folder, name)
    place = workspace() / "data" / "store" / f"section_{name}"
    request = {"section": name, **MONTHS}
    built = stores.existing_store(place, request)
    if built is None:
        fields = open_fields(path).drop_vars("station_latitude")
        fields = fields.assign_attrs(credit=CREDIT, licence="Copernicus Marine Service licence")
        surface = fields.temperature.isel(depth=0, drop=True)
        wet = fields.ocean.any(("latitude", "longitude")).values
        chosen = fields.isel(depth=wet)
        built = stores.build_store(
            chosen, place, split="time", surface=surface, request=request, **MONTHS
        )
    return built


def draw_stations(ocean: xr.DataArray, dates: int, seed: int) -> np.ndarray:
    """Indices (dates, 3) of wet stations, ascending, drawn anew for every date."""
    draw = np.random.default_rng(seed)
    wet = np.flatnonzero(ocean.any(("depth", "latitude")).values)
    return np.stack([np.sort(draw.choice(wet, SEEN, replace=False)) for _ in range(dates)])


def observe(fields: xr.Dataset, stations: np.ndarray, surface: bool) -> xr.Dataset:
    """Whole columns at the stations (T, 3) of each date, as `dataset.observe` gives them."""
    seen = np.zeros((fields.sizes["time"], 1, 1, fields.sizes["longitude"]), bool)
    np.put_along_axis(seen[:, 0, 0], stations, True, 1)
    observed = fields.temperature.copy(data=seen & fields.ocean.values).drop_attrs()
    above = fields.surface.copy(data=np.full(fields.surface.shape, surface)).drop_attrs()
    above &= fields.surface.notnull()
    return xr.Dataset(
        {
            "ocean": fields.ocean,
            "value": fields.temperature.where(observed),
            "observed": observed,
            "error": xr.zeros_like(fields.temperature).drop_attrs(),
            "surface": fields.surface.where(above),
            "surface_observed": above,
        }
    )


def open_section(name: str, folder=SECTIONS) -> tuple[Store, dict[str, tuple[dict, xr.Dataset]]]:
    """A section's store, and {case: (specification, observations)}.

    A specification, in the words of `masks.check`, is what methods are tuned for on validation
    months: as many single columns at random.

    Raises:
        FileNotFoundError: the files of the sections do not lie in `folder`.
        ValueError: they, or the frozen stations, are not those of the benchmark, or the name is
            not that of a section.
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
    """Name, store and cases (see `open_section`) of every section."""
    return [(name, *open_section(name, folder)) for name in NAMES]


def pool(each: list[xr.Dataset]) -> xr.Dataset:
    """Regions that share their dates side by side, land between them, on all levels of any.

    Longitudes become the number of the column, since those of the regions overlap.
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
