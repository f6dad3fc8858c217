"""A fleet as a command has it, and the option `--fleet` that gives it one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, partial, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from usher_cli.account import (
    Account,
    Machine,
    Place,
    Trouble,
    account_in,
    client_of,
    errors_as_trouble,
    only_stack,
    this_machine,
)
from usher_cli.fleet import asking, file
from usher_cli.fleet.sites import FleetSite, sites_of
from usher_cli.install.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from usher_cli.fleet.asking import Answers
    from usher_cli.fleet.sessions import Sessions

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """The sites of a fleet, each opened when it is first asked."""

    sites: Sequence[FleetSite]
    machine: Machine
    sessions: Sessions | None  # None: the machine opens all by itself, as in a test
    accounts: dict[FleetSite, Account] = field(default_factory=dict)

    def ask(self, question: Callable[[Account, FleetSite], T], *, quiet: bool = False) -> Answers[T]:
        """Ask each deployed Usher, side by side. `question` runs in a thread, and prints nothing."""
        return asking.ask(self.sites, lambda site: question(self.account(site), site), quiet=quiet)

    def ask_stacks(self, question: Callable[[Site, FleetSite], T]) -> Answers[T]:
        """Likewise, where there need be no stack."""
        return asking.ask(self.sites, lambda site: question(self._stack(site), site), quiet=False)

    def account(self, site: FleetSite) -> Account:
        """The deployed Usher of a site. Raises Trouble, and what AWS answers."""
        if site not in self.accounts:
            if self.sessions is None:
                assert self.machine.open_account is not None  # noqa: S101 - for mypy
                self.accounts[site] = self.machine.open_account(site.place, self.machine)
            else:
                self.accounts[site] = account_in(self.sessions.of(site), site.place, self.machine)
        return self.accounts[site]

    def _stack(self, site: FleetSite) -> Site:
        opens: Callable[[str], Any]
        if self.sessions is None:
            assert self.machine.open_client is not None  # noqa: S101 - for mypy
            opens = partial(self.machine.open_client, site.place)
        else:
            opens = partial(client_of, self.sessions.of(site), place=site.place)
        client = cache(opens)
        stack = site.place.stack
        if stack.endswith("*"):
            stack = only_stack(client("cloudformation"), site.place)["StackName"]
        return Site(stack=stack, client=client, machine=self.machine)


def or_fleet(of_fleet: Callable[..., None]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command on one account `--fleet`: `of_fleet` then runs on a Fleet, with the same options."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def either(
            context: click.Context,
            *,
            fleet: Path | None,
            only_accounts: tuple[str, ...],
            **rest: Any,  # noqa: ANN401 - options
        ) -> None:
            if fleet is None:
                if only_accounts:
                    raise click.UsageError("--account chooses accounts of a fleet: give its file by --fleet")
                command(**rest)
                return
            over = Place(
                profile=rest.pop("profile"),
                region=rest.pop("region"),
                endpoint_url=rest.pop("endpoint_url"),
                stack=rest.pop("stack"),
            )
            if is_given("stack"):
                raise click.UsageError("the fleet's file names the stack: leave --stack out")
            region = over.region if is_given("region") else None
            with errors_as_trouble(over):
                of_fleet(opened(context.obj, fleet, over, only_accounts, region), **rest)

        with_options: Callable[..., None] = click.pass_context(update_wrapper(either, command))
        for option in _OPTIONS:
            with_options = option(with_options)
        return with_options

    return decorate


_OPTIONS = (
    click.option(
        "--account",
        "only_accounts",
        multiple=True,
        metavar="ID|NAME",
        help="With --fleet: only this account; repeat it for more. Likewise --region.",
    ),
    click.option(
        "--fleet",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="All accounts and Regions of this file (docs/fleet.md).",
    ),
)


def opened(
    machine: Machine | None, path: Path, over: Place, accounts: Sequence[str], region: str | None
) -> Fleet:
    """The fleet of that file, or what is chosen of it. Raises Trouble."""
    found, here = file.read(path), machine or this_machine()
    sessions = None
    if here.open_account is None and here.open_client is None:
        from usher_cli.fleet.sessions import Sessions  # noqa: PLC0415 - tests in memory need no botocore

        sessions = Sessions(over)
    organizations = sessions.organizations if sessions else partial(_of_machine, here, over)
    sites = _chosen(sites_of(found, path.parent, over, organizations), accounts, region)
    if sessions:
        sessions.prepare(sites)
    return Fleet(sites=sites, machine=here, sessions=sessions)


def _of_machine(machine: Machine, over: Place) -> Any:  # noqa: ANN401 - boto3's clients have no common type
    assert machine.open_client is not None  # noqa: S101 - for mypy
    return machine.open_client(over, "organizations")


def _chosen(sites: Sequence[FleetSite], accounts: Sequence[str], region: str | None) -> Sequence[FleetSite]:
    for account in accounts:
        if not any(account in (site.account, site.name) for site in sites):
            raise Trouble(
                f"The fleet has no account {account}: give the ID or the name of one of its accounts."
            )
    found = [
        site
        for site in sites
        if (not accounts or {site.account, site.name} & set(accounts)) and region in (None, site.region)
    ]
    if not found:
        raise Trouble(f"The fleet has nothing in {region}: give one of its Regions.")
    return found


def is_given(name: str) -> bool:
    """Whether the operator gave that option of the command, and not its default or the environment."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE
