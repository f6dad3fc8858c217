"""How an operator's word is stored: on top of whatever is newest, and due at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from usher.core.operators import CommandRefused, name_of, refuse_ended
from usher.evaluation.wake_ups import store_and_schedule
from usher.ports.errors import Moved

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.operators import Change
    from usher.ports.queues import WakeUps
    from usher.ports.records import Records
    from usher.ports.telemetry import Telemetry

TRIES: Final = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Operators:
    """What a command that changes an action touches."""

    store: Records
    wake_ups: WakeUps
    telemetry: Telemetry
    clock: Callable[[], datetime]
    new_id: Callable[[], str]

    def change(
        self, action: Action, change: Change, refuse: Callable[[Action], None] = refuse_ended
    ) -> Action:
        """Store a change; return the action as it is stored.

        The clock here may be ahead of the functions': the next look never moves to a later time. Raises
        Refused where `refuse` does, and where others change the action again and again.
        """
        newest: Action | None = action
        for _ in range(TRIES):
            if newest is None or newest.look_at is None:
                break
            refuse(newest)
            now = self.clock()
            after = replace(
                change(newest, now),
                look_at=min(now, newest.look_at),
                version=newest.version + 1,
                look_id=self.new_id(),
            )
            try:
                self._save(after)
            except Moved:
                newest = self.store.load(action.id)
            else:
                return replace(after, unsaved=())
        refuse(newest or action)
        raise CommandRefused(f"{name_of(action)} changed {TRIES} times meanwhile: try again.")

    def _save(self, action: Action) -> None:
        def save() -> None:
            self.store.save(action)

        store_and_schedule(action, self.clock, save, self.wake_ups, self.telemetry, require_queue=True)
