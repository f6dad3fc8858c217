"""The Store in DynamoDB: one table, conditional writes, and a sparse index for the sweep.

pk              sk
ACTION#id       STATE                         the action; in the index `due` while it is open
                FINDINGS                      what its conditions found; in `due` while it is to be asked
                LINE#number                   timeline lines that one save stored, by their first
                RAW#sha256 of the body        a notification as it came
TOKEN#token     ACTION                        claims the token for an action
                SIGNAL#name#kind              the last signal of that name: what was done, or progress
INSTANCE#id     ACTION#start#action id        points to an action
                HEARD#time#END#activity id    an outcome event
                HEARD#ENDED                   EC2 has ended it; sorts after all times, as does
                HEARD#STATE                   EC2's newest word on whether it is stopped
                SIGNAL#name#kind              as above; of a token that is not known a kind of its own
SAID#addressee  order of a signal             one that was replaced, for an export: one a minute
GROUP#name      TEST#request id               a test message
                HEARD                         a lifecycle message came, and when
                DESCRIBED                     the heartbeat timeouts that stood when it was last described
                DESCRIBING                    who is to describe it now
PAUSED          HOOK#name, or HOOK#*          an operator paused the hook, or all of them
TRIED           GROUP#name                    the waits of a group that hold no action of ours
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from usher.aws import record_format, table
from usher.aws.record_format import UNREADABLE
from usher.core import evidence, hook_timeouts, iso_time, questions
from usher.core.action import Phase, Status, fewer
from usher.core.evidence import Kept
from usher.core.finding import Findings, merged
from usher.ports.errors import Moved, Unavailable
from usher.ports.records import ALL_HOOKS, MOST_OF_INSTANCE, Due, Evidence, Raw, Unasked

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from usher.aws.table import Item
    from usher.core.action import Action, ActivityEnd, Entry, Signal
    from usher.core.hook_timeouts import Described
    from usher.core.live_waits import ForeignWait
    from usher.core.notifications import TestNotice

SCHEMA: Final = 1
SHARDS: Final = 16
RETENTION: Final = timedelta(days=30)
MOST_BODY_BYTES: Final = 300_000  # an item holds 400 KB, and no lifecycle message comes near

MOST_FOUND_BYTES: Final = 300_000  # compressed

_STATE: Final = 0  # its position in a transaction
_LINES_OF_AN_ITEM: Final = 20  # of at most 1,000 characters each, which JSON may spell in 12 bytes
_HEARD_KEPT: Final = timedelta(days=1)
_END_KEPT: Final = timedelta(days=4)  # twice the longest wait
_LONG_KEPT: Final = timedelta(days=400)
_A_DAY: Final = timedelta(days=1)
_HEARD_OF: Final = "HEARD"  # of a group; sorts before its test messages
_TRACE_KEPT: Final = timedelta(days=2)
_DESCRIBED_KEPT: Final = hook_timeouts.COUNTS_FOR + timedelta(days=2)
_DESCRIBING_FOR: Final = timedelta(seconds=15)  # until its second comes, and a call is answered
_TRIED_KEPT: Final = timedelta(days=3)  # no wait is longer than two
_MOST_TRIED: Final = 5000  # of a group; compressed, an item holds them
_ENDED: Final = "HEARD#ENDED"
_SIGNAL: Final = "SIGNAL#"
_STATE_OF_EC2: Final = "HEARD#STATE"
_TRIED: Final = "TRIED"
_EVER: Final = datetime.max.replace(tzinfo=UTC)
_PAUSED: Final = "PAUSED"
_LAST: Final = "\uffff"  # sorts after all that follows a prefix


class RecordTable:
    """Implements usher.ports.ReconcileStore."""

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

    def open(self, action: Action, raw: Raw | None) -> Action:
        """See usher.ports.Records."""
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
            return replace(action, unsaved=())
        stored = self.load(action.id) if action.token is None else self.of_token(action.token)
        if stored is None:
            raise Unavailable(f"token {action.token} is claimed by an action that is not kept any more")
        return stored

    def load(self, action_id: str) -> Action | None:
        """See usher.ports.Records."""
        item = self._table.get(_state_key(action_id))
        return _action(item) if item else None

    def save(self, action: Action, *, raw: Raw | None = None) -> None:
        """See usher.ports.Records."""
        self._save_state(action, [*self._lines(action), *([self._raw(action, raw)] if raw else [])])

    def join(self, action: Action, raw: Raw) -> None:
        """See usher.ports.Records."""
        self._save_state(action, [*self._claim(action), *self._lines(action), self._raw(action, raw)])

    def _save_state(self, action: Action, writes: Sequence[TransactWriteItemTypeDef]) -> None:
        """Store the state with `writes`, all or nothing."""
        state = self._state(action, "version = :was", {":was": table.number(action.version - 1)})
        refusals = self._table.transact([state, *writes])
        if not refusals:
            return
        stored = refusals.get(_STATE, {}).get("Item")
        if not stored:  # it is a claim that was refused, or the record is not kept any more
            raise Moved
        if (int(stored["version"]["N"]), stored["look_id"]["S"]) != (action.version, action.look_id):
            raise Moved  # else by this very store, whose answer was lost

    def of_token(self, token: str) -> Action | None:
        """See usher.ports.Finding."""
        claim = self._table.get(table.key(f"TOKEN#{token}", "ACTION"))
        return self.load(claim["action_id"]["S"]) if claim else None

    def of_instance(self, instance_id: str) -> Iterable[Action]:
        """See usher.ports.Finding."""
        found = _readable(self._states_of(instance_id))
        return sorted(found, key=lambda action: (action.started_at, action.id))

    def is_readable(self, instance_id: str) -> bool:
        """See usher.ports.ReconcileStore."""
        states = self._states_of(instance_id)
        return len(_readable(states)) == len(states)

    def _states_of(self, instance_id: str) -> list[Item]:
        pointers = self._table.last(f"INSTANCE#{instance_id}", "ACTION#", MOST_OF_INSTANCE)
        return self._table.get_all([_state_key(pointer["action_id"]["S"]) for pointer in pointers])

    def due(self, until: datetime) -> Iterable[Due]:
        """See usher.ports.Finding. A row that moves while the index is read is read twice."""
        rows = [
            _due(item)
            for shard in range(SHARDS)
            for item in self._table.due(_shard_name(shard), iso_time.stored(until))
        ]
        newest = {row.action_id: row for row in sorted(rows, key=lambda row: row.version)}
        return list(newest.values())

    def findings(self, action_id: str) -> Findings | None:
        """See usher.ports.FindingsKept."""
        item = self._table.get(_findings_key(action_id))
        return _findings(item) if item else None

    def with_findings(self, actions: Sequence[Action]) -> list[Action]:
        """The actions with what was found of their conditions, for people to read."""
        asked = [_findings_key(action.id) for action in actions if questions.are_in(action.policy)]
        kept = {item["action_id"]["S"]: _findings(item).found for item in self._table.get_all(asked)}
        return [replace(action, findings=kept.get(action.id, ())) for action in actions]

    def keep_findings(self, action: Action, findings: Findings) -> None:
        """See usher.ports.FindingsKept."""
        item: Item = {
            "action_id": table.text(action.id),
            "version": table.number(findings.turn),
            "packed": {"B": _packed(findings)},
        }
        if findings.ask_at is not None:
            item["ask_at"] = table.text(iso_time.stored(findings.ask_at))
        if findings.sweep_at is not None:
            item["due_shard"] = table.text(_question_shard_name(_shard(action.id)))
            item["look_at"] = table.text(iso_time.stored(findings.sweep_at))
        is_first = findings.turn == 1
        condition = "attribute_not_exists(pk)" if is_first else "version = :was"
        values = None if is_first else {":was": table.number(findings.turn - 1)}
        key = _findings_key(action.id)
        if not self._table.store(key, item, self._expiry(action), condition, values):
            raise Moved

    def unasked(self, until: datetime) -> Iterable[Unasked]:
        """See usher.ports.FindingsKept."""
        rows = [
            _unasked(item)
            for shard in range(SHARDS)
            for item in self._table.due(_question_shard_name(shard), iso_time.stored(until))
        ]
        newest = {row.action_id: row for row in sorted(rows, key=lambda row: row.turn)}
        return list(newest.values())

    def put_off(self, action_id: str, turn: int, until: datetime) -> bool:
        """See usher.ports.FindingsKept. What the item says besides counts on."""
        values = {":until": table.text(iso_time.stored(until)), ":turn": table.number(turn)}
        key = _findings_key(action_id)
        return self._table.change(key, "look_at = :until", values, None, "version = :turn")

    def all_open(self) -> Iterable[Action]:
        """See usher.ports.ReconcileStore."""
        return [action for action in _readable(self._open_items()) if action.is_open]

    def hooks_in_use(self) -> Mapping[tuple[str, str], int]:
        """See usher.ports.OpenActions."""
        docs = map(table.from_json, self._open_items())
        waiting = [doc["hook"] for doc in docs if doc.get("phase") != str(Phase.CLOSED)]
        return Counter((hook["group"], hook["name"]) for hook in waiting)

    def _open_items(self) -> Iterable[Item]:
        """Found by the index, which may be behind, and loaded a hundred at once."""
        return self._table.get_all([_state_key(due.action_id) for due in self.due(_EVER)])

    def foreign_waits(self) -> Mapping[str, Collection[ForeignWait]]:
        """See usher.ports.Tries."""
        items = self._table.items(_TRIED, "GROUP#")
        return {item["group"]["S"]: _tried(item) for item in items if "tried" in item}

    def keep_foreign_waits(self, group: str, foreign_waits: Collection[ForeignWait]) -> None:
        """See usher.ports.Tries. Of very many some are left out, and tried again."""
        contents: Item = {}
        if foreign_waits:
            kept = json.dumps(sorted(foreign_waits)[:_MOST_TRIED], separators=(",", ":"))
            contents = {"group": table.text(group), "tried": {"B": zlib.compress(kept.encode())}}
        self._table.store(table.key(_TRIED, f"GROUP#{group}"), contents, self._clock() + _TRIED_KEPT)

    def described(self, group: str) -> Described | None:
        """See usher.ports.DescribedHooks."""
        item = self._table.get(table.key(f"GROUP#{group}", "DESCRIBED"))
        with suppress(*UNREADABLE):
            return record_format.described_from_data(table.from_json(item)) if item else None
        return None

    def keep_described(self, group: str, described: Described) -> None:
        """See usher.ports.DescribedHooks."""
        at = table.text(iso_time.stored(described.at))
        doc = table.as_json(record_format.described_to_data(described))
        condition = "attribute_not_exists(described_at) OR described_at < :at"
        key = table.key(f"GROUP#{group}", "DESCRIBED")
        contents: Item = {"described_at": at, "doc": doc}
        self._table.store(key, contents, described.at + _DESCRIBED_KEPT, condition, {":at": at})

    def claim_describe(self, group: str, now: datetime) -> bool:
        """See usher.ports.DescribedHooks."""
        return self._table.store(
            table.key(f"GROUP#{group}", "DESCRIBING"),
            {"claimed_at": table.text(iso_time.stored(now))},
            now + _TRACE_KEPT,
            "attribute_not_exists(claimed_at) OR claimed_at <= :before",
            {":before": table.text(iso_time.stored(now - _DESCRIBING_FOR))},
        )

    def keep_signal(self, signal: Signal) -> Kept:
        """See usher.ports.Hearsay."""
        if signal.token is None:
            return self._keep_signal(f"INSTANCE#{signal.instance_id}", signal)
        change = self._keep_signal(f"TOKEN#{signal.token}", signal)
        if signal.instance_id is None or change is Kept.REFUSED or self._is_claimed(signal.token):
            return change
        return self._keep_signal(f"INSTANCE#{signal.instance_id}", signal)

    def _keep_signal(self, pk: str, signal: Signal) -> Kept:
        """Keep it in its place. Two at the same moment leave the newer one, whoever is first."""
        place = table.key(pk, _signal_name(signal) + _kind(signal, pk))
        item = self._table.get(place)
        known = record_format.signal_from_data(table.from_json(item, "signal")) if item else None
        if known is None and self._is_full(pk, signal):
            return Kept.REFUSED
        change = evidence.kept(signal, known)
        if evidence.replaces(signal, known):
            if known is not None and evidence.is_worth_export(known, signal):
                self._table.store(_said_key(pk, known), _signal_item(known), self._clock() + _HEARD_KEPT)
            item = _signal_item(signal)
            newer = "attribute_not_exists(pk) OR signal_order < :order"
            values = {":order": item["signal_order"]}
            self._table.store(place, item, self._clock() + evidence.SIGNAL_KEPT, newer, values)
        return change

    def _is_full(self, pk: str, signal: Signal) -> bool:
        """Whether so many other names are kept already. What TTL is late to remove does not count."""
        now = self._clock()
        names = {
            item["sk"]["S"].rpartition("#")[0]
            for item in self._table.items(pk, _SIGNAL)
            if table.kept_until(item) > now
        }
        return len(names - {_signal_name(signal)}) >= evidence.MOST_NAMES

    def _is_claimed(self, token: str) -> bool:
        return self._table.get(table.key(f"TOKEN#{token}", "ACTION")) is not None

    def keep_move_end(self, activity_end: ActivityEnd) -> None:
        """See usher.ports.Hearsay."""
        heard = f"HEARD#{iso_time.stored(activity_end.ended_at)}#END#{activity_end.activity_id}"
        key = table.key(f"INSTANCE#{activity_end.instance_id}", heard)
        doc = table.as_json(record_format.activity_end_to_data(activity_end))
        self._table.keep(key, {"move_end": doc}, self._clock() + _HEARD_KEPT)

    def keep_instance_end(self, instance_id: str, ended_at: datetime) -> None:
        """See usher.ports.Hearsay. The first word counts."""
        key = table.key(f"INSTANCE#{instance_id}", _ENDED)
        self._table.keep(key, {"ended_at": table.text(iso_time.stored(ended_at))}, self._clock() + _END_KEPT)

    def keep_instance_state(self, instance_id: str, at: datetime, *, is_stopped: bool) -> None:
        """See usher.ports.Hearsay. Of two words of one time the one counts that lets go of nothing."""
        said = table.text(iso_time.stored(at))
        stopped: Item = {"stopped_at": said} if is_stopped else {}
        self._table.store(
            table.key(f"INSTANCE#{instance_id}", _STATE_OF_EC2),
            {"told_at": said, **stopped},
            self._clock() + _TRACE_KEPT,
            "attribute_not_exists(pk) OR told_at < :at"
            if is_stopped
            else "attribute_exists(pk) AND told_at <= :at",
            {":at": said},
        )

    def keep_test(self, test: TestNotice) -> None:
        """See usher.ports.Hearsay."""
        key = table.key(f"GROUP#{test.group}", f"TEST#{test.request_id}")
        doc = table.as_json(record_format.test_to_data(test))
        self._table.keep(key, {"doc": doc}, self._clock() + _LONG_KEPT)

    def keep_heard(self, group: str, now: datetime) -> None:
        """See usher.ports.Hearsay."""
        self._table.store(
            table.key(f"GROUP#{group}", _HEARD_OF),
            {"heard_at": table.text(iso_time.stored(now))},
            now + _LONG_KEPT,
            "attribute_not_exists(pk) OR heard_at <= :yesterday",
            {":yesterday": table.text(iso_time.stored(now - _A_DAY))},
        )

    def evidence(self, action: Action) -> Evidence:
        """See usher.ports.Hearsay."""
        oldest = iso_time.stored(evidence.counts_from(action, self._clock()))
        bounds = (f"HEARD#{oldest}", f"{_SIGNAL}{_LAST}")
        heard = self._table.between(f"INSTANCE#{action.instance_id}", bounds, consistent=True)
        of_token = self._table.items(f"TOKEN#{action.token}", _SIGNAL) if action.token is not None else []
        ended_at = next((item["ended_at"]["S"] for item in heard if "ended_at" in item), None)
        stopped_at = next((item["stopped_at"]["S"] for item in heard if "stopped_at" in item), None)
        paused = self.pauses()
        return Evidence(
            signals=tuple(self._signals([*heard, *of_token], action)),
            activity_ends=tuple(_move_ends(heard)),
            instance_ended_at=iso_time.parse(ended_at) if ended_at else None,
            stopped_at=iso_time.parse(stopped_at) if stopped_at else None,
            paused=paused.get(ALL_HOOKS, paused.get(action.hook.name)),
        )

    def _signals(self, heard: Iterable[Item], action: Action) -> Iterator[Signal]:
        """The signals of `heard`, each once; for an adopted action none that is another action's by token."""
        found: list[Signal] = []
        for item in heard:
            with suppress(*UNREADABLE):
                if "signal" in item:
                    found.append(record_format.signal_from_data(table.from_json(item, "signal")))
        for signal in dict.fromkeys(found):
            is_anothers = action.token is None and signal.token is not None and self._is_claimed(signal.token)
            if not is_anothers:
                yield signal

    def pause(self, hook: str, by: str) -> None:
        """See usher.ports.Pauses."""
        key = table.key(_PAUSED, f"HOOK#{hook}")
        contents = {"hook": table.text(hook), "by": table.text(by)}
        self._table.store(key, contents, keep_until=None)

    def resume(self, hook: str) -> None:
        """See usher.ports.Pauses. Nothing is deleted: what says nothing any more is left to TTL."""
        self._table.store(table.key(_PAUSED, f"HOOK#{hook}"), {}, self._clock() + _TRACE_KEPT)

    def pauses(self) -> Mapping[str, str]:
        """See usher.ports.Pauses."""
        items = self._table.items(_PAUSED, "HOOK#")
        return {item["hook"]["S"]: item["by"]["S"] for item in items if "hook" in item}

    def timeline(self, action_id: str) -> Sequence[Entry]:
        """See usher.ports.Store. A line that was counted on stands in a later item too, which wins."""
        items = self._table.items(f"ACTION#{action_id}", "LINE#")
        entries = [record_format.entry_from_data(line) for item in items for line in table.from_json(item)]
        lines = {entry.number: entry for entry in entries}
        findings = self.findings(action_id)
        return merged([lines[number] for number in sorted(lines)], findings)

    def tests(self, group: str) -> Sequence[TestNotice]:
        """See usher.ports.Store."""
        items = self._table.items(f"GROUP#{group}", "TEST#")
        tests = [record_format.test_from_data(table.from_json(item)) for item in items]
        return sorted(tests, key=lambda test: (test.at, test.request_id))

    def reaches_us(self, group: str) -> bool:
        """See usher.ports.Store."""
        bounds = (_HEARD_OF, f"TEST#{_LAST}")
        return bool(self._table.between(f"GROUP#{group}", bounds, consistent=False))

    def raws(self, action_id: str) -> Sequence[Raw]:
        """See usher.ports.Store."""
        items = self._table.items(f"ACTION#{action_id}", "RAW#")
        raws = [
            Raw(received_at=iso_time.parse(item["received_at"]["S"]), body=item["body"]["S"])
            for item in items
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
            item["due_shard"] = table.text(_shard_name(_shard(action.id)))
            item["look_at"] = table.text(iso_time.stored(action.look_at))
            item["expires_at"] = table.text(iso_time.stored(action.expires_at))
        return self._table.put(_state_key(action.id), item, self._expiry(action), condition, values)

    def _claim(self, action: Action) -> Iterator[TransactWriteItemTypeDef]:
        if action.token is not None:
            key = table.key(f"TOKEN#{action.token}", "ACTION")
            item: Item = {"action_id": table.text(action.id)}
            yield self._table.put(key, item, self._expiry(action), "attribute_not_exists(pk)")

    def _lines(self, action: Action) -> Iterator[TransactWriteItemTypeDef]:
        """The new lines, in as few items as hold them: many signals make many lines."""
        for part in table.in_parts(fewer(action.unsaved), _LINES_OF_AN_ITEM):
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

    def _expiry(self, action: Action) -> datetime:
        """Until when the items of an action are kept: at its start nobody knows when it closes."""
        return max(action.ends_at, action.first_seen_at) + self._retention


def _state_key(action_id: str) -> Item:
    return table.key(f"ACTION#{action_id}", "STATE")


def _signal_name(signal: Signal) -> str:
    return f"{_SIGNAL}{signal.name}"


def _kind(signal: Signal, pk: str) -> str:
    """One by token must not take the place of one by instance, which counts for more actions."""
    is_foreign = signal.token is not None and pk.startswith("INSTANCE#")
    kind = "PROGRESS" if signal.status is Status.PROGRESS else "RESULT"
    return f"#{kind}_BY_TOKEN" if is_foreign else f"#{kind}"


def _signal_item(signal: Signal) -> Item:
    return {
        "signal": table.as_json(record_format.signal_to_data(signal)),
        "signal_order": table.text(_order_text(signal)),
    }


def _said_key(addressee: str, signal: Signal) -> Item:
    return table.key(f"SAID#{addressee}", _order_text(signal))


def _order_text(signal: Signal) -> str:
    """Sorts as evidence.order does."""
    at, rank, event_id = evidence.order(signal)
    return f"{iso_time.stored(at)}#{rank}#{event_id}"


def _findings_key(action_id: str) -> Item:
    return table.key(f"ACTION#{action_id}", "FINDINGS")


def _shard(action_id: str) -> int:
    return zlib.crc32(action_id.encode()) % SHARDS


def _shard_name(shard: int) -> str:
    return f"{shard:02}"


def _question_shard_name(shard: int) -> str:
    return f"Q{shard:02}"


def _action(item: Item) -> Action:
    return record_format.action_from_data(table.from_json(item))


def _move_ends(items: Iterable[Item]) -> Iterator[ActivityEnd]:
    """The outcome events among `items`; one that cannot be read spoils no look."""
    for item in items:
        with suppress(*UNREADABLE):
            if "move_end" in item:
                yield record_format.activity_end_from_data(table.from_json(item, "move_end"))


def _readable(items: Iterable[Item]) -> list[Action]:
    """The actions that can be read: one of a newer release, before a rollback, spoils no other."""
    found: list[Action] = []
    for item in items:
        with suppress(*UNREADABLE):
            found.append(_action(item))
    return found


def _tried(item: Item) -> frozenset[ForeignWait]:
    entries = json.loads(zlib.decompress(item["tried"]["B"]))
    return frozenset((instance, hook, wait) for instance, hook, wait in entries)


def _due(item: Item) -> Due:
    return Due(
        action_id=item["action_id"]["S"],
        version=int(item["version"]["N"]),
        look_at=iso_time.parse(item["look_at"]["S"]),
        expires_at=iso_time.parse(item["expires_at"]["S"]),
    )


def _findings(item: Item) -> Findings:
    """What the item says. Of one that a newer release wrote, the turn and its times at least."""
    turn, ask_at, sweep_at = int(item["version"]["N"]), _moment(item, "ask_at"), _moment(item, "look_at")
    try:
        data = json.loads(zlib.decompress(item["packed"]["B"]))
        found = tuple(map(record_format.finding_from_data, data["found"]))
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
            "found": [record_format.finding_to_data(finding) for finding in found],
            "lines": [record_format.entry_to_data(line) for line in findings.lines],
        }
        packed = zlib.compress(json.dumps(data).encode())
        longest = max(found, key=lambda each: len(json.dumps(dict(each.memory))), default=None)
        if len(packed) <= MOST_FOUND_BYTES or longest is None or not longest.memory:
            return packed
        found[found.index(longest)] = replace(longest, memory={})


def _moment(item: Item, attribute: str) -> datetime | None:
    return iso_time.parse(item[attribute]["S"]) if attribute in item else None


def _unasked(item: Item) -> Unasked:
    return Unasked(
        action_id=item["action_id"]["S"],
        turn=int(item["version"]["N"]),
        sweep_at=iso_time.parse(item["look_at"]["S"]),
    )


def _cut(body: bytes) -> str:
    """The body as text, cut where an item could not hold it, and saying so."""
    kept = body[:MOST_BODY_BYTES].decode(errors="ignore")
    return kept if len(body) <= MOST_BODY_BYTES else f"{kept} [cut from {len(body)} bytes]"
