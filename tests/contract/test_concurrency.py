"""Eight threads at one action, budget, limit and lease, each on a DynamoDB engine over HTTP.

moto's transactions put a whole table back when they are refused, and with it undo what other
threads wrote meanwhile; so it answers one request after the other here. The races that are left
are those between requests, which are the ones that conditional writes are for.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Barrier, Lock, Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

import boto3
import pytest
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from tests.contract.dynamodb import a_table
from tests.contract.stores import TOKEN, a_raw, loaded
from tests.factories import a_policy, a_signal, an_action, at
from usher.aws.answers import Answers
from usher.aws.budget import BudgetTable
from usher.aws.records import RecordTable
from usher.aws.result_limits import SentResults
from usher.core import configuration
from usher.core.action import Outcome
from usher.handlers import intake_handler
from usher.ports.autoscaling import Answer, AnswerKind
from usher.ports.conditions import SharedAnswer
from usher.ports.errors import Moved, Unavailable
from usher_cdk.wheels import BUILD
from usher_local import emulator
from usher_simulator.fakes.one_by_one import OneByOne
from usher_simulator.fakes.parts import evaluator_of, intake_of
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.core.action import Action, Result
    from usher.evaluation.evaluator import Evaluator

T = TypeVar("T")

THREADS: Final = 8
ROUNDS: Final = 4
RAW: Final = a_raw()


@contextmanager
def moto_one_request_at_a_time() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    app, turn = DomainDispatcherApplication(create_backend_app), Lock()

    def in_turn(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with turn:
            return list(app(environ, start_response))

    server = make_server("127.0.0.1", 0, in_turn, threaded=True)
    serving = Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


SERVE: Final = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app
config = Config()
config.bind = ["fd://" + sys.argv[2]]
config.accesslog = None
asyncio.run(serve(app, config))
"""


@contextmanager
def ministack(folder: Path) -> Iterator[str]:
    """MiniStack as it comes, on the packages of `make local`."""
    if not any(BUILD.glob("account-*")):
        pytest.skip("ministack is not set up: make local sets it up")
    listening = emulator.listening_socket()
    port = listening.getsockname()[1]
    with (folder / "said.log").open("wb") as log, listening:
        process = subprocess.Popen(  # noqa: S603 - nothing of it is input
            [sys.executable, "-I", "-S", "-c", SERVE, emulator.packages(), str(listening.fileno())],
            cwd=folder,
            env={"HOME": str(folder), "TMPDIR": str(folder), "DOCKER_HOST": "unix:///nonexistent"},
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[listening.fileno()],
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module", params=["moto", "ministack"])
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DynamoDBClient]:
    made = ministack(tmp_path_factory.mktemp("account")) if request.param == "ministack" else None
    with made or moto_one_request_at_a_time() as url, closing(a_client(url)) as client:
        yield client


def a_client(url: str) -> DynamoDBClient:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    config = Config(max_pool_connections=THREADS, retries={"total_max_attempts": 1})
    client: DynamoDBClient = boto3.client(
        "dynamodb", region_name="us-east-1", endpoint_url=url, config=config, **keys
    )
    return client


@pytest.fixture
def table(client: DynamoDBClient) -> str:
    return a_table(client)


@pytest.fixture
def records(client: DynamoDBClient, table: str) -> RecordTable:
    return RecordTable(client, table, lambda: at(60))


def at_once(work: Callable[[int], T]) -> list[T]:
    """What eight threads return that begin together."""
    start = Barrier(THREADS)

    def begin(number: int) -> T:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(THREADS)))


def saved(records: RecordTable, action: Action) -> bool:
    """Whether this state became the next version."""
    try:
        records.save(action)
    except Moved:
        return False
    return True


# The record


def test_of_eight_states_of_one_version_one_is_stored(records: RecordTable) -> None:
    action = records.open(an_action(), RAW)

    for version in range(2, 2 + ROUNDS):
        next_ones = [
            replace(
                action, version=version, evaluation_id=f"evaluation-{version}-{number}", reason=f"by {number}"
            )
            for number in range(THREADS)
        ]
        won = at_once(lambda number, states=next_ones: saved(records, states[number]))  # type: ignore[misc]
        assert won.count(True) == 1
        assert loaded(records) == next_ones[won.index(True)]


def test_no_update_is_lost_and_each_version_has_one_writer(records: RecordTable) -> None:
    records.open(an_action(), RAW)

    def note(number: int) -> list[int]:
        written = []
        for turn in range(ROUNDS):
            while True:
                before = loaded(records)
                version, evaluation_id = before.version + 1, f"evaluation-{number}-{turn}"
                after = replace(
                    before, version=version, evaluation_id=evaluation_id, heartbeats=before.heartbeats + 1
                )
                if saved(records, after.noted(at(number), "wait", f"{turn} by {number}")):
                    written.append(version)
                    break
        return written

    versions = [version for of_thread in at_once(note) for version in of_thread]

    whole = THREADS * ROUNDS
    assert sorted(versions) == list(range(2, whole + 2))
    assert (loaded(records).version, loaded(records).heartbeats) == (whole + 1, whole)
    timeline = records.timeline("action-1")
    assert [entry.number for entry in timeline] == list(range(1, whole + 1))
    assert {entry.detail for entry in timeline} == {
        f"{turn} by {number}" for turn in range(ROUNDS) for number in range(THREADS)
    }


def test_a_state_that_all_threads_store_counts_as_stored_for_all(records: RecordTable) -> None:
    """As where the answer to a store was lost, and it is sent again."""
    action = records.open(an_action(), RAW)
    after = replace(action, version=2, evaluation_id="evaluation-2").noted(at(5), "wait", "once")

    assert at_once(lambda _: saved(records, after)) == [True] * THREADS
    assert [(entry.detail, entry.count) for entry in records.timeline("action-1")] == [("once", 1)]


def test_a_token_is_claimed_once(records: RecordTable) -> None:
    opened = at_once(lambda number: records.open(an_action(id=f"action-{number}"), RAW))

    assert len({action.id for action in opened}) == 1
    kept = [number for number in range(THREADS) if records.load(f"action-{number}") is not None]
    assert [f"action-{number}" for number in kept] == [opened[0].id]
    assert [action.id for action in records.of_instance(opened[0].instance_id)] == [opened[0].id]


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_token_goes_to_the_adopted_action_or_to_a_new_one(records: RecordTable, round_: int) -> None:
    token = f"{round_:036}"
    adopted = records.open(an_action(id="adopted", token=None), RAW)

    def join_or_open(number: int) -> str | None:
        if number % 2:
            return records.open(an_action(id=f"new-{number}", token=token), RAW).id
        joined = replace(adopted, token=token, version=2, evaluation_id=f"evaluation-{number}")
        try:
            records.join(joined, RAW)
        except Moved:
            return None
        return "adopted"

    said = [action_id for action_id in at_once(join_or_open) if action_id is not None]

    claimed = records.of_token(token)
    assert claimed is not None
    assert set(said) == {claimed.id}
    assert loaded(records, "adopted").token == (token if claimed.id == "adopted" else None)


def test_of_signals_kept_at_once_the_newest_stands(records: RecordTable) -> None:
    signals = [a_signal(event_id=f"event-{n}", at=at(n)) for n in range(THREADS)]

    at_once(lambda number: records.keep_signal(signals[number]))

    assert records.evidence(an_action()).signals == (signals[-1],)


# The evaluations and the intake


class AutoScalingApi:
    """Accepts every call, and keeps it."""

    def __init__(self) -> None:
        self.completed: list[Result] = []
        self.beaten: list[str] = []

    def heartbeat(self, action: Action) -> Answer:
        self.beaten.append(action.id)
        return Answer(kind=AnswerKind.ACCEPTED, text="")

    def complete(self, action: Action, result: Result) -> Answer:
        assert action.result is result
        self.completed.append(result)
        return Answer(kind=AnswerKind.ACCEPTED, text="")

    def ongoing(self, action: Action) -> None:
        raise AssertionError(f"{action.id} has a token")


class NoWakeUps(OneByOne):
    """A queue that takes everything."""

    def send(self, action_id: str, stamp: int, delay: timedelta, wait: object = None) -> None:  # noqa: ARG002
        assert (action_id, stamp) > ("", 0)
        assert delay >= timedelta(0)


def evaluator_with(records: RecordTable, api: AutoScalingApi) -> Evaluator:
    return evaluator_of(
        store=records,
        auto_scaling=api,
        wake_ups=NoWakeUps(),
        clock=lambda: at(60),
    )


def test_of_eight_evaluations_at_once_one_completes(records: RecordTable) -> None:
    api = AutoScalingApi()
    evaluator = evaluator_with(records, api)

    for round_ in range(ROUNDS):
        action = an_action(id=f"action-{round_}", token=f"{round_:036}", policy=a_policy([]))
        records.open(action, RAW)
        at_once(lambda _, action_id=action.id: evaluator.evaluate(action_id))  # type: ignore[misc]
        assert loaded(records, action.id).outcome is Outcome.COMPLETED
        assert len(api.completed) == round_ + 1


def test_of_eight_evaluations_at_once_one_beats(records: RecordTable) -> None:
    api = AutoScalingApi()
    evaluator = evaluator_with(records, api)
    due = an_action(started_at=at(60 - 3600 + 60), first_seen_at=at(60 - 3600 + 60))
    records.open(due, RAW)

    at_once(lambda _: evaluator.evaluate(due.id))

    assert api.beaten == [due.id]
    assert loaded(records).heartbeats == 1


def test_eight_copies_of_a_message_are_one_action(records: RecordTable) -> None:
    """A copy that found the record changed under it again and again is delivered again instead."""
    parsed = configuration.parse(
        {
            "version": 1,
            "policies": {"p": {"until": [{"signal": "done"}]}},
            "hooks": [{"name": "drain", "group": "web", "transition": "terminating", "policy": "p"}],
        }
    )
    recorder = Recorder()
    evaluator = evaluator_of(
        store=records, auto_scaling=None, wake_ups=NoWakeUps(), telemetry=recorder, clock=lambda: at(60)
    )
    intake = intake_of(evaluator, parsed)
    message = {
        "LifecycleHookName": "drain",
        "AutoScalingGroupName": "web",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "EC2InstanceId": "i-1",
        "LifecycleActionToken": TOKEN,
        "Time": "2026-03-01T12:00:00Z",
    }
    handler = intake_handler(intake)

    def take(_: int) -> bool:
        try:
            handler(message, None)
        except Unavailable:
            return False
        return True

    taken = at_once(take).count(True)

    kinds = Counter(kind for kind, _ in recorder.taken)
    assert kinds == Counter({"lifecycle": 1, "duplicate": taken - 1})
    (action,) = records.of_instance("i-1")
    assert sum(entry.count for entry in records.timeline(action.id)) == taken == action.version


# Budget, limits and lease


def test_no_slot_of_the_budget_is_booked_beyond_its_room(client: DynamoDBClient, table: str) -> None:
    rate, seconds = 3, 6

    def book(_: int) -> list[Any]:
        budget, booked = BudgetTable(client, table, rate), []
        for _ in range(ROUNDS):
            try:
                booked.append(budget.book(at(0), at(seconds - 1), at(seconds - 1), at(0)))
            except Unavailable:
                booked.append(None)  # others were faster, again and again
        return booked

    slots = [slot for of_thread in at_once(book) for slot in of_thread if slot is not None]

    assert max(Counter(slots).values()) <= rate
    assert len(slots) <= rate * seconds
    in_table = client.query(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "BUDGET#1"}},
    )["Items"]
    assert sum(int(item["booked"]["N"]) for item in in_table) == len(slots)


@pytest.mark.parametrize("most", [1, 5])
def test_a_limit_of_results_is_never_exceeded(client: DynamoDBClient, table: str, most: int) -> None:
    def grant(number: int) -> int:
        limits, granted = SentResults(client, table), 0
        for turn in range(ROUNDS):
            try:
                again_at = limits.grant("hook", f"{number}-{turn}", most, timedelta(hours=1), at(turn))
            except Unavailable:
                continue  # others were faster, again and again
            granted += again_at is None
        return granted

    assert sum(at_once(grant)) == most


def test_a_lease_is_taken_once(client: DynamoDBClient, table: str) -> None:
    every = timedelta(seconds=20)

    for turn in range(ROUNDS):
        now = at(20 * turn)
        leased = at_once(lambda _, now=now: Answers(client, table).lease("question", now, every))  # type: ignore[misc]
        assert leased.count(True) == 1


def test_of_eight_answers_the_newest_is_kept(client: DynamoDBClient, table: str) -> None:
    def keep(number: int) -> None:
        answer = SharedAnswer(taken_at=at(number), members={"said by": number})
        Answers(client, table).keep("question", answer)

    at_once(keep)

    newest = Answers(client, table).newest("question")
    assert newest is not None
    assert newest.members == {"said by": THREADS - 1}
