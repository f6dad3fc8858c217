"""What runs before Usher goes: every instance that it holds is released, not left to a default result.

Deleting a queue settles launches that wait by the default result at once, and deleting a hook
abandons them (aws-facts 1.1, 2.6). So this runs before anything is deleted, and the deletion goes on
only when nothing waits any more and no hook is left.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from usher.core import adoption, closing, live_waits
from usher.core.action import Outcome, Phase, Result
from usher.core.decide import operator_order
from usher.core.frozen import frozen
from usher.core.hook_items import FileInForce
from usher.core.ownership import Terms
from usher.core.wanted_hooks import Wanted
from usher.evaluation.call_budget import NoCallLeft
from usher.passes.enrolment import LAST_CALLS_S
from usher.passes.retirement import APART, Departure, Retirement
from usher.ports.autoscaling import AnswerKind
from usher.ports.errors import CallRefused, GroupGone, Moved, Throttled, TryLater, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.hook_items import Enrolled, Target
    from usher.core.policy import Channel
    from usher.evaluation.call_budget import CallBudget
    from usher.invocation import Work
    from usher.ports.autoscaling import AutoScaling, Groups, LiveMembers
    from usher.ports.hooks import EnrolmentRecords
    from usher.ports.records import Due, Evidence, OpenActions
    from usher.ports.telemetry import Telemetry

    NextSlot = Callable[[], datetime]

ROUNDS: Final = 5  # without any progress
IDLE_ROUNDS: Final = 20  # likewise, of a second each: until a lost answer is known to be lost
_BETWEEN_ROUNDS_S: Final = 1  # for what found no room in this second, and for the index to catch up
AGAIN: Final = "delete the stack again; if Usher is paused, `usher resume` first"
_ALL_TIME: Final = timedelta(days=3)  # no action is due later
_REASON: Final = "Usher is being deleted"
_NAMELESS: Final = "its scaling activity is not found, so that nothing can be sent for it"
_MOST_NAMES: Final = 5  # in a reason
_MOST_OF_A_REASON: Final = 150  # characters of what Auto Scaling said


class ReleaseStore(Protocol):
    """What a release reads and writes of records. See usher.ports.records."""

    def load(self, action_id: str) -> Action | None:
        """See Records."""
        ...

    def save(self, action: Action) -> None:
        """See Records."""
        ...

    def due(self, until: datetime) -> Iterable[Due]:
        """See ActionLookup."""
        ...

    def of_instance(self, instance_id: str) -> Iterable[Action]:
        """See ActionLookup."""
        ...

    def evidence(self, action: Action) -> Evidence:
        """See EvidenceStore."""
        ...


@frozen
class Release:
    """Everything that it touches. `work` is `map`, or what makes several calls at once."""

    evaluate: Callable[[str], None]  # one action, by its id
    store: ReleaseStore
    auto_scaling: AutoScaling
    call_budget: CallBudget
    telemetry: Telemetry
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    targets: Mapping[Channel, Target]  # which our hooks notify
    hooks: Groups
    live: LiveMembers
    enrolments: EnrolmentRecords  # of no file: it writes whichever counts
    open_actions: OpenActions
    wait: Callable[[float], object]  # in seconds, as time.sleep
    work: Work = map

    def run(self, has_time: Callable[[], bool]) -> str:
        """Why the deletion cannot go on yet, or nothing."""
        try:
            return self._run(has_time)
        except NoCallLeft:
            return f"not all hooks could be deleted in time; {AGAIN}"
        except Unavailable as error:
            self.telemetry.trouble("not all could be released", error)
            return f"the table could not be read ({error}); {AGAIN}"

    def _run(self, has_time: Callable[[], bool]) -> str:
        """Until nothing waits and no hook is left: an instance may come at any time."""
        self._close()
        next_slot = partial(self.call_budget.wait_for_slot, self.clock, self.wait, has_time)
        idle, before = 0, len(self.enrolments.enrolled()) + 1
        refused = dict[str, str]()
        while idle < ROUNDS:
            refused.clear()
            self._retire_all()
            waiting = self.release_all(has_time)
            if waiting:
                return f"{waiting} actions could not be released yet; {AGAIN}"
            ours = self._ours(next_slot, refused)
            try:
                if self._unknown.let_go(ours, next_slot):
                    continue  # their notices have just come: they are released as recorded
            except (TryLater, CallRefused) as error:
                self._tell(error, "waits without a record were not released", refused)  # and no hook goes
            seen = {record.place for record in ours}
            left = [
                record
                for record in self.enrolments.enrolled()
                if record.place not in seen or not self._is_gone(record, next_slot, refused)
            ]
            if not left:
                return ""
            idle, before = (0 if len(left) < before else idle + 1), len(left)
            self.wait(APART.total_seconds())
            next_slot()  # raises NoCallLeft where the time is over: CloudFormation must have its answer
        if refused:
            return f"{_in_words(refused)}; {AGAIN}"
        why = "instances keep entering, or wait in other hooks of the group, which you can complete"
        return f"{_named(left)} could not be deleted yet: {why}; {AGAIN}"

    @property
    def _unknown(self) -> _UnknownWaits:
        return _UnknownWaits(
            store=self.store,
            auto_scaling=self.auto_scaling,
            live=self.live,
            telemetry=self.telemetry,
            clock=self.clock,
            new_id=self.new_id,
        )

    def _close(self) -> None:
        """The sweep, which still runs, must not put hooks back: nothing would look after them."""
        file = self.enrolments.in_force() or FileInForce(digest="")
        self.enrolments.put_in_force(replace(file, is_closing=True))
        self.wait(LAST_CALLS_S)

    def _retire_all(self) -> None:
        """From now on intake lets through what comes."""
        now = self.clock()
        for record in self.enrolments.enrolled():
            is_let_through = record.let_through_from is not None and record.let_through_from <= now
            if record.is_out_of_file or not is_let_through:
                with suppress(Moved):  # the next round finds it as it is then
                    self.enrolments.keep(record.retired(now, now))

    def _ours(self, next_slot: NextSlot, refused: dict[str, str]) -> Sequence[Enrolled]:
        """The items whose hooks are ours still, as far as that can be seen now.

        What someone else has put in the place of one stays, with all that waits in it.
        """
        ours: list[Enrolled] = []
        wanted = Wanted(hooks=(), targets=self.targets)
        for group, records in _by_group(self.enrolments.enrolled()).items():
            next_slot()
            try:
                live = {hook.name: hook.settings for hook in self.hooks.hooks_of(group)}
            except GroupGone:
                live = {}
            except (TryLater, CallRefused) as error:
                self._tell(error, f"the hooks of {group} could not be read", refused)
                continue
            for record in records:
                settings = live.get(record.hook)
                if settings is None or wanted.is_of(record, settings):
                    ours.append(record)
                else:
                    self._leave_alone(record)
        return ours

    def _leave_alone(self, record: Enrolled) -> None:
        error = LookupError("someone else put a hook of this name")  # nothing was refused
        self._tell(error, f"hook {record.hook} of {record.group} was left alone", {})
        self._is_forgotten(record)

    def _is_forgotten(self, record: Enrolled) -> bool:
        """Of two runs at the same time one drops an item first; the next round finds what there is."""
        try:
            self.enrolments.forget(record)
        except Moved:
            return False
        return True

    def _is_gone(self, record: Enrolled, next_slot: NextSlot, refused: dict[str, str]) -> bool:
        """Whether its hook is deleted; what Auto Scaling refuses is noted in `refused`, in words."""
        departure = Departure(
            hooks=self.hooks,
            live=self.live,
            items=self.enrolments,
            open_actions=self.open_actions,
            clock=self.clock,
        )
        try:
            return departure.step(record, next_slot) is Retirement.DELETED
        except GroupGone:
            return self._is_forgotten(record)
        except (TryLater, CallRefused, Moved) as error:
            self._tell(error, f"hook {record.hook} of {record.group} was not deleted", refused)
            return False

    # -- what is recorded -----------------------------------------------------------------------

    def release_all(self, has_time: Callable[[], bool]) -> int:
        """Complete every open action with CONTINUE, as far as the time goes; how many are left open."""
        left, idle = self._open_ids(), 0
        while left and idle < IDLE_ROUNDS and has_time():
            list(self.work(partial(self._let_go, has_time), left))
            self.wait(_BETWEEN_ROUNDS_S)
            before, left = len(left), self._open_ids()
            idle = 0 if len(left) < before else idle + 1
        return len(left)

    def _open_ids(self) -> list[str]:
        until = self.clock() + _ALL_TIME
        due = sorted(self.store.due(until), key=lambda due: (due.expires_at, due.action_id))
        return [row.action_id for row in due]

    def _let_go(self, has_time: Callable[[], bool], action_id: str) -> None:
        """One that fails must not keep the others from being let go."""
        if not has_time():
            return
        try:
            self._decide(action_id)
            self.evaluate(action_id)
        except Exception as error:  # noqa: BLE001 - the edge: told, and counted as left
            self.telemetry.trouble(f"action {action_id} was not released", error)

    def _decide(self, action_id: str) -> None:
        """Store the decision, due now. An action that is completing keeps the result it has.

        While its hook is paused nothing is sent, so nothing is decided either.
        """
        action = self.store.load(action_id)
        if action is None or not action.is_open or self.store.evidence(action).paused is not None:
            return
        now = self.clock()
        released = _released(action, now, self.new_id())
        is_nameless = action.token is None and action.activity_id is None
        if is_nameless and self.auto_scaling.ongoing(action) is None:
            # No call may name it. If it waits after all, the live state shows it: see _UnknownWaits.
            released = closing.closed(released, Outcome.ENDED_ELSEWHERE, f"{_REASON}: {_NAMELESS}", now)
        try:
            self.store.save(released)
        except Moved:
            return  # the next round finds it as it is then

    def _tell(self, error: Exception, what: str, refused: dict[str, str]) -> None:
        if isinstance(error, Throttled):
            self.call_budget.back_off(self.clock())
        self.telemetry.trouble(what, error)
        refused[what] = str(error)


@frozen
class _UnknownWaits:
    """What waits in our hooks and has no record, when Usher goes."""

    store: ReleaseStore
    auto_scaling: AutoScaling
    live: LiveMembers
    telemetry: Telemetry
    clock: Callable[[], datetime]
    new_id: Callable[[], str]

    def let_go(self, ours: Iterable[Enrolled], next_slot: NextSlot) -> bool:
        """What the live state shows waiting in our hooks, and no record knows. Whether one knows of some now.

        Those get no result here: an evaluation may be about to send another one.
        """
        are_known = False
        for action in self._found(ours, next_slot):
            if self.store.evidence(action).paused is None:
                next_slot()
                activity = self.auto_scaling.ongoing(action)  # the call must reach no later wait
                action = replace(action, activity_id=activity.id if activity else None)  # noqa: PLW2901
                if self._is_recorded(action):
                    are_known = True
                    continue
                answer = self.auto_scaling.complete(action, Result.CONTINUE)
                if answer.kind is AnswerKind.BUSY:
                    raise Throttled(answer.text)
                self.telemetry.decided(action, "complete", f"{_REASON}: {answer.kind}")
        return are_known

    def _is_recorded(self, action: Action) -> bool:
        of_instance = self.store.of_instance(action.instance_id)
        return any(one.is_open and one.hook.name == action.hook.name for one in of_instance)

    def _found(self, ours: Iterable[Enrolled], next_slot: NextSlot) -> Iterator[Action]:
        by_group = _by_group(ours)
        for group in self.live.live_groups(by_group.keys(), next_slot) if by_group else ():
            try:
                seen = group.with_pool(self.live.pool(group.name, next_slot)) if group.has_pool else group
            except GroupGone:
                continue
            terms = [Terms(hook=record.own_hook) for record in by_group[group.name] if record.selector]
            for one in live_waits.unrecorded(seen, terms):
                timeout = one.hook.heartbeat_timeout
                yield adoption.adopted(one, timeout, self.new_id(), self.clock())


def _by_group(records: Iterable[Enrolled]) -> dict[str, list[Enrolled]]:
    found: dict[str, list[Enrolled]] = {}
    for record in records:
        found.setdefault(record.group, []).append(record)
    return found


def _in_words(refused: Mapping[str, str]) -> str:
    """What Auto Scaling refused, and why; CloudFormation shows little of a long reason."""
    told = [f"{what}: {why[:_MOST_OF_A_REASON]}" for what, why in sorted(refused.items())]
    more = len(told) - _MOST_NAMES
    return "; ".join(told[:_MOST_NAMES]) + (f"; and {more} more" if more > 0 else "")


def _named(left: Sequence[Enrolled]) -> str:
    names = [f"hook {record.hook} of {record.group}" for record in left[:_MOST_NAMES]]
    more = len(left) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _released(action: Action, now: datetime, evaluation_id: str) -> Action:
    """With CONTINUE, or with what an operator ordered just before."""
    if action.phase is Phase.OPEN:
        result, reason = operator_order(action) or (Result.CONTINUE, _REASON)
        action = action.noted(now, "complete", f"{result}: {reason}")
        action = replace(action, phase=Phase.COMPLETING, result=result, reason=reason)
    return replace(action, version=action.version + 1, evaluation_id=evaluation_id, evaluate_at=now)
