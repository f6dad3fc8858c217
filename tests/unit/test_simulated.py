"""Simulated Auto Scaling for the tests of others: clock, faults, what it tells; and the example project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from usher_cli.main import main as usher
from usher_simulator.own_clients import past_proxies
from usher_simulator.testing.simulated import Simulated, simulated

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / "docs" / "examples" / "completing-lambda"
QUEUE: Final = "arn:aws:sqs:us-east-1:111122223333:inbox"
GATE: Final = {
    "LifecycleHookName": "gate",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "HeartbeatTimeout": 300,
    "DefaultResult": "CONTINUE",
}


@pytest.fixture
def one() -> Iterator[Simulated]:
    with simulated() as account:
        yield account


def once(one: Simulated) -> Any:
    """A client that makes one attempt."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client("autoscaling", endpoint_url=one.url, region_name="us-east-1", config=config, **keys)


def complete(one: Simulated, client: Any, result: str = "CONTINUE") -> None:
    (wait,) = one.actions("web")
    client.complete_lifecycle_action(
        AutoScalingGroupName="web",
        LifecycleHookName="gate",
        LifecycleActionToken=wait.token,
        LifecycleActionResult=result,
    )


def held(one: Simulated, **hook: Any) -> None:
    """A group of one instance, which waits in its launch hook."""
    one.create_group("web", hooks=[GATE | hook], desired=1)
    one.clock.advance("2s")
    assert one.states("web") == ["Pending:Wait"]


def test_time_stands_still_until_it_is_let_pass(one: Simulated) -> None:
    held(one)
    one.clock.advance("4m57s")
    assert one.states("web") == ["Pending:Wait"]
    one.clock.advance("4s")
    assert one.states("web") == ["InService"]
    assert [wait.ended_by for wait in one.actions("web")] == ["Heartbeat Timeout"]


def test_a_message_can_be_answered_from_within_the_clock(one: Simulated) -> None:
    """What takes it calls the API while time passes, as a Lambda function would."""

    def take(text: str) -> None:
        if "LifecycleActionToken" in json.loads(text):
            complete(one, one.client)

    one.target(QUEUE, take)
    one.create_group("web", hooks=[GATE | {"NotificationTargetARN": QUEUE, "RoleARN": "r"}], desired=1)
    one.clock.advance("10s")
    assert one.states("web") == ["InService"]
    assert [wait.ended_by for wait in one.actions("web")] == ["CompleteLifecycleAction"]


def test_events_come_late_as_recorded_and_all_of_them(one: Simulated) -> None:
    events: list[Any] = []
    one.on_event(events.append)
    held(one)
    assert events == []
    one.clock.advance("130s")
    assert [event["detail-type"] for event in events] == ["EC2 Instance-launch Lifecycle Action"]


def test_a_throttled_call_does_nothing_and_the_next_one_does(one: Simulated) -> None:
    held(one)
    one.faults.throttle("CompleteLifecycleAction")
    with pytest.raises(ClientError, match=r"Throttling.*Rate exceeded"):
        complete(one, once(one))
    assert one.states("web") == ["Pending:Wait"]
    complete(one, once(one))
    one.clock.advance("2s")
    assert one.states("web") == ["InService"]


def test_a_call_whose_answer_is_lost_was_done(one: Simulated) -> None:
    held(one)
    one.faults.lose_answer("CompleteLifecycleAction")
    with pytest.raises(ConnectionClosedError):
        complete(one, once(one))
    with pytest.raises(ClientError, match="No active Lifecycle Action found"):
        complete(one, once(one))
    one.clock.advance("2s")
    assert one.states("web") == ["InService"]


def test_an_action_can_be_expired(one: Simulated) -> None:
    held(one)
    one.faults.expire("web")
    assert [wait.ended_by for wait in one.actions("web")] == ["Heartbeat Timeout"]


def test_a_target_that_is_gone_ends_actions_at_once(one: Simulated) -> None:
    one.target(QUEUE, lambda _: None)
    one.create_group("web", hooks=[GATE | {"NotificationTargetARN": QUEUE, "RoleARN": "r"}])
    one.no_target(QUEUE)
    one.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
    one.clock.advance("5s")
    assert one.states("web") == ["InService"]


def test_a_group_can_be_force_deleted_while_its_last_instance_is_detached(one: Simulated) -> None:
    one.create_group("web", desired=1)
    one.clock.advance("1m")
    (instance,) = one.fleet.groups["web"].instances
    group = {"AutoScalingGroupName": "web"}
    one.client.detach_instances(**group, InstanceIds=[instance], ShouldDecrementDesiredCapacity=True)
    one.client.delete_auto_scaling_group(**group, ForceDelete=True)
    one.clock.advance("1m")
    assert one.client.describe_auto_scaling_groups()["AutoScalingGroups"] == []


def test_a_fault_of_an_operation_that_there_is_none_is_refused(one: Simulated) -> None:
    with pytest.raises(ValueError, match="no operation is called complete_lifecycle_action"):
        one.faults.throttle("complete_lifecycle_action")


def test_a_span_that_is_none_is_refused(one: Simulated) -> None:
    with pytest.raises(ValueError, match="'soon' is no span of time"):
        one.clock.advance("soon")


def run_tests_of(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The example project, tested as a reader would, with no settings and plugins of this repository."""
    own = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    return subprocess.run(  # noqa: S603 - nothing of it is input
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        cwd=folder,
        env={**own, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_project_holds_and_finds_a_missing_heartbeat(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("__pycache__"))
    assert sum(len(file.read_text().splitlines()) for file in project.glob("*.py")) <= 60
    whole = run_tests_of(project)
    assert (whole.returncode, "1 passed" in whole.stdout) == (0, True), whole.stdout
    handler = project / "handler.py"
    beat = "auto_scaling.record_lifecycle_action_heartbeat(**action)"
    assert beat in handler.read_text()
    handler.write_text(handler.read_text().replace(beat, "pass"))
    without = run_tests_of(project)
    assert without.returncode == 1
    assert "assert [] == ['Terminating:Wait']" in without.stdout


OF_A_PROJECT: Final = """\
import boto3

pytest_plugins = ["usher_simulator.testing.fixture"]


def who_signs():
    return boto3.client("sqs", "us-east-1").generate_presigned_url("list_queues")


def test_before(): assert "Credential=mine" in who_signs()


def test_with_it(auto_scaling):
    assert "Credential=testing" in who_signs()
    assert boto3.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []


def test_after(): assert "Credential=mine" in who_signs()
"""


@pytest.mark.parametrize("first", ["test_before", "test_with_it"])
def test_its_credentials_are_those_of_its_test_alone(tmp_path: Path, first: str) -> None:
    """Also where another test has made boto3's default session before."""
    text = OF_A_PROJECT if first == "test_before" else OF_A_PROJECT.replace("def test_before", "def not_run")
    (tmp_path / "test_project.py").write_text(text)
    said = run_tests_of(tmp_path, AWS_ACCESS_KEY_ID="mine", AWS_SECRET_ACCESS_KEY="mine")
    assert said.returncode == 0, said.stdout


@pytest.mark.parametrize(
    "settings",
    [
        {
            "AWS_PROFILE": "nobody-made-it",
            "AWS_SESSION_TOKEN": "of-other-keys",
            "AWS_USE_FIPS_ENDPOINT": "true",
        },
        {"AWS_CONFIG_FILE": "config"},
    ],
    ids=["environment", "file"],
)
def test_a_proxy_or_a_setting_of_the_user_comes_between_no_client_and_it(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    _, *tests = OF_A_PROJECT.replace("def test_before", "def not_run").partition("import boto3")
    (tmp_path / "test_project.py").write_text("".join(tests).replace("def test_after", "def not_run_either"))
    names = ("ignore_configured_endpoint_urls", "use_dualstack_endpoint", "use_fips_endpoint")
    (tmp_path / "config").write_text("\n".join(["[default]", *(f"{name} = true" for name in names)]))
    said = run_tests_of(tmp_path, **settings, HTTP_PROXY="http://127.0.0.1:1", NO_PROXY="example.com")
    assert said.returncode == 0, said.stdout


def test_nothing_of_it_needs_a_profile(tmp_path: Path) -> None:
    """In a process of its own: what botocore has read once it keeps."""
    program = (
        "from usher_simulator.testing.simulated import simulated\n"
        "with simulated() as one: one.create_group('web'); print(one.states('web'))"
    )
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "AWS_PROFILE": "nobody-made-it"}
    said = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.stdout, said.returncode) == ("[]\n", 0), said.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, "127.0.0.1"),
        ({"NO_PROXY": "a,b"}, "a,b,127.0.0.1"),
        ({"NO_PROXY": "a", "no_proxy": "127.0.0.1,b"}, "b,127.0.0.1"),
    ],
    ids=["none", "one", "both"],
)
def test_what_was_spared_the_proxy_before_still_is(before: dict[str, str], after: str) -> None:
    assert past_proxies(before) == {"NO_PROXY": after, "no_proxy": after}


def test_the_daemon_of_the_page_holds_its_instance_until_it_is_idle(
    one: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "testing-with-the-simulator.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(import boto3\s+def turn.*?)```", page, re.DOTALL)
    module: dict[str, Any] = {}
    exec(block, module)  # noqa: S102 - of our own page
    for name, value in one.environment.items():
        monkeypatch.setenv(name, value)
    drain = GATE | {
        "LifecycleHookName": "drain",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    }
    one.create_group("web", hooks=[drain], desired=1)
    one.clock.advance("10s")
    (instance,) = one.fleet.groups["web"].instances
    one.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=0)
    for _ in range(8):  # sixteen minutes, which is three heartbeat timeouts
        module["turn"](instance, lambda: False)
        one.clock.advance("2m")
    assert one.states("web") == ["Terminating:Wait"]
    module["turn"](instance, lambda: True)
    one.clock.advance("10s")
    assert [wait.ended_by for wait in one.actions("web")] == ["CompleteLifecycleAction"]


@pytest.mark.parametrize("span", ["36526d", "999999999999d", f"{'9' * 400}s"], ids=["a day", "ages", "ever"])
def test_no_clock_is_moved_by_more_than_a_century(one: Simulated, span: str) -> None:
    with pytest.raises(ValueError, match="is too long: write a century at most"):
        one.clock.advance(span)
    one.clock.advance("36525d")


def test_it_needs_nothing_of_usher() -> None:
    """Imported alone, in a process of its own."""
    program = (
        "import sys, usher_simulator.testing.fixture, usher_simulator.conformance.__main__, "
        "usher_simulator.__main__; of_usher = ('usher', 'usher_cli', 'usher_hooksfile', 'click'); "
        "print(sorted(name for name in sys.modules if name.split('.')[0] in of_usher))"
    )
    said = subprocess.run(  # noqa: S603 - as above
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "[]\n"


def test_the_command_line_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        usher(["simulator", "--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert "usage: usher simulator" in said
    assert "usher simulator --port 8090" in said
