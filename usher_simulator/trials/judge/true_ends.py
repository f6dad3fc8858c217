"""What a record tells of its end, held against the simulated service's own log of waits, calls and ends.

The record is what is judged here, so nothing that it says is believed: its wait is found by its token,
or where it was adopted by the heartbeat that the service accepted for it.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from usher.core.action import Outcome, Phase
from usher.core.policy import Mode
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.trials.faults import LONGEST_SKEW, Fault, Part
from usher_simulator.trials.judge.known_waits import WaitChecker
from usher_simulator.trials.judge.scene import COMPLETE

if TYPE_CHECKING:
    from usher.core.action import Action
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.trials.effects import Call
    from usher_simulator.trials.invocations import Invocation
    from usher_simulator.trials.judge.scene import Scene

_NOTHING: Final = timedelta(0)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_CLOCKS_BLUR: Final = 2 * LONGEST_SKEW
_EVENT_TIMES_DIFFER: Final = timedelta(seconds=1)  # they are whole seconds
_BY_TIME: Final = (EndedBy.HEARTBEAT_TIMEOUT, EndedBy.GLOBAL_TIMEOUT)
# After these nobody can know what became of a call: it was never sent, or its answer was not stored.
LEAVES_A_CALL_UNKNOWN: Final = frozenset(
    {
        Fault.CUT,
        Fault.ANSWER_LOST,
        Fault.SERVER_ERROR,  # applied or not, the answer does not say
        Fault.STORE_BUSY,
        Fault.STORE_ANSWER_LOST,
        Fault.QUEUE_BUSY,
        Fault.QUEUE_ANSWER_LOST,
        "store down",
        "queues down",
    }
)


MAKES_A_LOOK_LATE: Final = frozenset({Fault.WAKE_UP_LOST, Fault.WAKE_UP_LATE})


class TrueEnds(WaitChecker):
    """Promise 7: a record is closed only when its wait is over, and tells what Auto Scaling did."""

    promise = "7 explained: true ends"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._completes: defaultdict[str, list[Call]] = defaultdict(list)  # by the token of the wait
        self._completing_at: dict[str, datetime] = {}

    def called(self, call: Call) -> None:
        """A Complete that the service accepted ended a wait, whether or not Usher heard of it."""
        super().called(call)
        wait = self.wait_of_call(call)
        if call.operation == COMPLETE and wait is not None:
            self._completes[wait.token].append(call)

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """Judge an end when it is stored."""
        super().stored(before, after, invocation)
        if after.phase is Phase.COMPLETING:
            self._completing_at.setdefault(after.id, self.scene.clock())
        is_closed_now = after.phase is Phase.CLOSED and (before is None or before.phase is not Phase.CLOSED)
        if is_closed_now and after.policy.mode is not Mode.OBSERVE:
            wait = self.wait_of(after)
            if wait is None:
                self._judge_without_wait(after)
            elif wait.ended_at is None:
                self._judge_too_soon(after, wait)
            else:
                self._judge_moment(after, wait)
                self._judge_outcome(after, wait)

    def _judge_without_wait(self, action: Action) -> None:
        """Its message was forged, or no heartbeat of ours was accepted for it.

        Where the answer to a Complete was lost, a forged wait looks like one that this call ended.
        """
        if action.outcome is Outcome.COMPLETED and not self._is_unknown(action):
            self.broken("told as completed; there never was such a wait", action)

    def _judge_too_soon(self, action: Action, wait: Wait) -> None:
        """While the wait goes on a record may end only where another one goes on with it."""
        if not any(one.is_open for one in self.records_of(wait)):
            self.broken(f"closed as {action.outcome} while it waits: {action.reason}", action)

    def _judge_moment(self, action: Action, wait: Wait) -> None:
        if action.closed_at is None or wait.ended_at is None:
            return
        ahead = wait.ended_at - action.closed_at
        if ahead > LONGEST_SKEW:
            self.broken(f"told as closed {ahead} before the wait ended", action)

    def _judge_outcome(self, action: Action, wait: Wait) -> None:
        accepted = [call for call in self._completes[wait.token] if call.refusal is None]
        if accepted and not self._is_of_record(accepted[0], action):
            return  # a removal completed what no record knew yet: this one, of a late message, cannot tell
        by_us, by_time = bool(accepted), wait.ended_by in _BY_TIME
        match action.outcome:
            case Outcome.COMPLETED if by_us and wait.result != action.result:
                self.broken(f"told as {action.result}; Auto Scaling took {wait.result}", action)
            case Outcome.COMPLETED if not by_us and not self._may_have_completed(action, wait):
                self.broken(f"told as completed; it was ended by {wait.ended_by}", action)
            case Outcome.ENDED_ELSEWHERE if by_us and (accepted[0].is_told or not self._is_unknown(action)):
                self.broken("told as ended elsewhere; our result was accepted", action)
            case Outcome.ENDED_ELSEWHERE if by_time and not self._was_out_of_sight(action, wait):
                self.broken(f"told as ended elsewhere; it was ended by {wait.ended_by}", action)
            case Outcome.DEFAULTED if not _ran_out(wait) and not self._may_have_lived_on(action, wait):
                self.broken(f"told as defaulted; it was ended by {wait.ended_by}", action)
            case _:
                pass

    def _is_of_record(self, call: Call, action: Action) -> bool:
        """Whether it was made for the record. What no record knows a removal completes by its instance."""
        names_the_wait = action.token is None or "LifecycleActionToken" in call.parameters
        return names_the_wait and call.at >= self.opened_at[action.id]

    def _may_have_completed(self, action: Action, wait: Wait) -> bool:
        """Whether nobody can know what became of a Complete of ours: one that was sent in time."""
        over_at = self._over_for_sure_at(action, wait)
        unheard = any(_says_nothing(call) and call.at < over_at for call in self._completes[wait.token])
        since = self._completing_at.get(action.id)
        return unheard or (since is not None and since < over_at and self._is_unknown(action))

    def _over_for_sure_at(self, action: Action, wait: Wait) -> datetime:
        """From when on Usher knows that a wait ran out: its timeout is known, and clocks differ little."""
        is_known = wait.ended_by in _BY_TIME and not self.is_changed(wait) and action.token is not None
        return (wait.ended_at or self.scene.clock()) + _CLOCKS_BLUR if is_known else _NEVER

    def _is_unknown(self, action: Action) -> bool:
        """Whether a Complete may have been sent, or answered, without its being stored."""
        since = self._completing_at.get(action.id)
        return since is not None and self._met(action, since)

    def _met(self, action: Action, since: datetime) -> bool:
        met = self.scene.faults.between(action.id, since - LONGEST_SKEW, self.scene.clock())
        return any(one.fault in LEAVES_A_CALL_UNKNOWN for one in met)

    def _was_out_of_sight(self, action: Action, wait: Wait) -> bool:
        """Whether it ended before it was known here, at a moment that clocks blur, or before its time."""
        now, beat = self.scene.clock(), self.beats.get(wait.token)
        ended_at = wait.ended_at or now
        is_too_late = self.opened_at[action.id] > ended_at - LONGEST_SKEW - _EVENT_TIMES_DIFFER
        if is_too_late or now - ended_at < _CLOCKS_BLUR:
            return True
        terms = self.terms_of(action)
        if terms is not None and terms.is_observed:
            return True  # a policy that only observes lets it fall, and tells so
        if self.scene.was_paused(wait.hook, ended_at - wait.heartbeat_timeout):
            return True  # and so does whoever paused its hook: the event of its end came first
        is_ahead = beat is not None and beat.invocation is not None and beat.invocation.skew > _NOTHING
        return is_ahead or self.is_set_by_others(wait)

    def _may_have_lived_on(self, action: Action, wait: Wait) -> bool:
        """Whether it may have been beaten, or ended, while nobody here could know of it.

        Whoever evaluates late, as after a lost wake-up, finds only that the time has run out: the time of the
        file, where others gave its hook another one.
        """
        since = self.known_at(action, wait)
        met = self.scene.faults.between(action.id, since - LONGEST_SKEW, self.scene.clock())
        looked_late = any(one.fault in MAKES_A_LOOK_LATE for one in met) or self._nobody_ran(since)
        is_paused = self.scene.was_paused(wait.hook, since)
        is_unseen = looked_late or self._nobody_was_answered(wait) or self.is_set_by_others(wait)
        return is_unseen or is_paused or self._met(action, since)

    def _nobody_ran(self, since: datetime) -> bool:
        """Whether the functions that evaluate were down at some time since."""
        return any(
            down.part in (Part.WAKE, Part.SWEEP) and down.since <= self.scene.clock() and down.until >= since
            for down in self.scene.faults.swarm.downs
        )

    def _nobody_was_answered(self, wait: Wait) -> bool:
        """Whether Auto Scaling was down when its time was up: no call could show that it had ended."""
        return any(
            down.part is Part.AUTO_SCALING and down.since <= wait.expires_at <= down.until
            for down in self.scene.faults.swarm.downs
        )


def _ran_out(wait: Wait) -> bool:
    """Whether its time ended it, or was up for all that clocks tell when another hook's time ended both."""
    is_up = wait.ended_at is not None and wait.ended_at >= wait.expires_at - _CLOCKS_BLUR
    return wait.ended_by in _BY_TIME or (wait.ended_by is EndedBy.OTHER and is_up)


def _says_nothing(call: Call) -> bool:
    """Whether the caller cannot know if it was applied: no answer came, or an internal failure."""
    return not call.is_told or (call.refusal is not None and call.refusal.code == "InternalFailure")
