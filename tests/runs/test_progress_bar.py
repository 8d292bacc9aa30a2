"""Progress: lines where nobody watches, a bar where somebody does."""

import json

import pytest

from ocean_lib.runs.progress_bar import progress


def test_headless_lines(capsys, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    records = [{"step": 100 + n, "loss": 0.5, "mode": "v", "count": n} for n in range(1, 9)]
    assert list(progress(records, total=110, label="training", every=3)) == records
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "training 103/110 · 0:00:03 elapsed · 0:00:07 remaining · loss 0.5 · count 3",
        "training 106/110 · 0:00:06 elapsed · 0:00:04 remaining · loss 0.5 · count 6",
        "training 108/110 · 0:00:09 elapsed · 0:00:02 remaining · loss 0.5 · count 8",
    ]


def test_the_last_record_is_shown_once(capsys):
    assert list(progress("abc", total=3, label="tiles", every=0)) == ["a", "b", "c"]
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert list(progress([], total=0, label="tiles")) == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("watched", [True, False])
def test_a_bar_is_drawn_only_where_somebody_watches(watched):
    """JupyterLab offers stdin with every cell, nbclient never does: both are asked here."""
    from jupyter_client.manager import run_kernel

    code = (
        "from ocean_lib.runs import progress\n"
        "for record in progress([{'step': 1}], total=1, label='tiles'): pass"
    )
    said = []
    with run_kernel(kernel_name="python3") as client:
        client.execute_interactive(code, allow_stdin=watched, output_hook=said.append)
    text = json.dumps([message["content"] for message in said], default=str)
    assert ("tiles 1/1" in text) != watched
    assert ("application/vnd.jupyter.widget-view+json" in text) == watched
