"""The one parser of `hooks.yaml`: plain data in, a sound Configuration out, or every problem at once."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Final

from usher.core import conditions, deadlines, span
from usher.core.field import Field, Problem, Refused
from usher.core.model import Result, Transition
from usher.core.policy import (
    Configuration,
    GroupSelector,
    Hook,
    Limits,
    Mode,
    Policy,
    Rule,
    Way,
    globs_meet,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 1
MOST_HOOKS_OF_A_GROUP: Final = 50  # not adjustable (aws-facts 5)
LEAST_TIMEOUT_WITHOUT_QUEUE: Final = timedelta(minutes=10)  # what reconcile can cover

_POLICY_NAME: Final = r"[A-Za-z0-9._-]{1,64}"
_POLICY_NAME_RULE: Final = "must be a name of 1 to 64 of A-Z a-z 0-9 . _ -"
_HOOK_NAME: Final = r"[A-Za-z0-9_/-]{1,255}"
_HOOK_NAME_RULE: Final = "must be 1 to 255 of A-Z a-z 0-9 - _ /"
_GROUP_NAME: Final = r"[ -9;-~\u0080-\ud7ff\ue000-\ufffd]{1,255}"
_GROUP_NAME_RULE: Final = "must be a name or glob of 1 to 255 characters without a colon"
_METADATA: Final = r"[\t\n\r -~]{1,1023}"  # the API takes 4,000, CloudFormation 1,023 (aws-facts 6)
_METADATA_RULE: Final = "must be 1 to 1023 printable ASCII characters"
_TAG: Final = r"[^\x00-\x1f]{1,255}"

_POLICY_KEYS: Final = (
    "until",
    "give_up_after",
    "on_success",
    "on_failure",
    "on_give_up",
    "stalled_after",
    "mode",
)
_HOOK_KEYS: Final = (
    "name",
    "group",
    "transition",
    "heartbeat_timeout",
    "default_result",
    "notify",
    "metadata",
    "limits",
    "policy",
)
_WHEN: Final[Mapping[str, tuple[str, ...]]] = {
    "origin": ("EC2", "AutoScalingGroup", "WarmPool"),
    "destination": ("EC2", "AutoScalingGroup", "WarmPool"),
    "transition": tuple(Transition),
    "group": (),  # any name or glob
    "after": ("launch_failed",),
}


class ConfigurationRefused(Exception):  # noqa: N818 - it reads as what happened
    """A configuration is not sound. `problems` says all of it; nothing of it is used."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def parse(data: object) -> Configuration:
    """The configuration that `data` (from YAML or JSON) describes, or ConfigurationRefused."""
    problems: list[Problem] = []
    try:
        configuration = _file(Field(path=(), value=data, problems=problems))
    except Refused:
        raise ConfigurationRefused(problems) from None
    if problems:
        raise ConfigurationRefused(problems)
    return configuration


@lru_cache(maxsize=1024)
def parse_policy(name: str, source: str) -> Policy:
    """The policy that a record kept: see Policy.source. Raises ConfigurationRefused."""
    problems: list[Problem] = []
    try:
        policy = _policy(name, Field(path=(name,), value=json.loads(source), problems=problems))
    except Refused:
        raise ConfigurationRefused(problems) from None
    if problems:
        raise ConfigurationRefused(problems)
    return policy


def _file(field: Field) -> Configuration:
    parts = field.mapping(("version", "policies", "hooks"), required=("version", "policies", "hooks"))
    parts["version"].count(VERSION, VERSION)
    policies = {
        name: policy
        for name, member in parts["policies"].members().items()
        if (policy := _attempt_policy(name, member))
    }
    named = parts["policies"].members().keys()
    hooks = [
        (hook, member)
        for member in parts["hooks"].elements()
        if (hook := _attempt_hook(member, policies, set(named)))
    ]
    _refuse_shared_names(hooks)
    _refuse_too_many_hooks(hooks)
    return Configuration(policies=policies, hooks=tuple(hook for hook, _ in hooks))


def _attempt_policy(name: str, field: Field) -> Policy | None:
    try:
        return _policy(name, field)
    except Refused:
        return None


def _attempt_hook(field: Field, policies: Mapping[str, Policy], named: set[str]) -> Hook | None:
    try:
        return _hook(field, policies, named)
    except Refused:
        return None


def _policy(name: str, field: Field) -> Policy:
    Field(path=field.path, value=name, problems=field.problems).text(_POLICY_NAME, _POLICY_NAME_RULE)
    parts = field.mapping(_POLICY_KEYS, required=("until",))
    second, longest = timedelta(seconds=1), timedelta(hours=48)
    until = tuple(conditions.parse(element) for element in parts["until"].elements())
    return Policy(
        name=name,
        source=json.dumps(field.value, sort_keys=True, separators=(",", ":")),
        until=until,
        give_up_after=_optional_duration(parts.get("give_up_after"), second, longest),
        on_success=_result(parts.get("on_success")) or Result.CONTINUE,
        on_failure=_result(parts.get("on_failure")) or Result.ABANDON,
        on_give_up=_result(parts.get("on_give_up")),
        stalled_after=_optional_duration(parts.get("stalled_after"), second, longest),
        mode=parts["mode"].choice(Mode) if "mode" in parts else Mode.ENFORCE,
    )


def _optional_duration(field: Field | None, least: timedelta, most: timedelta) -> timedelta | None:
    return None if field is None else field.duration(least, most)


def _result(field: Field | None) -> Result | None:
    return None if field is None else field.choice(Result)


def _hook(field: Field, policies: Mapping[str, Policy], named: set[str]) -> Hook:
    parts = field.mapping(_HOOK_KEYS, required=("name", "group", "transition", "policy"))
    hook = Hook(
        name=parts["name"].text(_HOOK_NAME, _HOOK_NAME_RULE),
        group=_group(parts["group"]),
        transition=parts["transition"].choice(Transition),
        heartbeat_timeout=parts["heartbeat_timeout"].duration(
            deadlines.SHORTEST_HEARTBEAT_TIMEOUT, deadlines.LONGEST_HEARTBEAT_TIMEOUT
        )
        if "heartbeat_timeout" in parts
        else timedelta(hours=1),
        default_result=_result(parts.get("default_result")) or Result.ABANDON,
        notify=parts["notify"].choice(Way) if "notify" in parts else Way.SQS,
        metadata=parts["metadata"].text(_METADATA, _METADATA_RULE) if "metadata" in parts else None,
        limits=_limits(parts["limits"]) if "limits" in parts else Limits(),
        rules=_rules(parts["policy"], policies, named),
    )
    _refuse_late_notification(hook, parts.get("notify", field))
    _refuse_impatience(hook, parts["policy"])
    return hook


def _group(field: Field) -> GroupSelector:
    if isinstance(field.value, str):
        return GroupSelector(glob=field.text(_GROUP_NAME, _GROUP_NAME_RULE))
    tags = field.mapping(("tags",), required=("tags",))["tags"]
    pairs = tuple((key, member.text(_TAG, "must be a tag value")) for key, member in tags.members().items())
    if not pairs:
        raise tags.refuse("must name at least one tag")
    return GroupSelector(glob=None, tags=pairs)


def _limits(field: Field) -> Limits:
    parts = field.mapping(("abandon_per_hour", "complete_per_minute"))
    counts = {key: member.count(1, 100_000) for key, member in parts.items()}
    return Limits(
        abandon_per_hour=counts.get("abandon_per_hour"),
        complete_per_minute=counts.get("complete_per_minute"),
    )


def _rules(field: Field, policies: Mapping[str, Policy], named: set[str]) -> tuple[Rule, ...]:
    if isinstance(field.value, str):
        return (Rule(when=(), use=_named_policy(field, policies, named)),)
    elements = list(field.elements())
    if not elements:
        raise field.refuse("must name a policy, or list at least one rule")
    rules = []
    for element in elements:
        parts = element.mapping(("when", "use"), required=("use",))
        when = _when(parts["when"]) if "when" in parts else ()
        rules.append(Rule(when=when, use=_named_policy(parts["use"], policies, named)))
        if element is elements[-1] and "when" in parts:
            raise element.refuse("is the last rule, so it must have no `when`: it takes what no rule fits")
        if element is not elements[-1] and "when" not in parts:
            raise element.refuse("has no `when`, so the rules after it would never be used")
    return tuple(rules)


def _named_policy(field: Field, policies: Mapping[str, Policy], named: set[str]) -> Policy:
    name = field.text(rule="must be the name of a policy")
    if name not in named:
        defined = ", ".join(sorted(named)) or "none"
        raise field.refuse(f"must be a policy of this file (defined: {defined})")
    if name not in policies:
        raise Refused  # its own problem is noted where it stands
    return policies[name]


def _when(field: Field) -> tuple[tuple[str, str], ...]:
    parts = field.mapping(tuple(_WHEN))
    if not parts:
        raise field.refuse(f"must have at least one of {', '.join(_WHEN)}")
    for key, member in parts.items():
        if key == "group":
            member.text(_GROUP_NAME, _GROUP_NAME_RULE)
        elif member.value not in _WHEN[key]:
            raise member.refuse(f"must be one of {', '.join(_WHEN[key])}")
    return tuple((key, str(member.value)) for key, member in parts.items())


def _refuse_late_notification(hook: Hook, field: Field) -> None:
    if hook.notify in (Way.EVENTBRIDGE, Way.LAMBDA) and (
        hook.heartbeat_timeout < LEAST_TIMEOUT_WITHOUT_QUEUE
    ):
        needed = span.written(LEAST_TIMEOUT_WITHOUT_QUEUE)
        given = span.written(hook.heartbeat_timeout)
        field.refuse(
            f"must be sqs or sns while heartbeat_timeout is {given}: this way alone may bring a "
            f"message minutes late or never, so it needs at least {needed}"
        )


def _refuse_impatience(hook: Hook, field: Field) -> None:
    limit = deadlines.global_timeout(hook.heartbeat_timeout)
    for policy in {rule.use.name: rule.use for rule in hook.rules}.values():
        if policy.give_up_after is not None and policy.give_up_after > limit:
            field.refuse(
                f"uses {policy.name}, whose give_up_after {span.written(policy.give_up_after)} must not "
                f"pass the global limit of this hook, {span.written(limit)} (100 x heartbeat_timeout, "
                f"at most 48h)"
            )


def _refuse_shared_names(hooks: list[tuple[Hook, Field]]) -> None:
    for (one, _), (other, field) in combinations(hooks, 2):
        if one.name == other.name and _may_share_a_group(one, other):
            field.refuse(f"must not have the name of another hook on the same group: {one.name!r}")


def _may_share_a_group(one: Hook, other: Hook) -> bool:
    """By tags alone nobody can say before enrolment, unless the tags are the same."""
    if one.group.glob is None or other.group.glob is None:
        return one.group == other.group
    return globs_meet(one.group.glob, other.group.glob)


def _refuse_too_many_hooks(hooks: list[tuple[Hook, Field]]) -> None:
    for hook, field in hooks:
        on_group = sum(_stands_with(other.group, hook.group) for other, _ in hooks)
        if on_group > MOST_HOOKS_OF_A_GROUP:
            field.refuse(f"must be one of at most {MOST_HOOKS_OF_A_GROUP} hooks on a group ({on_group} here)")
            return


def _stands_with(other: GroupSelector, group: GroupSelector) -> bool:
    """Whether a hook of `other` surely stands on each group of `group`."""
    named = group.glob is not None and "*" not in group.glob and other.glob is not None
    return other.may_fit(group.glob or "") if named else other == group
