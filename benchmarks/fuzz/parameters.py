"""Mutations of parameters, and plain bounds of what may be accepted.

The bounds are wide, and independent of the package's own: what is beyond them no machine or ocean
could bear.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .mutation import Catalogue

__all__ = ["Experiment", "implausible", "mutations"]


@dataclass
class Experiment:
    """A parameters file and overrides.

    Args:
        text: YAML, a line per parameter.
        overrides: `key=value`.
    """

    text: str
    overrides: list[str]


WHOLE = {  # {name: (lowest, highest)}
    "demo_months": (1, 6000),
    "validation_months": (1, 2400),
    "test_months": (1, 2400),
    "gap_months": (0, 2400),
    "source_seed": (0, 2**64),
    "seed": (0, 2**64),
    "case_seed": (0, 2**64),
    "patch": (4, 4096),
    "width": (1, 4096),
    "blocks": (1, 64),
    "stem": (1, 2),
    "background_evaluations": (1, 10**5),
    "batch": (1, 10**4),
    "regression_steps": (0, 10**8),
    "diffusion_steps": (0, 10**8),
    "every": (1, 10**9),
    "sampling_steps": (1, 1000),
    "members": (2, 10**4),
    "dates": (1, 10**5),
    "calibration_dates": (1, 10**5),
    "tile": (8, 10**5),
    "tuning_evaluations": (1, 10**5),
}
LISTS = {  # {name: (longest, lowest, highest)}
    "depths": (200, 0, 11100),
    "multipliers": (10, 1, 64),
    "evaluations": (100, 1, 1000),
    "scenes": (100, 1, 10**6),
    "region": (4, -360, 360),
}
TEXT = ("run", "store", "source", "path", "whole_files", "variable", "mask_path")
TEXT += ("split", "scheduler", "mode", "parametrisation", "device", "observations", "date_format")
TEXT += ("time_units", "sampler")
NUMBERS = (
    *("0", "-1", "1000000", "1000000000", str(2**63), str(10**30), "1.5", "1.0e+300", "-1.0e+300"),
    *(".nan", ".inf", "1e-4", "0x10", "12:30:45"),
)
LISTED = ("[.nan]", "[.inf]", "[-1]", "[0]", "[1.0e+300]", "[1, 1]", "[~]", "[1000000000]")
LISTED += (f"[{2**63}]", "[]", f"[{', '.join(['1'] * 5000)}]")
WORDS = ("'" + "x" * 5000 + "'", '"\\0"', '"\\n"', "../..", "é" * 50, "x y", "''")
OTHERS = (
    *(
        "",
        "~",
        "true",
        "no",
        "text",
        "'8'",
        "[]",
        "{}",
        "[[[[[[1]]]]]]",
        "2020-01-01",
        "2020-13-45",
    ),
    *("{a: 1}", "[1, [2, 3]]", "!!binary aGVsbG8=", "!!set {a, b}", "!!float 8", "!!str 8"),
    *("&a [*a]", "['a']", "010", "1_000_000", "!!float x", "!!int x", "5"),
)
PATTERNS = (
    *("[]", "[{}]", "[5]", "[{1: 2}]", "[{pattern: blocks}]", "[{pattern: x, observed: 0.5}]"),
    *("[{pattern: 5, observed: 0.5}]", "[{pattern: [blocks], observed: 0.5}]"),
    "[{pattern: positions, observed: 0.5, positions: 5}]",
    *[
        f"[{{name: a, pattern: blocks, observed: {observed}}}]"
        for observed in (
            *("1.0e+30", ".nan", "-0.1", "[]", "[0.7, 0.3]", "[0.1, 0.2, 0.3]", "'0.5'", "true"),
            *("{a: 1}", "~", "[.nan, 0.5]", "0.5, x: 1", "0.5, name: []", "0.5, name: 5"),
        )
    ],
    *[
        f"[{{name: a, pattern: profiles, observed: 0.1, {beside}}}]"
        for beside in (
            *("surface: 5", "surface: [0.1, 0.2]", "error: -1", "error: [.nan, .inf]"),
            *("surface: {ice: 1}", "surface: {sea_level: 2}", "surface: {sea_level: x}"),
            *("error: 1.0e+30", "clouds: x", "clouds: -1", "error: [0.3, 0.1]"),
        )
    ],
)
PERIODS = (
    *("['1993-01']", "['1993-01', '2020-12', '2021-01']", "['2020-12', '1993-01']", "['x', 'y']"),
    *("['1993-13', '2020-12']", "['0000-01', '9999-12']", "['-500-01', '2000-01']"),
    *("[1993, 2020]", "[1993-01-01, 2020-12-31]", "['9999-01', '9999-12']", "['1993', '1994']"),
    *("['1993-01-45', '2020-12-99']", "['1993-01 nonsense', '2020-12 more']"),
)
REGIONS = (
    *("[.nan, .nan, .nan, .nan]", "[0, 1, 2]", "[1, 2, 3, 4, 5]", "[-69, -69, 33, 37]"),
    *("[-69, -64, 37, 33]", "[-69, -64, .nan, 37]", "[-1.0e+300, 1.0e+300, 33, 37]"),
    *("[-69, -64, -91, 37]", "[-69, -64, 36.999, 37]", "[-69, .inf, 33, 37]", "[100, 110, 33, 37]"),
)
MULTIPLIERS = (
    "[1000000]",
    "[64, 64]",
    f"[{', '.join(['2'] * 1000)}]",
    f"[{', '.join(['2'] * 20)}]",
)
FILES = (
    *("", "-", "5", "a", "\t", "\x00", "members: [", "members: 4\nmembers: 5\n", "? [a]\n: b\n"),
    *("? {a: 1}\n: b\n", "5: 5\n", "null: 5\n", "true: 1\n", "2020-01-01: 5\n", "members:\t4\n"),
    *("--- \na: 1\n--- \nb: 2\n", "!!python/object/apply:os.system ['true']\n"),
    *("%YAML 3.0\n---\na: 1\n", "members: *missing\n", "<<: {members: 4}\n", "<<: 5\n"),
    *("[" * 2000 + "]" * 2000, "members: " + "[" * 3000 + "]" * 3000, "{" * 3000, "a: " * 50),
    *("\ufeffmembers: 4\n", "members: 4 # \u2028\n", "# only\n", "members: 0o17\n", "é: 1\n"),
    *("members: !!int 'x'\n", "members: !!timestamp 'x'\n", "members: !!binary '*'\n"),
    *("members: " + "9" * 5000 + "\n", "x" * 100_000, "members: !unknown 5\n"),
)
OVERRIDES = (
    *("", "=", "=5", "members", "members=", "members==5", "Members=5", "members=5=5", "members=["),
    *("members=\x00", "members=&a [*a]", "a" * 5000 + "=1", "width=1e400", "blocks=999999999"),
)


def given(experiment, rng, name, value):
    experiment.text += f"{name}: {value}\n"


def overridden(experiment, rng, name, value):
    experiment.overrides.append(f"{name}={value}")


def overriding(experiment, rng, text):
    experiment.overrides.append(text)


def as_text(experiment, rng, text):
    experiment.text = text


def bomb(experiment, rng):
    """Aliases that stand for 10⁹ items."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 9)]
    experiment.text = "\n".join([*lines, "depths: *a8"]) + "\n"


def hidden_bomb(experiment, rng, name):
    """The same within the value of a parameter."""
    inner = "&a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"
    for k in range(1, 9):
        inner = f"&a{k} [{inner}, {', '.join([f'*a{k - 1}'] * 9)}]"
    experiment.text += f"{name}: {inner}\n"


def _pool(name: str) -> tuple[str, ...]:
    """Values that suit a parameter, more or less."""
    if name in WHOLE or name in ("learning_rate", "land_value"):
        return NUMBERS
    own = {"patterns": PATTERNS, "cases": PATTERNS, "period": PERIODS, "region": REGIONS}
    if name in TEXT:
        return WORDS
    return own.get(name, LISTED) + (MULTIPLIERS if name == "multipliers" else ())


def mutations(names: list[str]) -> Catalogue:
    """The mutations of an experiment with parameters of these names."""
    made = Catalogue()
    for index, name in enumerate(names):
        # Values of other kinds take turns with the names.
        others = [OTHERS[(5 * index + k) % len(OTHERS)] for k in range(5)]
        for turn, value in enumerate((*_pool(name), *others)):
            apply = overridden if (turn + index) % 3 == 2 else given
            made.add(f"{name}: {value[:40]}", "either", apply, name=name, value=value)
    for text in FILES:
        made.add(f"file {text[:40]!r}", "either", as_text, text=text)
    for override in OVERRIDES:
        made.add(f"override {override[:40]!r}", "either", overriding, text=override)
    made.add("aliases of 10⁹ items, unknown", "either", bomb)
    for name in ("depths", "members", "run", "patterns", "multipliers"):
        made.add(f"aliases of 10⁹ items in {name}", "either", hidden_bomb, name=name)
    return made


def implausible(values: dict[str, Any]) -> str:
    """What is beyond the plain bounds among accepted parameters, or ""."""
    for name, (low, high) in WHOLE.items():
        if not low <= values[name] <= high:
            return f"{name} is {str(values[name])[:60]}, plainly beyond {low} to {high}"
    for name, (longest, low, high) in LISTS.items():
        if len(values[name]) > longest:
            return f"{name} has {len(values[name])} items, plainly beyond {longest}"
        if not all(low <= number <= high for number in values[name]):
            return f"{name} is {str(values[name])[:60]}, plainly beyond {low} to {high}"
    if not 0 < values["learning_rate"] <= 10:
        return f"learning_rate is {values['learning_rate']}"
    if values["land_value"] is not None and not -1e38 <= values["land_value"] <= 1e38:
        return f"land_value is {values['land_value']}"
    for name in TEXT:
        text = values[name]
        if len(text) > 1000 or any(ord(letter) < 32 for letter in text):
            return f"{name} is {text[:40]!r} of {len(text)} characters"
    lists = ("variables", 50), ("period", 2), ("surfaces", 3), ("satellites", 3), ("derived", 50)
    for name, longest in lists:
        if len(values[name] or ()) > longest:
            return f"{name} are too many"
    for pattern in (*values["patterns"], *values["cases"]):
        for key in ("observed", "error", "surface", "clouds"):
            given = pattern.get(key, 0.5)
            numbers = np.ravel([*given.values()] if isinstance(given, dict) else given)
            high = 50 if key == "error" else 1
            if numbers.dtype.kind not in "fi" or not all(
                math.isfinite(number) and 0 <= number <= high for number in numbers
            ):
                return f"{key} of a pattern is {str(pattern[key])[:60]}"
    for first, last in [values["period"]] if values["period"] else []:
        if not ("1800" <= str(first) <= "2200" and "1800" <= str(last) <= "2200"):
            return f"period is {values['period']}"
    return ""
