"""The adapter for groups and hooks, with a real boto3 client that is answered at the wire."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from tests.factories import at
from usher.aws.groups import GroupsApi
from usher.core.action import Result, Transition
from usher.core.hook_items import Enrolled, GroupSeen, HookSeen, HookSettings
from usher.ports.errors import CallRefused, GroupGone, TryLater
from usher_simulator.autoscaling.client import auto_scaling_client
from usher_simulator.autoscaling.query_protocol import ApiError, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

URL: Final = "https://autoscaling.us-east-1.amazonaws.com"
SETTINGS: Final = HookSettings(
    transition=Transition.LAUNCHING, heartbeat_timeout=timedelta(minutes=5), default_result=Result.CONTINUE
)
RECORD: Final = Enrolled(group="workers-1", group_arn="arn", hook="drain", settings=SETTINGS, source="")


class Service:
    """Answers with what it is told, in turn, and keeps what it was asked."""

    def __init__(self, *answers: Mapping[str, Any] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Mapping[str, Any]:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def api(service: Service) -> GroupsApi:
    return GroupsApi(auto_scaling_client(service, lambda: "request-1"))


def a_group(name: str, **members: Any) -> dict[str, Any]:
    needed = {"MinSize": 0, "MaxSize": 1, "DesiredCapacity": 0, "DefaultCooldown": 300, "CreatedTime": at(0)}
    return {"AutoScalingGroupName": name, "AutoScalingGroupARN": f"arn:{name}", **needed, **members}


def test_groups_are_read_page_by_page_without_their_instances() -> None:
    tags = [{"Key": "team", "Value": "web"}, {"Key": "bare"}]
    service = Service(
        {"AutoScalingGroups": [a_group("one", Tags=tags)], "NextToken": "more"},
        {"AutoScalingGroups": [a_group("two", Status="Delete in progress")]},
    )
    assert list(api(service).groups()) == [
        GroupSeen(name="one", arn="arn:one", tags=(("team", "web"), ("bare", ""))),
        GroupSeen(name="two", arn="arn:two", is_ending=True),
    ]
    asked = {"IncludeInstances": False, "MaxRecords": 100}
    assert [request.parameters for request in service.asked] == [asked, asked | {"NextToken": "more"}]


def test_a_hook_is_read_as_it_stands_even_one_that_is_not_known_yet() -> None:
    hook = {
        "LifecycleHookName": "drain",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "HeartbeatTimeout": 300,
        "DefaultResult": "CONTINUE",
    }
    unknown = hook | {"LifecycleHookName": "later", "LifecycleTransition": "autoscaling:EC2_INSTANCE_MOVING"}
    assert list(api(Service({"LifecycleHooks": [hook, unknown]})).hooks_of("workers-1")) == [
        HookSeen(name="drain", settings=SETTINGS),
        HookSeen(name="later", settings=replace(SETTINGS, transition=None)),
    ]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (None, {}),
        (SETTINGS, {}),
        (
            replace(SETTINGS, target_arn="arn:queue", role_arn="arn:role", metadata="owner=jobs"),
            {"NotificationTargetARN": ""},
        ),
    ],
    ids=["new", "without a target before", "with a target before"],
)
def test_a_put_leaves_out_what_is_not_asked_for_and_takes_a_target_off(
    before: HookSettings | None, expected: dict[str, str]
) -> None:
    service = Service({})
    record = replace(RECORD, before=before)
    api(service).put_hook(record)
    assert service.asked[0].parameters == {
        "AutoScalingGroupName": "workers-1",
        "LifecycleHookName": "drain",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "HeartbeatTimeout": 300,
        "DefaultResult": "CONTINUE",
        **expected,
    }


GROUP_GONE: Final = "AutoScalingGroup name not found - AutoScalingGroup 'workers-1' not found"
HOOK_GONE: Final = "No Lifecycle Hook found with name 'drain' for group 'workers-1'"
UNABLE: Final = "Unable to publish test message to notification target arn using IAM role arn."


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ApiError("Throttling", "Rate exceeded"), TryLater),
        (ApiError("ResourceContention", "", 500), TryLater),
        (ApiError("InternalFailure", "", 500), TryLater),
        (ReadTimeoutError(endpoint_url=URL), TryLater),
        (ConnectTimeoutError(endpoint_url=URL), TryLater),
        (EndpointConnectionError(endpoint_url=URL), TryLater),
        (ApiError("ValidationError", GROUP_GONE), GroupGone),
        (ApiError("ValidationError", UNABLE), CallRefused),
        (ApiError("LimitExceeded", "50 hooks"), CallRefused),
        (ApiError("AccessDenied", "User is not authorized", 403), CallRefused),
    ],
    ids=str,
)
def test_every_error_says_what_to_do_about_it(error: Exception, expected: type[Exception]) -> None:
    service = Service(error, error, error)
    for call in (
        lambda: api(service).put_hook(RECORD),
        lambda: api(service).delete_hook(RECORD),
        lambda: api(service).hooks_of("workers-1"),
    ):
        with pytest.raises(expected):
            call()


def test_a_hook_that_is_gone_is_deleted() -> None:
    service = Service(ApiError("ValidationError", HOOK_GONE))
    api(service).delete_hook(RECORD)
    assert [request.operation for request in service.asked] == ["DeleteLifecycleHook"]


def test_what_botocore_refuses_by_itself_is_refused() -> None:
    with pytest.raises(CallRefused, match="AutoScalingGroupName"):
        api(Service()).hooks_of("")
