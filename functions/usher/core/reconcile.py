"""Compares live wait states with the records: what waits unknown, what waits no more, what changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from usher.core import deadlines, evidence
from usher.core.action import Action, ActivityEnd, HookTerms, Phase, Transition
from usher.core.policy import Mode, Move

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from usher.core.hook_items import HookSeen
    from usher.core.ownership import Terms
    from usher.core.policy import Hook, Policy

SETTLED: Final = timedelta(seconds=15)  # state reads lag (aws-facts 9.6), and clocks differ
ON_ITS_WAY: Final = timedelta(seconds=60)  # so long a notification may take before it counts as lost
_SLACK: Final = timedelta(seconds=2)  # event times are whole seconds
_EC2: Final = "EC2"
_GROUP: Final = "AutoScalingGroup"
_POOL: Final = "WarmPool"
_LAUNCH_FAILED: Final = "in response to a launch failure"  # in a Cause (aws-facts 2.2)

ForeignWait: TypeAlias = "tuple[str, str, str]"  # instance, hook, and what names the wait


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitMove:
    """A wait state and the move that an instance makes in it (aws-facts 2.8, 2.9)."""

    state: str
    transition: Transition
    origin: str
    destination: str
    said: str  # in the Description of its scaling activity (aws-facts 9.13; of root volumes: assumed)


def _way(state: str, transition: Transition, origin: str, destination: str, said: str) -> WaitMove:
    return WaitMove(state=state, transition=transition, origin=origin, destination=destination, said=said)


_LAUNCHING: Final = "Launching a new EC2 instance"
WAIT_MOVES: Final = (
    _way("Pending:Wait", Transition.LAUNCHING, _EC2, _GROUP, f"{_LAUNCHING}: "),
    _way("Pending:Wait", Transition.LAUNCHING, _POOL, _GROUP, f"{_LAUNCHING} from warm pool: "),
    _way("Pending:Wait", Transition.LAUNCHING, _GROUP, _GROUP, "root volume"),
    _way("Warmed:Pending:Wait", Transition.LAUNCHING, _EC2, _POOL, f"{_LAUNCHING} into warm pool: "),
    _way("Warmed:Pending:Wait", Transition.TERMINATING, _GROUP, _POOL, "Scaling in EC2 instance"),
    _way("Terminating:Wait", Transition.TERMINATING, _GROUP, _EC2, "Terminating EC2 instance"),
    _way("Warmed:Terminating:Wait", Transition.TERMINATING, _POOL, _EC2, "Terminating EC2 instance"),
    _way("ReplacingRootVolume:Wait", Transition.TERMINATING, _GROUP, _GROUP, "root volume"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """An instance of a group or its warm pool, as it is described."""

    instance_id: str
    state: str
    is_healthy: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveGroup:
    """A group as it was described by a call that was sent at `seen_at`."""

    name: str
    tags: tuple[tuple[str, str], ...]
    members: Mapping[str, Member]  # by instance id
    has_pool: bool
    seen_at: datetime
    is_whole: bool  # False: it has a warm pool whose members are not among these
    arn: str = ""

    def with_pool(self, pool: Iterable[Member]) -> LiveGroup:
        """The group with the members of its warm pool."""
        warm = {member.instance_id: member for member in pool}
        return replace(self, members={**self.members, **warm}, is_whole=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """A scaling activity that goes on, of one instance."""

    id: str
    instance_id: str
    started_at: datetime
    description: str
    cause: str


@dataclass(frozen=True, kw_only=True, slots=True)
class UnrecordedWait:
    """An instance that waits, and a hook of the configuration that may hold it, without a record."""

    group: str
    member: Member
    seen_at: datetime
    activity: Activity | None = None
    terms: Terms

    @property
    def hook(self) -> Hook:
        """The hook that may hold it."""
        return self.terms.hook

    @property
    def foreign_waits(self) -> ForeignWait:
        """What names it, as long as it waits: by its activity, or where none is found by its state."""
        wait = self.activity.id if self.activity else self.member.state
        return self.member.instance_id, self.hook.name, wait

    @property
    def ways(self) -> tuple[WaitMove, ...]:
        """The moves that it may be in."""
        found = ways(self.member.state, self.activity.description if self.activity else "")
        return tuple(way for way in found if way.transition is self.hook.transition)

    def is_young(self, now: datetime) -> bool:
        """Whether its notification may still be on its way."""
        return self.activity is not None and now - self.activity.started_at < ON_ITS_WAY

    def may_be_over(self, now: datetime) -> bool:
        """Whether it may be in another wait by now: no activity names this one, and it was seen long ago."""
        return self.activity is None and now - self.seen_at > SETTLED

    def is_of_this_wait(self, action: Action) -> bool:
        """Whether `action`, be it closed, is what the instance waits in, or waited in beside another hook."""
        if (action.hook.group, action.hook.name) != (self.group, self.hook.name):
            return False
        if self.activity is None:
            ended_late = action.closed_at is not None and action.closed_at > self.seen_at - SETTLED
            return (action.is_open or ended_late) and waits_in(action, self.member.state)
        if action.activity_id is not None:
            return action.activity_id == self.activity.id
        return action.started_at >= self.activity.started_at - _SLACK


def ways(state: str, description: str = "") -> tuple[WaitMove, ...]:
    """The moves in which an instance in `state` may be; all of them where the description tells none."""
    here = tuple(way for way in WAIT_MOVES if way.state == state)
    return tuple(way for way in here if description and way.said in description) or here


def waits_in(action: Action, state: str) -> bool:
    """Whether an instance in `state` may wait in `action`. What a message did not tell is no difference."""
    return any(
        way.transition is action.hook.transition
        and action.origin in (None, way.origin)
        and action.destination in (None, way.destination)
        for way in ways(state)
    )


_UNDER_WAY: Final = {
    Transition.LAUNCHING: ("Pending", "Warmed:Pending"),
    Transition.TERMINATING: ("Terminating", "Warmed:Terminating", "Warmed:Pending", "ReplacingRootVolume"),
}
_PASSED: Final = (":Proceed", ":Retained")


def may_wait(state: str, transition: Transition | None) -> bool:
    """Whether an instance in `state` waits in hooks of a transition, or is on its way to them.

    Of a transition that this release does not know, every move counts.
    """
    every = tuple(begin for begins in _UNDER_WAY.values() for begin in begins)
    begins = every if transition is None else _UNDER_WAY[transition]
    return state.startswith(begins) and not state.endswith(_PASSED)


def hooks_on(hooks: Iterable[Hook], group: LiveGroup) -> dict[str, Hook]:
    """The hooks of the configuration on `group`, by name; one that names it goes before one by tags."""
    fitting = [hook for hook in hooks if hook.group.selects(group.name, group.tags)]
    return {hook.name: hook for hook in sorted(fitting, key=lambda hook: hook.group.glob is not None)}


def unknown(group: LiveGroup, ours: Iterable[Terms], open_actions: Iterable[Action]) -> list[UnrecordedWait]:
    """What waits in `group`, by hook, and has no open record. `open_actions` are of this group."""
    known: dict[tuple[str, str], list[Action]] = {}
    for action in open_actions:
        known.setdefault((action.instance_id, action.hook.name), []).append(action)
    return [
        UnrecordedWait(group=group.name, member=member, terms=terms, seen_at=group.seen_at)
        for member in group.members.values()
        for terms in ours
        if any(way.transition is terms.hook.transition for way in ways(member.state))
        and not any(
            waits_in(one, member.state) for one in known.get((member.instance_id, terms.hook.name), ())
        )
    ]


def adopted(one: UnrecordedWait, timeout: timedelta, action_id: str, now: datetime) -> Action:
    """The record of what waits unknown, as if its notification had come; `now`: its first heartbeat.

    An activity that began before the last heartbeat timeout cannot be all of this wait (targets
    drain before a termination hook, or someone else sends heartbeats): then, as without any
    activity, the wait counts from now, so that nothing is decided too early. The global limit
    counts from the earliest start that is possible, and so do signals.
    """
    terms = _terms(one, timeout)
    earliest = now - timeout
    activity = one.activity
    begun_at = activity.started_at if activity is not None and activity.started_at > earliest else None
    action = Action(
        id=action_id,
        token=None,
        instance_id=one.member.instance_id,
        hook=terms,
        policy=policy_of(one),
        origin=_only({way.origin for way in one.ways}),
        destination=_only({way.destination for way in one.ways}),
        started_at=begun_at or now,
        signals_since=activity.started_at - evidence.BEFORE_START if activity and not begun_at else None,
        limit_at=None if begun_at else _limit(activity, earliest, timeout, now),
        first_seen_at=now,
        look_at=now,
        activity_id=activity.id if activity else None,
        let_through=begun_at is not None and one.terms.lets_through(policy_of(one), begun_at),
        if_launch_failed=None if activity else one.hook.if_launch_failed(_move(one)),
    )
    since = f"since {_written(activity.started_at)}" if activity else "nobody can say since when"
    detail = f"{one.member.state}, {since}: no notification came; policy {action.policy.name}"
    return action.noted(now, "adopted", detail)


def _terms(one: UnrecordedWait, timeout: timedelta) -> HookTerms:
    return HookTerms(
        name=one.hook.name,
        group=one.group,
        transition=one.hook.transition,
        heartbeat_timeout=timeout,
        default_result=one.hook.default_result,
        limits=one.hook.limits,
        limited_with=str(one.hook.group),
    )


def _limit(activity: Activity | None, earliest: datetime, timeout: timedelta, now: datetime) -> datetime:
    limit = deadlines.global_timeout(timeout)
    begun = activity.started_at + limit if activity else now
    return begun if begun > now else earliest + limit


def policy_of(one: UnrecordedWait) -> Policy:
    """The policy by which it is held."""
    return one.hook.policy_for(_move(one))


def _move(one: UnrecordedWait) -> Move:
    launch_failed = one.activity is not None and _LAUNCH_FAILED in one.activity.cause
    return Move(
        group=one.group,
        transition=one.hook.transition,
        origin=_only({way.origin for way in one.ways}),
        destination=_only({way.destination for way in one.ways}),
        after="launch_failed" if launch_failed else None,
    )


def _only(places: set[str]) -> str | None:
    """The place, where there is one only."""
    return next(iter(places)) if len(places) == 1 else None


def to_take_up(one: UnrecordedWait, known: Sequence[Action]) -> Action | None:
    """The closed record of this wait to ask for by a heartbeat; None where there is no doubt about any.

    `known` are all records of the instance, oldest first.

    By its token it is asked only for its own wait. Without one, only in the same activity.
    """
    of_wait = [action for action in known if _may_be_of_this_wait(one, action)]
    if one.activity is None:
        of_wait = of_wait[-1:]  # earlier ones are of earlier waits
    if any(action.is_open or action.is_proven or action.policy.mode is Mode.OBSERVE for action in of_wait):
        return None
    named = [action for action in of_wait if action.token is not None or action.activity_id is not None]
    return max(named, key=lambda action: (action.token is not None, action.started_at), default=None)


def _may_be_of_this_wait(one: UnrecordedWait, action: Action) -> bool:
    """As Unknown.is_of_this_wait; without an activity every wait by token in such a state may be this one."""
    if one.is_of_this_wait(action):
        return one.activity is not None or action.token is not None
    same_hook = (action.hook.group, action.hook.name) == (one.group, one.hook.name)
    is_named = one.activity is None and action.token is not None
    return is_named and same_hook and waits_in(action, one.member.state)


def taken_up(action: Action, beaten_at: datetime, now: datetime) -> Action:
    """A closed record whose wait goes on, as a heartbeat shows that was accepted: open, and due.

    A result that was decided is the only one that may be sent.
    """
    if action.is_open:
        return action
    result, reason = action.decided or (None, "")
    action = action.noted(now, "taken up", "Auto Scaling accepted a heartbeat: its wait goes on")
    return replace(
        action,
        phase=Phase.OPEN if result is None else Phase.COMPLETING,
        result=result,
        reason=reason,
        outcome=None,
        closed_at=None,
        decided=None,
        look_at=now,
        beaten_at=beaten_at,
        heartbeats=action.heartbeats + 1,
        completes_sent=(),
        activity_end=None,
        booked_at=None,
        paused_by=None,
    )


def joins(known: Action, came: Action) -> bool:
    """Whether `came`, which has a token, is the wait that `known` was adopted for.

    Tokens of earlier waits of the same instance and hook do arrive late (aws-facts 9.2).
    """
    same_hook = (known.hook.group, known.hook.name) == (came.hook.group, came.hook.name)
    if known.token is not None or not same_hook or known.instance_id != came.instance_id:
        return False
    earliest = known.started_at
    if earliest >= known.first_seen_at:  # its start was not known
        earliest = known.first_seen_at - known.hook.heartbeat_timeout
    places = ((known.origin, came.origin), (known.destination, came.destination))
    fits = all(None in pair or pair[0] == pair[1] for pair in places)
    return fits and earliest - _SLACK <= came.started_at <= known.first_seen_at + _SLACK


def joined(known: Action, came: Action, now: datetime) -> Action:
    """An adopted record with the token that came for it, and the start that its message tells."""
    action = replace(known, token=came.token, received_by=came.received_by)
    if action.is_open:
        action = replace(
            action,
            started_at=min(came.started_at, known.first_seen_at),
            signals_since=came.signals_since,
            limit_at=None,
        )
    return action.noted(now, "notified", f"by {', '.join(came.received_by)}; this record was adopted")


def twins(open_actions: Iterable[Action]) -> Iterator[tuple[Action, Action]]:
    """Adopted records of waits that another record has by token: both were made at the same moment."""
    of_instance: dict[str, list[Action]] = {}
    for action in open_actions:
        of_instance.setdefault(action.instance_id, []).append(action)
    for actions in of_instance.values():
        for adopted_one in (one for one in actions if one.token is None and one.phase is Phase.OPEN):
            by_token = (one for one in actions if one.token is not None and joins(adopted_one, one))
            for other in by_token:
                yield adopted_one, other
                break


def waits_no_more(action: Action, group: LiveGroup | None, seen_at: datetime) -> str | None:
    """What the live state says against an open record; None where nothing does.

    No proof: reads lag, so the record is looked at, and Auto Scaling is asked by a heartbeat.
    `group` None: there is no such group at `seen_at`.
    """
    if action.phase is not Phase.OPEN or action.activity_end is not None:
        return None
    if _last_known_to_wait(action) > seen_at - SETTLED:
        return None
    if group is None:
        return "its group is gone"
    member = group.members.get(action.instance_id)
    if member is None:
        return "the instance is not in its group any more" if group.is_whole else None
    return None if waits_in(action, member.state) else f"the instance is {member.state}"


def _last_known_to_wait(action: Action) -> datetime:
    """In observe mode no heartbeat was sent, whatever `beaten_at` says."""
    beaten_at = action.beaten_at if action.heartbeats else None
    return beaten_at or action.started_at


def doubted(action: Action, detail: str, now: datetime) -> Action:
    """The record, to be looked at now, and asked whether its wait goes on.

    Once the expiry is past no doubt is noted: the look asks all the same, and what ended then fell
    to the default result. The doubt dates from when it was last known to wait, so that the outcome
    event, which may come two minutes late, is newer.
    """
    action = replace(action, look_at=now).noted(now, "live state", detail)
    if now >= action.expires_at:
        return action
    doubt = ActivityEnd(
        activity_id=action.activity_id or "live-state",
        group=action.hook.group,
        instance_id=action.instance_id,
        transition=action.hook.transition,
        origin=action.origin,
        destination=action.destination,
        started_at=None,
        ended_at=_last_known_to_wait(action),
        detail=detail,
        is_inferred=True,
    )
    return replace(action, activity_end=doubt)


def may_be_dead(open_actions: Iterable[Action], groups: Mapping[str, LiveGroup]) -> list[Action]:
    """The open records of instances that wait and are unhealthy: EC2 may have ended them."""
    return [
        action
        for action in open_actions
        if action.instance_ended_at is None
        and action.phase is Phase.OPEN
        and (group := groups.get(action.hook.group)) is not None
        and (member := group.members.get(action.instance_id)) is not None
        and not member.is_healthy
    ]


def drifts(hooks: Mapping[str, Hook], on_group: Sequence[HookSeen]) -> dict[str, str]:
    """What is wrong with the hooks that CloudFormation put on a group, by name.

    The enrolment mends what is given by glob or tags itself.
    """
    seen = {hook.name: hook.settings for hook in on_group}
    found: dict[str, str] = {}
    for name, hook in hooks.items():
        if hook.group.glob is None or "*" in hook.group.glob:
            continue
        live = seen.get(name)
        if live is None:
            found[name] = "does not stand on the group"
        elif differing := [
            field
            for field in ("transition", "heartbeat_timeout", "default_result")
            if getattr(live, field) != getattr(hook, field)
        ]:
            found[name] = f"is not as configured in {', '.join(differing)}"
    return found


def in_words(end: ActivityEnd) -> str:
    """What became of the instance, as an outcome event tells, e.g. `in service at 2026-...`."""
    if not end.succeeded:
        became = "launch abandoned" if end.transition is Transition.LAUNCHING else "kept, not terminated"
    elif end.transition is Transition.LAUNCHING:
        became = "in the warm pool" if end.destination == _POOL else "in service"
    else:
        kept = {_POOL: "back in the warm pool", _GROUP: "root volume replaced"}
        became = kept.get(end.destination or "", "terminated")
    return f"{became} at {_written(end.ended_at)}: {end.detail}"


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
