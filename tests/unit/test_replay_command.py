"""`usher replay` as a user meets it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from usher_cli.main import main
from usher_simulator.replay.fleet_day import write_day

if TYPE_CHECKING:
    from click.testing import Result

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "usher_cli" / "sample"
HOOKS = str(SAMPLE / "hooks.yaml")
DAY = str(SAMPLE / "fleet-day.jsonl")


def usher(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin)


def as_json(*arguments: str, stdin: str | None = None) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        usher("replay", "--hooks", HOOKS, "--json", *arguments, stdin=stdin).stdout
    )
    return told


def test_the_recorded_day_is_what_its_generator_writes() -> None:
    assert Path(DAY).read_text() == write_day()


def test_the_json_report_has_the_documented_shape() -> None:
    data = as_json(DAY)
    assert list(data) == ["summary", "actions", "tests", "unmatched", "unheard", "ignored", "rejected"]
    assert data["unmatched"] == data["unheard"]
    assert list(data["summary"]) == [
        "received", "lifecycle", "test", "outcome", "signal", "call", "ignored", "duplicate", "rejected",
        "actions", "heartbeats", "defaulted", "unknown_signals",
    ]  # fmt: skip
    assert set(data["actions"][0]) == {
        "token", "group", "hook", "instance_id", "transition", "origin", "destination", "policy", "outcome",
        "result", "reason", "heartbeats", "started_at", "first_seen_at", "closed_at", "received_by",
        "timeline",
    }  # fmt: skip
    started = [action["started_at"] for action in data["actions"]]
    assert started == sorted(started)
    assert all(moment.endswith("Z") and len(moment) == len("2026-03-01T12:00:00.000Z") for moment in started)
    kinds = ("lifecycle", "test", "outcome", "signal", "ignored", "duplicate", "rejected")
    assert data["summary"]["received"] == sum(data["summary"][kind] for kind in kinds) == 80


def test_standard_input_is_read_like_a_file() -> None:
    assert as_json("-", stdin=Path(DAY).read_text())["summary"] == as_json(DAY)["summary"]


def test_standard_input_may_be_one_json_value() -> None:
    body = json.loads(Path(DAY).read_text().splitlines()[0])["body"]
    assert as_json("-", stdin=json.dumps([body, body], indent=1))["summary"]["received"] == 2


@pytest.mark.parametrize("text", ["{", '{"LifecycleTransition": 1}', "[1, 2]", '"text"', "null", "{}"])
def test_what_is_rejected_is_named_and_makes_exit_code_1(text: str) -> None:
    outcome = usher("replay", "-", "--hooks", HOOKS, "--json", stdin=text)
    assert outcome.exit_code == 1
    told = json.loads(outcome.stdout)
    assert told["summary"]["rejected"] == len(told["rejected"]) > 0
    assert all(place["source"].startswith("-") and place["reason"] for place in told["rejected"])


def test_a_bad_entry_stops_none_of_the_others() -> None:
    lines = Path(DAY).read_text().splitlines()
    lines.insert(10, lines[10][:-40])
    outcome = usher("replay", "-", "--hooks", HOOKS, "--json", stdin="\n".join(lines))
    told = json.loads(outcome.stdout)
    assert outcome.exit_code == 1
    assert [place["source"] for place in told["rejected"]] == ["-:11"]
    assert told["summary"]["received"] == 81
    assert told["summary"]["actions"] == 15


def test_nothing_at_all_is_replayed_to_nothing() -> None:
    assert as_json("-", stdin="")["summary"]["received"] == 0


def test_nothing_on_standard_input_is_said_on_stderr() -> None:
    outcome = usher("replay", "-", "--hooks", HOOKS, stdin="")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr == "Standard input contains no message.\n"


NONE_BEGINS = "no file in it begins like JSON, a log or a table of messages"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("empty/", f"{{}} contains no message: {NONE_BEGINS}.", id="empty"),
        pytest.param("notes/", f"{{}} contains no message: {NONE_BEGINS}.", id="others"),
        pytest.param("empty.json", "{} contains no message.", id="an empty file"),
        pytest.param("empty.jsonl", "{} contains no message.", id="an empty file of lines"),
    ],
)
def test_a_path_that_holds_nothing_is_named_on_stderr(tmp_path: Path, name: str, said: str) -> None:
    for folder in ("empty", "notes"):
        (tmp_path / folder).mkdir()
    for file in ("notes/notes.txt", "empty.json", "empty.jsonl"):
        (tmp_path / file).touch()
    path = f"{tmp_path}/{name}"

    outcome = usher("replay", path, "--hooks", HOOKS)

    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr == f"{said.format(path)}\n"


def test_an_empty_path_beside_a_full_one_is_named_and_the_other_is_told(tmp_path: Path) -> None:
    outcome = usher("replay", str(tmp_path), DAY, "--hooks", HOOKS)

    assert outcome.exit_code == 1
    assert outcome.stderr.startswith(f"{tmp_path} contains no message")
    assert "80 messages" in outcome.stdout


def other_hooks(tmp_path: Path) -> str:
    """A hooks file of which no hook is in the recorded day."""
    hooks = tmp_path / "other.yaml"
    hooks.write_text(
        "version: 1\npolicies: {p: {until: []}}\n"
        "hooks: [{name: h, group: g, transition: launching, policy: p}]\n"
    )
    return str(hooks)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_where_no_message_led_to_an_action_the_hooks_file_is_asked_after(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    hooks = other_hooks(tmp_path)
    outcome = usher("replay", DAY, "--hooks", hooks, *options)
    assert outcome.exit_code == 0
    assert outcome.stderr == f"No action: no message belongs to a hook in {hooks}. Check --hooks.\n"


@pytest.mark.parametrize("stdin", ["", "{", Path(DAY).read_text()], ids=["nothing", "not JSON", "actions"])
def test_elsewhere_the_hooks_file_is_not_asked_after(stdin: str) -> None:
    assert "Check --hooks" not in usher("replay", "-", "--hooks", HOOKS, stdin=stdin).stderr


def test_equal_reasons_to_ignore_are_told_once_with_their_count(tmp_path: Path) -> None:
    hooks = other_hooks(tmp_path)
    told = json.loads(usher("replay", DAY, "--hooks", hooks, "--json").stdout)
    lines = [
        line
        for line in usher("replay", DAY, "--hooks", hooks).stdout.splitlines()
        if line.startswith("ignored ")
    ]

    assert len(told["ignored"]) == told["summary"]["ignored"] == 45
    assert len(lines) == len({place["reason"] for place in told["ignored"]})
    counts = [int(more) + 1 for line in lines for more in re.findall(r" and (\d+) more: ", line)]
    assert sum(counts) + sum(" more: " not in line for line in lines) == 45


def test_no_actions_make_no_table(tmp_path: Path) -> None:
    *_, before, last = usher("replay", DAY, "--hooks", other_hooks(tmp_path)).stdout.splitlines()
    assert before == ""
    assert last.startswith("80 messages (")
    assert last.endswith(
        ") → 0 actions, 0 heartbeats, none got its default result, 35 signals that no action waits for."
    )


def test_the_summary_is_whole_at_any_width_of_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = usher("replay", DAY, "--hooks", HOOKS).stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("hook "))
    assert [" ".join(line.split()) for line in lines[start:]] == [
        "hook policy actions CONTINUE ABANDON elsewhere default heartbeats held",
        "jobs-drain finish-jobs 6 6 0 0 0 26 3h30m",
        "jobs-drain park 1 1 0 0 0 0 1s",
        "web-drain cool-down 3 3 0 0 0 12 1m30s",
        "web-drain park 1 1 0 0 0 0 0s",
        "web-gate gate-launch 4 3 1 0 0 0 3m36s",
        "",
        (
            "80 messages (15 lifecycle, 16 duplicate, 3 test, 8 outcome, 35 signal, 3 ignored) → 15 actions, "
            "38 heartbeats, none got its default result."
        ),
    ]


def test_the_first_example_of_the_help_runs_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example, *_ = re.findall(r"^ +usher (replay .*)$", usher("replay", "--help").stdout, re.MULTILINE)
    outcome = usher(*shlex.split(example))
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert "15 actions" in outcome.stdout


def test_the_sample_is_replayed_under_another_hooks_file_where_one_is_named() -> None:
    outcome = usher("replay", "--sample", "--hooks", str(ROOT / "hooks.yaml"))
    assert (outcome.exit_code, "0 actions" in outcome.stdout) == (0, True)


def test_the_help_tells_each_command_in_a_whole_sentence() -> None:
    commands = usher("--help").stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in commands] == sorted(main.list_commands(click.Context(main)))
    assert all(line.endswith(".") and not line.endswith("...") for line in commands)


def in_a_shell(redirected: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A whole `usher replay` of the recorded day in a process of its own, with streams as given."""
    args = ["replay", "--hooks", HOOKS]
    run = f"from usher_cli.main import main; main(prog_name='usher', args={args} + argv[1:])"
    return subprocess.run(  # noqa: S603 - our own command
        ["/bin/sh", "-c", f'"$0" -c "$1" {redirected}', sys.executable, f"from sys import argv; {run}"],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}",
            **environment,
        },
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"PYTHONIOENCODING": "latin-1"}, id="Latin-1"),
        pytest.param({"LC_ALL": "C", "PYTHONUTF8": "0"}, id="ASCII"),
    ],
)
def test_what_the_output_cannot_show_becomes_a_question_mark(environment: dict[str, str]) -> None:
    outcome = in_a_shell(shlex.quote(DAY), **environment)
    assert (outcome.returncode, outcome.stderr) == (0, b"")
    assert b"3 ignored) ? 15 actions" in outcome.stdout


def test_a_closed_standard_input_is_wrong_usage() -> None:
    outcome = in_a_shell("- <&-")
    assert (outcome.returncode, outcome.stdout) == (2, b"")
    assert outcome.stderr.endswith(b"\nError: Standard input (-) is closed.\n")


def test_an_output_that_cannot_be_written_is_told_in_one_line() -> None:
    outcome = in_a_shell(f"{shlex.quote(DAY)} 1</dev/null")  # open, but for reading only
    assert outcome.returncode == 2
    assert outcome.stderr == b"usher: the output: Bad file descriptor\n"


def test_a_closed_output_is_told_and_is_no_success() -> None:
    outcome = in_a_shell(f"{shlex.quote(DAY)} --json >&-")
    assert outcome.returncode == 2
    assert outcome.stderr == b"usher: the output is closed; to discard it, redirect it to /dev/null\n"


@pytest.mark.parametrize("option", ["", "--json"])
def test_a_reader_that_has_seen_enough_hears_no_more_and_is_no_finding(option: str) -> None:
    outcome = to_nobody("replay", DAY, "--hooks", HOOKS, *option.split())
    assert (outcome.returncode, outcome.stderr) == (141, b"")


def test_a_reader_of_a_check_that_has_seen_enough_hears_no_more() -> None:
    outcome = to_nobody("check", HOOKS)
    assert (outcome.returncode, outcome.stderr) == (141, b"")


def to_nobody(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """A command whose output nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-c", "from usher_cli.main import main; main()", *arguments],
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}"},
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)


def copied(folder: Path) -> tuple[Path, Path]:
    """Messages and a hooks file that may be spoilt."""
    traffic, hooks = folder / "day.jsonl", folder / "hooks.yaml"
    traffic.write_text(Path(DAY).read_text().splitlines()[0])
    hooks.write_text(Path(HOOKS).read_text())
    return traffic, hooks


@pytest.mark.parametrize("inputs", ["day.jsonl", ".", "day.jsonl ."], ids=["a file", "a folder", "several"])
@pytest.mark.parametrize(
    "report_file",
    [
        pytest.param("day.jsonl", id="the messages"),
        pytest.param("hooks.yaml", id="the hooks file"),
        pytest.param("../case/day.jsonl", id="spelt otherwise"),
        pytest.param("link.html", id="a symbolic link"),
        pytest.param("hard.html", id="a hard link"),
        pytest.param("old.yaml", id="the other hooks file"),
    ],
)
def test_a_report_that_would_overwrite_an_input_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: str, report_file: str
) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    traffic, hooks = copied(folder)
    (folder / "old.yaml").write_text(hooks.read_text())
    (folder / "link.html").symlink_to(traffic)
    (folder / "hard.html").hardlink_to(traffic)
    before = traffic.read_text(), hooks.read_text()
    monkeypatch.chdir(folder)

    options = ("--hooks", "hooks.yaml", "--against", "old.yaml", "--report", report_file)
    outcome = usher("replay", *inputs.split(), *options)

    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert f"--report {report_file} is an input of this replay: use another file." in outcome.stderr
    assert (traffic.read_text(), hooks.read_text(), (folder / "old.yaml").read_text()) == (*before, before[1])


def test_a_report_may_overwrite_another_report_beside_the_inputs(tmp_path: Path) -> None:
    _, hooks = copied(tmp_path)
    (tmp_path / "day.html").write_text("an old one")
    outcome = usher("replay", str(tmp_path), "--hooks", str(hooks), "--report", str(tmp_path / "day.html"))
    assert outcome.exit_code == 0
    assert (tmp_path / "day.html").read_text().startswith("<!")


def test_a_report_that_is_the_standard_input_is_refused(tmp_path: Path) -> None:
    traffic, hooks = copied(tmp_path)
    name = shlex.quote(str(traffic))
    outcome = in_a_shell(f"- --hooks {shlex.quote(str(hooks))} --report {name} < {name}")
    assert outcome.returncode == 2
    assert b"is an input of this replay" in outcome.stderr


@pytest.mark.parametrize(
    ("content", "options"),
    [
        pytest.param("", (), id="an empty file"),
        pytest.param("[]", (), id="an empty list"),
        pytest.param("[]", ("--json",), id="as JSON"),
        pytest.param("{", (), id="nothing that can be read"),
        pytest.param(Path(DAY).read_text(), (), id="traffic of other hooks"),
    ],
)
def test_a_comparison_of_no_action_is_an_error(
    tmp_path: Path, content: str, options: tuple[str, ...]
) -> None:
    traffic, hooks = tmp_path / "day.json", other_hooks(tmp_path)
    if content.count("\n") > 1:
        traffic = traffic.with_suffix(".jsonl")
    traffic.write_text(content)

    outcome = usher("replay", str(traffic), "--hooks", hooks, "--against", hooks, *options)

    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.stderr.splitlines()[-1] == (
        "Nothing to compare: no message belongs to a hook of either hooks file. "
        "Check PATH, --hooks and --against."
    )


@pytest.mark.parametrize("path", ["folder", "/dev/null"])
def test_a_comparison_over_a_path_that_holds_nothing_is_an_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    assert usher("replay", str(tmp_path / path), "--hooks", HOOKS, "--against", HOOKS).exit_code == 2


class Interrupted(ModuleType):
    """A module during whose import somebody presses Ctrl-C."""

    def __getattr__(self, name: str) -> Any:
        raise KeyboardInterrupt


def test_an_interrupt_while_a_command_is_imported_is_one_line_and_130(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "usher_cli.check", Interrupted("usher_cli.check"))
    outcome = usher("check")
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (130, "", "Interrupted.\n")


def test_an_interrupt_during_a_replay_is_one_line_and_130() -> None:
    run = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    run += "from usher_cli.main import main; main()"
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", run, "replay", "-", "--hooks", HOOKS],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b" " * 1_000_000)  # more than a pipe holds: so it reads by now
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"Interrupted.\n")


def test_the_help_imports_nothing_but_click() -> None:
    """So it is quick, and whoever presses Ctrl-C during an import of more finds somebody to hear it."""
    run = "import sys; from usher_cli.main import main; main(['--help'], standalone_mode=False); "
    heavy = ["boto3", "botocore", "rich", "usher", "usher_simulator", "yaml"]
    said = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", f"{run}sys.exit(str([m for m in {heavy} if m in sys.modules]))"],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert said.stdout.startswith("Usage: ")
    assert said.stderr == "[]\n"


def test_a_file_that_is_not_there_is_wrong_usage() -> None:
    outcome = usher("replay", "nowhere.jsonl", "--hooks", HOOKS)
    assert outcome.exit_code == 2
    assert "nowhere.jsonl" in outcome.stderr


def test_a_hooks_file_that_is_not_sound_is_refused_before_anything_runs(tmp_path: Path) -> None:
    hooks = tmp_path / "hooks.yaml"
    hooks.write_text(
        "version: 1\npolicies: {}\nhooks:\n  - name: h\n    group: g\n    transition: up\n    policy: p\n"
    )
    outcome = usher("replay", DAY, "--hooks", str(hooks))
    assert outcome.exit_code == 2
    assert (
        f"{hooks}:6: hooks[0].transition: must be one of launching, terminating, got 'up'" in outcome.stderr
    )
    assert outcome.stdout == ""


def of(account: str, region: str, token: str) -> str:
    """A captured event of that account and Region."""
    event = {
        "version": "0", "id": token, "source": "aws.autoscaling", "account": account, "region": region,
        "detail-type": "EC2 Instance-terminate Lifecycle Action", "time": "2026-03-01T12:00:00Z",
        "detail": {
            "LifecycleActionToken": token * 36, "AutoScalingGroupName": "jobs-green",
            "LifecycleHookName": "jobs-drain", "EC2InstanceId": f"i-{token * 17}",
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        },
    }  # fmt: skip
    return json.dumps(event)


def test_what_is_of_another_account_or_region_is_ignored_with_the_reason() -> None:
    ours = [of("111122223333", "eu-west-1", token) for token in "ab"]
    foreign = [of("444455556666", "eu-west-1", "c"), of("111122223333", "us-west-2", "d")]
    told = as_json("-", stdin="\n".join([*ours, *foreign]))
    assert (told["summary"]["lifecycle"], told["summary"]["ignored"]) == (2, 2)
    assert [each["reason"] for each in told["ignored"]] == [
        "a message of account 444455556666, Region eu-west-1; this is account 111122223333, Region eu-west-1",
        "a message of account 111122223333, Region us-west-2; this is account 111122223333, Region eu-west-1",
    ]


def test_the_account_and_region_of_a_replay_may_be_said() -> None:
    lines = [of("111122223333", "eu-west-1", token) for token in "ab"] + [
        of("444455556666", "us-west-2", "c")
    ]
    told = as_json("-", "--account", "444455556666", "--region", "us-west-2", stdin="\n".join(lines))
    assert [action["instance_id"] for action in told["actions"]] == ["i-" + "c" * 17]
