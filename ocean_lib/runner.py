"""The runner: executes the chain of notebooks into a run's folder, once and in order.

It resolves the parameters, takes the run's lock and lets papermill execute each notebook with
the parameters that it declares. The manifest says which steps are done, so the same command again
continues where the last one stopped; with other parameters it is refused, since half of the
folder would come from the one experiment and half from the other.
"""

import contextlib
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from ocean_lib.parameters import NOTEBOOKS, RunError, chain, declared, load_parameters
from ocean_lib.runs import Run, device_name, open_run

__all__ = ["foreign_kernel", "run", "scores_table"]

_RECORDED = ("ocean_lib", "torch", "numpy", "scipy", "xarray", "netCDF4", "zarr", "papermill")
_METRICS = ("rmse", "mae", "bias", "crps", "spread", "psnr", "ssim")


def run(name: str, overrides: Iterable[str] = (), fresh: bool = False) -> int:
    """Executes the chain of notebooks into `outputs/<run>`, skipping the steps that are done.

    Args:
        name: parameters file, as `load_parameters` takes it.
        overrides: `key=value` each; `run=other` fills another folder.
        fresh: first empties the run's own folder; `data/` stays.

    Returns:
        0, or 1 where a notebook failed: it is kept as `NN_name.failed.ipynb`, and the same call
        again resumes at that step.

    Raises:
        RunError: nothing was started: a parameter, the device or the kernel does not fit, another
            process holds the run, or the run exists with other parameters.
    """
    parameters = load_parameters(name, overrides, notebooks=NOTEBOOKS)
    device = device_name(parameters.get("device", "auto"))
    problem = foreign_kernel()
    if problem:
        raise RunError(problem)
    opened = open_run(parameters["run"])
    with _locked(opened):
        if fresh:
            _empty(opened.folder)
            opened = open_run(opened.name)
        manifest = _manifest(opened, parameters, device)
        steps = manifest["steps"]
        behind = False
        for notebook in chain(NOTEBOOKS):
            kept = (opened.folder / notebook.name).exists()
            if not behind and kept and steps.get(notebook.stem, {}).get("status") == "done":
                print(f"{notebook.stem}: done before, skipped", flush=True)
                continue
            if not behind:
                # What follows a repeated step was made from its former result.
                behind = True
                for later in [step for step in steps if step >= notebook.stem]:
                    del steps[later]
            print(f"{notebook.stem}: running", flush=True)
            error = _step(notebook, opened, manifest)
            if error:
                print(f"\n{error}", file=sys.stderr, flush=True)
                return 1
            print(f"{notebook.stem}: done in {steps[notebook.stem]['seconds']:.0f} s", flush=True)
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


@contextlib.contextmanager
def _locked(opened: Run) -> Iterator[None]:
    import fcntl

    with open(opened.folder / ".lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise RunError(
                f"run {opened.name!r} is under way in process {file.read().strip()};"
                " wait for it, or give another folder by run=NAME"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != ".lock":
            entry.unlink()


def _manifest(opened: Run, parameters: dict, device: str) -> dict:
    """The run's manifest, new or continued; refused where its parameters differ."""
    parameters = json.loads(json.dumps(parameters))
    steps = {}
    if opened.manifest.exists():
        before = json.loads(opened.manifest.read_text(encoding="utf-8"))
        steps, old = before["steps"], before["parameters"]
        pairs = [
            (key, *(repr(each[key]) if key in each else "absent" for each in (old, parameters)))
            for key in sorted(old | parameters)
        ]
        changed = [f"  {key}: {was} -> {now}" for key, was, now in pairs if was != now]
        if changed:
            raise RunError(
                f"run {opened.name!r} exists with other parameters:\n"
                + "\n".join(changed)
                + "\nbegin anew with --fresh, or keep both by run=NAME"
            )
    manifest = {
        "run": opened.name,
        "parameters": parameters,
        "seed": parameters.get("seed"),
        "device": device,
        "commit": _commit(),
        "versions": {"python": sys.version.split()[0]}
        | {package: metadata.version(package) for package in _RECORDED},
        "steps": steps,
    }
    _write_manifest(opened, manifest)
    return manifest


def _write_manifest(opened: Run, manifest: dict) -> None:
    partial = opened.manifest.with_suffix(".partial")
    partial.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, opened.manifest)


def _commit() -> str | None:
    """The checkout's commit, with `-dirty` where files differ; None outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        told = subprocess.run(command, cwd=NOTEBOOKS.parent, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return told.stdout.strip() or None


def _step(notebook: Path, opened: Run, manifest: dict) -> str | None:
    """Executes one notebook and keeps its status; returns what went wrong, if anything."""
    step = {"status": "running", "start": _now(), "commit": manifest["commit"]}
    manifest["steps"][notebook.stem] = step
    _write_manifest(opened, manifest)
    begin = time.monotonic()
    step["status"] = "stopped"
    try:
        passed = {name: manifest["parameters"][name] for name in declared(notebook)}
        error = _execute(notebook, opened.folder / notebook.name, passed)
        step["status"] = "failed" if error else "done"
        return error
    finally:
        step |= {"end": _now(), "seconds": round(time.monotonic() - begin, 1)}
        _write_manifest(opened, manifest)


def _execute(notebook: Path, executed: Path, parameters: dict) -> str | None:
    """Executes a notebook in its own folder; returns the error's last lines, if it failed."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from traitlets.config import Config

    partial = executed.with_name(f".{executed.stem}.partial.ipynb")
    failed = executed.with_name(f"{executed.stem}.failed.ipynb")
    try:
        papermill.execute_notebook(
            notebook,
            partial,
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
        os.replace(partial, executed)
        failed.unlink(missing_ok=True)
        return None
    except papermill.PapermillExecutionError as error:
        lines = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback)).splitlines()
        told = "\n".join(lines[-12:]) or f"{error.ename}: {error.evalue}"
    except DeadKernelError:
        told = "the notebook's kernel died; most often the memory is exhausted"
    finally:
        if partial.exists():
            os.replace(partial, failed)
    return f"{told}\n\n{notebook.stem} failed; as far as it went it is in {failed}"


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
