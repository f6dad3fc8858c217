"""The built asset on every sample event, under Lambda's own runtime client in an isolated interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from usher.aws.records import RecordTable
from usher.core import messages
from usher.core.action import Outcome
from usher.core.compiled import compiled
from usher.core.notifications import LifecycleNotice, NotUnderstood
from usher.wiring.machine import new_id, now
from usher_cdk.bundle import build
from usher_cdk.python import find_python
from usher_cdk.wheels import ROOT
from usher_hooksfile.load import read
from usher_local.functions.__main__ import main
from usher_local.functions.function import Code, Function
from usher_local.functions.local_services import client, local_endpoints, settled_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

INVOKE = ROOT / "events" / "invoke"
SAMPLES = sorted(INVOKE.glob("*"))
TAKEN: dict[str, Any] = {"batchItemFailures": []}
ANSWERS: dict[str, Any] = {
    "intake-eventbridge": {},
    "intake-lambda-target": {},
    "intake-sns-lambda": {},
    "intake-sqs-batch": TAKEN,
    "intake-sqs-eventbridge": TAKEN,
    "intake-sqs-hook": TAKEN,
    "intake-sqs-sns": TAKEN,
    "intake-sqs-test": TAKEN,
    "sweep-schedule": {"near": 0, "overdue": 0, "evaluated": 0},
    "wake-wakeup": TAKEN,
    "questions-turn": TAKEN,
    "announce-stream": TAKEN,
    "provision-create": {},
    "provision-delete": {},
}


@dataclass(frozen=True, kw_only=True)
class Running:
    """A function in its execution environment, and the account that it works in."""

    function: Function
    settings: Mapping[str, str]

    def client(self, service: str) -> Any:
        return client(service, self.settings["AWS_ENDPOINT_URL"])

    def received(self, queue: str) -> list[dict[str, Any]]:
        asked = {"QueueUrl": self.settings[queue], "MessageAttributeNames": ["All"]}
        return list(self.client("sqs").receive_message(**asked).get("Messages", []))

    @property
    def records(self) -> RecordTable:
        return RecordTable(self.client("dynamodb"), self.settings["USHER_TABLE"], now)


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Code:
    asset = tmp_path_factory.mktemp("asset")
    build(asset, compiled(read(ROOT / "events" / "hooks.yaml")))
    python = find_python()
    return Code(asset=asset, runtime=python.runtime(), python=python)


@pytest.fixture(scope="module")
def endpoints() -> Iterator[dict[str, str]]:
    with local_endpoints(now) as endpoints:
        yield endpoints


@pytest.fixture(scope="module")
def start(
    code: Code, endpoints: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, str], Running]]:
    """Starts a function in an account: what has one name shares table and queues."""
    log_file = tmp_path_factory.mktemp("log") / "log"
    with ExitStack() as stack:
        log = stack.enter_context(log_file.open("wb"))

        def started(name: str, account: str) -> Running:
            settings = endpoints | settled_in(endpoints["AWS_ENDPOINT_URL"], f"{account}-")
            function = stack.enter_context(Function(name, code, settings, log, now, new_id))
            return Running(function=function, settings=settings)

        yield started


@pytest.fixture(scope="module")
def running(start: Callable[[str, str], Running]) -> dict[str, Running]:
    """The functions that have samples, each in an account of its own."""
    return {name: start(name, name) for name in {path.stem.split("-")[0] for path in SAMPLES}}


def sample(name: str) -> dict[str, Any]:
    return dict(json.loads((INVOKE / f"{name}.json").read_text()))


def tokens(event: dict[str, Any]) -> list[str]:
    """The tokens of the lifecycle actions that an event for the intake tells of."""
    found = []
    for record in event.get("Records", [event]):
        try:
            notice = messages.read(record.get("body", record))
        except NotUnderstood:
            continue
        if isinstance(notice, LifecycleNotice):
            found.append(notice.token)
    return found


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_event_is_answered_as_lambda_expects(path: Path, running: dict[str, Running]) -> None:
    function = running[path.stem.split("-")[0]].function
    assert function.invoke(sample(path.stem)) == ANSWERS[path.stem]


@pytest.mark.parametrize("name", [name for name in ANSWERS if name.startswith("intake-")])
def test_every_lifecycle_message_of_a_sample_is_on_record_afterwards(
    name: str, running: dict[str, Running]
) -> None:
    intake = running["intake"]
    intake.function.invoke(sample(name))
    on_record = [intake.records.of_token(token) for token in tokens(sample(name))]
    assert None not in on_record
    assert bool(on_record) == (name != "intake-sqs-test")


def test_what_cannot_be_understood_is_a_dead_letter_with_its_reason(running: dict[str, Running]) -> None:
    intake = running["intake"]
    assert intake.function.invoke(sample("intake-sqs-batch")) == TAKEN
    letter, *_ = intake.received("USHER_DEAD_LETTERS_URL")
    assert letter["Body"] == "please drain jobs-blue now"
    assert letter["MessageAttributes"]["Reason"]["StringValue"].startswith("the body cannot be read as JSON")


def test_a_wake_up_for_an_action_that_nobody_knows_does_nothing(running: dict[str, Running]) -> None:
    wake = running["wake"]
    assert wake.function.invoke(sample("wake-wakeup")) == TAKEN
    assert wake.client("dynamodb").scan(TableName=wake.settings["USHER_TABLE"])["Items"] == []
    assert wake.received("USHER_WAKE_UPS_URL") == []


def test_a_sweep_closes_what_ended_unseen_and_then_finds_nothing(
    start: Callable[[str, str], Running],
) -> None:
    intake, sweep = start("intake", "shared"), start("sweep", "shared")
    message = sample("intake-lambda-target") | {"Time": (now() - timedelta(days=3)).isoformat()}
    intake.function.invoke(message)
    assert sweep.function.invoke(sample("sweep-schedule")) == {"near": 0, "overdue": 1, "evaluated": 1}
    assert sweep.function.invoke(sample("sweep-schedule")) == {"near": 0, "overdue": 0, "evaluated": 0}
    action = intake.records.of_token(message["LifecycleActionToken"])
    assert action is not None
    assert action.outcome is Outcome.ENDED_ELSEWHERE
    said = " ".join(line.detail for line in intake.records.timeline(action.id))
    assert (
        "CompleteLifecycleAction ABANDON: no active action: ValidationError: No active Lifecycle Action found"
        in said
    )


def test_the_command_prints_the_answer_and_exits_with_0(code: Code) -> None:
    event = str(INVOKE / "intake-sqs-batch.json")
    arguments = ("--function", "intake", "--event", event, "--asset", str(code.asset))
    command = [sys.executable, "-m", "usher_local.functions", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True)  # noqa: S603 - our own
    assert (done.returncode, json.loads(done.stdout)) == (0, TAKEN)


def test_the_command_prints_the_error_of_a_function_and_exits_with_1(
    tmp_path: Path, endpoints: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sweep.py").write_text(
        "def handler(event, context):\n    raise ValueError(event['source'])\n"
    )
    event, url = str(INVOKE / "sweep-schedule.json"), endpoints["AWS_ENDPOINT_URL"]
    arguments = ("--function", "sweep", "--event", event, "--asset", str(tmp_path), "--endpoint", url)
    assert main(arguments) == 1
    answer = json.loads(capfd.readouterr().out)
    assert (answer["errorType"], answer["errorMessage"]) == ("ValueError", "usher.schedule")


def test_the_command_works_in_another_account_if_it_is_given_an_endpoint(
    code: Code, endpoints: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    url = endpoints["AWS_ENDPOINT_URL"]
    event = str(INVOKE / "intake-sqs-hook.json")
    arguments = ("--function", "intake", "--event", event, "--asset", str(code.asset), "--endpoint", url)
    assert main(arguments) == 0
    assert json.loads(capfd.readouterr().out) == TAKEN
    records = RecordTable(client("dynamodb", url), settled_in(url)["USHER_TABLE"], now)
    assert records.of_token(*tokens(sample("intake-sqs-hook"))) is not None


@pytest.mark.parametrize(
    "arguments",
    [
        ("--event", "events/invoke/sweep-schedule.json"),
        ("--function", "sweep", "--event", "events/invoke/sweep-schedule.json", "--timeout", "0"),
    ],
    ids=["no function", "no time"],
)
def test_the_command_exits_with_2_where_it_is_used_wrongly(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "python -m usher_local.functions: error: " in said.err


@pytest.mark.parametrize(
    ("function", "event", "asset", "expected"),
    [
        pytest.param(
            "park",
            "events/invoke/sweep-schedule.json",
            "functions",
            "There is no function 'park'. There are: announce, intake, provision, questions, sweep, wake.",
            id="no such function",
        ),
        pytest.param(
            "sweep",
            "no-such-file",
            "functions",
            "The event no-such-file cannot be read: No such file or directory. There are:\n"
            + "\n".join(f"  events/invoke/{path.name}" for path in SAMPLES),
            id="no such event",
        ),
        pytest.param(
            "sweep",
            "Makefile",
            "functions",
            "Makefile is not JSON, from line 1, column 1 on.",
            id="no JSON",
        ),
        pytest.param(
            "sweep",
            "events/invoke/sweep-schedule.json",
            "docs",
            f"There is no sweep.py in docs: `make invoke` builds it in {ROOT}/build/asset.",
            id="no asset",
        ),
    ],
)
def test_the_command_says_what_there_is_in_place_of_what_there_is_not(
    function: str,
    event: str,
    asset: str,
    expected: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["--function", function, "--event", event, "--asset", asset]) == 2
    assert capsys.readouterr() == ("", f"{expected}\n")
