"""The training loop: what it teaches, what it keeps, and that a stopped run is the same run."""

import functools
import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from forgetful import ForgetfulDisk
from tiny import PATTERNS, UNCERTAIN, batches, densifier
from tiny import scenes as build_scenes

from ocean_lib.model import training_state
from ocean_lib.model.densifier import Densifier
from ocean_lib.model.scenes import Scenes
from ocean_lib.model.training import regression_loss, residual_loss, stages, train
from ocean_lib.model.training_state import Checkpoints, Suspended
from ocean_lib.observations.batch import exactly_observed, uncertain_ocean
from ocean_lib.store.store import Store, build_store

scenes = functools.cache(build_scenes)


def run(store, folder, mode="residual", number=6, model=None, **choices):
    """A generator over a short training and the model it trains."""
    model = densifier(store, mode) if model is None else model
    choices = {"batch": 2, "every": 2, "warmup": 2, "cases": 1} | choices
    records = train(
        model,
        choices.pop("scenes", None) or scenes(store, seed=1),
        choices.pop("validation", None) or scenes(store, "validation"),
        steps=stages(mode, number, number),
        folder=folder / "checkpoints",
        metrics=folder / "metrics.jsonl",
        **choices,
    )
    return records, model


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


# --- stages and losses ------------------------------------------------------------------------


def test_stages_of_each_mode_in_order():
    assert list(stages("residual", 30, 20).items()) == [("regression", 30), ("diffusion", 20)]
    assert stages("regression", 30, 20) == {"regression": 30}
    assert stages("diffusion", 30, 20) == {"diffusion": 20}


def test_the_regression_loss_is_the_beta_likelihood_by_a_loop(small_store):
    """Seitzer et al. 2022, β = 1/2: each cell's likelihood counts by its deviation.

    Both in units of the background's error.
    """
    model = densifier(small_store, "regression")
    batch = batches(small_store).draw(3, 2)
    mean, deviation = model.regress(batch)
    hidden = (batch["ocean"] & ~batch["observed"]).nonzero().tolist()
    total = 0.0
    for where in map(tuple, hidden):
        m, s, y = (float(part[where].detach()) for part in (mean, deviation, batch["field"]))
        unit = max(float(batch["background_error"][where]), 1e-2)
        r, s = (y - m) / unit, max(s / unit, 1e-3)
        total += s * (r**2 / (2 * s**2) + math.log(s))
    loss = float(regression_loss(model, batch).detach())
    assert loss == pytest.approx(total / len(hidden), rel=1e-4)


def test_the_regression_learns_on_hidden_ocean_only(small_store, device, monkeypatch):
    model = densifier(small_store, "regression").to(device)
    batch = batches(small_store, device=device).draw(3, 2)
    said = [part.detach().requires_grad_() for part in model.regress(batch)]
    monkeypatch.setattr(model, "regress", lambda batch: said)
    regression_loss(model, batch).backward()
    hidden = batch["ocean"] & ~batch["observed"]
    assert hidden.any() and (~hidden).any()
    for part in said:
        assert torch.equal(part.grad != 0, hidden)


def test_the_regressor_itself_is_taught_on_hidden_ocean_only(small_store):
    model = densifier(small_store, "regression")
    batch = batches(small_store).draw(3, 2)
    outs = []

    def keep(module, inputs, out):
        out.retain_grad()
        outs.append(out)

    model.regressor.register_forward_hook(keep)
    regression_loss(model, batch).backward()
    hidden = batch["ocean"] & ~batch["observed"]
    for part in outs[0].grad.chunk(2, 1):
        assert torch.equal(part != 0, hidden)


def test_uncertain_observations_are_supervised_and_only_scores_leave_them_out(small_store):
    """The loss covers the cells without an exact observation, the scores those without any."""
    model = densifier(small_store)
    sampler = batches(small_store, specifications=UNCERTAIN)
    batch = next(b for b in map(lambda k: sampler.draw(k, 4), range(99)) if b["error"].any())
    uncertain = uncertain_ocean(batch)
    hidden = batch["ocean"] & ~batch["observed"]
    measured = uncertain & ~hidden
    assert measured.any() and torch.equal(measured, batch["observed"] & (batch["error"] > 0))
    assert (batch["ocean"] & ~uncertain).any()  # some observations are exact
    for network in ("regressor", "denoiser"):
        outs = []

        def keep(module, inputs, out, outs=outs):
            out.retain_grad()
            outs.append(out)

        handle = getattr(model, network).register_forward_hook(keep)
        if network == "regressor":
            regression_loss(model, batch).backward()
        else:
            residual_loss(model, batch, torch.Generator().manual_seed(0)).backward()
        handle.remove()
        for part in outs[-1].grad.split(5, 1):
            assert torch.equal(part != 0, uncertain)


@pytest.mark.parametrize("mode", ["diffusion", "residual"])
@pytest.mark.parametrize("parametrisation", ["v", "epsilon", "x0"])
def test_the_denoiser_learns_on_hidden_ocean_only(small_store, device, mode, parametrisation):
    model = densifier(small_store, mode, parametrisation=parametrisation).to(device)
    batch = batches(small_store, device=device).draw(3, 2)
    outs = []

    def keep(module, inputs, out):
        out.retain_grad()
        outs.append(out)

    model.denoiser.register_forward_hook(keep)
    residual_loss(model, batch, torch.Generator(device).manual_seed(0)).backward()
    hidden = batch["ocean"] & ~batch["observed"]
    assert torch.equal(outs[0].grad != 0, hidden)
    if model.regressor is not None:  # its weights are fixed by now
        assert all(p.grad is None for p in model.regressor.parameters())


def test_the_residual_is_what_the_mean_leaves_in_units_of_its_deviation(small_store, monkeypatch):
    """Seen through a process without noise: x_t is the clean residual itself."""
    model = densifier(small_store, "residual")
    batch = batches(small_store).draw(3, 2)
    model.diffusion.signal = torch.ones(1000)
    model.diffusion.noise = torch.full((1000,), 1e-9)
    seen = []
    predict = model.predict
    monkeypatch.setattr(
        model, "predict", lambda batch, x, t, guess: seen.append(x) or predict(batch, x, t, guess)
    )
    residual_loss(model, batch, torch.Generator().manual_seed(0))
    mean, deviation = model.regress(batch)
    expected = (batch["field"] - mean) / deviation
    free = batch["ocean"] & ~exactly_observed(batch) & (deviation > 1e-3) & (expected.abs() < 8)
    torch.testing.assert_close(seen[0][free], expected[free], atol=1e-5, rtol=1e-5)
    # Nothing but that trace of noise where there is no residual.
    assert seen[0][~batch["ocean"] | exactly_observed(batch)].abs().max() < 1e-7


@pytest.mark.parametrize("mode", ["regression", "diffusion", "residual"])
def test_nothing_hidden_costs_nothing(small_store, mode):
    """Everything observed, and all land: a loss of 0 and finite gradients."""
    model = densifier(small_store, mode)
    batch = batches(small_store).draw(3, 2)
    land = torch.zeros_like(batch["ocean"])
    for given in (
        batch | {"observed": batch["ocean"], "value": batch["field"] * batch["ocean"]},
        batch | {"observed": land, "ocean": land},
    ):
        generator = torch.Generator().manual_seed(0)
        if mode == "regression":
            loss = regression_loss(model, given)
        else:
            loss = residual_loss(model, given, generator)
        loss.backward()
        assert float(loss.detach()) == 0
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert gradients and all((g == 0).all() for g in gradients)


# --- records and files ------------------------------------------------------------------------


def test_every_interval_leaves_a_record_and_two_checkpoints_stay(small_store, tmp_path):
    records, _ = run(small_store, tmp_path, number=5)
    given = list(records)
    assert given == lines(tmp_path)
    # Steps count over both stages, whose ends are recorded whatever the interval.
    assert [record["step"] for record in given] == [2, 4, 5, 6, 8, 10]
    assert [record["stage"] for record in given] == ["regression"] * 3 + ["diffusion"] * 3
    assert all(record["steps"] == 10 for record in given)
    assert all(math.isfinite(record[key]) for record in given for key in ("loss", "validation"))
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step_00000008.pt", "step_00000010.pt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "metrics.jsonl"]


def test_the_learning_rate_warms_up_and_stays(small_store, tmp_path):
    records, _ = run(small_store, tmp_path, number=6, every=1, warmup=4, learning_rate=1e-3)
    rates = [record["learning_rate"] for record in records]
    assert rates == pytest.approx(2 * [0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3, 1e-3])


@pytest.mark.parametrize(
    ("stage", "parametrisation", "share"),
    [
        ("regression", "v", 0.9),  # what the background leaves of a Gaussian ocean is little
        ("diffusion", "v", 0.95),  # as is what noise and background leave
        ("diffusion", "x0", 0.6),
    ],
)
def test_the_validation_loss_falls(small_store, tmp_path, stage, parametrisation, share):
    """Below that of the untrained network, on cases and noise that stay."""
    model = densifier(small_store, stage, parametrisation=parametrisation)
    validation, before = scenes(small_store, "validation"), []
    for index in range(2):
        case = validation.draw(index, 4)
        generator = torch.Generator().manual_seed(index)
        with torch.no_grad():
            if stage == "regression":
                before.append(float(regression_loss(model, case)))
            else:
                before.append(float(residual_loss(model, case, generator)))
    many = scenes(small_store, numbers=(36, 36), seed=1)
    choices = {"batch": 4, "every": 20, "learning_rate": 5e-3, "cases": 2, "scenes": many}
    records = list(run(small_store, tmp_path, stage, 80, model, **choices)[0])
    assert records[-1]["validation"] < share * sum(before) / 2


def test_every_step_draws_a_batch_of_its_own(small_store, tmp_path, monkeypatch):
    steps, draw = [], Scenes.draw
    monkeypatch.setattr(
        Scenes, "draw", lambda self, step, size: steps.append(step) or draw(self, step, size)
    )
    records, _ = run(small_store, tmp_path, number=3, cases=2)
    list(records)
    assert steps == [0, 1] + [0, 1, 2, 3, 4, 5]  # the cases, then both stages


def test_the_second_stage_leaves_the_regression_as_it_is(small_store, tmp_path):
    records, model = run(small_store, tmp_path)
    for record in records:
        if record["step"] == 6:
            before = weights(model.regressor)
            still = weights(model.denoiser)
    assert_same(before, weights(model.regressor))
    assert any(not torch.equal(still[k], v) for k, v in weights(model.denoiser).items())


def test_the_averaged_weights_are_what_remains(small_store, tmp_path):
    """The average by hand from the weights after each step, and the model at the end."""
    model = densifier(small_store, "regression")
    slow = weights(model.regressor)
    records, _ = run(small_store, tmp_path, "regression", 6, model, every=1, average=0.3)
    for step, record in enumerate(records):
        last = torch.load(
            tmp_path / "checkpoints" / f"step_{record['step']:08d}.pt", weights_only=True
        )
        if record["step"] == 6:
            break
        fast = weights(model.regressor)
        decay = min(0.3, (1 + step) / (10 + step))
        slow = {name: decay * slow[name] + (1 - decay) * fast[name] for name in slow}
        for name in slow:
            torch.testing.assert_close(last["averaged"][name], slow[name])
        assert not torch.equal(slow["leave.1.weight"], fast["leave.1.weight"])
    assert not list(records) and not model.training
    assert_same(last["averaged"], weights(model.regressor))
    # It was the averaged weights that were validated, on cases and noise that stay.
    case = scenes(small_store, "validation").draw(0, 2)
    with torch.no_grad():
        again = float(regression_loss(model, case))
    assert record["validation"] == pytest.approx(again, rel=1e-5)
    model.save(tmp_path / "checkpoint.safetensors")
    assert_same(weights(Densifier.load(tmp_path / "checkpoint.safetensors")), weights(model))


def test_a_seed_is_a_run(small_store, tmp_path):
    results = []
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        folder = tmp_path / name
        folder.mkdir()
        records, model = run(small_store, folder, "diffusion", seed=seed)
        list(records)
        results.append(weights(model))
    assert_same(results[0], results[1])
    assert any(not torch.equal(results[0][key], results[2][key]) for key in results[0])


# --- stopping and going on --------------------------------------------------------------------


@pytest.fixture(scope="module")
def uninterrupted(small_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    records, model = run(small_store, folder, number=5)
    list(records)
    return weights(model), lines(folder)


def timeless(records):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


@pytest.mark.parametrize("stops", [[1], [2], [3], [4], [5], [6], [1, 1, 3]])
def test_a_stopped_run_ends_in_the_same_bits(small_store, tmp_path, uninterrupted, stops):
    """Stopped after some records, in either stage and at its end; resumed by a new model."""
    for number, stop in enumerate(stops):
        # The weights that a resumed model is made with must not matter.
        model = densifier(small_store, seed=number)
        records, _ = run(small_store, tmp_path, number=5, model=model)
        for _ in range(stop):
            next(records)
        records.close()
    records, model = run(small_store, tmp_path, number=5, model=densifier(small_store, seed=99))
    rest = list(records)
    expected, recorded = uninterrupted
    assert len(rest) == len(recorded) - sum(stops)
    assert_same(expected, weights(model))
    assert timeless(lines(tmp_path)) == timeless(recorded)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step_00000008.pt", "step_00000010.pt"]


@pytest.mark.parametrize("stops", [[4], [1, 2, 6, 7], range(9)])
def test_a_suspended_run_ends_in_the_same_bits(
    small_store, tmp_path, uninterrupted, monkeypatch, stops
):
    """Suspended during any step, between two checkpoints or at one; the stop file is used up."""
    stop, draw = tmp_path / "stop", Scenes.draw
    for number, at in enumerate([*stops, None]):
        monkeypatch.setattr(
            Scenes,
            "draw",
            lambda self, step, size, at=at: step == at and stop.touch() or draw(self, step, size),
        )
        model = densifier(small_store, seed=number)
        records, _ = run(small_store, tmp_path, number=5, model=model, stop=stop)
        if at is None:
            list(records)
        else:
            with pytest.raises(Suspended, match=f"after step {at + 1} of 10"):
                list(records)
            assert (tmp_path / "checkpoints" / f"step_{at + 1:08d}.pt").exists()
        assert not stop.exists()
    expected, recorded = uninterrupted
    assert_same(expected, weights(model))
    assert timeless(lines(tmp_path)) == timeless(recorded)


def test_a_stop_in_the_last_step_comes_too_late(small_store, tmp_path, uninterrupted):
    stop = tmp_path / "stop"
    records, model = run(small_store, tmp_path, number=5, stop=stop)
    for record in records:
        if record["step"] == 8:
            break
    records.close()
    records, model = run(small_store, tmp_path, number=5, stop=stop, every=1)
    assert next(records)["step"] == 9
    stop.touch()
    assert [record["step"] for record in records] == [10] and stop.exists()
    assert_same(uninterrupted[0], weights(model))


def test_a_kill_between_record_and_checkpoint_repeats_no_record(
    small_store, tmp_path, uninterrupted, monkeypatch
):
    records, _ = run(small_store, tmp_path, number=5)
    next(records)

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "save", killed)
        next(records)
    assert [record["step"] for record in lines(tmp_path)] == [2, 4]
    records, model = run(small_store, tmp_path, number=5, model=densifier(small_store, seed=99))
    assert next(records)["step"] == 4
    list(records)
    expected, recorded = uninterrupted
    assert_same(expected, weights(model))
    assert timeless(lines(tmp_path)) == timeless(recorded)


def test_records_are_whole_lines_at_any_moment(small_store, tmp_path, monkeypatch):
    """Even where the disk fills up in the middle of a line."""
    records, _ = run(small_store, tmp_path, number=5)
    next(records)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    write = Path.write_text

    def full(path, text):
        write(path, text[:-20])
        raise OSError("no space left")

    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(Path, "write_text", full)
        next(records)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "metrics.jsonl"]


def test_a_checkpoint_half_written_is_not_seen(small_store, tmp_path, uninterrupted, monkeypatch):
    records, _ = run(small_store, tmp_path, number=5)
    next(records)
    save = torch.save

    def half(content, path):
        save(content, path)
        path.write_bytes(path.read_bytes()[:1000])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(torch, "save", half)
        next(records)
    records, model = run(small_store, tmp_path, number=5, model=densifier(small_store, seed=99))
    list(records)
    assert_same(uninterrupted[0], weights(model))


def test_a_finished_run_has_nothing_left_to_do(small_store, tmp_path, uninterrupted):
    records, _ = run(small_store, tmp_path, number=5)
    list(records)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    records, model = run(small_store, tmp_path, number=5, model=densifier(small_store, seed=99))
    assert list(records) == []
    assert (tmp_path / "metrics.jsonl").read_bytes() == before
    assert_same(uninterrupted[0], weights(model))
    assert not model.training


def test_another_training_is_not_continued_and_what_differs_is_named(small_store, tmp_path):
    records, _ = run(small_store, tmp_path, number=4)
    next(records)
    before = lines(tmp_path)
    records, model = run(small_store, tmp_path, number=4, learning_rate=0.01)
    untouched = weights(model)
    with pytest.raises(ValueError, match="learning_rate 0.001 -> 0.01.*choose another run"):
        next(records)
    assert_same(untouched, weights(model))
    assert lines(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"warmup": 3}, "warmup 2 -> 3"),
        ({"clip": 0.5}, "clip 1.0 -> 0.5"),
        ({"average": 0.9}, "average 0.9999 -> 0.9"),
        ({"batch": 3}, "batch 2 -> 3"),
        ({"seed": 4}, "seed 0 -> 4"),
        ({"cases": 2}, "cases 1 -> 2"),
    ],
)
def test_every_choice_of_the_training_is_compared(small_store, tmp_path, change, words):
    next(run(small_store, tmp_path, number=4)[0])
    with pytest.raises(ValueError, match=rf"other settings \({words}\); choose another run"):
        next(run(small_store, tmp_path, number=4, **change)[0])
    assert next(run(small_store, tmp_path, number=4, every=1)[0])["step"] == 3  # not a setting


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 2}, "scenes seed 1 -> 2"),
        ({"numbers": (3, 4)}, r"scenes number \[3, 3\] -> \[3, 4\]"),
        ({"alike": 1}, "scenes alike 4 -> 1"),
        ({"patch": 10}, "scenes patch 12 -> 10"),
        ({"part": "test"}, "scenes part train -> test"),
        ({"patterns": tuple(UNCERTAIN)}, r"scenes patterns .*'error': \[0.05, 0.3\]"),
    ],
)
def test_the_scenes_are_compared(small_store, tmp_path, change, words):
    next(run(small_store, tmp_path, number=4)[0])
    made = build_scenes(small_store, **{"seed": 1} | change)
    with pytest.raises(ValueError, match=rf"other settings \({words}.*begin again"):
        next(run(small_store, tmp_path, number=4, scenes=made)[0])


def test_the_extent_and_the_validation_scenes_are_compared(small_store, tmp_path, monkeypatch):
    next(run(small_store, tmp_path, number=4)[0])
    made = build_scenes(small_store, "validation", seed=7)
    with pytest.raises(ValueError, match=r"\(validation scenes seed 0 -> 7\)"):
        next(run(small_store, tmp_path, number=4, validation=made)[0])
    monkeypatch.setattr("ocean_lib.model.scenes.LARGEST_SCENE", 16)
    made = build_scenes(small_store, seed=1)
    with pytest.raises(ValueError, match=r"\(scenes extent \[20, 28\] -> \[16, 16\]\)"):
        next(run(small_store, tmp_path, number=4, scenes=made)[0])


def test_the_store_is_compared_by_its_content_and_not_by_its_place(
    small_ocean, small_store, tmp_path
):
    (tmp_path / "run").mkdir()
    next(run(small_store, tmp_path / "run", number=4)[0])
    moved = Store(shutil.copytree(small_store.folder, tmp_path / "elsewhere"))
    assert moved.folder != small_store.folder
    assert next(run(moved, tmp_path / "run", number=4)[0])["step"] == 4
    warmer = small_ocean.assign(temperature=small_ocean.temperature * 1.1)
    choices = {"validation": 8, "test": 10, "gap": 3}
    for name, ocean, request, words in (
        ("values", warmer, None, "scenes store content"),
        (
            "request",
            small_ocean,
            {"source": "another"},
            "scenes store request source None -> anoth",
        ),
        ("shape", small_ocean.isel(time=slice(0, 59)), None, r"scenes store shape \[60,.*\[59,"),
    ):
        surfaces = ocean[["surface_temperature"]]
        other = build_store(ocean, tmp_path / name, surfaces=surfaces, request=request, **choices)
        with pytest.raises(ValueError, match=words):
            next(run(other, tmp_path / "run", number=4)[0])


def test_a_checkpoint_of_an_earlier_version_is_refused_with_the_remedy(small_store, tmp_path):
    """Before format 7 it did not record scenes, store, warm-up, clipping and averaging."""
    next(run(small_store, tmp_path, number=4)[0])
    (path,) = (tmp_path / "checkpoints").iterdir()
    state = torch.load(path, weights_only=True)
    state["settings"] = {"format": 6, "mode": "residual", "patterns": PATTERNS, "patch": 12}
    torch.save(state, path)
    with pytest.raises(ValueError, match=r"\(format 6 -> 8\); choose another run, or delete"):
        next(run(small_store, tmp_path, number=4)[0])


def test_a_training_of_another_version_is_not_continued(small_store, tmp_path, monkeypatch):
    next(run(small_store, tmp_path, number=4)[0])
    number = training_state.FORMAT
    monkeypatch.setattr(training_state, "FORMAT", number + 1)
    with pytest.raises(ValueError, match=f"format {number} -> {number + 1}.*begin again"):
        next(run(small_store, tmp_path, number=4)[0])


def test_a_damaged_checkpoint_is_named_and_without_it_the_training_goes_on(small_store, tmp_path):
    checkpoints = Checkpoints(tmp_path / "a", {"seed": 1})
    for step in (1, 2):
        checkpoints.save(step, {"model": {"weight": torch.full((300,), float(step))}})
    newest = tmp_path / "a" / "step_00000002.pt"
    whole = newest.read_bytes()
    place = whole.index(torch.full((300,), 2.0).numpy().tobytes()) + 401
    for content in (whole[:-30], whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]):
        newest.write_bytes(content)
        with pytest.raises(ValueError, match="step_00000002.pt is damaged .*delete it, and the"):
            checkpoints.load(torch.device("cpu"))
    newest.unlink()
    assert checkpoints.load(torch.device("cpu"))["step"] == 1


def test_checkpoints_survive_a_loss_of_power(tmp_path, monkeypatch):
    disk = ForgetfulDisk(monkeypatch)
    Checkpoints(tmp_path / "a", {}).save(1, {"model": {}})
    assert [path.name for path in disk.moved] == ["step_00000001.pt"]
    assert not disk.early and not disk.spoiled()
