"""Actions as one HTML page that needs nothing else: `usher replay --report FILE.html` and `usher report`."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from usher_cli.report import written

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from usher.core.action import Action
    from usher_simulator.replay.replay import Replayed

# In this order: what a script uses when it is loaded stands in one before it.
_SCRIPTS: Final = (
    *("elements.js", "values.js", "marks.js", "timeline.js", "charts.js"),
    *("story.js", "tell.js", "page.js"),
)
_STYLES: Final = ("shared.css", "report.css")

# HTML ends a script element at `</script`, whatever quotes it stands in; JSON may write it otherwise.
_AS_ESCAPES: Final = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026"})


class Heading(NamedTuple):
    """What the page says of where its data come from; `command` prints the same without JavaScript."""

    title: str
    text: str
    command: str


def page(data: dict[str, Any], replayed: Replayed) -> str:
    """The page that shows `data`, a report on `replayed`."""
    heading = Heading(title="Usher: a replay", text="Result of a replay", command="usher replay --json")
    return page_of(_with_margins(data, replayed), heading)


def page_of(data: dict[str, Any], heading: Heading) -> str:
    """The page of `data`, whose actions have their terms and heartbeats. Equal input gives an equal page."""
    style, script = ("\n".join(map(_text, names)) for names in (_STYLES, _SCRIPTS))
    return Template(_text("report.html")).substitute(
        policy=_policy(style, script),
        style=style,
        script=script,
        title=escape(heading.title),
        heading=escape(heading.text),
        command=escape(heading.command),
        data=_in_script(data),
    )


def _text(name: str) -> str:
    return resources.files("usher_cli").joinpath("page", name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """A Content Security Policy: this style and these scripts, and nothing from anywhere else."""
    allowed = f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _in_script(value: dict[str, Any]) -> str:
    """JSON that a script element can hold, whatever text stands in it."""
    return json.dumps(value, separators=(",", ":")).translate(_AS_ESCAPES)


def _with_margins(data: dict[str, Any], replayed: Replayed) -> dict[str, Any]:
    """The report, and for each action the terms of its hook and the margin at each heartbeat."""
    world = replayed.world
    actions = [
        shown | terms(action) | {"beats": _beats(world.recorder.beats.get(action.id, ()))}
        for shown, action in zip(data["actions"], world.store.actions(), strict=True)
    ]
    return data | {"actions": actions}


def terms(action: Action) -> dict[str, Any]:
    """The settings of its hook."""
    return {
        "heartbeat_timeout_s": action.hook.heartbeat_timeout.total_seconds(),
        "default_result": action.hook.default_result,
    }


def _beats(beats: Iterable[tuple[datetime, float]]) -> list[dict[str, Any]]:
    return [{"at": written(at), "to_expiry_s": round(margin_s, 3)} for at, margin_s in beats]
