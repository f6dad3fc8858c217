"""`usher policy`: held against the calls that commands make, and against what CloudFormation needs."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from click.testing import CliRunner

from usher_cli.install.policies import Names
from usher_cli.install.policy import KINDS
from usher_cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE: Final = json.loads((Path(__file__).parents[1] / "infra" / "golden" / "Install.json").read_text())
KEY: Final = "arn:aws:kms:eu-west-1:123456789012:key/1"
# What the handlers of CloudFormation's resource types may call, and do not for what the template asks.
NOT_ASKED: Final = (
    r".*:(T|Unt)ag\w*",  # no resource has a tag
    r"dynamodb:(Describe|)Import\w*",  # no import
    r"dynamodb:\w*(Replica|ContributorInsights|KinesisStreamingDestination)",  # nor these
    r"dynamodb:(Put|Delete)ResourcePolicy",
    r"dynamodb:(Scan|Query|(Update|Put|Get|Delete|BatchWrite)Item)",  # for replicas
    r"(kinesis|firehose|ec2|elasticfilesystem|s3files):.*",
    r"iam:(CreateServiceLinkedRole|(Attach|Detach)RolePolicy|\w+(User|Group)Policy)",
    r"kms:(ListAliases|RevokeGrant)",
    r"logs:(CreateLog(Stream|Delivery)|DescribeLogStreams|PutLogEvents|\w*ResourcePolicy)",
    r"logs:((Put|Delete)(DataProtection|Index)Policy|PutLogGroupDeletionProtection)",
    r"logs:PutBearerTokenAuthentication",
    r"s3:(GetObjectMetadata|REST.PUT.OBJECT)",  # no action of IAM's
    r"sns:PutDataProtectionPolicy",
    r"lambda:\w*FunctionConcurrency",
    r"lambda:(GetCodeSigningConfig|(Put|Delete)FunctionCodeSigningConfig|GetLayerVersion)",
    r"lambda:(Put(RuntimeManagementConfig|FunctionScalingConfig)|PublishVersion)",
    r"lambda:(PassCapacityProvider|AssociateRuntimeAlias)",
)


@cache
def handlers() -> dict[str, set[str]]:
    """What each resource type of the template needs of IAM, by the schemas that AWS publishes."""
    wanted = {each["Type"] for each in TEMPLATE["Resources"].values()}
    found: dict[str, set[str]] = {}
    for file in Path(str(files("cfnlint"))).glob("data/schemas/resources/*.json"):
        text = file.read_text(encoding="utf-8")
        schema = json.loads(text) if '"handlers"' in text and any(each in text for each in wanted) else {}
        if schema.get("typeName") in wanted:
            told = schema["handlers"]
            asked = [
                told[each]["permissions"] for each in ("create", "read", "update", "delete") if each in told
            ]
            found.setdefault(schema["typeName"], set()).update(*asked)
    return found


def policy(kind: str, *words: str) -> dict[str, Any]:
    done = CliRunner().invoke(main, ["policy", kind, *words])
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def allowed(kind: str, *words: str) -> set[str]:
    statements = policy(kind, *words)["Statement"]
    return {action for each in statements if each["Effect"] == "Allow" for action in each["Action"]}


def test_an_installer_may_what_cloudformation_needs_for_every_resource_of_the_template() -> None:
    types = {each["Type"] for each in TEMPLATE["Resources"].values()}
    assert set(handlers()) == types - {"Custom::UsherHooks"}
    needed = {action for actions in handlers().values() for action in actions}
    asked = {action for action in needed if not any(re.fullmatch(one, action) for one in NOT_ASKED)}
    assert asked - allowed("installer", "--key-arn", KEY) == set()


# What the commands themselves call, besides what CloudFormation does.
ITS_OWN: Final = {
    *("cloudformation:DescribeStacks", "cloudformation:ListStackResources", "sts:GetCallerIdentity"),
    "dynamodb:BatchGetItem",  # what waits
    *(f"cloudformation:{name}" for name in ("CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet")),
    *(f"cloudformation:{name}" for name in ("DeleteChangeSet", "DescribeStackEvents", "DeleteStack")),
    *("cloudformation:GetTemplate", "lambda:InvokeFunction"),
    *(f"s3:{name}" for name in ("CreateBucket", "DeleteBucket", "ListBucketVersions")),
    *(f"s3:{name}" for name in ("GetBucketTagging", "PutBucketTagging", "PutBucketVersioning")),
    *(f"s3:{name}" for name in ("PutBucketPolicy", "PutBucketPublicAccessBlock")),
    *(f"s3:{name}" for name in ("PutEncryptionConfiguration", "DeleteObject", "DeleteObjectVersion")),
    "s3:PutObject",
}


def test_nothing_is_left_out_in_vain() -> None:
    needed = {action for actions in handlers().values() for action in actions}
    assert [one for one in NOT_ASKED if not any(re.fullmatch(one, action) for action in needed)] == []


def test_an_installer_may_nothing_else() -> None:
    needed = {action for actions in handlers().values() for action in actions}
    assert allowed("installer", "--key-arn", KEY) - needed == ITS_OWN


@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_fits_into_a_managed_one(kind: str) -> None:
    """With names of the usual kind."""
    words = ["--stack", "x" * 20, "--account", "1" * 12, "--region", "ap-southeast-4", "--key-arn", KEY]
    assert len(json.dumps(policy(kind, *words), separators=(",", ":"))) <= 6_144


def test_one_that_does_not_says_so() -> None:
    done = CliRunner().invoke(main, ["policy", "installer", "--stack", "x" * 128])
    assert done.exit_code == 0
    assert "IAM takes 6,144 in a managed policy" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_it_names_the_stack_the_account_and_the_region(kind: str) -> None:
    words = ["--stack", "Second", "--account", "123456789012", "--region", "eu-west-1"]
    text = json.dumps(policy(kind, *words, "--partition", "aws-cn"))
    assert "arn:aws-cn:cloudformation:eu-west-1:123456789012:stack/Second/*" in text
    assert "Usher" not in text


@pytest.mark.parametrize("kind", ["operator", "applier"])
def test_the_others_may_what_a_reader_may(kind: str) -> None:
    assert allowed("reader") <= allowed(kind)


def test_a_reader_changes_nothing() -> None:
    reads = re.compile(r"\w+:(BatchGet|Describe|FilterLog|Get|List|Query|Scan)\w*|kms:Decrypt")
    assert [action for action in allowed("reader", "--key-arn", KEY) if not reads.fullmatch(action)] == []


def test_an_operator_writes_no_hooks_file_whatever_else_allows_it() -> None:
    (denied,) = [each for each in policy("operator")["Statement"] if each["Effect"] == "Deny"]
    keys = {"ForAnyValue:StringEquals": {"dynamodb:LeadingKeys": ["CONFIGURATION"]}}
    assert denied["Condition"] == keys
    assert {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"} <= set(denied["Action"])


def test_an_operator_signals_and_forges_no_event_of_another_kind() -> None:
    (puts,) = [each for each in policy("operator")["Statement"] if "events:PutEvents" in each["Action"]]
    assert puts["Condition"] == {"StringEquals": {"events:source": "usher.signal"}}


OPERATIONS: Final = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
OTHERWISE: Final = {"logs:Tail": "logs:FilterLogEvents", "lambda:Invoke": "lambda:InvokeFunction"}


def actions_in(text: str) -> Iterator[str]:
    """What the commands of the AWS CLI in it call."""
    for service, name in re.findall(r"\baws ([a-z0-9-]+) ([a-z-]+)", text):
        action = f"{service}:{name.title().replace('-', '')}"
        yield OTHERWISE.get(action, action)


def test_an_operator_may_what_the_runbooks_have_done_by_hand() -> None:
    """The commands of the page, and those that `usher list --offline` prints."""
    needed = set(actions_in(OPERATIONS))
    assert "autoscaling:RecordLifecycleActionHeartbeat" in needed
    told = OPERATIONS.partition("is done by hand here, but\nnot for")[2].partition(": who deploys Usher")[0]
    assert needed - allowed("operator") == set(actions_in(told))


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_no_resource_in_iam_is_all_that_is_granted_on_everything(kind: str) -> None:
    """By IAM's service authorization reference; event source mappings are bound by their function."""
    on_all = [each for each in KINDS[kind](Names(stack="Usher")) if each["Resource"] == ["*"]]
    free = {action for each in on_all if "Condition" not in each for action in each["Action"]}
    describes = re.compile(
        r"(autoscaling|ec2|cloudwatch):Describe\w+|sts:GetCallerIdentity|logs:Describe(LogGroups|ResourcePolicies)"
        r"|sns:(Unsubscribe|(Get|Set)SubscriptionAttributes)"
        r"|lambda:(GetAccountSettings|ListEventSourceMappings)|scheduler:ListSchedules"
    )
    assert [action for action in free if not describes.fullmatch(action)] == []
