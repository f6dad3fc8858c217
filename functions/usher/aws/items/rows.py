"""The rows of the index of actions, as values."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from usher.aws.items import state
from usher.aws.record_format import UNREADABLE
from usher.core import iso_time
from usher.core.action import Transition
from usher.core.wait_moves import WaitKind
from usher.ports.records import ClosedRow, Due, OpenRow, Unasked

if TYPE_CHECKING:
    from usher.aws.table import Item

_TRANSITIONS: Final = {"L": Transition.LAUNCHING, "T": Transition.TERMINATING}
_PLACES: Final = {short: place for place, short in state.SHORT.items()}


def due(item: Item) -> Due:
    """An open action as the sweep reads it."""
    return Due(
        action_id=_action_id(item),
        evaluate_at=iso_time.parse((item.get("listed_at") or item["look_at"])["S"]),
        expires_at=iso_time.parse(item["expires_at"]["S"]),
    )


def unasked(item: Item) -> Unasked:
    """A turn of questions. The release before shows its number as `version`."""
    return Unasked(
        action_id=_action_id(item),
        turn=int((item.get("turn") or item["version"])["N"]),
        sweep_at=iso_time.parse((item.get("listed_at") or item["look_at"])["S"]),
    )


def open_row(item: Item) -> OpenRow:
    """An open action in short. Its wait is left out where a newer release says more of it."""
    return OpenRow(
        action_id=_action_id(item),
        group=item["group"]["S"],
        hook=item["hook"]["S"],
        instance_id=item["instance_id"]["S"],
        expires_at=iso_time.parse(item["expires_at"]["S"]),
        wait=_wait(item["wait"]["S"]) if "wait" in item else None,
    )


def open_row_before(item: Item) -> OpenRow:
    """The same of a record that the release before has stored."""
    group, hook = state.hook_of(item)
    wait = None
    with suppress(*UNREADABLE):
        wait = WaitKind.of(state.from_item(item))
    return OpenRow(
        action_id=_action_id(item),
        group=group,
        hook=hook,
        instance_id=state.instance_of(item),
        expires_at=iso_time.parse(item["expires_at"]["S"]),
        wait=wait,
    )


@lru_cache(maxsize=1024)  # thousands of rows have a few kinds
def _wait(text: str) -> WaitKind | None:
    with suppress(ValueError, KeyError):
        kind, origin, destination = text.split(",", 2)
        return WaitKind(
            transition=_TRANSITIONS[kind[:1]],
            origin=_PLACES.get(origin, origin) or None,
            destination=_PLACES.get(destination, destination) or None,
            heartbeat_timeout=timedelta(seconds=int(kind[1:].removesuffix(state.ASSUMED))),
            timeout_assumed=kind.endswith(state.ASSUMED),
        )
    return None


def closed_row(item: Item) -> ClosedRow:
    """A closed action in short."""
    texts = {name: value["S"] for name, value in item.items() if "S" in value}
    return ClosedRow(
        action_id=_action_id(item),
        group=texts["group"],
        hook=texts["hook"],
        transition=_TRANSITIONS.get(texts["wait"][:1]),
        instance_id=texts["instance_id"],
        started_at=iso_time.parse(texts["started_at"]),
        closed_at=iso_time.parse(texts["listed_at"]),
        outcome=texts["outcome"],
        result=texts.get("result"),
        reason=texts.get("reason", ""),
    )


def _action_id(item: Item) -> str:
    return item["pk"]["S"].removeprefix("ACTION#")
