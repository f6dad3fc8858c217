"""What was found of the conditions of an action, beside its record."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from usher.aws import record_format, table
from usher.aws.items import actions_index, rows, state
from usher.aws.items.base import TableItems
from usher.aws.json_data import optional_text, optional_time, present
from usher.aws.record_format import UNREADABLE
from usher.core import iso_time, questions
from usher.core.finding import ConditionStatus, Finding, Findings, merged
from usher.ports.errors import Moved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from usher.aws.json_data import Data
    from usher.aws.table import Item
    from usher.core.action import Action, Entry
    from usher.ports.records import Unasked

MOST_FOUND_BYTES: Final = 300_000  # compressed


class FindingItems(TableItems):
    """Implements usher.ports.records.FindingsKept."""

    def findings(self, action_id: str) -> Findings | None:
        """See usher.ports.records.FindingsKept."""
        item = self._table.get(key(action_id))
        return from_item(item) if item else None

    def with_findings(self, actions: Sequence[Action]) -> list[Action]:
        """The actions with what was found of their conditions, for people to read."""
        asked = [key(action.id) for action in actions if questions.are_in(action.policy)]
        kept = {item["action_id"]["S"]: from_item(item).found for item in self._table.get_all(asked)}
        return [replace(action, findings=kept.get(action.id, ())) for action in actions]

    def keep_findings(self, action: Action, findings: Findings) -> None:
        """See usher.ports.records.FindingsKept."""
        item: Item = {
            "action_id": table.text(action.id),
            "version": table.number(findings.turn),
            "packed": {"B": _packed(findings)},
        }
        if findings.ask_at is not None:
            item["ask_at"] = table.text(iso_time.stored(findings.ask_at))
        if findings.sweep_at is not None:
            item |= actions_index.asks_since(action.id, findings.sweep_at)
            item["turn"] = item["version"]  # which the index does not show
        is_first = findings.turn == 1
        condition = "attribute_not_exists(pk)" if is_first else "version = :was"
        values = None if is_first else {":was": table.number(findings.turn - 1)}
        if not self._table.store(key(action.id), item, self._expiry(action), condition, values):
            raise Moved

    def unasked(self, until: datetime) -> Iterable[Unasked]:
        """See usher.ports.records.FindingsKept."""
        found = [
            rows.unasked(item)
            for read in (actions_index.rows_before, actions_index.rows)
            for item in read(self._table, actions_index.QUESTIONS, until)
        ]
        newest = {row.action_id: row for row in sorted(found, key=lambda row: row.turn)}
        return list(newest.values())

    def put_off(self, action_id: str, turn: int, until: datetime) -> bool:
        """See usher.ports.records.FindingsKept. What the item says besides counts on."""
        listed = actions_index.asks_since(action_id, until)
        values = {
            ":listed": listed["listed"],
            ":until": listed["listed_at"],
            ":turn": table.number(turn),
        }
        changes = "listed = :listed, listed_at = :until, turn = :turn REMOVE due_shard, look_at"
        return self._table.change(key(action_id), changes, values, None, "version = :turn")

    def timeline(self, action_id: str) -> Sequence[Entry]:
        """See usher.ports.records."""
        items = self._table.items(f"ACTION#{action_id}", "LINE#")
        record = self._table.get(state.key(action_id))
        recent = state.from_item(record).recent if record else ()
        return merged(lines(items, recent), self.findings(action_id))


def lines(items: Iterable[Item], recent: Sequence[Entry]) -> list[Entry]:
    """The lines of a record, from their items and those that it holds itself, in order.

    A line that was counted on stands in a later item too, which wins.
    """
    entries = [record_format.entry_from_data(line) for item in items for line in table.from_json(item)]
    by_number = {entry.number: entry for entry in (*entries, *recent)}
    return [by_number[number] for number in sorted(by_number)]


def key(action_id: str) -> Item:
    """Of the item of what was found of an action."""
    return table.key(f"ACTION#{action_id}", "FINDINGS")


def from_item(item: Item) -> Findings:
    """What the item says. Of one that a newer release wrote, the turn and its times at least."""
    turn, ask_at = int(item["version"]["N"]), _moment(item, "ask_at")
    sweep_at = _moment(item, "listed_at") or _moment(item, "look_at")  # as the release before had it
    try:
        data = json.loads(zlib.decompress(item["packed"]["B"]))
        found = tuple(map(finding_from_data, data["found"]))
        lines = tuple(map(record_format.entry_from_data, data["lines"]))
    except (*UNREADABLE, zlib.error):
        return Findings(turn=turn, ask_at=ask_at, sweep_at=sweep_at, is_readable=False)
    return Findings(turn=turn, found=found, lines=lines, ask_at=ask_at, sweep_at=sweep_at)


def _packed(findings: Findings) -> bytes:
    """What was found, compressed. Where that is too much for an item, the longest memory is left out.

    Its condition begins anew then; what started something remembers little.
    """
    found = list(findings.found)
    while True:
        data = {
            "found": [finding_to_data(finding) for finding in found],
            "lines": [record_format.entry_to_data(line) for line in findings.lines],
        }
        packed = zlib.compress(json.dumps(data).encode())
        longest = max(found, key=lambda each: len(json.dumps(dict(each.memory))), default=None)
        if len(packed) <= MOST_FOUND_BYTES or longest is None or not longest.memory:
            return packed
        found[found.index(longest)] = replace(longest, memory={})


def finding_to_data(finding: Finding) -> Data:
    """All of a finding."""
    return present(
        {
            "condition": finding.condition,
            "standing": str(finding.status),
            "detail": finding.detail,
            "asked_at": iso_time.stored(finding.asked_at),
            "ask_again_at": optional_text(finding.ask_again_at),
            "unknowns": finding.unknowns or None,
            "held_once": finding.confirmed_once or None,
            "denials": finding.denials or None,
            "memory": dict(finding.memory) or None,
        }
    )


def finding_from_data(data: Mapping[str, Any]) -> Finding:
    """The finding that `finding_to_data` wrote."""
    return Finding(
        condition=data["condition"],
        status=ConditionStatus(data["standing"]),
        detail=data["detail"],
        asked_at=iso_time.parse(data["asked_at"]),
        ask_again_at=optional_time(data, "ask_again_at"),
        unknowns=data.get("unknowns", 0),
        confirmed_once=data.get("held_once", False),
        denials=data.get("denials", 0),
        memory=data.get("memory", {}),
    )


def _moment(item: Item, attribute: str) -> datetime | None:
    return iso_time.parse(item[attribute]["S"]) if attribute in item else None
