"""`usher export`: what comes out of the table, and what a replay makes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from tests.factories import a_signal, an_action, an_activity_end, as_closed, at, hook_terms
from tests.memory_account import MemoryStack
from usher.aws import record_format, table
from usher.aws.items import state
from usher.aws.records import RecordTable
from usher.core import iso_time, messages, notifications
from usher.core.action import ActivityEnd, Outcome, Transition
from usher.core.notifications import InstanceEnd, InstanceState
from usher.ports.records import Raw
from usher_cli.export.captured import TimeRange, activity_event, of_hooks
from usher_cli.export.scan import captured_messages
from usher_cli.report import report
from usher_cli.traffic import read
from usher_hooksfile import load
from usher_simulator.fakes.one_by_one import OneByOne
from usher_simulator.fakes.parts import evaluator_of, intake_of
from usher_simulator.replay.replay import Entry, replay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.core.notifications import Notice
    from usher_cli.export.captured import Captured

SAMPLE: Final = Path(__file__).parents[2] / "usher_cli" / "sample"
DAY: Final = SAMPLE / "fleet-day.jsonl"
HOOKS: Final = load.load(SAMPLE / "hooks.yaml")
EVER: Final = TimeRange(first=at(-(10**8)), last=at(10**8))


@pytest.fixture(scope="module")
def client() -> DynamoDBClient:
    made: DynamoDBClient = boto3.client(
        "dynamodb", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    return made


@pytest.fixture
def dynamodb(client: DynamoDBClient) -> Iterator[DynamoDBClient]:
    with mock_aws():
        client.create_table(**table.definition("records"))
        yield client


def a_day() -> list[Entry]:
    return [entry for entry in read((str(DAY),)) if isinstance(entry, Entry)]


def take_in(entries: list[Entry], client: DynamoDBClient) -> None:
    """Bring the messages to the real intake, with the real records, at the times at which they came."""
    now = [at(0)]
    records = RecordTable(client, "records", lambda: now[0])
    evaluator = evaluator_of(store=records, auto_scaling=None, wake_ups=NoWakeUps(), clock=lambda: now[0])
    intake = intake_of(evaluator, HOOKS)
    for entry in entries:
        assert entry.received_at is not None
        now[0] = entry.received_at
        intake.take(entry.body, "sqs")


class NoWakeUps(OneByOne):
    """A queue that nobody reads."""

    def send(self, action_id: str, version: int, delay: timedelta, wait: object = None) -> None:
        """Nothing."""


def replayed(path: Path) -> list[dict[str, Any]]:
    """What a replay of a file tells of the actions."""
    entries = [entry for entry in read((str(path),)) if isinstance(entry, Entry)]
    return [without_times(action) for action in report(replay(entries, HOOKS), [])["actions"]]


@pytest.fixture(scope="module")
def day(client: DynamoDBClient) -> list[Captured]:
    """The recorded day, through the table and out of it again."""
    with mock_aws():  # and not around a replay, which has an Auto Scaling of its own
        client.create_table(**table.definition("records"))
        take_in(a_day(), client)
        return captured_messages(client, "records", EVER)


def test_a_replay_of_what_is_exported_leads_to_the_same_actions(day: list[Captured], tmp_path: Path) -> None:
    exported = tmp_path / "exported.jsonl"
    exported.write_text("".join(f"{line.json_line}\n" for line in day))
    told = replayed(exported)
    assert len(told) == 15
    assert told == replayed(DAY)


def without_times(action: dict[str, Any]) -> dict[str, Any]:
    """When a signal came is not kept, and of equal messages one; what they led to is the same."""
    told = [(line["event"], line["detail"]) for line in action["timeline"] if line["event"] != "notified"]
    return {**action, "closed_at": None, "timeline": sorted(told)}


def kept(client: DynamoDBClient, within: TimeRange = EVER) -> list[Captured]:
    return captured_messages(client, "records", within)


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
    line = activity_event(end)
    assert line is not None
    again = messages.read(line.body)
    assert isinstance(again, ActivityEnd)
    return again


def an_ended(end: ActivityEnd) -> Any:
    return an_action(activity_end=end, **as_closed(120, Outcome.ENDED_ELSEWHERE, reason=""))


def test_an_outcome_is_found_in_the_record_when_its_own_item_is_gone(dynamodb: DynamoDBClient) -> None:
    store(dynamodb).open(an_ended(an_activity_end()), Raw(received_at=at(0), body="{"))
    assert [line.notice for line in kept(dynamodb)] == [None, an_activity_end()]


def test_an_outcome_that_stands_in_both_places_is_written_once(dynamodb: DynamoDBClient) -> None:
    records = store(dynamodb)
    records.keep_move_end(an_activity_end())
    records.open(an_ended(an_activity_end()), Raw(received_at=at(0), body="{"))
    assert [line.notice for line in kept(dynamodb)] == [None, an_activity_end()]


def test_a_signal_that_counted_is_exported_when_its_own_item_is_gone_and_a_replay_ends_as_the_record(
    client: DynamoDBClient, tmp_path: Path
) -> None:
    """TTL takes signals after four days, and the record stays for 30."""
    notified = {
        "LifecycleHookName": "jobs-drain",
        "AccountId": "111122223333",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "AutoScalingGroupName": "jobs-green",
        "Time": iso_time.to_milliseconds(at(0)),
        "EC2InstanceId": a_signal().instance_id,
        "LifecycleActionToken": an_action().token,
    }
    action = an_action(
        hook=hook_terms(name="jobs-drain", group="jobs-green"), signals=(a_signal(),), **as_closed(61)
    )
    with mock_aws():
        client.create_table(**table.definition("records"))
        store(client).open(action, Raw(received_at=at(1), body=json.dumps(notified)))
        lines = kept(client)
    exported = tmp_path / "exported.jsonl"
    exported.write_text("".join(f"{line.json_line}\n" for line in lines))
    (told,) = replayed(exported)
    assert (told["outcome"], told["result"], told["reason"]) == (
        action.outcome,
        action.result,
        action.reason,
    )


SAID_TO_THE_ACTION: Final = [
    pytest.param({"signals": (a_signal(),)}, a_signal(), id="a signal of the instance"),
    pytest.param(
        {"signals": (a_signal(token="t" * 36, message="ok"),)},
        a_signal(token="t" * 36, message="ok"),
        id="a signal of the token and the instance",
    ),
    pytest.param(
        {"instance_ended_at": at(9)},
        InstanceEnd(
            instance_id=an_action().instance_id,
            at=at(9),
            detail="EC2 Instance State-change Notification: shutting-down",
        ),
        id="the end of the instance",
    ),
    pytest.param(
        {"stopped_at": at(9)},
        InstanceState(
            instance_id=an_action().instance_id,
            at=at(9),
            is_stopped=True,
            detail="EC2 Instance State-change Notification: stopped",
        ),
        id="that it is stopped",
    ),
]


@pytest.mark.parametrize("is_kept_too", [False, True])
@pytest.mark.parametrize("schema", [1, 2])
@pytest.mark.parametrize(("changes", "notice"), SAID_TO_THE_ACTION)
def test_what_an_action_was_told_of_is_exported_once_with_its_own_item_or_without(
    changes: Any, notice: Notice, schema: int, is_kept_too: bool, dynamodb: DynamoDBClient
) -> None:
    records, action = store(dynamodb), an_action(**changes)
    if schema == 1:  # everything in one text
        doc = table.as_json(record_format.action_to_data(action))
        dynamodb.put_item(TableName="records", Item={**state.key(action.id), "doc": doc})
    else:
        records.open(action, Raw(received_at=at(0), body="{"))
    if is_kept_too:
        for signal in action.signals:
            records.keep_signal(signal)
        if action.instance_ended_at:
            records.keep_instance_end(action.instance_id, action.instance_ended_at)
        if action.stopped_at:
            records.keep_instance_state(action.instance_id, action.stopped_at, is_stopped=True)
    assert [line.notice for line in kept(dynamodb) if line.notice is not None] == [notice]


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
    lines = kept(dynamodb, TimeRange(first=at(first), last=at(last)))
    assert [line.received_at for line in lines] == [at(moment) for moment in times for _ in range(3)]


def test_a_line_has_the_message_as_json_and_when_it_came(dynamodb: DynamoDBClient) -> None:
    store(dynamodb).open(an_action(), Raw(received_at=at(1.5), body='{"a": "ü"}'))
    (line,) = kept(dynamodb)
    assert json.loads(line.json_line) == {"received_at": "2026-03-01T12:00:01.500000Z", "body": {"a": "ü"}}
    assert line.json_line.isascii()


def test_the_lines_stand_in_the_order_of_arrival(day: list[Captured]) -> None:
    times = [line.received_at for line in day]
    assert times == sorted(times)


def test_a_part_of_the_day_has_all_that_belongs_to_it(day: list[Captured]) -> None:
    part = of_hooks(day, "jobs-*", None)
    kinds = {type(line.notice).__name__ for line in part}
    assert (
        {"LifecycleNotice", "Signal", "ActivityEnd", "TestNotice"} >= kinds >= {"LifecycleNotice", "Signal"}
    )
    assert not any("web-" in line.body for line in part)


def test_a_hook_alone_can_be_asked_for(day: list[Captured]) -> None:
    bodies = [json.loads(line.body) for line in of_hooks(day, None, "web-gate")]
    named = {body["LifecycleHookName"] for body in bodies if "LifecycleHookName" in body}
    assert named == {"web-gate"}


def test_progress_tells_how_many_items_were_read(dynamodb: DynamoDBClient) -> None:
    store(dynamodb).open(an_action(), Raw(received_at=at(0), body="{}"))
    told: list[int] = []
    captured_messages(dynamodb, "records", EVER, told.append)
    assert sum(told) == dynamodb.describe_table(TableName="records")["Table"]["ItemCount"] == 4


# The command

NOW: Final = at(3600)


@pytest.fixture
def stack(dynamodb: DynamoDBClient) -> MemoryStack:
    """A stack whose table has a test message of every ten minutes."""
    records = RecordTable(dynamodb, "records", lambda: NOW)
    for minute in range(0, 60, 10):
        records.keep_test(
            notifications.TestNotice(group=f"workers-{minute}", request_id="r", at=at(60 * minute))
        )
    return MemoryStack(now=NOW, dynamodb=dynamodb)


@pytest.mark.parametrize(
    ("arguments", "minutes"),
    [
        pytest.param(["--from", "25m"], [40, 50], id="a duration ago, until now"),
        pytest.param(["--from", "1d", "--to", "45m"], [0, 10], id="both by durations"),
        pytest.param(
            ["--from", "2026-03-01T12:10Z", "--to", "2026-03-01T13:20+01:00"], [10, 20], id="by times"
        ),
    ],
)
def test_a_range_is_given_by_times_or_by_how_long_ago(
    stack: MemoryStack, arguments: list[str], minutes: list[int]
) -> None:
    outcome = stack.usher("export", *arguments)
    assert outcome.exit_code == 0
    bodies = [json.loads(line)["body"] for line in outcome.stdout.splitlines()]
    assert [body["AutoScalingGroupName"] for body in bodies] == [f"workers-{each}" for each in minutes]
    assert outcome.stderr.startswith(f"{len(minutes)} messages from 2026-0")


def test_a_file_that_is_written_can_be_read_by_a_replay(stack: MemoryStack, tmp_path: Path) -> None:
    file = tmp_path / "hour.jsonl"
    outcome = stack.usher("export", "--from", "1h", "--output", str(file))
    assert (outcome.exit_code, outcome.stdout) == (0, "")
    assert outcome.stderr.endswith(f"in {file}.\n")
    assert [type(entry) for entry in read((str(file),))] == [Entry] * 6


def test_an_item_that_cannot_be_read_is_reported_and_stops_no_other(
    stack: MemoryStack,
) -> None:
    """As a newer release wrote it, before a rollback: one ended the whole export."""
    newer = table.text(json.dumps({"at": "at noon"}))
    for sk in ("TEST#r-1", "TEST#r-2"):
        stack.dynamodb.put_item(TableName="records", Item={**table.key("GROUP#workers-0", sk), "doc": newer})

    outcome = stack.usher("export", "--from", "1d")

    assert outcome.exit_code == 1
    assert len(outcome.stdout.splitlines()) == 6
    assert "cannot read GROUP#workers-0 / TEST#r-1: " in outcome.stderr
    assert "Cannot read 2 items: if a newer release of Usher stored them" in outcome.stderr


def test_what_was_cut_is_left_out_and_counted(stack: MemoryStack) -> None:
    store(stack.dynamodb).open(an_action(), Raw(received_at=NOW, body='{"cut'))
    outcome = stack.usher("export", "--from", "5m")
    assert (outcome.exit_code, outcome.stdout) == (0, "")
    assert "1 left out: too long to be stored whole, or not a known message.\n" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--from", "yesterday"], "'yesterday' is not a time with a zone", id="a word"),
        pytest.param(
            ["--from", "9999-12-31T23:00:00-14:00"],
            "'9999-12-31T23:00:00-14:00' is not a time with a zone",
            id="a time after all others",
        ),
        pytest.param(["--from", "2026-03-01T12:00"], "is not a time with a zone", id="no time zone"),
        pytest.param(["--from", "1h", "--to", "2h"], "--from is after --to", id="the wrong way round"),
        pytest.param(["--from", "1h", "--output", "nowhere/x.jsonl"], "There is no folder", id="no folder"),
    ],
)
def test_a_range_or_file_that_makes_no_sense_is_wrong_usage(arguments: list[str], said: str) -> None:
    outcome = MemoryStack().usher("export", *arguments)
    assert outcome.exit_code == 2
    assert said in outcome.stderr
