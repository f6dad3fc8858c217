"""Which lines of the functions are run: counted from Python 3.12 on, where that costs next to nothing."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import usher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

_FUNCTIONS: Final = str(Path(usher.__file__).parent)
_TOOL: Final = 4  # an id that Python keeps for nobody
CAN_COUNT: Final = sys.version_info >= (3, 12)


@contextmanager
def lines_reached() -> Iterator[set[tuple[str, int]]]:
    """The lines that are run meanwhile, by file; none where Python cannot tell. Imports do not count."""
    lines: set[tuple[str, int]] = set()
    if sys.version_info >= (3, 12):
        told = sys.monitoring

        def reached(code: CodeType, line: int) -> object:
            if code.co_filename.startswith(_FUNCTIONS):
                lines.add((code.co_filename, line))
            return told.DISABLE  # once is enough

        told.use_tool_id(_TOOL, "explore")
        told.register_callback(_TOOL, told.events.LINE, reached)
        told.set_events(_TOOL, told.events.LINE)
        told.restart_events()
        try:
            yield lines
        finally:
            told.set_events(_TOOL, 0)
            told.free_tool_id(_TOOL)
    else:
        yield lines
