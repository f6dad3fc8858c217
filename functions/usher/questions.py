"""The chain of questions of an action: how a look begins it, and how the sweep makes up for what was lost.

Nothing here asks anything. Who asks is usher.asking, in a function of its own, so that no slow answer
keeps a heartbeat waiting.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core import questions
from usher.core.finding import Findings
from usher.ports import Moved, Unavailable
from usher.waking import OWN

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.model import Action
    from usher.ports import FindingsKept, Questions, Telemetry, Unasked

LATE: Final = timedelta(minutes=5)  # a question that waits so long in its queue may as well be lost
AHEAD: Final = timedelta(seconds=240)  # holds two sweeps, as for what is near


@dataclass(frozen=True, kw_only=True, slots=True)
class Chains:
    """What begins and repairs chains of questions."""

    kept: FindingsKept
    queue: Questions
    telemetry: Telemetry
    clock: Callable[[], datetime]

    def begin(self, action: Action, findings: Findings | None) -> None:
        """Ask at once what is due, unless that is on its way already.

        Stored before it is sent, so that the sweep knows of it. What goes wrong here stops no look.
        """
        now = self.clock()
        is_on_its_way = findings is not None and findings.ask_at is not None and findings.ask_at <= now
        if is_on_its_way or not questions.due(action, now):
            return
        try:
            self.ask_now(action, findings or Findings())
        except Moved:
            pass  # another one has just begun it, or asks
        except Unavailable as error:
            self.telemetry.trouble(f"no question of action {action.id} was asked for", error)

    def ask_now(self, action: Action, findings: Findings) -> None:
        """Let these findings be stored, and their conditions be asked at once. Raises Moved."""
        now = self.clock()
        after = replace(findings, turn=findings.turn + 1, ask_at=now, sweep_at=now + LATE)
        self.kept.keep_findings(action, after)
        self.queue.send(action.id, after.turn, timedelta(0))

    def repair(self, row: Unasked) -> None:
        """Send a turn whose message was lost, waits long, or was too far ahead to be sent."""
        now = self.clock()
        findings = self.kept.findings(row.action_id)
        if findings is None or findings.turn != row.turn or findings.ask_at is None:
            return
        ask_at = max(findings.ask_at, now)
        if self.kept.put_off(row.action_id, row.turn, ask_at + LATE):
            self.queue.send(row.action_id, row.turn, ask_at - now)


def sweep_at(ask_at: datetime | None, now: datetime) -> datetime | None:
    """When a turn that is due at `ask_at` becomes the sweep's business."""
    if ask_at is None:
        return None
    return ask_at + LATE if ask_at - now <= OWN else ask_at - AHEAD
