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
    """On deletion, `function` releases all that waits, before anything of `before` goes.

    Where it `unenrols`, it deletes the hooks too that were put at run time.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.IFunction,
        before: Sequence[IDependable],
        unenrols: bool = False,
    ) -> None:
        super().__init__(scope, construct_id)
        resource = cdk.CustomResource(
            self,
            "Release",
            service_token=function.function_arn,
            resource_type="Custom::UsherRelease",
            properties={"Unenrol": "true" if unenrols else "false"},
        )
        resource.node.add_dependency(*before)
