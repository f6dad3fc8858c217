"""Promise 1: each lifecycle action gets at most one result."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from usher.core.action import Phase, Result
from usher_simulator.trials.judge.scene import COMPLETE, HEARTBEAT, Checker

if TYPE_CHECKING:
    from usher.core.action import Action
    from usher_simulator.trials.effects import Call
    from usher_simulator.trials.invocations import Invocation
    from usher_simulator.trials.judge.scene import Scene


class OneResult(Checker):
    """Promise 1: one result for each action, and stored before it is sent.

    A heartbeat for an action with a result goes out only from a wake-up that is older than the
    result, and of which the table told nothing (ADR 19).
    """

    promise = "1 one result"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._sent: defaultdict[str, set[str]] = defaultdict(set)
        self._decided: dict[str, Result] = {}
        self._alive: set[str] = set()  # a heartbeat for a closed record was accepted
        self._stored_as: dict[tuple[Invocation | None, str], Phase] = {}
        self._read_as: dict[tuple[Invocation, str], Phase] = {}
        self._phases: dict[tuple[str, int], Phase] = {}  # of each state of an action, by its stamp

    def called(self, call: Call) -> None:
        """Every Complete carries the result that the record has, and always the same one."""
        action = self.scene.action_of(call.parameters)
        if call.operation == HEARTBEAT and action is not None:
            self._check_heartbeat(call, action)
        elif call.operation == COMPLETE:
            self._check_result(call.parameters["LifecycleActionResult"], action)

    def _check_heartbeat(self, call: Call, action: Action) -> None:
        if call.refusal is None:
            self._alive.add(action.id)
        phase = self._stored_as.get((call.invocation, action.id), action.phase)
        is_decided = phase is Phase.COMPLETING or action.is_proven
        is_late = is_decided and not self._is_from_an_older_wake_up(call.invocation, action)
        if is_late and "LifecycleActionToken" in call.parameters:
            self.broken(f"a heartbeat went out for an action that is {phase}", action)

    def _check_result(self, result: str, action: Action | None) -> None:
        is_let_go = self.scene.goes() and result == "CONTINUE"  # recorded or not, when Usher goes
        if action is None:
            if not is_let_go:
                self.broken(f"{result} sent for an action without a record")
            return
        if is_let_go and self._waits_again(action):
            return  # and of that there is no record
        self._sent[action.id].add(result)
        if len(self._sent[action.id]) > 1:
            self.broken(f"two results were sent: {sorted(self._sent[action.id])}", action)
        if action.phase is Phase.OPEN and not is_let_go:
            self.broken(f"{result} was sent before it was stored", action)
        if action.phase is Phase.COMPLETING and action.result != result:
            self.broken(f"{result} was sent, and {action.result} stored", action)

    def _waits_again(self, action: Action) -> bool:
        """Whether its instance has come into the hook once more, by the service's own log."""
        own = self.scene.waits.of_token(action.token) if action.token else None
        since = own.started_at if own is not None else action.closed_at
        waits = [
            one for one in self.scene.waits.of_instance(action.instance_id) if one.hook == action.hook.name
        ]
        return since is not None and any(one.started_at > since for one in waits)

    def read(self, action: Action, invocation: Invocation | None) -> None:
        """Whoever has read that a result is decided sends no heartbeat."""
        if invocation is not None:
            self._read_as[invocation, action.id] = action.phase

    def _is_from_an_older_wake_up(self, invocation: Invocation | None, action: Action) -> bool:
        if invocation is None or invocation.function != "wake":
            return False
        if self._read_as.get((invocation, action.id), Phase.OPEN) is not Phase.OPEN:
            return False
        stamps = [stamp for action_id, stamp in invocation.sent_for if action_id == action.id]
        return all(self._phases.get((action.id, stamp), Phase.OPEN) is Phase.OPEN for stamp in stamps)

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """A result stays, and what is closed stays closed."""
        self._stored_as[invocation, after.id] = after.phase
        self._phases[after.id, after.stamp] = after.phase
        if before is None:
            return
        if after.phase is Phase.COMPLETING and after.result is not None:
            first = self._decided.setdefault(after.id, after.result)
            if after.result is not first:
                self.broken(f"the stored result {first} became {after.result}", after)
        if after.phase is Phase.OPEN and after.id in self._decided:
            self.broken("a result that was stored is gone", after)
        if before.phase is Phase.CLOSED and after.is_open:
            if after.id not in self._alive or before.is_proven:
                self.broken(f"closed as {before.outcome}, then open without an accepted heartbeat", after)
            self._alive.discard(after.id)
        elif before.phase is Phase.CLOSED and (after.outcome, after.result) != (
            before.outcome,
            before.result,
        ):
            self.broken(f"closed as {before.outcome}, then {after.phase} as {after.outcome}", after)
