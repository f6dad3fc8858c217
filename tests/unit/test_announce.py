"""What a change of a record has to tell the event bus, and the way from the table's stream to it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import a_policy, an_action, at, hook_terms
from usher.aws import record_format
from usher.aws.announcing import EventBus, announce_handler
from usher.core.action import Action, Code, OperatorNote, Outcome, Phase, Result
from usher.core.announce import MOST_REASON_CHARACTERS, Announcement, Kind, between, newly_retained
from usher.ports.errors import Unavailable
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMITED = "held by the limit of 5 ABANDON per hour; wants ABANDON: failed: smoke test"
WORD = OperatorNote(who="arn:aws:iam::111122223333:user/ana", at=at(30), reason="look at the disk first")


def closed(outcome: Outcome = Outcome.COMPLETED, **changes: Any) -> Action:
    result = Result.CONTINUE if outcome is Outcome.COMPLETED else None
    fields: dict[str, Any] = {"reason": "done: signal jobs-finished", "result": result, "version": 4}
    return an_action(
        phase=Phase.CLOSED, outcome=outcome, evaluate_at=None, closed_at=at(90), **{**fields, **changes}
    )


def kinds(before: Action | None, after: Action) -> list[Kind]:
    return [each.kind for each in between(before, after)]


def test_a_new_record_is_an_opened_action_with_its_names_and_its_limits() -> None:
    action = an_action(
        hook=hook_terms(heartbeat_timeout=timedelta(minutes=5)),
        policy=a_policy(give_up_after="45m"),
        first_seen_at=at(2),
    )
    assert between(None, action) == (
        Announcement(
            kind=Kind.OPENED,
            at=at(2),
            detail={
                "ActionId": "action-1",
                "RecordVersion": 1,
                "LifecycleActionToken": "c613620e-07e2-4ed2-a9e2-ef8258911ade",
                "AutoScalingGroupName": "workers-1",
                "LifecycleHookName": "usher-drain",
                "EC2InstanceId": "i-0f0e0d0c0b0a09080",
                "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
                "Origin": "AutoScalingGroup",
                "Destination": "EC2",
                "Policy": "drain-workers",
                "Mode": "enforce",
                "StartTime": "2026-03-01T12:00:00.000Z",
                "GiveUpTime": "2026-03-01T12:45:00.000Z",
                "LimitTime": "2026-03-01T20:20:00.000Z",
            },
        ),
    )


def test_what_is_not_known_is_left_out() -> None:
    (told,) = between(None, an_action(token=None, origin=None, destination=None))
    assert {"LifecycleActionToken", "Origin", "Destination"}.isdisjoint(told.detail)


@pytest.mark.parametrize(
    ("after", "kind", "result"),
    [
        pytest.param(closed(), Kind.COMPLETED, "CONTINUE", id="by Usher"),
        pytest.param(closed(Outcome.ENDED_ELSEWHERE), Kind.COMPLETED, None, id="by someone else"),
        pytest.param(closed(Outcome.DEFAULTED), Kind.DEFAULTED, "ABANDON", id="by its default result"),
    ],
)
def test_a_closing_says_how_the_action_ended(after: Action, kind: Kind, result: str | None) -> None:
    (told,) = between(an_action(version=3), after)
    assert (told.kind, told.at) == (kind, at(90))
    assert told.detail.get("LifecycleActionResult") == result
    assert told.detail["Outcome"] == after.outcome
    assert told.detail["HeldSeconds"] == 90
    assert told.detail["EndTime"] == "2026-03-01T12:01:30.000Z"


def test_a_hold_by_an_operator_says_who_and_why() -> None:
    (told,) = between(an_action(), an_action(operator_hold=WORD, version=2))
    assert (told.kind, told.at) == (Kind.HELD, at(30))
    said = {key: told.detail[key] for key in ("HeldBy", "Who", "Reason")}
    assert said == {"HeldBy": "operator", "Who": WORD.who, "Reason": WORD.reason}


def test_a_hold_by_a_limit_says_which_and_what_it_keeps_back() -> None:
    (told,) = between(an_action(), an_action().noted(at(40), "wait", LIMITED, Code.HELD_BY_LIMIT))
    assert (told.kind, told.at, told.detail["HeldBy"]) == (Kind.HELD, at(40), "limit")
    assert told.detail["Reason"] == LIMITED
    assert "Who" not in told.detail


def test_no_wording_makes_a_hold_by_a_limit_but_its_code() -> None:
    assert kinds(an_action(), an_action().noted(at(40), "wait", LIMITED)) == []
    assert kinds(an_action(), an_action().noted(at(40), "wait", "no more now", Code.HELD_BY_LIMIT)) == [
        Kind.HELD
    ]


HELD = an_action(operator_hold=WORD)
LIMITED_ACTION = an_action().noted(at(40), "wait", LIMITED, Code.HELD_BY_LIMIT)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(an_action(), an_action(heartbeats=1, version=2), id="a heartbeat"),
        pytest.param(HELD, replace(HELD, heartbeats=1), id="a heartbeat while held"),
        pytest.param(HELD, replace(HELD, operator_hold=None), id="the end of a hold"),
        pytest.param(
            LIMITED_ACTION,
            LIMITED_ACTION.noted(at(50), "wait", LIMITED, Code.HELD_BY_LIMIT),
            id="a further evaluation under a limit",
        ),
        pytest.param(closed(), replace(closed(), version=5), id="a further copy of a closed one"),
        pytest.param(
            an_action(), an_action(phase=Phase.COMPLETING, result=Result.CONTINUE), id="a result decided"
        ),
    ],
)
def test_other_changes_are_nothing_to_tell(before: Action, after: Action) -> None:
    assert kinds(before, after) == []


def test_a_state_that_skips_others_tells_what_happened_in_between() -> None:
    assert kinds(None, closed()) == [Kind.OPENED, Kind.COMPLETED]
    assert kinds(an_action(), closed(operator_hold=WORD)) == [Kind.HELD, Kind.COMPLETED]


@given(length=st.integers(0, 3 * MOST_REASON_CHARACTERS))
def test_a_reason_never_outgrows_its_bound(length: int) -> None:
    (told,) = between(an_action(), closed(reason="x" * length))
    assert len(str(told.detail["Reason"])) == min(length, MOST_REASON_CHARACTERS)


# From the stream to the bus


class ListedBus:
    """A bus that takes announcements, or is down."""

    def __init__(self) -> None:
        self.taken: list[Announcement] = []
        self.is_down = False

    def put(self, announcements: Sequence[Announcement]) -> None:
        if self.is_down:
            raise Unavailable("event bus: it does not answer")
        self.taken += announcements


def image(action: Action) -> dict[str, Any]:
    return {"doc": {"S": json.dumps(record_format.action_to_data(action))}}


def a_record(number: int, before: Action | None, after: Action | None, sk: str = "STATE") -> dict[str, Any]:
    """A record of the table's stream, as Lambda hands it over."""
    change: dict[str, Any] = {
        "Keys": {"pk": {"S": "ACTION#action-1"}, "sk": {"S": sk}},
        "SequenceNumber": str(number),
    }
    if before is not None:
        change["OldImage"] = image(before)
    if after is not None:
        change["NewImage"] = image(after)
    return {"eventSource": "aws:dynamodb", "dynamodb": change}


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(a_record(1, closed(), None), id="what TTL removes"),
        pytest.param(a_record(1, None, an_action(), sk="LINE#0000000001"), id="a line of a timeline"),
        pytest.param(a_record(1, an_action(), an_action(version=2)), id="an evaluation that changes little"),
    ],
)
def test_other_records_of_the_stream_ask_nothing_of_the_bus(record: dict[str, Any]) -> None:
    bus = ListedBus()
    bus.is_down = True
    assert announce_handler(bus, Recorder())({"Records": [record]}, None) == {"batchItemFailures": []}


def test_a_bus_that_is_down_gets_all_of_it_again_later() -> None:
    bus, recorder = ListedBus(), Recorder()
    bus.is_down = True
    records = [a_record(7, an_action(), an_action(version=2)), a_record(8, None, an_action())]
    again = announce_handler(bus, recorder)({"Records": records}, None)
    assert again == {"batchItemFailures": [{"itemIdentifier": "8"}]}
    assert [what for what, _ in recorder.troubles] == ["an event will be sent again later"]


@pytest.mark.parametrize(
    "doc",
    [
        pytest.param("{}", id="a key that is missing"),
        pytest.param("{", id="no JSON"),
        pytest.param(
            json.dumps(record_format.action_to_data(an_action()) | {"phase": "dozing"}), id="a new phase"
        ),
        pytest.param(
            json.dumps(
                record_format.action_to_data(an_action())
                | {"policy": {"name": "p", "source": '{"until":[{"of-tomorrow":1}]}'}}
            ),
            id="a new kind of condition",
        ),
    ],
)
def test_a_record_that_cannot_be_read_holds_up_no_other(doc: str) -> None:
    bus, recorder = ListedBus(), Recorder()
    unreadable = a_record(1, None, an_action())
    unreadable["dynamodb"]["NewImage"] = {"doc": {"S": doc}}
    records = [unreadable, a_record(2, None, an_action())]
    assert announce_handler(bus, recorder)({"Records": records}, None) == {"batchItemFailures": []}
    assert [each.kind for each in bus.taken] == [Kind.OPENED]
    assert len(recorder.troubles) == 1


# The bus itself


def a_stubbed_bus() -> tuple[EventBus, Stubber]:
    client = boto3.client(
        "events", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    return EventBus(client), Stubber(client)


SOME = (Announcement(kind=Kind.HELD, at=at(1), detail={"ActionId": "action-1"}),)


def test_an_announcement_is_an_event_of_usher_on_the_default_bus() -> None:
    bus, stub = a_stubbed_bus()
    entry = {
        "Source": "usher",
        "DetailType": "Lifecycle Action Held",
        "Time": at(1),
        "Detail": '{"ActionId": "action-1"}',
    }
    stub.add_response(
        "put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "e"}]}, {"Entries": [entry]}
    )
    with stub:
        bus.put(SOME)
        stub.assert_no_pending_responses()


def test_an_entry_that_the_bus_does_not_take_is_not_taken_for_told() -> None:
    bus, stub = a_stubbed_bus()
    answer = {
        "FailedEntryCount": 1,
        "Entries": [{"ErrorCode": "ThrottlingException", "ErrorMessage": "slow"}],
    }
    stub.add_response("put_events", answer)
    with stub, pytest.raises(Unavailable, match="event bus: ThrottlingException"):
        bus.put(SOME)


def test_a_bus_that_says_no_is_unavailable() -> None:
    bus, stub = a_stubbed_bus()
    stub.add_client_error("put_events", "AccessDeniedException", "no")
    with stub, pytest.raises(Unavailable, match="AccessDeniedException"):
        bus.put(SOME)


def test_a_bus_that_does_not_answer_is_unavailable() -> None:
    class Silent:
        def put_events(self, **_: object) -> None:
            raise ConnectTimeoutError(endpoint_url="https://events.example")

    with pytest.raises(Unavailable, match="timeout"):
        EventBus(Silent()).put(SOME)


def test_each_retained_instance_that_is_new_is_told_of_with_when_it_was_first_seen() -> None:
    (told,) = newly_retained("web", {"i-1": at(0)}, {"i-1": at(0), "i-2": at(60)})
    assert (told.kind, told.at) == (Kind.RETAINED, at(60))
    assert told.detail == {
        "AutoScalingGroupName": "web",
        "EC2InstanceId": "i-2",
        "FirstSeenTime": "2026-03-01T12:01:00.000Z",
    }
