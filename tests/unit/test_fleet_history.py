"""`usher history`, `audit` and `retained` with `--fleet`: looking back at all sites."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.factories import at
from tests.unit.test_fleet import BILLS, DENIED, IRELAND, NOT_PERMITTED, OHIO, SHOP, MemoryFleet, fleet
from tests.unit.test_history import NIGHT, an_end

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["fleet"]  # a fixture

FAILED: Final = f"{BILLS} in {OHIO} failed: {NOT_PERMITTED}"


@pytest.fixture
def night(tmp_path: Path) -> MemoryFleet:
    """Three closed actions at two of four sites; a third site denies."""
    made = MemoryFleet(folder=tmp_path, now=at(4000))
    an_end(made.stack(SHOP, IRELAND), 1, 60)
    an_end(made.stack(SHOP, IRELAND), 2, 600)
    an_end(made.stack(BILLS, IRELAND), 3, 120)
    made.failing = {(BILLS, OHIO): DENIED}
    return made


def test_the_closed_actions_of_all_sites_are_one_list_newest_first(night: MemoryFleet) -> None:
    outcome = night.usher("history", *NIGHT)
    assert outcome.exit_code == 1
    lines = outcome.stdout.splitlines()
    assert lines[0].split()[:4] == ["ACCOUNT", "REGION", "CLOSED", "INSTANCE"]
    assert [(line.split()[0], line.split()[3]) for line in lines[1:4]] == [
        ("shop", "i-2"),
        (BILLS, "i-3"),
        ("shop", "i-1"),
    ]
    assert f"shop ({SHOP}) in {IRELAND}: 2 closed in the period: 2 CONTINUE" in lines
    assert outcome.stderr.splitlines() == [FAILED]


def test_json_has_each_closed_action_with_its_site_and_the_figures_of_each_site(night: MemoryFleet) -> None:
    page = json.loads(night.usher("history", *NIGHT, "--json", "--limit", "2", "--totals").stdout)
    assert list(page) == ["at", "from", "to", "more", "sites", "failed", "actions"]
    assert [(each["account"], each["region"], each["id"]) for each in page["actions"]] == [
        (SHOP, IRELAND, "action-2"),
        (BILLS, IRELAND, "action-3"),
    ]
    assert page["more"] is True
    assert [site["totals"]["actions"] for site in page["sites"]] == [2, 0, 1]
    assert [site["region"] for site in page["failed"]] == [OHIO]


def test_what_is_left_out_of_the_list_is_told_and_no_figure_says_that_it_is_shown(tmp_path: Path) -> None:
    """Of six at two sites, the two newest of one are shown; of the other, two are read and none is."""
    made = MemoryFleet(folder=tmp_path, now=at(4000))
    for number in range(1, 4):
        an_end(made.stack(SHOP, IRELAND), number, 60 * number)
        an_end(made.stack(BILLS, IRELAND), number + 3, 1000 + 60 * number)
    outcome = made.usher("history", *NIGHT, "--limit", "2")
    lines = outcome.stdout.splitlines()
    assert [line.split()[3] for line in lines[1:3]] == ["i-6", "i-5"]
    assert f"shop ({SHOP}) in {IRELAND}: 2 newest read: 2 CONTINUE" in lines
    assert " shown" not in outcome.stdout
    assert outcome.stderr.splitlines() == [
        "The newest 2 are shown; --limit 4 shows more, --totals counts all of the period."
    ]
    page = json.loads(made.usher("history", *NIGHT, "--limit", "2", "--json").stdout)
    assert [site["totals_of"] for site in page["sites"]] == ["newest_read", "period", "newest_read", "period"]

    outcome = made.usher("history", *NIGHT, "--limit", "2", "--totals")
    assert f"shop ({SHOP}) in {IRELAND}: 3 closed in the period: 3 CONTINUE" in outcome.stdout.splitlines()
    assert outcome.stderr == "The newest 2 are shown; --limit 4 shows more.\n"


def test_a_fleet_in_which_nothing_was_closed_says_so(tmp_path: Path) -> None:
    made = MemoryFleet(folder=tmp_path, now=at(4000))
    outcome = made.usher("history", "--from", "1h")
    assert (outcome.exit_code, outcome.stdout) == (0, "")
    assert outcome.stderr == (
        "No action that matches was closed from 2026-03-01T12:06:40Z to 2026-03-01T13:06:40Z "
        "in 4 accounts and Regions.\n"
    )


def test_the_audit_of_each_site_stands_under_its_name(night: MemoryFleet) -> None:
    outcome = night.usher("audit", *NIGHT)
    assert outcome.exit_code == 1
    lines = outcome.stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ") and line] == [
        f"shop ({SHOP}) in {IRELAND}:",
        f"shop ({SHOP}) in {OHIO}:",
        f"{BILLS} in {IRELAND}:",
    ]
    assert lines[1].startswith("  2 actions, ")
    assert outcome.stderr.splitlines() == [FAILED]


def test_the_audit_of_one_site_is_what_it_is_alone(night: MemoryFleet) -> None:
    data = json.loads(night.usher("audit", *NIGHT, "--json").stdout)
    night.stack(SHOP, IRELAND).now = at(4000)
    alone = json.loads(night.stack(SHOP, IRELAND).usher("audit", *NIGHT, "--json").stdout)
    assert data["sites"][0] == {"account": SHOP, "account_name": "shop", **alone, "region": IRELAND}
    assert [site["region"] for site in data["failed"]] == [OHIO]


class AutoScaling:
    """A client that describes one instance, of a type that no table has a price of."""

    def __init__(self, instance_id: str, state: str) -> None:
        self._instance = {
            "InstanceId": instance_id,
            "AutoScalingGroupName": "workers-1",
            "LifecycleState": state,
            "InstanceType": "none.large",
        }

    def get_paginator(self, _: str) -> AutoScaling:
        return self

    def paginate(self) -> list[dict[str, Any]]:
        return [{"AutoScalingInstances": [self._instance]}]


@pytest.fixture
def keeping(night: MemoryFleet) -> MemoryFleet:
    """Two sites retain an instance each, of which one has a record of Usher's; one retains none."""
    for account, region, instance_id, state in (
        (SHOP, IRELAND, "i-2", "Terminating:Retained"),
        (SHOP, OHIO, "i-9", "Terminating:Retained"),
        (BILLS, IRELAND, "i-3", "InService"),
    ):
        night.stack(account, region).services["autoscaling"] = AutoScaling(instance_id, state)
    return night


def test_the_retained_instances_of_all_sites_are_one_list(keeping: MemoryFleet) -> None:
    outcome = keeping.usher("retained")
    assert outcome.exit_code == 1
    lines = outcome.stdout.splitlines()
    assert lines[0].split()[:3] == ["ACCOUNT", "REGION", "INSTANCE"]
    assert [line.split()[:3] for line in lines[1:3]] == [["shop", IRELAND, "i-2"], ["shop", OHIO, "i-9"]]
    assert lines[3].startswith("2 retained, 0.00 a day, without 2 whose price is not known")
    assert outcome.stderr.splitlines() == [FAILED]


def test_the_json_of_the_retained_has_their_sites_and_one_sum(keeping: MemoryFleet, tmp_path: Path) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text('{"none.large": 0.5}')
    page = json.loads(keeping.usher("retained", "--json", "--prices", str(prices)).stdout)
    assert [(row["region"], row["instance_id"]) for row in page["retained"]] == [
        (IRELAND, "i-2"),
        (OHIO, "i-9"),
    ]
    assert (page["cost_per_day"], page["without_price"]) == (24.0, 0)
    assert [site["region"] for site in page["failed"]] == [OHIO]
