"""Safe teardown: what CloudFormation deletes first, and what runs then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from constructs import Construct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_lambda as lambda_
    from constructs import IDependable


class ReleaseFirst(Construct):
    """On deletion, `function` releases all that waits, before anything of `before` goes."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.IFunction,
        before: Sequence[IDependable],
    ) -> None:
        super().__init__(scope, construct_id)
        resource = cdk.CustomResource(
            self, "Release", service_token=function.function_arn, resource_type="Custom::UsherRelease"
        )
        resource.node.add_dependency(*before)
