"""The table of products."""

import pytest

from ocean_lib.sources.catalogue import SOURCES

COPERNICUS = [name for name, source in SOURCES.items() if source.datasets]


def test_every_source_names_its_licence_and_credit():
    assert {"demo", "netcdf", "glorys12", "glorys12_daily", "armor3d", "ostia", "duacs"} == {
        *SOURCES
    }
    for source in SOURCES.values():
        assert source.title and source.licence and source.credit


@pytest.mark.parametrize("name", COPERNICUS)
def test_a_product_says_what_it_is_at_the_service(name):
    source = SOURCES[name]
    assert source.product_id and source.variables and source.grid
    assert "E.U. Copernicus Marine Service" in source.credit and "doi.org" in source.credit
    assert len(set(source.datasets)) == len(source.datasets) == 2  # with what continues it
    assert bool(source.sees) == bool(source.footprint) == bool(source.error)
