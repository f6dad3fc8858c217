"""Replay: captured messages through the real handlers, at the times at which they came."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from usher.core import messages
from usher.core.action import ActivityEnd, Signal
from usher.core.notifications import Home, LifecycleNotice, NotUnderstood, Unrelated
from usher_simulator.autoscaling.lifecycle_actions import EndedBy, Wait
from usher_simulator.replay.assumed_answers import assuming, nothing, telling, times, waits_of_move
from usher_simulator.replay.cloudtrail import take_effect, why_not
from usher_simulator.replay.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from usher.core.notifications import Notice
    from usher.core.policy import Configuration
    from usher_simulator.autoscaling.lifecycle_actions import Waits
    from usher_simulator.replay.assumed_answers import Instances, WorkDone
    from usher_simulator.replay.cloudtrail import Call

_NO_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)  # where no message has a time of its own


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One captured message: where it stands, when it was received if that is known, and its text."""

    source: str
    received_at: datetime | None
    body: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What became of one entry: lifecycle, test, outcome, signal, call, ignored, duplicate or rejected.

    `reason` is empty where nothing is to be said of it; of a signal it says why nobody may hear it.
    """

    source: str
    kind: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """The world after a replay, and what became of each entry, in the order of delivery.

    `done_at` has, by token, when `work_done` says that the work was done.
    """

    world: World
    taken: Sequence[Taken]
    work_done: WorkDone | None = None
    done_at: Mapping[str, datetime] = field(default_factory=dict)


def replay(
    entries: Sequence[Entry],
    configuration: Configuration,
    progress: Callable[[], None] = lambda: None,
    work_done: WorkDone | None = None,
    home: Home | None = None,
    calls: Sequence[Call] = (),
    instances: Instances = MappingProxyType({}),
) -> Replayed:
    """Replay `entries`; `progress` is called after each delivery. `calls` are what others did meanwhile.

    `home` is the account and Region that Usher is in; what it does not tell is what most messages tell.
    With `work_done` the probe conditions begin to hold at the time that it tells, and no captured
    outcome ends an action. `instances` are known to EC2.
    """
    home = _home(entries, home)
    notices = [_read(entry, home) for entry in entries]
    moments = _moments(entries, notices)
    waits = waits_of(configuration, notices)
    done_at = {} if work_done is None else _done_at(work_done, waits, notices)
    found = nothing if work_done is None else assuming(work_done, done_at)
    found = telling(instances, found)
    started = [notice.at for notice in notices if isinstance(notice, LifecycleNotice)]
    made = [call.at for call in calls if call.at is not None and not why_not(call, home)]
    world = World(configuration, min([*moments, *started, *made], default=_NO_TIME), found, home)
    for wait in waits:
        world.clock.at(wait.started_at, partial(world.waits.begin, wait))
    if work_done is None:
        _end_waits(world, notices)
    taken: list[Taken] = []
    ends = [_call_at(world, call, home, taken, ends=work_done is None) for call in calls]
    for entry, moment in zip(entries, moments, strict=True):
        world.deliver_at(moment, entry.body, _taking(entry, world, taken, progress))
    world.run_to_end(max([*moments, *ends], default=_NO_TIME))
    return Replayed(world=world, taken=taken, work_done=work_done, done_at=done_at)


def _taking(
    entry: Entry, world: World, taken: list[Taken], progress: Callable[[], None]
) -> Callable[[], None]:
    """To be called after a delivery: the recorder knows last what became of it."""

    def take() -> None:
        kind, reason = world.recorder.taken[-1]
        taken.append(Taken(source=entry.source, kind=kind, reason=reason))
        progress()

    return take


def _call_at(world: World, call: Call, home: Home, taken: list[Taken], *, ends: bool) -> datetime:
    """Let a call take effect at its time, and tell what became of it; when that will be."""
    reason = why_not(call, home)
    moment = world.clock() if reason or call.at is None else call.at

    def take() -> None:
        said = reason or take_effect(call, world.waits, ends=ends)
        taken.append(Taken(source=call.source, kind="ignored" if said else "call", reason=said))

    world.clock.at(moment, take)
    return moment


def _done_at(
    work_done: WorkDone, waits: Sequence[Wait], notices: Sequence[Notice | None]
) -> Mapping[str, datetime]:
    activity_ends = [notice for notice in notices if isinstance(notice, ActivityEnd)]
    signals = [notice for notice in notices if isinstance(notice, Signal)]
    return times(work_done, waits, activity_ends, signals)


def _home(entries: Sequence[Entry], given: Home | None) -> Home:
    told = [messages.home_of(entry.body) for entry in entries]
    accounts = Counter(home.account for home in told if home.account is not None)
    regions = Counter(home.region for home in told if home.region is not None)
    return Home(
        account=(given.account if given else None) or _most_common(accounts),
        region=(given.region if given else None) or _most_common(regions),
    )


def _most_common(counted: Counter[str]) -> str | None:
    """Of those that come equally often the first one."""
    return next((name for name, _ in counted.most_common(1)), None)


def _read(entry: Entry, home: Home) -> Notice | None:
    try:
        return messages.read(entry.body, home=home)
    except NotUnderstood:
        return None


def _moments(entries: Sequence[Entry], notices: Sequence[Notice | None]) -> list[datetime]:
    """When each entry is delivered: when it was received, else at its own time, else with its neighbour."""
    own = [_arrival(entry, notice) for entry, notice in zip(entries, notices, strict=True)]
    last = next((moment for moment in own if moment is not None), _NO_TIME)
    moments = []
    for moment in own:
        last = moment or last
        moments.append(last)
    return moments


def _arrival(entry: Entry, notice: Notice | None) -> datetime | None:
    """Not before the action began, whatever a wrapping tells: it may be a sample's."""
    if entry.received_at is not None and isinstance(notice, LifecycleNotice):
        return max(entry.received_at, notice.at)
    return entry.received_at or _own_time(notice)


def _own_time(notice: Notice | None) -> datetime | None:
    match notice:
        case None | Unrelated():
            return None
        case ActivityEnd():
            return notice.ended_at
        case _:
            return notice.at


def waits_of(configuration: Configuration, notices: Iterable[Notice | None]) -> list[Wait]:
    """What simulated Auto Scaling opens, each at the time in its message; of further copies nothing."""
    waits: dict[str, Wait] = {}
    for notice in notices:
        if not isinstance(notice, LifecycleNotice) or notice.token in waits:
            continue
        hook = configuration.hook(notice.hook, notice.group, notice.transition)
        if hook is None:
            continue
        waits[notice.token] = Wait(
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
    return list(waits.values())


def _end_waits(world: World, notices: Sequence[Notice | None]) -> None:
    """A captured outcome means that someone else completed the action, at the outcome's end."""
    for notice in notices:
        if isinstance(notice, ActivityEnd):
            world.clock.at(notice.ended_at, partial(_end_move, world.waits, notice))


def _end_move(waits: Waits, end: ActivityEnd) -> None:
    for wait in waits_of_move(waits.of_instance(end.instance_id), end):
        if wait.is_open:
            waits.end(wait, "CONTINUE", EndedBy.OTHER)
