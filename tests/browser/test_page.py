"""The page of `usher replay --report`, as someone uses it in a browser."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from math import floor
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from usher_cli import html_report, traffic
from usher_cli.report import report
from usher_hooksfile import load
from usher_simulator.replay.fleet_day import write_day
from usher_simulator.replay.replay import Entry, replay

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from tests.browser.conftest import Opener

SAMPLE = Path(__file__).parents[2] / "usher_cli" / "sample"
MANY = 5_000
FITS_FILTER: dict[str, Callable[[dict[str, Any]], str]] = {
    "group": lambda action: action["group"],
    "hook": lambda action: action["hook"],
    "outcome": lambda action: action["outcome"],
    "result": lambda action: action["result"] or "none",
}
TOTALS: dict[str, Callable[[dict[str, Any]], int]] = {
    "Actions": lambda told: told["summary"]["actions"],
    "Heartbeats": lambda told: told["summary"]["heartbeats"],
    "Got the default result": lambda told: told["summary"]["defaulted"],
    "CONTINUE": lambda told: ended(told, "result", "CONTINUE"),
    "ABANDON": lambda told: ended(told, "result", "ABANDON"),
    "Ended elsewhere": lambda told: ended(told, "outcome", "ended_elsewhere"),
}
FREE_TEXT = ("group", "hook", "policy", "reason", "instance_id", "token")
BARS_INKED = """() => {
  const bars = document.getElementById("bars");
  const { data } = bars.getContext("2d").getImageData(0, 0, bars.width, bars.height);
  const inked = new Set();
  for (let byte = 0; byte < data.length; byte += 4) {
    const [red, green, blue, opacity] = data.slice(byte, byte + 4);
    if (opacity === 255 && green > red + 40) inked.add(Math.floor(byte / 4 / bars.width / 28));
  }
  return [...inked];
}"""


def ended(told: dict[str, Any], key: str, value: str) -> int:
    return sum(action[key] == value for action in told["actions"])


def written(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> dict[str, Any]:
    """Write the page of the recorded day, with changed text, to `folder`/day.html; return its data."""
    entries = [
        entry for entry in traffic.read((str(SAMPLE / "fleet-day.jsonl"),)) if isinstance(entry, Entry)
    ]
    replayed = replay(entries, load.load(SAMPLE / "hooks.yaml"))
    told = report(replayed, [])
    change(told)
    (folder / "day.html").write_text(html_report.page(told, replayed), encoding="utf-8")
    return told


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    return written(folder)


@pytest.fixture
def day(show: Opener, folder: Path, told: dict[str, Any]) -> Page:
    del told  # it is written by now
    return show(folder / "day.html")


def rows_of(page: Page, *, selected: bool | None = None) -> Locator:
    """The rows of the timeline that are in the page."""
    return page.get_by_role("listbox", name="Held instances").get_by_role("option", selected=selected)


def shown_span(page: Page) -> tuple[datetime, datetime]:
    """The hours that the timeline shows, once it is drawn."""
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    first, last = (page.text_content("#span") or "").removesuffix(" UTC").split(" to ")
    return datetime.fromisoformat(f"{first}Z"), datetime.fromisoformat(f"{last}Z")


def length(page: Page) -> timedelta:
    first, last = shown_span(page)
    return last - first


@pytest.mark.parametrize("total", TOTALS)
def test_the_totals_are_those_of_the_json(day: Page, told: dict[str, Any], total: str) -> None:
    tile = day.locator("#totals > div").filter(has=day.get_by_text(total, exact=True))

    expect(tile.locator("dd")).to_have_text(f"{TOTALS[total](told):,}")


def test_each_action_has_a_row_whose_name_says_what_became_of_it(day: Page, told: dict[str, Any]) -> None:
    names = rows_of(day).evaluate_all("rows => rows.map((row) => row.getAttribute('aria-label'))")

    for name, action in zip(names, told["actions"], strict=True):
        assert name.startswith(f"{action['instance_id']} {action['hook']} · {action['group']}, ")
        assert f"completed with {action['result']}" in name
        assert re.search(rf"\b{action['heartbeats']} heartbeat", name)


def test_each_wait_is_drawn_in_its_row(day: Page, told: dict[str, Any]) -> None:
    released = {index for index, action in enumerate(told["actions"]) if action["result"] == "CONTINUE"}
    shown_span(day)

    assert set(day.evaluate(BARS_INKED)) == released


def test_the_table_says_the_same_as_the_timeline(day: Page, told: dict[str, Any]) -> None:
    rows = day.locator("#table tbody tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )

    for row, action in zip(rows, told["actions"], strict=True):
        assert row[:3] == [action["instance_id"], action["group"], action["hook"]]
        assert (row[5], row[8]) == (str(action["heartbeats"]), action["reason"])


@pytest.mark.parametrize("field", FITS_FILTER)
def test_a_filter_leaves_exactly_what_fits(day: Page, told: dict[str, Any], field: str) -> None:
    values = [FITS_FILTER[field](action) for action in told["actions"]]
    select = day.locator(f"select[name={field}]")
    assert select.locator("option").all_text_contents() == ["all", *sorted(set(values))]

    for value in sorted(set(values)):
        select.select_option(value)
        fitting = values.count(value)
        expect(day.get_by_role("status").first).to_have_text(f"{fitting} of {len(values)} actions shown.")
        expect(rows_of(day)).to_have_count(fitting)
        expect(day.locator("#table tbody tr")).to_have_count(fitting)


def test_free_text_finds_what_was_said_and_show_all_takes_it_back(day: Page, told: dict[str, Any]) -> None:
    day.get_by_label("Text").fill("Package MIRROR")
    expect(rows_of(day)).to_have_count(1)
    expect(rows_of(day)).to_contain_text(
        next(action["instance_id"] for action in told["actions"] if "package mirror" in action["reason"])
    )

    day.get_by_label("Text").fill("nothing says this")
    expect(day.get_by_role("status").first).to_have_text("0 of 15 actions shown.")
    expect(day.locator("#span")).to_have_text("No action to show.")

    day.get_by_role("button", name="Show all").click()
    expect(rows_of(day)).to_have_count(len(told["actions"]))


@pytest.mark.parametrize(
    ("order", "first"),
    [
        pytest.param("longest wait first", "3h30m", id="longest wait"),
        pytest.param("smallest margin first", "1m30s", id="smallest margin"),
    ],
)
def test_the_order_brings_what_matters_to_the_top(day: Page, order: str, first: str) -> None:
    day.get_by_label("Order").select_option(label=order)

    expect(day.locator("#table tbody tr").first.locator("td").nth(4)).to_have_text(first)


def test_a_story_is_opened_read_and_closed_by_keyboard_alone(day: Page, told: dict[str, Any]) -> None:
    day.get_by_role("button", name="Everything").focus()
    day.keyboard.press("Tab")
    day.keyboard.press("ArrowDown")
    day.keyboard.press("Enter")

    action = told["actions"][1]
    story = day.get_by_role("dialog")
    expect(story.get_by_role("heading")).to_be_focused()
    expect(story.get_by_role("heading")).to_have_text(f"{action['instance_id']}: completed with CONTINUE")
    lines = story.locator("tbody tr").evaluate_all(
        "rows => rows.map((row) => [0, 2, 3].map((place) => row.cells[place].textContent))"
    )
    assert lines == [
        [line["at"].replace("T", " ").removesuffix("Z"), line["event"], line["detail"]]
        for line in action["timeline"]
    ]

    day.keyboard.press("Escape")
    expect(story).to_be_hidden()
    expect(rows_of(day).nth(1)).to_be_focused()


def test_a_story_shows_the_margin_at_each_of_its_heartbeats(day: Page, told: dict[str, Any]) -> None:
    rows_of(day).nth(1).click()

    margins = day.locator("#story-table tbody tr td:last-child").all_text_contents()
    beats = json.loads(day.text_content("#data") or "")["actions"][1]["beats"]
    assert len(beats) == told["actions"][1]["heartbeats"] == 4
    assert [margin for margin in margins if margin] == [
        f"{floor(beat['to_expiry_s'] * 10) / 10:g}s" for beat in beats
    ]


def test_from_one_story_the_next_one_is_a_button_away(day: Page, told: dict[str, Any]) -> None:
    day.locator("#table").get_by_role("button", name=told["actions"][0]["instance_id"]).click()
    story = day.get_by_role("dialog")
    expect(story.get_by_role("button", name="Previous")).to_be_disabled()

    story.get_by_role("button", name="Next").click()

    expect(story.get_by_role("heading")).to_contain_text(told["actions"][1]["instance_id"])
    story.get_by_role("button", name="Close").click()
    expect(story).to_be_hidden()


def test_the_keys_of_the_timeline_reach_both_of_its_ends(day: Page, told: dict[str, Any]) -> None:
    rows_of(day).first.focus()
    day.keyboard.press("End")
    expect(rows_of(day, selected=True)).to_contain_text(told["actions"][-1]["instance_id"])
    expect(rows_of(day, selected=True)).to_be_focused()
    day.keyboard.press("Home")
    expect(rows_of(day, selected=True)).to_contain_text(told["actions"][0]["instance_id"])


def test_zoom_and_pan_by_button_key_wheel_and_drag(day: Page) -> None:
    everything = shown_span(day)
    day.get_by_role("button", name="Zoom in").click()
    assert length(day) < (everything[1] - everything[0]) * 0.51

    half = shown_span(day)
    rows_of(day).first.focus()
    day.keyboard.press("ArrowLeft")
    assert shown_span(day)[0] < half[0]
    day.keyboard.press("+")
    quarter = length(day)
    assert quarter < (half[1] - half[0]) * 0.51

    day.locator("#axis").hover()
    day.mouse.wheel(0, -100)
    assert length(day) < quarter

    before = shown_span(day)
    rows_of(day).nth(3).hover()
    day.mouse.down()
    day.mouse.move(300, 300, steps=5)
    day.mouse.up()
    assert shown_span(day)[0] > before[0]
    expect(day.get_by_role("dialog")).to_be_hidden()

    day.keyboard.press("0")
    assert shown_span(day) == everything


def test_a_row_is_fitted_into_the_timeline(day: Page, told: dict[str, Any]) -> None:
    rows_of(day).first.focus()
    day.keyboard.press("f")

    first, last = shown_span(day)
    started, closed = (datetime.fromisoformat(told["actions"][0][key]) for key in ("started_at", "closed_at"))
    assert first < started < closed < last
    assert last - first < 2 * (closed - started)


def test_the_histogram_of_each_hook_counts_its_actions(day: Page, told: dict[str, Any]) -> None:
    for hook in {action["hook"] for action in told["actions"]}:
        numbers = day.get_by_role("table", name=f"Waits of {hook}").locator("td.number").all_text_contents()
        assert sum(map(int, numbers)) == ended(told, "hook", hook)


def test_the_margins_count_every_heartbeat_of_a_hook(day: Page, told: dict[str, Any]) -> None:
    for row in day.locator("#margin-table tbody tr").all():
        hook = row.get_by_role("rowheader").text_content()
        beats = sum(action["heartbeats"] for action in told["actions"] if action["hook"] == hook)
        expect(row.locator("td").nth(1)).to_have_text(str(beats))


def test_every_control_has_a_name_and_every_canvas_another_form(day: Page) -> None:
    nameless = "elements => elements.filter((one) => !one.labels?.length && !one.textContent.trim()).length"
    assert day.locator("button, select, input").evaluate_all(nameless) == 0
    assert day.locator("canvas:not([aria-hidden=true])").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(
    show: Opener, folder: Path, told: dict[str, Any], width: int, scheme: str
) -> None:
    del told
    page = show(folder / "day.html", width=width, scheme=scheme)
    rows_of(page).first.click()

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.getElementById('story').scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


def test_hostile_text_is_shown_and_does_nothing(show: Opener, tmp_path: Path) -> None:
    hostile = "</script><img src=x onerror=alert(1)><script>alert(2)</script>&lt;b&gt;\u2028'\"`${1}"

    def poison(told: dict[str, Any]) -> None:
        for action in told["actions"]:
            action.update(dict.fromkeys(FREE_TEXT, hostile))
            for line in action["timeline"]:
                line["detail"] = hostile
        told["rejected"].append({"source": hostile, "reason": hostile})

    written(tmp_path, poison)
    page = show(tmp_path / "day.html")
    rows_of(page).first.click()

    expect(page.locator("#story-table tbody td").nth(3)).to_have_text(hostile)
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2  # the data and what shows it
    assert page.locator("select[name=group] option").nth(1).text_content() == hostile


def test_a_replay_without_an_action_is_shown_as_that(show: Opener, tmp_path: Path) -> None:
    replayed = replay([], load.load(SAMPLE / "hooks.yaml"))
    (tmp_path / "none.html").write_text(html_report.page(report(replayed, []), replayed), encoding="utf-8")

    page = show(tmp_path / "none.html")

    expect(page.locator("#received")).to_have_text("0 messages.")
    expect(page.locator("#span")).to_have_text("No action to show.")
    expect(page.get_by_role("status").first).to_have_text("0 of 0 actions shown.")


def many(count: int) -> list[Entry]:
    """The lifecycle messages of so many actions of one hook, one each 17 seconds."""
    bodies = [json.loads(line)["body"] for line in write_day().splitlines()]
    pattern = next(body for body in bodies if body.get("LifecycleHookName") == "web-drain")
    began = datetime.fromisoformat(pattern["Time"])
    entries = []
    for number in range(count):
        own = {
            "Time": (began + timedelta(seconds=17 * number)).isoformat().replace("+00:00", "Z"),
            "LifecycleActionToken": f"00000000-0000-4000-8000-{number:012x}",
            "EC2InstanceId": f"i-{number:017x}",
        }
        entries.append(Entry(source=f"many:{number}", received_at=None, body=json.dumps(pattern | own)))
    return entries


@pytest.fixture(scope="module")
def many_file(folder: Path) -> Path:
    replayed = replay(many(MANY), load.load(SAMPLE / "hooks.yaml"))
    file = folder / "many.html"
    file.write_text(html_report.page(report(replayed, []), replayed), encoding="utf-8")
    return file


def test_of_five_thousand_actions_only_those_in_view_have_a_row(show: Opener, many_file: Path) -> None:
    page = show(many_file)
    expect(page.get_by_role("status").first).to_have_text("5,000 of 5,000 actions shown.")
    assert rows_of(page).count() < 50

    rows_of(page).first.focus()
    page.keyboard.press("End")

    chosen = rows_of(page, selected=True)
    expect(chosen).to_contain_text(f"i-{MANY - 1:017x}")
    expect(chosen).to_have_attribute("aria-posinset", str(MANY))
    assert rows_of(page).count() < 50


def test_how_long_five_thousand_actions_take_is_printed(
    show: Opener, many_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began = perf_counter()
    page = show(many_file)
    shown_span(page)
    opened = perf_counter()
    page.get_by_label("Text").fill(f"i-{MANY // 2:017x}")
    expect(rows_of(page)).to_have_count(1)
    filtered = perf_counter()
    page.get_by_role("button", name="Show all").click()
    shown_span(page)
    all_shown = perf_counter()
    for _ in range(20):
        page.get_by_role("button", name="Zoom in").press("Enter")
        shown_span(page)
    zoomed = perf_counter()

    size_mb = many_file.stat().st_size / 1e6
    spans = {"opened": opened - began, "filtered": filtered - opened, "all shown again": all_shown - filtered}
    spans["zoomed and drawn"] = (zoomed - all_shown) / 20
    figures = ", ".join(f"{what} in {seconds * 1000:.0f} ms" for what, seconds in spans.items())
    with capsys.disabled():
        print(f"\n{MANY:,} actions, {size_mb:.1f} MB: {figures}")  # noqa: T201 - a figure to read
