"""Bugs of conditions, signals and limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.bugs.bug import Bug
from usher.core import choice, decide, evidence, limits
from usher.core.action import Result
from usher.core.conditions import KINDS, command
from usher.core.conditions.combined import AnyOf, Not, Then
from usher.core.conditions.elapsed import Elapsed
from usher.core.conditions.probe import Probe
from usher.core.finding import ConditionStatus
from usher.evaluation.question_chain import Chains
from usher.questions import asking
from usher_simulator.trials.judge.in_time import InTime
from usher_simulator.trials.judge.never_early import NeverEarly
from usher_simulator.trials.judge.only_ours import OnlyOurs
from usher_simulator.trials.judge.started_once import StartedOnce

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.conditions.probe import Found
    from usher.core.conditions.verdict import Verdict


def _pending_is_done(hear: Any) -> Any:
    def heard(*given: Any) -> Found:
        found: Found = hear(*given)
        is_pending = found.status is ConditionStatus.PENDING and not found.go_on
        return replace(found, status=ConditionStatus.HOLDS) if is_pending else found

    return heard


def _not_turned(_: Any) -> Any:
    def said(self: Not, *given: Any) -> Verdict:
        return self.of.verdict(*given)

    return said


def _all_of_any(_: Any) -> Any:
    def said(self: AnyOf, *given: Any) -> Verdict:
        verdicts = [condition.verdict(*given) for condition in self.of]
        return next((each for each in verdicts if each.status is not ConditionStatus.HOLDS), verdicts[0])

    return said


def _last_stage_alone(_: Any) -> Any:
    def said(self: Then, *given: Any) -> Verdict:
        return self.stages[-1].verdict(*given)

    return said


def _half_of_it(verdict: Any) -> Any:
    def said(self: Elapsed, *given: Any) -> Verdict:
        found: Verdict = verdict(Elapsed(after=self.after / 2), *given)
        return found

    return said


def _of_any_name(_: Any) -> Any:
    def last_of(action: Any, name: str) -> Any:
        del name
        return action.signals[-1] if action.signals else None

    return last_of


def _no_progress(stalled_at: Any) -> Any:
    return lambda action: stalled_at(replace(action, progress_at=None))


def _twice(granted: Any) -> Any:
    def counted(sent: Any, action_id: str, most: int, within: timedelta, now: datetime) -> Any:
        return granted(sent, action_id, max(1, most // 2), within, now)

    return counted


def _stopped_whatever_it_is(_: Any) -> Any:
    return lambda action, now: action.stopped_at is not None and now is not None


def _dead_launches_go_on(word: Any) -> Any:
    def said(action: Any) -> Any:
        found = word(action)
        return (
            (Result.CONTINUE, found[1]) if found is not None and action.operator_result_by is None else found
        )

    return said


def _without(*forgotten: str) -> Any:
    """What a condition remembers of what it started is not all there when it asks again."""

    def made(ask: Any) -> Any:
        def asked(self: Any, action: Any, memory: Any, now: datetime) -> Any:
            return ask(self, action, {key: memory[key] for key in memory if key not in forgotten}, now)

        return asked

    return made


def _nothing_known(_: Any) -> Any:
    return lambda rules, facts, *, launch_failed: next(
        rule for rule in rules if rule.chosen_by({}, launch_failed=launch_failed and facts is not None)
    )


def _at_once(_: Any) -> Any:
    return lambda action: action.first_seen_at


_ASKED: Final = {kind: place for kind, place in KINDS.items() if issubclass(place, Probe)}
_UNSURE: Final = {
    kind: place for kind, place in _ASKED.items() if place.takes_two_answers is Probe.takes_two_answers
}
_early = partial(Bug, found_by=NeverEarly)
_late = partial(Bug, found_by=InTime)

BUGS: Final = (
    Bug(
        name="rules: chooses before EC2 has told anything",
        place=choice,
        attribute="choose_by",
        made=_at_once,
        found_by=OnlyOurs,
    ),
    Bug(
        name="rules: forgets what EC2 told",
        place=choice,
        attribute="_first",
        made=_nothing_known,
        found_by=OnlyOurs,
    ),
    _late(
        name="rules: never chooses",
        place=choice,
        attribute="made",
        made=lambda _: lambda action, _now: action,
    ),
    *(
        Bug(name=name, place=command.Command, attribute="ask", made=made, found_by=StartedOnce)
        for name, made in (
            ("command: sends again without an evaluation", _without("intended_at")),
            ("command: forgets that it was sent", _without("intended_at", command.COMMAND_ID)),
        )
    ),
    *(
        _early(
            name=f"{kind}: takes what is pending for done",
            place=place,
            attribute="hear",
            made=_pending_is_done,
        )
        for kind, place in _ASKED.items()
    ),
    *(
        _early(
            name=f"{kind}: believes a single answer",
            place=place,
            attribute="takes_two_answers",
            made=lambda _: False,
        )
        for kind, place in _UNSURE.items()
    ),
    _late(name="not: turns nothing round", place=Not, attribute="verdict", made=_not_turned),
    _late(name="any: waits for all", place=AnyOf, attribute="verdict", made=_all_of_any),
    _early(
        name="then: looks at the last stage alone", place=Then, attribute="verdict", made=_last_stage_alone
    ),
    _early(name="elapsed: counts twice as fast", place=Elapsed, attribute="verdict", made=_half_of_it),
    _late(name="begins no questions", place=Chains, attribute="begin", made=lambda _: lambda *_: None),
    _late(
        name="asks an hour later, whatever the condition says",
        place=asking,
        attribute="as_finding",
        made=lambda made: lambda *given: replace(made(*given), ask_again_at=given[-1] + timedelta(hours=1)),
    ),
    _early(name="hears a signal under any name", place=evidence, attribute="last_of", made=_of_any_name),
    _early(
        name="counts a signal for the next life of an instance",
        place=evidence,
        attribute="counts_since",
        made=lambda _: lambda action: action.started_at - timedelta(days=2),
    ),
    _early(
        name="stalls whatever progress there is", place=decide, attribute="_stalled_at", made=_no_progress
    ),
    _early(
        name="limits: counts nothing",
        place=limits,
        attribute="granted",
        made=lambda _: lambda sent, *_: (sent, None),
    ),
    _late(name="limits: counts each result twice", place=limits, attribute="granted", made=_twice),
    _early(
        name="takes a stopped instance for ended, whatever it does",
        place=decide,
        attribute="_is_stopped",
        made=_stopped_whatever_it_is,
    ),
    _early(
        name="lets a dead launch into service", place=decide, attribute="_word", made=_dead_launches_go_on
    ),
)
