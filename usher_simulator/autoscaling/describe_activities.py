"""DescribeScalingActivities: filters, pages, and the activities of groups that are gone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.describe import activity
from usher_simulator.autoscaling.pages import Page, page_of
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Activity

_PAGE: Final = Page(default=100, most=100)
_BOUNDS: Final = ("StartTimeLowerBound", "StartTimeUpperBound")
_INVALID: Final = "The filter configuration isn't valid."
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.IGNORECASE
)


def activities(fleet: Fleet, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer, newest first."""
    name, ids = asked.get("AutoScalingGroupName"), asked.get("ActivityIds")
    fits = _filters(asked)
    found = [
        one
        for one in _all(fleet, asked)
        if (name is None or one.group == name) and (not ids or one.id in ids) and fits(one)
    ]
    page, token = page_of(found, asked, _PAGE)
    return {"Activities": [activity(one) for one in page], "NextToken": token}


def _all(fleet: Fleet, asked: Mapping[str, Any]) -> Iterator[Activity]:
    with_managed = asked.get("IncludeManagedResources", True)
    for group in fleet.groups.values():
        if with_managed or group.operator is None:
            yield from group.activities
    if asked.get("IncludeDeletedGroups"):
        yield from fleet.activities.of_deleted()


def _filters(asked: Mapping[str, Any]) -> Callable[[Activity], bool]:
    """Whether an activity passes all filters. Raises ApiError as it was captured (aws-facts 11.1)."""
    bounds: dict[str, datetime] = {}
    statuses: list[str] | None = None
    for wanted in asked.get("Filters") or []:
        name, values = wanted.get("Name"), wanted.get("Values") or []
        if name in _BOUNDS:
            bounds[name] = _bound(name, values, seen=name in bounds)
        elif name == "Status" and asked.get("AutoScalingGroupName"):
            statuses = values
        else:
            raise ApiError("ValidationError", _INVALID)
    lower, upper = (bounds.get(name) for name in _BOUNDS)

    def fits(one: Activity) -> bool:
        return (
            (lower is None or one.started_at >= lower)
            and (upper is None or one.started_at <= upper)
            and (statuses is None or one.status in statuses)
        )

    return fits


def _bound(name: str, values: list[str], *, seen: bool) -> datetime:
    if seen or len(values) > 1:
        said = f"Multiple values for {name} aren't supported. Specify a single timestamp value."
        raise ApiError("ValidationError", f"{_INVALID} {said}")
    if not values:
        raise ApiError("InternalFailure", "The request processing has failed.", 500)
    return _time(values[0])


def _time(text: str) -> datetime:
    """A timestamp of ISO 8601. Raises ApiError as it was captured."""
    try:
        return _moment(text.strip())
    except ValueError:
        said = f"{_INVALID} The specified timestamp isn't valid."
        raise ApiError("ValidationError", said) from None


def _moment(text: str) -> datetime:
    """As leniently read as it was captured: 30 February is that month's last day. Raises ValueError."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = (int(found[number]) for number in range(1, 7))
    midnight = (hour, minute, second) == (24, 0, 0)
    moment = _of_month(year, month, day) + timedelta(days=1 if midnight else 0)
    moment = moment.replace(hour=0 if midnight else hour, minute=minute, second=second)
    return moment + timedelta(seconds=float(found[7] or 0)) - _offset(found[8] or "Z")


def _of_month(year: int, month: int, day: int) -> datetime:
    first = datetime(year, month, 1, tzinfo=UTC)
    if not 1 <= day <= 31:  # noqa: PLR2004 - the days of the longest months
        raise ValueError(day)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return min(first + timedelta(days=day - 1), last)


def _offset(written: str) -> timedelta:
    if written in "Zz":
        return timedelta(0)
    hours, minutes = (int(part) for part in written[1:].split(":"))
    span = timedelta(hours=hours, minutes=minutes)
    return -span if written[0] == "-" else span
