"""The stack, as CloudFormation tells it: its state, its parameters and outputs, and what its events say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click
from botocore.exceptions import ClientError

from usher_cli.account import Trouble
from usher_cli.install.maker import other_maker
from usher_cli.install.release import VERSION
from usher_cli.printable import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from usher_cli.install.site import Site

BETWEEN_LOOKS: Final = timedelta(seconds=2)
_CANCELLED: Final = "cancelled"  # of a resource that another one's failure ended
_BOUNDARY: Final = "permissions boundary"
DELETED: Final = "DELETE_COMPLETE"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """A stack that is there."""

    id: str
    name: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def is_busy(self) -> bool:
        """Whether CloudFormation works on it."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def stands(self) -> bool:
        """Whether it was made in full, and is as its last good change left it."""
        return self.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")

    @property
    def is_released(self) -> bool:
        """Whether it has the template of a release: not the CDK's, nor that of something else."""
        is_ours = VERSION in self.outputs or not self.stands
        return is_ours and {"CodeBucket", "CodeKey"} <= {*self.parameters}

    @property
    def other_maker(self) -> str:
        """Who made it, if not `usher install`; else empty."""
        return other_maker(self.name, self.parameters) or ("" if self.is_released else "the CDK")

    @property
    def to_upgrade(self) -> str:
        """What to do for that, for messages."""
        maker = self.other_maker
        return f"upgrade it by what made it ({maker})" if maker else "run `usher upgrade`"

    @property
    def to_remove(self) -> str:
        """Likewise."""
        maker = self.other_maker
        return f"remove it by what made it ({maker})" if maker else "run `usher uninstall`"


def find(site: Site, name: str | None = None) -> Stack | None:
    """The stack of that name or id, by default Usher's; None where there is none."""
    try:
        answer = site.client("cloudformation").describe_stacks(StackName=name or site.stack)
    except ClientError as error:
        if "does not exist" in error.response["Error"].get("Message", ""):
            return None
        raise
    (told,) = answer["Stacks"]
    return Stack(
        id=told["StackId"],
        name=told["StackName"],
        status=told["StackStatus"],
        parameters={each["ParameterKey"]: each["ParameterValue"] for each in told.get("Parameters", [])},
        outputs={each["OutputKey"]: each["OutputValue"] for each in told.get("Outputs", [])},
    )


def refuse_busy(site: Site, stack: Stack) -> None:
    """Raise Trouble where CloudFormation works on the stack."""
    if stack.is_busy:
        raise Trouble(f"CloudFormation works on {site} ({stack.status}): try again when it is done.")


def delete(site: Site, stack: Stack) -> Ended:
    """Delete it, and follow that to its end."""
    events = Events(site, stack.id, is_told=stack.status != "REVIEW_IN_PROGRESS")  # else nothing is in it
    site.client("cloudformation").delete_stack(StackName=stack.id)
    return events.follow()


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How CloudFormation's work on a stack ended, and the first reasons of what failed."""

    status: str
    reasons: tuple[str, ...]

    @property
    def why(self) -> str:
        """In one line, with what to do where that is known."""
        told = "; ".join(self.reasons) or f"the stack is {self.status}"
        if _BOUNDARY in told.lower():
            return (
                f"{told}. A permissions boundary forbids it: give one that allows what docs/install.md lists "
                "by --permissions-boundary, or let someone without that boundary install"
            )
        return told


class Events:
    """The events of a stack from now on."""

    def __init__(self, site: Site, stack_id: str, *, is_told: bool = True) -> None:
        self._site = site
        self._is_told = is_told
        self._stack_id = stack_id
        self._seen = {event["EventId"] for event in islice(self._all(), 1)}  # the newest
        self._begun = False
        self._reasons: list[str] = []

    def follow(self) -> Ended:
        """Show them on stderr until CloudFormation is done with the stack."""
        while True:
            for event in self._new():
                self._tell(event)
            stack = find(self._site, self._stack_id)
            status = stack.status if stack else DELETED
            # Until CloudFormation begins, the status is that of before.
            self._begun |= status == DELETED or bool(stack and stack.is_busy)
            if self._begun and not status.endswith("_IN_PROGRESS"):
                for event in self._new():
                    self._tell(event)
                return Ended(status=status, reasons=tuple(self._reasons[:3]))
            self._site.machine.wait(BETWEEN_LOOKS)

    def _new(self) -> list[dict[str, Any]]:
        """Those not seen yet, oldest first."""
        found = []
        for event in self._all():
            if event["EventId"] in self._seen:
                break
            found.append(event)
        self._seen |= {event["EventId"] for event in found}
        return found[::-1]

    def _all(self) -> Iterator[dict[str, Any]]:
        """Newest first."""
        pages = self._site.client("cloudformation").get_paginator("describe_stack_events")
        try:
            for page in pages.paginate(StackName=self._stack_id):
                yield from page["StackEvents"]
        except ClientError as error:
            if "does not exist" not in error.response["Error"].get("Message", ""):
                raise

    def _tell(self, event: Mapping[str, Any]) -> None:
        status, name = event.get("ResourceStatus", ""), event.get("LogicalResourceId", "")
        reason = event.get("ResourceStatusReason", "")
        failed = status.endswith("_FAILED")
        self._begun |= event.get("PhysicalResourceId") == self._stack_id
        if failed and _CANCELLED not in reason.lower() and name != self._site.stack:
            self._reasons.append(shown(f"{name}: {reason}".rstrip(".")))
        if self._is_told and (failed or status.endswith(("_COMPLETE", "_SKIPPED"))):
            line = f"{event['Timestamp']:%H:%M:%S}  {status:<17}  {event.get('ResourceType', ''):<34}  {name}"
            click.echo(shown(f"{line}  {reason}" if failed else line), err=True)
