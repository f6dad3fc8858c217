"""The records of the enrolled hooks in DynamoDB, in the table of the actions.

pk                 sk
ENROLLED           HOOK#hook#GROUP#group     a hook that Usher put
COUNT#ENROLMENTS   HOUR#2026-03-01T12        how many hooks were put and removed in that hour (UTC)

All records lie in one partition: a pass reads them all, also those of groups that are gone.
Nothing is deleted: a record that is forgotten loses its contents, and TTL takes the rest.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.aws import table
from usher.aws.record_format import text_time, time_text
from usher.core.enrolment import Enrolled, HookSettings
from usher.core.model import Result, Transition
from usher.ports import Moved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.aws.table import Item

KEPT: Final = timedelta(days=400)
_TRACE_KEPT: Final = timedelta(days=2)
_CLOSED: Final = 10**9  # as many as no limit allows
_PARTITION: Final = "ENROLLED"


class EnrolledHooks:
    """Implements usher.ports.EnrolmentRecords."""

    def __init__(
        self, client: DynamoDBClient, table_name: str, clock: Callable[[], datetime], most_per_hour: int
    ) -> None:
        self._table = table.Table(client, table_name)
        self._clock = clock
        self._most_per_hour = most_per_hour

    def enrolled(self) -> Sequence[Enrolled]:
        """See usher.ports.Enrolments."""
        items = self._table.items(_PARTITION, "HOOK#")
        return [_from_data(table.from_json(item)) for item in items if "doc" in item]

    def keep(self, record: Enrolled) -> Enrolled:
        """See usher.ports.Enrolments."""
        kept = replace(record, kept_at=self._clock(), version=record.version + 1)
        contents: Item = {"version": table.number(kept.version), "doc": table.as_json(_to_data(kept))}
        self._store(record, contents, KEPT)
        return kept

    def forget(self, record: Enrolled) -> None:
        """See usher.ports.Enrolments."""
        self._store(record, {"forgotten_at": table.text(time_text(self._clock()))}, _TRACE_KEPT)

    def _store(self, known: Enrolled, contents: Item, kept: timedelta) -> None:
        key = table.key(_PARTITION, f"HOOK#{known.hook}#GROUP#{known.group}")
        condition, values = "version = :was", {":was": table.number(known.version)}
        if not known.version:
            condition, values = "attribute_not_exists(version)", {}
        if self._table.transact([self._table.put(key, contents, self._clock() + kept, condition, values)]):
            raise Moved

    def left(self, moment: datetime) -> int:
        """See usher.ports.Allowance."""
        item = self._table.get(_hour_key(moment))
        return self._most_per_hour - (int(item["taken"]["N"]) if item else 0)

    def take(self, moment: datetime) -> bool:
        """See usher.ports.Allowance."""
        return self._count(moment, 1, "attribute_not_exists(taken) OR taken < :bound", self._most_per_hour)

    def give_back(self, moment: datetime) -> None:
        """See usher.ports.Allowance."""
        self._count(moment, -1, "taken > :bound", 0)

    def close(self, moment: datetime) -> None:
        """See usher.ports.Allowance."""
        for hours in (-1, 0, 1):
            hour = moment + timedelta(hours=hours)
            everything = {"taken": table.number(_CLOSED)}
            self._table.store(_hour_key(hour), everything, self._clock() + _TRACE_KEPT)

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


def _hour_key(moment: datetime) -> Item:
    return table.key("COUNT#ENROLMENTS", f"HOUR#{moment.astimezone(UTC):%Y-%m-%dT%H}")


def _to_data(record: Enrolled) -> dict[str, Any]:
    return {
        "group": record.group,
        "group_arn": record.group_arn,
        "hook": record.hook,
        "settings": _settings_to_data(record.settings),
        "before": record.before and _settings_to_data(record.before),
        "put_at": record.put_at and time_text(record.put_at),
        "kept_at": record.kept_at and time_text(record.kept_at),
        "version": record.version,
    }


def _from_data(data: dict[str, Any]) -> Enrolled:
    return Enrolled(
        group=data["group"],
        group_arn=data["group_arn"],
        hook=data["hook"],
        settings=_settings_from_data(data["settings"]),
        before=_settings_from_data(data["before"]) if data.get("before") else None,
        put_at=text_time(data["put_at"]) if data.get("put_at") else None,
        kept_at=text_time(data["kept_at"]) if data.get("kept_at") else None,
        version=data["version"],
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
