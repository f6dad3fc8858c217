"""Every shape in which a message can arrive, turned into a notice (aws-facts 3).

A body may be: what a hook sends to SQS; the same in an SNS envelope, or as a record of an
SNS-to-Lambda event; an EventBridge event. Unknown keys are passed over, because AWS adds some.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from usher.core.conditions.signalled import NAME as SIGNAL_NAME
from usher.core.model import MoveEnd, Signal, Status, Transition
from usher.core.notices import LifecycleNotice, NotUnderstood, TestNotice, Unrelated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.notices import Notice

MOST_BODY_BYTES: Final = 1024 * 1024  # SQS takes no more (aws-facts 5)
MOST_MESSAGE_CHARACTERS: Final = 1000

_INSTANCE_ID: Final = r"i-[0-9A-Za-z]{1,17}"
_TOKEN: Final = r"[0-9A-Za-z-]{36}"  # noqa: S105 - a pattern
_HOOK_NAME: Final = r"[A-Za-z0-9_/-]{1,255}"
_NAME: Final = r"[^\x00-\x1f\ud800-\udfff]{1,255}"
_PLACE: Final = r"[A-Za-z0-9]{1,64}"

_TRANSITIONS: Final = {
    "autoscaling:EC2_INSTANCE_LAUNCHING": Transition.LAUNCHING,
    "autoscaling:EC2_INSTANCE_TERMINATING": Transition.TERMINATING,
}
_LIFECYCLE_ACTIONS: Final = (
    "EC2 Instance-launch Lifecycle Action",
    "EC2 Instance-terminate Lifecycle Action",
)
_MOVE_ENDS: Final = {
    "EC2 Instance Launch Successful": Transition.LAUNCHING,
    "EC2 Instance Launch Unsuccessful": Transition.LAUNCHING,
    "EC2 Instance Terminate Successful": Transition.TERMINATING,
    "EC2 Instance Terminate Unsuccessful": Transition.TERMINATING,
}
_TEST_NOTIFICATION: Final = "autoscaling:TEST_NOTIFICATION"
_EARLIEST: Final = datetime(2009, 1, 1, tzinfo=UTC)  # Auto Scaling is no older
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


def read(body: object, channel: str = "sqs") -> Notice:
    """The notice in a message body: JSON text, or what it says. `channel` is how it came.

    Raises NotUnderstood with a reason for everything that is no message known to Usher.
    """
    data = _object(_parsed(body) if isinstance(body, str) else body, "the body")
    if "Sns" in data:
        return _from_envelope(_object(data["Sns"], "Sns"))
    if "Type" in data and "TopicArn" in data:
        return _from_envelope(data)
    if "detail-type" in data:
        return _from_event(data)
    return _from_hook(data, channel)


def _parsed(text: str) -> object:
    size = len(text.encode(errors="surrogatepass"))
    if size > MOST_BODY_BYTES:
        raise NotUnderstood(f"the body must be at most {MOST_BODY_BYTES} bytes, got {size}")
    try:
        return json.loads(text)
    except RecursionError:
        raise NotUnderstood("the body is JSON nested too deep") from None
    except ValueError as error:
        raise NotUnderstood(f"the body is not JSON: {error}") from None


def _from_envelope(envelope: Mapping[str, Any]) -> Notice:
    kind = envelope.get("Type", "Notification")
    if kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        return Unrelated(reason=f"SNS {kind}")
    if kind != "Notification" or not isinstance(envelope.get("Message"), str):
        raise NotUnderstood(
            f"an SNS envelope must be a Notification with a text Message, got Type {_shown(kind)}"
        )
    data = _object(_parsed(envelope["Message"]), "Message")
    return _from_event(data) if "detail-type" in data else _from_hook(data, "sns")


def _from_hook(data: Mapping[str, Any], channel: str) -> Notice:
    event = data.get("Event")
    transition = data.get("LifecycleTransition")
    if _TEST_NOTIFICATION in (event, transition):
        return TestNotice(
            group=_text(data, "AutoScalingGroupName", _NAME),
            request_id=_text(data, "RequestId", r"[!-~]{1,128}"),
            at=_time(data, "Time"),
        )
    if transition is not None:
        return _lifecycle(data, _time(data, "Time"), channel)
    if isinstance(event, str) and event.startswith("autoscaling:"):
        return Unrelated(reason=f"a notification-configuration message ({_shown(event)})")
    raise NotUnderstood(
        "neither a lifecycle message, a test message, an SNS envelope nor an EventBridge event"
    )


def _from_event(event: Mapping[str, Any]) -> Notice:
    source, kind = event.get("source"), event.get("detail-type")
    if source == "usher.signal":
        return _signal(event)
    if source != "aws.autoscaling":
        return Unrelated(reason=f"an event of {_shown(source)}")
    if kind in _LIFECYCLE_ACTIONS:
        return _lifecycle(_object(event.get("detail"), "detail"), _time(event, "time"), "eventbridge")
    if isinstance(kind, str) and kind in _MOVE_ENDS:
        return _move_end(event, kind)
    return Unrelated(reason=f"an event {_shown(kind)}")


def _lifecycle(data: Mapping[str, Any], at: datetime, channel: str) -> LifecycleNotice:
    transition = data.get("LifecycleTransition")
    if not isinstance(transition, str) or transition not in _TRANSITIONS:
        raise NotUnderstood(
            f"LifecycleTransition must be one of {', '.join(_TRANSITIONS)}, got {_shown(transition)}"
        )
    return LifecycleNotice(
        token=_text(data, "LifecycleActionToken", _TOKEN, "36 of 0-9 A-Z a-z -"),
        group=_text(data, "AutoScalingGroupName", _NAME),
        hook=_text(data, "LifecycleHookName", _HOOK_NAME),
        instance_id=_text(data, "EC2InstanceId", _INSTANCE_ID, "an instance id such as i-0123456789abcdef0"),
        transition=_TRANSITIONS[transition],
        origin=_optional(data, "Origin", _PLACE),
        destination=_optional(data, "Destination", _PLACE),
        at=at,
        channel=channel,
    )


def _move_end(event: Mapping[str, Any], kind: str) -> Notice:
    detail = _object(event.get("detail"), "detail")
    if not detail.get("EC2InstanceId"):
        return Unrelated(reason=f"{kind} without an instance")
    happened_at = _time(event, "time")
    said = _optional(detail, "StatusMessage", r"(?s).{0,4096}")
    return MoveEnd(
        activity_id=_text(detail, "ActivityId", r"[!-~]{1,128}"),
        group=_text(detail, "AutoScalingGroupName", _NAME),
        instance_id=_text(detail, "EC2InstanceId", _INSTANCE_ID, "an instance id"),
        transition=_MOVE_ENDS[kind],
        origin=_optional(detail, "Origin", _PLACE),
        destination=_optional(detail, "Destination", _PLACE),
        started_at=_time(detail, "StartTime") if "StartTime" in detail else None,
        ended_at=_time(detail, "EndTime") if "EndTime" in detail else happened_at,
        detail=f"{kind}: {_clean(said)}" if said else kind,
    )


def _signal(event: Mapping[str, Any]) -> Signal:
    if event.get("detail-type") != "Usher Signal":
        raise NotUnderstood(
            f"detail-type of usher.signal must be Usher Signal, got {_shown(event.get('detail-type'))}"
        )
    detail = _object(event.get("detail"), "detail")
    status = detail.get("Status")
    if not isinstance(status, str) or status not in list(Status):
        raise NotUnderstood(f"Status must be one of {', '.join(Status)}, got {_shown(status)}")
    instance_id = _optional(detail, "InstanceId", _INSTANCE_ID)
    token = _optional(detail, "LifecycleActionToken", _TOKEN)
    if instance_id is None and token is None:
        raise NotUnderstood("a signal must have an InstanceId or a LifecycleActionToken, got neither")
    return Signal(
        event_id=_text(event, "id", r"[!-~]{1,128}"),
        at=_time(event, "time"),
        name=_text(detail, "Signal", SIGNAL_NAME, "1 to 64 of A-Z a-z 0-9 . _ -"),
        status=Status(status),
        instance_id=instance_id,
        token=token,
        message=_clean(_optional(detail, "Message", r"(?s).*") or ""),
    )


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise NotUnderstood(f"{name} must be a JSON object, got {_shown(value)}")
    return value


def _text(data: Mapping[str, Any], key: str, pattern: str, rule: str = "") -> str:
    value = data.get(key)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise NotUnderstood(f"{key} must be {rule or 'text that fits ' + pattern}, got {_shown(value)}")
    return value


def _optional(data: Mapping[str, Any], key: str, pattern: str) -> str | None:
    return None if data.get(key) is None else _text(data, key, pattern)


def _time(data: Mapping[str, Any], key: str) -> datetime:
    value = data.get(key)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not _EARLIEST <= moment <= _LATEST:
        raise NotUnderstood(f"{key} must be a time such as 2026-01-31T12:00:00Z, got {_shown(value)}")
    return moment.astimezone(UTC)


def _clean(text: str) -> str:
    """Text that can be stored anywhere: no lone surrogates, and of bounded length."""
    return text[:MOST_MESSAGE_CHARACTERS].encode(errors="backslashreplace").decode()


def _shown(value: object) -> str:
    """`value` as a reason can carry it: short, ASCII, and no walk through what may be deep."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'an array'} of {len(value)}"
    text = ascii(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."  # noqa: PLR2004
