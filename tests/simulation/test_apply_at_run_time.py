"""A change of policy at run time while many actions are open, on the deployed simulation."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from usher.core.action import Result
from usher.core.compiled import compiled
from usher.core.file_versions import NOTICE, FileVersion
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.trials.calm import Calm
from usher_simulator.trials.faults import Down, Part, Swarm, Thing
from usher_simulator.trials.judge.terms import InForce
from usher_simulator.trials.surroundings import Surroundings
from usher_simulator.trials.trial import START, Trial

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from usher.core.action import Action

MORE: Final = 180  # that begin around the moment of the change
_INTAKE: Final = timedelta(seconds=2)  # so long an invocation lasts here at most


def a_file(signal: str, timeout: str, default: str) -> dict[str, Any]:
    """Each version has a policy, a timeout and a default result of its own, by which its terms are known."""
    return {
        "version": 1,
        "policies": {"gate": {"until": [{"signal": signal}], "give_up_after": "3h", "on_give_up": "ABANDON"}},
        "hooks": [
            {
                "name": "gate",
                "group": "web",
                "transition": "launching",
                "heartbeat_timeout": timeout,
                "default_result": default,
                "notify": "sqs",
                "policy": "gate",
            }
        ],
    }


FILES: Final = {
    1: a_file("first", "10m", "CONTINUE"),
    2: a_file("second", "20m", "ABANDON"),
    3: {"version": 1, "policies": {}, "hooks": []},
}


class Applied(Calm):
    """Hooks files are applied, and Usher puts the hooks."""

    def __init__(self, downs: Sequence[Down] = ()) -> None:
        self.waits = {}
        self._said = 0
        Trial.__init__(
            self,
            5,
            hooks=FILES[1],
            swarm=Swarm(downs=downs),
            surroundings=Surroundings(is_applied=True),
            things={Thing.ENROLLED},
        )
        sizes = {"MinSize": 0, "MaxSize": 1000}
        self.ask("CreateAutoScalingGroup", AutoScalingGroupName="web", **sizes, **ANY_SOURCE)
        self.stack.create()
        self.pass_time(300)

    def _draw_hooks(self, dice: object, hooks: dict[str, Any] | None) -> dict[str, Any]:  # noqa: ARG002
        assert hooks is not None
        return hooks

    def apply(self, number: int) -> datetime:
        """Apply a version as `usher apply` does; when it takes effect."""
        versions, now = self.usher.versions, self.clock()
        over = versions.schedule()
        schedule = over.then(number, now)
        effective_at = schedule.starts[-1].at
        version = FileVersion(
            number=number,
            file=compiled(FILES[number]),
            applied_at=now,
            effective_at=effective_at,
            by="me",
            reason="a change",
            previous=over.newest,
        )
        versions.apply(version, schedule, over)
        in_force = InForce(since=effective_at, file=FILES[number])
        self.clock.at(effective_at, lambda: self.scene.deployed.append(in_force))
        return effective_at

    def actions(self) -> list[Action]:
        return list(self.usher.memory.actions())

    def signal_all(self, name: str) -> None:
        for action in self.actions():
            if action.is_open:
                self.signal(action.instance_id, name, "done")


def version_of(action: Action) -> int:
    """By whose terms it is finished; a mixture of two is none."""
    found = [
        number
        for number, file in FILES.items()
        for hook in file["hooks"]
        if (file["policies"]["gate"]["until"][0]["signal"], hook["default_result"])
        == (json.loads(action.policy.source)["until"][0]["signal"], action.hook.default_result)
    ]
    assert len(found) == 1, f"{action.id} began under a mixture: {action.policy} {action.hook}"
    return found[0]


APPLIED_AT: Final = START + timedelta(seconds=1145)
AWAY: Final = Down(
    part=Part.STORE,
    since=APPLIED_AT + NOTICE - timedelta(seconds=20),
    until=APPLIED_AT + NOTICE + timedelta(seconds=20),
)


@pytest.mark.parametrize(
    ("count", "downs"),
    [
        pytest.param(500, (), id="500", marks=pytest.mark.large),
        pytest.param(50, (AWAY,), id="the table is away as it takes effect"),
    ],
)
def test_open_actions_are_finished_under_the_terms_of_their_start(count: int, downs: Sequence[Down]) -> None:
    world = Applied(downs)
    world.grow("web", count)
    world.pass_time((APPLIED_AT - timedelta(seconds=60) - world.clock()).total_seconds())
    assert len([action for action in world.actions() if action.is_open]) == count

    effective_at = APPLIED_AT + NOTICE
    for number in range(MORE):  # one a second, so that the containers of intake have read what counts now
        world.pass_time(1)
        world.grow("web", count + number + 1)
        if world.clock() == APPLIED_AT:
            assert world.apply(2) == effective_at
    world.pass_time(600)

    by_version: dict[int, list[Action]] = {1: [], 2: []}
    for action in world.actions():
        by_version[version_of(action)].append(action)
    assert len(by_version[1]) + len(by_version[2]) == count + MORE
    assert len(by_version[1]) > count + MORE / 4, "some began before the moment"
    assert len(by_version[2]) > MORE / 4
    assert max(action.first_seen_at for action in by_version[1]) < effective_at + _INTAKE
    assert min(action.first_seen_at for action in by_version[2]) >= effective_at
    assert all(action.is_open for action in world.actions()), "none falls, and none is let go"
    assert world.fleet.groups["web"].hooks["gate"].heartbeat_timeout == timedelta(minutes=20)

    world.signal_all("second")
    world.pass_time(300)
    assert {version_of(action) for action in world.actions() if action.is_open} == {1}
    world.apply(3)  # and the hook leaves the file while they wait
    world.pass_time(1800)
    left = [action for action in world.actions() if action.is_open]
    assert {action.id for action in left} == {action.id for action in by_version[1]}
    world.signal_all("first")
    world.pass_time(600)

    assert [action.id for action in world.actions() if action.is_open] == []
    assert {action.result for action in world.actions()} == {Result.CONTINUE}
    assert {wait.result for wait in world.waits["web"]} == {"CONTINUE"}
    assert world.scene.violations == []
