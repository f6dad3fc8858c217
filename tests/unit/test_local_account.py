"""The local account's pure parts: what fits, what a function is, what is told. The rest is in tests/e2e."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import an_action
from usher_local.account import _client, _environment
from usher_local.cdk import _app
from usher_local.deployed_functions import Deployed
from usher_local.functions import local_services
from usher_local.launcher import SEAMS, VERSION, misfit
from usher_local.watch import Watch
from usher_simulator.testing.simulated import simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from usher.core.action import Action, Entry
    from usher.ports.records import Due

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def _of_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy, and a profile that is not there, for whoever asks the environment."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_PROFILE", "nobody-made-it")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "example.com")


@pytest.mark.usefixtures("_of_a_user")
@pytest.mark.parametrize("made_by", [_client, local_services.client])
def test_a_client_of_the_account_passes_by_the_proxy_and_the_profile_of_its_user(
    made_by: Callable[[str, str], Any],
) -> None:
    with simulated() as one:
        answer = made_by("autoscaling", one.url).describe_auto_scaling_groups()
    assert answer["AutoScalingGroups"] == []


@pytest.mark.usefixtures("_of_a_user")
def test_programs_that_are_given_the_account_pass_by_the_proxy_too() -> None:
    told = _environment("http://127.0.0.1:5")
    assert (told["NO_PROXY"], told["no_proxy"]) == ("example.com,127.0.0.1",) * 2


def test_the_shell_of_the_cdk_finds_the_app_in_a_folder_with_a_space_in_its_name() -> None:
    command = _app("/our clone/.venv/bin/python", Path("/our clone"))
    assert shlex.split(command) == ["/our clone/.venv/bin/python", "/our clone/app.py"]


def test_the_pinned_version_with_every_name_fits() -> None:
    assert misfit(VERSION, lambda _module, _name: True) is None


def test_the_pinned_version_is_the_one_that_is_installed() -> None:
    root = Path(__file__).parents[2]
    assert f"ministack=={VERSION} " in (root / "requirements" / "account.txt").read_text(encoding="utf-8")


def test_another_version_is_refused_with_both_versions() -> None:
    said = misfit("1.6.0", lambda _module, _name: True)
    assert said is not None
    assert VERSION in said
    assert "1.6.0" in said


@pytest.mark.parametrize("seam", SEAMS, ids=".".join)
def test_a_name_that_is_gone_is_named(seam: tuple[str, str]) -> None:
    said = misfit(VERSION, lambda *asked: asked != seam)
    assert said is not None
    assert f"has no {'.'.join(seam)}:" in said


def a_question(**changes: Any) -> dict[str, Any]:
    """What the emulator asks when a function is invoked."""
    config = {
        "FunctionName": "Usher-Wake",
        "FunctionArn": "arn:aws:lambda:us-east-1:111122223333:function:Usher-Wake",
        "Handler": "wake.handler",
        "Timeout": 60,
        "MemorySize": 512,
        "Environment": {"Variables": {"USHER_TABLE": "records"}},
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/usher/wake"},
    }
    return {
        "config": config | changes,
        "credentials": {"AWS_ACCESS_KEY_ID": "key", "AWS_SESSION_TOKEN": ""},
        "code": "/folder/code.zip",
    }


def test_a_function_has_the_environment_that_lambda_gives_it() -> None:
    assert dict(Deployed.from_question(a_question()).settings) == {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_NAME": "Usher-Wake",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/usher/wake",
        "USHER_TABLE": "records",
    }


def test_a_function_without_settings_logs_text_into_the_group_of_its_name() -> None:
    settings = dict(Deployed.from_question(a_question(Environment=None, LoggingConfig=None)).settings)
    assert settings["AWS_LAMBDA_LOG_FORMAT"] == "Text"
    assert settings["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/Usher-Wake"


def test_a_function_has_its_handler_time_and_memory_as_deployed() -> None:
    deployed = Deployed.from_question(a_question())
    assert (deployed.module, deployed.limit, deployed.memory_mb) == ("wake", timedelta(seconds=60), 512)


@pytest.mark.parametrize(
    "change",
    [{"Timeout": 61}, {"MemorySize": 256}, {"Environment": {"Variables": {"USHER_TABLE": "other"}}}],
    ids=["timeout", "memory", "environment"],
)
def test_what_is_configured_anew_runs_in_environments_of_its_own(change: dict[str, Any]) -> None:
    assert Deployed.from_question(a_question(**change)) != Deployed.from_question(a_question())


def test_the_same_configuration_runs_in_the_same_environments() -> None:
    assert Deployed.from_question(a_question()) == Deployed.from_question(a_question())


class Told:
    """Records with one action."""

    def __init__(self) -> None:
        self.action = an_action().noted(NOW, "notified", "by sqs")

    def note(self, event: str, detail: str) -> None:
        self.action = self.action.noted(NOW + SECOND, event, detail)

    def due(self, until: datetime) -> Sequence[Due]:  # noqa: ARG002 - as the records have it
        return []

    def of_instance(self, instance_id: str) -> Sequence[Action]:
        return [self.action] if instance_id == self.action.instance_id else []

    def load(self, action_id: str) -> Action | None:
        assert action_id == self.action.id
        return self.action

    def timeline(self, action_id: str) -> Sequence[Entry]:
        assert action_id == self.action.id
        return self.action.recent


def watched(records: Told, states: dict[str, str]) -> Watch:
    return Watch(records, lambda: states, lambda: NOW + SECOND)


def test_each_line_of_a_timeline_is_told_once() -> None:
    records = Told()
    instance = records.action.instance_id
    watch = watched(records, {instance: "Pending:Wait"})
    hook = records.action.hook.name
    assert watch.news() == [
        f"12:00:00  {instance}  {hook:<14} notified  by sqs",
        f"12:00:01  {instance}  {'Auto Scaling':<14} Pending:Wait",
    ]
    assert watch.news() == []


def test_a_repetition_is_told_with_its_count() -> None:
    records = Told()
    watch = watched(records, {records.action.instance_id: "Pending:Wait"})
    records.note("wait", "no signal")
    watch.news()
    records.note("wait", "no signal")
    (line,) = watch.news()
    assert line.endswith("wait      no signal (x2)")


def test_an_instance_that_goes_is_told_with_the_end_of_its_action() -> None:
    records = Told()
    states = {records.action.instance_id: "Terminating:Wait"}
    watch = watched(records, states)
    watch.news()
    states.clear()
    records.note("closed", "completed")
    closed, gone = watch.news()
    assert closed.endswith("closed    completed")
    assert gone.endswith("Auto Scaling   (gone)")
    assert watch.news() == []
