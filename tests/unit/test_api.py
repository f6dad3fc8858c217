"""The page of what may be imported is the code's, and what it names can be imported."""

from __future__ import annotations

import ast
import importlib
import re

import pytest

from tests import api_page

IMPORTS = re.findall(r"^`from (\S+) import (.*)`$", api_page.PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_page_has_what_the_code_has_else_run_make_api() -> None:
    assert api_page.PAGE.read_text(encoding="utf-8") == api_page.page()


@pytest.mark.parametrize(("module", "names"), IMPORTS, ids=[module for module, _ in IMPORTS])
def test_what_the_page_names_can_be_imported(module: str, names: str) -> None:
    made = importlib.import_module(module)
    assert [name for name in names.split(", ") if not hasattr(made, name)] == []


def test_a_stub_has_what_others_rely_on_and_no_inside() -> None:
    source = [
        "class Kept:",
        '    """Of others."""',
        "",
        "    size: int = 3  # in bytes",
        "    _inside: int = 4",
        "",
        "    def public(self, size: int) -> int:",
        '        """For others."""',
        "        return size",
        "",
        "    def _private(self) -> None: ...",
        "",
        "    @property",
        "    def untold(self) -> int:",
        "        return 4",
    ]
    (kept,) = ast.parse("\n".join(source)).body
    assert list(api_page.stub(kept, source)) == [
        *source[:4],
        *source[5:8],
        *source[11:13],
        f"{source[13]} ...",
    ]
