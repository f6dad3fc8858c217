"""What `usher local` says to try, before anything is opened."""

from __future__ import annotations

import re
import shlex
import subprocess

import click
import pytest
from botocore.exceptions import EndpointConnectionError
from click.testing import CliRunner

from usher_cli.local import _PARTS, _follow, _states, invitation, invitation_to_install
from usher_cli.main import main
from usher_local.emulator import Unavailable
from usher_local.outages import PARTS
from usher_simulator.testing.simulated import simulated

ENVIRONMENT = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:5",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
    "NO_PROXY": "*.example.com,127.0.0.1",
    "no_proxy": "*.example.com,127.0.0.1",
    "USHER_LOCAL_OUTAGES": "http://127.0.0.1:6",
    "HOME": "/root",
}


def steps(*, auto: bool) -> dict[str, str]:
    """What stands at each number."""
    said = invitation(ENVIRONMENT, auto=auto)
    return dict(re.findall(r"^(\d)\. (.*?)(?=^\d\. |^What happens)", said, re.MULTILINE | re.DOTALL))


def commands(*, auto: bool) -> list[list[str]]:
    """The usher commands, as a shell takes them apart."""
    found = re.findall(r"^  (\S*usher .*)$", invitation(ENVIRONMENT, auto=auto), re.MULTILINE)
    return [shlex.split(line, comments=True)[1:] for line in found]


def test_the_account_is_named_by_what_the_aws_tools_read() -> None:
    said = invitation(ENVIRONMENT, auto=False)
    (exported,) = re.findall(r"^  export (.*); unset .*$", said, re.MULTILINE)
    del (named := dict(ENVIRONMENT))["HOME"]
    assert dict(word.split("=", 1) for word in shlex.split(exported)) == named


def test_after_the_line_a_terminal_has_nothing_of_another_account() -> None:
    (line,) = re.findall(r"^  (export .*)$", invitation(ENVIRONMENT, auto=False), re.MULTILINE)
    other = {
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_SESSION_TOKEN": "real",
        "AWS_PROFILE": "work",
        "AWS_DEFAULT_PROFILE": "work",
        "AWS_ENDPOINT_URL_DYNAMODB": "https://real",
        "AWS_ENDPOINT_URL_AUTO_SCALING": "https://real",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    }
    said = subprocess.run(  # noqa: S603 - our own words
        ["/bin/sh", "-c", f"{line}; env"], env=other, capture_output=True, text=True, check=True
    ).stdout
    of_aws = dict(each.split("=", 1) for each in said.splitlines() if each.startswith("AWS_"))
    assert of_aws == {name: value for name, value in ENVIRONMENT.items() if name.startswith("AWS_")}


def test_it_is_said_how_usher_itself_speaks_to_the_account() -> None:
    assert commands(auto=False) == [
        ["list"],
        ["plan", "infra/usher_cdk/demo.hooks.yaml"],
        ["signal", "$ID", "goodbye", "--reason", "trying it out"],
        ["show", "$ID"],
        ["local", "outage", "table", "2m"],
    ]


@pytest.mark.parametrize("words", commands(auto=False), ids=" ".join)
def test_each_usher_command_that_is_said_is_one_that_usher_takes(words: list[str]) -> None:
    command = main.get_command(click.Context(main), words[0])
    assert command is not None
    assert command.make_context(words[0], words[1:]).args in ([], words[2:])


def test_without_auto_the_first_step_is_a_launch() -> None:
    assert "--desired-capacity 1" in steps(auto=False)["1"]


def test_with_auto_nobody_is_told_to_launch_what_is_launched_already() -> None:
    assert "An instance is being launched." in steps(auto=True)["1"]
    assert "--desired-capacity 1" not in invitation(ENVIRONMENT, auto=True)
    assert list(steps(auto=True)) == list(steps(auto=False)) == ["1", "2", "3", "4"]


def test_an_empty_account_is_named_likewise_and_its_first_steps_are_commands_that_exist() -> None:
    said = invitation_to_install(ENVIRONMENT)
    (exported,) = re.findall(r"^  export (.*)$", said, re.MULTILINE)
    assert f"export {exported}" in invitation(ENVIRONMENT, auto=False)
    for line in re.findall(r"^  (\S*usher .*)$", said, re.MULTILINE):
        _, name, *words = shlex.split(line, comments=True)
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert command.make_context(name, words).args == []


def test_nothing_is_launched_in_an_account_where_nothing_is_deployed() -> None:
    done = CliRunner().invoke(main, ["local", "--empty", "--auto"])
    assert (done.exit_code, "leave out --empty" in done.output) == (2, True)


@pytest.mark.parametrize(
    ("words", "url", "said"),
    [
        pytest.param(["table", "2m"], "", "USHER_LOCAL_OUTAGES is not set", id="another terminal"),
        pytest.param(["table", "2m"], "http://127.0.0.1:1", "start it with `usher local`", id="it is closed"),
        pytest.param(["table", "soon"], "", "'soon' is not a duration", id="no duration"),
        pytest.param(["moon", "2m"], "", "'moon' is not one of", id="no part"),
        pytest.param(["queue", "2m", "--denied"], "", "for the table only", id="no queue denies"),
    ],
)
def test_an_outage_that_cannot_begin_says_why(words: list[str], url: str, said: str) -> None:
    done = CliRunner().invoke(main, ["local", "outage", *words], env={"USHER_LOCAL_OUTAGES": url})
    assert (done.exit_code != 0, said in done.output) == (True, True), done.output


def test_the_parts_of_the_command_are_those_of_the_account() -> None:
    assert set(_PARTS) == set(PARTS)


def test_the_help_tells_how_an_interrupted_start_ends() -> None:
    said = CliRunner().invoke(main, ["local", "--help"]).stdout
    assert "130  ended by Ctrl-C before Usher was deployed" in said


def test_an_account_that_no_longer_answers_is_told_in_one_line_and_no_traceback() -> None:
    def gone() -> list[str]:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:5")

    with pytest.raises(Unavailable, match="The local account no longer answers: Could not connect to"):
        _follow(gone, lambda: None)


@pytest.mark.parametrize("checks", [[True], [False, True]], ids=["between two looks", "within a look"])
def test_where_the_emulator_has_ended_it_is_said_so(checks: list[bool]) -> None:
    ended = iter(checks)

    def gone() -> list[str]:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:5")

    def check() -> None:
        if next(ended):
            raise Unavailable("The emulator ended with status -9.")

    with pytest.raises(Unavailable, match="ended with status -9"):
        _follow(gone, check)


def test_all_instances_of_the_account_are_watched_also_beyond_a_page() -> None:
    with simulated() as one:
        one.create_group("web", desired=60, MaxSize=60)
        one.clock.advance("10s")
        assert list(_states(one.client).values()) == ["InService"] * 60
