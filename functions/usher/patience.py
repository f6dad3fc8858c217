"""Patience with a slow table: a look is given up while a heartbeat can still go out in time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from usher.core.model import Phase
from usher.ports import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.held_wait import HeldWait
    from usher.core.model import Action, Result
    from usher.core.reconcile import Activity
    from usher.looks import Looks
    from usher.ports import Answer, AutoScaling, Budget, Raw, ResultLimits, Store

_FOR_THE_BEAT: Final = timedelta(seconds=4)  # before the expiry: an attempt, and its way
_LEAST: Final = timedelta(seconds=2)  # so long the table is asked in any case
_AWAY_FOR: Final = timedelta(seconds=5)  # a container that met no answer does not ask again


@dataclass(slots=True)
class Away:
    """Whether the table (or what else it is of) failed a moment ago, as far as this container knows."""

    lasts: timedelta = _AWAY_FOR
    until: datetime | None = None

    def noted(self, now: datetime) -> None:
        """It does not answer."""
        self.until = now + self.lasts

    def is_on(self, now: datetime) -> bool:
        """Whether that was so a moment ago."""
        return self.until is not None and now < self.until

    def check(self, now: datetime) -> None:
        """Raises Unavailable where it is not asked now."""
        if self.is_on(now):
            raise Unavailable("the table did not answer a moment ago")


def in_time(looks: Looks, wait: HeldWait | None) -> Looks:
    """The looks, for one look that is Unavailable where the table is too slow to hold `wait`.

    The limit falls where a call goes out, or a result is stored: from there on nothing is pressing.
    """
    if wait is None:
        return looks
    limit = _Limit(until=max(looks.clock() + _LEAST, wait.expires_at - _FOR_THE_BEAT), clock=looks.clock)
    return replace(
        looks,
        store=cast("Store", _HurriedStore(looks.store, limit)),
        budget=cast("Budget", _Hurried(looks.budget, limit)),
        limits=cast("ResultLimits", _Hurried(looks.limits, limit)),
        auto_scaling=_Calling(calls=looks.auto_scaling, limit=limit),
    )


@dataclass(slots=True)
class _Limit:
    until: datetime | None
    clock: Callable[[], datetime]

    def check(self, what: str) -> None:
        if self.until is not None and self.clock() >= self.until:
            raise Unavailable(f"the table is too slow for {what}")

    def lift(self) -> None:
        self.until = None


class _Hurried:
    """A port of the table's, within a limit."""

    def __init__(self, port: object, limit: _Limit) -> None:
        self._port = port
        self._limit = limit

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._port, name)

        def within(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the method takes
            self._limit.check(name)
            return method(*given, **named)

        return within


class _HurriedStore(_Hurried):
    def save(self, action: Action, *, raw: Raw | None = None) -> None:
        """A result that was decided is stored, however long that takes."""
        if action.phase is not Phase.OPEN:
            self._limit.lift()
        self._limit.check("save")
        cast("Store", self._port).save(action, raw=raw)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Calling:
    calls: AutoScaling
    limit: _Limit

    def heartbeat(self, action: Action) -> Answer:
        """As usher.ports.AutoScaling."""
        self.limit.lift()
        return self.calls.heartbeat(action)

    def complete(self, action: Action, result: Result) -> Answer:
        """As usher.ports.AutoScaling."""
        self.limit.lift()
        return self.calls.complete(action, result)

    def ongoing(self, action: Action) -> Activity | None:
        """As usher.ports.AutoScaling."""
        return self.calls.ongoing(action)
