"""The deployed account that the operators' commands work on, and its refusals in one line each."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Final

import boto3
import click
from botocore import exceptions as aws
from botocore.config import Config

from usher.aws import record_format, table
from usher.aws.queues import WakeUpQueue
from usher.aws.records import RecordTable
from usher.ports.errors import Unavailable
from usher_cli.printable import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from usher.aws.table import Item
    from usher.core.action import Action

STACK: Final = "Usher"
_CONFIG: Final = Config(
    connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 3, "mode": "standard"}
)
_SIGN_IN: Final = "sign in again (for instance `aws sso login`), or name another --profile"
_MAY: Final = 'docs/operations.md, "What an operator may", lists what the commands need'


class Trouble(click.ClickException):
    """What a command cannot do, why, and what to do next: one line, and exit code 2."""

    exit_code = 2

    def __init__(self, text: str) -> None:
        super().__init__(shown(" ".join(text.split())))


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What the commands ask of this machine. A test hands in its own, as click's `obj`."""

    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    wait: Callable[[timedelta], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where the operator says that Usher is deployed. What is None, the environment says."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    stack: str = STACK


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A deployed Usher: its records, and the ways to have an effect on it."""

    place: Place  # with the Region that counts
    machine: Machine
    session: Any  # boto3's
    dynamodb: Any
    records: RecordTable
    outputs: Mapping[str, str]
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        """The client for one service, in this place: making one takes longer than a call."""
        if service not in self.clients:
            self.clients[service] = _client(self.session, service, self.place)
        return self.clients[service]

    def output(self, name: str) -> str:
        """An output of the stack, such as TableName."""
        return _output(self.outputs, name, self.place)

    def wake_ups(self) -> WakeUpQueue:
        """The queue of wake-ups."""
        return WakeUpQueue(self.client("sqs"), self.output("WakeUpsUrl"))

    def who(self) -> str:
        """The caller's ARN."""
        return str(self.client("sts").get_caller_identity()["Arn"])

    def find(self, named: str) -> Sequence[Action]:
        """The actions of an instance, oldest first, or the one of a token or an id."""
        if not named.strip():
            raise Trouble("Say which: an instance id, a token, or an action's id; what was given is empty.")
        if named.startswith("i-"):
            found = list(self.records.of_instance(named))
        else:
            one = self.records.of_token(named) or self.records.load(named)
            found = [one] if one else []
        if not found:
            where = f"stack {self.place.stack} in {self.place.region}"
            raise Trouble(
                f"{where} has no record of {named}: give an instance id, a token, or an action's id."
            )
        return self.records.with_findings(found)

    def open_keys(self) -> list[Item]:
        """The keys of all open actions, nearest expiry first.

        The index `due` holds what is open, and whose questions are due: it is read as a whole, in few pages.
        """
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=self.output("TableName"),
            IndexName=table.DUE_INDEX,
            ProjectionExpression="pk, sk, expires_at",
        )
        rows = [row for page in pages for row in page["Items"] if row["sk"]["S"] == "STATE"]
        rows.sort(key=lambda row: (row["expires_at"]["S"], row["pk"]["S"]))
        return [{"pk": row["pk"], "sk": row["sk"]} for row in rows]

    def states(self, keys: Sequence[Item]) -> list[Action]:
        """The open actions of those keys as they are now, nearest expiry first."""
        of_stack = table.Table(self.dynamodb, self.output("TableName"))
        items = of_stack.get_all(keys)
        found = [record_format.action_from_data(table.from_json(item)) for item in items]
        are_open = [action for action in found if action.is_open]
        are_open.sort(key=lambda action: (action.expires_at, action.id))
        return self.records.with_findings(are_open)


_PLACE: Final = (
    click.option("--stack", default=STACK, show_default=True, metavar="NAME", help="Usher's stack."),
    click.option("--endpoint-url", metavar="URL", help="Another endpoint, for all services."),
    click.option("--region", metavar="NAME", envvar="AWS_REGION", help="The Region."),
    click.option("--profile", metavar="NAME", help="A profile of your AWS configuration."),
)


def with_account(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name a place, and the account there as its first argument."""

    def opened(
        context: click.Context,
        *,
        profile: str | None,
        region: str | None,
        endpoint_url: str | None,
        stack: str,
        **rest: object,
    ) -> None:
        place = Place(profile=profile, region=region, endpoint_url=endpoint_url, stack=stack)
        with in_words(place):
            command(open_account(place, context.obj or this_machine()), **rest)

    with_options: Callable[..., None] = click.pass_context(update_wrapper(opened, command))
    for option in _PLACE:
        with_options = option(with_options)
    return with_options


def this_machine() -> Machine:
    """The real one."""
    from threading import Event  # noqa: PLC0415 - only a command that works on an account needs them

    from usher.wiring.machine import new_id, now  # noqa: PLC0415

    between = Event()
    return Machine(clock=now, new_id=new_id, wait=lambda span: between.wait(span.total_seconds()))


def open_account(place: Place, machine: Machine) -> Account:
    """The account in which the stack of `place` is found."""
    session = boto3.Session(profile_name=place.profile, region_name=place.region)
    here = Place(
        profile=place.profile,
        region=session.region_name,
        endpoint_url=place.endpoint_url,
        stack=place.stack,
    )
    outputs = _outputs(session, here)
    dynamodb = _client(session, "dynamodb", here)
    return Account(
        place=here,
        machine=machine,
        session=session,
        dynamodb=dynamodb,
        records=RecordTable(dynamodb, _output(outputs, "TableName", here), machine.clock),
        outputs=outputs,
    )


def _client(session: Any, service: str, place: Place) -> Any:  # noqa: ANN401 - see Account.client
    try:
        return session.client(service, endpoint_url=place.endpoint_url, config=_CONFIG)
    except aws.BotoCoreError:
        raise
    except ValueError as error:  # botocore has no class for an endpoint that is no URL
        raise Trouble(f"{error}: --endpoint-url must be a URL such as http://localhost:4566.") from error


def _outputs(session: Any, place: Place) -> Mapping[str, str]:  # noqa: ANN401 - see Account.client
    try:
        answer = _client(session, "cloudformation", place).describe_stacks(StackName=place.stack)
    except aws.ClientError as error:
        if "does not exist" not in error.response["Error"].get("Message", ""):
            raise
        where = f"There is no stack {place.stack} in {place.region}"
        raise Trouble(f"{where}: is the Region right (--region), and its name (--stack)?") from error
    (stack,) = answer["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _output(outputs: Mapping[str, str], name: str, place: Place) -> str:
    if name not in outputs:
        said = f"Stack {place.stack} in {place.region} has no output {name}"
        raise Trouble(f"{said}: is it Usher's (--stack)? If so, deploy it again with this release.")
    return outputs[name]


# Refusals in words


@contextmanager
def in_words(place: Place) -> Iterator[None]:
    """Whatever AWS refuses in the block ends it with Trouble."""
    try:
        yield
    except Unavailable as error:
        known = isinstance(error.__cause__, aws.BotoCoreError | aws.ClientError)
        raise Trouble(_words(error.__cause__, place) if known else f"{error}: try again.") from error
    except (aws.BotoCoreError, aws.ClientError) as error:
        raise Trouble(_words(error, place)) from error


def _words(error: BaseException | None, place: Place) -> str:
    if isinstance(error, aws.ClientError):
        return _words_of_aws(error, place)
    for kinds, words in _OF_KINDS:
        if isinstance(error, kinds):
            return words.format(error=str(error).rstrip("."), stack=place.stack)
    return f"{error}"


_OF_KINDS: Final = (
    (
        (aws.NoCredentialsError, aws.PartialCredentialsError),
        "No AWS credentials were found: set them up (`aws configure`), or name a --profile.",
    ),
    (
        (aws.ProfileNotFound,),
        "{error}: `aws configure list-profiles` shows what there is; see --profile and AWS_PROFILE.",
    ),
    ((aws.NoRegionError,), "No Region is set: give --region, or set AWS_REGION."),
    ((aws.InvalidRegionError,), "{error}: give --region a name such as eu-west-1."),
    (
        (
            aws.UnauthorizedSSOTokenError,
            aws.SSOTokenLoadError,
            aws.TokenRetrievalError,
            aws.CredentialRetrievalError,
        ),
        f"{{error}}: {_SIGN_IN}.",
    ),
    (
        (aws.HTTPClientError, aws.ConnectionError),
        "{error}: is the Region right (--region), the endpoint (--endpoint-url), and the network there?",
    ),
)


def _words_of_aws(error: aws.ClientError, place: Place) -> str:
    code = error.response["Error"].get("Code", "")
    said = f"{error.operation_name}: {error.response['Error'].get('Message') or code}".rstrip(".")
    for codes, words in _OF_CODES.items():
        if code in codes:
            return words.format(said=said, stack=place.stack, region=place.region)
    return f"{said} ({code})."


_OF_CODES: Final[Mapping[tuple[str, ...], str]] = {
    ("ExpiredToken", "ExpiredTokenException", "RequestExpired"): (
        f"The AWS session has expired ({{said}}): {_SIGN_IN}."
    ),
    (
        "AuthFailure",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ): f"AWS does not know these credentials ({{said}}): {_SIGN_IN}.",
    ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"): (
        f"Not permitted ({{said}}): {_MAY}."
    ),
    (
        "ResourceNotFoundException",
        "QueueDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue",
    ): "What stack {stack} in {region} names is not there ({said}): is it being deployed, or deleted?",
    ("Throttling", "ThrottlingException", "RequestLimitExceeded"): "AWS is busy ({said}): try again.",
}
