"""What runs before Usher goes: every instance that it holds is released, not left to a default result.

Deleting a queue settles launches that wait by the default result at once, and deleting a hook
abandons them (aws-facts 1.1, 2.6). So a custom resource, which CloudFormation deletes first, calls
this, and the deletion goes on only when nothing waits any more.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from usher.core.model import Phase, Result
from usher.ports import CallRefused, GroupGone, Moved, Throttled, TryLater, Unavailable
from usher.turns import Enough

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.enrolment import Enrolled
    from usher.core.model import Action
    from usher.handlers import Work
    from usher.looks import Looks
    from usher.ports import EnrolmentRecords, HookCalls, OpenActions

PHYSICAL_ID: Final = "usher-release"
ROUNDS: Final = 5  # without any progress
_BETWEEN_ROUNDS_S: Final = 1  # for what found no room in this second, and for the index to catch up
_AGAIN: Final = "delete the stack again, and `usher resume` before where Usher is paused"
LAST_CALLS_S: Final = 10  # what a sweep was allowed to put before it was told not to, it has put by then
_ALL_TIME: Final = timedelta(days=3)  # no action is due later
_REASON: Final = "Usher is being removed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """Answers CloudFormation. `respond` brings an answer to the address that came with the request.

    `work` is `map`, or what makes several calls at once. `wait` is as time.sleep.
    """

    looks: Looks
    hooks: HookCalls
    enrolments: EnrolmentRecords
    open_actions: OpenActions
    respond: Callable[[str, dict[str, Any]], None]
    wait: Callable[[float], object]
    work: Work = map

    def handle(self, event: dict[str, Any], has_time: Callable[[], bool] = lambda: True) -> None:
        """Release on Delete; nothing is to be done on Create and Update.

        With the property `Unenrol` the hooks that were put at run time go too: their queue will.
        """
        url, ours = event["ResponseURL"], {"PhysicalResourceId": PHYSICAL_ID}
        named = ours | {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
        properties = event.get("ResourceProperties")
        unenrols = isinstance(properties, dict) and properties.get("Unenrol") == "true"
        reason = self._leave(has_time, unenrols=unenrols) if event["RequestType"] == "Delete" else ""
        self.respond(url, {"Status": "FAILED" if reason else "SUCCESS", "Reason": reason or "done", **named})

    def _leave(self, has_time: Callable[[], bool], *, unenrols: bool) -> str:
        """Why the deletion cannot go on yet, or nothing. CloudFormation waits an hour for an answer."""
        try:
            left = self._release_and_unenrol(has_time) if unenrols else self.release_all(has_time)
        except Enough:
            return f"not all hooks could be deleted in time; {_AGAIN}"
        except Unavailable as error:
            self.looks.telemetry.trouble("not all could be let go", error)
            return f"the table could not be read ({error}); {_AGAIN}"
        return f"{left} actions or hooks could not be let go yet; {_AGAIN}" if left else ""

    def _stop_enrolment(self) -> None:
        """The sweep, which still runs, must not put hooks back: nothing would look after them."""
        self.enrolments.close(self.looks.clock())
        self.wait(LAST_CALLS_S)

    def _release_and_unenrol(self, has_time: Callable[[], bool]) -> int:
        """Until nothing waits and no hook is left, in some rounds: an instance may come at any time."""
        hooks = 0
        self._stop_enrolment()
        for _ in range(ROUNDS):
            waiting = self.release_all(has_time)
            if waiting:
                return waiting
            hooks = self.unenrol(has_time)
            if not hooks:
                break
        return hooks

    def release_all(self, has_time: Callable[[], bool]) -> int:
        """Complete every open action with CONTINUE, as far as the time goes; how many are left open."""
        left, idle = self._open_ids(), 0
        while left and idle < ROUNDS and has_time():
            list(self.work(partial(self._let_go, has_time), left))
            self.wait(_BETWEEN_ROUNDS_S)
            before, left = len(left), self._open_ids()
            idle = 0 if len(left) < before else idle + 1
        return len(left)

    def unenrol(self, has_time: Callable[[], bool]) -> int:
        """Delete the hooks that were put at run time and hold nothing; how many are left. Raises Enough."""
        left = 0
        for record in self.enrolments.enrolled():
            self.looks.turns.awaited(self.looks.clock, self.wait, has_time)
            if record.key in self.open_actions.hooks_in_use() or not self._deleted(record):
                left += 1
        return left

    def _deleted(self, record: Enrolled) -> bool:
        try:
            with suppress(GroupGone):
                self.hooks.delete_hook(record)
            self.enrolments.forget(record)
        except (TryLater, CallRefused, Moved) as error:
            if isinstance(error, Throttled):
                self.looks.turns.throttled(self.looks.clock())
            self.looks.telemetry.trouble(f"hook {record.hook} of {record.group} was not deleted", error)
            return False
        return True

    def _open_ids(self) -> list[str]:
        until = self.looks.clock() + _ALL_TIME
        due = sorted(self.looks.store.due(until), key=lambda due: (due.expires_at, due.action_id))
        return [row.action_id for row in due]

    def _let_go(self, has_time: Callable[[], bool], action_id: str) -> None:
        """One that fails must not keep the others from being let go."""
        if not has_time():
            return
        try:
            self._decide(action_id)
            self.looks.look(action_id)
        except Exception as error:  # noqa: BLE001 - the edge: told, and counted as left
            self.looks.telemetry.trouble(f"action {action_id} was not let go", error)

    def _decide(self, action_id: str) -> None:
        """Store the decision, due now. An action that is completing keeps the result it has.

        While its hook is paused nothing is sent, so nothing is decided either.
        """
        action = self.looks.store.load(action_id)
        if action is None or not action.is_open or self.looks.store.evidence(action).paused is not None:
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
