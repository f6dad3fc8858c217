"""What was recorded of AWS, done again at its times to simulated Auto Scaling, and compared.

An id stands for its place: the second instance that AWS launched is the second that the simulator launched,
and so with tokens. Nothing that was recorded is put into the simulator but the calls themselves.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from botocore import xform_name
from botocore.exceptions import ClientError

from tests.recorded import Ids, tokens
from usher_simulator.autoscaling import moves
from usher_simulator.autoscaling.account import an_account
from usher_simulator.autoscaling.latencies import CAPTURED
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.recorded import Call, Recorded
    from usher_simulator.autoscaling.latencies import Latencies

    Json = Any

# AWS truncates some of its times to seconds, and a call takes effect anywhere between its start and its end.
TOLERANCE: Final = timedelta(seconds=2)
_TIMES: Final = frozenset({"StartTime", "EndTime", "Time", "time"})
# What belongs to the account and to the request, not to the behaviour.
_OWN: Final = frozenset(
    {"id", "account", "resources", "Details", "ActivityId", "RequestId", "AccountId", "AutoScalingGroupARN"}
)


@dataclass(kw_only=True, slots=True)
class Found:
    """What a rerun found."""

    matched_calls: int = 0
    prelude_calls: int = 0
    queue_calls: int = 0
    matched_events: int = 0
    differences: list[str] = field(default_factory=list)


def taking(
    notice: float = 11,
    terminate: float = 21.5,
    to_wait: float = 0.7,
    into_pool: float = 40,
    replacing: float = 1.5,
) -> Latencies:
    """The captured latencies, with what AWS took here, in seconds: every one is drawn anew each time."""
    return replace(
        CAPTURED,
        notice=timedelta(seconds=notice),
        replace=timedelta(seconds=replacing),
        to_wait={**CAPTURED.to_wait, moves.TERMINATE: timedelta(seconds=to_wait)},
        to_end={
            **CAPTURED.to_end,
            moves.TERMINATE: timedelta(seconds=terminate),
            moves.LAUNCH_INTO_POOL: timedelta(seconds=into_pool),
        },
    )


class Rerun:
    """One scenario on its way through the simulator."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.recorded_ids = recorded.ids
        self.found = Found()
        self.made: list[str] = []
        self.messages: list[str] = []
        latencies = {since: taking(**seconds) for since, seconds in recorded.latencies.items()}
        self.account = an_account(recorded.calls[0].at, latencies=latencies[min(latencies)])
        for since, those in latencies.items():
            self.account.clock.at(since, partial(setattr, self.account.fleet, "latencies", those))
        given = (call.given.get("NotificationTargetARN") for call in recorded.calls)
        targets = {str(target) for target in given if target}
        self.account.outside.targets |= dict.fromkeys(targets, self.messages.append)
        self._new_instance_id = self.account.fleet.new_instance_id
        self.account.fleet.new_instance_id = self._make_instance_id

    @property
    def ids(self) -> Ids:
        """The simulator's own ids, as far as it has come."""
        return Ids(instances=self.made, tokens=tokens(self.account.outside.events))

    def run(self) -> Found:
        """Make every call, then let the clock run until nothing more was received."""
        for call in self.recorded.calls:
            self.account.clock.run_until(call.at)
            if "QueueUrl" in call.given:
                self._touch_queue(call)
            elif call.answer is None:
                self._ask(call)  # must succeed; it is compared with nothing
                self.found.prelude_calls += 1
            else:
                self._compare_call(call, call.answer)
        received = [at for at, _ in self.recorded.heard]
        self.account.clock.run_until(max(received, default=self.recorded.calls[-1].at))
        self._compare_events()
        self._compare_messages()
        return self.found

    def _make_instance_id(self) -> str:
        self.made.append(self._new_instance_id())
        return self.made[-1]

    def _touch_queue(self, call: Call) -> None:
        """The recorder deleted its own queue, and looked whether it was gone: calls to another service."""
        if call.operation == "DeleteQueue":
            self.account.outside.targets.clear()
        self.found.queue_calls += 1

    def _compare_call(self, call: Call, recorded: Mapping[str, Any]) -> None:
        self.account.service.lag = lambda: call.lag
        answer: dict[str, Any] = {"code": "Success", "http_status": 200, "message": None, "output": None}
        try:
            answer["output"] = _trimmed(self._ask(call), recorded["output"])
        except ClientError as error:
            said = error.response["Error"]
            answer |= {"code": said["Code"], "message": said["Message"]}
            answer["http_status"] = error.response["ResponseMetadata"]["HTTPStatusCode"]
        self.account.service.lag = timedelta
        expected = self.recorded_ids.hidden(recorded)
        unlike = list(differences(expected, self.ids.hidden(answer), call.label))
        self.found.matched_calls += not unlike
        self.found.differences += unlike

    def _ask(self, call: Call) -> Mapping[str, Any]:
        shape = self.account.client.meta.service_model.operation_model(call.operation).input_shape
        named = shape is not None and "AutoScalingGroupName" in shape.required_members
        group = {"AutoScalingGroupName": self.recorded.group} if named else {}
        source = ANY_SOURCE if call.operation == "CreateAutoScalingGroup" else {}  # the tables leave it out
        given = self.ids.shown(self.recorded_ids.hidden({**group, **source, **call.given}))
        answer: Mapping[str, Any] = getattr(self.account.client, xform_name(call.operation))(**given)
        return answer

    def _compare_events(self) -> None:
        """In the order of time. What only one side has is told; what both have is compared."""
        recorded = self.recorded_ids.hidden(self.recorded.events)
        simulated = self.ids.hidden(self.account.outside.events)
        keys = [_key(event) for event in recorded], [_key(event) for event in simulated]
        for tag, first, end, other, other_end in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
            if tag == "equal":
                for one, its in zip(recorded[first:end], simulated[other:other_end], strict=True):
                    self._compare_heard(one, its, _key(one))
                continue
            self.found.differences += [f"recorded only: {key}" for key in keys[0][first:end]]
            self.found.differences += [f"simulated only: {key}" for key in keys[1][other:other_end]]

    def _compare_messages(self) -> None:
        recorded = self.recorded.messages
        simulated = [json.loads(text) for text in self.messages]
        if len(recorded) != len(simulated):
            self.found.differences.append(f"messages: {len(recorded)} recorded, {len(simulated)} simulated")
        for number, (one, its) in enumerate(zip(recorded, simulated, strict=False), start=1):
            self._compare_heard(one, its, f"message {number}")

    def _compare_heard(self, recorded: Json, simulated: Json, where: str) -> None:
        unlike = list(differences(recorded, simulated, where))
        if _keys(recorded) != _keys(simulated if self.recorded.is_whole else _common(simulated, recorded)):
            unlike.append(f"{where}: another order of keys")
        self.found.matched_events += not unlike
        self.found.differences += unlike


def _trimmed(output: Mapping[str, Any], recorded: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What was recorded shows one group without the list around it."""
    groups = output.get("AutoScalingGroups")
    return groups[0] if groups and recorded is not None and "AutoScalingGroups" not in recorded else output


def _key(event: Mapping[str, Any]) -> str:
    detail = event["detail"]
    words = (
        event["detail-type"],
        detail["EC2InstanceId"],
        f"{detail['Origin']} to {detail['Destination']}",
        detail["Action"],
        detail.get("StatusCode", ""),
    )
    return ", ".join(word for word in words if word)


def _keys(heard: Mapping[str, Any]) -> list[list[str]]:
    return [list(heard), list(heard.get("detail", {}))]


def _common(simulated: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Of the simulated value the members that were recorded, in their own order."""
    return {
        name: _common(value, recorded[name]) if name == "detail" else value
        for name, value in simulated.items()
        if name in recorded
    }


def differences(recorded: Json, simulated: Json, where: str) -> Iterator[str]:
    """Where the simulated value is not as recorded. Members that were not recorded are free."""
    if isinstance(recorded, dict) and isinstance(simulated, dict):
        for name, value in recorded.items():
            if name not in _OWN:
                yield from _differences_of(name, value, simulated.get(name), f"{where}.{name}")
    elif isinstance(recorded, list) and isinstance(simulated, list):
        if len(recorded) != len(simulated):
            yield f"{where}: {len(recorded)} recorded, {len(simulated)} simulated"
        pairs = zip(_in_order(recorded), _in_order(simulated), strict=False)
        for number, (one, its) in enumerate(pairs, start=1):
            yield from differences(one, its, f"{where}.{number}")
    elif recorded != simulated:
        yield f"{where}: {recorded!r} recorded, {simulated!r} simulated"


def _differences_of(name: str, recorded: Json, simulated: Json, where: str) -> Iterator[str]:
    if name in _TIMES and recorded and simulated:
        if abs(datetime.fromisoformat(recorded) - datetime.fromisoformat(simulated)) > TOLERANCE:
            yield f"{where}: {recorded} recorded, {simulated} simulated"
    elif name == "Cause" and simulated:
        if _timeless(recorded) != _timeless(simulated):
            yield f"{where}: another text"
    else:
        yield from differences(recorded, simulated, where)


def _in_order(listed: Sequence[Json]) -> Sequence[Json]:
    """Instances come in any order; all else in its own."""
    if all(isinstance(one, dict) and "InstanceId" in one for one in listed):
        return sorted(listed, key=lambda one: str(one["InstanceId"]))
    return listed


def _timeless(cause: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "then", cause)
