"""The table of the records, as usher.aws.table reads and writes it."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from usher.aws import table


class RecordsTable(Construct):
    """On demand, encrypted, with point-in-time recovery; kept when the stack goes."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        text = dynamodb.AttributeType.STRING
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="pk", type=text),
            sort_key=dynamodb.Attribute(name="sk", type=text),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute=table.TTL_ATTRIBUTE,
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        self.table.add_global_secondary_index(
            index_name=table.DUE_INDEX,
            partition_key=dynamodb.Attribute(name="due_shard", type=text),
            sort_key=dynamodb.Attribute(name="look_at", type=text),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=["action_id", "version", "expires_at"],
        )
