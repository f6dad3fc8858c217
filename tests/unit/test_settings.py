from __future__ import annotations

from pathlib import Path

import pytest

from usher.settings import Settings, SettingsRefused

WHOLE = {
    "USHER_TABLE": "records",
    "USHER_WAKE_UPS_URL": "https://queue/wake-ups",
    "USHER_DEAD_LETTERS_URL": "https://queue/dead-letters",
    "USHER_CALLS_PER_SECOND": "7.5",
}


def test_settings_are_what_the_environment_says() -> None:
    settings = Settings.from_environment(WHOLE | {"USHER_HOOKS": "other.json"})
    assert settings == Settings(
        table="records",
        wake_ups_url="https://queue/wake-ups",
        dead_letters_url="https://queue/dead-letters",
        calls_per_second=7.5,
        hooks=Path("other.json"),
    )


def test_the_compiled_hooks_lie_beside_the_functions() -> None:
    hooks = Settings.from_environment(WHOLE).hooks
    assert (hooks.name, hooks.parent.name) == ("hooks.json", "functions")


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsRefused, match="USHER_TABLE, USHER_WAKE_UPS_URL"):
        Settings.from_environment(
            {"USHER_TABLE": "", "USHER_DEAD_LETTERS_URL": "x", "USHER_CALLS_PER_SECOND": "1"}
        )


@pytest.mark.parametrize("value", ["0", "-1", "many", "nan", "inf", "1000.1"])
def test_a_budget_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(SettingsRefused, match="USHER_CALLS_PER_SECOND"):
        Settings.from_environment(WHOLE | {"USHER_CALLS_PER_SECOND": value})
