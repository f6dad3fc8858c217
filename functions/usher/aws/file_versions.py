"""The versions of the hooks file in DynamoDB, in the table of the actions.

pk             sk                 attributes
CONFIGURATION  SCHEDULE           newest, doc: which version is in effect when
CONFIGURATION  VERSION#00000007   doc: by whom, when, why; digest; text: the compiled file, compressed;
                                  written: the file as people wrote it, compressed; of older releases none

The partition stands by itself: no function may write it, nor who may only hold, extend and pause
(the condition dynamodb:LeadingKeys). Nothing in it is deleted, and no version is ever changed.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

from usher.aws import table
from usher.aws.enrolled import FROM_TABLE
from usher.core import compiled, iso_time
from usher.core.file_versions import NONE_YET, FileVersion, Schedule, Start
from usher.ports.errors import Moved, NotInForce
from usher.ports.file_versions import VersionUnreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.aws.table import Item

PARTITION: Final = "CONFIGURATION"
MOST_BYTES: Final = (
    350_000  # of what `compressed` gives for a file: an item has at most 409,600 (aws-facts 5)
)
_SCHEDULE: Final = table.key(PARTITION, "SCHEDULE")
_UNREADABLE: Final = (KeyError, TypeError, ValueError, RecursionError, zlib.error)


class FileVersionsTable:
    """Implements usher.ports.file_versions.VersionHistory."""

    def __init__(self, client: DynamoDBClient, table_name: str) -> None:
        self._table = table.Table(client, table_name)

    def schedule(self) -> Schedule:
        """See usher.ports.file_versions.FileVersions."""
        item = self._table.get(_SCHEDULE)
        return Schedule() if item is None else _schedule_from(item)

    def version(self, number: int) -> FileVersion:
        """See usher.ports.file_versions.FileVersions."""
        item = self._table.get(_key(number))
        if item is None:
            raise VersionUnreadable(f"there is no version {number}")
        return _from_item(item)

    def history(self, most: int) -> Sequence[FileVersion]:
        """See usher.ports.file_versions.VersionHistory."""
        return [_from_item(item) for item in self._table.last(PARTITION, "VERSION#", most)]

    def apply(self, version: FileVersion, schedule: Schedule, over: Schedule, *, ahead: bool = False) -> None:
        """See usher.ports.file_versions.VersionHistory."""
        stands, values = "attribute_not_exists(newest)", None
        if over.newest != NONE_YET:
            stands, values = "newest = :was", {":was": table.number(over.newest)}
        refusals = self._table.transact(
            [
                self._table.put(_key(version.number), _to_item(version), None, "attribute_not_exists(pk)"),
                self._table.put(_SCHEDULE, _schedule_item(schedule), None, stands, values),
                *([] if ahead else [self._table.check(*FROM_TABLE)]),
            ]
        )
        if not refusals or self._is_stored(version):
            return
        raise NotInForce if 2 in refusals else Moved  # noqa: PLR2004 - the third of them

    def _is_stored(self, version: FileVersion) -> bool:
        """Whether the very version is there: of a write whose answer was lost the repetition is refused."""
        try:
            return self.version(version.number) == version
        except VersionUnreadable:
            return False


def _key(number: int) -> Item:
    return table.key(PARTITION, f"VERSION#{number:08d}")


def _schedule_item(schedule: Schedule) -> Item:
    starts = [{"number": start.number, "at": iso_time.stored(start.at)} for start in schedule.starts]
    return {"newest": table.number(schedule.newest), "doc": table.as_json({"starts": starts})}


def _schedule_from(item: Item) -> Schedule:
    try:
        starts = table.from_json(item)["starts"]
        return Schedule(
            starts=tuple(Start(number=each["number"], at=iso_time.parse(each["at"])) for each in starts)
        )
    except _UNREADABLE as error:
        raise VersionUnreadable(f"the schedule of versions cannot be read: {error}") from error


def compressed(text: str) -> bytes:
    """A text as it is stored; the same text gives the same bytes."""
    return zlib.compress(text.encode(), 9)


def _text(stored: bytes) -> str:
    return zlib.decompress(stored).decode()


def _to_item(version: FileVersion) -> Item:
    said = {
        "number": version.number,
        "applied_at": iso_time.stored(version.applied_at),
        "effective_at": iso_time.stored(version.effective_at),
        "by": version.by,
        "reason": version.reason,
        "previous": version.previous,
    }
    item: Item = {
        "doc": table.as_json(said),
        "digest": table.text(version.file.digest),
        "text": {"B": compressed(version.file.text)},
    }
    return item if version.written is None else item | {"written": {"B": compressed(version.written)}}


def _from_item(item: Item) -> FileVersion:
    """What `_to_item` wrote, here or in another release. Raises VersionUnreadable."""
    name = item["sk"]["S"]
    try:
        said: dict[str, Any] = table.from_json(item)
        file = compiled.read(_text(item["text"]["B"]))
        if file.digest != item["digest"]["S"]:
            raise ValueError("its text is not the one that was applied")
        return FileVersion(
            number=said["number"],
            file=file,
            applied_at=iso_time.parse(said["applied_at"]),
            effective_at=iso_time.parse(said["effective_at"]),
            by=said["by"],
            reason=said["reason"],
            previous=said["previous"],
            written=_text(item["written"]["B"]) if "written" in item else None,
        )
    except _UNREADABLE as error:
        raise VersionUnreadable(f"{name} cannot be read: {error}") from error
