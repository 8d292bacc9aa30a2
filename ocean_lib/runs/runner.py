"""The runner: executes the chain of notebooks into a run's folder, once and in order.

It resolves the parameters, takes the run's lock, and lets papermill execute each notebook with the
parameters that it declares. The manifest says which steps are done, so the same command again
continues where the last one stopped. With other parameters it is refused, since one half of the
folder would come from one experiment and the other half from another.
"""

import contextlib
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ocean_lib.runs.capacity import check_memory, check_room, list_rooms
from ocean_lib.runs.checks import check_parameters
from ocean_lib.runs.limits import explain_full_disk, explain_limit
from ocean_lib.runs.lock import hold_run
from ocean_lib.runs.manifest import Manifest
from ocean_lib.runs.needs import Needs, estimate_needs
from ocean_lib.runs.parameters import (
    NOTEBOOKS,
    RunError,
    chain,
    declared,
    load_parameters,
    suggestion,
)
from ocean_lib.runs.paths import Run, device_name, open_run
from ocean_lib.runs.signals import suspending_on_signal

__all__ = ["SUSPENDED", "execute_run", "foreign_kernel", "scores_table"]


SUSPENDED = 75  # exit code; EX_TEMPFAIL, which schedulers read as "run it again"
EXIT_CODES = {"done": 0, "planned": 0, "suspended": SUSPENDED}  # by status; 1 for any other
INTENDED_ENDS = {"Suspended": "suspended", "Planned": "planned"}  # exceptions, and their status
SHOWN_METRICS = ("rmse", "mae", "bias", "crps", "spread", "psnr", "ssim")


def execute_run(
    name: str, overrides: Iterable[str] = (), fresh: bool = False, begin: str | None = None
) -> int:
    """Execute the chain of notebooks into `outputs/<run>`, skipping the steps that are done.

    Args:
        name: parameters file, as `load_parameters` takes it.
        overrides: `key=value` strings; `run=other` fills another folder.
        fresh: empty the run's own folder first; `data/` stays.
        begin: a step to repeat together with all steps after it, even if they are done. What they
            wrote into the run's folder is removed first, their notebooks are kept in `attempts/`,
            and `data/` stays. Parameters that no earlier notebook declares may then change.

    Returns:
        0 when all is done, also after a dry run, which leaves no run; 1 where a notebook failed;
        `SUSPENDED` where the stop file `outputs/<run>/stop` was found: the notebook is kept in
        `attempts/`, and the same call resumes there.

    Raises:
        RunError: nothing was started, because a parameter, the device, the disk or the kernel does
            not fit, another process holds the run, or the run exists with other parameters.
    """
    parameters = load_parameters(name, overrides, notebooks=NOTEBOOKS)
    check_parameters(parameters)
    device = device_name(parameters["device"]) if "device" in parameters else None
    problem = foreign_kernel()
    if problem:
        raise RunError(problem)
    notebooks = chain(NOTEBOOKS)
    steps = [notebook.stem for notebook in notebooks]
    if begin is not None and begin not in steps:
        raise RunError(
            f"no step {begin!r}{suggestion(begin, steps)}; known are: {', '.join(steps)}"
        )
    run = open_run(parameters["run"])
    needs = Needs() if parameters.get("dry_run") else estimate_needs(parameters, device)

    def explain(failure: str) -> str | None:
        temporary = Path(tempfile.gettempdir()), 1e6  # bytes; it takes little
        rooms = [*list_rooms(needs, run, parameters.get("store")), temporary]
        return explain_full_disk(failure, rooms) or explain_limit(failure)

    check_room(list_rooms(needs, run, parameters.get("store")))
    check_memory(needs)
    with hold_run(run.folder):
        if parameters.get("dry_run") and run.manifest.exists():
            raise RunError(
                f"run {run.name!r} exists, and a dry run would leave nothing of it; give another"
                " name by run=NAME"
            )
        if fresh:
            _empty(run.folder)
            run = open_run(run.name)
        for partial in run.folder.rglob("*.partial"):
            partial.unlink()  # of a killed process
        run.stop.unlink(missing_ok=True)
        manifest = Manifest(run)
        _refuse_changes(run, manifest.changed(parameters), begin)
        _discard_outdated(manifest, steps, begin)
        try:
            manifest.describe(parameters, device)
            for notebook in notebooks:
                status = _step(notebook, run, manifest, parameters, explain)
                if status != "done":
                    break
        except OSError as error:
            # The manifest could not be written: the next run takes the step as killed.
            status, cause = "failed", explain(str(error))
            if cause is None:
                raise
            print(f"\n{cause}", file=sys.stderr)
        run.stop.unlink(missing_ok=True)
        if status == "planned":  # nothing was done, so there is no run
            _empty(run.folder)
    if status == "done":
        if run.scores.exists():
            print(f"\n{scores_table(run.scores)}")
        print(f"\nEverything is in {run.folder}, pictures in {run.figures}", flush=True)
    return EXIT_CODES.get(status, 1)


def scores_table(path: Path) -> str:
    """The scores over all depths as text, one table per case: methods down, metrics across.

    Args:
        path: a run's `scores.csv`.

    Raises:
        RunError: an earlier version wrote the file.
    """
    from ocean_lib.scores.score_table import read_scores  # imports pandas

    try:
        scores = read_scores(path)
    except ValueError as error:
        raise RunError(str(error)) from error
    scores = scores[(scores["layer"] == "all") & scores["metric"].isin(SHOWN_METRICS)]
    tables = []
    for case, group in scores.groupby("case", sort=False):
        table = group.pivot_table(
            index="method", columns="metric", values="value", aggfunc="first", sort=False
        )
        table = table[[metric for metric in SHOWN_METRICS if metric in table.columns]]
        table = table.rename_axis(index=None, columns=None)
        text = table.to_string(float_format="{:.3f}".format, na_rep="-")
        tables.append(f"{case} against truth\n{text}")
    return "\n\n".join(tables)


def foreign_kernel() -> str | None:
    """Why the Jupyter kernel `python3` is not this interpreter, with the remedy; None if it is."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    remedy = f"run `{sys.executable} -m ipykernel install --sys-prefix`"
    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return f"there is no Jupyter kernel python3; {remedy}"
    # jupyter_client reads a bare `python` as the interpreter that starts the kernel. Links are not
    # followed: the interpreters of all virtual environments link to the same file.
    bare = command in ("python", "python3", f"python3.{sys.version_info.minor}")
    if bare or Path(command).parent == Path(sys.executable).parent:
        return None
    return f"the Jupyter kernel python3 starts {command}, not {sys.executable}; {remedy}"


def _empty(folder: Path) -> None:
    """Remove all but the lock, the manifest first: without it a half-emptied folder is no run."""
    (folder / "manifest.json").unlink(missing_ok=True)
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != ".lock":
            entry.unlink()


def _refuse_changes(run: Run, changes: dict[str, str], begin: str | None) -> None:
    """Refuse changed parameters, except those that only repeated steps declare."""
    first: dict[str, str] = {}  # name to the first step that declares it
    for notebook in chain(NOTEBOOKS):
        first = dict.fromkeys(declared(notebook), notebook.stem) | first
    refused = [name for name in changes if begin is None or first.get(name, "") < begin]
    if refused:
        lines = "".join(f"\n  {name}: {changes[name]}" for name in refused)
        known = [first[name] for name in changes if name in first]
        remedy = f", repeat what they change by --from {min(known)}" if known else ""
        raise RunError(
            f"run {run.name!r} exists with other parameters:{lines}\n"
            f"begin anew with --fresh{remedy}, or keep both by run=NAME"
        )


def _discard_outdated(manifest: Manifest, steps: list[str], begin: str | None) -> None:
    """Discard the results of repeated steps, and of all that were made from them."""
    pending = next((step for step in steps if not manifest.done(step)), None)
    repeated = next((step for step in steps if step == begin or manifest.lost(step)), None)
    manifest.discard(
        step
        for step in steps
        if (repeated and step >= repeated) or (pending and step > pending and manifest.done(step))
    )


def _step(
    notebook: Path,
    run: Run,
    manifest: Manifest,
    parameters: dict[str, Any],
    explain: Callable[[str], str | None],
) -> str:
    """Execute one notebook unless it is done; print and record the outcome; return its status."""
    step = notebook.stem
    if manifest.done(step):
        print(f"{step}: done before, skipped", flush=True)
        return "done"
    if run.stop.exists():
        print(f"\nsuspended before {step}; the same command continues", flush=True)
        return "suspended"
    values = {name: parameters[name] for name in declared(notebook)}
    print(f"{step}: running", flush=True)
    manifest.begin(step)
    # A step that writes checkpoints can write one more before it stops.
    suspends = run.checkpoints in run.results(step)
    status, message = "stopped", ""
    try:
        with suspending_on_signal(run.stop) if suspends else contextlib.nullcontext():
            status, message = _execute(notebook, run.executing(step), values)
    finally:
        path = manifest.end(step, status)
    if status == "done":
        print(f"{step}: done in {manifest.steps[step]['seconds']:.0f} s", flush=True)
    elif status == "planned":
        print(f"\n{message}", flush=True)
    elif status == "suspended":
        print(f"\n{message}\nits notebook so far is {path}", flush=True)
    else:
        message = explain(message) or message
        print(f"\n{message}\n\n{step} failed; its notebook so far is {path}", file=sys.stderr)
    return status


def _execute(notebook: Path, executing: Path, parameters: dict[str, Any]) -> tuple[str, str]:
    """Execute a notebook in its own folder; return its status and a message."""
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
            # The kernel's ports are open to the other users of a cluster's node.
            config=Config(KernelManager={"transport_encryption": "auto"}),
        )
        return "done", ""
    except papermill.PapermillExecutionError as error:
        if error.ename in INTENDED_ENDS:
            return INTENDED_ENDS[error.ename], error.evalue
        lines = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback)).splitlines()
        return "failed", "\n".join(lines[-12:]) or f"{error.ename}: {error.evalue}"
    except DeadKernelError:
        return "failed", f"the notebook's kernel died; most often {explain_limit('MemoryError')}"
    # The notebook cannot be written, or its kernel cannot start.
    except (OSError, RuntimeError) as error:
        return "failed", f"{type(error).__name__}: {error}"
