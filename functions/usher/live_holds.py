"""Holds what the live state shows waiting in the hooks of the file, without the table (ADR 19)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from usher.core import reconcile
from usher.core.held_wait import HeldWait
from usher.core.ownership import Terms
from usher.core.policy import Mode
from usher.passed_over import PassedOver
from usher.patience import Away
from usher.ports import ALL_HOOKS, WHATEVER, AnswerKind, CallRefused, GroupGone, Throttled, TryLater
from usher.turns import Enough
from usher.waking import send

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from usher.core.policy import Configuration
    from usher.core.reconcile import LiveGroup, Unknown
    from usher.ports import Holds, LiveWaits, Telemetry, WakeUps

    Turn = Callable[[], datetime]

SHORTEST: Final = timedelta(minutes=5)  # of a heartbeat timeout: two sweeps can stand 119 s apart
_SHARE: Final = 2  # of the rate one half is left to the wake-ups
_IN_DOUBT: Final = timedelta(minutes=6)  # so long after they failed wake-ups are not relied upon
_DESCRIBED_FOR: Final = timedelta(minutes=10)
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TOLD_AFTER: Final = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveHolds:
    """Everything that a sweep without the table touches. It remembers as long as its container lives."""

    configuration: Configuration
    live: LiveWaits
    holds: Holds
    wake_ups: WakeUps
    telemetry: Telemetry
    clock: Callable[[], datetime]
    wait: Callable[[float], object]  # in seconds, as time.sleep
    new_id: Callable[[], str]
    calls_per_second: float
    wake_ups_fail: Away = field(default_factory=partial(Away, lasts=_IN_DOUBT))
    tried: dict[tuple[str, str, str], datetime] = field(default_factory=dict)  # group, hook, instance
    described: dict[str, tuple[datetime, Mapping[str, timedelta]]] = field(default_factory=dict)

    def run(self, has_time: Callable[[], bool], paused: Collection[str] = ()) -> None:
        """Beat what is due, whatever was tried longest ago first, as far as the time goes.

        What is `paused` (hooks, or ALL_HOOKS) is left alone, as far as that is known.
        """
        if ALL_HOOKS in paused:
            return
        turn, over = self._turns(has_time).__next__, PassedOver(telemetry=self.telemetry)
        try:
            waits = [wait for group in self._groups(turn, over) for wait in self._in(group, turn, over)]
            waits = [wait for wait in waits if wait.hook not in paused]
            for wait in sorted(waits, key=lambda one: (one.due_at, one.timeout)):
                self._hold(wait, turn)
        except (Enough, TryLater, CallRefused) as error:
            if isinstance(error, Throttled):
                self.telemetry.count("Throttled")
            self.telemetry.trouble("not all that waits was held without the table", error)

    def _turns(self, has_time: Callable[[], bool]) -> Iterator[datetime]:
        """The times of the calls, at half of the rate. Raises Enough."""
        apart = timedelta(seconds=_SHARE / self.calls_per_second)
        next_at = self.clock()
        while has_time():
            early = next_at - self.clock()
            if early > timedelta(0):
                self.wait(early.total_seconds())
            next_at = max(next_at, self.clock()) + apart
            yield self.clock()
        raise Enough

    def _groups(self, turn: Turn, over: PassedOver) -> Iterable[LiveGroup]:
        """Those with hooks of ours; one whose pool is not told, with its own instances alone."""
        for group in self.live.live_groups(self.configuration.group_names, turn):
            if not reconcile.hooks_on(self.configuration.hooks, group):
                continue
            if not group.has_pool:
                yield group
                continue
            whole = group
            with over.on(group.name), suppress(GroupGone):
                whole = group.with_pool(self.live.pool(group.name, turn))
            yield whole

    def _in(self, group: LiveGroup, turn: Turn, over: PassedOver) -> list[HeldWait]:
        """What waits in a group, and was not tried in the last half of its heartbeat timeout."""
        ours = [Terms(hook=hook) for hook in reconcile.hooks_on(self.configuration.hooks, group).values()]
        found = [
            one
            for one in reconcile.unknown(group, ours, ())
            if one.hook.heartbeat_timeout >= SHORTEST and reconcile.policy_of(one).mode is Mode.ENFORCE
        ]
        if not found:
            return []
        standing: Mapping[str, timedelta] = {}
        with over.on(group.name):
            standing = self._standing(group.name, turn)
        waits = [self._wait(one, standing[one.hook.name]) for one in found if one.hook.name in standing]
        now = self.clock()
        return [wait for wait in waits if wait.due_at <= now]

    def _wait(self, one: Unknown, standing: timedelta) -> HeldWait:
        timeout = min(standing, one.hook.heartbeat_timeout)
        tried_at = self.tried.get((one.group, one.hook.name, one.member.instance_id))
        since = tried_at or _LONG_AGO
        return HeldWait(
            group=one.group,
            hook=one.hook.name,
            instance_id=one.member.instance_id,
            token=None,
            timeout=timeout,
            timeout_assumed=False,
            due_at=since + timeout / 2 if tried_at else _LONG_AGO,
            lead=timeout / 2,
            expires_at=since + timeout,
            ends_at=one.seen_at,  # nobody knows: what is carried on is news only
            chain=f"live/{one.member.instance_id}/{one.hook.name}/{one.seen_at.timestamp():.0f}",
            is_over=True,
            is_recorded=False,
        )

    def _standing(self, group: str, turn: Turn) -> Mapping[str, timedelta]:
        """The heartbeat timeouts of the hooks that stand on a group."""
        until, known = self.described.get(group, (None, {}))
        if until is None or until <= self.clock():
            now = turn()
            try:
                hooks = self.live.hooks_of(group)
            except (CallRefused, GroupGone) as error:
                self.telemetry.trouble(f"the hooks of {group} could not be described", error)
                return known
            known = {hook.name: hook.settings.heartbeat_timeout for hook in hooks}
            self.described[group] = (now + _DESCRIBED_FOR, known)
        return known

    def _hold(self, wait: HeldWait, turn: Turn) -> None:
        sent_at = turn()
        answer = self.holds.hold(wait)
        if answer.kind is AnswerKind.BUSY:
            raise Throttled(answer.text)
        if answer.kind in (AnswerKind.UNREACHED, AnswerKind.UNANSWERED):
            return  # the next sweep tries again
        self.tried[wait.group, wait.hook, wait.instance_id] = sent_at
        if answer.kind is AnswerKind.ACCEPTED:
            self.telemetry.count("BeatsWithoutTable")
            send(self.wake_ups, self.telemetry, self.new_id(), WHATEVER, _TOLD_AFTER, wait.beaten(sent_at))
        elif answer.kind is AnswerKind.REFUSED:
            self.telemetry.trouble(f"{wait.instance_id} was not held", CallRefused(answer.text))
