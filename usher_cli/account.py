"""The account that the commands work on."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Final, Protocol

import boto3
import click
from botocore import exceptions as aws
from botocore.config import Config

from usher.aws.enrolled import EnrolledHooks
from usher.aws.file_versions import PARTITION, FileVersionsTable
from usher.aws.queues import WakeUpQueue
from usher.aws.record_format import UNREADABLE
from usher.aws.records import RecordTable
from usher.ports.errors import Unavailable
from usher.ports.records import ReconcileStore
from usher_cli.aws_errors import text_of
from usher_cli.history.stories import StoriesTable
from usher_cli.open_actions import Loaded, OpenActionsTable, unread
from usher_cli.printable import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from usher.core.action import Action
    from usher.ports.file_versions import VersionHistory
    from usher.ports.hooks import EnrolmentRecords
    from usher_cli.history.stories import Stories
    from usher_cli.install.release import Release
    from usher_cli.open_actions import OpenActions

STACK: Final = "Usher"
_CONFIG: Final = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"total_max_attempts": 3, "mode": "standard"},
    user_agent="usher",  # else botocore builds it anew for each request
)
_WITHOUT_TABLE: Final = (
    "Without the table, `usher list --offline` shows what waits, and a command that holds each instance."
)


class Trouble(click.ClickException):
    """A command cannot go on: why, and what to do next, in one line; exit code 2."""

    exit_code = 2

    def __init__(self, text: str) -> None:
        super().__init__(shown(" ".join(text.split())))


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What the commands ask of this machine. A test passes its own, as click's `obj`."""

    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    wait: Callable[[timedelta], object]
    open_account: Callable[[Place, Machine], Account] | None = None  # instead of the one on AWS
    open_client: Callable[[Place, str], Any] | None = None  # likewise, where no stack need be
    release: Release | None = None  # to deploy, instead of the one that this installation brings


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where Usher is deployed. What is None comes from the environment."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    stack: str = STACK
    account: str | None = None  # its ID, where it is one of a fleet


class OperatorStore(ReconcileStore, Protocol):
    """The records, as the commands read and change them."""

    def with_findings(self, actions: Sequence[Action]) -> list[Action]:
        """The actions with what was found of their conditions."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A deployed Usher: its records, and clients for what else the commands call."""

    place: Place  # with the Region in effect
    machine: Machine
    session: Any  # boto3's
    dynamodb: Any
    records: OperatorStore
    open_actions: OpenActions
    outputs: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)  # of the stack
    status: str = ""  # of the stack
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        """The client of one service, in this place: making one takes longer than a call."""
        if service not in self.clients:
            self.clients[service] = client_of(self.session, service, self.place)
        return self.clients[service]

    def output(self, name: str) -> str:
        """An output of the stack, such as TableName."""
        return _output(self.outputs, name, self.place)

    def wake_ups(self) -> WakeUpQueue:
        """The queue of wake-ups."""
        return WakeUpQueue(self.client("sqs"), self.output("WakeUpsUrl"))

    @property
    def enrolments_per_hour(self) -> int:
        """How many hooks the sweep puts in an hour; 0: the stack of an older release has no such output."""
        return int(self.outputs.get("EnrolmentsPerHour", 0))

    def hook_items(self) -> EnrolmentRecords:
        """The items of the enrolled hooks."""
        table_name, clock = self.output("TableName"), self.machine.clock
        return EnrolledHooks(self.dynamodb, table_name, clock, self.enrolments_per_hour)

    def stories(self) -> Stories:
        """Whole records with their timelines."""
        return StoriesTable(self.dynamodb, self.output("TableName"))

    def versions(self) -> VersionHistory:
        """The versions of the hooks file that were applied."""
        return FileVersionsTable(self.dynamodb, self.output("TableName"))

    def aws_time(self) -> datetime:
        """The time by AWS's clock: that of this machine may be wrong by minutes."""
        key = {"pk": {"S": PARTITION}, "sk": {"S": "any"}}
        answer = self.dynamodb.get_item(TableName=self.output("TableName"), Key=key)
        told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return parsedate_to_datetime(told) if told else self.machine.clock()

    def who(self) -> str:
        """The caller's ARN."""
        return str(self.client("sts").get_caller_identity()["Arn"])

    def find(self, named: str) -> Sequence[Action]:
        """The actions of an instance, oldest first, or the one of a token or an id."""
        if not named.strip():
            raise Trouble("Give an instance ID, a token or an action ID: the argument is empty.")
        try:
            found = self._named(named)
        except UNREADABLE as error:
            raise Trouble(unread(named)) from error
        if found:
            return self.records.with_findings(found)
        if not self.reads_all(named):
            raise Trouble(unread(named))
        where = f"Stack {self.place.stack} in {self.place.region}"
        raise Trouble(f"{where} has no record of {named}: give an instance ID, a token or an action ID.")

    def reads_all(self, named: str) -> bool:
        """Whether `find` leaves out none: of an instance it does so with what cannot be read."""
        return not named.startswith("i-") or self.records.is_readable(named)

    def _named(self, named: str) -> list[Action]:
        if named.startswith("i-"):
            return list(self.records.of_instance(named))
        action = self.records.of_token(named) or self.records.load(named)
        return [action] if action else []

    def load_open(self, ids: Sequence[str]) -> Loaded:
        """The open actions of those ids as they are now, with what was found of their conditions."""
        loaded = self.open_actions.load(ids)
        return Loaded(actions=self.records.with_findings(loaded.actions), unreadable=loaded.unreadable)


_ACCESS: Final = (
    click.option("--endpoint-url", metavar="URL", help="Endpoint for all services."),
    click.option("--region", metavar="NAME", envvar="AWS_REGION", help="AWS Region."),
    click.option("--profile", metavar="NAME", help="Profile of your AWS configuration."),
)
_PLACE: Final = (
    click.option("--stack", default=STACK, show_default=True, metavar="NAME", help="The stack of Usher."),
    *_ACCESS,
)


def with_clients(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a Place, but no stack, and what opens the client of a service there."""

    def opened(
        context: click.Context,
        *,
        profile: str | None,
        region: str | None,
        endpoint_url: str | None,
        **rest: object,
    ) -> None:
        stack = str(rest.get("stack", STACK))  # of a command that has one: for the texts of errors
        place = Place(profile=profile, region=region, endpoint_url=endpoint_url, stack=stack)
        machine: Machine | None = context.obj
        opens = (machine.open_client if machine else None) or open_client
        with errors_as_trouble(place):
            command(partial(opens, place), **rest)

    with_options: Callable[..., None] = click.pass_context(update_wrapper(opened, command))
    for option in _ACCESS:
        with_options = option(with_options)
    return with_options


def open_client(place: Place, service: str) -> Any:  # noqa: ANN401 - see Account.client
    """The client of a service, where no stack need be."""
    session = boto3.Session(profile_name=place.profile, region_name=place.region)
    return client_of(session, service, place)


def with_account(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a Place, and the account there as its first argument."""

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
        with errors_as_trouble(place):
            machine: Machine = context.obj or this_machine()
            opens = machine.open_account or open_account
            try:
                command(opens(place, machine), **rest)
            except Unavailable:
                click.echo(_WITHOUT_TABLE, err=True)
                raise

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
    return account_in(boto3.Session(profile_name=place.profile, region_name=place.region), place, machine)


def account_in(session: Any, place: Place, machine: Machine) -> Account:  # noqa: ANN401 - see Account.client
    """Likewise, by a session of boto3."""
    here = replace(place, region=session.region_name)
    stack = _stack(session, here)
    here = replace(here, stack=stack["StackName"])
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])}
    dynamodb = client_of(session, "dynamodb", here)
    table_name = _output(outputs, "TableName", here)
    return Account(
        place=here,
        machine=machine,
        session=session,
        dynamodb=dynamodb,
        records=RecordTable(dynamodb, table_name, machine.clock),
        open_actions=OpenActionsTable(dynamodb, table_name),
        outputs=outputs,
        parameters=parameters,
        status=stack.get("StackStatus", ""),
    )


def client_of(session: Any, service: str, place: Place) -> Any:  # noqa: ANN401 - see Account.client
    """The client of a service, by a session of boto3."""
    try:
        return session.client(service, endpoint_url=place.endpoint_url, config=_CONFIG)
    except aws.BotoCoreError:
        raise
    except ValueError as error:  # botocore has no class for an endpoint that is no URL
        raise Trouble(f"{error}: --endpoint-url must be a URL such as http://localhost:4566.") from error


def only_stack(client: Any, place: Place) -> dict[str, Any]:  # noqa: ANN401 - see Account.client
    """The stack whose name begins as `place.stack` does, which ends with *.

    StackSets give such names (aws-facts 11.6). Raises Trouble where it is not one.
    """
    pages = client.get_paginator("describe_stacks").paginate()
    begin = place.stack.removesuffix("*")
    found = [each for page in pages for each in page["Stacks"] if each["StackName"].startswith(begin)]
    if len(found) == 1:
        return dict(found[0])
    names = ", ".join(each["StackName"] for each in found) or "none"
    raise Trouble(f"There must be one stack {place.stack} in {place.region}, and there is {names}.")


def _stack(session: Any, place: Place) -> dict[str, Any]:  # noqa: ANN401 - see Account.client
    client = client_of(session, "cloudformation", place)
    if place.stack.endswith("*"):
        return only_stack(client, place)
    try:
        answer = client.describe_stacks(StackName=place.stack)
    except aws.ClientError as error:
        if "does not exist" not in error.response["Error"].get("Message", ""):
            raise
        where = f"There is no stack {place.stack} in {place.region}"
        raise Trouble(f"{where}: check --region and --stack.") from error
    stack: dict[str, Any] = answer["Stacks"][0]
    return stack


def _output(outputs: Mapping[str, str], name: str, place: Place) -> str:
    if name not in outputs:
        problem = f"Stack {place.stack} in {place.region} has no output {name}"
        raise Trouble(f"{problem}: check --stack; if it is Usher's, deploy it again with this release.")
    return outputs[name]


@contextmanager
def errors_as_trouble(place: Place) -> Iterator[None]:
    """Turn every error of AWS in the block into Trouble."""
    try:
        yield
    except Unavailable as error:
        known = isinstance(error.__cause__, aws.BotoCoreError | aws.ClientError)
        raise Trouble(text_of(error.__cause__, place) if known else f"{error}: try again.") from error
    except (aws.BotoCoreError, aws.ClientError) as error:
        raise Trouble(text_of(error, place)) from error
