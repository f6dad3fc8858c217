"""The steps of production code in a world that fails: each takes time, may fail, may be the last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from usher.ports.errors import Denied, NoAnswer, Unavailable
from usher_simulator.trials.faults import Fault, How, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from usher.core.action import Action, Signal
    from usher.core.held_wait import HeldWait
    from usher.ports.records import Evidence
    from usher_simulator.autoscaling.query_protocol import ApiError
    from usher_simulator.autoscaling.virtual_clock import VirtualClock
    from usher_simulator.trials.choosers.chooser import Chooser
    from usher_simulator.trials.faults import Faults
    from usher_simulator.trials.invocations import Invocation, Invocations

T = TypeVar("T")

_SLOW_S: Final = (1.0, 8.0)
_SENDING_S: Final = (1.0, 2.0)  # to a queue that is not reached: connecting and reading, as settings have it


@dataclass(frozen=True, kw_only=True, slots=True)
class Takes:
    """How long things take, in seconds: from, to.

    `step_s`: a store or a queue answers. `call_s`: to Auto Scaling, and as long back (aws-facts 9.4: up to
    0.6 s). `no_answer_s`: until a table that does not answer is given up; None: no time.
    """

    step_s: tuple[float, float] = (0.004, 0.03)
    call_s: tuple[float, float] = (0.02, 0.3)
    no_answer_s: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call of Auto Scaling's API as it was made of the simulated service.

    `refusal` is what the service said no with, and `is_told` whether the caller heard the answer.
    """

    at: datetime
    invocation: Invocation | None
    operation: str
    parameters: Mapping[str, Any]
    refusal: ApiError | None
    is_told: bool


class Watch:
    """Whoever is told what is done. Each listens to what it needs, so nothing here does anything."""

    def read(self, action: Action, invocation: Invocation | None) -> None:
        """An action was loaded, as it was stored then."""

    def heard(self, action: Action, evidence: Evidence, invocation: Invocation | None) -> None:
        """An evaluation was given what is known of the action's instance."""

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """A new version of an action is durable."""

    def called(self, call: Call) -> None:
        """Auto Scaling has answered a call."""

    def woken(
        self, action_id: str, stamp: int, at: datetime, wait: HeldWait | None, by: Invocation | None
    ) -> None:
        """A wake-up was asked for, to come at `at`; `by` which invocation."""

    def kept(self, signal: Signal) -> None:
        """A signal is durable."""

    def ended(self, instance_id: str) -> None:
        """That EC2 ended an instance is durable."""


class Effects:
    """Makes the steps of production code."""

    def __init__(
        self,
        clock: VirtualClock,
        invocations: Invocations,
        faults: Faults,
        chooser: Chooser,
        takes: Takes | None = None,
    ) -> None:
        self.takes = takes or Takes()
        self.clock = clock
        self.invocations = invocations
        self.faults = faults
        self.chooser = chooser

    @property
    def invocation(self) -> Invocation | None:
        """The one that runs."""
        return self.invocations.current

    def of_store(self, do: Callable[[], T], action_id: str | None = None, what: str = "store") -> T:
        """A step of the store's: `what`. Raises Unavailable: it may have been done all the same."""
        self._begin(what)
        how = self.faults.how_down(Part.STORE, self.clock())
        if how is not None:
            self.meets("store down", action_id)
            if how is How.DENIED:
                raise Denied("AccessDeniedException")
            if self.takes.no_answer_s is not None:
                self.invocations.pause(timedelta(seconds=self.takes.no_answer_s))
            raise NoAnswer("store down")
        if self.faults.hits(Fault.STORE_BUSY):
            raise self._unavailable(Fault.STORE_BUSY, action_id)
        done = do()
        self.invocations.step()
        if self.loses_answer(what):
            raise self._unavailable(Fault.STORE_ANSWER_LOST, action_id)
        return done

    def loses_answer(self, what: str) -> bool:  # noqa: ARG002 - for a subclass
        """Whether the store's answer to a step is lost."""
        return self.faults.hits(Fault.STORE_ANSWER_LOST)

    def of_queue(self, do: Callable[[], None], action_id: str | None = None) -> None:
        """A message to a queue. Raises Unavailable: it may have been sent all the same."""
        self._begin("send")
        how = self.faults.how_down(Part.QUEUES, self.clock())
        if how is How.UNREACHED:
            self.invocations.pause(timedelta(seconds=self.chooser.number(*_SENDING_S)))
        if how is not None:
            raise self._unavailable("queues down", action_id)
        if self.faults.hits(Fault.QUEUE_BUSY):
            raise self._unavailable(Fault.QUEUE_BUSY, action_id)
        do()
        self.invocations.step()
        if self.faults.hits(Fault.QUEUE_ANSWER_LOST):
            raise self._unavailable(Fault.QUEUE_ANSWER_LOST, action_id)

    def busy_with(self, action_id: str) -> None:
        """What cuts the running invocation off from now on is a fault that this action met."""
        if self.invocation is not None:
            self.invocation.actions.add(action_id)

    def saves(self, action: Action) -> None:
        """The next step of the running invocation stores this version of an action."""

    def meets(self, fault: str, action_id: str | None = None) -> None:
        """Note a fault that the running invocation meets."""
        if self.invocation is not None:
            self.invocation.faults += 1
        self.faults.met(fault, self.clock(), action_id)

    def _begin(self, what: str) -> None:
        self.invocations.step()
        self.invocations.pause(timedelta(seconds=self.chooser.number(*self.takes.step_s)), what)
        if self.faults.hits(Fault.SLOW):
            self._slow(what)

    def _slow(self, what: str) -> None:
        """Everything that the invocation is busy with comes later."""
        for action_id in self.invocation.actions if self.invocation else ():
            self.meets(Fault.SLOW, action_id)
        self.invocations.pause(timedelta(seconds=self.chooser.number(*_SLOW_S)), what)

    def _unavailable(self, fault: str, action_id: str | None) -> Unavailable:
        self.meets(fault, action_id)
        return Unavailable(fault)
