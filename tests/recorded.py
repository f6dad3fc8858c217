"""What was recorded of AWS: from the tables of `events/recorded`, or from the captures where they are there.

A table has the facts alone: seconds from the beginning of its scenario, calls with their answers, what was
heard, and invented ids. Here they are put into the shapes of the wire, on an invented day.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Json = Any

ROOT: Final = Path(__file__).parents[1]
TABLES: Final = ROOT / "events" / "recorded"
CAPTURES: Final = ROOT.parent / "shared" / "captures"
NAMES: Final = sorted(file.stem for file in TABLES.glob("*.json"))

BEGAN: Final = datetime(2027, 3, 1, 9, tzinfo=UTC)
GROUP: Final = "group"
_ARN: Final = f"arn:aws:autoscaling:us-east-1:111122223333:autoScalingGroup:0:autoScalingGroupName/{GROUP}"
_TIMES: Final = frozenset({"StartTime", "EndTime"})


@dataclass(kw_only=True, slots=True)
class Ids:
    """Instance ids and tokens, each in the order of appearance."""

    instances: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def hidden(self, value: Json) -> Json:
        """The value with its ids replaced by their places, e.g. `<instance 1>`."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call with its answer. One that was not recorded, and must have been made, has no answer.

    `lag`: how old the state was that it showed. `answer`: code, http_status, message and output.
    """

    at: datetime
    label: str
    operation: str
    given: Mapping[str, Any]
    answer: Mapping[str, Any] | None
    lag: timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """A scenario as it was recorded. `heard`: each body with the time of its receipt, in that order.

    `latencies`: how many seconds AWS took, from a moment on. `differences`: how the simulator differs, each
    with its reason. `is_whole`: its bodies have every member that AWS sent.
    """

    group: str
    calls: Sequence[Call]
    heard: Sequence[tuple[datetime, Mapping[str, Any]]]
    latencies: Mapping[datetime, Mapping[str, float]]
    differences: Mapping[str, str]
    is_whole: bool

    @property
    def events(self) -> list[Mapping[str, Any]]:
        """What came by EventBridge, in the order of its times."""
        return sorted((body for _, body in self.heard if "detail" in body), key=lambda body: body["time"])

    @property
    def messages(self) -> list[Mapping[str, Any]]:
        """What came by a hook's target."""
        return [body for _, body in self.heard if "detail" not in body]

    @property
    def ids(self) -> Ids:
        """Its ids, in the order of its events and then of its calls."""
        texts = [self.events, [[call.given, (call.answer or {}).get("output")] for call in self.calls]]
        found = re.findall(r"\bi-[0-9a-f]{17}\b", json.dumps(texts))
        return Ids(instances=list(dict.fromkeys(found)), tokens=tokens(self.events))

    def written(self, folder: Path) -> Path:
        """What was heard, as a file that `usher replay` reads."""
        lines = [{"received_at": at.isoformat(), "body": body} for at, body in self.heard]
        file = folder / "heard.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return file


def tokens(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """The tokens of lifecycle actions, in the order of these events."""
    details = (event["detail"] for event in events)
    return [detail["LifecycleActionToken"] for detail in details if "LifecycleActionToken" in detail]


def read(name: str) -> Recorded:
    """The scenario of that table."""
    table = json.loads((TABLES / f"{name}.json").read_text())
    heard = enumerate(table["heard"], start=1)
    return Recorded(
        group=GROUP,
        calls=list(_calls(table["calls"])),
        heard=[(_moment(row["received"]), _body(row, number)) for number, row in heard],
        latencies={_moment(row.pop("from")): row for row in table["latencies"]},
        differences=table["differences"],
        is_whole=False,
    )


def _moment(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def _calls(rows: Sequence[Mapping[str, Any]]) -> Iterator[Call]:
    recorded = 0
    for row in rows:
        is_recorded = "answer" in row or "code" in row
        recorded += is_recorded
        answer = {
            "code": row.get("code", "Success"),
            "http_status": row.get("status", 200),
            "message": row.get("message"),
            "output": _timed(row.get("answer")),
        }
        yield Call(
            at=_moment(row["at"]),
            label=f"call {recorded}",
            operation=row["call"],
            given=row["given"],
            answer=answer if is_recorded else None,
            lag=timedelta(seconds=row.get("lag", 0)),
        )


def _timed(value: Json) -> Json:
    """The answer with times in the place of seconds."""
    if isinstance(value, dict):
        return {key: _moment(one).isoformat() if key in _TIMES else _timed(one) for key, one in value.items()}
    return [_timed(one) for one in value] if isinstance(value, list) else value


def _body(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    """What was heard, in its shape on the wire (aws-facts 3)."""
    if "instance" not in row:
        return {
            "AccountId": "111122223333",
            "RequestId": _invented(number),
            "AutoScalingGroupARN": _ARN,
            "AutoScalingGroupName": GROUP,
            "Service": "AWS Auto Scaling",
            "Event": row["kind"],
            "Time": _written(row["at"]),
        }
    return {
        "version": "0",
        "id": _invented(number),
        "detail-type": row["kind"],
        "source": "aws.autoscaling",
        "account": "111122223333",
        "time": _moment(row["at"]).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "us-east-1",
        "resources": [_ARN],
        "detail": _lifecycle(row) if "token" in row else _outcome(row, number),
    }


def _lifecycle(row: Mapping[str, Any]) -> dict[str, Any]:
    way = "LAUNCHING" if row["action"] == "Launch" else "TERMINATING"
    return {
        "LifecycleActionToken": row["token"],
        "AutoScalingGroupName": GROUP,
        "LifecycleHookName": row["hook"],
        "EC2InstanceId": row["instance"],
        "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{way}",
        "Origin": row["origin"],
        "Destination": row["destination"],
        "Action": row["action"],
    }


def _outcome(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {
        "Origin": row["origin"],
        "Destination": row["destination"],
        "Action": row["action"],
        "EndTime": _written(row["ended"]),
        "RequestId": _invented(number),
        "ActivityId": _invented(number),
        "StartTime": _written(row["started"]),
        "EC2InstanceId": row["instance"],
        "StatusCode": row["code"],
        "StatusMessage": row.get("message", ""),
        "AutoScalingGroupName": GROUP,
    }


def _written(seconds: float) -> str:
    return _moment(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _invented(number: int) -> str:
    return f"{number:08d}-0000-4000-8000-000000000000"


def read_capture(name: str) -> Recorded:
    """The same scenario with its recorded calls, and what was heard, from the capture.

    What the capture leaves out is as the table has it.
    """
    table, lines = read(name), _lines(CAPTURES / f"{name}.calls.jsonl")
    recorded = [call for call in table.calls if call.answer is not None]
    started = [datetime.fromisoformat(line["started_at"]) for line in lines]
    shift = timedelta(seconds=round((started[0] - recorded[0].at).total_seconds()))
    given = lines[0]["input"]
    captured = [
        Call(
            at=at,
            label=call.label,
            operation=line["operation"],
            given=line["input"],
            answer={key: line[key] for key in ("code", "http_status", "message", "output")},
            lag=call.lag,
        )
        for at, call, line in zip(started, recorded, lines, strict=True)
    ]
    return Recorded(
        group=given.get("AutoScalingGroupName") or given["AutoScalingGroupNames"][0],
        calls=[
            captured.pop(0)
            if call.answer
            else replace(call, at=call.at + shift, given=table.ids.hidden(call.given))
            for call in table.calls
        ],
        heard=[
            (datetime.fromisoformat(line["received_at"]), line["body"])
            for line in _lines(CAPTURES / f"{name}.jsonl")
        ],
        latencies={at + shift: seconds for at, seconds in table.latencies.items()},
        differences=table.differences,
        is_whole=True,
    )


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
