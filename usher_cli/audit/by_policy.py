"""Promises 2 and 6 in the record of one action: no result before its time, and none held back after it.

What the policy allows is worked out by the model that judges the seeded trials: it shares no code with the
decision. It takes the facts of the record, never a reason that Usher gave.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core import iso_time
from usher_cli.audit.facts import MOST_FOUND, case_at
from usher_cli.audit.told import CLOCKS, result_of
from usher_cli.audit.verdicts import IN_TIME, NEVER_EARLY, broken, unknown
from usher_simulator.trials import policy_model
from usher_simulator.trials.policy_model import PossibleStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from usher.core.action import Entry
    from usher_cli.audit.told import Told
    from usher_cli.audit.verdicts import Verdict
    from usher_simulator.trials.policy_model import Case

_REMOVED: Final = "Usher is being deleted"
_RETIRING: Final = "its hook is retiring"
_NO_CHOICE: Final = ("asks whether the wait goes on", "held, because it is unknown", "held by the limit")
_CHANGES: Final = ("hook", "policy", "begins", "adopted", "taken up")  # of the terms, or of the start
_BEFORE_START: Final = timedelta(seconds=60)
_AT_ONCE: Final = timedelta(seconds=1)


def never_early(told: Told) -> Iterator[Verdict]:
    """The result is one that the facts allowed when it was decided."""
    decision = told.decision
    if decision is None:
        return
    result = result_of(decision)
    released = next((word for word in (_REMOVED, _RETIRING) if decision.detail.endswith(f": {word}")), None)
    if released is not None:
        said = f"{result} was decided because {released}"
        if result == "CONTINUE":
            yield unknown(NEVER_EARLY, told, f"{said}; the record does not show that this is so")
        else:
            yield broken(NEVER_EARLY, told, f"{said}; that allows only CONTINUE")
        return
    yield from _by_the_facts(told, decision, result)
    yield from _signals_of_others(told)
    yield from _single_answers(told)


def _by_the_facts(told: Told, decision: Entry, result: str) -> Iterator[Verdict]:
    case, at = case_at(told, decision.number, decision.at), decision.at
    case = replace(case, signals=[_not_after(said, told) for said in case.signals])
    fine = policy_model.permitted(case, at)
    if at >= told.action.decide_by - CLOCKS and case.operator_result_by is None:
        fine |= {case.policy.get("on_give_up") or case.default_result}
    if result in fine:
        return
    allowed = f"only {' or '.join(sorted(fine))}" if fine else "to wait"
    said = f"{result} was decided at {_second(at)}; by the record's facts its policy allowed {allowed}"
    if _is_unsure(told, case, at, result):
        yield unknown(NEVER_EARLY, told, f"{said}, as far as the record shows")
    else:
        yield broken(NEVER_EARLY, told, said)


def _not_after(said: policy_model.Said, told: Told) -> policy_model.Said:
    """No signal is newer than the newest: the record has its time, a line only when it was heard."""
    newest = told.action.progress_at
    return said if newest is None or said.at <= newest else replace(said, at=newest)


def _is_unsure(told: Told, case: Case, at: datetime, result: str) -> bool:
    """Whether the record lacks what the decision may have been made of."""
    if not told.is_whole or told.is_adopted or told.action.policy.candidates:
        return True
    progress_at = told.action.progress_at
    if progress_at is None or progress_at <= at:
        return False
    silent = replace(case, signals=[replace(said, at=case.started_at) for said in case.signals])
    return result in policy_model.permitted(silent, at)  # stalled: what was heard then is written over


def _signals_of_others(told: Told) -> Iterator[Verdict]:
    """A signal counts for the action of its token, or by instance from a minute before the start on."""
    action = told.action
    since = action.started_at - _BEFORE_START - CLOCKS
    for signal in action.signals:
        by_token = signal.token is not None and action.token is not None
        if by_token and signal.token != action.token:
            yield broken(
                NEVER_EARLY, told, f"signal {signal.name} counted, which is of another action's token"
            )
        elif not by_token and signal.at < since and not told.is_adopted:
            said = f"signal {signal.name} counted, which was sent at {_second(signal.at)}, before the action"
            yield broken(NEVER_EARLY, told, said)


def _single_answers(told: Told) -> Iterator[Verdict]:
    """What holds is asked once more, where an answer may be of a moment ago: its first line is another."""
    if len(told.found) >= MOST_FOUND:
        return
    for name in told.unsure_probes:
        first = next((line for line in told.found if line.detail.startswith(f"{name}: ")), None)
        if first is not None and first.detail.startswith(f"{name}: {PossibleStatus.HOLDS}: "):
            yield broken(
                NEVER_EARLY, told, f"{name} counted as it was first answered; one answer is not enough"
            )


def in_time(told: Told) -> Iterator[Verdict]:
    """No evaluation goes on waiting while the facts let go of the instance."""
    if told.is_observed or told.is_adopted or told.action.awaits_turn or told.action.policy.candidates:
        return
    if not told.is_whole:  # a signal may be left out that took another back
        return
    changed = max((line.number for line in told.of(*_CHANGES)), default=0)
    for line in told.of("wait", "heartbeat"):
        if line.number < changed or line.detail.startswith(_NO_CHOICE):
            continue
        if lets_go(told, line.number, line.last_at):
            said = f"{line.event} at {_second(line.last_at)}: by the record's facts the wait was over"
            yield broken(IN_TIME, told, said)
            return


def lets_go(told: Told, number: int, at: datetime) -> bool:
    """Whether the facts before the line of that number leave no choice but a result."""
    case = case_at(told, number, at)
    if case.operator_result_by is not None or case.has_ended:
        return True
    if case.is_held:
        return False
    stands = [policy_model.possible(condition, case, at) for condition in case.policy["until"]]
    is_done = all(each == {PossibleStatus.HOLDS} for each in stands)
    has_failed = any(each == {PossibleStatus.FAILED} for each in stands)
    gives_up = "give_up_after" in case.policy and at >= policy_model.gives_up_at(case) + _AT_ONCE
    return is_done or has_failed or gives_up


def _second(at: datetime) -> str:
    return iso_time.to_seconds(at)
