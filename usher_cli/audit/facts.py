"""The facts of a record at a moment, as the independent model of policies takes them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from usher.core.conditions import parse
from usher.core.conditions.probe import Probe
from usher.core.field import Field
from usher_cli.audit.told import CLOCKS
from usher_simulator.trials.policy_model import Case, PossibleStatus, Said

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from usher.core.action import Entry
    from usher_cli.audit.told import Told
    from usher_simulator.trials.policy_model import Possible, Written

_PLAIN: Final = ("terminating", "AutoScalingGroup", "EC2")
_STORED_WITHIN: Final = timedelta(
    seconds=20
)  # from the time that an evaluation takes until it reads findings
MOST_FOUND: Final = 40  # changes that are kept of what was found


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """Implements Answers of the model: what was found of the conditions of an action, as its lines tell.

    A line is noted at a change. What held may have become too old to count, which no line tells, and an
    evaluation may have read what was found some seconds before or after its own time.
    """

    lines: Sequence[Entry]

    def at(self, condition: Written, now: datetime) -> Possible:
        """See Answers."""
        known = self._of(_name(condition))
        before = [status for at, status in known if at <= now - _STORED_WITHIN][-1:]
        about_then = [status for at, status in known if abs(at - now) < _STORED_WITHIN]
        if len(self.lines) >= MOST_FOUND and not before:
            return frozenset(PossibleStatus)
        may_be_old = set() if before == [PossibleStatus.FAILED] else {PossibleStatus.UNKNOWN}
        return frozenset({*before, *about_then, *may_be_old})

    def held(self, condition: Written, now: datetime) -> bool:
        """See Answers."""
        if len(self.lines) >= MOST_FOUND:
            return True
        known = self._of(_name(condition))
        return any(at <= now + _STORED_WITHIN and status is PossibleStatus.HOLDS for at, status in known)

    def _of(self, name: str) -> list[tuple[datetime, PossibleStatus]]:
        starts = {status: f"{name}: {status}: " for status in PossibleStatus}
        return [
            (line.at, status)
            for line in self.lines
            for status, start in starts.items()
            if line.detail.startswith(start) or line.detail == start.rstrip()
        ]


def _name(condition: Written) -> str:
    """Under which name the findings of a condition are kept."""
    parsed = parse(Field(path=(), value=dict(condition), problems=[]))
    return next((leaf.name for leaf in parsed.leaves() if isinstance(leaf, Probe)), "")


def case_at(told: Told, number: int, at: datetime) -> Case:
    """What was known of an action when the line of that number was noted."""
    action = told.action
    move = (str(action.hook.transition), action.origin, action.destination)
    operators = _operators(told.before(number, "operator"))
    instance = [line.detail for line in told.before(number, "instance")]
    order = action.operator_result_by
    return Case(
        policy=told.written_policy,
        transition=str(action.hook.transition),
        default_result=str(action.hook.default_result),
        started_at=action.patient_from,
        timeouts=frozenset({action.hook.heartbeat_timeout}),
        signals=signals_before(told, number),
        answers=Findings(lines=told.found),
        operator_result_by=operators.result if order is None or order.at <= at + CLOCKS else None,
        is_held=operators.is_held,
        extended_to=operators.extended_to,
        has_ended=any("ended" in said for said in instance),
        may_be_stopped=move == _PLAIN and any("stopped" in said for said in instance),
        is_limited=action.hook.limits.abandon_per_hour is not None
        or action.hook.limits.complete_per_minute is not None,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ordered:
    result: str | None = None
    is_held: bool = False
    extended_to: datetime | None = None


def _operators(lines: Iterable[Entry]) -> _Ordered:
    """What operators ordered, from lines such as `arn:aws:…: hold: reason`."""
    ordered = _Ordered()
    for line in lines:
        what = command_in(line.detail)
        if what.startswith("complete "):
            ordered = replace(ordered, result=what.removeprefix("complete "))
        elif what == "release":  # of a retained instance, whose termination begins again
            ordered = replace(ordered, result="CONTINUE")
        elif what.startswith("hold"):
            ordered = replace(ordered, is_held=what == "hold")
        elif what.startswith("extend to "):
            with suppress(ValueError):  # no time, so no command of Usher's
                then = datetime.fromisoformat(what.removeprefix("extend to "))
                ordered = replace(ordered, extended_to=then if then.tzinfo else None)
    return ordered


def command_in(detail: str) -> str:
    """The command in the line of an operator, whose name is an ARN without spaces."""
    return detail.partition(": ")[2].partition(": ")[0]


def signals_before(told: Told, number: int) -> list[Said]:
    """The last word of each signal, as the lines before `number` have it; the record has its time.

    A signal that was noted later, or is not in the record any more, counts as of its line.
    """
    times = {(signal.name, str(signal.status)): signal.at for signal in told.action.signals}
    heard: dict[str, Said] = {}
    for line in told.before(number, "signal"):
        name, status = line.detail.partition(": ")[0].rpartition(" ")[::2]
        at = min(times.get((name, status), line.at), line.at)
        heard[name] = Said(event_id=str(line.number), name=name, status=status, at=at)
    return list(heard.values())
