"""What the page of the simulator must list, read from the code of the simulator itself."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE: Final = Path(__file__).parents[1] / "usher_simulator" / "autoscaling"


def refusals() -> set[tuple[str, str]]:
    """Code and text of every ApiError that the simulator can raise; `…` stands for what is filled in."""
    return {
        found
        for file in sorted(CODE.glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ApiError"
        for found in _refusal(node)
    }


def _refusal(call: ast.Call) -> Iterator[tuple[str, str]]:
    code, text = (_text(argument) for argument in call.args[:2])
    if code != "…":
        yield code, " ".join(text.split())


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value) for value in node.values)
    return "…"
