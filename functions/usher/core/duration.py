"""Durations as people write them: `90s`, `45m`, `2h`, `1h30m`."""

import re
from datetime import timedelta
from typing import Final

WRITTEN: Final = re.compile(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?")
_SECOND: Final = timedelta(seconds=1)


def parse(text: str) -> timedelta:
    """The duration that `text` writes, e.g. `1h30m`. Raises ValueError for anything else."""
    found = WRITTEN.fullmatch(text)
    if not found or not any(found.groups()):
        raise ValueError(f"{text!r} is not a duration such as 90s, 45m, 2h or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def written(duration: timedelta) -> str:
    """The shortest spelling of `duration` in whole seconds; `parse` takes it back."""
    minutes, seconds = divmod(duration // _SECOND, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
