"""Both stores say the same after the same doings, drawn by Hypothesis."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.contract.dynamodb import Clock, a_table
from tests.contract.stores import LATER, a_test, after, closed, due_ids
from tests.factories import a_signal, an_action, an_activity_end, at
from tests.properties import examples
from usher.aws.records import RecordTable
from usher.core.action import Status
from usher.ports.errors import Moved
from usher.ports.records import Raw
from usher_simulator.fakes.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.core.action import Action, Signal
    from usher.ports.records import Store


class Twins(RuleBasedStateMachine):
    """Does the same to both stores, whose answers must be the same."""

    client: DynamoDBClient
    TOKENS = (None, "A" * 36, "a" * 36, "b" * 36)
    INSTANCES = ("i-1", "i-2")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(at(0))
        self.memory = MemoryStore(self.clock)
        self.table = a_table(self.client)
        self.records = RecordTable(self.client, self.table, self.clock)
        self.signals: list[Signal] = []
        self.saves: list[tuple[Action, Raw | None]] = []
        self.opens = 0

    def both(self, do: Callable[[Store], object]) -> None:
        """Do it to both, and compare what they say."""
        assert self.outcome(do, self.records) == self.outcome(do, self.memory)

    def outcome(self, do: Callable[[Store], object], store: Store) -> object:
        try:
            return do(store)
        except Moved:
            return Moved

    @rule(seconds=st.integers(1, 1800))
    def time_passes(self, seconds: int) -> None:
        self.clock.now += timedelta(seconds=seconds)

    @rule(token=st.sampled_from(TOKENS), instance_id=st.sampled_from(INSTANCES))
    def open(self, token: str | None, instance_id: str) -> None:
        now = self.clock.now
        changes = {"token": token, "instance_id": instance_id, "started_at": now, "evaluate_at": now}
        action = an_action(id=f"action-{self.opens:02}", **changes).noted(now, "notified", "by sqs")
        self.both(lambda store: store.open(action, Raw(received_at=now, body=f"{token}")))
        self.opens += 1

    @precondition(lambda self: self.memory.actions())
    @rule(
        data=st.data(),
        closes=st.booleans(),
        stale=st.sampled_from([False, False, False, True]),
        detail=st.sampled_from(["no signal", "done"]),
        body=st.sampled_from([None, "copy", "other copy"]),
    )
    def save(self, data: st.DataObject, closes: bool, stale: bool, detail: str, body: str | None) -> None:
        action = data.draw(st.sampled_from(self.memory.actions()))
        action = after(action, f"evaluation-{len(self.saves)}").noted(self.clock.now, "wait", detail)
        action = (
            closed(action) if closes or not action.is_open else replace(action, evaluate_at=self.clock.now)
        )
        action = replace(action, version=action.version - 1) if stale else action
        raw = Raw(received_at=self.clock.now, body=body) if body else None
        self.saves.append((action, raw))
        self.both(lambda store: store.save(action, raw=raw))

    @precondition(lambda self: self.saves)
    @rule(data=st.data())
    def save_again(self, data: st.DataObject) -> None:
        action, raw = data.draw(st.sampled_from(self.saves))
        self.both(lambda store: store.save(action, raw=raw))

    @rule(
        age=st.integers(0, 5400),
        instance_id=st.sampled_from([None, *INSTANCES]),
        token=st.sampled_from(TOKENS),
        status=st.sampled_from(Status),
    )
    def hear_signal(self, age: int, instance_id: str | None, token: str | None, status: Status) -> None:
        place = {"instance_id": instance_id, "token": token if instance_id else token or "b" * 36}
        event_id = f"event-{len(self.signals):02}"
        signal = a_signal(
            event_id=event_id, status=status, at=self.clock.now - timedelta(seconds=age), **place
        )
        self.signals.append(signal)
        self.both(lambda store: store.keep_signal(signal))

    @precondition(lambda self: self.signals)
    @rule(data=st.data())
    def hear_signal_again(self, data: st.DataObject) -> None:
        signal = data.draw(st.sampled_from(self.signals))
        self.both(lambda store: store.keep_signal(signal))

    @rule(age=st.integers(0, 5400), instance_id=st.sampled_from(INSTANCES))
    def hear_move_end(self, age: int, instance_id: str) -> None:
        ended_at = self.clock.now - timedelta(seconds=age)
        activity_id = f"activity-{ended_at}"
        activity_end = an_activity_end(activity_id=activity_id, instance_id=instance_id, ended_at=ended_at)
        self.both(lambda store: store.keep_move_end(activity_end))

    @rule(age=st.integers(0, 5400), instance_id=st.sampled_from(INSTANCES))
    def hear_instance_end(self, age: int, instance_id: str) -> None:
        ended_at = self.clock.now - timedelta(seconds=age)
        self.both(lambda store: store.keep_instance_end(instance_id, ended_at))

    @rule(age=st.integers(0, 9), instance_id=st.sampled_from(INSTANCES), is_stopped=st.booleans())
    def hear_instance_state(self, age: int, instance_id: str, *, is_stopped: bool) -> None:
        at = self.clock.now - timedelta(seconds=age)
        self.both(lambda store: store.keep_instance_state(instance_id, at, is_stopped=is_stopped))

    @rule(hook=st.sampled_from(["usher-drain", "usher-gate", "*"]), pauses=st.booleans())
    def pause_or_resume(self, hook: str, pauses: bool) -> None:
        by = f"{self.clock.now}"
        for store in (self.memory, self.records):
            if pauses:
                store.pause(hook, by)
            else:
                store.resume(hook)

    @rule(number=st.integers(1, 3), group=st.sampled_from(["workers-1", "workers-2"]))
    def hear_test(self, number: int, group: str) -> None:
        test = a_test(f"request-{number}", at(number), group)
        self.both(lambda store: store.keep_test(test))

    def teardown(self) -> None:
        self.both(lambda store: due_ids(store, self.clock.now))
        self.both(lambda store: sorted(store.due(LATER), key=lambda due: due.action_id))
        self.both(lambda store: [list(store.of_instance(name)) for name in self.INSTANCES])
        self.both(lambda store: [store.of_token(token) for token in self.TOKENS if token])
        self.both(lambda store: [list(store.tests(group)) for group in ("workers-1", "workers-2")])
        assert self.records.pauses() == self.memory.pauses()
        for action in self.memory.actions():
            self.both(partial(everything_of, action))
        self.client.delete_table(TableName=self.table)


def everything_of(action: Action, store: Store) -> object:
    evidence = store.evidence(action)
    return (
        store.load(action.id),
        list(store.timeline(action.id)),
        sorted(store.raws(action.id), key=lambda raw: raw.body),
        sorted(evidence.signals, key=lambda signal: signal.event_id),
        sorted(evidence.activity_ends, key=lambda activity_end: activity_end.activity_id),
        (evidence.instance_ended_at, evidence.stopped_at, evidence.paused),
    )


@pytest.mark.hypothesis
def test_both_stores_say_the_same_after_the_same_doings(shared_client: DynamoDBClient) -> None:
    class Here(Twins):
        client = shared_client

    few = examples(10, stateful_step_count=15)
    run_state_machine_as_test(Here, settings=few)
