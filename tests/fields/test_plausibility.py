"""What may leave and what may not, value by value."""

import numpy as np
import pytest

from ocean_lib.fields.plausibility import check_field

PLACE = {
    "time": np.datetime64("1995-01-16"),
    "depth": np.array([5.0, 100.0, 600.0]),
    "latitude": np.array([35.25, 35.5]),
    "longitude": np.array([-68.0, -67.75]),
}


def check(name, value, level=1, wet=True, shape=(3, 2, 2)):
    values, ocean = np.full(shape, 1.0, np.float32), np.ones((3, 2, 2), bool)
    values[..., level, 1, 0] = value
    ocean[level, 1, 0] = wet
    check_field(name, values, ocean, PLACE)


@pytest.mark.parametrize(
    ("name", "value", "level", "limits"),
    [
        ("mean", np.nan, 1, "-10 to 36"),
        ("mean", -10.1, 1, "-10 to 36"),
        ("members", 36.1, 1, "-10 to 36"),
        ("members", 26.1, 2, "-10 to 26"),
        ("background", np.inf, 0, "-10 to 44.5"),
        ("spread", -0.1, 0, "0 to 45"),
        ("background_error", np.nan, 0, "0 to 45"),
        ("salinity_mean", 61.0, 0, "-1 to 60"),
        ("salinity_spread", -1.0, 0, "0 to 45"),
        ("oxygen_mean", np.inf, 0, "-inf to inf"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_place(name, value, level, limits):
    for shape in ((3, 2, 2), (4, 3, 2, 2)):
        with pytest.raises(ValueError) as told:
            check(name, value, level, shape=shape)
        depth = PLACE["depth"][level]
        words = (f"{name} would be {value:g}", f"{depth:.0f} m", "35.50", "-68.00", "1995-01-16")
        assert all(word in str(told.value) for word in (*words, limits)), told.value
    check(name, value, level, wet=False)  # land holds no value


def test_what_sea_water_can_be_may_leave():
    for name, value in (("mean", -2.0), ("members", 35.9), ("spread", 0.0), ("oxygen_mean", 300)):
        check(name, value)
