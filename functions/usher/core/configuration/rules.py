"""The rules by which a hook chooses its policy."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from usher.core.action import Transition
from usher.core.conditions.instance_facts import TAG_KEY
from usher.core.configuration.groups import GROUP_NAME, TAG_VALUE, TAGS
from usher.core.field import Refused, attempt
from usher.core.policies import POLICY_NAME
from usher.core.policy import METADATA_KEY, Rule
from usher.core.shape import AnyKeys, Choice, Either, Keys, ListOf, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.field import Field
    from usher.core.policy import Policy
    from usher.core.shape import Shape

_PLACE: Final = Choice(("EC2", "AutoScalingGroup", "WarmPool"))
_METADATA: Final = Text(r"[^\x00-\x08\x0b\x0c\x0e-\x1f]{1,4000}", "must be text of 1 to 4000 characters")
_VALUE: Final = Text(r"[^\x00-\x08\x0b\x0c\x0e-\x1f]{0,4000}", "must be text of at most 4000 characters")
_KEYS: Final = AnyKeys(
    _METADATA, _VALUE, least=1, rule="must be the whole text of the metadata, or a mapping of keys in them"
)
_ZONE: Final = Text(r"[a-z0-9*-]{1,64}", "must be the name of an Availability Zone, in which * is any text")
_TYPE: Final = Text(r"[a-z0-9.*-]{1,64}", "must be an instance type, in which * is any text")
WHEN: Final[Mapping[str, Shape]] = {
    "origin": _PLACE,
    "destination": _PLACE,
    "transition": Choice(Transition),
    "group": GROUP_NAME,
    "after": Choice(("launch_failed",)),
    "metadata": Either(_METADATA, _KEYS),
    "availability_zone": _ZONE,
    "instance_type": _TYPE,
    "tags": TAGS,
}
_POLICY_USED: Final = Text(r"[^\x00-\x1f]+", "must be the name of a policy")
_WHEN: Final = Keys(WHEN, least=1)
_RULE: Final = Keys({"when": _WHEN, "use": _POLICY_USED}, required=("use",))
_RULES: Final = ListOf(_RULE, least=1, rule="must be the name of a policy, or a list of at least one rule")
POLICY_OR_RULES: Final = Either(_POLICY_USED, _RULES)

# Where a policy has no value, or there are no policies at all: refused, and noted where it stands.
Policies: TypeAlias = "Mapping[str, Policy | None] | None"


def rules_from(policies: Policies, field: Field) -> tuple[Rule, ...]:
    """From the name of a policy, or a list of rules whose last one takes what no other fits."""
    if isinstance(field.value, str):
        return (Rule(when=(), use=_named_policy(policies, field)),)
    *others, last = _RULES.elements(field)
    rules = [*(attempt(partial(_rule, policies), other, None) for other in others)]
    rules.append(attempt(partial(_last_rule, policies), last, None))
    return tuple(rule for rule in rules if rule is not None)


def _rule(policies: Policies, field: Field) -> Rule:
    parts = _RULE.members(field)
    if "when" not in parts:
        field.refuse("has no `when`, so the rules after it would never be used")
    when = attempt(_when, parts.get("when"), ())
    return _using(policies, when, parts)


def _last_rule(policies: Policies, field: Field) -> Rule:
    parts = _RULE.members(field)
    if "when" in parts:
        field.refuse("is the last rule, so it must have no `when`: it applies if no other rule matches")
        attempt(_when, parts["when"], ())
    return _using(policies, (), parts)


def _using(policies: Policies, when: tuple[tuple[str, str], ...], parts: Mapping[str, Field]) -> Rule:
    use = attempt(partial(_named_policy, policies), parts.get("use"), None)
    if use is None:
        raise Refused
    return Rule(when=when, use=use)


def _named_policy(policies: Policies, field: Field) -> Policy:
    name = _POLICY_USED.read(field)
    if policies is None:
        raise Refused
    if name not in policies:
        defined = ", ".join(sorted(filter(re.compile(POLICY_NAME.pattern).fullmatch, policies))) or "none"
        raise field.refuse(f"must be a policy of this file (defined: {defined})")
    policy = policies[name]
    if policy is None:
        raise Refused
    return policy


def _when(field: Field) -> tuple[tuple[str, str], ...]:
    parts = _WHEN.members(field)
    return tuple(pair for key, member in parts.items() for pair in _wanted(key, member))


def _wanted(key: str, field: Field) -> tuple[tuple[str, str], ...]:
    """What a field of `when` asks for; of a mapping in it, each key."""
    match WHEN[key]:
        case Choice() | Text() as shape:
            return ((key, attempt(shape.read, field, "")),)
        case AnyKeys() as tags:
            members = attempt(tags.members, field, {})
            return tuple(
                (f"{TAG_KEY}{of}", attempt(TAG_VALUE.read, member, "")) for of, member in members.items()
            )
        case _ if isinstance(field.value, str):
            return ((key, attempt(_METADATA.read, field, "")),)
        case _:
            members = attempt(_KEYS.members, field, {})
            return tuple(
                (f"{METADATA_KEY}{of}", attempt(_VALUE.read, member, "")) for of, member in members.items()
            )
