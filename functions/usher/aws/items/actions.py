"""The actions: their states, the claims of their tokens, their lines and notifications."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from usher.aws import record_format, table
from usher.aws.items import state
from usher.aws.items.base import TableItems
from usher.aws.record_format import UNREADABLE
from usher.core import iso_time
from usher.core.lines import fewer
from usher.ports.errors import Moved, Unavailable
from usher.ports.records import MOST_OF_INSTANCE, Raw

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from usher.aws.table import Item
    from usher.core.action import Action

MOST_BODY_BYTES: Final = 300_000  # an item holds 400 KB, and no lifecycle message comes near
_STATE: Final = 0  # its position in a transaction
_LINES_OF_AN_ITEM: Final = 20  # of at most 1,000 characters each, which JSON may spell in 12 bytes


class ActionItems(TableItems):
    """Implements usher.ports.records.Records, and the ways to an action but the index."""

    def open(self, action: Action, raw: Raw | None) -> Action:
        """See usher.ports.records.Records."""
        pointer = table.key(
            f"INSTANCE#{action.instance_id}", f"ACTION#{iso_time.stored(action.started_at)}#{action.id}"
        )
        refusals = self._table.transact(
            [
                self._state(action, "attribute_not_exists(pk)"),
                *self._claim(action),
                self._table.put(pointer, {"action_id": table.text(action.id)}, self._expiry(action)),
                *self._lines(action),
                *([self._raw(action, raw)] if raw else []),
            ]
        )
        if not refusals:
            return action.as_stored
        stored = self.load(action.id) if action.token is None else self.of_token(action.token)
        if stored is None:
            raise Unavailable(f"token {action.token} is claimed by an action that has no record any more")
        return stored

    def load(self, action_id: str) -> Action | None:
        """See usher.ports.records.Records."""
        item = self._table.get(state.key(action_id))
        return state.from_item(item) if item else None

    def save(self, action: Action, *, raw: Raw | None = None) -> None:
        """See usher.ports.records.Records."""
        self._save_state(action, [*self._lines(action), *([self._raw(action, raw)] if raw else [])])

    def join(self, action: Action, raw: Raw) -> None:
        """See usher.ports.records.Records."""
        self._save_state(action, [*self._claim(action), *self._lines(action), self._raw(action, raw)])

    def _save_state(self, action: Action, writes: Sequence[TransactWriteItemTypeDef]) -> None:
        """Store the state with `writes`, all or nothing: alone, as mostly, for half the price."""
        put = self._state(action, "version = :was", {":was": table.number(action.version - 1)})
        refusals = self._table.transact([put, *writes]) if writes else self._table.put_alone(put)
        if not refusals:
            return
        stored = refusals.get(_STATE, {}).get("Item")
        if not stored:  # it is a claim that was refused, or the record is not kept any more
            raise Moved
        if (int(stored["version"]["N"]), stored["look_id"]["S"]) != (action.version, action.evaluation_id):
            raise Moved  # else by this very store, whose answer was lost

    def of_token(self, token: str) -> Action | None:
        """See usher.ports.records.ActionLookup."""
        action_id = self._claimant(token)
        return self.load(action_id) if action_id else None

    def of_instance(self, instance_id: str) -> Iterable[Action]:
        """See usher.ports.records.ActionLookup."""
        found = readable(self._states_of(instance_id))
        return sorted(found, key=lambda action: (action.started_at, action.id))

    def is_readable(self, instance_id: str) -> bool:
        """See usher.ports.records.ReconcileStore."""
        states = self._states_of(instance_id)
        return len(readable(states)) == len(states)

    def _states_of(self, instance_id: str) -> list[Item]:
        pointers = self._table.last(f"INSTANCE#{instance_id}", "ACTION#", MOST_OF_INSTANCE)
        return self._table.get_all([state.key(pointer["action_id"]["S"]) for pointer in pointers])

    def raws(self, action_id: str) -> Sequence[Raw]:
        """See usher.ports.records.Store."""
        items = self._table.items(f"ACTION#{action_id}", "RAW#")
        raws = [
            Raw(received_at=iso_time.parse(item["received_at"]["S"]), body=item["body"]["S"])
            for item in items
        ]
        return sorted(raws, key=lambda raw: raw.received_at)

    def _state(self, action: Action, condition: str, values: Item | None = None) -> TransactWriteItemTypeDef:
        item = state.to_item(action)
        return self._table.put(state.key(action.id), item, self._expiry(action), condition, values)

    def _claim(self, action: Action) -> Iterator[TransactWriteItemTypeDef]:
        if action.token is not None:
            key = table.key(f"TOKEN#{action.token}", "ACTION")
            item: Item = {"action_id": table.text(action.id)}
            yield self._table.put(key, item, self._expiry(action), "attribute_not_exists(pk)")

    def _lines(self, action: Action) -> Iterator[TransactWriteItemTypeDef]:
        """The lines that the record does not hold itself, in as few items as hold them."""
        lines = fewer(action.recent) if action.has_full_lines else ()
        for part in table.in_parts(lines, _LINES_OF_AN_ITEM):
            key = table.key(f"ACTION#{action.id}", f"LINE#{part[0].number:010}")
            entries = [record_format.entry_to_data(entry) for entry in part]
            yield self._table.put(key, {"doc": table.as_json(entries)}, self._expiry(action))

    def _raw(self, action: Action, raw: Raw) -> TransactWriteItemTypeDef:
        """The notification, unless it is kept already: then the first one stays."""
        body = raw.body.encode(errors="backslashreplace")
        return self._table.update(
            table.key(f"ACTION#{action.id}", f"RAW#{hashlib.sha256(body).hexdigest()}"),
            "body = if_not_exists(body, :body), received_at = if_not_exists(received_at, :at)",
            {":body": table.text(_cut(body)), ":at": table.text(iso_time.stored(raw.received_at))},
            self._expiry(action),
        )


def readable(items: Iterable[Item]) -> list[Action]:
    """The actions that can be read: one of a newer release, before a rollback, spoils no other."""
    found: list[Action] = []
    for item in items:
        with suppress(*UNREADABLE):
            found.append(state.from_item(item))
    return found


def _cut(body: bytes) -> str:
    """The body as text, cut where an item could not hold it, and saying so."""
    kept = body[:MOST_BODY_BYTES].decode(errors="ignore")
    return kept if len(body) <= MOST_BODY_BYTES else f"{kept} [cut from {len(body)} bytes]"
