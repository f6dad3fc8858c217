"""Every constraint on the input of the six hook operations, at its edge, as raw forms over HTTP.

The cases come from botocore's model, which states the lengths and patterns; what only the user
guide states (aws-facts 1.1) stands below them by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
from botocore.session import get_session

from tests.e2e.doors import GROUP, TERMINATING, Answer, Door, StoppedTime, a_door

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import Shape

    Edges = dict[str, tuple[int | None, int | None]]

HOOK: Final = "usher-drain"
TOKEN: Final = "00000000-0000-4000-8000-000000000000"
NAMES: Final = {"AutoScalingGroupName": GROUP, "LifecycleHookName": HOOK}
VALID: Final[dict[str, dict[str, str]]] = {
    "PutLifecycleHook": NAMES | {"LifecycleTransition": TERMINATING},
    "DescribeLifecycleHooks": {"AutoScalingGroupName": GROUP},
    "DescribeLifecycleHookTypes": {},
    "DeleteLifecycleHook": NAMES,
    "RecordLifecycleActionHeartbeat": NAMES | {"LifecycleActionToken": TOKEN},
    "CompleteLifecycleAction": NAMES | {"LifecycleActionToken": TOKEN, "LifecycleActionResult": "CONTINUE"},
}
# By the beginning of a pattern: text of characters that it just allows, and some that it just does not.
EDGES_OF_PATTERNS: Final = {
    r"[A-Za-z0-9": ("AZaz09-_/", ("@", "[", "`", "{", ":", ".", " ", "é")),
    r"[\u0020-\uD7FF\uE000": (
        " ~é\ud7ff\ue000\ufffd\U00010000\U0010ffff\r\n\t",
        ("\x1f", "\x00", "\x0b", "\ufffe"),
    ),
    r"[\u0009\u000A\u000D\u0020-\u007e": ("\t\n\r ~", ("\x1f", "\x08", "\x0b", "\x7f", "é")),
}
# What the service says once a request has passed its constraints.
NO_ACTION: Final = f"No active Lifecycle Action found with token {TOKEN}"
PASSED: Final = (
    "No active Lifecycle Action found with",
    "AutoScalingGroup name not found - ",
    "No Lifecycle Hook found with name",
    "Unable to publish test message to notification target",
)


class Case(NamedTuple):
    """One request: valid but for one member, and what the service says of it; None where it passes."""

    operation: str
    member: str
    values: list[str] | None
    complaint: str | None


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with a_door(monotonic=StoppedTime()) as door:
        door.create()
        yield door


@pytest.fixture(autouse=True)
def only_the_hook(door: Door) -> None:
    """Each case begins with one hook, so that it never meets the limit on their number."""
    for hook in door.client.describe_lifecycle_hooks(AutoScalingGroupName=GROUP)["LifecycleHooks"]:
        door.client.delete_lifecycle_hook(
            AutoScalingGroupName=GROUP, LifecycleHookName=hook["LifecycleHookName"]
        )
    door.client.put_lifecycle_hook(
        AutoScalingGroupName=GROUP, LifecycleHookName=HOOK, LifecycleTransition=TERMINATING
    )


def send(door: Door, operation: str, **changes: str | list[str] | None) -> Answer:
    """The valid request of an operation, changed; a list becomes members, None leaves a member out."""
    form: dict[str, str] = {"Action": operation, "Version": "2011-01-01"}
    for name, value in (VALID[operation] | changes).items():
        if isinstance(value, list):
            form |= {f"{name}.member.{number}": one for number, one in enumerate(value, start=1)}
        elif value is not None:
            form[name] = value
    return door.send(form)


def assert_refused(answer: Answer, complaint: str, code: str = "ValidationError") -> None:
    said = answer.text("Message") or ""
    assert (answer.status, answer.text("Type"), answer.text("Code")) == (400, "Sender", code)
    assert complaint in said
    assert answer.text("RequestId") == answer.request_id


def assert_passed(answer: Answer) -> None:
    if answer.status != 200:
        assert (answer.text("Message") or "").startswith(PASSED)


# -- from the model ---------------------------------------------------------------------------


def model_cases() -> Iterator[Case]:
    model = get_session().get_service_model("autoscaling")
    for operation in VALID:
        shape = model.operation_model(operation).input_shape
        for name, member in shape.members.items() if shape else ():
            if name in shape.required_members:
                yield Case(operation, name, None, "Member must not be null")
            if member.type_name == "list":
                yield from list_cases(operation, name, member)
            else:
                yield from ((Case(operation, name, [text], said)) for text, said in text_cases(member))


def list_cases(operation: str, name: str, shape: Shape) -> Iterator[Case]:
    most = shape.metadata["max"]
    yield Case(operation, name, [HOOK] * most, None)
    too_many = f"Member must have length less than or equal to {most}"
    yield Case(operation, name, [HOOK] * (most + 1), too_many)
    for text, said in text_cases(shape.member):
        yield Case(operation, name, [HOOK, text], said)


def text_cases(shape: Shape) -> Iterator[tuple[str, str | None]]:
    """The edges of a string's length and pattern."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None:
        yield "a" * least, None
    if least:
        yield "a" * (least - 1), f"Member must have length greater than or equal to {least}"
    if most is not None:
        yield "a" * most, None
        yield "a" * (most + 1), f"Member must have length less than or equal to {most}"
    pattern = shape.metadata.get("pattern")
    if pattern is not None:
        good, bad = next(edges for start, edges in EDGES_OF_PATTERNS.items() if pattern.startswith(start))
        yield good, None
        complaint = f"Member must satisfy regular expression pattern: {pattern}"
        yield from ((f"a{character}", complaint) for character in bad)


def named(case: Case) -> str:
    shown = (
        "missing"
        if case.values is None
        else f"{len(case.values)}x{len(case.values[-1])}-{case.values[-1][:12]!a}"
    )
    return f"{case.operation}-{case.member}-{shown}-{'passes' if case.complaint is None else 'fails'}"


MODEL_CASES: Final = list(model_cases())


@pytest.mark.parametrize("case", MODEL_CASES, ids=map(named, MODEL_CASES))
def test_the_service_keeps_the_constraints_of_its_model(door: Door, case: Case) -> None:
    is_list = case.member == "LifecycleHookNames"
    value: Any = case.values if is_list or case.values is None else case.values[0]
    answer = send(door, case.operation, **{case.member: value})
    if case.complaint is None:
        assert_passed(answer)
        return
    is_of_element = is_list and case.values is not None and len(case.values) == 2
    path = case.member[0].lower() + case.member[1:] + (".2.member" if is_of_element else "")
    assert_refused(answer, f" at '{path}' failed to satisfy constraint: {case.complaint}")


def test_the_model_states_what_aws_facts_says() -> None:
    """A botocore that states other edges is to be looked at."""
    model = get_session().get_service_model("autoscaling")
    stated = {
        (operation, name): (member.metadata.get("min"), member.metadata.get("max"))
        for operation in VALID
        if (shape := model.operation_model(operation).input_shape) is not None
        for name, member in shape.members.items()
    }
    of_hooks: Edges = {"LifecycleHookName": (1, 255), "AutoScalingGroupName": (1, 255)}
    of_actions: Edges = of_hooks | {
        "AutoScalingGroupName": (1, 1600),
        "LifecycleActionToken": (36, 36),
        "InstanceId": (1, 19),
    }
    expected: dict[str, Edges] = {
        "PutLifecycleHook": of_hooks
        | {
            "LifecycleTransition": (None, None),
            "RoleARN": (1, 255),
            "NotificationTargetARN": (0, 255),
            "NotificationMetadata": (1, 4000),
            "HeartbeatTimeout": (None, None),
            "DefaultResult": (None, None),
        },
        "DescribeLifecycleHooks": {"AutoScalingGroupName": (1, 255), "LifecycleHookNames": (None, 50)},
        "DeleteLifecycleHook": of_hooks,
        "RecordLifecycleActionHeartbeat": of_actions,
        "CompleteLifecycleAction": of_actions | {"LifecycleActionResult": (None, None)},
    }
    assert {(op, name): edge for op, edges in expected.items() for name, edge in edges.items()} == stated


# -- what only the user guide states ----------------------------------------------------------


@pytest.mark.parametrize("timeout", ["30", "7200"])
def test_a_heartbeat_timeout_at_its_edge_is_taken(door: Door, timeout: str) -> None:
    assert send(door, "PutLifecycleHook", HeartbeatTimeout=timeout).status == 200
    answer = send(door, "DescribeLifecycleHooks")
    assert answer.text("HeartbeatTimeout") == timeout
    assert answer.text("GlobalTimeout") == {"30": "3000", "7200": "172800"}[timeout]


@pytest.mark.parametrize(
    ("timeout", "code"),
    [
        ("29", "ValidationError"),
        ("7201", "ValidationError"),
        ("0", "ValidationError"),
        ("-1", "ValidationError"),
        ("2147483647", "ValidationError"),
        ("2147483648", "MalformedInput"),
        ("30.5", "MalformedInput"),
        ("an hour", "MalformedInput"),
        ("٣٠", "MalformedInput"),
        ("", "MalformedInput"),
    ],
)
def test_a_heartbeat_timeout_beyond_its_edge_is_refused(door: Door, timeout: str, code: str) -> None:
    answer = send(door, "PutLifecycleHook", HeartbeatTimeout=timeout)
    assert_refused(answer, "HeartbeatTimeout" if code == "ValidationError" else "is not a number", code)
    assert send(door, "DescribeLifecycleHooks").text("HeartbeatTimeout") == "3600"


@pytest.mark.parametrize("result", ["continue", "RETRY", "CONTINUE ", ""])
def test_no_other_result_is_taken(door: Door, result: str) -> None:
    assert_refused(send(door, "PutLifecycleHook", DefaultResult=result), "CONTINUE or ABANDON")
    completed = send(door, "CompleteLifecycleAction", LifecycleActionResult=result)
    assert_refused(completed, "CONTINUE or ABANDON")


@pytest.mark.parametrize("transition", ["EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_LAUNCH", ""])
def test_no_other_transition_is_taken(door: Door, transition: str) -> None:
    answer = send(door, "PutLifecycleHook", LifecycleTransition=transition)
    assert_refused(answer, "autoscaling:EC2_INSTANCE_LAUNCHING or autoscaling:EC2_INSTANCE_TERMINATING")


def test_a_new_hook_needs_a_transition_and_a_known_one_keeps_its_own(door: Door) -> None:
    new = send(door, "PutLifecycleHook", LifecycleHookName="new", LifecycleTransition=None)
    assert_refused(new, "LifecycleTransition")
    assert send(door, "PutLifecycleHook", LifecycleTransition=None).status == 200
    assert send(door, "DescribeLifecycleHooks").text("LifecycleTransition") == TERMINATING


@pytest.mark.parametrize("operation", ["RecordLifecycleActionHeartbeat", "CompleteLifecycleAction"])
def test_an_action_is_named_by_token_or_instance(door: Door, operation: str) -> None:
    neither = send(door, operation, LifecycleActionToken=None)
    assert_refused(neither, "LifecycleActionToken or InstanceId")
    instance = send(door, operation, LifecycleActionToken=None, InstanceId="i-0598c7d356eba48d7")
    assert_refused(instance, "No active Lifecycle Action found with instance ID i-0598c7d356eba48d7")


def test_a_group_has_fifty_hooks_and_no_more(door: Door) -> None:
    for number in range(2, 51):
        assert send(door, "PutLifecycleHook", LifecycleHookName=f"hook-{number}").status == 200
    one_more = send(door, "PutLifecycleHook", LifecycleHookName="hook-51")
    assert_refused(one_more, "50", code="LimitExceeded")
    assert send(door, "PutLifecycleHook", HeartbeatTimeout="60").status == 200


def test_every_broken_constraint_is_told_at_once(door: Door) -> None:
    answer = send(door, "PutLifecycleHook", LifecycleHookName="", NotificationMetadata="é", RoleARN=None)
    assert_refused(answer, "3 validation errors detected: ")


def test_metadata_comes_back_as_it_was_put(door: Door) -> None:
    metadata = "\t<a&b>\r\n ~"
    assert send(door, "PutLifecycleHook", NotificationMetadata=metadata).status == 200
    assert send(door, "DescribeLifecycleHooks").text("NotificationMetadata") == metadata
