"""What is no message of AWS's or of ours: refused by a reason that names what is missing or wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.message_samples import (
    HUGE_INTEGER,
    KIBIBYTE,
    NESTED_DEEP,
    SURROGATE,
    TEXTS,
    padded,
    read_sample,
    reason,
    with_detail,
)

NO_OBJECT = {"array": [1], "number": 5, "string": "text", "null": None, "true": True}


@pytest.mark.parametrize("value", NO_OBJECT.values(), ids=NO_OBJECT)
def test_what_should_be_an_object_and_is_none_is_named(value: object) -> None:
    text = json.dumps(value)
    assert reason(text).startswith("the body must be a JSON object, got ")
    assert reason({"Sns": value}).startswith("Sns must be a JSON object, got ")
    envelope = read_sample("sns-hook")
    assert reason(envelope | {"Message": text}).startswith("Message must be a JSON object, got ")
    for name in ("eventbridge-launch", "outcome-launch-successful", "signal-done-by-token"):
        body = read_sample(name) | {"detail": value}
        assert reason(body).startswith("detail must be a JSON object, got ")


UNKNOWN_SHAPE = "the body must say what it is by a LifecycleTransition, an Event or a detail-type"
REQUIRED = {
    "hook-terminating": {
        "LifecycleActionToken": "LifecycleActionToken must be",
        "AutoScalingGroupName": "AutoScalingGroupName must be",
        "LifecycleHookName": "LifecycleHookName must be",
        "EC2InstanceId": "EC2InstanceId must be",
        "Time": "Time must be",
        "LifecycleTransition": UNKNOWN_SHAPE,
    },
    "test-notification": {
        "AutoScalingGroupName": "AutoScalingGroupName must be",
        "RequestId": "RequestId must be",
        "Time": "Time must be",
        "Event": UNKNOWN_SHAPE,
    },
    "sns-hook": {"Message": "Message must be text", "Type": UNKNOWN_SHAPE, "TopicArn": UNKNOWN_SHAPE},
    "group-notification-launch": {"Event": UNKNOWN_SHAPE},
    "eventbridge-launch": {
        "source": "source must be text",
        "detail-type": UNKNOWN_SHAPE,
        "time": "time must be",
        "detail": "detail must be",
        "detail.LifecycleActionToken": "LifecycleActionToken must be",
        "detail.AutoScalingGroupName": "AutoScalingGroupName must be",
        "detail.LifecycleHookName": "LifecycleHookName must be",
        "detail.EC2InstanceId": "EC2InstanceId must be",
        "detail.LifecycleTransition": "LifecycleTransition must be",
    },
    "outcome-terminate-successful": {
        "source": "source must be text",
        "detail-type": UNKNOWN_SHAPE,
        "time": "time must be",
        "detail": "detail must be",
        "detail.ActivityId": "ActivityId must be",
        "detail.AutoScalingGroupName": "AutoScalingGroupName must be",
    },
    "signal-done-by-instance": {
        "source": "source must be text",
        "detail-type": UNKNOWN_SHAPE,
        "id": "id must be",
        "time": "time must be",
        "detail": "detail must be",
        "detail.Signal": "Signal must be",
        "detail.Status": "Status must be one of done, failed, progress",
        "detail.InstanceId": "a signal must have an InstanceId or a LifecycleActionToken, got neither",
    },
}


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        pytest.param(name, key, expected, id=f"{name}-{key}")
        for name, keys in REQUIRED.items()
        for key, expected in keys.items()
    ],
)
def test_a_message_without_a_key_that_it_needs_is_not_understood(name: str, key: str, expected: str) -> None:
    body = read_sample(name)
    holder, _, last = key.rpartition(".")
    del (body[holder] if holder else body)[last]
    assert reason(body).startswith(expected)


TEXT_OF_36 = "0" * 36
BAD_VALUES = {
    "token of 35": ("LifecycleActionToken", TEXT_OF_36[:35]),
    "token of 37": ("LifecycleActionToken", TEXT_OF_36 + "0"),
    "token with a space": ("LifecycleActionToken", TEXT_OF_36[:35] + " "),
    "token with an underscore": ("LifecycleActionToken", TEXT_OF_36[:35] + "_"),
    "token with a wide digit": ("LifecycleActionToken", TEXT_OF_36[:35] + "\N{FULLWIDTH DIGIT ONE}"),
    "token and a line feed": ("LifecycleActionToken", TEXT_OF_36 + "\n"),
    "token with a surrogate": ("LifecycleActionToken", TEXT_OF_36[:35] + SURROGATE),
    "token that is a number": ("LifecycleActionToken", int("1" * 36)),
    "token that is nan": ("LifecycleActionToken", float("nan")),
    "token that is huge": ("LifecycleActionToken", HUGE_INTEGER),
    "transition unknown": ("LifecycleTransition", "autoscaling:EC2_INSTANCE_PARKING"),
    "transition in lower case": ("LifecycleTransition", "autoscaling:ec2_instance_launching"),
    "transition empty": ("LifecycleTransition", ""),
    "transition of 1,000": ("LifecycleTransition", "t" * 1000),
    "transition a test": ("LifecycleTransition", "autoscaling:TEST_NOTIFICATION"),
    "transition an array": ("LifecycleTransition", ["autoscaling:EC2_INSTANCE_LAUNCHING"]),
    "transition an object": ("LifecycleTransition", {"autoscaling": "EC2_INSTANCE_LAUNCHING"}),
    "transition with a surrogate": ("LifecycleTransition", SURROGATE),
    "time without a zone": ("Time", "2026-10-05T09:30:00.007"),
    "time that is a date": ("Time", "2026-10-05"),
    "time that is none": ("Time", "half past nine"),
    "time empty": ("Time", ""),
    "time in year 1": ("Time", "0001-01-01T00:00:00Z"),
    "time before year 1": ("Time", "0001-01-01T00:00:00+14:00"),
    "time in year 9999": ("Time", "9999-12-31T23:59:59Z"),
    "time after year 9999": ("Time", "9999-12-31T23:59:59-14:00"),
    "time a number": ("Time", 1791192600),
    "time nan": ("Time", float("nan")),
    "time infinite": ("Time", float("inf")),
    "time with a surrogate": ("Time", f"2026-10-05T09:30:00{SURROGATE}"),
    "instance of another kind": ("EC2InstanceId", "mi-0123456789abcdef0"),
    "instance without digits": ("EC2InstanceId", "i-"),
    "instance of 20": ("EC2InstanceId", "i-" + "0" * 18),
    "instance with a slash": ("EC2InstanceId", "i-0123/4567"),
    "instance empty": ("EC2InstanceId", ""),
    "instance a list": ("EC2InstanceId", ["i-0123456789abcdef0"]),
    "instance with a surrogate": ("EC2InstanceId", f"i-{SURROGATE}"),
    "group empty": ("AutoScalingGroupName", ""),
    "group of 256": ("AutoScalingGroupName", "g" * 256),
    "group with a line feed": ("AutoScalingGroupName", "web\nprod"),
    "group with nul": ("AutoScalingGroupName", "web\0prod"),
    "group with a surrogate": ("AutoScalingGroupName", f"web{SURROGATE}"),
    "group false": ("AutoScalingGroupName", False),
    "hook empty": ("LifecycleHookName", ""),
    "hook of 256": ("LifecycleHookName", "h" * 256),
    "hook with a space": ("LifecycleHookName", "usher drain"),
    "hook with a surrogate": ("LifecycleHookName", f"usher{SURROGATE}"),
    "origin a number": ("Origin", 5),
    "origin empty": ("Origin", ""),
    "origin with a surrogate": ("Origin", SURROGATE),
    "destination an object": ("Destination", {}),
    "destination of 65": ("Destination", "D" * 65),
    "destination with a surrogate": ("Destination", SURROGATE),
}


@pytest.mark.parametrize(("key", "value"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_a_value_that_cannot_be_is_named(key: str, value: object) -> None:
    body = read_sample("hook-terminating") | {key: value}
    assert reason(json.dumps(body)).startswith(f"{key} must be ")
    envelope = read_sample("sns-hook") | {"Message": json.dumps(body)}
    assert reason(envelope).startswith(f"{key} must be ")


BAD_OUTCOMES = {
    "activity of 129": ("ActivityId", "a" * 129),
    "activity with a surrogate": ("ActivityId", SURROGATE),
    "group with a surrogate": ("AutoScalingGroupName", SURROGATE),
    "instance zero": ("EC2InstanceId", 0),
    "instance an empty array": ("EC2InstanceId", []),
    "instance wrong": ("EC2InstanceId", "web-1"),
    "start a number": ("StartTime", 5),
    "start without a zone": ("StartTime", "2026-10-05T12:29:59"),
    "end empty": ("EndTime", ""),
    "end in year 1": ("EndTime", "0001-01-01T00:00:00Z"),
    "message a number": ("StatusMessage", 5),
    "origin an array": ("Origin", []),
}


@pytest.mark.parametrize(("key", "value"), BAD_OUTCOMES.values(), ids=BAD_OUTCOMES)
def test_a_value_that_cannot_be_in_an_outcome_is_named(key: str, value: object) -> None:
    body = with_detail("outcome-terminate-successful", **{key: value})
    assert reason(json.dumps(body)).startswith(f"{key} must be ")


BAD_SIGNALS = {
    "name empty": ("Signal", ""),
    "name of 65": ("Signal", "s" * 65),
    "name with a space": ("Signal", "jobs finished"),
    "name with a surrogate": ("Signal", SURROGATE),
    "status unknown": ("Status", "finished"),
    "status in capitals": ("Status", "DONE"),
    "status an array": ("Status", ["done"]),
    "status with a surrogate": ("Status", SURROGATE),
    "instance wrong": ("InstanceId", "web-1"),
    "token of 35": ("LifecycleActionToken", TEXT_OF_36[:35]),
    "message a number": ("Message", 5),
}


@pytest.mark.parametrize(("key", "value"), BAD_SIGNALS.values(), ids=BAD_SIGNALS)
def test_a_value_that_cannot_be_in_a_signal_is_named(key: str, value: object) -> None:
    body = with_detail("signal-done-by-instance", **{key: value})
    assert reason(json.dumps(body)).startswith(f"{key} must be ")


BAD_BODIES = {
    "nothing": ("", "the body cannot be read as JSON"),
    "prose": ("please drain jobs-blue now", "the body cannot be read as JSON"),
    "key and value text": ("Service: AWS Auto Scaling", "the body cannot be read as JSON"),
    "single quotes": ("{'Time': 1}", "the body cannot be read as JSON"),
    "two objects": ("{}{}", "the body cannot be read as JSON"),
    "byte order mark": ("\ufeff{}", "the body cannot be read as JSON"),
    "bare surrogate": (SURROGATE, "the body cannot be read as JSON"),
    "integer of 5,000 digits": ('{"a":' + "9" * 5000 + "}", "the body cannot be read as JSON"),
    "nan": ("NaN", "the body must be a JSON object, got NaN"),
    "infinity": ("-Infinity", "the body must be a JSON object, got -Infinity"),
    "empty object": ("{}", UNKNOWN_SHAPE),
    "nested deep": (NESTED_DEEP, "the body is JSON nested too deep"),
    "arrays deep": ("[" * 100_000 + "]" * 100_000, "the body is JSON nested too deep"),
    "deep in a good message": (
        TEXTS["hook-terminating"].rstrip()[:-1] + f',"Future":{NESTED_DEEP}}}',
        "the body is JSON nested too deep",
    ),
    "event unknown": ('{"Event":"ec2:STARTED"}', UNKNOWN_SHAPE),
    "event a number": ('{"Event":5}', UNKNOWN_SHAPE),
    "source null": ('{"detail-type":"x","source":null}', "source must be text, got null"),
    "detail-type a number": (
        '{"detail-type":5,"source":"aws.autoscaling"}',
        "detail-type must be text, got 5",
    ),
    "signal of another type": (
        '{"detail-type":"Word","source":"usher.signal"}',
        "detail-type of usher.signal must be Usher Signal, got 'Word'",
    ),
}


@pytest.mark.parametrize(("body", "expected"), BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_body_that_says_nothing_is_not_understood(body: str, expected: str) -> None:
    assert reason(body).startswith(expected)


BAD_ENVELOPES = {
    "envelope in an envelope": (
        {"Message": TEXTS["sns-hook"]},
        "Message must say what it is by a LifecycleTransition",
    ),
    "prose": ({"Message": "Service: AWS Auto Scaling"}, "Message cannot be read as JSON"),
    "empty": ({"Message": ""}, "Message cannot be read as JSON"),
    "an object": ({"Message": {}}, "Message must be text, got an object of 0"),
    "a number": ({"Message": 5}, "Message must be text, got 5"),
    "a surrogate": ({"Message": SURROGATE}, "Message cannot be read as JSON"),
    "nested deep": ({"Message": NESTED_DEEP}, "Message is JSON nested too deep"),
    "too long": ({"Message": padded(KIBIBYTE**2 + 1)}, "Message must be at most 1048576 bytes"),
    "unknown type": ({"Type": "Gossip"}, "Type of an SNS envelope must be Notification, got 'Gossip'"),
    "type null": ({"Type": None}, "Type of an SNS envelope must be Notification, got null"),
    "type an object": ({"Type": {}}, "Type of an SNS envelope must be Notification, got an object of 0"),
}


@pytest.mark.parametrize(("changes", "expected"), BAD_ENVELOPES.values(), ids=BAD_ENVELOPES)
def test_an_envelope_around_nothing_is_not_understood(changes: dict[str, Any], expected: str) -> None:
    envelope = read_sample("sns-hook") | changes
    assert reason(envelope).startswith(expected)
    assert reason({"EventSource": "aws:sns", "Sns": envelope}).startswith(expected)
