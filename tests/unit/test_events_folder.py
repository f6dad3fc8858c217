"""The sample messages in `events/`, what their README says of them, and recorded traffic."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.message_samples import EVENTS, bodies
from tests.recorded import NAMES
from usher.core import messages, notifications
from usher.core.action import ActivityEnd, Signal
from usher.core.compiled import compiled
from usher_hooksfile import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.recorded import Recorded

MESSAGES = sorted((EVENTS / "messages").glob("*"))
INVOCATIONS = sorted((EVENTS / "invoke").glob("*"))
RECORDED = {
    "lifecycle_main": {"lifecycle": 6, "outcome": 6},
    "lifecycle_recovery": {"lifecycle": 2, "outcome": 2},
    "retention": {"lifecycle": 4, "outcome": 3},
    "sqs_target_test_notifications": {"test": 2},
    "warm_pool_lifecycle": {"lifecycle": 3, "outcome": 2},
}

WORDS = {
    notifications.LifecycleNotice: "lifecycle",
    notifications.TestNotice: "test",
    ActivityEnd: "outcome",
    Signal: "signal",
    notifications.Unrelated: "ignored",
}


def kind(body: object) -> str:
    """The word for what Usher makes of a body."""
    try:
        return WORDS[type(messages.read(body))]
    except notifications.NotUnderstood:
        return "rejected"


def told_of(folder: str) -> list[tuple[str, str]]:
    """File and last column of each row of the README's table about `folder`."""
    section = (EVENTS / "README.md").read_text().split(f"## {folder}/")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\S+)` \| [^|]+ \| ([^|]+) \|$", section, re.MULTILINE)


def named(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize(
    ("folder", "files"),
    [("messages", MESSAGES), ("invoke", INVOCATIONS)],
    ids=["messages", "invoke"],
)
def test_the_readme_lists_every_file_once_and_no_other(folder: str, files: Iterable[Path]) -> None:
    assert [path.name for path in files] == sorted(name for name, _ in told_of(folder))


@pytest.mark.parametrize("path", MESSAGES, ids=named)
def test_the_readme_says_of_each_message_what_usher_makes_of_it(path: Path) -> None:
    told = dict(told_of("messages"))[path.name]
    assert kind(path.read_text()) == told.split(":")[0]


@pytest.mark.parametrize("path", [path for path in INVOCATIONS if path.name.startswith("intake-")], ids=named)
def test_the_readme_says_of_each_record_for_the_intake_what_usher_makes_of_it(path: Path) -> None:
    told = dict(told_of("invoke"))[path.name]
    assert [kind(body) for body in bodies(json.loads(path.read_text()))] == told.split(", ")


@pytest.mark.parametrize(
    "path", [path for path in INVOCATIONS if not path.name.startswith("intake-")], ids=named
)
def test_what_is_for_the_other_functions_is_no_message(path: Path) -> None:
    assert dict(told_of("invoke"))[path.name] == "no message"
    assert {kind(body) for body in bodies(json.loads(path.read_text()))} == {"rejected"}


def test_the_wake_up_names_an_action_and_a_version() -> None:
    (body,) = bodies(json.loads((EVENTS / "invoke" / "wake-wakeup.json").read_text()))
    wake_up = json.loads(str(body))
    assert list(wake_up) == ["action_id", "version"]
    assert wake_up["version"] == 3


@pytest.mark.parametrize("kind", ["create", "delete"])
def test_what_cloudformation_hands_over_has_the_hooks_file_beside_it(kind: str) -> None:
    event = json.loads((EVENTS / "invoke" / f"provision-{kind}.json").read_text())
    assert event["ResourceProperties"]["File"] == compiled(load.read(EVENTS / "hooks.yaml")).text
    assert event["RequestType"] == kind.capitalize()


def test_the_schedule_says_who_ticks() -> None:
    event = json.loads((EVENTS / "invoke" / "sweep-schedule.json").read_text())
    assert event == {"source": "usher.schedule"}


@pytest.mark.parametrize("path", MESSAGES, ids=named)
def test_messages_are_compact_as_on_the_wire(path: Path) -> None:
    text = path.read_text()
    assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False) + "\n"


@pytest.mark.parametrize("path", INVOCATIONS, ids=named)
def test_invocations_are_laid_out_to_be_read(path: Path) -> None:
    text = path.read_text()
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("path", INVOCATIONS, ids=named)
def test_each_sqs_record_has_the_digest_of_its_body_and_an_id_of_its_own(path: Path) -> None:
    records = [
        record
        for record in json.loads(path.read_text()).get("Records", [])
        if record.get("eventSource") == "aws:sqs"
    ]
    digests = [hashlib.md5(record["body"].encode(), usedforsecurity=False) for record in records]
    assert [record["md5OfBody"] for record in records] == [digest.hexdigest() for digest in digests]
    assert len({record["messageId"] for record in records}) == len(records)


@pytest.mark.parametrize(
    ("path", "account"),
    [
        *(pytest.param(path, "111122223333", id=path.stem) for path in MESSAGES),
        # What is of another account is ignored: a local invocation has this one.
        *(pytest.param(path, "123456789012", id=path.stem) for path in INVOCATIONS),
    ],
)
def test_samples_speak_of_one_account_alone(path: Path, account: str) -> None:
    assert set(re.findall(r"(?<![0-9a-f-])\d{12}(?![0-9a-f])", path.read_text())) <= {account}


@pytest.mark.parametrize("name", NAMES)
def test_recorded_traffic_is_understood(source: Callable[[str], Recorded], name: str) -> None:
    recorded = [body for _, body in source(name).heard]
    assert RECORDED.get(name, {}) == Counter(kind(body) for body in recorded)
    assert RECORDED.get(name, {}) == Counter(
        kind(json.dumps(body, separators=(",", ":"))) for body in recorded
    )
