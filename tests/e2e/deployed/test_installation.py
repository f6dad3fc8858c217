"""From an empty folder with only Python: the wheel, an installation, hooks, a change, and the removal.

IAM is enforced: everybody has what `usher policy` prints, and the functions have their roles. What the
account evaluates of IAM is told by tests/e2e/deployed/test_permissions.py; besides, CloudFormation makes
its resources here without asking for the rights of its caller (tests/unit/test_policies.py holds these
against the published schemas), Lambda reads its code from the bucket without asking, and neither the source
of an event nor the leading keys of an item are told to IAM (tests/unit/test_policies.py has the conditions).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.e2e.polling import until
from tests.e2e.test_wheel import Installation
from usher.aws.file_versions import FileVersionsTable
from usher.wiring.machine import now
from usher_local.account import TRAIL, Setup, open_account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from usher_local.account import Account

HOOKS: Final = """\
version: 1
policies:
  enter: {{until: [{enters}]}}
  drained: {{until: [signal: drained]}}
hooks:
  - {{name: in, group: {managed}, transition: launching, heartbeat_timeout: 10m, policy: enter}}
  - {{name: out, group: {managed}, transition: terminating, heartbeat_timeout: 10m, policy: drained}}
"""
MANAGED: Final = "{tags: {usher: managed}}"
KINDS: Final = ("installer", "applier", "operator", "reader")
A_CHANGE_S: Final = 240  # a minute's notice, and up to two until the sweep


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody with a shell, the wheel in a virtual environment, and the rights of a role."""

    installed: Installation
    packages: Path
    environment: dict[str, str]

    def usher(self, *words: str) -> str:
        """What the command prints; it must end well."""
        done = self.installed.run(self.packages, "usher", *words, **self.environment)
        assert done.returncode == 0, f"usher {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def status(self) -> Any:
        return json.loads(self.usher("status", "--json"))


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with open_account(Setup(auth=True, logs=tmp_path_factory.mktemp("logs"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def people(account: Account, dist: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Person]:
    """One of each kind that `usher policy` knows."""
    (wheel,) = dist.glob("*.whl")
    installed = Installation(wheel, tmp_path_factory.mktemp("people"))
    packages = installed.packages("usher-hooks[aws]")
    found = {}
    for kind in KINDS:
        policy = installed.run(packages, "usher", "policy", kind).stdout
        credentials = a_role(account, kind, without_source(policy))
        environment = dict(account.environment) | credentials
        found[kind] = Person(installed=installed, packages=packages, environment=environment)
    return found


def without_source(policy: str) -> str:
    """The policy without its condition on the source of events, which would hold for none here."""
    document = json.loads(policy)
    for statement in document["Statement"]:
        if statement["Action"] == ["events:PutEvents"]:
            del statement["Condition"]
    return json.dumps(document)


def a_role(account: Account, name: str, policy: str) -> dict[str, str]:
    """The credentials of a role that may what the policy says."""
    iam = account.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=policy)
    given = account.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName=name)["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }


class Group:
    """An Auto Scaling group."""

    def __init__(self, account: Account, name: str, **tags: str) -> None:
        self.name = name
        self._client = account.client("autoscaling")
        self._client.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=5,
            AvailabilityZones=["us-east-1a"],
            LaunchTemplate={"LaunchTemplateId": "lt-00000000000000001"},
            Tags=[{"Key": key, "Value": value, "ResourceId": name} for key, value in tags.items()],
        )

    def resize(self, size: int) -> None:
        self._client.set_desired_capacity(AutoScalingGroupName=self.name, DesiredCapacity=size)

    @property
    def states(self) -> list[str]:
        told = self._client.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])
        (group,) = told["AutoScalingGroups"]
        return sorted(instance["LifecycleState"] for instance in group["Instances"])

    @property
    def instance(self) -> str:
        told = self._client.describe_auto_scaling_instances()["AutoScalingInstances"]
        (instance,) = [each for each in told if each["AutoScalingGroupName"] == self.name]
        return str(instance["InstanceId"])

    @property
    def hooks(self) -> list[str]:
        told = self._client.describe_lifecycle_hooks(AutoScalingGroupName=self.name)["LifecycleHooks"]
        return sorted(each["LifecycleHookName"] for each in told)

    def reaches(self, *states: str) -> None:
        until(lambda: self.states == sorted(states))


def refused(account: Account) -> set[tuple[str, str]]:
    """What IAM refused to whom, so far."""
    lines = (account.logs / TRAIL).read_text(encoding="utf-8").splitlines()
    told = [json.loads(line) for line in lines]
    return {(each["principal"], each["action"]) for each in told if each["decision"] != "Allow"}


def versions(account: Account) -> FileVersionsTable:
    """Of the hooks file."""
    (stack,) = account.client("cloudformation").describe_stacks()["Stacks"]
    (table,) = [each["OutputValue"] for each in stack["Outputs"] if each["OutputKey"] == "TableName"]
    return FileVersionsTable(account.client("dynamodb"), table)


def test_usher_is_installed_applied_changed_taken_back_and_removed(
    account: Account, people: dict[str, Person]
) -> None:
    ours, others = Group(account, "ours", usher="managed"), Group(account, "others", usher="theirs")
    installer, applier, operator, reader = (people[kind] for kind in KINDS)
    hooks = installer.installed.app / "hooks.yaml"

    def apply(enters: str, version: int) -> None:
        hooks.write_text(HOOKS.format(enters=enters, managed=MANAGED), encoding="utf-8")
        applier.usher("apply", "hooks.yaml", "--reason", f"version {version}", "--yes")
        is_in_effect(version)

    def is_in_effect(version: int) -> None:
        applied = versions(account)  # of which the command tells, too, for half a second of a processor
        until(lambda: version in applied.schedule().in_effect(now()), within_s=A_CHANGE_S, every_s=1)
        assert reader.status()["hooks_file"] == f"version {version}"

    # An installation manages nothing.
    assert "manages nothing yet" in installer.usher("install", "--yes")
    status = reader.status()
    assert (status["problems"], status["code_is_this_release"]) == ([], True)
    assert status["hooks_file"] == "none yet"

    # A file takes effect: an instance is held, and released by policy.
    apply("elapsed: 3s", 1)
    until(lambda: ours.hooks == ["in", "out"], within_s=A_CHANGE_S, every_s=2)
    assert others.hooks == []
    ours.resize(1)
    ours.reaches("Pending:Wait")
    ours.reaches("InService")

    # The policy is changed: what launches now waits for a signal; what is in service is left alone.
    apply("signal: ready", 2)
    ours.resize(2)
    ours.reaches("InService", "Pending:Wait")
    (waiting,) = json.loads(reader.usher("list", "--json"))["actions"]
    assert (waiting["group"], waiting["hook"]) == ("ours", "in")
    operator.usher("signal", waiting["instance_id"], "ready", "--reason", "it is")
    ours.reaches("InService", "InService")

    # And taken back.
    applier.usher("apply", "--rollback", "--reason", "version 2 was wrong", "--yes")
    is_in_effect(3)
    ours.resize(3)
    ours.reaches("InService", "InService", "InService")

    # Nothing was refused, to anybody. By its role, Usher may put hooks by the tag alone.
    assert refused(account) == set()
    with pytest.raises(ClientError, match="autoscaling:PutLifecycleHook"):
        as_the_sweep(account).put_lifecycle_hook(
            AutoScalingGroupName="others",
            LifecycleHookName="in",
            LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        )

    # It goes, with instances waiting: they are released.
    installer.usher("upgrade", "--yes")
    ours.resize(1)
    ours.reaches("InService", "Terminating:Wait", "Terminating:Wait")
    installer.usher("uninstall", "--yes")
    ours.reaches("InService")
    assert ours.hooks == []
    assert account.client("cloudformation").describe_stacks()["Stacks"] == []
    assert account.client("s3").list_buckets()["Buckets"] == []
    installer.usher("uninstall")


def as_the_sweep(account: Account) -> Any:
    roles = account.client("iam").list_roles()["Roles"]
    (role,) = [each["Arn"] for each in roles if each["RoleName"].startswith("Usher-SweepRole")]
    return account.client_as(role, "autoscaling")
