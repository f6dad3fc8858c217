"""Promise 3: no action that is recorded falls to the default result of its hook."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.trials.faults import LONGEST_SKEW, Fault
from usher_simulator.trials.judge.known_waits import WaitChecker

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.held_wait import HeldWait
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.trials.faults import Met
    from usher_simulator.trials.invocations import Invocation
    from usher_simulator.trials.judge.scene import Scene

_WORK: Final = timedelta(seconds=6)  # an evaluation, with its call
# What one evaluation that is lost, or one try that fails, makes up for; more of them may cost an instance.
COSTS_ONE_LOOK: Final = frozenset(
    {
        Fault.CUT,
        Fault.STORE_BUSY,
        Fault.STORE_ANSWER_LOST,
        Fault.QUEUE_BUSY,
        Fault.QUEUE_ANSWER_LOST,
        Fault.WAKE_UP_LOST,
        Fault.CONTENDED,
        Fault.SERVER_ERROR,
        Fault.UNREACHED,
        Fault.ANSWER_LOST,
    }
)


class NeverByDefault(WaitChecker):
    """Promise 3, under its precondition: only where a clock ran and Auto Scaling accepted a call in time.

    A default is a violation where nothing had gone wrong with the action since its last known heartbeat;
    where one thing had, that costs an evaluation and no instance; or where a sweep ran through, without a
    fault, in the last seconds and with the evaluation due, in which it must call whatever else is due.
    """

    promise = "3 never by default"
    # Before the expiry. The margin of a heartbeat is ten seconds; what is booked is booked for whole ones.
    _LATEST: Final = (timedelta(seconds=9), timedelta(seconds=6))

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.defaults = 0  # of recorded actions, excused or not
        self._woken: defaultdict[tuple[str, str], set[str]] = defaultdict(set)  # by instance and hook

    def woken(
        self, action_id: str, stamp: int, at: datetime, wait: HeldWait | None, by: Invocation | None
    ) -> None:
        """Wake-ups that went out before there was a record have ids of their own."""
        del stamp, at, by
        if wait is not None:
            self._woken[wait.instance_id, wait.hook].add(action_id)

    def wait_ended(self, wait: Wait) -> None:
        """Only a timeout that ended a recorded wait is our affair, whatever its record says by then."""
        if wait.ended_by not in (EndedBy.HEARTBEAT_TIMEOUT, EndedBy.GLOBAL_TIMEOUT):
            return
        records = self.records_of(wait)
        if not records or self.is_changed(wait) or self._may_fall(records[0], wait):
            return
        action = next((one for one in records if one.is_open), records[0])
        self.defaults += 1
        if self.opened_at[records[0].id] > wait.expires_at - _WORK - LONGEST_SKEW:
            return  # its notification came too late for any call
        self._judge(action, wait)

    def _may_fall(self, action: Action, wait: Wait) -> bool:
        """Whether its policy only observes, or an operator had its hook paused."""
        terms = self.terms_of(action)
        is_observed = terms is not None and terms.is_observed
        return is_observed or self.scene.was_paused(wait.hook, wait.expires_at - wait.heartbeat_timeout)

    def _judge(self, action: Action, wait: Wait) -> None:
        since = self.known_at(action, wait) - LONGEST_SKEW
        ids = {action.id, *self._woken[wait.instance_id, wait.hook]}
        met = {one for each in ids for one in self.scene.faults.between(each, since, wait.expires_at)}
        why = self._no_excuse(met, wait)
        if why:
            held = wait.expires_at - wait.started_at
            self.broken(f"{wait.default_result} by default after {held}, {wait.ended_by}; {why}", action)

    def _no_excuse(self, met: Collection[Met], wait: Wait) -> str:
        if not met:
            return "nothing had gone wrong with it"
        first = min(met, key=lambda one: one.at)
        if len(met) == 1 and first.fault in COSTS_ONE_LOOK:
            return f"only one thing had gone wrong: {first.fault} at {first.at:%H:%M:%S.%f}"
        early, late = (wait.expires_at - before for before in self._LATEST)
        if Fault.SKEWED in self.scene.faults.swarm.rates:
            early += LONGEST_SKEW
        if any(one.at >= early for one in met):
            return ""
        ran = [run for run in self.scene.sweeps if early <= run.began_at <= late and not run.faults]
        return f"a sweep ran at {ran[0].began_at:%H:%M:%S.%f} without a fault" if ran else ""
