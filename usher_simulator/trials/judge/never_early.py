"""Promise 2: no result is sent before its time, nor more of them than the limits of a hook allow."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.action import Phase
from usher_simulator.trials import policy_model
from usher_simulator.trials.judge import turns
from usher_simulator.trials.judge.cases import LIMITS, CaseChecker
from usher_simulator.trials.judge.scene import COMPLETE
from usher_simulator.trials.judge.turns import TurnsTaken

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher.ports.records import Evidence
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.trials.effects import Call
    from usher_simulator.trials.invocations import Invocation
    from usher_simulator.trials.judge.scene import Scene
    from usher_simulator.trials.judge.terms import Terms
    from usher_simulator.trials.policy_model import Case, Said

_WORK: Final = timedelta(seconds=20)  # from when a result was granted until it is stored, and clocks
_IN_FLIGHT: Final = timedelta(seconds=60)  # an invocation knows nothing of a pause that begins after it


@dataclass(frozen=True, kw_only=True, slots=True)
class _Heard:
    """What an evaluation knows of an instance, and by its own clock when."""

    at: datetime
    signals: list[list[Said]]
    has_ended: bool


class NeverEarly(CaseChecker):
    """Each result is one that the policy allows at the moment of the decision, by the oracle."""

    promise = "2 never early"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._heard: dict[tuple[str, int], _Heard] = {}
        self._turns = TurnsTaken()
        self._reopened: set[str] = set()
        self._read_at: dict[tuple[str, int], datetime] = {}
        # By hook, group, and what the hook selects; in the minute of a deploy it may be either.
        self._decided: defaultdict[tuple[str, str, str], list[tuple[datetime, str]]] = defaultdict(list)

    def read(self, action: Action, invocation: Invocation | None) -> None:
        """An evaluation takes the time before it reads the record."""
        if invocation is not None and invocation.reads_since is not None:
            self._read_at[action.id, invocation.number] = invocation.reads_since + invocation.skew

    def heard(self, action: Action, evidence: Evidence, invocation: Invocation | None) -> None:
        """This is when an evaluation knows all that it will decide on."""
        del evidence
        wait = self.wait_of(action)
        if wait is not None and action.is_open:
            number = invocation.number if invocation else 0
            self._heard[action.id, number] = _Heard(
                at=self._local(invocation),
                signals=self.said_to(wait),
                has_ended=self.has_ended(wait),
            )

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """A decision is made when it is stored."""
        super().stored(before, after, invocation)
        if before is not None and after.is_open and not before.is_open:
            self._reopened.add(after.id)
        wait = self.wait_of(after)
        was_open = before is None or before.phase is Phase.OPEN
        if was_open and after.phase is Phase.COMPLETING and wait is not None:
            self._check(after, wait, invocation)

    def _check(self, after: Action, wait: Wait, invocation: Invocation | None) -> None:
        heard = self._heard.get((after.id, invocation.number if invocation else 0))
        if heard is None:
            self.broken(f"{after.result} was decided without a look at what was heard", after)
            return
        cases = [replace(case, has_ended=heard.has_ended) for case in self.cases(after, wait, heard.signals)]
        read_at = self._read_at.get((after.id, invocation.number if invocation else 0), heard.at)
        moments = (read_at, heard.at, self._local(invocation))
        fine = {result for case in cases for at in moments for result in policy_model.permitted(case, at)}
        if str(after.result) not in fine:
            self.broken(f"{after.result} was decided ({after.reason}); the policy lets {sorted(fine)}", after)
        self._check_limits(after, wait, cases)

    def _check_limits(self, after: Action, wait: Wait, cases: list[Case]) -> None:
        """What the policy itself decides counts, up to its last moment."""
        now, result = self.scene.clock(), str(after.result)
        terms = self.terms_of(after)
        if terms is None or any(
            case.operator_result_by
            or case.has_ended
            or policy_model.may_end_stopped(case)
            or case.may_be_let_through
            or now >= policy_model.decides_by(case) - _WORK
            for case in cases
        ):
            return
        self._check_turns(after, wait, cases, terms)
        (of_hook := self._decided[wait.hook, wait.group, terms.selected]).append((now, result))
        for name, within, counted in LIMITS:
            most = max((limits.get(name, 10**6) for limits in terms.limits), default=10**6)
            lately = [at for at, each in of_hook if each in counted and at > now - within + _WORK]
            if result in counted and len(lately) > most:
                self.broken(f"{len(lately)} results in {within}, against {name}: {most}", after)

    def _check_turns(self, after: Action, wait: Wait, cases: list[Case], terms: Terms) -> None:
        """What was reopened had begun before, and has no place any more."""
        most = max((limits.get("at_once", 10**6) for limits in terms.limits), default=10**6)
        stretch = turns.stretch(cases, str(after.result), self.scene.clock(), after.began_at)
        if stretch is None or after.id in self._reopened:
            return
        begun = self._turns.at_once(wait.hook + " of " + wait.group, stretch)
        if begun > most:
            self.broken(f"{begun} had begun at once, against at_once: {most}", after)

    def called(self, call: Call) -> None:
        """No result goes out while its hook is paused."""
        super().called(call)
        wait = self.wait_of_call(call) if call.operation == COMPLETE else None
        began_at = call.at - _IN_FLIGHT
        for each in self.scene.paused if wait else ():
            if wait and each.hook in (wait.hook, "*") and each.since < began_at and each.until is None:
                self.broken(f"a result was sent for {wait.token} while {each.hook} is paused")

    def _local(self, invocation: Invocation | None) -> datetime:
        return self.scene.clock() + (invocation.skew if invocation else timedelta(0))
