"""Bugs that someone planted who had read the production code and the promises, and none of the checkers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.bugs.bug import Bug
from usher import release
from usher.core import adoption, closing, deadlines, evidence
from usher.core.action import Action, Outcome, Result
from usher.core.conditions import targets
from usher.core.finding import ConditionStatus
from usher.core.ownership import Terms
from usher.core.policy import Mode
from usher.evaluation import sender
from usher.evaluation.call_budget import CallBudget
from usher.evaluation.sender import Sender
from usher.evaluation.wake_ups import WakeUpScheduler
from usher.ports.autoscaling import AnswerKind
from usher.ports.errors import Moved
from usher_simulator.trials.faults import Thing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from usher.core.action import Signal
    from usher.core.live_waits import UnrecordedWait
    from usher.core.policy import Policy
    from usher.ports.autoscaling import Answer

_LATE: Final = timedelta(seconds=3)  # as usher.evaluation.call_budget


def _unhealthy_is_drained(
    statuses: Mapping[targets.TargetState, Mapping[str, ConditionStatus]],
) -> Mapping[targets.TargetState, Mapping[str, ConditionStatus]]:
    """A load balancer "sends an unhealthy target nothing"."""
    drained = {**statuses[targets.TargetState.DRAINED], "unhealthy": ConditionStatus.HOLDS}
    return {**statuses, targets.TargetState.DRAINED: drained}


def _other_tokens_count(fits: Callable[[Signal, Action], bool]) -> object:
    """A signal by token that is of another action is taken for one by instance."""

    def fits_either(signal: Signal, action: Action) -> bool:
        return fits(signal, action) or fits(replace(signal, token=None), action)

    return fits_either


def _ends_after_first_sight(ends_at: property) -> property:  # noqa: ARG001 - it takes its place
    """The global timeout counts from when the notice came."""

    def late(action: Action) -> datetime:
        return action.limit_at or action.first_seen_at + deadlines.global_timeout(
            action.hook.heartbeat_timeout
        )

    return property(late)


def _wake_ups_after_store(store_and_schedule: Callable[..., None]) -> object:
    """The record first, and then what wakes it."""

    def stored(self: WakeUpScheduler, action: Action, store: Callable[[Action], None], **named: Any) -> Any:
        store(action)
        return store_and_schedule(self, action, lambda _: None, **named)

    return stored


def _never_over_budget(taken: Callable[..., tuple[Action, bool]]) -> object:
    """No call goes out without a turn, however near the expiry is."""

    def only_booked(
        turns: CallBudget, action: Action, now: datetime, *, completes: bool
    ) -> tuple[Action, bool]:
        own = action.booked_at
        after, goes = taken(turns, action, now, completes=completes)
        is_in_turn = own is not None and now - _LATE <= own <= now
        is_at_risk = goes and after is action and not is_in_turn and not action.timeout_assumed
        return after, goes and not is_at_risk

    return only_booked


def _lets_all_through(lets_through: object) -> object:  # noqa: ARG001 - it takes its place
    """Whatever is heard of after its hook was replaced is let go, however long ago it began."""

    def lets(terms: Terms, policy: Policy, started_at: datetime) -> bool:  # noqa: ARG001 - that is the bug
        return terms.let_through_from is not None and policy.mode is Mode.ENFORCE

    return lets


def _released_anew(released: Callable[[Action, datetime, str], Action]) -> object:
    """The removal says CONTINUE of all that is open, whatever was decided of it."""

    def anew(action: Action, now: datetime, evaluation_id: str) -> Action:
        after = released(action, now, evaluation_id)
        return replace(after, result=Result.CONTINUE)

    return anew


def _written_over(settle: object) -> object:  # noqa: ARG001 - it takes its place
    """What others stored during a call is replaced by what the evaluation had read before it."""

    def settle_on_old(
        self: Sender,
        action: Action,
        call: str,
        answer: Answer,
        settled: Callable[[Action, datetime], Action],
        denied: Callable[[Action], Action] | None = None,  # noqa: ARG001 - that is the bug
    ) -> None:
        now = self.clock()
        if answer.kind is AnswerKind.BUSY:
            self.call_budget.back_off(now)
        answered = sender._answered(replace(action, booked_at=None), call, answer, now)  # noqa: SLF001
        once = settled(answered, now)

        def over(newest: Action) -> Action:
            return replace(once, version=newest.version) if newest.is_open else newest

        with suppress(Moved):
            after = self.writer.update(action, over)
            if after is not None:
                self._count(answer, after)

    return settle_on_old


def _adopted_since_its_activity(adopted: Callable[..., Action]) -> object:
    """An adopted wait began when its scaling activity did, however long ago that was."""

    def since_activity(one: UnrecordedWait, timeout: timedelta, action_id: str, now: datetime) -> Action:
        action = adopted(one, timeout, action_id, now)
        if one.activity is None:
            return action
        return replace(
            action, started_at=min(one.activity.started_at, now), limit_at=None, signals_since=None
        )

    return since_activity


def _any_result_of_ours_did_it(ended: Callable[..., Action]) -> object:
    """A result without an answer explains each end, also one that was sent after its time was up."""

    def by_us(action: Action, now: datetime, why: str = "") -> Action:
        if action.completes_sent:
            reason = f"{action.reason} (by an earlier call of Usher, whose answer was lost)"
            return closing.closed(action, Outcome.COMPLETED, reason, now)
        return ended(action, now, why)

    return by_us


def _bug(name: str, place: Any, attribute: str, made: Callable[[Any], Any], *things: Thing) -> Bug:
    return Bug(
        name=name, place=place, attribute=attribute, made=made, found_by=None, things=frozenset(things)
    )


BUGS: Final = (
    _bug("an unhealthy target counts as drained", targets, "STATUSES", _unhealthy_is_drained),
    _bug("a signal to the token of another action counts", evidence, "fits", _other_tokens_count),
    _bug(
        "the global timeout counts from first sight",
        Action,
        "ends_at",
        _ends_after_first_sight,
        Thing.LASTING,
    ),
    _bug(
        "an evaluation sends its wake-ups after the store",
        WakeUpScheduler,
        "store_and_schedule",
        _wake_ups_after_store,
    ),
    _bug(
        "no call goes out over budget, not even at the last moment", CallBudget, "acquire", _never_over_budget
    ),
    _bug("a late notice is let through", Terms, "lets_through", _lets_all_through, Thing.ENROLLED),
    _bug("the removal replaces a decided result", release, "_released", _released_anew, Thing.REMOVED),
    _bug("an answer writes over an operator's word", Sender, "_settle", _written_over, Thing.OPERATED),
    _bug(
        "an adopted wait began with its activity",
        adoption,
        "adopted",
        _adopted_since_its_activity,
        Thing.RECONCILED,
    ),
    _bug("a result that came too late is told as the end", closing, "ended", _any_result_of_ours_did_it),
)
