"""What a message tells of its account and Region, and of its metadata."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.message_samples import read_sample
from usher.core import messages
from usher.core.notifications import Home, LifecycleNotice, Unrelated

HERE = Home(account="111122223333", region="eu-west-1")
ARN = "arn:aws:autoscaling:{}:{}:autoScalingGroup:0b1c:autoScalingGroupName/web"
HOOK_MESSAGE = {"LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"}
TEST_MESSAGE = {"Event": "autoscaling:TEST_NOTIFICATION"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(
            {"detail-type": "Usher Signal", "source": "usher.signal", "account": "444455556666"},
            "account 444455556666", id="a signal",
        ),
        pytest.param(
            {"detail-type": "any", "source": "aws.autoscaling", "region": "us-west-2"},
            "Region us-west-2", id="an event of another Region",
        ),
        pytest.param(HOOK_MESSAGE | {"AccountId": "444455556666"}, "account 444455556666", id="a hook"),
        pytest.param(
            {"Type": "Notification", "TopicArn": "t",
             "Message": json.dumps(HOOK_MESSAGE | {"AccountId": "444455556666"})},
            "account 444455556666", id="a hook, by SNS",
        ),
        pytest.param(
            TEST_MESSAGE | {"AutoScalingGroupARN": ARN.format("us-west-2", "111122223333")},
            "Region us-west-2", id="a test message of another Region",
        ),
    ],
)  # fmt: skip
def test_what_is_not_of_this_account_and_region_is_nobody_s_here(body: object, reason: str) -> None:
    """Whatever else is wrong with it: it is ignored, and no dead letter."""
    notice = messages.read(json.dumps(body), home=HERE)
    assert notice == Unrelated(
        reason=f"a message of {reason}; this is account 111122223333, Region eu-west-1"
    )


@pytest.mark.parametrize(
    "told", [{}, {"account": None}, {"account": 1, "region": []}, {"region": "no region!"}]
)
def test_what_does_not_tell_its_account_is_taken_for_ours(told: dict[str, Any]) -> None:
    event = read_sample("eventbridge-terminate") | {"account": None, "region": None} | told
    assert isinstance(messages.read(event, home=HERE), LifecycleNotice)


@pytest.mark.parametrize("body", ["{", "[]", {"Type": "SubscriptionConfirmation", "TopicArn": "t"}])
def test_what_says_nothing_tells_no_account(body: object) -> None:
    assert messages.home_of(body) == Home(account=None, region=None)


@pytest.mark.parametrize(
    ("told", "metadata"),
    [
        pytest.param("a" * 4000, "a" * 4000, id="as much as the API takes"),
        pytest.param("two\nlines\tand é \U0001f600", "two\nlines\tand é \U0001f600", id="any text"),
        pytest.param(
            "\r \x7f\ud7ff\ue000\uffff\U0010ffff", "\r \x7f\ud7ff\ue000\uffff\U0010ffff", id="at the edges"
        ),
        pytest.param("a" * 4001, None, id="more"),
        pytest.param("", None, id="none"),
        pytest.param(None, None, id="null"),
        pytest.param({"role": "db"}, None, id="no text"),
        pytest.param("a\x00", None, id="what no store keeps"),
        pytest.param("a\x0b", None, id="a control character"),
        pytest.param("a\ud800", None, id="a lone surrogate"),
        pytest.param("a\udfff", None, id="another lone surrogate"),
    ],
)
def test_metadata_that_are_none_cost_no_message(told: object, metadata: str | None) -> None:
    notice = messages.read(json.dumps(read_sample("hook-with-metadata") | {"NotificationMetadata": told}))
    assert isinstance(notice, LifecycleNotice)
    assert notice.metadata == metadata
