"""`usher apply` and `usher config`: a hooks file takes effect without a deploy."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from tests.factories import at
from tests.memory_account import CALLER, MemoryAccount, MemoryStack, refused
from usher.aws.file_versions import MOST_BYTES
from usher.aws.groups import GroupsApi
from usher.aws.waiting import WaitingApi
from usher.core.compiled import compiled
from usher.core.file_versions import CACHED, MOST_PENDING, NO_VERSION, NOTICE, FileVersion
from usher.core.hook_items import FileInForce
from usher.hooks_source import VersionsInEffect
from usher.ports.errors import Unavailable
from usher_cli.apply import applying
from usher_cli.apply.rights import LISTS
from usher_cli.plan.steps import targets
from usher_hooksfile import load
from usher_simulator.autoscaling.account import an_account
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks
from usher_simulator.fakes.memory_versions import MemoryVersions
from usher_simulator.fakes.parts import enrolment_of
from usher_simulator.fakes.recorder import Recorder

INBOX: Final = "arn:aws:sqs:eu-west-1:111122223333:inbox"
OUTPUTS: Final = {
    "TableName": "records",
    "InboxArn": INBOX,
    "HookRoleArn": "arn:aws:iam::111122223333:role/usher",
    "EnrolmentsPerHour": "50",
    "CallsPerSecond": "10",
}
WHY: Final = ("--reason", "ticket 7")
YES: Final = (*WHY, "--yes")


def a_file(policy: str = "until: []", *groups: str) -> str:
    hooks = "".join(
        f"  - {{name: gate, group: {group}, transition: launching, policy: p}}\n"
        for group in groups or ["web"]
    )
    return f"version: 1\npolicies:\n  p: {{{policy}}}\nhooks:\n{hooks}"


class Stack(MemoryStack):
    """A deployed Usher whose hooks file is applied, and simulated Auto Scaling."""

    def __init__(self, *groups: str) -> None:
        super().__init__(outputs=OUTPUTS, most_waits=1000)
        self.simulated = an_account(at(0))
        self.simulated.outside.targets[INBOX] = lambda _: None
        self.services["autoscaling"] = self.simulated.client
        self.items = MemoryEnrolledHooks(lambda: self.now, 50)
        self.versions = MemoryVersions(self.items)
        self.items.put_in_force(NO_VERSION.in_force)
        for group in groups:
            self.create(group)

    def create(self, group: str, **tags: str) -> None:
        listed = [
            {"ResourceId": group, "ResourceType": "auto-scaling-group", "Key": key, "Value": value}
            for key, value in tags.items()
        ]
        self.simulated.client.create_auto_scaling_group(
            AutoScalingGroupName=group,
            MinSize=0,
            MaxSize=1,
            Tags=listed,  # type: ignore[arg-type]
            **ANY_SOURCE,
        )

    def wait(self, span: timedelta) -> None:
        """Time passes, and a sweep runs."""
        super().wait(span)
        self.sweep()

    def sweep(self) -> None:
        of = VersionsInEffect(versions=self.versions, telemetry=Recorder()).at(self.now)
        enrolment_of(
            of,
            targets(OUTPUTS),
            groups=GroupsApi(self.simulated.client),
            live=WaitingApi(self.simulated.client),
            records=self.items.under(of.file.digest),
            open_actions=self.records,
            clock=lambda: self.now,
        ).run()

    def hooks_on(self, group: str) -> list[str]:
        found = self.simulated.client.describe_lifecycle_hooks(AutoScalingGroupName=group)
        return [hook["LifecycleHookName"] for hook in found["LifecycleHooks"]]

    def in_effect(self) -> tuple[int, ...]:
        return self.versions.schedule().in_effect(self.now)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """hooks.yaml of the folder in which the command runs."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "hooks.yaml"
    file.write_text(a_file())
    return file


@pytest.fixture
def stack() -> Stack:
    return Stack("web")


def applied(stack: Stack, *arguments: str) -> Any:
    return json.loads(stack.usher("apply", *YES, "--json", *arguments).stdout)


# What is stored


@pytest.mark.usefixtures("file")
def test_a_file_takes_effect_a_minute_later_with_by_whom_and_why(stack: Stack) -> None:
    outcome = stack.usher("apply", *YES)
    assert (outcome.exit_code, outcome.exception) == (0, None), outcome.output
    assert outcome.stdout == (
        "Applied version 1. It takes effect at 2026-03-01T12:01:00Z, in 1m; the sweep begins with its hooks "
        "within 2m of that; to take it back, apply a file without hooks.\n"
    )
    (version,) = stack.versions.history(9)
    assert version == FileVersion(
        number=1,
        file=compiled(load.read(Path("hooks.yaml"))),
        applied_at=at(0),
        effective_at=at(0) + NOTICE,
        by=CALLER,
        reason="ticket 7",
        written=a_file(),
    )
    assert stack.in_effect() == ()
    stack.now = version.effective_at
    assert stack.in_effect() == (1,)


@pytest.mark.usefixtures("file")
def test_the_plan_is_shown_before_anything_is_asked(stack: Stack) -> None:
    outcome = stack.usher("apply", *WHY, stdin="n\n")
    assert outcome.exit_code == 1
    for part in (
        "enrol  web    gate  the hooks file selects the group",
        "hooks.yaml selects 1 group. Hooks: 1 to enrol.",
        "Once the file is in effect, the sweep puts 1 hook on named groups within about 2m.",
        "No action is open.",
        "Apply hooks.yaml as version 1? [y/N]: ",
        "Nothing was changed.",
    ):
        assert part in outcome.stderr
    assert stack.versions.history(9) == []


@pytest.mark.usefixtures("file")
def test_without_a_terminal_to_ask_on_nothing_is_applied(stack: Stack) -> None:
    outcome = stack.usher("apply", *WHY, stdin="")
    assert outcome.exit_code == 2
    assert outcome.stderr.splitlines()[-1].endswith("add --yes.")
    assert stack.versions.history(9) == []


def test_as_json_the_version_alone_is_on_stdout(stack: Stack, file: Path) -> None:
    assert applied(stack, str(file)) == {
        "version": 1,
        "status": "pending",
        "applied_at": "2026-03-01T12:00:00.000Z",
        "effective_at": "2026-03-01T12:01:00.000Z",
        "by": CALLER,
        "reason": "ticket 7",
        "previous": None,
        "digest": compiled(load.read(file)).digest,
        "hooks": 1,
    }


@pytest.mark.usefixtures("file")
def test_the_newest_version_once_more_is_told_and_not_stored(stack: Stack) -> None:
    applied(stack)
    outcome = stack.usher("apply", *YES)
    assert (outcome.exit_code, outcome.stdout) == (
        0,
        "hooks.yaml is version 1 already: nothing was applied.\n",
    )
    assert len(stack.versions.history(9)) == 1


# What is refused


@pytest.mark.parametrize(
    "in_force", [None, FileInForce(digest="compiled in")], ids=["nothing deployed", "compiled in"]
)
@pytest.mark.usefixtures("file")
def test_a_file_that_is_compiled_in_is_changed_by_a_deploy(
    stack: Stack, in_force: FileInForce | None
) -> None:
    stack.items = MemoryEnrolledHooks(lambda: stack.now)
    stack.versions = MemoryVersions(stack.items)
    if in_force is not None:
        stack.items.put_in_force(in_force)
    assert refused(stack.usher("apply", *YES)) == f"Error: {applying.COMPILED_IN}."
    assert refused(stack.usher("apply", "--rollback", *YES)) == f"Error: {applying.COMPILED_IN}."


@pytest.mark.usefixtures("file")
def test_where_usher_goes_nothing_is_applied(stack: Stack) -> None:
    stack.items.put_in_force(replace(NO_VERSION.in_force, is_closing=True))
    assert refused(stack.usher("apply", *YES)) == f"Error: {applying.CLOSING}."


@pytest.mark.usefixtures("file")
def test_while_the_stack_is_rolled_back_nothing_is_applied(stack: Stack) -> None:
    stack.status = "UPDATE_ROLLBACK_IN_PROGRESS"
    assert refused(stack.usher("apply", *YES)) == (
        "Error: Stack Usher is being changed (UPDATE_ROLLBACK_IN_PROGRESS): try again when that is done."
    )


def test_an_invalid_file_is_refused_with_its_line(stack: Stack, file: Path) -> None:
    file.write_text(a_file().replace("launching", "up"))
    assert "hooks.yaml:5: hooks[0].transition: must be one of" in refused(stack.usher("apply", *YES))


def test_a_file_that_an_item_does_not_hold_is_refused(
    stack: Stack, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applying, "MOST_BYTES", 10)
    assert "must compress to at most 10 bytes" in refused(stack.usher("apply", str(file), *YES))
    assert MOST_BYTES < 400_000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("hooks.yaml", "--rollback"), "give a FILE or --rollback, not both"),
        (("--ahead", "--wait"), "--wait has nothing to wait for"),
        (("--ahead",), "--ahead is for a deployment that has its hooks file compiled in"),
        (("--rollback",), "No hooks file was applied here yet"),
    ],
)
@pytest.mark.usefixtures("file")
def test_what_makes_no_sense_is_refused(stack: Stack, arguments: tuple[str, ...], said: str) -> None:
    outcome = stack.usher("apply", *arguments, *YES)
    assert outcome.exit_code == 2
    assert said in outcome.stderr


def test_a_group_that_is_not_there_is_a_mistake(stack: Stack, file: Path) -> None:
    file.write_text(a_file("until: []", "nowhere"))
    outcome = stack.usher("apply", *YES)
    assert outcome.exit_code == 2
    assert outcome.stderr.splitlines()[-1].startswith(
        "Error: Nothing was applied. gate on nowhere: the group "
    )
    assert stack.versions.history(9) == []


@pytest.mark.usefixtures("file")
def test_of_two_who_apply_at_once_one_is_told(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one applies while this one is asked."""
    real = applying.store

    def store(account: Any, candidate: Any, reason: str, *, ahead: bool) -> applying.Applied:
        theirs = replace(candidate, file=compiled({"version": 1, "policies": {}, "hooks": []}))
        real(account, theirs, "ticket 8", ahead=ahead)
        return real(account, candidate, reason, ahead=ahead)

    monkeypatch.setattr(applying, "store", store)
    outcome = stack.usher("apply", *YES)
    assert outcome.exit_code == 2
    assert outcome.stderr.splitlines()[-1] == (
        f"Error: {CALLER} applied version 1 meanwhile: run `usher apply` again to see what it would change "
        "now."
    )
    (version,) = stack.versions.history(9)
    assert version.reason == "ticket 8"


def test_more_versions_than_a_schedule_holds_are_refused(stack: Stack, file: Path) -> None:
    for number in range(MOST_PENDING):
        file.write_text(a_file(f"give_up_after: {number + 1}m, until: []"))
        applied(stack)
    file.write_text(a_file())
    outcome = stack.usher("apply", *YES)
    assert f"{MOST_PENDING} versions are yet to take effect: wait a minute" in outcome.stderr


@pytest.mark.usefixtures("file")
def test_a_request_that_took_too_long_is_told(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    store = stack.versions.apply

    def slow(*given: Any, **named: Any) -> None:
        store(*given, **named)
        stack.now += CACHED + timedelta(seconds=1)

    monkeypatch.setattr(stack.versions, "apply", slow)
    outcome = stack.usher("apply", *YES)
    assert (outcome.exit_code, outcome.stdout[:18]) == (0, "Applied version 1.")
    assert "Version 1 was applied, but the request took so long" in outcome.stderr


@pytest.mark.usefixtures("file")
def test_what_fails_once_it_is_applied_is_no_error(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--rollback` would be repeated, and bring the bad version back."""
    store = stack.versions.apply

    def then_away(*given: Any, **named: Any) -> None:
        store(*given, **named)

        def away(*_: Any) -> None:
            raise Unavailable("DynamoDB was busy")

        monkeypatch.setattr(stack.versions, "schedule", away)
        monkeypatch.setattr(MemoryAccount, "aws_time", away)

    monkeypatch.setattr(stack.versions, "apply", then_away)
    outcome = stack.usher("apply", *YES)
    assert (outcome.exit_code, outcome.stdout[:18]) == (0, "Applied version 1.")
    assert "Version 1 was applied, but whether in time is not known (DynamoDB was busy)" in outcome.stderr


# The rights of the stack

FUNCTION: Final = "arn:aws:lambda:eu-west-1:111122223333:function"


@pytest.mark.parametrize(
    ("condition", "parameter", "has", "needs"),
    [
        ("function: ready", "FunctionArns", f"{FUNCTION}:ready", f"{FUNCTION}:ready"),
        (f"function: '{FUNCTION}:x'", "FunctionArns", f"a,{FUNCTION}:*", f"{FUNCTION}:x"),
        (
            "command: {document: Stop}",
            "DocumentArns",
            "arn:aws:ssm:eu-west-1:111122223333:document/Stop",
            "arn:aws:ssm:eu-west-1:111122223333:document/Stop",
        ),
        (
            "ecs: {state: active, cluster: jobs}",
            "ClusterArns",
            "arn:aws:ecs:eu-west-1:111122223333:cluster/jobs",
            "arn:aws:ecs:eu-west-1:111122223333:cluster/jobs",
        ),
    ],
)
def test_a_file_that_needs_rights_which_the_stack_lacks_is_refused(
    stack: Stack, file: Path, condition: str, parameter: str, has: str, needs: str
) -> None:
    file.write_text(a_file(f"until: [{condition}]"))
    stack.parameters = {"FunctionArns": "", "DocumentArns": "", "ClusterArns": "other"}
    option = f"--{parameter.removesuffix('Arns').lower()}-arn"
    assert refused(stack.usher("apply", *YES)) == (
        f"Error: hooks.yaml: policy p needs {needs}, which {parameter} of the stack does not have: "
        f"run `usher upgrade` with {option} for it and for all that the stack has, and then apply the file."
    )
    stack.parameters[parameter] = has
    assert stack.usher("apply", *YES).exit_code == 0


@pytest.mark.parametrize(
    ("name", "key", "maker"),
    [("Usher", f"usher/{'ab' * 32}.zip", "Terraform"), ("StackSet-Usher-0f3c", "k", "a StackSet")],
)
def test_a_right_that_the_stack_of_another_maker_lacks_is_added_by_that(
    stack: Stack, file: Path, name: str, key: str, maker: str
) -> None:
    file.write_text(a_file("until: [function: ready]"))
    stack.parameters = {"FunctionArns": "", "CodeKey": key}
    assert refused(stack.usher("apply", *YES, "--stack", name)) == (
        f"Error: hooks.yaml: policy p needs {FUNCTION}:ready, which FunctionArns of the stack does not have: "
        f"add it to FunctionArns by what made the stack ({maker}), and then apply the file."
    )


@pytest.mark.parametrize(
    ("written", "becomes", "needs"),
    [
        (
            "until: []",
            "until: [ecs: active]",
            "policy p: an installed Usher may not list ECS clusters: give it a cluster",
        ),
        (
            "policy: p",
            "policy: p, notify: lambda, heartbeat_timeout: 10m",
            "hook gate on web: Auto Scaling may not invoke an installed Usher: it takes no notify: lambda",
        ),
    ],
)
def test_what_an_installed_stack_is_never_granted_is_refused(
    stack: Stack, file: Path, written: str, becomes: str, needs: str
) -> None:
    file.write_text(a_file("until: []").replace(written, becomes))
    stack.parameters = dict.fromkeys(LISTS.values(), "*")
    assert refused(stack.usher("apply", *YES)) == f"Error: hooks.yaml: {needs}."
    stack.parameters = {}  # of the CDK: the file of the app has brought its rights
    assert stack.usher("apply", *YES).exit_code == 0


def test_a_named_group_without_the_tag_is_refused_and_one_of_a_glob_is_shown(file: Path) -> None:
    stack = Stack("web", "jobs-1")
    stack.create("jobs-2", usher="managed")
    stack.parameters = {"TagValue": "managed"}
    file.write_text(a_file("until: []", "jobs-*"))
    outcome = stack.usher("apply", *YES)
    assert outcome.exit_code == 0, outcome.output
    reason = "the group lacks the tag usher=managed, without which Usher may put no hook on it"
    assert f"conflict  jobs-1  gate  {reason}" in outcome.stderr
    assert "hooks.yaml selects 2 groups. Hooks: 1 to enrol, 1 in conflict." in outcome.stderr
    file.write_text(a_file("until: []", "web"))
    outcome = stack.usher("apply", *YES)
    assert outcome.exit_code == 2
    assert outcome.stderr.splitlines()[-1] == f"Error: Nothing was applied. gate on web: {reason}."


# What is shown of the file


def test_what_a_file_changes_is_shown_before_anything_is_asked(stack: Stack, file: Path) -> None:
    """A policy may change, and no step of the plan shows that."""
    applied(stack)
    file.write_text("# for ticket 8\n" + a_file("until: [{elapsed: 5m}]"))
    outcome = stack.usher("apply", *WHY, stdin="n\n")
    assert outcome.stderr.splitlines()[:10] == [
        "--- version 1",
        "+++ hooks.yaml",
        "@@ -1,5 +1,6 @@",
        "+# for ticket 8",
        " version: 1",
        " policies:",
        "-  p: {until: []}",
        "+  p: {until: [{elapsed: 5m}]}",
        " hooks:",
        "   - {name: gate, group: web, transition: launching, policy: p}",
    ]


def test_a_long_difference_is_cut(stack: Stack, file: Path) -> None:
    applied(stack)
    file.write_text("# a comment\n" * 300 + a_file("until: [{elapsed: 5m}]"))
    said = stack.usher("apply", *WHY, stdin="n\n").stderr
    assert said.count("# a comment") == 97
    assert "209 lines more: compare `usher config show` with the file." in said


# --wait


@pytest.mark.usefixtures("file")
def test_wait_follows_the_hooks_of_a_version_that_was_applied_before(stack: Stack) -> None:
    applied(stack)
    outcome = stack.usher("apply", *YES, "--wait")
    assert (outcome.exit_code, outcome.stdout) == (
        0,
        "hooks.yaml is version 1 already: nothing was applied.\n",
    )
    assert outcome.stderr.splitlines()[-1] == "The hooks of version 1 are on 1 of 1 groups."
    assert stack.hooks_on("web") == ["gate"]


def test_wait_does_not_wait_for_a_hook_that_usher_may_not_put(file: Path) -> None:
    stack = Stack("jobs-1")
    stack.parameters = {"TagValue": "managed"}
    file.write_text(a_file("until: []", "jobs-*"))
    stack.sweep = lambda: None  # type: ignore[method-assign] # AWS refuses what it would put
    stack.items.put_in_force(FileInForce(digest=compiled(load.read(file)).digest, version=1))
    outcome = stack.usher("apply", *YES, "--wait")
    assert outcome.exit_code == 1
    assert outcome.stderr.splitlines()[-1].startswith("conflict: gate on jobs-1: the group lacks the tag")


@pytest.mark.usefixtures("file")
def test_wait_follows_the_hooks_until_they_stand(stack: Stack) -> None:
    outcome = stack.usher("apply", *YES, "--wait")
    assert (outcome.exit_code, outcome.exception) == (0, None), outcome.output
    assert stack.hooks_on("web") == ["gate"]
    assert stack.now >= at(0) + NOTICE
    said = outcome.stderr.splitlines()
    assert "In effect in 1m ..." in said
    assert said[-1] == "The hooks of version 1 are on 1 of 1 groups."


def test_wait_tells_what_stays_in_conflict(file: Path) -> None:
    stack = Stack("jobs-1", "jobs-2")
    stack.simulated.client.put_lifecycle_hook(
        AutoScalingGroupName="jobs-1",
        LifecycleHookName="gate",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        HeartbeatTimeout=99,
    )
    file.write_text(a_file("until: []", "jobs-*"))
    outcome = stack.usher("apply", *YES, "--wait")
    assert outcome.exit_code == 1
    assert outcome.stderr.splitlines()[-1].startswith("conflict: gate on jobs-1: ")
    assert stack.hooks_on("jobs-2") == ["gate"]


@pytest.mark.usefixtures("file")
def test_wait_ends_where_another_version_is_applied(stack: Stack) -> None:
    waited = stack.wait

    def wait(span: timedelta) -> None:
        waited(span)
        if len(stack.versions.history(9)) == 1:
            over = stack.versions.schedule()
            theirs = FileVersion(
                number=2,
                file=NO_VERSION.file,
                applied_at=stack.now,
                effective_at=stack.now + NOTICE,
                by="me",
                reason="another",
                previous=1,
            )
            stack.versions.apply(theirs, over.then(2, stack.now), over)

    stack.wait = wait  # type: ignore[method-assign]
    outcome = stack.usher("apply", *YES, "--wait")
    assert outcome.exit_code == 1
    assert outcome.stderr.splitlines()[-1] == (
        "Version 2 was applied meanwhile: `usher config history` tells why."
    )


def test_wait_ends_where_no_hook_came_to_stand_for_ten_minutes(file: Path) -> None:
    stack = Stack("jobs-1")
    file.write_text(a_file("until: []", "jobs-*"))
    sweep = stack.sweep

    def refused_from_then() -> None:
        """Then comes a second group, and the target of its hook takes no test message any more."""
        sweep()
        if stack.hooks_on("jobs-1") and INBOX in stack.simulated.outside.targets:
            del stack.simulated.outside.targets[INBOX]
            stack.create("jobs-2")

    stack.sweep = refused_from_then  # type: ignore[method-assign]
    outcome = stack.usher("apply", *YES, "--wait")
    assert outcome.exit_code == 1
    *_, left, why = outcome.stderr.splitlines()
    assert left.startswith("left: enrol gate on jobs-2: ")
    assert why == (
        "For 10m no hook has come to stand. `usher status` and the runbooks HookDrift and NoSweep in "
        "docs/operations.md tell why; `usher apply --wait` with the same file follows on."
    )


@pytest.mark.usefixtures("file")
def test_wait_ends_where_no_sweep_begins_for_ten_minutes(stack: Stack) -> None:
    stack.sweep = lambda: None  # type: ignore[method-assign]
    outcome = stack.usher("apply", *YES, "--wait")
    assert outcome.exit_code == 1
    assert stack.now == at(0) + NOTICE + timedelta(minutes=10)
    assert outcome.stderr.splitlines()[-1] == (
        "Version 1 has been in effect for 10m, and no sweep has begun with its hooks: `usher status` and the "
        "runbook NoSweep in docs/operations.md tell why; `usher apply --wait` with the same file follows on."
    )


def test_wait_goes_on_where_the_hooks_of_this_hour_are_put(file: Path) -> None:
    """Nothing is wrong where the next hook may be put at the next full hour only."""
    groups = [f"jobs-{number}" for number in range(3)]
    stack = Stack(*groups)
    stack.now = at(45 * 60)
    stack.items = MemoryEnrolledHooks(lambda: stack.now, 2)
    stack.versions = MemoryVersions(stack.items)
    stack.items.put_in_force(NO_VERSION.in_force)
    file.write_text(a_file("until: []", "jobs-*"))
    outcome = stack.usher("apply", *YES, "--wait")
    assert (outcome.exit_code, outcome.exception) == (0, None), outcome.output
    assert stack.now >= at(3600)
    assert all(map(stack.hooks_on, groups))


# --rollback and --ahead


def test_a_rollback_applies_the_version_before_as_a_new_one(stack: Stack, file: Path) -> None:
    first = applied(stack)
    file.write_text(a_file("until: [{elapsed: 5m}]"))
    applied(stack)
    outcome = stack.usher("apply", "--rollback", *YES)
    assert outcome.stdout.startswith("Applied version 3. It takes effect at ")
    assert "Apply version 1" not in outcome.stderr, "--yes does not ask"
    newest = stack.versions.history(1)[0]
    assert (newest.number, newest.previous, newest.file.digest) == (3, 2, first["digest"])


@pytest.mark.usefixtures("file")
def test_a_rollback_that_is_repeated_does_not_bring_back_what_it_took_back(stack: Stack, file: Path) -> None:
    """By one whose command ended with an error, or by two who react to one incident."""
    applied(stack)
    file.write_text(a_file("until: [{elapsed: 5m}]"))
    applied(stack)
    assert stack.usher("apply", "--rollback", *YES).exit_code == 0
    assert refused(stack.usher("apply", "--rollback", *YES)) == (
        f"Error: Version 3, by {CALLER}, has taken version 2 back already. To have it after all: `usher "
        "config show 2 > again.yaml`, then `usher apply again.yaml`."
    )
    assert stack.versions.schedule().newest == 3


@pytest.mark.usefixtures("file")
def test_before_the_first_version_is_nothing_to_go_back_to(stack: Stack) -> None:
    applied(stack)
    said = refused(stack.usher("apply", "--rollback", *YES))
    assert said.startswith(
        "Error: Version 1 is the first one, and nothing was before it: apply a file without "
    )


@pytest.mark.usefixtures("file")
def test_ahead_a_version_is_stored_before_the_deployment_goes_over(stack: Stack) -> None:
    stack.items.put_in_force(FileInForce(digest="compiled in", own_groups=("own-1",)))
    outcome = stack.usher("apply", "--ahead", *YES)
    assert outcome.stdout == "Applied version 1. It takes effect with the deploy that goes to the table.\n"
    assert stack.versions.version(1).file.own_groups == ("own-1",), "as the last deploy has them"
    assert stack.items.in_force() == FileInForce(digest="compiled in", own_groups=("own-1",))


@pytest.mark.usefixtures("file")
def test_a_group_of_ones_own_is_given_once_and_kept(stack: Stack, file: Path) -> None:
    """Else the hook in its own template would count as Usher's, and be deleted once no file asks for it."""
    applied(stack, "--own-group", "own-1")
    file.write_text(a_file("until: [{elapsed: 5m}]"))
    applied(stack, "--own-group", "own-2")
    assert stack.versions.version(2).file.own_groups == ("own-1", "own-2")
    said = stack.usher("apply", "--rollback", "--own-group", "own-3", *YES).stderr
    assert "--rollback brings the groups of its version" in said


# usher config


@pytest.fixture
def three(stack: Stack, file: Path) -> Stack:
    """Version 1 was in effect, 2 is, and 3 is yet to be."""
    for minutes in (5, 6, 7):
        file.write_text(a_file(f"until: [{{elapsed: {minutes}m}}]"))
        applied(stack)
        stack.now += timedelta(seconds=61 if minutes < 7 else 0)
    return stack


def test_the_history_tells_from_when_by_whom_and_why(three: Stack) -> None:
    outcome = three.usher("config", "history")
    assert outcome.stdout.splitlines() == [
        "version  status     effective at          hooks  by                                  reason  ",
        f"3        pending    2026-03-01T12:03:02Z  1      {CALLER}  ticket 7",
        f"2        in effect  2026-03-01T12:02:01Z  1      {CALLER}  ticket 7",
        f"1        past       2026-03-01T12:01:00Z  1      {CALLER}  ticket 7",
    ]
    data = three.json("config", "history")
    assert [(each["version"], each["status"], each["previous"]) for each in data] == [
        (3, "pending", 2),
        (2, "in effect", 1),
        (1, "past", None),
    ]
    assert [each["version"] for each in three.json("config", "history", "--most", "1")] == [3]


def test_show_prints_the_version_in_effect_as_it_was_written(stack: Stack, file: Path) -> None:
    file.write_text(written := "# why: ticket 7\n" + a_file())
    applied(stack)
    assert stack.usher("config", "show", "1").stdout == written
    file.write_text(a_file("until: [{elapsed: 5m}]"))
    applied(stack)
    applied(stack, "--rollback")
    assert stack.usher("config", "show", "3").stdout == written, "a rollback brings the comments, too"


def test_a_version_of_an_older_release_is_shown_and_compared_without_comments(three: Stack) -> None:
    for number in (2, 3):
        three.versions.versions[number] = replace(three.versions.version(number), written=None)
    assert three.usher("config", "show").stdout.startswith("version: 1\npolicies:\n  p:\n    until:\n")
    assert "-    - elapsed: 6m" in three.usher("config", "diff").stdout


def test_show_prints_the_version_in_effect_as_a_hooks_file(three: Stack, tmp_path: Path) -> None:
    again = tmp_path / "again.yaml"
    again.write_text(three.usher("config", "show").stdout)
    assert compiled(load.read(again)) == three.versions.version(2).file
    data = three.json("config", "show", "3")
    assert (data["version"], data["file"]["policies"]["p"]) == (3, {"until": [{"elapsed": "7m"}]})


def test_diff_compares_the_newest_with_the_one_before_or_any_two(three: Stack) -> None:
    assert three.usher("config", "diff").stdout.splitlines() == [
        "--- version 2",
        "+++ version 3",
        "@@ -1,5 +1,5 @@",
        " version: 1",
        " policies:",
        "-  p: {until: [{elapsed: 6m}]}",
        "+  p: {until: [{elapsed: 7m}]}",
        " hooks:",
        "   - {name: gate, group: web, transition: launching, policy: p}",
    ]
    assert "-  p: {until: [{elapsed: 5m}]}" in three.usher("config", "diff", "1", "3").stdout
    assert "--- nothing applied" in three.usher("config", "diff", "1").stdout
    assert three.usher("config", "diff", "3", "3").stdout == "version 3 and version 3 are the same.\n"
    assert three.json("config", "diff", "2")["old"] == 1


@pytest.mark.parametrize("command", [("show",), ("diff",)])
def test_before_the_first_version_is_nothing_to_show(stack: Stack, command: tuple[str, ...]) -> None:
    said = "No hooks file was applied here yet: usher apply hooks.yaml --reason ..."
    assert refused(stack.usher("config", *command)) == f"Error: {said}"
    assert stack.usher("config", "history").stdout == f"{said}\n"


def test_a_version_that_is_not_there_is_told(three: Stack) -> None:
    assert refused(three.usher("config", "show", "9")) == (
        "Error: there is no version 9: `usher config history` lists the versions."
    )
    assert three.usher("config", "diff", "1", "2", "3").exit_code == 2


@pytest.mark.usefixtures("file")
def test_of_a_first_version_that_is_yet_to_take_effect_the_number_must_be_given(stack: Stack) -> None:
    applied(stack)
    assert refused(stack.usher("config", "show")) == (
        "Error: Version 1 is yet to take effect: give its number."
    )
