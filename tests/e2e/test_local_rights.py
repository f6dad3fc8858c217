"""The local account: conditions on a group's tags, and concurrency and visibility as deployed."""

from __future__ import annotations

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.e2e.polling import until
from usher_local.account import Account, Setup, open_account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRUST: Final = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111122223333:root", "Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
OURS: Final = {"StringEquals": {"aws:ResourceTag/team": "web"}}
SLOW: Final = """\
import pathlib
def handler(event, context):
    folder = pathlib.Path(event["folder"])
    (folder / event["name"]).touch()
    while not (folder / "go on").exists():
        pass
    return event["name"]
"""


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with open_account(Setup(auth=True)) as opened:
        yield opened


def a_role(account: Account, name: str, *statements: dict[str, Any]) -> str:
    iam = account.client("iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
    return str(role["Arn"])


def a_group(account: Account, name: str, **tags: str) -> None:
    account.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=1,
        LaunchTemplate={"LaunchTemplateName": "any", "Version": "1"},
        AvailabilityZones=["us-east-1a"],
        Tags=[
            {"ResourceId": name, "ResourceType": "auto-scaling-group", "Key": key, "Value": value}
            for key, value in tags.items()
        ],
    )


def test_a_role_may_change_the_groups_that_have_its_tag(account: Account) -> None:
    allowed = {"Effect": "Allow", "Action": "autoscaling:SetDesiredCapacity", "Resource": "*"}
    role = a_role(account, "scaler", allowed | {"Condition": OURS})
    a_group(account, "ours", team="web")
    a_group(account, "others", team="data")
    scaling = account.client_as(role, "autoscaling")
    scaling.set_desired_capacity(AutoScalingGroupName="ours", DesiredCapacity=0)
    with pytest.raises(ClientError, match="AccessDenied"):
        scaling.set_desired_capacity(AutoScalingGroupName="others", DesiredCapacity=0)
    tag = {"ResourceId": "others", "ResourceType": "auto-scaling-group", "Key": "team", "Value": "web"}
    account.client("autoscaling").create_or_update_tags(Tags=[tag])
    scaling.set_desired_capacity(AutoScalingGroupName="others", DesiredCapacity=0)


def test_a_function_runs_as_often_at_once_as_is_reserved_for_it(account: Account, tmp_path: Path) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as packed:
        packed.writestr("slow.py", SLOW)
    functions = account.client("lambda")
    functions.create_function(
        FunctionName="slow",
        Runtime="python3.13",
        Role=a_role(account, "slow", {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}),
        Handler="slow.handler",
        Code={"ZipFile": code.getvalue()},
        Timeout=60,
        MemorySize=512,
    )
    functions.put_function_concurrency(FunctionName="slow", ReservedConcurrentExecutions=1)

    def invoke(name: str) -> Any:
        payload = json.dumps({"folder": str(tmp_path), "name": name})
        return account.client("lambda").invoke(FunctionName="slow", Payload=payload)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(invoke, "first")
        until((tmp_path / "first").exists)
        with pytest.raises(ClientError, match="TooManyRequestsException"):
            invoke("second")
        (tmp_path / "go on").touch()
        assert json.load(first.result()["Payload"]) == "first"
    assert not (tmp_path / "second").exists()


def test_a_message_that_was_received_is_invisible_as_long_as_its_queue_says(account: Account) -> None:
    sqs = account.client("sqs")
    url = sqs.create_queue(QueueName="seen", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "x"
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    again = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)
    assert again["Messages"][0]["Body"] == "x"
