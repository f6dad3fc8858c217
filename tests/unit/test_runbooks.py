"""The runbooks and metrics of docs/operations.md: what they name is in the template and in the code."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import jmespath
import pytest

from tests.alarms import alarms
from tests.bare_clone import ROOT
from usher.aws.telemetry import _SECONDS, ALARM_OF, NAMESPACE
from usher.evaluation.sender import _COUNTED

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


METRICS: Final = {
    cells[0].strip("`"): cells[1:]
    for line in PAGE.partition("\n## Metrics\n")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| `") and (cells := [cell.strip() for cell in line.split("|")[1:-1]])
}


def counted() -> set[str]:
    """Every name that a function can count."""
    found = {*ALARM_OF, *ALARM_OF.values(), *_COUNTED.values()}
    for file in (ROOT / "functions").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        found |= set(re.findall(r"""\.count\(\s*"([A-Z]\w+)\"""", text))
        found |= set(re.findall(r"""\bbatch_handler\([^)]*"([A-Z]\w+)"\)""", text))
    return found


def test_the_page_has_each_metric_and_no_other() -> None:
    assert sorted(METRICS) == sorted(counted())
    assert {name for name, (unit, *_) in METRICS.items() if unit == "seconds"} == _SECONDS


def test_the_page_names_the_alarm_of_each_metric() -> None:
    of_metric = {alarm.metric[1]: alarm.name for alarm in alarms() if alarm.metric[0] == NAMESPACE}
    told = {name: re.sub(r"\[(\w+)\].*", r"\1", alarm) for name, (*_, alarm) in METRICS.items() if alarm}
    assert told == of_metric | {name: of_metric[of] for name, of in ALARM_OF.items()}


def test_the_page_names_what_is_on_the_dashboard() -> None:
    (dashboard,) = [
        json.dumps(each["Properties"]["DashboardBody"])
        for each in resources("Usher.json").values()
        if each["Type"] == "AWS::CloudWatch::Dashboard"
    ]
    shown = set(re.findall(rf'{NAMESPACE}[\\"]+,[\\"]+(\w+)', dashboard))
    told = PAGE.partition("has six graphs:")[2].partition("\n## ")[0]
    assert shown
    assert set(re.findall(r"`(\w+)`", told)) == shown
