"""Which steps of a small world commute with all others: they are taken at once, and need no choice."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STALE: Final = (
    "save, which comes too late"  # somebody else stored that version: nothing changes that any more
)

# Nobody reads a queue before it is polled, nor that a group was heard of; and the budget has room for all the
# calls of a small world, in whatever order they reserve it.
_COMMUTE: Final = frozenset({"send", "keep_heard", "book", "give_back", STALE})
# These commute in a world where nothing of what would change their answer is done.
_READS: Final[Mapping[str, frozenset[str]]] = {
    "described": frozenset({"keep_described"}),
    "evidence": frozenset(
        {"keep_signal", "keep_move_end", "keep_instance_end", "keep_instance_state", "pause", "resume"}
    ),
    "findings": frozenset({"keep_findings", "put_off"}),
    "unasked": frozenset({"keep_findings", "put_off"}),
    "pauses": frozenset({"pause", "resume"}),
}


class Steps:
    """What was done at which moment, by name, in all schedules so far; and what was taken for harmless."""

    def __init__(self) -> None:
        self._done: defaultdict[datetime, set[str]] = defaultdict(set)
        self._taken: set[tuple[datetime, str]] = set()
        self.now: Callable[[], datetime] = lambda: datetime.min.replace(tzinfo=UTC)

    def does(self, what: str) -> None:
        """A line does that now."""
        self._done[self.now()].add(what)

    def commutes(self, line: str) -> bool:
        """Whether what a line does next may as well be done at once, by all that is known."""
        what, now = line.rpartition(": ")[2], self.now()
        if what in _READS and not _READS[what] & self._done[now]:
            self._taken.add((now, what))
            return True
        return what in _COMMUTE

    def is_wrong(self) -> bool:
        """Whether something was taken for harmless that is not. Then all has to be run anew."""
        wrong = {(at, what) for at, what in self._taken if _READS[what] & self._done[at]}
        self._taken -= wrong
        return bool(wrong)
