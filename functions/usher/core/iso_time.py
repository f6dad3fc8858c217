"""Times as texts, in UTC and ISO 8601."""

from datetime import UTC, datetime


def written(moment: datetime, precision: str = "milliseconds") -> str:
    """With a `Z`, e.g. `2026-01-31T12:00:00.000Z`; in `seconds` `2026-01-31T12:00:00Z`."""
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def stored(moment: datetime) -> str:
    """As records have it, always with microseconds: texts sort as their times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def parse(text: str) -> datetime:
    """The moment that one of these wrote."""
    return datetime.fromisoformat(text)
