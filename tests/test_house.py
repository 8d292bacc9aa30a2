"""The house: twelve folders; public names that exist, are typed, and document their arguments."""

import ast
import importlib
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "ocean_lib"
FOLDERS = (
    "core", "fields", "store", "scores", "sources", "plots", "observations", "classical", "model",
    "reconstruct", "runs", "explore",
)  # fmt: skip
MODULES = sorted(path for path in PACKAGE.glob("*/*.py") if path.name != "__init__.py")


def name(path: Path) -> str:
    return f"{path.parent.name}.{path.stem}"


def test_there_are_twelve_folders_and_at_most_two_files_beside():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(FOLDERS)
    files = {path.name for path in PACKAGE.glob("*.py")}
    assert {"__init__.py", "__main__.py"} <= files and len(files) <= 4


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_says_what_it_is_for_and_names_what_it_offers(folder):
    package = importlib.import_module(f"ocean_lib.{folder}")
    assert package.__doc__ and package.__all__
    for public in package.__all__:
        assert getattr(package, public) is not None


def public_functions(path: Path):
    """Functions and methods that the module's `__all__` makes public."""
    tree = ast.parse(path.read_text())
    listed = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    for node in tree.body:
        if getattr(node, "name", None) not in listed:
            continue
        if isinstance(node, ast.FunctionDef):
            yield node
        if isinstance(node, ast.ClassDef):
            yield from (
                item
                for item in node.body
                if isinstance(item, ast.FunctionDef)
                and (not item.name.startswith("_") or item.name == "__call__")
            )


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_public_functions_are_typed_and_documented(path):
    assert ast.get_docstring(ast.parse(path.read_text())), "the module has no docstring"
    for function in public_functions(path):
        arguments = function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        untyped = [a.arg for a in every if a.annotation is None and a.arg not in ("self", "cls")]
        assert not untyped, f"{function.name}: {untyped} have no type"
        assert function.returns is not None, f"{function.name} has no return type"
        if function.name != "__call__" and function.name != "forward":
            assert ast.get_docstring(function), f"{function.name} has no docstring"
        documented = documented_arguments(ast.get_docstring(function) or "")
        every += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
        known = {argument.arg for argument in every}
        assert documented <= known, f"{function.name}: {documented - known} are no arguments"


def documented_arguments(docstring: str) -> set[str]:
    """The names that start the lines of `Args:`, one argument a line."""
    section = re.search(r"^Args:\n((?: {4}.*\n?|\n)*)", docstring, re.MULTILINE)
    lines = section.group(1).splitlines() if section else []
    names = set()
    for line in lines:
        if re.match(r" {4}\S", line):
            argument = re.match(r" {4}\*{0,2}(\w+)(?: \([^)]*\))?: ", line)
            assert argument, f"{line.strip()!r} is not `argument: what it is`"
            names.add(argument.group(1))
    return names


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_can_be_read_at_once(path):
    assert len(path.read_text().splitlines()) <= 320
