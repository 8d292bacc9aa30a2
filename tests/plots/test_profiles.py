"""Profiles of the small test ocean: bands, lines and observed columns nearby."""

import matplotlib as mpl
import numpy as np
import pytest
from pictured import make_reconstruction, panels

from ocean_lib.fields import reconstruction_file
from ocean_lib.plots import profiles

mpl.use("Agg")


@pytest.fixture(scope="module")
def reconstruction():
    return make_reconstruction()


def test_profile_defaults_to_the_most_remote_deep_column(reconstruction):
    chosen = reconstruction_file.select(reconstruction, case="profiles 1.2 %")
    row, column = profiles.most_remote_column(chosen)
    wet = chosen["ocean"].sum("depth").values
    assert wet[row, column] == wet.max() and not chosen["observed"].values[:, row, column].any()

    def remoteness(place):  # mean over levels of the distance to the nearest observation there
        return np.mean(
            [np.hypot(*(np.argwhere(level) - place).T).min() for level in chosen["observed"].values]
        )

    best = max(remoteness(place) for place in np.argwhere(wet == wet.max()))
    assert remoteness((row, column)) == pytest.approx(best)
    axes = panels(profiles.profile(reconstruction, case="profiles 1.2 %"))
    assert len(axes) == 2 and axes[0].get_ylim()[1] == 0
    with pytest.raises(ValueError, match="is land"):
        profiles.profile(reconstruction, latitude=35, longitude=178)


def test_profile_draws_without_members(reconstruction):
    none = reconstruction.assign(members=reconstruction["members"] * np.nan)
    profiles.profile(none).canvas.draw()


def test_the_nearest_observed_columns_are_found(reconstruction):
    chosen = reconstruction_file.select(reconstruction, case="blocks 50 %")
    row, column = 20, 30
    nearby = profiles.observed_columns_near(chosen, row, column, within=60, most=4)
    distances = []
    y0, x0 = float(chosen.latitude[row]), float(chosen.longitude[column])
    for i, j in np.argwhere(chosen["observed"].values.any(0)):
        y, x = float(chosen.latitude[i]), float(chosen.longitude[j])
        distances.append(111.195 * np.hypot(y - y0, np.cos(np.radians(y0)) * (x - x0)))
    expected = sorted(km for km in distances if km <= 60)[:4]
    assert [km for km, _ in nearby] == pytest.approx(expected) and len(nearby) > 1
    assert all(one["observed"].any() for _, one in nearby)


def test_nearby_anomalies_are_from_the_climatology_of_their_own_column(reconstruction):
    """Every value equals its climatology, across a front, so all marks lie on zero."""
    slope = 20 * (reconstruction["latitude"] - 34)
    front = (reconstruction["climatology"] + slope).transpose(*reconstruction["climatology"].dims)
    same = reconstruction.assign(truth=front, climatology=front)
    same["value"] = (front + 0 * reconstruction["value"]).where(same["observed"].astype(bool))
    chosen = reconstruction_file.select(same, case="profiles 1.2 %")
    row, column = 20, 30
    axes = mpl.figure.Figure().subplots()
    near = profiles.observed_columns_near(chosen, row, column)
    profiles.draw_profile(
        axes, chosen.isel(latitude=row, longitude=column), anomaly=True, observed=near
    )
    marks = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(marks) == len(near) > 0
    assert max(abs(line.get_xdata()).max() for line in marks) < 1e-4
    assert [line.get_label() for line in marks][0].startswith("observed, ")


def test_a_single_level_is_drawn_as_a_slab(reconstruction):
    one = reconstruction_file.select(reconstruction, case="blocks 50 %").isel(
        depth=[3], latitude=20, longitude=30
    )
    axes = mpl.figure.Figure().subplots()
    profiles.draw_profile(axes, one)
    band = axes.collections[0].get_paths()[0].vertices
    assert np.ptp(band[:, 0]) > 0 and np.ptp(band[:, 1]) > 0
    assert axes.get_ylim()[0] > band[:, 1].max()


def test_the_wide_band_holds_90_percent_of_the_members(reconstruction):
    chosen = reconstruction_file.select(reconstruction, case="blocks 50 %")
    row, column = 20, 30
    here = chosen.isel(latitude=row, longitude=column)
    axes = mpl.figure.Figure().subplots()
    seen = profiles.observed_columns_near(chosen, row, column)
    profiles.draw_profile(
        axes, here, beside={"optimal interpolation": here["truth"] + 1}, observed=seen
    )
    names = axes.get_legend_handles_labels()[1]
    assert names[:2] == ["members 5–95 %", "members 25–75 %"]
    assert {"truth", "ensemble mean", "optimal interpolation"} <= set(names)
    wide = axes.collections[0].get_paths()[0].vertices[:, 0]
    wet = np.asarray(here["ocean"])
    expected = np.percentile(here["members"].values[:, wet], (5, 95), axis=0)
    assert wide.min() == pytest.approx(expected[0].min(), rel=1e-6)
    assert wide.max() == pytest.approx(expected[1].max(), rel=1e-6)
