"""Writes the day of a small fleet that `make demo` replays: `python -m usher_simulator.replay.fleet_day`.

Three web servers are replaced in a rolling deploy (one of them never boots), and the workers of two
job groups are scaled in at night. The lags of the EventBridge copies follow the captures (aws-facts
9.1); some notifications come twice.
"""

from __future__ import annotations

import json
import sys
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from usher_simulator.autoscaling.notifications import written, written_in_seconds

_DAY: Final = datetime(2026, 3, 10, tzinfo=UTC)
_ACCOUNT: Final = "111122223333"
_REGION: Final = "eu-central-1"
_TRANSITIONS: Final = {
    "launch": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "terminate": "autoscaling:EC2_INSTANCE_TERMINATING",
}
_PLACES: Final = {"launch": ("EC2", "AutoScalingGroup"), "terminate": ("AutoScalingGroup", "EC2")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """One instance of a group."""

    id: str
    group: str


@dataclass(kw_only=True, slots=True)
class Day:
    """The messages of a day, as they were received."""

    random: Random
    received: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)

    def instance(self, group: str) -> Instance:
        """A new instance of `group`."""
        return Instance(id=f"i-0{self.random.getrandbits(64):016x}", group=group)

    def tested(self, group: str, at: datetime) -> None:
        """The test message of a hook that was put on `group`."""
        body = {
            "AccountId": _ACCOUNT,
            "RequestId": self._uuid(),
            "AutoScalingGroupARN": _arn(group),
            "AutoScalingGroupName": group,
            "Service": "AWS Auto Scaling",
            "Event": "autoscaling:TEST_NOTIFICATION",
            "Time": written(at),
        }
        self._receive(at + timedelta(seconds=0.4), body)

    def waits(
        self, instance: Instance, hook: str, move: str, at: datetime, places: tuple[str, str] | None = None
    ) -> None:
        """An instance enters its wait: a message to the queue, and an event that comes later."""
        origin, destination = places or _PLACES[move]
        token = self._uuid()
        said = {
            "LifecycleActionToken": token,
            "AutoScalingGroupName": instance.group,
            "LifecycleHookName": hook,
            "EC2InstanceId": instance.id,
            "LifecycleTransition": _TRANSITIONS[move],
            "Origin": origin,
            "Destination": destination,
        }
        message = {
            "Origin": origin,
            "LifecycleHookName": hook,
            "Destination": destination,
            "AccountId": _ACCOUNT,
            "RequestId": self._uuid(),
            "LifecycleTransition": _TRANSITIONS[move],
            "AutoScalingGroupName": instance.group,
            "Service": "AWS Auto Scaling",
            "Time": written(at),
            "EC2InstanceId": instance.id,
            "LifecycleActionToken": token,
        }
        self._receive(at + timedelta(seconds=self.random.uniform(0.2, 1.5)), message)
        if self.random.random() < 0.15:  # noqa: PLR2004 - at-least-once delivery, overdone
            self._receive(at + timedelta(seconds=self.random.uniform(2, 40)), message)
        detail = said | {"Action": "Launch" if move == "launch" else "Terminate"}
        kind = f"EC2 Instance-{move} Lifecycle Action"
        self._event("aws.autoscaling", kind, instance.group, detail, at, self._lag())

    def ended(
        self, instance: Instance, move: str, began: datetime, at: datetime, *, well: bool = True
    ) -> None:
        """The outcome event of a move."""
        origin, destination = _PLACES[move]
        name = move.capitalize()
        activity = self._uuid()
        detail = {
            "Origin": origin,
            "Destination": destination,
            "Action": name,
            "EndTime": written(at),
            "RequestId": activity,
            "ActivityId": activity,
            "StartTime": written(began - timedelta(seconds=2)),
            "EC2InstanceId": instance.id,
            "StatusCode": "InProgress" if well else "Cancelled",
            "StatusMessage": "",
            "AutoScalingGroupName": instance.group,
        }
        kind = f"EC2 Instance {name} {'Successful' if well else 'Unsuccessful'}"
        self._event("aws.autoscaling", kind, instance.group, detail, at, self._lag())

    def signals(self, instance: Instance, name: str, status: str, at: datetime, message: str = "") -> None:
        """A word from the workload."""
        detail = {"InstanceId": instance.id, "Signal": name, "Status": status}
        if message:
            detail["Message"] = message
        self._event("usher.signal", "Usher Signal", None, detail, at, self.random.uniform(0.3, 3))

    def notes(self, instance: Instance, at: datetime) -> None:
        """A notification-configuration message, which is nothing to act on."""
        body = {
            "Service": "AWS Auto Scaling",
            "Time": written(at),
            "Event": "autoscaling:EC2_INSTANCE_LAUNCH",
            "AutoScalingGroupName": instance.group,
            "EC2InstanceId": instance.id,
        }
        self._receive(at + timedelta(seconds=0.8), body)

    def _event(
        self, source: str, kind: str, group: str | None, detail: dict[str, Any], at: datetime, lag_s: float
    ) -> None:
        event = {
            "version": "0",
            "id": self._uuid(),
            "detail-type": kind,
            "source": source,
            "account": _ACCOUNT,
            "time": written_in_seconds(at),
            "region": _REGION,
            "resources": [_arn(group)] if group else [],
            "detail": detail,
        }
        self._receive(at + timedelta(seconds=lag_s), event)

    def _lag(self) -> float:
        return min(130.0, 3.5 + self.random.expovariate(1 / 30))

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def _receive(self, at: datetime, body: dict[str, Any]) -> None:
        self.received.append((at, body))


def _arn(group: str) -> str:
    return f"arn:aws:autoscaling:{_REGION}:{_ACCOUNT}:autoScalingGroup:*:autoScalingGroupName/{group}"


def _deploy_web(day: Day) -> None:
    """Three servers are replaced. The third never boots, and its own replacement does."""
    at = _DAY + timedelta(hours=9, minutes=12)
    for boot_s in (48, 141, None, 67):
        new, old = day.instance("web-prod"), day.instance("web-prod")
        day.waits(new, "web-gate", "launch", at)
        if boot_s is None:
            failed = at + timedelta(seconds=214)
            day.signals(new, "bootstrapped", "failed", failed, "cloud-init: package mirror unreachable")
            day.ended(new, "launch", at, failed + timedelta(seconds=3), well=False)
            day.waits(new, "web-drain", "terminate", failed + timedelta(seconds=4))
            at = failed + timedelta(minutes=2)
            continue
        up = at + timedelta(seconds=boot_s)
        day.signals(new, "bootstrapped", "done", up)
        day.ended(new, "launch", at, up + timedelta(seconds=4))
        day.notes(new, up + timedelta(seconds=5))
        leaves = up + timedelta(seconds=40)
        day.waits(old, "web-drain", "terminate", leaves)
        at = leaves + timedelta(minutes=3)


def _scale_in_jobs(day: Day) -> None:
    """Workers leave at night: some at once, one after hours, one hangs, one goes to the warm pool."""
    at = _DAY + timedelta(hours=19)
    for group, minutes in (("jobs-blue", 3), ("jobs-blue", 26), ("jobs-green", 8), ("jobs-green", 210)):
        worker = day.instance(group)
        day.waits(worker, "jobs-drain", "terminate", at)
        for minute in range(9, minutes, 9):
            day.signals(worker, "jobs-finished", "progress", at + timedelta(minutes=minute), f"{minute} min")
        done = at + timedelta(minutes=minutes)
        day.signals(worker, "jobs-finished", "done", done)
        day.ended(worker, "terminate", at, done + timedelta(seconds=25))
        at += timedelta(minutes=11)
    hanging = day.instance("jobs-green")
    day.waits(hanging, "jobs-drain", "terminate", at)
    day.signals(hanging, "jobs-finished", "progress", at + timedelta(minutes=4), "1 of 7 jobs")
    idle = day.instance("jobs-blue")
    day.signals(idle, "jobs-finished", "done", at + timedelta(minutes=2, seconds=30))  # before its action
    day.waits(idle, "jobs-drain", "terminate", at + timedelta(minutes=3))
    parked = day.instance("jobs-blue")
    pool = ("AutoScalingGroup", "WarmPool")
    day.waits(parked, "jobs-drain", "terminate", at + timedelta(minutes=5), pool)


def write_day(seed: int = 7) -> str:
    """The recorded day, as JSONL."""
    day = Day(random=Random(seed))  # noqa: S311 - no secret
    for group in ("web-prod", "jobs-blue", "jobs-green"):
        day.tested(group, _DAY + timedelta(hours=8, seconds=len(group)))
    _deploy_web(day)
    _scale_in_jobs(day)
    lines = sorted(day.received, key=lambda received: received[0])
    return "".join(
        json.dumps({"received_at": written(at), "body": body}, separators=(",", ":")) + "\n"
        for at, body in lines
    )


if __name__ == "__main__":
    sys.stdout.write(write_day())
