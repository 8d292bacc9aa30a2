"""A chain of two tiny notebooks, for the tests of the runs."""

import json

import nbformat

from ocean_lib.runs.paths import open_run

FIRST = """\
run: str = "tiny"  # folder under outputs/
steps: int = 10  # how many = how long
learning_rate: float = 1.0e-3
levels: list[int] = [0, 1]
surface: str | None = None
note: str = "a = b"
path: str = ""
"""
SECOND = """\
run: str = "tiny"
steps: int = 10
fails: bool = False
"""


def write_notebook(path, cell, *code):
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(each) for each in (cell, *code)]
    notebook.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, path)


def manifest(run="tiny"):
    return json.loads(open_run(run).manifest.read_text())
