from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tests.conditions import ASKED
from usher.core import conditions
from usher.core.configuration import FILE
from usher.core.configuration.conflicts import MOST_HOOKS_OF_A_GROUP
from usher.core.configuration.hooks import HOOK
from usher.core.configuration.rules import WHEN
from usher.core.policies import POLICY
from usher_cli.fleet import file as fleet_file
from usher_cli.main import main
from usher_hooksfile import load, size

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def found_in_pages(pattern: str) -> list[tuple[Path, str]]:
    """Each thing of that pattern in the pages, with its page."""
    compiled = re.compile(pattern, re.DOTALL | re.MULTILINE)
    return [(page, thing) for page in PAGES for thing in compiled.findall(page.read_text(encoding="utf-8"))]


YAML_FILES = [
    (page, block) for page, block in found_in_pages(r"^```yaml\n(.*?)^```$") if "version: 1" in block
]
FLEET_FILES = [block for _, block in YAML_FILES if "\naccounts:" in block]
HOOKS_FILES = [(page, block) for page, block in YAML_FILES if block not in FLEET_FILES]
REPLAYS = found_in_pages(r"^```text\n\$ usher (replay (?:events/|--sample).*?)^```$")
LINKS = [(page, link) for page, link in found_in_pages(r"\]\(([^)\s]+)\)") if "://" not in link]


def of(page: Path, thing: str) -> str:
    return f"{page.name}: {thing}"


@pytest.mark.parametrize("name", ["README.md", "configuration.md"])
def test_the_page_shows_a_hooks_file_and_has_links(name: str) -> None:
    assert name in {page.name for page, _ in HOOKS_FILES}
    assert name in {page.name for page, _ in LINKS}


@pytest.mark.parametrize("block", [pytest.param(block, id=page.name) for page, block in HOOKS_FILES])
def test_a_hooks_file_that_the_docs_show_is_sound(block: str, tmp_path: Path) -> None:
    file = tmp_path / "hooks.yaml"
    file.write_text(block, encoding="utf-8")

    assert load.load(file).hooks


def test_a_fleet_file_that_the_docs_show_is_sound(tmp_path: Path) -> None:
    assert FLEET_FILES
    for block in FLEET_FILES:
        file = tmp_path / "fleet.yaml"
        file.write_text(block, encoding="utf-8")
        assert fleet_file.read(file).accounts


@pytest.mark.parametrize("sample", [pytest.param(sample, id=page.name) for page, sample in REPLAYS])
def test_a_replay_that_the_docs_show_prints_what_they_show(
    sample: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    command, _, shown = sample.partition("\n")

    assert shown in CliRunner().invoke(main, shlex.split(command)).stdout


def test_make_demo_is_the_replay_that_the_readme_shows() -> None:
    (command,) = [sample.splitlines()[0] for page, sample in REPLAYS if page.name == "README.md"]
    assert f"/usher {command}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    headings_of_it = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert re.fullmatch(rf"{re.escape(version)}, (not released yet|\d{{4}}-\d\d-\d\d)", headings_of_it[0])


def exit_codes(text: str, row: str) -> set[str]:
    return set(re.findall(row, text, re.MULTILINE))


def test_the_page_on_replay_has_each_exit_code_of_its_help() -> None:
    page = (ROOT / "docs" / "replay.md").read_text(encoding="utf-8")
    told = exit_codes(CliRunner().invoke(main, ["replay", "--help"]).stdout, r"^ +(\d) {2}\w")
    assert told == exit_codes(page, r"^\| (\d) \|") == {"0", "1", "2", "3"}


@pytest.mark.parametrize("page", ["README.md", "docs/local-account.md"])
@pytest.mark.parametrize("command", ["list", "show", "signal"])
def test_the_page_says_how_usher_speaks_to_a_local_account(page: str, command: str) -> None:
    _, exported, after = (ROOT / page).read_text(encoding="utf-8").partition("export AWS_ENDPOINT_URL=")
    assert exported
    assert f"usher {command}" in after


@pytest.mark.parametrize(("page", "link"), [pytest.param(*link, id=of(*link)) for link in LINKS])
def test_a_link_between_the_docs_leads_somewhere(page: Path, link: str) -> None:
    path, _, heading = link.partition("#")
    target = page.parent / path if path else page

    assert target.exists()
    assert not heading or heading in headings(target)


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in found}


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ("The file", FILE.of),
        ("Policies", POLICY.of),
        ("Conditions", conditions.KINDS),
        ("Hooks", HOOK.of),
        ("Rules", WHEN),
    ],
)
def test_the_reference_has_a_row_for_every_key_and_for_no_other(section: str, keys: Iterable[str]) -> None:
    text = CONFIGURATION.partition(f"\n## {section}\n")[2].partition("\n## ")[0]

    assert sorted(re.findall(r"^\| `(.*?)` \|", text, re.MULTILINE)) == sorted(keys)


@pytest.mark.parametrize("kind", conditions.KINDS)
def test_each_condition_has_a_section_of_its_own(kind: str) -> None:
    page = (ROOT / "docs" / "conditions.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]

    assert f"- {kind}:" in section, f"docs/conditions.md has no section {kind} with an example"


@pytest.mark.parametrize("kind", ASKED)
def test_the_page_on_replays_tells_of_each_condition_that_asks_aws(kind: str) -> None:
    page = (ROOT / "docs" / "replay.md").read_text(encoding="utf-8")
    section = page.partition("\n## Conditions that ask AWS\n")[2].partition("\n## ")[0]

    assert f"`{kind}`" in section


@pytest.mark.parametrize(
    "size",
    [
        load.MOST_BYTES,
        load.MOST_NODES,
        load.MOST_LEVELS,
        MOST_HOOKS_OF_A_GROUP,
        size.FILE_CHARACTERS,
    ],
)
def test_the_reference_tells_each_size(size: int) -> None:
    assert re.search(rf"^\| .* \| {size:,}\b", CONFIGURATION, re.MULTILINE)
