"""How many evaluations a sample needs, on a tiny model."""

import numpy as np
import pytest
from tiny import astir, densifier

from ocean_lib.observations.batch import observe
from ocean_lib.plots.curves import scores_by_evaluations as draw
from ocean_lib.reconstruct.convergence import score_by_evaluations
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.scores import metrics
from ocean_lib.scores.hidden import hidden_ocean

CHOICES = {"members": 3, "sampling": Sampling(seed=4)}


@pytest.fixture(scope="module")
def case(small_store):
    model = astir(densifier(small_store))
    fields = small_store.fields("validation", [0])
    seen = observe(fields, {"name": "half", "pattern": "blocks", "observed": 0.5}, 3)
    return model, fields, {"half": seen}


def test_each_number_is_scored_as_its_own_reconstruction_is(case):
    model, fields, cases = case
    seen = []

    def progress(records):
        seen.extend(records)
        return records

    table = score_by_evaluations(model, fields, cases, [2, 5], **CHOICES, progress=progress)
    assert seen == [("half", 2), ("half", 5)]
    assert table.columns.tolist() == ["case", "evaluations", "rmse", "crps", "spread_skill"]
    members = reconstruct(model, cases["half"], members=3, sampling=Sampling(5, seed=4)).members
    where = hidden_ocean(fields, cases["half"]).values
    error = (members.mean("member") - fields.temperature).values[where]
    assert table["rmse"][1] == pytest.approx(float(np.sqrt((error**2).mean())), rel=1e-5)
    terms = metrics.terms(
        members.mean("member").values[where],
        fields.temperature.values[where],
        members=members.transpose("member", ...).values[:, where],
    )
    assert table["crps"][1] == pytest.approx(terms["crps"].mean(), rel=1e-5)
    assert table["rmse"][0] != table["rmse"][1]


def test_the_figure_has_a_panel_a_score_and_a_line_a_case(case):
    model, fields, cases = case
    twice = cases | {"again": cases["half"]}
    figure = draw(score_by_evaluations(model, fields, twice, [2, 3], members=2))
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 2]
    assert [axes.get_ylabel() for axes in figure.axes] == ["RMSE (°C)", "CRPS (°C)", "Spread–skill"]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xdata(), [2, 3])
