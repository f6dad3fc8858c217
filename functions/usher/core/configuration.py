"""The one parser of `hooks.yaml`: plain data in, a sound Configuration out, or every problem at once."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, TypeAlias

from usher.core import conditions, deadlines, duration
from usher.core.action import Limits, Result, Transition
from usher.core.conditions.combined import Then
from usher.core.conditions.probe import Probe
from usher.core.field import Field, Problem, Refused, attempt
from usher.core.policy import (
    Channel,
    Configuration,
    GroupSelector,
    Hook,
    Mode,
    Policy,
    Rule,
    WhenStopped,
    fits_both,
    glob_fits,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher.core.conditions.verdict import Condition

VERSION: Final = 1
MOST_HOOKS_OF_A_GROUP: Final = 50  # not adjustable (aws-facts 5)
MOST_GROUP_NAME: Final = 255  # characters
MOST_RESULTS: Final = 1000  # of a limit: the results that count stand in one record
LEAST_TIMEOUT_WITHOUT_QUEUE: Final = timedelta(minutes=10)  # what reconcile can cover

_POLICY_NAME: Final = r"[A-Za-z0-9._-]{1,64}"
_POLICY_NAME_RULE: Final = "must be a name of 1 to 64 of A-Z a-z 0-9 . _ -"
_HOOK_NAME: Final = r"[A-Za-z0-9_/-]{1,255}"
_HOOK_NAME_RULE: Final = "must be 1 to 255 of A-Z a-z 0-9 - _ /"
_GROUP_NAME: Final = r"[ -9;-~\u0080-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]{1,255}"
_GROUP_NAME_RULE: Final = "must be a name or glob of 1 to 255 characters without a colon"
_METADATA: Final = r"[\t\n\r -~]{1,1023}"  # the API takes 4,000, CloudFormation 1,023 (aws-facts 6)
_METADATA_RULE: Final = "must be 1 to 1023 printable ASCII characters"
_TAG_KEY: Final = r"[^\x00-\x1f]{1,128}"
_TAG_KEY_RULE: Final = "must be a tag key of 1 to 128 characters"
_TAG_VALUE: Final = r"[^\x00-\x1f]{0,256}"
_TAG_VALUE_RULE: Final = "must be a tag value of at most 256 characters"

_LONGEST_WAIT: Final = timedelta(hours=48)

_FILE_KEYS: Final = ("version", "policies", "hooks")
_POLICY_KEYS: Final = (
    "until",
    "give_up_after",
    "on_success",
    "on_failure",
    "on_give_up",
    "stalled_after",
    "when_stopped",
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

# Where a policy has no value, or there are no policies at all: refused, and noted where it stands.
_Policies: TypeAlias = "Mapping[str, Policy | None] | None"


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
        return _policy(name, Field(path=(name,), value=json.loads(source), problems=problems))
    except Refused:
        raise ConfigurationRefused(problems) from None


def source_of(hook: Hook) -> str:
    """A hooks file, as JSON, that has this hook only, and the policies that it uses."""
    policies = {rule.use.name: json.loads(rule.use.source) for rule in hook.rules}
    return _as_text({"version": VERSION, "policies": policies, "hooks": [json.loads(hook.source)]})


@lru_cache(maxsize=1024)
def parse_source(source: str) -> Hook:
    """The hook that `source_of` wrote, here or in another release. Raises ConfigurationRefused."""
    (hook,) = parse(json.loads(source)).hooks
    return hook


def _as_text(data: object) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def _file(field: Field) -> Configuration:
    parts = field.mapping(_FILE_KEYS, required=_FILE_KEYS)
    attempt(_version, parts.get("version"), None)
    policies = attempt(_policies, parts.get("policies"), None)
    hooks = attempt(partial(_hooks, policies), parts.get("hooks"), ())
    sound_policies = {name: policy for name, policy in (policies or {}).items() if policy is not None}
    return Configuration(policies=sound_policies, hooks=hooks)


def _version(field: Field) -> None:
    if type(field.value) is not int or field.value != VERSION:
        raise field.refuse(f"must be {VERSION}")


def _policies(field: Field) -> dict[str, Policy | None]:
    return {
        name: attempt(partial(_new_policy, name), member, None) for name, member in field.members().items()
    }


def _new_policy(name: str, field: Field) -> Policy:
    """A policy of a file. What is refused here only, records of earlier releases may have."""
    policy = _policy(name, field)
    later = {stage for each in policy.until if isinstance(each, Then) for stage in each.stages[1:]}
    if any(policy.leaves.count(stage) > 1 for stage in later if isinstance(stage, Probe)):
        raise field.members()["until"].refuse(
            "must not have a condition under `then` that stands in the policy once more: "
            "asked there, it would count as asked in its turn"
        )
    return policy


def _policy(name: str, field: Field) -> Policy:
    attempt(_policy_name, Field(path=field.path, value=name, problems=field.problems), None)
    parts = field.mapping(_POLICY_KEYS, required=("until",))
    until = attempt(_until, parts.get("until"), ())
    give_up_after = attempt(_wait, parts.get("give_up_after"), None)
    on_success = attempt(_result, parts.get("on_success"), Result.CONTINUE)
    on_failure = attempt(_result, parts.get("on_failure"), Result.ABANDON)
    on_give_up = attempt(_result, parts.get("on_give_up"), None)
    stalled_after = attempt(_wait, parts.get("stalled_after"), None)
    when_stopped = attempt(_when_stopped, parts.get("when_stopped"), WhenStopped.END)
    mode = attempt(_mode, parts.get("mode"), Mode.ENFORCE)
    if not field.is_sound:
        raise Refused
    return Policy(
        name=name,
        source=_as_text(field.value),
        until=until,
        give_up_after=give_up_after,
        on_success=on_success,
        on_failure=on_failure,
        on_give_up=on_give_up,
        stalled_after=stalled_after,
        when_stopped=when_stopped,
        mode=mode,
    )


def _policy_name(field: Field) -> str:
    return field.text(_POLICY_NAME, _POLICY_NAME_RULE)


def _until(field: Field) -> tuple[Condition, ...]:
    found = [attempt(conditions.parse, element, None) for element in field.elements()]
    return tuple(condition for condition in found if condition is not None)


def _wait(field: Field) -> timedelta:
    return field.duration(timedelta(seconds=1), _LONGEST_WAIT)


def _result(field: Field) -> Result:
    return field.choice(Result)


def _when_stopped(field: Field) -> WhenStopped:
    return field.choice(WhenStopped)


def _mode(field: Field) -> Mode:
    return field.choice(Mode)


def _hooks(policies: _Policies, field: Field) -> tuple[Hook, ...]:
    attempted = [(attempt(partial(_hook, policies), member, None), member) for member in field.elements()]
    hooks = [(hook, member) for hook, member in attempted if hook is not None]
    _refuse_shared_names(hooks)
    _refuse_too_many_hooks(hooks)
    return tuple(hook for hook, _ in hooks)


def _hook(policies: _Policies, field: Field) -> Hook:
    parts = field.mapping(_HOOK_KEYS, required=("name", "group", "transition", "policy"))
    name = attempt(_hook_name, parts.get("name"), None)
    group = attempt(_group, parts.get("group"), None)
    transition = attempt(_transition, parts.get("transition"), None)
    timeout = attempt(_heartbeat_timeout, parts.get("heartbeat_timeout"), timedelta(hours=1))
    default_result = attempt(_result, parts.get("default_result"), Result.ABANDON)
    notify = attempt(_notify, parts.get("notify"), Channel.SQS)
    metadata = attempt(_metadata, parts.get("metadata"), None)
    limits = attempt(_limits, parts.get("limits"), Limits())
    rules = attempt(partial(_rules, policies), parts.get("policy"), ())
    _refuse_late_notification(notify, timeout, parts.get("notify", field))
    _refuse_impatience(rules, timeout, parts.get("policy", field))
    if transition is Transition.LAUNCHING:
        _refuse_drained_launch(rules, parts.get("policy", field))
    if name is None or group is None or transition is None:
        raise Refused
    return Hook(
        name=name,
        group=group,
        transition=transition,
        heartbeat_timeout=timeout,
        default_result=default_result,
        notify=notify,
        metadata=metadata,
        limits=limits,
        rules=rules,
        source=_as_text(field.value) if field.is_sound else "",  # more problems are looked for
    )


def _hook_name(field: Field) -> str:
    return field.text(_HOOK_NAME, _HOOK_NAME_RULE)


def _transition(field: Field) -> Transition:
    return field.choice(Transition)


def _heartbeat_timeout(field: Field) -> timedelta:
    return field.duration(deadlines.SHORTEST_HEARTBEAT_TIMEOUT, deadlines.LONGEST_HEARTBEAT_TIMEOUT)


def _notify(field: Field) -> Channel:
    return field.choice(Channel)


def _metadata(field: Field) -> str:
    return field.text(_METADATA, _METADATA_RULE)


def _group(field: Field) -> GroupSelector:
    if isinstance(field.value, str):
        return GroupSelector(glob=_group_name(field))
    if not isinstance(field.value, Mapping):
        raise field.refuse("must be a name, a glob, or tags: {KEY: VALUE}")
    tags = attempt(_tags, field.mapping(("tags",), required=("tags",)).get("tags"), ())
    if not field.is_sound:
        raise Refused
    return GroupSelector(glob=None, tags=tags)


def _group_name(field: Field) -> str:
    return field.text(_GROUP_NAME, _GROUP_NAME_RULE)


def _tags(field: Field) -> tuple[tuple[str, str], ...]:
    """In the order of their keys, so that equal tags are equal however they are written."""
    members = field.members()
    if not members:
        raise field.refuse("must name at least one tag")
    for key, member in members.items():
        attempt(_tag_key, Field(path=member.path, value=key, problems=member.problems), None)
    return tuple((key, attempt(_tag_value, members[key], "")) for key in sorted(members))


def _tag_key(field: Field) -> str:
    return field.text(_TAG_KEY, _TAG_KEY_RULE)


def _tag_value(field: Field) -> str:
    return field.text(_TAG_VALUE, _TAG_VALUE_RULE)


def _limits(field: Field) -> Limits:
    parts = field.mapping(("abandon_per_hour", "complete_per_minute"))
    return Limits(
        abandon_per_hour=attempt(_limit, parts.get("abandon_per_hour"), None),
        complete_per_minute=attempt(_limit, parts.get("complete_per_minute"), None),
    )


def _limit(field: Field) -> int:
    return field.count(1, MOST_RESULTS)


def _rules(policies: _Policies, field: Field) -> tuple[Rule, ...]:
    if isinstance(field.value, str):
        return (Rule(when=(), use=_named_policy(policies, field)),)
    if not isinstance(field.value, list | tuple) or not field.value:
        raise field.refuse("must be the name of a policy, or a list of at least one rule")
    *others, last = field.elements()
    rules = [*(attempt(partial(_rule, policies), other, None) for other in others)]
    rules.append(attempt(partial(_last_rule, policies), last, None))
    return tuple(rule for rule in rules if rule is not None)


def _rule(policies: _Policies, field: Field) -> Rule:
    parts = field.mapping(("when", "use"), required=("use",))
    if "when" not in parts:
        field.refuse("has no `when`, so the rules after it would never be used")
    when = attempt(_when, parts.get("when"), ())
    return _using(policies, when, parts)


def _last_rule(policies: _Policies, field: Field) -> Rule:
    parts = field.mapping(("when", "use"), required=("use",))
    if "when" in parts:
        field.refuse("is the last rule, so it must have no `when`: it takes what no rule fits")
        attempt(_when, parts["when"], ())
    return _using(policies, (), parts)


def _using(policies: _Policies, when: tuple[tuple[str, str], ...], parts: Mapping[str, Field]) -> Rule:
    use = attempt(partial(_named_policy, policies), parts.get("use"), None)
    if use is None:
        raise Refused
    return Rule(when=when, use=use)


def _named_policy(policies: _Policies, field: Field) -> Policy:
    name = field.text(rule="must be the name of a policy")
    if policies is None:
        raise Refused
    if name not in policies:
        defined = ", ".join(sorted(filter(re.compile(_POLICY_NAME).fullmatch, policies))) or "none"
        raise field.refuse(f"must be a policy of this file (defined: {defined})")
    policy = policies[name]
    if policy is None:
        raise Refused
    return policy


def _when(field: Field) -> tuple[tuple[str, str], ...]:
    parts = field.mapping(tuple(_WHEN))
    if not parts and field.is_sound:
        raise field.refuse(f"must have at least one of {', '.join(_WHEN)}")
    return tuple((key, attempt(partial(_wanted, key), member, "")) for key, member in parts.items())


def _wanted(key: str, field: Field) -> str:
    if key == "group":
        return _group_name(field)
    if not isinstance(field.value, str) or field.value not in _WHEN[key]:
        raise field.refuse(f"must be one of {', '.join(_WHEN[key])}")
    return field.value


def _refuse_late_notification(notify: Channel, heartbeat_timeout: timedelta, field: Field) -> None:
    if notify in (Channel.EVENTBRIDGE, Channel.LAMBDA) and heartbeat_timeout < LEAST_TIMEOUT_WITHOUT_QUEUE:
        needed = duration.written(LEAST_TIMEOUT_WITHOUT_QUEUE)
        given = duration.written(heartbeat_timeout)
        field.refuse(
            f"must be sqs or sns while heartbeat_timeout is {given}: this way alone may bring a "
            f"message minutes late or never, so it needs at least {needed}"
        )


def _refuse_impatience(rules: Sequence[Rule], heartbeat_timeout: timedelta, field: Field) -> None:
    limit = deadlines.global_timeout(heartbeat_timeout)
    for policy in {rule.use.name: rule.use for rule in rules}.values():
        if policy.give_up_after is not None and policy.give_up_after > limit:
            field.refuse(
                f"uses {policy.name}, whose give_up_after {duration.written(policy.give_up_after)} must not "
                f"pass the global limit of this hook, {duration.written(limit)} (100 x heartbeat_timeout, "
                f"at most 48h)"
            )


def _refuse_drained_launch(rules: Sequence[Rule], field: Field) -> None:
    """What comes into service has nothing to be drained of: waiting for it would never mean anything."""
    for policy in {rule.use.name: rule.use for rule in rules}.values():
        drained = [leaf for leaf in policy.leaves if getattr(leaf, "state", None) == "drained"]
        if drained:
            field.refuse(f"uses {policy.name}, which waits for `drained`: that is for terminating hooks")


def _refuse_shared_names(hooks: list[tuple[Hook, Field]]) -> None:
    """Of hooks that name a group each only those of one group are held against one another."""
    named: dict[tuple[str, GroupSelector], Hook] = {}
    others: dict[str, list[Hook]] = {}  # by globs and tags
    for hook, field in hooks:
        selector = hook.group
        earlier = others.get(hook.name, [])
        if selector.is_one_name:
            earlier = [*earlier, *filter(None, [named.get((hook.name, selector))])]
        else:
            earlier = [*earlier, *(one for (name, _), one in named.items() if name == hook.name)]
        shared = next((one for one in earlier if _surely_share_a_group(one, hook)), None)
        if shared is not None:
            field.at("name", hook.name).refuse(_shared_rule(shared, hook))
        if selector.is_one_name:
            named.setdefault((hook.name, selector), hook)
        else:
            others.setdefault(hook.name, []).append(hook)


def _shared_rule(one: Hook, other: Hook) -> str:
    rule = "must not be the name of another hook on the same group"
    if one.group == other.group or one.group.glob is None or other.group.glob is None:
        return rule
    example = fits_both(one.group.glob, other.group.glob)
    if len(example) > MOST_GROUP_NAME:
        return rule
    return f"{rule}: {example} fits {one.group.glob} and {other.group.glob}"


def _surely_share_a_group(one: Hook, other: Hook) -> bool:
    """By tags alone nobody can say before enrolment, unless the tags are the same."""
    if one.group.glob is None or other.group.glob is None:
        return one.group == other.group
    return one.group.may_share(other.group)


def _refuse_too_many_hooks(hooks: list[tuple[Hook, Field]]) -> None:
    if len(hooks) <= MOST_HOOKS_OF_A_GROUP:
        return
    named = Counter(hook.group for hook, _ in hooks if hook.group.is_one_name)
    others = [hook.group for hook, _ in hooks if not hook.group.is_one_name]
    for hook, field in hooks:
        on_group = named[hook.group] + sum(_stands_with(other, hook.group) for other in others)
        if on_group > MOST_HOOKS_OF_A_GROUP:
            field.refuse(f"must be one of at most {MOST_HOOKS_OF_A_GROUP} hooks on a group ({on_group} here)")
            return


def _stands_with(other: GroupSelector, group: GroupSelector) -> bool:
    """Whether a hook of `other` surely stands on each group of `group`.

    Read as a text, a glob fits another one only where that one fits all that it does.
    """
    if group.glob is None:
        return other.glob is None and set(other.tags) <= set(group.tags)
    return other.glob is not None and glob_fits(other.glob, group.glob)
