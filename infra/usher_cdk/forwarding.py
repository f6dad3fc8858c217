"""One place to hear of many accounts: events out and alarms go to a bus of the operators' account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from usher_cdk.permissions import arns_here

if TYPE_CHECKING:
    from collections.abc import Mapping


class Forward(Construct):
    """Two rules on the default bus, and a role that may put events on that one bus.

    The bus's own policy must let this account put them (docs/fleet.md, aws-facts 11.6). A rule cannot send
    to its own bus.
    """

    def __init__(self, scope: Construct, construct_id: str, *, bus_arn: str) -> None:
        super().__init__(scope, construct_id)
        role = iam.Role(self, "Role", assumed_by=self._rules())
        allowed = iam.PolicyStatement(actions=["events:PutEvents"], resources=[bus_arn])
        role.add_to_principal_policy(allowed)
        alarms = arns_here(self, "cloudwatch", f"alarm:{cdk.Aws.STACK_NAME}-")  # as CloudFormation names them
        patterns: Mapping[str, Mapping[str, Any]] = {
            "EventsOut": {"source": ["usher"]},
            "AlarmStates": {
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                "resources": [{"prefix": alarms}],
            },
        }
        for name, pattern in patterns.items():
            to = events.CfnRule.TargetProperty(id="Operators", arn=bus_arn, role_arn=role.role_arn)
            events.CfnRule(self, name, event_pattern=pattern, targets=[to])

    def _rules(self) -> iam.IPrincipal:
        """Any of this account: their ARNs would refer to the role in a circle, and a long name is cut."""
        rules = arns_here(self, "events", "rule/*")
        return iam.ServicePrincipal(
            "events.amazonaws.com",
            conditions={
                "StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account},
                "ArnLike": {"aws:SourceArn": rules},
            },
        )
