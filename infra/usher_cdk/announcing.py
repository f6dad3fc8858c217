"""Events out: the function that puts on the bus what the stream of the table tells. Off by default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_

from usher_cdk.functions import UsherFunction
from usher_cdk.key import TO_USE
from usher_cdk.permissions import arns_here

if TYPE_CHECKING:
    from aws_cdk import aws_dynamodb as dynamodb
    from aws_cdk import aws_kms as kms
    from constructs import Construct

    from usher_cdk.asset import Asset

TIMEOUT: Final = cdk.Duration.seconds(60)  # five events, each at its slowest
LATE: Final = cdk.Duration.minutes(15)
_BATCH: Final = 5
_TOLD_OF: Final = {  # of all that the stream tells
    "eventName": ["INSERT", "MODIFY"],
    "dynamodb": {"Keys": {"sk": {"S": ["STATE", "RETAINED"]}}},
}


class Announce(UsherFunction):
    """Reads the stream of the table, and may put events of the source `usher` alone."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        table: dynamodb.Table,
        asset: Asset,
        log_retention_days: int,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            module="announce",
            asset=asset,
            environment={},
            timeout=TIMEOUT,
            log_retention_days=log_retention_days,
            key=key,
        )
        if key is not None:
            self.may(TO_USE, (key.key_arn,))
        bus = arns_here(self, "events", "event-bus/default")
        self.may(("events:PutEvents",), (bus,), StringEquals={"events:source": "usher"})
        self._read(str(table.table_stream_arn))

    def _read(self, stream: str) -> None:
        self.may(("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"), (stream,))
        self.may(("dynamodb:ListStreams",), ("*",))  # IAM knows no resource of it
        self.function.add_event_source_mapping(
            "Stream",
            event_source_arn=stream,
            starting_position=lambda_.StartingPosition.LATEST,
            batch_size=_BATCH,
            report_batch_item_failures=True,
            filters=[lambda_.FilterCriteria.filter(_TOLD_OF)],
        )
