"""Progress: loops yield records, and this shows how far they are.

`for record in progress(train(...), total=steps, label="training")` draws a bar where a person
watches. In a notebook executed headless, a bar would freeze at 0 % or store every refresh, so there
one plain line is printed per interval, which reads the same on a terminal and in a log.
"""

import numbers
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["clock", "progress"]


def progress(records: Iterable, total: int, label: str, every: float = 20.0) -> Iterator:
    """Yield the records unchanged, and show the newest.

    Args:
        records: dicts such as `{"step": 120, "loss": 0.31}`: `step` says how much is done, and
            the other numbers are shown. Without `step`, or if not dicts, records are counted.
        total: steps or records when all is done.
        label: what is going on, in a word or two.
        every: seconds between two lines; the last record always has its line.
    """
    show = _bar(total, label) if _is_interactive() else _lines(total, label, every)
    done, numbers_shown = 0, {}
    for count, record in enumerate(records, start=1):
        fields = record if isinstance(record, dict) else {}
        done, numbers_shown = fields.get("step", count), _numbers(fields)
        show(done, numbers_shown, last=False)
        yield record
    show(done, numbers_shown, last=True)


def _is_interactive() -> bool:
    """Whether a live frontend sent the running cell.

    A frontend offers to answer `input()`; nbclient, and with it papermill and voila, never does.
    This also recognises bare papermill, even when it is started from inside a notebook.
    """
    if "IPython" not in sys.modules:
        return False
    kernel = getattr(sys.modules["IPython"].get_ipython(), "kernel", None)
    return bool(kernel and kernel.get_parent().get("content", {}).get("allow_stdin", False))


def _bar(total: int, label: str) -> Callable:
    from tqdm.auto import tqdm

    bar = tqdm(total=total, desc=label)

    def show(done: int, fields: dict[str, str], last: bool) -> None:
        bar.set_postfix(fields, refresh=False)
        bar.update(done - bar.n)
        if last:
            bar.close()

    return show


def _lines(total: int, label: str, every: float) -> Callable:
    start = latest = time.monotonic()
    origin, printed = None, 0

    def show(done: int, fields: dict[str, str], last: bool) -> None:
        nonlocal origin, printed, latest
        now = time.monotonic()
        # A resumed loop starts at a late step, so the pace is counted from the first record.
        origin = origin or (done, now)
        if done == printed if last else now - latest < every:
            return
        latest, printed = now, done
        parts = [f"{label} {done}/{total}", f"{clock(now - start)} elapsed"]
        if origin[0] < done < total:
            pace = (now - origin[1]) / (done - origin[0])
            parts.append(f"{clock(pace * (total - done))} remaining")
        parts += [f"{name} {value}" for name, value in fields.items()]
        print(" · ".join(parts), flush=True)

    return show


def _numbers(fields: dict[str, Any]) -> dict[str, str]:
    return {
        name: str(value) if isinstance(value, numbers.Integral) else f"{value:.4g}"
        for name, value in fields.items()
        if name != "step" and isinstance(value, numbers.Real)
    }


def clock(seconds: float) -> str:
    """A duration as hours, minutes and seconds: `0:02:05`."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
