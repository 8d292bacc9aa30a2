"""Signals: a run that is asked to end records how far it got.

SIGTERM ends a run, and so does SIGHUP, which a closed terminal or a lost connection sends. During
training the first of either, or Ctrl-C, makes the stop file, so that a checkpoint is written. A
signal that is ignored when the command starts, as `nohup` arranges, stays ignored.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["ending_on_signal", "suspending_on_signal"]


ENDING = (signal.SIGTERM, signal.SIGHUP)
SECONDS_TO_SUSPEND = 20  # that training has after a signal


@contextlib.contextmanager
def ending_on_signal() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `SystemExit`, with exit code 143 or 129."""
    terminals = [number for number in (1, 2) if os.isatty(number)]

    def end(number, _):
        _leave(number, terminals)
        sys.exit(128 + number)

    with _handled(dict.fromkeys(ENDING, end)):
        yield


@contextlib.contextmanager
def suspending_on_signal(stop: Path) -> Iterator[None]:
    """The first signal makes the stop file; a second one, or time running out, stops.

    Args:
        stop: the stop file, which training obeys.
    """
    terminals = [number for number in (1, 2) if os.isatty(number)]
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}

    def suspend(number, _):
        _leave(number, terminals)
        for other, handler in before.items():
            signal.signal(other, handler)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), number))
        signal.alarm(SECONDS_TO_SUSPEND)
        stop.touch()
        message = f"\nsuspending; at once by a second signal, or in {SECONDS_TO_SUSPEND} s\n"
        os.write(2, message.encode())  # print is not safe within a signal handler

    alarm = signal.getsignal(signal.SIGALRM)
    with _handled(dict.fromkeys(before, suspend)):
        try:
            yield
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, alarm)


@contextlib.contextmanager
def _handled(handlers: dict) -> Iterator[None]:
    """Handle signals, except those that are ignored."""
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, terminals: list[int]) -> None:
    """After SIGHUP the terminal is gone: what is written to it goes nowhere, and is no error."""
    if number == signal.SIGHUP:
        with open(os.devnull, "wb") as nowhere:
            for terminal in terminals:
                os.dup2(nowhere.fileno(), terminal)
