"""`usher redrive`: what it says of dead letters, and what becomes of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from moto import mock_aws

from tests.factories import an_action, at
from tests.memory_account import MemoryStack, UnreadableStore
from tests.message_samples import read_sample
from usher.aws import queues
from usher.core import messages
from usher.core.action import Action, Outcome, Phase, Result
from usher.core.finding import Findings
from usher.core.notifications import NotUnderstood
from usher.core.queue_messages import question_body, wake_up_body
from usher.ports.records import Raw
from usher_cli.redrive.classify import Classifier, LetterStatus, instances, states_of
from usher_cli.redrive.command import Done, act
from usher_cli.redrive.queues import DeadLetter, DeadLetterQueue
from usher_simulator.autoscaling.account import an_account
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.query_protocol import Request
from usher_simulator.fakes.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from click.testing import Result as Outcome_

REGION: Final = "eu-west-1"
NOW: Final = at(3600)
INSTANCE: Final = "i-0f0e0d0c0b0a09080"
TOKEN: Final = "c613620e-07e2-4ed2-a9e2-ef8258911ade"


def lifecycle(**changes: object) -> str:
    of_ours = {"LifecycleActionToken": TOKEN, "AutoScalingGroupName": "workers-1", "EC2InstanceId": INSTANCE}
    return json.dumps(read_sample("hook-terminating") | of_ours | changes)


def event(source: str, kind: str, detail: Mapping[str, object], time: str = "2026-03-01T12:30:00Z") -> str:
    return json.dumps({"id": "e-1", "source": source, "detail-type": kind, "time": time, "detail": detail})


def signal(time: str) -> str:
    detail = {"InstanceId": INSTANCE, "Signal": "jobs-finished", "Status": "done"}
    return event("usher.signal", "Usher Signal", detail, time)


OUTCOME: Final = event(
    "aws.autoscaling",
    "EC2 Instance Terminate Successful",
    {
        "ActivityId": "activity-1",
        "AutoScalingGroupName": "workers-1",
        "EC2InstanceId": INSTANCE,
        "Origin": "AutoScalingGroup",
        "Destination": "EC2",
        "StartTime": "2026-03-01T11:59:55Z",
        "EndTime": "2026-03-01T12:02:00Z",
    },
)
STATE_CHANGE: Final = event(
    "aws.ec2",
    "EC2 Instance State-change Notification",
    {"instance-id": INSTANCE, "state": "terminated"},
)
TEST: Final = json.dumps(
    {
        "Event": "autoscaling:TEST_NOTIFICATION",
        "AutoScalingGroupName": "workers-1",
        "RequestId": "r-1",
        "Time": "2026-03-01T12:00:00.000Z",
    }
)


# The status of a dead letter


def a_letter(body: str, queue: str = "inbox") -> DeadLetter:
    of = DeadLetterQueue(name=queue, url="https://dead", source_url="https://source")
    return DeadLetter(queue=of, id="letter-1", handle="handle", sent_at=at(0), reason="a reason", body=body)


def an_ended() -> Action:
    return an_action(
        phase=Phase.CLOSED,
        outcome=Outcome.COMPLETED,
        result=Result.CONTINUE,
        evaluate_at=None,
        closed_at=at(90),
    )


CURRENT, OBSOLETE, UNREADABLE = LetterStatus.CURRENT, LetterStatus.OBSOLETE, LetterStatus.UNREADABLE
WAKE_UP: Final = wake_up_body("action-1", 1)
ONE, TWO = an_action(evaluation_id="evaluation-1"), an_action(evaluation_id="evaluation-2")


def classified(
    body: str, *known: Action, states: Mapping[str, str] | None = None, queue: str = "inbox"
) -> tuple[LetterStatus, str]:
    store = MemoryStore(lambda: NOW)
    for action in known:
        store.open(action, Raw(received_at=at(0), body="{}"))
    said = Classifier(known=store, states=states or {}, now=NOW).classify(a_letter(body, queue))
    return said.status, said.why


@pytest.mark.parametrize(
    ("state", "status", "why"),
    [
        pytest.param("Terminating:Wait", CURRENT, "the instance still waits in Terminating:Wait", id="waits"),
        pytest.param("Warmed:Pending:Wait", CURRENT, "still waits", id="waits on its way to the pool"),
        pytest.param("Pending:Wait", OBSOLETE, "the instance is Pending:Wait", id="waits in a launch"),
        pytest.param("Terminating:Proceed", OBSOLETE, "the instance is Terminating:Proceed", id="goes on"),
        pytest.param("InService", OBSOLETE, "the instance is InService", id="is in service"),
        pytest.param(None, OBSOLETE, "the instance is gone", id="is gone"),
    ],
)
def test_a_lifecycle_message_is_current_while_its_instance_waits(
    state: str | None, status: LetterStatus, why: str
) -> None:
    told, said = classified(lifecycle(), states={INSTANCE: state} if state else {})
    assert told is status
    assert why in said
    assert ("No active Lifecycle Action found" in said) == (status is OBSOLETE)


@pytest.mark.parametrize(
    ("action", "why"),
    [
        pytest.param(an_action(), "already recorded as action action-1 (open)", id="open"),
        pytest.param(an_ended(), "already recorded as action action-1 (closed: completed)", id="closed"),
    ],
)
def test_a_lifecycle_message_that_is_already_recorded_is_obsolete(action: Action, why: str) -> None:
    status, said = classified(lifecycle(), action, states={INSTANCE: "Terminating:Wait"})
    assert status is OBSOLETE
    assert why in said


@pytest.mark.parametrize(
    ("body", "known", "status"),
    [
        pytest.param(signal("2026-03-01T12:30:00Z"), (), CURRENT, id="a signal of this hour"),
        pytest.param(signal("2026-03-01T11:59:59Z"), (), OBSOLETE, id="an older signal"),
        pytest.param(signal("2026-03-01T12:00:01Z"), (an_action(),), CURRENT, id="of an open action"),
        pytest.param(OUTCOME, (an_action(),), CURRENT, id="the outcome of an open action"),
        pytest.param(OUTCOME, (an_ended(),), OBSOLETE, id="the outcome of a closed action"),
        pytest.param(OUTCOME, (), OBSOLETE, id="the outcome of no action"),
        pytest.param(STATE_CHANGE, (an_action(),), CURRENT, id="the end of an instance that is held"),
        pytest.param(STATE_CHANGE, (), OBSOLETE, id="the end of another instance"),
        pytest.param(TEST, (), CURRENT, id="a test message"),
        pytest.param(event("aws.s3", "Object Created", {}), (), OBSOLETE, id="what is not ours"),
        pytest.param("{}", (), UNREADABLE, id="no message"),
        pytest.param("(empty)", (), UNREADABLE, id="no JSON"),
    ],
)
def test_the_status_of_other_messages(body: str, known: Sequence[Action], status: LetterStatus) -> None:
    told, why = classified(body, *known)
    assert told is status
    assert why


@pytest.mark.parametrize(
    ("body", "known", "status", "why"),
    [
        pytest.param(WAKE_UP, an_action(), CURRENT, "open", id="as stored"),
        pytest.param(WAKE_UP, an_action(version=3), OBSOLETE, "has changed since", id="older"),
        pytest.param(wake_up_body(ONE.id, ONE.stamp), ONE, CURRENT, "open", id="as the functions send it"),
        pytest.param(
            wake_up_body(TWO.id, TWO.stamp), ONE, OBSOLETE, "has changed since", id="of another evaluation"
        ),
        pytest.param(WAKE_UP, an_ended(), OBSOLETE, "is closed", id="closed"),
        pytest.param(wake_up_body("action-9", 1), an_action(), OBSOLETE, "no record", id="no record"),
        pytest.param('{"action_id": 1}', an_action(), UNREADABLE, "no action", id="no version"),
        pytest.param("[]", an_action(), UNREADABLE, "no action", id="a list"),
        pytest.param("{", an_action(), UNREADABLE, "no action", id="no JSON"),
    ],
)
def test_a_wake_up_is_current_while_its_record_has_its_version(
    body: str, known: Action, status: LetterStatus, why: str
) -> None:
    told, said = classified(body, known, queue="wake-ups")
    assert told is status
    assert why in said


@pytest.mark.parametrize(
    ("body", "known", "status", "why"),
    [
        pytest.param(question_body("action-1", 2), an_action(), CURRENT, "the latest", id="now"),
        pytest.param(question_body("action-1", 1), an_action(), OBSOLETE, "newer", id="older"),
        pytest.param(question_body("action-1", 2), an_ended(), OBSOLETE, "closed", id="closed"),
        pytest.param(question_body("other", 2), an_action(), OBSOLETE, "no record", id="no record"),
        pytest.param('{"action_id": "a"}', an_action(), UNREADABLE, "no action", id="no turn"),
        pytest.param("[]", an_action(), UNREADABLE, "no action", id="a list"),
    ],
)
def test_a_question_is_current_until_a_newer_one_replaces_it(
    body: str, known: Action, status: LetterStatus, why: str
) -> None:
    store = MemoryStore(lambda: NOW)
    store.open(known, Raw(received_at=at(0), body="{}"))
    for turn in (1, 2):
        store.keep_findings(known, Findings(turn=turn, ask_at=at(40)))
    said = Classifier(known=store, states={}, now=NOW).classify(a_letter(body, "questions"))
    assert (said.what, said.status) == ("a question", status)
    assert why in said.why


def test_the_latest_question_of_an_action_is_sent_back_to_the_queue_of_questions(stack: Stack) -> None:
    action = stack.records.open(an_action(), Raw(received_at=at(0), body="{}"))
    stack.records.keep_findings(action, Findings(turn=1, ask_at=at(40)))
    body = question_body(action.id, 1)
    stack.put(body, queue="Questions-dead")
    assert [each["done"] for each in stack.listed("--all", "--send", "--yes")] == ["sent"]
    assert (stack.bodies("Questions"), stack.bodies("Questions-dead")) == ([body], [])


@pytest.mark.parametrize(
    ("body", "queue"),
    [
        pytest.param(lifecycle(), "inbox", id="a lifecycle message"),
        pytest.param(WAKE_UP, "wake-ups", id="a wake-up"),
        pytest.param(question_body("action-1", 1), "questions", id="a question"),
    ],
)
def test_a_dead_letter_whose_record_cannot_be_read_is_current_and_stops_no_other(
    body: str, queue: str
) -> None:
    """A newer release stored it: it ended the whole command."""

    class Newer(MemoryStore):
        def load(self, action_id: str) -> Action | None:
            raise KeyError(f"phase of {action_id}")

        def of_token(self, token: str) -> Action | None:
            return self.load(token)

    said = Classifier(known=Newer(lambda: NOW), states={}, now=NOW).classify(a_letter(body, queue))
    assert (said.status, "newer release" in said.why) == (CURRENT, True)


@pytest.mark.parametrize("body", [signal("2026-03-01T11:59:59Z"), OUTCOME, STATE_CHANGE])
def test_nor_is_one_obsolete_that_a_record_may_need_which_cannot_be_read(body: str) -> None:
    store = UnreadableStore(lambda: NOW)
    for action in (an_ended(), an_action(id="action-2", token="b" * 36)):
        store.open(action, Raw(received_at=at(0), body="{}"))
    store.unreadable = frozenset({"action-2"})
    said = Classifier(known=store, states={}, now=NOW).classify(a_letter(body))
    assert (said.status, "newer release" in said.why) == (CURRENT, True)


def test_the_live_state_is_asked_for_each_instance_once_and_for_lifecycle_messages_only() -> None:
    other = "i-0ffffffffffffffff"
    letters = [
        *map(a_letter, [lifecycle(), lifecycle(LifecycleHookName="b"), lifecycle(EC2InstanceId=other)]),
        *map(a_letter, [TEST, OUTCOME, "{}"]),
        a_letter(lifecycle(EC2InstanceId="i-0aaaaaaaaaaaaaaaa"), "wake-ups"),
    ]
    assert instances(letters) == [INSTANCE, other]


def test_fifty_instances_are_asked_for_in_one_call() -> None:
    account = an_account(at(0))
    asked: list[str] = []
    account.service.fault = lambda request: asked.append(request.operation)
    assert states_of(account.client, [f"i-{number:017}" for number in range(101)]) == {}
    assert asked == ["DescribeAutoScalingInstances"] * 3


# What becomes of them


QUEUES: Final = ("Inbox", "Events", "WakeUps", "Questions")
_numbers: Final = count(1)


@cache
def sqs() -> Any:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client("sqs", region_name=REGION, **keys)


@dataclass
class Stack(MemoryStack):
    """A stack in memory, with queues in moto."""

    number: int = field(default_factory=lambda: next(_numbers))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.now = NOW
        self.services = {"sqs": sqs(), "autoscaling": an_account(at(0)).client}
        urls = {f"{name}Url": self.made(name) for name in QUEUES}
        self.outputs = {"TableName": "records", **urls}

    def made(self, name: str) -> str:
        """The URL of a new queue that redrives to a dead-letter queue."""
        sqs().create_queue(QueueName=f"{name}-dead-{self.number}")
        arn = f"arn:aws:sqs:{REGION}:123456789012:{name}-dead-{self.number}"
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 60})
        url: str = sqs().create_queue(
            QueueName=f"{name}-{self.number}", Attributes={"RedrivePolicy": redrive}
        )["QueueUrl"]
        return url

    def url(self, queue: str) -> str:
        url: str = sqs().get_queue_url(QueueName=f"{queue}-{self.number}")["QueueUrl"]
        return url

    def put(self, body: str, reason: str = "a reason", queue: str = "Inbox-dead") -> None:
        queues.DeadLetterQueue(sqs(), self.url(queue)).put(body, reason)

    def bodies(self, queue: str) -> list[str]:
        """What anyone may receive now."""
        found: list[str] = []
        while True:
            received = sqs().receive_message(
                QueueUrl=self.url(queue), MaxNumberOfMessages=10, VisibilityTimeout=60
            )
            if not received.get("Messages"):
                return sorted(found)
            found += [message["Body"] for message in received["Messages"]]

    def redrive(self, *arguments: str, stdin: str | None = None) -> Outcome_:
        return self.usher("redrive", *arguments, stdin=stdin)

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        letters: list[dict[str, Any]] = json.loads(self.redrive("--json", *arguments).stdout)
        return letters


@pytest.fixture(scope="module")
def cloud() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def stack(cloud: None) -> Stack:  # noqa: ARG001 - stands around it
    return Stack()


def test_dead_letters_are_shown_with_their_reason_and_stay(stack: Stack) -> None:
    stack.put("{}", "the body must say what it is")
    stack.put(TEST)
    stack.put("[]", "not a wake-up: TypeError", queue="WakeUps-dead")
    stack.put("{}", "not a question: KeyError", queue="Questions-dead")
    letters = stack.listed()
    assert [(each["queue"], each["reason"], each["status"], each["done"]) for each in letters] == [
        ("inbox", "the body must say what it is", "unreadable", "shown"),
        ("inbox", "a reason", "current", "shown"),
        ("wake-ups", "not a wake-up: TypeError", "unreadable", "shown"),
        ("questions", "not a question: KeyError", "unreadable", "shown"),
    ]
    assert stack.bodies("Inbox-dead") == sorted(["{}", TEST])
    assert stack.bodies("WakeUps-dead") == ["[]"]


def test_people_read_the_reason_the_status_and_a_sum(stack: Stack) -> None:
    stack.put("{}", "the body must say what it is")
    outcome = stack.redrive()
    assert outcome.exit_code == 0
    assert "reason  the body must say what it is" in outcome.stdout
    assert "status  unreadable: the body must say what it is by" in outcome.stdout
    assert outcome.stderr == "Dead letters: 1 shown.\n"


def test_a_reason_that_is_still_true_is_printed_once(stack: Stack) -> None:
    body = json.dumps({"Event": "\u00e9"})
    try:
        messages.read(body)
    except NotUnderstood as error:
        stack.put(body, str(error))
    lines = stack.redrive().stdout.splitlines()
    assert lines[1].startswith("  reason  ")
    assert lines[2] == "  status  unreadable"


def test_a_dead_letter_is_no_command_to_a_terminal(stack: Stack) -> None:
    sqs().send_message(
        QueueUrl=stack.url("Inbox-dead"),
        MessageBody=TEST,
        MessageAttributes={"Reason": {"DataType": "String", "StringValue": "a\u009b2J"}},
    )
    assert "  reason  a\\x9b2J\n" in stack.redrive().stdout


def test_no_dead_letters_are_good_news(stack: Stack) -> None:
    outcome = stack.redrive()
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (0, "", "Dead letters: none.\n")
    assert stack.listed("--all", "--send", "--yes") == []


def test_what_a_colleague_has_at_hand_is_told(stack: Stack) -> None:
    """Else the second one reads "none", and takes the alarm for a mistake."""
    stack.put(TEST)
    assert stack.bodies("Inbox-dead") == [TEST]  # and has it for a minute
    outcome = stack.redrive()
    assert outcome.exit_code == 0
    assert outcome.stderr.splitlines() == [
        "1 dead letter of inbox not shown: another `usher redrive` has them, for ten minutes at most.",
        "Dead letters: none.",
    ]


def test_too_many_for_one_run_are_told(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usher_cli.redrive.command._LETTERS_MAX", 2)
    for _ in range(3):
        stack.put("{}")
    outcome = stack.redrive("--all", "--drop", "--yes")
    assert (outcome.exit_code, outcome.stderr.splitlines()[-1]) == (
        1,
        "There may be more than 2 in inbox: run it again.",
    )
    assert len(stack.bodies("Inbox-dead")) == 1


def test_what_the_bus_could_not_deliver_says_why(stack: Stack) -> None:
    words = {"ERROR_CODE": "SDK_CLIENT_ERROR", "ERROR_MESSAGE": "KMS says no", "RULE_ARN": "arn"}
    sqs().send_message(
        QueueUrl=stack.url("Inbox-dead"),
        MessageBody=TEST,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in words.items()
        },
    )
    (letter,) = stack.listed()
    assert letter["reason"] == "SDK_CLIENT_ERROR: KMS says no"


def test_what_sqs_moved_here_has_no_reason_and_says_so(stack: Stack) -> None:
    sqs().send_message(QueueUrl=stack.url("Inbox-dead"), MessageBody=TEST)
    (letter,) = stack.listed()
    assert letter["reason"].startswith("none recorded")


def test_all_that_are_current_are_sent_back_to_their_source_queues(stack: Stack) -> None:
    wake_up = wake_up_body("action-1", 1)
    stack.records.open(an_action(), Raw(received_at=at(0), body="{}"))
    for body in (TEST, "{}"):
        stack.put(body)
    stack.put(wake_up, queue="WakeUps-dead")
    letters = stack.listed("--all", "--send", "--yes")
    assert {each["body"]: each["done"] for each in letters} == {TEST: "sent", "{}": "shown", wake_up: "sent"}
    assert (stack.bodies("Inbox"), stack.bodies("WakeUps")) == ([TEST], [wake_up])
    assert (stack.bodies("Inbox-dead"), stack.bodies("WakeUps-dead")) == (["{}"], [])


def test_all_that_are_not_current_are_dropped_and_the_rest_stays(stack: Stack) -> None:
    for body in (TEST, "{}", lifecycle()):
        stack.put(body)
    letters = stack.listed("--all", "--drop", "--yes")
    assert {each["body"]: each["done"] for each in letters} == {
        TEST: "shown",
        "{}": "dropped",
        lifecycle(): "dropped",
    }
    assert stack.bodies("Inbox-dead") == [TEST]
    assert stack.bodies("Inbox") == []


@pytest.mark.parametrize(
    ("body", "how", "printed"),
    [
        pytest.param(
            "{}", "--send", "1 dead letter not sent back: --all --send selects only current ones.", id="sent"
        ),
        pytest.param(
            TEST,
            "--drop",
            "1 dead letter not dropped: --all --drop selects only obsolete and unreadable ones.",
            id="drop",
        ),
    ],
)
def test_what_all_does_not_select_is_counted(stack: Stack, body: str, how: str, printed: str) -> None:
    stack.put(body)
    outcome = stack.redrive("--all", how, "--yes")
    assert outcome.exit_code == 0
    assert outcome.stderr == (f"Dead letters: 1 shown.\n{printed} To select any other, give its ID.\n")


def test_an_id_selects_any_dead_letter(stack: Stack) -> None:
    stack.put("{}")
    stack.put(TEST)
    first = next(each["id"] for each in stack.listed() if each["body"] == "{}")
    letters = stack.listed("--send", "--yes", first[:12])
    assert {each["body"]: each["done"] for each in letters} == {"{}": "sent", TEST: "shown"}
    assert stack.bodies("Inbox") == ["{}"]


def test_an_id_of_no_dead_letter_changes_nothing(stack: Stack) -> None:
    stack.put(TEST)
    outcome = stack.redrive("--drop", "--yes", "no-such-letter")
    assert outcome.exit_code == 2
    assert "0 dead letters have an ID that begins with no-such-letter" in outcome.stderr
    assert stack.bodies("Inbox-dead") == [TEST]


def test_each_dead_letter_is_asked_about(stack: Stack) -> None:
    stack.put(TEST)
    stack.put("{}")
    outcome = stack.redrive("--drop", stdin="n\ny\n")
    assert outcome.exit_code == 0
    assert "(a test message of workers-1)?" in outcome.stderr
    assert outcome.stderr.endswith("Dead letters: 1 shown, 1 dropped.\n")
    assert stack.bodies("Inbox-dead") == [TEST]


@pytest.mark.parametrize(("answer", "left"), [("n\n", [TEST]), ("y\n", [])], ids=["no", "yes"])
def test_all_of_them_are_asked_about_together(stack: Stack, answer: str, left: list[str]) -> None:
    stack.put(TEST)
    outcome = stack.redrive("--all", "--send", stdin=answer)
    assert "Send back 1 dead letter?" in outcome.stderr
    assert stack.bodies("Inbox-dead") == left


def test_an_end_of_input_leaves_every_dead_letter_where_it_is(stack: Stack) -> None:
    stack.put(TEST)
    outcome = stack.redrive("--drop", stdin="")
    assert outcome.exit_code == 2
    assert outcome.stderr.endswith("There is no terminal to ask for confirmation: add --yes.\n")
    assert stack.bodies("Inbox-dead") == [TEST]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--all"], "Add --send or --drop.", id="all, and nothing to do"),
        pytest.param(["some-id"], "Add --send or --drop.", id="an id, and nothing to do"),
        pytest.param(["--send", "--drop"], "Use either --send or --drop, not both.", id="send and drop"),
        pytest.param(["--send", "--yes"], "--yes needs --all or IDs.", id="yes to nothing named"),
        pytest.param(
            ["--send", "--all", "some-id"], "Use either --all or IDs, not both.", id="all and an id"
        ),
    ],
)
def test_contradictions_are_wrong_usage(stack: Stack, arguments: list[str], said: str) -> None:
    outcome = stack.redrive(*arguments)
    assert outcome.exit_code == 2
    assert said in outcome.stderr


def test_an_instance_in_service_waits_for_nothing(stack: Stack) -> None:
    account = an_account(at(0))
    sizes = {"MinSize": 1, "MaxSize": 1}
    asked = {"AutoScalingGroupName": "web", **sizes, **ANY_SOURCE}
    account.service(Request(operation="CreateAutoScalingGroup", parameters=asked))  # moto hears the client
    account.clock.run_until(at(600))
    (instance,) = account.client.describe_auto_scaling_instances()["AutoScalingInstances"]
    stack.services["autoscaling"] = account.client
    stack.put(lifecycle(EC2InstanceId=instance["InstanceId"]))
    (letter,) = stack.listed()
    assert (letter["status"], letter["standing"]) == ("obsolete", "over")
    assert letter["why"] == (
        "the instance is InService: Auto Scaling would answer `No active Lifecycle Action found`"
    )


def test_a_stack_without_the_queue_of_wake_ups_says_what_to_do(stack: Stack) -> None:
    stack.outputs = {name: url for name, url in stack.outputs.items() if name != "WakeUpsUrl"}
    outcome = stack.redrive()
    assert outcome.exit_code == 2
    assert "has no output WakeUpsUrl: deploy it with this release." in outcome.stderr


def test_a_dead_letter_that_cannot_be_sent_is_not_deleted_either(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.put(TEST)
    gone = DeadLetterQueue(
        name="inbox", url=stack.url("Inbox-dead"), source_url=stack.url("Inbox").replace("Inbox", "Gone")
    )
    letter = DeadLetter(
        queue=gone, id="letter-1", handle="handle", sent_at=at(0), reason="a reason", body=TEST
    )
    assert act(sqs(), letter, Done.SENT) is Done.FAILED
    assert "letter-1: An error occurred" in capsys.readouterr().err
    assert stack.bodies("Inbox-dead") == [TEST]
