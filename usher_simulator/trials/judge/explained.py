"""Promise 7: the timeline tells all that happened to an action."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.action import Outcome
from usher_simulator.trials.faults import LONGEST_SKEW, Fault
from usher_simulator.trials.judge.nothing_lost import said_in
from usher_simulator.trials.judge.scene import COMPLETE, HEARTBEAT, Checker

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.held_wait import HeldWait
    from usher.ports.records import Evidence
    from usher_simulator.trials.effects import Call
    from usher_simulator.trials.invocations import Invocation
    from usher_simulator.trials.judge.scene import Scene

_MAY_BEAT_ALONE: Final = ("wake", "sweep")
_ADOPTING: Final = timedelta(seconds=60)  # from when a pass knows of no record until its heartbeat
_AT_ONCE: Final = 2 * LONGEST_SKEW  # for all that clocks tell
_COPIES: Final = timedelta(seconds=10)  # so long after a wake-up its copy may begin, after a cold start
_OF_FINDINGS: Final = ("found", "starts")  # kept apart from the record's own lines


class Explained(Checker):
    """Promise 7: the timeline has every notification, decision, call and answer.

    Of the calls that went out without the table, those that were accepted.
    """

    promise = "7 explained"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._notices = Counter[str | None]()  # by token
        self._opened_at: dict[str, datetime] = {}
        self._read: set[tuple[Invocation, tuple[str, str]]] = set()
        # Those that beat without the table, and when last.
        self._alone: defaultdict[str, dict[Invocation, datetime]] = defaultdict(dict)
        self._news: defaultdict[tuple[str, str], set[str]] = defaultdict(set)  # wake-ups that tell of them
        self._invocations: defaultdict[str, list[tuple[Invocation | None, datetime]]] = defaultdict(list)

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """From here on it is recorded."""
        del invocation
        if before is None:
            self._opened_at[after.id] = self.scene.clock()

    def heard(self, action: Action, evidence: Evidence, invocation: Invocation | None) -> None:
        """Whoever evaluates it has the table."""
        del evidence
        if invocation is not None:
            self._read.add((invocation, _place(action)))

    def woken(
        self, action_id: str, stamp: int, at: datetime, wait: HeldWait | None, by: Invocation | None
    ) -> None:
        """What was sent without the table a wake-up tells to the record."""
        del stamp, at, by
        if wait is not None and wait.beats:
            self._news[wait.instance_id, wait.hook].add(action_id)

    def called(self, call: Call) -> None:
        """Every answer that came is to be found in the timeline."""
        if call.operation not in (HEARTBEAT, COMPLETE):
            return
        action = self.scene.action_of(call.parameters)
        is_by_instance = "LifecycleActionToken" not in call.parameters
        if action is None or (self.scene.goes() and is_by_instance):
            return  # when Usher goes, what the live state shows waiting is let go
        by = call.invocation
        has_read = by is None or by.function not in _MAY_BEAT_ALONE or (by, _place(action)) in self._read
        # One that was adopted may have got its token while an evaluation went on.
        is_beat = is_by_instance and call.operation == HEARTBEAT
        is_from_live_state = by is not None and by.function == "sweep" and bool(action.token) and is_beat
        if by is not None and (is_from_live_state or not has_read):
            # By instance it may be of a later wait, of which no record is known yet.
            # Nor was it, perhaps, when the sweep asked: its notice came in between.
            is_new = call.at - self._opened_at[action.id] < _ADOPTING
            if call.refusal is None and not by.faults and action.is_open and not is_new:
                self._alone[action.id][by] = call.at
        elif action.is_open:
            self._invocations[action.id].append((call.invocation, call.at))

    def acknowledged(self, body: str) -> None:
        """Each notice that was taken for good is told in the timeline of its action."""
        if body not in self.scene.garbage:
            said = said_in(json.loads(body))
            is_recorded = self.scene.memory.of_token(said.get("LifecycleActionToken", "")) is not None
            if "LifecycleTransition" in said and is_recorded:
                self._notices[said.get("LifecycleActionToken")] += 1

    def finished(self) -> None:
        """Each action at its end."""
        for action in self.scene.memory.actions():
            self._check_timeline(action)

    def _check_timeline(self, action: Action) -> None:
        lines = self.scene.memory.timeline(action.id)
        events = Counter[str]()
        for line in lines:
            events[line.event] += line.count
        numbers = [line.number for line in lines if line.event not in _OF_FINDINGS]
        if numbers != list(range(1, len(numbers) + 1)):
            self.broken(f"lines {numbers}", action)
        if not events["notified"] and not events["adopted"]:
            self.broken("nobody can see how it became known", action)
        if events["notified"] < self._notices[action.token]:
            self.broken(f"{self._notices[action.token]} notices came, {events['notified']} are told", action)
        if not action.is_open and not events["closed"]:
            self.broken("nobody can see how it ended", action)
        if action.outcome is Outcome.COMPLETED and not events["complete"]:
            self.broken("nobody can see why it was completed", action)
        if not all(line.detail for line in lines):
            self.broken("a line has no reason", action)
        calls = [call for call in self._invocations[action.id] if call[0] and not call[0].faults]
        told = [one for one, at in calls if one is not None and self._had_time(action, at)]
        held = [(line.detail.split()[0], line.count) for line in lines if line.event == "held"]
        learned = sum((int(first) if first.isdigit() else 1) * count for first, count in held)
        alone = 0 if self._news_was_lost(action) else self._beats_alone(action)
        if learned < alone and not self.scene.goes():  # nobody tells a record of anything when Usher is gone
            self.broken(f"{alone} heartbeats were accepted without the table, {learned} are told", action)
        # By instance a pass holds, from the live state, also what it has just evaluated.
        spare = 0 if action.token else max(0, learned - alone)
        if events["answer"] + spare < len(told):
            self.broken(f"{len(told)} answers came, {events['answer']} are told", action)

    def _beats_alone(self, action: Action) -> int:
        """By how many invocations. As clocks differ, one at the very end seems to be after it.

        Two within seconds were woken by copies of one message, which count as one.
        """
        wait = self.scene.waits.of_token(action.token or "")
        ended_at = wait.ended_at if wait is not None else None
        beats = sorted(at for by, at in self._alone[action.id].items() if not by.faults)
        before = [None, *beats]
        return sum(
            (last is None or at - last > _COPIES) and (ended_at is None or at < ended_at - _AT_ONCE)
            for last, at in zip(before, beats, strict=False)
        )

    def _news_was_lost(self, action: Action) -> bool:
        """Whether a wake-up was lost by which the record would have learned of its heartbeats: seed 1540."""
        since, now = self._opened_at[action.id] - LONGEST_SKEW, self.scene.clock()
        met = (self.scene.faults.between(sent, since, now) for sent in self._news[_place(action)])
        return any(each.fault == Fault.WAKE_UP_LOST for of_one in met for each in of_one)

    def _had_time(self, action: Action, at: datetime) -> bool:
        """What others closed while an answer was on its way is told without it."""
        return action.closed_at is None or at < action.closed_at - timedelta(seconds=1) - LONGEST_SKEW


def _place(action: Action) -> tuple[str, str]:
    """By this, two records that have no token are one for Auto Scaling."""
    return action.instance_id, action.hook.name
