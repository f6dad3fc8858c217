"""Lambda's side of durable executions, on the virtual clock: when a handler is invoked, and what it is given.

The handler runs under the real SDK, and its checkpoints are kept by the parts of the SDK's own local test
runner. Only the runner's timers are not used, since they wait for real time.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from aws_durable_execution_sdk_python import state
from aws_durable_execution_sdk_python.execution import (
    DurableExecutionInvocationInputWithClient,
    InitialExecutionState,
    durable_execution,
)
from aws_durable_execution_sdk_python.lambda_service import OperationAction
from aws_durable_execution_sdk_python_testing.checkpoint.processor import CheckpointProcessor
from aws_durable_execution_sdk_python_testing.execution import Execution
from aws_durable_execution_sdk_python_testing.invoker import create_test_lambda_context
from aws_durable_execution_sdk_python_testing.model import StartDurableExecutionInput
from aws_durable_execution_sdk_python_testing.stores.memory import InMemoryExecutionStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from benchmarks.arena.world import ConsumerWorld

_AGAIN_AFTER: Final = timedelta(seconds=5)  # an invocation that failed, as the local test runner has it
_INPUT: Final = {
    "AccountId": "111122223333",
    "FunctionName": "hold",
    "FunctionQualifier": "1",
    "ExecutionTimeoutSeconds": 48 * 3600,
    "ExecutionRetentionPeriodDays": 1,
    "InvocationId": "first",
}
state._STOP_SIGNAL_POLL_SECONDS = 0.002  # noqa: SLF001 - real time, in which nothing happens here
logging.getLogger("aws_durable_execution_sdk_python").setLevel(logging.CRITICAL + 1)


class Killed(Exception):  # noqa: N818 - no error of the handler's
    """The invocation is over; its threads must find out."""


class Crossing:
    """Brings calls from the SDK's threads into the invocation, where virtual time passes."""

    def __init__(self, work: Callable[[Crossing], Any]) -> None:
        self._asked: SimpleQueue[tuple[Callable[[], object], SimpleQueue[object]] | None] = SimpleQueue()
        self._work = work
        self._returned: list[Any] = []
        self._failed: Exception | None = None
        self.is_over = False

    def run(self) -> Any:  # noqa: ANN401 - what the handler returns
        """Do what the threads ask for, until they end."""
        Thread(target=self._in_thread, daemon=True).start()
        try:
            while (asked := self._asked.get()) is not None:
                self._answer(*asked)
        finally:
            self.is_over = True
        if self._failed is not None:
            raise self._failed
        return self._returned[0]

    def do(self, call: Callable[[], object]) -> object:
        """Ask for a call, in a thread of the SDK. Raises what it raises."""
        answered: SimpleQueue[object] = SimpleQueue()
        self._asked.put((call, answered))
        answer = answered.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _answer(self, call: Callable[[], object], answered: SimpleQueue[object]) -> None:
        try:
            answered.put(call())
        except Exception as error:  # noqa: BLE001 - the thread raises it
            answered.put(error)
        except BaseException:
            self.is_over = True
            answered.put(Killed())
            raise

    def _in_thread(self) -> None:
        try:
            self._returned.append(self._work(self))
        except Exception as error:  # noqa: BLE001 - the invocation raises it
            self._failed = error
        finally:
            self._asked.put(None)


class DurableService:
    """The executions of one function, by name."""

    def __init__(self, world: ConsumerWorld, handle: Callable[[Any, Any, Crossing], object]) -> None:
        self._world = world
        self._handle = handle
        self._store = InMemoryExecutionStore()
        self._processor = CheckpointProcessor(self._store, None, self)
        self._executions: dict[str, Any] = {}
        self._running: set[str] = set()

    def now(self) -> datetime:
        """As a clock of the test runner's."""
        return self._world.clock()

    def start(self, name: str, payload: str) -> None:
        """A name that there was already starts nothing."""
        if name not in self._executions:
            started = StartDurableExecutionInput.from_dict(_INPUT | {"ExecutionName": name, "Input": payload})
            execution = self._executions[name] = Execution.new(started)
            execution.start(self.now())
            self._store.save(execution)
            self._world.used["durable operation"] += 1
            self._invoke(name)

    def succeed(self, name: str) -> None:
        """SendDurableExecutionCallbackSuccess, for the only callback of an execution."""
        execution = self._executions[name]
        (callback,) = (one.callback_details for one in execution.operations if one.callback_details)
        execution.complete_callback_success(callback.callback_id, b'"done"', self.now())
        self._invoke(name)

    def _invoke(self, name: str) -> None:
        if name in self._running:
            return  # it goes on when that has ended
        self._running.add(name)
        self._world.used["invocation"] += 1
        self._world.used["log and trace of an invocation"] += 1
        self._world.start("a function", lambda: self._run(name), lambda error: self._ended(name, error))

    def _run(self, name: str) -> None:
        execution = self._executions[name]
        execution.begin_new_invocation()
        seen = execution.seq_counter

        def work(crossing: Crossing) -> Any:  # noqa: ANN401 - the SDK's
            given = DurableExecutionInvocationInputWithClient(
                durable_execution_arn=execution.durable_execution_arn,
                checkpoint_token=execution.get_new_checkpoint_token(),
                initial_execution_state=InitialExecutionState(
                    operations=execution.get_navigable_operations(), next_marker=""
                ),
                service_client=_Client(self._processor, self._world, crossing),
            )
            handler = durable_execution(lambda event, context: self._handle(event, context, crossing))
            return handler(given, create_test_lambda_context())

        execution.handler_seen_seq = seen
        execution.is_complete = Crossing(work).run()["Status"] != "PENDING"

    def _ended(self, name: str, error: BaseException | None) -> None:
        self._running.discard(name)
        execution = self._executions[name]
        if execution.is_complete:
            return
        if error is not None:
            self._world.clock.at(self.now() + _AGAIN_AFTER, lambda: self._invoke(name))
            return
        self._go_on(name)
        for due_at in filter(None, map(_due_at, execution.operations)):
            self._world.clock.at(due_at, lambda: self._go_on(name))

    def _go_on(self, name: str) -> None:
        """Where a wait has ended, or something has changed of which the last invocation has not heard."""
        execution = self._executions[name]
        if name not in self._running and not execution.is_complete:
            has_ended = execution.complete_due_operations(self.now())
            if has_ended or execution.has_unseen_changes():
                self._invoke(name)


class _Client:
    """Implements the SDK's DurableServiceClient."""

    def __init__(self, processor: Any, world: ConsumerWorld, crossing: Crossing) -> None:  # noqa: ANN401
        self._processor = processor
        self._world = world
        self._crossing = crossing

    def checkpoint(
        self, *, checkpoint_token: str, updates: Sequence[Any], client_token: str | None, **_: object
    ) -> Any:  # noqa: ANN401 - the SDK's
        """Each operation that starts is paid for."""
        if self._crossing.is_over:
            raise Killed
        begun = sum(update.action is OperationAction.START for update in updates)
        self._world.used["durable operation"] += begun
        return self._processor.process_checkpoint(checkpoint_token, updates, client_token)

    def get_execution_state(self, *, checkpoint_token: str, next_marker: str, **_: object) -> Any:  # noqa: ANN401
        """All at once."""
        return self._processor.get_execution_state(checkpoint_token, next_marker)


def _due_at(operation: Any) -> datetime | None:  # noqa: ANN401 - the SDK's
    is_waiting = operation.status.value in ("STARTED", "PENDING")
    if not is_waiting:
        return None
    if operation.wait_details is not None:
        return operation.wait_details.scheduled_end_timestamp  # type: ignore[no-any-return]
    if operation.step_details is not None:
        return operation.step_details.next_attempt_timestamp  # type: ignore[no-any-return]
    return None
