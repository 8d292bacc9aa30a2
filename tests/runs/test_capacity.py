"""A run that needs more disk or memory than there is does not begin."""

import shutil

import pytest

from ocean_lib.runs import capacity, runner
from ocean_lib.runs.needs import Needs
from ocean_lib.runs.parameters import RunError
from ocean_lib.runs.paths import MIN_FREE_GB, open_run


def test_what_is_written_already_is_not_needed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("OCEAN_WORKSPACE", str(tmp_path))
    run, margin = open_run("a"), 1e9 * MIN_FREE_GB
    (run.folder / "reconstruction.nc").write_bytes(bytes(3000))
    run.raw("demo").mkdir(parents=True)
    (run.raw("demo") / "month.nc").write_bytes(bytes(400))
    rooms = capacity.list_rooms(Needs({}, data=1000, results=5000), run, "demo")
    assert rooms == [(run.folder, 2000 + margin), (tmp_path / "data", 600 + margin)]
    rooms = capacity.list_rooms(Needs({}, results=10), run, None)
    assert [needed for _, needed in rooms] == [margin, margin]


def test_folders_on_one_disk_share_its_room(tmp_path, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=3e9))
    rooms = [(tmp_path / "a", 2e9), (tmp_path / "b", 2e9)]
    capacity.check_room(rooms[:1])
    with pytest.raises(RunError, match="3.00 GB are free at .*b, a run needs 4.00 GB; free some"):
        capacity.check_room(rooms)


def test_too_much_memory_is_refused_with_what_takes_it(monkeypatch, capsys):
    monkeypatch.setattr(capacity, "available_memory", lambda: 4e9)
    needs = Needs({"training; choose a smaller batch": 5e9, "sampling; choose fewer": 1e9})
    with pytest.raises(RunError, match="5.0 GB of memory.* 4.0 GB are.*training; choose a smaller"):
        capacity.check_memory(needs)
    capacity.check_memory(Needs({"training": 3e9}, data=1e9, results=2e9))
    line = capsys.readouterr().out
    assert "needs about 3.0 GB of memory, of 4.0 GB" in line and "3.0 GB of disk" in line


def test_a_run_for_no_machine_is_refused_before_it_begins(tmp_path, monkeypatch):
    monkeypatch.setenv("OCEAN_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(runner, "hold_run", None)  # nothing is to come this far
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1e15))
    with pytest.raises(RunError, match="GB of memory are needed.*smaller width"):
        runner.execute_run("demo", ["width=1024", "multipliers=[1,16,16,16]", "device=cpu"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2e9))
    with pytest.raises(RunError, match="2.00 GB are free at .*, a run needs 52.* GB"):
        runner.execute_run("demo", ["scenes=[10000,10000]", "device=cpu"])


def test_the_control_group_bounds_the_memory(tmp_path, monkeypatch):
    path, group = capacity.Path("/proc/self/cgroup"), tmp_path / "job" / "step"
    group.mkdir(parents=True)
    real = capacity.Path.read_text
    monkeypatch.setattr(
        capacity.Path, "read_text", lambda self: "0::/job/step\n" if self == path else real(self)
    )
    for folder, limit in ((group, "max\n"), (group.parent, "5000\n")):
        (folder / "memory.max").write_text(limit)
        (folder / "memory.current").write_text("3000\n")
        (folder / "memory.stat").write_text("anon 2000\ninactive_file 800\n")
    assert list(capacity._group_memory(tmp_path)) == [2800.0]
