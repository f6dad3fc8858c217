"""The customer's key: which services may use it, and what Usher's own roles may do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from usher_cdk.permissions import arns_here

if TYPE_CHECKING:
    from constructs import Construct

# What SQS and SNS ask of whoever sends through them (SQS Developer Guide, key management).
TO_SEND: Final = ("kms:Decrypt", "kms:GenerateDataKey")
# What DynamoDB asks of whoever reads and writes a table, with its wildcards written out.
TO_USE: Final = (
    *TO_SEND,
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


def customer_key(scope: Construct) -> kms.Key:
    """A key of the customer's, which the services that write to us may use for this account alone.

    It outlives its stack: without it, whatever is kept could not be read any more.
    """
    key = kms.Key(
        scope,
        "Key",
        description="Usher's data at rest",
        enable_key_rotation=True,
        removal_policy=cdk.RemovalPolicy.RETAIN,
    )
    for service, resource in (("sns", "*"), ("events", "rule/*"), ("cloudwatch", "alarm:*")):
        source = {"aws:SourceArn": arns_here(scope, service, resource)}
        _let(key, f"{service}.amazonaws.com", TO_SEND, source)
    logs = {"kms:EncryptionContext:aws:logs:arn": arns_here(scope, "logs", "log-group:*")}
    actions = ("kms:Decrypt", "kms:Describe*", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")
    stack = cdk.Stack.of(scope)
    _let(key, f"logs.{stack.region}.{stack.url_suffix}", actions, logs)  # in China not amazonaws.com
    return key


def _let(key: kms.Key, service: str, actions: tuple[str, ...], source: dict[str, str]) -> None:
    """No service may be made to use the key for another account."""
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(service)],
            actions=list(actions),
            resources=["*"],  # in a key's own policy: this key
            conditions={"ArnLike": source},
        )
    )
