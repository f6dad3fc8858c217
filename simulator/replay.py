"""Replay: captured messages through the real handlers, at the times at which they came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from simulator.waits import EndedBy, Wait
from simulator.world import World
from usher.aws import messages
from usher.core.model import MoveEnd
from usher.core.notices import LifecycleNotice, NotUnderstood, Unrelated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulator.waits import Waits
    from usher.core.notices import Notice
    from usher.core.policy import Configuration

_NO_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)  # where no message has a time of its own
_ACTIVITY_SLACK: Final = timedelta(seconds=2)  # event times are whole seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One captured message: where it stands, when it was received if that is known, and its text."""

    source: str
    received_at: datetime | None
    body: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What became of one entry: lifecycle, test, outcome, signal, ignored, duplicate or rejected."""

    source: str
    kind: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """The world after a replay, and what became of each entry, in the order of delivery."""

    world: World
    taken: Sequence[Taken]


def replay(
    entries: Sequence[Entry], configuration: Configuration, progress: Callable[[], None] = lambda: None
) -> Replayed:
    """Replay `entries`; `progress` is called after each delivery."""
    notices = [_read(entry) for entry in entries]
    moments = _moments(entries, notices)
    started = [notice.at for notice in notices if isinstance(notice, LifecycleNotice)]
    world = World(configuration, min([*moments, *started], default=_NO_TIME))
    _begin_waits(world, configuration, notices)
    _end_waits(world, notices)
    taken: list[Taken] = []

    def deliver(entry: Entry, moment: datetime) -> None:
        def then() -> None:
            kind, reason = world.recorder.taken[-1]
            taken.append(Taken(source=entry.source, kind=kind, reason=reason))
            progress()

        world.deliver_at(moment, entry.body, then)

    for entry, moment in zip(entries, moments, strict=True):
        deliver(entry, moment)
    world.run_to_end(max(moments, default=_NO_TIME))
    return Replayed(world=world, taken=taken)


def _read(entry: Entry) -> Notice | None:
    try:
        return messages.read(entry.body)
    except NotUnderstood:
        return None


def _moments(entries: Sequence[Entry], notices: Sequence[Notice | None]) -> list[datetime]:
    """When each entry is delivered: when it was received, else at its own time, else with its neighbour."""
    own = [entry.received_at or _own_time(notice) for entry, notice in zip(entries, notices, strict=True)]
    last = next((moment for moment in own if moment is not None), _NO_TIME)
    moments = []
    for moment in own:
        last = moment or last
        moments.append(last)
    return moments


def _own_time(notice: Notice | None) -> datetime | None:
    match notice:
        case None | Unrelated():
            return None
        case MoveEnd():
            return notice.ended_at
        case _:
            return notice.at


def _begin_waits(world: World, configuration: Configuration, notices: Sequence[Notice | None]) -> None:
    """Simulated Auto Scaling opens each action at the time in its message."""
    begun: set[str] = set()
    for notice in notices:
        if not isinstance(notice, LifecycleNotice) or notice.token in begun:
            continue
        hook = configuration.hook(notice.hook, notice.group, notice.transition)
        if hook is None:
            continue
        begun.add(notice.token)
        wait = Wait(
            token=notice.token,
            group=notice.group,
            hook=notice.hook,
            instance_id=notice.instance_id,
            transition=notice.transition,
            origin=notice.origin,
            destination=notice.destination,
            heartbeat_timeout=hook.heartbeat_timeout,
            default_result=hook.default_result,
            started_at=notice.at,
            expires_at=notice.at + hook.heartbeat_timeout,
        )
        world.clock.at(notice.at, _beginning(world.waits, wait))


def _beginning(waits: Waits, wait: Wait) -> Callable[[], None]:
    return lambda: waits.begin(wait)


def _end_waits(world: World, notices: Sequence[Notice | None]) -> None:
    """A captured outcome means that someone else completed the action, at the outcome's end."""
    for notice in notices:
        if isinstance(notice, MoveEnd):
            world.clock.at(notice.ended_at, _ending(world.waits, notice))


def _ending(waits: Waits, end: MoveEnd) -> Callable[[], None]:
    def do() -> None:
        for wait in _waits_of_move(waits, end):
            if wait.is_open:
                waits.end(wait, "CONTINUE", EndedBy.OTHER)

    return do


def _waits_of_move(waits: Waits, end: MoveEnd) -> list[Wait]:
    """The waits of the move that began last before `end`, of the same origin and destination."""
    same = [
        wait
        for wait in waits.of_instance(end.instance_id)
        if (wait.origin, wait.destination) == (end.origin, end.destination)
        and wait.started_at <= end.ended_at
        and wait.transition == end.transition
    ]
    if not same:
        return []
    last = max(wait.started_at for wait in same)
    since = last if end.started_at is None else min(last, end.started_at - _ACTIVITY_SLACK)
    return [wait for wait in same if wait.started_at >= since]
