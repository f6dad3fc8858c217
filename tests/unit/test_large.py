"""What `make test-large` runs is more of the same: each promise is held by `make test`, too."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS: Final = Path(__file__).parents[1]


def is_large(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Attribute) and each.attr == "large" for each in ast.walk(node))


def is_wholly_large(test: ast.FunctionDef) -> bool:
    """Whether no case of it is without the mark, as far as its decorators show."""
    return any(all(map(is_large, cases(mark))) for mark in filter(is_large, test.decorator_list))


def cases(mark: ast.expr) -> list[ast.expr]:
    """What stands in the list of a `parametrize`. Empty: it is another mark, or has no list."""
    positional = getattr(mark, "args", [])[1:]
    named = [each.value for each in getattr(mark, "keywords", []) if each.arg == "argvalues"]
    return [case for values in [*positional[:1], *named] for case in getattr(values, "elts", [])]


def is_marked_as_a_whole(source: str) -> bool:
    """Whether a module has the mark for all its tests."""
    of_all = [node for node in ast.parse(source).body if isinstance(node, ast.Assign) and is_large(node)]
    return any(getattr(target, "id", "") == "pytestmark" for node in of_all for target in node.targets)


def left_to_large(source: str) -> Iterator[str]:
    """The tests that are wholly large, and name in their mark no other one which is not."""
    tests = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    large = {name: test for name, test in tests.items() if is_wholly_large(test)}
    for name, test in large.items():
        constants = {
            node.value
            for mark in test.decorator_list
            for node in ast.walk(mark)
            if isinstance(node, ast.Constant)
        }
        if not constants & (tests.keys() - large.keys()):
            yield name


def test_no_promise_is_left_to_make_test_large() -> None:
    sources = {path.name: path.read_text("utf-8") for path in TESTS.rglob("test_*.py")}
    found = {name: list(left_to_large(source)) for name, source in sources.items()}
    assert {name: tests for name, tests in found.items() if tests} == {}
    assert [name for name, source in sources.items() if is_marked_as_a_whole(source)] == []


@pytest.mark.parametrize(
    ("mark", "left"),
    [
        pytest.param("pytest.mark.large", True, id="the whole test"),
        pytest.param("pytest.mark.large(held_by='test_large')", True, id="a large one holds it"),
        pytest.param("pytest.mark.large(held_by='test_gone')", True, id="what holds it is gone"),
        pytest.param("pytest.mark.large(held_by='test_small')", False, id="another test holds it"),
        pytest.param("parametrize('a', [param(9, marks=mark.large)])", True, id="every case"),
        pytest.param("parametrize('a', [1, param(9, marks=mark.large)])", False, id="but one case"),
        pytest.param("parametrize(('a', 'b'), [param(9, 9, marks=mark.large)])", True, id="of two values"),
        pytest.param("parametrize(('a', 'b'), [(1, 1), param(9, 9, marks=mark.large)])", False, id="but one"),
        pytest.param("parametrize('a', argvalues=[param(9, marks=mark.large)])", True, id="by name"),
        pytest.param("parametrize('a', map(mark.large, CASES))", True, id="which cases does not show"),
    ],
)
def test_a_promise_that_is_left_is_found(mark: str, left: bool) -> None:
    source = f"@{mark}\ndef test_large(): ...\ndef test_small(): ..."
    assert list(left_to_large(source)) == ["test_large"] * left


def test_a_module_that_is_marked_as_a_whole_is_found() -> None:
    assert is_marked_as_a_whole("pytestmark = pytest.mark.large")
    assert is_marked_as_a_whole("pytestmark = [pytest.mark.large]")
    assert not is_marked_as_a_whole("pytestmark = pytest.mark.usefixtures('large_file')")
