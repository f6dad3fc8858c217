"""What CloudFormation is answered, and what a deploy does about hooks, against simulated Auto Scaling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.simulation.enrolment_scene import INBOX, a_file, a_hook
from tests.simulation.hooks_scene import CALLED, Account
from usher.core.compiled import Compiled
from usher.core.hook_items import FileInForce
from usher.passes.enrolment import LAST_CALLS_S
from usher.provision import BETWEEN_TRIES_S, PATIENCE, TESTS
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from usher_simulator.autoscaling.query_protocol import Request

GATE: Final = a_hook(name="gate", group="web", transition="launching", policy="hold")
FILE: Final = a_file(GATE)


def said(answer: dict[str, Any]) -> tuple[str, str]:
    assert answer["Reason"] == answer["Data"]["Report"]
    assert answer["PhysicalResourceId"] == "usher-hooks"
    return answer["Status"], answer["Reason"]


def an_account(*groups: str) -> Account:
    account = Account()
    account.create(*(groups or ("web",)))
    return account


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_deploy_answers_when_the_hooks_of_the_groups_that_it_names_stand(kind: str) -> None:
    account = an_account("web", "jobs-1")
    file = a_file(GATE, a_hook(group="jobs-*"))
    assert said(account.provision(kind, file)) == (
        "SUCCESS",
        "the hooks are on 1 of the 1 groups that the file names",
    )
    assert list(account.live_hooks("web")) == ["gate"]
    assert account.records.in_force() == FileInForce(digest=file.digest)
    assert account.live_hooks("jobs-1") == {}, "globs are the sweep's"


def test_a_group_that_is_not_there_fails_before_anything_is_changed() -> None:
    account = an_account()
    file = a_file(GATE, a_hook(group="nowhere"))
    assert said(account.provision("Update", file)) == (
        "FAILED",
        "the hooks file names groups that do not exist: nowhere",
    )
    assert account.live_hooks("web") == {}
    assert account.records.in_force() != FileInForce(digest=file.digest)


def test_a_hook_of_someone_else_fails_the_deploy_in_words() -> None:
    account = an_account()
    account.put_by_hand("web", "gate", HeartbeatTimeout=30)
    status, reason = said(account.provision("Update", FILE))
    assert status == "FAILED"
    assert reason.startswith("gate on web: someone else put a hook of this name, which differs in")


def test_a_test_message_that_does_not_arrive_is_tried_a_few_times() -> None:
    """A role that was made a moment ago may not be known everywhere yet."""
    account = an_account()
    target = account.account.outside.targets.pop(INBOX)
    back_at = account.clock() + (TESTS - 2) * BETWEEN_TRIES_S * (account.clock().resolution * 10**6)
    account.clock.at(back_at, lambda: account.account.outside.targets.update({INBOX: target}))
    assert said(account.provision("Create", FILE))[0] == "SUCCESS"


def test_one_that_never_arrives_fails_the_deploy_in_awss_words() -> None:
    account = an_account()
    del account.account.outside.targets[INBOX]
    status, reason = said(account.provision("Create", FILE))
    assert status == "FAILED"
    assert "Unable to publish test message" in reason
    assert account.asked.count("PutLifecycleHook") == TESTS


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_IN_PROGRESS", None])
def test_a_rollback_fails_nothing_it_tells(status: str | None) -> None:
    """Also to a file that names a group which was deleted meanwhile, or where nobody knows what it is."""
    account = an_account("web", "api")
    account.status = status
    account.put_by_hand("api", "drain", HeartbeatTimeout=30)
    file = a_file(GATE, a_hook(group="nowhere"), a_hook(name="drain", group="api"))
    status, reason = said(account.provision("Update", file))
    assert status == "SUCCESS"
    assert "groups that do not exist: nowhere" in reason
    assert "drain on api: someone else put a hook of this name" in reason
    assert list(account.live_hooks("web")) == ["gate"]
    assert account.records.in_force() == FileInForce(digest=file.digest)


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE", None])
def test_a_deploy_that_was_cancelled_while_auto_scaling_was_busy_does_not_win_over_its_rollback(
    status: str | None,
) -> None:
    """Its function runs on. With its file in force no pass would do anything."""
    account = an_account("web", "api")
    account.provision("Create", FILE)
    account.status = "UPDATE_IN_PROGRESS"
    rolled_back: list[str] = []

    def busy(request: Request) -> ApiError | None:
        if request.operation != "DescribeAutoScalingGroups" or rolled_back:
            return None
        rolled_back.append(request.operation)
        account.status = status
        account.provision("Update", FILE)
        return ApiError("Throttling", "Rate exceeded", 400)

    account.faults = [busy]
    said_last = said(account.provision("Update", a_file(a_hook(name="other", group="api"))))
    assert rolled_back
    assert said_last[0] == "FAILED"
    assert account.records.in_force() == FileInForce(digest=FILE.digest)
    assert not any(record.is_retiring for record in account.records.enrolled())


def test_a_status_that_cannot_be_read_for_a_moment_fails_no_deploy() -> None:
    account = an_account()
    account.statuses = ["UPDATE_IN_PROGRESS", None, None]
    assert said(account.provision("Update", FILE))[0] == "SUCCESS"
    assert account.statuses == []


@pytest.mark.parametrize("status", ["DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"])
def test_a_creation_that_is_tried_again_while_the_stack_goes_puts_nothing(status: str) -> None:
    account = an_account()
    account.status = status
    assert said(account.provision("Create", FILE)) == (
        "SUCCESS",
        f"nothing is put: the stack is being deleted ({status})",
    )
    assert account.live_hooks("web") == {}


def test_what_a_release_has_closed_no_deploy_opens() -> None:
    account = an_account()
    account.records.put_in_force(FileInForce(digest="d", is_closing=True))
    assert said(account.provision("Update", FILE)) == ("FAILED", "nothing is put: Usher is being deleted")
    assert account.live_hooks("web") == {}


def test_a_rollback_fails_nothing_where_auto_scaling_says_no() -> None:
    account = an_account()
    account.status = "UPDATE_ROLLBACK_IN_PROGRESS"
    account.faults = [lambda _: ApiError("AccessDenied", "not authorized", 403)]
    status, reason = said(account.provision("Update", FILE))
    assert (status, "AccessDenied" in reason) == ("SUCCESS", True)
    assert account.records.in_force() == FileInForce(digest=FILE.digest), "so the sweep goes on with it"


def test_a_right_that_a_deploy_has_just_given_is_waited_for() -> None:
    account = an_account()
    denied = [ApiError("AccessDenied", "not authorized to perform: autoscaling:PutLifecycleHook", 403)]
    account.faults = [
        lambda request: denied.pop() if denied and request.operation == "PutLifecycleHook" else None
    ]
    assert said(account.provision("Create", FILE))[0] == "SUCCESS"
    assert list(account.live_hooks("web")) == ["gate"]


def test_a_failed_deploy_that_rolls_back_ends_no_wait() -> None:
    account = an_account("web", "api")
    account.provision("Create", FILE)
    account.of_file(FILE)
    account.live(5)
    account.resize("web", 1)
    account.live(20)
    (waiting,) = account.instances("web")
    account.put_by_hand("api", "drain", HeartbeatTimeout=30)
    assert account.update(a_hook(name="drain", group="api"))["Status"] == "FAILED"
    account.status = "UPDATE_ROLLBACK_IN_PROGRESS"
    assert account.update(GATE)["Status"] == "SUCCESS"
    account.run_passes(3)
    assert account.state(waiting) == "Pending:Wait"
    account.signal(waiting)
    account.live(5)
    assert account.ends(waiting) == {(CALLED, "CONTINUE"): 1}
    assert list(account.live_hooks("web")) == ["gate"]


def test_what_does_not_fit_into_ten_minutes_is_left_to_the_sweep() -> None:
    account = an_account()
    throttled = ApiError("Throttling", "Rate exceeded")
    account.faults = [lambda request: throttled if request.operation == "PutLifecycleHook" else None]
    began = account.clock()
    status, reason = said(account.provision("Create", FILE))
    assert (status, account.clock() - began >= PATIENCE) == ("SUCCESS", True)
    assert "left to the sweep: the hooks on web" in reason
    account.faults = []
    account.enrolment = account.enrolment_of(FILE)
    account.run_passes(1)
    assert list(account.live_hooks("web")) == ["gate"]


def test_an_auto_scaling_that_is_busy_all_the_time_leaves_all_to_the_sweep() -> None:
    account = an_account()
    throttled = ApiError("Throttling", "Rate exceeded")
    account.faults = [lambda _: throttled]
    status, reason = said(account.provision("Create", FILE))
    assert (status, "left to the sweep" in reason) == ("SUCCESS", True)
    assert account.records.in_force() == FileInForce(digest=FILE.digest)


def test_a_deploy_retires_what_left_the_file_and_says_so() -> None:
    account = an_account()
    account.provision("Create", FILE)
    reason = said(account.update())[1]
    assert reason == "the hooks are on 0 of the 0 groups that the file names; 1 hooks are retiring"


def test_a_hook_for_the_other_transition_is_left_to_the_sweep_until_the_old_one_has_gone() -> None:
    account = an_account()
    account.provision("Create", FILE)
    status, reason = said(account.update({**GATE, "transition": "terminating"}))
    assert (status, "left to the sweep: gate on web" in reason) == ("SUCCESS", True)
    account.run_passes(3)
    assert account.live_hooks("web")["gate"]["LifecycleTransition"].endswith("TERMINATING")


def test_a_property_without_a_hooks_file_fails_in_words() -> None:
    account = an_account()
    broken = Compiled(text="{}", own_groups=(), file=None)
    assert said(account.provision("Update", broken)) == (
        "FAILED",
        "property File has no compiled hooks file: KeyError",
    )


def test_a_crash_is_answered_too() -> None:
    account = an_account()
    account.faults = [lambda _: ApiError("AccessDenied", "no", 403)]
    status, reason = said(account.provision("Update", FILE))
    assert status == "FAILED"
    assert reason.startswith("CallRefused: AccessDenied")


def test_an_answer_is_never_longer_than_cloudformation_takes() -> None:
    account = an_account()
    names = [f"no-{number:0200}" for number in range(40)]
    answer = account.provision("Update", a_file(*(a_hook(group=name) for name in names)))
    assert len(str(answer).encode()) < 4096


# Deletion


def waiting_account() -> tuple[Account, str]:
    account = an_account()
    account.provision("Create", FILE)
    account.of_file(FILE)
    account.enrolment = account.enrolment_of(FILE)
    account.live(5)
    account.resize("web", 1)
    account.live(20)
    (instance,) = account.instances("web")
    assert account.state(instance) == "Pending:Wait"
    return account, instance


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"])
def test_where_the_stack_stays_a_deletion_of_the_resource_releases_nothing(status: str) -> None:
    account, instance = waiting_account()
    account.status = status
    assert said(account.provision("Delete", FILE)) == (
        "SUCCESS",
        f"nothing is released: the stack is not being deleted ({status})",
    )
    account.run_passes(3)
    assert account.state(instance) == "Pending:Wait"
    assert list(account.live_hooks("web")) == ["gate"]


def test_where_nobody_knows_whether_the_stack_goes_the_deletion_fails_in_words() -> None:
    account, instance = waiting_account()
    account.status = None
    assert said(account.provision("Delete", FILE))[0] == "FAILED"
    assert account.state(instance) == "Pending:Wait"


@pytest.mark.parametrize("status", ["DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"])
def test_where_the_stack_goes_all_is_released_and_no_hook_is_left(status: str) -> None:
    account, instance = waiting_account()
    account.status = status
    assert said(account.provision("Delete", FILE)) == (
        "SUCCESS",
        "no instance waits any more, and no hook is left",
    )
    account.live(5)
    assert account.state(instance) == "InService"
    assert account.ends(instance) == {(CALLED, "CONTINUE"): 1}
    assert account.live_hooks("web") == {}
    assert {told.split()[0] for told in account.run_passes(3)} <= {"put", "drift"}
    assert account.live_hooks("web") == {}


def test_a_pass_that_runs_while_usher_goes_puts_no_hook_back() -> None:
    account, _ = waiting_account()
    account.status = "DELETE_IN_PROGRESS"
    for second in (1, LAST_CALLS_S + 1, LAST_CALLS_S + 20):
        at = account.clock() + second * (account.clock().resolution * 10**6)
        account.clock.at(at, account.enrolment.run)
    assert said(account.provision("Delete", FILE))[0] == "SUCCESS"
    assert account.live_hooks("web") == {}


def test_a_launch_whose_notice_was_lost_is_let_go_too() -> None:
    account = an_account()
    account.provision("Create", FILE)
    account.account.outside.targets[INBOX] = lambda _: None
    account.live(5)
    account.resize("web", 1)
    account.live(20)
    (instance,) = account.instances("web")
    account.status = "DELETE_IN_PROGRESS"
    assert said(account.provision("Delete", FILE))[0] == "SUCCESS"
    assert account.ends(instance) == {(CALLED, "CONTINUE"): 1}


def test_when_the_stack_goes_a_hook_that_someone_else_put_in_the_place_of_ours_stays() -> None:
    account = an_account("web", "api")
    file = a_file(GATE, a_hook(name="gate", group="api", transition="launching", policy="hold"))
    account.provision("Create", file)
    target = "arn:aws:sqs:us-east-1:111122223333:of-another"
    account.account.outside.targets[target] = lambda _: None
    account.put_by_hand(
        "web", "gate", LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING", NotificationTargetARN=target
    )

    account.status = "DELETE_IN_PROGRESS"
    assert said(account.provision("Delete", file))[0] == "SUCCESS"

    assert account.live_hooks("web")["gate"]["NotificationTargetARN"] == target
    assert account.live_hooks("api") == {}
