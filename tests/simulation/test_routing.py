"""Which policy an instance gets by the metadata of its hook, and what a command of it is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.factories import at
from usher.core import configuration
from usher_cli.report import report
from usher_simulator.replay.replay import Entry, replay

INSTANCE = "i-0aaaaaaaaaaaaaaa1"
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
      - use: deregister
"""


def told(metadata: str | None) -> dict[str, Any]:
    """The action of a termination, in a replay in which the work is done after a while."""
    body = {
        "LifecycleHookName": "drain",
        "AutoScalingGroupName": "web-1",
        "EC2InstanceId": INSTANCE,
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "LifecycleActionToken": "0" * 36,
        "Origin": "AutoScalingGroup",
        "Destination": "EC2",
        "Time": at(0).isoformat(),
        **({} if metadata is None else {"NotificationMetadata": metadata}),
    }
    entries = [Entry(source="test", received_at=at(1), body=json.dumps(body))]
    found = configuration.parse(yaml.safe_load(ROUTING))
    (action,) = report(replay(entries, found), [])["actions"]
    return dict(action)


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


def test_a_command_for_which_a_value_is_missing_fails_at_once_and_says_so() -> None:
    action = told('{"role": "worker"}')
    assert (action["outcome"], action["result"]) == ("completed", "CONTINUE")
    assert "{{metadata.zone}} has no value for this action" in action["reason"]


def test_a_command_whose_values_are_plain_waits_for_its_end() -> None:
    assert "{{" not in told('{"zone": "Z1", "role": "worker"}')["reason"]
