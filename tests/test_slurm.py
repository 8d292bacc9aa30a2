"""The batch scripts, with stand-ins for sbatch, scontrol and the runner on the path."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What the runner does when asked to suspend: here it polls the stop file, and counts its attempts.
RUNNER = """#!/usr/bin/env bash
shift 2 # -m ocean_lib
echo "$@" >> calls
run=$2; mkdir -p outputs/$run
while kill -0 $PPID; do # until the job itself is gone
  [[ -e finish ]] && exit $(cat finish)
  [[ -e outputs/$run/stop && ! -e deaf ]] && { rm outputs/$run/stop; exit 75; }
  sleep 0.05
done
"""


@pytest.fixture
def node(tmp_path):
    """A folder with a runner that waits, and stand-ins that write down how they are called."""
    stands = {
        "python": RUNNER,
        "sbatch": '#!/usr/bin/env bash\necho "$@" >> jobs\n',
        "scontrol": '#!/usr/bin/env bash\necho "$@" >> requeued\n',
    }
    for name, content in stands.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def start(node, *arguments, **more):
    environment = os.environ | {
        "PATH": f"{node}:{os.environ['PATH']}",
        "PYTHON": str(node / "python"),
        "SLURM_SUBMIT_DIR": str(node),
        "SLURM_JOB_ID": "17",
    }
    environment.pop("OCEAN_WORKSPACE", None)
    return subprocess.Popen(
        [ROOT / "slurm" / "run.sbatch", *arguments],
        cwd=node,
        env=environment | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(path):
    while not path.exists():
        time.sleep(0.02)


def running(node):
    wait_for(node / "outputs" / "demo_gpu")


def ended(job):
    output, _ = job.communicate()
    return job.returncode, output


def test_a_finished_run_ends_the_job_with_its_code(node):
    for code in (0, 1, 2):
        (node / "finish").write_text(str(code))
        assert ended(start(node, "demo_gpu", "width=96"))[0] == code
    assert (node / "calls").read_text() == "run demo_gpu width=96\n" * 3
    assert not (node / "requeued").exists()


def test_before_its_time_is_up_it_suspends_and_goes_back_into_the_queue(node):
    job = start(node, "demo_gpu")
    running(node)
    job.send_signal(signal.SIGUSR1)
    code, output = ended(job)
    assert code == 0 and "suspending demo_gpu" in output and "back into the queue" in output
    assert (node / "requeued").read_text() == "requeue 17\n"
    # The next time it is the same command, which continues.
    (node / "finish").write_text("0")
    assert ended(start(node, "demo_gpu"))[0] == 0
    assert (node / "calls").read_text() == "run demo_gpu\n" * 2


def test_the_stop_file_is_that_of_the_run_in_its_workspace(node):
    (node / "deaf").touch()
    (node / "space" / "outputs" / "other").mkdir(parents=True)
    job = start(node, "demo_gpu", "run=other", OCEAN_WORKSPACE="space", PATIENCE="60")
    running(node)
    job.send_signal(signal.SIGUSR1)
    wait_for(node / "space/outputs/other/stop")
    (node / "finish").write_text("75")
    assert ended(job)[0] == 0


def test_a_parameters_file_may_name_its_run(node):
    (node / "deaf").touch()
    (node / "my_own.yaml").write_text("# mine\nrun: exp7  # the seventh\nwidth: 96\n")
    (node / "outputs" / "exp7").mkdir(parents=True)
    job = start(node, "my_own.yaml", PATIENCE="60")
    wait_for(node / "calls")
    job.send_signal(signal.SIGUSR1)
    wait_for(node / "outputs/exp7/stop")
    (node / "finish").write_text("75")
    assert ended(job)[0] == 0


def test_what_does_not_suspend_is_stopped_and_queued_again(node):
    (node / "deaf").touch()
    job = start(node, "demo_gpu", PATIENCE="0.3")
    running(node)
    job.send_signal(signal.SIGUSR1)
    assert ended(job)[0] == 0
    assert (node / "requeued").read_text() == "requeue 17\n"


def test_a_sweep_is_a_job_for_every_experiment(node):
    command = [ROOT / "slurm" / "sweep.sh", "demo_gpu", "my/own.yaml", "width=96", "seed=2"]
    environment = os.environ | {"PATH": f"{node}:{os.environ['PATH']}"}
    jobs = node / "sbatch"
    jobs.write_text(f'#!/usr/bin/env bash\necho "$@" >> {node}/jobs\n')
    subprocess.run(command, env=environment, check=True)
    assert (node / "jobs").read_text().splitlines() == [
        "--job-name=demo_gpu slurm/run.sbatch demo_gpu width=96 seed=2",
        "--job-name=own slurm/run.sbatch my/own.yaml width=96 seed=2",
    ]
    nothing = subprocess.run(command[:1], env=environment, capture_output=True, text=True)
    assert nothing.returncode == 2 and "which experiments" in nothing.stdout
