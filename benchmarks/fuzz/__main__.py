"""Is anything wrong accepted, or anything refused that is right?

    python -m benchmarks.fuzz [--seed 0] [--each 300] [--kind casts] [--case casts:17] [--write]

Good observations, casts, fields, checkpoints and parameters are mutated; each mutation is given to
what a user calls, and the outcome is judged by what the mutation knows of itself. Printed are a
line per defect, with the seed and index that repeat it, and a table per kind. `--case` repeats one
and shows what happened. Without a defect, or with `--write`, the table is written to
`benchmarks/results/fuzz.md`. The exit status is 1 if there are defects.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from .base import build_base
from .harness import run_all
from .kinds import KINDS, choose

RESULT = Path(__file__).resolve().parents[1] / "results" / "fuzz.md"
OUTCOMES = {"refused": "refused", "right": "accepted and right", "silent": "silent wrong value"}
OUTCOMES |= {"traceback": "traceback", "hang": "hang", "memory": "memory"}
OUTCOMES |= {"unmade": "not made"}
GOOD = ("refused", "right")


def table(counts: dict[str, Counter]) -> str:
    """A row per kind, in Markdown."""
    names = [*OUTCOMES.values(), "of these with a warning of numpy"]
    lines = [f"| kind | mutations | {' | '.join(names)} |", "|---|" + "---|" * (len(names) + 1)]
    for kind, counted in counts.items():
        numbers = [counted[outcome] for outcome in OUTCOMES]
        numbers = [sum(numbers), *numbers, counted["warned"]]
        lines.append(f"| {kind} | {' | '.join(map(str, numbers))} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="of the mutations")
    parser.add_argument("--each", type=int, default=300, help="mutations of each kind")
    parser.add_argument("--kind", choices=sorted(KINDS), help="one kind only")
    parser.add_argument("--case", help="one case only, such as casts:17")
    parser.add_argument("--write", action="store_true", help="write the table despite defects")
    asked = parser.parse_args()
    kinds = [asked.kind] if asked.kind else list(KINDS)
    cases = [(kind, asked.seed, index) for index in range(asked.each) for kind in kinds]
    if asked.case:
        kind, _, index = asked.case.partition(":")
        cases = [(kind, asked.seed, int(index))]
    counts = {kind: Counter[str]() for kind in dict.fromkeys(kind for kind, *_ in cases)}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz ") as folder:
        build_base(Path(folder))
        for (kind, seed, index), verdict in run_all(Path(folder), cases):
            counts[kind][verdict.outcome] += 1
            counts[kind]["warned"] += verdict.warned
            if verdict.outcome not in GOOD or asked.case:
                name = choose(kind, seed, index).name
                print(
                    f"--seed {seed} --case {kind}:{index} ({name}): {verdict.outcome}: "
                    f"{verdict.text[: None if asked.case else 500]}",
                    flush=True,
                )
    minutes = (time.monotonic() - began) / 60
    print(f"\n{table(counts)}\n\n{minutes:.1f} minutes")
    defects = sum(counted[o] for counted in counts.values() for o in OUTCOMES if o not in GOOD)
    if asked.write or not (defects or asked.kind or asked.case):
        command = f"python -m benchmarks.fuzz --seed {asked.seed} --each {asked.each}"
        RESULT.write_text(
            f"`{command}`, {os.cpu_count()} cores, {minutes:.0f} minutes.\n\n{table(counts)}\n"
        )
    return 1 if defects else 0


if __name__ == "__main__":
    sys.exit(main())
