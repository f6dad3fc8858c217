"""The page of `usher replay --report`: its text. tests/browser shows it in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from copy import deepcopy
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from usher_cli import html_report, traffic
from usher_cli.main import main
from usher_cli.report import report
from usher_hooksfile import load
from usher_simulator.replay.replay import Entry, replay

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "usher_cli" / "sample"
HOOKS = SAMPLE / "hooks.yaml"
DAY = str(SAMPLE / "fleet-day.jsonl")
PARTS = ROOT / "usher_cli" / "page"

REPLAYED = replay([entry for entry in traffic.read((DAY,)) if isinstance(entry, Entry)], load.load(HOOKS))
TOLD = report(REPLAYED, [])
PAGE = html_report.page(TOLD, REPLAYED)


class Taken(HTMLParser):
    """A page taken apart: its tags with their attributes, and the text of its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}  # by the type of the script, or "style"
        self._of = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._of = tag if tag == "style" else str(dict(attrs).get("type")) if tag == "script" else ""

    def handle_endtag(self, tag: str) -> None:
        del tag
        self._of = ""

    def handle_data(self, data: str) -> None:
        if self._of:
            self.texts[self._of] = self.texts.get(self._of, "") + data

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.texts["application/json"])
        return found


def test_the_page_holds_the_whole_report() -> None:
    data = Taken(PAGE).data

    for action in data["actions"]:
        del action["heartbeat_timeout_s"], action["default_result"], action["beats"]
    assert data == TOLD


def test_the_page_names_nothing_outside_itself() -> None:
    taken = Taken(PAGE)

    outward = {"src", "href", "srcset", "action", "formaction", "data", "poster", "background", "style"}
    assert [tag for tag, attributes in taken.tags if outward & set(attributes)] == []
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in taken.tags}
    assert re.findall(r"https?:|url\(|@import|\bimport\b|fetch\(|XMLHttp|WebSocket|sendBeacon", PAGE) == []


def test_the_policy_of_the_page_lets_in_its_own_style_and_script_and_nothing_else() -> None:
    taken = Taken(PAGE)
    (policy,) = [attributes["content"] for _, attributes in taken.tags if "http-equiv" in attributes]

    def hashed(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    style, script = hashed(taken.texts["style"]), hashed(taken.texts["module"])
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}';"
        " base-uri 'none'; form-action 'none'"
    )


def test_text_goes_into_the_page_as_text_only() -> None:
    script = Taken(PAGE).texts["module"]

    assert re.findall(r"\w+HTML\b|document\.write|\beval\b|new Function|setAttribute\(\"on", script) == []


hostile = st.one_of(
    st.text(),
    st.sampled_from(
        ["</script>", "<!--<script>", "]]>", "\u2028", "$data", "${data}", "&lt;", "\ud800", "\\"]
    ),
)


@given(reason=hostile, group=hostile, hook=hostile)
def test_any_text_comes_out_as_it_went_in_and_makes_no_tag(reason: str, group: str, hook: str) -> None:
    told = deepcopy(TOLD) | {"rejected": [{"source": hook, "reason": reason}]}
    told["actions"][0] |= {"reason": reason, "group": group, "hook": hook}

    taken = Taken(html_report.page(told, REPLAYED))

    assert taken.tags == Taken(PAGE).tags
    assert taken.data["rejected"] == told["rejected"]
    assert {key: taken.data["actions"][0][key] for key in told["actions"][0]} == told["actions"][0]


def test_every_file_of_the_page_is_in_it() -> None:
    style_and_scripts = [file for file in PARTS.iterdir() if file.suffix != ".html"]

    assert len(style_and_scripts) == 10
    assert all(file.read_text(encoding="utf-8") in PAGE for file in style_and_scripts)


def test_the_margin_at_each_heartbeat_is_what_was_left_since_the_one_before() -> None:
    for action in Taken(PAGE).data["actions"]:
        expected = []
        since = datetime.fromisoformat(action["started_at"])
        for at in (datetime.fromisoformat(beat["at"]) for beat in action["beats"]):
            expires_at = since + timedelta(seconds=action["heartbeat_timeout_s"])
            expected.append((expires_at - at).total_seconds())
            since = at
        assert [beat["to_expiry_s"] for beat in action["beats"]] == pytest.approx(expected, abs=0.002)
        assert len(action["beats"]) == action["heartbeats"]


def test_each_heartbeat_stands_in_the_timeline_at_its_time() -> None:
    for action in Taken(PAGE).data["actions"]:
        in_timeline = [line["at"] for line in action["timeline"] if line["event"] == "heartbeat"]
        assert [beat["at"] for beat in action["beats"]] == in_timeline


def test_the_terms_of_the_hook_stand_beside_each_action() -> None:
    terms = {
        (action["hook"], action["heartbeat_timeout_s"], action["default_result"])
        for action in Taken(PAGE).data["actions"]
    }
    assert ("web-drain", 30, "CONTINUE") in terms


def usher(*arguments: str) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(main, ["replay", DAY, "--hooks", str(HOOKS), *arguments])
    return outcome.exit_code, outcome.stdout, outcome.stderr


def test_the_command_writes_the_page_and_prints_what_it_prints_without(tmp_path: Path) -> None:
    file = tmp_path / "day.html"

    code, stdout, stderr = usher("--json", "--report", str(file))

    assert (code, stdout) == usher("--json")[:2]
    assert stderr == f"Wrote {file}.\n"
    assert Taken(PAGE).data["summary"] == json.loads(stdout)["summary"]
    assert file.read_bytes() == PAGE.encode(), "equal input gives equal bytes"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        pytest.param("nowhere/day.html", "there is no folder", id="no such folder"),
        pytest.param("", "is a directory", id="a folder"),
    ],
)
def test_a_place_that_takes_no_file_is_refused_before_the_replay(
    tmp_path: Path, place: str, said: str
) -> None:
    code, stdout, stderr = usher("--report", str(tmp_path / place))

    assert (code, stdout) == (2, "")
    assert said in stderr


STYLE = "".join((PARTS / name).read_text(encoding="utf-8") for name in ("shared.css", "report.css"))


def colours(scheme: str) -> dict[str, str]:
    """The colours of the style sheet by name, in light or dark."""
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
    return dict(re.findall(r"--(\w+): (#\w{6})", light if scheme == "light" else dark))


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", ["paper", "surface"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_that_says_something_has_the_contrast_of_wcag_aa(scheme: str, ground: str) -> None:
    of = colours(scheme)
    saying = {"text", "quiet", "CONTINUE", "ABANDON", "ended_elsewhere", "defaulted", "open", "focus"}

    assert {
        name: contrast(of[name], of[ground]) for name in saying if contrast(of[name], of[ground]) < 4.5
    } == {}
    assert contrast(of["edge"], of[ground]) >= 3
