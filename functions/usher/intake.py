"""Takes in one message: makes what it says durable, and asks for a look where that may matter."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, assert_never

from usher.aws import messages
from usher.core import adoption, closing, evidence
from usher.core.action import Action, ActivityEnd, Outcome, Result, Signal, Transition
from usher.core.configuration import ConfigurationRefused
from usher.core.held_wait import first_waits
from usher.core.notifications import (
    CommandEnd,
    Home,
    InstanceEnd,
    InstanceState,
    LifecycleNotice,
    NotUnderstood,
    TestNotice,
    Unrelated,
)
from usher.core.ownership import Terms, terms
from usher.core.policy import Move
from usher.evaluation.wake_ups import send, store_and_schedule
from usher.outage.slow_table import ATTEMPT, HOLDS, Away, Limit, hurried
from usher.passes.silent_groups import TESTED
from usher.ports.errors import Moved, NoAnswer, Unavailable
from usher.ports.queues import WHATEVER
from usher.ports.records import Raw
from usher.questions.chain import Chains

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from usher.core.notifications import Notice
    from usher.core.policy import Configuration, Hook, Policy
    from usher.ports.hooks import HookItems
    from usher.ports.queues import DeadLetters, Questions, WakeUps
    from usher.ports.records import Store
    from usher.ports.telemetry import Telemetry

TRIES: Final = 8
_A_DAY: Final = timedelta(days=1)
_OF_ONE_MOVE: Final = timedelta(seconds=10)  # the hooks of one transition begin together


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """Everything that taking in a message touches."""

    configuration: Configuration
    items: HookItems
    store: Store
    wake_ups: WakeUps
    questions: Questions
    dead_letters: DeadLetters
    telemetry: Telemetry
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    home: Home | None = None  # None: messages of any account and Region are taken in
    away: Away = field(default_factory=Away)
    limit: Limit = field(default_factory=Limit)
    _heard_of: dict[str, datetime] = field(default_factory=dict)  # groups, by this container

    @property
    def chains(self) -> Chains:
        """What has questions asked."""
        return Chains(kept=self.store, queue=self.questions, telemetry=self.telemetry, clock=self.clock)

    def within(self, limit: Limit) -> Intake:
        """The same, which asks the table nothing past a limit."""
        store, items = hurried(self.store, limit, self.clock), hurried(self.items, limit, self.clock)
        return replace(self, store=store, items=items, limit=limit)

    def take(self, body: str, channel: str, *, is_first: bool = False) -> None:
        """Take in one message. When this returns, what it says is durable (promise 4).

        Raises Unavailable where a store or queue did not play along: let it be delivered again. What
        waits is held until then, if this `is_first` of the message's receives.
        """
        now = self.clock()
        raw = Raw(received_at=now, body=body)
        try:
            notice = messages.read(body, channel, self.home)
        except NotUnderstood as error:
            self.dead_letters.put(body, str(error))
            self._tell("rejected", str(error))
            return
        try:
            if not isinstance(notice, Unrelated):
                self.away.check(now)
            self._take(notice, raw, now)
        except Unavailable as error:
            if isinstance(error, NoAnswer):
                self.away.noted(self.clock())
            if is_first and isinstance(notice, LifecycleNotice):
                self._hold(notice)
            raise

    def _hold(self, notice: LifecycleNotice) -> None:
        """Have heartbeats sent for what is not recorded: by wake-ups, as they are for what is."""
        now = self.clock()
        for wait in first_waits(self.configuration, notice, now):
            if self.limit.is_past(self.clock(), -ATTEMPT - HOLDS):
                return  # Lambda would cut it off, and all that was done with it
            delay = max(timedelta(0), wait.due_at - now)
            send(self.wake_ups, self.telemetry, self.new_id(), WHATEVER, delay, wait)

    def _take(self, notice: Notice, raw: Raw, now: datetime) -> None:
        match notice:
            case LifecycleNotice():
                self._take_lifecycle(notice, raw, now)
            case TestNotice():
                self._take_test(notice)
            case ActivityEnd():
                self._take_move_end(notice, now)
            case Signal():
                self._take_signal(notice, now)
            case InstanceEnd():
                self._take_instance_end(notice, now)
            case InstanceState():
                self._take_instance_state(notice, now)
            case CommandEnd():
                self._take_command_end(notice, now)
            case Unrelated():
                self._tell("ignored", notice.reason)
            case _:
                assert_never(notice)

    def _tell(self, kind: str, reason: str = "") -> None:
        self.telemetry.message_handled(kind, reason)
        if kind == "rejected":
            self.telemetry.count("Rejected")

    def _take_lifecycle(self, notice: LifecycleNotice, raw: Raw, now: datetime) -> None:
        known = self.store.of_token(notice.token)
        if known is None:
            terms = self._terms(notice)
            if terms is None:
                what = f"hook {notice.hook} of group {notice.group}"
                self._tell("ignored", f"{what} is not configured for {notice.transition}")
                return
            move = self._move(notice, terms.hook, now)
            action = _action(notice, terms.hook, terms.hook.policy_for(move), self.new_id(), now)
            action = replace(action, if_launch_failed=terms.hook.if_launch_failed(move))
            known = self._open(_under(terms, action, now), raw, now)
        if known is not None:
            self._note_copy(known, notice, raw, now)
        self._hear_of(notice, now)

    def _hear_of(self, notice: LifecycleNotice, now: datetime) -> None:
        """By its own target it came, so its group is not silent. This may fail: the next one says it too."""
        heard_at = self._heard_of.get(notice.group)
        if notice.channel not in TESTED or (heard_at is not None and now - heard_at < _A_DAY):
            return
        try:
            self.store.keep_heard(notice.group, now)
        except Unavailable as error:
            self.telemetry.trouble(f"it is not kept that group {notice.group} was heard of", error)
        else:
            self._heard_of[notice.group] = now

    def _terms(self, notice: LifecycleNotice) -> Terms | None:
        """Under which terms the action begins; what a later release stored waits for that release."""
        items = self.items.of(notice.group, notice.hook)
        try:
            return terms(self.configuration, items, notice.hook, notice.group, notice.transition)
        except ConfigurationRefused as refused:
            raise Unavailable(f"the item of hook {notice.hook} cannot be read: {refused}") from refused

    def _move(self, notice: LifecycleNotice, hook: Hook, now: datetime) -> Move:
        """What the rules of `hook` may ask of the notice; what none asks is not looked up."""
        asks = any(field == "after" for rule in hook.rules for field, _ in rule.when)
        return Move(
            group=notice.group,
            transition=notice.transition,
            origin=notice.origin,
            destination=notice.destination,
            after="launch_failed" if asks and self._launch_failed(notice, hook, now) else None,
        )

    def _launch_failed(self, notice: LifecycleNotice, hook: Hook, now: datetime) -> bool:
        """Whether the instance's last launch was abandoned: by Usher, by its default, or as an event says.

        The termination that follows looks like any scale-in (aws-facts 2.2).
        """
        actions = self.store.of_instance(notice.instance_id)
        launches = [action for action in actions if action.hook.transition is Transition.LAUNCHING]
        abandoned = any(
            _was_abandoned(action)
            for action in launches
            if launches[-1].started_at - action.started_at <= _OF_ONE_MOVE
        )
        if abandoned or launches:
            return abandoned
        as_if = _action(notice, hook, hook.rules[-1].use, self.new_id(), now)
        ends = [
            end for end in self.store.evidence(as_if).activity_ends if end.transition is Transition.LAUNCHING
        ]
        return bool(ends) and not max(ends, key=lambda end: end.ended_at).succeeded

    def _open(self, action: Action, raw: Raw, now: datetime) -> Action | None:
        """Record a new action. Returns another that was recorded for its token meanwhile.

        Where the action was adopted before, its token joins that record.
        Of the actions of one instance and hook only the last to begin can still wait. The others
        are over, whether or not an event said so; they are looked at, and ask.
        """
        others = [
            other
            for other in self.store.of_instance(action.instance_id)
            if (other.hook.group, other.hook.name) == (action.hook.group, action.hook.name)
        ]
        for other in others:
            if adoption.joins(other, action):
                before = [one for one in others if one is not other]
                came = replace(action, signals_since=evidence.signals_since(action, before))
                return self._join(other, came, raw, now)
        action = replace(action, signals_since=evidence.signals_since(action, others))
        for other in others:
            if other.started_at > action.started_at:
                action = closing.superseded(action, other.id, other.started_at, now)
        stored = action

        def store() -> None:
            nonlocal stored
            stored = self.store.open(action, raw)

        store_and_schedule(action, self.clock, store, self.wake_ups, self.telemetry)
        if stored.id != action.id:
            return stored
        self._tell_lifecycle(action, now)
        self.telemetry.count("ActionsOpened")
        for other in others:
            if other.started_at <= action.started_at:
                self._supersede(other, action, now)
        return None

    def _tell_lifecycle(self, action: Action, now: datetime) -> None:
        self._tell("lifecycle")
        self.telemetry.count("NotificationLag", (now - action.started_at).total_seconds())

    def _join(self, adopted: Action, came: Action, raw: Raw, now: datetime) -> Action | None:
        """Give an adopted record its token. Returns another that has claimed the token meanwhile."""
        newest: Action | None = adopted
        for _ in range(TRIES):
            if newest is None or not adoption.joins(newest, came):
                break
            after = adoption.joined(newest, came, now)
            after = replace(after, version=newest.version + 1, look_id=self.new_id())
            join = partial(self.store.join, after, raw)
            try:
                store_and_schedule(after, self.clock, join, self.wake_ups, self.telemetry, require_queue=True)
            except Moved:
                claimed = self.store.of_token(came.token) if came.token else None
                if claimed is not None:
                    return claimed
                newest = self.store.load(adopted.id)
            else:
                self._tell_lifecycle(came, now)
                return None
        raise Unavailable(f"action {adopted.id} changed while its token came")

    def _supersede(self, other: Action, by: Action, now: datetime) -> None:
        """The new action is recorded by now, and more than the old one's question: so this may fail."""
        try:
            superseded = partial(closing.superseded, by_id=by.id, begun_at=by.started_at, now=now)
            self._change(other, superseded)
        except Unavailable as error:
            self.telemetry.trouble(f"action {other.id} was not asked whether it is over", error)

    def _note_copy(self, action: Action, notice: LifecycleNotice, raw: Raw, now: datetime) -> None:
        def noted(action: Action) -> Action:
            received_by = dict.fromkeys((*action.received_by, notice.channel))
            action = replace(action, received_by=tuple(received_by))
            return action.noted(now, "notified", f"again, by {notice.channel}")

        self._change(action, noted, raw)
        self._tell("duplicate", f"a further copy of token {notice.token}")

    def _take_test(self, notice: TestNotice) -> None:
        if not self.configuration.may_name_group(notice.group):
            self._tell("ignored", f"a test message of group {notice.group}, which is not configured")
            return
        self.store.keep_test(notice)
        self._tell("test")

    def _take_move_end(self, activity_end: ActivityEnd, now: datetime) -> None:
        actions = list(self.store.of_instance(activity_end.instance_id))
        if not actions and not self.configuration.names_group(activity_end.group):
            self._tell("ignored", f"an outcome of group {activity_end.group}, which is not configured")
            return
        self.store.keep_move_end(activity_end)
        for action in actions:
            if evidence.ends(activity_end, action):
                self._hear_move_end(action, activity_end, now)
            elif action.is_open and action.if_launch_failed is not None:
                self._change(action, partial(_looked_at, now=now))
        self._tell("outcome")

    def _hear_move_end(self, action: Action, activity_end: ActivityEnd, now: datetime) -> None:
        """An open action is looked at, and asks Auto Scaling; a closed one only notes it."""

        def heard(action: Action) -> Action:
            noted = evidence.with_move_ends(action, [activity_end], now)
            if noted is action:
                return action
            if action.is_open:
                return _looked_at(noted, now)
            told = action.noted(now, "outcome", evidence.end_in_words(activity_end))
            return replace(told, activity_end=activity_end)

        self._change(action, heard)

    def _take_instance_end(self, end: InstanceEnd, now: datetime) -> None:
        """Kept for any instance: Auto Scaling may begin to terminate it only minutes later."""
        self.store.keep_instance_end(end.instance_id, end.at)
        self._look_at_open(end.instance_id, now)
        self._tell("outcome", end.detail)

    def _take_instance_state(self, state: InstanceState, now: datetime) -> None:
        """That it runs is kept only where it was known as stopped."""
        self.store.keep_instance_state(state.instance_id, state.at, is_stopped=state.is_stopped)
        if state.is_stopped:
            self._look_at_open(state.instance_id, now)
        self._tell("outcome", state.detail)

    def _look_at_open(self, instance_id: str, now: datetime) -> None:
        for action in self.store.of_instance(instance_id):
            if action.is_open:
                self._change(action, lambda action: _looked_at(action, now))

    def _take_command_end(self, end: CommandEnd, now: datetime) -> None:
        """A hint, believed in nothing: the conditions that follow the command are asked at once."""
        for action in self.store.of_instance(end.instance_id):
            findings = self.store.findings(action.id) if action.is_open else None
            if findings is not None and evidence.follows(findings, end.command_id):
                with suppress(Moved):  # somebody asks just now
                    self.chains.ask_now(action, evidence.asked_at_once(findings, end.command_id, now))
        self._tell("outcome", end.detail)

    def _take_signal(self, signal: Signal, now: datetime) -> None:
        """Kept first; a look is asked for where it would come too late else."""
        signal = evidence.received(signal, now)
        change = self.store.keep_signal(signal)
        if change is evidence.Kept.REFUSED:
            self.telemetry.count("SignalsRefused")
            self._tell("signal", f"{signal.name} is not kept: {evidence.MOST_NAMES} other names are")
            return
        actions = self._named_by(signal)
        for action in actions:
            if action.is_open and evidence.fits(signal, action):
                self._change(action, partial(_heard, signal=signal, change=change, now=now))
        unheard = self._unheard(signal, actions)
        if unheard:
            self.telemetry.count("UnknownSignals")
        self._tell("signal", unheard)

    def _named_by(self, signal: Signal) -> Sequence[Action]:
        """The action of its token, or where none is known those of its instance."""
        of_token = self.store.of_token(signal.token) if signal.token else None
        if of_token is not None:
            return [of_token]
        return list(self.store.of_instance(signal.instance_id)) if signal.instance_id else []

    def _unheard(self, signal: Signal, actions: Sequence[Action]) -> str:
        """Why nobody may ever hear the signal, as far as is known; empty where somebody may."""
        if signal.instance_id is None and not actions:
            return f"no action is known by token {signal.token}: {signal.name} counts once one is"
        groups = {action.hook.group for action in actions}
        policies = [
            rule.use
            for hook in self.configuration.hooks
            if not groups or any(hook.group.may_fit(group) for group in groups)
            for rule in hook.rules
        ]
        policies += [action.policy for action in actions if action.is_open]
        if any(evidence.listens(policy, signal) for policy in policies):
            return ""
        return f"no policy of {signal.instance_id or signal.token} waits for signal {signal.name}"

    def _change(self, action: Action, changed: Callable[[Action], Action], raw: Raw | None = None) -> None:
        """Store a change to an action, on top of whatever is newest; no change is no store."""
        newest: Action | None = action
        for _ in range(TRIES):
            if newest is None:
                return
            after = changed(newest)
            if after is newest:
                return
            after = replace(after, version=newest.version + 1, look_id=self.new_id())
            try:
                save = partial(self.store.save, after, raw=raw)
                store_and_schedule(after, self.clock, save, self.wake_ups, self.telemetry, require_queue=True)
            except Moved:
                newest = self.store.load(action.id)
            else:
                return
        raise Unavailable(f"action {action.id} changed {TRIES} times while a notice was stored on it")


def _was_abandoned(action: Action) -> bool:
    by_default = action.outcome is Outcome.DEFAULTED and action.hook.default_result is Result.ABANDON
    failed = action.activity_end is not None and not action.activity_end.succeeded
    return action.result is Result.ABANDON or by_default or failed


def _heard(action: Action, signal: Signal, change: evidence.Kept, now: datetime) -> Action:
    return _looked_at(action, now) if evidence.needs_look(action, signal, change, now) else action


def _looked_at(action: Action, now: datetime) -> Action:
    return replace(action, look_at=now) if action.is_open else action


def _action(notice: LifecycleNotice, hook: Hook, policy: Policy, action_id: str, now: datetime) -> Action:
    """The action that a notice opens, with the terms under which it will be finished."""
    action = Action(
        id=action_id,
        token=notice.token,
        instance_id=notice.instance_id,
        hook=hook.terms(notice.group, hook.heartbeat_timeout),
        policy=policy,
        origin=notice.origin,
        destination=notice.destination,
        started_at=min(notice.at, now),  # a clock ahead of ours is no reason to hold longer
        first_seen_at=now,
        look_at=now,
        received_by=(notice.channel,),
    )
    return action.noted(now, "notified", f"by {notice.channel}; policy {policy.name}")


def _under(terms: Terms, action: Action, now: datetime) -> Action:
    """A new action under what its hook's item says: the timeout that may stand, and whether it is let go."""
    timeout, is_known = terms.heartbeat_timeout(action.started_at, now)
    return replace(
        action,
        hook=replace(action.hook, heartbeat_timeout=timeout),
        timeout_assumed=not is_known,
        let_through=terms.lets_through(action.policy, action.started_at),
    )
