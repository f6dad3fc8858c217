"""Times as options of a command: a time, or how long ago."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from usher.core import duration, iso_time

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT: Final = timedelta(
    days=40
)  # records: 30 days after a wait of 2 days at most, and until DynamoDB deletes them


def time_of(text: str) -> datetime:
    """A time that is written with its zone, in UTC. Raises ValueError, with what to write instead."""
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    raise ValueError(f"{text!r} is not a time with a zone, such as 2026-03-01T02:00Z")


class Moment(click.ParamType["datetime | timedelta"]):
    """A time such as 2026-03-01T02:00Z, or how long ago: 90m, 24h, 7d."""

    name = "time"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime | timedelta:
        """As click calls it."""
        days = re.fullmatch(r"([0-9]{1,4})d", value)
        try:
            return timedelta(days=int(days[1])) if days else duration.parse(value)
        except ValueError:
            pass
        try:
            return time_of(value)
        except ValueError as error:
            self.fail(f"{error}, or a duration such as 24h", param, ctx)


def moment_of(value: datetime | timedelta, now: datetime) -> datetime:
    """The time that an option means."""
    return now - value if isinstance(value, timedelta) else value


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """From `since`, included, to before `until`."""

    since: datetime
    until: datetime

    def __str__(self) -> str:
        """As texts have it."""
        return f"from {iso_time.to_seconds(self.since)} to {iso_time.to_seconds(self.until)}"


def period_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a Period, which are its parameters `first` and `last`."""
    to = click.option("--to", "last", type=Moment(), metavar="T", help="End, likewise.  [default: now]")
    start = click.option(
        "--from",
        "first",
        type=Moment(),
        metavar="T",
        default="24h",
        show_default=True,
        help="Start: a time, or how long ago.",
    )
    return start(to(command))


def period_of(first: datetime | timedelta, last: datetime | timedelta | None, now: datetime) -> Period:
    """The period that the options mean, as far as anything may be recorded of it: each day costs requests."""
    since, until = moment_of(first, now), now if last is None else moment_of(last, now)
    if since > until:
        raise click.BadParameter("--from is after --to")
    earliest = now - KEPT
    return Period(since=min(max(since, earliest), now), until=min(max(until, earliest), now))
