"""The moves of an instance in which a hook can hold it, and the wait states that show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from usher.core.action import Transition
from usher.core.frozen import frozen

if TYPE_CHECKING:
    from datetime import timedelta

    from usher.core.action import Action

EC2: Final = "EC2"
GROUP: Final = "AutoScalingGroup"
POOL: Final = "WarmPool"
_LAUNCHING: Final = "Launching a new EC2 instance"
_UNDER_WAY: Final = {
    Transition.LAUNCHING: ("Pending", "Warmed:Pending"),
    Transition.TERMINATING: ("Terminating", "Warmed:Terminating", "Warmed:Pending", "ReplacingRootVolume"),
}
_PASSED: Final = (":Proceed", ":Retained")


@frozen
class WaitMove:
    """A wait state and the move that an instance makes in it (aws-facts 2.8, 2.9)."""

    state: str
    transition: Transition
    origin: str
    destination: str
    description: str  # in the Description of its scaling activity (aws-facts 9.13; of root volumes: assumed)


def _move(state: str, transition: Transition, origin: str, destination: str, description: str) -> WaitMove:
    return WaitMove(
        state=state, transition=transition, origin=origin, destination=destination, description=description
    )


WAIT_MOVES: Final = (
    _move("Pending:Wait", Transition.LAUNCHING, EC2, GROUP, f"{_LAUNCHING}: "),
    _move("Pending:Wait", Transition.LAUNCHING, POOL, GROUP, f"{_LAUNCHING} from warm pool: "),
    _move("Pending:Wait", Transition.LAUNCHING, GROUP, GROUP, "root volume"),
    _move("Warmed:Pending:Wait", Transition.LAUNCHING, EC2, POOL, f"{_LAUNCHING} into warm pool: "),
    _move("Warmed:Pending:Wait", Transition.TERMINATING, GROUP, POOL, "Scaling in EC2 instance"),
    _move("Terminating:Wait", Transition.TERMINATING, GROUP, EC2, "Terminating EC2 instance"),
    _move("Warmed:Terminating:Wait", Transition.TERMINATING, POOL, EC2, "Terminating EC2 instance"),
    _move("ReplacingRootVolume:Wait", Transition.TERMINATING, GROUP, GROUP, "root volume"),
)


def moves_of(state: str, description: str = "") -> tuple[WaitMove, ...]:
    """The moves in which an instance in `state` may be; all of them where the description tells none."""
    here = tuple(move for move in WAIT_MOVES if move.state == state)
    return tuple(move for move in here if description and move.description in description) or here


@frozen
class WaitKind:
    """What kind of wait an open action is."""

    transition: Transition
    origin: str | None
    destination: str | None
    heartbeat_timeout: timedelta
    timeout_assumed: bool  # as Action.timeout_assumed

    @classmethod
    def of(cls, action: Action) -> WaitKind:
        """That of an action."""
        return cls(
            transition=action.hook.transition,
            origin=action.origin,
            destination=action.destination,
            heartbeat_timeout=action.hook.heartbeat_timeout,
            timeout_assumed=action.timeout_assumed,
        )

    def shows_in(self, state: str) -> bool:
        """Whether an instance in `state` may wait so. What a message did not tell is no difference."""
        return any(
            move.transition is self.transition
            and self.origin in (None, move.origin)
            and self.destination in (None, move.destination)
            for move in moves_of(state)
        )


def waits_in(action: Action, state: str) -> bool:
    """Whether an instance in `state` may wait in `action`."""
    return WaitKind.of(action).shows_in(state)


def may_wait(state: str, transition: Transition | None) -> bool:
    """Whether an instance in `state` waits in hooks of a transition, or is on its way to them.

    Of a transition that this release does not know, every move counts.
    """
    every = tuple(begin for begins in _UNDER_WAY.values() for begin in begins)
    begins = every if transition is None else _UNDER_WAY[transition]
    return state.startswith(begins) and not state.endswith(_PASSED)
