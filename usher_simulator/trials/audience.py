"""Everyone who is told what is done in a trial: its checkers, the table's stream, and the trace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from usher_simulator.trials.effects import Watch

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action, Signal
    from usher.core.held_wait import HeldWait
    from usher.ports.records import Evidence
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.virtual_clock import VirtualClock
    from usher_simulator.trials.effects import Call
    from usher_simulator.trials.invocations import Invocation
    from usher_simulator.trials.judge.scene import Checker
    from usher_simulator.trials.stream import Stream


class Audience(Watch):
    """Tells all who listen. `tells`: keep a trace of everything."""

    def __init__(self, clock: VirtualClock, *, tells: bool) -> None:
        self._clock = clock
        self._start = clock()
        self._tells = tells
        self.trace: list[str] = []
        self.evaluations = 0  # records that a wake-up or a sweep loaded to see whether something is due
        self.opened_at: dict[str, datetime] = {}  # when a record was first stored, by action id
        self.checkers: list[Checker] = []
        self.stream: Stream | None = None  # of the table, where events out are on

    def tell(self, what: str, *told: object) -> None:
        """A line of the trace."""
        if self._tells:
            at = (self._clock() - self._start).total_seconds()
            self.trace.append(f"{at:12.3f}  {what:<12} {' '.join(str(each) for each in told)}".rstrip())

    def _since_start(self, moment: datetime) -> str:
        return f"{(moment - self._start).total_seconds():.3f}"

    def wait_began(self, wait: Wait) -> None:
        """Simulated Auto Scaling began a lifecycle action."""
        self.tell("wait", "begins", wait.token, wait.group, wait.hook, wait.instance_id, wait.transition)

    def wait_ended(self, wait: Wait) -> None:
        """It ended one, whoever asked for it."""
        self.tell("wait", "ends", wait.token, wait.ended_by, wait.result)
        for checker in self.checkers:
            checker.wait_ended(wait)

    def acknowledged(self, body: str) -> None:
        """A message was taken from the inbox for good."""
        self.tell("taken", body)
        for checker in self.checkers:
            checker.acknowledged(body)

    def finished(self) -> None:
        """The run is over."""
        for checker in self.checkers:
            checker.finished()

    def read(self, action: Action, invocation: Invocation | None) -> None:
        """See effects.Watch."""
        self.evaluations += invocation is not None and invocation.function != "intake"
        for checker in self.checkers:
            checker.read(action, invocation)

    def heard(self, action: Action, evidence: Evidence, invocation: Invocation | None) -> None:
        """See effects.Watch."""
        for checker in self.checkers:
            checker.heard(action, evidence, invocation)

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """See effects.Watch."""
        if before is None:
            self.opened_at[after.id] = self._clock()
        if self._tells:
            line = after.last_entry
            evaluate_at = (
                "never"
                if after.evaluate_at is None
                else f"{(after.evaluate_at - self._start).total_seconds():.3f}"
            )
            expires_at = f"{(after.expires_at - self._start).total_seconds():.3f}"
            said = f"{line.event}: {line.detail} x{line.count}" if line else ""
            self.tell(
                "stored", invocation, after.id, f"v{after.version}", after.phase,
                f"look {evaluate_at}, expiry {expires_at};", said,
            )  # fmt: skip
        if self.stream is not None:
            self.stream.changed(before, after)
        for checker in self.checkers:
            checker.stored(before, after, invocation)

    def called(self, call: Call) -> None:
        """See effects.Watch."""
        answer = "accepted" if call.refusal is None else f"{call.refusal.code} {call.refusal.message}"
        self.tell("call", call.invocation, call.operation, json.dumps(call.parameters), answer, call.is_told)
        for checker in self.checkers:
            checker.called(call)

    def woken(
        self, action_id: str, stamp: int, at: datetime, wait: HeldWait | None, by: Invocation | None
    ) -> None:
        """See effects.Watch."""
        chain = f"{wait.chain} {wait.links}" if wait is not None else ""
        self.tell("wake-up", action_id, f"v{stamp}", f"at {self._since_start(at)}", chain)
        for checker in self.checkers:
            checker.woken(action_id, stamp, at, wait, by)

    def kept(self, signal: Signal) -> None:
        """See effects.Watch."""
        self.tell("signal", signal.event_id, signal.instance_id, signal.token, signal.name, signal.status)
        for checker in self.checkers:
            checker.kept(signal)

    def ended(self, instance_id: str) -> None:
        """See effects.Watch."""
        self.tell("instance", instance_id, "ended")
        for checker in self.checkers:
            checker.ended(instance_id)
