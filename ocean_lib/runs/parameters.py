"""Strict parameters: nothing runs on a misspelt name or on a value of the wrong type.

An experiment is a YAML file of values for the notebooks' parameters cells. papermill alone only
warns about a misspelt name and runs with the default, and YAML reads `1e-4` as text. Here every
name must be declared in the parameters cell (tagged `parameters`, annotated literals) of at least
one notebook of the chain, and every value must fit the annotation. A name that several notebooks
declare is one parameter: its annotations and defaults must agree.
"""

import ast
import datetime
import difflib
import glob
import json
import re
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ocean_lib.core.messages import shortened

__all__ = [
    "NOTEBOOKS",
    "Parameter",
    "RunError",
    "check_types",
    "chain",
    "declared",
    "load_parameters",
    "parameters_files",
    "suggestion",
]


LONGEST_TEXT = 1000  # characters of a value
NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"  # of the checkout
_TYPES = {kind.__name__: kind for kind in (bool, int, float, str, list, dict)}


class RunError(ValueError):
    """A run is refused; the message names the value, the limit and the remedy."""


@dataclass(frozen=True)
class Parameter:
    """One statement of a parameters cell: its annotation as a type, and its default."""

    kind: Any
    default: Any

    @property
    def annotation(self) -> str:
        """The annotation as a notebook spells it."""
        return self.kind.__name__ if type(self.kind) is type else str(self.kind)


def chain(notebooks: Path) -> list[Path]:
    """The numbered notebooks, in the order in which a run executes them.

    Raises:
        RunError: the folder has none, as beside an installed package.
    """
    numbered = sorted(Path(notebooks).glob("[0-9][0-9]_*.ipynb"))
    if not numbered:
        raise RunError(
            f"{notebooks} has no numbered notebooks, and the installed package does not contain"
            " them; clone the repository and run `python -m ocean_lib` there"
        )
    return numbered


def parameters_files(notebooks: Path) -> list[Path]:
    """The experiments: every file in `notebooks/parameters`."""
    return sorted((Path(notebooks) / "parameters").glob("*.yaml"))


def declared(notebook: Path) -> dict[str, Parameter]:
    """The parameters that a notebook declares.

    Raises:
        RunError: a statement of the parameters cell is not `name: annotation = literal`.
    """
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", ())]
    parameters = {}
    for statement in ast.parse("".join(tagged[0]["source"])).body if tagged else ():
        try:
            if not isinstance(statement, ast.AnnAssign) or statement.value is None:
                raise ValueError
            default = ast.literal_eval(statement.value)
            parameters[ast.unparse(statement.target)] = Parameter(
                _type(statement.annotation), default
            )
        except ValueError as error:
            raise RunError(
                f"{Path(notebook).name}: its parameters cell holds `{ast.unparse(statement)}`;"
                " write `name: annotation = literal`, annotated with"
                f" {', '.join(_TYPES)} or None"
            ) from error
    return parameters


def _type(annotation: ast.expr) -> Any:
    """The type that an annotation names, read from its syntax without executing it.

    Raises:
        ValueError: it is not made of the names in `_TYPES`, None, `[...]` and `|`.
    """
    match annotation:
        case ast.Name(id=name) if name in _TYPES:
            return _TYPES[name]
        case ast.Constant(value=None):
            return type(None)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _type(left) | _type(right)
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            return list[_type(item)]  # type: ignore[misc]
    raise ValueError(f"{ast.unparse(annotation)} cannot be the type of a parameter")


def load_parameters(
    name_or_path: str | Path, overrides: Iterable[str] = (), *, notebooks: Path = NOTEBOOKS
) -> dict[str, Any]:
    """Every parameter of the chain, resolved: default, then the YAML file, then overrides.

    Args:
        name_or_path: `demo` for `notebooks/parameters/demo.yaml`, or a path ending in `.yaml`.
        overrides: `key=value` strings; a value is read as YAML, or verbatim where the type is str.
        notebooks: the folder that holds the chain and its `parameters/`.

    Returns:
        Name to value; `run` is the file's stem unless given. A relative `path`, `observations` or
        `*_path` that exists in the working directory becomes absolute.

    Raises:
        RunError: a name is unknown, a value does not fit, or a file is absent or not a mapping.
    """
    known = _all_parameters(Path(notebooks))
    file = _parameters_file(name_or_path, Path(notebooks))
    try:
        values = _read_yaml(file.read_text(encoding="utf-8"), file.name) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{file} cannot be read ({error}); write it as UTF-8 text") from error
    if not isinstance(values, dict):
        raise RunError(f"{file.name} holds no `name: value` lines; write one per parameter")
    for name in values:
        _check_name(name, known, file.name)
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise RunError(f"{override!r} is no override; write key=value")
        _check_name(name, known, "the command line")
        values[name] = text if known[name].kind is str else _read_yaml(text, override)

    resolved = {name: parameter.default for name, parameter in known.items()}
    resolved["run"] = file.stem
    for name, value in values.items():
        resolved[name] = _checked(name, value, known[name])
        if name in ("path", "observations") or name.endswith("_path"):
            resolved[name] = _absolute(resolved[name])
        if name in ("patterns", "cases"):
            resolved[name] = [
                pattern | {key: _absolute(pattern[key]) for key in pattern.keys() & {"positions"}}
                for pattern in resolved[name]
            ]
    return resolved


def _all_parameters(notebooks: Path) -> dict[str, Parameter]:
    parameters: dict[str, Parameter] = {}
    first: dict[str, str] = {}  # name to the notebook that declares it first
    for notebook in chain(notebooks):
        for name, parameter in declared(notebook).items():
            other = parameters.setdefault(name, parameter)
            first.setdefault(name, notebook.name)
            if other != parameter:
                raise RunError(
                    f"{first[name]} has `{name}: {other.annotation} = {other.default!r}` but"
                    f" {notebook.name} `{name}: {parameter.annotation} = {parameter.default!r}`;"
                    " give a shared parameter one annotation and one default"
                )
    return parameters


def _parameters_file(name_or_path: str | Path, notebooks: Path) -> Path:
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = notebooks / "parameters" / f"{path}.yaml"
    if path.is_file():
        return path
    known = [file.stem for file in parameters_files(notebooks)]
    raise RunError(
        f"no parameters {str(name_or_path)!r}{suggestion(str(name_or_path), known)};"
        f" known are: {', '.join(known)}; or give the path of a .yaml file"
    )


def _read_yaml(text: str, origin: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:
        raise RunError(f"{shortened(origin)} is not YAML: {error}") from error


def _check_name(name: Any, known: dict[str, Parameter], origin: str) -> None:
    if name not in known:
        raise RunError(
            f"no notebook has a parameter {shortened(name)} (given by {shortened(origin)})"
            f"{suggestion(str(name), known)}; known are: {', '.join(sorted(known))}"
        )


def suggestion(name: str, known: Iterable[str]) -> str:
    """`, did you mean …?` if a known name is close, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def _checked(name: str, value: Any, parameter: Parameter) -> Any:
    """The value if it fits its annotation; a YAML date stands for its text."""
    if isinstance(value, datetime.date):
        value = value.isoformat()
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and (len(text) > LONGEST_TEXT or not text.isprintable()):
            raise RunError(
                f"{name} holds {shortened(text)} of {len(text)} characters; give at most "
                f"{LONGEST_TEXT}, without control characters"
            )
    if _fits(value, parameter.kind):
        return value
    raise RunError(
        f"{name} is {shortened(value)}, but must be {parameter.annotation}{_remedy(value)}"
    )


def check_types(given: dict[str, Any]) -> None:
    """Check the parameters of a notebook, which papermill's `-p` may have replaced by text.

    Args:
        given: `globals()` of the notebook: the values, and their `__annotations__`.

    Raises:
        RunError: a value has another type than its annotation.
    """
    for name, kind in given.get("__annotations__", {}).items():
        if name in given and not _fits(given[name], kind):
            spelled = Parameter(kind, None).annotation
            raise RunError(
                f"{name} is {shortened(given[name])}, but must be {spelled}"
                f"{_remedy(given[name])}; with "
                f"papermill, write -y '{name}: …' in place of -p"
            )


def _fits(value: Any, kind: Any) -> bool:
    if isinstance(kind, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(kind))
    if typing.get_origin(kind) is list:
        (item_kind,) = typing.get_args(kind)
        return isinstance(value, list) and all(_fits(item, item_kind) for item in value)
    if kind in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, int | float if kind is float else kind)


def _remedy(value: Any) -> str:
    """What to write instead: YAML reads a number only with a point and a signed exponent."""
    for text in value if isinstance(value, list) else [value]:
        number = isinstance(text, str) and re.fullmatch(r"([+-]?\d+)\.?(\d*)[eE]([+-]?)(\d+)", text)
        if number:
            whole, part, sign, power = number.groups()
            return f"; YAML reads {text} as text: write {whole}.{part or 0}e{sign or '+'}{power}"
    if isinstance(value, bool):
        return "; YAML reads yes, no, on and off as true or false: quote it where text is meant"
    return ""


def _absolute(value: Any) -> Any:
    """A path, or a list of them, made absolute where something exists there."""
    if isinstance(value, list):
        return [_absolute(item) for item in value]
    if isinstance(value, str) and value:
        path = Path(value).expanduser()
        return str(path.absolute()) if path.exists() or glob.glob(str(path)) else value
    return value
