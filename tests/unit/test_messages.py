"""Every shape of message, what it says, and the reasons for those that say nothing."""

from __future__ import annotations

import copy
import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usher.core import messages, notifications
from usher.core.action import ActivityEnd, Signal, Status, Transition
from usher.core.notifications import Home, LifecycleNotice, Notice, NotUnderstood, Unrelated

EVENTS = Path(__file__).parents[2] / "events"
TEXTS = {path.stem: path.read_text() for path in sorted((EVENTS / "messages").glob("*"))}
INVOCATIONS = {path.stem: json.loads(path.read_text()) for path in sorted((EVENTS / "invoke").glob("*"))}

LAUNCHING, TERMINATING = Transition.LAUNCHING, Transition.TERMINATING
SURROGATE = "\ud800"
NESTED_DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000
KIBIBYTE = 1024
HUGE_INTEGER = 10**4000  # below the 4,300 digits at which Python itself gives up


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def launch(
    group: str,
    token: str,
    instance_id: str,
    time: str,
    *,
    origin: str | None = "EC2",
    destination: str | None = "AutoScalingGroup",
    channel: str = "sqs",
) -> LifecycleNotice:
    return LifecycleNotice(
        token=token,
        group=group,
        hook="usher-gate",
        instance_id=instance_id,
        transition=LAUNCHING,
        origin=origin,
        destination=destination,
        at=at(time),
        channel=channel,
    )


def terminate(
    group: str,
    token: str,
    instance_id: str,
    time: str,
    *,
    origin: str | None = "AutoScalingGroup",
    destination: str | None = "EC2",
    channel: str = "sqs",
) -> LifecycleNotice:
    notice = launch(group, token, instance_id, time, origin=origin, destination=destination, channel=channel)
    return dataclasses.replace(notice, hook="usher-drain", transition=TERMINATING)


def activity_end(
    group: str,
    activity_id: str,
    instance_id: str,
    times: tuple[str, str],
    detail: str,
    *,
    transition: Transition = TERMINATING,
    destination: str = "EC2",
) -> ActivityEnd:
    return ActivityEnd(
        activity_id=activity_id,
        group=group,
        instance_id=instance_id,
        transition=transition,
        origin="EC2" if transition is LAUNCHING else "AutoScalingGroup",
        destination=destination,
        started_at=at(times[0]),
        ended_at=at(times[1]),
        detail=detail,
        succeeded="Unsuccessful" not in detail,
    )


def jobs_signal(event_id: str, time: str, status: Status, message: str, **rest: str) -> Signal:
    name = rest.pop("name", "jobs-finished")
    return Signal(event_id=event_id, at=at(time), name=name, status=status, message=message, **rest)


WARM = "i-0712f4803e2342e39"
SWAPPED = "i-069cbe66ca40bdac8"
JOB = "i-0bcb8863448d14de2"
JOB_TOKEN = "4bd246ad-461e-4ef5-a00f-136b4b20ff6b"
ABANDONED = (
    "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token {} was abandoned: "
    "Lifecycle Action Completed with ABANDON Result"
)
EXPECTED: dict[str, Notice] = {
    "eventbridge-launch": launch(
        "web-prod",
        "b0c191bc-00c0-409c-8b79-f624f2d9f6ae",
        "i-07b63b559a12b0378",
        "2026-10-05T12:00:07",
        channel="eventbridge",
    ),
    "eventbridge-terminate": terminate(
        "jobs-blue",
        "c60b4c81-23c6-4573-9da8-01364db2a469",
        "i-08a4a4357b43ed2dd",
        "2026-10-05T12:30:00",
        channel="eventbridge",
    ),
    "eventbridge-with-metadata": dataclasses.replace(
        terminate(
            "jobs-blue",
            "4559690f-7c2e-4ada-9e1b-b367632894fd",
            "i-07097b6693ec0f53a",
            "2026-10-05T12:31:59",
            channel="eventbridge",
        ),
        metadata="owner=jobs",
    ),
    "lambda-on-failure": terminate(
        "jobs-blue",
        "5d2f8a3c-91be-4f0d-8c77-1e6a9b30d4f2",
        "i-0c4d5e6f708192a3b",
        "2026-10-04T16:08:51.207",
        channel="lambda",
    ),
    "group-notification-launch": Unrelated(
        reason="a notification-configuration message ('autoscaling:EC2_INSTANCE_LAUNCH')"
    ),
    "group-notification-terminate-error": Unrelated(
        reason="a notification-configuration message ('autoscaling:EC2_INSTANCE_TERMINATE_ERROR')"
    ),
    "hook-back-into-warm-pool": terminate(
        "jobs-warm",
        "7f56972a-c155-4617-96ad-3a762efd7e1e",
        WARM,
        "2026-10-05T18:15:30.002",
        destination="WarmPool",
    ),
    "hook-before-2021": terminate(
        "jobs-blue",
        "4f8f85c8-42df-49d0-b820-6796280ced30",
        "i-00da233b826892966",
        "2020-06-01T10:20:30.400",
        origin=None,
        destination=None,
    ),
    "hook-into-warm-pool": launch(
        "jobs-warm",
        "0571a72c-9c42-421c-b984-41ad10762e5e",
        WARM,
        "2026-10-05T06:00:01.250",
        destination="WarmPool",
    ),
    "hook-launching": launch(
        "web-prod", "e3fc6dfd-027b-4df7-a27e-27943a32da3c", "i-0892b360e49853c6b", "2026-10-05T08:00:12.345"
    ),
    "hook-out-of-warm-pool": launch(
        "jobs-warm",
        "6d7da334-a2fc-40f6-92c2-90910e3c33d4",
        WARM,
        "2026-10-05T06:40:09.611",
        origin="WarmPool",
    ),
    "hook-root-volume-launching": launch(
        "web-prod",
        "0695987a-04d7-4c4b-aac2-84084c6ee6aa",
        SWAPPED,
        "2026-10-06T02:04:51.099",
        origin="AutoScalingGroup",
    ),
    "hook-root-volume-terminating": terminate(
        "web-prod",
        "ec2e17a2-948e-44b3-915f-caa14df50aa9",
        SWAPPED,
        "2026-10-06T02:00:00.480",
        destination="AutoScalingGroup",
    ),
    "hook-terminating": terminate("jobs-blue", JOB_TOKEN, JOB, "2026-10-05T09:30:00.007"),
    "hook-warm-pool-to-ec2": terminate(
        "jobs-warm",
        "cec1fc08-009e-411c-bb36-57fc2da5b38c",
        WARM,
        "2026-10-05T22:05:17.730",
        origin="WarmPool",
    ),
    "hook-with-metadata": dataclasses.replace(
        terminate(
            "jobs-blue",
            "038e59ae-3b1a-4cd9-bfc1-944bc67e0871",
            "i-09de78803fcd40acc",
            "2026-10-05T09:31:02.118",
        ),
        metadata='{"owner":"jobs","note":"overnight"}',
    ),
    "hook-with-unknown-keys": launch(
        "web-prod", "9162a6e8-c972-4cf5-ac69-a99822a469d0", "i-0be5e15eec122ed4c", "2026-10-05T08:03:44.901"
    ),
    "instance-refresh-started": Unrelated(reason="an event 'EC2 Auto Scaling Instance Refresh Started'"),
    "outcome-launch-successful": activity_end(
        "web-prod",
        "df9d6879-20ee-4797-bd7b-e3ac40dc1c67",
        "i-07b63b559a12b0378",
        ("2026-10-05T12:00:02.611", "2026-10-05T12:04:31.208"),
        "EC2 Instance Launch Successful",
        transition=LAUNCHING,
        destination="AutoScalingGroup",
    ),
    "outcome-launch-unsuccessful": activity_end(
        "web-prod",
        "fa55bdc4-65f9-4ca2-928a-82e14ec8d346",
        "i-0d14cac0cedb26a70",
        ("2026-10-05T13:00:01.500", "2026-10-05T13:02:20.000"),
        f"EC2 Instance Launch Unsuccessful: {ABANDONED.format('f154027a-7106-4266-8fa2-2ebf576d058a')}",
        transition=LAUNCHING,
        destination="AutoScalingGroup",
    ),
    "outcome-launch-without-instance": Unrelated(
        reason="EC2 Instance Launch Unsuccessful without an instance"
    ),
    "outcome-terminate-retained": activity_end(
        "jobs-blue",
        "1621493c-cf3c-4f88-901a-f1067837a6eb",
        "i-0028dcdfdb5093967",
        ("2026-10-05T14:00:00.250", "2026-10-05T14:05:00.999"),
        "EC2 Instance Terminate Unsuccessful",
    ),
    "outcome-terminate-successful": activity_end(
        "jobs-blue",
        "e0fc7aaf-8ee4-4307-90f9-59b5e0f57754",
        "i-08a4a4357b43ed2dd",
        ("2026-10-05T12:29:59.480", "2026-10-05T12:47:03.951"),
        "EC2 Instance Terminate Successful",
    ),
    "outcome-warm-pool-return-retained": activity_end(
        "jobs-warm",
        "aa63b130-3e69-4178-9e8c-4d91a5d18043",
        "i-057dd8ee547b0c179",
        ("2026-10-05T18:30:00.333", "2026-10-05T18:31:12.000"),
        f"EC2 Instance Terminate Unsuccessful: {ABANDONED.format('78d9b705-1569-4516-b405-bb76c190e857')}",
        destination="WarmPool",
    ),
    "signal-done-by-instance": jobs_signal(
        "96f43b5c-b960-4988-ab7f-2605761bf112",
        "2026-10-05T09:41:10",
        Status.DONE,
        "queue empty, 214 jobs done",
        instance_id=JOB,
    ),
    "signal-done-by-token": jobs_signal(
        "10d05c09-bdb2-4253-8e44-856ad5336f34",
        "2026-10-05T09:41:11",
        Status.DONE,
        "queue empty",
        token=JOB_TOKEN,
    ),
    "signal-failed-by-instance": jobs_signal(
        "06f4ba20-d151-4a93-b8e4-7aeb52dd34ca",
        "2026-10-05T08:02:33",
        Status.FAILED,
        "no answer from the licence server in Zürich",
        instance_id="i-0892b360e49853c6b",
        name="bootstrapped",
    ),
    "signal-failed-by-token": jobs_signal(
        "44e75243-7e49-4380-993d-3c733c76fa54",
        "2026-10-05T09:40:01",
        Status.FAILED,
        "3 jobs lost",
        token=JOB_TOKEN,
    ),
    "signal-progress-by-instance": jobs_signal(
        "94be3f8b-013c-413c-b311-186e150c1757",
        "2026-10-05T09:35:00",
        Status.PROGRESS,
        "97 of 214 jobs done",
        instance_id=JOB,
    ),
    "signal-progress-by-token": jobs_signal(
        "c27ad3fc-db49-4d35-ae60-ae4562b4cbc2", "2026-10-05T09:36:00", Status.PROGRESS, "", token=JOB_TOKEN
    ),
    "sns-hook": terminate(
        "jobs-blue",
        "401f74ef-3581-4b67-a1f1-6e7af4f673f7",
        "i-00a5da9c85b41cf3e",
        "2026-10-05T11:11:11.110",
        channel="sns",
    ),
    "sns-raw": launch(
        "web-prod", "acc3497c-e1ad-41e5-a82e-a6321c3077e9", "i-09268c31c9326ffca", "2026-10-05T11:12:00.960"
    ),
    "sns-subscription-confirmation": Unrelated(reason="SNS SubscriptionConfirmation"),
    "sns-test": notifications.TestNotice(
        group="jobs-blue", request_id="a693a186-99a2-47e4-9d33-d7c3f1eb7eeb", at=at("2026-10-04T16:00:21.045")
    ),
    "test-notification": notifications.TestNotice(
        group="web-prod", request_id="5c40c55d-896f-4027-86d4-a03ec26289ec", at=at("2026-10-04T15:59:58.612")
    ),
}


def read_sample(name: str) -> dict[str, Any]:
    sample: dict[str, Any] = json.loads(TEXTS[name])
    return sample


def bodies(event: dict[str, Any]) -> list[Any]:
    return [record.get("body", record) for record in event.get("Records", [event])]


def reason(body: object) -> str:
    with pytest.raises(NotUnderstood) as caught:
        messages.read(body)
    assert_short(str(caught.value))
    return str(caught.value)


def assert_short(text: str) -> None:
    """A reason travels in an attribute of the dead letter, and is read by people."""
    assert text.isascii()
    assert 0 < len(text) <= 400


def test_every_sample_has_its_notice() -> None:
    assert sorted(TEXTS) == sorted(EXPECTED)


@pytest.mark.parametrize("name", TEXTS)
def test_each_sample_gives_exactly_its_notice(name: str) -> None:
    assert messages.read(TEXTS[name]) == EXPECTED[name]


@pytest.mark.parametrize("name", TEXTS)
def test_pretty_printed_and_parsed_forms_say_the_same(name: str) -> None:
    pretty = json.dumps(read_sample(name), indent=4, sort_keys=True)
    assert messages.read(pretty) == EXPECTED[name]
    assert messages.read(read_sample(name)) == EXPECTED[name]


def shuffled(value: object, data: st.DataObject) -> object:
    """`value` with the keys of every object in another order."""
    if not isinstance(value, dict):
        return value
    return {key: shuffled(value[key], data) for key in data.draw(st.permutations(list(value)))}


@given(name=st.sampled_from(list(TEXTS)), data=st.data())
@settings(deadline=None)
def test_the_order_of_keys_says_nothing(name: str, data: st.DataObject) -> None:
    assert messages.read(json.dumps(shuffled(read_sample(name), data))) == EXPECTED[name]


@pytest.mark.parametrize(
    ("name", "samples"),
    [
        ("intake-sqs-hook", ["hook-terminating"]),
        ("intake-sqs-test", ["test-notification"]),
        ("intake-sqs-sns", ["sns-hook"]),
        ("intake-sqs-eventbridge", ["eventbridge-terminate"]),
        (
            "intake-sqs-batch",
            [
                "hook-launching",
                "hook-terminating",
                "poison",
                "hook-terminating",
                "test-notification",
                "signal-done-by-instance",
                "outcome-terminate-successful",
                "instance-refresh-started",
            ],
        ),
        ("intake-sns-lambda", ["sns-hook"]),
        ("intake-eventbridge", ["eventbridge-launch"]),
        ("intake-lambda-target", ["hook-launching"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_record_for_the_intake_gives_the_notice_of_its_sample(name: str, samples: list[str]) -> None:
    records = bodies(INVOCATIONS[name])
    assert len(records) == len(samples)
    for record, sample in zip(records, samples, strict=True):
        if sample == "poison":
            assert reason(record).startswith("the body cannot be read as JSON")
        else:
            assert messages.read(record) == EXPECTED[sample]


@pytest.mark.parametrize("channel", ["sqs", "lambda"])
def test_a_bare_hook_message_came_by_the_channel_it_is_read_from(channel: str) -> None:
    (event,) = bodies(INVOCATIONS["intake-lambda-target"])
    expected = EXPECTED["hook-launching"]
    assert isinstance(expected, LifecycleNotice)
    assert messages.read(event, channel) == dataclasses.replace(expected, channel=channel)


@pytest.mark.parametrize("name", ["sns-hook", "eventbridge-terminate", "eventbridge-launch"])
def test_an_envelope_or_an_event_tells_its_own_channel(name: str) -> None:
    assert messages.read(TEXTS[name], "lambda") == EXPECTED[name]


def test_an_event_in_an_sns_envelope_is_read_as_the_event() -> None:
    envelope = read_sample("sns-hook") | {"Message": TEXTS["eventbridge-launch"]}
    assert messages.read(envelope) == EXPECTED["eventbridge-launch"]


def test_an_unsubscribe_confirmation_is_ignored() -> None:
    body = read_sample("sns-subscription-confirmation") | {"Type": "UnsubscribeConfirmation"}
    assert messages.read(body) == Unrelated(reason="SNS UnsubscribeConfirmation")


def test_an_event_of_another_source_is_ignored() -> None:
    body = read_sample("eventbridge-launch") | {"source": "aws.ec2"}
    assert messages.read(body) == Unrelated(reason="an event of 'aws.ec2'")


@pytest.mark.parametrize("offset", ["2026-10-05T11:30:00.007+02:00", "20261005T093000.007Z"])
def test_times_are_the_same_moment_in_any_zone_and_come_out_in_utc(offset: str) -> None:
    notice = messages.read(read_sample("hook-terminating") | {"Time": offset})
    assert notice == EXPECTED["hook-terminating"]
    assert isinstance(notice, LifecycleNotice)
    assert notice.at.tzinfo is UTC


@pytest.mark.parametrize("key", ["Origin", "Destination"])
def test_a_place_that_is_null_is_a_place_not_told(key: str) -> None:
    notice = messages.read(read_sample("hook-launching") | {key: None})
    assert isinstance(notice, LifecycleNotice)
    assert getattr(notice, key.lower()) is None


def with_detail(name: str, **changes: object) -> dict[str, Any]:
    body = read_sample(name)
    body["detail"] |= changes
    return body


@pytest.mark.parametrize("missing", [None, ""], ids=["null", "empty"])
def test_an_outcome_without_an_instance_is_ignored(missing: str | None) -> None:
    body = with_detail("outcome-launch-successful", EC2InstanceId=missing)
    assert messages.read(body) == Unrelated(reason="EC2 Instance Launch Successful without an instance")


def test_an_outcome_without_its_own_times_ended_at_the_time_of_the_event() -> None:
    body = with_detail("outcome-terminate-successful", StartTime=None, EndTime=None)
    notice = messages.read(body)
    assert isinstance(notice, ActivityEnd)
    assert (notice.started_at, notice.ended_at) == (None, at("2026-10-05T12:47:03"))


def test_long_words_of_aws_are_kept_shortened() -> None:
    notice = messages.read(with_detail("outcome-terminate-successful", StatusMessage="long " * 1000))
    assert isinstance(notice, ActivityEnd)
    assert notice.detail == f"EC2 Instance Terminate Successful: {'long ' * 200}"


def test_a_long_message_of_a_signal_is_kept_shortened() -> None:
    notice = messages.read(with_detail("signal-done-by-instance", Message="long " * 10_000))
    assert isinstance(notice, Signal)
    assert notice.message == "long " * 40


def test_a_signal_may_name_both_instance_and_token() -> None:
    notice = messages.read(with_detail("signal-done-by-instance", LifecycleActionToken=JOB_TOKEN))
    assert isinstance(notice, Signal)
    assert (notice.instance_id, notice.token) == (JOB, JOB_TOKEN)


def test_lone_surrogates_in_free_text_are_escaped() -> None:
    signal = messages.read(with_detail("signal-done-by-instance", Message=f"a{SURROGATE}b"))
    assert isinstance(signal, Signal)
    assert signal.message == "a\\ud800b"
    outcome = messages.read(with_detail("outcome-terminate-successful", StatusMessage=f"a{SURROGATE}b"))
    assert isinstance(outcome, ActivityEnd)
    assert outcome.detail == "EC2 Instance Terminate Successful: a\\ud800b"


@pytest.mark.parametrize("key", ["NotificationMetadata", "Service", "AccountId", "RequestId", "Future"])
@pytest.mark.parametrize(
    "value",
    [None, [], {}, SURROGATE, float("nan"), HUGE_INTEGER],
    ids=["null", "array", "object", "surrogate", "nan", "huge"],
)
def test_what_is_not_needed_may_be_anything(key: str, value: object) -> None:
    body = json.dumps(read_sample("hook-terminating") | {key: value})
    assert messages.read(body) == EXPECTED["hook-terminating"]


def padded(size: int) -> str:
    """A good message of `size` bytes, most of them in characters of two bytes."""
    empty = len(json.dumps(read_sample("hook-terminating") | {"Padding": ""}).encode())
    wide, narrow = divmod(size - empty, 2)
    body = read_sample("hook-terminating") | {"Padding": "é" * wide + "e" * narrow}
    return json.dumps(body, ensure_ascii=False)


def test_a_body_of_a_mebibyte_is_read() -> None:
    body = padded(KIBIBYTE**2)
    assert len(body.encode()) == KIBIBYTE**2
    assert messages.read(body) == EXPECTED["hook-terminating"]


def test_a_body_of_a_byte_more_is_not() -> None:
    assert reason(padded(KIBIBYTE**2 + 1)) == "the body must be at most 1048576 bytes, got 1048577"


@pytest.mark.parametrize("name", ["hook-with-metadata", "sns-test", "outcome-launch-unsuccessful"])
def test_a_body_cut_off_anywhere_is_not_understood(name: str) -> None:
    text = TEXTS[name].rstrip()
    for length in range(0, len(text), 10):
        assert reason(text[:length]).startswith("the body cannot be read as JSON"), length


def test_a_message_cut_off_in_its_envelope_is_not_understood() -> None:
    body = read_sample("sns-hook")
    for length in range(0, len(body["Message"]), 10):
        assert reason(body | {"Message": body["Message"][:length]}).startswith(
            "Message cannot be read as JSON"
        ), length


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


def assert_storable(value: object) -> None:
    """Every text in a notice encodes, and every time has a zone."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, datetime):
        assert value.tzinfo is not None
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            assert_storable(getattr(value, field.name))
    else:
        assert value is None or isinstance(value, bool)


def assert_read_or_refused(body: object) -> None:
    """`body` gives a notice that can be stored, or a short reason; nothing else happens."""
    try:
        notice = messages.read(body)
    except NotUnderstood as error:
        assert_short(str(error))
    else:
        assert_storable(notice)


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)  # lone surrogates among them
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | ANY_TEXT
    | st.sampled_from([HUGE_INTEGER, *json.dumps(list(TEXTS.values())).split('\\"'), "x" * 100_000])
)
KEYS = st.sampled_from(("Sns", "Type", "TopicArn", "Message", "Event", "Time", "LifecycleTransition")) | (
    st.sampled_from(("detail-type", "source", "detail", "time", "Status", "InstanceId", "EC2InstanceId"))
)
ANY_JSON = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | ANY_TEXT, inner, max_size=6),
    max_leaves=12,
)


@given(body=ANY_TEXT)
@settings(deadline=None)
def test_arbitrary_text_is_read_or_refused(body: str) -> None:
    assert_read_or_refused(body)


@given(body=ANY_JSON)
@settings(deadline=None)
def test_arbitrary_json_is_read_or_refused(body: object) -> None:
    assert_read_or_refused(body)
    assert_read_or_refused(json.dumps(body))


@given(
    kind=st.sampled_from(sorted({read_sample(name).get("detail-type", "") for name in TEXTS})), rest=ANY_JSON
)
@settings(deadline=None)
def test_an_event_with_arbitrary_contents_is_read_or_refused(kind: str, rest: object) -> None:
    for source in ("aws.autoscaling", "usher.signal"):
        event = {"detail-type": kind, "source": source, "time": "2026-10-05T09:30:00Z", "detail": rest}
        assert_read_or_refused(json.dumps(event))


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths to everything inside `value`."""
    if isinstance(value, dict):
        members = list(value.items())
    else:
        members = list(enumerate(value)) if isinstance(value, list) else []
    inside = [place for key, member in members for place in places(member, (*path, key))]
    return [path, *inside] if path else inside


def change(body: dict[str, Any], data: st.DataObject) -> None:
    """Replace, delete or duplicate one value anywhere in `body`."""
    place: tuple[Any, ...] = data.draw(st.sampled_from(places(body)))
    *way, last = place
    holder: Any = body
    for step in way:
        holder = holder[step]
    match data.draw(st.sampled_from(["replace", "delete", "duplicate"])):
        case "replace":
            holder[last] = data.draw(ANY_JSON)
        case "delete":
            del holder[last]
        case _ if isinstance(holder, list):
            holder.append(holder[last])
        case _:
            twin = data.draw(st.sampled_from(list(holder)) | KEYS)
            holder[twin] = copy.deepcopy(holder[last])


@given(name=st.sampled_from(list(TEXTS)), times=st.integers(1, 3), data=st.data())
@settings(deadline=None, max_examples=400)
def test_a_changed_message_is_read_or_refused(name: str, times: int, data: st.DataObject) -> None:
    body = read_sample(name)
    for _ in range(times):
        if places(body):
            change(body, data)
    assert_read_or_refused(body)
    assert_read_or_refused(json.dumps(body))
    assert_read_or_refused(read_sample("sns-hook") | {"Message": json.dumps(body)})


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
        pytest.param("a" * 4001, None, id="more"),
        pytest.param("", None, id="none"),
        pytest.param(None, None, id="null"),
        pytest.param({"role": "db"}, None, id="no text"),
        pytest.param("a\x00", None, id="what no store keeps"),
        pytest.param("a\ud800", None, id="a lone surrogate"),
    ],
)
def test_metadata_that_are_none_cost_no_message(told: object, metadata: str | None) -> None:
    notice = messages.read(json.dumps(read_sample("hook-with-metadata") | {"NotificationMetadata": told}))
    assert isinstance(notice, LifecycleNotice)
    assert notice.metadata == metadata
