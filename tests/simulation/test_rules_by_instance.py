"""Rules that go by what EC2 tells, by intake, evaluation and questions on a virtual clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from usher.core.policy import UNDECIDED
from usher_simulator.trials.calm import Calm
from usher_simulator.trials.condition_truths import facts_of
from usher_simulator.trials.faults import Down, Part, Swarm

if TYPE_CHECKING:
    from usher.core.action import Action, Entry

SIZE = 12


class Routed(Calm):
    """Terminations in a hook whose policy goes by zone, type and tags."""

    def __init__(self, *, heartbeat_timeout: str = "5m", limits: dict[str, int] | None = None) -> None:
        rules = [
            {"when": {"tags": {"role": "db"}}, "use": "db"},
            {"when": {"instance_type": "c7g.*", "availability_zone": "us-east-1a"}, "use": "here"},
            {"use": "rest"},
        ]
        wait = {"until": [{"elapsed": "10m"}], "give_up_after": "40m"}
        super().__init__(
            {
                "version": 1,
                "policies": {"db": wait, "here": wait, "rest": wait},
                "hooks": [
                    {
                        "name": "drain",
                        "group": "web-1",
                        "transition": "terminating",
                        "heartbeat_timeout": heartbeat_timeout,
                        "default_result": "ABANDON",
                        "policy": rules,
                        **({} if limits is None else {"limits": limits}),
                    }
                ],
            }
        )

    def drained(self, *, answers: bool = True, minutes: float = 60) -> list[Action]:
        """The records, once the group has gone from SIZE instances to none."""
        self.grow("web-1", SIZE)
        self.pass_time(300)
        if not answers:
            now = self.clock()
            silence = Down(part=Part.ASKED, since=now, until=now + timedelta(hours=2))
            self.faults.swarm = Swarm(downs=[silence])
        self.grow("web-1", 0)
        self.pass_time(60 * minutes)
        return list(self.scene.memory.actions())

    def lines(self, action: Action, event: str) -> list[Entry]:
        """The lines of one kind."""
        return [line for line in self.scene.memory.timeline(action.id) if line.event == event]


def right_policy(instance_id: str) -> str:
    """As the author of the rules meant it."""
    facts = facts_of(instance_id)
    if facts["tags"].get("role") == "db":
        return "db"
    is_here = facts["instance_type"].startswith("c7g.") and facts["availability_zone"] == "us-east-1a"
    return "here" if is_here else "rest"


def test_each_instance_gets_the_policy_of_its_rule_is_asked_for_once_and_says_why() -> None:
    world = Routed()
    actions = world.drained()
    assert len(actions) == SIZE
    assert {action.instance_id: action.policy.name for action in actions} == {
        action.instance_id: right_policy(action.instance_id) for action in actions
    }
    assert {action.policy.name for action in actions} == {"db", "here", "rest"}
    for action in actions:
        (line,) = world.lines(action, "policy")
        assert "tags.role" in line.detail
        assert "passed over" not in line.detail
        assert line.at - action.started_at < timedelta(seconds=15)
        assert [line.count for line in world.lines(action, "found")] == [1]


def test_where_ec2_does_not_answer_the_last_rule_counts_and_the_record_says_so() -> None:
    world = Routed()
    for action in world.drained(answers=False):
        (line,) = world.lines(action, "policy")
        assert action.policy.name == "rest"
        assert "so the rules for db, here were passed over" in line.detail
        assert timedelta(seconds=88) < line.at - action.first_seen_at < timedelta(seconds=100)
        assert action.closed_at is not None
        assert action.closed_at - action.started_at < timedelta(minutes=11)


def test_it_is_held_until_the_choice_also_in_the_shortest_hook() -> None:
    world = Routed(heartbeat_timeout="30s")
    actions = world.drained(answers=False, minutes=1)
    assert {action.policy.name for action in actions} == {UNDECIDED}
    assert all(action.heartbeats >= 2 and action.is_open for action in actions)
    world.pass_time(900)
    assert {str(action.result) for action in world.scene.memory.actions()} == {"CONTINUE"}


def test_nobody_takes_a_turn_before_its_policy_is_chosen() -> None:
    world = Routed(limits={"at_once": 2})
    actions = world.drained(answers=False, minutes=1)
    assert {action.began_at for action in actions} == {None}
    assert not any(action.awaits_turn for action in actions)
    world.pass_time(120)
    begun = [action for action in world.scene.memory.actions() if action.began_at is not None]
    assert len(begun) == 2
