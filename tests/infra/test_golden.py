"""What is deployed changes only together with the golden templates, where a reviewer sees it.

That of `usher install` is held to its own where it is made: tests/e2e/test_dist.py.
"""

from __future__ import annotations

import difflib
import re

import pytest

from tests.infra.renew_golden import FOLDER, of_stacks


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return of_stacks()


def test_there_is_a_golden_template_for_each_stack_and_no_other(made: dict[str, str]) -> None:
    assert {file.name for file in FOLDER.iterdir()} == made.keys() | {"Install.json"}


@pytest.mark.parametrize("name", ["Usher.json", "UsherDemo.json"])
def test_a_template_is_as_it_was_reviewed(made: dict[str, str], name: str) -> None:
    before, now = (FOLDER / name).read_text().splitlines(), made[name].splitlines()
    changes = "\n".join(difflib.unified_diff(before, now, "reviewed", "made", lineterm=""))
    assert not changes, (
        f"{name} has changed. If that is meant: make golden, and commit the difference.\n{changes}"
    )


@pytest.mark.parametrize("name", ["Usher.json", "UsherDemo.json", "Install.json"])
def test_it_tells_nothing_of_the_machine_or_the_moment(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert ("HASH" in text) is (name != "UsherDemo.json")
    for word in (str(FOLDER.parents[2]), "/tmp", "node", "python-site"):  # noqa: S108 - nothing is put there
        assert word not in text
    assert not re.search(r"[0-9a-f]{32}", text)
