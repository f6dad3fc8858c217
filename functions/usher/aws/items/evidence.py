"""What was heard of instances and their moves, whether or not an action is known yet."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.aws import evidence_format, table
from usher.aws.items.base import LAST, TRACE_KEPT
from usher.aws.items.pauses import PauseItems
from usher.aws.items.signals import SIGNAL, SignalItems
from usher.aws.record_format import UNREADABLE, note_from_data, note_to_data
from usher.core import evidence, iso_time
from usher.ports.records import ALL_HOOKS, Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from usher.aws.table import Item
    from usher.core.action import Action, ActivityEnd, OperatorNote

_HEARD_KEPT: Final = timedelta(days=1)
_END_KEPT: Final = timedelta(days=4)  # twice the longest wait
_ENDED: Final = "HEARD#ENDED"
_STATE_OF_EC2: Final = "HEARD#STATE"
_RELEASE: Final = "HEARD#RELEASE"


class EvidenceItems(SignalItems, PauseItems):
    """The ends of moves and instances, and what an evaluation reads of them, of signals and of pauses."""

    def keep_move_end(self, activity_end: ActivityEnd) -> None:
        """See usher.ports.records.EvidenceStore."""
        heard = f"HEARD#{iso_time.stored(activity_end.ended_at)}#END#{activity_end.activity_id}"
        key = table.key(f"INSTANCE#{activity_end.instance_id}", heard)
        doc = table.as_json(evidence_format.activity_end_to_data(activity_end))
        self._table.keep(key, {"move_end": doc}, self._clock() + _HEARD_KEPT)

    def keep_instance_end(self, instance_id: str, ended_at: datetime) -> None:
        """See usher.ports.records.EvidenceStore. The first word counts."""
        key = table.key(f"INSTANCE#{instance_id}", _ENDED)
        self._table.keep(key, {"ended_at": table.text(iso_time.stored(ended_at))}, self._clock() + _END_KEPT)

    def keep_instance_state(self, instance_id: str, at: datetime, *, is_stopped: bool) -> None:
        """See usher.ports.records. Of two words of one time the one counts that lets go of nothing."""
        said = table.text(iso_time.stored(at))
        stopped: Item = {"stopped_at": said} if is_stopped else {}
        self._table.store(
            table.key(f"INSTANCE#{instance_id}", _STATE_OF_EC2),
            {"told_at": said, **stopped},
            self._clock() + TRACE_KEPT,
            "attribute_not_exists(pk) OR told_at < :at"
            if is_stopped
            else "attribute_exists(pk) AND told_at <= :at",
            {":at": said},
        )

    def keep_release(self, instance_id: str, order: OperatorNote) -> None:
        """See usher.ports.records.EvidenceStore."""
        key = table.key(f"INSTANCE#{instance_id}", _RELEASE)
        self._table.store(key, {"release": table.as_json(note_to_data(order))}, self._clock() + _END_KEPT)

    def evidence(self, action: Action) -> Evidence:
        """See usher.ports.records.EvidenceStore."""
        oldest = iso_time.stored(evidence.counts_from(action, self._clock()))
        bounds = (f"HEARD#{oldest}", f"{SIGNAL}{LAST}")
        heard = self._table.between(f"INSTANCE#{action.instance_id}", bounds, consistent=True)
        of_token = self._table.items(f"TOKEN#{action.token}", SIGNAL) if action.token is not None else []
        ended_at = next((item["ended_at"]["S"] for item in heard if "ended_at" in item), None)
        stopped_at = next((item["stopped_at"]["S"] for item in heard if "stopped_at" in item), None)
        paused = self.pauses()
        return Evidence(
            signals=tuple(self.signals_among([*heard, *of_token], action)),
            activity_ends=tuple(_move_ends(heard)),
            instance_ended_at=iso_time.parse(ended_at) if ended_at else None,
            stopped_at=iso_time.parse(stopped_at) if stopped_at else None,
            release=_release(heard),
            paused=paused.get(ALL_HOOKS, paused.get(action.hook.name)),
        )


def _release(items: Iterable[Item]) -> OperatorNote | None:
    """The order to release the instance; one that cannot be read spoils no evaluation."""
    for item in items:
        with suppress(*UNREADABLE):
            if "release" in item:
                return note_from_data(table.from_json(item, "release"))
    return None


def _move_ends(items: Iterable[Item]) -> Iterator[ActivityEnd]:
    """The outcome events among `items`; one that cannot be read spoils no evaluation."""
    for item in items:
        with suppress(*UNREADABLE):
            if "move_end" in item:
                yield evidence_format.activity_end_from_data(table.from_json(item, "move_end"))
