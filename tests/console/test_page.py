"""The page of `usher console`, as someone uses it in a browser."""

from __future__ import annotations

import re
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import expect

from tests.console.test_incidents import REASON, do, story_of
from tests.console_site import opened, served
from tests.factories import at, hook_terms
from tests.memory_account import MemoryStack
from tests.unit.test_console_door import NothingRetained
from usher.core.action import Entry, OperatorNote, Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.console.conftest import Visitor
    from tests.console_site import Site
    from usher.core.action import Action

MANY = 5_000
HOSTILE = "</td><img src=x onerror=alert(1)><script>alert(2)</script>&lt;b&gt;\u202e'\"`${1}"
WRITTEN = HOSTILE.replace("\u202e", r"\u202e")  # where it stands in a sentence: it turns no other text around
TABS = ("Held now", "History", "Retained", "Configuration")


class Retained(NothingRetained):
    """One retained instance, whose names are hostile."""

    def paginate(self, **_: Any) -> list[Any]:
        one = {"InstanceId": "i-0bad", "AutoScalingGroupName": HOSTILE, "InstanceType": HOSTILE}
        return [{"AutoScalingInstances": [one | {"LifecycleState": "Terminating:Retained"}]}]


@pytest.fixture
def stack() -> MemoryStack:
    return MemoryStack(services={"autoscaling": NothingRetained()})


@pytest.fixture
def site(stack: MemoryStack) -> Iterator[Site]:
    with served(stack.account()) as site:
        yield site


def closed(stack: MemoryStack, number: int, **changes: Any) -> Action:
    end = {
        "phase": Phase.CLOSED,
        "evaluate_at": None,
        "closed_at": at(-5),
        "outcome": Outcome.ENDED_ELSEWHERE,
    }
    return opened(stack, number, **{"started_at": at(-60), **end, **changes})


def rows(page: Page) -> Any:
    return page.locator("#held-table tbody tr")


def test_hostile_text_is_shown_and_does_nothing(visit: Visitor) -> None:
    stack = MemoryStack(services={"autoscaling": Retained()})
    note = OperatorNote(who=HOSTILE, at=at(0), reason=HOSTILE)
    terms = {"hook": hook_terms(name=HOSTILE, group=HOSTILE), "instance_id": HOSTILE}
    line = Entry(at=at(0), last_at=at(0), number=1, event="operator", detail=HOSTILE)
    opened(stack, 1, **terms, operator_hold=note, recent=(line,))
    closed(stack, 2, **terms, reason=HOSTILE)
    stack.records.pause(HOSTILE, HOSTILE)
    with served(stack.account()) as site:
        page = visit(site)
        expect(rows(page).locator("td").nth(1)).to_have_text(HOSTILE)
        expect(page.locator("#paused li")).to_have_text(f"PAUSED: hook {HOSTILE}, by {HOSTILE}")
        rows(page).get_by_role("button").click()
        expect(page.locator("#story-table tbody td").nth(3)).to_have_text(HOSTILE)
        page.get_by_role("button", name="Complete …").click()
        expect(page.locator("#act-about")).to_contain_text(WRITTEN)
        page.locator("#act").get_by_label("Result").select_option("ABANDON")
        page.locator("#act").get_by_label(REASON).fill("x")
        page.get_by_role("button", name="Continue …").click()
        expect(page.locator("#confirm-text")).to_have_text(
            f"End the wait of {WRITTEN} in hook {WRITTEN} with ABANDON? This cannot be undone."
        )
        for _ in range(3):
            page.keyboard.press("Escape")
        page.get_by_role("tab", name="History").click()
        expect(page.locator("#history-table tbody td").nth(6)).to_have_text(HOSTILE)
        page.get_by_role("tab", name="Retained").click()
        expect(page.locator("#retained-table tbody td").nth(1)).to_have_text(HOSTILE)
        page.get_by_role("tab", name="Held now").click()
        page.get_by_label("Find").fill(HOSTILE)
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_role("alert").first).to_contain_text(WRITTEN)
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(
    visit: Visitor, stack: MemoryStack, site: Site, width: int, scheme: str
) -> None:
    long_name = {"hook": hook_terms(group="workers-of-a-department-with-a-long-name-" * 3)}
    opened(stack, 1, **long_name)
    closed(stack, 2, **long_name, reason="done: " + "x" * 300)
    page = visit(site, width=width, scheme=scheme)
    rows(page).get_by_role("button").click()
    assert page.evaluate("document.getElementById('story').scrollWidth") <= width
    page.get_by_role("button", name="Signal …").click()
    assert page.evaluate("document.getElementById('act').scrollWidth") <= width
    for _ in range(2):
        page.keyboard.press("Escape")
    for tab in TABS:
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tabpanel", name=tab)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


def test_it_reads_again_by_itself_and_whoever_is_on_a_row_stays_there(
    visit: Visitor, stack: MemoryStack, site: Site
) -> None:
    opened(stack, 5)
    page = visit(site)
    expect(rows(page)).to_have_count(1)
    rows(page).get_by_role("button").focus()
    opened(stack, 1)
    stack.now = at(6)
    expect(rows(page)).to_have_count(2)
    expect(page.get_by_role("button", name=f"i-{5:017x}")).to_be_focused()
    expect(page.locator("#held-units")).to_contain_text("with at most 1,800 units a minute")


def test_an_open_story_is_read_along(visit: Visitor, stack: MemoryStack, site: Site) -> None:
    opened(stack, 1)
    page = visit(site)
    story = story_of(page, f"i-{1:017x}")
    expect(story.locator("#story-now")).not_to_contain_text("Held by")
    stack.now = at(6)
    assert stack.usher("hold", "action-1", "--reason", "by a command").exit_code == 0
    expect(story.locator("#story-now")).to_contain_text("by a command")
    expect(story.get_by_role("button", name="End the hold …")).to_be_visible()


def test_everything_works_by_keys(visit: Visitor, stack: MemoryStack, site: Site) -> None:
    opened(stack, 1)
    page = visit(site)
    page.get_by_role("tab", name="Held now").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="Configuration")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Configuration")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Held now", selected=True)).to_be_focused()
    row = page.get_by_role("button", name=f"i-{1:017x}")
    for _ in range(6):  # two fields and a button, a field and a button, the row
        page.keyboard.press("Tab")
    expect(row).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#story-title")).to_be_focused()
    page.keyboard.press("Escape")
    expect(row).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Complete …").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Result").nth(1)).to_be_focused()
    page.keyboard.press("A")
    page.keyboard.press("Tab")
    page.keyboard.type("by keys")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Go back")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#story-title")).to_be_focused()
    expect(page.locator("#story").get_by_role("status")).to_contain_text("Requested ABANDON")
    assert stack.loaded().operator_result == "ABANDON"


def test_going_back_from_the_confirmation_changes_nothing(
    visit: Visitor, stack: MemoryStack, site: Site
) -> None:
    opened(stack, 1)
    page = visit(site)
    story_of(page, f"i-{1:017x}")
    page.get_by_role("button", name="Hold …").click()
    form = page.locator("#act")
    form.get_by_role("button", name="Continue …").click()
    expect(page.get_by_role("alertdialog")).to_be_hidden()  # a reason is asked for first
    form.get_by_label(REASON).fill("a mistake")
    form.get_by_role("button", name="Continue …").click()
    expect(page.get_by_role("alertdialog")).to_contain_text("Reason: a mistake")
    page.get_by_role("button", name="Go back").click()
    expect(form.get_by_label(REASON)).to_have_value("a mistake")
    form.get_by_role("button", name="Cancel").click()
    assert stack.loaded().operator_hold is None


def test_what_is_refused_is_told_beside_the_form(visit: Visitor, stack: MemoryStack, site: Site) -> None:
    opened(stack, 1)
    page = visit(site)
    story_of(page, f"i-{1:017x}")
    page.get_by_role("button", name="Extend …").click()
    form = page.locator("#act")
    form.get_by_label("By").fill("72h")
    form.get_by_label(REASON).fill("long")
    form.get_by_role("button", name="Continue …").click()
    page.get_by_role("button", name="Yes, extend").click()
    expect(form.get_by_role("alert")).to_contain_text("just before the global timeout of its hook")
    expect(form.get_by_label("By")).to_have_value("72h")


def test_a_read_only_console_has_no_act(visit: Visitor, stack: MemoryStack) -> None:
    opened(stack, 1)
    with served(stack.account(), read_only=True) as site:
        page = visit(site)
        expect(page.get_by_text("nothing can be changed from this page")).to_be_visible()
        story = story_of(page, f"i-{1:017x}")
        expect(story.get_by_role("button")).to_have_text(["Close"])


def test_an_act_without_its_right_is_told_in_words_and_is_gone(visit: Visitor, stack: MemoryStack) -> None:
    class NoBus(NothingRetained):
        def put_events(self, **_: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutEvents")

    stack.clients = NoBus()
    opened(stack, 1)
    with served(stack.account()) as site:
        page = visit(site)
        story = story_of(page, f"i-{1:017x}")
        page.get_by_role("button", name="Signal …").click()
        form = page.locator("#act")
        form.get_by_label("Signal").select_option("jobs-finished")
        form.get_by_label("Status").select_option("done")
        form.get_by_label(REASON).fill("x")
        form.get_by_role("button", name="Continue …").click()
        page.get_by_role("button", name="Yes, signal").click()
        expect(form.get_by_role("alert")).to_contain_text("Not permitted (PutEvents: no)")
        expect(form.get_by_role("button", name="Continue …")).to_be_disabled()
        form.get_by_role("button", name="Cancel").click()
        expect(story.get_by_text("Signal: not permitted")).to_be_visible()
        do(page, "Hold", "this may be done")
    assert stack.loaded().operator_hold is not None


def test_the_address_works_once_and_a_reload_keeps_the_session(
    visit: Visitor, stack: MemoryStack, site: Site
) -> None:
    opened(stack, 1)
    page = visit(site)
    expect(rows(page)).to_have_count(1)
    assert page.url == f"{site.origin}/"
    page.reload()
    expect(rows(page)).to_have_count(1)
    page.goto(site.address)
    expect(rows(page)).to_have_count(1)
    stranger = visit(site)
    expect(stranger.get_by_role("alert")).to_have_text(
        "This code is used or wrong: start `usher console` again."
    )
    expect(stranger.get_by_role("tablist")).to_be_hidden()


def test_two_consoles_in_one_browser_keep_apart(visit: Visitor, stack: MemoryStack, site: Site) -> None:
    opened(stack, 1)
    first = visit(site)
    expect(rows(first)).to_have_count(1)
    with served(MemoryStack(services={"autoscaling": NothingRetained()}).account()) as other:
        visit.origins.append(other.origin)
        second = first.context.new_page()
        second.goto(other.address)
        expect(second.get_by_text("No action is held.")).to_be_visible()
        first.reload()
        expect(rows(first)).to_have_count(1)
        second.reload()
        expect(second.get_by_text("No action is held.")).to_be_visible()


def test_a_console_that_has_ended_is_told_so(visit: Visitor, stack: MemoryStack) -> None:
    opened(stack, 1)
    with served(stack.account()) as site:
        page = visit(site)
        expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Read now").click()
    expect(page.get_by_role("alert")).to_contain_text("does `usher console` still run?")


def test_every_control_has_a_name_and_every_dialog_a_title(
    visit: Visitor, stack: MemoryStack, site: Site
) -> None:
    opened(stack, 1)
    page = visit(site)
    expect(rows(page)).to_have_count(1)
    nameless = "elements => elements.filter((one) => !one.labels?.length && !one.textContent.trim()).length"
    assert page.locator("button:not(#confirm-yes), select, input").evaluate_all(nameless) == 0
    titles = "dialogs => dialogs.every((one) => document.getElementById(one.getAttribute('aria-labelledby')))"
    assert page.locator("dialog").evaluate_all(titles)
    tree = page.locator("body").aria_snapshot()
    assert re.search(r'table "Open actions, nearest expiry first"', tree)
    assert re.search(r'cell "no signal jobs-finished \(pending\)"', tree)


def test_a_narrow_window_keeps_the_table_a_table(visit: Visitor, stack: MemoryStack, site: Site) -> None:
    opened(stack, 1)
    page = visit(site, width=400)
    expect(rows(page)).to_have_count(1)
    tree = page.locator("#held-table").aria_snapshot()
    assert re.search(r'cell ".*no signal jobs-finished \(pending\)"', tree)


def test_of_five_thousand_actions_fifty_are_shown_and_all_can_be_reached(
    visit: Visitor, stack: MemoryStack, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(MANY):
        opened(stack, number)
    began = perf_counter()
    page = visit(site)
    expect(page.get_by_text("50 of 5,000 open actions, nearest expiry first.")).to_be_visible()
    shown = perf_counter()
    assert rows(page).count() == 50
    page.get_by_role("button", name="Later expiries").click()
    expect(page.get_by_text("51 to 100 of 5,000 open actions")).to_be_visible()
    turned = perf_counter()
    assert rows(page).count() == 50
    page.get_by_label("Find").fill(f"i-{MANY - 1:017x}")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("#story-title")).to_contain_text(f"i-{MANY - 1:017x}")
    found = perf_counter()
    figures = {"opened": shown - began, "next page": turned - shown, "story": found - turned}
    with capsys.disabled():
        told = ", ".join(f"{what} in {seconds * 1000:.0f} ms" for what, seconds in figures.items())
        print(f"\n{MANY:,} open actions: {told}")  # noqa: T201 - a figure to read
