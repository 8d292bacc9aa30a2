"""One runner at a time."""

import os
import subprocess
import sys

import pytest

from ocean_lib.runs import lock, runner
from ocean_lib.runs.parameters import RunError
from ocean_lib.runs.paths import open_run


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
