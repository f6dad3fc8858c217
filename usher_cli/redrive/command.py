"""The command `usher redrive`. What it only shows becomes visible in its queue again."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from usher_cli.account import Trouble, with_account
from usher_cli.confirm import agreed
from usher_cli.printable import short, shown
from usher_cli.redrive import queues
from usher_cli.redrive.classify import Classified, Classifier, LetterStatus, instances, states_of
from usher_cli.redrive.queues import QUESTIONS, WAKE_UPS, DeadLetter, DeadLetterQueue
from usher_cli.report import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from mypy_boto3_sqs import SQSClient

    from usher_cli.account import Account


_LETTERS_MAX: Final = 1000  # of each queue
_WIDTH: Final = 1000  # nothing is cut to fit: a terminal wraps long lines by itself
_HIDDEN: Final = "{count} of {queue} not shown: another `usher redrive` has them, for ten minutes at most."
_ID_LENGTH: Final = 8  # of an id, as people see it

_EXAMPLES: Final = """
\b
Examples:
  usher redrive                          show them; nothing is changed
  usher redrive --send                   ask for each whether to send it back
  usher redrive --send 3f2a91c0 77b01d2e send these two back
  usher redrive --all --send             send back all that are current
  usher redrive --all --drop --yes       drop all that are obsolete or unreadable

\b
Status of a dead letter:
  current     sending it back still has an effect
  obsolete    its action is closed, already recorded, or evaluated since
  unreadable  Usher cannot understand it

\b
Exit codes:
  0  success
  1  a dead letter could not be sent back or dropped, or there are too many for one run
  2  wrong usage, or the account cannot be reached
"""


class Done(StrEnum):
    """What was done with a dead letter."""

    SHOWN = "shown"
    SENT = "sent"
    DROPPED = "dropped"
    FAILED = "failed"


@click.command(epilog=_EXAMPLES)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--all",
    "select_all",
    is_flag=True,
    help="All that are current (--send), or all that are obsolete or unreadable (--drop).",
)
@click.option("--send", "sends", is_flag=True, help="Send them back to their source queues.")
@click.option("--drop", "drops", is_flag=True, help="Delete them permanently.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_account
def redrive(
    account: Account,
    ids: tuple[str, ...],
    *,
    select_all: bool,
    sends: bool,
    drops: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Show dead letters, and send them back or drop them.

    Each dead letter is compared with the records and with the live state of its instance. An ID, or
    its first characters, selects any dead letter. Without --send or --drop nothing is changed.
    """
    if sends and drops:
        raise click.UsageError("Use either --send or --drop, not both.")
    wanted = Done.SENT if sends else Done.DROPPED if drops else Done.SHOWN
    _refuse_contradictions(ids, wanted, select_all=select_all, yes=yes)
    sqs = account.client("sqs")
    letters: list[DeadLetter] = []
    unread: list[str] = []
    try:
        for queue in _queues(account, sqs):
            received, hidden = queues.receive(sqs, queue, _LETTERS_MAX)
            letters += received
            unread += [queue.name] if len(received) == _LETTERS_MAX else []
            if hidden:
                click.echo(_HIDDEN.format(count=_counted(hidden), queue=queue.name), err=True)
        found = _classified(account, letters)
        if not as_json:
            _print(found, account.machine.clock())
        chosen = [] if wanted is Done.SHOWN else _chosen(found, ids, wanted, select_all=select_all)
        confirmed = _confirmed(chosen, wanted, together=select_all or bool(ids), yes=yes)
        done = {item.letter.id: act(sqs, item.letter, wanted) for item in confirmed}
    finally:
        queues.release(sqs, letters)  # those deleted by now are skipped
    _print_result(found, done, as_json=as_json)
    if select_all:
        _print_skipped(len(found) - len(chosen), wanted)
    for name in unread:
        click.echo(f"There may be more than {_LETTERS_MAX} in {name}: run it again.", err=True)
    click.get_current_context().exit(1 if unread or Done.FAILED in done.values() else 0)


def _refuse_contradictions(ids: Sequence[str], wanted: Done, *, select_all: bool, yes: bool) -> None:
    if wanted is Done.SHOWN and (ids or select_all or yes):
        raise click.UsageError("Add --send or --drop.")
    if ids and select_all:
        raise click.UsageError("Use either --all or IDs, not both.")
    if yes and not ids and not select_all:
        raise click.UsageError("--yes needs --all or IDs.")


def _queues(account: Account, sqs: SQSClient) -> list[DeadLetterQueue]:
    outputs = {
        "inbox": "InboxUrl",
        "events": "EventsUrl",
        WAKE_UPS: "WakeUpsUrl",
        QUESTIONS: "QuestionsUrl",
    }
    missing = [output for output in outputs.values() if output not in account.outputs]
    if missing:
        raise Trouble(f"Stack {account.place.stack} has no output {missing[0]}: deploy it with this release.")
    return [queues.queue_of(sqs, name, account.outputs[output]) for name, output in outputs.items()]


def _classified(account: Account, letters: Sequence[DeadLetter]) -> list[Classified]:
    states = states_of(account.client("autoscaling"), instances(letters))
    classifier = Classifier(known=account.records, states=states, now=account.machine.clock())
    return [classifier.classify(letter) for letter in letters]


def _chosen(
    found: Sequence[Classified], ids: Sequence[str], wanted: Done, *, select_all: bool
) -> Sequence[Classified]:
    """Those with these ids; with --all those whose status allows it; otherwise all, to be asked about."""
    if select_all:
        return [item for item in found if (item.status is LetterStatus.CURRENT) == (wanted is Done.SENT)]
    if not ids:
        return found
    for given in ids:
        count = sum(item.letter.id.startswith(given) for item in found)
        if count != 1:
            raise click.UsageError(f"{count} dead letters have an ID that begins with {given}.")
    return [item for item in found if item.letter.id.startswith(tuple(ids))]


def _confirmed(
    chosen: Sequence[Classified], wanted: Done, *, together: bool, yes: bool
) -> Iterable[Classified]:
    """Those that the operator confirms: all at once, or one by one."""
    verb = "Send back" if wanted is Done.SENT else "Drop"
    if yes or not chosen:
        return chosen
    if together:
        return chosen if agreed(f"{verb} {_counted(len(chosen))}?") else ()
    return (item for item in chosen if agreed(f"{verb} {_short_id(item.letter)} ({shown(item.what)})?"))


def act(sqs: SQSClient, letter: DeadLetter, wanted: Done) -> Done:
    """Send or drop one dead letter, and say whether that worked."""
    try:
        if wanted is Done.SENT:
            queues.send(sqs, letter)
        else:
            queues.drop(sqs, letter)
    except (BotoCoreError, ClientError) as error:
        click.echo(f"{_short_id(letter)}: {error}", err=True)
        return Done.FAILED
    return wanted


# Output


def _print_result(found: Sequence[Classified], done: Mapping[str, Done], *, as_json: bool) -> None:
    results = [done.get(item.letter.id, Done.SHOWN) for item in found]
    if as_json:
        data = [as_data(item, result) for item, result in zip(found, results, strict=True)]
        click.echo(json.dumps(data, indent=1))
    counts = ", ".join(f"{results.count(result)} {result}" for result in Done if result in results)
    click.echo(f"Dead letters: {counts or 'none'}.", err=True)


def _print_skipped(count: int, wanted: Done) -> None:
    if count:
        option, verb = ("--send", "sent back") if wanted is Done.SENT else ("--drop", "dropped")
        kinds = "current ones" if wanted is Done.SENT else "obsolete and unreadable ones"
        click.echo(
            f"{_counted(count)} not {verb}: --all {option} selects only {kinds}. "
            f"To select any other, give its ID.",
            err=True,
        )


_OLD_STATUSES: Final = {  # of the key `standing`, which is removed in 0.2
    LetterStatus.CURRENT: "counts",
    LetterStatus.OBSOLETE: "over",
    LetterStatus.UNREADABLE: "not understood",
}


def as_data(item: Classified, done: Done) -> dict[str, object]:
    """One dead letter as `usher redrive --json` prints it."""
    letter = item.letter
    return {
        "id": letter.id,
        "queue": letter.queue.name,
        "sent_at": written(letter.sent_at),
        "reason": letter.reason,
        "what": item.what,
        "status": item.status,
        "standing": _OLD_STATUSES[item.status],
        "why": item.why,
        "done": done,
        "body": letter.body,
    }


_COLOURS: Final = {
    LetterStatus.CURRENT: "green",
    LetterStatus.OBSOLETE: "dim",
    LetterStatus.UNREADABLE: "red",
}


def _print(found: Sequence[Classified], now: datetime) -> None:
    """A block for each: reasons are too long for a table."""
    console = Console(highlight=False, emoji=False, soft_wrap=True, width=_WIDTH)
    for item in found:
        letter = item.letter
        age = short((now - letter.sent_at).total_seconds())
        first = f"{_short_id(letter)}  {letter.queue.name}, {age} ago: {item.what}"
        console.print(Text(shown(first), "bold"))
        console.print(Text(shown(f"  reason  {letter.reason}")))
        why = "" if _repeats_reason(item.why, letter) else f": {item.why}"
        console.print(Text(shown(f"  status  {item.status}{why}"), _COLOURS[item.status]))


def _repeats_reason(why: str, letter: DeadLetter) -> bool:
    """A message that was not understood then is not understood now; the queue holds the reason in ASCII."""
    return why.encode("ascii", "backslashreplace").decode() == letter.reason


def _counted(count: int) -> str:
    return "1 dead letter" if count == 1 else f"{count} dead letters"


def _short_id(letter: DeadLetter) -> str:
    return letter.id[:_ID_LENGTH]
