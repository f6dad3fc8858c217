from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from tests.aws_shapes import ShapedCalls, checked
from tests.conditions import (
    BUSY,
    FAILED,
    HOLDS,
    PENDING,
    SILENT,
    UNKNOWN,
    Answers,
    Sample,
    Watch,
    assert_refused,
    parsed,
)
from tests.factories import a_policy, an_action, at
from usher.aws.calls import AwsCalls
from usher.core.conditions.function import MOST_ERRORS, Function, payload
from usher.core.conditions.probe import Call, Found, Permission, Reply, ReplyKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from usher.core.finding import Memory

SMOKE = Function(function="smoke-test")
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:smoke-test:live"
INSTANCES = [{"Placement": {"AvailabilityZone": "us-east-1a"}}]
PLACED: dict[str, Any] = {"Reservations": [{"Instances": INSTANCES}]}
ZONE: Memory = {"zone": "us-east-1a"}
EXCEPTION = {"errorMessage": "division by zero", "errorType": "ZeroDivisionError", "stackTrace": []}


def saying(status: str) -> Callable[[str], Answers]:
    """It is asked of one instance, so it speaks of no other."""
    invoked = {"StatusCode": 200, "Payload": json.dumps({"status": status})}
    return lambda _: {"Invoke": invoked, "DescribeInstances": PLACED}


SAMPLES = [
    Sample(
        written={"function": written},
        holds=saying("done"),
        pending=saying("pending"),
        fails=saying("failed")(""),
        missing=(("Invoke", "ResourceNotFoundException"),),
        told_only=frozenset({"DescribeInstances"}),
    )
    for written in ("smoke-test", "smoke-test:live", ARN, {"name": "smoke-test", "every": "1m"})
]


def answered(text: str | bytes, **parts: str) -> Reply:
    """What Invoke answers with: the payload as AwsCalls hands it on, text."""
    data = {"StatusCode": 200, "Payload": text, "ExecutedVersion": "$LATEST", **parts}
    return Reply(kind=ReplyKind.ANSWERED, data=checked("lambda", "Invoke", data))


def raised(body: object = EXCEPTION) -> Reply:
    return answered(json.dumps(body), FunctionError="Unhandled")


def heard(reply: Reply, memory: Memory | None = None) -> Found:
    known = {**ZONE, **(memory or {})}
    return SMOKE.hear(an_action(), known, SMOKE.ask(an_action(), known, at(60)), reply, at(60))


def said(answer: object) -> Found:
    return heard(answered(json.dumps(answer)))


# What the hooks file says


SOUND = {
    "a name": ("smoke-test", SMOKE),
    "an alias": ("a_B-9:live", Function(function="a_B-9:live")),
    "the latest version": ("f:$LATEST", Function(function="f:$LATEST")),
    "an ARN": (ARN, Function(function=ARN)),
    "a mapping": ({"name": "smoke-test"}, SMOKE),
    "often": ({"name": "f", "every": "5s"}, Function(function="f", every=timedelta(seconds=5))),
    "seldom": ({"name": "f", "every": "1h"}, Function(function="f", every=timedelta(hours=1))),
}
NOT_SOUND = {
    "no name": ("", "", "must be the name or ARN"),
    "a long name": ("a" * 65, "", "must be the name or ARN"),
    "a blank": ("smoke test", "", "must be the name or ARN"),
    "a newline at the end": ("smoke\n", "", "must be the name or ARN"),
    "another ARN": ("arn:aws:sqs:eu-west-1:123456789012:queue", "", "must be the name"),
    "a number": (5, "", "in quotes"),
    "a list": (["smoke-test"], "", "must be the name or ARN"),
    "a mapping without a name": ({"every": "30s"}, "", "must have name"),
    "too often": ({"name": "f", "every": "4s"}, ".every", "from 5s to 1h"),
    "too seldom": ({"name": "f", "every": "1h1s"}, ".every", "from 5s to 1h"),
    "an unknown key": ({"name": "f", "timeout": "1s"}, ".timeout", "not a known key"),
}


@pytest.mark.parametrize(("value", "expected"), SOUND.values(), ids=SOUND)
def test_a_function_is_understood(value: object, expected: Function) -> None:
    assert parsed({"function": value}) == (expected, [])


@pytest.mark.parametrize(("value", "place", "rule"), NOT_SOUND.values(), ids=NOT_SOUND)
def test_a_function_that_is_not_sound_is_refused(value: object, place: str, rule: str) -> None:
    assert_refused({"function": value}, place, rule)


@pytest.mark.parametrize(
    ("function", "arn"),
    [
        ("smoke-test", "arn:{partition}:lambda:{region}:{account}:function:smoke-test"),
        ("smoke-test:live", "arn:{partition}:lambda:{region}:{account}:function:smoke-test:live"),
        (ARN, ARN),
    ],
)
def test_only_the_function_itself_may_be_invoked(function: str, arn: str) -> None:
    invoke = Permission(actions=("lambda:InvokeFunction",), resources=(arn,))

    assert Function(function=function).permissions == (invoke, Permission(actions=("ec2:DescribeInstances",)))


# Asking


def test_the_function_is_told_of_the_action() -> None:
    started = datetime(2026, 3, 1, 13, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=1)))
    policy = a_policy([{"function": "smoke-test"}], name="gate", give_up_after="20m", mode="observe")
    metadata = "text of any kind: $(reboot)"
    action = an_action(started_at=started, policy=policy, token=None, metadata=metadata)
    call = SMOKE.ask(action, ZONE, at(60))

    assert (call.service, call.operation, call.intent) == ("lambda", "Invoke", None)
    assert call.longest == timedelta(seconds=10)
    assert call.parameters["FunctionName"] == "smoke-test"
    assert call.parameters["InvocationType"] == "RequestResponse"
    assert json.loads(call.parameters["Payload"]) == payload(action, "us-east-1a")
    assert payload(action, "us-east-1a") == {
        "action_id": "action-1",
        "token": None,
        "group": "workers-1",
        "hook": "usher-drain",
        "metadata": metadata,
        "availability_zone": "us-east-1a",
        "instance_id": "i-0f0e0d0c0b0a09080",
        "transition": "terminating",
        "origin": "AutoScalingGroup",
        "destination": "EC2",
        "started_at": "2026-03-01T12:00:00.250Z",
        "give_up_at": "2026-03-01T12:20:00.250Z",
        "policy": "gate",
        "mode": "observe",
    }


# The zone


def after_zone(*replies: Reply) -> Found:
    """What is found once EC2 was asked for the zone so often."""
    memory: Memory = {}
    for reply in replies:
        call = SMOKE.ask(an_action(), memory, at(60))
        assert (call.service, call.operation) == ("ec2", "DescribeInstances")
        found = SMOKE.hear(an_action(), memory, call, reply, at(60))
        memory = found.memory
    return found


def told_zone(found: Found) -> object:
    """The zone that the function is told next."""
    assert found.go_on
    call = SMOKE.ask(an_action(), found.memory, at(60))
    return json.loads(call.parameters["Payload"])["availability_zone"]


@pytest.mark.parametrize(
    ("data", "zone"),
    [
        pytest.param(PLACED, "us-east-1a", id="the instance"),
        pytest.param({"Reservations": []}, None, id="EC2 does not show the instance"),
        pytest.param({"Reservations": [{"Instances": ["?"]}, 5]}, None, id="an odd answer"),
        pytest.param(None, None, id="no answer"),
    ],
)
def test_the_zone_is_asked_of_ec2_before_the_function(data: object, zone: str | None) -> None:
    assert told_zone(after_zone(Reply(kind=ReplyKind.ANSWERED, data=data))) == zone


def test_a_zone_that_nobody_can_say_is_asked_three_times_and_then_null() -> None:
    for replies in ([BUSY], [BUSY, SILENT]):
        found = after_zone(*replies)
        assert (found.status, found.go_on) == (UNKNOWN, False)
        assert found.detail == f"its zone is not known: {replies[-1].text}"
    assert told_zone(after_zone(BUSY, SILENT, BUSY)) is None
    assert told_zone(after_zone(BUSY, Reply(kind=ReplyKind.ANSWERED, data=PLACED))) == "us-east-1a"


# Answers


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param({"status": "done"}, Found(status=HOLDS, detail="done"), id="done"),
        pytest.param(
            {"status": "done", "message": "7 of 7", "ask_again_after_s": 60, "more": [1]},
            Found(status=HOLDS, detail="done: 7 of 7"),
            id="done for good, and keys that nobody knows",
        ),
        pytest.param(
            {"status": "failed", "message": "no\n\x1b[31mlicence"},
            Found(status=FAILED, detail="failed: no licence"),
            id="failed, in one line",
        ),
        pytest.param(
            {"status": "failed", "message": "\ud800"},
            Found(status=FAILED, detail="failed: "),
            id="a message that cannot be stored",
        ),
        pytest.param(
            {"status": "pending", "message": "x" * 201},
            Found(
                status=PENDING,
                detail="pending: " + "x" * 199 + "…",
                ask_again_after=timedelta(seconds=30),
            ),
            id="a long message",
        ),
        pytest.param(
            {"status": "pending", "message": None, "ask_again_after_s": None},
            Found(status=PENDING, detail="pending", ask_again_after=timedelta(seconds=30)),
            id="nulls are absent",
        ),
    ],
)
def test_an_answer_stands_as_it_says(answer: object, expected: Found) -> None:
    assert said(answer) == replace(expected, memory=ZONE)


@pytest.mark.parametrize(
    ("seconds", "expected_s"),
    [(5, 5), (3600, 3600), (90, 90), (7.5, 7.5), (4, 5), (-1, 5), (3601, 3600), (10**400, 3600)],
)
def test_the_function_says_when_to_ask_again_within_bounds(seconds: float, expected_s: float) -> None:
    again = said({"status": "pending", "ask_again_after_s": seconds}).ask_again_after

    assert again == timedelta(seconds=expected_s)


def test_every_says_when_to_ask_again_where_the_function_does_not() -> None:
    probe = Function(function="f", every=timedelta(minutes=2))
    call = probe.ask(an_action(), ZONE, at(0))
    found = probe.hear(an_action(), ZONE, call, answered('{"status": "pending"}'), at(0))

    assert found.ask_again_after == timedelta(minutes=2)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("null", id="nothing returned"),
        pytest.param("", id="empty"),
        pytest.param("done", id="no JSON"),
        pytest.param('"done"', id="a text"),
        pytest.param("[]", id="a list"),
        pytest.param("{}", id="no status"),
        pytest.param('{"status": "DONE"}', id="another case"),
        pytest.param('{"status": ["done"]}', id="no text as status"),
        pytest.param('{"status": true}', id="a boolean"),
        pytest.param('{"status": "done", "message": 5}', id="a number as message"),
        pytest.param('{"status": "pending", "ask_again_after_s": "60"}', id="a text as number"),
        pytest.param('{"status": "pending", "ask_again_after_s": true}', id="a boolean as number"),
        pytest.param("[" * 100_000, id="nested deeply"),
        pytest.param('{"statusCode": 200, "body": "{}"}', id="the answer to a web request"),
    ],
)
def test_an_answer_of_the_wrong_shape_is_a_failure_that_shows_it(text: str) -> None:
    found = heard(answered(text))

    assert found.status is FAILED
    assert found.detail.startswith(f"its answer has the wrong shape: {text[:100] or 'empty'}")
    assert len(found.detail) <= len("its answer has the wrong shape: ") + 200


def test_bytes_that_are_no_text_are_a_failure_and_no_crash() -> None:
    assert heard(answered(b'\xff{"status": "done"}')).status is FAILED


@given(st.binary())
def test_only_an_answer_that_says_done_holds(text: bytes) -> None:
    assert heard(answered(text)).status is not HOLDS


# Errors


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        pytest.param(raised(), "ZeroDivisionError: division by zero", id="an exception"),
        pytest.param(
            raised({"errorMessage": "Task timed out after 3.00 seconds"}),
            "Task timed out after 3.00 seconds",
            id="Lambda's time-out",
        ),
        pytest.param(raised("gone"), '"gone"', id="an error of another shape"),
        pytest.param(SILENT, "no answer in time", id="no answer in time"),
    ],
)
def test_an_error_is_unknown_and_asked_again_until_the_fifth_in_a_row(reply: Reply, text: str) -> None:
    memory: Memory = {}
    for count in range(1, MOST_ERRORS):
        found = heard(reply, memory)
        assert (found.status, found.detail) == (UNKNOWN, f"error {count} of 5: {text}")
        assert found.ask_again_after is None
        memory = found.memory
    last = heard(reply, memory)
    assert (last.status, last.detail) == (FAILED, f"5 errors in a row, the last: {text}")


def test_an_exception_is_an_error_even_where_its_text_looks_like_an_answer() -> None:
    assert heard(raised({"status": "done"})).status is UNKNOWN


def test_a_memory_that_is_damaged_counts_from_the_start() -> None:
    assert heard(raised(), {"errors": "many"}).memory == {**ZONE, "errors": 1}


ERROR, NOTHING, ANSWER = "error", "nothing", "pending"
REPLIES = {ERROR: raised(), NOTHING: BUSY, ANSWER: answered('{"status": "pending"}')}


@given(st.lists(st.sampled_from([ERROR, ERROR, ERROR, NOTHING, ANSWER]), max_size=40))
def test_it_fails_exactly_at_the_fifth_error_in_a_row(kinds: list[str]) -> None:
    memory: Memory = {}
    row = 0
    for kind in kinds:
        found = heard(REPLIES[kind], memory)
        row = {ERROR: row + 1, NOTHING: row, ANSWER: 0}[kind]
        assert (found.status is FAILED) == (kind == ERROR and row == MOST_ERRORS)
        if found.status is FAILED:
            return
        memory = found.memory


# As it is asked


def test_a_function_is_asked_until_it_says_done_with_backoff_after_errors() -> None:
    texts: list[Any] = [
        {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": json.dumps(EXCEPTION)},
        BUSY,
        {"StatusCode": 200, "Payload": '{"status": "pending", "message": "3 of 7"}'},
        {"StatusCode": 200, "Payload": '{"status": "done"}'},
    ]

    def answer(operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | Reply:
        if operation == "DescribeInstances":
            return PLACED
        assert json.loads(parameters["Payload"])["instance_id"] == an_action().instance_id
        reply: Mapping[str, Any] | Reply = texts.pop(0)
        return reply

    watch = Watch(SMOKE, ShapedCalls(answer))
    found = [watch.recorded_when_due() for _ in range(4)]

    assert [finding.status for finding in found] == [UNKNOWN, UNKNOWN, PENDING, HOLDS]
    assert [finding.asked_at for finding in found] == [at(0), at(5), at(15), at(45)]
    assert found[-1].ask_again_at is None


class Wire(io.BytesIO):
    """The body of an HTTP response, as botocore reads it."""

    def stream(self, **_: object) -> list[bytes]:
        return [self.read()]


def test_a_real_client_invokes_and_its_stream_is_understood() -> None:
    """Moto runs functions in containers, so what answers stands at the wire here."""
    sent: list[Any] = []

    def respond(request: Any, **_: object) -> AWSResponse:
        sent.append(request)
        body = Wire(b'{"status": "done", "message": "smoke test passed"}')
        return AWSResponse(request.url, 200, {}, body)

    def client(service: str, config: Config) -> Any:
        made = boto3.client(
            service, region_name="eu-west-1", config=config.merge(Config(signature_version=UNSIGNED))
        )
        made.meta.events.register("before-send.lambda.Invoke", respond)
        return made

    found = Watch(SMOKE, AwsCalls(client), memory=ZONE).found()

    assert (found.status, found.detail) == (HOLDS, "done: smoke test passed")
    assert sent[0].url.endswith("/2015-03-31/functions/smoke-test/invocations")
    assert json.loads(sent[0].body) == payload(an_action(), "us-east-1a")
    assert Call(service="lambda", operation="Invoke").longest < SMOKE.ask(an_action(), ZONE, at(0)).longest
