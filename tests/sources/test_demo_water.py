"""The water of the demo ocean: density, stability and what is made of them."""

import gsw
import numpy as np
import pytest

from ocean_lib.sources import demo_ocean, demo_water
from ocean_lib.sources.demo_forcing import Flow, Weather
from ocean_lib.sources.demo_ocean import DEPTH


@pytest.fixture(scope="module")
def parameters():
    return demo_ocean._draw_parameters(np.random.default_rng(0))


def at_rest(columns, **changes):
    """A flow and a weather of nothing, but for what is given."""
    nothing = np.zeros(columns, np.float32)
    flow = dict(upper=nothing, lower=nothing, northward=nothing, spice=nothing)
    flow |= {"streamfunction": np.zeros((3, columns), np.float32)}
    weather = dict.fromkeys(("warm", "salty", "shelf", "waves", "pumped", "level"), nothing)
    weather |= {"rough": np.zeros((2, columns)), "year": (0.0, 0.0), "decade": (0.0, 0.0)}
    given = [
        {name: changes.get(name, value) for name, value in state.items()}
        for state in (flow, weather)
    ]
    return Flow(**given[0]), Weather(**given[1])


def water(parameters, columns, floor=5000.0, openness=1.0):
    ones = np.ones(columns)
    return demo_water.Water(parameters, DEPTH, floor * ones, openness * ones, 0 * ones, 8.5e-5)


def test_profiles_are_stable_and_spice_weighs_nothing(parameters):
    warm, salty, spice_warm, spice_salty = demo_water.profiles(parameters)
    absolute = 35.16504 / 35 * salty
    squared, _ = gsw.Nsquared(absolute, gsw.CT_from_pt(absolute, warm), demo_water.LEVEL)
    assert squared[:5000].min() > 0
    both = 35.16504 / 35 * (salty + 0.2 * spice_salty)
    heavier = gsw.sigma0(both, gsw.CT_from_pt(both, warm + 0.2 * spice_warm)) - gsw.sigma0(
        absolute, gsw.CT_from_pt(absolute, warm)
    )
    alone = gsw.sigma0(absolute, warm + 0.2 * spice_warm) - gsw.sigma0(absolute, warm)
    assert np.abs(heavier[:1000]).max() < 0.15 * np.abs(alone[:1000]).max()


def test_a_displaced_column_has_the_water_from_above(parameters):
    """Below what the surface reaches, and at the interface, where displacement is whole."""
    flow, weather = at_rest(2, upper=np.array([0.0, 50.0]))
    warm, salty, _ = water(parameters, 2).day(1.0, flow, weather)
    level = int(np.abs(DEPTH - 900).argmin())
    upper, lower = parameters["interfaces"]
    origin = DEPTH[level] - 50 * (lower - DEPTH[level]) / (lower - upper) * 0.983
    for field, profile in ((warm, 0), (salty, 1)):
        expected = np.interp(origin, demo_water.LEVEL, demo_water.profiles(parameters)[profile])
        assert field[level, 1] == pytest.approx(expected, abs=3e-3)


def test_a_displacement_raises_the_sea_level_by_its_reduced_gravity(parameters):
    flow, weather = at_rest(2, upper=np.array([0.0, 10.0]))
    ocean = water(parameters, 2)
    *_, level, _ = ocean.settled(*ocean.day(8.0, flow, weather))
    expected = parameters["gravity"][0] * 10 / 9.81
    assert level[1] - level[0] == pytest.approx(expected, rel=0.25)
    flow, weather = at_rest(2, streamfunction=np.array([[0, 0], [0, 0], [0, 1e4]]))
    *_, level, _ = ocean.settled(*ocean.day(8.0, flow, weather))
    assert level[1] - level[0] == pytest.approx(8.5e-5 * 1e4 / 9.81, rel=1e-3)


def test_settling_leaves_no_heavy_water_above_and_keeps_heat_and_salt(parameters):
    rng = np.random.default_rng(0)
    ocean = water(parameters, 40, floor=90.0)
    warm = rng.normal(10, 3, (len(DEPTH), 40)).astype(np.float32)
    salty = rng.normal(34, 1, warm.shape).astype(np.float32)
    before, wet = (warm.copy(), salty.copy()), ocean.wet[:, 0]
    ocean.settle(warm, salty, np.arange(5, 40))
    absolute = 35.16504 / 35 * salty[wet]
    warmth = gsw.CT_from_pt(absolute, warm[wet])
    middle = (DEPTH[wet][1:] + DEPTH[wet][:-1])[:, None] / 2
    step = gsw.rho(absolute[1:], warmth[1:], middle) - gsw.rho(absolute[:-1], warmth[:-1], middle)
    assert step[:, 5:].min() >= -1e-9 and step[:, :5].min() < 0
    edges = (DEPTH[1:] + DEPTH[:-1]) / 2
    thickness = np.diff(np.r_[0, edges[edges < 90]])
    for old, new in zip(before, (warm, salty), strict=True):
        np.testing.assert_array_equal(old[:, :5], new[:, :5])
        np.testing.assert_array_equal(old[~wet], new[~wet])  # land takes no part
        np.testing.assert_allclose(thickness @ old[wet], thickness @ new[wet], rtol=1e-5)


def test_settling_changes_nothing_that_is_stable(parameters):
    ocean = water(parameters, 3)
    warm = np.repeat(np.linspace(20, 4, len(DEPTH), dtype=np.float32)[:, None], 3, axis=1)
    salty = np.full_like(warm, 35)
    warm[6, 1] -= 2  # the cold water mixes with what lies below, and no further than it must
    before = warm.copy()
    ocean.settle(warm, salty, np.s_[:])
    np.testing.assert_array_equal(warm[:, [0, 2]], before[:, [0, 2]])
    np.testing.assert_array_equal(warm[:6, 1], before[:6, 1])
    assert warm[6, 1] == warm[7, 1] and np.all(np.diff(warm[:, 1]) <= 0)
    np.testing.assert_array_equal(warm[16:, 1], before[16:, 1])


def test_a_float_measures_in_situ(parameters):
    ocean = water(parameters, 1)
    warm, salty = np.full((len(DEPTH), 1), 5.0), np.full((len(DEPTH), 1), 34.5)
    measured = ocean.in_situ(warm, salty)
    level = int(np.abs(DEPTH - 1940).argmin())
    assert 0.1 < measured["temperature"][level, 0] - 5 < 0.25  # warmed by compression
    assert measured["temperature"][0, 0] == pytest.approx(5, abs=1e-3)
