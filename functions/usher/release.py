"""What runs before Usher goes: every instance that it holds is released, not left to a default result.

Deleting a queue settles launches that wait by the default result at once, and deleting a hook
abandons them (aws-facts 1.1, 2.6). So a custom resource, which CloudFormation deletes first, calls
this, and the deletion goes on only when nothing waits any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.core.deadlines import Load
from usher.core.model import Phase, Result
from usher.ports import Moved

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.model import Action
    from usher.looks import Looks

PHYSICAL_ID: Final = "usher-release"
ROUNDS: Final = 10
_ALL_TIME: Final = timedelta(days=3)  # no action is due later
_REASON: Final = "Usher is being removed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """Answers CloudFormation. `respond` brings an answer to the address that came with the request."""

    looks: Looks
    calls_per_second: float
    respond: Callable[[str, dict[str, Any]], None]

    def handle(self, event: dict[str, Any]) -> None:
        """Release on Delete; nothing is to be done on Create and Update."""
        left = self.release_all() if event["RequestType"] == "Delete" else 0
        reason = f"{left} actions could not be released yet; delete the stack again" if left else "done"
        self.respond(
            event["ResponseURL"],
            {
                "Status": "FAILED" if left else "SUCCESS",
                "Reason": reason,
                "PhysicalResourceId": PHYSICAL_ID,
                "StackId": event["StackId"],
                "RequestId": event["RequestId"],
                "LogicalResourceId": event["LogicalResourceId"],
            },
        )

    def release_all(self) -> int:
        """Complete every open action with CONTINUE; how many are open after some rounds."""
        load = Load(open_actions=self.looks.store.open_actions(), calls_per_second=self.calls_per_second)
        left = self._open_ids()
        for _ in range(ROUNDS):
            for action_id in left:
                self._decide(action_id)
                self.looks.look(action_id, load)
            left = self._open_ids()
            if not left:
                break
        return len(left)

    def _open_ids(self) -> list[str]:
        until = self.looks.clock() + _ALL_TIME
        due = sorted(self.looks.store.due(until), key=lambda due: (due.expires_at, due.action_id))
        return [row.action_id for row in due]

    def _decide(self, action_id: str) -> None:
        """Store the decision, due now. An action that is completing keeps the result it has."""
        action = self.looks.store.load(action_id)
        if action is None or not action.is_open:
            return
        try:
            self.looks.store.save(_released(action, self.looks.clock(), self.looks.new_id()))
        except Moved:
            return  # the next round finds it as it is then


def _released(action: Action, now: datetime, look_id: str) -> Action:
    if action.phase is Phase.OPEN:
        action = action.noted(now, "complete", f"{Result.CONTINUE}: {_REASON}")
        action = replace(action, phase=Phase.COMPLETING, result=Result.CONTINUE, reason=_REASON)
    return replace(action, version=action.version + 1, look_id=look_id, look_at=now)
