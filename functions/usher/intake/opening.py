"""Records the action that a lifecycle notification tells of."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from usher.core import adoption, closing, evidence
from usher.core.action import Action, Result, Transition
from usher.core.field import ConfigurationRefused
from usher.core.frozen import frozen, replace
from usher.core.ownership import Terms, terms
from usher.core.policy import Move
from usher.evaluation.record_writer import BOTH
from usher.evaluation.wake_ups import BETWEEN_SWEEPS
from usher.passes.silent_groups import TESTED
from usher.ports.errors import Moved, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from usher.core.notifications import LifecycleNotice
    from usher.core.policy import Configuration, Hook, Policy
    from usher.evaluation.record_writer import RecordWriter
    from usher.ports.hooks import HookItems
    from usher.ports.records import Raw, Store
    from usher.ports.telemetry import Telemetry

_A_DAY: Final = timedelta(days=1)
_WAKE_UP_IS_LOST: Final = timedelta(seconds=5)  # one that is due at once comes within a second or two
_OF_ONE_MOVE: Final = timedelta(seconds=10)  # the hooks of one transition begin together


@frozen
class Opening:
    """What the intake of a lifecycle notification touches."""

    configuration: Configuration
    items: HookItems
    store: Store
    writer: RecordWriter
    telemetry: Telemetry
    heard_of: dict[str, datetime]  # groups, by this container

    def take(self, notice: LifecycleNotice, raw: Raw, now: datetime) -> None:
        """Record its action, or note a further copy. Raises Unavailable."""
        known = self.store.of_token(notice.token)
        if known is None:
            terms = self._terms(notice)
            if terms is None:
                what = f"hook {notice.hook} of group {notice.group}"
                self.telemetry.message_handled("ignored", f"{what} is not configured for {notice.transition}")
                return
            move = self._move(notice, terms.hook, now)
            action = _action(notice, terms.hook, terms.hook.policy_for(move), self.writer.new_id(), now)
            action = replace(action, if_launch_failed=terms.hook.if_launch_failed(move))
            known = self._open(_under(terms, action, now), raw, now)
        if known is not None:
            self._note_copy(known, notice, raw, now)
        self._hear_of(notice, now)

    def _hear_of(self, notice: LifecycleNotice, now: datetime) -> None:
        """By its own target it came, so its group is not silent. This may fail: the next one says it too."""
        heard_at = self.heard_of.get(notice.group)
        if notice.channel not in TESTED or (heard_at is not None and now - heard_at < _A_DAY):
            return
        try:
            self.store.keep_heard(notice.group, now)
        except Unavailable as error:
            self.telemetry.trouble(
                f"the message of group {notice.group} could not be recorded as evidence", error
            )
        else:
            self.heard_of[notice.group] = now

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
            metadata=notice.metadata,
        )

    def _launch_failed(self, notice: LifecycleNotice, hook: Hook, now: datetime) -> bool:
        """Whether the instance's last launch was abandoned: by Usher, or as an event says.

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
        as_if = _action(notice, hook, hook.rules[-1].use, self.writer.new_id(), now)
        ends = [
            end for end in self.store.evidence(as_if).activity_ends if end.transition is Transition.LAUNCHING
        ]
        return bool(ends) and not max(ends, key=lambda end: end.ended_at).succeeded

    def _open(self, action: Action, raw: Raw, now: datetime) -> Action | None:
        """Record a new action. Returns another that was recorded for its token meanwhile.

        Where the action was adopted before, its token joins that record. Raises Unavailable, so that the
        message comes again, where no wake-up was taken and no sweep would evaluate it in time.
        Of the actions of one instance and hook only the last to begin can still wait. The others
        are over, whether or not an event said so; they are evaluated, and ask.
        """
        others = [
            other
            for other in self.store.of_instance(action.instance_id)
            if (other.hook.group, other.hook.name) == (action.hook.group, action.hook.name)
        ]
        if (recorded := _by_a_copy(others, action)) is not None:
            return recorded
        for other in others:
            if adoption.joins(other, action):
                before = [one for one in others if one is not other]
                came = replace(action, signals_since=evidence.signals_since(action, before))
                return self._join(other, came, raw, now)
        action = replace(action, signals_since=evidence.signals_since(action, others))
        for other in others:
            if other.started_at > action.started_at:
                action = closing.superseded(action, other.id, other.started_at, now)
                self.writer.note(other, partial(evidence.with_earlier_wait, earlier=action), wakes=0)
        stored, is_woken = self.writer.open(action, raw)
        if stored.id != action.id:
            return stored
        self._count_opened(action, now)
        self.telemetry.count("ActionsOpened")
        for other in others:
            if other.started_at <= action.started_at:
                self._supersede(other, action, now)
        if not is_woken and action.heartbeat_by - now <= BETWEEN_SWEEPS:
            raise Unavailable(f"action {action.id} is recorded, but the queue took no wake-up for it")
        return None

    def _count_opened(self, action: Action, now: datetime) -> None:
        self.telemetry.message_handled("lifecycle", "")
        self.telemetry.count("NotificationLag", (now - action.started_at).total_seconds())

    def _join(self, adopted: Action, came: Action, raw: Raw, now: datetime) -> Action | None:
        """Give an adopted record its token. Returns another that has claimed the token meanwhile."""
        claimed: Action | None = None

        def joined(newest: Action) -> Action:
            nonlocal claimed
            if newest is not adopted and came.token is not None:
                claimed = self.store.of_token(came.token)
            if claimed is not None or not adoption.joins(newest, came):
                return newest
            return adoption.joined(newest, came, now)

        def join(after: Action) -> None:
            self.store.join(after, raw)

        try:
            if self.writer.update(adopted, joined, join) is not None:
                self._count_opened(came, now)
                return None
        except Moved:
            pass
        if claimed is not None:
            return claimed
        raise Unavailable(f"action {adopted.id} changed while its token arrived")

    def _supersede(self, other: Action, by: Action, now: datetime) -> None:
        """The new action is recorded by now, and more than the old one's question: so this may fail."""
        try:
            superseded = partial(closing.superseded, by_id=by.id, begun_at=by.started_at, now=now)
            self.writer.note(other, superseded)
        except Unavailable as error:
            self.telemetry.trouble(f"action {other.id} was not checked for whether it has ended", error)

    def _note_copy(self, action: Action, notice: LifecycleNotice, raw: Raw, now: datetime) -> None:
        """Wake-ups are sent already; only where they did not come, the copy sends others."""
        is_late = action.evaluate_at is not None and now - action.evaluate_at >= _WAKE_UP_IS_LOST

        def noted(action: Action) -> Action:
            received_by = dict.fromkeys((*action.received_by, notice.channel))
            action = replace(action, received_by=tuple(received_by))
            return action.noted(now, "notified", f"again, by {notice.channel}")

        def save(after: Action) -> None:
            self.store.save(after, raw=raw)

        self.writer.note(action, noted, save, wakes=BOTH if is_late else 0)
        self.telemetry.message_handled("duplicate", f"a further copy of token {notice.token}")


def _was_abandoned(action: Action) -> bool:
    """As far as is known: an ABANDON that is decided may come too late, or be lost.

    And who finds a launch over after its time cannot know that it got the default result: somebody else may
    have let it into service meanwhile.
    """
    by_usher = action.is_proven and action.result is Result.ABANDON
    failed = action.activity_end is not None and not action.activity_end.succeeded
    return by_usher or failed


def _by_a_copy(others: Iterable[Action], action: Action) -> Action | None:
    """The one that another copy of the notification recorded meanwhile.

    It is no other wait, though it may seem to begin before or after: EventBridge tells whole seconds.
    """
    same = (other for other in others if other.token is not None and other.token == action.token)
    return next(same, None)


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
        metadata=notice.metadata,
        started_at=min(notice.at, now),  # a clock ahead of ours is no reason to hold longer
        first_seen_at=now,
        evaluate_at=now,
        evaluation_id=action_id,  # of several copies at once each has wake-ups of its own, told apart by it
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
