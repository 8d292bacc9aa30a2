"""One date over a domain: the dates it reads, and its noise."""

import numpy as np
import torch
from tiny import densifier

from ocean_lib.observations.batch import observe
from ocean_lib.reconstruct.domain import Domain, Noise, dates_within_reach


def test_noise_depends_neither_on_rows_nor_on_the_other_members():
    everywhere = Noise(range(3), (2, 7), 5, 0)(1, slice(0, 40))
    assert everywhere.shape == (3, 2, 40, 7)
    for rows in (slice(0, 16), slice(3, 35), slice(39, 40)):
        part = Noise([2], (2, 7), 5, 0)(1, rows)
        torch.testing.assert_close(part[0], everywhere[2, :, rows], rtol=0, atol=0)
    other_seed = Noise(range(3), (2, 7), 6, 0)(1, slice(0, 40))
    assert torch.isclose(other_seed, everywhere).float().mean() < 0.05
    flat = everywhere.reshape(3, -1).numpy()
    assert np.abs(np.corrcoef(flat) - np.eye(3)).max() < 0.2


def test_dates_within_reach_are_those_whose_months_the_background_uses(small_store):
    model = densifier(small_store, mode="regression")
    times = np.array(["2001-01-15", "2001-02-15", "2001-04-15", "2001-05-15"], "M8[ns]")
    model.background.scales = [model.background.scales[0] | {"lengths": (0.5, 37.0, 37.0)}]
    assert dates_within_reach(model, times) == [[0, 1], [0, 1], [2, 3], [2, 3]]
    model.background.scales = [model.background.scales[0] | {"lengths": (1.0, 37.0, 37.0)}]
    assert dates_within_reach(model, times) == [[0, 1], [0, 1, 2], [1, 2, 3], [2, 3]]


def test_a_lone_date_takes_no_room_for_months_that_are_not_there(small_store):
    model = densifier(small_store, mode="regression").eval()
    guess = model.background
    guess.scales = [guess.scales[0] | {"lengths": (6.0, 37.0, 37.0)}]
    assert guess.reach == 12
    fields = small_store.fields("validation", [0, 1, 2, 3, 4])
    seen = observe(fields, {"pattern": "pixels", "observed": 0.05}, 4)
    sizes = []
    for dates, number in (([2], 0), ([1, 2], 1), ([0, 1, 2, 3, 4], 2), ([0, 1, 2, 3, 4], 0)):
        ready = Domain(model, seen.isel(time=dates), number, 64)
        sizes.append(ready.batch["beside_value"].shape[1])
        assert ready.when.shape[1] == sizes[-1] + 1
        assert int(ready.when.isfinite().sum()) == len(dates)
    assert sizes == [2, 2, 4, 8]
