"""What is deployed changes only together with the golden templates, where a reviewer sees it."""

from __future__ import annotations

import difflib
import re

import pytest

from tests.infra.renew_golden import FOLDER, golden


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return golden()


def test_there_is_a_golden_template_for_each_stack_and_no_other(made: dict[str, str]) -> None:
    assert {file.name for file in FOLDER.iterdir()} == made.keys()


@pytest.mark.parametrize("name", ["Usher.json", "UsherDemo.json", "Install.json"])
def test_a_template_is_as_it_was_reviewed(made: dict[str, str], name: str) -> None:
    before, now = (FOLDER / name).read_text().splitlines(), made[name].splitlines()
    changes = "\n".join(difflib.unified_diff(before, now, "reviewed", "made", lineterm=""))
    assert not changes, (
        f"{name} has changed. If that is meant: make golden, and commit the difference.\n{changes}"
    )


@pytest.mark.parametrize("name", ["Usher.json", "UsherDemo.json", "Install.json"])
def test_it_tells_nothing_of_the_machine_or_the_moment(made: dict[str, str], name: str) -> None:
    assert "HASH" in made["Usher.json"]
    for word in (str(FOLDER.parents[2]), "/tmp", "node", "python-site"):  # noqa: S108 - nothing is put there
        assert word not in made[name]
    assert not re.search(r"[0-9a-f]{32}", made[name])
