"""The hooks of a deploy, as one resource: it stands when they do, and goes only when they have gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from constructs import Construct

from usher.provision import FILE, FROM, REPORT, TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_lambda as lambda_
    from constructs import IDependable

    from usher.core.compiled import Compiled


class ProvisionedHooks(Construct):
    """Calls `function` with the compiled hooks file when the stack is made, changed and deleted.

    Without a file it says that versions of one are applied at run time.

    It comes after everything in `before`, so that each test message gets through, and goes before
    it, so that everything that waits is released first. No hook is a resource of CloudFormation's
    own: it would delete them with what waits in them (docs/adr/0008).
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.IFunction,
        file: Compiled | None,
        before: Sequence[IDependable],
    ) -> None:
        super().__init__(scope, construct_id)
        resource = cdk.CustomResource(
            self,
            "Hooks",
            service_token=function.function_arn,
            resource_type="Custom::UsherHooks",
            properties={FROM: TABLE} if file is None else {FILE: file.text},
        )
        resource.node.add_dependency(*before)
        self.report = resource.get_att_string(REPORT)
