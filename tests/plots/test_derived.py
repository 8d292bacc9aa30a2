"""Maps and time series of derived quantities."""

import matplotlib as mpl
import numpy as np
import pytest
from pictured import bars, make_reconstruction, panels

from ocean_lib.plots import derived
from ocean_lib.reconstruct.derived import derive_cases

mpl.use("Agg")
HEAT = "heat_content_300"


@pytest.fixture(scope="module")
def reconstruction():
    """Of truth, climatology and members, each observed column seen at the middle level."""
    made = make_reconstruction(months=4)
    made["ocean"], made["observed"] = made["ocean"].astype(bool), made["observed"].astype(bool)
    return made.merge(derive_cases(made, [HEAT], "sea_water_potential_temperature"))


def test_maps_are_in_gigajoules_and_error_and_spread_apart(reconstruction):
    figure = derived.derived_maps(reconstruction, HEAT, case="profiles 1.2 %")
    assert [axes.get_title() for axes in panels(figure)] == [
        *("Truth", "Mean", "Mean − truth", "Spread")
    ]
    assert bars(figure) == [
        *("Heat content 300 (GJ m⁻²)", "Difference (GJ m⁻²)", "Spread (GJ m⁻²)")
    ]
    assert "300 m" in figure.get_suptitle() and "profiles 1.2 %, Apr 2015" in figure.get_suptitle()
    shown = panels(figure)[0].collections[-1].get_array()
    truth = reconstruction[f"{HEAT}_truth"].isel(time=0).transpose("latitude", "longitude")
    np.testing.assert_allclose(np.ma.filled(shown, np.nan), truth * 1e-9, rtol=1e-6)
    # Places of the profiles, on all maps but the truth.
    marked = [len(axes.collections[-1].get_offsets()) for axes in panels(figure)[1:]]
    one = reconstruction.isel(time=0).sel(case="profiles 1.2 %")
    assert marked == [int((one.observed & one.ocean).any("depth").sum())] * 3


def test_the_region_in_time_has_the_truth_beside_the_band_of_the_members(reconstruction):
    figure = derived.regional_mean(reconstruction, HEAT)
    assert [axes.get_title() for axes in panels(figure)] == reconstruction.case.values.tolist()
    weight = np.cos(np.deg2rad(reconstruction.latitude.values))[:, None]

    def mean(values):
        values = values.transpose(..., "latitude", "longitude").values * 1e-9
        known = weight * np.isfinite(values)
        return np.nansum(values * weight, (-2, -1)) / known.sum((-2, -1))

    for case, axes in zip(reconstruction.case.values, panels(figure)):
        one = reconstruction.sel(case=case)
        lines = {line.get_label(): line.get_ydata() for line in axes.lines}
        for label, part in (("truth", "truth"), ("ensemble mean", "mean"), ("climatology",) * 2):
            np.testing.assert_allclose(lines[label], mean(one[f"{HEAT}_{part}"]), rtol=1e-5)
        members = mean(one[f"{HEAT}_members"].transpose("member", "time", ...))
        band = axes.collections[0].get_paths()[0].vertices[:, 1]
        low, high = np.quantile(members, (0.05, 0.95), axis=0)
        np.testing.assert_allclose([band.min(), band.max()], [low.min(), high.max()], rtol=1e-5)
        assert axes.get_ylabel() in ("", "Heat content 300 (GJ m⁻²)")
