"""Does a run that is killed at random moments resume with the same command and the same scores?

    python benchmarks/kill.py [--kills 20] [--seed 0]

First the five notebooks run once without interruption on a small demo ocean. Then the same run is
started in other workspaces; each is killed twice with SIGKILL (the runner, its kernel and all their
child processes) and resumed with the same command until it finishes. The first moment is drawn
uniformly from the duration of the uninterrupted run, the second from the remaining time. After
every kill, all files with a final name are opened and read completely; at the end of every run its
scores are compared byte by byte with those of the uninterrupted run.

The table is printed and written to `benchmarks/results/kill.md`. The exit status is 1 if anything
failed.
"""

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import nbformat
import netCDF4
import numpy as np
import pandas as pd
import psutil
import torch

from ocean_lib.model.checkpoint import read_checkpoint
from ocean_lib.store.store import Store

RESULT = Path(__file__).resolve().parent / "results" / "kill.md"
SMALL = (
    "run=kill store=kill device=cpu demo_months=36 split=time validation_months=6 test_months=6"
    " depths=[9.6,109.7] region=[-68,-65,34,36] patch=16 batch=2 regression_steps=25"
    " diffusion_steps=25 every=5 dates=2 sampling_steps=2"
).split()


def start(command: list[str], workspace: Path) -> subprocess.Popen:
    """Start the command in a workspace, with its output in `run.log`."""
    log = open(workspace / "run.log", "ab")
    surroundings = os.environ | {"OCEAN_WORKSPACE": str(workspace)}
    return subprocess.Popen(command, env=surroundings, stdout=log, stderr=log)


def kill_tree(process: subprocess.Popen) -> None:
    """Send SIGKILL to the runner and all its child processes."""
    runner = psutil.Process(process.pid)
    tree = [runner, *runner.children(recursive=True)]
    for each in tree:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            pass
    psutil.wait_procs(tree[1:])
    process.wait()


def is_final(path: Path) -> bool:
    """Whether no part of a path marks it as partly written."""
    return not any(
        part.startswith(".") or part.endswith((".partial", ".part")) for part in path.parts
    )


def partial_files(workspace: Path) -> tuple[int, list[str]]:
    """Read all files with a final name; return their number and the failures."""
    wrong, number = [], 0
    for path in sorted(workspace.rglob("*")):
        if path.is_dir() or path.name == "run.log" or not is_final(path.relative_to(workspace)):
            continue
        number += 1
        try:
            READERS[path.suffix](path)
        except Exception as error:
            wrong.append(f"{path.relative_to(workspace)}: {type(error).__name__}: {error}")
    stores = workspace / "data" / "store"
    for folder in stores.iterdir() if stores.is_dir() else ():
        if is_final(Path(folder.name)):
            try:
                _read_store(folder)
            except Exception as error:
                wrong.append(f"store {folder.name}: {type(error).__name__}: {error}")
    return number, wrong


def _read_netcdf(path):
    with netCDF4.Dataset(path) as file:
        for variable in file.variables.values():
            variable[:]


def _read_csv(path):
    table = pd.read_csv(path)
    assert {"method", "case", "metric", "value", "n"} <= set(table.columns), table.columns
    assert table["value"].notna().all() and path.read_bytes().endswith(b"\n")


def _read_png(path):
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG") and content[-8:-4] == b"IEND"


def _read_gif(path):
    content = path.read_bytes()
    assert content.startswith(b"GIF8") and content.endswith(b";")


def _read_notebook(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nbformat.validate(nbformat.read(path, as_version=4))


def _read_lines(path):
    assert path.read_bytes()[-1:] == b"\n"
    for line in path.read_text().splitlines():
        json.loads(line)


def _read_store(folder):
    store = Store(folder)
    assert (
        len(store.anomaly) == len(store.times) and np.isfinite(store.statistics().deviation).any()
    )
    np.asarray(store.anomaly).sum()


READERS = {
    ".nc": _read_netcdf,
    ".pt": lambda path: torch.load(path, weights_only=True),
    ".safetensors": read_checkpoint,
    ".json": lambda path: json.loads(path.read_text()),
    ".jsonl": _read_lines,
    ".csv": _read_csv,
    ".png": _read_png,
    ".gif": _read_gif,
    ".ipynb": _read_notebook,
    ".npy": lambda path: np.load(path).sum(),
}


def where(folder: Path) -> str:
    """The step a run was in, from its manifest and its newest checkpoint."""
    try:
        steps = json.loads((folder / "manifest.json").read_text())["steps"]
    except FileNotFoundError:
        return "before the first step"
    running = [step for step, held in steps.items() if held["status"] == "running"]
    if not running:
        return f"after {max(steps)}" if steps else "before the first step"
    reached = sorted(folder.glob("checkpoints/step_*.pt"))
    if "training" in running[0] and reached:
        return f"{running[0]} after step {int(reached[-1].stem[5:])}"
    return running[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    command = [sys.executable, "-m", "ocean_lib", "run", "smoke", *SMALL]
    table, failures, kills, runs = io.StringIO(), [], 0, 0

    def say(line: str) -> None:
        print(line, flush=True)
        print(line, file=table)

    with tempfile.TemporaryDirectory(prefix="kill ") as root:
        unbroken = Path(root) / "unbroken"
        unbroken.mkdir()
        began = time.monotonic()
        if start(command, unbroken).wait():
            print((unbroken / "run.log").read_text()[-3000:])
            return 1
        duration = time.monotonic() - began
        expected = (unbroken / "outputs" / "kill" / "scores.csv").read_bytes()
        say(
            f"`python benchmarks/kill.py --kills {asked.kills} --seed {asked.seed}`, "
            f"{os.cpu_count()} cores; without interruption the run takes {duration:.0f} s.\n\n"
            "| kill | run | seconds after start | step | files read | files damaged |\n"
            "|---|---|---|---|---|---|"
        )
        while kills < asked.kills:
            runs += 1
            workspace = Path(root) / f"run {runs}"
            workspace.mkdir()
            folder = workspace / "outputs" / "kill"
            left = duration
            for _ in range(min(2, asked.kills - kills)):
                moment = draw.uniform(0, left)
                process = start(command, workspace)
                try:
                    process.wait(moment)
                    duration = moment  # faster than the uninterrupted run
                    break
                except subprocess.TimeoutExpired:
                    kill_tree(process)
                left -= moment
                kills += 1
                number, wrong = partial_files(workspace)
                failures += wrong
                at = where(folder)
                say(f"| {kills} | {runs} | {moment:.1f} | {at} | {number} | {len(wrong)} |")
            if start(command, workspace).wait():
                failures.append(f"run {runs} was not resumed")
                print((workspace / "run.log").read_text()[-3000:], flush=True)
            elif (folder / "scores.csv").read_bytes() != expected:
                failures.append(f"run {runs} has other scores")
            failures += partial_files(workspace)[1]
            litter = [path for path in workspace.rglob("*") if path.name.endswith(".partial")]
            failures += [f"run {runs} left {path.name}" for path in litter]
    outcome = (
        "the scores of each equal those of the uninterrupted run" if not failures else "FAILED"
    )
    say(f"\n{kills} kills of {runs} runs, all resumed with the same command: {outcome}.")
    for each in failures:
        say(f"- {each}")
    if not failures:
        RESULT.write_text(table.getvalue())
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
