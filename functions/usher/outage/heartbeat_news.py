"""What heartbeats a sweep sent without the table, until a wake-up has told their records of them."""

from __future__ import annotations

from dataclasses import field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from usher.core.frozen import frozen
from usher.outage.slow_table import Away
from usher.ports.errors import Unavailable
from usher.ports.queues import WHATEVER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.held_wait import HeldWait
    from usher.ports.queues import WakeUps
    from usher.ports.telemetry import Telemetry

Place: TypeAlias = tuple[str, str, str]  # group, hook, instance
_TOLD_AFTER: Final = timedelta(minutes=1)
_QUEUE_AWAY: Final = timedelta(minutes=1)  # a send that fails may have taken seconds


@frozen
class _News:
    """What was beaten in one wait, and of how many of these beats a wake-up has been sent to tell."""

    wait: HeldWait
    sent: int = 0


@frozen
class HeartbeatNews:
    """It lasts as long as the container that has it."""

    wake_ups: WakeUps
    telemetry: Telemetry
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    queue_fails: Away = field(default_factory=partial(Away, lasts=_QUEUE_AWAY))
    of: dict[Place, _News] = field(default_factory=dict)

    def catch_up(self, has_time: Callable[[], bool]) -> None:
        """One wake-up for each wait, as far as the time goes."""
        for place, news in list(self.of.items()):
            if not has_time() or not self._is_sent(news, timedelta(0)):
                return
            del self.of[place]

    def note(self, place: Place, wait: HeldWait, sent_at: datetime) -> None:
        """Of the first beat of a wait a wake-up tells, whatever becomes of this container; of all `catch_up`.

        Where the table is away at most two are under way for a wait. What was beaten longer ago than its
        timeout was another.
        """
        known = self.of.get(place)
        if known is not None and sent_at - (known.wait.beaten_at or sent_at) > wait.timeout:
            self._is_sent(known, _TOLD_AFTER)
            known = None
        if known is not None:
            self.of[place] = replace(known, wait=known.wait.beaten(sent_at))
            return
        first = _News(wait=wait.beaten(sent_at))
        self.of[place] = replace(first, sent=int(self._is_sent(first, _TOLD_AFTER)))

    def _is_sent(self, news: _News, delay: timedelta) -> bool:
        """Whether a wake-up is under way that tells of all its beats."""
        now = self.clock()
        if news.sent == news.wait.beats:
            return True
        if self.queue_fails.is_on(now):
            return False
        wait = replace(news.wait, ends_at=now)  # it is carried on for as long as news counts
        try:
            self.wake_ups.send(self.new_id(), WHATEVER, delay, wait)
        except Unavailable as error:
            self.queue_fails.noted(now)
            self.telemetry.trouble("the heartbeats will be reported later", error)
            return False
        return True
