"""What the page of the console shows: each answer by the functions that the commands print it with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from usher.ports.file_versions import VersionUnreadable
from usher_cli.account import Trouble
from usher_cli.action_data import as_data, heartbeat_margins
from usher_cli.acts import expected_signals
from usher_cli.apply.applying import read_version
from usher_cli.apply.data import as_data as version_data
from usher_cli.history.closed import Wanted
from usher_cli.history.command import closed_page
from usher_cli.html_report import terms
from usher_cli.listing import Selection, waits_for
from usher_cli.open_actions import unread
from usher_cli.report import reported, written
from usher_cli.retained import list_retained
from usher_cli.time_options import Moment, period_of
from usher_hooksfile.write import as_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.action import Action
    from usher_cli.account import Account
    from usher_cli.console.live import LiveActions
    from usher_cli.console.units import ReadUnits

ROWS: Final = 50  # on a page
_ROWS_MAX: Final = 500
_FIRST_MAX: Final = 100_000
_VERSIONS: Final = 20


class Reads:
    """The answers to what the page asks; `asked` has the parameters of a query."""

    def __init__(self, account: Account, live: LiveActions, units: ReadUnits) -> None:
        self._account = account
        self._live = live
        self._units = units

    def open(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """What is held now, nearest expiry first."""
        first = _number(asked, "first", 0, _FIRST_MAX)
        selection = Selection(
            group=asked.get("group") or None, hook=asked.get("hook") or None, limit=ROWS, first=first
        )
        return self._live.page(selection)

    def story(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """All about an action, named by its ID or token, or about the open or newest of an instance."""
        if asked.get("again") and self._units.wait():
            return {"later": True}
        of = asked.get("of", "")
        found = self._account.find(of)
        action = next((each for each in found if each.is_open), found[-1])
        if not action.is_open and not self._account.reads_all(of):
            raise Trouble(unread(of))  # it may be open
        read = self._account.stories().read([action.id])
        if not read.stories:
            raise Trouble(unread(action.id))
        story, now = read.stories[0], self._account.machine.clock()
        data = as_data(story.action, now, self._account.records.pauses())
        margins = {"beats": heartbeat_margins(story.action, story.timeline)}
        return {
            "at": written(now),
            "action": data | {"waits_for": waits_for(data), "signals": expected_signals(story.action)},
            "story": reported(story.action, story.timeline) | terms(story.action) | margins,
            "others": [_named(other) for other in found if other.id != action.id],
        }

    def history(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """The newest closed actions of a period."""
        now = self._account.machine.clock()
        last = asked.get("to")
        period = period_of(_moment(asked.get("from") or "24h"), _moment(last) if last else None, now)
        wanted = Wanted(**{key: asked.get(key) or None for key in ("group", "hook", "outcome", "result")})
        limit = _number(asked, "limit", ROWS, _ROWS_MAX)
        return closed_page(self._account, period, wanted, limit, counts_all=False)

    def retained(self, _: Mapping[str, str]) -> dict[str, Any]:
        """The retained instances."""
        return list_retained(self._account, None)

    def config(self, _: Mapping[str, str]) -> dict[str, Any]:
        """The version of the hooks file in effect, the ones before, and what is enrolled."""
        versions, now = self._account.versions(), self._account.machine.clock()
        schedule = versions.schedule()
        numbers = schedule.in_effect(now)
        try:
            listed = [version_data(each, schedule, now) for each in versions.history(_VERSIONS)]
        except VersionUnreadable as error:
            raise Trouble(f"{error}: use the release that wrote it.") from error
        file = read_version(self._account, numbers[0]) if numbers else None
        enrolled = sorted(self._account.hook_items().enrolled(), key=lambda each: (each.group, each.hook))
        return {
            "versions": listed,
            "in_effect": numbers[0] if numbers else None,
            "written": file and (as_yaml(file.file.file) if file.written is None else file.written),
            "enrolled": [
                {"group": each.group, "hook": each.hook, "state": each.state} for each in enrolled[:_ROWS_MAX]
            ],
            "enrolled_in_all": len(enrolled),
        }


def _named(action: Action) -> dict[str, Any]:
    ending = action.outcome or "open"
    return {
        "id": action.id,
        "hook": action.hook.name,
        "started_at": written(action.started_at),
        "end": ending,
    }


def _number(asked: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = asked.get(name) or str(default)
    if not text.isdecimal() or int(text) > most:
        raise click.BadParameter(f"{name} must be a whole number up to {most}, got {text!r}")
    return int(text)


def _moment(text: str) -> Any:  # noqa: ANN401 - a datetime or a timedelta
    return Moment().convert(text, None, None)
