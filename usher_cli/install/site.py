"""Where Usher is installed: an account, a Region, and the name of a stack."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property, update_wrapper
from typing import TYPE_CHECKING, Any

import click

from usher_cli.account import STACK, Machine, this_machine, with_clients

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, kw_only=True)
class Site:
    """`client` opens the client of a service, of boto3."""

    stack: str
    client: Callable[[str], Any]
    machine: Machine

    @cached_property
    def account(self) -> str:
        """The number of the account."""
        return str(self.client("sts").get_caller_identity()["Account"])

    @cached_property
    def region(self) -> str:
        """The name of the Region."""
        return str(self.client("cloudformation").meta.region_name)

    def __str__(self) -> str:
        """For messages."""
        return f"stack {self.stack} in {self.region}"


def _stack_name(_context: click.Context, _option: click.Parameter, name: str) -> str:
    """As CloudFormation allows: before a bucket is made for it."""
    if not re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9]{0,127}", name):
        rule = "must have 1 to 128 letters, digits and hyphens, a letter first"
        raise click.BadParameter(f"{rule}, got {name!r}")
    return name


def with_site(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a place, and the Site there as its first argument."""

    def opened(opens: Callable[[str], Any], *, stack: str, **rest: object) -> None:
        machine: Machine = click.get_current_context().obj or this_machine()
        command(Site(stack=stack, client=cache(opens), machine=machine), **rest)

    named = click.option(
        "--stack",
        default=STACK,
        show_default=True,
        metavar="NAME",
        callback=_stack_name,
        help="The stack of Usher.",
    )
    with_options: Callable[..., None] = with_clients(named(update_wrapper(opened, command)))
    return with_options
