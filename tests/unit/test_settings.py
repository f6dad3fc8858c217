from __future__ import annotations

from pathlib import Path

import pytest

from usher.core.hook_items import Target
from usher.core.notifications import Home
from usher.core.policy import Channel
from usher.settings import EnrolmentSettings, Settings, SettingsRefused

WHOLE = {
    "USHER_ACCOUNT": "111122223333",
    "USHER_TABLE": "records",
    "USHER_WAKE_UPS_URL": "https://queue/wake-ups",
    "USHER_QUESTIONS_URL": "https://queue/questions",
    "USHER_DEAD_LETTERS_URL": "https://queue/dead-letters",
    "USHER_CALLS_PER_SECOND": "7.5",
}


def test_settings_are_what_the_environment_says() -> None:
    settings = Settings.from_environment(WHOLE | {"USHER_HOOKS": "other.json", "AWS_REGION": "eu-west-1"})
    assert settings == Settings(
        table="records",
        wake_ups_url="https://queue/wake-ups",
        questions_url="https://queue/questions",
        dead_letters_url="https://queue/dead-letters",
        all_dead_letters_urls=(),
        calls_per_second=7.5,
        hooks=Path("other.json"),
        is_applied=False,
        home=Home(account="111122223333", region="eu-west-1"),
    )


def test_the_compiled_hooks_lie_beside_the_functions() -> None:
    hooks = Settings.from_environment(WHOLE).hooks
    assert (hooks.name, hooks.parent.name) == ("hooks.json", "functions")


def test_the_dead_letter_queues_of_all_functions_stand_in_one_line() -> None:
    told = Settings.from_environment(WHOLE | {"USHER_ALL_DEAD_LETTERS_URLS": "https://a https://b"})
    assert told.all_dead_letters_urls == ("https://a", "https://b")


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsRefused, match="USHER_TABLE, USHER_WAKE_UPS_URL"):
        Settings.from_environment(
            {"USHER_TABLE": "", "USHER_DEAD_LETTERS_URL": "x", "USHER_CALLS_PER_SECOND": "1"}
        )


@pytest.mark.parametrize(
    ("value", "is_applied"), [(None, False), ("", False), ("asset", False), ("table", True)]
)
def test_the_hooks_file_is_compiled_in_or_applied_at_run_time(value: str | None, *, is_applied: bool) -> None:
    told = {} if value is None else {"USHER_HOOKS_FROM": value}
    assert Settings.from_environment(WHOLE | told).is_applied is is_applied


def test_another_place_of_the_hooks_file_is_refused() -> None:
    with pytest.raises(SettingsRefused, match="USHER_HOOKS_FROM must be asset or table, got 'bucket'"):
        Settings.from_environment(WHOLE | {"USHER_HOOKS_FROM": "bucket"})


@pytest.mark.parametrize("value", ["0", "-1", "many", "nan", "inf", "1000.1"])
def test_a_budget_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(SettingsRefused, match="USHER_CALLS_PER_SECOND"):
        Settings.from_environment(WHOLE | {"USHER_CALLS_PER_SECOND": value})


TO_ENROL = {
    "USHER_INBOX_ARN": "arn:queue",
    "USHER_TOPIC_ARN": "arn:topic",
    "USHER_INTAKE_ARN": "arn:intake",
    "USHER_HOOK_ROLE_ARN": "arn:role",
    "USHER_ENROLMENTS_PER_HOUR": "50",
}


def test_lambda_is_notified_without_a_role_and_all_others_with_it() -> None:
    settings = EnrolmentSettings.from_environment(TO_ENROL)
    assert settings.per_hour == 50
    assert settings.targets == {
        Channel.SQS: Target(arn="arn:queue", role_arn="arn:role"),
        Channel.SNS: Target(arn="arn:topic", role_arn="arn:role"),
        Channel.LAMBDA: Target(arn="arn:intake"),
        Channel.EVENTBRIDGE: Target(arn=None),
    }


def test_what_enrolment_lacks_is_named_at_once() -> None:
    lacking = TO_ENROL | dict.fromkeys(("USHER_INBOX_ARN", "USHER_TOPIC_ARN"), "")
    with pytest.raises(SettingsRefused, match="USHER_INBOX_ARN, USHER_TOPIC_ARN"):
        EnrolmentSettings.from_environment(lacking)


@pytest.mark.parametrize("value", ["-1", "1.5", "many", " 5", "²"])
def test_a_limit_that_is_no_whole_number_is_refused(value: str) -> None:
    with pytest.raises(SettingsRefused, match="USHER_ENROLMENTS_PER_HOUR"):
        EnrolmentSettings.from_environment(TO_ENROL | {"USHER_ENROLMENTS_PER_HOUR": value})
