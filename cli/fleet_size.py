"""What AWS holds of a hooks file: the rights to put hooks in policies, the compiled file in a request.

Rights are given by names, globs and tags as the file has them. More of them than a role's policies hold
are refused: rights that widen by themselves would be worse.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from usher.core.compiled import compiled
from usher.core.field import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from usher.core.policy import Configuration, GroupSelector

POLICY_CHARACTERS: Final = 6_144  # of a managed policy, without white space (IAM's quotas; aws-facts 11.3)
POLICIES_OF_A_ROLE: Final = 10  # where nobody has asked for more (aws-facts 11.3)
INLINE_CHARACTERS: Final = 3_000  # that this right may take of a role's 10,240 inline (aws-facts 11.3)
# An asynchronous invocation took 256 KB at the least (Lambda's quotas); CloudFormation adds 16 KB at most.
FILE_CHARACTERS: Final = 240_000

_LONGEST_ARN: Final = len(
    "arn:aws-us-gov:autoscaling:us-isof-south-1:123456789012:autoScalingGroup:*:autoScalingGroupName/"
)
_POLICY: Final = len('{"Version":"2012-10-17","Statement":[]}')
_STATEMENT: Final = len('{"Action":"autoscaling:PutLifecycleHook","Effect":"Allow","Resource":[]},')
_ROOM: Final = POLICY_CHARACTERS - _POLICY - _STATEMENT  # of a policy, for rights
_CONDITION: Final = len('"Condition":{"StringEquals":{}},')
_TAG: Final = len('"aws:ResourceTag/":"",')
_QUOTED: Final = len('"",')


@dataclass(frozen=True, kw_only=True, slots=True)
class Right:
    """To put hooks on the groups of a selector: its first hook in the file, and what it takes of a policy."""

    selector: GroupSelector
    index: int
    characters: int


def rights(configuration: Configuration) -> list[Right]:
    """One for each selector, in the order of the file."""
    first: dict[GroupSelector, int] = {}
    for index, hook in enumerate(configuration.hooks):
        first.setdefault(hook.group, index)
    return [
        Right(selector=selector, index=index, characters=_characters(selector))
        for selector, index in first.items()
    ]


def packed(needed: Iterable[Right]) -> list[list[Right]]:
    """The rights of each managed policy, none of which is too long."""
    policies: list[list[Right]] = []
    left = 0
    for right in needed:
        if right.characters > left:
            policies.append([])
            left = _ROOM
        policies[-1].append(right)
        left -= right.characters
    return policies


def problems(configuration: Configuration, data: object) -> list[Problem]:
    """What AWS would refuse of a sound hooks file; `data` is the file as plain data."""
    needed = rights(configuration)
    found = [_too_long(right) for right in needed if right.characters > _ROOM]
    policies = packed(needed)
    if not found and len(policies) > POLICIES_OF_A_ROLE:
        right = policies[POLICIES_OF_A_ROLE][0]
        count = sum(map(len, policies[:POLICIES_OF_A_ROLE]))
        rule = (
            f"must be one of the names, globs and tags that the {POLICIES_OF_A_ROLE} policies of a role hold "
            f"({count} of this file): choose groups by a glob or a tag that they share"
        )
        found.append(Problem(path=("hooks", right.index, "group"), rule=rule, value=str(right.selector)))
    size = len(json.dumps(compiled(data).text))
    if size > FILE_CHARACTERS:
        rule = f"must compile to at most {FILE_CHARACTERS} characters, as a request to Lambda takes no more"
        found.append(Problem(path=("hooks",), rule=rule, value=size))
    return found


def _too_long(right: Right) -> Problem:
    rule = f"must be tags that fit into one policy of {POLICY_CHARACTERS} characters: name fewer of them"
    return Problem(path=("hooks", right.index, "group"), rule=rule, value=str(right.selector))


def _characters(selector: GroupSelector) -> int:
    if selector.glob is not None:
        return _LONGEST_ARN + _escaped(selector.glob) + _QUOTED
    tags = sum(_TAG + _escaped(key) + _escaped(value) for key, value in selector.tags)
    return _STATEMENT + _CONDITION + _LONGEST_ARN + len("*") + _QUOTED + tags


def _escaped(text: str) -> int:
    return len(json.dumps(text)) - len('""')


def in_line(needed: Sequence[Right]) -> bool:
    """Whether they are few enough to stand among the other rights of a role."""
    return _STATEMENT + sum(right.characters for right in needed) <= INLINE_CHARACTERS
