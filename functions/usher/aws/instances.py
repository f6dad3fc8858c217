"""What EC2 says of instances, for a reconcile pass. It is no condition's question: those have other ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from usher.ports.errors import CallRefused, TryLater

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_INSTANCES_OF_A_CALL: Final = 200  # values of a filter
_SERVER_ERROR: Final = 500
_BUSY: Final = frozenset(
    {"RequestLimitExceeded", "Throttling", "ThrottlingException", "EC2ThrottledException"}
)


class InstancesApi:
    """Implements usher.ports.autoscaling.InstanceStates. `client` must make one attempt at each call."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - boto3's; its types are not worth a package
        self._client = client

    def states(self, instance_ids: Sequence[str]) -> Mapping[str, str]:
        """DescribeInstances, by a filter: asked by id, EC2 refuses all where one is gone."""
        found: dict[str, str] = {}
        for first in range(0, len(instance_ids), _INSTANCES_OF_A_CALL):
            values = list(instance_ids[first : first + _INSTANCES_OF_A_CALL])
            for page in self._pages([{"Name": "instance-id", "Values": values}]):
                for reservation in page.get("Reservations", []):
                    for instance in reservation.get("Instances", []):
                        found[instance["InstanceId"]] = instance["State"]["Name"]
        return found

    def _pages(self, filters: list[dict[str, Any]]) -> list[Any]:
        pages = self._client.get_paginator("describe_instances")
        try:
            return list(pages.paginate(Filters=filters))
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", _SERVER_ERROR)
            is_busy = error.response["Error"]["Code"] in _BUSY or status >= _SERVER_ERROR
            raise (TryLater if is_busy else CallRefused)(str(error)) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise TryLater(str(error)) from error
