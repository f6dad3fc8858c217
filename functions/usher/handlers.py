"""Intake, wake and sweep as Lambda calls them: parse, hand over, report what to deliver again."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeGuard, TypeVar

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from usher.aws.queues import wait_of
from usher.core.configuration import ConfigurationRefused
from usher.core.round_robin import share
from usher.evaluation.wake_ups import BETWEEN_SWEEPS, WAKE_UP_HORIZON, send
from usher.outage.slow_table import ATTEMPT, HOLDS, Limit, in_time
from usher.ports.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    from usher.evaluation.evaluator import Evaluator
    from usher.intake import Intake
    from usher.outage.live_holds import LiveHolds
    from usher.outage.without_table import WithoutTable
    from usher.ports.queues import DeadLetters
    from usher.ports.records import Due, Unasked
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
SWEEP_LOOKAHEAD: Final = timedelta(seconds=240)  # holds two sweeps, so that one that is cut off costs nothing
_LEAST_OWN_MARGIN: Final = (
    WAKE_UP_HORIZON / 12
)  # a beat with a smaller margin is of a timeout so short that it has its own
LATE: Final = timedelta(seconds=60)  # a look that is due has its wake-up on the way; one so old has not
NOT_READ: Final = (ValueError, TypeError, KeyError, OverflowError, RecursionError)
_WOKEN_WITHIN: Final = timedelta(seconds=20)  # of its time a look is made, by one of two wake-ups
_WOKEN_SOON: Final = timedelta(seconds=5)  # mostly: enough of a doubt where no other wake-up has come
_PUT_OFF: Final = timedelta(seconds=10)  # by the budget: so long a sweep waits for a turn
_NOBODY_WAKES: Final = timedelta(minutes=10)  # the sweep looks itself; a record that cannot be read stays due
# Of an intake: a request that was begun, the holds, and the last of them.
_FOR_THE_REST: Final = ATTEMPT + HOLDS + ATTEMPT
_LEAST_TIME_MS: Final = 15_000  # for a look: three calls and two stores, each at its time-out


class SweepFailed(Exception):  # noqa: N818 - it reads as what happened
    """Some of a sweep's work failed; the rest was done. Lambda counts this as an error."""


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
    looks: Evaluator, dead_letters: DeadLetters, without_table: WithoutTable | None = None
) -> Handler:
    """Wake: a look for each wake-up that still counts, or, without the table, a heartbeat."""

    def wake(record: SQSRecord) -> None:
        body = body_of(record)
        try:
            action_id, version = numbered(body, "version")
        except NOT_READ as error:
            dead_letters.put(body, f"not a wake-up: {type(error).__name__}")
            return
        wait = wait_of(json.loads(body)) if without_table is not None else None
        try:
            if without_table is not None and wait is not None:
                without_table.memory.away.check(looks.clock())
            limit = without_table.limit if without_table is not None else Limit()
            in_time(looks, wait, limit).look(action_id, version, wait)
        except Unavailable as why:
            if without_table is None or not without_table.hold(action_id, version, wait, why):
                raise

    return batch_handler(wake, looks.telemetry, "FailedLooks")


def sweep_handler(
    looks: Evaluator, *passes: Pass, work: Work = map, without_table: LiveHolds | None = None
) -> Handler:
    """Sweep: looks at what is overdue, nearest expiry first; wake-ups for what is near.

    Questions are only sent on their way: the function `questions` asks them.

    `work` is `map`, or what begins its calls in the same order and makes several at once: one
    call after the other would spend a fraction of the budget only.

    What has expired comes last: nothing can be saved there any more, only written down. Then, in
    every second minute and as far as the time goes, the other passes, another one first each time.
    An event `{"passes": true}` asks for them in any minute. Where the table does not answer, all of
    the run goes to what waits `without_table`, and it fails. Where wake-ups do not work, what waits
    is beaten in the same way: a look that falls between two sweeps would come too late.
    """

    def handler(event: object, context: Context | None = None) -> Event:
        now = looks.clock()
        has_passes = now.minute % 2 == 0 or (isinstance(event, dict) and event.get("passes") is True)
        try:
            due = sorted(
                looks.store.due(now + SWEEP_LOOKAHEAD), key=lambda row: (row.expires_at, row.action_id)
            )
        except Unavailable as why:
            looks.telemetry.trouble("what is due was not read", why)
            if without_table is not None:
                without_table.run(lambda: has_time(context))
            raise
        overdue = [row for row in due if row.look_at <= now]
        expired = [row for row in overdue if row.expires_at <= now]
        looks.telemetry.count("OverdueLooks", sum(row.look_at < now - LATE for row in overdue))
        alive = [row for row in overdue if row.expires_at > now]
        rescued, failures = _look_at_all(alive, looks, work, context)
        _wake_near([row for row in due if row.look_at > now], looks, work, context)
        if without_table is not None:
            failures += _hold_without_wake_ups(due, looks, without_table, now, context)
        failures += _repair_chains(looks, work, context)
        closed, more_failures = _look_at_all(expired, looks, work, context)
        looked, failures = rescued + closed, failures + more_failures
        for each in share(passes, len(passes), now.hour + now.minute // 2) if has_passes else ():
            failures += _run(each, looks.telemetry, context)
        if failures:
            raise SweepFailed(f"{'; '.join(failures)}; the log says why")
        return {"near": len(due) - len(overdue), "overdue": len(overdue), "looked": looked}

    return handler


def _hold_without_wake_ups(
    due: Sequence[Due], looks: Evaluator, without_table: LiveHolds, now: datetime, context: Context | None
) -> list[str]:
    """`now` is when the sweep began: what it has looked at since was in time."""
    expected = {action_id: at for action_id, at in without_table.coming.items() if at <= now}
    some_come = _wake_ups_come(due, expected, now)
    none_came = bool(expected) and not some_come
    if _wake_ups_fail(due, looks, now, _WOKEN_SOON if none_came else _WOKEN_WITHIN):
        without_table.wake_ups_fail.noted(now)
    elif some_come:
        without_table.wake_ups_fail.lifted()
    without_table.coming.clear()
    without_table.coming.update({row.action_id: row.look_at for row in due if row.look_at > now})
    failures: list[str] = []
    if without_table.wake_ups_fail.is_on(now):
        pressing = [row for row in due if row.look_at <= now < row.expires_at <= now + BETWEEN_SWEEPS]
        again = _put_off(pressing, looks, without_table.wait, partial(has_time, context))
        _, failures = _look_at_all(again, looks, map, context)
        turn = partial(looks.turns.wait_for_slot, looks.clock, without_table.wait, partial(has_time, context))
        without_table.run(partial(has_time, context), looks.store.pauses(), turn)
    without_table.catch_up(partial(has_time, context))
    return failures


def _put_off(
    rows: Iterable[Due], looks: Evaluator, wait: Callable[[float], object], has_time: Callable[[], bool]
) -> Iterator[Due]:
    """Of what was looked at, each whose call the budget put off by up to ten seconds, when its second comes.

    Else that is for a wake-up to do; and the next sweep may come after the expiry.
    """
    until = looks.clock() + _PUT_OFF
    again = [(_look_of(row, looks), row) for row in rows if has_time()]
    for at, row in sorted((each for each in again if each[0] < each[1].expires_at), key=lambda each: each[0]):
        early = at - looks.clock()
        if at > until or not has_time():
            return
        if early > timedelta(0):
            wait(early.total_seconds())
        yield row


def _look_of(row: Due, looks: Evaluator) -> datetime:
    """When its next look is due by now; not before its expiry where that cannot be read: its look told so."""
    with suppress(Unavailable, ConfigurationRefused, *NOT_READ):
        action = looks.store.load(row.action_id)
        return (action and action.look_at) or row.expires_at
    return row.expires_at


def _wake_ups_come(due: Iterable[Due], expected: Iterable[str], now: datetime) -> bool:
    """Whether a look was made since the sweep before that only a wake-up could make in time.

    A sweep can miss a margin of less than two minutes, so where few looks are due none may be overdue
    for long though wake-ups fail. A notice that came may make a look due: it is not made then.
    """
    left = {row.action_id for row in due if row.look_at <= now}
    return any(action_id not in left for action_id in expected)


def _wake_ups_fail(due: Sequence[Due], looks: Evaluator, now: datetime, within: timedelta) -> bool:
    """Whether looks are overdue that have wake-ups of their own, or the queue does not take one.

    A copy of a wake-up that is on its way tells; it is void when it comes.
    """
    if any(now - _NOBODY_WAKES < row.look_at < now - within for row in due):
        return True
    row = next((row for row in due if now < row.look_at and row.expires_at <= now + BETWEEN_SWEEPS), None)
    try:
        if row is not None:
            looks.wake_ups.send(row.action_id, row.version, row.look_at - now)
    except Unavailable as error:
        looks.telemetry.trouble("the queue takes no wake-ups", error)
        return True
    return False


def _wake_near(rows: Iterable[Due], looks: Evaluator, work: Work, context: Context | None) -> None:
    """Wake-ups for what was stored too far ahead to get its own; the others have theirs.

    Thousands may be near, so time passes meanwhile, and a wake-up that comes late misses the
    second that is booked.
    """

    def wake(row: Due) -> None:
        if row.expires_at - row.look_at > _LEAST_OWN_MARGIN and has_time(context):
            delay = max(timedelta(0), row.look_at - looks.clock())
            send(looks.wake_ups, looks.telemetry, row.action_id, row.version, delay)

    list(work(wake, rows))


def _look_at_all(
    rows: Iterable[Due], looks: Evaluator, work: Work, context: Context | None
) -> tuple[int, list[str]]:
    """Look at each. One that fails must not keep the others from their looks."""

    def look(row: Due) -> bool | None:
        if not has_time(context):
            return None
        try:
            looks.look(row.action_id)
        except Exception as error:  # noqa: BLE001 - the edge: told, and raised when all had their turn
            looks.telemetry.trouble(f"the look at action {row.action_id} failed", error)
            looks.telemetry.count("FailedLooks")
            return False
        return True

    done = [looked for looked in work(look, rows) if looked is not None]
    failed = done.count(False)
    return len(done) - failed, [f"{failed} of {len(done)} looks failed"] if failed else []


def _repair_chains(looks: Evaluator, work: Work, context: Context | None) -> list[str]:
    """Have the questions asked whose message was lost or could not be sent. Nothing is asked here."""
    rows = sorted(looks.store.unasked(looks.clock()), key=lambda row: (row.sweep_at, row.action_id))
    looks.telemetry.count("OverdueQuestions", len(rows))

    def repair(row: Unasked) -> bool:
        try:
            if has_time(context):
                looks.chains.repair(row)
        except Exception as error:  # noqa: BLE001 - the edge: told, and raised when all had their turn
            looks.telemetry.trouble(f"the questions of action {row.action_id} were not sent", error)
            return False
        return True

    failed = list(work(repair, rows)).count(False)
    return [f"{failed} of {len(rows)} questions were not sent"] if failed else []


def _run(each: Pass, telemetry: Telemetry, context: Context | None) -> list[str]:
    if not has_time(context):
        telemetry.count("PassesPutOff")
        return []
    try:
        each.run(lambda: has_time(context))
    except Exception as error:  # noqa: BLE001 - the edge: told, and raised at the end of the sweep
        telemetry.trouble(f"the {each.name} pass failed", error)
        return [f"the {each.name} pass failed"]
    return []


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
