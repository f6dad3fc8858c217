"""`function: NAME` holds once a Lambda function of the user's says done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from usher.core import duration, iso_time
from usher.core.conditions import answer, excerpt
from usher.core.conditions.probe import Call, Found, Permission, Probe, Reply, ReplyKind, not_answered
from usher.core.field import Field, attempt
from usher.core.finding import ConditionStatus
from usher.core.frozen import frozen
from usher.core.shape import Duration, Either, Keys, Text

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.finding import Memory

MOST_ERRORS: Final = 5  # in a row
_ZONE: Final = "zone"
_ZONE_TRIES: Final = "zone_tries"
_MOST_ZONE_TRIES: Final = 3

_FUNCTION: Final = Text(
    r"(arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:)?"
    r"[A-Za-z0-9_-]{1,64}(:(\$LATEST|[A-Za-z0-9_-]{1,128}))?",
    "must be the name or ARN of a Lambda function, with :ALIAS where one is meant",
)
_LEAST_EVERY: Final = timedelta(seconds=5)
_LONGEST_EVERY: Final = timedelta(hours=1)
_EVERY: Final = Duration(least=_LEAST_EVERY, most=_LONGEST_EVERY)
_USUAL_EVERY: Final = timedelta(seconds=30)
_LONG_FORM: Final = Keys({"name": _FUNCTION, "every": _EVERY}, required=("name",))
_LONGEST_CALL: Final = timedelta(seconds=10)  # connecting 2 s, reading 8 s
_SECOND: Final = timedelta(seconds=1)

_STATUSES: Final[Mapping[object, ConditionStatus]] = {
    "done": ConditionStatus.HOLDS,
    "pending": ConditionStatus.PENDING,
    "failed": ConditionStatus.FAILED,
}


@frozen
class Function(Probe):
    """Stands as `function` answers, which is asked again after `every` while it says pending.

    Its memory: `zone`, the instance's Availability Zone, or "" where nobody can say; `zone_tries`, how many
    times that was asked in vain; `errors`, how many times in a row the function did not come to an answer.
    """

    function: str
    every: timedelta = _USUAL_EVERY

    shape = Either(_FUNCTION, _LONG_FORM)

    @classmethod
    def parse(cls, field: Field) -> Function:
        """From the name of the function, or `{name: NAME, every: 1m}`."""
        if not isinstance(field.value, Mapping):
            return cls(function=_FUNCTION.read(field))
        parts = _LONG_FORM.members(field)
        function = attempt(_FUNCTION.read, parts.get("name"), "")
        return cls(function=function, every=attempt(_EVERY.read, parts.get("every"), _USUAL_EVERY))

    @property
    def name(self) -> str:
        """See Probe."""
        usual = self.every == _USUAL_EVERY
        return f"function {self.function}" + ("" if usual else f" every {duration.written(self.every)}")

    @property
    def in_words(self) -> str:
        """See Condition."""
        return f"function {self.function} to say done, asked every {duration.written(self.every)}"

    @property
    def asked_every(self) -> timedelta:
        """See Probe."""
        return self.every

    @property
    def permissions(self) -> tuple[Permission, ...]:
        """See Probe."""
        local = f"arn:{{partition}}:lambda:{{region}}:{{account}}:function:{self.function}"
        arn = self.function if self.function.startswith("arn:") else local
        invokes = Permission(actions=("lambda:InvokeFunction",), resources=(arn,))
        return (invokes, Permission(actions=("ec2:DescribeInstances",)))  # which IAM cannot confine

    @property
    def takes_two_answers(self) -> bool:
        """See Probe. The function is the user's own, and its word counts."""
        return False

    def ask(self, action: Action, memory: Memory, now: datetime) -> Call:  # noqa: ARG002 - a Probe
        """Invoke, and wait for the answer; before that, once, ask EC2 for the zone."""
        if _ZONE not in memory:
            of_it = {"Name": "instance-id", "Values": [action.instance_id]}
            return Call(
                service="ec2",
                operation="DescribeInstances",
                parameters={"Filters": [of_it]},  # asked by id, EC2 refuses what is gone
                all_pages=True,
            )
        return Call(
            service="lambda",
            operation="Invoke",
            parameters={
                "FunctionName": self.function,
                "InvocationType": "RequestResponse",
                "Payload": json.dumps(payload(action, memory[_ZONE] or None)).encode(),
            },
            longest=_LONGEST_CALL,
        )

    def hear(self, action: Action, memory: Memory, call: Call, reply: Reply, now: datetime) -> Found:  # noqa: ARG002 - a Probe
        """See Probe."""
        if call.operation != "Invoke":
            return _zone_found(memory, reply)
        if reply.kind is ReplyKind.TIMED_OUT:
            return _error(memory, "no answer in time")
        if reply.kind is not ReplyKind.ANSWERED:
            return not_answered(reply, memory, {"ResourceNotFoundException": f"function {self.function}"})
        text = _payload_text(reply.data)
        if text is None:
            return Found.unknown("the answer to Invoke has no payload", memory)
        if "FunctionError" in reply.data:
            return _error(memory, _error_text(text))
        return self._answered(text, {_ZONE: memory[_ZONE]})

    def _answered(self, text: str, memory: Memory) -> Found:
        payload = _json(text)
        word, message, again = (
            answer.member(payload, key) for key in ("status", "message", "ask_again_after_s")
        )
        status = _STATUSES.get(word) if isinstance(word, str) else None
        if status is None or not isinstance(message, str | None) or not _is_seconds(again):
            return Found.failed(f"its answer has the wrong shape: {excerpt.beginning(text) or 'empty'}")
        return Found(
            status=status,
            detail=f"{word}: {excerpt.beginning(message)}" if message else str(word),
            ask_again_after=self._pause(again) if status is ConditionStatus.PENDING else None,
            memory=memory,
        )

    def _pause(self, seconds: float | None) -> timedelta:
        if seconds is None:
            return self.every
        return _SECOND * min(max(_LEAST_EVERY // _SECOND, seconds), _LONGEST_EVERY // _SECOND)


def payload(action: Action, zone: str | None) -> dict[str, Any]:
    """What the function is told of the action: documented in docs/conditions.md."""
    return {
        "action_id": action.id,
        "token": action.token,
        "group": action.hook.group,
        "hook": action.hook.name,
        "metadata": action.metadata,
        "availability_zone": zone,
        "instance_id": action.instance_id,
        "transition": str(action.hook.transition),
        "origin": action.origin,
        "destination": action.destination,
        "started_at": iso_time.to_milliseconds(action.started_at),
        "give_up_at": iso_time.to_milliseconds(action.give_up_at),
        "policy": action.policy.name,
        "mode": str(action.policy.mode),
    }


def _zone_found(memory: Memory, reply: Reply) -> Found:
    """The zone, or that nobody can say: after some tries the function is asked without it."""
    if reply.kind is ReplyKind.ANSWERED:
        reservations = answer.members(reply.data, "Reservations")
        instances = (one for each in reservations for one in answer.members(each, "Instances"))
        zones = (answer.text(one, "Placement", "AvailabilityZone") for one in instances)
        return Found.next_call({**memory, _ZONE: next(filter(None, zones), "")})
    before = memory.get(_ZONE_TRIES)
    tries = (before if isinstance(before, int) else 0) + 1
    if tries >= _MOST_ZONE_TRIES:
        return Found.next_call({**memory, _ZONE: ""})
    return Found.unknown(f"its zone is not known: {reply.text}", {**memory, _ZONE_TRIES: tries})


def _error(memory: Memory, text: str) -> Found:
    """It was asked, and came to no answer: that says nothing, unless it never does."""
    before = memory.get("errors")
    errors = (before if isinstance(before, int) else 0) + 1
    if errors >= MOST_ERRORS:
        return Found.failed(f"{errors} errors in a row, the last: {text}")
    return Found.unknown(f"error {errors} of {MOST_ERRORS}: {text}", {**memory, "errors": errors})


def _error_text(text: str) -> str:
    """What Lambda tells of an exception, as `type: message`; else the text as it is."""
    payload = _json(text)
    parts = (answer.text(payload, key) for key in ("errorType", "errorMessage"))
    return excerpt.beginning(": ".join(filter(None, parts)) or text)


def _payload_text(data: object) -> str | None:
    """The payload as text; None where there is none."""
    found = answer.member(data, "Payload")
    if isinstance(found, bytes | bytearray):
        return found.decode(errors="backslashreplace")
    return found if isinstance(found, str) else None


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # the second where it is nested deeply
        return None


def _is_seconds(value: object) -> TypeGuard[float | None]:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
