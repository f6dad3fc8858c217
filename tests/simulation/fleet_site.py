"""A site of one group of simulated Auto Scaling, for the suites of the fleet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.factories import START
from usher_simulator.autoscaling.account import Account, an_account
from usher_simulator.autoscaling.latencies import PROMPT
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.notifications import ACCOUNT, REGION
from usher_simulator.autoscaling.query_protocol import ApiError, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from usher_simulator.autoscaling.groups import Activity, Instance
    from usher_simulator.autoscaling.latencies import Latencies
    from usher_simulator.autoscaling.lifecycle_actions import Wait

GROUP: Final = "web"
QUEUE: Final = f"arn:aws:sqs:{REGION}:{ACCOUNT}:inbox"
TOPIC: Final = f"arn:aws:sns:{REGION}:{ACCOUNT}:hooks"
FUNCTION: Final = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:intake"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/notifier"
RETAIN: Final = {"RetentionTriggers": {"TerminateHookAbandon": "retain"}}
TERMINATE: Final = {"RetentionTriggers": {"TerminateHookAbandon": "terminate"}}
MOST_LATE: Final = timedelta(seconds=5)  # how late an expiry may be applied (2.1, 9.9)


def up(name: str = "up", **changes: Any) -> dict[str, Any]:
    """A launch hook of a minute, CONTINUE by default."""
    return {
        "LifecycleHookName": name,
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "HeartbeatTimeout": 60,
        "DefaultResult": "CONTINUE",
    } | changes


def down(name: str = "down", **changes: Any) -> dict[str, Any]:
    """A termination hook of a minute, CONTINUE by default."""
    return up(name, LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING") | changes


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """An account with one group, used through the API and looked at through the engine."""

    account: Account

    def call(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        return self.account.service(Request(operation=operation, parameters=parameters, request_id="call"))

    def of_group(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        return self.call(operation, AutoScalingGroupName=GROUP, **parameters)

    def refused(self, operation: str, **parameters: Any) -> str:
        """The code and text with which a call is refused."""
        with pytest.raises(ApiError) as refused:
            self.call(operation, **parameters)
        return f"{refused.value.code}: {refused.value.message}"

    def run(self, seconds: float = 5) -> None:
        self.account.clock.run_until(self.now + timedelta(seconds=seconds))

    def scale(self, desired: int) -> None:
        self.of_group("SetDesiredCapacity", DesiredCapacity=desired)
        self.run()

    def end(self, wait: Wait, result: str = "CONTINUE") -> None:
        """Complete an action by its token; nothing has moved on yet."""
        self.of_group(
            "CompleteLifecycleAction",
            LifecycleHookName=wait.hook,
            LifecycleActionToken=wait.token,
            LifecycleActionResult=result,
        )

    def complete(self, wait: Wait, result: str = "CONTINUE") -> None:
        """Complete an action by its token, and let the instance move on."""
        self.end(wait, result)
        self.run()

    def beat(self, wait: Wait) -> None:
        self.of_group(
            "RecordLifecycleActionHeartbeat", LifecycleHookName=wait.hook, LifecycleActionToken=wait.token
        )

    def terminate(self, instance: Instance, *, decrement: bool = False) -> Mapping[str, Any]:
        return self.call(
            "TerminateInstanceInAutoScalingGroup",
            InstanceId=instance.id,
            ShouldDecrementDesiredCapacity=decrement,
        )

    @property
    def now(self) -> datetime:
        return self.account.clock()

    @property
    def instances(self) -> list[Instance]:
        """Those that are there, oldest first."""
        group = self.account.fleet.groups.get(GROUP)
        return [one for one in group.instances.values() if one.state] if group else []

    @property
    def states(self) -> list[str]:
        return [instance.state for instance in self.instances]

    @property
    def activities(self) -> list[Activity]:
        """Newest first."""
        return self.account.fleet.groups[GROUP].activities

    @property
    def open(self) -> list[Wait]:
        """The open lifecycle actions, oldest first."""
        moves = [instance.move for instance in self.instances if instance.move]
        return sorted(
            (wait for move in moves for wait in move.waits if wait.is_open), key=lambda wait: wait.started_at
        )

    @property
    def only(self) -> Wait:
        """The one open lifecycle action."""
        (wait,) = self.open
        return wait

    def events(self, kind: str = "") -> list[Mapping[str, Any]]:
        """The events that were sent, of the kinds that contain `kind`."""
        return [event for event in self.account.outside.events if kind in event["detail-type"]]

    @property
    def story(self) -> list[str]:
        """The kinds of the events that were sent, in short."""
        return [event["detail-type"].removeprefix("EC2 Instance").strip(" -") for event in self.events()]

    def waited(self, hook: str) -> list[Wait]:
        """Every action of a hook that there ever was, in the order of their events."""
        details = [event["detail"] for event in self.events("Lifecycle Action")]
        tokens = [one["LifecycleActionToken"] for one in details if one["LifecycleHookName"] == hook]
        waits = [self.account.fleet.waits.of_token(token) for token in tokens]
        return [wait for wait in waits if wait is not None]


def a_site(
    *hooks: dict[str, Any],
    desired: int = 1,
    latencies: Latencies = PROMPT,
    takes: Mapping[str, Callable[[str], None]] | None = None,
    seed: int = 0,
    **settings: Any,
) -> Site:
    """A group of at most 4 that has come to rest, or to its first hook. `takes` are the targets."""
    account = an_account(START, seed=seed, latencies=latencies)
    account.outside.targets.update(takes or {})
    site = Site(account=account)
    sizes = {"MinSize": 0, "MaxSize": 4, "DesiredCapacity": desired, "LifecycleHookSpecificationList": hooks}
    site.of_group("CreateAutoScalingGroup", **(sizes | ANY_SOURCE | settings))
    site.run()
    return site


def with_pool(site: Site, *, warm: int = 1, **settings: Any) -> Site:
    """A warm pool beside the group, filled as far as its hooks let it."""
    site.of_group("PutWarmPool", MinSize=warm, MaxGroupPreparedCapacity=warm, **settings)
    site.run()
    return site


def is_prompt(ended_at: datetime | None, deadline: datetime) -> bool:
    """Whether an expiry was applied at its deadline or a little later, and not before."""
    return ended_at is not None and deadline <= ended_at <= deadline + MOST_LATE


# -- warm pools (2.8, 9.10) ------------------------------------------------------------------------


def into_pool(*hooks: dict[str, Any]) -> Site:
    return with_pool(a_site(*hooks, desired=0))


def out_of_pool(*hooks: dict[str, Any]) -> Site:
    site = into_pool(*hooks)
    for wait in site.open:
        site.complete(wait)
    site.scale(1)
    return site


def back_to_pool(*hooks: dict[str, Any], **settings: Any) -> Site:
    site = a_site(desired=1, **settings)
    with_pool(site, warm=0, InstanceReusePolicy={"ReuseOnScaleIn": True})
    site.of_group("PutWarmPool", MaxGroupPreparedCapacity=1)
    for hook in hooks:
        site.of_group("PutLifecycleHook", **hook)
    site.scale(0)
    return site


def pool_to_ec2(*hooks: dict[str, Any], **settings: Any) -> Site:
    site = with_pool(a_site(desired=0, **settings))
    for hook in hooks:
        site.of_group("PutLifecycleHook", **hook)
    site.of_group("DeleteWarmPool", ForceDelete=True)
    site.run()
    return site


def scaled_in(*hooks: dict[str, Any]) -> Site:
    site = a_site(desired=1)
    for hook in hooks:
        site.of_group("PutLifecycleHook", **hook)
    site.scale(0)
    return site


def told(target: str, hook: dict[str, Any] | None = None, **settings: Any) -> tuple[Site, list[str]]:
    """A site with a hook whose target keeps what it is sent: a test message, then a lifecycle message."""
    bodies: list[str] = []
    spec = (hook or up()) | {"NotificationTargetARN": target, "RoleARN": ROLE} | settings
    return a_site(spec, takes={target: bodies.append}), bodies
