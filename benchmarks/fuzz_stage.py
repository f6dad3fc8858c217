"""Usher in memory for the fuzzer, with a store and a queue that take no more than AWS's do."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, cast

from usher.aws import evidence_format, record_format
from usher.aws.groups import GroupsApi
from usher.aws.queues import DeadLetterQueue, WakeUpQueue
from usher.aws.waiting import WaitingApi
from usher.core import configuration
from usher.core.compiled import InEffect
from usher.handlers import intake_handler, wake_handler
from usher.ports.autoscaling import Answer, AnswerKind
from usher.provision import Provision
from usher_simulator.autoscaling.account import an_account
from usher_simulator.fakes.memory_budget import MemoryBudget
from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.parts import enrolment_of, evaluator_of, intake_of, release_of, sweep_of
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from mypy_boto3_sqs import SQSClient

    from usher.core.action import Action, ActivityEnd, Result, Signal
    from usher.core.compiled import Compiled
    from usher.core.evidence import Kept
    from usher.core.notifications import TestNotice
    from usher.core.policy import Configuration
    from usher.passes.enrolment import Enrolment
    from usher.ports.records import Raw
MOST_REASON: Final = 2000
_NOW: Final = datetime(2026, 10, 5, 13, tzinfo=UTC)  # an hour into the sample messages
NO_HOOKS: Final = {"version": 1, "policies": {}, "hooks": []}
_MOST_MESSAGE_BYTES: Final = 1024 * 1024
_MOST_PK_BYTES, _MOST_SK_BYTES, _PREFIX_BYTES = 2048, 1024, 64
_MOST_ITEM_BYTES: Final = 400 * 1024
_OBEYED: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NOT_TAKEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # by SQS
# The hooks of the real messages: the groups that Usher may act on, and the policy.
_OURS: Final = {
    ("usher-gate", "launching"): ("web-prod", "gate"),
    ("web-gate", "launching"): ("web-prod", "gate"),
    ("web-drain", "terminating"): ("web-prod", "cool-down"),
    ("usher-drain", "terminating"): ("jobs-*", "jobs"),
    ("jobs-drain", "terminating"): ("jobs-*", "jobs"),
}
_POLICIES: Final = {
    "gate": {"until": [{"signal": "bootstrapped"}], "give_up_after": "20m", "on_give_up": "ABANDON"},
    "cool-down": {"until": [{"elapsed": "90s"}]},
    "jobs": {
        "until": [{"signal": "jobs-finished"}, {"command": {"document": "Drain"}}],
        "stalled_after": "10m",
    },
}


def settings() -> Configuration:
    """Under which the inputs are taken in."""
    hooks = [
        {
            "name": name,
            "group": group,
            "transition": transition,
            "heartbeat_timeout": "10m",
            "policy": policy,
            "limits": {"complete_per_minute": 20},
        }
        for (name, transition), (group, policy) in _OURS.items()
    ]
    return configuration.parse({"version": 1, "policies": _POLICIES, "hooks": hooks})


def is_ours(action: Action) -> bool:
    """Whether a hook names the group, hook and transition of an action. Not by Usher's own answer."""
    group, _ = _OURS.get((action.hook.name, str(action.hook.transition)), ("", ""))
    return fnmatchcase(action.hook.group, group)


class Broken(AssertionError):  # noqa: N818 - it reads as what happened
    """An input after which something does not hold that must."""


def must(*, hold: bool, or_else: str) -> None:
    """Raise Broken unless it holds."""
    if not hold:
        raise Broken(or_else)


def is_well_said(reason: str) -> bool:
    """One line, bounded, and nothing in it that a terminal or a log would take for something else."""
    return 0 < len(reason) <= MOST_REASON and not _OBEYED.search(reason)


# -- what stands around the functions ------------------------------------------------------------


class StrictStore(MemoryStore):
    """A store that refuses what DynamoDB would: keys that are no text or too long, items too large."""

    def load(self, action_id: str) -> Action | None:
        """See usher.ports.records.Records."""
        _fits(action_id, _MOST_PK_BYTES)
        return super().load(action_id)

    def of_token(self, token: str) -> Action | None:
        """See usher.ports.records.ActionLookup."""
        _fits(token, _MOST_PK_BYTES)
        return super().of_token(token)

    def of_instance(self, instance_id: str) -> Iterable[Action]:
        """See usher.ports.records.ActionLookup."""
        _fits(instance_id, _MOST_PK_BYTES)
        return super().of_instance(instance_id)

    def keep_signal(self, signal: Signal) -> Kept:
        """See usher.ports.records.EvidenceStore."""
        _fits(signal.event_id, _MOST_SK_BYTES)
        _fits_an_item(evidence_format.signal_to_data(signal))
        return super().keep_signal(signal)

    def keep_move_end(self, activity_end: ActivityEnd) -> None:
        """See usher.ports.records.EvidenceStore."""
        _fits(activity_end.activity_id, _MOST_SK_BYTES)
        _fits_an_item(evidence_format.activity_end_to_data(activity_end))
        super().keep_move_end(activity_end)

    def keep_test(self, test: TestNotice) -> None:
        """See usher.ports.records.EvidenceStore."""
        _fits(test.group, _MOST_PK_BYTES)
        _fits(test.request_id, _MOST_SK_BYTES)
        super().keep_test(test)

    def _put(self, action: Action, raw: Raw | None) -> None:
        data = record_format.action_to_data(action)
        _fits_an_item(data)
        read = record_format.action_from_data(json.loads(json.dumps(data)))
        must(hold=read == action, or_else=f"{action.id} is stored as another one")
        super()._put(action, raw)


def _fits(text: str, most: int) -> None:
    if not text or len(text.encode()) > most - _PREFIX_BYTES:
        raise ValueError(f"ValidationException: a key of {len(text)} characters")


def _fits_an_item(data: object) -> None:
    size = len(json.dumps(data).encode())
    must(hold=size < _MOST_ITEM_BYTES, or_else=f"an item of {size} bytes")


class StrictQueue:
    """An SQS client that refuses what SQS would. Sent messages are kept."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send_message(self, **message: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3 takes it
        """SendMessage."""
        attributes = {name: one["StringValue"] for name, one in message.get("MessageAttributes", {}).items()}
        texts = [message["MessageBody"], *attributes.values()]
        size = sum(len(text.encode()) for text in (*texts, *attributes))
        must(hold=all(texts), or_else="SQS takes no empty body or attribute")
        must(hold=not any(map(_NOT_TAKEN.search, texts)), or_else="SQS takes no such character")
        must(hold=size <= _MOST_MESSAGE_BYTES, or_else=f"SQS takes no message of {size} bytes")
        must(hold=0 <= message.get("DelaySeconds", 0) <= 900, or_else="SQS delays 900 s at most")  # noqa: PLR2004
        self.sent.append({"body": message["MessageBody"], **attributes})
        return {}

    def send_message_batch(self, **batch: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3 takes it
        """SendMessageBatch."""
        must(hold=0 < len(batch["Entries"]) <= 10, or_else="SQS takes one to ten messages at once")  # noqa: PLR2004
        for entry in batch["Entries"]:
            self.send_message(**entry)
        return {}


class AutoScalingApi:
    """Auto Scaling, which answers anything; only calls for configured groups may reach it."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def heartbeat(self, action: Action) -> Answer:
        """See usher.ports.autoscaling.AutoScaling."""
        must(hold=is_ours(action), or_else=f"a call for {action.hook.group}, which is not ours")
        kind = self._random.choices(list(AnswerKind), [20, 1, 2, 1, 1, 1])[0]
        return Answer(kind=kind, text="" if kind is AnswerKind.ACCEPTED else "as AWS says it")

    def complete(self, action: Action, result: Result) -> Answer:
        """See usher.ports.autoscaling.AutoScaling."""
        must(
            hold=action.result is result, or_else=f"{action.id} is completed with another result than stored"
        )
        return self.heartbeat(action)

    def ongoing(self, action: Action) -> None:
        """See usher.ports.autoscaling.AutoScaling."""
        raise AssertionError(f"{action.id} has a token")


class Stage:
    """Usher's functions over one store, with the clock in hand."""

    def __init__(self, random: Random) -> None:
        self.now = _NOW
        self.store = StrictStore(self.clock)
        self.recorder = Recorder()
        self.dead_letters, self.wake_ups = StrictQueue(), StrictQueue()
        self.auto_scaling = AutoScalingApi(random)
        self.answers: list[dict[str, Any]] = []
        letters = DeadLetterQueue(cast("SQSClient", self.dead_letters), "dead-letters")
        self._evaluator = evaluator_of(
            store=self.store,
            auto_scaling=self.auto_scaling,
            budget=MemoryBudget(10),
            wake_ups=WakeUpQueue(cast("SQSClient", self.wake_ups), "wake-ups"),
            telemetry=self.recorder,
            clock=self.clock,
        )
        taking = intake_of(self._evaluator, settings(), dead_letters=letters)
        self.intake = intake_handler(taking)
        self.wake = wake_handler(self._evaluator, letters)
        self.sweep = sweep_of(self._evaluator).handle
        self.provision = self._provisioning()

    def _provisioning(self) -> Provision:
        def respond(_: str, answer: dict[str, Any]) -> None:
            self.answers.append(answer)

        client = an_account(_NOW).client
        items, live, groups = (
            MemoryEnrolledHooks(self.clock),
            WaitingApi(client),
            GroupsApi(client),
        )

        def enrolment(file: Compiled) -> Enrolment:
            return enrolment_of(
                InEffect(file=file),
                {},
                groups=groups,
                live=live,
                records=items.under(file.digest),
                open_actions=self.store,
                call_budget=self._evaluator.call_budget,
                telemetry=self.recorder,
                clock=self.clock,
                wait=self.wait,
            )

        release = release_of(
            self._evaluator,
            targets={},
            hooks=groups,
            live=live,
            enrolments=items,
            open_actions=self.store,
            wait=self.wait,
        )
        return Provision(
            enrolment=enrolment, release=release, status=lambda _: "DELETE_IN_PROGRESS", respond=respond
        )

    def wait(self, span_s: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=span_s)

    def clock(self) -> datetime:
        """The time on this stage."""
        return self.now
