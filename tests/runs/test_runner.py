"""Run handling on tiny notebooks: strict parameters, resume, refusal, lock, progress, doctor."""

import json
import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from ocean_lib import __main__
from ocean_lib.__main__ import main
from ocean_lib.runs import doctor, lock, runner
from ocean_lib.runs import manifest as manifests
from ocean_lib.runs.parameters import RunError, declared, load_parameters
from ocean_lib.runs.paths import device_name, open_run, workspace
from ocean_lib.runs.progress_bar import progress

FIRST = """\
run: str = "tiny"  # folder under outputs/
steps: int = 10  # how many = how long
learning_rate: float = 1.0e-3
levels: list[int] = [0, 1]
surface: str | None = None
note: str = "a = b"
path: str = ""
"""
SECOND = """\
run: str = "tiny"
steps: int = 10
fails: bool = False
"""


def write_notebook(path, cell, *code):
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(each) for each in (cell, *code)]
    notebook.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, path)


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    """A chain of two notebooks in a workspace whose name holds a space."""
    root = tmp_path / "a workspace"
    folder = root / "notebooks"
    (folder / "parameters").mkdir(parents=True)
    (folder / "parameters" / "tiny.yaml").write_text("# A tiny run.\nsteps: 5\n")
    write_notebook(
        folder / "01_first.ipynb",
        FIRST,
        "from ocean_lib.runs import progress\n"
        "records = ({'step': step, 'loss': 1 / step} for step in range(1, steps + 1))\n"
        "for record in progress(records, total=steps, label='training'):\n    pass\n",
    )
    write_notebook(
        folder / "02_second.ipynb",
        SECOND,
        "from pathlib import Path\n"
        "from ocean_lib.runs import open_run\n"
        "if Path('stumble').exists():\n    raise RuntimeError(f'stumbled in {run}')\n"
        "open_run(run).scores.write_text(\n"
        "    'method,reference,case,layer,depth,block,metric,value,low,high,n\\n'\n"
        "    'climatology,field,blocks,all,,,rmse,2.0,1.9,2.1,9\\n'\n"
        "    'climatology,field,blocks,,10,,rmse,9.0,1.9,2.1,9\\n'\n"
        "    f'model,field,blocks,all,,,rmse,{steps},1.9,2.1,9\\n')\n",
    )
    monkeypatch.setenv("OCEAN_WORKSPACE", str(root))
    for module in (runner, __main__):
        monkeypatch.setattr(module, "NOTEBOOKS", folder)
    return folder


def load(notebooks, name, overrides=()):
    return load_parameters(name, overrides, notebooks=notebooks)


def manifest(run="tiny"):
    return json.loads(open_run(run).manifest.read_text())


# Parameters


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
    "override, told",
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
def test_a_misfit_is_refused_with_its_remedy(notebooks, override, told):
    with pytest.raises(RunError, match=told):
        load(notebooks, "tiny", [override])


def test_names_in_the_file_are_checked_too(notebooks):
    (notebooks / "parameters" / "wrong.yaml").write_text("learning_rat: 1.0\n")
    with pytest.raises(RunError, match="learning_rat.*wrong.yaml.*mean 'learning_rate'"):
        load(notebooks, "wrong")
    with pytest.raises(RunError, match="mean 'tiny'"):
        load(notebooks, "tinny")


def test_a_file_that_is_no_mapping_or_no_text_is_refused(notebooks):
    wrong = notebooks / "parameters" / "wrong.yaml"
    for content, told in ((b"- 1", "no `name: value` lines"), (b"\xff\xfe\x00", "as UTF-8 text")):
        wrong.write_bytes(content)
        with pytest.raises(RunError, match=told):
            load(notebooks, "wrong")


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


# Paths


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
    assert [each.name for each in path.parent.iterdir()] == ["loss.png"]


def test_an_unknown_device_is_refused():
    assert device_name("cpu") == "cpu"
    assert device_name() in ("cpu", "cuda")
    with pytest.raises(RunError, match="choose auto, cpu or cuda"):
        device_name("gpu")


# The runner


def test_a_failure_is_kept_and_the_next_run_resumes_there(notebooks, capfd):
    (notebooks / "stumble").touch()
    assert main(["run", "tiny"]) == 1
    told = capfd.readouterr()
    folder = open_run("tiny").folder
    assert "training 5/5" in told.out and "loss 0.2" in told.out
    kept = folder / "attempts" / "02_second.1.ipynb"
    assert "RuntimeError: stumbled in tiny" in told.err and str(kept) in told.err
    assert "stumbled" in kept.read_text()
    assert manifest()["steps"]["02_second"]["status"] == "failed"
    first = (folder / "01_first.ipynb").stat().st_mtime_ns

    (notebooks / "stumble").unlink()
    assert main(["run", "tiny"]) == 0
    told = capfd.readouterr().out
    assert "01_first: done before" in told
    assert (folder / "01_first.ipynb").stat().st_mtime_ns == first
    assert told.index("climatology") < told.index("model") and "5.000" in told
    assert "9.000" not in told and "figures" in told
    steps = manifest()["steps"]
    assert {step["status"] for step in steps.values()} == {"done"}
    assert [attempt["status"] for attempt in steps["02_second"]["attempts"]] == ["failed"]
    assert sorted(each.name for each in folder.rglob("*.ipynb")) == [
        "01_first.ipynb",
        "02_second.1.ipynb",
        "02_second.ipynb",
    ]
    assert not [each for each in folder.iterdir() if "partial" in each.name]

    # Other parameters are refused and named; what is there stays.
    assert main(["run", "tiny", "steps=6", "note=x"]) == 2
    told = capfd.readouterr().err
    assert "steps: 5 -> 6" in told and "note: 'a = b' -> 'x'" in told
    assert "--fresh" in told and "--from 01_first" in told
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


@pytest.fixture
def executed(notebooks, monkeypatch):
    """The steps that a run executes, and what they are given; nothing really runs."""
    calls = []

    def execute(notebook, executing, parameters):
        calls.append((notebook.stem, parameters))
        executing.write_text("{}")
        return "done", ""

    monkeypatch.setattr(runner, "_execute", execute)
    return calls


def test_a_step_without_its_notebook_is_repeated_with_all_that_follow(executed):
    assert runner.execute_run("tiny") == 0
    assert executed[1][0] == "02_second" and [*executed[1][1]] == ["run", "steps", "fails"]
    folder = open_run("tiny").folder
    (folder / "01_first.ipynb").unlink()
    assert runner.execute_run("tiny") == 0
    assert [stem for stem, _ in executed] == ["01_first", "02_second"] * 2
    # What was done and is done anew is kept and told.
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
    for wrong, told in (
        (["--from", "03_trainin"], "did you mean '03_training'"),
        (["--from", "03_training", "steps=9"], "steps: 5 -> 9"),
        (["--from", "03_training", "steps=9", "width=9"], "--from 01_first"),
        (["width=9"], "--from 03_training"),
    ):
        assert main(["run", "tiny", *wrong]) == 2
        assert told in capsys.readouterr().err
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


def test_a_second_process_is_refused(notebooks):
    code = (
        "from ocean_lib.runs.lock import hold_run; from ocean_lib.runs import open_run\n"
        "with hold_run(open_run('tiny').folder):\n    print('held', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=f"in process {holder.pid}"):
            runner.execute_run("tiny", fresh=True)
    finally:
        holder.communicate("\n")
    with lock.hold_run(open_run("tiny").folder):
        assert (open_run("tiny").folder / ".lock").read_text().startswith(f"{os.getpid()} on ")


def test_the_manifest_appears_whole_or_not_at_all(notebooks, monkeypatch):
    held = manifests.Manifest(open_run("tiny"))
    held.describe({}, "cpu")
    before = manifest()

    def broken(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(os, "replace", broken)
        held.begin("01_first")
    assert manifest() == before
    assert not list(open_run("tiny").folder.glob("manifest.json?*"))
    open_run("tiny").manifest.write_text("[]")
    with pytest.raises(RunError, match="damaged.*--fresh"):
        manifests.Manifest(open_run("tiny"))


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


def test_wrong_commands_exit_with_2(notebooks, capsys):
    assert main(["run", "tiny", "step=7"]) == 2
    assert capsys.readouterr().err.startswith("no notebook has a parameter 'step'")
    for wrong in (["run", "tiny", "--frehs"], ["lst"], []):
        with pytest.raises(SystemExit) as stopped:
            main(wrong)
        assert stopped.value.code == 2
    assert not open_run("tiny").manifest.exists()


# Progress


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


def test_the_last_record_is_told_once(capsys):
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
        client.execute_interactive(code, allow_stdin=watched, output_hook=said.append, timeout=60)
    text = json.dumps([message["content"] for message in said], default=str)
    assert ("tiles 1/1" in text) != watched
    assert ("application/vnd.jupyter.widget-view+json" in text) == watched


# Doctor and list


def test_the_doctor_tells_presence_and_never_content(notebooks, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "no_such_package"))
    home = tmp_path / "home"
    (home / ".copernicusmarine").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"COPERNICUSMARINE_SERVICE_{name}", raising=False)
    monkeypatch.delenv("COPERNICUSMARINE_CREDENTIALS_DIRECTORY", raising=False)
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "missing  no_such_package" in told and "login   absent" in told

    monkeypatch.setattr(doctor, "PACKAGES", ("numpy",))
    (home / ".copernicusmarine" / ".copernicusmarine-credentials").write_text("c2VjcmV0")
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert "credentials" in told and "c2VjcmV0" not in told

    monkeypatch.setenv("COPERNICUSMARINE_SERVICE_USERNAME", "somebody")
    monkeypatch.setenv("COPERNICUSMARINE_SERVICE_PASSWORD", "c2VjcmV0")
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert "environment variables" in told
    assert "c2VjcmV0" not in told and "somebody" not in told


def test_list_shows_each_file_with_its_first_comment(notebooks, capsys):
    assert main(["list"]) == 0
    assert capsys.readouterr().out.split() == ["tiny", "A", "tiny", "run."]
