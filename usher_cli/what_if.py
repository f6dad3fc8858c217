"""The same traffic under two hooks files: what differs, action by action and in all."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from usher.core import duration
from usher_cli.story import assumption, counted, held

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import Console

RESULT_DIFFERS: Final = 3  # the exit code

_MOST_ROWS: Final = 200
_HEADINGS: Final = ("instance", "hook", "what", "old", "new")
_HEADINGS_IN_ALL: Final = ("in all", "old", "new")
_LONGEST_CELL: Final = 200  # of Markdown: GitHub takes a summary of at most 1 MiB
_OF_MARKDOWN: Final = re.compile(r"[\\`*_{}\[\]<>#|~&@]")
_COMPARED: Final = {  # as `differs` calls it, and the field of an action
    "hook": "hook",
    "outcome": "outcome",
    "result": "result",
    "reason": "reason",
    "duration": "duration_seconds",
    "heartbeats": "heartbeats",
}
_RESULT: Final = {"outcome", "result"}
_ABSENT: Final = "not configured"


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Of two reports of usher_cli.report on the same messages. Its shape is fixed: others read it."""
    actions = [_pair(*sides) for sides in _sides(old["actions"], new["actions"])]
    return {
        "summary": {
            "actions": len(actions),
            "differ": sum(bool(pair["differs"]) for pair in actions),
            "results_differ": sum(result_differs(pair) for pair in actions),
            "old": _in_all(old),
            "new": _in_all(new),
        },
        "actions": actions,
    }


def result_differs(pair: Mapping[str, Any]) -> bool:
    """Whether an action would end in another way, not only at another time."""
    return bool(_RESULT & set(pair["differs"]))


def _sides(
    old: Iterable[dict[str, Any]], new: Iterable[dict[str, Any]]
) -> list[tuple[dict[str, Any] | None, dict[str, Any] | None]]:
    """The actions of both by their tokens, in the order of their start; None where a side has none."""
    of_old, of_new = ({action["token"]: action for action in actions} for actions in (old, new))
    started = {token: action["started_at"] for token, action in (of_old | of_new).items()}
    tokens = sorted(started, key=lambda token: (started[token], token))
    return [(of_old.get(token), of_new.get(token)) for token in tokens]


def _pair(old: dict[str, Any] | None, new: dict[str, Any] | None) -> dict[str, Any]:
    """`differs` names `hook` where one side only has the hook."""
    sides = {
        name: None if side is None else side | {"duration_seconds": _duration(side)}
        for name, side in (("old", old), ("new", new))
    }
    left, right = (sides[name] or {} for name in ("old", "new"))
    differs = [name for name, field in _COMPARED.items() if left.get(field) != right.get(field)]
    return {"token": (left or right)["token"], **sides, "differs": differs}


def _duration(action: Mapping[str, Any]) -> float | None:
    if action["closed_at"] is None:
        return None
    begun, closed = (datetime.fromisoformat(action[key]) for key in ("started_at", "closed_at"))
    return (closed - begun).total_seconds()


def _in_all(data: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of one side, with how its actions ended and how long they were held."""
    actions = data["actions"]
    durations = [_duration(action) or 0.0 for action in actions]
    return {
        **data["summary"],
        "continue": sum(action["result"] == "CONTINUE" for action in actions),
        "abandon": sum(action["result"] == "ABANDON" for action in actions),
        "ended_elsewhere": sum(action["outcome"] == "ended_elsewhere" for action in actions),
        "duration_seconds": round(sum(durations), 3),
        **({"assumed": data["assumed"]} if "assumed" in data else {}),
    }


# Output for people


def print_comparison(compared: dict[str, Any], console: Console) -> None:
    """Print it: as tables on a terminal, else a line for each difference."""
    rows = [row for pair in compared["actions"] for row in _rows(pair)]
    assumed = _assumed(compared["summary"])
    if assumed:
        console.print(assumption(assumed), style="yellow", markup=False)
    _print_rows(_HEADINGS, rows[:_MOST_ROWS], console)
    if len(rows) > _MOST_ROWS:
        console.print(_and_more(rows))
    _print_rows(_HEADINGS_IN_ALL, _rows_in_all(compared["summary"]), console)
    colour = "red" if compared["summary"]["results_differ"] else "green"
    console.print(_sentence(compared["summary"], f"[{colour}]{{}}[/]"))


def in_markdown(compared: dict[str, Any]) -> str:
    """As tables of Markdown, for a job summary or a comment. Whatever the traffic says stays text."""
    rows = [row for pair in compared["actions"] for row in _rows(pair)]
    assumed = _assumed(compared["summary"])
    parts = [
        _sentence(compared["summary"], "**{}**"),
        *([_as_text(assumption(assumed))] if assumed else []),
        *([_table(_HEADINGS, rows[:_MOST_ROWS])] if rows else []),
        *([_and_more(rows)] if len(rows) > _MOST_ROWS else []),
        _table(_HEADINGS_IN_ALL, _rows_in_all(compared["summary"])),
    ]
    return "\n\n".join(parts)


def _table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *(tuple(map(_cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return _as_text(text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…")


def _as_text(text: str) -> str:
    return _OF_MARKDOWN.sub(lambda sign: f"&#{ord(sign[0])};", text)


def _and_more(rows: list[tuple[str, ...]]) -> str:
    return f"… and {counted(len(rows) - _MOST_ROWS, 'difference')} more; --json has all of them."


def _assumed(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Of both sides."""
    sides = [summary[side]["assumed"] for side in ("old", "new") if "assumed" in summary[side]]
    conditions = {condition for side in sides for condition in side["conditions"]}
    return sides[0] | {"conditions": sorted(conditions)} if sides else {}


def _rows(pair: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A row for each difference that shows in whole seconds; one where one side only has the hook."""
    old, new, differs = pair["old"], pair["new"], set(pair["differs"])
    some = new or old
    if "hook" in differs:
        whole = [_ABSENT if side is None else f"{_result(side)}, held {held(side)}" for side in (old, new)]
        return [(some["instance_id"], some["hook"], "hook", *whole)]
    shown = (
        ("result", _RESULT, _result),
        ("reason", {"reason"}, lambda action: action["reason"]),
        ("held", {"duration"}, held),
        ("heartbeats", {"heartbeats"}, lambda action: str(action["heartbeats"])),
    )
    return [
        (some["instance_id"], some["hook"], what, text(old), text(new))
        for what, fields, text in shown
        if fields & differs and text(old) != text(new)
    ]


def _result(action: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (action["outcome"], action["result"])))


def _rows_in_all(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
    old, new = summary["old"], summary["new"]
    named = (
        ("actions", "actions"),
        ("CONTINUE", "continue"),
        ("ABANDON", "abandon"),
        ("elsewhere", "ended_elsewhere"),
        ("default", "defaulted"),
        ("heartbeats", "heartbeats"),
    )
    whole = [duration.written(timedelta(seconds=side["duration_seconds"])) for side in (old, new)]
    return [*((name, str(old[key]), str(new[key])) for name, key in named), ("held", *whole)]


def _print_rows(headings: tuple[str, ...], rows: list[tuple[str, ...]], console: Console) -> None:
    if not console.is_terminal:
        for *place, old, new in rows:
            console.print(f"{' '.join(place)}: {old} → {new}", markup=False)
    elif rows:
        table = Table(*headings, box=box.SIMPLE_HEAD, header_style="bold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)


def _sentence(summary: Mapping[str, Any], emphasis: str) -> str:
    actions, differ, results = (summary[key] for key in ("actions", "differ", "results_differ"))
    in_the_result = emphasis.format(f"{results} of them in the result")
    return f"{counted(actions, 'action')}: {differ} differ, {in_the_result}."
