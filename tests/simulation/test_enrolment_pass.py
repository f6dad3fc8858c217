"""The real pass, with the real boto3 client, against simulated Auto Scaling."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.factories import at, fill
from tests.simulation.enrolment_scene import (
    AS_CONFIGURED,
    DENIED,
    DESCRIBE_HOOKS,
    FAILED,
    INBOX,
    ROLE,
    SETTINGS,
    THROTTLED,
    Scene,
    a_hook,
)
from usher.aws.groups import GroupsApi
from usher.core.enrolment import MOST_SETTLED, MOST_UNSETTLED
from usher.passes.enrolment import INTERVAL
from usher.ports.errors import CallRefused
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from usher.core.hook_items import HookSeen
    from usher_simulator.autoscaling.query_protocol import Request


def test_groups_that_come_get_their_hooks_and_others_do_not() -> None:
    scene = Scene(a_hook())
    scene.create("workers-1", "web")
    assert scene.run() == ["put workers-1/drain"]
    scene.create("workers-2")
    assert scene.run() == ["put workers-2/drain"]
    assert scene.run() == []
    assert scene.live_hooks("workers-1") == scene.live_hooks("workers-2") == {"drain": AS_CONFIGURED}
    assert scene.live_hooks("web") == {}
    assert scene.recorder.counts["Enrolled"] == 2
    scene.clock.run_until(scene.clock() + timedelta(seconds=2))
    assert len(scene.inbox) == 2, "a test message of each hook"


def test_tags_enrol_a_group_and_take_it_out_again() -> None:
    scene = Scene(a_hook(group={"tags": {"team": "web", "stage": "live"}}))
    tags = [{"Key": "team", "Value": "web"}, {"Key": "stage", "Value": "live"}]
    scene.create("both", Tags=tags)
    scene.create("one", Tags=tags[:1])
    assert scene.run() == ["put both/drain"]
    scene.account.fleet.groups["both"].settings["Tags"] = tags[1:]
    assert scene.run(2) == [], "a list may lag"
    scene.account.fleet.groups["both"].settings["Tags"] = tags
    scene.run()
    scene.account.fleet.groups["both"].settings["Tags"] = tags[1:]
    assert scene.run(2) == [], "not three passes in a row"
    assert scene.run(2) == ["retiring both/drain", "removed both/drain"]
    assert scene.live_hooks("both") == {}
    assert list(scene.records.enrolled()) == []
    assert scene.recorder.counts["Unenrolled"] == 1


@pytest.mark.parametrize(
    ("notify", "expected"),
    [
        ("sqs", {"NotificationTargetARN": INBOX, "RoleARN": ROLE}),
        ("sns", {"NotificationTargetARN": SETTINGS.topic_arn, "RoleARN": ROLE}),
        ("lambda", {"NotificationTargetARN": SETTINGS.intake_arn}),
        ("eventbridge", {}),
    ],
)
def test_each_way_of_notifying_has_its_target(notify: str, expected: dict[str, Any]) -> None:
    scene = Scene(a_hook(notify=notify, metadata="owner=jobs", default_result="CONTINUE"))
    scene.create("workers-1")
    scene.run()
    rest = {key: AS_CONFIGURED[key] for key in ("LifecycleTransition", "HeartbeatTimeout")}
    given = {"NotificationMetadata": "owner=jobs", "DefaultResult": "CONTINUE"}
    assert scene.live_hooks("workers-1") == {"drain": {**rest, **given, **expected}}


def test_a_change_of_the_file_reaches_the_hooks_and_then_there_is_rest() -> None:
    scene = Scene(a_hook(metadata="owner=jobs"))
    scene.create("workers-1")
    scene.run()
    scene.deploy(a_hook(notify="eventbridge", heartbeat_timeout="1h"))
    assert scene.run() == ["put workers-1/drain"]
    assert scene.reason == "the hooks file changed heartbeat_timeout, target_arn"
    hook = scene.live_hooks("workers-1")["drain"]
    assert (hook["HeartbeatTimeout"], hook.get("NotificationTargetARN")) == (3600, None)
    assert (hook["RoleARN"], hook["NotificationMetadata"]) == (ROLE, "owner=jobs"), "AWS takes neither off"
    assert scene.run(3) == []


def test_a_hook_for_the_other_transition_comes_when_the_one_of_its_name_has_gone() -> None:
    """Changed in place, it would leave those that wait in it nobody knows where."""
    scene = Scene(a_hook())
    scene.create("workers-1")
    scene.run()
    scene.deploy(a_hook(transition="launching"))
    assert scene.run() == ["retiring workers-1/drain"]
    assert scene.reason == "the hooks file now has it for the other transition"
    assert scene.run(2) == ["removed workers-1/drain", "put workers-1/drain"]
    assert scene.live_hooks("workers-1")["drain"]["LifecycleTransition"].endswith("LAUNCHING")


def test_a_hook_that_someone_changed_or_removed_is_mended() -> None:
    scene = Scene(a_hook())
    scene.create("workers-1")
    scene.run()
    scene.put_by_hand("workers-1", HeartbeatTimeout=30, DefaultResult="CONTINUE")
    assert scene.run() == ["put workers-1/drain"]
    assert scene.reason == "someone else changed heartbeat_timeout, default_result"
    scene.client.delete_lifecycle_hook(AutoScalingGroupName="workers-1", LifecycleHookName="drain")
    assert scene.run() == ["put workers-1/drain"]
    assert scene.reason == "someone else removed it"
    assert scene.live_hooks("workers-1") == {"drain": AS_CONFIGURED}


def test_a_hook_of_someone_else_is_left_alone_and_told_each_time() -> None:
    scene = Scene(a_hook())
    scene.create("workers-1", "workers-2")
    scene.put_by_hand("workers-1", HeartbeatTimeout=30)
    before = scene.live_hooks("workers-1")
    assert sorted(scene.run()) == ["conflict workers-1/drain", "put workers-2/drain"]
    assert scene.run(2) == ["conflict workers-1/drain"] * 2
    scene.deploy()
    assert scene.run(2) == ["retiring workers-2/drain", "removed workers-2/drain"]
    assert scene.live_hooks("workers-1") == before
    assert scene.recorder.counts["EnrolmentConflicts"] == 3


def test_a_hook_that_notifies_nobody_is_right_as_long_as_it_is_as_configured() -> None:
    scene = Scene(a_hook(notify="eventbridge"))
    scene.create("workers-1")
    scene.put_by_hand("workers-1", HeartbeatTimeout=600)
    before = scene.live_hooks("workers-1")
    assert scene.run(2) == []
    scene.deploy(a_hook(notify="eventbridge", heartbeat_timeout="20m"))
    assert scene.run() == ["conflict workers-1/drain"]
    scene.deploy()
    assert scene.run(3) == []
    assert scene.live_hooks("workers-1") == before


@pytest.mark.parametrize("timeout_s", [600, 30], ids=["as configured", "otherwise"])
def test_a_hook_that_notifies_us_is_ours_again(timeout_s: int) -> None:
    scene = Scene(a_hook())
    scene.create("workers-1")
    scene.put_by_hand("workers-1", NotificationTargetARN=INBOX, RoleARN=ROLE, HeartbeatTimeout=timeout_s)
    assert scene.run(2) == [f"{'reclaimed' if timeout_s == 600 else 'put'} workers-1/drain"]
    assert scene.live_hooks("workers-1") == {"drain": AS_CONFIGURED}
    scene.deploy()
    assert scene.run(2) == ["retiring workers-1/drain", "removed workers-1/drain"]


@pytest.mark.parametrize("selector", ["workers-1", "workers-*"])
@pytest.mark.parametrize("stays_in_the_file", [True, False])
def test_a_hook_whose_group_holds_it_in_its_own_template_is_forgotten_and_stays(
    selector: str, *, stays_in_the_file: bool
) -> None:
    scene = Scene(a_hook(group=selector))
    scene.create("workers-1")
    scene.run()
    before = scene.live_hooks("workers-1")
    scene.deploy(*([a_hook(group=selector)] if stays_in_the_file else []), own_groups=["workers-1"])
    assert scene.run(3) == ["forgot workers-1/drain"]
    assert scene.live_hooks("workers-1") == before
    assert list(scene.records.enrolled()) == []
    scene.deploy(a_hook(group=selector))
    assert scene.run() == ["reclaimed workers-1/drain"]


def test_hooks_by_tags_stand_in_no_groups_own_template_and_are_put_there_too() -> None:
    scene = Scene()
    scene.deploy(a_hook(group={"tags": {"team": "web"}}), own_groups=["workers-1"])
    scene.create("workers-1", Tags=[{"Key": "team", "Value": "web"}])
    assert scene.run(3) == ["put workers-1/drain"]
    scene.deploy(own_groups=["workers-1"])
    assert scene.run(2) == ["retiring workers-1/drain", "removed workers-1/drain"]


def test_a_group_that_goes_is_forgotten_and_its_successor_is_a_new_one() -> None:
    scene = Scene(a_hook())
    scene.create("workers-1", "workers-2")
    scene.run()
    for name in ("workers-1", "workers-2"):
        scene.client.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    scene.clock.run_until(scene.clock() + timedelta(seconds=1))
    scene.create("workers-1")
    scene.put_by_hand("workers-1", HeartbeatTimeout=30)
    assert scene.run() == ["forgot workers-1/drain", "conflict workers-1/drain"]
    assert scene.run() == ["conflict workers-1/drain"], "a list may lag"
    assert scene.run() == ["forgot workers-2/drain", "conflict workers-1/drain"]
    assert list(scene.records.enrolled()) == []


def test_a_group_that_is_being_deleted_is_left_alone_until_it_is_gone() -> None:
    scene = Scene(a_hook())
    scene.create("workers-1", DesiredCapacity=1)
    scene.run()
    scene.client.delete_auto_scaling_group(AutoScalingGroupName="workers-1", ForceDelete=True)
    scene.deploy(a_hook(heartbeat_timeout="20m"))
    assert scene.run(4) == [], "its instance waits in the hook"
    assert scene.run(5) == ["forgot workers-1/drain"]


def test_a_group_that_goes_during_a_pass_is_no_error() -> None:
    scene = Scene(a_hook())
    scene.create("workers-1", "workers-2")

    def gone(request: Request) -> ApiError | None:
        """Between its listing and the call."""
        if request.parameters.get("AutoScalingGroupName") == "workers-1":
            return ApiError(
                "ValidationError",
                "AutoScalingGroup name not found - AutoScalingGroup 'workers-1' not found",
            )
        return None

    scene.faults = [lambda request: gone(request) if request.operation == DESCRIBE_HOOKS else None]
    assert scene.run() == ["put workers-2/drain"]
    scene.faults = [lambda request: gone(request) if request.operation == "PutLifecycleHook" else None]
    assert scene.run() == ["skipped workers-1/drain"]
    assert scene.recorder.counts["EnrolmentConflicts"] == 0


def is_call(operation: str, group: str = "") -> Callable[[Request], bool]:
    def fits(request: Request) -> bool:
        on = request.parameters.get("AutoScalingGroupName", "")
        return request.operation == operation and group in ("", on)

    return fits


def test_each_call_waits_for_its_turn_of_the_shared_budget() -> None:
    scene = Scene(a_hook(), calls_per_second=2)
    scene.create("workers-1", "workers-2")
    asked: Counter[datetime] = Counter()
    scene.faults = [lambda _: asked.update([scene.clock()])]
    assert sorted(scene.run()) == ["put workers-1/drain", "put workers-2/drain"]
    assert list(asked.values()) == [2, 2, 1], "the groups, two descriptions, and two steps"


def test_questions_do_not_use_up_the_turns_of_the_steps_however_many_groups_there_are() -> None:
    """Found where 30 groups were looked into at 10 calls a second: no hook was put any more."""
    scene = Scene(a_hook(), calls_per_second=10)
    scene.create(*(f"workers-{number:02}" for number in range(30)))
    scene.run(2)
    assert len(scene.records.enrolled()) == 30


def is_before(scene: Scene, moment: datetime) -> bool:
    return scene.clock() < moment


def test_a_pass_with_little_time_puts_hooks_all_the_same_and_another_group_comes_first_in_the_next() -> None:
    scene = Scene(a_hook(), calls_per_second=1)
    scene.create(*(f"workers-{number:02}" for number in range(40)))
    for already in (9, 18, 27, 36):
        ends_at = scene.clock() + INTERVAL + timedelta(seconds=20)
        scene.run(has_time=partial(is_before, scene, ends_at))
        assert len(scene.records.enrolled()) >= already


def test_each_page_of_groups_takes_a_turn() -> None:
    scene = Scene(a_hook(), calls_per_second=1)
    scene.create(*(f"others-{number:03}" for number in range(201)))
    asked: list[datetime] = []
    scene.faults = [lambda _: asked.append(scene.clock())]
    scene.run()
    assert [moment - asked[0] for moment in asked] == [timedelta(seconds=second) for second in range(3)]


def test_where_all_seconds_ahead_are_full_the_pass_ends_and_the_next_goes_on() -> None:
    scene = Scene(a_hook(), calls_per_second=1)
    scene.create("workers-1")
    fill(scene.budget, 115, 135)
    scene.asked.clear()
    assert scene.run() == ["put off /"]
    assert (scene.reason, scene.asked) == ("no time or no slot of the call budget is left", [])
    assert scene.run() == ["put workers-1/drain"]


def test_a_throttle_of_the_enrolment_lowers_the_pace_for_all() -> None:
    scene = Scene(a_hook())
    scene.create("workers-1")
    scene.faults = [lambda request: THROTTLED if request.operation == "PutLifecycleHook" else None]
    scene.run()
    now = scene.clock()
    booked = [scene.budget.book(now, now, now, now) for _ in range(1000)]
    assert booked.count(None) > 100


def test_what_was_throttled_does_not_use_up_the_hour() -> None:
    scene = Scene(a_hook(), per_hour=2)
    scene.create("workers-1")
    scene.faults = [lambda request: THROTTLED if request.operation == "PutLifecycleHook" else None]
    assert scene.run(4) == ["put off /"] * 4
    scene.faults = []
    assert scene.run() == ["put workers-1/drain"]


BUSY: Final = [
    pytest.param(operation, error, id=f"{operation} {word}")
    for operation in ("DescribeAutoScalingGroups", DESCRIBE_HOOKS, "PutLifecycleHook")
    for word, error in (("throttled", THROTTLED), ("contended", ApiError("ResourceContention", "", 500)))
]


@pytest.mark.parametrize(
    ("operation", "error"), [*BUSY, pytest.param("DescribeAutoScalingGroups", FAILED, id="no list")]
)
def test_a_busy_auto_scaling_ends_the_pass_until_the_next(operation: str, error: ApiError) -> None:
    scene = Scene(a_hook())
    scene.create("workers-1", "workers-2")
    fits = is_call(operation)
    scene.faults = [lambda request: error if fits(request) else None]
    assert scene.run() == ["put off /"]
    assert scene.asked.count(operation) == 1, "no second call where the first was too much"
    scene.faults = []
    assert sorted(scene.run()) == ["put workers-1/drain", "put workers-2/drain"]
    assert scene.recorder.troubles == []
    assert scene.recorder.counts["Throttled"] == (error is not FAILED)


@pytest.mark.parametrize("operation", [DESCRIBE_HOOKS, "PutLifecycleHook"])
def test_a_group_for_which_auto_scaling_fails_again_and_again_keeps_no_other_from_its_hooks(
    operation: str,
) -> None:
    scene = Scene(a_hook())
    scene.create("workers-1", "workers-2", "workers-3")
    fits = is_call(operation, "workers-1")
    scene.faults = [lambda request: FAILED if fits(request) else None]

    assert sorted(scene.run()) == ["put workers-2/drain", "put workers-3/drain"]
    assert [what for what, _ in scene.recorder.troubles] == ["group workers-1 was skipped"]
    scene.faults = []
    assert scene.run() == ["put workers-1/drain"]


def test_a_group_that_may_not_be_described_costs_itself_and_fails_the_pass_when_all_had_their_turn() -> None:
    scene = Scene(a_hook())
    scene.create("workers-1", "workers-2", "workers-3")
    fits = is_call(DESCRIBE_HOOKS, "workers-1")
    scene.faults = [lambda request: DENIED if fits(request) else None]

    with pytest.raises(CallRefused, match="AccessDenied"):
        scene.run()

    assert sorted(scene.told()) == ["put workers-2/drain", "put workers-3/drain"]


def test_a_target_that_takes_no_test_message_is_a_conflict_in_its_own_words() -> None:
    scene = Scene(a_hook(), per_hour=1)
    scene.create("workers-1")
    del scene.account.outside.targets[INBOX]
    assert scene.run(3) == ["conflict workers-1/drain"] * 3
    assert scene.reason.startswith("ValidationError: Unable to publish test message to notification target")
    assert scene.live_hooks("workers-1") == {}
    scene.account.outside.targets[INBOX] = scene.inbox.append
    assert scene.run() == ["put workers-1/drain"], "what was refused has cost nothing of the limit"


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_a_crash_around_the_first_put_costs_a_repetition(*, after: bool) -> None:
    scene = Scene(a_hook())
    scene.create("workers-1")
    scene.crash(after=after)
    assert scene.record().put_at is None
    assert scene.run(3) == ["put workers-1/drain"]
    assert scene.live_hooks("workers-1") == {"drain": AS_CONFIGURED}
    assert scene.record().is_noted


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("next_file", [[a_hook(heartbeat_timeout="20m")], []], ids=["changed", "removed"])
def test_a_crash_around_a_change_disowns_nothing(next_file: list[dict[str, Any]], *, after: bool) -> None:
    scene = Scene(a_hook())
    scene.create("workers-1")
    scene.run()
    scene.deploy(a_hook(heartbeat_timeout="20m"))
    scene.crash(after=after)
    scene.deploy(*next_file)
    scene.run(4)
    timeouts = [hook["HeartbeatTimeout"] for hook in scene.live_hooks("workers-1").values()]
    assert timeouts == ([1200] if next_file else [])
    assert scene.recorder.counts["EnrolmentConflicts"] == 0


def test_no_more_hooks_are_put_and_removed_in_an_hour_than_the_limit() -> None:
    scene = Scene(a_hook(), per_hour=3)
    scene.create(*(f"workers-{number}" for number in range(5)))
    scene.clock.run_until(at(600))
    assert len(scene.run(5)) == 3
    scene.clock.run_until(at(3600))
    assert len(scene.run()) == 2
    assert all(scene.live_hooks(f"workers-{number}") for number in range(5))
    scene.deploy()
    assert [told.split()[0] for told in scene.run(5)].count("removed") == 1
    scene.clock.run_until(at(2 * 3600))
    assert [told.split()[0] for told in scene.run(5)].count("removed") == 3


def test_the_hourly_limit_guards_globs_and_tags_and_no_groups_that_are_named() -> None:
    names = [f"web-{number}" for number in range(5)]
    scene = Scene(*(a_hook(group=name) for name in names), per_hour=0)
    scene.create(*names)
    assert len(scene.run()) == 5
    scene.deploy()
    scene.run(2)
    assert not any(scene.live_hooks(name) for name in names)


def test_a_great_account_is_enrolled_and_watched_in_few_calls_a_pass() -> None:
    scene = Scene(a_hook(), per_hour=1000)
    scene.create(*(f"workers-{number:03}" for number in range(130)))
    most = 0
    for _ in range(130 // MOST_UNSETTLED + 1):
        before = len(scene.asked)
        scene.run()
        calls = scene.asked[before:]
        assert calls.count("DescribeAutoScalingGroups") == 2, "a page has a hundred"
        most = max(most, calls.count(DESCRIBE_HOOKS))
    assert most <= MOST_UNSETTLED + MOST_SETTLED
    assert len(scene.records.enrolled()) == 130
    scene.put_by_hand("workers-123", HeartbeatTimeout=30)
    assert scene.run(130 // MOST_SETTLED) == ["put workers-123/drain"]


def test_without_hooks_and_without_items_nothing_is_asked() -> None:
    scene = Scene()
    scene.create("workers-1")
    scene.asked.clear()
    assert scene.run() == []
    assert scene.asked == []


def test_the_pass_ends_with_the_time_and_the_next_goes_on() -> None:
    scene = Scene(a_hook())
    scene.create("workers-1", "workers-2", "workers-3")
    time_left = iter([True] * 6 + [False] * 100)  # the groups, one description, and one step
    told = scene.run(has_time=lambda: next(time_left))
    assert [each.rpartition(" ")[0] for each in told] == ["put", "put off"]
    assert len(scene.run()) == 2


class OvertakenGroups(GroupsApi):
    """Another run does everything once this one has seen the hooks."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene.client)
        self._other = scene.enrolment

    def hooks_of(self, group: str) -> Sequence[HookSeen]:
        seen = super().hooks_of(group)
        self._other.run()
        return seen


def test_of_two_runs_at_the_same_time_one_gives_way() -> None:
    scene = Scene(a_hook())
    scene.create("workers-1")
    scene.enrolment = replace(scene.enrolment, groups=OvertakenGroups(scene))
    assert scene.run() == ["put workers-1/drain", "overtaken /"]
    assert scene.asked.count("PutLifecycleHook") == 1


def test_the_record_of_a_hook_that_stands_unchanged_is_kept_alive() -> None:
    scene = Scene(a_hook())
    scene.create("workers-1")
    scene.run()
    kept_at = scene.record().kept_at
    scene.run(10)
    assert scene.record().kept_at == kept_at
    scene.clock.run_until(at(101 * 86_400))
    assert scene.run() == []
    assert scene.record().kept_at == scene.clock()
    assert scene.record().put_at == kept_at
