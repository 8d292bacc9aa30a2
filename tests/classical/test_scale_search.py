"""The search for scales, against the exact posterior of simulated Gaussian fields."""

import numpy as np
import pytest
import torch
from tiny import gaussian_ocean

from ocean_lib.classical import scale_search
from ocean_lib.classical.optimal_interpolation import OptimalInterpolation
from ocean_lib.classical.regression import CovarianceRegression, channel_covariance
from ocean_lib.classical.validation import Validation
from ocean_lib.observations.batch import observe
from ocean_lib.store.store import build_store

SIDE = 28


def dense_error(fields, observed, lengths, smoothness, slow=(0.0, 1.0)):
    """RMS error at every fifth hidden cell of the posterior mean by one dense solve."""
    months, rows, columns = lengths

    def covariance(one, other):
        t, y, x = (np.subtract.outer(a, b) for a, b in zip(one, other, strict=True))
        apart = np.sqrt(2 * smoothness) * np.hypot(y / rows, x / columns)
        further = apart**2 / 3 if smoothness == 2.5 else 0.0
        memory = (1 - slow[0]) * np.exp(-abs(t) / months) + slow[0] * np.exp(-abs(t) / slow[1])
        return (1 + apart + further) * np.exp(-apart) * memory

    seen, hidden = np.nonzero(observed), every_fifth(observed)
    among = covariance(seen, seen) + 1e-6 * np.eye(len(seen[0]))
    mean = covariance(hidden, seen) @ np.linalg.solve(among, fields[seen])
    return np.sqrt(((mean - fields[hidden]) ** 2).mean())


def every_fifth(observed):
    return tuple(index[::5] for index in np.nonzero(~observed))


def tuned(tmp_path, case, lengths, smoothness, slow=(0.0, 1.0), dates=6, **choices):
    """The tuned method, its error and stated error on the test months, and that of dense solving.

    The record is so long that the climatology, which the dense solve knows, hardly matters.
    """
    ocean = gaussian_ocean(lengths, 1200, SIDE, SIDE, smoothness=smoothness, slow=slow)
    store = build_store(ocean, tmp_path / "s", validation=60, test=dates, gap=3)
    regression = CovarianceRegression(channel_covariance(store), 0)
    check = Validation(store, case, 0)
    _, method = scale_search.tune_interpolation(check, regression, **choices)
    fields = store.fields("test")
    seen = observe(fields, case, 5)
    found, observed = method(seen, store.statistics()), seen.observed.values[:, 0]
    mean, error = (found[name].values[:, 0] for name in ("mean", "error"))
    truth, hidden = fields.temperature.values[:, 0], every_fifth(observed)
    actual = np.sqrt(((mean - truth)[hidden] ** 2).mean())
    stated = np.sqrt((error[hidden] ** 2).mean())
    return method, actual, stated, dense_error(truth, observed, lengths, smoothness, slow)


@pytest.mark.parametrize("pattern, observed", [("pixels", 0.12), ("blocks", 0.5)])
def test_a_smooth_field_is_interpolated_as_well_as_can_be(tmp_path, pattern, observed):
    """Matérn 5/2: within 3 % of a dense solve, which knows the covariance."""
    case = {"pattern": pattern, "observed": observed}
    method, actual, stated, exact = tuned(tmp_path, case, (0.8, 6.0, 4.0), 2.5, evaluations=60)
    assert method.scales["kernel"] == "matern52"
    assert actual < 1.03 * exact
    assert stated == pytest.approx(actual, rel=0.2)


def test_two_time_scales_are_found_where_there_are_two(tmp_path):
    case, slow = {"pattern": "pixels", "observed": 0.03}, (0.5, 30.0)
    given = tmp_path, case, (0.5, 5.0, 5.0), 1.5, slow
    method, actual, _, exact = tuned(*given, dates=30, evaluations=60)
    share, months = method.scales["slow"]
    assert 0.2 < share < 0.7 and 8 < months < 80
    assert actual < 1.03 * exact


def test_one_time_scale_stays_one(tmp_path):
    case = {"pattern": "pixels", "observed": 0.05}
    method, *_ = tuned(tmp_path, case, (1.5, 5.0, 5.0), 1.5, evaluations=30)
    assert "slow" not in method.scales


def test_every_likelihood_is_that_of_the_blocks_and_neighbours_in_use(small_store, monkeypatch):
    """What the search evaluates at its end is what a reconstruction has there."""
    regression = CovarianceRegression(channel_covariance(small_store), 1)
    check = Validation(small_store, {"pattern": "blocks", "observed": 0.5, "surface": 0.0}, 0)
    used, whole = [], OptimalInterpolation.posterior

    def noted(self, prepared, targets):
        found = whole(self, prepared, targets)
        used.append((self.scales, targets, found[0]))
        return found

    monkeypatch.setattr(OptimalInterpolation, "posterior", noted)
    _, method = scale_search.tune_interpolation(check, regression, 6)
    searched = [
        (targets, mean)
        for scales, targets, mean in used
        if scales == method.scales and targets is check.search_targets
    ]
    field, _ = method.analyse(check.batch, check.observations)
    targets, mean = searched[-1]
    t, y, x = targets.T
    hidden = check.hidden[t, :, y, x]
    torch.testing.assert_close(field[t, :, y, x][hidden], mean[hidden], atol=1e-4, rtol=1e-3)
