"""What runs before Usher goes: every instance that it holds is released, not left to a default result.

Deleting a queue settles launches that wait by the default result at once, and deleting a hook
abandons them (aws-facts 1.1, 2.6). So a custom resource, which CloudFormation deletes first, calls
this, and the deletion goes on only when nothing waits any more.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.core.model import Phase, Result
from usher.ports import CallRefused, GroupGone, Moved, TryLater, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.model import Action
    from usher.looks import Looks
    from usher.ports import Enrolments, HookCalls

PHYSICAL_ID: Final = "usher-release"
ROUNDS: Final = 10
_ALL_TIME: Final = timedelta(days=3)  # no action is due later
_REASON: Final = "Usher is being removed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """Answers CloudFormation. `respond` brings an answer to the address that came with the request."""

    looks: Looks
    hooks: HookCalls
    enrolments: Enrolments
    respond: Callable[[str, dict[str, Any]], None]

    def handle(self, event: dict[str, Any]) -> None:
        """Release on Delete; nothing is to be done on Create and Update.

        With the property `Unenrol` the hooks that were put at run time go too: their queue will.
        """
        url, ours = event["ResponseURL"], {"PhysicalResourceId": PHYSICAL_ID}
        named = ours | {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
        properties = event.get("ResourceProperties")
        unenrols = isinstance(properties, dict) and properties.get("Unenrol") == "true"
        reason = self._leave(unenrols=unenrols) if event["RequestType"] == "Delete" else ""
        self.respond(url, {"Status": "FAILED" if reason else "SUCCESS", "Reason": reason or "done", **named})

    def _leave(self, *, unenrols: bool) -> str:
        """Why the deletion cannot go on yet, or nothing. CloudFormation waits an hour for an answer."""
        try:
            left = self.release_all()
            if not left and unenrols:
                left = self.unenrol()
        except Unavailable as error:
            self.looks.telemetry.trouble("not all could be let go", error)
            return f"the table could not be read ({error}); delete the stack again"
        return f"{left} actions or hooks could not be let go yet; delete the stack again" if left else ""

    def release_all(self) -> int:
        """Complete every open action with CONTINUE; how many are open after some rounds."""
        left = self._open_ids()
        for _ in range(ROUNDS):
            for action_id in left:
                self._let_go(action_id)
            left = self._open_ids()
            if not left:
                break
        return len(left)

    def unenrol(self) -> int:
        """Delete every hook that was put at run time; how many are left."""
        left = 0
        for record in self.enrolments.enrolled():
            try:
                with suppress(GroupGone):
                    self.hooks.delete_hook(record)
                self.enrolments.forget(record)
            except (TryLater, CallRefused, Moved) as error:
                self.looks.telemetry.trouble(f"hook {record.hook} of {record.group} was not deleted", error)
                left += 1
        return left

    def _open_ids(self) -> list[str]:
        until = self.looks.clock() + _ALL_TIME
        due = sorted(self.looks.store.due(until), key=lambda due: (due.expires_at, due.action_id))
        return [row.action_id for row in due]

    def _let_go(self, action_id: str) -> None:
        """One that fails must not keep the others from being let go."""
        try:
            self._decide(action_id)
            self.looks.look(action_id)
        except Exception as error:  # noqa: BLE001 - the edge: told, and counted as left
            self.looks.telemetry.trouble(f"action {action_id} was not let go", error)

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
