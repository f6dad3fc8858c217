"""The page of what may be imported, made from the code; as a program it writes docs/api.md anew."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "api.md"

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_Place: TypeAlias = "tuple[str, str, Sequence[str]]"  # what it is for, the module, its public names

_REASONS: Final = re.compile(r"  # noqa: .*")  # of the code, and of no use to who imports it
_CALLED: Final = ("__init__", "__call__")

INTRODUCTION: Final = """\
# What may be imported

These names stay until the changelog says otherwise; every other module may change with any release.
Each block has the signatures and docstrings of the code. `make api` writes this page anew, and a test
fails where it differs from the code.
"""

PLACES: Final[Sequence[_Place]] = (
    ("Read a hooks file", "usher_hooksfile.load", ("load", "read", "HooksFileRefused")),
    ("Deploy Usher from a CDK app of your own", "usher_cdk.configuration", ("Deployment", "ContextRefused")),
    ("", "usher_cdk.controller", ("Controller",)),
    ("Put hooks into a group of your own CDK app", "usher_cdk.own_group", ("UsherHooks", "UnfitHook")),
    ("Test on simulated Auto Scaling", "usher_simulator.testing.fixture", ("auto_scaling",)),
    ("", "usher_simulator.testing.simulated", ("simulated", "Simulated", "Clock", "Faults")),
    (
        "Simulate Auto Scaling in one process",
        "usher_simulator.autoscaling.account",
        ("an_account", "Account"),
    ),
    ("", "usher_simulator.autoscaling.virtual_clock", ("VirtualClock",)),
    ("", "usher_simulator.autoscaling.engine", ("Assumptions",)),
    ("", "usher_simulator.autoscaling.latencies", ("Latencies", "PROMPT", "CAPTURED")),
    ("", "usher_simulator.autoscaling.simulated_targets", ("SimulatedOutside", "DeliveryFaults")),
    ("", "usher_simulator.autoscaling.lifecycle_actions", ("Wait", "EndedBy")),
    ("Open a local AWS account", "usher_local.account", ("open_account", "Setup", "Account")),
)


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *(section(*place) for place in PLACES)])


def section(what_for: str, module: str, names: Sequence[str]) -> str:
    """What a module has for others, under the heading of what it is for."""
    lines = source_of(module).read_text(encoding="utf-8").splitlines()
    nodes = {name: node for node in ast.parse("\n".join(lines)).body for name in _names(node)}
    blocks = [_REASONS.sub("", "\n".join(stub(nodes[name], lines))) for name in names]
    heading = f"## {what_for}\n\n" if what_for else ""
    imported = f"from {module} import {', '.join(names)}"
    return f"{heading}`{imported}`\n\n```python\n" + "\n\n\n".join(blocks) + "\n```\n"


def source_of(module: str) -> Path:
    """The file of a module, which need not be importable here."""
    relative = Path(*module.split(".")).with_suffix(".py")
    return next(path for folder in (ROOT, ROOT / "infra") if (path := folder / relative).exists())


def stub(node: ast.AST, lines: Sequence[str]) -> Iterator[str]:
    """The lines of a definition that others rely on: names, types, defaults and docstrings."""
    if isinstance(node, ast.ClassDef):
        yield from _head(node, lines)
        before: ast.stmt | None = None
        for each in filter(_is_public, node.body[1:]):
            yield from ([""] if before is None or isinstance(each, _Function) else [])
            yield from stub(each, lines)
            before = each
    elif isinstance(node, _Function):
        yield from _head(node, lines)
    elif isinstance(node, ast.stmt):
        first = lines[node.lineno - 1]
        yield f"{first}...)" if first.endswith("(") else first


def _head(node: ast.ClassDef | _Function, lines: Sequence[str]) -> Iterator[str]:
    """From the decorators to the end of the docstring."""
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    if ast.get_docstring(node) is None:
        *before, last = lines[first - 1 : node.body[0].lineno - 1]
        yield from (*before, f"{last} ...")
    else:
        yield from lines[first - 1 : node.body[0].end_lineno]


def _is_public(node: ast.stmt) -> bool:
    """Whether others may use a member; the text below an attribute is its docstring."""
    names = list(_names(node))
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_docstring or any(name in _CALLED or not name.startswith("_") for name in names)


def _names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.ClassDef | _Function):
        yield node.name
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Assign):
        yield from (each.id for each in node.targets if isinstance(each, ast.Name))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
