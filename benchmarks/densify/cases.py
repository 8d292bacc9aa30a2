"""The frozen cases: truth, climatology, surface and masks in files with known hashes.

    OCEANS      demo_1, demo_2 and demo_3: the demo ocean, version 1, of three seeds
    a file      truth (time, depth, latitude, longitude) · surface (time, latitude, longitude)
                observed (case, time, depth, latitude, longitude) · surface_observed (case, …)
                ocean (depth, latitude, longitude)
                harmonic (term, depth, latitude, longitude): climatology of the training months:
                the mean, then cosine and sine of the annual and of the semi-annual cycle
                °C as int16 in steps of 24/32767 °C, as in GLORYS12 (harmonic: 0.001); masks as int8

The sections (`sections`) give cases of the same form, made from their files whenever they are read.
Every file is verified by its hash before it is read (`hashes`), and reading executes no code.

    python -m benchmarks.densify.cases OCEAN FOLDER

writes the observations of an ocean, one file per case, in the form that
`python -m ocean_lib reconstruct` reads.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib.core.atomic import atomic_write
from ocean_lib.fields.conventions import named
from ocean_lib.store.climatology import harmonics

from . import sections
from .hashes import verify
from .sections import SURFACE

__all__ = [
    "CASES",
    "OCEANS",
    "Ocean",
    "export",
    "normal",
    "of_levels",
    "open_ocean",
    "pooled",
    "read",
]

CASES = Path(__file__).resolve().parent / "cases"
OCEANS = ("demo_1", "demo_2", "demo_3")


@dataclass(frozen=True)
class Ocean:
    """The truth of an ocean and the observations that methods get.

    Attributes:
        name: one of `OCEANS`, a section, or the names of pooled oceans.
        fields: canonical fields of the test months, the truth.
        observations: {case: observations in the form of `observe`}.
        climatology: `mean`, the climatology of the training months at the test months.
    """

    name: str
    fields: xr.Dataset
    observations: dict[str, xr.Dataset]
    climatology: xr.Dataset

    @property
    def is_section(self) -> bool:
        return self.fields.sizes["latitude"] == 1


def normal(harmonic: xr.DataArray, fields: xr.Dataset) -> xr.Dataset:
    """Climatology at the dates of `fields`, in the form of a method's result.

    Args:
        harmonic: (term, depth, latitude, longitude) °C.
    """
    basis = harmonics(fields.time.values, harmonic.sizes["term"])
    values = np.tensordot(basis, harmonic.values, 1).astype(np.float32)
    return xr.Dataset({"mean": fields.temperature.copy(data=values).where(fields.ocean)})


def of_levels(statistics: xr.Dataset) -> xr.DataArray:
    """Harmonics of temperature, (term, depth, latitude, longitude), from `Store.statistics`."""
    first, levels = len(statistics.attrs["surfaces"]), statistics.sizes["depth"]
    inner = statistics.harmonic.isel(channel=slice(first, first + levels))
    return inner.rename(channel="depth").assign_coords(depth=statistics.depth)


def read(path) -> Ocean:
    """Read a demo ocean from its file."""
    names = {"surface": SURFACE, "surface_observed": named(SURFACE, "observed")}
    frozen = xr.load_dataset(path, engine="netcdf4").rename(names)
    for mask in ("ocean", "observed", named(SURFACE, "observed")):
        frozen[mask] = frozen[mask].astype(bool)
    truth = frozen.truth.astype(np.float32)
    truth.attrs |= {"standard_name": "sea_water_potential_temperature", "units": "degrees_C"}
    fields = frozen[["ocean", SURFACE]].assign(temperature=truth)
    observations = {}
    for case in frozen.case.values:
        masks = ["ocean", "observed", named(SURFACE, "observed")]
        seen = frozen[masks].sel(case=case, drop=True)
        seen[SURFACE] = frozen[SURFACE].where(seen[named(SURFACE, "observed")])
        observations[str(case)] = seen.assign(
            value=truth.where(seen.observed), error=xr.zeros_like(truth)
        )
    return Ocean(Path(path).stem, fields, observations, normal(frozen.harmonic, fields))


def open_ocean(name: str, folder=sections.SECTIONS) -> Ocean:
    """Open a demo ocean or a section by its name.

    Args:
        name: one of `OCEANS` or of the sections.
        folder: folder of the sections' files.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the name is unknown, or a file differs from its hash.
    """
    if name in OCEANS:
        verify(CASES / "SHA256SUMS", CASES, f"{name}.nc")
        return read(CASES / f"{name}.nc")
    store, cases = sections.open_section(name, folder)
    fields = store.fields("test")
    seen = {case: observations for case, (_, observations) in cases.items()}
    return Ocean(name, fields, seen, normal(of_levels(store.statistics()), fields))


def pooled(each: list[Ocean]) -> Ocean:
    """Oceans side by side, scored as one."""
    return Ocean(
        " + ".join(one.name for one in each),
        sections.pool([one.fields for one in each]),
        {
            case: sections.pool([one.observations[case] for one in each])
            for case in each[0].observations
        },
        sections.pool([one.climatology for one in each]),
    )


def export(ocean: Ocean, folder) -> list[Path]:
    """Write `thetao` and `surface_temperature`, missing where not observed, and `ocean`."""
    paths = []
    for case, seen in ocean.observations.items():
        path = Path(folder) / f"{ocean.name} {case.replace(' %', '%')}.nc"
        path.parent.mkdir(parents=True, exist_ok=True)
        given = seen[["value", "ocean"]].rename(value="thetao")
        given.thetao.attrs.update(ocean.fields.temperature.attrs)
        if seen[named(SURFACE, "observed")].any():
            given[SURFACE] = seen[SURFACE].assign_attrs(units="degrees_C")
        given = given.assign(ocean=given.ocean.astype("int8")).drop_encoding()
        with atomic_write(path) as beside:
            given.to_netcdf(beside, encoding={"thetao": {"zlib": True}}, engine="netcdf4")
        paths.append(path)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ocean", choices=(*OCEANS, *sections.NAMES))
    parser.add_argument("folder", type=Path, help="folder for the files of observations")
    parser.add_argument(
        "--sections", type=Path, default=sections.SECTIONS, help="folder of the sections' files"
    )
    given = parser.parse_args()
    for path in export(open_ocean(given.ocean, given.sections), given.folder):
        print(path)


if __name__ == "__main__":
    main()
