"""docs/recipes-agents.md: each program drains a stand-in of its API, and its signals end the wait.

The programs are run as they stand in the page. A small server on loopback answers as the API's documentation
says, and records the requests; programs in PATH stand in for curl and the AWS CLI.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.message_samples import signal_put
from tests.simulation.test_recipes import CURL, END, SCRIPT, Scene, checked, told
from usher_simulator.replay.fleet_day import Instance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from usher.core.action import Signal

PAGE = (Path(__file__).parents[2] / "docs" / "recipes-agents.md").read_text(encoding="utf-8")


def blocks(language: str) -> dict[str, str]:
    """The block of that language in each section that has one."""
    return {
        section.partition("\n")[0]: found.group(1)
        for section in PAGE.split("\n## ")[1:]
        if (found := re.search(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE))
    }


HOOKS, PROGRAMS = blocks("yaml"), blocks("python")
STARTED = timedelta(minutes=1)  # the command has started the program
INSTANCE = "i-0123456789abcdef0"  # as the stand-in for curl says
AWS = '#!/bin/sh\n[ "$1 $2 $5" = "events put-events --entries" ] && echo "$6" >> "$SENT" && echo 0\n'

Answer: TypeAlias = "tuple[int, Any]"  # the HTTP status, and the body
Api: TypeAlias = "Callable[[str, Any], Answer]"  # of "METHOD /path?query" and the body


@dataclass
class StandIn:
    """Serves an API on loopback, and records what it was asked."""

    api: Api
    requests: list[tuple[str, Any]] = field(default_factory=list)

    def answer(self, request: str, body: Any) -> Answer:
        self.requests.append((request, body))
        return self.api(request, body)


@pytest.fixture
def serve() -> Iterator[Callable[[StandIn], str]]:
    """Serves a stand-in on a free port, and tells its address."""
    started: list[tuple[HTTPServer, Thread]] = []

    def start(stand_in: StandIn) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                status, value = stand_in.answer(f"{self.command} {self.path}", body)
                self.send_response(status)
                self.send_header("User-Task-ID", TASK)
                self.end_headers()
                if value is not None:
                    self.wfile.write(json.dumps(value).encode())

            do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


def in_turn(*values: Any) -> Callable[[], Any]:
    """One value after the other, and then the last one again and again."""
    left = list(values)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


TASK = "11111111-2222-3333-4444-555555555555"


def github(*busy: bool, refused: int = 0) -> Api:
    """One runner, busy as told each time it is listed; its removal is refused so many times."""
    state = {"refused": refused, "there": True}
    is_busy = in_turn(*busy)

    def api(request: str, _: Any) -> Answer:
        match request:
            case "GET /orgs/acme/actions/runners?name=runner-7":
                runner = {"id": 23, "name": "runner-7", "status": "online", "busy": is_busy()}
                others = [{"id": 24, "name": "runner-70", "status": "online", "busy": True}]
                runners = [*others, runner] if state["there"] else others
                return 200, {"total_count": len(runners), "runners": runners}
            case "DELETE /orgs/acme/actions/runners/23/labels":
                return 200, {"total_count": 1, "labels": [{"name": "self-hosted", "type": "read-only"}]}
            case "DELETE /orgs/acme/actions/runners/23" if state["refused"]:
                state["refused"] -= 1
                return 422, {"message": 'Bad request - Runner "runner-7" is still running a job'}
            case "DELETE /orgs/acme/actions/runners/23":
                state["there"] = False
                return 204, None
        return 404, None

    return api


def gitlab(*running: int) -> Api:
    jobs = in_turn(*running)

    def api(request: str, body: Any) -> Answer:
        match request, body:
            case "PUT /api/v4/runners/6", {"paused": True}:
                return 200, {"id": 6, "paused": True}
            case "GET /api/v4/runners/6/jobs?status=running", None:
                return 200, [{"id": number, "status": "running"} for number in range(jobs())]
        return 404, None

    return api


def buildkite(*states: str, stop: int = 200) -> Api:
    state = in_turn(*states)

    def api(request: str, body: Any) -> Answer:
        match request, body:
            case "GET /v2/organizations/acme/agents?hostname=ip-10-0-0-7", None:
                return 200, [{"id": "0b461f65", "connection_state": "connected"}]
            case "PUT /v2/organizations/acme/agents/0b461f65/stop", {"force": False}:
                return stop, None
            case "GET /v2/organizations/acme/agents/0b461f65", None:
                return 200, {"id": "0b461f65", "connection_state": state()}
        return 404, None

    return api


def elasticsearch(*shards: int) -> Api:
    left = in_turn(*shards)
    excluded = {"persistent": {"cluster.routing.allocation.exclude._name": "es-7"}}

    def api(request: str, body: Any) -> Answer:
        match request:
            case "PUT /_cluster/settings" if body == excluded:
                return 200, {"acknowledged": True} | excluded
            case "GET /_nodes/es-7/stats/indices":
                node = {"name": "es-7", "indices": {"shard_stats": {"total_count": left()}}}
                return 200, {"_nodes": {"total": 1, "successful": 1, "failed": 0}, "nodes": {"abc": node}}
        return 404, None

    return api


def kafka(*tasks: tuple[str, int]) -> Api:
    """The status of the task, and the replicas that the broker has."""
    evaluator = in_turn(*tasks)
    replicas = {"left": 0}
    base = "/kafkacruisecontrol/"

    def api(request: str, _: Any) -> Answer:
        match request.replace(base, ""):
            case "POST remove_broker?brokerid=7&dryrun=false&json=true":
                return 202, {"progress": []}
            case listed if listed == f"GET user_tasks?user_task_ids={TASK}&json=true":
                status, replicas["left"] = evaluator()
                return 200, {"userTasks": [{"UserTaskId": TASK, "Status": status}]}
            case "GET kafka_cluster_state?verbose=false&json=true":
                counts = {"1": 40} | ({"7": replicas["left"]} if replicas["left"] else {})
                return 200, {"KafkaBrokerState": {"ReplicaCountByBrokerId": counts}}
        return 404, None

    return api


def nomad(*states: str) -> Api:
    status = in_turn(*states)

    def api(request: str, body: Any) -> Answer:
        match request, body:
            case "GET /v1/agent/self", None:
                return 200, {"stats": {"client": {"node_id": "fb2170a8"}}}
            case "POST /v1/node/fb2170a8/drain", {"DrainSpec": {"Deadline": 7_200_000_000_000}}:
                return 200, {"NodeModifyIndex": 3742}
            case "GET /v1/node/fb2170a8", None:
                return 200, {"ID": "fb2170a8", "LastDrain": {"Status": status()}}
        return 404, None

    return api


GITHUB = "GitHub Actions runners"
GITLAB = "GitLab runners"
BUILDKITE = "Buildkite agents"
ELASTICSEARCH = "Elasticsearch"
KAFKA = "Kafka"
NOMAD = "Nomad"

# Of each recipe its group, and what /etc/usher-drain.env has; {} is the address of the stand-in.
RECIPES: dict[str, tuple[str, dict[str, str]]] = {
    GITHUB: (
        "github-runners-1",
        {"GITHUB_API": "{}", "GITHUB_ORG": "acme", "GITHUB_TOKEN": "t", "RUNNER_NAME": "runner-7"},
    ),
    GITLAB: ("gitlab-runners-1", {"GITLAB_API": "{}/api/v4", "GITLAB_TOKEN": "t", "RUNNER_ID": "6"}),
    BUILDKITE: (
        "buildkite-1",
        {"BUILDKITE_API": "{}/v2", "BUILDKITE_ORG": "acme", "BUILDKITE_TOKEN": "t", "HOST": "ip-10-0-0-7"},
    ),
    ELASTICSEARCH: ("es-data-1", {"ES_URL": "{}", "ES_API_KEY": "k", "NODE_NAME": "es-7"}),
    KAFKA: ("kafka-1", {"CRUISE_CONTROL_URL": "{}", "BROKER_ID": "7"}),
    NOMAD: ("nomad-clients-1", {"NOMAD_ADDR": "{}", "NOMAD_TOKEN": "t"}),
}


def run(recipe: str, address: str, folder: Path) -> tuple[int, list[Signal]]:
    """Run the program of the page: its exit code, and the signals that it put on the event bus."""
    for name, text in (("curl", CURL), ("aws", AWS), ("usher-signal", SCRIPT), ("drain", PROGRAMS[recipe])):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    sent = folder / "sent"
    sent.touch()
    environment = {name: value.format(address) for name, value in RECIPES[recipe][1].items()}
    environment |= {"POLL_SECONDS": "0", "SENT": str(sent)}
    environment["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(  # noqa: S603 - the page's own program
        [sys.executable, str(folder / "drain")], env=environment, capture_output=True, check=False, timeout=60
    )
    return done.returncode, [_signal(json.loads(line)) for line in sent.read_text().splitlines()]


def _signal(entries: list[dict[str, str]]) -> Signal:
    (entry,) = entries
    signal = signal_put(entry)
    assert signal.instance_id == INSTANCE
    return signal


def hook_of(recipe: str) -> str:
    (name,) = re.findall(r"^  - name: (\S+)$", HOOKS[recipe], re.MULTILINE)
    return str(name)


def drained(recipe: str, signals: list[Signal]) -> Callable[[Scene], None]:
    """The instance is terminated, and its program sends these signals, ten minutes apart."""

    def play(scene: Scene) -> None:
        scene.instance = Instance(id=INSTANCE, group=scene.group)
        scene.waits(hook_of(recipe), END)
        for number, signal in enumerate(signals, start=1):
            scene.says(signal.name, signal.status, 10 * number)

    return play


DONE, FAILED = "done: ", "failed: signal drained says failed"
# The recipe, its API, the statuses that are sent, and then the result, and how its reason begins.
RUNS = [
    pytest.param(GITHUB, github(True, True, False), "pppd", "CONTINUE", DONE, id="a job ends"),
    pytest.param(GITHUB, github(False, refused=2), "pppd", "CONTINUE", DONE, id="a job has just begun"),
    pytest.param(GITLAB, gitlab(2, 1, 0), "ppd", "CONTINUE", DONE, id="jobs end"),
    pytest.param(GITLAB, gitlab(0), "d", "CONTINUE", DONE, id="a runner is idle"),
    pytest.param(
        BUILDKITE, buildkite("connected", "stopping", "stopped"), "ppd", "CONTINUE", DONE, id="an agent stops"
    ),
    pytest.param(
        BUILDKITE,
        buildkite("stopping", "disconnected", stop=422),
        "pd",
        "CONTINUE",
        DONE,
        id="it stops already",
    ),
    pytest.param(BUILDKITE, buildkite("stopping", "lost"), "pf", "CONTINUE", FAILED, id="an agent is lost"),
    pytest.param(ELASTICSEARCH, elasticsearch(3, 3, 1, 0), "ppd", "CONTINUE", DONE, id="shards move"),
    pytest.param(
        KAFKA,
        kafka(("Active", 9), ("InExecution", 9), ("InExecution", 4), ("Completed", 0)),
        "pppd",
        "CONTINUE",
        DONE,
        id="replicas move",
    ),
    pytest.param(
        KAFKA,
        kafka(("InExecution", 9), ("CompletedWithError", 9)),
        "pf",
        "ABANDON",
        FAILED,
        id="a move fails",
    ),
    pytest.param(
        KAFKA, kafka(("InExecution", 9), ("Completed", 2)), "ppf", "ABANDON", FAILED, id="replicas stay"
    ),
    pytest.param(
        NOMAD, nomad("draining", "draining", "complete"), "ppd", "CONTINUE", DONE, id="a node is drained"
    ),
    pytest.param(NOMAD, nomad("draining", "canceled"), "pf", "CONTINUE", FAILED, id="a drain is cancelled"),
]


@pytest.mark.parametrize(("recipe", "api", "statuses", "result", "reason"), RUNS)
def test_a_program_drains_its_instance_and_its_signals_end_the_wait(
    recipe: str,
    api: Api,
    statuses: str,
    result: str,
    reason: str,
    tmp_path: Path,
    serve: Callable[[StandIn], str],
) -> None:
    code, signals = run(recipe, serve(StandIn(api)), tmp_path)

    assert (code, "".join(signal.status[0] for signal in signals)) == (0, statuses)

    (found,) = told(HOOKS[recipe], RECIPES[recipe][0], drained(recipe, signals), STARTED, tmp_path)

    assert (found[1], found[3]) == (result, 10 * len(statuses))
    assert found[2].startswith(reason)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_program_ends_without_a_last_word_where_the_api_does_not_answer(
    recipe: str, tmp_path: Path, serve: Callable[[StandIn], str]
) -> None:
    code, signals = run(recipe, serve(StandIn(lambda _, __: (503, None))), tmp_path)

    assert (code, signals) == (1, [])


def test_a_node_that_does_not_answer_does_not_count_as_empty(
    tmp_path: Path, serve: Callable[[StandIn], str]
) -> None:
    code, signals = run(
        ELASTICSEARCH, serve(StandIn(lambda _, __: (200, {"_nodes": {"failed": 1}, "nodes": {}}))), tmp_path
    )

    assert (code, signals) == (1, [])


def test_a_busy_github_runner_gets_no_new_job_and_no_other_runner_is_touched(
    tmp_path: Path, serve: Callable[[StandIn], str]
) -> None:
    stand_in = StandIn(github(True, False))
    run(GITHUB, serve(stand_in), tmp_path)

    asked = [request for request, _ in stand_in.requests if not request.startswith("GET")]
    assert asked == ["DELETE /orgs/acme/actions/runners/23/labels", "DELETE /orgs/acme/actions/runners/23"]


@pytest.mark.parametrize(
    ("recipe", "api", "change"),
    [
        (GITLAB, gitlab(0), "PUT /api/v4/runners/6"),
        (BUILDKITE, buildkite("stopped"), "PUT /v2/organizations/acme/agents/0b461f65/stop"),
        (ELASTICSEARCH, elasticsearch(0), "PUT /_cluster/settings"),
        (
            KAFKA,
            kafka(("Completed", 0)),
            "POST /kafkacruisecontrol/remove_broker?brokerid=7&dryrun=false&json=true",
        ),
        (NOMAD, nomad("complete"), "POST /v1/node/fb2170a8/drain"),
    ],
    ids=[GITLAB, BUILDKITE, ELASTICSEARCH, KAFKA, NOMAD],
)
def test_a_program_takes_even_an_idle_instance_out_of_work_and_changes_nothing_else(
    recipe: str, api: Api, change: str, tmp_path: Path, serve: Callable[[StandIn], str]
) -> None:
    stand_in = StandIn(api)
    run(recipe, serve(stand_in), tmp_path)

    assert [request for request, _ in stand_in.requests if not request.startswith("GET")] == [change]


@pytest.mark.parametrize("recipe", [ELASTICSEARCH, KAFKA])
def test_a_stateful_fleet_drains_one_instance_after_the_other(recipe: str, tmp_path: Path) -> None:
    """The second one's signal comes before its turn: it ends no wait before the first has ended."""

    def play(scene: Scene) -> None:
        scene.waits(hook_of(recipe), END)
        scene.says("drained", "done", 40)
        scene.instance = scene.day.instance(scene.group)
        scene.waits(hook_of(recipe), END, 1)
        scene.says("drained", "done", 20)

    first, second = told(HOOKS[recipe], RECIPES[recipe][0], play, STARTED, tmp_path)

    assert (first[1], first[3]) == ("CONTINUE", 40)
    assert (second[1], second[3]) == ("CONTINUE", 39)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_program_without_progress_is_given_up(recipe: str, tmp_path: Path) -> None:
    (found,) = told(HOOKS[recipe], RECIPES[recipe][0], drained(recipe, []), STARTED, tmp_path)

    assert found[1] == ("ABANDON" if recipe in (ELASTICSEARCH, KAFKA) else "CONTINUE")
    assert found[2].startswith("stalled: no progress for")


@pytest.mark.parametrize("recipe", RECIPES)
def test_usher_check_has_nothing_to_say_of_a_recipe(recipe: str, tmp_path: Path) -> None:
    assert checked(HOOKS[recipe], tmp_path) == (0, "")


def test_every_recipe_has_a_program_that_is_run() -> None:
    assert {*RECIPES} == {*HOOKS} == {*PROGRAMS} == {each.values[0] for each in RUNS}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_program_is_short(recipe: str) -> None:
    lines = [line for line in PROGRAMS[recipe].splitlines() if line]
    assert len(lines) <= 25
