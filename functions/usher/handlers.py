"""Intake, wake and sweep as Lambda calls them: parse, hand over, report what to deliver again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeGuard

from usher.batches import as_text, batch_handler, body_of
from usher.core.queue_messages import NOT_READ, numbered, wait_of
from usher.invocation import Event, time_left
from usher.outage.slow_table import ATTEMPT, HOLDS, RequestDeadline, hurried_evaluator
from usher.ports.errors import Unavailable

if TYPE_CHECKING:
    from usher.evaluation.evaluator import Evaluator
    from usher.intake.intake import Intake
    from usher.invocation import Context, Handler
    from usher.outage.without_table import WithoutTable
    from usher.ports.queues import DeadLetters

# Of an intake: a request that was begun, the holds, and the last of them.
_FOR_THE_REST: Final = ATTEMPT + HOLDS + ATTEMPT


def intake_handler(intake: Intake, limit: RequestDeadline | None = None) -> Handler:
    """Intake: SQS batches, SNS-to-Lambda events, EventBridge events, direct hook invocations.

    Where the table is slow the last of a batch are not taken in, but held and delivered again: who
    is cut off by Lambda holds nobody. `limit`: the one that the clients of the table keep, too.
    """
    limit = limit or RequestDeadline()
    intake = intake.within(limit)

    def take(record: Event) -> None:
        intake.take(body_of(record), "sqs", is_first=_is_first(record))

    batch = batch_handler(take, intake.telemetry, "FailedMessages")

    def handler(event: object, context: Context | None = None) -> Event:
        limit.until = None if context is None else intake.clock() + time_left(context) - _FOR_THE_REST
        if _is_from_sqs(event):
            return batch(event, context)
        records = event.get("Records") if isinstance(event, dict) else None
        for message in records if isinstance(records, list) and records else [event]:
            intake.take(as_text(message), "lambda", is_first=True)  # or one of Lambda's two retries
        return {}

    return handler


def wake_handler(
    evaluator: Evaluator, dead_letters: DeadLetters, without_table: WithoutTable | None = None
) -> Handler:
    """Wake: an evaluation for each wake-up that still counts, or, without the table, a heartbeat."""

    def wake(record: Event) -> None:
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
            limit = without_table.limit if without_table is not None else RequestDeadline()
            hurried_evaluator(evaluator, wait, limit).evaluate(action_id, stamp, wait)
        except Unavailable as why:
            if without_table is None or not without_table.hold(action_id, stamp, wait, why):
                raise

    return batch_handler(wake, evaluator.telemetry, "FailedLooks")


def _is_first(record: Event) -> bool:
    """Whether it is received for the first time; what says nothing of that is no first one."""
    attributes = record.get("attributes")
    return isinstance(attributes, dict) and attributes.get("ApproximateReceiveCount") == "1"


def _is_from_sqs(event: object) -> TypeGuard[Event]:
    records = event.get("Records") if isinstance(event, dict) else None
    return (
        isinstance(records, list)
        and bool(records)
        and all(isinstance(record, dict) and record.get("eventSource") == "aws:sqs" for record in records)
    )
