"""An account in memory for the commands: only DynamoDB and the clients of boto3 are replaced."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pytest
from click.testing import CliRunner

from tests.factories import an_action, at
from usher.aws.record_format import UNREADABLE
from usher.ports.records import Raw
from usher_cli.account import Account, Machine, Place
from usher_cli.history.stories import StoriesRead, Story
from usher_cli.main import main
from usher_cli.open_actions import Loaded
from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.memory_versions import MemoryVersions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from click.testing import Result

    from usher.core.action import Action
    from usher.ports.file_versions import VersionHistory
    from usher.ports.hooks import EnrolmentRecords
    from usher.ports.records import Store
    from usher_cli.history.stories import Stories

REGION: Final = "eu-west-1"
CALLER: Final = "arn:aws:sts::123456789012:user/ann"
OUTPUTS: Final = {"TableName": "records", "InboxUrl": "inbox", "WakeUpsUrl": "wake-ups"}


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryAccount(Account):
    """An Account whose hook items and versions are in memory, too."""

    items: EnrolmentRecords
    applied: VersionHistory

    def hook_items(self) -> EnrolmentRecords:
        """See Account."""
        return self.items

    def stories(self) -> Stories:
        """See Account."""
        assert isinstance(self.records, MemoryStore)
        return MemoryStories(self.records)

    def versions(self) -> VersionHistory:
        """See Account."""
        return self.applied

    def aws_time(self) -> datetime:
        """See Account."""
        return self.machine.clock()


class UnreadableStore(MemoryStore):
    """A MemoryStore that cannot read some records, as if a newer release had stored them."""

    unreadable: frozenset[str] = frozenset()

    def load(self, action_id: str) -> Action | None:
        """See usher.ports.records.Records."""
        if action_id in self.unreadable:
            raise KeyError(action_id)
        return super().load(action_id)

    def of_token(self, token: str) -> Action | None:
        """See usher.ports.records.ActionLookup."""
        found = super().of_token(token)
        return found and self.load(found.id)

    def of_instance(self, instance_id: str) -> Iterable[Action]:
        """See usher.ports.records.ActionLookup."""
        return [each for each in super().of_instance(instance_id) if each.id not in self.unreadable]

    def is_readable(self, instance_id: str) -> bool:
        """See usher.ports.records.ReconcileStore."""
        return not any(each.id in self.unreadable for each in super().of_instance(instance_id))


class MemoryStories:
    """Implements usher_cli.history.stories.Stories."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def read(self, ids: Sequence[str]) -> StoriesRead:
        """See Stories."""
        found = StoriesRead()
        for action_id in ids:
            try:
                action = self._store.load(action_id)
            except UNREADABLE:
                found.unreadable.append(action_id)
                continue
            if action is not None:
                (known,) = self._store.with_findings([action])
                found.stories.append(Story(action=known, timeline=self._store.timeline(action_id)))
        return found


class MemoryOpenActions:
    """Implements usher_cli.open_actions.OpenActions."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def ids(self) -> Sequence[str]:
        """See OpenActions."""
        found = sorted(self._store.all_open(), key=lambda action: (action.expires_at, action.id))
        return [action.id for action in found]

    def load(self, ids: Sequence[str]) -> Loaded:
        """See OpenActions."""
        loaded = Loaded()
        for action_id in ids:
            try:
                action = self._store.load(action_id)
            except UNREADABLE:
                loaded.unreadable.append(action_id)
            else:
                loaded.actions += [action] if action and action.is_open else []
        return loaded


@dataclass
class Clients:
    """What the commands call of SQS, STS and EventBridge; `fault` is raised by SQS."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    fault: Exception | None = None

    def send_message_batch(self, **batch: Any) -> dict[str, Any]:
        """Of SQS."""
        if self.fault is not None:
            raise self.fault
        self.sent += batch["Entries"]
        return {}

    def get_caller_identity(self) -> dict[str, str]:
        """Of STS."""
        return {"Arn": CALLER}

    def put_events(self, **entries: Any) -> dict[str, Any]:
        """Of EventBridge."""
        self.events += entries["Entries"]
        return {"Entries": [{"EventId": f"event-{len(self.events)}"}]}


@dataclass(kw_only=True)
class OperatorOf:
    """Who runs commands on a deployed Usher, on a machine whose clock the test sets."""

    records: Store = field(init=False)
    now: datetime = field(default_factory=lambda: at(0))
    waits: list[timedelta] = field(default_factory=list)
    most_waits: int = 3
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def usher(self, *arguments: str, stdin: str | None = None) -> Result:
        """Run a command on this stack, as a shell would."""
        raise NotImplementedError

    def json(self, *arguments: str) -> Any:
        outcome = self.usher(*arguments, "--json")
        assert (outcome.exit_code, outcome.exception) == (0, None), outcome.output
        return json.loads(outcome.stdout)

    def wait(self, span: timedelta) -> None:
        """Time passes, until somebody presses Ctrl-C."""
        self.waits.append(span)
        self.now += span
        if len(self.waits) == self.most_waits:
            raise KeyboardInterrupt

    def opened(self, **changes: Any) -> Action:
        return self.records.open(an_action(**changes), Raw(received_at=at(0), body="{}"))

    def loaded(self, action_id: str = "action-1") -> Action:
        action = self.records.load(action_id)
        assert action is not None
        return action


@dataclass(kw_only=True)
class MemoryStack(OperatorOf):
    """A deployed Usher in memory, and its operator."""

    stack: str = "Usher"
    clients: Clients = field(default_factory=Clients)
    services: dict[str, Any] = field(default_factory=dict)  # clients of other services
    outputs: Mapping[str, str] = field(default_factory=lambda: OUTPUTS)
    dynamodb: Any = None
    records: UnreadableStore = field(init=False)
    items: MemoryEnrolledHooks = field(init=False)
    versions: MemoryVersions = field(init=False)
    parameters: dict[str, str] = field(default_factory=dict)  # of the stack
    status: str = "CREATE_COMPLETE"

    def __post_init__(self) -> None:
        self.records = UnreadableStore(lambda: self.now)
        self.items = MemoryEnrolledHooks(lambda: self.now)
        self.versions = MemoryVersions(self.items)

    def machine(self) -> Machine:
        return Machine(
            clock=lambda: self.now,
            new_id=lambda: f"operator-{next(self.ids)}",
            wait=self.wait,
            open_account=self.account,
        )

    def account(self, place: Place | None = None, machine: Machine | None = None) -> Account:
        return MemoryAccount(
            place=place or Place(region=REGION),
            machine=machine or self.machine(),
            session=None,
            dynamodb=self.dynamodb,
            records=self.records,
            open_actions=MemoryOpenActions(self.records),
            outputs=self.outputs,
            clients={**dict.fromkeys(("sqs", "sts", "events"), self.clients), **self.services},
            items=self.items,
            applied=self.versions,
            parameters=self.parameters,
            status=self.status,
        )

    def usher(self, *arguments: str, stdin: str | None = None) -> Result:
        """Run a command on this stack, as a shell would."""
        place = ("--region", REGION)
        environment = {"COLUMNS": "400", "AWS_REGION": None, "AWS_PROFILE": None}
        return CliRunner().invoke(
            main, [*arguments, *place], input=stdin, obj=self.machine(), env=environment
        )

    def wake_ups(self) -> list[dict[str, Any]]:
        """The bodies of the wake-ups that were sent without a delay."""
        return [json.loads(sent["MessageBody"]) for sent in self.clients.sent if not sent["DelaySeconds"]]


def refused(outcome: Result) -> str:
    """The one line of a command that ends with exit code 2."""
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert isinstance(outcome.exception, SystemExit)
    (line,) = outcome.stderr.splitlines()
    return line


@pytest.fixture
def deployed() -> MemoryStack:
    """A deployed Usher of the test's own."""
    return MemoryStack()
