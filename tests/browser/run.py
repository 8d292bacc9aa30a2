"""The browser test: a smoke run, JupyterLab and Voilà on it, and `drive.mjs` in Chromium.

    python tests/browser/run.py [NODE_MODULES]

`make test-browser` calls it. The notebooks are those of the smoke run, as executed, without
outputs, so that running all cells finds everything made. In the end two more are driven, one
whose picture does not follow its sliders and one where a click opens nothing: the driver must
refuse them. Screenshots lie in `outputs/browser/`.
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
BROKEN = {
    "broken": """
from ocean_lib.explore import reconstruction_view

View = reconstruction_view.ReconstructionView
show = View.show
View.show = lambda view, **names: None if hasattr(view, "names") else show(view, **names)
""",
    "silent": """
from ocean_lib.explore import reconstruction_view

reconstruction_view.ReconstructionView.click = lambda *where: True
""",
}


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
    settings = work / "settings"
    quiet = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text('{"fetchNews": "false"}')
    environment = os.environ | {
        "OCEAN_WORKSPACE": str(work),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
    }
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
    for name in ("explore", "follow_run", "compare_runs"):
        notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        for cell in notebook.cells:
            cell.source = cell.source.replace('["demo"]', '["smoke"]')
        nbformat.write(notebook, work / "notebooks" / f"{name}.ipynb")
    names += [f"notebooks/{name}.ipynb" for name in ("compare_runs", "follow_run")]
    for name, fault in BROKEN.items():
        notebook = nbformat.read(work / "notebooks" / "explore.ipynb", as_version=4)
        notebook.cells.insert(1, nbformat.v4.new_code_cell(fault))
        nbformat.write(notebook, work / "notebooks" / f"{name}.ipynb")
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
        lab_page, voila_page = (f"http://127.0.0.1:{port}" for port in ports)
        drive = ["node", str(ROOT / "tests" / "browser" / "drive.mjs"), lab_page]
        rest = [str(SHOTS), str(work / "outputs" / "smoke")]
        every = subprocess.run([*drive, voila_page, *rest, *names], cwd=modules, timeout=600)
        if every.returncode:
            return every.returncode
        for name in BROKEN:
            refused = subprocess.run(
                [*drive, "", *rest, f"notebooks/{name}.ipynb"],
                cwd=modules,
                timeout=200,
                env=os.environ | {"PATIENCE": "8000"},
                capture_output=True,
                text=True,
            )
            if refused.returncode == 0 or "no picture changed" not in refused.stderr:
                print(f"{name}: what does not work was not noticed:\n{refused.stderr}")
                return 1
            print(f"{name}: noticed")
        return 0
    finally:
        for server in (lab, voila):
            server.terminate()
        for server in (lab, voila):
            server.wait(timeout=20)


if __name__ == "__main__":
    sys.exit(main())
