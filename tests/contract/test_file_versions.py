"""What the versions of the hooks file promise, over those in memory and those in DynamoDB."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.exceptions import ConnectionClosedError

from tests.factories import at
from usher.aws import table as dynamodb
from usher.aws.enrolled import EnrolledHooks
from usher.aws.file_versions import FileVersionsTable
from usher.core.compiled import compiled
from usher.core.file_versions import NO_VERSION, NOTICE, FileVersion, Schedule
from usher.core.hook_items import FileInForce
from usher.ports.errors import Moved, NotInForce
from usher.ports.file_versions import VersionUnreadable
from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks
from usher_simulator.fakes.memory_versions import MemoryVersions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.contract.dynamodb import Clock
    from usher.ports.file_versions import VersionHistory
    from usher.ports.hooks import HooksFile

FROM_TABLE: Final = NO_VERSION.in_force


@pytest.fixture(params=["memory", "dynamodb"])
def both(request: pytest.FixtureRequest, clock: Clock) -> tuple[VersionHistory, HooksFile]:
    if request.param == "memory":
        in_memory = MemoryEnrolledHooks(clock)
        return MemoryVersions(in_memory), in_memory
    client, table = request.getfixturevalue("shared_client"), request.getfixturevalue("table")
    return FileVersionsTable(client, table), EnrolledHooks(client, table, clock)


@pytest.fixture
def versions(both: tuple[VersionHistory, HooksFile]) -> VersionHistory:
    return both[0]


@pytest.fixture
def in_force(both: tuple[VersionHistory, HooksFile]) -> HooksFile:
    both[1].put_in_force(FROM_TABLE)
    return both[1]


def file(*hooks: str) -> Any:
    hook = {"group": "web-ü", "transition": "launching", "policy": "park"}
    return {
        "version": 1,
        "policies": {"park": {"until": []}},
        "hooks": [{**hook, "name": name} for name in hooks],
    }


def a_version(number: int, seconds: float = 0, **changes: Any) -> FileVersion:
    fields: dict[str, Any] = {
        "number": number,
        "file": compiled(file(f"gate-{number}"), ["own-1"]),
        "applied_at": at(seconds),
        "effective_at": at(seconds) + NOTICE,
        "by": "arn:aws:iam::111122223333:user/me",
        "reason": 'a "reason" of müßiggang',
        "previous": number - 1,
        "written": "# why: müßig\nversion: 1\n",
    }
    return FileVersion(**{**fields, **changes})


def apply(versions: VersionHistory, version: FileVersion) -> Schedule:
    over = versions.schedule()
    schedule = over.then(version.number, version.applied_at)
    versions.apply(version, schedule, over)
    return schedule


@pytest.mark.usefixtures("in_force")
def test_a_version_is_read_as_it_was_applied(versions: VersionHistory) -> None:
    assert versions.schedule() == Schedule()
    with pytest.raises(VersionUnreadable, match="there is no version 1"):
        versions.version(1)
    assert versions.history(5) == []
    first, second = a_version(1), a_version(2, 10, written=None)
    apply(versions, first)
    schedule = apply(versions, second)
    assert versions.schedule() == schedule
    assert [start.number for start in schedule.starts] == [1, 2]
    assert [versions.version(1), versions.version(2)] == [first, second]
    assert [*versions.history(1)] == [second]
    assert [*versions.history(5)] == [second, first]


@pytest.mark.usefixtures("in_force")
def test_of_two_appliers_one_wins_and_the_other_changes_nothing(versions: VersionHistory) -> None:
    over = versions.schedule()
    mine, theirs = a_version(1), a_version(1, reason="another")
    versions.apply(mine, over.then(1, at(0)), over)
    with pytest.raises(Moved):
        versions.apply(theirs, over.then(1, at(0)), over)
    with pytest.raises(Moved):
        versions.apply(replace(theirs, number=2), over.then(2, at(0)), over)
    assert versions.history(5) == [mine]
    assert versions.schedule() == over.then(1, at(0))


@pytest.mark.usefixtures("in_force")
def test_no_version_is_ever_changed(versions: VersionHistory) -> None:
    apply(versions, a_version(1))
    schedule = versions.schedule()
    with pytest.raises(Moved):
        versions.apply(a_version(1, reason="another"), schedule.then(1, at(9)), schedule)
    assert versions.version(1) == a_version(1)


@pytest.mark.parametrize(
    "counts",
    [None, FileInForce(digest="compiled in"), replace(FROM_TABLE, is_closing=True)],
    ids=["nothing was deployed", "compiled in", "Usher goes"],
)
def test_nothing_is_applied_where_the_file_is_compiled_in(
    both: tuple[VersionHistory, HooksFile], counts: FileInForce | None
) -> None:
    versions, in_force = both
    if counts is not None:
        in_force.put_in_force(counts)
    with pytest.raises(NotInForce):
        apply(versions, a_version(1))
    assert (versions.schedule(), versions.history(5)) == (Schedule(), [])


# Which version the enrolment works by


def test_only_a_later_version_takes_the_place_of_one(in_force: HooksFile) -> None:
    two = FileInForce(digest="two", version=2)
    assert in_force.switch(two)
    for older in (two, FileInForce(digest="one", version=1), FileInForce(digest="compiled in")):
        assert not in_force.switch(older)
        assert in_force.in_force() == two


@pytest.mark.parametrize(
    "counts",
    [FileInForce(digest="compiled in"), FileInForce(digest="d", version=1, is_closing=True)],
    ids=["compiled in", "Usher goes"],
)
def test_no_version_takes_the_place_of_what_a_deploy_put_in_force(
    in_force: HooksFile, counts: FileInForce
) -> None:
    in_force.put_in_force(counts)
    assert not in_force.switch(FileInForce(digest="two", version=2))
    assert in_force.in_force() == counts


# DynamoDB's own


def table_of(client: DynamoDBClient, table: str, clock: Clock) -> FileVersionsTable:
    EnrolledHooks(client, table, clock).put_in_force(FROM_TABLE)
    return FileVersionsTable(client, table)


def test_a_write_whose_answer_was_lost_is_no_defeat(client: DynamoDBClient, table: str, clock: Clock) -> None:
    versions, send, lost = table_of(client, table, clock), client.transact_write_items, [True]

    def answer_lost(**parameters: Any) -> Any:
        answer = send(**parameters)
        if lost.pop() if lost else False:
            raise ConnectionClosedError(endpoint_url="https://dynamodb")
        return answer

    client.transact_write_items = answer_lost  # type: ignore[method-assign]
    apply(versions, a_version(1))
    assert versions.history(5) == [a_version(1)]


def stored(client: DynamoDBClient, table: str, number: int) -> tuple[dynamodb.Item, Any]:
    key = dynamodb.key("CONFIGURATION", f"VERSION#{number:08d}")
    return key, client.get_item(TableName=table, Key=key)["Item"]


def test_versions_stay_for_good(client: DynamoDBClient, table: str, clock: Clock) -> None:
    apply(table_of(client, table, clock), a_version(1))
    assert dynamodb.TTL_ATTRIBUTE not in stored(client, table, 1)[1]


@pytest.mark.parametrize(
    "damage",
    [{"text": {"B": b"no zlib"}}, {"digest": {"S": "another"}}, {"doc": {"S": "{}"}}, {"doc": {"S": "{"}}],
    ids=["text", "digest", "what was said", "no JSON"],
)
def test_what_is_not_as_it_was_applied_is_told(
    client: DynamoDBClient, table: str, clock: Clock, damage: dynamodb.Item
) -> None:
    versions = table_of(client, table, clock)
    apply(versions, a_version(1))
    _, item = stored(client, table, 1)
    client.put_item(TableName=table, Item={**item, **damage})
    for read in (partial(versions.version, 1), partial(versions.history, 5)):
        with pytest.raises(VersionUnreadable, match="VERSION#00000001 cannot be read"):
            read()
