"""Every shape in which a message can arrive, turned into a notice (aws-facts 3).

A body may be: what a hook sends to SQS; the same in an SNS envelope, or as a record of an
SNS-to-Lambda event; an EventBridge event; or what Lambda says of a direct invocation that failed.
Unknown keys are passed over, because AWS adds some.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from usher.core.action import ActivityEnd, Signal, Status, Transition
from usher.core.conditions.signalled import NAME as SIGNAL_NAME
from usher.core.notifications import (
    CommandEnd,
    Home,
    InstanceEnd,
    InstanceState,
    LifecycleNotice,
    NotUnderstood,
    TestNotice,
    Unrelated,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from usher.core.notifications import Notice

MOST_BODY_BYTES: Final = 1024 * 1024  # SQS takes no more (aws-facts 5)
MOST_MESSAGE_CHARACTERS: Final = 1000
MOST_SIGNAL_CHARACTERS: Final = 200  # of its message: each evaluation reads it, and the record keeps it


class _Rule(NamedTuple):
    """What a text must be: for the machine, and for people."""

    pattern: str
    words: str


_INSTANCE_ID: Final = _Rule(r"i-[0-9A-Za-z]{1,17}", "an instance id such as i-0123456789abcdef0")
_TOKEN: Final = _Rule(r"[0-9A-Za-z-]{36}", "36 of 0-9 A-Z a-z -")
_HOOK_NAME: Final = _Rule(r"[A-Za-z0-9_/-]{1,255}", "1 to 255 of A-Z a-z 0-9 - _ /")
_OBEYED: Final = (
    r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"  # by terminals and logs
)
_NAME: Final = _Rule(rf"[^{_OBEYED}]{{1,255}}", "1 to 255 characters, no control characters")
_PLACE: Final = _Rule(r"[A-Za-z0-9]{1,64}", "1 to 64 letters and digits")
_ID: Final = _Rule(r"[!-~]{1,128}", "1 to 128 printable ASCII characters")
_SIGNAL_NAME: Final = _Rule(SIGNAL_NAME, "1 to 64 of A-Z a-z 0-9 . _ -")
_ACCOUNT: Final = _Rule(r"[0-9]{12}", "twelve digits")
_REGION: Final = _Rule(r"[a-z0-9-]{1,32}", "a Region such as us-east-1")
_REGION_OF_ARN: Final = 3  # its place between the colons
_METADATA: Final = _Rule(
    r"[^\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]{1,4000}", "1 to 4000 characters, as the API takes them"
)
_ANY_TEXT: Final = _Rule(r"(?s).*", "text")

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
_ENDED: Final = ("shutting-down", "terminated")
_NOT_ENDED: Final = ("pending", "running", "stopping", "stopped")
_TEST_NOTIFICATION: Final = "autoscaling:TEST_NOTIFICATION"
_EARLIEST: Final = datetime(2009, 1, 1, tzinfo=UTC)  # Auto Scaling is no older
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


class _Bare(NamedTuple):
    """What has no envelope around it, or none any more."""

    data: Mapping[str, Any]
    name: str  # for reasons
    channel: str


def read(body: object, channel: str = "sqs", home: Home | None = None) -> Notice:
    """The notice in a message body: JSON text, or what it says. `channel` is how it came.

    What says that it is not of `home` concerns nobody here: its groups and instances are others.
    Raises NotUnderstood with a reason for everything that is no message known to Usher.
    """
    bare = _bare(body, channel)
    if isinstance(bare, Unrelated):
        return bare
    of = _home_of(bare.data)
    if home is not None and home.differs(of):
        return Unrelated(reason=f"a message of {of}; this is {home}")
    return _from_bare(*bare)


def home_of(body: object) -> Home:
    """The account and Region that a message says it is of."""
    try:
        bare = _bare(body, "sqs")
    except NotUnderstood:
        return Home(account=None, region=None)
    return Home(account=None, region=None) if isinstance(bare, Unrelated) else _home_of(bare.data)


def _home_of(data: Mapping[str, Any]) -> Home:
    """An event has both; a hook's message the account; a test message both, in the ARN of its group."""
    arn = data.get("AutoScalingGroupARN")
    in_arn = arn.split(":") if isinstance(arn, str) else []
    region = data.get("region", in_arn[_REGION_OF_ARN] if len(in_arn) > _REGION_OF_ARN else None)
    account = data.get("account", data.get("AccountId"))
    return Home(account=_text_or_none(account, _ACCOUNT), region=_text_or_none(region, _REGION))


def _text_or_none(value: object, rule: _Rule) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(rule.pattern, value) else None


def _bare(body: object, channel: str) -> _Bare | Unrelated:
    data = _object(_parsed(body, "the body") if isinstance(body, str) else body, "the body")
    if "requestPayload" in data and "requestContext" in data:  # a direct invocation that had failed
        return _Bare(_object(data["requestPayload"], "requestPayload"), "requestPayload", "lambda")
    if "Sns" in data:
        return _from_envelope(_object(data["Sns"], "Sns"))
    if "Type" in data and "TopicArn" in data:
        return _from_envelope(data)
    return _Bare(data, "the body", channel)


def _parsed(text: str, name: str) -> object:
    size = len(text.encode(errors="surrogatepass"))
    if size > MOST_BODY_BYTES:
        raise NotUnderstood(f"{name} must be at most {MOST_BODY_BYTES} bytes, got {size}")
    try:
        return json.loads(text)
    except RecursionError:
        raise NotUnderstood(f"{name} is JSON nested too deep") from None
    except ValueError as error:  # also where Python gives up on a number of thousands of digits
        raise NotUnderstood(f"{name} cannot be read as JSON: {error}") from None


def _from_envelope(envelope: Mapping[str, Any]) -> _Bare | Unrelated:
    kind = envelope.get("Type", "Notification")
    if kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        return Unrelated(reason=f"SNS {kind}")
    if kind != "Notification":
        raise NotUnderstood(f"Type of an SNS envelope must be Notification, got {_shown(kind)}")
    message = _text(envelope, "Message", _ANY_TEXT)
    return _Bare(_object(_parsed(message, "Message"), "Message"), "Message", "sns")


def _from_bare(data: Mapping[str, Any], name: str, channel: str) -> Notice:
    if "detail-type" in data:
        return _from_event(data)
    event = data.get("Event")
    transition = data.get("LifecycleTransition")
    if event == _TEST_NOTIFICATION:
        return TestNotice(
            group=_text(data, "AutoScalingGroupName", _NAME),
            request_id=_text(data, "RequestId", _ID),
            at=_time(data, "Time"),
        )
    if transition is not None:
        return _lifecycle(data, _time(data, "Time"), channel)
    if isinstance(event, str) and event.startswith("autoscaling:"):
        return Unrelated(reason=f"a notification-configuration message ({_shown(event)})")
    raise NotUnderstood(
        f"{name} must say what it is by a LifecycleTransition, an Event or a detail-type, got {_shown(data)}"
    )


def _from_event(event: Mapping[str, Any]) -> Notice:
    source, kind = _text(event, "source", _ANY_TEXT), _text(event, "detail-type", _ANY_TEXT)
    if source == "usher.signal":
        return _signal(event)
    if (source, kind) in _HINTS:
        return _HINTS[source, kind](event, kind)
    if source != "aws.autoscaling":
        return Unrelated(reason=f"an event of {_shown(source)}")
    if kind in _LIFECYCLE_ACTIONS:
        return _lifecycle(_object(event.get("detail"), "detail"), _time(event, "time"), "eventbridge")
    if kind in _MOVE_ENDS:
        return _move_end(event, kind)
    return Unrelated(reason=f"an event {_shown(kind)}")


def _lifecycle(data: Mapping[str, Any], at: datetime, channel: str) -> LifecycleNotice:
    transition = data.get("LifecycleTransition")
    if not isinstance(transition, str) or transition not in _TRANSITIONS:
        raise NotUnderstood(
            f"LifecycleTransition must be one of {', '.join(_TRANSITIONS)}, got {_shown(transition)}"
        )
    return LifecycleNotice(
        token=_text(data, "LifecycleActionToken", _TOKEN),
        group=_text(data, "AutoScalingGroupName", _NAME),
        hook=_text(data, "LifecycleHookName", _HOOK_NAME),
        instance_id=_text(data, "EC2InstanceId", _INSTANCE_ID),
        transition=_TRANSITIONS[transition],
        origin=_optional(data, "Origin", _PLACE),
        destination=_optional(data, "Destination", _PLACE),
        metadata=_text_or_none(data.get("NotificationMetadata"), _METADATA),
        at=at,
        channel=channel,
    )


def _move_end(event: Mapping[str, Any], kind: str) -> Notice:
    detail = _object(event.get("detail"), "detail")
    if detail.get("EC2InstanceId") in (None, ""):
        return Unrelated(reason=f"{kind} without an instance")
    happened_at = _time(event, "time")
    status_message = _optional(detail, "StatusMessage", _ANY_TEXT)
    return ActivityEnd(
        activity_id=_text(detail, "ActivityId", _ID),
        group=_text(detail, "AutoScalingGroupName", _NAME),
        instance_id=_text(detail, "EC2InstanceId", _INSTANCE_ID),
        transition=_MOVE_ENDS[kind],
        origin=_optional(detail, "Origin", _PLACE),
        destination=_optional(detail, "Destination", _PLACE),
        started_at=_optional_time(detail, "StartTime"),
        ended_at=_optional_time(detail, "EndTime") or happened_at,
        detail=f"{kind}: {_clean(status_message)}" if status_message else kind,
        succeeded=not kind.endswith("Unsuccessful"),
    )


def _instance_state(event: Mapping[str, Any], kind: str) -> Notice:
    """Of EC2's states two are an end (the events of an instance, EC2 User Guide); stopped is none."""
    detail = _object(event.get("detail"), "detail")
    state = _text(detail, "state", _ANY_TEXT)
    if state not in (*_ENDED, *_NOT_ENDED):
        return Unrelated(reason=f"an instance is {_shown(state)}")
    instance_id, ended = _text(detail, "instance-id", _INSTANCE_ID), f"{kind}: {state}"
    if state in _ENDED:
        return InstanceEnd(instance_id=instance_id, at=_time(event, "time"), detail=ended)
    return InstanceState(
        instance_id=instance_id, at=_time(event, "time"), is_stopped=state == "stopped", detail=ended
    )


def _command_end(event: Mapping[str, Any], kind: str) -> Notice:
    detail = _object(event.get("detail"), "detail")
    return CommandEnd(
        instance_id=_text(detail, "instance-id", _INSTANCE_ID),
        command_id=_text(detail, "command-id", _ID),
        at=_time(event, "time"),
        detail=f"{kind}: {_clean(_text(detail, 'status', _ANY_TEXT))}",
    )


# Read with the sources and detail-types of EC2's and Systems Manager's events.
_HINTS: Final[Mapping[tuple[str, str], Callable[[Mapping[str, Any], str], Notice]]] = {
    ("aws.ec2", "EC2 Instance State-change Notification"): _instance_state,
    ("aws.ssm", "EC2 Command Invocation Status-change Notification"): _command_end,
}


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
        event_id=_text(event, "id", _ID),
        at=_time(event, "time"),
        name=_text(detail, "Signal", _SIGNAL_NAME),
        status=Status(status),
        instance_id=instance_id,
        token=token,
        message=_clean(_optional(detail, "Message", _ANY_TEXT) or "")[:MOST_SIGNAL_CHARACTERS],
    )


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise NotUnderstood(f"{name} must be a JSON object, got {_shown(value)}")
    return value


def _text(data: Mapping[str, Any], key: str, rule: _Rule) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not re.fullmatch(rule.pattern, value):
        raise NotUnderstood(f"{key} must be {rule.words}, got {_shown(value)}")
    return value


def _optional(data: Mapping[str, Any], key: str, rule: _Rule) -> str | None:
    return None if data.get(key) is None else _text(data, key, rule)


def _optional_time(data: Mapping[str, Any], key: str) -> datetime | None:
    return None if data.get(key) is None else _time(data, key)


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
    shown = re.sub(f"[{_OBEYED}]", lambda one: ascii(one[0])[1:-1], text[:MOST_MESSAGE_CHARACTERS])
    return shown[:MOST_MESSAGE_CHARACTERS]


def _shown(value: object) -> str:
    """`value` as a reason can carry it: short, ASCII, and no walk through what may be deep."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'an array'} of {len(value)}"
    text = ascii(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."  # noqa: PLR2004
