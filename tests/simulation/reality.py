"""The captured API calls, made again at their recorded times to simulated Auto Scaling, and compared.

An id stands for its place: the second instance that AWS launched is the second that the simulator launched,
and so with tokens. Nothing that was recorded is put into the simulator but the calls themselves.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from botocore import xform_name
from botocore.exceptions import ClientError

from simulator.account import an_account

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from simulator.latencies import Latencies

    Json = Any

# AWS truncates some of its times to seconds, and a call takes effect anywhere between its start and its end.
TOLERANCE: Final = timedelta(seconds=2)
_TIMES: Final = frozenset({"StartTime", "EndTime", "Time", "time"})
# What belongs to the account and to the request, not to the behaviour.
_OWN: Final = frozenset(
    {"id", "account", "resources", "Details", "ActivityId", "RequestId", "AccountId", "AutoScalingGroupARN"}
)
_CALL: Final = ("code", "http_status", "message", "output")


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A call that the capture leaves out. An id is written by its place: `<instance 1>`."""

    at: datetime
    operation: str
    input: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Capture:
    """What must be known of a capture besides its files.

    `paces`: how long AWS took, from a moment on. `lags`: how old the state was that a read showed, by
    label. `differences`: those that are expected, each with its reason.
    """

    name: str
    prelude: Sequence[Step]
    paces: Mapping[datetime, Latencies]
    lags: Mapping[str, timedelta] = field(default_factory=dict)
    differences: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class Found:
    """What a rerun found."""

    matched_calls: int = 0
    prelude_calls: int = 0
    queue_calls: int = 0
    matched_events: int = 0
    differences: list[str] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class Ids:
    """Instance ids and tokens, each in the order of appearance."""

    instances: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def hidden(self, value: Json) -> Json:
        """The value with its ids replaced by their places."""
        return _replaced(value, {own: place for place, own in self._places()})

    def shown(self, value: Json) -> Json:
        """The value with the ids of these places."""
        return _replaced(value, dict(self._places()))

    def _places(self) -> Iterator[tuple[str, str]]:
        for kind, ids in (("instance", self.instances), ("token", self.tokens)):
            for number, own in enumerate(ids, start=1):
                yield f"<{kind} {number}>", own


def _replaced(value: Json, words: Mapping[str, str]) -> Json:
    text = json.dumps(value, default=str)
    for old, new in words.items():
        text = text.replace(old, new)
    return json.loads(text)


@dataclass(kw_only=True, slots=True)
class Recorded:
    """The two files of a capture: its calls, and its events and messages in the order of their times."""

    calls: list[dict[str, Any]]
    events: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    ids: Ids
    last_received_at: datetime | None

    @property
    def group(self) -> str:
        """The name of the one group."""
        given = self.calls[0]["input"]
        return str(given.get("AutoScalingGroupName") or given["AutoScalingGroupNames"][0])

    @property
    def targets(self) -> set[str]:
        """The notification targets that its hooks name."""
        given = (call["input"].get("NotificationTargetARN") for call in self.calls)
        return {target for target in given if target}


def read(folder: Path, name: str) -> Recorded:
    """The capture of that name."""
    calls = _lines(folder / f"{name}.calls.jsonl")
    heard = _lines(folder / f"{name}.jsonl")
    bodies = [line["body"] for line in heard]
    events = sorted((body for body in bodies if "detail" in body), key=lambda body: body["time"])
    found = re.findall(r"\bi-[0-9a-f]{17}\b", json.dumps([events, calls]))
    received = [datetime.fromisoformat(line["received_at"]) for line in heard]
    return Recorded(
        calls=calls,
        events=events,
        messages=[body for body in bodies if "detail" not in body],
        ids=Ids(instances=list(dict.fromkeys(found)), tokens=_tokens(events)),
        last_received_at=max(received, default=None),
    )


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _tokens(events: Sequence[Mapping[str, Any]]) -> list[str]:
    details = (event["detail"] for event in events)
    return [detail["LifecycleActionToken"] for detail in details if "LifecycleActionToken" in detail]


class Rerun:
    """One capture on its way through the simulator."""

    def __init__(self, capture: Capture, recorded: Recorded) -> None:
        self.capture, self.recorded = capture, recorded
        self.found = Found()
        self.made: list[str] = []
        self.messages: list[str] = []
        timed = [(datetime.fromisoformat(call["started_at"]), call) for call in recorded.calls]
        steps: list[tuple[datetime, Step | dict[str, Any]]] = [(step.at, step) for step in capture.prelude]
        self.steps = sorted([*steps, *timed], key=lambda step: step[0])
        self.account = an_account(self.steps[0][0], latencies=capture.paces[min(capture.paces)])
        for since, latencies in capture.paces.items():
            self.account.clock.at(since, partial(setattr, self.account.fleet, "latencies", latencies))
        self.account.outside.targets |= dict.fromkeys(recorded.targets, self.messages.append)
        self._new_instance_id = self.account.fleet.new_instance_id
        self.account.fleet.new_instance_id = self._make_instance_id

    @property
    def ids(self) -> Ids:
        """The simulator's own ids, as far as it has come."""
        return Ids(instances=self.made, tokens=_tokens(self.account.outside.events))

    def run(self) -> Found:
        """Make every call, then let the clock run until the capture received nothing more."""
        for moment, step in self.steps:
            self.account.clock.run_until(moment)
            if isinstance(step, Step):
                self._make_prelude_call(step)
            elif "QueueUrl" in step["input"]:
                self._touch_queue(step)
            else:
                self._make_call(step)
        self.account.clock.run_until(self.recorded.last_received_at or self.steps[-1][0])
        self._compare_events()
        self._compare_messages()
        return self.found

    def _make_instance_id(self) -> str:
        self.made.append(self._new_instance_id())
        return self.made[-1]

    def _make_prelude_call(self, step: Step) -> None:
        """Must succeed; it is compared with nothing."""
        shape = self.account.client.meta.service_model.operation_model(step.operation).input_shape
        required = shape.required_members if shape is not None else []
        named = "AutoScalingGroupName" in required
        group = {"AutoScalingGroupName": self.recorded.group} if named else {}
        self._ask(step.operation, self.ids.shown({**group, **step.input}))
        self.found.prelude_calls += 1

    def _touch_queue(self, call: Mapping[str, Any]) -> None:
        """The capture deleted its own queue, and looked whether it was gone: calls to another service."""
        if call["operation"] == "DeleteQueue":
            self.account.outside.targets.clear()
        self.found.queue_calls += 1

    def _make_call(self, call: Mapping[str, Any]) -> None:
        lag = self.capture.lags.get(call["label"], timedelta())
        self.account.service.lag = lambda: lag
        given = self.ids.shown(self.recorded.ids.hidden(call["input"]))
        try:
            output = self._ask(call["operation"], given)
            answer = {
                "code": "Success",
                "http_status": 200,
                "message": None,
                "output": _trimmed(output, call),
            }
        except ClientError as error:
            said, status = error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            answer = dict(zip(_CALL, (said["Code"], status, said["Message"], None), strict=True))
        self.account.service.lag = timedelta
        expected = self.recorded.ids.hidden({key: call[key] for key in _CALL})
        unlike = list(differences(expected, self.ids.hidden(answer), call["label"]))
        self.found.matched_calls += not unlike
        self.found.differences += unlike

    def _ask(self, operation: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        ask = getattr(self.account.client, xform_name(operation))
        answer: Mapping[str, Any] = ask(**given)
        return answer

    def _compare_events(self) -> None:
        """In the order of time. What only one side has is told; what both have is compared."""
        recorded = self.recorded.ids.hidden(self.recorded.events)
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
        if _keys(recorded) != _keys(simulated):
            unlike.append(f"{where}: another order of keys")
        self.found.matched_events += not unlike
        self.found.differences += unlike


def _trimmed(output: Mapping[str, Any], call: Mapping[str, Any]) -> Mapping[str, Any]:
    """The captures show one group without the list around it."""
    groups = output.get("AutoScalingGroups")
    return groups[0] if groups and "AutoScalingGroups" not in call["output"] else output


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
