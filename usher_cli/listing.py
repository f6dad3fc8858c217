"""`usher list` and `usher watch`: which instances are held, why, and until when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from usher.core import duration
from usher.core.action import Phase
from usher.core.conditions.probe import Probe, finding_of
from usher.core.finding import ConditionStatus
from usher.core.policy import Mode, glob_fits
from usher.ports.records import ALL_HOOKS
from usher_cli.account import with_account
from usher_cli.offline import list_offline
from usher_cli.printable import shown
from usher_cli.report import written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from usher.core.action import Action, Entry, OperatorNote
    from usher.core.conditions.verdict import Condition
    from usher_cli.account import Account

_PAGE: Final = 50
_HEADINGS: Final = ("INSTANCE", "GROUP", "HOOK", "STATE", "AGE", "EXPIRES", "GIVES UP", "WAITS FOR")
_MAY_BE_CUT: Final = ("GROUP", "HOOK", "WAITS FOR")
_LEAST_WIDTHS: Final = {"AGE": 90, "GROUP": 110, "GIVES UP": 130}  # of a terminal that shows them too
_COLOURS: Final = {
    "completing": "green",
    "held": "magenta",
    "observed": "dim",
    "ordered": "green",
    "overdue": "red",
    "paused": "red",
    "waiting": "cyan",
}
_LATE: Final = timedelta(minutes=3)  # two sweeps stand two minutes apart at most
_HOUR: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)  # each look of `watch` reads the table, which is billed

_LIST_EXAMPLES: Final = """\
\b
Examples:
  usher list --region eu-west-1
  usher list --group 'workers-*' --hook usher-drain
  usher list --json | jq '.actions[] | select(.to_expiry_s < 60)'
  usher list --offline    without DynamoDB: what waits, as commands that hold each

A narrow terminal shows fewer columns, and cuts long names; `usher show` and --json cut nothing.
Closed actions are not listed: ask for them by instance, token or id with `usher show`.
"""

_WATCH_EXAMPLES: Final = """\
\b
Examples:
  usher watch                     a table that follows what happens, until Ctrl-C
  usher watch | tee incident.log  a line for each change
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """Which of the open actions are to be shown, and how many at most."""

    group: str | None
    hook: str | None
    limit: int

    def fits(self, action: Action) -> bool:
        """Whether both globs fit."""
        pairs = ((self.group, action.hook.group), (self.hook, action.hook.name))
        return all(glob is None or glob_fits(glob, name) for glob, name in pairs)


class _Count(click.IntRange):
    """A number from 1 on, called a number where it is none."""

    name = "number"

    def __init__(self) -> None:
        super().__init__(min=1)


def _wishes(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which actions it is about."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option(
            "--limit", default=_PAGE, show_default=True, type=_Count(), metavar="NUMBER", help="At most."
        ),
        click.option("--hook", metavar="GLOB", help="Only of these hooks; * stands for any text."),
        click.option("--group", metavar="GLOB", help="Only of these groups; * stands for any text."),
    ):
        command = option(command)
    return command


@click.command(name="list", epilog=_LIST_EXAMPLES)
@_wishes
@click.option("--offline", is_flag=True, help="From the live state alone, with commands that hold it.")
@with_account
def list_command(
    account: Account, group: str | None, hook: str | None, limit: int, *, as_json: bool, offline: bool
) -> None:
    """Show the open actions, nearest expiry first.

    STATE is waiting, held, ordered, completing, observed or paused; overdue, where no function has
    looked at it in time. With --offline the table is not asked: for an outage of DynamoDB.
    """
    wish = Wish(group=group, hook=hook, limit=limit)
    if offline:
        list_offline(account, wish, as_json=as_json)
        return
    page = listed(account, wish)
    if as_json:
        click.echo(json.dumps(page, indent=1))
        return
    console = Console(highlight=False, emoji=False)
    if console.is_terminal:
        console.print(_shown(page, console.width))
    else:
        for line in _plain(page):
            click.echo(line)
    _tell_rest(page)


def _interval(_context: click.Context, _option: click.Parameter, text: str) -> timedelta:
    try:
        between = duration.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if between < _SECOND:
        raise click.BadParameter(f"at least {duration.written(_SECOND)}, got {text}")
    return between


@click.command(epilog=_WATCH_EXAMPLES)
@click.option(
    "--interval",
    default="5s",
    show_default=True,
    callback=_interval,
    metavar="SPAN",
    help="Between two looks, at least 1s.",
)
@_wishes
@with_account
def watch(
    account: Account, interval: timedelta, group: str | None, hook: str | None, limit: int, *, as_json: bool
) -> None:
    """Follow the open actions, until Ctrl-C.

    On a terminal: the table of `usher list`, kept fresh. Piped: a line for each change, with --json
    one object a line.
    """
    wish = Wish(group=group, hook=hook, limit=limit)
    console = Console(highlight=False, emoji=False)
    try:
        if console.is_terminal and not as_json:
            watch_table(account, wish, interval, console)
        else:
            watch_lines(account, wish, interval, as_json=as_json)
    except KeyboardInterrupt:
        click.echo(err=True)


def watch_table(account: Account, wish: Wish, between: timedelta, console: Console) -> None:
    """Refresh a table in place, for ever."""
    with Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            live.update(_shown(listed(account, wish), console.width), refresh=True)
            account.machine.wait(between)


def watch_lines(account: Account, wish: Wish, between: timedelta, *, as_json: bool) -> None:
    """Print what changed, for ever."""
    before: dict[str, dict[str, Any]] = {}
    while True:
        page = listed(account, wish)
        after = {action["id"]: action for action in page["actions"]}
        gone = [_closed(account, action_id) for action_id in before.keys() - after.keys()]
        changed = [
            action for key, action in after.items() if _last_word(action) != _last_word(before.get(key))
        ]
        for action in [*filter(None, gone), *changed]:
            click.echo(json.dumps(action) if as_json else _line(action, page["at"]))
        before = after
        account.machine.wait(between)


def _closed(account: Account, action_id: str) -> dict[str, Any] | None:
    """What became of an action that is not listed any more; None where others only go before it."""
    action = account.records.load(action_id)
    if action is None or action.is_open:
        return None
    return as_data(action, account.machine.clock(), {})


def _last_word(action: Mapping[str, Any] | None) -> object:
    """What makes a line of its own when it changes: not the ages, which always do."""
    if action is None:
        return None
    statuses = [(said["standing"], said["detail"]) for said in action["conditions"]]
    return action["state"], statuses, action["held"], action["gives_up_at"]


def _line(action: Mapping[str, Any], at: str) -> str:
    said = action["reason"] if action["closed_at"] else _waits_for(action)
    state = " ".join(filter(None, [action["state"], action["result"]]))
    return shown(f"{at}  {action['instance_id']}  {action['hook']}  {state}: {said}")


def listed(account: Account, wish: Wish) -> dict[str, Any]:
    """What `usher list --json` prints. States are read page by page, only as far as they are shown."""
    keys, now = account.open_keys(), account.machine.clock()
    found: list[Action] = []
    read = 0
    while read < len(keys) and len(found) < wish.limit:
        page = keys[read : read + wish.limit]
        found += filter(wish.fits, account.states(page))
        read += len(page)
    paused = account.records.pauses()
    shown = sorted(found, key=lambda action: (action.expires_at, action.id))[: wish.limit]
    return {
        "at": written(now),
        "stack": account.place.stack,
        "region": account.place.region,
        "open": len(keys),
        "more": read < len(keys) or len(found) > wish.limit,
        "paused": [{"hook": hook, "by": by} for hook, by in sorted(paused.items())],
        "actions": [as_data(action, now, paused) for action in shown],
    }


def as_data(action: Action, now: datetime, paused: Mapping[str, str]) -> dict[str, Any]:
    """One action as every --json shows it. These keys stay; others may come."""
    return {
        "id": action.id,
        "token": action.token,
        "instance_id": action.instance_id,
        "group": action.hook.group,
        "hook": action.hook.name,
        "transition": action.hook.transition,
        "policy": action.policy.name,
        "state": _state(action, now, paused),
        "result": action.result,
        "reason": action.reason,
        "started_at": written(action.started_at),
        "age_s": _seconds((action.closed_at or now) - action.started_at),
        "expires_at": written(action.expires_at),
        "to_expiry_s": _seconds(action.expires_at - now) if action.is_open else None,
        "gives_up_at": written(action.give_up_at),
        "to_giving_up_s": _seconds(action.give_up_at - now) if action.is_open else None,
        "decide_by": written(action.decide_by),
        "look_at": written(action.look_at),
        "closed_at": written(action.closed_at),
        "heartbeats": action.heartbeats,
        "conditions": [_said(condition, action, now) for condition in action.policy.until],
        "held": _word(action.operator_hold),
        "ordered": _word(action.operator_result_by),
        "extended_to": written(action.extended_to),
        "last": _last(action.last_entry),
    }


def _state(action: Action, now: datetime, paused: Mapping[str, str]) -> str:
    if action.look_at is None:
        return str(action.outcome)
    if action.look_at < now - _LATE:
        return "overdue"
    named = {
        "completing": action.phase is Phase.COMPLETING,
        "observed": action.policy.mode is Mode.OBSERVE,
        "paused": ALL_HOOKS in paused or action.hook.name in paused,
        "ordered": action.operator_result_by is not None,
        "held": action.operator_hold is not None,
    }
    return next((state for state, is_so in named.items() if is_so), "waiting")


def _said(condition: Condition, action: Action, now: datetime) -> dict[str, Any]:
    """The last word of a condition: as the last look saw it, with when AWS was asked."""
    last = action.last_entry
    verdict = condition.verdict(action, min(now, last.last_at) if last else now)
    leaves = [leaf for leaf in condition.leaves() if isinstance(leaf, Probe)]
    asked = [found.asked_at for found in (finding_of(leaf, action) for leaf in leaves) if found]
    return {
        "standing": verdict.status,
        "detail": verdict.detail,
        "asked_at": written(max(asked, default=None)),
    }


def _word(word: OperatorNote | None) -> dict[str, Any] | None:
    return None if word is None else {"who": word.who, "at": written(word.at), "reason": word.reason}


def _last(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {"at": written(entry.last_at), "event": entry.event, "detail": entry.detail}


def _seconds(duration: timedelta) -> float:
    return round(duration.total_seconds(), 3)


# For people


def _plain(page: Mapping[str, Any]) -> Iterator[str]:
    """Aligned columns, one line an action."""
    yield from _banners(page)
    rows = [_HEADINGS, *(_cells(action) for action in page["actions"])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows if len(rows) > 1 else []:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _shown(page: Mapping[str, Any], width: int) -> Group:
    """The same as a table that fits a terminal of that width: a line an action."""
    banners = [Text(line, style="bold red") for line in _banners(page)]
    title = f"{len(page['actions'])} of {page['open']} open in {page['stack']}, {page['at']}"
    actions = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    headings = [heading for heading in _HEADINGS if width >= _LEAST_WIDTHS.get(heading, 0)]
    for heading in headings:
        actions.add_column(heading, no_wrap=heading not in _MAY_BE_CUT)
    for action in page["actions"]:
        cells = dict(zip(_HEADINGS, _cells(action), strict=True))
        styles = {"STATE": _COLOURS.get(action["state"], "")}
        actions.add_row(*(_cut_to_fit(cells[heading], styles.get(heading, "")) for heading in headings))
    return Group(*banners, actions)


def _cut_to_fit(cell: str, style: str) -> Text:
    """One line, whatever is left for it: rich makes a column narrower that it may wrap, but not its words."""
    return Text(cell, style, no_wrap=True, overflow="ellipsis")


def _banners(page: Mapping[str, Any]) -> Iterator[str]:
    for pause in page["paused"]:
        yield banner(pause["hook"], pause["by"])


def banner(hook: str, by: str) -> str:
    """A pause, in one line."""
    what = "all hooks" if hook == ALL_HOOKS else f"hook {hook}"
    return shown(f"PAUSED: {what}, by {by}")


def resuming(hook: str) -> str:
    """The command that ends a pause."""
    return "`usher resume`" if hook == ALL_HOOKS else f"`usher resume --hook {hook}`"


def _cells(action: Mapping[str, Any]) -> tuple[str, ...]:
    cells = (
        action["instance_id"],
        action["group"],
        action["hook"],
        action["state"],
        short(action["age_s"]),
        short(action["to_expiry_s"]),
        short(action["to_giving_up_s"]),
        _waits_for(action),
    )
    return tuple(map(shown, cells))


def _waits_for(action: Mapping[str, Any]) -> str:
    """What stands between the instance and its release, the operator's word first."""
    words = [
        f"{what} by {action[what]['who']}: {action[what]['reason']}"
        for what in ("ordered", "held")
        if action[what]
    ]
    if action["state"] == "completing":
        words.append(f"{action['result']}: {action['reason']}")
    open_ones = [said for said in action["conditions"] if said["standing"] != ConditionStatus.HOLDS]
    words += [f"{said['detail']} ({said['standing']})" for said in open_ones]
    return "; ".join(words) or (action["last"] or {}).get("detail", "")


def _tell_rest(page: Mapping[str, Any]) -> None:
    count, total = len(page["actions"]), page["open"]
    if not page["open"]:
        click.echo(f"No action is open in stack {page['stack']}, {page['region']}.", err=True)
    elif page["more"]:
        click.echo(f"{count} shown of {total} open; --limit {total} shows all that fit.", err=True)
    elif not count:
        click.echo(f"None of the {total} open actions fits.", err=True)


def short(seconds: float) -> str:
    """A span for people: whole seconds, from an hour on whole minutes."""
    length = timedelta(seconds=round(abs(seconds)))
    if length >= _HOUR:
        length -= length % timedelta(minutes=1)
    return f"{'-' if seconds <= -1 else ''}{duration.written(length)}"
