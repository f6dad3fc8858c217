"""What CONTRIBUTING.md and RELEASE.md tell people to do can be done."""

from __future__ import annotations

import re
import runpy
from inspect import signature
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from tests.bare_clone import ROOT
from tests.contract import test_probes
from usher.core import conditions
from usher_cli.main import main
from usher_hooksfile import load

if TYPE_CHECKING:
    from pathlib import Path

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PAGES = {"CONTRIBUTING.md": CONTRIBUTING, "RELEASE.md": (ROOT / "RELEASE.md").read_text(encoding="utf-8")}
VERBS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
CONDITION, TEST, COMMAND = re.findall(r"^```python\n(.*?)^```$", CONTRIBUTING, re.DOTALL | re.MULTILINE)
TO_BE_WRITTEN = {
    "functions/usher/core/conditions/address.py",
    "tests/unit/test_condition_address.py",
    "usher_cli/longest.py",
}


def code(text: str) -> list[str]:
    """Each thing in backticks, and each line at a prompt."""
    return re.findall(r"`([^`\n]+)`", text) + re.findall(r"^ *\$ (.*)$", text, re.MULTILINE)


def run(tmp_path: Path, name: str, text: str) -> dict[str, Any]:
    """The names of a module of that text."""
    file = tmp_path / f"{name}.py"
    file.write_text(text, encoding="utf-8")
    return runpy.run_path(str(file), run_name=name)


@pytest.mark.parametrize("page", PAGES)
def test_a_verb_that_is_named_is_in_the_makefile(page: str) -> None:
    named = {verb for thing in code(PAGES[page]) for verb in re.findall(r"\bmake ([a-z-]+)", thing)}
    assert {"test"} < named <= VERBS


@pytest.mark.parametrize("page", PAGES)
def test_a_file_that_is_named_is_there(page: str) -> None:
    words = {word for thing in code(PAGES[page]) for word in thing.split()}
    named = {word for word in words if re.fullmatch(r"[a-z_]+(/[a-z_.-]+)+", word) and "__" not in word}
    assert named
    assert {name for name in named if not (ROOT / name).exists()} == TO_BE_WRITTEN & named


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("KINDS: ", "functions/usher/core/conditions/__init__.py"),
        ("CONDITIONS: ", "usher_simulator/trials/condition_truths.py"),
        ("def in_words(", "functions/usher/core/conditions/command.py"),
        ('telemetry.count("SignalsRefused")', "functions/usher/intake/evidence.py"),
        ('recorder.counts["SignalsRefused"]', "tests/simulation/test_signals.py"),
        ('"SignalsRefused": "LimitReached"', "functions/usher/aws/telemetry.py"),
        ('self._alarm("LimitReached", ', "infra/usher_cdk/watch.py"),
        ('"LimitReached"', "tests/infra/test_controller.py"),
        ('"SignalsRefused"', "tests/simulation/test_alarms.py"),
        ("#### SignalsRefused\n", "docs/operations.md"),
        ("def show(", "infra/usher_cdk/watch.py"),
        ("_SECONDS: ", "functions/usher/aws/telemetry.py"),
        ("_COMMANDS: ", "usher_cli/main.py"),
        ("def with_account(", "usher_cli/account.py"),
    ],
)
def test_what_it_sends_one_to_stands_there(name: str, file: str) -> None:
    assert file in CONTRIBUTING
    assert name in (ROOT / file).read_text(encoding="utf-8")


@pytest.fixture
def condition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The test of the example of a condition, which has its row."""
    made = run(tmp_path, "address", CONDITION)
    for known in (conditions.KINDS, conditions.PLAIN.of, conditions.CONDITION.of):
        one = made["Address"] if known is conditions.KINDS else made["Address"].shape
        monkeypatch.setitem(known, "address", one)
    return run(tmp_path, "test_condition_address", TEST)


def test_the_example_of_a_condition_passes_its_test_and_what_holds_for_all(condition: dict[str, Any]) -> None:
    (sample,) = condition["SAMPLES"]
    assert sample.condition.name == "address associated"
    condition["test_no_other_state_can_be_waited_for"]()

    of_each = [
        test
        for name, test in vars(test_probes).items()
        if name.startswith("test_") and "sample" in signature(test).parameters
    ]
    assert len(of_each) > 15
    for test in of_each:
        others = [mark for mark in test.pytestmark if mark.args[0] != "sample"]
        for case in [{mark.args[0]: value} for mark in others for value in mark.args[1]] or [{}]:
            test(sample, **case)


def test_a_hooks_file_takes_the_example_of_a_condition_once_it_has_its_row(
    condition: dict[str, Any], tmp_path: Path
) -> None:
    assert condition
    file = tmp_path / "hooks.yaml"
    file.write_text(
        "version: 1\npolicies: {p: {until: [address: associated]}}\n"
        "hooks: [{name: h, group: g, transition: launching, policy: p}]\n",
        encoding="utf-8",
    )

    assert load.load(file).hooks
    assert (
        "waits for address associated, then CONTINUE" in CliRunner().invoke(main, ["check", str(file)]).stdout
    )


@pytest.mark.parametrize(
    ("timeout", "exit_code", "said"),
    [("5m", 0, "8h20m\n"), ("2h", 0, "48h\n"), ("5 minutes", 2, "is not a duration")],
)
def test_the_example_of_a_command_works(tmp_path: Path, timeout: str, exit_code: int, said: str) -> None:
    done = CliRunner().invoke(run(tmp_path, "longest", COMMAND)["longest"], [timeout])
    assert done.exit_code == exit_code
    assert said in done.output


def test_a_seed_of_the_examples_is_an_option_of_its_program() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in re.findall(r"\b([A-Z]+)=", "\n".join(code(CONTRIBUTING))):
        assert f"$({name})" in makefile or f"$(if $({name})" in makefile
