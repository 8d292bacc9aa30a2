"""Floats against a flow that is known, and against the water that they measure."""

import numpy as np
import pandas as pd

from ocean_lib.sources.demo_floats import CYCLE, DEEPEST, Fleet

SHAPE, SPACING = (60, 80), np.array([9.0, 7.0])
DEPTH = np.array([5.0, 500.0, 1500.0, 2500.0])


def fleet(bathymetry=4000.0, area=400.0):
    floor = np.broadcast_to(bathymetry, SHAPE)
    return Fleet(floor, SPACING, area, np.random.default_rng(0))


def centred(place):
    """Distance north and east of the middle of the domain, km."""
    return (place - np.array(SHAPE) / 2) * SPACING


def test_floats_turn_with_a_vortex_and_keep_their_distance():
    """A streamfunction omega r² / 2 turns everything by omega t."""
    floats, omega = fleet(), 2e-6  # s-1
    north, east = np.moveaxis(centred(np.moveaxis(np.indices(SHAPE), 0, -1)), -1, 0)
    before = centred(floats.place)
    inside = np.hypot(*before.T) < 200
    for _ in range(4):
        floats.drift(omega * (north**2 + east**2) / 2 * 1e6, 5.0)
    after, angle = centred(floats.place), omega * 20 * 86400
    expected = np.stack(
        [
            before[:, 0] * np.cos(angle) + before[:, 1] * np.sin(angle),
            before[:, 1] * np.cos(angle) - before[:, 0] * np.sin(angle),
        ],
        axis=1,
    )
    assert inside.sum() > 5
    np.testing.assert_allclose(after[inside], expected[inside], atol=5)


def test_a_float_that_leaves_is_replaced_by_another():
    floats = fleet()
    before = floats.name.copy()
    north = np.indices(SHAPE)[0] * SPACING[0] * 1e3
    floats.drift(-0.3 * north, 5.0)  # 0.3 m/s eastward: 130 km
    new = floats.name != before
    assert 0 < new.sum() < len(new)
    assert set(floats.name[new]).isdisjoint(before) and (floats.cycle == 0).all()
    assert (floats.place >= -0.5).all() and (floats.place < np.array(SHAPE) - 0.5).all()


def test_casts_hold_the_water_of_their_place_within_the_error_of_the_instrument():
    floats = fleet(np.where(np.arange(80) < 40, 600.0, 4000.0))
    assert (floats.place[:, 1] > 39).all()  # none is deployed in shallow water
    field = np.random.default_rng(1).normal(10, 5, (4, *SHAPE))
    field[3, :, :] = np.nan
    fields = {"temperature": field, "salinity": field / 10 + 30}
    days = []
    for day in range(CYCLE):
        which = floats.surfaced(day)
        row, column = floats.cells(which)
        water = {name: values[:, row, column] for name, values in fields.items()}
        days.append(floats.measure(which, water, DEPTH))
    casts = pd.concat(days)
    assert casts.groupby(["platform", "cycle"]).ngroups == len(floats.name)  # each once a cycle
    assert (casts.cycle == 1).all() and casts.depth.max() <= DEEPEST
    row, column = (casts[name].round().astype(int).to_numpy() for name in ("row", "column"))
    level = np.searchsorted(DEPTH, casts.depth)
    for name, limit in (("temperature", 0.02), ("salinity", 0.06)):
        error = casts[name] - fields[name][level, row, column]
        assert 0 < np.abs(error).max() < limit
        offsets = error.groupby(casts.platform).mean()
        assert offsets.std() > error.std() / 3  # an instrument keeps its offset


def test_the_number_of_floats_is_that_of_argo():
    assert len(fleet(area=90.0).name) == 10
    assert len(fleet(500.0).name) == 0  # no water is deep enough
