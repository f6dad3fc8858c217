"""`usher install`, `upgrade` and `uninstall`: S3 and STS are moto's, CloudFormation is in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from click.testing import CliRunner
from moto import mock_aws

from tests.cloudformation import MemoryCloudFormation, refused
from tests.factories import a_policy, an_action, at, hook_terms
from tests.unit.test_account import NOBODYS
from usher.aws import table
from usher.aws.records import RecordTable
from usher.core.policy import Mode
from usher.ports.records import Raw
from usher_cdk.parameters import PARAMETERS
from usher_cli.account import Machine, Place, Trouble
from usher_cli.install.release import Release, read_release
from usher_cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

REGION: Final = "us-east-1"
KEYS: Final = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
ACCOUNT: Final = "123456789012"
BUCKET: Final = f"usher-{ACCOUNT}-{REGION}-{sha256(b'Usher').hexdigest()[:8]}"
ADDED: Final = {"Action": "Add", "ResourceType": "AWS::SNS::Topic", "LogicalResourceId": "Topic1"}
CODE: Final = b"the functions"
OURS: Final = {"CodeBucket": "b", "CodeKey": "k"}
TERRAFORMS: Final = OURS | {"CodeKey": f"usher/Usher/{'0123456789abcdef' * 4}.zip"}  # as terraform/main.tf
BOUNDARY: Final = (
    "User: ann is not authorized to perform: iam:CreateRole because no permissions boundary allows it"
)
RAW: Final = Raw(received_at=at(0), body="{}")


def a_release(version: str = "1.2.3") -> Release:
    template = json.dumps({"Parameters": {name: {} for name in (*PARAMETERS, "New")}})
    return Release(version=version, functions=CODE, template=template.encode())


@cache
def shared_client(service: str) -> Any:
    return boto3.client(service, region_name=REGION, **KEYS)


@dataclass
class Cloud:
    """An account in which Usher is installed, or is to be."""

    stack: MemoryCloudFormation = field(
        default_factory=lambda: MemoryCloudFormation(changes=[ADDED], outputs={"Version": "1.2.3"})
    )
    release: Release = field(default_factory=a_release)
    failing: dict[str, Exception] = field(default_factory=dict)  # by service: no client can be made
    clients: dict[str, Any] = field(default_factory=dict)  # by service, instead of moto's
    called: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)  # of moto's clients
    refused: dict[str, Exception] = field(default_factory=dict)  # by operation of S3
    policies: list[dict[str, Any]] = field(
        default_factory=list
    )  # of buckets: moto takes every Deny at its word

    def client(self, service: str) -> Any:
        """It calls this cloud, and no more that of the test before."""
        shared = shared_client(service)
        shared.meta.events.unregister("before-call", unique_id="cloud")
        shared.meta.events.register("before-call", self._before, unique_id="cloud")
        return shared

    def _before(self, model: Any, params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]] | None:
        self.called.append((model, params))
        if model.name in self.refused:
            raise self.refused[model.name]
        if model.name != "PutBucketPolicy":
            return None
        self.policies.append(json.loads(params["body"]))
        return AWSResponse("", 204, {}, None), {}

    def open_client(self, _: Place, service: str) -> Any:
        if service in self.failing:
            raise self.failing[service]
        made = self.stack if service == "cloudformation" else self.clients.get(service)
        return made or self.client(service)

    def machine(self) -> Machine:
        return Machine(
            clock=lambda: at(0),
            new_id=lambda: "1",
            wait=lambda _: None,
            open_client=self.open_client,
            release=self.release,
        )

    def usher(self, *words: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(main, words, obj=self.machine(), input=answer)

    @property
    def buckets(self) -> list[str]:
        return [each["Name"] for each in self.client("s3").list_buckets()["Buckets"]]

    @property
    def keys(self) -> list[str]:
        listed = self.client("s3").list_objects_v2(Bucket=BUCKET)
        return sorted(each["Key"] for each in listed.get("Contents", []))

    def given(self) -> dict[str, Any]:
        """The parameters of the last change set; True: as before."""
        asked = self.stack.told("create_change_set")["Parameters"]
        return {one["ParameterKey"]: one.get("ParameterValue", True) for one in asked}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield Cloud()


@pytest.fixture
def installed(cloud: Cloud) -> Cloud:
    assert cloud.usher("install", "--yes").exit_code == 0
    cloud.stack.calls.clear()
    return cloud


def trouble(result: Result) -> str:
    """The one line of a command that ended with 2."""
    assert result.exit_code == 2, result.output
    (line,) = [each for each in result.stderr.splitlines() if each.startswith("Error: ")]
    return line.removeprefix("Error: ")


def test_it_makes_a_private_encrypted_versioned_bucket_and_uploads_by_content(cloud: Cloud) -> None:
    result = cloud.usher("install", "--yes")
    assert result.exit_code == 0, result.output
    s3 = cloud.client("s3")
    assert cloud.buckets == [BUCKET]
    blocked = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    ((statement,),) = [policy["Statement"] for policy in cloud.policies]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    functions, template = f"usher/1.2.3/functions-{sha256(CODE).hexdigest()}.zip", cloud.keys[1]
    assert cloud.keys == [functions, template]
    asked = cloud.stack.told("create_change_set")
    assert asked["TemplateURL"] == f"https://s3.amazonaws.com/{BUCKET}/{template}"
    assert (asked["ChangeSetType"], asked["Capabilities"]) == ("CREATE", ["CAPABILITY_IAM"])
    assert cloud.given() == {"CodeBucket": BUCKET, "CodeKey": functions}


def test_it_shows_the_change_asks_and_says_what_to_do_next(cloud: Cloud) -> None:
    result = cloud.usher("install", answer="y\n")
    assert result.stdout.startswith("Add     AWS::SNS::Topic  Topic1\n1 resource: 1 added.\n")
    assert f"Install Usher 1.2.3 as stack Usher in {REGION}, account {ACCOUNT}? [y/N]" in result.stderr
    assert 'usher apply my-hooks.yaml --reason "first hooks"' in result.stdout


def test_what_is_not_confirmed_leaves_nothing_behind(cloud: Cloud) -> None:
    result = cloud.usher("install", answer="n\n")
    assert (result.exit_code, cloud.buckets, cloud.stack.stack) == (1, [], None)
    assert "execute_change_set" not in [name for name, _ in cloud.stack.calls]


def test_a_failed_creation_leaves_nothing_behind_and_says_why(cloud: Cloud) -> None:
    cloud.stack.ends = ("ROLLBACK_COMPLETE", "the role is no good.")
    said = trouble(cloud.usher("install", "--yes"))
    why = "IntakeFunction: the role is no good"
    assert said == f"The installation failed, and nothing is left of it: {why}."
    assert (cloud.buckets, cloud.stack.stack) == ([], None)


def test_nor_does_it_leave_the_bucket_of_an_installation_that_was_cut_off_before(cloud: Cloud) -> None:
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    assert cloud.usher("install", answer="n\n").exit_code == 1
    assert cloud.buckets == []


def test_a_failed_creation_leaves_a_bucket_of_the_users(cloud: Cloud) -> None:
    cloud.client("s3").create_bucket(Bucket="ours")
    cloud.stack.ends = ("ROLLBACK_COMPLETE", "no")
    assert cloud.usher("install", "--yes", "--bucket", "ours").exit_code == 2
    assert cloud.buckets == ["ours"]


def test_a_permissions_boundary_that_forbids_is_told_with_what_to_do(cloud: Cloud) -> None:
    cloud.stack.ends = ("ROLLBACK_COMPLETE", BOUNDARY)
    assert "by --permissions-boundary" in trouble(cloud.usher("install", "--yes"))


def test_ctrl_c_leaves_cloudformation_at_work_and_says_so(cloud: Cloud) -> None:
    def interrupted() -> None:
        cloud.stack.stands("CREATE_IN_PROGRESS")
        raise KeyboardInterrupt

    cloud.stack.on_execute = interrupted
    result = cloud.usher("install", "--yes")
    assert result.exit_code == 130
    assert "CloudFormation goes on with stack Usher in us-east-1: `usher status` tells" in result.stderr
    assert cloud.buckets == [BUCKET]  # CloudFormation reads from it
    assert "delete_stack" not in [name for name, _ in cloud.stack.calls]


@pytest.mark.parametrize(
    ("command", "status", "parameters", "says"),
    [
        ("install", "CREATE_COMPLETE", OURS, "run `usher upgrade`"),
        ("install", "CREATE_COMPLETE", {}, "that `usher install` did not make: give another name by --stack"),
        ("install", "UPDATE_IN_PROGRESS", OURS, "(UPDATE_IN_PROGRESS): try again when it is done"),
        ("install", "ROLLBACK_COMPLETE", OURS, "run `usher uninstall`, then this again"),
        ("install", "DELETE_FAILED", OURS, "run `usher uninstall`, then this again"),
        ("install", "CREATE_COMPLETE", TERRAFORMS, "upgrade it by what made it (Terraform), or give another"),
        ("install", "DELETE_FAILED", TERRAFORMS, "remove it by what made it (Terraform), then this again"),
        ("upgrade", None, {}, "There is no stack Usher in us-east-1: run `usher install`"),
        (
            "upgrade",
            "CREATE_COMPLETE",
            {},
            "`usher install` did not make stack Usher in us-east-1, but the CDK",
        ),
        ("upgrade", "UPDATE_IN_PROGRESS", OURS, "try again when it is done"),
        ("upgrade", "ROLLBACK_COMPLETE", OURS, "A failed installation left stack Usher"),
        ("upgrade", "UPDATE_ROLLBACK_FAILED", OURS, "The rollback of stack Usher in us-east-1 failed"),
    ],
)
def test_a_stack_that_is_not_as_the_command_needs_it_is_left_alone(
    cloud: Cloud, command: str, status: str | None, parameters: dict[str, str], says: str
) -> None:
    if status is not None:
        cloud.stack.stands(status, **parameters)
    assert says in trouble(cloud.usher(command, "--yes"))
    assert "create_change_set" not in [name for name, _ in cloud.stack.calls]
    assert cloud.buckets == []


OF_A_STACK_SET: Final = "StackSet-Usher-0f3c6e0a-1111-2222-3333-444455556666"


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE", "ROLLBACK_COMPLETE", "DELETE_FAILED"])
@pytest.mark.parametrize(
    ("command", "does"), [("upgrade", "upgrade it by that"), ("uninstall", "remove it by that")]
)
@pytest.mark.parametrize(
    ("name", "parameters", "maker"),
    [("Usher", TERRAFORMS, "Terraform"), (OF_A_STACK_SET, OURS, "a StackSet")],
    ids=["Terraform", "a StackSet"],
)
def test_what_another_one_made_of_the_same_template_is_left_to_that(
    cloud: Cloud, command: str, does: str, status: str, name: str, parameters: dict[str, str], maker: str
) -> None:
    """The next apply, or update of the StackSet, would take it back; or make again what was removed."""
    cloud.stack.stands(status, **parameters)
    assert cloud.stack.stack is not None
    cloud.stack.stack["StackName"] = name
    said = trouble(cloud.usher(command, "--yes", "--stack", name))
    assert said.startswith(
        f"`usher install` did not make stack {name} in us-east-1, but {maker} did: {does}."
    )
    called = {operation for operation, _ in cloud.stack.calls}
    assert not called & {"create_change_set", "delete_stack"}
    assert cloud.buckets == []


def test_a_name_of_a_stack_set_is_not_taken(cloud: Cloud) -> None:
    said = trouble(cloud.usher("install", "--yes", "--stack", OF_A_STACK_SET))
    assert said.startswith("A name that begins with StackSet- is for stacks of a StackSet: give another")
    assert (cloud.stack.calls, cloud.buckets) == ([], [])


def test_an_installation_that_nobody_confirmed_is_begun_again(cloud: Cloud) -> None:
    cloud.stack.stands("REVIEW_IN_PROGRESS")
    assert cloud.usher("install", "--yes").exit_code == 0


def test_a_bucket_that_was_cut_off_before_its_tag_is_taken(cloud: Cloud) -> None:
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    assert cloud.usher("install", "--yes").exit_code == 0
    assert cloud.client("s3").get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"


def test_a_bucket_with_somebodys_objects_is_not_taken(cloud: Cloud) -> None:
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    cloud.client("s3").put_object(Bucket=BUCKET, Key="mine", Body=b"")
    assert "name a bucket of yours" in trouble(cloud.usher("install", "--yes"))
    assert cloud.keys == ["mine"]


def test_a_bucket_that_is_not_there_is_not_made(cloud: Cloud) -> None:
    assert "There is no bucket ours: make it in us-east-1" in trouble(
        cloud.usher("install", "--bucket", "ours")
    )
    assert cloud.buckets == []


def test_a_bucket_in_another_region_is_refused(cloud: Cloud) -> None:
    where = {"LocationConstraint": "eu-west-1"}
    cloud.client("s3").create_bucket(Bucket="ours", CreateBucketConfiguration=where)
    said = trouble(cloud.usher("install", "--yes", "--bucket", "ours"))
    assert said.startswith("Bucket ours is in eu-west-1, and Usher is to be in us-east-1:")


def test_a_bucket_of_another_account_is_refused(cloud: Cloud) -> None:
    cloud.refused["HeadBucket"] = refused("HeadBucket", "403", "Forbidden")
    said = trouble(cloud.usher("install", "--yes", "--bucket", "theirs"))
    assert said.startswith("Bucket theirs is of another account, or you may not use it (s3:ListBucket):")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--tag-value", "a,b"], "Invalid value for '--tag-value': must be 1 to 256 letters, digits, spaces"),
        (["--alarm-email", "ops"], "Invalid value for '--alarm-email': must be an email address, got 'ops'"),
        (["--key-arn", "alias/x"], "Invalid value for '--key-arn': must be the ARN of a KMS key"),
        (["--role-path", "ops"], "Invalid value for '--role-path': must be / or a path"),
        (["--function-arn", "ready"], "Invalid value for '--function-arn': must be the ARN of a Lambda"),
        (
            ["--cluster-arn", "arn:aws:ecs:*:1:x"],
            "Invalid value for '--cluster-arn': must be the ARN of an ECS",
        ),
        (["--stack", "a b"], "Invalid value for '--stack': must have 1 to 128 letters, digits and hyphens"),
        (["--calls-per-second", "0"], "Invalid value for '--calls-per-second'"),
        (["--log-retention-days", "8"], "Invalid value for '--log-retention-days'"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_is_made(
    cloud: Cloud, words: list[str], says: str
) -> None:
    assert trouble(cloud.usher("install", "--yes", *words)).startswith(says)
    assert cloud.buckets == []


@pytest.mark.parametrize(("length", "is_taken"), [(5000, True), (5001, False)])
def test_the_arns_together_fit_into_the_policy_of_a_role(cloud: Cloud, length: int, is_taken: bool) -> None:
    begins = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"
    arns = [f"{begins}a", begins.ljust(length - len(begins) - len("a,"), "b")]
    words = [word for arn in arns for word in ("--function-arn", arn)]
    result = cloud.usher("install", "--yes", *words)
    assert (result.exit_code == 0) is is_taken, result.stderr
    if not is_taken:
        assert "The ARNs have 5,001 characters together, and a role's policy has room for 5,000" in trouble(
            result
        )


def test_every_option_becomes_its_parameter(cloud: Cloud) -> None:
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"
    given = {
        "TagValue": ["--tag-value", "production"],
        "AlarmEmail": ["--alarm-email", "ops@example.com"],
        "KeyArn": ["--key-arn", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"],
        "LogRetentionDays": ["--log-retention-days", "90"],
        "PermissionsBoundary": ["--permissions-boundary", f"arn:aws:iam::{ACCOUNT}:policy/bound"],
        "RolePath": ["--role-path", "/ops/"],
        "CallsPerSecond": ["--calls-per-second", "2.5"],
        "DocumentArns": ["--document-arn", f"arn:aws:ssm:{REGION}::document/AWS-RunShellScript"],
        "ClusterArns": ["--cluster-arn", f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/*"],
    }
    words = [word for option in given.values() for word in option]
    both = ["--function-arn", f"{function}a", "--function-arn", f"{function}b", "--no-dashboard"]
    assert cloud.usher("install", "--yes", *words, *both).exit_code == 0
    expected = {name: option[1] for name, option in given.items()}
    expected |= {"FunctionArns": f"{function}a,{function}b", "Dashboard": "no"}
    assert {name: value for name, value in cloud.given().items() if not name.startswith("Code")} == expected


# -- upgrade


@pytest.mark.parametrize("option", ["--key-arn", "--role-path"])
def test_what_cannot_be_changed_is_no_option_of_an_upgrade(installed: Cloud, option: str) -> None:
    """Queues and table would have another key before the roles have the right to use it."""
    result = installed.usher("upgrade", "--yes", option, "any")
    assert (result.exit_code, f"No such option '{option}'" in result.stderr) == (2, True)


def test_an_upgrade_keeps_what_is_not_given(installed: Cloud) -> None:
    installed.release = a_release("1.3.0")
    result = installed.usher("upgrade", "--yes", "--alarm-email", "ops@example.com")
    assert result.exit_code == 0, result.output
    given = installed.given()
    assert given == {"CodeBucket": True, "AlarmEmail": "ops@example.com", "CodeKey": given["CodeKey"]}
    assert given["CodeKey"].startswith("usher/1.3.0/functions-")
    assert installed.stack.told("create_change_set")["ChangeSetType"] == "UPDATE"


def test_a_parameter_that_the_release_has_no_more_is_left_out(installed: Cloud) -> None:
    installed.stack.stands(**installed.stack.parameters, Former="value")
    assert installed.usher("upgrade", "--yes").exit_code == 0
    assert set(installed.given()) == {"CodeBucket", "CodeKey"}


def test_where_nothing_changes_that_is_all_it_says(installed: Cloud) -> None:
    installed.stack.changes = []
    result = installed.usher("upgrade")
    assert (result.exit_code, result.stdout) == (
        0,
        "Usher 1.2.3 is installed as asked for: nothing changes.\n",
    )
    assert "execute_change_set" not in [name for name, _ in installed.stack.calls]


def test_an_empty_arn_takes_the_list_away(installed: Cloud) -> None:
    assert installed.usher("upgrade", "--yes", "--function-arn", "").exit_code == 0
    assert installed.given()["FunctionArns"] == ""


def test_an_upgrade_is_followed_also_where_cloudformation_begins_late(installed: Cloud) -> None:
    """Right after the call the status is still that of before, which is no end."""
    installed.stack.looks_before_it_begins = 3
    result = installed.usher("upgrade", "--yes")
    assert (result.exit_code, installed.stack.looks_before_it_begins) == (0, -1), result.output


def test_a_failed_upgrade_says_why_and_what_stands(installed: Cloud) -> None:
    installed.stack.ends = ("UPDATE_ROLLBACK_COMPLETE", "no")
    said = trouble(installed.usher("upgrade", "--yes"))
    assert said == "The upgrade failed, and the stack is UPDATE_ROLLBACK_COMPLETE: IntakeFunction: no."
    assert installed.buckets == [BUCKET]


def test_an_upgrade_that_nobody_confirms_leaves_no_change_set(installed: Cloud) -> None:
    assert installed.usher("upgrade", answer="n\n").exit_code == 1
    assert [name for name, _ in installed.stack.calls][-1] == "delete_change_set"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("RecordsTable1", "AWS::DynamoDB::Table"),
        ("HookRole1", "AWS::IAM::Role"),
        ("Topic1", "AWS::SNS::Topic"),
    ],
)
def test_what_hooks_need_is_never_replaced(installed: Cloud, name: str, kind: str) -> None:
    change = {"Action": "Modify", "ResourceType": kind, "LogicalResourceId": name, "Replacement": "True"}
    installed.stack.changes = [change]
    assert trouble(installed.usher("upgrade", "--yes")).startswith(f"That replaces {name}, which hooks")
    assert "execute_change_set" not in [name for name, _ in installed.stack.calls]


def test_an_older_command_does_not_go_back_by_itself(installed: Cloud) -> None:
    installed.release = a_release("1.2.2")
    assert trouble(installed.usher("upgrade", "--yes")).startswith(
        "Usher 1.2.3 is installed, and this command is 1.2.2: install usher-hooks 1.2.3 or later"
    )
    assert installed.usher("upgrade", "--yes", "--allow-older").exit_code == 0


def test_an_upgrade_from_a_bucket_of_another_account_is_refused_before_any_change_set(
    installed: Cloud,
) -> None:
    """The name can be foreseen: whoever has made a bucket of it would say what Usher's roles run."""
    installed.refused["HeadBucket"] = refused("HeadBucket", "403", "Forbidden")
    said = trouble(installed.usher("upgrade", "--yes"))
    assert said.startswith(f"Bucket {BUCKET} is of another account, or you may not use it (s3:ListBucket):")
    assert "create_change_set" not in [name for name, _ in installed.stack.calls]


def test_every_call_to_a_bucket_names_its_owner(installed: Cloud) -> None:
    """So S3 refuses also where the bucket changes hands between two calls."""
    installed.release = a_release("1.3.0")
    assert installed.usher("upgrade", "--yes").exit_code == 0
    assert installed.usher("uninstall", "--yes").exit_code == 0
    owners = {
        (model.name, params["headers"].get("x-amz-expected-bucket-owner"))
        for model, params in installed.called
        if model.service_model.service_name == "s3" and model.name != "CreateBucket"
    }
    assert {owner for _, owner in owners} == {ACCOUNT}
    assert {"HeadBucket", "HeadObject", "PutObject", "DeleteObjects", "DeleteBucket"} <= {
        name for name, _ in owners
    }


def test_an_upgrade_makes_ushers_own_bucket_again_where_it_is_gone(installed: Cloud) -> None:
    empty(installed, BUCKET)
    result = installed.usher("upgrade", "--yes")
    assert (result.exit_code, installed.buckets, len(installed.keys)) == (0, [BUCKET], 2)
    assert (
        f"Made bucket {BUCKET} again, which was gone. It lacks the code of the release before"
        in result.stderr
    )
    assert installed.client("s3").get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert installed.given()["CodeBucket"] is True


def test_an_upgrade_whose_bucket_of_yours_is_gone_says_what_to_do(cloud: Cloud) -> None:
    cloud.client("s3").create_bucket(Bucket="ours")
    assert cloud.usher("install", "--yes", "--bucket", "ours").exit_code == 0
    empty(cloud, "ours")
    said = trouble(cloud.usher("upgrade", "--yes"))
    assert said == (
        "There is no bucket ours, from which stack Usher in us-east-1 has its code: make it again, or name a "
        "bucket of yours in this Region by --bucket."
    )
    assert cloud.buckets == []


def test_an_upgrade_takes_another_bucket(installed: Cloud) -> None:
    installed.client("s3").create_bucket(Bucket="ours")
    assert installed.usher("upgrade", "--yes", "--bucket", "ours").exit_code == 0
    assert installed.given()["CodeBucket"] == "ours"
    assert installed.stack.told("create_change_set")["TemplateURL"].startswith(
        "https://s3.amazonaws.com/ours/"
    )


def empty(cloud: Cloud, bucket: str) -> None:
    """Somebody deletes the bucket."""
    versions = cloud.client("s3").list_object_versions(Bucket=bucket)
    for each in [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]:
        cloud.client("s3").delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
    cloud.client("s3").delete_bucket(Bucket=bucket)


# -- uninstall


def test_it_removes_the_stack_and_the_bucket_with_all_versions(installed: Cloud) -> None:
    installed.client("s3").put_object(Bucket=BUCKET, Key=installed.keys[0], Body=b"another version")
    result = installed.usher("uninstall", "--yes")
    assert result.exit_code == 0, result.output
    assert (installed.buckets, installed.stack.stack) == ([], None)
    assert result.stdout.splitlines()[-1] == "  AWS::DynamoDB::Table  records"


def test_it_lists_what_waits_and_asks(installed: Cloud) -> None:
    records = records_of(installed)
    records.open(an_action(hook=hook_terms(name="gate", group="web")), RAW)
    assert "1 action is open, and is released" in installed.usher("uninstall", answer="n\n").stderr
    other = hook_terms(name="drain", group="workers")
    records.open(an_action(id="b", token="b", instance_id="i-b", hook=other), RAW)
    said = installed.usher("uninstall", answer="n\n").stderr.splitlines()
    released = "2 actions are open, and each is released with CONTINUE; one that launches goes into service"
    assert said[0] == f"{released} as it is:"
    assert sorted(said[1:3]) == ["  i-0f0e0d0c0b0a09080  web      gate", "  i-b  workers  drain"]


def test_what_is_only_observed_is_not_said_to_be_released(installed: Cloud) -> None:
    records_of(installed).open(an_action(policy=a_policy(mode=Mode.OBSERVE)), RAW)
    said = installed.usher("uninstall", answer="n\n").stderr.splitlines()
    assert said[:2] == ["No instance waits for Usher.", "Only observed: 1. Usher sends nothing for these."]


def records_of(installed: Cloud) -> RecordTable:
    dynamodb = installed.client("dynamodb")
    dynamodb.create_table(**table.definition("waiting"))
    installed.stack.outputs = {"Version": "1.2.3", "TableName": "waiting"}
    installed.stack.stands(**installed.stack.parameters)
    return RecordTable(dynamodb, "waiting", lambda: at(0))


def test_a_bucket_that_usher_did_not_make_stays(cloud: Cloud) -> None:
    cloud.client("s3").create_bucket(Bucket="ours")
    assert cloud.usher("install", "--yes", "--bucket", "ours").exit_code == 0
    assert cloud.usher("uninstall", "--yes").exit_code == 0
    assert cloud.buckets == ["ours"]


def test_the_bucket_that_usher_made_goes_also_where_an_upgrade_took_another_one(installed: Cloud) -> None:
    installed.client("s3").create_bucket(Bucket="ours")
    assert installed.usher("upgrade", "--yes", "--bucket", "ours").exit_code == 0
    result = installed.usher("uninstall", "--yes")
    assert (result.exit_code, installed.buckets) == (0, ["ours"])


def test_a_bucket_of_another_account_stays_and_is_told(installed: Cloud) -> None:
    installed.refused["GetBucketTagging"] = refused("GetBucketTagging", "AccessDenied", "Access Denied")
    result = installed.usher("uninstall", "--yes")
    assert (result.exit_code, installed.stack.stack, installed.buckets) == (0, None, [BUCKET])
    assert f"Bucket {BUCKET} stays: it is of another account, or you may not remove it.\n" in result.stderr


def test_a_deletion_that_fails_says_what_to_do_and_goes_on_the_next_time(installed: Cloud) -> None:
    installed.stack.ends = ("DELETE_FAILED", "2 actions could not be released yet")
    said = trouble(installed.usher("uninstall", "--yes"))
    assert said.startswith(
        "Provisioned: 2 actions could not be released yet. Then run `usher uninstall` again"
    )
    assert installed.buckets == [BUCKET]
    installed.stack.ends = None
    assert installed.usher("uninstall", "--yes").exit_code == 0
    assert (installed.buckets, installed.stack.stack) == ([], None)


def test_one_that_was_cut_off_before_the_bucket_removes_it_the_next_time(installed: Cloud) -> None:
    installed.stack.stack = None
    result = installed.usher("uninstall", "--yes")
    assert (result.exit_code, installed.buckets) == (0, [])


def test_where_there_is_nothing_it_says_so(cloud: Cloud) -> None:
    result = cloud.usher("uninstall")
    assert result.exit_code == 0
    assert result.stdout == "There is no stack Usher in us-east-1: nothing is left to remove.\n"


def test_without_a_yes_nothing_is_removed(installed: Cloud) -> None:
    assert installed.usher("uninstall", answer="n\n").exit_code == 1
    assert installed.buckets == [BUCKET]
    assert installed.stack.stack is not None


def test_a_stack_of_the_cdk_is_left_to_it(cloud: Cloud) -> None:
    cloud.stack.outputs = {"TableName": "records"}
    cloud.stack.stands()
    assert trouble(cloud.usher("uninstall", "--yes")).startswith("`usher install` did not make stack Usher")


@pytest.mark.parametrize(
    ("parameters", "outputs"),
    [({}, {}), ({"CodeBucket": "b"}, {"Url": "u"}), ({"CodeBucket": "b", "CodeKey": "k"}, {"Url": "u"})],
)
def test_a_stack_of_somebody_else_is_not_removed(
    cloud: Cloud, parameters: dict[str, str], outputs: dict[str, str]
) -> None:
    """By a wrong --stack it would have been, and told as Usher's."""
    cloud.stack.outputs = outputs
    cloud.stack.stands(**parameters)
    assert "else check --stack" in trouble(cloud.usher("uninstall", "--yes"))
    assert "delete_stack" not in [name for name, _ in cloud.stack.calls]


def test_a_stack_whose_table_is_gone_can_still_be_removed(installed: Cloud) -> None:
    installed.stack.outputs = {"Version": "1.2.3", "TableName": "gone"}
    installed.stack.stands(**installed.stack.parameters)
    result = installed.usher("uninstall", "--yes")
    assert result.exit_code == 0
    assert (
        "What waits cannot be told: DynamoDB refuses: An error occurred (ResourceNotFoundException)"
        in result.stderr
    )


def test_where_the_table_is_gone_and_the_release_fails_it_says_how_to_remove_the_rest(
    installed: Cloud,
) -> None:
    installed.stack.outputs = {"Version": "1.2.3", "TableName": "gone", "InboxArn": "arn:inbox"}
    installed.stack.stands(**installed.stack.parameters)
    installed.stack.ends = ("DELETE_FAILED", "the table could not be read")
    said = trouble(installed.usher("uninstall", "--yes"))
    assert "The table is gone: first complete what waits (`usher list --offline` lists it), " in said
    assert "Then delete the hooks that notify arn:inbox" in said
    assert said.endswith("delete-stack --stack-name Usher --retain-resources Provisioned`.")


# -- what AWS answers


@pytest.mark.parametrize("command", ["install", "upgrade", "uninstall", "status"])
def test_an_error_of_aws_is_one_line(cloud: Cloud, command: str) -> None:
    cloud.failing["cloudformation"] = refused("DescribeStacks", "AccessDenied", "User ann is not authorized.")
    assert trouble(cloud.usher(command)).startswith(
        "Not permitted (DescribeStacks: User ann is not authorized)"
    )


@pytest.mark.parametrize("command", ["install", "upgrade", "uninstall", "status"])
def test_without_a_region_or_credentials_it_says_what_to_set(command: str) -> None:
    machine = Machine(clock=lambda: at(0), new_id=lambda: "1", wait=lambda _: None, release=a_release())
    result = CliRunner().invoke(main, [command], obj=machine, env=NOBODYS)
    assert trouble(result) == "No Region is set: give --region, or set AWS_REGION."
    result = CliRunner().invoke(main, [command, "--region", REGION], obj=machine, env=NOBODYS)
    assert trouble(result).startswith("No AWS credentials were found: set them up")


def test_a_template_of_another_version_than_the_command_is_refused(tmp_path: Path) -> None:
    (tmp_path / "functions.zip").write_bytes(b"")
    (tmp_path / "template.json").write_text(json.dumps({"Outputs": {"Version": {"Value": "0.0.9"}}}))
    with pytest.raises(Trouble, match=r"The template is of version 0\.0\.9, and this command of "):
        read_release(tmp_path / "functions.zip", tmp_path / "template.json")


def test_where_there_is_no_release_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="run `make release` first"):
        read_release(tmp_path / "functions.zip", tmp_path / "template.json")
