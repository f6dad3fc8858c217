"""What is refused before any stack is made: exit code 2, and a message with all that one needs to mend it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app import main
from usher_cdk.configuration import _KEYS

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
LAST = "      - use: wait\n"
ANOTHER = "  - {name: drain, group: web, transition: launching, policy: go}\n"
WAIT = "must be a duration from 1s to 48h, such as 90s or 1h30m"
TIMEOUT = "must be a duration from 30s to 2h, such as 90s or 1h30m"
LATE = "must be sqs or sns if heartbeat_timeout is 5m: "
METADATA = "must be 1 to 1023 printable ASCII characters"
MEETS = "must not be the name of another hook on the same group: web matches web and *b"
SHARED = "must not be the name of another hook on the same group"

# What of the file changes; then the line, field and rule that are told, and how the value is shown.
FILES = {
    "another version": ("version: 1", "version: 2", "1: version: must be 1", "2"),
    "an unknown key of the file": ("hooks:", "hoks:", "8: hoks: is not a known key here", "[{'name'"),
    "a missing key of the file": ("version: 1\n", "", "1: the file: must have version", "{'policies'"),
    "an unknown key of a policy": (
        "    give_up_after: 20m", "    give_up: 20m", "6: policies.wait.give_up: is not a known key", "'20m'",
    ),
    "an unknown key of a hook": (
        "notify: sqs", "notify_by: sqs", "13: hooks[0].notify_by: is not a known key here", "'sqs'",
    ),
    "a key given twice": (
        "    group: web", "    group: web\n    group: other",
        "11: hooks[0].group: must not be given twice; it is also on line 10", "'other'",
    ),
    "a policy without until": (
        "    until:\n      - signal: done\n", "", "3: policies.wait: must have until", "{'give_up_after'",
    ),
    "a policy's name with a blank": (
        "  go:", "  'g o': {until: []}\n  go:", "7: policies['g o']: must be a name of 1 to 64 of", "'g o'",
    ),
    "an unknown condition": (
        "signal: done", "weather: fine", "5: policies.wait.until[0].weather: is not a known key", "'fine'",
    ),
    "drained on a launching hook": (
        SOUND[SOUND.index("      - signal: done") : SOUND.index("    heartbeat_timeout")],
        SOUND[SOUND.index("      - signal: done") : SOUND.index("    heartbeat_timeout")]
        .replace("signal: done", "ecs: drained")
        .replace("terminating", "launching"),
        "16: hooks[0].policy: uses wait, which waits for `ecs drained", "[{'when'",
    ),
    "a bare number as a duration": (
        "signal: done", "elapsed: 90", f"5: policies.wait.until[0].elapsed: {WAIT}", "90",
    ),
    "an elapsed of over 48 h": (
        "signal: done", "elapsed: 49h", f"5: policies.wait.until[0].elapsed: {WAIT}", "'49h'",
    ),
    "a signal's name with a blank": (
        "signal: done", "signal: all done", "5: policies.wait.until[0].signal: must be a name", "'all done'",
    ),
    "a give_up_after beyond the global limit": (
        "20m", "8h21m",
        "16: hooks[0].policy: uses wait, whose give_up_after 8h21m must not exceed the global",
        "[{'when'",
    ),
    "a give_up_after of nothing": ("20m", "0s", f"6: policies.wait.give_up_after: {WAIT}", "'0s'"),
    "a stalled_after in days": (
        "give_up_after: 20m", "stalled_after: 1d", f"6: policies.wait.stalled_after: {WAIT}", "'1d'",
    ),
    "an unknown result": (
        "give_up_after: 20m", "on_success: MAYBE",
        "6: policies.wait.on_success: must be one of CONTINUE, ABANDON", "'MAYBE'",
    ),
    "an unknown mode": (
        "give_up_after: 20m", "mode: dry-run",
        "6: policies.wait.mode: must be one of enforce, observe", "'dry-run'",
    ),
    "a hook's name with a blank": (
        "drain", "drain it", "9: hooks[0].name: must be 1 to 255 of A-Z a-z 0-9 - _ /", "'drain it'",
    ),
    "a hook's name of 256": ("drain", "d" * 256, "9: hooks[0].name: must be 1 to 255 of", "'ddd"),
    "a group with a colon": (
        "group: web", "group: 'web:1'",
        "10: hooks[0].group: must be a name or glob of 1 to 255 characters without a colon", "'web:1'",
    ),
    "a group by no tag": (
        "group: web", "group: {tags: {}}", "10: hooks[0].group.tags: must name at least one tag", "{}",
    ),
    "a list of groups": ("group: web", "group: [web]", "10: hooks[0].group: must be a name, a", "['web']"),
    "an unknown transition": (
        "terminating", "stopping",
        "11: hooks[0].transition: must be one of launching, terminating", "'stopping'",
    ),
    "a heartbeat timeout under 30 s": ("5m", "29s", f"12: hooks[0].heartbeat_timeout: {TIMEOUT}", "'29s'"),
    "a heartbeat timeout over 2 h": ("5m", "2h1s", f"12: hooks[0].heartbeat_timeout: {TIMEOUT}", "'2h1s'"),
    "an unknown default result": (
        "notify: sqs", "default_result: TERMINATE",
        "13: hooks[0].default_result: must be one of CONTINUE, ABANDON", "'TERMINATE'",
    ),
    "an unknown way": (
        "sqs", "email", "13: hooks[0].notify: must be one of sqs, sns, eventbridge, lambda", "'email'",
    ),
    "EventBridge alone under 10 min": ("sqs", "eventbridge", f"13: hooks[0].notify: {LATE}", "'eventbridge'"),
    "a direct Lambda target under 10 min": ("sqs", "lambda", f"13: hooks[0].notify: {LATE}", "'lambda'"),
    "metadata of 1,024": ("owner=web", "m" * 1024, f"14: hooks[0].metadata: {METADATA}", "'mmm"),
    "metadata that is not ASCII": ("owner=web", "Müller", f"14: hooks[0].metadata: {METADATA}", "'Müller'"),
    "a limit of nothing": (
        "_per_hour: 5", "_per_hour: 0",
        "15: hooks[0].limits.abandon_per_hour: must be a whole number from 1 to 1000", "0",
    ),
    "an unknown limit": (
        "_per_hour: 5", "_per_day: 5", "15: hooks[0].limits.abandon_per_day: is not a known key here", "5",
    ),
    "a policy that nobody defines": (
        LAST, "      - use: wail\n",
        "19: hooks[0].policy[1].use: must be a policy of this file (defined: go, wait)", "'wail'",
    ),
    "a last rule with a when": (
        LAST, "      - {when: {origin: EC2}, use: wait}\n",
        "19: hooks[0].policy[1]: is the last rule, so it must have no `when`", "{'when'",
    ),
    "an earlier rule without a when": (
        "when: {destination: WarmPool}\n        use", "use",
        "17: hooks[0].policy[0]: has no `when`, so the rules after it would never be used", "{'use': 'go'}",
    ),
    "an unknown field of a when": (
        "{destination: WarmPool}", "{zone: a}", "17: hooks[0].policy[0].when.zone: is not a known key", "'a'",
    ),
    "an unknown value in a when": (
        "WarmPool", "Moon",
        "17: hooks[0].policy[0].when.destination: must be one of EC2, AutoScalingGroup, WarmPool", "'Moon'",
    ),
    "one name twice on a group": (LAST, LAST + ANOTHER, f"20: hooks[1].name: {SHARED}", "'drain'"),
    "one name twice where a glob meets a name": (
        LAST, LAST + ANOTHER.replace("web", "'*b'"), f"20: hooks[1].name: {MEETS}", "'drain'",
    ),
    "51 hooks on a group": (
        LAST, LAST + "".join(ANOTHER.replace("drain", f"h{number}") for number in range(50)),
        "9: hooks[0]: must be one of at most 50 hooks on a group (51 here)", "{'name': 'drain'",
    ),
    "no YAML": ("    group: web", "   group: web", "10: the file: must be YAML", "'group: web'"),
    "a tag of CloudFormation": (": web", ": !Ref Web", "10: hooks[0].group: must have no tag", "'Web'"),
}  # fmt: skip

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


@pytest.mark.parametrize(("old", "new", "told", "value"), FILES.values(), ids=FILES.keys())
def test_a_hooks_file_is_refused_with_line_field_rule_and_value(
    refusal: Refusal, old: str, new: str, told: str, value: str
) -> None:
    assert SOUND.count(old) == 1
    said = refusal.of(SOUND.replace(old, new), {})
    start = f"{refusal.folder}/hooks.yaml:{told}"
    (complaint,) = [line for line in said if line.startswith(start)]
    shown = complaint.partition(", got ")[2]
    assert shown.startswith(value)


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


def test_the_cdks_own_keys_of_the_context_are_its_own_affair(tmp_path: Path) -> None:
    (tmp_path / "hooks.yaml").write_text(SOUND)
    assert main(tmp_path, CDKS_OWN, str(tmp_path / "out")) == 0


def test_every_problem_is_told_at_once(refusal: Refusal) -> None:
    said = refusal.of(SOUND.replace("5m", "5s").replace("sqs", "email").replace("web\n", "'a:b'\n"), {})
    assert [line.split(":")[1] for line in said] == ["10", "12", "13"]


def test_what_is_sound_is_synthesised(tmp_path: Path) -> None:
    """Else everything above would hold for an app that makes nothing."""
    (tmp_path / "hooks.yaml").write_text(SOUND)
    assert main(tmp_path, {"aws:cdk:bundling-stacks": []}, str(tmp_path / "out")) == 0
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
