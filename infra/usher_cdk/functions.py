"""One Lambda function of Usher: its log group, its role, and what every function may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from usher_cdk.asset import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_sqs as sqs

    from usher_cdk.asset import Asset


class UsherFunction(Construct):
    """A function whose handler is `MODULE.handler` of the asset."""

    def __init__(  # noqa: PLR0913 - what differs between the functions
        self,
        scope: Construct,
        construct_id: str,
        *,
        module: str,
        asset: Asset,
        environment: Mapping[str, str],
        timeout: cdk.Duration,
        log_retention_days: int,
        key: kms.IKey | None = None,
        feeds_itself: bool = False,
        reserved: int = 0,
        traced: bool = True,
    ) -> None:
        super().__init__(scope, construct_id)
        self.timeout = timeout
        log_group = logs.LogGroup(
            self,
            "Logs",
            retention=_retention(log_retention_days),
            encryption_key=key,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(self.role)
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"Usher: {module}",
            runtime=RUNTIME,
            architecture=asset.architecture,
            code=asset.code,
            handler=f"{module}.handler",
            role=self.role,
            environment=dict(environment),
            environment_encryption=key,
            memory_size=512,
            timeout=timeout,
            reserved_concurrent_executions=reserved or None,
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            # By Lambda itself: no X-Ray SDK in the function.
            tracing=lambda_.Tracing.ACTIVE if traced else lambda_.Tracing.DISABLED,
            recursive_loop=lambda_.RecursiveLoop.ALLOW if feeds_itself else lambda_.RecursiveLoop.TERMINATE,
        )

        resource = cast("lambda_.CfnFunction", self.function.node.default_child)
        resource.add_metadata("SamResourceId", module)  # so that it is `sam local invoke intake`

    def try_again(self, *, retries: int, oldest: cdk.Duration) -> lambda_.CfnEventInvokeConfig:
        """How often, and how long, an asynchronous invocation that fails is tried again."""
        return lambda_.CfnEventInvokeConfig(
            self,
            "Failures",
            function_name=self.function.function_name,
            qualifier="$LATEST",
            maximum_retry_attempts=retries,
            maximum_event_age_in_seconds=int(oldest.to_seconds()),
        )

    def send_failures(self, to: sqs.IQueue, *, retries: int, oldest: cdk.Duration) -> None:
        """Where an asynchronous invocation goes that fails for good, with what the function said."""
        tried = self.try_again(retries=retries, oldest=oldest)
        tried.destination_config = lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
            on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(destination=to.queue_arn)
        )
        self.may(("sqs:SendMessage",), (to.queue_arn,))

    def may(self, actions: Sequence[str], resources: Sequence[str], **conditions: Mapping[str, str]) -> None:
        """Grant `actions` on `resources`; `conditions` as IAM names them, e.g. StringEquals={…}."""
        self.role.add_to_policy(
            iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=dict(conditions))
        )

    def may_not(
        self, actions: Sequence[str], resources: Sequence[str], **conditions: Mapping[str, Sequence[str]]
    ) -> None:
        """Deny `actions` on `resources`, whatever else is granted."""
        self.role.add_to_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                actions=list(actions),
                resources=list(resources),
                conditions=dict(conditions),
            )
        )


def _retention(days: int) -> logs.RetentionDays:
    """The shortest retention that CloudWatch Logs offers and that is at least `days`."""
    offered = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653)
    names = {1: "ONE_DAY", 3: "THREE_DAYS", 5: "FIVE_DAYS", 7: "ONE_WEEK", 14: "TWO_WEEKS"} | {
        30: "ONE_MONTH", 60: "TWO_MONTHS", 90: "THREE_MONTHS", 120: "FOUR_MONTHS", 150: "FIVE_MONTHS",
        180: "SIX_MONTHS", 365: "ONE_YEAR", 400: "THIRTEEN_MONTHS", 545: "EIGHTEEN_MONTHS",
        731: "TWO_YEARS", 1096: "THREE_YEARS", 1827: "FIVE_YEARS", 3653: "TEN_YEARS",
    }  # fmt: skip
    chosen = next(each for each in offered if each >= days)
    retention: logs.RetentionDays = getattr(logs.RetentionDays, names[chosen])
    return retention
