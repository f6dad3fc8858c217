"""One action as it is known from outside at a moment: what the model of the policies is asked about."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Final

from usher_simulator.trials.judge.known_waits import WaitChecker
from usher_simulator.trials.policy_model import Case

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from usher.core.action import Action, Signal
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.trials.invocations import Invocation
    from usher_simulator.trials.judge.scene import Scene
    from usher_simulator.trials.judge.terms import Terms
    from usher_simulator.trials.policy_model import Said

_BEFORE_START: Final = timedelta(seconds=60)
_SHORTEST: Final = timedelta(seconds=30)  # heartbeat timeout
_PLAIN: Final = ("terminating", "AutoScalingGroup", "EC2")
_CLOCKS: Final = timedelta(seconds=2)  # event times are whole seconds, and clocks differ
_BEGINS: Final = timedelta(seconds=3)  # a message may be dated so long before the wait begins
_ADOPTED: Final = timedelta(minutes=3)  # an activity begins so much before the wait, at most

# The limits of a hook: within what time they count, and which results.
LIMITS: Final = (
    ("abandon_per_hour", timedelta(hours=1), ("ABANDON",)),
    ("complete_per_minute", timedelta(minutes=1), ("CONTINUE", "ABANDON")),
)


class CaseChecker(WaitChecker):
    """Knows the signals that were kept, and makes the cases of an action."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._kept: defaultdict[str, dict[str, Said]] = defaultdict(dict)  # by instance, or by token
        self.kept_at: dict[str, datetime] = {}  # by event id
        self._ended: set[str] = set()  # instances of which it is durable that EC2 ended them
        self._adopted: set[str] = set()

    def kept(self, signal: Signal) -> None:
        """A signal counts from when it is durable, and as it was sent, not as it was read."""
        said = self.scene.sent.get(signal.event_id)
        if said is None:
            return
        self.kept_at.setdefault(said.event_id, self.scene.clock())
        for place in filter(None, (said.token, said.instance_id)):
            self._kept[place].setdefault(said.event_id, said)

    def ended(self, instance_id: str) -> None:
        """It counts from when it is durable, and if it is true."""
        if instance_id in self.scene.ended_in_ec2:
            self._ended.add(instance_id)

    def has_ended(self, wait: Wait) -> bool:
        """Whether it is durable by now that EC2 ended its instance."""
        return wait.instance_id in self._ended

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """A record that is opened without a token is adopted; its notification may come later."""
        super().stored(before, after, invocation)
        if before is None and after.token is None:
            self._adopted.add(after.id)

    def adopted(self, action: Action) -> bool:
        """Whether a record was opened without a notification."""
        return action.id in self._adopted

    def _unsure(self, action: Action, terms: Terms) -> timedelta:
        """How much earlier it may have begun for Usher: one that was adopted, with its activity.

        With one that began before its last heartbeat timeout only where that is known to be longer.
        """
        if not self.adopted(action):
            return _BEGINS
        return _ADOPTED + min(self.scene.drains_for, max(terms.timeouts))

    def _limit_unsure(self, action: Action, wait: Wait, terms: Terms) -> timedelta:
        """How much earlier its global timeout may have begun: of one that was adopted, with its activity.

        Not where it would have ended before the adoption.
        """
        begins = wait.started_at - self.scene.drains_for
        is_over = begins + 100 * min(terms.timeouts) + _ADOPTED < self.opened_at[action.id]
        return timedelta(0) if is_over or not self.adopted(action) else _ADOPTED + self.scene.drains_for

    def _unsure_later(self, action: Action, wait: Wait) -> timedelta:
        """How much later it may have begun for Usher: one that was adopted, when it was."""
        late = self.opened_at[action.id] + _CLOCKS - wait.started_at
        return max(late, timedelta(0)) if self.adopted(action) else timedelta(0)

    def _may_be_let_through(self, wait: Wait, terms: Terms) -> bool:
        """Whether Usher goes, or its hook was out of the file, or of the tags, when it began."""
        since = [terms.gone_since]
        if any(not isinstance(hook["group"], str) for _, hook in terms.hooks):
            since.append(self.scene.untagged.get(wait.group))
        return self.scene.goes() or any(at and wait.started_at > at - _CLOCKS for at in since)

    def _set_by_others(self, wait: Wait) -> frozenset[timedelta]:
        """Of what stands the smallest counts, whoever has put it: so an action may be decided earlier."""
        return frozenset({_SHORTEST} if self.is_set_by_others(wait) else ())

    def said_to(self, wait: Wait) -> list[list[Said]]:
        """The signals that are kept and count for an action: all that may, and those that do for sure.

        The times of signals are whole seconds, and clocks differ. Of a wait before that has no record, since
        its notifications were lost, nobody knows what ended it.
        """
        known = {**self._kept[wait.instance_id], **self._kept[wait.token]}.values()
        before = [
            one
            for one in self.scene.waits.of_instance(wait.instance_id)
            if (one.group, one.hook) == (wait.group, wait.hook) and one.started_at < wait.started_at
        ]
        recorded = [one for one in before if self.records_of(one)]
        return [
            [said for said in known if self._counts(said, wait, recorded, -_CLOCKS)],
            [said for said in known if self._counts(said, wait, before, 2 * _CLOCKS)],
        ]

    def _counts(self, said: Said, wait: Wait, before: Iterable[Wait], blur: timedelta) -> bool:
        """By token for it alone; else where it was open then, or began at most a minute later.

        What ended a wait `before` in the same hook counts no more.
        """
        if said.token is not None:
            return said.token == wait.token
        ends = (min(one.ended_at, wait.started_at) for one in before if one.ended_at is not None)
        since = max([wait.started_at - _BEFORE_START, *ends])
        return said.at >= since + blur

    def cases(self, action: Action, wait: Wait, signals: Iterable[Sequence[Said]]) -> Iterator[Case]:
        """The action under each policy that may be its own, with each of the `signals`."""
        known, scene = [list(each) for each in signals], self.scene
        if self.adopted(action):
            # Nobody can say when it began: what was said since its activity did may count.
            of_instance = self._kept[wait.instance_id].values()
            earliest = wait.started_at - scene.drains_for - _ADOPTED
            known.append([said for said in of_instance if said.at >= earliest])
            # What names only a token belongs to no record that has none.
            known += [[said for said in each if said.instance_id is not None] for each in known]
        for each in known:
            yield from self._cases(action, wait, each)

    def released(self, wait: Wait) -> str | None:
        """The result of a termination that began after an operator's order to let its instance go."""
        ordered_at = self.scene.released.get(wait.instance_id)
        is_next = ordered_at is not None and wait.started_at >= ordered_at
        return "CONTINUE" if is_next and wait.transition == "terminating" else None

    def _cases(self, action: Action, wait: Wait, signals: Sequence[Said]) -> Iterator[Case]:
        terms = self.terms_of(action)
        words, scene = self.scene.words[action.id], self.scene
        if terms is None:
            return
        move = (wait.transition, wait.origin, wait.destination)
        policies = scene.policies(action, wait, terms)
        for policy, default in product(policies, sorted({wait.default_result, *terms.defaults})):
            yield Case(
                policy=policy,
                transition=wait.transition,
                default_result=default,
                started_at=wait.started_at,
                timeouts=terms.timeouts | self._set_by_others(wait),
                signals=signals,
                answers=scene.asked.answers(wait, self.opened_at[action.id]),
                operator_result_by=words.operator_result_by or self.released(wait),
                is_held=words.is_held,
                extended_to=words.extended_to,
                may_be_stopped=move == _PLAIN and wait.instance_id in scene.stopped,
                has_ended=self.has_ended(wait),
                may_be_let_through=self._may_be_let_through(wait, terms),
                is_limited=any(terms.limits),
                takes_turns=any("at_once" in limits for limits in terms.limits),
                unsure=self._unsure(action, terms),
                unsure_later=self._unsure_later(action, wait),
                limit_unsure=self._limit_unsure(action, wait, terms),
            )
