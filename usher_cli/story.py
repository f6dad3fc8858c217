"""A replay as text: the timeline of each action, the messages that led to none, and a summary."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape
from rich.table import Table

from usher.core import duration
from usher.core.action import Code

if TYPE_CHECKING:
    from rich.console import Console

_MOST_TIMELINES: Final = 100
_MOST_PLACES: Final = 20
_MOST_LINES: Final = 16
_LINES_AT_AN_END: Final = 6
_DAY, _SECOND = len("2026-01-31"), len("2026-01-31T12:00:00")  # of a time, as it is written
_ACCEPTED: Final = (Code.HEARTBEAT_ACCEPTED, Code.RESULT_ACCEPTED)
_COLOURS: Final = {"completed": "green", "ended_elsewhere": "yellow", "defaulted": "red", "open": "red"}


def print_story(data: dict[str, Any], console: Console) -> None:
    """Print a report of usher_cli.report, on a console that wraps softly and is wide enough for the table."""
    for action in data["actions"][:_MOST_TIMELINES]:
        _print_action(action, console)
    left_out = len(data["actions"]) - _MOST_TIMELINES
    if left_out > 0:
        console.print(f"… and {left_out} more actions; --json has all of them.\n")
    _print_places(_grouped(data["unmatched"]), "unmatched", "yellow", console)
    _print_places(_grouped(data["ignored"]), "ignored", "yellow", console)
    _print_places(_grouped(data["rejected"]), "rejected", "red", console)
    _print_tests(data["tests"], console)
    if "assumed" in data:
        console.print(f"{assumption(data['assumed'])}\n", style="yellow", markup=False)
    if data["actions"]:
        console.print(_summary_of_hooks(data["actions"]))
        console.print()
    console.print(_sentence(data["summary"]))


def assumption(assumed: dict[str, Any]) -> str:
    """What a replay assumed, because the messages do not contain it."""
    conditions = "; ".join(assumed["conditions"])
    if assumed["work_done"] is None:
        return f"Unknown: {conditions}. The messages do not contain AWS's answers; try --work-done."
    work_done = f"--work-done {assumed['work_done']}"
    return (
        f"Assumed by {work_done}: the time from which these conditions hold: {conditions or 'none'}. "
        f"No outcome event in the messages ended an action."
    )


def _print_action(action: dict[str, Any], console: Console) -> None:
    outcome = action["outcome"]
    result = f" {action['result']}" if action["result"] else ""
    places = f", {action['origin']} → {action['destination']}" if action["origin"] else ""
    console.print(
        f"[bold]{action['instance_id']}[/bold] {action['transition']} in {escape(action['group'])}"
        f" · hook {escape(action['hook'])} · policy {escape(action['policy'])}{places}\n"
        f"  [{_COLOURS[outcome]}]{outcome}{result}[/]: {escape(action['reason'])}"
        f" · held {held(action)} · {counted(action['heartbeats'], 'heartbeat')}"
    )
    lines = _shortened(_folded(action["timeline"], action["started_at"]))
    for line in lines:
        console.print(line)
    console.print()


def _folded(timeline: list[dict[str, Any]], started_at: str) -> list[str]:
    """The lines of a timeline: an answer is on the line of its call, and the end is in the heading.

    Times have dates if the timeline spans more than one day.
    """
    moments = [line[key] for line in timeline for key in ("at", "last_at") if key in line]
    days = {moment[:_DAY] for moment in (started_at, *moments)}
    shown = slice(0 if len(days) > 1 else _DAY + 1, _SECOND)
    lines: list[str] = []
    for line in timeline:
        if line["event"] == "answer" and lines:
            lines[-1] += f" → {'accepted' if line.get('code') in _ACCEPTED else escape(line['detail'])}"
        elif line["event"] != "closed":
            times = (
                f" [dim]x{line['count']}, last {line['last_at'][shown].replace('T', ' ')}[/]"
                if "count" in line
                else ""
            )
            detail = escape(line["detail"])
            at = line["at"][shown].replace("T", " ")
            lines.append(f"  [dim]{at}[/]  {line['event']:<9} {detail}{times}")
    return lines


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= _MOST_LINES:
        return lines
    left_out = len(lines) - 2 * _LINES_AT_AN_END
    middle = f"            [dim]… {left_out} more lines; --json has all of them[/]"
    return [*lines[:_LINES_AT_AN_END], middle, *lines[-_LINES_AT_AN_END:]]


def _grouped(places: list[dict[str, str]]) -> list[dict[str, str]]:
    """One place for each reason, with the count of the others."""
    sources = defaultdict(list)
    for place in places:
        sources[place["reason"]].append(place["source"])
    return [
        {"reason": reason, "source": f"{first} and {len(others)} more" if others else first}
        for reason, (first, *others) in sources.items()
    ]


def _print_places(places: list[dict[str, str]], kind: str, colour: str, console: Console) -> None:
    for place in places[:_MOST_PLACES]:
        console.print(f"[{colour}]{kind}[/] {escape(place['source'])}: {escape(place['reason'])}")
    if len(places) > _MOST_PLACES:
        console.print(f"… and {len(places) - _MOST_PLACES} more {kind}; --json has all of them.")
    if places:
        console.print()


def _print_tests(tests: list[dict[str, str]], console: Console) -> None:
    for group in sorted({test["group"] for test in tests}):
        of_group = [test for test in tests if test["group"] == group]
        newest = of_group[-1]["at"]
        console.print(f"{counted(len(of_group), 'test message')} of {escape(group)}, the newest at {newest}")
    if tests:
        console.print()


def _summary_of_hooks(actions: list[dict[str, Any]]) -> Table:
    table = Table(title_justify="left", box=None, header_style="bold", pad_edge=False)
    for heading in ("hook", "policy"):
        table.add_column(heading, no_wrap=True)
    for heading in ("actions", "CONTINUE", "ABANDON", "elsewhere", "default", "heartbeats", "held"):
        table.add_column(heading, justify="right", no_wrap=True)
    for hook, policy in sorted({(action["hook"], action["policy"]) for action in actions}):
        of_hook = [action for action in actions if (action["hook"], action["policy"]) == (hook, policy)]
        defaulted = sum(action["outcome"] == "defaulted" for action in of_hook)
        table.add_row(
            escape(hook),
            escape(policy),
            str(len(of_hook)),
            str(sum(action["result"] == "CONTINUE" for action in of_hook)),
            str(sum(action["result"] == "ABANDON" for action in of_hook)),
            str(sum(action["outcome"] == "ended_elsewhere" for action in of_hook)),
            f"[red]{defaulted}[/]" if defaulted else "0",
            str(sum(action["heartbeats"] for action in of_hook)),
            duration.written(max(_wait(action) for action in of_hook)),
        )
    return table


def _sentence(summary: dict[str, int]) -> str:
    kinds = ("lifecycle", "duplicate", "test", "outcome", "signal", "call", "ignored", "rejected")
    parts = ", ".join(f"{summary[kind]} {kind}" for kind in kinds if summary[kind])
    defaulted = summary["defaulted"]
    by_default = f"{defaulted} got the default result" if defaulted else "none got its default result"
    defaults = f"[{'red' if defaulted else 'green'}]{by_default}[/]"
    received = counted(summary["received"], "message") + (f" ({parts})" if parts else "")
    led_to = f"{counted(summary['actions'], 'action')}, {counted(summary['heartbeats'], 'heartbeat')}"
    unmatched = summary["unknown_signals"]
    signals = f", [yellow]{counted(unmatched, 'signal')} that no action waits for[/]" if unmatched else ""
    return f"{received} → {led_to}, {defaults}{signals}."


def held(action: dict[str, Any]) -> str:
    """How long the instance waited."""
    return duration.written(_wait(action))


def _wait(action: dict[str, Any]) -> timedelta:
    if action["closed_at"] is None:
        return timedelta(0)
    begun, closed = (datetime.fromisoformat(action[key]) for key in ("started_at", "closed_at"))
    return closed - begun


def counted(count: int, noun: str) -> str:
    """E.g. `2 heartbeats`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
