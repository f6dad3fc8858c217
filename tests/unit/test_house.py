"""The sizes that the package of the functions keeps, so that a reader holds each part in mind."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FUNCTIONS: Final = Path(__file__).parents[2] / "functions"
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
