"""Promise 2 over several records: no more results than the limits of a hook allow, no more at once."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple

from usher.core import iso_time
from usher.core.limits import Sharing
from usher_cli.audit.facts import case_at
from usher_cli.audit.told import result_of
from usher_cli.audit.verdicts import NEVER_EARLY, broken
from usher_simulator.trials import policy_model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from usher_cli.audit.told import Told
    from usher_cli.audit.verdicts import Verdict

_CLOCKS: Final = timedelta(seconds=20)  # of functions, and from a grant until it is stored
_PLACE_KEPT: Final = timedelta(seconds=60)  # after the patience


class _Limit(NamedTuple):
    name: str
    within: timedelta
    counted: frozenset[str]


_LIMITS: Final = (
    _Limit("abandon_per_hour", timedelta(hours=1), frozenset({"ABANDON"})),
    _Limit("complete_per_minute", timedelta(minutes=1), frozenset({"CONTINUE", "ABANDON"})),
)


def limits(all_told: Iterable[Told]) -> Iterator[Verdict]:
    """What the policies of a hook decided, against what its limits allow in any stretch of time."""
    of_hook: defaultdict[tuple[str, str], list[Told]] = defaultdict(list)
    for told in all_told:
        if told.decision is not None:
            of_hook[told.action.hook.name, told.action.hook.limited_with].append(told)
    for some in of_hook.values():
        counted = [(told.decision.at, told) for told in some if told.decision and _counts(told)]
        counted.sort(key=lambda each: each[0])
        for limit in _LIMITS:
            yield from _over(limit, [each for each in counted if _result(each[1]) in limit.counted])


def _over(limit: _Limit, decided: Sequence[tuple[datetime, Told]]) -> Iterator[Verdict]:
    first = 0
    for number, (at, told) in enumerate(decided):
        while decided[first][0] <= at - limit.within + _CLOCKS:
            first += 1
        allowed = [getattr(each.action.hook.limits, limit.name) for _, each in decided[first : number + 1]]
        if None in allowed or len(allowed) <= max(allowed):
            continue
        said = (
            f"the result of {iso_time.to_seconds(at)} is number {len(allowed)}; {limit.name}: {max(allowed)}"
        )
        yield broken(NEVER_EARLY, told, said)


def _result(told: Told) -> str:
    return result_of(told.decision) if told.decision else ""


def _counts(told: Told) -> bool:
    """What operators, EC2 or a removal decided does not count, nor what is sent at the last moment."""
    decision = told.decision
    if decision is None or decision.at >= told.action.decide_by - _CLOCKS or told.action.let_through:
        return False
    case = case_at(told, decision.number, decision.at)
    is_told = case.operator_result_by is not None or case.has_ended or policy_model.may_end_stopped(case)
    return not is_told and not decision.detail.endswith("Usher is being deleted")


def at_once(all_told: Iterable[Told]) -> Iterator[Verdict]:
    """Of a hook with `at_once` at most so many actions have begun, and not ended."""
    of_hook: defaultdict[tuple[str, str], list[Told]] = defaultdict(list)
    for told in all_told:
        hook = told.action.hook
        if hook.limits.at_once is not None and told.action.began_at is not None:
            is_shared = hook.limits.at_once_per is Sharing.HOOK
            of_hook[hook.name, hook.limited_with if is_shared else hook.group].append(told)
    for some in of_hook.values():
        yield from _too_many(sorted(some, key=lambda told: told.action.began_at or told.action.started_at))


def _too_many(begun: Sequence[Told]) -> Iterator[Verdict]:
    going: list[tuple[datetime, int, Told]] = []  # a heap, the first to end first
    for number, told in enumerate(begun):
        began_at = told.action.began_at
        if began_at is None:
            continue
        if not told.has("taken up"):
            heappush(going, (_place_until(told), number, told))
        while going and going[0][0] <= began_at:
            heappop(going)
        most = max((each.action.hook.limits.at_once or 0 for _, _, each in going), default=0)
        if len(going) > most:
            by_begin = sorted(going, key=lambda each: each[1])
            others = ", ".join(each.action.instance_id for _, _, each in by_begin if each is not told)
            yield broken(
                NEVER_EARLY,
                told,
                f"begun at {iso_time.to_seconds(began_at)} beside {others}; at_once: {most}",
            )


def _place_until(told: Told) -> datetime:
    """When it has ended, as far as clocks agree, or another may have taken its place."""
    given_up_at, ended_at = told.action.give_up_at + _PLACE_KEPT, told.action.closed_at
    return given_up_at if ended_at is None else min(given_up_at, ended_at - _CLOCKS)
