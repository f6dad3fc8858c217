"""What an evaluation does with an answer that it cannot store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.factories import an_action, at
from usher.core.decide import Heartbeat
from usher.evaluation.call_budget import CallBudget
from usher.evaluation.sender import Sender
from usher.ports.autoscaling import Answer, AnswerKind
from usher.ports.errors import Moved
from usher_simulator.fakes.memory_budget import MemoryBudget
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher.core.action import Action


class Overtaken:
    """Stores what is to be stored before a call, and is overtaken each time after it."""

    def put(self, action: Action, *, wakes: bool) -> Action:
        assert wakes
        return replace(action, version=action.version + 1)

    def update(self, action: Action, change: Callable[[Action], Action]) -> Action | None:
        change(action)
        change(replace(action, version=action.version + 1))
        raise Moved("by others")


class Accepting:
    """Auto Scaling accepts every heartbeat."""

    def heartbeat(self, _: Action) -> Answer:
        return Answer(kind=AnswerKind.ACCEPTED, text="")


def test_a_slot_for_the_next_heartbeat_that_cannot_be_stored_is_given_back() -> None:
    budget, parts = MemoryBudget(1), Recorder()
    slots = iter([at(50), at(60)])

    def booked(action: Action, _: Any) -> Action:
        slot = next(slots)
        assert budget.book(slot, slot, slot, at(0)) == slot
        return replace(action, booked_at=slot)

    sender = Sender(
        writer=Overtaken(),  # type: ignore[arg-type] # as much as is used
        auto_scaling=Accepting(),  # type: ignore[arg-type] # likewise
        call_budget=CallBudget(budget=budget, telemetry=parts),
        telemetry=parts,
        clock=lambda: at(0),
        with_timeout=lambda action, _: action,
        with_next_evaluation=booked,
        previous_booking=None,
    )

    sender.heartbeat(an_action(), Heartbeat(reason="waits", evaluate_at=at(5)), at(0))

    assert [budget.book(slot, slot, slot, at(0)) for slot in (at(50), at(60))] == [at(50), at(60)]
