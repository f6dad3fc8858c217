"""Deploys that take hooks out, rename them and bring them back, while instances wait: no wait ends by one.

Each scene begins where the one before it ended. The emulator cannot refuse what CloudFormation refuses
of exports in use; no export is taken away here (tests/infra/test_hooks.py).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.e2e.deployed.by_hand import RolledBack, delete, deploy
from tests.e2e.deployed.stack import Stack, make_group
from tests.e2e.polling import until
from usher.core.action import Outcome, Result
from usher_local.account import Setup, open_account

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from usher_local.account import Account

TAG: Final = {"Key": "team", "Value": "batch"}
POLICIES: Final = {
    "arrive": {"until": [{"signal": "go"}], "give_up_after": "10h"},
    "leave": {"until": [{"signal": "left"}], "give_up_after": "10h"},
}
WITHIN_S: Final = 150
A_DEPLOY_S: Final = 300
A_PASS_S: Final = 16  # of the enrolment, after which the next one may delete what this one saw quiet


def launching(name: str, group: object, **changes: Any) -> dict[str, Any]:
    hook = {"name": name, "group": group, "transition": "launching", "heartbeat_timeout": "10m"}
    return {**hook, "policy": "arrive", **changes}


def terminating(name: str, group: object) -> dict[str, Any]:
    return launching(name, group, transition="terminating", policy="leave")


def both(group: object) -> list[dict[str, Any]]:
    return [launching("in", group), terminating("out", group)]


OURS: Final = ("web", "api", "own", "jobs-1", "jobs-2", "tagged")
OF_TAGS: Final = launching("in", {"tags": {TAG["Key"]: TAG["Value"]}})
FIRST: Final = [*both("web"), *both("api"), *both("own"), *both("jobs-*"), OF_TAGS, *both("doomed")]


class Deploys:
    """An account, and files deployed into it one after the other."""

    def __init__(self, account: Account) -> None:
        self.stack = Stack(account=account, table="", inbox_url="", inbox_arn="")
        self.hook_role_arn = ""
        self.so_far = 0  # of IAM's decisions, those that no test asks about

    def deploy(self, *hooks: dict[str, Any], own_groups: tuple[str, ...] = ()) -> None:
        file = {"version": 1, "policies": POLICIES, "hooks": hooks}
        outputs = deploy(self.stack.account, file, own_groups=own_groups)
        self.hook_role_arn = outputs["HookRoleArn"]
        self.stack = Stack.of(self.stack.account, outputs)

    def status(self) -> str:
        """Of the stack."""
        found = self.stack.account.client("cloudformation").describe_stacks(StackName="Usher")["Stacks"]
        return str(found[0]["StackStatus"])

    def roles(self) -> set[str]:
        """Their names, as the stack has them now."""
        found = self.stack.account.client("cloudformation").describe_stack_resources(StackName="Usher")
        resources = found["StackResources"]
        return {each["PhysicalResourceId"] for each in resources if each["ResourceType"] == "AWS::IAM::Role"}

    def put_on_tagged(self) -> None:
        """As the sweep would put it."""
        self.stack.auto_scaling.put_lifecycle_hook(
            AutoScalingGroupName="tagged",
            LifecycleHookName="in",
            LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
            HeartbeatTimeout=600,
            NotificationTargetARN=self.stack.inbox_arn,
            RoleARN=self.hook_role_arn,
        )

    def launch(self, group: str) -> str:
        """An instance that waits in the launch hook of a group."""
        instance = self.stack.launch(group)
        self.stack.reaches(group, instance, "Pending:Wait")
        return instance

    def launch_with(self, group: str, hook: str) -> str:
        """Likewise, one that begins as soon as a hook stands that is about to be put."""
        until(lambda: hook in self.stack.hooks(group), within_s=A_DEPLOY_S)
        return self.launch(group)

    def leave(self, group: str) -> str:
        """One that waits in its termination hook."""
        instance = self.launch(group)
        self.ends_well(group, instance)
        self.stack.resize(group, 0)
        self.stack.reaches(group, instance, "Terminating:Wait")
        self.stack.recorded(instance, "out")
        return instance

    def ends_well(self, group: str, instance: str, hook: str = "in") -> None:
        """It waits still, and ends when its policy says so."""
        signal = "left" if hook == "out" else "go"
        waits = "Terminating:Wait" if hook == "out" else "Pending:Wait"
        assert self.stack.instances(group)[instance] == waits
        assert self.stack.recorded(instance, hook).is_open
        self.stack.signal(instance, signal)
        action = self.stack.closed(instance, hook)
        assert (action.outcome, action.result) == (Outcome.COMPLETED, Result.CONTINUE)
        assert action.reason == f"done: signal {signal} says done"
        if hook != "out":
            self.stack.reaches(group, instance, "InService")

    def on_their_way_out(self) -> set[tuple[str, str]]:
        """The hooks, by group and name."""
        return {item.key for item in self.stack.items.enrolled() if item.is_retiring}

    def fallen(self, *held: Mapping[str, str]) -> dict[str, str]:
        """Of these instances, by group, those that do not wait any more, with their states."""
        pairs = [(group, instance) for each in held for group, instance in each.items()]
        found = {instance: self.stack.instances(group).get(instance, "gone") for group, instance in pairs}
        return {instance: state for instance, state in found.items() if not state.endswith(":Wait")}

    def only_has(self, every_s: float = A_PASS_S, **left: list[str]) -> None:
        """The groups have these hooks left and no other, after a few passes of the enrolment."""
        until(lambda: self.stack.swept() and self._are_there(left), within_s=WITHIN_S, every_s=every_s)

    def _are_there(self, left: dict[str, list[str]]) -> bool:
        return all(self.stack.hooks(group.replace("_", "-")) == hooks for group, hooks in left.items())


@pytest.fixture(scope="module")
def deploys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploys]:
    with open_account(Setup(auth=True, logs=tmp_path_factory.mktemp("account"))) as account:
        for group in (*OURS, "doomed", "theirs"):
            make_group(account, group)
        account.client("autoscaling").create_or_update_tags(Tags=[_tag("tagged")])
        yield Deploys(account)


def _tag(group: str) -> dict[str, Any]:
    return {"ResourceId": group, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": False, **TAG}


@pytest.fixture(scope="module")
def theirs(deploys: Deploys) -> str:
    """An instance that waits in a hook that someone else put."""
    stack = deploys.stack
    stack.auto_scaling.put_lifecycle_hook(
        AutoScalingGroupName="theirs",
        LifecycleHookName="in",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        HeartbeatTimeout=3600,
    )
    stack.resize("theirs", 1)
    instance = stack.launched("theirs")
    stack.reaches("theirs", instance, "Pending:Wait")
    return instance


def test_a_first_deploy_that_rolls_back_changes_no_hook_and_ends_no_wait(
    deploys: Deploys, theirs: str
) -> None:
    """A group is not there, so not even the first hook is put.

    CloudFormation asks for the release then, and the emulator does not: tests/simulation/test_provision.py.
    """
    with pytest.raises(RolledBack, match="groups that do not exist: nowhere"):
        deploys.deploy(*both("web"), *both("nowhere"))
    assert deploys.status() == "ROLLBACK_COMPLETE"
    assert deploys.stack.hooks("web") == []
    assert deploys.stack.hooks("theirs") == ["in"]
    assert deploys.stack.instances("theirs") == {theirs: "Pending:Wait"}


def test_a_deploy_answers_when_the_hooks_that_it_names_stand(deploys: Deploys) -> None:
    """The emulator's IAM sees no tags of groups, so that hook is put by hand. Notifying us makes it ours."""
    delete(deploys.stack.account)  # as the CDK does where a first deploy was rolled back
    deploys.deploy(*FIRST)
    # The stack that was rolled back took the rights of a sweep that was under way, and the emulator gives
    # the roles of this one the same names.
    deploys.so_far = len(deploys.stack.decided())
    assert [deploys.stack.hooks(group) for group in ("web", "api", "own")] == [["in", "out"]] * 3
    deploys.put_on_tagged()
    deploys.only_has(every_s=4, jobs_1=["in", "out"], jobs_2=["in", "out"], tagged=["in"])
    assert ("tagged", "in") in {item.key for item in deploys.stack.items.enrolled()}


@pytest.fixture(scope="module")
def arriving(deploys: Deploys) -> dict[str, str]:
    """An instance of each group, which waits in its launch hook."""
    return {group: deploys.launch(group) for group in OURS}


@pytest.fixture(scope="module")
def leaving(deploys: Deploys) -> dict[str, str]:
    """One that waits in its termination hook."""
    return {group: deploys.leave(group) for group in OURS if group != "tagged"}


def test_a_deploy_that_fails_half_way_brings_the_former_file_back_and_ends_no_wait(
    deploys: Deploys, theirs: str, leaving: dict[str, str], arriving: dict[str, str]
) -> None:
    """Hooks were taken out, one was renamed, before someone else's was met.

    The former file names a group that has gone meanwhile.
    """
    deploys.stack.auto_scaling.delete_auto_scaling_group(AutoScalingGroupName="doomed")
    renamed = [launching("other", "api"), terminating("out", "api")]
    with pytest.raises(RolledBack, match="someone else put a hook of this name"):
        deploys.deploy(*renamed, *both("own"), *both("jobs-*"), OF_TAGS, launching("in", "theirs"))
    assert deploys.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert deploys.stack.hooks("api") == ["in", "other", "out"]
    assert deploys.on_their_way_out() == {("api", "other")}
    assert deploys.stack.swept()
    assert deploys.fallen(leaving, arriving, {"theirs": theirs}) == {}


def test_no_deploy_ends_a_wait_and_the_hooks_go_when_nobody_waits(
    deploys: Deploys, leaving: dict[str, str], arriving: dict[str, str]
) -> None:
    """The hooks of one group are taken out, one is renamed, a glob is narrowed, a group holds its own now.

    A launch that enters the old name during the rename is finished under its policy.
    """
    renamed = [launching("new", "api"), terminating("out", "api")]
    with ThreadPoolExecutor(max_workers=1) as beside:
        entering = beside.submit(deploys.launch_with, "api", "new")
        deploys.deploy(*renamed, *both("own"), *both("jobs-1*"), OF_TAGS, own_groups=("own",))
    under_both = entering.result()
    assert deploys.stack.hooks("api") == ["in", "new", "other", "out"]
    assert [deploys.stack.hooks(group) for group in ("web", "own", "jobs-2")] == [["in", "out"]] * 3
    late = deploys.launch("web")
    deploys.stack.auto_scaling.delete_tags(Tags=[_tag("tagged")])
    until(
        lambda: deploys.stack.swept() and ("tagged", "in") in deploys.on_their_way_out(),
        within_s=WITHIN_S,
        every_s=4,
    )
    assert deploys.fallen(leaving, arriving, {"web": late}, {"api": under_both}) == {}
    deploys.ends_well("web", late)
    deploys.ends_well("api", under_both)
    for group in OURS:
        deploys.ends_well(group, arriving[group])
    for group, instance in leaving.items():
        deploys.ends_well(group, instance, "out")
    in_and_out = ["in", "out"]
    deploys.only_has(web=[], api=["new", "out"], own=in_and_out, jobs_1=in_and_out, jobs_2=[], tagged=[])


def test_the_last_hook_taken_out_ends_no_wait_and_one_that_is_brought_back_holds_as_before(
    deploys: Deploys,
) -> None:
    """It comes back, by a deploy, before it went: an instance waits in it."""
    held = deploys.launch("jobs-1")
    deploys.deploy(own_groups=("own",))
    assert deploys.on_their_way_out() >= {("jobs-1", "in"), ("jobs-1", "out")}
    assert deploys.fallen({"jobs-1": held}) == {}
    deploys.deploy(launching("in", "jobs-1"), own_groups=("own",))
    assert ("jobs-1", "in") not in deploys.on_their_way_out()
    late = deploys.launch("jobs-1")
    assert deploys.fallen({"jobs-1": held}) == {}
    for instance in (held, late):
        deploys.ends_well("jobs-1", instance)
    deploys.only_has(jobs_1=["in"], api=[], own=["in", "out"])


def test_no_role_was_refused_anything(deploys: Deploys) -> None:
    """Since the stack stands."""
    status = deploys.roles()
    decided = [each for each in deploys.stack.decided(deploys.so_far) if each.role in status]
    assert {each.role for each in decided} >= {role for role in status if "SweepRole" in role}
    assert {(each.role, each.action) for each in decided if each.decision != "Allow"} == set()
