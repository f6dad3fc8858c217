"""`usher plan`: what a hooks file would enrol, change or remove."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from click.testing import CliRunner
from moto import mock_aws

from cli.account import Machine
from cli.main import main
from cli.plan import Plan, plan, targets
from simulator.account import an_account
from simulator.memory_budget import MemoryBudget
from simulator.memory_enrolled import MemoryEnrolledHooks
from simulator.memory_store import MemoryStore
from simulator.query_protocol import ApiError
from simulator.recorder import Recorder
from tests.factories import an_action, at, hook_terms
from usher.aws import table
from usher.aws.enrolled import EnrolledHooks
from usher.aws.groups import GroupsApi
from usher.core import configuration
from usher.core.enrolment import Enrolled, HookSettings, Wanted
from usher.core.model import Result as HookResult
from usher.core.model import Transition
from usher.enrolment import INTERVAL, Enrolment
from usher.ports import Raw, TryLater
from usher.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from click.testing import Result

    from simulator.query_protocol import Request

INBOX: Final = "arn:aws:sqs:us-east-1:111122223333:inbox"
ROLE: Final = "arn:aws:iam::111122223333:role/usher"
OUTPUTS: Final = {"InboxArn": INBOX, "HookRoleArn": ROLE}


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

    def wanted(self, *hooks: Mapping[str, Any], **outputs: str) -> Wanted:
        data = {"version": 1, "policies": {"p": {"until": []}}, "hooks": list(hooks)}
        return Wanted(hooks=configuration.parse(data).hooks, targets=targets({**OUTPUTS, **outputs}))

    def deploy(self, *hooks: Mapping[str, Any]) -> None:
        """Deploy a file, and let the sweep enrol as it asks."""
        self.clock.run_until(self.clock() + INTERVAL)
        Enrolment(
            wanted=self.wanted(*hooks),
            groups=self.api,
            records=self.records,
            open_actions=self.store,
            turns=Turns(budget=MemoryBudget(1000), telemetry=Recorder()),
            telemetry=Recorder(),
            clock=self.clock,
            wait=lambda _: None,
        ).run()

    def put_by_hand(self, group: str, hook: str = "drain", **parameters: Any) -> None:
        transition = "autoscaling:EC2_INSTANCE_TERMINATING"
        settings = {"LifecycleTransition": transition, "HeartbeatTimeout": 600, **parameters}
        self.account.client.put_lifecycle_hook(AutoScalingGroupName=group, LifecycleHookName=hook, **settings)

    def plan(self, *hooks: Mapping[str, Any], **outputs: str) -> Plan:
        return plan(self.wanted(*hooks, **outputs), self.api, self.records.enrolled(), self.store)

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
        "remove workers-1/drain: the configuration does not select it any more"
    ]


def test_a_hook_in_which_something_waits_is_removed_later() -> None:
    scene = Scene("workers-1")
    scene.deploy(a_hook())
    for number in (1, 2):
        action = an_action(
            id=f"a-{number}", token=f"{number:036}", hook=hook_terms(name="drain", group="workers-1")
        )
        scene.store.open(action, Raw(received_at=at(0), body="{}"))
    assert scene.steps(a_hook(group="others-*")) == [
        "remove later workers-1/drain: 2 open actions wait in it; it goes once none does"
    ]


def test_the_record_of_a_group_that_is_gone_is_forgotten() -> None:
    scene = Scene("workers-1")
    scene.deploy(a_hook())
    scene.account.client.delete_auto_scaling_group(AutoScalingGroupName="workers-1", ForceDelete=True)
    scene.clock.run_until(at(3600))
    assert scene.steps(a_hook()) == ["forget workers-1/drain: the group is gone"]


def test_a_hook_of_someone_else_that_differs_is_a_conflict() -> None:
    scene = Scene("workers-1")
    scene.put_by_hand("workers-1")
    found = scene.plan(a_hook())
    assert found.has_conflicts
    assert scene.steps(a_hook()) == [
        (
            "conflict workers-1/drain: someone else put a hook of this name, "
            "which differs in target_arn, role_arn"
        )
    ]


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        pytest.param(None, ["deploy one/drain: CloudFormation puts it"], id="absent"),
        pytest.param(
            {"NotificationTargetARN": INBOX, "RoleARN": ROLE, "HeartbeatTimeout": 300},
            ["deploy one/drain: CloudFormation changes heartbeat_timeout"],
            id="with another timeout",
        ),
        pytest.param({"NotificationTargetARN": INBOX, "RoleARN": ROLE}, [], id="as the file asks"),
    ],
)
def test_a_hook_on_a_named_group_is_for_cloudformation(
    standing: dict[str, Any] | None, expected: list[str]
) -> None:
    scene = Scene("one")
    if standing is not None:
        scene.put_by_hand("one", **standing)
    assert scene.steps(a_hook(group="one")) == expected


def test_a_named_group_that_is_not_there_is_said() -> None:
    assert Scene().steps(a_hook(group="one")) == ["deploy one/drain: there is no such group here yet"]


def test_a_way_of_notifying_that_is_not_deployed_yet_comes_with_the_deploy() -> None:
    scene = Scene("workers-1", "one")
    hooks = [a_hook(notify="sns"), a_hook(name="gate", group="one", notify="lambda")]
    told = [(row.what, row.hook) for row in scene.plan(*hooks).rows]
    assert told == [("enrol", "drain"), ("deploy", "gate")]


def test_what_matters_most_comes_in_the_order_of_the_help() -> None:
    scene = Scene("workers-1", "old-1", "one")
    scene.deploy(a_hook(group="old-*"))
    scene.put_by_hand("workers-1", hook="gate")
    hooks = [a_hook(), a_hook(name="gate", transition="launching"), a_hook(name="n", group="one")]
    assert [row.what for row in scene.plan(*hooks).rows] == ["enrol", "remove", "deploy", "conflict"]


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
    assert outcome.exit_code == 0
    assert [" ".join(line.split()) for line in outcome.stdout.splitlines()] == [
        "step group hook why",
        "enrol workers-1 drain the configuration selects the group",
        "forget workers-1 gone the configuration does not select it any more, and it is gone",
        "deploy web gate there is no such group here yet",
        "",
        f"{file} selects 1 group here. 0 hooks stand as it asks, 1 to enrol, 1 to forget, 1 to deploy.",
    ]
    told = json.loads(usher("--json", file=file).stdout)
    assert told["summary"] == {
        "groups": 1,
        "unchanged": 0,
        "enrol": 1,
        "change": 0,
        "remove": 0,
        "remove later": 0,
        "forget": 1,
        "deploy": 1,
        "conflict": 0,
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
    assert "1 in conflict" in outcome.stdout


@pytest.mark.usefixtures("deployed")
def test_a_hooks_file_that_is_not_sound_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "hooks.yaml"
    file.write_text(FILE.replace("terminating", "up"))
    outcome = usher(file=file)
    assert outcome.exit_code == 2
    assert f"{file}:4: hooks[0].transition: must be one of" in outcome.stderr
