"""Promise 6: what holds is acted on in time, whichever event was late, lost or doubled."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.action import Phase
from usher_simulator.trials import policy_model
from usher_simulator.trials.judge.cases import LIMITS, CaseChecker

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.trials.effects import Call
    from usher_simulator.trials.invocations import Invocation
    from usher_simulator.trials.judge.scene import Scene
    from usher_simulator.trials.policy_model import Case

_IN_TIME: Final = timedelta(minutes=4)  # two sweeps that find it, and a busy second


class InTime(CaseChecker):
    """A result is decided within minutes of the moment from which the policy lets go for sure."""

    promise = "6 level, not edge: in time"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._decided: defaultdict[str, list[tuple[datetime, str]]] = defaultdict(list)
        self._calls: list[datetime] = []  # of Usher

    def called(self, call: Call) -> None:
        """Each call of Usher's takes a slot of the call budget."""
        super().called(call)
        if call.invocation is not None:
            self._calls.append(call.at)

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """A decision shows how long it took."""
        super().stored(before, after, invocation)
        wait = self.wait_of(after)
        was_open = before is None or before.phase is Phase.OPEN
        if was_open and after.phase is Phase.COMPLETING:
            if wait is not None:
                self._check(after, wait)
            # What was forged counts against the limits, too.
            self._decided[self._limited(after)].append((self.scene.clock(), str(after.result)))

    def _limited(self, action: Action) -> str:
        """What shares the limits of its hook: the hook on all groups that its file selects."""
        group, name = action.hook.group, action.hook.name
        tags = self.scene.tags[group]
        hooks = [hook for file in self.scene.deployed for hook in file.hooks_on(group, name, tags)]
        return f"{name} of {sorted({str(hook['group']) for hook in hooks})}"

    def _check(self, action: Action, wait: Wait) -> None:
        then = self.scene.clock() - _IN_TIME
        if self.opened_at[action.id] > then or self._was_held_up(action, wait, then):
            return
        signals = [
            [each for each in said if self.kept_at[each.event_id] <= then] for said in self.said_to(wait)
        ]
        ordered_at = self.scene.words[action.id].ordered_at
        if ordered_at is None and self.released(wait):
            ordered_at = self.opened_at[action.id]
        has_slot = not self._has_no_slot(then)
        if ordered_at is not None and ordered_at <= then and has_slot:
            self.broken(f"{action.result} is decided only now; it was ordered {_IN_TIME} ago", action)
        cases = list(self.cases(action, wait, signals))
        if not has_slot or not self._has_room(action, then):
            return
        if cases and all(self._lets_go(case, then) for case in cases):
            self.broken(f"{action.result} is decided only now; the policy let go {_IN_TIME} ago", action)

    def _lets_go(self, case: Case, then: datetime) -> bool:
        """Whether it lets go for sure: by the longest patience, and by what AWS had to answer."""
        is_told = case.operator_result_by or case.is_held or case.extended_to or case.has_ended
        if is_told or case.takes_turns:
            return False
        answers = self.scene.asked.sure(case.answers)
        case = replace(
            case,
            timeouts=frozenset({max(case.timeouts)}),
            started_at=case.started_at + case.unsure_later,
            unsure=timedelta(0),
            unsure_later=timedelta(0),
            limit_unsure=timedelta(0),
            answers=answers,
            is_limited=False,
        )
        before = then - timedelta(seconds=10)
        stands = [
            policy_model.possible(each, case, at) for each in case.policy["until"] for at in (before, then)
        ]
        is_sure = all(len(each) == 1 for each in stands)
        return is_sure and bool(policy_model.by_policy(case, before))

    def _has_room(self, action: Action, then: datetime) -> bool:
        """Whether the limits of its hook had room for its result all the time since then."""
        terms = self.terms_of(action)
        if terms and any(terms.limits) and len(self.scene.deployed) > 1:
            return False  # whose results count together changes with the file
        for limits in terms.limits if terms else ():
            for name, within, counted in LIMITS:
                since = then - within - _IN_TIME
                lately = [at for at, each in self._decided[self._limited(action)] if each in counted]
                # Whatever its result: an earlier one that it wanted may have been held back.
                if sum(at > since for at in lately) >= limits.get(name, 10**6):
                    return False
        return True

    def _has_no_slot(self, then: datetime) -> bool:
        """Whether the calls since then, and its own, filled the call budget: heartbeats go first."""
        lately = len(self._calls) - bisect_left(self._calls, then)
        return lately + 1 >= self.scene.calls_per_second * _IN_TIME.total_seconds()

    def _was_held_up(self, action: Action, wait: Wait, then: datetime) -> bool:
        since = then - _IN_TIME
        # A sweep that was cut off may have put off what it was about to send.
        met = [
            each
            for who in (action.id, "sweep")
            for each in self.scene.faults.between(who, since, self.scene.clock())
        ]
        held_until = self.scene.words[action.id].held_until
        is_held = held_until is not None and held_until > since
        return bool(met) or is_held or self.scene.was_paused(wait.hook, since)
