"""The doctor reports what is installed and what is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ocean_lib.__main__ import main
from ocean_lib.runs import doctor


def test_the_doctor_tells_presence_and_never_content(notebooks, monkeypatch, tmp_path, capsys):
    packages = {"numpy>=2": "", "no-such-package": "", "no-such-extra": "argo"}
    monkeypatch.setattr(doctor, "_requirements", lambda: packages)
    home = tmp_path / "home"
    (home / ".copernicusmarine").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"COPERNICUSMARINE_SERVICE_{name}", raising=False)
    monkeypatch.delenv("COPERNICUSMARINE_CREDENTIALS_DIRECTORY", raising=False)
    assert main(["doctor"]) == 1
    output = capsys.readouterr().out
    assert "missing  no-such-package" in output and "-        no-such-extra" in output
    assert "login   absent" in output

    monkeypatch.setattr(doctor, "_requirements", lambda: {"numpy>=2": ""})
    (home / ".copernicusmarine" / ".copernicusmarine-credentials").write_text("c2VjcmV0")
    assert main(["doctor"]) == 0
    output = capsys.readouterr().out
    assert "credentials" in output and "c2VjcmV0" not in output

    monkeypatch.setenv("COPERNICUSMARINE_SERVICE_USERNAME", "somebody")
    monkeypatch.setenv("COPERNICUSMARINE_SERVICE_PASSWORD", "c2VjcmV0")
    assert main(["doctor"]) == 0
    output = capsys.readouterr().out
    assert "environment variables" in output
    assert "c2VjcmV0" not in output and "somebody" not in output


METADATA = """\
Metadata-Version: 2.4
Name: densify-ocean
Version: 0.1.0
Requires-Dist: numpy>=2.0,<3
Requires-Dist: broken-package
Requires-Dist: PyYAML>=6; extra == "notebooks"
Requires-Dist: no-such-package>=1; extra == "notebooks"
Requires-Dist: pytest; extra == "test"
"""


@pytest.fixture
def wheel(tmp_path):
    """Calls the package as pip installs it from a wheel, with no checkout beside it."""
    site = tmp_path / "site-packages"
    package = Path(doctor.__file__).parents[1]
    shutil.copytree(package, site / "ocean_lib", ignore=shutil.ignore_patterns("__pycache__"))
    about = site / "densify_ocean-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(METADATA)
    (tmp_path / "folder").mkdir()

    def call(*words):
        environment = os.environ | {"PYTHONPATH": str(site), "HOME": str(tmp_path)}
        environment.pop("OCEAN_WORKSPACE", None)
        return subprocess.run(
            [sys.executable, "-m", "ocean_lib", *words],
            env=environment,
            cwd=tmp_path / "folder",
            capture_output=True,
            text=True,
        )

    call.site, call.folder = site, tmp_path / "folder"
    return call


def test_an_installed_package_says_that_it_has_no_notebooks(wheel):
    for words in (["list"], ["run", "demo"]):
        done = wheel(*words)
        assert done.returncode == 2 and done.stdout == ""
        assert str(wheel.site / "notebooks") in done.stderr
        assert "clone the repository" in done.stderr


def test_the_doctor_of_an_installed_package_reads_its_metadata(wheel):
    (wheel.site / "broken_package.py").write_text("raise OSError('libbroken.so is missing')")
    done = wheel("doctor")
    assert done.returncode == 1, done.stderr
    assert "missing  broken-package     OSError: libbroken.so is missing" in done.stdout
    assert "run `pip install 'broken-package'`" in done.stdout
    assert f"ok       numpy              {np.__version__}" in done.stdout
    assert "ok       PyYAML" in done.stdout and "  pytest  " not in done.stdout
    # Notebooks are not installed, so that what only they need is not required.
    assert "-        no-such-package" in done.stdout
    assert f"free at {wheel.folder}" in done.stdout
