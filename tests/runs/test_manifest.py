"""The manifest is written atomically and refused when damaged."""

import os

import pytest
from tiny_chain import manifest

from ocean_lib.runs.manifest import Manifest
from ocean_lib.runs.parameters import RunError
from ocean_lib.runs.paths import open_run


def test_the_manifest_appears_whole_or_not_at_all(notebooks, monkeypatch):
    held = Manifest(open_run("tiny"))
    held.describe({}, "cpu")
    before = manifest()

    def broken(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(os, "replace", broken)
        held.begin("01_first")
    assert manifest() == before
    assert not list(open_run("tiny").folder.glob("manifest.json?*"))
    open_run("tiny").manifest.write_text("[]")
    with pytest.raises(RunError, match="damaged.*--fresh"):
        Manifest(open_run("tiny"))
