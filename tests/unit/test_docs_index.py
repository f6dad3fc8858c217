"""The index, the glossary and the decisions: whole, and true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ADRS = sorted((DOCS / "adr").glob("*.md"))
INDEX = (DOCS / "README.md").read_text(encoding="utf-8")
GLOSSARY = (DOCS / "glossary.md").read_text(encoding="utf-8")
TERMS = [
    term
    for cell in re.findall(r"^\| (\*\*.*?) \|", GLOSSARY, re.MULTILINE)
    for term in re.findall(r"\*\*(.*?)\*\*", cell)
]


def in_order(text: str, headings: list[str]) -> bool:
    return [line for line in text.splitlines() if line in headings] == headings


def test_the_index_has_every_page_and_no_page_twice_in_a_table() -> None:
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")} - {"README.md"}
    rows = re.findall(r"^\| (?:\d+ \| )?\[.*?\]\(([^)]+)\) \|", INDEX, re.MULTILINE)
    assert sorted(rows) == sorted([*pages, "../CONTRIBUTING.md", "../RELEASE.md"])


def test_the_index_calls_each_decision_by_its_number_and_title() -> None:
    titles = [page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for page in ADRS]
    rows = re.findall(r"^\| (\d+) \| \[(.*?)\]", INDEX, re.MULTILINE)
    assert [f"{number}. {title}" for number, title in rows] == titles
    assert [int(number) for number, _ in rows] == [int(page.name[:4]) for page in ADRS]


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name[:4]) for page in ADRS])
def test_a_decision_has_status_date_alternatives_and_consequences(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    status = r"Status: (proposed|accepted|superseded by \[\d+\]).* · Date: \d{4}-\d\d-\d\d"

    assert re.fullmatch(status, text.splitlines()[2])
    assert in_order(text, ["## Alternatives", "## Consequences"])


def test_the_glossary_begins_with_the_terms_of_aws_and_has_none_twice() -> None:
    assert TERMS[0] == "lifecycle hook"
    assert 30 <= len(TERMS) < 65
    assert len(set(TERMS)) == len(TERMS)


@pytest.fixture(scope="module")
def used() -> str:
    """All other pages, and all code that says something to people."""
    pages = [ROOT / "README.md", *(page for page in DOCS.rglob("*.md") if page.name != "glossary.md")]
    code = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "usher_cli").rglob("*.py")]
    text = " ".join(file.read_text(encoding="utf-8") for file in [*pages, *code])
    return re.sub(r"\s+", " ", text).lower()


@pytest.mark.parametrize("term", TERMS)
def test_a_term_of_the_glossary_is_used(term: str, used: str) -> None:
    assert re.search(rf"\b{re.escape(term)}s?\b", used)


def test_the_pictures_of_the_readme_are_small_and_told_in_words() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[([^\]]*)\]\((.*?)\)", readme)

    assert [name for _, name in pictures] == ["docs/images/report.png", "docs/images/flow.svg"]
    for told, name in pictures:
        assert len(told) > 100
        assert (ROOT / name).stat().st_size < 80_000
