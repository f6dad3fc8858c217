"""The page that compares the ways to deploy names what there is."""

from __future__ import annotations

import re

import click
import pytest

from tests.bare_clone import ROOT
from usher_cdk.parameters import PARAMETERS
from usher_cli.install.policy import KINDS
from usher_cli.main import main

PAGE = (ROOT / "docs" / "ways.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"`usher ([^`]+)`", PAGE)))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_it_names_exists(command: str) -> None:
    name, *more = command.split()
    found = main.get_command(click.Context(main), name)
    assert found is not None
    options = {option for parameter in found.params for option in parameter.opts}
    assert set(more) <= options | (set(KINDS) if name == "policy" else set())


def test_a_parameter_that_it_names_is_one_of_the_template() -> None:
    named = set(re.findall(r"`([A-Z]\w+)`", PAGE)) - {"UpdateStack"}
    assert named <= set(PARAMETERS)
    assert {"TagValue", "FunctionArns", "PermissionsBoundary"} <= named
