"""The six hook operations of simulated Auto Scaling, through a real boto3 client in process."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest
from botocore.exceptions import ClientError

from tests.factories import START
from usher.core import messages, notifications
from usher_simulator.autoscaling.account import Account, an_account
from usher_simulator.autoscaling.engine import Assumptions
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.notifications import ACCOUNT, REGION
from usher_simulator.autoscaling.query_protocol import ApiError, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher_simulator.autoscaling.lifecycle_actions import Wait

GROUP: Final = "web"
QUEUE: Final = f"arn:aws:sqs:{REGION}:{ACCOUNT}:inbox"
OTHER_QUEUE: Final = f"arn:aws:sqs:{REGION}:{ACCOUNT}:other"
TOPIC: Final = f"arn:aws:sns:{REGION}:{ACCOUNT}:hooks"
FUNCTION: Final = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:intake"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/notifier"
LAUNCHING: Final = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING: Final = "autoscaling:EC2_INSTANCE_TERMINATING"
UNKNOWN_TOKEN: Final = "00000000-0000-4000-8000-000000000000"
Door = Literal["complete_lifecycle_action", "record_lifecycle_action_heartbeat"]
DOORS: Final[tuple[Door, ...]] = ("complete_lifecycle_action", "record_lifecycle_action_heartbeat")
GIVEN: Final[dict[str, Any]] = {
    "LifecycleTransition": TERMINATING,
    "NotificationTargetARN": QUEUE,
    "RoleARN": ROLE,
    "NotificationMetadata": "owner=jobs",
    "HeartbeatTimeout": 30,
    "DefaultResult": "CONTINUE",
}


class Inbox(list[str]):
    """What a queue was sent."""

    @property
    def tests(self) -> list[dict[str, Any]]:
        """The test messages."""
        return [
            body for body in map(json.loads, self) if body.get("Event") == "autoscaling:TEST_NOTIFICATION"
        ]


def with_group(desired: int = 0, *, assumptions: Assumptions | None = None, **settings: Any) -> Account:
    """An account with one group that has come to rest, or to its first hook."""
    account = an_account(START, assumptions=assumptions)
    account.client.create_auto_scaling_group(
        AutoScalingGroupName=GROUP, MinSize=0, MaxSize=4, DesiredCapacity=desired, **ANY_SOURCE, **settings
    )
    run(account)
    return account


def with_inbox(account: Account, arn: str = QUEUE) -> Inbox:
    """A queue that takes messages."""
    inbox = Inbox()
    account.outside.targets[arn] = inbox.append
    return inbox


def run(account: Account, seconds: float = 5) -> None:
    account.clock.run_until(account.clock() + timedelta(seconds=seconds))


def put(account: Account, name: str = "hook", **parameters: Any) -> str:
    """Put a hook; the id of the request."""
    answer = account.client.put_lifecycle_hook(
        AutoScalingGroupName=GROUP, LifecycleHookName=name, **parameters
    )
    return str(answer["ResponseMetadata"]["RequestId"])


def put_new(account: Account, name: str = "hook", **parameters: Any) -> str:
    return put(account, name, **({"LifecycleTransition": LAUNCHING} | parameters))


def hooks(account: Account, *names: str) -> list[dict[str, Any]]:
    wanted: Any = {"LifecycleHookNames": list(names)} if names else {}
    described = account.client.describe_lifecycle_hooks(AutoScalingGroupName=GROUP, **wanted)
    return [dict(hook) for hook in described["LifecycleHooks"]]


def refused(call: Callable[..., object], **parameters: Any) -> tuple[str, str, int]:
    """Code, message and HTTP status with which a call is refused."""
    with pytest.raises(ClientError) as raised:
        call(**parameters)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"], raised.value.response["ResponseMetadata"]["HTTPStatusCode"]


def waits_of(account: Account) -> list[Wait]:
    """Every lifecycle action that there ever was, oldest first."""
    details = [one["detail"] for one in account.outside.events if "LifecycleActionToken" in one["detail"]]
    waits = [account.fleet.waits.of_token(one["LifecycleActionToken"]) for one in details]
    return [wait for wait in waits if wait is not None]


def waiting(
    transition: str = LAUNCHING, *, assumptions: Assumptions | None = None, **hook: Any
) -> tuple[Account, Wait]:
    """An account in which one instance waits in a hook called `hook`."""
    account = with_group(1 if transition == TERMINATING else 0, assumptions=assumptions)
    put(account, LifecycleTransition=transition, **({"HeartbeatTimeout": 60} | hook))
    desired = 0 if transition == TERMINATING else 1
    account.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=desired)
    run(account)
    return account, waits_of(account)[0]


def states(account: Account) -> list[str]:
    described = account.client.describe_auto_scaling_instances()["AutoScalingInstances"]
    return [instance["LifecycleState"] for instance in described]


def at_door(account: Account, door: Door, **named: Any) -> None:
    """Complete or beat the action that is named."""
    result: Any = {"LifecycleActionResult": "CONTINUE"} if door == "complete_lifecycle_action" else {}
    fields = {"AutoScalingGroupName": GROUP, "LifecycleHookName": "hook"} | result | named
    getattr(account.client, door)(**fields)


# -- PutLifecycleHook and DescribeLifecycleHooks (1.1) ---------------------------------------------


def test_a_new_hook_keeps_all_that_it_is_given() -> None:
    account = with_group()
    with_inbox(account)
    put(account, **GIVEN)
    assert hooks(account) == [
        GIVEN | {"LifecycleHookName": "hook", "AutoScalingGroupName": GROUP, "GlobalTimeout": 3000}
    ]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"LifecycleTransition": LAUNCHING},
        {"HeartbeatTimeout": 7200, "GlobalTimeout": 172_800},
        {"DefaultResult": "ABANDON"},
        {"NotificationMetadata": "owner=ops"},
        {"RoleARN": f"{ROLE}-2"},
        {"NotificationTargetARN": OTHER_QUEUE},
    ],
    ids=lambda change: ", ".join(change) or "nothing",
)
def test_an_update_keeps_what_it_leaves_out(change: dict[str, Any]) -> None:
    account = with_group()
    with_inbox(account)
    with_inbox(account, OTHER_QUEUE)
    put(account, **GIVEN)
    (before,) = hooks(account)
    put(account, **{key: value for key, value in change.items() if key != "GlobalTimeout"})
    assert hooks(account) == [before | change]


def test_an_empty_target_clears_it_and_sends_nothing() -> None:
    account = with_group()
    inbox = with_inbox(account)
    put_new(account, NotificationTargetARN=QUEUE, RoleARN=ROLE)
    put(account, NotificationTargetARN="")
    run(account)
    assert "NotificationTargetARN" not in hooks(account)[0]
    assert len(inbox.tests) == 1


def test_hooks_are_described_by_name_and_unknown_names_are_passed_over() -> None:
    account = with_group()
    for name in ("a", "b", "c"):
        put_new(account, name)
    assert [hook["LifecycleHookName"] for hook in hooks(account)] == ["a", "b", "c"]
    assert [hook["LifecycleHookName"] for hook in hooks(account, "c", "a", "x")] == ["a", "c"]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("hook", {}),
        ("hook", {"LifecycleTransition": "autoscaling:EC2_INSTANCE_STOPPING"}),
        ("hook", {"LifecycleTransition": LAUNCHING, "HeartbeatTimeout": 29}),
        ("hook", {"LifecycleTransition": LAUNCHING, "HeartbeatTimeout": 7201}),
        ("hook", {"LifecycleTransition": LAUNCHING, "DefaultResult": "continue"}),
        ("hook", {"LifecycleTransition": LAUNCHING, "NotificationMetadata": "x" * 4001}),
        ("a hook", {"LifecycleTransition": LAUNCHING}),
        ("h" * 256, {"LifecycleTransition": LAUNCHING}),
    ],
    ids=[
        "no transition",
        "unknown transition",
        "29 s",
        "7201 s",
        "result in small letters",
        "long metadata",
        "name with a space",
        "long name",
    ],
)
def test_what_breaks_a_rule_is_refused_and_not_put(name: str, parameters: dict[str, Any]) -> None:
    account = with_group()
    code, _, status = refused(put, account=account, name=name, **parameters)
    assert (code, status) == ("ValidationError", 400)
    assert hooks(account) == []


@pytest.mark.parametrize(
    ("target", "role", "said"),
    [
        (QUEUE, {}, "needs a RoleARN"),
        (TOPIC, {}, "needs a RoleARN"),
        (f"{QUEUE}.fifo", {"RoleARN": ROLE}, "FIFO"),
    ],
    ids=["queue without role", "topic without role", "FIFO queue"],
)
def test_a_target_that_aws_would_not_take_is_refused_whatever_would_receive_its_test_message(
    target: str, role: dict[str, Any], said: str
) -> None:  # 1.1, 3.6
    account = with_group()
    inbox = with_inbox(account, target)
    hook = {"NotificationTargetARN": target, **role}
    code, message, _ = refused(put_new, account=account, **hook)
    assert (code, said in message) == ("ValidationError", True)
    code, message, _ = refused(with_group, LifecycleHookSpecificationList=[spec("hook", **hook)])
    assert (code, said in message) == ("ValidationError", True)
    put_new(account)
    assert refused(put, account=account, **hook)[0] == "ValidationError"
    assert ("NotificationTargetARN" in hooks(account)[0], inbox) == (False, [])


def test_a_target_keeps_the_role_that_its_hook_had_and_a_function_needs_none() -> None:  # 1.1
    account = with_group()
    for arn in (QUEUE, OTHER_QUEUE, FUNCTION):
        with_inbox(account, arn)
    put_new(account, NotificationTargetARN=QUEUE, RoleARN=ROLE)
    put(account, NotificationTargetARN=OTHER_QUEUE)
    put_new(account, "another", NotificationTargetARN=FUNCTION)
    assert [hook["NotificationTargetARN"] for hook in hooks(account)] == [OTHER_QUEUE, FUNCTION]


def test_the_51st_hook_is_one_too_many_and_an_update_is_not() -> None:  # 1.1, 1.2
    account = with_group(LifecycleHookSpecificationList=[spec(f"hook-{number}") for number in range(49)])
    put_new(account, "hook-49")
    code, _, status = refused(put_new, account=account, name="hook-50")
    assert (code, status) == ("LimitExceeded", 400)
    put(account, "hook-0", HeartbeatTimeout=30)
    assert len(hooks(account)) == 50


# -- test messages (1.2, 3.2, 9.14) ----------------------------------------------------------------


def test_the_test_message_has_the_id_of_the_call_and_a_time_within_it() -> None:  # 9.14
    account = with_group()
    inbox = with_inbox(account)
    before = account.clock()
    request_id = put_new(account, NotificationTargetARN=QUEUE, RoleARN=ROLE)
    after = account.clock()
    run(account)
    notice = messages.read(inbox[0])
    assert isinstance(notice, notifications.TestNotice)
    assert (len(inbox), notice.group, notice.request_id) == (1, GROUP, request_id)
    assert before <= notice.at <= after
    assert "hook" not in {str(value) for value in inbox.tests[0].values()}


def test_a_hook_without_a_target_sends_no_test_message() -> None:
    account = with_group()
    inbox = with_inbox(account)
    put_new(account)
    run(account)
    assert inbox == []


@pytest.mark.parametrize(
    ("sends", "change", "tests"),
    [
        (True, {"NotificationTargetARN": QUEUE}, 2),
        (True, {"HeartbeatTimeout": 30}, 1),
        (False, {"NotificationTargetARN": QUEUE}, 1),
    ],
    ids=["target given", "target kept", "assumed otherwise"],
)
def test_an_update_that_gives_a_target_sends_a_test_message_again(  # 8, assumed
    sends: bool, change: dict[str, Any], tests: int
) -> None:
    account = with_group(assumptions=Assumptions(update_sends_test=sends))
    inbox = with_inbox(account)
    put_new(account, NotificationTargetARN=QUEUE, RoleARN=ROLE)
    put(account, **change)
    run(account)
    assert len(inbox.tests) == tests


def test_an_update_to_a_target_that_is_absent_changes_nothing() -> None:  # 1.2
    account = with_group()
    with_inbox(account)
    put_new(account, NotificationTargetARN=QUEUE, RoleARN=ROLE)
    before = hooks(account)
    change = {"NotificationTargetARN": OTHER_QUEUE, "HeartbeatTimeout": 30}
    assert refused(put, account=account, **change)[0] == "ValidationError"
    assert hooks(account) == before


# -- hooks that come with the group (1.3) ----------------------------------------------------------


def spec(name: str, transition: str = LAUNCHING, **fields: Any) -> dict[str, Any]:
    return {"LifecycleHookName": name, "LifecycleTransition": transition, "HeartbeatTimeout": 60} | fields


def test_hooks_that_come_with_the_group_hold_its_first_instances() -> None:
    account = with_group(2, LifecycleHookSpecificationList=[spec("up"), spec("down", TERMINATING)])
    assert [hook["LifecycleHookName"] for hook in hooks(account)] == ["up", "down"]
    assert states(account) == ["Pending:Wait", "Pending:Wait"]


def test_hooks_that_come_with_the_group_send_a_test_message_each() -> None:
    account = an_account(START)
    inbox = with_inbox(account)
    target = {"NotificationTargetARN": QUEUE, "RoleARN": ROLE}
    answer = account.client.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=0,
        MaxSize=1,
        **ANY_SOURCE,
        LifecycleHookSpecificationList=[spec("up", **target), spec("down", TERMINATING, **target)],  # type: ignore[list-item]
    )
    run(account)
    assert [body["RequestId"] for body in inbox.tests] == [answer["ResponseMetadata"]["RequestId"]] * 2


@pytest.mark.parametrize(
    "specified",
    [
        [
            spec("up", NotificationTargetARN=QUEUE, RoleARN=ROLE),
            spec("down", NotificationTargetARN=OTHER_QUEUE, RoleARN=ROLE),
        ],
        [
            spec("up", NotificationTargetARN=QUEUE, RoleARN=ROLE),
            spec("down", NotificationTargetARN=QUEUE, RoleARN=f"{ROLE}-2"),
        ],
        [spec("up", NotificationTargetARN=f"{QUEUE}-that-is-absent", RoleARN=ROLE)],
        [spec("up"), spec("down", HeartbeatTimeout=29)],
        [spec("up"), spec("up", TERMINATING)],
        [spec(f"hook-{number}") for number in range(51)],
    ],
    ids=["two targets", "two roles", "absent target", "bad timeout", "one name twice", "51 hooks"],
)
def test_a_group_whose_hooks_are_refused_is_not_created(specified: list[dict[str, Any]]) -> None:
    account = an_account(START)
    for arn in (QUEUE, OTHER_QUEUE):
        with_inbox(account, arn)
    code, _, status = refused(
        account.client.create_auto_scaling_group,
        AutoScalingGroupName=GROUP,
        MinSize=0,
        MaxSize=1,
        **ANY_SOURCE,
        LifecycleHookSpecificationList=specified,
    )
    assert (code, status) in {("ValidationError", 400), ("LimitExceeded", 400)}
    assert account.client.describe_auto_scaling_groups()["AutoScalingGroups"] == []


# -- DeleteLifecycleHook (1.1) ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transition", "default", "result"),
    [(LAUNCHING, "CONTINUE", "ABANDON"), (TERMINATING, "ABANDON", "CONTINUE")],
    ids=["launching", "terminating"],
)
def test_a_hook_that_is_deleted_settles_what_it_holds(transition: str, default: str, result: str) -> None:
    account, wait = waiting(transition, DefaultResult=default)
    account.client.delete_lifecycle_hook(AutoScalingGroupName=GROUP, LifecycleHookName="hook")
    assert (wait.result, wait.ended_at) == (result, account.clock())
    run(account)
    assert hooks(account) == []
    assert wait.instance_id not in {
        one["InstanceId"] for one in account.client.describe_auto_scaling_instances()["AutoScalingInstances"]
    }


def test_a_hook_that_is_deleted_leaves_the_other_hooks_of_a_termination() -> None:
    account = with_group(1)
    for name in ("hook", "other"):
        put(account, name, LifecycleTransition=TERMINATING)
    account.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=0)
    run(account)
    account.client.delete_lifecycle_hook(AutoScalingGroupName=GROUP, LifecycleHookName="hook")
    run(account)
    assert [wait.is_open for wait in waits_of(account)] == [False, True]
    assert states(account) == ["Terminating:Wait"]


def test_a_hook_that_is_not_there_cannot_be_deleted() -> None:
    account = with_group()
    assert refused(
        account.client.delete_lifecycle_hook, AutoScalingGroupName=GROUP, LifecycleHookName="x"
    ) == ("ValidationError", f"No Lifecycle Hook found with name 'x' for group '{GROUP}'", 400)


@pytest.mark.parametrize(
    ("call", "parameters"),
    [
        ("put_lifecycle_hook", {"LifecycleHookName": "hook", "LifecycleTransition": LAUNCHING}),
        ("describe_lifecycle_hooks", {}),
        ("delete_lifecycle_hook", {"LifecycleHookName": "hook"}),
    ],
)
def test_a_group_that_is_not_there_is_named_in_the_refusal(call: str, parameters: dict[str, str]) -> None:
    client = an_account(START).client
    assert refused(getattr(client, call), AutoScalingGroupName="x", **parameters) == (
        "ValidationError",
        "AutoScalingGroup name not found - AutoScalingGroup 'x' not found",
        400,
    )


# -- CompleteLifecycleAction and RecordLifecycleActionHeartbeat (1.1, 1.2) -------------------------


@pytest.mark.parametrize("by", ["token", "instance id"])
def test_an_action_is_beaten_and_completed_by_token_or_by_instance(by: str) -> None:  # 9.5
    account, wait = waiting()
    named = {"LifecycleActionToken": wait.token} if by == "token" else {"InstanceId": wait.instance_id}
    at_door(account, "record_lifecycle_action_heartbeat", **named)
    assert wait.expires_at == account.clock() + timedelta(seconds=60)
    at_door(account, "complete_lifecycle_action", **named)
    assert (wait.result, wait.ended_at) == ("CONTINUE", account.clock())
    run(account)
    assert states(account) == ["InService"]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "wrong",
    [
        {"AutoScalingGroupName": "other"},
        {"AutoScalingGroupName": "WEB"},
        {"LifecycleHookName": "other"},
        {"LifecycleHookName": "HOOK"},
        {"LifecycleActionToken": UNKNOWN_TOKEN},
    ],
    ids=["another group", "group in capitals", "another hook", "hook in capitals", "unknown token"],
)
def test_a_call_that_names_no_open_action_by_token_says_so(door: Door, wrong: dict[str, str]) -> None:
    account, wait = waiting()
    named = {"LifecycleActionToken": wait.token} | wrong
    said = f"No active Lifecycle Action found with token {named['LifecycleActionToken']}"
    assert refused(at_door, account=account, door=door, **named) == ("ValidationError", said, 400)
    assert wait.is_open


@pytest.mark.parametrize("door", DOORS)
def test_a_token_in_capitals_names_no_action(door: Door) -> None:
    account, wait = waiting()
    token = wait.token.upper()
    said = f"No active Lifecycle Action found with token {token}"
    assert refused(at_door, account=account, door=door, LifecycleActionToken=token)[1] == said


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "wrong",
    [
        {"AutoScalingGroupName": "other"},
        {"LifecycleHookName": "other"},
        {"InstanceId": "i-0123456789abcdef0"},
    ],
    ids=["another group", "another hook", "unknown instance"],
)
def test_a_call_that_names_no_open_action_by_instance_says_so(door: Door, wrong: dict[str, str]) -> None:
    account, wait = waiting()
    named = {"InstanceId": wait.instance_id} | wrong
    said = f"No active Lifecycle Action found with instance ID {named['InstanceId']}"
    assert refused(at_door, account=account, door=door, **named) == ("ValidationError", said, 400)
    assert wait.is_open


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("ended_by", ["a call", "the timeout"])
def test_an_action_that_has_ended_is_no_longer_active(door: Door, ended_by: str) -> None:  # 2.1
    account, wait = waiting()
    if ended_by == "a call":
        at_door(account, "complete_lifecycle_action", LifecycleActionToken=wait.token)
    else:
        run(account, 70)
    ended = (wait.ended_at, wait.result, wait.ended_by)
    for named, shown in (
        ({"LifecycleActionToken": wait.token}, f"token {wait.token}"),
        ({"InstanceId": wait.instance_id}, f"instance ID {wait.instance_id}"),
    ):
        said = f"No active Lifecycle Action found with {shown}"
        assert refused(at_door, account=account, door=door, **named) == ("ValidationError", said, 400)
    assert (wait.ended_at, wait.result, wait.ended_by) == ended


@pytest.mark.parametrize("door", DOORS)
def test_a_call_that_names_neither_token_nor_instance_is_refused(door: Door) -> None:  # 8, assumed text
    account, wait = waiting()
    code, _, status = refused(at_door, account=account, door=door)
    assert (code, status, wait.is_open) == ("ValidationError", 400, True)


@pytest.mark.parametrize("token_wins", [True, False])
def test_of_a_token_and_an_instance_that_differ_the_one_assumed_counts(token_wins: bool) -> None:  # 8
    account, first = waiting(assumptions=Assumptions(token_wins=token_wins))
    account.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
    run(account)
    second = waits_of(account)[1]
    named = {"LifecycleActionToken": first.token, "InstanceId": second.instance_id}
    at_door(account, "complete_lifecycle_action", **named)
    assert [first.is_open, second.is_open] == [not token_wins, token_wins]


@pytest.mark.parametrize("result", ["continue", "CANCEL", "Continue"])
def test_a_result_that_is_none_is_refused(result: str) -> None:
    account, wait = waiting()
    named = {"LifecycleActionToken": wait.token, "LifecycleActionResult": result}
    code, _, status = refused(at_door, account=account, door=DOORS[0], **named)
    assert (code, status, wait.is_open) == ("ValidationError", 400, True)


# -- busy (1.2) ------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ApiError("Throttling", "Rate exceeded"), ("Throttling", "Rate exceeded", 400)),
        (
            ApiError("ResourceContention", "You already have a pending update.", 500),
            ("ResourceContention", "You already have a pending update.", 500),
        ),
    ],
    ids=["Throttling", "ResourceContention"],
)
def test_a_busy_account_refuses_before_anything_is_done(
    door: Door, error: ApiError, told: tuple[str, str, int]
) -> None:
    account, wait = waiting()
    before = wait.expires_at
    account.service.fault = lambda _: error
    assert refused(at_door, account=account, door=door, LifecycleActionToken=wait.token) == told
    assert (wait.is_open, wait.expires_at) == (True, before)
    account.service.fault = lambda _: None
    at_door(account, door, LifecycleActionToken=wait.token)


def test_a_fault_is_chosen_by_the_call() -> None:
    account = with_group()

    def beats_only(request: Request) -> ApiError | None:
        is_beat = request.operation == "RecordLifecycleActionHeartbeat"
        return ApiError("Throttling", "Rate exceeded") if is_beat else None

    account.service.fault = beats_only
    put_new(account)
    named = {"LifecycleActionToken": UNKNOWN_TOKEN}
    assert (
        refused(at_door, account=account, door="record_lifecycle_action_heartbeat", **named)[0]
        == "Throttling"
    )
    assert (
        refused(at_door, account=account, door="complete_lifecycle_action", **named)[0] == "ValidationError"
    )
