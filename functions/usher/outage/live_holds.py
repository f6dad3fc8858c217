"""Holds what the live state shows waiting in our hooks, without the table (ADR 19).

Ours are those of the file, and those that were on their way out when the table was last read.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from usher.core import live_waits
from usher.core.field import ConfigurationRefused
from usher.core.frozen import frozen
from usher.core.held_wait import HeldWait
from usher.core.ownership import Terms
from usher.core.policy import Mode
from usher.evaluation.call_budget import NoCallLeft
from usher.outage.slow_table import Away
from usher.passes.failing_groups import PassedOver
from usher.ports.autoscaling import AnswerKind
from usher.ports.errors import CallRefused, GroupGone, Throttled, TryLater, Unavailable
from usher.ports.records import ALL_HOOKS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from usher.core.hook_items import Key
    from usher.core.live_waits import LiveGroup, UnrecordedWait
    from usher.core.policy import Configuration, Hook
    from usher.outage.heartbeat_news import HeartbeatNews, Place
    from usher.ports.autoscaling import Holds, LiveWaits
    from usher.ports.hooks import AllHookItems
    from usher.ports.telemetry import Telemetry

    NextSlot = Callable[[], datetime]

SHORTEST: Final = timedelta(minutes=5)  # of a heartbeat timeout: two sweeps can stand 119 s apart
_SHARE: Final = 2  # of the rate one half is left to the wake-ups
# So long after they failed wake-ups are not relied upon, unless one comes.
_IN_DOUBT: Final = timedelta(hours=2)
_DESCRIBED_FOR: Final = timedelta(minutes=10)
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_ALL: Final = "not all waiting instances were held without the table"
_UNREADABLE: Final = (KeyError, TypeError, ValueError)  # of an item that a newer release wrote


@frozen
class LiveHolds:
    """Everything that a sweep without the table touches. It remembers as long as its container lives."""

    configuration: Configuration
    live: LiveWaits
    holds: Holds
    news: HeartbeatNews
    telemetry: Telemetry
    clock: Callable[[], datetime]
    wait: Callable[[float], object]  # in seconds, as time.sleep
    calls_per_second: float
    wake_ups_fail: Away = field(default_factory=partial(Away, lasts=_IN_DOUBT))
    coming: dict[str, datetime] = field(default_factory=dict)  # by action: when wake-ups are to evaluate it
    items: AllHookItems | None = None  # None: no hook leaves the file
    leaving: dict[Key, Hook] = field(default_factory=dict)  # hooks on their way out, by group and name
    learned: Away = field(default_factory=partial(Away, lasts=_DESCRIBED_FOR))
    tried: dict[Place, datetime] = field(default_factory=dict)
    described: dict[str, tuple[datetime, Mapping[str, timedelta]]] = field(default_factory=dict)

    def run(
        self, has_time: Callable[[], bool], paused: Collection[str] = (), booked: NextSlot | None = None
    ) -> None:
        """Beat what is due, whatever was tried longest ago first, as far as the time goes.

        What is `paused` (hooks, or ALL_HOOKS) is left alone, as far as that is known. `booked`: the
        shared budget's slots, where the table answers. Else half of the rate is taken: beside the
        budget it would take from wake-ups that come after all what they need.
        """
        if ALL_HOOKS in paused:
            return
        next_slot, over = booked or self._own_slots(has_time).__next__, PassedOver(telemetry=self.telemetry)
        try:
            waits = [
                wait for group in self._groups(next_slot, over) for wait in self._in(group, next_slot, over)
            ]
            waits = [wait for wait in waits if wait.hook not in paused]
            for wait in sorted(waits, key=lambda one: (one.due_at, one.timeout)):
                self._hold(wait, next_slot)
        except NoCallLeft:
            self.telemetry.trouble(_NOT_ALL, Unavailable("no time, or no slot of the call budget, is left"))
        except (TryLater, CallRefused, Unavailable) as error:
            if isinstance(error, Throttled):
                self.telemetry.count("Throttled")
            self.telemetry.trouble(_NOT_ALL, error)

    def catch_up(self, has_time: Callable[[], bool]) -> None:
        """The table answers: have the records learn of every heartbeat, by one wake-up for each wait."""
        self._learn()
        self.news.catch_up(has_time)

    def _learn(self) -> None:
        """Which hooks are on their way out, for when the table does not answer."""
        now = self.clock()
        if self.items is None or self.learned.is_on(now):
            return
        try:
            found = [item for item in self.items.enrolled() if item.is_retiring]
        except (Unavailable, *_UNREADABLE) as error:
            self.telemetry.trouble("it is unknown which hooks are retiring", error)
            return
        self.leaving.clear()
        for item in found:
            try:
                self.leaving[item.key] = item.own_hook
            except ConfigurationRefused as error:
                self.telemetry.trouble(f"hook {item.hook} of {item.group} cannot be read", error)
        self.learned.noted(now)

    def _own_slots(self, has_time: Callable[[], bool]) -> Iterator[datetime]:
        """The times of the calls, at half of the rate. Raises NoCallLeft."""
        apart = timedelta(seconds=_SHARE / self.calls_per_second)
        next_at = self.clock()
        while has_time():
            early = next_at - self.clock()
            if early > timedelta(0):
                self.wait(early.total_seconds())
            next_at = max(next_at, self.clock()) + apart
            yield self.clock()
        raise NoCallLeft

    def _groups(self, next_slot: NextSlot, over: PassedOver) -> Iterable[LiveGroup]:
        """Those with hooks of ours; one whose pool is not told, with its own instances alone."""
        names = self.configuration.group_names
        if names is not None:
            names |= {group for group, _ in self.leaving}
        for group in self.live.live_groups(names, next_slot):
            if not self._hooks_on(group):
                continue
            if not group.has_pool:
                yield group
                continue
            whole = group
            with over.on(group.name), suppress(GroupGone):
                whole = group.with_pool(self.live.pool(group.name, next_slot))
            yield whole

    def _in(self, group: LiveGroup, next_slot: NextSlot, over: PassedOver) -> list[HeldWait]:
        """What waits in a group, and was not tried in the last half of its heartbeat timeout."""
        ours = [Terms(hook=hook) for hook in self._hooks_on(group).values()]
        found = [
            one
            for one in live_waits.unrecorded(group, ours)
            if one.hook.heartbeat_timeout >= SHORTEST and one.policy.mode is Mode.ENFORCE
        ]
        if not found:
            return []
        live: Mapping[str, timedelta] = {}
        with over.on(group.name):
            live = self._standing(group.name, next_slot)
        waits = [self._wait(one, live[one.hook.name]) for one in found if one.hook.name in live]
        now = self.clock()
        return [wait for wait in waits if wait.due_at <= now]

    def _hooks_on(self, group: LiveGroup) -> Mapping[str, Hook]:
        """Ours, by name. What began in a hook on its way out is to be finished under its policy."""
        leaving = {hook: of for (name, hook), of in self.leaving.items() if name == group.name}
        return leaving | live_waits.hooks_on(self.configuration.hooks, group)

    def _wait(self, one: UnrecordedWait, live: timedelta) -> HeldWait:
        timeout = min(live, one.hook.heartbeat_timeout)
        instance_id = one.member.instance_id
        tried_at = self.tried.get((one.group, one.hook.name, instance_id))
        since = tried_at or _LONG_AGO
        return HeldWait(
            group=one.group,
            hook=one.hook.name,
            instance_id=instance_id,
            token=None,
            timeout=timeout,
            timeout_assumed=False,
            due_at=since + timeout / 2 if tried_at else _LONG_AGO,
            lead=timeout / 2,
            expires_at=since + timeout,
            ends_at=one.seen_at,  # nobody knows: what is carried on is news only
            chain=f"live/{instance_id}/{one.hook.name}/{one.seen_at.timestamp():.0f}",
            is_over=True,
            is_recorded=False,
        )

    def _standing(self, group: str, next_slot: NextSlot) -> Mapping[str, timedelta]:
        """The heartbeat timeouts of the hooks that stand on a group."""
        until, known = self.described.get(group, (None, {}))
        if until is None or until <= self.clock():
            now = next_slot()
            try:
                hooks = self.live.hooks_of(group)
            except (CallRefused, GroupGone) as error:
                self.telemetry.trouble(f"the hooks of {group} could not be described", error)
                return known
            known = {hook.name: hook.settings.heartbeat_timeout for hook in hooks}
            self.described[group] = (now + _DESCRIBED_FOR, known)
        return known

    def _hold(self, wait: HeldWait, next_slot: NextSlot) -> None:
        sent_at = next_slot()
        answer = self.holds.hold(wait)
        if answer.kind is AnswerKind.BUSY:
            raise Throttled(answer.text)
        if answer.kind in (AnswerKind.UNREACHED, AnswerKind.UNANSWERED):
            return  # the next sweep tries again
        place = (wait.group, wait.hook, wait.instance_id)
        self.tried[place] = sent_at
        if answer.kind is AnswerKind.ACCEPTED:
            self.telemetry.count("BeatsWithoutTable")
            self.news.note(place, wait, sent_at)
        elif answer.kind is AnswerKind.REFUSED:
            self.telemetry.trouble(f"{wait.instance_id} was not held", CallRefused(answer.text))
