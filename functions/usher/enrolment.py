"""The enrolment pass: groups by glob or tags get their hooks, and lose them, as groups come and go.

Before each call its intent stands in the record, and after it the record says that it was done. A
crash in between costs a repetition.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Final, assert_never

from usher.core import enrolment
from usher.core.enrolment import Conflict, Forget, Put, Remove, Seen
from usher.ports import CallRefused, GroupGone, Moved, Throttled, TryLater
from usher.turns import Enough

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from usher.core.enrolment import Enrolled, GroupSeen, Key, Step, Wanted
    from usher.ports import EnrolmentRecords, EnrolmentTelemetry, Groups, OpenActions
    from usher.turns import Turns

INTERVAL: Final = timedelta(minutes=2)
_RENEWED_AFTER: Final = timedelta(days=100)  # of the 400 for which a record is kept
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrolment:
    """Everything that a pass touches."""

    wanted: Wanted
    groups: Groups
    records: EnrolmentRecords
    open_actions: OpenActions
    turns: Turns
    telemetry: EnrolmentTelemetry
    clock: Callable[[], datetime]
    wait: Callable[[float], object]  # in seconds, as time.sleep

    @property
    def name(self) -> str:
        """As handlers.Pass."""
        return "enrolment"

    def run(self, has_time: Callable[[], bool] = lambda: True) -> None:
        """One pass, as far as time and turns go. What is left is found again by the next one.

        Where Auto Scaling is busy the pass ends, so that heartbeats get through.
        """
        enrolled = self.records.enrolled()
        if not (enrolled or self.wanted.enrols):
            return
        try:
            self._run(enrolled, has_time)
        except Enough:
            self._put_off("no time or no turn of the budget is left")
        except TryLater as busy:
            if isinstance(busy, Throttled):
                self.turns.throttled(self.clock())
                self.telemetry.count("Throttled")
            self._put_off(str(busy))

    def _put_off(self, reason: str) -> None:
        self.telemetry.enrolment("put off", "", "", reason)

    def _run(self, enrolled: Sequence[Enrolled], has_time: Callable[[], bool]) -> None:
        """One group after the other, so that no pass ends with questions only."""
        now = self.clock()
        turn = partial(self.turns.awaited, self.clock, self.wait, has_time)
        in_use = cache(self.open_actions.hooks_in_use)
        groups = self.groups.groups(turn)
        self._take_all(Seen(groups=groups, hooks={}, enrolled=enrolled), in_use, now, turn)
        number = (now - _EPOCH) // INTERVAL
        for name in enrolment.to_look_into(self.wanted, groups, enrolled, number):
            turn()
            with suppress(GroupGone):  # the next pass forgets its records
                hooks = {name: self.groups.hooks_of(name)}
                group = [group for group in groups if group.name == name]
                here = [record for record in enrolled if record.group_arn == group[0].arn]
                self._take_all(Seen(groups=group, hooks=hooks, enrolled=here), in_use, now, turn)
        self._renew(groups, enrolled, now, has_time)

    def _take_all(
        self,
        seen: Seen,
        in_use: Callable[[], Collection[Key]],
        now: datetime,
        turn: Callable[[], datetime],
    ) -> None:
        leaving = enrolment.leaving(self.wanted, seen)
        kept = leaving.intersection(in_use()) if leaving else frozenset()
        for group, hook in sorted(kept):
            self._tell_kept(group, hook)
        for step in enrolment.plan(self.wanted, seen, kept, self.records.left(now)):
            if isinstance(step, Put | Remove):
                turn()
            self._take(step, now)

    def _take(self, step: Step, now: datetime) -> None:
        try:
            match step:
                case Put():
                    self._put(step, now)
                case Remove():
                    self._remove(step, now)
                case Forget():
                    self.records.forget(step.record)
                    self._tell("forgot", step.record, step.reason)
                case Conflict():
                    self._conflict(step.group, step.hook, step.reason)
                case _:
                    assert_never(step)
        except Moved:
            self.telemetry.enrolment("overtaken", "", "", "another run stored the record meanwhile")

    def _put(self, step: Put, now: datetime) -> None:
        if not self.records.take(now):
            return
        record = self.records.keep(step.record)
        if self._call(self.groups.put_hook, record, now):
            self.records.keep(replace(record, put_at=now, before=None))
            self._tell("put", record, step.reason)
            self.telemetry.count("Enrolled")

    def _remove(self, step: Remove, now: datetime) -> None:
        """The record itself is the intent: it goes when the hook is gone.

        With a launch hook the launches go that wait in it (aws-facts 1.1), so what is open is read
        again at the last moment.
        """
        if step.record.key in self.open_actions.hooks_in_use():
            self._tell_kept(*step.record.key)
            return
        if not self.records.take(now):
            return
        if self._call(self.groups.delete_hook, step.record, now):
            self.records.forget(step.record)
            self._tell("removed", step.record, step.reason)
            self.telemetry.count("Unenrolled")

    def _call(self, call: Callable[[Enrolled], None], record: Enrolled, now: datetime) -> bool:
        """Whether the call was accepted. One that was refused changed nothing, and does not count."""
        try:
            call(record)
        except Throttled:
            self.records.give_back(now)
            raise
        except CallRefused as refusal:
            self.records.give_back(now)
            self._conflict(record.group, record.hook, str(refusal))
        except GroupGone:
            self.records.give_back(now)
            self._tell("skipped", record, "the group is gone")
        else:
            return True
        return False

    def _conflict(self, group: str, hook: str, reason: str) -> None:
        self.telemetry.enrolment("conflict", group, hook, reason)
        self.telemetry.count("EnrolmentConflicts")

    def _tell(self, step: str, record: Enrolled, reason: str) -> None:
        self.telemetry.enrolment(step, record.group, record.hook, reason)

    def _tell_kept(self, group: str, hook: str) -> None:
        self.telemetry.enrolment("kept", group, hook, "to be removed, once nothing waits in it")

    def _renew(
        self,
        groups: Sequence[GroupSeen],
        enrolled: Sequence[Enrolled],
        now: datetime,
        has_time: Callable[[], bool],
    ) -> None:
        """A hook may stand unchanged for years, and must not become a stranger's by TTL."""
        live = {group.arn for group in groups}
        for record in enrolled:
            is_old = record.kept_at is None or now - record.kept_at > _RENEWED_AFTER
            if is_old and record.group_arn in live and has_time():
                self._keep_as_it_is(record)

    def _keep_as_it_is(self, record: Enrolled) -> None:
        try:
            self.records.keep(record)
        except Moved:  # this pass has stored it already, or dropped it
            return
