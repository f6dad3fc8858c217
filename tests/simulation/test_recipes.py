"""docs/recipes.md: every recipe does what it says, shown with traffic in the shapes of the captures."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from click.testing import CliRunner

from tests.message_samples import signal_put
from usher.core.action import Status
from usher.core.wait_moves import WAIT_MOVES
from usher_cli.main import main
from usher_cli.report import report
from usher_hooksfile import load
from usher_simulator.replay.assumed_answers import Source
from usher_simulator.replay.fleet_day import Day
from usher_simulator.replay.replay import Entry, replay

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher_simulator.replay.assumed_answers import WorkDone

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
RECIPES: dict[str, str] = {
    section.partition("\n")[0]: found.group(1)
    for section in PAGE.split("\n## ")[1:]
    if (found := re.search(r"^```yaml\n(.*?)^```$", section, re.DOTALL | re.MULTILINE))
}
START = datetime(2026, 3, 10, 9, tzinfo=UTC)

LAUNCH = ("EC2", "AutoScalingGroup")
INTO_POOL = ("EC2", "WarmPool")
OUT_OF_POOL = ("WarmPool", "AutoScalingGroup")
BACK_INTO_POOL = ("AutoScalingGroup", "WarmPool")
END = ("AutoScalingGroup", "EC2")
END_IN_POOL = ("WarmPool", "EC2")
NEW_ROOT = ("AutoScalingGroup", "AutoScalingGroup")

# The policy, the result, the reason's beginning, and for how many minutes it was held.
Told: TypeAlias = "tuple[str, str | None, str, int]"


@dataclass(kw_only=True)
class Scene:
    """One instance and what happens to it; minutes count from START."""

    day: Day
    group: str

    def __post_init__(self) -> None:
        self.instance = self.day.instance(self.group)

    def waits(
        self, hook: str, move: tuple[str, str], minute: float = 0, *, launching: bool | None = None
    ) -> None:
        launches = move in (LAUNCH, INTO_POOL, OUT_OF_POOL) if launching is None else launching
        self.day.waits(self.instance, hook, "launch" if launches else "terminate", self._at(minute), move)

    def says(self, name: str, status: str, minute: float) -> None:
        self.day.signals(self.instance, name, status, self._at(minute))

    def launch_fails(self, minute: float) -> None:
        self.day.ended(self.instance, "launch", START, self._at(minute), well=False)

    def _at(self, minute: float) -> datetime:
        return START + timedelta(minutes=minute)


def told(
    hooks: str, group: str, play: Callable[[Scene], None], work_done: WorkDone | None, folder: Path
) -> list[Told]:
    """What a replay under a hooks file makes of a scene."""
    file = folder / "hooks.yaml"
    file.write_text(hooks)
    scene = Scene(day=Day(random=Random(1)), group=group)  # noqa: S311 - no secret
    play(scene)
    entries = [
        Entry(source="scene", received_at=received_at, body=json.dumps(body))
        for received_at, body in sorted(scene.day.received, key=lambda received: received[0])
    ]
    found = report(replay(entries, load.load(file), work_done=work_done), [])
    assert found["summary"]["ignored"] == found["summary"]["rejected"] == found["summary"]["defaulted"] == 0
    return [_told(action) for action in found["actions"]]


def _told(action: dict[str, Any]) -> Told:
    begun, closed = (datetime.fromisoformat(action[key]) for key in ("started_at", "closed_at"))
    return (
        action["policy"],
        action["result"],
        action["reason"],
        round((closed - begun) / timedelta(minutes=1)),
    )


def joins(scene: Scene) -> None:
    scene.waits("usher-join", LAUNCH)


def leaves(hook: str, move: tuple[str, str] = END) -> Callable[[Scene], None]:
    return lambda scene: scene.waits(hook, move)


def finishes_jobs(scene: Scene) -> None:
    scene.waits("usher-jobs", END)
    for minute in (10, 20, 30):
        scene.says("jobs-finished", "progress", minute)
    scene.says("jobs-finished", "done", 40)


def hangs(scene: Scene) -> None:
    scene.waits("usher-jobs", END)
    scene.says("jobs-finished", "progress", 10)


def is_idle(scene: Scene) -> None:
    scene.says("jobs-finished", "done", 0)
    scene.waits("usher-jobs", END, 0.8)


def is_tested(scene: Scene) -> None:
    scene.waits("usher-smoke-test", LAUNCH)


def is_prepared(scene: Scene) -> None:
    scene.waits("usher-start", INTO_POOL)
    scene.says("prepared", "done", 12)
    scene.waits("usher-start", OUT_OF_POOL, 60)
    scene.says("ready", "done", 62)
    scene.waits("usher-stop", BACK_INTO_POOL, 200)
    scene.says("jobs-finished", "done", 230)
    scene.waits("usher-stop", END_IN_POOL, 300)


def starts_cold(scene: Scene) -> None:
    scene.waits("usher-start", LAUNCH)
    scene.says("prepared", "done", 12)
    scene.says("ready", "done", 14)


def is_not_prepared(scene: Scene) -> None:
    scene.waits("usher-start", INTO_POOL)
    scene.waits("usher-stop", END_IN_POOL, 31)


def is_kept(scene: Scene) -> None:
    """Its work fails, and it is retained; it is examined, and released."""
    scene.waits("usher-end", END)
    scene.says("jobs-finished", "failed", 15)
    scene.says("jobs-finished", "done", 600)
    scene.waits("usher-end", END, 600.5)


def is_kept_after_its_launch(scene: Scene) -> None:
    scene.waits("usher-begin", LAUNCH)
    scene.says("bootstrapped", "failed", 5)
    scene.waits("usher-end", END, 6)
    scene.says("examined", "done", 600)
    scene.waits("usher-end", END, 600.5)


def is_forgotten(scene: Scene) -> None:
    """It is released without a signal, and retained once more."""
    scene.waits("usher-end", END)
    scene.says("jobs-finished", "failed", 15)
    scene.waits("usher-end", END, 600)


def gets_a_new_root_volume(scene: Scene) -> None:
    scene.waits("usher-out", NEW_ROOT, launching=False)
    scene.says("saved", "done", 4)
    scene.waits("usher-in", NEW_ROOT, 8, launching=True)
    scene.says("ready", "done", 12)


def rests_and_ends(scene: Scene) -> None:
    scene.waits("usher-out", BACK_INTO_POOL)
    scene.says("idle", "done", 3)
    scene.waits("usher-out", END, 90)
    scene.says("idle", "done", 92)
    scene.says("saved", "done", 95)


def fails_to_boot(scene: Scene) -> None:
    scene.waits("usher-gate", LAUNCH)
    scene.says("bootstrapped", "failed", 7)
    scene.waits("usher-finish", END, 8)


def is_abandoned_by_someone_else(scene: Scene) -> None:
    scene.waits("usher-gate", LAUNCH)
    scene.launch_fails(7)
    scene.waits("usher-finish", END, 9)


def boots_and_ends(scene: Scene) -> None:
    scene.waits("usher-gate", LAUNCH)
    scene.says("bootstrapped", "done", 3)
    scene.waits("usher-finish", END, 600)


CLUSTER = "An ECS cluster"
JOBS = "Job workers that finish their job"
LOGS = "Logs uploaded before the end"
SMOKE = "A smoke test before going into service"
POOL = "A warm pool"
LICENCE = "Returning a licence"
KEPT = "Failed instances retained for a look"
NO_END = "A termination that the instance survives"
FAILED = "After a launch that failed"
FOUR_MINUTES = timedelta(minutes=4)

# The recipe, the group, what happens, when AWS would have said that it is done; and then for each action
# its policy, the result, how its reason begins, and the minutes for which it was held.
SCENES = [
    pytest.param(
        CLUSTER, "ecs-web", joins, FOUR_MINUTES,
        [("join-cluster", "CONTINUE", "done: ecs active in web", 4)],
        id="a container instance registers",
    ),
    pytest.param(
        CLUSTER, "ecs-web", joins, None,
        [("join-cluster", "ABANDON", "gave up after 15m", 15)],
        id="a container instance never registers",
    ),
    pytest.param(
        CLUSTER, "ecs-web", leaves("usher-drain"), timedelta(minutes=50),
        [("drain-tasks", "CONTINUE", "done: ecs drained in web", 50)],
        id="a container instance is drained",
    ),
    pytest.param(
        CLUSTER, "ecs-web", leaves("usher-drain"), None,
        [("drain-tasks", "CONTINUE", "gave up after 2h", 120)],
        id="a container instance is never drained",
    ),
    pytest.param(
        CLUSTER, "ecs-web", leaves("usher-drain", END_IN_POOL), None,
        [("release", "CONTINUE", "nothing to wait for", 0)],
        id="an instance of the pool has no tasks",
    ),
    pytest.param(
        JOBS, "workers-1", finishes_jobs, None,
        [("finish-jobs", "CONTINUE", "done: signal jobs-finished says done", 40)],
        id="a worker finishes",
    ),
    pytest.param(
        JOBS, "workers-1", hangs, None,
        [("finish-jobs", "CONTINUE", "stalled: no progress for 15m", 25)],
        id="a worker hangs",
    ),
    pytest.param(
        JOBS, "workers-1", is_idle, None,
        [("finish-jobs", "CONTINUE", "done: signal jobs-finished says done", 0)],
        id="an idle worker says so before",
    ),
    pytest.param(
        LOGS, "web-1", leaves("usher-upload"), timedelta(minutes=9),
        [("drain-then-upload", "CONTINUE", "done: command AWS-RunShellScript", 9)],
        id="logs are uploaded",
    ),
    pytest.param(
        LOGS, "web-1", leaves("usher-upload"), None,
        [("drain-then-upload", "CONTINUE", "gave up after 45m", 45)],
        id="logs are never uploaded",
    ),
    pytest.param(
        SMOKE, "web-1", is_tested, FOUR_MINUTES,
        [("smoke-test", "CONTINUE", "done: function smoke-test", 4)],
        id="a smoke test is passed",
    ),
    pytest.param(
        SMOKE, "web-1", is_tested, None,
        [("smoke-test", "ABANDON", "gave up after 15m", 15)],
        id="a smoke test is not passed",
    ),
    pytest.param(
        POOL, "render", is_prepared, None,
        [
            ("prepare", "CONTINUE", "done: signal prepared", 12),
            ("wake", "CONTINUE", "done: signal ready", 2),
            ("finish-jobs", "CONTINUE", "done: signal jobs-finished", 30),
            ("release", "CONTINUE", "nothing to wait for", 0),
        ],
        id="into the pool, out of it, back, and out for good",
    ),
    pytest.param(
        POOL, "render", starts_cold, None,
        [("cold-start", "CONTINUE", "done: signal prepared", 14)],
        id="the pool is empty",
    ),
    pytest.param(
        POOL, "render", is_not_prepared, None,
        [
            ("prepare", "ABANDON", "gave up after 30m", 30),
            ("release", "CONTINUE", "nothing to wait for", 0),
        ],
        id="the preparation fails",
    ),
    pytest.param(
        LICENCE, "cad-1", leaves("usher-licence"), FOUR_MINUTES,
        [("return-licence", "CONTINUE", "done: function release-licence", 4)],
        id="a licence is given back",
    ),
    pytest.param(
        LICENCE, "cad-1", leaves("usher-licence", END_IN_POOL), FOUR_MINUTES,
        [("return-licence", "CONTINUE", "done: function release-licence", 4)],
        id="a licence is given back out of the pool",
    ),
    pytest.param(
        LICENCE, "cad-1", leaves("usher-licence", BACK_INTO_POOL), FOUR_MINUTES,
        [("keep", "CONTINUE", "nothing to wait for", 0)],
        id="a licence is kept",
    ),
    pytest.param(
        KEPT, "etl-1", is_kept, None,
        [
            ("finish-or-keep", "ABANDON", "failed: signal jobs-finished says failed", 15),
            ("finish-or-keep", "CONTINUE", "done: signal jobs-finished says done", 0),
        ],
        id="what failed is retained, and released",
    ),
    pytest.param(
        KEPT, "etl-1", is_kept_after_its_launch, None,
        [
            ("gate", "ABANDON", "failed: signal bootstrapped", 5),
            ("keep-unless-examined", "ABANDON", "gave up after 1m", 1),
            ("keep-unless-examined", "CONTINUE", "done: signal examined says done", 0),
        ],
        id="a failed launch is retained, and released",
    ),
    pytest.param(
        KEPT, "etl-1", is_forgotten, None,
        [
            ("finish-or-keep", "ABANDON", "failed: signal jobs-finished says failed", 15),
            ("finish-or-keep", "ABANDON", "stalled: no progress for 20m", 20),
        ],
        id="without a signal it is retained once more",
    ),
    pytest.param(
        NO_END, "db-cache", gets_a_new_root_volume, Source.SIGNAL,
        [
            ("save-the-volume", "CONTINUE", "done: signal saved", 4),
            ("back-in-service", "CONTINUE", "done: instance_status ok", 4),
        ],
        id="a new root volume",
    ),
    pytest.param(
        NO_END, "db-cache", rests_and_ends, None,
        [
            ("rest", "CONTINUE", "done: signal idle", 3),
            ("end", "CONTINUE", "done: signal idle", 5),
        ],
        id="reuse on scale-in, and an end",
    ),
    pytest.param(
        FAILED, "api-1", fails_to_boot, None,
        [
            ("gate", "ABANDON", "failed: signal bootstrapped", 7),
            ("release", "CONTINUE", "nothing to wait for", 0),
        ],
        id="a launch fails by our word",
    ),
    pytest.param(
        FAILED, "api-1", boots_and_ends, None,
        [
            ("gate", "CONTINUE", "done: signal bootstrapped", 3),
            ("finish-requests", "CONTINUE", "done: 5m elapsed", 5),
        ],
        id="a launch that went well ends as ever",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("recipe", "group", "play", "work_done", "expected"), SCENES)
def test_a_recipe_does_what_it_says(
    recipe: str,
    group: str,
    play: Callable[[Scene], None],
    work_done: WorkDone | None,
    expected: list[Told],
    tmp_path: Path,
) -> None:
    found = told(RECIPES[recipe], group, play, work_done, tmp_path)

    assert [one[:2] + one[3:] for one in found] == [one[:2] + one[3:] for one in expected]
    for (_, _, reason, _), (_, _, beginning, _) in zip(found, expected, strict=True):
        assert reason.startswith(beginning)


def test_a_launch_that_someone_else_abandoned_is_known_by_its_event(tmp_path: Path) -> None:
    gate, end = told(RECIPES[FAILED], "api-1", is_abandoned_by_someone_else, None, tmp_path)

    assert (gate[0], gate[1], end[:3]) == ("gate", None, ("release", "CONTINUE", "nothing to wait for"))


def test_a_broken_image_burns_five_instances_an_hour_and_no_more(tmp_path: Path) -> None:
    """Seven launches in one minute: the limit of the smoke test holds two of them for an hour more."""

    def seven(scene: Scene) -> None:
        for _ in range(7):
            scene.waits("usher-smoke-test", LAUNCH)
            scene.instance = scene.day.instance(scene.group)

    found = told(RECIPES[SMOKE], "web-1", seven, None, tmp_path)

    assert [result for _, result, _, _ in found] == ["ABANDON"] * 7
    assert sorted(minutes for *_, minutes in found) == [15] * 5 + [75] * 2


def test_every_recipe_is_replayed() -> None:
    assert {scene.values[0] for scene in SCENES} == set(RECIPES)


@pytest.mark.parametrize("recipe", RECIPES)
def test_usher_check_has_nothing_to_say_of_a_recipe(recipe: str, tmp_path: Path) -> None:
    assert checked(RECIPES[recipe], tmp_path) == (0, "")


def checked(hooks: str, tmp_path: Path) -> tuple[int, str]:
    """The exit code of `usher check`, and what it has to say of a hooks file."""
    file = tmp_path / "hooks.yaml"
    file.write_text(hooks)
    outcome = CliRunner().invoke(main, ["check", str(file)])
    return outcome.exit_code, outcome.stderr


def test_the_table_has_every_move_and_no_other() -> None:
    rows = re.findall(
        r"^\| .* \| (launching|terminating) \| `(\w+)` \| `(\w+)` \| .* \|$", PAGE, re.MULTILINE
    )

    assert set(rows) == {(str(move.transition), move.origin, move.destination) for move in WAIT_MOVES}


# Sending a signal

SCRIPT = PAGE.partition("```sh\n")[2].partition("```")[0]
CURL = """\
#!/bin/sh
for word; do
  case "$word" in
    */latest/api/token) echo TOKEN && exit ;;
    */latest/meta-data/instance-id) echo i-0123456789abcdef0 && exit ;;
    */latest/meta-data/placement/region) echo eu-central-1 && exit ;;
  esac
done
exit 22
"""
AWS = '#!/bin/sh\nprintf "%s\\n" "$@" > "$SENT"\necho "$FAILED"\n'


def run_script(folder: Path, *words: str, failed: str = "0") -> tuple[int, list[str]]:
    """The script's exit code, and what it sent; other programs stand in for curl and the AWS CLI."""
    for name, text in (("curl", CURL), ("aws", AWS), ("usher-signal", SCRIPT)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    sent = folder / "sent"
    sent.touch()
    environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "SENT": str(sent), "FAILED": failed}
    run = subprocess.run(  # noqa: S603 - our own script
        [str(folder / "usher-signal"), *words], env=environment, capture_output=True, check=False, timeout=30
    )
    return run.returncode, sent.read_text().splitlines()


@pytest.mark.parametrize("status", list(Status))
def test_the_script_sends_a_signal_that_usher_understands(tmp_path: Path, status: str) -> None:
    code, sent = run_script(tmp_path, "jobs-finished", status)

    assert code == 0
    assert sent[: sent.index("--entries")] == ["events", "put-events", "--region", "eu-central-1"]
    (entry,) = json.loads(sent[sent.index("--entries") + 1])
    signal = signal_put(entry)
    assert (signal.instance_id, signal.name, signal.status) == (
        "i-0123456789abcdef0",
        "jobs-finished",
        status,
    )


def test_the_script_fails_where_its_entry_did(tmp_path: Path) -> None:
    assert run_script(tmp_path, "jobs-finished", "done", failed="1")[0] == 1


@pytest.mark.parametrize("words", [(), ("jobs-finished",)], ids=["no name", "no status"])
def test_the_script_sends_nothing_where_a_word_is_missing(tmp_path: Path, words: tuple[str, ...]) -> None:
    code, sent = run_script(tmp_path, *words)

    assert (code != 0, sent) == (True, [])


def test_the_role_allows_what_the_script_sends_and_no_more(tmp_path: Path) -> None:
    (statement,) = json.loads(PAGE.partition("```json\n")[2].partition("```")[0])["Statement"]
    _, sent = run_script(tmp_path, "jobs-finished", "done")
    (entry,) = json.loads(sent[sent.index("--entries") + 1])

    assert statement["Action"] == "events:PutEvents"
    assert statement["Resource"].endswith(":event-bus/default")
    assert statement["Condition"]["StringEquals"] == {
        "events:source": entry["Source"],
        "events:detail-type": entry["DetailType"],
    }
