"""The runner on tiny notebooks: resume, refusal, repetition, suspension."""

import errno
import os
import shutil

import pytest
from tiny_chain import SECOND, manifest, write_notebook

from ocean_lib.__main__ import main
from ocean_lib.runs import manifest as manifests
from ocean_lib.runs import runner
from ocean_lib.runs.paths import open_run, workspace


def test_a_failure_is_kept_and_the_next_run_resumes_there(notebooks, capfd):
    (notebooks / "stumble").touch()
    assert main(["run", "tiny"]) == 1
    output = capfd.readouterr()
    folder = open_run("tiny").folder
    assert "training 5/5" in output.out and "loss 0.2" in output.out
    kept = folder / "attempts" / "02_second.1.ipynb"
    assert "RuntimeError: stumbled in tiny" in output.err and str(kept) in output.err
    assert "stumbled" in kept.read_text()
    assert manifest()["steps"]["02_second"]["status"] == "failed"
    first = (folder / "01_first.ipynb").stat().st_mtime_ns

    (notebooks / "stumble").unlink()
    assert main(["run", "tiny"]) == 0
    output = capfd.readouterr().out
    assert "01_first: done before" in output
    assert (folder / "01_first.ipynb").stat().st_mtime_ns == first
    assert output.index("climatology") < output.index("model") and "5.000" in output
    assert "9.000" not in output and "figures" in output
    steps = manifest()["steps"]
    assert {step["status"] for step in steps.values()} == {"done"}
    assert [attempt["status"] for attempt in steps["02_second"]["attempts"]] == ["failed"]
    assert sorted(path.name for path in folder.rglob("*.ipynb")) == [
        "01_first.ipynb",
        "02_second.1.ipynb",
        "02_second.ipynb",
    ]
    assert not [path for path in folder.iterdir() if "partial" in path.name]

    # Other parameters are refused and named; what is there stays.
    assert main(["run", "tiny", "steps=6", "note=x"]) == 2
    output = capfd.readouterr().err
    assert "steps: 5 -> 6" in output and "note: 'a = b' -> 'x'" in output
    assert "--fresh" in output and "--from 01_first" in output
    assert manifest()["parameters"]["steps"] == 5

    # --fresh empties the run's folder and nothing else; options may stand before overrides.
    (folder / "left_over").touch()
    kept = open_run("tiny").raw("demo")
    kept.mkdir(parents=True)
    assert main(["run", "tiny", "--fresh", "steps=6"]) == 0
    assert not (folder / "left_over").exists() and kept.exists()
    held = manifest()
    assert held["parameters"]["steps"] == 6 and held["versions"]["ocean_lib"]
    assert {"start", "end", "seconds", "commit"} < set(held["steps"]["01_first"])


def test_a_step_without_its_notebook_is_repeated_with_all_that_follow(executed):
    assert runner.execute_run("tiny") == 0
    assert executed[1][0] == "02_second" and [*executed[1][1]] == ["run", "steps", "fails"]
    folder = open_run("tiny").folder
    (folder / "01_first.ipynb").unlink()
    assert runner.execute_run("tiny") == 0
    assert [stem for stem, _ in executed] == ["01_first", "02_second"] * 2
    # What was done and is done anew is kept and reported.
    assert (folder / "attempts" / "02_second.1.ipynb").exists()
    attempts = manifest()["steps"]["02_second"]["attempts"]
    assert [attempt["status"] for attempt in attempts] == ["outdated"]


def test_a_step_and_all_after_it_are_repeated_from_nothing(notebooks, executed, capsys):
    for name in ("03_training", "04_sampling"):
        write_notebook(notebooks / f"{name}.ipynb", "width: int = 8\nrun: str = 'tiny'")
    assert main(["run", "tiny"]) == 0
    opened = open_run("tiny")
    made = [opened.checkpoint, opened.metrics, opened.reconstruction]
    made += [opened.checkpoints / "step_00000001.pt", opened.figures / "03_loss.png"]
    kept = [opened.figures / "01_map.png", opened.folder / "notes.txt", opened.raw("a")]
    for path in (*made, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    before = manifest()
    for wrong, output in (
        (["--from", "03_trainin"], "did you mean '03_training'"),
        (["--from", "03_training", "steps=9"], "steps: 5 -> 9"),
        (["--from", "03_training", "steps=9", "width=9"], "--from 01_first"),
        (["width=9"], "--from 03_training"),
    ):
        assert main(["run", "tiny", *wrong]) == 2
        assert output in capsys.readouterr().err
    assert manifest() == before and all(path.exists() for path in made)

    executed.clear()
    assert main(["run", "tiny", "--from", "03_training", "width=9"]) == 0
    assert executed == [
        (name, {"width": 9, "run": "tiny"}) for name in ("03_training", "04_sampling")
    ]
    assert not any(path.exists() for path in made) and all(path.exists() for path in kept)
    assert manifest()["parameters"]["width"] == 9
    assert sorted(path.name for path in (opened.folder / "attempts").iterdir()) == [
        "03_training.1.ipynb",
        "04_sampling.1.ipynb",
    ]
    with pytest.raises(SystemExit):
        main(["run", "tiny", "--from", "03_training", "--fresh"])


def test_a_kill_while_results_are_removed_does_not_spare_the_rest(notebooks, executed, monkeypatch):
    write_notebook(notebooks / "03_training.ipynb", "run: str = 'tiny'")
    runner.execute_run("tiny")
    opened = open_run("tiny")
    opened.checkpoint.touch()
    opened.metrics.touch()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(manifests.shutil, "rmtree", _interrupt)
        runner.execute_run("tiny", begin="03_training")
    assert opened.checkpoint.exists()
    executed.clear()
    assert runner.execute_run("tiny") == 0
    assert [stem for stem, _ in executed] == ["03_training"] and not opened.checkpoint.exists()


def _interrupt(*_):
    raise KeyboardInterrupt


def test_a_stopped_step_is_not_done(notebooks, monkeypatch):
    monkeypatch.setattr(runner, "_execute", _interrupt)
    assert main(["run", "tiny"]) == 130
    assert manifest()["steps"]["01_first"]["status"] == "stopped"


def test_what_a_killed_process_left_is_cleared(executed):
    opened = open_run("tiny")
    left = [
        opened.checkpoints / "step_00000002.pt.77.partial",
        opened.scores.with_suffix(".partial"),
    ]
    for path in (*left, opened.stop):
        path.touch()
    assert runner.execute_run("tiny") == 0
    assert not any(path.exists() for path in (*left, opened.stop))


def test_the_stop_file_ends_a_run_between_two_steps(notebooks, executed, capsys, monkeypatch):
    execute = runner._execute

    def stopping(notebook, *rest):
        open_run("tiny").stop.touch()
        return execute(notebook, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "_execute", stopping)
        assert main(["run", "tiny"]) == 75
    assert "suspended before 02_second" in capsys.readouterr().out
    assert main(["run", "tiny"]) == 0
    assert [stem for stem, _ in executed] == ["01_first", "02_second"]


def test_a_workspace_without_room_or_rights_is_refused(notebooks, executed, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage("/")
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0.4e9))
        assert main(["run", "tiny"]) == 2
    assert "0.40 GB are free" in capsys.readouterr().err
    (workspace() / "data").touch()
    assert main(["run", "tiny"]) == 2
    assert "data cannot be written (File exists" in capsys.readouterr().err
    (workspace() / "file").touch()
    monkeypatch.setenv("OCEAN_WORKSPACE", str(workspace() / "file"))
    assert main(["run", "tiny"]) == 2
    assert "cannot be written (Not a directory" in capsys.readouterr().err
    assert not executed


def test_a_cell_that_meets_a_full_disk_ends_in_a_sentence(notebooks, capfd):
    write_notebook(
        notebooks / "02_second.ipynb",
        SECOND,
        "with open('/dev/full', 'w') as file:\n    file.write('a' * 10**6)",
    )
    assert main(["run", "tiny"]) == 1
    output = capfd.readouterr().err
    assert "is full" in output and "GB are free" in output and "same command continues" in output
    assert "Traceback" not in output and "File " not in output
    assert manifest()["steps"]["02_second"]["status"] == "failed"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_notebook_or_manifest_that_the_disk_does_not_hold_ends_in_a_sentence(
    notebooks, monkeypatch, capfd, number
):
    from papermill.iorw import LocalHandler

    def full(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(LocalHandler, "write", full)
        assert main(["run", "tiny"]) == 1
    output = capfd.readouterr().err
    assert "is full" in output and "same command continues" in output
    assert manifest()["steps"]["01_first"]["status"] == "failed"
    with monkeypatch.context() as patch:
        patch.setattr(manifests, "atomic_write", full)
        assert main(["run", "tiny"]) == 1
    output = capfd.readouterr().err
    assert "is full" in output and "Traceback" not in output
    assert main(["run", "tiny"]) == 0


def test_a_kernel_that_cannot_start_ends_in_a_sentence(notebooks, monkeypatch, capfd):
    import papermill

    def refuse(*_, **__):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(papermill, "execute_notebook", refuse)
    assert main(["run", "tiny"]) == 1
    assert "no further process or thread can start" in capfd.readouterr().err
    assert manifest()["steps"]["01_first"]["status"] == "failed"
