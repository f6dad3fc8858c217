"""Adopts what waits without a record: a heartbeat by instance and hook tells whether our hook holds it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from usher.core import adoption, evidence, live_waits
from usher.core.frozen import frozen
from usher.core.open_waits import ADOPTED
from usher.core.ownership import terms_on
from usher.core.policy import Mode
from usher.passes.hooks_read import read_hooks
from usher.ports.autoscaling import AnswerKind
from usher.ports.errors import CallRefused, GroupGone, Throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime, timedelta

    from usher.core.action import Action
    from usher.core.live_waits import ForeignWait, LiveGroup, UnrecordedWait
    from usher.core.policy import Configuration
    from usher.evaluation.record_writer import RecordWriter
    from usher.passes.failing_groups import PassedOver
    from usher.passes.scene import Scene
    from usher.ports.autoscaling import AutoScaling, LiveWaits
    from usher.ports.records import ReconcileStore
    from usher.ports.telemetry import EnrolmentTelemetry

    NextSlot = Callable[[], datetime]


@frozen
class Candidate:
    """What waits unknown, and how long its hook holds it without a heartbeat."""

    unknown: UnrecordedWait
    timeout: timedelta

    def expires_at(self, now: datetime) -> datetime:
        """When it may fall to its default result, as far as one can know."""
        activity = self.unknown.activity
        return (activity.started_at if activity else now) + self.timeout


@frozen
class Adoption:
    """What adopts. `change` stores a change of a record on top of whatever is newest."""

    configuration: Configuration
    live: LiveWaits
    auto_scaling: AutoScaling
    store: ReconcileStore
    writer: RecordWriter
    telemetry: EnrolmentTelemetry
    clock: Callable[[], datetime]
    change: Callable[[Action, Callable[[Action], Action]], None]

    def run(
        self, scene: Scene, groups: Iterable[LiveGroup], next_slot: NextSlot, passed_over: PassedOver
    ) -> None:
        """One group after the other, so that no pass ends with questions only."""
        before = self.store.foreign_waits()
        for name in sorted(before.keys() - scene.groups.keys()):
            self.store.keep_foreign_waits(name, ())
        for group in groups:
            with passed_over.on(group.name):
                self._adopt_in(group, frozenset(before.get(group.name, ())), scene, next_slot)

    def _adopt_in(
        self, group: LiveGroup, before: frozenset[ForeignWait], scene: Scene, next_slot: NextSlot
    ) -> None:
        waiting = self._unknown(group, scene, next_slot)
        foreign_waits = set(before)
        if group.is_whole:
            foreign_waits &= {one.foreign_wait for one in waiting}  # it is forgotten with its wait
        try:
            fresh = [
                one
                for one in waiting
                if one.foreign_wait not in foreign_waits and not one.is_young(self.clock())
            ]
            lost = [one for one in fresh if self._is_lost(one, foreign_waits, next_slot)]
            candidates, now = self._candidates(group, lost, next_slot), self.clock()
            for candidate in sorted(
                candidates, key=lambda one: (one.expires_at(now), one.unknown.foreign_wait)
            ):
                self._try(candidate, foreign_waits, next_slot)
        finally:
            if foreign_waits != before:
                self.store.keep_foreign_waits(group.name, foreign_waits)

    def _unknown(self, group: LiveGroup, scene: Scene, next_slot: NextSlot) -> list[UnrecordedWait]:
        """What waits in `group` without an open record, with its scaling activity."""
        ours = terms_on(self.configuration, scene.items.get(group.name, ()), group.name)
        found = live_waits.unrecorded(group, ours, scene.open_waits)
        if not found:
            return []
        try:
            ongoing = self.live.ongoing(group.name, {one.member.instance_id for one in found}, next_slot)
        except GroupGone:
            return []
        named = [replace(one, activity=ongoing.get(one.member.instance_id)) for one in found]
        return [one for one in named if one.moves]

    def _is_lost(self, one: UnrecordedWait, foreign_waits: set[ForeignWait], next_slot: NextSlot) -> bool:
        """Whether its notification can be taken for lost, and nothing was recorded of it.

        What was recorded, and closed without a proof, is taken up again where its wait goes on.
        What is over waits for someone else's hook: that is remembered among the `foreign_waits`.
        """
        known = list(self.store.of_instance(one.member.instance_id))
        recorded = [action for action in known if one.is_of_this_wait(action)]
        doubtful = adoption.to_take_up(one, known)
        if doubtful is not None:
            kind = self._asked_for(doubtful, one, next_slot)
            if kind is not AnswerKind.NO_ACTIVE_ACTION:
                return False
        if one.activity is not None and recorded and not any(action.is_open for action in recorded):
            foreign_waits.add(one.foreign_wait)
        if recorded or one.policy.mode is Mode.OBSERVE:
            return False
        return self._is_readable(one.member.instance_id)

    def _is_readable(self, instance_id: str) -> bool:
        """Else a newer release, before a rollback, may hold it."""
        if self.store.is_readable(instance_id):
            return True
        self.telemetry.trouble(
            f"a record of {instance_id} cannot be read", ValueError("a newer release stored it")
        )
        return False

    def _asked_for(self, doubtful: Action, one: UnrecordedWait, next_slot: NextSlot) -> AnswerKind | None:
        """What a heartbeat for a closed record is answered; it is open again where that is accepted."""
        if self.store.evidence(doubtful).paused is not None:
            return None
        sent_at = next_slot()
        kind = self._beaten(doubtful, one)
        if kind is AnswerKind.ACCEPTED:
            self.change(doubtful, partial(adoption.taken_up, beaten_at=sent_at, now=self.clock()))
            self.telemetry.decided(doubtful, "take up", f"{one.member.state}, and its record was closed")
            self.telemetry.count("TakenUp")
        return kind

    def _beaten(self, action: Action, one: UnrecordedWait) -> AnswerKind:
        """Send a heartbeat. Raises Throttled."""
        answer = self.auto_scaling.heartbeat(action)
        if answer.kind is AnswerKind.BUSY:
            raise Throttled(answer.text)
        if answer.kind is AnswerKind.REFUSED:
            what = f"hook {one.hook.name} of {one.group} could not be asked about {one.member.instance_id}"
            self.telemetry.trouble(what, CallRefused(answer.text))
        return answer.kind

    def _candidates(
        self, group: LiveGroup, fresh: Sequence[UnrecordedWait], next_slot: NextSlot
    ) -> list[Candidate]:
        """Those whose hook stands on the group, with the smaller of both heartbeat timeouts."""
        if not fresh:
            return []
        live = {hook.name: hook.settings for hook in read_hooks(self.live, self.store, group.name, next_slot)}
        return [
            Candidate(
                unknown=one,
                timeout=min(one.hook.heartbeat_timeout, live[one.hook.name].heartbeat_timeout),
            )
            for one in fresh
            if one.hook.name in live and live[one.hook.name].transition is one.hook.transition
        ]

    def _try(self, candidate: Candidate, foreign_waits: set[ForeignWait], next_slot: NextSlot) -> None:
        """A heartbeat by instance and hook tells whether there is an action, and holds it."""
        one = candidate.unknown
        activity = one.activity.id if one.activity else self.writer.new_id()
        hook = sha256(one.hook.name.encode()).hexdigest()[:12]  # a name may be longer than an id
        action_id = f"{ADOPTED}{activity}-{hook}"  # so that two passes adopt it once
        if one.may_be_over(self.clock()) and not self._still_waits(one, next_slot):
            return
        now = next_slot()
        action = adoption.adopted(one, candidate.timeout, action_id, now)
        if self.store.evidence(action).paused is not None:
            return
        kind = self._beaten(action, one)  # without an answer the next pass asks again
        if kind is AnswerKind.ACCEPTED:
            self._open(replace(action, beaten_at=now, heartbeats=1), one)
        elif kind is AnswerKind.NO_ACTIVE_ACTION:
            foreign_waits.add(one.foreign_wait)

    def _still_waits(self, one: UnrecordedWait, next_slot: NextSlot) -> bool:
        """Whether it is shown in the same state again."""
        try:
            if one.member.state.startswith("Warmed:"):
                members = list(self.live.pool(one.group, next_slot))
            else:
                groups = self.live.live_groups([one.group], next_slot)
                members = [member for group in groups for member in group.members.values()]
        except GroupGone:
            return False
        seen = (one.member.instance_id, one.member.state)
        return any((member.instance_id, member.state) == seen for member in members)

    def _open(self, action: Action, one: UnrecordedWait) -> None:
        """Record it, unless its notification has come after all during the call."""
        known = list(self.store.of_instance(action.instance_id))
        if any(one.is_of_this_wait(each) for each in known):
            return
        action = replace(action, signals_since=evidence.signals_since(action, known))

        self.writer.open(action, None)
        self.telemetry.decided(action, "adopt", f"{one.member.state} without a record")
        self.telemetry.count("ActionsOpened")
        self.telemetry.count("Adopted")
