"""An independent client at the HTTP door: the AWS command line, as a command of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.doors import GROUP, LAUNCHING, StoppedTime, a_door

if TYPE_CHECKING:
    from collections.abc import Callable

AWS = Path(sys.executable).parent / "aws"
HOOK = ("--lifecycle-hook-name", "gate", "--auto-scaling-group-name", GROUP)


def test_a_wait_is_seen_kept_and_completed_and_a_second_completion_is_refused(tmp_path: Path) -> None:
    """The completion comes 60.5 s after the action began: only the heartbeat makes that early enough."""
    time = StoppedTime()
    with a_door(monotonic=time) as door:
        aws = runner(door.url, tmp_path)
        door.create(DesiredCapacity=0)
        put = aws(
            "put-lifecycle-hook", *HOOK, "--lifecycle-transition", LAUNCHING, "--heartbeat-timeout", "60"
        )
        door.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
        time.now_s += 2
        (waiting,) = json.loads(aws("describe-auto-scaling-instances").stdout)["AutoScalingInstances"]
        instance = ("--instance-id", waiting["InstanceId"])
        beaten = aws("record-lifecycle-action-heartbeat", *HOOK, *instance)
        time.now_s += 59.5
        complete = ("complete-lifecycle-action", *HOOK, *instance, "--lifecycle-action-result", "CONTINUE")
        completed, again = aws(*complete), aws(*complete)
        time.now_s += 2
        assert door.states() == ["InService"]
    assert waiting["LifecycleState"] == "Pending:Wait"
    for done in (put, beaten, completed):
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (again.returncode, again.stdout) == (255, "")
    assert (
        "An error occurred (ValidationError) when calling the CompleteLifecycleAction operation: "
        f"No active Lifecycle Action found with instance ID {waiting['InstanceId']}"
    ) in again.stderr


def runner(url: str, home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
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

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - of these tests
            [sys.executable, str(AWS), "autoscaling", *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
