"""The Store in memory: what replay and simulation use in place of DynamoDB, under the same contract."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core import evidence
from usher.core.action import Status
from usher.core.evidence import Kept
from usher.core.finding import merged
from usher.core.frozen import replace
from usher.core.lines import fewer
from usher.core.listing import listed_at
from usher.core.wait_moves import WaitKind
from usher.ports.errors import Moved
from usher.ports.records import MOST_OF_INSTANCE, ClosedRow, Due, Evidence, OpenRow, Unasked
from usher_simulator.fakes.item_bounds import check_lines, check_record

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from usher.core.action import Action, ActivityEnd, Entry, OperatorNote, Signal
    from usher.core.finding import Findings
    from usher.core.hook_timeouts import Described
    from usher.core.live_waits import ForeignWait
    from usher.core.notifications import TestNotice
    from usher.ports.records import Raw

_DESCRIBING_FOR: Final = timedelta(seconds=15)  # as usher.aws.records


class MemoryStore:
    """Implements usher.ports.records.Store."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._actions: dict[str, Action] = {}
        self._lines: dict[str, dict[int, Entry]] = {}
        self._raws: dict[str, dict[str, Raw]] = {}
        self._of_token: dict[str, str] = {}
        self._of_instance: dict[str, list[str]] = {}
        self._open: dict[str, Due] = {}
        self._due_in: dict[int, dict[str, Due]] = {}  # the same, by the minute of the next evaluation
        self._findings: dict[str, Findings] = {}
        self._signals: dict[str, dict[tuple[str, str], Signal]] = {}  # by addressee, then by name and kind
        self._move_ends: dict[str, dict[str, ActivityEnd]] = {}
        self._tests: dict[str, dict[str, TestNotice]] = {}
        self._heard_of: dict[str, datetime] = {}
        self._instance_ends: dict[str, datetime] = {}
        self._releases: dict[str, OperatorNote] = {}
        self._states: dict[str, tuple[datetime, bool]] = {}  # whether it is stopped, by whom EC2 spoke of
        self._tried: dict[str, frozenset[ForeignWait]] = {}
        self._retained: dict[str, dict[str, datetime]] = {}
        self._paused: dict[str, str] = {}
        self._described: dict[str, Described] = {}
        self._claimed: dict[str, datetime] = {}  # by group: when somebody was to describe it

    def open(self, action: Action, raw: Raw | None) -> Action:
        """See usher.ports.records.Records."""
        known = action.id if action.token is None else self._of_token.setdefault(action.token, action.id)
        if known in self._actions:
            return self._actions[known]
        self._of_instance.setdefault(action.instance_id, []).append(action.id)
        self._put(action, raw)
        return self._actions[action.id]

    def load(self, action_id: str) -> Action | None:
        """See usher.ports.records.Records."""
        return self._actions.get(action_id)

    def save(self, action: Action, *, raw: Raw | None = None) -> None:
        """See usher.ports.records.Records."""
        stored = self._actions.get(action.id)
        if stored is None:
            raise Moved
        if stored.version == action.version and stored.evaluation_id == action.evaluation_id:
            return
        if stored.version != action.version - 1:
            raise Moved
        self._put(action, raw)

    def join(self, action: Action, raw: Raw) -> None:
        """See usher.ports.records.Records."""
        if action.token is None or self._of_token.get(action.token, action.id) != action.id:
            raise Moved
        self.save(action, raw=raw)
        self._of_token[action.token] = action.id

    def _put(self, action: Action, raw: Raw | None) -> None:
        check_record(action)
        stored = action.as_stored
        if stored is not action:
            new = fewer(action.recent)
            check_lines(new)
            self._lines.setdefault(action.id, {}).update((line.number, line) for line in new)
        if raw is not None:
            self._raws.setdefault(action.id, {}).setdefault(raw.body, raw)
        self._actions[action.id] = replace(stored, findings=())
        self._put_due(action)

    def _put_due(self, action: Action) -> None:
        before = self._open.pop(action.id, None)
        if before is not None:
            minute = _minute(before.evaluate_at)
            del self._due_in[minute][action.id]
            if not self._due_in[minute]:
                del self._due_in[minute]
        at = listed_at(action)
        if at is not None:
            due = Due(
                action_id=action.id,
                evaluate_at=at,
                expires_at=action.expires_at,
            )
            self._open[action.id] = due
            self._due_in.setdefault(_minute(due.evaluate_at), {})[action.id] = due

    def of_token(self, token: str) -> Action | None:
        """See usher.ports.records.ActionLookup."""
        known = self._of_token.get(token)
        return None if known is None else self._actions[known]

    def of_instance(self, instance_id: str) -> Iterable[Action]:
        """See usher.ports.records.ActionLookup."""
        found = [self._actions[known] for known in self._of_instance.get(instance_id, ())]
        return sorted(found, key=lambda action: (action.started_at, action.id))[-MOST_OF_INSTANCE:]

    def is_readable(self, instance_id: str) -> bool:  # noqa: ARG002 - as the port has it
        """See usher.ports.records.ReconcileStore."""
        return True

    def due(self, until: datetime) -> Iterable[Due]:
        """See usher.ports.records.ActionLookup."""
        minutes = sorted(minute for minute in self._due_in if minute <= _minute(until))
        return [
            due for minute in minutes for due in self._due_in[minute].values() if due.evaluate_at <= until
        ]

    def with_findings(self, actions: Sequence[Action]) -> list[Action]:
        """The actions with what was found of their conditions, for people to read."""
        kept = [self._findings.get(action.id) for action in actions]
        return [
            replace(action, findings=findings.found if findings else ())
            for action, findings in zip(actions, kept, strict=True)
        ]

    def findings(self, action_id: str) -> Findings | None:
        """See usher.ports.records.FindingsKept."""
        return self._findings.get(action_id)

    def keep_findings(self, action: Action, findings: Findings) -> None:
        """See usher.ports.records.FindingsKept."""
        stored = self._findings.get(action.id)
        if (stored.turn if stored else 0) != findings.turn - 1:
            raise Moved
        self._findings[action.id] = findings

    def unasked(self, until: datetime) -> Iterable[Unasked]:
        """See usher.ports.records.FindingsKept."""
        return [
            Unasked(action_id=action_id, turn=findings.turn, sweep_at=findings.sweep_at)
            for action_id, findings in self._findings.items()
            if findings.sweep_at is not None and findings.sweep_at <= until
        ]

    def put_off(self, action_id: str, turn: int, until: datetime) -> bool:
        """See usher.ports.records.FindingsKept."""
        stored = self._findings.get(action_id)
        if stored is None or stored.turn != turn:
            return False
        self._findings[action_id] = replace(stored, sweep_at=until)
        return True

    def open_of(self, action_ids: Iterable[str]) -> Iterable[Action]:
        """See usher.ports.records.ReconcileStore."""
        found = (self._actions.get(action_id) for action_id in dict.fromkeys(action_ids))
        return [action for action in found if action is not None and action.is_open]

    def all_open(self) -> Sequence[Action]:
        """Every open action."""
        return [self._actions[action_id] for action_id in self._open]

    def open_rows(self) -> Iterator[OpenRow]:
        """See usher.ports.records.OpenActions."""
        for action in self.all_open():
            yield OpenRow(
                action_id=action.id,
                group=action.hook.group,
                hook=action.hook.name,
                instance_id=action.instance_id,
                expires_at=action.expires_at,
                wait=WaitKind.of(action),
            )

    def closed(self, since: datetime, until: datetime, page_size: int) -> Iterator[Sequence[ClosedRow]]:
        """See usher.ports.records.ClosedActions."""
        ends = [
            (action.closed_at, action)
            for action in self._actions.values()
            if action.closed_at is not None and since <= action.closed_at < until
        ]
        newest_first = sorted(ends, key=lambda end: end[0], reverse=True)
        for start in range(0, len(newest_first), page_size):
            yield [_closed_row(*end) for end in newest_first[start : start + page_size]]

    def hooks_in_use(self) -> Mapping[tuple[str, str], int]:
        """See usher.ports.records.OpenActions."""
        return Counter((action.hook.group, action.hook.name) for action in self.all_open())

    def foreign_waits(self) -> Mapping[str, Collection[ForeignWait]]:
        """See usher.ports.records.ForeignWaits."""
        return dict(self._tried)

    def keep_foreign_waits(self, group: str, foreign_waits: Collection[ForeignWait]) -> None:
        """See usher.ports.records.ForeignWaits."""
        self._tried.pop(group, None)
        if foreign_waits:
            self._tried[group] = frozenset(foreign_waits)

    def retained(self, group: str) -> Mapping[str, datetime] | None:
        """See usher.ports.records.RetainedInstances."""
        return self._retained.get(group, {})

    def keep_retained(self, group: str, first_seen: Mapping[str, datetime]) -> None:
        """See usher.ports.records.RetainedInstances."""
        self._retained[group] = dict(first_seen)

    def described(self, group: str) -> Described | None:
        """See usher.ports.records.DescribedHooks."""
        return self._described.get(group)

    def keep_described(self, group: str, described: Described) -> None:
        """See usher.ports.records.DescribedHooks."""
        known = self._described.get(group)
        if known is None or known.at < described.at:
            self._described[group] = described

    def claim_describe(self, group: str, now: datetime) -> bool:
        """See usher.ports.records.DescribedHooks."""
        claimed_at = self._claimed.get(group)
        if claimed_at is not None and claimed_at > now - _DESCRIBING_FOR:
            return False
        self._claimed[group] = now
        return True

    def open_actions(self) -> int:
        """How many actions are open."""
        return len(self._open)

    def keep_signal(self, signal: Signal) -> Kept:
        """See usher.ports.records.EvidenceStore."""
        kind = "progress" if signal.status is Status.PROGRESS else "result"
        if signal.token is None:
            return self._keep_signal(signal.instance_id or "", kind, signal)
        change = self._keep_signal(signal.token, kind, signal)
        if signal.instance_id is None or change is Kept.REFUSED or signal.token in self._of_token:
            return change
        return self._keep_signal(signal.instance_id, f"{kind} by token", signal)

    def _keep_signal(self, addressee: str, kind: str, signal: Signal) -> Kept:
        kept = self._signals.setdefault(addressee, {})
        known = kept.get((signal.name, kind))
        names = {name for name, _ in kept}
        if known is None and len(names - {signal.name}) >= evidence.MOST_NAMES:
            return Kept.REFUSED
        change = evidence.kept(signal, known)
        if evidence.replaces(signal, known):
            kept[signal.name, kind] = signal
        return change

    def keep_move_end(self, activity_end: ActivityEnd) -> None:
        """See usher.ports.records.EvidenceStore."""
        kept = self._move_ends.setdefault(activity_end.instance_id, {})
        kept.setdefault(activity_end.activity_id, activity_end)

    def keep_instance_end(self, instance_id: str, ended_at: datetime) -> None:
        """See usher.ports.records.EvidenceStore."""
        self._instance_ends.setdefault(instance_id, ended_at)

    def keep_release(self, instance_id: str, order: OperatorNote) -> None:
        """See usher.ports.records.EvidenceStore."""
        self._releases[instance_id] = order

    def keep_instance_state(self, instance_id: str, at: datetime, *, is_stopped: bool) -> None:
        """See usher.ports.records.EvidenceStore."""
        known_at, _ = self._states.get(instance_id, (None, False))
        is_newer = is_stopped if known_at is None else at > known_at or (at == known_at and not is_stopped)
        if is_newer:
            self._states[instance_id] = (at, is_stopped)

    def pause(self, hook: str, by: str) -> None:
        """See usher.ports.records.Pauses."""
        self._paused[hook] = by

    def resume(self, hook: str) -> None:
        """See usher.ports.records.Pauses."""
        self._paused.pop(hook, None)

    def pauses(self) -> Mapping[str, str]:
        """See usher.ports.records.Pauses."""
        return dict(self._paused)

    def keep_test(self, test: TestNotice) -> None:
        """See usher.ports.records.EvidenceStore."""
        self._tests.setdefault(test.group, {}).setdefault(test.request_id, test)

    def keep_heard(self, group: str, now: datetime) -> None:
        """See usher.ports.records.EvidenceStore."""
        self._heard_of[group] = now

    def reaches_us(self, group: str) -> bool:
        """See usher.ports.records.Store."""
        return group in self._tests or group in self._heard_of

    def evidence(self, action: Action) -> Evidence:
        """See usher.ports.records.EvidenceStore."""
        oldest = evidence.counts_from(action, self._clock())
        places = (action.instance_id, action.token or "")
        signals = [signal for place in places for signal in self._signals.get(place, {}).values()]
        if action.token is None:
            signals = [signal for signal in signals if signal.token not in self._of_token]
        heard = self._move_ends.get(action.instance_id, {}).values()
        told_at, is_stopped = self._states.get(action.instance_id, (None, False))
        activity_ends = [activity_end for activity_end in heard if activity_end.ended_at >= oldest]
        return Evidence(
            signals=tuple(dict.fromkeys(signals)),
            activity_ends=tuple(activity_ends),
            instance_ended_at=self._instance_ends.get(action.instance_id),
            stopped_at=told_at if is_stopped else None,
            release=self._releases.get(action.instance_id),
            paused=self._paused.get("*", self._paused.get(action.hook.name)),
        )

    def timeline(self, action_id: str) -> Sequence[Entry]:
        """See usher.ports.records.Store."""
        lines = dict(self._lines.get(action_id, {}))
        if action_id in self._actions:
            lines |= {line.number: line for line in self._actions[action_id].recent}
        return merged([lines[number] for number in sorted(lines)], self._findings.get(action_id))

    def tests(self, group: str) -> Sequence[TestNotice]:
        """See usher.ports.records.Store."""
        return sorted(self._tests.get(group, {}).values(), key=lambda test: (test.at, test.request_id))

    def all_tests(self) -> Sequence[TestNotice]:
        """The test messages of all groups, oldest first."""
        kept = [test for tests in self._tests.values() for test in tests.values()]
        return sorted(kept, key=lambda test: (test.at, test.request_id))

    def raws(self, action_id: str) -> Sequence[Raw]:
        """See usher.ports.records.Store."""
        return sorted(self._raws.get(action_id, {}).values(), key=lambda raw: raw.received_at)

    def backup(self) -> Mapping[str, object]:
        """All that is stored now, for `restore`."""
        return {name: _copied(value) for name, value in vars(self).items() if name != "_clock"}

    def restore(self, backup: Mapping[str, object]) -> None:
        """Everything as it was when the backup was made: what came later is lost."""
        vars(self).update({name: _copied(value) for name, value in backup.items()})

    def actions(self) -> Sequence[Action]:
        """Every action ever recorded, by the time of its start."""
        return sorted(self._actions.values(), key=lambda action: (action.started_at, action.id))


def _closed_row(closed_at: datetime, action: Action) -> ClosedRow:
    return ClosedRow(
        action_id=action.id,
        group=action.hook.group,
        hook=action.hook.name,
        transition=action.hook.transition,
        instance_id=action.instance_id,
        started_at=action.started_at,
        closed_at=closed_at,
        outcome=str(action.outcome),
        result=None if action.result is None else str(action.result),
        reason=action.reason,
    )


def _minute(moment: datetime) -> int:
    return int(moment.timestamp()) // 60


def _copied(value: object) -> object:
    """What stands in the containers is never changed."""
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return list(value) if isinstance(value, list) else value
