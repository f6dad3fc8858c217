"""An instance that a failed termination retains, from the failure to its end, by the commands."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.memory_account import CALLER, MemoryStack
from usher_cli.account import Machine
from usher_cli.prices import per_day
from usher_simulator.autoscaling.query_protocol import Request
from usher_simulator.trials.calm import Calm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from usher.core.action import Action
    from usher_cli.account import Account

GROUP = "etl-1"


class AutoScalingOf:
    """What the commands call of Auto Scaling, in a simulated account."""

    def __init__(self, world: Retaining) -> None:
        self._world = world
        self.is_down = False

    def get_paginator(self, _: str) -> AutoScalingOf:
        """Of DescribeAutoScalingInstances alone."""
        return self

    def paginate(self, **asked: Any) -> Iterator[Any]:
        """All on one page."""
        yield self._call("DescribeAutoScalingInstances", asked)

    def terminate_instance_in_auto_scaling_group(self, **asked: Any) -> Any:
        """Of Auto Scaling."""
        if self.is_down:
            raise EndpointConnectionError(endpoint_url="https://autoscaling")
        return self._call("TerminateInstanceInAutoScalingGroup", asked)

    def _call(self, operation: str, asked: dict[str, Any]) -> Any:
        return self._world.service(Request(operation=operation, parameters=asked, request_id="operator"))


class Retaining(Calm):
    """A group that retains what is abandoned, and a hook that abandons what does not say done."""

    def __init__(self) -> None:
        policy = {"until": [{"signal": "done"}], "give_up_after": "10m", "on_give_up": "ABANDON"}
        hook = {
            "name": "drain",
            "group": GROUP,
            "transition": "terminating",
            "heartbeat_timeout": "5m",
            "default_result": "CONTINUE",
            "policy": "p",
        }
        super().__init__({"version": 1, "policies": {"p": policy}, "hooks": [hook]})
        retain = {"RetentionTriggers": {"TerminateHookAbandon": "retain"}}
        self.ask("UpdateAutoScalingGroup", AutoScalingGroupName=GROUP, InstanceLifecyclePolicy=retain)
        self.auto_scaling = AutoScalingOf(self)

    def fails(self) -> str:
        """One instance whose termination has failed."""
        self.grow(GROUP, 1)
        self.pass_time(300)
        self.grow(GROUP, 0)
        self.pass_time(1800)
        (instance,) = self.service.fleet.groups[GROUP].instances
        return str(instance)

    def operated(self) -> MemoryStack:
        """Usher in this account, and its operator, at this moment."""
        operated = MemoryStack(services={"autoscaling": self.auto_scaling}, now=self.clock())
        operated.records = self.scene.memory  # type: ignore[assignment] # of which all can be read
        return operated

    def run_command(self, *arguments: str) -> Result:
        """Run a command on this account."""
        return self.operated().usher(*arguments)

    def account(self) -> Account:
        """The account, as its operator's commands have it, on the clock of the world."""
        machine = Machine(clock=self.clock, new_id=lambda: "x", wait=lambda _: None)
        return self.operated().account(machine=machine)

    def state_of(self, instance: str) -> str:
        """Its lifecycle state; an empty one where it is gone."""
        return str(self.service.fleet.groups[GROUP].instances[instance].state)

    def terminate(self, instance: str) -> None:
        """By somebody's call, without an order."""
        operation = "TerminateInstanceInAutoScalingGroup"
        self.ask(operation, InstanceId=instance, ShouldDecrementDesiredCapacity=False)

    def terminations(self) -> list[Action]:
        """The records, oldest first."""
        return sorted(self.scene.memory.actions(), key=lambda action: action.started_at)


def test_a_retained_instance_is_listed_with_since_when_why_and_what_it_costs() -> None:
    world = Retaining()
    instance = world.fails()
    (action,) = world.terminations()
    found = json.loads(world.run_command("retained", "--json").stdout)
    (row,) = found["retained"]
    assert (row["instance_id"], row["group"], row["state"]) == (instance, GROUP, "Terminating:Retained")
    assert row["since"] is not None
    assert row["why"] == action.reason == "gave up after 10m"
    assert row["age_s"] > 0
    assert found["prices"].startswith("On-Demand, Linux, us-east-1, ")
    assert "1 retained" in world.run_command("retained").stdout


def test_a_released_instance_goes_and_is_not_retained_again_whatever_its_policy_says() -> None:
    world = Retaining()
    instance = world.fails()
    told = world.run_command("release", instance, "--reason", "looked into", "--yes")
    assert told.exit_code == 0, told.output
    world.pass_time(300)
    first, second = world.terminations()
    assert (first.result, second.result) == ("ABANDON", "CONTINUE")
    assert second.reason == f"requested by {CALLER}: looked into"
    assert second.closed_at is not None
    assert second.closed_at - second.started_at < timedelta(minutes=1)
    lines = [line.detail for line in world.scene.memory.timeline(second.id) if line.event == "operator"]
    assert lines == [f"{CALLER}: release: looked into"]
    assert world.run_command("retained").stdout == "No instance is retained.\n"
    assert not world.state_of(instance)


def test_without_an_order_it_would_be_retained_again() -> None:
    world = Retaining()
    instance = world.fails()
    world.terminate(instance)
    world.pass_time(1800)
    assert [action.result for action in world.terminations()] == ["ABANDON", "ABANDON"]


def test_the_order_is_stored_before_the_call_so_that_a_call_that_fails_can_be_made_again() -> None:
    world = Retaining()
    instance = world.fails()
    world.auto_scaling.is_down = True
    failed = world.run_command("release", instance, "--reason", "x", "--yes")
    assert failed.exit_code == 2
    assert "The order is stored" in failed.stderr
    assert "Run the command again" in failed.stderr
    world.auto_scaling.is_down = False
    world.terminate(instance)
    world.pass_time(300)
    assert world.terminations()[-1].result == "CONTINUE"


def test_only_what_is_retained_can_be_released() -> None:
    world = Retaining()
    world.grow(GROUP, 1)
    world.pass_time(300)
    (instance,) = world.service.fleet.groups[GROUP].instances
    refused = world.run_command("release", str(instance), "--reason", "x", "--yes")
    assert refused.exit_code == 2
    assert "is not retained, but InService" in refused.stderr
    unknown = world.run_command("release", "i-1", "--reason", "x", "--yes")
    assert unknown.exit_code == 2
    assert "knows no instance i-1" in unknown.stderr


# Prices


@pytest.mark.parametrize(
    ("instance_type", "own", "cost"),
    [
        ("m7i.large", None, 2.42),
        ("m7i.2xlarge", None, 9.68),
        ("t3.micro", None, 0.25),
        ("x9.huge", None, None),
        ("", None, None),
        ("m7i.large", {"m7i.large": 0.05}, 1.2),
        ("m7i.xlarge", {"m7i.large": 0.05}, None),
    ],
)
def test_what_a_day_costs_follows_from_the_table_or_from_the_users_own(
    instance_type: str, own: dict[str, float] | None, cost: float | None
) -> None:
    assert per_day(instance_type, own) == cost


@pytest.mark.parametrize("written", ["{", "[]", '{"m7i.large": "x"}', '{"m7i.large": -1}', '{"a": true}'])
def test_prices_that_cannot_be_read_are_refused_in_one_line(tmp_path: Path, written: str) -> None:
    file = tmp_path / "prices.json"
    file.write_text(written)
    refused = Retaining().run_command("retained", "--prices", str(file))
    assert refused.exit_code == 2
    assert str(file) in refused.stderr
