from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import a_policy, an_action, at
from tests.questions import free_turns
from usher.core import configuration
from usher.core.action import MOST_LINES, Entry
from usher.core.conditions.combined import Not
from usher.core.conditions.probe import Call, Found, Later, Probe, Reply, ReplyKind, Shared
from usher.core.finding import ConditionStatus, Finding
from usher.questions.probing import MOST_CALLS, Prober
from usher_simulator.fakes.memory_budget import MemoryAnswers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.field import Field
    from usher.core.finding import Memory

HOLDS = Found(status=ConditionStatus.HOLDS, detail="all is well")
GOES_ON = Found(status=ConditionStatus.UNKNOWN, go_on=True)
LATE = at(100)


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: at(10))

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Script(Probe):
    """Makes the calls it is told to, and finds what it is told to; keeps what it heard."""

    calls: Sequence[Call]
    finds: Sequence[Found]
    heard: list[tuple[Memory, Reply]] = field(default_factory=list)
    asked_with: list[Memory] = field(default_factory=list)

    @classmethod
    def parse(cls, field: Field) -> Script:
        raise AssertionError(f"it stands in no file: {field.value}")

    @property
    def name(self) -> str:
        return "script"

    def ask(self, action: Action, memory: Memory, now: datetime) -> Call:
        assert action.id
        assert now >= at(0)
        self.asked_with.append(memory)
        return self.calls[min(len(self.asked_with), len(self.calls)) - 1]

    def hear(self, action: Action, memory: Memory, call: Call, reply: Reply, now: datetime) -> Found:
        assert action.id
        assert call in self.calls
        assert now >= at(0)
        self.heard.append((memory, reply))
        return self.finds[min(len(self.heard), len(self.finds)) - 1]


@dataclass
class Service:
    """Replies in turn, the last one again and again; keeps whom it was asked about."""

    replies: Sequence[Reply] = (Reply(kind=ReplyKind.ANSWERED, data={}),)
    asked: list[list[str]] = field(default_factory=list)

    def make(self, call: Call, members: Sequence[str] = ()) -> Reply:
        assert call.operation
        self.asked.append(list(members))
        return self.replies[min(len(self.asked), len(self.replies)) - 1]


@dataclass
class Stage:
    """A prober, with everything around it in hand."""

    service: Service = field(default_factory=Service)
    clock: Clock = field(default_factory=Clock)
    answers: MemoryAnswers = field(default_factory=MemoryAnswers)
    started: list[Memory] = field(default_factory=list)

    def probe(
        self, probe: Probe, *, memory: Memory | None = None, until: datetime = LATE, **changes: Any
    ) -> Found | Later:
        prober = Prober(calls=self.service, answers=self.answers, call_budget=free_turns(), clock=self.clock)
        return prober.probe(probe, an_action(**changes), memory or {}, until, self.started.append)


def a_call(**parts: Any) -> Call:
    return Call(service="ec2", operation="DescribeThings", **parts)


def reduced(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an answer says of each member."""
    return data


def shared_by(member: str = "me", **parts: Any) -> Call:
    return a_call(shared=Shared(member=member, reduced=reduced, **{"members_in": "Names", **parts}))


def says(**members: object) -> Service:
    return Service([Reply(kind=ReplyKind.ANSWERED, data=members)])


def data_of(probe: Script) -> list[Any]:
    return [reply.data for _, reply in probe.heard]


# One condition's calls


def test_what_a_reply_says_is_found() -> None:
    stage, probe = Stage(says(x=1)), Script([a_call()], [HOLDS])

    assert stage.probe(probe) == HOLDS
    assert data_of(probe) == [{"x": 1}]


def test_calls_follow_one_another_each_with_what_the_one_before_left() -> None:
    stage = Stage()
    probe = Script(
        [a_call()], [replace(GOES_ON, memory={"at": 1}), replace(GOES_ON, memory={"at": 2}), HOLDS]
    )

    assert stage.probe(probe, memory={"at": 0}) == replace(HOLDS, memory={"at": 2})
    assert probe.asked_with == [{"at": 0}, {"at": 1}, {"at": 2}]
    assert len(stage.service.asked) == 3


def test_what_is_found_says_that_a_call_was_denied_also_where_the_condition_went_on_without_it() -> None:
    """As a function does that is invoked without a zone, because the zone may not be asked for."""
    denied = Reply(kind=ReplyKind.UNKNOWN, text="AccessDenied: no", not_permitted=True)
    answered = Reply(kind=ReplyKind.ANSWERED, data={})
    stage = Stage(Service([denied, answered]))

    found = stage.probe(Script([a_call()], [replace(GOES_ON, memory={"at": 1}), HOLDS]))

    assert found == replace(HOLDS, memory={"at": 1}, not_permitted="AccessDenied: no")


def test_what_holds_keeps_its_own_memory_where_it_has_one() -> None:
    found = replace(HOLDS, memory={"own": 1})

    assert Stage().probe(Script([a_call()], [found]), memory={"old": 1}) == found


def test_what_does_not_hold_may_forget() -> None:
    pending = Found(status=ConditionStatus.PENDING, detail="not yet")

    assert Stage().probe(Script([a_call()], [pending]), memory={"old": 1}) == pending


def test_a_look_makes_only_so_many_calls_of_one_condition() -> None:
    stage = Stage()

    found = stage.probe(Script([a_call()], [replace(GOES_ON, memory={"page": 9})]))

    assert isinstance(found, Found)
    assert (found.status, found.memory) == (ConditionStatus.UNKNOWN, {"page": 9})
    assert len(stage.service.asked) == MOST_CALLS == 6


@pytest.mark.parametrize(("left", "asks"), [(5.9, False), (6, True)])
def test_a_call_is_made_only_where_its_longest_fits_before_the_end(left: float, asks: bool) -> None:
    stage = Stage()
    until = stage.clock.now + timedelta(seconds=left)

    found = stage.probe(Script([a_call()], [HOLDS]), until=until)

    assert found == (HOLDS if asks else Later(at=until))
    assert len(stage.service.asked) == asks


def test_time_that_passes_between_calls_counts() -> None:
    @dataclass
    class Slow(Script):
        clock: Clock = field(default_factory=Clock)

        def hear(self, action: Action, memory: Memory, call: Call, reply: Reply, now: datetime) -> Found:
            self.clock.now += timedelta(seconds=50)
            return super().hear(action, memory, call, reply, now)

    stage = Stage()

    assert stage.probe(Slow([a_call()], [GOES_ON], clock=stage.clock)) == Later(at=LATE)
    assert len(stage.service.asked) == 2


# Calls that change something


def test_what_is_about_to_start_is_stored_before_it_is_started() -> None:
    stage, order = Stage(), []

    class Watched(Service):
        def make(self, call: Call, members: Sequence[str] = ()) -> Reply:
            order.append(("called", *stage.started))
            return super().make(call, members)

    stage.service = Watched()
    probe = Script([a_call(intent={"token": "t"})], [HOLDS])

    assert stage.probe(probe) == replace(HOLDS, memory={"token": "t"})
    assert order == [("called", {"token": "t"})]
    assert [memory for memory, _ in probe.heard] == [{"token": "t"}]


def test_observe_mode_starts_nothing_and_says_what_it_would() -> None:
    stage, probe = Stage(), Script([a_call(intent={"token": "t"})], [HOLDS])

    found = stage.probe(probe, memory={"old": 1}, policy=a_policy(mode="observe"))

    assert found == Found(
        status=ConditionStatus.PENDING,
        detail="observe mode: would call DescribeThings",
        ask_again_after=timedelta(hours=1),
        memory={"old": 1},
    )
    assert (stage.started, stage.service.asked) == ([], [])


def test_observe_mode_asks_what_changes_nothing() -> None:
    assert Stage().probe(Script([a_call()], [HOLDS]), policy=a_policy(mode="observe")) == HOLDS


# Answers that are shared


def test_one_answer_serves_all_that_asked_for_it() -> None:
    stage = Stage(says(me=1, you=2))
    mine, yours = Script([shared_by("me")], [HOLDS]), Script([shared_by("you")], [HOLDS])
    stage.answers.enlist("ec2 DescribeThings {}", "you", at(0))

    stage.probe(mine)
    stage.probe(yours)

    assert stage.service.asked == [["me", "you"]]
    assert (data_of(mine), data_of(yours)) == ([1], [2])


def test_of_whom_an_answer_says_nothing_it_says_none() -> None:
    probe = Script([shared_by()], [HOLDS])

    Stage(says(other=1)).probe(probe)

    assert data_of(probe) == [None]


def test_an_answer_that_was_not_asked_for_one_says_nothing_of_it() -> None:
    stage, probe = Stage(says(you=2)), Script([shared_by("me")], [HOLDS])
    stage.probe(Script([shared_by("you")], [HOLDS]))

    assert stage.probe(probe) == Later(at=at(30.001))  # the answer of at(10) serves for 20 s
    assert probe.heard == []


def test_a_question_that_takes_no_members_is_answered_for_everyone() -> None:
    stage = Stage(says(me=1))
    mine, yours = (Script([shared_by(who, members_in=None)], [HOLDS]) for who in ("me", "you"))

    stage.probe(mine)
    stage.probe(yours)

    assert stage.service.asked == [[]]
    assert (data_of(mine), data_of(yours)) == ([1], [None])


def test_more_members_than_a_call_takes_are_asked_for_in_parts() -> None:
    stage = Stage(Service([Reply(kind=ReplyKind.ANSWERED, data={who: who}) for who in ("e", "b", "d")]))
    for who in "abcd":
        stage.answers.enlist("ec2 DescribeThings {}", who, at(0))
    probe = Script([shared_by("e", most=2)], [HOLDS])

    stage.probe(probe)

    assert stage.service.asked == [["e", "a"], ["b", "c"], ["d"]]
    assert data_of(probe) == ["e"]


def test_where_time_is_short_the_asker_is_asked_for_and_the_others_another_time() -> None:
    stage = Stage(says(e="e"))
    for who in "abcd":
        stage.answers.enlist("ec2 DescribeThings {}", who, at(0))
    call = shared_by("e", most=2)
    probe, make = Script([call], [HOLDS]), stage.service.make

    def slowly(call: Call, members: Sequence[str] = ()) -> Reply:
        stage.clock.now += timedelta(seconds=4)
        return make(call, members)

    stage.service.make = slowly  # type: ignore[method-assign]
    stage.probe(probe, until=stage.clock.now + call.longest)

    assert stage.service.asked == [["e", "a"]]
    assert (data_of(probe), stage.probe(Script([shared_by("d")], [HOLDS]))) == (["e"], Later(at=at(30.001)))


@pytest.mark.parametrize(("age", "calls"), [(20, 1), (20.1, 2)])
def test_an_answer_serves_for_so_long(age: float, calls: int) -> None:
    stage = Stage(says(me=1))
    stage.probe(Script([shared_by()], [HOLDS]))
    stage.clock.now += timedelta(seconds=age)

    stage.probe(Script([shared_by()], [HOLDS]))

    assert len(stage.service.asked) == calls


def test_while_another_asks_nobody_else_does() -> None:
    stage, probe = Stage(), Script([shared_by()], [HOLDS])
    assert stage.answers.lease("ec2 DescribeThings {}", at(9), timedelta(seconds=20))

    assert stage.probe(probe) == Later(at=at(13))
    assert (stage.service.asked, probe.heard) == ([], [])


NOT_BEFORE: list[Any] = [
    pytest.param({}, None, 5, True, id="after the first sight"),
    pytest.param({}, None, 12, False, id="before the first sight"),
    pytest.param({}, at(9), 5, True, id="after what the call wants"),
    pytest.param({}, at(11), 5, False, id="before what the call wants"),
    pytest.param({}, at(5), 12, True, id="the call takes older ones"),
    pytest.param({"confirmed_once": True}, None, 5, False, id="to confirm, as old as the first answer"),
    pytest.param(
        {"confirmed_once": True, "asked_at": at(6)}, None, 5, False, id="to confirm, by a clock that is ahead"
    ),
    pytest.param({"confirmed_once": True, "asked_at": at(5)}, None, 5, True, id="to confirm, and later"),
    pytest.param({"confirmed_once": False}, None, 5, True, id="nothing to confirm"),
]


@pytest.mark.parametrize(("before", "not_before", "first_seen", "counts"), NOT_BEFORE)
def test_an_answer_counts_that_is_new_enough(
    before: dict[str, Any], not_before: datetime | None, first_seen: float, counts: bool
) -> None:
    """The answer is of at(10); the finding before, if any, of at(11) where it does not say."""
    stage = Stage(says(me=1))
    stage.probe(Script([shared_by()], [HOLDS]))
    finding = Finding(
        condition="script",
        status=ConditionStatus.UNKNOWN,
        detail="",
        ask_again_at=at(11),
        **{"asked_at": at(11), **before},
    )
    call = replace(shared_by(), not_before=not_before)
    stage.clock.now = at(12)

    found = stage.probe(
        Script([call], [HOLDS]), first_seen_at=at(first_seen), findings=(finding,) if before else ()
    )

    assert found == (HOLDS if counts else Later(at=at(30.001)))  # nobody may ask before


def test_a_refusal_is_shared_too() -> None:
    refused = Reply(kind=ReplyKind.REFUSED, code="NotFound", text="no such thing")
    stage = Stage(Service([refused]))
    probes = [Script([shared_by(who)], [HOLDS]) for who in ("me", "you")]

    for probe in probes:
        stage.probe(probe)

    assert [reply for probe in probes for _, reply in probe.heard] == [refused, refused]
    assert len(stage.service.asked) == 1


@pytest.mark.parametrize("kind", [ReplyKind.TIMED_OUT, ReplyKind.UNKNOWN])
def test_what_is_no_answer_is_told_and_not_kept(kind: ReplyKind) -> None:
    nothing = Reply(kind=kind, text="busy")
    stage, probe = Stage(Service([nothing])), Script([shared_by()], [HOLDS])

    stage.probe(probe)

    assert [reply for _, reply in probe.heard] == [nothing]
    assert stage.answers.newest("ec2 DescribeThings {}") is None


def test_of_parts_a_later_refusal_counts_for_all() -> None:
    refused = Reply(kind=ReplyKind.REFUSED, code="NotFound")
    stage = Stage(Service([Reply(kind=ReplyKind.ANSWERED, data={"a": 1}), refused]))
    stage.answers.enlist("ec2 DescribeThings {}", "a", at(0))
    probe = Script([shared_by("b", most=1)], [HOLDS])

    stage.probe(probe)

    assert [reply for _, reply in probe.heard] == [refused]


@given(st.dictionaries(st.text(max_size=3), st.integers(), max_size=4))
def test_equal_calls_are_one_question_whatever_the_order_of_their_parameters(
    parameters: dict[str, int],
) -> None:
    stage = Stage(says(me=1))
    turned = dict(reversed(parameters.items()))

    for each in (parameters, turned):
        stage.probe(Script([replace(shared_by(), parameters=each)], [HOLDS]))

    assert len(stage.service.asked) == 1


# What others make of it


def test_a_probe_needs_no_permission_and_a_second_answer_unless_it_says_so() -> None:
    probe = Script([a_call()], [HOLDS])

    assert (probe.permissions, probe.takes_two_answers) == ((), True)


def test_a_configuration_names_the_conditions_of_all_its_policies() -> None:
    """Whose permissions the functions are given."""
    policies = {"a": {"until": [{"ecs": "drained"}]}, "b": {"until": [{"any": [{"instance_status": "ok"}]}]}}
    parsed = configuration.parse({"version": 1, "policies": policies, "hooks": []})

    assert {leaf.name for leaf in parsed.leaves if isinstance(leaf, Probe)} == {
        "ecs drained",
        "instance_status ok",
    }


@pytest.mark.parametrize(("two", "status"), [(True, ConditionStatus.UNKNOWN), (False, ConditionStatus.HOLDS)])
def test_the_opposite_of_a_condition_takes_as_many_answers_as_it_does(
    two: bool, status: ConditionStatus
) -> None:
    @dataclass
    class Answered(Script):
        @property
        def takes_two_answers(self) -> bool:
            return two

    once = Finding(
        condition="script", status=ConditionStatus.PENDING, detail="no", asked_at=at(1), ask_again_at=at(60)
    )

    said = Not(of=Answered([a_call()], [HOLDS])).verdict(an_action(findings=(once,)), at(10))

    assert said.status is status


@pytest.mark.parametrize(("event", "is_noted"), [("signal", False), ("wait", False), ("complete", True)])
def test_after_thousands_of_lines_only_what_is_decided_is_noted(event: str, is_noted: bool) -> None:
    last = Entry(number=MOST_LINES, at=at(1), event="found", detail="one more", last_at=at(1))
    action = an_action(last_entry=last)

    noted = action.noted(at(2), event, "something new")

    assert (noted is not action) is is_noted
    assert [entry.number for entry in noted.recent] == [MOST_LINES + 1] * is_noted
