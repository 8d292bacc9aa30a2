"""The forcing of the demo ocean: memory, scales and independence of its parts."""

import numpy as np
import pytest

from ocean_lib.sources import demo_forcing, demo_ocean

SHAPE, SPACING = (48, 64), np.array([9.3, 7.5])


@pytest.fixture(scope="module")
def days():
    generator = np.random.default_rng(3)
    parameters = demo_ocean._draw_parameters(generator)
    flow = demo_forcing.flow(SHAPE, SPACING, 8.5e-5, parameters, generator)
    return [next(flow) for _ in range(120)]


@pytest.fixture(scope="module")
def weather():
    states = demo_forcing.weather(SHAPE, SPACING, np.random.default_rng(0))
    return [next(states) for _ in range(240)]


def correlation(first, second):
    return np.corrcoef(np.ravel(first), np.ravel(second))[0, 1]


def test_two_interfaces_and_spice_are_not_one_mode(days):
    upper, lower, spice = (
        np.array([getattr(day, name) for day in days]) for name in ("upper", "lower", "spice")
    )
    upper, lower, spice = (field - field.mean(axis=0) for field in (upper, lower, spice))
    assert 0.1 < correlation(upper, lower) < 0.95
    assert abs(correlation(upper, spice)) < 0.4 and abs(correlation(lower, spice)) < 0.4


def test_interfaces_are_in_balance_with_the_flow(days):
    """Reduced gravity times the slope of an interface is f times the difference of velocity."""
    parameters = demo_ocean._draw_parameters(np.random.default_rng(3))
    for day in days[::40]:
        for layer, displacement in enumerate((day.upper, day.lower)):
            difference = day.streamfunction[layer] - day.streamfunction[layer + 1]
            expected = 8.5e-5 * difference / parameters["gravity"][layer]
            np.testing.assert_allclose(displacement, expected, rtol=1e-3, atol=1e-2)


def test_currents_are_those_of_a_western_boundary(days):
    """Fields of a day follow each other within the month, and not over a quarter of a year."""
    speeds = []
    for day in days[::10]:
        slopes = np.gradient(day.streamfunction[0], *(1000 * SPACING))
        speeds.append(np.hypot(*slopes))
    assert 0.08 < np.sqrt(np.mean(np.square(speeds))) < 0.6  # m s-1
    upper = np.array([day.upper for day in days])
    upper -= upper.mean(axis=0)
    assert correlation(upper[1:], upper[:-1]) > 0.8
    assert correlation(upper[18:], upper[:-18]) < 0.5


def test_weather_has_unit_deviation_its_memory_and_no_common_part(weather):
    memory = {"warm": 1.5, "salty": 2.5, "shelf": 2.8, "pumped": 2.5}
    fields = {name: np.array([getattr(day, name) for day in weather]) for name in memory}
    for name, months in memory.items():
        field = fields[name]
        assert 0.6 < field.std() < 1.5
        after = correlation(field[demo_forcing.DAYS :], field[: -demo_forcing.DAYS])
        assert abs(after - np.exp(-1 / months)) < 0.2
    assert abs(correlation(fields["warm"], fields["salty"])) < 0.3


def test_small_scales_are_rough(weather):
    """A smooth field differs four times as much over twice the distance, a rough one twice."""
    rough = np.array([day.rough for day in weather[::6]])
    near, far = (np.mean((rough[..., n:] - rough[..., :-n]) ** 2) for n in (1, 2))
    assert far / near < 3.6


def test_a_state_is_cut_to_columns(days):
    where = np.random.default_rng(0).random(SHAPE) < 0.3
    cut = days[0].at(where)
    assert cut.upper.shape == (where.sum(),) and cut.streamfunction.shape == (3, where.sum())
    np.testing.assert_allclose(cut.spice, days[0].spice[where], rtol=1e-6)
