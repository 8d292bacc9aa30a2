"""The table of products."""

import pytest

from ocean_lib.fields.conventions import SURFACES
from ocean_lib.sources.catalogue import SOURCES

COPERNICUS = [name for name, source in SOURCES.items() if source.datasets]


def test_every_source_names_its_licence_and_credit():
    models = {"demo", "netcdf", "glorys12", "glorys12_daily", "armor3d"}
    assert models | {"ostia", "duacs", "multiobs"} == {*SOURCES}
    for source in SOURCES.values():
        assert source.title and source.licence and source.credit


@pytest.mark.parametrize("name", COPERNICUS)
def test_a_product_says_what_it_is_at_the_service(name):
    source = SOURCES[name]
    assert source.product_id and source.variables and source.grid
    assert "E.U. Copernicus Marine Service" in source.credit and "doi.org" in source.credit
    assert len(set(source.datasets)) == len(source.datasets) == 2  # with what continues it
    stated = (source.resolution, source.correlation, source.error)
    assert all(stated) if source.sees else not any(stated)


def test_every_surface_has_a_product():
    assert {source.sees for source in SOURCES.values()} == {"", *SURFACES}
