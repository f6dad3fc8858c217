"""All promises that records can show, held against the records of some actions, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from usher.core.action import Outcome
from usher.core.limits import Limits
from usher_cli.audit import by_policy, explained, together
from usher_cli.audit.by_default import Evaluations, heartbeats_in_time, margins, never_by_default

if TYPE_CHECKING:
    from usher_cli.audit.told import Told
    from usher_cli.audit.verdicts import Verdict

_OF_EACH: Final = (
    explained.one_result,
    by_policy.never_early,
    explained.only_ours,
    heartbeats_in_time,
    by_policy.in_time,
    explained.explained,
)


class Audit:
    """Takes the records in any order. Of most it keeps no more than the times of their evaluations."""

    def __init__(self) -> None:
        self.actions = 0
        self.open = 0
        self.least_margin_s: float | None = None  # of all heartbeats that were accepted
        self._verdicts: list[Verdict] = []
        self._evaluations = Evaluations()
        self._defaulted: list[Told] = []
        self._limited: list[Told] = []

    def add(self, told: Told) -> None:
        """Hold one record against what concerns it alone."""
        self.actions += 1
        self.open += told.action.is_open
        for check in _OF_EACH:
            self._verdicts += check(told)
        self._evaluations.add(told)
        known = [*margins(told), *([] if self.least_margin_s is None else [self.least_margin_s])]
        self.least_margin_s = min(known, default=None)
        if told.action.outcome is Outcome.DEFAULTED:
            self._defaulted.append(told)
        if told.action.hook.limits != Limits():
            self._limited.append(told)

    def verdicts(self) -> list[Verdict]:
        """What is broken and what is unknown, once all records are known."""
        found = list(self._verdicts)
        for told in self._defaulted:
            found += never_by_default(told, self._evaluations)
        found += together.limits(self._limited)
        found += together.at_once(self._limited)
        return found


def counts(verdicts: list[Verdict], promise: str) -> tuple[int, int]:
    """How many actions broke a promise, and of how many more that is unknown."""
    of_promise = [verdict for verdict in verdicts if verdict.promise == promise]
    concerned = {verdict.told.action.id for verdict in of_promise}
    breaking = {verdict.told.action.id for verdict in of_promise if verdict.is_broken}
    return len(breaking), len(concerned - breaking)
