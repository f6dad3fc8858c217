"""Promise 3 in the records: no action that was known and was to wait got its hook's default result.

The promise holds as long as Auto Scaling accepts a call within the margin, and one of two clocks runs. The
timeline has the calls. Whether the functions ran is seen by the lines of other records of that time.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core import deadlines, iso_time
from usher.core.action import Outcome
from usher.core.limits import Limits
from usher_cli.action_data import heartbeat_margins
from usher_cli.audit.by_policy import lets_go
from usher_cli.audit.verdicts import NEVER_BY_DEFAULT, broken, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from usher_cli.audit.told import Call, Told
    from usher_cli.audit.verdicts import Verdict

_EVALUATED: Final = ("wait", "heartbeat", "complete", "answer")
_LEAST_TIME: Final = timedelta(seconds=10)  # from when it is known until its first heartbeat is accepted
_LEAST_MARGIN_S: Final = 5.0
_LAST_TRY: Final = timedelta(seconds=5)  # so near to the expiry a call is tried again that was not accepted


class Evaluations:
    """When any action was evaluated, and any call accepted, by all records that are audited."""

    def __init__(self) -> None:
        self._evaluated = _Times()
        self._accepted = _Times()

    def add(self, told: Told) -> None:
        """The times at which an action was evaluated, and its calls accepted."""
        times = {at for line in told.of(*_EVALUATED) for at in (line.at, line.last_at)}
        self._evaluated.add(told.action.id, times)
        self._accepted.add(told.action.id, {call.sent_at for call in told.calls if call.is_accepted})

    def others(self, told: Told, since: datetime, until: datetime) -> bool:
        """Whether another action was evaluated between these times."""
        return self._evaluated.of_others(told.action.id, since, until)

    def others_accepted(self, told: Told, since: datetime, until: datetime) -> bool:
        """Whether Auto Scaling accepted a call for another action between these times."""
        return self._accepted.of_others(told.action.id, since, until)


class _Times:
    """Times of actions."""

    def __init__(self) -> None:
        self._times: list[tuple[datetime, str]] = []
        self._is_sorted = True

    def add(self, action_id: str, times: Iterable[datetime]) -> None:
        self._times += [(at, action_id) for at in times]
        self._is_sorted = False

    def of_others(self, action_id: str, since: datetime, until: datetime) -> bool:
        if not self._is_sorted:
            self._times.sort()
            self._is_sorted = True
        first, last = (bisect_left(self._times, (at, "")) for at in (since, until))
        return any(other != action_id for _, other in self._times[first:last])


def margins(told: Told) -> list[float]:
    """How many seconds before its expiry each accepted heartbeat was sent, as far as the record shows."""
    if told.is_observed or told.has("held") or not told.is_whole:  # what was held may be told of late
        return []
    return [each["to_expiry_s"] for each in heartbeat_margins(told.action, told.timeline)]


def heartbeats_in_time(told: Told) -> Iterator[Verdict]:
    """A heartbeat that was accepted at the last moment held the instance, and shows how near it was."""
    least = min(margins(told), default=_LEAST_MARGIN_S)
    if least < _LEAST_MARGIN_S:
        when = f"{least:g} s before" if least >= 0 else f"{-least:g} s after"
        said = (
            f"a heartbeat was sent {when} its expiry; Usher plans {_LEAST_MARGIN_S:g} s, and more if it can"
        )
        yield unknown(NEVER_BY_DEFAULT, told, f"{said}: a function or a message was late")


def never_by_default(told: Told, evaluations: Evaluations) -> Iterator[Verdict]:
    """What is known of a default result: broken where Usher ran, and did not call in time."""
    action = told.action
    if action.outcome is not Outcome.DEFAULTED or told.is_observed:
        return
    expired_at = action.expires_at
    base = f"got the default result {action.hook.default_result} at {iso_time.to_seconds(expired_at)}"
    why = _excuse(told, expired_at, evaluations)
    if why is not None:
        yield unknown(NEVER_BY_DEFAULT, told, f"{base}: {why}")
        return
    margin = deadlines.usual_margin(action.hook.heartbeat_timeout)
    if not told.is_whole or not evaluations.others(told, expired_at - margin, expired_at):
        said = "no record shows that Usher's functions ran in its last seconds; see NoSweep and WakeErrors"
        yield unknown(NEVER_BY_DEFAULT, told, f"{base}: {said}")
        return
    tried = _tries(told, expired_at - margin, expired_at)
    last = (
        f"its last call was sent at {iso_time.to_seconds(tried[-1].sent_at)}" if tried else "no call was sent"
    )
    yield broken(
        NEVER_BY_DEFAULT, told, f"{base}: {last} in its last {_seconds(margin)}; others were evaluated"
    )


def _excuse(told: Told, expired_at: datetime, evaluations: Evaluations) -> str | None:
    """Why the promise may not have held; None where the record shows no reason."""
    action = told.action
    since = action.beaten_at or action.started_at
    if action.paused_by is not None or any(line.last_at > since for line in told.of("paused")):
        return f"Usher was paused by {action.paused_by or 'an operator'}"
    if action.first_seen_at > expired_at - _LEAST_TIME:
        return f"it was known at {iso_time.to_seconds(action.first_seen_at)} only"
    if told.decision is not None and told.decision.at < expired_at:
        return "its result was decided before, and had no answer that accepted it"
    is_limited = action.hook.limits != Limits()
    if not is_limited and lets_go(told, sum(line.at < expired_at for line in told.lines) + 1, expired_at):
        return "its policy let go before that, and its evaluation came too late"
    margin = deadlines.usual_margin(action.hook.heartbeat_timeout)
    tried = _tries(told, expired_at - 2 * margin, expired_at)
    if tried and (
        len(tried) > 1
        or tried[-1].sent_at > expired_at - _LAST_TRY
        or not evaluations.others_accepted(told, tried[-1].sent_at, expired_at)
    ):
        answers = ", ".join(dict.fromkeys(call.kind for call in tried))
        return f"Auto Scaling accepted no call in time ({answers})"
    return None


def _tries(told: Told, since: datetime, until: datetime) -> list[Call]:
    return [call for call in told.calls if not call.is_accepted and since <= call.sent_at <= until]


def _seconds(span: timedelta) -> str:
    return f"{round(span.total_seconds())} s"
