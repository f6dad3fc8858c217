"""`usher redrive`: dead letters with their reason, held against the live state, sent back or dropped.

What is only shown is given back to its queue. A letter is sent before it is deleted, so that a crash
in between leaves a copy, which costs nothing: its token, version or turn tells it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from usher.aws import messages
from usher.aws.record_format import UNREADABLE
from usher.core import duration, evidence
from usher.core.action import ActivityEnd, Signal
from usher.core.notifications import (
    CommandEnd,
    InstanceEnd,
    InstanceState,
    LifecycleNotice,
    NotUnderstood,
    TestNotice,
    Unrelated,
)
from usher.core.wait_moves import WAIT_MOVES
from usher.handlers import NOT_READ, numbered
from usher_cli.account import Trouble, with_account
from usher_cli.confirm import agreed
from usher_cli.listing import short
from usher_cli.printable import shown
from usher_cli.report import written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

    from usher.core.action import Action
    from usher.core.notifications import Notice
    from usher.ports.records import ActionLookup, FindingsKept, Records
    from usher_cli.account import Account

    class Known(Records, ActionLookup, FindingsKept, Protocol):
        """What is read of usher.aws.records.Records."""


_WAKE_UPS: Final = "wake-ups"
_QUESTIONS: Final = "questions"
_KEPT_BACK_S: Final = 600  # long enough to be asked about each; then they come back by themselves
_FRESH: Final = timedelta(hours=1)  # the action of a signal may not be known yet
_OF_A_BATCH: Final = 10
_INSTANCES_OF_A_CALL: Final = 50
_LISTENING_S: Final = 2
_MOST: Final = 1000
_WIDTH: Final = 1000  # nothing is cut to fit: a terminal wraps long lines by itself
_SHOWN_OF_ID: Final = 8

_EXAMPLES: Final = """
\b
Examples:
  usher redrive                          show them; nothing is changed
  usher redrive --send                   ask of each whether to send it back
  usher redrive --send 3f2a91c0 77b01d2e send these two back
  usher redrive --all --send             send back all that still count
  usher redrive --all --drop --yes       drop all that count no more

\b
Exit codes:
  0  all is well
  1  a letter could not be sent back or dropped
  2  wrong usage, or an account that is not reached
"""


class LetterStatus(StrEnum):
    """What a letter would still do."""

    COUNTS = "counts"
    OVER = "over"
    UNREADABLE = "not understood"


class Done(StrEnum):
    """What became of a letter."""

    SHOWN = "shown"
    SENT = "sent"
    DROPPED = "dropped"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetterQueue:
    """A queue of dead letters, and the one that they came from."""

    name: str  # inbox | events | wake-ups | questions
    url: str
    back_url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """A dead letter. `handle` deletes it."""

    queue: DeadLetterQueue
    id: str
    handle: str
    sent_at: datetime
    reason: str
    body: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A letter, what it is, and what it would still do."""

    letter: Letter
    what: str
    status: LetterStatus
    why: str
    done: Done = Done.SHOWN


# The queues


def queue_of(sqs: SQSClient, name: str, url: str) -> DeadLetterQueue:
    """The dead-letter queue of a queue, as its redrive policy names it."""
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    arn: str = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"]
    dead = sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
    return DeadLetterQueue(name=name, url=dead, back_url=url)


def letters(sqs: SQSClient, queue: DeadLetterQueue, most: int) -> list[Letter]:
    """The letters in a queue, oldest first, at most `most`. Nobody else sees them for ten minutes.

    A receive that does not wait asks only some of the servers, so it waits while some are missing.
    """
    told = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["ApproximateNumberOfMessages"])
    expected = int(told["Attributes"]["ApproximateNumberOfMessages"])
    found: dict[str, Letter] = {}
    while len(found) < most:
        received = sqs.receive_message(
            QueueUrl=queue.url,
            MaxNumberOfMessages=min(_OF_A_BATCH, most - len(found)),
            WaitTimeSeconds=_LISTENING_S if len(found) < expected else 0,
            VisibilityTimeout=_KEPT_BACK_S,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        if not received:
            break
        found |= {message["MessageId"]: _letter(queue, message) for message in received}
    return sorted(found.values(), key=lambda letter: (letter.sent_at, letter.id))


def _letter(queue: DeadLetterQueue, message: MessageTypeDef) -> Letter:
    said = {name: of.get("StringValue", "") for name, of in message.get("MessageAttributes", {}).items()}
    return Letter(
        queue=queue,
        id=message["MessageId"],
        handle=message["ReceiptHandle"],
        sent_at=datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC),
        reason=_reason(said),
        body=message["Body"],
    )


def _reason(said: Mapping[str, str]) -> str:
    """Usher's own; else that of EventBridge, which could not deliver an event; a redrive by SQS has none."""
    by_bus = ": ".join(said[name] for name in ("ERROR_CODE", "ERROR_MESSAGE") if said.get(name))
    return said.get("Reason") or by_bus or "none given: it was received again and again, and never finished"


def give_back(sqs: SQSClient, shown: Iterable[Letter]) -> None:
    """Let others see them at once. Where that fails they are seen after ten minutes."""
    for letter in shown:
        try:
            sqs.change_message_visibility(
                QueueUrl=letter.queue.url, ReceiptHandle=letter.handle, VisibilityTimeout=0
            )
        except (BotoCoreError, ClientError):
            continue


def send(sqs: SQSClient, letter: Letter) -> None:
    """Back to where it came from; then it is deleted here."""
    sqs.send_message(QueueUrl=letter.queue.back_url, MessageBody=letter.body)
    drop(sqs, letter)


def drop(sqs: SQSClient, letter: Letter) -> None:
    """Delete it."""
    sqs.delete_message(QueueUrl=letter.queue.url, ReceiptHandle=letter.handle)


# What they would still do


@dataclass(frozen=True, kw_only=True, slots=True)
class Judge:
    """Holds letters against the records, and against where the instances are now."""

    known: Known
    states: Mapping[str, str]  # LifecycleState by instance; a live instance that is not in it is gone
    now: datetime

    def of(self, letter: Letter) -> Judged:
        """What a letter is, and what it would still do."""
        try:
            what, judged = self._read(letter)
        except NotUnderstood as error:
            return Judged(letter=letter, what="unknown", status=LetterStatus.UNREADABLE, why=str(error))
        try:
            status, why = judged()
        except UNREADABLE:  # one such record spoils nothing but itself
            status, why = (
                LetterStatus.COUNTS,
                "a newer release stored its record: ask with that one's `usher`",
            )
        return Judged(letter=letter, what=what, status=status, why=why)

    def _read(self, letter: Letter) -> tuple[str, Callable[[], tuple[LetterStatus, str]]]:
        """What a letter is, and how to find out what it would do. Raises NotUnderstood."""
        if letter.queue.name == _WAKE_UPS:
            return "a wake-up", partial(self._of_wake_up, letter.body)
        if letter.queue.name == _QUESTIONS:
            return "a question", partial(self._of_question, letter.body)
        notice = messages.read(letter.body)
        return _what(notice), partial(self._of_notice, notice)

    def _of_wake_up(self, body: str) -> tuple[LetterStatus, str]:
        try:
            action_id, stamp = numbered(body, "version")
        except NOT_READ:
            return LetterStatus.UNREADABLE, "it names no action and version"
        action = self.known.load(action_id)
        if action is None or not action.is_open:
            return LetterStatus.OVER, "its action is closed" if action else "its action is not kept any more"
        if not action.stands_at(stamp):
            return LetterStatus.OVER, f"its action has moved on, to version {action.version}"
        return LetterStatus.COUNTS, f"its action is open; next look {action.look_at:%H:%M:%S}"

    def _of_question(self, body: str) -> tuple[LetterStatus, str]:
        try:
            action_id, turn = numbered(body, "turn")
        except NOT_READ:
            return LetterStatus.UNREADABLE, "it names no action and turn"
        action = self.known.load(action_id)
        if action is None or not action.is_open:
            return LetterStatus.OVER, "its action is closed" if action else "its action is not kept any more"
        findings = self.known.findings(action_id)
        if findings is None or findings.turn != turn:
            return LetterStatus.OVER, "its turn is over: the sweep had the question asked anew"
        return LetterStatus.COUNTS, "its turn still stands"

    def _of_notice(self, notice: Notice) -> tuple[LetterStatus, str]:
        match notice:
            case LifecycleNotice():
                return self._of_lifecycle(notice)
            case Signal():
                return self._of_signal(notice)
            case ActivityEnd():
                open_ones = [
                    action for action in self._open(notice.instance_id) if evidence.ends(notice, action)
                ]
                return _if(open_ones, "an open action waits for it", "no open action is of this move")
            case InstanceEnd() | InstanceState() | CommandEnd():
                open_ones = self._open(notice.instance_id)
                return _if(
                    open_ones, "an action of the instance is open", "no action of the instance is open"
                )
            case TestNotice():
                return LetterStatus.COUNTS, "it shows that the group reaches Usher"
            case Unrelated():
                return LetterStatus.OVER, f"ignored: {notice.reason}"

    def _of_lifecycle(self, notice: LifecycleNotice) -> tuple[LetterStatus, str]:
        action = self.known.of_token(notice.token)
        if action is not None:
            stands = f"closed: {action.outcome}" if action.outcome else "open"
            return LetterStatus.OVER, f"it is recorded already, as action {action.id} ({stands})"
        now_in = self.states.get(notice.instance_id)
        if any(move.state == now_in and move.transition is notice.transition for move in WAIT_MOVES):
            return (
                LetterStatus.COUNTS,
                f"the instance still waits, in {now_in}, and nothing is recorded of it",
            )
        where = f"the instance is {now_in}" if now_in else "the instance is gone"
        return LetterStatus.OVER, f"{where}: `No active Lifecycle Action found` would be the answer"

    def _of_signal(self, signal: Signal) -> tuple[LetterStatus, str]:
        sent = f"sent {duration.written(self.now - signal.at)} ago"
        if self.now - signal.at <= _FRESH:
            return LetterStatus.COUNTS, sent
        of_token = self.known.of_token(signal.token) if signal.token else None
        actions = [of_token] if of_token else self.known.of_instance(signal.instance_id or "")
        waiting = [one for one in actions if one.is_open and evidence.fits(signal, one)]
        return _if(
            waiting, f"{sent}, and an open action waits for it", f"{sent}, and no open action waits for it"
        )

    def _open(self, instance_id: str) -> list[Action]:
        return [action for action in self.known.of_instance(instance_id) if action.is_open]


def _if(open_ones: Sequence[Action], counts: str, over: str) -> tuple[LetterStatus, str]:
    return (LetterStatus.COUNTS, counts) if open_ones else (LetterStatus.OVER, over)


def _what(notice: Notice) -> str:
    match notice:
        case LifecycleNotice():
            return f"{notice.instance_id} {notice.transition} in {notice.group}, hook {notice.hook}"
        case TestNotice():
            return f"a test message of {notice.group}"
        case Signal():
            return f"signal {notice.name} {notice.status} of {notice.instance_id or notice.token}"
        case ActivityEnd():
            return f"{notice.detail.partition(':')[0]} of {notice.instance_id}"
        case InstanceEnd() | InstanceState() | CommandEnd():
            return f"{notice.detail} of {notice.instance_id}"
        case Unrelated():
            return "nothing of Usher's"


def instances(found: Iterable[Letter]) -> list[str]:
    """The instances whose live state tells something of lifecycle messages."""
    wanted: dict[str, None] = {}
    for letter in found:
        if letter.queue.name in (_WAKE_UPS, _QUESTIONS):
            continue
        try:
            notice = messages.read(letter.body)
        except NotUnderstood:
            continue
        if isinstance(notice, LifecycleNotice):
            wanted[notice.instance_id] = None
    return list(wanted)


def states_of(auto_scaling: AutoScalingClient, wanted: Sequence[str]) -> dict[str, str]:
    """DescribeAutoScalingInstances, for 50 at once; unknown ones are passed over there."""
    states: dict[str, str] = {}
    for start in range(0, len(wanted), _INSTANCES_OF_A_CALL):
        part = wanted[start : start + _INSTANCES_OF_A_CALL]
        answer = auto_scaling.describe_auto_scaling_instances(InstanceIds=part)
        states |= {each["InstanceId"]: each["LifecycleState"] for each in answer["AutoScalingInstances"]}
    return states


# The command


@click.command(epilog=_EXAMPLES)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "all_of_them", is_flag=True, help="All that it makes sense for.")
@click.option("--send", "sends", is_flag=True, help="Send them back to where they came from.")
@click.option("--drop", "drops", is_flag=True, help="Delete them for good.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_account
def redrive(
    account: Account,
    ids: tuple[str, ...],
    *,
    all_of_them: bool,
    sends: bool,
    drops: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Show the dead letters with their reason, and send them back or drop them.

    Each is held against the records and the live state. With --all only those are sent that still
    count, and only those dropped that do not; by its ID any letter is. What is only shown stays.
    """
    if sends and drops:
        raise click.UsageError("Say either --send or --drop.")
    how = Done.SENT if sends else Done.DROPPED if drops else Done.SHOWN
    _refuse_contradictions(ids, how, all_of_them=all_of_them, yes=yes)
    sqs = account.client("sqs")
    found: list[Letter] = []
    try:
        for queue in _queues(account, sqs):
            found += letters(sqs, queue, _MOST)
        judged = _judged(account, found)
        if not as_json:
            _print(judged, account.machine.clock())
        chosen = [] if how is Done.SHOWN else _chosen(judged, ids, how, all_of_them=all_of_them)
        agreed_to = _agreed(chosen, how, together=all_of_them or bool(ids), yes=yes)
        done = {each.letter.id: _do(sqs, each.letter, how) for each in agreed_to}
    finally:
        give_back(sqs, found)  # what is deleted by now is passed over
    told = [replace(each, done=done.get(each.letter.id, Done.SHOWN)) for each in judged]
    _tell(told, as_json=as_json)
    if all_of_them:
        _tell_passed_over(len(judged) - len(chosen), how)
    click.get_current_context().exit(1 if Done.FAILED in done.values() else 0)


def _refuse_contradictions(ids: Sequence[str], how: Done, *, all_of_them: bool, yes: bool) -> None:
    if how is Done.SHOWN and (ids or all_of_them or yes):
        raise click.UsageError("Say --send or --drop.")
    if ids and all_of_them:
        raise click.UsageError("Say either --all or the ids.")
    if yes and not ids and not all_of_them:
        raise click.UsageError("Say --all, or the ids.")


def _queues(account: Account, sqs: SQSClient) -> list[DeadLetterQueue]:
    outputs = {
        "inbox": "InboxUrl",
        "events": "EventsUrl",
        _WAKE_UPS: "WakeUpsUrl",
        _QUESTIONS: "QuestionsUrl",
    }
    missing = [output for output in outputs.values() if output not in account.outputs]
    if missing:
        raise Trouble(f"Stack {account.place.stack} has no output {missing[0]}: deploy it with this release.")
    return [queue_of(sqs, name, account.outputs[output]) for name, output in outputs.items()]


def _judged(account: Account, found: Sequence[Letter]) -> list[Judged]:
    states = states_of(account.client("autoscaling"), instances(found))
    judge = Judge(known=account.records, states=states, now=account.machine.clock())
    return [judge.of(letter) for letter in found]


def _chosen(
    judged: Sequence[Judged], ids: Sequence[str], how: Done, *, all_of_them: bool
) -> Sequence[Judged]:
    """Those that are meant: by their ids, or, with --all, those that it makes sense for; else each."""
    if all_of_them:
        return [each for each in judged if (each.status is LetterStatus.COUNTS) == (how is Done.SENT)]
    if not ids:
        return judged
    for given in ids:
        fitting = [each for each in judged if each.letter.id.startswith(given)]
        if len(fitting) != 1:
            raise click.UsageError(f"{len(fitting)} letters have an id that begins with {given}.")
    return [each for each in judged if each.letter.id.startswith(tuple(ids))]


def _agreed(chosen: Sequence[Judged], how: Done, *, together: bool, yes: bool) -> Iterable[Judged]:
    """Those of them to which the operator says yes: together, or one by one."""
    verb = "Send back" if how is Done.SENT else "Drop"
    if yes or not chosen:
        return chosen
    if together:
        count = f"{len(chosen)} letter{'' if len(chosen) == 1 else 's'}"
        return chosen if agreed(f"{verb} {count}?") else ()
    return (each for each in chosen if agreed(f"{verb} {_short(each.letter)} ({shown(each.what)})?"))


def _do(sqs: SQSClient, letter: Letter, how: Done) -> Done:
    do: Callable[[SQSClient, Letter], None] = send if how is Done.SENT else drop
    try:
        do(sqs, letter)
    except (BotoCoreError, ClientError) as error:
        click.echo(f"{_short(letter)}: {error}", err=True)
        return Done.FAILED
    return how


def _tell(told: Sequence[Judged], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([as_data(each) for each in told], indent=1))
    counts = {done: sum(each.done is done for each in told) for done in Done}
    said = ", ".join(f"{count} {done}" for done, count in counts.items() if count)
    click.echo(f"Dead letters: {said or 'none'}.", err=True)


def _tell_passed_over(count: int, how: Done) -> None:
    if count:
        letters_ = "1 letter was" if count == 1 else f"{count} letters were"
        does, only = ("sent back", "still counts") if how is Done.SENT else ("dropped", "counts no more")
        what = f"{letters_} not {does}: --all is for what {only}, and each standing says why"
        click.echo(f"{what}. By its id any letter is {does}.", err=True)


def as_data(judged: Judged) -> dict[str, object]:
    """One letter as `usher redrive --json` prints it."""
    letter = judged.letter
    return {
        "id": letter.id,
        "queue": letter.queue.name,
        "sent_at": written(letter.sent_at),
        "reason": letter.reason,
        "what": judged.what,
        "standing": judged.status,
        "why": judged.why,
        "done": judged.done,
        "body": letter.body,
    }


_COLOURS: Final = {LetterStatus.COUNTS: "green", LetterStatus.OVER: "dim", LetterStatus.UNREADABLE: "red"}


def _print(judged: Sequence[Judged], now: datetime) -> None:
    """A block for each: reasons are too long for a table."""
    console = Console(highlight=False, emoji=False, soft_wrap=True, width=_WIDTH)
    for each in judged:
        age = short((now - each.letter.sent_at).total_seconds())
        first = f"{_short(each.letter)}  {each.letter.queue.name}, {age} ago: {each.what}"
        console.print(Text(shown(first), "bold"))
        console.print(Text(shown(f"  reason    {each.letter.reason}")))
        why = "" if _is_the_reason(each.why, each.letter) else f": {each.why}"
        console.print(Text(shown(f"  standing  {each.status}{why}"), _COLOURS[each.status]))


def _is_the_reason(why: str, letter: Letter) -> bool:
    """What was not understood then is not understood now; the queue holds the reason in ASCII."""
    return why.encode("ascii", "backslashreplace").decode() == letter.reason


def _short(letter: Letter) -> str:
    return letter.id[:_SHOWN_OF_ID]
