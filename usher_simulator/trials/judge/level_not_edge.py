"""Promise 6: an event costs one evaluation at most."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher_simulator.trials.deployed import WAKE
from usher_simulator.trials.faults import LONGEST_SKEW, Part
from usher_simulator.trials.judge.known_waits import WaitChecker
from usher_simulator.trials.judge.scene import HEARTBEAT, STAMPS

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.held_wait import HeldWait
    from usher_simulator.trials.effects import Call
    from usher_simulator.trials.invocations import Invocation
    from usher_simulator.trials.judge.scene import Scene

_MOST_EVALUATIONS: Final = 60  # that store something, of one action in a minute
_MINUTE: Final = timedelta(minutes=1)
_WHATEVER: Final = 0  # the version of a wake-up for whatever stands
_WHEN_DUE: Final = -1  # of those that a sweep sends
_OWN_WAKE_UPS: Final = 4  # that one evaluation sends for the state that it stores
_MOST_COPIES: Final = (
    WAKE.most_at_once
)  # of one link of a chain, or of what wakes again: one for each container
_ASSUMED: Final = timedelta(seconds=30)  # the shortest timeout that a hook can have (aws-facts 2.1)
_LINKS: Final = timedelta(seconds=10)  # so long after the table is back a chain may go on by itself


class LevelNotEdge(WaitChecker):
    """Promise 6: an event costs one evaluation at most; the record says whether an evaluation is due.

    Without the table each wake-up has one successor, and none where the table answers. All that a
    void one may store is what was beaten meanwhile.
    """

    promise = "6 level, not edge"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._void: set[tuple[int, str]] = set()  # an invocation, and an action that it does not evaluate
        self._read: set[tuple[int, str]] = set()
        self._stands: defaultdict[str, set[int]] = defaultdict(set)  # the versions whose wake-ups count
        self._stores: defaultdict[str, list[datetime]] = defaultdict(list)
        self._wake_ups: Counter[tuple[str, int, str]] = Counter()  # by state, and who sent them
        self._senders: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        self._first_asked: dict[tuple[str, int, str], int] = {}
        self._beaten_at: defaultdict[str, list[datetime]] = defaultdict(list)  # by token
        self._links: Counter[tuple[str, str, int]] = Counter()  # action, chain, number of the link

    def called(self, call: Call) -> None:
        """An accepted heartbeat begins another period, whether Usher heard of it or not."""
        super().called(call)
        wait = self.wait_of_call(call)
        if call.operation == HEARTBEAT and call.refusal is None and wait is not None:
            self._beaten_at[wait.token].append(call.at)

    def read(self, action: Action, invocation: Invocation | None) -> None:
        """A wake-up for a state that is past is void, unless an evaluation is due."""
        if invocation is None or invocation.function != "wake":
            return
        key = (invocation.number, action.id)
        now = self.scene.clock() + invocation.skew
        is_due = action.evaluate_at is not None and action.evaluate_at <= now
        if is_due:
            self._void.discard(key)
        if key in self._read:
            return  # read again, because somebody else was faster, or with its answer
        self._read.add(key)
        if is_due:
            return
        asked = [stamp for action_id, stamp in invocation.sent_for if action_id == action.id]
        # A wake-up of a notice that was recorded under another id names the wait alone.
        stands = self._stands[action.id] | {_WHATEVER, action.version}
        if asked and all(stamp % STAMPS not in stands for stamp in asked):
            self._void.add(key)

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """What is void stores nothing; and no action is evaluated again and again."""
        super().stored(before, after, invocation)
        self._stands[after.id] = {after.version} | (
            self._stands[after.id] if _is_copy(before, after, invocation) else set()
        )
        if invocation is None or before is None or invocation.function == "intake":
            return
        if (after.heartbeats_told, after.beaten_at) != (before.heartbeats_told, before.beaten_at):
            self._void.discard((invocation.number, after.id))  # it learned, and so is evaluated
        if (invocation.number, after.id) in self._void:
            self.broken(f"{invocation} looked at it, and was asked about another version", after)
        if invocation.function == "provision":
            return  # a removal asks again each second, on purpose
        now, stores = self.scene.clock(), self._stores[after.id]
        stores.append(now)
        if len(stores) > _MOST_EVALUATIONS and stores[-_MOST_EVALUATIONS] > now - _MINUTE:
            self.broken(f"more than {_MOST_EVALUATIONS} evaluations stored something in a minute", after)

    def woken(
        self, action_id: str, version: int, at: datetime, wait: HeldWait | None, by: Invocation | None
    ) -> None:
        """Each version has its own few, and a sweep's each; and a backup that comes early sends one again.

        How often that happens is bounded by the containers of `wake`, of which each may meet one.
        """
        del at
        if wait is not None and wait.links:
            self._link(action_id, wait, by)
            return
        if version == _WHATEVER:
            return  # an answer to a question: the turns of questions bound how many there are
        key = (action_id, version, "" if version == _WHEN_DUE else str(by))
        self._wake_ups[key] += 1
        self._senders[action_id, version].add(key[2])
        sweeps = len(self.scene.sweeps)
        since = self._first_asked.setdefault(key, sweeps)
        if self._wake_ups[key] > _OWN_WAKE_UPS + 2 * (sweeps - since):
            self.scene.report(
                self.promise, f"{self._wake_ups[key]} wake-ups for version {version}", action_id
            )
        if (senders := len(self._senders[action_id, version])) > _MOST_COPIES:
            self.scene.report(self.promise, f"wake-ups for version {version} by {senders}", action_id)

    def _link(self, action_id: str, wait: HeldWait, by: Invocation | None) -> None:
        key = (action_id, wait.chain, wait.links)
        self._links[key] += 1
        if self._links[key] > _MOST_COPIES:
            self.scene.report(
                self.promise, f"{self._links[key]} successors {wait.links} of one chain", action_id
            )
        is_sound = by is not None and not by.faults and not self._table_was_away()
        if wait.is_recorded and is_sound and not self._was_nearly_over(action_id):
            self.scene.report(self.promise, "a chain goes on, and the table answers", action_id)

    def _was_nearly_over(self, action_id: str) -> bool:
        """Whether the wait had seconds left, as far as Usher knew, but for the beats of the last seconds.

        Then nobody waits for the table. Beats by the service's log; the timeout may be that of any file, the
        one that stands, whoever has put it, or the one that is assumed until somebody has seen it.
        """
        action = self.scene.memory.load(action_id)
        terms, wait = (self.terms_of(action), self.wait_of(action)) if action is not None else (None, None)
        if terms is None or wait is None:
            return False
        if self.is_set_by_others(wait):
            return True
        now = self.scene.clock()
        before = [at for at in self._beaten_at[wait.token] if at <= now - _LINKS]
        began = before[-1] if before else wait.started_at
        return any(
            abs(began + timeout - now) < _LINKS + 2 * LONGEST_SKEW for timeout in {*terms.timeouts, _ASSUMED}
        )

    def _table_was_away(self) -> bool:
        now, faults = self.scene.clock(), self.scene.faults
        return any(faults.is_down(Part.STORE, now - ago * _LINKS / 10) for ago in range(11))


def _is_copy(before: Action | None, after: Action, by: Invocation | None) -> bool:
    """Whether a further copy of a notification was noted, which decides nothing and needs no wake-ups."""
    is_noted = after.last_entry is not None and after.last_entry.event == "notified"
    return before is not None and before.evaluate_at == after.evaluate_at and is_noted and by is not None
