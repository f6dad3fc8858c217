"""Times as texts, in UTC and ISO 8601."""

from datetime import UTC, datetime


def to_seconds(moment: datetime) -> str:
    """E.g. `2026-01-31T12:00:00Z`, without what is less."""
    return _written(moment, "seconds")


def to_milliseconds(moment: datetime) -> str:
    """E.g. `2026-01-31T12:00:00.000Z`."""
    return _written(moment, "milliseconds")


def to_microseconds(moment: datetime) -> str:
    """E.g. `2026-01-31T12:00:00.000000Z`."""
    return _written(moment, "microseconds")


def stored(moment: datetime) -> str:
    """As records have it, always with microseconds: texts sort as their times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def parse(text: str) -> datetime:
    """The moment that one of these wrote."""
    return datetime.fromisoformat(text)


def _written(moment: datetime, precision: str) -> str:
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")
