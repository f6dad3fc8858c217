"""What the functions' clients leave out of each call, and when the collector works."""

from __future__ import annotations

import gc
from typing import Any

import boto3
import pytest
from botocore.exceptions import ParamValidationError

from usher.aws.client_config import client_config
from usher.wiring.cold_start import cold_start


class Answer:
    """An empty answer of DynamoDB."""

    status_code = 200
    headers = {"content-type": "application/x-amz-json-1.0"}  # noqa: RUF012 - as botocore's own
    content = b"{}"


def sent(parameters: dict[str, Any], *, validates: bool) -> Any:
    """The request that a client makes of these parameters of GetItem."""
    client = boto3.client(
        "dynamodb",
        region_name="eu-west-1",
        aws_access_key_id="AKID",
        aws_secret_access_key="secret",
        config=client_config(connect_s=1, read_s=1, attempts=1, validates=validates),
    )
    requests: list[Any] = []

    def answered(request: Any, **_: Any) -> Answer:
        requests.append(request)
        return Answer()

    client.meta.events.register("before-send.dynamodb.GetItem", answered)
    client.get_item(**parameters)
    return requests[0]


KEY: dict[str, Any] = {"TableName": "usher", "Key": {"pk": {"S": "a"}}}


def test_the_user_agent_is_fixed() -> None:
    """Powertools may add its own, once a client."""
    assert sent(KEY, validates=True).headers["User-Agent"].startswith(b"usher")


def test_only_values_of_users_are_checked() -> None:
    odd = KEY | {"ConsistentRead": "yes"}

    assert b'"yes"' in sent(odd, validates=False).body
    with pytest.raises(ParamValidationError):
        sent(odd, validates=True)


def test_a_cold_start_collects_nothing_and_what_it_made_is_frozen() -> None:
    frozen = gc.get_freeze_count()
    try:
        with cold_start():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
