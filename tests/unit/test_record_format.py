from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.by_types import moments, values_of
from tests.factories import a_finding, a_policy, a_signal, an_action, an_activity_end, at, hook_terms
from usher.aws import enrolled, evidence_format, record_format
from usher.aws.items import described_hooks, findings, group_evidence
from usher.core import iso_time, notifications
from usher.core.action import (
    Action,
    ActivityEnd,
    Code,
    Entry,
    OperatorNote,
    Outcome,
    Phase,
    Result,
    Signal,
)
from usher.core.finding import Finding
from usher.core.hook_items import Enrolled
from usher.core.hook_timeouts import Described
from usher.core.limits import Limits, Sharing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

    from usher.core.policy import Policy


KEPT_APART: Final = ("findings", "behind")  # an item of their own; what an evaluation fills in


def _with_its_last_line(action: Action) -> Action:
    return replace(action, last_entry=action.recent[-1] if action.recent else action.last_entry)


FORMATS: Final = [
    pytest.param(
        values_of(Action, without=KEPT_APART).map(_with_its_last_line),
        record_format.action_to_data,
        record_format.action_from_data,
        id="action",
    ),
    pytest.param(
        values_of(Signal), evidence_format.signal_to_data, evidence_format.signal_from_data, id="signal"
    ),
    pytest.param(values_of(Finding), findings.finding_to_data, findings.finding_from_data, id="finding"),
    pytest.param(
        values_of(OperatorNote), record_format.note_to_data, record_format.note_from_data, id="word"
    ),
    pytest.param(
        values_of(ActivityEnd),
        evidence_format.activity_end_to_data,
        evidence_format.activity_end_from_data,
        id="move end",
    ),
    pytest.param(values_of(Entry), record_format.entry_to_data, record_format.entry_from_data, id="entry"),
    pytest.param(
        values_of(notifications.TestNotice),
        group_evidence.test_to_data,
        group_evidence.test_from_data,
        id="test",
    ),
    pytest.param(
        values_of(Described),
        described_hooks.described_to_data,
        described_hooks.described_from_data,
        id="what was described",
    ),
    pytest.param(values_of(Enrolled), enrolled.to_data, enrolled.from_data, id="hook"),
]


@pytest.mark.parametrize(("values", "to_data", "from_data"), FORMATS)
@given(data=st.data())
def test_every_value_comes_back_from_json_as_it_was_and_past_keys_of_a_newer_release(
    values: st.SearchStrategy[Any],
    to_data: Callable[[Any], Mapping[str, object]],
    from_data: Callable[[Any], Any],
    data: st.DataObject,
) -> None:
    value = data.draw(values)
    stored = to_data(value)

    assert from_data(json.loads(json.dumps(stored))) == value
    assert from_data({**stored, "added_later": {"a": 1}}) == value


def full_action() -> Action:
    """An action in which every field differs from its default."""
    action = replace(
        an_action(phase=Phase.COMPLETING, version=7, evaluation_id="evaluation-7", result=Result.CONTINUE),
        outcome=Outcome.COMPLETED,
        reason="done",
        closed_at=at(300),
        heartbeats=3,
        beaten_at=at(100),
        completes_sent=(at(200),),
        received_by=("sqs",),
        signals=(a_signal(),),
        signals_since=at(-20),
        progress_at=at(50),
        activity_end=an_activity_end(),
        booked_at=at(250),
        instance_ended_at=at(240),
        stopped_at=at(230),
        operator_hold=OperatorNote(who="arn:me", at=at(10), reason="looks into it"),
        extended_to=at(7200),
        operator_result_by=OperatorNote(who="arn:her", at=at(20), reason="enough"),
        operator_result=Result.ABANDON,
        activity_id="activity-1",
        is_proven=True,
        decided=(Result.ABANDON, "gave up after 45m"),
        if_launch_failed=a_policy([]),
        paused_by="ada: change freeze",
        limit_at=at(170_000),
        timeout_assumed=True,
        let_through=True,
        wakes_as=7 << 32 | 6,
        backup_at=at(260),
        metadata="owner=jobs",
        heartbeats_told=(("1f/1", 3), ("1f/2", 2)),
        hook=hook_terms(
            limits=Limits(abandon_per_hour=5, complete_per_minute=20, at_once=2, at_once_per=Sharing.HOOK),
            limited_with='["workers-*"]',
        ),
        began_at=at(30),
    )
    return action.noted(at(1), "wait", "no signal")


# Stored under the name that it had in 0.1.0: every release reads every other one's records.
STORED_AS: Final = {
    "activity_end": "move_end",
    "evaluate_at": "look_at",
    "evaluation_id": "look_id",
    "booked_at": "call_at",
    "operator_hold": "held",
    "operator_result_by": "ordered",
    "operator_result": "ordered_result",
    "heartbeats_told": "beats_told",
    "recent": "lines",
}


def test_every_field_of_an_action_is_kept_but_what_has_items_of_its_own() -> None:
    """So a field that is added to the action is not forgotten here."""
    data = record_format.action_to_data(full_action())

    names = {field.name for field in fields(Action)} - {
        *KEPT_APART,
        "last_entry",
    }  # that is the last of the lines
    assert data.keys() == {STORED_AS.get(name, name) for name in names}
    assert record_format.action_from_data(data) == full_action()


def test_what_an_older_release_did_not_write_takes_its_default() -> None:
    data = record_format.action_to_data(full_action())
    hook = full_action().hook
    minimal = an_action(hook=hook, token=None, origin=None, destination=None, evaluate_at=at(0))
    required = ("id", "instance_id", "hook", "policy", "started_at", "first_seen_at", "look_at")

    assert record_format.action_from_data({key: data[key] for key in required}) == minimal


def test_an_older_entry_signal_and_move_end_take_their_defaults_too() -> None:
    entry = Entry(number=1, at=at(0), event="wait", detail="no signal", last_at=at(0))
    places = {"origin": None, "destination": None, "started_at": None}

    entry_data = without({"count"}, record_format.entry_to_data(entry))
    signal_data = without({"message"}, evidence_format.signal_to_data(a_signal()))
    move_end_data = without(places.keys(), evidence_format.activity_end_to_data(an_activity_end()))

    assert record_format.entry_from_data(entry_data) == entry
    assert evidence_format.signal_from_data(signal_data) == a_signal()
    assert evidence_format.activity_end_from_data(move_end_data) == an_activity_end(**places)


@pytest.mark.parametrize(
    ("detail", "code"),
    [
        ("held by the limit of 5 ABANDON per hour; wants ABANDON: failed", Code.HELD_BY_LIMIT),
        ("RecordLifecycleActionHeartbeat: accepted", Code.HEARTBEAT_ACCEPTED),
        ("RecordLifecycleActionHeartbeat: busy", ""),
        ("CompleteLifecycleAction ABANDON: accepted", Code.RESULT_ACCEPTED),
        ("no signal", ""),
    ],
)
def test_a_line_that_was_stored_without_a_code_has_that_of_its_sentence(detail: str, code: str) -> None:
    entry = Entry(number=1, at=at(0), event="wait", detail=detail, last_at=at(0))
    assert record_format.entry_from_data(record_format.entry_to_data(entry)).code == code


def test_a_code_of_a_newer_release_is_kept_whatever_the_sentence_says() -> None:
    entry = Entry(number=1, at=at(0), event="wait", detail="held by the limit", last_at=at(0), code="newer")
    assert record_format.entry_from_data(record_format.entry_to_data(entry)) == entry


def test_an_older_finding_and_hook_take_their_defaults_too() -> None:
    finding = a_finding(ask_again_at=None, memory={})
    finding_data = findings.finding_to_data(finding)
    action_data = record_format.action_to_data(full_action())
    limits = {"abandon_per_hour", "complete_per_minute", "at_once", "at_once_per", "limited_with"}
    older = {**action_data, "hook": without(limits, action_data["hook"])}

    assert finding_data.keys() == {"condition", "standing", "detail", "asked_at"}
    assert findings.finding_from_data(finding_data) == finding
    assert record_format.action_from_data(older).hook == hook_terms()


def without(keys: AbstractSet[str], data: Mapping[str, object]) -> dict[str, object]:
    return {key: data[key] for key in data.keys() - keys}


def test_what_is_absent_is_left_out() -> None:
    action = an_action(token=None, phase=Phase.CLOSED, evaluate_at=None)

    assert None not in record_format.action_to_data(action).values()
    assert None not in evidence_format.activity_end_to_data(an_activity_end(origin=None)).values()
    assert None not in evidence_format.signal_to_data(a_signal()).values()


def test_a_span_is_kept_in_seconds_as_its_name_says() -> None:
    hook = hook_terms(heartbeat_timeout=timedelta(minutes=5))

    assert record_format.action_to_data(an_action(hook=hook))["hook"]["heartbeat_timeout_s"] == 300


@pytest.mark.parametrize(
    "policy",
    [a_policy(), a_policy([], name="park"), a_policy(give_up_after="45m", mode="observe")],
    ids=["waits", "waits for nothing", "observes"],
)
def test_a_policy_is_kept_as_the_configuration_had_it(policy: Policy) -> None:
    data = record_format.action_to_data(an_action(policy=policy))

    assert data["policy"] == {"name": policy.name, "source": policy.source}
    assert record_format.action_from_data(data).policy == policy


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        pytest.param(at(0), "2026-03-01T12:00:00.000000+00:00", id="whole seconds"),
        pytest.param(at(0.5), "2026-03-01T12:00:00.500000+00:00", id="parts of a second"),
        pytest.param(
            datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=-11))),
            "2026-03-01T12:00:00.000000+00:00",
            id="another time zone",
        ),
    ],
)
def test_times_are_written_in_utc_with_microseconds(moment: datetime, expected: str) -> None:
    assert iso_time.stored(moment) == expected


@given(left=moments, right=moments)
def test_texts_of_times_sort_as_the_times_do(left: datetime, right: datetime) -> None:
    texts_sort = iso_time.stored(left) < iso_time.stored(right)

    assert texts_sort == (left < right)
    assert iso_time.parse(iso_time.stored(left)) == left
    assert iso_time.parse(iso_time.stored(left)).tzinfo == UTC
