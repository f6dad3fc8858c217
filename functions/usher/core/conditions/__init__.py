"""What an instance may wait for. A new condition is one module, and one line in `KINDS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from usher.core.conditions.elapsed import Elapsed
from usher.core.conditions.signalled import Signalled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from usher.core.conditions.verdict import Condition
    from usher.core.field import Field

KINDS: Final[Mapping[str, Callable[[Field], Condition]]] = {
    "elapsed": Elapsed.parse,
    "signal": Signalled.parse,
}


def parse(field: Field) -> Condition:
    """The condition that a configuration names, e.g. `{"elapsed": "90s"}`."""
    kind, value = field.only_member(list(KINDS))
    return KINDS[kind](value)
