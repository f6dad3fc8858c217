"""The one way to change a record: on top of whatever is newest, with the wake-ups of its next evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from usher.core.action import Phase
from usher.core.frozen import frozen, replace
from usher.evaluation.wake_ups import is_backed
from usher.ports.errors import Moved, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher.core.action import Action
    from usher.evaluation.call_budget import CallBudget
    from usher.evaluation.turns import Turns
    from usher.evaluation.wake_ups import WakeUpScheduler
    from usher.ports.records import Raw, Records

    Save = Callable[[Action], object]

TRIES: Final = 8
BOTH: Final = 2  # wake-ups: that of the next evaluation, and the one that makes up for a crash


@frozen
class RecordWriter:
    """Compare and set. `require_queue`: store nothing where the queue accepts no wake-ups.

    What is stored only to be evaluated soon would wait for a sweep.
    """

    store: Records
    wake_ups: WakeUpScheduler
    new_id: Callable[[], str]
    require_queue: bool = False

    def put(self, action: Action, save: Save | None = None, *, wakes: int = BOTH) -> Action:
        """Store the next version of `action`; return it as it is stored. Raises Moved, Unavailable.

        `save` stores it in another way than the store's own `save`. At most `wakes` wake-ups are sent; of
        none, those that were sent before count: for what is due, and for the state that `wakes_as` names.
        """
        after = replace(
            action,
            version=action.version + 1,
            evaluation_id=self.new_id(),
            wakes_as=None if wakes else action.wakes_as,
            backup_at=action.backup_at if action.is_open else None,
        )
        stored, _ = self.wake_ups.store_and_schedule(
            after, save or self.store.save, require_queue=self.require_queue, most=wakes
        )
        return stored.as_stored

    def update(
        self,
        action: Action,
        change: Callable[[Action], Action],
        save: Save | None = None,
        *,
        wakes: int = BOTH,
    ) -> Action | None:
        """Store what `change` makes of the newest state; it is asked anew where someone else was faster.

        One that decides nothing need send no wake-ups (`wakes`): those of the state before it count on.
        What is due at once needs one only, where a wake-up is on its way that makes up for a crash.

        Returns it as it is stored; None where `change` returned what it was given, or nothing is
        recorded any more. Raises Moved where others were faster TRIES times.
        """
        newest: Action | None = action
        for _ in range(TRIES):
            if newest is None or (after := change(newest)) is newest:
                return None
            if not wakes:
                after = replace(after, wakes_as=newest.wakes_as or newest.stamp)
            most = min(wakes, 1) if self._is_hint(newest, after) else wakes
            try:
                return self.put(after, save, wakes=most)
            except Moved:
                newest = self.store.load(action.id)
        raise Moved(f"action {action.id} was changed by others {TRIES} times")

    def _is_hint(self, before: Action, after: Action) -> bool:
        """Whether `after` is to be evaluated now, and would be anyway, in time, by a wake-up of `before`."""
        now = self.wake_ups.clock()
        is_due = after.phase is Phase.OPEN and after.evaluate_at is not None and after.evaluate_at <= now
        return is_due and before.phase is Phase.OPEN and is_backed(before, now)

    def note(
        self,
        action: Action,
        change: Callable[[Action], Action],
        save: Save | None = None,
        *,
        wakes: int = BOTH,
    ) -> None:
        """As `update`; raises Unavailable where others were faster each time: deliver the message again."""
        try:
            self.update(action, change, save, wakes=wakes)
        except Moved as moved:
            raise Unavailable(str(moved)) from moved

    def open(self, action: Action, raw: Raw | None) -> tuple[Action, bool]:
        """Record a new action; return what is recorded of its token, and whether a wake-up was taken.

        Another one may have been first. A queue that takes no wake-ups does not keep it from being recorded.
        """
        stored = action

        def store(action: Action) -> None:
            nonlocal stored
            stored = self.store.open(action, raw)

        _, is_woken = self.wake_ups.store_and_schedule(action, store)
        return stored, is_woken


@frozen
class EvaluationWriter(RecordWriter):
    """As RecordWriter. A slot and a place that the action needs no more are given back."""

    call_budget: CallBudget
    turns: Turns

    def put(self, action: Action, save: Save | None = None, *, wakes: int = BOTH) -> Action:
        """See RecordWriter."""
        after = super().put(action, save, wakes=wakes)
        if not after.is_open:
            now = self.wake_ups.clock()
            self.call_budget.release(after, now)
            self.turns.ended(after, now)
        return after
