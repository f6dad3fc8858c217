"""What docs/alternatives.md says of each way to hold an instance is what `make arena` finds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from benchmarks.arena.__main__ import CONSUMERS, HALF_AN_HOUR, USHER, WAYS, lost_of, used
from benchmarks.arena.scenes import MORE, SCENES
from benchmarks.arena.world import ConsumerWorld
from benchmarks.storm_plan import START
from usher_simulator.autoscaling.lifecycle_actions import EndedBy

PAGE: Final = (Path(__file__).parents[2] / "docs" / "alternatives.md").read_text(encoding="utf-8")


def row(way: str) -> list[str]:
    """Its cells in the first table, without the name."""
    line = re.search(rf"^\| {re.escape(way)} \|(.+)\|$", PAGE, re.MULTILINE)
    assert line is not None, f"the page has no row {way!r}"
    return [cell.strip().replace(",", "") for cell in line[1].split("|")]


@pytest.mark.parametrize("way", WAYS)
def test_a_way_loses_as_many_instances_as_the_page_says(way: str) -> None:
    lost = lost_of(way, SCENES)

    assert sum(lost.values()) == int(row(way)[0]), lost


@pytest.mark.parametrize("way", WAYS)
def test_a_notification_that_never_arrives_costs_the_instance_except_in_longer_hooks_of_usher(
    way: str,
) -> None:
    assert lost_of(way, SCENES)["notification never arrives"] == 1
    assert sum(lost_of(way, MORE).values()) == (0 if way == USHER else 1)


@pytest.mark.parametrize("way", WAYS)
def test_half_an_hour_takes_what_the_page_says(way: str) -> None:
    taken = used(way, HALF_AN_HOUR)
    calls, operations, dollars = row(way)[3:6]

    assert (taken.calls, taken.operations, round(taken.dollars)) == (
        int(calls),
        int(operations),
        int(dollars),
    )


@pytest.mark.parametrize("name", SCENES)
def test_the_page_explains_each_scene(name: str) -> None:
    assert f"\n| {name} |" in PAGE


def test_a_wait_that_ends_before_its_work_is_done_counts_as_lost() -> None:
    world = ConsumerWorld(SCENES["plain"], CONSUMERS["daemon"])
    world.run()
    (wait,) = world.waits.values()
    assert (wait.ended_by, world.lost_instances) == (EndedBy.CALL, 0)

    wait.ended_at = START

    assert world.lost_instances == 1
