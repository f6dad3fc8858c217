"""What CloudFormation says of a stack."""

from __future__ import annotations

from typing import Any

from botocore import exceptions as botocore_exceptions
from botocore.exceptions import ClientError, HTTPClientError


class StackStatus:
    """Tells a stack's own status."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - CloudFormation's, which has no types here
        self._client = client

    def __call__(self, stack_id: str) -> str | None:
        """DescribeStacks; None where there is no answer, or no right to ask."""
        try:
            stacks = self._client.describe_stacks(StackName=stack_id)["Stacks"]
        except (ClientError, HTTPClientError, botocore_exceptions.ConnectionError):
            return None
        return str(stacks[0]["StackStatus"]) if stacks else None
