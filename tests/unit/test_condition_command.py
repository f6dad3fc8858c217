from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from tests.aws_shapes import ShapedCalls, checked, service_model, values_of
from tests.factories import START, a_policy, an_action, at, hook_terms
from tests.questions import free_turns
from usher.aws.calls import AwsCalls
from usher.core import conditions
from usher.core.action import Transition
from usher.core.conditions.command import SENT_AGAIN_AFTER, STATUSES, Command
from usher.core.conditions.probe import Call, Found, Permission, Probe, Reply, ReplyKind, as_finding
from usher.core.field import Field, Problem, Refused
from usher.core.finding import ConditionStatus
from usher.questions.probing import Prober
from usher_simulator.fakes.memory_budget import MemoryAnswers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.action import Action
    from usher.core.finding import Finding, Memory
    from usher.ports.conditions import Calls

UPLOAD = Command(document="upload-logs")
ID = "11111111-2222-4333-8444-555555555555"
OTHER_ID = "99999999-2222-4333-8444-555555555555"
INSTANCE = an_action().instance_id
SENT = {"since": at(0).isoformat(), "intended_at": at(0).isoformat()}
FOLLOWED = {"since": at(0).isoformat(), "command_id": ID}
TIMED_OUT = Reply(kind=ReplyKind.TIMED_OUT, text="not answered in time")
BUSY = Reply(kind=ReplyKind.UNKNOWN, code="ThrottlingException", text="ThrottlingException: Rate exceeded")
NEW = an_action(hook=hook_terms(transition=Transition.LAUNCHING))


def parsed(value: object) -> tuple[object, list[Problem]]:
    problems: list[Problem] = []
    try:
        return conditions.parse(
            Field(path=("until", 0), value={"command": value}, problems=problems)
        ), problems
    except Refused:
        return None, problems


def refused(code: str, text: str = "no") -> Reply:
    return Reply(kind=ReplyKind.REFUSED, code=code, text=f"{code}: {text}")


def answered(operation: str, data: Mapping[str, Any]) -> Reply:
    return Reply(kind=ReplyKind.ANSWERED, data=checked("ssm", operation, data))


def heard(
    operation: str,
    reply: Reply,
    memory: Memory,
    now_s: float = 60,
    *,
    command: Command = UPLOAD,
    action: Action | None = None,
) -> Found:
    call = Call(service="ssm", operation=operation)
    return command.hear(action or an_action(), memory, call, reply, at(now_s))


def invocation(status: str, details: str = "", **plugins: tuple[str, int]) -> dict[str, Any]:
    """What ListCommandInvocations says of the command; each plugin with its status and exit code."""
    return {
        "CommandId": ID,
        "InstanceId": INSTANCE,
        "Status": status,
        "StatusDetails": details or status,
        "CommandPlugins": [
            {"Name": name, "Status": plugin, "ResponseCode": code} for name, (plugin, code) in plugins.items()
        ],
    }


def followed(*invocations: dict[str, Any], now_s: float = 60) -> Found:
    reply = answered("ListCommandInvocations", {"CommandInvocations": list(invocations)})
    return heard("ListCommandInvocations", reply, FOLLOWED, now_s)


def listed(*commands: dict[str, Any], now_s: float, memory: Memory = SENT) -> Found:
    return heard("ListCommands", answered("ListCommands", {"Commands": list(commands)}), memory, now_s)


def comment_of(command: Command, action: Action | None = None) -> str:
    return str(command.ask(action or an_action(), {}, at(0)).parameters["Comment"])


# What the hooks file says


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"document": "upload-logs"}, UPLOAD, id="a document alone"),
        pytest.param(
            {
                "document": "AWS-RunShellScript",
                "parameters": {"commands": ["set -e", "one\n\ttwo"], "a": "b"},
                "timeout": "30s",
                "version": "$LATEST",
            },
            Command(
                document="AWS-RunShellScript",
                parameters=(("a", ("b",)), ("commands", ("set -e", "one\n\ttwo"))),
                timeout=timedelta(seconds=30),
                version="$LATEST",
            ),
            id="everything",
        ),
        pytest.param(
            {"document": "upload-logs", "timeout": "48h", "version": "12", "parameters": {"x": [""]}},
            Command(
                document="upload-logs",
                timeout=timedelta(hours=48),
                version="12",
                parameters=(("x", ("",)),),
            ),
            id="the longest timeout, an empty text",
        ),
        pytest.param(
            {"document": "arn:aws:ssm:eu-west-1:123456789012:document/x-1"},
            Command(document="arn:aws:ssm:eu-west-1:123456789012:document/x-1"),
            id="an ARN",
        ),
    ],
)
def test_a_command_is_understood(value: object, expected: Command) -> None:
    assert parsed(value) == (expected, [])


@pytest.mark.parametrize(
    ("value", "place", "rule"),
    [
        pytest.param("upload-logs", "", "must be a mapping", id="no mapping"),
        pytest.param({}, "", "must have document", id="no document"),
        pytest.param({"document": "ab"}, ".document", "3 to 128", id="a short document"),
        pytest.param({"document": "a" * 129}, ".document", "3 to 128", id="a long document"),
        pytest.param({"document": "a b c"}, ".document", "name or ARN", id="blanks"),
        pytest.param({"document": "abc", "timeout": "29s"}, ".timeout", "from 30s to 48h", id="too short"),
        pytest.param({"document": "abc", "timeout": "48h1s"}, ".timeout", "from 30s to 48h", id="too long"),
        pytest.param({"document": "abc", "version": 3}, ".version", "in quotes", id="a bare number"),
        pytest.param({"document": "abc", "version": "v3"}, ".version", "a number", id="no version"),
        pytest.param({"document": "abc", "script": "x"}, ".script", "not a known key", id="an unknown key"),
        pytest.param({"document": "abc", "parameters": ["x"]}, ".parameters", "a mapping", id="a list"),
        pytest.param(
            {"document": "abc", "parameters": {"x": 600}}, ".parameters.x", "must be a list", id="a number"
        ),
        pytest.param(
            {"document": "abc", "parameters": {"x": [600]}},
            ".parameters.x[0]",
            "in quotes",
            id="a number in it",
        ),
        pytest.param(
            {"document": "abc", "parameters": {"x": "\x00"}}, ".parameters.x", "must be text", id="a control"
        ),
        pytest.param(
            {"document": "abc", "parameters": {"": "x"}}, ".parameters['']", "of a parameter", id="no name"
        ),
        pytest.param(
            {"document": "abc", "parameters": {"x": ["y" * 4000, "z" * 4000]}},
            ".parameters",
            "at most 8000 characters in all",
            id="too much",
        ),
    ],
)
def test_a_command_that_is_not_sound_is_refused(value: object, place: str, rule: str) -> None:
    _, problems = parsed(value)

    assert [problem.field for problem in problems] == [f"until[0].command{place}"]
    assert rule in problems[0].rule


def test_a_command_starts_something_so_it_cannot_be_turned_round() -> None:
    problems: list[Problem] = []

    with pytest.raises(Refused):
        conditions.parse(Field(path=(), value={"not": {"command": {"document": "abc"}}}, problems=problems))

    assert "starts something" in problems[0].rule


def test_different_commands_have_different_names_and_comments_and_equal_ones_the_same() -> None:
    values: list[dict[str, object]] = [
        {"document": "abc"},
        {"document": "abd"},
        {"document": "abc", "timeout": "11m"},
        {"document": "abc", "version": "1"},
        {"document": "abc", "parameters": {"x": "y"}},
        {"document": "abc", "parameters": {"x": "z"}},
        {"document": "abc", "parameters": {"x": ["y", "z"]}},
        {"document": "abc", "parameters": {"x": "y", "z": "y"}},
    ]
    commands = [found for found, _ in map(parsed, values) if isinstance(found, Command)]
    again, _ = parsed({"document": "abc", "parameters": {"z": ["y"], "x": ["y"]}})

    assert len({command.name for command in commands}) == len(values)
    assert len({comment_of(command) for command in commands}) == len(values)
    assert all(command.name.startswith("command ab") for command in commands)
    assert again == commands[-1]


@pytest.mark.parametrize(
    ("document", "arn"),
    [
        pytest.param("upload-logs", "arn:{partition}:ssm:{region}:{account}:document/upload-logs", id="own"),
        pytest.param(
            "AWS-RunShellScript", "arn:{partition}:ssm:{region}::document/AWS-RunShellScript", id="AWS"
        ),
        pytest.param("arn:aws:ssm:eu-west-1:1:document/x", "arn:aws:ssm:eu-west-1:1:document/x", id="shared"),
    ],
)
def test_only_its_own_document_may_be_sent(document: str, arn: str) -> None:
    send, read = Command(document=document).permissions

    instances = "arn:{partition}:ec2:{region}:{account}:instance/*"
    assert send == Permission(actions=("ssm:SendCommand",), resources=(arn, instances))
    assert read.actions == ("ssm:ListCommands", "ssm:ListCommandInvocations", "ssm:GetCommandInvocation")


# Sending


def test_the_first_call_sends_the_document_with_its_intent() -> None:
    command = Command(document="abc", parameters=(("x", ("1", "2")),), version="3")

    call = command.ask(an_action(), {}, at(5))

    assert call.parameters == {
        "InstanceIds": [INSTANCE],
        "DocumentName": "abc",
        "DocumentVersion": "3",
        "Parameters": {"x": ["1", "2"]},
        "TimeoutSeconds": 600,
        "Comment": comment_of(command),
    }
    assert call.intent == {"since": at(5).isoformat(), "intended_at": at(5).isoformat()}
    assert comment_of(command).startswith("usher action-1 ")


@pytest.mark.parametrize(("now_s", "delivered_in_s"), [(100, 500), (571, 30), (700, 30)])
def test_what_is_sent_again_is_to_be_delivered_in_the_time_that_is_left(
    now_s: int, delivered_in_s: int
) -> None:
    call = UPLOAD.ask(an_action(), {"since": at(0).isoformat()}, at(now_s))

    assert call.parameters["TimeoutSeconds"] == delivered_in_s
    assert call.intent == {"since": at(0).isoformat(), "intended_at": at(now_s).isoformat()}


def test_a_comment_is_never_longer_than_ssm_takes_and_is_found_again() -> None:
    action = an_action(id="a" * 200)
    comment = comment_of(UPLOAD, action)
    reply = answered("ListCommands", {"Commands": [{"CommandId": ID, "Comment": comment}]})

    assert len(comment) == 100
    assert heard("ListCommands", reply, SENT, 10, action=action).memory["command_id"] == ID


def test_a_command_that_was_sent_is_followed_every_ten_seconds() -> None:
    found = heard("SendCommand", answered("SendCommand", {"Command": {"CommandId": ID}}), SENT)

    assert found == Found(
        status=ConditionStatus.PENDING,
        detail=f"sent as {ID}",
        ask_again_after=timedelta(seconds=10),
        memory={**SENT, "command_id": ID},
    )
    call = UPLOAD.ask(an_action(), found.memory, at(10))
    assert call.operation == "ListCommandInvocations"
    assert call.parameters == {"CommandId": ID, "InstanceId": INSTANCE, "Details": True}


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(TIMED_OUT, id="no answer"),
        pytest.param(BUSY, id="busy"),
        pytest.param(refused("InternalServerError"), id="an error of the service"),
        pytest.param(refused("SomethingNew"), id="an unknown code"),
        pytest.param(Reply(kind=ReplyKind.ANSWERED, data={}), id="an answer without a command"),
        pytest.param(Reply(kind=ReplyKind.ANSWERED, data={"Command": []}), id="an odd answer"),
        pytest.param(Reply(kind=ReplyKind.ANSWERED, data=None), id="an empty answer"),
        pytest.param(Reply(kind=ReplyKind.ANSWERED, data={"Command": {"CommandId": 5}}), id="an odd id"),
    ],
)
def test_where_nobody_knows_whether_it_was_sent_the_list_is_read_next(reply: Reply) -> None:
    found = heard("SendCommand", reply, SENT)

    assert (found.status, found.memory) == (ConditionStatus.UNKNOWN, SENT)
    assert found.detail
    assert UPLOAD.ask(an_action(), found.memory, at(65)).operation == "ListCommands"


ERRORS = {
    "DuplicateInstanceId": ConditionStatus.UNKNOWN,  # one instance is no two
    "InternalServerError": ConditionStatus.UNKNOWN,
    "InvalidInstanceId": ConditionStatus.PENDING,
    "InvalidDocument": ConditionStatus.FAILED,
    "InvalidDocumentVersion": ConditionStatus.FAILED,
    "InvalidOutputFolder": ConditionStatus.UNKNOWN,  # not used
    "InvalidParameters": ConditionStatus.FAILED,
    "UnsupportedPlatformType": ConditionStatus.FAILED,
    "MaxDocumentSizeExceeded": ConditionStatus.FAILED,
    "InvalidRole": ConditionStatus.UNKNOWN,  # not used
    "InvalidNotificationConfig": ConditionStatus.UNKNOWN,  # not used
}


@pytest.mark.parametrize(("code", "status"), ERRORS.items())
def test_every_error_of_sending_has_its_meaning(code: str, status: ConditionStatus) -> None:
    assert heard("SendCommand", refused(code), SENT).status is status


def test_no_error_of_sending_is_new() -> None:
    model = service_model("ssm").operation_model("SendCommand")

    assert {shape.name for shape in model.error_shapes} == set(ERRORS)


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("InvalidDocument", "document abc does not exist: InvalidDocument: no"),
        ("InvalidDocumentVersion", "version 3 of document abc does not exist: InvalidDocumentVersion: no"),
        ("InvalidParameters", "SSM refuses document abc: InvalidParameters: no"),
    ],
)
def test_a_failure_to_send_says_what_is_wrong(code: str, detail: str) -> None:
    assert (
        heard("SendCommand", refused(code), SENT, command=Command(document="abc", version="3")).detail
        == detail
    )


@pytest.mark.parametrize(
    ("action", "now_s", "status", "what"),
    [
        pytest.param(NEW, 1, ConditionStatus.PENDING, "does not manage the instance yet", id="just launched"),
        pytest.param(
            NEW, 599, ConditionStatus.PENDING, "does not manage the instance yet", id="nearly too long"
        ),
        pytest.param(NEW, 600, ConditionStatus.FAILED, "for 10m", id="launched long ago"),
        pytest.param(
            an_action(), 119, ConditionStatus.PENDING, "does not manage the instance:", id="agent restarts"
        ),
        pytest.param(an_action(), 120, ConditionStatus.FAILED, "for 2m", id="no agent"),
    ],
)
def test_an_instance_that_ssm_does_not_manage_is_waited_for(
    action: Action, now_s: float, status: ConditionStatus, what: str
) -> None:
    found = heard("SendCommand", refused("InvalidInstanceId"), SENT, now_s, action=action)

    assert found.status is status
    assert what in found.detail
    assert "InvalidInstanceId" in found.detail


def test_what_was_surely_not_sent_is_sent_again_under_the_first_clock() -> None:
    found = heard("SendCommand", refused("InvalidInstanceId"), SENT, 20, action=NEW)
    call = UPLOAD.ask(NEW, found.memory, at(40))

    assert (call.operation, call.intent) == ("SendCommand", {**SENT, "intended_at": at(40).isoformat()})


# Finding what was sent


def test_the_commands_of_the_instance_are_read_from_before_the_first_intent_on() -> None:
    call = UPLOAD.ask(an_action(), SENT, at(8))

    assert call.parameters == {
        "InstanceId": INSTANCE,
        "Filters": [{"key": "InvokedAfter", "value": "2026-03-01T11:59:00Z"}],
    }
    assert call.intent is None


def test_a_command_of_ours_is_found_by_its_comment_and_followed_at_once() -> None:
    others = [
        {"CommandId": OTHER_ID},
        {"CommandId": OTHER_ID, "Comment": "usher action-1"},
        {"CommandId": OTHER_ID, "Comment": comment_of(UPLOAD, an_action(id="action-2"))},
        {"CommandId": OTHER_ID, "Comment": comment_of(Command(document="upload-logs", version="1"))},
    ]

    found = listed(*others, {"CommandId": ID, "Comment": comment_of(UPLOAD)}, now_s=3)

    assert found.go_on
    assert found.memory == FOLLOWED


@pytest.mark.parametrize("now_s", [1, 20, 35.9])
def test_what_is_not_listed_may_still_come_so_nothing_is_sent_again(now_s: float) -> None:
    found = listed(now_s=now_s)

    assert (found.status, found.go_on, found.memory) == (ConditionStatus.UNKNOWN, False, SENT)
    assert found.ask_again_after is not None
    assert UPLOAD.ask(an_action(), found.memory, at(now_s)).operation == "ListCommands"


def test_what_a_list_does_not_show_that_was_read_30_s_after_the_intent_is_sent_again() -> None:
    """The reading began a call's length before its answer, at most."""
    longest = UPLOAD.ask(an_action(), SENT, at(0)).longest
    found = listed(now_s=(SENT_AGAIN_AFTER + longest).total_seconds())

    assert found.go_on
    assert UPLOAD.ask(an_action(), found.memory, at(40)).operation == "SendCommand"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(TIMED_OUT, id="no answer"),
        pytest.param(BUSY, id="busy"),
        pytest.param(refused("InvalidInstanceId"), id="refused"),
        pytest.param(Reply(kind=ReplyKind.ANSWERED, data={}), id="no list"),
        pytest.param(Reply(kind=ReplyKind.ANSWERED, data={"Commands": "none"}), id="an odd list"),
        pytest.param(answered("ListCommands", {"Commands": [], "NextToken": "x"}), id="a part of the list"),
        pytest.param(Reply(kind=ReplyKind.ANSWERED, data="Commands"), id="an odd answer"),
    ],
)
def test_a_list_that_was_not_read_proves_nothing_however_late(reply: Reply) -> None:
    found = heard("ListCommands", reply, SENT, 100_000)

    assert (found.status, found.go_on, found.memory) == (ConditionStatus.UNKNOWN, False, SENT)


def test_what_was_not_sent_in_time_has_failed() -> None:
    found = listed(now_s=600)

    assert found.status is ConditionStatus.FAILED
    assert found.detail == "was not sent in 10m: no attempt was answered, none is listed"


def test_one_that_was_sent_just_now_is_looked_for_although_the_time_is_over() -> None:
    memory = {**SENT, "intended_at": at(590).isoformat()}

    assert listed(now_s=601, memory=memory).status is ConditionStatus.UNKNOWN


# Following it

PENDING = {"Pending", "InProgress", "Delayed", "Cancelling"}
FAILED = {"Cancelled", "TimedOut", "Failed"}


def test_every_status_of_a_command_has_its_meaning() -> None:
    expected = dict.fromkeys(PENDING, ConditionStatus.PENDING) | dict.fromkeys(FAILED, ConditionStatus.FAILED)

    assert values_of("ssm", "CommandInvocationStatus") == set(STATUSES)
    assert expected | {"Success": ConditionStatus.HOLDS} == STATUSES


@pytest.mark.parametrize(("invoked", "status"), STATUSES.items())
def test_a_command_stands_as_its_status_says(invoked: str, status: ConditionStatus) -> None:
    found = followed(invocation(invoked))

    assert (found.status, found.detail) == (status, invoked)
    assert found.ask_again_after == (timedelta(seconds=10) if status is ConditionStatus.PENDING else None)


def test_success_shows_the_exit_code_of_the_last_step_and_holds_for_good_also_late() -> None:
    found = followed(invocation("Success", first=("Success", 1), last=("Success", 0)), now_s=5000)

    assert found == Found(status=ConditionStatus.HOLDS, detail="Success, exit code 0")


def test_the_details_of_a_status_are_shown_where_they_say_more() -> None:
    assert followed(invocation("TimedOut", "DeliveryTimedOut")).detail == "TimedOut (DeliveryTimedOut)"


def test_one_that_does_not_finish_in_time_has_failed_when_ssm_says_that_it_still_runs() -> None:
    assert followed(invocation("InProgress"), now_s=599).status is ConditionStatus.PENDING
    late = followed(invocation("InProgress"), now_s=600)
    assert (late.status, late.detail) == (ConditionStatus.FAILED, "did not finish in 10m: InProgress")


def test_one_that_is_not_to_be_seen_yet_is_unknown_until_the_time_is_over() -> None:
    another = {**invocation("Success"), "CommandId": OTHER_ID}
    elsewhere = {**invocation("Success"), "InstanceId": "i-0123456789abcdef0"}

    assert followed(another, elsewhere).status is ConditionStatus.UNKNOWN
    assert followed().detail == f"{ID} is not to be seen yet"
    assert followed(now_s=600).status is ConditionStatus.FAILED


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(TIMED_OUT, id="no answer"),
        pytest.param(BUSY, id="busy"),
        pytest.param(refused("InvalidCommandId"), id="refused"),
        pytest.param(Reply(kind=ReplyKind.ANSWERED, data={}), id="no list"),
        pytest.param(Reply(kind=ReplyKind.ANSWERED, data=[]), id="an odd answer"),
        pytest.param(Reply(kind=ReplyKind.ANSWERED, data={"CommandInvocations": {}}), id="an odd list"),
        pytest.param(
            answered("ListCommandInvocations", {"CommandInvocations": [invocation("Vanished")]}),
            id="an unknown status",
        ),
        pytest.param(
            Reply(
                kind=ReplyKind.ANSWERED,
                data={"CommandInvocations": [{"CommandId": ID, "InstanceId": INSTANCE}]},
            ),
            id="no status",
        ),
    ],
)
def test_an_answer_that_is_not_understood_is_unknown_however_late(reply: Reply) -> None:
    found = heard("ListCommandInvocations", reply, FOLLOWED, 100_000)

    assert (found.status, found.memory) == (ConditionStatus.UNKNOWN, FOLLOWED)
    assert found.detail


# Why it failed


def failed(**plugins: tuple[str, int]) -> Found:
    return followed(invocation("Failed", "Failed", **plugins))


def test_the_output_of_the_step_that_failed_is_fetched() -> None:
    found = failed(fetch=("Success", 0), upload=("Failed", 3), tidy=("Pending", -1))
    call = UPLOAD.ask(an_action(), found.memory, at(61))

    assert found.go_on
    assert call.operation == "GetCommandInvocation"
    assert call.parameters == {"CommandId": ID, "InstanceId": INSTANCE, "PluginName": "upload"}


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        pytest.param(
            answered(
                "GetCommandInvocation", {"StandardErrorContent": "one\n\x1b[31mno space\x1b[0m left\r\n"}
            ),
            "Failed, exit code 3: one no space left",
            id="cleaned",
        ),
        pytest.param(
            answered("GetCommandInvocation", {"StandardErrorContent": "x" * 300 + "the last line"}),
            "Failed, exit code 3: …" + "x" * 186 + "the last line",
            id="the last 200 characters",
        ),
        pytest.param(
            answered("GetCommandInvocation", {"StandardErrorContent": " \n"}),
            "Failed, exit code 3",
            id="blank",
        ),
        pytest.param(Reply(kind=ReplyKind.ANSWERED, data=None), "Failed, exit code 3", id="an odd answer"),
        pytest.param(TIMED_OUT, "Failed, exit code 3", id="no answer"),
        pytest.param(refused("InvalidPluginName"), "Failed, exit code 3", id="refused"),
    ],
)
def test_a_failure_shows_the_end_of_the_error_output_where_there_is_one(reply: Reply, detail: str) -> None:
    memory = failed(upload=("Failed", 3)).memory
    found = heard("GetCommandInvocation", reply, memory)

    assert (found.status, found.detail) == (ConditionStatus.FAILED, detail)


# Through the prober


class Cut(BaseException):
    """The function is ended here."""


@dataclass(kw_only=True)
class Record:
    """Looks at one condition as the evaluator does: what is stored, and when it is asked again."""

    calls: Calls
    probe: Probe = UPLOAD
    now: datetime = START
    action: Action = field(
        default_factory=lambda: an_action(policy=a_policy([{"command": {"document": "upload-logs"}}]))
    )
    finding: Finding | None = None
    memory: Memory = field(default_factory=dict)

    def look(self) -> ConditionStatus:
        prober = Prober(
            calls=self.calls, answers=MemoryAnswers(), call_budget=free_turns(), clock=lambda: self.now
        )
        until = self.now + timedelta(seconds=60)
        found = prober.probe(self.probe, self.action, self.memory, until, self.keep)
        assert isinstance(found, Found), "it always has the time"
        self.finding = as_finding(self.probe, found, self.finding, self.now)
        self.memory = self.finding.memory
        return self.finding.status

    def keep(self, intent: Memory) -> None:
        self.memory = intent

    def look_again(self) -> ConditionStatus:
        assert self.finding is not None
        assert self.finding.ask_again_at is not None
        self.now = max(self.now, self.finding.ask_again_at)
        return self.look()


def test_a_command_runs_from_its_intent_to_its_failure() -> None:
    listed = iter([[], [invocation("InProgress")], [invocation("Failed", upload=("Failed", 2))]])

    def answer(operation: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
        match operation:
            case "SendCommand":
                return {"Command": {"CommandId": ID}}
            case "ListCommandInvocations":
                return {"CommandInvocations": next(listed)}
            case _:
                return {"Status": "Failed", "StandardErrorContent": "no such bucket\n"}

    calls = ShapedCalls(answer)
    record = Record(calls=calls)

    found = [record.look(), *(record.look_again() for _ in range(3))]

    assert found == [
        ConditionStatus.PENDING,
        ConditionStatus.UNKNOWN,
        ConditionStatus.PENDING,
        ConditionStatus.FAILED,
    ]
    assert record.finding is not None
    assert record.finding.detail == "Failed, exit code 2: no such bucket"
    assert [operation for operation, _ in calls.made] == [
        "SendCommand",
        *["ListCommandInvocations"] * 3,
        "GetCommandInvocation",
    ]


@dataclass(kw_only=True)
class Sent:
    """A command as SSM has it."""

    id: str
    comment: str
    listed_from: datetime


@dataclass(kw_only=True)
class Ssm:
    """SSM with faults: answers and requests are lost, lists lag, the function is cut off."""

    draw: Any
    record: Record = field(init=False)
    sent: list[Sent] = field(default_factory=list)
    said: str = ""  # the last status that it told of a command of ours
    faulty: bool = True

    def __post_init__(self) -> None:
        self.record = Record(calls=ShapedCalls(self.answer))

    def answer(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | Reply:
        before = self.drawn(st.sampled_from(["", "", "", "busy", "lost", "cut"]))
        self.pass_time()
        if reply := self.fault(before):
            return reply
        data = self.done(operation, parameters)
        after = self.drawn(st.sampled_from(["", "lost", "cut"]))
        self.pass_time()
        return self.fault(after) or data

    def fault(self, kind: str) -> Reply | None:
        if kind == "cut":
            raise Cut
        return {"busy": BUSY, "lost": TIMED_OUT}.get(kind)

    def drawn(self, strategy: st.SearchStrategy[str]) -> str:
        return str(self.draw(strategy)) if self.faulty else ""

    def pass_time(self) -> None:
        """A call takes 6 s at most."""
        self.record.now += timedelta(seconds=self.draw(st.integers(0, 3)))

    def done(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        now = self.record.now
        if operation == "SendCommand":
            number = f"{len(self.sent):012}"
            lag = timedelta(seconds=self.draw(st.sampled_from([20, 0, 8])))
            one = Sent(id=ID[:-12] + number, comment=parameters["Comment"], listed_from=now + lag)
            self.sent.append(one)
            return {"Command": {"CommandId": one.id}}
        seen = [one for one in self.sent if one.listed_from <= now]
        if operation == "ListCommands":
            foreign = {"CommandId": OTHER_ID, "Comment": "usher action-2 01234567"}
            return {"Commands": [foreign, *({"CommandId": one.id, "Comment": one.comment} for one in seen)]}
        return self.told([one for one in seen if one.id == parameters["CommandId"]])

    def told(self, seen: list[Sent]) -> Mapping[str, Any]:
        foreign = {**invocation("Success"), "CommandId": OTHER_ID}
        if not seen:
            return {"CommandInvocations": [foreign]}
        self.said = str(self.draw(st.sampled_from([*STATUSES, "Vanished"]))) if self.faulty else "Success"
        return {"CommandInvocations": [foreign, {**invocation(self.said), "CommandId": seen[0].id}]}

    def look(self) -> ConditionStatus:
        try:
            if self.record.finding is None or self.record.finding.ask_again_at is None:
                return self.record.look()
            return self.record.look_again()
        except Cut:
            self.record.now += timedelta(seconds=self.draw(st.integers(1, 30)))
            return ConditionStatus.UNKNOWN


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_whatever_is_lost_it_never_holds_before_its_own_command_succeeded_nor_runs_it_twice(
    data: Any,
) -> None:
    """A list that lags by 20 s at most shows what was sent, so at least once is exactly once here."""
    ssm = Ssm(draw=data.draw)
    status = ConditionStatus.UNKNOWN
    for look in range(60):
        ssm.faulty = look < 20
        ssm.said = ""
        status = ssm.look()
        assert (status is ConditionStatus.HOLDS) == (
            ssm.said == "Success"
        ) or status is ConditionStatus.UNKNOWN
        assert len(ssm.sent) <= 1
        if status in (ConditionStatus.HOLDS, ConditionStatus.FAILED):
            break
    assert status is ConditionStatus.HOLDS or ssm.said in FAILED or ssm.record.now >= at(600)
    assert status is not ConditionStatus.HOLDS or len(ssm.sent) == 1


# Against moto, which knows no ListCommandInvocations


def test_a_command_is_sent_and_found_again_with_the_real_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        calls = AwsCalls(boto3.client)
        record = Record(calls=calls)
        assert record.look() is ConditionStatus.PENDING
        command_id = record.memory["command_id"]

        record.memory = {key: record.memory[key] for key in ("since", "intended_at")}
        reply = calls.make(UPLOAD.ask(record.action, record.memory, at(20)))

        found = heard("ListCommands", reply, record.memory)
        assert (found.go_on, found.memory["command_id"]) == (True, command_id)
