"""The command line."""

import pytest

from ocean_lib.__main__ import main
from ocean_lib.runs.paths import open_run


def test_wrong_commands_exit_with_2(notebooks, capsys):
    assert main(["run", "tiny", "step=7"]) == 2
    assert capsys.readouterr().err.startswith("no notebook has a parameter 'step'")
    for wrong in (["run", "tiny", "--frehs"], ["lst"], []):
        with pytest.raises(SystemExit) as stopped:
            main(wrong)
        assert stopped.value.code == 2
    assert not open_run("tiny").manifest.exists()


def test_list_shows_each_file_with_its_first_comment(notebooks, capsys):
    assert main(["list"]) == 0
    assert capsys.readouterr().out.split() == ["tiny", "A", "tiny", "run."]


@pytest.mark.parametrize("script", ["densify-ocean", "python -m ocean_lib"])
def test_the_usage_names_the_command_that_was_called(script, monkeypatch, capsys):
    called = "/usr/bin/densify-ocean" if script == "densify-ocean" else "ocean_lib/__main__.py"
    monkeypatch.setattr("sys.argv", [called, "--help"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out.startswith(f"usage: {script} [-h]")
