"""Promises 1, 5 and 7 in the record of one action: one result, nothing that is not Usher's, all explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from usher.core import closing, iso_time
from usher.core.action import Outcome
from usher.ports.autoscaling import AnswerKind
from usher_cli.audit.told import CLOCKS, COMPLETE, HEARTBEAT, result_of
from usher_cli.audit.verdicts import EXPLAINED, ONE_RESULT, ONLY_OURS, broken, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from usher.core.action import Entry
    from usher_cli.audit.told import Told
    from usher_cli.audit.verdicts import Verdict

_UNDECIDED: Final = ("wait", "heartbeat")
_IN_DOUBT: Final = "held, because it is unknown whether it is still the same wait"
_MAY_END: Final = (AnswerKind.NO_ACTIVE_ACTION, AnswerKind.REFUSED, AnswerKind.UNANSWERED)


def one_result(told: Told) -> Iterator[Verdict]:
    """At most one result, stored before it was sent, and never taken back."""
    decided = told.decisions
    count = sum(line.count for line in decided)
    if count > 1:
        begin, end = (f"{result_of(line)} at {_second(at)}" for line, at in _ends(decided))
        yield broken(ONE_RESULT, told, f"decided {count} times, from {begin} to {end}")
    first = told.decision
    for call in told.calls if told.is_whole else ():
        if call.name == COMPLETE and (first is None or call.number < first.number):
            yield broken(ONE_RESULT, told, f"{call.result} was sent before it was stored")
        elif call.name == COMPLETE and first and call.result != result_of(first):
            yield broken(ONE_RESULT, told, f"{call.result} was sent, and {result_of(first)} stored")
    accepted = sum(call.count for call in told.calls if call.name == COMPLETE and call.is_accepted)
    if accepted > 1:
        yield broken(ONE_RESULT, told, f"Auto Scaling accepted {accepted} results")
    if first is not None:
        late = [line for line in told.of(*_UNDECIDED) if line.number > first.number]
        again = next((line for line in late if not line.detail.startswith(_IN_DOUBT)), None)
        if again is not None:
            said = f"{again.event} at {_second(again.at)}, after {result_of(first)} was stored"
            yield broken(ONE_RESULT, told, said)


def _ends(lines: Sequence[Entry]) -> tuple[tuple[Entry, datetime], tuple[Entry, datetime]]:
    return (lines[0], lines[0].at), (lines[-1], lines[-1].last_at)


def only_ours(told: Told) -> Iterator[Verdict]:
    """Nothing is called in observe mode, and an action keeps its policy."""
    if told.is_observed and told.calls and not told.has("policy"):
        yield broken(ONLY_OURS, told, f"{told.calls[0].name} was called, though its policy only observes")
    began_under = next(
        (line.detail for line in told.of("notified", "adopted") if "policy " in line.detail), ""
    )
    name = began_under.rpartition("policy ")[2]
    if name and name != told.action.policy.name and not told.has("policy"):
        yield broken(
            ONLY_OURS, told, f"it began under policy {name}, and ended under {told.action.policy.name}"
        )


def explained(told: Told) -> Iterator[Verdict]:
    """The timeline has its beginning, its reasons, its calls with their answers, and its end."""
    yield from _lines(told)
    if told.action.is_open or told.is_observed:
        return
    yield from _end(told)
    yield from _answers(told)


def _lines(told: Told) -> Iterator[Verdict]:
    if not told.is_whole:
        yield unknown(EXPLAINED, told, "its timeline is so long that lines are left out")
    if told.is_whole and not told.has("notified", "adopted"):
        yield broken(EXPLAINED, told, "no line says how it became known")
    without = next((line for line in told.timeline if not line.detail), None)
    if without is not None:
        yield broken(EXPLAINED, told, f"the line {without.event} at {_second(without.at)} has no reason")
    for line in told.of("operator"):
        if line.detail.count(": ") < 2:  # noqa: PLR2004 - who: what: why
            yield broken(EXPLAINED, told, f"the operator's line at {_second(line.at)} has no command")


def _end(told: Told) -> Iterator[Verdict]:
    """What the record tells of its end, and what its lines say."""
    action = told.action
    closed = told.of("closed")
    if not closed:
        yield broken(EXPLAINED, told, "no line says how it ended")
        return
    last, outcome = closed[-1], str(action.outcome)
    if last.detail.partition(": ")[0] != outcome:
        yield broken(EXPLAINED, told, f"recorded as {outcome}; its last line says {last.detail}")
    accepted = [call for call in told.calls if call.name == COMPLETE and call.is_accepted]
    yield from _words_of_auto_scaling(told)
    if action.reason == closing.ENDED_IN_TIME and last.at > action.expires_at + CLOCKS:
        late = round((last.at - action.expires_at).total_seconds())
        yield broken(EXPLAINED, told, f"recorded as {action.reason}; it was closed {late} s after that")
    if action.outcome is Outcome.COMPLETED:
        yield from _completed(told)
    elif accepted:
        yield broken(EXPLAINED, told, f"recorded as {outcome}; Auto Scaling accepted {accepted[0].result}")
    else:
        yield from _ended_too_soon(told, last.number, last.at)


def _words_of_auto_scaling(told: Told) -> Iterator[Verdict]:
    """What the outcome event says of an action that was abandoned."""
    action = told.action
    if (
        told.timed_out
        and action.outcome is not Outcome.DEFAULTED
        and action.first_seen_at < action.expires_at
    ):
        said = f"recorded as {action.outcome}; Auto Scaling says that its heartbeat timeout expired"
        yield broken(EXPLAINED, told, said)
    if told.was_abandoned and str(action.result) == "CONTINUE":
        yield broken(
            EXPLAINED, told, "recorded as CONTINUE; Auto Scaling says that it was completed with ABANDON"
        )


def _completed(told: Told) -> Iterator[Verdict]:
    action, decision = told.action, told.decision
    if decision is None:
        yield broken(EXPLAINED, told, "recorded as completed; no line says why")
    elif result_of(decision) != str(action.result):
        yield broken(EXPLAINED, told, f"recorded as {action.result}; {result_of(decision)} was decided")
    sent = [call for call in told.calls if call.name == COMPLETE]
    is_possible = any(call.kind in (AnswerKind.ACCEPTED, AnswerKind.UNANSWERED) for call in sent)
    if not is_possible and not action.completes_sent:
        yield broken(EXPLAINED, told, "recorded as completed; no result of Usher's was accepted")
    elif any(call.is_accepted for call in sent):
        return
    elif all(sent_at >= action.expires_at + CLOCKS for sent_at in _sent_at(told)):
        yield broken(
            EXPLAINED, told, "recorded as completed; its result was sent after its heartbeat timeout expired"
        )
    else:
        yield unknown(EXPLAINED, told, "its result had no answer; nobody can know whether that call ended it")


def _sent_at(told: Told) -> list[datetime]:
    """When its results were sent, as far as the record tells; those that were not accepted."""
    decided = [line.at for line in told.decisions]
    return [
        *decided,
        *told.action.completes_sent,
        *(call.sent_at for call in told.calls if call.name == COMPLETE),
    ]


def _ended_too_soon(told: Told, number: int, at: datetime) -> Iterator[Verdict]:
    """Whether it was closed while nothing said that its wait was over, and its time was not up."""
    before = [call for call in told.calls if call.number < number]
    over = told.before(number, "outcome", "live state", "instance", "paused")
    if before and not over and before[-1].kind not in _MAY_END and at < told.action.expires_at:
        said = f"closed at {_second(at)}, after {before[-1].name} was answered: {before[-1].kind}"
        yield broken(EXPLAINED, told, said)


def _answers(told: Told) -> Iterator[Verdict]:
    """As many accepted heartbeats as the record counts, and answers that say what Auto Scaling said."""
    for call in told.calls:
        if call.is_accepted and call.text:
            yield broken(
                EXPLAINED, told, f"{call.name} is recorded as accepted; Auto Scaling said: {call.text}"
            )
    if not told.is_whole:
        return
    heard = sum(call.count for call in told.calls if call.name == HEARTBEAT and call.is_accepted)
    heard += sum(line.count for line in told.of("taken up", "adopted"))
    heard += sum(_number(line.detail) * line.count for line in told.of("held"))
    if heard < told.action.heartbeats:
        said = f"the record counts {told.action.heartbeats} heartbeats; its timeline has {heard}"
        yield broken(EXPLAINED, told, said)
    answered = sum(call.count for call in told.calls if call.name == COMPLETE)
    if told.action.is_proven and not answered:
        yield broken(EXPLAINED, told, "its result was accepted; no line has the answer")


def _number(text: str) -> int:
    first = text.split(" ", 1)[0]
    return int(first) if first.isdigit() else 1


def _second(at: datetime) -> str:
    return iso_time.to_seconds(at)
