"""What AWS does is written down once, in docs/aws-facts.md, and what the tree cites of it is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
FACTS: Final = ROOT / "docs" / "aws-facts.md"
MADE: Final = {"build", "cdk.out", "node_modules"}
_SECTION: Final = r"\d+(?:\.\d+)?"
_SECTIONS: Final = rf"{_SECTION}(?:(?:,| and)\s+{_SECTION})*"
# In the prose of code and docs; in the table of the simulator's behaviours; in the comments of its tests.
CITATION: Final = re.compile(rf"aws-facts[\s#]+({_SECTIONS})")
OF_THE_SIMULATOR: Final = re.compile(rf"\bF ({_SECTIONS})")
OF_ITS_TESTS: Final = re.compile(r"#.*?\b(\d+\.\d+(?:, \d+(?:\.\d+)?)*)\b")


def headings(text: str) -> set[str]:
    return set(re.findall(rf"^##+ ({_SECTION})\.? ", text, re.MULTILINE))


def cited(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    for sections in pattern.findall(text):
        yield from re.findall(_SECTION, sections)


def citations() -> Iterator[tuple[str, str]]:
    """Each section that is cited, with the file."""
    ours = [path for path in ROOT.iterdir() if path.name not in MADE and not path.name.startswith(".")]
    within = [file for path in ours for file in (path.rglob("*") if path.is_dir() else [path])]
    files = [file for file in within if file.suffix in {".py", ".md", ".yaml"}]
    for file in files:
        text = file.read_text(encoding="utf-8")
        for section in cited(CITATION, text):
            yield section, str(file.relative_to(ROOT))
    of_its_tests = [(OF_ITS_TESTS, path) for path in ROOT.glob("tests/simulation/test_fleet*.py")]
    for pattern, path in ((OF_THE_SIMULATOR, ROOT / "docs" / "simulator.md"), *of_its_tests):
        for section in cited(pattern, path.read_text(encoding="utf-8")):
            yield section, str(path.relative_to(ROOT))


def test_every_citation_has_its_heading() -> None:
    found = sorted(set(citations()))
    assert {Path(file).parts[0] for _, file in found} >= {
        "functions",
        "usher_simulator",
        "infra",
        "tests",
        "docs",
    }
    there = headings(FACTS.read_text(encoding="utf-8"))
    assert not [f"{file} cites {section}" for section, file in found if section not in there]


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        ("(aws-facts 2.1)", ["2.1"]),
        ("a call takes 0.6 s (aws-facts 9.4), and ten fit in", ["9.4"]),
        ("aws-facts 2.8 and 2.9 have the states", ["2.8", "2.9"]),
        ("as recorded (aws-facts\n# 9.1, 9.2: late)", ["9.1", "9.2"]),
        ("(aws-facts 3). 12 of them", ["3"]),
        ("what aws-facts promises", []),
    ],
)
def test_a_citation_is_found(text: str, sections: list[str]) -> None:
    assert list(cited(CITATION, text)) == sections


SOURCES: Final = ("documented", "model", "recorded", "reported", "inferred", "unknown")


def test_every_fact_says_where_it_is_from() -> None:
    lines = FACTS.read_text(encoding="utf-8").partition("\n## 1.")[2]
    facts = re.findall(r"^- (.*(?:\n  .*)*)", lines, re.MULTILINE)
    assert len(facts) > 100
    assert not [
        fact for fact in facts if not re.search(rf"\(.*({'|'.join(SOURCES)})[^()]*\)$", fact, re.DOTALL)
    ]
