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
CLOSED: Final = "read of what is closed"
REOPENED: Final = "save of what is closed"
OVER: Final = "call for what waits no more"  # its answer is the same from now on

# What reads changes nothing. So for its caller an answer that is lost is a table that is busy, and whoever is
# cut off after it might as well have been cut off before.
READS: Final = frozenset(
    {
        "all_open",
        "described",
        "due",
        "evidence",
        "findings",
        "foreign_waits",
        "hooks_in_use",
        "is_readable",
        "load",
        "next_at",
        "of_instance",
        "of_token",
        "open_of",
        "open_rows",
        "pauses",
        "places",
        "reaches_us",
        "schedule",
        "unasked",
        "version",
    }
)
OF_RECORDS: Final = frozenset({"due", "load", "of_instance", "of_token"})
CALLS: Final = frozenset({"CompleteLifecycleAction", "RecordLifecycleActionHeartbeat"})

# Nobody reads a queue before it is polled, nor that a group was heard of; and the budget has room for all the
# calls of a small world, in whatever order they reserve it.
_COMMUTE: Final = frozenset({"send", "keep_heard", "book", "give_back", STALE, OVER})
# These commute in a world where nothing of what would change their answer is done.
_READS: Final[Mapping[str, frozenset[str]]] = {
    "described": frozenset({"keep_described"}),
    "evidence": frozenset(
        {"keep_signal", "keep_move_end", "keep_instance_end", "keep_instance_state", "pause", "resume"}
    ),
    "findings": frozenset({"keep_findings", "put_off"}),
    "unasked": frozenset({"keep_findings", "put_off"}),
    "pauses": frozenset({"pause", "resume"}),
    CLOSED: frozenset({"open", REOPENED}),
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

    def is_free(self, line: str) -> bool:
        """See depth_first.Rules: by all that is known."""
        what, now = line.rpartition(": ")[2], self.now()
        if what in _READS and not _READS[what] & self._done[now]:
            self._taken.add((now, what))
            return True
        return what in _COMMUTE

    def comes_first(self, line: str, other: str) -> bool:
        """See depth_first.Rules. It follows from what both do, not from ids: no state differs by them."""
        (one, what), (two, before) = _parts(line), _parts(other)
        commute = {what, before} <= READS | CALLS and not {what, before} <= CALLS
        return commute and (one, what) < (two, before)

    def is_wrong(self) -> bool:
        """Whether something was taken for harmless that is not. Then all has to be run anew."""
        wrong = {(at, what) for at, what in self._taken if _READS[what] & self._done[at]}
        self._taken -= wrong
        return bool(wrong)


def _parts(line: str) -> tuple[str, str]:
    """The function of a line, and what it does next."""
    who, _, what = line.partition(": ")
    return who.partition("-")[0], what
