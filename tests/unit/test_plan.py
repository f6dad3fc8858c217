"""`usher plan`: what a hooks file would enrol, change or remove."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from click.testing import CliRunner
from moto import mock_aws

from tests.factories import an_action, at, hook_terms
from usher.aws import table
from usher.aws.enrolled import EnrolledHooks
from usher.aws.groups import GroupsApi
from usher.aws.waiting import WaitingApi
from usher.core import configuration
from usher.core.action import Result as HookResult
from usher.core.action import Transition
from usher.core.compiled import Compiled, compiled
from usher.core.hook_items import Enrolled, FileInForce, GroupSeen, HookSettings
from usher.core.wanted_hooks import Wanted
from usher.evaluation.call_budget import CallBudget
from usher.passes.enrolment import INTERVAL, Enrolment
from usher.ports.errors import TryLater
from usher.ports.records import Raw
from usher_cli.account import Machine
from usher_cli.enrolment_times import Pace
from usher_cli.main import main
from usher_cli.plan import Known, Live, Plan, What, plan, targets
from usher_hooksfile import load
from usher_simulator.autoscaling.account import an_account
from usher_simulator.autoscaling.query_protocol import ApiError
from usher_simulator.fakes.memory_budget import MemoryBudget
from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from click.testing import Result

    from usher_simulator.autoscaling.query_protocol import Request

INBOX: Final = "arn:aws:sqs:us-east-1:111122223333:inbox"
ROLE: Final = "arn:aws:iam::111122223333:role/usher"
POLICIES: Final = {"p": {"until": []}, "asks": {"until": [{"instance_status": "ok"}]}}
OUTPUTS: Final = {"InboxArn": INBOX, "HookRoleArn": ROLE, "EnrolmentsPerHour": "50", "CallsPerSecond": "10"}


def a_hook(**changes: Any) -> dict[str, Any]:
    hook = {"name": "drain", "group": "workers-*", "transition": "terminating", "heartbeat_timeout": "10m"}
    return {**hook, "policy": "p", **changes}


class Scene:
    """An account of simulated Auto Scaling in which Usher runs."""

    def __init__(self, *groups: str) -> None:
        self.account = an_account(at(0))
        self.clock = self.account.clock
        for arn in (INBOX, "arn:aws:sns:us-east-1:111122223333:topic"):
            self.account.outside.targets[arn] = lambda _: None
        self.records = MemoryEnrolledHooks(self.clock, 50)
        self.store = MemoryStore(self.clock)
        self.api = GroupsApi(self.account.client)
        for group in groups:
            self.account.client.create_auto_scaling_group(AutoScalingGroupName=group, MinSize=0, MaxSize=9)

    def file(self, *hooks: Mapping[str, Any]) -> Compiled:
        return compiled({"version": 1, "policies": POLICIES, "hooks": list(hooks)})

    def wanted(self, *hooks: Mapping[str, Any], **outputs: str) -> Wanted:
        configured = self.file(*hooks).configuration.hooks
        return Wanted(hooks=configured, targets=targets({**OUTPUTS, **outputs}))

    def deploy(self, *hooks: Mapping[str, Any]) -> None:
        """Deploy a file, and let the sweep enrol as it asks."""
        self.clock.run_until(self.clock() + INTERVAL)
        digest = self.file(*hooks).digest
        self.records.put_in_force(FileInForce(digest=digest))
        Enrolment(
            wanted=self.wanted(*hooks),
            digest=digest,
            groups=self.api,
            live=WaitingApi(self.account.client),
            records=self.records.under(digest),
            open_actions=self.store,
            call_budget=CallBudget(budget=MemoryBudget(1000), telemetry=Recorder()),
            telemetry=Recorder(),
            clock=self.clock,
            wait=lambda _: None,
        ).run()

    def put_by_hand(self, group: str, hook: str = "drain", **parameters: Any) -> None:
        transition = "autoscaling:EC2_INSTANCE_TERMINATING"
        settings = {"LifecycleTransition": transition, "HeartbeatTimeout": 600, **parameters}
        self.account.client.put_lifecycle_hook(AutoScalingGroupName=group, LifecycleHookName=hook, **settings)

    def plan(self, *hooks: Mapping[str, Any], **outputs: str) -> Plan:
        live = Live(groups=self.api, members=WaitingApi(self.account.client))
        known = Known(enrolled=self.records.enrolled(), open_actions=list(self.store.all_open()))
        configured = self.file(*hooks).configuration
        return plan(self.wanted(*hooks, **outputs), configured, live, known, self.clock)

    def steps(self, *hooks: Mapping[str, Any]) -> list[str]:
        return [f"{row.what} {row.group}/{row.hook}: {row.reason}" for row in self.plan(*hooks).rows]


def test_a_new_group_is_to_be_enrolled_and_others_are_left_out() -> None:
    scene = Scene("workers-1", "web")
    found = scene.plan(a_hook())
    assert [(row.what, row.group, row.hook) for row in found.rows] == [("enrol", "workers-1", "drain")]
    assert (found.groups, found.unchanged, found.has_conflicts) == (1, 0, False)


def test_what_stands_as_the_file_asks_is_only_counted() -> None:
    scene = Scene("workers-1", "workers-2")
    scene.deploy(a_hook())
    found = scene.plan(a_hook())
    assert (list(found.rows), found.groups, found.unchanged) == ([], 2, 2)


def test_another_timeout_is_a_change() -> None:
    scene = Scene("workers-1")
    scene.deploy(a_hook())
    assert scene.steps(a_hook(heartbeat_timeout="20m")) == [
        "change workers-1/drain: the configuration changed heartbeat_timeout"
    ]


def test_what_the_file_selects_no_more_is_to_be_removed() -> None:
    scene = Scene("workers-1")
    scene.deploy(a_hook())
    assert scene.steps(a_hook(group="others-*")) == [
        "retire workers-1/drain: the configuration does not select it any more"
    ]


def test_a_tag_that_went_counts_only_when_three_passes_have_seen_that() -> None:
    by_tags = a_hook(group={"tags": {"team": "web"}})
    scene = Scene("workers-1")
    scene.account.fleet.groups["workers-1"].settings["Tags"] = [{"Key": "team", "Value": "web"}]
    scene.deploy(by_tags)
    scene.account.fleet.groups["workers-1"].settings["Tags"] = []
    assert scene.steps(by_tags) == [
        (
            "retire workers-1/drain: its tags do not select the group; "
            "it counts once 3 passes in a row have seen that"
        )
    ]


def test_a_hook_on_its_way_out_is_told_with_who_waits_and_since_when() -> None:
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
            "kept by 2 instances that wait, or are on the way to it and 1 open actions"
        )
    ]
    assert scene.steps(a_hook(transition="launching")) == [
        "take back workers-1/drain: the configuration selects it again"
    ]


def test_one_that_nobody_waits_in_goes_soon() -> None:
    scene = Scene("workers-1")
    scene.deploy(a_hook())
    scene.deploy()
    (told,) = scene.steps()
    assert told.endswith("nobody waits in it: it goes in one of the next passes")


def test_one_whose_replacement_does_not_stand_says_so() -> None:
    scene = Scene("workers-1")
    scene.deploy(a_hook())
    scene.put_by_hand("workers-1", hook="new", LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING")
    scene.deploy(a_hook(name="new"))
    told = dict(step.split(": ", 1) for step in scene.steps(a_hook(name="new")))
    assert "what replaces it does not stand yet" in told["retiring workers-1/drain"]


def test_an_open_action_that_would_lose_a_right_is_told() -> None:
    scene = Scene("workers-1")
    scene.deploy(a_hook(policy="asks"))
    policy = scene.file(a_hook(policy="asks")).configuration.policies["asks"]
    action = an_action(hook=hook_terms(name="drain", group="workers-1"), policy=policy)
    scene.store.open(action, Raw(received_at=at(0), body="{}"))
    assert not [row for row in scene.plan(a_hook(policy="asks")).rows if row.what is What.RIGHT]
    without = {"version": 1, "policies": {"p": {"until": []}}, "hooks": [a_hook()]}
    live = Live(groups=scene.api, members=WaitingApi(scene.account.client))
    known = Known(enrolled=scene.records.enrolled(), open_actions=[action])
    found = plan(scene.wanted(a_hook()), configuration.parse(without), live, known, scene.clock)
    (row,) = [row for row in found.rows if row.what is What.RIGHT]
    assert row.reason == "action action-1 asks instance_status ok: keep policy asks in the file"


def test_the_record_of_a_group_that_is_gone_is_forgotten() -> None:
    scene = Scene("workers-1")
    scene.deploy(a_hook())
    scene.account.client.delete_auto_scaling_group(AutoScalingGroupName="workers-1", ForceDelete=True)
    scene.clock.run_until(at(3600))
    assert scene.steps(a_hook()) == [
        "retire workers-1/drain: the group was not found; it counts once 3 passes in a row have seen that"
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
        pytest.param(None, ["enrol one/drain: the configuration selects the group"], id="absent"),
        pytest.param(
            {"NotificationTargetARN": INBOX, "RoleARN": ROLE, "HeartbeatTimeout": 300},
            ["change one/drain: it notifies Usher, and differs in heartbeat_timeout"],
            id="with another timeout",
        ),
        pytest.param(
            {"NotificationTargetARN": INBOX, "RoleARN": ROLE},
            ["ours again one/drain: it notifies Usher"],
            id="as the file asks",
        ),
    ],
)
def test_a_hook_on_a_named_group_is_no_other(status: dict[str, Any] | None, expected: list[str]) -> None:
    scene = Scene("one")
    if status is not None:
        scene.put_by_hand("one", **status)
    assert scene.steps(a_hook(group="one")) == expected


def test_a_named_group_that_is_not_there_is_said() -> None:
    found = Scene().plan(a_hook(group="one"))
    assert [row.reason for row in found.rows] == ["there is no such group here: a deploy is refused"]
    assert found.has_conflicts


def test_a_way_of_notifying_that_is_not_deployed_yet_comes_with_the_deploy() -> None:
    scene = Scene("workers-1", "one")
    hooks = [a_hook(notify="sns"), a_hook(name="gate", group="one", notify="lambda")]
    told = [(row.what, row.hook) for row in scene.plan(*hooks).rows]
    assert told == [("enrol", "gate"), ("enrol", "drain")]


def test_what_matters_most_comes_in_the_order_of_the_help() -> None:
    scene = Scene("workers-1", "old-1", "one")
    scene.deploy(a_hook(group="old-*"))
    scene.put_by_hand("workers-1", hook="gate")
    hooks = [a_hook(), a_hook(name="gate", transition="launching"), a_hook(name="n", group="nowhere")]
    assert [row.what for row in scene.plan(*hooks).rows] == ["enrol", "retire", "conflict", "conflict"]


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


# The command

REGION: Final = "eu-west-1"
KEYS: Final = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_PROFILE": None,
}
FILE: Final = """\
version: 1
policies: {park: {until: []}}
hooks:
  - {name: drain, group: workers-*, transition: terminating, heartbeat_timeout: 10m, policy: park}
  - {name: gate, group: web, transition: launching, heartbeat_timeout: 10m, policy: park}
"""


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION, **KEYS)


GLOB_ONLY: Final = """\
version: 1
policies: {p: {until: []}}
hooks:
  - {name: drain, group: workers-*, transition: terminating, policy: p}
"""


@pytest.fixture
def deployed() -> Iterator[None]:
    definition = {key: value for key, value in table.definition("none").items() if key != "TableName"}
    resources = {"Records": {"Type": "AWS::DynamoDB::Table", "Properties": definition}}
    outputs = {"TableName": {"Value": {"Ref": "Records"}}} | {
        name: {"Value": value} for name, value in OUTPUTS.items()
    }
    with mock_aws():
        body = json.dumps({"Resources": resources, "Outputs": outputs})
        client("cloudformation").create_stack(StackName="Usher", TemplateBody=body)
        yield


def a_group(name: str) -> None:
    scaling = client("autoscaling")
    scaling.create_launch_configuration(
        LaunchConfigurationName=name, ImageId="ami-0123456789abcdef0", InstanceType="t3.nano"
    )
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchConfigurationName=name,
        MinSize=0,
        MaxSize=1,
        AvailabilityZones=[f"{REGION}a"],
    )


def enrol(group: str) -> None:
    """As the sweep would have, of a hook that the file does not have."""
    (outputs,) = client("cloudformation").describe_stacks(StackName="Usher")["Stacks"]
    name = next(each["OutputValue"] for each in outputs["Outputs"] if each["OutputKey"] == "TableName")
    (found,) = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])[
        "AutoScalingGroups"
    ]
    settings = HookSettings(
        transition=Transition.TERMINATING,
        heartbeat_timeout=INTERVAL,
        default_result=HookResult.ABANDON,
    )
    EnrolledHooks(client("dynamodb"), name, lambda: at(0), 1).keep(
        Enrolled(
            group=group,
            group_arn=found["AutoScalingGroupARN"],
            hook="gone",
            settings=settings,
            source="{}",
            put_at=at(0),
        )
    )


def usher(*arguments: str, file: Path) -> Result:
    machine = Machine(clock=lambda: at(0), new_id=lambda: "id", wait=lambda _: None)
    options = ["plan", "--hooks", str(file), "--region", REGION, *arguments]
    return CliRunner().invoke(main, options, obj=machine, env=ENVIRONMENT)


@pytest.mark.usefixtures("deployed")
def test_the_plan_is_a_table_for_people_and_json_for_machines(tmp_path: Path) -> None:
    file = tmp_path / "hooks.yaml"
    file.write_text(FILE)
    a_group("workers-1")
    enrol("workers-1")
    outcome = usher(file=file)
    assert outcome.exit_code == 1
    assert [" ".join(line.split()) for line in outcome.stdout.splitlines()] == [
        "step group hook why",
        "enrol workers-1 drain the configuration selects the group",
        "retire workers-1 gone the configuration does not select it any more",
        "forget workers-1 gone it is gone",
        "conflict web gate there is no such group here: a deploy is refused",
        "",
        (
            f"{file} selects 1 group here. 0 hooks stand as it asks, 1 to enrol, 1 to retire, 1 to forget, "
            "1 in conflict."
        ),
        (
            "1 of them on groups by glob or tags: the last stands within an hour of the deploy, "
            "at 50 an hour (enrolments_per_hour)."
        ),
    ]
    told = json.loads(usher("--json", file=file).stdout)
    assert told["summary"] == {
        "groups": 1,
        "enrolled": 0,
        "unchanged": 0,
        "enrol": 1,
        "change": 0,
        "take back": 0,
        "ours again": 0,
        "retire": 1,
        "retiring": 0,
        "forget": 1,
        "beside": 0,
        "right": 0,
        "conflict": 1,
    }
    assert told["steps"][0] == {
        "what": "enrol",
        "group": "workers-1",
        "hook": "drain",
        "reason": "the configuration selects the group",
    }


@pytest.mark.usefixtures("deployed")
def test_a_conflict_is_told_by_the_exit_code(tmp_path: Path) -> None:
    file = tmp_path / "hooks.yaml"
    file.write_text(FILE)
    a_group("workers-1")
    client("autoscaling").put_lifecycle_hook(
        AutoScalingGroupName="workers-1",
        LifecycleHookName="drain",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
    )
    outcome = usher(file=file)
    assert outcome.exit_code == 1
    assert "2 in conflict" in outcome.stdout


@pytest.mark.usefixtures("deployed")
def test_a_hooks_file_that_is_not_sound_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "hooks.yaml"
    file.write_text(FILE.replace("terminating", "up"))
    outcome = usher(file=file)
    assert outcome.exit_code == 2
    assert f"{file}:4: hooks[0].transition: must be one of" in outcome.stderr


ECS: Final = "ecs-managed-draining-termination-hook"
LEFT_ALONE: Final = (
    "Amazon ECS runs it, and Usher leaves it alone: "
    "a terminating instance waits until it and drain have let go"
)
CODE_DEPLOY: Final = "CodeDeploy-managed-automatic-launch-deployment-hook-dev-16355e62"


def test_a_hook_that_another_service_runs_on_the_same_way_is_told_and_is_no_conflict() -> None:
    scene = Scene("workers-1")
    scene.put_by_hand("workers-1", ECS)
    scene.put_by_hand("workers-1", CODE_DEPLOY, LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING")
    scene.put_by_hand("workers-1", "somebodys")
    assert scene.steps(a_hook()) == [
        "enrol workers-1/drain: the configuration selects the group",
        f"beside workers-1/{ECS}: {LEFT_ALONE}",
    ]
    assert not scene.plan(a_hook()).has_conflicts
    both = scene.steps(a_hook(), a_hook(name="gate", transition="launching"))
    assert f"beside workers-1/{CODE_DEPLOY}: AWS CodeDeploy runs it" in "".join(both)


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
    known = Known(enrolled=[], open_actions=[])
    configured = scene.file(a_hook()).configuration
    rows = plan(scene.wanted(a_hook()), configured, live, known, scene.clock).rows
    assert (
        "conflict",
        "drain",
        "compute.amazonaws.com operates the group: AWS refuses a hook from anyone else",
    ) in [(row.what, row.hook, row.reason) for row in rows]


def test_only_what_the_deploy_does_not_wait_for_is_left_to_the_sweep() -> None:
    scene = Scene("workers-1", "workers-2", "web")
    assert scene.plan(a_hook(), a_hook(group="web")).by_sweep == 2


def test_what_is_told_of_a_first_enrolment_comes_true() -> None:
    """70 groups at 50 an hour by the clock: at each pass, how many are left and when the last will stand."""
    scene = Scene(*(f"workers-{number:03}" for number in range(70)))
    told = []
    while (found := scene.plan(a_hook())).by_sweep:
        assert found.enrolled == 70 - found.by_sweep
        pace = Pace(per_hour=50, left=scene.records.left(scene.clock()))
        told.append(scene.clock() + pace.lasts(found.by_sweep, scene.clock()))
        scene.deploy(a_hook())  # two minutes later
    assert (found.enrolled, found.groups) == (70, 70)
    assert {abs(end - scene.clock()) <= 2 * INTERVAL for end in told} == {True}


@pytest.mark.usefixtures("deployed")
def test_while_the_sweep_is_at_it_the_plan_tells_how_far_it_is(tmp_path: Path) -> None:
    file = tmp_path / "hooks.yaml"
    file.write_text(GLOB_ONLY)
    for name in ("workers-1", "workers-2"):
        a_group(name)
    (stack,) = client("cloudformation").describe_stacks(StackName="Usher")["Stacks"]
    name = next(each["OutputValue"] for each in stack["Outputs"] if each["OutputKey"] == "TableName")
    items = EnrolledHooks(client("dynamodb"), name, lambda: at(0), 50)
    before = usher(file=file).stdout
    assert before.endswith(
        "the last stands within an hour of the deploy, at 50 an hour (enrolments_per_hour).\n"
    )
    items.put_in_force(FileInForce(digest=compiled(load.read(file)).digest))
    said = usher(file=file).stdout.splitlines()[-1]
    assert said == (
        "Enrolment goes on: 0 of 2 groups have their hooks. 2 hooks are left on groups by glob or tags: "
        "the last stands in about 2m, at 50 an hour (enrolments_per_hour)."
    )
    sweep = json.loads(usher("--json", file=file).stdout)["sweep"]
    assert sweep == {"goes_on": True, "hooks_left": 2, "seconds_left": 120}
    items.put_in_force(FileInForce(digest="another"))
    assert usher(file=file).stdout == before


@pytest.mark.usefixtures("deployed")
def test_how_long_a_deploy_is_busy_with_named_groups_is_told_beforehand(tmp_path: Path) -> None:
    file = tmp_path / "hooks.yaml"
    file.write_text(FILE)
    a_group("web")
    said = (
        "1 of them on named groups: the deploy puts them, which takes about 1s at 10 calls a second "
        "(calls_per_second)."
    )
    assert said in usher(file=file).stdout.splitlines()
