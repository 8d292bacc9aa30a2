"""The command line: `python -m ocean_lib run demo`, `list`, `doctor`.

Exit codes: 0 done; 1 a notebook failed, or something required is missing; 2 the command was
refused before anything started; 130 and 143 stopped by Ctrl-C and by SIGTERM.
"""

import argparse
import signal
import sys
from collections.abc import Sequence

from ocean_lib.parameters import NOTEBOOKS, RunError, parameters_files

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ocean_lib")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run", help="execute the notebooks with a parameters file")
    command.add_argument("name", help="a name that `list` shows, or a path to a .yaml file")
    command.add_argument("overrides", nargs="*", metavar="key=value", help="other values")
    command.add_argument("--fresh", action="store_true", help="empty the run's folder first")
    commands.add_parser("list", help="show the parameters files")
    commands.add_parser("doctor", help="say what is there and what is missing")
    # argparse leaves over the overrides that follow an option.
    asked, rest = parser.parse_known_args(arguments)
    if rest and (asked.command != "run" or any(each.startswith("-") for each in rest)):
        parser.error(f"unknown arguments: {' '.join(rest)}")
    try:
        if asked.command == "run":
            return _run(asked.name, asked.overrides + rest, asked.fresh)
        if asked.command == "list":
            return _list()
        from ocean_lib.doctor import doctor

        return doctor()
    except RunError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command continues", file=sys.stderr)
        return 130


def _run(name: str, overrides: list[str], fresh: bool) -> int:
    from ocean_lib.runner import run

    def stop(*_):
        sys.exit(143)

    # As an exception, SIGTERM too ends the kernel and leaves the step marked as stopped.
    before = signal.signal(signal.SIGTERM, stop)
    try:
        return run(name, overrides, fresh=fresh)
    finally:
        signal.signal(signal.SIGTERM, before)


def _list() -> int:
    for file in parameters_files(NOTEBOOKS):
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        about = first.lstrip("# ") if first.startswith("#") else ""
        print(f"{file.stem:24} {about}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
