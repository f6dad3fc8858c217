"""What each message means, from its sample in events/, and what of it may be anything."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.message_samples import (
    HUGE_INTEGER,
    INVOCATIONS,
    KIBIBYTE,
    SURROGATE,
    TEXTS,
    bodies,
    padded,
    read_sample,
    reason,
    with_detail,
)
from usher.core import messages, notifications
from usher.core.action import ActivityEnd, Signal, Status, Transition
from usher.core.notifications import LifecycleNotice, Notice, Unrelated

LAUNCHING, TERMINATING = Transition.LAUNCHING, Transition.TERMINATING


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
