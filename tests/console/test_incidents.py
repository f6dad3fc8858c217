"""Two incidents, resolved by the console in the browser alone: no command is run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from moto import mock_aws
from playwright.sync_api import expect

from tests.console_site import served
from tests.factories import at
from tests.memory_account import CALLER
from tests.simulation.test_incident import HANGS, INSTANCE, OPERATOR, TOKEN, Incident
from tests.simulation.test_release_of_retained import Retaining
from tests.unit.test_account import KEYS, NOBODYS, REGION
from usher_cli.account import Place, open_account
from usher_simulator.autoscaling.lifecycle_actions import EndedBy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

    from tests.console.conftest import Visitor
    from usher_cli.account import Account

REASON = "Reason, recorded in the timeline"


@pytest.fixture
def incident(monkeypatch: pytest.MonkeyPatch) -> Iterator[Incident]:
    for name, value in {**NOBODYS, **KEYS}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    with mock_aws(config={"core": {"passthrough": {"services": ["autoscaling"], "urls": []}}}):
        yield Incident()


def account_of(incident: Incident) -> Account:
    incident.deployed.now = incident.clock()
    place = Place(region=REGION, stack=incident.deployed.stack)
    return open_account(place, incident.deployed.machine())


def go_on(incident: Incident, page: Page, minutes: float) -> None:
    """Time passes, with what the operator sent; then the page is looked at again."""
    incident.deliver()
    incident.until(minutes)
    incident.deployed.now = incident.clock()
    page.get_by_role("button", name="Read now").click()


def story_of(page: Page, instance: str) -> Locator:
    page.get_by_role("button", name=instance).click()
    return page.get_by_role("dialog", name=re.compile(instance))


def do(page: Page, act: str, reason: str, **chosen: str) -> None:
    """Press the button of an act, fill its form in, and confirm it."""
    page.get_by_role("button", name=f"{act} …").click()
    form = page.locator("#act")
    for label, value in chosen.items():
        field = form.get_by_label(label.capitalize())
        if field.evaluate("one => one.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    form.get_by_label(REASON).fill(reason)
    form.get_by_role("button", name="Continue …").click()
    page.get_by_role("alertdialog").get_by_role("button", name=re.compile("^Yes, ")).click()
    expect(form).to_be_hidden()


def test_the_drain_that_hangs_is_seen_held_extended_and_completed(visit: Visitor, incident: Incident) -> None:
    """The incident of tests/simulation/test_incident.py."""
    incident.until(8)
    with served(account_of(incident)) as site:
        page = visit(site)
        expect(page.get_by_text("1 of 1 open action, nearest expiry first.")).to_be_visible()
        row = page.locator("#held-table tbody tr")
        expect(row).to_contain_text(HANGS)
        expect(row).to_contain_text("waiting")
        story = story_of(page, INSTANCE)
        expect(story.locator("#story-table")).to_contain_text("ecs drained in web: pending: ")

        do(page, "Hold", "we look into it")
        expect(page.get_by_role("status").first).to_contain_text(f"Held: {INSTANCE}")
        expect(story.locator("#story-now")).to_contain_text(f"{OPERATOR}: we look into it")
        go_on_behind(incident, page, story, 14)
        assert incident.wait.is_open

        story = story_of(page, INSTANCE)
        do(page, "Extend", "the last import takes its time", by="1h")
        do(page, "End the hold", "understood")
        go_on_behind(incident, page, story, 20)
        assert incident.wait.is_open

        story_of(page, INSTANCE)
        do(page, "Complete", "tasks are stuck", result="CONTINUE")
        go_on_behind(incident, page, story, 20.1)
        expect(page.get_by_text("No action is held.")).to_be_visible()

        page.get_by_role("tab", name="History").click()
        expect(page.locator("#history-table tbody tr")).to_contain_text(
            f"requested by {OPERATOR}: tasks are stuck"
        )
    assert incident.end() == (at(20 * 60 + 1), EndedBy.CALL, "CONTINUE")
    assert incident.said("operator") == [
        f"{OPERATOR}: hold: we look into it",
        f"{OPERATOR}: extend to 2026-03-01T13:14:00.000Z: the last import takes its time",
        f"{OPERATOR}: hold off: understood",
        f"{OPERATOR}: complete CONTINUE: tasks are stuck",
    ]


def go_on_behind(incident: Incident, page: Page, story: Locator, minutes: float) -> None:
    """The same, with the story closed before."""
    story.get_by_role("button", name="Close").click()
    go_on(incident, page, minutes)


def test_the_drain_that_hangs_ends_by_a_signal(visit: Visitor, incident: Incident) -> None:
    incident.until(8)
    with served(account_of(incident)) as site:
        page = visit(site)
        story = story_of(page, INSTANCE)
        do(page, "Signal", "stopped the imports", signal="drained-by-hand", status="done")
        go_on_behind(incident, page, story, 8.1)
        expect(page.get_by_text("No action is held.")).to_be_visible()
        page.get_by_label("Find").fill(TOKEN)
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_role("dialog", name=f"{INSTANCE}: completed with CONTINUE")).to_be_visible()
    assert incident.end() == (at(8 * 60), EndedBy.CALL, "CONTINUE")
    assert incident.said("signal") == [f"drained-by-hand done: {OPERATOR}: stopped the imports"]


def test_a_retained_instance_is_found_understood_and_released(visit: Visitor) -> None:
    world = Retaining()
    instance = world.fails()
    with served(world.account()) as site:
        page = visit(site)
        page.get_by_role("tab", name="Retained").click()
        row = page.locator("#retained-table tbody tr")
        expect(row).to_contain_text(instance)
        expect(row).to_contain_text("gave up after 10m")
        story = story_of(page, instance)
        expect(story.locator("#story-table")).to_contain_text("ABANDON")
        story.get_by_role("button", name="Close").click()

        do(page, "Release", "looked into, a full disk")
        expect(page.get_by_role("status").first).to_contain_text(f"{instance} is being terminated")
        world.pass_time(300)
        page.get_by_role("button", name="Read now").click()
        expect(page.get_by_text("No instance is retained.")).to_be_visible()
    assert not world.state_of(instance)
    first, second = world.terminations()
    assert (first.result, second.result) == ("ABANDON", "CONTINUE")
    assert second.reason == f"requested by {CALLER}: looked into, a full disk"
