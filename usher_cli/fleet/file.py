"""Reads `fleet.yaml`: the accounts and Regions of a fleet, how they are reached, and their hooks files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from usher.core.field import ConfigurationRefused, Field, Problem, Refused, attempt
from usher.core.shape import Constant, Keys, ListOf, Text
from usher_cli.account import STACK, Trouble
from usher_hooksfile import load
from usher_hooksfile.schema import titled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from usher.core.shape import Shape

HOOKS: Final = "hooks.yaml"  # beside fleet.yaml
_VERSION: Final = Constant(1)
_ACCOUNT: Final = Text(r"[0-9]{12}", "must be an account ID of twelve digits")
_UNIT: Final = Text(
    r"(ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}|r-[a-z0-9]{4,32})",
    "must be the ID of an organizational unit or of the root, such as ou-ab12-34cd56ef or r-ab12",
)
_REGION: Final = Text(r"[a-z]{2,3}(-[a-z]+)+-[0-9]{1,2}", "must be a Region such as eu-west-1")
_REGIONS: Final = ListOf(_REGION, least=1, rule="must be a list of Regions")
_PLAIN: Final = r"[^\u0000-\u0020\u007f]"  # no blank, no control character
_ROLE_NAME: Final = Text(
    r"[A-Za-z0-9_+=,.@/-]{1,512}", "must be the name of a role, with its path if it has one"
)
_EXTERNAL_ID: Final = Text(r"[A-Za-z0-9_+=,.@:/-]{2,1224}", "must be 2 to 1224 letters, digits or _+=,.@:/-")
_SESSION_NAME: Final = Text(r"[A-Za-z0-9_+=,.@-]{2,64}", "must be 2 to 64 letters, digits or _+=,.@-")
_ROLE: Final = Keys(
    {"name": _ROLE_NAME, "external_id": _EXTERNAL_ID, "session_name": _SESSION_NAME}, required=("name",)
)
_STACK: Final = Text(
    r"[A-Za-z][A-Za-z0-9-]{0,127}\*?", "must be the name of a stack, or the beginning of one and *"
)
_HOOKS: Final = Text(rf"{_PLAIN}(.*{_PLAIN})?", "must be the path of a hooks file")
_ENDPOINT: Final = Text(r"https?://[^\u0000-\u0020]+", "must be a URL such as http://localhost:4566")
_REACHED: Final[Mapping[str, Shape]] = {  # of the file, or of one entry
    "regions": _REGIONS,
    "role": _ROLE,
    "stack": _STACK,
    "hooks": _HOOKS,
    "endpoint_url": _ENDPOINT,
}
_PROFILE: Final = Text(rf"{_PLAIN}(.*{_PLAIN})?", "must be a profile of your AWS configuration")
_NAME: Final = Text(rf"{_PLAIN}{{1,50}}", "must be a name of 1 to 50 characters without blanks")
_LISTED: Final = Keys({"id": _ACCOUNT, "name": _NAME, "profile": _PROFILE, **_REACHED}, required=("id",))
_ENTRIES: Final = ListOf(_LISTED, least=1, rule="must be a list of accounts")
_LEFT_OUT: Final = ListOf(_ACCOUNT, least=1, rule="must be a list of account IDs")
_OF_UNIT: Final = Keys({"id": _UNIT, "leave_out": _LEFT_OUT, **_REACHED}, required=("id",))
_UNITS: Final = ListOf(_OF_UNIT, least=1, rule="must be a list of organizational units")
FILE: Final = Keys(
    {"version": _VERSION, **_REACHED, "accounts": _ENTRIES, "organizational_units": _UNITS},
    required=("version",),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """The role to assume in an account. Without a session name it is that of the caller."""

    name: str
    external_id: str | None = None
    session_name: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reached:
    """How the accounts of an entry are reached, and with which stack and hooks file."""

    regions: Sequence[str] = ()
    role: Role | None = None
    stack: str = STACK
    hooks: str = HOOKS
    endpoint_url: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """An account of the file."""

    id: str
    name: str | None
    profile: str | None  # instead of a role
    reached: Reached


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """An organizational unit of the file: its accounts, and those of the units in it."""

    id: str
    leave_out: frozenset[str]
    reached: Reached


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetFile:
    """What `fleet.yaml` says."""

    accounts: Sequence[Listed]
    units: Sequence[Unit]


def read(path: Path) -> FleetFile:
    """The file at `path`. Raises Trouble, with each problem and its line."""
    try:
        return load.checked(path, parse, FILE).found
    except load.HooksFileRefused as refused:
        raise Trouble("; ".join(refused.complaints)) from refused


def schema() -> dict[str, object]:
    """The JSON Schema of `fleet.yaml`: what the parser declares."""
    return titled("Usher's fleet.yaml", FILE)


def parse(data: object) -> FleetFile:
    """What plain data describe. Raises ConfigurationRefused."""
    problems: list[Problem] = []
    try:
        found = _file(Field(path=(), value=data, problems=problems))
    except Refused:
        raise ConfigurationRefused(problems) from None
    if problems:
        raise ConfigurationRefused(problems)
    return found


def _file(field: Field) -> FleetFile:
    parts = FILE.members(field)
    attempt(_VERSION.read, parts.get("version"), None)
    if not parts.keys() & {"accounts", "organizational_units"}:
        field.refuse("must have accounts, organizational_units or both")
    reached = _reached(parts, Reached())
    accounts = attempt(partial(_accounts, reached), parts.get("accounts"), [])
    units = attempt(partial(_units, reached), parts.get("organizational_units"), [])
    return FleetFile(accounts=accounts, units=units)


def _accounts(over: Reached, field: Field) -> list[Listed]:
    found: list[Listed] = []
    sites: set[tuple[str, str]] = set()
    for element in _ENTRIES.elements(field):
        account = attempt(partial(_account, over), element, None)
        if account is None:
            continue
        of_it = {(account.id, region) for region in account.reached.regions}
        if of_it & sites:
            element.refuse(f"must not list {' in '.join(min(of_it & sites))} a second time")
        sites |= of_it
        found.append(account)
    return found


def _account(over: Reached, field: Field) -> Listed:
    parts = _LISTED.members(field)
    if "profile" in parts and "role" in parts:
        parts["profile"].refuse("must not stand beside role: a profile brings its own")
    return Listed(
        id=attempt(_ACCOUNT.read, parts.get("id"), ""),
        name=attempt(_NAME.read, parts.get("name"), None),
        profile=attempt(_PROFILE.read, parts.get("profile"), None),
        reached=_with_regions(parts, over, field),
    )


def _units(over: Reached, field: Field) -> list[Unit]:
    attempted = [attempt(partial(_unit, over), element, None) for element in _UNITS.elements(field)]
    return [unit for unit in attempted if unit is not None]


def _unit(over: Reached, field: Field) -> Unit:
    parts = _OF_UNIT.members(field)
    left_out = attempt(partial(_texts, _LEFT_OUT, _ACCOUNT), parts.get("leave_out"), ())
    return Unit(
        id=attempt(_UNIT.read, parts.get("id"), ""),
        leave_out=frozenset(left_out),
        reached=_with_regions(parts, over, field),
    )


def _with_regions(parts: Mapping[str, Field], over: Reached, field: Field) -> Reached:
    reached = _reached(parts, over)
    if not reached.regions and "regions" not in parts:
        field.refuse("must have regions, here or for the whole file")
    return reached


def _reached(parts: Mapping[str, Field], over: Reached) -> Reached:
    """Where an entry says nothing, what the file says counts."""
    return Reached(
        regions=attempt(partial(_texts, _REGIONS, _REGION), parts.get("regions"), over.regions),
        role=attempt(_role, parts.get("role"), over.role),
        stack=attempt(_STACK.read, parts.get("stack"), over.stack),
        hooks=attempt(_HOOKS.read, parts.get("hooks"), over.hooks),
        endpoint_url=attempt(_ENDPOINT.read, parts.get("endpoint_url"), over.endpoint_url),
    )


def _texts(shape: ListOf, element: Text, field: Field) -> tuple[str, ...]:
    """What is sound of a list of texts, each once."""
    found: list[str] = []
    for each in shape.elements(field):
        text = attempt(element.read, each, None)
        if text in found:
            each.refuse("must not appear twice")
        found += [] if text is None else [text]
    return tuple(found)


def _role(field: Field) -> Role:
    parts = _ROLE.members(field)
    return Role(
        name=attempt(_ROLE_NAME.read, parts.get("name"), ""),
        external_id=attempt(_EXTERNAL_ID.read, parts.get("external_id"), None),
        session_name=attempt(_SESSION_NAME.read, parts.get("session_name"), None),
    )
