"""Which policy an instance gets by the metadata of its hook, and what a command of it is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from tests.factories import at
from tests.simulation.test_replay import message
from usher.core import configuration
from usher.core.conditions.instance_facts import facts_of
from usher_cli.main import main
from usher_cli.report import report
from usher_simulator.replay.replay import Entry, replay

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

INSTANCE = "i-0123456789abcdef0"
# As somebody wrote it, corrected: by the keys of the metadata, and with placeholders of Usher.
ROUTING = r"""
version: 1
policies:
  deregister: {until: [function: deregister-dns]}
  stop:
    until:
      - command:
          document: AWS-RunShellScript
          parameters: {commands: ["stop {{instance_id}} {{metadata.zone}}"]}
    on_failure: CONTINUE
  nothing: {until: []}
hooks:
  - name: drain
    group: web-*
    transition: terminating
    policy:
      - when: {metadata: {role: worker}}
        use: stop
      - when: {metadata: "off"}
        use: nothing
      - when: {availability_zone: us-east-1a}
        use: stop
      - when: {tags: {role: db}}
        use: stop
      - use: deregister
"""
IN_A: dict[str, Any] = {"Placement": {"AvailabilityZone": "us-east-1a"}}
IN_B: dict[str, Any] = {"Placement": {"AvailabilityZone": "us-east-1b"}}
DB = {"Tags": [{"Key": "role", "Value": "db"}]}


def told(metadata: str | None, described: dict[str, Any] | None = None) -> dict[str, Any]:
    """The action of a termination, as a replay reports it; `described` is what EC2 told of the instance."""
    entries = [Entry(source="test", received_at=at(1), body=notice(metadata))]
    found = configuration.parse(yaml.safe_load(ROUTING))
    instances = {} if described is None else {INSTANCE: facts_of(described)}
    (action,) = report(replay(entries, found, instances=instances), [])["actions"]
    return dict(action)


def notice(metadata: str | None) -> str:
    """The message of a termination."""
    return json.dumps(message() if metadata is None else message(NotificationMetadata=metadata))


@pytest.mark.parametrize(
    ("metadata", "policy"),
    [
        pytest.param('{"zone": "Z1", "role": "worker"}', "stop", id="a key"),
        pytest.param("off", "nothing", id="the text"),
        pytest.param('{"zone": "Z1", "role": "db"}', "deregister", id="another role"),
        pytest.param("worker", "deregister", id="a text that is no object"),
        pytest.param(None, "deregister", id="none"),
    ],
)
def test_a_hook_routes_by_its_metadata(metadata: str | None, policy: str) -> None:
    assert told(metadata)["policy"] == policy


@pytest.mark.parametrize(
    ("described", "policy"),
    [
        pytest.param(IN_A, "stop", id="the zone"),
        pytest.param({**IN_B, **DB}, "stop", id="a tag"),
        pytest.param(IN_B, "deregister", id="neither"),
    ],
)
def test_a_hook_routes_by_what_ec2_told_of_the_instance(described: dict[str, Any], policy: str) -> None:
    assert told(None, described)["policy"] == policy


def test_a_replay_that_is_not_told_of_the_instance_passes_such_rules_over_at_once_and_says_so() -> None:
    action = told(None)
    (line,) = [line for line in action["timeline"] if line["event"] == "policy"]
    assert action["policy"] == "deregister"
    assert line["at"] == action["timeline"][1]["at"]
    assert "try --instances" in line["detail"]
    assert "unknown: availability_zone, tags.role, so the rules for stop were passed over" in line["detail"]


def test_what_comes_before_those_rules_needs_no_answer() -> None:
    assert [line["event"] for line in told("off")["timeline"]][0:2] == ["notified", "complete"]


def test_a_command_for_which_a_value_is_missing_fails_at_once_and_says_so() -> None:
    action = told('{"role": "worker"}')
    assert (action["outcome"], action["result"]) == ("completed", "CONTINUE")
    assert "{{metadata.zone}} has no value for this action" in action["reason"]


def test_a_command_whose_values_are_plain_waits_for_its_end() -> None:
    assert "{{" not in told('{"zone": "Z1", "role": "worker"}')["reason"]


# The command


def corrected(field: Path) -> str:
    """What somebody wrote, with the words that the file has for it."""
    written = (field / "routing.yaml").read_text()
    return written.replace("metadata: worker", "metadata: {role: worker}").replace("{tag: ", "{tags: ")


def replayed(folder: Path, hooks: str, metadata: str | None, *arguments: str) -> Result:
    """`usher replay` of one termination."""
    (folder / "hooks.yaml").write_text(hooks)
    (folder / "traffic.jsonl").write_text(notice(metadata))
    files = [str(folder / "traffic.jsonl"), "--hooks", str(folder / "hooks.yaml")]
    return CliRunner().invoke(main, ["replay", *files, "--json", *arguments])


def test_a_word_that_the_file_does_not_know_is_refused_with_its_line_and_the_known_ones(field: Path) -> None:
    refused = CliRunner().invoke(main, ["check", str(field / "routing.yaml")])
    assert refused.exit_code == 2
    assert ":16: hooks[0].policy[2].when.tag: is not a known key here; known are " in refused.stderr
    assert "availability_zone, instance_type, tags" in refused.stderr


def test_the_corrected_file_routes_as_its_author_meant(field: Path, tmp_path: Path) -> None:
    file = tmp_path / "instances.json"
    policies = []
    for metadata, described in [
        ('{"zone": "Z1", "role": "worker"}', IN_B),
        ('{"zone": "Z1", "role": "web"}', IN_A),
        ('{"zone": "Z1", "role": "web"}', {**IN_B, **DB}),
        ('{"zone": "Z1", "role": "web"}', IN_B),
    ]:
        file.write_text(json.dumps({"InstanceId": INSTANCE, **described}))
        outcome = replayed(tmp_path, corrected(field), metadata, "--instances", str(file))
        assert outcome.exit_code == 0
        policies += [action["policy"] for action in json.loads(outcome.stdout)["actions"]]
    assert policies == ["b", "b", "b", "a"]


@pytest.mark.parametrize(
    "written",
    [
        {"Reservations": [{"Instances": [{"InstanceId": INSTANCE, **IN_A}]}]},
        [{"Instances": [{"InstanceId": INSTANCE, **DB}]}],
        [[{"InstanceId": INSTANCE, **DB}]],
        {"InstanceId": INSTANCE, **IN_A},
    ],
    ids=["as the command prints it", "its reservations", "with --query", "one instance"],
)
def test_a_replay_is_told_of_instances_by_what_aws_printed(tmp_path: Path, written: object) -> None:
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(written))
    (action,) = json.loads(replayed(tmp_path, ROUTING, None, "--instances", str(file)).stdout)["actions"]
    assert action["policy"] == "stop"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{", "cannot be read"),
        ("{}", "has no instance: give the output of `aws ec2 describe-instances`"),
        ('{"Reservations": []}', "has no instance"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_instances_that_cannot_be_read_are_refused_in_one_line(
    tmp_path: Path, written: str, said: str
) -> None:
    file = tmp_path / "instances.json"
    file.write_text(written)
    refused = replayed(tmp_path, ROUTING, None, "--instances", str(file))
    assert refused.exit_code == 2
    assert said in refused.stderr
