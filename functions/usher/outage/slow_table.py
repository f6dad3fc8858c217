"""Patience with a slow table: an evaluation is given up while a heartbeat can still go out in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from usher.core.action import Phase
from usher.core.frozen import frozen
from usher.ports.errors import TryLater, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from usher.core.action import Action, Result
    from usher.core.held_wait import HeldWait
    from usher.core.hook_items import HookSeen
    from usher.core.live_waits import Activity
    from usher.evaluation.evaluator import Evaluator
    from usher.ports.autoscaling import Answer, AutoScaling, HooksOf
    from usher.ports.records import Raw, Store

T = TypeVar("T")
ATTEMPT: Final = timedelta(seconds=2)  # of a request to the table or a queue (usher.wiring.machine.IN_TIME)
QUESTION: Final = timedelta(seconds=6)  # to Auto Scaling (usher.wiring.machine.ONE_ATTEMPT)
BEAT: Final = timedelta(seconds=2)  # so long before the expiry a heartbeat is sent at the latest
LEAST: Final = timedelta(seconds=1)  # so long the table is asked in any case
HOLDS: Final = timedelta(seconds=2)  # for what could not be recorded: sends of 20 ms each
_AWAY_FOR: Final = timedelta(seconds=5)  # a container that met no answer does not ask again


class Away:
    """Whether the table (or what else it is of) failed a moment ago, as far as this container knows."""

    def __init__(self, lasts: timedelta = _AWAY_FOR) -> None:
        self.lasts = lasts
        self.until: datetime | None = None

    def noted(self, now: datetime) -> None:
        """It does not answer."""
        self.until = now + self.lasts

    def lifted(self) -> None:
        """It answers again."""
        self.until = None

    def is_on(self, now: datetime) -> bool:
        """Whether that was so a moment ago."""
        return self.until is not None and now < self.until

    def check(self, now: datetime) -> None:
        """Raises Unavailable where it is not asked now."""
        if self.is_on(now):
            raise Unavailable("the table did not answer a moment ago")


class RequestDeadline:
    """Until when a container begins requests to the table; None: it need not hurry.

    A request that was begun takes an ATTEMPT at most, and what is waited for comes after that.
    """

    def __init__(self, until: datetime | None = None) -> None:
        self.until = until

    def is_past(self, now: datetime, more: timedelta = timedelta(0)) -> bool:
        """Whether something would begin too late; `more`: by so much longer than an ATTEMPT it may take."""
        return self.until is not None and now + more >= self.until

    def lift(self) -> None:
        """From now on nothing is pressing."""
        self.until = None


def hurried(port: T, limit: RequestDeadline, clock: Callable[[], datetime]) -> T:
    """A port or client whose methods raise Unavailable past the limit."""
    return cast("T", _Hurried(port, limit, clock))


def hurried_evaluator(evaluator: Evaluator, wait: HeldWait | None, limit: RequestDeadline) -> Evaluator:
    """The evaluator, for one evaluation that is Unavailable where the table is too slow to hold `wait`.

    One that begins ATTEMPT + BEAT before the expiry, or sooner, leaves BEAT - LEAST at least for
    the heartbeat. The limit falls where a call goes out, or a result is stored: from there on nothing
    is pressing. After an expiry that is assumed the question what stands has its time: before, it would
    never be asked.
    """
    limit.lift()
    if wait is None:
        return evaluator
    clock = evaluator.clock
    limit.until = max(clock() + LEAST, wait.expires_at - ATTEMPT - BEAT)
    store, budget = (
        cast("Store", _HurriedStore(evaluator.store, limit, clock)),
        hurried(evaluator.budget, limit, clock),
    )
    known = evaluator.hook_timeouts
    return replace(
        evaluator,
        store=store,
        budget=budget,
        limits=hurried(evaluator.limits, limit, clock),
        auto_scaling=_Calling(calls=evaluator.auto_scaling, limit=limit, clock=clock),
        hook_timeouts=known
        and replace(
            known,
            live=_Asking(live=known.live, wait=wait, limit=limit, clock=clock),
            store=hurried(known.store, limit, clock),
            call_budget=replace(known.call_budget, budget=budget),
        ),
    )


class _Hurried:
    """A port of the table's, within a limit."""

    def __init__(self, port: object, limit: RequestDeadline, clock: Callable[[], datetime]) -> None:
        self._port = port
        self._limit = limit
        self._clock = clock

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._port, name)

        def within(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the method takes
            self._check(name)
            return method(*given, **named)

        return within

    def _check(self, what: str) -> None:
        if self._limit.is_past(self._clock()):
            raise Unavailable(f"the table is too slow for {what}")


class _HurriedStore(_Hurried):
    def save(self, action: Action, *, raw: Raw | None = None) -> None:
        """A result that was decided is stored, however long that takes."""
        if action.phase is not Phase.OPEN:
            self._limit.lift()
        self._check("save")
        cast("Store", self._port).save(action, raw=raw)


@frozen
class _Asking:
    live: HooksOf
    wait: HeldWait
    limit: RequestDeadline
    clock: Callable[[], datetime]

    def hooks_of(self, group: str) -> Sequence[HookSeen]:
        """As usher.ports.autoscaling.HooksOf."""
        now = self.clock()
        configured = self.wait.expires_at - self.wait.period + self.wait.timeout
        if now < self.wait.expires_at or now + QUESTION + BEAT >= configured:
            _check_question(self.limit, now)
        else:
            self.limit.until = now + QUESTION + LEAST
        return self.live.hooks_of(group)


@frozen
class _Calling:
    calls: AutoScaling
    limit: RequestDeadline
    clock: Callable[[], datetime]

    def heartbeat(self, action: Action) -> Answer:
        """As usher.ports.autoscaling.AutoScaling."""
        self.limit.lift()
        return self.calls.heartbeat(action)

    def complete(self, action: Action, result: Result) -> Answer:
        """As usher.ports.autoscaling.AutoScaling."""
        self.limit.lift()
        return self.calls.complete(action, result)

    def ongoing(self, action: Action) -> Activity | None:
        """As usher.ports.autoscaling.AutoScaling."""
        _check_question(self.limit, self.clock())
        return self.calls.ongoing(action)


def _check_question(limit: RequestDeadline, now: datetime) -> None:
    if limit.is_past(now, QUESTION - ATTEMPT):
        raise TryLater("there is no time to ask Auto Scaling before the heartbeat")
