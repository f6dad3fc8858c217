"""What the records of enrolled hooks promise, over those in memory and those in DynamoDB."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.factories import at
from usher.aws import table as dynamodb
from usher.aws.enrolled import KEPT, EnrolledHooks
from usher.core.action import Result, Transition
from usher.core.hook_items import Enrolled, FileInForce, Former, HookSettings, HookState
from usher.ports.errors import Moved, NotInForce
from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.contract.dynamodb import Clock
    from usher.ports.hooks import EnrolmentRecords

MOST_PER_HOUR: Final = 3
ARN: Final = "arn:aws:autoscaling:us-east-1:111122223333:autoScalingGroup:1:autoScalingGroupName/w"
OTHER_ARN: Final = ARN.replace(":1:", ":2:")


@pytest.fixture(params=["memory", "dynamodb"])
def records(request: pytest.FixtureRequest, clock: Clock) -> EnrolmentRecords:
    if request.param == "memory":
        return MemoryEnrolledHooks(clock, MOST_PER_HOUR)
    client, table = request.getfixturevalue("shared_client"), request.getfixturevalue("table")
    return EnrolledHooks(client, table, clock, MOST_PER_HOUR)


@pytest.fixture
def of_file(request: pytest.FixtureRequest, records: EnrolmentRecords, clock: Clock) -> EnrolmentRecords:
    """The same items, for a writer that holds FILE."""
    if isinstance(records, MemoryEnrolledHooks):
        return records.under(FILE.digest)
    client, table = request.getfixturevalue("shared_client"), request.getfixturevalue("table")
    return EnrolledHooks(client, table, clock, MOST_PER_HOUR, FILE.digest)


def settings(**changes: Any) -> HookSettings:
    fields: dict[str, Any] = {
        "transition": Transition.LAUNCHING,
        "heartbeat_timeout": timedelta(seconds=90),
        "default_result": Result.CONTINUE,
    }
    return HookSettings(**{**fields, **changes})


def a_record(**changes: Any) -> Enrolled:
    fields: dict[str, Any] = {
        "group": "workers-1",
        "group_arn": ARN,
        "hook": "usher/drain",
        "settings": settings(),
        "source": "{}",
    }
    return Enrolled(**{**fields, **changes})


WHOLE: Final = a_record(
    settings=settings(target_arn="arn:queue", role_arn="arn:role", metadata='{"a": "ü\\n"}'),
    before=settings(transition=None),
    put_at=at(-60),
    former=(Former(heartbeat_timeout=timedelta(seconds=30), until=at(-90)),),
    state=HookState.RETIRING,
    retiring_since=at(-50),
    let_through_from=at(-40),
    seen_at=at(-30),
    quiet_at=at(-20),
    deleting_at=at(-10),
    missed=2,
)


@pytest.mark.parametrize("record", [a_record(), WHOLE], ids=["least", "whole"])
def test_a_kept_record_is_read_as_it_was_with_its_version_and_time(
    records: EnrolmentRecords, record: Enrolled
) -> None:
    kept = records.keep(record)
    assert kept == replace(record, version=1, kept_at=at(0))
    assert list(records.enrolled()) == [kept]


def test_each_hook_of_each_group_has_a_record_of_its_own(records: EnrolmentRecords) -> None:
    names = [("a", "b"), ("a", "b/c"), ("a#b", "c"), ("a", "B"), ("c", "b"), ("ü" * 255, "b"), ("ab", "b")]
    for group, hook in names:
        records.keep(a_record(group=group, hook=hook))
    assert sorted(record.key for record in records.enrolled()) == sorted(names)
    for group, hook in names:
        assert [record.key for record in records.of(group, hook)] == [(group, hook)]


def test_a_group_made_again_under_the_same_name_is_another_one(records: EnrolmentRecords) -> None:
    first, again = records.keep(a_record()), records.keep(a_record(group_arn=OTHER_ARN))
    assert {record.group_arn for record in records.of("workers-1", "usher/drain")} == {
        first.group_arn,
        again.group_arn,
    }
    records.forget(first)
    assert list(records.of("workers-1", "usher/drain")) == [again]


def test_a_record_is_stored_over_the_version_it_was_read_at(records: EnrolmentRecords, clock: Clock) -> None:
    first = records.keep(a_record())
    clock.now = at(60)
    second = records.keep(replace(first, put_at=at(60)))
    assert second == replace(first, put_at=at(60), version=2, kept_at=at(60))
    assert list(records.enrolled()) == [second]


@pytest.mark.parametrize("version", [0, 1, 3], ids=["as if new", "an older one", "one that never was"])
def test_a_record_that_has_moved_on_is_neither_overwritten_nor_forgotten(
    records: EnrolmentRecords, version: int
) -> None:
    newest = records.keep(records.keep(a_record()))
    stale = replace(newest, version=version, put_at=at(9))
    with pytest.raises(Moved):
        records.keep(stale)
    with pytest.raises(Moved):
        records.forget(stale)
    assert list(records.enrolled()) == [newest]


def test_a_forgotten_record_is_gone_and_may_come_anew(records: EnrolmentRecords) -> None:
    kept = records.keep(a_record())
    records.forget(kept)
    assert list(records.enrolled()) == []
    with pytest.raises(Moved):
        records.keep(kept)
    anew = records.keep(a_record(put_at=at(5)))
    assert list(records.enrolled()) == [anew]


def test_no_more_is_taken_in_an_hour_than_it_allows(records: EnrolmentRecords) -> None:
    assert [records.take(at(minutes * 60)) for minutes in (0, 10, 58, 59)] == [True, True, True, False]
    assert records.left(at(0)) == 0


def test_the_hours_are_those_of_the_clock_in_utc(records: EnrolmentRecords) -> None:
    far_east = timezone(timedelta(hours=5, minutes=30))
    assert records.take(at(59 * 60).astimezone(far_east))
    assert (records.left(at(0)), records.left(at(-1)), records.left(at(3600))) == (2, 3, 3)


def test_what_is_given_back_may_be_taken_again_but_no_more(records: EnrolmentRecords) -> None:
    records.give_back(at(0))
    assert records.left(at(0)) == MOST_PER_HOUR
    for _ in range(MOST_PER_HOUR):
        assert records.take(at(0))
    records.give_back(at(0))
    assert [records.take(at(0)), records.take(at(0))] == [True, False]


# The file that counts


FILE: Final = FileInForce(digest="d1", own_groups=("own-1",))


def test_the_file_that_counts_is_the_one_that_was_put_in_force_last(records: EnrolmentRecords) -> None:
    assert records.in_force() is None
    records.put_in_force(FILE)
    assert records.in_force() == FILE
    closing = FileInForce(digest="d2", is_closing=True)
    records.put_in_force(closing)
    assert records.in_force() == closing
    assert list(records.enrolled()) == [], "it is no item of a hook"


@pytest.mark.parametrize(
    ("in_force", "is_stored"),
    [
        (None, False),
        (FILE, True),
        (replace(FILE, is_closing=True), False),
        (FileInForce(digest="another"), False),
    ],
    ids=["none", "its own", "Usher goes", "another"],
)
def test_an_item_is_stored_only_while_the_file_of_its_writer_counts(
    records: EnrolmentRecords, of_file: EnrolmentRecords, in_force: FileInForce | None, *, is_stored: bool
) -> None:
    kept = records.keep(a_record())
    if in_force is not None:
        records.put_in_force(in_force)
    for write in (of_file.keep, of_file.forget):
        if is_stored:
            write(kept)
            kept = replace(kept, version=2)
        else:
            with pytest.raises(NotInForce):
                write(kept)
            assert list(records.enrolled()) == [kept]


def test_another_version_is_told_from_another_file(
    records: EnrolmentRecords, of_file: EnrolmentRecords
) -> None:
    records.put_in_force(FILE)
    records.keep(a_record())
    with pytest.raises(Moved):
        of_file.keep(a_record())


# DynamoDB's own


def test_every_change_renews_the_time_to_live(client: DynamoDBClient, table: str, clock: Clock) -> None:
    records = EnrolledHooks(client, table, clock, MOST_PER_HOUR)
    kept = records.keep(a_record())
    clock.now = at(86_400)
    records.keep(kept)
    (item,) = client.scan(TableName=table)["Items"]
    assert int(item[dynamodb.TTL_ATTRIBUTE]["N"]) == int((at(86_400) + KEPT).timestamp())


def test_a_limit_that_was_lowered_holds_at_once(client: DynamoDBClient, table: str, clock: Clock) -> None:
    before = EnrolledHooks(client, table, clock, 5)
    assert all(before.take(at(0)) for _ in range(3))
    after = EnrolledHooks(client, table, clock, 2)
    assert (after.left(at(0)), after.take(at(0))) == (-1, False)


def test_a_record_of_a_release_that_wrote_more_or_less_is_read(
    client: DynamoDBClient, table: str, clock: Clock
) -> None:
    record_key = {"pk": {"S": "ENROLLED"}, "sk": {"S": "HOOK#usher/drain#GROUP#workers-1:1"}}
    doc = (
        '{"group":"workers-1","group_arn":"arn","hook":"usher/drain","version":4,"added_later":1,"source":"{}",'
        '"settings":{"transition":"launching","heartbeat_timeout_s":90.0,"default_result":"CONTINUE"}}'
    )
    client.put_item(TableName=table, Item={**record_key, "version": {"N": "4"}, "doc": {"S": doc}})
    records = EnrolledHooks(client, table, clock, MOST_PER_HOUR)
    assert list(records.enrolled()) == [a_record(group_arn="arn", version=4)]
