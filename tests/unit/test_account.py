"""The deployed account: found by its stack, and its refusals in one clear line each."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import boto3
import click
import pytest
from botocore import exceptions
from botocore.stub import Stubber
from click.testing import CliRunner
from moto import mock_aws

from tests.factories import at
from tests.memory_account import OperatorOf, refused
from usher.aws import table
from usher.aws.packing import packed
from usher.aws.records import RecordTable
from usher.ports.errors import Denied, Unavailable
from usher_cli.account import Machine, Place, Trouble, errors_as_trouble, open_account, with_account
from usher_cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from click.testing import Result

    from usher_cli.account import Account

REGION: Final = "eu-west-1"
NOBODYS: Final[Mapping[str, str | None]] = {  # nothing of the machine's own configuration
    "AWS_REGION": None,
    "AWS_DEFAULT_REGION": None,
    "AWS_PROFILE": None,
    "AWS_DEFAULT_PROFILE": None,
    "AWS_ENDPOINT_URL": None,
    "AWS_SESSION_TOKEN": None,
    "AWS_ACCESS_KEY_ID": None,
    "AWS_SECRET_ACCESS_KEY": None,
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "COLUMNS": "400",
}
KEYS: Final = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
CREDENTIALS: Final = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
_numbers: Final = count(1)


@cache
def client(service: str) -> Any:
    """A client of the test's own: making one takes longer than all that it is used for."""
    return boto3.client(service, region_name=REGION, **CREDENTIALS)


def template(number: int) -> str:
    """What of Usher's own template the commands work on."""
    queue = {"Type": "AWS::SQS::Queue"}
    definition = dict(table.definition("none"))
    del definition["TableName"]
    return json.dumps(
        {
            "Resources": {
                "Records": {"Type": "AWS::DynamoDB::Table", "Properties": definition},
                "Inbox": {**queue, "Properties": {"QueueName": f"inbox-{number}"}},
                "WakeUps": {**queue, "Properties": {"QueueName": f"wake-ups-{number}"}},
                "Signals": {
                    "Type": "AWS::Events::Rule",
                    "Properties": {
                        "EventPattern": {"source": ["usher.signal"], "detail-type": ["Usher Signal"]},
                        "Targets": [{"Id": "inbox", "Arn": {"Fn::GetAtt": ["Inbox", "Arn"]}}],
                    },
                },
            },
            "Outputs": {
                "TableName": {"Value": {"Ref": "Records"}},
                "InboxUrl": {"Value": {"Ref": "Inbox"}},
                "InboxArn": {"Value": {"Fn::GetAtt": ["Inbox", "Arn"]}},
                "HookRoleArn": {"Value": "arn:aws:iam::123456789012:role/usher"},
                "WakeUpsUrl": {"Value": {"Ref": "WakeUps"}},
            },
        }
    )


@dataclass(kw_only=True)
class Deployed(OperatorOf):
    """A stack of Usher's in moto, and the machine of an operator, whose clock the test sets."""

    stack: str
    outputs: Mapping[str, str]
    records: RecordTable = field(init=False)

    def __post_init__(self) -> None:
        self.records = RecordTable(client("dynamodb"), self.outputs["TableName"], lambda: self.now)

    def machine(self) -> Machine:
        return Machine(clock=lambda: self.now, new_id=lambda: f"operator-{next(self.ids)}", wait=self.wait)

    def usher(self, *arguments: str, stdin: str | None = None) -> Result:
        """Run a command on this stack, as a shell would."""
        return usher(*arguments, "--stack", self.stack, "--region", REGION, stdin=stdin, obj=self.machine())

    def messages(self, queue: str) -> list[Any]:
        """What can be received now of `InboxUrl` or `WakeUpsUrl`."""
        received = client("sqs").receive_message(QueueUrl=self.outputs[queue], MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in received.get("Messages", [])]


def usher(
    *arguments: str,
    stdin: str | None = None,
    obj: Machine | None = None,
    environment: Mapping[str, str | None] | None = None,
) -> Result:
    env = {**NOBODYS, **KEYS, **(environment or {})}
    return CliRunner().invoke(main, arguments, input=stdin, obj=obj, env=env)


def deploy() -> Deployed:
    number = next(_numbers)
    cloud_formation = client("cloudformation")
    cloud_formation.create_stack(StackName=f"Usher-{number}", TemplateBody=template(number))
    (stack,) = cloud_formation.describe_stacks(StackName=f"Usher-{number}")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    return Deployed(stack=f"Usher-{number}", outputs=outputs)


@pytest.fixture(scope="module")
def cloud() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def deployed(cloud: None) -> Deployed:  # noqa: ARG001 - stands around it
    return deploy()


# What is found


def test_the_account_is_found_by_the_outputs_of_its_stack(deployed: Deployed) -> None:
    place = Place(region=REGION, stack=deployed.stack)
    account = open_account(place, deployed.machine())
    assert account.outputs == deployed.outputs
    assert account.who() == "arn:aws:sts::123456789012:user/moto"


@pytest.mark.parametrize("named", ["i-0f0e0d0c0b0a09080", "c613620e-07e2-4ed2-a9e2-ef8258911ade", "action-1"])
def test_an_action_is_found_by_its_instance_its_token_and_its_id(deployed: Deployed, named: str) -> None:
    action = deployed.opened()
    account = open_account(Place(region=REGION, stack=deployed.stack), deployed.machine())
    assert list(account.find(named)) == [action]


def test_the_ids_of_open_actions_come_nearest_expiry_first(deployed: Deployed) -> None:
    for name, start in (("b", 30), ("a", 60), ("c", 0)):
        deployed.opened(id=name, token=name * 36, started_at=at(start))
    account = open_account(Place(region=REGION, stack=deployed.stack), deployed.machine())
    ids = account.open_actions.ids()
    assert ids == ["c", "b", "a"]
    assert [action.id for action in account.load_open(ids).actions] == ["c", "b", "a"]
    assert [action.id for action in account.load_open(ids[:1]).actions] == ["c"]


def test_an_open_action_of_a_newer_release_is_told_apart_from_the_others(deployed: Deployed) -> None:
    for name in ("a", "b"):
        deployed.opened(id=name, token=name * 36)
    client("dynamodb").update_item(
        TableName=deployed.outputs["TableName"],
        Key={"pk": {"S": "ACTION#a"}, "sk": {"S": "STATE"}},
        UpdateExpression="SET packed = :packed",
        ExpressionAttributeValues={":packed": {"B": packed({})}},
    )
    account = open_account(Place(region=REGION, stack=deployed.stack), deployed.machine())
    loaded = account.load_open(account.open_actions.ids())
    assert ([action.id for action in loaded.actions], loaded.unreadable) == (["b"], ["a"])
    with pytest.raises(Trouble, match=r"^Cannot read a record of a: if a newer release"):
        account.find("a")


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_may_stand_in_the_environment(deployed: Deployed, variable: str) -> None:
    outcome = usher("list", "--stack", deployed.stack, obj=deployed.machine(), environment={variable: REGION})
    assert (outcome.exit_code, outcome.stderr) == (
        0,
        f"No action is open in stack {deployed.stack}, {REGION}; `usher history` lists closed ones.\n",
    )


# What is refused


def closed_port() -> int:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        pytest.param(
            ["--region", "us-east-2"],
            {},
            "Error: There is no stack Usher in us-east-2: check --region and --stack.",
            id="wrong Region",
        ),
        pytest.param(
            ["--region", REGION, "--stack", "Ushr"],
            {},
            "Error: There is no stack Ushr in eu-west-1: check",
            id="no stack",
        ),
        pytest.param(
            ["--region", REGION],
            dict.fromkeys(KEYS),
            "Error: No AWS credentials were found: set them up (`aws configure`), or use --profile.",
            id="no credentials",
        ),
        pytest.param(
            ["--region", REGION],
            {"AWS_SECRET_ACCESS_KEY": None},
            "Error: No AWS credentials were found",
            id="half of the credentials",
        ),
        pytest.param(
            ["--profile", "on-call", "--region", REGION],
            {},
            "Error: The config profile (on-call) could not be found: `aws configure list-profiles` lists",
            id="no such profile",
        ),
        pytest.param([], {}, "Error: No Region is set: give --region, or set AWS_REGION.", id="no Region"),
        pytest.param(
            ["--region", "mars!"],
            {},
            "Error: Provided region_name 'mars!' doesn't match a supported format: give --region a name such",
            id="no Region's name",
        ),
        pytest.param(
            ["--region", REGION, "--endpoint-url", "localhost"],
            {},
            "Error: Invalid endpoint: localhost: --endpoint-url must be a URL such as http://localhost:4566.",
            id="no URL",
        ),
    ],
)
@pytest.mark.usefixtures("cloud")
def test_what_is_wrong_with_the_place_is_said_in_one_line(
    arguments: list[str], environment: dict[str, str | None], said: str
) -> None:
    assert refused(usher("list", *arguments, environment=environment)).startswith(said)


def test_an_endpoint_that_does_not_answer_is_named() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    line = refused(usher("list", "--region", REGION, "--endpoint-url", url))
    assert line == (
        f'Error: Could not connect to the endpoint URL: "{url}/": check --region, --endpoint-url '
        "and the network."
    )


@pytest.mark.usefixtures("cloud")
def test_a_stack_without_the_outputs_is_not_usher_s() -> None:
    resources = {"Queue": {"Type": "AWS::SQS::Queue"}}
    client("cloudformation").create_stack(
        StackName="Other", TemplateBody=json.dumps({"Resources": resources})
    )
    line = refused(usher("list", "--region", REGION, "--stack", "Other"))
    assert line.startswith(
        "Error: Stack Other in eu-west-1 has no output TableName: check --stack; if it is Usher's, deploy"
    )


def test_what_has_no_record_is_not_found(deployed: Deployed) -> None:
    line = refused(deployed.usher("show", "i-0123"))
    where = f"Stack {deployed.stack} in eu-west-1"
    assert line == f"Error: {where} has no record of i-0123: give an instance ID, a token or an action ID."


def test_an_empty_argument_is_refused(deployed: Deployed) -> None:
    line = refused(deployed.usher("show", " "))
    assert line == "Error: Give an instance ID, a token or an action ID: the argument is empty."


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        pytest.param(
            "AccessDenied",
            "User: arn:aws:iam::1:user/a is not authorized to perform: cloudformation:DescribeStacks",
            "Not permitted (DescribeStacks: User: arn:aws:iam::1:user/a is not authorized to perform: "
            'cloudformation:DescribeStacks): docs/operations.md, "Permissions of the commands", lists',
            id="no permission",
        ),
        pytest.param(
            "AccessDeniedException",
            "explicit deny",
            "Not permitted (DescribeStacks: explicit deny)",
            id="no permission, in JSON",
        ),
        pytest.param(
            "ExpiredToken",
            "The security token included in the request is expired",
            "The AWS session has expired (DescribeStacks: The security token included in the request is "
            "expired): sign in again (for instance `aws sso login`)",
            id="expired token",
        ),
        pytest.param(
            "ExpiredTokenException", "", "The AWS session has expired (DescribeStacks: ", id="without a text"
        ),
        pytest.param(
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
            "AWS rejected these credentials (DescribeStacks: The security token included in the request "
            "is invalid): sign in",
            id="keys that nobody has",
        ),
        pytest.param("SignatureDoesNotMatch", "no", "AWS rejected these credentials", id="wrong secret"),
        pytest.param(
            "ResourceNotFoundException",
            "Requested resource not found",
            "A resource of stack Usher in eu-west-1 does not exist (DescribeStacks: Requested resource",
            id="the table is gone",
        ),
        pytest.param(
            "ThrottlingException", "Rate exceeded", "AWS is busy (DescribeStacks: Rate exceeded)", id="busy"
        ),
        pytest.param(
            "ValidationException",
            "The table does not have the specified index: actions",
            "Stack Usher in eu-west-1 is of an older release than this command (DescribeStacks: ",
            id="the index of a later release",
        ),
        pytest.param("Odd", "What?\nNo", "DescribeStacks: What? No (Odd).", id="what nobody foresaw"),
    ],
)
def test_what_aws_refuses_is_said_in_one_line_with_what_to_do(code: str, text: str, said: str) -> None:
    describing = boto3.client("cloudformation", region_name=REGION, **CREDENTIALS)
    stubber = Stubber(describing)
    stubber.add_client_error("describe_stacks", code, text)
    with stubber, pytest.raises(Trouble) as trouble, errors_as_trouble(Place(region=REGION)):
        describing.describe_stacks(StackName="Usher")
    assert trouble.value.message.startswith(said)
    assert "\n" not in trouble.value.message


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(
            exceptions.UnauthorizedSSOTokenError(),
            "The SSO session associated with this profile has expired or is otherwise invalid.",
            id="the SSO session is over",
        ),
        pytest.param(
            exceptions.TokenRetrievalError(provider="sso", error_msg="expired"),
            "Error when retrieving token from sso: expired: sign in again",
            id="no token",
        ),
        pytest.param(
            exceptions.ReadTimeoutError(endpoint_url="https://x"),
            'Read timeout on endpoint URL: "https://x": check --region',
            id="no answer in time",
        ),
        pytest.param(
            exceptions.ParamValidationError(report="odd"),
            "Parameter validation failed: odd",
            id="what nobody foresaw",
        ),
        pytest.param(Unavailable("DynamoDB was busy"), "DynamoDB was busy: try again.", id="a busy table"),
    ],
)
def test_what_fails_before_aws_answers_is_said_too(error: Exception, said: str) -> None:
    with pytest.raises(Trouble) as trouble, errors_as_trouble(Place()):
        raise error
    assert trouble.value.message.startswith(said)


def test_what_the_store_reports_is_said_in_the_words_of_its_cause() -> None:
    reported = Unavailable("wake-up queue: no")
    reported.__cause__ = exceptions.NoCredentialsError()
    with pytest.raises(Trouble) as trouble, errors_as_trouble(Place()):
        raise reported
    assert trouble.value.message.startswith("No AWS credentials were found")


def test_a_table_that_denies_is_told_with_what_to_do() -> None:
    denied = Denied("DynamoDB refuses: not authorized")
    denied.__cause__ = exceptions.ClientError(
        {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}, "GetItem"
    )
    with (
        pytest.raises(Trouble, match=r"^Not permitted \(GetItem: not authorized\): "),
        errors_as_trouble(Place()),
    ):
        raise denied


NO_ANSWER: Final = "run the command in a terminal, or with credentials that ask for none."
ASKS: Final = """\
[profile admin]
role_arn = arn:aws:iam::111122223333:role/admin
mfa_serial = arn:aws:iam::111122223333:mfa/ann
source_profile = ann
[profile ann]
aws_access_key_id = testing
aws_secret_access_key = testing
"""
FLEET: Final = (
    "version: 1\nregions: [eu-west-1]\naccounts:\n  - {id: '111122223333', name: shop, profile: admin}\n"
)


@pytest.mark.parametrize("stdin", ["</dev/null", "<&-"])
@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        pytest.param(
            "--profile admin --region eu-west-1",
            2,
            f"Error: A question, such as for an MFA code, had no answer: {NO_ANSWER}",
            id="one account",
        ),
        pytest.param(
            "--fleet fleet.yaml",
            1,
            "shop (111122223333) in eu-west-1 failed: "
            f"The MFA code of profile admin had no answer: {NO_ANSWER}",
            id="a profile of a fleet",
        ),
    ],
)
def test_an_mfa_code_that_nobody_gives_breaks_no_promise(
    stdin: str, options: str, code: int, said: str, tmp_path: Path
) -> None:
    """`audit` ends with 1 where a promise is broken. A session of its own has no terminal to ask at."""
    (tmp_path / "config").write_text(ASKS)
    (tmp_path / "fleet.yaml").write_text(FLEET)
    given = {name: value for name, value in NOBODYS.items() if value is not None}
    kept = {name: value for name, value in os.environ.items() if name not in NOBODYS}
    run = "from usher_cli.main import main; main(prog_name='usher')"
    outcome = subprocess.run(  # noqa: S603 - our own command
        ["/bin/sh", "-c", f'"$0" -c "$1" audit {options} {stdin}', sys.executable, run],
        cwd=tmp_path,
        env={**kept, **given, "AWS_CONFIG_FILE": "config", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        start_new_session=True,
    )
    assert (outcome.returncode, outcome.stderr.splitlines()[-1]) == (code, said)


def test_a_bug_keeps_its_traceback() -> None:
    """Only what AWS refuses is put in words."""
    with pytest.raises(KeyError), errors_as_trouble(Place()):
        raise KeyError("a bug")


OPERATORS: Final = ("list", "show", "watch", "signal", "hold", "extend", "complete", "pause", "resume")


@pytest.mark.parametrize("name", OPERATORS)
def test_every_command_takes_the_place_and_prints_json(name: str) -> None:
    shown = usher(name, "--help").stdout
    assert all(option in shown for option in ("--profile", "--region", "--endpoint-url", "--stack", "--json"))


def test_a_command_gets_the_account_and_keeps_its_own_name_and_words(deployed: Deployed) -> None:
    def stack(account: Account) -> None:
        """Say which stack it is."""
        click.echo(account.place.stack)

    command = click.command()(with_account(stack))
    outcome = CliRunner().invoke(
        command,
        ["--stack", deployed.stack, "--region", REGION],
        obj=deployed.machine(),
        env={**NOBODYS, **KEYS},
    )
    assert (command.name, command.help) == ("stack", "Say which stack it is.")
    assert outcome.stdout == f"{deployed.stack}\n"
