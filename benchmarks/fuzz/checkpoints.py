"""Mutations of checkpoints: bytes of the file, and contents written anew as a whole file.

`read_parts` and `write_parts` are all that depends on the format of the file. What is written anew
is a file that nothing is wrong with but its content, so its values alone can give it away.
"""

import copy
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from ocean_lib.model import checkpoint

from .mutation import DAMAGES, Mutation, damage

__all__ = ["mutations"]


NAN, INF = float("nan"), float("inf")
GROUPS = ("statistics", "state")
STATISTICS = ("harmonic", "deviation", "wet", "depth", "latitude", "longitude")
OTHERS = (
    10**6,
    10**9,
    2**63,
    -1,
    0,
    1.5,
    NAN,
    INF,
    "text",
    "",
    None,
    True,
    [],
    {},
    [[]],
    [1] * 5000,
)


def read_parts(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a checkpoint, by group and name, and its plain values."""
    settings, tensors = checkpoint.read_checkpoint(path)
    values = settings | {"kind": checkpoint.KIND, "format": checkpoint.FORMAT, "version": "0"}
    prefix = "statistics."
    return {
        f"statistics/{name.removeprefix(prefix)}" if name.startswith(prefix) else f"state/{name}": t
        for name, t in tensors.items()
    }, values


def write_parts(path: Path, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Write a checkpoint of given content, with a right digest."""
    named = {}
    for name, tensor in tensors.items():
        group, _, plain = name.partition("/")
        named[plain if group == "state" else f"statistics.{plain}"] = tensor.contiguous()
    about = {key: str(values.get(key)) for key in ("kind", "format", "version")}
    settings = {key: value for key, value in values.items() if key not in about}
    about["settings"] = json.dumps(settings)
    about["sha256"] = checkpoint._digest(about, named)
    save_file(named, path, about)


Change = Callable[[dict[str, Tensor], dict[str, Any], np.random.Generator], None]


def _rewritten(path: Path, rng: np.random.Generator, change: Change) -> None:
    tensors, values = read_parts(path)
    values = copy.deepcopy(values)
    change(tensors, values, rng)
    write_parts(path, tensors, values)


def _leaves(values: Any, path: tuple = ()) -> list[tuple]:
    """Paths of all values and containers within values."""
    inner = values.items() if isinstance(values, dict) else enumerate(values)
    found = []
    for key, value in inner:
        found.append((*path, key))
        if isinstance(value, (dict, list, tuple)):
            found += _leaves(value, (*path, key))
    return found


def _replace(values: dict, path: tuple, new: Any) -> None:
    """Set a value within values; `...` deletes it. Tuples become lists."""
    inner: Any = values
    for key in path[:-1]:
        if isinstance(inner[key], tuple):
            inner[key] = list(inner[key])
        inner = inner[key]
    if new is not ...:
        inner[path[-1]] = new
    else:
        del inner[path[-1]]


def _some_value(tensors, values, rng, new):
    paths = [p for p in _leaves(values) if p[0] not in ("kind", "format", "version")]
    _replace(values, paths[rng.integers(len(paths))], new)


def _setting(tensors, values, rng, path, new):
    _replace(values, path, new)


def _name(tensors, rng, group):
    names = [
        n for n, t in tensors.items() if n.startswith(group) and t.numel() and t.is_floating_point()
    ]
    return names[rng.integers(len(names))]


def _element(tensors, values, rng, group, new):
    """One element; in statistics, of a cell of the ocean."""
    name = _name(tensors, rng, group)
    tensor = tensors[name]
    place = tuple(int(rng.integers(size)) for size in tensor.shape)
    if tensor.ndim >= 3 and group == "statistics":
        wet = np.argwhere(tensors["statistics/wet"].numpy())
        place = (*place[: tensor.ndim - 3], *wet[rng.integers(len(wet))])
    tensor[place] = new


def _whole(tensors, values, rng, name, change):
    name = name if name in tensors else _name(tensors, rng, name)
    tensors[name] = change(tensors[name])


def _swapped(tensors, values, rng, group, alike):
    for _ in range(1000):
        a, b = _name(tensors, rng, group), _name(tensors, rng, group)
        if a != b and (tensors[a].shape == tensors[b].shape) == alike:
            tensors[a], tensors[b] = tensors[b], tensors[a]
            return


def _missing(tensors, values, rng, group):
    del tensors[_name(tensors, rng, group)]


def _added(tensors, values, rng):
    tensors["state/another.weight"] = torch.zeros(3)


def mutations() -> list[Mutation]:
    """The mutations of a checkpoint."""
    made = [
        Mutation(name, "kept", lambda path, rng, name=name: damage(path, name, rng))
        for name in [*DAMAGES] * 9
    ]

    def add(words: str, expected: str, apply: Callable, **choices: Any) -> None:
        change = partial(apply, **choices)
        made.append(Mutation(words, expected, partial(_rewritten, change=change), same_ocean=False))

    add("written anew", "same", lambda tensors, values, rng: None)
    for new in (NAN, INF, -INF, 1e30):
        bad = "refused" if not np.isfinite(new) else "either"
        for group in GROUPS:
            for _ in range(4):
                add(f"one {new:g} in {group}", bad, _element, group=group, new=new)
        add(
            f"a weight tensor of {new:g}",
            bad,
            _whole,
            name="state",
            change=lambda t, new=new: torch.full(t.shape, new),
        )
    for name in STATISTICS:
        path = f"statistics/{name}"
        for words, change in (
            ("of nan", lambda t: torch.full(t.shape, NAN)),
            ("of zeros", torch.zeros_like),
            ("× -1", lambda t: -t.float()),
            ("× 1000", lambda t: 1000 * t.double()),
            ("reversed", lambda t: t.flip(-1)),
            ("empty", lambda t: t[:0]),
            ("with a dimension more", lambda t: t[None]),
            ("a row less", lambda t: t[..., :-1]),
        ):
            wrong = (
                words in ("of nan", "empty", "with a dimension more", "a row less")
                or (words in ("of zeros", "× -1") and name in ("deviation",))
                or (words == "× 1000" and name in ("latitude", "longitude", "depth"))
            )
            add(
                f"{name} {words}",
                "refused" if wrong else "either",
                _whole,
                name=path,
                change=change,
            )
    for words, change in (
        ("scaled by 1e10", lambda t: t * 1e10),
        ("scaled by 1.5", lambda t: t * 1.5),
        ("transposed", lambda t: t.flip(0)),
        ("flattened", lambda t: t.reshape(-1)[:-1]),
        ("in double", lambda t: t.double()),
        ("in half", lambda t: t.half()),
        ("as integers", lambda t: t.long()),
        ("complex", lambda t: t.to(torch.complex64)),
        ("strided", lambda t: t.expand(1, *t.shape)[0]),
    ):
        for _ in range(2):
            add(
                f"a weight tensor {words}",
                "refused" if words == "flattened" else "either",
                _whole,
                name="state",
                change=change,
            )
    for group in GROUPS:
        for _ in range(3):
            add(
                f"two tensors of {group} swapped, alike",
                "either",
                _swapped,
                group=group,
                alike=True,
            )
            add(f"two tensors of {group} swapped", "refused", _swapped, group=group, alike=False)
            add(f"a tensor of {group} missing", "refused", _missing, group=group)
    add("another tensor", "kept", _added)
    for new in (*OTHERS, ...):
        for _ in range(3):
            words = "left out" if new is ... else f"replaced by {str(new)[:20]!r}"
            add(f"a setting {words}", "either", _some_value, new=new)
    for key, news in {
        "width": (10**6, 10**9, -8, 0, 7, "8"),
        "blocks": (10**9, 2**63, -1, 0, 100),
        "multipliers": ([1] * 5000, [], [0], [-1], [10**9], [1, 2, 4]),
    }.items():
        for new in news:
            add(f"{key} {str(new)[:20]}", "refused", _setting, path=("network", key), new=new)
    for new in (10**9, 10**7, 0, -1, 1.5, "1000", NAN):
        expected = "either" if new == 10**7 else "refused"
        add(f"diffusion steps {new}", expected, _setting, path=("diffusion", "steps"), new=new)
    for key, news in {
        "lengths": ([NAN, 4, 4], [0, 0, 0], [1e9, 1e9, 1e9], [4, 4], [-1, -1, -1], "x"),
        "slow": ([0.3], [1.0, 12.0], [0.3, -1.0], [NAN, 12.0], "x"),
        "noise": (NAN, -1.0, 1e30),
        "neighbours": (0, -1, 10**9, 2**63, "x"),
        "kernel": ("x", None),
        "observed": (0, -1.0, NAN),
    }.items():
        for new in news:
            add(
                f"{key} of the background {new}",
                "either",
                _setting,
                path=("background", 0, key),
                new=new,
            )
    for key, news in {
        "mode": ("regression", "x", None),
        "version": ("9.9", None),
        "kind": ("x", 5),
        "format": (5, "6", 10**9),
        "attributes": ({}, None, []),
        "background": ([], {}, None),
    }.items():
        for new in news:
            add(
                f"{key} {new!r}",
                "either" if key == "version" else "refused",
                _setting,
                path=(key,),
                new=new,
            )
    for key, news in {
        "surfaces": (0, {}, {"x": 0.1}, {"surface_temperature": "x"}, "1", None),
        "variables": ([], ["x"], ["temperature"] * 2, "temperature"),
        "units": ({}, "x"),
        "standard_name": ("x", 5),
        "months": ([], [13], "x"),
    }.items():
        for new in news:
            add(f"attribute {key} {new!r}", "either", _setting, path=("attributes", key), new=new)
    return made
