"""Bugs of the written form of records, and of the events that are announced of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.simulation.bugs.bug import Bug
from usher.aws import announcing, record_format
from usher.core import announce
from usher.core.action import Outcome
from usher_simulator.trials.faults import Thing
from usher_simulator.trials.judge.events_out import EventsOut
from usher_simulator.trials.judge.never_early import NeverEarly

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher.core.action import Action
    from usher.core.announce import Announcement


def _without(key: str) -> Callable[[Any], Any]:
    """The written form of an action leaves something out."""

    def made(written: Any) -> Any:
        return lambda action: {name: value for name, value in written(action).items() if name != key}

    return made


def _not_by_others(between: Any) -> Any:
    def announced(before: Action | None, after: Action) -> tuple[Announcement, ...]:
        told: tuple[Announcement, ...] = between(before, after)
        return tuple(each for each in told if each.detail.get("Outcome") != Outcome.ENDED_ELSEWHERE)

    return announced


BUGS: Final = (
    Bug(
        name="a hold is not written",
        place=record_format,
        attribute="action_to_data",
        made=_without("held"),
        found_by=NeverEarly,
        things=frozenset({Thing.OPERATED}),
    ),
    Bug(
        name="announces no end by others",
        place=announce,
        attribute="between",
        made=_not_by_others,
        found_by=EventsOut,
    ),
    Bug(
        name="announces no beginning",
        place=announcing,
        attribute="_announcements",
        made=lambda told: lambda change: told(change) if "OldImage" in change else (),
        found_by=EventsOut,
    ),
)
