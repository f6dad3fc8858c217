"""The roles of the deployed stack: the names of their statements, and a role without one of them."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.deployed.stack import Decided, Stack


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One statement of a role's only policy."""

    role: str  # its whole name
    policy: str
    number: int
    effect: str  # Allow or Deny
    actions: tuple[str, ...]
    resources: tuple[str, ...]

    @property
    def name(self) -> str:
        """The role's short name, the first action, and the first resource without what differs by account."""
        resource = re.sub(r"autoScalingGroupName/.*", "groups", self.resources[0].rpartition(":")[2])
        resource = re.sub(r"^stack/Usher/.*", "stack", resource)
        plain = re.sub(r"^(\w+/)?Usher-|[0-9A-F]{8}(-[0-9A-F]+)?", "", resource)
        denied = "no " if self.effect == "Deny" else ""
        return f"{short(self.role)}: {denied}{self.actions[0]} on {plain}"

    def covers(self, decided: Decided) -> bool:
        """Whether it is this statement that allows such a call, or would."""
        fits = any(fnmatchcase(decided.resource, pattern) for pattern in self.resources)
        return decided.role == self.role and decided.action in self.actions and fits


def short(role: str) -> str:
    """E.g. Wake of Usher-WakeRole3447F5CD-E9A8CF1EA2445."""
    return re.sub(r"^Usher-(\w+?)Role[0-9A-F]{8}-.*", r"\1", role)


def statements(stack: Stack) -> dict[str, Statement]:
    """Every statement of every role of Usher's, by name."""
    found: dict[str, Statement] = {}
    for role in stack.iam.list_roles()["Roles"]:
        if role["RoleName"].startswith("Usher-"):
            found |= {each.name: each for each in _of_role(stack, role["RoleName"])}
    return found


def _of_role(stack: Stack, role: str) -> Iterator[Statement]:
    for policy in stack.iam.list_role_policies(RoleName=role)["PolicyNames"]:
        for number, statement in enumerate(_document(stack, role, policy)["Statement"]):
            yield Statement(
                role=role,
                policy=policy,
                number=number,
                effect=statement["Effect"],
                actions=_listed(statement["Action"]),
                resources=_listed(statement["Resource"]),
            )


@contextmanager
def taken_away(stack: Stack, statement: Statement) -> Iterator[None]:
    """While a block runs, the role has all of its statements but this one."""
    document = _document(stack, statement.role, statement.policy)
    others = [each for number, each in enumerate(document["Statement"]) if number != statement.number]
    _put(stack, statement, document | {"Statement": others})
    try:
        yield
    finally:
        _put(stack, statement, document)


def _put(stack: Stack, statement: Statement, document: Mapping[str, Any]) -> None:
    stack.iam.put_role_policy(
        RoleName=statement.role, PolicyName=statement.policy, PolicyDocument=json.dumps(document)
    )


def _document(stack: Stack, role: str, policy: str) -> dict[str, Any]:
    answer = stack.iam.get_role_policy(RoleName=role, PolicyName=policy)
    return dict(answer["PolicyDocument"])


def _listed(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
