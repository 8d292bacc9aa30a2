"""Signals end a run, or suspend its training."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time

import pytest

from ocean_lib.runs import signals

WAITING = """\
import pathlib, sys, time
from ocean_lib.runs.signals import ending_on_signal
with ending_on_signal():
    pathlib.Path(sys.argv[1]).touch()
    try:
        while True:
            time.sleep(0.02)
    finally:
        print("what is written to a terminal that is gone", flush=True)
"""


def test_a_closed_terminal_ends_a_run_in_order(tmp_path):
    terminal, inside = pty.openpty()
    began = tmp_path / "began"
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(began)],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(inside)
    while not began.exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.close(terminal)
    assert process.wait() == 129


@pytest.mark.parametrize("number", signals.ENDING)
def test_the_first_signal_suspends_and_the_second_stops(number, tmp_path, monkeypatch):
    monkeypatch.setattr(signals, "SECONDS_TO_SUSPEND", 10**6)
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended, signals.ending_on_signal():
        with signals.suspending_on_signal(tmp_path / "stop"):
            os.kill(os.getpid(), number)
            assert (tmp_path / "stop").exists()
            os.kill(os.getpid(), number)
    assert ended.value.code == 128 + number
    assert signal.getsignal(number) is before


def test_a_training_that_does_not_suspend_in_time_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(signals, "SECONDS_TO_SUSPEND", 1)
    with pytest.raises(SystemExit) as ended, signals.ending_on_signal():
        with signals.suspending_on_signal(tmp_path / "stop"):
            os.kill(os.getpid(), signal.SIGHUP)
            signal.pause()
            signal.pause()
    assert ended.value.code == 129


def test_an_ignored_signal_stays_ignored(tmp_path):
    """As `nohup` arranges."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.ending_on_signal(), signals.suspending_on_signal(tmp_path / "stop"):
            os.kill(os.getpid(), signal.SIGHUP)
        assert not (tmp_path / "stop").exists()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
