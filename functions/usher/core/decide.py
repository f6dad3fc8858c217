"""The decision: what to do about one action now, why, and when to evaluate it next."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from usher.core import deadlines, duration
from usher.core.action import Phase, Result, Transition, shortened
from usher.core.finding import ConditionStatus
from usher.core.frozen import frozen
from usher.core.policy import WhenStopped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.conditions.verdict import Verdict


@frozen
class Complete:
    """End the action with `result`; ask again at `evaluate_at` if the answer does not come."""

    result: Result
    reason: str
    evaluate_at: datetime


@frozen
class Heartbeat:
    """Restart the heartbeat timeout; try again at `evaluate_at` if the answer does not come."""

    reason: str
    evaluate_at: datetime
    code: str = ""  # of its line in the timeline


@frozen
class Wait:
    """Do nothing until `evaluate_at`."""

    reason: str
    evaluate_at: datetime
    code: str = ""  # of its line in the timeline


Decision: TypeAlias = Complete | Heartbeat | Wait

_LEAST_WAIT: Final = timedelta(seconds=1)
_TURN_ASKED_AGAIN: Final = timedelta(
    minutes=1
)  # who ends wakes the next one: this is for a wake-up that is lost
_TURN_UNKNOWN: Final = timedelta(seconds=3)
WAITS_FOR: Final = "waits for "  # begins the reason of one that is in line
_MOST_NAMED: Final = 5  # of the instances that an action waits for
_DESCRIBED_AGAIN: Final = timedelta(seconds=8)  # where its group could not be described; others may have


def decide(action: Action, now: datetime) -> Decision:
    """What to do about `action`, which is open, at `now`.

    Never asks which event led here: the record, with what was observed folded into it, and the
    time decide alone (promise 6). `evaluate_at` is always after `now`.
    """
    again_at = retry_at(action, now)
    if action.phase is Phase.COMPLETING and action.result is not None:
        return Complete(result=action.result, reason=action.reason, evaluate_at=again_at)
    word = _word(action)
    if word is not None:
        result, reason = word
        return Complete(result=result, reason=reason, evaluate_at=again_at)
    if action.operator_hold is not None and now < action.decide_by:
        return hold(action, f"held by {action.operator_hold.who}: {action.operator_hold.reason}", now)
    if _is_stopped(action, now):
        reason = "EC2 reports the instance as stopped"
        return Complete(result=Result.CONTINUE, reason=reason, evaluate_at=again_at)
    return _in_line(action, now) if action.awaits_turn else _by_policy(action, now)


def _by_policy(action: Action, now: datetime) -> Decision:
    """What its conditions and its patience say."""
    verdicts = [condition.verdict(action, now) for condition in action.policy.until]
    ending = _ending(action, verdicts, now)
    if ending is not None:
        result, reason = ending
        return Complete(result=result, reason=shortened(reason), evaluate_at=retry_at(action, now))
    waits_for = "; ".join(
        verdict.detail for verdict in verdicts if verdict.status is not ConditionStatus.HOLDS
    )
    return hold(action, f"waits: {waits_for}", now, verdicts)


def _in_line(action: Action, now: datetime) -> Decision:
    """To wait for its turn; at the last moment it ends as one that was given up."""
    reason = f"{WAITS_FOR}{_listed(action.behind)}: at_once {action.hook.limits.at_once}"
    if now >= action.decide_by:
        result, gave_up = given_up(action)
        return Complete(
            result=result, reason=f"{gave_up} without a turn; {reason}", evaluate_at=retry_at(action, now)
        )
    # Before its heartbeat is due, which would go first each time: so it asks by itself whatever was lost.
    later = min(_TURN_ASKED_AGAIN, action.hook.heartbeat_timeout / 3) if action.behind else _TURN_UNKNOWN
    return hold(action, reason, now, again_at=now + later)


def _listed(instances: Sequence[str]) -> str:
    """`i-1, i-2 and i-3`, or so: of many the first ones."""
    if not instances:
        return "its turn"
    names = list(instances[:_MOST_NAMED])
    if len(instances) > _MOST_NAMED:
        names.append(f"{len(instances) - _MOST_NAMED} others")
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def asks_for_turn(action: Action, now: datetime) -> bool:
    """Whether nothing but the turn of others keeps an action from beginning its `until`.

    A heartbeat that is due goes first.
    """
    due = beat_due(action)
    is_free = action.phase is Phase.OPEN and _word(action) is None and action.operator_hold is None
    is_sure = action.activity_end is None and not _is_stopped(action, now)
    is_in_time = now < action.decide_by and (due is None or now < due)
    return action.awaits_turn and is_free and is_sure and is_in_time


def retry_at(action: Action, now: datetime) -> datetime:
    """When to try again. A heartbeat that is sent after the expiry may have restarted the period.

    Once the shortest timeout has passed, an assumed one is the longer one of the file, if any.
    """
    period = deadlines.SHORTEST_HEARTBEAT_TIMEOUT if action.timeout_assumed else action.hook.heartbeat_timeout
    due_by = action.heartbeat_by if now < action.heartbeat_by else action.expires_at
    return min(deadlines.next_try_at(now, due_by), now + period / 2)


def _word(action: Action) -> tuple[Result, str] | None:
    """What needs no condition: an operator's order, no instance any more, a hook on its way out.

    Only the order counts while a policy may be chosen that sends nothing.
    """
    order = operator_order(action)
    if order is not None or (action.policy.candidates and action.policy.may_observe):
        return order
    if action.instance_ended_at is None:
        return (Result.CONTINUE, "its hook is retiring") if action.let_through else None
    launches = action.hook.transition is Transition.LAUNCHING  # and is replaced, where it is abandoned
    return Result.ABANDON if launches else Result.CONTINUE, "EC2 has already ended the instance"


def operator_order(action: Action) -> tuple[Result, str] | None:
    """The result that an operator has ordered, and its reason."""
    by = action.operator_result_by
    if by is None or action.operator_result is None:
        return None
    return action.operator_result, f"requested by {by.who}: {by.reason}"


def has_no_instance(action: Action, now: datetime) -> bool:
    """Whether nothing runs that could be held: no limit counts its result, no condition needs to be asked."""
    return action.instance_ended_at is not None or _is_stopped(action, now)


def _is_stopped(action: Action, now: datetime) -> bool:
    """Whether its instance counts as ended because it is stopped: where that is sure to be its end.

    On its way into a warm pool, or for a new root volume, an instance may well be stopped.
    """
    is_plain = (action.hook.transition, action.origin, action.destination) == (
        Transition.TERMINATING,
        "AutoScalingGroup",
        "EC2",
    )
    is_fresh = action.stopped_at is not None and now - action.stopped_at <= deadlines.STOPPED_COUNTS
    return is_plain and is_fresh and action.policy.when_stopped is WhenStopped.END


def _ending(action: Action, verdicts: Sequence[Verdict], now: datetime) -> tuple[Result, str] | None:
    """The result and its reason, where the policy lets go of the instance."""
    policy = action.policy
    failed = [verdict.detail for verdict in verdicts if verdict.status is ConditionStatus.FAILED]
    if failed:
        return policy.on_failure, "failed: " + "; ".join(failed)
    if all(verdict.status is ConditionStatus.HOLDS for verdict in verdicts):
        held = "; ".join(verdict.detail for verdict in verdicts)
        return policy.on_success, f"done: {held}" if held else "nothing to wait for"
    return _time_up(action, now)


def _time_up(action: Action, now: datetime) -> tuple[Result, str] | None:
    """What the clock says that ran out first, so that a late evaluation ends as a timely one would have."""
    policy, give_up_at, stalled_at = action.policy, action.give_up_at, _stalled_at(action)
    stalled = stalled_at is not None and stalled_at <= now and stalled_at < give_up_at
    if stalled and policy.stalled_after is not None:
        return policy.on_failure, f"stalled: no progress for {duration.written(policy.stalled_after)}"
    return given_up(action) if give_up_at <= now else None


def given_up(action: Action) -> tuple[Result, str]:
    """How an action ends whose conditions were not met in time."""
    waited = duration.written(action.give_up_at - action.patient_from)
    return action.policy.on_give_up or action.hook.default_result, f"gave up after {waited}"


def _stalled_at(action: Action) -> datetime | None:
    """A progress signal may be older than the action; no patience runs out from before its begin."""
    if action.policy.stalled_after is None or action.awaits_turn:
        return None
    progress_at = action.progress_at or action.patient_from
    return max(progress_at, action.patient_from) + action.policy.stalled_after


def hold(
    action: Action,
    reason: str,
    now: datetime,
    verdicts: Sequence[Verdict] = (),
    again_at: datetime | None = None,
) -> Heartbeat | Wait:
    """Keep the instance: by a heartbeat where one is due, else by waiting for what comes next."""
    if action.activity_end is not None:
        reason = f"asks whether the wait goes on: {action.activity_end.detail}"
        return Heartbeat(reason=reason, evaluate_at=retry_at(action, now))
    due = beat_due(action)
    if due is not None and due <= now:
        return Heartbeat(reason=reason, evaluate_at=retry_at(action, now))
    changes = (verdict.evaluate_at for verdict in verdicts if verdict.status is not ConditionStatus.HOLDS)
    described_at = (action.booked_at or now + _DESCRIBED_AGAIN) if action.timeout_assumed else None
    times = (due, action.give_up_at, action.decide_by, _stalled_at(action), again_at, described_at, *changes)
    soonest = min((at for at in times if at is not None and at > now), default=now + _LEAST_WAIT)
    return Wait(reason=reason, evaluate_at=soonest)


def beat_due(action: Action) -> datetime | None:
    """When the next heartbeat is due: in the slot that CallBudget booked for it, else with the usual margin.

    Until its timeout is known, in time for the shortest one. None where the wait already reaches
    to the global timeout: no beat can extend it.
    """
    if action.expires_at >= action.ends_at:
        return None
    if action.timeout_assumed:
        return action.heartbeat_by - deadlines.usual_margin(deadlines.SHORTEST_HEARTBEAT_TIMEOUT)
    margin = deadlines.usual_margin(action.hook.heartbeat_timeout)
    return action.booked_at or action.expires_at - margin
