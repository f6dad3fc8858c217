"""An independent client at the HTTP door: the AWS command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.e2e.doors import GROUP, LAUNCHING, TERMINATING, StoppedTime, a_door

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AWS = Path(sys.executable).parent / "aws"
GROUP_OPTION = ("--auto-scaling-group-name", GROUP)
GATE = {"LifecycleHookName": "gate", "LifecycleTransition": LAUNCHING, "HeartbeatTimeout": 60}
UNKNOWN_TOKEN = "00000000-0000-4000-8000-000000000000"
NOT_ACTIVE = (
    "(ValidationError) when calling the CompleteLifecycleAction operation: No active Lifecycle Action found"
)


class Said(NamedTuple):
    """What a run of the command line gave."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        """The answer of a run that went well."""
        assert (self.code, self.err) == (0, "")
        return json.loads(self.out) if self.out else None


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Said]]:
    """The life of one instance, told by the command line; runs that depend on nothing run together."""
    time = StoppedTime()
    with a_door(monotonic=time) as door, ThreadPoolExecutor(2) as pool:
        aws = runner(door.url, tmp_path_factory.mktemp("aws"))

        def together(**runs: tuple[str, ...]) -> dict[str, Said]:
            return dict(zip(runs, pool.map(aws, runs.values()), strict=True))

        sizes = ("--min-size", "0", "--max-size", "1", "--desired-capacity", "1")
        source = ("--launch-template", "LaunchTemplateName=any", "--availability-zones", "us-east-1a")
        gate = ("--lifecycle-hook-specification-list", json.dumps([GATE]))
        said = together(
            created=("create-auto-scaling-group", *GROUP_OPTION, *sizes, *source, *gate),
            types=("describe-lifecycle-hook-types",),
        )
        time.now_s += 2
        instance = ("--instance-id", door.instance())
        drain, of_gate = hook("drain"), hook("gate")
        put = ("put-lifecycle-hook", *drain, "--lifecycle-transition", TERMINATING)
        complete = ("complete-lifecycle-action", *of_gate, "--lifecycle-action-result", "CONTINUE")
        said |= together(
            put=(*put, "--notification-metadata", "a <b> & c", "--default-result", "CONTINUE"),
            put_too_long=("put-lifecycle-hook", *of_gate, "--heartbeat-timeout", "7201"),
            heartbeat=("record-lifecycle-action-heartbeat", *of_gate, *instance),
            unknown_token=(*complete, "--lifecycle-action-token", UNKNOWN_TOKEN),
        )
        time.now_s += 59.5
        said |= together(hooks=("describe-lifecycle-hooks", *GROUP_OPTION), completed=(*complete, *instance))
        said |= together(completed_again=(*complete, *instance), deleted=("delete-lifecycle-hook", *drain))
        time.now_s += 2
        said["instances"] = aws(("describe-auto-scaling-instances",))
        yield said


def runner(url: str, home: Path) -> Callable[[tuple[str, ...]], Said]:
    """Runs `aws autoscaling`, with nothing of the user's or the machine's configuration."""
    environment = {
        "PATH": os.defpath,
        "HOME": str(home),
        "AWS_CONFIG_FILE": str(home / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_DEFAULT_OUTPUT": "json",
        "AWS_PAGER": "",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_AUTO_SCALING": url,
    }

    def run(words: tuple[str, ...]) -> Said:
        command = [sys.executable, str(AWS), "autoscaling", *words]
        done = subprocess.run(  # noqa: S603 - of these tests
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        return Said(done.returncode, done.stdout.strip(), done.stderr.strip())

    return run


def hook(name: str) -> tuple[str, ...]:
    return ("--lifecycle-hook-name", name, *GROUP_OPTION)


@pytest.mark.parametrize("run", ["created", "put", "heartbeat", "completed", "deleted"])
def test_a_change_is_accepted_without_a_word(session: dict[str, Said], run: str) -> None:
    assert session[run].answer is None


def test_the_types_of_hooks_are_listed(session: dict[str, Said]) -> None:
    assert session["types"].answer == {"LifecycleHookTypes": [LAUNCHING, TERMINATING]}


def test_hooks_are_described_with_what_was_put_and_the_defaults(session: dict[str, Said]) -> None:
    gate, drain = session["hooks"].answer["LifecycleHooks"]
    assert gate == GATE | {"AutoScalingGroupName": GROUP, "GlobalTimeout": 6000, "DefaultResult": "ABANDON"}
    assert drain == {
        "LifecycleHookName": "drain",
        "AutoScalingGroupName": GROUP,
        "LifecycleTransition": TERMINATING,
        "NotificationMetadata": "a <b> & c",
        "HeartbeatTimeout": 3600,
        "GlobalTimeout": 172800,
        "DefaultResult": "CONTINUE",
    }


def test_a_heartbeat_keeps_the_action_and_its_completion_lets_the_instance_in(
    session: dict[str, Said],
) -> None:
    """The completion came 60.5 s after the action began: only the heartbeat made that early enough."""
    (instance,) = session["instances"].answer["AutoScalingInstances"]
    assert instance["LifecycleState"] == "InService"


@pytest.mark.parametrize(
    ("run", "text"),
    [
        ("unknown_token", f"{NOT_ACTIVE} with token {UNKNOWN_TOKEN}"),
        ("completed_again", f"{NOT_ACTIVE} with instance ID i-"),
        ("put_too_long", "(ValidationError) when calling the PutLifecycleHook operation: HeartbeatTimeout"),
    ],
)
def test_what_aws_refuses_is_refused_with_its_code_and_text(
    session: dict[str, Said], run: str, text: str
) -> None:
    said = session[run]
    assert (said.code, said.out) == (255, "")
    assert f"An error occurred {text}" in said.err
