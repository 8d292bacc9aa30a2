"""Tables, verdicts and summaries say what the rows say, and claim no more than the intervals.

Scores of several runs side by side, and the errors where that is impossible.
"""

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest

from ocean_lib.runs.parameters import NOTEBOOKS
from ocean_lib.scores import report
from ocean_lib.scores.score_table import COLUMNS, read_scores, write_scores

mpl.use("Agg")
NAN = np.nan


def truth(method, value, metric="rmse", layer="all", case="half", low=NAN, high=NAN):
    cover = "temperature", layer, NAN, None
    return (method, "truth", case, *cover, metric, value, low, high, 1234567)


def difference(rival, value, low, high, metric="rmse", layer="all", method="ours", case="half"):
    metric = f"{metric}_difference"
    return (method, rival, case, "temperature", layer, NAN, None, metric, value, low, high, 1234567)


def block(rival, number, value, layer="all"):
    metric = "rmse_difference_block"
    return ("ours", rival, "half", "temperature", layer, NAN, number, metric, value, NAN, NAN, 9)


def frame(*rows):
    return pd.DataFrame(rows, columns=COLUMNS)


def verdict(*rows):
    return report.verdict(frame(*rows), ours="ours").splitlines()


# --- table ------------------------------------------------------------------------------------


def three():
    """linear is best, close does not differ from it significantly, ours is worse."""
    return [
        truth("close", 0.31, low=0.25, high=0.4),
        truth("ours", 0.5, low=0.4, high=0.6),
        truth("linear", 0.3, low=0.2, high=0.4),
        difference("close", -0.01, -0.05, 0.03, method="linear"),
        difference("ours", -0.2, -0.3, -0.1, method="linear"),
        difference("close", 0.19, 0.1, 0.3),
        difference("linear", 0.2, 0.1, 0.3),
    ]


def test_the_table_has_the_best_in_bold_and_marks_what_is_not_told_apart():
    shown = report.table(frame(*three()))
    assert list(shown.index) == ["close", "ours", "linear"] and list(shown.columns) == ["half"]
    assert list(shown["half"]) == [
        "0.310 [0.250, 0.400] ≈", "0.500 [0.400, 0.600]", "**0.300 [0.200, 0.400]**"
    ]  # fmt: skip


def test_the_table_has_methods_by_cases_and_chooses_metric_and_layer():
    other = [truth("linear", 0.1, case="argo"), truth("model", 0.7, case="argo")]
    layer = [truth("ours", 0.2, "crps", "100-300"), truth("linear", 0.25, "crps", "100-300")]
    scores = frame(*three(), *other, *layer)
    shown = report.table(scores)
    assert list(shown.index) == ["close", "ours", "linear", "model"]
    assert list(shown["argo"]) == ["", "", "**0.100**", "0.700"]
    assert list(report.table(scores, "crps", "100-300")["half"]) == ["**0.200**", "0.250"]
    bare = frame(*three(), truth("linear", 0.2, "crps"))  # the others state no uncertainty
    assert report.table(bare, "crps")["half"].to_dict() == {
        "close": "", "ours": "", "linear": "**0.200**"
    }  # fmt: skip
    with pytest.raises(ValueError, match="no score of 'crps' in layer 'all'.*100-300"):
        report.table(scores, "crps")


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [
        ("mae", (0.1, 0.2), 0),
        ("bias", (-0.3, 0.1), 1),
        ("skill", (0.1, 0.9), 1),
        ("ssim_all_pixels", (0.1, 0.9), 1),
        ("spread_skill", (0.6, 1.2), 1),
        ("coverage", (0.99, 0.85), 1),
        ("spread", (0.1, 0.2), None),
    ],
)
def test_what_is_best_depends_on_the_score(metric, values, best):
    scores = frame(*(truth(name, value, metric) for name, value in zip("ab", values)))
    bold = [text.startswith("**") for text in report.table(scores, metric)["half"]]
    assert bold == [best == 0, best == 1]


# --- verdict ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((-0.2, -0.3, -0.1), "half · RMSE · ours − rival: -0.200 [-0.300, -0.100] °C, better"),
        ((0.2, 0.1, 0.3), "half · RMSE · ours − rival: +0.200 [+0.100, +0.300] °C, worse"),
        ((-0.1, -0.3, 0.1), "-0.100 [-0.300, +0.100] °C, no difference beyond chance"),
        ((0.1, -0.1, 0.3), "+0.100 [-0.100, +0.300] °C, no difference beyond chance"),
        ((0.1, NAN, NAN), "ours − rival: +0.100 °C, no claim"),
    ],
)
def test_the_verdict_claims_no_more_than_the_interval(numbers, words):
    (line,) = verdict(difference("rival", *numbers))
    assert line.endswith(words)


def test_the_verdict_goes_by_case_score_and_layer_and_is_of_ours_alone():
    rows = [
        difference("linear", -0.1, -0.2, -0.05),
        difference("oi", 0.1, 0.05, 0.2, "crps"),
        difference("linear", -0.1, -0.2, -0.05, layer="100-300"),
        difference("oi", -0.1, -0.2, -0.05, layer="100-300"),
        difference("eof", 0.1, 0.05, 0.2, layer="100-300"),
        difference("eof", 0.1, -0.05, 0.2, layer="5-100"),
        difference("linear", -0.4, -0.5, -0.3, case="argo"),
        difference("linear", -0.4, -0.5, -0.3, method="oi"),
    ]
    assert verdict(*rows) == [
        "half · RMSE · ours − linear: -0.100 [-0.200, -0.050] °C, better",
        "half · RMSE · 5-100 m: no difference beyond chance from eof",
        "half · RMSE · 100-300 m: better than linear, oi; worse than eof",
        "half · CRPS · ours − oi: +0.100 [+0.050, +0.200] °C, worse",
        "argo · RMSE · ours − linear: -0.400 [-0.500, -0.300] °C, better",
    ]
    assert report.verdict(frame()) == ""


def test_too_few_blocks_print_every_block_and_no_claim():
    rows = [
        difference("linear", -0.1, NAN, NAN),
        difference("linear", 0.2, NAN, NAN, layer="100-300"),
        block("linear", 1, -0.3), block("linear", 2, 0.1), block("oi", 1, 0.7),
        block("linear", 1, 0.25, "100-300"),
    ]  # fmt: skip
    assert verdict(*rows) == [
        "half · RMSE · ours − linear: -0.100 °C, no claim "
        "(too few blocks; by block -0.300, +0.100)",
        "half · RMSE · 100-300 m: no claim about linear (too few blocks; by block +0.250)",
    ]


# --- summary ----------------------------------------------------------------------------------


def test_the_summary_is_honest_and_whole():
    rows = three() + [
        truth("ours", 0.2, "crps"), truth("linear", 0.25, "crps"), truth("close", 0.3, "crps"),
        truth("ours", 1.1, "spread_skill"), truth("ours", 0.93, "coverage", low=0.9, high=0.95),
        difference("linear", -0.05, -0.1, -0.01, "crps"),
    ]  # fmt: skip
    text = report.summary(frame(*rows), ours="ours", dates=18)
    paragraph, *tables = text.split("\n\n")
    assert paragraph == (
        "**half** (1,234,567 hidden cells of 18 dates, 3 methods). "
        "Ours: RMSE 0.500 [0.400, 0.600] °C, CRPS 0.200 °C, spread–skill 1.100, "
        "coverage of the 90 % interval 0.930 [0.900, 0.950]. "
        "RMSE against linear, the best rival: +0.200 [+0.100, +0.300] °C, worse. "
        "CRPS against linear, the best rival: -0.050 [-0.100, -0.010] °C, better."
    )
    assert [part.splitlines()[0] for part in tables] == [
        "| RMSE (°C) | half |",
        "| CRPS (°C) | half |",
    ]
    assert tables[0].splitlines()[1:] == [
        "| --- | --- |",
        "| close | 0.310 [0.250, 0.400] ≈ |",
        "| ours | 0.500 [0.400, 0.600] |",
        "| linear | **0.300 [0.200, 0.400]** |",
    ]


def test_the_summary_claims_nothing_with_too_few_blocks():
    rows = [truth("ours", 0.2), truth("linear", 0.3), difference("linear", -0.1, NAN, NAN)]
    rows += [truth("ours", 0.2, "crps"), truth("linear", 0.3, "crps")]
    text = report.summary(frame(*rows), ours="ours")
    assert "(1,234,567 hidden cells, 2 methods)" in text
    assert "-0.100 °C, blocks too few for a claim." in text


# --- several runs --------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    found = {}
    for k, (run, cases) in enumerate({"first": ["a", "b"], "second": ["b", "a", "c"]}.items()):
        rows = [
            (
                method,
                "truth",
                case,
                "temperature",
                layer,
                depth,
                None,
                metric,
                k + value,
                k + 0.1,
                k + 0.9,
                1000 + k,
            )
            for method, value in (("climatology", 0.8), ("reconstruction", 0.5))
            for case in cases
            for layer, depth in (("all", NAN), ("0-5", NAN), ("100-300", NAN), ("", 2.0))
            for metric in ("rmse", "crps")
        ]
        rows.append(difference("climatology", -1, -2, 0, method="reconstruction", case="a"))
        found[run] = write_scores(frame(*rows), tmp_path / f"{run}.csv")
    return found


def test_runs_stand_beside_each_other_over_common_cases(files):
    scores = report.read_runs(files)
    assert list(scores.columns) == ["run", *COLUMNS] and set(scores.case) == {"a", "b"}
    table = report.compare_runs(scores)
    assert list(table.columns) == ["first", "second"]
    assert list(table.index) == [
        (case, layer) for case in "ab" for layer in ("all", "0-5", "100-300", "hidden cells")
    ]
    assert table.loc[("b", "100-300"), "first"] == "0.500 [0.100, 0.900]"
    assert table.loc[("a", "all"), "second"] == "1.500 [1.100, 1.900]"
    assert table.loc[("a", "hidden cells")].tolist() == ["1,000", "1,001"]


def test_what_is_missing_is_named_with_the_command_that_makes_it(files, tmp_path):
    missing = {"third": tmp_path / "none.csv", "fourth": tmp_path / "neither.csv"}
    with pytest.raises(FileNotFoundError, match="no scores of third, fourth.*run third; python"):
        report.read_runs(files | missing)
    other = read_scores(files["first"]).replace({"case": {"a": "x", "b": "y"}})
    write_scores(other, tmp_path / "other.csv")
    with pytest.raises(ValueError, match="no case is common.*'first': \\['a', 'b'\\]"):
        report.read_runs(files | {"other": tmp_path / "other.csv"})
    with pytest.raises(ValueError, match="no score of 'nonsense'.*crps"):
        report.compare_runs(report.read_runs(files), "nonsense")
    other.drop(columns=["layer", "block"]).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(ValueError, match="other.csv lacks the columns.*--from 05_evaluation"):
        report.read_runs(files | {"other": tmp_path / "other.csv"})


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
