"""How a command of an operator is stored: on top of the newest state, and due at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from usher.core.frozen import frozen
from usher.core.operators import CommandRefused, name_of, refuse_ended
from usher.evaluation.record_writer import TRIES, RecordWriter
from usher.evaluation.wake_ups import WakeUpScheduler
from usher.ports.errors import Moved

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.operators import Change
    from usher.ports.queues import WakeUps
    from usher.ports.records import Records
    from usher.ports.telemetry import Telemetry


@frozen
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

        The clock here may be ahead of the functions': the next evaluation never moves to a later time. Raises
        CommandRefused where `refuse` does, and where others change the action again and again.
        """
        writer = RecordWriter(
            store=self.store,
            wake_ups=WakeUpScheduler(queue=self.wake_ups, telemetry=self.telemetry, clock=self.clock),
            new_id=self.new_id,
            require_queue=True,
        )
        newest = action

        def changed(now_stored: Action) -> Action:
            nonlocal newest
            newest = now_stored
            if newest.evaluate_at is None:
                return newest
            refuse(newest)
            now = self.clock()
            return replace(change(newest, now), evaluate_at=min(now, newest.evaluate_at))

        try:
            after = writer.update(action, changed)
        except Moved as moved:
            refuse(newest)
            text = f"{name_of(action)} was changed by others {TRIES} times in the meantime: try again."
            raise CommandRefused(text) from moved
        if after is not None:
            return after
        refuse(newest)
        raise CommandRefused(f"{name_of(action)} has no record any more.")
