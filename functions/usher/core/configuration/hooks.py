"""The hooks of a hooks file, each by itself."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from usher.core import deadlines, duration
from usher.core.action import Result, Transition
from usher.core.configuration.groups import GROUP, selector_from
from usher.core.configuration.rules import POLICY_OR_RULES, rules_from
from usher.core.field import Refused, as_json, attempt
from usher.core.limits import Limits, Sharing
from usher.core.policies import RESULT
from usher.core.policy import Channel, Hook
from usher.core.shape import Choice, Count, Duration, Keys, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher.core.configuration.rules import Policies
    from usher.core.field import Field
    from usher.core.policy import Rule

MOST_RESULTS: Final = 1000  # of a limit: the results that count stand in one record
MOST_AT_ONCE: Final = 50  # who waits for a turn may read the records of all that have one
LEAST_TIMEOUT_WITHOUT_QUEUE: Final = timedelta(minutes=10)  # what reconcile can cover

_HOOK_NAME: Final = Text(r"[A-Za-z0-9_/-]{1,255}", "must be 1 to 255 of A-Z a-z 0-9 - _ /")
_TRANSITION: Final = Choice(Transition)
_HEARTBEAT_TIMEOUT: Final = Duration(
    least=deadlines.SHORTEST_HEARTBEAT_TIMEOUT, most=deadlines.LONGEST_HEARTBEAT_TIMEOUT
)
_NOTIFY: Final = Choice(Channel)
# The API takes 4,000 characters, CloudFormation 1,023 (aws-facts 6).
_METADATA: Final = Text(r"[\t\n\r -~]{1,1023}", "must be 1 to 1023 printable ASCII characters")
_LIMIT: Final = Count(least=1, most=MOST_RESULTS)
_AT_ONCE: Final = Count(least=1, most=MOST_AT_ONCE)
_AT_ONCE_PER: Final = Choice(Sharing)
_LIMITS: Final = Keys(
    {
        "abandon_per_hour": _LIMIT,
        "complete_per_minute": _LIMIT,
        "at_once": _AT_ONCE,
        "at_once_per": _AT_ONCE_PER,
    }
)
HOOK: Final = Keys(
    {
        "name": _HOOK_NAME,
        "group": GROUP,
        "transition": _TRANSITION,
        "heartbeat_timeout": _HEARTBEAT_TIMEOUT,
        "default_result": RESULT,
        "notify": _NOTIFY,
        "metadata": _METADATA,
        "limits": _LIMITS,
        "policy": POLICY_OR_RULES,
    },
    required=("name", "group", "transition", "policy"),
)


def hook_from(policies: Policies, field: Field) -> Hook:
    """One hook, all of whose problems are noted."""
    parts = HOOK.members(field)
    name = attempt(_HOOK_NAME.read, parts.get("name"), None)
    group = attempt(selector_from, parts.get("group"), None)
    transition = attempt(_TRANSITION.read, parts.get("transition"), None)
    timeout = attempt(_HEARTBEAT_TIMEOUT.read, parts.get("heartbeat_timeout"), timedelta(hours=1))
    default_result = attempt(RESULT.read, parts.get("default_result"), Result.ABANDON)
    notify = attempt(_NOTIFY.read, parts.get("notify"), Channel.SQS)
    metadata = attempt(_METADATA.read, parts.get("metadata"), None)
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


def _limits(field: Field) -> Limits:
    parts = _LIMITS.members(field)
    if "at_once_per" in parts and "at_once" not in parts:
        parts["at_once_per"].refuse("needs at_once beside it: how many actions may begin at once")
    return Limits(
        abandon_per_hour=attempt(_LIMIT.read, parts.get("abandon_per_hour"), None),
        complete_per_minute=attempt(_LIMIT.read, parts.get("complete_per_minute"), None),
        at_once=attempt(_AT_ONCE.read, parts.get("at_once"), None),
        at_once_per=attempt(_AT_ONCE_PER.read, parts.get("at_once_per"), Sharing.GROUP),
    )


def _refuse_late_notification(notify: Channel, heartbeat_timeout: timedelta, field: Field) -> None:
    if notify in (Channel.EVENTBRIDGE, Channel.LAMBDA) and heartbeat_timeout < LEAST_TIMEOUT_WITHOUT_QUEUE:
        needed = duration.written(LEAST_TIMEOUT_WITHOUT_QUEUE)
        given = duration.written(heartbeat_timeout)
        field.refuse(
            f"must be sqs or sns if heartbeat_timeout is {given}: {notify} alone may deliver a message "
            f"minutes late or never, and needs at least {needed}"
        )


def _refuse_impatience(rules: Sequence[Rule], heartbeat_timeout: timedelta, field: Field) -> None:
    limit = deadlines.global_timeout(heartbeat_timeout)
    for policy in {rule.use.name: rule.use for rule in rules}.values():
        if policy.give_up_after is not None and policy.give_up_after > limit:
            field.refuse(
                f"uses {policy.name}, whose give_up_after {duration.written(policy.give_up_after)} must not "
                f"exceed the global timeout of this hook, {duration.written(limit)} "
                f"(100 x heartbeat_timeout, at most 48h)"
            )


def _refuse_terminating(rules: Sequence[Rule], field: Field) -> None:
    """What makes sense on a termination only: waiting for it on a launch would never mean anything."""
    for policy in {rule.use.name: rule.use for rule in rules}.values():
        of_others = [leaf.in_words for leaf in policy.leaves if leaf.transition is Transition.TERMINATING]
        if of_others:
            field.refuse(
                f"uses {policy.name}, which waits for `{of_others[0]}`: that is for terminating hooks only"
            )
