"""`usher plan`: what a hooks file would enrol, change or retire."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from moto import mock_aws

from tests.factories import an_action, at, hook_terms
from tests.memory_account import MemoryStack, UnreadableStore
from tests.simulation.enrolment_scene import INBOX, ROLE, a_hook
from tests.unit.test_account import client, deploy
from tests.unit.test_ownership import ITEM
from usher.aws.enrolled import EnrolledHooks
from usher.aws.groups import GroupsApi
from usher.aws.waiting import WaitingApi
from usher.core import configuration
from usher.core.compiled import Compiled, InEffect, compiled
from usher.core.file_versions import NO_VERSION
from usher.core.hook_items import FileInForce, GroupSeen
from usher.core.policy import Move
from usher.core.wanted_hooks import Wanted
from usher.passes.enrolment import INTERVAL
from usher.ports.errors import TryLater
from usher.ports.records import Raw
from usher_cli.plan.abandon import Abandoning, abandoning
from usher_cli.plan.enrolment_times import Pace
from usher_cli.plan.steps import Known, Live, Plan, Step, lost_permissions, plan, targets
from usher_hooksfile import load
from usher_simulator.autoscaling.account import an_account
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.query_protocol import ApiError
from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks
from usher_simulator.fakes.parts import enrolment_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from click.testing import Result

    from usher_simulator.autoscaling.query_protocol import Request

POLICIES: Final = {"p": {"until": []}, "asks": {"until": [{"instance_status": "ok"}]}}
OUTPUTS: Final = {"InboxArn": INBOX, "HookRoleArn": ROLE, "EnrolmentsPerHour": "50", "CallsPerSecond": "10"}


ONLY_ENDS: Final = "ABANDON ends the instance as CONTINUE does, and its other hooks at once."


class Scene:
    """An account of simulated Auto Scaling in which Usher runs."""

    def __init__(self, *groups: str) -> None:
        self.account = an_account(at(0))
        self.clock = self.account.clock
        for arn in (INBOX, "arn:aws:sns:us-east-1:111122223333:topic"):
            self.account.outside.targets[arn] = lambda _: None
        self.records = MemoryEnrolledHooks(self.clock, 50)
        self.store = UnreadableStore(self.clock)
        self.api = GroupsApi(self.account.client)
        for group in groups:
            self.account.client.create_auto_scaling_group(
                AutoScalingGroupName=group, MinSize=0, MaxSize=9, **ANY_SOURCE
            )

    def file(self, *hooks: Mapping[str, Any]) -> Compiled:
        return compiled({"version": 1, "policies": POLICIES, "hooks": list(hooks)})

    def wanted(self, *hooks: Mapping[str, Any], **outputs: str) -> Wanted:
        configured = self.file(*hooks).configuration.hooks
        return Wanted(hooks=configured, targets=targets({**OUTPUTS, **outputs}))

    def deploy(self, *hooks: Mapping[str, Any]) -> None:
        """Deploy a file, and let the sweep enrol as it asks."""
        self.clock.run_until(self.clock() + INTERVAL)
        of = InEffect(file=self.file(*hooks))
        self.records.put_in_force(of.in_force)
        enrolment_of(
            of,
            targets(OUTPUTS),
            groups=self.api,
            live=WaitingApi(self.account.client),
            records=self.records.under(of.file.digest),
            open_actions=self.store,
            clock=self.clock,
        ).run()

    def put_by_hand(self, group: str, hook: str = "drain", **parameters: Any) -> None:
        transition = "autoscaling:EC2_INSTANCE_TERMINATING"
        settings = {"LifecycleTransition": transition, "HeartbeatTimeout": 600, **parameters}
        self.account.client.put_lifecycle_hook(AutoScalingGroupName=group, LifecycleHookName=hook, **settings)

    def plan(self, *hooks: Mapping[str, Any], **outputs: str) -> Plan:
        live = Live(groups=self.api, members=WaitingApi(self.account.client))
        known = Known(
            enrolled=self.records.enrolled(),
            in_use=self.store.hooks_in_use(),
            open_actions=self.store.all_open(),
        )
        configured = self.file(*hooks).configuration
        return plan(self.wanted(*hooks, **outputs), configured, live, known, self.clock)

    def steps(self, *hooks: Mapping[str, Any]) -> list[str]:
        return [f"{row.step} {row.group}/{row.hook}: {row.reason}" for row in self.plan(*hooks).rows]


def test_a_new_group_is_to_be_enrolled_and_others_are_left_out() -> None:
    scene = Scene("workers-1", "web")
    found = scene.plan(a_hook())
    assert [(row.step, row.group, row.hook) for row in found.rows] == [("enrol", "workers-1", "drain")]
    assert (found.groups, found.unchanged, found.has_conflicts) == (1, 0, False)


def test_another_timeout_is_a_change() -> None:
    scene = Scene("workers-1")
    scene.deploy(a_hook())
    assert scene.steps(a_hook(heartbeat_timeout="20m")) == [
        "change workers-1/drain: the hooks file changed heartbeat_timeout"
    ]


def test_a_removed_tag_counts_only_after_three_passes() -> None:
    by_tags = a_hook(group={"tags": {"team": "web"}})
    scene = Scene("workers-1")
    scene.account.fleet.groups["workers-1"].settings["Tags"] = [{"Key": "team", "Value": "web"}]
    scene.deploy(by_tags)
    scene.account.fleet.groups["workers-1"].settings["Tags"] = []
    assert scene.steps(by_tags) == [
        (
            "retire workers-1/drain: the tags of the group no longer match; "
            "it retires after 3 such passes in a row"
        )
    ]


def test_a_retiring_hook_is_shown_with_what_waits_in_it_and_since_when() -> None:
    scene = Scene("workers-1")
    scene.deploy(a_hook(transition="launching"))
    client = scene.account.client
    client.set_desired_capacity(AutoScalingGroupName="workers-1", DesiredCapacity=2)
    scene.clock.run_until(scene.clock() + timedelta(seconds=60))
    scene.deploy()
    action = an_action(hook=hook_terms(name="drain", group="workers-1"))
    scene.store.open(action, Raw(received_at=at(0), body="{}"))
    assert scene.steps() == [
        (
            "retiring workers-1/drain: since 2026-03-01T12:05:00Z; "
            "kept by 2 instances waiting in it or about to and 1 open action"
        )
    ]
    assert scene.steps(a_hook(transition="launching")) == [
        "restore workers-1/drain: the hooks file selects it again"
    ]


def test_a_retiring_hook_without_waiting_instances_is_deleted_soon() -> None:
    scene = Scene("workers-1")
    scene.deploy(a_hook())
    scene.deploy()
    (step,) = scene.steps()
    assert step.endswith("no instance waits in it; one of the next passes deletes it")


def test_a_retiring_hook_without_its_replacement_says_so() -> None:
    scene = Scene("workers-1")
    scene.deploy(a_hook())
    scene.put_by_hand("workers-1", hook="new", LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING")
    scene.deploy(a_hook(name="new"))
    reasons = dict(step.split(": ", 1) for step in scene.steps(a_hook(name="new")))
    assert "the hook that replaces it does not exist yet" in reasons["retiring workers-1/drain"]


def test_an_open_action_that_would_lose_a_permission_is_shown() -> None:
    scene = Scene("workers-1")
    scene.deploy(a_hook(policy="asks"))
    policy = scene.file(a_hook(policy="asks")).configuration.policies["asks"]
    action = an_action(hook=hook_terms(name="drain", group="workers-1"), policy=policy)
    scene.store.open(action, Raw(received_at=at(0), body="{}"))
    assert not [row for row in scene.plan(a_hook(policy="asks")).rows if row.step is Step.PERMISSION]
    without = {"version": 1, "policies": {"p": {"until": []}}, "hooks": [a_hook()]}
    live = Live(groups=scene.api, members=WaitingApi(scene.account.client))
    known = Known(enrolled=scene.records.enrolled(), in_use={}, open_actions=[action])
    found = plan(scene.wanted(a_hook()), configuration.parse(without), live, known, scene.clock)
    (row,) = [row for row in found.rows if row.step is Step.PERMISSION]
    assert row.reason == (
        "action action-1 still needs the permission for instance_status ok: keep policy asks in the file"
    )


def test_an_open_action_whose_policy_is_not_chosen_needs_the_permissions_of_each() -> None:
    scene = Scene("workers-1")
    rules = [{"when": {"tags": {"role": "db"}}, "use": "asks"}, {"use": "p"}]
    file = scene.file(a_hook(policy=rules))
    (hook,) = file.configuration.hooks
    move = Move(group="workers-1", transition=hook.transition, origin=None, destination=None)
    action = an_action(hook=hook_terms(name="drain", group="workers-1"), policy=hook.policy_for(move))
    without = {"version": 1, "policies": {"p": {"until": []}}, "hooks": [a_hook()]}
    (row,) = lost_permissions(configuration.parse(without), [action])
    assert row.reason == (
        "action action-1 still needs the permission for what EC2 tells of the instance, "
        "instance_status ok: keep policy asks, p in the file"
    )
    assert not list(lost_permissions(file.configuration, [action]))


def test_the_record_of_a_group_that_is_gone_is_forgotten() -> None:
    scene = Scene("workers-1")
    scene.deploy(a_hook())
    scene.account.client.delete_auto_scaling_group(AutoScalingGroupName="workers-1", ForceDelete=True)
    scene.clock.run_until(at(3600))
    assert scene.steps(a_hook()) == [
        "retire workers-1/drain: the group was not found; it retires after 3 such passes in a row"
    ]


def test_a_hook_of_someone_else_that_differs_is_a_conflict() -> None:
    scene = Scene("workers-1")
    scene.put_by_hand("workers-1", HeartbeatTimeout=30)
    found = scene.plan(a_hook())
    assert found.has_conflicts
    assert scene.steps(a_hook()) == [
        (
            "conflict workers-1/drain: someone else put a hook of this name, "
            "which differs in heartbeat_timeout, target_arn, role_arn"
        )
    ]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(None, ["enrol one/drain: the hooks file selects the group"], id="absent"),
        pytest.param(
            {"NotificationTargetARN": INBOX, "RoleARN": ROLE, "HeartbeatTimeout": 300},
            ["change one/drain: it notifies Usher but differs in heartbeat_timeout"],
            id="with another timeout",
        ),
        pytest.param(
            {"NotificationTargetARN": INBOX, "RoleARN": ROLE},
            ["reclaim one/drain: it notifies Usher"],
            id="as the file asks",
        ),
    ],
)
def test_a_hook_on_a_named_group_is_no_other(status: dict[str, Any] | None, expected: list[str]) -> None:
    scene = Scene("one")
    if status is not None:
        scene.put_by_hand("one", **status)
    assert scene.steps(a_hook(group="one")) == expected


def test_a_target_that_is_not_deployed_yet_comes_with_the_deploy() -> None:
    scene = Scene("workers-1", "one")
    hooks = [a_hook(notify="sns"), a_hook(name="gate", group="one", notify="lambda")]
    steps = [(row.step, row.hook) for row in scene.plan(*hooks).rows]
    assert steps == [("enrol", "gate"), ("enrol", "drain")]


def test_the_steps_come_in_the_order_of_the_help() -> None:
    scene = Scene("workers-1", "old-1", "one")
    scene.deploy(a_hook(group="old-*"))
    scene.put_by_hand("workers-1", hook="gate")
    hooks = [a_hook(), a_hook(name="gate", transition="launching"), a_hook(name="n", group="nowhere")]
    assert [row.step for row in scene.plan(*hooks).rows] == ["enrol", "retire", "conflict", "conflict"]


def test_a_plan_changes_nothing() -> None:
    scene = Scene("workers-1", "one")
    scene.deploy(a_hook(group="old-*"))
    asked: set[str] = set()

    def fault(request: Request) -> ApiError | None:
        asked.add(request.operation)
        return None

    scene.account.service.fault = fault
    before = list(scene.records.enrolled())
    scene.plan(a_hook(), a_hook(name="n", group="one"))
    assert asked == {"DescribeAutoScalingGroups", "DescribeLifecycleHooks"}
    assert list(scene.records.enrolled()) == before


def test_a_busy_auto_scaling_makes_no_half_a_plan() -> None:
    scene = Scene("workers-1")

    def throttled(request: Request) -> ApiError | None:
        return ApiError("Throttling", "Rate exceeded") if "Hooks" in request.operation else None

    scene.account.service.fault = throttled
    with pytest.raises(TryLater):
        scene.plan(a_hook())


ECS: Final = "ecs-managed-draining-termination-hook"
LEFT_ALONE: Final = (
    "a hook of Amazon ECS, which Usher does not touch: "
    "a terminating instance waits until it and drain are completed"
)
CODE_DEPLOY: Final = "CodeDeploy-managed-automatic-launch-deployment-hook-dev-16355e62"


def test_a_hook_of_another_service_for_the_same_instances_is_shown_and_is_no_conflict() -> None:
    scene = Scene("workers-1")
    scene.put_by_hand("workers-1", ECS)
    scene.put_by_hand("workers-1", CODE_DEPLOY, LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING")
    scene.put_by_hand("workers-1", "somebodys")
    assert scene.steps(a_hook()) == [
        "enrol workers-1/drain: the hooks file selects the group",
        f"foreign workers-1/{ECS}: {LEFT_ALONE}",
    ]
    assert not scene.plan(a_hook()).has_conflicts
    both = scene.steps(a_hook(), a_hook(name="gate", transition="launching"))
    assert f"foreign workers-1/{CODE_DEPLOY}: a hook of AWS CodeDeploy" in "".join(both)


@pytest.mark.parametrize("name", [ECS, CODE_DEPLOY])
def test_enrolment_never_touches_a_hook_of_another_service_even_where_the_file_has_its_name(
    name: str,
) -> None:
    scene = Scene("workers-1")
    scene.put_by_hand("workers-1", name, HeartbeatTimeout=3600)
    before = scene.api.hooks_of("workers-1")
    scene.deploy(a_hook(name=name))  # asks for another timeout and target
    scene.deploy(a_hook())  # and not any more
    scene.deploy()
    left = [hook for hook in scene.api.hooks_of("workers-1") if hook.name == name]
    assert left == list(before)


def test_a_group_that_a_service_operates_is_a_conflict_for_each_hook() -> None:
    scene = Scene("workers-1")
    (group,) = scene.api.groups()

    class Operated:
        def groups(self, turn: object = None) -> list[GroupSeen]:  # noqa: ARG002 - as LiveGroups
            return [replace(group, operator="compute.amazonaws.com")]

        hooks_of = staticmethod(scene.api.hooks_of)

    live = Live(groups=Operated(), members=WaitingApi(scene.account.client))
    known = Known(enrolled=[], in_use={}, open_actions=[])
    configured = scene.file(a_hook()).configuration
    rows = plan(scene.wanted(a_hook()), configured, live, known, scene.clock).rows
    assert (
        "conflict",
        "drain",
        "compute.amazonaws.com operates the group: AWS refuses hooks from anyone else",
    ) in [(row.step, row.hook, row.reason) for row in rows]


def test_only_groups_that_the_file_does_not_name_are_left_to_the_sweep() -> None:
    scene = Scene("workers-1", "workers-2", "web")
    assert scene.plan(a_hook(), a_hook(group="web")).by_sweep == 2


def test_the_estimate_of_a_first_enrolment_comes_true() -> None:
    """7 groups at 5 an hour by the clock: before each pass, how many are left and when the last is put."""
    scene = Scene(*(f"workers-{number}" for number in range(7)))
    scene.records = MemoryEnrolledHooks(scene.clock, 5)
    estimates = []
    while (found := scene.plan(a_hook())).by_sweep:
        assert found.enrolled == 7 - found.by_sweep
        pace = Pace(per_hour=5, left=scene.records.left(scene.clock()))
        estimates.append(scene.clock() + pace.lasts(found.by_sweep, scene.clock()))
        scene.deploy(a_hook())  # two minutes later
    assert (found.enrolled, found.groups) == (7, 7)
    assert {abs(end - scene.clock()) <= 2 * INTERVAL for end in estimates} == {True}


# The command

FILE: Final = """\
version: 1
policies: {park: {until: []}}
hooks:
  - {name: drain, group: workers-*, transition: terminating, heartbeat_timeout: 10m, policy: park}
  - {name: gate, group: web, transition: launching, heartbeat_timeout: 10m, policy: park}
"""
GLOB_ONLY: Final = """\
version: 1
policies: {p: {until: []}}
hooks:
  - {name: drain, group: workers-*, transition: terminating, policy: p}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hooks.yaml"
    path.write_text(FILE)
    return path


def usher(scene: Scene, *arguments: str, file: Path) -> Result:
    stack = MemoryStack(now=scene.clock(), outputs=OUTPUTS, services={"autoscaling": scene.account.client})
    stack.records, stack.items = scene.store, scene.records
    return stack.usher("plan", "--hooks", str(file), *arguments)


def test_the_plan_is_a_table_for_people_and_json_for_machines(file: Path) -> None:
    scene = Scene("workers-1")
    scene.deploy(a_hook(name="gone"))
    outcome = usher(scene, file=file)
    assert outcome.exit_code == 1
    assert [" ".join(line.split()) for line in outcome.stdout.splitlines()] == [
        "step group hook reason",
        "enrol workers-1 drain the hooks file selects the group",
        "retire workers-1 gone the hooks file no longer selects it",
        "conflict web gate the group does not exist here: a deploy or an apply would fail",
        "",
        f"{file} selects 1 group. Hooks: 1 to enrol, 1 to retire, 1 in conflict.",
        f"drain on workers-1: {ONLY_ENDS}",
        (
            "On groups selected by glob or tags: 1 hook; the sweep puts the last within an hour of the "
            "deploy, at 50 per hour (enrolments_per_hour)."
        ),
    ]
    data = json.loads(usher(scene, "--json", file=file).stdout)
    assert data["summary"] == {
        **dict.fromkeys(("enrolled", "unchanged", "change", "restore", "reclaim", "retiring", "forget"), 0),
        **dict.fromkeys(("foreign", "permission", "take back", "ours again", "beside", "right"), 0),
        **dict.fromkeys(("groups", "enrol", "retire", "conflict"), 1),
    }
    assert data["steps"][0] == {
        "step": "enrol",
        "what": "enrol",
        "group": "workers-1",
        "hook": "drain",
        "reason": "the hooks file selects the group",
    }


def test_a_step_with_a_new_name_has_its_older_name_too(file: Path) -> None:
    scene = Scene("workers-1", "web")
    scene.put_by_hand("workers-1", ECS)
    scene.put_by_hand("workers-1", NotificationTargetARN=INBOX, RoleARN=ROLE)
    data = json.loads(usher(scene, "--json", file=file).stdout)
    assert [(step["step"], step["what"]) for step in data["steps"]] == [
        ("enrol", "enrol"),
        ("reclaim", "ours again"),
        ("foreign", "beside"),
    ]
    assert data["summary"]["reclaim"] == data["summary"]["ours again"] == 1


def test_a_conflict_sets_the_exit_code(file: Path) -> None:
    scene = Scene("workers-1")
    scene.put_by_hand("workers-1", LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING")
    outcome = usher(scene, file=file)
    assert outcome.exit_code == 1
    assert "2 in conflict" in outcome.stdout


def test_an_invalid_hooks_file_is_refused_with_its_line(file: Path) -> None:
    file.write_text(FILE.replace("terminating", "up"))
    outcome = usher(Scene(), file=file)
    assert outcome.exit_code == 2
    assert f"{file}:4: hooks[0].transition: must be one of" in outcome.stderr


def test_while_the_sweep_enrols_the_plan_shows_the_progress(file: Path) -> None:
    file.write_text(GLOB_ONLY)
    scene = Scene("workers-1", "workers-2")
    before = usher(scene, file=file).stdout
    assert before.endswith("within an hour of the deploy, at 50 per hour (enrolments_per_hour).\n")
    scene.records.put_in_force(FileInForce(digest=compiled(load.read(file)).digest))
    assert usher(scene, file=file).stdout.splitlines()[-1] == (
        "The sweep is enrolling: 0 of 2 groups have all their hooks. Left on groups selected by glob or "
        "tags: 2 hooks; the last in about 2m, at 50 per hour (enrolments_per_hour)."
    )
    sweep = json.loads(usher(scene, "--json", file=file).stdout)["sweep"]
    assert sweep == {"goes_on": True, "hooks_left": 2, "seconds_left": 120}
    scene.records.put_in_force(FileInForce(digest="another"))
    assert usher(scene, file=file).stdout == before


def installed(file: Path, *tagged: str) -> tuple[MemoryStack, Scene]:
    """A stack of `usher install` that has applied no file yet, and two groups that its file selects."""
    scene = Scene("workers-1", "workers-2")
    for group in tagged:
        tag = {"ResourceId": group, "ResourceType": "auto-scaling-group", "Key": "usher", "Value": "managed"}
        scene.account.client.create_or_update_tags(Tags=[tag])  # type: ignore[list-item]
    file.write_text(GLOB_ONLY)
    scene.records.put_in_force(NO_VERSION.in_force)
    stack = MemoryStack(now=scene.clock(), outputs=OUTPUTS, services={"autoscaling": scene.account.client})
    stack.records, stack.items, stack.parameters = scene.store, scene.records, {"TagValue": "managed"}
    return stack, scene


def test_in_an_installation_the_plan_asks_for_the_tag_and_tells_the_times_of_an_apply(file: Path) -> None:
    stack, _ = installed(file, "workers-2")
    outcome = stack.usher("plan", str(file))
    assert outcome.exit_code == 1
    assert [" ".join(line.split()) for line in outcome.stdout.splitlines()] == [
        "step group hook reason",
        "enrol workers-2 drain the hooks file selects the group",
        (
            "conflict workers-1 drain the group lacks the tag usher=managed, without which Usher may put no "
            "hook on it"
        ),
        "",
        f"{file} selects 2 groups. Hooks: 1 to enrol, 1 in conflict.",
        f"drain on workers-1, workers-2: {ONLY_ENDS}",
        (
            "Once the file is in effect, the sweep puts 1 hook on groups selected by glob or tags, the last "
            "within an hour, at 50 per hour (enrolments_per_hour)."
        ),
    ]
    assert json.loads(stack.usher("plan", str(file), "--json").stdout)["sweep"]["hooks_left"] == 1


def test_a_hook_that_stands_needs_no_tag(file: Path) -> None:
    stack, scene = installed(file)
    scene.deploy(a_hook(heartbeat_timeout="1h"))
    outcome = stack.usher("plan", str(file))
    selects, abandon = outcome.stdout.splitlines()
    assert (outcome.exit_code, selects) == (0, f"{file} selects 2 groups. Hooks: 2 unchanged.")
    assert abandon == f"drain on workers-1, workers-2: {ONLY_ENDS}"


def test_the_file_is_an_argument_or_an_option_and_hooks_yaml_without_either(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, _ = installed(file, "workers-1", "workers-2")
    monkeypatch.chdir(file.parent)
    assert (
        stack.usher("plan").stdout.replace("hooks.yaml", str(file)) == stack.usher("plan", str(file)).stdout
    )
    assert stack.usher("plan", "--hooks", str(file)).stdout == stack.usher("plan", str(file)).stdout
    both = stack.usher("plan", "a.yaml", "--hooks", "b.yaml")
    assert (both.exit_code, "give FILE or --hooks, not both" in both.stderr) == (2, True)


def test_the_time_that_a_deploy_takes_for_named_groups_is_estimated(file: Path) -> None:
    assert (
        "On named groups: 1 hook; the deploy puts them in about 1s, at 10 calls per second "
        "(calls_per_second)."
    ) in usher(Scene("web"), file=file).stdout.splitlines()


# On moto


def test_the_command_reads_the_table_and_the_groups(file: Path) -> None:
    with mock_aws():
        stack = deploy()
        EnrolledHooks(client("dynamodb"), stack.outputs["TableName"], lambda: at(0), 1).keep(ITEM)
        outcome = stack.usher("plan", "--json", "--hooks", str(file))
    steps = json.loads(outcome.stdout)["steps"]
    assert [(step["step"], step["hook"]) for step in steps] == [("retire", "drain"), ("conflict", "gate")]


# What ABANDON does at the end of a termination


def test_a_plan_says_where_abandon_retains_and_where_it_only_ends_the_hooks() -> None:
    scene = Scene("workers-1", "workers-2", "workers-3")
    retain: Any = {"RetentionTriggers": {"TerminateHookAbandon": "retain"}}
    scene.account.client.update_auto_scaling_group(
        AutoScalingGroupName="workers-2", InstanceLifecyclePolicy=retain
    )
    found = scene.plan(a_hook(group="workers-*", default_result="ABANDON")).abandoning
    assert [(each.hook, each.retains, each.groups) for each in found] == [
        ("drain", False, ("workers-1", "workers-3")),
        ("drain", True, ("workers-2",)),
    ]
    assert [str(each) for each in found] == [
        f"drain on workers-1, workers-3: {ONLY_ENDS}",
        "drain on workers-2: ABANDON retains the instance, which costs money until `usher release`.",
    ]


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ({"on_success": "CONTINUE", "on_failure": "CONTINUE"}, False),
        ({"on_failure": "CONTINUE", "on_give_up": "ABANDON"}, True),
        ({"on_failure": "ABANDON"}, True),
    ],
)
def test_it_says_so_only_of_hooks_that_may_end_with_abandon(results: dict[str, str], told: bool) -> None:
    data = {
        "version": 1,
        "policies": {"p": {"until": [], **results}},
        "hooks": [a_hook(default_result="CONTINUE")],
    }
    group = GroupSeen(name="workers-1", arn="arn")
    assert bool(abandoning(configuration.parse(data).hooks, [group])) is told


def test_of_many_groups_the_first_are_named() -> None:
    many = Abandoning(hook="drain", retains=True, groups=tuple(f"g-{number}" for number in range(7)))
    assert str(many).startswith("drain on g-0, g-1, g-2, g-3, g-4 and 2 others: ABANDON retains")
