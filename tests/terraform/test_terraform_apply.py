"""The module and the examples, validated and applied on the local account by a real Terraform."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.terraform_files import EXAMPLES, hooks
from usher.core.compiled import compiled
from usher_cdk.bundle import build
from usher_cdk.installable import installable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.terraform.conftest import Terraform
    from usher_local.account import Account

NAMES = sorted(file.parent.name for file in EXAMPLES.glob("*/main.tf"))
SUBNETS = {"CidrBlock": "10.0.0.0/24", "AvailabilityZone": "us-east-1a"}


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_formatted_and_valid(terraform: Callable[[str], Terraform], name: str) -> None:
    one = terraform(name)
    one.run("fmt", "-check", "-recursive", "../..")
    one.init()
    one.run("validate")


def test_the_module_deploys_the_controller_and_destroys_it(
    terraform: Callable[[str], Terraform], account: Account, tmp_path: Path
) -> None:
    one = terraform("controller")
    (one.folder / "dist").mkdir()
    build(tmp_path / "asset", compiled({"version": 1, "policies": {}, "hooks": []}))
    shutil.make_archive(str(one.folder / "dist" / "usher-functions-0.1.0"), "zip", tmp_path / "asset")
    template = one.folder / "dist" / "usher-0.1.0.template.json"
    template.write_text(json.dumps(installable()), encoding="utf-8")
    account.client("s3").create_bucket(Bucket="our-releases")
    one.init()
    one.apply()
    (stack,) = account.client("cloudformation").describe_stacks(StackName="Usher")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert {each["OutputKey"] for each in stack["Outputs"]} >= {"TableName", "InboxArn", "Version"}
    one.run("destroy", "-auto-approve")


def test_the_hooks_of_the_examples_stand_on_their_groups_and_a_second_plan_is_empty(
    terraform: Callable[[str], Terraform], account: Account
) -> None:
    ec2, groups = account.client("ec2"), account.client("autoscaling")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, **SUBNETS)["Subnet"]["SubnetId"]
    image = {"ImageId": "ami-00000000000000001", "InstanceType": "t4g.nano"}
    made = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=image)
    template = made["LaunchTemplate"]["LaunchTemplateId"]
    groups.create_auto_scaling_group(
        AutoScalingGroupName="jobs-green",
        MinSize=0,
        MaxSize=1,
        VPCZoneIdentifier=subnet,
        LaunchTemplate={"LaunchTemplateId": template},
    )

    for name in ("new-group", "existing-group"):
        one = terraform(name)
        one.init()
        variables = {"launch_template": template, "subnets": json.dumps([subnet])}
        one.apply(**(variables if name == "new-group" else {}))
        for group, hook, settings in hooks(EXAMPLES / name / "main.tf"):
            found: dict[str, Any] = groups.describe_lifecycle_hooks(
                AutoScalingGroupName=group, LifecycleHookNames=[hook]
            )["LifecycleHooks"][0]
            assert found["HeartbeatTimeout"] == settings.heartbeat_timeout.total_seconds()
            assert found["DefaultResult"] == settings.default_result
            assert found.get("NotificationTargetARN") is None
