"""The adapter of every probe's calls, with real boto3 clients that are answered without a network."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.response import StreamingBody
from botocore.retries.standard import ThrottledRetryableChecker
from botocore.stub import Stubber

from usher.aws.calls import AwsCalls
from usher.core.conditions.probe import Call, Reply, ReplyKind, Shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.config import Config

URL = "https://ec2.us-east-1.amazonaws.com"
GROUP_ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef"
HEALTH = Call(service="elbv2", operation="DescribeTargetHealth", parameters={"TargetGroupArn": GROUP_ARN})
STATUS = Call(
    service="ec2",
    operation="DescribeInstanceStatus",
    parameters={"IncludeAllInstances": True},
    shared=Shared(member="i-00000001", reduced=dict, members_in="InstanceIds"),
    all_pages=True,
)


def client(service: str, config: Config | None = None) -> Any:
    return boto3.client(
        service,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )


class Stubbed:
    """A client factory: each client is told its answers by `tell` before it is used."""

    def __init__(self, tell: Callable[[Stubber], None]) -> None:
        self._tell = tell
        self.stubber: Stubber

    def __call__(self, service: str, config: Config) -> Any:
        made = client(service, config)
        self.stubber = Stubber(made)
        self._tell(self.stubber)
        self.stubber.activate()
        return made


def reply_to(call: Call, tell: Callable[[Stubber], None], *members: str) -> Reply:
    """The reply, once everything that the client was told has been asked for."""
    stubbed = Stubbed(tell)
    reply = AwsCalls(stubbed).make(call, members)
    stubbed.stubber.assert_no_pending_responses()
    return reply


def reply_to_failure(call: Call, error: Exception) -> Reply:
    """The reply where the request fails with `error` on its way."""

    def send(**_: Any) -> None:
        raise error

    def failing(service: str, config: Config) -> Any:
        made = client(service, config)
        made.meta.events.register("before-send", send)
        return made

    return AwsCalls(failing).make(call)


def test_an_answer_comes_back_without_its_metadata() -> None:
    answer = {"TargetHealthDescriptions": [{"Target": {"Id": "i-1"}, "TargetHealth": {"State": "healthy"}}]}

    reply = reply_to(
        HEALTH,
        lambda stub: stub.add_response(
            "describe_target_health", {**answer, "ResponseMetadata": {}}, {"TargetGroupArn": GROUP_ARN}
        ),
    )

    assert reply == Reply(kind=ReplyKind.ANSWERED, data=answer)


def test_the_members_of_a_shared_call_are_put_where_it_takes_them() -> None:
    expected = {"IncludeAllInstances": True, "InstanceIds": ["i-00000001", "i-00000002"]}

    reply = reply_to(
        STATUS,
        lambda stub: stub.add_response("describe_instance_status", {"InstanceStatuses": []}, expected),
        "i-00000001",
        "i-00000002",
    )

    assert reply == Reply(kind=ReplyKind.ANSWERED, data={"InstanceStatuses": []})


def test_pages_are_one_answer() -> None:
    def tell(stub: Stubber) -> None:
        first = {"InstanceStatuses": [{"InstanceId": "i-00000001"}], "NextToken": "more"}
        stub.add_response("describe_instance_status", first)
        stub.add_response("describe_instance_status", {"InstanceStatuses": [{"InstanceId": "i-00000002"}]})

    reply = reply_to(STATUS, tell, "i-00000001")

    assert reply.data == {"InstanceStatuses": [{"InstanceId": "i-00000001"}, {"InstanceId": "i-00000002"}]}


def test_without_all_pages_one_request_is_made_and_the_answer_says_that_there_is_more() -> None:
    page = {"InstanceStatuses": [{"InstanceId": "i-00000001"}], "NextToken": "more"}

    reply = reply_to(
        replace(STATUS, all_pages=False), lambda stub: stub.add_response("describe_instance_status", page)
    )

    assert reply == Reply(kind=ReplyKind.ANSWERED, data=page)


def test_all_pages_of_what_has_no_pages_says_nothing_and_is_told() -> None:
    reply = AwsCalls(client).make(replace(HEALTH, all_pages=True))

    assert reply.kind is ReplyKind.UNKNOWN
    assert "OperationNotPageableError" in reply.text


def test_what_has_more_items_than_can_be_read_is_no_answer() -> None:
    """A part of an answer would show as absent what stands in the rest."""

    def tell(stub: Stubber) -> None:
        page = [{"InstanceId": f"i-{number:08}"} for number in range(2500)]
        for _ in range(2):
            stub.add_response("describe_instance_status", {"InstanceStatuses": page, "NextToken": "more"})

    reply = reply_to(STATUS, tell, "i-00000001")

    assert (reply.kind, reply.data) == (ReplyKind.UNKNOWN, None)
    assert "more than 5000 items" in reply.text


@pytest.mark.parametrize("failing_page", [1, 2])
def test_an_error_on_any_page_is_no_answer(failing_page: int) -> None:
    def tell(stub: Stubber) -> None:
        for _ in range(1, failing_page):
            stub.add_response("describe_instance_status", {"InstanceStatuses": [], "NextToken": "more"})
        stub.add_client_error("describe_instance_status", "RequestLimitExceeded", "slow", 503)

    assert reply_to(STATUS, tell, "i-00000001").kind is ReplyKind.UNKNOWN


def test_a_stream_in_an_answer_is_read_as_text() -> None:
    call = Call(service="lambda", operation="Invoke", parameters={"FunctionName": "smoke"})
    said = '{"status": "done", "word": "ja, geprüft"}'.encode()
    body = StreamingBody(io.BytesIO(said), len(said))

    reply = reply_to(call, lambda stub: stub.add_response("invoke", {"StatusCode": 200, "Payload": body}))

    assert reply.data == {"StatusCode": 200, "Payload": '{"status": "done", "word": "ja, geprüft"}'}


def test_a_stream_that_stands_still_timed_out() -> None:
    class Still(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise ReadTimeoutError(endpoint_url=URL)

    call = Call(service="lambda", operation="Invoke", parameters={"FunctionName": "smoke"})
    body = StreamingBody(Still(), 10)

    reply = reply_to(call, lambda stub: stub.add_response("invoke", {"StatusCode": 200, "Payload": body}))

    assert reply.kind is ReplyKind.TIMED_OUT


@pytest.mark.parametrize(
    ("code", "status", "kind", "denied"),
    [
        pytest.param("TargetGroupNotFound", 400, ReplyKind.REFUSED, False, id="does not exist"),
        pytest.param("ValidationError", 400, ReplyKind.REFUSED, False, id="not valid"),
        pytest.param("ResourceNotFoundException", 404, ReplyKind.REFUSED, False, id="404"),
        pytest.param("Throttling", 400, ReplyKind.UNKNOWN, False, id="throttled"),
        pytest.param("Anything", 429, ReplyKind.UNKNOWN, False, id="throttled by status"),
        pytest.param("RequestLimitExceeded", 503, ReplyKind.UNKNOWN, False, id="throttled by EC2"),
        pytest.param("InternalFailure", 500, ReplyKind.UNKNOWN, False, id="server error"),
        pytest.param("HealthUnavailable", 500, ReplyKind.UNKNOWN, False, id="health not available"),
        pytest.param("AccessDenied", 403, ReplyKind.UNKNOWN, True, id="not permitted"),
        pytest.param("AccessDeniedException", 400, ReplyKind.UNKNOWN, True, id="not permitted, with 400"),
        pytest.param("UnauthorizedOperation", 403, ReplyKind.UNKNOWN, True, id="not permitted by EC2"),
        pytest.param("ExpiredTokenException", 400, ReplyKind.UNKNOWN, True, id="credentials expired"),
        pytest.param("UnrecognizedClientException", 400, ReplyKind.UNKNOWN, True, id="credentials not known"),
        pytest.param("Anything", 401, ReplyKind.UNKNOWN, True, id="not permitted by status"),
    ],
)
def test_a_refusal_is_one_only_where_aws_answers_the_question(
    code: str, status: int, kind: ReplyKind, denied: bool
) -> None:
    reply = reply_to(
        HEALTH, lambda stub: stub.add_client_error("describe_target_health", code, "says why", status)
    )

    assert reply == Reply(kind=kind, code=code, text=f"{code}: says why", not_permitted=denied)


@pytest.mark.parametrize("code", ThrottledRetryableChecker._THROTTLED_ERROR_CODES)  # noqa: SLF001 - its list
def test_each_code_that_botocore_knows_as_a_throttle_says_nothing(code: str) -> None:
    reply = reply_to(HEALTH, lambda stub: stub.add_client_error("describe_target_health", code, "", 400))

    assert reply.kind is ReplyKind.UNKNOWN


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(ReadTimeoutError(endpoint_url=URL), ReplyKind.TIMED_OUT, id="no answer in time"),
        pytest.param(ConnectTimeoutError(endpoint_url=URL), ReplyKind.UNKNOWN, id="not reached in time"),
        pytest.param(
            EndpointConnectionError(endpoint_url=URL, error="no route"), ReplyKind.UNKNOWN, id="not reached"
        ),
        pytest.param(ConnectionClosedError(endpoint_url=URL), ReplyKind.UNKNOWN, id="the answer was lost"),
        pytest.param(NoCredentialsError(), ReplyKind.UNKNOWN, id="no credentials"),
        pytest.param(
            HTTPClientError(error=OSError("broken")), ReplyKind.UNKNOWN, id="anything else on the way"
        ),
    ],
)
def test_a_request_that_fails_on_its_way_says_nothing_of_what_was_asked(
    error: Exception, kind: ReplyKind
) -> None:
    reply = reply_to_failure(HEALTH, error)

    assert (reply.kind, reply.data, reply.code) == (kind, None, "")
    assert "DescribeTargetHealth" in reply.text


def test_parameters_that_the_service_does_not_take_say_nothing_and_are_told() -> None:
    call = Call(service="elbv2", operation="DescribeTargetHealth", parameters={"Arn": "web"})

    reply = AwsCalls(client).make(call)

    assert reply.kind is ReplyKind.UNKNOWN
    assert "ParamValidationError" in reply.text
    assert "TargetGroupArn" in reply.text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("The instance ID 'i-00000002' does not exist", id="one"),
        pytest.param("The instance IDs 'i-00000002, i-00000004' do not exist", id="several"),
        pytest.param("Not found: i-00000002.", id="at the end of a sentence"),
    ],
)
def test_members_that_a_refusal_names_do_not_hide_the_others(text: str) -> None:
    known = {"InstanceStatuses": [{"InstanceId": "i-00000001"}]}
    asked = ["i-00000001", "i-00000002", "i-000000021"]
    left = {"IncludeAllInstances": True, "InstanceIds": ["i-00000001", "i-000000021"]}

    def tell(stub: Stubber) -> None:
        stub.add_client_error("describe_instance_status", "InvalidInstanceID.NotFound", text, 400)
        stub.add_response("describe_instance_status", known, left)

    assert reply_to(STATUS, tell, *asked) == Reply(kind=ReplyKind.ANSWERED, data=known)


def test_where_a_refusal_names_every_member_the_answer_shows_none() -> None:
    """As a refusal it would hide the members of the other parts of the question."""
    text = "The instance ID 'i-00000001' does not exist"

    reply = reply_to(
        STATUS,
        lambda stub: stub.add_client_error(
            "describe_instance_status", "InvalidInstanceID.NotFound", text, 400
        ),
        "i-00000001",
    )

    assert reply == Reply(kind=ReplyKind.ANSWERED, data={})


def test_a_refusal_that_names_no_member_stays_one() -> None:
    reply = reply_to(
        STATUS,
        lambda stub: stub.add_client_error("describe_instance_status", "InvalidParameter", "bad", 400),
        "i-00000001",
    )

    assert reply == Reply(kind=ReplyKind.REFUSED, code="InvalidParameter", text="InvalidParameter: bad")


def test_a_client_is_made_once_per_service_and_length_and_makes_one_attempt_within_it() -> None:
    made: Counter[tuple[str, int, int, int]] = Counter()

    def making(service: str, config: Config) -> Any:
        attempts = config.retries["total_max_attempts"]
        made[service, config.connect_timeout, config.read_timeout, attempts] += 1
        return client(service, config)

    calls = AwsCalls(making)
    for longest in (6, 6, 30, 1):
        for service, operation in (("elbv2", "DescribeTargetHealth"), ("ec2", "DescribeInstanceStatus")):
            parameters = {"Unknown": True}  # refused before it is sent
            calls.make(
                Call(
                    service=service,
                    operation=operation,
                    parameters=parameters,
                    longest=timedelta(seconds=longest),
                )
            )

    assert made == {(service, 2, reading, 1): 1 for service in ("elbv2", "ec2") for reading in (4, 28, 1)}


def test_clients_are_made_only_when_they_are_needed() -> None:
    def never(service: str, config: Config) -> Any:
        raise AssertionError(service, config)

    AwsCalls(never)
