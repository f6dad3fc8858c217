from __future__ import annotations

import io
import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.aws_shapes import ShapedCalls, checked
from tests.factories import a_policy, an_action, at
from tests.questions import free_turns
from usher.aws.calls import AwsCalls
from usher.core import conditions
from usher.core.conditions.function import MOST_ERRORS, Function, payload
from usher.core.conditions.probe import Call, Found, Permission, Reply, ReplyKind, as_finding
from usher.core.field import Field, Problem, Refused
from usher.core.finding import ConditionStatus
from usher.questions.probing import Prober
from usher_simulator.fakes.memory_budget import MemoryAnswers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.finding import Finding, Memory
    from usher.ports.conditions import Calls

SMOKE = Function(function="smoke-test")
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:smoke-test:live"
TIMED_OUT = Reply(kind=ReplyKind.TIMED_OUT, text="not answered in time")
BUSY = Reply(
    kind=ReplyKind.UNKNOWN, code="TooManyRequestsException", text="TooManyRequestsException: Rate Exceeded."
)
EXCEPTION = {"errorMessage": "division by zero", "errorType": "ZeroDivisionError", "stackTrace": []}


def parsed(value: object) -> tuple[object, list[Problem]]:
    problems: list[Problem] = []
    try:
        field = Field(path=("until", 0), value={"function": value}, problems=problems)
        return conditions.parse(field), problems
    except Refused:
        return None, problems


def answered(text: str | bytes) -> Reply:
    """What Invoke answers with: the payload as AwsCalls hands it on, text."""
    data = checked("lambda", "Invoke", {"StatusCode": 200, "Payload": text, "ExecutedVersion": "$LATEST"})
    return Reply(kind=ReplyKind.ANSWERED, data=data)


def raised(body: object = EXCEPTION) -> Reply:
    data = {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": json.dumps(body)}
    return Reply(kind=ReplyKind.ANSWERED, data=checked("lambda", "Invoke", data))


def refused(code: str) -> Reply:
    return Reply(kind=ReplyKind.REFUSED, code=code, text=f"{code}: no")


def heard(reply: Reply, memory: Memory | None = None) -> Found:
    call = SMOKE.ask(an_action(), memory or {}, at(60))
    return SMOKE.hear(an_action(), memory or {}, call, reply, at(60))


def said(answer: object) -> Found:
    return heard(answered(json.dumps(answer)))


# What the hooks file says


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("smoke-test", SMOKE, id="a name"),
        pytest.param("a_B-9:live", Function(function="a_B-9:live"), id="an alias"),
        pytest.param("f:$LATEST", Function(function="f:$LATEST"), id="the latest version"),
        pytest.param(ARN, Function(function=ARN), id="an ARN"),
        pytest.param({"name": "smoke-test"}, SMOKE, id="a mapping"),
        pytest.param(
            {"name": "smoke-test", "every": "5s"},
            Function(function="smoke-test", every=timedelta(seconds=5)),
            id="often",
        ),
        pytest.param(
            {"name": "smoke-test", "every": "1h"},
            Function(function="smoke-test", every=timedelta(hours=1)),
            id="seldom",
        ),
    ],
)
def test_a_function_is_understood(value: object, expected: Function) -> None:
    assert parsed(value) == (expected, [])


@pytest.mark.parametrize(
    ("value", "place", "rule"),
    [
        pytest.param("", "", "must be the name or ARN", id="no name"),
        pytest.param("a" * 65, "", "must be the name or ARN", id="a long name"),
        pytest.param("smoke test", "", "must be the name or ARN", id="a blank"),
        pytest.param("smoke\n", "", "must be the name or ARN", id="a newline at the end"),
        pytest.param("arn:aws:sqs:eu-west-1:123456789012:queue", "", "must be the name", id="another ARN"),
        pytest.param(5, "", "in quotes", id="a number"),
        pytest.param(["smoke-test"], "", "must be the name or ARN", id="a list"),
        pytest.param({"every": "30s"}, "", "must have name", id="a mapping without a name"),
        pytest.param({"name": "f", "every": "4s"}, ".every", "from 5s to 1h", id="too often"),
        pytest.param({"name": "f", "every": "1h1s"}, ".every", "from 5s to 1h", id="too seldom"),
        pytest.param({"name": "f", "timeout": "1s"}, ".timeout", "not a known key", id="an unknown key"),
    ],
)
def test_a_function_that_is_not_sound_is_refused(value: object, place: str, rule: str) -> None:
    _, problems = parsed(value)

    assert [problem.field for problem in problems] == [f"until[0].function{place}"]
    assert rule in problems[0].rule


def test_different_functions_have_different_names() -> None:
    others = [
        Function(function="smoke-test:live"),
        Function(function="smoke-test", every=timedelta(minutes=1)),
    ]

    assert SMOKE.name == "function smoke-test"
    assert [other.name for other in others] == ["function smoke-test:live", "function smoke-test every 1m"]


@pytest.mark.parametrize(
    ("function", "arn"),
    [
        ("smoke-test", "arn:{partition}:lambda:{region}:{account}:function:smoke-test"),
        ("smoke-test:live", "arn:{partition}:lambda:{region}:{account}:function:smoke-test:live"),
        (ARN, ARN),
    ],
)
def test_only_the_function_itself_may_be_invoked(function: str, arn: str) -> None:
    expected = Permission(actions=("lambda:InvokeFunction",), resources=(arn,))

    assert Function(function=function).permissions == (expected,)


# Asking


def test_the_function_is_told_of_the_action() -> None:
    started = datetime(2026, 3, 1, 13, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=1)))
    policy = a_policy([{"function": "smoke-test"}], name="gate", give_up_after="20m", mode="observe")
    action = an_action(started_at=started, policy=policy, token=None)
    call = SMOKE.ask(action, {}, at(60))

    assert (call.service, call.operation, call.intent) == ("lambda", "Invoke", None)
    assert call.longest == timedelta(seconds=10)
    assert call.parameters["FunctionName"] == "smoke-test"
    assert call.parameters["InvocationType"] == "RequestResponse"
    assert json.loads(call.parameters["Payload"]) == payload(action)
    assert payload(action) == {
        "action_id": "action-1",
        "token": None,
        "group": "workers-1",
        "hook": "usher-drain",
        "instance_id": "i-0f0e0d0c0b0a09080",
        "transition": "terminating",
        "origin": "AutoScalingGroup",
        "destination": "EC2",
        "started_at": "2026-03-01T12:00:00.250Z",
        "give_up_at": "2026-03-01T12:20:00.250Z",
        "policy": "gate",
        "mode": "observe",
    }


# Answers


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param({"status": "done"}, Found(status=ConditionStatus.HOLDS, detail="done"), id="done"),
        pytest.param(
            {"status": "done", "message": "7 of 7", "ask_again_after_s": 60, "more": [1]},
            Found(status=ConditionStatus.HOLDS, detail="done: 7 of 7"),
            id="done for good, and keys that nobody knows",
        ),
        pytest.param(
            {"status": "failed", "message": "no\n\x1b[31mlicence"},
            Found(status=ConditionStatus.FAILED, detail="failed: no licence"),
            id="failed, in one line",
        ),
        pytest.param(
            {"status": "failed", "message": "\ud800"},
            Found(status=ConditionStatus.FAILED, detail="failed: "),
            id="a message that cannot be stored",
        ),
        pytest.param(
            {"status": "pending", "message": "x" * 201},
            Found(
                status=ConditionStatus.PENDING,
                detail="pending: " + "x" * 199 + "…",
                ask_again_after=timedelta(seconds=30),
            ),
            id="a long message",
        ),
        pytest.param(
            {"status": "pending", "message": None, "ask_again_after_s": None},
            Found(status=ConditionStatus.PENDING, detail="pending", ask_again_after=timedelta(seconds=30)),
            id="nulls are absent",
        ),
    ],
)
def test_an_answer_stands_as_it_says(answer: object, expected: Found) -> None:
    assert said(answer) == expected


@pytest.mark.parametrize(
    ("seconds", "expected_s"),
    [(5, 5), (3600, 3600), (90, 90), (7.5, 7.5), (4, 5), (-1, 5), (3601, 3600), (10**400, 3600)],
)
def test_the_function_says_when_to_ask_again_within_bounds(seconds: float, expected_s: float) -> None:
    again = said({"status": "pending", "ask_again_after_s": seconds}).ask_again_after

    assert again == timedelta(seconds=expected_s)


def test_every_says_when_to_ask_again_where_the_function_does_not() -> None:
    probe = Function(function="f", every=timedelta(minutes=2))
    call = probe.ask(an_action(), {}, at(0))
    found = probe.hear(an_action(), {}, call, answered('{"status": "pending"}'), at(0))

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

    assert found.status is ConditionStatus.FAILED
    assert found.detail.startswith(f"its answer has the wrong shape: {text[:100] or 'empty'}")
    assert len(found.detail) <= len("its answer has the wrong shape: ") + 200


def test_bytes_that_are_no_text_are_a_failure_and_no_crash() -> None:
    assert heard(answered(b'\xff{"status": "done"}')).status is ConditionStatus.FAILED


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(None, id="nothing"),
        pytest.param({}, id="no payload"),
        pytest.param({"Payload": 5}, id="an odd payload"),
        pytest.param([], id="a list"),
    ],
)
def test_an_answer_of_lambda_that_is_not_understood_is_unknown(data: object) -> None:
    found = heard(Reply(kind=ReplyKind.ANSWERED, data=data), {"errors": 4})

    assert found.status is ConditionStatus.UNKNOWN


@given(st.binary())
def test_only_an_answer_that_says_done_holds(text: bytes) -> None:
    assert heard(answered(text)).status is not ConditionStatus.HOLDS


# Errors


def test_a_function_that_does_not_exist_is_a_failure() -> None:
    found = heard(refused("ResourceNotFoundException"))

    assert found.status is ConditionStatus.FAILED
    assert found.detail == "function smoke-test does not exist: ResourceNotFoundException: no"


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
        pytest.param(TIMED_OUT, "no answer in time", id="no answer in time"),
    ],
)
def test_an_error_is_unknown_and_asked_again_until_the_fifth_in_a_row(reply: Reply, text: str) -> None:
    memory: Memory = {}
    for count in range(1, MOST_ERRORS):
        found = heard(reply, memory)
        assert (found.status, found.detail) == (ConditionStatus.UNKNOWN, f"error {count} of 5: {text}")
        assert found.ask_again_after is None
        memory = found.memory
    last = heard(reply, memory)
    assert (last.status, last.detail) == (ConditionStatus.FAILED, f"5 errors in a row, the last: {text}")


def test_an_exception_is_an_error_even_where_its_text_looks_like_an_answer() -> None:
    assert heard(raised({"status": "done"})).status is ConditionStatus.UNKNOWN


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(BUSY, id="busy"),
        pytest.param(refused("InvalidRequestContentException"), id="refused"),
        pytest.param(Reply(kind=ReplyKind.UNKNOWN, text="EndpointConnectionError"), id="unreachable"),
    ],
)
def test_what_says_nothing_of_the_function_neither_counts_nor_resets(reply: Reply) -> None:
    found = heard(reply, {"errors": 4})

    assert (found.status, found.memory) == (ConditionStatus.UNKNOWN, {"errors": 4})


def test_an_answer_ends_the_row_of_errors() -> None:
    pending = heard(answered('{"status": "pending"}'), {"errors": 4})

    assert heard(raised(), pending.memory).detail.startswith("error 1 of 5")


def test_a_memory_that_is_damaged_counts_from_the_start() -> None:
    assert heard(raised(), {"errors": "many"}).memory == {"errors": 1}


ERROR, NOTHING, ANSWER = "error", "nothing", "pending"
REPLIES = {ERROR: raised(), NOTHING: BUSY, ANSWER: answered('{"status": "pending"}')}


@settings(deadline=None)
@given(st.lists(st.sampled_from([ERROR, ERROR, ERROR, NOTHING, ANSWER]), max_size=40))
def test_it_fails_exactly_at_the_fifth_error_in_a_row(kinds: list[str]) -> None:
    memory: Memory = {}
    row = 0
    for kind in kinds:
        found = heard(REPLIES[kind], memory)
        row = {ERROR: row + 1, NOTHING: row, ANSWER: 0}[kind]
        assert (found.status is ConditionStatus.FAILED) == (kind == ERROR and row == MOST_ERRORS)
        if found.status is ConditionStatus.FAILED:
            return
        memory = found.memory


# Through the prober


def probed(calls: Calls, looks: int) -> list[Finding]:
    """What each look finds, the next one when the finding says."""
    now = at(0)
    found: list[Finding] = []
    for _ in range(looks):
        before = found[-1] if found else None
        prober = Prober(calls=calls, answers=MemoryAnswers(), call_budget=free_turns(), clock=lambda: now)  # noqa: B023 - used at once
        memory = before.memory if before else {}
        read = prober.probe(SMOKE, an_action(), memory, now + timedelta(seconds=20), must_not_start)
        assert isinstance(read, Found), "it always has the time"
        found.append(as_finding(SMOKE, read, before, now))
        now = found[-1].ask_again_at or now
    return found


def must_not_start(intent: Memory) -> None:
    raise AssertionError(f"asking starts nothing, got {intent}")


def test_a_function_is_asked_until_it_says_done_with_backoff_after_errors() -> None:
    texts: list[Any] = [
        {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": json.dumps(EXCEPTION)},
        BUSY,
        {"StatusCode": 200, "Payload": '{"status": "pending", "message": "3 of 7"}'},
        {"StatusCode": 200, "Payload": '{"status": "done"}'},
    ]

    def answer(_: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | Reply:
        assert json.loads(parameters["Payload"])["instance_id"] == an_action().instance_id
        reply: Mapping[str, Any] | Reply = texts.pop(0)
        return reply

    found = probed(ShapedCalls(answer), 4)

    assert [finding.status for finding in found] == [
        ConditionStatus.UNKNOWN,
        ConditionStatus.UNKNOWN,
        ConditionStatus.PENDING,
        ConditionStatus.HOLDS,
    ]
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

    found = probed(AwsCalls(client), 1)

    assert (found[0].status, found[0].detail) == (ConditionStatus.HOLDS, "done: smoke test passed")
    assert sent[0].url.endswith("/2015-03-31/functions/smoke-test/invocations")
    assert json.loads(sent[0].body) == payload(an_action())
    assert Call(service="lambda", operation="Invoke").longest < SMOKE.ask(an_action(), {}, at(0)).longest
