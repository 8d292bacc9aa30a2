"""The command line: `python -m ocean_lib run demo`, `reconstruct`, `list`, `doctor`.

Exit codes: 0 done; 1 a notebook failed, or something required is missing; 2 the command was
refused before anything started; 75 suspended by the stop file `outputs/<run>/stop`, or by a signal
during training; 129, 130 and 143 stopped by SIGHUP (a closed terminal), Ctrl-C and SIGTERM. After
1, 75, 129, 130 and 143 the same command, without `--fresh` or `--from`, continues.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ocean_lib.runs.limits import check_limits, explain_limit
from ocean_lib.runs.parameters import NOTEBOOKS, RunError, chain, parameters_files

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words of the command line; those of the process where None.

    Returns:
        The exit code.
    """
    script = Path(sys.argv[0]).name
    installed = script.startswith("densify-ocean")
    parser = argparse.ArgumentParser(prog=script if installed else "python -m ocean_lib")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run", help="execute the notebooks with a parameters file")
    command.set_defaults(call=_run)
    command.add_argument("name", help="a name that `list` shows, or a path to a .yaml file")
    command.add_argument("overrides", nargs="*", metavar="key=value", help="other values")
    repeat = command.add_mutually_exclusive_group()
    repeat.add_argument("--fresh", action="store_true", help="empty the run's folder first")
    repeat.add_argument(
        "--from", dest="begin", metavar="STEP", help="repeat this step and later ones"
    )
    _reconstruct_options(commands)
    commands.add_parser("list", help="show the parameters files").set_defaults(call=_list)
    command = commands.add_parser("doctor", help="show what is installed and what is missing")
    command.set_defaults(call=_doctor)
    # argparse does not assign the overrides that follow an option.
    namespace, rest = parser.parse_known_args(arguments)
    options = vars(namespace)
    name, call = options.pop("command"), options.pop("call")
    if rest and (name != "run" or any(word.startswith("-") for word in rest)):
        parser.error(f"unknown arguments: {' '.join(rest)}")
    if name == "run":
        options["overrides"] += rest
    try:
        check_limits()
        return call(**options)
    except RunError as error:
        print(error, file=sys.stderr)
        return 2
    except (MemoryError, ImportError, RuntimeError, OSError) as error:
        cause = explain_limit(f"{type(error).__name__}: {error}")
        if cause is None:
            raise
        print(f"{cause}; the same command continues", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the same command, without --fresh or --from, continues", file=sys.stderr)
        return 130


def _run(name: str, overrides: list[str], fresh: bool, begin: str | None) -> int:
    from ocean_lib.runs.runner import execute_run
    from ocean_lib.runs.signals import ending_on_signal

    # As an exception, a signal too ends the kernel and records the step as stopped.
    with ending_on_signal():
        return execute_run(name, overrides, fresh=fresh, begin=begin)


def _reconstruct_options(commands) -> None:
    command = commands.add_parser(
        "reconstruct", help="dense fields from a checkpoint and a file of observations"
    )
    command.set_defaults(call=_reconstruct)
    command.add_argument("checkpoint", help="a checkpoint.safetensors that training wrote")
    command.add_argument("observations", help="profiles (Argo, CSV, Parquet), or a grid with gaps")
    command.add_argument("output", help="the NetCDF file to write")
    command.add_argument("--members", type=int, default=16, help="ensemble size (16)")
    command.add_argument(
        "--steps", type=int, default=10, help="network evaluations per member (10)"
    )
    command.add_argument("--sampler", default="dpm++", help="dpm++, ddim or ddpm (dpm++)")
    command.add_argument("--seed", type=int, default=0, help="seed of the noise (0)")
    command.add_argument("--tile", type=int, default=160, help="side of a tile in cells (160)")
    command.add_argument("--device", default="auto", help="auto, cpu or cuda (auto)")
    derived = "quantities to derive, such as heat_content_700,isotherm_20 (none)"
    command.add_argument("--derive", default="", metavar="NAMES", help=derived)
    seen = "files of what is seen from above beside profiles: temperature, sea level, salinity"
    command.add_argument("--surfaces", nargs="+", default=[], metavar="FILE", help=seen)
    command.add_argument("--variable", help="name of the temperature in gridded observations")
    command.add_argument("--date-format", help="how a table writes dates, such as %%d/%%m/%%Y")
    command.add_argument("--time-units", help="what the times of a table count, such as days since")
    fallback = "write the background where the self-check finds the reconstruction worse"
    command.add_argument("--fallback", action="store_true", help=fallback)


def _reconstruct(
    checkpoint, observations, output, device, steps, sampler, seed, tile, derive, **choices
):
    from functools import partial

    from ocean_lib.reconstruct.from_files import reconstruct_files
    from ocean_lib.reconstruct.sampling import Sampling
    from ocean_lib.runs.paths import device_name
    from ocean_lib.runs.progress_bar import progress

    try:
        choices["sampling"] = Sampling(steps, sampler, seed, tile, chunk=4)
        choices["device"] = device_name(device)
        choices["derive"] = [name for name in derive.split(",") if name]
        choices["progress"] = partial(progress, label="rows")
        path = reconstruct_files(checkpoint, observations, output, **choices)
    except (ValueError, OSError) as error:
        raise RunError(str(error)) from error
    print(f"\n{path} is written")
    return 0


def _doctor() -> int:
    from ocean_lib.runs.doctor import examine

    return examine()


def _list() -> int:
    chain(NOTEBOOKS)  # refuses an installed package, which has no notebooks
    for file in parameters_files(NOTEBOOKS):
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        comment = first.lstrip("# ") if first.startswith("#") else ""
        print(f"{file.stem:24} {comment}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
