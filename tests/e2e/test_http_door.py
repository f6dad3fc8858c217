"""Simulated Auto Scaling over HTTP: the protocol, the time, and what it does outside."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from tests.e2e.doors import (
    GROUP,
    LAUNCHING,
    START,
    TERMINATING,
    Door,
    Endpoint,
    StoppedTime,
    a_door,
    an_endpoint,
    answer_of,
    client_of,
)
from tests.e2e.polling import PATIENCE_S, until
from usher_simulator.__main__ import _parser, main
from usher_simulator.autoscaling.groups import Hook
from usher_simulator.autoscaling.latencies import CAPTURED, PROMPT
from usher_simulator.autoscaling.real_targets import AwsOutside
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.autoscaling.wall_clock import MOST_SPEED, WallClock
from usher_simulator.conformance.endpoints import OverHttp, Unreachable
from usher_simulator.conformance.runner import run as run_scenario
from usher_simulator.conformance.scenarios import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from mypy_boto3_sqs import SQSClient

    from usher_simulator.autoscaling.latencies import Latencies

ROOT = Path(__file__).parents[2]
ACCOUNT = "123456789012"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:hooks"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:hooks"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:on-hook"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/notifies"
GATE = {"LifecycleHookName": "gate", "LifecycleTransition": LAUNCHING, "HeartbeatTimeout": 7200}
BRIEF = GATE | {"HeartbeatTimeout": 30, "DefaultResult": "CONTINUE"}
OF_FUNCTION: dict[str, Any] = GATE | {"NotificationTargetARN": FUNCTION}
HOOK = {"AutoScalingGroupName": GROUP, "LifecycleHookName": "gate"}
DESCRIBE_TYPES = {"Action": "DescribeLifecycleHookTypes", "Version": "2011-01-01"}
_ASSUME = "AssumeRole"
FAST = {"monotonic": time.monotonic, "speed": 100.0}


@pytest.fixture(autouse=True)
def _nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


# -- the protocol -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(
    ("form", "status"), [(DESCRIBE_TYPES, 200), (DESCRIBE_TYPES | {"Action": "MakeCoffee"}, 400)]
)
def test_the_request_id_of_the_header_is_that_of_the_document(
    method: str, form: dict[str, str], status: int
) -> None:
    with a_door() as door:
        answers = [door.send(urlencode(form), method) for _ in range(2)]
    assert [answer.status for answer in answers] == [status] * 2
    assert [answer.request_id for answer in answers] == [answer.text("RequestId") for answer in answers]
    assert answers[0].request_id != answers[1].request_id


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "MissingAction"),
        ("garbage", "MissingAction"),
        (b"\xff\xfe\x00&=&&%zz", "MissingAction"),
        ("{'json': 1}", "MissingAction"),
        ("Action=MakeCoffee", "InvalidAction"),
        ("Action=<\x00>", "InvalidAction"),
        ("Action=PutLifecycleHook&AutoScalingGroupName.member.1=x", "MalformedInput"),
        ("Action=PutLifecycleHook&HeartbeatTimeout.member.1=5", "MalformedInput"),
        ("Action=PutLifecycleHook&RoleARN=x&RoleARN.a=y", "MalformedInput"),
        ("Action=DescribeLifecycleHooks&LifecycleHookNames.member=x", "MalformedInput"),
        ("Action=DescribeLifecycleHooks&LifecycleHookNames.member.first=x", "MalformedInput"),
        ("Action=PutLifecycleHook&HeartbeatTimeout=" + "9" * 5000, "MalformedInput"),
        ("Action=PutLifecycleHook&" + "a." * 100_000 + "a=1", "ValidationError"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_no_request_gets_an_error_document(body: str | bytes, code: str) -> None:
    with a_door() as door:
        answer = door.send(body)
    assert (answer.status, answer.text("Type"), answer.text("Code")) == (400, "Sender", code)
    assert answer.text("RequestId") == answer.request_id


HOOK_OPERATIONS = (
    "PutLifecycleHook",
    "DescribeLifecycleHooks",
    "DescribeLifecycleHookTypes",
    "DeleteLifecycleHook",
    "RecordLifecycleActionHeartbeat",
    "CompleteLifecycleAction",
)
MEMBERS = (
    "AutoScalingGroupName",
    "LifecycleHookName",
    "LifecycleHookNames.member.1",
    "LifecycleTransition",
    "HeartbeatTimeout",
    "NotificationTargetARN",
    "InstanceId",
    "LifecycleActionResult",
)
FORMS = st.builds(
    lambda operation, members: urlencode({"Action": operation} | members),
    st.sampled_from(HOOK_OPERATIONS),
    st.dictionaries(
        st.sampled_from(MEMBERS) | st.text(max_size=8),
        st.sampled_from([GROUP, "gate", LAUNCHING, "30", "CONTINUE"]) | st.text(max_size=8),
    ),
)


@pytest.fixture(scope="module")
def standing_door() -> Iterator[Door]:
    with a_door() as door:
        door.create(GATE)
        yield door


@given(body=st.binary(max_size=40) | FORMS)
def test_whatever_is_sent_the_answer_is_a_document_and_no_fault_of_the_simulator(
    standing_door: Door, body: str | bytes
) -> None:
    answer = standing_door.send(body)
    assert answer.status in (200, 400)
    assert answer.text("RequestId") == answer.request_id


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / COFFEE/1.1\r\n\r\n", 400),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_no_http_gets_an_error_document_and_the_end_of_the_connection(
    sent: bytes, status: int
) -> None:
    with a_door() as door, connected(door) as line:
        line.sendall(sent)
        response = http.client.HTTPResponse(line)
        response.begin()
        answer = answer_of(response)
        assert (answer.status, answer.text("RequestId")) == (status, answer.request_id)
        assert line.recv(1) == b""
        assert door.send(DESCRIBE_TYPES).status == 200


def test_half_a_request_is_not_carried_out() -> None:
    whole = urlencode(
        {"Action": "DeleteAutoScalingGroup", "AutoScalingGroupName": GROUP, "ForceDelete": "true"}
    )
    with a_door() as door, connected(door) as line:
        door.create()
        line.sendall(f"POST / HTTP/1.1\r\nContent-Length: {len(whole) + 9}\r\n\r\n{whole}".encode())
        line.shutdown(socket.SHUT_WR)
        assert line.recv(1) == b""
        assert len(door.client.describe_auto_scaling_groups()["AutoScalingGroups"]) == 1


def test_one_connection_carries_many_requests_and_waits_for_a_body_that_was_announced() -> None:
    body = urlencode(DESCRIBE_TYPES).encode()
    with a_door() as door, connected(door) as line:
        for _ in range(3):
            line.sendall(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
            assert line.recv(1000).startswith(b"HTTP/1.1 100 ")
            line.sendall(body)
            response = http.client.HTTPResponse(line)
            response.begin()
            assert answer_of(response).status == 200


@contextmanager
def connected(door: Door) -> Iterator[socket.socket]:
    address = urlsplit(door.url)
    with socket.create_connection((address.hostname or "", address.port or 0), PATIENCE_S) as line:
        yield line


def test_boto3_raises_what_the_door_refuses() -> None:
    with a_door() as door:
        door.create()
        with pytest.raises(door.client.exceptions.AlreadyExistsFault, match="already exists"):
            door.create()
        with pytest.raises(ClientError) as refused:
            door.client.complete_lifecycle_action(
                **HOOK, LifecycleActionResult="CONTINUE", InstanceId="i-0598c7d356eba48d7"
            )
    assert refused.value.response["Error"] == {
        "Type": "Sender",
        "Code": "ValidationError",
        "Message": "No active Lifecycle Action found with instance ID i-0598c7d356eba48d7",
    }


def test_a_fault_of_the_simulator_is_told_to_both_sides(capsys: pytest.CaptureFixture[str]) -> None:
    with a_door(describe_lag="no time") as door:
        answer = door.send({"Action": "DescribeAutoScalingInstances"})
    assert (answer.status, answer.text("Type"), answer.text("Code")) == (500, "Receiver", "InternalFailure")
    assert answer.text("RequestId") == answer.request_id
    assert "TypeError" in capsys.readouterr().err


def test_the_door_is_on_the_loopback_interface_alone() -> None:
    with a_door() as door, pytest.raises((ConnectionRefusedError, TimeoutError)):
        socket.create_connection(("127.0.0.2", urlsplit(door.url).port or 0), timeout=1)


# -- the time ---------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [0.5, 1.0, 60.0])
def test_time_passes_at_the_stated_speed(speed: float) -> None:
    """The wait begins a second after the group was made, and its timeout is 30 s."""
    stopped = StoppedTime()
    with a_door(monotonic=stopped, speed=speed) as door:
        door.create(BRIEF)
        began_s = stopped.now_s
        seen = []
        for simulated_s in (0.9, 1.1, 30.9, 31.1):
            stopped.now_s = began_s + simulated_s / speed
            seen.append(door.states())
    assert seen == [["Pending"], ["Pending:Wait"], ["Pending:Wait"], ["Pending:Proceed"]]


@pytest.mark.parametrize(("latencies", "expected"), [(PROMPT, ["InService"]), (CAPTURED, [])])
def test_an_instance_is_in_service_within_three_seconds_unless_captured_times_are_wanted(
    latencies: Latencies, expected: list[str]
) -> None:
    stopped = StoppedTime()
    with a_door(monotonic=stopped, latencies=latencies) as door:
        door.create()
        stopped.now_s += 3
        assert door.states() == expected


def test_a_describe_shows_the_state_as_it_was_some_time_ago() -> None:
    stopped = StoppedTime()
    with a_door(monotonic=stopped, describe_lag=timedelta(seconds=5)) as door:
        door.create()
        stopped.now_s += 3
        assert door.states() == []
        stopped.now_s += 5
        assert door.states() == ["InService"]


def test_what_is_due_is_done_though_nobody_asks() -> None:
    stopped, done = StoppedTime(), threading.Event()
    clock = VirtualClock(START)
    wall_clock = WallClock(clock, stopped)
    with wall_clock.caught_up():
        clock.at(START + timedelta(seconds=0.01), done.set)
        stopped.now_s += 1
    assert done.wait(PATIENCE_S)
    wall_clock.close()


def test_what_fails_on_the_clock_is_told_and_the_time_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Both where the clock's own thread does it, and where somebody's call catches up."""
    clock, done = VirtualClock(START), threading.Event()

    def fails() -> None:
        raise ValueError

    with closing(WallClock(clock, StoppedTime())) as wall_clock:
        with wall_clock.caught_up():
            clock.at(START, fails)
            clock.at(START, done.set)
        assert done.wait(PATIENCE_S)
        with wall_clock.caught_up():
            clock.at(START + timedelta(seconds=1), fails)
        wall_clock.advance(timedelta(seconds=1))
    assert capsys.readouterr().err.count("Traceback") == 2


def advanced(door: Door, form: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(urlsplit(door.url).netloc, timeout=PATIENCE_S)) as line:
        line.request("POST", "/clock", form)
        answer = line.getresponse()
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("speed", [0.0, 1.0])
def test_whoever_asks_for_it_lets_time_pass(speed: float) -> None:
    with a_door(speed=speed) as door:
        door.create(BRIEF)
        assert advanced(door, "advance=900ms")[0] == 200
        assert door.states() == ["Pending"]
        assert advanced(door, "advance=1100ms") == (200, f"{(START + timedelta(seconds=2)).isoformat()}\n")
        assert door.states() == ["Pending:Wait"]
        assert advanced(door, "advance=1h30m")[0] == 200
        assert door.states() == ["InService"]


@pytest.mark.parametrize("form", ["", "advance=", "advance=soon", "advance=0s", "advance=367d", "other=1m"])
def test_what_is_no_span_of_time_moves_no_clock(form: str) -> None:
    with a_door() as door:
        status, text = advanced(door, form)
        assert (status, "Send a form such as advance=10m" in text) == (400, True)
        assert advanced(door, "advance=1s")[1] == f"{(START + timedelta(seconds=1)).isoformat()}\n"


def test_the_scenarios_agree_over_http_on_a_clock_that_is_advanced() -> None:
    """Those of actions: the others say nothing more of the clock. Each has a door: what it leaves goes on."""
    scenarios = [one for one in load(ROOT / "conformance" / "scenarios") if one.file == "actions"]
    outcomes = []
    for number, scenario in enumerate(scenarios):
        with a_door(speed=0.0) as door:
            target = OverHttp(door.url, timedelta(), f"{door.url}/clock")
            outcomes.append(run_scenario(scenario, target, number))
    assert [outcome for outcome in outcomes if outcome.status == "differs"] == []
    with a_door() as door, pytest.raises(Unreachable, match="/no/clock does not answer: HTTP Error 4"):
        run_scenario(scenarios[0], OverHttp(door.url, timedelta(), f"{door.url}/no/clock"))
    assert sum(outcome.status == "agrees" for outcome in outcomes) > len(outcomes) / 2


def test_after_its_close_the_time_stands_still() -> None:
    stopped = StoppedTime()
    clock = VirtualClock(START)
    wall_clock = WallClock(clock, stopped)
    wall_clock.close()
    stopped.now_s += 5
    with wall_clock.caught_up():
        assert clock() == START


# -- real queues, topics, functions and buses -------------------------------------------------


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


class Aws:
    """Real services of an emulated account, with clients that are closed together."""

    def __init__(self, url: str, clients: ExitStack) -> None:
        self.url = url
        self.environment = {"AWS_ENDPOINT_URL": url}
        self._clients = clients
        self.sqs: SQSClient = self.client("sqs")
        self.queue = self.sqs.create_queue(QueueName="hooks")["QueueUrl"]

    def client(self, service: str) -> Any:
        made = boto3.client(service, region_name="us-east-1", endpoint_url=self.url)
        return self._clients.enter_context(closing(made))

    def post(self, path: str, body: str = "") -> None:
        with closing(http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE_S)) as line:
            line.request("POST", path, body, {"Content-Type": "text/plain"})
            assert line.getresponse().status == 200

    def received(self, count: int) -> list[dict[str, Any]]:
        """The bodies of the next messages in the queue."""
        bodies: list[dict[str, Any]] = []

        def enough() -> bool:
            answer = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            bodies.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
            return len(bodies) >= count

        until(enough)
        return bodies


@pytest.fixture
def aws(moto: str) -> Iterator[Aws]:
    with ExitStack() as clients:
        account = Aws(moto, clients)
        yield account
        account.post("/moto-api/reset-auth", "inf")
        account.post("/moto-api/reset")


def put_gate(door: Door, target: str, role: str | None = ROLE) -> str:
    """Puts the hook with a target: the id of the request."""
    asked: Any = GATE | {"NotificationTargetARN": target} | ({} if role is None else {"RoleARN": role})
    answer = door.client.put_lifecycle_hook(AutoScalingGroupName=GROUP, **asked)
    return str(answer["ResponseMetadata"]["RequestId"])


def test_a_queue_gets_the_test_message_within_the_call_and_the_actions_by_themselves(aws: Aws) -> None:
    with a_door(environment=aws.environment, **FAST) as door:
        door.create(DesiredCapacity=0)
        request_id = put_gate(door, QUEUE)
        (test,) = aws.received(1)
        door.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
        (message,) = aws.received(1)
        assert message["EC2InstanceId"] == door.instance()
    assert (test["Event"], test["RequestId"]) == ("autoscaling:TEST_NOTIFICATION", request_id)
    assert (message["LifecycleTransition"], message["LifecycleHookName"]) == (LAUNCHING, "gate")


def test_the_token_of_a_message_completes_its_action(aws: Aws) -> None:
    with a_door(environment=aws.environment, **FAST) as door:
        door.create(GATE | {"NotificationTargetARN": QUEUE, "RoleARN": ROLE})
        _, message = aws.received(2)
        token = message["LifecycleActionToken"]
        door.client.record_lifecycle_action_heartbeat(**HOOK, LifecycleActionToken=token)
        door.client.complete_lifecycle_action(
            **HOOK, LifecycleActionToken=token, LifecycleActionResult="CONTINUE"
        )
        until(lambda: door.states() == ["InService"])


def test_a_topic_gets_message_and_subject(aws: Aws) -> None:
    sns = aws.client("sns")
    sns.create_topic(Name="hooks")
    sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)
    with a_door(environment=aws.environment, **FAST) as door:
        door.create(GATE | {"NotificationTargetARN": TOPIC, "RoleARN": ROLE})
        test, action = aws.received(2)
        instance = door.instance()
    assert test["Subject"] == f'Auto Scaling: test notification for group "{GROUP}"'
    assert json.loads(test["Message"])["Event"] == "autoscaling:TEST_NOTIFICATION"
    assert (
        action["Subject"]
        == f"Auto Scaling:  Lifecycle action 'LAUNCHING' for instance {instance} in progress."
    )
    assert json.loads(action["Message"])["EC2InstanceId"] == instance


def test_the_event_bus_gets_the_events_of_actions_and_outcomes(aws: Aws) -> None:
    events = aws.client("events")
    events.put_rule(Name="all", EventPattern=json.dumps({"source": ["aws.autoscaling"]}))
    events.put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": QUEUE}])
    with a_door(environment=aws.environment, **FAST) as door:
        door.create(BRIEF)
        action, outcome = aws.received(2)
    assert action["detail-type"] == "EC2 Instance-launch Lifecycle Action"
    assert outcome["detail-type"] == "EC2 Instance Launch Successful"
    assert action["detail"]["EC2InstanceId"] == outcome["detail"]["EC2InstanceId"]


@pytest.mark.parametrize(
    ("target", "environment"),
    [
        (QUEUE + "-that-is-not-there", None),
        (TOPIC + "-that-is-not-there", None),
        ("arn:aws:kinesis:us-east-1:123456789012:stream/hooks", None),
        ("hooks", None),
        (QUEUE, {}),
        (QUEUE, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}),
        (QUEUE, {"AWS_ENDPOINT_URL": "no URL"}),
    ],
    ids=["no queue", "no topic", "no target of hooks", "no arn", "no endpoint", "nobody there", "no url"],
)
def test_a_target_that_takes_no_test_message_is_not_put(
    aws: Aws, target: str, environment: dict[str, str] | None
) -> None:
    with a_door(environment=aws.environment if environment is None else environment) as door:
        door.create()
        with pytest.raises(ClientError) as refused:
            put_gate(door, target)
        assert door.client.describe_lifecycle_hooks(AutoScalingGroupName=GROUP)["LifecycleHooks"] == []
        assert len(door.said) == 1
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert refused.value.response["Error"]["Message"] == (
        f"Unable to publish test message to notification target {target} using IAM role {ROLE}. "
        "Please check your target and role configuration and try to put lifecycle hook again."
    )


def test_the_role_must_be_there_and_allow_to_publish(aws: Aws) -> None:
    """Only what the role allows is possible, whatever the simulator itself may do."""
    iam = aws.client("iam")
    keys = a_user_who_may_assume_roles(iam)
    allow_role(iam, "notifies", "sqs:SendMessage", "sqs:GetQueueUrl")
    allow_role(iam, "looks-only", "sqs:GetQueueUrl")
    allow_role(iam, "cannot-look", "sqs:SendMessage")
    aws.post("/moto-api/reset-auth", "0")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, value)
        with a_door(environment=aws.environment) as door:
            door.create()
            for role in ("looks-only", "cannot-look", "that-is-not-there"):
                with pytest.raises(ClientError, match="Unable to publish test message"):
                    put_gate(door, QUEUE, f"arn:aws:iam::{ACCOUNT}:role/{role}")
            put_gate(door, QUEUE)
    aws.post("/moto-api/reset-auth", "inf")
    assert len(aws.received(1)) == 1


def a_user_who_may_assume_roles(iam: Any) -> dict[str, str]:
    iam.create_user(UserName="auto-scaling")
    iam.put_user_policy(UserName="auto-scaling", PolicyName="all", PolicyDocument=policy("sts:AssumeRole"))
    key = iam.create_access_key(UserName="auto-scaling")["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def allow_role(iam: Any, name: str, *actions: str) -> None:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy(*actions))


def policy(*actions: str) -> str:
    allowed = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


@pytest.mark.parametrize("result", ["CONTINUE", "ABANDON"])
def test_a_target_that_is_gone_ends_the_action_with_its_default_result(aws: Aws, result: str) -> None:
    gate = GATE | {"NotificationTargetARN": QUEUE, "RoleARN": ROLE, "DefaultResult": result}
    with a_door(environment=aws.environment, **FAST) as door:
        door.create(gate, DesiredCapacity=0)
        aws.sqs.delete_queue(QueueUrl=aws.queue)
        door.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)

        def ended() -> bool:
            activities = door.client.describe_scaling_activities()["Activities"]
            return any(one["StatusCode"] in ("Successful", "Cancelled") for one in activities)

        until(ended)
        launch = door.client.describe_scaling_activities()["Activities"][-1]
    assert launch["StatusCode"] == {"CONTINUE": "Successful", "ABANDON": "Cancelled"}[result]


def test_load_balancers_hear_of_an_instance_after_the_launch_hook_and_before_the_termination_hook() -> None:
    balancer = f"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:targetgroup/web/1"
    to_queue = {"HeartbeatTimeout": 7200, "NotificationTargetARN": QUEUE, "RoleARN": ROLE}
    drain = {"LifecycleHookName": "drain", "LifecycleTransition": TERMINATING}
    with an_endpoint(answer_anything) as endpoint:
        environment = {"AWS_ENDPOINT_URL": endpoint.url}
        with a_door(environment=environment, **FAST) as door:
            door.create(GATE | to_queue, drain | to_queue, TargetGroupARNs=[balancer])
            until(lambda: heard(endpoint)[-1:] == [LAUNCHING])
            complete = {"InstanceId": door.instance(), "LifecycleActionResult": "CONTINUE"}
            door.client.complete_lifecycle_action(**HOOK, **complete)
            until(lambda: heard(endpoint)[-1:] == ["RegisterTargets"])
            door.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=0)
            until(lambda: heard(endpoint)[-1:] == [TERMINATING])
    assert heard(endpoint) == [LAUNCHING, "RegisterTargets", "DeregisterTargets", TERMINATING]


def answer_anything(_: str, body: bytes) -> tuple[int, str]:
    """Enough for clients of queues and buses, which speak JSON, of roles, and of load balancers."""
    if body.startswith(b"{"):
        return 200, json.dumps({"QueueUrl": "http://localhost/hooks", "MessageId": "1", "Entries": []})
    name = parse_qs(body.decode())["Action"][0]
    keys = "".join(f"<{key}>k</{key}>" for key in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    result = f"<Credentials>{keys}</Credentials>" if name == _ASSUME else ""
    return 200, f"<{name}Response><{name}Result>{result}</{name}Result></{name}Response>"


def heard(endpoint: Endpoint) -> list[str]:
    """The calls to load balancers, and the transitions of the messages to the queue, in their order."""
    words = []
    for _, body, headers in list(endpoint.asked):
        if headers.get("X-Amz-Target") == "AmazonSQS.SendMessage":
            words.append(json.loads(json.loads(body)["MessageBody"]).get("LifecycleTransition"))
        elif not body.startswith(b"{"):
            words.append(parse_qs(body.decode())["Action"][0])
    return [word for word in words if word not in (None, _ASSUME)]


def test_a_function_is_invoked_asynchronously_with_the_message() -> None:
    with an_endpoint(lambda *_: (202, "")) as functions:
        environment = {"AWS_ENDPOINT_URL_LAMBDA": functions.url}
        with a_door(environment=environment, **FAST) as door:
            door.create(GATE | {"NotificationTargetARN": FUNCTION})
            until(lambda: len(functions.asked) == 2)
            instance = door.instance()
    assert [headers["X-Amz-Invocation-Type"] for _, _, headers in functions.asked] == ["Event", "Event"]
    assert {path for path, _, _ in functions.asked} == {
        f"/2015-03-31/functions/{FUNCTION.replace(':', '%3A')}/invocations"
    }
    test, action = (json.loads(body) for _, body, _ in functions.asked)
    assert test["Event"] == "autoscaling:TEST_NOTIFICATION"
    assert action["EC2InstanceId"] == instance


def test_a_proxy_or_a_profile_of_the_user_comes_between_nothing_and_its_endpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody-made-it")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    hook = Hook(name="gate", transition="launching", target_arn=FUNCTION)
    with an_endpoint(lambda *_: (202, "")) as functions:
        environment = {"AWS_ENDPOINT_URL_LAMBDA": functions.url, "AWS_ACCESS_KEY_ID": "testing"}
        environment["AWS_SECRET_ACCESS_KEY"] = "testing"
        outside = AwsOutside(environment, pytest.fail, nullcontext, pytest.fail)
        with closing(outside):
            outside.notify(hook, {"Event": "autoscaling:TEST_NOTIFICATION"}, "a test")
    assert len(functions.asked) == 1


def test_a_bus_that_refuses_events_of_aws_is_told_of_once_and_holds_nothing_up() -> None:
    refusal = {
        "ErrorCode": "NotAuthorizedForSourceException",
        "ErrorMessage": "Not authorized for the source.",
    }
    body = json.dumps({"FailedEntryCount": 1, "Entries": [refusal]})
    with an_endpoint(lambda *_: (200, body)) as bus:
        environment = {"AWS_ENDPOINT_URL_EVENTBRIDGE": bus.url}
        with a_door(environment=environment, **FAST) as door:
            door.create(BRIEF)
            until(lambda: len(bus.asked) == 2 and door.states() == ["InService"])
    (said,) = door.said
    why = "NotAuthorizedForSourceException: Not authorized for the source."
    assert said == f"The event bus refuses the events of Auto Scaling: {why}"


def test_an_endpoint_that_is_no_aws_is_told_of_and_holds_nothing_up() -> None:
    with an_endpoint(lambda *_: (500, "<h1>nginx</h1>")) as nobody:
        environment = {"AWS_ENDPOINT_URL": nobody.url}
        with a_door(environment=environment, **FAST) as door:
            door.create(TargetGroupARNs=["arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/web/1", "web"])
            until(lambda: len(door.said) == 3 and door.states() == ["InService"])


def test_what_is_slow_outside_holds_nothing_up() -> None:
    """An event bus that answers only after the door has answered someone else."""
    answered, in_time = threading.Event(), []

    def answer(*_: object) -> tuple[int, str]:
        in_time.append(answered.wait(PATIENCE_S))  # the simulator itself gives up later
        return 200, "{}"

    with an_endpoint(answer) as slow:
        stopped = StoppedTime()
        with a_door(environment={"AWS_ENDPOINT_URL_EVENTBRIDGE": slow.url}, monotonic=stopped) as door:
            door.create(BRIEF)
            stopped.now_s += 2
            until(lambda: len(slow.asked) == 1)
            assert door.states() == ["Pending:Wait"]
            answered.set()
            until(lambda: in_time == [True])


def test_others_are_answered_while_a_test_message_is_on_its_way() -> None:
    """The target asks about the group before it takes the message, as the local account does for IAM."""
    known = []

    def answer(*_: object) -> tuple[int, str]:
        try:
            known.append([tag["Key"] for tag in asking.client.describe_tags()["Tags"]])
        except BotoCoreError as error:
            known.append([repr(error)])
        return 202, ""

    with an_endpoint(answer) as functions, by_function(functions) as asking:
        asking.create(Tags=[{"Key": "team"}])
        asking.client.put_lifecycle_hook(AutoScalingGroupName=GROUP, **OF_FUNCTION)
    assert known == [["team"]]


def test_no_hook_is_put_in_a_group_that_was_deleted_while_its_test_message_was_on_its_way() -> None:
    def answer(*_: object) -> tuple[int, str]:
        door.client.delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
        return 202, ""

    with an_endpoint(answer) as functions, by_function(functions) as door:
        door.create()
        with pytest.raises(ClientError, match="not found"):
            door.client.put_lifecycle_hook(AutoScalingGroupName=GROUP, **OF_FUNCTION)


def test_a_group_that_was_made_while_the_test_message_of_another_was_on_its_way_stands() -> None:
    def answer(*_: object) -> tuple[int, str]:
        door.create(MaxSize=2)
        return 202, ""

    with an_endpoint(answer) as functions, by_function(functions) as door:
        with pytest.raises(ClientError, match="already exists"):
            door.create(OF_FUNCTION)
        (group,) = door.client.describe_auto_scaling_groups()["AutoScalingGroups"]
        assert group["MaxSize"] == 2


def by_function(functions: Endpoint) -> AbstractContextManager[Door]:
    return a_door(environment={"AWS_ENDPOINT_URL_LAMBDA": functions.url})


# -- its end ----------------------------------------------------------------------------------


def test_nothing_is_left_of_a_door_that_was_closed() -> None:
    before = set(threading.enumerate())
    with ExitStack() as after:
        with a_door() as door:
            door.create(GATE)
            idle = after.enter_context(connected(door))
            idle.sendall(b"GET /?Action=DescribeLifecycleHookTypes HTTP/1.1\r\n\r\n")
            assert idle.recv(10_000).startswith(b"HTTP/1.1 200 ")
            assert len(set(threading.enumerate()) - before) == 5  # three of the door, one per connection
        assert set(threading.enumerate()) - before == set()
        assert idle.recv(1) == b""
    url = urlsplit(door.url)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((url.hostname or "", url.port or 0), PATIENCE_S)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "usher_simulator", *words]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_end(stop: signal.Signals) -> None:
    options = ("--port", "0", "--speed", "60", "--latency", "captured", "--seed", "7", "--describe-lag", "2")
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(*options), cwd=ROOT, text=True, **pipes) as running:  # noqa: S603 - ours
        assert running.stdout is not None
        select.select([running.stdout], [], [], PATIENCE_S)
        said = running.stdout.readline()
        url = said.removeprefix("Auto Scaling listens on ").rstrip()
        with closing(client_of(url)) as client:
            types = client.describe_lifecycle_hook_types()["LifecycleHookTypes"]
        running.send_signal(stop)
        rest = running.communicate(timeout=PATIENCE_S)
    assert types == [LAUNCHING, TERMINATING]
    assert said == f"Auto Scaling listens on {url}\n"
    assert (running.returncode, rest) == (0, ("", ""))


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    with a_door() as door:
        port = str(urlsplit(door.url).port)
        done = subprocess.run(  # noqa: S603 - ours
            command("--port", port),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Cannot listen on 127.0.0.1:{port}: Address already in use. --port 0 takes a free port.\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--port", "65536"),
        ("--port", "0", "--speed", "-1"),
        ("--port", "0", "--speed", "100001"),
        ("--port", "0", "--speed", "1e20"),
        ("--port", "0", "--describe-lag", "-1"),
        (),
    ],
    ids=" ".join,
)
def test_options_that_make_no_sense_are_refused(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """By the parser alone: with what it takes the command would serve."""
    with pytest.raises(SystemExit) as ended:
        _parser("serve").parse_args(words)
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert said.err.startswith("usage: serve ")


def test_the_greatest_speed_is_taken() -> None:
    assert _parser("serve").parse_args(["--port", "0", "--speed", "100000"]).speed == MOST_SPEED


def test_the_help_says_how_it_is_started_and_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert said.startswith("usage: python -m usher_simulator")
    assert "\nexample:\n" in said
