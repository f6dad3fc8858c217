"""The three functions as Lambda calls them: parse, hand over, report what to deliver again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from usher.core.deadlines import Load
from usher.waking import NEAR, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    from usher.intake import Intake
    from usher.looks import Looks
    from usher.ports import DeadLetters, Telemetry

Event: TypeAlias = dict[str, Any]
Handler: TypeAlias = "Callable[[Event, Context | None], Event]"


class Context(Protocol):
    """What the functions use of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Until Lambda ends the invocation."""
        ...


_LEAST_TIME_FOR_A_LOOK_MS: Final = 15_000  # three calls and two stores, each at its time-out


class LooksFailed(Exception):  # noqa: N818 - it reads as what happened
    """Some looks of a sweep failed; the others were made. Lambda counts this as an error."""


def intake_handler(intake: Intake) -> Handler:
    """Intake: SQS batches, SNS-to-Lambda events, EventBridge events, direct hook invocations."""

    def take(record: SQSRecord) -> None:
        intake.take(record.body, "sqs")

    batch = _batch_handler(take, intake.telemetry)

    def handler(event: Event, context: Context | None = None) -> Event:
        if _is_from_sqs(event):
            return batch(event, context)
        records = event.get("Records")
        for message in records if isinstance(records, list) else [event]:
            intake.take(json.dumps(message), "lambda")
        return {}

    return handler


def wake_handler(looks: Looks, dead_letters: DeadLetters, calls_per_second: float) -> Handler:
    """Wake: a look for each wake-up that still counts."""

    def wake(record: SQSRecord) -> None:
        try:
            body = json.loads(record.body)
            action_id, version = str(body["action_id"]), int(body["version"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            dead_letters.put(record.body, f"not a wake-up: {type(error).__name__}")
            return
        looks.look(action_id, _load(looks, calls_per_second), version)

    return _batch_handler(wake, looks.telemetry)


def sweep_handler(looks: Looks, calls_per_second: float) -> Handler:
    """Sweep: wake-ups for what is near, looks at what is overdue, nearest expiry first."""

    def handler(event: Event, context: Context | None = None) -> Event:  # noqa: ARG001 - the schedule says nothing
        now = looks.clock()
        due = sorted(looks.store.due(now + NEAR), key=lambda due: (due.expires_at, due.action_id))
        overdue = [row for row in due if row.look_at <= now]
        for row in due:
            if row.look_at > now:
                send(looks.wake_ups, looks.telemetry, row.action_id, row.version, row.look_at - now)
        looks.telemetry.count("OverdueLooks", len(overdue))
        load = _load(looks, calls_per_second)
        looked = _look_at_all([row.action_id for row in overdue], looks, load, context)
        return {"near": len(due) - len(overdue), "overdue": len(overdue), "looked": looked}

    return handler


def _look_at_all(action_ids: Iterable[str], looks: Looks, load: Load, context: Context | None) -> int:
    """Look at each. One that fails must not keep the others from their looks."""
    looked, failed = 0, 0
    for action_id in action_ids:
        if context is not None and context.get_remaining_time_in_millis() < _LEAST_TIME_FOR_A_LOOK_MS:
            break
        try:
            looks.look(action_id, load)
            looked += 1
        except Exception as error:  # noqa: BLE001 - the edge: told, and raised when all had their turn
            looks.telemetry.trouble(f"the look at action {action_id} failed", error)
            failed += 1
    if failed:
        raise LooksFailed(f"{failed} of {failed + looked} looks failed; the log says why")
    return looked


def _load(looks: Looks, calls_per_second: float) -> Load:
    return Load(open_actions=looks.store.open_actions(), calls_per_second=calls_per_second)


def _is_from_sqs(event: Event) -> bool:
    records = event.get("Records")
    return (
        isinstance(records, list)
        and bool(records)
        and all(isinstance(record, dict) and record.get("eventSource") == "aws:sqs" for record in records)
    )


def _batch_handler(handle: Callable[[SQSRecord], None], telemetry: Telemetry) -> Handler:
    """A handler of SQS batches that reports each failed record, and only it, for redelivery."""
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def handle_one(record: SQSRecord) -> None:
        try:
            handle(record)
        except Exception as error:
            telemetry.trouble(f"message {record.message_id} will be delivered again", error)
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
