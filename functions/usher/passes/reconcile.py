"""The reconcile pass: live wait states against the records, in few describe calls.

Nothing here is taken for granted of an event. What waits unknown is adopted, if a heartbeat by
instance shows that our hook holds it; what a record holds and the live state does not show is
looked at, and asks. Each call waits for a turn of the shared budget; with none in sight the pass
ends, and the next one finds what is left.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from usher.core import adoption, closing, evidence, live_waits, reconcile
from usher.core.action import Outcome, Phase, Transition
from usher.core.hook_timeouts import described, known
from usher.core.ownership import terms_on
from usher.core.policy import Mode
from usher.core.round_robin import share
from usher.evaluation.call_budget import NoCallLeft
from usher.evaluation.wake_ups import store_and_schedule
from usher.passes.failing_groups import PassedOver
from usher.ports.autoscaling import AnswerKind
from usher.ports.errors import CallRefused, GroupGone, Moved, Throttled, TryLater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from usher.core.action import Action
    from usher.core.hook_items import Enrolled, HookSeen
    from usher.core.live_waits import ForeignWait, LiveGroup, UnrecordedWait
    from usher.core.policy import Configuration
    from usher.evaluation.call_budget import CallBudget
    from usher.ports.autoscaling import AutoScaling, InstanceStates, LiveWaits
    from usher.ports.hooks import AllHookItems
    from usher.ports.queues import WakeUps
    from usher.ports.records import ReconcileStore
    from usher.ports.telemetry import EnrolmentTelemetry

    Turn = Callable[[], datetime]

INTERVAL: Final = timedelta(minutes=2)
MOST_POOLS: Final = 20  # warm pools that one pass describes; all in turn
MOST_HOOKS_IN_USE: Final = 5  # groups with open actions whose hooks one pass describes; all in turn
MOST_HOOKS_IDLE: Final = 2  # and of the other groups
TRIES: Final = 4
FORGOTTEN_BY_EC2: Final = timedelta(minutes=15)  # a new instance may be shown late, an ended one no more
_ENDED_STATES: Final = ("shutting-down", "terminated")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scene:
    """What one pass sees."""

    groups: Mapping[str, LiveGroup]
    listed_at: datetime
    open_actions: Sequence[Action]
    items: Mapping[str, Sequence[Enrolled]]  # by the name of their group
    by_group: Mapping[str, Sequence[Action]] = field(init=False)

    def __post_init__(self) -> None:
        by_group: defaultdict[str, list[Action]] = defaultdict(list)
        for action in self.open_actions:
            by_group[action.hook.group].append(action)
        object.__setattr__(self, "by_group", by_group)

    def of(self, group: str) -> Sequence[Action]:
        """The open actions of a group."""
        return self.by_group.get(group, ())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidate:
    """What waits unknown, and how long its hook holds it without a heartbeat."""

    unknown: UnrecordedWait
    timeout: timedelta

    def expires_at(self, now: datetime) -> datetime:
        """When it may fall to its default result, as far as one can know."""
        activity = self.unknown.activity
        return (activity.started_at if activity else now) + self.timeout


@dataclass(frozen=True, kw_only=True, slots=True)
class Reconcile:
    """Everything that a pass touches."""

    configuration: Configuration
    items: AllHookItems
    live: LiveWaits
    instances: InstanceStates
    auto_scaling: AutoScaling
    store: ReconcileStore
    turns: CallBudget
    wake_ups: WakeUps
    telemetry: EnrolmentTelemetry
    clock: Callable[[], datetime]
    wait: Callable[[float], object]  # in seconds, as time.sleep
    new_id: Callable[[], str]

    @property
    def name(self) -> str:
        """As handlers.Pass."""
        return "reconcile"

    def run(self, has_time: Callable[[], bool] = lambda: True) -> None:
        """One pass, as far as time and turns go. Where Auto Scaling is busy it ends.

        Where a call on one group fails, that group is passed over. Raises CallRefused where one was refused,
        once all had their turn.
        """
        try:
            self._run(partial(self.turns.wait_for_slot, self.clock, self.wait, has_time))
        except NoCallLeft:
            self.telemetry.count("ReconcilePutOff")
        except TryLater as busy:
            if isinstance(busy, Throttled):
                self.turns.back_off(self.clock())
                self.telemetry.count("Throttled")
            self.telemetry.count("ReconcilePutOff")

    def _run(self, turn: Turn) -> None:
        open_actions = list(self.store.all_open())
        items = self._items()
        if not (self.configuration.hooks or open_actions or items):
            return
        passed_over = PassedOver(telemetry=self.telemetry)
        scene = self._scene(open_actions, items, turn, passed_over)
        self._close_twins(scene)
        self._doubt(scene)
        self._end_the_dead(scene)
        self._adopt(scene, turn, passed_over)
        self._look_at_hooks(scene, turn, passed_over)
        passed_over.check()

    # -- what there is --------------------------------------------------------------------------

    def _items(self) -> Mapping[str, Sequence[Enrolled]]:
        """The items of hooks by group; one of another release that this one cannot read is left out."""
        found: defaultdict[str, list[Enrolled]] = defaultdict(list)
        for item in self.items.enrolled():
            if item.selector is not None:
                found[item.group].append(item)
        return found

    def _scene(
        self,
        open_actions: Sequence[Action],
        items: Mapping[str, Sequence[Enrolled]],
        turn: Turn,
        passed_over: PassedOver,
    ) -> _Scene:
        listed_at = self.clock()
        of_records = {action.hook.group for action in open_actions} | items.keys()
        names = self.configuration.group_names
        asked = None if names is None else names | of_records
        groups: dict[str, LiveGroup] = {}
        for group in self.live.live_groups(asked, turn):
            if group.name in of_records or live_waits.hooks_on(self.configuration.hooks, group):
                groups[group.name] = group
        with_pool = sorted(name for name, group in groups.items() if group.has_pool)
        for name in share(with_pool, MOST_POOLS, self._number()):
            with passed_over.on(name), suppress(GroupGone):
                groups[name] = groups[name].with_pool(self.live.pool(name, turn))
        return _Scene(groups=groups, listed_at=listed_at, open_actions=open_actions, items=items)

    def _number(self) -> int:
        """Counts the passes, so that each group has its turn."""
        return (self.clock() - _EPOCH) // INTERVAL

    # -- what is recorded -----------------------------------------------------------------------

    def _close_twins(self, scene: _Scene) -> None:
        for adopted, other in adoption.twins(scene.open_actions):
            self._change(adopted, partial(_twin_closed, other=other, now=self.clock()))

    def _doubt(self, scene: _Scene) -> None:
        for action in scene.open_actions:
            group = scene.groups.get(action.hook.group)
            seen_at = group.seen_at if group else scene.listed_at
            detail = reconcile.waits_no_more(action, group, seen_at)
            if detail is not None:
                self._change(action, partial(_doubted, group=group, seen_at=seen_at, now=self.clock()))

    def _end_the_dead(self, scene: _Scene) -> None:
        """A hook holds an instance that EC2 has ended until its timeout (aws-facts 2.5)."""
        suspects = reconcile.may_be_dead(scene.open_actions, scene.groups)
        if not suspects:
            return
        asked_at = self.clock()
        try:
            states = self.instances.states(sorted({action.instance_id for action in suspects}))
        except (TryLater, CallRefused) as error:
            self.telemetry.trouble("EC2 does not say whether unhealthy instances have ended", error)
            return
        now = self.clock()
        for action in suspects:
            state = states.get(action.instance_id)
            if state in _ENDED_STATES or (state is None and _is_forgotten(action, now)):
                self.store.keep_instance_end(action.instance_id, now)
                self._change(action, partial(_looked_at, now=now))
            elif state is not None:
                is_stopped = state == "stopped"
                self.store.keep_instance_state(action.instance_id, asked_at, is_stopped=is_stopped)
                if is_stopped:
                    self._change(action, partial(_looked_at, now=now))

    def _change(self, action: Action, changed: Callable[[Action], Action]) -> None:
        """Store a change on top of whatever is newest; the next pass finds what keeps on moving."""
        newest: Action | None = action
        for _ in range(TRIES):
            if newest is None:
                return
            after = changed(newest)
            if after is newest:
                return
            after = replace(after, version=newest.version + 1, look_id=self.new_id())
            try:
                save = partial(self.store.save, after)
                store_and_schedule(after, self.clock, save, self.wake_ups, self.telemetry)
            except Moved:
                newest = self.store.load(action.id)
            else:
                self.turns.release_replaced(newest.booked_at, self.clock(), kept=after.booked_at)
                return

    # -- what waits unknown ---------------------------------------------------------------------

    def _adopt(self, scene: _Scene, turn: Turn, passed_over: PassedOver) -> None:
        """One group after the other, so that no pass ends with questions only."""
        before = self.store.foreign_waits()
        for name in sorted(before.keys() - scene.groups.keys()):
            self.store.keep_foreign_waits(name, ())
        for group in self._in_turn(scene.groups.values()):
            with passed_over.on(group.name):
                self._adopt_in(group, frozenset(before.get(group.name, ())), scene, turn)

    def _adopt_in(self, group: LiveGroup, before: frozenset[ForeignWait], scene: _Scene, turn: Turn) -> None:
        waiting = self._unknown(group, scene, turn)
        foreign_waits = set(before)
        if group.is_whole:
            foreign_waits &= {one.foreign_wait for one in waiting}  # it is forgotten with its wait
        try:
            fresh = [
                one
                for one in waiting
                if one.foreign_wait not in foreign_waits and not one.is_young(self.clock())
            ]
            lost = [one for one in fresh if self._is_lost(one, foreign_waits, turn)]
            candidates, now = self._candidates(group, lost, turn), self.clock()
            for candidate in sorted(
                candidates, key=lambda one: (one.expires_at(now), one.unknown.foreign_wait)
            ):
                self._try(candidate, foreign_waits, turn)
        finally:
            if foreign_waits != before:
                self.store.keep_foreign_waits(group.name, foreign_waits)

    def _in_turn(self, groups: Iterable[LiveGroup]) -> Sequence[LiveGroup]:
        """All of them, beginning with another one in each pass: one that ends early gets to all in time."""
        ordered = sorted(groups, key=lambda group: group.name)
        first = self._number() % len(ordered) if ordered else 0
        return [*ordered[first:], *ordered[:first]]

    def _unknown(self, group: LiveGroup, scene: _Scene, turn: Turn) -> list[UnrecordedWait]:
        """What waits in `group` without an open record, with its scaling activity."""
        ours = terms_on(self.configuration, scene.items.get(group.name, ()), group.name)
        found = live_waits.unrecorded(group, ours, scene.of(group.name))
        if not found:
            return []
        try:
            ongoing = self.live.ongoing(group.name, {one.member.instance_id for one in found}, turn)
        except GroupGone:
            return []
        named = [replace(one, activity=ongoing.get(one.member.instance_id)) for one in found]
        return [one for one in named if one.moves]

    def _is_lost(self, one: UnrecordedWait, foreign_waits: set[ForeignWait], turn: Turn) -> bool:
        """Whether its notification can be taken for lost, and nothing was recorded of it.

        What was recorded, and closed without a proof, is taken up again where its wait goes on.
        What is over waits for someone else's hook: that is remembered among the `foreign_waits`.
        """
        known = list(self.store.of_instance(one.member.instance_id))
        recorded = [action for action in known if one.is_of_this_wait(action)]
        doubtful = adoption.to_take_up(one, known)
        if doubtful is not None:
            kind = self._asked_for(doubtful, one, turn)
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
        self.telemetry.trouble(f"a record of {instance_id} cannot be read", ValueError("left to its release"))
        return False

    def _asked_for(self, doubtful: Action, one: UnrecordedWait, turn: Turn) -> AnswerKind | None:
        """What a heartbeat for a closed record is answered; it is open again where that is accepted."""
        if self.store.evidence(doubtful).paused is not None:
            return None
        sent_at = turn()
        kind = self._beaten(doubtful, one)
        if kind is AnswerKind.ACCEPTED:
            self._change(doubtful, partial(adoption.taken_up, beaten_at=sent_at, now=self.clock()))
            self.telemetry.decided(doubtful, "take up", f"{one.member.state}, and its record was closed")
            self.telemetry.count("TakenUp")
        return kind

    def _beaten(self, action: Action, one: UnrecordedWait) -> AnswerKind:
        """Send a heartbeat. Raises Throttled."""
        answer = self.auto_scaling.heartbeat(action)
        if answer.kind is AnswerKind.BUSY:
            raise Throttled(answer.text)
        if answer.kind is AnswerKind.REFUSED:
            what = f"hook {one.hook.name} of {one.group} could not be asked for {one.member.instance_id}"
            self.telemetry.trouble(what, CallRefused(answer.text))
        return answer.kind

    def _candidates(self, group: LiveGroup, fresh: Sequence[UnrecordedWait], turn: Turn) -> list[_Candidate]:
        """Those whose hook stands on the group, with the smaller of both heartbeat timeouts."""
        if not fresh:
            return []
        live = {hook.name: hook.settings for hook in self._hooks_of(group.name, turn)}
        return [
            _Candidate(
                unknown=one,
                timeout=min(one.hook.heartbeat_timeout, live[one.hook.name].heartbeat_timeout),
            )
            for one in fresh
            if one.hook.name in live and live[one.hook.name].transition is one.hook.transition
        ]

    def _hooks_of(self, group: str, turn: Turn) -> Sequence[HookSeen]:
        """As they stand now; kept for all looks, as reading them again would cost calls."""
        at = turn()
        try:
            hooks = self.live.hooks_of(group)
        except GroupGone:
            return ()
        self.store.keep_described(group, described(hooks, at))
        return hooks

    def _try(self, candidate: _Candidate, foreign_waits: set[ForeignWait], turn: Turn) -> None:
        """A heartbeat by instance and hook tells whether there is an action, and holds it."""
        one = candidate.unknown
        activity = one.activity.id if one.activity else self.new_id()
        hook = sha256(one.hook.name.encode()).hexdigest()[:12]  # a name may be longer than an id
        action_id = f"adopted-{activity}-{hook}"  # so that two passes adopt it once
        if one.may_be_over(self.clock()) and not self._still_waits(one, turn):
            return
        now = turn()
        action = adoption.adopted(one, candidate.timeout, action_id, now)
        if self.store.evidence(action).paused is not None:
            return
        kind = self._beaten(action, one)  # without an answer the next pass asks again
        if kind is AnswerKind.ACCEPTED:
            self._open(replace(action, beaten_at=now, heartbeats=1), one)
        elif kind is AnswerKind.NO_ACTIVE_ACTION:
            foreign_waits.add(one.foreign_wait)

    def _still_waits(self, one: UnrecordedWait, turn: Turn) -> bool:
        """Whether it is shown in the same state again."""
        try:
            if one.member.state.startswith("Warmed:"):
                members = list(self.live.pool(one.group, turn))
            else:
                groups = self.live.live_groups([one.group], turn)
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

        def store() -> None:
            self.store.open(action, None)

        store_and_schedule(action, self.clock, store, self.wake_ups, self.telemetry)
        self.telemetry.decided(action, "adopt", f"{one.member.state} without a record")
        self.telemetry.count("ActionsOpened")
        self.telemetry.count("Adopted")

    # -- what became of the hooks ---------------------------------------------------------------

    def _look_at_hooks(self, scene: _Scene, turn: Turn, passed_over: PassedOver) -> None:
        """A few groups in each pass: those with open actions come round sooner."""
        in_use = sorted(name for name in scene.groups if scene.of(name))
        idle = sorted(name for name in scene.groups if not scene.of(name))
        number, drifted = self._number(), 0
        for name in (
            *share(in_use, MOST_HOOKS_IN_USE, number),
            *share(idle, MOST_HOOKS_IDLE, number),
        ):
            with passed_over.on(name):
                live = self._hooks_of(name, turn)
                drifted += self._tell_drift(scene.groups[name], live)
                self._shorten(scene.of(name), live, self.clock())
        self.telemetry.count("HookDrift", drifted)

    def _tell_drift(self, group: LiveGroup, live: Sequence[HookSeen]) -> int:
        hooks = live_waits.hooks_on(self.configuration.hooks, group)
        drifts = reconcile.drifts(hooks, live)
        for hook, reason in drifts.items():
            self.telemetry.enrolment("drift", group.name, hook, reason)
        return len(drifts)

    def _shorten(self, open_actions: Iterable[Action], live: Sequence[HookSeen], at: datetime) -> None:
        """What is open goes by what stands, where that is less than what its record has."""
        seen = described(live, at)
        for action in open_actions:
            timeout = seen.timeouts.get(action.hook.name, action.hook.heartbeat_timeout)
            if timeout < action.hook.heartbeat_timeout or action.timeout_assumed:
                self._change(action, lambda action: known(action, seen, at) or action)


def _doubted(action: Action, group: LiveGroup | None, seen_at: datetime, now: datetime) -> Action:
    """Asked anew of the newest state: it may have sent a heartbeat since."""
    detail = reconcile.waits_no_more(action, group, seen_at)
    return action if detail is None else reconcile.doubted(action, detail, now)


def _is_forgotten(action: Action, now: datetime) -> bool:
    """Whether EC2 not knowing an instance means that it is gone.

    That is no word of its own, so it ends no launch: what was taken for gone would be replaced.
    """
    is_old = now - action.started_at > FORGOTTEN_BY_EC2
    return is_old and action.hook.transition is Transition.TERMINATING


def _looked_at(action: Action, now: datetime) -> Action:
    return replace(action, look_at=now) if action.is_open else action


def _twin_closed(action: Action, other: Action, now: datetime) -> Action:
    if action.phase is not Phase.OPEN:
        return action  # its result is on its way, and is the only one: the other meets "No active"
    reason = f"known by its token, as action {other.id}"
    return replace(closing.closed(action, Outcome.ENDED_ELSEWHERE, reason, now), booked_at=None)
