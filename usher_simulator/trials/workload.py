"""What runs on the instances that wait, and says how it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.notifications import ACCOUNT, REGION, written_in_seconds
from usher_simulator.trials.policy_model import Said, seconds, signals_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.simulated_targets import SimulatedOutside
    from usher_simulator.autoscaling.virtual_clock import VirtualClock
    from usher_simulator.trials.dice import Dice
    from usher_simulator.trials.judge.scene import Scene
    from usher_simulator.trials.policy_model import Written

    Data = dict[str, Any]

_AT_ONCE: Final = timedelta(0)
_CORRECTED, _IS_LATE, _IS_BUSY, _CALMS_DOWN = 0.5, 0.5, 0.4, 0.6
_ALL_AT_ONCE: Final = 0.5
_LATE_S: Final = (60.0, 900.0)


def patience(policy: Written) -> timedelta:
    """About how long a wait under a policy lasts."""
    return seconds(policy.get("give_up_after", "1h"))


@dataclass(frozen=True, kw_only=True)
class EventBus:
    """Puts events on the bus of simulated EventBridge, whoever sends them."""

    clock: VirtualClock
    outside: SimulatedOutside
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def say(self, source: str, kind: str, detail: Mapping[str, Any], late: timedelta = _AT_ONCE) -> str:
        """An event of now, which comes `late`. Returns its id."""
        event = {
            "version": "0",
            "id": f"event-{next(self._numbers):06d}",
            "detail-type": kind,
            "source": source,
            "account": ACCOUNT,
            "time": written_in_seconds(self.clock()),
            "region": REGION,
            "resources": [],
            "detail": detail,
        }
        if late > _AT_ONCE:
            self.clock.at(self.clock() + late, lambda: self.outside.event(event))
        else:
            self.outside.event(event)
        return str(event["id"])


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Signals of every wait. With `words` it says more than it must, corrects itself, and is late."""

    random: Dice
    clock: VirtualClock
    bus: EventBus
    scene: Scene
    words: Dice | None

    def begins(self, wait: Wait, policy: Written) -> None:
        """What will be said while an instance waits."""
        names, lasts = signals_in(policy["until"]), patience(policy)
        for name in ("done", "ready"):
            if name in names and self.random.chance(0.85):
                after = lasts * self.random.uniform(0, 1.2)
                status = "failed" if self.random.chance(0.12) else "done"
                self._signal_in(after, wait, name, status)
        if "stalled_after" in policy:
            stalled = seconds(policy["stalled_after"])
            for number in range(1, self.random.randint(1, 6)):
                self._signal_in(stalled * number * self.random.uniform(0.5, 1), wait, "work", "progress")
        if self.words is not None:
            self._speak_up(wait, sorted(names), lasts, self.words)

    def _speak_up(self, wait: Wait, names: list[str], lasts: timedelta, words: Dice) -> None:
        """Now and then it says all at once, in no order; it takes a word back, and is busy for a while."""
        if words.chance(_ALL_AT_ONCE):
            at = lasts * words.uniform(0, 0.8)
            for name in names:
                if name != "busy":
                    self._signal_in(at + timedelta(seconds=words.uniform(0, 60)), wait, name, "done", words)
            return
        for name in names:
            if words.chance(_IS_BUSY if name == "busy" else _CORRECTED):
                first = lasts * words.uniform(0, 1)
                self._signal_in(first, wait, name, "done", words)
                if words.chance(_CALMS_DOWN):
                    status = words.choice(("failed", "progress"))
                    self._signal_in(first + lasts * words.uniform(0, 0.3), wait, name, status, words)

    def _signal_in(
        self, after: timedelta, wait: Wait, name: str, status: str, dice: Dice | None = None
    ) -> None:
        by_token = (dice or self.random).chance(0.3)
        of = {"LifecycleActionToken": wait.token} if by_token else {"InstanceId": wait.instance_id}
        detail = {**of, "Signal": name, "Status": status}
        self.clock.at(self.clock() + after, lambda: self._signal(detail))

    def _signal(self, detail: Data) -> None:
        is_late = self.words is not None and self.words.chance(_IS_LATE)
        late = timedelta(seconds=self.words.between(*_LATE_S)) if self.words and is_late else _AT_ONCE
        event_id = self.bus.say("usher.signal", "Usher Signal", detail, late)
        self.scene.sent[event_id] = Said(
            event_id=event_id,
            name=detail["Signal"],
            status=detail["Status"],
            at=self.clock().replace(microsecond=0),
            instance_id=detail.get("InstanceId"),
            token=detail.get("LifecycleActionToken"),
        )

    def command_ended(self, detail: Mapping[str, str]) -> None:
        """SSM says that a command ended, however it did; an event may be lost or late."""
        said = {**detail, "document-name": "upload-logs", "status": "Success"}
        self.bus.say("aws.ssm", "EC2 Command Invocation Status-change Notification", said)
