"""Which wait each record is of, and when that wait was last known to go on."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher_simulator.trials.judge.scene import HEARTBEAT, Checker
from usher_simulator.trials.judge.terms import terms
from usher_simulator.trials.policy_model import seconds

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.trials.effects import Call
    from usher_simulator.trials.invocations import Invocation
    from usher_simulator.trials.judge.scene import Scene
    from usher_simulator.trials.judge.terms import InForce, Terms

# So long the enrolment may be behind a new file: some passes, or what is down.
_MAY_LAG: Final = timedelta(minutes=10)
_MAY_LAG_IN_AN_OUTAGE: Final = timedelta(hours=2)


class WaitChecker(Checker):
    """Knows which wait each record is of, and when that wait was last known to go on.

    By its token, or where it was adopted by the heartbeat that the service accepted for it: what the
    record says of itself is what is judged.
    """

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.opened_at: dict[str, datetime] = {}  # by action id
        self.beats: dict[str, Call] = {}  # by token: the last heartbeat of which we know that it was accepted
        self._asked: dict[tuple[str, str], str] = {}  # instance, hook: the token that a heartbeat found
        self._of_action: dict[str, str] = {}
        self._records: defaultdict[str, list[str]] = defaultdict(list)  # by token
        self._in_force: dict[str, list[InForce]] = {}  # by action id: when it was opened
        self._terms: dict[str, Terms] = {}

    def called(self, call: Call) -> None:
        """An accepted heartbeat shows that a wait goes on."""
        wait = self.wait_of_call(call)
        if call.operation == HEARTBEAT and call.refusal is None and wait is not None:
            self._asked[wait.instance_id, wait.hook] = wait.token
            if call.is_told:
                self.beats[wait.token] = call

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """From here on a wait is recorded."""
        del invocation
        token = after.token or self._asked.get((after.instance_id, after.hook.name))
        if before is None:
            self.opened_at[after.id] = self.scene.clock()
            self._in_force[after.id] = self._files_for(after.hook.group, after.hook.name)
        if token is not None and after.id not in self._of_action:
            self._of_action[after.id] = token
            self._records[token].append(after.id)

    def _files_for(self, group: str, hook: str) -> list[InForce]:
        """The files under which a hook of a group may begin a record now.

        A group that has lost its tag keeps the hook for a while, on its way out, with the terms that the last
        pass of the enrolment gave it before: a file of just before may have been too late for it. One by tags
        that comes back is on its way out until the update that brings it has ended.
        """
        found = [
            one for file in self.scene.deployed for one in file.hooks_on(group, hook, self.scene.tags[group])
        ]
        is_by_tags = any(not isinstance(one["group"], str) for one in found)
        untagged_at = self.scene.untagged.get(group)
        lag = _MAY_LAG_IN_AN_OUTAGE if self.scene.faults.swarm.downs else _MAY_LAG
        since = [untagged_at - lag if untagged_at else None]
        if not self.scene.is_settled():
            since.append(self.scene.deployed[-1].since)
        return self.scene.in_force(min(filter(None, since), default=None) if is_by_tags else None)

    def wait_of_call(self, call: Call) -> Wait | None:
        """The wait that a call reached; None where it reached none."""
        named = call.parameters
        if named.get("LifecycleActionToken") is not None:
            return self.scene.waits.of_token(named["LifecycleActionToken"])
        waits = self.scene.waits.of_instance(named.get("InstanceId", ""))
        of_hook = [one for one in waits if one.hook == named.get("LifecycleHookName")]
        return next((one for one in of_hook if one.ended_at in (None, call.at)), None)

    def wait_of(self, action: Action) -> Wait | None:
        """The wait of a record, open or over."""
        return self.scene.waits.of_token(self._of_action.get(action.id, ""))

    def records_of(self, wait: Wait) -> list[Action]:
        """Every record of a wait, in the order in which they were opened."""
        found = (self.scene.memory.load(action_id) for action_id in self._records[wait.token])
        return [one for one in found if one is not None]

    def known_at(self, action: Action, wait: Wait) -> datetime:
        """When the wait was last known to go on."""
        beat = self.beats.get(wait.token)
        return beat.at if beat else self.opened_at[action.id]

    def terms_of(self, action: Action) -> Terms | None:
        """The terms of a record, as they stood when it was opened; None where it is of no wait."""
        wait = self.wait_of(action)
        if wait is not None and action.id not in self._terms:
            tags = self.scene.tags[wait.group]
            in_force = self._in_force.get(action.id) or self._files_for(wait.group, wait.hook)
            self._terms[action.id] = terms(self.scene.deployed, in_force, wait, tags)
        return self._terms.get(action.id)

    def is_changed(self, wait: Wait) -> bool:
        """Whether others lowered its hook's timeout: what Usher saw within a day it does not ask about."""
        tags = self.scene.tags[wait.group]
        hooks = [hook for one in self.scene.deployed for hook in one.hooks_on(wait.group, wait.hook, tags)]
        written = [seconds(each.get("heartbeat_timeout", "1h")) for each in hooks]
        return self.is_set_by_others(wait) and any(each > wait.heartbeat_timeout for each in written)

    def is_set_by_others(self, wait: Wait) -> bool:
        """Whether others gave its hook another timeout: Usher reckons with that of the file until it asks."""
        return (wait.group, wait.hook) in self.scene.changed_by_others
