"""The events that Usher puts on the bus, against the schema that others build on."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import jsonschema
import pytest
from botocore.config import Config
from moto import mock_aws

from tests.contract.stores import closed
from tests.factories import an_action, as_closed, at
from usher.aws import table
from usher.aws.announcing import EventBus, announce_handler
from usher.aws.records import RecordTable
from usher.core import configuration, messages
from usher.core.action import Action, OperatorNote, Outcome
from usher.core.announce import Kind, between, newly_retained
from usher.ports.records import Raw
from usher_hooksfile import load
from usher_simulator.fakes.recorder import Recorder
from usher_simulator.replay.replay import waits_of
from usher_simulator.replay.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher.core.policy import Configuration

EVENTS = Path(__file__).parents[2] / "events"
SCHEMA = json.loads((EVENTS / "schema" / "lifecycle-action.json").read_text())
SCHEMA_OF_RETAINED = json.loads((EVENTS / "schema" / "instance-retained.json").read_text())
SAMPLE = Path(__file__).parents[2] / "usher_cli" / "sample"
CREDENTIALS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


class ListingBus:
    """A client of EventBridge that keeps what it is given, as a rule's target would get it."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def put_events(self, *, Entries: Sequence[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - as in boto3
        for entry in Entries:
            detail = json.loads(entry["Detail"])
            event = {"source": entry["Source"], "detail-type": entry["DetailType"], "detail": detail}
            self.events.append(event)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "event"} for _ in Entries]}


def limited() -> Configuration:
    """The hooks of the recorded day, each with one ABANDON an hour, and one of them only observing."""
    data: Any = load.read(SAMPLE / "hooks.yaml")
    for hook in data["hooks"]:
        hook["limits"] = {"abandon_per_hour": 1}
    data["policies"]["finish-jobs"]["on_success"] = "ABANDON"
    data["policies"]["cool-down"]["mode"] = "observe"
    return configuration.parse(data)


CONFIGURATIONS = {"as recorded": load.load(SAMPLE / "hooks.yaml"), "with limits": limited()}


@cache
def events_of_a_day(name: str) -> list[dict[str, Any]]:
    """The recorded day once more, and after each of its steps what there is to tell."""
    found = CONFIGURATIONS[name]
    lines = [json.loads(line) for line in (SAMPLE / "fleet-day.jsonl").read_text().splitlines()]
    received = [(datetime.fromisoformat(line["received_at"]), json.dumps(line["body"])) for line in lines]
    world = World(found, min(moment for moment, _ in received) - timedelta(hours=1))
    for wait in waits_of(found, (messages.read(body) for _, body in received)):
        world.clock.at(wait.started_at, partial(world.waits.begin, wait))
    for moment, body in received:
        world.deliver_at(moment, body)
    bus = ListingBus()
    seen: dict[str, Action] = {}
    last = max(moment for moment, _ in received)
    while world.store.open_actions() or world.clock() < last:
        world.clock.step()
        for action in world.store.actions():
            EventBus(bus).put(between(seen.get(action.id), action))
            seen[action.id] = action
    return bus.events


def unfit(event: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(event)]


def assert_fit(events: Sequence[dict[str, Any]]) -> None:
    """Each fits, and says nothing that the schema does not know of."""
    known = set(SCHEMA["$defs"]["action"]["properties"])
    assert [error for event in events for error in unfit(event)] == []
    assert {key for event in events for key in event["detail"]} <= known


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_event_of_a_replay_fits_the_schema(name: str) -> None:
    events = events_of_a_day(name)
    kinds = [event["detail-type"] for event in events]
    assert kinds.count(Kind.OPENED) == kinds.count(Kind.COMPLETED) == 15
    assert_fit(events)


def test_a_replay_under_limits_tells_what_they_hold() -> None:
    held = [event for event in events_of_a_day("with limits") if "HeldBy" in event["detail"]]
    assert held
    assert {event["detail"]["HeldBy"] for event in held} == {"limit"}


def a_life() -> list[Action]:
    """An action that opens, is held by an operator, and falls to its default."""
    word = OperatorNote(who="arn:aws:iam::111122223333:user/ana", at=at(30), reason="look at the disk first")
    opened = an_action()
    held = replace(opened, operator_hold=word, version=2, evaluation_id="evaluation-2")
    why = "got the default result ABANDON: its heartbeat timeout expired"
    fell = replace(
        held, version=3, evaluation_id="evaluation-3", **as_closed(3600, Outcome.DEFAULTED, reason=why)
    )
    return [opened, held, fell]


def stored_in_a_table_with_a_stream(life: Sequence[Action]) -> list[dict[str, Any]]:
    """What the stream says of it, as Lambda hands it over."""
    dynamodb = boto3.client("dynamodb", region_name="us-east-1", **CREDENTIALS)
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    created = dynamodb.create_table(**table.definition("records"), StreamSpecification=stream)
    records = RecordTable(dynamodb, "records", lambda: at(0))
    first, *others = life
    records.open(first, Raw(received_at=at(0), body="{}"))
    for action in others:
        records.save(action.noted(at(1), "test", "goes on"))
    plain = Config(account_id_endpoint_mode="disabled")  # moto knows the endpoint without an account only
    streams = boto3.client("dynamodbstreams", region_name="us-east-1", config=plain, **CREDENTIALS)
    arn = created["TableDescription"]["LatestStreamArn"]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    told = streams.get_records(ShardIterator=iterator)["Records"]
    for record in told:
        for image in ("OldImage", "NewImage"):
            for value in record["dynamodb"].get(image, {}).values():
                if "B" in value:  # bytes come to Lambda in base64
                    value["B"] = b64encode(value["B"]).decode()
    return list(told)


@mock_aws
def test_what_the_table_streams_becomes_the_events_of_an_action_in_their_order() -> None:
    bus, recorder = ListingBus(), Recorder()
    records = stored_in_a_table_with_a_stream(a_life())
    assert announce_handler(EventBus(bus), recorder)({"Records": records}, None) == {"batchItemFailures": []}
    assert recorder.troubles == []
    assert [event["detail-type"] for event in bus.events] == [Kind.OPENED, Kind.HELD, Kind.DEFAULTED]
    assert [event["detail"]["RecordVersion"] for event in bus.events] == [1, 2, 3]
    assert_fit(bus.events)


@mock_aws
def test_a_record_that_comes_twice_makes_the_same_event_twice() -> None:
    bus = ListingBus()
    first, *_ = stored_in_a_table_with_a_stream(a_life())
    announce_handler(EventBus(bus), Recorder())({"Records": [first, first]}, None)
    one, other = bus.events
    assert one == other


def retained_image(group: str, first_seen: dict[str, datetime]) -> dict[str, Any]:
    """The item of a group as the stream has it."""
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name="us-east-1", **CREDENTIALS)
        dynamodb.create_table(**table.definition("records"))
        RecordTable(dynamodb, "records", lambda: at(0)).keep_retained(group, first_seen)
        key = {"pk": {"S": f"GROUP#{group}"}, "sk": {"S": "RETAINED"}}
        item: dict[str, Any] = dynamodb.get_item(TableName="records", Key=key)["Item"]
    return {name: {"B": b64encode(one["B"]).decode()} if "B" in one else one for name, one in item.items()}


def told_of(*images: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of an item that became each of these images after the other."""
    bus, recorder = ListingBus(), Recorder()
    for before, after in zip([None, *images], images, strict=False):
        change = {"Keys": {"pk": after["pk"], "sk": after["sk"]}, "NewImage": after, "SequenceNumber": "1"}
        record = {"dynamodb": change if before is None else {**change, "OldImage": before}}
        assert (
            announce_handler(EventBus(bus), recorder)({"Records": [record]}, None)["batchItemFailures"] == []
        )
    assert recorder.troubles == []
    return bus.events


def test_each_retained_instance_is_told_of_once() -> None:
    events = told_of(
        retained_image("web", {"i-1": at(1)}),
        retained_image("web", {"i-1": at(1), "i-2": at(2)}),
        retained_image("web", {"i-2": at(2)}),
    )
    assert [event["detail"]["EC2InstanceId"] for event in events] == ["i-1", "i-2"]
    assert {event["detail-type"] for event in events} == {str(Kind.RETAINED)}
    validator = jsonschema.Draft202012Validator(SCHEMA_OF_RETAINED)
    assert [error.message for event in events for error in validator.iter_errors(event)] == []
    assert events[0]["detail"]["FirstSeenTime"] == "2026-03-01T12:00:01.000Z"


def test_more_retained_instances_than_a_call_takes_are_told_of_in_several() -> None:
    class Counting(ListingBus):
        def put_events(self, *, Entries: Sequence[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
            assert len(Entries) <= 10
            return super().put_events(Entries=Entries)

    bus = Counting()
    EventBus(bus).put(newly_retained("web", {}, {f"i-{number}": at(number) for number in range(21)}))
    assert len(bus.events) == 21


@mock_aws
def test_the_bus_of_aws_takes_what_is_put() -> None:
    client = boto3.client("events", region_name="us-east-1", **CREDENTIALS)
    EventBus(client).put([*between(None, an_action()), *between(None, closed(an_action(reason="done")))])


OPENED, DONE = ({"source": "usher", "detail-type": str(each.kind), "detail": dict(each.detail)}
                for each in between(None, closed(an_action(reason="done"))))  # fmt: skip


def changed(event: dict[str, Any], **detail: object) -> dict[str, Any]:
    return {**event, "detail": {**event["detail"], **detail}}


def without(event: dict[str, Any], key: str) -> dict[str, Any]:
    return {**event, "detail": {name: value for name, value in event["detail"].items() if name != key}}


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({**OPENED, "source": "usher.signal"}, id="another source"),
        pytest.param({**OPENED, "detail-type": "Lifecycle Action Begun"}, id="another detail-type"),
        pytest.param({**OPENED, "detail-type": str(Kind.COMPLETED)}, id="a completion without an end"),
        pytest.param({**OPENED, "detail-type": str(Kind.HELD)}, id="a hold without a reason"),
        pytest.param({**DONE, "detail-type": str(Kind.DEFAULTED)}, id="a default that was completed"),
        pytest.param(without(DONE, "LifecycleActionResult"), id="a completion without its result"),
        pytest.param(
            changed(DONE, Outcome="ended_elsewhere"), id="a result of Usher's on what ended elsewhere"
        ),
        pytest.param(changed(OPENED, StartTime="2026-03-01 12:00"), id="a time of another form"),
        pytest.param(without(OPENED, "EC2InstanceId"), id="no instance"),
    ],
)
def test_the_schema_refuses_what_usher_never_says(event: dict[str, Any]) -> None:
    assert unfit(event) != []


def test_the_page_on_events_names_every_field_and_every_kind() -> None:
    page = (EVENTS.parent / "docs" / "events.md").read_text()
    for name in [
        *SCHEMA["$defs"]["action"]["properties"],
        *SCHEMA_OF_RETAINED["$defs"]["instance"]["properties"],
        *Kind,
    ]:
        assert f"`{name}`" in page, name


def test_the_examples_on_the_page_fit_the_schema() -> None:
    page = (EVENTS.parent / "docs" / "events.md").read_text()
    examples = [json.loads(block.split("```")[0]) for block in page.split("```json\n")[1:]]
    events = [example for example in examples if "detail-type" in example and "version" in example]
    assert len(events) == 2
    assert_fit(events)
