"""The world of a scene, and what a consumer is given of it: calls, pauses, queues, and a count of its use."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from botocore.exceptions import ReadTimeoutError

from benchmarks import storm_plan
from benchmarks.arena.scenes import COMPLETE, HEARTBEAT, Scene
from benchmarks.storm_world import StormWorld
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.autoscaling.query_protocol import ApiError, Request
from usher_simulator.trials.invocations import Invocation, Invocations
from usher_simulator.trials.queue import EventSourceMapping, SimulatedQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from benchmarks.storm_plan import Held, Storm
    from benchmarks.storm_world import Door
    from usher_simulator.autoscaling.virtual_clock import VirtualClock
    from usher_simulator.trials.effects import Call as MadeCall
    from usher_simulator.trials.queue import Batch

T = TypeVar("T")

_TRIES: Final = 5  # as boto3 has it that says nothing else
_MOST_RECEIVES: Final = 5
_TRANSIENT: Final = ("Throttling", "ResourceContention", "InternalFailure")
_LOOKED_AFTER: Final = timedelta(minutes=1)
_AFTER: Final = timedelta(minutes=30)
AT_ONCE_OF_LAMBDA: Final = 1000  # an account's concurrency
AN_EXECUTION: Final = "an execution"  # of a workflow: it runs in the service, so nobody can kill it
_EARLIER: Final = "00000000-0000-4000-8000-000000000000"
_DOES_NOT_END: Final = timedelta(hours=48)


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a notification tells. `beaten_at`: what a consumer may note of its last heartbeat."""

    instance_id: str
    token: str
    beaten_at: datetime


class Killing(Invocations):
    """Kills what runs at `kills_at`, or next, before its next step."""

    def __init__(self, clock: VirtualClock, kills_at: datetime | None) -> None:
        super().__init__(clock, lambda *_: None)
        self._kills_at = kills_at

    def step(self) -> None:
        """See Invocations."""
        running = self.current if self.current and self.current.function != AN_EXECUTION else None
        if running is not None and self._kills_at is not None and self._clock() >= self._kills_at:
            self._kills_at = None
            running.cut_at = running.steps + 1
        super().step()


class SceneWorld(StormWorld):
    """Runs a scene, or a storm."""

    def __init__(self, storm: Storm) -> None:
        self.scene = storm if isinstance(storm, Scene) else None
        self._answers_lost = 0
        self._held = {held.instance_id: held for held in storm.instances}
        super().__init__(storm)

    def run(self) -> None:
        """Until every wait is over, and somewhat longer, for what is left of messages."""
        while len(self.waits) < self.storm.held or any(wait.is_open for wait in self.waits.values()):
            self.clock.run_until(self.clock() + _LOOKED_AFTER)
        self.clock.run_until(self.clock() + _AFTER)

    def called(self, call: MadeCall) -> None:
        """Heartbeats and results are counted; what is described for all instances is not."""
        if call.operation in (HEARTBEAT, COMPLETE):
            super().called(call)

    @property
    def lost_instances(self) -> int:
        """Those whose wait was ended by a default, or by a result before their work was done."""
        return sum(map(self._is_lost, self._held.values()))

    def _is_lost(self, held: Held) -> bool:
        wait = self.waits[held.instance_id]
        return wait.ended_by is not EndedBy.CALL or (wait.ended_at or held.done_at) < held.done_at

    def _make_invocations(self) -> Invocations:
        kills_at = self.scene.kills_at if self.scene is not None else None
        return Killing(self.clock, None if kills_at is None else storm_plan.START + kills_at)

    def _door_before(self, door: Door) -> Door:
        def scene_door(request: Request) -> Mapping[str, Any]:
            if self._is_throttled(request.operation):
                self.calls += 1
                raise ApiError("Throttling", "Rate exceeded")
            answer = door(request)
            if self.scene is not None and self.scene.loses_answer and request.operation == COMPLETE:
                self._answers_lost += 1
                if self._answers_lost == 1:
                    raise ReadTimeoutError(endpoint_url="simulated")
            return answer

        return scene_door

    def _is_throttled(self, operation: str) -> bool:
        throttled = self.scene.throttled if self.scene is not None else None
        if throttled is None or throttled.operation != operation:
            return False
        return throttled.since <= self.clock() - storm_plan.START < throttled.until

    def delivered(self, body: str) -> None:
        """As often as the scene has it; the copies by EventBridge are lost where the others are."""
        if self.scene is not None and self.scene.stale_first and "detail-type" not in body:
            self.take(json.dumps(json.loads(body) | {"LifecycleActionToken": _EARLIER}))
        is_signal = "usher.signal" in body
        for _ in range(1 if self.scene is None or is_signal else self.scene.copies):
            self.take(body)

    def take(self, body: str) -> None:
        """A notification, or an event, arrives."""
        super().delivered(body)


class Consumer:
    """A way to hold instances. One is made for each scene. Names are of prices.PRICES."""

    name: ClassVar[str]

    def __init__(self, world: ConsumerWorld) -> None:
        self.world = world

    def notified(self, told: Told) -> None:
        """A notification arrives."""
        raise NotImplementedError


class ConsumerWorld(SceneWorld):
    """A scene with a consumer in it."""

    def __init__(self, storm: Storm, consumer: Callable[[ConsumerWorld], Consumer]) -> None:
        super().__init__(storm)
        self.used: dict[str, float] = defaultdict(float)
        self.consumer = consumer(self)

    def take(self, body: str) -> None:
        """A notification is for the consumer; copies by EventBridge come too late for a hook of a minute."""
        message = json.loads(body)
        if "LifecycleActionToken" in message:
            token, instance_id = message["LifecycleActionToken"], message["EC2InstanceId"]
            self.consumer.notified(Told(instance_id=instance_id, token=token, beaten_at=self.clock()))

    # -- what a consumer is given ---------------------------------------------------------------

    @property
    def heartbeat_timeout(self) -> timedelta:
        """Of the hook."""
        return self.storm.heartbeat_timeout

    def is_done(self, instance_id: str) -> bool:
        """Whoever knows of the work is asked: ECS, Kubernetes, a tag, the program itself."""
        self.invocations.step()
        return self.clock() >= self._held[instance_id].done_at

    def when_done(self, instance_id: str, do: Callable[[], None]) -> None:
        """The program on the instance does something when its work is done."""
        self.clock.at(max(self._held[instance_id].done_at, self.clock()), do)

    def heartbeat(self, told: Told, tries: int = _TRIES) -> Told:
        """Raises ApiError or ReadTimeoutError once the SDK has given up."""
        self._call(HEARTBEAT, told, tries)
        return replace(told, beaten_at=self.clock())

    def complete(self, told: Told, tries: int = _TRIES) -> None:
        """Raises as above. An answer that no such action is active is a success: there is none left."""
        self._call(COMPLETE, told, tries, LifecycleActionResult="CONTINUE")

    def pause(self, span: timedelta) -> None:
        """Sleep, for as long as the function lives."""
        self.invocations.pause(span)

    def start(
        self,
        function: str,
        work: Callable[[], T],
        ended: Callable[[BaseException | None], None],
        timeout: timedelta = _DOES_NOT_END,
    ) -> None:
        """Run something from now on; `ended` is told with what it failed."""
        began = self.clock()

        def end(_: T | None, error: BaseException | None) -> None:
            self.used[f"second of {function}"] += (self.clock() - began).total_seconds()
            ended(error)

        invocation = Invocation(function=function, timeout=timeout)
        self.clock.at(began, lambda: self.invocations.start(invocation, lambda _: work(), end))

    def function_of_queue(self, work: Callable[[str], None], timeout: timedelta) -> SimulatedQueue:
        """A queue, and a small function that takes one message at a time."""
        queue = SimulatedQueue(self.clock, visibility_timeout=6 * timeout, most_receives=_MOST_RECEIVES)

        def invoke(batch: Batch, ended: Callable[[Collection[str] | None], None]) -> None:
            self.used["queue request"] += 3  # sent, received, deleted
            self.used["invocation"] += 1
            self.used["log and trace of an invocation"] += 1
            self.start(
                "a small function",
                lambda: work(batch.messages[0].body),
                lambda error: ended(None if error else ()),
                timeout,
            )

        EventSourceMapping(self.clock, queue, invoke, batch_size=1, most_at_once=AT_ONCE_OF_LAMBDA)
        return queue

    def _call(self, operation: str, told: Told, tries: int, **more: str) -> None:
        parameters = {
            "AutoScalingGroupName": storm_plan.GROUP,
            "LifecycleHookName": storm_plan.HOOK,
            "LifecycleActionToken": told.token,
            **more,
        }
        for tried in range(tries):
            try:
                self.invocations.step()
                self.door(Request(operation=operation, parameters=parameters))
            except (ApiError, ReadTimeoutError) as error:
                if isinstance(error, ApiError) and error.code not in _TRANSIENT:
                    raise
                if tried == tries - 1:
                    raise
                self.pause(self.random.random() * 2**tried * timedelta(seconds=1))
            else:
                return
