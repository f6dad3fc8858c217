"""Promise 4: a message is acknowledged only when what it says is durable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from usher_simulator.trials.judge.scene import Checker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.action import Signal
    from usher_simulator.trials.judge.scene import Scene


class NothingLost(Checker):
    """Promise 4: acknowledged only when durable; to the dead letters only with a reason."""

    promise = "4 nothing lost"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._signals: set[str] = set()

    def kept(self, signal: Signal) -> None:
        """A signal is durable."""
        self._signals.add(signal.event_id)

    def acknowledged(self, body: str) -> None:
        """What the message says is in the store; or, where it says nothing, in the dead letters."""
        if body in self.scene.garbage:
            letters = self.scene.dead_letters.messages
            if not any(letter.body == body and letter.attributes.get("Reason") for letter in letters):
                self.broken(f"{body[:80]!r} was acknowledged, and is not in the dead letters")
            return
        said = said_in(json.loads(body))
        token, instance_id = said.get("LifecycleActionToken"), said.get("EC2InstanceId")
        if "LifecycleTransition" in said and self._is_ours(said):
            action = self.scene.memory.of_token(token or "")
            if action is None or (action.token, action.instance_id) != (token, instance_id):
                self.broken(f"the notification of token {token} was acknowledged, and is not recorded")
        elif said.get("Event") == "autoscaling:TEST_NOTIFICATION":
            tests = self.scene.memory.tests(said["AutoScalingGroupName"])
            if not any(test.request_id == said["RequestId"] for test in tests) and self._names(said):
                self.broken(f"the test message {said['RequestId']} was acknowledged, and is not kept")
        elif "Signal" in said and said["id"] not in self._signals:
            self.broken(f"signal {said['id']} was acknowledged, and is not kept")

    def _is_ours(self, said: Mapping[str, Any]) -> bool:
        """Whether every file in force has its hook. A group that is gone has no tags any more."""
        transition = said["LifecycleTransition"].rpartition("_")[2].lower()
        group, name = said["AutoScalingGroupName"], said["LifecycleHookName"]
        tags = self.scene.tags[group] if group in self.scene.groups else ()
        return all(
            any(each["transition"] == transition for each in one.hooks_on(group, name, tags))
            for one in self.scene.in_force()
        )

    def _names(self, said: Mapping[str, Any]) -> bool:
        group = said["AutoScalingGroupName"]
        return all(one.names(group, self.scene.tags[group]) for one in self.scene.in_force())

    def finished(self) -> None:
        """No good message ends as a dead letter, and none without a reason."""
        for letter in self.scene.dead_letters.messages:
            if not letter.attributes.get("Reason"):
                self.broken(f"{letter.body[:80]!r} is a dead letter without a reason")
            elif letter.body not in self.scene.garbage:
                self.broken(f"{letter.body[:80]!r} is a dead letter: {letter.attributes['Reason']}")
        for letter in self.scene.wake_dead_letters.messages:
            self.broken(f"the wake-up {letter.body} is a dead letter")


def said_in(data: dict[str, Any]) -> dict[str, Any]:
    """What a message says, whatever is around it."""
    if "requestPayload" in data:
        return said_in(data["requestPayload"])
    if "TopicArn" in data:
        return said_in(json.loads(data["Message"]))
    if "detail" in data:
        return {**data["detail"], "id": data["id"]}
    return data
