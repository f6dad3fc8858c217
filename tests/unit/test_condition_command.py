from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from tests.aws_shapes import ShapedCalls, checked, service_model, values_of
from tests.conditions import (
    ANOTHER,
    BUSY,
    FAILED,
    HOLDS,
    INSTANCE,
    PENDING,
    SILENT,
    UNKNOWN,
    Answers,
    Sample,
    Watch,
    assert_refused,
    operations,
    parsed,
    refused,
)
from tests.factories import an_action, at, hook_terms
from usher.aws.calls import AwsCalls
from usher.core.action import Transition
from usher.core.conditions.command import SENT_AGAIN_AFTER, STATUSES, Command
from usher.core.conditions.probe import Call, Found, Permission, Reply, ReplyKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.action import Action
    from usher.core.finding import ConditionStatus, Memory

UPLOAD = Command(document="upload-logs")
ID = "11111111-2222-4333-8444-555555555555"
OTHER_ID = "99999999-2222-4333-8444-555555555555"
SENT = {"since": at(0).isoformat(), "intended_at": at(0).isoformat()}
FOLLOWED = {"since": at(0).isoformat(), "command_id": ID}
NEW = an_action(hook=hook_terms(transition=Transition.LAUNCHING))
SEND, LIST, FOLLOW, OUTPUT = "SendCommand", "ListCommands", "ListCommandInvocations", "GetCommandInvocation"


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


def comment_of(command: Command, action: Action | None = None) -> str:
    return str(command.ask(action or an_action(), {}, at(0)).parameters["Comment"])


def saying(told: dict[str, Any], command: Command = UPLOAD) -> Answers:
    """It is sent, listed and stands so; its error output can be had."""
    return {
        SEND: {"Command": {"CommandId": ID}},
        LIST: {"Commands": [{"CommandId": ID, "Comment": comment_of(command)}]},
        FOLLOW: {"CommandInvocations": [told]},
        OUTPUT: {"StandardErrorContent": "no such bucket"},
    }


SAMPLES = [
    Sample(
        written={"command": {"document": "upload-logs", **more}},
        holds=lambda _: saying(invocation("Success")),
        pending=lambda _: saying(invocation("InProgress")),
        fails=saying(invocation("Failed", upload=("Failed", 2))),
        of_another=(saying({**invocation("Success"), "InstanceId": ANOTHER}), UNKNOWN),
        missing=((SEND, "InvalidDocument"), (SEND, "InvalidDocumentVersion")),
        told_only=frozenset({OUTPUT}),
    )
    for more in ({}, {"version": "3", "timeout": "11m"}, {"parameters": {"x": ["y", "z"]}})
]


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


def followed(*invocations: dict[str, Any], now_s: float = 60) -> Found:
    return heard(FOLLOW, answered(FOLLOW, {"CommandInvocations": list(invocations)}), FOLLOWED, now_s)


def listed(*commands: dict[str, Any], now_s: float, memory: Memory = SENT) -> Found:
    return heard(LIST, answered(LIST, {"Commands": list(commands)}), memory, now_s)


# What the hooks file says

SOUND: Final = {
    "a document alone": ({"document": "upload-logs"}, UPLOAD),
    "everything": (
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
    ),
    "the longest timeout, an empty text": (
        {"document": "upload-logs", "timeout": "48h", "version": "12", "parameters": {"x": [""]}},
        Command(
            document="upload-logs", timeout=timedelta(hours=48), version="12", parameters=(("x", ("",)),)
        ),
    ),
    "an ARN": (
        {"document": "arn:aws:ssm:eu-west-1:123456789012:document/x-1"},
        Command(document="arn:aws:ssm:eu-west-1:123456789012:document/x-1"),
    ),
}
NOT_SOUND: Final = {
    "no mapping": ("upload-logs", "", "must be a mapping"),
    "no document": ({}, "", "must have document"),
    "a short document": ({"document": "ab"}, ".document", "3 to 128"),
    "a long document": ({"document": "a" * 129}, ".document", "3 to 128"),
    "blanks": ({"document": "a b c"}, ".document", "name or ARN"),
    "too short": ({"document": "abc", "timeout": "29s"}, ".timeout", "from 30s to 48h"),
    "too long": ({"document": "abc", "timeout": "48h1s"}, ".timeout", "from 30s to 48h"),
    "a bare number": ({"document": "abc", "version": 3}, ".version", "in quotes"),
    "no version": ({"document": "abc", "version": "v3"}, ".version", "a number"),
    "an unknown key": ({"document": "abc", "script": "x"}, ".script", "not a known key"),
    "a list": ({"document": "abc", "parameters": ["x"]}, ".parameters", "a mapping"),
    "a number": ({"document": "abc", "parameters": {"x": 600}}, ".parameters.x", "must be a list"),
    "a number in it": ({"document": "abc", "parameters": {"x": [600]}}, ".parameters.x[0]", "in quotes"),
    "a control": ({"document": "abc", "parameters": {"x": "\x00"}}, ".parameters.x", "must be text"),
    "no name": ({"document": "abc", "parameters": {"": "x"}}, ".parameters['']", "of a parameter"),
    "too much": (
        {"document": "abc", "parameters": {"x": ["y" * 4000, "z" * 4000]}},
        ".parameters",
        "at most 8000 characters in all",
    ),
}


@pytest.mark.parametrize(("value", "expected"), SOUND.values(), ids=SOUND)
def test_a_command_is_understood(value: object, expected: Command) -> None:
    assert parsed({"command": value}) == (expected, [])


@pytest.mark.parametrize(("value", "place", "rule"), NOT_SOUND.values(), ids=NOT_SOUND)
def test_a_command_that_is_not_sound_is_refused(value: object, place: str, rule: str) -> None:
    assert_refused({"command": value}, place, rule)


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
    commands = [found for value in values if isinstance(found := parsed({"command": value})[0], Command)]
    again, _ = parsed({"command": {"document": "abc", "parameters": {"z": ["y"], "x": ["y"]}}})

    assert len({command.name for command in commands}) == len(values)
    assert len({comment_of(command) for command in commands}) == len(values)
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
    reply = answered(LIST, {"Commands": [{"CommandId": ID, "Comment": comment}]})

    assert len(comment) == 100
    assert heard(LIST, reply, SENT, 10, action=action).memory["command_id"] == ID


def test_a_command_that_was_sent_is_followed_every_ten_seconds() -> None:
    found = heard(SEND, answered(SEND, {"Command": {"CommandId": ID}}), SENT)

    assert found == Found(
        status=PENDING,
        detail=f"sent as {ID}",
        ask_again_after=timedelta(seconds=10),
        memory={**SENT, "command_id": ID},
    )
    call = UPLOAD.ask(an_action(), found.memory, at(10))
    assert call.operation == FOLLOW
    assert call.parameters == {"CommandId": ID, "InstanceId": INSTANCE, "Details": True}


@pytest.mark.parametrize("reply", [SILENT, answered(SEND, {"Command": {}})], ids=["no answer", "no id"])
def test_where_nobody_knows_whether_it_was_sent_the_list_is_read_next(reply: Reply) -> None:
    found = heard(SEND, reply, SENT)

    assert (found.status, found.memory) == (UNKNOWN, SENT)
    assert UPLOAD.ask(an_action(), found.memory, at(65)).operation == LIST


ERRORS = {
    "DuplicateInstanceId": UNKNOWN,  # one instance is no two
    "InternalServerError": UNKNOWN,
    "InvalidInstanceId": PENDING,
    "InvalidDocument": FAILED,
    "InvalidDocumentVersion": FAILED,
    "InvalidOutputFolder": UNKNOWN,  # not used
    "InvalidParameters": FAILED,
    "UnsupportedPlatformType": FAILED,
    "MaxDocumentSizeExceeded": FAILED,
    "InvalidRole": UNKNOWN,  # not used
    "InvalidNotificationConfig": UNKNOWN,  # not used
}


@pytest.mark.parametrize(("code", "status"), ERRORS.items())
def test_every_error_of_sending_has_its_meaning(code: str, status: ConditionStatus) -> None:
    assert heard(SEND, refused(code), SENT).status is status


def test_no_error_of_sending_is_new() -> None:
    model = service_model("ssm").operation_model(SEND)

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
    assert heard(SEND, refused(code), SENT, command=Command(document="abc", version="3")).detail == detail


@pytest.mark.parametrize(
    ("action", "now_s", "status", "what"),
    [
        pytest.param(NEW, 1, PENDING, "does not manage the instance yet", id="just launched"),
        pytest.param(NEW, 599, PENDING, "does not manage the instance yet", id="nearly too long"),
        pytest.param(NEW, 600, FAILED, "for 10m", id="launched long ago"),
        pytest.param(an_action(), 119, PENDING, "does not manage the instance:", id="agent restarts"),
        pytest.param(an_action(), 120, FAILED, "for 2m", id="no agent"),
    ],
)
def test_an_instance_that_ssm_does_not_manage_is_waited_for(
    action: Action, now_s: float, status: ConditionStatus, what: str
) -> None:
    found = heard(SEND, refused("InvalidInstanceId"), SENT, now_s, action=action)

    assert found.status is status
    assert what in found.detail
    assert "InvalidInstanceId" in found.detail


def test_what_was_surely_not_sent_is_sent_again_under_the_first_clock() -> None:
    found = heard(SEND, refused("InvalidInstanceId"), SENT, 20, action=NEW)
    call = UPLOAD.ask(NEW, found.memory, at(40))

    assert (call.operation, call.intent) == (SEND, {**SENT, "intended_at": at(40).isoformat()})


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

    assert (found.status, found.go_on, found.memory) == (UNKNOWN, False, SENT)
    assert found.ask_again_after is not None
    assert UPLOAD.ask(an_action(), found.memory, at(now_s)).operation == LIST


def test_what_a_list_does_not_show_that_was_read_30_s_after_the_intent_is_sent_again() -> None:
    """The reading began a call's length before its answer, at most."""
    longest = UPLOAD.ask(an_action(), SENT, at(0)).longest
    found = listed(now_s=(SENT_AGAIN_AFTER + longest).total_seconds())

    assert found.go_on
    assert UPLOAD.ask(an_action(), found.memory, at(40)).operation == SEND


def test_a_part_of_the_list_proves_nothing_however_late() -> None:
    found = heard(LIST, answered(LIST, {"Commands": [], "NextToken": "x"}), SENT, 100_000)

    assert (found.status, found.go_on, found.memory) == (UNKNOWN, False, SENT)


def test_what_was_not_sent_in_time_has_failed() -> None:
    found = listed(now_s=600, memory={**SENT, "intended_at": at(300).isoformat()})

    assert found.status is FAILED
    assert found.detail == "was not sent in 10m: no attempt was answered, none is listed"


def test_an_intent_that_was_cut_off_and_never_carried_out_costs_no_instance() -> None:
    """The next turn of questions comes minutes later, when a short timeout is over."""
    memory = {"since": at(0).isoformat(), "intended_at": at(0).isoformat()}
    found = listed(now_s=600, memory=memory)

    assert (found.status, found.go_on) == (UNKNOWN, True)
    again = at(601).isoformat()
    assert UPLOAD.ask(an_action(), found.memory, at(601)).intent == {"since": again, "intended_at": again}


def test_one_that_was_sent_just_now_is_looked_for_although_the_time_is_over() -> None:
    memory = {**SENT, "intended_at": at(590).isoformat()}

    assert listed(now_s=601, memory=memory).status is UNKNOWN


# Following it

WAITING = {"Pending", "InProgress", "Delayed", "Cancelling"}
FAILURES = {"Cancelled", "TimedOut", "Failed"}


def test_every_status_of_a_command_has_its_meaning() -> None:
    expected = dict.fromkeys(WAITING, PENDING) | dict.fromkeys(FAILURES, FAILED)

    assert values_of("ssm", "CommandInvocationStatus") == set(STATUSES)
    assert expected | {"Success": HOLDS} == STATUSES


@pytest.mark.parametrize(("invoked", "status"), STATUSES.items())
def test_a_command_stands_as_its_status_says(invoked: str, status: ConditionStatus) -> None:
    found = followed(invocation(invoked))

    assert (found.status, found.detail) == (status, invoked)
    assert found.ask_again_after == (timedelta(seconds=10) if status is PENDING else None)


def test_success_shows_the_exit_code_of_the_last_step_and_holds_for_good_also_late() -> None:
    found = followed(invocation("Success", first=("Success", 1), last=("Success", 0)), now_s=5000)

    assert found == Found(status=HOLDS, detail="Success, exit code 0")


def test_the_details_of_a_status_are_shown_where_they_say_more() -> None:
    assert followed(invocation("TimedOut", "DeliveryTimedOut")).detail == "TimedOut (DeliveryTimedOut)"


def test_one_that_does_not_finish_in_time_has_failed_when_ssm_says_that_it_still_runs() -> None:
    assert followed(invocation("InProgress"), now_s=599).status is PENDING
    late = followed(invocation("InProgress"), now_s=600)
    assert (late.status, late.detail) == (FAILED, "did not finish in 10m: InProgress")


def test_one_that_is_not_to_be_seen_yet_is_unknown_until_the_time_is_over() -> None:
    another = {**invocation("Success"), "CommandId": OTHER_ID}
    elsewhere = {**invocation("Success"), "InstanceId": "i-0123456789abcdef0"}

    assert followed(another, elsewhere).status is UNKNOWN
    assert followed().detail == f"{ID} is not to be seen yet"
    assert followed(now_s=600).status is FAILED


@pytest.mark.parametrize("told", [invocation("Vanished"), {"CommandId": ID, "InstanceId": INSTANCE}])
def test_a_status_that_is_not_understood_is_unknown_however_late(told: dict[str, Any]) -> None:
    found = followed(told, now_s=100_000)

    assert (found.status, found.memory) == (UNKNOWN, FOLLOWED)
    assert found.detail.startswith("its status is not understood")


# Why it failed


def failed(**plugins: tuple[str, int]) -> Found:
    return followed(invocation("Failed", "Failed", **plugins))


def test_the_output_of_the_step_that_failed_is_fetched() -> None:
    found = failed(fetch=("Success", 0), upload=("Failed", 3), tidy=("Pending", -1))
    call = UPLOAD.ask(an_action(), found.memory, at(61))

    assert found.go_on
    assert call.operation == OUTPUT
    assert call.parameters == {"CommandId": ID, "InstanceId": INSTANCE, "PluginName": "upload"}


@pytest.mark.parametrize(
    ("output", "told"),
    [
        pytest.param("one\n\x1b[31mno space\x1b[0m left\r\n", ": one no space left", id="cleaned"),
        pytest.param("x" * 300 + "the end", f": …{'x' * 192}the end", id="the last 200 characters"),
        pytest.param(" \n", "", id="blank"),
        pytest.param(None, "", id="no answer"),
    ],
)
def test_a_failure_shows_the_end_of_the_error_output_where_there_is_one(
    output: str | None, told: str
) -> None:
    reply = SILENT if output is None else answered(OUTPUT, {"StandardErrorContent": output})
    found = heard(OUTPUT, reply, failed(upload=("Failed", 3)).memory)

    assert (found.status, found.detail) == (FAILED, f"Failed, exit code 3{told}")


# As it is asked


def test_a_command_runs_from_its_intent_to_its_failure() -> None:
    told = iter([[], [invocation("InProgress")], [invocation("Failed", upload=("Failed", 2))]])
    always = saying(invocation("Success"))
    calls = ShapedCalls(
        lambda operation, _: {"CommandInvocations": next(told)} if operation == FOLLOW else always[operation]
    )
    watch = Watch(UPLOAD, calls)

    found = [watch.recorded_when_due() for _ in range(4)]

    assert [each.status for each in found] == [PENDING, UNKNOWN, PENDING, FAILED]
    assert found[-1].detail == "Failed, exit code 2: no such bucket"
    assert operations(calls) == [SEND, *[FOLLOW] * 3, OUTPUT]


class Cut(BaseException):
    """The function is ended here."""


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
    watch: Watch = field(init=False)
    sent: list[Sent] = field(default_factory=list)
    said: str = ""  # the last status that it told of a command of ours
    faulty: bool = True

    def __post_init__(self) -> None:
        self.watch = Watch(UPLOAD, ShapedCalls(self.answer))

    def answer(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | Reply:
        before = self.drawn(["", "", "", "busy", "lost", "cut"])
        self.pass_time(3)  # a call takes 6 s at most
        if reply := self.fault(before):
            return reply
        data = self.done(operation, parameters)
        after = self.drawn(["", "lost", "cut"])
        self.pass_time(3)
        return self.fault(after) or data

    def fault(self, kind: str) -> Reply | None:
        if kind == "cut":
            raise Cut
        return {"busy": BUSY, "lost": SILENT}.get(kind)

    def drawn(self, faults: list[str]) -> str:
        return str(self.draw(st.sampled_from(faults))) if self.faulty else ""

    def pass_time(self, most_s: int) -> None:
        clock = self.watch.clock
        clock.run_until(clock() + timedelta(seconds=self.draw(st.integers(0, most_s))))

    def done(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        now = self.watch.clock()
        if operation == SEND:
            lag = timedelta(seconds=self.draw(st.sampled_from([20, 0, 8])))
            number = f"{len(self.sent):012}"
            one = Sent(id=ID[:-12] + number, comment=parameters["Comment"], listed_from=now + lag)
            self.sent.append(one)
            return {"Command": {"CommandId": one.id}}
        seen = [one for one in self.sent if one.listed_from <= now]
        if operation == LIST:
            foreign = {"CommandId": OTHER_ID, "Comment": "usher action-2 01234567"}
            return {"Commands": [foreign, *({"CommandId": one.id, "Comment": one.comment} for one in seen)]}
        return self.told([one for one in seen if one.id == parameters["CommandId"]])

    def told(self, seen: list[Sent]) -> Mapping[str, Any]:
        foreign = {**invocation("Success"), "CommandId": OTHER_ID}
        if not seen:
            return {"CommandInvocations": [foreign]}
        self.said = str(self.draw(st.sampled_from([*STATUSES, "Vanished"]))) if self.faulty else "Success"
        return {"CommandInvocations": [foreign, {**invocation(self.said), "CommandId": seen[0].id}]}

    def recorded(self) -> ConditionStatus:
        try:
            return self.watch.recorded_when_due().status
        except Cut:
            self.pass_time(30)
            return UNKNOWN


@given(st.data())
def test_whatever_is_lost_it_never_holds_before_its_own_command_succeeded_nor_runs_it_twice(
    data: Any,
) -> None:
    """A list that lags by 20 s at most shows what was sent, so at least once is exactly once here."""
    ssm = Ssm(draw=data.draw)
    status = UNKNOWN
    for recorded in range(60):
        ssm.faulty, ssm.said = recorded < 20, ""
        status = ssm.recorded()
        assert (status is HOLDS) == (ssm.said == "Success") or status is UNKNOWN
        assert len(ssm.sent) <= 1
        if status in (HOLDS, FAILED):
            break
    assert status is HOLDS or ssm.said in FAILURES or ssm.watch.clock() >= at(600)
    assert status is not HOLDS or len(ssm.sent) == 1


# Against moto, which knows no ListCommandInvocations


def test_a_command_is_sent_and_found_again_with_the_real_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        watch = Watch(UPLOAD, AwsCalls(boto3.client))
        assert watch.stands() is PENDING
        command_id = watch.memory["command_id"]

        reply = watch.calls.make(UPLOAD.ask(watch.action, SENT, at(20)))

        found = heard(LIST, reply, SENT)
        assert (found.go_on, found.memory["command_id"]) == (True, command_id)
