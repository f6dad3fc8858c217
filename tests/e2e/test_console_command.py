"""`usher console` as a process: opened with its address, asked by HTTP, ended by Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.factories import an_action, at
from tests.unit.test_account import CREDENTIALS, KEYS, NOBODYS, REGION, template
from usher.aws.records import RecordTable
from usher.ports.records import Raw

if TYPE_CHECKING:
    from collections.abc import Iterator

USHER = Path(sys.executable).with_name("usher")


@pytest.fixture
def endpoint() -> Iterator[str]:
    """A stack of Usher's with one open action."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    place: dict[str, Any] = {"region_name": REGION, "endpoint_url": f"http://{host}:{port}", **CREDENTIALS}
    cloud_formation = boto3.client("cloudformation", **place)
    cloud_formation.create_stack(StackName="Usher", TemplateBody=template(0))
    (stack,) = cloud_formation.describe_stacks(StackName="Usher")["Stacks"]
    (table,) = [each["OutputValue"] for each in stack["Outputs"] if each["OutputKey"] == "TableName"]
    records = RecordTable(boto3.client("dynamodb", **place), table, lambda: at(0))
    records.open(an_action(), Raw(received_at=at(0), body="{}"))
    yield place["endpoint_url"]
    server.stop()


def test_it_opens_its_address_answers_there_and_ends_by_an_interrupt(endpoint: str, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    environment = {name: value for name, value in {**os.environ, **NOBODYS, **KEYS}.items() if value}
    environment |= {"AWS_REGION": REGION, "BROWSER": f"sh -c 'echo \"$0\" > {opened}' %s"}
    words = [str(USHER), "console", "--read-only", "--endpoint-url", endpoint]
    with subprocess.Popen(  # noqa: S603 - our own program
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as console:
        assert console.stdout is not None
        line = console.stdout.readline()
        found = re.fullmatch(r"The console is at (http://127.0.0.1:\d+)/#(\S+) until Ctrl-C.*\n", line)
        assert found, line
        origin, code = found.groups()
        headers = {"Origin": origin, "Content-Type": "application/json"}
        asked = Request(f"{origin}/api/session", json.dumps({"code": code}).encode(), headers)  # noqa: S310 - loopback
        with urlopen(asked) as answer:  # noqa: S310
            cookie = answer.headers["Set-Cookie"].partition(";")[0]
        with urlopen(Request(f"{origin}/api/open", headers={"Cookie": cookie})) as answer:  # noqa: S310
            assert json.load(answer)["open"] == 1
        assert opened.read_text(encoding="utf-8").strip() == f"{origin}/#{code}"
        console.send_signal(signal.SIGINT)
        rest, errors = console.communicate()
    assert (console.returncode, rest, errors) == (0, "", "")
