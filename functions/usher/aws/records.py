"""The Store in DynamoDB: one table, conditional writes, and a sparse index for the sweep.

pk              sk
ACTION#id       STATE                         the action; in the index `due` while it is open
                LINE#number                   timeline lines that one save stored, by their first
                RAW#sha256 of the body        a notification as it came
TOKEN#token     ACTION                        claims the token for an action
                HEARD#time#SIGNAL#event id    a signal that names no instance
INSTANCE#id     ACTION#start#action id        points to an action
                HEARD#time#SIGNAL#event id    a signal
                HEARD#time#END#activity id    an outcome event
GROUP#name      TEST#request id               a test message
COUNT#shard     OPEN                          how many actions of the shard are open
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.aws import record_format, table
from usher.aws.record_format import text_time, time_text
from usher.core import hearing
from usher.ports import Due, Evidence, Moved, Raw, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from usher.aws.table import Item
    from usher.core.model import Action, Entry, MoveEnd, Signal
    from usher.core.notices import TestNotice

SCHEMA: Final = 1
SHARDS: Final = 16
RETENTION: Final = timedelta(days=30)
MOST_BODY_BYTES: Final = 300_000  # an item holds 400 KB, and no lifecycle message comes near

_MOST_BESIDE_STATE: Final = table.MOST_WRITES - 2  # the state itself, and the count
_STATE: Final = 0  # its position in a transaction
_LINES_OF_AN_ITEM: Final = 40  # of some 1,000 characters each, which JSON may spell in 6 bytes
_HEARD_KEPT: Final = hearing.SIGNAL_KEPT + timedelta(days=1)
_LONG_KEPT: Final = timedelta(days=400)
_LAST: Final = "\uffff"  # sorts after all that follows a prefix


class Records:
    """Implements usher.ports.Store."""

    def __init__(
        self,
        client: DynamoDBClient,
        table_name: str,
        clock: Callable[[], datetime],
        retention: timedelta = RETENTION,
    ) -> None:
        self._table = table.Table(client, table_name)
        self._clock = clock
        self._retention = retention

    def open(self, action: Action, raw: Raw) -> Action:
        """See usher.ports.Records."""
        pointer = table.key(
            f"INSTANCE#{action.instance_id}", f"ACTION#{time_text(action.started_at)}#{action.id}"
        )
        refusals = self._table.transact(
            [
                self._state(action, "attribute_not_exists(pk)"),
                *self._claim(action),
                self._table.put(pointer, {"action_id": table.text(action.id)}, self._expiry(action)),
                *self._lines(action),
                self._raw(action, raw),
                *self._count(action, int(action.is_open)),
            ]
        )
        if not refusals:
            return replace(action, unsaved=())
        stored = self.load(action.id) if action.token is None else self.of_token(action.token)
        if stored is None:
            raise Unavailable(f"token {action.token} is claimed by an action that is not kept any more")
        return stored

    def load(self, action_id: str) -> Action | None:
        """See usher.ports.Records."""
        item = self._table.get(_state_key(action_id))
        return _action(item) if item else None

    def save(self, action: Action, *, spent: Sequence[Signal] = (), raw: Raw | None = None) -> None:
        """See usher.ports.Records.

        Signals that find no room in the transaction of the state are spent in some of their own.
        Until the state is stored their spending is pending: in force for other actions, void for
        this one, so that a crash in between loses no signal.
        """
        spent = tuple(dict.fromkeys(spent))
        writes = [*self._lines(action), *([self._raw(action, raw)] if raw else [])]
        if len(writes) + len(spent) <= _MOST_BESIDE_STATE:
            self._save_state(action, [*writes, *self._spend(action, spent, pending=False)])
            return
        self._spend_apart(action, spent, pending=True)
        self._save_state(action, writes)
        self._spend_apart(action, spent, pending=False)

    def _save_state(self, action: Action, writes: Sequence[TransactWriteItemTypeDef]) -> None:
        """Store the state with `writes`, and count it where it closes.

        Whether it closes depends on what was stored before, so the condition must say that: open,
        nearly always, or else closed already, and stored again to note something.
        """
        for was_open, index in ((True, "attribute_exists"), (False, "attribute_not_exists")):
            condition = f"version = :was AND {index}(look_at)"
            state = self._state(action, condition, {":was": table.number(action.version - 1)})
            count = self._count(action, int(action.is_open) - int(was_open))
            refusals = self._table.transact([state, *writes, *count])
            if not refusals:
                return
            stored = refusals.get(_STATE, {}).get("Item")
            if not stored:  # it is a signal that was refused, or the record is not kept any more
                raise Moved
            version = int(stored["version"]["N"])
            if (version, stored["look_id"]["S"]) == (action.version, action.look_id):
                return  # by this very store, whose answer was lost
            if version != action.version - 1:
                raise Moved
        raise Moved

    def _spend_apart(self, action: Action, spent: Sequence[Signal], *, pending: bool) -> None:
        for part in table.in_parts(self._spend(action, spent, pending=pending), table.MOST_WRITES):
            if self._table.transact(part):
                raise Moved

    def of_token(self, token: str) -> Action | None:
        """See usher.ports.Finding."""
        claim = self._table.get(table.key(f"TOKEN#{token}", "ACTION"))
        return self.load(claim["action_id"]["S"]) if claim else None

    def of_instance(self, instance_id: str) -> Iterable[Action]:
        """See usher.ports.Finding."""
        pointers = self._table.items(f"INSTANCE#{instance_id}", "ACTION#")
        states = self._table.get_all([_state_key(pointer["action_id"]["S"]) for pointer in pointers])
        return sorted(map(_action, states), key=lambda action: (action.started_at, action.id))

    def due(self, until: datetime) -> Iterable[Due]:
        """See usher.ports.Finding."""
        return [
            _due(item)
            for shard in range(SHARDS)
            for item in self._table.due(_shard_name(shard), time_text(until))
        ]

    def open_actions(self) -> int:
        """See usher.ports.Finding."""
        counts = self._table.get_all([_count_key(shard) for shard in range(SHARDS)])
        return sum(int(count["open_actions"]["N"]) for count in counts)

    def keep_signal(self, signal: Signal) -> None:
        """See usher.ports.Hearsay."""
        doc = table.as_json(record_format.signal_to_data(signal))
        self._table.keep(_signal_key(signal), {"signal": doc}, self._clock() + _HEARD_KEPT)

    def keep_move_end(self, move_end: MoveEnd) -> None:
        """See usher.ports.Hearsay."""
        heard = f"HEARD#{time_text(move_end.ended_at)}#END#{move_end.activity_id}"
        key = table.key(f"INSTANCE#{move_end.instance_id}", heard)
        doc = table.as_json(record_format.move_end_to_data(move_end))
        self._table.keep(key, {"move_end": doc}, self._clock() + _HEARD_KEPT)

    def keep_test(self, test: TestNotice) -> None:
        """See usher.ports.Hearsay."""
        key = table.key(f"GROUP#{test.group}", f"TEST#{test.request_id}")
        doc = table.as_json(record_format.test_to_data(test))
        self._table.keep(key, {"doc": doc}, self._clock() + _LONG_KEPT)

    def evidence(self, action: Action) -> Evidence:
        """See usher.ports.Hearsay."""
        oldest = time_text(self._clock() - hearing.SIGNAL_KEPT)
        heard = self._heard(f"INSTANCE#{action.instance_id}", oldest, action.id)
        if action.token is not None:
            heard += self._heard(f"TOKEN#{action.token}", oldest, action.id)
        signals = [table.from_json(item, "signal") for item in heard if "signal" in item]
        move_ends = [table.from_json(item, "move_end") for item in heard if "move_end" in item]
        return Evidence(
            signals=tuple(map(record_format.signal_from_data, signals)),
            move_ends=tuple(map(record_format.move_end_from_data, move_ends)),
        )

    def _heard(self, pk: str, oldest: str, action_id: str) -> list[Item]:
        """What was heard since `oldest`, without the signals that are spent."""
        return self._table.between(
            pk,
            f"HEARD#{oldest}",
            f"HEARD#{_LAST}",
            "attribute_not_exists(spent_by) OR (spent_by = :me AND pending = :true)",
            {":me": table.text(action_id), ":true": {"BOOL": True}},
        )

    def timeline(self, action_id: str) -> Sequence[Entry]:
        """See usher.ports.Store. A line that was counted on stands in a later item too, which wins."""
        items = self._table.items(f"ACTION#{action_id}", "LINE#")
        entries = [record_format.entry_from_data(line) for item in items for line in table.from_json(item)]
        lines = {entry.number: entry for entry in entries}
        return [lines[number] for number in sorted(lines)]

    def tests(self, group: str) -> Sequence[TestNotice]:
        """See usher.ports.Store."""
        items = self._table.items(f"GROUP#{group}", "TEST#")
        tests = [record_format.test_from_data(table.from_json(item)) for item in items]
        return sorted(tests, key=lambda test: (test.at, test.request_id))

    def raws(self, action_id: str) -> Sequence[Raw]:
        """See usher.ports.Store."""
        items = self._table.items(f"ACTION#{action_id}", "RAW#")
        raws = [
            Raw(received_at=text_time(item["received_at"]["S"]), body=item["body"]["S"]) for item in items
        ]
        return sorted(raws, key=lambda raw: raw.received_at)

    def _state(self, action: Action, condition: str, values: Item | None = None) -> TransactWriteItemTypeDef:
        """The action itself. Only while it is open does it have the attributes of the index."""
        item: Item = {
            "action_id": table.text(action.id),
            "version": table.number(action.version),
            "look_id": table.text(action.look_id),
            "schema": table.number(SCHEMA),
            "doc": table.as_json(record_format.action_to_data(action)),
        }
        if action.look_at is not None:
            item["due_shard"] = table.text(_shard_name(_shard(action)))
            item["look_at"] = table.text(time_text(action.look_at))
            item["expires_at"] = table.text(time_text(action.expires_at))
        return self._table.put(_state_key(action.id), item, self._expiry(action), condition, values)

    def _claim(self, action: Action) -> Iterator[TransactWriteItemTypeDef]:
        if action.token is not None:
            key = table.key(f"TOKEN#{action.token}", "ACTION")
            item: Item = {"action_id": table.text(action.id)}
            yield self._table.put(key, item, self._expiry(action), "attribute_not_exists(pk)")

    def _lines(self, action: Action) -> Iterator[TransactWriteItemTypeDef]:
        """The new lines, in as few items as hold them: many signals make many lines."""
        for part in table.in_parts(action.unsaved, _LINES_OF_AN_ITEM):
            key = table.key(f"ACTION#{action.id}", f"LINE#{part[0].number:010}")
            entries = [record_format.entry_to_data(entry) for entry in part]
            yield self._table.put(key, {"doc": table.as_json(entries)}, self._expiry(action))

    def _raw(self, action: Action, raw: Raw) -> TransactWriteItemTypeDef:
        """The notification, unless it is kept already: then the first one stays."""
        body = raw.body.encode(errors="backslashreplace")
        return self._table.update(
            table.key(f"ACTION#{action.id}", f"RAW#{hashlib.sha256(body).hexdigest()}"),
            "body = if_not_exists(body, :body), received_at = if_not_exists(received_at, :at)",
            {":body": table.text(_cut(body)), ":at": table.text(time_text(raw.received_at))},
            self._expiry(action),
        )

    def _count(self, action: Action, change: int) -> Iterator[TransactWriteItemTypeDef]:
        if change:
            yield self._table.update(
                _count_key(_shard(action)),
                "open_actions = if_not_exists(open_actions, :none) + :change",
                {":none": table.number(0), ":change": table.number(change)},
                self._clock() + _LONG_KEPT,
            )

    def _spend(
        self, action: Action, spent: Iterable[Signal], *, pending: bool
    ) -> list[TransactWriteItemTypeDef]:
        """Spend signals for the action. What is spent for good does not become pending again."""
        standing = "if_not_exists(pending, :pending)" if pending else ":pending"
        return [
            self._table.update(
                _signal_key(signal),
                f"spent_by = :me, pending = {standing}",
                {":me": table.text(action.id), ":pending": {"BOOL": pending}},
                self._expiry(action),
                "attribute_not_exists(spent_by) OR spent_by = :me",
            )
            for signal in spent
        ]

    def _expiry(self, action: Action) -> datetime:
        """Until when the items of an action are kept: at its start nobody knows when it closes."""
        return max(action.ends_at, action.first_seen_at) + self._retention


def _state_key(action_id: str) -> Item:
    return table.key(f"ACTION#{action_id}", "STATE")


def _signal_key(signal: Signal) -> Item:
    owner = f"TOKEN#{signal.token}" if signal.instance_id is None else f"INSTANCE#{signal.instance_id}"
    return table.key(owner, f"HEARD#{time_text(signal.at)}#SIGNAL#{signal.event_id}")


def _count_key(shard: int) -> Item:
    return table.key(f"COUNT#{_shard_name(shard)}", "OPEN")


def _shard(action: Action) -> int:
    return zlib.crc32(action.id.encode()) % SHARDS


def _shard_name(shard: int) -> str:
    return f"{shard:02}"


def _action(item: Item) -> Action:
    return record_format.action_from_data(table.from_json(item))


def _due(item: Item) -> Due:
    return Due(
        action_id=item["action_id"]["S"],
        version=int(item["version"]["N"]),
        look_at=text_time(item["look_at"]["S"]),
        expires_at=text_time(item["expires_at"]["S"]),
    )


def _cut(body: bytes) -> str:
    """The body as text, cut where an item could not hold it, and saying so."""
    kept = body[:MOST_BODY_BYTES].decode(errors="ignore")
    return kept if len(body) <= MOST_BODY_BYTES else f"{kept} [cut from {len(body)} bytes]"
