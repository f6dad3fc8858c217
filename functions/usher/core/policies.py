"""Policies as they are written: in a hooks file, and in a record."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from usher.core import conditions
from usher.core.action import Result
from usher.core.conditions.combined import Then
from usher.core.conditions.placeholders import KNOWN, PlaceholderProbe
from usher.core.conditions.probe import Probe
from usher.core.field import ConfigurationRefused, Field, Refused, as_json, attempt
from usher.core.policy import Mode, Policy, WhenStopped
from usher.core.shape import AnyKeys, Choice, Duration, Keys, ListOf, Text

if TYPE_CHECKING:
    from usher.core.conditions.verdict import Condition
    from usher.core.field import Problem

POLICY_NAME: Final = Text(r"[A-Za-z0-9._-]{1,64}", "must be a name of 1 to 64 of A-Z a-z 0-9 . _ -")
RESULT: Final = Choice(Result)
_UNTIL: Final = ListOf(conditions.CONDITION)
_WAIT: Final = Duration(least=timedelta(seconds=1), most=timedelta(hours=48))
_WHEN_STOPPED: Final = Choice(WhenStopped)
_MODE: Final = Choice(Mode)
POLICY: Final = Keys(
    {
        "until": _UNTIL,
        "give_up_after": _WAIT,
        "on_success": RESULT,
        "on_failure": RESULT,
        "on_give_up": RESULT,
        "stalled_after": _WAIT,
        "when_stopped": _WHEN_STOPPED,
        "mode": _MODE,
    },
    required=("until",),
)
POLICIES: Final = AnyKeys(POLICY_NAME, POLICY)


def policies_from(field: Field) -> dict[str, Policy | None]:
    """By name. One that is refused is None, and its problem noted."""
    return {
        name: attempt(partial(_new_policy, name), member, None) for name, member in field.members().items()
    }


def _new_policy(name: str, field: Field) -> Policy:
    """A policy of a file. What is refused here only, records of earlier releases may have."""
    policy = _policy_from(name, field)
    _refuse_unknown_placeholders(policy, _UNTIL.elements(field.members()["until"]))
    later = {stage for each in policy.until if isinstance(each, Then) for stage in each.stages[1:]}
    if any(policy.leaves.count(stage) > 1 for stage in later if isinstance(stage, Probe)):
        raise field.members()["until"].refuse(
            "must not have a condition of a later `then` stage a second time in the policy: "
            "its answer there would also count in the stage"
        )
    return policy


def _refuse_unknown_placeholders(policy: Policy, elements: list[Field]) -> None:
    for condition, element in zip(policy.until, elements, strict=True):
        starting = (leaf for leaf in condition.leaves() if isinstance(leaf, PlaceholderProbe))
        unknown = next(filter(None, (leaf.unknown_placeholder for leaf in starting)), None)
        if unknown is not None:
            element.refuse(f"has {unknown} in a parameter, which is no placeholder; known are {KNOWN}")


@lru_cache(maxsize=1024)
def parse_policy(name: str, source: str) -> Policy:
    """The policy that a record kept: see Policy.source. Raises ConfigurationRefused."""
    problems: list[Problem] = []
    try:
        return _policy_from(name, Field(path=(name,), value=json.loads(source), problems=problems))
    except Refused:
        raise ConfigurationRefused(problems) from None


def _policy_from(name: str, field: Field) -> Policy:
    """One policy, of a file or of a record."""
    attempt(POLICY_NAME.read, Field(path=field.path, value=name, problems=field.problems), None)
    parts = POLICY.members(field)
    until = attempt(_until, parts.get("until"), ())
    give_up_after = attempt(_WAIT.read, parts.get("give_up_after"), None)
    on_success = attempt(RESULT.read, parts.get("on_success"), Result.CONTINUE)
    on_failure = attempt(RESULT.read, parts.get("on_failure"), Result.ABANDON)
    on_give_up = attempt(RESULT.read, parts.get("on_give_up"), None)
    stalled_after = attempt(_WAIT.read, parts.get("stalled_after"), None)
    when_stopped = attempt(_WHEN_STOPPED.read, parts.get("when_stopped"), WhenStopped.END)
    mode = attempt(_MODE.read, parts.get("mode"), Mode.ENFORCE)
    if not field.is_sound:
        raise Refused
    return Policy(
        name=name,
        source=as_json(field.value),
        until=until,
        give_up_after=give_up_after,
        on_success=on_success,
        on_failure=on_failure,
        on_give_up=on_give_up,
        stalled_after=stalled_after,
        when_stopped=when_stopped,
        mode=mode,
    )


def _until(field: Field) -> tuple[Condition, ...]:
    found = [attempt(conditions.parse, element, None) for element in _UNTIL.elements(field)]
    return tuple(condition for condition in found if condition is not None)
