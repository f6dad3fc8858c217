"""The command `usher audit`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console

from usher_cli.account import with_account
from usher_cli.audit.audit import Audit, counts
from usher_cli.audit.told import Told
from usher_cli.audit.verdicts import PROMISES, UNSEEN
from usher_cli.fleet.fleet import or_fleet
from usher_cli.history.closed import READ_AT_ONCE, Wanted, wanted_rows
from usher_cli.history.stories import in_turn
from usher_cli.open_actions import unreadable_text
from usher_cli.printable import shown
from usher_cli.report import written
from usher_cli.time_options import period_of, period_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from usher_cli.account import Account
    from usher_cli.audit.verdicts import Verdict
    from usher_cli.fleet.fleet import Fleet
    from usher_cli.time_options import Period

BROKEN: Final = 1  # the exit code
_MOST_SHOWN: Final = 100  # verdicts of one kind, for people

_EXAMPLES: Final = """\
\b
Examples:
  usher audit                                     the last 24 hours
  usher audit --from 7d
  usher audit --fleet fleet.yaml                  all accounts and Regions of a fleet
  usher audit --from 2026-03-01T22:00Z --to 2026-03-02T06:00Z --group 'workers-*'
  usher audit --json | jq -r '.broken[] | [.promise, .instance_id, .text] | @tsv'

An action is judged by the facts of its record (times, signals, findings, operators' commands, Auto
Scaling's answers), not by the reasons that Usher gave. What records cannot show is listed, too.

\b
Exit codes:
  0  no promise is broken, as far as the records show
  1  a promise is broken, a record cannot be read, or an account or Region of the fleet failed
  2  wrong usage, or the account cannot be reached
"""


def audit_fleet(
    fleet: Fleet,
    first: datetime | timedelta,
    last: datetime | timedelta | None,
    group: str | None,
    hook: str | None,
    *,
    as_json: bool,
) -> None:
    """The audits of all sites, one after the other as they are read."""
    period = period_of(first, last, fleet.machine.clock())
    wanted = Wanted(group=group, hook=hook)
    answers = fleet.ask(lambda account, _: _audit(account, period, wanted, with_open=last is None))
    if as_json:
        sites = [{**site.names, **data} for site, data in answers.told]
        click.echo(json.dumps({"sites": sites, "failed": [each.data for each in answers.failed]}, indent=1))
    else:
        for site, data in answers.told:
            click.echo(f"{site}:")
            for line in _lines(data):
                click.echo(shown(f"  {line}".rstrip()))
    for site, data in answers.told:
        if data["unreadable"]:
            click.echo(shown(f"{site}: {unreadable_text(data['unreadable'], 'action')}"), err=True)
    answers.finish(incomplete=any(data["broken"] or data["unreadable"] for _, data in answers.told))


@click.command(epilog=_EXAMPLES)
@period_options
@click.option("--group", metavar="GLOB", help="Only these groups; * matches any text.")
@click.option("--hook", metavar="GLOB", help="Only these hooks; * matches any text.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@or_fleet(audit_fleet)
@with_account
def audit(
    account: Account,
    first: datetime | timedelta,
    last: datetime | timedelta | None,
    group: str | None,
    hook: str | None,
    *,
    as_json: bool,
) -> None:
    """Check Usher's promises against the records of a period.

    Of the actions that were closed in it, and, if it ends now, of those that are open.
    """
    period = period_of(first, last, account.machine.clock())
    wanted = Wanted(group=group, hook=hook)
    with Console(stderr=True).status("Reading the records ...") as status:
        data = _audit(account, period, wanted, with_open=last is None, tell=status.update)
    if as_json:
        click.echo(json.dumps(data, indent=1))
    else:
        for line in _lines(data):
            click.echo(shown(line))
    if data["unreadable"]:
        click.echo(shown(unreadable_text(data["unreadable"], "action")), err=True)
    click.get_current_context().exit(BROKEN if data["broken"] or data["unreadable"] else 0)


def _audit(
    account: Account,
    period: Period,
    wanted: Wanted,
    *,
    with_open: bool,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    ids = list(_ids(account, period, wanted, with_open=with_open))
    held, unreadable = _audited(account, ids, tell)
    return as_data(account, period, held, unreadable)


def _ids(account: Account, period: Period, wanted: Wanted, *, with_open: bool) -> Iterator[str]:
    for row in wanted_rows(account.records, period, wanted, READ_AT_ONCE):
        yield row.action_id
    for open_row in account.records.open_rows() if with_open else ():
        if wanted.selects(open_row.group, open_row.hook):
            yield open_row.action_id


def _audited(account: Account, ids: Sequence[str], tell: Callable[[str], None]) -> tuple[Audit, list[str]]:
    held, unreadable = Audit(), list[str]()
    for part in in_turn(account.stories(), list(dict.fromkeys(ids))):
        unreadable += part.unreadable
        for story in part.stories:
            held.add(Told(action=story.action, timeline=story.timeline))
        tell(f"Checking the promises against the records: {held.actions:,} of {len(ids):,} ...")
    return held, unreadable


def as_data(account: Account, period: Period, held: Audit, unreadable: list[str]) -> dict[str, Any]:
    """What `usher audit --json` prints."""
    verdicts = held.verdicts()
    of_each = {promise: counts(verdicts, promise) for promise in PROMISES}
    return {
        "at": written(account.machine.clock()),
        "stack": account.place.stack,
        "region": account.place.region,
        "from": written(period.since),
        "to": written(period.until),
        "actions": held.actions,
        "open": held.open,
        "unreadable": unreadable,
        "least_margin_s": held.least_margin_s,
        "promises": [
            {"promise": promise, "text": text, "broken": of_each[promise][0], "unknown": of_each[promise][1]}
            for promise, text in PROMISES.items()
        ],
        "broken": [_verdict(verdict) for verdict in verdicts if verdict.is_broken],
        "unknown": [_verdict(verdict) for verdict in verdicts if not verdict.is_broken],
        "not_in_records": UNSEEN,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    action = verdict.told.action
    return {
        "promise": verdict.promise,
        "id": action.id,
        "token": action.token,
        "instance_id": action.instance_id,
        "group": action.hook.group,
        "hook": action.hook.name,
        "text": verdict.text,
    }


# Output for people


def _lines(data: Mapping[str, Any]) -> Iterator[str]:
    open_ones = f", {data['open']:,} of them open" if data["open"] else ""
    actions = "1 action" if data["actions"] == 1 else f"{data['actions']:,} actions"
    yield f"{actions}{open_ones}, {data['from']} to {data['to']}, stack {data['stack']}"
    if data["least_margin_s"] is not None:
        yield f"smallest margin of a heartbeat: {data['least_margin_s']:g} s before the expiry"
    for each in data["promises"]:
        yield f"  {each['text']:<24} {_kept(each)}"
    for kind in ("broken", "unknown"):
        verdicts = data[kind]
        if verdicts:
            yield ""
            yield f"{kind}:"
        for verdict in verdicts[:_MOST_SHOWN]:
            where = f"{verdict['instance_id']} in {verdict['group']}, hook {verdict['hook']}"
            yield f"  {PROMISES[verdict['promise']]}: {where}: {verdict['text']} (usher show {verdict['id']})"
        if len(verdicts) > _MOST_SHOWN:
            yield f"  … and {len(verdicts) - _MOST_SHOWN} more; --json has all of them"
    yield ""
    yield "not in the records:"
    for promise, text in data["not_in_records"].items():
        yield f"  {promise}: {text}"


def _kept(each: Mapping[str, Any]) -> str:
    parts = [f"{each[kind]:,} {kind}" for kind in ("broken", "unknown") if each[kind]]
    return ", ".join(parts) or "kept"
