"""`usher status`: DynamoDB and CloudWatch are moto's, CloudFormation and Lambda are in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.factories import at
from tests.unit.test_install import BUCKET, Cloud, a_release, cloud, trouble
from usher.aws import table
from usher.aws.enrolled import EnrolledHooks
from usher.core.file_versions import NO_VERSION
from usher.core.hook_items import FileInForce
from usher_cli.install.release import command_version

if TYPE_CHECKING:
    from click.testing import Result

__all__ = ["cloud"]  # a fixture

VERSION: Final = command_version()


@dataclass
class Lambda:
    """A client: every function has the same code."""

    sha256: str
    hooks_from: str = "table"

    def get_function_configuration(self, **_: Any) -> dict[str, Any]:
        return {
            "CodeSha256": self.sha256,
            "Environment": {"Variables": {"USHER_HOOKS_FROM": self.hooks_from}},
        }


@pytest.fixture
def installed(cloud: Cloud) -> Cloud:
    cloud.release = a_release(VERSION)
    cloud.clients["lambda"] = Lambda(cloud.release.code_sha256)
    cloud.client("dynamodb").create_table(**table.definition("records"))
    cloud.stack.outputs = {"Version": VERSION, "TableName": "records", "IntakeArn": "arn:intake"}
    cloud.stack.stands(CodeBucket=BUCKET, CodeKey="k", TagValue="managed")
    return cloud


def told(result: Result) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(result.stdout)
    return data


def test_where_all_fits_it_ends_with_0(installed: Cloud) -> None:
    result = installed.usher("status")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "stack                 Usher in us-east-1, CREATE_COMPLETE",
        f"command               {VERSION}",
        f"code                  {VERSION}, of this release",
        "hooks file            none yet, from the table",
        "retiring hooks        none",
        "alarms                none",
        f"  CodeBucket          {BUCKET}",
        "  CodeKey             k",
        "  TagValue            managed",
    ]


def test_json_has_the_same(installed: Cloud) -> None:
    status = told(installed.usher("status", "--json"))
    assert status == {
        "stack": "Usher",
        "region": "us-east-1",
        "stack_status": "CREATE_COMPLETE",
        "command_version": VERSION,
        "code_version": VERSION,
        "code_sha256": installed.release.code_sha256,
        "code_is_this_release": True,
        "hooks_from": "table",
        "hooks_file": "none yet",
        "hooks_digest": NO_VERSION.file.digest,
        "own_groups": [],
        "hooks_file_differs": None,
        "retiring_hooks": [],
        "parameters": {"CodeBucket": BUCKET, "CodeKey": "k", "TagValue": "managed"},
        "alarms": [],
        "problems": [],
    }


def test_another_version_than_the_command_does_not_fit(installed: Cloud) -> None:
    installed.stack.outputs["Version"] = "9.9.9"
    installed.stack.stands(CodeBucket=BUCKET, CodeKey="k")
    result = installed.usher("status")
    assert result.exit_code == 1
    assert f"The command is {VERSION} and Usher 9.9.9: run `usher upgrade`" in result.stdout


def test_other_code_than_the_releases_does_not_fit(installed: Cloud) -> None:
    installed.clients["lambda"] = Lambda("somebody changed it")
    result = installed.usher("status", "--json")
    assert (result.exit_code, told(result)["code_is_this_release"]) == (1, False)
    assert told(result)["problems"] == ["The code is not that of this release: run `usher upgrade`."]


@pytest.mark.parametrize(
    ("name", "key", "maker"),
    [("Usher", f"usher/{'ab' * 32}.zip", "Terraform"), ("StackSet-Usher-0f3c", "k", "a StackSet")],
)
def test_what_another_one_made_is_not_sent_to_upgrade_or_uninstall(
    installed: Cloud, name: str, key: str, maker: str
) -> None:
    installed.stack.outputs["Version"] = "9.9.9"
    installed.stack.stands(CodeBucket=BUCKET, CodeKey=key)
    assert installed.stack.stack is not None
    installed.stack.stack["StackName"] = name
    records = EnrolledHooks(installed.client("dynamodb"), "records", lambda: at(0), 50)
    records.put_in_force(FileInForce(digest="abc", is_closing=True))
    problems = told(installed.usher("status", "--stack", name, "--json"))["problems"]
    assert problems == [
        (
            f"The command is {VERSION} and Usher 9.9.9: upgrade it by what made it ({maker}), or install "
            "usher-hooks 9.9.9."
        ),
        f"Usher is being removed: remove it by what made it ({maker}) again to finish that.",
    ]
    installed.stack.outputs["Version"] = VERSION
    installed.stack.stands(CodeBucket=BUCKET, CodeKey=key)
    installed.stack.stack["StackName"] = name
    installed.clients["lambda"] = Lambda("somebody changed it")
    installed.client("dynamodb").delete_table(TableName="records")
    code, gone = told(installed.usher("status", "--stack", name, "--json"))["problems"]
    assert code == f"The code is not that of this release: upgrade it by what made it ({maker})."
    assert gone.endswith(f"Only without a backup, remove it by what made it ({maker}), and deploy it again.")


def rings(cloud: Cloud, name: str) -> None:
    """An alarm of that name, which rings."""
    rule = {"MetricName": "m", "Namespace": "n", "Period": 60, "ComparisonOperator": "GreaterThanThreshold"}
    client = cloud.client("cloudwatch")
    client.put_metric_alarm(AlarmName=name, Statistic="Sum", EvaluationPeriods=1, Threshold=1, **rule)
    client.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")


def test_the_alarms_of_the_stack_that_ring_are_named_and_no_others(installed: Cloud) -> None:
    for name in ("no-sweep", "somebody-elses"):
        rings(installed, name)
    result = installed.usher("status", "--json")
    assert (result.exit_code, told(result)["alarms"]) == (1, ["no-sweep"])


def test_of_a_stack_of_the_cdk_it_tells_the_hash_of_the_compiled_file(installed: Cloud) -> None:
    installed.clients["lambda"] = Lambda("any", hooks_from="asset")
    installed.stack.stands()
    records = EnrolledHooks(installed.client("dynamodb"), "records", lambda: at(0), 50)
    records.put_in_force(FileInForce(digest="abc"))
    status = told(installed.usher("status", "--json"))
    assert (status["hooks_from"], status["hooks_file"]) == ("asset", "abc")
    assert (status["code_is_this_release"], status["problems"]) == (None, [])


def test_a_removal_that_was_cut_off_does_not_fit(installed: Cloud) -> None:
    records = EnrolledHooks(installed.client("dynamodb"), "records", lambda: at(0), 50)
    records.put_in_force(FileInForce(digest="abc", is_closing=True))
    problems = told(installed.usher("status", "--json"))["problems"]
    assert problems == ["Usher is being removed: run `usher uninstall` again to finish that."]


def test_of_a_stack_whose_removal_failed_it_tells_what_can_be_told(installed: Cloud) -> None:
    installed.stack.stands(CodeBucket=BUCKET, CodeKey="k")
    assert installed.stack.stack is not None
    installed.stack.stack["StackStatus"] = "DELETE_FAILED"
    del installed.clients["lambda"]  # the function is gone
    result = installed.usher("status")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert (lines[2], lines[3]) == (f"code                  {VERSION}", "hooks file            unknown")
    assert lines[-1] == "The stack is DELETE_FAILED: its events say why."


def test_a_table_that_is_gone_is_told_and_the_rest_too(installed: Cloud) -> None:
    installed.client("dynamodb").delete_table(TableName="records")
    result = installed.usher("status", "--json")
    (problem,) = told(result)["problems"]
    assert problem.startswith("Table records is gone: restore it under this name")
    assert (result.exit_code, told(result)["code_is_this_release"], told(result)["alarms"]) == (1, True, [])


def test_a_half_created_stack_is_told(installed: Cloud) -> None:
    installed.stack.stands("ROLLBACK_COMPLETE", CodeBucket=BUCKET)
    assert "The stack is ROLLBACK_COMPLETE: its events say why." in installed.usher("status").stdout


def test_where_there_is_none_it_says_how_to_install(cloud: Cloud) -> None:
    assert trouble(cloud.usher("status")).startswith(
        "There is no stack Usher in us-east-1: run `usher install`"
    )
