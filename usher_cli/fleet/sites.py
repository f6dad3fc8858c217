"""The sites of a fleet: each account and Region of `fleet.yaml`, with those of its organizational units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from usher_cli.account import Place, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from usher_cli.fleet.file import FleetFile, Reached, Role, Unit


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetSite:
    """One account and Region, how it is reached, and its hooks file."""

    place: Place  # with its account and Region
    name: str | None  # of the account
    role: Role | None
    hooks: Path

    @property
    def account(self) -> str:
        """The ID of the account."""
        return str(self.place.account)

    @property
    def region(self) -> str:
        """The name of the Region."""
        return str(self.place.region)

    @property
    def account_name(self) -> str:
        """The name of the account, or else its ID."""
        return self.name or self.account

    @property
    def names(self) -> dict[str, str | None]:
        """As `--json` has it beside what is of this site."""
        return {"account": self.account, "account_name": self.name, "region": self.region}

    def __str__(self) -> str:
        """For messages."""
        account = f"{self.name} ({self.account})" if self.name else self.account
        return f"{account} in {self.region}"


def sites_of(
    file: FleetFile, folder: Path, over: Place, organizations: Callable[[], Any]
) -> Sequence[FleetSite]:
    """All sites, in the order of the file. What is listed counts before what a unit says of it.

    `folder` is that of the file; `over` has the profile and the endpoint of the command's options, and
    `organizations` opens a client. Raises Trouble where a unit has no account.
    """
    found = [
        site
        for each in file.accounts
        for site in _sites(each.id, each.name, each.reached, folder, over, each.profile)
    ]
    known = {account.id for account in file.accounts}
    client = organizations() if file.units else None
    for unit in file.units:
        accounts = {number: name for number, name in _accounts_of(client, unit) if number not in known}
        known |= accounts.keys()
        for number, name in accounts.items():
            found += _sites(number, name, unit.reached, folder, over)
    return found


def _sites(
    account: str, name: str | None, reached: Reached, folder: Path, over: Place, profile: str | None = None
) -> Iterator[FleetSite]:
    for region in reached.regions:
        place = Place(
            profile=profile,
            region=region,
            endpoint_url=over.endpoint_url or reached.endpoint_url,
            stack=reached.stack,
            account=account,
        )
        role = None if profile else reached.role
        yield FleetSite(place=place, name=name, role=role, hooks=folder / reached.hooks)


def _accounts_of(client: Any, unit: Unit) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - boto3's
    """ID and name of each active account of a unit, and of the units in it, as Organizations lists them."""
    found = {number: name for number, name in _below(client, unit.id) if number not in unit.leave_out}
    if not found:
        raise Trouble(
            f"Organizational unit {unit.id} has no active account: check its ID in the fleet's file."
        )
    yield from sorted(found.items())


def _below(client: Any, parent: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - boto3's
    pages = client.get_paginator("list_accounts_for_parent").paginate(ParentId=parent)
    for account in (each for page in pages for each in page["Accounts"]):
        if account.get("State", account.get("Status")) == "ACTIVE":
            yield account["Id"], account["Name"]
    children = client.get_paginator("list_children")
    for page in children.paginate(ParentId=parent, ChildType="ORGANIZATIONAL_UNIT"):
        for child in page["Children"]:
            yield from _below(client, child["Id"])
