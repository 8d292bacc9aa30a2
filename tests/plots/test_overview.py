"""One month at a glance: rows of what a reconstruction has, and what is seen from above."""

import matplotlib as mpl
import numpy as np
import pytest
from pictured import bars, make_reconstruction, panels

from ocean_lib.plots.overview import overview
from ocean_lib.reconstruct.derived import derive_cases

mpl.use("Agg")
HEAT = "heat_content_300"


@pytest.fixture(scope="module")
def reconstruction():
    """With a sea level that one of the cases sees, and heat content."""
    made = make_reconstruction(months=2)
    made["ocean"], made["observed"] = made["ocean"].astype(bool), made["observed"].astype(bool)
    sea_level = 0.02 * made["truth"].isel(depth=0, drop=True).assign_attrs(units="m")
    made["sea_level"] = sea_level.expand_dims(case=made["case"]).assign_attrs(units="m")
    return made.merge(derive_cases(made, [HEAT], "sea_water_potential_temperature"))


def test_rows_are_what_the_reconstruction_has_and_columns_what_is_made_of_it(reconstruction):
    figure = overview(reconstruction, case="profiles 1.2 %", depth=110, derived=HEAT)
    shown = panels(figure)
    assert len(shown) == 8
    titles = [axes.get_title() for axes in shown[:4]]
    assert titles == ["Seen from above", "Truth", "Mean", "Standard error"]
    rows = [axes.get_ylabel() for axes in shown[::4]]
    assert rows[0].startswith("Temperature, ") and rows[1] == "Heat content 300 m"
    assert bars(figure) == [
        *("not seen", "Temperature (°C)", "°C"),
        *("Sea level (m)", "Heat content 300 (GJ m⁻²)", "GJ m⁻²"),
    ]
    one = reconstruction.isel(time=0).sel(case="profiles 1.2 %")
    above = shown[4].collections[-2].get_array()
    expected = one.sea_level.where(one.ocean.any("depth")).transpose("latitude", "longitude")
    np.testing.assert_allclose(np.ma.filled(above, np.nan).reshape(expected.shape), expected)
    places = int((one.observed & one.ocean).any("depth").sum())
    assert all(len(axes.collections[-1].get_offsets()) == places for axes in shown)


def test_without_a_derived_quantity_temperature_stays(reconstruction):
    figure = overview(reconstruction, derived="heat_content_2000")
    assert len(panels(figure)) == 4
