"""The hooks of a hooks file, each by itself."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from usher.core import deadlines, duration
from usher.core.action import Limits, Result, Transition
from usher.core.configuration.groups import selector_from
from usher.core.configuration.policies import result_from
from usher.core.configuration.rules import rules_from
from usher.core.field import Refused, as_json, attempt
from usher.core.policy import Channel, Hook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher.core.configuration.rules import Policies
    from usher.core.field import Field
    from usher.core.policy import Rule

HOOK_KEYS: Final = (
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
MOST_RESULTS: Final = 1000  # of a limit: the results that count stand in one record
LEAST_TIMEOUT_WITHOUT_QUEUE: Final = timedelta(minutes=10)  # what reconcile can cover
_HOOK_NAME: Final = r"[A-Za-z0-9_/-]{1,255}"
_HOOK_NAME_RULE: Final = "must be 1 to 255 of A-Z a-z 0-9 - _ /"
_METADATA: Final = r"[\t\n\r -~]{1,1023}"  # the API takes 4,000, CloudFormation 1,023 (aws-facts 6)
_METADATA_RULE: Final = "must be 1 to 1023 printable ASCII characters"


def hook_from(policies: Policies, field: Field) -> Hook:
    """One hook, all of whose problems are noted."""
    parts = field.mapping(HOOK_KEYS, required=("name", "group", "transition", "policy"))
    name = attempt(_hook_name, parts.get("name"), None)
    group = attempt(selector_from, parts.get("group"), None)
    transition = attempt(_transition, parts.get("transition"), None)
    timeout = attempt(_heartbeat_timeout, parts.get("heartbeat_timeout"), timedelta(hours=1))
    default_result = attempt(result_from, parts.get("default_result"), Result.ABANDON)
    notify = attempt(_notify, parts.get("notify"), Channel.SQS)
    metadata = attempt(_metadata, parts.get("metadata"), None)
    limits = attempt(_limits, parts.get("limits"), Limits())
    rules = attempt(partial(rules_from, policies), parts.get("policy"), ())
    _refuse_late_notification(notify, timeout, parts.get("notify", field))
    _refuse_impatience(rules, timeout, parts.get("policy", field))
    if transition is Transition.LAUNCHING:
        _refuse_terminating(rules, parts.get("policy", field))
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
        source=as_json(field.value) if field.is_sound else "",  # more problems are looked for
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


def _limits(field: Field) -> Limits:
    parts = field.mapping(("abandon_per_hour", "complete_per_minute"))
    return Limits(
        abandon_per_hour=attempt(_limit, parts.get("abandon_per_hour"), None),
        complete_per_minute=attempt(_limit, parts.get("complete_per_minute"), None),
    )


def _limit(field: Field) -> int:
    return field.count(1, MOST_RESULTS)


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


def _refuse_terminating(rules: Sequence[Rule], field: Field) -> None:
    """What makes sense on a termination only: waiting for it on a launch would never mean anything."""
    for policy in {rule.use.name: rule.use for rule in rules}.values():
        of_others = [leaf.in_words for leaf in policy.leaves if leaf.transition is Transition.TERMINATING]
        if of_others:
            field.refuse(
                f"uses {policy.name}, which waits for `{of_others[0]}`: that is for terminating hooks"
            )
