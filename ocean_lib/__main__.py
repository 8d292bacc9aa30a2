"""The command line: `python -m ocean_lib run demo`, `reconstruct`, `list`, `doctor`.

Exit codes: 0 done; 1 a notebook failed, or something required is missing; 2 the command was
refused before anything started; 75 suspended by the stop file `outputs/<run>/stop`, or by a signal
that training could obey; 130 and 143 stopped by Ctrl-C and by SIGTERM. After 1, 75, 130 and 143
the same command, without `--fresh` or `--from`, continues.
"""

import argparse
import signal
import sys
from collections.abc import Sequence

from ocean_lib.runs.parameters import NOTEBOOKS, RunError, parameters_files

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ocean_lib")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run", help="execute the notebooks with a parameters file")
    command.add_argument("name", help="a name that `list` shows, or a path to a .yaml file")
    command.add_argument("overrides", nargs="*", metavar="key=value", help="other values")
    anew = command.add_mutually_exclusive_group()
    anew.add_argument("--fresh", action="store_true", help="empty the run's folder first")
    anew.add_argument("--from", dest="begin", metavar="STEP", help="repeat a step and all after it")
    _reconstruct_options(commands)
    commands.add_parser("list", help="show the parameters files")
    commands.add_parser("doctor", help="say what is there and what is missing")
    # argparse leaves over the overrides that follow an option.
    asked, rest = parser.parse_known_args(arguments)
    if rest and (asked.command != "run" or any(each.startswith("-") for each in rest)):
        parser.error(f"unknown arguments: {' '.join(rest)}")
    try:
        if asked.command == "run":
            return _run(asked.name, asked.overrides + rest, asked.fresh, asked.begin)
        if asked.command == "reconstruct":
            return _reconstruct(**{k: v for k, v in vars(asked).items() if k != "command"})
        if asked.command == "list":
            return _list()
        from ocean_lib.runs.doctor import examine

        return examine()
    except RunError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command, without --fresh or --from, continues", file=sys.stderr)
        return 130


def _run(name: str, overrides: list[str], fresh: bool, begin: str | None) -> int:
    from ocean_lib.runs.runner import execute_run

    def stop(*_):
        sys.exit(143)

    # As an exception, SIGTERM too ends the kernel and leaves the step marked as stopped.
    before = signal.signal(signal.SIGTERM, stop)
    try:
        return execute_run(name, overrides, fresh=fresh, begin=begin)
    finally:
        signal.signal(signal.SIGTERM, before)


def _reconstruct_options(commands) -> None:
    command = commands.add_parser(
        "reconstruct", help="dense fields from a checkpoint and a file of observations"
    )
    command.add_argument("checkpoint", help="a checkpoint.pt that training wrote")
    command.add_argument(
        "observations", help="profiles (Argo, CSV, Parquet), or a gridded file with gaps"
    )
    command.add_argument("output", help="the NetCDF file to write")
    command.add_argument("--members", type=int, default=16, help="ensemble size (16)")
    command.add_argument("--steps", type=int, default=10, help="network evaluations a member (10)")
    command.add_argument("--sampler", default="dpm++", help="dpm++, ddim or ddpm (dpm++)")
    command.add_argument("--seed", type=int, default=0, help="of the noise (0)")
    command.add_argument("--tile", type=int, default=160, help="cells of a tile (160)")
    command.add_argument("--device", default="auto", help="auto, cpu or cuda (auto)")
    command.add_argument(
        "--fallback",
        action="store_true",
        help="write the background where the self-check finds the reconstruction worse",
    )


def _reconstruct(
    checkpoint, observations, output, device, *, steps, sampler, seed, tile, **choices
) -> int:
    from functools import partial

    from ocean_lib.reconstruct.from_files import reconstruct_files
    from ocean_lib.reconstruct.sampling import Sampling
    from ocean_lib.runs.paths import device_name
    from ocean_lib.runs.progress_bar import progress

    shown = partial(progress, label="rows")
    try:
        path = reconstruct_files(
            checkpoint,
            observations,
            output,
            sampling=Sampling(steps, sampler, seed, tile, chunk=4),
            device=device_name(device),
            progress=shown,
            **choices,
        )
    except (ValueError, OSError) as error:
        raise RunError(str(error)) from error
    print(f"\n{path} is written")
    return 0


def _list() -> int:
    for file in parameters_files(NOTEBOOKS):
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        about = first.lstrip("# ") if first.startswith("#") else ""
        print(f"{file.stem:24} {about}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
