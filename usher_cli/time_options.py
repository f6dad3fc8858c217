"""Times as options of a command: a time, or how long ago."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import click

from usher.core import duration


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
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is not a time such as 2026-03-01T02:00Z or a duration such as 24h", param, ctx
            )
        if moment.tzinfo is None:
            self.fail(f"{value!r} must have a time zone, such as {value}Z", param, ctx)
        return moment


def moment_of(value: datetime | timedelta, now: datetime) -> datetime:
    """The time that an option means."""
    return now - value if isinstance(value, timedelta) else value
