"""What a dead letter is, and whether sending it back would still have an effect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from usher.aws.record_format import UNREADABLE
from usher.core import duration, evidence, messages
from usher.core.action import ActivityEnd, Signal
from usher.core.notifications import (
    CommandEnd,
    InstanceEnd,
    InstanceState,
    LifecycleNotice,
    NotUnderstood,
    TestNotice,
    Unrelated,
)
from usher.core.queue_messages import NOT_READ, numbered
from usher.core.wait_moves import WAIT_MOVES
from usher_cli.open_actions import NEWER_RELEASE
from usher_cli.redrive.queues import QUESTIONS, WAKE_UPS, DeadLetter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mypy_boto3_autoscaling import AutoScalingClient

    from usher.core.action import Action
    from usher.core.notifications import Notice
    from usher.ports.records import ActionLookup, FindingsKept, Records

    class Known(Records, ActionLookup, FindingsKept, Protocol):
        """What is read of usher.aws.records.RecordTable."""

        def is_readable(self, instance_id: str) -> bool:
            """See usher.ports.records.ReconcileStore."""
            ...


_RECENT_SIGNAL: Final = timedelta(hours=1)  # its action may not be known yet
_DESCRIBE_BATCH_SIZE: Final = 50  # instances of one DescribeAutoScalingInstances
_NO_ANSWER: Final = "Auto Scaling would answer `No active Lifecycle Action found`"


class LetterStatus(StrEnum):
    """Whether a dead letter would still have an effect."""

    CURRENT = "current"
    OBSOLETE = "obsolete"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True, slots=True)
class Classified:
    """A dead letter, what it is, and its status with the reason."""

    letter: DeadLetter
    what: str
    status: LetterStatus
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Classifier:
    """Compares dead letters with the records, and with the live states of their instances."""

    known: Known
    states: Mapping[str, str]  # LifecycleState by instance; an instance that is missing is gone
    now: datetime

    def classify(self, letter: DeadLetter) -> Classified:
        """What a dead letter is, and its status."""
        try:
            what, find_status = self._read(letter)
        except NotUnderstood as error:
            return Classified(letter=letter, what="unknown", status=LetterStatus.UNREADABLE, why=str(error))
        try:
            status, why = find_status()
        except UNREADABLE:  # one such record affects no other dead letter
            status, why = LetterStatus.CURRENT, f"its record cannot be read: {NEWER_RELEASE}"
        return Classified(letter=letter, what=what, status=status, why=why)

    def _read(self, letter: DeadLetter) -> tuple[str, Callable[[], tuple[LetterStatus, str]]]:
        """What a dead letter is, and a function that finds its status. Raises NotUnderstood."""
        if letter.queue.name == WAKE_UPS:
            return "a wake-up", partial(self._wake_up, letter.body)
        if letter.queue.name == QUESTIONS:
            return "a question", partial(self._question, letter.body)
        notice = messages.read(letter.body)
        return _description(notice), partial(self._notice, notice)

    def _wake_up(self, body: str) -> tuple[LetterStatus, str]:
        try:
            action_id, stamp = numbered(body, "version")
        except NOT_READ:
            return LetterStatus.UNREADABLE, "it names no action and version"
        action = self.known.load(action_id)
        if action is None or not action.is_open:
            return _obsolete_action(action)
        if not action.stands_at(stamp):
            return LetterStatus.OBSOLETE, f"the record has changed since; its version is {action.version} now"
        return LetterStatus.CURRENT, f"its action is open; next evaluation at {action.evaluate_at:%H:%M:%S}"

    def _question(self, body: str) -> tuple[LetterStatus, str]:
        try:
            action_id, turn = numbered(body, "turn")
        except NOT_READ:
            return LetterStatus.UNREADABLE, "it names no action and turn"
        action = self.known.load(action_id)
        if action is None or not action.is_open:
            return _obsolete_action(action)
        findings = self.known.findings(action_id)
        if findings is None or findings.turn != turn:
            return LetterStatus.OBSOLETE, "a newer question has replaced it"
        return LetterStatus.CURRENT, "it is the latest question of an open action"

    def _notice(self, notice: Notice) -> tuple[LetterStatus, str]:
        match notice:
            case LifecycleNotice():
                return self._lifecycle(notice)
            case Signal():
                return self._signal(notice)
            case ActivityEnd():
                matching = [
                    action for action in self._open(notice.instance_id) if evidence.ends(notice, action)
                ]
                return _current_if(
                    matching, "an open action waits for it", "no open action is of this scaling activity"
                )
            case InstanceEnd() | InstanceState() | CommandEnd():
                return _current_if(
                    self._open(notice.instance_id),
                    "the instance has an open action",
                    "the instance has no open action",
                )
            case TestNotice():
                return LetterStatus.CURRENT, "it shows that the group can reach Usher"
            case Unrelated():
                return LetterStatus.OBSOLETE, f"ignored: {notice.reason}"

    def _lifecycle(self, notice: LifecycleNotice) -> tuple[LetterStatus, str]:
        action = self.known.of_token(notice.token)
        if action is not None:
            recorded = f"closed: {action.outcome}" if action.outcome else "open"
            return LetterStatus.OBSOLETE, f"it is already recorded as action {action.id} ({recorded})"
        state = self.states.get(notice.instance_id)
        if any(move.state == state and move.transition is notice.transition for move in WAIT_MOVES):
            return LetterStatus.CURRENT, f"the instance still waits in {state}, and Usher has no record of it"
        where = f"the instance is {state}" if state else "the instance is gone"
        return LetterStatus.OBSOLETE, f"{where}: {_NO_ANSWER}"

    def _signal(self, signal: Signal) -> tuple[LetterStatus, str]:
        sent = f"sent {duration.written(self.now - signal.at)} ago"
        if self.now - signal.at <= _RECENT_SIGNAL:
            return LetterStatus.CURRENT, sent
        of_token = self.known.of_token(signal.token) if signal.token else None
        actions = [of_token] if of_token else self._of_instance(signal.instance_id or "")
        waiting = [action for action in actions if action.is_open and evidence.fits(signal, action)]
        return _current_if(
            waiting, f"{sent}; an open action waits for it", f"{sent}; no open action waits for it"
        )

    def _open(self, instance_id: str) -> list[Action]:
        return [action for action in self._of_instance(instance_id) if action.is_open]

    def _of_instance(self, instance_id: str) -> Iterable[Action]:
        """Raises one of UNREADABLE where one of them cannot be read: it may be the one that is meant."""
        if not self.known.is_readable(instance_id):
            raise ValueError(instance_id)
        return self.known.of_instance(instance_id)


def _obsolete_action(action: Action | None) -> tuple[LetterStatus, str]:
    return LetterStatus.OBSOLETE, "its action is closed" if action else "its action has no record any more"


def _current_if(actions: Sequence[Action], current: str, obsolete: str) -> tuple[LetterStatus, str]:
    return (LetterStatus.CURRENT, current) if actions else (LetterStatus.OBSOLETE, obsolete)


def _description(notice: Notice) -> str:
    match notice:
        case LifecycleNotice():
            return f"{notice.instance_id} {notice.transition} in {notice.group}, hook {notice.hook}"
        case TestNotice():
            return f"a test message of {notice.group}"
        case Signal():
            return f"signal {notice.name} {notice.status} of {notice.instance_id or notice.token}"
        case ActivityEnd():
            return f"{notice.detail.partition(':')[0]} of {notice.instance_id}"
        case InstanceEnd() | InstanceState() | CommandEnd():
            return f"{notice.detail} of {notice.instance_id}"
        case Unrelated():
            return "a message that is not for Usher"


def instances(letters: Iterable[DeadLetter]) -> list[str]:
    """The instances of the lifecycle messages, whose live states decide their status."""
    wanted: dict[str, None] = {}
    for letter in letters:
        if letter.queue.name in (WAKE_UPS, QUESTIONS):
            continue
        try:
            notice = messages.read(letter.body)
        except NotUnderstood:
            continue
        if isinstance(notice, LifecycleNotice):
            wanted[notice.instance_id] = None
    return list(wanted)


def states_of(auto_scaling: AutoScalingClient, wanted: Sequence[str]) -> dict[str, str]:
    """DescribeAutoScalingInstances, for 50 at once; it leaves out instances that it does not know."""
    states: dict[str, str] = {}
    for start in range(0, len(wanted), _DESCRIBE_BATCH_SIZE):
        batch = wanted[start : start + _DESCRIBE_BATCH_SIZE]
        answer = auto_scaling.describe_auto_scaling_instances(InstanceIds=batch)
        states |= {
            instance["InstanceId"]: instance["LifecycleState"] for instance in answer["AutoScalingInstances"]
        }
    return states
