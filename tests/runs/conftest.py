"""Tiny notebooks in a workspace of their own."""

import pytest
from tiny_chain import FIRST, SECOND, write_notebook

from ocean_lib import __main__
from ocean_lib.runs import runner


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    """A chain of two notebooks in a workspace whose name holds a space."""
    root = tmp_path / "a workspace"
    folder = root / "notebooks"
    (folder / "parameters").mkdir(parents=True)
    (folder / "parameters" / "tiny.yaml").write_text("# A tiny run.\nsteps: 5\n")
    write_notebook(
        folder / "01_first.ipynb",
        FIRST,
        "from ocean_lib.runs import progress\n"
        "records = ({'step': step, 'loss': 1 / step} for step in range(1, steps + 1))\n"
        "for record in progress(records, total=steps, label='training'):\n    pass\n",
    )
    write_notebook(
        folder / "02_second.ipynb",
        SECOND,
        "from pathlib import Path\n"
        "from ocean_lib.runs import open_run\n"
        "if Path('stumble').exists():\n    raise RuntimeError(f'stumbled in {run}')\n"
        "open_run(run).scores.write_text(\n"
        "    'method,reference,case,variable,layer,depth,block,metric,value,low,high,n\\n'\n"
        "    'climatology,truth,blocks,temperature,all,,,rmse,2.0,1.9,2.1,9\\n'\n"
        "    'climatology,truth,blocks,temperature,,10,,rmse,9.0,1.9,2.1,9\\n'\n"
        "    f'model,truth,blocks,temperature,all,,,rmse,{steps},1.9,2.1,9\\n')\n",
    )
    monkeypatch.setenv("OCEAN_WORKSPACE", str(root))
    for module in (runner, __main__):
        monkeypatch.setattr(module, "NOTEBOOKS", folder)
    return folder


@pytest.fixture
def executed(notebooks, monkeypatch):
    """The steps that a run executes, and what they are given; nothing really runs."""
    calls = []

    def execute(notebook, executing, parameters):
        calls.append((notebook.stem, parameters))
        executing.write_text("{}")
        return "done", ""

    monkeypatch.setattr(runner, "_execute", execute)
    return calls
