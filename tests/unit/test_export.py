"""`usher export`: what comes out of the table, and what a replay makes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from tests.factories import a_signal, an_action, an_activity_end, at
from usher.aws import table
from usher.aws.records import RecordTable
from usher.core import messages, notifications
from usher.core.action import ActivityEnd, Outcome, Phase, Transition
from usher.core.notifications import InstanceEnd, InstanceState
from usher.intake.intake import Intake
from usher.ports.records import Raw
from usher_cli.account import Machine
from usher_cli.export import Range, _of_move_end, found, of_hooks
from usher_cli.main import main
from usher_cli.report import report
from usher_cli.traffic import read
from usher_hooksfile import load
from usher_simulator.fakes.file_items import FileItems
from usher_simulator.fakes.recorder import Recorder
from usher_simulator.fakes.unknown_calls import NoQuestions
from usher_simulator.replay.replay import Entry, replay
from usher_simulator.replay.world import DeadLetterList

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from click.testing import Result
    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.core.notifications import Notice
    from usher_cli.export import Line

SAMPLE: Final = Path(__file__).parents[2] / "usher_cli" / "sample"
DAY: Final = SAMPLE / "fleet-day.jsonl"
HOOKS: Final = load.load(SAMPLE / "hooks.yaml")
EVER: Final = Range(first=at(-(10**8)), last=at(10**8))


def a_table() -> DynamoDBClient:
    client: DynamoDBClient = boto3.client(
        "dynamodb", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    client.create_table(**table.definition("records"))
    return client


@pytest.fixture
def dynamodb() -> Iterator[DynamoDBClient]:
    with mock_aws():
        yield a_table()


def a_day() -> list[Entry]:
    return [entry for entry in read((str(DAY),)) if isinstance(entry, Entry)]


def take_in(entries: list[Entry], client: DynamoDBClient) -> None:
    """Bring the messages to the real intake, with the real records, at the times at which they came."""
    now = [at(0)]
    records = RecordTable(client, "records", lambda: now[0])
    ids = count(1)
    intake = Intake(
        configuration=HOOKS,
        items=FileItems(HOOKS),
        store=records,
        wake_ups=NoWakeUps(),
        questions=NoQuestions(),
        dead_letters=DeadLetterList(),
        telemetry=Recorder(),
        clock=lambda: now[0],
        new_id=lambda: f"id-{next(ids):04}",
    )
    for entry in entries:
        assert entry.received_at is not None
        now[0] = entry.received_at
        intake.take(entry.body, "sqs")


class NoWakeUps:
    """A queue that nobody reads."""

    def send(self, action_id: str, version: int, delay: timedelta, wait: object = None) -> None:
        """Nothing."""


def replayed(path: Path) -> list[dict[str, Any]]:
    """What a replay of a file tells of the actions."""
    entries = [entry for entry in read((str(path),)) if isinstance(entry, Entry)]
    return [without_times(action) for action in report(replay(entries, HOOKS), [])["actions"]]


@pytest.fixture(scope="module")
def day() -> list[Line]:
    """The recorded day, through the table and out of it again."""
    with mock_aws():  # and not around a replay, which has an Auto Scaling of its own
        client = a_table()
        take_in(a_day(), client)
        return found(client, "records", EVER)


def test_a_replay_of_what_is_exported_leads_to_the_same_actions(day: list[Line], tmp_path: Path) -> None:
    exported = tmp_path / "exported.jsonl"
    exported.write_text("".join(f"{line.written}\n" for line in day))
    told = replayed(exported)
    assert len(told) == 15
    assert told == replayed(DAY)


def without_times(action: dict[str, Any]) -> dict[str, Any]:
    """When a signal came is not kept, and of equal messages one; what they led to is the same."""
    told = [(line["event"], line["detail"]) for line in action["timeline"] if line["event"] != "notified"]
    return {**action, "closed_at": None, "timeline": sorted(told)}


def kept(client: DynamoDBClient, within: Range = EVER) -> list[Line]:
    return found(client, "records", within)


def store(client: DynamoDBClient) -> RecordTable:
    return RecordTable(client, "records", lambda: at(0))


TOLD: Final = [
    pytest.param(
        lambda records: records.keep_test(
            notifications.TestNotice(group="workers-1", request_id="r-1", at=at(3))
        ),
        notifications.TestNotice(group="workers-1", request_id="r-1", at=at(3)),
        id="a test message",
    ),
    pytest.param(lambda records: records.keep_signal(a_signal()), a_signal(), id="a signal of an instance"),
    pytest.param(
        lambda records: records.keep_signal(a_signal(instance_id=None, token="t" * 36, message="ok")),
        a_signal(instance_id=None, token="t" * 36, message="ok"),
        id="a signal of a token",
    ),
    pytest.param(
        lambda records: records.keep_move_end(an_activity_end()),
        an_activity_end(),
        id="the outcome of a move",
    ),
    pytest.param(
        lambda records: records.keep_instance_end("i-1", at(9)),
        InstanceEnd(
            instance_id="i-1", at=at(9), detail="EC2 Instance State-change Notification: shutting-down"
        ),
        id="the end of an instance",
    ),
    pytest.param(
        lambda records: records.keep_instance_state("i-1", at(9), is_stopped=True),
        InstanceState(
            instance_id="i-1",
            at=at(9),
            is_stopped=True,
            detail="EC2 Instance State-change Notification: stopped",
        ),
        id="that an instance is stopped",
    ),
]


@pytest.mark.parametrize(("keep", "notice"), TOLD)
def test_what_is_not_kept_as_it_came_is_written_so_that_it_says_the_same(
    keep: Any, notice: Notice, dynamodb: DynamoDBClient
) -> None:
    keep(store(dynamodb))
    (line,) = kept(dynamodb)
    assert (line.notice, messages.read(line.body)) == (notice, notice)


@given(
    said=st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=200),
    transition=st.sampled_from(Transition),
    succeeded=st.booleans(),
    places=st.sampled_from([(None, None), ("EC2", "AutoScalingGroup"), ("WarmPool", "EC2")]),
    started_at=st.sampled_from([None, at(-5), at(0.25)]),
)
def test_an_outcome_event_is_written_as_it_was_read(
    said: str,
    transition: Transition,
    succeeded: bool,
    places: tuple[str | None, str | None],
    started_at: datetime | None,
) -> None:
    kind = f"EC2 Instance {'Launch' if transition is Transition.LAUNCHING else 'Terminate'}"
    kind += " Successful" if succeeded else " Unsuccessful"
    end = an_activity_end(
        detail=f"{kind}: {said}" if said else kind,
        transition=transition,
        succeeded=succeeded,
        origin=places[0],
        destination=places[1],
        started_at=started_at,
    )
    kept = read_again(end)  # as it stands in a record: what a terminal would obey is spelt out
    assert read_again(kept) == kept
    assert replace(kept, detail=end.detail) == end


def read_again(end: ActivityEnd) -> ActivityEnd:
    line = _of_move_end(end)
    assert line is not None
    again = messages.read(line.body)
    assert isinstance(again, ActivityEnd)
    return again


def an_ended(end: ActivityEnd) -> Any:
    return an_action(
        phase=Phase.CLOSED,
        outcome=Outcome.ENDED_ELSEWHERE,
        look_at=None,
        closed_at=at(120),
        activity_end=end,
    )


def test_an_outcome_is_found_in_the_record_when_its_own_item_is_gone(dynamodb: DynamoDBClient) -> None:
    store(dynamodb).open(an_ended(an_activity_end()), Raw(received_at=at(0), body="{"))
    assert [line.notice for line in kept(dynamodb)] == [None, an_activity_end()]


def test_an_outcome_that_stands_in_both_places_is_written_once(dynamodb: DynamoDBClient) -> None:
    records = store(dynamodb)
    records.keep_move_end(an_activity_end())
    records.open(an_ended(an_activity_end()), Raw(received_at=at(0), body="{"))
    assert [line.notice for line in kept(dynamodb)] == [None, an_activity_end()]


def test_what_usher_concluded_from_a_newer_action_is_no_message(dynamodb: DynamoDBClient) -> None:
    records = store(dynamodb)
    records.open(
        an_ended(an_activity_end(detail="the instance waits in the hook again", is_event=False)),
        Raw(received_at=at(0), body="{"),
    )
    assert [line.notice for line in kept(dynamodb)] == [None]


@pytest.mark.parametrize(
    ("first", "last", "times"),
    [
        pytest.param(0, 20, [0, 10, 20], id="both ends are included"),
        pytest.param(0.001, 19.999, [10], id="a moment inside of them"),
        pytest.param(21, 30, [], id="nothing in it"),
    ],
)
def test_only_what_came_within_the_range_is_written(
    first: float, last: float, times: list[int], dynamodb: DynamoDBClient
) -> None:
    records = store(dynamodb)
    for number, moment in enumerate((20, 0, 10)):
        action = an_action(id=f"a-{number}", token=f"{number:036}")
        records.open(action, Raw(received_at=at(moment), body=f'{{"n":{number}}}'))
        records.keep_signal(a_signal(event_id=f"e-{number}", name=f"name-{number}", at=at(moment)))
        records.keep_instance_end(f"i-{number}", at(moment))
    lines = kept(dynamodb, Range(first=at(first), last=at(last)))
    assert [line.received_at for line in lines] == [at(moment) for moment in times for _ in range(3)]


def test_a_line_has_the_message_as_json_and_when_it_came(dynamodb: DynamoDBClient) -> None:
    store(dynamodb).open(an_action(), Raw(received_at=at(1.5), body='{"a": "ü"}'))
    (line,) = kept(dynamodb)
    assert json.loads(line.written) == {"received_at": "2026-03-01T12:00:01.500000Z", "body": {"a": "ü"}}
    assert line.written.isascii()


def test_the_lines_stand_in_the_order_of_arrival(day: list[Line]) -> None:
    times = [line.received_at for line in day]
    assert times == sorted(times)


def test_a_part_of_the_day_has_all_that_belongs_to_it(day: list[Line]) -> None:
    part = of_hooks(day, "jobs-*", None)
    kinds = {type(line.notice).__name__ for line in part}
    assert (
        {"LifecycleNotice", "Signal", "ActivityEnd", "TestNotice"} >= kinds >= {"LifecycleNotice", "Signal"}
    )
    assert not any("web-" in line.body for line in part)


def test_a_hook_alone_can_be_asked_for(day: list[Line]) -> None:
    bodies = [json.loads(line.body) for line in of_hooks(day, None, "web-gate")]
    named = {body["LifecycleHookName"] for body in bodies if "LifecycleHookName" in body}
    assert named == {"web-gate"}


def test_progress_tells_how_many_items_were_read(dynamodb: DynamoDBClient) -> None:
    store(dynamodb).open(an_action(), Raw(received_at=at(0), body="{}"))
    told: list[int] = []
    found(dynamodb, "records", EVER, told.append)
    assert sum(told) == dynamodb.describe_table(TableName="records")["Table"]["ItemCount"] == 4


# The command

REGION: Final = "eu-west-1"
NOW: Final = at(3600)
ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_PROFILE": None,
}


@pytest.fixture
def deployed() -> Iterator[RecordTable]:
    """The records of a stack, with a test message of every ten minutes in them."""
    definition = {key: value for key, value in table.definition("none").items() if key != "TableName"}
    resources = {"Records": {"Type": "AWS::DynamoDB::Table", "Properties": definition}}
    body = json.dumps({"Resources": resources, "Outputs": {"TableName": {"Value": {"Ref": "Records"}}}})
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    with mock_aws():
        cloudformation = boto3.client("cloudformation", region_name=REGION, **keys)
        cloudformation.create_stack(StackName="Usher", TemplateBody=body)
        (stack,) = cloudformation.describe_stacks(StackName="Usher")["Stacks"]
        name = stack["Outputs"][0]["OutputValue"]
        records = RecordTable(boto3.client("dynamodb", region_name=REGION, **keys), name, lambda: NOW)
        for minute in range(0, 60, 10):
            records.keep_test(
                notifications.TestNotice(group=f"workers-{minute}", request_id="r", at=at(60 * minute))
            )
        yield records


def usher(*arguments: str) -> Result:
    machine = Machine(clock=lambda: NOW, new_id=lambda: "id", wait=lambda _: None)
    options = ["export", "--region", REGION, *arguments]
    return CliRunner().invoke(main, options, obj=machine, env=ENVIRONMENT)


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    ("arguments", "minutes"),
    [
        pytest.param(["--from", "25m"], [40, 50], id="a span ago, until now"),
        pytest.param(["--from", "1d", "--to", "45m"], [0, 10], id="both by spans"),
        pytest.param(
            ["--from", "2026-03-01T12:10Z", "--to", "2026-03-01T13:20+01:00"], [10, 20], id="by times"
        ),
    ],
)
def test_a_range_is_given_by_times_or_by_how_long_ago(arguments: list[str], minutes: list[int]) -> None:
    outcome = usher(*arguments)
    assert outcome.exit_code == 0
    bodies = [json.loads(line)["body"] for line in outcome.stdout.splitlines()]
    assert [body["AutoScalingGroupName"] for body in bodies] == [f"workers-{each}" for each in minutes]
    assert outcome.stderr.startswith(f"{len(minutes)} messages from 2026-0")


@pytest.mark.usefixtures("deployed")
def test_a_file_that_is_written_can_be_read_by_a_replay(tmp_path: Path) -> None:
    file = tmp_path / "hour.jsonl"
    outcome = usher("--from", "1h", "--output", str(file))
    assert (outcome.exit_code, outcome.stdout) == (0, "")
    assert outcome.stderr.endswith(f"in {file}.\n")
    assert [type(entry) for entry in read((str(file),))] == [Entry] * 6


def test_an_item_that_cannot_be_read_is_passed_over_and_told_and_spoils_no_other(
    deployed: RecordTable,
) -> None:
    """As a newer release wrote it, before a rollback: one ended the whole export."""
    items: Any = deployed._table  # noqa: SLF001 - this release writes no such item
    newer = table.text(json.dumps({"at": "at noon"}))
    for sk in ("TEST#r-1", "TEST#r-2"):
        items.store(table.key("GROUP#workers-0", sk), {"doc": newer}, NOW, "attribute_not_exists(pk)")

    outcome = usher("--from", "1d")

    assert outcome.exit_code == 1
    assert len(outcome.stdout.splitlines()) == 6
    assert "passed over: GROUP#workers-0 / TEST#r-1: " in outcome.stderr
    assert "2 items cannot be read: a newer release may have written them" in outcome.stderr


def test_what_was_cut_is_left_out_and_counted(deployed: RecordTable) -> None:
    deployed.open(an_action(), Raw(received_at=NOW, body='{"cut'))
    outcome = usher("--from", "5m")
    assert (outcome.exit_code, outcome.stdout) == (0, "")
    assert "1 left out: too long to be kept whole, or no message.\n" in outcome.stderr


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--from", "yesterday"], "'yesterday' is no time such as", id="a word"),
        pytest.param(["--from", "2026-03-01T12:00"], "must say its time zone", id="no time zone"),
        pytest.param(["--from", "1h", "--to", "2h"], "--from is after --to", id="the wrong way round"),
        pytest.param(["--from", "1h", "--output", "nowhere/x.jsonl"], "there is no folder", id="no folder"),
    ],
)
def test_a_range_or_file_that_makes_no_sense_is_wrong_usage(arguments: list[str], said: str) -> None:
    outcome = usher(*arguments)
    assert outcome.exit_code == 2
    assert said in outcome.stderr
