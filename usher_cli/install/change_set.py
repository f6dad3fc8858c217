"""A change set: what CloudFormation would do to the stack, shown before it does it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from usher_cli.account import Trouble
from usher_cli.install.stack import BETWEEN_LOOKS, Ended, Events
from usher_cli.printable import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from usher_cli.install.site import Site

_DONE: Final = {"Add": "added", "Modify": "changed", "Remove": "removed"}
_NO_CHANGE: Final = ("didn't contain changes", "no updates are to be performed")
# What hooks point at, and what stores data, by the beginning of its logical ID and by its type: replaced, it
# would be lost to hooks that stand, and to what waits in them.
NEVER_REPLACED: Final = (
    ("RecordsTable", "AWS::DynamoDB::Table"),
    ("InboxQueue", "AWS::SQS::Queue"),
    ("Topic", "AWS::SNS::Topic"),
    ("HookRole", "AWS::IAM::Role"),
    ("IntakeFunction", "AWS::Lambda::Function"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What is to become of one resource."""

    action: str  # Add, Modify, Remove …
    kind: str
    name: str
    replacement: str  # True, False, Conditional, or empty

    @property
    def is_forbidden(self) -> bool:
        """Whether it would replace what must never be."""
        is_one = any(self.name.startswith(name) and self.kind == kind for name, kind in NEVER_REPLACED)
        return is_one and self.replacement == "True"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeSet:
    """A change set of a stack. There are no changes where everything is as asked for."""

    site: Site
    id: str
    stack_id: str
    changes: Sequence[Change]

    def show(self) -> None:
        """Print it as a table."""
        width = max((len(change.kind) for change in self.changes), default=0)
        for change in sorted(self.changes, key=lambda one: (one.action, one.kind, one.name)):
            replaced = {"True": "  (is replaced)", "Conditional": "  (may be replaced)"}
            line = f"{change.action:<8}{change.kind:<{width}}  {change.name}"
            click.echo(shown(line + replaced.get(change.replacement, "")))
        click.echo(f"{self._total}.")

    @property
    def _total(self) -> str:
        """`3 resources: 2 added, 1 changed`."""
        counts = Counter(_DONE.get(change.action, change.action.lower()) for change in self.changes)
        each = ", ".join(f"{count} {done}" for done, count in sorted(counts.items()))
        number = len(self.changes)
        return f"1 resource: {each}" if number == 1 else f"{number} resources: {each}"

    def refuse_replacements(self) -> None:
        """Raise Trouble where something would be replaced that hooks point at, or that stores data."""
        forbidden = [change.name for change in self.changes if change.is_forbidden]
        if forbidden:
            self.discard()
            raise Trouble(
                f"That replaces {', '.join(forbidden)}, which hooks and open actions need: nothing was "
                "changed. Use the values that the stack has, or install a second Usher with --stack."
            )

    def execute(self) -> Ended:
        """Do it, and follow it to its end."""
        events = Events(self.site, self.stack_id)
        self.site.client("cloudformation").execute_change_set(ChangeSetName=self.id, StackName=self.stack_id)
        return events.follow()

    def discard(self) -> None:
        """Remove it."""
        self.site.client("cloudformation").delete_change_set(ChangeSetName=self.id, StackName=self.stack_id)


def create(site: Site, kind: str, template_url: str, parameters: Sequence[Mapping[str, Any]]) -> ChangeSet:
    """A change set of that kind, CREATE or UPDATE. Raises Trouble where CloudFormation refuses it."""
    client = site.client("cloudformation")
    made = client.create_change_set(
        StackName=site.stack,
        ChangeSetName=f"usher-{site.machine.new_id()}",
        ChangeSetType=kind,
        TemplateURL=template_url,
        Parameters=list(parameters),
        Capabilities=["CAPABILITY_IAM"],
    )
    named = {"ChangeSetName": made["Id"], "StackName": made["StackId"]}  # IAM asks for the stack
    while True:
        told = client.describe_change_set(**named)
        if told["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            break
        site.machine.wait(BETWEEN_LOOKS)
    changes = _changes(client, named) if told["Status"] == "CREATE_COMPLETE" else []
    change_set = ChangeSet(site=site, id=made["Id"], stack_id=made["StackId"], changes=changes)
    if told["Status"] == "FAILED":
        change_set.discard()
        reason = told.get("StatusReason", "").rstrip(".")
        if not any(text in reason.lower() for text in _NO_CHANGE):
            raise Trouble(f"CloudFormation refuses a parameter or the template: {reason}. Nothing changed.")
    return change_set


def _changes(client: Any, named: Mapping[str, str]) -> list[Change]:  # noqa: ANN401 - a client
    pages = client.get_paginator("describe_change_set").paginate(**named)
    told = [each["ResourceChange"] for page in pages for each in page.get("Changes", [])]
    return [
        Change(
            action=each["Action"],
            kind=each["ResourceType"],
            name=each["LogicalResourceId"],
            replacement=each.get("Replacement", ""),
        )
        for each in told
    ]
