"""The pages on the ways to deploy name what there is, and all of the parameters."""

from __future__ import annotations

import re

import click
import pytest

from tests.bare_clone import ROOT
from usher_cdk.parameters import PARAMETERS
from usher_cli.install.command import install
from usher_cli.install.policy import KINDS
from usher_cli.main import main

PAGE = (ROOT / "docs" / "ways.md").read_text(encoding="utf-8")
INSTALL = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
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


def test_the_page_on_install_has_each_parameter_of_the_template_with_its_option() -> None:
    told = re.findall(r"^\| (?:`(--[a-z-]+)` )?\| `([A-Z]\w+)` \|", INSTALL, re.MULTILINE)
    assert sorted(name for _, name in told) == sorted(PARAMETERS)
    of_option = {
        option: parameter.name
        for parameter in install.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    without = {name for option, name in told if not option}
    assert {name: of_option[option] for option, name in told if option} == {
        name: "given_bucket" if name == "CodeBucket" else name for name in PARAMETERS.keys() - without
    }
    assert without == {"CodeKey"}


def test_the_page_on_install_has_the_values_that_a_parameter_takes() -> None:
    days, rate = PARAMETERS["LogRetentionDays"], PARAMETERS["CallsPerSecond"]
    assert f": {', '.join(map(str, days['AllowedValues']))} |" in INSTALL
    assert f"from {rate['MinValue']} to {rate['MaxValue']:,} |" in INSTALL
