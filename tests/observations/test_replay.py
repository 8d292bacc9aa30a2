"""Real positions in patches: the right cells of the right months, and refused indices."""

import gdac
import numpy as np
import pandas as pd
import pytest
import torch

from ocean_lib.model.patches import PatchSampler
from ocean_lib.observations import replay
from ocean_lib.observations import specification as masks
from ocean_lib.observations.batch import observe


@pytest.fixture
def index(tmp_path):
    """Three months: two profiles, one across the date line and one far away, and none."""
    rows = [
        ("2005-01-03", 34.0, -64.5),
        ("2005-01-20", 33.5, -63.7),
        ("2005-02-03", 34.2, 296.0),
        ("2005-02-09", -60.0, 10.0),
        ("2005-04-01", 33.9, -64.0),
    ]
    path = tmp_path / "positions.csv"
    pd.DataFrame(rows, columns=["time", "latitude", "longitude"]).to_csv(path, index=False)
    return str(path)


def axes(number, latitude, longitude):
    return tuple(torch.tensor(axis).expand(number, -1) for axis in (latitude, longitude))


def test_positions_lie_in_their_cells(index):
    latitude, longitude = 33 + np.arange(20) / 12, -65 + np.arange(28) / 12
    assert [len(month) for month in replay.open_position_index(index)] == [2, 2, 0, 1]
    places = axes(400, latitude, longitude)
    drawn = replay.replay_columns(index, *places, torch.Generator().manual_seed(0))
    kinds = {tuple(map(tuple, sample.nonzero().tolist())) for sample in drawn}

    def cell(y, x):
        return (int(abs(latitude - y).argmin()), int(abs(longitude - x).argmin()))

    january = tuple(sorted([cell(34.0, -64.5), cell(33.5, -63.7)]))
    assert kinds == {january, (cell(34.2, -64.0),), (), (cell(33.9, -64.0),)}
    turned = replay.replay_columns(
        index, *axes(400, latitude, longitude + 360), torch.Generator().manual_seed(0)
    )
    assert torch.equal(drawn, turned)


def test_dates_after_one_another_are_months_after_one_another(index):
    latitude, longitude = 33 + np.arange(20) / 12, -65 + np.arange(28) / 12
    places = axes(90, latitude, longitude)
    drawn = replay.replay_columns(index, *places, torch.Generator().manual_seed(1), dates=3)
    counts = drawn.flatten(1).sum(1).view(-1, 3).tolist()
    assert {tuple(three) for three in counts} == {(2, 1, 0), (1, 0, 1), (0, 1, 2), (1, 2, 1)}


def test_the_pattern_observes_where_floats_were(index, small_ocean, small_store):
    specification = {"pattern": "profiles", "observed": 0.01, "positions": index}
    fields = small_store.fields("test")
    seen = observe(fields, specification, 5)
    columns = seen.observed.any("depth").values
    latitude, longitude = fields.latitude.values, fields.longitude.values
    real = [(34.0, -64.5), (33.5, -63.7), (34.2, -64.0), (33.9, -64.0)]
    cells = {(abs(latitude - y).argmin(), abs(longitude - x).argmin()) for y, x in real}
    some = [set(map(tuple, np.argwhere(month))) for month in columns]
    assert any(month and month <= cells for month in some)
    # Where no float was in a month, as many as expected are drawn.
    assert all(some)
    batches = PatchSampler(small_store, "train", patch=12, specifications=[specification], seed=3)
    for step in range(8):
        batch, cuts = batches.draw_at(step, 4)
        for sample, (_, top, left) in zip(batch["observed"].any(1), cuts.tolist()):
            found = {(top + y, left + x) for y, x in sample.nonzero().tolist()}
            assert found <= cells or len(found) <= 3


def test_an_index_is_made_of_files_of_profiles(tmp_path):
    casts = [gdac.cast(cycle=1), gdac.cast(cycle=2, date_flag="4")]
    casts.append(gdac.cast(cycle=3, longitude=181.25, time="2005-07-01T00:00"))
    path = tmp_path / "index.csv"
    assert replay.write_position_index(gdac.write(tmp_path / "a.nc", casts), path) == 2
    assert [month.tolist() for month in replay.open_position_index(str(path)) if len(month)] == [
        [[34.0, -69.0]],
        [[34.0, -178.75]],
    ]


def test_a_table_that_is_no_index_is_refused(tmp_path, index):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.csv").write_text("time,latitude,longitude\n")
    base = {"pattern": "profiles", "observed": 0.1}
    for name, row in (("undated", "unknown,34,-69"), ("nowhere", "2005-03-01,,-69")):
        text = f"time,latitude,longitude\n2005-03-01,34,-69\n{row}\n"
        (tmp_path / f"{name}.csv").write_text(text)
        with pytest.raises(ValueError, match="row 2 lacks a value"):
            masks.check_patterns([base | {"positions": str(tmp_path / f"{name}.csv")}])
    for name, words in (("other", "not a table with"), ("none", "not a table"), ("empty", "0 pos")):
        with pytest.raises(ValueError, match=words):
            masks.check_patterns([base | {"positions": str(tmp_path / f"{name}.csv")}])
    with pytest.raises(ValueError, match="belong to the pattern profiles, not blocks"):
        masks.check_patterns([{"pattern": "blocks", "observed": 0.1, "positions": index}])
