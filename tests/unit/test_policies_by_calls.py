"""`usher policy` allows every call that the commands make, as botocore tells them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import botocore.handlers
import pytest

from tests.factories import a_policy, an_action, at
from tests.unit import test_install
from tests.unit.test_account import Deployed, client, deploy
from tests.unit.test_account import cloud as moto
from tests.unit.test_commands_on_aws import with_dead_letters
from tests.unit.test_install import Cloud, cloud
from tests.unit.test_policies import allowed
from tests.unit.test_redrive import TEST
from usher.aws import table
from usher.core import notifications
from usher.core.action import MOST_RECENT, Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["cloud", "moto"]  # fixtures

ROOT: Final = Path(__file__).parents[2]
INSTANCE: Final = "i-0f0e0d0c0b0a09080"
WHY: Final = ("--reason", "ticket 7")
# What IAM calls an operation of another name (AWS's service authorization reference).
ACTIONS: Final = {
    "s3:DeleteObjects": ["s3:DeleteObject", "s3:DeleteObjectVersion"],
    "s3:HeadBucket": ["s3:ListBucket"],
    "s3:HeadObject": ["s3:GetObject"],
    "s3:ListObjectVersions": ["s3:ListBucketVersions"],
    "s3:ListObjectsV2": ["s3:ListBucket"],
    "s3:PutBucketEncryption": ["s3:PutEncryptionConfiguration"],
    "s3:PutPublicAccessBlock": ["s3:PutBucketPublicAccessBlock"],
    "sqs:DeleteMessageBatch": ["sqs:DeleteMessage"],
    "sqs:SendMessageBatch": ["sqs:SendMessage"],
}
IN_A_TRANSACTION: Final = {"Put": "PutItem", "ConditionCheck": "ConditionCheckItem", "Update": "UpdateItem"}


def asked_of_iam(model: Any, params: dict[str, Any]) -> list[str]:
    """The actions of a call, as botocore's event `before-call` tells of it."""
    service = model.service_model.signing_name
    if model.name == "TransactWriteItems":
        items = json.loads(params["body"])["TransactItems"]
        return [f"dynamodb:{IN_A_TRANSACTION[kind]}" for item in items for kind in item]
    name = f"{'cloudwatch' if service == 'monitoring' else service}:{model.name}"
    return ACTIONS.get(name, [name])


@pytest.fixture
def calls() -> Iterator[set[str]]:
    """What IAM is asked of every call of a session that begins from now on."""
    asked: set[str] = set()

    def record(model: Any, params: dict[str, Any], **_: Any) -> None:
        asked.update(asked_of_iam(model, params))

    botocore.handlers.BUILTIN_HANDLERS.append(("before-call", record))
    yield asked
    botocore.handlers.BUILTIN_HANDLERS.remove(("before-call", record))


def with_a_letter(deployed: Deployed) -> None:
    client("cloudformation").create_stack(StackName="Letters", TemplateBody=with_dead_letters())
    url = client("sqs").get_queue_url(QueueName="Inbox-dead")["QueueUrl"]
    client("sqs").send_message(QueueUrl=url, MessageBody=TEST)
    deployed.stack = "Letters"


def with_an_action(deployed: Deployed) -> None:
    deployed.opened(evaluate_at=at(1000))
    deployed.records.keep_test(notifications.TestNotice(group="g", request_id="r", at=at(0)))


COMMANDS: Final[dict[str, list[tuple[str, ...]]]] = {
    "reader": [
        ("list",),
        ("list", "--offline"),
        ("show", INSTANCE),
        ("watch",),
        ("export", "--from", "1h"),
        ("history",),
        ("report", "--output", "/dev/null"),
        ("init",),
    ],
    "operator": [
        ("hold", INSTANCE, *WHY),
        ("hold", INSTANCE, "--off", *WHY),
        ("extend", INSTANCE, "--by", "1m", *WHY),
        ("signal", INSTANCE, "jobs-finished", *WHY),
        ("complete", INSTANCE, "--result", "ABANDON", "--yes", *WHY),
        ("pause", "--yes", *WHY),
        ("resume",),
    ],
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_every_call_of_a_command_is_allowed(
    moto: None,  # noqa: ARG001 - stands around it
    calls: set[str],
    kind: str,
) -> None:
    deployed = deploy()
    with_an_action(deployed)
    calls.clear()
    for words in COMMANDS[kind]:
        before = set(calls)
        done = deployed.usher(*words)
        assert done.exit_code in (0, 2), done.output  # moto has not all of Auto Scaling
        assert calls - before or before, words
    assert calls - allowed(kind) == set()


@pytest.mark.parametrize("words", [("history",), ("report", "--output", "/dev/null"), ("audit",)], ids=str)
def test_the_table_of_permissions_names_every_call_of_what_looks_back(
    moto: None,  # noqa: ARG001 - as above
    calls: set[str],
    words: tuple[str, ...],
) -> None:
    """And no other: whoever needs less is not asked for more."""
    deployed = deploy()
    with_closed_actions(deployed)
    calls.clear()
    done = deployed.usher(*words)
    assert done.exit_code in (0, 1)
    assert isinstance(done.exception, SystemExit | None)
    assert calls == named_for(words[0])
    assert calls <= allowed("reader")


def with_closed_actions(deployed: Deployed) -> None:
    """One whose lines are more than its record holds, which asked AWS."""
    policy = a_policy([{"ecs": "drained"}])
    end = {
        "phase": Phase.CLOSED,
        "evaluate_at": None,
        "closed_at": at(-60),
        "outcome": Outcome.ENDED_ELSEWHERE,
    }
    action = an_action(policy=policy, **end)
    for line in range(2 * MOST_RECENT):
        action = action.noted(at(line - 1000), "wait", f"waits: {line}")
    deployed.records.open(action, None)


# F is a hooks file.
IN_THE_TABLE: Final[list[tuple[str, ...]]] = [
    *(words for of_kind in COMMANDS.values() for words in of_kind),
    ("plan", "F"),
    ("apply", "F", "--ahead", "--yes", *WHY),
    ("config", "history"),
    ("retained",),
]
BEFORE: Final[dict[str, tuple[str, ...]]] = {
    "--off": ("hold", INSTANCE, *WHY),
    "resume": ("pause", "--yes", *WHY),
}
FOR_EVERYONE: Final = {"sts:GetCallerIdentity"}  # aws: it needs no permission
HOOKS: Final = """\
version: 1
policies: {wait: {until: [{signal: done}], give_up_after: 20m}}
hooks: [{name: drain, group: "*", transition: terminating, heartbeat_timeout: 5m, policy: wait}]
"""


@pytest.mark.parametrize("words", IN_THE_TABLE, ids=" ".join)
def test_the_table_of_permissions_names_every_call_of_a_command(
    moto: None,  # noqa: ARG001 - as above
    calls: set[str],
    words: tuple[str, ...],
    tmp_path: Path,
) -> None:
    deployed = deploy()
    with_an_action(deployed)
    for word in BEFORE.keys() & set(words):
        deployed.usher(*BEFORE[word])
    calls.clear()
    done = deployed.usher(*with_a_file(words, tmp_path))
    assert done.exit_code == 0, done.output
    assert calls
    assert calls - named_for(command_of(words)) - FOR_EVERYONE == set()


def with_a_file(words: tuple[str, ...], folder: Path) -> list[str]:
    """The words of a command, in which F becomes a hooks file."""
    hooks = folder / "hooks.yaml"
    hooks.write_text(HOOKS, encoding="utf-8")
    return [str(hooks) if word == "F" else word for word in words]


def command_of(words: tuple[str, ...]) -> str:
    """As the tables of the page have it."""
    return " ".join(words[:2]) if "--offline" in words else words[0]


def named_for(command: str) -> set[str]:
    """The actions in the row of a command; a name without a service has that of the one before."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = text.partition("\n### Permissions of the commands\n")[2].partition("\n## ")[0]
    (row,) = [line for line in table.splitlines() if re.match(rf"\| [^|]*`{command}`[^|]* \|", line)]
    found: set[str] = set()
    for other in re.findall(r"those of `([a-z]+)`", row):
        found |= named_for(other)
    service = ""
    for name in re.findall(r"`([A-Za-z:]+)`", row.split("|")[2]):
        service, _, action = name.rpartition(":") if ":" in name else (service, "", name)
        found |= {f"{service}:{action}"} if action[0].isupper() else set()
    return found


def test_every_call_of_redrive_is_allowed_to_an_operator(
    moto: None,  # noqa: ARG001 - as above
    calls: set[str],
) -> None:
    deployed = deploy()
    with_a_letter(deployed)
    calls.clear()
    for words in (("redrive",), ("redrive", "--all", "--send", "--yes")):
        assert deployed.usher(*words).exit_code in (0, 1)
    assert "sqs:ReceiveMessage" in calls
    assert calls - allowed("operator") == set()


def of_cloudformation(cloud: Cloud) -> set[str]:
    """What was called of the stack in memory, which botocore does not hear of."""
    names = {name for name, _ in cloud.stack.calls}
    return {f"cloudformation:{''.join(part.capitalize() for part in name.split('_'))}" for name in names}


STEPS: Final[list[tuple[str, Callable[[Cloud], None]]]] = [
    ("install", lambda _: None),
    ("upgrade", lambda cloud: setattr(cloud, "release", test_install.a_release("1.3.0"))),
    ("uninstall", lambda _: None),
]


def test_every_call_of_install_upgrade_and_uninstall_is_allowed_to_an_installer(cloud: Cloud) -> None:
    cloud.client("dynamodb").create_table(**table.definition("waiting"))
    for command, prepare in STEPS:
        prepare(cloud)
        assert cloud.usher(command, "--yes").exit_code == 0
        cloud.stack.outputs |= {"TableName": "waiting"}  # what waits in it is shown before the removal
    asked = {action for call in cloud.called for action in asked_of_iam(*call)} | of_cloudformation(cloud)
    assert {"s3:CreateBucket", "s3:DeleteObject", "cloudformation:ExecuteChangeSet"} <= asked
    assert asked - allowed("installer") == set()


def test_every_call_of_status_is_allowed_to_a_reader(cloud: Cloud) -> None:
    cloud.client("dynamodb").create_table(**table.definition("records"))
    cloud.stack.outputs = {
        "TableName": "records",
        "IntakeArn": "arn:aws:lambda:us-east-1:123456789012:function:f",
    }
    cloud.stack.stands(CodeBucket="b", CodeKey="k")
    cloud.called.clear()
    assert cloud.usher("status").exit_code == 1  # moto has no such function
    asked = {action for call in cloud.called for action in asked_of_iam(*call)} | of_cloudformation(cloud)
    assert {"dynamodb:GetItem", "lambda:GetFunctionConfiguration", "cloudwatch:DescribeAlarms"} <= asked
    assert asked - allowed("reader") == set()
    assert asked - FOR_EVERYONE == named_for("status")
