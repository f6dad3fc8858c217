"""docs/operations.md tells each key that the commands print with `--json`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.bare_clone import ROOT
from tests.factories import at
from tests.unit.test_account import cloud as moto
from tests.unit.test_account import deploy
from tests.unit.test_policies_by_calls import (
    HOOKS,
    INSTANCE,
    WHY,
    command_of,
    with_a_file,
    with_a_letter,
    with_closed_actions,
)
from usher_cli.plan.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.unit.test_account import Deployed

__all__ = ["moto"]  # a fixture

SECTION: Final = (
    (ROOT / "docs" / "operations.md")
    .read_text(encoding="utf-8")
    .partition("\nWith `--json`, `list` prints")[2]
    .partition("\n## ")[0]
)
HISTORY: Final = (
    (ROOT / "docs" / "history.md")
    .read_text(encoding="utf-8")
    .partition("\nWith `--json`: ")[2]
    .partition("\n## ")[0]
)
ACTIONS, _, OTHERS = SECTION.partition("\nOther commands with `--json`:\n")
OLD: Final = set(re.findall(r"`([a-z_ ]+)`\s+\(", OTHERS.partition("\nOlder names of some keys")[2]))


def told_of(command: str) -> set[str]:
    """The keys in the row of a command, or those of an action."""
    if command in ("list", "show", "hold"):
        return words_in(ACTIONS)
    (row,) = [line for line in OTHERS.splitlines() if re.match(rf"\| [^|]*`{command}`[^|]* \|", line)]
    more = {
        "config show": lambda: told_of("config history"),
        "history": lambda: words_in(HISTORY),
        "plan": lambda: {str(step) for step in Step},
    }
    return words_in(row.split("|")[2]) | more.get(command, set)()


def words_in(text: str) -> set[str]:
    return set(re.findall(r"`([a-z0-9_]+)`", text))


def keys(data: Any) -> Iterator[str]:
    """Those of the outermost object, and of the objects in it or in its lists; not of the hooks file."""
    outer = data if isinstance(data, list) else [data]
    for each in outer:
        yield from each
        for key, value in each.items():
            for inner in value if isinstance(value, list) else [value]:
                if isinstance(inner, dict) and key != "file":
                    yield from inner


def waiting(deployed: Deployed) -> None:
    deployed.opened(evaluate_at=at(1000))


@pytest.mark.parametrize(
    ("words", "prepare"),
    [
        pytest.param(("list",), waiting, id="list"),
        pytest.param(("show", INSTANCE), waiting, id="show"),
        pytest.param(("hold", INSTANCE, *WHY), waiting, id="hold"),
        pytest.param(("signal", INSTANCE, "jobs-finished", *WHY), waiting, id="signal"),
        pytest.param(("pause", "--yes", *WHY), waiting, id="pause"),
        pytest.param(("history",), with_closed_actions, id="history"),
        pytest.param(("retained",), waiting, id="retained"),
        pytest.param(("list", "--offline"), waiting, id="list --offline"),
        pytest.param(("redrive",), with_a_letter, id="redrive"),
        pytest.param(("plan", "F"), waiting, id="plan"),
        pytest.param(("apply", "F", "--ahead", "--yes", *WHY), waiting, id="apply"),
    ],
)
def test_each_key_is_told(
    moto: None,  # noqa: ARG001 - stands around it
    words: tuple[str, ...],
    prepare: Callable[[Deployed], None],
    tmp_path: Path,
) -> None:
    deployed = deploy()
    prepare(deployed)
    assert printed(deployed, *with_a_file(words, tmp_path)) <= told_of(command_of(words)) | OLD


def printed(deployed: Deployed, *words: str) -> set[str]:
    done = deployed.usher(*words, "--json")
    assert done.exit_code == 0, done.output
    return set(keys(json.loads(done.stdout)))


@pytest.mark.parametrize("words", [("history",), ("show", "1"), ("diff",)], ids=lambda words: words[0])
def test_each_key_of_a_version_is_told(
    moto: None,  # noqa: ARG001 - as above
    words: tuple[str, ...],
    tmp_path: Path,
) -> None:
    hooks = tmp_path / "hooks.yaml"
    deployed = deploy()
    for text in (HOOKS, HOOKS.replace("20m", "30m")):
        hooks.write_text(text, encoding="utf-8")
        assert deployed.usher("apply", str(hooks), "--ahead", "--yes", *WHY).exit_code == 0
    assert printed(deployed, "config", *words) == told_of(f"config {words[0]}") - {"pending", "past"}
