"""Intake, wake and sweep as Lambda calls them: parse, hand over, report what to deliver again."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeGuard, TypeVar

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from usher.aws.queues import wait_of
from usher.outage.slow_table import ATTEMPT, HOLDS, Limit, in_time
from usher.ports.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    from usher.evaluation.evaluator import Evaluator
    from usher.intake.intake import Intake
    from usher.outage.without_table import WithoutTable
    from usher.ports.queues import DeadLetters
    from usher.ports.telemetry import Telemetry

T = TypeVar("T")
Row = TypeVar("Row")
Event: TypeAlias = dict[str, Any]
Handler: TypeAlias = "Callable[[Event, Context | None], Event]"


class Work(Protocol):
    """`map`, or what does several things at once in the same order."""

    def __call__(self, do: Callable[[Row], T], rows: Iterable[Row], /) -> Iterable[T]:
        """What `do` makes of each."""
        ...


class Context(Protocol):
    """What the functions use of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Until Lambda ends the invocation."""
        ...


class Pass(Protocol):
    """What a sweep does besides its looks, as far as the time goes, such as usher.passes.reconcile."""

    @property
    def name(self) -> str:
        """For whoever reads that it failed."""
        ...

    def run(self, has_time: Callable[[], bool]) -> None:
        """One pass."""
        ...


_ACTION_ID: Final = re.compile(r"[!-~]{1,128}")
NOT_READ: Final = (ValueError, TypeError, KeyError, OverflowError, RecursionError)
# Of an intake: a request that was begun, the holds, and the last of them.
_FOR_THE_REST: Final = ATTEMPT + HOLDS + ATTEMPT
_LEAST_TIME_MS: Final = 15_000  # for a look: three calls and two stores, each at its time-out


def intake_handler(intake: Intake, limit: Limit | None = None) -> Handler:
    """Intake: SQS batches, SNS-to-Lambda events, EventBridge events, direct hook invocations.

    Where the table is slow the last of a batch are not taken in, but held and delivered again: who
    is cut off by Lambda holds nobody. `limit`: the one that the clients of the table keep, too.
    """
    limit = limit or Limit()
    intake = intake.within(limit)

    def take(record: SQSRecord) -> None:
        intake.take(body_of(record), "sqs", is_first=_is_first(record))

    batch = batch_handler(take, intake.telemetry, "FailedMessages")

    def handler(event: object, context: Context | None = None) -> Event:
        limit.until = None if context is None else intake.clock() + _left(context) - _FOR_THE_REST
        if _is_from_sqs(event):
            return batch(event, context)
        records = event.get("Records") if isinstance(event, dict) else None
        for message in records if isinstance(records, list) and records else [event]:
            intake.take(_written(message), "lambda", is_first=True)  # or one of Lambda's two retries
        return {}

    return handler


def wake_handler(
    evaluator: Evaluator, dead_letters: DeadLetters, without_table: WithoutTable | None = None
) -> Handler:
    """Wake: an evaluation for each wake-up that still counts, or, without the table, a heartbeat."""

    def wake(record: SQSRecord) -> None:
        body = body_of(record)
        try:
            action_id, stamp = numbered(body, "version")
        except NOT_READ as error:
            dead_letters.put(body, f"not a wake-up: {type(error).__name__}")
            return
        wait = wait_of(json.loads(body)) if without_table is not None else None
        try:
            if without_table is not None and wait is not None:
                without_table.memory.away.check(evaluator.clock())
            limit = without_table.limit if without_table is not None else Limit()
            in_time(evaluator, wait, limit).evaluate(action_id, stamp, wait)
        except Unavailable as why:
            if without_table is None or not without_table.hold(action_id, stamp, wait, why):
                raise

    return batch_handler(wake, evaluator.telemetry, "FailedLooks")


def has_time(context: Context | None) -> bool:
    """Whether there is time for one more look, or call, before Lambda ends the invocation."""
    return context is None or context.get_remaining_time_in_millis() >= _LEAST_TIME_MS


def _left(context: Context) -> timedelta:
    return timedelta(milliseconds=context.get_remaining_time_in_millis())


def numbered(body: str, number: str) -> tuple[str, int]:
    """The action of a wake-up or a question, and the number that it is for. Raises what is NOT_READ."""
    said = json.loads(body)
    if not isinstance(said["action_id"], str) or not _ACTION_ID.fullmatch(said["action_id"]):
        raise ValueError("no id of an action")
    return said["action_id"], int(said[number])


def _is_first(record: SQSRecord) -> bool:
    """Whether it is received for the first time; what says nothing of that is no first one."""
    attributes = record.raw_event.get("attributes")
    return isinstance(attributes, dict) and attributes.get("ApproximateReceiveCount") == "1"


def body_of(record: SQSRecord) -> str:
    """The text of a record; a record without one, as JSON, so that its reason is found in its place."""
    body = record.raw_event.get("body")
    return body if isinstance(body, str) else _written(record.raw_event)


def _written(message: object) -> str:
    """As JSON. What is nested too deep for that is no message either: its reason is found in its place."""
    try:
        return json.dumps(message)
    except RecursionError:
        return '"nested too deep"'


def _is_from_sqs(event: object) -> TypeGuard[Event]:
    records = event.get("Records") if isinstance(event, dict) else None
    return (
        isinstance(records, list)
        and bool(records)
        and all(isinstance(record, dict) and record.get("eventSource") == "aws:sqs" for record in records)
    )


def batch_handler(handle: Callable[[SQSRecord], None], telemetry: Telemetry, failed: str) -> Handler:
    """A handler of SQS batches that reports each failed record, and only it, for redelivery.

    Lambda takes that for a success, and counts no error: so each is counted here, in the metric `failed`.
    """
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def handle_one(record: SQSRecord) -> None:
        try:
            handle(record)
        except Exception as error:
            telemetry.trouble(f"message {record.message_id} will be delivered again", error)
            telemetry.count(failed)
            raise

    def handler(event: Event, context: Context | None = None) -> Event:
        return dict(
            process_partial_response(
                event=event,
                record_handler=handle_one,
                processor=processor,
                context=context,  # type: ignore[arg-type] # it only passes it on
            )
        )

    return handler
