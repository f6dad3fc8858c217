"""The turns of a hook with `at_once`: who may begin what its policy waits for, and who goes next.

A place is taken by a conditional store, and given back by whoever ends an action. That is only the quick
way: where all are taken, whoever asks reads the records of those that have one, so a crash loses none.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core import places
from usher.core.field import ConfigurationRefused
from usher.core.frozen import frozen
from usher.core.queue_messages import NOT_READ
from usher.ports.errors import Unavailable
from usher.ports.queues import WHATEVER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.places import Places
    from usher.evaluation.wake_ups import WakeUpScheduler
    from usher.ports.budget import PlacesKept
    from usher.ports.records import Records

NOT_READABLE: Final = (ConfigurationRefused, *NOT_READ)  # a record of a newer release
_TRIES: Final = 5
_AT_ONCE: Final = timedelta(0)


@frozen
class Turns:
    """Who may begin."""

    store: Records
    kept: PlacesKept
    wake_ups: WakeUpScheduler

    def asked(self, action: Action, now: datetime) -> Action:
        """The action: begun, if it has a place by now; else with the instances that it lets go first.

        Where nobody can say, it waits.
        """
        name = places.shared_by(action)
        try:
            for _ in range(_TRIES):
                stands = self.kept.places(name)
                after, behind = self._after(stands, action, now)
                if after is stands or self.kept.keep_places(name, after, now):
                    return _begun(action, after, now) or replace(action, behind=behind)
        except Unavailable as error:
            self.wake_ups.telemetry.trouble(f"the places of {name} could not be read", error)
        return replace(action, behind=())

    def ended(self, action: Action, now: datetime) -> None:
        """Give its place back, and wake who goes next. Never fails: who waits asks again by itself."""
        if action.hook.limits.at_once is None or not action.policy.takes_turns:
            return
        name = places.shared_by(action)
        try:
            for _ in range(_TRIES):
                stands = self.kept.places(name)
                if action.id not in stands.held and action.id not in stands.waiting:
                    return
                after = stands.without(action.id)
                if self.kept.keep_places(name, after, now):
                    self._wake(after, action.hook.limits.at_once, now)
                    return
        except Unavailable as error:
            self.wake_ups.telemetry.trouble(f"a place of {name} could not be given back", error)

    def _wake(self, after: Places, most: int, now: datetime) -> None:
        for one in after.in_line(now)[: max(0, most - len(after.held))]:
            self.wake_ups.send(one, WHATEVER, _AT_ONCE)

    def _after(self, stands: Places, action: Action, now: datetime) -> tuple[Places, tuple[str, ...]]:
        """The places once the action has asked, and the instances that it lets go first."""
        most = action.hook.limits.at_once or 0
        if action.id in stands.held:  # an evaluation took it that could not store that: nothing has begun
            return _one_version(stands, stands.given(action.id, now)), ()
        after, holders = stands, []
        if len(stands.held) >= most:
            for one, since in stands.held.items():
                try:
                    record = self.store.load(one)
                except NOT_READABLE as error:  # it may still be at it
                    self._tell(one, error)
                    continue
                if not places.keeps(record, since, now):
                    after = after.without(one)
                elif record is not None:
                    holders.append(record.instance_id)
        free = most - len(after.held)
        first = self._first(after.ahead_of(action, now), free)
        if len(first) < free:
            return _one_version(stands, after.given(action.id, now)), ()
        return _one_version(stands, after.waited_for(action, now)), tuple(holders or first)

    def _tell(self, action_id: str, error: Exception) -> None:
        """One record that cannot be read stops none of the others."""
        self.wake_ups.telemetry.trouble(f"record {action_id}, in an at_once hook, cannot be read", error)

    def _first(self, ahead: Iterable[str], free: int) -> list[str]:
        """The instances of those that go first, as many as there are free places."""
        found: list[str] = []
        for one in ahead:
            if len(found) >= free:
                break
            try:
                waiter = self.store.load(one)
            except NOT_READABLE as error:
                self._tell(one, error)
                continue
            if waiter is not None and places.is_in_line(waiter):
                found.append(waiter.instance_id)
        return found


def _begun(action: Action, after: Places, now: datetime) -> Action | None:
    since = after.held.get(action.id)
    if since is None:
        return None
    action = replace(action, began_at=since, behind=())
    return action.noted(now, "begins", f"at_once {action.hook.limits.at_once}")


def _one_version(stands: Places, after: Places) -> Places:
    """Several changes, stored as one."""
    return after if after is stands else replace(after, version=stands.version + 1)
