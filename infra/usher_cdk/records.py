"""The table of the records, as usher.aws.records reads and writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from usher.aws.table import INDEXES, TTL_ATTRIBUTE

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms


class RecordsTable(Construct):
    """On demand, encrypted, with point-in-time recovery; kept when the stack goes."""

    def __init__(
        self, scope: Construct, construct_id: str, *, key: kms.IKey | None = None, streams: bool = False
    ) -> None:
        super().__init__(scope, construct_id)
        text = dynamodb.AttributeType.STRING
        encryption = dynamodb.TableEncryption
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="pk", type=text),
            sort_key=dynamodb.Attribute(name="sk", type=text),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=encryption.DEFAULT if key is None else encryption.CUSTOMER_MANAGED,
            encryption_key=key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute=TTL_ATTRIBUTE,
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES if streams else None,
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        for name, (by, then_by, shown) in INDEXES.items():
            self.table.add_global_secondary_index(
                index_name=name,
                partition_key=dynamodb.Attribute(name=by, type=text),
                sort_key=dynamodb.Attribute(name=then_by, type=text),
                projection_type=dynamodb.ProjectionType.INCLUDE,
                non_key_attributes=list(shown),
            )
