"""The state of a run, from files as a run writes them."""

import json
import os

import pytest

from ocean_lib.explore import run_state
from ocean_lib.runs.paths import open_run


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("OCEAN_WORKSPACE", str(tmp_path))
    return open_run("mine")


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def row(step, seconds, stage="regression"):
    return {"step": step, "steps": 400, "stage": stage, "loss": 0.5, "seconds": seconds}


def test_a_run_that_wrote_nothing_has_a_state(here):
    now = run_state.read_state(here)
    assert (now.step, now.steps, now.records, now.remaining, now.running) == (0, 0, [], None, False)


def test_the_pace_is_that_of_this_stage_since_the_last_resumption(here):
    write(here.metrics, [row(50, 10.0), row(100, 20.0)])
    assert run_state.read_state(here).remaining == pytest.approx(300 * 0.2)
    # Suspended and resumed on a slower machine, its seconds count from 0 again.
    write(here.metrics, [row(50, 10.0), row(100, 20.0), row(150, 9.0)])
    assert run_state.read_state(here).remaining is None
    write(here.metrics, [row(50, 10.0), row(100, 20.0), row(150, 30.0), row(200, 90.0)])
    assert run_state.read_state(here).remaining == pytest.approx(200 * 80 / 150)
    write(here.metrics, [row(100, 20.0), row(200, 40.0, "diffusion"), row(250, 140.0, "diffusion")])
    now = run_state.read_state(here)
    assert now.remaining == pytest.approx(150 * 2.0) and now.age < 60
    write(here.metrics, [row(350, 50.0), row(400, 100.0)])
    assert run_state.read_state(here).remaining is None


def test_notebooks_have_the_status_of_the_manifest_and_runs_their_order(here):
    here.manifest.write_text(json.dumps({"steps": {"01_download": {"status": "running"}}}))
    now = run_state.read_state(here)
    assert now.notebooks == {"01_download": "running"} and now.running
    newer = open_run("newer")
    write(newer.metrics, [row(50, 1.0)])
    open_run("begun")  # holds nothing yet
    os.utime(here.manifest, (1, 1))
    assert run_state.known_runs() == ["newer", "mine"]
