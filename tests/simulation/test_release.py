"""Before Usher goes, it lets go of everything that it holds."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from simulator.memory_budget import MemoryBudget, MemoryLimits
from simulator.memory_enrolled import MemoryEnrolledHooks
from simulator.memory_store import MemoryStore
from simulator.no_aws import NoQuestions
from simulator.recorder import Recorder
from tests.factories import an_action, at, hook_terms
from usher.core.enrolment import Enrolled, HookSettings
from usher.core.model import Action, Outcome, Phase, Result, Transition
from usher.looks import Looks
from usher.ports import Answer, AnswerKind, Due, Raw, Throttled, TryLater, Unavailable
from usher.release import ROUNDS, Release

if TYPE_CHECKING:
    from collections.abc import Callable

BUSY = Answer(kind=AnswerKind.BUSY, text="Throttling: Rate exceeded")
ACCEPTED = Answer(kind=AnswerKind.ACCEPTED, text="")


class Leaving:
    """A store with actions, and an Auto Scaling that is busy for some calls."""

    def __init__(
        self, *actions: Action, busy: int = 0, time_for: int = 1000, calls_per_second: float = 1000
    ) -> None:
        self.time_for = time_for  # calls
        self.now = at(0)
        self.store = MemoryStore(lambda: self.now)
        for action in actions:
            self.store.open(action, Raw(received_at=at(0), body="{}"))
        self.results: list[tuple[str, Result]] = []
        self.answers: list[tuple[str, dict[str, Any]]] = []
        self._busy = busy
        ids = count(1)
        looks = Looks(
            store=self.store,
            auto_scaling=self,
            budget=MemoryBudget(calls_per_second),
            limits=MemoryLimits(),
            questions=NoQuestions(),
            wake_ups=self,
            telemetry=Recorder(),
            clock=lambda: self.now,
            new_id=lambda: f"id-{next(ids)}",
        )
        self.enrolments = MemoryEnrolledHooks(lambda: at(0), 50)
        self.deleted: list[str] = []
        self.refuses = False
        self.during_wait: list[Callable[[], None]] = []
        self.during_delete: list[Callable[[], None]] = [lambda: None] * 9
        self.release = Release(
            looks=looks,
            hooks=self,
            enrolments=self.enrolments,
            open_actions=self.store,
            respond=lambda url, answer: self.answers.append((url, answer)),
            wait=self._wait,
        )

    def _wait(self, span_s: float) -> None:
        self.now += timedelta(seconds=span_s)
        if self.during_wait:
            self.during_wait.pop()()

    def launches(self, hook: str) -> None:
        """An instance comes into a hook."""
        action = an_action(hook=hook_terms(name=hook, group="web"), look_at=self.now)
        self.store.open(action, Raw(received_at=at(0), body="{}"))

    def put_hook(self, record: Enrolled) -> None:
        raise AssertionError(f"no hook is put any more, but {record.hook} was")

    def delete_hook(self, record: Enrolled) -> None:
        if self.refuses:
            raise TryLater("Throttling")
        self.deleted.append(record.hook)
        self.during_delete.pop(0)()
        waiting = [action.id for action in self.store.all_open() if action.hook.name == record.hook]
        assert not waiting, "what waits in a launch hook goes with it"

    def handle(self, kind: str, **properties: str) -> dict[str, Any]:
        self.release.handle(
            {
                "RequestType": kind,
                "ResourceProperties": properties,
                "ResponseURL": "https://answer.example",
                "StackId": "stack",
                "RequestId": "request",
                "LogicalResourceId": "Release",
            },
            lambda: len(self.results) + len(self.deleted) < self.time_for,
        )
        ((url, answer),) = self.answers
        assert url == "https://answer.example"
        return answer

    def complete(self, action: Action, result: Result) -> Answer:
        self.results.append((action.id, result))
        self._busy -= 1
        return BUSY if self._busy >= 0 else ACCEPTED

    def heartbeat(self, action: Action) -> Answer:
        raise AssertionError(f"nothing is held any more, but {action.id} was")

    def waits(self, instance_id: str) -> bool | None:
        return instance_id != ""

    def send(self, action_id: str, version: int, delay: object) -> None:
        """Wake-ups are of no use any more."""


def two_actions() -> list[Action]:
    later = an_action(id="far", token="2" * 36, look_at=at(7200))
    return [an_action(id="near", token="1" * 36), later]


def test_all_that_waits_is_continued_before_the_deletion_goes_on() -> None:
    leaving = Leaving(*two_actions())
    answer = leaving.handle("Delete")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "usher-release")
    assert sorted(leaving.results) == [("far", Result.CONTINUE), ("near", Result.CONTINUE)]
    assert all(action.outcome is Outcome.COMPLETED for action in leaving.store.actions())
    assert leaving.store.actions()[0].reason == "Usher is being removed"


def test_a_result_that_was_decided_is_not_changed() -> None:
    abandoning = an_action(phase=Phase.COMPLETING, result=Result.ABANDON, reason="failed")
    leaving = Leaving(abandoning)
    leaving.handle("Delete")
    assert leaving.results == [("action-1", Result.ABANDON)]


def test_throttles_are_outlasted() -> None:
    leaving = Leaving(*two_actions(), busy=5)
    assert leaving.handle("Delete")["Status"] == "SUCCESS"


def test_the_deletion_stops_while_something_still_waits() -> None:
    answer = Leaving(*two_actions(), busy=2 * ROUNDS).handle("Delete")
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("2 actions or hooks could not be let go yet")


def test_more_than_the_budget_takes_in_some_rounds_are_let_go_second_by_second() -> None:
    many = [an_action(id=f"a-{n:03}", token=f"{n:036}", look_at=at(n)) for n in range(100)]
    leaving = Leaving(*many, calls_per_second=3)
    assert leaving.handle("Delete")["Status"] == "SUCCESS"
    assert len(leaving.results) == 100
    assert leaving.now >= at(100 / 3 - 1)


def test_the_answer_comes_before_the_function_is_cut_off() -> None:
    """Without one CloudFormation would wait for an hour."""
    leaving = Leaving(*two_actions(), time_for=1)
    answer = leaving.handle("Delete")
    assert (answer["Status"], len(leaving.results)) == ("FAILED", 1)
    assert answer["Reason"].startswith("1 actions or hooks could not be let go yet")


def test_without_time_for_the_hooks_the_deletion_stops() -> None:
    leaving = Leaving(time_for=1)
    for name in ("one", "two"):
        leaving.enrolments.keep(enrolled(name))
    answer = leaving.handle("Delete", Unenrol="true")
    assert (answer["Status"], len(leaving.deleted)) == ("FAILED", 1)


def test_while_paused_nothing_is_decided_and_the_deletion_says_what_to_do() -> None:
    leaving = Leaving(*two_actions())
    leaving.store.pause("*", "maintenance")
    answer = leaving.handle("Delete")
    assert (answer["Status"], leaving.results) == ("FAILED", [])
    assert "`usher resume`" in answer["Reason"]
    assert all(action.phase is Phase.OPEN for action in leaving.store.actions())


def enrolled(hook: str) -> Enrolled:
    settings = HookSettings(
        transition=Transition.LAUNCHING,
        heartbeat_timeout=timedelta(minutes=5),
        default_result=Result.ABANDON,
        target_arn="arn",
        role_arn="role",
        metadata=None,
    )
    return Enrolled(group="web", group_arn="arn:web", hook=hook, settings=settings, put_at=at(0))


def test_hooks_that_were_put_at_run_time_go_with_their_queue_and_after_what_they_held() -> None:
    leaving = Leaving(*two_actions())
    for name in ("one", "two"):
        leaving.enrolments.keep(enrolled(name))
    assert leaving.handle("Delete", Unenrol="true")["Status"] == "SUCCESS"
    assert (sorted(leaving.deleted), len(leaving.results)) == (["one", "two"], 2)
    assert not leaving.enrolments.enrolled()


@pytest.mark.parametrize("when", ["while it is waited for the sweep", "while another hook goes"])
def test_an_instance_that_comes_meanwhile_is_let_go_before_its_hook_is_deleted(when: str) -> None:
    """Found by reading: deleting a launch hook abandons what waits in it (aws-facts 1.1)."""
    leaving = Leaving()
    for name in ("one", "two"):
        leaving.enrolments.keep(enrolled(name))
    comes = partial(leaving.launches, "two")
    if "sweep" in when:
        leaving.during_wait = [comes]
    else:
        leaving.during_delete[0] = comes
    assert leaving.handle("Delete", Unenrol="true")["Status"] == "SUCCESS"
    assert (leaving.deleted, leaving.results) == (["one", "two"], [("action-1", Result.CONTINUE)])


def test_a_throttled_deletion_of_a_hook_is_tried_again() -> None:
    leaving = Leaving()
    leaving.enrolments.keep(enrolled("one"))
    answers = iter([Throttled("Throttling: Rate exceeded")])

    def delete(record: Enrolled) -> None:
        for error in answers:
            raise error
        leaving.deleted.append(record.hook)

    leaving.delete_hook = delete  # type: ignore[method-assign]
    assert leaving.handle("Delete", Unenrol="true")["Status"] == "SUCCESS"
    assert leaving.deleted == ["one"]


def test_where_only_the_stack_of_hooks_goes_the_others_stay() -> None:
    leaving = Leaving()
    leaving.enrolments.keep(enrolled("one"))
    leaving.handle("Delete", Unenrol="false")
    assert leaving.deleted == []


def test_a_hook_that_could_not_be_deleted_stops_the_deletion() -> None:
    leaving = Leaving()
    leaving.refuses = True
    leaving.enrolments.keep(enrolled("one"))
    assert leaving.handle("Delete", Unenrol="true")["Status"] == "FAILED"


def test_creation_and_update_touch_nothing() -> None:
    for kind in ("Create", "Update"):
        leaving = Leaving(*two_actions())
        assert leaving.handle(kind)["Status"] == "SUCCESS"
        assert leaving.results == []


def test_one_action_that_cannot_be_let_go_stops_neither_the_others_nor_the_answer() -> None:
    leaving = Leaving(*two_actions())
    load = leaving.store.load

    def unreadable(action_id: str) -> Action | None:
        if action_id == "near":
            raise ValueError("of another release")
        return load(action_id)

    leaving.store.load = unreadable  # type: ignore[method-assign]
    answer = leaving.handle("Delete")
    assert (answer["Status"], leaving.results) == ("FAILED", [("far", Result.CONTINUE)])
    assert answer["Reason"].startswith("1 actions or hooks could not be let go yet")


def test_a_table_that_does_not_answer_is_told_to_cloudformation() -> None:
    leaving = Leaving(*two_actions())

    def down(until: datetime) -> list[Due]:
        raise Unavailable(f"no answer to what is due until {until}")

    leaving.store.due = down  # type: ignore[method-assign]
    answer = leaving.handle("Delete")
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("the table could not be read (no answer")
