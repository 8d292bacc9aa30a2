"""The runner: executes the chain of notebooks into a run's folder, once and in order.

It resolves the parameters, takes hold of the run and lets papermill execute each notebook with
the parameters that it declares. The manifest says which steps are done, so the same command again
continues where the last one stopped; with other parameters it is refused, since half of the
folder would come from the one experiment and half from the other.
"""

import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ocean_lib.runs.checks import check_parameters
from ocean_lib.runs.lock import hold_run
from ocean_lib.runs.manifest import Manifest
from ocean_lib.runs.parameters import (
    NOTEBOOKS,
    RunError,
    chain,
    declared,
    load_parameters,
    suggestion,
)
from ocean_lib.runs.paths import Run, device_name, open_run, workspace

__all__ = ["SUSPENDED", "foreign_kernel", "execute_run", "scores_table"]


SUSPENDED = 75  # exit code; EX_TEMPFAIL, which schedulers take for "run it again"
GRACE = 20  # seconds that training has to suspend itself at a signal
ROOM = 1.0  # GB that must be free
ENDS = {"Suspended": "suspended", "Planned": "planned"}  # how a notebook may end on purpose
_METRICS = ("rmse", "mae", "bias", "crps", "spread", "psnr", "ssim")


def execute_run(
    name: str, overrides: Iterable[str] = (), fresh: bool = False, begin: str | None = None
) -> int:
    """Executes the chain of notebooks into `outputs/<run>`, skipping the steps that are done.

    Args:
        name: parameters file, as `load_parameters` takes it.
        overrides: `key=value` each; `run=other` fills another folder.
        fresh: first empties the run's own folder; `data/` stays.
        begin: a step to repeat with all after it, though done: what they made in the run's folder
            is removed first, their notebooks are kept in `attempts/`; `data/` stays. Parameters
            that no earlier notebook declares may then differ from the run's.

    Returns:
        0, also after a dry run, which leaves no run; 1 where a notebook failed, and `SUSPENDED`
        where the stop file `outputs/<run>/stop` was found: the notebook is kept in `attempts/`,
        and the same call again resumes there.

    Raises:
        RunError: nothing was started: a parameter, the device, the disk or the kernel does not
            fit, another process holds the run, or the run exists with other parameters.
    """
    parameters = load_parameters(name, overrides, notebooks=NOTEBOOKS)
    check_parameters(parameters)
    device = device_name(parameters["device"]) if "device" in parameters else None
    problem = foreign_kernel()
    if problem:
        raise RunError(problem)
    notebooks = {notebook.stem: notebook for notebook in chain(NOTEBOOKS)}
    if begin is not None and begin not in notebooks:
        raise RunError(
            f"no step {begin!r}{suggestion(begin, notebooks)}; known are: {', '.join(notebooks)}"
        )
    opened = open_run(parameters["run"])
    _check_room(opened)
    with hold_run(opened.folder):
        if parameters.get("dry_run") and opened.manifest.exists():
            raise RunError(
                f"run {opened.name!r} exists, and a dry run would leave nothing of it; name another"
                " by run=NAME"
            )
        if fresh:
            _empty(opened.folder)
            opened = open_run(opened.name)
        for left in opened.folder.rglob("*.partial"):
            left.unlink()  # of a killed process
        opened.stop.unlink(missing_ok=True)
        manifest = Manifest(opened)
        _refuse_others(opened, manifest.changed(parameters), begin)
        _discard(manifest, list(notebooks), begin)
        manifest.describe(parameters, device)
        for step, notebook in notebooks.items():
            if manifest.done(step):
                print(f"{step}: done before, skipped", flush=True)
                continue
            if opened.stop.exists():
                opened.stop.unlink()
                print(f"\nsuspended before {step}; the same command continues", flush=True)
                return SUSPENDED
            status = _step(notebook, opened, manifest, parameters)
            if status == "planned":  # nothing was done, so there is no run
                _empty(opened.folder)
                return 0
            if status != "done":
                return SUSPENDED if status == "suspended" else 1
        opened.stop.unlink(missing_ok=True)
    if opened.scores.exists():
        print(f"\n{scores_table(opened.scores)}")
    print(f"\nEverything is in {opened.folder}, pictures in {opened.figures}", flush=True)
    return 0


def scores_table(path: Path) -> str:
    """The scores over all depths as text, one table a case: methods down, metrics across."""
    import pandas

    scores = pandas.read_csv(path, dtype={"depth": str})
    scores = scores[(scores["depth"] == "all") & scores["metric"].isin(_METRICS)]
    tables = []
    for (case, reference), group in scores.groupby(["case", "reference"], sort=False):
        table = group.pivot_table(
            index="method", columns="metric", values="value", aggfunc="first", sort=False
        )
        columns = [metric for metric in _METRICS if metric in table.columns]
        text = (
            table[columns]
            .rename_axis(index=None, columns=None)
            .to_string(float_format="{:.3f}".format, na_rep="-")
        )
        tables.append(f"{case} against {reference}\n{text}")
    return "\n\n".join(tables)


def foreign_kernel() -> str | None:
    """Why the Jupyter kernel `python3` is not this interpreter, with the remedy; None if it is."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    remedy = f"run `{sys.executable} -m ipykernel install --sys-prefix`"
    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return f"there is no Jupyter kernel python3; {remedy}"
    # jupyter_client reads a bare `python` as the interpreter that starts the kernel.
    if command in ("python", "python3", f"python3.{sys.version_info.minor}"):
        return None
    # Links are not followed: every virtual environment's interpreter links to the same file.
    if Path(command).parent == Path(sys.executable).parent:
        return None
    return f"the Jupyter kernel python3 starts {command}, not {sys.executable}; {remedy}"


def _check_room(opened: Run) -> None:
    """Refuse a workspace that cannot be written, or whose disk is all but full."""
    for folder in (opened.folder, workspace() / "data"):
        try:
            folder.mkdir(exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise RunError(
                f"{folder} cannot be written ({error.strerror}); get the right to write there, or"
                " set OCEAN_WORKSPACE to a folder of your own"
            ) from error
        free = shutil.disk_usage(folder).free / 1e9
        if free < ROOM:
            raise RunError(
                f"{free:.2f} GB are free at {folder}, a run needs {ROOM:g} GB; free some, or set"
                " OCEAN_WORKSPACE to a folder on another disk"
            )


def _empty(folder: Path) -> None:
    """Without its manifest the folder is no run, however far this comes."""
    (folder / "manifest.json").unlink(missing_ok=True)
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != ".lock":
            entry.unlink()


def _refuse_others(opened: Run, changed: dict[str, str], begin: str | None) -> None:
    """Refuse changed parameters, but for those that only repeated steps declare."""
    first = {}
    for notebook in chain(NOTEBOOKS):
        for name in declared(notebook):
            first.setdefault(name, notebook.stem)
    refused = {
        name: told
        for name, told in changed.items()
        if begin is None or name not in first or first[name] < begin
    }
    if refused:
        lines = [f"  {name}: {told}" for name, told in refused.items()]
        known = [first[name] for name in changed if name in first]
        remedy = f", repeat what they change by --from {min(known)}" if known else ""
        raise RunError(
            f"run {opened.name!r} exists with other parameters:\n"
            + "\n".join(lines)
            + f"\nbegin anew with --fresh{remedy}, or keep both by run=NAME"
        )


def _discard(manifest: Manifest, steps: list[str], begin: str | None) -> None:
    """What was made from the former result of a step that is repeated goes with it."""
    pending = next((step for step in steps if not manifest.done(step)), None)
    repeated = next((step for step in steps if step == begin or manifest.lost(step)), None)
    manifest.discard(
        step
        for step in steps
        if (repeated and step >= repeated) or (pending and step > pending and manifest.done(step))
    )


def _step(notebook: Path, opened: Run, manifest: Manifest, parameters: dict) -> str:
    """Executes one notebook, says and records how it went; returns its status."""
    step = notebook.stem
    passed = {name: parameters[name] for name in declared(notebook)}
    # What leaves checkpoints can be asked to leave one more.
    patient = opened.checkpoints in opened.results(step)
    print(f"{step}: running", flush=True)
    manifest.begin(step)
    status, told = "stopped", ""
    try:
        with _asking(opened.stop) if patient else contextlib.nullcontext():
            status, told = _execute(notebook, opened.executing(step), passed)
    finally:
        path = manifest.end(step, status)
    if status == "done":
        print(f"{step}: done in {manifest.steps[step]['seconds']:.0f} s", flush=True)
    elif status == "planned":
        print(f"\n{told}", flush=True)
    elif status == "suspended":
        print(f"\n{told}\nits notebook so far is {path}", flush=True)
    else:
        print(f"\n{told}\n\n{step} failed; as far as it went it is in {path}", file=sys.stderr)
    return status


@contextlib.contextmanager
def _asking(stop: Path) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM makes the stop file; the second, or time, stops as without it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore():
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number, _):
        restore()
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), number))
        signal.alarm(GRACE)
        stop.touch()
        told = f"\nsuspending; at once by a second signal, or in {GRACE} s\n"
        os.write(2, told.encode())  # print is not safe within a signal

    for number in before:
        signal.signal(number, ask)
    alarm = signal.getsignal(signal.SIGALRM)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, alarm)
        restore()


def _execute(notebook: Path, executing: Path, parameters: dict) -> tuple[str, str]:
    """Executes a notebook in its own folder; returns its status and what there is to say."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from traitlets.config import Config

    try:
        papermill.execute_notebook(
            notebook,
            executing,
            parameters,
            kernel_name="python3",
            language="python",
            cwd=notebook.parent,
            progress_bar=False,
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
            # Other users of a cluster's node reach the kernel's ports too.
            config=Config(KernelManager={"transport_encryption": "auto"}),
        )
        return "done", ""
    except papermill.PapermillExecutionError as error:
        if error.ename in ENDS:
            return ENDS[error.ename], error.evalue
        lines = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback)).splitlines()
        return "failed", "\n".join(lines[-12:]) or f"{error.ename}: {error.evalue}"
    except DeadKernelError:
        return "failed", "the notebook's kernel died; most often the memory is exhausted"
