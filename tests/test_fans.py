"""Fans of profiles on the small ocean of the maps' tests."""

import matplotlib as mpl
import numpy as np
import pytest
from test_maps import make_reconstruction, panels

from ocean_lib import fans, labels

mpl.use("Agg")


@pytest.fixture(scope="module")
def reconstruction():
    return make_reconstruction()


def test_profile_defaults_to_theremotest_deep_column(reconstruction):
    chosen = labels.select(reconstruction, case="profiles 1.2 %")
    row, column = fans.remotest(chosen)
    wet = chosen["ocean"].sum("depth").values
    assert wet[row, column] == wet.max() and not chosen["observed"].values[:, row, column].any()

    def remoteness(place):  # mean over levels of the distance to the nearest observation there
        return np.mean(
            [np.hypot(*(np.argwhere(level) - place).T).min() for level in chosen["observed"].values]
        )

    best = max(remoteness(place) for place in np.argwhere(wet == wet.max()))
    assert remoteness((row, column)) == pytest.approx(best)
    axes = panels(fans.profile(reconstruction, case="profiles 1.2 %"))
    assert len(axes) == 2 and axes[0].get_ylim()[1] == 0
    with pytest.raises(ValueError, match="is land"):
        fans.profile(reconstruction, latitude=35, longitude=178)


def test_profile_draws_without_members(reconstruction):
    none = reconstruction.assign(members=reconstruction["members"] * np.nan)
    fans.profile(none).canvas.draw()


def test_a_fan_holds_nine_in_ten_members_and_marks_what_is_near(reconstruction):
    chosen = labels.select(reconstruction, case="blocks 50 %")
    row, column = 20, 30
    here = chosen.isel(latitude=row, longitude=column)
    seen = fans.nearby(chosen, row, column, within=20)
    count = 0
    for _, i, j in np.argwhere(chosen["observed"].values):
        y, x = (float(chosen[axis][n]) for axis, n in (("latitude", i), ("longitude", j)))
        y0, x0 = float(chosen.latitude[row]), float(chosen.longitude[column])
        count += 111.195 * np.hypot(y - y0, np.cos(np.radians(y0)) * (x - x0)) <= 20
    assert len(seen[0]) == len(seen[1]) == count > 0 and np.isfinite(seen[1]).all()
    axes = mpl.figure.Figure().subplots()
    fans.fan(axes, here, beside={"optimal interpolation": here["truth"] + 1}, observed=seen)
    names = axes.get_legend_handles_labels()[1]
    assert names[:2] == ["members 5–95 %", "members 25–75 %"]
    assert {"truth", "ensemble mean", "optimal interpolation", "observed nearby"} <= set(names)
    wide = axes.collections[0].get_paths()[0].vertices[:, 0]
    wet = np.asarray(here["ocean"])
    expected = np.percentile(here["members"].values[:, wet], (5, 95), axis=0)
    assert wide.min() == pytest.approx(expected[0].min(), rel=1e-6)
    assert wide.max() == pytest.approx(expected[1].max(), rel=1e-6)
