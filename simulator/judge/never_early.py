"""Promise 2: no result is sent before its time."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from simulator import oracle
from simulator.judge.scene import Checker
from usher.core.model import Phase

if TYPE_CHECKING:
    from datetime import datetime

    from simulator.invocations import Invocation
    from simulator.judge.scene import Scene
    from usher.core.model import Action, Signal
    from usher.ports import Evidence

_BEFORE_START: Final = timedelta(seconds=60)


class NeverEarly(Checker):
    """Promise 2: no result before its time, measured by simulator.oracle."""

    promise = "2 never early"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._kept: defaultdict[str, dict[str, Signal]] = defaultdict(dict)  # by instance, or by token
        self._ended: set[str] = set()
        self._seen: dict[tuple[str, int], tuple[datetime, oracle.Seen]] = {}

    def kept(self, signal: Signal) -> None:
        """Signals count from when they are durable."""
        for place in filter(None, (signal.token, signal.instance_id)):
            self._kept[place].setdefault(signal.event_id, signal)

    def ended(self, instance_id: str) -> None:
        """So does the end of an instance."""
        self._ended.add(instance_id)

    def heard(self, action: Action, evidence: Evidence, invocation: Invocation | None) -> None:
        """This is when a look knows all that it will decide on."""
        del evidence
        number = invocation.number if invocation else 0
        self._seen[action.id, number] = (self._local(invocation), self._seen_of(action))

    def _seen_of(self, action: Action) -> oracle.Seen:
        known = {**self._kept[action.instance_id], **self._kept[action.token or ""]}
        signals = [one for one in known.values() if self._counts(one, action)]
        return oracle.Seen(signals=signals, instance_ended=action.instance_id in self._ended)

    def _counts(self, signal: Signal, action: Action) -> bool:
        if signal.token is not None and action.token is not None:
            return signal.token == action.token
        if signal.token is not None and self.scene.memory.of_token(signal.token) is not None:
            return False
        return signal.instance_id == action.instance_id and signal.at >= self._since(action)

    def _since(self, action: Action) -> datetime:
        """A minute before its start, but not what ended the wait before in the same hook."""
        hook = (action.hook.group, action.hook.name)
        ends = [
            min(one.closed_at or action.started_at, action.started_at) + timedelta.resolution
            for one in self.scene.memory.of_instance(action.instance_id)
            if (one.hook.group, one.hook.name) == hook
            and one.started_at < action.started_at
            and one.first_seen_at < action.first_seen_at
        ]
        adopted_since = action.signals_since if action.activity_id is not None else None
        return max([adopted_since or action.started_at - _BEFORE_START, *ends])

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """A decision is made when it is stored."""
        was_open = before is None or before.phase is Phase.OPEN
        if was_open and after.phase is Phase.COMPLETING:
            self._check(before or after, after, invocation)

    def _check(self, before: Action, after: Action, invocation: Invocation | None) -> None:
        number = invocation.number if invocation else 0
        if (after.id, number) not in self._seen:
            self.broken(f"{after.result} was decided without a look at what was heard", after)
            return
        heard_at, seen = self._seen[after.id, number]
        moments = (heard_at, self._local(invocation))
        fine = {result for moment in moments for result in oracle.permitted(before, seen, moment)}
        if after.result is not None and after.result not in fine:
            self.broken(f"{after.result} was decided ({after.reason}); the policy lets {sorted(fine)}", after)

    def _local(self, invocation: Invocation | None) -> datetime:
        return self.scene.clock() + (invocation.skew if invocation else timedelta(0))
