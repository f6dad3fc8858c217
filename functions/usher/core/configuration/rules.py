"""The rules by which a hook chooses its policy."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from usher.core.action import Transition
from usher.core.configuration.groups import group_name_from
from usher.core.configuration.policies import POLICY_NAME
from usher.core.field import Refused, attempt
from usher.core.policy import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.field import Field
    from usher.core.policy import Policy

WHEN: Final[Mapping[str, tuple[str, ...]]] = {
    "origin": ("EC2", "AutoScalingGroup", "WarmPool"),
    "destination": ("EC2", "AutoScalingGroup", "WarmPool"),
    "transition": tuple(Transition),
    "group": (),  # any name or glob
    "after": ("launch_failed",),
}

# Where a policy has no value, or there are no policies at all: refused, and noted where it stands.
Policies: TypeAlias = "Mapping[str, Policy | None] | None"


def rules_from(policies: Policies, field: Field) -> tuple[Rule, ...]:
    """From the name of a policy, or a list of rules whose last one takes what no other fits."""
    if isinstance(field.value, str):
        return (Rule(when=(), use=_named_policy(policies, field)),)
    if not isinstance(field.value, list | tuple) or not field.value:
        raise field.refuse("must be the name of a policy, or a list of at least one rule")
    *others, last = field.elements()
    rules = [*(attempt(partial(_rule, policies), other, None) for other in others)]
    rules.append(attempt(partial(_last_rule, policies), last, None))
    return tuple(rule for rule in rules if rule is not None)


def _rule(policies: Policies, field: Field) -> Rule:
    parts = field.mapping(("when", "use"), required=("use",))
    if "when" not in parts:
        field.refuse("has no `when`, so the rules after it would never be used")
    when = attempt(_when, parts.get("when"), ())
    return _using(policies, when, parts)


def _last_rule(policies: Policies, field: Field) -> Rule:
    parts = field.mapping(("when", "use"), required=("use",))
    if "when" in parts:
        field.refuse("is the last rule, so it must have no `when`: it takes what no rule fits")
        attempt(_when, parts["when"], ())
    return _using(policies, (), parts)


def _using(policies: Policies, when: tuple[tuple[str, str], ...], parts: Mapping[str, Field]) -> Rule:
    use = attempt(partial(_named_policy, policies), parts.get("use"), None)
    if use is None:
        raise Refused
    return Rule(when=when, use=use)


def _named_policy(policies: Policies, field: Field) -> Policy:
    name = field.text(rule="must be the name of a policy")
    if policies is None:
        raise Refused
    if name not in policies:
        defined = ", ".join(sorted(filter(re.compile(POLICY_NAME).fullmatch, policies))) or "none"
        raise field.refuse(f"must be a policy of this file (defined: {defined})")
    policy = policies[name]
    if policy is None:
        raise Refused
    return policy


def _when(field: Field) -> tuple[tuple[str, str], ...]:
    parts = field.mapping(tuple(WHEN))
    if not parts and field.is_sound:
        raise field.refuse(f"must have at least one of {', '.join(WHEN)}")
    return tuple((key, attempt(partial(_wanted, key), member, "")) for key, member in parts.items())


def _wanted(key: str, field: Field) -> str:
    if key == "group":
        return group_name_from(field)
    if not isinstance(field.value, str) or field.value not in WHEN[key]:
        raise field.refuse(f"must be one of {', '.join(WHEN[key])}")
    return field.value
