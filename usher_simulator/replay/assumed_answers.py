"""What the probe conditions find in a replay: `usher replay --work-done`.

What AWS would have answered stands in no message. So a replay says that it is unknown, or it takes
one thing for the time at which the work was done: a captured outcome, a done signal, or a duration.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from usher.core import duration
from usher.core.action import Status
from usher.core.conditions.combined import Not
from usher.core.conditions.instance_facts import InstanceFacts, told
from usher.core.conditions.probe import Found, finding_of
from usher.core.finding import ConditionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from usher.core.action import Action, ActivityEnd, Signal
    from usher.core.conditions.instance_facts import Facts
    from usher.core.conditions.probe import Probe
    from usher.core.finding import Memory
    from usher_simulator.autoscaling.lifecycle_actions import Wait


class Source(StrEnum):
    """Which messages say when the work was done."""

    OUTCOME = "outcome"
    SIGNAL = "signal"


WorkDone: TypeAlias = Source | timedelta  # a duration counts from the start of the action
Instances: TypeAlias = "Mapping[str, Facts]"  # by id: what EC2 told of them
Finder: TypeAlias = "Callable[[Probe, Action, datetime], Found]"

NOT_IN_MESSAGES: Final = "not in the messages; try --work-done"
INSTANCE_NOT_TOLD: Final = "the messages do not tell the instance's zone, type and tags; try --instances"

_SECOND_ANSWER: Final = timedelta(seconds=1)  # is asked for at once, as nothing new can come
_LONGEST: Final = timedelta(hours=49)  # no action lasts longer
_ACTIVITY_SLACK: Final = timedelta(seconds=2)  # event times are whole seconds
_BEFORE_START: Final = timedelta(seconds=60)  # as usher.core.evidence counts signals


class AssumedProbing:
    """Implements usher.ports.conditions.Probing, and asks nobody."""

    def __init__(self, found: Finder, clock: Callable[[], datetime]) -> None:
        self._found = found
        self._clock = clock

    def probe(
        self,
        probe: Probe,
        action: Action,
        memory: Memory,  # noqa: ARG002 - a Probing, like the next two
        until: datetime,  # noqa: ARG002
        before_start: Callable[[Memory], None],  # noqa: ARG002
    ) -> Found:
        """See usher.ports.conditions.Probing. Nothing is started."""
        return self._found(probe, action, self._clock())


def nothing(probe: Probe, action: Action, now: datetime) -> Found:  # noqa: ARG001 - a Finder
    """Find that nobody knows."""
    return Found(status=ConditionStatus.UNKNOWN, detail=NOT_IN_MESSAGES, ask_again_after=_LONGEST)


def telling(instances: Instances, otherwise: Finder) -> Finder:
    """Find what is known of the instances; that no more will come to be known is known at once."""

    def found(probe: Probe, action: Action, now: datetime) -> Found:
        if not isinstance(probe, InstanceFacts):
            return otherwise(probe, action, now)
        facts = instances.get(action.instance_id)
        if facts is None:
            return Found.failed(INSTANCE_NOT_TOLD)
        return told(facts, {field for rule in action.policy.candidates for field in rule.facts})

    return found


def assuming(work_done: WorkDone, done_at: Mapping[str, datetime]) -> Finder:
    """Find that what a probe waits for begins when the work is done; `done_at` has when, by token."""

    def found(probe: Probe, action: Action, now: datetime) -> Found:
        at = done_at.get(action.token or "")
        if at is None:
            detail = f"no {work_done} of it is in the messages"
            return Found(status=ConditionStatus.UNKNOWN, detail=detail, ask_again_after=_LONGEST)
        done, turned = at <= now, _is_turned_round(probe, action)
        since = f"until {at:%H:%M:%S}" if turned else f"from {at:%H:%M:%S} on"
        holds = done != turned
        again_after = None if done else at - now
        return Found(
            status=ConditionStatus.HOLDS if holds else ConditionStatus.PENDING,
            detail=f"assumed {since} (--work-done {written(work_done)})",
            ask_again_after=again_after if _was_said(probe, action, holds=holds) else _SECOND_ANSWER,
        )

    return found


def _was_said(probe: Probe, action: Action, *, holds: bool) -> bool:
    """Whether the last answer was this one already: some conditions need two."""
    before = finding_of(probe, action)
    if not probe.takes_two_answers:
        return True
    if before is None:
        return False
    return before.confirmed_once or before.status is ConditionStatus.HOLDS if holds else before.denials > 0


def _is_turned_round(probe: Probe, action: Action) -> bool:
    """Under `not`, what is waited for is the end of it."""
    return any(isinstance(one, Not) and probe in one.leaves() for one in action.policy.until)


def written(work_done: WorkDone) -> str:
    """As the option has it."""
    return duration.written(work_done) if isinstance(work_done, timedelta) else str(work_done)


def times(
    work_done: WorkDone,
    waits: Sequence[Wait],
    activity_ends: Iterable[ActivityEnd],
    signals: Iterable[Signal],
) -> dict[str, datetime]:
    """When the work of each wait was done, by token; a wait of which nothing tells it is left out."""
    match work_done:
        case Source.OUTCOME:
            return _by_outcomes(waits, activity_ends)
        case Source.SIGNAL:
            return _by_signals(waits, signals)
        case _:
            return {wait.token: wait.started_at + work_done for wait in waits}


def _by_outcomes(waits: Sequence[Wait], activity_ends: Iterable[ActivityEnd]) -> dict[str, datetime]:
    of_instance: defaultdict[str, list[Wait]] = defaultdict(list)
    for wait in waits:
        of_instance[wait.instance_id].append(wait)
    found: dict[str, datetime] = {}
    for end in sorted(activity_ends, key=lambda end: end.ended_at):
        for wait in waits_of_move(of_instance[end.instance_id], end):
            found.setdefault(wait.token, end.ended_at)
    return found


def _by_signals(waits: Sequence[Wait], signals: Iterable[Signal]) -> dict[str, datetime]:
    """Whatever its name: the first done signal that a wait for it would have counted."""
    done: defaultdict[str, list[datetime]] = defaultdict(list)  # by token, or else by instance
    for signal in signals:
        if signal.status is Status.DONE:
            done[signal.token or signal.instance_id or ""].append(signal.at)
    found: dict[str, datetime] = {}
    for wait in waits:
        early = wait.started_at - _BEFORE_START
        heard = [*done[wait.token], *(at for at in done[wait.instance_id] if at >= early)]
        if heard:
            found[wait.token] = min(heard)
    return found


def waits_of_move(waits: Iterable[Wait], end: ActivityEnd) -> list[Wait]:
    """Of an instance's waits those of the move that began last before `end`, from and to the same places."""
    same = [
        wait
        for wait in waits
        if (wait.origin, wait.destination) == (end.origin, end.destination)
        and wait.started_at <= end.ended_at
        and wait.transition == end.transition
    ]
    if not same:
        return []
    last = max(wait.started_at for wait in same)
    since = last if end.started_at is None else min(last, end.started_at - _ACTIVITY_SLACK)
    return [wait for wait in same if wait.started_at >= since]
