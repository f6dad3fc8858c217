"""What AWS holds of a hooks file: the rights of the functions in policies, the compiled file in a request.

Rights are given by names, globs and tags as the file has them. More of them than a role's policies hold
are refused: rights that widen by themselves would be worse.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from usher.core.compiled import compiled
from usher.core.conditions.instance_facts import InstanceFacts
from usher.core.conditions.probe import Permission, Probe
from usher.core.field import Problem
from usher.core.policy import GroupSelector

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from usher.core.conditions.verdict import Plain
    from usher.core.field import Path
    from usher.core.policy import Configuration

POLICY_CHARACTERS: Final = 6_144  # of a managed policy, without white space (IAM's quotas; aws-facts 11.3)
POLICIES_OF_A_ROLE: Final = 10  # where nobody has asked for more (aws-facts 11.3)
INLINE_CHARACTERS: Final = 3_000  # that these rights may take of a role's 10,240 inline (aws-facts 11.3)
# An update brings the old and the new file in one asynchronous invocation of 1 MB (Lambda's Invoke), beside
# 16 KB of CloudFormation's at most.
FILE_CHARACTERS: Final = 240_000

# IAM takes it in no policy (CreatePolicy, PolicyDocument).
_BEYOND_LATIN: Final = re.compile(r"[^\x00-\xff]")
_LONGEST: Final = {"partition": "aws-us-gov", "region": "us-isof-south-1", "account": "123456789012"}
_LONGEST_ARN: Final = len(
    "arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/".format(
        **_LONGEST
    )
)
_POLICY: Final = len('{"Version":"2012-10-17","Statement":[]}')
_STATEMENT: Final = len('{"Action":"autoscaling:PutLifecycleHook","Effect":"Allow","Resource":[]},')
_ROOM: Final = POLICY_CHARACTERS - _POLICY - _STATEMENT  # of a policy, for rights
_CONDITION: Final = len('"Condition":{"StringEquals":{}},')
_TAG: Final = len('"aws:ResourceTag/":"",')
_QUOTED: Final = len('"",')

Of = TypeVar("Of", GroupSelector, Permission)


@dataclass(frozen=True, kw_only=True, slots=True)
class Right(Generic[Of]):
    """To put hooks on the groups of a selector, or what a condition's calls need.

    Where the file first asks for it, and what it takes of a policy.
    """

    of: Of
    path: Path
    characters: int


def to_put(configuration: Configuration) -> list[Right[GroupSelector]]:
    """One for each selector, in the order of the file."""
    first: dict[GroupSelector, int] = {}
    for index, hook in enumerate(configuration.hooks):
        first.setdefault(hook.group, index)
    return [
        Right(of=selector, path=("hooks", index, "group"), characters=_putting(selector))
        for selector, index in first.items()
    ]


def to_ask(configuration: Configuration) -> list[Right[Permission]]:
    """One for each permission, of policies that no hook uses too: they may be an open action's."""
    asking: list[tuple[Path, Sequence[Plain]]] = [
        (("policies", policy.name, "until"), policy.leaves) for policy in configuration.policies.values()
    ]
    asking += [
        (("hooks", index, "policy"), [InstanceFacts()])
        for index, hook in enumerate(configuration.hooks)
        if hook.asks
    ]
    first: dict[Permission, Path] = {}
    for path, leaves in asking:
        for leaf in leaves:
            if isinstance(leaf, Probe):
                first |= {needed: path for needed in leaf.permissions if needed not in first}
    return [Right(of=needed, path=path, characters=_asking(needed)) for needed, path in first.items()]


def packed(needed: Iterable[Right[Of]]) -> list[list[Right[Of]]]:
    """The rights of each managed policy, none of which is too long."""
    policies: list[list[Right[Of]]] = []
    left = 0
    for right in needed:
        if right.characters > left:
            policies.append([])
            left = _ROOM
        policies[-1].append(right)
        left -= right.characters
    return policies


def in_line(needed: Sequence[Right[Of]]) -> bool:
    """Whether they are few enough to stand among the other rights of a role."""
    return _STATEMENT + sum(right.characters for right in needed) <= INLINE_CHARACTERS


def in_iam(text: str, *, is_pattern: bool) -> str:
    """The same text to IAM, to which $ begins a variable, and ? is any character of a pattern."""
    return re.sub(r"[$?]" if is_pattern else r"[$]", r"${\g<0>}", text)


def problems(configuration: Configuration, data: object) -> list[Problem]:
    """What AWS would refuse of a sound hooks file; `data` is the file as plain data."""
    putting = to_put(configuration)
    found = [problem for right in putting for problem in _never_held(right)]
    found = found or [*_too_many_groups(putting), *_too_many_questions(to_ask(configuration))]
    size = len(json.dumps(compiled(data).text))
    if size > FILE_CHARACTERS:
        rule = (
            f"must compile to at most {FILE_CHARACTERS} characters, because a request to Lambda accepts "
            f"no more"
        )
        found.append(Problem(path=("hooks",), rule=rule, value=size))
    return found


def _never_held(right: Right[GroupSelector]) -> Iterable[Problem]:
    selector = str(right.of)
    if right.characters > _ROOM:
        rule = f"must be tags that fit into one policy of {POLICY_CHARACTERS} characters: use fewer of them"
        yield Problem(path=right.path, rule=rule, value=selector)
    if _BEYOND_LATIN.search(selector):
        rule = "must have no character beyond ÿ (U+00FF), which IAM accepts in no policy: select by a glob"
        yield Problem(path=right.path, rule=rule, value=selector)


def _too_many_groups(needed: Sequence[Right[GroupSelector]]) -> Iterable[Problem]:
    for right, count in _first_beyond(needed):
        rule = (
            f"must be one of at most {count} names, globs and tags of this file, because the "
            f"{POLICIES_OF_A_ROLE} policies of a role hold no more: select groups by a shared glob or tag"
        )
        yield Problem(path=right.path, rule=rule, value=str(right.of))


def _too_many_questions(needed: Sequence[Right[Permission]]) -> Iterable[Problem]:
    for right, count in _first_beyond(needed):
        rule = (
            f"must be one of at most {count} permissions of this file, because the {POLICIES_OF_A_ROLE} "
            f"policies of a role hold no more: use fewer functions, documents and clusters"
        )
        resource = right.of.resources[0].format(partition="*", region="*", account="*")
        yield Problem(path=right.path, rule=rule, value=resource)


def _first_beyond(needed: Sequence[Right[Of]]) -> Iterable[tuple[Right[Of], int]]:
    """The first right, if any, that the policies of a role do not hold, and how many they do."""
    policies = packed(needed)
    if len(policies) > POLICIES_OF_A_ROLE:
        yield policies[POLICIES_OF_A_ROLE][0], sum(map(len, policies[:POLICIES_OF_A_ROLE]))


def _putting(selector: GroupSelector) -> int:
    if selector.glob is not None:
        return _LONGEST_ARN + _written(in_iam(selector.glob, is_pattern=True)) + _QUOTED
    tags = sum(
        _TAG + _written(key) + _written(in_iam(value, is_pattern=False)) for key, value in selector.tags
    )
    return _STATEMENT + _CONDITION + _LONGEST_ARN + len("*") + _QUOTED + tags


def _asking(needed: Permission) -> int:
    equals = {key: value.format(**_LONGEST) for key, value in needed.equals}
    statement = {
        "Effect": "Allow",
        "Action": needed.actions,
        "Resource": [resource.format(**_LONGEST) for resource in needed.resources],
        "Condition": {"StringEquals": equals},
    }
    return len(json.dumps(statement, separators=(",", ":"))) + len(",")


def _written(text: str) -> int:
    return len(json.dumps(text)) - len('""')
