"""Before Usher goes, it lets go of everything that it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from tests.factories import an_action, at, hook_terms
from usher.core.action import Action, OperatorNote, Outcome, Phase, Result, Transition
from usher.core.hook_items import Enrolled, FileInForce, GroupSeen, HookSeen, HookSettings, HookState, Target
from usher.core.live_waits import Activity, LiveGroup, Member
from usher.core.policy import Channel
from usher.passes.enrolment import LAST_CALLS_S
from usher.ports.autoscaling import Answer, AnswerKind
from usher.ports.errors import CallRefused, Throttled, TryLater, Unavailable
from usher.ports.records import Due, Raw
from usher.release import AGAIN, IDLE_ROUNDS
from usher_simulator.fakes.memory_budget import MemoryBudget
from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.one_by_one import OneByOne
from usher_simulator.fakes.parts import evaluator_of, release_of
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

TARGETS = {Channel.SQS: Target(arn="arn:inbox", role_arn="arn:role")}
BUSY = Answer(kind=AnswerKind.BUSY, text="Throttling: Rate exceeded")
ACCEPTED = Answer(kind=AnswerKind.ACCEPTED, text="")


class CountingBudget(MemoryBudget):
    """Counts how often the pace was lowered."""

    lowered = 0

    def throttled(self, now: datetime) -> None:
        self.lowered += 1
        super().throttled(now)


class Leaving(OneByOne):
    """A store with actions, and an Auto Scaling that is busy for some calls."""

    def __init__(
        self,
        *actions: Action,
        hooks: Sequence[str] = (),
        busy: int = 0,
        time_for: int = 1000,
        calls_per_second: float = 1000,
    ) -> None:
        self.time_for = time_for  # calls
        self.now = at(0)
        self.store = MemoryStore(lambda: self.now)
        for action in actions:
            self.store.open(action, Raw(received_at=at(0), body="{}"))
        self.results: list[tuple[str, Result]] = []
        self.coming = ""  # the state of an instance that the live state shows in group web
        self.shows_no_activity = 0  # times
        self.throttled: list[str] = []  # calls by instance that are turned away, each once
        self._busy = busy
        self.budget = CountingBudget(calls_per_second)
        self.recorder = Recorder()
        evaluator = evaluator_of(
            store=self.store,
            auto_scaling=self,
            budget=self.budget,
            wake_ups=self,
            telemetry=self.recorder,
            clock=lambda: self.now,
        )
        self.enrolments = MemoryEnrolledHooks(lambda: at(0), 50)
        for hook in hooks:
            self.enrolments.keep(enrolled(hook))
        self.live: dict[str, HookSettings] = {}  # that are not as their items say
        self.hides_hooks = 0  # times
        self.deleted: list[str] = []
        self.refuses: Exception | None = None
        self.during_wait: list[Callable[[], None]] = []
        self.during_delete: list[Callable[[], None]] = [lambda: None] * 9
        self.release = release_of(
            evaluator,
            targets=TARGETS,
            hooks=self,
            live=self,
            enrolments=self.enrolments,
            open_actions=self.store,
            wait=self._wait,
        )

    def _wait(self, span_s: float) -> None:
        self.now += timedelta(seconds=span_s)
        if self.during_wait:
            self.during_wait.pop()()

    @property
    def troubles(self) -> list[tuple[str, str]]:
        """What went wrong, in words."""
        return [(what, str(error)) for what, error in self.recorder.troubles]

    def launches(self, hook: str) -> None:
        """An instance comes into a hook."""
        action = an_action(hook=hook_terms(name=hook, group="web"), evaluate_at=self.now)
        self.store.open(action, Raw(received_at=at(0), body="{}"))

    def groups(self, turn: Callable[[], object] = lambda: None) -> list[GroupSeen]:
        raise AssertionError(f"the items name all groups ({turn})")

    def hooks_of(self, group: str) -> list[HookSeen]:
        assert group == "web"
        if self.hides_hooks > 0:
            self.hides_hooks -= 1
            raise TryLater("InternalFailure")
        live = {each.hook: each.settings for each in self.enrolments.enrolled()} | self.live
        return [HookSeen(name=name, settings=settings) for name, settings in live.items()]

    def put_hook(self, record: Enrolled) -> None:
        raise AssertionError(f"no hook is put any more, but {record.hook} was")

    def delete_hook(self, record: Enrolled) -> None:
        if self.refuses:
            raise self.refuses
        self.deleted.append(record.hook)
        self.during_delete.pop(0)()
        waiting = [action.id for action in self.store.all_open() if action.hook.name == record.hook]
        assert not waiting, "what waits in a launch hook goes with it"

    def live_groups(self, names: Collection[str] | None, turn: Callable[[], datetime]) -> list[LiveGroup]:
        assert names == {"web"} or list(names or ()) == ["web"]
        members = [Member(instance_id="i-0cccccccccccccccc", state=self.coming, is_healthy=True)]
        return [
            LiveGroup(
                name="web",
                arn="arn:web",
                tags=(),
                members={each.instance_id: each for each in members if each.state},
                has_pool=False,
                seen_at=turn(),
                is_whole=True,
            )
        ]

    def pool(self, group: str, turn: Callable[[], datetime]) -> list[Member]:
        raise AssertionError(f"{group} has none ({turn})")

    def run(self) -> str:
        """Why the deletion cannot go on yet."""
        return self.release.run(lambda: len(self.results) + len(self.deleted) < self.time_for)

    def complete(self, action: Action, result: Result) -> Answer:
        if "complete" in self.throttled:
            self.throttled.remove("complete")
            return BUSY
        assert action.token or action.activity_id, "it may reach another wait"
        self.results.append((action.id, result))
        if action.token is None:
            self.coming = ""
        self._busy -= 1
        return BUSY if self._busy >= 0 else ACCEPTED

    def heartbeat(self, action: Action) -> Answer:
        raise AssertionError(f"nothing is held any more, but {action.id} was")

    def ongoing(self, action: Action) -> Activity | None:
        assert action.token is None, f"{action.id} has a token"
        if "describe" in self.throttled:
            self.throttled.remove("describe")
            raise Throttled("Throttling: Rate exceeded")
        if self.shows_no_activity > 0:
            self.shows_no_activity -= 1
            return None
        return Activity(
            id="activity-1", instance_id=action.instance_id, started_at=at(0), description="", cause=""
        )

    def send(self, action_id: str, version: int, delay: object, wait: object = None) -> None:
        """Wake-ups are of no use any more."""


def two_actions() -> list[Action]:
    later = an_action(id="far", token="2" * 36, evaluate_at=at(7200))
    return [an_action(id="near", token="1" * 36), later]


def test_all_that_waits_is_continued_before_the_deletion_goes_on() -> None:
    leaving = Leaving(*two_actions())
    assert leaving.run() == ""
    assert sorted(leaving.results) == [("far", Result.CONTINUE), ("near", Result.CONTINUE)]
    assert all(action.outcome is Outcome.COMPLETED for action in leaving.store.actions())
    assert leaving.store.actions()[0].reason == "Usher is being deleted"


def test_a_result_that_was_decided_is_not_changed() -> None:
    abandoning = an_action(phase=Phase.COMPLETING, result=Result.ABANDON, reason="failed")
    leaving = Leaving(abandoning)
    leaving.run()
    assert leaving.results == [("action-1", Result.ABANDON)]


def test_what_an_operator_ordered_is_sent_and_not_replaced() -> None:
    """Seed 97: the order had come eleven seconds before the deletion."""
    note = OperatorNote(who="arn:her", at=at(0), reason="broken")
    leaving = Leaving(an_action(operator_result_by=note, operator_result=Result.ABANDON))
    leaving.run()
    assert leaving.results == [("action-1", Result.ABANDON)]


def test_throttles_are_outlasted() -> None:
    assert Leaving(*two_actions(), busy=5).run() == ""


def test_the_deletion_stops_while_something_still_waits() -> None:
    reason = Leaving(*two_actions(), busy=2 * IDLE_ROUNDS).run()
    assert reason.startswith("2 actions could not be released yet")


def test_more_than_the_budget_takes_in_some_rounds_are_let_go_second_by_second() -> None:
    many = [an_action(id=f"a-{n:03}", token=f"{n:036}", evaluate_at=at(n)) for n in range(100)]
    leaving = Leaving(*many, calls_per_second=3)
    assert leaving.run() == ""
    assert len(leaving.results) == 100
    assert leaving.now >= at(100 / 3 - 1)


def test_it_ends_before_the_function_is_cut_off() -> None:
    leaving = Leaving(*two_actions(), time_for=1)
    reason = leaving.run()
    assert reason.startswith("1 actions could not be released yet")
    assert len(leaving.results) == 1


def test_without_time_for_the_hooks_the_deletion_stops() -> None:
    leaving = Leaving(hooks=["one", "two"], time_for=1)
    assert leaving.run().startswith("not all hooks could be deleted in time")
    assert len(leaving.deleted) == 1


def test_while_paused_nothing_is_decided_and_the_deletion_says_what_to_do() -> None:
    leaving = Leaving(*two_actions())
    leaving.store.pause("*", "maintenance")
    reason = leaving.run()
    assert "`usher resume`" in reason
    assert leaving.results == []
    assert all(action.phase is Phase.OPEN for action in leaving.store.actions())


SOURCE: Final = (
    '{"version":1,"policies":{"p":{"until":[]}},"hooks":'
    '[{"name":"NAME","group":"web","transition":"launching","policy":"p"}]}'
)


def enrolled(hook: str) -> Enrolled:
    settings = HookSettings(
        transition=Transition.LAUNCHING,
        heartbeat_timeout=timedelta(minutes=5),
        default_result=Result.ABANDON,
        target_arn="arn:inbox",
        role_arn="arn:role",
        metadata=None,
    )
    source = SOURCE.replace("NAME", hook)
    return Enrolled(
        group="web", group_arn="arn:web", hook=hook, settings=settings, source=source, put_at=at(0)
    )


def test_the_hooks_go_with_their_queue_and_after_what_they_held() -> None:
    leaving = Leaving(*two_actions(), hooks=["one", "two"])
    assert leaving.run() == ""
    assert (sorted(leaving.deleted), len(leaving.results)) == (["one", "two"], 2)
    assert not leaving.enrolments.enrolled()


def test_what_the_live_state_shows_waiting_and_no_record_knows_is_let_go_too() -> None:
    leaving = Leaving(hooks=["one"])
    leaving.coming = "Pending:Wait"
    assert leaving.run() == ""
    assert [result for _, result in leaving.results] == [Result.CONTINUE]
    assert leaving.deleted == ["one"]


class HearsOfItLate(Leaving):
    """The notice of the instance that waits comes while its scaling activity is asked for."""

    def ongoing(self, action: Action) -> Activity | None:
        found = super().ongoing(action)
        notice = an_action(
            id="heard", instance_id=action.instance_id, hook=hook_terms(name="one", group="web")
        )
        self.store.open(notice, Raw(received_at=self.now, body="{}"))
        return found

    def complete(self, action: Action, result: Result) -> Answer:
        self.coming = ""
        return super().complete(action, result)


def test_what_a_record_knows_by_now_gets_one_result_by_that_record() -> None:
    """Promise 1: an evaluation may be about to send another one (found by seed 2002)."""
    leaving = HearsOfItLate(hooks=["one"])
    leaving.coming = "Pending:Wait"
    assert leaving.run() == ""
    assert leaving.results == [("heard", Result.CONTINUE)]
    assert leaving.deleted == ["one"]


@pytest.mark.parametrize("call", ["describe", "complete"])
def test_a_throttle_of_what_no_record_knows_loses_nothing_and_the_release_goes_on(call: str) -> None:
    leaving = Leaving(hooks=["one"])
    leaving.coming, leaving.throttled = "Pending:Wait", [call]
    assert leaving.run() == ""
    assert [result for _, result in leaving.results] == [Result.CONTINUE]
    assert leaving.deleted == ["one"]
    assert leaving.budget.lowered == 1


def test_an_adopted_record_without_an_activity_is_closed_and_its_wait_is_let_go_once_that_is_known() -> None:
    """A call by instance may reach another wait: none goes out, and the live state tells what waits."""
    adopted = an_action(id="adopted", token=None, hook=hook_terms(name="one", group="web"))
    leaving = Leaving(adopted, hooks=["one"])
    leaving.coming, leaving.shows_no_activity = "Pending:Wait", 1

    assert leaving.run() == ""

    (record,) = leaving.store.actions()
    assert (record.outcome, record.result) == (Outcome.ENDED_ELSEWHERE, None)
    assert record.reason.startswith("Usher is being deleted: its scaling activity")
    assert [result for _, result in leaving.results] == [Result.CONTINUE]
    assert leaving.deleted == ["one"]


def test_an_adopted_record_with_an_activity_is_completed_like_any_other() -> None:
    leaving = Leaving(an_action(id="adopted", token=None, hook=hook_terms(name="one", group="web")))
    assert leaving.run() == ""
    assert leaving.results == [("adopted", Result.CONTINUE)]
    assert leaving.store.actions()[0].outcome is Outcome.COMPLETED


def test_an_item_that_cannot_be_read_keeps_no_hook() -> None:
    leaving = Leaving()
    leaving.enrolments.keep(replace(enrolled("one"), source="{}"))
    assert leaving.run() == ""


def test_on_a_group_that_never_rests_the_deletion_fails_in_words_to_be_repeated() -> None:
    leaving = Leaving(hooks=["one"])
    leaving.coming = "Pending"
    reason = leaving.run()
    assert reason == (
        "hook one of web could not be deleted yet: instances keep entering, or wait in other hooks of the "
        f"group, which you can complete; {AGAIN}"
    )
    assert leaving.deleted == []
    leaving.coming = ""
    assert leaving.run() == ""


def test_while_usher_goes_every_item_lets_through_and_no_file_counts() -> None:
    leaving = Leaving(hooks=["one"])
    leaving.coming = "Pending"
    leaving.enrolments.put_in_force(FileInForce(digest="d"))
    leaving.run()
    (item,) = leaving.enrolments.enrolled()
    assert (item.state, item.let_through_from) == (HookState.RETIRING, at(LAST_CALLS_S))
    assert leaving.enrolments.in_force() == FileInForce(digest="d", is_closing=True)


def test_a_hook_that_someone_else_has_put_in_the_place_of_ours_stays_with_all_that_waits_in_it() -> None:
    leaving = Leaving(hooks=["one", "two"])
    leaving.live = {"one": replace(enrolled("one").settings, target_arn="arn:of-another")}

    assert leaving.run() == ""

    assert leaving.deleted == ["two"]
    assert leaving.enrolments.enrolled() == []
    assert ("hook one of web was left alone", "someone else put a hook of this name") in leaving.troubles


def test_what_waits_in_a_hook_of_someone_else_is_not_let_go() -> None:
    leaving = Leaving(hooks=["one"])
    leaving.coming = "Pending:Wait"
    leaving.live = {"one": replace(enrolled("one").settings, target_arn="arn:of-another")}
    assert leaving.run() == ""
    assert (leaving.results, leaving.deleted) == ([], [])


def test_a_hook_that_someone_only_changed_notifies_us_still_and_goes_with_usher() -> None:
    leaving = Leaving(hooks=["one"])
    leaving.live = {"one": replace(enrolled("one").settings, heartbeat_timeout=timedelta(hours=2))}
    assert leaving.run() == ""
    assert leaving.deleted == ["one"]


@pytest.mark.parametrize(
    ("times", "says"), [(1, ""), (99, f"the hooks of web could not be read: InternalFailure; {AGAIN}")]
)
def test_no_hook_is_deleted_before_it_is_known_whose_it_is(times: int, says: str) -> None:
    leaving = Leaving(hooks=["one"])
    leaving.hides_hooks = times
    assert (leaving.run(), leaving.deleted) == (says, [] if says else ["one"])


def test_a_group_that_has_gone_is_forgotten() -> None:
    leaving = Leaving()
    leaving.enrolments.keep(replace(enrolled("one"), group_arn="arn:another"))
    assert leaving.run() == ""
    assert leaving.deleted == []


def test_an_item_that_another_run_drops_meanwhile_fails_no_release() -> None:
    """Found by a trial: Lambda had tried the removal twice at once."""
    leaving = Leaving()
    leaving.enrolments.keep(replace(enrolled("one"), group_arn="arn:another"))

    class Overtaken(MemoryEnrolledHooks):
        def forget(self, record: Enrolled) -> None:
            for each in leaving.enrolments.enrolled():
                leaving.enrolments.forget(each)
            super().forget(record)

    overtaken = Overtaken(lambda: at(0), 50)
    overtaken.__dict__ |= leaving.enrolments.under(None).__dict__
    leaving.release = replace(leaving.release, enrolments=overtaken)
    assert leaving.run() == ""


@pytest.mark.parametrize("when", ["while it is waited for the sweep", "while another hook goes"])
def test_an_instance_that_comes_meanwhile_is_let_go_before_its_hook_is_deleted(when: str) -> None:
    """Found by reading: deleting a launch hook abandons what waits in it (aws-facts 1.1)."""
    leaving = Leaving(hooks=["one", "two"])
    comes = partial(leaving.launches, "two")
    if "sweep" in when:
        leaving.during_wait = [comes]
    else:
        leaving.during_delete[0] = comes
    assert leaving.run() == ""
    assert (leaving.deleted, leaving.results) == (["one", "two"], [("action-1", Result.CONTINUE)])


def test_a_throttled_deletion_of_a_hook_is_tried_again() -> None:
    leaving = Leaving(hooks=["one"])
    answers = iter([Throttled("Throttling: Rate exceeded")])

    def delete(record: Enrolled) -> None:
        for error in answers:
            raise error
        leaving.deleted.append(record.hook)

    leaving.delete_hook = delete  # type: ignore[method-assign]
    assert leaving.run() == ""
    assert leaving.deleted == ["one"]


@pytest.mark.parametrize(
    "error", [TryLater("Throttling"), CallRefused("AccessDenied: not authorized")], ids=str
)
def test_a_hook_that_could_not_be_deleted_stops_the_deletion_with_aws_s_reason(error: Exception) -> None:
    """A group that lost its tag: nothing that an operator completes would help."""
    leaving = Leaving(hooks=["one"])
    leaving.refuses = error
    assert leaving.run() == f"hook one of web was not deleted: {error}; {AGAIN}"


def test_from_then_on_a_hook_that_the_file_had_again_lets_through_too() -> None:
    """Its enrolment was yet to be taken back, and until then it held."""
    leaving = Leaving()
    leaving.refuses = TryLater("Throttling")
    retiring = enrolled("one").retired(at(-7200), at(-3600))
    leaving.enrolments.keep(replace(retiring, is_out_of_file=True))
    assert leaving.run() != ""
    (item,) = leaving.enrolments.enrolled()
    assert (item.is_retiring, item.is_out_of_file) == (True, False)


def test_one_action_that_cannot_be_let_go_stops_not_the_others() -> None:
    leaving = Leaving(*two_actions())
    load = leaving.store.load

    def unreadable(action_id: str) -> Action | None:
        if action_id == "near":
            raise ValueError("of another release")
        return load(action_id)

    leaving.store.load = unreadable  # type: ignore[method-assign]
    assert leaving.run().startswith("1 actions could not be released yet")
    assert leaving.results == [("far", Result.CONTINUE)]


def test_a_table_that_does_not_answer_is_told() -> None:
    leaving = Leaving(*two_actions())

    def down(until: datetime) -> list[Due]:
        raise Unavailable(f"no answer to what is due until {until}")

    leaving.store.due = down  # type: ignore[method-assign]
    assert leaving.run().startswith("the table could not be read (no answer")
