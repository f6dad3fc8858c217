"""The items of the enrolled hooks in DynamoDB, in the table of the actions.

pk                 sk
ENROLLED           HOOK#hook#GROUP#group:uuid   a hook that Usher put, on the group of that ARN
ENROLLED           FILE                         the hooks file that counts
COUNT#ENROLMENTS   HOUR#2026-03-01T12           how many hooks were put and removed in that hour (UTC)

All items lie in one partition: a pass reads them all, also those of groups that are gone.
Nothing is deleted: an item that is forgotten loses its contents, and TTL takes the rest.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from usher.aws import table
from usher.core import iso_time
from usher.core.action import Result, Transition
from usher.core.hook_items import Enrolled, FileInForce, Former, HookSettings, HookState
from usher.ports.errors import Moved, NotInForce

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.aws.table import Item

KEPT: Final = timedelta(days=400)
_TRACE_KEPT: Final = timedelta(days=2)
_FILE_KEPT: Final = timedelta(days=36_500)  # a deployment may go on for years without another one
_PARTITION: Final = "ENROLLED"
_FILE: Final = table.key(_PARTITION, "FILE")
# For a transaction: a version of the file may be applied, as the deployment has none compiled in.
FROM_TABLE: Final = (_FILE, "attribute_exists(file_version) AND closing = :no", {":no": table.number(0)})
_MOST_BYTES: Final = 512  # of a group's name: a key takes 1,024 (aws-facts 5)
_MOMENTS: Final = (
    "put_at",
    "kept_at",
    "retiring_since",
    "let_through_from",
    "seen_at",
    "quiet_at",
    "deleting_at",
)


class EnrolledHooks:
    """Implements usher.ports.hooks.EnrolmentRecords.

    With `digest`, items are stored only while the hooks file of that digest counts.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        table_name: str,
        clock: Callable[[], datetime],
        most_per_hour: int = 0,
        digest: str | None = None,
    ) -> None:
        self._table = table.Table(client, table_name)
        self._clock = clock
        self._most_per_hour = most_per_hour
        self._digest = digest

    def enrolled(self) -> Sequence[Enrolled]:
        """See usher.ports.hooks.Enrolments."""
        return self._read("HOOK#")

    def of(self, group: str, hook: str) -> Sequence[Enrolled]:
        """See usher.ports.hooks.HookItems."""
        return self._read(f"{_of_hook(group, hook)}:")

    def _read(self, prefix: str) -> Sequence[Enrolled]:
        items = self._table.items(_PARTITION, prefix)
        return [from_data(table.from_json(item)) for item in items if "doc" in item]

    def keep(self, record: Enrolled) -> Enrolled:
        """See usher.ports.hooks.Enrolments."""
        kept = replace(record, kept_at=self._clock(), version=record.version + 1)
        contents: Item = {"version": table.number(kept.version), "doc": table.as_json(to_data(kept))}
        self._store(record, contents, KEPT)
        return kept

    def forget(self, record: Enrolled) -> None:
        """See usher.ports.hooks.Enrolments."""
        self._store(record, {"forgotten_at": table.text(iso_time.stored(self._clock()))}, _TRACE_KEPT)

    def _store(self, known: Enrolled, contents: Item, kept: timedelta) -> None:
        key = table.key(_PARTITION, f"{_of_hook(known.group, known.hook)}:{_uuid(known.group_arn)}")
        condition, values = "version = :was", {":was": table.number(known.version)}
        if not known.version:
            condition, values = "attribute_not_exists(version)", {}
        writes = [self._table.put(key, contents, self._clock() + kept, condition, values)]
        if self._digest is not None:
            mine = {":digest": table.text(self._digest), ":no": table.number(0)}
            writes.append(self._table.check(_FILE, "digest = :digest AND closing = :no", mine))
        refusals = self._table.transact(writes)
        if 1 in refusals:
            raise NotInForce
        if refusals:
            raise Moved

    def in_force(self) -> FileInForce | None:
        """See usher.ports.hooks.HooksFile."""
        item = self._table.get(_FILE)
        if item is None:
            return None
        data = table.from_json(item)
        return FileInForce(
            digest=item["digest"]["S"],
            own_groups=tuple(data["own_groups"]),
            is_closing=item["closing"]["N"] == "1",
            version=int(item["file_version"]["N"]) if "file_version" in item else None,
        )

    def put_in_force(self, file: FileInForce) -> None:
        """See usher.ports.hooks.HooksFile."""
        self._table.store(_FILE, _file_item(file), self._clock() + _FILE_KEPT)

    def switch(self, file: FileInForce) -> bool:
        """See usher.ports.hooks.HooksFile."""
        if file.version is None:
            return False
        values = {":later": table.number(file.version), ":no": table.number(0)}
        before = "file_version < :later AND closing = :no"
        return self._table.store(_FILE, _file_item(file), self._clock() + _FILE_KEPT, before, values)

    def left(self, moment: datetime) -> int:
        """See usher.ports.hooks.Allowance."""
        item = self._table.get(_hour_key(moment))
        return self._most_per_hour - (int(item["taken"]["N"]) if item else 0)

    def take(self, moment: datetime) -> bool:
        """See usher.ports.hooks.Allowance."""
        return self._count(moment, 1, "attribute_not_exists(taken) OR taken < :bound", self._most_per_hour)

    def give_back(self, moment: datetime) -> None:
        """See usher.ports.hooks.Allowance."""
        self._count(moment, -1, "taken > :bound", 0)

    def _count(self, moment: datetime, change: int, condition: str, bound: int) -> bool:
        values = {":none": 0, ":change": change, ":bound": bound}
        refusals = self._table.transact(
            [
                self._table.update(
                    _hour_key(moment),
                    "taken = if_not_exists(taken, :none) + :change",
                    {name: table.number(value) for name, value in values.items()},
                    self._clock() + _TRACE_KEPT,
                    condition,
                )
            ]
        )
        return not refusals


def _file_item(file: FileInForce) -> Item:
    version: Item = {} if file.version is None else {"file_version": table.number(file.version)}
    return {
        "digest": table.text(file.digest),
        "closing": table.number(int(file.is_closing)),
        "doc": table.as_json({"own_groups": file.own_groups}),
        **version,
    }


def _of_hook(group: str, hook: str) -> str:
    """The beginning of the keys of a hook's items. No name of a group has a colon."""
    name = group.encode()
    group_key = group if len(name) <= _MOST_BYTES else sha256(name).hexdigest()
    return f"HOOK#{hook}#GROUP#{group_key}"


def _uuid(arn: str) -> str:
    """What tells a group from the others of its name."""
    return arn.partition(":autoScalingGroup:")[2].partition(":")[0] or sha256(arn.encode()).hexdigest()


def _hour_key(moment: datetime) -> Item:
    return table.key("COUNT#ENROLMENTS", f"HOUR#{moment.astimezone(UTC):%Y-%m-%dT%H}")


def to_data(record: Enrolled) -> dict[str, Any]:
    """The item of a hook as JSON data."""
    return {
        "group": record.group,
        "group_arn": record.group_arn,
        "hook": record.hook,
        "settings": _settings_to_data(record.settings),
        "source": record.source,
        "before": record.before and _settings_to_data(record.before),
        "version": record.version,
        "former": [
            {
                "heartbeat_timeout_s": each.heartbeat_timeout.total_seconds(),
                "until": iso_time.stored(each.until),
            }
            for each in record.former
        ],
        "state": str(record.state),
        "missed": record.missed,
        **({"is_out_of_file": True} if record.is_out_of_file else {}),
        **{
            name: iso_time.stored(moment)
            for name in _MOMENTS
            if (moment := getattr(record, name)) is not None
        },
    }


def from_data(data: dict[str, Any]) -> Enrolled:
    """What `to_data` wrote, here or in another release."""
    moments = {name: iso_time.parse(data[name]) for name in _MOMENTS if data.get(name)}
    return Enrolled(
        group=data["group"],
        group_arn=data["group_arn"],
        hook=data["hook"],
        settings=_settings_from_data(data["settings"]),
        source=data["source"],
        before=_settings_from_data(data["before"]) if data.get("before") else None,
        version=data["version"],
        former=tuple(
            Former(
                heartbeat_timeout=timedelta(seconds=each["heartbeat_timeout_s"]),
                until=iso_time.parse(each["until"]),
            )
            for each in data.get("former", ())
        ),
        state=HookState(data.get("state", HookState.WANTED)),
        missed=data.get("missed", 0),
        is_out_of_file=data.get("is_out_of_file", False),
        **moments,
    )


def _settings_to_data(settings: HookSettings) -> dict[str, Any]:
    return {
        "transition": settings.transition and str(settings.transition),
        "heartbeat_timeout_s": settings.heartbeat_timeout.total_seconds(),
        "default_result": str(settings.default_result),
        "target_arn": settings.target_arn,
        "role_arn": settings.role_arn,
        "metadata": settings.metadata,
    }


def _settings_from_data(data: dict[str, Any]) -> HookSettings:
    return HookSettings(
        transition=Transition(data["transition"]) if data.get("transition") else None,
        heartbeat_timeout=timedelta(seconds=data["heartbeat_timeout_s"]),
        default_result=Result(data["default_result"]),
        target_arn=data.get("target_arn"),
        role_arn=data.get("role_arn"),
        metadata=data.get("metadata"),
    )
