"""The choice of a policy by what EC2 tells of an instance: made once, and written to the record (ADR 32)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from usher.core.action import Phase
from usher.core.conditions.instance_facts import InstanceFacts, choose_by, in_words
from usher.core.conditions.probe import finding_of
from usher.core.finding import ConditionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.conditions.instance_facts import Facts
    from usher.core.policy import Rule


def made(action: Action, now: datetime) -> Action:
    """The action under the policy of the first candidate that fits; the same one while that may be unknown.

    A rule whose facts are unknown when the time is over is passed over, and the record says so.
    """
    rules = action.policy.candidates
    found = finding_of(InstanceFacts(), action)
    is_answered = found is not None and found.status in (ConditionStatus.HOLDS, ConditionStatus.FAILED)
    if not rules or action.phase is not Phase.OPEN or not (is_answered or now >= choose_by(action)):
        return action
    facts: Facts = dict(found.memory) if found is not None else {}
    rule = _first(rules, facts, launch_failed=False)
    if_failed = _first(rules, facts, launch_failed=True).use
    said = in_words(facts) or (found.detail if found is not None else "EC2 was not asked in time")
    passed_over = [other for other in rules[: rules.index(rule)] if _may_fit(other, facts)]
    if passed_over:
        unknown = dict.fromkeys(field for other in passed_over for field in other.facts if field not in facts)
        of = dict.fromkeys(other.use.name for other in passed_over)
        said += f"; unknown: {', '.join(unknown)}, so the rules for {', '.join(of)} were passed over"
    action = replace(action, policy=rule.use, if_launch_failed=None if if_failed == rule.use else if_failed)
    return action.noted(now, "policy", f"{rule.use.name} from now on: {said}")


def _first(rules: Iterable[Rule], facts: Facts, *, launch_failed: bool) -> Rule:
    return next(rule for rule in rules if rule.chosen_by(facts, launch_failed=launch_failed))


def _may_fit(rule: Rule, facts: Facts) -> bool:
    """Whether the rule would have been chosen, had what is unknown been as it asks."""
    as_asked = {field: wanted for field, wanted in rule.when if field not in facts}
    return rule.chosen_by({**facts, **as_asked}, launch_failed=False)
