"""`usher list --offline`: for whoever is on call while DynamoDB is away."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import at
from tests.unit.test_account import REGION, Deployed, client, cloud, deployed, usher
from usher.core.action import Result, Transition
from usher.core.hook_items import HookSeen, HookSettings
from usher.core.live_waits import LiveGroup, Member
from usher_cli.account import Place
from usher_cli.listing import Selection
from usher_cli.offline import command_of, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from usher.ports.autoscaling import LiveWaits

__all__ = ["cloud", "deployed"]  # fixtures

INBOX = "arn:aws:sqs:eu-west-1:111122223333:inbox"
ALL = Selection(group=None, hook=None, limit=50)


def a_hook(name: str, transition: Transition, target_arn: str | None) -> HookSeen:
    settings = HookSettings(
        transition=transition,
        heartbeat_timeout=timedelta(minutes=5),
        default_result=Result.ABANDON,
        target_arn=target_arn,
    )
    return HookSeen(name=name, settings=settings)


class Live:
    """As much of LiveWaits as is used: one group, with a warm pool."""

    def live_groups(self, names: Any, turn: Any) -> Iterator[LiveGroup]:
        assert names is None
        states = ("InService", "Terminating:Wait")
        members = {
            f"i-{each}": Member(instance_id=f"i-{each}", state=each, is_healthy=True) for each in states
        }
        of_web: dict[str, Any] = {"tags": (), "members": members, "has_pool": True, "is_whole": False}
        yield LiveGroup(name="web", seen_at=turn(), **of_web)
        yield LiveGroup(name="idle", tags=(), members={}, has_pool=False, seen_at=turn(), is_whole=True)

    def pool(self, group: str, turn: Any) -> list[Member]:
        assert (group, turn()) == ("web", at(0))
        return [Member(instance_id="i-pool", state="Warmed:Pending:Wait", is_healthy=True)]

    def hooks_of(self, group: str) -> list[HookSeen]:
        assert group == "web", "what holds nobody is not asked"
        return [
            a_hook("out", Transition.TERMINATING, INBOX),
            a_hook("in", Transition.LAUNCHING, None),
            a_hook("theirs", Transition.TERMINATING, "arn:aws:sqs:eu-west-1:111122223333:other"),
        ]


def found(selection: Selection) -> list[tuple[str, str, bool]]:
    live: LiveWaits = Live()  # type: ignore[assignment]
    return [
        (one["instance_id"], one["hook"], one["ours"])
        for one in waiting(live, {INBOX}, selection, lambda: at(0))
    ]


def test_what_waits_is_told_with_each_hook_that_may_be_ours() -> None:
    assert found(ALL) == [
        ("i-Terminating:Wait", "out", True),
        ("i-pool", "out", True),
        ("i-pool", "in", False),
    ]


@pytest.mark.parametrize(
    ("options", "hooks"),
    [({"hook": "i*"}, ["in"]), ({"group": "w*"}, ["out", "out", "in"]), ({"group": "x"}, [])],
)
def test_globs_choose(options: dict[str, str], hooks: list[str]) -> None:
    assert [hook for _, hook, _ in found(replace(ALL, **options))] == hooks  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("place", "end"),
    [
        (Place(), "--instance-id i-1"),
        (
            Place(profile="prod", region="eu-west-1", endpoint_url="http://127.0.0.1:4566"),
            "--instance-id i-1 --profile prod --region eu-west-1 --endpoint-url http://127.0.0.1:4566",
        ),
    ],
)
def test_what_it_prints_holds_where_it_asked(place: Place, end: str) -> None:
    """Piped into a shell it would else go to another account, and hold nothing."""
    assert command_of({"group": "g", "hook": "h", "instance_id": "i-1"}, place).endswith(f"-name h {end}")


def test_the_command_asks_no_table(deployed: Deployed) -> None:
    client("dynamodb").delete_table(TableName=deployed.outputs["TableName"])
    asked = usher(
        "list", "--offline", "--json", "--region", REGION, "--stack", deployed.stack, obj=deployed.machine()
    )
    assert (asked.exit_code, json.loads(asked.stdout)) == (0, {"waiting": 0, "actions": []})
