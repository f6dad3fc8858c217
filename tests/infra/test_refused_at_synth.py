"""What is refused before any stack is made: exit code 2, and a message with all that one needs to mend it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app import main
from usher_cdk.configuration import _KEYS
from usher_hooksfile.load import HooksFileRefused, load

DEPLOYING = (
    (Path(__file__).parents[2] / "docs" / "operations.md")
    .read_text(encoding="utf-8")
    .partition("\n## Deploying\n")[2]
    .partition("\n## ")[0]
)

SOUND = """\
version: 1
policies:
  wait:
    until:
      - signal: done
    give_up_after: 20m
  go: {until: []}
hooks:
  - name: drain
    group: web
    transition: terminating
    heartbeat_timeout: 5m
    notify: sqs
    metadata: owner=web
    limits: {abandon_per_hour: 5}
    policy:
      - when: {destination: WarmPool}
        use: go
      - use: wait
"""

CONTEXTS = {
    "a hooks file that is not there": ("hooks", "gone.yaml", None),
    "a number as the hooks file": ("hooks", 5, "the path of a hooks file"),
    "no calls": ("calls_per_second", 0, "from 0.1 to 1000"),
    "too many calls": ("calls_per_second", 1001, "from 0.1 to 1000"),
    "calls in words": ("calls_per_second", "fast", "from 0.1 to 1000"),
    "calls as a flag": ("calls_per_second", True, "from 0.1 to 1000"),
    "logs of no day": ("log_retention_days", 0, "from 1 to 3653"),
    "logs of half a day": ("log_retention_days", 30.5, "a whole number"),
    "no enrolments": ("enrolments_per_hour", 0, "from 1 to 1000"),
    "a list of enrolments": ("enrolments_per_hour", [50], "from 1 to 1000"),
    "too little reserved": ("wake_concurrency", 49, "0, or from 50 to 1000"),
    "a key in words": ("customer_key", "yes", "true or false"),
    "a demo by number": ("demo", 1, "true or false"),
    "mail to nobody": ("alarm_email", "", "an email address"),
    "mail to a name": ("alarm_email", "ops", "an email address"),
    "a role by its name": ("service_linked_role", "AutoScaling", "the ARN of a role"),
    "a glob among groups as text": ("own_groups", "web,api-*", "a list of names of groups"),
    "groups in a mapping": ("own_groups", {"web": True}, "a list of names of groups"),
    "a glob as a group of one's own": ("own_groups", ["web-*"], "a list of names of groups"),
    "an own group by number": ("own_groups", [1], "a list of names of groups"),
}


class Refusal:
    """What `app.main` says to a folder with hooks.yaml, and what it leaves behind."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def of(self, hooks: str, context: dict[str, Any]) -> list[str]:
        (self.folder / "hooks.yaml").write_text(hooks)
        made = self.folder / "cdk.out"
        assert main(self.folder, context, str(made)) == 2
        assert list(made.iterdir()) == []
        out, err = self._capsys.readouterr()
        assert out == ""
        return err.splitlines()


@pytest.fixture
def refusal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refusal:
    return Refusal(tmp_path, capsys)


def test_a_hooks_file_is_refused_with_all_that_its_check_says(refusal: Refusal) -> None:
    """What that is: tests/unit/test_hooks_file.py and test_configuration_refused.py."""
    said = refusal.of(SOUND.replace("5m", "5s").replace("sqs", "email").replace("web\n", "'a:b'\n"), {})
    with pytest.raises(HooksFileRefused) as refused:
        load(refusal.folder / "hooks.yaml")
    assert said == list(refused.value.complaints)
    assert [line.split(":")[1] for line in said] == ["10", "12", "13"]


@pytest.mark.parametrize(("key", "value", "rule"), CONTEXTS.values(), ids=CONTEXTS.keys())
def test_a_context_is_refused_with_key_rule_and_value(
    refusal: Refusal, key: str, value: object, rule: str | None
) -> None:
    said = refusal.of(SOUND, {key: value})
    expected = f"cdk.json: context {key} must be {rule}, got {value!r}"
    if rule is None:
        expected = f"{refusal.folder}/{value}: cannot be read: No such file or directory"
    assert said == [expected]


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        pytest.param("hoks", " (is hooks meant?)", id="a letter left out"),
        pytest.param("own-groups", " (is own_groups meant?)", id="a hyphen"),
        pytest.param("Announce", " (is announce meant?)", id="a capital"),
        pytest.param("configuration", "", id="a field that is no setting"),
        pytest.param("zzz", "", id="nothing like it"),
    ],
)
def test_an_unknown_key_of_the_context_is_refused_with_the_nearest_and_the_known_ones(
    refusal: Refusal, key: str, nearest: str
) -> None:
    (said,) = refusal.of(SOUND, {key: "abc"})
    assert said.startswith(f"cdk.json: context {key} is not a known key{nearest}; known are alarm_email, ")
    assert said.endswith(", sns_raw_delivery, wake_concurrency, got 'abc'")


def test_every_unknown_key_of_the_context_is_told_at_once(refusal: Refusal) -> None:
    said = refusal.of(SOUND, {"own_group": ["a"], "hooks": "hooks.yaml", "demos": "true"})
    assert [line.split()[2] for line in said] == ["demos", "own_group"]


def test_the_settings_that_the_docs_tell_are_those_that_are_known() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| .* \|$", DEPLOYING, re.MULTILINE)
    assert sorted(rows) == sorted(_KEYS)


CDKS_OWN = {
    "aws:cdk:bundling-stacks": [],
    "@aws-cdk/core:stackRelativeExports": True,
    "@aws-cdk-containers/ecs-service-extensions:enableDefaultLogDriver": True,
    "aws-cdk:enableDiffNoFail": True,
    "availability-zones:account=123456789012:region=us-east-1": ["us-east-1a"],
    "vpc-provider:account=123456789012:filter.vpcId=vpc-1:region=us-east-1": {"vpcId": "vpc-1"},
    "acknowledged-issue-numbers": [1],
    "cli-telemetry": False,
}


def test_what_is_sound_is_synthesised_and_the_cdks_own_keys_of_the_context_are_its_own_affair(
    tmp_path: Path,
) -> None:
    """Else everything above would hold for an app that makes nothing."""
    (tmp_path / "hooks.yaml").write_text(SOUND)
    assert main(tmp_path, CDKS_OWN, str(tmp_path / "out")) == 0
    made = json.loads((tmp_path / "out" / "Usher.template.json").read_text())
    assert "Custom::UsherHooks" in {each["Type"] for each in made["Resources"].values()}


def test_a_demo_whose_group_no_hook_fits_is_refused_in_one_line(refusal: Refusal) -> None:
    said = refusal.of(SOUND, {"demo": True, "aws:cdk:bundling-stacks": []})
    assert said == ["the hooks file must have a hook for group 'usher-demo', it has none"]


def test_what_the_cdk_itself_refuses_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hooks.yaml").write_text(SOUND)
    (tmp_path / "out").write_text("no folder")
    context: dict[str, object] = {"aws:cdk:bundling-stacks": []}
    assert main(tmp_path, context, str(tmp_path / "out")) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"The CDK refuses it: {tmp_path}/out must be a directory\n")
