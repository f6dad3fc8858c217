"""What every condition promises that asks AWS, whoever wrote it: by the SAMPLES that stand in its test."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.aws_shapes import ShapedCalls
from tests.conditions import (
    ASKED,
    BUSY,
    FAILED,
    HOLDS,
    INSTANCE,
    PENDING,
    SILENT,
    UNKNOWN,
    Sample,
    Watch,
    answering,
    operations,
    parsed,
    refused,
    samples_of,
)
from tests.factories import START, a_policy, an_action, at
from usher.core.conditions.probe import Found, Reply, ReplyKind
from usher_simulator.trials.condition_truths import CONDITIONS, kinds_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from tests.conditions import Answers
    from usher.core.conditions.probe import Call, Probe
    from usher.core.finding import ConditionStatus, Memory

SAMPLES: Final[Sequence[Sample]] = [sample for kind in ASKED for sample in samples_of(kind)]
IAM: Final = {"elbv2": "elasticloadbalancing", "Invoke": "InvokeFunction"}  # where it calls it otherwise
HERE: Final = {"partition": "aws", "region": "us-east-1", "account": "123456789012"}
LATE: Final = at(720)  # no condition of the samples waits so long for anything
MOST_STEPS: Final = 16  # with other memories, to one operation
OTHER_SHAPES: Final[Sequence[Any]] = (None, {}, [], "?", 5, True)
A_WHILE: Final = 12  # questions, after which nothing new comes

of_each = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.condition.name)
of_each_unsure = pytest.mark.parametrize(
    "sample",
    [sample for sample in SAMPLES if sample.condition.takes_two_answers],
    ids=lambda sample: sample.condition.name,
)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A call that the condition comes to make, and with which memory."""

    memory: Memory
    call: Call
    now: datetime

    @property
    def known(self) -> Memory:
        """What stands stored when the call is made."""
        return self.memory if self.call.intent is None else self.call.intent

    def heard(self, condition: Probe, reply: Reply) -> Found:
        """What the condition makes of a reply, an answer being reduced to what it says of the member."""
        shared = self.call.shared
        if shared is not None and reply.kind is ReplyKind.ANSWERED:
            reply = replace(reply, data=shared.reduced(reply.data).get(shared.member))
        return condition.hear(an_action(), self.known, self.call, reply, self.now)


@cache
def steps(sample: Sample) -> Sequence[Step]:
    """The calls that the condition comes to make, whatever its samples answer, and at each silence."""
    condition, found, seen, calls = sample.condition, [], set(), Counter[str]()
    states: list[tuple[Memory, datetime]] = [({}, START), ({}, LATE)]
    for memory, now in states:
        step = Step(memory=memory, call=condition.ask(an_action(), memory, now), now=now)
        shape = re.sub(r"[\d:.+-]+", "", json.dumps([memory, step.call.operation], sort_keys=True))
        if (shape, now < LATE) in seen or calls[step.call.operation] == MOST_STEPS:
            continue
        seen.add((shape, now < LATE))
        calls[step.call.operation] += 1
        found.append(step)
        for reply in (*replies(sample, step.call.operation), SILENT):
            after = step.heard(condition, reply)
            left = json.loads(json.dumps(dict(after.memory)))
            due = now if after.go_on else now + (after.ask_again_after or timedelta(seconds=20))
            states += [(left, due), (left, LATE)] if due < LATE else [(left, due)]
    return found


def replies(sample: Sample, operation: str) -> Iterator[Reply]:
    """All that the samples answer to an operation."""
    for answers in sample.answers:
        answer = answers.get(operation)
        if isinstance(answer, Reply):
            yield answer
        elif answer is not None:
            yield Reply(kind=ReplyKind.ANSWERED, data=answer)


@dataclass
class Told:
    """AWS as one is told, who may be told otherwise later."""

    answers: Answers | None

    def __call__(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | Reply:
        assert isinstance(parameters, dict)
        return BUSY if self.answers is None else self.answers[operation]


def after_a_while(watch: Watch) -> ConditionStatus:
    """How it stands, asked again and again when it is due."""
    for _ in range(A_WHILE):
        finding = watch.recorded_when_due()
        if finding.ask_again_at is None:
            break
    return finding.status


# How it is written


@pytest.mark.parametrize("kind", ASKED)
def test_each_kind_has_samples_and_is_asked_in_the_trials(kind: str) -> None:
    assert kind in {next(iter(sample.written)) for sample in SAMPLES}
    drawn = {name for transition in ("launching", "terminating") for name in kinds_of(transition)}
    assert kind in {next(iter(CONDITIONS[name])) for name in drawn}, "see condition_truths.py of the trials"


def test_equal_conditions_have_equal_names_and_others_have_others() -> None:
    for one, other in combinations(SAMPLES, 2):
        assert (one.condition.name == other.condition.name) == (one.condition == other.condition)


@of_each
def test_its_name_and_its_words_begin_with_its_kind(sample: Sample) -> None:
    kind = next(iter(sample.written))
    assert sample.condition == sample.condition
    assert hash(sample.condition) == hash(sample.condition)
    assert sample.condition.name.startswith(f"{kind} ")
    assert sample.condition.in_words.startswith(f"{kind} ")


@of_each
def test_one_that_starts_something_cannot_be_turned_round(sample: Sample) -> None:
    _, problems = parsed({"not": dict(sample.written)})
    assert ["starts something" in problem.rule for problem in problems] == [True] * sample.condition.starts
    assert sample.condition.starts == any(step.call.intent is not None for step in steps(sample))


# What it asks


@of_each
def test_it_comes_to_make_every_call_that_is_answered_and_no_other(sample: Sample) -> None:
    """And each of a shape that AWS takes, with a memory that can be stored."""
    answered = {operation for answers in sample.answers for operation in answers}
    assert {step.call.operation for step in steps(sample)} == answered
    for step in steps(sample):
        answer = next(replies(sample, step.call.operation))
        ShapedCalls(lambda *_, answer=answer: answer).make(step.call, ["x"] * (step.call.shared is not None))
        assert json.loads(json.dumps(dict(step.known))) == step.known


@of_each
def test_it_is_given_the_rights_that_its_calls_need_and_no_others(sample: Sample) -> None:
    calls = {
        f"{IAM.get(step.call.service, step.call.service)}:{IAM.get(step.call.operation, step.call.operation)}"
        for step in steps(sample)
    }
    assert calls == {action for each in sample.condition.permissions for action in each.actions}
    for resource in (resource for each in sample.condition.permissions for resource in each.resources):
        assert resource == "*" or re.fullmatch(r"arn:aws:[a-z0-9]+(:[^:]*){2}:.+", resource.format(**HERE))


@of_each
def test_with_a_memory_in_which_nothing_is_its_own_it_begins_anew(sample: Sample) -> None:
    first = sample.condition.ask(an_action(), {}, START)
    anew = sample.condition.ask(an_action(), {"of a newer release": [1]}, START)
    assert (anew.operation, anew.parameters) == (first.operation, first.parameters)


@of_each
def test_in_observe_mode_it_starts_nothing_and_says_what_it_would(sample: Sample) -> None:
    action = an_action(policy=a_policy([sample.written], mode="observe"))
    starts = {step.call.operation for step in steps(sample) if step.call.intent is not None}
    told = set()
    for answers in sample.answers:
        calls = answering(answers)
        asked = Watch(sample.condition, calls, action)
        told |= {asked.recorded_when_due().detail for _ in range(A_WHILE)}
        assert asked.started == []
        assert starts.isdisjoint(operations(calls))
    assert {detail for detail in told if detail.startswith("observe mode")} == {
        f"observe mode: would call {operation}" for operation in starts
    }


# What it reads from the answers


@of_each
def test_it_stands_as_aws_says_and_holds_once_that_says_so(sample: Sample) -> None:
    told = Told(sample.pending(INSTANCE))
    asked = Watch(sample.condition, ShapedCalls(told))
    assert after_a_while(asked) is PENDING
    told.answers = sample.holds(INSTANCE)
    assert after_a_while(asked) is HOLDS
    if sample.fails is not None:
        assert after_a_while(Watch(sample.condition, answering(sample.fails))) is FAILED


@of_each
def test_what_is_said_of_others_says_nothing_of_its_instance(sample: Sample) -> None:
    if sample.of_another is not None:
        answers, status = sample.of_another
        assert after_a_while(Watch(sample.condition, answering(answers))) is status


@of_each
def test_where_something_does_not_exist_it_has_failed(sample: Sample) -> None:
    for operation, code in sample.missing:
        step = next(step for step in steps(sample) if step.call.operation == operation)
        found = step.heard(sample.condition, refused(code))
        assert (found.status, f"does not exist: {code}" in found.detail) == (FAILED, True)


@of_each
@pytest.mark.parametrize(
    "reply", [BUSY, refused("SomethingNew")], ids=["busy", "refused for no known reason"]
)
def test_no_answer_is_unknown_and_forgets_nothing(sample: Sample, reply: Reply) -> None:
    for step in steps(sample):
        found = step.heard(sample.condition, reply)
        if step.call.operation not in sample.told_only:
            assert (found.status, found.go_on, found.memory) == (UNKNOWN, False, step.known)
            assert reply.text in found.detail


@of_each
def test_silence_is_unknown_and_not_even_often_does_it_hold(sample: Sample) -> None:
    for step in steps(sample):
        found = step.heard(sample.condition, SILENT)
        if step.call.operation not in sample.told_only:
            assert found.status is UNKNOWN or "errors in a row" in found.detail


@of_each
def test_an_answer_of_another_shape_is_unknown(sample: Sample) -> None:
    """But where the answer before it has said already what is left to wait for."""
    asked: set[str] = set()
    for step in steps(sample):
        for data in OTHER_SHAPES if step.call.operation not in sample.told_only else ():
            found = step.heard(sample.condition, Reply(kind=ReplyKind.ANSWERED, data=data))
            is_first = step.call.operation not in asked
            assert found.status is UNKNOWN or (found.status is PENDING and not is_first), data
            assert found.detail or found.go_on
        asked.add(step.call.operation)


@of_each
def test_an_answer_that_lacks_something_or_has_it_in_another_shape_makes_nothing_hold(sample: Sample) -> None:
    """Whatever stands in it, however deep: it is read, and what did not hold does not."""
    pending = sample.pending(INSTANCE)
    for step in steps(sample):
        answer = pending.get(step.call.operation)
        for data in damaged(answer) if answer is not None and not isinstance(answer, Reply) else ():
            found = step.heard(sample.condition, Reply(kind=ReplyKind.ANSWERED, data=data))
            assert found.status is not HOLDS, data


def damaged(data: Any) -> Iterator[Any]:
    """Each part of it in turn left out, or of another shape."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield {other: data[other] for other in data if other != key}
            yield from ({**data, key: other} for other in (*other_shapes(value), *damaged(value)))
    elif isinstance(data, list | tuple):
        for place, value in enumerate(data):
            for other in (*other_shapes(value), *damaged(value)):
                yield [*data[:place], other, *data[place + 1 :]]


def other_shapes(value: object) -> list[Any]:
    return [other for other in OTHER_SHAPES if type(other) is not type(value)]


# Two answers


def held_once(sample: Sample) -> tuple[Watch, Told]:
    """A watch that was told once that it holds."""
    told = Told(sample.holds(INSTANCE))
    asked = Watch(sample.condition, ShapedCalls(told))
    while not (finding := asked.recorded_when_due()).confirmed_once and finding.status is not HOLDS:
        pass
    return asked, told


@of_each
def test_one_answer_is_enough_only_where_it_says_so(sample: Sample) -> None:
    asked, _ = held_once(sample)
    assert asked.finding is not None
    assert asked.finding.status is (PENDING if sample.condition.takes_two_answers else HOLDS)
    assert asked.condition.verdict(asked.action, asked.clock()).status is asked.finding.status


@of_each_unsure
def test_one_lie_that_it_holds_does_not_make_it_so(sample: Sample) -> None:
    asked, told = held_once(sample)
    told.answers = sample.pending(INSTANCE)
    assert HOLDS not in {asked.recorded_when_due().status for _ in range(A_WHILE)}
    assert asked.finding is not None
    assert not asked.finding.confirmed_once


@of_each_unsure
def test_an_unknown_answer_between_two_neither_counts_nor_resets(sample: Sample) -> None:
    asked, told = held_once(sample)
    told.answers = None
    assert asked.recorded_when_due().status is UNKNOWN
    told.answers = sample.holds(INSTANCE)
    assert asked.recorded_when_due().status is HOLDS


@of_each_unsure
def test_what_held_and_became_old_needs_one_more_answer_only(sample: Sample) -> None:
    asked, _ = held_once(sample)
    held = asked.recorded_when_due()
    assert held.status is HOLDS
    if held.ask_again_at is not None:
        assert asked.stands((held.asked_at - START).total_seconds() + 600) is HOLDS


@of_each_unsure
def test_the_second_answer_is_of_after_the_first_was_heard_whoever_asked_for_it(sample: Sample) -> None:
    made: list[tuple[str, datetime]] = []
    told = Told(sample.holds(INSTANCE))

    def answer(operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | Reply:
        made.append((operation, asked.clock()))
        return told(operation, parameters)

    asked = Watch(sample.condition, ShapedCalls(answer))
    other = replace(asked, action=an_action(id="action-2"))
    first: datetime | None = None
    for seconds in range(120):
        other.ask(seconds)
        if seconds >= 15:  # by then some answer is there to be shared
            finding = asked.recorded(seconds)
            first = first or (finding.asked_at if finding.confirmed_once else None)
            if finding.status is HOLDS:
                break
    assert first is not None
    decisive = {
        op for op in sample.holds(INSTANCE) if sample.holds(INSTANCE)[op] != sample.pending(INSTANCE)[op]
    }
    made_before = {operation for operation, _ in made} & decisive
    assert made_before <= {operation for operation, made_at in made if made_at > first}
