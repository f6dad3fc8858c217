"""A durable function of Lambda: one execution for each action, named by its token.

Written as well as its friends would: a small function takes the hook's queue and starts the execution, since
behind a queue itself it could not last longer than 15 minutes. The instance is told the id of a callback,
and calls it when its work is done. Beside that a loop waits for 0.8 of the timeout and beats; a call that
fails is tried again every ten seconds.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from aws_durable_execution_sdk_python.config import (
    CompletionConfig,
    Duration,
    JitterStrategy,
    NestingType,
    ParallelConfig,
    StepConfig,
)
from aws_durable_execution_sdk_python.retries import RetryStrategyConfig, create_retry_strategy
from botocore.exceptions import ReadTimeoutError

from benchmarks.arena.durable_service import DurableService
from benchmarks.arena.world import Consumer, Told
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from benchmarks.arena.durable_service import Crossing
    from benchmarks.arena.world import ConsumerWorld

_SHARE: Final = 0.8  # of the timeout, after which it beats
_STARTER_TIMEOUT: Final = timedelta(seconds=10)


class Throttled(Exception):  # noqa: N818 - as Auto Scaling calls it
    """A call that is worth another try."""


_STEADY: Final = StepConfig(
    retry_strategy=create_retry_strategy(
        RetryStrategyConfig(
            max_attempts=100,
            initial_delay=Duration.from_seconds(10),
            backoff_rate=1,
            jitter_strategy=JitterStrategy.NONE,
            retryable_error_types=[Throttled],
        )
    )
)
_WHAT_ENDS_FIRST: Final = ParallelConfig(
    completion_config=CompletionConfig.first_successful(),
    nesting_type=NestingType.FLAT,  # its branches are no operations
)


class Durable(Consumer):
    """The executions, and the function that starts them."""

    name = "durable function"

    def __init__(self, world: ConsumerWorld) -> None:
        super().__init__(world)
        self._service = DurableService(world, self._hold)
        self._queue = world.function_of_queue(self._start, _STARTER_TIMEOUT)

    def notified(self, told: Told) -> None:
        """The hook's target is the queue."""
        self._queue.send(json.dumps({"instance_id": told.instance_id, "token": told.token}))

    def _start(self, body: str) -> None:
        self._service.start(json.loads(body)["token"], body)

    def _hold(self, event: dict[str, str], context: Any, crossing: Crossing) -> None:  # noqa: ANN401
        """The durable handler. It runs anew with each invocation; what was done before is not done again."""
        told = Told(**event, beaten_at=self.world.clock())
        done = context.create_callback(name="done")
        context.step(lambda _: crossing.do(lambda: self._tell_instance(told)), name="tell the instance")

        def wait_for_work(_: object) -> bool:
            return bool(done.result())

        def keep_alive(branch: Any) -> bool:  # noqa: ANN401 - the SDK's
            is_active = True
            while is_active:
                branch.wait(Duration.from_seconds(_SHARE * self.world.heartbeat_timeout.total_seconds()))
                is_active = branch.step(lambda _: self._beat(told, crossing), name="beat", config=_STEADY)
            return False

        ended = context.parallel([wait_for_work, keep_alive], config=_WHAT_ENDS_FIRST)
        if any(ended.get_results()):
            context.step(lambda _: self._complete(told, crossing), name="complete", config=_STEADY)

    def _tell_instance(self, told: Told) -> None:
        """It calls back when its work is done."""
        self.world.when_done(told.instance_id, lambda: self._service.succeed(told.token))

    def _beat(self, told: Told, crossing: Crossing) -> bool:
        """Whether there is such an action still."""
        return self._is_active(crossing, lambda: self.world.heartbeat(told))

    def _complete(self, told: Told, crossing: Crossing) -> None:
        self._is_active(crossing, lambda: self.world.complete(told))

    def _is_active(self, crossing: Crossing, call: Any) -> bool:  # noqa: ANN401 - a call
        try:
            crossing.do(call)
        except ReadTimeoutError as error:
            raise Throttled from error
        except ApiError as error:
            if error.code != "ValidationError":
                raise Throttled from error
            return False
        return True
