from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from usher.core.wait_moves import WAIT_MOVES
from usher_cli.check import check

if TYPE_CHECKING:
    from click.testing import Result

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "hooks.yaml"
REFERENCE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

FULL = """\
version: 1
policies:
  drain:
    until: [{elapsed: 90s}, {signal: jobs-finished}]
    give_up_after: 45m
    on_failure: CONTINUE
    stalled_after: 10m
    mode: observe
  go: {until: []}
hooks:
  - name: usher-drain
    group: workers-*
    transition: terminating
    heartbeat_timeout: 5m
    notify: eventbridge
    metadata: owner=[red]jobs[/red]
    limits: {abandon_per_hour: 5, complete_per_minute: 20}
    policy:
      - when: {destination: WarmPool, group: "*-a"}
        use: go
      - use: drain
"""
A = "{name: a, group: web, transition: launching, policy: p}"
B = "{name: b, group: web, transition: launching, policy: p}"
LETS_GO = A.replace("launching", "terminating")
GO = "{until: []}"
ASKS = "{until: [{signal: x}]}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hooks.yaml"


def run(*arguments: object, **environment: str | None) -> Result:
    env = {"NO_COLOR": None, "FORCE_COLOR": None, "TERM": "xterm-256color", **environment}
    return CliRunner(env=env).invoke(check, [str(argument) for argument in arguments])


def hooks_text(*hooks: str, **policies: str) -> str:
    lines = [f"  {name}: {policy}" for name, policy in policies.items()]
    return "\n".join(["version: 1", "policies:", *lines, "hooks:", *(f"  - {hook}" for hook in hooks), ""])


def warned(file: Path, text: str) -> list[str]:
    file.write_text(text)
    result = run(file)
    assert result.exit_code == 0
    return [line.removeprefix(f"{file}:") for line in result.stderr.splitlines()]


def test_the_example_is_sound_and_raises_no_warning() -> None:
    result = run(EXAMPLE)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith(f"{EXAMPLE} is valid. Hooks: 2. Policies: 3.\n")


LIMITS = "limits: 5 ABANDON per hour and 20 results per minute; further results are held back"


def test_each_of_several_files_is_checked_and_one_invalid_one_counts(file: Path) -> None:
    file.write_text("version: 2\n")
    result = run(file, EXAMPLE)

    assert result.exit_code == 2
    assert result.stderr.endswith(f"{file} is invalid. Correct it, then run: usher check {file}\n")
    assert result.stdout.endswith(f"{EXAMPLE} is valid. Hooks: 2. Policies: 3.\n")
    assert run(EXAMPLE, EXAMPLE).exit_code == 0


def test_json_is_of_one_file() -> None:
    result = run("--json", EXAMPLE, EXAMPLE)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--json takes one FILE." in result.stderr


def test_each_hook_is_described(file: Path) -> None:
    file.write_text(FULL.replace("eventbridge", "sns"))

    assert (
        run(file).stdout
        == f"""\
usher-drain: holds terminating instances of every group that matches workers-*
  heartbeat timeout 5m, so no wait lasts longer than 8h20m
  if the call budget allows, a heartbeat is sent every 4m35s, 25s before the expiry
  AWS notifies by sns; the default result is ABANDON
  metadata "owner=[red]jobs[/red]"
  {LIMITS}, until 8h19m35s after the start
  if destination is WarmPool and group is *-a, policy go:
    waits for nothing: CONTINUE at the first evaluation
  otherwise policy drain:
    OBSERVE ONLY: decides and records as below, and calls nothing
    waits for elapsed 1m30s and signal jobs-finished, then CONTINUE
    CONTINUE if a condition fails permanently
    CONTINUE after 10m without a progress signal
    CONTINUE if EC2 reports the instance as stopped, in an ordinary termination
    gives up after 45m: ABANDON

{file} is valid. Hooks: 1. Policies: 2.
"""
    )


@pytest.mark.parametrize(
    ("hook", "policy", "line"),
    [
        pytest.param(
            A,
            ASKS,
            "    gives up after 47h50m (shortly before the global timeout): ABANDON",
            id="no give_up_after",
        ),
        pytest.param(
            "{name: a, group: web, transition: launching, policy: p, heartbeat_timeout: 30s}",
            "{until: [{signal: x}], give_up_after: 50m, on_give_up: CONTINUE}",
            "    gives up after 49m50s (not 50m: too close to the global timeout): CONTINUE",
            id="a give_up_after at the limit",
        ),
        pytest.param(A, GO, "a: holds launching instances of the group web", id="a group by name"),
        pytest.param(
            "{name: a, group: {tags: {team: web, env: x}}, transition: launching, policy: p}",
            GO,
            "a: holds launching instances of every group with the tags env=x, team=web",
            id="groups by tags",
        ),
        pytest.param(A, GO, "  no limit on its results", id="no limits"),
        pytest.param(A, GO, "  policy p:", id="one policy for all"),
    ],
)
def test_what_a_hook_will_do_is_told_as_it_will_be(file: Path, hook: str, policy: str, line: str) -> None:
    file.write_text(hooks_text(hook, p=policy))

    assert line in run(file).stdout.splitlines()


LAUNCH = "{name: a, group: web, transition: launching, policy: p, limits: {abandon_per_hour: 1}}"
OWN_ADDED = (
    "    note: Auto Scaling adds the instance to its group's own target groups only after this hook, so "
    "waiting for one of them never ends"
)
OWN_TAKEN = (
    "    note: Auto Scaling removes the instance from its group's own target groups before this hook, so in "
    "those it is always drained"
)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        pytest.param("instance_status: ok", "instance_status ok", id="instance_status"),
        pytest.param("function: f", "function f to say done, asked every 30s", id="function"),
        pytest.param(
            "function: {name: f, every: 2m}", "function f to say done, asked every 2m", id="function, slower"
        ),
        pytest.param(
            "ecs: {state: active, grace: 9m}",
            "ecs active (in no cluster after 9m: failed)",
            id="ecs active",
        ),
        pytest.param(
            "targets: {groups: [x, y], state: healthy}", "targets healthy in x and y", id="targets healthy"
        ),
        pytest.param("any: [signal: x, elapsed: 5m]", "(signal x or elapsed 5m)", id="any"),
        pytest.param("not: {signal: x}", "not signal x", id="not"),
        pytest.param(
            "{function: f, then: [function: g, signal: x]}",
            "(function f to say done, asked every 30s, then function g to say done, asked every 30s, then "
            "signal x)",
            id="then",
        ),
    ],
)
def test_what_a_launch_waits_for_is_told_in_words(file: Path, condition: str, words: str) -> None:
    file.write_text(hooks_text(LAUNCH, p=f"{{until: [{condition}, elapsed: 1s]}}"))

    result = run(file)

    assert f"    waits for {words} and elapsed 1s, then CONTINUE" in result.stdout.splitlines()
    assert (OWN_ADDED in result.stdout.splitlines()) is words.startswith("targets")
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        pytest.param("ecs: drained", "ecs drained (in no cluster after 2m: drained)", id="ecs drained"),
        pytest.param(
            "ecs: {state: drained, cluster: blue, absent: failed, grace: 1m}",
            "ecs drained in blue (in no cluster after 1m: failed)",
            id="ecs drained, in full",
        ),
        pytest.param("targets: {groups: [x], state: drained}", "targets drained in x", id="targets drained"),
        pytest.param("command: {document: run}", "command run to succeed within 10m", id="command"),
        pytest.param(
            "{ecs: drained, then: {command: {document: run, timeout: 5m}}}",
            "(ecs drained (in no cluster after 2m: drained), then command run to succeed within 5m)",
            id="then",
        ),
        pytest.param(
            "not: {targets: {groups: [x], state: healthy}}", "not targets healthy in x", id="not healthy"
        ),
    ],
)
def test_what_a_termination_waits_for_is_told_in_words(file: Path, condition: str, words: str) -> None:
    file.write_text(hooks_text(LETS_GO, p=f"{{until: [{condition}]}}"))

    result = run(file)

    assert f"    waits for {words}, then CONTINUE" in result.stdout.splitlines()
    assert (OWN_TAKEN in result.stdout.splitlines()) is ("targets" in words)
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ("{abandon_per_hour: 5}", "5 ABANDON per hour"),
        ("{complete_per_minute: 20}", "20 results per minute"),
    ],
)
def test_one_limit_is_told_alone(file: Path, limits: str, words: str) -> None:
    file.write_text(hooks_text(A.replace("policy: p", f"policy: p, limits: {limits}"), p=GO))

    line = f"  limits: {words}; further results are held back, until 47h55m after the start"
    assert line in run(file).stdout.splitlines()


@pytest.mark.parametrize(
    ("limits", "give_up_after", "covered", "scope"),
    [
        # 48 h less 5 minutes, in rounds of two hours and a minute
        pytest.param("{at_once: 1}", "2h", 23, "of each group", id="one after the other"),
        pytest.param("{at_once: 3, at_once_per: hook}", "2h", 69, "of all its groups together", id="three"),
        pytest.param("{at_once: 2}", "47h54m", 2, "of each group", id="one round: just so"),
        pytest.param("{at_once: 2}", "24h", 2, "of each group", id="one round, and no second one"),
    ],
)
def test_how_long_a_queue_the_global_timeout_covers(
    file: Path, limits: str, give_up_after: str, covered: int, scope: str
) -> None:
    hook = A.replace("policy: p", f"policy: p, limits: {limits}")
    file.write_text(hooks_text(hook, p=f"{{until: [{{signal: x}}], give_up_after: {give_up_after}}}"))

    lines = run(file).stdout.splitlines()

    assert any(line.startswith("  at once: ") and f" {scope};" in line for line in lines)
    told = f"    if each takes all that time, {covered} that begin together get their turn before the global"
    assert any(line.startswith(told) for line in lines)
    assert json.loads(run("--json", file).stdout)["hooks"][0]["rules"][0]["queue_covered"] == covered


def test_what_waits_for_nothing_needs_no_turn(file: Path) -> None:
    file.write_text(hooks_text(A.replace("policy: p", "policy: p, limits: {at_once: 1}"), p=GO))
    assert json.loads(run("--json", file).stdout)["hooks"][0]["rules"][0]["queue_covered"] is None


def test_json_has_every_effective_value_in_seconds(file: Path) -> None:
    file.write_text(FULL.replace("heartbeat_timeout: 5m", "heartbeat_timeout: 10m1s"))

    found: Any = json.loads(run("--json", file).stdout)

    assert found == {
        "file": str(file),
        "hooks": [
            {
                "name": "usher-drain",
                "group": "workers-*",
                "tags": {},
                "transition": "terminating",
                "heartbeat_timeout_seconds": 601,
                "global_timeout_seconds": 60_100,
                "heartbeat_every_seconds": 550.916667,
                "default_result": "ABANDON",
                "notify": "eventbridge",
                "metadata": "owner=[red]jobs[/red]",
                "limits": {
                    "abandon_per_hour": 5,
                    "complete_per_minute": 20,
                    "at_once": None,
                    "at_once_per": "group",
                },
                "rules": [
                    {
                        "when": {"destination": "WarmPool", "group": "*-a"},
                        "policy": "go",
                        "mode": "enforce",
                        "until": [],
                        "on_success": "CONTINUE",
                        "on_failure": "ABANDON",
                        "when_stopped": "end",
                        "stalled_after_seconds": None,
                        "give_up_after_seconds": 59_500,
                        "on_give_up": "ABANDON",
                        "queue_covered": None,
                    },
                    {
                        "when": {},
                        "policy": "drain",
                        "mode": "observe",
                        "until": [{"elapsed": "90s"}, {"signal": "jobs-finished"}],
                        "on_success": "CONTINUE",
                        "on_failure": "CONTINUE",
                        "when_stopped": "end",
                        "stalled_after_seconds": 600,
                        "give_up_after_seconds": 2700,
                        "on_give_up": "ABANDON",
                        "queue_covered": None,
                    },
                ],
            }
        ],
        "warnings": [],
    }


def test_json_has_the_warnings_too(file: Path) -> None:
    file.write_text(hooks_text(p="{until: []}").replace("hooks:", "hooks: []"))

    result = run(file, "--json")

    assert json.loads(result.stdout)["warnings"] == [
        {"line": 3, "warning": "no hook uses the policy p"},
        {"line": 4, "warning": "there is no hook, so Usher holds nothing"},
    ]
    assert result.stderr.splitlines()[0] == f"{file}:3: warning: no hook uses the policy p"


TWO_BY_TAGS = (
    "6: warning: hook a is defined for tags team=web and for tags env=prod: a group that matches both "
    "gets neither"
)
BY_TAGS = "group: {tags: {team: web}}"


WARNED = [
    pytest.param(
        hooks_text(A, p=GO, spare=GO), ["4: warning: no hook uses the policy spare"], id="an unused policy"
    ),
    pytest.param(
        hooks_text(A, p="{until: [{elapsed: 46m}], give_up_after: 45m}"),
        ["5: warning: a with p: elapsed 46m never holds, since it gives up after 45m"],
        id="elapsed beyond give_up_after",
    ),
    pytest.param(
        hooks_text(A, p="{until: [{elapsed: 48h}]}"),
        ["5: warning: a with p: elapsed 48h never holds, since it gives up after 47h50m"],
        id="elapsed beyond the default patience",
    ),
    pytest.param(
        hooks_text(A, p="{until: [{signal: x}], give_up_after: 45m, stalled_after: 45m}"),
        ["5: warning: a with p: stalled_after 45m never applies, since it gives up after 45m"],
        id="stalled_after not shorter than patience",
    ),
    pytest.param(
        hooks_text(
            A.replace("group: web", BY_TAGS),
            A.replace("group: web", "group: {tags: {env: prod}}"),
            p=GO,
        ),
        [TWO_BY_TAGS],
        id="one name for two hooks by tags",
    ),
    pytest.param(
        hooks_text(A.replace("web", "'web-*'"), A.replace("group: web", BY_TAGS), p=GO),
        [
            (
                "6: warning: hook a is defined for web-* and for tags team=web: a group that matches both "
                "gets neither"
            ),
        ],
        id="one name by a glob and by tags",
    ),
    pytest.param(
        hooks_text(A.replace("web", "'web-[12]?'"), p=GO),
        ["5: warning: in web-[12]? only * is a wildcard: ? and [ must be part of the group's name"],
        id="wildcards of other programs",
    ),
    pytest.param(
        hooks_text(A, p="{until: [{elapsed: 90s}, {signal: x}, {elapsed: 1m30s}]}"),
        ["3: warning: p already has elapsed 1m30s"],
        id="a condition twice",
    ),
    pytest.param(
        hooks_text(A, p="{until: [{signal: x}, {any: [{elapsed: 1m}, {signal: x}]}]}"),
        ["3: warning: p already has signal x"],
        id="a condition twice, once in an any",
    ),
    pytest.param(
        hooks_text(A, p="{until: [{not: {function: f}}, {function: f, then: {signal: x}}, {function: f}]}"),
        ["3: warning: p already has function f to say done, asked every 30s"] * 2,
        id="a condition three times, in a not and before a then",
    ),
    pytest.param(
        hooks_text(LETS_GO, p="{until: [{command: {document: run}}, {command: {document: run}}]}"),
        ["3: warning: p already has command run to succeed within 10m, and starts it once"],
        id="a command twice",
    ),
    pytest.param(
        hooks_text(A, p="{until: [{command: {document: run, timeout: 5m}}]}"),
        [
            (
                "5: warning: a with p: command run runs only once the SSM agent of the new instance is "
                "registered, which is waited for until its timeout of 5m is over"
            ),
        ],
        id="a command on a launch",
    ),
    pytest.param(
        hooks_text(LETS_GO, p="{until: [{any: [{instance_status: ok}, {ecs: active}]}]}"),
        [
            "5: warning: a with p: waits for instance_status ok although the instance is terminating",
            (
                "5: warning: a with p: waits for ecs active (in no cluster after 2m: failed) although the "
                "instance is terminating"
            ),
        ],
        id="what is for launches, on a termination",
    ),
    pytest.param(
        hooks_text(LETS_GO, p="{until: [{targets: {groups: [x], state: healthy}}]}"),
        ["5: warning: a with p: waits for targets healthy in x although the instance is terminating"],
        id="healthy on a termination",
    ),
    pytest.param(
        hooks_text(A, p="{until: [{function: {name: f, every: 1h}}], give_up_after: 1h}"),
        [
            (
                "5: warning: a with p: function f every 1h may be asked only once (every 1h), because it "
                "gives up after 1h"
            ),
        ],
        id="a function asked too seldom",
    ),
    pytest.param(
        hooks_text(A, p="{until: [{instance_status: ok}], give_up_after: 30s}"),
        [
            (
                "5: warning: a with p: instance_status ok may be asked only once (every 30s), because it "
                "gives up after 30s"
            ),
        ],
        id="a patience shorter than the interval",
    ),
    pytest.param(
        hooks_text(LETS_GO, p="{until: [{command: {document: run}}], give_up_after: 5m}"),
        ["5: warning: a with p: command run may take 10m, and it gives up after 5m"],
        id="a command that may take longer than the patience",
    ),
    pytest.param(
        hooks_text(LETS_GO, p="{until: [{ecs: {state: drained, grace: 5m}}], give_up_after: 5m}"),
        [
            (
                "5: warning: a with p: an instance in no ECS cluster is waited for until 5m are over, and it "
                "gives up after 5m"
            ),
        ],
        id="a grace that the patience does not reach",
    ),
    pytest.param(
        hooks_text(A, p="{until: [{function: f, then: {elapsed: 2h}}], give_up_after: 1h}"),
        ["5: warning: a with p: elapsed 2h never holds, since it gives up after 1h"],
        id="elapsed beyond the patience, in a then",
    ),
    pytest.param(
        "version: 1\npolicies: {}\nhooks: []\n",
        ["3: warning: there is no hook, so Usher holds nothing"],
        id="no hooks",
    ),
]


@pytest.mark.parametrize(("text", "expected"), WARNED)
def test_what_is_probably_not_meant_is_warned_of(file: Path, text: str, expected: list[str]) -> None:
    assert warned(file, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            hooks_text(A, p="{until: [{elapsed: 45m}], give_up_after: 45m}"), id="elapsed just holds"
        ),
        pytest.param(
            hooks_text(A, p="{until: [{signal: x}], give_up_after: 45m, stalled_after: 44m59s}"),
            id="stalls just",
        ),
        pytest.param(hooks_text(A, p="{until: [], stalled_after: 48h}"), id="nothing to wait for"),
        pytest.param(hooks_text(A, B, p=ASKS), id="a signal twice: both hear it"),
        pytest.param(
            hooks_text(A, B.replace("policy: p", "policy: q"), p=ASKS, q="{until: [{signal: y}]}"),
            id="two signals",
        ),
        pytest.param(
            hooks_text(
                A.replace("group: web", "group: {tags: {team: web}}"),
                A.replace("group: web", "group: {tags: {team: api}}"),
                p=ASKS,
            ),
            id="tags that contradict",
        ),
        pytest.param(
            hooks_text(
                A.replace("group: web", BY_TAGS),
                A.replace("group: web", "group: {tags: {env: prod}}").replace("launching", "terminating"),
                p=ASKS,
            ),
            id="one name by tags for two transitions",
        ),
        pytest.param(hooks_text(A, p="{until: [{elapsed: 1m}, {elapsed: 2m}]}"), id="two times"),
        pytest.param(hooks_text(A, p=ASKS), id="no on_give_up"),
        pytest.param(
            hooks_text(A, p="{until: [{any: [{signal: x}, {elapsed: 2h}]}], give_up_after: 1h}"),
            id="an elapsed of which another condition may stand in",
        ),
        pytest.param(
            hooks_text(LETS_GO, p="{until: [{command: {document: run, timeout: 5m}}], give_up_after: 5m}"),
            id="a command that may take all of the patience",
        ),
        pytest.param(
            hooks_text(A, p="{until: [{function: {name: f, every: 59m}}], give_up_after: 1h}"),
            id="a function asked twice",
        ),
        pytest.param(
            hooks_text(LETS_GO, p="{until: [{not: {targets: {groups: [x], state: healthy}}}]}"),
            id="not healthy on a termination",
        ),
        pytest.param(
            hooks_text(LETS_GO, p="{until: [{command: {document: run}}, {command: {document: end}}]}"),
            id="two commands",
        ),
    ],
)
def test_what_may_well_be_meant_is_not_warned_of(file: Path, text: str) -> None:
    assert list(warned(file, text)) == []


def with_metadata(written: str) -> str:
    return A.replace("}", f", metadata: {written}}}")


def with_rule(when: str, hook: str = A) -> str:
    return hooks_text(hook.replace("policy: p", f"policy: [{{when: {when}, use: p}}, {{use: p}}]"), p=GO)


@pytest.mark.parametrize(
    ("when", "hook", "why"),
    [
        pytest.param("{transition: terminating}", A, "the hook holds launching instances", id="transition"),
        pytest.param("{group: api-*}", A, "no group matches both web and api-*", id="group"),
        pytest.param(
            "{after: launch_failed}",
            A,
            "after: launch_failed applies to terminating instances only",
            id="after",
        ),
        pytest.param(
            "{after: launch_failed, origin: EC2}",
            LETS_GO,
            "no terminating instance has origin EC2",
            id="after a launch, from EC2",
        ),
        pytest.param("{destination: EC2}", A, "no launching instance has destination EC2", id="destination"),
        pytest.param(
            "{origin: AutoScalingGroup, destination: WarmPool}",
            A,
            "no launching instance has origin AutoScalingGroup and destination WarmPool",
            id="a move of the other transition",
        ),
        pytest.param(
            "{origin: WarmPool, destination: AutoScalingGroup}",
            LETS_GO,
            "no terminating instance has origin WarmPool and destination AutoScalingGroup",
            id="a move of the other transition, terminating",
        ),
        pytest.param(
            "{metadata: owner=web}",
            with_metadata("owner=jobs"),
            "the hook has other metadata",
            id="metadata",
        ),
        pytest.param(
            "{metadata: {role: db}}",
            with_metadata('\'{"role": "web"}\''),
            "the metadata of the hook has no db at the key role",
            id="a key of the metadata",
        ),
    ],
)
def test_a_rule_that_can_never_fit_is_warned_of(file: Path, when: str, hook: str, why: str) -> None:
    assert warned(file, with_rule(when, hook)) == [f"5: warning: a rule of a never matches: {why}"]


FITTING = [
    *(
        pytest.param(
            f"{{origin: {move.origin}, destination: {move.destination}}}",
            A.replace("launching", move.transition),
            id=f"{move.transition}, {move.origin} to {move.destination}, {move.state}",
        )
        for move in WAIT_MOVES
    ),
    pytest.param("{transition: launching}", A, id="the hook's own transition"),
    pytest.param("{after: launch_failed, origin: AutoScalingGroup}", LETS_GO, id="after a failed launch"),
    pytest.param("{group: '*-a'}", A.replace("web", "'web-*'"), id="globs that meet"),
    pytest.param("{origin: WarmPool}", A, id="an origin alone"),
    pytest.param("{metadata: owner=web}", A, id="metadata that someone else may have put"),
    pytest.param("{metadata: owner=web}", with_metadata("owner=web"), id="the hook's own metadata"),
    pytest.param(
        "{metadata: {role: db}}", with_metadata('\'{"role": "db"}\''), id="a key of its own metadata"
    ),
]


@pytest.mark.parametrize(("when", "hook"), FITTING)
def test_a_rule_that_may_fit_is_not_warned_of(file: Path, when: str, hook: str) -> None:
    assert warned(file, with_rule(when, hook)) == []


@pytest.mark.parametrize(
    ("when", "asks"),
    [
        ("{availability_zone: us-east-1a}", True),
        ("{instance_type: 'c7g.*'}", True),
        ("{tags: {role: db}}", True),
        ("{metadata: {role: db}}", False),
    ],
)
def test_a_hook_whose_rules_need_ec2_says_that_it_is_asked(file: Path, when: str, asks: bool) -> None:
    file.write_text(with_rule(when))
    told = CliRunner().invoke(check, [str(file)]).stdout
    assert ("asks EC2 about each instance once" in told) is asks


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ("{tag: {role: db}}", "when.tag: is not a known key here"),
        ("{tags: db}", "when.tags: must"),
        ("{tags: {}}", "when.tags: must name at least one tag"),
        ("{tags: {role: 1}}", "when.tags.role: must be a tag value"),
        ("{availability_zone: US EAST}", "must be the name of an Availability Zone"),
        ("{instance_type: [c7g.large]}", "must be an instance type"),
    ],
)
def test_what_no_instance_can_have_is_refused_with_its_line(file: Path, when: str, problem: str) -> None:
    file.write_text(with_rule(when))
    refused = CliRunner().invoke(check, [str(file)])
    assert refused.exit_code == 2
    assert f"{file}:5: " in refused.stderr
    assert problem in refused.stderr


def test_a_wildcard_of_other_programs_in_a_rule_is_warned_of(file: Path) -> None:
    text = with_rule("{group: 'web-?'}", A.replace("web", "'web-*'"))

    expected = "5: warning: in web-? only * is a wildcard: ? must be part of the group's name"
    assert warned(file, text) == [expected]


def test_the_moves_are_those_that_the_reference_tells() -> None:
    rows = re.findall(r"^\| .* \| ([a-z, ]+) \| `(\w+)` \| `(\w+)` \|$", REFERENCE, re.MULTILINE)
    told = {
        (transition, origin, destination)
        for transitions, origin, destination in rows
        for transition in transitions.split(", then ")
    }

    assert told == {(move.transition, move.origin, move.destination) for move in WAIT_MOVES}


def test_nothing_of_the_references_example_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a name the file is hooks.yaml."""
    monkeypatch.chdir(tmp_path)
    Path("hooks.yaml").write_text(REFERENCE.partition("```yaml\n")[2].partition("```")[0])

    result = run()

    assert (result.stderr, "\nhooks.yaml is valid." in result.stdout) == ("", True)


def test_a_policy_in_two_rules_of_a_hook_is_warned_of_once(file: Path) -> None:
    rules = "[{when: {origin: EC2}, use: p}, {when: {origin: WarmPool}, use: p}, {use: p}]"
    text = hooks_text(A.replace("policy: p", f"policy: {rules}"), p="{until: [{elapsed: 48h}]}")

    assert len(warned(file, text)) == 1


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_bad_file_exits_2_with_every_complaint_and_what_to_do(file: Path, options: tuple[str, ...]) -> None:
    file.write_text(FULL.replace("version: 1", "version: 7").replace("elapsed: 90s", "elapsed: 90"))

    result = run(*options, file)

    assert (result.exit_code, bool(result.stdout)) == (2, bool(options))
    *complaints, next_step = result.stderr.splitlines()
    assert [line.removeprefix(f"{file}:").split(": must")[0] for line in complaints] == [
        "1: version",
        "4: policies.drain.until[0].elapsed",
        "15: hooks[0].notify",
    ]
    assert next_step == f"{file} is invalid. Correct it, then run: usher check {file}"


def test_json_of_a_bad_file_has_every_problem(file: Path) -> None:
    file.write_text(FULL.replace("elapsed: 90s", "elapsed: 90").replace("policy:", "policies:"))

    result = run("--json", file)

    assert result.exit_code == 2
    found = json.loads(result.stdout)
    assert (list(found), found["file"]) == (["file", "problems"], str(file))
    assert [list(problem) for problem in found["problems"]] == [
        ["file", "line", "field", "rule", "value"]
    ] * 4
    assert found["problems"][0] == {
        "file": str(file),
        "line": 4,
        "field": "policies.drain.until[0].elapsed",
        "rule": "must be a duration from 1s to 48h, such as 90s or 1h30m",
        "value": "90",
    }
    told = [f"{one['line']}: {one['field']}: {one['rule']}, got {one['value']}" for one in found["problems"]]
    assert told == [line.removeprefix(f"{file}:") for line in result.stderr.splitlines()[:-1]]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("", (None, None, "is empty: it must have version, policies, hooks", None), id="empty"),
        pytest.param("~", (1, "the file", "must be a mapping", None), id="nothing"),
    ],
)
def test_json_of_a_file_that_cannot_be_looked_into_says_so(
    file: Path, content: str, expected: tuple[int | None, str | None, str, str | None]
) -> None:
    file.write_text(content)

    (problem,) = json.loads(run("--json", file).stdout)["problems"]

    assert tuple(problem.values()) == (str(file), *expected)


def test_a_missing_file_exits_2(tmp_path: Path) -> None:
    result = run(tmp_path / "lost.yaml")

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"{tmp_path}/lost.yaml: cannot be read: No such file or directory",
        f"To draft one from the groups of an account, run: usher init --output {tmp_path}/lost.yaml",
    ]


def test_a_terminal_gets_colours(file: Path) -> None:
    file.write_text(FULL.replace("eventbridge", "sns"))

    assert "\x1b[36musher-drain" in run(file, FORCE_COLOR="1").stdout


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="in a pipe"),
        pytest.param({"NO_COLOR": "1", "FORCE_COLOR": "1"}, id="with NO_COLOR"),
    ],
)
@pytest.mark.parametrize("text", [FULL, FULL.replace("eventbridge", "sns")], ids=["bad", "sound"])
def test_elsewhere_it_is_plain(file: Path, text: str, environment: dict[str, str]) -> None:
    file.write_text(text)

    assert "\x1b" not in run(file, **environment).output


def test_help_shows_two_examples() -> None:
    assert "    usher check\n    usher check --json staging/hooks.yaml\n" in run("--help").stdout


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("ecs-managed-draining-termination-hook", "Amazon ECS"),
        ("CodeDeploy-managed-automatic-launch-deployment-hook-dev-16355e62", "AWS CodeDeploy"),
    ],
)
def test_the_name_of_a_hook_that_another_service_runs_is_warned_of(
    file: Path, name: str, service: str
) -> None:
    (said,) = warned(file, hooks_text(A.replace("name: a", f"name: {name}"), p="{until: []}"))
    assert said.endswith(f"warning: {service} uses hooks named {name}: give yours another name")
