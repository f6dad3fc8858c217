"""Promise 7, on the event bus: each record's beginning and its end are announced, and the end as it was."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from usher.core.announce import Kind
from usher_simulator.trials.judge.scene import Checker

if TYPE_CHECKING:
    from usher.core.action import Action
    from usher.core.announce import Announcement


class EventsOut(Checker):
    """What is told at least once is told; of several ends the last one counts."""

    promise = "7 explained: events out"

    def finished(self) -> None:
        """All that changed was handed on by now."""
        if self.scene.announced is None or self.scene.goes():
            return
        of: defaultdict[object, list[Announcement]] = defaultdict(list)
        for each in self.scene.announced:
            of[each.detail["ActionId"]].append(each)
        for action in self.scene.memory.actions():
            self._judge(action, of[action.id])

    def _judge(self, action: Action, announced: list[Announcement]) -> None:
        if not any(each.kind is Kind.OPENED for each in announced):
            self.broken("its beginning was not announced", action)
        ends = [each for each in announced if each.kind in (Kind.COMPLETED, Kind.DEFAULTED)]
        # A table that was restored counts its versions from those of then.
        last = ends[-1] if ends and self.scene.restored_at else max(ends, key=_version, default=None)
        if not action.is_open and (last is None or last.detail.get("Outcome") != action.outcome):
            told = last.detail.get("Outcome") if last else "nothing"
            self.broken(f"it ended as {action.outcome}; {told} was announced", action)


def _version(announced: Announcement) -> int:
    return int(str(announced.detail["RecordVersion"]))
