"""Runs that are killed, stopped and suspended end as the run that was not; no kernel outlives one.

A few on tiny notebooks with a real training; `benchmarks/kill.py` does twenty on the whole chain.
"""

import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import torch
from tiny import densifier, scenes

from ocean_lib.model.densifier import Densifier
from ocean_lib.model.training import stages, train
from ocean_lib.runs.lock import hold_run

BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "kill.py"
# A signal gives the training all the time that it needs.
PROGRAM = """\
import pathlib, sys
from ocean_lib import __main__
from ocean_lib.runs import runner, signals
signals.SECONDS_TO_SUSPEND = 10**6
runner.NOTEBOOKS = pathlib.Path(sys.argv[1])
sys.exit(__main__.main(sys.argv[2:]))
"""
# The file `gate` holds the step at which the training waits, so no test depends on its pace.
TRAINING = """\
import time
from pathlib import Path
import torch
from tiny import densifier, scenes
from ocean_lib.runs import open_run
from ocean_lib.store import Store
from ocean_lib.model import stages, train

torch.set_num_threads(threads)
here, data = open_run(run), Store(built)
model = densifier(data)
for record in train(
    model, scenes(data, seed=1), scenes(data, "validation"), steps=stages("residual", 6, 6),
    folder=here.checkpoints, metrics=here.metrics, batch=2, every=2, warmup=2, cases=1,
    stop=here.stop,
):
    while record["step"] >= int(Path(gate).read_text()):
        time.sleep(0.02)
model.save(here.checkpoint)
"""


@pytest.fixture(scope="module")
def kill():
    """`benchmarks/kill.py` as a module."""
    specification = importlib.util.spec_from_file_location("kill", BENCHMARK)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "a workspace").mkdir()
    return tmp_path / "a workspace"


@pytest.fixture
def begin(tmp_path, workspace, kill):
    """Starts `python -m ocean_lib run tiny` on a chain of one notebook; ends it with the test."""
    started = []
    (tmp_path / "notebooks" / "parameters").mkdir(parents=True)
    (tmp_path / "notebooks" / "parameters" / "tiny.yaml").touch()
    shutil.copy(Path(__file__).with_name("tiny.py"), tmp_path / "notebooks")

    def begin(parameters: str, code: str, step: str = "03_training"):
        cells = [nbformat.v4.new_code_cell(each) for each in (parameters, code)]
        cells[0].metadata["tags"] = ["parameters"]
        notebook = nbformat.v4.new_notebook(cells=cells)
        nbformat.write(notebook, tmp_path / "notebooks" / f"{step}.ipynb")
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / "notebooks"), "run", "tiny"]
        started.append(kill.start(command, workspace))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            kill.kill_tree(process)


def wait_for(there, process):
    while not there():
        assert process.poll() is None
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_killed_and_suspended_a_run_ends_in_the_same_bits(
    small_store, workspace, tmp_path, kill, begin, number
):
    threads = torch.get_num_threads()
    parameters = f"run: str = 'tiny'\nbuilt: str = {str(small_store.folder)!r}\n"
    gate = tmp_path / "gate"
    parameters += f"threads: int = {threads}\ngate: str = {str(gate)!r}"
    folder = workspace / "outputs" / "tiny"

    def open_gate(step: int):
        gate.with_suffix(".new").write_text(str(step))
        gate.with_suffix(".new").replace(gate)

    def reach(step: int):
        open_gate(step)
        process = begin(parameters, TRAINING)
        wait_for((folder / "checkpoints" / f"step_{step:08d}.pt").exists, process)
        return process

    kill.kill_tree(reach(2))
    assert kill.where(folder) == "03_training after step 2"

    # The signal makes the stop file, which training obeys.
    process = reach(8)
    process.send_signal(number)
    wait_for((folder / "stop").exists, process)
    open_gate(99)
    assert process.wait() == 75

    files, wrong = kill.partial_files(workspace)
    assert files >= 6 and not wrong
    process = begin(parameters, TRAINING)
    expected = densifier(small_store)
    records = train(
        expected,
        scenes(small_store, seed=1),
        scenes(small_store, "validation"),
        steps=stages("residual", 6, 6),
        folder=tmp_path / "unbroken",
        metrics=tmp_path / "unbroken.jsonl",
        batch=2,
        every=2,
        warmup=2,
        cases=1,
    )
    records = [record | {"seconds": 0} for record in records]
    assert process.wait() == 0
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) | {"seconds": 0} for line in lines] == records
    weights = Densifier.load(folder / "checkpoint.safetensors").state_dict()
    for name, value in expected.state_dict().items():
        assert torch.equal(value, weights[name]), name

    step = json.loads((folder / "manifest.json").read_text())["steps"]["03_training"]
    assert step["status"] == "done"
    assert [each["status"] for each in step["attempts"]] == ["killed", "suspended"]
    names = sorted(path.name for path in (folder / "attempts").iterdir())
    assert names == [f"03_training.{number}.ipynb" for number in (1, 2)]
    output = (folder / "attempts" / "03_training.2.ipynb").read_text()
    assert "training is suspended after step 9 of 12" in output
    assert not (folder / "stop").exists() and not list(workspace.rglob("*.partial"))


WAITING = """\
import time
from pathlib import Path
Path(began).touch()
while True:
    time.sleep(0.02)
"""


@pytest.mark.parametrize("number, code", [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_a_signal_outside_of_training_is_recorded(workspace, tmp_path, begin, number, code):
    began = tmp_path / "began"
    process = begin(f"run: str = 'tiny'\nbegan: str = {str(began)!r}", WAITING, "01_wait")
    wait_for(began.exists, process)
    process.send_signal(number)
    assert process.wait() == code
    manifest = json.loads((workspace / "outputs" / "tiny" / "manifest.json").read_text())
    assert manifest["steps"]["01_wait"]["status"] == "stopped"


def test_what_outlives_its_runner_is_ended_by_the_next(tmp_path):
    """Also what cannot notice that its runner is gone: this one never lets go of Python's lock."""
    code = "print(flush=True); sum(range(10**13))"
    with hold_run(tmp_path):
        left = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    another = tmp_path / "another run"
    another.mkdir()
    try:
        left.stdout.readline()
        with hold_run(another):
            assert left.poll() is None
        with hold_run(tmp_path):
            assert left.poll() is not None
    finally:
        left.kill()
        left.communicate()


def test_what_is_not_whole_is_found(tmp_path, kill):
    """The reader of the kills itself: each of these would be a fault."""
    folder = tmp_path / "outputs" / "a"
    folder.mkdir(parents=True)
    broken = {
        "a.nc": b"\x89HDF\r\n\x1a\n",
        "b.pt": b"PK",
        "b.safetensors": bytes(20),
        "c.json": b'{"a": ',
        "d.jsonl": b'{"a": 1}\n{"a"',
        "e.csv": b"method,case\n",
        "f.gif": b"GIF89a" + bytes(40),
        "f.png": b"\x89PNG\r\n\x1a\n" + bytes(40),
        "g.ipynb": b"{}",
        "h.npy": b"\x93NUMPY",
        "i.other": b"",
    }
    for name, content in broken.items():
        (folder / name).write_bytes(content)
        (folder / f"{name}.77.partial").write_bytes(content)
    number, wrong = kill.partial_files(tmp_path)
    assert number == len(wrong) == len(broken)
    assert [line.split(":")[0] for line in wrong] == [f"outputs/a/{name}" for name in broken]
