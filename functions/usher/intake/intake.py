"""Takes in one message: makes what it says durable, and asks for an evaluation where that may matter."""

from __future__ import annotations

from dataclasses import field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from usher.core import messages
from usher.core.action import ActivityEnd, Signal
from usher.core.frozen import frozen
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
from usher.evaluation.question_chain import Chains
from usher.evaluation.record_writer import RecordWriter
from usher.evaluation.wake_ups import WakeUpScheduler
from usher.intake.evidence import EvidenceIntake
from usher.intake.opening import Opening
from usher.outage.slow_table import ATTEMPT, HOLDS, Away, RequestDeadline, hurried
from usher.ports.errors import NoAnswer, Unavailable
from usher.ports.queues import WHATEVER
from usher.ports.records import Raw

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.notifications import Notice
    from usher.core.policy import Configuration
    from usher.ports.hooks import HookItems
    from usher.ports.queues import DeadLetters, Questions, WakeUps
    from usher.ports.records import Store
    from usher.ports.telemetry import Telemetry


@frozen
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
    limit: RequestDeadline = field(default_factory=RequestDeadline)
    is_certain: bool = True  # of `configuration`: see usher.core.compiled.InEffect
    _heard_of: dict[str, datetime] = field(default_factory=dict)  # groups, by this container

    @property
    def chains(self) -> Chains:
        """What has questions asked."""
        return Chains(kept=self.store, queue=self.questions, telemetry=self.telemetry, clock=self.clock)

    @property
    def scheduler(self) -> WakeUpScheduler:
        """What sends wake-ups."""
        return WakeUpScheduler(queue=self.wake_ups, telemetry=self.telemetry, clock=self.clock)

    @property
    def writer(self) -> RecordWriter:
        """What stores records."""
        return RecordWriter(
            store=self.store,
            wake_ups=self.scheduler,
            new_id=self.new_id,
            require_queue=True,
        )

    @property
    def opening(self) -> Opening:
        """What records the actions of lifecycle notifications."""
        return Opening(
            configuration=self.configuration,
            items=self.items,
            store=self.store,
            writer=self.writer,
            telemetry=self.telemetry,
            heard_of=self._heard_of,
        )

    @property
    def evidence(self) -> EvidenceIntake:
        """What keeps everything else."""
        return EvidenceIntake(
            configuration=self.configuration,
            store=self.store,
            writer=self.writer,
            chains=self.chains,
            telemetry=self.telemetry,
        )

    def within(self, limit: RequestDeadline) -> Intake:
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
                self._check_file()
                self.away.check(now)
            self._take(notice, raw, now)
        except Unavailable as error:
            if isinstance(error, NoAnswer):
                self.away.noted(self.clock())
            if is_first and isinstance(notice, LifecycleNotice):
                self._hold(notice)
            raise

    def _check_file(self) -> None:
        if not self.is_certain:
            raise Unavailable("it is not certain which version of the hooks file is in effect")

    def _hold(self, notice: LifecycleNotice) -> None:
        """Have heartbeats sent for what is not recorded: by wake-ups, as they are for what is."""
        now = self.clock()
        for wait in first_waits(self.configuration, notice, now):
            if self.limit.is_past(self.clock(), -ATTEMPT - HOLDS):
                return  # Lambda would cut it off, and all that was done with it
            delay = max(timedelta(0), wait.due_at - now)
            self.scheduler.send(self.new_id(), WHATEVER, delay, wait)

    def _take(self, notice: Notice, raw: Raw, now: datetime) -> None:
        taking = self.evidence
        match notice:
            case LifecycleNotice():
                self.opening.take(notice, raw, now)
            case TestNotice():
                taking.take_test(notice)
            case ActivityEnd():
                taking.take_activity_end(notice, now)
            case Signal():
                taking.take_signal(notice, now)
            case InstanceEnd():
                taking.take_instance_end(notice, now)
            case InstanceState():
                taking.take_instance_state(notice, now)
            case CommandEnd():
                taking.take_command_end(notice, now)
            case Unrelated():
                self._tell("ignored", notice.reason)
            case _:
                assert_never(notice)

    def _tell(self, kind: str, reason: str = "") -> None:
        self.telemetry.message_handled(kind, reason)
        if kind == "rejected":
            self.telemetry.count("Rejected")
