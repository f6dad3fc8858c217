"""The ports of production code in a world that fails: every step takes time, may fail, may be the last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from usher.aws.queues import delay_s
from usher.core.evidence import Kept
from usher.core.queue_messages import question_body, wake_up_body
from usher.ports.errors import Denied, NoAnswer, Unavailable
from usher_simulator.autoscaling.query_protocol import ApiError
from usher_simulator.trials.faults import Fault, How, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from usher.core.action import Action, Signal
    from usher.core.held_wait import HeldWait
    from usher.ports.budget import Budget, ResultLimits
    from usher.ports.records import Due, Evidence, Raw
    from usher_simulator.autoscaling.query_protocol import Request
    from usher_simulator.autoscaling.virtual_clock import VirtualClock
    from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks
    from usher_simulator.fakes.memory_store import MemoryStore
    from usher_simulator.trials.dice import Dice
    from usher_simulator.trials.faults import Faults
    from usher_simulator.trials.invocations import Invocation, Invocations
    from usher_simulator.trials.queue import SimulatedQueue

T = TypeVar("T")

DEPTH: Final = "Depth"  # of a wake-up: how often its chain has gone through the function that sends it
_STEP_S: Final = (0.004, 0.03)  # a store or a queue answers
_CALL_S: Final = (0.02, 0.3)  # to Auto Scaling, and back (aws-facts 9.4: up to 0.6 s)
_SLOW_S: Final = (1.0, 8.0)
_TIMED_OUT_S: Final = (2.0, 4.0)  # connecting and reading, as the client's settings have it
_SENDING_S: Final = (1.0, 2.0)  # likewise, to a queue
_INDEX_LAG: Final = timedelta(seconds=1)
_LATE_S: Final = (5, 400)
_BURST: Final = 20.0


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


class Watch(Protocol):
    """Whoever is told what is done: the checkers."""

    def read(self, action: Action, invocation: Invocation | None) -> None:
        """An action was loaded, as it was stored then."""
        ...

    def heard(self, action: Action, evidence: Evidence, invocation: Invocation | None) -> None:
        """An evaluation was given what is known of the action's instance."""
        ...

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """A new version of an action is durable."""
        ...

    def called(self, call: Call) -> None:
        """Auto Scaling has answered a call."""
        ...

    def woken(
        self, action_id: str, stamp: int, at: datetime, wait: HeldWait | None, by: Invocation | None
    ) -> None:
        """A wake-up was asked for, to come at `at`; `by` which invocation."""
        ...

    def kept(self, signal: Signal) -> None:
        """A signal is durable."""
        ...

    def ended(self, instance_id: str) -> None:
        """That EC2 ended an instance is durable."""
        ...


class Effects:
    """Makes the steps of production code."""

    def __init__(self, clock: VirtualClock, invocations: Invocations, faults: Faults, random: Dice) -> None:
        self.clock = clock
        self.invocations = invocations
        self.faults = faults
        self.random = random

    @property
    def invocation(self) -> Invocation | None:
        """The one that runs."""
        return self.invocations.current

    def of_store(self, do: Callable[[], T], action_id: str | None = None) -> T:
        """A step of the store's. Raises Unavailable: it may have been done all the same."""
        self._begin()
        how = self.faults.how_down(Part.STORE, self.clock())
        if how is not None:
            self.meets("store down", action_id)
            raise Denied("AccessDeniedException") if how is How.DENIED else NoAnswer("store down")
        if self.faults.hits(Fault.STORE_BUSY):
            raise self._unavailable(Fault.STORE_BUSY, action_id)
        done = do()
        self.invocations.step()
        if self.faults.hits(Fault.STORE_ANSWER_LOST):
            raise self._unavailable(Fault.STORE_ANSWER_LOST, action_id)
        return done

    def of_queue(self, do: Callable[[], None], action_id: str | None = None) -> None:
        """A message to a queue. Raises Unavailable: it may have been sent all the same."""
        self._begin()
        how = self.faults.how_down(Part.QUEUES, self.clock())
        if how is How.UNREACHED:
            self.invocations.pause(timedelta(seconds=self.random.uniform(*_SENDING_S)))
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

    def meets(self, fault: str, action_id: str | None = None) -> None:
        """Note a fault that the running invocation meets."""
        if self.invocation is not None:
            self.invocation.faults += 1
        self.faults.met(fault, self.clock(), action_id)

    def _begin(self) -> None:
        self.invocations.step()
        self.invocations.pause(timedelta(seconds=self.random.uniform(*_STEP_S)))
        if self.faults.hits(Fault.SLOW):
            self._slow()

    def _slow(self) -> None:
        """Everything that the invocation is busy with comes later."""
        for action_id in self.invocation.actions if self.invocation else ():
            self.meets(Fault.SLOW, action_id)
        self.invocations.pause(timedelta(seconds=self.random.uniform(*_SLOW_S)))

    def _unavailable(self, fault: str, action_id: str | None) -> Unavailable:
        self.meets(fault, action_id)
        return Unavailable(fault)


class ShakyStore:
    """Implements usher.ports.records.Store on a MemoryStore that is reached step by step.

    What has no method here is handed on as it is, as one step.
    """

    def __init__(self, effects: Effects, memory: MemoryStore, watch: Watch) -> None:
        self._effects = effects
        self._memory = memory
        self._watch = watch

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Any other method of the store's."""
        method = getattr(self._memory, name)

        def step(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the method takes
            return self._effects.of_store(lambda: method(*given, **named))

        self.__dict__[name] = step
        return step

    def open(self, action: Action, raw: Raw | None) -> Action:
        """See usher.ports.records.Records."""
        self._effects.busy_with(action.id)

        def do() -> Action:
            known = self._memory.load(action.id)
            stored = self._memory.open(action, raw)
            if stored.id == action.id and known is None:
                self._watch.stored(None, stored, self._effects.invocation)
            return stored

        return self._effects.of_store(do, action.id)

    def load(self, action_id: str) -> Action | None:
        """See usher.ports.records.Records."""
        action = self._effects.of_store(lambda: self._memory.load(action_id), action_id)
        if action is not None:
            self._effects.busy_with(action_id)
            self._watch.read(action, self._effects.invocation)
        return action

    def save(self, action: Action, *, raw: Raw | None = None) -> None:
        """See usher.ports.records.Records."""
        self._change(action, lambda: self._memory.save(action, raw=raw))

    def join(self, action: Action, raw: Raw) -> None:
        """See usher.ports.records.Records."""
        self._change(action, lambda: self._memory.join(action, raw))

    def _change(self, action: Action, change: Callable[[], None]) -> None:
        self._effects.busy_with(action.id)

        def do() -> None:
            before = self._memory.load(action.id)
            change()
            after = self._memory.load(action.id)
            if after is not None and after is not before:
                self._watch.stored(before, after, self._effects.invocation)

        self._effects.of_store(do, action.id)

    def evidence(self, action: Action) -> Evidence:
        """See usher.ports.records.EvidenceStore."""
        evidence = self._effects.of_store(lambda: self._memory.evidence(action), action.id)
        self._watch.heard(action, evidence, self._effects.invocation)
        return evidence

    def keep_signal(self, signal: Signal) -> Kept:
        """See usher.ports.records.EvidenceStore."""

        def do() -> Kept:
            change = self._memory.keep_signal(signal)
            if change is not Kept.REFUSED:
                self._watch.kept(signal)
            return change

        return self._effects.of_store(do)

    def keep_instance_end(self, instance_id: str, ended_at: datetime) -> None:
        """See usher.ports.records.EvidenceStore."""

        def do() -> None:
            self._memory.keep_instance_end(instance_id, ended_at)
            self._watch.ended(instance_id)

        self._effects.of_store(do)

    def due(self, until: datetime) -> Iterable[Due]:
        """See usher.ports.records.ActionLookup. The index may lag behind the table: a row is missing."""
        rows = self._effects.of_store(lambda: self._memory.due(until))
        return [row for row in rows if not self._is_missing(row)]

    def _is_missing(self, row: Due) -> bool:
        if not self._effects.faults.hits(Fault.STALE_INDEX):
            return False
        stored = self._memory.load(row.action_id)
        last = stored.last_entry if stored else None
        is_new = last is not None and self._effects.clock() - last.last_at < _INDEX_LAG
        if is_new:
            self._effects.meets(Fault.STALE_INDEX, row.action_id)
        return is_new


class ShakyItems:
    """Implements usher.ports.hooks.EnrolmentRecords on items that are reached step by step."""

    def __init__(self, effects: Effects, items: MemoryEnrolledHooks) -> None:
        self._effects = effects
        self._items = items

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Any method of the items."""
        method = getattr(self._items, name)

        def step(*given: Any) -> Any:  # noqa: ANN401 - whatever the method takes
            return self._effects.of_store(lambda: method(*given))

        self.__dict__[name] = step
        return step

    def under(self, digest: str | None) -> ShakyItems:
        """The same items, for a writer that holds the hooks file of that digest."""
        return ShakyItems(self._effects, self._items.under(digest))


class ShakyBudget:
    """Implements usher.ports.budget.Budget: a step of the store's each."""

    def __init__(self, effects: Effects, budget: Budget) -> None:
        self._effects = effects
        self._budget = budget

    def book(self, first: datetime, best: datetime, last: datetime, now: datetime) -> datetime | None:
        """See usher.ports.budget.Budget."""
        return self._effects.of_store(lambda: self._budget.book(first, best, last, now))

    def give_back(self, booked: datetime) -> None:
        """See usher.ports.budget.Budget."""
        self._effects.of_store(lambda: self._budget.give_back(booked))

    def throttled(self, now: datetime) -> None:
        """See usher.ports.budget.Budget."""
        self._effects.of_store(lambda: self._budget.throttled(now))


class ShakyLimits:
    """Implements usher.ports.budget.ResultLimits: a step of the store's each."""

    def __init__(self, effects: Effects, limits: ResultLimits) -> None:
        self._effects = effects
        self._limits = limits

    def grant(
        self, limit: str, action_id: str, most: int, within: timedelta, now: datetime
    ) -> datetime | None:
        """See usher.ports.budget.ResultLimits."""
        return self._effects.of_store(
            lambda: self._limits.grant(limit, action_id, most, within, now), action_id
        )


class SimulatedWakeUps:
    """Implements usher.ports.queues.WakeUps on a simulated queue that loses, doubles and delays."""

    def __init__(self, effects: Effects, queue: SimulatedQueue, watch: Watch) -> None:
        self._effects = effects
        self._queue = queue
        self._watch = watch

    def send(self, action_id: str, stamp: int, delay: timedelta, wait: HeldWait | None = None) -> None:
        """See usher.ports.queues.WakeUps."""

        def do() -> None:
            seconds = timedelta(seconds=delay_s(delay))
            at, by = self._effects.clock() + seconds, self._effects.invocation
            self._watch.woken(action_id, stamp, at, wait, by)
            for _ in range(self._copies(action_id)):
                self._put(wake_up_body(action_id, stamp, wait), action_id, seconds)

        self._effects.of_queue(do, action_id)

    def _copies(self, action_id: str) -> int:
        if self._effects.faults.hits(Fault.WAKE_UP_LOST):
            self._effects.meets(Fault.WAKE_UP_LOST, action_id)
            return 0
        return 2 if self._effects.faults.hits(Fault.WAKE_UP_DOUBLED) else 1

    def _put(self, body: str, action_id: str, delay: timedelta) -> None:
        sender = self._effects.invocation
        chain = {DEPTH: str(sender.depth + 1)} if sender is not None and sender.function == "wake" else {}

        def send() -> None:
            self._queue.send(body, delay, chain)

        if not self._effects.faults.hits(Fault.WAKE_UP_LATE):
            send()
            return
        self._effects.meets(Fault.WAKE_UP_LATE, action_id)
        late = timedelta(seconds=self._effects.random.randint(*_LATE_S))
        self._effects.clock.at(self._effects.clock() + late, send)


class SimulatedQuestions:
    """Implements usher.ports.queues.Questions on a simulated queue, with the faults of the wake-ups'."""

    def __init__(self, effects: Effects, queue: SimulatedQueue) -> None:
        self._effects = effects
        self._queue = queue

    def send(self, action_id: str, turn: int, delay: timedelta) -> None:
        """See usher.ports.queues.Questions."""

        def do() -> None:
            for _ in range(self._copies(action_id)):
                self._queue.send(question_body(action_id, turn), timedelta(seconds=delay_s(delay)))

        self._effects.of_queue(do, action_id)

    def _copies(self, action_id: str) -> int:
        if self._effects.faults.hits(Fault.WAKE_UP_LOST):
            self._effects.meets(Fault.WAKE_UP_LOST, action_id)
            return 0
        return 2 if self._effects.faults.hits(Fault.WAKE_UP_DOUBLED) else 1


class SimulatedDeadLetters:
    """Implements usher.ports.queues.DeadLetters on a simulated queue."""

    def __init__(self, effects: Effects, queue: SimulatedQueue) -> None:
        self._effects = effects
        self._queue = queue

    def put(self, body: str, reason: str) -> None:
        """See usher.ports.queues.DeadLetters."""
        self._effects.of_queue(lambda: self._queue.send(body, attributes={"Reason": reason}))


class ShakyDoor:
    """What stands between Usher's client and simulated Auto Scaling: a way there and back, and limits."""

    def __init__(
        self,
        effects: Effects,
        service: Callable[[Request], Mapping[str, Any]],
        watch: Watch,
        of_call: Callable[[Mapping[str, Any]], str | None],
    ) -> None:
        self._effects = effects
        self._service = service
        self._watch = watch
        self._of_call = of_call  # the id of the action that a call is about
        self._tokens = _BURST
        self._filled_at = effects.clock()

    def __call__(self, request: Request) -> Mapping[str, Any]:
        """Answer as the service does, unless a fault is in the way."""
        effects, faults = self._effects, self._effects.faults
        action_id = self._of_call(request.parameters)
        effects.invocations.step()
        if faults.hits(Fault.UNREACHED):
            self._lose(Fault.UNREACHED, action_id)
            raise ConnectTimeoutError(endpoint_url="simulated")
        self._travel()
        answer: Mapping[str, Any] = {}
        refusal = self._refused(action_id)
        if refusal is None:
            try:
                answer = self._service(request)
            except ApiError as error:
                refusal = error
        is_lost = faults.hits(Fault.ANSWER_LOST)
        self._tell(request, refusal, is_told=not is_lost)
        effects.invocations.step()
        if is_lost:
            self._lose(Fault.ANSWER_LOST, action_id)
            raise ReadTimeoutError(endpoint_url="simulated")
        self._travel()
        if refusal is not None:
            raise refusal
        return answer

    def _tell(self, request: Request, refusal: ApiError | None, *, is_told: bool) -> None:
        self._watch.called(
            Call(
                at=self._effects.clock(),
                invocation=self._effects.invocation,
                operation=request.operation,
                parameters=request.parameters,
                refusal=refusal,
                is_told=is_told,
            )
        )

    def _travel(self) -> None:
        self._effects.invocations.pause(timedelta(seconds=self._effects.random.uniform(*_CALL_S)))

    def _lose(self, fault: Fault, action_id: str | None) -> None:
        self._effects.meets(fault, action_id)
        self._effects.invocations.pause(timedelta(seconds=self._effects.random.uniform(*_TIMED_OUT_S)))

    def _refused(self, action_id: str | None) -> ApiError | None:
        """What keeps a call from the service. Whoever is turned away has used up a call, too."""
        faults, now = self._effects.faults, self._effects.clock()
        rate = faults.swarm.calls_per_second if faults.on else None
        is_down = faults.is_down(Part.AUTO_SCALING, now)
        if is_down or (rate is not None and not self._take(rate, now)):
            self._effects.meets("Auto Scaling down" if is_down else Fault.THROTTLED, action_id)
            return ApiError("Throttling", "Rate exceeded")
        if faults.hits(Fault.CONTENDED):
            self._effects.meets(Fault.CONTENDED, action_id)
            return ApiError("ResourceContention", "There is contention", status=500)
        if faults.hits(Fault.SERVER_ERROR):
            self._effects.meets(Fault.SERVER_ERROR, action_id)
            return ApiError("InternalFailure", "We encountered an internal error", status=500)
        return None

    def _take(self, rate: float, now: datetime) -> bool:
        """One token of the bucket."""
        since = (now - self._filled_at).total_seconds()
        self._tokens, self._filled_at = min(_BURST, self._tokens + since * rate), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
