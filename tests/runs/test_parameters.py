"""Strict parameters: names, types, overrides, paths."""

import pytest
from tiny_chain import write_notebook

from ocean_lib.runs.parameters import (
    NOTEBOOKS,
    RunError,
    chain,
    check_types,
    declared,
    load_parameters,
)


def load(notebooks, name, overrides=()):
    return load_parameters(name, overrides, notebooks=notebooks)


def test_values_come_from_the_default_then_the_file_then_the_override(notebooks):
    assert load(notebooks, "tiny") == {
        "run": "tiny",
        "steps": 5,
        "learning_rate": 1.0e-3,
        "levels": [0, 1],
        "surface": None,
        "note": "a = b",
        "path": "",
        "fails": False,
    }
    given = ["steps=7", "levels=[3]", "learning_rate=1", "surface=sst", "note=2010", "run=other"]
    resolved = load(notebooks, "tiny", given)
    assert [resolved[key] for key in ("steps", "levels", "learning_rate")] == [7, [3], 1]
    assert [resolved[key] for key in ("surface", "note", "run")] == ["sst", "2010", "other"]


@pytest.mark.parametrize(
    "override, message",
    [
        ("step=7", "did you mean 'steps'"),
        ("steps=7.5", "must be int"),
        ("steps=true", "must be int"),
        ("learning_rate=1e-4", "write 1.0e-4"),
        ("learning_rate=25E3", r"write 25\.0e\+3"),
        ("levels=3", r"must be list\[int\]"),
        ("levels=[0, a]", r"must be list\[int\]"),
        ("fails=1", "must be bool"),
        ("surface=no", "quote it"),
        ("steps", "write key=value"),
        ("steps=[", "is not YAML"),
    ],
)
def test_a_misfit_is_refused_with_its_remedy(notebooks, override, message):
    with pytest.raises(RunError, match=message):
        load(notebooks, "tiny", [override])


def test_names_in_the_file_are_checked_too(notebooks):
    (notebooks / "parameters" / "wrong.yaml").write_text("learning_rat: 1.0\n")
    with pytest.raises(RunError, match="learning_rat.*wrong.yaml.*mean 'learning_rate'"):
        load(notebooks, "wrong")
    with pytest.raises(RunError, match="mean 'tiny'"):
        load(notebooks, "tinny")


def test_a_file_that_is_no_mapping_or_no_text_is_refused(notebooks):
    wrong = notebooks / "parameters" / "wrong.yaml"
    for content, message in (
        (b"- 1", "no `name: value` lines"),
        (b"\xff\xfe\x00", "as UTF-8 text"),
    ):
        wrong.write_bytes(content)
        with pytest.raises(RunError, match=message):
            load(notebooks, "wrong")


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (list[float], "[-70, -60, 30, 40]", r"must be list\[float\].*papermill, write -y 'x: "),
        (float, "1e-3", "must be float; YAML reads 1e-3 as text: write 1.0e-3"),
        (int, "8", "must be int"),
        (bool, "False", "must be bool"),
        (list[dict], "[{'observed': 0.1}]", r"must be list\[dict\]"),
        (float | None, "0", r"must be float \| None"),
    ],
)
def test_text_that_papermill_put_in_place_of_a_parameter_is_refused(kind, value, words):
    """`papermill -p x …` passes lists, and numbers such as 1e-3, as text."""
    with pytest.raises(RunError, match=words):
        check_types({"__annotations__": {"x": kind}, "x": value})
    check_types({"__annotations__": {"x": kind}})


def test_every_default_of_the_notebooks_fits_its_type():
    for notebook in chain(NOTEBOOKS):
        for name, parameter in declared(notebook).items():
            check_types({"__annotations__": {name: parameter.kind}, name: parameter.default})


def test_a_relative_path_that_exists_becomes_absolute(notebooks, tmp_path, monkeypatch):
    (tmp_path / "field.nc").touch()
    (notebooks / "parameters" / "dated.yaml").write_text("note: 2010-01-31\n")
    monkeypatch.chdir(tmp_path)
    for given in ("field.nc", "*.nc"):
        assert load(notebooks, "tiny", [f"path={given}"])["path"] == str(tmp_path / given)
    assert load(notebooks, "tiny", ["path=https://a/b.nc"])["path"] == "https://a/b.nc"
    assert load(notebooks, "dated")["note"] == "2010-01-31"


def test_notebooks_must_agree_and_declare_literals(notebooks):
    write_notebook(notebooks / "03_third.ipynb", "steps: int = 11")
    with pytest.raises(RunError, match="01_first.ipynb.*= 10.*03_third.ipynb.*= 11"):
        load(notebooks, "tiny")
    write_notebook(notebooks / "03_third.ipynb", "half: int = steps // 2")
    with pytest.raises(RunError, match="half.*name: annotation = literal"):
        declared(notebooks / "03_third.ipynb")
