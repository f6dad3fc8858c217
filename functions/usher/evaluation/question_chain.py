"""The chain of questions of an action: how an evaluation begins it, and how the sweep repairs it.

Nothing here asks anything. Who asks is usher.questions.asking, in a function of its own, so that no slow
answer keeps a heartbeat waiting.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core import questions
from usher.core.finding import Findings
from usher.core.frozen import frozen
from usher.evaluation.wake_ups import WAKE_UP_HORIZON
from usher.ports.errors import Moved, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.action import Action
    from usher.ports.queues import Questions
    from usher.ports.records import FindingsKept, Unasked
    from usher.ports.telemetry import Telemetry

# A question that waits so long in its queue may as well be lost.
QUESTION_OVERDUE_AFTER: Final = timedelta(minutes=5)
AHEAD: Final = timedelta(seconds=240)  # holds two sweeps, as for what is near


@frozen
class Chains:
    """What begins and repairs chains of questions."""

    kept: FindingsKept
    queue: Questions
    telemetry: Telemetry
    clock: Callable[[], datetime]

    def begin(self, action: Action, findings: Findings | None) -> bool:
        """Ask what is due, at once or when its time comes, unless that is on its way already.

        Stored before it is sent, so that the sweep knows of it. What goes wrong here stops no evaluation:
        False where nobody asks now, so that an evaluation is to come again soon.
        """
        now = self.clock()
        ask_at = findings.ask_at if findings is not None else None
        next_at = questions.next_at(action, now)
        is_on_its_way = ask_at is not None and (ask_at <= now or not questions.due(action, now))
        is_readable = findings is None or findings.is_readable
        if is_on_its_way or next_at is None or not is_readable:
            return True
        try:
            self._ask_at(next_at, action, findings or Findings())
        except Moved:
            pass  # another one has just begun it, or asks
        except Unavailable as error:
            self.telemetry.trouble(f"no question of action {action.id} was requested", error)
            return False
        return True

    def ask_now(self, action: Action, findings: Findings) -> None:
        """Let these findings be stored, and their conditions be asked at once. Raises Moved."""
        self._ask_at(self.clock(), action, findings)

    def _ask_at(self, ask_at: datetime, action: Action, findings: Findings) -> None:
        """A turn that is too far ahead for a message is left to the sweep."""
        now = self.clock()
        after = replace(findings, turn=findings.turn + 1, ask_at=ask_at, sweep_at=sweep_at(ask_at, now))
        self.kept.keep_findings(action, after)
        if ask_at - now <= WAKE_UP_HORIZON:
            self.queue.send(action.id, after.turn, max(timedelta(0), ask_at - now))

    def repair(self, row: Unasked) -> None:
        """Send a turn whose message was lost, waits long, or was too far ahead to be sent.

        It is overdue where it was sent anew before, and is not asked yet: what is lost once is made up for.
        """
        now = self.clock()
        findings = self.kept.findings(row.action_id)
        if findings is None or findings.turn != row.turn or findings.ask_at is None:
            return
        ask_at = max(findings.ask_at, now)
        if self.kept.put_off(row.action_id, row.turn, ask_at + QUESTION_OVERDUE_AFTER):
            if findings.ask_at + 2 * QUESTION_OVERDUE_AFTER <= now:
                self.telemetry.count("OverdueQuestions")
            self.queue.send(row.action_id, row.turn, ask_at - now)


def tell_unreadable(telemetry: Telemetry, action_id: str) -> None:
    """Tell that what was found of an action's conditions cannot be read, so that nothing counts as found.

    A newer release wrote it, before a rollback. Asked anew, a condition would start twice what it starts;
    the sweep goes on sending the turn, for whoever can read it.
    """
    what = f"the findings of action {action_id} cannot be read"
    telemetry.trouble(what, ValueError("a newer release stored them"))


def sweep_at(ask_at: datetime | None, now: datetime) -> datetime | None:
    """When a turn that is due at `ask_at` becomes the sweep's business."""
    if ask_at is None:
        return None
    return ask_at + QUESTION_OVERDUE_AFTER if ask_at - now <= WAKE_UP_HORIZON else ask_at - AHEAD
