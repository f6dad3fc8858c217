"""CloudTrail: a record of a call, in a file of a trail, from lookup-events, or in an event of a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from usher.core.notifications import Home
from usher_cli.traffic.times import moment
from usher_simulator.replay.cloudtrail import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

_BY_RULE: Final = "AWS API Call via CloudTrail"


def is_call(value: Mapping[str, Any]) -> bool:
    """Whether it is such a record, or an event with one as its detail."""
    record = _record(value)
    return "eventVersion" in record and isinstance(record.get("eventName"), str)


def call(source: str, value: Mapping[str, Any]) -> Call:
    """The call that a record tells of. What it does not tell is None."""
    record = _record(value)
    parameters = record.get("requestParameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    return Call(
        source=source,
        at=moment(record.get("eventTime")),
        service=_text(record, "eventSource") or "",
        name=record["eventName"],
        error=_text(record, "errorCode"),
        home=Home(account=_text(record, "recipientAccountId"), region=_text(record, "awsRegion")),
        group=_text(parameters, "autoScalingGroupName"),
        hook=_text(parameters, "lifecycleHookName"),
        instance_id=_text(parameters, "instanceId"),
        token=_text(parameters, "lifecycleActionToken"),
        result=_text(parameters, "lifecycleActionResult"),
    )


def _record(value: Mapping[str, Any]) -> Mapping[str, Any]:
    if value.get("detail-type") != _BY_RULE:
        return value
    detail = value.get("detail")
    return detail if isinstance(detail, dict) else {}


def _text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) else None
