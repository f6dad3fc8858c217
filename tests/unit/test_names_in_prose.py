"""Files and modules that docs and docstrings name exist: a rename leaves no stale name behind."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES: Final = [
    *sorted((ROOT / "functions").rglob("*.py")),
    *sorted((ROOT / "usher_simulator").rglob("*.py")),
]
FILE: Final = re.compile(r"(?<![\w./<-])[a-z_]+(?:/[a-z_]+)*\.py\b")
DOTTED: Final = re.compile(
    r"(?<![\w.\"'/:-])(?:usher|usher_cli|usher_hooksfile|usher_simulator)(?:\.[A-Za-z_]+)+"
)
# What CONTRIBUTING.md has its reader add, and the source of an event.
NOT_HERE: Final = {
    "functions/usher/core/conditions/address.py",
    "tests/unit/test_condition_address.py",
    "usher_cli/longest.py",
    "usher.core.conditions.address",
    "usher.signal",
}


def prose(file: Path) -> Iterator[str]:
    """A page; of a module its docstrings and comments."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        yield text
        return
    yield from re.findall(r"#.*", text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield ast.get_docstring(node) or ""


def is_file(name: str, files: frozenset[str]) -> bool:
    return any(f"/{file}".endswith(f"/{name}") for file in files)


def is_known(dotted: str) -> bool:
    """A package or a module, or a name in one."""
    place = ROOT / "functions" if dotted.startswith("usher.") else ROOT
    *parts, last = dotted.split(".")
    parent = place.joinpath(*parts)
    if (parent / last).is_dir() or (parent / f"{last}.py").is_file():
        return True
    module = parent / "__init__.py" if parent.is_dir() else parent.with_suffix(".py")
    if not module.is_file():
        return len(parts) > 1 and last[0].islower() and is_known(".".join(parts))  # a method
    text = module.read_text(encoding="utf-8")
    return re.search(rf"^(?:class |def |){last}\b|\bimport .*\b{last}\b", text, re.MULTILINE) is not None


@pytest.fixture(scope="module")
def files() -> frozenset[str]:
    """Every Python file of the repository."""
    roots = [each for each in ROOT.iterdir() if each.is_dir() and not each.name.startswith((".", "build"))]
    return frozenset(str(file.relative_to(ROOT)) for root in roots for file in root.rglob("*.py"))


@pytest.mark.parametrize("file", [*PAGES, *SOURCES], ids=lambda file: str(file.relative_to(ROOT)))
def test_what_is_named_is_there(file: Path, files: frozenset[str]) -> None:
    gone: set[str] = set()
    for text in prose(file):
        gone.update(name for name in FILE.findall(text) if not is_file(name, files))
        gone.update(name for name in DOTTED.findall(text) if not is_known(name))
    assert not gone - NOT_HERE


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("usher.evaluation.evaluator", True),
        ("usher.ports.queues.WakeUps", True),
        ("usher.evaluation.evaluator.Looks", False),
        ("usher.evaluation.looks", False),
    ],
)
def test_a_stale_module_would_be_noticed(name: str, there: bool) -> None:
    assert is_known(name) is there


@pytest.mark.parametrize(
    ("name", "there"),
    [("functions/usher/evaluation/evaluator.py", True), ("evaluator.py", True), ("looks.py", False)],
)
def test_a_stale_file_would_be_noticed(name: str, there: bool, files: frozenset[str]) -> None:
    assert is_file(name, files) is there
