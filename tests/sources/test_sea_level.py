"""An altimeter's sea level in terms of a model's: a pair that differs in known ways."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from ocean_lib.sources.sea_level import TREND, TREND_ERROR, aligned
from ocean_lib.store.climatology import fit_climatology, harmonics

GRID = {"latitude": 30 + np.arange(6) / 4, "longitude": -60 + np.arange(8) / 4}
DIMS = ["time", "latitude", "longitude"]


@pytest.fixture(scope="module")
def pair():
    """A model's sea level and an altimeter's: another mean, another season, and a rise."""
    rng = np.random.default_rng(1)
    times = pd.date_range("2000-01-16", periods=120, freq="MS").values + np.timedelta64(15, "D")
    shape = (120, 6, 8)
    model = 0.6 + 0.3 * rng.normal(size=(6, 8)) + 0.1 * rng.normal(size=shape)
    model[:, 0, :3] = np.nan
    difference = 0.05 * rng.normal(size=(5, 6, 8))  # mean and harmonics of each cell
    difference[0] += -0.6
    middle = times[0] + (times[:60] - times[0]).mean()
    years = (times - middle) / np.timedelta64(31_557_600, "s")
    view = model + np.tensordot(harmonics(times, 5), difference, 1) + TREND * years[:, None, None]
    # Anomalies: the model's own mean is not in them.
    own = model[:60].mean(0) - 0.6
    view = np.where(np.isnan(view), 0.123, view - own)
    arrays = (xr.DataArray(v, {"time": times, **GRID}, DIMS) for v in (view, model))
    view, model = (array.chunk(time=7) for array in arrays)
    return view, model.assign_attrs(units="m", standard_name="sea_surface_height_above_geoid")


def test_offset_season_and_trend_are_gone_to_rounding(pair):
    view, model = pair
    found = aligned(view, model, model.time.values[:60], 0.02)
    assert found.chunks is not None and found.dtype == np.float32
    np.testing.assert_allclose(found, model, atol=2e-6)
    assert found.attrs["units"] == "m"


def test_the_uncertain_trend_is_counted_by_the_distance(pair):
    view, model = pair
    train = model.time.values[:60]
    years = (model.time.values[-1] - train[0] - (train - train[0]).mean()) / np.timedelta64(1, "D")
    expected = np.hypot(0.02, TREND_ERROR * years / 365.25)
    found = aligned(view, model, train, 0.02).attrs["error"]
    assert found == pytest.approx(expected, rel=1e-6) and 0.02 < found < 0.021
    near = aligned(view[:61], model, train, 0.02).attrs["error"]
    assert near < found


def test_a_part_of_the_dates_is_as_good_as_all(pair):
    """Gaps between training and later dates need no view."""
    view, model = pair
    chosen = np.r_[0:60, 100:120]
    found = aligned(view[chosen], model, model.time.values[:60], 0.02)
    np.testing.assert_allclose(found, model[chosen], atol=2e-6)


def test_anomalies_stay_what_they_are_and_the_climatology_is_the_models(pair):
    """With an unrelated altimeter: its anomaly from its own climatology, about the model's."""
    _, model = pair
    rng = np.random.default_rng(2)
    view = model.copy(data=0.1 * rng.normal(size=model.shape))
    train = model.time.values[:60]
    found = aligned(view, model, train, 0.02).compute()
    ocean = np.isfinite(model[0].values)
    normal = [
        np.tensordot(
            harmonics(train, 5),
            fit_climatology((f[ocean][None, None] for f in a.values), train, 5, (1, 1, 45))[0],
            1,
        )
        for a in (found[:60], model[:60].compute())
    ]
    np.testing.assert_allclose(*normal, atol=2e-6)
    np.testing.assert_allclose(
        (found[:60].values[:, ocean] - normal[1][:, 0, 0]).std(), 0.1, rtol=0.1
    )


def test_a_gap_of_the_model_and_its_land(pair):
    view, model = pair
    model = model.compute()
    model[5, 3, 3] = np.nan
    found = aligned(view, model, model.time.values[:60], 0.02)
    assert np.isnan(found[:, 0, :3]).all() and np.isfinite(found[:, 3, 3]).all()
    others = np.ones((6, 8), bool)
    others[3, 3] = False
    np.testing.assert_allclose(found.where(others), model.where(others), atol=2e-6)


def test_topography_in_place_of_anomalies_is_refused(pair):
    view, model = pair
    with pytest.raises(ValueError, match=r"is 0\.\d+ m .*limit 0.25 m; .*dynamic topography.*sla"):
        aligned(model.fillna(0.0), model, model.time.values[:60], 0.02)
    aligned(view + 0.1, model, model.time.values[:60], 0.02)
