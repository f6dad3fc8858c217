"""What the console shows and does: as the commands do, bounded, and refused in the same words."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.console_site import opened, served
from tests.factories import a_policy, at
from tests.memory_account import CALLER, Clients, MemoryStack
from tests.unit.test_account import Deployed, cloud, deployed
from tests.unit.test_apply import YES, Stack, a_file, file
from tests.unit.test_console_door import NothingRetained
from usher.core.action import Outcome, Phase, Result
from usher.ports.errors import Denied
from usher_cli.account import Place, Trouble, open_account
from usher_cli.console.live import INTERVAL, LiveActions
from usher_cli.console.reads import ROWS, Reads
from usher_cli.console.units import ReadUnits
from usher_cli.listing import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.console_site import Site
    from usher.core.action import Action
    from usher.ports.records import Raw

__all__ = ["cloud", "deployed", "file"]  # fixtures

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "usher_cli" / "console" / "page"
INSTANCE: Final = "i-0f0e0d0c0b0a09080"
WHY: Final = {"id": "action-1", "reason": "ticket 7"}
ACTS: Final[dict[str, dict[str, Any]]] = {
    "hold": WHY,
    "unhold": WHY,
    "extend": WHY | {"by": "30m"},
    "complete": WHY | {"result": "CONTINUE"},
    "signal": WHY | {"signal": "jobs-finished", "status": "done"},
}


class Denying(NothingRetained):
    """What may be read but not changed: queue, bus and Auto Scaling say so."""

    def put_events(self, **entries: Any) -> dict[str, Any]:
        del entries
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutEvents")


@pytest.fixture
def stack() -> MemoryStack:
    return MemoryStack(services={"autoscaling": NothingRetained()})


@pytest.fixture
def site(stack: MemoryStack) -> Iterator[Site]:
    with served(stack.account()) as site:
        site.enter()
        yield site


def timeline(stack: MemoryStack) -> list[str]:
    return [line.detail for line in stack.records.timeline("action-1")]


# What it shows


def test_what_is_held_is_what_the_command_lists(stack: MemoryStack, site: Site) -> None:
    stack.opened()
    page = site.get("/api/open").json
    listed = stack.json("list")
    assert listed["actions"][0].items() <= page["actions"][0].items()
    assert listed["open"] == page["open"] == 1
    assert page["actions"][0]["waits_for"] == "no signal jobs-finished (pending)"


def test_of_five_thousand_a_page_has_fifty_and_the_last_can_be_reached(
    stack: MemoryStack, site: Site
) -> None:
    for number in range(5000):
        opened(stack, number)
    page = site.get("/api/open").json
    assert (page["open"], len(page["actions"]), page["more"]) == (5000, ROWS, True)
    assert page["actions"][0]["id"] == "action-0"
    last = site.get("/api/open?first=4950").json
    assert [action["id"] for action in last["actions"]] == [
        f"action-{number}" for number in range(4950, 5000)
    ]
    assert last["more"] is False


def test_a_selection_is_by_group_and_hook(stack: MemoryStack, site: Site) -> None:
    stack.opened()
    assert len(site.get("/api/open?group=workers-*").json["actions"]) == 1
    assert site.get("/api/open?hook=other").json["actions"] == []


@pytest.mark.parametrize("first", ["-1", "x", "1e3", "100001"])
def test_a_place_in_the_list_is_a_number(site: Site, first: str) -> None:
    answer = site.get(f"/api/open?first={first}")
    assert (answer.status, "first must be" in answer.error) == (400, True)


@pytest.mark.parametrize("of", ["action-1", INSTANCE, "c613620e-07e2-4ed2-a9e2-ef8258911ade"])
def test_the_story_is_told_by_action_instance_and_token(stack: MemoryStack, site: Site, of: str) -> None:
    stack.opened()
    story = site.get(f"/api/story?of={of}").json
    assert (story["action"]["id"], story["story"]["instance_id"]) == ("action-1", INSTANCE)
    assert story["action"]["signals"] == ["jobs-finished"]


def test_the_story_of_an_instance_is_of_its_open_action_and_names_the_others(
    stack: MemoryStack, site: Site
) -> None:
    closed = {
        "phase": Phase.CLOSED,
        "evaluate_at": None,
        "closed_at": at(9),
        "outcome": Outcome.ENDED_ELSEWHERE,
    }
    stack.opened(id="before", token="before", **closed)
    stack.opened(started_at=at(60))
    story = site.get(f"/api/story?of={INSTANCE}").json
    assert story["action"]["id"] == "action-1"
    assert [(other["id"], other["end"]) for other in story["others"]] == [("before", "ended_elsewhere")]


def test_the_story_of_an_instance_is_not_of_a_closed_action_where_a_record_cannot_be_read(
    stack: MemoryStack, site: Site
) -> None:
    closed = {
        "phase": Phase.CLOSED,
        "evaluate_at": None,
        "closed_at": at(9),
        "outcome": Outcome.ENDED_ELSEWHERE,
    }
    stack.opened(id="before", token="before", **closed)
    stack.opened(started_at=at(60))
    stack.records.unreadable = frozenset({"action-1"})
    answer = site.get(f"/api/story?of={INSTANCE}")
    assert (answer.status, f"Cannot read a record of {INSTANCE}" in answer.error) == (400, True)
    assert site.get("/api/story?of=before").json["action"]["id"] == "before"


@pytest.mark.parametrize(
    ("of", "said"), [("", "is empty"), ("i-9", "no record of i-9"), ("%3Cscript%3E", "no record of <script>")]
)
def test_a_story_that_is_not_there_is_told_so(site: Site, of: str, said: str) -> None:
    answer = site.get(f"/api/story?of={of}")
    assert (answer.status, said in answer.error) == (400, True)


def test_the_history_is_that_of_the_command(stack: MemoryStack, site: Site) -> None:
    end = {"phase": Phase.CLOSED, "evaluate_at": None, "closed_at": at(-60), "outcome": Outcome.DEFAULTED}
    stack.opened(started_at=at(-90), **end)
    page = site.get("/api/history?from=1h&outcome=defaulted").json
    assert page["actions"] == stack.json("history", "--from", "1h")["actions"]
    assert site.get("/api/history?result=CONTINUE").json["actions"] == []


@pytest.mark.parametrize("query", ["from=yesterday", "from=1h&to=2h", "limit=501"])
def test_a_history_that_cannot_be_meant_is_refused(site: Site, query: str) -> None:
    assert site.get(f"/api/history?{query}").status == 400


def test_nothing_is_retained_and_nothing_was_applied(site: Site) -> None:
    assert site.get("/api/retained").json["retained"] == []
    config = site.get("/api/config").json
    assert (config["in_effect"], config["written"], config["versions"]) == (None, None, [])


def test_the_configuration_is_the_version_in_effect_as_it_was_written(file: Path) -> None:
    stack = Stack("web")
    text = f"# ours\n{a_file()}"
    for written in (a_file("until: [elapsed: 1m]"), text):
        file.write_text(written, encoding="utf-8")
        assert stack.usher("apply", *YES).exit_code == 0
        stack.now += timedelta(minutes=5)
        stack.sweep()
    with served(stack.account()) as site:
        site.enter()
        config = site.get("/api/config").json
    assert (config["in_effect"], config["written"]) == (2, text)
    assert [(each["version"], each["status"]) for each in config["versions"]] == [
        (2, "in effect"),
        (1, "past"),
    ]
    assert config["enrolled"] == [{"group": "web", "hook": "gate", "state": "wanted"}]


# What it does


def test_a_hold_is_stored_with_who_and_why_and_woken(stack: MemoryStack, site: Site) -> None:
    stack.opened(evaluate_at=at(1000))
    told = site.post("/api/hold", ACTS["hold"]).json
    assert told["done"].startswith(f"Held: {INSTANCE}")
    assert timeline(stack) == [f"{CALLER}: hold: ticket 7"]
    assert [body["action_id"] for body in stack.wake_ups()] == ["action-1"]
    assert site.post("/api/unhold", ACTS["unhold"]).status == 200
    assert stack.loaded().operator_hold is None


def test_an_extension_a_signal_and_a_result_are_those_of_the_commands(stack: MemoryStack, site: Site) -> None:
    stack.opened(policy=a_policy(give_up_after="45m"))
    assert site.post("/api/extend", ACTS["extend"]).status == 200
    assert stack.loaded().give_up_at == at(75 * 60)
    assert site.post("/api/signal", ACTS["signal"]).status == 200
    detail = json.loads(stack.clients.events[0]["Detail"])
    assert (detail["Signal"], detail["Message"]) == ("jobs-finished", f"{CALLER}: ticket 7")
    assert site.post("/api/complete", ACTS["complete"]).status == 200
    assert stack.loaded().operator_result == Result.CONTINUE


@pytest.mark.parametrize(
    ("act", "body", "said"),
    [
        pytest.param("hold", {"id": "action-1"}, "reason must be a text", id="no reason"),
        pytest.param("hold", {"id": "action-1", "reason": " "}, "reason must be a text", id="a blank one"),
        pytest.param("hold", WHY | {"reason": "x" * 501}, "1 to 500 characters", id="a long one"),
        pytest.param("hold", WHY | {"reason": "a\x1b[2J"}, "no control characters", id="an escape"),
        pytest.param("hold", WHY | {"reason": 7}, "reason must be a text", id="a number"),
        pytest.param("hold", {"reason": "x"}, "id must be a text", id="no action"),
        pytest.param("hold", WHY | {"id": "action-9"}, "no record of action-9", id="an unknown one"),
        pytest.param("hold", WHY | {"id": INSTANCE}, "Give the ID of the action", id="an instance"),
        pytest.param("extend", WHY, "by must be a text", id="no duration"),
        pytest.param("extend", WHY | {"by": "soon"}, "soon", id="a wrong one"),
        pytest.param("extend", WHY | {"by": "72h"}, "just before the global timeout", id="beyond the limit"),
        pytest.param("complete", WHY, "result must be a text", id="no result"),
        pytest.param("complete", WHY | {"result": "END"}, "one of CONTINUE, ABANDON", id="a wrong result"),
        pytest.param("signal", WHY | {"status": "done", "signal": "x"}, "does not wait for", id="a signal"),
        pytest.param("signal", WHY | {"status": "ok", "signal": "x"}, "one of done", id="a status"),
        pytest.param("release", {"reason": "x"}, "instance_id must be a text", id="no instance"),
        pytest.param(
            "release", {"reason": "x", "instance_id": "i-1"}, "knows no instance", id="not retained"
        ),
        pytest.param("hold", ["action-1"], "must be a text", id="no object"),
        pytest.param("hold", None, "must be a text", id="nothing"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words_and_changes_nothing(
    stack: MemoryStack, site: Site, act: str, body: Any, said: str
) -> None:
    stack.opened()
    answer = site.post(f"/api/{act}", body)
    assert answer.status == 400
    assert said in answer.error
    assert (timeline(stack), stack.clients.sent, stack.clients.events) == ([], [], [])


def test_of_two_orders_the_first_counts(stack: MemoryStack, site: Site) -> None:
    stack.opened()
    assert site.post("/api/complete", ACTS["complete"]).status == 200
    second = site.post("/api/complete", WHY | {"result": "ABANDON"})
    assert (second.status, "has already been requested by" in second.error) == (400, True)
    assert stack.loaded().operator_result == Result.CONTINUE


def test_a_read_only_console_changes_nothing(stack: MemoryStack) -> None:
    stack.opened()
    with served(stack.account(), read_only=True) as site:
        site.enter()
        assert site.get("/api/about").json["read_only"] is True
        for act in site.get("/api/about").json["acts"]:
            answer = site.post(f"/api/{act}", ACTS.get(act, WHY))
            assert (answer.status, "read-only" in answer.error) == (403, True), act
        assert site.get("/api/open").json["open"] == 1
    assert (timeline(stack), stack.clients.sent, stack.clients.events) == ([], [], [])


def test_a_missing_right_is_told_as_one(stack: MemoryStack) -> None:
    stack.clients = Denying()
    stack.opened()
    with served(stack.account()) as site:
        site.enter()
        answer = site.post("/api/signal", ACTS["signal"])
        assert (answer.status, answer.json["denied"]) == (403, True)
        assert "Not permitted (PutEvents: no)" in answer.error
        assert site.post("/api/hold", ACTS["hold"]).status == 200


def test_a_table_that_denies_writing_is_told_so() -> None:
    class ReadOnlyStore(type(MemoryStack().records)):  # type: ignore[misc]
        def save(self, action: Action, *, raw: Raw | None = None) -> None:
            del action, raw
            answer = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
            raise Denied("the table") from ClientError(answer, "PutItem")

    stack = MemoryStack(services={"autoscaling": NothingRetained()})
    stack.records = ReadOnlyStore(lambda: stack.now)
    stack.opened()
    with served(stack.account()) as site:
        site.enter()
        answer = site.post("/api/hold", ACTS["hold"])
    assert (answer.status, answer.json["denied"]) == (403, True)


def test_what_was_changed_is_seen_at_once(stack: MemoryStack, site: Site) -> None:
    stack.opened()
    assert site.get("/api/open").json["actions"][0]["state"] == "waiting"
    site.post("/api/hold", ACTS["hold"])
    assert site.get("/api/open").json["actions"][0]["state"] == "held"


# What it reads


def test_pages_that_poll_share_one_reading_in_each_interval(stack: MemoryStack) -> None:
    stack.opened()
    live = LiveActions(stack.account(), ReadUnits(60, lambda: stack.now))
    everything = Selection(group=None, hook=None, limit=ROWS)
    first = live.page(everything)
    opened(stack, 2)
    assert live.page(everything)["open"] == first["open"] == 1
    assert first["next_in_s"] == INTERVAL.total_seconds()
    stack.now += INTERVAL
    assert live.page(everything)["open"] == 2


def test_what_has_no_units_left_is_shown_as_it_was_and_read_when_there_are_some(stack: MemoryStack) -> None:
    stack.opened()
    units = ReadUnits(60, lambda: stack.now)
    live = LiveActions(stack.account(), units)
    everything = Selection(group=None, hook=None, limit=ROWS)
    live.page(everything)
    units.used(60 + 10)  # ten more than there are: ten seconds
    opened(stack, 2)
    stack.now += timedelta(seconds=9)
    assert (live.page(everything)["open"], live.page(everything)["next_in_s"]) == (1, 1)
    with pytest.raises(Trouble, match="reads at most 60 units a minute: again in 2s"):
        live.page(Selection(group="workers-*", hook=None, limit=ROWS))
    stack.now += timedelta(seconds=1)
    assert live.page(everything)["open"] == 2


def test_a_story_is_not_read_again_by_itself_without_units(stack: MemoryStack) -> None:
    stack.opened()
    units = ReadUnits(60, lambda: stack.now)
    reads = Reads(stack.account(), LiveActions(stack.account(), units), units)
    by_itself = {"of": "action-1", "again": "1"}
    assert "story" in reads.story(by_itself)
    units.used(61)
    assert reads.story(by_itself) == {"later": True}
    assert "story" in reads.story({"of": "action-1"})


def test_units_fill_up_to_a_minutes_worth_and_no_clock_that_goes_back_takes_any() -> None:
    now = [at(0)]
    units = ReadUnits(60, lambda: now[0])
    now[0] = at(3600)
    units.used(61)
    assert units.wait() == timedelta(seconds=1)
    now[0] = at(3500)
    assert units.wait() == timedelta(seconds=1)
    assert units.total == 61


def test_units_are_counted_as_dynamodb_tells_them(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    deployed.opened()
    account = open_account(Place(region="eu-west-1", stack=deployed.stack), deployed.machine())
    with served(account) as site:
        site.enter()
        page = site.get("/api/open").json
        story = site.get("/api/story?of=action-1").json
    assert page["units"] == page["read_units"] > 0
    assert story["read_units"] > page["read_units"]


# Its page


def test_text_goes_into_the_page_as_text_only() -> None:
    script = "".join(file.read_text(encoding="utf-8") for file in PAGE.glob("*.js"))
    assert re.findall(r"\w+HTML\b|document\.write|\beval\b|new Function|setAttribute\(\"on", script) == []


def test_the_page_has_no_inline_script_style_or_address_elsewhere(site: Site) -> None:
    page = (PAGE / "console.html").read_text(encoding="utf-8")
    assert site.get("/").body.decode() == page
    assert re.findall(r"<style|style=|\son\w+=|https?:", page) == []
    assert re.findall(r"<script(.*?)>(.*?)</script>", page) == [(' type="module" src="/console.js"', "")]


def test_every_file_of_the_page_is_served(site: Site) -> None:
    told = {".js": site.get("/console.js"), ".css": site.get("/console.css")}
    for part in PAGE.iterdir():
        assert part.suffix == ".html" or part.read_text(encoding="utf-8") in told[part.suffix].body.decode()
    assert told[".js"].headers["content-type"].startswith("text/javascript")
    assert told[".css"].headers["content-type"].startswith("text/css")


# The command


def test_the_command_refuses_a_port_that_is_used(stack: MemoryStack, site: Site) -> None:
    outcome = stack.usher("console", "--no-open", "--port", str(site.port))
    assert outcome.exit_code == 2
    assert f"Port {site.port} cannot be used: Address already in use" in outcome.stderr


def test_what_is_wrong_with_the_credentials_is_told_before_it_serves(stack: MemoryStack) -> None:
    class Unknown(Clients):
        def get_caller_identity(self) -> dict[str, str]:
            raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "old"}}, "GetCallerIdentity")

    stack.clients = Unknown()
    outcome = stack.usher("console", "--no-open")
    assert outcome.exit_code == 2
    assert "The AWS session has expired" in outcome.stderr


def test_neither_the_console_nor_a_command_sends_a_result_itself() -> None:
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "usher_cli").rglob("*.py")]
    assert len(sources) > 80
    assert [text for text in sources if "complete_lifecycle_action(" in text] == []
