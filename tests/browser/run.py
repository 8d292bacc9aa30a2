"""The browser test: a smoke run, JupyterLab and Voilà on it, and `drive.mjs` in Chromium.

    python tests/browser/run.py [NODE_MODULES]

`make test-browser` calls it. The notebooks are those of the smoke run, as executed, without
outputs, so that running all cells finds everything made. Screenshots lie in `outputs/browser/`.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "outputs" / "browser"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port: int, seconds: float = 60) -> None:
    """Until somebody listens: asking Voilà for a page would run the notebook once more."""
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.3)


def main() -> int:
    modules = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "tests" / "browser").resolve()
    work = SHOTS / "workspace"
    shutil.rmtree(work, ignore_errors=True)
    for folder in ("data", "outputs", "notebooks"):
        (work / folder).mkdir(parents=True)
    environment = os.environ | {"OCEAN_WORKSPACE": str(work)}
    run = [sys.executable, "-m", "ocean_lib", "run", "smoke", "evaluations=[2]"]
    subprocess.run(run, env=environment, check=True, stdout=subprocess.DEVNULL)
    names = []
    for path in sorted((work / "outputs" / "smoke").glob("0*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, work / "notebooks" / path.name)
        names.append(f"notebooks/{path.name}")
    shutil.copy(ROOT / "notebooks" / "explore.ipynb", work / "notebooks")
    ports = free_port(), free_port()
    quiet = {"env": environment, "cwd": work, "stdout": subprocess.DEVNULL}
    lab = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *(
                f"--port={ports[0]}",
                "--ip=127.0.0.1",
                "--IdentityProvider.token=",
                "--expose-app-in-browser",
            ),
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            f"--notebook-dir={work}",
        ],
        stderr=subprocess.DEVNULL,
        **quiet,
    )
    voila = subprocess.Popen(
        [
            *(sys.executable, "-m", "voila", "--no-browser", f"--port={ports[1]}"),
            str(work / "notebooks" / "explore.ipynb"),
        ],
        stderr=subprocess.DEVNULL,
        **quiet,
    )
    try:
        for port in ports:
            wait_for(port)
        addresses = [f"http://127.0.0.1:{port}" for port in ports]
        driver = [
            "node",
            str(ROOT / "tests" / "browser" / "drive.mjs"),
            *addresses,
            str(SHOTS),
            *names,
        ]
        return subprocess.run(driver, cwd=modules, timeout=600).returncode
    finally:
        for server in (lab, voila):
            server.terminate()
        for server in (lab, voila):
            server.wait(timeout=20)


if __name__ == "__main__":
    sys.exit(main())
