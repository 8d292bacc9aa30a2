"""Scores of several runs side by side, and what is said where that is impossible."""

import matplotlib as mpl
import nbformat
import pandas as pd
import pytest

from ocean_lib.runs.parameters import NOTEBOOKS
from ocean_lib.scores import report
from ocean_lib.scores.evaluation import COLUMNS

mpl.use("Agg")


@pytest.fixture
def files(tmp_path):
    found = {}
    for k, (run, cases) in enumerate({"first": ["a", "b"], "second": ["b", "a", "c"]}.items()):
        rows = [
            (method, "truth", case, depth, metric, k + value, k + 0.1, k + 0.9, 1000 + k)
            for method, value in (("climatology", 0.8), ("reconstruction", 0.5))
            for case in cases
            for depth in ("all", "0-5", "100-300", "2.0")
            for metric in ("rmse", "crps")
        ]
        rows.append(("reconstruction", "climatology", "a", "all", "rmse_difference", -1, -2, 0, 9))
        found[run] = tmp_path / f"{run}.csv"
        pd.DataFrame(rows, columns=COLUMNS).to_csv(found[run], index=False)
    return found


def test_runs_stand_beside_each_other_over_common_cases(files):
    scores = report.read_scores(files)
    assert list(scores.columns) == ["run", *COLUMNS] and set(scores.case) == {"a", "b"}
    table = report.compare_runs(scores)
    assert list(table.columns) == ["first", "second"]
    assert list(table.index) == [
        (case, depth) for case in "ab" for depth in ("all", "0-5", "100-300", "hidden cells")
    ]
    assert table.loc[("b", "100-300"), "first"] == "0.500 [0.100, 0.900]"
    assert table.loc[("a", "all"), "second"] == "1.500 [1.100, 1.900]"
    assert table.loc[("a", "hidden cells")].tolist() == ["1,000", "1,001"]


def test_what_is_missing_is_named_with_the_command_that_makes_it(files, tmp_path):
    missing = {"third": tmp_path / "none.csv", "fourth": tmp_path / "neither.csv"}
    with pytest.raises(FileNotFoundError, match="no scores of third, fourth.*run third; python"):
        report.read_scores(files | missing)
    other = pd.read_csv(files["first"]).replace({"case": {"a": "x", "b": "y"}})
    other.to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(ValueError, match="no case is common.*'first': \\['a', 'b'\\]"):
        report.read_scores(files | {"other": tmp_path / "other.csv"})
    with pytest.raises(ValueError, match="no score of 'nonsense'.*crps"):
        report.compare_runs(report.read_scores(files), "nonsense")


def test_the_notebook_is_stored_clean_and_lays_runs_side_by_side(files, tmp_path, monkeypatch):
    for run, file in files.items():
        (tmp_path / "outputs" / run).mkdir(parents=True)
        file.rename(tmp_path / "outputs" / run / "scores.csv")
    monkeypatch.setenv("OCEAN_WORKSPACE", str(tmp_path))
    notebook = nbformat.read(NOTEBOOKS / "compare_runs.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert [cell.metadata.get("tags") for cell in code[:2]] == [["parameters"], None]
    names = {"runs": ["second", "first"], "metric": "crps"}
    for cell in code[1:]:
        exec(cell.source, names)
    assert set(names["ours"]["run"]) == {"first", "second"}
    with pytest.raises(FileNotFoundError, match="no scores of demo"):
        exec(code[1].source, {"runs": ["demo"]})
    assert not (tmp_path / "outputs" / "demo").exists()
