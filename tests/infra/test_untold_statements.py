"""Rules for the statements that the local account cannot tell (tests/e2e/deployed/test_permissions.py)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.stacks import listed, resources, statements, templates

FUNCTIONS = ("Intake", "Wake", "Questions", "Sweep", "Provision")


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return templates("all four ways in")["Usher"]


def granted(template: dict[str, Any], function: str, action: str) -> list[Any]:
    """The resources on which the role of a function has an action."""
    found = [each for each in statements(template, f"{function}Role") if action in listed(each["Action"])]
    return [resource for each in found for resource in listed(each["Resource"])]


def only(template: dict[str, Any], kind: str, function: str, field: str = "FunctionName") -> dict[str, Any]:
    """The only resource of a type that belongs to a function."""
    of = f"{function}Function"
    (found,) = [each for each in resources(template, kind).values() if each[field]["Ref"].startswith(of)]
    return found


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_writes_its_own_log(template: dict[str, Any], function: str) -> None:
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        (resource,) = granted(template, function, action)
        assert resource["Fn::GetAtt"][0].startswith(f"{function}Logs")


@pytest.mark.parametrize("function", [each for each in FUNCTIONS if each != "Sweep"])
def test_a_function_sends_its_traces(template: dict[str, Any], function: str) -> None:
    for action in ("xray:PutTraceSegments", "xray:PutTelemetryRecords"):
        assert granted(template, function, action) == ["*"]


@pytest.mark.parametrize("function", ["Intake", "Wake", "Questions"])
def test_a_function_takes_messages_from_the_queues_of_its_event_sources(
    template: dict[str, Any], function: str
) -> None:
    mappings = resources(template, "AWS::Lambda::EventSourceMapping").values()
    ours = [each for each in mappings if each["FunctionName"]["Ref"].startswith(f"{function}Function")]
    for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
        assert granted(template, function, action) == [each["EventSourceArn"] for each in ours]


@pytest.mark.parametrize("function", ["Intake"])
def test_a_function_may_send_what_failed_where_it_is_to_go(template: dict[str, Any], function: str) -> None:
    config = only(template, "AWS::Lambda::EventInvokeConfig", function)
    destination = config["DestinationConfig"]["OnFailure"]["Destination"]
    assert destination in granted(template, function, "sqs:SendMessage")
