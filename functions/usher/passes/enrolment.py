"""The enrolment: every hook of the file is put, restored and taken back here, on whatever group it is for.

Before each call its intent stands in the item, and after it the item says that it was done. A crash in
between costs a repetition. An item is stored only while the hooks file of this very release counts.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, assert_never

from usher.core import enrolment, hook_marks, retiring_hooks
from usher.core.enrolment import Seen
from usher.core.enrolment_steps import Conflict, Forget, Keep, Put
from usher.core.frozen import frozen
from usher.core.wanted_hooks import Wish
from usher.evaluation.call_budget import NoCallLeft
from usher.passes.failing_groups import PassedOver
from usher.passes.retirement import Departure, Retirement
from usher.ports.errors import CallRefused, GroupGone, Moved, NotInForce, Throttled, TryLater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from usher.core.enrolment_steps import Step
    from usher.core.hook_items import Enrolled, FileInForce, GroupSeen, HookSettings
    from usher.core.wanted_hooks import Obstacle, Wanted
    from usher.evaluation.call_budget import CallBudget
    from usher.ports.autoscaling import Groups, LiveMembers
    from usher.ports.hooks import EnrolmentRecords
    from usher.ports.records import OpenActions
    from usher.ports.telemetry import EnrolmentTelemetry

    NextSlot = Callable[[], datetime]

INTERVAL: Final = timedelta(minutes=2)
LAST_CALLS_S: Final = 10  # what a pass was allowed to put before another file counted, it has put by then
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_IN_WORDS: Final = {
    Retirement.BUSY: ("kept", "retiring: instances wait in it, or are about to"),
    Retirement.LATE: ("kept", "retiring: there was no time to check whether instances wait in it"),
    Retirement.DELETED: ("removed", "retiring, and no instance waits in it"),
}


@frozen
class Settled:
    """How a group stands: what a person must settle, and which hooks do not stand as they should."""

    conflicts: Sequence[Conflict]
    lacking: Sequence[str]


@frozen
class _HourlyAllowance:
    """A slip of the pen in a glob or in tags reaches far; a name reaches one group, and is not counted."""

    records: EnrolmentRecords

    def allows(self, record: Enrolled, now: datetime) -> bool:
        """Whether the hook may be put or deleted in this hour."""
        return _is_named(record) or self.records.take(now)

    def counted(self, call: Callable[[Enrolled], object], record: Enrolled, now: datetime) -> None:
        """A call that was refused changed nothing, and does not count."""
        try:
            call(record)
        except (Throttled, CallRefused, GroupGone):
            if not _is_named(record):
                self.records.give_back(now)
            raise


@frozen
class Enrolment:
    """Everything that a pass touches. `file` is the hooks file that it enrols for."""

    wanted: Wanted
    file: FileInForce
    groups: Groups
    live: LiveMembers
    records: EnrolmentRecords
    open_actions: OpenActions
    call_budget: CallBudget
    telemetry: EnrolmentTelemetry
    clock: Callable[[], datetime]
    wait: Callable[[float], object]  # in seconds, as time.sleep

    @property
    def name(self) -> str:
        """As Pass."""
        return "enrolment"

    def run(self, has_time: Callable[[], bool] = lambda: True) -> None:
        """One pass, as far as time and slots go. What is left is found again by the next one.

        Where Auto Scaling is busy the pass ends, so that heartbeats get through. Where a call on one group
        fails, that group is passed over. Raises CallRefused where one was refused, once all had their turn.
        """
        try:
            self._run(has_time)
        except NotInForce:
            self._put_off("another hooks file is in force, or Usher is being deleted")
        except NoCallLeft:
            self._put_off("no time or no slot of the call budget is left")
        except TryLater as busy:
            self.put_off(busy)

    def put_off(self, busy: TryLater) -> None:
        """Leave Auto Scaling alone for now, and tell."""
        if isinstance(busy, Throttled):
            self.call_budget.back_off(self.clock())
            self.telemetry.count("Throttled")
        self._put_off(str(busy))

    def _put_off(self, reason: str) -> None:
        self.telemetry.enrolment("put off", "", "", reason)

    def _run(self, has_time: Callable[[], bool]) -> None:
        """One group after the other, so that no pass ends with questions only. Raises CallRefused last."""
        file = _in_force(self)
        if file is None or file.digest != self.file.digest or file.is_closing:
            raise NotInForce
        enrolled = self.records.enrolled()
        if not (enrolled or self.wanted.hooks):
            return
        next_slot = partial(self.call_budget.wait_for_slot, self.clock, self.wait, has_time)
        groups = self.groups.groups(next_slot)
        enrolled = self.mark(groups, enrolled, has_time)
        number = (self.clock() - _EPOCH) // INTERVAL
        passed_over = PassedOver(telemetry=self.telemetry)
        for name in enrolment.to_look_into(self.wanted, groups, enrolled, number):
            (group,) = (group for group in groups if group.name == name)
            here = [record for record in enrolled if record.group_arn == group.arn]
            with passed_over.on(name), suppress(GroupGone):  # a later pass forgets its items
                self.settle(group, here, next_slot)
        passed_over.check()

    def mark(
        self, groups: Sequence[GroupSeen], enrolled: Sequence[Enrolled], has_time: Callable[[], bool]
    ) -> Sequence[Enrolled]:
        """Store what the list of groups alone says of the items. The items as they are then."""
        newest = {record.place: record for record in enrolled}
        for step in hook_marks.marks(self.wanted, groups, enrolled, self.clock()):
            if not has_time():
                raise NoCallLeft
            with self._giving_way():
                kept = self._store(step)
                newest.pop(step.record.place)
                newest |= {kept.place: kept} if kept else {}
        return list(newest.values())

    def settle(self, group: GroupSeen, here: Sequence[Enrolled], next_slot: NextSlot) -> Settled:
        """Do what is to be done on one group, as far as that can be now. Raises GroupGone."""
        next_slot()
        hooks = self.groups.hooks_of(group.name)
        live = {hook.name: hook.settings for hook in hooks}
        seen = Seen(groups=[group], hooks={group.name: hooks}, enrolled=here)
        records = {record.hook: record for record in here}
        conflicts: list[Conflict] = []
        for step in enrolment.plan(self.wanted, seen, self.clock()):
            with self._giving_way():
                conflicts += self._take(step, records, live, next_slot)
        with self._giving_way():
            self._retire(group, records, live, next_slot)
        lacking = _lacking(self.wanted.on(group), live, records)
        return Settled(conflicts=conflicts, lacking=lacking)

    @contextmanager
    def _giving_way(self) -> Iterator[None]:
        """Of two runs at the same time one stores an item first; the other leaves it."""
        try:
            yield
        except Moved:
            self.telemetry.enrolment("overtaken", "", "", "another run stored the item first")

    def _take(
        self, step: Step, records: dict[str, Enrolled], live: dict[str, HookSettings], next_slot: NextSlot
    ) -> Iterator[Conflict]:
        match step:
            case Put():
                yield from self._put(step, records, live, next_slot)
            case Keep() | Forget():
                records.pop(step.record.hook, None)
                kept = self._store(step)
                records |= {kept.hook: kept} if kept else {}
            case Conflict():
                yield self._conflict(step)
            case _:
                assert_never(step)

    def _store(self, step: Keep | Forget) -> Enrolled | None:
        if isinstance(step, Forget):
            self.records.forget(step.record)
            self._tell("forgot", step.record, step.reason)
            return None
        kept = self.records.keep(step.record)
        if step.word:
            self._tell(step.word, kept, step.reason)
        return kept

    def _put(
        self, step: Put, records: dict[str, Enrolled], live: dict[str, HookSettings], next_slot: NextSlot
    ) -> Iterator[Conflict]:
        """The slot comes first, so that the item is stored, and the file asked for, right before the call."""
        next_slot()
        now = self.clock()
        if not _HourlyAllowance(records=self.records).allows(step.record, now):
            return
        record = self.records.keep(step.record)
        records[record.hook] = record
        try:
            _HourlyAllowance(records=self.records).counted(self.groups.put_hook, record, now)
        except CallRefused as refusal:
            yield self._conflict(Conflict(group=record.group, hook=record.hook, reason=str(refusal)))
            return
        except GroupGone:
            self._tell("skipped", record, "the group is gone")
            raise
        records[record.hook] = self.records.keep(record.noted(self.clock()))
        live[record.hook] = record.settings
        self._tell("put", record, step.reason)
        self.telemetry.count("Enrolled")

    def _retire(
        self,
        group: GroupSeen,
        records: dict[str, Enrolled],
        live: Mapping[str, HookSettings],
        next_slot: NextSlot,
    ) -> None:
        """Let hooks on their way out let through, where what replaces them stands; and delete them."""
        for record in retiring_hooks.let_through(self.wanted, group, live, records.values(), self.clock()):
            records[record.hook] = self.records.keep(record)
        departure = Departure(
            hooks=self.groups,
            live=self.live,
            items=self.records,
            open_actions=self.open_actions,
            clock=self.clock,
        )
        for record in retiring_hooks.departing(self.wanted, group, live, records.values()):
            self._depart(departure, record, next_slot)

    def _depart(self, departure: Departure, record: Enrolled, next_slot: NextSlot) -> None:
        now = self.clock()
        is_counted = record.quiet_at is not None and not _is_named(record)  # it may be deleted now
        if is_counted and not self.records.take(now):
            return
        outcome = Retirement.BUSY
        try:
            outcome = departure.step(record, next_slot)
        except CallRefused as refusal:
            self._conflict(Conflict(group=record.group, hook=record.hook, reason=str(refusal)))
            return
        finally:
            if is_counted and outcome is not Retirement.DELETED:
                self.records.give_back(now)
        if outcome in _IN_WORDS:
            word, reason = _IN_WORDS[outcome]
            self._tell(word, record, reason)
        if outcome is Retirement.DELETED:
            self.telemetry.count("Unenrolled")

    def _conflict(self, conflict: Conflict) -> Conflict:
        self.telemetry.enrolment("conflict", conflict.group, conflict.hook, conflict.reason)
        self.telemetry.count("EnrolmentConflicts")
        return conflict

    def _tell(self, step: str, record: Enrolled, reason: str) -> None:
        self.telemetry.enrolment(step, record.group, record.hook, reason)


def _in_force(enrolment: Enrolment) -> FileInForce | None:
    """The file that counts: the one of this pass, where it is a later version that has taken effect."""
    records, mine = enrolment.records, enrolment.file
    file = records.in_force()
    if file is None or not file.gives_way_to(mine):
        return file
    if not records.switch(mine) and records.in_force() != mine:  # else its own switch, of a lost answer
        return records.in_force()
    reason = f"version {mine.version} of the hooks file is in force from now on"
    enrolment.telemetry.enrolment("switched", "", "", reason)
    if file.digest != mine.digest:
        enrolment.wait(LAST_CALLS_S)
    return mine


def _is_named(record: Enrolled) -> bool:
    return record.selector is not None and record.selector.is_one_name


def _lacking(
    asked: Mapping[str, Wish | Obstacle | None],
    live: Mapping[str, HookSettings],
    records: Mapping[str, Enrolled],
) -> list[str]:
    """The hooks that are not on the group as they should be."""
    return [
        name
        for name, wish in asked.items()
        if isinstance(wish, Wish)
        and (
            name not in live
            or wish.settings.differences(live[name])
            or (name in records and records[name].is_retiring)  # its deletion may be on its way
        )
    ]
