"""The fuzzer in short: a few mutations of each kind; its judge and its watch see every defect."""

import os
import time

import numpy as np
import pytest
import xarray as xr

from benchmarks.fuzz import harness, judge
from benchmarks.fuzz.base import build_base, load_base
from benchmarks.fuzz.judge import judge_error, judge_reconstruction
from benchmarks.fuzz.kinds import KINDS, choose, run_case
from benchmarks.fuzz.mutation import Mutation
from ocean_lib.runs.parameters import RunError, load_parameters

FEW = {"observations": 6, "casts": 5, "fields": 10, "checkpoints": 8, "parameters": 30}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    build_base(folder)
    return load_base(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_mutations_are_refused_or_right(base, kind):
    wrong = {}
    for index in range(FEW[kind]):
        verdict = run_case(base, kind, 0, index)
        if verdict.outcome not in ("refused", "right"):
            wrong[f"{kind}:{index} ({choose(kind, 0, index).name})"] = verdict
    assert not wrong


def mutation(expected, **choices):
    return Mutation("a change", expected, lambda: None, **choices)


def test_the_judge_sees_what_a_result_must_not_be(base):
    good = base.results["observations"]
    assert judge_reconstruction(good, good, mutation("same")).outcome == "right"
    assert judge_reconstruction(good, good, mutation("refused")).outcome == "silent"
    wet = np.argwhere(good.ocean.values)[0]
    for name, value in (("mean", np.nan), ("mean", 60.0), ("members", -11.0), ("spread", -1.0)):
        bad = good.copy(deep=True)
        bad[name].values[(0,) * (bad[name].ndim - 3) + tuple(wet)] = value
        verdict = judge_reconstruction(bad, good, mutation("either"))
        assert verdict.outcome == "silent" and name in verdict.text
    moved = good.assign(mean=good["mean"] + 1)
    assert judge_reconstruction(moved, good, mutation("either")).outcome == "right"
    assert judge_reconstruction(moved, good, mutation("either", change=0.5)).outcome == "silent"
    assert judge_reconstruction(moved, good, mutation("kept")).outcome == "silent"


@pytest.mark.parametrize(
    "call, outcome",
    [
        (lambda: load_parameters("none"), "refused"),
        (lambda: {}["key"], "traceback"),
        (lambda: np.zeros(3).reshape(2), "traceback"),  # a ValueError without a file
    ],
)
def test_a_refusal_is_a_sentence_of_the_package(call, outcome):
    with pytest.raises((RunError, ValueError, KeyError)) as caught:
        call()
    assert judge_error(caught.value, mutation("either")).outcome == outcome


def test_a_refusal_is_short(monkeypatch):
    monkeypatch.setattr(judge, "LONGEST", 10)
    with pytest.raises(RunError) as caught:
        load_parameters("none")
    assert judge_error(caught.value, mutation("either")).outcome == "traceback"


def _misbehaves(folder, connection):
    connection.send(None)
    kept = []
    while (case := connection.recv()) is not None:
        if case[0] == "dies":
            os._exit(3)
        while case[0] == "loops":
            pass
        if case[0] == "grows":
            kept.append(np.ones(2**24))
            time.sleep(600)
        connection.send(None)


def test_what_dies_loops_or_grows_is_ended_and_named(monkeypatch, tmp_path):
    monkeypatch.setattr(harness, "_work", _misbehaves)
    monkeypatch.setattr(harness, "SECONDS", 0.5)
    monkeypatch.setattr(harness, "BYTES", 2**26)
    monkeypatch.setattr(harness, "IDLE", 1000)
    cases = [(name, 0, 0) for name in ("dies", "loops", "grows")]
    found = {case[0]: verdict.outcome for case, verdict in harness.run_all(tmp_path, cases, 1)}
    assert found == {"dies": "traceback", "loops": "hang", "grows": "memory"}


def test_a_seed_decides_the_order(base):
    names = [[choose("casts", seed, index).name for index in range(50)] for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2]
    assert isinstance(base.observations, xr.Dataset)
