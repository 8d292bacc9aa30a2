"""Paths of a run, its figures, and the device."""

import pytest

from ocean_lib.runs.parameters import RunError
from ocean_lib.runs.paths import device_name, open_run, workspace


def test_the_workspace_and_its_names(notebooks, monkeypatch):
    opened = open_run("some.run-1")
    assert opened.figures.is_dir() and opened.checkpoints.is_dir()
    assert opened.raw("demo") == workspace() / "data" / "raw" / "demo"
    for name in ("..", "a/b", "", ".hidden"):
        with pytest.raises(RunError, match="cannot name a folder"):
            open_run(name)
    monkeypatch.setenv("OCEAN_WORKSPACE", "relative")
    with pytest.raises(RunError, match="absolute"):
        workspace()


def test_a_figure_is_saved_whole(notebooks):
    from matplotlib.figure import Figure

    path = open_run("tiny").save_figure(Figure(figsize=(2, 1)), "loss")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [entry.name for entry in path.parent.iterdir()] == ["loss.png"]


def test_an_unknown_device_is_refused():
    assert device_name("cpu") == "cpu"
    assert device_name() in ("cpu", "cuda")
    with pytest.raises(RunError, match="choose auto, cpu or cuda"):
        device_name("gpu")
