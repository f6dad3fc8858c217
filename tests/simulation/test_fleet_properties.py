"""Random days of simulated Auto Scaling, beside a small model of what was asked for.

The model knows sizes, hooks and deadlines; the invariants are what aws-facts promises of every day.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.factories import START
from tests.properties import examples
from usher_simulator.autoscaling import moves
from usher_simulator.autoscaling.account import an_account
from usher_simulator.autoscaling.groups import IN_POOL
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.autoscaling.notifications import ACCOUNT, REGION
from usher_simulator.autoscaling.query_protocol import ApiError, Request, service_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from usher_simulator.autoscaling.groups import Activity, Group, Instance
    from usher_simulator.autoscaling.lifecycle_actions import Wait

QUEUE: Final = f"arn:aws:sqs:{REGION}:{ACCOUNT}:inbox"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/notifier"
TARGET_GROUP: Final = "arn:aws:elasticloadbalancing:tg"
GROUPS: Final = ("red", "blue")
HOOKS: Final = ("a", "b", "c")
PROCESSES: Final = ("Launch", "Terminate", "ReplaceUnhealthy")
MOST_LATE: Final = timedelta(seconds=5)  # 2.1, 9.9
LONGEST: Final = timedelta(hours=48)  # 2.1
SETTLED_AFTER_S: Final = 120  # more than any chain of moves takes, once nobody is waited for

STATES: Final = frozenset(service_model().shape_for("LifecycleState").enum)
STATUSES: Final = {
    *service_model().shape_for("ScalingActivityStatusCode").enum,
    "MidTerminatingLifecycleAction",
}

# Where an instance stands while it waits: by transition, origin and destination (2.8, 2.9).
PLACES: Final = {
    ("launching", "EC2", "AutoScalingGroup"): "Pending:Wait",
    ("launching", "EC2", "WarmPool"): "Warmed:Pending:Wait",
    ("launching", "WarmPool", "AutoScalingGroup"): "Pending:Wait",
    ("launching", "AutoScalingGroup", "AutoScalingGroup"): "Pending:Wait",
    ("terminating", "AutoScalingGroup", "EC2"): "Terminating:Wait",
    ("terminating", "AutoScalingGroup", "WarmPool"): "Warmed:Pending:Wait",
    ("terminating", "WarmPool", "EC2"): "Warmed:Terminating:Wait",
    ("terminating", "AutoScalingGroup", "AutoScalingGroup"): "ReplacingRootVolume:Wait",
}


def _held(state: str, after: Sequence[str], cut_off_to: Sequence[str]) -> dict[str, set[str]]:
    """The edges of a state with a wait in it: through to what comes after, or cut off on the way."""
    steps = [state, f"{state}:Wait", f"{state}:Proceed"]
    return {
        steps[0]: {steps[1], steps[2], *cut_off_to},
        steps[1]: {steps[2], *cut_off_to},
        steps[2]: {*after, *cut_off_to},
    }


# What may follow a state; "" is gone. Sections 2.2, 2.7 to 2.9 and 9.10.
EDGES: Final = (
    {
        "": {"Pending", "Warmed:Pending"},
        "InService": {"Terminating", "Warmed:Pending", "ReplacingRootVolume"},
        "RootVolumeReplaced": {"Pending"},
        "Terminating:Retained": {"Terminating"},
        "Warmed:Pending:Retained": {"Warmed:Terminating"},
        "Warmed:Terminating:Retained": {"Warmed:Terminating"},
    }
    | {state: {"Pending", "Warmed:Terminating"} for state in IN_POOL}
    | _held("Pending", ["InService"], ["Terminating"])
    | _held("Terminating", ["", "Terminating:Retained"], [])
    | _held("ReplacingRootVolume", ["RootVolumeReplaced"], ["Terminating"])
    | _held("Warmed:Pending", [*IN_POOL, "Warmed:Pending:Retained"], ["Warmed:Terminating"])
    | _held("Warmed:Terminating", ["", "Warmed:Terminating:Retained"], [])
)
EDGES["Warmed:Pending:Wait"].add("Warmed:Running")  # an abandoned return to the pool (9.10)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelHook:
    """What a hook was put as."""

    transition: str
    timeout: timedelta
    default: str


@dataclass(kw_only=True, slots=True)
class ModelGroup:
    """What was asked of a group."""

    min_size: int
    max_size: int
    desired: int
    retains: bool
    deleting: bool = False
    suspended: set[str] = field(default_factory=set)
    hooks: dict[str, ModelHook] = field(default_factory=dict)
    most: int = 0  # that counted, since the bounds were last moved


def hook_parameters(hook: ModelHook, target: str | None) -> dict[str, Any]:
    return {
        "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{hook.transition.upper()}",
        "HeartbeatTimeout": int(hook.timeout.total_seconds()),
        "DefaultResult": hook.default,
        "NotificationTargetARN": target or "",
        **({"RoleARN": ROLE} if target else {}),
    }


def policy(*, retains: bool) -> dict[str, Any]:
    return {"RetentionTriggers": {"TerminateHookAbandon": "retain" if retains else "terminate"}}


hooks_drawn = st.builds(
    ModelHook,
    transition=st.sampled_from(["launching", "terminating"]),
    timeout=st.sampled_from([30, 60, 300]).map(lambda seconds: timedelta(seconds=seconds)),
    default=st.sampled_from(["CONTINUE", "ABANDON"]),
)
some_hooks = st.dictionaries(st.sampled_from(HOOKS), hooks_drawn)
any_index = st.integers(0, 11)
mostly_continue = st.sampled_from(["CONTINUE", "CONTINUE", "ABANDON"])
sizes = st.integers(0, 3)


class Day(RuleBasedStateMachine):
    """One account, used at random."""

    def __init__(self) -> None:
        super().__init__()
        self.account = an_account(START)
        self.fleet = self.account.fleet
        self.model: dict[str, ModelGroup] = {}
        self.instances: dict[str, Instance] = {}  # all that there ever were
        self.status: list[Instance] = []
        self.activities: dict[str, Activity] = {}
        self.kinds: dict[str, str] = {}  # of moves, by the id of their activity
        self.waits: dict[str, Wait] = {}  # all that there ever were
        self.open: list[Wait] = []
        self.deadlines: dict[str, datetime] = {}
        self.ended: dict[str, tuple[Any, ...]] = {}
        self.edges_read: Counter[str] = Counter()
        self.told: Counter[str] = Counter()  # events by the token or the activity that they tell of
        self.events_read = 0
        self.balancer: set[str] = set()
        self.registrations_read = 0
        self.has_held = False
        self.pace_s = 0.0  # the time that passes after each rule

    # -- doing ------------------------------------------------------------------------------------

    def accepted(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        answer = self.account.service(Request(operation=operation, parameters=parameters))
        self.observe()
        return answer

    def refused(self, operation: str, **parameters: Any) -> str:
        """What is said to a call that is refused."""
        try:
            self.account.service(Request(operation=operation, parameters=parameters))
        except ApiError as error:
            return error.message
        raise AssertionError(f"{operation} {parameters} was accepted")

    def run(self, seconds: float) -> None:
        end = self.account.clock() + timedelta(seconds=seconds)
        while self.account.clock.next_at is not None and self.account.clock.next_at <= end:
            self.account.clock.step()
            self.observe()
        self.account.clock.run_until(end)

    def a_group(self, index: int) -> str | None:
        """The name of some group that is there."""
        names = sorted(self.fleet.groups)
        return names[index % len(names)] if names else None

    def an_instance(self, index: int) -> Instance | None:
        """Some instance that is there."""
        return self.status[index % len(self.status)] if self.status else None

    def an_open_wait(self, index: int) -> Wait | None:
        """Some action that is open."""
        return self.open[index % len(self.open)] if self.open else None

    # -- rules: groups ----------------------------------------------------------------------------

    @initialize(
        hooks=some_hooks,
        desired=st.integers(1, 3),
        retains=st.booleans(),
        has_pool=st.booleans(),
        pace_s=st.sampled_from([0.0, 0.3, 0.7, 1.6]),
    )
    def begin(
        self, hooks: dict[str, ModelHook], desired: int, retains: bool, has_pool: bool, pace_s: float
    ) -> None:
        self.account.outside.targets[QUEUE] = lambda _: None
        self.pace_s = pace_s
        self.create("red", hooks, desired, retains)
        if has_pool:
            self.put_pool(0, least=0, prepared=-1, reuse=True, state="Stopped")
        self.run(2)

    @rule(
        name=st.sampled_from(GROUPS),
        hooks=some_hooks,
        desired=sizes,
        retains=st.booleans(),
    )
    def create(self, name: str, hooks: dict[str, ModelHook], desired: int, retains: bool) -> None:
        asked = {
            "AutoScalingGroupName": name,
            "MinSize": 0,
            "MaxSize": 3,
            "DesiredCapacity": desired,
            "TargetGroupARNs": [TARGET_GROUP],
            **ANY_SOURCE,
            "InstanceLifecyclePolicy": policy(retains=retains),
            "LifecycleHookSpecificationList": [
                hook_parameters(hook, None) | {"LifecycleHookName": hook_name}
                for hook_name, hook in hooks.items()
            ],
        }
        if name in self.model:
            self.refused("CreateAutoScalingGroup", **asked)
            return
        self.model[name] = ModelGroup(
            min_size=0, max_size=3, desired=desired, retains=retains, hooks=dict(hooks)
        )
        self.accepted("CreateAutoScalingGroup", **asked)

    @rule(index=any_index, least=sizes, most=sizes, desired=st.none() | sizes)
    def update(self, index: int, least: int, most: int, desired: int | None) -> None:
        name = self.a_group(index)
        if name is None:
            return
        group = self.model[name]
        wanted = min(max(group.desired, least), most) if desired is None else desired
        asked = {"AutoScalingGroupName": name, "MinSize": least, "MaxSize": most}
        asked |= {} if desired is None else {"DesiredCapacity": desired}
        if not least <= wanted <= most:
            self.refused("UpdateAutoScalingGroup", **asked)
            return
        group.min_size, group.max_size, group.desired = least, most, wanted
        group.most = len(self.fleet.groups[name].counting)
        self.accepted("UpdateAutoScalingGroup", **asked)

    @rule(index=any_index, desired=sizes)
    def set_desired(self, index: int, desired: int) -> None:
        name = self.a_group(index)
        if name is None:
            return
        group, asked = self.model[name], {"AutoScalingGroupName": name, "DesiredCapacity": desired}
        if group.min_size <= desired <= group.max_size:
            group.desired = desired
            self.accepted("SetDesiredCapacity", **asked)
        else:
            self.refused("SetDesiredCapacity", **asked)

    @rule(index=any_index, retains=st.booleans())
    def change_policy(self, index: int, retains: bool) -> None:
        name = self.a_group(index)
        if name is not None:
            self.model[name].retains = retains
            asked = {"AutoScalingGroupName": name, "InstanceLifecyclePolicy": policy(retains=retains)}
            self.accepted("UpdateAutoScalingGroup", **asked)

    @rule(index=any_index, process=st.sampled_from(PROCESSES), suspends=st.booleans())
    def suspend_or_resume(self, index: int, process: str, suspends: bool) -> None:
        name = self.a_group(index)
        if name is not None:
            suspended = self.model[name].suspended
            self.model[name].suspended = suspended | {process} if suspends else suspended - {process}
            operation = "SuspendProcesses" if suspends else "ResumeProcesses"
            self.accepted(operation, AutoScalingGroupName=name, ScalingProcesses=[process])

    @rule(index=any_index, force=st.booleans(), really=st.integers(0, 4))
    def delete(self, index: int, force: bool, really: int) -> None:
        name = self.a_group(index)
        if name is None or really != 4:  # now and then only, so that days are long
            return
        group, status = self.model[name], any(one.group == name for one in self.status)
        asked = {"AutoScalingGroupName": name, "ForceDelete": force}
        if (force and group.retains) or (not force and status):
            self.refused("DeleteAutoScalingGroup", **asked)
            return
        group.min_size = group.max_size = group.desired = 0
        group.deleting, group.most = True, len(self.fleet.groups[name].counting)
        self.accepted("DeleteAutoScalingGroup", **asked)

    @rule(index=any_index, strategy=st.sampled_from(["Rolling", "ReplaceRootVolume"]))
    def refresh(self, index: int, strategy: str) -> None:
        name = self.a_group(index)
        if name is None:
            return
        asked = {"AutoScalingGroupName": name, "Strategy": strategy}
        if self.fleet.groups[name].refresh is not None:
            assert "already in progress" in self.refused("StartInstanceRefresh", **asked)
        else:
            self.accepted("StartInstanceRefresh", **asked)

    @rule(index=any_index, waits=st.booleans())
    def cancel_refresh(self, index: int, waits: bool) -> None:
        name = self.a_group(index)
        if name is not None and self.fleet.groups[name].refresh is not None:
            asked = {"AutoScalingGroupName": name, "WaitForTransitioningInstances": waits}
            self.accepted("CancelInstanceRefresh", **asked)

    # -- rules: hooks -----------------------------------------------------------------------------

    @rule(index=any_index, name=st.sampled_from(HOOKS), hook=hooks_drawn, has_target=st.booleans())
    def put_hook(self, index: int, name: str, hook: ModelHook, has_target: bool) -> None:
        group = self.a_group(index)
        if group is None:
            return
        asked = hook_parameters(hook, QUEUE if has_target else None)
        asked |= {"AutoScalingGroupName": group, "LifecycleHookName": name}
        if has_target and QUEUE not in self.account.outside.targets:
            assert "Unable to publish test message" in self.refused("PutLifecycleHook", **asked)
            return
        self.model[group].hooks[name] = hook
        self.accepted("PutLifecycleHook", **asked)

    @rule(index=any_index, name=st.sampled_from(HOOKS))
    def delete_hook(self, index: int, name: str) -> None:
        group = self.a_group(index)
        if group is None:
            return
        asked = {"AutoScalingGroupName": group, "LifecycleHookName": name}
        if name not in self.model[group].hooks:
            self.refused("DeleteLifecycleHook", **asked)
            return
        held = [wait for wait in self.open if (wait.group, wait.hook) == (group, name)]
        del self.model[group].hooks[name]
        self.accepted("DeleteLifecycleHook", **asked)
        for wait in held:
            assert not wait.is_open

    @rule(present=st.booleans())
    def change_target(self, present: bool) -> None:
        self.account.outside.targets.clear()
        if present:
            self.account.outside.targets[QUEUE] = lambda _: None

    # -- rules: instances -------------------------------------------------------------------------

    @rule(index=any_index, decrement=st.booleans())
    def terminate(self, index: int, decrement: bool) -> None:
        instance = self.an_instance(index)
        if instance is None:
            return
        group = self.model[instance.group]
        asked = {"InstanceId": instance.id, "ShouldDecrementDesiredCapacity": decrement}
        reaches_below = decrement and instance.counts and group.desired <= group.min_size
        if instance.is_of_pool or (instance.is_retained and decrement) or reaches_below:
            self.refused("TerminateInstanceInAutoScalingGroup", **asked)
            return
        if decrement and instance.counts:
            group.desired -= 1
        activity = self.accepted("TerminateInstanceInAutoScalingGroup", **asked)["Activity"]
        assert instance.move is not None
        assert activity["ActivityId"] == instance.move.activity.id
        assert instance.move.kind.destination == "EC2"

    @rule(index=any_index, status=st.sampled_from(["Healthy", "Unhealthy"]))
    def set_health(self, index: int, status: str) -> None:
        instance = self.an_instance(index)
        if instance is not None:
            self.accepted("SetInstanceHealth", InstanceId=instance.id, HealthStatus=status)

    @rule(index=any_index)
    def ec2_ends(self, index: int) -> None:
        instance = self.an_instance(index)
        if instance is not None:
            self.fleet.ec2_terminated(instance.id)
            assert all(wait.is_open for wait in self.open)  # 2.5

    @rule(index=any_index, protected=st.booleans())
    def protect(self, index: int, protected: bool) -> None:
        instance = self.an_instance(index)
        if instance is not None:
            asked = {"AutoScalingGroupName": instance.group, "InstanceIds": [instance.id]}
            self.accepted("SetInstanceProtection", **asked, ProtectedFromScaleIn=protected)

    # -- rules: warm pools ------------------------------------------------------------------------

    @rule(
        index=any_index,
        least=st.integers(0, 2),
        prepared=st.sampled_from([-1, 0, 2, 4]),
        reuse=st.booleans(),
        state=st.sampled_from(["Stopped", "Running", "Hibernated"]),
    )
    def put_pool(self, index: int, least: int, prepared: int, reuse: bool, state: str) -> None:
        name = self.a_group(index)
        if name is None:
            return
        pool = self.fleet.groups[name].pool
        asked = {
            "AutoScalingGroupName": name,
            "MinSize": least,
            "MaxGroupPreparedCapacity": prepared,
            "PoolState": state,
            "InstanceReusePolicy": {"ReuseOnScaleIn": reuse},
        }
        if pool is not None and pool.deleting:
            self.refused("PutWarmPool", **asked)
        else:
            self.accepted("PutWarmPool", **asked)

    @rule(index=any_index, force=st.booleans())
    def delete_pool(self, index: int, force: bool) -> None:
        name = self.a_group(index)
        if name is None:
            return
        warm = any(one.group == name and "Warmed" in one.state for one in self.status)
        asked = {"AutoScalingGroupName": name, "ForceDelete": force}
        if self.fleet.groups[name].pool is None or (warm and not force):
            self.refused("DeleteWarmPool", **asked)
        else:
            self.accepted("DeleteWarmPool", **asked)

    # -- rules: lifecycle actions -----------------------------------------------------------------

    @rule(index=any_index, by_token=st.booleans(), result=mostly_continue)
    def complete(self, index: int, by_token: bool, result: str) -> None:
        wait = self.an_open_wait(index)
        if wait is not None:
            self.accepted("CompleteLifecycleAction", **named(wait, by_token), LifecycleActionResult=result)
            assert (wait.result, wait.ended_at) == (result, self.account.clock())

    @rule(result=mostly_continue)
    def complete_all(self, result: str) -> None:
        for wait in list(self.open):
            if wait.is_open:  # an ABANDON ends its neighbours
                asked = named(wait, by_token=True)
                self.accepted("CompleteLifecycleAction", **asked, LifecycleActionResult=result)
        assert self.open == []

    @rule(index=any_index, by_token=st.booleans())
    def beat(self, index: int, by_token: bool) -> None:
        wait = self.an_open_wait(index)
        if wait is not None:
            beaten = self.account.clock() + wait.heartbeat_timeout
            self.deadlines[wait.token] = min(beaten, global_end(wait))
            self.accepted("RecordLifecycleActionHeartbeat", **named(wait, by_token))

    @rule(index=any_index, other=st.sampled_from(["token", "hook", "group"]))
    def name_no_action(self, index: int, other: str) -> None:
        wait = self.an_open_wait(index)
        if wait is None:
            return
        wrong = {
            "token": {"LifecycleActionToken": wait.token[::-1]},
            "hook": {"LifecycleHookName": f"{wait.hook}x"},
            "group": {"AutoScalingGroupName": f"{wait.group}x"},
        }[other]
        asked = named(wait, by_token=True) | wrong
        said = f"No active Lifecycle Action found with token {asked['LifecycleActionToken']}"
        assert self.refused("RecordLifecycleActionHeartbeat", **asked) == said
        assert self.refused("CompleteLifecycleAction", **asked, LifecycleActionResult="CONTINUE") == said
        assert wait.is_open

    @precondition(lambda self: not self.has_held)
    @rule(index=any_index)
    def hold_to_the_global_end(self, index: int) -> None:
        wait = self.an_open_wait(index)
        if wait is None or wait.heartbeat_timeout > timedelta(seconds=30):
            return
        self.has_held = True
        for name in self.model:  # launches that are abandoned again and again make it a long day
            self.suspend_or_resume(sorted(self.model).index(name), "Launch", suspends=True)
        while wait.is_open:
            self.deadlines[wait.token] = min(self.account.clock() + wait.heartbeat_timeout, global_end(wait))
            self.accepted("RecordLifecycleActionHeartbeat", **named(wait, by_token=True))
            self.run(28)

    @rule(seconds=st.sampled_from([0.2, 0.6, 1.1, 2.5, 7]))
    def a_moment_passes(self, seconds: float) -> None:
        self.run(seconds)

    @rule(seconds=st.sampled_from([31, 70]))
    def a_heartbeat_timeout_passes(self, seconds: float) -> None:
        self.run(seconds)

    # -- watching ---------------------------------------------------------------------------------

    def observe(self) -> None:
        """Take in what is new, and check what must hold at every moment in between too."""
        for name, group in self.fleet.groups.items():
            self._observe_group(name, group)
        for name in [name for name in self.model if name not in self.fleet.groups]:
            assert self.model.pop(name).deleting, f"{name} is gone without a word"
        for instance in self.status:
            self._observe_states(instance)
            for wait in self.fleet.waits.of_instance(instance.id):
                if wait.token not in self.waits:
                    self._begun(wait)
        self.status = [one for one in self.status if one.state]
        for wait in self.open:
            if not wait.is_open:
                self._has_ended(wait)
        self.open = [wait for wait in self.open if wait.is_open]

    def _observe_group(self, name: str, group: Group) -> None:
        for activity in group.activities:
            self.activities.setdefault(activity.id, activity)
        for instance in group.instances.values():
            if instance.id not in self.instances:
                self.instances[instance.id] = instance
                self.status.append(instance)
            if instance.move is not None:
                self.kinds[instance.move.activity.id] = instance.move.kind.name
        model, counting = self.model[name], len(group.counting)
        assert counting <= max(model.max_size, model.most), "more instances than the group may have"
        model.most = min(model.most, counting)

    def _observe_states(self, instance: Instance) -> None:
        read = self.edges_read[instance.id]
        for (since, before), (until, after) in pairwise(instance.states[read:]):
            assert since <= until
            assert (after or "") in EDGES[before or ""], f"{instance.id}: {before} to {after}"
        self.edges_read[instance.id] = len(instance.states) - 1

    def _begun(self, wait: Wait) -> None:
        self.waits[wait.token] = wait
        self.open.append(wait)
        self.deadlines[wait.token] = min(wait.started_at + wait.heartbeat_timeout, global_end(wait))
        assert wait.started_at == self.account.clock()
        hook = self.model[wait.group].hooks[wait.hook]
        assert hook == ModelHook(
            transition=wait.transition, timeout=wait.heartbeat_timeout, default=wait.default_result
        )

    def _has_ended(self, wait: Wait) -> None:
        self.ended[wait.token] = (wait.ended_at, wait.result, wait.ended_by)
        said = f"No active Lifecycle Action found with token {wait.token}"
        asked = named(wait, by_token=True)
        for operation, result in (
            ("RecordLifecycleActionHeartbeat", {}),
            ("CompleteLifecycleAction", {"LifecycleActionResult": "ABANDON"}),
        ):
            assert self.refused(operation, **asked, **result) == said

    @invariant()
    def time_passes(self) -> None:
        """Not a check: what follows every rule, at the pace of the day."""
        self.run(self.pace_s)

    # -- what holds -------------------------------------------------------------------------------

    @invariant()
    def every_instance_is_in_one_group_and_in_a_state_of_the_api(self) -> None:
        at_home = Counter(one.id for group in self.fleet.groups.values() for one in group.instances.values())
        for instance in self.status:
            assert at_home[instance.id] == 1
            assert instance.id in self.fleet.groups[instance.group].instances
            assert instance.state in STATES

    @invariant()
    def no_open_action_outlives_its_instance_or_its_group(self) -> None:
        for wait in self.open:
            instance = self.fleet.groups[wait.group].instances[wait.instance_id]
            assert instance.move is not None
            assert wait in instance.move.waits
            assert instance.state == PLACES[wait.transition, wait.origin or "", wait.destination or ""]

    @invariant()
    def every_instance_in_a_wait_has_an_open_action(self) -> None:
        held = {wait.instance_id for wait in self.open}
        for instance in self.status:
            if instance.state.endswith(":Wait"):
                assert instance.move is not None
                just_abandoned = instance.move.activity.status == "Cancelled"  # its end is on its way
                assert instance.id in held or just_abandoned

    @invariant()
    def an_end_does_not_change(self) -> None:
        for wait in self.waits.values():
            if not wait.is_open:
                assert (wait.ended_at, wait.result, wait.ended_by) == self.ended[wait.token]

    @invariant()
    def a_token_is_given_once(self) -> None:
        tokens = [wait.token for one in self.instances for wait in self.fleet.waits.of_instance(one)]
        assert len(tokens) == len(set(tokens)) == len(self.waits)

    @invariant()
    def an_expiry_is_never_early_and_never_late(self) -> None:
        now = self.account.clock()
        for wait in self.waits.values():
            deadline = self.deadlines[wait.token]
            if wait.is_open:
                assert wait.expires_at == deadline
                assert now <= deadline + MOST_LATE
            elif wait.ended_by in (EndedBy.HEARTBEAT_TIMEOUT, EndedBy.GLOBAL_TIMEOUT):
                assert wait.ended_at is not None
                assert deadline <= wait.ended_at <= deadline + MOST_LATE
                assert wait.result == wait.default_result

    @invariant()
    def no_heartbeat_passes_the_global_end(self) -> None:
        for wait in self.waits.values():
            assert wait.expires_at <= global_end(wait)
            assert (wait.ended_by == EndedBy.GLOBAL_TIMEOUT) <= (wait.expires_at == global_end(wait))

    @invariant()
    def an_activity_is_whole_and_belongs_to_a_move(self) -> None:
        going_on = {one.move.activity.id for one in self.status if one.move}
        for activity in self.activities.values():
            assert activity.status in STATUSES
            assert (activity.progress == 100) == (activity.ended_at is not None)
            if activity.ended_at is None:
                assert activity.id in going_on
                assert activity.group in self.fleet.groups
            else:
                assert activity.started_at <= activity.ended_at
                assert activity.status in ("Successful", "Cancelled")

    @invariant()
    def the_bus_is_told_of_each_action_once_and_of_each_end_that_has_an_event(self) -> None:
        for event in self.account.outside.events[self.events_read :]:
            detail = event["detail"]
            if "InstanceRefreshId" in detail:
                continue
            self.told[detail.get("LifecycleActionToken") or detail["ActivityId"]] += 1
        self.events_read = len(self.account.outside.events)
        for token in self.waits:
            assert self.told[token] == 1
        for activity in self.activities.values():
            assert self.told[activity.id] == int(self._is_told(activity)), activity
        assert set(self.told) <= {*self.waits, *self.activities}

    def _is_told(self, activity: Activity) -> bool:
        """Whether the end of an activity is an event."""
        kind, said = self.kinds.get(activity.id), activity.message or ""
        if activity.status == "Successful":
            return kind != moves.REPLACE_ROOT_VOLUME.name  # its second half tells (2.9)
        retained = kind in (moves.TERMINATE.name, moves.TERMINATE_FROM_POOL.name)
        silent = retained and said.endswith("Heartbeat Timeout")  # 9.3
        return activity.status == "Cancelled" and bool(said) and not silent

    @invariant()
    def the_load_balancer_has_what_is_in_service(self) -> None:
        log = self.account.outside.registered
        for what, instance_id in log[self.registrations_read :]:
            if what == "register":
                self.balancer.add(instance_id)
            else:
                self.balancer.discard(instance_id)
        self.registrations_read = len(log)
        assert self.balancer == {one.id for one in self.status if one.state == "InService"}

    @invariant()
    def instances_are_described_as_they_are(self) -> None:
        shown = self.accepted("DescribeAutoScalingInstances")["AutoScalingInstances"]
        assert {(one["InstanceId"], one["AutoScalingGroupName"], one["LifecycleState"]) for one in shown} == {
            (one.id, one.group, one.state) for one in self.status
        }

    @invariant()
    def groups_are_described_as_they_were_asked_for(self) -> None:
        shown = {
            one["AutoScalingGroupName"]: one
            for one in self.accepted("DescribeAutoScalingGroups")["AutoScalingGroups"]
        }
        assert set(shown) == set(self.model)
        for name, group in self.model.items():
            described = shown[name]
            assert [described[size] for size in ("MinSize", "MaxSize", "DesiredCapacity")] == [
                group.min_size,
                group.max_size,
                group.desired,
            ]
            assert described["Status"] == ("Delete in progress" if group.deleting else None)
            assert {one["ProcessName"] for one in described["SuspendedProcesses"]} == group.suspended
            assert described["InstanceLifecyclePolicy"] == policy(retains=group.retains)
            in_group = {one.id for one in self.status if one.group == name and "Warmed" not in one.state}
            assert {one["InstanceId"] for one in described["Instances"]} == in_group

    @invariant()
    def hooks_are_described_as_they_were_put(self) -> None:
        for name, group in self.model.items():
            shown = self.accepted("DescribeLifecycleHooks", AutoScalingGroupName=name)["LifecycleHooks"]
            described = {
                one["LifecycleHookName"]: ModelHook(
                    transition=one["LifecycleTransition"].rpartition("_")[2].lower(),
                    timeout=timedelta(seconds=one["HeartbeatTimeout"]),
                    default=one["DefaultResult"],
                )
                for one in shown
            }
            assert described == group.hooks
            for one in shown:
                assert one["GlobalTimeout"] == min(172_800, 100 * one["HeartbeatTimeout"])

    # -- left alone -------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Left alone, and with every action completed, each group comes to what was asked for."""
        for name in sorted(self.fleet.groups):
            self.accepted("ResumeProcesses", AutoScalingGroupName=name)
            ids = [one.id for one in self.status if one.group == name]
            asked = {"AutoScalingGroupName": name, "InstanceIds": ids, "ProtectedFromScaleIn": False}
            if ids:
                self.accepted("SetInstanceProtection", **asked)
            self.model[name].suspended = set()
        self.change_target(present=True)
        end = self.account.clock() + timedelta(seconds=SETTLED_AFTER_S)
        while self.account.clock() < end:
            self.complete_all("CONTINUE")
            self.run(1)
        for name, group in self.fleet.groups.items():
            self._has_settled(group, self.model[name])
        before = [(one.id, one.states[-1]) for one in self.status]
        self.run(3600)
        assert [(one.id, one.states[-1]) for one in self.status] == before

    def _has_settled(self, group: Group, model: ModelGroup) -> None:
        assert group.refresh is None
        assert not model.deleting, f"{group.name} should be gone"
        status = [one for one in self.status if one.group == group.name and not one.is_retained]
        in_service = [one for one in status if one.state == "InService"]
        assert len(in_service) == model.desired
        assert all(one.healthy for one in in_service)
        assert {one.state for one in status} <= {"InService", *IN_POOL}
        pool, warm = group.pool, len(status) - len(in_service)
        if pool is None:
            assert warm == 0
        else:
            prepared = model.max_size if pool.max_prepared is None else pool.max_prepared
            assert warm == max(pool.min_size, prepared - model.desired)


def named(wait: Wait, by_token: bool) -> dict[str, str]:
    """The parameters that name an action."""
    which = {"LifecycleActionToken": wait.token} if by_token else {"InstanceId": wait.instance_id}
    return {"AutoScalingGroupName": wait.group, "LifecycleHookName": wait.hook} | which


def global_end(wait: Wait) -> datetime:
    """The end that no heartbeat passes (2.1), by the model."""
    return wait.started_at + min(LONGEST, 100 * wait.heartbeat_timeout)


TestDay = Day.TestCase
TestDay.settings = examples(40, stateful_step_count=50)
