"""The runbooks of docs/operations.md: each name that they look up is one resource of the template."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import jmespath
import pytest

from tests.bare_clone import ROOT

PAGE: Final = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
PAGES: Final = "".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").rglob("*.md")))


def resources(template: str) -> dict[str, dict[str, Any]]:
    """As `list-stack-resources` has them; the name of one is its logical id here."""
    made = json.loads((ROOT / "tests" / "infra" / "golden" / template).read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any]] = made["Resources"]
    return found


def named(prefix: str, template: str) -> list[str]:
    """What the shell function `unamed` finds, by the query that the page has."""
    (query,) = re.findall(r'^\$ unamed\(\) .*?--query "(.*?)"; }$', PAGE, re.DOTALL | re.MULTILINE)
    summaries = [
        {"LogicalResourceId": name, "PhysicalResourceId": name, "ResourceType": each["Type"]}
        for name, each in resources(template).items()
    ]
    found: list[str] = jmespath.search(query.replace("$1", prefix), {"StackResourceSummaries": summaries})
    return found


def prefixes() -> list[str]:
    """What the pages have `unamed` find, also for the log of a function."""
    functions = set(re.findall(r"\bulog ([A-Z]\w+)", PAGES))
    return sorted({*re.findall(r"\bunamed ([A-Z]\w+)", PAGES), *(f"{name}Logs" for name in functions)})


@pytest.mark.parametrize("prefix", prefixes())
def test_a_name_that_the_runbooks_look_up_is_one_resource(prefix: str) -> None:
    assert len(named(prefix, "Install.json")) == 1
    is_switched = "Condition" in resources("Install.json")[named(prefix, "Install.json")[0]]
    assert len(named(prefix, "Usher.json")) == (0 if is_switched else 1)


def test_the_runbooks_look_up_logs_and_functions() -> None:
    assert {"WakeLogs", "AnnounceLogs", "WakeFunction", "QuestionsFunction", "SweepFunction"} <= set(
        prefixes()
    )


@pytest.mark.parametrize("name", re.findall(r"--stack-name\s+(\S+)", PAGE))
def test_the_runbooks_name_the_stack_by_the_variable(name: str) -> None:
    assert name.startswith('"${USHER_STACK:-Usher}"')
