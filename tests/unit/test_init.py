"""`usher init`: a hooks file drafted from the groups and hooks of an account."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.bare_clone import ROOT
from tests.factories import at
from tests.unit.test_account import NOBODYS
from usher.aws.groups import GroupsApi
from usher.core import enrolment
from usher.core.conditions.targets import MOST_GROUPS
from usher.core.enrolment import Seen
from usher.core.enrolment_steps import Put
from usher.core.hook_items import Target
from usher.core.policy import Channel, Mode
from usher.core.wanted_hooks import Wanted
from usher_cli.account import Machine
from usher_cli.init.draft import Draft, Verdict, draft
from usher_cli.init.groups import read
from usher_cli.init.text import written
from usher_cli.main import main
from usher_hooksfile.load import HooksFile, examine
from usher_hooksfile.warnings import warnings
from usher_simulator.autoscaling.account import Account, an_account
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.testing import Result

    from usher.core.enrolment_steps import Step
    from usher_simulator.autoscaling.query_protocol import Request

PREFIX: Final = "us-east-1:111122223333"
QUEUE: Final = f"arn:aws:sqs:{PREFIX}:jobs"
FUNCTION: Final = f"arn:aws:lambda:{PREFIX}:function:bye"
OTHERS_QUEUE: Final = "arn:aws:sqs:us-east-1:999988887777:theirs"
ROLE: Final = "arn:aws:iam::111122223333:role/notify"
INBOX: Final = f"arn:aws:sqs:{PREFIX}:inbox"
WIRE: Final = {
    "launching": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "terminating": "autoscaling:EC2_INSTANCE_TERMINATING",
}


def target_group(name: str) -> str:
    return f"arn:aws:elasticloadbalancing:{PREFIX}:targetgroup/{name}/0123456789abcdef"


def a_scene() -> Account:
    account = an_account(at(0))
    for arn in (QUEUE, OTHERS_QUEUE, FUNCTION, INBOX):
        account.outside.targets[arn] = lambda _: None
    return account


def a_group(
    account: Account, name: str = "web", /, tags: Mapping[str, str] | None = None, **more: Any
) -> None:
    """A group may be older than the rule on names, and have any that the model takes."""
    listed = [{"Key": key, "Value": value, "PropagateAtLaunch": False} for key, value in (tags or {}).items()]
    client: Any = account.client
    client.create_auto_scaling_group(
        AutoScalingGroupName="new", MinSize=0, MaxSize=9, Tags=listed, **ANY_SOURCE, **more
    )
    group = account.fleet.groups.pop("new")
    group.name = name
    account.fleet.groups[name] = group


def a_hook(account: Account, group: str, name: str, transition: str = "terminating", **more: Any) -> None:
    role = {"RoleARN": ROLE} if ":sqs:" in more.get("NotificationTargetARN", "") else {}
    client: Any = account.client
    client.put_lifecycle_hook(
        AutoScalingGroupName=group,
        LifecycleHookName=name,
        LifecycleTransition=WIRE[transition],
        **{"HeartbeatTimeout": 900, **role, **more},
    )


def drafted(account: Account, ours: frozenset[str] = frozenset()) -> Draft:
    return draft(list(read(account.client, "*", lambda _: None)), ours)


def checked(text: str) -> HooksFile:
    """What `usher check` reads from it. Raises HooksFileRefused."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "hooks.yaml"
        file.write_text(text, encoding="utf-8")
        return examine(file)


def activated(text: str) -> str:
    """The text with every inactive hook and policy activated."""
    text = re.sub(r"(policies|hooks): (?:\{\}|\[\])(  ##.*)", r"\1:\2", text)
    return re.sub(r"^( *)# ", r"\1", text, flags=re.MULTILINE)


def steps(account: Account, file: HooksFile) -> tuple[Step, ...]:
    """What Usher would do if that file were deployed."""
    targets = {Channel.SQS: Target(arn=INBOX, role_arn=ROLE), Channel.EVENTBRIDGE: Target(arn=None)}
    api = GroupsApi(account.client)
    groups = api.groups()
    hooks = {group.name: api.hooks_of(group.name) for group in groups}
    wanted = Wanted(hooks=file.configuration.hooks, targets=targets)
    return enrolment.plan(wanted, Seen(groups=groups, hooks=hooks, enrolled=[]), at(0))


# Of any account

CHARACTERS: Final = st.one_of(  # as the model takes them in the name of a group
    st.characters(codec="utf-8", min_codepoint=32, exclude_characters=":\ufffe\uffff"),
    st.sampled_from("\r\n\t"),
)
NAMES: Final = st.one_of(
    st.sampled_from(["web", "web-1", "12-3", "true", "no", "a b", "a*", "- x", "# x", "é"]),
    st.text(CHARACTERS, min_size=1, max_size=12),
)
TAGS: Final = st.dictionaries(
    st.sampled_from(["AmazonECSManaged", "ecs-cluster", "team", "aws:cloudformation:stack-name"]),
    st.sampled_from(["prod", "no cluster's name", "", "a\nb"]),
    max_size=2,
)
TARGET_GROUPS: Final = st.lists(
    st.sampled_from([*map(target_group, ("a", "b", "c", "d", "e", "f")), "arn:odd"]), max_size=7, unique=True
)
HOOKS: Final = st.dictionaries(
    st.one_of(
        st.from_regex(r"[A-Za-z0-9_/-]{1,20}", fullmatch=True),
        st.sampled_from(["usher-launching", "ecs-managed-draining-termination-hook", "CodeDeploy-managed-x"]),
    ),
    st.fixed_dictionaries(
        {"transition": st.sampled_from([*WIRE]), "HeartbeatTimeout": st.integers(30, 7200)},
        optional={
            "DefaultResult": st.sampled_from(["CONTINUE", "ABANDON"]),
            "NotificationTargetARN": st.sampled_from([QUEUE, OTHERS_QUEUE, FUNCTION]),
            "NotificationMetadata": st.text("a: \n#é".replace("é", "~"), min_size=1, max_size=1030),
        },
    ),
    max_size=4,
)
GROUP: Final = st.tuples(TAGS, TARGET_GROUPS, HOOKS, st.sampled_from(["", "", "", "operated", "ending"]))


def account_of(groups: Mapping[str, Any]) -> Account:
    account = a_scene()
    for name, (tags, target_groups, hooks, what) in groups.items():
        a_group(account, name, tags, TargetGroupARNs=target_groups)
        for hook, parameters in hooks.items():
            a_hook(account, name, hook, **parameters)
        group = account.fleet.groups[name]
        group.deleting = what == "ending"
        if what == "operated":
            group.settings["Operator"] = {"Principal": "a service\n"}
    return account


@given(st.dictionaries(NAMES, GROUP, max_size=5))
def test_a_draft_is_valid_and_has_no_effect_whatever_exists_in_the_account(groups: dict[str, Any]) -> None:
    account = account_of(groups)
    found = drafted(account)
    text = written(found)

    file = checked(text)

    assert text == written(drafted(account))  # the same again
    assert len(file.configuration.hooks) == found.count(Verdict.TAKE_OVER)
    assert steps(account, file) == ()
    assert {policy.mode for policy in file.configuration.policies.values()} <= {Mode.OBSERVE}
    warned = {one.text for one in warnings(file.configuration) if "only * is a wildcard" not in one.text}
    assert warned <= {"there is no hook, so Usher holds nothing"}


@given(st.dictionaries(NAMES, GROUP, max_size=5))
def test_a_draft_that_is_activated_puts_the_hooks_that_it_proposes(
    groups: dict[str, Any],
) -> None:
    account = account_of(groups)
    found = drafted(account)
    proposed = {
        (each.group.name, entry.hook["name"])
        for each in found.groups
        for entry in each.entries
        if not entry.is_active
    }

    file = checked(activated(written(found)))

    put = steps(account, file)
    assert all(isinstance(step, Put) and step.record.before is None for step in put)
    assert {step.record.key for step in put if isinstance(step, Put)} == proposed


# Of each group


def test_the_page_shows_a_real_draft() -> None:
    account = a_scene()
    a_group(account, "shop", TargetGroupARNs=[target_group("shop")])
    a_group(account, "workers", {"aws:cloudformation:stack-name": "jobs"})
    a_hook(account, "shop", "CodeDeploy-managed-automatic-launch-deployment-hook-shop", "launching")
    a_hook(account, "workers", "drain", HeartbeatTimeout=1800, DefaultResult="CONTINUE")
    a_hook(account, "workers", "boot", "launching", NotificationTargetARN=QUEUE)

    page = (ROOT / "docs" / "init.md").read_text(encoding="utf-8")

    assert f"```yaml\n{written(drafted(account))}```" in page


def of_hooks(found: Draft) -> dict[str, str]:
    """The verdict on each hook, and the start of its reason."""
    return {
        each.hook.name: f"{each.verdict}: {each.reason}"[:60] for one in found.groups for each in one.existing
    }


def test_each_existing_hook_has_a_verdict() -> None:
    account = a_scene()
    a_group(account, "web")
    a_hook(account, "web", "by-bus", NotificationMetadata="owner=x")
    a_hook(account, "web", "short", HeartbeatTimeout=599)
    a_hook(account, "web", "queued", "launching", NotificationTargetARN=QUEUE)
    a_hook(account, "web", "our-own", "launching", NotificationTargetARN=INBOX)
    a_hook(account, "web", "ecs-managed-draining-termination-hook")
    a_hook(account, "web", "CodeDeploy-managed-x", "launching", NotificationTargetARN=QUEUE)

    assert of_hooks(drafted(account, frozenset({INBOX}))) == {
        "by-bus": "take over: it has no target, so Usher gets its actions from ",
        "short": "conflict: hooks.yaml does not allow its settings: notify mus",
        "queued": "conflict: it notifies someone else, and Usher does not chang",
        "our-own": "ours: it notifies Usher",
        "ecs-managed-draining-termination-hook": "leave alone: it is a hook of Amazon ECS",
        "CodeDeploy-managed-x": "leave alone: it is a hook of AWS CodeDeploy",
    }


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (None, "no target"),
        (QUEUE, "notifies the SQS queue jobs"),
        (OTHERS_QUEUE, 'notifies the SQS queue theirs of account "999988887777"'),
        (FUNCTION, "notifies the Lambda function bye"),
    ],
)
def test_the_target_of_a_hook_and_the_stack_of_its_group_are_shown(target: str | None, said: str) -> None:
    account = a_scene()
    a_group(account, "web", {"aws:cloudformation:stack-name": "shop"})
    a_hook(account, "web", "drain", **({"NotificationTargetARN": target} if target else {}))

    text = written(drafted(account))

    assert f"terminating, 15m, default ABANDON; {said}." in text.replace("\n  ##", "")
    assert "created by the CloudFormation stack shop" in text.replace("\n  ##", "")


@pytest.mark.parametrize(
    ("tags", "target_groups", "launching", "terminating"),
    [
        pytest.param({}, [], {"signal": "ready"}, {"signal": "finished"}, id="nothing"),
        pytest.param(
            {"team": "a"},
            [target_group("a"), target_group("b")],
            {"signal": "ready"},
            {"targets": {"groups": [target_group("a"), target_group("b")], "state": "drained"}},
            id="target groups",
        ),
        pytest.param(
            {"AmazonECSManaged": ""}, [target_group("a")], {"ecs": "active"}, {"ecs": "drained"}, id="ECS"
        ),
        pytest.param(
            {"ecs:cluster-name": "prod"},
            [],
            {"ecs": {"state": "active", "cluster": "prod"}},
            {"ecs": {"state": "drained", "cluster": "prod"}},
            id="an ECS cluster",
        ),
        pytest.param(
            {"ECSCluster": "not a name"}, [], {"ecs": "active"}, {"ecs": "drained"}, id="no cluster's name"
        ),
        pytest.param({}, ["arn:odd"], {"signal": "ready"}, {"signal": "finished"}, id="no target group"),
    ],
)
def test_a_policy_is_guessed_from_what_the_group_runs(
    tags: dict[str, str], target_groups: list[str], launching: object, terminating: object
) -> None:
    account = a_scene()
    a_group(account, "web", tags, TargetGroupARNs=target_groups)

    policies = checked(activated(written(drafted(account)))).configuration.policies

    assert [json.loads(policy.source)["until"] for policy in policies.values()] == [
        [launching],
        [terminating],
    ]
    assert all(policy.on_give_up == "CONTINUE" for policy in policies.values())


def test_a_guess_names_no_more_target_groups_than_a_condition_takes() -> None:
    account = a_scene()
    a_group(account, "web", TargetGroupARNs=[target_group(f"t{number}") for number in range(MOST_GROUPS + 1)])

    (condition,) = drafted(account).policies["targets-drained"]["until"]

    assert len(condition["targets"]["groups"]) == MOST_GROUPS


def test_groups_with_equal_guesses_share_a_policy() -> None:
    account = a_scene()
    for name, group in (("a", "one"), ("b", "one"), ("c", "two")):
        a_group(account, name, TargetGroupARNs=[target_group(group)])

    assert list(drafted(account).policies) == ["ready", "targets-drained", "targets-drained-2"]


def test_a_proposed_hook_has_a_name_that_is_free() -> None:
    account = a_scene()
    a_group(account, "web")
    a_hook(account, "web", "usher-terminating", NotificationTargetARN=QUEUE)

    (found,) = drafted(account).groups

    assert [entry.hook["name"] for entry in found.entries] == ["usher-launching", "usher-terminating-2"]


def test_no_hook_is_proposed_to_a_group_with_as_many_as_aws_allows() -> None:
    account = a_scene()
    a_group(account, "web")
    for number in range(50):
        a_hook(account, "web", f"h{number}", NotificationTargetARN=QUEUE)

    (found,) = drafted(account).groups

    assert found.entries == ()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a*b", "in hooks.yaml the * in its name would be a wildcard"),
        ("a\tb", "hooks.yaml does not allow its name: it must be a name or glob"),
        ("\u65e5", "hooks.yaml does not allow its name: it must have no character"),
    ],
)
def test_a_group_whose_name_the_file_does_not_allow_is_excluded(name: str, why: str) -> None:
    account = a_scene()
    a_group(account, name)
    a_hook(account, name, "drain")

    (found,) = drafted(account).groups

    assert str(found.excluded).startswith(why)
    assert found.entries == ()
    assert of_hooks(drafted(account))["drain"].startswith("leave alone: ")


def test_of_more_groups_than_one_file_can_name_the_first_are_active() -> None:
    account = a_scene()
    for number in range(530):
        a_group(account, f"group-{number:010}")
        a_hook(account, f"group-{number:010}", "drain")

    found = drafted(account)

    assert found.too_many > 0
    assert len(checked(written(found)).configuration.hooks) == 530 - found.too_many == len(found.active)
    assert f"## {found.too_many} more hooks could be taken over, but are inactive" in written(found)


# The command


def run(account: Account, *arguments: str) -> Result:
    def opened(_: object, service: str) -> Any:
        return {"autoscaling": account.client, "cloudformation": Stacks()}[service]

    machine = Machine(clock=lambda: at(0), new_id=str, wait=lambda _: None, open_client=opened)
    return CliRunner().invoke(main, ["init", *arguments], obj=machine)


def test_it_prints_a_draft_and_only_reads() -> None:
    account = a_scene()
    a_group(account, "web")
    a_hook(account, "web", "drain")
    asked: set[str] = set()

    def fault(request: Request) -> ApiError | None:
        asked.add(request.operation)
        return None

    account.service.fault = fault
    result = run(account)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == written(drafted(account))
    assert asked == {"DescribeAutoScalingGroups", "DescribeLifecycleHooks"}


def test_it_writes_a_valid_file_and_overwrites_none(tmp_path: Path) -> None:
    account = a_scene()
    a_group(account, "web")
    file = tmp_path / "hooks.yaml"

    first = run(account, "--output", str(file))
    text = file.read_text(encoding="utf-8")
    a_group(account, "more")
    second = run(account, "--output", str(file))

    assert (first.exit_code, first.stdout) == (0, "")
    assert first.stderr == f"Wrote {file}. Next: activate what you want in it; usher check {file}\n"
    assert CliRunner().invoke(main, ["check", str(file)]).exit_code == 0
    assert second.exit_code == 2
    assert second.stderr == f"Error: {file} exists: use another --output, or move the file away.\n"
    assert file.read_text(encoding="utf-8") == text


def test_an_output_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    file = tmp_path / "none" / "hooks.yaml"

    result = run(a_scene(), "--output", str(file))

    assert result.exit_code == 2
    said = f"Error: {file} cannot be written (No such file or directory): use another --output.\n"
    assert result.stderr == said


def test_only_groups_that_match_are_in_the_draft() -> None:
    account = a_scene()
    for name in ("web-1", "web-2", "jobs"):
        a_group(account, name)

    found = json.loads(run(account, "--group", "web-*", "--json").stdout)

    assert [each["group"] for each in found["groups"]] == ["web-1", "web-2"]


def test_the_json_has_existing_and_proposed_hooks() -> None:
    account = a_scene()
    a_group(account, "web")
    a_hook(account, "web", "drain", NotificationTargetARN=QUEUE)

    found = json.loads(run(account, "--json").stdout)

    (group,) = found["groups"]
    assert (group["excluded"], group["without_hook"]) == (None, ["launching"])
    (existing,) = group["existing_hooks"]
    assert existing["target"] == "notifies the SQS queue jobs"
    assert (existing["verdict"], existing["heartbeat_timeout_seconds"]) == ("conflict", 900)
    assert [(hook["name"], hook["active"]) for hook in group["hooks"]] == [
        ("usher-launching", False),
        ("usher-terminating", False),
    ]
    assert found["policies"]["ready"]["until"] == [{"signal": "ready"}]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ApiError("AccessDenied", "User: me"),
            "Not permitted: usher init needs autoscaling:DescribeLifecycleHooks (AccessDenied: User: me).",
        ),
        (
            ApiError("Throttling", "Rate exceeded"),
            "Auto Scaling is busy (Throttling: Rate exceeded): try again.",
        ),
    ],
)
def test_a_failed_call_is_an_error_of_one_line_and_leaves_no_file(
    error: ApiError, said: str, tmp_path: Path
) -> None:
    account = a_scene()
    a_group(account, "web")
    account.service.fault = lambda request: error if "Hooks" in request.operation else None
    file = tmp_path / "hooks.yaml"

    result = run(account, "--output", str(file))

    assert (result.exit_code, result.stderr) == (2, f"Error: {said}\n")
    assert not file.exists()


def test_a_group_that_is_deleted_meanwhile_is_left_out() -> None:
    account = a_scene()
    a_group(account, "web")
    gone = ApiError("ValidationError", "AutoScalingGroup name not found - no such group: web")
    account.service.fault = lambda request: gone if "Hooks" in request.operation else None

    assert json.loads(run(account, "--json").stdout)["groups"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "No Region is set: give --region, or set AWS_REGION."),
        (("--region", "eu-west-1"), "No AWS credentials were found: set them up"),
        (("--profile", "nobody"), "The config profile (nobody) could not be found"),
    ],
)
def test_missing_access_to_an_account_is_an_error_of_one_line(arguments: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(main, ["init", *arguments], env=NOBODYS)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {said}")
    assert result.stderr.count("\n") == 1


class Stacks:
    """A client of CloudFormation: one stack, Usher's."""

    def describe_stacks(self, StackName: str) -> object:  # noqa: N803 - as boto3 has it
        if StackName == "Other":
            return {"Stacks": [{}]}
        if StackName != "Usher":
            error = {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}
            raise ClientError({"Error": error}, "DescribeStacks")
        return {"Stacks": [{"Outputs": [{"OutputKey": "InboxArn", "OutputValue": INBOX}]}]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "ours"),
        (("--stack", "Usher"), "ours"),
        (("--stack", "Other"), "conflict"),
        (("--stack", "No"), "Error: There is no stack No: check --region and --stack.\n"),
    ],
)
def test_the_stack_of_usher_shows_which_hooks_are_its_own(arguments: tuple[str, ...], said: str) -> None:
    account = a_scene()
    a_group(account, "web")
    a_hook(account, "web", "boot", NotificationTargetARN=INBOX)

    result = run(account, "--json", *arguments)

    found = (
        json.loads(result.stdout)["groups"][0]["existing_hooks"][0]["verdict"]
        if result.stdout
        else result.stderr
    )
    assert found == said
