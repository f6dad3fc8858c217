"""The sizes that the package of the functions keeps, so that a reader holds each part in mind."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT: Final = Path(__file__).parents[2]
FUNCTIONS: Final = ROOT / "functions"
MOST_LINES_OF_A_FILE: Final = 350
MOST_LINES_OF_A_CLASS: Final = 200
MOST_PARAMETERS: Final = 5  # besides self

Found: TypeAlias = "tuple[str, int]"
Rule: TypeAlias = "Callable[[str], Iterator[Found]]"


def too_long(source: str) -> Iterator[Found]:
    length = len(source.splitlines())
    if length > MOST_LINES_OF_A_FILE:
        yield "the file", length


def large_classes(source: str) -> Iterator[Found]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > MOST_LINES_OF_A_CLASS:
                yield node.name, length


def long_signatures(source: str) -> Iterator[Found]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            given = node.args
            parameters = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
            names = {parameter.arg for parameter in parameters if parameter is not None} - {"self", "cls"}
            if len(names) > MOST_PARAMETERS:
                yield getattr(node, "name", "a lambda"), len(names)


RULES: Final = (
    pytest.param(too_long, "x = 1\n" * 351, ("the file", 351), id="no file over 350 lines"),
    pytest.param(
        large_classes, "class Large:\n" + "    x = 1\n" * 200, ("Large", 201), id="no class over 200 lines"
    ),
    pytest.param(
        long_signatures,
        "def long(self, a, /, b, *c, d, e, **f): ...",
        ("long", 6),
        id="no signature over five parameters besides self",
    ),
)


@pytest.mark.parametrize(("rule", "breach", "told"), RULES)
def test_the_functions_keep(rule: Rule, breach: str, told: Found) -> None:
    assert list(rule(breach)) == [told]
    assert {
        str(path.relative_to(FUNCTIONS)): found
        for path in FUNCTIONS.rglob("*.py")
        if (found := list(rule(path.read_text(encoding="utf-8"))))
    } == {}


def test_no_name_of_a_class_is_defined_twice() -> None:
    names = Counter(
        node.name
        for path in FUNCTIONS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert len(names) > 100
    assert [name for name, count in names.items() if count > 1] == []


def constants(tree: ast.Module) -> set[str]:
    assigned = [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    return {each.id for each in assigned if isinstance(each, ast.Name)}


def names_read(tree: ast.Module) -> Iterator[str]:
    """Each name that is read: `NAME` of the module itself, `module.NAME` of another one."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                yield name
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module.rpartition('.')[2]}.{each.name}" for each in names)
            case ast.Attribute(value=ast.Name(id=module) | ast.Attribute(attr=module), attr=name):
                yield f"{module}.{name}"


def unread(trees: dict[str, ast.Module]) -> list[str]:
    """The constants that neither their module nor another one of `trees` reads."""
    by_others = {name for tree in trees.values() for name in names_read(tree)}
    return [
        f"{module}.{name}"
        for module, tree in trees.items()
        for name in sorted(constants(tree) - {*names_read(tree)})
        if f"{module.rpartition('.')[2]}.{name}" not in by_others
    ]


def test_a_constant_is_read_by_more_than_tests() -> None:
    written = {"a.b": "X: Final = 1\nY: Final = X\nZ: Final = 2", "c": "from a.b import Y\nD: Final = Y"}
    assert unread({module: ast.parse(text) for module, text in written.items()}) == ["a.b.Z", "c.D"]

    trees = {
        ".".join(path.with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
        for path in FUNCTIONS.rglob("*.py")
    }
    others = [path.read_text(encoding="utf-8") for path in (ROOT / "usher_cli").rglob("*.py")]
    names = [name.rpartition(".")[2] for name in unread(trees)]
    assert [name for name in names if not any(name in text for text in others)] == []
