"""What whole lives of actions cost: calls and units, exact on any machine, and dollars by a price table.

The deployed simulation runs, without a fault, and beside its store in memory the real adapters of DynamoDB do
the same on an emulated table. The sweeps, which all actions share, are not counted, except for the wake-ups
that they send for long hooks. Nor is the one wake-up of each minute by which a sweep tells whether wake-ups
come, and the record that it loads; where it comes first, what it evaluates counts.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from moto import mock_aws

from benchmarks.prices import PRICES
from tests.contract.dynamodb import a_client, a_table
from tests.units import CountingClient, Units
from usher.aws.answers import Answers
from usher.aws.budget import BudgetTable
from usher.aws.enrolled import EnrolledHooks
from usher.aws.records import RecordTable
from usher.core.configuration import source_of
from usher.core.hook_items import Enrolled, Target
from usher.core.wanted_hooks import settings_of
from usher.ports.errors import Moved
from usher.ports.queues import WHEN_DUE
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.fakes.file_items import FileItems
from usher_simulator.fakes.memory_budget import MemoryAnswers
from usher_simulator.trials.calm import Calm
from usher_simulator.trials.condition_services import Asked
from usher_simulator.trials.deployed import CALLS_PER_SECOND, WAKE, Deployed
from usher_simulator.trials.deployment import Deployment
from usher_simulator.trials.faulty_queues import SimulatedWakeUps
from usher_simulator.trials.faulty_store import ShakyBudget, ShakyStore
from usher_simulator.trials.judge.scene import Checker
from usher_simulator.trials.trial import START

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.core.conditions.probe import Call as Question
    from usher.core.conditions.probe import Reply
    from usher.core.held_wait import HeldWait
    from usher.core.policy import Configuration
    from usher.ports.queues import Later
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.trials.condition_truths import Truth
    from usher_simulator.trials.effects import Call
    from usher_simulator.trials.functions import T
    from usher_simulator.trials.invocations import Invocation, TimeLeft
    from usher_simulator.trials.queue import Batch

STORE_CALL_S: Final = 0.0089  # 6 ms, and 0.85 ms of a processor of which 512 MB get 29 %
AWS_CALL_S: Final = 0.3
_WAKES: Final = timedelta(seconds=3)  # within it a wake-up comes that is due, and its evaluation ends
_READS: Final = ("due", "unasked", "pauses", "load", "evidence")  # of the store: methods that begin so
_REQUESTS_OF_A_MESSAGE: Final = 2  # received, deleted: Lambda does both


@dataclass(frozen=True)
class Kind:
    """A life: its hook's timeout, what is waited for, and how long that takes.

    Each notification comes by the queue, and a copy by EventBridge; in the end comes an outcome event.
    """

    timeout: str
    until: dict[str, Any]
    lasts: timedelta
    signals: bool = True  # "done", and the work is done

    @property
    def is_long(self) -> bool:
        """Whether its wake-ups are sent by the sweep."""
        return self.timeout in ("30m", "1h")


_MINUTE: Final = timedelta(minutes=1)
PERIOD: Final = timedelta(minutes=5) - timedelta(seconds=25)  # between heartbeats of a hook of five minutes
_SIGNAL: Final = {"signal": "done"}
_DRAINED: Final = {"ecs": {"state": "drained", "cluster": "web", "absent": "failed", "grace": "1h"}}
KINDS: Final[Mapping[str, Kind]] = {
    "a": Kind("5m", {"elapsed": "1s"}, _MINUTE, signals=False),
    "b": Kind("5m", _SIGNAL, 30 * _MINUTE),
    "c": Kind("5m", _DRAINED, 30 * _MINUTE, signals=False),
    "d": Kind("30s", _SIGNAL, 10 * _MINUTE),
    "e": Kind("1h", _SIGNAL, timedelta(hours=47)),
    "e2": Kind("30m", _SIGNAL, timedelta(hours=47)),
}


@dataclass
class Life:
    """What a life has used, sweeps apart."""

    invocations: Counter[str] = field(default_factory=Counter)  # by function
    sent: Counter[str] = field(default_factory=Counter)  # messages, by queue
    requests: int = 0  # in which wake-ups were sent, one or two in each
    units: Units = field(default_factory=Units)
    auto_scaling: int = 0
    asked: int = 0  # calls of conditions

    @property
    def invoked(self) -> int:
        """All invocations."""
        return self.invocations.total()

    @property
    def writes(self) -> int:
        """Write units, with those of the indexes."""
        return self.units.writes + self.units.index_writes

    @property
    def store_and_queue_calls(self) -> int:
        """Calls of DynamoDB, and the requests in which functions send messages."""
        return self.units.calls + self.requests + self.sent["questions"]

    @property
    def dollars(self) -> float:
        """For a million such lives."""
        seconds = self.store_and_queue_calls * STORE_CALL_S + (self.auto_scaling + self.asked) * AWS_CALL_S
        used = {
            "invocation": self.invoked,
            "second of a function": seconds,
            "write unit": self.writes,
            "read unit": self.units.reads,
            "queue request": _REQUESTS_OF_A_MESSAGE * self.sent.total() + self._sending,
            "log and trace of an invocation": self.invoked,
            "record": 1,
        }
        return sum(PRICES[name] * amount for name, amount in used.items())

    @property
    def _sending(self) -> int:
        """Requests, also of AWS, whose messages the owner of the queue pays for."""
        return self.requests + self.sent["questions"] + self.sent["intake"]


class _Beside:
    """A part of the simulation, and the adapter of AWS that does the same after it; both agree."""

    def __init__(self, part: object, adapter: object, is_counted: Callable[[str], bool]) -> None:
        self._part, self._adapter, self._is_counted = part, adapter, is_counted

    def __getattr__(self, name: str) -> Callable[..., Any]:
        simulated, real = getattr(self._part, name), getattr(self._adapter, name)

        def both(*given: Any, **named: Any) -> Any:
            moved = returned = None
            try:
                returned = simulated(*given, **named)
            except Moved as error:
                moved = error
            if self._is_counted(name) or not name.startswith(_READS):
                try:
                    told = real(*given, **named)
                    if isinstance(told, Iterator):  # which reads as it is taken
                        list(told)
                except Moved as error:
                    moved = error
            if moved is not None:
                raise moved
            return returned

        return both


class _CountedWakeUps:
    """Implements usher.ports.queues.WakeUps."""

    def __init__(self, wake_ups: SimulatedWakeUps, usher: Counted) -> None:
        self._wake_ups, self._usher = wake_ups, usher

    def send(self, action_id: str, stamp: int, delay: timedelta, wait: HeldWait | None = None) -> None:
        """See usher.ports.queues.WakeUps."""
        self._usher.count_request()
        self._wake_ups.send(action_id, stamp, delay, wait)

    def send_both(self, action_id: str, stamp: int, first: Later, second: Later) -> None:
        """See usher.ports.queues.WakeUps."""
        self._usher.count_request()
        self._wake_ups.send_both(action_id, stamp, first, second)


class _CountedQuestions:
    """Implements usher.ports.conditions.Calls."""

    def __init__(self, calls: Asked, usher: Counted) -> None:
        self._calls, self._usher = calls, usher

    def make(self, call: Question, members: Sequence[str] = ()) -> Reply:
        """See usher.ports.conditions.Calls."""
        self._usher.life.asked += 1
        return self._calls.make(call, members)


class _Put:
    """Implements usher.ports.hooks.HookItems: the enrolment has put every hook, and seen it lately."""

    def __init__(self, configuration: Configuration, clock: Callable[[], datetime]) -> None:
        self._configuration, self._clock = configuration, clock

    def of(self, group: str, hook: str) -> Sequence[Enrolled]:
        """See usher.ports.hooks.HookItems."""
        return [
            Enrolled(
                group=group,
                group_arn="",
                hook=hook,
                settings=settings_of(each, Target(arn=None)),
                source=source_of(each),
                put_at=START,
                seen_at=self._clock(),
            )
            for each in self._configuration.hooks
            if each.name == hook
        ]

    def enrolled(self) -> Sequence[Enrolled]:
        """None that somebody asked for."""
        return ()


class Counted(Deployment):
    """Usher, with the adapters of DynamoDB beside the parts in memory, on `client` and counted in `life`."""

    client: ClassVar[DynamoDBClient]
    kind: ClassVar[Kind]
    life = Life()

    def beside(self, part: T) -> T:
        """See Functions."""
        if isinstance(part, Asked):
            return cast("T", _CountedQuestions(part, self))
        if isinstance(part, SimulatedWakeUps):
            return cast("T", _CountedWakeUps(part, self))
        if not hasattr(self, "_name"):
            self._name = a_table(self.client)
        client = cast("DynamoDBClient", CountingClient(self.client, self._units))
        now = self.effects.invocations.now
        adapters: dict[type, Callable[[], object]] = {
            ShakyStore: lambda: RecordTable(client, self._name, now),
            ShakyBudget: lambda: BudgetTable(client, self._name, CALLS_PER_SECOND),
            MemoryAnswers: lambda: Answers(client, self._name),
            FileItems: lambda: EnrolledHooks(client, self._name, now, 1),
        }
        adapter = adapters[type(part)]()
        simulated = _Put(self.configuration, now) if isinstance(part, FileItems) else part
        return cast("T", _Beside(simulated, adapter, self._counts))

    def count_request(self) -> None:
        """Wake-ups are sent."""
        running = self.effects.invocation
        self.life.requests += self.kind.is_long or (running is not None and running.function != "sweep")

    def _new_id(self) -> str:
        """As long as a real one."""
        return str(uuid.UUID(int=int(super()._new_id().removeprefix("id-")), version=4))

    @property
    def _is_counted(self) -> bool:
        running = self.effects.invocation
        return running is not None and running.function != "sweep"

    def _counts(self, method: str) -> bool:
        """Whether the call counts: not the record that a sweep's wake-up loads, to find nothing due."""
        running = self.effects.invocation
        asked = [stamp for _, stamp in running.sent_for] if running is not None else []
        is_of_a_sweep = bool(asked) and not self.kind.is_long and set(asked) == {WHEN_DUE}
        return self._is_counted and not (is_of_a_sweep and method == "load")

    def _units(self) -> Units:
        return self.life.units if self._is_counted else Units()

    def _invoke(
        self,
        settings: Deployed,
        work: Callable[[TimeLeft], Any],
        ended: Callable[[Any, BaseException | None], None],
        batch: Batch | None = None,
    ) -> Invocation:
        if settings.function != "sweep":
            self.life.invocations[settings.function] += not self._is_of_a_sweep(settings, batch)
        if batch is not None:
            self.life.sent[settings.function] += len(batch.messages) - self._is_of_a_sweep(settings, batch)
        return super()._invoke(settings, work, ended, batch)

    def _run_sweep(self) -> None:
        """Not in the seconds in which a wake-up comes: it would do the same before it, and is not counted."""
        now = self.clock()
        if any(now - row.evaluate_at < _WAKES for row in self.memory.due(now)):
            self.clock.at(now + _WAKES, self._run_sweep)
        else:
            super()._run_sweep()

    def _is_of_a_sweep(self, settings: Deployed, batch: Batch | None) -> bool:
        """Whether it is the wake-up of each minute that tells whether wake-ups come: it names no state."""
        if batch is None or settings is not WAKE or self.kind.is_long:
            return False
        asked = [json.loads(each.body) for each in batch.messages]
        return any(each["version"] == WHEN_DUE and "wait" not in each for each in asked)


class _Calls(Checker):
    """Counts the calls of Auto Scaling."""

    usher: Counted

    def called(self, call: Call) -> None:
        """Heartbeats and results."""
        is_counted = call.invocation is not None and call.invocation.function != "sweep"
        self.usher.life.auto_scaling += is_counted and "LifecycleAction" in call.operation


class _World(Calm):
    """Two lives: after the first one, which is short, everything is known that all actions share."""

    deployment = Counted

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        super().__init__(hooks_of(kind))
        calls = _Calls(self.scene)
        calls.usher = cast("Counted", self.usher)
        self.audience.checkers.append(calls)

    def _wait_began(self, wait: Wait) -> None:
        super()._wait_began(wait)
        cast("Counted", self.usher).life = Life()
        self.asked.begins(wait, ("ecs drained",), self._kind.lasts)
        truths = cast("dict[str, Truth]", self.asked.kinds(wait.instance_id))
        truths["ecs drained"].takes = self._kind.lasts if len(self.waits["g"]) > 1 else timedelta(0)

    def live(self) -> Life:
        """Usher completes both; only the second one counts."""
        if self._kind.signals:
            self._begin(1, lasts=timedelta(0))
            self._begin(2, lasts=self._kind.lasts)
        else:
            self.grow("g", 2)
            self.pass_time(600)
            self._begin(1, lasts=timedelta(0))
            self._begin(0, lasts=self._kind.lasts)
        return cast("Counted", self.usher).life

    def _begin(self, capacity: int, lasts: timedelta) -> None:
        self.grow("g", capacity)
        self.pass_time(20)
        wait = self.waits["g"][-1]
        self.clock.run_until(max(wait.started_at + lasts, self.clock()))
        if self._kind.signals:
            self.signal(wait.instance_id, "done", "done")
        self.pass_time(600)
        if wait.ended_by is not EndedBy.CALL:
            raise AssertionError(f"the wait ended by {wait.ended_by}")


def hooks_of(kind: Kind) -> dict[str, Any]:
    """The hooks file of a life."""
    transition = "launching" if kind.signals else "terminating"
    hook = {"name": "wait", "group": "g", "transition": transition, "policy": "drain", "notify": "sqs"}
    return {
        "version": 1,
        "policies": {"drain": {"until": [kind.until]}},
        "hooks": [hook | {"heartbeat_timeout": kind.timeout}],
    }


def lived(kind: Kind) -> Life:
    """What a life of this kind uses."""
    with mock_aws():
        Counted.client, Counted.kind = a_client(), kind
        return _World(kind).live()


def main() -> None:
    """Print a line of each kind."""
    for name, kind in KINDS.items():
        life = lived(kind)
        units = life.units
        print(f"{name:3} {dict(life.invocations)} = {life.invoked} sent {dict(life.sent)}", end=" ")  # noqa: T201
        print(f"by {life.requests}", end=" ")  # noqa: T201
        print(f"calls {units.calls} RRU {units.reads} WRU {units.writes}+{units.index_writes}", end=" ")  # noqa: T201
        print(f"record {max(units.records)} AS {life.auto_scaling} AWS {life.asked} ${life.dollars:.0f}")  # noqa: T201


if __name__ == "__main__":
    main()
