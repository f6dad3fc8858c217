"""What a policy lets go of, worked out anew from its words in the hooks file: the measure for promise 2.

Nothing here comes from the code that it is held against: not the conditions, not the deadlines, not the
record. What an answer said that Usher was given cannot be known from outside, only which answers were
possible: so each condition has the standings that it may have, and a policy the results that it may allow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    Written: TypeAlias = "Mapping[str, Any]"  # a policy or a condition, as the hooks file has it

_UNITS: Final = {"h": 3600, "m": 60, "s": 1}
_LONGEST: Final = timedelta(hours=48)
_RANKS: Final = ("progress", "done", "failed")  # of equal times


class PossibleStatus(StrEnum):
    """How a condition stands. Nothing follows from what is unknown, not even for a `not`."""

    HOLDS = "holds"
    PENDING = "pending"
    UNKNOWN = "unknown"
    FAILED = "failed"


Possible: TypeAlias = "frozenset[PossibleStatus]"


class Answers(Protocol):
    """What AWS may have answered of the conditions of one lifecycle action that ask it."""

    def at(self, condition: Written, now: datetime) -> Possible:
        """How a condition may stand by the answers that count at `now`."""
        ...

    def held(self, condition: Written, now: datetime) -> bool:
        """Whether any answer up to `now` may have said that it holds."""
        ...


class Unasked:
    """Implements Answers: nobody has asked."""

    def at(self, condition: Written, now: datetime) -> Possible:  # noqa: ARG002 - as Answers
        """See Answers."""
        return frozenset({PossibleStatus.UNKNOWN})

    def held(self, condition: Written, now: datetime) -> bool:  # noqa: ARG002 - as Answers
        """See Answers."""
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """A signal as it was sent. `status` is done, failed or progress."""

    event_id: str
    name: str
    status: str
    at: datetime
    instance_id: str | None = None
    token: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One lifecycle action, as far as it is known from outside when an evaluation decides on it.

    `timeouts`: the heartbeat timeouts that its hook may be known with.
    """

    policy: Written
    transition: str
    default_result: str
    started_at: datetime
    timeouts: frozenset[timedelta]
    signals: Sequence[Said] = ()  # that count for it
    answers: Answers = field(default_factory=Unasked)
    operator_result_by: str | None = None  # an operator's result
    is_held: bool = False
    extended_to: datetime | None = None
    has_ended: bool = False  # EC2 has ended the instance
    may_be_stopped: bool = False
    may_be_let_through: bool = False
    is_limited: bool = False
    takes_turns: bool = False  # it may begin its `until` late: nobody outside knows when
    unsure: timedelta = timedelta(0)  # how much earlier it may have begun, as Usher knows it
    unsure_later: timedelta = timedelta(0)  # and how much later
    limit_unsure: timedelta = timedelta(0)  # how much earlier its global timeout may have begun


def permitted(case: Case, now: datetime) -> set[str]:
    """The results that may be decided at `now`; none while the action is to wait."""
    if case.operator_result_by is not None:
        return {case.operator_result_by}
    let_through = {"CONTINUE"} if case.may_be_let_through else set()
    if case.has_ended:
        return {"ABANDON" if case.transition == "launching" else "CONTINUE"}
    if case.is_held and now < decides_by(case):
        return let_through
    return let_through | ({"CONTINUE"} if may_end_stopped(case) else set()) | by_policy(case, now)


def may_end_stopped(case: Case) -> bool:
    """Whether its instance may count as ended because EC2 says that it is stopped."""
    return case.may_be_stopped and case.policy.get("when_stopped", "end") == "end"


def by_policy(case: Case, now: datetime) -> set[str]:
    """What the policy alone allows."""
    policy = case.policy
    stands = [possible(condition, case, now) for condition in policy["until"]]
    results: set[str] = set()
    if any(PossibleStatus.FAILED in each for each in stands):
        results.add(policy.get("on_failure", "ABANDON"))
    if all(PossibleStatus.HOLDS in each for each in stands):
        results.add(policy.get("on_success", "CONTINUE"))
    is_sure = all(each == {PossibleStatus.HOLDS} for each in stands) or any(
        each == {PossibleStatus.FAILED} for each in stands
    )
    if is_sure and not case.is_limited:
        return results
    if now >= gives_up_at(case) or (case.is_limited and now >= decides_by(case)):
        results.add(policy.get("on_give_up") or case.default_result)
    if "stalled_after" in policy and now >= _last_progress(case) + seconds(policy["stalled_after"]):
        results.add(policy.get("on_failure", "ABANDON"))
    return results


def gives_up_at(case: Case) -> datetime:
    """When the patience of the policy ends, at the earliest: before the global timeout, whatever it says."""
    if case.extended_to is not None:
        return min(case.extended_to, decides_by(case))
    patience = seconds(case.policy["give_up_after"]) if "give_up_after" in case.policy else None
    ends = [min(patience or limit - min(limit / 20, timedelta(minutes=10)), limit) for limit in _limits(case)]
    return min(case.started_at - case.unsure + min(ends), decides_by(case))


def decides_by(case: Case) -> datetime:
    """The last moment at which Usher may wait, at the earliest: the global timeout less a margin."""
    lasts = [min(_LONGEST, 100 * each) - max(timedelta(seconds=10), each / 12) for each in case.timeouts]
    return case.started_at - max(case.unsure, case.limit_unsure) + min(lasts)


def _limits(case: Case) -> list[timedelta]:
    return [min(_LONGEST, 100 * each) for each in case.timeouts]


def seconds(written: str) -> timedelta:
    """A duration as a hooks file has it."""
    parts = re.findall(r"(\d+)([hms])", written)
    return timedelta(seconds=sum(int(count) * _UNITS[unit] for count, unit in parts))


# Conditions


def possible(condition: Written, case: Case, now: datetime) -> Possible:
    """How a condition may stand at `now`."""
    if "then" in condition:
        return _in_turn(_stages(condition), case, now)
    (kind, value), *_ = condition.items()
    match kind:
        case "elapsed":
            return _elapsed(case, case.started_at + seconds(value), now)
        case "signal":
            return frozenset({_signalled(value, case)})
        case "any":
            parts = [possible(each, case, now) for each in value]
            return frozenset(_any_of(each) for each in product(*parts))
        case "not":
            return frozenset(_turned(each) for each in possible(value, case, now))
        case _:
            return case.answers.at(condition, now)


def _stages(condition: Written) -> list[Written]:
    first = {key: value for key, value in condition.items() if key != "then"}
    then = condition["then"]
    return [first, *(then if isinstance(then, list) else [then])]


def _in_turn(stages: Sequence[Written], case: Case, now: datetime) -> Possible:
    """Each in its turn: the last one says it holds, and none before it may be passed over."""
    stands: set[PossibleStatus] = set()
    for stage in stages:
        here = possible(stage, case, now)
        stands |= here - {PossibleStatus.HOLDS}
        if PossibleStatus.HOLDS not in here and not _has_held(stage, case, now):
            return frozenset(stands)
        if PossibleStatus.HOLDS not in here:  # it had held, and the next one was asked
            stands.add(PossibleStatus.PENDING)
    return frozenset(stands | ({PossibleStatus.HOLDS} if PossibleStatus.HOLDS in here else set()))


def _has_held(condition: Written, case: Case, now: datetime) -> bool:
    """Whether it may have held earlier. A signal that was done may have failed since."""
    (kind, value), *_ = condition.items()
    if kind == "signal":
        return any(said.name == value and said.status == "done" for said in case.signals)
    return kind != "elapsed" and case.answers.held(condition, now)


def _elapsed(case: Case, over_at: datetime, now: datetime) -> Possible:
    pending = {PossibleStatus.PENDING} if now < over_at + case.unsure_later else set()
    holds = {PossibleStatus.HOLDS} if now >= over_at - case.unsure else set()
    return frozenset(pending | holds)


def _any_of(stands: Iterable[PossibleStatus]) -> PossibleStatus:
    found = set(stands)
    if PossibleStatus.HOLDS in found:
        return PossibleStatus.HOLDS
    if found == {PossibleStatus.FAILED}:
        return PossibleStatus.FAILED
    return PossibleStatus.UNKNOWN if PossibleStatus.UNKNOWN in found else PossibleStatus.PENDING


def _turned(stands: PossibleStatus) -> PossibleStatus:
    if stands is PossibleStatus.UNKNOWN:
        return stands
    return PossibleStatus.PENDING if stands is PossibleStatus.HOLDS else PossibleStatus.HOLDS


def _signalled(name: str, case: Case) -> PossibleStatus:
    said = [each for each in case.signals if each.name == name]
    if not said:
        return PossibleStatus.PENDING
    last = max(said, key=lambda each: (each.at, _RANKS.index(each.status), each.event_id))
    return {
        "done": PossibleStatus.HOLDS,
        "failed": PossibleStatus.FAILED,
        "progress": PossibleStatus.PENDING,
    }[last.status]


def _last_progress(case: Case) -> datetime:
    """Any word that the policy hears is progress; of these the last, or the beginning."""
    names = signals_in(case.policy["until"])
    heard = [each.at for each in case.signals if each.status == "progress" or each.name in names]
    return max([case.started_at - case.unsure, *heard])


def signals_in(conditions: Iterable[Written]) -> set[str]:
    """The names of the signals that conditions wait for, inside of combinations too."""
    found: set[str] = set()
    for condition in conditions:
        for kind, value in condition.items():
            if kind == "signal":
                found.add(value)
            elif kind in ("any", "not", "then"):
                found |= signals_in(value if isinstance(value, list) else [value])
    return found
