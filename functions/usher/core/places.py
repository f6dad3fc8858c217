"""The places of a hook with `at_once`: who has one, who waits for one, and who goes first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.action import Phase
from usher.core.frozen import frozen
from usher.core.limits import Sharing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from usher.core.action import Action

MOST_WAITING: Final = 50  # that are listed: those whose global timeout is nearest
ASKED_WITHIN: Final = timedelta(minutes=5)  # who has not asked for so long keeps nobody waiting
_NOTED_EVERY: Final = timedelta(minutes=2)  # so that many who wait do not store at each try
PATIENCE_OUTLASTED: Final = timedelta(minutes=1)  # by a place: a result is sent first, then the next begins


@frozen
class Waiting:
    """An action that waits for a place: when its global timeout ends it, and when it asked last."""

    ends_at: datetime
    asked_at: datetime


@frozen
class Places:
    """By action id: since when it has a place; and who waits. Each change makes the next version."""

    held: Mapping[str, datetime]
    waiting: Mapping[str, Waiting]
    version: int = 0

    def given(self, action_id: str, now: datetime) -> Places:
        """With a place for an action."""
        return self._next({**self.held, action_id: now}, _without(action_id, self.waiting))

    def without(self, action_id: str) -> Places:
        """Without an action: it has ended."""
        held = {one: since for one, since in self.held.items() if one != action_id}
        return self._next(held, _without(action_id, self.waiting))

    def waited_for(self, action: Action, now: datetime) -> Places:
        """With an action that waits. The same, where that was noted a moment ago."""
        known = self.waiting.get(action.id)
        if known is not None and known.ends_at == action.ends_at and now - known.asked_at < _NOTED_EVERY:
            return self
        listed = {**self.waiting, action.id: Waiting(ends_at=action.ends_at, asked_at=now)}
        listed = {one: each for one, each in listed.items() if now - each.asked_at <= ASKED_WITHIN}
        nearest = sorted(listed, key=lambda one: (listed[one].ends_at, one))[:MOST_WAITING]
        kept = {one: listed[one] for one in nearest}
        return self if kept == self.waiting else self._next(self.held, kept)

    def ahead_of(self, action: Action, now: datetime) -> list[str]:
        """Who waits and goes before an action, the first one first."""
        return [
            one
            for one in self.in_line(now)
            if one != action.id and (self.waiting[one].ends_at, one) < (action.ends_at, action.id)
        ]

    def in_line(self, now: datetime) -> list[str]:
        """Who waits, the one with the nearest global timeout first."""
        asked = [one for one, each in self.waiting.items() if now - each.asked_at <= ASKED_WITHIN]
        return sorted(asked, key=lambda one: (self.waiting[one].ends_at, one))

    def _next(self, held: Mapping[str, datetime], waiting: Mapping[str, Waiting]) -> Places:
        return Places(held=held, waiting=waiting, version=self.version + 1)


NONE: Final = Places(held={}, waiting={})


def shared_by(action: Action) -> str:
    """What names the places that an action shares with others."""
    hook = action.hook
    of_group = hook.limits.at_once_per is Sharing.GROUP or not hook.limited_with
    return f"{hook.name} of {f'the group {hook.group}' if of_group else hook.limited_with}"


def keeps(holder: Action | None, since: datetime, now: datetime) -> bool:
    """Whether an action keeps its place: while its record is open, and for as long as its patience."""
    if holder is None or not holder.is_open:
        return False
    begun = holder if holder.began_at is not None else replace(holder, began_at=since)
    return now < begun.give_up_at + PATIENCE_OUTLASTED


def is_in_line(waiter: Action | None) -> bool:
    """Whether an action still waits for its turn: one that is held by an operator lets others go first."""
    if waiter is None or waiter.phase is not Phase.OPEN or waiter.operator_hold is not None:
        return False
    return waiter.awaits_turn


def _without(action_id: str, waiting: Mapping[str, Waiting]) -> dict[str, Waiting]:
    return {one: each for one, each in waiting.items() if one != action_id}
