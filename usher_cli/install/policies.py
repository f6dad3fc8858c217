"""The IAM policies that people need: to install Usher, to operate it, to apply hooks files, and to read.

Names are those that CloudFormation gives: the name of the stack, and what it makes of the template.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from usher.aws.file_versions import PARTITION
from usher.aws.table import INDEXES

Statement = dict[str, Any]

OF_TABLE: Final = ("PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem")  # what writes it
_READS_TABLE: Final = ("BatchGetItem", "GetItem", "Query", "Scan")
_ON_KEY: Final = ("CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey")
_DESCRIBES: Final = (
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeLifecycleHooks",
    "autoscaling:DescribeScalingActivities",
    "autoscaling:DescribeWarmPool",
    "cloudwatch:DescribeAlarms",
    "ec2:DescribeInstances",
    "sts:GetCallerIdentity",
    # What the runbooks look at besides.
    "lambda:GetAccountSettings",
    "lambda:ListEventSourceMappings",
    "scheduler:ListSchedules",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """What the ARNs of a policy are made of; * stands for any account or Region."""

    stack: str
    bucket: str = "usher-*"
    account: str = "*"
    region: str = "*"
    partition: str = "aws"
    key_arn: str | None = None

    def here(self, service: str, resource: str) -> str:
        """The ARN of a resource in the Region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    @property
    def stack_arn(self) -> str:
        """The stack's, whatever its id."""
        return self.here("cloudformation", f"stack/{self.stack}/*")

    @property
    def table_arns(self) -> list[str]:
        """The table and its indexes."""
        table = self.here("dynamodb", f"table/{self.stack}-*")
        return [table, *(f"{table}/index/{index}" for index in INDEXES)]

    @property
    def queue_arns(self) -> list[str]:
        """All queues of the stack."""
        return [self.here("sqs", f"{self.stack}-*")]


def reader(names: Names) -> list[Statement]:
    """For list, show, retained, watch, history, report, audit, export, plan, init, config, status; logs."""
    statements = [
        _allow(_of("cloudformation", "DescribeStacks", "ListStackResources"), [names.stack_arn]),
        # Which of a StackSet's names it is, a list of all stacks tells.
        *([_allow(["cloudformation:DescribeStacks"], ["*"])] if "*" in names.stack else []),
        _allow(_of("dynamodb", *_READS_TABLE), names.table_arns),
        _allow(["lambda:GetFunctionConfiguration"], [names.here("lambda", f"function:{names.stack}-*")]),
        _allow(["logs:FilterLogEvents"], [names.here("logs", f"log-group:{names.stack}-*")]),
        _allow(_DESCRIBES, ["*"]),  # IAM knows no resource of most of them
    ]
    return [*statements, *_key(names, "kms:Decrypt")]


def operator(names: Names) -> list[Statement]:
    """Besides, for signal, hold, extend, complete, release, pause, resume, redrive; not for `usher apply`.

    And for what is done by hand while Usher fails: the commands of `usher list --offline`, and the sweep.
    """
    statements = [
        _allow(["dynamodb:PutItem", "dynamodb:ConditionCheckItem"], names.table_arns[:1]),
        {
            "Effect": "Deny",  # whoever writes the hooks file says which documents and functions run
            "Action": _of("dynamodb", *OF_TABLE),
            "Resource": names.table_arns[:1],
            "Condition": {"ForAnyValue:StringEquals": {"dynamodb:LeadingKeys": [PARTITION]}},
        },
        _allow(
            _of(
                "sqs",
                *("ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl"),
                *("ReceiveMessage", "SendMessage"),
            ),
            names.queue_arns,
        ),
        _allow(["events:PutEvents"], [names.here("events", "event-bus/default")])
        | {"Condition": {"StringEquals": {"events:source": "usher.signal"}}},
        _allow(
            _of(
                "autoscaling",
                *("CompleteLifecycleAction", "RecordLifecycleActionHeartbeat"),
                "TerminateInstanceInAutoScalingGroup",
            ),
            [names.here("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")],
        ),
        _allow(["lambda:InvokeFunction"], [names.here("lambda", f"function:{names.stack}-SweepFunction*")]),
    ]
    return [*reader(names), *statements, *_key(names, "kms:GenerateDataKey")]


def applier(names: Names) -> list[Statement]:
    """What a reader may, and `usher apply`."""
    may_write = _allow(["dynamodb:PutItem", "dynamodb:ConditionCheckItem"], names.table_arns[:1])
    return [*reader(names), may_write]


def installer(names: Names) -> list[Statement]:
    """For install, upgrade and uninstall: CloudFormation makes the resources with the caller's rights."""
    objects = f"arn:{names.partition}:s3:::{names.bucket}/*"
    statements = [
        _allow(["sts:GetCallerIdentity"], ["*"]),
        _allow(
            _of(
                "cloudformation",
                *(
                    "DescribeStacks",
                    "ListStackResources",
                    "CreateChangeSet",
                    "DescribeChangeSet",
                    "ExecuteChangeSet",
                    "DeleteChangeSet",
                ),
                *("DescribeStackEvents", "DeleteStack", "GetTemplate"),
            ),
            [names.stack_arn],
        ),
        _allow(
            _of(
                "s3",
                *("CreateBucket", "DeleteBucket", "ListBucket", "ListBucketVersions"),
                *("GetBucketTagging", "PutBucketTagging", "PutBucketVersioning"),
                *("PutBucketPolicy", "PutBucketPublicAccessBlock", "PutEncryptionConfiguration"),
            ),
            [f"arn:{names.partition}:s3:::{names.bucket}"],
        ),
        _allow(
            _of("s3", "DeleteObject", "DeleteObjectVersion", "GetObject", "GetObjectVersion", "PutObject"),
            [objects],
        ),
        *_data(names),
        *_functions(names),
        *_roles(names),
        *_watching(names),
    ]
    return [*statements, *_key(names, *_of("kms", *_ON_KEY))]


def _data(names: Names) -> list[Statement]:
    """Table, queues and topics."""
    topics = [names.here("sns", f"{names.stack}-*")]
    return [
        _allow(
            _of(
                "dynamodb",
                *("BatchGetItem", "GetItem", "Query", "Scan"),  # of what waits
                *("CreateTable", "DeleteTable", "DescribeTable", "UpdateTable"),
                *("DescribeContinuousBackups", "UpdateContinuousBackups"),
                *("DescribeTimeToLive", "UpdateTimeToLive", "DescribeContributorInsights"),
                *("DescribeKinesisStreamingDestination", "GetResourcePolicy", "ListTagsOfResource"),
            ),
            names.table_arns,
        ),
        _allow(
            _of(
                "sqs",
                *("CreateQueue", "DeleteQueue", "GetQueueAttributes", "GetQueueUrl", "ListQueueTags"),
                "SetQueueAttributes",
            ),
            names.queue_arns,
        ),
        _allow(
            _of(
                "sns",
                *("CreateTopic", "DeleteTopic", "GetTopicAttributes", "SetTopicAttributes", "Subscribe"),
                *("ListSubscriptionsByTopic", "ListTagsForResource", "GetDataProtectionPolicy"),
            ),
            topics,
        ),
        # IAM knows no resource of what names a subscription.
        _allow(_of("sns", "Unsubscribe", "GetSubscriptionAttributes", "SetSubscriptionAttributes"), ["*"]),
    ]


def _functions(names: Names) -> list[Statement]:
    functions = names.here("lambda", f"function:{names.stack}-*")
    return [
        _allow(
            _of(
                "lambda",
                *("CreateFunction", "DeleteFunction", "GetFunction", "InvokeFunction"),
                *("UpdateFunctionCode", "UpdateFunctionConfiguration", "GetRuntimeManagementConfig"),
                *("GetFunctionRecursionConfig", "PutFunctionRecursionConfig", "GetFunctionScalingConfig"),
                *("GetFunctionCodeSigningConfig", "GetFunctionEventInvokeConfig"),
                *("PutFunctionEventInvokeConfig", "UpdateFunctionEventInvokeConfig"),
                "DeleteFunctionEventInvokeConfig",
            ),
            [functions],
        ),
        _allow(
            _of(
                "lambda",
                *("CreateEventSourceMapping", "UpdateEventSourceMapping", "DeleteEventSourceMapping"),
                *("GetEventSourceMapping", "ListTags"),
            ),
            ["*"],
        )
        | {"Condition": {"ArnLikeIfExists": {"lambda:FunctionArn": functions}}},
    ]


def _roles(names: Names) -> list[Statement]:
    """Of any path: --role-path sets it."""
    of_account = f"arn:{names.partition}:iam::{names.account}:role"
    roles = [f"{of_account}/{names.stack}-*", f"{of_account}/*/{names.stack}-*"]
    return [
        _allow(
            _of(
                "iam",
                *("CreateRole", "DeleteRole", "GetRole", "UpdateRole", "UpdateAssumeRolePolicy"),
                *("UpdateRoleDescription", "PutRolePermissionsBoundary", "DeleteRolePermissionsBoundary"),
                *("GetRolePolicy", "PutRolePolicy", "DeleteRolePolicy"),
                *("ListAttachedRolePolicies", "ListRolePolicies"),
            ),
            roles,
        ),
        _allow(["iam:PassRole"], roles)
        | {
            "Condition": {
                "StringEquals": {
                    "iam:PassedToService": [
                        *("events.amazonaws.com", "lambda.amazonaws.com", "scheduler.amazonaws.com")
                    ]
                }
            }
        },
    ]


def _watching(names: Names) -> list[Statement]:
    """Logs, rules, the schedule, alarms and the dashboard."""
    log_groups = names.here("logs", f"log-group:{names.stack}-*")
    return [
        _allow(
            _of(
                "logs",
                *("CreateLogGroup", "DeleteLogGroup", "PutRetentionPolicy", "DeleteRetentionPolicy"),
                *("AssociateKmsKey", "DisassociateKmsKey", "ListTagsForResource"),
                *("GetDataProtectionPolicy", "DescribeIndexPolicies"),
            ),
            [log_groups, f"{log_groups}:*"],
        ),
        _allow(_of("logs", "DescribeLogGroups", "DescribeResourcePolicies"), ["*"]),
        _allow(
            _of(
                "events",
                *("PutRule", "DescribeRule", "DeleteRule", "PutTargets", "RemoveTargets"),
                *("ListTargetsByRule", "ListTagsForResource"),
            ),
            [names.here("events", f"rule/{names.stack}-*")],
        ),
        _allow(
            _of("scheduler", "CreateSchedule", "GetSchedule", "UpdateSchedule", "DeleteSchedule"),
            [names.here("scheduler", f"schedule/default/{names.stack}-*")],
        ),
        _allow(
            _of("cloudwatch", "PutMetricAlarm", "DeleteAlarms", "DescribeAlarms", "ListTagsForResource"),
            [names.here("cloudwatch", f"alarm:{names.stack}-*")],
        ),
        _allow(
            _of("cloudwatch", "PutDashboard", "GetDashboard", "DeleteDashboards", "ListTagsForResource"),
            [f"arn:{names.partition}:cloudwatch::{names.account}:dashboard/*"],  # CloudFormation names it
        ),
    ]


def _key(names: Names, *actions: str) -> list[Statement]:
    return [_allow(actions, [names.key_arn])] if names.key_arn else []


def _allow(actions: list[str] | tuple[str, ...], resources: list[str]) -> Statement:
    return {"Effect": "Allow", "Action": sorted(actions), "Resource": resources}


def _of(service: str, *names: str) -> list[str]:
    return [f"{service}:{name}" for name in names]
