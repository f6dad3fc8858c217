"""`usher replay s3://…` and `logs:…`: read with the user's credentials, like files."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from botocore.stub import Stubber
from click.testing import CliRunner
from moto import mock_aws

from usher_cli import traffic
from usher_cli.account import Machine
from usher_cli.main import main
from usher_cli.traffic.remote import Since, read_remote
from usher_simulator.replay.replay import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

    from usher_cli.traffic import Found

SAMPLE: Final = Path(__file__).parents[2] / "usher_cli" / "sample"
LINES: Final = (SAMPLE / "fleet-day.jsonl").read_text().splitlines()
NOW: Final = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with mock_aws():
        yield


def usher(folder: Path, *arguments: str) -> Result:
    """A replay under hooks of which the day has none: the simulated account and moto's share one wire."""
    hooks = folder / "hooks.yaml"
    hooks.write_text(
        "version: 1\npolicies: {p: {until: []}}\n"
        "hooks: [{name: h, group: g, transition: launching, policy: p}]\n"
    )
    machine = Machine(clock=lambda: NOW, new_id=lambda: "id", wait=lambda _: None)
    return CliRunner().invoke(main, ["replay", "--hooks", str(hooks), *arguments], obj=machine)


def with_objects(**contents: bytes) -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="our-archive")
    for key, content in contents.items():
        s3.put_object(Bucket="our-archive", Key=f"2026/03/{key}", Body=content)


@pytest.mark.usefixtures("aws")
def test_the_objects_below_a_prefix_are_read_like_a_folder(tmp_path: Path) -> None:
    first, second = "\n".join(LINES[:40]).encode(), gzip.compress("\n".join(LINES[40:]).encode())
    with_objects(a=first, b=second, readme=b"Objects.")
    outcome = usher(tmp_path, "s3://our-archive/2026/")
    assert outcome.exit_code == 0
    assert outcome.stdout.splitlines()[-1].startswith("80 messages (35 signal, 45 ignored)")


@pytest.mark.usefixtures("aws")
def test_what_is_read_of_objects_is_what_the_file_holds() -> None:
    with_objects(a="\n".join(LINES).encode())
    progress: list[str] = []
    found = list(read_remote("s3://our-archive/", _client, Since(), progress.append))
    (key,) = {one.source.rpartition(":")[0] for one in found}
    assert key == "s3://our-archive/2026/03/a"
    of_file = traffic.read((str(SAMPLE / "fleet-day.jsonl"),))
    assert [without_source(one) for one in found] == [without_source(one) for one in of_file]
    assert progress == [f"s3://our-archive: 1 of 1 objects, {len(chr(10).join(LINES)):,} bytes"]


@pytest.mark.usefixtures("aws")
def test_an_object_that_is_damaged_is_told_by_its_key_and_stops_no_other(tmp_path: Path) -> None:
    with_objects(a="\n".join(LINES).encode(), b=gzip.compress(b"{}")[:-5])
    outcome = usher(tmp_path, "s3://our-archive/2026/03")
    assert outcome.exit_code == 1
    assert "rejected s3://our-archive/2026/03/b: truncated or damaged gzip" in outcome.stdout
    assert "81 messages" in outcome.stdout


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            "s3://our-archive/2027/",
            "s3://our-archive/2027/ contains no message: no object with that prefix begins",
        ),
        (
            "logs:/aws/events/asg",
            "logs:/aws/events/asg contains no message: it has no event between --from and",
        ),
    ],
)
def test_a_place_without_a_message_is_told_and_is_no_success(tmp_path: Path, path: str, said: str) -> None:
    with_objects(a=b"{}")
    boto3.client("logs", region_name="us-east-1").create_log_group(logGroupName="/aws/events/asg")
    outcome = usher(tmp_path, path, "--from", "24h")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert said in outcome.stderr


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("s3://nobodys/x", "s3://nobodys/x does not exist: check its name, --region"),
        ("logs:/nobodys", "logs:/nobodys does not exist: check its name, --region"),
        ("s3:///x", "must name a bucket, such as s3://bucket/prefix"),
        ("logs:", "must name a log group"),
    ],
)
def test_a_place_that_cannot_be_read_is_told_in_one_line(tmp_path: Path, path: str, said: str) -> None:
    outcome = usher(tmp_path, path)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    *_, last = outcome.stderr.splitlines()
    assert last.startswith("Error: ")
    assert said in last


def test_of_a_log_group_the_events_of_a_range_are_read_page_by_page() -> None:
    """By answers as AWS gives them: moto keeps no event that is older than two weeks."""
    body = json.dumps(json.loads(LINES[0])["body"])
    logs = boto3.client(
        "logs", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    asked: dict[str, Any] = {
        "logGroupName": "/aws/events/asg",
        "startTime": 1772323200000,
        "endTime": 1772409600000,
    }
    events = [
        {"timestamp": 1772324000000 + n, "ingestionTime": 1772324001000, "message": body} for n in (1, 2)
    ]
    progress: list[str] = []
    with Stubber(logs) as stubbed:
        stubbed.add_response("filter_log_events", {"events": events[:1], "nextToken": "t"}, asked)
        stubbed.add_response("filter_log_events", {"events": events[1:]}, {**asked, "nextToken": "t"})
        since = Since(datetime(2026, 3, 1, tzinfo=UTC), NOW)
        found = list(read_remote("logs:/aws/events/asg", lambda _: logs, since, progress.append))
    came = datetime(2026, 3, 1, 0, 13, 21, tzinfo=UTC)
    assert found == [
        Entry(source=f"logs:/aws/events/asg:{number}", received_at=came, body=body) for number in (1, 2)
    ]
    assert progress == ["logs:/aws/events/asg: 1 events", "logs:/aws/events/asg: 2 events"]


def _client(service: str) -> Any:
    return boto3.client(service, region_name="us-east-1")


def without_source(found: Found) -> Found:
    return replace(found, source="")
