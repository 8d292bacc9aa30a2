"""Progress: loops yield records, and this shows how far they are.

`for record in progress(train(...), total=steps, label="training")` draws a bar where somebody
watches. A bar in a notebook executed headless freezes at 0 % or stores every refresh, so there it
prints one plain line per interval, which reads the same on a terminal and in a log.
"""

import numbers
import sys
import time
from collections.abc import Callable, Iterable, Iterator

__all__ = ["clock", "progress"]


def progress(records: Iterable, total: int, label: str, every: float = 20.0) -> Iterator:
    """Yields the records unchanged, showing the newest.

    Args:
        records: dicts such as `{"step": 120, "loss": 0.31}`: `step` says how much is done, and
            the other numbers are shown. Without `step`, or if not dicts, records are counted.
        total: how much there is to do.
        label: what goes on, in a word or two.
        every: seconds between two lines; the last record always has its line.
    """
    show = _bar(total, label) if _somebody_watches() else _lines(total, label, every)
    done, fields = 0, {}
    for count, record in enumerate(records, start=1):
        fields = record if isinstance(record, dict) else {}
        done = fields.get("step", count)
        show(done, fields, last=False)
        yield record
    show(done, fields, last=True)


def _somebody_watches() -> bool:
    """Whether a live frontend sent the running cell.

    A frontend offers to answer `input()`; nbclient, and with it papermill and voila, never does.
    So bare papermill is recognised too, also when it is started from inside a notebook.
    """
    if "IPython" not in sys.modules:
        return False
    kernel = getattr(sys.modules["IPython"].get_ipython(), "kernel", None)
    if kernel is None:
        return False
    return bool(kernel.get_parent().get("content", {}).get("allow_stdin", False))


def _bar(total: int, label: str) -> Callable:
    from tqdm.auto import tqdm

    bar = tqdm(total=total, desc=label)

    def show(done: int, fields: dict, last: bool) -> None:
        bar.set_postfix(_numbers(fields), refresh=False)
        bar.update(done - bar.n)
        if last:
            bar.close()

    return show


def _lines(total: int, label: str, every: float) -> Callable:
    begin = shown = time.monotonic()
    origin, printed = None, 0

    def show(done: int, fields: dict, last: bool) -> None:
        nonlocal origin, printed, shown
        now = time.monotonic()
        # A resumed loop begins at a late step, so the pace is counted from the first record.
        origin = origin or (done, now)
        due = done != printed if last else now - shown >= every
        if not due:
            return
        shown, printed = now, done
        parts = [f"{label} {done}/{total}", f"{clock(now - begin)} elapsed"]
        if origin[0] < done < total:
            pace = (now - origin[1]) / (done - origin[0])
            parts.append(f"{clock(pace * (total - done))} remaining")
        parts += [f"{name} {value}" for name, value in _numbers(fields).items()]
        print(" · ".join(parts), flush=True)

    return show


def _numbers(fields: dict) -> dict[str, str]:
    return {
        name: str(value) if isinstance(value, numbers.Integral) else f"{value:.4g}"
        for name, value in fields.items()
        if name != "step" and isinstance(value, numbers.Real)
    }


def clock(seconds: float) -> str:
    """The words for a time: `0:02:05`."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
